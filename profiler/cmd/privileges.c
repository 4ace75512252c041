/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A list of five for life, and what single options need on top.
 *
 * CAP_BPF: unwind tables are maps that are made as programs appear; draining needs it before 5.19.
 * CAP_PERFMON: events of CPUs that come online.  CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and
 * CAP_CHECKPOINT_RESTORE: /proc/PID/{maps,root,map_files} and the files of others.  CAP_SYSLOG is
 * not among them: /proc/kallsyms asks for it when it is opened, which has been done.
 *
 * Root's way around file permissions, CAP_DAC_OVERRIDE, is the hard one: a profile in the folder of
 * the user who called sudo needs it, one in root's own does not.  Modes, ACLs and file systems have
 * too many rules to be computed here, so the kernel is asked: is the file created while the
 * capability is not in effect?  A descriptor of the folder, opened before, would not help: who may
 * make files in it is decided at each of them.
 */
#include "profiler/cmd/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exporters/file.h"
#include "profiler/base/capabilities.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/sandbox.h"
#include "profiler/base/strbuf.h"
#include "profiler/collect/calls.h"
#include "profiler/collect/perf_event.h"
#include "profiler/pipeline/command.h"
#include "symbolizer/symbolizer_sandbox.h"

/* What is kept, what stands in for it where it is not held, and what is poorer without either. */
static const struct {
	cap_value_t value, stand_in;
	const char *without; /* NULL: said elsewhere, or nothing works */
} for_life[] = {
	{ CAP_BPF, CAP_SYS_ADMIN, NULL },
	{ CAP_PERFMON, CAP_SYS_ADMIN, NULL },
	/* Rings beyond kernel.perf_event_mlock_kb, which all of a user's programs share. */
	{ CAP_IPC_LOCK, -1, NULL },
	{ CAP_SYS_PTRACE, -1,
	  "no CAP_SYS_PTRACE: programs of other users have neither names nor unwind tables" },
	{ CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE,
	  "no CAP_DAC_READ_SEARCH: programs that not everybody may read have no names" },
	{ CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN,
	  "no CAP_CHECKPOINT_RESTORE: deleted and replaced programs have no names" },
};

/* Of another's JVM: a trigger file in its /tmp, given to it and removed; its socket; SIGQUIT. */
#define FOR_JVMS                                                                                   \
	(CAPABILITY(CAP_DAC_OVERRIDE) | CAPABILITY(CAP_CHOWN) | CAPABILITY(CAP_FOWNER) |           \
	 CAPABILITY(CAP_KILL))

static bool is_file(const char *output)
{
	return output && strcmp(output, "-") != 0;
}

/* Can a file be made in @folder, or the folder itself, with what is in effect? */
static bool may_write_below(const char *folder)
{
	struct strbuf path = STRBUF_INIT;
	bool may = false;
	char *slash;

	strbuf_add_str(&path, folder);
	while (!path.failed && path.len) {
		/* Not glibc's faccessat(), which before 2.33 thought that root may do anything. */
		may = syscall(SYS_faccessat2, AT_FDCWD, path.text, W_OK | X_OK, AT_EACCESS) == 0;
		if (may || errno != ENOENT)
			break;
		slash = strrchr(path.text, '/');
		path.len = slash ? (size_t)(slash - path.text) : 0;
		path.text[path.len] = '\0';
		if (slash && !path.len)
			strbuf_add_char(&path, '/');
	}
	strbuf_free(&path);
	return may;
}

static bool may_fetch(void)
{
	struct strbuf folder = STRBUF_INIT;
	bool may = debuginfod_cache_folder(&folder) < 0 || may_write_below(folder.text);

	strbuf_free(&folder);
	return may;
}

/* Whether what is written needs more than @without: tried with that alone. */
static bool needs_override(const struct privileges *privileges, uint64_t held, uint64_t without)
{
	bool needs = false;

	if (capabilities_set_effective(without) < 0)
		return true;
	if (is_file(privileges->output))
		needs = file_output_check(privileges->output, NULL) != 0;
	if (privileges->debuginfod && debuginfod_is_wanted())
		needs |= !may_fetch();
	capabilities_set_effective(held);
	return needs;
}

/* Debian's 5.10 asks for CAP_SYS_ADMIN where perf_event_paranoid is 3, its default. */
static bool needs_admin(uint64_t held, uint64_t without)
{
	int narrow;

	if (capabilities_set_effective(without) < 0)
		return true;
	narrow = perf_event_try_clock();
	capabilities_set_effective(held);
	return narrow < 0 && perf_event_try_clock() == 0;
}

uint64_t privileges_needed(const struct privileges *privileges, uint64_t held)
{
	const uint64_t override = CAPABILITY(CAP_DAC_OVERRIDE), admin = CAPABILITY(CAP_SYS_ADMIN);
	uint64_t needed = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(for_life); i++) {
		if (held & CAPABILITY(for_life[i].value))
			needed |= CAPABILITY(for_life[i].value);
		else if (for_life[i].stand_in >= 0)
			needed |= CAPABILITY(for_life[i].stand_in);
	}
	if (privileges->with_command)
		needed |= CAPABILITY(CAP_KILL);
	if (privileges->jvm_perfmap)
		needed |= FOR_JVMS;
	if (is_file(privileges->output))
		needed |= file_output_needs(privileges->output);
	needed &= held;
	if (held & admin && !(needed & admin) && needs_admin(held, needed))
		needed |= admin;
	if (held & override && !(needed & override) && needs_override(privileges, held, needed))
		needed |= override;
	return needed;
}

static void warn(const struct errmsg *err)
{
	fprintf(stderr, "ebpfprof: warning: %s; going on without that part of the sandbox\n",
		err->text);
}

static void drop_capabilities(const struct privileges *privileges)
{
	struct errmsg err = {};
	uint64_t held;
	int r = capabilities_effective(&held);

	if (r < 0)
		err_set(&err, r, "cannot read the capabilities");
	else
		r = capabilities_keep(privileges_needed(privileges, held), &err);
	if (r < 0)
		warn(&err);
}

void privileges_drop(const struct privileges *privileges)
{
	const struct sandbox_call *tables[8] = { collect_calls };
	struct errmsg err = {};
	size_t cnt = 1;

	if (privileges->with_command)
		tables[cnt++] = command_calls;
	if (privileges->jvm_perfmap)
		tables[cnt++] = jvm_calls;
	if (privileges->debuginfod && debuginfod_is_wanted())
		tables[cnt++] = debuginfod_calls;
	drop_capabilities(privileges);
	if (sandbox_no_new_privs(&err) < 0)
		warn(&err);
	if (sandbox_enter(tables, &err) < 0)
		warn(&err);
}

void privileges_notes(FILE *out, uint64_t held)
{
	size_t i;

	/* Without BPF one's own processes are seen and no others, which is said elsewhere. */
	if (!(held & (CAPABILITY(CAP_BPF) | CAPABILITY(CAP_SYS_ADMIN))))
		return;
	for (i = 0; i < ARRAY_SIZE(for_life); i++) {
		if (!for_life[i].without || held & CAPABILITY(for_life[i].value))
			continue;
		if (for_life[i].stand_in < 0 || !(held & CAPABILITY(for_life[i].stand_in)))
			fprintf(out, "  NOTE       %s\n", for_life[i].without);
	}
}
