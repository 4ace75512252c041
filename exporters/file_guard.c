/* SPDX-License-Identifier: BSD-2-Clause */
#include "exporters/file_guard.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"

static char guarded[PATH_MAX]; /* "" = no name, or nothing */
static bool has_limit, has_path; /* what is in effect */
static struct sigaction limit_before;
static const int ending_signals[] = { SIGINT, SIGTERM, SIGHUP };
static struct sigaction actions_before[ARRAY_SIZE(ending_signals)];

static void unlink_and_end(int signal)
{
	unlink(guarded);
	/* SA_RESETHAND: now it has its default action, and is delivered when we return. */
	raise(signal);
}

static void set_unless_changed(int signal, const struct sigaction *action, struct sigaction *before)
{
	sigaction(signal, NULL, before);
	if (before->sa_handler == SIG_DFL)
		sigaction(signal, action, NULL);
}

void file_guard(const char *path)
{
	struct sigaction end = { .sa_handler = unlink_and_end, .sa_flags = (int)SA_RESETHAND };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	size_t len = strlen(path), i;

	if (!has_limit)
		set_unless_changed(SIGXFSZ, &ignore, &limit_before);
	has_limit = true;
	if (!len || has_path || len >= sizeof(guarded))
		return;
	memcpy(guarded, path, len + 1);
	has_path = true;
	for (i = 0; i < ARRAY_SIZE(ending_signals); i++)
		set_unless_changed(ending_signals[i], &end, &actions_before[i]);
}

void file_unguard(const char *path)
{
	size_t i;

	if (has_path && strcmp(path, guarded) == 0) {
		for (i = 0; i < ARRAY_SIZE(ending_signals); i++)
			sigaction(ending_signals[i], &actions_before[i], NULL);
		guarded[0] = '\0';
		has_path = false;
	}
	if (has_limit && !has_path)
		sigaction(SIGXFSZ, &limit_before, NULL);
	has_limit = has_limit && has_path;
}
