/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of symbolizer.h share: symbolizer.c (life, processes), symbolizer_user.c (files
 * and JIT code of processes), symbolizer_elf.c (files without a process), symbolizer_jit.c,
 * symbolizer_kernel.c.
 * Nobody else includes this.
 */
#ifndef EBPFPROF_SYMBOLIZER_SYMBOLIZER_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_SYMBOLIZER_PRIVATE_H

#include "symbolizer/kernel_lines.h"
#include "symbolizer/kernel_names.h"
#include "symbolizer/location_store.h"
#include "symbolizer/source_frames.h"
#include "symbolizer/symbolizer.h"
#include "symbolizer/symbolizer_source.h"

struct binary;
struct binary_cache;
struct debuginfod;
struct jvm_perfmaps;
struct process_table;
struct symbol_cache;

struct symbolizer {
	struct binary_cache *binaries;
	struct process_table *processes;
	struct location_store *locations;
	struct symbol_cache *cache;    /* NULL = none */
	struct debuginfod *debuginfod; /* NULL = none */
	struct jvm_perfmaps *jvms;     /* NULL = they are not asked */
	const char *debug_file;	       /* that somebody named; NULL = none; borrowed */
	struct kernel_names kernel;
	struct kernel_lines kernel_lines;
	struct source_frames frames; /* of the address that is being named */
};

/** symbolizer_location - the location of @key, made of @draft if it is new; NULL: no memory */
const struct location *symbolizer_location(struct symbolizer *symbolizer,
					   const struct location_key *key,
					   const struct location_draft *draft);

/** symbolizer_anonymous - one location for all addresses of @owner of which no more is known */
const struct location *symbolizer_anonymous(struct symbolizer *symbolizer,
					    enum location_kind kind, uint64_t owner,
					    const char *name,
					    const struct location_mapping *mapping);

/**
 * symbolizer_binary - the location of ELF virtual address @key->address of @binary
 * @mapping: its segment; filename and build_id are filled in
 */
const struct location *symbolizer_binary(struct symbolizer *symbolizer, struct binary *binary,
					 const struct location_key *key,
					 struct location_mapping *mapping);

/** symbolizer_texts - the frames of the address being named, as a location wants them */
size_t symbolizer_texts(const struct symbolizer *symbolizer,
			struct location_text texts[SOURCE_FRAMES_MAX]);

/** symbolizer_unknown - the one location of addresses of which nothing is known */
const struct location *symbolizer_unknown(struct symbolizer *symbolizer);

/**
 * symbolizer_jit - the location of @address in code that @process made at run time
 * @is_mapped: it is known to be such code; otherwise it is unknown what has no name
 */
const struct location *symbolizer_jit(struct symbolizer *symbolizer, struct process *process,
				      uint64_t address, uint64_t time_ns, bool is_mapped);

/** symbolizer_runtime - what runs the code that @process makes, by the files that it maps */
enum runtime symbolizer_runtime(const struct process *process);

/** symbolizer_is_among - whether @name is one of @patterns; a star stands for any rest */
bool symbolizer_is_among(const char *name, const char *const *patterns, size_t cnt);

#endif
