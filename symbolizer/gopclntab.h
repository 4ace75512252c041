/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Go's own tables (.gopclntab, Go 1.18 and newer): address -> function, file, line and inlined
 * callers, as the runtime prints them in tracebacks; they are there in stripped programs too.
 * Source: Go's src/runtime/symtab.go, src/internal/abi/symtab.go, src/cmd/link/internal/ld/pcln.go.
 *
 * Found by section name or, without section headers, by the header's magic in the read-only
 * segments.  Inline trees need the module's address of go:func.*, which is taken from
 * runtime.firstmoduledata (found as the word that points at the table, or by the relocation that
 * makes it so in PIE).  Without it names and lines are there and inlined calls are not, and from
 * Go 1.26 on nothing is: the module alone says where the code is.
 * The table is read piecewise; only the function table (8 bytes a function) and recently read
 * blocks (64 KiB) are kept.  One thread at a time.
 */
#ifndef EBPFPROF_SYMBOLIZER_GOPCLNTAB_H
#define EBPFPROF_SYMBOLIZER_GOPCLNTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file;
struct gopclntab;
struct source_frames;

/**
 * gopclntab_open
 * @elf: borrowed until gopclntab_close()
 * Errors: -ENODATA no Go program; -ENOTSUP a table older than Go 1.18, or of a form not known;
 * -ENOEXEC broken; -EIO; -ENOMEM.
 */
int gopclntab_open(struct elf_file *elf, struct gopclntab **ret);
void gopclntab_close(struct gopclntab *table);

/**
 * gopclntab_find - append the frames of @address, innermost first
 * Names as Go prints them (main.(*T).Method, main.Map[...]).
 * C functions that Go's own linker put in have a name and no line; so has the padding behind a
 * function, as in the runtime.
 * False: the address is no Go code (C code of a cgo program, say); @frames is unchanged.
 */
bool gopclntab_find(struct gopclntab *table, uint64_t address, struct source_frames *frames);

/** gopclntab_has_inlines - the inline trees were found */
bool gopclntab_has_inlines(const struct gopclntab *table);
size_t gopclntab_functions(const struct gopclntab *table);
size_t gopclntab_bytes(const struct gopclntab *table);

#endif
