/* SPDX-License-Identifier: BSD-2-Clause */
/* cxx SECONDS: spins in shop::Cart<int>::total(unsigned long). */
#include "spin.h"

namespace shop
{

template <typename T> class Cart {
public:
	__attribute__((noinline)) T total(unsigned long ns)
	{
		SPIN_FOR(CLOCK_MONOTONIC, ns);
		return T(0);
	}
};

template class Cart<int>;

} // namespace shop

int main(int argc, char **argv)
{
	return shop::Cart<int>().total(argument_ns(argc, argv, 1, 5));
}
