/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unwind_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profiler/base/err.h"
#include "profiler/collect/targets.h"

struct shared_maps *reader_maps(void)
{
	return reader_maps_of(TIER_NONE);
}

struct shared_maps *reader_maps_of(enum tier tier)
{
	const struct shared_config config = { .tier = tier,
					      .ring_bytes = 4096,
					      .seen_slots = 1,
					      .with_tables = true };
	const struct targets targets = {};
	struct shared_maps *maps = NULL;
	struct errmsg err = {};
	int code = shared_maps_new(&config, &targets, &maps, &err);

	if (code == -EPERM || code == -EACCES || code == -ENOSYS) {
		print_message("skipped: %s\n", err.text);
		return NULL;
	}
	if (code)
		fail_msg("%s", err.text);
	return maps;
}

static int value(struct shared_maps *maps, const char *name, uint32_t key, void *ret)
{
	return bpf_map_lookup_elem(shared_maps_fd(maps, name), &key, ret);
}

/* The index of the last mapping that begins at or below @address. */
static bool find_mapping(struct shared_maps *maps, const struct unwind_process *process,
			 uint64_t address, struct unwind_mapping *ret)
{
	uint32_t low = 0, high = process->mapping_cnt;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (value(maps, "unwind_mappings", process->first_mapping + middle, ret) != 0)
			return false;
		if (ret->start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && value(maps, "unwind_mappings", process->first_mapping + low - 1, ret) == 0 &&
	       address < ret->end;
}

enum reader_answer reader_find(struct shared_maps *maps, pid_t tgid, uint64_t start_boottime_ns,
			       uint32_t exec_id, uint64_t address, struct unwind_rule *ret)
{
	struct unwind_process process;
	struct unwind_mapping mapping;

	if (value(maps, "unwind_processes", (uint32_t)tgid, &process) != 0)
		return READER_NO_PROCESS;
	if (process.start_boottime_ns != start_boottime_ns || process.exec_id != exec_id)
		return READER_OTHER_IMAGE;
	if (!find_mapping(maps, &process, address, &mapping))
		return READER_NO_MAPPING;
	if (mapping.list != process.list)
		return READER_GIVEN_UP;
	if (mapping.file == UNWIND_FILE_NONE)
		return value(maps, "unwind_rules", UNWIND_RULE_JIT, ret) == 0 ? READER_FOUND :
										READER_BAD;
	return reader_rule(maps, mapping.file % UNWIND_FILES_MAX, address - mapping.bias, ret);
}

/* Blocks cannot be read but by a descriptor of their own. */
static bool read_block(struct shared_maps *maps, uint32_t number, struct unwind_block *ret)
{
	uint32_t id, zero = 0;
	int fd, err;

	if (value(maps, "unwind_blocks", number, &id) != 0)
		return false;
	fd = bpf_map_get_fd_by_id(id);
	if (fd < 0)
		return false;
	err = bpf_map_lookup_elem(fd, &zero, ret);
	close(fd);
	return err == 0;
}

static enum reader_answer find_row(struct shared_maps *maps, const struct unwind_page *page,
				   uint16_t pc, struct unwind_rule *ret)
{
	struct unwind_block *block = malloc(sizeof(*block));
	const struct unwind_row *rows;
	enum reader_answer answer = READER_BAD;
	uint32_t low = 0, high = page->row_cnt;

	if (page->first_row + page->row_cnt > UNWIND_BLOCK_ROWS ||
	    !read_block(maps, page->block, block))
		goto out;
	rows = &block->rows[page->first_row];
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (rows[middle].pc <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (low && value(maps, "unwind_rules", rows[low - 1].rule, ret) == 0)
		answer = READER_FOUND;
out:
	free(block);
	return answer;
}

enum reader_answer reader_rule(struct shared_maps *maps, uint32_t file, uint64_t address,
			       struct unwind_rule *ret)
{
	uint64_t number = address >> UNWIND_PAGE_BITS;
	struct unwind_page page;
	struct unwind_file at;

	if (value(maps, "unwind_files", file, &at) != 0)
		return READER_BAD;
	if (at.state != UNWIND_FILE_READY)
		return READER_NOT_READY;
	if (number < at.first_page || number - at.first_page >= at.page_cnt)
		return READER_NO_ROWS;
	if (value(maps, "unwind_pages", at.pages + (uint32_t)(number - at.first_page), &page) != 0)
		return READER_BAD;
	return page.row_cnt ? find_row(maps, &page, (uint16_t)address, ret) : READER_NO_ROWS;
}

static void check_page(struct shared_maps *maps, const struct unwind_file *at,
		       const struct unwind_table_view *table, uint32_t number,
		       struct unwind_block *block, uint32_t *in_block)
{
	uint32_t first = table->page_rows[number], cnt = table->page_rows[number + 1] - first, i;
	struct unwind_page page;

	assert_int_equal(value(maps, "unwind_pages", at->pages + number, &page), 0);
	assert_int_equal(page.row_cnt, cnt);
	if (!cnt)
		return;
	assert_true(page.first_row + cnt <= UNWIND_BLOCK_ROWS);
	if (page.block != *in_block)
		assert_true(read_block(maps, page.block, block));
	*in_block = page.block;
	for (i = 0; i < cnt; i++) {
		struct unwind_row row = block->rows[page.first_row + i];
		struct unwind_rule rule;

		if (row.pc != table->rows[first + i].pc)
			fail_msg("row %u of page %u is at %u, not %u", i, number, row.pc,
				 table->rows[first + i].pc);
		/* Each look-up is a system call: of equal rows some are enough. */
		if (i > 200 && i % 97)
			continue;
		assert_int_equal(value(maps, "unwind_rules", row.rule, &rule), 0);
		assert_memory_equal(&rule, &table->rules[table->rows[first + i].rule],
				    sizeof(rule));
	}
}

struct unwind_file reader_file(struct shared_maps *maps, uint32_t file)
{
	struct unwind_file at = {};

	assert_int_equal(value(maps, "unwind_files", file, &at), 0);
	return at;
}

void reader_check_rows(struct shared_maps *maps, const struct unwind_file *at,
		       const struct unwind_table_view *table)
{
	struct unwind_block *block = malloc(sizeof(*block));
	uint32_t in_block = UINT32_MAX, i;

	assert_int_equal(at->first_page, table->first_page);
	assert_int_equal(at->page_cnt, table->page_cnt);
	for (i = 0; i < table->page_cnt; i++)
		check_page(maps, at, table, i, block, &in_block);
	free(block);
}

void reader_check(struct shared_maps *maps, uint32_t file, const struct unwind_table_view *table)
{
	struct unwind_file at = reader_file(maps, file);

	assert_int_equal(at.state, UNWIND_FILE_READY);
	reader_check_rows(maps, &at, table);
}
