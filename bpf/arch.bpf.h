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
#include "bpf/sample.h"

#if defined(__TARGET_ARCH_x86)

#define ARCH_HAS_TABLES 1 /* of unwinding */
#define USER_ADDRESS_MAX 0x00ffffffffffffffull /* 5-level page tables */
#define KERNEL_STACK_BYTES 16384	       /* THREAD_SIZE without KASAN; kernels before 5.15 */

#define arch_is_user(regs) (((regs)->cs & 3) == 3)

/* Into [UNWIND_REG_CNT], by DWARF number. */
#define arch_copy_perf_regs(to, from)                                                              \
	({                                                                                         \
		(to)[0] = (from)->rax;                                                             \
		(to)[1] = (from)->rdx;                                                             \
		(to)[2] = (from)->rcx;                                                             \
		(to)[3] = (from)->rbx;                                                             \
		(to)[4] = (from)->rsi;                                                             \
		(to)[5] = (from)->rdi;                                                             \
		(to)[6] = (from)->rbp;                                                             \
		(to)[7] = (from)->rsp;                                                             \
		(to)[8] = (from)->r8;                                                              \
		(to)[9] = (from)->r9;                                                              \
		(to)[10] = (from)->r10;                                                            \
		(to)[11] = (from)->r11;                                                            \
		(to)[12] = (from)->r12;                                                            \
		(to)[13] = (from)->r13;                                                            \
		(to)[14] = (from)->r14;                                                            \
		(to)[15] = (from)->r15;                                                            \
		(to)[16] = (from)->rip;                                                            \
	})

#define arch_perf_regs_are_compat(regs) ((regs)->cs == 0x23) /* __USER32_CS */

/*
 * The head of struct pt_regs (arch/x86/include/asm/ptrace.h), the same since before 5.10: read at
 * once, a read for each register would cost as much as ten frames.
 */
struct kernel_regs {
	__u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
	__u64 rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, flags, rsp, ss;
};

#define arch_kernel_regs_are_compat(regs) (((regs)->cs & 0xffff) == 0x23)

/* Base of the thread's TLS: glibc and musl put it at the top of the thread's stack. */
static __always_inline __u64 arch_tls_base(void *task)
{
	return BPF_CORE_READ((struct task_struct___x86 *)task, thread.fsbase);
}

#elif defined(__TARGET_ARCH_arm64)

#define ARCH_HAS_TABLES 0
#define USER_ADDRESS_MAX 0x000fffffffffffffull
#define KERNEL_STACK_BYTES 16384

#define arch_is_user(regs) (((regs)->pstate & 0xf) == 0) /* PSR_MODE_EL0t */

/*
 * VERIFIER: "dereference of modified ctx ptr": where two branches copy the same registers, one of them
 * of the context, clang has them share the loads, by an address.  Not across this.
 */
#define arch_keep_here() asm volatile("" ::: "memory")

/* Only what a walk by frame pointers begins with, in the places of the other machine's. */
#define arch_copy_perf_regs(to, from)                                                              \
	({                                                                                         \
		(to)[UNWIND_REG_FP] = (from)->regs[29];                                            \
		(to)[UNWIND_REG_LR] = (from)->regs[30];                                            \
		(to)[UNWIND_REG_SP] = (from)->sp;                                                  \
		(to)[UNWIND_REG_IP] = (from)->pc;                                                  \
		arch_keep_here();                                                                  \
	})

#define arch_perf_regs_are_compat(regs)                                                            \
	({                                                                                         \
		bool is_compat = ((regs)->pstate & 0x10) != 0; /* PSR_MODE32_BIT */                \
		arch_keep_here();                                                                  \
		is_compat;                                                                         \
	})

/* arch/arm64/include/asm/ptrace.h of 5.10: user_pt_regs, orig_x0, ..., stackframe, padded. */
struct kernel_regs {
	__u64 regs[31];
	__u64 sp, pc, pstate;
	__u64 rest[8];
};

#define arch_kernel_regs_are_compat(regs) arch_perf_regs_are_compat(regs)

static __always_inline __u64 arch_tls_base(void *task)
{
	return BPF_CORE_READ((struct task_struct___arm64 *)task, thread.uw.tp_value);
}

#else
#error "bpf/arch.bpf.h has no branch for this architecture"
#endif

#endif
