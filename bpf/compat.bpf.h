/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every difference between kernels, one accessor each; chosen by what the kernel's BTF has, not by
 * its version.  What collect/probes.c finds by trying is the same list seen from user space.
 *
 * Differences that have a rule instead of an accessor; the ring on virtual machines loads every object
 * on 5.10, which fails for whoever forgets one:
 *	loops		bounded, no bpf_loop() (5.17): a callback is refused even in dead code
 *	atomics		none whose value is used (5.12), for the same reason; counts are per CPU
 *	hashes		preallocated where a perf event's program writes them: BPF_F_NO_PREALLOC is
 *			refused there before 6.1
 *	ring buffer	needed (5.8): without it no object of ours is of use; samples come from the
 *			rings of perf events, and the warning names it
 *	task storage	none yet (5.11); its first user decides by a map that is made or not
 *	build-ids	not asked of MMAP2 records (5.12): they disturb other profilers (sideband.c)
 *	tracepoints	those of tier.bpf.h have had the same arguments since before 5.10;
 *			sched_process_exit has not (6.17 adds one behind the task), and is not used
 */
#ifndef EBPFPROF_BPF_COMPAT_BPF_H
#define EBPFPROF_BPF_COMPAT_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/arch.bpf.h"
#include "bpf/kernel_types.bpf.h"
#include "bpf/pids.h"
#include "bpf/sample.h"

/* Always read as volatile: otherwise clang takes these zeros for constants. */
const volatile struct pid_view pid_view SEC(".rodata.pids") = {};

/* What the programs need to know of the running task, read once per event. */
struct task_facts {
	struct task_struct *task;
	__u64 start_boottime_ns; /* of the leader */
	__u64 start_stack;	 /* 0: no user memory */
	__u32 tgid; /* both 0: outside of our pid namespace */
	__u32 tid;
	__u32 exec_id;
	__u32 flags; /* PF_* */
};

/* The number of @task in our pid namespace; 0: it is in none that we see, or has no number any more. */
static __always_inline __u32 task_number(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	unsigned int level = pid ? BPF_CORE_READ(pid, level) : 0;
	struct upid number;
	__u32 i;

	for (i = 0; pid && i < PID_NAMESPACE_LEVELS_MAX; i++) {
		if (i > level)
			break;
		if (bpf_core_read(&number, sizeof(number), &pid->numbers[i]))
			break;
		if (BPF_CORE_READ(number.ns, ns.inum) == pid_view.namespace)
			return (__u32)number.nr;
	}
	return 0;
}

/* The process of @task, by its leader. */
static __always_inline __u32 task_tgid(struct task_struct *task)
{
	if (pid_view.namespace)
		return task_number(BPF_CORE_READ(task, group_leader));
	return (__u32)BPF_CORE_READ(task, tgid);
}

/*
 * The process that ends with @task, a task that has given back its number; 0: it was no leader.  Also
 * 0 in a pid namespace, where nobody knows the number any more: user space forgets by the side-band.
 */
static __always_inline __u32 task_tgid_of_dead(struct task_struct *task)
{
	__u32 tgid = (__u32)BPF_CORE_READ(task, tgid);

	return !pid_view.namespace && (__u32)BPF_CORE_READ(task, pid) == tgid ? tgid : 0;
}

/*
 * COMPAT(5.10): no bpf_get_current_task_btf() before 5.11 (3ca1032ab7ab); then fields are read by
 * bpf_probe_read_kernel(), ten times as dear.  Remove when the floor passes 5.11.
 */
static __always_inline void task_facts_read(struct task_facts *facts)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	facts->tid = (__u32)pid_tgid;
	facts->tgid = pid_tgid >> 32;
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
		struct task_struct *task = bpf_get_current_task_btf();
		struct task_struct *leader = task->group_leader;
		struct mm_struct *mm = task->mm;

		facts->task = task;
		facts->start_boottime_ns = leader->start_boottime;
		facts->exec_id = leader->self_exec_id;
		facts->flags = task->flags;
		facts->start_stack = mm ? mm->start_stack : 0;
	} else {
		struct task_struct *task = (void *)bpf_get_current_task();
		struct task_struct *leader = BPF_CORE_READ(task, group_leader);
		struct mm_struct *mm = BPF_CORE_READ(task, mm);

		facts->task = task;
		facts->start_boottime_ns = BPF_CORE_READ(leader, start_boottime);
		facts->exec_id = BPF_CORE_READ(leader, self_exec_id);
		facts->flags = BPF_CORE_READ(task, flags);
		facts->start_stack = mm ? BPF_CORE_READ(mm, start_stack) : 0;
	}
	if (pid_view.namespace) {
		facts->tid = task_number(facts->task);
		facts->tgid = task_tgid(facts->task);
	}
}

/* The name of a task's process: its leader's, STACK_COMM_BYTES with what follows the NUL. */
static __always_inline void leader_comm_read(struct task_struct *task, char *comm)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	bpf_probe_read_kernel(comm, STACK_COMM_BYTES,
			      __builtin_preserve_access_index(&leader->comm));
}

/*
 * The user-mode registers of the running task, saved where it entered the kernel.
 *
 * COMPAT(5.10): no bpf_task_pt_regs() before 5.15 (dd6e10fbd9fb); then they lie at the end of the
 * kernel stack, at a place that no configuration of these older kernels moves but KASAN's.
 */
static __always_inline bool user_regs_of_kernel_entry(struct task_facts *facts,
						      struct kernel_regs *regs)
{
	struct task_struct *task = facts->task;
	void *saved;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		saved = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	else
		saved = BPF_CORE_READ(task, stack) + KERNEL_STACK_BYTES - sizeof(*regs);
	return bpf_probe_read_kernel(regs, sizeof(*regs), saved) == 0;
}

#endif
