/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One record of the kernel's side-band, as bytes, to an event (perf_event_open(2)).
 *
 * Pure: no state, no I/O.  @record is 8-byte aligned and record->size bytes of it are readable;
 * beyond that nothing in it is trusted.
 */
#ifndef EBPFPROF_COLLECT_SIDEBAND_RECORD_H
#define EBPFPROF_COLLECT_SIDEBAND_RECORD_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>

struct sideband_event;

/**
 * sideband_record_time - is it of a kind that can be an event, and when was it?
 *
 * True for MMAP2, FORK, EXIT, and for the COMM of an exec; @ret_ns is CLOCK_MONOTONIC.
 */
bool sideband_record_time(const struct perf_event_header *record, uint64_t *ret_ns);

/**
 * sideband_record_parse - the event that a record stands for
 * @build_ids: our event asked for build-ids. Without it a record's flag is not believed: the
 * kernel leaves it set when another tool's event asked (see sideband_new())
 * @ret: its path is borrowed from @record; untouched when false
 *
 * False for records that say nothing to us: other kinds, too short ones, a path without an end,
 * a new thread.
 */
bool sideband_record_parse(const struct perf_event_header *record, bool build_ids,
			   struct sideband_event *ret);

/** sideband_record_lost - records that the kernel dropped before this one; 0 for other kinds */
uint64_t sideband_record_lost(const struct perf_event_header *record);

#endif
