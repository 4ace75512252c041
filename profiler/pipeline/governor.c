/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cost has a part that follows the rate (samples, their stacks, their names) and one that does not
 * (records of processes, tables of new programs).  They are not told apart: a rate that was lowered
 * too far for a burst of new programs rises again when the burst is over.  A controller with memory of
 * its own (an integral term) would be steadier and slower to answer, and what must not happen is that
 * the host feels us.
 *
 * Full rings halve the rate whatever the CPU cost is: more samples than can be fetched are worth
 * nothing.
 */
#include "profiler/pipeline/governor.h"

#include "profiler/base/cleanup.h"

#define AIM 0.85	  /* of the limit: so that the next epoch is below it, not at it */
#define CALM 0.7	  /* of the limit: below this the rate may rise */
#define RISE 1.5	  /* at most, at a time */
#define EPOCHS_BELOW 2	  /* calm ones in a row before it does */
#define FALL 0.1	  /* at most to this, at a time */

void governor_init(struct governor *governor, double max_percent, unsigned int wanted_hz)
{
	*governor = (struct governor){ .max_percent = max_percent,
				       .wanted_hz = wanted_hz,
				       .hz = wanted_hz,
				       .lowest_hz = wanted_hz };
}

double governor_percent(const struct governor_epoch *epoch)
{
	double all_ns = (double)epoch->elapsed_ns * epoch->cpu_cnt;

	return all_ns > 0 ? 100 * (double)(epoch->own_cpu_ns + epoch->bpf_ns) / all_ns : 0;
}

unsigned int governor_next(struct governor *governor, const struct governor_epoch *epoch)
{
	double percent = governor_percent(epoch), limit = governor->max_percent;
	double hz = governor->hz;

	governor->worst_percent = MAX(governor->worst_percent, percent);
	if (limit <= 0)
		return governor->hz;
	if (percent > limit)
		hz *= MAX(AIM * limit / percent, FALL);
	if (epoch->refused)
		hz = MIN(hz, governor->hz / 2.0);
	if (percent < CALM * limit && !epoch->refused)
		governor->epochs_below++;
	else
		governor->epochs_below = 0;
	if (governor->epochs_below >= EPOCHS_BELOW && hz < governor->wanted_hz) {
		hz *= percent > 0 ? MIN(AIM * limit / percent, RISE) : RISE;
		hz = MAX(hz, governor->hz + 1.0); /* from 1 Hz on too */
		governor->epochs_below = 0;
	}
	hz = MIN(MAX(hz, 1.0), (double)governor->wanted_hz);
	governor->hz = (unsigned int)hz;
	governor->lowest_hz = MIN(governor->lowest_hz, governor->hz);
	return governor->hz;
}
