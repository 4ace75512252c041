/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/stepper.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"

#define CODE_BYTES 15 /* the longest instruction */

static bool peek(const struct stepper *stepper, uint64_t address, void *bytes, size_t size)
{
	struct iovec to = { bytes, size }, from = { (void *)(uintptr_t)address, size };

	return process_vm_readv(stepper->pid, &to, 1, &from, 1, 0) == (ssize_t)size;
}

static int get_registers(struct stepper *stepper)
{
	uint64_t *regs = stepper->now.regs;
	struct user_regs_struct user;

	if (ptrace(PTRACE_GETREGS, stepper->pid, NULL, &user) < 0)
		return -errno;
	regs[0] = user.rax;
	regs[1] = user.rdx;
	regs[2] = user.rcx;
	regs[3] = user.rbx;
	regs[4] = user.rsi;
	regs[5] = user.rdi;
	regs[6] = user.rbp;
	regs[7] = user.rsp;
	regs[8] = user.r8;
	regs[9] = user.r9;
	regs[10] = user.r10;
	regs[11] = user.r11;
	regs[12] = user.r12;
	regs[13] = user.r13;
	regs[14] = user.r14;
	regs[15] = user.r15;
	regs[UNWIND_REG_IP] = user.rip;
	stepper->now.tls_base = user.fs_base;
	return 0;
}

/* Field 28 of /proc/PID/stat, startstack. */
static int get_start_stack(struct stepper *stepper)
{
	_cleanup_(file_closep) FILE *file = NULL;
	char path[64], text[1024], *at;
	int field;

	snprintf(path, sizeof(path), "/proc/%d/stat", stepper->pid);
	file = fopen(path, "re");
	if (!file || !fgets(text, sizeof(text), file))
		return -EIO;
	at = strrchr(text, ')');
	for (field = 2; at && field < 28; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return -EIO;
	stepper->now.start_stack = strtoull(at, NULL, 10);
	return 0;
}

static void become(const char *const *argv)
{
	static char *const no_environment[] = { NULL };
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    personality(ADDR_NO_RANDOMIZE) < 0 || ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(126);
	execve(argv[0], (char *const *)argv, no_environment);
	_exit(127);
}

int stepper_start(struct stepper *stepper, const char *const *argv)
{
	int r;

	memset(stepper, 0, sizeof(*stepper));
	stepper->pid = fork();
	if (stepper->pid < 0)
		return -errno;
	if (stepper->pid == 0)
		become(argv);
	if (waitpid(stepper->pid, &stepper->status, 0) < 0)
		return -errno;
	if (!WIFSTOPPED(stepper->status)) {
		stepper->pid = 0;
		return WEXITSTATUS(stepper->status) == 127 ? -ENOENT : -EPERM;
	}
	ptrace(PTRACE_SETOPTIONS, stepper->pid, NULL, PTRACE_O_EXITKILL);
	stepper->maps_changed = true;
	r = get_registers(stepper);
	return r ? r : get_start_stack(stepper);
}

/* AT_ENTRY of /proc/PID/auxv */
static int get_entry(const struct stepper *stepper, uint64_t *ret)
{
	_cleanup_(file_closep) FILE *file = NULL;
	uint64_t entry[2]; /* type, value */
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/auxv", stepper->pid);
	file = fopen(path, "re");
	while (file && fread(entry, sizeof(entry), 1, file) == 1 && entry[0]) {
		if (entry[0] == AT_ENTRY) {
			*ret = entry[1];
			return 0;
		}
	}
	return -EIO;
}

int stepper_run_to_entry(struct stepper *stepper)
{
	struct user_regs_struct user;
	uint64_t entry;
	long code;
	int r = get_entry(stepper, &entry);

	if (r < 0)
		return r;
	errno = 0;
	code = ptrace(PTRACE_PEEKTEXT, stepper->pid, (void *)(uintptr_t)entry, NULL);
	if (errno ||
	    ptrace(PTRACE_POKETEXT, stepper->pid, (void *)(uintptr_t)entry,
		   (void *)((code & ~0xffl) | 0xcc)) < 0 ||
	    ptrace(PTRACE_CONT, stepper->pid, NULL, NULL) < 0 ||
	    waitpid(stepper->pid, &stepper->status, 0) < 0)
		return -errno;
	if (!WIFSTOPPED(stepper->status) || WSTOPSIG(stepper->status) != SIGTRAP ||
	    ptrace(PTRACE_POKETEXT, stepper->pid, (void *)(uintptr_t)entry, (void *)code) < 0 ||
	    ptrace(PTRACE_GETREGS, stepper->pid, NULL, &user) < 0 || user.rip != entry + 1)
		return -EPROTO;
	user.rip = entry;
	if (ptrace(PTRACE_SETREGS, stepper->pid, NULL, &user) < 0)
		return -errno;
	stepper->maps_changed = true;
	return get_registers(stepper);
}

void stepper_stop(struct stepper *stepper)
{
	if (stepper->pid <= 0)
		return;
	kill(stepper->pid, SIGKILL);
	waitpid(stepper->pid, &stepper->status, 0);
	stepper->pid = 0;
}

bool stepper_handles(const struct stepper *stepper, int signal)
{
	_cleanup_(file_closep) FILE *file = NULL;
	unsigned long long caught = 0;
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/%d/status", stepper->pid);
	file = fopen(path, "re");
	while (file && fgets(text, sizeof(text), file)) {
		if (sscanf(text, "SigCgt: %llx", &caught) == 1)
			return caught >> (signal - 1) & 1;
	}
	return false;
}

/* ---- the shadow stack ---- */

/* call rel32; call r/m64, with any prefixes */
static bool is_call(const uint8_t *code)
{
	int i = 0;

	while (i < 4 && (code[i] == 0x66 || code[i] == 0x67 || code[i] == 0x2e || code[i] == 0x3e ||
			 code[i] == 0xf2 || code[i] == 0xf3 || (code[i] & 0xf0) == 0x40))
		i++;
	return code[i] == 0xe8 || (code[i] == 0xff && (code[i + 1] >> 3 & 7) == 2);
}

static bool is_syscall(const uint8_t *code)
{
	return code[0] == 0x0f && code[1] == 0x05;
}

static int push(struct stepper *stepper, uint64_t slot, uint64_t address, bool is_exact)
{
	if (stepper->shadow_cnt == SHADOW_MAX)
		return -E2BIG;
	stepper->shadow[stepper->shadow_cnt++] = (struct shadow_entry){ slot, address, is_exact };
	return 0;
}

static void leave(struct stepper *stepper)
{
	uint64_t sp = stepper->now.regs[UNWIND_REG_SP];

	while (stepper->shadow_cnt && stepper->shadow[stepper->shadow_cnt - 1].slot < sp)
		stepper->shadow_cnt--;
}

/* What the instruction @code at @ip did, which ran with the stack pointer at @sp. */
static int follow(struct stepper *stepper, const uint8_t *code, uint64_t ip, uint64_t sp,
		  uint64_t rax)
{
	const uint64_t *regs = stepper->now.regs;
	uint64_t address;

	leave(stepper);
	stepper->called = false;
	if (is_call(code) && regs[UNWIND_REG_SP] == sp - 8 && regs[UNWIND_REG_IP] != ip) {
		if (!peek(stepper, sp - 8, &address, sizeof(address)))
			return -EIO;
		stepper->called = true;
		return push(stepper, sp - 8, address, false);
	}
	if (is_syscall(code) && regs[UNWIND_REG_IP] != ip) {
		stepper->syscalls++;
		if (rax == SYS_mmap || rax == SYS_munmap || rax == SYS_mprotect ||
		    rax == SYS_mremap)
			stepper->maps_changed = true;
	}
	return 0;
}

/*
 * A handler was entered, from @ip with the stack pointer at @sp.  Its caller is the trampoline
 * that the kernel made it return to, at its very first byte, and that one's what was interrupted.
 */
static int enter_handler(struct stepper *stepper, uint64_t ip, uint64_t sp)
{
	uint64_t handler_sp = stepper->now.regs[UNWIND_REG_SP], address;
	int r;

	if (handler_sp >= sp || !peek(stepper, handler_sp, &address, sizeof(address)))
		return -EPROTO;
	stepper->signals++;
	r = push(stepper, sp - 1, ip, true);
	return r ? r : push(stepper, handler_sp, address, true);
}

/* ---- steps ---- */

/* One step; 1 stopped again, 0 ended. @ret_signal: the stop is before this signal is delivered. */
static int run_once(struct stepper *stepper, int send, int *ret_signal)
{
	int r;

	if (ptrace(PTRACE_SINGLESTEP, stepper->pid, NULL, (void *)(intptr_t)send) < 0 ||
	    waitpid(stepper->pid, &stepper->status, 0) < 0)
		return -errno;
	if (!WIFSTOPPED(stepper->status)) {
		stepper->pid = 0;
		return 0;
	}
	*ret_signal = WSTOPSIG(stepper->status) == SIGTRAP ? 0 : WSTOPSIG(stepper->status);
	r = get_registers(stepper);
	return r ? r : 1;
}

/* The kernel hands a handler its number, and the context that it put above the return address. */
static bool is_at_handler(const struct stepper *stepper, int number)
{
	const uint64_t *regs = stepper->now.regs;

	return regs[5] == (uint64_t)number && regs[1] == regs[UNWIND_REG_SP] + 8;
}

/* One step, with the signal @send if it is not blocked; as run_once(). */
static int step_with(struct stepper *stepper, int send, int *ret_signal)
{
	uint64_t ip = stepper->now.regs[UNWIND_REG_IP], sp = stepper->now.regs[UNWIND_REG_SP];
	uint64_t rax = stepper->now.regs[0];
	uint8_t code[CODE_BYTES] = {};
	int r;

	/* Short where the mapping ends behind it. */
	if (!peek(stepper, ip, code, sizeof(code)) && !peek(stepper, ip, code, 1))
		return -EIO;
	r = run_once(stepper, send, ret_signal);
	if (r <= 0)
		return r;
	r = send && is_at_handler(stepper, send) ? enter_handler(stepper, ip, sp) :
						   follow(stepper, code, ip, sp, rax);
	return r ? r : 1;
}

int stepper_step(struct stepper *stepper)
{
	int send = stepper->send, next, r;

	stepper->steps++;
	stepper->instruction = stepper->now.regs[UNWIND_REG_IP];
	stepper->send = 0;
	do {
		next = 0;
		r = step_with(stepper, send, &next);
		send = next;
	} while (r > 0 && next);
	return r;
}

bool stepper_is_in_handler(const struct stepper *stepper)
{
	size_t i;

	for (i = 0; i < stepper->shadow_cnt; i++) {
		if (stepper->shadow[i].is_exact)
			return true;
	}
	return false;
}

size_t stepper_expected(const struct stepper *stepper, uint64_t *ret, size_t max)
{
	size_t cnt = 0, i;

	if (max)
		ret[cnt++] = stepper->now.regs[UNWIND_REG_IP];
	for (i = stepper->shadow_cnt; i-- > 0 && cnt < max;)
		ret[cnt++] = stepper->shadow[i].address |
			     (stepper->shadow[i].is_exact ? STACK_FRAME_IS_EXACT : 0);
	return cnt;
}
