/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as the running kernel's notes, and as the vmlinux that is held against its text.
 * The seeds: the notes of a kernel, and `ld -r` of an object with the labels _stext and _etext.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbolizer/elf.h"
#include "symbolizer/kernel_debug.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEXT 0xffffffff81000000ull
#define PAGE 4096

static void read_notes(const uint8_t *data, size_t size)
{
	struct elf_build_id id = { .len = 0 };
	int fd = memfd_create("notes", MFD_CLOEXEC), ret;
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = kernel_build_id(path, &id);
	if ((ret == 0) != (id.len > 0) || id.len > ELF_BUILD_ID_MAX)
		abort();
	if (ret == 0 && !memmem(data, size, id.bytes, id.len))
		abort();
	close(fd);
}

/* The text is as long as the file says, or of a length that is not known. */
static void read_vmlinux(uint8_t *bytes, size_t size)
{
	uint64_t shift = 1, again = 1;
	struct elf_file *elf;

	if (elf_file_open_memory(bytes, size, &elf, NULL))
		return;
	if (kernel_debug_shift(elf, STEXT, 0, &shift) == 0) {
		if (shift % PAGE)
			abort();
		/* What is moved on moves on with it. */
		if (kernel_debug_shift(elf, STEXT + PAGE, 0, &again) || again != shift + PAGE)
			abort();
		if (kernel_debug_shift(elf, STEXT + 1, 0, &again) == 0)
			abort();
	} else if (kernel_debug_shift(elf, STEXT, STEXT + 2 * PAGE, &shift) == 0) {
		abort();
	}
	elf_file_close(elf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	read_notes(copy, size);
	read_vmlinux(copy, size);
	free(copy);
	return 0;
}
