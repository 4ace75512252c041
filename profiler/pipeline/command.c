/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"

const struct sandbox_call command_calls[] = {
	SANDBOX_INT("kill", 1, SIGTERM),
	{},
};

struct child {
	char **argv;
	const sigset_t *signals;
	struct sigaction on_child; /* SIGCHLD's action, as we were started with */
	bool stdout_to_stderr;
	int go_fd, answer_fd;
};

/* In the child: wait for the word, then become the command. */
static _Noreturn void child_run(const struct child *child)
{
	char go;
	int code;

	if (read(child->go_fd, &go, 1) != 1)
		_exit(125); /* the profiler gave up */
	if (child->stdout_to_stderr)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	sigaction(SIGCHLD, &child->on_child, NULL);
	sigprocmask(SIG_SETMASK, child->signals, NULL);
	execvp(child->argv[0], child->argv);
	code = errno;
	if (write(child->answer_fd, &code, sizeof(code)) != sizeof(code))
		_exit(125);
	_exit(code == ENOENT ? 127 : 126);
}

int command_start(char **argv, const sigset_t *signals, bool stdout_to_stderr,
		  struct command_process *ret, struct errmsg *err)
{
	struct child child = { .argv = argv,
			       .signals = signals,
			       .stdout_to_stderr = stdout_to_stderr };
	struct sigaction by_default = { .sa_handler = SIG_DFL };
	int go[2], answer[2];
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) != 0)
		return err_set(err, -errno, "cannot start '%s'", argv[0]);
	if (pipe2(answer, O_CLOEXEC) != 0) {
		int code = -errno;

		close(go[0]);
		close(go[1]);
		return err_set(err, code, "cannot start '%s'", argv[0]);
	}
	/* Where SIGCHLD is ignored the kernel reaps children, and their status is lost. */
	sigaction(SIGCHLD, &by_default, &child.on_child);
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		close(answer[0]);
		child.go_fd = go[0];
		child.answer_fd = answer[1];
		child_run(&child);
	}
	close(answer[1]);
	if (pid < 0) {
		int code = -errno;

		close(go[0]);
		close(go[1]);
		close(answer[0]);
		return err_set(err, code, "cannot start '%s'", argv[0]);
	}
	*ret = (struct command_process){ .pid = pid,
					 .go_fd = go[1],
					 .go_read_fd = go[0],
					 .answer_fd = answer[0],
					 .status = -1 };
	return 0;
}

int command_exec(struct command_process *command, const char *name, struct errmsg *err)
{
	int code = 0;
	ssize_t n;

	if (write(command->go_fd, "g", 1) != 1)
		return err_set(err, -errno, "cannot start '%s'", name);
	close(fd_take(&command->go_fd));
	close(fd_take(&command->go_read_fd));
	do {
		n = read(command->answer_fd, &code, sizeof(code));
	} while (n < 0 && errno == EINTR);
	close(fd_take(&command->answer_fd));
	if (n == 0)
		return 0;
	waitpid(command->pid, NULL, 0);
	command->pid = -1;
	code = n == sizeof(code) && code > 0 ? -code : -EIO;
	command->status = code == -ENOENT ? 127 : 126;
	err_set(err, code, "cannot run '%s'", name);
	if (code == -ENOENT)
		err_hint(err, "is it spelt right and in PATH?");
	return code;
}

bool command_reap(struct command_process *command)
{
	int status;

	if (command->pid < 0)
		return true;
	if (waitpid(command->pid, &status, WNOHANG) != command->pid)
		return false;
	command->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	command->pid = -1;
	return true;
}

void command_discard(struct command_process *command)
{
	bool waits = command->go_fd >= 0;

	/* A child that still waits reads the end of its pipe and goes. */
	fd_closep(&command->go_fd);
	fd_closep(&command->go_read_fd);
	fd_closep(&command->answer_fd);
	if (waits && command->pid > 0)
		waitpid(command->pid, NULL, 0);
	command->go_fd = command->go_read_fd = command->answer_fd = -1;
}
