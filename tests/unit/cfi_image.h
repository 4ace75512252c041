/* SPDX-License-Identifier: BSD-2-Clause */
/* Call frame information made by hand, byte by byte. */
#ifndef EBPFPROF_TESTS_CFI_IMAGE_H
#define EBPFPROF_TESTS_CFI_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbolizer/ehframe.h"

#define CFI_ADDRESS 0x1004ull /* of the section */
#define CFI_CODE 0x400000ull  /* the executable segment */
#define CFI_CODE_BYTES 0x100000ull

/* Encodings (DW_EH_PE_*), so that tests do not share the reader's numbers. */
#define PCREL_SDATA4 0x1b

struct cfi_image {
	enum ehframe_form form;
	bool is_64_bits;
	uint8_t bytes[1 << 16];
	size_t size;
	size_t entry;	  /* where the entry that is open has its length */
	size_t cie;	  /* the last CIE's offset */
	uint8_t encoding; /* of that CIE */
	bool has_data;
};

struct cfi_image *cfi_new(enum ehframe_form form);

void cfi_number(struct cfi_image *image, uint64_t value, size_t size);
void cfi_uleb(struct cfi_image *image, uint64_t value);
void cfi_sleb(struct cfi_image *image, int64_t value);
void cfi_bytes(struct cfi_image *image, const void *bytes, size_t size);

/** CFI - instructions or other bytes, as CFI(image, 0x0c, 7, 8) */
#define CFI(image, ...)                                                                            \
	cfi_bytes(image, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/** cfi_cie_header - a CIE up to its augmentation; code alignment 1, data alignment -8 */
void cfi_cie_header(struct cfi_image *image, uint8_t version, const char *augmentation);

/** cfi_cie - augmentation "zR" with @encoding in .eh_frame, "" in .debug_frame; CFA = rsp + 8 */
void cfi_cie(struct cfi_image *image, uint8_t encoding);

/** cfi_fde - of [@start, @end); its instructions follow, then cfi_end() */
void cfi_fde(struct cfi_image *image, uint64_t start, uint64_t end);
void cfi_end(struct cfi_image *image);

/** cfi_section - what ehframe_open() takes; the bytes are a heap copy of exactly their size */
struct ehframe_section cfi_section(const struct cfi_image *image);

#endif
