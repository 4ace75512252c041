/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes to profile in three steps: gunzip, protobuf-c's unpack, and one pass per kind of message
 * that renumbers ids and copies into a struct profile.
 *
 * The file may be hostile, and both formats amplify: gzip by 1000, two bytes of an empty Sample
 * become 100 in memory, one byte of a packed id eight.  So each step draws on a limit: inflating
 * stops at inflated_bytes; protobuf-c allocates through a budget, which the finished profile and
 * the id maps share.  Time follows from that, as every step is linear: a string is cleaned and
 * hashed once however often it is referred to, and maps are seeded hash tables.
 *
 * A hand-written decoder that adds samples while scanning would need a third of the memory, but
 * samples come before the locations that they name, so it would scan everything twice; worth it
 * when files of hundreds of MB are common.
 */
#include "proto/pprof.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "profile.pb-c.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/hashmap.h"
#include "proto/budget.h"
#include "proto/gunzip.h"
#include "proto/profile_tables.h"

#define INFLATED_BYTES_DEFAULT ((size_t)256 << 20)
#define HEAP_BYTES_DEFAULT ((size_t)1 << 30)
#define SYNTHETIC_NAME_MAX 255 /* of the file's name in `file+0x1234`: NAME_MAX */

/* What an id of the file stands for here. */
struct known_mapping {
	uint32_t id;
	uint32_t base_len; /* of the file's name without folders, cut */
	uint32_t filename; /* string id */
	uint32_t base_at;  /* index in that string */
};

struct decoder {
	const Perftools__Profiles__Profile *in;
	struct profile *out;
	struct budget *budget;
	struct errmsg *err;
	uint32_t *strings;	 /* [in->n_string_table] string id + 1; 0 = not yet used */
	struct hashmap mappings; /* u64 id of the file -> struct known_mapping */
	struct hashmap functions, locations; /* u64 id of the file -> uint32_t ours */
	uint32_t *stack;		     /* [PROFILE_FRAMES_MAX] */
	struct profile_line *lines;	     /* [line_capacity] */
	size_t line_capacity;
};

static void decoder_free(struct decoder *decoder)
{
	hashmap_free(&decoder->mappings);
	hashmap_free(&decoder->functions);
	hashmap_free(&decoder->locations);
	profile_free(decoder->out);
	free(decoder->strings);
	free(decoder->stack);
	free(decoder->lines);
}

static int out_of_memory(struct errmsg *err)
{
	return err_set(err, -ENOMEM, "cannot read the profile");
}

static int too_big(const struct decoder *decoder)
{
	return err_say(decoder->err, -EFBIG, "the profile needs more than %zu MiB of memory",
		       decoder->budget->limit >> 20);
}

/* Everything of ours that grows with the file. Returns -EFBIG past the limit. */
static int check_heap(const struct decoder *decoder)
{
	size_t bytes = profile_bytes(decoder->out) + hashmap_bytes(&decoder->mappings) +
		       hashmap_bytes(&decoder->functions) + hashmap_bytes(&decoder->locations) +
		       decoder->in->n_string_table * sizeof(*decoder->strings) +
		       decoder->line_capacity * sizeof(*decoder->lines);

	return bytes > decoder->budget->limit - decoder->budget->used ? too_big(decoder) : 0;
}

/* The error of a profile_put_*() or hashmap_put(). */
static int failed(const struct decoder *decoder, int64_t error)
{
	if (error == -EOVERFLOW)
		return too_big(decoder);
	if (error == -ENOMEM)
		return out_of_memory(decoder->err);
	return err_set(decoder->err, (int)error, "cannot read the profile");
}

static int bad(const struct decoder *decoder, const char *kind, size_t index, const char *why)
{
	return err_say(decoder->err, -EBADMSG, "bad profile: %s %zu %s", kind, index, why);
}

/* Our id of string @index of the file. */
static int get_string(const struct decoder *decoder, int64_t index, uint32_t *ret)
{
	int64_t id;

	if (index < 0 || (uint64_t)index >= decoder->in->n_string_table)
		return err_say(decoder->err, -EBADMSG,
			       "bad profile: string %" PRId64 " is beyond the string table (%zu)",
			       index, decoder->in->n_string_table);
	if (!decoder->strings[index]) {
		const char *text = decoder->in->string_table[index];

		id = profile_text(decoder->out, text, strlen(text));
		if (id < 0)
			return failed(decoder, id);
		decoder->strings[index] = (uint32_t)id + 1;
	}
	*ret = decoder->strings[index] - 1;
	return 0;
}

/* A new entry for an id of the file; -EBADMSG if it is 0 or there already. */
static int put_id(const struct decoder *decoder, struct hashmap *map, uint64_t id, const char *kind,
		  size_t index, void *ret_value)
{
	bool new;
	void *value;

	if (!id)
		return bad(decoder, kind, index, "has the id 0");
	value = hashmap_put(map, &id, &new);
	if (!value)
		return out_of_memory(decoder->err);
	if (!new)
		return bad(decoder, kind, index, "has the id of an earlier one");
	*(void **)ret_value = value;
	return check_heap(decoder);
}

static int get_value_type(const struct decoder *decoder, const Perftools__Profiles__ValueType *in,
			  struct value_type *ret)
{
	int error = get_string(decoder, in->type, &ret->type);

	return error ? error : get_string(decoder, in->unit, &ret->unit);
}

static int read_header(struct decoder *decoder)
{
	const Perftools__Profiles__Profile *in = decoder->in;
	struct profile *out = decoder->out;
	size_t i;
	int error;

	if (!in->n_string_table || in->string_table[0][0])
		return err_say(decoder->err, -EBADMSG,
			       "not a profile: its string table does not begin with \"\"");
	if (in->n_sample_type > PROFILE_VALUES_MAX)
		return err_say(decoder->err, -EFBIG, "the profile has %zu sample types; %d at most",
			       in->n_sample_type, PROFILE_VALUES_MAX);
	if (!in->n_sample_type && in->n_sample)
		return err_say(decoder->err, -EBADMSG, "bad profile: no sample types");
	for (i = 0; i < in->n_sample_type; i++) {
		error = get_value_type(decoder, in->sample_type[i], &out->types[i]);
		if (error)
			return error;
		out->type_cnt++;
	}
	if (in->period_type) {
		error = get_value_type(decoder, in->period_type, &out->period_type);
		if (error)
			return error;
	}
	out->period = in->period;
	profile_set_time(out, in->time_nanos, in->duration_nanos);
	return 0;
}

static int read_comments(struct decoder *decoder)
{
	size_t i;

	for (i = 0; i < decoder->in->n_comment; i++) {
		uint32_t text;
		int error = get_string(decoder, decoder->in->comment[i], &text);

		if (!error)
			error = check_heap(decoder);
		if (error)
			return error;
		error = profile_put_comment(decoder->out, text);
		if (error)
			return failed(decoder, error);
	}
	return 0;
}

/*
 * Where in its mapping's file name a synthetic line's name begins.  Only the end is looked at:
 * a million mappings may share one name of megabytes.
 */
static void find_base(const struct decoder *decoder, struct known_mapping *known)
{
	size_t len;
	const char *name = strtab_get(&decoder->out->strings, known->filename, &len);
	size_t start = len > PATH_MAX ? len - PATH_MAX : 0;
	const char *slash = memrchr(name + start, '/', len - start);

	if (slash)
		start = (size_t)(slash + 1 - name);
	known->base_at = (uint32_t)start;
	known->base_len = (uint32_t)MIN(len - start, SYNTHETIC_NAME_MAX);
}

static int read_mapping(struct decoder *decoder, size_t index)
{
	const Perftools__Profiles__Mapping *in = decoder->in->mapping[index];
	struct mapping_record record = {
		.start = in->memory_start,
		.limit = in->memory_limit,
		.offset = in->file_offset,
	};
	struct known_mapping *known;
	int64_t id;
	int error = get_string(decoder, in->filename, &record.filename);

	if (!error)
		error = get_string(decoder, in->build_id, &record.build_id);
	if (!error)
		error = put_id(decoder, &decoder->mappings, in->id, "mapping", index, &known);
	if (error)
		return error;
	id = intern_add(&decoder->out->mappings, &record, 1);
	if (id < 0)
		return failed(decoder, id);
	known->id = (uint32_t)id;
	known->filename = record.filename;
	find_base(decoder, known);
	return 0;
}

static int read_function(struct decoder *decoder, size_t index)
{
	const Perftools__Profiles__Function *in = decoder->in->function[index];
	struct function_record record = { .start_line = in->start_line };
	uint32_t *known;
	int64_t id;
	int error = get_string(decoder, in->name, &record.name);

	if (!error)
		error = get_string(decoder, in->system_name, &record.system_name);
	if (!error)
		error = get_string(decoder, in->filename, &record.filename);
	if (!error)
		error = put_id(decoder, &decoder->functions, in->id, "function", index, &known);
	if (error)
		return error;
	/* Some writers fill only one of the two. */
	if (!record.name)
		record.name = record.system_name;
	if (!record.system_name)
		record.system_name = record.name;
	id = intern_add(&decoder->out->functions, &record, 1);
	if (id < 0)
		return failed(decoder, id);
	*known = (uint32_t)id;
	return 0;
}

static int reserve_lines(struct decoder *decoder, size_t cnt)
{
	struct profile_line *lines;

	if (cnt <= decoder->line_capacity)
		return 0;
	cnt = MAX(cnt, 64);
	/* Not more than protobuf-c holds for these lines, so at most once more its budget. */
	lines = realloc(decoder->lines, cnt * sizeof(*lines));
	if (!lines)
		return out_of_memory(decoder->err);
	decoder->lines = lines;
	decoder->line_capacity = cnt;
	return 0;
}

/* The one line of a location that has none. */
static int make_line(struct decoder *decoder, const struct known_mapping *mapping, uint64_t address)
{
	struct function_record record = {};
	char name[SYNTHETIC_NAME_MAX + 24];
	const char *filename = "";
	int64_t id;
	int error = reserve_lines(decoder, 1);

	if (error)
		return error;
	if (mapping)
		filename = strtab_get(&decoder->out->strings, mapping->filename, NULL) +
			   mapping->base_at;
	snprintf(name, sizeof(name), "%.*s%s0x%" PRIx64, mapping ? (int)mapping->base_len : 0,
		 filename, *filename ? "+" : "", address);
	id = profile_text(decoder->out, name, strlen(name));
	if (id < 0)
		return failed(decoder, id);
	record.name = record.system_name = (uint32_t)id;
	id = intern_add(&decoder->out->functions, &record, 1);
	if (id < 0)
		return failed(decoder, id);
	decoder->lines[0] = (struct profile_line){ .function_id = id };
	return 0;
}

static int read_lines(struct decoder *decoder, const Perftools__Profiles__Location *in,
		      size_t index)
{
	size_t i;
	int error = reserve_lines(decoder, in->n_line);

	for (i = 0; !error && i < in->n_line; i++) {
		const uint32_t *function =
			hashmap_get(&decoder->functions, &in->line[i]->function_id);

		if (!function)
			return bad(decoder, "location", index,
				   "names a function that is not there");
		decoder->lines[i] = (struct profile_line){ .function_id = *function,
							   .line = in->line[i]->line };
	}
	return error;
}

static int read_location(struct decoder *decoder, size_t index)
{
	const Perftools__Profiles__Location *in = decoder->in->location[index];
	struct location_record record = { .address = in->address };
	const struct known_mapping *mapping = NULL;
	uint32_t *known;
	int64_t id;
	int error;

	if (in->mapping_id) {
		mapping = hashmap_get(&decoder->mappings, &in->mapping_id);
		if (!mapping)
			return bad(decoder, "location", index, "names a mapping that is not there");
		record.mapping_id = mapping->id;
	}
	if (in->n_line)
		error = read_lines(decoder, in, index);
	else
		error = make_line(decoder, mapping, in->address);
	if (!error)
		error = put_id(decoder, &decoder->locations, in->id, "location", index, &known);
	if (error)
		return error;
	id = profile_put_location(decoder->out, &record, decoder->lines, MAX(in->n_line, 1));
	if (id < 0)
		return failed(decoder, id);
	*known = (uint32_t)id;
	return 0;
}

static bool has_key(const struct profile *profile, const uint32_t *labels, size_t cnt, uint32_t key)
{
	size_t i;

	for (i = 0; i < cnt; i++) {
		const struct label_record *label = intern_get(&profile->labels, labels[i], NULL);

		if (label->key == key)
			return true;
	}
	return false;
}

/* Labels without a key are left out, and so are the second and later ones of a key. */
static int read_labels(struct decoder *decoder, const Perftools__Profiles__Sample *in, size_t index,
		       uint32_t *labels, size_t *ret_cnt)
{
	size_t cnt = 0, i;

	for (i = 0; i < in->n_label; i++) {
		struct label_record record = { .is_str = in->label[i]->str != 0 };
		int64_t id;
		int error = get_string(decoder, in->label[i]->key, &record.key);

		if (!error)
			error = get_string(decoder, in->label[i]->str, &record.str);
		if (!error && !record.is_str) {
			error = get_string(decoder, in->label[i]->num_unit, &record.unit);
			record.num = in->label[i]->num;
		}
		if (error)
			return error;
		if (!record.key || has_key(decoder->out, labels, cnt, record.key))
			continue;
		if (cnt == PROFILE_LABELS_MAX)
			return err_say(decoder->err, -EFBIG,
				       "sample %zu of the profile has more than %d labels", index,
				       PROFILE_LABELS_MAX);
		id = profile_put_label(decoder->out, &record);
		if (id < 0)
			return failed(decoder, id);
		labels[cnt++] = (uint32_t)id;
	}
	*ret_cnt = cnt;
	return 0;
}

static int read_sample(struct decoder *decoder, size_t index)
{
	const Perftools__Profiles__Sample *in = decoder->in->sample[index];
	uint32_t labels[PROFILE_LABELS_MAX];
	size_t label_cnt = 0, i;
	int64_t id;
	int error;

	if (in->n_value != decoder->in->n_sample_type)
		return bad(decoder, "sample", index, "has not one value per sample type");
	if (in->n_location_id > PROFILE_FRAMES_MAX)
		return err_say(decoder->err, -EFBIG,
			       "sample %zu of the profile has %zu frames; %d at most", index,
			       in->n_location_id, PROFILE_FRAMES_MAX);
	for (i = 0; i < in->n_location_id; i++) {
		const uint32_t *location = hashmap_get(&decoder->locations, &in->location_id[i]);

		if (!location)
			return bad(decoder, "sample", index, "names a location that is not there");
		decoder->stack[i] = *location;
	}
	error = read_labels(decoder, in, index, labels, &label_cnt);
	if (error)
		return error;
	id = profile_put_sample(decoder->out, decoder->stack, in->n_location_id, labels, label_cnt,
				in->value);
	return id < 0 ? failed(decoder, id) : check_heap(decoder);
}

static int read_each(struct decoder *decoder, size_t cnt,
		     int (*read_one)(struct decoder *decoder, size_t index))
{
	size_t i;
	int error = 0;

	for (i = 0; !error && i < cnt; i++)
		error = read_one(decoder, i);
	return error;
}

static int build(struct decoder *decoder)
{
	const Perftools__Profiles__Profile *in = decoder->in;
	int error;

	hashmap_init(&decoder->mappings, sizeof(uint64_t), sizeof(struct known_mapping));
	hashmap_init(&decoder->functions, sizeof(uint64_t), sizeof(uint32_t));
	hashmap_init(&decoder->locations, sizeof(uint64_t), sizeof(uint32_t));
	if (profile_new(&decoder->out) < 0)
		return out_of_memory(decoder->err);
	error = check_heap(decoder);
	if (error)
		return error;
	decoder->strings = calloc(in->n_string_table + 1, sizeof(*decoder->strings));
	decoder->stack = calloc(PROFILE_FRAMES_MAX, sizeof(*decoder->stack));
	if (!decoder->strings || !decoder->stack)
		return out_of_memory(decoder->err);
	error = read_header(decoder);
	if (!error)
		error = read_comments(decoder);
	if (!error)
		error = read_each(decoder, in->n_mapping, read_mapping);
	if (!error)
		error = read_each(decoder, in->n_function, read_function);
	if (!error)
		error = read_each(decoder, in->n_location, read_location);
	if (!error)
		error = read_each(decoder, in->n_sample, read_sample);
	return error;
}

static int decode(const void *bytes, size_t len, size_t heap_bytes, struct profile **ret,
		  struct errmsg *err)
{
	struct budget budget = { .limit = heap_bytes };
	ProtobufCAllocator allocator = budget_allocator(&budget);
	_cleanup_(decoder_free) struct decoder decoder = { .budget = &budget, .err = err };
	Perftools__Profiles__Profile *message;
	int error;

	message = perftools__profiles__profile__unpack(&allocator, len, bytes);
	if (!message && budget.exhausted)
		return too_big(&decoder);
	if (!message && budget.out_of_memory)
		return out_of_memory(err);
	if (!message)
		return err_say(err, -EBADMSG, "not a pprof profile, or cut short");
	decoder.in = message;
	error = build(&decoder);
	if (!error)
		*ret = TAKE_PTR(decoder.out);
	perftools__profiles__profile__free_unpacked(message, &allocator);
	return error;
}

int pprof_read(const void *bytes, size_t len, const struct pprof_limits *limits,
	       struct profile **ret, struct errmsg *err)
{
	size_t inflated_bytes = limits ? limits->inflated_bytes : 0;
	size_t heap_bytes = limits ? limits->heap_bytes : 0;
	_cleanup_free_ void *inflated = NULL;
	int error;

	if (!inflated_bytes)
		inflated_bytes = INFLATED_BYTES_DEFAULT;
	if (!heap_bytes)
		heap_bytes = HEAP_BYTES_DEFAULT;
	if (!len)
		return err_say(err, -EBADMSG, "not a profile: empty");
	if (is_gzip(bytes, len)) {
		error = gunzip(bytes, len, inflated_bytes, &inflated, &len, err);
		if (error)
			return error;
		bytes = inflated;
	}
	if (len > inflated_bytes)
		return err_say(err, -EFBIG, "the profile is larger than %zu MiB",
			       inflated_bytes >> 20);
	return decode(bytes, len, heap_bytes, ret, err);
}
