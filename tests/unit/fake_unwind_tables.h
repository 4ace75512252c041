/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of fake_unwind_maps.h, which includes this, for files and their tables. */
#ifndef EBPFPROF_TESTS_FAKE_UNWIND_TABLES_H
#define EBPFPROF_TESTS_FAKE_UNWIND_TABLES_H

int unwind_maps_add_file(struct unwind_maps *unwind, uint32_t *ret_file)
{
	uint32_t i;

	(void)unwind;
	for (i = 0; i < fake_maps.file_room; i++) {
		if (fake_maps.files[i].refs)
			continue;
		fake_maps.files[i] = (struct fake_file){ .refs = 1 };
		*ret_file = i;
		return 0;
	}
	return -ENOSPC;
}

void unwind_maps_unload(struct unwind_maps *unwind, uint32_t file)
{
	struct fake_file *at = &fake_maps.files[file];

	(void)unwind;
	if (at->state != UNWIND_FILE_READY)
		return;
	at->state = UNWIND_FILE_ABSENT;
	fake_maps.deferred_bytes += at->bytes;
	at->bytes = 0;
}

void unwind_maps_ref_file(struct unwind_maps *unwind, uint32_t file)
{
	(void)unwind;
	fake_maps.files[file].refs++;
}

void unwind_maps_put_file(struct unwind_maps *unwind, uint32_t file)
{
	assert_true(fake_maps.files[file].refs > 0);
	if (fake_maps.files[file].refs == 1)
		unwind_maps_unload(unwind, file);
	fake_maps.files[file].refs--;
}

int unwind_maps_load(struct unwind_maps *unwind, uint32_t file,
		     const struct unwind_table_view *table)
{
	uint32_t bytes = table->row_cnt * sizeof(struct unwind_row);
	struct fake_file *at = &fake_maps.files[file];

	(void)unwind;
	fake_maps.loads++;
	if (at->state == UNWIND_FILE_READY)
		return -EALREADY;
	if (fake_maps.bytes + bytes > fake_maps.bytes_max)
		return -ENOSPC;
	fake_maps.bytes += bytes;
	at->bytes = bytes;
	at->state = UNWIND_FILE_READY;
	at->used = fake_maps.clock;
	return 0;
}

void unwind_maps_set_state(struct unwind_maps *unwind, uint32_t file, enum unwind_file_state state)
{
	(void)unwind;
	assert_true(fake_maps.files[file].refs > 0);
	assert_int_not_equal(fake_maps.files[file].state, UNWIND_FILE_READY);
	fake_maps.files[file].state = state;
}

uint32_t unwind_maps_used(const struct unwind_maps *unwind, uint32_t file)
{
	(void)unwind;
	return fake_maps.files[file].used;
}

uint64_t unwind_maps_file_bytes(const struct unwind_maps *unwind, uint32_t file)
{
	(void)unwind;
	return fake_maps.files[file].bytes;
}
#endif
