/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Features by table: their tiers, best first, each with the probe that decides and what it cannot
 * see.  The loader asks the same probes (collect/tracer.c).  Of a feature that is not built yet the
 * table tells what it could use, and says so.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/cmd/doctor_rows.h"
#include "profiler/cmd/host_check.h"
#include "profiler/collect/probes.h"
#include "profiler/collect/trial.h"

#define TIERS_MAX 4

struct feature_tier {
	const char *name;
	enum probe probe;
	const char *blind; /* what it cannot see; NULL = it is whole */
};

struct feature {
	const char *name;
	bool is_built, is_vital; /* without a vital one nothing can be profiled */
	struct feature_tier tiers[TIERS_MAX];
	const char *advice; /* when no tier is possible */
};

#define KERNEL_CONFIG(options) "a kernel with " options
#define GIVE_CAPABILITIES "run with sudo, or once: " SETCAP_LINE

static const struct feature features[] = {
	{ "sampling", true, true,
	  { { "perf_event program", PROBE_PERF_PROGRAM, NULL },
	    { "perf ring", PROBE_RING,
	      "without BPF: frame pointers only; an ordinary user's own processes, and no time in "
	      "the kernel" } },
	  KERNEL_CONFIG("CONFIG_BPF_SYSCALL, CONFIG_PERF_EVENTS and CONFIG_BPF_EVENTS") },
	{ "kernel maps", true, false,
	  { { "ring buffer", PROBE_RING_BUFFER, NULL } },
	  KERNEL_CONFIG("BPF ring buffers: 5.8 or newer") },
	{ "user registers", true, false,
	  { { "bpf_task_pt_regs()", PROBE_TASK_PT_REGS, NULL },
	    { "end of the kernel stack", PROBE_PERF_PROGRAM, "right but on kernels with KASAN" } },
	  NULL },
	{ "task fields", true, false,
	  { { "bpf_get_current_task_btf()", PROBE_TASK_BTF, NULL },
	    { "bpf_probe_read_kernel()", PROBE_PERF_PROGRAM, "the same, a sample costs more" } },
	  NULL },
	{ "process hooks", true, false,
	  { { "tp_btf", PROBE_TP_BTF, NULL },
	    { "raw_tp", PROBE_RAW_TP, NULL },
	    { "kprobe", PROBE_KPROBE, NULL } },
	  KERNEL_CONFIG("tracepoints and BTF; without them new processes are learnt late") },
	{ "older processes", true, false,
	  { { "iter/task", PROBE_ITER_TASK, NULL } },
	  KERNEL_CONFIG("BPF iterators: 5.8 or newer") },
	{ "off-CPU", false, false,
	  { { "tp_btf/sched_switch", PROBE_TP_SCHED_SWITCH, NULL } },
	  KERNEL_CONFIG("tracepoints and BTF") },
	{ "syscalls", false, false,
	  { { "tp_btf/sys_enter", PROBE_TP_SYS_ENTER, NULL },
	    { "raw_tp/sys_enter", PROBE_RAW_SYS_ENTER, NULL } },
	  KERNEL_CONFIG("CONFIG_FTRACE_SYSCALLS") },
	{ "exec", false, false,
	  { { "tp_btf/sched_process_exec", PROBE_TP_PROCESS_EXEC, NULL },
	    { "kprobe", PROBE_KPROBE, "execs that fail" } },
	  KERNEL_CONFIG("tracepoints and BTF, or CONFIG_KPROBES") },
	{ "HTTP", false, false,
	  { { "tp_btf/sock_send_length", PROBE_TP_SOCK_SEND, "bytes sent by sendfile and splice" },
	    { "fentry", PROBE_FENTRY, NULL },
	    { "kprobe", PROBE_KPROBE, NULL } },
	  KERNEL_CONFIG("sock:sock_send_length (6.3), fentry or CONFIG_KPROBES") },
	{ "TLS", false, false,
	  { { "uprobe", PROBE_UPROBE, "TLS libraries without symbols" } },
	  KERNEL_CONFIG("CONFIG_UPROBES") },
	{ "flows", false, false,
	  { { "tcx", PROBE_TCX, NULL },
	    { "clsact", PROBE_CLSACT, "traffic behind a filter that another program puts first" } },
	  KERNEL_CONFIG("CONFIG_NET_CLS_BPF") },
	{ "flows, early", false, false,
	  { { "XDP", PROBE_XDP, "what is sent; interfaces without XDP" } },
	  KERNEL_CONFIG("CONFIG_BPF_SYSCALL and CONFIG_NET") },
};

static const char *why(int error)
{
	return error == -ENOENT || error == -ESRCH ? "this kernel has no such thing" :
						     strerror(-error);
}

static const char *advice_for(const struct feature *feature, int error)
{
	return error == -EPERM || error == -EACCES ? GIVE_CAPABILITIES : feature->advice;
}

static void check_feature(struct doctor *doctor, const struct feature *feature)
{
	char refused[300] = "";
	size_t i, used = 0;
	int error = -ENOENT;

	for (i = 0; i < TIERS_MAX && feature->tiers[i].name; i++) {
		const struct feature_tier *tier = &feature->tiers[i];

		int result = probe_run(tier->probe);

		if (!result) {
			doctor_add(doctor, DOCTOR_FEATURES,
				   !feature->is_built			      ? DOCTOR_INFO :
				   feature->tiers[i].probe == PROBE_RING      ? DOCTOR_WARN :
										DOCTOR_OK,
				   feature->name,
				   tier->name, advice_for(feature, error), "%s%s%s%s%s%s%s",
				   feature->is_built ? "" : "possible here; not in this version yet",
				   tier->blind && !feature->is_built ? "; " : "",
				   tier->blind && !feature->is_built ? "it would not see " : "",
				   tier->blind ? tier->blind : "", refused[0] ? " (" : "", refused,
				   refused[0] ? ")" : "");
			return;
		}
		used += (size_t)snprintf(refused + used, sizeof(refused) - used, "%s%s: %s",
					 used ? ", " : "", tier->name, why(result));
		error = error == -EPERM ? error : result; /* what can be mended */
		used = MIN(used, sizeof(refused) - 1);
	}
	doctor_add(doctor, DOCTOR_FEATURES,
		   !feature->is_built ? DOCTOR_INFO :
		   feature->is_vital  ? DOCTOR_FAIL :
					DOCTOR_WARN,
		   feature->name, NULL, advice_for(feature, error), "not possible: %s%s", refused,
		   feature->is_built ? "" : "; not in this version yet");
}

static void check_objects(struct doctor *doctor)
{
	struct errmsg err = {};
	struct trial trial;
	size_t i;

	if (trial_run(&trial, &err) != 0) {
		doctor_add(doctor, DOCTOR_OBJECTS, doctor_without_bpf(), "sampler", NULL, NULL, "%s",
			   err.text);
		return;
	}
	doctor_add(doctor, DOCTOR_OBJECTS, DOCTOR_OK, "sampler", "perf_event", NULL, "%s", "");
	for (i = 0; i < trial.outcome_cnt; i++) {
		const struct tracer_outcome *outcome = &trial.outcomes[i];
		bool runs = outcome->tier != TIER_NONE;

		doctor_add(doctor, DOCTOR_OBJECTS, runs ? DOCTOR_OK : DOCTOR_WARN, outcome->name,
			   runs ? tier_name(outcome->tier) : NULL, NULL, "%s%s%s",
			   runs ? "" : outcome->loss, runs || !outcome->why[0] ? "" : ": ",
			   outcome->why);
	}
}

void doctor_check_features(struct doctor *doctor)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(features); i++)
		check_feature(doctor, &features[i]);
	check_objects(doctor);
}
