/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/records.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/collect/sampler.h"
#include "profiler/collect/sideband.h"
#include "profiler/pipeline/session.h"
#include "profiler/pipeline/unwinding.h"
#include "symbolizer/process.h"
#include "symbolizer/symbolizer.h"

#define RING_BYTES (256u << 10)
#define RESCAN_NS NS_PER_SEC

int records_open(struct records *records, const struct session_config *config,
		 struct symbolizer *symbolizer, struct sampler *sampler,
		 struct unwinding *unwinding, struct errmsg *err)
{
	size_t ring = config->sideband_ring_bytes;
	int code;

	*records = (struct records){
		.symbolizer = symbolizer,
		.sampler = sampler,
		.unwinding = unwinding,
	};
	hashmap_init(&records->exited, sizeof(pid_t), 0);
	code = sampler_open_sideband(sampler, ring ? ring : RING_BYTES, &records->sideband, err);
	if (!code)
		code = symbolizer_scan(symbolizer, err);
	if (code)
		return code;
	code = unwinding_scanned(unwinding);
	return code ? err_set(err, code, "cannot remember the host's processes") : 0;
}

void records_close(struct records *records)
{
	sideband_free(records->sideband);
	hashmap_free(&records->exited);
	*records = (struct records){};
}

static int on_mmap(struct records *records, const struct sideband_event *event)
{
	struct mmap_event mapping = {
		.tgid = event->tgid,
		.time_ns = event->time_ns,
		.start = event->start,
		.length = event->length,
		.offset = event->offset,
		.major = event->major,
		.minor = event->minor,
		.inode = event->inode,
		.path = event->path,
	};
	bool replaced = false;
	int err;

	mapping.build_id.len = MIN(event->build_id_len, (uint8_t)sizeof(mapping.build_id.bytes));
	memcpy(mapping.build_id.bytes, event->build_id, mapping.build_id.len);
	err = symbolizer_on_mmap(records->symbolizer, &mapping, &replaced);
	if (!err && replaced)
		sampler_raise_generation(records->sampler, event->tgid);
	if (!err)
		err = unwinding_changed(records->unwinding, event->tgid, PROCESS_MAPPED);
	return err;
}

static int on_sideband(void *context, const struct sideband_event *event)
{
	struct records *records = context;
	int err = 0;

	switch (event->kind) {
	case SIDEBAND_FORK:
		err = symbolizer_on_fork(records->symbolizer, event->tgid, event->parent_tgid,
					 event->time_ns);
		if (!err)
			err = unwinding_changed(records->unwinding, event->tgid, PROCESS_NEW);
		if (!err)
			err = sampler_forked(records->sampler, event->parent_tgid, event->tgid);
		break;
	case SIDEBAND_EXEC:
		records->programs_started = true;
		err = symbolizer_on_exec(records->symbolizer, event->tgid, event->time_ns);
		if (!err)
			err = unwinding_changed(records->unwinding, event->tgid, PROCESS_NEW);
		break;
	case SIDEBAND_MMAP:
		err = on_mmap(records, event);
		break;
	case SIDEBAND_EXIT:
		if (event->tid != event->tgid)
			break;
		if (!hashmap_put(&records->exited, &event->tgid, NULL))
			err = -ENOMEM;
		else
			err = unwinding_changed(records->unwinding, event->tgid, PROCESS_ENDED);
		break;
	}
	/* Too many processes or mappings: the frames of those lack names, which is counted. */
	records->refused += err && err != -ENOMEM;
	return err == -ENOMEM ? err : 0;
}

static int drain_sideband(struct records *records, uint64_t until_ns)
{
	int64_t lost;

	lost = sideband_drain(records->sideband, until_ns, on_sideband, records);
	if (lost < 0)
		return (int)lost;
	records->lost += (uint64_t)lost;
	records->rescan_wanted |= lost > 0;
	/* What lost records said can still be read of the processes that live; not at each tick. */
	if (records->rescan_wanted && monotonic_ns() >= records->next_rescan_ns) {
		records->rescan_wanted = false;
		records->next_rescan_ns = monotonic_ns() + RESCAN_NS;
		symbolizer_scan(records->symbolizer, NULL);
		return unwinding_scanned(records->unwinding);
	}
	return 0;
}

int records_apply(struct records *records)
{
	int err = drain_sideband(records, monotonic_ns());
	uint64_t until_ns;

	if (err)
		return err;
	unwinding_before_records(records->unwinding);
	until_ns = monotonic_ns();
	err = drain_sideband(records, until_ns);
	/* Mappings of which records were lost are not told to the kernel before they were read. */
	if (!err && !records->rescan_wanted)
		err = unwinding_publish(records->unwinding, until_ns);
	else if (!err)
		unwinding_records_lost(records->unwinding);
	return err;
}

void records_forget_exited(struct records *records, uint64_t now_ns)
{
	struct hashmap still;
	size_t cursor = 0;
	bool kept_all = true;
	const void *key;

	hashmap_init(&still, sizeof(pid_t), 0);
	while (hashmap_next(&records->exited, &cursor, &key, NULL)) {
		pid_t tgid = *(const pid_t *)key;

		if (kill(tgid, 0) != 0 && errno == ESRCH) {
			symbolizer_on_exit(records->symbolizer, tgid, now_ns);
			sampler_ended(records->sampler, tgid);
			unwinding_forget(records->unwinding, tgid);
		} else {
			kept_all &= hashmap_put(&still, &tgid, NULL) != NULL;
		}
	}
	if (!kept_all) { /* without memory all are looked at again: those that have gone too */
		hashmap_free(&still);
		return;
	}
	hashmap_free(&records->exited);
	records->exited = still;
}
