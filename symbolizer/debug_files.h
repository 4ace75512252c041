/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the debug information of a program lies when it is not in the program: GDB manual,
 * "Debugging Information in Separate Files"; elfutils' dwfl; dwz(1); gcc -gsplit-dwarf.
 *
 * Looked for in --debug-dir, then below the root of the process, then below ours.  All opening
 * below a process's root is by openat2 RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS: a link cannot
 * lead out.  Only regular files are opened (a FIFO must not hang us), and one counts only when
 * it proves to be the right one: equal build-id, or for .gnu_debuglink the CRC of its bytes.
 */
#ifndef EBPFPROF_SYMBOLIZER_DEBUG_FILES_H
#define EBPFPROF_SYMBOLIZER_DEBUG_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbolizer/elf.h"

struct debug_search {
	const char *proc_root; /* "/proc" */
	pid_t tgid;	       /* whose root is looked in before ours; 0 = none */
	const char *path; /* of the program, as that process sees it; may end in " (deleted)" */
	const char *debug_dir; /* --debug-dir; NULL = none */
};

/* A file that was found. */
struct debug_file {
	int fd;	    /* owned by the caller */
	char *path; /* heap: where it was, for people */
};
void debug_file_close(struct debug_file *file);

/**
 * debug_file_find - the separate debug file of @elf: by build-id
 * (DIR/.build-id/xx/yyy.debug below /usr/lib/debug and the others), then by .gnu_debuglink
 * Errors: -ENOENT there is none; -ESTALE only files of another build are there; -ENOMEM.
 */
int debug_file_find(const struct debug_search *search, struct elf_file *elf,
		    struct debug_file *ret);

/**
 * debug_file_find_sup - the supplementary file that .gnu_debugaltlink of @debug names
 * @debug_path: where @debug lies: a relative name counts from there
 * DWARF 5's .debug_sup says the same in another form, and is read where the former is missing.
 * Errors: -ENODATA no such section; -ENOEXEC it is broken; as above.
 */
int debug_file_find_sup(const struct debug_search *search, struct elf_file *debug,
			const char *debug_path, struct debug_file *ret);

/** debug_file_find_package - the .dwp beside the program or its debug file; as above */
int debug_file_find_package(const struct debug_search *search, struct debug_file *ret);

/** debug_file_find_split - a .dwo, by DW_AT_dwo_name and DW_AT_comp_dir; as above */
int debug_file_find_split(const struct debug_search *search, const char *comp_dir, const char *name,
			  struct debug_file *ret);

#define MINI_DEBUG_MAX (256u << 20) /* bytes of an unpacked .gnu_debugdata */

/**
 * mini_debug_load - unpack .gnu_debugdata: an xz-packed ELF file with a .symtab
 * @ret: heap, [*ret_size], the caller's
 * Errors: -ENODATA no such section; -EFBIG larger than MINI_DEBUG_MAX, or unpacking wants too
 * much memory; -ENOEXEC broken; -EIO; -ENOMEM.
 */
int mini_debug_load(struct elf_file *elf, uint8_t **ret, size_t *ret_size);

#endif
