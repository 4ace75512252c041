/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as the DWARF sections of a program, and of the files that it may refer to: a
 * supplementary one, a .dwo, a package (see dwarf_input.h).  Addresses out of the range index
 * are looked up, then again
 *  - with the index that the first reader made, as it comes out of the cache;
 *  - with a symbol memory in which nothing stays, so that every table is made anew;
 * which must give the same answers.  Last the index itself is hostile: some bytes are changed.
 *
 * Mutations keep the pieces' lengths right, and the length of the last unit, most of the time:
 * else nearly all of them would end at the first header.
 *
 * The seeds are by tests/fuzz/make-dwarf-seeds, out of small programs by gcc, clang, rustc, Go.
 */
#include "tests/fuzz/dwarf_input.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf.h"
#include "symbolizer/dwarf_index.h"
#include "symbolizer/dwarf_tables.h"
#include "symbolizer/elf.h"
#include "symbolizer/source_frames.h"
#include "symbolizer/symbol_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

#define LOOK_UPS_MAX 256
#define COMPARED_MAX 16
#define TEXTS_MAX (2u << 20)

struct opened {
	struct elf_file *elf; /* NULL = the input has no such file */
	struct dwarf_input_image *image;
	size_t image_bytes;
	int fd; /* -1 = in memory */
};

struct files {
	const struct dwarf_input *input;
	struct opened main, sup, package, split;
	int splits_open;
};

/* ---- the input -------------------------------------------------------------------------------- */

/* The size of the piece at @data, its header included. */
static size_t piece_bytes(const uint8_t *data, size_t size)
{
	size_t bytes = DWARF_PIECE_HEADER;

	if (size < bytes)
		return size;
	bytes += (size_t)data[1] | (size_t)data[2] << 8;
	return bytes < size ? bytes : size;
}

static void read_input(const uint8_t *data, size_t size, struct dwarf_input *ret)
{
	*ret = (struct dwarf_input){ .flags = size ? data[0] : 0 };
	if (!size)
		return;
	for (data++, size--; size >= DWARF_PIECE_HEADER;) {
		size_t bytes = piece_bytes(data, size);

		if ((data[0] & 15) < INPUT_SECTIONS)
			ret->pieces[data[0] >> 4 & 3][data[0] & 15] =
				(struct dwarf_piece){ data + DWARF_PIECE_HEADER,
						      bytes - DWARF_PIECE_HEADER };
		data += bytes;
		size -= bytes;
	}
}

/* ---- files ---------------------------------------------------------------------------------- */

static bool is_there(const struct dwarf_piece *pieces)
{
	size_t i;

	for (i = 0; i < INPUT_SECTIONS; i++) {
		if (pieces[i].bytes)
			return true;
	}
	return false;
}

static void open_one(const struct dwarf_input *input, enum dwarf_input_file number,
		     struct opened *ret)
{
	const struct dwarf_piece *pieces = input->pieces[number];
	bool in_file = input->flags & DWARF_INPUT_IN_FILE;

	*ret = (struct opened){ .fd = -1 };
	if (!is_there(pieces))
		return;
	ret->image = dwarf_input_image(pieces, number >= INPUT_SPLIT, !in_file, &ret->image_bytes);
	if (in_file) {
		ret->fd = memfd_create("fuzz_dwarf", MFD_CLOEXEC);
		if (ret->fd < 0 ||
		    write(ret->fd, ret->image, ret->image_bytes) != (ssize_t)ret->image_bytes)
			abort();
		if (elf_file_open(ret->fd, &ret->elf, NULL))
			abort();
	} else if (elf_file_open_memory(ret->image, ret->image_bytes, &ret->elf, NULL)) {
		abort();
	}
}

static void close_one(struct opened *opened)
{
	if (!opened->elf)
		return;
	elf_file_close(opened->elf);
	dwarf_input_free(opened->image, opened->image_bytes);
	if (opened->fd >= 0)
		close(opened->fd);
}

static int open_split(void *context, const char *comp_dir, const char *name, struct elf_file **ret)
{
	struct files *files = context;

	if (strlen(comp_dir) > 4096 || !*name || strlen(name) > 4096)
		abort();
	if (!files->split.elf)
		return -ENOENT;
	files->splits_open++;
	*ret = files->split.elf;
	return 0;
}

static void close_split(void *context, struct elf_file *elf)
{
	struct files *files = context;

	if (elf != files->split.elf || files->splits_open-- == 0)
		abort();
}

/* ---- answers -------------------------------------------------------------------------------- */

static void check_text(const struct source_frames *frames, uint32_t offset)
{
	if (offset && (offset >= frames->text.len || frames->text.text[offset - 1]))
		abort();
}

static bool look_up(struct dwarf *dwarf, uint64_t address, struct source_frames *frames)
{
	bool found;
	size_t i;

	source_frames_clear(frames);
	found = dwarf_find(dwarf, address, frames);
	if (found != (frames->cnt > 0) || frames->cnt > SOURCE_FRAMES_MAX)
		abort();
	if (frames->text.len > SOURCE_TEXT_MAX)
		abort();
	for (i = 0; i < frames->cnt; i++) {
		check_text(frames, frames->frames[i].name);
		check_text(frames, frames->frames[i].filename);
	}
	return found;
}

/* Where the bound on work was reached it counts what is at hand from look-ups before. */
static bool is_whole(const struct dwarf *dwarf)
{
	return dwarf->work_left;
}

static void compare(const struct source_frames *left, const struct source_frames *right)
{
	size_t i;

	if (left->cnt != right->cnt)
		abort();
	for (i = 0; i < left->cnt; i++) {
		const struct source_frame *a = &left->frames[i], *b = &right->frames[i];

		if (strcmp(source_frames_name(left, i), source_frames_name(right, i)) != 0 ||
		    strcmp(source_frames_filename(left, i), source_frames_filename(right, i)) != 0)
			abort();
		if (a->line != b->line || a->start_line != b->start_line ||
		    a->linker_name != b->linker_name)
			abort();
	}
}

struct answers {
	uint64_t addresses[COMPARED_MAX];
	struct source_frames frames[COMPARED_MAX];
	bool whole[COMPARED_MAX];
	size_t cnt;
};

/* The first address of runs, and some behind it. */
static void look_up_run(struct dwarf *dwarf, uint64_t start, uint64_t end, struct answers *answers,
			struct source_frames *frames)
{
	uint64_t step = MAX((end - start) / 32, (uint64_t)1), address;

	if (answers->cnt < COMPARED_MAX) {
		address = start + (end - start) / 2;
		answers->addresses[answers->cnt] = address;
		look_up(dwarf, address, &answers->frames[answers->cnt]);
		answers->whole[answers->cnt++] = is_whole(dwarf);
	}
	for (address = start; address < end; address += step)
		look_up(dwarf, address, frames);
}

static void look_up_all(struct dwarf *dwarf, struct answers *answers)
{
	struct source_frames frames = {};
	size_t bytes, i;
	const struct dwarf_index *index = dwarf_index(dwarf, &bytes);
	const struct dwarf_run *runs = dwarf_index_runs(index);

	if (bytes != dwarf_index_bytes(index))
		abort();
	for (i = 0; i + 1 < index->run_cnt && i < LOOK_UPS_MAX / 32; i++) {
		if (runs[i].owner >= index->unit_cnt && runs[i].owner != DWARF_NOBODY)
			abort();
		look_up_run(dwarf, index->text_base + runs[i].start,
			    index->text_base + runs[i + 1].start, answers, &frames);
	}
	look_up(dwarf, 0, &frames);
	look_up(dwarf, UINT64_MAX, &frames);
	if (dwarf_heap_bytes(dwarf) > 64u << 20)
		abort();
	source_frames_free(&frames);
}

/* ---- readers -------------------------------------------------------------------------------- */

static void look_up_again(const struct dwarf_config *config, const struct answers *answers)
{
	struct source_frames frames = {};
	struct dwarf *dwarf;
	size_t i;

	if (dwarf_open(config, &dwarf))
		abort();
	for (i = 0; i < answers->cnt; i++) {
		look_up(dwarf, answers->addresses[i], &frames);
		if (answers->whole[i] && is_whole(dwarf))
			compare(&answers->frames[i], &frames);
	}
	source_frames_free(&frames);
	dwarf_close(dwarf);
	if (config->memory->bytes)
		abort();
}

/* @patches: triples of an offset and what to add there. */
static void use_hostile_index(struct dwarf_config *config, const void *index,
			      const struct dwarf_piece *patches)
{
	struct answers answers = {};
	uint8_t *copy = malloc(config->index_bytes);
	struct dwarf *dwarf;
	size_t i;

	if (!copy)
		abort();
	memcpy(copy, index, config->index_bytes);
	for (i = 0; i + 2 < patches->size; i += 3) {
		size_t offset = (size_t)patches->bytes[i] | (size_t)patches->bytes[i + 1] << 8;

		copy[offset % config->index_bytes] += patches->bytes[i + 2];
	}
	config->index = copy;
	if (dwarf_open(config, &dwarf))
		abort();
	look_up_all(dwarf, &answers);
	dwarf_close(dwarf);
	for (i = 0; i < answers.cnt; i++)
		source_frames_free(&answers.frames[i]);
	free(copy);
}

static void read_again(struct dwarf_config *config, struct dwarf *dwarf, struct answers *answers,
		       const struct dwarf_piece *patches)
{
	const void *index = dwarf_index(dwarf, &config->index_bytes);
	struct symbol_memory small;

	config->index = index;
	look_up_again(config, answers);
	symbol_memory_init(&small, 1);
	config->memory = &small;
	look_up_again(config, answers);
	if (patches->size)
		use_hostile_index(config, index, patches);
}

static void read_files(struct files *files, const struct dwarf_input *input)
{
	struct symbol_memory memory, other;
	struct answers answers = {};
	struct dwarf_config config = {
		.elf = files->main.elf,
		.sup = files->sup.elf,
		.package = files->package.elf,
		.open_split = open_split,
		.close_split = close_split,
		.context = files,
		.memory = &memory,
	};
	struct dwarf *dwarf;
	size_t i;

	symbol_memory_init(&memory, 1u << 30);
	symbol_memory_init(&other, 1u << 30);
	if (dwarf_open(&config, &dwarf))
		return;
	look_up_all(dwarf, &answers);
	if (memory.bytes > TEXTS_MAX * 32u)
		abort();
	config.memory = &other;
	read_again(&config, dwarf, &answers, &input->pieces[INPUT_MAIN][INPUT_INDEX_PATCHES]);
	dwarf_close(dwarf);
	if (memory.bytes || files->splits_open)
		abort();
	for (i = 0; i < answers.cnt; i++)
		source_frames_free(&answers.frames[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dwarf_input input;
	struct files files = { .input = &input };

	read_input(data, size, &input);
	if (!input.pieces[INPUT_MAIN][0].bytes)
		return 0;
	open_one(&input, INPUT_MAIN, &files.main);
	open_one(&input, INPUT_SUP, &files.sup);
	open_one(&input, INPUT_SPLIT, &files.split);
	open_one(&input, INPUT_PACKAGE, &files.package);
	read_files(&files, &input);
	close_one(&files.main);
	close_one(&files.sup);
	close_one(&files.split);
	close_one(&files.package);
	return 0;
}

/* ---- mutations ------------------------------------------------------------------------------ */

#ifdef FUZZING

/* The unit that does not end with the section is made to. */
static void mend_units(uint8_t *info, size_t size)
{
	uint32_t length;

	while (size > 4) {
		memcpy(&length, info, sizeof(length));
		if (length >= size - 4) {
			length = (uint32_t)size - 4;
			memcpy(info, &length, sizeof(length));
			return;
		}
		info += length + 4;
		size -= length + 4;
	}
}

static size_t count_pieces(const uint8_t *data, size_t size)
{
	size_t cnt = 0, at;

	for (at = 1; at + DWARF_PIECE_HEADER <= size; cnt++)
		at += piece_bytes(data + at, size - at);
	return cnt;
}

/* Changes the bytes of the piece at @at, which has @bytes with its header. */
static size_t mutate_piece(uint8_t *data, size_t size, size_t max_size, size_t at, size_t bytes)
{
	size_t old = bytes - DWARF_PIECE_HEADER, behind = size - at - bytes;
	size_t more = MIN(max_size - size, DWARF_PIECE_MAX - old), changed;
	uint8_t *piece = malloc(old + more + 1);

	if (!piece)
		return size;
	memcpy(piece, data + at + DWARF_PIECE_HEADER, old);
	changed = LLVMFuzzerMutate(piece, old, old + more + !(old + more));
	changed = MIN(changed, old + more);
	if (changed != old && !(data[at] & 15))
		mend_units(piece, changed);
	memmove(data + at + DWARF_PIECE_HEADER + changed, data + at + bytes, behind);
	memcpy(data + at + DWARF_PIECE_HEADER, piece, changed);
	data[at + 1] = (uint8_t)changed;
	data[at + 2] = (uint8_t)(changed >> 8);
	free(piece);
	return size - old + changed;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t cnt = count_pieces(data, size), at = 1, i;

	if (!cnt || seed % 16 == 0 || size > max_size)
		return LLVMFuzzerMutate(data, size, max_size);
	for (i = seed / 16 % cnt; i; i--)
		at += piece_bytes(data + at, size - at);
	return mutate_piece(data, size, max_size, at, piece_bytes(data + at, size - at));
}

#endif
