/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes jitdump files and asks what was read of them, for test_jitdump*.c and test_process_jit.c. */
#ifndef EBPFPROF_TESTS_JITDUMP_FIXTURE_H
#define EBPFPROF_TESTS_JITDUMP_FIXTURE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#include "profiler/base/strbuf.h"
#include "symbolizer/jitdump.h"

#if defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#define OWN_MACHINE EM_X86_64
#endif
#define NEVER UINT64_MAX
#define FACT(test) cmocka_unit_test_setup_teardown(test, jitdump_set_up, jitdump_tear_down)

/* ---- records ---- */

struct debug_entry {
	uint64_t address;
	uint32_t line;
	const char *file; /* "\xff" = as before */
	size_t file_len;  /* 0 = to its NUL */
};

struct jitdump_state {
	struct jitdump *dump;
	struct strbuf bytes; /* of the file */
	size_t written;
	int fd;
};

/* Little-endian, as the tests' machines are. */
void put(struct strbuf *out, uint64_t value, unsigned int bytes);
void put_header(struct strbuf *out, uint32_t machine, uint64_t flags);
void put_prefix(struct strbuf *out, uint32_t id, size_t size, uint64_t time_ns);
/* With @size bytes of machine code behind the name. */
void put_load(struct strbuf *out, uint64_t time_ns, uint64_t address, uint64_t size,
	      const char *name);
void put_move(struct strbuf *out, uint64_t time_ns, uint64_t from, uint64_t to, uint64_t size);
void put_debug(struct strbuf *out, uint64_t time_ns, uint64_t address,
	       const struct debug_entry *entries, size_t cnt);
/* Lines 5 and 6 of f (0x1000), g (0x2000), which moves to 0x3000: three pieces of code. */
void put_sample(struct strbuf *bytes);

/* ---- a dump, and what is asked of it ---- */

int jitdump_set_up(void **state);
int jitdump_tear_down(void **state);
/* Writes what is new up to @len of the file, or to its end, and reads it. */
int update_to(struct jitdump_state *own, size_t len);
int update(struct jitdump_state *own);

/* NULL = nothing is known there. */
void assert_code(struct jitdump_state *own, uint64_t address, uint64_t time_ns, const char *name);
void assert_line(struct jitdump_state *own, uint64_t address, uint32_t line, const char *file);
#endif
