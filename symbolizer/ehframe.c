/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of .eh_frame and .debug_frame: CIEs, and the functions that FDEs describe, in order.
 *
 * The section is walked twice by the lengths of its entries: first for the CIEs, as .debug_frame
 * may have them behind what refers to them, then for the FDEs.  A CIE is only what stands where the
 * walk finds one: no FDE can have bytes read as a CIE again and again.  Instructions are run when a
 * function is emitted, in the order of addresses.
 *
 * Where functions overlap, the one that begins later wins from there on, as for exceptions: the
 * unwinder that programs have looks up the last one that begins at or below an address, and what
 * does not hold there would not have gone unnoticed.
 *
 * .eh_frame_hdr's sorted table was the alternative to sorting here.  It is as hostile as the rest,
 * lacks the ends of functions, which must then be read from the FDEs at random, and not each
 * linker writes it; sorting takes a twentieth of the time.
 */
#include "symbolizer/ehframe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/ehframe_private.h"
#include "symbolizer/elf.h"
#include "symbolizer/frame_table.h"

#define FIRST_CIES 16
#define RADIX_BITS 11
#define RADIX (1u << RADIX_BITS)

struct entry {
	struct byte_cursor at; /* behind the id */
	uint32_t offset;       /* of the entry in the section */
	uint64_t id;
	size_t id_offset; /* of the id in the section */
	bool is_64_bits;
};

struct fde {
	uint64_t start, end;
	bool discarded;
	struct byte_cursor instructions;
};

/* ---- entries ---- */

static struct byte_cursor cursor_at(const struct ehframe_section *section, size_t offset)
{
	return byte_cursor(section->bytes + offset, section->size - offset);
}

/* The entry at *@offset, and *@offset behind it; false: there is none any more. */
static bool next_entry(const struct ehframe_section *section, size_t *offset, struct entry *ret)
{
	struct byte_cursor at;
	uint64_t length;

	for (;;) {
		at = cursor_at(section, *offset);
		ret->offset = (uint32_t)*offset;
		length = read_u32(&at);
		ret->is_64_bits = length == UINT32_MAX;
		if (ret->is_64_bits)
			length = read_u64(&at);
		if (at.failed || length > bytes_left(&at))
			return false;
		*offset = (size_t)(at.at - section->bytes) + length;
		ret->at = byte_cursor(at.at, length);
		ret->id_offset = (size_t)(at.at - section->bytes);
		/* LSB: the id of .eh_frame has 4 bytes in each format. */
		ret->id = section->form == EHFRAME_DEBUG && ret->is_64_bits ? read_u64(&ret->at) :
									      read_u32(&ret->at);
		if (!ret->at.failed)
			return true;
		if (!length && section->ends_at_terminator)
			return false;
		/* Padding, or too short to be anything: the next one. */
	}
}

static bool is_cie(const struct ehframe_section *section, const struct entry *entry)
{
	if (section->form == EHFRAME_EH)
		return !entry->id;
	return entry->id == (entry->is_64_bits ? UINT64_MAX : UINT32_MAX);
}

/* ---- CIEs ---- */

/* What stands in the augmentation's data, told by the letters behind 'z'. */
static bool read_augmentation(const struct ehframe_section *section, const char *letters,
			      struct byte_cursor *data, struct ehframe_cie *cie)
{
	for (; *letters; letters++) {
		switch (*letters) {
		case 'R':
			cie->encoding = read_u8(data);
			break;
		case 'L':
			read_u8(data);
			break;
		case 'P':
			if (!skip_pointer(data, section->bytes, section->address, read_u8(data)))
				return false;
			break;
		case 'S': /* a signal's frame: its registers say so too */
		case 'B': /* AArch64 only, and without data */
			break;
		default:
			return false;
		}
	}
	return !data->failed;
}

static bool function_encoding_is_known(uint8_t encoding)
{
	uint8_t base = encoding & DW_EH_PE_base;

	return !(encoding & DW_EH_PE_indirect) &&
	       (base == DW_EH_PE_absptr || base == DW_EH_PE_pcrel || base == DW_EH_PE_aligned);
}

static bool read_cie(const struct ehframe_section *section, struct byte_cursor at,
		     struct ehframe_cie *cie)
{
	uint8_t version = read_u8(&at);
	const char *augmentation = read_string(&at);
	struct byte_cursor data;
	uint64_t size, column;

	if (version != 1 && version != 3 && version != 4)
		return false;
	if (version == 4 && (read_u8(&at) != sizeof(uint64_t) || read_u8(&at) != 0))
		return false; /* size of addresses, of segment selectors */
	if (strcmp(augmentation, "eh") == 0)
		read_u64(&at); /* gcc 2: a pointer to tables of its own */
	else if (*augmentation && *augmentation != 'z')
		return false;
	cie->code_alignment = read_uleb128(&at);
	cie->data_alignment = read_sleb128(&at);
	column = version == 1 ? read_u8(&at) : read_uleb128(&at);
	cie->has_data = *augmentation == 'z';
	if (cie->has_data) {
		size = read_uleb128(&at);
		data = byte_cursor(at.at, size < bytes_left(&at) ? size : bytes_left(&at));
		skip_bytes(&at, size);
		if (!read_augmentation(section, augmentation + 1, &data, cie))
			return false;
	}
	return !at.failed && column == REGISTER_RETURN && cie->code_alignment &&
	       function_encoding_is_known(cie->encoding) && cfa_run_initial(cie, at);
}

static int collect_cies(struct ehframe *frames, size_t *ret_others)
{
	struct ehframe_cie *bigger, *cie;
	struct entry entry;
	size_t offset = 0;

	*ret_others = 0;
	while (next_entry(&frames->section, &offset, &entry)) {
		if (!is_cie(&frames->section, &entry)) {
			++*ret_others;
			continue;
		}
		if (frames->cie_cnt == EHFRAME_CIES_MAX)
			continue;
		if (frames->cie_cnt == frames->cie_room) {
			frames->cie_room = frames->cie_room ? frames->cie_room * 2 : FIRST_CIES;
			bigger = realloc(frames->cies, frames->cie_room * sizeof(*bigger));
			if (!bigger)
				return -ENOMEM;
			frames->cies = bigger;
		}
		cie = &frames->cies[frames->cie_cnt++];
		*cie = (struct ehframe_cie){ .offset = entry.offset, .encoding = DW_EH_PE_absptr };
		cie->broken = !read_cie(&frames->section, entry.at, cie);
	}
	return 0;
}

/* The CIE that @entry refers to, or NULL; @last: an index, the first guess. */
static const struct ehframe_cie *find_cie(const struct ehframe *frames, const struct entry *entry,
					  size_t last)
{
	uint64_t offset = entry->id;
	size_t low = 0, high = frames->cie_cnt, middle;

	if (frames->section.form == EHFRAME_EH)
		offset = entry->id_offset - entry->id; /* below 0: beyond each offset */
	if (last < frames->cie_cnt && frames->cies[last].offset == offset)
		return &frames->cies[last];
	while (low < high) {
		middle = low + (high - low) / 2;
		if (frames->cies[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < frames->cie_cnt && frames->cies[low].offset == offset ? &frames->cies[low] :
									     NULL;
}

/* ---- FDEs ---- */

static bool read_fde(const struct ehframe_section *section, const struct ehframe_cie *cie,
		     struct byte_cursor at, struct fde *ret)
{
	uint64_t bytes;
	bool ignored;

	if (!read_pointer(&at, section->bytes, section->address, cie->encoding, &ret->start,
			  &ret->discarded))
		return false;
	/* How long it is has the same form, and is relative to nothing. */
	if (!read_pointer(&at, section->bytes, section->address, cie->encoding & DW_EH_PE_format,
			  &bytes, &ignored))
		return false;
	if (cie->has_data)
		skip_bytes(&at, read_uleb128(&at));
	ret->instructions = at;
	return !at.failed && !__builtin_add_overflow(ret->start, bytes, &ret->end);
}

/* Cuts it to the executable segment that it begins in; false: there is none. */
static bool cut_to_segment(const struct ehframe_section *section, struct fde *fde)
{
	size_t i;

	for (i = 0; i < section->segment_cnt; i++) {
		const struct elf_segment *segment = &section->segments[i];

		if (!segment->executable || fde->start < segment->vaddr ||
		    fde->start - segment->vaddr >= segment->memsz)
			continue;
		fde->end = MIN(fde->end, segment->vaddr + segment->memsz);
		return true;
	}
	return false;
}

static void collect_functions(struct ehframe *frames, size_t room)
{
	const struct ehframe_section *section = &frames->section;
	const struct ehframe_cie *cie;
	struct entry entry;
	size_t offset = 0, last = 0;
	struct fde fde;

	while (frames->function_cnt < room && next_entry(section, &offset, &entry)) {
		if (is_cie(section, &entry))
			continue;
		cie = find_cie(frames, &entry, last);
		if (!cie || cie->broken || !read_fde(section, cie, entry.at, &fde)) {
			frames->opened.corrupt++;
			continue;
		}
		last = (size_t)(cie - frames->cies);
		if (fde.discarded || !cut_to_segment(section, &fde)) {
			frames->opened.discarded++;
			continue;
		}
		if (fde.end == fde.start)
			continue;
		frames->functions[frames->function_cnt++] = (struct ehframe_function){
			.start = fde.start,
			.end = fde.end,
			.offset = entry.offset,
			.cie = (uint32_t)last,
		};
	}
}

/* ---- order ---- */

static bool is_sorted(const struct ehframe_function *functions, size_t cnt)
{
	size_t i;

	for (i = 1; i < cnt; i++) {
		if (functions[i].start < functions[i - 1].start)
			return false;
	}
	return true;
}

static void sort_by_bits(const struct ehframe_function *from, struct ehframe_function *to,
			 size_t cnt, unsigned int shift)
{
	size_t places[RADIX] = {}, sum = 0, here, i;

	for (i = 0; i < cnt; i++)
		places[from[i].start >> shift & (RADIX - 1)]++;
	for (i = 0; i < RADIX; i++) {
		here = places[i];
		places[i] = sum;
		sum += here;
	}
	for (i = 0; i < cnt; i++)
		to[places[from[i].start >> shift & (RADIX - 1)]++] = from[i];
}

/* By radix: no order of a hostile section's makes it slow, and equal ones stay in theirs. */
static int sort_functions(struct ehframe *frames)
{
	struct ehframe_function *other, *swap;
	uint64_t differing = 0;
	unsigned int shift;
	size_t i;

	if (is_sorted(frames->functions, frames->function_cnt))
		return 0;
	other = malloc(frames->function_cnt * sizeof(*other));
	if (!other)
		return -ENOMEM;
	for (i = 1; i < frames->function_cnt; i++)
		differing |= frames->functions[i].start ^ frames->functions[0].start;
	for (shift = 0; shift < 64 && differing >> shift; shift += RADIX_BITS) {
		sort_by_bits(frames->functions, other, frames->function_cnt, shift);
		swap = frames->functions;
		frames->functions = other;
		other = swap;
	}
	free(other);
	return 0;
}

/* Of those that begin at the same address the first stays; each ends where the next begins. */
static void cut_overlaps(struct ehframe *frames)
{
	struct ehframe_function *functions = frames->functions;
	size_t i, kept = 0;

	for (i = 0; i < frames->function_cnt; i++) {
		if (kept && functions[kept - 1].start == functions[i].start) {
			frames->opened.overlapping++;
			continue;
		}
		if (kept && functions[kept - 1].end > functions[i].start)
			functions[kept - 1].end = functions[i].start;
		functions[kept++] = functions[i];
	}
	frames->function_cnt = kept;
}

/* ---- what callers do ---- */

static int read_section(struct ehframe *frames)
{
	size_t cnt;
	int ret;

	if (frames->section.size > EHFRAME_BYTES_MAX)
		return -EFBIG;
	ret = collect_cies(frames, &cnt);
	if (ret)
		return ret;
	if (cnt > EHFRAME_FUNCTIONS_MAX)
		return -EFBIG;
	if (!cnt)
		return 0;
	frames->functions = malloc(cnt * sizeof(*frames->functions));
	if (!frames->functions)
		return -ENOMEM;
	collect_functions(frames, cnt);
	ret = sort_functions(frames);
	if (ret)
		return ret;
	cut_overlaps(frames);
	frames->counts = frames->opened;
	return 0;
}

int ehframe_open(const struct ehframe_section *section, struct ehframe **ret)
{
	_cleanup_(ehframe_closep) struct ehframe *frames = calloc(1, sizeof(*frames));
	int code;

	if (!frames)
		return -ENOMEM;
	frames->section = *section;
	code = read_section(frames);
	if (code)
		return code;
	*ret = TAKE_PTR(frames);
	return 0;
}

void ehframe_close(struct ehframe *frames)
{
	if (!frames)
		return;
	free(frames->cies);
	free(frames->functions);
	free(frames);
}

void ehframe_closep(struct ehframe **frames)
{
	ehframe_close(*frames);
}

size_t ehframe_cnt(const struct ehframe *frames)
{
	return frames->function_cnt;
}

void ehframe_range(const struct ehframe *frames, size_t index, uint64_t *ret_start,
		   uint64_t *ret_end)
{
	*ret_start = frames->functions[index].start;
	*ret_end = frames->functions[index].end;
}

int ehframe_emit(struct ehframe *frames, size_t index, struct frame_builder *builder)
{
	const struct ehframe_function *function = &frames->functions[index];
	const struct ehframe_cie *cie = &frames->cies[function->cie];
	size_t offset = function->offset;
	struct entry entry;
	struct fde fde;
	int ret;

	ret = frame_builder_begin(builder, function->start, function->end);
	if (ret)
		return ret;
	/* Both were read before, from the same bytes. */
	if (!next_entry(&frames->section, &offset, &entry) ||
	    !read_fde(&frames->section, cie, entry.at, &fde))
		return 0;
	return cfa_run_function(frames, cie, function, fde.instructions, builder);
}

void ehframe_track_bx(struct ehframe *frames)
{
	frames->track_bx = true;
	frames->counts = frames->opened;
}

bool ehframe_met_bx(const struct ehframe *frames)
{
	return frames->met_bx;
}

void ehframe_counts(const struct ehframe *frames, struct ehframe_counts *ret)
{
	*ret = frames->counts;
}
