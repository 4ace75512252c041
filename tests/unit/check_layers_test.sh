#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The checkers see what they are for: in a tree of our own, each forbidden #include and each
# size over its limit is found, and each permitted one is not.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cases=0

fail()
{
	echo "check_layers_test: $*"
	exit 1
}

# put FILE: its text from stdin, in an otherwise empty tree
put()
{
	rm -rf "${tree:?}"/*
	mkdir -p "$tree/$(dirname "$1")"
	cat > "$tree/$1"
	cases=$((cases + 1))
}

expect_layers()
{
	local verdict=$1 file=$2 include=$3 status=0
	put "$file" <<< "#include $include"
	"$root/scripts/check-layers" "$tree" > "$tree/out" || status=1
	case $verdict:$status in
	good:0 | bad:1) ;;
	*) fail "$file with $include should be $verdict: $(cat "$tree/out")" ;;
	esac
	[ "$verdict" = good ] || grep -q "^$file:1: " "$tree/out" || fail "no place named for $file"
}

expect_sizes()
{
	local verdict=$1 what=$2 status=0
	"$root/scripts/check-sizes" "$tree" > "$tree/out" || status=1
	case $verdict:$status in
	good:0 | bad:1) ;;
	*) fail "$what should be $verdict: $(cat "$tree/out")" ;;
	esac
}

function_of()
{
	printf 'int f(void)\n{\n'
	yes '	f();' | head -n "$1" || true
	printf '}\n'
}

test_directions()
{
	expect_layers bad profiler/base/a.c '"symbolizer/elf.h"'
	expect_layers good symbolizer/a.c '"profiler/base/err.h"'
	expect_layers bad symbolizer/a.c '"proto/profile.h"'
	expect_layers bad symbolizer/a.c '"bpf/sample.h"'
	expect_layers bad proto/a.c '"symbolizer/elf.h"'
	expect_layers bad proto/a.c '"profiler/base/clock.h"'
	expect_layers good proto/a.c '"profile.pb-c.h"'
	expect_layers good exporters/a.c '"proto/profile.h"'
	expect_layers bad exporters/a.c '"profiler/collect/sampler.h"'
	expect_layers bad exporters/a.c '"profile.pb-c.h"'
	expect_layers good profiler/collect/a.c '"bpf/sample.h"'
	expect_layers bad profiler/collect/a.c '"bpf/compat.bpf.h"'
	expect_layers bad profiler/collect/a.c '"symbolizer/elf.h"'
	expect_layers good profiler/pipeline/a.c '"profiler/collect/sampler.h"'
	expect_layers bad profiler/pipeline/a.c '"exporters/file.h"'
	expect_layers bad profiler/pipeline/a.c '"profiler/cmd/command.h"'
	expect_layers good profiler/cmd/a.c '"exporters/file.h"'
	expect_layers good profiler/main.c '"profiler/cmd/command.h"'
	expect_layers bad profiler/main.c '"profiler/pipeline/window.h"'
	expect_layers bad profiler/cmd/a.c '"../base/err.h"'
}

test_libraries()
{
	expect_layers good profiler/collect/a.c '<bpf/libbpf.h>'
	expect_layers bad profiler/cmd/a.c '<bpf/libbpf.h>'
	expect_layers bad profiler/pipeline/a.c '<linux/perf_event.h>'
	expect_layers good symbolizer/a.c '<libelf.h>'
	expect_layers bad profiler/pipeline/a.c '<gelf.h>'
	expect_layers good bpf/a.h '<linux/types.h>'
	expect_layers bad bpf/a.h '<stdint.h>'
	expect_layers good bpf/a.h '"bpf/b.h"'
	expect_layers bad bpf/a.h '"bpf/b.bpf.h"'
	expect_layers good bpf/a.bpf.c '"bpf/b.h"'
	expect_layers bad bpf/a.bpf.c '<stdint.h>'
	expect_layers bad bpf/a.bpf.c '"profiler/base/err.h"'
}

test_skeletons()
{
	expect_layers good profiler/collect/a.c '"a.skel.h"'
	expect_layers bad profiler/collect/a.h '"a.skel.h"'
	expect_layers bad profiler/cmd/a.c '"a.skel.h"'
}

test_commands()
{
	put profiler/cmd/record.c <<< 'const struct command cmd_record = { .name = "record" };'
	echo '#include "profiler/cmd/record.h"' > "$tree/profiler/cmd/folded.c"
	! "$root/scripts/check-layers" "$tree" > "$tree/out" || fail "a command used another"
	mv "$tree/profiler/cmd/record.c" "$tree/profiler/cmd/folded.c"
	echo '#include "profiler/cmd/target.h"' >> "$tree/profiler/cmd/folded.c"
	"$root/scripts/check-layers" "$tree" > "$tree/out" || fail "a shared file was refused"
}

test_sizes()
{
	put proto/a.c < <(function_of 70)
	expect_sizes good "a function of 70 lines"
	put proto/a.c < <(function_of 71)
	expect_sizes bad "a function of 71 lines"
	put proto/a.c < <(yes '/* */' | head -n 599)
	expect_sizes good "599 lines"
	put proto/a.c < <(yes '/* */' | head -n 600)
	expect_sizes bad "600 lines"
	put proto/a.h < <(yes '/* */' | head -n 150)
	expect_sizes bad "a header of 150 lines"
	put bpf/a.bpf.h < <(yes '/* */' | head -n 150)
	expect_sizes good "BPF code of 150 lines in a header"
}

test_directions
test_libraries
test_skeletons
test_commands
test_sizes
echo "$cases cases"
