/* SPDX-License-Identifier: BSD-2-Clause */
/* What `ebpfprof doctor` has found: rows of one table, printed as text or as JSON. */
#ifndef EBPFPROF_CMD_DOCTOR_ROWS_H
#define EBPFPROF_CMD_DOCTOR_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_INFO, /* neither good nor bad */
	DOCTOR_WARN, /* something is poorer than it could be */
	DOCTOR_FAIL, /* profiling is not possible */
};

enum doctor_section { DOCTOR_HOST, DOCTOR_FEATURES, DOCTOR_OBJECTS, DOCTOR_SECTIONS };

struct doctor_row {
	enum doctor_section section;
	enum doctor_verdict verdict;
	const char *name; /* static */
	char tier[32];	  /* of features and objects: "" = none */
	char found[480];  /* what is there, what it cannot see, or why there is none */
	char advice[240]; /* the one command that mends it, or "" */
};

#define DOCTOR_ROWS_MAX 64

struct doctor {
	struct doctor_row rows[DOCTOR_ROWS_MAX];
	size_t cnt;
};

/**
 * doctor_add - a row of section @section
 * @tier, @advice: NULL = none; @fmt: what was found
 */
void doctor_add(struct doctor *doctor, enum doctor_section section, enum doctor_verdict verdict,
		const char *name, const char *tier, const char *advice, const char *fmt, ...)
	__attribute__((format(printf, 7, 8)));

/** doctor_cnt - rows of @verdict */
size_t doctor_cnt(const struct doctor *doctor, enum doctor_verdict verdict);

void doctor_print(const struct doctor *doctor, FILE *out);
int doctor_print_json(const struct doctor *doctor, FILE *out);

/** doctor_without_bpf - the verdict on what only BPF lacks: a warning where we can do without it */
enum doctor_verdict doctor_without_bpf(void);

/* The sections: doctor_host.c, doctor_features.c. */
void doctor_check_host(struct doctor *doctor);
void doctor_check_features(struct doctor *doctor);

#endif
