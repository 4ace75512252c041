# SPDX-License-Identifier: BSD-2-Clause
"""How far two sets of samples of the same program agree, beside what chance alone would do.

Two samplers never sample the same moment, so what is compared are distributions: their overlap is
the sum over all classes of the smaller of the two shares.  Equal programs sampled n and m times do
not overlap to 100 %; how far they would is found by drawing n and m from what both saw together.
"""

import bisect
import collections
import itertools
import math
import random

import stacks

DRAWS = 200
Z_LIMIT = 4.0     # of the difference of two shares, in standard deviations: chance does 1 in 16,000
CLASS_MIN = 4     # samples
LEAF_MIN = 20     # samples of perf: fewer say nothing of how often it is complete there


def overlap(left, right):
    n, m = sum(left.values()), sum(right.values())
    return sum(min(left[key] / n, right[key] / m) for key in left.keys() & right.keys())


def drawn_overlap(left, right, seed=1):
    """The overlap that chance leaves: its mean and its first percentile."""
    pooled = left + right
    keys = list(pooled)
    sums = list(itertools.accumulate(pooled[key] for key in keys))
    generator = random.Random(seed)

    def draw(count):
        return collections.Counter(bisect.bisect_right(sums, generator.random() * sums[-1])
                                   for _ in range(count))

    drawn = sorted(overlap(draw(sum(left.values())), draw(sum(right.values())))
                   for _ in range(DRAWS))
    return sum(drawn) / DRAWS, drawn[DRAWS // 100]


def counted(samples, of):
    result = collections.Counter()
    for stack, count in samples.items():
        result[of(stack)] += count
    return result


def complete_where(perf, ours):
    """
    The share of ours that is complete, of what perf completes.  Where perf completes only a part
    of the samples under a leaf function, we are to complete the same part, give or take chance.
    """
    seen, done = collections.Counter(), collections.Counter()
    for stack, count in perf.items():
        seen[stack[0]] += count
        done[stack[0]] += count if stacks.is_complete(stack) else 0
    due = reached = 0.0
    rare = collections.Counter()  # leaves that perf saw too rarely, taken together
    groups = collections.defaultdict(collections.Counter)
    for leaf, count in seen.items():
        if count < LEAF_MIN:
            rare.update(seen=count, done=done[leaf])
    for stack, count in ours.items():
        leaf = stack[0] if seen[stack[0]] >= LEAF_MIN else None
        groups[leaf].update(seen=count, done=count if stacks.is_complete(stack) else 0)
    for leaf, group in groups.items():
        share = rare["done"] / rare["seen"] if leaf is None and rare["seen"] else \
            done[leaf] / seen[leaf] if leaf is not None else 1.0
        chance = 2 * math.sqrt(group["seen"] * share * (1 - share))
        due += share * group["seen"]
        reached += min(share * group["seen"], group["done"] + chance)
    return reached / due if due else None


def z_of(left, left_all, right, right_all):
    """How many standard deviations lie between two shares."""
    pooled = (left + right) / (left_all + right_all)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / left_all + 1 / right_all))
    return (right / right_all - left / left_all) / deviation if deviation else 0.0


def example(samples, has):
    found = [stack for stack in samples if has(stack)]
    return max(found, key=lambda stack: samples[stack]) if found else None


def classes(perf, ours):
    """
    What differs by more than chance: [{kind, what, perf, ours, z, example}], most samples first.
    Triples are what the table compares; pairs are of any depth, and only those that one side has
    and the other has never seen: a wrong frame in the middle of a stack shows there.
    """
    n, m = sum(perf.values()), sum(ours.values())
    found = []

    def add(kind, what, left, right, has):
        found.append({"kind": kind, "what": list(what), "perf": left, "ours": right,
                      "z": round(z_of(left, n, right, m), 1),
                      "example": example(ours if right else perf, has)})

    left, right = (counted(side, stacks.triple) for side in (perf, ours))
    for key in left.keys() | right.keys():
        if max(left[key], right[key]) >= CLASS_MIN and \
                abs(z_of(left[key], n, right[key], m)) > Z_LIMIT:
            add("triple", key, left[key], right[key], lambda s, k=key: stacks.triple(s) == k)
    left, right = collections.Counter(), collections.Counter()
    for side, samples in ((left, perf), (right, ours)):
        for stack, count in samples.items():
            for edge in stacks.edges(stack):
                side[edge] += count
    for key in left.keys() ^ right.keys():
        if max(left[key], right[key]) >= CLASS_MIN and \
                abs(z_of(left[key], n, right[key], m)) > 3:
            add("pair", key, left[key], right[key], lambda s, k=key: k in stacks.edges(s))
    for stack_end in {s[-1] for s in ours if not stacks.reason(s) and not stacks.is_complete(s)}:
        count = sum(c for s, c in ours.items() if s[-1] == stack_end)
        add("end", (stack_end,), sum(c for s, c in perf.items() if s[-1] == stack_end), count,
            lambda s, k=stack_end: s[-1] == k)
    return sorted(found, key=lambda one: -max(one["perf"], one["ours"]))
