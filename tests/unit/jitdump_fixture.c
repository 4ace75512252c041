/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/jitdump_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

void put(struct strbuf *out, uint64_t value, unsigned int bytes)
{
	strbuf_add(out, &value, bytes);
}

void put_header(struct strbuf *out, uint32_t machine, uint64_t flags)
{
	put(out, 0x4a695444, 4);
	put(out, 1, 4);
	put(out, 40, 4);
	put(out, machine, 4);
	put(out, 0, 4);
	put(out, 4711, 4);
	put(out, 99, 8);
	put(out, flags, 8);
}

void put_prefix(struct strbuf *out, uint32_t id, size_t size, uint64_t time_ns)
{
	put(out, id, 4);
	put(out, size, 4);
	put(out, time_ns, 8);
}

void put_load(struct strbuf *out, uint64_t time_ns, uint64_t address, uint64_t size,
	      const char *name)
{
	size_t i;

	put_prefix(out, 0, 56 + strlen(name) + 1 + size, time_ns);
	put(out, 4711, 4);
	put(out, 4712, 4);
	put(out, address, 8);
	put(out, address, 8);
	put(out, size, 8);
	put(out, 1, 8);
	strbuf_add(out, name, strlen(name) + 1);
	for (i = 0; i < size; i++)
		strbuf_add_char(out, '\xcc');
}

void put_move(struct strbuf *out, uint64_t time_ns, uint64_t from, uint64_t to, uint64_t size)
{
	put_prefix(out, 1, 64, time_ns);
	put(out, 4711, 4);
	put(out, 4712, 4);
	put(out, to, 8);
	put(out, from, 8);
	put(out, to, 8);
	put(out, size, 8);
	put(out, 1, 8);
}

void put_debug(struct strbuf *out, uint64_t time_ns, uint64_t address,
	       const struct debug_entry *entries, size_t cnt)
{
	struct strbuf body = STRBUF_INIT;
	size_t i;

	for (i = 0; i < cnt; i++) {
		size_t len = entries[i].file_len;

		put(&body, entries[i].address, 8);
		put(&body, entries[i].line, 4);
		put(&body, 7, 4);
		strbuf_add(&body, entries[i].file, len ? len : strlen(entries[i].file));
		strbuf_add_char(&body, '\0');
	}
	put_prefix(out, 2, 32 + body.len, time_ns);
	put(out, address, 8);
	put(out, cnt, 8);
	strbuf_add(out, body.text, body.len);
	strbuf_free(&body);
}

int jitdump_set_up(void **state)
{
	struct jitdump_state *own = calloc(1, sizeof(*own));

	assert_int_equal(jitdump_new(&own->dump), 0);
	own->fd = memfd_create("jitdump", MFD_CLOEXEC);
	assert_true(own->fd >= 0);
	put_header(&own->bytes, OWN_MACHINE, 0);
	*state = own;
	return 0;
}

int jitdump_tear_down(void **state)
{
	struct jitdump_state *own = *state;

	jitdump_free(own->dump);
	strbuf_free(&own->bytes);
	close(own->fd);
	free(own);
	return 0;
}

int update_to(struct jitdump_state *own, size_t len)
{
	size_t more = len - own->written;

	assert_int_equal(pwrite(own->fd, own->bytes.text + own->written, more, (off_t)own->written),
			 more);
	own->written = len;
	return jitdump_update(own->dump, own->fd);
}

int update(struct jitdump_state *own)
{
	return update_to(own, own->bytes.len);
}

void assert_code(struct jitdump_state *own, uint64_t address, uint64_t time_ns, const char *name)
{
	struct jitdump_symbol symbol = {};
	bool found = jitdump_find(own->dump, address, time_ns, &symbol);

	if (name && !found)
		fail_msg("0x%llx has no name", (unsigned long long)address);
	if (!name && found)
		fail_msg("0x%llx is %s", (unsigned long long)address, symbol.name);
	if (name)
		assert_string_equal(symbol.name, name);
}

void assert_line(struct jitdump_state *own, uint64_t address, uint32_t line, const char *file)
{
	struct jitdump_symbol symbol;

	assert_true(jitdump_find(own->dump, address, NEVER, &symbol));
	if (symbol.line != line)
		fail_msg("0x%llx is in line %u", (unsigned long long)address, symbol.line);
	if (file)
		assert_string_equal(symbol.filename, file);
	else
		assert_null(symbol.filename);
}

void put_sample(struct strbuf *bytes)
{
	static const struct debug_entry lines[] = { { 0x1000, 5, "a.py", 0 },
						    { 0x1008, 6, "\xff", 0 } };

	put_debug(bytes, 5, 0x1000, lines, 2);
	put_load(bytes, 10, 0x1000, 0x10, "f");
	put_load(bytes, 20, 0x2000, 0x10, "g");
	put_move(bytes, 30, 0x2000, 0x3000, 0x10);
}
