/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/go_image.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_MAX 16384
#define TEXT_OFFSET 0x180u
#define DATA_OFFSET 0x300u
#define DATA 0x500000u /* its address */
#define FUNCTIONS 3
#define NONE UINT32_MAX
#define MODULE_WORDS 48

#ifdef __x86_64__
#define MACHINE EM_X86_64
#define RELATIVE R_X86_64_RELATIVE
#define QUANTUM 1
#else
#define MACHINE EM_AARCH64
#define RELATIVE R_AARCH64_RELATIVE
#define QUANTUM 4
#endif

struct builder {
	const struct go_image_options *options;
	uint8_t *bytes;
	size_t at;		      /* in the file */
	size_t table;		      /* where the header is */
	size_t parts[5];	      /* names, cutab, filetab, pctab, functab */
	size_t end;		      /* of the table */
	size_t gofunc, zeros, threes; /* the inline tree; what is none */
	size_t module;
	uint32_t names[5];  /* offsets of names */
	uint32_t values[4]; /* offsets of pc-values: files, lines, inlines, lines of main.Map */
	uint32_t deltas[FUNCTIONS];
	size_t relocations, relocation_cnt, dynamic;
};

static void put(struct builder *builder, const void *bytes, size_t len)
{
	memcpy(builder->bytes + builder->at, bytes, len);
	builder->at += len;
}

static void put_u32(struct builder *builder, uint32_t value)
{
	put(builder, &value, sizeof(value));
}

static void align(struct builder *builder)
{
	builder->at = (builder->at + 7) & ~(size_t)7;
}

static uint64_t address_of(size_t offset)
{
	return DATA + (offset - DATA_OFFSET);
}

/* ---- the table's parts ---------------------------------------------------------------------- */

static void put_names(struct builder *builder)
{
	static const char *const names[] = { "start[8]", "main.outer", "main.middle", "main.leaf" };
	const char *outer = builder->options->outer_name;
	char letters[GO_LONG];
	size_t i;

	builder->parts[0] = builder->at;
	for (i = 0; i < 4; i++) {
		const char *name = i == 1 && outer ? outer : names[i];

		builder->names[i] = (uint32_t)(builder->at - builder->parts[0]);
		put(builder, name, strlen(name) + 1);
	}
	builder->names[4] = (uint32_t)(builder->at - builder->parts[0]);
	memset(letters, 'x', sizeof(letters));
	put(builder, "main.Map[", 9);
	put(builder, letters, sizeof(letters));
	put(builder, "]", 2);
	align(builder);
}

/* Of two compilation units; the second one's files are a.go, one left out, b.go. */
static void put_files(struct builder *builder)
{
	builder->parts[1] = builder->at;
	put_u32(builder, NONE);
	put_u32(builder, 0);
	put_u32(builder, NONE);
	put_u32(builder, 10);
	align(builder);
	builder->parts[2] = builder->at;
	put(builder, "/src/a.go", 10);
	put(builder, "/src/b.go", 10);
	align(builder);
}

static void put_varint(struct builder *builder, uint32_t value)
{
	uint8_t byte;

	do {
		byte = value & 0x7f;
		value >>= 7;
		byte |= value ? 0x80 : 0;
		put(builder, &byte, 1);
	} while (value);
}

/* Pairs of a value and how many bytes of code have it, up to no bytes; returns the offset. */
static uint32_t put_values(struct builder *builder, const int32_t *pairs)
{
	uint32_t start = (uint32_t)(builder->at - builder->parts[3]);
	int32_t last = -1;

	for (; pairs[1]; pairs += 2) {
		int32_t change = pairs[0] - last;

		put_varint(builder, (uint32_t)change << 1 ^ (uint32_t)(change >> 31));
		put_varint(builder, (uint32_t)pairs[1] / QUANTUM);
		last = pairs[0];
	}
	put(builder, "", 1);
	return start;
}

static void put_all_values(struct builder *builder)
{
	static const int32_t files[] = { 0, 0x40, 2, 0x20, 0, 0x80, 0, 0 };
	static const int32_t lines[] = { 10, 0x20, 12, 0x20, 31, 0x20, 3000, 0x20, 15, 0x60, 0, 0 };
	static const int32_t inlines[] = { -1, 0x40, 1, 0x20, 0, 0x20, -1, 0x60, 0, 0 };
	static const int32_t map_lines[] = { 51, 0x40, 0, 0 };
	const struct go_image_options *options = builder->options;
	size_t i;

	builder->parts[3] = builder->at;
	put(builder, "", 1);
	builder->values[0] = put_values(builder, files);
	builder->values[1] = put_values(builder, lines);
	builder->values[2] = put_values(builder, inlines);
	builder->values[3] = put_values(builder, map_lines);
	for (i = 0; i < FUNCTIONS; i++) {
		if (options->deltas[i])
			builder->deltas[i] = put_values(builder, options->deltas[i]);
		if (options->pc_values[i])
			builder->deltas[i] = options->pc_values[i];
	}
	align(builder);
}

static void put_function(struct builder *builder, size_t index, uint32_t offset, uint32_t name,
			 uint32_t lines, bool inlines, uint32_t start_line)
{
	/* funcID, flag, padding, nfuncdata */
	const uint8_t end[4] = { 0, builder->options->flags[index], 0, inlines ? 4 : 0 };

	put_u32(builder, offset);
	put_u32(builder, name);
	put(builder, (const uint32_t[3]){ 8, 0, builder->deltas[index] }, 12);
	/* args, deferreturn, pcsp */
	put_u32(builder, lines ? builder->values[0] : 0);
	put_u32(builder, lines);
	put_u32(builder, inlines ? 3 : 0);
	put_u32(builder, lines ? 1 : NONE); /* the second compilation unit */
	if (!builder->options->old)
		put_u32(builder, start_line);
	put(builder, end, sizeof(end));
	if (inlines) {
		put(builder, (const uint32_t[3]){ 0, 0, builder->values[2] }, 12);
		put(builder, (const uint32_t[4]){ NONE, NONE, NONE, 0x10 }, 16);
	}
	align(builder);
}

static void put_functions(struct builder *builder)
{
	uint32_t offsets[FUNCTIONS + 1] = { 0, 0x20, 0x100, GO_TEXT_BYTES }, starts[FUNCTIONS];
	size_t entries = builder->at, end, i;

	builder->parts[4] = entries;
	builder->at += FUNCTIONS * 8 + 4;
	align(builder);
	for (i = 0; i < FUNCTIONS; i++) {
		starts[i] = (uint32_t)(builder->at - entries);
		if (i == 0)
			put_function(builder, i, 0, 0, 0, false, 0);
		else if (i == 1)
			put_function(builder, i, builder->options->elsewhere ? 0x24 : 0x20,
				     builder->names[1], builder->values[1], true, 10);
		else
			put_function(builder, i, 0x100, builder->names[4], builder->values[3],
				     false, 50);
	}
	end = builder->at;
	builder->at = entries;
	if (builder->options->unsorted) {
		offsets[1] = 0x100;
		offsets[2] = 0x20;
	}
	for (i = 0; i < FUNCTIONS; i++)
		put(builder, (const uint32_t[2]){ offsets[i], starts[i] }, 8);
	put_u32(builder, offsets[FUNCTIONS]);
	builder->at = end;
}

static void put_call(struct builder *builder, int16_t parent, uint32_t name, uint32_t parent_pc,
		     uint32_t start_line)
{
	if (builder->options->old) {
		put(builder, &parent, 2);
		put(builder, "\0", 2);				/* funcID, padding */
		put(builder, (const uint32_t[2]){ 0, 999 }, 8); /* file, line: the runtime's not */
		put_u32(builder, name);
		put_u32(builder, parent_pc);
		return;
	}
	put_u32(builder, 0); /* funcID, padding */
	put_u32(builder, name);
	put_u32(builder, parent_pc);
	put_u32(builder, start_line);
}

/* From go:func.* on: sixteen bytes of something, the inline tree of main.outer. */
static void put_inline_tree(struct builder *builder)
{
	uint32_t leaf_parent = builder->options->leaf_parent;
	size_t i;

	align(builder);
	builder->end = builder->gofunc = builder->at;
	put(builder, "what others have", 16);
	put_call(builder, -1, builder->names[2], 0x20, 20);
	put_call(builder, 0, builder->names[3], leaf_parent ? leaf_parent : 0x70, 30);
	align(builder);
	builder->zeros = builder->at;
	builder->at += 64;
	builder->threes = builder->at; /* calls at +3 of a function whose name begins at 3 */
	for (i = 0; i < 16; i++)
		put_u32(builder, 3);
}

/* ---- header and module ---------------------------------------------------------------------- */

static void put_header(struct builder *builder)
{
	const struct go_image_options *options = builder->options;
	uint32_t magic = options->old ? 0xfffffff0u : 0xfffffff1u;
	uint64_t words[8] = { FUNCTIONS, 2, options->header_text ? GO_TEXT : 0 };
	size_t i, end = builder->at;

	for (i = 0; i < 5; i++)
		words[3 + i] = builder->parts[i] - builder->table;
	builder->at = builder->table;
	put_u32(builder, options->magic ? options->magic : magic);
	put(builder, (const uint8_t[4]){ 0, 0, QUANTUM, 8 }, 4);
	put(builder, words, sizeof(words));
	builder->at = end;
}

static void put_module(struct builder *builder)
{
	const struct go_image_options *options = builder->options;
	size_t gofunc = options->gofunc_word ? options->gofunc_word : options->old ? 38 : 40, i;
	size_t functions_bytes = builder->end - builder->parts[4];
	uint64_t words[MODULE_WORDS] = {
		[0] = address_of(builder->table),
		[1] = address_of(builder->parts[0]),
		[4] = address_of(builder->parts[1]),
		[7] = address_of(builder->parts[2]),
		[10] = address_of(builder->parts[3]),
		[13] = address_of(builder->parts[4]),
		[16] = address_of(builder->parts[4]),
		[20] = GO_TEXT,
		[21] = GO_TEXT + GO_TEXT_BYTES + options->moved,
		[22] = GO_TEXT,
		[23] = GO_TEXT + GO_TEXT_BYTES,
	};

	for (i = 24; i < MODULE_WORDS; i++) /* what else is there leads to other data */
		words[i] = address_of(i % 2 ? builder->zeros : builder->threes);
	words[gofunc] = address_of(builder->gofunc);
	align(builder);
	builder->module = builder->at;
	builder->relocations = builder->module + sizeof(words);
	for (i = 0; i < MODULE_WORDS && options->relocated; i++) {
		Elf64_Rela relocation = { .r_offset = address_of(builder->module + i * 8),
					  .r_info = ELF64_R_INFO(0, RELATIVE),
					  .r_addend = (int64_t)words[i] };

		if (!words[i])
			continue;
		memcpy(builder->bytes + builder->relocations +
			       builder->relocation_cnt++ * sizeof(relocation),
		       &relocation, sizeof(relocation));
		words[i] = 0;
	}
	words[14] = words[15] = functions_bytes;
	words[17] = words[18] = FUNCTIONS + 1;
	put(builder, words, sizeof(words));
	builder->at += builder->relocation_cnt * sizeof(Elf64_Rela);
}

/* ---- the file ------------------------------------------------------------------------------- */

static void put_dynamic(struct builder *builder)
{
	const Elf64_Dyn entries[] = {
		{ .d_tag = DT_RELA, .d_un.d_ptr = address_of(builder->relocations) },
		{ .d_tag = DT_RELASZ, .d_un.d_val = builder->relocation_cnt * sizeof(Elf64_Rela) },
		{ .d_tag = DT_NULL },
	};

	builder->dynamic = builder->at;
	put(builder, entries, sizeof(entries));
}

/* Returns the offset of the headers. */
static size_t put_sections(struct builder *builder)
{
	static const char marks[] = "\0.shstrtab\0.go.buildinfo"; /* at 1, 11; at 25 the table's */
	const char *table = builder->options->table_section;
	size_t strings = builder->at, headers;
	Elf64_Shdr sections[4] = {
		{},
		{ .sh_name = 1, .sh_type = SHT_STRTAB, .sh_offset = strings },
		{ .sh_name = 11, .sh_type = SHT_PROGBITS, .sh_offset = DATA_OFFSET, .sh_size = 8 },
		{ .sh_name = 25,
		  .sh_type = SHT_PROGBITS,
		  .sh_addr = address_of(builder->table),
		  .sh_offset = builder->table,
		  .sh_size = builder->end - builder->table }
	};

	put(builder, marks, sizeof(marks));
	put(builder, table ? table : ".data", strlen(table ? table : ".data") + 1);
	sections[1].sh_size = builder->at - strings;
	align(builder);
	headers = builder->at;
	put(builder, sections, sizeof(sections));
	return headers;
}

static void put_elf_headers(struct builder *builder, size_t sections)
{
	size_t data_bytes = builder->at - DATA_OFFSET;
	Elf64_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
			      .e_type = builder->options->relocated ? ET_DYN : ET_EXEC,
			      .e_machine = MACHINE,
			      .e_version = 1,
			      .e_phoff = sizeof(header),
			      .e_phentsize = sizeof(Elf64_Phdr),
			      .e_phnum = builder->options->relocated ? 3 : 2,
			      .e_shoff = sections,
			      .e_shentsize = sizeof(Elf64_Shdr),
			      .e_shnum = sections ? 4 : 0,
			      .e_shstrndx = sections ? 1 : 0 };
	Elf64_Phdr segments[3] = { { .p_type = PT_LOAD,
				     .p_flags = PF_R | PF_X,
				     .p_offset = TEXT_OFFSET,
				     .p_vaddr = GO_TEXT,
				     .p_filesz = GO_TEXT_BYTES,
				     .p_memsz = GO_TEXT_BYTES },
				   { .p_type = PT_LOAD,
				     .p_flags = PF_R | PF_W,
				     .p_offset = DATA_OFFSET,
				     .p_vaddr = DATA,
				     .p_filesz = data_bytes,
				     .p_memsz = data_bytes },
				   { .p_type = PT_DYNAMIC,
				     .p_offset = builder->dynamic,
				     .p_filesz = 3 * sizeof(Elf64_Dyn) } };

	builder->at = 0;
	put(builder, &header, sizeof(header));
	put(builder, segments, header.e_phnum * sizeof(segments[0]));
}

uint8_t *go_image(const struct go_image_options *options, size_t *ret_size)
{
	struct builder builder = { .options = options, .bytes = calloc(1, IMAGE_MAX) };
	size_t sections = 0;

	if (!builder.bytes)
		abort();
	if (options->code)
		memcpy(builder.bytes + TEXT_OFFSET, options->code, GO_TEXT_BYTES);
	builder.at = DATA_OFFSET;
	put(&builder, "\xff Go buildinf:", 14); /* what a program's data begins with */
	builder.at = builder.table = DATA_OFFSET + 32;
	builder.at += 72;
	put_names(&builder);
	put_files(&builder);
	put_all_values(&builder);
	put_functions(&builder);
	put_inline_tree(&builder);
	put_header(&builder);
	if (!options->no_module)
		put_module(&builder);
	if (options->relocated)
		put_dynamic(&builder);
	if (options->sections)
		sections = put_sections(&builder);
	*ret_size = builder.at;
	put_elf_headers(&builder, sections);
	return realloc(builder.bytes, *ret_size); /* exactly: sanitizers see one byte too many */
}
