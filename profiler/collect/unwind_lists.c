/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mappings of processes: lists in `unwind_mappings`, to which `unwind_processes` points.
 *
 * The kernel copies such a pointer at each fork, before we can count it.  So a list that is given
 * up is marked so in its mappings: `list`, a serial number, becomes 0, and a pointer that we did
 * not know of leads nowhere instead of to what others have there next.  Looking for such pointers
 * before room is reused would cost a walk over all processes and still miss a fork under way.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "profiler/collect/unwind_maps_private.h"

struct unwind_list {
	uint32_t refs;
	uint32_t first, cnt;
	uint32_t serial;
	uint32_t files[]; /* [cnt] */
};

static int check_mappings(const struct unwind_maps *unwind, const struct unwind_mapping *mappings,
			  size_t cnt)
{
	uint64_t end = 0;
	size_t i;

	for (i = 0; i < cnt; i++) {
		if (mappings[i].start < end || mappings[i].start >= mappings[i].end)
			return -EINVAL;
		if (mappings[i].end > 1ull << 63) /* the kernel's search compares by a difference */
			return -EINVAL;
		if (mappings[i].file != UNWIND_FILE_NONE &&
		    !unwind_maps_has_file(unwind, mappings[i].file))
			return -EINVAL;
		end = mappings[i].end;
	}
	return 0;
}

static int take_room(struct unwind_maps *unwind, uint32_t cnt, uint32_t *ret_first,
		     struct unwind_mapping **ret)
{
	struct unwind_extent room = {};
	int err;

	if (!cnt) {
		*ret_first = 0;
		return 0;
	}
	if (!unwind_space_fit(&unwind->mapping_space, cnt, &room))
		return -ENOSPC;
	err = unwind_array_touch(&unwind->mappings, room.first, cnt, ret);
	if (!err)
		err = unwind_space_take(&unwind->mapping_space, room.first, cnt);
	if (!err)
		*ret_first = room.first;
	return err;
}

/* Who reads the old mapping's number reads all of the old mapping: so the number goes first. */
static void write_mapping(const struct unwind_maps *unwind, struct unwind_mapping *to,
			  const struct unwind_mapping *from, uint32_t serial)
{
	__atomic_store_n(&to->list, serial, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	to->start = from->start;
	to->end = from->end;
	to->bias = from->bias;
	to->file = from->file == UNWIND_FILE_NONE ? from->file :
						    unwind_maps_file_name(unwind, from->file);
}

int unwind_maps_add_list(struct unwind_maps *unwind, const struct unwind_mapping *mappings,
			 size_t cnt, struct unwind_list **ret)
{
	struct unwind_mapping *to = NULL;
	struct unwind_list *list;
	uint32_t i;
	int err;

	if (cnt > UNWIND_MAPPINGS_MAX)
		return -ENOSPC;
	err = check_mappings(unwind, mappings, cnt);
	if (err)
		return err;
	list = malloc(sizeof(*list) + cnt * sizeof(*list->files));
	if (!list)
		return -ENOMEM;
	err = take_room(unwind, (uint32_t)cnt, &list->first, &to);
	if (err) {
		free(list);
		return err;
	}
	if (++unwind->list_serial == 0)
		unwind->list_serial = 1;
	list->refs = 1;
	list->cnt = (uint32_t)cnt;
	list->serial = unwind->list_serial;
	for (i = 0; i < cnt; i++) {
		write_mapping(unwind, &to[i], &mappings[i], list->serial);
		list->files[i] = mappings[i].file;
		if (mappings[i].file != UNWIND_FILE_NONE)
			unwind_maps_ref_file(unwind, mappings[i].file);
	}
	unwind->list_cnt++;
	unwind->mapping_cnt += cnt;
	*ret = list;
	return 0;
}

void unwind_maps_ref_list(struct unwind_list *list)
{
	list->refs++;
}

void unwind_maps_put_list(struct unwind_maps *unwind, struct unwind_list *list)
{
	uint32_t i;

	if (!list || --list->refs)
		return;
	for (i = 0; i < list->cnt; i++) {
		struct unwind_mapping *at = unwind_array_at(&unwind->mappings, list->first + i);

		__atomic_store_n(&at->list, 0, __ATOMIC_RELEASE);
	}
	for (i = 0; i < list->cnt; i++)
		if (list->files[i] != UNWIND_FILE_NONE)
			unwind_maps_put_file(unwind, list->files[i]);
	if (list->cnt)
		unwind_space_defer(&unwind->mapping_space, list->first, list->cnt);
	unwind->list_cnt--;
	unwind->mapping_cnt -= list->cnt;
	free(list);
}

int unwind_maps_publish(struct unwind_maps *unwind, pid_t tgid, uint64_t start_boottime_ns,
			uint32_t exec_id, uint64_t mapped_ns, const struct unwind_list *list)
{
	struct unwind_process process = {
		.start_boottime_ns = start_boottime_ns,
		.mapped_ns = mapped_ns,
		.exec_id = exec_id,
	};
	uint32_t key = (uint32_t)tgid;
	int err;

	if (list) {
		process.mapping_cnt = list->cnt;
		process.first_mapping = list->first;
		process.list = list->serial;
	}
	__atomic_thread_fence(__ATOMIC_RELEASE);
	err = bpf_map_update_elem(unwind->processes_fd, &key, &process, BPF_ANY);
	return err == -E2BIG ? -ENOSPC : err;
}

bool unwind_maps_has_deferred_mappings(const struct unwind_maps *unwind)
{
	return unwind->mapping_space.deferred_units != 0;
}

bool unwind_maps_image(const struct unwind_maps *unwind, pid_t tgid,
		       uint64_t *ret_start_boottime_ns, uint32_t *ret_exec_id)
{
	struct unwind_process process;
	uint32_t key = (uint32_t)tgid;

	if (bpf_map_lookup_elem(unwind->processes_fd, &key, &process) != 0)
		return false;
	*ret_start_boottime_ns = process.start_boottime_ns;
	*ret_exec_id = process.exec_id;
	return true;
}

void unwind_maps_forget(struct unwind_maps *unwind, pid_t tgid)
{
	uint32_t key = (uint32_t)tgid;

	bpf_map_delete_elem(unwind->processes_fd, &key);
}
