/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of the symbol cache: written whole or not at all, checked before they are believed.
 *
 * The checksum (XXH3) is computed through pread, not through the mapping: a bad disk is then an
 * error and no SIGBUS, and the mapping costs only the pages that look-ups touch (the process's
 * memory would otherwise grow by every entry's whole size).  17 MB take 5 ms.
 *
 * No fsync(): an entry that a power failure tore has a wrong checksum, and nothing is lost but
 * the work of making it again.
 *
 * Several processes write and evict at the same time without locks: names appear by rename(2),
 * and what was unlinked lives on as long as somebody has it mapped.
 */
#include "symbolizer/symbol_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

#include <xxhash.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/fileio.h"
#include "symbolizer/symbol_cache_private.h"

#define DEFAULT_MAX_BYTES (512ull << 20)
#define MAGIC "EPCACHE"
#define VERSION 1u
#define TOUCH_EVERY_S 3600
#define RETRY_NS (600ull * 1000000000)
#define READ_BYTES 65536

/* All of it is compared or computed: no byte can be another one unnoticed. */
struct header {
	char magic[8];
	uint32_t version;
	uint32_t kind;
	uint64_t payload_bytes;
	uint64_t stamp;
	uint64_t checksum; /* XXH3, 64 bits, of the payload */
	uint8_t build_id[ELF_BUILD_ID_MAX];
	uint32_t build_id_bytes;
};

_Static_assert(sizeof(struct header) == 64, "the payload is aligned to 8 bytes");

static void free_state(XXH3_state_t **state)
{
	XXH3_freeState(*state);
}

int symbol_cache_new(const struct symbol_cache_config *config, struct symbol_cache **ret)
{
	struct symbol_cache *cache = calloc(1, sizeof(*cache));
	int code;
	size_t i;

	if (!cache)
		return -ENOMEM;
	cache->max_bytes = config->max_bytes ? config->max_bytes : DEFAULT_MAX_BYTES;
	cache->owner = geteuid();
	for (i = 0; i < CACHE_KIND_CNT; i++)
		cache->folders[i] = -1;
	code = cache_open_folders(cache, config->folder);
	if (code) {
		symbol_cache_free(cache);
		return code;
	}
	*ret = cache;
	return 0;
}

void symbol_cache_free(struct symbol_cache *cache)
{
	size_t i;

	if (!cache)
		return;
	for (i = 0; i < CACHE_KIND_CNT; i++)
		fd_closep(&cache->folders[i]);
	free(cache);
}

/* All but the checksum. */
static struct header make_header(enum symbol_cache_kind kind, const struct elf_build_id *build_id,
				 uint64_t stamp, uint64_t payload_bytes)
{
	struct header header = {
		.magic = MAGIC,
		.version = VERSION,
		.kind = kind,
		.payload_bytes = payload_bytes,
		.stamp = stamp,
		.build_id_bytes = build_id->len,
	};

	memcpy(header.build_id, build_id->bytes, build_id->len);
	return header;
}

/* ---- reading ---- */

static int checksum_of_file(int fd, uint64_t size, uint64_t *ret)
{
	_cleanup_(free_state) XXH3_state_t *state = XXH3_createState();
	_cleanup_free_ char *bytes = malloc(READ_BYTES);
	uint64_t at;
	ssize_t n;

	if (!state || !bytes)
		return -ENOMEM;
	XXH3_64bits_reset(state);
	for (at = 0; at < size; at += (uint64_t)n) {
		n = pread_full(fd, bytes, MIN(size - at, (uint64_t)READ_BYTES),
			       sizeof(struct header) + at);
		if (n <= 0)
			return -ENOENT;
		XXH3_64bits_update(state, bytes, (size_t)n);
	}
	*ret = XXH3_64bits_digest(state);
	return 0;
}

/* -ENOENT: not what it should be. */
static int check_entry(const struct symbol_cache *cache, int fd, const struct stat *info,
		       const struct header *expected)
{
	struct header header, wanted = *expected;
	uint64_t checksum;
	int ret;

	if (!S_ISREG(info->st_mode) || !cache_is_ours(cache, info) ||
	    info->st_size < (off_t)sizeof(header) ||
	    pread_full(fd, &header, sizeof(header), 0) != sizeof(header))
		return -ENOENT;
	wanted.payload_bytes = (uint64_t)info->st_size - sizeof(header);
	wanted.checksum = header.checksum;
	if (memcmp(&header, &wanted, sizeof(header)) != 0)
		return -ENOENT;
	ret = checksum_of_file(fd, wanted.payload_bytes, &checksum);
	if (ret)
		return ret;
	return checksum == header.checksum ? 0 : -ENOENT;
}

static int map_entry(int fd, const struct stat *info, struct symbol_cache_entry *ret)
{
	size_t bytes = (size_t)info->st_size;
	void *map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);

	if (map == MAP_FAILED)
		return errno == ENOMEM ? -ENOMEM : -ENOENT;
	*ret = (struct symbol_cache_entry){
		.payload = (const char *)map + sizeof(struct header),
		.size = bytes - sizeof(struct header),
		.map = map,
		.map_bytes = bytes,
	};
	return 0;
}

/* Its mtime says when it was used, by the hour. */
static void touch(int fd, const struct stat *info)
{
	time_t age = time(NULL) - info->st_mtime;

	if (age > TOUCH_EVERY_S || age < -TOUCH_EVERY_S)
		(void)!futimens(fd, NULL);
}

int symbol_cache_get(struct symbol_cache *cache, enum symbol_cache_kind kind,
		     const struct elf_build_id *build_id, uint64_t stamp,
		     struct symbol_cache_entry *ret)
{
	struct header expected = make_header(kind, build_id, stamp, 0);
	int folder = cache->folders[kind], code = -ENOENT;
	char name[CACHE_NAME_BYTES];
	_cleanup_close_ int fd = -1;
	struct stat info;

	if (!build_id->len)
		return -ENOENT;
	elf_build_id_hex(build_id, name);
	/* Neither links nor, with O_NONBLOCK, FIFOs have an effect. */
	fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno != ELOOP)
		return -ENOENT;
	if (fd >= 0 && !fstat(fd, &info))
		code = check_entry(cache, fd, &info, &expected);
	if (!code)
		code = map_entry(fd, &info, ret);
	if (!code)
		touch(fd, &info);
	else if (code == -ENOENT)
		unlinkat(folder, name, 0);
	return code;
}

void symbol_cache_release(struct symbol_cache_entry *entry)
{
	if (entry->map)
		munmap(entry->map, entry->map_bytes);
	*entry = (struct symbol_cache_entry){};
}

/* ---- writing ---- */

static int checksum_of_parts(const struct iovec *parts, int part_cnt, uint64_t *ret)
{
	_cleanup_(free_state) XXH3_state_t *state = XXH3_createState();
	int i;

	if (!state)
		return -ENOMEM;
	XXH3_64bits_reset(state);
	for (i = 0; i < part_cnt; i++) {
		if (parts[i].iov_len)
			XXH3_64bits_update(state, parts[i].iov_base, parts[i].iov_len);
	}
	*ret = XXH3_64bits_digest(state);
	return 0;
}

static int write_parts(int fd, const struct header *header, const struct iovec *parts, int part_cnt)
{
	int i, ret;

	ret = write_all(fd, header, sizeof(*header));
	for (i = 0; i < part_cnt && !ret; i++)
		ret = write_all(fd, parts[i].iov_base, parts[i].iov_len);
	return ret;
}

/* Writes it under a temporary name and gives it its own. */
static int write_entry(int folder, const char *name, const struct header *header,
		       const struct iovec *parts, int part_cnt)
{
	char temporary[64];
	uint64_t random;
	int fd, ret;

	/* Not the pid: containers that share the folder have the same ones. */
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EAGAIN;
	snprintf(temporary, sizeof(temporary), CACHE_TEMPORARY "%016" PRIx64, random);
	fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = write_parts(fd, header, parts, part_cnt);
	if (close(fd) < 0 && !ret)
		ret = -errno;
	if (!ret && renameat(folder, temporary, folder, name) < 0)
		ret = -errno;
	if (ret)
		unlinkat(folder, temporary, 0);
	return ret;
}

/* Errors that the next put would meet too. */
static bool is_lasting(int code)
{
	return code == -EROFS || code == -EACCES || code == -EPERM || code == -ENOSPC ||
	       code == -EDQUOT || code == -ENOENT; /* somebody removed the folder */
}

/* Beyond `ulimit -f` a write does not fail but ends the program, by SIGXFSZ. */
static bool may_write(uint64_t bytes)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
	       (limit.rlim_cur == RLIM_INFINITY || bytes <= limit.rlim_cur);
}

static int put_entry(struct symbol_cache *cache, int folder, const char *name,
		     const struct header *header, const struct iovec *parts, int part_cnt)
{
	uint64_t bytes = cache_file_bytes(sizeof(*header) + header->payload_bytes);
	int ret;

	if (cache->put_error && monotonic_ns() - cache->put_error_ns < RETRY_NS)
		return cache->put_error;
	if (!may_write(sizeof(*header) + header->payload_bytes))
		return -EFBIG;
	ret = cache_make_room(cache, bytes);
	if (!ret)
		ret = write_entry(folder, name, header, parts, part_cnt);
	if (!ret)
		cache->bytes += bytes; /* and less by what it replaced: the next scan will tell */
	cache->put_error = is_lasting(ret) ? ret : 0;
	cache->put_error_ns = monotonic_ns();
	return ret;
}

int symbol_cache_put(struct symbol_cache *cache, enum symbol_cache_kind kind,
		     const struct elf_build_id *build_id, uint64_t stamp, const struct iovec *parts,
		     int part_cnt)
{
	char name[CACHE_NAME_BYTES];
	uint64_t total = 0;
	struct header header;
	int i, ret;

	if (!build_id->len)
		return -EINVAL;
	for (i = 0; i < part_cnt; i++) {
		if (parts[i].iov_len > cache->max_bytes / 4 - total)
			return -EFBIG;
		total += parts[i].iov_len;
	}
	if (cache_file_bytes(sizeof(header) + total) > cache->max_bytes / 4)
		return -EFBIG;
	header = make_header(kind, build_id, stamp, total);
	ret = checksum_of_parts(parts, part_cnt, &header.checksum);
	if (ret)
		return ret;
	elf_build_id_hex(build_id, name);
	return put_entry(cache, cache->folders[kind], name, &header, parts, part_cnt);
}
