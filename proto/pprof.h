/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pprof's profile.proto: the profile to bytes and back (message numbers in profile.proto here,
 * after github.com/google/pprof proto/profile.proto).
 *
 * The writer streams: each sample, location, ... is packed by protobuf-c as a Profile message of
 * its own, because concatenated protobuf messages are one merged message; so the peak memory is
 * one chunk, not a second copy of the profile.
 */
#ifndef EBPFPROF_PROTO_PPROF_H
#define EBPFPROF_PROTO_PPROF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct errmsg;
struct profile;

/* Where encoded bytes go. Returns 0 or a negative errno, which the encoder hands back. */
typedef int (*byte_sink_fn)(void *context, const void *bytes, size_t len);

/**
 * pprof_write - encode @profile
 * @gzip: wrap in gzip (the usual file form .pb.gz) or raw protobuf (.pb)
 *
 * Mappings get has_functions, as every location carries a line; has_filenames,
 * has_line_numbers and has_inline_frames only where really present in a location of theirs.
 * A string label with an empty value has no wire form and is left out.
 * Errors: -ENOMEM, or what @sink returned.
 */
int pprof_write(const struct profile *profile, bool gzip, byte_sink_fn sink, void *context);

/* What a hostile file may cost at most. 0 = the default in brackets. */
struct pprof_limits {
	size_t inflated_bytes; /* [256 MiB] after gunzip; also of raw protobuf */
	size_t heap_bytes;     /* [1 GiB] while decoding, apart from these; growing may double it */
};

/**
 * pprof_read - decode a gzipped or raw pprof of @len bytes
 * @limits: NULL = defaults
 *
 * Sparse or unordered ids are accepted and renumbered; unknown fields are skipped; gzip members
 * may follow each other; a location without lines gets one synthetic line `basename+0xaddr` (or
 * `0xaddr`), as all our frames have a name.  Left out: columns, is_folded, drop_frames,
 * keep_frames, default_sample_type, doc_url, labels without a key, and the second and later
 * labels of a key.
 * Errors: -EBADMSG with the reason in @err: truncated, not a profile, dangling, duplicate or zero
 * ids, wrong number of values, bad string index; -EFBIG past a limit, or past profile.h's of
 * sample types, frames, labels; -ENOMEM.
 */
int pprof_read(const void *bytes, size_t len, const struct pprof_limits *limits,
	       struct profile **ret, struct errmsg *err);

#endif
