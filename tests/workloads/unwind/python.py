# SPDX-License-Identifier: BSD-2-Clause
"""python.py SECONDS: CPython's C side: JSON, regular expressions, sorting with a key, recursion,
exceptions, zlib, hashes, a garbage collection."""
import gc
import hashlib
import json
import re
import sys
import time
import zlib

SECONDS = min(max(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0, 0.0), 60.0)
VALUE = {"a": list(range(300)), "b": [{"c": str(i), "d": i * 1.5} for i in range(100)]}
TEXT = json.dumps(VALUE)


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def raise_below(depth):
    if depth == 0:
        raise ValueError("bottom")
    raise_below(depth - 1)


def sort_with_key():
    return sorted(range(5000), key=lambda i: (i * 7919) % 1000)[0]


def work():
    total = len(json.loads(json.dumps(VALUE))["a"])
    total += len(re.findall(r'"c": "(\d+)"', TEXT))
    total += len(zlib.decompress(zlib.compress(TEXT.encode())))
    total += hashlib.sha256(TEXT.encode() * 10).digest()[0]
    total += fibonacci(14) + sort_with_key()
    try:
        raise_below(20)
    except ValueError:
        total += 1
    return total


def main():
    end = time.monotonic() + SECONDS
    total = rounds = 0
    while time.monotonic() < end:
        total += work()
        rounds += 1
        if rounds % 20 == 0:
            gc.collect()
    print(total)


main()
