/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Most processes that run JIT code write no perf-map, so a missing file is looked for ever less
 * often, down to once a second.  A file that was found stays open, because the process and its
 * mount namespace may be gone when its last samples are named; beyond OPEN_MAX_CNT files it is
 * closed after each read and opened again by name.
 */
#include "symbolizer/process_jit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "symbolizer/perfmap.h"

#define LOOK_NS (50 * NS_PER_MS)
#define LOOK_MAX_NS NS_PER_SEC
#define OPEN_MAX_CNT 128
#define CLOCK_SLACK_NS NS_PER_SEC /* file times are coarse, and the wall clock is slewed */

struct process_jit {
	struct perfmap *map; /* NULL until the file was found */
	int fd;		     /* -1 = closed */
	uint64_t bytes;	     /* of the file when it was read last */
	uint64_t next_ns;    /* not looked at before */
	uint64_t wait_ns;
};

/* Whether the file was last written before the process began. */
static bool is_left_over(const struct stat *st, uint64_t begin_ns)
{
	uint64_t written_ns =
		(uint64_t)st->st_mtim.tv_sec * NS_PER_SEC + (uint64_t)st->st_mtim.tv_nsec;
	uint64_t began_ns = realtime_ns() - monotonic_ns() + begin_ns;

	return written_ns + CLOCK_SLACK_NS < began_ns;
}

static bool is_due(const struct process_jit *jit, uint64_t now_ns)
{
	return now_ns >= jit->next_ns;
}

static struct process_jit *get_jit(struct process_jit **jit)
{
	if (!*jit) {
		*jit = calloc(1, sizeof(**jit));
		if (*jit)
			(*jit)->fd = -1;
	}
	return *jit;
}

static void open_map(struct process_jit *jit, struct process_jit_host *host, pid_t tgid,
		     uint64_t begin_ns, uint64_t now_ns)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	jit->wait_ns = MIN(MAX(2 * jit->wait_ns, LOOK_NS), LOOK_MAX_NS);
	jit->next_ns = now_ns + jit->wait_ns;
	if (!tgid || perfmap_open_file(host->proc_root, tgid, &fd) < 0)
		return;
	if (fstat(fd, &st) < 0 || is_left_over(&st, begin_ns))
		return;
	if (!jit->map && perfmap_new(&jit->map) < 0)
		return;
	jit->fd = fd_take(&fd);
	host->open_cnt++;
	jit->wait_ns = 0;
	jit->next_ns = now_ns;
}

static void close_map(struct process_jit *jit, struct process_jit_host *host)
{
	if (jit->fd < 0)
		return;
	close(jit->fd);
	jit->fd = -1;
	host->open_cnt--;
}

void process_jit_notice(struct process_jit **jit, struct process_jit_host *host, pid_t tgid,
			uint64_t begin_ns, uint64_t now_ns)
{
	if (host->open_cnt >= OPEN_MAX_CNT || !get_jit(jit))
		return;
	if ((*jit)->fd < 0 && is_due(*jit, now_ns))
		open_map(*jit, host, tgid, begin_ns, now_ns);
}

/* A read that fails is tried again at the next look; what is known stays. */
static void read_on(struct process_jit *jit, uint64_t now_ns)
{
	struct stat st;

	jit->next_ns = now_ns + LOOK_NS;
	if (fstat(jit->fd, &st) < 0 || (uint64_t)st.st_size == jit->bytes)
		return;
	if (perfmap_update(jit->map, jit->fd) >= 0)
		jit->bytes = (uint64_t)st.st_size;
}

const struct perfmap *process_jit_update(struct process_jit **jit, struct process_jit_host *host,
					 pid_t tgid, uint64_t begin_ns, uint64_t now_ns)
{
	if (!get_jit(jit))
		return NULL;
	if (!is_due(*jit, now_ns))
		return (*jit)->map;
	if ((*jit)->fd < 0)
		open_map(*jit, host, tgid, begin_ns, now_ns);
	if ((*jit)->fd >= 0)
		read_on(*jit, now_ns);
	if (host->open_cnt > OPEN_MAX_CNT)
		close_map(*jit, host);
	return (*jit)->map;
}

void process_jit_free(struct process_jit_host *host, struct process_jit *jit)
{
	if (!jit)
		return;
	close_map(jit, host);
	perfmap_free(jit->map);
	free(jit);
}

size_t process_jit_bytes(const struct process_jit *jit)
{
	if (!jit)
		return 0;
	return sizeof(*jit) + (jit->map ? perfmap_bytes(jit->map) : 0);
}

uint64_t process_jit_skipped(const struct process_jit *jit)
{
	return jit && jit->map ? perfmap_skipped(jit->map) : 0;
}
