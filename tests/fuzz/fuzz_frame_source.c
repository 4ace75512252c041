/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as an ELF file, in memory and behind a descriptor: the same unwind table, a sound one. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbolizer/elf.h"
#include "symbolizer/frame_source.h"
#include "symbolizer/frame_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct built {
	int ret;
	void *bytes;
	size_t size;
	struct frame_census census;
};

static void build(struct elf_file *elf, struct built *built)
{
	struct frame_table table;

	built->ret = frame_source_build(elf, &built->bytes, &built->size, &built->census);
	if (built->ret == -ENODATA || built->ret == -EFBIG)
		return;
	if (built->ret || frame_table_of_bytes(built->bytes, built->size, &table))
		abort();
	if (table.row_cnt != built->census.rows || table.rule_cnt != built->census.rules ||
	    table.page_cnt != built->census.pages)
		abort();
	frame_table_find(&table, elf_file_entry(elf));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct built left = {}, right = {};
	int ret, fd = memfd_create("frames", MFD_CLOEXEC);
	struct elf_file *memory, *file;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	ret = elf_file_open_memory((void *)(uintptr_t)data, size, &memory, NULL);
	if (ret != elf_file_open(fd, &file, NULL))
		abort();
	if (!ret) {
		build(memory, &left);
		build(file, &right);
		if (left.ret != right.ret || left.size != right.size ||
		    (left.size && memcmp(left.bytes, right.bytes, left.size) != 0))
			abort();
		elf_file_close(memory);
		elf_file_close(file);
		free(left.bytes);
		free(right.bytes);
	}
	close(fd);
	return 0;
}
