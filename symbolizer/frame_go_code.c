/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Go's tables leave out, by the machine code: where a function written in assembler saves the
 * frame pointer, where it moves to another stack, and which function ends signal handlers.
 *
 * No instructions are decoded in sequence.  What is looked for is known: the assembler of Go writes
 * each of these in one or two ways (src/cmd/internal/obj/x86/obj6.go), and the tables say where sp
 * changes, so that the instruction that did it ends right there.  Only what moves sp to another
 * stack has to be searched for, in the some ten functions whose flag says that they do.  A decoder
 * of x86 was the alternative: a thousand lines of tables for a handful of instructions.  Bytes that
 * only look like one make us say less (FRAME_EXPRESSION from there on), not more.
 *
 * The functions of the compiler need no look at all: their prologue is one of two (frame_go.c).
 * Hence little of the code is read, and of that most in one piece, as the runtime's assembler
 * functions lie side by side.
 */
#include <errno.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/frame_go_private.h"
#include "symbolizer/gopclntab_private.h"

#define PUSH_BP 0x55
#define REX_B 0x41	     /* makes it `push %r13` */
#define SAVE_WITHIN 16	     /* bytes behind the change of sp in which frame pointers are saved */
#define SWITCHING_BYTES 4096 /* of a function that writes sp; the largest has 400 */

/* ---- bytes ---------------------------------------------------------------------------------- */

static int read_ahead(struct frame_go *go, uint64_t address)
{
	struct elf_file *elf = go->table->elf;
	struct go_code *code = go->code;
	struct go_range range;
	int ret;

	code->address = address;
	code->len = 0;
	if (!go_range_at(elf, address, &range))
		return 0;
	ret = elf_read(elf, code->bytes, MIN(range.bytes, (uint64_t)GO_CODE_BYTES), range.offset);
	if (ret)
		return ret == -EIO ? -EIO : 0;
	code->len = MIN(range.bytes, (uint64_t)GO_CODE_BYTES);
	return 0;
}

/* At most @len bytes of code at @address, fewer where the file has no more; valid until the next. */
static int code_at(struct frame_go *go, uint64_t address, size_t len, const uint8_t **ret,
		   size_t *ret_len)
{
	struct go_code *code = go->code;
	uint64_t at = address - code->address;
	int r;

	if (at >= code->len || code->len - at < len) {
		r = read_ahead(go, address);
		if (r)
			return r;
		at = 0;
	}
	*ret = code->bytes + at;
	*ret_len = MIN(code->len - at, len);
	return 0;
}

/* ---- the end of signal handlers ------------------------------------------------------------- */

int go_code_restores_signal(struct frame_go *go, uint64_t address)
{
	static const uint8_t wide[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
	static const uint8_t narrow[] = { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 };
	const uint8_t *code;
	size_t len;
	int ret;

	ret = code_at(go, address, sizeof(wide), &code, &len);
	if (ret)
		return ret;
	return (len >= sizeof(wide) && !memcmp(code, wide, sizeof(wide))) ||
	       (len >= sizeof(narrow) && !memcmp(code, narrow, sizeof(narrow)));
}

/* ---- where the frame pointer is saved ------------------------------------------------------- */

/* `mov %rbp,N(%rsp)` (@opcode 0x89) or `lea N(%rsp),%rbp` (0x8d): its length; 0: it is none. */
static size_t match_bp_sp(const uint8_t *code, size_t len, uint8_t opcode, int32_t *ret_offset)
{
	if (len < 4 || code[0] != 0x48 || code[1] != opcode || code[3] != 0x24)
		return 0;
	*ret_offset = 0;
	if (code[2] == 0x2c)
		return 4;
	if (code[2] == 0x6c && len >= 5) {
		*ret_offset = (int8_t)code[4];
		return 5;
	}
	if (code[2] == 0xac && len >= 8) {
		memcpy(ret_offset, code + 4, sizeof(*ret_offset));
		return 8;
	}
	return 0;
}

/* `push %rbp; mov %rsp,%rbp`, the first of which ends at @code. */
static bool match_push(const uint8_t *code, size_t len, bool has_before, uint32_t at, int32_t delta,
		       struct go_saved *ret)
{
	static const uint8_t mov[] = { 0x48, 0x89, 0xe5 };

	if (code[-1] != PUSH_BP || (has_before && code[-2] == REX_B))
		return false;
	*ret = (struct go_saved){ at, GO_NONE, delta, (int16_t) - (delta + 8), false };
	if (len >= sizeof(mov) && !memcmp(code, mov, sizeof(mov)))
		ret->points = at + sizeof(mov);
	return true;
}

/* `mov %rbp,N(%rsp); lea N(%rsp),%rbp` soon behind @code. */
static bool match_store(const uint8_t *code, size_t len, uint32_t at, int32_t delta,
			struct go_saved *ret)
{
	int32_t offset, again;
	size_t i, bytes, more;

	for (i = 0; i < len && i < SAVE_WITHIN; i++) {
		bytes = match_bp_sp(code + i, len - i, 0x89, &offset);
		if (!bytes || offset < 0 || offset > delta - 8 || delta + 8 - offset > INT16_MAX)
			continue;
		*ret = (struct go_saved){ at + (uint32_t)(i + bytes), GO_NONE, delta,
					  (int16_t)(offset - delta - 8), true };
		more = match_bp_sp(code + i + bytes, len - i - bytes, 0x8d, &again);
		if (more && again == offset)
			ret->points = ret->from + (uint32_t)more;
		return true;
	}
	return false;
}

int go_code_saved(struct frame_go *go, const struct go_frames *function, struct go_saved *ret)
{
	const struct go_step *steps = go->steps;
	const uint8_t *code;
	size_t i, len, before;
	int r;

	ret->from = GO_NONE;
	for (i = 1; i < go->step_cnt && ret->from == GO_NONE; i++) {
		uint32_t at = steps[i].at;
		uint32_t end = i + 1 < go->step_cnt ? steps[i + 1].at : function->extent;

		if (steps[i].delta < 8 || steps[i].delta <= steps[i - 1].delta)
			continue;
		before = MIN(at - steps[i - 1].at, 2u);
		r = code_at(go, function->start + at - before,
			    before + MIN(end - at, 2u * SAVE_WITHIN), &code, &len);
		if (r)
			return r;
		if (len <= before)
			continue;
		if (steps[i].delta != steps[i - 1].delta + 8 || steps[i].delta > INT16_MAX - 8 ||
		    !match_push(code + before, len - before, before == 2, at, steps[i].delta, ret))
			match_store(code + before, len - before, at, steps[i].delta, ret);
	}
	return 0;
}

/* ---- where sp is given another value -------------------------------------------------------- */

/* Bytes of an instruction's operands that begin with @code[0], a ModRM byte. */
static size_t operand_bytes(const uint8_t *code, size_t len)
{
	uint8_t mode = code[0] >> 6, base = code[0] & 7;
	size_t bytes = 1;

	if (mode == 3)
		return bytes;
	if (base == 4) {
		bytes++;
		base = len > 1 ? code[1] & 7 : 0;
	}
	if (mode == 1)
		return bytes + 1;
	return mode == 2 || base == 5 ? bytes + 4 : bytes;
}

/* Length of the instruction at @code, if it loads, copies, computes or aligns sp; else 0. */
static size_t match_sp_write(const uint8_t *code, size_t len)
{
	uint8_t rex, operands;

	if (len < 3 || (code[0] & 0xf8) != 0x48)
		return 0;
	rex = code[0];
	operands = code[2];
	switch (code[1]) {
	case 0x89: /* mov register,%rsp */
		return !(rex & 1) && (operands & 0xc7) == 0xc4 ? 3 : 0;
	case 0x8b: /* mov memory,%rsp */
	case 0x8d: /* lea memory,%rsp */
		return !(rex & 4) && (operands & 0x38) == 0x20 ?
			       2 + operand_bytes(code + 2, len - 2) :
			       0;
	case 0x83: /* and $constant,%rsp */
		return !(rex & 1) && operands == 0xe4 ? 4 : 0;
	case 0x81:
		return !(rex & 1) && operands == 0xe4 ? 7 : 0;
	default:
		return 0;
	}
}

int go_code_sp_write(struct frame_go *go, const struct go_frames *function, uint32_t *ret)
{
	const uint8_t *code;
	size_t i, len, bytes;
	int r;

	*ret = GO_NONE;
	r = code_at(go, function->start, MIN(function->extent, (uint32_t)SWITCHING_BYTES), &code,
		    &len);
	for (i = 0; !r && i < len; i++) {
		bytes = match_sp_write(code + i, len - i);
		if (!bytes)
			continue;
		*ret = (uint32_t)(i + bytes);
		break;
	}
	return r;
}
