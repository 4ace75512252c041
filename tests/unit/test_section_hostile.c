/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections that lie or are broken, and memory that is out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "profiler/base/strbuf.h"
#include "symbolizer/elf.h"
#include "symbolizer/section.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/section_fixture.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* What opening gives for a section of 5000 packed bytes that claims @size. */
static int claim(uint32_t type, uint64_t size, int *ret_load)
{
	size_t packed_size;
	uint8_t *packed = type == ZSTD_TYPE ? zstd_of(contents(), 5000, &packed_size) :
					      zlib_of(contents(), 5000, &packed_size);
	struct opened opened;
	struct section section;
	int ret;

	packed = section_of(type, size, packed, &packed_size);
	opened = open_with(open_memory, ".a", SHF_COMPRESSED, packed, packed_size);
	ret = section_open(opened.elf, ".a", &section);
	assert_int_equal(section.size, ret ? 0 : size);
	*ret_load = ret ? ret : section_load(&section);
	/* The second time it is not inflated again, and says the same. */
	if (!ret)
		assert_int_equal(section_load(&section), *ret_load);
	section_close(&section);
	close_opened(&opened);
	return ret;
}

static void test_sizes_that_lie_are_refused(void **state)
{
	const uint32_t types[] = { ELFCOMPRESS_ZLIB, ZSTD_TYPE };
	size_t i;
	int load;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		assert_int_equal(claim(types[i], 5000, &load), 0);
		assert_int_equal(load, 0);
		assert_int_equal(claim(types[i], 5001, &load), 0);
		assert_int_equal(load, -ENOEXEC);
		assert_int_equal(claim(types[i], 4999, &load), 0);
		assert_int_equal(load, -ENOEXEC);
		assert_int_equal(claim(types[i], SECTION_BYTES_MAX + 1, &load), -EFBIG);
		assert_int_equal(claim(types[i], UINT64_MAX, &load), -EFBIG);
	}
	/* Fewer than 5000 bytes of deflate cannot hold this; of zstd they can. */
	assert_int_equal(claim(ELFCOMPRESS_ZLIB, 20 << 20, &load), -ENOEXEC);
	assert_int_equal(claim(ZSTD_TYPE, 20 << 20, &load), 0);
	assert_int_equal(load, -ENOEXEC);
	assert_int_equal(claim(77, 5000, &load), -ENOTSUP);
}

static int open_zdebug(const char *header, size_t header_size)
{
	uint8_t *bytes = calloc(1, 100);
	struct opened opened;
	struct section section;
	int ret;

	memcpy(bytes, header, header_size);
	opened = open_with(open_memory, ".zdebug_a", 0, bytes, header_size);
	ret = section_open_debug(opened.elf, ".debug_a", &section);
	section_close(&section);
	close_opened(&opened);
	return ret;
}

static void test_broken_headers_of_packed_sections_are_refused(void **state)
{
	struct opened opened;
	struct section section;

	(void)state;
	assert_int_equal(open_zdebug("ZLIB\0\0\0\0\0\0\0\1x", 13), 0);
	assert_int_equal(open_zdebug("ZLIB\0\0\0\0\0\0\0\1", 11), -ENOEXEC);
	assert_int_equal(open_zdebug("ZLIC\0\0\0\0\0\0\0\1x", 13), -ENOEXEC);
	assert_int_equal(open_zdebug("ZLIB\1\0\0\0\0\0\0\0x", 13), -EFBIG);
	assert_int_equal(open_zdebug("ZLIB\0\0\0\0\0\1\0\0x", 13), -ENOEXEC);
	opened = open_with(open_memory, ".a", SHF_COMPRESSED, calloc(1, 100), 23);
	assert_int_equal(section_open(opened.elf, ".a", &section), -ENOEXEC);
	close_opened(&opened);
}

static void test_a_section_beyond_the_file_is_refused(void **state)
{
	struct made_section made = { ".a", "abc", 3, 0, 0 };
	struct section section;
	struct opened opened;
	Elf64_Shdr header;
	size_t size;
	uint8_t *bytes = made_elf(&made, 1, 0, &size);

	(void)state;
	memcpy(&header, bytes + size - 2 * sizeof(header), sizeof(header));
	header.sh_size = size;
	memcpy(bytes + size - 2 * sizeof(header), &header, sizeof(header));
	opened = open_memory(bytes, size);
	assert_int_equal(section_open(opened.elf, ".a", &section), -ENOEXEC);
	assert_int_equal(section.size, 0);
	assert_int_equal(section_open(opened.elf, ".b", &section), -ENOENT);
	close_opened(&opened);
}

/* Opens and reads all there may be; fails only as it is told to. */
static void exercise(uint8_t *bytes, size_t size)
{
	static const char *const names[] = { ".plain", ".zlib", ".zdebug_old", ".zstd" };
	struct strbuf text = STRBUF_INIT;
	struct elf_file *elf;
	struct section section;
	struct section_view view;
	size_t i;
	int ret;

	if (elf_file_open_memory(bytes, size, &elf, NULL))
		return;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ret = section_open(elf, names[i], &section);
		assert_true(!ret || !section.size);
		ret = section_read(&section, 0, section.size / 2, &view);
		if (!ret)
			section_view_close(&view);
		section_read_string(&section, 3, 100, &text);
		section_close(&section);
	}
	elf_file_close(elf);
	strbuf_free(&text);
}

static uint8_t *file_of_each_kind(size_t *ret_size)
{
	size_t size[3];
	uint8_t *zlib = zlib_of(contents(), 700, &size[0]), *old, *zstd, *ret;
	struct made_section made[4] = { { ".plain", contents(), 50, 0, 0 } };

	zlib = section_of(ELFCOMPRESS_ZLIB, 700, zlib, &size[0]);
	old = zlib_of(contents(), 700, &size[1]);
	old = realloc(old, size[1] + 12);
	memmove(old + 12, old, size[1]);
	memcpy(old, "ZLIB\0\0\0\0\0\0\2\274", 12);
	zstd = zstd_of(contents(), 700, &size[2]);
	zstd = section_of(ZSTD_TYPE, 700, zstd, &size[2]);
	made[1] = (struct made_section){ ".zlib", zlib, size[0], SHF_COMPRESSED, 0 };
	made[2] = (struct made_section){ ".zdebug_old", old, size[1] + 12, 0, 0 };
	made[3] = (struct made_section){ ".zstd", zstd, size[2], SHF_COMPRESSED, 0 };
	ret = made_elf(made, 4, 0, ret_size);
	free(zlib);
	free(old);
	free(zstd);
	return ret;
}

static void test_files_cut_or_flipped_do_no_harm(void **state)
{
	size_t i, bit, size;
	uint8_t *bytes = file_of_each_kind(&size), *copy;

	(void)state;
	for (i = 0; i < size; i++) {
		copy = malloc(i + !i);
		memcpy(copy, bytes, i);
		exercise(copy, i);
		free(copy);
	}
	for (i = 0; i < size; i++) {
		for (bit = 0; bit < 8; bit++) {
			bytes[i] ^= (uint8_t)(1 << bit);
			exercise(bytes, size);
			bytes[i] ^= (uint8_t)(1 << bit);
		}
	}
	free(bytes);
}

static void check_one(struct elf_file *elf, const char *name, size_t size, int *ret)
{
	struct section section;
	struct section_view view;

	*ret = section_open(elf, name, &section);
	if (*ret)
		return;
	*ret = section_read(&section, 1, size - 1, &view);
	if (*ret == -ENOMEM) /* memory may be there again */
		assert_int_equal(section_read(&section, 1, size - 1, &view), 0);
	else
		assert_int_equal(*ret, 0);
	assert_memory_equal(view.bytes, contents() + 1, size - 1);
	section_view_close(&view);
	section_close(&section);
}

static void test_memory_that_is_out_is_an_error(void **state)
{
	size_t size;
	uint8_t *bytes = file_of_each_kind(&size);
	struct opened opened = open_file(bytes, size);
	int failed = 0, ret;
	long n;

	(void)state;
	for (n = 1;; n++) {
		fail_malloc_at(n);
		check_one(opened.elf, ".plain", 50, &ret);
		failed += ret == -ENOMEM;
		check_one(opened.elf, ".zlib", 700, &ret);
		failed += ret == -ENOMEM;
		check_one(opened.elf, ".zdebug_old", 700, &ret);
		failed += ret == -ENOMEM;
		check_one(opened.elf, ".zstd", 700, &ret);
		failed += ret == -ENOMEM;
		if (!fail_malloc_hit())
			break;
		assert_int_equal(failed, n);
	}
	assert_int_equal(failed, 7); /* one read, and two for each packed one */
	close_opened(&opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_that_lie_are_refused),
		cmocka_unit_test(test_broken_headers_of_packed_sections_are_refused),
		cmocka_unit_test(test_a_section_beyond_the_file_is_refused),
		cmocka_unit_test(test_files_cut_or_flipped_do_no_harm),
		cmocka_unit_test(test_memory_that_is_out_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
