/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions of which gcc -O2 makes .isra, .constprop, .part and .cold copies.  Which of them
 * it makes is its own affair: a test asks nm.
 */
#include <stdio.h>
#include <stdlib.h>

struct rectangle {
	long width, height;
	char name[64];
};

volatile long sink;

/* .isra: only two members of what is pointed to are used. */
static __attribute__((noinline)) long area(const struct rectangle *rectangle, long unused)
{
	(void)unused;
	sink += 3;
	return rectangle->width * rectangle->height;
}

/* .constprop: the factor is always the same. */
static __attribute__((noinline)) long scale(long value, long factor)
{
	long i;

	for (i = 0; i < factor; i++)
		sink += value * i;
	return sink;
}

__attribute__((cold, noinline)) void complain(const char *text);

void complain(const char *text)
{
	fputs(text, stderr);
	exit(1);
}

/* .cold: the branch that complains. */
__attribute__((noinline)) long checked(long value);

long checked(long value)
{
	sink += value;
	if (value > 1000) {
		sink = 1;
		complain("too large\n");
	}
	return sink;
}

/* .part: the test is worth inlining, the rest is not. */
long rarely(long *value);

long rarely(long *value)
{
	if (!*value)
		return 0;
	for (; *value > 0; --*value) {
		sink += scale(*value, 7);
		sink ^= checked(*value);
		printf("%ld\n", sink);
		sink += checked(sink & 7);
	}
	return sink;
}

int main(int argc, char **argv)
{
	struct rectangle rectangle = { argc, argc + 1, "" };
	long value = argc - 1, other = argc - 1;

	(void)argv;
	sink += area(&rectangle, 1) + scale(argc, 7);
	sink += rarely(&value);
	sink += rarely(&other);
	return (int)(checked(sink & 3) & 0);
}
