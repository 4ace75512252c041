/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as an ELF file with packed sections: in memory and from a file they are the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "profiler/base/strbuf.h"
#include "symbolizer/elf.h"
#include "symbolizer/section.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { ".debug_info", ".debug_line", ".debug_str", ".text" };

/* The same part of both sections. */
static void compare_reads(struct section *memory, struct section *file, uint64_t offset,
			  size_t size)
{
	struct section_view left, right;
	int ret = section_read_up_to(memory, offset, size, &left);

	if (ret != section_read_up_to(file, offset, size, &right))
		abort();
	if (ret)
		return;
	if (left.size != right.size || memcmp(left.bytes, right.bytes, left.size) != 0)
		abort();
	section_view_close(&left);
	section_view_close(&right);
}

static void compare_strings(struct section *memory, struct section *file, uint64_t offset)
{
	struct strbuf left = STRBUF_INIT, right = STRBUF_INIT;
	int ret = section_read_string(memory, offset, 1000, &left);

	if (ret != section_read_string(file, offset, 1000, &right))
		abort();
	if (left.len != right.len || (left.len && memcmp(left.text, right.text, left.len) != 0))
		abort();
	if (ret && left.len)
		abort();
	strbuf_free(&left);
	strbuf_free(&right);
}

static void compare_sections(struct elf_file *memory, struct elf_file *file, const char *name)
{
	struct section left, right;
	int ret = section_open_debug(memory, name, &left);

	if (ret != section_open_debug(file, name, &right) || left.size != right.size)
		abort();
	if (ret && left.size)
		abort();
	compare_strings(&left, &right, left.size / 3);
	compare_reads(&left, &right, 0, 100);
	compare_reads(&left, &right, left.size / 2, left.size);
	compare_reads(&left, &right, left.size + 1, 1);
	if (section_load(&left) != section_load(&right))
		abort();
	compare_reads(&left, &right, 0, left.size);
	section_close(&left);
	section_close(&right);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("section", MFD_CLOEXEC);
	struct elf_file *memory, *file;
	size_t i;
	int ret;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	ret = elf_file_open_memory((void *)(uintptr_t)data, size, &memory, NULL);
	if (ret != elf_file_open(fd, &file, NULL))
		abort();
	for (i = 0; !ret && i < sizeof(names) / sizeof(names[0]); i++)
		compare_sections(memory, file, names[i]);
	if (!ret) {
		elf_file_close(memory);
		elf_file_close(file);
	}
	close(fd);
	return 0;
}
