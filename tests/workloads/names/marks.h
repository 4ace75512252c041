/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses whose source line is known without asking any debug information: MARK("hot") puts a
 * nop into the code, and its link-time address with the word into section .marks, which is never
 * loaded (nor collected as garbage: R).  The line is where a test finds the comment `LINE: hot` in the source.
 */
#ifndef EBPFPROF_TESTS_MARKS_H
#define EBPFPROF_TESTS_MARKS_H

#define MARK(word)                                                                                 \
	__asm__ volatile("771: nop\n\t"                                                            \
			 ".pushsection .marks,\"R\",@progbits\n\t"                                 \
			 ".quad 771b\n\t"                                                          \
			 ".asciz \"" word "\"\n\t"                                                 \
			 ".popsection" ::                                                          \
				 : "memory")

#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Neither inlined nor copied nor given other parameters: its symbol is its name. */
#ifdef __clang__
#define NEVER_INLINE __attribute__((noinline))
#else
#define NEVER_INLINE __attribute__((noipa))
#endif

#endif
