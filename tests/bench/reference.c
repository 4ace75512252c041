/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reference OBJECT HZ SECONDS: run the program of reference.bpf.c on every CPU, by the same event
 * as ebpfprof's sampler has.  Its cost is read from outside, out of /proc/PID/fdinfo.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "profiler/base/clock.h"

static int fail(const char *what)
{
	fprintf(stderr, "reference: %s: %s\n", what, strerror(errno));
	return 1;
}

/* A CPU that is offline is passed over. The events live as long as this process. */
static int sample_cpu(int cpu, uint64_t period_ns, int prog_fd)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = period_ns,
		.disabled = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return errno == ENODEV ? 0 : -1;
	if (ioctl((int)fd, PERF_EVENT_IOC_SET_BPF, prog_fd) != 0)
		return -1;
	return ioctl((int)fd, PERF_EVENT_IOC_ENABLE, 0);
}

int main(int argc, char **argv)
{
	struct bpf_program *program;
	struct bpf_object *object;
	int cpu, cpu_cnt, hz;

	if (argc != 4 || (hz = atoi(argv[2])) <= 0)
		return 2;
	object = bpf_object__open_file(argv[1], NULL);
	if (!object || bpf_object__load(object) != 0)
		return fail("cannot load the BPF object");
	program = bpf_object__find_program_by_name(object, "reference");
	cpu_cnt = libbpf_num_possible_cpus();
	if (!program || cpu_cnt < 0)
		return fail("cannot find the program or the CPUs");
	for (cpu = 0; cpu < cpu_cnt; cpu++)
		if (sample_cpu(cpu, NS_PER_SEC / (uint64_t)hz, bpf_program__fd(program)) != 0)
			return fail("cannot sample a CPU");
	sleep((unsigned int)atoi(argv[3]));
	bpf_object__close(object);
	return 0;
}
