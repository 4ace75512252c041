/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/sideband_record.h"

#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/perf_event.h"
#include "profiler/collect/sideband.h"

/* Bodies of the records: perf_event_open(2). Each ends in a struct perf_sample_id. */
struct record_mmap2 {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t address, length, offset;
	union {
		struct {
			uint32_t major, minor;
			uint64_t inode, inode_generation;
		};
		struct {
			uint8_t build_id_len, reserved1;
			uint16_t reserved2;
			uint8_t build_id[20];
		};
	};
	uint32_t prot, flags;
	char path[];
};

struct record_task { /* FORK, EXIT */
	struct perf_event_header header;
	uint32_t pid, ppid, tid, ptid;
	uint64_t time;
};

struct record_comm {
	struct perf_event_header header;
	uint32_t pid, tid;
};

struct record_lost {
	struct perf_event_header header;
	uint64_t id, lost;
};

bool sideband_record_time(const struct perf_event_header *record, uint64_t *ret_ns)
{
	struct perf_sample_id id;

	switch (record->type) {
	case PERF_RECORD_MMAP2:
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		break;
	case PERF_RECORD_COMM:
		if (record->misc & PERF_RECORD_MISC_COMM_EXEC)
			break;
		return false;
	default:
		return false;
	}
	if (record->size < sizeof(*record) + sizeof(id))
		return false;
	memcpy(&id, (const char *)record + record->size - sizeof(id), sizeof(id));
	*ret_ns = id.time_ns;
	return true;
}

static bool parse_mmap(const struct perf_event_header *header, bool build_ids,
		       struct sideband_event *event)
{
	const struct record_mmap2 *record = (const void *)header;
	size_t room = header->size - sizeof(struct perf_sample_id);

	if (room <= sizeof(*record) || !memchr(record->path, '\0', room - sizeof(*record)))
		return false;
	event->kind = SIDEBAND_MMAP;
	event->tgid = (pid_t)record->pid;
	event->tid = (pid_t)record->tid;
	event->start = record->address;
	event->length = record->length;
	event->offset = record->offset;
	event->path = record->path;
	if (build_ids && (header->misc & PERF_RECORD_MISC_MMAP_BUILD_ID)) {
		event->build_id_len = MIN(record->build_id_len, (uint8_t)sizeof(event->build_id));
		memcpy(event->build_id, record->build_id, event->build_id_len);
	} else {
		event->major = record->major;
		event->minor = record->minor;
		event->inode = record->inode;
	}
	return true;
}

static bool parse_task(const struct perf_event_header *header, struct sideband_event *event)
{
	const struct record_task *record = (const void *)header;

	if (header->size < sizeof(*record) + sizeof(struct perf_sample_id))
		return false;
	if (header->type == PERF_RECORD_FORK && record->pid == record->ppid)
		return false; /* a thread */
	event->kind = header->type == PERF_RECORD_FORK ? SIDEBAND_FORK : SIDEBAND_EXIT;
	event->tgid = (pid_t)record->pid;
	event->tid = (pid_t)record->tid;
	event->parent_tgid = (pid_t)record->ppid;
	return true;
}

static bool parse_exec(const struct perf_event_header *header, struct sideband_event *event)
{
	const struct record_comm *record = (const void *)header;

	if (header->size < sizeof(*record) + sizeof(struct perf_sample_id))
		return false;
	event->kind = SIDEBAND_EXEC;
	event->tgid = (pid_t)record->pid;
	event->tid = (pid_t)record->tid;
	return true;
}

bool sideband_record_parse(const struct perf_event_header *record, bool build_ids,
			   struct sideband_event *ret)
{
	struct sideband_event event = {};
	bool good;

	if (!sideband_record_time(record, &event.time_ns))
		return false;
	switch (record->type) {
	case PERF_RECORD_MMAP2:
		good = parse_mmap(record, build_ids, &event);
		break;
	case PERF_RECORD_COMM:
		good = parse_exec(record, &event);
		break;
	default:
		good = parse_task(record, &event);
		break;
	}
	if (good)
		*ret = event;
	return good;
}

uint64_t sideband_record_lost(const struct perf_event_header *record)
{
	const struct record_lost *lost = (const void *)record;

	return record->type == PERF_RECORD_LOST && record->size >= sizeof(*lost) ? lost->lost : 0;
}
