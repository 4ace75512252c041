/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as the flat form of a symbol table. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbolizer/elf.h"
#include "symbolizer/symtab.h"

#define HEADER_BYTES 56

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool own_file(struct elf_file **ret)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	return fd >= 0 && elf_file_open(fd, ret, NULL) == 0;
}

static void look_up(const struct symtab *table, uint64_t address)
{
	struct symbol symbol;

	if (!symtab_find(table, address, &symbol))
		return;
	if (address - symbol.address >= symbol.size || !symbol.name[0] ||
	    strlen(symbol.name) > ELF_NAME_MAX + 4)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of exactly this size and aligned, so that a byte read beyond is noticed. */
	uint8_t *bytes = malloc(size ? size : 1);
	struct iovec parts[SYMTAB_PARTS];
	struct elf_file *files[1];
	struct symtab *table;
	size_t file_cnt = 0;
	uint64_t base, i;

	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	/* Names that the table left in its file are looked for in this program. */
	if (own_file(&files[0]))
		file_cnt = 1;
	if (!symtab_from_bytes(bytes, size, files, file_cnt, &table)) {
		symtab_parts(table, parts);
		if (parts[0].iov_len + parts[1].iov_len + parts[2].iov_len + parts[3].iov_len !=
			    size ||
		    memcmp(parts[0].iov_base, bytes, parts[0].iov_len) != 0)
			abort();
		memcpy(&base, bytes + 8, sizeof(base));
		for (i = 0; i < 512; i++)
			look_up(table, base + i * (i < 256 ? 1 : 0x01010101));
		/* Where a row says that it starts. */
		for (i = 0; i < symtab_cnt(table) && i < 512; i++) {
			uint32_t offset;

			memcpy(&offset, bytes + HEADER_BYTES + i * 12, sizeof(offset));
			look_up(table, base + offset);
			look_up(table, base + offset + 1);
		}
		look_up(table, UINT64_MAX);
		symtab_free(table);
	}
	if (file_cnt)
		elf_file_close(files[0]);
	free(bytes);
	return 0;
}
