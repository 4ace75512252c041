/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the cache lies, whether it can be trusted, and how it stays below its size.
 *
 * Trust: what is mapped from here is believed but for its checksum, and root's profiler reads it
 * too.  So the folder and its subfolders must be the user's own, writable by nobody else and no
 * links; everything in them is then opened relative to their descriptors.  What lies above (/home,
 * $XDG_CACHE_HOME) may be links: whoever can change those can only lead to another folder of ours.
 * Root behind sudo never uses a folder below the home of the user who called sudo.
 *
 * Size: the sum of the entries is kept in memory and counted on anew when it comes near the limit
 * and every ten minutes in which something is written, as other processes write too.  An index
 * file with times of use would need locks; the entries' own mtime does, set on use at most once an
 * hour.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/symbol_cache_private.h"

#define ROOT_FOLDER "/var/cache/ebpfprof"
#define NAME "ebpfprof"
#define SCAN_EVERY_NS (600ull * 1000000000)
#define SCAN_FILES_MAX 65536 /* looked at in one folder */
#define TEMPORARY_S 3600     /* nobody writes an entry for that long */
#define BLOCK 4096u

static const char *const kind_names[CACHE_KIND_CNT] = {
	[CACHE_SYMTAB] = "symtab",
	[CACHE_DWARF_INDEX] = "dwarf",
	[CACHE_FRAME_TABLE] = "frames",
};

bool cache_is_ours(const struct symbol_cache *cache, const struct stat *info)
{
	return info->st_uid == cache->owner && !(info->st_mode & (S_IWGRP | S_IWOTH));
}

/* ---- finding and making the folders ---- */

/* The XDG Base Directory Specification: relative paths are to be ignored. */
static const char *absolute_env(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] == '/' ? value : NULL;
}

int cache_default_folder(uid_t owner, struct strbuf *path)
{
	const char *cache = absolute_env("XDG_CACHE_HOME"), *home = absolute_env("HOME");

	if (owner == 0 && (!cache || getenv("SUDO_UID")))
		strbuf_add_str(path, ROOT_FOLDER);
	else if (cache)
		strbuf_printf(path, "%s/" NAME, cache);
	else if (home)
		strbuf_printf(path, "%s/.cache/" NAME, home);
	else
		return -ENOENT;
	return path->failed ? -ENOMEM : 0;
}

/* Makes what is missing of the folders above the last component of @path. */
static int make_parents(char *path)
{
	char *slash;
	int ret;

	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		ret = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
		*slash = '/';
		/* Others' folders on the way may be read-only, or on a read-only file system. */
		if (ret && ret != -EACCES && ret != -EROFS && ret != -EPERM)
			return ret;
	}
	return 0;
}

/* Opens the folder @name, made if need be, which must be ours; -errno. */
static int open_folder(const struct symbol_cache *cache, int parent, const char *name, int *ret)
{
	_cleanup_close_ int fd = -1;
	struct stat info;
	int made = 0;

	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		made = mkdirat(parent, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
		if (made)
			return made;
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0 || fstat(fd, &info) < 0)
		return -errno;
	if (!cache_is_ours(cache, &info))
		return -EPERM;
	*ret = fd_take(&fd);
	return 0;
}

static int open_path(struct symbol_cache *cache, struct strbuf *path)
{
	_cleanup_close_ int folder = -1;
	size_t i;
	int ret;

	while (path->len > 1 && path->text[path->len - 1] == '/')
		path->text[--path->len] = '\0';
	ret = make_parents(path->text);
	if (!ret)
		ret = open_folder(cache, AT_FDCWD, path->text, &folder);
	for (i = 0; !ret && i < CACHE_KIND_CNT; i++)
		ret = open_folder(cache, folder, kind_names[i], &cache->folders[i]);
	return ret;
}

int cache_open_folders(struct symbol_cache *cache, const char *folder)
{
	struct strbuf path = STRBUF_INIT;
	int ret = 0;

	if (folder)
		strbuf_add_str(&path, folder);
	else
		ret = cache_default_folder(cache->owner, &path);
	if (!ret)
		ret = path.failed ? -ENOMEM : path.len ? open_path(cache, &path) : -ENOENT;
	strbuf_free(&path);
	return ret;
}

/* ---- size ---- */

/* A file that can go. */
struct entry {
	struct timespec used;
	uint64_t bytes;
	uint8_t kind;
	char name[CACHE_NAME_BYTES];
};

struct scan {
	struct entry *entries; /* [cnt] */
	size_t cnt, capacity;
	uint64_t bytes;
	time_t now;
};

uint64_t cache_file_bytes(uint64_t size)
{
	return (size + BLOCK - 1) / BLOCK * BLOCK;
}

static bool is_entry_name(const char *name)
{
	size_t len = strspn(name, "0123456789abcdef");

	return len && len < CACHE_NAME_BYTES && !name[len];
}

static int scan_add(struct scan *scan, const struct entry *entry)
{
	if (scan->cnt == scan->capacity) {
		size_t capacity = scan->capacity ? scan->capacity * 2 : 256;
		void *entries = realloc(scan->entries, capacity * sizeof(*scan->entries));

		if (!entries)
			return -ENOMEM;
		scan->entries = entries;
		scan->capacity = capacity;
	}
	scan->entries[scan->cnt++] = *entry;
	scan->bytes += entry->bytes;
	return 0;
}

/* Counts one file; removes what a writer left that died. */
static int scan_file(struct scan *scan, int folder, unsigned int kind, const char *name)
{
	struct entry entry = { .kind = (uint8_t)kind };
	bool temporary = strncmp(name, CACHE_TEMPORARY, strlen(CACHE_TEMPORARY)) == 0;
	struct stat info;

	if ((!temporary && !is_entry_name(name)) ||
	    fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(info.st_mode))
		return 0;
	if (temporary) {
		if (scan->now - info.st_mtime > TEMPORARY_S)
			unlinkat(folder, name, 0);
		return 0;
	}
	entry.used = info.st_mtim;
	entry.bytes = cache_file_bytes((uint64_t)info.st_size);
	memcpy(entry.name, name, strlen(name) + 1);
	return scan_add(scan, &entry);
}

static int scan_folder(struct scan *scan, int folder, unsigned int kind)
{
	_cleanup_(dir_closep) DIR *directory = NULL;
	const struct dirent *file;
	size_t files = 0;
	int fd, ret = 0;

	/* A descriptor of its own: the position in the folder is shared by duplicates. */
	fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	directory = fdopendir(fd);
	if (!directory) {
		close(fd);
		return -ENOMEM;
	}
	while (!ret && files++ < SCAN_FILES_MAX && (file = readdir(directory)))
		ret = scan_file(scan, folder, kind, file->d_name);
	return ret;
}

static int by_use(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;

	if (left->used.tv_sec != right->used.tv_sec)
		return left->used.tv_sec < right->used.tv_sec ? -1 : 1;
	if (left->used.tv_nsec != right->used.tv_nsec)
		return left->used.tv_nsec < right->used.tv_nsec ? -1 : 1;
	return strcmp(left->name, right->name);
}

/* Some room to spare, so that the next entries need no scan. */
static void evict(struct symbol_cache *cache, struct scan *scan, uint64_t bytes)
{
	uint64_t goal = cache->max_bytes - cache->max_bytes / 8;
	size_t i;

	if (scan->bytes + bytes <= cache->max_bytes)
		return;
	qsort(scan->entries, scan->cnt, sizeof(*scan->entries), by_use);
	for (i = 0; i < scan->cnt && scan->bytes + bytes > goal; i++) {
		const struct entry *entry = &scan->entries[i];

		if (!unlinkat(cache->folders[entry->kind], entry->name, 0) || errno == ENOENT)
			scan->bytes -= entry->bytes;
	}
}

int cache_make_room(struct symbol_cache *cache, uint64_t bytes)
{
	uint64_t now = monotonic_ns();
	struct scan scan = { .now = time(NULL) };
	unsigned int kind;
	int ret = 0;

	if (cache->scanned_ns && now - cache->scanned_ns < SCAN_EVERY_NS &&
	    cache->bytes + bytes <= cache->max_bytes)
		return 0;
	for (kind = 0; kind < CACHE_KIND_CNT && !ret; kind++)
		ret = scan_folder(&scan, cache->folders[kind], kind);
	if (!ret) {
		evict(cache, &scan, bytes);
		cache->bytes = scan.bytes;
		cache->scanned_ns = now;
		/* What cannot be removed leaves no room. */
		ret = scan.bytes + bytes > cache->max_bytes ? -ENOSPC : 0;
	}
	free(scan.entries);
	return ret;
}
