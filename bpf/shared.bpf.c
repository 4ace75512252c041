/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Only maps: see shared.bpf.h.  Loaded first; the other objects reuse their descriptors. */
#include "bpf/shared.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
