/* SPDX-License-Identifier: BSD-2-Clause */
#include "exporters/file_owner.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profiler/base/capabilities.h"

/* A decimal id without sign or blanks; -1 as an id means "leave as it is", so it is none. */
static bool parse_id(const char *text, uint32_t *ret)
{
	uint64_t value = 0;

	if (!text || !*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value >= UINT32_MAX)
			return false;
	}
	*ret = (uint32_t)value;
	return true;
}

bool file_owner_wanted(uid_t *ret_uid, gid_t *ret_gid)
{
	uint32_t uid, gid;

	if (geteuid() != 0 || !parse_id(getenv("SUDO_UID"), &uid) ||
	    !parse_id(getenv("SUDO_GID"), &gid))
		return false;
	*ret_uid = uid;
	*ret_gid = gid;
	return true;
}

uint64_t file_owner_needs(const char *target, const char *folder)
{
	bool given_away = false, replaces_others;
	struct stat in, there;
	uint64_t needs = 0;
	uid_t uid;
	gid_t gid;

	if (file_owner_wanted(&uid, &gid))
		given_away = uid != geteuid() || gid != getegid();
	if (given_away)
		needs |= CAPABILITY(CAP_CHOWN);
	/* In a sticky folder its owner renames, and the file's; source: __check_sticky(), fs/namei.c */
	replaces_others = lstat(target, &there) == 0 && there.st_uid != geteuid();
	if ((given_away || replaces_others) && stat(folder, &in) == 0 && in.st_mode & S_ISVTX &&
	    in.st_uid != geteuid())
		needs |= CAPABILITY(CAP_FOWNER);
	return needs;
}
