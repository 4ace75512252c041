/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "symbolizer/mappings.h"
#include "symbolizer/process_private.h"

#define EXEC_NS NS_PER_SEC /* until which an exec may still be under way */

uint64_t process_id(const struct process *process)
{
	return process->id;
}

pid_t process_tgid(const struct process *process)
{
	return process->tgid;
}

struct process *process_before_exec(const struct process *process, uint64_t time_ns)
{
	return process->is_exec && time_ns < process->begin_ns + EXEC_NS ? process->older : NULL;
}

const struct mappings *process_mappings(const struct process *process)
{
	return process->mappings;
}

static struct process_jit_query jit_query(const struct process_table *table,
					  const struct process *process, uint64_t now_ns)
{
	bool may_open = process->end_ns == ALIVE &&
			process_find_newest(table, process->tgid) == process;

	return (struct process_jit_query){
		.tgid = may_open ? process->tgid : 0,
		.begin_ns = process->begin_ns,
		.now_ns = now_ns,
	};
}

void process_perfmap_written(struct process_table *table, pid_t tgid)
{
	struct process *process = process_find_newest(table, tgid);

	if (process)
		process_jit_written(process->jit);
}

bool process_jit_find(struct process_table *table, struct process *process, uint64_t address,
		      uint64_t time_ns, uint64_t now_ns, struct jit_frame *ret)
{
	struct process_jit_query query = jit_query(table, process, now_ns);

	return process_jit_lookup(&process->jit, &table->jit_host, &query, address, time_ns, ret);
}

enum jit_source process_jit_source(const struct process *process)
{
	return process_jit_names(process->jit);
}

const struct process *process_of_id(const struct process_table *table, uint64_t id)
{
	const struct process *process;

	for (process = TAILQ_FIRST(&table->all); process; process = TAILQ_NEXT(process, all)) {
		if (process->id == id)
			return process;
	}
	return NULL;
}

size_t process_table_cnt(const struct process_table *table)
{
	return table->image_cnt;
}

uint64_t process_table_perfmap_skipped(const struct process_table *table)
{
	const struct process *process;
	uint64_t lines = 0;

	for (process = TAILQ_FIRST(&table->all); process; process = TAILQ_NEXT(process, all))
		lines += process_jit_skipped(process->jit);
	return lines;
}

size_t process_table_bytes(const struct process_table *table)
{
	size_t bytes = sizeof(*table) + hashmap_bytes(&table->newest) + table->text.capacity;
	const struct process *process;

	for (process = TAILQ_FIRST(&table->all); process; process = TAILQ_NEXT(process, all))
		bytes += sizeof(*process) + mappings_bytes(process->mappings) +
			 process_jit_bytes(process->jit);
	return bytes;
}

int process_table_visit(const struct process_table *table,
			int (*visit)(void *context, pid_t tgid), void *context)
{
	const struct process *process;
	int r = 0;

	TAILQ_FOREACH(process, &table->all, all) {
		if (process->end_ns == ALIVE)
			r = visit(context, process->tgid);
		if (r)
			break;
	}
	return r;
}
