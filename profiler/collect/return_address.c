/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/return_address.h"

#if defined(__x86_64__)
#define __TARGET_ARCH_x86
#elif defined(__aarch64__)
#define __TARGET_ARCH_arm64
#endif

#include "bpf/call_site.h"

bool return_address_is_possible(const uint8_t before[8], const uint8_t after[8])
{
	return call_site_ends(before) || call_site_is_thread_start(before) ||
	       call_site_is_context_start(after) || call_site_is_signal_return(after);
}
