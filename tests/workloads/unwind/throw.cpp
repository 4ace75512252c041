/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * throw SECONDS: throws exceptions below 1 to 24 frames that have something to destroy, and catches
 * them in catcher(), again and again.  The time goes to libgcc's unwinder and its clean-ups.
 */
#include <stdexcept>
#include <string>
#include <vector>

#include "../spin.h"

static unsigned long sink;

struct Guard {
	explicit Guard(int depth) : text(static_cast<size_t>(depth) + 20, 'x') {}
	~Guard() { sink += text.size(); }
	std::string text;
};

__attribute__((noinline)) static int thrower(int depth)
{
	if (depth > 10000)
		return depth; /* so that the compiler expects it to return */
	if (depth % 3 == 0)
		throw std::runtime_error("depth");
	throw depth;
}

__attribute__((noinline)) static int descend(int depth, std::vector<int> &path)
{
	Guard guard(depth);
	int result;

	path.push_back(depth);
	result = depth > 1 ? descend(depth - 1, path) : thrower(static_cast<int>(path.size()));
	path.pop_back();
	return result + static_cast<int>(guard.text.size());
}

/* Catches, and throws on: a second phase for the same exception. */
__attribute__((noinline)) static int rethrower(int depth, std::vector<int> &path)
{
	try {
		return descend(depth, path);
	} catch (const std::runtime_error &) {
		sink++;
		throw;
	}
}

__attribute__((noinline)) static void catcher(int depth)
{
	std::vector<int> path;

	try {
		sink += static_cast<unsigned long>(rethrower(depth, path));
	} catch (const std::exception &error) {
		sink += error.what()[0];
	} catch (int value) {
		sink += static_cast<unsigned long>(value);
	}
}

int main(int argc, char **argv)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 5);
	int depth = 1;

	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		catcher(depth);
		depth = depth % 24 + 1;
	}
	return 0;
}
