/* SPDX-License-Identifier: BSD-2-Clause */
/* `ebpfprof doctor`: what this host supports, what is missing, and how to get it. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/options.h"
#include "profiler/base/strbuf.h"
#include "profiler/cmd/command.h"
#include "profiler/cmd/doctor_process.h"
#include "profiler/cmd/host_check.h"
#include "profiler/collect/host.h"

enum verdict { OK, WARN, FAIL };

struct doctor {
	unsigned int failures, warnings;
};

struct doctor_opts {
	unsigned int pid;
};

static const struct opt doctor_opts[] = {
	{ OPT_COUNT, 'p', "pid", "PID",
	  "sample this process for three seconds and say\nhow well its code is named",
	  offsetof(struct doctor_opts, pid), 1, 1u << 22 },
	{ OPT_END },
};
static const struct opt *const tables[] = { doctor_opts, NULL };

static void doctor_help(FILE *out)
{
	fputs("Usage: ebpfprof doctor [-p PID]\n"
	      "What this host supports, what is missing and how to get it. Exit status 1 when\n"
	      "profiling is not possible.\n\n",
	      out);
	options_print(out, tables);
}

static void say(struct doctor *doctor, enum verdict verdict, const char *what, const char *found,
		const char *advice)
{
	static const char *const marks[] = { "ok  ", "warn", "FAIL" };

	printf("%s  %-13s %s\n", marks[verdict], what, found);
	if (verdict != OK && advice)
		printf("      %-13s -> %s\n", "", advice);
	doctor->failures += verdict == FAIL;
	doctor->warnings += verdict == WARN;
}

static void check_kernel(struct doctor *doctor)
{
	struct kernel_version version = {};
	char text[200];
	struct utsname name;

	uname(&name);
	if (!kernel_version_read(&version)) {
		say(doctor, WARN, "kernel", name.release,
		    "version not understood; 5.10 or newer is needed, and 5.19, 6.0, 6.1 < 6.1.36, "
		    "6.2, 6.3 < 6.3.10 can freeze");
		return;
	}
	snprintf(text, sizeof(text), "%s (Linux %u.%u.%u%s)", name.release, version.major,
		 version.minor, version.patch, version.exact ? "" : ", patch level not known");
	if (version.major < 5 || (version.major == 5 && version.minor < 10))
		say(doctor, FAIL, "kernel", text, "5.10 or newer is needed");
	else if (kernel_safety(&version) == KERNEL_FREEZES)
		say(doctor, FAIL, "kernel", text,
		    "reading user memory from an interrupt can freeze this machine: update it "
		    "(fixed in 6.1.36, 6.3.10, 6.4); --force takes the risk");
	else if (kernel_safety(&version) == KERNEL_UNKNOWN)
		say(doctor, WARN, "kernel", text,
		    "this series can freeze while profiled before its fix (6.1.36, 6.3.10); make "
		    "sure that it is newer");
	else
		say(doctor, OK, "kernel", text, NULL);
}

static void check_capabilities(struct doctor *doctor)
{
	struct host_capabilities has;
	char text[200];

	if (host_capabilities_read(&has) != 0) {
		say(doctor, WARN, "capabilities", "unreadable", NULL);
		return;
	}
	if (!host_can_profile(&has)) {
		snprintf(text, sizeof(text), "missing:%s%s", has.bpf ? "" : " CAP_BPF",
			 has.perfmon ? "" : " CAP_PERFMON");
		say(doctor, FAIL, "capabilities", text, "run with sudo, or once: " SETCAP_LINE);
		return;
	}
	if (has.sys_ptrace && has.syslog && (has.checkpoint_restore || has.sys_admin)) {
		say(doctor, OK, "capabilities", "all that profiling and naming need", NULL);
		return;
	}
	snprintf(text, sizeof(text), "enough to sample; missing:%s%s%s",
		 has.sys_ptrace ? "" : " CAP_SYS_PTRACE (mappings of other users' processes)",
		 has.syslog ? "" : " CAP_SYSLOG (kernel names)",
		 has.checkpoint_restore || has.sys_admin ? "" :
							   " CAP_CHECKPOINT_RESTORE (deleted files)");
	say(doctor, WARN, "capabilities", text, "run with sudo, or once: " SETCAP_LINE);
}

static void check_events(struct doctor *doctor)
{
	struct strbuf paranoid = STRBUF_INIT;
	char text[200];
	int err = host_try_event(false);

	if (err) {
		read_path("/proc/sys/kernel/perf_event_paranoid", 64, &paranoid);
		snprintf(text, sizeof(text), "cpu-clock: %s (perf_event_paranoid is %d)",
			 strerror(-err), paranoid.text ? atoi(paranoid.text) : -99);
		strbuf_free(&paranoid);
		say(doctor, FAIL, "perf events", text,
		    err == -ENOENT ? "a kernel with CONFIG_PERF_EVENTS" :
				     "run with sudo, or once: " SETCAP_LINE);
		return;
	}
	say(doctor, OK, "perf events", "cpu-clock (-e cpu)", NULL);
	err = host_try_event(true);
	if (err)
		printf("      %-13s no hardware counters here, as in many virtual machines: -e cycles "
		       "is not possible\n", "");
	else
		printf("      %-13s cycles (-e cycles)\n", "");
}

static void check_bpf(struct doctor *doctor)
{
	struct strbuf value = STRBUF_INIT;
	uint64_t memlock = host_memlock();
	char text[100];
	int err;

	if (host_has_btf())
		say(doctor, OK, "BTF", "/sys/kernel/btf/vmlinux", NULL);
	else
		say(doctor, FAIL, "BTF", "/sys/kernel/btf/vmlinux is missing",
		    "a kernel built with CONFIG_DEBUG_INFO_BTF: Debian 11, Ubuntu 20.10 and later");
	err = host_try_bpf();
	if (err)
		say(doctor, FAIL, "BPF", strerror(-err),
		    err == -EPERM ? "run with sudo, or once: " SETCAP_LINE :
				    "a kernel with CONFIG_BPF_SYSCALL, 5.10 or newer");
	else
		say(doctor, OK, "BPF", "ring buffer map", NULL);
	if (memlock == UINT64_MAX)
		snprintf(text, sizeof(text), "unlimited");
	else
		snprintf(text, sizeof(text), "%" PRIu64 " KiB", memlock >> 10);
	say(doctor, OK, "memlock", text, NULL);
	printf("      %-13s (counts for BPF maps before Linux 5.11 only)\n", "");
	if (read_path("/proc/sys/kernel/kptr_restrict", 64, &value) == 0 && value.text[0] == '2')
		say(doctor, WARN, "kptr_restrict", "2: kernel functions have no names, even for root",
		    "sysctl kernel.kptr_restrict=1");
	strbuf_free(&value);
}

static int doctor_run(int argc, char **argv)
{
	struct doctor doctor = {};
	struct opt_rest rest;
	struct doctor_opts opts = {};
	struct errmsg err = {};

	if (options_parse(argc, argv, tables, &opts, NULL, &rest, &err))
		return usage_error("doctor", &err);
	if (rest.cnt) {
		err_say(&err, -EINVAL, "'%s': takes no arguments", rest.words[0]);
		return usage_error("doctor", &err);
	}
	if (opts.pid)
		return doctor_process((pid_t)opts.pid);
	check_kernel(&doctor);
	check_capabilities(&doctor);
	check_bpf(&doctor);
	check_events(&doctor);
	if (doctor.failures)
		printf("\nThis host cannot be profiled yet: %u thing%s to do.\n", doctor.failures,
		       doctor.failures == 1 ? "" : "s");
	else
		printf("\nReady: sudo ebpfprof record -d 10\n");
	return doctor.failures ? EXIT_FAILED : EXIT_DONE;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.summary = "what this host supports, what is missing and how to get it",
	.run = doctor_run,
	.help = doctor_help,
};
