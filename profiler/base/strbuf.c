/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/base/strbuf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void strbuf_free(struct strbuf *buf)
{
	free(buf->text);
	*buf = (struct strbuf)STRBUF_INIT;
}

void strbuf_clear(struct strbuf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->text)
		buf->text[0] = '\0';
}

bool strbuf_reserve(struct strbuf *buf, size_t more)
{
	size_t want, capacity;
	char *text;

	if (buf->failed)
		return false;
	if (more > SIZE_MAX / 4 || buf->len > SIZE_MAX / 4) {
		buf->failed = true;
		return false;
	}
	want = buf->len + more + 1;
	if (want <= buf->capacity)
		return true;
	capacity = buf->capacity ? buf->capacity * 2 : 64;
	if (capacity < want)
		capacity = want;
	text = realloc(buf->text, capacity);
	if (!text) {
		buf->failed = true;
		return false;
	}
	buf->text = text;
	buf->capacity = capacity;
	return true;
}

void strbuf_add(struct strbuf *buf, const void *bytes, size_t len)
{
	if (!strbuf_reserve(buf, len))
		return;
	if (len)
		memcpy(buf->text + buf->len, bytes, len);
	buf->len += len;
	buf->text[buf->len] = '\0';
}

void strbuf_add_str(struct strbuf *buf, const char *text)
{
	strbuf_add(buf, text, strlen(text));
}

void strbuf_add_char(struct strbuf *buf, char c)
{
	strbuf_add(buf, &c, 1);
}

void strbuf_printf(struct strbuf *buf, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0 || !strbuf_reserve(buf, (size_t)len)) {
		buf->failed = true;
		return;
	}
	va_start(args, fmt);
	vsnprintf(buf->text + buf->len, (size_t)len + 1, fmt, args);
	va_end(args);
	buf->len += (size_t)len;
}

char *strbuf_take(struct strbuf *buf)
{
	char *text;

	if (!buf->text)
		strbuf_add(buf, "", 0);
	if (buf->failed) {
		strbuf_free(buf);
		return NULL;
	}
	text = buf->text;
	*buf = (struct strbuf)STRBUF_INIT;
	return text;
}
