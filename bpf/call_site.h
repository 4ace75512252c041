/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading machine code around an address: is it a return address, does the leaf have its frame?
 * Pure functions over 8 bytes of code, compiled into the BPF programs and into a unit test.
 *
 * Comparisons are written as products and ORs of differences, which are 0 when they hold: BPF has
 * no instruction to keep the result of a comparison, so each `||` would be a branch, and the
 * verifier would follow each of them.
 */
#ifndef EBPFPROF_BPF_CALL_SITE_H
#define EBPFPROF_BPF_CALL_SITE_H

#include <linux/types.h>

#if defined(__TARGET_ARCH_x86)

/**
 * call_site_ends - do the 8 bytes @code in front of an address end in a call?
 *
 * Then the address can be a return address.  Intel SDM vol. 2, CALL: E8 rel32; FF /2 with each
 * form of its ModRM byte: register or [reg] (2 bytes), [reg + disp8] and [SIB] (3), [SIB + disp8]
 * (4), [reg + disp32] and [rip + disp32] (6), [SIB + disp32] with a base and without (7).
 */
static inline __attribute__((always_inline)) int call_site_ends(const __u8 code[8])
{
	__u64 near = code[3] ^ 0xe8;
	__u64 plain = (code[6] ^ 0xff) | ((code[7] & 0x38) ^ 0x10) |
		      ((code[7] ^ (code[7] << 1)) & 0x80);
	__u64 disp8 = (code[5] ^ 0xff) | ((code[6] & 0xf8) ^ 0x50);
	__u64 sib = (code[5] ^ 0xff) | (code[6] ^ 0x14);
	__u64 sib_disp8 = (code[4] ^ 0xff) | (code[5] ^ 0x54);
	__u64 disp32 = (code[2] ^ 0xff) | ((code[3] & 0xf8) ^ 0x90);
	__u64 rip = (code[2] ^ 0xff) | (code[3] ^ 0x15);
	__u64 sib_disp32 = (code[1] ^ 0xff) | ((code[2] & 0x7f) ^ 0x14);

	/* Eight factors below 256: the product fits, and is 0 when one of them is. */
	return near * plain * disp8 * sib * sib_disp8 * disp32 * rip * sib_disp32 == 0;
}

/**
 * call_site_is_thread_start - is the code in front of an address no call, but the mark of one?
 *
 * Go starts a goroutine as if runtime.goexit had called it: its return address is goexit + 1, and
 * the byte before is a NOP (src/runtime/asm_amd64.s).
 */
static inline __attribute__((always_inline)) int call_site_is_thread_start(const __u8 code[8])
{
	return code[7] == 0x90;
}

/**
 * call_site_is_context_start - do the 8 bytes @code at an address begin what a context returns to?
 *
 * makecontext() puts the address of glibc's __start_context on the new stack, as if it had called
 * the context's function (sysdeps/unix/sysv/linux/x86_64/__start_context.S): mov %rbx,%rsp;
 * mov (%rsp),%rdi; and before that nothing, or endbr64 with CET.
 */
static inline __attribute__((always_inline)) int call_site_is_context_start(const __u8 code[8])
{
	__u32 moves = (code[0] ^ 0x48) | (code[1] ^ 0x89) | (code[2] ^ 0xdc) | (code[3] ^ 0x48) |
		      (code[4] ^ 0x8b) | (code[5] ^ 0x3c) | (code[6] ^ 0x24);
	__u32 endbr = (code[0] ^ 0xf3) | (code[1] ^ 0x0f) | (code[2] ^ 0x1e) | (code[3] ^ 0xfa) |
		      (code[4] ^ 0x48) | (code[5] ^ 0x89) | (code[6] ^ 0xdc);

	return moves * endbr == 0;
}

/**
 * call_site_is_signal_return - do the 8 bytes @code at an address begin what a handler returns to?
 *
 * mov $15,%rax; syscall (rt_sigreturn), as musl has it without call frame information.
 */
static inline __attribute__((always_inline)) int call_site_is_signal_return(const __u8 code[8])
{
	return ((code[0] ^ 0x48) | (code[1] ^ 0xc7) | (code[2] ^ 0xc0) | (code[3] ^ 0x0f) |
		code[4] | code[5] | code[6] | (code[7] ^ 0x0f)) == 0;
}

/* Does the code in front of ip, code[0..1], end in `syscall` (0F 05)? */
static inline __attribute__((always_inline)) int call_site_is_syscall(const __u8 code[8])
{
	return code[0] == 0x0f && code[1] == 0x05;
}

/**
 * call_site_leaf_offset - where a leaf's return address is when its frame pointer is not its own
 * @code: the bytes [ip - 2, ip + 6)
 * @in_syscall: the task is in the kernel
 *
 * Returns the offset from the stack pointer, or -1: the frame pointer can be trusted.
 * Not yet its own at endbr64 (F3 0F 1E FA), push %rbp (55), and mov %rsp,%rbp (48 89 E5 or
 * 48 8B EC) behind that push; no longer at ret (C3, C2, F3 C3); never in a PLT's jump (FF 25,
 * F2 FF 25) and in system call stubs, which are recognised by `syscall` (0F 05) in front of ip.
 */
static inline __attribute__((always_inline)) int call_site_leaf_offset(const __u8 code[8],
								       int in_syscall)
{
	if (in_syscall && call_site_is_syscall(code))
		return 0;
	if (code[2] == 0x55 || code[2] == 0xc3 || code[2] == 0xc2)
		return 0;
	if (code[2] == 0xf3 && ((code[3] == 0x0f && code[4] == 0x1e && code[5] == 0xfa) ||
				code[3] == 0xc3))
		return 0;
	if ((code[2] == 0xff && code[3] == 0x25) ||
	    (code[2] == 0xf2 && code[3] == 0xff && code[4] == 0x25))
		return 0;
	if (code[1] == 0x55 && code[2] == 0x48 &&
	    ((code[3] == 0x89 && code[4] == 0xe5) || (code[3] == 0x8b && code[4] == 0xec)))
		return 8;
	return -1;
}

#elif defined(__TARGET_ARCH_arm64)

/* BL imm26 (100101...) or BLR and its authenticating forms (1101011x 0011111x...): Arm ARM C6. */
static inline __attribute__((always_inline)) int call_site_ends(const __u8 code[8])
{
	return (code[7] & 0xfc) == 0x94 || ((code[7] & 0xfe) == 0xd6 && (code[6] & 0xe0) == 0x20);
}

static inline __attribute__((always_inline)) int call_site_is_thread_start(const __u8 code[8])
{
	return code[7] == 0xd5 && code[6] == 0x03 && code[5] == 0x20 && code[4] == 0x1f; /* NOP */
}

static inline __attribute__((always_inline)) int call_site_is_context_start(const __u8 code[8])
{
	(void)code;
	return 0;
}

/* There are no rules on this machine: call_site_is_trampoline() is for walk_record.h. */
static inline __attribute__((always_inline)) int call_site_is_signal_return(const __u8 code[8])
{
	(void)code;
	return 0;
}

/**
 * call_site_is_trampoline - do the 8 bytes @code at an address begin what a handler returns to?
 *
 * mov x8, #139 (rt_sigreturn); svc #0: of the vDSO, of musl, of Go.
 */
static inline __attribute__((always_inline)) int call_site_is_trampoline(const __u8 code[8])
{
	return ((code[0] ^ 0x68) | (code[1] ^ 0x11) | (code[2] ^ 0x80) | (code[3] ^ 0xd2) |
		(code[4] ^ 0x01) | code[5] | code[6] | (code[7] ^ 0xd4)) == 0;
}

static inline __attribute__((always_inline)) int call_site_is_syscall(const __u8 code[8])
{
	return code[0] == 0x00 && code[1] == 0xd4; /* upper half of SVC #0 */
}

/* link_register.h finds it. */
static inline __attribute__((always_inline)) int call_site_leaf_offset(const __u8 code[8],
								       int in_syscall)
{
	(void)code;
	(void)in_syscall;
	return -1;
}

#else
#error "bpf/call_site.h has no branch for this architecture"
#endif

#endif
