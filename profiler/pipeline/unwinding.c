/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/unwinding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/base/strbuf.h"
#include "profiler/collect/images.h"
#include "profiler/collect/unwind_maps.h"
#include "profiler/collect/unwind_offline.h"
#include "profiler/pipeline/unwind_files.h"
#include "symbolizer/binary.h"
#include "symbolizer/binary_code.h"
#include "symbolizer/process_code.h"
#include "symbolizer/process.h"
#include "symbolizer/symbolizer.h"

#define KERNEL_BYTES_MAX (64ull << 20)
#define RAW_BYTES_MAX (16u << 20) /* of raw stacks that wait */
#define RETRY_TICKS 4		  /* a process's missing records come within some ticks, or never */
#define TABLES_IDLE_NS (600 * NS_PER_SEC)

struct unwinding {
	enum unwind_mode mode;
	struct sampler *sampler;       /* borrowed */
	struct symbolizer *symbolizer; /* borrowed */
	struct unwind_maps *maps;
	struct images *images; /* NULL: refused by the kernel */
	struct frame_tables *tables;
	struct unwind_files files;
	struct unwind_processes processes;
	struct strbuf raw;	/* struct raw_stack_body, each padded to 8 bytes */
	struct stack_body body; /* of the stack being unwound */
	size_t raw_tried; /* of `raw`, bytes: what lacked something at an earlier tick */
	unsigned int ticks;
	uint64_t raw_cnt, raw_dropped;
};

static void quiesce(void *context)
{
	sampler_quiesce(((struct unwinding *)context)->sampler);
}

static int open_all(struct unwinding *unwinding, const struct unwinding_config *config,
		    struct errmsg *err)
{
	const struct frame_tables_config tables = {
		.with_cache = config->with_cache,
		.cache_dir = config->cache_dir,
	};
	struct shared_maps *shared = sampler_shared_maps(unwinding->sampler);
	int r;

	r = unwind_maps_new(shared,
			    config->kernel_bytes_max ? config->kernel_bytes_max : KERNEL_BYTES_MAX,
			    &unwinding->maps, err);
	if (r < 0)
		return r;
	/* Without the hooks new processes are known a little later; the outcome is noted. */
	if (images_new(shared, &unwinding->images, NULL) < 0)
		unwinding->images = NULL;
	if (config->before_threads)
		config->before_threads(config->context);
	r = frame_tables_new(&tables, &unwinding->tables);
	if (r < 0)
		return err_set(err, r, "cannot start making unwind tables");
	unwind_files_init(&unwinding->files, unwinding->tables, unwinding->maps);
	unwinding->files.quiesce = quiesce;
	unwinding->files.context = unwinding;
	unwind_processes_init(&unwinding->processes, unwinding->maps, &unwinding->files,
			      unwinding->symbolizer);
	unwinding->processes.has_hooks = unwinding->images && images_has_seeded(unwinding->images);
	return 0;
}

int unwinding_new(const struct unwinding_config *config, struct sampler *sampler,
		  struct symbolizer *symbolizer, struct unwinding **ret, struct errmsg *err)
{
	struct unwinding *unwinding;
	int r;

	if (!sampler_shared_maps(sampler)) {
		*ret = NULL; /* without BPF nothing here could be of use */
		return 0;
	}
	unwinding = calloc(1, sizeof(*unwinding));
	if (!unwinding)
		return err_set(err, -ENOMEM, "cannot start unwinding");
	unwinding->sampler = sampler;
	unwinding->symbolizer = symbolizer;
	unwinding->mode = (enum unwind_mode)config->mode;
	r = open_all(unwinding, config, err);
	if (r < 0) {
		unwinding_free(unwinding);
		return r;
	}
	*ret = unwinding;
	return 0;
}

void unwinding_free(struct unwinding *unwinding)
{
	if (!unwinding)
		return;
	images_free(unwinding->images);
	if (unwinding->tables) {
		unwind_processes_free(&unwinding->processes);
		unwind_files_free(&unwinding->files);
	}
	frame_tables_free(unwinding->tables);
	unwind_maps_free(unwinding->maps);
	strbuf_free(&unwinding->raw);
	free(unwinding);
}

/* ---- raw stacks ---- */

static size_t raw_bytes(const struct raw_stack_body *body)
{
	size_t stack = MIN((size_t)body->stack_bytes, (size_t)RAW_STACK_BYTES);

	return (offsetof(struct raw_stack_body, stack) + stack + 7) / 8 * 8;
}

int unwinding_add_raw(struct unwinding *unwinding, const struct raw_stack_body *body)
{
	static const char padding[8];
	struct strbuf *raw = &unwinding->raw;
	size_t bytes = raw_bytes(body);
	size_t used = offsetof(struct raw_stack_body, stack) +
		      MIN((size_t)body->stack_bytes, (size_t)RAW_STACK_BYTES);

	if (raw->len + bytes > RAW_BYTES_MAX) {
		unwinding->raw_dropped++;
		return 0;
	}
	/* All of it or nothing: what follows is found by its size. */
	if (!strbuf_reserve(raw, bytes)) {
		raw->failed = false;
		return -ENOMEM;
	}
	strbuf_add(raw, body, used);
	strbuf_add(raw, padding, bytes - used);
	return 0;
}

static const struct raw_stack_body *next_raw(const struct strbuf *raw, size_t *cursor)
{
	const struct raw_stack_body *body = (const void *)(raw->text + *cursor);

	if (*cursor >= raw->len)
		return NULL;
	*cursor += raw_bytes(body);
	return body;
}

size_t unwinding_waits(const struct unwinding *unwinding, uint32_t epoch)
{
	const struct raw_stack_body *body;
	size_t cursor = 0, cnt = 0;

	if (!unwinding)
		return 0;
	while ((body = next_raw(&unwinding->raw, &cursor)))
		cnt += body->header.epoch == epoch;
	return cnt;
}

bool unwinding_makes_tables(const struct unwinding *unwinding)
{
	struct frame_tables_stats stats;

	if (!unwinding)
		return false;
	frame_tables_stats(unwinding->tables, &stats);
	return stats.pending != 0;
}

/* What the walk of one raw stack reads. */
struct raw_target {
	struct unwinding *unwinding;
	const struct raw_stack_body *body;
	struct process *process; /* NULL = unknown */
	bool cut;		 /* it wanted more of the stack than was copied */
};

/* [@address, @address + @size) of what was copied from @start. */
static bool read_copy(const uint8_t *copy, uint64_t start, size_t copied, uint64_t address,
		      void *bytes, size_t size)
{
	uint64_t offset = address - start;

	if (offset > copied || size > copied - offset)
		return false;
	memcpy(bytes, copy + offset, size);
	return true;
}

static bool read_stack(const struct raw_stack_body *body, uint64_t address, void *bytes,
		       size_t size)
{
	size_t copied = MIN((size_t)body->stack_bytes, (size_t)RAW_STACK_BYTES);
	uint64_t sp = body->regs[UNWIND_REG_SP];

	return address - sp >= body->stack_hole &&
	       read_copy(body->stack, sp, copied, address, bytes, size);
}

static bool read_target(void *context, uint64_t address, void *bytes, size_t size)
{
	struct raw_target *target = context;
	const struct raw_stack_body *body = target->body;
	struct code_region region;

	if (read_stack(body, address, bytes, size))
		return true;
	if (body->has_code && read_copy(body->code, body->regs[UNWIND_REG_IP] - 2,
					sizeof(body->code), address, bytes, size))
		return true;
	if (target->process &&
	    process_find_code(target->process, address, body->header.time_ns, &region))
		return address + size <= region.end && region.binary &&
		       binary_read_code(region.binary, address - region.bias, bytes, size);
	/* Further up, or another stack: goroutines' and signals' are not copied. */
	target->cut = true;
	return false;
}

static int find_rule(void *context, uint64_t pc, struct unwind_rule *ret)
{
	struct raw_target *target = context;
	struct unwinding *unwinding = target->unwinding;
	struct code_region region;

	if (!target->process ||
	    !process_find_code(target->process, pc, target->body->header.time_ns, &region))
		return -ENOENT;
	if (!region.binary) {
		*ret = (struct unwind_rule){ .cfa = UNWIND_JIT };
		return 0;
	}
	return unwind_files_rule(&unwinding->files, region.binary, pc - region.bias, ret);
}

/*
 * Was the sample taken where execve() has given up the old program's memory, and the new one has
 * not begun?  The registers are the old one's.
 */
static bool is_in_exec(const struct raw_target *target)
{
	const struct raw_stack_body *body = target->body;

	return !body->stack_bytes && !body->has_code && body->in_syscall && target->process &&
	       process_before_exec(target->process, body->header.time_ns);
}

/* Unwind @raw into unwinding->body. */
static void unwind_raw(struct unwinding *unwinding, const struct raw_stack_body *raw)
{
	struct stack_body *body = &unwinding->body;
	struct raw_target target = {
		.unwinding = unwinding,
		.body = raw,
		.process = symbolizer_process(unwinding->symbolizer, (pid_t)raw->tgid,
					      raw->header.time_ns),
	};
	const struct unwind_target callbacks = {
		.context = &target,
		.read = read_target,
		.rule = find_rule,
	};
	struct unwind_start start = {
		.start_stack = raw->start_stack,
		.tls_base = raw->tls_base,
		.in_syscall = raw->in_syscall,
	};

	memcpy(start.regs, raw->regs, sizeof(start.regs));
	body->header = raw->header;
	body->header.kind = BODY_USER_STACK;
	body->id = raw->id;
	body->start_boottime_ns = raw->start_boottime_ns;
	body->tgid = raw->tgid;
	body->exec_id = raw->exec_id;
	body->mapped_ns = UINT64_MAX; /* by the mappings of its own time */
	unwind_offline(&callbacks, &start, unwinding->mode, body);
	if (is_in_exec(&target))
		body->end = STACK_EXEC;
	else if (target.cut && (body->end == STACK_UNREADABLE || body->end == STACK_CORRUPT))
		body->end = STACK_CUT;
}

/*
 * Unwind what can be, from @first of `raw` on, bytes: what is before is not tried again.  What waits
 * on moves up in the same memory: none is needed, so none can be missing.
 */
static int unwind_all(struct unwinding *unwinding, size_t first, bool last, uint32_t epoch,
		      int (*stack)(void *context, const struct stack_body *body), void *context)
{
	struct strbuf *raw = &unwinding->raw;
	const struct raw_stack_body *body;
	size_t cursor = first, kept = first;
	int r = 0;

	while ((body = next_raw(raw, &cursor))) {
		size_t bytes = raw_bytes(body);
		bool done = false;

		/* After an error the rest waits, and what met it: nothing is forgotten. */
		if (r >= 0) {
			unwind_raw(unwinding, body);
			done = unwinding->body.end != STACK_NOT_READY ||
			       (last && body->header.epoch == epoch);
			r = done ? stack(context, &unwinding->body) : 0;
		}
		if (done && r >= 0) {
			unwinding->raw_cnt++;
			continue;
		}
		memmove(raw->text + kept, body, bytes);
		kept += bytes;
	}
	raw->len = unwinding->raw_tried = kept;
	if (!kept)
		strbuf_free(raw);
	return r;
}

static int note_images(struct unwinding *unwinding)
{
	const struct raw_stack_body *raw;
	size_t cursor = 0;
	int r = 0;

	while (!r && (raw = next_raw(&unwinding->raw, &cursor)))
		r = unwind_processes_seen(&unwinding->processes, (pid_t)raw->tgid,
					  raw->start_boottime_ns, raw->exec_id,
					  raw->header.time_ns);
	return r;
}

int unwinding_tick(struct unwinding *unwinding, bool last, uint32_t epoch,
		   int (*stack)(void *context, const struct stack_body *body), void *context)
{
	bool again;
	int r = 0;

	if (!unwinding)
		return 0;
	again = frame_tables_collect(unwinding->tables) || last ||
		++unwinding->ticks % RETRY_TICKS == 0;
	if (unwinding->raw.len && (again || unwinding->raw.len > unwinding->raw_tried)) {
		r = note_images(unwinding);
		if (!r)
			r = unwind_all(unwinding, again ? 0 : unwinding->raw_tried, last, epoch,
				       stack, context);
	}
	unwind_files_load(&unwinding->files);
	return r;
}

/* ---- processes ---- */

int unwinding_scanned(struct unwinding *unwinding)
{
	return unwinding ? unwind_processes_add_all(&unwinding->processes) : 0;
}

int unwinding_changed(struct unwinding *unwinding, pid_t tgid, enum process_change change)
{
	return unwinding ? unwind_processes_changed(&unwinding->processes, tgid, change) : 0;
}

void unwinding_forget(struct unwinding *unwinding, pid_t tgid)
{
	if (unwinding)
		unwind_processes_forget(&unwinding->processes, tgid);
}

void unwinding_records_lost(struct unwinding *unwinding)
{
	if (unwinding)
		unwind_processes_lost(&unwinding->processes);
}

void unwinding_before_records(struct unwinding *unwinding)
{
	if (unwinding)
		unwind_processes_read_images(&unwinding->processes);
}

int unwinding_publish(struct unwinding *unwinding, uint64_t applied_ns)
{
	return unwinding ? unwind_processes_publish(&unwinding->processes, applied_ns) : 0;
}

static bool is_known(void *context, uint64_t binary_id)
{
	return symbolizer_knows_binary(context, binary_id);
}

void unwinding_settle(struct unwinding *unwinding)
{
	if (!unwinding)
		return;
	unwind_maps_settle(unwinding->maps);
	unwind_processes_settled(&unwinding->processes);
}

void unwinding_end_epoch(struct unwinding *unwinding, uint64_t before_ns)
{
	if (!unwinding)
		return;
	unwind_files_trim(&unwinding->files, is_known, unwinding->symbolizer);
	frame_tables_trim(unwinding->tables,
			  before_ns > TABLES_IDLE_NS ? before_ns - TABLES_IDLE_NS : 0);
}

void unwinding_stats(const struct unwinding *unwinding, struct unwinding_stats *ret)
{
	struct frame_tables_stats tables;
	struct unwind_maps_stats maps;

	*ret = (struct unwinding_stats){};
	if (!unwinding)
		return;
	unwind_maps_stats(unwinding->maps, &maps);
	frame_tables_stats(unwinding->tables, &tables);
	*ret = (struct unwinding_stats){
		.kernel_bytes = maps.bytes,
		.kernel_bytes_max = maps.bytes_max,
		.rows = maps.rows,
		.tables = unwinding->files.loaded,
		.processes = (uint32_t)unwinding->processes.published.cnt,
		.raw = unwinding->raw_cnt,
		.raw_dropped = unwinding->raw_dropped,
		.evicted = unwinding->files.evicted,
		.refused = unwinding->files.refused,
		.rules_refused = maps.rules_refused,
		.processes_refused = unwinding->processes.refused,
		.made_rows = tables.census.rows_met,
		.expression_cfa = tables.census.expression_cfa,
		.expression_return_address = tables.census.expression_return_address,
		.expression_register = tables.census.expression_register,
		.corrupt = tables.census.corrupt,
	};
}
