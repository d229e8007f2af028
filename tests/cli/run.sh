#!/bin/sh
# Tests of the command line from outside. tests/cli/NAME.sh is run by sh in an empty folder of its own, with build/release first
# in PATH and PB_HOME and PB_SRC naming the root of the tree. What it must print is in NAME.stdout and NAME.stderr, exact, or in
# NAME.stdout.glob and NAME.stderr.glob, a shell pattern a line; a line "..." there stands for any number of lines. Its exit code
# is in NAME.exit. No file: no output, exit code 0. Exit code 77: skipped.
#
#   tests/cli/run.sh [--update] [NAME...]
#
# prints "ok NAME", "not ok NAME" or "skip NAME" for each, with what differs in lines that begin with '#'. --update writes
# the exact files and exit codes anew from what the tests print; patterns are left alone. PB_TEST_CONFIG=sanitize takes the
# program of that build.
set -u
export LC_ALL=C
unset PB_LOG PB_TEST_FAIL_ALLOC PB_TEST_FAIL_WRITE
cd "$(dirname "$0")/../.." || exit 1
root=$(pwd)
out=$root/build/check/cli

# match PATTERNS FILE: says in which line they differ
match() {
	n=0
	exec 3< "$1" 4< "$2"
	while IFS= read -r pattern <&3 || [ -n "$pattern" ]; do
		any=no
		while [ "$pattern" = ... ]; do
			any=yes
			# At the end of the patterns: the rest may be anything.
			IFS= read -r pattern <&3 || [ -n "$pattern" ] || return 0
		done
		while :; do
			if ! IFS= read -r line <&4 && [ -z "$line" ]; then
				echo "line $((n + 1)): missing: $pattern"
				return 1
			fi
			n=$((n + 1))
			case $line in
			$pattern) break ;;
			esac
			[ $any = yes ] && continue
			echo "line $n: $line"
			echo "does not match: $pattern"
			return 1
		done
	done
	if IFS= read -r line <&4 || [ -n "$line" ]; then
		echo "line $((n + 1)): not expected: $line"
		return 1
	fi
	return 0
}

# compare NAME STREAM: exact, by patterns, or with nothing
compare() {
	expected=tests/cli/$1.$2
	if [ -f "$expected.glob" ]; then
		match "$expected.glob" "$out/$1.$2" > "$out/$1.$2.diff" && return 0
	elif [ -f "$expected" ]; then
		diff -u "$expected" "$out/$1.$2" > "$out/$1.$2.diff" && return 0
	else
		diff -u /dev/null "$out/$1.$2" > "$out/$1.$2.diff" && return 0
	fi
	echo "# $2:"
	sed 's/^/#   /' "$out/$1.$2.diff"
	return 1
}

# renew FILE: the expected file becomes the output, or goes away when there is none
renew() {
	[ -f "tests/cli/$1.glob" ] && return
	if [ -s "$out/$1" ]; then
		cp "$out/$1" "tests/cli/$1"
	else
		rm -f "tests/cli/$1"
	fi
}

update=no
if [ "${1:-}" = --update ]; then
	update=yes
	shift
fi
if [ $# -gt 0 ]; then
	names=$*
else
	names=$(ls tests/cli/*.sh | sed 's|.*/||; s|\.sh$||' | grep -vx run)
fi
rm -rf "$out"
mkdir -p "$out"
for name in $names; do
	echo "$name"
done | root=$root out=$out xargs -r -n 1 -P "$(nproc)" sh -c '
	folder=$(mktemp -d) && cd "$folder" || exit 1
	PATH="$root/build/${PB_TEST_CONFIG:-release}:$root/build/release/tests/cli:$PATH" PB_HOME="$root" PB_SRC="$root" timeout -k 10 600 sh "$root/tests/cli/$1.sh" \
		> "$out/$1.stdout" 2> "$out/$1.stderr" < /dev/null
	echo $? > "$out/$1.code"
	cd / && rm -rf "$folder"' sh

bad=0
for name in $names; do
	code=$(cat "$out/$name.code")
	if [ "$code" -eq 77 ]; then
		echo "skip $name"
		continue
	fi
	if [ $update = yes ]; then
		if [ "$code" -eq 0 ]; then
			: > "$out/$name.exit"
		else
			echo "$code" > "$out/$name.exit"
		fi
		for file in stdout stderr exit; do
			renew "$name.$file"
		done
	fi
	expected=0
	[ -f "tests/cli/$name.exit" ] && expected=$(cat "tests/cli/$name.exit")
	fine=yes
	if [ "$code" -ne "$expected" ]; then
		fine=no
		report="# exit code $code, expected $expected"
	else
		report=
	fi
	if differences=$(compare "$name" stdout); then :; else
		fine=no
		report="$report
$differences"
	fi
	if differences=$(compare "$name" stderr); then :; else
		fine=no
		report="$report
$differences"
	fi
	if [ $fine = yes ]; then
		echo "ok $name"
	else
		echo "not ok $name"
		echo "$report" | grep .
		bad=1
	fi
done
exit $bad
