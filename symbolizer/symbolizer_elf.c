/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that somebody named, without a process.
 *
 * A profile takes what it can get of a broken file; who asks about one file wants to hear that it
 * is broken, or that the debug file they gave is not its own.  So both are checked here first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "symbolizer/binary.h"
#include "symbolizer/elf.h"
#include "symbolizer/symbolizer_private.h"

static int say_unreadable(int error, const char *path, struct errmsg *err)
{
	if (error == -ENOEXEC)
		return err_say(err, error, "'%s' is not an ELF file, or cut short", path);
	if (error == -ENOTSUP)
		return err_say(err, error, "'%s' is a 32-bit ELF file, or of another machine", path);
	if (error == -EINVAL)
		return err_say(err, error, "'%s' is not a regular file", path);
	return err_set(err, error, "cannot read '%s'", path);
}

/* Its build-id, when the file is whole. */
static int check_file(const char *path, struct elf_build_id *ret, struct errmsg *err)
{
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* FIFOs */
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return say_unreadable(-errno, path, err);
	r = S_ISREG(st.st_mode) ? elf_file_open(fd, &elf, NULL) : -EINVAL;
	if (r == 0 && elf_file_is_cut(elf))
		r = -ENOEXEC;
	if (r < 0)
		return say_unreadable(r, path, err);
	*ret = *elf_file_build_id(elf);
	return 0;
}

static int check_files(const char *path, const char *debug_path, struct errmsg *err)
{
	struct elf_build_id own, debug;
	int r = check_file(path, &own, err);

	if (r < 0 || !debug_path)
		return r;
	r = check_file(debug_path, &debug, err);
	if (r < 0)
		return r;
	if (own.len && debug.len &&
	    (own.len != debug.len || memcmp(own.bytes, debug.bytes, own.len) != 0))
		return err_say(err, -ESTALE, "'%s' is the debug file of another build than '%s'",
			       debug_path, path);
	return 0;
}

int symbolizer_open_elf(struct symbolizer *symbolizer, const char *path, struct binary **ret,
			struct errmsg *err)
{
	_cleanup_free_ char *absolute = realpath(path, NULL);
	struct binary_request request = { .path = absolute };
	struct binary *binary;
	int r;

	if (!absolute)
		return say_unreadable(-errno, path, err);
	r = check_files(absolute, symbolizer->debug_file, err);
	if (r < 0)
		return r;
	binary = binary_get(symbolizer->binaries, &request);
	r = binary ? binary_error(binary) : -ENOMEM;
	if (r < 0) {
		if (binary)
			binary_put(binary);
		return say_unreadable(r, path, err);
	}
	*ret = binary;
	return 0;
}

void symbolizer_close_elf(struct binary *binary)
{
	binary_put(binary);
}

const struct location *symbolizer_elf(struct symbolizer *symbolizer, struct binary *binary,
				      uint64_t address)
{
	struct location_key key = { .owner = binary_id(binary),
				    .kind = LOCATION_USER,
				    .address = address };
	struct location_mapping mapping;

	binary_segment_of_address(binary, address, &mapping.start, &mapping.limit, &mapping.offset);
	key.variant = 1 + binary_generation(binary);
	return symbolizer_binary(symbolizer, binary, &key, &mapping);
}
