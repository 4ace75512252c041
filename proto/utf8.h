/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UTF-8 checked and repaired: names come from other programs and may hold any bytes, and one bad
 * string makes some servers refuse the whole profile.
 *
 * Valid means Unicode 15 table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#ifndef EBPFPROF_PROTO_UTF8_H
#define EBPFPROF_PROTO_UTF8_H

#include <stddef.h>
#include <stdint.h>

struct strbuf;

#define UTF8_REPLACEMENT 0xfffdu

/**
 * utf8_next - decode one character
 * @len: bytes there are, > 0
 * @ret: the code point; UTF8_REPLACEMENT for bad bytes
 *
 * Returns the bytes to step over: of bad bytes, those that began a character as far as they could
 * (a character cut off in its middle is one step), as WHATWG's decoder and Python's do.
 */
size_t utf8_next(const char *bytes, size_t len, uint32_t *ret);

/** utf8_valid_len - length of the longest valid prefix */
size_t utf8_valid_len(const char *bytes, size_t len);

/** utf8_sanitize - append @bytes with each step of bad bytes replaced by U+FFFD */
void utf8_sanitize(const char *bytes, size_t len, struct strbuf *out);

#endif
