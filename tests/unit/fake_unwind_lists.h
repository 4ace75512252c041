/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of fake_unwind_maps.h, which includes this, for processes, their mappings, and upkeep. */
#ifndef EBPFPROF_TESTS_FAKE_UNWIND_LISTS_H
#define EBPFPROF_TESTS_FAKE_UNWIND_LISTS_H

int unwind_maps_add_list(struct unwind_maps *unwind, const struct unwind_mapping *mappings,
			 size_t cnt, struct unwind_list **ret)
{
	struct unwind_list *list = fake_maps.lists;
	size_t i;

	(void)unwind;
	for (i = 0; i < cnt; i++) {
		assert_true(mappings[i].start < mappings[i].end);
		assert_true(i == 0 || mappings[i].start >= mappings[i - 1].end);
		assert_true(mappings[i].end <= 1ull << 63);
	}
	if (fake_maps.mappings + cnt > fake_maps.mappings_max)
		return -ENOSPC;
	while (list->refs)
		assert_true(++list < fake_maps.lists + FAKE_LISTS);
	fake_maps.mappings += cnt;
	*list = (struct unwind_list){ .refs = 1, .cnt = (uint32_t)cnt };
	memcpy(list->first, mappings,
	       MIN(cnt, ARRAY_SIZE(list->first)) * sizeof(list->first[0]));
	*ret = list;
	return 0;
}

void unwind_maps_put_list(struct unwind_maps *unwind, struct unwind_list *list)
{
	size_t i;

	(void)unwind;
	assert_true(list->refs > 0);
	if (--list->refs)
		return;
	for (i = 0; i < FAKE_PIDS; i++)
		fake_maps.stale += fake_maps.processes[i].tgid &&
				   fake_maps.processes[i].list == list;
	fake_maps.deferred_mappings += list->cnt;
}

bool unwind_maps_has_deferred_mappings(const struct unwind_maps *unwind)
{
	(void)unwind;
	return fake_maps.deferred_mappings != 0;
}

int unwind_maps_publish(struct unwind_maps *unwind, pid_t tgid, uint64_t start_boottime_ns,
			uint32_t exec_id, uint64_t mapped_ns, const struct unwind_list *list)
{
	(void)unwind;
	if (fake_maps.publish_error && list)
		return fake_maps.publish_error;
	fake_hook(tgid, start_boottime_ns, exec_id);
	fake_process_at(tgid)->mapped_ns = mapped_ns;
	fake_process_at(tgid)->list = list;
	return 0;
}

bool unwind_maps_image(const struct unwind_maps *unwind, pid_t tgid,
		       uint64_t *ret_start_boottime_ns, uint32_t *ret_exec_id)
{
	const struct fake_process *process = fake_process_at(tgid);

	(void)unwind;
	if (!process)
		return false;
	*ret_start_boottime_ns = process->start_boottime_ns;
	*ret_exec_id = process->exec_id;
	return true;
}

void unwind_maps_forget(struct unwind_maps *unwind, pid_t tgid)
{
	struct fake_process *process = fake_process_at(tgid);

	(void)unwind;
	if (process)
		*process = (struct fake_process){};
}

/* ---- upkeep ---- */

void unwind_maps_settle(struct unwind_maps *unwind)
{
	(void)unwind;
	fake_maps.settles++;
	fake_maps.bytes -= fake_maps.deferred_bytes;
	fake_maps.mappings -= fake_maps.deferred_mappings;
	fake_maps.deferred_bytes = fake_maps.deferred_mappings = 0;
}

uint32_t unwind_maps_tick(struct unwind_maps *unwind)
{
	(void)unwind;
	return ++fake_maps.clock;
}

void unwind_maps_stats(const struct unwind_maps *unwind, struct unwind_maps_stats *ret)
{
	(void)unwind;
	*ret = (struct unwind_maps_stats){ .bytes = fake_maps.bytes,
					   .bytes_max = fake_maps.bytes_max };
}

#endif
