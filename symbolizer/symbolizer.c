/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An address is first turned into what identifies the code (file and ELF address; process and
 * address for JIT code), looked up among the locations, and only when it is new, named.
 *
 * Code whose name can change under a fixed address (JIT, BPF programs, modules) is named first,
 * and the name is part of its identity: profiles already made keep the old name, new samples get
 * the new one.
 */
#include "symbolizer/symbolizer.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/base/hashmap.h"
#include "symbolizer/binary.h"
#include "symbolizer/kallsyms.h"
#include "symbolizer/location.h"
#include "symbolizer/mappings.h"
#include "symbolizer/perfmap.h"
#include "symbolizer/process.h"
#include "symbolizer/symbolizer_kernel.h"
#include "symbolizer/symtab.h"

#define SYMBOL_BYTES_DEFAULT (24u << 20)
#define FD_DEFAULT 256
#define VSYSCALL_START 0xffffffffff600000ull /* arch/x86/include/uapi/asm/vsyscall.h */
#define VSYSCALL_END 0xffffffffff601000ull
#define KERNEL_START 0xffff800000000000ull

struct symbolizer {
	struct binary_cache *binaries;
	struct process_table *processes;
	struct location_store *locations;
	struct kernel_names kernel;
};

static const struct location_mapping kernel_mapping = {
	KERNEL_START, UINT64_MAX, 0, "[kernel.kallsyms]", "",
};
static const struct location_mapping bpf_mapping = { KERNEL_START, UINT64_MAX, 0, "[bpf]", "" };
static const struct location_mapping jit_mapping = { 0, UINT64_MAX, 0, "[jit]", "" };
static const struct location_mapping vdso_mapping = { 0, UINT64_MAX, 0, "[vdso]", "" };
static const struct location_mapping vsyscall_mapping = {
	VSYSCALL_START, VSYSCALL_END, 0, "[vsyscall]", "",
};

/* Where stacks begin; a star stands for any rest. */
static const char *const user_bottoms[] = {
	"_start",
	"_dl_start_user",
	"__libc_start_main*",
	"__libc_start_call_main",
	"start_thread",
	"clone",
	"__clone",
	"clone3",
	"__clone3",
	"_rt0_*",
	"runtime.rt0_go*",
	"runtime.goexit*",
	"runtime.mstart*",
};
static const char *const kernel_bottoms[] = {
	"ret_from_fork*",
	"entry_SYSCALL_64*",
	"entry_SYSENTER_compat*",
	"entry_INT80_compat*",
	"secondary_startup_64*",
	"cpu_startup_entry",
	"kthread",
	"asm_*",
	"el0t_64_sync",
	"__primary_switched",
	"__secondary_switched",
};

static bool is_among(const char *name, const char *const *patterns, size_t cnt)
{
	size_t i, len;

	for (i = 0; i < cnt; i++) {
		len = strlen(patterns[i]);
		if (patterns[i][len - 1] == '*' ? strncmp(name, patterns[i], len - 1) == 0 :
						  strcmp(name, patterns[i]) == 0)
			return true;
	}
	return false;
}

static int create(struct symbolizer *symbolizer, const struct symbolizer_config *config)
{
	const char *proc_root = config->proc_root ? config->proc_root : "/proc";
	int r;

	r = binary_cache_new(proc_root,
			     config->symbol_bytes_max ? config->symbol_bytes_max :
							SYMBOL_BYTES_DEFAULT,
			     config->fd_max ? config->fd_max : FD_DEFAULT, &symbolizer->binaries);
	if (r == 0)
		r = process_table_new(proc_root, symbolizer->binaries, &symbolizer->processes);
	if (r == 0)
		r = location_store_new(config->demangle, &symbolizer->locations);
	if (r < 0)
		return r;
	if (config->kallsyms)
		symbolizer->kernel.path = strdup(config->kallsyms);
	else if (asprintf(&symbolizer->kernel.path, "%s/kallsyms", proc_root) < 0)
		symbolizer->kernel.path = NULL;
	return symbolizer->kernel.path ? 0 : -ENOMEM;
}

int symbolizer_new(const struct symbolizer_config *config, struct symbolizer **ret,
		   struct errmsg *err)
{
	struct symbolizer *symbolizer = calloc(1, sizeof(*symbolizer));
	int r = symbolizer ? create(symbolizer, config) : -ENOMEM;

	if (r < 0) {
		symbolizer_free(symbolizer);
		return err_set(err, r, "cannot set up the symbolizer");
	}
	*ret = symbolizer;
	return 0;
}

void symbolizer_free(struct symbolizer *symbolizer)
{
	if (!symbolizer)
		return;
	location_store_free(symbolizer->locations);
	process_table_free(symbolizer->processes);
	binary_cache_free(symbolizer->binaries);
	kernel_names_free(&symbolizer->kernel);
	free(symbolizer);
}

void symbolizer_watch_jit(struct symbolizer *symbolizer,
			  void (*mapped)(void *context, pid_t tgid, uint64_t start, uint64_t end),
			  void *context)
{
	process_table_watch_jit(symbolizer->processes, mapped, context);
}

int symbolizer_scan(struct symbolizer *symbolizer, struct errmsg *err)
{
	return process_table_scan(symbolizer->processes, err);
}

int symbolizer_scan_one(struct symbolizer *symbolizer, pid_t tgid, uint64_t now_ns)
{
	return process_table_scan_one(symbolizer->processes, tgid, now_ns);
}

int symbolizer_on_fork(struct symbolizer *symbolizer, pid_t tgid, pid_t parent_tgid,
		       uint64_t time_ns)
{
	return process_on_fork(symbolizer->processes, tgid, parent_tgid, time_ns);
}

int symbolizer_on_exec(struct symbolizer *symbolizer, pid_t tgid, uint64_t time_ns)
{
	return process_on_exec(symbolizer->processes, tgid, time_ns);
}

int symbolizer_on_exit(struct symbolizer *symbolizer, pid_t tgid, uint64_t time_ns)
{
	return process_on_exit(symbolizer->processes, tgid, time_ns);
}

int symbolizer_on_mmap(struct symbolizer *symbolizer, const struct mmap_event *event,
		       bool *ret_replaced)
{
	return process_on_mmap(symbolizer->processes, event, ret_replaced);
}

struct process *symbolizer_process(struct symbolizer *symbolizer, pid_t tgid, uint64_t time_ns)
{
	return process_find(symbolizer->processes, tgid, time_ns);
}

static const struct location *get_location(struct symbolizer *symbolizer,
					   const struct location_key *key,
					   const struct location_draft *draft)
{
	const struct location *location = location_store_find(symbolizer->locations, key);

	return location ? location : location_store_add(symbolizer->locations, key, draft);
}

/* One location for all addresses of which no more than @name is known. */
static const struct location *get_anonymous(struct symbolizer *symbolizer, enum location_kind kind,
					    const char *name,
					    const struct location_mapping *mapping)
{
	struct location_key key = { .kind = kind, .name = (uintptr_t)mapping };
	struct location_draft draft = {
		.name = name,
		.mapping = mapping,
		.address = mapping ? mapping->start : 0,
	};

	return get_location(symbolizer, &key, &draft);
}

static const struct location *get_unknown(struct symbolizer *symbolizer)
{
	return get_anonymous(symbolizer, LOCATION_UNKNOWN, "[unknown]", NULL);
}

/* ---- files ---- */

static const struct location *name_file(struct symbolizer *symbolizer, struct binary *binary,
					const struct location_key *key,
					const struct location_mapping *mapping)
{
	char offset_name[NAME_MAX + 32];
	struct location_draft draft = {
		.address = key->address,
		.mapping = mapping,
		.mapping_owner = binary_id(binary),
	};
	struct symbol symbol;

	if (key->variant && binary_find_symbol(binary, key->address, &symbol) && symbol.name[0]) {
		draft.named = true;
		draft.mangled = true;
		draft.name = symbol.name;
		draft.stack_bottom = is_among(symbol.name, user_bottoms, ARRAY_SIZE(user_bottoms));
	} else {
		snprintf(offset_name, sizeof(offset_name), "%.*s+0x%llx", NAME_MAX,
			 binary_basename(binary), (unsigned long long)key->address);
		draft.name = offset_name;
	}
	return location_store_add(symbolizer->locations, key, &draft);
}

static const struct location *resolve_file(struct symbolizer *symbolizer, enum location_kind kind,
					   struct binary *binary, uint64_t offset)
{
	struct location_mapping mapping = { .filename = binary_path(binary) };
	struct location_key key = { .owner = binary_id(binary), .kind = kind };
	const struct location *location;

	key.variant = binary_segment(binary, offset, &mapping.start, &mapping.limit,
				     &mapping.offset, &key.address);
	location = location_store_find(symbolizer->locations, &key);
	if (location)
		return location;
	mapping.build_id = binary_build_id(binary);
	return name_file(symbolizer, binary, &key, &mapping);
}

/* A 32-bit process's vdso is not ours: no names. */
static const struct location *resolve_foreign_vdso(struct symbolizer *symbolizer, uint64_t offset)
{
	struct location_key key = { .kind = LOCATION_VDSO, .address = offset };
	struct location_draft draft = { .address = offset, .mapping = &vdso_mapping };
	char name[40];

	snprintf(name, sizeof(name), "[vdso]+0x%llx", (unsigned long long)offset);
	draft.name = name;
	return get_location(symbolizer, &key, &draft);
}

/* ---- JIT ---- */

/* The location of JIT code that a perf-map names; NULL in *@ret: none does. False: no memory. */
static bool resolve_perfmap(struct symbolizer *symbolizer, struct process *process,
			    uint64_t address, const struct location **ret)
{
	const struct perfmap *map = process_perfmap(symbolizer->processes, process, monotonic_ns());
	struct location_key key = { .owner = process_id(process),
				    .address = address,
				    .kind = LOCATION_JIT };
	struct location_draft draft = { .address = address,
					.named = true,
					.mapping = &jit_mapping };
	struct perfmap_symbol symbol;

	*ret = NULL;
	if (!map || !perfmap_find(map, address, &symbol) || !symbol.name[0])
		return true;
	key.name = hash_bytes(symbol.name, strlen(symbol.name));
	draft.name = symbol.name;
	*ret = get_location(symbolizer, &key, &draft);
	return *ret;
}

static const struct location *resolve_jit(struct symbolizer *symbolizer, struct process *process,
					  uint64_t address, bool is_mapped)
{
	const struct location *location;

	if (!resolve_perfmap(symbolizer, process, address, &location))
		return NULL;
	if (location)
		return location;
	if (!is_mapped)
		return get_unknown(symbolizer);
	return get_anonymous(symbolizer, LOCATION_JIT, "[jit]", &jit_mapping);
}

const struct location *symbolizer_user(struct symbolizer *symbolizer, struct process *process,
				       uint64_t time_ns, uint64_t ip, bool return_address)
{
	uint64_t address = return_address ? ip - 1 : ip, offset;
	const struct mapping *mapping;
	struct process *before;

	if (address >= VSYSCALL_START && address < VSYSCALL_END)
		return get_anonymous(symbolizer, LOCATION_VDSO, "[vsyscall]", &vsyscall_mapping);
	if (!process)
		return get_unknown(symbolizer);
	mapping = mappings_find(process_mappings(process), address, time_ns);
	before = mapping ? NULL : process_before_exec(process, time_ns);
	if (before) {
		mapping = mappings_find(process_mappings(before), address, time_ns);
		process = mapping ? before : process;
	}
	if (!mapping)
		return resolve_jit(symbolizer, process, address, false);
	offset = address - mapping->start + mapping->offset;
	switch (mapping->kind) {
	case MAPPING_FILE:
		return resolve_file(symbolizer, LOCATION_USER, mapping->binary, offset);
	case MAPPING_VDSO:
		if (mapping->binary)
			return resolve_file(symbolizer, LOCATION_VDSO, mapping->binary, offset);
		return resolve_foreign_vdso(symbolizer, offset);
	case MAPPING_JIT:
		return resolve_jit(symbolizer, process, address, true);
	case MAPPING_VSYSCALL:
		break; /* its address is fixed: done above */
	}
	return get_unknown(symbolizer);
}

/* ---- kernel ---- */

struct kernel_answer {
	bool found, fixed;
	struct kernel_symbol symbol;
	struct location_key key;
};

static void ask_kernel(struct symbolizer *symbolizer, uint64_t address, struct kernel_answer *ret)
{
	*ret = (struct kernel_answer){ .key = { .address = address, .kind = LOCATION_KERNEL } };
	ret->found = kernel_names_find(&symbolizer->kernel, address, &ret->symbol, &ret->fixed);
	if (!ret->found)
		return;
	if (strcmp(ret->symbol.module, "bpf") == 0)
		ret->key.kind = LOCATION_BPF;
	ret->key.variant = true;
	if (!ret->fixed)
		ret->key.name = hash_bytes(ret->symbol.name, strlen(ret->symbol.name));
}

static const struct location *name_kernel(struct symbolizer *symbolizer,
					  const struct kernel_answer *answer)
{
	struct location_draft draft = {
		.address = answer->key.address,
		.mapping = answer->key.kind == LOCATION_BPF ? &bpf_mapping : &kernel_mapping,
	};
	char name[48];

	if (answer->found && answer->symbol.name[0]) {
		draft.named = true;
		draft.name = answer->symbol.name;
		draft.mangled = true; /* Rust in the kernel */
		draft.stack_bottom =
			is_among(draft.name, kernel_bottoms, ARRAY_SIZE(kernel_bottoms));
	} else {
		snprintf(name, sizeof(name), "[kernel]+0x%llx", (unsigned long long)draft.address);
		draft.name = name;
	}
	return location_store_add(symbolizer->locations, &answer->key, &draft);
}

const struct location *symbolizer_kernel(struct symbolizer *symbolizer, uint64_t ip,
					 bool return_address)
{
	uint64_t address = return_address ? ip - 1 : ip;
	const struct location *location;
	struct kernel_answer answer;

	ask_kernel(symbolizer, address, &answer);
	location = location_store_find(symbolizer->locations, &answer.key);
	if ((!answer.found || !answer.fixed) &&
	    kernel_names_refresh(&symbolizer->kernel, location, monotonic_ns())) {
		ask_kernel(symbolizer, address, &answer);
		location = location_store_find(symbolizer->locations, &answer.key);
	}
	return location ? location : name_kernel(symbolizer, &answer);
}

const struct location *symbolizer_note(struct symbolizer *symbolizer, const char *text)
{
	struct location_key key = { .kind = LOCATION_NOTE };
	struct location_draft draft = { .name = text, .named = true };

	key.name = hash_bytes(text, strlen(text));
	return get_location(symbolizer, &key, &draft);
}

bool symbolizer_kernel_hidden(const struct symbolizer *symbolizer)
{
	return kernel_names_hidden(&symbolizer->kernel);
}

void symbolizer_trim(struct symbolizer *symbolizer, uint64_t before_ns)
{
	process_table_trim(symbolizer->processes, before_ns);
	location_store_trim(symbolizer->locations);
}

void symbolizer_stats(const struct symbolizer *symbolizer, struct symbolizer_stats *ret)
{
	*ret = (struct symbolizer_stats){
		.processes = process_table_cnt(symbolizer->processes),
		.locations = location_store_cnt(symbolizer->locations),
		.bytes = sizeof(*symbolizer) + binary_cache_bytes(symbolizer->binaries) +
			 process_table_bytes(symbolizer->processes) +
			 location_store_bytes(symbolizer->locations) +
			 kernel_names_bytes(&symbolizer->kernel),
		.perfmap_skipped = process_table_perfmap_skipped(symbolizer->processes),
	};
}
