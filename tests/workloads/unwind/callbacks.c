/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * callbacks SECONDS: spends its time deep in libc, and in functions of its own that libc calls:
 * qsort, bsearch, a FILE of its own behind fprintf, pthread_once, dl_iterate_phdr, tsearch, glob's
 * way through malloc and free.
 */
#include <link.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

#include "../names/marks.h"
#include "../spin.h"

#define NUMBERS 2000
#define WORDS 200
#define BLOCKS 64

static volatile uint64_t sink;
static int numbers[NUMBERS];
static uint32_t state = 1;

static uint32_t next_random(void)
{
	state = state * 1664525u + 1013904223u;
	return state >> 8;
}

static int compare_numbers(const void *left, const void *right)
{
	int a = *(const int *)left, b = *(const int *)right;

	return (a > b) - (a < b);
}

static NEVER_INLINE void sort_and_look(void)
{
	int i, wanted;

	for (i = 0; i < NUMBERS; i++)
		numbers[i] = (int)next_random();
	qsort(numbers, NUMBERS, sizeof(numbers[0]), compare_numbers);
	for (i = 0; i < NUMBERS; i++) {
		wanted = (int)next_random();
		sink += !!bsearch(&wanted, numbers, NUMBERS, sizeof(numbers[0]), compare_numbers);
	}
}

static ssize_t take_text(void *cookie, const char *text, size_t size)
{
	size_t i;

	(void)cookie;
	for (i = 0; i < size; i++)
		sink = sink * 31 + (unsigned char)text[i];
	return (ssize_t)size;
}

static NEVER_INLINE void print_some(void)
{
	static const cookie_io_functions_t functions = { .write = take_text };
	FILE *file = fopencookie(NULL, "w", functions);
	int i;

	if (!file)
		abort();
	setvbuf(file, NULL, _IOFBF, 128);
	for (i = 0; i < 500; i++)
		fprintf(file, "%d %s %g %p\n", i, "some text", i * 1.7, (void *)numbers);
	fclose(file);
}

static NEVER_INLINE void allocate_some(void)
{
	static void *blocks[BLOCKS];
	uint32_t i, at;

	for (i = 0; i < 2000; i++) {
		at = next_random() % BLOCKS;
		free(blocks[at]);
		blocks[at] = malloc(next_random() % 4000 + 1);
		if (i % 16 == 0)
			blocks[at] = realloc(blocks[at], 9000);
	}
}

static void once(void)
{
	SPIN_BATCH();
	sink++;
}

static NEVER_INLINE void do_once(void)
{
	pthread_once_t control = PTHREAD_ONCE_INIT;

	pthread_once(&control, once);
}

static int visit_object(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)context;
	sink += size + info->dlpi_phnum;
	SPIN_BATCH();
	return 0;
}

static int compare_words(const void *left, const void *right)
{
	return strcmp(left, right);
}

static void visit_node(const void *node, VISIT visit, int depth)
{
	if (visit == leaf || visit == postorder)
		sink += strlen(*(char *const *)node) + (size_t)depth;
}

static NEVER_INLINE void build_tree(void)
{
	static char words[WORDS][16];
	void *root = NULL;
	int i;

	for (i = 0; i < WORDS; i++) {
		snprintf(words[i], sizeof(words[i]), "%x", next_random());
		tsearch(words[i], &root, compare_words);
	}
	twalk(root, visit_node);
	for (i = 0; i < WORDS; i++)
		tdelete(words[i], &root, compare_words);
}

int main(int argc, char **argv)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 5);
	int i;

	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		sort_and_look();
		print_some();
		allocate_some();
		for (i = 0; i < 3; i++)
			do_once();
		dl_iterate_phdr(visit_object, NULL);
		build_tree();
	}
	return 0;
}
