/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split units.
 *
 * The program holds a skeleton with addresses, lines, and the name of a file; the entries are in
 * that file.  A package is looked into first: it is one file that is open already, and who
 * packed the .dwo files may have removed them.
 *
 * A .dwo counts only when its id is the skeleton's: one of another build lies there easily, and
 * its functions would be put at addresses that are not theirs.  The files used last stay open,
 * because names are read from them at each look-up.
 */
#include "symbolizer/dwarf_split.h"

#include <errno.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_constants.h"
#include "symbolizer/dwarf_tables.h"
#include "symbolizer/dwarf_form.h"
#include "symbolizer/dwarf_work.h"

#define PATH_BYTES_MAX 4096
#define UNITS_LOOKED_AT_MAX 65536 /* of one .dwo, most of them of types */
#define WORK_OF_SPLIT 2		  /* times the size of the sections; a look-up asks twice */

struct dwarf_split {
	struct elf_file *elf;
	struct dwarf_file file;
	uint64_t skeleton;    /* offset of the skeleton, which tells splits apart */
	uint64_t unit_offset; /* of the unit with its entries */
	uint64_t used;
};

struct dwarf_package {
	struct dwarf_file file;
	struct section cu_index;
};

/* What the entries' unit @unit lacks: it is in the program, or where a package has it. */
static void complete(struct dwarf_unit *unit, const struct dwarf_unit *skeleton,
		     const struct dwarf_package_row *row)
{
	uint64_t length_bytes = unit->encoding.offset_bytes == 8 ? 12 : 4;
	bool is_5 = unit->encoding.version >= 5;

	unit->addr = skeleton->addr;
	unit->addr_base = skeleton->addr_base;
	unit->low_pc = skeleton->low_pc;
	unit->ranges = skeleton->ranges;
	unit->ranges_base = skeleton->root.ranges_base.value;
	unit->rnglists_start = row->rnglists;
	unit->rnglists_base = row->rnglists + length_bytes + 8;
	unit->str_offsets_base = row->str_offsets + (is_5 ? length_bytes + 4 : 0);
	if (!unit->root.language.form)
		unit->language = skeleton->language;
}

static int open_unit(const struct dwarf_unit *skeleton, struct dwarf_file *file,
		     const struct dwarf_package_row *row, struct dwarf_unit *ret)
{
	int code = dwarf_unit_header(skeleton->dwarf, file, row->info, ret);

	if (code)
		return code;
	ret->abbrev_offset += row->abbrev;
	code = dwarf_unit_root(ret);
	if (code)
		return code;
	if (!ret->has_dwo_id || ret->dwo_id != skeleton->dwo_id)
		return -ESTALE;
	complete(ret, skeleton, row);
	return 0;
}

/* ---- packages ------------------------------------------------------------------------------- */

int dwarf_package_open(struct dwarf *dwarf)
{
	struct elf_file *elf = dwarf->config.package;
	struct dwarf_package *package = calloc(1, sizeof(*package));
	int ret;

	if (!package)
		return -ENOMEM;
	ret = dwarf_file_open(elf, true, dwarf_inflated_max(dwarf), &package->file);
	if (!ret)
		ret = dwarf_section_open(elf, ".debug_cu_index", NULL, &package->cu_index);
	if (!ret)
		ret = section_load(&package->cu_index);
	/* No unit of a package refers into another one. */
	package->file.units_known = true;
	dwarf->package = package;
	return ret == -ENOENT ? -ENODATA : ret;
}

static int open_in_package(const struct dwarf_unit *skeleton, struct dwarf_unit *ret)
{
	struct dwarf_package *package = skeleton->dwarf->package;
	struct dwarf_package_row row;
	int code;

	if (!package || !package->cu_index.bytes)
		return -ENOENT;
	code = dwarf_package_find(package->cu_index.bytes, package->cu_index.size, skeleton->dwo_id,
				  &row);
	return code ? code : open_unit(skeleton, &package->file, &row, ret);
}

/* ---- .dwo files ----------------------------------------------------------------------------- */

static void close_split(struct dwarf *dwarf, struct dwarf_split *split)
{
	dwarf_scopes_forget(dwarf, &split->file);
	dwarf_abbrevs_forget(dwarf, &split->file);
	dwarf_file_close(&split->file);
	if (split->elf)
		dwarf->config.close_split(dwarf->config.context, split->elf);
	free(split);
}

void dwarf_splits_close(struct dwarf *dwarf)
{
	size_t i;

	for (i = 0; i < DWARF_SPLITS_KEPT; i++) {
		if (dwarf->splits[i])
			close_split(dwarf, dwarf->splits[i]);
		dwarf->splits[i] = NULL;
	}
	if (!dwarf->package)
		return;
	dwarf_file_close(&dwarf->package->file);
	section_close(&dwarf->package->cu_index);
	free(dwarf->package);
	dwarf->package = NULL;
}

size_t dwarf_splits_heap_bytes(const struct dwarf *dwarf)
{
	size_t i, bytes = 0;

	for (i = 0; i < DWARF_SPLITS_KEPT; i++) {
		if (dwarf->splits[i])
			bytes += sizeof(*dwarf->splits[i]) +
				 dwarf_file_heap_bytes(&dwarf->splits[i]->file);
	}
	if (dwarf->package)
		bytes += sizeof(*dwarf->package) + dwarf_file_heap_bytes(&dwarf->package->file) +
			 section_heap_bytes(&dwarf->package->cu_index);
	return bytes;
}

static int open_file(const struct dwarf_unit *skeleton, struct elf_file **ret)
{
	const struct dwarf_config *config = &skeleton->dwarf->config;
	struct strbuf name = STRBUF_INIT, comp_dir = STRBUF_INIT;
	int code;

	if (!config->open_split)
		return -ENOENT;
	code = dwarf_string(skeleton, &skeleton->root.dwo_name, PATH_BYTES_MAX, &name);
	dwarf_string(skeleton, &skeleton->root.comp_dir, PATH_BYTES_MAX, &comp_dir);
	if (name.failed || comp_dir.failed)
		code = -ENOMEM;
	if (!code && !name.len)
		code = -ENOENT;
	if (!code)
		code = config->open_split(config->context, comp_dir.len ? comp_dir.text : "",
					  name.text, ret);
	strbuf_free(&name);
	strbuf_free(&comp_dir);
	return code;
}

/* The skeleton's unit among those of the file. */
static int find_unit(const struct dwarf_unit *skeleton, struct dwarf_split *split)
{
	struct dwarf_package_row row = {};
	struct dwarf_unit unit;
	int i, ret = -ESTALE;

	for (i = 0; i < UNITS_LOOKED_AT_MAX && row.info < split->file.info.section.size; i++) {
		ret = open_unit(skeleton, &split->file, &row, &unit);
		if (!ret) {
			split->unit_offset = row.info;
			return 0;
		}
		if (ret == -ENOMEM || ret == -EIO || !unit.end)
			return ret;
		row.info = unit.end;
	}
	return -ESTALE;
}

static int load_split(const struct dwarf_unit *skeleton, struct dwarf_split *split)
{
	int ret = open_file(skeleton, &split->elf);

	if (ret)
		return ret;
	ret = dwarf_file_open(split->elf, true, dwarf_inflated_max(skeleton->dwarf),
			      &split->file);
	if (ret)
		return ret;
	dwarf_work_allow(skeleton->dwarf, &split->file, WORK_OF_SPLIT);
	return find_unit(skeleton, split);
}

/* A slot for one more file; the one used longest ago goes. */
static struct dwarf_split **free_slot(struct dwarf *dwarf)
{
	struct dwarf_split **slot = &dwarf->splits[0];
	size_t i;

	for (i = 0; i < DWARF_SPLITS_KEPT; i++) {
		if (!dwarf->splits[i])
			return &dwarf->splits[i];
		if (dwarf->splits[i]->used < (*slot)->used)
			slot = &dwarf->splits[i];
	}
	close_split(dwarf, *slot);
	*slot = NULL;
	return slot;
}

static int get_split(const struct dwarf_unit *skeleton, struct dwarf_split **ret)
{
	struct dwarf *dwarf = skeleton->dwarf;
	struct dwarf_split *split;
	size_t i;
	int code;

	for (i = 0; i < DWARF_SPLITS_KEPT; i++) {
		if (dwarf->splits[i] && dwarf->splits[i]->skeleton == skeleton->offset) {
			*ret = dwarf->splits[i];
			return 0;
		}
	}
	split = calloc(1, sizeof(*split));
	if (!split)
		return -ENOMEM;
	split->skeleton = skeleton->offset;
	code = load_split(skeleton, split);
	if (code) {
		close_split(dwarf, split);
		return code;
	}
	*free_slot(dwarf) = split;
	*ret = split;
	return 0;
}

int dwarf_split_unit(const struct dwarf_unit *skeleton, struct dwarf_unit *ret)
{
	struct dwarf_package_row row = {};
	struct dwarf_split *split;
	int code;

	if (!skeleton->has_dwo_id ||
	    (skeleton->type != DW_UT_skeleton && !skeleton->root.dwo_name.form))
		return -ENODATA;
	code = open_in_package(skeleton, ret);
	if (!code)
		dwarf_work_allow(skeleton->dwarf, ret->file, WORK_OF_SPLIT);
	if (!code)
		return 0;
	code = get_split(skeleton, &split);
	if (code)
		return code;
	dwarf_work_allow(skeleton->dwarf, &split->file, WORK_OF_SPLIT);
	split->used = ++skeleton->dwarf->uses;
	row.info = split->unit_offset;
	return open_unit(skeleton, &split->file, &row, ret);
}
