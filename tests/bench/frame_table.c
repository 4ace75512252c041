/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frame_table FILE...          unwind tables: how long each took to make, how large it is
 * frame_table --rows FILE...   each row as "address cfa fp", for comparison with other tools
 *
 * A file is built three times, and the fastest counts: the first reads it from disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "symbolizer/elf.h"
#include "symbolizer/frame_source.h"
#include "symbolizer/frame_table.h"

#define RUNS 3

static const char *const cfa_names[] = { "none",       "rsp",	  "rbp", "rbx",	   "register",
					 "*rsp",       "*rbp",	  "plt", "signal", "bottom",
					 "expression", "corrupt", "jit", "return" };

struct built {
	void *bytes;
	size_t size;
	struct frame_table table;
	struct frame_census census;
	uint64_t ns;
};

static int build(const char *path, struct built *ret)
{
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t start_ns;
	struct errmsg err;
	int code;

	if (fd < 0)
		return -errno;
	code = elf_file_open(fd, &elf, &err);
	if (code)
		return code;
	start_ns = monotonic_ns();
	code = frame_source_build(elf, &ret->bytes, &ret->size, &ret->census);
	ret->ns = monotonic_ns() - start_ns;
	if (code)
		return code;
	return frame_table_of_bytes(ret->bytes, ret->size, &ret->table);
}

static void print_offset(const char *base, int64_t offset)
{
	printf(" %s%+" PRId64, base, offset);
}

static void print_cfa(const struct frame_rule *rule)
{
	switch (rule->cfa) {
	case FRAME_SP:
	case FRAME_FP:
	case FRAME_BX:
		print_offset(cfa_names[rule->cfa], rule->cfa_offset);
		break;
	case FRAME_SP_RETURN:
		printf(" rsp%+d:r%u", rule->cfa_offset, rule->reg);
		break;
	case FRAME_REGISTER:
		printf(" r%u%+d", rule->reg, rule->cfa_offset);
		break;
	case FRAME_SP_DEREF:
	case FRAME_FP_DEREF:
		printf(" *(%s%+d)%+d", cfa_names[rule->cfa] + 1, rule->cfa_offset, rule->cfa_add);
		break;
	case FRAME_PLT:
	case FRAME_SIGNAL:
		print_offset(cfa_names[rule->cfa], rule->cfa_offset);
		break;
	default:
		printf(" %s", cfa_names[rule->cfa]);
	}
}

static void print_saved(uint8_t saved, int offset)
{
	if (saved == FRAME_AT_CFA)
		printf(" c%+d", offset);
	else if (saved == FRAME_AT_FP)
		printf(" (rbp%+d)", offset);
	else
		printf(" %s", saved == FRAME_SAME ? "same" : "lost");
}

static void print_rows(const struct frame_table *table)
{
	uint32_t page, i;

	for (page = 0; page < table->page_cnt; page++) {
		for (i = table->page_rows[page]; i < table->page_rows[page + 1]; i++) {
			const struct frame_rule *rule = &table->rules[table->rows[i].rule];

			printf("%" PRIx64,
			       ((table->first_page + page) << FRAME_PAGE_BITS) + table->rows[i].pc);
			print_cfa(rule);
			print_saved(rule->fp, rule->fp_offset);
			print_saved(rule->bx, rule->bx_offset);
			putchar('\n');
		}
	}
}

static void print_kinds(const struct frame_table *table)
{
	uint32_t kinds[ARRAY_SIZE(cfa_names)] = {}, i;

	for (i = 0; i < table->row_cnt; i++)
		kinds[table->rules[table->rows[i].rule].cfa]++;
	printf("    rows kept:");
	for (i = 0; i < ARRAY_SIZE(cfa_names); i++) {
		if (kinds[i])
			printf(" %s %u", cfa_names[i], kinds[i]);
	}
	putchar('\n');
}

static void print_measures(const char *path, const struct built *built)
{
	const struct frame_census *census = &built->census;
	double ms = (double)built->ns / 1e6;

	printf("%s\n    functions %u (.debug_frame %u, Go %u), rows met %" PRIu64
	       ", kept %u, rules %u\n",
	       path, census->eh_functions + census->debug_functions + census->go_functions,
	       census->debug_functions, census->go_functions, census->rows_met, census->rows,
	       census->rules);
	printf("    %zu bytes, %.2f per row met, %.2f per row kept; %.1f ms, %.0f ms per million rows\n",
	       built->size, (double)built->size / (double)(census->rows_met + !census->rows_met),
	       (double)built->size / (census->rows + !census->rows), ms,
	       ms * 1e6 / (double)(census->rows_met + !census->rows_met));
	printf("    not followed: cfa %u, return address %u, registers %u, rules %u; corrupt %u, "
	       "overlapping %u\n",
	       census->expression_cfa, census->expression_return_address,
	       census->expression_register, census->rule_overflow, census->corrupt,
	       census->overlapping);
	print_kinds(&built->table);
}

static int show(const char *path, bool rows)
{
	struct built built = {}, next = {};
	int i, ret;

	ret = build(path, &built);
	for (i = 1; i < RUNS && !ret && !rows; i++) {
		ret = build(path, &next);
		if (ret)
			break;
		built.ns = MIN(built.ns, next.ns);
		free(next.bytes);
	}
	if (ret)
		fprintf(stderr, "frame_table: %s: %s\n", path, strerror(-ret));
	else if (rows)
		print_rows(&built.table);
	else
		print_measures(path, &built);
	free(built.bytes);
	return ret;
}

int main(int argc, char **argv)
{
	bool rows = argc > 1 && strcmp(argv[1], "--rows") == 0;
	int i, failed = 0;

	for (i = 1 + rows; i < argc; i++)
		failed |= show(argv[i], rows) != 0;
	return failed;
}
