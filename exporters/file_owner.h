/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose the files that we write are to be, and what that takes.  Part of file.c. */
#ifndef EBPFPROF_EXPORTERS_FILE_OWNER_H
#define EBPFPROF_EXPORTERS_FILE_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** file_owner_wanted - the user behind sudo (SUDO_UID, SUDO_GID), if we are root; false: ours */
bool file_owner_wanted(uid_t *ret_uid, gid_t *ret_gid);

/**
 * file_owner_needs - of CAP_CHOWN and CAP_FOWNER what it takes to make a file in @folder, give it
 * away and rename it to @target, which need not exist
 */
uint64_t file_owner_needs(const char *target, const char *folder);

#endif
