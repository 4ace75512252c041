/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Headers of ELF files: identification, segments, build-id, section headers.
 *
 * Bytes are fetched by pread through one function, elf_read(), which knows the file's size; no
 * offset, size or count of the file is used before it was held against that size.  libelf was
 * the alternative: it reads a section whole before one may look at it, and the four sections of
 * names and symbols of node are 17 MB, of librustc 27 MB, more than the tables that we make of
 * them and too much for the whole profiler's budget.  Only little-endian 64-bit files of this
 * machine's kind are read, so that <elf.h>'s structs are the file's layout.
 *
 * Section headers are read only when something needs them (symbols, or a build-id that no
 * PT_NOTE holds): programs run without them.
 *
 * Invariants after elf_file_open(): for each segment offset + filesz and vaddr + memsz do not
 * overflow (but may lie beyond the file: separate debug files are so).
 */
#include "symbolizer/elf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "symbolizer/elf_private.h"

#define NOTES_MAX 4096 /* looked at in one file before we give up */

#if defined(__x86_64__)
#define MACHINE_HERE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE_HERE EM_AARCH64
#else
#error "this machine is neither x86-64 nor AArch64"
#endif

int elf_read(const struct elf_file *elf, void *bytes, size_t len, uint64_t offset)
{
	ssize_t n;

	if (offset > elf->size || len > elf->size - offset)
		return -ENOEXEC;
	if (elf->image) {
		memcpy(bytes, elf->image + offset, len);
		return 0;
	}
	n = pread_full(elf->fd, bytes, len, offset);
	if (n < 0)
		return -EIO;
	return (size_t)n == len ? 0 : -ENOEXEC; /* it became shorter meanwhile */
}

bool elf_clip(const struct elf_file *elf, uint64_t offset, uint64_t *bytes)
{
	uint64_t left = offset < elf->size ? elf->size - offset : 0;

	if (*bytes <= left)
		return true;
	*bytes = left;
	return false;
}

const struct elf_segment *elf_text_segment(const struct elf_file *elf, uint64_t address)
{
	size_t i;

	for (i = 0; i < elf->segment_cnt; i++) {
		const struct elf_segment *segment = &elf->segments[i];

		if (segment->executable && address >= segment->vaddr &&
		    address - segment->vaddr < segment->memsz)
			return segment;
	}
	return NULL;
}

bool elf_offset_of(const struct elf_file *elf, uint64_t address, uint64_t *ret_offset)
{
	size_t i;

	for (i = 0; i < elf->segment_cnt; i++) {
		const struct elf_segment *segment = &elf->segments[i];

		if (address >= segment->vaddr && address - segment->vaddr < segment->filesz) {
			*ret_offset = segment->offset + (address - segment->vaddr);
			return true;
		}
	}
	return false;
}

/* Looks through notes [offset, offset + bytes) (System V gABI, "Note Section"). */
static int find_build_id(struct elf_file *elf, uint64_t offset, uint64_t bytes, uint64_t align)
{
	uint64_t end = offset + bytes, pad = align == 8 ? 7 : 3;
	char name[4];
	int ret;

	for (; elf->note_cnt < NOTES_MAX && end - offset >= sizeof(Elf64_Nhdr); elf->note_cnt++) {
		uint64_t name_bytes, description_bytes, description;
		Elf64_Nhdr note;

		ret = elf_read(elf, &note, sizeof(note), offset);
		if (ret)
			return ret;
		/* The name's padding is to 4 bytes from the note's start, or to 8. */
		name_bytes = sizeof(note) + note.n_namesz;
		name_bytes = (name_bytes + pad) & ~pad;
		description_bytes = ((uint64_t)note.n_descsz + pad) & ~pad;
		description = offset + name_bytes;
		if (name_bytes > end - offset || note.n_descsz > end - description)
			return -ENOEXEC;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(name) &&
		    note.n_descsz && note.n_descsz <= ELF_BUILD_ID_MAX &&
		    !elf_read(elf, name, sizeof(name), offset + sizeof(note)) &&
		    memcmp(name, "GNU", sizeof(name)) == 0) {
			ret = elf_read(elf, elf->build_id.bytes, note.n_descsz, description);
			if (!ret)
				elf->build_id.len = (uint8_t)note.n_descsz;
			return ret;
		}
		if (description_bytes > end - description)
			return 0;
		offset = description + description_bytes;
	}
	return 0;
}

/* Broken sections are as good as none; only memory that is out is an error: -ENOMEM. */
static int find_build_id_in_sections(struct elf_file *elf)
{
	size_t i;
	int ret;

	ret = elf_load_sections(elf);
	if (ret)
		return ret == -ENOMEM ? ret : 0;
	for (i = 0; i < elf->section_cnt && !elf->build_id.len; i++) {
		const Elf64_Shdr *section = &elf->sections[i];
		uint64_t bytes = section->sh_size;

		/* dwz's, in a relocatable file, is not allocated. */
		if (section->sh_type == SHT_NOTE &&
		    ((section->sh_flags & SHF_ALLOC) || elf->header.e_type == ET_REL) &&
		    elf_clip(elf, section->sh_offset, &bytes))
			find_build_id(elf, section->sh_offset, bytes, section->sh_addralign);
	}
	return 0;
}

static int add_segment(struct elf_file *elf, const Elf64_Phdr *header, struct errmsg *err)
{
	if (header->p_offset + header->p_filesz < header->p_offset ||
	    header->p_vaddr + header->p_memsz < header->p_vaddr)
		return err_say(err, -ENOEXEC, "broken ELF file: a segment wraps around");
	if (elf->segment_cnt == ELF_SEGMENTS_MAX)
		return err_say(err, -EFBIG, "ELF file with more than %d segments",
			       ELF_SEGMENTS_MAX);
	elf->segments[elf->segment_cnt++] = (struct elf_segment){
		.vaddr = header->p_vaddr,
		.memsz = header->p_memsz,
		.offset = header->p_offset,
		.filesz = header->p_filesz,
		.executable = header->p_flags & PF_X,
	};
	return 0;
}

static int read_program_headers(struct elf_file *elf, struct errmsg *err)
{
	size_t i, cnt = elf->header.e_phnum;
	Elf64_Phdr header;
	int ret;

	if (cnt == PN_XNUM)
		return err_say(err, -EFBIG, "ELF file with too many program headers");
	if (cnt && elf->header.e_phentsize != sizeof(header))
		return err_say(err, -ENOEXEC, "broken ELF file: program headers of %u bytes",
			       elf->header.e_phentsize);
	for (i = 0; i < cnt; i++) {
		uint64_t bytes, offset = elf->header.e_phoff;

		if (offset > elf->size)
			return err_say(err, -ENOEXEC, "ELF file cut short");
		ret = elf_read(elf, &header, sizeof(header), offset + i * sizeof(header));
		if (ret)
			return err_say(err, ret, "ELF file cut short");
		bytes = header.p_filesz;
		if (header.p_type == PT_LOAD) {
			ret = add_segment(elf, &header, err);
			if (ret)
				return ret;
		} else if (header.p_type == PT_DYNAMIC && elf_clip(elf, header.p_offset, &bytes)) {
			elf->dynamic_offset = header.p_offset;
			elf->dynamic_bytes = bytes;
		} else if (header.p_type == PT_GNU_EH_FRAME) {
			elf->frame_header = header.p_vaddr;
			elf->frame_header_bytes = header.p_filesz;
		} else if (header.p_type == PT_INTERP) {
			elf->has_interpreter = true;
		} else if (header.p_type == PT_NOTE && !elf->build_id.len &&
			   elf_clip(elf, header.p_offset, &bytes)) {
			find_build_id(elf, header.p_offset, bytes, header.p_align);
		}
	}
	return 0;
}

static int read_header(struct elf_file *elf, struct errmsg *err)
{
	Elf64_Ehdr *header = &elf->header;
	int ret;

	if (elf->size < EI_NIDENT || elf_read(elf, header->e_ident, EI_NIDENT, 0) ||
	    memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return err_say(err, -ENOEXEC, "not an ELF file");
	if (header->e_ident[EI_CLASS] != ELFCLASS64)
		return err_say(err, -ENOTSUP, "not a 64-bit ELF file");
	if (header->e_ident[EI_DATA] != ELFDATA2LSB)
		return err_say(err, -ENOTSUP, "not a little-endian ELF file");
	ret = elf_read(elf, header, sizeof(*header), 0);
	if (ret)
		return err_say(err, ret, "ELF file cut short");
	if (header->e_machine != MACHINE_HERE)
		return err_say(err, -ENOTSUP, "ELF file for another machine (%u)",
			       header->e_machine);
	/* Relocatable ones too: .dwo, .dwp and dwz's supplementary files are. */
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN && header->e_type != ET_REL)
		return err_say(err, -ENOTSUP, "ELF file of type %u: no program, no library",
			       header->e_type);
	return 0;
}

static int open_headers(struct elf_file *elf, struct errmsg *err)
{
	int ret;

	ret = read_header(elf, err);
	if (ret)
		return ret;
	ret = read_program_headers(elf, err);
	if (ret)
		return ret;
	if (!elf->build_id.len && find_build_id_in_sections(elf))
		return err_set(err, -ENOMEM, "cannot read an ELF file");
	return 0;
}

int elf_load_sections(struct elf_file *elf)
{
	_cleanup_free_ Elf64_Shdr *sections = NULL;
	uint64_t offset = elf->header.e_shoff, cnt = elf->header.e_shnum;
	Elf64_Shdr first;
	int ret;

	if (elf->sections_loaded || !offset)
		return 0;
	if (elf->header.e_shentsize != sizeof(first))
		return -ENOEXEC;
	ret = elf_read(elf, &first, sizeof(first), offset);
	if (ret)
		return ret;
	if (!cnt) /* gABI: a number that does not fit stands in the first section's size */
		cnt = first.sh_size;
	if (cnt > UINT16_MAX)
		return -EFBIG;
	if (cnt > (elf->size - offset) / sizeof(first))
		return -ENOEXEC;
	if (!cnt)
		return 0;
	sections = malloc(cnt * sizeof(*sections));
	if (!sections)
		return -ENOMEM;
	ret = elf_read(elf, sections, cnt * sizeof(*sections), offset);
	if (ret)
		return ret;
	elf->sections = TAKE_PTR(sections);
	elf->section_cnt = cnt;
	elf->sections_loaded = true;
	return 0;
}

static int open_any(int fd, void *image, uint64_t size, struct elf_file **ret, struct errmsg *err)
{
	_cleanup_(elf_file_closep) struct elf_file *elf = calloc(1, sizeof(*elf));
	int code;

	if (!elf)
		return err_set(err, -ENOMEM, "cannot read an ELF file");
	elf->fd = fd;
	elf->image = image;
	elf->size = size;
	code = open_headers(elf, err);
	if (code)
		return code;
	*ret = TAKE_PTR(elf);
	return 0;
}

int elf_file_open(int fd, struct elf_file **ret, struct errmsg *err)
{
	struct stat info;

	if (fstat(fd, &info) < 0)
		return err_set(err, -EIO, "cannot read an ELF file");
	if (!S_ISREG(info.st_mode))
		return err_say(err, -ENOEXEC, "not an ELF file: not a regular file");
	return open_any(fd, NULL, (uint64_t)info.st_size, ret, err);
}

int elf_file_open_memory(void *image, size_t size, struct elf_file **ret, struct errmsg *err)
{
	return open_any(-1, image, size, ret, err);
}

void elf_file_close(struct elf_file *elf)
{
	if (!elf)
		return;
	free(elf->sections);
	free(elf);
}

void elf_file_closep(struct elf_file **elf)
{
	elf_file_close(*elf);
}

int elf_file_fd(const struct elf_file *elf)
{
	return elf->image ? -1 : elf->fd;
}

bool elf_file_is_cut(struct elf_file *elf)
{
	return elf_load_sections(elf) == -ENOEXEC;
}

bool elf_file_is_in_memory(const struct elf_file *elf)
{
	return elf->image;
}

uint64_t elf_file_bytes(const struct elf_file *elf)
{
	return elf->size;
}

uint64_t elf_file_entry(const struct elf_file *elf)
{
	return elf->header.e_entry;
}

bool elf_file_starts(const struct elf_file *elf)
{
	uint64_t i, cnt = MIN(elf->dynamic_bytes / sizeof(Elf64_Dyn), (uint64_t)ELF_DYNAMIC_MAX);
	Elf64_Dyn entry;

	if (!elf->header.e_entry)
		return false;
	if (elf_file_is_fixed(elf) || elf->has_interpreter)
		return true;
	/* What needs no library and no interpreter is a static program or a dynamic loader. */
	for (i = 0; i < cnt; i++) {
		if (elf_read(elf, &entry, sizeof(entry), elf->dynamic_offset + i * sizeof(entry)))
			return false;
		if (entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag == DT_NEEDED)
			return false;
	}
	return true;
}

bool elf_file_frame_header(const struct elf_file *elf, uint64_t *ret_address, uint64_t *ret_bytes)
{
	*ret_address = elf->frame_header;
	*ret_bytes = elf->frame_header_bytes;
	return elf->frame_header_bytes;
}

bool elf_file_is_fixed(const struct elf_file *elf)
{
	return elf->header.e_type == ET_EXEC;
}

const struct elf_build_id *elf_file_build_id(const struct elf_file *elf)
{
	return &elf->build_id;
}

size_t elf_file_segments(const struct elf_file *elf, const struct elf_segment **ret)
{
	*ret = elf->segments;
	return elf->segment_cnt;
}

/* Whether @segment holds the byte at @offset, its bounds rounded outwards to @page bytes. */
static bool segment_covers(const struct elf_segment *segment, uint64_t offset, uint64_t page)
{
	uint64_t start = segment->offset & ~(page - 1);

	if (!segment->filesz)
		return false;
	return offset >= start && offset <= ((segment->offset + segment->filesz - 1) | (page - 1));
}

bool elf_file_address(const struct elf_file *elf, uint64_t offset, uint64_t *ret_address)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const struct {
		bool executable;
		uint64_t page;
	} rounds[] = { { true, 1 }, { true, page }, { false, 1 } };
	size_t i, k;

	for (k = 0; k < ARRAY_SIZE(rounds); k++) {
		for (i = 0; i < elf->segment_cnt; i++) {
			const struct elf_segment *segment = &elf->segments[i];

			if ((rounds[k].executable && !segment->executable) ||
			    !segment_covers(segment, offset, rounds[k].page))
				continue;
			*ret_address = segment->vaddr + (offset - segment->offset);
			return true;
		}
	}
	return false;
}

void elf_build_id_hex(const struct elf_build_id *id, char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < id->len; i++) {
		*text++ = digits[id->bytes[i] >> 4];
		*text++ = digits[id->bytes[i] & 15];
	}
	*text = '\0';
}
