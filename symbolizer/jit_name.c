/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One parser per runtime, asked in turn; each takes a name only if all of it fits its form, so
 * that what we do not know stays as it was written.  No parser keeps state or allocates: spans
 * of the raw name are found first and copied at the end.
 *
 *	V8	TAG:MARKname script:line:column	   src/logging/log.cc, ComputeMarker()
 *	.NET	[instance ]type [assembly] Type::method(types)[Tier]
 *	HotSpot	type package.Class.method(types); Lpackage/Class;::method; package.Class::method
 *	CPython	py::qualified.name:file		   Python/perf_trampoline.c
 *
 * V8 separates the function's name from the script by a blank, and both may hold blanks
 * (`get size`, `/My Project/a.js`).  So a script is looked for by how one begins: a slash, a
 * scheme, node's `[eval]`.  Splitting at the first or the last blank, as other readers do, breaks
 * accessors or paths with blanks.
 *
 * A language given by the file name or the mapping would leave less to guess, but nothing in a
 * perf-map tells which runtime wrote it.
 */
#include "symbolizer/jit_name.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "profiler/base/cleanup.h"

#define ANONYMOUS "(anonymous)"

struct span {
	const char *at, *end;
};

static size_t span_len(struct span span)
{
	return (size_t)(span.end - span.at);
}

static struct span span_of(const char *text)
{
	return (struct span){ text, text + strlen(text) };
}

static bool begins_with(struct span span, const char *prefix)
{
	size_t len = strlen(prefix);

	return span_len(span) >= len && memcmp(span.at, prefix, len) == 0;
}

static bool ends_with(struct span span, const char *suffix)
{
	size_t len = strlen(suffix);

	return span_len(span) >= len && memcmp(span.end - len, suffix, len) == 0;
}

/* The first @text in @span, or NULL. */
static const char *find_text(struct span span, const char *text)
{
	return memmem(span.at, span_len(span), text, strlen(text));
}

static const char *find_char(struct span span, char c)
{
	return memchr(span.at, c, span_len(span));
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* Appends as much of @span as there is room for, cut in front of a UTF-8 character. */
static void append(char text[JIT_NAME_MAX], struct span span)
{
	size_t used = strlen(text), len = MIN(span_len(span), JIT_NAME_MAX - 1 - used);

	if (len < span_len(span)) {
		while (len && ((unsigned char)span.at[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(text + used, span.at, len);
	text[used + len] = '\0';
}

/* ---- V8 ---- */

/* file:///a%20b.js?v=2 is the path `/a b.js`; escapes that would hide a byte stay as they are. */
static void append_script(char text[JIT_NAME_MAX], struct span script)
{
	size_t used = 0;

	if (!begins_with(script, "file:///")) {
		append(text, script);
		return;
	}
	script.at += strlen("file://");
	while (script.at < script.end && *script.at != '?' && *script.at != '#' &&
	       used < JIT_NAME_MAX - 1) {
		int high = -1, low = -1;

		if (*script.at == '%' && script.end - script.at > 2) {
			high = hex_digit(script.at[1]);
			low = hex_digit(script.at[2]);
		}
		if (low >= 0 && high >= 2 && (high != 7 || low != 15)) {
			text[used++] = (char)(high << 4 | low);
			script.at += 3;
		} else {
			text[used++] = *script.at++;
		}
	}
	text[used] = '\0';
}

/* Cuts `:123` off the end of @span. */
static bool cut_number(struct span *span, uint32_t *ret)
{
	const char *at = span->end;
	uint64_t number = 0, unit = 1;

	while (at > span->at && is_digit(at[-1]) && unit <= 1000000000) {
		at--;
		number += (uint64_t)(*at - '0') * unit;
		unit *= 10;
	}
	if (at == span->end || at == span->at || at[-1] != ':' || number > UINT32_MAX)
		return false;
	span->end = at - 1;
	*ret = (uint32_t)number;
	return true;
}

/* Whether a script's name begins here: a path, a URL, node's own modules and names for text. */
static bool is_script_start(struct span text)
{
	static const char *const starts[] = { "/", "node:", "[eval", "evalmachine.<" };
	const char *at = text.at;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		if (begins_with(text, starts[i]))
			return true;
	}
	while (at < text.end && (is_letter(*at) || is_digit(*at) || *at == '-' || *at == '+'))
		at++;
	return at > text.at && begins_with((struct span){ at, text.end }, "://");
}

/* The blank between a function's name and its script; NULL: there is only a name. */
static const char *find_script_blank(struct span text)
{
	struct span rest = text;
	const char *blank;

	while ((blank = find_char(rest, ' '))) {
		rest.at = blank + 1;
		if (rest.at == rest.end || is_script_start(rest))
			return blank;
	}
	/* A relative name: a name with a blank in it is an accessor's. */
	rest = text;
	if (begins_with(text, "get ") || begins_with(text, "set "))
		rest.at += 4;
	return find_char(rest, ' ');
}

/* `spin-0-liftoff`: a WebAssembly function, its index, its tier. */
static bool cut_wasm_tier(struct span *name)
{
	static const char *const tiers[] = { "-liftoff", "-turbofan" };
	struct span cut = *name;
	const char *digits;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tiers); i++) {
		if (ends_with(cut, tiers[i])) {
			cut.end -= strlen(tiers[i]);
			break;
		}
	}
	digits = cut.end;
	while (digits > cut.at && is_digit(digits[-1]))
		digits--;
	if (i == ARRAY_SIZE(tiers) || digits == cut.end || digits - cut.at < 2 || digits[-1] != '-')
		return false;
	name->end = digits - 1;
	return true;
}

/* V8's tags of code that has JavaScript behind it, with what follows; `std::` is no tag. */
static bool cut_v8_tag(struct span *text)
{
	static const char *const tags[] = {
		"JS:", "LazyCompile:", "Function:", "InterpretedFunction:", "Eval:", "Script:",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tags); i++) {
		if (!begins_with(*text, tags[i]))
			continue;
		text->at += strlen(tags[i]);
		return text->at < text->end && *text->at != ':';
	}
	return false;
}

static bool cut_tier_mark(struct span *text)
{
	if (text->at == text->end || !strchr("~^+*", *text->at))
		return false;
	text->at++;
	if (text->at < text->end && *text->at == '\'') /* specialized to its context */
		text->at++;
	return true;
}

static bool split_v8(struct span raw, struct jit_name *ret)
{
	struct span text = raw, name;
	uint32_t line = 0, number;
	const char *blank;
	bool marked;

	if (!cut_v8_tag(&text))
		return false;
	marked = cut_tier_mark(&text);
	if (!marked && cut_wasm_tier(&text)) {
		append(ret->function, text);
		return true;
	}
	if (!marked && *text.at == ' ')
		return false;
	name = text;
	if (cut_number(&text, &line) && cut_number(&text, &number))
		line = number; /* what stood last was the column */
	blank = find_script_blank(text);
	if (blank) {
		name.end = blank;
		append_script(ret->filename, (struct span){ blank + 1, text.end });
		ret->start_line = ret->filename[0] ? line : 0;
	}
	append(ret->function, span_len(name) ? name : span_of(ANONYMOUS));
	return true;
}

/* ---- .NET ---- */

/* Behind `[assembly] `; NULL: there is none.  `[assembly]Type` is part of a type. */
static const char *skip_assembly(struct span raw)
{
	const char *at = raw.at, *end;

	for (; (at = find_char((struct span){ at, raw.end }, '[')); at++) {
		end = at + 1;
		while (end < raw.end && !strchr("[], <>(:", *end))
			end++;
		if (end > at + 1 && at > raw.at && at[-1] == ' ' &&
		    begins_with((struct span){ end, raw.end }, "] "))
			return end + 2;
	}
	return NULL;
}

static bool split_dotnet(struct span raw, struct jit_name *ret)
{
	struct span type, method;
	const char *at = skip_assembly(raw), *colons;

	if (!at)
		return false;
	type = (struct span){ at, raw.end };
	colons = find_text(type, "::");
	if (!colons || colons == at)
		return false;
	type.end = colons;
	method = (struct span){ colons + 2, raw.end };
	method.end = find_char(method, '(');
	if (!method.end || !span_len(method))
		return false;
	append(ret->function, type);
	append(ret->function, span_of("."));
	append(ret->function, method);
	return true;
}

/* ---- HotSpot ---- */

/* What names are made of; Kotlin's have `-`, and all that is not ASCII counts as a letter. */
static bool is_java_char(char c)
{
	return is_letter(c) || is_digit(c) || (c && strchr("_$-", c)) || (unsigned char)c >= 0x80;
}

/* How many of the characters at @text may stand in a Java name, those of @more among them. */
static size_t java_span(struct span text, const char *more)
{
	const char *at = text.at;

	while (at < text.end && (is_java_char(*at) || (*at && strchr(more, *at))))
		at++;
	return (size_t)(at - text.at);
}

/* Appends `Class$$Lambda/0x00007f57b8000a08.run` without the address, which differs per run. */
static void append_java(char text[JIT_NAME_MAX], struct span name)
{
	const char *at;

	for (at = name.at; at + 3 < name.end; at++) {
		const char *end = at + 3;

		if ((*at != '/' && *at != '+') || at[1] != '0' || at[2] != 'x')
			continue;
		while (end < name.end && hex_digit(*end) >= 0)
			end++;
		if (end == at + 3 || end == name.end || *end != '.')
			continue;
		append(text, (struct span){ name.at, at });
		append(text, (struct span){ end, name.end });
		return;
	}
	append(text, name);
}

/* `int java.lang.String.hashCode()`: HotSpot's Method::external_name() */
static bool split_external_name(struct span raw, struct jit_name *ret)
{
	struct span type = raw, name;
	const char *open;

	type.end = find_char(raw, ' ');
	if (!type.end || !span_len(type))
		return false;
	name = (struct span){ type.end + 1, raw.end };
	while (ends_with(type, "[]"))
		type.end -= 2;
	open = find_char(name, '(');
	if (!open || raw.end[-1] != ')' || java_span(type, "./+") != span_len(type))
		return false;
	name.end = open;
	if (!find_char(name, '.') || is_digit(*name.at) || is_digit(*type.at) ||
	    java_span(name, "./+<>") != span_len(name))
		return false;
	append_java(ret->function, name);
	return true;
}

/* `(Ljava/lang/Object;)I` or nothing */
static bool is_descriptor(struct span text)
{
	return !span_len(text) || (*text.at == '(' && java_span(text, "()[;/") == span_len(text) &&
				   find_char(text, ')'));
}

/* `Ljava/lang/String;::hashCode` of perf-map-agent, `Ljava/lang/String;hashCode()I` of perf's. */
static bool split_class_signature(struct span raw, struct jit_name *ret)
{
	struct span type = { raw.at + 1, raw.end }, name;
	size_t i, begin = strlen(ret->function);

	if (!begins_with(raw, "L"))
		return false;
	type.end = type.at + java_span(type, "/");
	if (type.end == raw.end || *type.end != ';' || !span_len(type))
		return false;
	name = (struct span){ type.end + 1, raw.end };
	if (begins_with(name, "::"))
		name.at += 2;
	else if (begins_with(name, "."))
		name.at++;
	name.end = name.at + java_span(name, "<>");
	if (!span_len(name) || !is_descriptor((struct span){ name.end, raw.end }))
		return false;
	append(ret->function, type);
	for (i = begin; ret->function[i]; i++) {
		if (ret->function[i] == '/')
			ret->function[i] = '.';
	}
	append(ret->function, span_of("."));
	append(ret->function, name);
	return true;
}

/* `java.lang.String::hashCode`; a C++ name has no dot in front of its colons. */
static bool split_colons(struct span raw, struct jit_name *ret)
{
	struct span type = raw, name;

	type.end = find_text(raw, "::");
	if (!type.end || !find_char(type, '.') || java_span(type, "./+") != span_len(type))
		return false;
	name = (struct span){ type.end + 2, raw.end };
	name.end = name.at + java_span(name, "<>");
	if (!span_len(name) || !is_descriptor((struct span){ name.end, raw.end }))
		return false;
	append_java(ret->function, (struct span){ type.at, type.end });
	append(ret->function, span_of("."));
	append(ret->function, name);
	return true;
}

static bool split_hotspot(struct span raw, struct jit_name *ret)
{
	return split_external_name(raw, ret) || split_class_signature(raw, ret) ||
	       split_colons(raw, ret);
}

/* ---- CPython ---- */

static bool split_python(struct span raw, struct jit_name *ret)
{
	struct span name = raw;

	if (!begins_with(raw, "py::"))
		return false;
	name.at += strlen("py::");
	name.end = find_char(name, ':');
	if (!name.end || !span_len(name))
		return false;
	append(ret->function, name);
	append(ret->filename, (struct span){ name.end + 1, raw.end });
	return true;
}

void jit_name_split(const char *raw, struct jit_name *ret)
{
	struct span text = span_of(raw);

	ret->function[0] = '\0';
	ret->filename[0] = '\0';
	ret->start_line = 0;
	if (!split_v8(text, ret) && !split_python(text, ret) && !split_dotnet(text, ret) &&
	    !split_hotspot(text, ret))
		append(ret->function, text);
}

void jit_name_path(const char *script, char ret[JIT_NAME_MAX])
{
	ret[0] = '\0';
	append_script(ret, span_of(script));
}
