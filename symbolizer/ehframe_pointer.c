/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pointers as exception frames encode them: a byte says how many bytes they have and what they are
 * relative to.  Text- and function-relative ones are for machines whose code cannot be addressed
 * relative to itself; nothing writes them for x86-64, so they are refused, as are indirect ones
 * (of a function's start, that is: personality routines are indirect, and skipped).
 */
#include "symbolizer/ehframe_private.h"

/* The number alone, extended to 64 bits by its sign where its form has one. */
static bool read_number(struct byte_cursor *cursor, uint8_t format, uint64_t *ret)
{
	switch (format) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		*ret = read_u64(cursor);
		break;
	case DW_EH_PE_uleb128:
		*ret = read_uleb128(cursor);
		break;
	case DW_EH_PE_udata2:
		*ret = read_u16(cursor);
		break;
	case DW_EH_PE_udata4:
		*ret = read_u32(cursor);
		break;
	case DW_EH_PE_sleb128:
		*ret = (uint64_t)read_sleb128(cursor);
		break;
	case DW_EH_PE_sdata2:
		*ret = (uint64_t)(int16_t)read_u16(cursor);
		break;
	case DW_EH_PE_sdata4:
		*ret = (uint64_t)(int32_t)read_u32(cursor);
		break;
	default:
		return false;
	}
	return !cursor->failed;
}

static uint64_t address_here(const struct byte_cursor *cursor, const uint8_t *start,
			     uint64_t address)
{
	return address + (uint64_t)(cursor->at - start);
}

/* An address of 8 bytes at the next multiple of 8. */
static void skip_to_alignment(struct byte_cursor *cursor, const uint8_t *start, uint64_t address)
{
	skip_bytes(cursor, -address_here(cursor, start, address) & 7);
}

bool skip_pointer(struct byte_cursor *cursor, const uint8_t *start, uint64_t address,
		  uint8_t encoding)
{
	uint64_t ignored;

	if (encoding == DW_EH_PE_omit)
		return true;
	if ((encoding & DW_EH_PE_base) == DW_EH_PE_aligned)
		skip_to_alignment(cursor, start, address);
	return read_number(cursor, encoding & DW_EH_PE_format, &ignored);
}

bool read_pointer(struct byte_cursor *cursor, const uint8_t *start, uint64_t address,
		  uint8_t encoding, uint64_t *ret, bool *ret_is_null)
{
	uint64_t base = 0, number;

	if (encoding & DW_EH_PE_indirect) /* DW_EH_PE_omit among them */
		return false;
	switch (encoding & DW_EH_PE_base) {
	case DW_EH_PE_absptr:
		break;
	case DW_EH_PE_pcrel:
		base = address_here(cursor, start, address);
		break;
	case DW_EH_PE_datarel:
		base = address;
		break;
	case DW_EH_PE_aligned:
		skip_to_alignment(cursor, start, address);
		break;
	default:
		return false;
	}
	if (!read_number(cursor, encoding & DW_EH_PE_format, &number))
		return false;
	*ret = base + number;
	*ret_is_null = !number;
	return true;
}

bool ehframe_read_pointer(const uint8_t *bytes, size_t size, size_t at, uint64_t address,
			  uint8_t encoding, uint64_t *ret, size_t *ret_at)
{
	struct byte_cursor cursor = byte_cursor(bytes, size);
	bool is_null;

	skip_bytes(&cursor, at);
	if (!read_pointer(&cursor, bytes, address, encoding, ret, &is_null))
		return false;
	*ret_at = (size_t)(cursor.at - bytes);
	return true;
}
