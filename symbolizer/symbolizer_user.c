/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User addresses.  One is first turned into what identifies the code (file and ELF address;
 * process and address for JIT code), looked up among the locations, and only when it is new,
 * named.
 *
 * JIT code, whose name can change under a fixed address, is named first, and the name is part of
 * its identity: profiles already made keep the old name, new samples get the new one.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/hashmap.h"
#include "symbolizer/binary.h"
#include "symbolizer/jit_name.h"
#include "symbolizer/mappings.h"
#include "symbolizer/process.h"
#include "symbolizer/symbolizer_private.h"

#define VSYSCALL_START 0xffffffffff600000ull /* arch/x86/include/uapi/asm/vsyscall.h */
#define VSYSCALL_END 0xffffffffff601000ull

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
static const struct location *get_unknown(struct symbolizer *symbolizer)
{
	return symbolizer_anonymous(symbolizer, LOCATION_UNKNOWN, 0, "[unknown]", NULL);
}

/* ---- files ---- */

/* `libx.so+0x1234` */
static const struct location *add_nameless(struct symbolizer *symbolizer, struct binary *binary,
					   const struct location_key *key,
					   struct location_draft *draft)
{
	char name[NAME_MAX + 32];
	struct location_text text = { .name = name };

	snprintf(name, sizeof(name), "%.*s+0x%llx", NAME_MAX, binary_basename(binary),
		 (unsigned long long)key->address);
	draft->texts = &text;
	draft->text_cnt = 1;
	return location_store_add(symbolizer->locations, key, draft);
}

static const struct location *name_file(struct symbolizer *symbolizer, struct binary *binary,
					const struct location_key *key,
					const struct location_mapping *mapping)
{
	struct location_text texts[SOURCE_FRAMES_MAX];
	struct location_draft draft = {
		.address = key->address,
		.mapping = mapping,
		.mapping_owner = binary_id(binary),
	};

	if (!key->variant || !binary_find(binary, key->address, &symbolizer->frames))
		return add_nameless(symbolizer, binary, key, &draft);
	draft.named = true;
	draft.texts = texts;
	draft.text_cnt = symbolizer_texts(symbolizer, texts);
	draft.stack_bottom = symbolizer_is_among(texts[draft.text_cnt - 1].name, user_bottoms,
						 ARRAY_SIZE(user_bottoms));
	return location_store_add(symbolizer->locations, key, &draft);
}

const struct location *symbolizer_binary(struct symbolizer *symbolizer, struct binary *binary,
					 const struct location_key *key,
					 struct location_mapping *mapping)
{
	const struct location *location = location_store_find(symbolizer->locations, key);

	if (location)
		return location;
	mapping->filename = binary_path(binary);
	mapping->build_id = binary_build_id(binary);
	return name_file(symbolizer, binary, key, mapping);
}

static const struct location *resolve_file(struct symbolizer *symbolizer, enum location_kind kind,
					   struct binary *binary, uint64_t offset)
{
	struct location_key key = { .owner = binary_id(binary), .kind = kind };
	struct location_mapping mapping;

	if (binary_segment(binary, offset, &mapping.start, &mapping.limit, &mapping.offset,
			   &key.address))
		key.variant = 1 + binary_generation(binary);
	return symbolizer_binary(symbolizer, binary, &key, &mapping);
}

/* A 32-bit process's vdso is not ours: no names. */
static const struct location *resolve_foreign_vdso(struct symbolizer *symbolizer, uint64_t offset)
{
	struct location_key key = { .kind = LOCATION_VDSO, .address = offset };
	char name[40];
	struct location_text text = { .name = name };
	struct location_draft draft = { .address = offset,
					.texts = &text,
					.text_cnt = 1,
					.mapping = &vdso_mapping };

	snprintf(name, sizeof(name), "[vdso]+0x%llx", (unsigned long long)offset);
	return symbolizer_location(symbolizer, &key, &draft);
}

/* ---- JIT ---- */

/* The location of JIT code that its runtime names; NULL in *@ret: none does. False: no memory. */
static bool resolve_named_jit(struct symbolizer *symbolizer, struct process *process,
			      uint64_t address, uint64_t time_ns, const struct location **ret)
{
	struct location_key key = { .owner = process_id(process),
				    .address = address,
				    .kind = LOCATION_JIT };
	struct location_text text = {};
	struct location_draft draft = { .address = address,
					.named = true,
					.texts = &text,
					.text_cnt = 1,
					.mapping = &jit_mapping };
	struct jit_frame frame;
	struct jit_name name;

	*ret = NULL;
	if (!process_jit_find(symbolizer->processes, process, address, time_ns, monotonic_ns(),
			      &frame))
		return true;
	key.name = hash_bytes(frame.name, strlen(frame.name));
	key.variant = frame.line;
	jit_name_split(frame.name, &name);
	text.name = frame.name;
	text.function = name.function;
	text.filename = frame.filename ? frame.filename : name.filename;
	/* A perf-map knows where the function begins, not where it is. */
	text.line = frame.line ? frame.line : name.start_line;
	text.start_line = name.start_line;
	*ret = symbolizer_location(symbolizer, &key, &draft);
	return *ret;
}

static const struct location *resolve_jit(struct symbolizer *symbolizer, struct process *process,
					  uint64_t address, uint64_t time_ns, bool is_mapped)
{
	const struct location *location;

	if (!resolve_named_jit(symbolizer, process, address, time_ns, &location))
		return NULL;
	if (location)
		return location;
	if (!is_mapped)
		return get_unknown(symbolizer);
	return symbolizer_anonymous(symbolizer, LOCATION_JIT, process_id(process), "[jit]",
				    &jit_mapping);
}

const struct location *symbolizer_user(struct symbolizer *symbolizer, struct process *process,
				       uint64_t time_ns, uint64_t ip, bool return_address)
{
	uint64_t address = return_address ? ip - 1 : ip, offset;
	const struct mapping *mapping;
	struct process *before;

	if (address >= VSYSCALL_START && address < VSYSCALL_END)
		return symbolizer_anonymous(symbolizer, LOCATION_VDSO, 0, "[vsyscall]",
					    &vsyscall_mapping);
	if (!process)
		return get_unknown(symbolizer);
	mapping = mappings_find(process_mappings(process), address, time_ns);
	before = mapping ? NULL : process_before_exec(process, time_ns);
	if (before) {
		mapping = mappings_find(process_mappings(before), address, time_ns);
		process = mapping ? before : process;
	}
	if (!mapping)
		return resolve_jit(symbolizer, process, address, time_ns, false);
	offset = address - mapping->start + mapping->offset;
	switch (mapping->kind) {
	case MAPPING_FILE:
		return resolve_file(symbolizer, LOCATION_USER, mapping->binary, offset);
	case MAPPING_VDSO:
		if (mapping->binary)
			return resolve_file(symbolizer, LOCATION_VDSO, mapping->binary, offset);
		return resolve_foreign_vdso(symbolizer, offset);
	case MAPPING_JIT:
		return resolve_jit(symbolizer, process, address, time_ns, true);
	case MAPPING_VSYSCALL:
		break; /* its address is fixed: done above */
	}
	return get_unknown(symbolizer);
}
