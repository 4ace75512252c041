/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes jitdump files in memory.  Include it behind cmocka.h. */
#ifndef EBPFPROF_TESTS_JITDUMP_FIXTURE_H
#define EBPFPROF_TESTS_JITDUMP_FIXTURE_H

#include <elf.h>
#include <stdint.h>
#include <string.h>

#include "profiler/base/strbuf.h"

#if defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#define OWN_MACHINE EM_X86_64
#endif

static inline void put(struct strbuf *out, uint64_t value, unsigned int bytes)
{
	strbuf_add(out, &value, bytes);
}

static inline void put_header(struct strbuf *out, uint32_t machine, uint64_t flags)
{
	put(out, 0x4a695444, 4);
	put(out, 1, 4);
	put(out, 40, 4);
	put(out, machine, 4);
	put(out, 0, 4);
	put(out, 4711, 4);
	put(out, 99, 8);
	put(out, flags, 8);
}

static inline void put_prefix(struct strbuf *out, uint32_t id, size_t size, uint64_t time_ns)
{
	put(out, id, 4);
	put(out, size, 4);
	put(out, time_ns, 8);
}

/* With @size bytes of machine code behind the name. */
static inline void put_load(struct strbuf *out, uint64_t time_ns, uint64_t address, uint64_t size,
			    const char *name)
{
	size_t i;

	put_prefix(out, 0, 56 + strlen(name) + 1 + size, time_ns);
	put(out, 4711, 4);
	put(out, 4712, 4);
	put(out, address, 8);
	put(out, address, 8);
	put(out, size, 8);
	put(out, 1, 8);
	strbuf_add(out, name, strlen(name) + 1);
	for (i = 0; i < size; i++)
		strbuf_add_char(out, '\xcc');
}

static inline void put_move(struct strbuf *out, uint64_t time_ns, uint64_t from, uint64_t to,
			    uint64_t size)
{
	put_prefix(out, 1, 64, time_ns);
	put(out, 4711, 4);
	put(out, 4712, 4);
	put(out, to, 8);
	put(out, from, 8);
	put(out, to, 8);
	put(out, size, 8);
	put(out, 1, 8);
}

struct debug_entry {
	uint64_t address;
	uint32_t line;
	const char *file; /* "\xff" = as before */
	size_t file_len;  /* 0 = to its NUL */
};

static inline void put_debug(struct strbuf *out, uint64_t time_ns, uint64_t address,
			     const struct debug_entry *entries, size_t cnt)
{
	struct strbuf body = STRBUF_INIT;
	size_t i;

	for (i = 0; i < cnt; i++) {
		size_t len = entries[i].file_len;

		put(&body, entries[i].address, 8);
		put(&body, entries[i].line, 4);
		put(&body, 7, 4);
		strbuf_add(&body, entries[i].file, len ? len : strlen(entries[i].file));
		strbuf_add_char(&body, '\0');
	}
	put_prefix(out, 2, 32 + body.len, time_ns);
	put(out, address, 8);
	put(out, cnt, 8);
	strbuf_add(out, body.text, body.len);
	strbuf_free(&body);
}

#endif
