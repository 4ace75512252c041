/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as /proc/kallsyms. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "profiler/base/err.h"
#include "symbolizer/kallsyms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const struct kallsyms *table)
{
	static const uint64_t bases[] = { 0, 0xffffffff81000000, 0xffffffffc0000000, 1ull << 63 };
	struct kernel_symbol symbol;
	uint64_t start, end;
	size_t i, at;

	kallsyms_text_range(table, &start, &end);
	kallsyms_find(table, start, &symbol);
	kallsyms_find(table, UINT64_MAX, &symbol);
	for (i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		for (at = 0; at < 4096; at += 13) {
			if (!kallsyms_find(table, bases[i] + at, &symbol))
				continue;
			if (symbol.address > bases[i] + at || !symbol.name[0] ||
			    strlen(symbol.module) > 65536)
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("kallsyms", MFD_CLOEXEC);
	struct kallsyms *table;
	struct errmsg err;
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (kallsyms_load(path, &table, &err))
		abort();
	if (kallsyms_hidden(table) && kallsyms_cnt(table))
		abort();
	look_up(table);
	kallsyms_free(table);
	close(fd);
	return 0;
}
