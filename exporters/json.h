/* SPDX-License-Identifier: BSD-2-Clause */
/* Text as JSON strings (RFC 8259): always valid UTF-8, control characters escaped. */
#ifndef EBPFPROF_EXPORTERS_JSON_H
#define EBPFPROF_EXPORTERS_JSON_H

struct strbuf;

/** json_add_string - append @text in quotes; bad bytes become U+FFFD */
void json_add_string(struct strbuf *out, const char *text);

#endif
