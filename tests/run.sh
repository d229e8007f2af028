#!/bin/sh
# Runs every test there is and counts them. `make check` calls it from the root of the tree, after the release and the
# sanitizer builds. Output of each test is kept in build/check; that of a failing one is printed. The last line is
# "N passed, N failed, N skipped", and the exit code is 1 when anything failed.
set -u
export LC_ALL=C
unset PB_LOG PB_TEST_FAIL_ALLOC PB_TEST_FAIL_WRITE PB_HOME
if [ -z "${PB_TEST_DATA:-}" ] && [ -d ../shared/data ]; then
	PB_TEST_DATA=$(cd ../shared/data && pwd)
	export PB_TEST_DATA
fi
root=$(pwd)
jobs=$(nproc)
out=build/check
passed=0
failed=0
skipped=0
rm -rf "$out"
mkdir -p "$out"

# count PASSED FAILED SKIPPED
count() {
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
}

# show NAME FILE: the output of a failing test
show() {
	echo "--- failed: $1"
	cat "$2"
	echo "--- end of $1"
}

# run_jobs: lines "NAME COMMAND..." on stdin, each run by sh with its output in NAME.out and its exit code in NAME.exit
run_jobs() {
	tr '\n' '\0' | out=$out xargs -0 -r -n 1 -P "$jobs" sh -c '
		name=${1%% *}
		timeout -k 10 900 sh -c "${1#* }" > "$out/$name.out" 2>&1 < /dev/null
		echo $? > "$out/$name.exit"' sh
}

# summary FILE: "passed failed skipped" from what cmocka printed; nothing when it did not come to its end
summary() {
	awk '/^\[==========\] [0-9]+ test\(s\) run\./ { ended = 1 }
		/^\[  PASSED  \] [0-9]+ test\(s\)/ { p += $4 }
		/^\[  FAILED  \] [0-9]+ test\(s\)/ { f += $4 }
		/^\[  SKIPPED \] [0-9]+ test\(s\)/ { s += $4 }
		END { if (ended) print p + 0, f + 0, s + 0 }' "$1"
}

# Unit tests, by their sources: a program that was left in build from a test that is gone is none.
units=$(ls tests/unit/test_*.c 2>/dev/null | sed 's|.*/||; s|\.c$||')
for config in release sanitize; do
	for unit in $units; do
		echo "$config-$unit build/$config/tests/unit/$unit"
	done
done | run_jobs
for config in release sanitize; do
	for unit in $units; do
		file=$out/$config-$unit
		code=$(cat "$file.exit")
		counts=$(summary "$file.out")
		if [ -z "$counts" ]; then
			# It crashed, ran out of time, or was not built: what ended well before is counted, the rest is one failure.
			counts="$(grep -c '^\[       OK \]' "$file.out") 1 0"
			echo "(exit code $code)" >> "$file.out"
		elif [ "$code" -ne 0 ] && [ "$(echo "$counts" | cut -d' ' -f2)" -eq 0 ]; then
			# Every test passed and the program failed: a leak, or a failing group.
			counts=$(echo "$counts" | awk '{ print $1, $2 + 1, $3 }')
			echo "(exit code $code)" >> "$file.out"
		fi
		count $counts
		[ "$(echo "$counts" | cut -d' ' -f2)" -eq 0 ] || show "$config $unit" "$file.out"
		sed -n 's/^\[  SKIPPED \] \([a-zA-Z_].*\)/\1/p' "$file.out" | sort -u | sed "s/^/skipped: $config $unit: /"
	done
done

# Saved inputs of the fuzz targets, once each, under the sanitizers.
corpora=$(ls -d tests/fuzz/corpus/*/ 2>/dev/null | sed 's|/$||; s|.*/||')
for name in $corpora; do
	echo "fuzz-$name build/sanitize/tests/fuzz/fuzz_$name tests/fuzz/corpus/$name"
done | run_jobs
for name in $corpora; do
	if [ "$(cat "$out/fuzz-$name.exit")" -eq 0 ]; then
		count 1 0 0
	else
		count 0 1 0
		show "fuzz $name" "$out/fuzz-$name.out"
	fi
done

# The command line. Each line "ok", "not ok" or "skip" is a test.
if [ -f tests/cli/run.sh ]; then
	sh tests/cli/run.sh > "$out/cli.out" 2>&1
	code=$?
	bad=$(grep -c '^not ok ' "$out/cli.out")
	count "$(grep -c '^ok ' "$out/cli.out")" "$bad" "$(grep -c '^skip ' "$out/cli.out")"
	grep -v '^ok ' "$out/cli.out"
	if [ "$bad" -eq 0 ] && [ "$code" -ne 0 ]; then
		count 0 1 0
		echo "--- failed: tests/cli/run.sh (exit code $code)"
	fi
fi

# scripts: lines "NAME PATH": each is run in a folder of its own; exit code 0 passed, 77 skipped
scripts() {
	while read -r name path; do
		echo "$name d=\$(mktemp -d) && cd \"\$d\" && PATH=\"$root/build/release:\$PATH\" PB_HOME=\"$root\" PB_SRC=\"$root\" sh \"$root/$path\"; code=\$?; cd / && rm -rf \"\$d\"; exit \$code"
	done
}
bugs=$(ls tests/bugs/*.sh 2>/dev/null | sed 's|.*/||; s|\.sh$||')
for name in $bugs; do
	echo "bug-$name tests/bugs/$name.sh"
done | scripts | run_jobs
for name in $bugs; do
	case $(cat "$out/bug-$name.exit") in
	0) count 1 0 0 ;;
	77) count 0 0 1; echo "skipped: bug $name" ;;
	*) count 0 1 0; show "bug $name" "$out/bug-$name.out" ;;
	esac
done

# Golden results: one test.
if [ -f tests/golden/run.sh ]; then
	sh tests/golden/run.sh > "$out/golden.out" 2>&1 < /dev/null
	case $? in
	0) count 1 0 0 ;;
	77) count 0 0 1; echo "skipped: golden" ;;
	*) count 0 1 0; show golden "$out/golden.out" ;;
	esac
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
