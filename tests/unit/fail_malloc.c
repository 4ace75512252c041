/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/fail_malloc.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Names that the linker's --wrap option gives: calls to malloc() end in __wrap_malloc(). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t cnt, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t cnt, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

static long left; /* allocations up to the one that fails; 0 = none will */
static bool hit;

void fail_malloc_at(long n)
{
	left = n;
	hit = false;
}

bool fail_malloc_hit(void)
{
	left = 0;
	return hit;
}

static bool fails_now(void)
{
	if (!left || --left)
		return false;
	hit = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t cnt, size_t size)
{
	return fails_now() ? NULL : __real_calloc(cnt, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails_now() ? NULL : __real_realloc(memory, size);
}

/* Used only where the link also has --wrap=strdup. */
char *__wrap_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = __wrap_malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}
