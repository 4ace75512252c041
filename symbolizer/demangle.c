/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of C++ and Rust by libiberty.
 *
 * Suffixes are cut off before (libiberty would print ` [clone .cold]`), see clone_suffix.h.
 *
 * Simple names: libiberty can leave parameters out (DMGL_PARAMS not set), but only the last ones:
 * those of an enclosing function and of the target of a thunk stay.  So its tree is changed before
 * it is printed: each function type that stands beside the name is taken away, except that the
 * outermost one becomes `()`, because template parameters in the name (`operator T`) are looked up
 * through it; the `()` is then cut off the text.  Cutting the text of the full name instead would
 * need a parser of C++ types (`void (*f<int>(char))(long)`).
 *
 * A name of some hundred bytes can unfold to more text than there is memory (each substitution
 * doubles what the one before stood for), and libiberty's recursion limit, which stays on, does
 * not stop that.  So the text is taken through the callback interface, and after OUTPUT_MAX bytes
 * the callback leaves by longjmp: there is no other way out of it.  Nothing is lost by that, as
 * libiberty prints with memory of the stack; the tree is ours to free.  Of the stack it takes
 * (references to template parameters) x (templates): names that could make that large are left
 * alone, and so are C++ names longer than DEMANGLE_CPP_NAME_MAX, for the depth of the parser.
 */
#include "symbolizer/demangle.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>

#include <libiberty/demangle.h>
#undef ARRAY_SIZE /* libiberty's, equal to ours */

#include "profiler/base/cleanup.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/clone_suffix.h"

#define OUTPUT_MAX 65536
#define SUFFIX_TRIES_MAX 8
#define SCOPES_MAX 16384 /* references x templates, of 64 bytes of stack at worst */
#define SIMPLIFY_DEPTH_MAX 64
#define OPTIONS (DMGL_PARAMS | DMGL_ANSI)

struct output {
	struct strbuf text;
	void *tree_memory;
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

/* What follows a function's parameter list: const, &&, noexcept. */
static bool is_function_qualifier(const struct demangle_component *tree)
{
	switch (tree->type) {
	case DEMANGLE_COMPONENT_CONST_THIS:
	case DEMANGLE_COMPONENT_VOLATILE_THIS:
	case DEMANGLE_COMPONENT_RESTRICT_THIS:
	case DEMANGLE_COMPONENT_REFERENCE_THIS:
	case DEMANGLE_COMPONENT_RVALUE_REFERENCE_THIS:
	case DEMANGLE_COMPONENT_TRANSACTION_SAFE:
	case DEMANGLE_COMPONENT_NOEXCEPT:
	case DEMANGLE_COMPONENT_THROW_SPEC:
		return true;
	default:
		return false;
	}
}

/* The name without function types and their qualifiers, from its end to its outermost scope. */
static struct demangle_component *simplify(struct demangle_component *tree, int depth)
{
	while (tree && (tree->type == DEMANGLE_COMPONENT_TYPED_NAME || is_function_qualifier(tree)))
		tree = tree->u.s_binary.left;
	if (!tree || depth == SIMPLIFY_DEPTH_MAX)
		return tree;
	switch (tree->type) {
	case DEMANGLE_COMPONENT_LOCAL_NAME:
		tree->u.s_binary.right = simplify(tree->u.s_binary.right, depth + 1);
		/* fall through */
	case DEMANGLE_COMPONENT_QUAL_NAME:
	case DEMANGLE_COMPONENT_TEMPLATE:
	case DEMANGLE_COMPONENT_TAGGED_NAME:
	case DEMANGLE_COMPONENT_THUNK:
	case DEMANGLE_COMPONENT_VIRTUAL_THUNK:
	case DEMANGLE_COMPONENT_COVARIANT_THUNK:
	case DEMANGLE_COMPONENT_TRANSACTION_CLONE:
	case DEMANGLE_COMPONENT_NONTRANSACTION_CLONE:
		tree->u.s_binary.left = simplify(tree->u.s_binary.left, depth + 1);
		return tree;
	default:
		return tree;
	}
}

/* Whether libiberty would take too much of the stack to print @name. */
static bool has_too_many_scopes(const char *name)
{
	size_t references = 0, templates = 0;

	for (; *name; name++) {
		if (*name == 'I')
			templates++;
		else if ((*name == 'R' || *name == 'O') &&
			 (name[1] == 'T' || (name[1] == 'S' && !islower((unsigned char)name[2]))))
			references++; /* T_ or what may stand for it: S1_, but not St */
	}
	return (references + 1) * (templates + 1) > SCOPES_MAX;
}

static bool print_tree(struct demangle_component *tree, struct output *output)
{
	strbuf_clear(&output->text);
	return cplus_demangle_print_callback(OPTIONS, tree, on_text, output) && output->text.len;
}

static bool print_simple(struct demangle_component *tree, struct output *output)
{
	struct demangle_component no_parameters = { .type = DEMANGLE_COMPONENT_FUNCTION_TYPE };
	struct strbuf *text = &output->text;

	if (tree->type != DEMANGLE_COMPONENT_TYPED_NAME)
		return print_tree(simplify(tree, 0), output);
	tree->u.s_binary.left = simplify(tree->u.s_binary.left, 0);
	tree->u.s_binary.right = &no_parameters;
	if (!print_tree(tree, output))
		return false;
	if (text->len > 2 && memcmp(text->text + text->len - 2, "()", 2) == 0) {
		text->len -= 2;
		text->text[text->len] = '\0';
	}
	return true;
}

/* C++; false as below. */
static bool demangle_cpp(const char *name, bool simple, struct output *output)
{
	struct demangle_component *tree;

	free(output->tree_memory);
	output->tree_memory = NULL;
	tree = cplus_demangle_v3_components(name, OPTIONS, &output->tree_memory);
	if (!tree)
		return false;
	return simple ? print_simple(tree, output) : print_tree(tree, output);
}

/* Puts the source name of @name, which has no suffix, in the text; false when it has none. */
static bool demangle_whole(const char *name, bool simple, struct output *output)
{
	if (output->gave_up || setjmp(output->too_long))
		return false;
	/* Rust's legacy names are C++ names too: try it first. */
	strbuf_clear(&output->text);
	if (rust_demangle_callback(name, OPTIONS, on_text, output))
		return output->text.len;
	if (name[1] != 'Z' || strlen(name) > DEMANGLE_CPP_NAME_MAX || has_too_many_scopes(name))
		return false;
	if (simple && demangle_cpp(name, true, output))
		return true;
	return demangle_cpp(name, false, output);
}

/*
 * As demangle_whole(), for a name of @len bytes that may have suffixes: *ret_len is how many
 * bytes of @name, which comes back as it was, the text stands for.
 */
static bool demangle_with_suffix(char *name, size_t len, bool simple, struct output *output,
				 size_t *ret_len)
{
	size_t at = clone_suffix_start(name, len);
	int tries;
	bool found;

	/* The first dot is not always the end of the name (assembly, Rust without hash). */
	for (tries = 0; tries < SUFFIX_TRIES_MAX; tries++) {
		char saved = name[at];

		name[at] = '\0';
		found = demangle_whole(name, simple, output);
		name[at] = saved;
		*ret_len = at;
		if (found || at == len)
			return found;
		at += 1 + strcspn(name + at + 1, ".");
	}
	return false;
}

/* @text, which @base_len bytes of @name became, with what stays of the rest: suffix and @plt. */
static char *with_tidied_suffix(struct strbuf *text, const char *name, size_t base_len,
				bool mangled)
{
	size_t suffix_len = strcspn(name + base_len, "@");
	_cleanup_free_ char *suffix = NULL, *kept = NULL;

	if (!name[base_len]) /* nearly all names */
		return strbuf_take(text);
	suffix = malloc(suffix_len + 1);
	kept = malloc(suffix_len + 1);
	if (!suffix || !kept)
		return NULL;
	memcpy(suffix, name + base_len, suffix_len);
	suffix[suffix_len] = '\0';
	clone_suffix_tidy(suffix, mangled, kept);
	strbuf_add_str(text, kept);
	strbuf_add_str(text, name + base_len + suffix_len);
	return strbuf_take(text);
}

char *demangle(const char *name, unsigned int flags)
{
	size_t len = strnlen(name, DEMANGLE_NAME_MAX + 1), base_len;
	_cleanup_free_ char *copy = NULL;
	struct output output = {};
	char *result = NULL, *version;

	if (!is_mangled(name) || len > DEMANGLE_NAME_MAX)
		return NULL;
	copy = malloc(len + 1);
	if (!copy)
		return NULL;
	memcpy(copy, name, len + 1);
	strbuf_reserve(&output.text, len); /* growing for each word of it costs more than room */
	version = strchr(copy, '@');
	if (version) {
		*version = '\0';
		len = (size_t)(version - copy);
	}
	if (demangle_with_suffix(copy, len, flags & DEMANGLE_SIMPLE, &output, &base_len))
		result = with_tidied_suffix(&output.text, name, base_len, true);
	strbuf_free(&output.text);
	free(output.tree_memory);
	return result;
}

/* A name that is not mangled; NULL when it has no suffix to drop. */
static char *tidy_plain(const char *name)
{
	/* _GLOBAL__sub_I_FILE.cpp.cold: the dot of FILE.cpp is a compiler's work too. */
	bool initializer = strncmp(name, "_GLOBAL__", strlen("_GLOBAL__")) == 0;
	size_t base_len = clone_suffix_start(name, strcspn(name, "@"));
	struct strbuf text = STRBUF_INIT;
	_cleanup_free_ char *tidied = NULL;

	if (!base_len || name[base_len] != '.')
		return NULL;
	strbuf_add(&text, name, base_len);
	tidied = with_tidied_suffix(&text, name, base_len, initializer);
	strbuf_free(&text);
	if (!tidied || strcmp(tidied, name) == 0)
		return NULL;
	return TAKE_PTR(tidied);
}

char *source_name(const char *linker_name, unsigned int flags)
{
	char *name = demangle(linker_name, flags);

	if (name || strnlen(linker_name, DEMANGLE_NAME_MAX + 1) > DEMANGLE_NAME_MAX)
		return name;
	return tidy_plain(linker_name);
}
