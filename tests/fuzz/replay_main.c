/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds every file of a corpus folder to a fuzz target, so that each input that once broke
 * something stays a test, also with compilers that have no libFuzzer.
 *
 * Each input lives in an allocation of its exact size: AddressSanitizer then sees a read of one
 * byte too many.  Usage: fuzz_NAME FOLDER.  A missing folder is an empty corpus.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_stream(FILE *file, const char *path)
{
	struct stat info;
	uint8_t *data;
	size_t size;

	if (fstat(fileno(file), &info) < 0 || !S_ISREG(info.st_mode))
		return 0;
	size = (size_t)info.st_size;
	data = malloc(size ? size : 1);
	if (!data || fread(data, 1, size, file) != size) {
		fprintf(stderr, "replay: cannot read '%s'\n", path);
		free(data);
		return -1;
	}
	/* Before the run, so that the input that crashes is the last line printed. */
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

/* Returns 1 replayed, 0 not a file, -1 unreadable. */
static int replay_file(const char *folder, const char *name)
{
	char path[4096];
	FILE *file;
	int ret;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	if (!file) {
		fprintf(stderr, "replay: cannot open '%s': %s\n", path, strerror(errno));
		return -1;
	}
	ret = replay_stream(file, path);
	fclose(file);
	return ret;
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	int inputs = 0, ret;
	DIR *dir;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	dir = opendir(argv[1]);
	if (!dir && errno != ENOENT) {
		fprintf(stderr, "replay: cannot open '%s': %s\n", argv[1], strerror(errno));
		return 1;
	}
	while (dir && (entry = readdir(dir))) {
		ret = replay_file(argv[1], entry->d_name);
		if (ret < 0)
			return 1;
		inputs += ret;
	}
	if (dir)
		closedir(dir);
	printf("%d inputs\n", inputs);
	return 0;
}
