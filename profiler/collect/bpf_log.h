/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why an object did not load, out of what libbpf and the verifier say meanwhile.
 *
 * Nothing is printed: most messages are of probes that fail by design, and the one that explains a
 * refusal belongs into the error of the command.  One loader at a time.
 */
#ifndef EBPFPROF_COLLECT_BPF_LOG_H
#define EBPFPROF_COLLECT_BPF_LOG_H

#include <stddef.h>

struct errmsg;

/** bpf_log_begin - keep libbpf's messages from here on; what was kept is forgotten */
void bpf_log_begin(void);

/** bpf_log_reason - @code in words, and the verifier's last line or else libbpf's first warning */
void bpf_log_reason(int code, char *ret, size_t ret_bytes);

/**
 * bpf_log_failed - fill @err for an object that did not load
 * @code:   negative errno of the load
 * @object: what it is, as in "cannot load the sampler into the kernel"
 *
 * With bpf_log_reason(), and what can be done.
 * Returns @code.
 */
int bpf_log_failed(int code, const char *object, struct errmsg *err);

/**
 * bpf_log_verifier_line - the line of a verifier's log that says what was wrong: its last one that is
 * neither statistics nor empty
 * @log: as libbpf gives it; @ret: [@ret_bytes], untouched and false where there is none
 */
int bpf_log_verifier_line(const char *log, char *ret, size_t ret_bytes);

#endif
