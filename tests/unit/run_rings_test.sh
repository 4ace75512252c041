#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# scripts/run-rings adds up what rings say, and is not fooled: a ring that does not build or that
# ends badly without having counted a failure is one failure.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cases=0

# A tree whose `make` is ours: `make -jN test-NAME` runs the file NAME.
mkdir -p "$tree/scripts" "$tree/bin"
cp "$root/scripts/run-rings" "$tree/scripts/"
cat > "$tree/bin/make" << 'END'
#!/bin/sh
exec sh "./${2#test-}"
END
chmod +x "$tree/bin/make"

# expect STATUS "LAST LINE" RING...
expect()
{
	local want_status=$1 want=$2 status=0
	shift 2
	PATH=$tree/bin:$PATH "$tree/scripts/run-rings" "$@" > "$tree/out" 2>&1 || status=$?
	cases=$((cases + 1))
	if [ "$status" -ne "$want_status" ] || [ "$(tail -n 1 "$tree/out")" != "$want" ]; then
		echo "run_rings_test: $*: wanted status $want_status and: $want"
		cat "$tree/out"
		exit 1
	fi
}

echo 'echo "unit: 3 passed, 0 failed, 1 skipped"' > "$tree/unit"
echo 'echo "e2e: 5 passed, 2 failed, 0 skipped"; exit 1' > "$tree/e2e"
echo 'echo "skip   ebpf: needs root"; echo "ebpf: 0 passed, 0 failed, 1 skipped"' > "$tree/ebpf"
echo 'echo "cc: error"; exit 2' > "$tree/broken"
echo 'echo "unit: 3 passed, 0 failed, 0 skipped"; exit 1' > "$tree/liar"
echo 'echo "vm: 1 passed, 1 failed, 0 skipped"; kill -9 $$' > "$tree/killed"

expect 0 "3 passed, 0 failed, 1 skipped" unit
expect 0 "3 passed, 0 failed, 2 skipped" unit ebpf
expect 1 "8 passed, 2 failed, 1 skipped" unit e2e
expect 1 "3 passed, 1 failed, 1 skipped" broken unit
expect 1 "3 passed, 1 failed, 0 skipped" liar
expect 1 "1 passed, 1 failed, 0 skipped" killed
PATH=$tree/bin:$PATH "$tree/scripts/run-rings" ebpf > "$tree/out"
grep -q '; ebpf: needs root' "$tree/out" || {
	echo "run_rings_test: the reason of a skipped ring is not in the summary"
	exit 1
}
echo "$cases cases"
