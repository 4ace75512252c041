/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a process is a HotSpot JVM that may be told to open its attach socket.
 *
 * libjvm.so is mapped by OpenJ9 too, which answers SIGQUIT by writing a dump of itself; its
 * libj9*.so tell it from HotSpot.
 *
 * With -XX:+DisableAttachMechanism HotSpot answers SIGQUIT by printing all stacks.  The flag can
 * come from the command line, from three variables of the environment and from files.  What
 * counts is HotSpot's own word: its monitoring data, a file that it maps shared, has the entry
 * sun.rt.jvmCapabilities, whose first character is '1' if it can be attached to; jcmd looks there
 * too.  A JVM without that file (-XX:-UsePerfData, -XX:+PerfDisableSharedMem) is judged by its
 * command line and environment, and left alone if they name files of options.
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/jit_file.h"
#include "symbolizer/jvm_attach_private.h"

#define MAPS_BYTES_MAX (32u << 20)
#define ENVIRON_BYTES_MAX (4u << 20)
#define PERF_BYTES_MAX (1u << 20) /* HotSpot's default is 32 KiB */
#define PERF_HEADER_BYTES 32
#define PERF_ENTRY_BYTES 20
#define PERF_ENTRIES_MAX 65536

/* ---- monitoring data: PerfDataPrologue and PerfDataEntry of HotSpot's perfMemory.hpp ---- */

struct bytes {
	const uint8_t *at;
	size_t len;
};

/* The little-endian number at @offset, or UINT32_MAX when that is outside. */
static uint32_t number_at(struct bytes bytes, size_t offset)
{
	uint32_t number;

	if (offset > bytes.len || bytes.len - offset < sizeof(number))
		return UINT32_MAX;
	memcpy(&number, bytes.at + offset, sizeof(number));
	return number;
}

/* Whether the string @text, with its NUL, stands at @offset. */
static bool has_text(struct bytes bytes, size_t offset, const char *text)
{
	size_t len = strlen(text) + 1;

	return offset <= bytes.len && bytes.len - offset >= len &&
	       memcmp(bytes.at + offset, text, len) == 0;
}

enum jvm_attachable jvm_read_capabilities(const void *data, size_t len)
{
	struct bytes all = { data, len };
	uint32_t cnt, i;
	size_t at;

	/* magic, little-endian, and filled in: bytes 0-3, 4, 7 */
	if (len < PERF_HEADER_BYTES || memcmp(data, "\xca\xfe\xc0\xc0\x01", 5) != 0 || !all.at[7])
		return JVM_ATTACHABLE_UNKNOWN;
	at = number_at(all, 24);
	cnt = MIN(number_at(all, 28), PERF_ENTRIES_MAX);
	for (i = 0; i < cnt && at < len && len - at >= PERF_ENTRY_BYTES; i++) {
		struct bytes entry = { all.at + at, len - at };
		uint32_t size = number_at(entry, 0), value_at = number_at(entry, 16);

		if (size < PERF_ENTRY_BYTES || size > entry.len)
			break;
		entry.len = size;
		if (has_text(entry, number_at(entry, 4), "sun.rt.jvmCapabilities") &&
		    value_at < size)
			return entry.at[value_at] == '1' ? JVM_ATTACHABLE_YES : JVM_ATTACHABLE_NO;
		at += size;
	}
	return JVM_ATTACHABLE_UNKNOWN;
}

static enum jvm_attachable ask_perf_file(int root, const char *path, uid_t uid)
{
	_cleanup_close_ int path_fd = -1, fd = -1;
	_cleanup_free_ uint8_t *data = NULL;
	ssize_t len;

	path_fd = jit_open_below(root, path);
	if (path_fd < 0 || jit_open_owned(path_fd, uid, &fd) < 0)
		return JVM_ATTACHABLE_UNKNOWN;
	data = malloc(PERF_BYTES_MAX);
	len = data ? pread_full(fd, data, PERF_BYTES_MAX, 0) : -ENOMEM;
	return len < 0 ? JVM_ATTACHABLE_UNKNOWN : jvm_read_capabilities(data, (size_t)len);
}

/* ---- the command line and the environment ---- */

/* What is said of attaching by one option, or by a variable that holds several. */
static bool forbids_or_hides(const char *text)
{
	return strstr(text, "+DisableAttachMechanism") || strstr(text, "-XX:Flags=") ||
	       strstr(text, "-XX:VMOptionsFile=") || strstr(text, "+ReadVMOptionsFile");
}

/* Whether one of the NUL-terminated strings in @text forbids attaching, or hides whether. */
static bool any_forbids(const struct strbuf *text, bool is_environment)
{
	static const char *const variables[] = { "JAVA_TOOL_OPTIONS=", "JDK_JAVA_OPTIONS=",
						 "_JAVA_OPTIONS=" };
	const char *at = text->text, *end = at + text->len;
	size_t i;

	for (; at && at < end; at += strlen(at) + 1) {
		bool relevant = !is_environment;

		for (i = 0; is_environment && i < ARRAY_SIZE(variables); i++)
			relevant |= strncmp(at, variables[i], strlen(variables[i])) == 0;
		if (relevant && (forbids_or_hides(at) || (is_environment && strchr(at, '@'))))
			return true;
		if (!is_environment && at[0] == '@') /* options in a file, for the launcher */
			return true;
	}
	return false;
}

static bool options_forbid(const char *proc_root, pid_t tgid, const char *name, bool is_environment)
{
	_cleanup_(strbuf_free) struct strbuf text = STRBUF_INIT;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%d/%s", proc_root, tgid, name) >= (int)sizeof(path))
		return true;
	if (read_path(path, ENVIRON_BYTES_MAX, &text) < 0)
		return true;
	return any_forbids(&text, is_environment);
}

int jvm_check_attachable(const char *proc_root, pid_t tgid, int root, const char *perf_path,
			 uid_t uid)
{
	enum jvm_attachable word = JVM_ATTACHABLE_UNKNOWN;

	if (perf_path)
		word = ask_perf_file(root, perf_path, uid);
	if (word == JVM_ATTACHABLE_UNKNOWN && (options_forbid(proc_root, tgid, "cmdline", false) ||
					       options_forbid(proc_root, tgid, "environ", true)))
		word = JVM_ATTACHABLE_NO;
	return word == JVM_ATTACHABLE_NO ? -EOPNOTSUPP : 0;
}

/* ---- mappings ---- */

struct findings {
	bool libjvm, openj9;
	char *perf_path; /* heap */
};

/* @path is what a line of maps ends with. */
static int look_at_path(struct findings *findings, const char *path, size_t len)
{
	static const char libjvm[] = "/libjvm.so";
	const char *name = memrchr(path, '/', len);
	size_t name_len = len - (size_t)(name - path);

	if (name_len >= strlen(libjvm) && memcmp(name, libjvm, strlen(libjvm)) == 0)
		findings->libjvm = true;
	if (name_len > 6 && memcmp(name, "/libj9", 6) == 0)
		findings->openj9 = true;
	if (!findings->perf_path && memmem(path, len, "/hsperfdata_", 12) && path[len - 1] != ')') {
		findings->perf_path = strndup(path, len);
		if (!findings->perf_path)
			return -ENOMEM;
	}
	return 0;
}

int jvm_check_hotspot(const char *proc_root, pid_t tgid, char **ret_perf_path)
{
	_cleanup_(strbuf_free) struct strbuf maps = STRBUF_INIT;
	struct findings findings = {};
	const char *line, *end, *at;
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s/%d/maps", proc_root, tgid) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	r = read_path(path, MAPS_BYTES_MAX, &maps);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	for (line = maps.text; line && *line && r == 0; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		at = memchr(line, '/', (size_t)(end - line));
		if (at)
			r = look_at_path(&findings, at, (size_t)(end - at));
	}
	if (r == 0)
		r = findings.openj9 ? -EPROTONOSUPPORT : findings.libjvm ? 0 : -ENXIO;
	if (r < 0)
		free(findings.perf_path);
	else
		*ret_perf_path = findings.perf_path;
	return r;
}
