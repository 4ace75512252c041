/* SPDX-License-Identifier: BSD-2-Clause */
/* The helpers of profiler/base: hashmap, strtab, strbuf, err, fileio. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/hashmap.h"
#include "profiler/base/strbuf.h"
#include "profiler/base/strtab.h"
#include "tests/unit/fail_malloc.h"

#define MODEL_KEYS 600u

/* xorshift: the same numbers in each run, so that a failure can be repeated. */
static uint32_t next_random(void)
{
	static uint32_t state = 2463534242u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* 12 bytes: neither a word nor a multiple of one. */
struct odd_key {
	uint32_t part[3];
};

static struct odd_key key_of(uint32_t number)
{
	return (struct odd_key){ { number, number * 7, ~number } };
}

/* The map holds exactly the numbers whose model is not 0. */
static void check_model(const struct hashmap *map, const uint64_t *model)
{
	const void *key;
	void *value;
	size_t cursor = 0, seen = 0, cnt = 0;
	uint32_t i;

	for (i = 0; i < MODEL_KEYS; i++) {
		struct odd_key odd = key_of(i);
		uint64_t *found = hashmap_get(map, &odd);

		assert_int_equal(found ? *found : 0, model[i]);
		cnt += model[i] != 0;
	}
	assert_int_equal(map->cnt, cnt);
	while (hashmap_next(map, &cursor, &key, &value)) {
		const struct odd_key *odd = key;

		assert_true(odd->part[0] < MODEL_KEYS);
		assert_int_equal(*(uint64_t *)value, model[odd->part[0]]);
		seen++;
	}
	assert_int_equal(seen, cnt);
}

static void test_hashmap_agrees_with_naive_model(void **state)
{
	static uint64_t model[MODEL_KEYS];
	struct hashmap map;
	uint32_t i;

	(void)state;
	hashmap_init(&map, sizeof(struct odd_key), sizeof(uint64_t));
	for (i = 0; i < 60000; i++) {
		/* Fill in one phase, empty in the next. */
		uint32_t number = next_random() % MODEL_KEYS, bias = (i / 10000) % 2 ? 70 : 30;
		struct odd_key key = key_of(number);
		bool new;

		if (next_random() % 100 < bias) {
			assert_int_equal(hashmap_del(&map, &key), model[number] != 0);
			model[number] = 0;
		} else {
			uint64_t *value = hashmap_put(&map, &key, &new);

			assert_non_null(value);
			assert_int_equal(new, model[number] == 0);
			assert_int_equal(*value, model[number]);
			*value = model[number] = i + 1;
		}
		if (i % 997 == 0)
			check_model(&map, model);
	}
	check_model(&map, model);
	hashmap_free(&map);
}

static void test_hashmap_clear_and_free_leave_usable_map(void **state)
{
	struct hashmap map;
	uint64_t key;
	int round;

	(void)state;
	hashmap_init(&map, sizeof(key), sizeof(uint32_t));
	assert_null(hashmap_get(&map, &(uint64_t){ 1 }));
	assert_false(hashmap_del(&map, &(uint64_t){ 1 }));
	for (round = 0; round < 3; round++) {
		for (key = 0; key < 10000; key++)
			*(uint32_t *)hashmap_put(&map, &key, NULL) = (uint32_t)key;
		assert_int_equal(map.cnt, 10000);
		assert_true(hashmap_bytes(&map) >= 10000 * 12);
		if (round == 1)
			hashmap_free(&map);
		else
			hashmap_clear(&map);
		assert_int_equal(map.cnt, 0);
		assert_null(hashmap_get(&map, &(uint64_t){ 1 }));
	}
	hashmap_free(&map);
	assert_int_equal(hashmap_bytes(&map), 0);
}

static void test_hashmap_failed_put_changes_nothing(void **state)
{
	struct hashmap map;
	uint32_t key, known;

	(void)state;
	hashmap_init(&map, sizeof(key), sizeof(key));
	for (key = 0; key < 200; key++) {
		long n;

		for (n = 1;; n++) {
			uint32_t *value;

			fail_malloc_at(n);
			value = hashmap_put(&map, &key, NULL);
			if (!fail_malloc_hit()) {
				*value = key;
				break;
			}
			assert_null(value);
			assert_int_equal(map.cnt, key);
			for (known = 0; known < key; known++)
				assert_int_equal(*(uint32_t *)hashmap_get(&map, &known), known);
		}
	}
	hashmap_free(&map);
}

static void test_hashmap_put_of_known_key_needs_no_memory(void **state)
{
	struct hashmap map;
	uint32_t key;

	(void)state;
	hashmap_init(&map, sizeof(key), sizeof(key));
	for (key = 0; key < 12; key++) /* 3/4 of 16: the next new one grows */
		assert_non_null(hashmap_put(&map, &key, NULL));
	fail_malloc_at(1);
	assert_non_null(hashmap_put(&map, &(uint32_t){ 3 }, NULL));
	assert_false(fail_malloc_hit());
	hashmap_free(&map);
}

static void test_hash_uses_every_byte_and_the_length(void **state)
{
	unsigned char bytes[24] = { 0 };
	uint64_t plain = hash_bytes(bytes, sizeof(bytes));
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++) {
		bytes[i] = 1;
		assert_true(hash_bytes(bytes, sizeof(bytes)) != plain);
		bytes[i] = 0;
		assert_true(hash_bytes(bytes, i) != plain);
	}
	assert_true(hash_bytes(bytes, sizeof(bytes)) == plain);
}

static void test_strtab_numbers_by_arrival(void **state)
{
	struct strtab table;
	char text[16];
	size_t len;
	int i;

	(void)state;
	assert_int_equal(strtab_init(&table), 0);
	assert_int_equal(strtab_add(&table, "", 0), 0);
	for (i = 1; i < 5000; i++) {
		snprintf(text, sizeof(text), "s%d", i);
		assert_int_equal(strtab_add(&table, text, strlen(text)), i);
	}
	for (i = 1; i < 5000; i++) {
		snprintf(text, sizeof(text), "s%d", i);
		assert_int_equal(strtab_add(&table, text, strlen(text)), i);
		assert_string_equal(strtab_get(&table, (uint32_t)i, &len), text);
		assert_int_equal(len, strlen(text));
	}
	assert_int_equal(table.cnt, 5000);
	assert_int_equal(strtab_add(&table, "a\0b", 3), 5000);
	assert_int_equal(strtab_add(&table, "a\0c", 3), 5001);
	assert_int_equal(strtab_add(&table, "a", 1), 5002);
	assert_true(strtab_bytes(&table) > 5000 * 4);
	strtab_free(&table);
}

static void test_strtab_failed_add_changes_nothing(void **state)
{
	struct strtab table;
	long n;
	int i;

	(void)state;
	for (n = 1;; n++) {
		int error;

		fail_malloc_at(n);
		error = strtab_init(&table);
		if (!fail_malloc_hit()) {
			assert_int_equal(error, 0);
			break;
		}
		assert_int_equal(error, -ENOMEM);
	}
	for (i = 1; i < 400; i++) {
		char text[32];

		snprintf(text, sizeof(text), "text %d", i);
		for (n = 1;; n++) {
			int64_t id;

			fail_malloc_at(n);
			id = strtab_add(&table, text, strlen(text));
			if (!fail_malloc_hit()) {
				assert_int_equal(id, i);
				break;
			}
			assert_int_equal(id, -ENOMEM);
			assert_int_equal(table.cnt, i);
		}
	}
	assert_string_equal(strtab_get(&table, 7, NULL), "text 7");
	strtab_free(&table);
}

static void test_strbuf_grows_and_terminates(void **state)
{
	struct strbuf buf = STRBUF_INIT;
	char *text;
	int i;

	(void)state;
	for (i = 0; i < 300; i++) {
		strbuf_printf(&buf, "%d", i % 10);
		strbuf_add_char(&buf, ',');
	}
	strbuf_add_str(&buf, "end");
	strbuf_add(&buf, NULL, 0);
	assert_int_equal(buf.len, 603);
	assert_int_equal(strlen(buf.text), 603);
	assert_memory_equal(buf.text, "0,1,2,", 6);
	text = strbuf_take(&buf);
	assert_string_equal(text + 600, "end");
	free(text);
	assert_null(buf.text);
	text = strbuf_take(&buf);
	assert_string_equal(text, "");
	free(text);
	assert_false(strbuf_reserve(&buf, SIZE_MAX - 5));
	strbuf_free(&buf);
}

static void test_strbuf_remembers_failure(void **state)
{
	struct strbuf buf = STRBUF_INIT;

	(void)state;
	strbuf_add_str(&buf, "kept");
	fail_malloc_at(1);
	strbuf_printf(&buf, "%200s", "x");
	assert_true(fail_malloc_hit());
	assert_true(buf.failed);
	strbuf_add_str(&buf, "y");
	assert_string_equal(buf.text, "kept");
	assert_null(strbuf_take(&buf));
	strbuf_add_str(&buf, "again");
	assert_false(buf.failed);
	buf.failed = true;
	strbuf_clear(&buf);
	assert_false(buf.failed);
	assert_string_equal(buf.text, "");
	strbuf_free(&buf);
}

static void test_err_says_what_why_and_what_to_do(void **state)
{
	struct errmsg err;

	(void)state;
	assert_int_equal(err_set(&err, -ENOENT, "cannot open '%s'", "x"), -ENOENT);
	assert_string_equal(err.text, "cannot open 'x': No such file or directory");
	err_hint(&err, "try %d", 5);
	assert_string_equal(err.text, "cannot open 'x': No such file or directory; try 5");
	assert_int_equal(err_say(&err, -EINVAL, "plain"), -EINVAL);
	assert_string_equal(err.text, "plain");
	assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
	assert_int_equal(err_say(NULL, -EIO, "x"), -EIO);
	err_hint(NULL, "x");
}

static void test_err_cuts_long_text(void **state)
{
	struct errmsg err;
	char text[4096];
	size_t len;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (len = sizeof(err.text) - 40; len < sizeof(err.text) + 2; len++) {
		err_set(&err, -EIO, "%.*s", (int)len, text);
		err_hint(&err, "and %s", text);
		assert_true(memchr(err.text, '\0', sizeof(err.text)));
	}
}

static void test_write_all_waits_for_room_in_nonblocking_pipe(void **state)
{
	static char bytes[1 << 20];
	int ends[2], status;
	pid_t reader;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	reader = fork();
	assert_true(reader >= 0);
	if (!reader) {
		struct strbuf got = STRBUF_INIT;

		close(ends[1]);
		usleep(50000);
		_exit(read_fd(ends[0], sizeof(bytes), &got) || got.len != sizeof(bytes));
	}
	assert_int_equal(write_all(ends[1], bytes, sizeof(bytes)), 0);
	close(ends[1]);
	close(ends[0]);
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(status, 0);
}

static void test_read_stops_at_limit(void **state)
{
	struct strbuf buf = STRBUF_INIT;
	char bytes[8];
	_cleanup_close_ int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(read_path("/dev/zero", 100000, &buf), -EFBIG);
	strbuf_clear(&buf);
	assert_int_equal(read_path("/proc/self/comm", 64, &buf), 0);
	assert_true(buf.len > 1 && buf.text[buf.len - 1] == '\n');
	assert_int_equal(read_path("/nonexistent", 64, &buf), -ENOENT);
	strbuf_free(&buf);
	assert_int_equal(pread_full(fd, bytes, sizeof(bytes), 5), sizeof(bytes));
	assert_int_equal(pread_full(-1, bytes, sizeof(bytes), 0), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hashmap_agrees_with_naive_model),
		cmocka_unit_test(test_hashmap_clear_and_free_leave_usable_map),
		cmocka_unit_test(test_hashmap_failed_put_changes_nothing),
		cmocka_unit_test(test_hashmap_put_of_known_key_needs_no_memory),
		cmocka_unit_test(test_hash_uses_every_byte_and_the_length),
		cmocka_unit_test(test_strtab_numbers_by_arrival),
		cmocka_unit_test(test_strtab_failed_add_changes_nothing),
		cmocka_unit_test(test_strbuf_grows_and_terminates),
		cmocka_unit_test(test_strbuf_remembers_failure),
		cmocka_unit_test(test_err_says_what_why_and_what_to_do),
		cmocka_unit_test(test_err_cuts_long_text),
		cmocka_unit_test(test_write_all_waits_for_room_in_nonblocking_pipe),
		cmocka_unit_test(test_read_stops_at_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
