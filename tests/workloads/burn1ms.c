/* SPDX-License-Identifier: BSD-2-Clause */
/* burn1ms: spends 1 ms of CPU time in burn_one_ms and ends, as shells' short children do. */
#include "spin.h"

static void burn_one_ms(void)
{
	SPIN_FOR(CLOCK_THREAD_CPUTIME_ID, NS_PER_MS);
}

int main(void)
{
	burn_one_ms();
	return 0;
}
