/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbolizer/symbolizer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/hashmap.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/binary.h"
#include "symbolizer/debuginfod.h"
#include "symbolizer/demangle.h"
#include "symbolizer/jvm_perfmaps.h"
#include "symbolizer/process.h"
#include "symbolizer/symbol_cache.h"
#include "symbolizer/symbolizer_private.h"

#define SYMBOL_BYTES_DEFAULT (32u << 20)
#define FD_DEFAULT 256

bool symbolizer_is_among(const char *name, const char *const *patterns, size_t cnt)
{
	size_t i, len;

	for (i = 0; i < cnt; i++) {
		if (patterns[i][0] != name[0]) /* nearly all: this is asked for each name */
			continue;
		len = strlen(patterns[i]);
		if (patterns[i][len - 1] == '*' ? strncmp(name, patterns[i], len - 1) == 0 :
						  strcmp(name, patterns[i]) == 0)
			return true;
	}
	return false;
}

const struct location *symbolizer_unknown(struct symbolizer *symbolizer)
{
	return symbolizer_anonymous(symbolizer, LOCATION_UNKNOWN, 0, "[unknown]", NULL);
}

/* Without a cache on disk or debuginfod everything works, only slower or with fewer names. */
static void open_sources(struct symbolizer *symbolizer, const struct symbolizer_config *config)
{
	struct symbol_cache_config cache = { .folder = config->cache_dir };
	struct binary_naming naming = {
		.debug_dir = config->debug_dir,
		.debug_file = config->debug_file,
		.with_lines = config->with_lines,
		.waits = config->waits,
	};

	if (config->with_cache)
		symbol_cache_new(&cache, &symbolizer->cache);
	if (config->with_lines && !config->debug_file)
		debuginfod_start(&symbolizer->debuginfod);
	symbolizer->debug_file = config->debug_file;
	naming.cache = symbolizer->cache;
	naming.debuginfod = symbolizer->debuginfod;
	binary_cache_configure(symbolizer->binaries, &naming);
}

static int open_kallsyms(struct symbolizer *symbolizer, const char *path, const char *proc_root)
{
	struct strbuf usual = STRBUF_INIT;
	int r;

	if (!path)
		strbuf_printf(&usual, "%s/kallsyms", proc_root);
	r = usual.failed ? -ENOMEM :
			   kernel_names_open(&symbolizer->kernel, path ? path : usual.text);
	strbuf_free(&usual);
	return r;
}

static int create(struct symbolizer *symbolizer, const struct symbolizer_config *config)
{
	const char *proc_root = config->proc_root ? config->proc_root : "/proc";
	size_t symbol_bytes = config->symbol_bytes_max;
	int r;

	if (!symbol_bytes)
		symbol_bytes = SYMBOL_BYTES_DEFAULT;
	/* The rest is for what the tables are not: the allocator's share, scratch, answers. */
	symbol_bytes -= symbol_bytes / 5;
	r = binary_cache_new(proc_root, symbol_bytes, config->fd_max ? config->fd_max : FD_DEFAULT,
			     &symbolizer->binaries);
	if (r == 0)
		r = process_table_new(proc_root, symbolizer->binaries, &symbolizer->processes);
	if (r == 0)
		r = location_store_new(config->demangle, config->simple_names ? DEMANGLE_SIMPLE : 0,
				       &symbolizer->locations);
	if (r < 0)
		return r;
	open_sources(symbolizer, config);
	if (config->jvm_perfmap)
		r = jvm_perfmaps_new(proc_root, &symbolizer->jvms);
	if (r < 0)
		return r;
	symbolizer->kernel_lines = (struct kernel_lines){
		.search = {
			.notes_path = config->kernel_notes ? config->kernel_notes :
							     "/sys/kernel/notes",
			.root = "/",
			.debug_dir = config->debug_dir,
		},
		.binaries = symbolizer->binaries,
		.is_wanted = config->with_lines && !config->debug_file,
	};
	return open_kallsyms(symbolizer, config->kallsyms, proc_root);
}

/* A folder that was mistyped would be one without debug files. */
static int check_folder(const char *folder, struct errmsg *err)
{
	struct stat st;
	int r = 0;

	if (folder && stat(folder, &st) < 0)
		r = -errno;
	else if (folder && !S_ISDIR(st.st_mode))
		r = -ENOTDIR;
	return r < 0 ? err_set(err, r, "cannot look for debug files in '%s'", folder) : 0;
}

int symbolizer_new(const struct symbolizer_config *config, struct symbolizer **ret,
		   struct errmsg *err)
{
	struct symbolizer *symbolizer;
	int r = check_folder(config->debug_dir, err);

	if (r < 0)
		return r;
	symbolizer = calloc(1, sizeof(*symbolizer));
	r = symbolizer ? create(symbolizer, config) : -ENOMEM;
	if (r < 0) {
		symbolizer_free(symbolizer);
		return err_set(err, r, "cannot set up the symbolizer");
	}
	*ret = symbolizer;
	return 0;
}

void symbolizer_free(struct symbolizer *symbolizer)
{
	if (!symbolizer)
		return;
	jvm_perfmaps_free(symbolizer->jvms);
	location_store_free(symbolizer->locations);
	process_table_free(symbolizer->processes);
	kernel_lines_close(&symbolizer->kernel_lines);
	binary_cache_free(symbolizer->binaries);
	debuginfod_stop(symbolizer->debuginfod);
	symbol_cache_free(symbolizer->cache);
	kernel_names_free(&symbolizer->kernel);
	source_frames_free(&symbolizer->frames);
	free(symbolizer);
}

int symbolizer_scan(struct symbolizer *symbolizer, struct errmsg *err)
{
	return process_table_scan(symbolizer->processes, err);
}

int symbolizer_scan_one(struct symbolizer *symbolizer, pid_t tgid, uint64_t now_ns)
{
	return process_table_scan_one(symbolizer->processes, tgid, now_ns);
}

int symbolizer_on_fork(struct symbolizer *symbolizer, pid_t tgid, pid_t parent_tgid,
		       uint64_t time_ns)
{
	return process_on_fork(symbolizer->processes, tgid, parent_tgid, time_ns);
}

int symbolizer_on_exec(struct symbolizer *symbolizer, pid_t tgid, uint64_t time_ns)
{
	return process_on_exec(symbolizer->processes, tgid, time_ns);
}

int symbolizer_on_exit(struct symbolizer *symbolizer, pid_t tgid, uint64_t time_ns)
{
	return process_on_exit(symbolizer->processes, tgid, time_ns);
}

int symbolizer_on_mmap(struct symbolizer *symbolizer, const struct mmap_event *event,
		       bool *ret_replaced)
{
	return process_on_mmap(symbolizer->processes, event, ret_replaced);
}

struct process *symbolizer_process(struct symbolizer *symbolizer, pid_t tgid, uint64_t time_ns)
{
	return process_find(symbolizer->processes, tgid, time_ns);
}

const struct location *symbolizer_location(struct symbolizer *symbolizer,
					   const struct location_key *key,
					   const struct location_draft *draft)
{
	const struct location *location = location_store_find(symbolizer->locations, key);

	return location ? location : location_store_add(symbolizer->locations, key, draft);
}

const struct location *symbolizer_anonymous(struct symbolizer *symbolizer, enum location_kind kind,
					    uint64_t owner, const char *name,
					    const struct location_mapping *mapping)
{
	struct location_key key = { .owner = owner, .kind = kind, .name = (uintptr_t)mapping };
	struct location_text text = { .name = name };
	struct location_draft draft = {
		.texts = &text,
		.text_cnt = 1,
		.mapping = mapping,
		.address = mapping ? mapping->start : 0,
	};

	return symbolizer_location(symbolizer, &key, &draft);
}

size_t symbolizer_texts(const struct symbolizer *symbolizer,
			struct location_text texts[SOURCE_FRAMES_MAX])
{
	const struct source_frames *frames = &symbolizer->frames;
	size_t i;

	for (i = 0; i < frames->cnt; i++) {
		const char *name = source_frames_name(frames, i);

		texts[i] = (struct location_text){
			.name = name[0] ? name : "[unknown]",
			.linker_name = frames->frames[i].linker_name,
			.filename = source_frames_filename(frames, i),
			.line = frames->frames[i].line,
			.start_line = frames->frames[i].start_line,
		};
	}
	return frames->cnt;
}

const struct location *symbolizer_note(struct symbolizer *symbolizer, const char *text)
{
	struct location_key key = { .kind = LOCATION_NOTE };
	struct location_text line = { .name = text };
	struct location_draft draft = { .texts = &line, .text_cnt = 1, .named = true };

	key.name = hash_bytes(text, strlen(text));
	return symbolizer_location(symbolizer, &key, &draft);
}

bool symbolizer_kernel_hidden(const struct symbolizer *symbolizer)
{
	return kernel_names_hidden(&symbolizer->kernel);
}

void symbolizer_trim(struct symbolizer *symbolizer, uint64_t before_ns)
{
	process_table_trim(symbolizer->processes, before_ns);
	location_store_trim(symbolizer->locations);
}

void symbolizer_stats(const struct symbolizer *symbolizer, struct symbolizer_stats *ret)
{
	*ret = (struct symbolizer_stats){
		.processes = process_table_cnt(symbolizer->processes),
		.locations = location_store_cnt(symbolizer->locations),
		.bytes = sizeof(*symbolizer) + binary_cache_bytes(symbolizer->binaries) +
			 process_table_bytes(symbolizer->processes) +
			 location_store_bytes(symbolizer->locations) +
			 kernel_names_bytes(&symbolizer->kernel),
		.perfmap_skipped = process_table_perfmap_skipped(symbolizer->processes),
	};
}

bool symbolizer_knows_binary(const struct symbolizer *symbolizer, uint64_t binary_id)
{
	return binary_of_id(symbolizer->binaries, binary_id) != NULL;
}

int symbolizer_visit_processes(const struct symbolizer *symbolizer,
			       int (*visit)(void *context, pid_t tgid), void *context)
{
	return process_table_visit(symbolizer->processes, visit, context);
}
