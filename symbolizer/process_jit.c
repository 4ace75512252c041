/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Most processes that run JIT code write no perf-map, so a missing file is looked for ever less
 * often, down to once a second.  A dump is only looked for when a mapping tells of it.
 *
 * A file that was found stays open, because the process and its mount namespace may be gone when
 * its last samples are named; beyond OPEN_MAX_CNT files it is closed after each read and opened
 * again by name, or by the dump's mapping.
 *
 * A dump knows times and lines, so it is asked first, and a perf-map beside it is not even read
 * as long as the dump has all the names.
 */
#include "symbolizer/process_jit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "symbolizer/jit_file.h"
#include "symbolizer/jitdump.h"
#include "symbolizer/perfmap.h"

#define LOOK_NS (50 * NS_PER_MS)
#define LOOK_MAX_NS NS_PER_SEC
#define OPEN_MAX_CNT 128
#define CLOCK_SLACK_NS NS_PER_SEC /* file times are coarse, and the wall clock is slewed */

/* A file that is looked for, kept open and read on. */
struct followed {
	int fd;		  /* -1 = closed */
	uint64_t next_ns; /* not looked at before */
	uint64_t wait_ns;
};

struct process_jit {
	struct perfmap *map; /* NULL until the file was found */
	struct followed map_file;
	uint64_t map_bytes; /* of the file when it was read last */
	struct jitdump *dump;
	struct followed dump_file;
	struct jitdump_marker marker; /* path: heap; NULL = no dump is known of, or it is refused */
};

static struct process_jit *get_jit(struct process_jit **jit)
{
	if (!*jit) {
		*jit = calloc(1, sizeof(**jit));
		if (*jit) {
			(*jit)->map_file.fd = -1;
			(*jit)->dump_file.fd = -1;
		}
	}
	return *jit;
}

static bool is_due(const struct followed *file, uint64_t now_ns)
{
	return now_ns >= file->next_ns;
}

/* The next look is later than the one before was. */
static void put_off(struct followed *file, uint64_t now_ns)
{
	file->wait_ns = MIN(MAX(2 * file->wait_ns, LOOK_NS), LOOK_MAX_NS);
	file->next_ns = now_ns + file->wait_ns;
}

/* Takes over *@fd. */
static void follow(struct followed *file, struct process_jit_host *host, int *fd, uint64_t now_ns)
{
	file->fd = fd_take(fd);
	host->open_cnt++;
	file->wait_ns = 0;
	file->next_ns = now_ns;
}

static void unfollow(struct followed *file, struct process_jit_host *host)
{
	if (file->fd < 0)
		return;
	close(file->fd);
	file->fd = -1;
	host->open_cnt--;
}

/* ---- perf-maps ---- */

/* Whether the file was last written before the process began. */
static bool is_left_over(const struct stat *st, uint64_t begin_ns)
{
	uint64_t written_ns =
		(uint64_t)st->st_mtim.tv_sec * NS_PER_SEC + (uint64_t)st->st_mtim.tv_nsec;
	uint64_t began_ns = realtime_ns() - monotonic_ns() + begin_ns;

	return written_ns + CLOCK_SLACK_NS < began_ns;
}

static void open_map(struct process_jit *jit, struct process_jit_host *host,
		     const struct process_jit_query *query)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	put_off(&jit->map_file, query->now_ns);
	if (!query->tgid || perfmap_open_file(host->proc_root, query->tgid, &fd) < 0)
		return;
	if (fstat(fd, &st) < 0 || is_left_over(&st, query->begin_ns))
		return;
	if (!jit->map && perfmap_new(&jit->map) < 0)
		return;
	follow(&jit->map_file, host, &fd, query->now_ns);
}

void process_jit_notice(struct process_jit **jit, struct process_jit_host *host,
			const struct process_jit_query *query)
{
	if (host->open_cnt >= OPEN_MAX_CNT || !get_jit(jit))
		return;
	if ((*jit)->map_file.fd < 0 && is_due(&(*jit)->map_file, query->now_ns))
		open_map(*jit, host, query);
}

/* A read that fails is tried again at the next look; what is known stays. */
static void read_map(struct process_jit *jit, uint64_t now_ns)
{
	struct stat st;

	jit->map_file.next_ns = now_ns + LOOK_NS;
	if (fstat(jit->map_file.fd, &st) < 0 || (uint64_t)st.st_size == jit->map_bytes)
		return;
	if (perfmap_update(jit->map, jit->map_file.fd) >= 0)
		jit->map_bytes = (uint64_t)st.st_size;
}

const struct perfmap *process_jit_update(struct process_jit **jit, struct process_jit_host *host,
					 const struct process_jit_query *query)
{
	if (!get_jit(jit))
		return NULL;
	if (!is_due(&(*jit)->map_file, query->now_ns))
		return (*jit)->map;
	if ((*jit)->map_file.fd < 0)
		open_map(*jit, host, query);
	if ((*jit)->map_file.fd >= 0)
		read_map(*jit, query->now_ns);
	if (host->open_cnt > OPEN_MAX_CNT)
		unfollow(&(*jit)->map_file, host);
	return (*jit)->map;
}

void process_jit_written(struct process_jit *jit)
{
	if (!jit)
		return;
	jit->map_file.next_ns = jit->map_file.wait_ns = 0;
	jit->map_bytes = UINT64_MAX;
	if (jit->map)
		perfmap_restart(jit->map);
}

/* ---- dumps ---- */

static void forget_marker(struct process_jit *jit)
{
	free((char *)jit->marker.path);
	jit->marker = (struct jitdump_marker){};
}

static void open_dump(struct process_jit *jit, struct process_jit_host *host,
		      const struct process_jit_query *query)
{
	_cleanup_close_ int fd = -1;

	put_off(&jit->dump_file, query->now_ns);
	if (!query->tgid || jitdump_open_file(host->proc_root, &jit->marker, &fd) < 0)
		return;
	if (!jit->dump && jitdump_new(&jit->dump) < 0)
		return;
	follow(&jit->dump_file, host, &fd, query->now_ns);
}

/* Whether @path, whose last part begins as a dump's does, is the dump of process @tgid. */
static bool is_own_dump(const char *proc_root, const char *path, pid_t tgid)
{
	const char *name = strrchr(path, '/');
	struct jit_process process;

	if (!name || strncmp(name, "/jit-", strlen("/jit-")) != 0)
		return false;
	if (jitdump_is_marker(path, tgid))
		return true;
	return jit_process_read(proc_root, tgid, &process) == 0 &&
	       jitdump_is_marker(path, process.pid);
}

void process_jit_notice_file(struct process_jit **jit, struct process_jit_host *host,
			     const struct jitdump_marker *marker,
			     const struct process_jit_query *query)
{
	char *path;

	if ((*jit && (*jit)->dump_file.fd >= 0) ||
	    !is_own_dump(host->proc_root, marker->path, query->tgid) || !get_jit(jit))
		return;
	path = strdup(marker->path);
	if (!path)
		return;
	forget_marker(*jit);
	(*jit)->marker = *marker;
	(*jit)->marker.path = path;
	if (host->open_cnt < OPEN_MAX_CNT)
		open_dump(*jit, host, query);
}

/* A file that is no dump of this machine is not looked at again. */
static void read_dump(struct process_jit *jit, struct process_jit_host *host, uint64_t now_ns)
{
	jit->dump_file.next_ns = now_ns + LOOK_NS;
	if (jitdump_update(jit->dump, jit->dump_file.fd) == -ENOEXEC) {
		unfollow(&jit->dump_file, host);
		forget_marker(jit);
	}
}

static void update_dump(struct process_jit *jit, struct process_jit_host *host,
			const struct process_jit_query *query)
{
	if (!jit->marker.path || !is_due(&jit->dump_file, query->now_ns))
		return;
	if (jit->dump_file.fd < 0)
		open_dump(jit, host, query);
	if (jit->dump_file.fd >= 0)
		read_dump(jit, host, query->now_ns);
	if (host->open_cnt > OPEN_MAX_CNT)
		unfollow(&jit->dump_file, host);
}

/* ---- both ---- */

bool process_jit_lookup(struct process_jit **jit, struct process_jit_host *host,
			const struct process_jit_query *query, uint64_t address, uint64_t time_ns,
			struct jit_frame *ret)
{
	struct jitdump_symbol code;
	struct perfmap_symbol symbol;
	const struct perfmap *map;

	if (!get_jit(jit))
		return false;
	update_dump(*jit, host, query);
	if ((*jit)->dump && jitdump_find((*jit)->dump, address, time_ns, &code) && code.name[0]) {
		*ret = (struct jit_frame){
			.name = code.name,
			.address = code.address,
			.size = code.size,
			.filename = code.filename,
			.line = code.line,
		};
		return true;
	}
	map = process_jit_update(jit, host, query);
	if (!map || !perfmap_find(map, address, &symbol) || !symbol.name[0])
		return false;
	*ret = (struct jit_frame){
		.name = symbol.name,
		.address = symbol.address,
		.size = symbol.size,
	};
	return true;
}

enum jit_source process_jit_names(const struct process_jit *jit)
{
	if (jit && jit->dump && jitdump_cnt(jit->dump))
		return JIT_SOURCE_JITDUMP;
	if (jit && jit->map && perfmap_cnt(jit->map))
		return JIT_SOURCE_PERFMAP;
	return JIT_SOURCE_NONE;
}

void process_jit_trim(struct process_jit *jit, uint64_t before_ns)
{
	if (jit && jit->dump)
		jitdump_trim(jit->dump, before_ns);
}

void process_jit_free(struct process_jit_host *host, struct process_jit *jit)
{
	if (!jit)
		return;
	unfollow(&jit->map_file, host);
	unfollow(&jit->dump_file, host);
	perfmap_free(jit->map);
	jitdump_free(jit->dump);
	forget_marker(jit);
	free(jit);
}

size_t process_jit_bytes(const struct process_jit *jit)
{
	size_t bytes;

	if (!jit)
		return 0;
	bytes = sizeof(*jit) + (jit->marker.path ? strlen(jit->marker.path) + 1 : 0);
	bytes += jit->map ? perfmap_bytes(jit->map) : 0;
	return bytes + (jit->dump ? jitdump_bytes(jit->dump) : 0);
}

uint64_t process_jit_skipped(const struct process_jit *jit)
{
	uint64_t skipped = jit && jit->map ? perfmap_skipped(jit->map) : 0;

	return skipped + (jit && jit->dump ? jitdump_skipped(jit->dump) : 0);
}
