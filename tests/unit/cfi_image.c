/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/cfi_image.h"

#include <stdlib.h>
#include <string.h>

#include "symbolizer/elf.h"

struct cfi_image *cfi_new(enum ehframe_form form)
{
	struct cfi_image *image = calloc(1, sizeof(*image));

	if (!image)
		abort();
	image->form = form;
	return image;
}

void cfi_bytes(struct cfi_image *image, const void *bytes, size_t size)
{
	if (size > sizeof(image->bytes) - image->size)
		abort();
	if (size)
		memcpy(image->bytes + image->size, bytes, size);
	image->size += size;
}

void cfi_number(struct cfi_image *image, uint64_t value, size_t size)
{
	cfi_bytes(image, &value, size);
}

void cfi_uleb(struct cfi_image *image, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		cfi_number(image, value | 0x80, 1);
	cfi_number(image, value, 1);
}

void cfi_sleb(struct cfi_image *image, int64_t value)
{
	for (; value < -0x40 || value >= 0x40; value >>= 7)
		cfi_number(image, (uint64_t)value | 0x80, 1);
	cfi_number(image, (uint64_t)value & 0x7f, 1);
}

/* Up to the id, of the size that the id has. */
static size_t begin_entry(struct cfi_image *image)
{
	image->entry = image->size;
	cfi_number(image, image->is_64_bits ? UINT32_MAX : 0, 4);
	if (image->is_64_bits)
		cfi_number(image, 0, 8);
	return image->is_64_bits && image->form == EHFRAME_DEBUG ? 8 : 4;
}

void cfi_end(struct cfi_image *image)
{
	size_t field = image->is_64_bits ? 8 : 4;
	size_t length_at = image->entry + (image->is_64_bits ? 4 : 0);
	uint64_t length = image->size - length_at - field;

	memcpy(image->bytes + length_at, &length, field);
}

void cfi_cie_header(struct cfi_image *image, uint8_t version, const char *augmentation)
{
	size_t id_size;

	image->cie = image->size;
	id_size = begin_entry(image);
	cfi_number(image, image->form == EHFRAME_EH ? 0 : UINT64_MAX, id_size);
	cfi_number(image, version, 1);
	cfi_bytes(image, augmentation, strlen(augmentation) + 1);
	if (version == 4)
		CFI(image, 8, 0);
	if (strcmp(augmentation, "eh") == 0)
		cfi_number(image, 0x1234, 8);
	cfi_uleb(image, 1);
	cfi_sleb(image, -8);
	CFI(image, 16);
	image->has_data = *augmentation == 'z';
}

void cfi_cie(struct cfi_image *image, uint8_t encoding)
{
	cfi_cie_header(image, 1, image->form == EHFRAME_EH ? "zR" : "");
	if (image->form == EHFRAME_EH)
		CFI(image, 1, encoding);
	image->encoding = image->form == EHFRAME_EH ? encoding : 0;
	CFI(image, 0x0c, 7, 8, 0x80 | 16, 1);
	cfi_end(image);
}

static void add_pointer(struct cfi_image *image, uint8_t encoding, uint64_t value)
{
	if ((encoding & 0x70) == 0x50) {
		while ((CFI_ADDRESS + image->size) % 8)
			CFI(image, 0);
	}
	if ((encoding & 0x70) == 0x10)
		value -= CFI_ADDRESS + image->size;
	switch (encoding & 0xf) {
	case 1:
		cfi_uleb(image, value);
		break;
	case 9:
		cfi_sleb(image, (int64_t)value);
		break;
	case 2:
	case 0xa:
		cfi_number(image, value, 2);
		break;
	case 3:
	case 0xb:
		cfi_number(image, value, 4);
		break;
	default:
		cfi_number(image, value, 8);
	}
}

void cfi_fde(struct cfi_image *image, uint64_t start, uint64_t end)
{
	size_t id_size = begin_entry(image), id_at = image->size;

	cfi_number(image, image->form == EHFRAME_EH ? id_at - image->cie : image->cie, id_size);
	add_pointer(image, image->encoding, start);
	add_pointer(image, image->encoding & 0xf, end - start);
	if (image->has_data)
		cfi_uleb(image, 0);
}

struct ehframe_section cfi_section(const struct cfi_image *image)
{
	static const struct elf_segment segments[] = {
		{ .vaddr = 0, .memsz = 0x10000 },
		{ .vaddr = CFI_CODE, .memsz = CFI_CODE_BYTES, .executable = true },
	};
	uint8_t *bytes = malloc(image->size + !image->size);

	if (!bytes)
		abort();
	memcpy(bytes, image->bytes, image->size);
	return (struct ehframe_section){ .form = image->form,
					 .bytes = bytes,
					 .size = image->size,
					 .address = CFI_ADDRESS,
					 .segments = segments,
					 .segment_cnt = 2 };
}
