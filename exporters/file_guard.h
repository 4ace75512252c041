/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A signal that ends us while a file is written takes the temporary file along, and a file larger than
 * `ulimit -f` is an error of write(2), which can be told, instead of the end.
 *
 * State of the process, because a signal handler can have no other; the file of one output at a time
 * is kept.  Signals that are not at their default action are left alone.
 */
#ifndef EBPFPROF_EXPORTERS_FILE_GUARD_H
#define EBPFPROF_EXPORTERS_FILE_GUARD_H

/** file_guard - @path goes with us; "" = the temporary file has no name: the limit alone is seen to */
void file_guard(const char *path);

/** file_unguard - the actions of before, if it is @path that is guarded */
void file_unguard(const char *path);

#endif
