/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Built twice, as plugin.so with WORK=plugin_work and as plugin_b.so with WORK=plugin_b_work: of
 * one size, so that the second is mapped where the first was.
 */
#include "spin.h"

void WORK(uint64_t ns);
void plugin_entry(uint64_t ns);

void WORK(uint64_t ns)
{
	SPIN_FOR(CLOCK_MONOTONIC, ns);
}

void plugin_entry(uint64_t ns)
{
	WORK(ns);
}
