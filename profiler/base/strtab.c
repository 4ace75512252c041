/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/base/strtab.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/hashmap.h"

struct strtab_entry {
	uint32_t offset;
	uint32_t len;
};

int strtab_init(struct strtab *table)
{
	int64_t id;

	*table = (struct strtab){};
	id = strtab_add(table, "", 0);
	if (id < 0) {
		strtab_free(table);
		return (int)id;
	}
	return 0;
}

void strtab_free(struct strtab *table)
{
	free(table->bytes);
	free(table->entries);
	free(table->slots);
	*table = (struct strtab){};
}

static uint32_t find_slot(const struct strtab *table, const char *bytes, size_t len)
{
	uint32_t mask = table->slot_cnt - 1;
	uint32_t slot = (uint32_t)hash_bytes(bytes, len) & mask;

	for (; table->slots[slot]; slot = (slot + 1) & mask) {
		const struct strtab_entry *entry = &table->entries[table->slots[slot] - 1];

		if (entry->len == len && memcmp(table->bytes + entry->offset, bytes, len) == 0)
			break;
	}
	return slot;
}

static bool grow_slots(struct strtab *table)
{
	struct strtab bigger = *table;
	uint32_t id;

	bigger.slot_cnt = table->slot_cnt ? table->slot_cnt * 2 : 64;
	bigger.slots = calloc(bigger.slot_cnt, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	for (id = 0; id < table->cnt; id++) {
		const struct strtab_entry *entry = &table->entries[id];

		bigger.slots[find_slot(&bigger, table->bytes + entry->offset, entry->len)] = id + 1;
	}
	free(table->slots);
	*table = bigger;
	return true;
}

static bool grow_storage(struct strtab *table, size_t len)
{
	if (table->cnt == table->entries_capacity) {
		uint32_t capacity = table->entries_capacity ? table->entries_capacity * 2 : 64;
		void *entries = realloc(table->entries, capacity * sizeof(*table->entries));

		if (!entries)
			return false;
		table->entries = entries;
		table->entries_capacity = capacity;
	}
	if (table->bytes_len + len + 1 > table->bytes_capacity) {
		size_t capacity = table->bytes_capacity ? table->bytes_capacity * 2 : 1024;
		char *bytes;

		if (capacity < table->bytes_len + len + 1)
			capacity = table->bytes_len + len + 1;
		bytes = realloc(table->bytes, capacity);
		if (!bytes)
			return false;
		table->bytes = bytes;
		table->bytes_capacity = capacity;
	}
	return true;
}

int64_t strtab_add(struct strtab *table, const char *bytes, size_t len)
{
	uint32_t slot;

	if (table->slot_cnt) {
		slot = find_slot(table, bytes, len);
		if (table->slots[slot])
			return table->slots[slot] - 1;
	}
	if (table->cnt >= INT32_MAX || len >= UINT32_MAX / 2 ||
	    table->bytes_len + len + 1 > UINT32_MAX)
		return -EOVERFLOW;
	if (((uint64_t)table->cnt + 1) * 2 > table->slot_cnt && !grow_slots(table))
		return -ENOMEM;
	if (!grow_storage(table, len))
		return -ENOMEM;
	slot = find_slot(table, bytes, len);
	if (len)
		memcpy(table->bytes + table->bytes_len, bytes, len);
	table->bytes[table->bytes_len + len] = '\0';
	table->entries[table->cnt] = (struct strtab_entry){ .offset = (uint32_t)table->bytes_len,
							    .len = (uint32_t)len };
	table->bytes_len += len + 1;
	table->slots[slot] = ++table->cnt;
	return table->cnt - 1;
}

const char *strtab_get(const struct strtab *table, uint32_t id, size_t *ret_len)
{
	const struct strtab_entry *entry = &table->entries[id];

	if (ret_len)
		*ret_len = entry->len;
	return table->bytes + entry->offset;
}

size_t strtab_bytes(const struct strtab *table)
{
	return table->bytes_capacity + table->entries_capacity * sizeof(*table->entries) +
	       table->slot_cnt * sizeof(*table->slots);
}
