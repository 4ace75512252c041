/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Go program made by hand: an ELF image with Go's table, its module and nothing else, in each
 * of the forms that Go's linkers have written since 1.18.
 *
 * Its functions, with text at GO_TEXT (file, line of each; the call at +0x20 of main.outer is
 * main.middle's, inlined, into which main.leaf was inlined):
 *
 *	+0x000	start[8]	no file, no line, no inlined calls; has the name at offset 0
 *	+0x020	main.outer	declared at /src/a.go:10
 *		+0x20		/src/a.go:10
 *		+0x40		/src/a.go:12
 *		+0x60		/src/b.go:31 main.leaf < /src/a.go:3000 main.middle < /src/a.go:12
 *		+0x80		/src/a.go:3000 main.middle < /src/a.go:12
 *		+0xa0		/src/a.go:15
 *	+0x100	main.Map[LONG]	declared at /src/a.go:50; LONG are GO_LONG letters
 *	+0x140	end
 */
#ifndef EBPFPROF_TESTS_GO_IMAGE_H
#define EBPFPROF_TESTS_GO_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GO_TEXT 0x401000u
#define GO_TEXT_BYTES 0x140u
#define GO_LONG 2500u

struct go_image_options {
	bool old;		   /* the layouts of Go 1.18 and 1.19 */
	bool relocated;		   /* the module's words are relocations, as in PIE */
	bool sections;		   /* has section headers */
	const char *table_section; /* what .gopclntab is called then */
	bool no_module;
	bool header_text;     /* the header says where the text is */
	uint32_t magic;	      /* in place of the version's */
	size_t gofunc_word;   /* in place of the version's, in the module */
	uint64_t moved;	      /* how much further than the table says the code ends */
	uint32_t leaf_parent; /* in place of 0x70: where in main.outer the leaf was called */
	bool unsorted;	      /* the entries of two functions are exchanged */
	bool elsewhere;	      /* what main.outer's entry leads to is at another address */
	/* Of the three functions, in their order: */
	const int32_t *deltas[3]; /* pairs of sp's and how many bytes of code have it, up to no
				   * bytes; NULL: none, as a C function */
	uint8_t flags[3];	  /* abi.FuncFlag */
	uint32_t pc_values[3];	  /* in place of where the deltas are */
	const char *outer_name;	  /* in place of main.outer */
	const uint8_t *code;	  /* [GO_TEXT_BYTES], in place of zeros */
};

/** go_image - the image, on the heap */
uint8_t *go_image(const struct go_image_options *options, size_t *ret_size);

#endif
