/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Growable byte string, always NUL-terminated once something was added.
 *
 * A failed allocation is remembered in `failed`, and later calls do nothing: check it once at the
 * end instead of at each append.
 */
#ifndef EBPFPROF_BASE_STRBUF_H
#define EBPFPROF_BASE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *text; /* NULL while empty */
	size_t len; /* without the NUL */
	size_t capacity;
	bool failed;
};

#define STRBUF_INIT                                                                                \
	{                                                                                          \
	}

/** strbuf_free - release the text; the buffer is empty and usable again */
void strbuf_free(struct strbuf *buf);

/** strbuf_clear - back to empty, keeping the memory and forgetting a failure */
void strbuf_clear(struct strbuf *buf);

/** strbuf_reserve - make room for @more bytes after the text; false when memory is out */
bool strbuf_reserve(struct strbuf *buf, size_t more);

void strbuf_add(struct strbuf *buf, const void *bytes, size_t len);
void strbuf_add_str(struct strbuf *buf, const char *text);
void strbuf_add_char(struct strbuf *buf, char c);
void strbuf_printf(struct strbuf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** strbuf_take - the text as a heap string of the caller's (NULL if a call failed) */
char *strbuf_take(struct strbuf *buf);

#endif
