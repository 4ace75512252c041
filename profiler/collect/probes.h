/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this kernel can do for us, found by trying the smallest program or call that would fail;
 * never by its version.  The loader asks before it tries a tier, `doctor` shows all of it.
 *
 * A probe runs once per process and leaves nothing behind.  It needs the capabilities that the thing
 * itself needs: without them its answer is -EPERM.
 */
#ifndef EBPFPROF_COLLECT_PROBES_H
#define EBPFPROF_COLLECT_PROBES_H

enum probe {
	/* the sampler */
	PROBE_RING_BUFFER,
	PROBE_PERF_PROGRAM,
	PROBE_RING, /* of perf events, without BPF */
	PROBE_CPU_CLOCK,
	PROBE_CYCLES,
	PROBE_TASK_BTF,	    /* bpf_get_current_task_btf() */
	PROBE_TASK_PT_REGS, /* bpf_task_pt_regs() */
	PROBE_READ_KERNEL,  /* bpf_probe_read_kernel() */
	PROBE_ITER_TASK,
	/* hooks */
	PROBE_TP_BTF,
	PROBE_RAW_TP,
	PROBE_FENTRY,
	PROBE_KPROBE,
	PROBE_UPROBE,
	/* single tracepoints */
	PROBE_TP_SCHED_SWITCH,
	PROBE_TP_SYS_ENTER,
	PROBE_RAW_SYS_ENTER,
	PROBE_TP_PROCESS_EXEC,
	PROBE_TP_SOCK_SEND,
	/* what later tracers use */
	PROBE_TASK_STORAGE,
	PROBE_XDP,
	PROBE_TCX,
	PROBE_CLSACT,
	PROBE_CNT,
};

/** probe_run - 0: it works here; -errno of what failed, -ENOENT: this kernel has no such thing */
int probe_run(enum probe probe);

/** probe_name - "bpf_task_pt_regs()", "tp_btf/sched_switch" */
const char *probe_name(enum probe probe);

/** probe_loss - what we lose where it fails */
const char *probe_loss(enum probe probe);

#endif
