/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A preloaded library that refuses BPF programs as a kernel would, by their names:
 *
 *	REFUSE=images_fork,images_seed LD_PRELOAD=refuse_bpf.so ebpfprof record ...
 *
 * The load of such a program fails with EACCES and a verifier's log.  REFUSE=maps refuses maps.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_listed(const char *name)
{
	const char *list = getenv("REFUSE");
	size_t len = strlen(name);

	while (list && *list) {
		size_t item = strcspn(list, ",");

		if (item == len && strncmp(list, name, len) == 0)
			return true;
		list += item + (list[item] == ',');
	}
	return false;
}

static long refuse(union bpf_attr *attr)
{
	static const char log[] = "0: (61) r2 = *(u32 *)(r1 +4)\nREFUSED BY TEST\n"
				  "processed 1 insns (limit 1000000)\n";

	if (attr->log_level && attr->log_size > sizeof(log))
		memcpy((void *)(unsigned long)attr->log_buf, log, sizeof(log));
	errno = EACCES;
	return -1;
}

long syscall(long number, ...)
{
	static long (*next)(long number, ...);
	long a[6];
	va_list args;
	int i;

	va_start(args, number);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (!next)
		next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	if (number == SYS_bpf && a[0] == BPF_PROG_LOAD &&
	    is_listed(((union bpf_attr *)a[1])->prog_name))
		return refuse((union bpf_attr *)a[1]);
	if (number == SYS_bpf && a[0] == BPF_MAP_CREATE && is_listed("maps")) {
		errno = EPERM;
		return -1;
	}
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
