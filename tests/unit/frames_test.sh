#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Unwind tables say what readelf and llvm-dwarfdump say, row by row, of real files of this machine and
# of programs built by what compilers and linkers there are.  (scripts/check-frames takes any file; a
# gigabyte of libraries takes a minute.)
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v python3 > /dev/null || ! command -v readelf > /dev/null; then
	echo "python3 and readelf are needed"
	exit 77
fi
if [ ! -x build/bench/frame_table ]; then
	echo "build/bench/frame_table is not built: make build/bench/frame_table"
	exit 77
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Frames that are realigned, of unknown size, thrown through; and some of the library's templates.
cat > "$folder/frames.cc" << 'END'
#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

struct alignas(64) wide {
	double numbers[8];
};

__attribute__((noinline)) static double realigned(const wide &value, int cnt)
{
	wide copies[4];
	char *bytes = static_cast<char *>(__builtin_alloca(cnt + 1));
	double sum = 0;

	bytes[0] = static_cast<char>(cnt);
	for (auto &copy : copies)
		copy = value;
	for (auto &copy : copies)
		sum += copy.numbers[cnt & 7] + bytes[0];
	if (sum > 1e9)
		throw std::runtime_error("sum");
	return sum;
}

int main(int cnt, char **)
{
	std::vector<std::string> names;
	wide value{};

	for (int i = 0; i < cnt + 100; i++)
		names.push_back(std::to_string(i * 7919 % 101));
	std::sort(names.begin(), names.end());
	try {
		std::printf("%f %s\n", realigned(value, cnt), names[3].c_str());
	} catch (const std::exception &error) {
		std::puts(error.what());
	}
}
END
cat > "$folder/frames.rs" << 'END'
use std::collections::HashMap;

fn main() {
    let map: HashMap<String, u64> = (0..1000).map(|i| ((i * 7919 % 997).to_string(), i)).collect();
    let mut pairs: Vec<_> = map.into_iter().collect();
    pairs.sort();
    println!("{:?}", &pairs[..3]);
}
END

files=()

# add NAME COMMAND...: the program NAME, where the command can build it
add()
{
	local name=$1
	shift
	if command -v "$1" > /dev/null && "$@" -o "$folder/$name" > /dev/null 2>&1; then
		files+=("$folder/$name")
	fi
}

add gcc g++ -O2 -w "$folder/frames.cc"
add gcc-static g++ -O3 -w -static "$folder/frames.cc"
add clang clang++ -O2 -w "$folder/frames.cc"
add clang-lld clang++ -O3 -mavx -w -fuse-ld=lld "$folder/frames.cc"
add clang-mold clang++ -O2 -w -fuse-ld=mold "$folder/frames.cc"
add rust rustc -O "$folder/frames.rs"
built=${#files[@]}

for file in /lib64/ld-linux-x86-64.so.2 /lib/x86_64-linux-gnu/libc.so.6 \
	/usr/lib/x86_64-linux-gnu/libstdc++.so.6 /usr/lib/x86_64-linux-gnu/libcrypto.so.3; do
	[ ! -e "$file" ] || files+=("$file")
done
if [ ${#files[@]} -eq 0 ]; then
	echo "there is no file to compare: not x86-64?"
	exit 77
fi

status=0
./scripts/check-frames "${files[@]}" || status=1
if command -v llvm-dwarfdump > /dev/null; then
	./scripts/check-frames --tool llvm-dwarfdump "${files[@]}" || status=1
fi
[ "$status" -eq 0 ] || exit 1
echo "${#files[@]} files, $built of them built here"
