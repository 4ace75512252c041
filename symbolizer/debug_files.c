/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where debug files are looked for, and what proves that one is the right one.
 *
 * A search is a list of names, tried one after another in up to three trees (debug_root.h):
 * --debug-dir, the root of the process, our own.  Names with a proof in them come first (the
 * build-id), guesses last.  Each name that can be opened is checked by the search's own check;
 * the first that passes ends the search, one that is of another build is remembered for -ESTALE.
 *
 * The build-id proves in both directions: files that have one each and differ are refused without
 * a look at the CRC of .gnu_debuglink, and where they are equal the CRC, which costs a read of
 * the whole file, says nothing more.  Checking it all the same was the alternative (GDB does, and
 * libdwfl does not): it refuses files that are right and were packed after the link was made (dwz,
 * objcopy --compress-debug-sections).
 *
 * A link can name the program itself, and packages install stripped copies: what has neither
 * symbols nor DWARF, or is the very same file, is passed over.
 *
 * Files of split DWARF have no build-id; whether they fit is known by the dwo_id of their units
 * only, so it is the DWARF reader that checks it.  Here they need to be of the right kind.
 */
#include "symbolizer/debug_files.h"

#include <errno.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/debug_links.h"
#include "symbolizer/debug_root.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/section.h"

#define DELETED " (deleted)"
#define SYSTEM_DEBUG "/usr/lib/debug"
#define CRC_CHUNK (256u << 10)
#define CRC_BYTES_MAX (4ull << 30) /* read for their CRC in one search */
#define HEX_MAX (2 * ELF_BUILD_ID_MAX + 1)

enum tree {
	TREE_FOLDER, /* --debug-dir */
	TREE_PROCESS,
	TREE_OWN,
	TREE_CNT,
};

struct finder {
	struct debug_root roots[TREE_CNT];
	char program[PATH_MAX]; /* absolute, without DELETED; "" = not known */
	char folder[PATH_MAX];	/* of the program, without a slash at its end */
	struct elf_file *elf;	/* whose debug file is sought, or NULL */
	struct debug_link link;
	uint64_t crc_bytes_left;
	struct debug_sup_link sup;
	/* 0 it is the right one; -ENOENT it does not count; -ESTALE of another build; -ENOMEM */
	int (*check)(struct finder *finder, struct elf_file *elf);
	int error; /* 0 = found; else the most telling so far */
	struct debug_file *ret;
};

void debug_file_close(struct debug_file *file)
{
	fd_closep(&file->fd);
	free(file->path);
	*file = (struct debug_file){ .fd = -1 };
}

/* ---- the search ----------------------------------------------------------------------------- */

/* @path as the process sees it: our own view of its root may stand before it. */
static const char *strip_root(const struct debug_search *search, const char *path)
{
	char prefix[PATH_MAX];
	int len;

	if (!search->tgid)
		return path;
	len = snprintf(prefix, sizeof(prefix), "%s/%d/root", search->proc_root, search->tgid);
	if (len < (int)sizeof(prefix) && strncmp(path, prefix, (size_t)len) == 0 &&
	    path[len] == '/')
		return path + len;
	return path;
}

/* Copies the folder of @path into @ret, "" when that is the root. */
static void copy_folder(const char *path, char ret[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	memcpy(ret, path, len);
	ret[len] = '\0';
}

static void set_program(struct finder *finder, const struct debug_search *search)
{
	const char *path = search->path;
	size_t len;

	if (!path)
		return;
	path = strip_root(search, path);
	len = strnlen(path, PATH_MAX);
	if (path[0] != '/' || len == PATH_MAX)
		return;
	if (len > strlen(DELETED) && strcmp(path + len - strlen(DELETED), DELETED) == 0)
		len -= strlen(DELETED);
	memcpy(finder->program, path, len);
	finder->program[len] = '\0';
	copy_folder(finder->program, finder->folder);
}

/* Zero, or -ENOMEM; trees that cannot be opened are empty ones. */
static int finder_init(struct finder *finder, const struct debug_search *search,
		       struct debug_file *ret)
{
	int folder, process, own;

	folder = debug_root_open_folder(search->debug_dir, &finder->roots[TREE_FOLDER]);
	process = debug_root_open_process(search->proc_root, search->tgid,
					  &finder->roots[TREE_PROCESS]);
	own = debug_root_open_own("/", &finder->roots[TREE_OWN]);
	finder->crc_bytes_left = CRC_BYTES_MAX;
	finder->error = -ENOENT;
	finder->ret = ret;
	finder->program[0] = finder->folder[0] = '\0';
	set_program(finder, search);
	return folder == -ENOMEM || process == -ENOMEM || own == -ENOMEM ? -ENOMEM : 0;
}

static void finder_free(struct finder *finder)
{
	size_t i;

	for (i = 0; i < TREE_CNT; i++)
		debug_root_close(&finder->roots[i]);
}

/* Where links may lead out of the tree, a path that others wrote must not climb out of it. */
static bool climbs(const char *path)
{
	const char *at = path;

	while ((at = strstr(at, ".."))) {
		if ((at == path || at[-1] == '/') && (!at[2] || at[2] == '/'))
			return true;
		at += 2;
	}
	return false;
}

static int try_file(struct finder *finder, const struct debug_root *root, const char *path)
{
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	_cleanup_(debug_file_close) struct debug_file file = { .fd = -1 };
	int r = debug_root_open_file(root, path, &file);

	if (r == 0)
		r = elf_file_open(file.fd, &elf, NULL);
	if (r == 0)
		r = finder->check(finder, elf);
	if (r == 0)
		*finder->ret =
			(struct debug_file){ .fd = fd_take(&file.fd), .path = TAKE_PTR(file.path) };
	return r;
}

/* Whether the search is over: found, or no memory. */
__attribute__((format(printf, 3, 4))) static bool look(struct finder *finder, enum tree tree,
						       const char *fmt, ...)
{
	const struct debug_root *root = &finder->roots[tree];
	char path[PATH_MAX];
	va_list args;
	int len, r;

	if (root->fd < 0)
		return false;
	va_start(args, fmt);
	len = vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	if (len < 0 || len >= (int)sizeof(path))
		return false;
	if (!(root->resolve & RESOLVE_IN_ROOT) && climbs(path))
		return false;
	r = try_file(finder, root, path);
	if (r == 0 || r == -ENOMEM || r == -ESTALE)
		finder->error = r;
	return r == 0 || r == -ENOMEM;
}

/* DIR/.build-id/xx/yyy.debug */
static bool look_by_id(struct finder *finder, enum tree tree, const struct elf_build_id *id)
{
	char hex[HEX_MAX];

	if (id->len < 2)
		return false;
	elf_build_id_hex(id, hex);
	return look(finder, tree, "%s/.build-id/%.2s/%s.debug",
		    tree == TREE_FOLDER ? "" : SYSTEM_DEBUG, hex, hex + 2);
}

/* ---- proofs --------------------------------------------------------------------------------- */

static bool is_same_id(const struct elf_build_id *a, const struct elf_build_id *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static bool is_same_file(const struct elf_file *a, const struct elf_file *b)
{
	struct stat of_a, of_b;

	return a->fd >= 0 && b->fd >= 0 && fstat(a->fd, &of_a) == 0 && fstat(b->fd, &of_b) == 0 &&
	       of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

/* 0 there is a section @name; -ENOENT, also when it is broken; -ENOMEM */
static int has_section(struct elf_file *elf, const char *name)
{
	_cleanup_(section_close) struct section section = {};
	int r = section_open_debug(elf, name, &section);

	return r == 0 || r == -ENOMEM ? r : -ENOENT;
}

/* As has_section(), for any one of the names. */
static int has_any_section(struct elf_file *elf, const char *const *names, size_t cnt)
{
	int r = -ENOENT;
	size_t i;

	for (i = 0; i < cnt && r == -ENOENT; i++)
		r = has_section(elf, names[i]);
	return r;
}

static int check_crc(struct finder *finder, const struct elf_file *elf)
{
	_cleanup_free_ uint8_t *chunk = malloc(CRC_CHUNK);
	uint64_t offset = 0;
	uLong crc = crc32(0, NULL, 0);

	if (!chunk)
		return -ENOMEM;
	if (elf->size > finder->crc_bytes_left)
		return -ENOENT;
	finder->crc_bytes_left -= elf->size;
	while (offset < elf->size) {
		size_t len = MIN(elf->size - offset, (uint64_t)CRC_CHUNK);

		if (elf_read(elf, chunk, len, offset))
			return -ENOENT;
		crc = crc32(crc, chunk, (uInt)len);
		offset += len;
	}
	return crc == finder->link.crc ? 0 : -ESTALE;
}

static int check_debug(struct finder *finder, struct elf_file *elf)
{
	static const char *const kinds[] = { ".debug_info", ".symtab", ".debug_line" };
	const struct elf_build_id *ours = elf_file_build_id(finder->elf);
	const struct elf_build_id *theirs = elf_file_build_id(elf);
	int r;

	if (is_same_file(finder->elf, elf))
		return -ENOENT;
	if (ours->len && theirs->len && !is_same_id(ours, theirs))
		return -ESTALE;
	r = has_any_section(elf, kinds, ARRAY_SIZE(kinds));
	if (r < 0 || (ours->len && theirs->len))
		return r;
	return finder->link.name[0] ? check_crc(finder, elf) : -ESTALE;
}

static int check_sup(struct finder *finder, struct elf_file *elf)
{
	struct elf_build_id checksum;
	int r;

	if (!finder->sup.is_dwarf5)
		return is_same_id(&finder->sup.id, elf_file_build_id(elf)) ? 0 : -ESTALE;
	r = debug_sup_checksum(elf, &checksum);
	if (r < 0)
		return r == -ENOMEM ? r : -ENOENT;
	return is_same_id(&finder->sup.id, &checksum) ? 0 : -ESTALE;
}

static int check_package(struct finder *finder, struct elf_file *elf)
{
	static const char *const kinds[] = { ".debug_cu_index", ".debug_info.dwo" };

	(void)finder;
	return has_any_section(elf, kinds, ARRAY_SIZE(kinds));
}

static int check_split(struct finder *finder, struct elf_file *elf)
{
	static const char *const kinds[] = { ".debug_info.dwo" };

	(void)finder;
	return has_any_section(elf, kinds, ARRAY_SIZE(kinds));
}

/* ---- separate debug files ------------------------------------------------------------------- */

static bool look_for_debug_in_folder(struct finder *finder)
{
	const char *name = finder->link.name;

	return look_by_id(finder, TREE_FOLDER, elf_file_build_id(finder->elf)) ||
	       (finder->program[0] && look(finder, TREE_FOLDER, "%s.debug", finder->program)) ||
	       (name[0] && finder->program[0] &&
		look(finder, TREE_FOLDER, "%s/%s", finder->folder, name)) ||
	       (name[0] && look(finder, TREE_FOLDER, "%s", name));
}

static bool look_for_debug(struct finder *finder, enum tree tree)
{
	const char *name = finder->link.name, *folder = finder->folder;

	if (look_by_id(finder, tree, elf_file_build_id(finder->elf)))
		return true;
	if (!finder->program[0])
		return false;
	return (name[0] && look(finder, tree, "%s/%s", folder, name)) ||
	       (name[0] && look(finder, tree, "%s/.debug/%s", folder, name)) ||
	       (name[0] && look(finder, tree, SYSTEM_DEBUG "%s/%s", folder, name)) ||
	       look(finder, tree, SYSTEM_DEBUG "%s.debug", finder->program);
}

int debug_file_find(const struct debug_search *search, struct elf_file *elf, struct debug_file *ret)
{
	_cleanup_(finder_free) struct finder finder;
	int r = finder_init(&finder, search, ret);

	if (r < 0)
		return r;
	finder.elf = elf;
	finder.check = check_debug;
	if (debug_link_read(elf, &finder.link) == -ENOMEM)
		return -ENOMEM;
	if (!look_for_debug_in_folder(&finder) && !look_for_debug(&finder, TREE_PROCESS))
		look_for_debug(&finder, TREE_OWN);
	return finder.error;
}

/* ---- supplementary files -------------------------------------------------------------------- */

/* What stands behind "/.dwz/" in @path, the folder that dwz's files are kept in, or NULL. */
static const char *below_dwz(const char *path)
{
	const char *at = strstr(path, "/.dwz/");

	return at ? at + strlen("/.dwz/") : NULL;
}

/* @folder: of the debug file, or NULL */
static bool look_for_sup(struct finder *finder, enum tree tree, const char *folder)
{
	const char *path = finder->sup.path, *rest = below_dwz(path);

	if (tree != TREE_FOLDER && path[0] == '/' && look(finder, tree, "%s", path))
		return true;
	if (tree != TREE_FOLDER && path[0] != '/' && folder &&
	    look(finder, tree, "%s/%s", folder, path))
		return true;
	if (!finder->sup.is_dwarf5 && look_by_id(finder, tree, &finder->sup.id))
		return true;
	return rest &&
	       look(finder, tree, "%s/.dwz/%s", tree == TREE_FOLDER ? "" : SYSTEM_DEBUG, rest);
}

int debug_file_find_sup(const struct debug_search *search, struct elf_file *debug,
			const char *debug_path, struct debug_file *ret)
{
	_cleanup_(finder_free) struct finder finder;
	char folder[PATH_MAX];
	bool has_folder;
	int r = finder_init(&finder, search, ret);

	if (r < 0)
		return r;
	r = debug_sup_link_read(debug, &finder.sup);
	if (r < 0)
		return r == -ENOMEM || r == -ENODATA ? r : -ENOEXEC;
	finder.check = check_sup;
	debug_path = debug_path ? strip_root(search, debug_path) : "";
	has_folder = debug_path[0] == '/' && strnlen(debug_path, PATH_MAX) < PATH_MAX;
	if (has_folder)
		copy_folder(debug_path, folder);
	if (!look_for_sup(&finder, TREE_FOLDER, NULL) &&
	    !look_for_sup(&finder, TREE_PROCESS, has_folder ? folder : NULL))
		look_for_sup(&finder, TREE_OWN, has_folder ? folder : NULL);
	return finder.error;
}

/* ---- split DWARF ---------------------------------------------------------------------------- */

static bool look_for_package(struct finder *finder, enum tree tree)
{
	const char *program = finder->program;

	return look(finder, tree, "%s.dwp", program) ||
	       look(finder, tree, "%s.debug.dwp", program) ||
	       (tree == TREE_FOLDER && look(finder, tree, "%s.dwp", strrchr(program, '/'))) ||
	       (tree != TREE_FOLDER && look(finder, tree, SYSTEM_DEBUG "%s.dwp", program)) ||
	       (tree != TREE_FOLDER && look(finder, tree, SYSTEM_DEBUG "%s.debug.dwp", program));
}

int debug_file_find_package(const struct debug_search *search, struct debug_file *ret)
{
	_cleanup_(finder_free) struct finder finder;
	int r = finder_init(&finder, search, ret);

	if (r < 0)
		return r;
	finder.check = check_package;
	if (finder.program[0] && !look_for_package(&finder, TREE_FOLDER) &&
	    !look_for_package(&finder, TREE_PROCESS))
		look_for_package(&finder, TREE_OWN);
	return finder.error;
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* By the name that the compiler wrote down. */
static bool look_for_split(struct finder *finder, enum tree tree, const char *comp_dir,
			   const char *name)
{
	if (name[0] == '/')
		return look(finder, tree, "%s", name);
	return comp_dir && comp_dir[0] == '/' && look(finder, tree, "%s/%s", comp_dir, name);
}

static bool look_beside_program(struct finder *finder, enum tree tree, const char *name)
{
	if (!finder->program[0])
		return false;
	if (name[0] != '/' && look(finder, tree, "%s/%s", finder->folder, name))
		return true;
	return look(finder, tree, "%s/%s", finder->folder, basename_of(name));
}

int debug_file_find_split(const struct debug_search *search, const char *comp_dir, const char *name,
			  struct debug_file *ret)
{
	_cleanup_(finder_free) struct finder finder;
	int r = finder_init(&finder, search, ret);

	if (r < 0)
		return r;
	finder.check = check_split;
	/*
	 * Two units may be called util.dwo: places that are named in full come before those where
	 * only the last part of the name is looked for.
	 */
	if (!look_for_split(&finder, TREE_FOLDER, comp_dir, name) &&
	    !look_for_split(&finder, TREE_PROCESS, comp_dir, name) &&
	    !look_for_split(&finder, TREE_OWN, comp_dir, name) &&
	    !look_beside_program(&finder, TREE_PROCESS, name) &&
	    !look_beside_program(&finder, TREE_OWN, name))
		look(&finder, TREE_FOLDER, "%s", basename_of(name));
	return finder.error;
}
