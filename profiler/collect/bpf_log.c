/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/bpf_log.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"

#define LOG_BEGIN "-- BEGIN PROG LOAD LOG --"
#define LOG_END "-- END PROG LOAD LOG --"

static char first_warning[256], verifier_line[256];

/* Lines that stand at the end of a log and say nothing of the cause. */
static bool is_statistics(const char *line)
{
	static const char *const starts[] = { "processed ", "verification time ", "stack depth ",
					      "insn_cnt ",  LOG_END };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(starts); i++)
		if (strncmp(line, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

int bpf_log_verifier_line(const char *log, char *ret, size_t ret_bytes)
{
	const char *start = strstr(log, LOG_BEGIN), *line, *next, *found = NULL;
	size_t bytes = 0;

	if (!start || !ret_bytes)
		return -ENOENT;
	for (line = strchr(start, '\n'); line && *line; line = next) {
		line++;
		next = strchr(line, '\n');
		if (strncmp(line, LOG_END, strlen(LOG_END)) == 0)
			break;
		if (*line == '\n' || !*line || is_statistics(line))
			continue;
		found = line;
		bytes = next ? (size_t)(next - line) : strlen(line);
	}
	if (!found)
		return -ENOENT;
	bytes = MIN(bytes, ret_bytes - 1);
	memcpy(ret, found, bytes);
	ret[bytes] = '\0';
	return 0;
}

static __attribute__((format(printf, 2, 0))) int keep(enum libbpf_print_level level,
						      const char *fmt, va_list args)
{
	_cleanup_free_ char *text = NULL;

	if (level != LIBBPF_WARN || vasprintf(&text, fmt, args) < 0)
		return 0;
	if (strstr(text, LOG_BEGIN)) {
		bpf_log_verifier_line(text, verifier_line, sizeof(verifier_line));
	} else if (!first_warning[0] && !strstr(text, "Retrying without BTF")) {
		/* The first names the cause, the rest its consequences. */
		snprintf(first_warning, sizeof(first_warning), "%.*s",
			 (int)strcspn(text, "\n"), text);
	}
	return 0;
}

void bpf_log_begin(void)
{
	libbpf_set_print(keep);
	first_warning[0] = verifier_line[0] = '\0';
}

void bpf_log_reason(int code, char *ret, size_t ret_bytes)
{
	const char *why = strerror(-code);

	if (verifier_line[0])
		snprintf(ret, ret_bytes, "%s; the verifier says: %.200s", why, verifier_line);
	else if (first_warning[0])
		snprintf(ret, ret_bytes, "%s; libbpf says: %.200s", why, first_warning);
	else
		snprintf(ret, ret_bytes, "%s", why);
}

int bpf_log_failed(int code, const char *object, struct errmsg *err)
{
	char reason[512];

	bpf_log_reason(code, reason, sizeof(reason));
	err_say(err, code, "cannot load %s into the kernel: %s", object, reason);
	if (verifier_line[0])
		err_hint(err, "please report it with `uname -r`");
	else if (code == -EPERM || code == -EACCES)
		err_hint(err, "run as root, or give it the capabilities: "
			      "sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_syslog,"
			      "cap_dac_read_search,cap_checkpoint_restore=ep "
			      "$(command -v ebpfprof)");
	else if (code == -EMFILE)
		err_hint(err, "raise the limit of open files: ulimit -n 65536");
	else
		err_hint(err, "`ebpfprof doctor` tells what this kernel lacks");
	return code;
}
