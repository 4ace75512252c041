/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bottom of stacks that makecontext() makes.
 *
 * glibc writes the address of its __start_context onto the new stack, as if that had called the
 * context's function.  No call stands before it, its call frame information begins at it while
 * callers are looked up one byte before, and its own caller is none.  The walk knows its code, but
 * can read that only where the page is resident, which it need not be before a context ends.  So it
 * is looked for here: in the libraries that export makecontext, and in programs without libraries.
 * Source: glibc's sysdeps/unix/sysv/linux/x86_64/__start_context.S.
 */
#include <errno.h>
#include <string.h>

#include "symbolizer/elf.h"
#include "symbolizer/frame_source_private.h"
#include "symbolizer/frame_table.h"
#include "symbolizer/section.h"

#define TEXT_BYTES_MAX (8u << 20) /* glibc has 1.5 MB */
#define ENDBR_BYTES 4

/* 1 it exports makecontext, or is a static program, which may have it in; 0; -ENOMEM */
static int has_makecontext(struct elf_file *elf)
{
	static const char name[] = "\0makecontext"; /* with the NUL behind it */
	struct section names;
	int found;

	found = section_open(elf, ".dynstr", &names);
	if (found)
		return found == -ENOMEM ? found : 1;
	found = names.size < TEXT_BYTES_MAX ? section_load(&names) : -EFBIG;
	if (found == 0)
		found = memmem(names.bytes, names.size, name, sizeof(name)) != NULL;
	section_close(&names);
	return found == -ENOMEM ? found : found == 1;
}

static uint64_t find_start(const struct section *text)
{
	static const uint8_t code[] = { 0x48, 0x89, 0xdc, 0x48, 0x8b, 0x3c, 0x24 };
	static const uint8_t endbr[ENDBR_BYTES] = { 0xf3, 0x0f, 0x1e, 0xfa };
	const uint8_t *end = text->bytes + text->size, *at, *next;

	at = memmem(text->bytes, text->size, code, sizeof(code));
	if (!at)
		return 0;
	next = at + 1;
	if (memmem(next, (size_t)(end - next), code, sizeof(code)))
		return 0; /* which one, nothing tells */
	if (at - text->bytes >= ENDBR_BYTES && memcmp(at - ENDBR_BYTES, endbr, ENDBR_BYTES) == 0)
		at -= ENDBR_BYTES;
	return text->address + (uint64_t)(at - text->bytes);
}

int frame_context_find(struct elf_file *elf, uint64_t *ret)
{
	struct section text;
	int r;

	*ret = 0;
	r = has_makecontext(elf);
	if (r <= 0)
		return r;
	r = section_open(elf, ".text", &text);
	if (r)
		return r == -ENOMEM ? r : 0;
	r = text.size <= TEXT_BYTES_MAX ? section_load(&text) : 0;
	if (r == 0 && text.bytes)
		*ret = find_start(&text);
	section_close(&text);
	return r == -ENOMEM ? r : 0;
}
