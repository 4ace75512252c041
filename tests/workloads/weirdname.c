/* SPDX-License-Identifier: BSD-2-Clause */
/* weirdname NAME SECONDS: takes NAME, any bytes, as its comm and spins in weird_work. */
#include <sys/prctl.h>

#include "spin.h"

static void weird_work(uint64_t ns)
{
	SPIN_FOR(CLOCK_MONOTONIC, ns);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	prctl(PR_SET_NAME, argv[1]);
	weird_work(argument_ns(argc, argv, 2, 5));
	return 0;
}
