/* SPDX-License-Identifier: BSD-2-Clause */
/* Can an address on a stack be a caller's?  By the rules of the walks in the kernel. */
#ifndef EBPFPROF_COLLECT_RETURN_ADDRESS_H
#define EBPFPROF_COLLECT_RETURN_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * return_address_is_possible - a call stands before it, or it is where a thread, a context or a
 * signal handler returns to
 * @before: the 8 bytes of code in front of the address; @after: those at it
 */
bool return_address_is_possible(const uint8_t before[8], const uint8_t after[8]);

#endif
