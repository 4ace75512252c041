/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbolizer/debug_links.h"

#include <errno.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/section.h"

#define LINK_BYTES_MAX (PATH_MAX + 64) /* a path, and what stands around it */
#define DWARF_5 5

/* The contents of a section that is a link. */
struct link {
	uint8_t bytes[LINK_BYTES_MAX];
	size_t size;
};

/* -ENODATA when there is no section @name. */
static int read_link(struct elf_file *elf, const char *name, struct link *ret)
{
	_cleanup_(section_close) struct section section = {};
	_cleanup_(section_view_close) struct section_view view = {};
	int r = section_open(elf, name, &section);

	if (r < 0)
		return r == -ENOENT ? -ENODATA : r;
	if (section.size > sizeof(ret->bytes))
		return -ENOEXEC;
	r = section_read(&section, 0, (size_t)section.size, &view);
	if (r < 0)
		return r;
	memcpy(ret->bytes, view.bytes, view.size);
	ret->size = view.size;
	return 0;
}

/* Names a file and no folder: nothing that leads away from where it is looked for. */
static bool is_file_name(const char *name, size_t len)
{
	return len && len <= NAME_MAX && !memchr(name, '/', len) && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

int debug_link_read(struct elf_file *elf, struct debug_link *ret)
{
	struct link link;
	size_t len, crc_at;
	int r;

	ret->name[0] = '\0';
	r = read_link(elf, ".gnu_debuglink", &link);
	if (r < 0)
		return r;
	len = strnlen((const char *)link.bytes, link.size);
	crc_at = (len + 1 + 3) & ~(size_t)3; /* the name and its NUL are padded to 4 bytes */
	if (len == link.size || crc_at + sizeof(ret->crc) > link.size ||
	    !is_file_name((const char *)link.bytes, len))
		return -ENOEXEC;
	memcpy(&ret->crc, link.bytes + crc_at, sizeof(ret->crc));
	memcpy(ret->name, link.bytes, len + 1);
	return 0;
}

/* Path, NUL, build-id up to the end. */
static int parse_altlink(const struct link *link, struct debug_sup_link *ret)
{
	size_t len = strnlen((const char *)link->bytes, link->size), id_len;

	if (!len || len == link->size || len >= sizeof(ret->path))
		return -ENOEXEC;
	id_len = link->size - len - 1;
	if (!id_len || id_len > ELF_BUILD_ID_MAX)
		return -ENOEXEC;
	*ret = (struct debug_sup_link){ .id.len = (uint8_t)id_len };
	memcpy(ret->path, link->bytes, len + 1);
	memcpy(ret->id.bytes, link->bytes + len + 1, id_len);
	return 0;
}

/* uint16 version, uint8 is_supplementary, path, NUL, ULEB128 length of the checksum, checksum. */
static int parse_debug_sup(const struct link *link, bool is_supplementary,
			   struct debug_sup_link *ret)
{
	const uint8_t *bytes = link->bytes;
	size_t len, id_at;

	if (link->size < 3 || bytes[0] != DWARF_5 || bytes[1] != 0)
		return -ENOEXEC;
	if (bytes[2] != is_supplementary)
		return -ENODATA;
	len = strnlen((const char *)bytes + 3, link->size - 3);
	id_at = 3 + len + 1;
	if (len >= sizeof(ret->path) || id_at >= link->size || (!len && !is_supplementary))
		return -ENOEXEC;
	/* A length below 128 is one byte; we keep none that is longer. */
	if (!bytes[id_at] || bytes[id_at] > ELF_BUILD_ID_MAX ||
	    bytes[id_at] > link->size - id_at - 1)
		return -ENOEXEC;
	*ret = (struct debug_sup_link){ .id.len = bytes[id_at], .is_dwarf5 = true };
	memcpy(ret->path, bytes + 3, len + 1);
	memcpy(ret->id.bytes, bytes + id_at + 1, bytes[id_at]);
	return 0;
}

int debug_sup_link_read(struct elf_file *elf, struct debug_sup_link *ret)
{
	struct link link;
	int r = read_link(elf, ".gnu_debugaltlink", &link);

	if (r == 0)
		return parse_altlink(&link, ret);
	if (r != -ENODATA)
		return r;
	r = read_link(elf, ".debug_sup", &link);
	return r < 0 ? r : parse_debug_sup(&link, false, ret);
}

int debug_sup_checksum(struct elf_file *elf, struct elf_build_id *ret)
{
	struct debug_sup_link sup;
	struct link link;
	int r = read_link(elf, ".debug_sup", &link);

	if (r < 0)
		return r;
	r = parse_debug_sup(&link, true, &sup);
	if (r == 0)
		*ret = sup.id;
	return r;
}
