/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernel addresses: vmlinux, modules, BPF programs. */
#include <stdio.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/hashmap.h"
#include "symbolizer/kallsyms.h"
#include "symbolizer/symbolizer_private.h"

#define KERNEL_START 0xffff800000000000ull

static const struct location_mapping kernel_mapping = {
	KERNEL_START, UINT64_MAX, 0, "[kernel.kallsyms]", "",
};
static const struct location_mapping bpf_mapping = { KERNEL_START, UINT64_MAX, 0, "[bpf]", "" };

/* Where stacks begin; a star stands for any rest. */
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

/*
 * The texts of a function of the kernel with lines; false: it has none.  kallsyms' name of the
 * outermost is kept: it is the one that other tools and the kernel's own messages print.
 */
static bool add_lines(struct symbolizer *symbolizer, const struct kernel_answer *answer,
		      struct location_text texts[SOURCE_FRAMES_MAX], size_t *ret_cnt)
{
	uint64_t stext, etext;

	if (!answer->fixed || answer->symbol.module[0])
		return false;
	kernel_names_text(&symbolizer->kernel, &stext, &etext);
	if (!kernel_lines_find(&symbolizer->kernel_lines, stext, etext, answer->key.address,
			       &symbolizer->frames))
		return false;
	*ret_cnt = symbolizer_texts(symbolizer, texts);
	return *ret_cnt > 0;
}

static const struct location *name_kernel(struct symbolizer *symbolizer,
					  const struct kernel_answer *answer)
{
	struct location_text texts[SOURCE_FRAMES_MAX] = {}, *outermost = texts;
	struct location_draft draft = {
		.address = answer->key.address,
		.texts = texts,
		.text_cnt = 1,
		.mapping = answer->key.kind == LOCATION_BPF ? &bpf_mapping : &kernel_mapping,
	};
	char name[48];

	if (answer->found && answer->symbol.name[0]) {
		draft.named = true;
		if (add_lines(symbolizer, answer, texts, &draft.text_cnt))
			outermost = &texts[draft.text_cnt - 1];
		outermost->name = answer->symbol.name;
		outermost->linker_name = true; /* Rust in the kernel */
		draft.stack_bottom = symbolizer_is_among(outermost->name, kernel_bottoms,
							 ARRAY_SIZE(kernel_bottoms));
	} else {
		snprintf(name, sizeof(name), "[kernel]+0x%llx", (unsigned long long)draft.address);
		outermost->name = name;
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
