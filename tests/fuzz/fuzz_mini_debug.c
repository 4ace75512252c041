/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a .gnu_debugdata section; what unpacks is read as the ELF file that it should be. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "symbolizer/debug_files.h"
#include "symbolizer/elf.h"
#include "symbolizer/symtab.h"
#include "tests/fuzz/section_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_unpacked(uint8_t *bytes, size_t size)
{
	struct elf_file *elf;
	struct symtab *table;

	if (!size || size > MINI_DEBUG_MAX)
		abort();
	if (elf_file_open_memory(bytes, size, &elf, NULL))
		return;
	if (symtab_load(&elf, 1, &table))
		abort();
	symtab_free(table);
	elf_file_close(elf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct section_image *image;
	struct elf_file *elf = open_section_image(".gnu_debugdata", data, size, &image);
	uint8_t *bytes = NULL;
	size_t bytes_cnt = 0;

	if (mini_debug_load(elf, &bytes, &bytes_cnt) == 0)
		read_unpacked(bytes, bytes_cnt);
	else if (bytes || bytes_cnt)
		abort();
	free(bytes);
	elf_file_close(elf);
	free(image);
	return 0;
}
