/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes one allocation of our code fail: unit tests are linked with --wrap=malloc, calloc,
 * realloc, so what libraries allocate inside is not counted.  The loop to write:
 *
 *	for (n = 1;; n++) {
 *		fail_malloc_at(n);
 *		... do it, expect success or -ENOMEM ...
 *		if (!fail_malloc_hit())
 *			break;	every allocation has failed once
 *	}
 */
#ifndef EBPFPROF_TESTS_FAIL_MALLOC_H
#define EBPFPROF_TESTS_FAIL_MALLOC_H

#include <stdbool.h>

/** fail_malloc_at - the @n-th allocation from now returns NULL, once; 0 = none */
void fail_malloc_at(long n);

/** fail_malloc_hit - has that allocation been asked for?  Also disarms */
bool fail_malloc_hit(void);

#endif
