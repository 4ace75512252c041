/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of Go code by its pclntab: the stack pointer's delta at each instruction
 * (runtime.funcspdelta), which is there in stripped programs too; Go writes no .eh_frame.
 *
 * CFA = sp + delta + 8; the frame pointer is saved below the return address where the function has
 * a frame.  runtime.goexit, rt0_go, mstart and, behind its switch, mcall are the bottom of a stack.
 * The runtime's functions that switch stacks (systemstack, asmcgocall, cgocallback, nanotime1, ...)
 * are left by their frame pointer; where they have none (morestack; up to Go 1.20 also systemstack
 * and asmcgocall) they are FRAME_EXPRESSION behind the switch.  C functions are left out.
 * Source: Go's src/runtime/traceback.go, src/runtime/asm_amd64.s, src/cmd/internal/obj/x86/obj6.go.
 */
#ifndef EBPFPROF_SYMBOLIZER_FRAME_GO_H
#define EBPFPROF_SYMBOLIZER_FRAME_GO_H

#include <stddef.h>
#include <stdint.h>

struct elf_file;
struct frame_builder;
struct frame_go;

/**
 * frame_go_open - @elf is borrowed until frame_go_close()
 * Errors: as gopclntab_open(): -ENODATA no Go program; -ENOTSUP; -ENOEXEC; -EIO; -ENOMEM; -EFBIG
 * tables of more than 128 MiB.  Cost: memory for the functions and pc-values, 22 MB for a program
 * of 121 MB.
 */
int frame_go_open(struct elf_file *elf, struct frame_go **ret);
void frame_go_close(struct frame_go *go);

/** frame_go_cnt - functions, in ascending order of their addresses */
size_t frame_go_cnt(const struct frame_go *go);

/** frame_go_range - [@ret_start, @ret_end) of function @index < frame_go_cnt() */
void frame_go_range(const struct frame_go *go, size_t index, uint64_t *ret_start,
		    uint64_t *ret_end);

/**
 * frame_go_emit - frame_builder_begin() and its rows for function @index
 * A broken function gives one row, FRAME_CORRUPT.  Errors: of the builder; -EIO; -ENOMEM;
 * -EFBIG far too many steps in all.
 */
int frame_go_emit(struct frame_go *go, size_t index, struct frame_builder *builder);

#endif
