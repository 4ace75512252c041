/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a jitdump; read in two pieces it must be the same as read at once. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbolizer/jitdump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_equal(const struct jitdump_symbol *a, const struct jitdump_symbol *b)
{
	if (strcmp(a->name, b->name) != 0 || a->address != b->address || a->size != b->size ||
	    a->line != b->line || !a->filename != !b->filename)
		return false;
	return !a->filename || strcmp(a->filename, b->filename) == 0;
}

static void compare(const struct jitdump *a, const struct jitdump *b, uint64_t address,
		    uint64_t time_ns)
{
	struct jitdump_symbol left, right;
	bool found = jitdump_find(a, address, time_ns, &left);

	if (found != jitdump_find(b, address, time_ns, &right) ||
	    (found && !is_equal(&left, &right)))
		abort();
	if (found && address - left.address >= left.size)
		abort();
}

static void add(struct jitdump *dump, int fd, const uint8_t *data, size_t size)
{
	if (write(fd, data, size) != (ssize_t)size)
		abort();
	while (jitdump_update(dump, fd) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cut = size > 48 ? data[16] * size / 256 : 0, at;
	int whole_fd = memfd_create("whole", MFD_CLOEXEC);
	int pieces_fd = memfd_create("pieces", MFD_CLOEXEC);
	struct jitdump *whole, *pieces;
	uint64_t address;

	if (whole_fd < 0 || pieces_fd < 0 || jitdump_new(&whole) || jitdump_new(&pieces))
		abort();
	add(whole, whole_fd, data, size);
	add(pieces, pieces_fd, data, cut);
	add(pieces, pieces_fd, data + cut, size - cut);
	if (jitdump_cnt(whole) != jitdump_cnt(pieces) ||
	    jitdump_skipped(whole) != jitdump_skipped(pieces) ||
	    jitdump_bytes(whole) > JITDUMP_BYTES_MAX)
		abort();
	for (at = 0; at + 8 <= size; at += 4) { /* whatever may be an address */
		memcpy(&address, data + at, 8);
		compare(whole, pieces, address, UINT64_MAX);
		compare(whole, pieces, address + 8, 15);
	}
	jitdump_trim(whole, 20);
	jitdump_trim(pieces, UINT64_MAX);
	compare(whole, pieces, 0x1000, UINT64_MAX);
	jitdump_free(whole);
	jitdump_free(pieces);
	close(whole_fd);
	close(pieces_fd);
	return 0;
}
