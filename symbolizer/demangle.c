/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of C++ and Rust by libiberty.
 *
 * libiberty would fold `.cold` into ` [clone .cold]`; profiles are searched by people and by
 * tools that know the suffix as it is, so it is cut off first and put back behind.  Where a
 * suffix begins is not clear from the text (Rust's legacy names hold dots), hence a few places
 * are tried, leftmost first.
 *
 * A name of some hundred bytes can unfold to more text than there is memory (each substitution
 * doubles what the one before stood for), and libiberty's recursion limit, which stays on, does
 * not stop that.  So the text is taken through the callback interface, which allocates
 * nothing, and after OUTPUT_MAX bytes the callback leaves by longjmp: there is no other way out
 * of it.  Nothing is lost by that, as libiberty holds its working memory on the stack there.
 */
#include "symbolizer/demangle.h"

#include <setjmp.h>
#include <stdbool.h>
#include <string.h>

#include <libiberty/demangle.h>
#undef ARRAY_SIZE /* libiberty's, equal to ours */

#include "profiler/base/cleanup.h"
#include "profiler/base/strbuf.h"

#define OUTPUT_MAX 65536
#define SUFFIX_DOTS_MAX 8 /* .isra.0.part.0.constprop.0.cold has 7 */
#define OPTIONS (DMGL_PARAMS | DMGL_ANSI)

struct output {
	struct strbuf text;
	bool gave_up; /* too long, or memory is out: other ways to read the name end there too */
	jmp_buf too_long;
};

static void on_text(const char *text, size_t len, void *context)
{
	struct output *output = context;

	strbuf_add(&output->text, text, len);
	if (output->text.failed || output->text.len > OUTPUT_MAX) {
		output->gave_up = true;
		longjmp(output->too_long, 1);
	}
}

static bool is_mangled(const char *name)
{
	return name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

/* Puts the source name of @name, which has no suffix, in the text; false when it has none. */
static bool demangle_whole(const char *name, struct output *output)
{
	if (output->gave_up || setjmp(output->too_long))
		return false;
	/* Rust's legacy names are C++ names too: try it first. */
	strbuf_clear(&output->text);
	if (rust_demangle_callback(name, OPTIONS, on_text, output))
		return output->text.len;
	strbuf_clear(&output->text);
	return name[1] == 'Z' && cplus_demangle_v3_callback(name, OPTIONS, on_text, output) &&
	       output->text.len;
}

/* The leftmost of the last dots of @name, where its suffix may begin; NULL if there is none. */
static char *first_dot(char *name)
{
	char *dot = NULL, *at;
	int cnt = 0;

	for (at = name + strlen(name); at > name && cnt < SUFFIX_DOTS_MAX; at--) {
		if (at[-1] == '.') {
			dot = at - 1;
			cnt++;
		}
	}
	return dot;
}

/* As demangle_whole(), for a name that may have suffixes; @name comes back as it was. */
static bool demangle_with_suffix(char *name, struct output *output)
{
	char *dot;

	for (dot = first_dot(name); dot; dot = strchr(dot + 1, '.')) {
		bool found;

		*dot = '\0';
		found = demangle_whole(name, output);
		*dot = '.';
		if (found) {
			strbuf_add_str(&output->text, dot);
			return !output->text.failed;
		}
	}
	return demangle_whole(name, output);
}

char *demangle(const char *name)
{
	size_t len = strnlen(name, DEMANGLE_NAME_MAX + 1);
	_cleanup_free_ char *copy = NULL;
	struct output output = {};
	char *at;
	bool found;

	if (!is_mangled(name) || len > DEMANGLE_NAME_MAX)
		return NULL;
	copy = malloc(len + 1);
	if (!copy)
		return NULL;
	memcpy(copy, name, len + 1);
	at = strchr(copy, '@');
	if (at)
		*at = '\0';
	found = demangle_with_suffix(copy, &output);
	if (found && at)
		strbuf_add_str(&output.text, name + (at - copy));
	if (found)
		return strbuf_take(&output.text);
	strbuf_free(&output.text);
	return NULL;
}
