/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as each of the sections that name a separate debug file. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbolizer/debug_links.h"
#include "symbolizer/elf.h"
#include "tests/fuzz/section_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_id(const struct elf_build_id *id)
{
	if (!id->len || id->len > ELF_BUILD_ID_MAX)
		abort();
}

static void read_links(struct elf_file *elf)
{
	struct debug_link link;
	struct debug_sup_link sup;
	struct elf_build_id id;

	if (debug_link_read(elf, &link)) {
		if (link.name[0])
			abort();
	} else if (!link.name[0] || strchr(link.name, '/') || strcmp(link.name, "..") == 0) {
		abort();
	}
	if (!debug_sup_link_read(elf, &sup)) {
		check_id(&sup.id);
		if (!sup.path[0] || strlen(sup.path) >= sizeof(sup.path))
			abort();
	}
	if (!debug_sup_checksum(elf, &id))
		check_id(&id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { ".gnu_debuglink", ".gnu_debugaltlink", ".debug_sup" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct section_image *image;
		struct elf_file *elf = open_section_image(names[i], data, size, &image);

		read_links(elf);
		elf_file_close(elf);
		free(image);
	}
	return 0;
}
