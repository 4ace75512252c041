/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ids of struct profile are those of the wire, so encoding is one pass over its tables
 * without any lookup: each record becomes a Profile message with one element, packed by
 * protobuf-c behind the earlier ones.  Full chunks go through deflate to the sink.
 *
 * Building one Perftools__Profiles__Profile of everything would need a second copy of the profile
 * as pointers (80 bytes and more per sample, location, line) before the first byte is written.
 *
 * The order is that of the field numbers, as Go writes it.  Scalars and period_type come in one
 * message, at the end: pprof takes a second time_nanos for a second profile.
 */
#include "proto/pprof.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "profile.pb-c.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/strbuf.h"
#include "proto/profile_tables.h"

#define CHUNK_BYTES 32768
#define DEFLATE_BYTES 16384
#define GZIP_WINDOW (MAX_WBITS + 16) /* zlib: a gzip header and trailer */

/* What the locations of one mapping really carry. */
enum mapping_has {
	HAS_FILENAMES = 1u << 0,
	HAS_LINE_NUMBERS = 1u << 1,
	HAS_INLINE_FRAMES = 1u << 2,
};

struct encoder {
	const struct profile *profile;
	byte_sink_fn sink;
	void *context;
	bool gzip;
	z_stream deflate;
	struct strbuf chunk; /* packed, not yet deflated */

	/* Room for the largest message of its kind. */
	uint64_t *stack;			   /* [longest stack] */
	Perftools__Profiles__Line *lines;	   /* [most lines of a location] */
	Perftools__Profiles__Line **line_pointers; /* as lines */
	uint8_t *mapping_has;			   /* [mappings.cnt] enum mapping_has */
};

static void encoder_close(struct encoder *encoder)
{
	if (encoder->gzip)
		deflateEnd(&encoder->deflate);
	strbuf_free(&encoder->chunk);
	free(encoder->stack);
	free(encoder->lines);
	free(encoder->line_pointers);
	free(encoder->mapping_has);
}

static size_t longest_list(const struct intern *lists)
{
	size_t longest = 0, cnt;
	uint32_t id;

	for (id = 1; id <= lists->cnt; id++) {
		intern_get(lists, id, &cnt);
		longest = MAX(longest, cnt);
	}
	return longest;
}

static int encoder_open(struct encoder *encoder)
{
	size_t lines = longest_list(&encoder->profile->line_lists) + 1;
	size_t frames = longest_list(&encoder->profile->stacks) + 1;

	encoder->stack = calloc(frames, sizeof(*encoder->stack));
	encoder->lines = calloc(lines, sizeof(*encoder->lines));
	encoder->line_pointers = calloc(lines, sizeof(*encoder->line_pointers));
	encoder->mapping_has = calloc((size_t)encoder->profile->mappings.cnt + 1, 1);
	if (!encoder->stack || !encoder->lines || !encoder->line_pointers ||
	    !encoder->mapping_has || !strbuf_reserve(&encoder->chunk, CHUNK_BYTES))
		return -ENOMEM;
	if (!encoder->gzip)
		return 0;
	if (deflateInit2(&encoder->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		encoder->gzip = false; /* nothing to end */
		return -ENOMEM;
	}
	return 0;
}

/* Hand the chunk on; @how is Z_NO_FLUSH or, for the last one, Z_FINISH. */
static int flush_chunk(struct encoder *encoder, int how)
{
	unsigned char deflated[DEFLATE_BYTES];
	z_stream *deflater = &encoder->deflate;
	int error = 0;

	if (!encoder->gzip) {
		if (encoder->chunk.len)
			error = encoder->sink(encoder->context, encoder->chunk.text,
					      encoder->chunk.len);
		strbuf_clear(&encoder->chunk);
		return error;
	}
	deflater->next_in = (unsigned char *)encoder->chunk.text;
	deflater->avail_in = (uInt)encoder->chunk.len;
	do {
		deflater->next_out = deflated;
		deflater->avail_out = sizeof(deflated);
		if (deflate(deflater, how) == Z_STREAM_ERROR)
			return -EINVAL;
		if (deflater->avail_out < sizeof(deflated))
			error = encoder->sink(encoder->context, deflated,
					      sizeof(deflated) - deflater->avail_out);
	} while (!error && !deflater->avail_out);
	strbuf_clear(&encoder->chunk);
	return error;
}

static int emit(struct encoder *encoder, const Perftools__Profiles__Profile *part)
{
	size_t len = perftools__profiles__profile__get_packed_size(part);
	struct strbuf *chunk = &encoder->chunk;

	if (!strbuf_reserve(chunk, len))
		return -ENOMEM;
	perftools__profiles__profile__pack(part, (uint8_t *)chunk->text + chunk->len);
	chunk->len += len;
	return chunk->len < CHUNK_BYTES ? 0 : flush_chunk(encoder, Z_NO_FLUSH);
}

static int emit_sample_types(struct encoder *encoder)
{
	const struct profile *profile = encoder->profile;
	size_t i;
	int error = 0;

	for (i = 0; !error && i < profile->type_cnt; i++) {
		Perftools__Profiles__ValueType type = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
		Perftools__Profiles__ValueType *pointer = &type;
		Perftools__Profiles__Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;

		type.type = profile->types[i].type;
		type.unit = profile->types[i].unit;
		part.n_sample_type = 1;
		part.sample_type = &pointer;
		error = emit(encoder, &part);
	}
	return error;
}

/* The labels of one sample; the wire has no empty string label, so that one is left out. */
static size_t fill_labels(const struct profile *profile, uint32_t list,
			  Perftools__Profiles__Label *labels,
			  Perftools__Profiles__Label **label_pointers)
{
	const uint32_t *ids;
	size_t i, id_cnt, cnt = 0;

	if (!list)
		return 0;
	ids = intern_get(&profile->label_lists, list, &id_cnt);
	for (i = 0; i < id_cnt; i++) {
		const struct label_record *record = intern_get(&profile->labels, ids[i], NULL);

		if (record->is_str && !record->str)
			continue;
		perftools__profiles__label__init(&labels[cnt]);
		labels[cnt].key = record->key;
		labels[cnt].str = record->str;
		labels[cnt].num = record->num;
		labels[cnt].num_unit = record->unit;
		label_pointers[cnt] = &labels[cnt];
		cnt++;
	}
	return cnt;
}

static int emit_sample(struct encoder *encoder, uint32_t id)
{
	const struct profile *profile = encoder->profile;
	const struct sample_record *record = intern_get(&profile->samples, id, NULL);
	Perftools__Profiles__Label labels[PROFILE_LABELS_MAX], *label_pointers[PROFILE_LABELS_MAX];
	Perftools__Profiles__Sample sample = PERFTOOLS__PROFILES__SAMPLE__INIT;
	Perftools__Profiles__Sample *pointer = &sample;
	Perftools__Profiles__Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	size_t i;

	if (record->stack) {
		const uint32_t *stack =
			intern_get(&profile->stacks, record->stack, &sample.n_location_id);

		for (i = 0; i < sample.n_location_id; i++)
			encoder->stack[i] = stack[i];
	}
	sample.location_id = encoder->stack;
	sample.n_value = profile->type_cnt;
	sample.value = profile->values + (id - 1) * profile->type_cnt;
	sample.n_label = fill_labels(profile, record->labels, labels, label_pointers);
	sample.label = label_pointers;
	part.n_sample = 1;
	part.sample = &pointer;
	return emit(encoder, &part);
}

/*
 * Mapping ids on the wire are ours, but that the main one and the first change places: the first
 * gives a profile its title.  The same both ways.
 */
static uint32_t wire_mapping_id(const struct profile *profile, uint32_t id)
{
	if (id == 1 && profile->main_mapping)
		return profile->main_mapping;
	return id && id == profile->main_mapping ? 1 : id;
}

static int emit_mapping(struct encoder *encoder, uint32_t wire_id)
{
	uint32_t id = wire_mapping_id(encoder->profile, wire_id);
	const struct mapping_record *record = intern_get(&encoder->profile->mappings, id, NULL);
	Perftools__Profiles__Mapping mapping = PERFTOOLS__PROFILES__MAPPING__INIT;
	Perftools__Profiles__Mapping *pointer = &mapping;
	Perftools__Profiles__Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	uint8_t has = encoder->mapping_has[id - 1];

	mapping.id = wire_id;
	mapping.memory_start = record->start;
	mapping.memory_limit = record->limit;
	mapping.file_offset = record->offset;
	mapping.filename = record->filename;
	mapping.build_id = record->build_id;
	mapping.has_functions = true; /* profile.h: every location has a line */
	mapping.has_filenames = has & HAS_FILENAMES;
	mapping.has_line_numbers = has & HAS_LINE_NUMBERS;
	mapping.has_inline_frames = has & HAS_INLINE_FRAMES;
	part.n_mapping = 1;
	part.mapping = &pointer;
	return emit(encoder, &part);
}

/* Called for all locations before the first mapping is emitted. */
static void note_mapping_has(struct encoder *encoder, uint32_t location_id)
{
	const struct profile *profile = encoder->profile;
	const struct location_record *location = intern_get(&profile->locations, location_id, NULL);
	const struct profile_line *lines;
	size_t i, line_cnt;
	unsigned int has = 0;

	if (!location->mapping_id)
		return;
	lines = intern_get(&profile->line_lists, location->lines, &line_cnt);
	for (i = 0; i < line_cnt; i++) {
		const struct function_record *function =
			intern_get(&profile->functions, (uint32_t)lines[i].function_id, NULL);

		if (function->filename)
			has |= HAS_FILENAMES;
		if (lines[i].line)
			has |= HAS_LINE_NUMBERS;
	}
	if (line_cnt > 1)
		has |= HAS_INLINE_FRAMES;
	encoder->mapping_has[location->mapping_id - 1] |= (uint8_t)has;
}

static int emit_location(struct encoder *encoder, uint32_t id)
{
	const struct location_record *record = intern_get(&encoder->profile->locations, id, NULL);
	Perftools__Profiles__Location location = PERFTOOLS__PROFILES__LOCATION__INIT;
	Perftools__Profiles__Location *pointer = &location;
	Perftools__Profiles__Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	const struct profile_line *lines =
		intern_get(&encoder->profile->line_lists, record->lines, &location.n_line);
	size_t i;

	for (i = 0; i < location.n_line; i++) {
		perftools__profiles__line__init(&encoder->lines[i]);
		encoder->lines[i].function_id = (uint64_t)lines[i].function_id;
		encoder->lines[i].line = lines[i].line;
		encoder->line_pointers[i] = &encoder->lines[i];
	}
	location.id = id;
	location.mapping_id = wire_mapping_id(encoder->profile, record->mapping_id);
	location.address = record->address;
	location.line = encoder->line_pointers;
	part.n_location = 1;
	part.location = &pointer;
	return emit(encoder, &part);
}

static int emit_function(struct encoder *encoder, uint32_t id)
{
	const struct function_record *record = intern_get(&encoder->profile->functions, id, NULL);
	Perftools__Profiles__Function function = PERFTOOLS__PROFILES__FUNCTION__INIT;
	Perftools__Profiles__Function *pointer = &function;
	Perftools__Profiles__Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;

	function.id = id;
	function.name = record->name;
	function.system_name = record->system_name;
	function.filename = record->filename;
	function.start_line = record->start_line;
	part.n_function = 1;
	part.function = &pointer;
	return emit(encoder, &part);
}

/* @id from 1, as emit_all() counts: string id + 1. */
static int emit_string(struct encoder *encoder, uint32_t id)
{
	Perftools__Profiles__Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	char *text = (char *)strtab_get(&encoder->profile->strings, id - 1, NULL);

	part.n_string_table = 1;
	part.string_table = &text;
	return emit(encoder, &part);
}

static int emit_rest(struct encoder *encoder)
{
	const struct profile *profile = encoder->profile;
	Perftools__Profiles__ValueType period_type = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
	Perftools__Profiles__Profile part = PERFTOOLS__PROFILES__PROFILE__INIT;
	_cleanup_free_ int64_t *comments = calloc(profile->comment_cnt + 1, sizeof(*comments));
	size_t i;

	if (!comments)
		return -ENOMEM;
	for (i = 0; i < profile->comment_cnt; i++)
		comments[i] = profile->comments[i];
	part.n_comment = profile->comment_cnt;
	part.comment = comments;
	part.time_nanos = profile->time_ns;
	part.duration_nanos = profile->duration_ns;
	part.period = profile->period;
	if (profile->period_type.type) {
		period_type.type = profile->period_type.type;
		period_type.unit = profile->period_type.unit;
		part.period_type = &period_type;
	}
	return emit(encoder, &part);
}

static int emit_all(struct encoder *encoder, uint32_t cnt,
		    int (*emit_one)(struct encoder *encoder, uint32_t id))
{
	uint32_t id;
	int error = 0;

	for (id = 1; !error && id <= cnt; id++)
		error = emit_one(encoder, id);
	return error;
}

int pprof_write(const struct profile *profile, bool gzip, byte_sink_fn sink, void *context)
{
	_cleanup_(encoder_close) struct encoder encoder = {
		.profile = profile,
		.sink = sink,
		.context = context,
		.gzip = gzip,
	};
	uint32_t id;
	int error = encoder_open(&encoder);

	if (error)
		return error;
	for (id = 1; id <= profile->locations.cnt; id++)
		note_mapping_has(&encoder, id);
	error = emit_sample_types(&encoder);
	if (!error)
		error = emit_all(&encoder, profile->samples.cnt, emit_sample);
	if (!error)
		error = emit_all(&encoder, profile->mappings.cnt, emit_mapping);
	if (!error)
		error = emit_all(&encoder, profile->locations.cnt, emit_location);
	if (!error)
		error = emit_all(&encoder, profile->functions.cnt, emit_function);
	if (!error)
		error = emit_all(&encoder, profile->strings.cnt, emit_string);
	if (!error)
		error = emit_rest(&encoder);
	return error ? error : flush_chunk(&encoder, Z_FINISH);
}
