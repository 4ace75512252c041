/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All that depends on the machine: registers, the shape of a frame; what a call looks like stands
 * in call_site.h.  A new architecture is one more branch in each.
 */
#ifndef EBPFPROF_BPF_ARCH_BPF_H
#define EBPFPROF_BPF_ARCH_BPF_H

#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/call_site.h"
#include "bpf/kernel_types.bpf.h"

/* The user-mode registers that a walk starts from. */
struct user_regs {
	__u64 ip;
	__u64 sp;
	__u64 fp;
	__u32 is_compat; /* 32-bit code */
	__u32 in_syscall; /* the task is in the kernel: perhaps by a system call */
};

/* What a frame pointer points at: the caller's frame pointer and the return address. */
struct frame_record {
	__u64 fp;
	__u64 return_address;
};

#if defined(__TARGET_ARCH_x86)

#define USER_ADDRESS_MAX 0x00ffffffffffffffull /* 5-level page tables */
#define KERNEL_STACK_BYTES 16384	       /* THREAD_SIZE without KASAN; kernels before 5.15 */

#define arch_is_user(regs) (((regs)->cs & 3) == 3)

#define arch_copy_perf_regs(to, from)                                                              \
	({                                                                                         \
		(to)->ip = (from)->rip;                                                            \
		(to)->sp = (from)->rsp;                                                            \
		(to)->fp = (from)->rbp;                                                            \
		(to)->is_compat = (from)->cs == 0x23; /* __USER32_CS */                            \
	})

/* A macro, not a typedef: CO-RE finds the kernel's type by the name of the struct. */
#define KERNEL_REGS struct pt_regs___x86_kernel

/* 21 registers: arch/x86/include/asm/ptrace.h. */
#define sizeof_kernel_regs() (21 * 8)

#define arch_copy_kernel_regs(to, from)                                                            \
	({                                                                                         \
		(to)->ip = BPF_CORE_READ(from, ip);                                                \
		(to)->sp = BPF_CORE_READ(from, sp);                                                \
		(to)->fp = BPF_CORE_READ(from, bp);                                                \
		(to)->is_compat = BPF_CORE_READ(from, cs) == 0x23;                                 \
	})

/* Base of the thread's TLS: glibc and musl put it at the top of the thread's stack. */
static __always_inline __u64 arch_tls_base(void *task)
{
	return BPF_CORE_READ((struct task_struct___x86 *)task, thread.fsbase);
}

#elif defined(__TARGET_ARCH_arm64)

#define USER_ADDRESS_MAX 0x000fffffffffffffull
#define KERNEL_STACK_BYTES 16384

#define arch_is_user(regs) (((regs)->pstate & 0xf) == 0) /* PSR_MODE_EL0t */

#define arch_copy_perf_regs(to, from)                                                              \
	({                                                                                         \
		(to)->ip = (from)->pc;                                                             \
		(to)->sp = (from)->sp;                                                             \
		(to)->fp = (from)->regs[29];                                                       \
		(to)->is_compat = ((from)->pstate & 0x10) != 0; /* PSR_MODE32_BIT */               \
	})

#define KERNEL_REGS struct pt_regs___arm64_kernel

/* arch/arm64/include/asm/ptrace.h of 5.10: user_pt_regs, orig_x0, ..., stackframe, padded. */
#define sizeof_kernel_regs() 336

#define arch_copy_kernel_regs(to, from)                                                            \
	({                                                                                         \
		(to)->ip = BPF_CORE_READ(from, pc);                                                \
		(to)->sp = BPF_CORE_READ(from, sp);                                                \
		(to)->fp = BPF_CORE_READ(from, regs[29]);                                          \
		(to)->is_compat = (BPF_CORE_READ(from, pstate) & 0x10) != 0;                       \
	})

static __always_inline __u64 arch_tls_base(void *task)
{
	return BPF_CORE_READ((struct task_struct___arm64 *)task, thread.uw.tp_value);
}

#else
#error "bpf/arch.bpf.h has no branch for this architecture"
#endif

#endif
