# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Sourced by scripts that take packages from Debian's archive without installing them: an apt of
# their own, below a folder of theirs.  The host's lists, sources, architectures and state stay as
# they are, and none of it needs root.

readonly private_apt_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# private_apt_set FOLDER ARCHITECTURE SUITE...: what the others work with
private_apt_set()
{
	private_apt_folder=$1
	private_apt_architecture=$2
	shift 2
	private_apt_suites=("$@")
}

# private_apt get|cache ARGUMENT...
private_apt()
{
	local command=$1 folder=$private_apt_folder
	shift
	"apt-$command" -o Dir::Etc::sourcelist="$folder/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null -o Dir::State="$folder/state" \
		-o Dir::State::status="$folder/status" -o Dir::Cache="$folder/cache" \
		-o APT::Architecture="$private_apt_architecture" \
		-o APT::Architectures="$private_apt_architecture" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o Acquire::Check-Valid-Until=false "$@"
}

# The host's mirror of Debian, if it has one.
private_apt_mirror()
{
	local uri
	uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null |
		grep -oE 'https?://[^ ]*/debian/?( |$)' | head -n 1 | tr -d ' ') || true
	echo "${uri:-http://deb.debian.org/debian}"
}

# private_apt_update URI: lists of that of Debian; its security archive stands beside it
private_apt_update()
{
	local suite uri=${1%/} folder=$private_apt_folder
	mkdir -p "$folder"/state/lists/partial "$folder"/cache/archives/partial
	: > "$folder/status"
	for suite in "${private_apt_suites[@]}"; do
		echo "deb [signed-by=$private_apt_keyring] $uri $suite main"
		case $suite in
		*-backports) ;;
		*) echo "deb [signed-by=$private_apt_keyring] $uri-security $suite-security main" ;;
		esac
	done > "$folder/sources.list"
	# A suite that has left for archive.debian.org fails; the others are there nevertheless.
	private_apt get update > "$folder/log" 2>&1 || true
}
