/* SPDX-License-Identifier: BSD-2-Clause */
/* chain SECONDS: shop::Cart<T>::total() with shop::price() inlined into it; as chain.c. */
#include "../spin.h"
#include "marks.h"

namespace shop
{

struct Item {
	uint64_t price;
};

static volatile uint64_t sink;

/* Called first and last, so that total() is no leaf and has a frame from end to end. */
static NEVER_INLINE void nothing()
{
	__asm__ volatile("");
}

ALWAYS_INLINE uint64_t price(const Item &item, uint64_t count) /* LINE: innermost */
{
	MARK("hot"); /* LINE: hot */
	SPIN_BATCH();
	return item.price * count;
}

template <typename T> class Cart
{
      public:
	T total(T start, const Item &item) const;
};

template <typename T>
NEVER_INLINE T Cart<T>::total(T start, const Item &item) const /* LINE: outermost */
{
	nothing();
	start += price(item, start); /* LINE: call-innermost */
	nothing();
	return start;
}

template class Cart<uint64_t>;

} // namespace shop

int main(int argc, char **argv)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 0);
	shop::Item item = { end };
	shop::Cart<uint64_t> cart;

	do
		shop::sink += cart.total(end, item);
	while (clock_ns(CLOCK_MONOTONIC) < end);
	return 0;
}
