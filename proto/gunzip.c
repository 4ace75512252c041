/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/gunzip.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"

#define GZIP_WINDOW (MAX_WBITS + 16) /* zlib: gzip only */
#define FIRST_BYTES 65536u
#define STEP_BYTES ((size_t)1 << 30) /* zlib counts in 32 bits */

struct gunzipper {
	z_stream stream;
	const unsigned char *in;
	size_t in_left; /* with what the stream was given and has not used */
	unsigned char *out;
	size_t out_len, out_capacity, limit;
};

static void gunzipper_close(struct gunzipper *gunzipper)
{
	inflateEnd(&gunzipper->stream);
	free(gunzipper->out);
}

bool is_gzip(const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	return len >= 2 && at[0] == 0x1f && at[1] == 0x8b;
}

/* Room for more output: one byte more than the limit, so that passing it is seen. */
static int grow(struct gunzipper *gunzipper, struct errmsg *err)
{
	size_t most = gunzipper->limit < SIZE_MAX ? gunzipper->limit + 1 : SIZE_MAX;
	size_t capacity = MIN(MAX(gunzipper->out_capacity * 2, FIRST_BYTES), most);
	unsigned char *out;

	if (gunzipper->out_len < gunzipper->out_capacity)
		return 0;
	out = realloc(gunzipper->out, capacity);
	if (!out)
		return err_set(err, -ENOMEM, "cannot inflate the profile");
	gunzipper->out = out;
	gunzipper->out_capacity = capacity;
	return 0;
}

/* Let zlib work until it needs input or room; its return value. */
static int step(struct gunzipper *gunzipper)
{
	z_stream *stream = &gunzipper->stream;
	size_t in = MIN(gunzipper->in_left, STEP_BYTES);
	size_t out = MIN(gunzipper->out_capacity - gunzipper->out_len, STEP_BYTES);
	int status;

	stream->next_in = (unsigned char *)gunzipper->in;
	stream->avail_in = (uInt)in;
	stream->next_out = gunzipper->out + gunzipper->out_len;
	stream->avail_out = (uInt)out;
	status = inflate(stream, Z_NO_FLUSH);
	gunzipper->in += in - stream->avail_in;
	gunzipper->in_left -= in - stream->avail_in;
	gunzipper->out_len += out - stream->avail_out;
	return status;
}

static int inflate_all(struct gunzipper *gunzipper, struct errmsg *err)
{
	for (;;) {
		int status, error = grow(gunzipper, err);

		if (error)
			return error;
		status = step(gunzipper);
		if (gunzipper->out_len > gunzipper->limit)
			return err_say(err, -EFBIG, "the profile inflates to more than %zu MiB",
				       gunzipper->limit >> 20);
		if (status == Z_STREAM_END) {
			/* cat a.gz b.gz is a gzip file too. */
			if (!gunzipper->in_left)
				return 0;
			if (!is_gzip(gunzipper->in, gunzipper->in_left))
				return err_say(err, -EBADMSG,
					       "bad profile: other bytes behind its gzip data");
			inflateReset(&gunzipper->stream);
		} else if (status == Z_MEM_ERROR) {
			return err_set(err, -ENOMEM, "cannot inflate the profile");
		} else if (status != Z_OK && status != Z_BUF_ERROR) {
			return err_say(err, -EBADMSG, "bad profile: damaged gzip data");
		} else if (!gunzipper->in_left && gunzipper->out_len < gunzipper->out_capacity) {
			return err_say(err, -EBADMSG, "bad profile: its gzip data is cut short");
		}
	}
}

int gunzip(const void *bytes, size_t len, size_t limit, void **ret, size_t *ret_len,
	   struct errmsg *err)
{
	_cleanup_(gunzipper_close) struct gunzipper gunzipper = {
		.in = bytes,
		.in_left = len,
		.limit = limit,
	};
	int error;

	if (inflateInit2(&gunzipper.stream, GZIP_WINDOW) != Z_OK)
		return err_set(err, -ENOMEM, "cannot inflate the profile");
	error = inflate_all(&gunzipper, err);
	if (error)
		return error;
	*ret = TAKE_PTR(gunzipper.out);
	*ret_len = gunzipper.out_len;
	return 0;
}
