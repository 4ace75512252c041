/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * noseccomp PROGRAM ARGS: run it where seccomp(2) and prctl() for seccomp and no_new_privs are
 * refused, as on a kernel without them.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, cnt) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (cnt))
#define ANSWER(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

int main(int argc, char **argv)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		SKIP_UNLESS(SYS_seccomp, 1),
		ANSWER(ENOSYS),
		SKIP_UNLESS(SYS_prctl, 5),
		LOAD(args[0]), /* its lower half, on little-endian machines */
		SKIP_UNLESS(PR_SET_SECCOMP, 1),
		ANSWER(EINVAL),
		SKIP_UNLESS(PR_SET_NO_NEW_PRIVS, 1),
		ANSWER(EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };

	if (argc < 2)
		return 2;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) {
		perror("noseccomp");
		return 77;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
