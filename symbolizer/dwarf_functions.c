/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of a unit's functions and inlined calls.
 *
 * One walk collects, for each function with code and each inlined call, 16 bytes (where its name
 * is, where it was called from, what it was inlined into) and the addresses it covers; these
 * become runs that do not overlap, each with the innermost call that covers it.  A look-up is a
 * binary search and a walk along the parents.  Names are not read: most are never asked for.
 *
 * A table of functions first, and of inlined calls per function when asked for, was the
 * alternative.  It walks the same bytes to find where functions end (entries can only be found by
 * walking), and functions that are asked for once are usually asked for again.
 *
 * An inlined call that covers nothing itself still counts as the caller of what lies in it.
 */
#include "symbolizer/dwarf_functions.h"

#include <errno.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_ranges.h"
#include "symbolizer/dwarf_tables.h"
#include "symbolizer/dwarf_walk.h"
#include "symbolizer/dwarf_form.h"

struct build {
	struct dwarf_functions functions;
	size_t call_capacity;
	struct dwarf_intervals intervals;
	struct dwarf_range_visit ranges;
	struct dwarf_nesting nesting;
	uint32_t owner; /* of the ranges that are visited */
};

static int on_range(void *context, uint64_t start, uint64_t end)
{
	struct build *build = context;

	return dwarf_intervals_add(&build->intervals, start, end, build->owner);
}

/* Adds what the walk's entry covers; a broken range list costs its entry only. */
static int add_ranges(struct build *build, const struct dwarf_walk *walk, uint32_t owner)
{
	struct dwarf_value low_pc = dwarf_walk_value(walk, DWARF_LOW_PC);
	struct dwarf_value high_pc = dwarf_walk_value(walk, DWARF_HIGH_PC);
	struct dwarf_value ranges = dwarf_walk_value(walk, DWARF_RANGES);
	int ret;

	build->owner = owner;
	ret = dwarf_ranges_visit(walk->unit, &low_pc, &high_pc, &ranges, &build->ranges);
	return ret == -ENOMEM || ret == -E2BIG ? ret : 0;
}

static int push_call(struct build *build, const struct dwarf_call *call)
{
	struct dwarf_functions *functions = &build->functions;
	size_t more = build->call_capacity ? build->call_capacity * 2 : 64;
	void *larger;

	if (functions->call_cnt == build->call_capacity) {
		larger = realloc(functions->calls, more * sizeof(*call));
		if (!larger)
			return -ENOMEM;
		functions->calls = larger;
		build->call_capacity = more;
	}
	functions->calls[functions->call_cnt++] = *call;
	return 0;
}

static uint32_t number_of(const struct dwarf_walk *walk, enum dwarf_slot slot)
{
	struct dwarf_value value = dwarf_walk_value(walk, slot);

	return value.value > UINT32_MAX ? 0 : (uint32_t)value.value;
}

static struct dwarf_call make_call(const struct dwarf_walk *walk, uint32_t parent)
{
	struct dwarf_call call = { .origin = (uint32_t)walk->offset, .parent = DWARF_NO_PARENT };
	struct dwarf_value origin = dwarf_walk_value(walk, DWARF_ORIGIN);
	struct dwarf_file *file;
	uint64_t offset;

	if (walk->declaration->kind != DWARF_INLINED)
		return call;
	call.parent = parent & DWARF_NO_PARENT;
	call.call_file = number_of(walk, DWARF_CALL_FILE);
	call.call_line = number_of(walk, DWARF_CALL_LINE);
	if (!dwarf_reference(walk->unit, &origin, &file, &offset)) {
		call.origin = (uint32_t)offset;
		call.in_sup = file != walk->unit->file;
	}
	return call;
}

static int add_call(struct build *build, const struct dwarf_walk *walk)
{
	uint32_t parent = dwarf_nesting_parent(&build->nesting, walk, DWARF_NO_PARENT);
	uint32_t number = (uint32_t)build->functions.call_cnt;
	size_t interval_cnt = build->intervals.cnt;
	struct dwarf_call call;
	int ret;

	ret = add_ranges(build, walk, number);
	if (ret)
		return ret;
	/* Without code, and around nothing that counts: dropped by the linker, or all moved away. */
	if (build->intervals.cnt == interval_cnt &&
	    (!walk->declaration->children || parent == DWARF_NO_PARENT))
		return 0;
	call = make_call(walk, parent);
	ret = push_call(build, &call);
	if (!ret)
		dwarf_nesting_push(&build->nesting, walk, number);
	return ret;
}

static int walk_unit(struct build *build, struct dwarf_walk *walk)
{
	int ret = 0;

	while (!ret && build->functions.call_cnt < DWARF_CALLS_MAX && dwarf_walk_next(walk))
		ret = add_call(build, walk);
	return ret ? ret : walk->error;
}

static void shrink_calls(struct dwarf_functions *functions)
{
	void *smaller = realloc(functions->calls,
				MAX(functions->call_cnt, (size_t)1) * sizeof(*functions->calls));

	if (smaller)
		functions->calls = smaller;
}

static int build_table(struct build *build, const struct dwarf_unit *unit)
{
	struct dwarf_walk walk;
	int ret;

	ret = dwarf_walk_start(unit, 1u << DWARF_FUNCTION | 1u << DWARF_INLINED, &walk);
	if (ret)
		return ret;
	ret = walk_unit(build, &walk);
	dwarf_walk_end(&walk);
	if (ret)
		return ret;
	shrink_calls(&build->functions);
	return dwarf_intervals_flatten(&build->intervals, DWARF_LARGEST_OWNER,
				       &build->functions.runs, &build->functions.run_cnt);
}

static void init_build(struct build *build, const struct dwarf_unit *unit,
		       const struct dwarf_text *text)
{
	*build = (struct build){
		.intervals.text = text,
		.ranges.visit = on_range,
		.ranges.context = build,
		.ranges.items_left = dwarf_ranges_budget(unit->ranges, unit->rnglists),
	};
}

int dwarf_functions_load(const struct dwarf_unit *unit, const struct dwarf_text *text,
			 struct dwarf_functions *ret)
{
	struct dwarf *dwarf = unit->dwarf;
	struct build build;
	int code;

	init_build(&build, unit, text);
	build.intervals = dwarf->intervals;
	build.intervals.text = text;
	code = build_table(&build, unit);
	dwarf->intervals = build.intervals;
	dwarf_intervals_clear(&dwarf->intervals);
	if (code) {
		dwarf_functions_free(&build.functions);
		return code;
	}
	*ret = build.functions;
	return 0;
}

void dwarf_functions_free(struct dwarf_functions *functions)
{
	free(functions->calls);
	free(functions->runs);
	*functions = (struct dwarf_functions){};
}

size_t dwarf_functions_bytes(const struct dwarf_functions *functions)
{
	return functions->call_cnt * sizeof(*functions->calls) +
	       functions->run_cnt * sizeof(*functions->runs);
}

int dwarf_functions_add(const struct dwarf_unit *unit, struct dwarf_intervals *intervals,
			uint32_t owner, uint64_t *items_left)
{
	struct build build;
	struct dwarf_walk walk;
	int ret;

	init_build(&build, unit, intervals->text);
	ret = dwarf_walk_start(unit, 1u << DWARF_FUNCTION, &walk);
	if (ret)
		return ret;
	build.intervals = *intervals;
	build.ranges.items_left = *items_left;
	while (!ret && dwarf_walk_next(&walk))
		ret = add_ranges(&build, &walk, owner);
	*intervals = build.intervals;
	*items_left = build.ranges.items_left;
	dwarf_walk_end(&walk);
	return ret;
}
