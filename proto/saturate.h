/* SPDX-License-Identifier: BSD-2-Clause */
/* Sums of sample values: one huge value must not turn a total negative. */
#ifndef EBPFPROF_PROTO_SATURATE_H
#define EBPFPROF_PROTO_SATURATE_H

#include <stdint.h>

static inline int64_t add_saturating(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b > 0 ? INT64_MAX : INT64_MIN;
	return sum;
}

#endif
