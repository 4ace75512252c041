/* SPDX-License-Identifier: BSD-2-Clause */
#include "exporters/json.h"

#include <string.h>

#include "profiler/base/strbuf.h"
#include "proto/utf8.h"

void json_add_string(struct strbuf *out, const char *text)
{
	struct strbuf clean = STRBUF_INIT;
	size_t i;

	utf8_sanitize(text, strlen(text), &clean);
	strbuf_add_char(out, '"');
	for (i = 0; i < clean.len; i++) {
		unsigned char c = (unsigned char)clean.text[i];

		if (c == '"' || c == '\\') {
			strbuf_add_char(out, '\\');
			strbuf_add_char(out, (char)c);
		} else if (c < 0x20) {
			strbuf_printf(out, "\\u%04x", c);
		} else {
			strbuf_add_char(out, (char)c);
		}
	}
	strbuf_add_char(out, '"');
	out->failed |= clean.failed;
	strbuf_free(&clean);
}
