/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `ebpfprof symbolize`: addresses to functions, files, lines and inlined callers, by the same way
 * that profiles are named.  Its text is that of `addr2line -afip`, which people and scripts know.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporters/json.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/base/options.h"
#include "profiler/base/strbuf.h"
#include "profiler/cmd/command.h"
#include "profiler/cmd/naming_opts.h"
#include "proto/utf8.h"
#include "symbolizer/symbolizer.h"

#define KERNEL_START 0xffff800000000000ull
#define OUT_BYTES 65536 /* written at once where nobody waits */
#define TRIM_EVERY 1024 /* answers between two trims: what is kept of old ones is bounded */

struct symbolize {
	struct naming_opts naming;
	const char *file, *debug_file;
	unsigned int pid;
	bool json;
	struct symbolizer *symbolizer;
	struct binary *binary;	 /* of -e */
	struct process *process; /* of -p */
	uint64_t now_ns;
	struct strbuf out;
	uint64_t answers;
	bool bad; /* an input line was no address */
};

static const struct opt symbolize_opts[] = {
	{ OPT_COUNT, 'p', "pid", "PID", "runtime addresses of this process", offsetof(struct symbolize, pid),
	  1, 1u << 22 },
	{ OPT_TEXT, 'e', "exe", "FILE", "ELF addresses of this file, as nm prints them",
	  offsetof(struct symbolize, file) },
	{ OPT_TEXT, 0, "debug", "FILE", "the debug file that belongs to -e FILE",
	  offsetof(struct symbolize, debug_file) },
	{ OPT_SET, 0, "json", NULL, "one JSON object a line", offsetof(struct symbolize, json) },
	NAMING_OPTS(offsetof(struct symbolize, naming)),
	{ OPT_END },
};

static const struct opt *const tables[] = { symbolize_opts, NULL };

static void symbolize_help(FILE *out)
{
	fputs("Usage: ebpfprof symbolize (-p PID | -e FILE [--debug FILE]) [ADDR...]\n"
	      "Addresses (hexadecimal, 0x or not) to function, file:line and inlined callers;\n"
	      "without ADDR they are read from stdin, one a line, and answered in their order;\n"
	      "blank lines are passed over.\n"
	      "Addresses are used as given: nothing is subtracted for callers.\n\n"
	      "  ebpfprof symbolize -e /usr/bin/ls 0x6aa0\n"
	      "  sudo ebpfprof symbolize -p 4711 7f3a12345678\n"
	      "  nm prog | awk '{print $1}' | ebpfprof symbolize --json -e prog\n\n",
	      out);
	options_print(out, tables);
}

/* ---- answers ---- */

/* "0x%016x: "; printf would be a tenth of what an answer takes. */
static void print_address(struct strbuf *out, uint64_t address)
{
	char text[] = "0x0000000000000000: ";
	size_t i;

	for (i = 17; address; i--, address >>= 4)
		text[i] = "0123456789abcdef"[address & 15];
	strbuf_add(out, text, sizeof(text) - 1);
}

/* How many bytes are printable ASCII: nearly always all. */
static size_t plain_len(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < len && name[i] >= ' ' && name[i] < 0x7f; i++)
		;
	return i;
}

/* A name is a file's or a program's word: nothing in it ends a line or talks to the terminal. */
static void print_name(struct strbuf *out, const char *name)
{
	size_t left = strlen(name), step;
	uint32_t code;

	for (; left; name += step, left -= step) {
		step = plain_len(name, left);
		if (step) {
			strbuf_add(out, name, step);
			continue;
		}
		step = utf8_next(name, left, &code);
		if (code < ' ' || (code >= 0x7f && code < 0xa0))
			strbuf_add_char(out, '?');
		else if (code == UTF8_REPLACEMENT)
			strbuf_add_str(out, "\xef\xbf\xbd");
		else
			strbuf_add(out, name, step);
	}
}

static void print_text(struct symbolize *symbolize, uint64_t address,
		       const struct location *location)
{
	struct strbuf *out = &symbolize->out;
	uint32_t i;

	print_address(out, address);
	for (i = 0; i < location->line_cnt; i++) {
		const struct location_line *line = &location->lines[i];

		strbuf_add_str(out, i ? " (inlined by) " : "");
		print_name(out, line->function);
		if (line->filename) {
			strbuf_add_str(out, " at ");
			print_name(out, line->filename);
			strbuf_printf(out, ":%u", line->line);
		}
		strbuf_add_char(out, '\n');
	}
}

static const char *kind_name(enum location_kind kind)
{
	static const char *const names[] = {
		[LOCATION_USER] = "user", [LOCATION_KERNEL] = "kernel",	  [LOCATION_BPF] = "bpf",
		[LOCATION_JIT] = "jit",	  [LOCATION_VDSO] = "vdso",	  [LOCATION_UNKNOWN] = "unknown",
		[LOCATION_NOTE] = "note",
	};

	return names[kind];
}

static void print_json_line(struct strbuf *out, const struct location_line *line, bool is_inlined)
{
	strbuf_add_str(out, "{\"function\":");
	json_add_string(out, line->function);
	strbuf_add_str(out, ",\"system_name\":");
	json_add_string(out, line->system_name);
	if (line->filename) {
		strbuf_add_str(out, ",\"file\":");
		json_add_string(out, line->filename);
	}
	if (line->line)
		strbuf_printf(out, ",\"line\":%u", line->line);
	if (line->start_line)
		strbuf_printf(out, ",\"start_line\":%u", line->start_line);
	strbuf_printf(out, ",\"inlined\":%s}", is_inlined ? "true" : "false");
}

static void print_json(struct symbolize *symbolize, uint64_t address,
		       const struct location *location)
{
	struct strbuf *out = &symbolize->out;
	uint32_t i;

	strbuf_printf(out, "{\"address\":\"0x%" PRIx64 "\",\"kind\":\"%s\",\"named\":%s", address,
		      kind_name(location->kind), location->named ? "true" : "false");
	if (location->mapping) {
		strbuf_add_str(out, ",\"file\":");
		json_add_string(out, location->mapping->filename);
		strbuf_printf(out, ",\"file_address\":\"0x%" PRIx64 "\"", location->address);
		if (location->mapping->build_id[0]) {
			strbuf_add_str(out, ",\"build_id\":");
			json_add_string(out, location->mapping->build_id);
		}
	}
	strbuf_add_str(out, ",\"frames\":[");
	for (i = 0; i < location->line_cnt; i++) {
		if (i)
			strbuf_add_char(out, ',');
		print_json_line(out, &location->lines[i], i + 1 < location->line_cnt);
	}
	strbuf_add_str(out, "]}\n");
}

static int put_out(struct symbolize *symbolize, struct errmsg *err)
{
	struct strbuf *out = &symbolize->out;

	if (out->failed)
		return err_set(err, -ENOMEM, "cannot print an answer");
	if (out->len && fwrite(out->text, out->len, 1, stdout) != 1)
		return err_set(err, -errno, "cannot write to stdout");
	strbuf_clear(out);
	return 0;
}

static int answer(struct symbolize *symbolize, uint64_t address, struct errmsg *err)
{
	struct symbolizer *symbolizer = symbolize->symbolizer;
	const struct location *location;

	if (symbolize->binary)
		location = symbolizer_elf(symbolizer, symbolize->binary, address);
	else if (address >= KERNEL_START)
		location = symbolizer_kernel(symbolizer, address, false);
	else
		location = symbolizer_user(symbolizer, symbolize->process, symbolize->now_ns,
					   address, false);
	if (!location)
		return err_set(err, -ENOMEM, "cannot name 0x%" PRIx64, address);
	if (symbolize->json)
		print_json(symbolize, address, location);
	else
		print_text(symbolize, address, location);
	/* Alive as long as we are: processes are not trimmed by this. */
	if (++symbolize->answers % TRIM_EVERY == 0)
		symbolizer_trim(symbolizer, 0);
	return put_out(symbolize, err);
}

/* ---- questions ---- */

/* @len: the whole line's, which may have NULs in it. */
static bool parse_address(const char *text, size_t len, uint64_t *ret)
{
	const char *text_end = text + len;
	char *end;

	text += strspn(text, " \t");
	if (text[0] == '-' || text[0] == '+' || !text[0])
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 16);
	end += strspn(end, " \t\r\n");
	return end != text && end == text_end && errno == 0;
}

/* A line that is no address has its place among the answers too. */
static int answer_bad(struct symbolize *symbolize, const char *line, uint64_t number,
		      struct errmsg *err)
{
	symbolize->bad = true;
	fprintf(stderr, "ebpfprof: line %" PRIu64 " is no hexadecimal address\n", number);
	if (symbolize->json) {
		strbuf_add_str(&symbolize->out, "{\"input\":");
		json_add_string(&symbolize->out, line);
		strbuf_add_str(&symbolize->out, ",\"error\":\"not a hexadecimal address\"}\n");
	} else {
		print_name(&symbolize->out, line);
		strbuf_add_str(&symbolize->out, ": ??\n");
	}
	return put_out(symbolize, err);
}

static int answer_stdin(struct symbolize *symbolize, struct errmsg *err)
{
	_cleanup_free_ char *line = NULL;
	bool is_file, flush;
	uint64_t number = 0, address;
	size_t capacity = 0;
	struct stat st;
	ssize_t len;
	int r = 0;

	is_file = fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode);
	flush = !is_file; /* somebody may wait for each answer */
	if (is_file)
		setvbuf(stdout, NULL, _IOFBF, OUT_BYTES);
	while (r == 0 && (len = getline(&line, &capacity, stdin)) > 0) {
		number++;
		while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
			line[--len] = '\0';
		if (strspn(line, " \t") == (size_t)len)
			continue;
		if (parse_address(line, (size_t)len, &address))
			r = answer(symbolize, address, err);
		else
			r = answer_bad(symbolize, line, number, err);
		if (flush)
			fflush(stdout);
	}
	if (r == 0 && ferror(stdin))
		return err_set(err, -errno, "cannot read stdin");
	return r;
}

static int open_process(struct symbolize *symbolize, struct errmsg *err)
{
	pid_t tgid = (pid_t)symbolize->pid;
	int r;

	symbolize->now_ns = monotonic_ns();
	r = symbolizer_scan_one(symbolize->symbolizer, tgid, symbolize->now_ns);
	if (r < 0)
		return err_set(err, r, "cannot read the mappings of process %u", symbolize->pid);
	symbolize->process = symbolizer_process(symbolize->symbolizer, tgid, symbolize->now_ns);
	return symbolize->process ? 0 : err_set(err, -ESRCH, "no process %u", symbolize->pid);
}

static int work(struct symbolize *symbolize, const struct opt_rest *rest, struct errmsg *err)
{
	struct symbolizer_config config;
	uint64_t address;
	int i, r;

	naming_config(&symbolize->naming, &config);
	config.debug_file = symbolize->debug_file;
	config.waits = true;
	r = symbolizer_new(&config, &symbolize->symbolizer, err);
	if (r == 0 && symbolize->file)
		r = symbolizer_open_elf(symbolize->symbolizer, symbolize->file,
					&symbolize->binary, err);
	else if (r == 0)
		r = open_process(symbolize, err);
	if (r == 0 && !rest->cnt)
		r = answer_stdin(symbolize, err);
	for (i = 0; r == 0 && i < rest->cnt; i++) {
		parse_address(rest->words[i], strlen(rest->words[i]), &address); /* checked before */
		r = answer(symbolize, address, err);
	}
	if (r == 0 && (fflush(stdout) || ferror(stdout)))
		r = err_set(err, -errno, "cannot write to stdout");
	return r;
}

static int check(const struct symbolize *symbolize, const struct opt_rest *rest,
		 struct errmsg *err)
{
	uint64_t address;
	int i;

	if (!symbolize->file == !symbolize->pid)
		return err_say(err, -EINVAL, "give one of -p PID and -e FILE");
	if (symbolize->debug_file && !symbolize->file)
		return err_say(err, -EINVAL, "--debug belongs to -e FILE");
	for (i = 0; i < rest->cnt; i++) {
		if (!parse_address(rest->words[i], strlen(rest->words[i]), &address))
			return err_say(err, -EINVAL, "'%s' is no hexadecimal address",
				       rest->words[i]);
	}
	return 0;
}

static int symbolize_run(int argc, char **argv)
{
	struct symbolize symbolize = {};
	struct errmsg err = {};
	struct opt_rest rest;
	int r;

	if (options_parse(argc, argv, tables, &symbolize, NULL, &rest, &err) ||
	    check(&symbolize, &rest, &err))
		return usage_error("symbolize", &err);
	r = work(&symbolize, &rest, &err);
	if (symbolize.binary)
		symbolizer_close_elf(symbolize.binary);
	symbolizer_free(symbolize.symbolizer);
	strbuf_free(&symbolize.out);
	if (r < 0)
		return failure(&err);
	return symbolize.bad ? EXIT_FAILED : EXIT_DONE;
}

const struct command cmd_symbolize = {
	.name = "symbolize",
	.summary = "addresses to functions, files, lines and inlined callers",
	.run = symbolize_run,
	.help = symbolize_help,
};
