/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each distinct list of fixed-size elements once, numbered densely from 1 in order of arrival.
 *
 * What a profile is made of: its records (a mapping, a function: lists of exactly one element)
 * and its lists (the locations of a stack, the lines of a location).  Elements are compared as
 * bytes, so they must have no padding.  Not thread-safe.
 */
#ifndef EBPFPROF_PROTO_INTERN_H
#define EBPFPROF_PROTO_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum intern_kind {
	INTERN_RECORDS, /* every list has one element; no list boundaries are stored */
	INTERN_LISTS,	/* one or more elements */
};

struct intern {
	enum intern_kind kind;
	size_t element_bytes;
	char *pool;		   /* [pool_cnt] elements of all lists, one behind the other */
	uint32_t *ends;		   /* [cnt] index in pool behind each list; INTERN_LISTS only */
	struct intern_slot *slots; /* [slot_cnt] power of two */
	size_t pool_cnt, pool_capacity, ends_capacity, slot_cnt;
	uint32_t cnt;
};

void intern_init(struct intern *table, enum intern_kind kind, size_t element_bytes);
void intern_free(struct intern *table);

/**
 * intern_add - id of the list of @cnt elements, added if it is new
 * @cnt: > 0; 1 for INTERN_RECORDS
 * @elements: must not point into @table
 *
 * Errors: -ENOMEM; -EOVERFLOW past 2^31 lists or 2^32 elements. @table is unchanged then.
 */
int64_t intern_add(struct intern *table, const void *elements, size_t cnt);

/** intern_get - the elements of list @id (1 <= id <= cnt), valid until the next add */
const void *intern_get(const struct intern *table, uint32_t id, size_t *ret_cnt);

/** intern_bytes - heap bytes that the table holds */
size_t intern_bytes(const struct intern *table);

#endif
