/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of kernel addresses as they are now.  Part of symbolizer_kernel.c. */
#ifndef EBPFPROF_SYMBOLIZER_KERNEL_NAMES_H
#define EBPFPROF_SYMBOLIZER_KERNEL_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kallsyms;
struct kernel_symbol;

struct kernel_names {
	char *path;		/* heap */
	int fd;			/* of it; -1: it could not be opened so far */
	struct kallsyms *table; /* NULL: not read yet, or unreadable */
	bool tried;
	uint64_t read_ns; /* CLOCK_MONOTONIC, when it was tried last */
	uint64_t wait_ns; /* until what may have changed is read again */
};

/**
 * kernel_names_open - open @path, which is read when first needed and may be refused by then:
 * the kernel asks for CAP_SYSLOG when it is opened
 * Errors: -ENOMEM.
 */
int kernel_names_open(struct kernel_names *names, const char *path);
void kernel_names_free(struct kernel_names *names);

/**
 * kernel_names_find - as kallsyms_find(), reading the table when first needed
 * @ret_fixed: the address is the kernel's own text, whose names do not change
 */
bool kernel_names_find(struct kernel_names *names, uint64_t address, struct kernel_symbol *ret,
		       bool *ret_fixed);

/**
 * kernel_names_refresh - read the table again if it is time
 * @is_known: the same answer was given before: it can wait longer
 *
 * Returns whether it was read.
 */
bool kernel_names_refresh(struct kernel_names *names, bool is_known, uint64_t now_ns);

/** kernel_names_text - kallsyms_text_range(); both 0 when it is not known */
void kernel_names_text(const struct kernel_names *names, uint64_t *ret_start, uint64_t *ret_end);

bool kernel_names_hidden(const struct kernel_names *names);
size_t kernel_names_bytes(const struct kernel_names *names);

#endif
