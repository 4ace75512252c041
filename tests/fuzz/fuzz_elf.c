/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as an ELF file, in memory and behind a descriptor: both must say the same; as stubs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "profiler/base/err.h"
#include "symbolizer/elf.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/symtab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const struct elf_file *elf, const struct symtab *table)
{
	const struct elf_segment *segments;
	size_t i, cnt = elf_file_segments(elf, &segments);
	char hex[2 * ELF_BUILD_ID_MAX + 1];
	uint64_t address, at;
	struct symbol symbol;

	elf_build_id_hex(elf_file_build_id(elf), hex);
	elf_file_address(elf, UINT64_MAX, &address);
	for (i = 0; i < cnt; i++) {
		elf_file_address(elf, segments[i].offset, &address);
		for (at = 0; at < 4096; at += 61) {
			if (!symtab_find(table, segments[i].vaddr + at, &symbol))
				continue;
			if (segments[i].vaddr + at - symbol.address >= symbol.size ||
			    strlen(symbol.name) > ELF_NAME_MAX + 4)
				abort();
		}
	}
	symtab_find(table, elf_file_entry(elf), &symbol);
	symtab_find(table, UINT64_MAX, &symbol);
}

/* The file as its own debug file, and the table as bytes: the same answers. */
static void look_up_again(struct elf_file *elf, const struct symtab *table)
{
	struct elf_file *files[] = { elf, elf };
	struct iovec parts[SYMTAB_PARTS];
	struct symtab *other;
	size_t size = 0;
	char *bytes, *at;
	int i;

	if (symtab_load(files, 2, &other))
		abort();
	if (symtab_cnt(other) < symtab_cnt(table) && !symtab_dropped(other))
		abort();
	look_up(elf, other);
	symtab_parts(other, parts);
	for (i = 0; i < SYMTAB_PARTS; i++)
		size += parts[i].iov_len;
	bytes = at = malloc(size);
	if (!bytes)
		abort();
	for (i = 0; i < SYMTAB_PARTS; i++) {
		memcpy(at, parts[i].iov_base, parts[i].iov_len);
		at += parts[i].iov_len;
	}
	symtab_free(other);
	if (symtab_from_bytes(bytes, size, files, 2, &other))
		abort();
	look_up(elf, other);
	symtab_free(other);
	free(bytes);
}

/* Number of symbols, or the error of opening. */
static long exercise(int fd, const uint8_t *data, size_t size)
{
	struct errmsg err;
	struct elf_file *elf;
	struct symtab *table;
	long ret;

	ret = fd < 0 ? elf_file_open_memory((void *)(uintptr_t)data, size, &elf, &err) :
		       elf_file_open(fd, &elf, &err);
	if (ret)
		return ret;
	if (symtab_load(&elf, 1, &table))
		abort();
	look_up(elf, table);
	look_up_again(elf, table);
	ret = (long)symtab_cnt(table);
	symtab_free(table);
	elf_file_close(elf);
	return ret;
}

/* The stubs of both machines: each step goes on, and no further than a stub is long. */
static void decode(const uint8_t *code, size_t len)
{
	static size_t (*const decoders[])(const uint8_t *, size_t, uint64_t, uint64_t *) = {
		elf_plt_decode_x86_64,
		elf_plt_decode_aarch64,
	};
	size_t i, at, step;
	uint64_t slot;

	for (i = 0; i < sizeof(decoders) / sizeof(decoders[0]); i++) {
		for (at = 0; at < len; at += step) {
			step = decoders[i](code + at, len - at, at, &slot);
			if (!step || step > 20)
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	if (exercise(-1, data, size) != exercise(fd, NULL, 0))
		abort();
	decode(data, size);
	close(fd);
	return 0;
}
