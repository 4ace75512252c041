/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scopes around functions: namespaces, classes, functions.
 *
 * Entries do not say what they lie in; only a walk from the unit's root tells.  Compilers give
 * most functions of languages with scopes a linkage name, so this is wanted for few (gcc's static
 * functions, lambdas): when the first name of a unit wants scopes, one walk notes the parents
 * of all its functions and scopes, 8 bytes each, and that table is an item of the symbol memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_constants.h"
#include "symbolizer/dwarf_tables.h"
#include "symbolizer/dwarf_walk.h"
#include "symbolizer/dwarf_form.h"

#define SCOPES_MAX (4u << 20) /* of a unit; the rest is left out */
#define NO_SCOPE UINT32_MAX
#define LEVELS_MAX 16
#define CHAIN_MAX 16

struct dwarf_scope {
	uint32_t offset; /* of the entry in .debug_info */
	uint32_t parent; /* index, NO_SCOPE = the unit */
};

/* ---- the table ------------------------------------------------------------------------------ */

static void free_scopes(struct dwarf_scopes *scopes)
{
	struct dwarf *dwarf = scopes->dwarf;
	size_t i;

	for (i = 0; i < DWARF_SCOPES_KEPT; i++) {
		if (dwarf->scopes[i] == scopes)
			dwarf->scopes[i] = NULL;
	}
	free(scopes->scopes);
	free(scopes);
}

static void on_drop(struct symbol_memory_item *item)
{
	free_scopes((struct dwarf_scopes *)((char *)item - offsetof(struct dwarf_scopes, item)));
}

void dwarf_scopes_forget(struct dwarf *dwarf, const struct dwarf_file *file)
{
	size_t i;

	for (i = 0; i < DWARF_SCOPES_KEPT; i++) {
		if (!dwarf->scopes[i] || (file && dwarf->scopes[i]->file != file))
			continue;
		symbol_memory_remove(dwarf->config.memory, &dwarf->scopes[i]->item);
		free_scopes(dwarf->scopes[i]);
	}
}

static int add_scopes(struct dwarf_scopes *scopes, struct dwarf_walk *walk)
{
	struct dwarf_nesting nesting = {};
	size_t capacity = 0;

	while (scopes->cnt < SCOPES_MAX && dwarf_walk_next(walk)) {
		if (scopes->cnt == capacity) {
			size_t more = capacity ? capacity * 2 : 256;
			void *larger = realloc(scopes->scopes, more * sizeof(*scopes->scopes));

			if (!larger)
				return -ENOMEM;
			scopes->scopes = larger;
			capacity = more;
		}
		scopes->scopes[scopes->cnt] = (struct dwarf_scope){
			.offset = (uint32_t)walk->offset,
			.parent = dwarf_nesting_parent(&nesting, walk, NO_SCOPE),
		};
		dwarf_nesting_push(&nesting, walk, (uint32_t)scopes->cnt++);
	}
	/* Where the walk broke off the scopes before are right. */
	return 0;
}

static int fill_scopes(struct dwarf_scopes *scopes, const struct dwarf_unit *unit)
{
	struct dwarf_walk walk;
	void *smaller;
	int ret;

	ret = dwarf_walk_start(unit,
			       1u << DWARF_TYPE | 1u << DWARF_SCOPE | 1u << DWARF_FUNCTION |
				       1u << DWARF_ABSTRACT,
			       &walk);
	if (ret)
		return ret;
	ret = add_scopes(scopes, &walk);
	dwarf_walk_end(&walk);
	smaller = realloc(scopes->scopes, MAX(scopes->cnt, (size_t)1) * sizeof(*scopes->scopes));
	if (smaller)
		scopes->scopes = smaller;
	return ret;
}

/* The slot to fill: an empty one, or that of the table used longest ago, which is given up. */
static struct dwarf_scopes **free_slot(struct dwarf *dwarf)
{
	struct dwarf_scopes **slot = &dwarf->scopes[0];
	size_t i;

	for (i = 0; i < DWARF_SCOPES_KEPT; i++) {
		if (!dwarf->scopes[i])
			return &dwarf->scopes[i];
		if (dwarf->scopes[i]->used < (*slot)->used)
			slot = &dwarf->scopes[i];
	}
	symbol_memory_remove(dwarf->config.memory, &(*slot)->item);
	free_scopes(*slot);
	return slot;
}

static int make_scopes(const struct dwarf_unit *unit, struct dwarf_scopes **ret)
{
	struct dwarf *dwarf = unit->dwarf;
	struct dwarf_scopes *scopes = calloc(1, sizeof(*scopes));
	int code;

	if (!scopes)
		return -ENOMEM;
	scopes->dwarf = dwarf;
	scopes->file = unit->file;
	scopes->unit_offset = unit->offset;
	code = fill_scopes(scopes, unit);
	if (code == -ENOMEM) {
		free_scopes(scopes);
		return code;
	}
	scopes->item.bytes = sizeof(*scopes) + scopes->cnt * sizeof(*scopes->scopes);
	scopes->item.drop = on_drop;
	*free_slot(dwarf) = scopes;
	symbol_memory_add(dwarf->config.memory, &scopes->item);
	*ret = scopes;
	return 0;
}

static int get_scopes(const struct dwarf_unit *unit, struct dwarf_scopes **ret)
{
	struct dwarf *dwarf = unit->dwarf;
	struct dwarf_scopes *scopes = NULL;
	size_t i;
	int code;

	for (i = 0; i < DWARF_SCOPES_KEPT && !scopes; i++) {
		if (dwarf->scopes[i] && dwarf->scopes[i]->file == unit->file &&
		    dwarf->scopes[i]->unit_offset == unit->offset)
			scopes = dwarf->scopes[i];
	}
	if (scopes) {
		symbol_memory_use(dwarf->config.memory, &scopes->item);
	} else {
		code = make_scopes(unit, &scopes);
		if (code)
			return code;
	}
	scopes->used = ++dwarf->uses;
	*ret = scopes;
	return 0;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* Goes to the scope around @place; -ENODATA at the unit. */
static int go_out(struct dwarf_place *place)
{
	struct dwarf_scopes *scopes;
	size_t low = 0, high;
	uint32_t parent;
	int ret = get_scopes(&place->unit, &scopes);

	if (ret)
		return ret;
	high = scopes->cnt;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (scopes->scopes[middle].offset < place->offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == scopes->cnt || scopes->scopes[low].offset != place->offset)
		return -ENODATA;
	parent = scopes->scopes[low].parent;
	if (parent == NO_SCOPE)
		return -ENODATA;
	place->offset = scopes->scopes[parent].offset;
	return 0;
}

/* @is_called: it has an operator(), as only the types of lambdas have among those without names. */
static const char *anonymous(uint16_t tag, bool is_called)
{
	if (is_called && tag != DW_TAG_namespace)
		return "{lambda}";
	switch (tag) {
	case DW_TAG_namespace:
		return "(anonymous namespace)";
	case DW_TAG_structure_type:
		return "(anonymous struct)";
	case DW_TAG_union_type:
		return "(anonymous union)";
	default:
		return "(anonymous class)";
	}
}

/* The name of the scope at @place, which goes on to where that scope was declared. */
static int read_scope(struct dwarf_place *place, bool is_called, struct strbuf *name)
{
	struct dwarf_attributes entry;
	uint16_t tag = 0;
	int i, ret = 0;

	for (i = 0; i < CHAIN_MAX && !ret; i++) {
		ret = dwarf_entry_read(&place->unit, place->offset, &entry);
		if (ret)
			break;
		tag = entry.tag;
		if (entry.name.form && !name->len)
			dwarf_string(&place->unit, &entry.name, DWARF_NAME_MAX, name);
		ret = dwarf_place_origin(place, &entry);
	}
	if (!name->len)
		strbuf_add_str(name, anonymous(tag, is_called));
	return ret == -ENODATA ? 0 : ret;
}

static bool is_call_operator(const char *name)
{
	return strncmp(name, "operator()", strlen("operator()")) == 0;
}

int dwarf_scope_prefix(const struct dwarf_place *place, const char *function, struct strbuf *text)
{
	struct strbuf prefix = STRBUF_INIT, name = STRBUF_INIT, swap;
	struct dwarf_place at = *place;
	bool is_called = is_call_operator(function);
	int i, ret = 0;

	for (i = 0; i < LEVELS_MAX && !ret && prefix.len < DWARF_NAME_MAX; i++) {
		ret = go_out(&at);
		if (ret)
			break;
		strbuf_clear(&name);
		ret = read_scope(&at, is_called, &name);
		is_called = name.len && is_call_operator(name.text);
		strbuf_add_str(&name, "::");
		if (prefix.len)
			strbuf_add(&name, prefix.text, prefix.len);
		swap = prefix;
		prefix = name;
		name = swap;
	}
	if (prefix.len)
		strbuf_add(text, prefix.text, prefix.len);
	if (prefix.failed || name.failed)
		ret = -ENOMEM;
	strbuf_free(&prefix);
	strbuf_free(&name);
	return ret == -ENODATA ? 0 : ret;
}
