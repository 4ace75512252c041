/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/shared.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bpf/pids.h"
#include "bpf/target.h"
#include "bpf/unwind.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "profiler/collect/bpf_log.h"
#include "profiler/collect/cpus.h"
#include "profiler/collect/host.h"
#include "profiler/collect/probes.h"
#include "profiler/collect/targets.h"

#include "shared.skel.h"

struct shared_maps {
	struct shared_bpf *skel;
	struct sampler_control *control;
	size_t control_bytes;
	int cpu_cnt;
	uint32_t pid_namespace;
	enum tier tier;
	struct tracer_outcome outcomes[TRACERS_MAX];
	size_t outcome_cnt;
};

static int size_unwind_maps(struct shared_bpf *skel)
{
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} sizes[] = {
		{ skel->maps.unwind_processes, UNWIND_PROCESSES_MAX },
		{ skel->maps.unwind_mappings, UNWIND_MAPPINGS_MAX },
		{ skel->maps.unwind_files, UNWIND_FILES_MAX },
		{ skel->maps.unwind_pages, UNWIND_PAGES_MAX },
		{ skel->maps.unwind_rules, UNWIND_RULES_MAX },
		{ skel->maps.unwind_cache, UNWIND_CACHE_SLOTS },
	};
	size_t i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(sizes) && !err; i++)
		err = bpf_map__set_max_entries(sizes[i].map, sizes[i].entries);
	return err;
}

static int size_maps(struct shared_bpf *skel, const struct shared_config *config,
		     const struct targets *targets)
{
	bool follows = targets->pid_cnt || targets->by_command;
	int err;

	err = bpf_map__set_max_entries(skel->maps.followed, follows ? TARGET_FOLLOWED_MAX : 1);
	if (!err && targets->tid_cnt)
		err = bpf_map__set_max_entries(skel->maps.target_tids, targets->tid_cnt);
	if (!err && targets->comm_cnt)
		err = bpf_map__set_max_entries(skel->maps.target_comms, targets->comm_cnt);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.bodies, config->ring_bytes);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.seen, config->seen_slots);
	if (!err && config->with_tables)
		err = size_unwind_maps(skel);
	return err;
}

static int fill_maps(struct shared_maps *maps, const struct targets *targets)
{
	struct shared_bpf *skel = maps->skel;
	uint32_t one = 1, i;
	int err = 0;

	for (i = 0; i < targets->pid_cnt && !err; i++)
		err = shared_maps_follow(maps, targets->pids[i], TARGET_BY_PID);
	for (i = 0; i < targets->tid_cnt && !err; i++)
		err = bpf_map_update_elem(bpf_map__fd(skel->maps.target_tids), &targets->tids[i],
					  &one, BPF_ANY);
	for (i = 0; i < targets->comm_cnt && !err; i++)
		err = bpf_map_update_elem(bpf_map__fd(skel->maps.target_comms),
					  &targets->comms[i], &one, BPF_ANY);
	for (i = 0; i < targets->cgroup_cnt && !err; i++)
		err = bpf_map_update_elem(bpf_map__fd(skel->maps.target_cgroups), &i,
					  &targets->cgroup_fds[i], BPF_ANY);
	return err;
}

static int map_control(struct shared_maps *maps)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *at;

	maps->control_bytes = (sizeof(*maps->control) + page - 1) / page * page;
	at = mmap(NULL, maps->control_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		  bpf_map__fd(maps->skel->maps.control), 0);
	if (at == MAP_FAILED)
		return -errno;
	maps->control = at;
	return 0;
}

/* Before 5.11 the kernel says "not permitted" when RLIMIT_MEMLOCK is used up. */
static int load_failed(int code, struct errmsg *err)
{
	uint64_t limit = host_memlock();

	if (code == -EINVAL && probe_run(PROBE_RING_BUFFER) == -EINVAL)
		return err_say(err, code, "cannot load the BPF maps into the kernel: it has no BPF "
					  "ring buffers, which Linux 5.8 brought");
	if (code != -EPERM || limit == UINT64_MAX || host_memlock_counts() != 1)
		return bpf_log_failed(code, "the BPF maps", err);
	return err_say(err, code,
		       "cannot load the BPF maps into the kernel: this one charges them to "
		       "RLIMIT_MEMLOCK, which is %" PRIu64 " KiB; ulimit -l unlimited, in a unit "
		       "LimitMEMLOCK=infinity, or cap_sys_resource beside the other capabilities",
		       limit >> 10);
}

int shared_maps_new(const struct shared_config *config, const struct targets *targets,
		    struct shared_maps **ret, struct errmsg *err)
{
	struct shared_maps *maps = calloc(1, sizeof(*maps));
	int code;

	if (!maps)
		return err_set(err, -ENOMEM, "cannot create the BPF maps");
	bpf_log_begin();
	maps->cpu_cnt = cpus_possible_cnt();
	maps->tier = config->tier;
	maps->pid_namespace = config->pid_namespace;
	maps->skel = shared_bpf__open();
	code = maps->skel ? 0 : -errno;
	if (!code)
		code = size_maps(maps->skel, config, targets);
	if (!code)
		code = shared_bpf__load(maps->skel);
	if (!code)
		code = map_control(maps);
	if (!code)
		code = fill_maps(maps, targets);
	if (code) {
		shared_maps_free(maps);
		return load_failed(code, err);
	}
	*ret = maps;
	return 0;
}

void shared_maps_free(struct shared_maps *maps)
{
	if (!maps)
		return;
	if (maps->control)
		munmap(maps->control, maps->control_bytes);
	shared_bpf__destroy(maps->skel);
	free(maps);
}

enum tier shared_maps_tier(const struct shared_maps *maps)
{
	return maps->tier;
}

void shared_maps_note(struct shared_maps *maps, const struct tracer_outcome *outcome)
{
	if (maps->outcome_cnt < TRACERS_MAX)
		maps->outcomes[maps->outcome_cnt++] = *outcome;
}

const struct tracer_outcome *shared_maps_outcomes(const struct shared_maps *maps, size_t *ret_cnt)
{
	*ret_cnt = maps->outcome_cnt;
	return maps->outcomes;
}

/* The knob is a section of its own, at the same place in every object. */
static int set_pid_view(const struct shared_maps *maps, struct bpf_object *object)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, ".rodata.pids");
	const struct pid_view view = { .namespace = maps->pid_namespace };

	return map ? bpf_map__set_initial_value(map, &view, sizeof(view)) : 0;
}

int shared_maps_lend(const struct shared_maps *maps, struct bpf_object *object, struct errmsg *err)
{
	struct bpf_map *ours, *theirs;
	int code = set_pid_view(maps, object);

	if (code)
		return err_set(err, code, "cannot set the pid namespace of a BPF object");
	bpf_object__for_each_map(ours, maps->skel->obj) {
		if (bpf_map__is_internal(ours))
			continue;
		theirs = bpf_object__find_map_by_name(object, bpf_map__name(ours));
		if (!theirs)
			continue;
		code = bpf_map__reuse_fd(theirs, bpf_map__fd(ours));
		if (code)
			return err_set(err, code, "cannot share BPF map %s", bpf_map__name(ours));
	}
	return 0;
}

void shared_maps_filter(const struct targets *targets, struct target_filter *ret)
{
	*ret = (struct target_filter){
		.need_bits = (targets->pid_cnt ? TARGET_BY_PID : 0) |
			     (targets->by_command ? TARGET_BY_COMMAND : 0),
		.by_tid = targets->tid_cnt != 0,
		.by_comm = targets->comm_cnt != 0,
		.cgroup_cnt = (uint32_t)targets->cgroup_cnt,
	};
}

int shared_maps_follow(const struct shared_maps *maps, pid_t tgid, uint32_t bits)
{
	int fd = bpf_map__fd(maps->skel->maps.followed);
	struct target_followed followed = {};
	uint32_t key = (uint32_t)tgid;

	if (bpf_map_lookup_elem(fd, &key, &followed) != 0)
		followed = (struct target_followed){};
	followed.bits |= bits;
	return bpf_map_update_elem(fd, &key, &followed, BPF_ANY);
}

int shared_maps_follow_child(const struct shared_maps *maps, pid_t parent, pid_t tgid)
{
	struct target_followed known = {};
	uint32_t key = (uint32_t)parent;

	if (bpf_map_lookup_elem(bpf_map__fd(maps->skel->maps.followed), &key, &known) != 0)
		return 0;
	return shared_maps_follow(maps, tgid, known.bits);
}

void shared_maps_unfollow(const struct shared_maps *maps, pid_t tgid)
{
	uint32_t key = (uint32_t)tgid;

	bpf_map_delete_elem(bpf_map__fd(maps->skel->maps.followed), &key);
}

pid_t shared_maps_next_followed(const struct shared_maps *maps, pid_t tgid)
{
	uint32_t key = (uint32_t)tgid, next;

	if (bpf_map_get_next_key(bpf_map__fd(maps->skel->maps.followed), tgid ? &key : NULL,
				 &next) != 0)
		return 0;
	return (pid_t)next;
}

struct sampler_control *shared_maps_control(struct shared_maps *maps)
{
	return maps->control;
}

int shared_maps_stats(const struct shared_maps *maps, unsigned int bank, uint64_t ret[STAT_CNT])
{
	_cleanup_free_ uint64_t *values = calloc((size_t)maps->cpu_cnt, sizeof(*values));
	int fd = bpf_map__fd(maps->skel->maps.stats), stat, cpu;

	if (!values)
		return -ENOMEM;
	for (stat = 0; stat < STAT_CNT; stat++) {
		uint32_t row = bank * STAT_CNT + (uint32_t)stat;

		if (bpf_map_lookup_elem(fd, &row, values) != 0)
			return -errno;
		ret[stat] = 0;
		for (cpu = 0; cpu < maps->cpu_cnt; cpu++)
			ret[stat] += values[cpu];
	}
	return 0;
}

int shared_maps_bodies_fd(const struct shared_maps *maps)
{
	return bpf_map__fd(maps->skel->maps.bodies);
}

int shared_maps_fd(const struct shared_maps *maps, const char *name)
{
	return bpf_object__find_map_fd_by_name(maps->skel->obj, name);
}

uint64_t map_memlock_bytes(int fd)
{
	struct strbuf text = STRBUF_INIT;
	uint64_t bytes = 0;
	char path[64];
	char *at;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (read_path(path, 65536, &text) == 0 && (at = strstr(text.text, "memlock:")))
		bytes = strtoull(at + strlen("memlock:"), NULL, 10);
	strbuf_free(&text);
	return bytes;
}

uint64_t shared_maps_bytes(const struct shared_maps *maps)
{
	struct bpf_map *map;
	uint64_t bytes = 0;

	bpf_object__for_each_map(map, maps->skel->obj)
		if (strncmp(bpf_map__name(map), "unwind_", strlen("unwind_")) != 0)
			bytes += map_memlock_bytes(bpf_map__fd(map));
	return bytes;
}
