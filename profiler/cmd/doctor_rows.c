/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/cmd/doctor_rows.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exporters/json.h"
#include "profiler/base/strbuf.h"

#define WIDTH 80
#define INDENT 23 /* of what was found */

static const char *const section_names[] = { "host", "features", "objects" };
static const char *const section_titles[] = {
	"host",
	"features and the tier that each has here",
	"objects, loaded into this kernel and attached just now",
};

void doctor_add(struct doctor *doctor, enum doctor_section section, enum doctor_verdict verdict,
		const char *name, const char *tier, const char *advice, const char *fmt, ...)
{
	struct doctor_row *row = &doctor->rows[doctor->cnt];
	va_list args;

	if (doctor->cnt == DOCTOR_ROWS_MAX)
		return;
	doctor->cnt++;
	*row = (struct doctor_row){ .section = section, .verdict = verdict, .name = name };
	snprintf(row->tier, sizeof(row->tier), "%s", tier ? tier : "");
	if (verdict != DOCTOR_OK)
		snprintf(row->advice, sizeof(row->advice), "%s", advice ? advice : "");
	va_start(args, fmt);
	vsnprintf(row->found, sizeof(row->found), fmt, args);
	va_end(args);
}

size_t doctor_cnt(const struct doctor *doctor, enum doctor_verdict verdict)
{
	size_t i, cnt = 0;

	for (i = 0; i < doctor->cnt; i++)
		cnt += doctor->rows[i].verdict == verdict;
	return cnt;
}

/* Words of @text up to the column WIDTH, further lines from the column @indent on. */
static void print_wrapped(FILE *out, size_t column, size_t indent, const char *text)
{
	bool first = true;

	for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
		size_t word = strcspn(text, " ");

		if (!first && column + 1 + word > WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!first) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", (int)word, text);
		column += word;
		text += word;
		first = false;
	}
	fputc('\n', out);
}

/* Does a row before @row give the same advice? */
static bool is_said(const struct doctor *doctor, const struct doctor_row *row)
{
	const struct doctor_row *before;

	for (before = doctor->rows; before < row; before++)
		if (strcmp(before->advice, row->advice) == 0)
			return true;
	return false;
}

static void print_row(const struct doctor *doctor, const struct doctor_row *row, FILE *out)
{
	static const char *const marks[] = { "ok  ", "-   ", "warn", "FAIL" };
	char line[sizeof(row->found) + sizeof(row->tier) + 4];

	snprintf(line, sizeof(line), "%s%s%s", row->tier,
		 row->tier[0] && row->found[0] ? ": " : "", row->found);
	fprintf(out, "%s  %-16s ", marks[row->verdict], row->name);
	print_wrapped(out, INDENT, INDENT, line);
	if (row->advice[0]) {
		fprintf(out, "%*s-> ", INDENT, "");
		print_wrapped(out, INDENT + 3, INDENT + 3,
			      is_said(doctor, row) ? "as above" : row->advice);
	}
}

void doctor_print(const struct doctor *doctor, FILE *out)
{
	unsigned int section;
	size_t i;

	for (section = 0; section < DOCTOR_SECTIONS; section++) {
		fprintf(out, "%s%s\n", section ? "\n" : "", section_titles[section]);
		for (i = 0; i < doctor->cnt; i++)
			if (doctor->rows[i].section == section)
				print_row(doctor, &doctor->rows[i], out);
	}
}

static void add_field(struct strbuf *json, const char *name, const char *value)
{
	if (!value[0])
		return;
	strbuf_add_char(json, ',');
	json_add_string(json, name);
	strbuf_add_char(json, ':');
	json_add_string(json, value);
}

static void add_row(struct strbuf *json, const struct doctor_row *row)
{
	static const char *const verdicts[] = { "ok", "info", "warning", "failure" };

	strbuf_add_str(json, "{\"name\":");
	json_add_string(json, row->name);
	add_field(json, "verdict", verdicts[row->verdict]);
	add_field(json, "tier", row->tier);
	add_field(json, "found", row->found);
	add_field(json, "advice", row->advice);
	strbuf_add_char(json, '}');
}

int doctor_print_json(const struct doctor *doctor, FILE *out)
{
	struct strbuf json = STRBUF_INIT;
	unsigned int section;
	size_t i;

	strbuf_add_str(&json, "{\"ready\":");
	strbuf_add_str(&json, doctor_cnt(doctor, DOCTOR_FAIL) ? "false" : "true");
	for (section = 0; section < DOCTOR_SECTIONS; section++) {
		bool first = true;

		strbuf_add_str(&json, ",\n\"");
		strbuf_add_str(&json, section_names[section]);
		strbuf_add_str(&json, "\":[");
		for (i = 0; i < doctor->cnt; i++) {
			if (doctor->rows[i].section != section)
				continue;
			strbuf_add_str(&json, first ? "\n " : ",\n ");
			first = false;
			add_row(&json, &doctor->rows[i]);
		}
		strbuf_add_char(&json, ']');
	}
	strbuf_add_str(&json, "}\n");
	if (json.failed) {
		strbuf_free(&json);
		return -ENOMEM;
	}
	fputs(json.text, out);
	strbuf_free(&json);
	return 0;
}
