/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding the kernel's own debug file: by build-id, then in the folders where distributions and
 * kernel builds put it.
 *
 * The kernel publishes its ELF notes, of which one is the build-id; kernels without it, or where
 * sysfs is not there, are known by their release only, and two builds of one release differ.  For
 * those kernel_debug_shift() holds the size of the text against the running kernel's.
 *
 * A vmlinux without DWARF is passed over: /proc/kallsyms names functions already.
 */
#include "symbolizer/kernel_debug.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/debug_root.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/elf_symbols.h"
#include "symbolizer/section.h"

#define NOTES_BYTES_MAX 65536
#define BATCH_SYMBOLS 512 /* read at once */
#define MOVED_BY 4096	  /* what a kernel is moved by is a multiple of it on every machine */

/* ---- build-id --------------------------------------------------------------------------- */

/* The note at the start of @bytes; returns its whole size, or 0 when it is broken. */
static size_t read_note(const uint8_t *bytes, size_t size, struct elf_build_id *id)
{
	size_t name_bytes, description_bytes;
	Elf64_Nhdr note;

	if (size < sizeof(note))
		return 0;
	memcpy(&note, bytes, sizeof(note));
	size -= sizeof(note);
	if (note.n_namesz > size || note.n_descsz > size)
		return 0;
	name_bytes = ((size_t)note.n_namesz + 3) & ~(size_t)3;
	description_bytes = ((size_t)note.n_descsz + 3) & ~(size_t)3;
	if (name_bytes > size || note.n_descsz > size - name_bytes)
		return 0;
	bytes += sizeof(note);
	if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
	    memcmp(bytes, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 && note.n_descsz &&
	    note.n_descsz <= ELF_BUILD_ID_MAX) {
		id->len = (uint8_t)note.n_descsz;
		memcpy(id->bytes, bytes + name_bytes, note.n_descsz);
	}
	/* The last note's padding may be missing. */
	return sizeof(note) + MIN(name_bytes + description_bytes, size);
}

int kernel_build_id(const char *notes_path, struct elf_build_id *ret)
{
	_cleanup_(strbuf_free) struct strbuf notes = STRBUF_INIT;
	struct elf_build_id id = {};
	size_t offset = 0, len;
	int r = read_path(notes_path, NOTES_BYTES_MAX, &notes);

	if (r < 0)
		return r;
	while (offset < notes.len && !id.len) {
		len = read_note((const uint8_t *)notes.text + offset, notes.len - offset, &id);
		if (!len)
			return -ENOEXEC;
		offset += len;
	}
	if (!id.len)
		return -ENODATA;
	*ret = id;
	return 0;
}

/* ---- the file --------------------------------------------------------------------------- */

struct kernel_finder {
	struct debug_root root, folder;
	struct elf_build_id id; /* of the running kernel; len 0: not known */
	struct utsname name;
	const char *release;
	int error; /* 0 = found; else the most telling so far */
	struct debug_file *ret;
};

static int check(const struct kernel_finder *finder, int fd, bool needs_id)
{
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	_cleanup_(section_close) struct section section = {};
	const struct elf_build_id *id;
	int r = elf_file_open(fd, &elf, NULL);

	if (r < 0)
		return r;
	id = elf_file_build_id(elf);
	if (finder->id.len && id->len &&
	    (finder->id.len != id->len || memcmp(finder->id.bytes, id->bytes, id->len) != 0))
		return -ESTALE;
	if (needs_id && (!finder->id.len || !id->len))
		return -ENOENT;
	return section_open_debug(elf, ".debug_info", &section);
}

/*
 * Whether the search is over: found, or no memory.  @needs_id: the name says nothing of which
 * kernel it is.
 */
__attribute__((format(printf, 4, 5))) static bool look(struct kernel_finder *finder,
						       const struct debug_root *root, bool needs_id,
						       const char *fmt, ...)
{
	_cleanup_(debug_file_close) struct debug_file file = { .fd = -1 };
	char path[PATH_MAX];
	va_list args;
	int len, r;

	va_start(args, fmt);
	len = vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	if (len < 0 || len >= (int)sizeof(path))
		return false;
	r = debug_root_open_file(root, path, &file);
	if (r == 0)
		r = check(finder, file.fd, needs_id);
	if (r == 0)
		*finder->ret =
			(struct debug_file){ .fd = fd_take(&file.fd), .path = TAKE_PTR(file.path) };
	if (r == 0 || r == -ENOMEM || r == -ESTALE)
		finder->error = r;
	return r == 0 || r == -ENOMEM;
}

static bool look_by_id(struct kernel_finder *finder, const struct debug_root *root,
		       const char *prefix)
{
	char hex[2 * ELF_BUILD_ID_MAX + 1];

	if (finder->id.len < 2)
		return false;
	elf_build_id_hex(&finder->id, hex);
	return look(finder, root, true, "%s/.build-id/%.2s/%s.debug", prefix, hex, hex + 2);
}

static bool look_in_folder(struct kernel_finder *finder)
{
	const char *release = finder->release;
	const struct debug_root *folder = &finder->folder;

	return look_by_id(finder, folder, "") ||
	       look(finder, folder, false, "boot/vmlinux-%s", release) ||
	       look(finder, folder, false, "lib/modules/%s/vmlinux", release) ||
	       look(finder, folder, false, "vmlinux-%s", release) ||
	       look(finder, folder, true, "vmlinux");
}

static void look_in_root(struct kernel_finder *finder)
{
	static const char *const formats[] = {
		"/usr/lib/debug/boot/vmlinux-%s",
		"/usr/lib/debug/boot/vmlinux-%s.debug",
		"/usr/lib/debug/lib/modules/%s/vmlinux",
		"/usr/lib/debug/lib/modules/%s/vmlinux.debug",
		"/usr/lib/debug/usr/lib/modules/%s/vmlinux.debug",
		"/boot/vmlinux-%s",
		"/lib/modules/%s/vmlinux",
		"/lib/modules/%s/build/vmlinux",
	};
	char path[PATH_MAX];
	size_t i;

	if (look_by_id(finder, &finder->root, "/usr/lib/debug"))
		return;
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		const char *at = strstr(formats[i], "%s");

		snprintf(path, sizeof(path), "%.*s%s%s", (int)(at - formats[i]), formats[i],
			 finder->release, at + 2);
		if (look(finder, &finder->root, false, "%s", path))
			return;
	}
}

static int finder_init(struct kernel_finder *finder, const struct kernel_debug_search *search,
		       struct debug_file *ret)
{
	int root, folder, id;

	*finder = (struct kernel_finder){ .error = -ENOENT, .ret = ret };
	root = debug_root_open_own(search->root, &finder->root);
	folder = debug_root_open_folder(search->debug_dir, &finder->folder);
	id = kernel_build_id(search->notes_path, &finder->id);
	finder->release = search->release;
	if (!finder->release && uname(&finder->name) == 0)
		finder->release = finder->name.release;
	if (!finder->release || strchr(finder->release, '/'))
		finder->release = "";
	return root == -ENOMEM || folder == -ENOMEM || id == -ENOMEM ? -ENOMEM : 0;
}

static void finder_free(struct kernel_finder *finder)
{
	debug_root_close(&finder->root);
	debug_root_close(&finder->folder);
}

int kernel_debug_find(const struct kernel_debug_search *search, struct debug_file *ret)
{
	_cleanup_(finder_free) struct kernel_finder finder;
	int r = finder_init(&finder, search, ret);

	if (r < 0)
		return r;
	if (!look_in_folder(&finder))
		look_in_root(&finder);
	return finder.error;
}

/* ---- where it was moved to -------------------------------------------------------------- */

struct text_symbols {
	uint64_t stext, etext;
	bool has_stext, has_etext;
};

/* Takes @symbol when it is one of the two; -EIO, or 0. */
static int take_symbol(const struct elf_file *elf, const struct elf_symbol_table *table,
		       const Elf64_Sym *symbol, struct text_symbols *text)
{
	char name[sizeof("_stext")];
	int r;

	/* Labels of the linker's script; of the other symbols the names are not even read. */
	if (ELF64_ST_TYPE(symbol->st_info) != STT_NOTYPE ||
	    ELF64_ST_BIND(symbol->st_info) != STB_GLOBAL || symbol->st_shndx == SHN_UNDEF ||
	    symbol->st_name >= table->strings_bytes ||
	    sizeof(name) > table->strings_bytes - symbol->st_name)
		return 0;
	r = elf_read(elf, name, sizeof(name), table->strings + symbol->st_name);
	if (r < 0)
		return r;
	if (memcmp(name, "_stext", sizeof(name)) == 0) {
		text->stext = symbol->st_value;
		text->has_stext = true;
	} else if (memcmp(name, "_etext", sizeof(name)) == 0) {
		text->etext = symbol->st_value;
		text->has_etext = true;
	}
	return 0;
}

/*
 * elf_visit_functions() leaves out _etext, which is no byte of the text any more.
 * Errors: -ENOEXEC; -EIO; -ENOMEM.
 */
static int find_symbols(const struct elf_file *elf, const struct elf_symbol_table *table,
			struct text_symbols *text)
{
	_cleanup_free_ Elf64_Sym *batch = malloc(BATCH_SYMBOLS * sizeof(*batch));
	uint64_t i, k, cnt, end = MIN(table->cnt, (uint64_t)ELF_SYMBOLS_MAX);
	int r;

	if (!batch)
		return -ENOMEM;
	for (i = 0; i < end; i += cnt) {
		cnt = MIN(end - i, (uint64_t)BATCH_SYMBOLS);
		r = elf_read(elf, batch, cnt * sizeof(*batch), table->offset + i * sizeof(*batch));
		for (k = 0; k < cnt && r == 0; k++)
			r = take_symbol(elf, table, &batch[k], text);
		if (r < 0 || (text->has_stext && text->has_etext))
			return r;
	}
	return 0;
}

static int read_symbols(struct elf_file *elf, struct text_symbols *text)
{
	struct elf_symbol_tables tables = {};
	size_t i;
	int r = elf_find_tables(elf, false, &tables), found = -ENODATA;

	if (r == -ENOMEM || r == -EIO)
		return r;
	for (i = 0; i < tables.cnt && found == -ENODATA; i++) {
		if (tables.tables[i].kind == ELF_TABLE_SYMTAB)
			found = find_symbols(elf, &tables.tables[i], text);
	}
	elf_tables_free(&tables);
	return found;
}

int kernel_debug_shift(struct elf_file *vmlinux, uint64_t stext, uint64_t etext,
		       uint64_t *ret_shift)
{
	struct text_symbols text = {};
	int r;

	if (!stext)
		return -ENODATA;
	r = read_symbols(vmlinux, &text);
	if (r == -EIO || r == -ENOMEM)
		return r;
	if (!text.has_stext)
		return -ENODATA;
	if ((stext - text.stext) % MOVED_BY)
		return -ESTALE;
	if (etext && text.has_etext && etext - stext != text.etext - text.stext)
		return -ESTALE;
	*ret_shift = stext - text.stext;
	return 0;
}
