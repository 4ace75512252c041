/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/task_record.h"

#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/perf_event.h"

struct record_fork { /* FORK, EXIT */
	struct perf_event_header header;
	uint32_t pid, ppid, tid, ptid;
	uint64_t time;
};

struct record_comm {
	struct perf_event_header header;
	uint32_t pid, tid;
	char comm[];
};

struct record_sample {
	struct perf_event_header header;
	struct perf_sample_id id;
	uint64_t ip_cnt;
	uint64_t ips[];
};

static void read_time(const struct perf_event_header *record, struct task_record *task)
{
	struct perf_sample_id id;

	memcpy(&id, (const char *)record + record->size - sizeof(id), sizeof(id));
	task->time_ns = id.time_ns;
}

static bool parse_fork(const struct perf_event_header *header, struct task_record *task)
{
	const struct record_fork *record = (const void *)header;

	if (header->size < sizeof(*record) + sizeof(struct perf_sample_id))
		return false;
	task->kind = header->type == PERF_RECORD_FORK ? TASK_FORKED : TASK_EXITED;
	task->pid = record->pid;
	task->tid = record->tid;
	task->parent_pid = record->ppid;
	task->parent_tid = record->ptid;
	return true;
}

static bool parse_comm(const struct perf_event_header *header, struct task_record *task)
{
	const struct record_comm *record = (const void *)header;
	size_t room;

	if (header->size < sizeof(*record) + sizeof(struct perf_sample_id))
		return false;
	task->kind = header->misc & PERF_RECORD_MISC_COMM_EXEC ? TASK_EXECED : TASK_RENAMED;
	task->pid = record->pid;
	task->tid = record->tid;
	room = header->size - sizeof(*record) - sizeof(struct perf_sample_id);
	memcpy(task->comm, record->comm, strnlen(record->comm, MIN(room, sizeof(task->comm) - 1)));
	return true;
}

bool task_record_parse(const struct perf_event_header *record, struct task_record *ret)
{
	struct task_record task = {};
	bool good = false;

	switch (record->type) {
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		good = parse_fork(record, &task);
		break;
	case PERF_RECORD_COMM:
		good = parse_comm(record, &task);
		break;
	default:
		break;
	}
	if (!good)
		return false;
	read_time(record, &task);
	*ret = task;
	return true;
}

/* A marker of the call chain: what follows is of another kind. */
static bool is_context(uint64_t ip)
{
	return ip >= (uint64_t)PERF_CONTEXT_MAX;
}

bool ring_sample_parse(const struct perf_event_header *header, struct ring_sample *ret)
{
	const struct record_sample *record = (const void *)header;
	struct ring_sample sample = {};
	size_t i, cnt;

	if (header->type != PERF_RECORD_SAMPLE || header->size < sizeof(*record) ||
	    record->ip_cnt > (header->size - sizeof(*record)) / sizeof(uint64_t))
		return false;
	sample.pid = record->id.pid;
	sample.tid = record->id.tid;
	sample.time_ns = record->id.time_ns;
	sample.root_id = record->id.id;
	cnt = (size_t)record->ip_cnt;
	for (i = 0; i < cnt;) {
		uint64_t context = record->ips[i];
		size_t first = is_context(context) ? i + 1 : i, end = first;

		while (end < cnt && !is_context(record->ips[end]))
			end++;
		/* A context comes once; addresses before the first, and of guests, tell nothing. */
		if (context == (uint64_t)PERF_CONTEXT_KERNEL && !sample.kernel) {
			sample.kernel = &record->ips[first];
			sample.kernel_cnt = end - first;
		} else if (context == (uint64_t)PERF_CONTEXT_USER && !sample.user) {
			sample.user = &record->ips[first];
			sample.user_cnt = end - first;
		}
		i = end;
	}
	*ret = sample;
	return true;
}
