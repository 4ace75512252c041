/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbolizer/process_memory.h"

#include <sys/uio.h>

bool process_read_memory(pid_t tgid, uint64_t address, void *bytes, size_t size)
{
	struct iovec local = { bytes, size };
	struct iovec remote = { (void *)(uintptr_t)address, size };

	return process_vm_readv(tgid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}
