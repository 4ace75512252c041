/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User addresses.  One is first turned into what identifies the code (file and ELF address), looked
 * up among the locations, and only when it is new, named.  For code made at run time, see
 * symbolizer_jit.c.
 */
#include <limits.h>
#include <stdio.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/binary.h"
#include "symbolizer/mappings.h"
#include "symbolizer/process.h"
#include "symbolizer/symbolizer_private.h"

#define VSYSCALL_START 0xffffffffff600000ull /* arch/x86/include/uapi/asm/vsyscall.h */
#define VSYSCALL_END 0xffffffffff601000ull

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
	"libc_start_main_stage2", /* musl's: its code tells nothing of frames */
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

	draft.named = key->variant && binary_find(binary, key->address, &symbolizer->frames);
	draft.awaited = binary_awaits_names(binary);
	if (!draft.named)
		return add_nameless(symbolizer, binary, key, &draft);
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
		return symbolizer_unknown(symbolizer);
	mapping = mappings_find(process_mappings(process), address, time_ns);
	before = mapping ? NULL : process_before_exec(process, time_ns);
	if (before) {
		mapping = mappings_find(process_mappings(before), address, time_ns);
		process = mapping ? before : process;
	}
	if (!mapping)
		return symbolizer_jit(symbolizer, process, address, time_ns, false);
	offset = address - mapping->start + mapping->offset;
	switch (mapping->kind) {
	case MAPPING_FILE:
		return resolve_file(symbolizer, LOCATION_USER, mapping->binary, offset);
	case MAPPING_VDSO:
		if (mapping->binary)
			return resolve_file(symbolizer, LOCATION_VDSO, mapping->binary, offset);
		return resolve_foreign_vdso(symbolizer, offset);
	case MAPPING_JIT:
		return symbolizer_jit(symbolizer, process, address, time_ns, true);
	case MAPPING_VSYSCALL:
		break; /* its address is fixed: done above */
	}
	return symbolizer_unknown(symbolizer);
}
