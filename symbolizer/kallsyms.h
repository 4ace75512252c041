/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel, module and BPF program symbols from /proc/kallsyms (Documentation/admin-guide/
 * sysctl/kernel.rst kptr_restrict; kernel/kallsyms.c), text symbols only.
 *
 * Of several symbols at one address a global one wins (T before W before t), then the name with
 * fewer leading underscores, then the one without a suffix (.cold), then the shorter one.
 * Bounded: KALLSYMS_NAMES_MAX bytes of names; symbols beyond are left out.
 */
#ifndef EBPFPROF_SYMBOLIZER_KALLSYMS_H
#define EBPFPROF_SYMBOLIZER_KALLSYMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct errmsg;
struct kallsyms;

#define KALLSYMS_NAMES_MAX (32u << 20)

struct kernel_symbol {
	const char *name;   /* BPF programs without their tag: bpf_prog_6deef7357e7b4530_x -> x */
	const char *module; /* "" for the kernel itself, else nf_tables, bpf, ftrace (no brackets) */
	uint64_t address;
};

/**
 * kallsyms_load - parse @path (/proc/kallsyms)
 *
 * Lines that are no symbol are skipped. When all addresses read 0 (kptr_restrict, or no
 * CAP_SYSLOG) the table is empty and kallsyms_hidden() says so: a success.
 * Errors: -errno of the file; -ENOMEM.
 */
int kallsyms_load(const char *path, struct kallsyms **ret, struct errmsg *err);

/**
 * kallsyms_load_fd - the same of the file behind @fd, from its start, as it is now
 * Whether addresses are shown was decided when it was opened. @path: for messages.
 */
int kallsyms_load_fd(int fd, const char *path, struct kallsyms **ret, struct errmsg *err);
void kallsyms_free(struct kallsyms *table);

bool kallsyms_hidden(const struct kallsyms *table);

/**
 * kallsyms_find - the symbol at or before @address
 *
 * False below the first symbol, past _etext/the end of the kernel's text for the last one of the
 * kernel, or further than 1 MiB behind the start of a symbol.
 */
bool kallsyms_find(const struct kallsyms *table, uint64_t address, struct kernel_symbol *ret);

/** kallsyms_text_range - [_stext, _etext) of the kernel itself; both 0 when unknown */
void kallsyms_text_range(const struct kallsyms *table, uint64_t *ret_start, uint64_t *ret_end);

size_t kallsyms_cnt(const struct kallsyms *table);
size_t kallsyms_bytes(const struct kallsyms *table);

#endif
