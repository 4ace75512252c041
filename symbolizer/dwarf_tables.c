/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables of units: made when an address of the unit is asked for first, dropped when the symbol
 * memory wants room, made again.  A unit whose tables cannot be made has empty ones, so that it
 * is not tried again for each address.
 */
#include "symbolizer/dwarf_tables.h"

#include <errno.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_line.h"
#include "symbolizer/dwarf_split.h"
#include "symbolizer/dwarf_form.h"

#define PATH_BYTES_MAX 4096

static void free_tables(struct dwarf_tables *tables)
{
	tables->dwarf->tables[tables->unit] = NULL;
	dwarf_lines_free(tables->lines);
	dwarf_functions_free(&tables->functions);
	free(tables);
}

static void on_drop(struct symbol_memory_item *item)
{
	free_tables((struct dwarf_tables *)((char *)item - offsetof(struct dwarf_tables, item)));
}

static int load_lines(struct dwarf *dwarf, const struct dwarf_unit *unit, struct dwarf_lines **ret)
{
	struct strbuf name = STRBUF_INIT, comp_dir = STRBUF_INIT;
	struct dwarf_file *file = unit->file;
	struct dwarf_line_source source = {
		.line = &file->line,
		.line_str = &file->line_str,
		.str = &file->str,
		.sup_str = dwarf->has_sup ? &dwarf->sup.str : NULL,
		.str_offsets = &file->str_offsets.section,
		.str_offsets_base = unit->str_offsets_base,
		.offset = unit->root.stmt_list.value,
		.base = dwarf->text.base,
		.address_bytes = unit->encoding.address_bytes,
	};
	int code;

	if (!unit->root.stmt_list.form)
		return -ENODATA;
	dwarf_string(unit, &unit->root.name, PATH_BYTES_MAX, &name);
	dwarf_string(unit, &unit->root.comp_dir, PATH_BYTES_MAX, &comp_dir);
	source.name = name.text;
	source.comp_dir = comp_dir.text;
	code = name.failed || comp_dir.failed ? -ENOMEM : dwarf_lines_load(&source, ret);
	strbuf_free(&name);
	strbuf_free(&comp_dir);
	return code;
}

static struct dwarf_tables *make_tables(struct dwarf *dwarf, uint32_t number,
					const struct dwarf_unit *unit)
{
	struct dwarf_tables *tables = calloc(1, sizeof(*tables));
	struct dwarf_unit split;
	int ret;

	if (!tables)
		return NULL;
	tables->dwarf = dwarf;
	tables->unit = number;
	ret = load_lines(dwarf, unit, &tables->lines);
	if (ret != -ENOMEM) {
		tables->of_split = !dwarf_split_unit(unit, &split);
		ret = dwarf_functions_load(tables->of_split ? &split : unit, &dwarf->text,
					   &tables->functions);
	}
	if (ret == -ENOMEM) {
		free_tables(tables);
		return NULL;
	}
	tables->item.bytes = sizeof(*tables) + dwarf_functions_bytes(&tables->functions);
	if (tables->lines)
		tables->item.bytes += dwarf_lines_bytes(tables->lines);
	tables->item.drop = on_drop;
	dwarf->tables[number] = tables;
	symbol_memory_add(dwarf->config.memory, &tables->item);
	return tables;
}

struct dwarf_tables *dwarf_tables_get(struct dwarf *dwarf, uint32_t number,
				      const struct dwarf_unit *unit)
{
	struct dwarf_tables *tables = dwarf->tables[number];

	if (!tables)
		return make_tables(dwarf, number, unit);
	symbol_memory_use(dwarf->config.memory, &tables->item);
	return tables;
}

void dwarf_tables_drop_all(struct dwarf *dwarf)
{
	uint32_t i;

	for (i = 0; dwarf->tables && i < dwarf->index->unit_cnt; i++) {
		if (!dwarf->tables[i])
			continue;
		symbol_memory_remove(dwarf->config.memory, &dwarf->tables[i]->item);
		free_tables(dwarf->tables[i]);
	}
}

/* ---- abbreviation tables -------------------------------------------------------------------- */

static bool is_table_of(const struct dwarf_abbrevs *abbrevs, const struct dwarf_unit *unit)
{
	const struct dwarf_encoding *a = &unit->encoding, *b = &abbrevs->encoding;

	return abbrevs->file == unit->file && abbrevs->offset == unit->abbrev_offset &&
	       a->version == b->version && a->address_bytes == b->address_bytes &&
	       a->offset_bytes == b->offset_bytes;
}

const struct dwarf_abbrevs *dwarf_abbrevs_kept(const struct dwarf_unit *unit)
{
	struct dwarf *dwarf = unit->dwarf;
	size_t i;

	for (i = 0; i < DWARF_ABBREVS_KEPT; i++) {
		if (!dwarf->abbrevs[i].abbrevs || !is_table_of(dwarf->abbrevs[i].abbrevs, unit))
			continue;
		dwarf->abbrevs[i].used = ++dwarf->uses;
		return dwarf->abbrevs[i].abbrevs;
	}
	return NULL;
}

static void drop_abbrevs(struct dwarf *dwarf, size_t slot)
{
	dwarf_abbrevs_free(dwarf->abbrevs[slot].abbrevs);
	dwarf->abbrevs[slot].abbrevs = NULL;
	dwarf->abbrevs[slot].used = 0;
}

static size_t find_oldest(const struct dwarf *dwarf, size_t *ret_bytes)
{
	size_t i, oldest = DWARF_ABBREVS_KEPT;

	*ret_bytes = 0;
	for (i = 0; i < DWARF_ABBREVS_KEPT; i++) {
		if (!dwarf->abbrevs[i].abbrevs)
			continue;
		*ret_bytes += dwarf_abbrevs_bytes(dwarf->abbrevs[i].abbrevs);
		if (oldest == DWARF_ABBREVS_KEPT ||
		    dwarf->abbrevs[i].used < dwarf->abbrevs[oldest].used)
			oldest = i;
	}
	return oldest;
}

/* A slot for a table of @bytes; those used longest ago go. */
static size_t make_room(struct dwarf *dwarf, size_t bytes)
{
	size_t kept, oldest, i = 0;

	while ((oldest = find_oldest(dwarf, &kept)) < DWARF_ABBREVS_KEPT &&
	       kept + bytes > DWARF_ABBREVS_BYTES_KEPT)
		drop_abbrevs(dwarf, oldest);
	while (i < DWARF_ABBREVS_KEPT && dwarf->abbrevs[i].abbrevs)
		i++;
	if (i == DWARF_ABBREVS_KEPT)
		drop_abbrevs(dwarf, i = oldest);
	return i;
}

int dwarf_abbrevs_of(const struct dwarf_unit *unit, const struct dwarf_abbrevs **ret)
{
	const struct dwarf_abbrevs *kept = dwarf_abbrevs_kept(unit);
	struct dwarf *dwarf = unit->dwarf;
	struct dwarf_abbrevs *abbrevs;
	size_t slot;
	int code;

	if (kept) {
		*ret = kept;
		return 0;
	}
	code = dwarf_abbrevs_load(unit, &abbrevs);
	if (code)
		return code;
	slot = make_room(dwarf, dwarf_abbrevs_bytes(abbrevs));
	dwarf->abbrevs[slot].abbrevs = abbrevs;
	dwarf->abbrevs[slot].used = ++dwarf->uses;
	*ret = abbrevs;
	return 0;
}

void dwarf_abbrevs_forget(struct dwarf *dwarf, const struct dwarf_file *file)
{
	size_t i;

	for (i = 0; i < DWARF_ABBREVS_KEPT; i++) {
		if (!dwarf->abbrevs[i].abbrevs || (file && dwarf->abbrevs[i].abbrevs->file != file))
			continue;
		drop_abbrevs(dwarf, i);
	}
}
