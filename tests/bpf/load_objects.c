/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads BPF objects into the running kernel and prints what the verifier spent on each program:
 *
 *	load_objects shared.bpf.o sampler.bpf.o ...
 *	sampler.bpf.o sample_cpu 1234
 *
 * Each object is loaded twice, with its knobs (`const volatile` variables) as written and with
 * every knob that is 0 set to 1: what a knob switches off, the verifier does not look at.  The
 * larger figure is printed.  The first object stays loaded, and a map of a later object that has
 * the name of one of its maps is that map, as in the program itself.
 *
 * Exit status: 0 all loaded; 1 not, the verifier's words on stderr; 2 wrong use.
 */
#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#define LOG_BYTES (64 * 1024)
#define PROGRAMS_MAX 64

enum knobs { KNOBS_AS_WRITTEN, KNOBS_ON };

struct cost {
	const char *program; /* owned by the object */
	char *log;	     /* [LOG_BYTES] */
	unsigned long insns;
};

static int print_warnings(enum libbpf_print_level level, const char *fmt, va_list args)
{
	if (level == LIBBPF_DEBUG)
		return 0;
	return vfprintf(stderr, fmt, args);
}

/* Sets each integer of a variable that is 0 to 1. */
static void switch_on(const struct btf *btf, __u32 type_id, char *bytes)
{
	const struct btf_type *type;
	const struct btf_member *member;
	__s64 size;
	__u32 i;

	type_id = (__u32)btf__resolve_type(btf, type_id);
	type = btf__type_by_id(btf, type_id);
	size = btf__resolve_size(btf, type_id);
	if (!type || size <= 0)
		return;
	if (btf_is_int(type) || btf_is_any_enum(type)) {
		for (i = 0; i < size; i++)
			if (bytes[i])
				return;
		bytes[0] = 1; /* little endian */
	} else if (btf_is_composite(type)) {
		for (i = 0; i < btf_vlen(type); i++) {
			member = btf_members(type) + i;
			switch_on(btf, member->type, bytes + btf_member_bit_offset(type, i) / 8);
		}
	}
}

/* Knobs are the variables of .rodata and .rodata.* that are not static. */
static void switch_on_section(const struct btf *btf, const char *name, char *bytes, size_t size)
{
	const __s32 id = btf__find_by_name_kind(btf, name, BTF_KIND_DATASEC);
	const struct btf_type *section = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);
	const struct btf_var_secinfo *info;
	__u32 i;

	for (i = 0; section && i < btf_vlen(section); i++) {
		info = btf_var_secinfos(section) + i;
		if (info->offset + info->size <= size &&
		    btf_var(btf__type_by_id(btf, info->type))->linkage != BTF_VAR_STATIC)
			switch_on(btf, info->type, bytes + info->offset);
	}
}

static int switch_on_map(const struct bpf_object *object, struct bpf_map *map)
{
	const char *name = strstr(bpf_map__name(map), ".rodata");
	const void *initial;
	size_t size = 0;
	char *bytes;
	int ret;

	initial = name ? bpf_map__initial_value(map, &size) : NULL;
	if (!initial)
		return 0;
	bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, initial, size);
	switch_on_section(bpf_object__btf(object), name, bytes, size);
	ret = bpf_map__set_initial_value(map, bytes, size);
	free(bytes);
	return ret;
}

static int switch_on_knobs(const struct bpf_object *object)
{
	struct bpf_map *map;
	int ret = 0;

	bpf_object__for_each_map(map, object)
		if (!ret)
			ret = switch_on_map(object, map);
	return ret;
}

static int reuse_maps(struct bpf_object *object, const struct bpf_object *shared)
{
	const struct bpf_map *theirs;
	struct bpf_map *map;
	int ret;

	bpf_object__for_each_map(map, object) {
		if (bpf_map__is_internal(map))
			continue;
		theirs = bpf_object__find_map_by_name(shared, bpf_map__name(map));
		if (!theirs)
			continue;
		ret = bpf_map__reuse_fd(map, bpf_map__fd(theirs));
		if (ret < 0)
			return ret;
	}
	return 0;
}

static struct bpf_object *open_object(const char *path, const struct bpf_object *shared,
				      enum knobs knobs)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);

	if (!object) {
		fprintf(stderr, "load_objects: cannot open '%s': %s\n", path, strerror(errno));
		return NULL;
	}
	if ((knobs == KNOBS_ON && switch_on_knobs(object) < 0) ||
	    (shared && reuse_maps(object, shared) < 0)) {
		fprintf(stderr, "load_objects: %s: its knobs or shared maps cannot be set\n", path);
		bpf_object__close(object);
		return NULL;
	}
	return object;
}

/* A second try without a log buffer of ours makes libbpf print what the verifier says. */
static void explain_failure(const char *path, const struct bpf_object *shared, enum knobs knobs)
{
	struct bpf_object *object = open_object(path, shared, knobs);

	fprintf(stderr, "load_objects: %s does not load%s:\n", path,
		knobs == KNOBS_ON ? " with every knob on" : "");
	if (object) {
		bpf_object__load(object);
		bpf_object__close(object);
	}
}

static unsigned long parse_insns(const char *log)
{
	const char *line = strstr(log, "processed ");

	return line ? strtoul(line + strlen("processed "), NULL, 10) : 0;
}

static int give_logs(struct bpf_object *object, struct cost *costs, int *ret_cnt)
{
	struct bpf_program *program;
	int n = 0;

	bpf_object__for_each_program(program, object) {
		if (n == PROGRAMS_MAX)
			return -E2BIG;
		free(costs[n].log);
		costs[n].log = calloc(1, LOG_BYTES);
		if (!costs[n].log)
			return -ENOMEM;
		costs[n].program = bpf_program__name(program);
		bpf_program__set_log_level(program, 4);
		bpf_program__set_log_buf(program, costs[n].log, LOG_BYTES);
		n++;
	}
	*ret_cnt = n;
	return 0;
}

/* Loads once; raises each program's cost to what this load needed.  NULL if it failed. */
static struct bpf_object *load_once(const char *path, const struct bpf_object *shared,
				    enum knobs knobs, struct cost *costs, int *ret_cnt)
{
	struct bpf_object *object = open_object(path, shared, knobs);
	unsigned long insns;
	int i;

	if (!object)
		return NULL;
	if (give_logs(object, costs, ret_cnt) < 0 || bpf_object__load(object) < 0) {
		bpf_object__close(object);
		explain_failure(path, shared, knobs);
		return NULL;
	}
	for (i = 0; i < *ret_cnt; i++) {
		insns = parse_insns(costs[i].log);
		if (insns > costs[i].insns)
			costs[i].insns = insns;
	}
	return object;
}

/* The object stays loaded and is returned if it is the first. */
static int report(char *path, struct bpf_object **shared)
{
	struct cost costs[PROGRAMS_MAX] = {};
	struct bpf_object *object;
	int cnt = 0, i, ret = -1;

	object = load_once(path, *shared, KNOBS_ON, costs, &cnt);
	if (object) {
		bpf_object__close(object);
		object = load_once(path, *shared, KNOBS_AS_WRITTEN, costs, &cnt);
	}
	if (object) {
		for (i = 0; i < cnt; i++)
			printf("%s %s %lu\n", basename(path), costs[i].program, costs[i].insns);
		ret = 0;
	}
	for (i = 0; i < PROGRAMS_MAX; i++)
		free(costs[i].log);
	if (!*shared)
		*shared = object;
	else
		bpf_object__close(object);
	return ret;
}

int main(int argc, char **argv)
{
	struct bpf_object *shared = NULL;
	int i, failures = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: load_objects SHARED_OBJECT [OBJECT]...\n");
		return 2;
	}
	libbpf_set_print(print_warnings);
	for (i = 1; i < argc; i++)
		failures += report(argv[i], &shared) < 0;
	bpf_object__close(shared);
	return failures ? 1 : 0;
}
