/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening DWARF, and look-ups: address -> unit (index) -> tables of the unit -> frames.
 *
 * A look-up first takes all it wants out of the unit's tables (the chain of calls, files and
 * lines) and reads names afterwards: reading them can add items to the symbol memory, which may
 * then drop those tables.
 */
#include "symbolizer/dwarf.h"

#include <errno.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_line.h"
#include "symbolizer/dwarf_split.h"
#include "symbolizer/dwarf_tables.h"
#include "symbolizer/dwarf_work.h"
#include "symbolizer/source_frames.h"

/* Work, as times the size of the sections. */
#define WORK_OF_INDEX 8
#define WORK_OF_LOOK_UP 4

/* What one address stands for, before names are read. */
struct answer {
	struct dwarf_call calls[SOURCE_FRAMES_MAX]; /* innermost first */
	uint32_t filenames[SOURCE_FRAMES_MAX];	    /* in the frames' text */
	size_t cnt;
	uint32_t line; /* of the innermost */
};

struct dwarf_file *dwarf_sup_file(struct dwarf *dwarf)
{
	return dwarf->has_sup ? &dwarf->sup : NULL;
}

/* ---- opening -------------------------------------------------------------------------------- */

static int use_index(struct dwarf *dwarf)
{
	const struct dwarf_config *config = &dwarf->config;
	int ret;

	if (config->index &&
	    dwarf_index_fits(config->index, config->index_bytes, &dwarf->main, &dwarf->text)) {
		dwarf->index = config->index;
		dwarf->main.units_known = true;
	} else {
		dwarf_work_start(dwarf, WORK_OF_INDEX);
		ret = dwarf_index_build(dwarf, config->elf, &dwarf->main, &dwarf->text,
					&dwarf->owned_index);
		if (ret)
			return ret;
		dwarf->index = dwarf->owned_index;
		free(dwarf->main.owned_units);
		dwarf->main.owned_units = NULL;
	}
	dwarf->main.units = dwarf_index_units(dwarf->index);
	dwarf->main.unit_cnt = dwarf->index->unit_cnt;
	dwarf->tables = calloc(MAX(dwarf->index->unit_cnt, 1u), sizeof(struct dwarf_tables *));
	return dwarf->tables ? 0 : -ENOMEM;
}

static int open_files(struct dwarf *dwarf)
{
	const struct dwarf_config *config = &dwarf->config;
	uint64_t inflated_max = dwarf_inflated_max(dwarf);
	int ret = dwarf_file_open(config->elf, false, inflated_max, &dwarf->main);

	if (ret)
		return ret;
	dwarf_text_init(&dwarf->text, config->elf);
	if (config->sup) {
		ret = dwarf_file_open(config->sup, false, inflated_max, &dwarf->sup);
		dwarf->has_sup = !ret;
	}
	if (config->package && ret != -ENOMEM && ret != -EIO)
		ret = dwarf_package_open(dwarf);
	return ret == -ENOMEM || ret == -EIO ? ret : 0;
}

int dwarf_open(const struct dwarf_config *config, struct dwarf **ret)
{
	struct dwarf *dwarf = calloc(1, sizeof(*dwarf));
	int code;

	if (!dwarf)
		return -ENOMEM;
	dwarf->config = *config;
	code = open_files(dwarf);
	if (!code)
		code = use_index(dwarf);
	if (code) {
		dwarf_close(dwarf);
		return code;
	}
	*ret = dwarf;
	return 0;
}

void dwarf_close(struct dwarf *dwarf)
{
	if (!dwarf)
		return;
	dwarf_tables_drop_all(dwarf);
	dwarf_scopes_forget(dwarf, NULL);
	dwarf_abbrevs_forget(dwarf, NULL);
	dwarf_splits_close(dwarf);
	free(dwarf->tables);
	free(dwarf->owned_index);
	dwarf_intervals_free(&dwarf->intervals);
	free(dwarf->walk_bytes);
	strbuf_free(&dwarf->name.text);
	dwarf_file_close(&dwarf->sup);
	dwarf_file_close(&dwarf->main);
	free(dwarf);
}

const void *dwarf_index(const struct dwarf *dwarf, size_t *ret_bytes)
{
	*ret_bytes = dwarf_index_bytes(dwarf->index);
	return dwarf->index;
}

size_t dwarf_heap_bytes(const struct dwarf *dwarf)
{
	size_t i, bytes = sizeof(*dwarf) + dwarf_file_heap_bytes(&dwarf->main) +
			  dwarf_file_heap_bytes(&dwarf->sup) + dwarf->name.text.capacity;

	bytes += dwarf_splits_heap_bytes(dwarf) + dwarf_intervals_heap_bytes(&dwarf->intervals) +
		 dwarf->walk_capacity;
	bytes += dwarf->index->unit_cnt * sizeof(*dwarf->tables);
	if (dwarf->owned_index)
		bytes += dwarf_index_bytes(dwarf->owned_index);
	for (i = 0; i < DWARF_ABBREVS_KEPT; i++)
		bytes += dwarf->abbrevs[i].abbrevs ?
				 dwarf_abbrevs_bytes(dwarf->abbrevs[i].abbrevs) :
				 0;
	return bytes;
}

/* ---- look-ups ------------------------------------------------------------------------------- */

static uint32_t add_path(const struct dwarf_tables *tables, uint32_t file, struct strbuf *path,
			 struct source_frames *frames)
{
	strbuf_clear(path);
	if (!tables->lines || !dwarf_lines_path(tables->lines, file, path) || path->failed)
		return 0;
	return source_frames_text(frames, path->text, path->len);
}

/* The chain of calls at @offset; when it is too long, the outermost one takes the last place. */
static void take_calls(const struct dwarf_tables *tables, uint32_t offset, struct answer *answer)
{
	const struct dwarf_functions *functions = &tables->functions;
	uint32_t number = dwarf_runs_find(functions->runs, functions->run_cnt, offset);

	while (number < functions->call_cnt) {
		const struct dwarf_call *call = &functions->calls[number];

		if (answer->cnt == SOURCE_FRAMES_MAX)
			answer->cnt--;
		answer->calls[answer->cnt++] = *call;
		/* Parents come before their children: this ends. */
		number = call->parent;
	}
}

/* Takes all that the tables know; false when that is nothing. */
static bool take_answer(const struct dwarf_tables *tables, uint64_t address, uint32_t offset,
			struct strbuf *path, struct source_frames *frames, struct answer *answer)
{
	uint32_t file = 0;
	size_t i;

	answer->cnt = 0;
	answer->line = 0;
	answer->filenames[0] = 0;
	take_calls(tables, offset, answer);
	if (tables->lines && dwarf_lines_find(tables->lines, address, &file, &answer->line))
		answer->filenames[0] = add_path(tables, file, path, frames);
	else if (!answer->cnt)
		return false;
	for (i = 1; i < answer->cnt; i++)
		answer->filenames[i] =
			add_path(tables, answer->calls[i - 1].call_file, path, frames);
	return true;
}

static void add_frame(struct dwarf *dwarf, const struct dwarf_unit *unit,
		      const struct answer *answer, size_t i, struct source_frames *frames)
{
	struct source_frame frame = {
		.filename = answer->filenames[i],
		.line = i ? answer->calls[i - 1].call_line : answer->line,
	};
	const struct dwarf_call *call = &answer->calls[i];
	struct dwarf_file *file;

	if (i < answer->cnt && unit) {
		file = call->in_sup ? dwarf_sup_file(dwarf) : unit->file;
		dwarf_name_read(dwarf, file, call->origin, unit, &dwarf->name);
		frame.name =
			source_frames_text(frames, dwarf->name.text.text, dwarf->name.text.len);
		frame.start_line = dwarf->name.start_line;
		frame.linker_name = dwarf->name.linker_name;
	}
	source_frames_add(frames, &frame);
}

static bool find_in_unit(struct dwarf *dwarf, uint32_t number, uint64_t address, uint32_t offset,
			 struct source_frames *frames)
{
	struct dwarf_unit unit, split;
	const struct dwarf_unit *names = &unit;
	struct strbuf path = STRBUF_INIT;
	struct dwarf_tables *tables;
	struct answer answer;
	bool found;
	size_t i;

	if (dwarf_unit_open(dwarf, &dwarf->main, dwarf->main.units[number].offset, &unit))
		return false;
	tables = dwarf_tables_get(dwarf, number, &unit);
	if (!tables)
		return false;
	found = take_answer(tables, address, offset, &path, frames, &answer);
	strbuf_free(&path);
	if (found && tables->of_split)
		names = dwarf_split_unit(&unit, &split) ? NULL : &split;
	for (i = 0; found && i < MAX(answer.cnt, (size_t)1); i++)
		add_frame(dwarf, names, &answer, i, frames);
	return found;
}

bool dwarf_find(struct dwarf *dwarf, uint64_t address, struct source_frames *frames)
{
	const struct dwarf_index *index = dwarf->index;
	uint32_t offset, number;

	if (!dwarf_text_offset(&dwarf->text, address, &offset))
		return false;
	number = dwarf_runs_find(dwarf_index_runs(index), index->run_cnt, offset);
	dwarf_work_start(dwarf, WORK_OF_LOOK_UP);
	return number != DWARF_NOBODY && find_in_unit(dwarf, number, address, offset, frames);
}
