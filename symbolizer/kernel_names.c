/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Modules and BPF programs come and go, the kernel's own text stays.  Reading /proc/kallsyms
 * costs a tenth of a second, so it is read again only for addresses outside the text: at once
 * (but once a second) for an address that was not seen before, and ever more seldom, as long as
 * reading shows no change, for one that only might have another name by now.
 */
#include "symbolizer/kernel_names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "symbolizer/kallsyms.h"

#define WAIT_NS NS_PER_SEC
#define WAIT_MAX_NS (64 * NS_PER_SEC)

int kernel_names_open(struct kernel_names *names, const char *path)
{
	*names = (struct kernel_names){ .path = strdup(path), .fd = -1 };
	if (!names->path)
		return -ENOMEM;
	names->fd = open(path, O_RDONLY | O_CLOEXEC);
	return 0;
}

void kernel_names_free(struct kernel_names *names)
{
	if (names->path) /* it was opened */
		fd_closep(&names->fd);
	kallsyms_free(names->table);
	free(names->path);
	*names = (struct kernel_names){ .fd = -1 };
}

static void read_table(struct kernel_names *names, uint64_t now_ns)
{
	struct kallsyms *table;

	names->tried = true;
	names->read_ns = now_ns;
	if (names->fd < 0)
		names->fd = open(names->path, O_RDONLY | O_CLOEXEC);
	if (names->fd < 0 || kallsyms_load_fd(names->fd, names->path, &table, NULL) < 0)
		return;
	if (names->table && kallsyms_cnt(names->table) == kallsyms_cnt(table) &&
	    kallsyms_bytes(names->table) == kallsyms_bytes(table))
		names->wait_ns = MIN(2 * names->wait_ns, WAIT_MAX_NS);
	else
		names->wait_ns = WAIT_NS;
	kallsyms_free(names->table);
	names->table = table;
}

bool kernel_names_find(struct kernel_names *names, uint64_t address, struct kernel_symbol *ret,
		       bool *ret_fixed)
{
	uint64_t start, end;

	*ret_fixed = false;
	if (!names->tried)
		read_table(names, monotonic_ns());
	if (!names->table)
		return false;
	kallsyms_text_range(names->table, &start, &end);
	*ret_fixed = start <= address && address < end;
	return kallsyms_find(names->table, address, ret);
}

bool kernel_names_refresh(struct kernel_names *names, bool is_known, uint64_t now_ns)
{
	/* A table without addresses will not have them a second later. */
	uint64_t wait_ns = is_known || kernel_names_hidden(names) ? names->wait_ns : 0;

	if (now_ns - names->read_ns < MAX(wait_ns, WAIT_NS))
		return false;
	read_table(names, now_ns);
	return true;
}

void kernel_names_text(const struct kernel_names *names, uint64_t *ret_start, uint64_t *ret_end)
{
	*ret_start = *ret_end = 0;
	if (names->table)
		kallsyms_text_range(names->table, ret_start, ret_end);
}

bool kernel_names_hidden(const struct kernel_names *names)
{
	return names->table && kallsyms_hidden(names->table);
}

size_t kernel_names_bytes(const struct kernel_names *names)
{
	return names->table ? kallsyms_bytes(names->table) : 0;
}
