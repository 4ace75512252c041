/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/elf_fixture.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];

bool fixture_open(void)
{
	snprintf(directory, sizeof(directory), "/tmp/ebpfprof-test-XXXXXX");
	if (!mkdtemp(directory))
		return false;
	if (fixture_shell("command -v cc nm readelf objdump strip >/dev/null"))
		return true;
	print_message("cc and binutils are needed, and not installed\n");
	fixture_close();
	return false;
}

void fixture_close(void)
{
	if (directory[0])
		fixture_shell("rm -rf %s", directory);
	directory[0] = '\0';
}

const char *fixture_path(const char *name)
{
	static char paths[4][160];
	static unsigned int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

bool fixture_shell(const char *fmt, ...)
{
	char command[1024];
	va_list args;
	int len;

	len = snprintf(command, sizeof(command), "cd %s && ", directory);
	va_start(args, fmt);
	vsnprintf(command + len, sizeof(command) - (size_t)len, fmt, args);
	va_end(args);
	return system(command) == 0;
}

FILE *fixture_popen(const char *fmt, ...)
{
	char command[1024];
	va_list args;
	FILE *pipe;
	int len;

	len = snprintf(command, sizeof(command), "cd %s && ", directory);
	va_start(args, fmt);
	vsnprintf(command + len, sizeof(command) - (size_t)len, fmt, args);
	va_end(args);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	return pipe;
}

const char *fixture_cc(const char *name, const char *source, const char *flags)
{
	char file[96];

	snprintf(file, sizeof(file), "%s.c", name);
	fixture_write(file, source, strlen(source));
	if (!fixture_shell("cc %s.c -o %s %s", name, name, flags))
		fail_msg("cc could not build %s with %s", name, flags);
	return fixture_path(name);
}

void *fixture_read(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rb");
	char *bytes;
	long size;

	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	rewind(file);
	bytes = malloc((size_t)size + !size);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
	fclose(file);
	*ret_size = (size_t)size;
	return bytes;
}

const char *fixture_write(const char *name, const void *bytes, size_t size)
{
	const char *path = fixture_path(name);
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
	return path;
}

size_t fixture_nm(const char *path, const char *options, struct fixture_symbol *ret, size_t max)
{
	FILE *pipe = fixture_popen("nm -n -S --defined-only %s %s 2>/dev/null", options, path);
	char line[1024];
	size_t cnt = 0;

	while (cnt < max && fgets(line, sizeof(line), pipe)) {
		struct fixture_symbol *symbol = &ret[cnt];
		char *at;

		*symbol = (struct fixture_symbol){};
		if (sscanf(line, "%llx %llx %c %511s", &symbol->address, &symbol->size,
			   &symbol->type, symbol->name) != 4) {
			symbol->size = 0;
			if (sscanf(line, "%llx %c %511s", &symbol->address, &symbol->type,
				   symbol->name) != 3)
				continue;
		}
		at = strchr(symbol->name, '@');
		if (at)
			*at = '\0';
		if (strchr("TtWwi", symbol->type))
			cnt++;
	}
	pclose(pipe);
	return cnt;
}
