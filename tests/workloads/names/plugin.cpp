/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A library for dlopen_main, built twice: with -DSECOND it has another class, of one size with
 * the first, so that the second is mapped where the first was.
 */
#include "../spin.h"
#include "marks.h"

#ifndef SECOND
namespace first
{
struct Engine {
	void run(uint64_t ns);
};

NEVER_INLINE void Engine::run(uint64_t ns)
{
	SPIN_FOR(CLOCK_MONOTONIC, ns); /* LINE: first */
}
} // namespace first
#else
namespace other
{
struct Motor {
	void run(uint64_t ns);
};

NEVER_INLINE void Motor::run(uint64_t ns)
{
	SPIN_FOR(CLOCK_MONOTONIC, ns); /* LINE: other */
}
} // namespace other
#define first other
#define Engine Motor
#endif

extern "C" void plugin_entry(uint64_t ns);

extern "C" void plugin_entry(uint64_t ns)
{
	first::Engine().run(ns);
	__asm__ volatile("" ::: "memory"); /* no tail call */
}
