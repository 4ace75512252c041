/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbolizer/process_map.h"

#include <errno.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/binary.h"
#include "symbolizer/mappings.h"

#define DELETED " (deleted)"
#define FOUR_GIB (1ull << 32)

/* Executable memory that no file lies behind, by the names of the kernel's and /proc's. */
static bool is_anonymous(const char *path)
{
	static const char *const prefixes[] = {
		"//anon", "[heap]", "[stack", "[anon", "/dev/zero", "/SYSV", "/anon_hugepage",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return !path[0] || strcmp(path, "[uprobes]") == 0;
}

/* Files made to hold JIT code: mapped twice, writable here and executable there. */
static bool is_jit_file(const struct binary *binary, const struct binary_request *request)
{
	bool memfd = strncmp(request->path, "/memfd:", 7) == 0;
	size_t len = strlen(request->path), suffix = strlen(DELETED);
	bool deleted = len > suffix && strcmp(request->path + len - suffix, DELETED) == 0;

	if (request->build_id.len || binary_is_elf(binary))
		return false;
	return memfd || (deleted && binary_is_opened(binary));
}

int process_map_file(struct binary_cache *binaries, const struct binary_request *request,
		     struct mapping *mapping)
{
	mapping->binary = NULL;
	mapping->kind = MAPPING_JIT;
	if (strcmp(request->path, "[vdso]") == 0) {
		mapping->kind = MAPPING_VDSO;
		if (mapping->start >= FOUR_GIB) /* a 32-bit process has another one */
			mapping->binary = binary_get_vdso(binaries);
		return 0;
	}
	if (strcmp(request->path, "[vsyscall]") == 0) {
		mapping->kind = MAPPING_VSYSCALL;
		return 0;
	}
	if (is_anonymous(request->path))
		return 0;
	mapping->binary = binary_get(binaries, request);
	if (!mapping->binary)
		return -ENOMEM;
	if (is_jit_file(mapping->binary, request)) {
		binary_put(mapping->binary);
		mapping->binary = NULL;
	} else {
		mapping->kind = MAPPING_FILE;
	}
	return 0;
}
