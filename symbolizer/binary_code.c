/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbolizer/binary_code.h"

#include <string.h>
#include <unistd.h>

#include "symbolizer/binary_private.h"

bool binary_read_code(struct binary *binary, uint64_t address, void *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < binary->file.segment_cnt; i++) {
		const struct elf_segment *segment = &binary->file.segments[i];
		uint64_t offset = address - segment->vaddr;

		if (address < segment->vaddr || offset >= segment->filesz ||
		    size > segment->filesz - offset)
			continue;
		offset += segment->offset;
		if (binary->image) {
			if (offset > binary->image_bytes || size > binary->image_bytes - offset)
				return false;
			memcpy(bytes, (const char *)binary->image + offset, size);
			return true;
		}
		return binary_ensure_open(binary) == 0 &&
		       pread(binary->file.fd, bytes, size, (off_t)offset) == (ssize_t)size;
	}
	return false;
}
