/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vmlinux with DWARF that belongs to the running kernel, where somebody installed it: Debian
 * linux-image-REL-dbg, Ubuntu linux-image-REL-dbgsym, Fedora kernel-debuginfo, or who builds
 * kernels.  Sources: Documentation/ABI/testing/sysfs-kernel-notes; the packages' lists of files.
 */
#ifndef EBPFPROF_SYMBOLIZER_KERNEL_DEBUG_H
#define EBPFPROF_SYMBOLIZER_KERNEL_DEBUG_H

#include <stdint.h>

#include "symbolizer/debug_files.h"
#include "symbolizer/elf.h"

struct kernel_debug_search {
	const char *notes_path; /* "/sys/kernel/notes" */
	const char *root;	/* "/", a folder in its place in tests */
	const char *release;	/* as `uname -r`; NULL = of the running kernel */
	const char *debug_dir;	/* --debug-dir; NULL = none */
};

/**
 * kernel_build_id - the build-id in the notes of the running kernel
 * Errors: -ENODATA the kernel has none; -ENOEXEC broken; -errno of the file; -ENOMEM.
 */
int kernel_build_id(const char *notes_path, struct elf_build_id *ret);

/**
 * kernel_debug_find - the vmlinux of the running kernel; it has .debug_info
 *
 * Its build-id is the kernel's where both are known; else its name has the kernel's release.
 * Errors: -ENOENT there is none; -ESTALE only those of other kernels are there; -ENOMEM.
 */
int kernel_debug_find(const struct kernel_debug_search *search, struct debug_file *ret);

/**
 * kernel_debug_shift - by how much the kernel was moved when it booted (KASLR)
 * @stext: where _stext of the running kernel is, and
 * @etext: _etext, or 0 when that is not known: kallsyms_text_range()
 *
 * An address of the running kernel minus *@ret_shift is the one in @vmlinux, in arithmetic
 * modulo 2^64: kernels are moved downwards as well.
 * Errors: -ENODATA addresses are hidden (@stext is 0), or @vmlinux has no _stext; -ESTALE it is
 * of another kernel: not moved by whole pages, or of another size; -EIO; -ENOMEM.
 */
int kernel_debug_shift(struct elf_file *vmlinux, uint64_t stext, uint64_t etext,
		       uint64_t *ret_shift);

#endif
