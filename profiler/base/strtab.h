/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * String table: each distinct byte string once, numbered densely from 0 in order of arrival.
 * Id 0 is always the empty string (the rule of pprof's string_table).
 */
#ifndef EBPFPROF_BASE_STRTAB_H
#define EBPFPROF_BASE_STRTAB_H

#include <stddef.h>
#include <stdint.h>

struct strtab {
	char *bytes; /* all strings, each NUL-terminated */
	size_t bytes_len, bytes_capacity;
	struct strtab_entry *entries; /* [cnt] */
	uint32_t cnt, entries_capacity;
	uint32_t *slots; /* [slot_cnt] id + 1, 0 = free */
	uint32_t slot_cnt;
};

/** strtab_init - a table that holds the empty string as id 0; -ENOMEM */
int strtab_init(struct strtab *table);
void strtab_free(struct strtab *table);

/** strtab_add - id of the string, added if new; -ENOMEM, -EOVERFLOW past 2^31 strings or 4 GiB */
int64_t strtab_add(struct strtab *table, const char *bytes, size_t len);

/** strtab_get - the string, valid until the next add; @ret_len may be NULL; @id < table->cnt */
const char *strtab_get(const struct strtab *table, uint32_t id, size_t *ret_len);

size_t strtab_bytes(const struct strtab *table);

#endif
