/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/utf8.h"

#include <stdbool.h>
#include <string.h>

#include "profiler/base/strbuf.h"

#define REPLACEMENT_BYTES "\xef\xbf\xbd"

/* How many bytes follow a leading byte, and the range that the first of them must lie in. */
struct lead {
	unsigned int follow_cnt; /* 0: not a leading byte of a longer form */
	unsigned char second_min, second_max;
};

static struct lead classify(unsigned char first)
{
	if (first >= 0xc2 && first <= 0xdf)
		return (struct lead){ 1, 0x80, 0xbf };
	if (first >= 0xe0 && first <= 0xef)
		return (struct lead){ 2, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf };
	if (first >= 0xf0 && first <= 0xf4)
		return (struct lead){ 3, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf };
	return (struct lead){};
}

/* As utf8_next(); @ret_bad tells U+FFFD in the text from bad bytes. */
static size_t decode(const char *bytes, size_t len, uint32_t *ret, bool *ret_bad)
{
	const unsigned char *at = (const unsigned char *)bytes;
	struct lead lead;
	uint32_t code;
	size_t i;

	*ret_bad = false;
	if (at[0] < 0x80) {
		*ret = at[0];
		return 1;
	}
	*ret = UTF8_REPLACEMENT;
	lead = classify(at[0]);
	code = at[0] & (0x3fu >> lead.follow_cnt);
	for (i = 1; i <= lead.follow_cnt; i++) {
		unsigned char min = i == 1 ? lead.second_min : 0x80;
		unsigned char max = i == 1 ? lead.second_max : 0xbf;

		if (i == len || at[i] < min || at[i] > max)
			break;
		code = code << 6 | (at[i] & 0x3fu);
	}
	*ret_bad = !lead.follow_cnt || i <= lead.follow_cnt;
	if (!*ret_bad)
		*ret = code;
	return i;
}

size_t utf8_next(const char *bytes, size_t len, uint32_t *ret)
{
	bool bad;

	return decode(bytes, len, ret, &bad);
}

size_t utf8_valid_len(const char *bytes, size_t len)
{
	size_t at = 0;

	while (at < len) {
		uint32_t code;
		bool bad;
		size_t step = decode(bytes + at, len - at, &code, &bad);

		if (bad)
			break;
		at += step;
	}
	return at;
}

void utf8_sanitize(const char *bytes, size_t len, struct strbuf *out)
{
	while (len) {
		size_t valid = utf8_valid_len(bytes, len);
		uint32_t code;

		strbuf_add(out, bytes, valid);
		bytes += valid;
		len -= valid;
		if (!len)
			break;
		strbuf_add(out, REPLACEMENT_BYTES, strlen(REPLACEMENT_BYTES));
		valid = utf8_next(bytes, len, &code);
		bytes += valid;
		len -= valid;
	}
}
