/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/calls.h"

#include <linux/bpf.h>
#include <linux/perf_event.h>

#include "profiler/base/sandbox.h"

const struct sandbox_call collect_calls[] = {
	/* A CPU that comes online gets its events. */
	{ .name = "perf_event_open" },
	SANDBOX_INT("ioctl", 1, PERF_EVENT_IOC_SET_BPF),
	SANDBOX_INT("ioctl", 1, PERF_EVENT_IOC_ENABLE),
	SANDBOX_INT("ioctl", 1, PERF_EVENT_IOC_DISABLE),
	SANDBOX_INT("ioctl", 1, PERF_EVENT_IOC_PERIOD), /* the governor sets another rate */
	SANDBOX_INT("ioctl", 1, PERF_EVENT_IOC_SET_OUTPUT), /* tasks of one CPU share a ring */
	/* Unwind tables are maps that come and go with the programs of the host. */
	SANDBOX_INT("bpf", 0, BPF_MAP_CREATE),
	SANDBOX_INT("bpf", 0, BPF_MAP_LOOKUP_ELEM),
	SANDBOX_INT("bpf", 0, BPF_MAP_UPDATE_ELEM),
	SANDBOX_INT("bpf", 0, BPF_MAP_DELETE_ELEM),
	SANDBOX_INT("bpf", 0, BPF_MAP_GET_NEXT_KEY),
	SANDBOX_INT("bpf", 0, BPF_MAP_UPDATE_BATCH),
	SANDBOX_INT("bpf", 0, BPF_MAP_LOOKUP_AND_DELETE_BATCH),
	SANDBOX_INT("bpf", 0, BPF_OBJ_GET_INFO_BY_FD),
	{},
};
