/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpkg keeps one list of files per package, by which `dpkg -S` works too; asking it would mean
 * to start programs from a profiler that may run with more rights than its user.  Packages list
 * files where they were built to go: /lib/x.so and /usr/lib/x.so are one file where /lib is a
 * link (usrmerge), so both are looked for.
 */
#include "symbolizer/naming_advice.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/elf.h"

#define LIST_BYTES_MAX (8u << 20) /* of one package's list */
#define DPKG_INFO "/var/lib/dpkg/info"

/* Whether @list has a line that is @path. */
static bool has_line(const struct strbuf *list, const char *path)
{
	size_t len = strlen(path);
	const char *at = list->text;

	while (at && (at = strstr(at, path))) {
		if ((at == list->text || at[-1] == '\n') && (at[len] == '\n' || !at[len]))
			return true;
		at += len;
	}
	return false;
}

/* Puts the package whose list @name ("PACKAGE[:ARCH].list") is in @ret. */
static void copy_package(const char *name, char *ret, size_t size)
{
	size_t len = strcspn(name, ":");

	len = MIN(len, strlen(name) - strlen(".list"));
	snprintf(ret, size, "%.*s", (int)len, name);
}

static bool find_package(const char *root, const char *path, char *ret, size_t size)
{
	const char *other = strncmp(path, "/usr/", 5) == 0 ? path + 4 : path;
	_cleanup_(strbuf_free) struct strbuf list = STRBUF_INIT;
	_cleanup_(dir_closep) DIR *dir = NULL;
	char folder[PATH_MAX], file[PATH_MAX + NAME_MAX + 2];
	struct dirent *entry;

	snprintf(folder, sizeof(folder), "%s%s", root, DPKG_INFO);
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		const char *suffix = strrchr(entry->d_name, '.');

		if (!suffix || strcmp(suffix, ".list") != 0)
			continue;
		strbuf_clear(&list);
		snprintf(file, sizeof(file), "%s/%s", folder, entry->d_name);
		if (read_path(file, LIST_BYTES_MAX, &list) == 0 &&
		    (has_line(&list, path) || has_line(&list, other))) {
			copy_package(entry->d_name, ret, size);
			return true;
		}
	}
	return false;
}

static bool is_like_fedora(const char *root)
{
	_cleanup_(strbuf_free) struct strbuf text = STRBUF_INIT;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/etc/os-release", root);
	return read_path(path, 65536, &text) == 0 && text.text &&
	       (strstr(text.text, "fedora") || strstr(text.text, "rhel"));
}

/* Whether the file at @path is the build that was met. */
static bool is_build(const char *root, const char *path, const char *build_id)
{
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	_cleanup_close_ int fd = -1;
	char file[PATH_MAX], hex[2 * ELF_BUILD_ID_MAX + 1];
	struct stat st;

	if (snprintf(file, sizeof(file), "%s%s", root, path) >= (int)sizeof(file))
		return false;
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    elf_file_open(fd, &elf, NULL) < 0)
		return false;
	elf_build_id_hex(elf_file_build_id(elf), hex);
	return strcmp(hex, build_id) == 0;
}

void naming_advice_file(const char *root, const char *path, const char *build_id, char *ret,
			size_t size)
{
	char package[256];

	ret[0] = '\0';
	if (path[0] != '/' || strchr(path, '\n') || (build_id && !is_build(root, path, build_id)))
		return;
	if (find_package(root, path, package, sizeof(package)))
		/* libc's came before there were -dbgsym packages */
		snprintf(ret, size, "apt install %s-%s", package,
			 strcmp(package, "libc6") == 0 ? "dbg" : "dbgsym");
	else if (is_like_fedora(root))
		snprintf(ret, size, "dnf debuginfo-install %s", path);
	else
		snprintf(ret, size, "stripped: build it without strip and -s");
}

const char *naming_advice_jit(enum runtime runtime)
{
	switch (runtime) {
	case RUNTIME_NODE:
		return "node --perf-basic-prof";
	case RUNTIME_JVM:
		return "--jvm-perfmap (and java -XX:+PreserveFramePointer)";
	case RUNTIME_DOTNET:
		return "DOTNET_PerfMapEnabled=1";
	case RUNTIME_PYTHON:
		return "python3 -X perf (3.12 or newer)";
	case RUNTIME_OTHER:
		break;
	}
	return "";
}
