/* SPDX-License-Identifier: BSD-2-Clause */
/* `ebpfprof doctor -p PID`: how well the code of one process is named. */
#ifndef EBPFPROF_CMD_DOCTOR_PROCESS_H
#define EBPFPROF_CMD_DOCTOR_PROCESS_H

#include <sys/types.h>

/** doctor_process - sample it for some seconds, print what was seen; an exit status */
int doctor_process(pid_t tgid);

#endif
