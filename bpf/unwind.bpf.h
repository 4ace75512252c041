/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The walk of a user stack (unwind_walk.h) in the kernel, for every program that takes one: memory
 * by bpf_probe_read_user(), rules by the maps of unwind.h.
 *
 * A frame whose address was seen lately costs one read of `unwind_cache`, one of its rule, and one
 * bpf_probe_read_user() of 8 or 16 bytes.  In another process its mapping is searched for, and the
 * cache asked for the place in the file, so what one process has found serves all that run the same
 * code.  Else its page and row are searched for too; the searches have no branches (a product
 * decides), so the verifier walks each once.
 *
 * VERIFIER: frames and searches are global functions, verified once each and not once per frame.
 * Those take only scalars before 5.13: they find their state in `stack_rooms` by its number.
 */
#ifndef EBPFPROF_BPF_UNWIND_BPF_H
#define EBPFPROF_BPF_UNWIND_BPF_H

#include "bpf/compat.bpf.h"
#include "bpf/sample.h"
#include "bpf/shared.bpf.h"

struct walk;

static __always_inline bool walk_read(struct walk *walk, __u64 address, void *to, __u32 size)
{
	return bpf_probe_read_user(to, size, (void *)address) == 0;
}

#include "bpf/unwind_walk.h"

/* Room for one walk and for what is sent of it: too large for the stack. */
struct stack_room {
	struct walk walk;
	struct unwind_mapping mapping;	  /* of the last search; end 0 = none */
	__u32 first_mapping, mapping_cnt; /* of the process; 0 = not known */
	__u32 list;			  /* serial number of its mappings */
	__u32 number;			  /* of this room */
	__u32 clock;
	/*
	 * Of the cache's tags, for the list of mappings and for the file of `mapping`.  Each hashed
	 * by itself: their numbers and addresses are small, and a number added to an address would
	 * be the tag of a neighbour's address elsewhere.
	 */
	__u64 cache_seed, list_seed, file_seed;
	__u32 is_compat;		/* 32-bit code */
	__u64 mapped_ns;		/* see struct unwind_process */
	struct kernel_regs kernel_regs; /* see user_regs_of_kernel_entry() */
	struct stack_body body;
};

#ifndef STACK_ROOMS
#define STACK_ROOMS 1 /* one for each kind of event that can interrupt another */
#endif

/* Per CPU and origin.  Within one origin nothing else runs in between (bpf_prog_active). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STACK_ROOMS);
	__type(key, __u32);
	__type(value, struct stack_room);
} stack_rooms SEC(".maps");

/*
 * Where a raw stack is put together: [CPU x STACK_ROOMS + origin].  No per-CPU map, whose values end
 * at 32 KiB.  [load] CPUs x STACK_ROOMS
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STACK_ROOMS);
	__type(key, __u32);
	__type(value, struct raw_stack_body);
} raw_rooms SEC(".maps");

const volatile __u32 unwind_mode = WALK_AUTO;

static __always_inline struct stack_room *stack_room(__u32 number)
{
	return bpf_map_lookup_elem(&stack_rooms, &number);
}

static const struct unwind_rule *walk_rule(struct walk *walk, __u32 index)
{
	return bpf_map_lookup_elem(&unwind_rules, &index);
}

/* 1 if @a <= @b, else 0, without a branch; both below 2^63. */
static __always_inline __u64 is_at_most(__u64 a, __u64 b)
{
	return 1 - ((b - a) >> 63);
}

/*
 * The mapping that @pc lies in, into the room's `mapping`; false: none.
 *
 * VERIFIER: the last step of a search leaves `cnt` 1; the loop's bound is the map's size.
 */
static __always_inline bool find_mapping(struct stack_room *room, __u64 pc)
{
	__u32 first = room->first_mapping, cnt = room->mapping_cnt;
	struct unwind_mapping *mapping;
	int i;

	if (!cnt)
		return false;
	for (i = 0; i < 17; i++) { /* UNWIND_MAPPINGS_MAX = 2^17 */
		__u32 half = cnt >> 1, middle = first + half;

		if (cnt <= 1)
			break;
		mapping = bpf_map_lookup_elem(&unwind_mappings, &middle);
		if (!mapping)
			return false;
		first += half * (__u32)is_at_most(mapping->start, pc);
		cnt -= half;
	}
	mapping = bpf_map_lookup_elem(&unwind_mappings, &first);
	if (!mapping || pc < mapping->start || pc >= mapping->end)
		return false;
	room->mapping = *mapping;
	room->file_seed = hash_mix(room->cache_seed, (__u64)room->mapping.file << 1);
	/* Last: the list may be given up at this time (unwind.h). */
	if (*(volatile __u32 *)&mapping->list == room->list)
		return true;
	room->mapping.start = room->mapping.end = 0;
	return false;
}

/* Index of the rule at ELF virtual address @address; -1: none tells of it. */
static __always_inline int find_row(const struct unwind_file *file, __u64 address)
{
	__u64 number = (address >> UNWIND_PAGE_BITS) - file->first_page;
	__u32 first, cnt, key, low = (__u16)address, zero = 0;
	struct unwind_block *block;
	struct unwind_page *page;
	void *rows;
	int i;

	if (number >= file->page_cnt)
		return -1;
	key = file->pages + (__u32)number;
	page = bpf_map_lookup_elem(&unwind_pages, &key);
	if (!page || !page->row_cnt)
		return -1;
	key = page->block;
	first = page->first_row;
	cnt = page->row_cnt;
	rows = bpf_map_lookup_elem(&unwind_blocks, &key);
	block = rows ? bpf_map_lookup_elem(rows, &zero) : NULL;
	if (!block)
		return -1;
	for (i = 0; i < 17; i++) { /* UNWIND_BLOCK_ROWS = 2^16, and 1 */
		__u32 half = cnt >> 1;

		first += half *
			 (__u32)is_at_most(block->rows[(first + half) & (UNWIND_BLOCK_ROWS - 1)].pc,
					   low);
		cnt -= half;
	}
	return block->rows[first & (UNWIND_BLOCK_ROWS - 1)].rule;
}

/* Does a call stand before @ip?  -1: its code cannot be read. */
static __always_inline int follows_call(__u64 ip)
{
	__u8 code[8];

	if (ip < 4096 || ip > USER_ADDRESS_MAX ||
	    bpf_probe_read_user(code, sizeof(code), (void *)(ip - sizeof(code))))
		return -1;
	return call_site_ends(code);
}

/* The rule of what is returned to though nothing called it; else @rule. */
static __always_inline int rule_without_call(__u64 ip, int rule)
{
	__u8 code[8];

	if (bpf_probe_read_user(code, sizeof(code), (void *)ip))
		return rule;
	if (call_site_is_context_start(code))
		return UNWIND_RULE_BOTTOM;
	return call_site_is_signal_return(code) ? UNWIND_RULE_SIGNAL : rule;
}

/* What is known of @ip in no mapping that we know of. */
static __always_inline int find_unmapped(struct stack_room *room, __u64 ip, __u32 is_exact)
{
	int call = is_exact ? 1 : follows_call(ip);

	if (room->walk.mode == WALK_BY_FP && call >= 0)
		return call ? WALK_FOLLOWS_CALL : 0;
	/* New since, if it is where a call returns to. */
	return call > 0 ? -STACK_NOT_READY : -STACK_BROKEN;
}

/* The rule at @pc in the file of the room's mapping, or -(enum stack_end). */
static __always_inline int find_in_file(struct stack_room *room, __u64 pc)
{
	__u32 key = room->mapping.file & (UNWIND_FILES_MAX - 1);
	struct unwind_file *file = bpf_map_lookup_elem(&unwind_files, &key);
	int rule;

	if (!ARCH_HAS_TABLES || room->walk.mode == WALK_BY_FP)
		return UNWIND_RULE_NO_INFO;
	if (!file || file->state == UNWIND_FILE_ABSENT)
		return -STACK_NOT_READY;
	if (file->state == UNWIND_FILE_FULL)
		return -STACK_FULL;
	if (file->used != room->clock)
		file->used = room->clock;
	if (file->state != UNWIND_FILE_READY)
		return UNWIND_RULE_NO_INFO;
	rule = find_row(file, pc - room->mapping.bias);
	return rule < 0 ? UNWIND_RULE_NO_INFO : rule & WALK_RULE_MASK;
}

/* What the cache knows the address @ip of the process by: its mappings' list and itself. */
static __always_inline __u64 list_tag(const struct stack_room *room, __u64 ip, __u32 is_exact)
{
	return hash_mix(room->list_seed ^ (__u64)is_exact << 63, ip);
}

/* ... and by its place in the file of the room's mapping. */
static __always_inline __u64 file_tag(const struct stack_room *room, __u64 pc, __u32 is_exact)
{
	return hash_mix(room->file_seed ^ (__u64)is_exact << 63, pc - room->mapping.bias);
}

/* What is cached under @tag; -1: nothing. */
static __always_inline int cached(__u64 tag)
{
	__u32 slot = (__u16)tag;
	__u64 *entry = bpf_map_lookup_elem(&unwind_cache, &slot), known;

	if (!entry)
		return -1;
	known = *(volatile __u64 *)entry;
	return ((known ^ tag) >> 16) == 0 ? (__u16)known : -1;
}

static __always_inline void remember(__u64 tag, int found)
{
	__u32 slot = (__u16)tag;
	__u64 *entry = bpf_map_lookup_elem(&unwind_cache, &slot);

	if (entry)
		*entry = (tag & ~0xffffull) | (__u16)found;
}

#define FOUND_IS_UNSURE 0x10000 /* not to be remembered */

/* The rule of @ip, which returns to or stands in the room's mapping of a file. */
static __always_inline int search_file(struct stack_room *room, __u64 ip, __u32 is_exact)
{
	__u64 pc = ip - !is_exact;
	int found = find_in_file(room, pc), call = 1;

	if (found < 0)
		return found;
	if (!is_exact)
		call = follows_call(ip);
	if (call)
		found |= WALK_FOLLOWS_CALL;
	else if (room->walk.mode != WALK_BY_FP)
		found = rule_without_call(ip, found);
	/*
	 * Code that cannot be read: the page is not resident, as most are not in a child of a fork.
	 * It is where code is; that must do, and is not remembered.
	 */
	return call < 0 ? found | FOUND_IS_UNSURE : found;
}

/* As walk_find(), of an address that the cache does not know. */
__noinline int unwind_search(__u32 number, __u64 ip, __u32 is_exact)
{
	struct stack_room *room = stack_room(number);
	__u64 pc = ip - !is_exact, tag;
	int found;

	if (!room)
		return -STACK_NOT_READY;
	if ((pc < room->mapping.start || pc >= room->mapping.end) && !find_mapping(room, pc))
		return find_unmapped(room, ip, is_exact);
	if (room->mapping.file == UNWIND_FILE_NONE) {
		found = UNWIND_RULE_JIT | WALK_FOLLOWS_CALL;
	} else {
		tag = file_tag(room, pc, is_exact);
		found = cached(tag);
		if (found < 0) {
			found = search_file(room, ip, is_exact);
			if (found < 0 || (found & FOUND_IS_UNSURE))
				return found < 0 ? found : found & 0xffff;
			/*
			 * Not that no call stands there: a program that writes over its copy of a
			 * library would end everybody's stacks in it.
			 */
			if (found & WALK_FOLLOWS_CALL)
				remember(tag, found);
		}
	}
	remember(list_tag(room, ip, is_exact), found);
	return found;
}

static __always_inline int walk_find(struct walk *walk, __u64 ip, __u32 is_exact)
{
	struct stack_room *room = (void *)walk; /* its first member */
	int found = room->mapping_cnt ? cached(list_tag(room, ip, is_exact)) : -1;

	return found >= 0 ? found : unwind_search(room->number, ip, is_exact);
}

#if defined(__TARGET_ARCH_arm64)

__noinline int unwind_link_window(__u32 number)
{
	struct stack_room *room = stack_room(number);

	return room && link_window(&room->walk);
}

/* What the cache knows the code at @ip by, apart from its rule. */
static __always_inline __u64 link_tag(const struct stack_room *room, __u64 ip, __u32 is_caller)
{
	return hash_mix(list_tag(room, ip, is_caller), 4);
}

/* As walk_link(), of an address that the cache does not know. */
__noinline int unwind_link(__u32 number, __u64 ip, __u32 is_caller)
{
	struct stack_room *room = stack_room(number);
	int i;

	if (!room)
		return LINK_UNKNOWN;
	link_begin(&room->walk.link, ip, is_caller);
	for (i = 0; i < LINK_WINDOWS_MAX; i++) {
		if (!unwind_link_window(number))
			break;
	}
	if (room->mapping_cnt && room->walk.link.place != LINK_UNREADABLE)
		remember(link_tag(room, ip, is_caller), room->walk.link.place);
	return room->walk.link.place;
}

static __always_inline int walk_link(struct walk *walk, __u64 ip, __u32 is_caller)
{
	struct stack_room *room = (void *)walk; /* its first member */
	int place = room->mapping_cnt ? cached(link_tag(room, ip, is_caller)) : -1;

	return place >= 0 ? place : unwind_link(room->number, ip, is_caller);
}

#endif

/* One frame of the walk in room @number; 0: it has ended. */
__noinline int unwind_frame(__u32 number)
{
	struct stack_room *room = stack_room(number);

	return room && walk_frame(&room->walk, room->body.frames);
}

/* Whose mappings the walk goes by. */
static __always_inline void find_process(struct stack_room *room, const struct task_facts *facts)
{
	struct unwind_process *process = bpf_map_lookup_elem(&unwind_processes, &facts->tgid);

	room->mapping_cnt = 0;
	room->mapping.start = room->mapping.end = 0;
	if (!process)
		return;
	room->first_mapping = process->first_mapping;
	room->mapping_cnt = process->mapping_cnt;
	room->list = process->list;
	room->mapped_ns = process->mapped_ns;
	/* Last, as the entry may be given to another process meanwhile. */
	if (*(volatile __u64 *)&process->start_boottime_ns != facts->start_boottime_ns ||
	    *(volatile __u32 *)&process->exec_id != facts->exec_id)
		room->mapping_cnt = 0;
}

/*
 * Entries of the cache hold as long as rules keep their indexes.  And so that files in use are looked
 * at (struct unwind_file.used), all is looked up anew every eighth tick of the clock.
 */
static __always_inline __u64 cache_seed(const struct sampler_control *state)
{
	return hash_mix(hash_mix(3, state->rule_generation), state->unwind_clock >> 3);
}

/**
 * unwind_user_stack - callers of the code at room->walk.regs, leaf first, into room->body.frames
 * @room: walk.process, start_stack, tls_base, regs, in_syscall set
 * walk.cnt, hash and end are the answer.
 */
static __always_inline void unwind_user_stack(struct stack_room *room, __u32 number,
					      const struct task_facts *facts,
					      const struct sampler_control *state)
{
	int i;

	room->number = number;
	room->clock = state->unwind_clock;
	room->walk.mode = (__u8)unwind_mode;
	find_process(room, facts);
	room->cache_seed = cache_seed(state);
	room->list_seed = hash_mix(room->cache_seed, (__u64)room->list << 1 | 1);
	walk_begin(&room->walk);
	for (i = 0; i <= STACK_FRAMES_MAX; i++) {
		if (!unwind_frame(number))
			break;
	}
}

#endif
