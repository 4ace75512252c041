#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/bpf/check-budget goes by the row of the kernel that runs, without one by the program's largest,
# and lets nothing pass that is beyond it or has none.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
budget=$(mktemp)
trap 'rm -f "$budget"' EXIT
cases=0

cat > "$budget" << 'END'
# object program kernel instructions
a.bpf.o walk 5.10 1000
a.bpf.o walk 6.1 3000
a.bpf.o walk 6.18 2000

b.bpf.o small 5.1 50
END

# expect "FIRST WORDS" KERNEL ROW
expect()
{
	local said
	said=$("$root/tests/bpf/check-budget" "$budget" "$2" <<< "$3")
	cases=$((cases + 1))
	if [[ $said != "$1"* ]]; then
		echo "check_budget_test: $2, $3: wanted '$1', was '$said'"
		exit 1
	fi
}

expect 'ok     a.bpf.o walk: 1100' 5.10.0-46-cloud-amd64 'a.bpf.o walk 1100'
expect 'FAILED a.bpf.o walk: 1101' 5.10.0-46-cloud-amd64 'a.bpf.o walk 1101'
expect 'ok     a.bpf.o walk: 2200' 6.18.44-fc 'a.bpf.o walk 2200'
expect 'FAILED a.bpf.o walk: 2201' 6.18.44-fc 'a.bpf.o walk 2201'
# no row of its own; 5.1 is not 5.10, 6.1 not 6.12
expect 'ok     a.bpf.o walk: 3300' 6.12.1+deb12 'a.bpf.o walk 3300'
expect 'FAILED a.bpf.o walk: 3301' 6.12.1+deb12 'a.bpf.o walk 3301'
expect 'ok     b.bpf.o small: 70' 5.10.1 'b.bpf.o small 70'
expect 'FAILED b.bpf.o small: 71 instructions verified, budget of the largest 50 + 20' 5.10.1 'b.bpf.o small 71'
expect 'FAILED b.bpf.o walk: not in' 5.10.1 'b.bpf.o walk 7'
expect 'FAILED b.bpf.o walk: not in' 6.12 'b.bpf.o walk 7'
"$root/tests/bpf/check-budget" "$budget" 6.12 <<< 'c.bpf.o x 7' | grep -q 'add the line: c.bpf.o x 6.12 7$'
echo "$((cases + 1)) cases"
