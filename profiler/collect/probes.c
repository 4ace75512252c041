/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One row for each feature: how it is tried and what its absence costs.  Loading a program of two
 * instructions asks the kernel the question that matters, whatever its version, its configuration, its
 * back-ports, its lockdown and our capabilities are; a table of versions would know none of these.
 */
#include "profiler/collect/probes.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "profiler/collect/bpf_log.h"
#include "profiler/collect/perf_event.h"
#include "profiler/collect/sampler_about.h"

#define TCX_INGRESS 46 /* enum bpf_attach_type since 6.6; libbpf 1.1 does not know it */

struct probe_row {
	const char *name;
	int (*run)(const char *argument);
	const char *argument;
	const char *loss;
};

/* r0 = 0; exit */
static int load_empty(enum bpf_prog_type type, struct bpf_prog_load_opts *options)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(type, "ebpfprof_probe", "Dual BSD/GPL", insns, ARRAY_SIZE(insns),
			       options);

	return fd < 0 ? -errno : fd;
}

static int try_type(enum bpf_prog_type type)
{
	int fd = load_empty(type, NULL);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* A program of type TRACING for @target of the kernel's BTF: its descriptor, or -errno. */
static int load_tracing(const char *target, enum bpf_attach_type attach)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach);
	int id;

	bpf_log_begin(); /* libbpf would print that it finds none */
	id = libbpf_find_vmlinux_btf_id(target, attach);
	if (id < 0)
		return id;
	options.attach_btf_id = (uint32_t)id;
	return load_empty(BPF_PROG_TYPE_TRACING, &options);
}

static int try_tp_btf(const char *tracepoint)
{
	int fd = load_tracing(tracepoint, BPF_TRACE_RAW_TP);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int try_iterator(const char *target)
{
	int fd = load_tracing(target, BPF_TRACE_ITER);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* Loading is not enough: arm64 had no trampolines to attach by before 6.0. */
static int try_fentry(const char *function)
{
	_cleanup_close_ int fd = load_tracing(function, BPF_TRACE_FENTRY);
	int link;

	if (fd < 0)
		return fd;
	link = bpf_raw_tracepoint_open(NULL, fd);
	if (link < 0)
		return -errno;
	close(link);
	return 0;
}

static int try_raw_tp(const char *tracepoint)
{
	_cleanup_close_ int fd = load_empty(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL);
	int link;

	if (fd < 0)
		return fd;
	link = bpf_raw_tracepoint_open(tracepoint, fd);
	if (link < 0)
		return -errno;
	close(link);
	return 0;
}

/* The number of a dynamic PMU, Documentation/ABI/testing/sysfs-bus-event_source-devices; -errno */
static int pmu_type(const char *path)
{
	struct strbuf text = STRBUF_INIT;
	int r = read_path(path, 64, &text);

	if (r == 0)
		r = atoi(text.text);
	strbuf_free(&text);
	return r;
}

static int try_kprobe(const char *function)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .disabled = 1 };
	_cleanup_close_ int event = -1;
	int type = pmu_type("/sys/bus/event_source/devices/kprobe/type");

	if (type < 0)
		return type;
	attr.type = (uint32_t)type;
	attr.config1 = (uint64_t)(uintptr_t)function;
	event = perf_event_open(&attr, 0);
	if (event < 0)
		return event;
	return try_type(BPF_PROG_TYPE_KPROBE);
}

/* Opening one would write a breakpoint into a program: that there is such a PMU must do. */
static int try_uprobe(const char *path)
{
	int type = pmu_type(path);

	return type < 0 ? type : try_type(BPF_PROG_TYPE_KPROBE);
}

static int try_map(enum bpf_map_type type, const char *name, uint32_t entries)
{
	int fd = bpf_map_create(type, name, 0, 0, entries, NULL);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int try_ring_buffer(const char *name)
{
	return try_map(BPF_MAP_TYPE_RINGBUF, name, (uint32_t)sysconf(_SC_PAGESIZE));
}

/* Such maps must have BTF, so libbpf's own probe is asked, which makes some. */
static int try_task_storage(const char *unused)
{
	int r = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, NULL);

	(void)unused;
	return r > 0 ? 0 : r == 0 ? -ENOENT : r;
}

static int try_helper(enum bpf_func_id helper)
{
	int r = try_type(BPF_PROG_TYPE_PERF_EVENT);

	if (r < 0)
		return r; /* else the answer would be "no such helper" */
	r = libbpf_probe_bpf_helper(BPF_PROG_TYPE_PERF_EVENT, helper, NULL);
	return r > 0 ? 0 : r == 0 ? -ENOENT : r;
}

static int try_task_btf(const char *unused)
{
	(void)unused;
	return try_helper(BPF_FUNC_get_current_task_btf);
}

static int try_read_kernel(const char *unused)
{
	(void)unused;
	return try_helper(BPF_FUNC_probe_read_kernel);
}

static int try_task_pt_regs(const char *unused)
{
	(void)unused;
	return try_helper(BPF_FUNC_task_pt_regs);
}

static int try_perf_program(const char *unused)
{
	(void)unused;
	return try_type(BPF_PROG_TYPE_PERF_EVENT);
}

static int try_cpu_clock(const char *unused)
{
	(void)unused;
	return perf_event_try_clock();
}

static int try_cycles(const char *unused)
{
	(void)unused;
	return perf_event_try(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES);
}

static int try_ring(const char *unused)
{
	bool system_wide;

	(void)unused;
	return sampler_ring_try(&system_wide);
}

static int try_xdp(const char *unused)
{
	(void)unused;
	return try_type(BPF_PROG_TYPE_XDP);
}

static int try_clsact(const char *unused)
{
	(void)unused;
	return try_type(BPF_PROG_TYPE_SCHED_CLS);
}

/* To an interface that there cannot be: a kernel with tcx looks for it first. */
static int try_tcx(const char *unused)
{
	_cleanup_close_ int fd = load_empty(BPF_PROG_TYPE_SCHED_CLS, NULL);

	(void)unused;
	if (fd < 0)
		return fd;
	if (bpf_link_create(fd, INT32_MAX, TCX_INGRESS, NULL) >= 0 || errno == ENODEV)
		return 0;
	return errno == EINVAL ? -ENOENT : -errno;
}

static const struct probe_row rows[PROBE_CNT] = {
	[PROBE_RING_BUFFER] = { "BPF ring buffer", try_ring_buffer, "ebpfprof_probe",
				"no command of this program can use BPF" },
	[PROBE_PERF_PROGRAM] = { "BPF programs of perf events", try_perf_program, NULL,
				 "samples come through perf's own ring: frame pointers only" },
	[PROBE_RING] = { "rings of perf events", try_ring, NULL, "nothing can be sampled" },
	[PROBE_CPU_CLOCK] = { "cpu-clock event", try_cpu_clock, NULL, "nothing can be sampled" },
	[PROBE_CYCLES] = { "cycles event", try_cycles, NULL, "no -e cycles" },
	[PROBE_TASK_BTF] = { "bpf_get_current_task_btf()", try_task_btf, NULL,
			     "fields of the task are read one by one: a sample costs more" },
	[PROBE_TASK_PT_REGS] = { "bpf_task_pt_regs()", try_task_pt_regs, NULL,
				 "user registers below the kernel are found at the end of the "
				 "kernel's stack" },
	[PROBE_READ_KERNEL] = { "bpf_probe_read_kernel()", try_read_kernel, NULL,
				"lockdown=confidentiality: BPF programs see no memory" },
	[PROBE_ITER_TASK] = { "iter/task", try_iterator, "task",
			      "processes that ran before are learnt by their stacks" },
	[PROBE_TP_BTF] = { "tp_btf", try_tp_btf, "sched_process_free",
			   "raw tracepoints are used" },
	[PROBE_RAW_TP] = { "raw_tp", try_raw_tp, "sched_process_free", "kprobes are used" },
	[PROBE_FENTRY] = { "fentry", try_fentry, "bpf_fentry_test1",
			   "functions without a tracepoint need kprobes" },
	[PROBE_KPROBE] = { "kprobe", try_kprobe, "wake_up_new_task",
			   "functions without a tracepoint need fentry" },
	[PROBE_UPROBE] = { "uprobe", try_uprobe, "/sys/bus/event_source/devices/uprobe/type",
			   "functions of programs cannot be traced" },
	[PROBE_TP_SCHED_SWITCH] = { "tp_btf/sched_switch", try_tp_btf, "sched_switch",
				    "no waiting time" },
	[PROBE_TP_SYS_ENTER] = { "tp_btf/sys_enter", try_tp_btf, "sys_enter", "raw_tp is used" },
	[PROBE_RAW_SYS_ENTER] = { "raw_tp/sys_enter", try_raw_tp, "sys_enter", "no system calls" },
	[PROBE_TP_PROCESS_EXEC] = { "tp_btf/sched_process_exec", try_tp_btf, "sched_process_exec",
				    "kprobes are used" },
	[PROBE_TP_SOCK_SEND] = { "tp_btf/sock_send_length", try_tp_btf, "sock_send_length",
				 "fentry or kprobes on the sockets' functions are needed" },
	[PROBE_TASK_STORAGE] = { "BPF task storage", try_task_storage, NULL,
				 "a hash of threads, least recently used first out" },
	[PROBE_XDP] = { "XDP", try_xdp, NULL, "no counters before the network stack" },
	[PROBE_TCX] = { "tcx", try_tcx, NULL, "clsact is used, which others may replace" },
	[PROBE_CLSACT] = { "clsact", try_clsact, NULL, "no counters of flows" },
};

int probe_run(enum probe probe)
{
	static struct {
		bool done;
		int result;
	} known[PROBE_CNT];

	if (!known[probe].done) {
		known[probe].result = rows[probe].run(rows[probe].argument);
		known[probe].done = true;
	}
	return known[probe].result;
}

const char *probe_name(enum probe probe)
{
	return rows[probe].name;
}

const char *probe_loss(enum probe probe)
{
	return rows[probe].loss;
}
