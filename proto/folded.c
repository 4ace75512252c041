/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Samples to lines, in three steps: each location becomes ids of cleaned names, once; each sample
 * becomes the list of its names, and equal lists are summed; the lists are sorted and printed.
 *
 * Lines stay lists of name ids until they are printed: 100,000 stacks of 60 frames are 24 MB as
 * ids, and near 200 MB as text with names of 30 bytes.  Names hold no ';', so two lists are equal
 * exactly when their texts are.
 *
 * flamegraph.pl reads names as Unicode, so what Perl calls white space there is made a plain
 * space here, and looking for a plain space before a number is enough.
 */
#include "proto/folded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/strbuf.h"
#include "profiler/base/strtab.h"
#include "proto/intern.h"
#include "proto/profile_read.h"
#include "proto/saturate.h"
#include "proto/utf8.h"

#define CHUNK_BYTES 32768
#define UNKNOWN "[unknown]"
#define PROCESS_LABEL "process"

struct folder {
	const struct profile *profile;
	struct folded_options options;
	size_t column; /* of the value that is counted */
	bool by_process;
	struct strtab names;	  /* cleaned */
	uint32_t *location_names; /* name ids of all locations, outermost first */
	size_t *location_ends;	  /* [location_cnt] index in location_names behind each */
	uint32_t *frames;	  /* [frames_capacity] the list being made */
	size_t frames_capacity;
	struct intern stacks; /* lists of name ids, outermost first */
	int64_t *sums;	      /* [stacks.cnt], room for one per sample */
	struct strbuf text;   /* scratch, then the chunk being printed */
};

static void folder_free(struct folder *folder)
{
	strtab_free(&folder->names);
	free(folder->location_names);
	free(folder->location_ends);
	free(folder->frames);
	intern_free(&folder->stacks);
	free(folder->sums);
	strbuf_free(&folder->text);
}

/* Code points that would end a line or a name, or that Perl's \s takes for white space. */
static bool is_blank(uint32_t code)
{
	return code <= ' ' || (code >= 0x7f && code <= 0xa0) || code == 0x1680 ||
	       (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
	       code == 0x202f || code == 0x205f || code == 0x3000;
}

/* "foo 12" would be read as a stack that ends in foo and a count: make it "foo_12". */
static void guard_number(char *name)
{
	static const char digits[] = "0123456789";
	char *space = strrchr(name, ' ');
	const char *at;
	size_t digit_cnt;

	if (!space)
		return;
	at = space + 1;
	digit_cnt = strspn(at, digits);
	at += digit_cnt;
	if (*at == '.')
		at += 1 + strspn(at + 1, digits);
	if (digit_cnt && !*at)
		*space = '_';
}

/* Append @name with nothing in it that the format gives a meaning. */
static void add_clean(struct strbuf *out, const char *name)
{
	size_t start = out->len, left = strlen(name);
	bool blank = true;

	while (left) {
		uint32_t code;
		size_t step = utf8_next(name, left, &code);

		if (is_blank(code)) {
			strbuf_add_char(out, ' ');
		} else {
			blank = false;
			if (code == ';')
				strbuf_add_char(out, ':');
			else
				strbuf_add(out, name, step);
		}
		name += step;
		left -= step;
	}
	if (blank) {
		if (!out->failed)
			out->len = start;
		strbuf_add_str(out, UNKNOWN);
	}
}

/* Id of the name in folder->text, which is cleared for the next. */
static int64_t take_name(struct folder *folder)
{
	int64_t id;

	if (folder->text.failed)
		return -ENOMEM;
	guard_number(folder->text.text);
	id = strtab_add(&folder->names, folder->text.text, folder->text.len);
	strbuf_clear(&folder->text);
	return id;
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static const char *annotation(const struct folder *folder, const struct profile_location_view *at,
			      size_t line, const char *function)
{
	struct profile_mapping mapping = { .filename = "" };

	if (!folder->options.annotate)
		return "";
	if (at->mapping_id)
		profile_mapping(folder->profile, at->mapping_id, &mapping);
	if (starts_with(mapping.filename, "[kernel.kallsyms]") ||
	    strcmp(mapping.filename, "[bpf]") == 0 || starts_with(function, "[kernel"))
		return "_[k]";
	if (strcmp(mapping.filename, "[jit]") == 0)
		return "_[j]";
	return line + 1 < at->line_cnt ? "_[i]" : "";
}

static int64_t name_of_line(struct folder *folder, const struct profile_location_view *at,
			    size_t line)
{
	struct profile_function function;

	profile_function(folder->profile, (size_t)at->lines[line].function_id, &function);
	add_clean(&folder->text, function.name);
	if (folder->options.lines && function.filename && at->lines[line].line > 0) {
		const char *slash = strrchr(function.filename, '/');

		strbuf_add_str(&folder->text, " (");
		add_clean(&folder->text, slash ? slash + 1 : function.filename);
		strbuf_printf(&folder->text, ":%" PRId64 ")", at->lines[line].line);
	}
	strbuf_add_str(&folder->text, annotation(folder, at, line, function.name));
	return take_name(folder);
}

static int name_locations(struct folder *folder)
{
	size_t location_cnt = profile_location_cnt(folder->profile), line_cnt = 0, id, cnt = 0;
	struct profile_location_view at;

	for (id = 1; id <= location_cnt; id++) {
		profile_location(folder->profile, id, &at);
		line_cnt += at.line_cnt;
	}
	folder->location_names = calloc(line_cnt + 1, sizeof(*folder->location_names));
	folder->location_ends = calloc(location_cnt + 1, sizeof(*folder->location_ends));
	if (!folder->location_names || !folder->location_ends)
		return -ENOMEM;
	for (id = 1; id <= location_cnt; id++) {
		size_t line;

		profile_location(folder->profile, id, &at);
		for (line = at.line_cnt; line--;) {
			int64_t name = name_of_line(folder, &at, line);

			if (name < 0)
				return (int)name;
			folder->location_names[cnt++] = (uint32_t)name;
		}
		folder->location_ends[id - 1] = cnt;
	}
	return 0;
}

static bool find_process(const struct folder *folder, const struct profile_sample_view *sample,
			 struct profile_label *ret)
{
	size_t i;

	for (i = 0; i < sample->label_cnt; i++) {
		profile_sample_label(folder->profile, sample, i, ret);
		if (strcmp(ret->key, PROCESS_LABEL) == 0)
			return true;
	}
	return false;
}

static bool any_process(const struct folder *folder)
{
	struct profile_sample_view sample;
	struct profile_label label;
	size_t id;

	for (id = 1; id <= profile_sample_cnt(folder->profile); id++) {
		profile_sample(folder->profile, id, &sample);
		if (find_process(folder, &sample, &label))
			return true;
	}
	return false;
}

static int64_t name_of_process(struct folder *folder, const struct profile_sample_view *sample)
{
	struct profile_label label;

	if (!find_process(folder, sample, &label))
		strbuf_add_str(&folder->text, UNKNOWN);
	else if (label.str)
		add_clean(&folder->text, label.str);
	else
		strbuf_printf(&folder->text, "%" PRId64, label.num);
	return take_name(folder);
}

static int reserve_frames(struct folder *folder, size_t cnt)
{
	size_t capacity = MAX(cnt, folder->frames_capacity * 2);
	uint32_t *frames;

	if (cnt <= folder->frames_capacity)
		return 0;
	frames = realloc(folder->frames, capacity * sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	folder->frames = frames;
	folder->frames_capacity = capacity;
	return 0;
}

static int add_frames(struct folder *folder, uint32_t location, size_t *cnt)
{
	size_t start = location > 1 ? folder->location_ends[location - 2] : 0;
	size_t more = folder->location_ends[location - 1] - start;
	int error = reserve_frames(folder, *cnt + more);

	if (error)
		return error;
	memcpy(folder->frames + *cnt, folder->location_names + start,
	       more * sizeof(*folder->frames));
	*cnt += more;
	return 0;
}

static int fold_sample(struct folder *folder, size_t id)
{
	struct profile_sample_view sample;
	size_t cnt = 0, i;
	int64_t stack;
	int error = reserve_frames(folder, 1);

	profile_sample(folder->profile, id, &sample);
	if (folder->by_process && !error) {
		int64_t name = name_of_process(folder, &sample);

		if (name < 0)
			return (int)name;
		folder->frames[cnt++] = (uint32_t)name;
	}
	for (i = sample.location_cnt; !error && i--;)
		error = add_frames(folder, sample.locations[i], &cnt);
	if (error)
		return error;
	if (!cnt) {
		strbuf_add_str(&folder->text, UNKNOWN);
		stack = take_name(folder);
		if (stack < 0)
			return (int)stack;
		folder->frames[cnt++] = (uint32_t)stack;
	}
	stack = intern_add(&folder->stacks, folder->frames, cnt);
	if (stack < 0)
		return (int)stack;
	folder->sums[stack - 1] =
		add_saturating(folder->sums[stack - 1], sample.values[folder->column]);
	return 0;
}

/* A line as its bytes, without making them all. */
struct cursor {
	const struct folder *folder;
	const uint32_t *names;
	size_t left;	/* names not yet begun */
	const char *at; /* rest of the present name or count */
	int64_t sum;
	bool counting;
	char count[24];
};

static struct cursor cursor_of(const struct folder *folder, uint32_t stack)
{
	struct cursor cursor = { .folder = folder, .at = "", .sum = folder->sums[stack - 1] };

	cursor.names = intern_get(&folder->stacks, stack, &cursor.left);
	return cursor;
}

static void cursor_begin_name(struct cursor *cursor)
{
	cursor->at = strtab_get(&cursor->folder->names, *cursor->names++, NULL);
	cursor->left--;
}

/* The next byte, or -1 at the end of the line. */
static int cursor_next(struct cursor *cursor)
{
	if (*cursor->at)
		return (unsigned char)*cursor->at++;
	if (cursor->counting)
		return -1;
	if (cursor->left) {
		cursor_begin_name(cursor);
		return ';';
	}
	snprintf(cursor->count, sizeof(cursor->count), "%" PRId64, cursor->sum);
	cursor->at = cursor->count;
	cursor->counting = true;
	return ' ';
}

static int compare_lines(const void *left, const void *right, void *context)
{
	const struct folder *folder = context;
	struct cursor a = cursor_of(folder, *(const uint32_t *)left);
	struct cursor b = cursor_of(folder, *(const uint32_t *)right);
	int byte_a, byte_b;

	/* Most neighbours share their outer frames: step over equal ids. */
	while (a.left > 1 && b.left > 1 && *a.names == *b.names) {
		a.names++, a.left--;
		b.names++, b.left--;
	}
	cursor_begin_name(&a);
	cursor_begin_name(&b);
	do {
		byte_a = cursor_next(&a);
		byte_b = cursor_next(&b);
	} while (byte_a == byte_b && byte_a >= 0);
	return byte_a - byte_b;
}

static int print_line(struct folder *folder, uint32_t stack, byte_sink_fn sink, void *context)
{
	size_t cnt, i;
	const uint32_t *names = intern_get(&folder->stacks, stack, &cnt);
	int error;

	for (i = 0; i < cnt; i++) {
		if (i)
			strbuf_add_char(&folder->text, ';');
		strbuf_add_str(&folder->text, strtab_get(&folder->names, names[i], NULL));
	}
	strbuf_printf(&folder->text, " %" PRId64 "\n", folder->sums[stack - 1]);
	if (folder->text.failed)
		return -ENOMEM;
	if (folder->text.len < CHUNK_BYTES)
		return 0;
	error = sink(context, folder->text.text, folder->text.len);
	strbuf_clear(&folder->text);
	return error;
}

static int print_lines(struct folder *folder, byte_sink_fn sink, void *context)
{
	_cleanup_free_ uint32_t *order = calloc((size_t)folder->stacks.cnt + 1, sizeof(*order));
	size_t cnt = 0, i;
	uint32_t stack;
	int error = 0;

	if (!order)
		return -ENOMEM;
	for (stack = 1; stack <= folder->stacks.cnt; stack++) {
		if (folder->sums[stack - 1] > 0)
			order[cnt++] = stack;
	}
	qsort_r(order, cnt, sizeof(*order), compare_lines, folder);
	for (i = 0; !error && i < cnt; i++)
		error = print_line(folder, order[i], sink, context);
	if (!error && folder->text.len)
		error = sink(context, folder->text.text, folder->text.len);
	return error;
}

static int choose_column(struct folder *folder, struct errmsg *err)
{
	struct strbuf known = STRBUF_INIT;
	const char *wanted = folder->options.value, *type, *unit;
	int column = wanted ? profile_sample_type_index(folder->profile, wanted) : 0;
	size_t i;

	if (column >= 0) {
		folder->column = (size_t)column;
		return 0;
	}
	for (i = 0; i < profile_value_cnt(folder->profile); i++) {
		profile_sample_type(folder->profile, i, &type, &unit);
		strbuf_printf(&known, "%s%s", i ? ", " : "", type);
	}
	err_say(err, -ENOENT, "the profile has no value '%s'; it has: %s", wanted,
		known.len ? known.text : "none");
	strbuf_free(&known);
	return -ENOENT;
}

int folded_write(const struct profile *profile, const struct folded_options *options,
		 byte_sink_fn sink, void *context, struct errmsg *err)
{
	_cleanup_(folder_free) struct folder folder = { .profile = profile };
	size_t sample_cnt = profile_sample_cnt(profile), id;
	int error;

	if (options)
		folder.options = *options;
	intern_init(&folder.stacks, INTERN_LISTS, sizeof(uint32_t));
	error = choose_column(&folder, err);
	if (!error)
		error = strtab_init(&folder.names);
	if (error)
		return error;
	folder.sums = calloc(sample_cnt + 1, sizeof(*folder.sums));
	if (!folder.sums)
		return -ENOMEM;
	folder.by_process = any_process(&folder);
	error = name_locations(&folder);
	for (id = 1; !error && id <= sample_cnt; id++)
		error = fold_sample(&folder, id);
	return error ? error : print_lines(&folder, sink, context);
}
