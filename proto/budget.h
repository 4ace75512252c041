/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An allocator for protobuf-c that stops at a limit: a message of millions of empty submessages
 * costs fifty times its size when it is unpacked, and a sender must not choose our memory use.
 */
#ifndef EBPFPROF_PROTO_BUDGET_H
#define EBPFPROF_PROTO_BUDGET_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
	size_t limit;
	size_t used;	    /* heap bytes held, with what malloc() adds */
	bool exhausted;	    /* a request did not fit into the limit */
	bool out_of_memory; /* malloc() failed */
};

/** budget_allocator - allocator that draws on @budget, which must outlive it and its memory */
ProtobufCAllocator budget_allocator(struct budget *budget);

#endif
