/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A suffix is a row of pieces, each a dot, a word, and perhaps numbers (`.isra.0`), or a number
 * alone (`.123`: a static function that link-time optimization renamed).  Pieces that mean "the
 * same source, compiled once more or in two parts" are dropped, wherever they stand in the row;
 * others stay: `._omp_fn.0` is the body of a loop, `.avx2.0` the version for one kind of CPU,
 * `.actor` a coroutine's body, and these the reader wants to tell apart.
 *
 * Behind a mangled name there is nothing but compilers' work.  A plain name may have dots of its
 * own (Go: `main.T.cold` is a method that is called cold; assembly: `foo.part`), so there a word
 * without number is taken for a clone's only when no word that we do not know comes before or
 * after it, and words that compilers always number (isra, part) only with a number.
 *
 * Cutting at the first dot, as some tools do, would be shorter, and take methods off Go's names.
 */
#include "symbolizer/clone_suffix.h"

#include <ctype.h>
#include <string.h>

#include "profiler/base/cleanup.h"

#define RUST_HASH_DIGITS 16

enum numbering {
	NUMBERED, /* always */
	BARE,	  /* never */
	EITHER,
};

static const struct {
	const char *word;
	enum numbering numbering;
} clones[] = {
	/* GCC */
	{ "isra", NUMBERED },
	{ "part", NUMBERED },
	{ "constprop", NUMBERED },
	{ "clone", NUMBERED },
	{ "simdclone", NUMBERED },
	{ "lto_priv", NUMBERED },
	{ "localalias", EITHER },
	{ "cold", EITHER }, /* LLVM and BOLT too */
	{ "resolver", BARE },
	/* LLVM, BOLT */
	{ "warm", EITHER },
	{ "llvm", NUMBERED },
	{ "specialized", NUMBERED },
	{ "__uniq", NUMBERED },
	{ "__part", NUMBERED },
};

struct piece {
	const char *word; /* behind the dot */
	size_t word_len;  /* 0: a number alone, or an empty word */
	size_t len;	  /* with dot, word and numbers */
	bool numbered;
};

static size_t word_len(const char *text)
{
	return strcspn(text, ".");
}

/* Decimal; .llvm. of older compilers is followed by upper-case hex. */
static bool is_number(const char *text, size_t len, bool hex)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]) && !(hex && text[i] >= 'A' && text[i] <= 'F'))
			return false;
	}
	return len > 0;
}

/* The piece at @suffix, which begins with a dot. */
static struct piece next_piece(const char *suffix)
{
	struct piece piece = { .word = suffix + 1, .word_len = word_len(suffix + 1) };
	bool hex = piece.word_len == 4 && memcmp(piece.word, "llvm", 4) == 0;
	size_t number;

	piece.len = 1 + piece.word_len;
	if (is_number(piece.word, piece.word_len, false)) {
		piece.numbered = true;
		piece.word_len = 0;
		return piece;
	}
	while (suffix[piece.len] == '.') {
		number = word_len(suffix + piece.len + 1);
		if (!is_number(suffix + piece.len + 1, number, hex))
			break;
		piece.numbered = true;
		piece.len += 1 + number;
	}
	return piece;
}

static bool is_clone(const struct piece *piece)
{
	size_t i;

	if (!piece->word_len)
		return piece->numbered;
	for (i = 0; i < ARRAY_SIZE(clones); i++) {
		if (strlen(clones[i].word) != piece->word_len ||
		    memcmp(clones[i].word, piece->word, piece->word_len) != 0)
			continue;
		return clones[i].numbering == EITHER ||
		       piece->numbered == (clones[i].numbering == NUMBERED);
	}
	return false;
}

/* Whether @suffix holds a word that no compiler is known to append. */
static bool has_own_dots(const char *suffix)
{
	while (*suffix == '.') {
		struct piece piece = next_piece(suffix);

		if (!piece.numbered && !is_clone(&piece))
			return true;
		suffix += piece.len;
	}
	return false;
}

/* Rust's legacy names hold dots; their end is 17h, 16 hex digits, E. */
static size_t rust_hash_end(const char *name, size_t len)
{
	const size_t tail = strlen("17h") + RUST_HASH_DIGITS + strlen("E");
	size_t i, k;

	for (i = len; i >= tail + 2; i--) {
		const char *hash = name + i - tail;

		if ((i < len && name[i] != '.') || name[i - 1] != 'E' ||
		    memcmp(hash, "17h", strlen("17h")) != 0)
			continue;
		for (k = 0; k < RUST_HASH_DIGITS && isxdigit((unsigned char)hash[3 + k]); k++)
			;
		if (k == RUST_HASH_DIGITS)
			return i;
	}
	return 0;
}

size_t clone_suffix_start(const char *name, size_t len)
{
	const char *dot;
	size_t end = 0;

	if (len > 2 && name[0] == '_' && name[1] == 'Z')
		end = rust_hash_end(name, len);
	if (end)
		return end;
	dot = memchr(name, '.', len);
	return dot ? (size_t)(dot - name) : len;
}

void clone_suffix_tidy(const char *suffix, bool mangled, char *kept)
{
	bool own_dots = !mangled && has_own_dots(suffix);

	while (*suffix == '.') {
		struct piece piece = next_piece(suffix);

		if (!is_clone(&piece) || (own_dots && !(piece.numbered && piece.word_len))) {
			memcpy(kept, suffix, piece.len);
			kept += piece.len;
		}
		suffix += piece.len;
	}
	*kept = '\0';
}
