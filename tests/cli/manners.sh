# What a careless user types: one clear line, the exit code of the contract, nothing lost and nothing left behind.
make_model data
try() { "$@" > out 2> err; code=$?; echo "$code $(head -1 err | sed "s#$PWD/##g")"; }
try paretobench run none.yaml
try paretobench run data
try paretobench eval '' -t piqa
try paretobench eval data/tiny.bin -t piqa,piqa
try paretobench eval data/tiny.bin -tpiqa -vzv
try paretobench eval data/tiny.bin -tpiqa --quiet=yes
try paretobench report data -o ''
try paretobench help blas.nosuch
try paretobench tokenize data/tiny.bin < data
try paretobench tokenize data/tiny.bin --whole <&-
for name in '""' a/b ../x '"a\nb"' .hidden; do
	printf 'name: %s\nmodels: [data/tiny.bin]\nquantizers: [rtn]\ntasks: [piqa]\n' "$name" > named.yaml
	try paretobench run named.yaml
done
paretobench quantize data/tiny.bin -q rtn -o quantized > /dev/null
try paretobench quantize quantized -q rtn -o again
[ -e again ] || echo "nothing left behind"

# A name may hold anything; a line stays a line.
printf 'models: [{path: data/tiny.bin, name: "a\\nb"}]\nquantizers: [rtn]\ntasks: [piqa]\n' > lines.yaml
paretobench run lines.yaml -o lines --data data 2>&1 | grep -c '^   1  rtn w4                       a b '
paretobench run lines.yaml --data data --dry-run 2> /dev/null | wc -l
paretobench rows lines lines 2>&1

# Without its data no cell can run: said once. What was measured before is not lost by that, nor measured again.
cat > s.yaml <<'Y'
models: [{path: data/tiny.bin, name: tiny}]
quantizers: [identity, rtn: {bits: [2, 3]}]
tasks: [piqa]
Y
paretobench run s.yaml -o out1 --data data --quiet; echo "exit $?"
paretobench rows out1 -f csv > before
paretobench run s.yaml -o out1 2> err; echo "exit $?"; grep -c 'cannot run: piqa: data not found' err; tail -1 err
paretobench rows out1 -f csv | awk -F, 'NR > 1 { print $4 }' | sort | uniq -c | awk '{ print $2, $1 }'
paretobench run s.yaml -o out1 --data data 2>&1 | grep 'earlier run'
paretobench rows out1 -f csv > after
cmp before after && echo "as before"

# Killed before the first write: the next run begins there. Another program's database is left alone.
mkdir early other; : > early/results.db
try paretobench rows early
paretobench run s.yaml -o early --data data --quiet; echo "exit $?"
printf 'not a database, but long enough to be read as the header of one, and then some more of it' > other/results.db
try paretobench run s.yaml -o other --data data --quiet

# The log has every cell, quiet or not, and its bad name is told once.
PB_LOG=log paretobench run s.yaml -o logged --data data --quiet; grep -c '"event":"cell [0-9a-f]* finished: ' log
PB_LOG=data paretobench list backends 2>&1 > /dev/null | wc -l

# A program without standard descriptors.
paretobench run s.yaml -o closed --data data --quiet <&- >&- 2>&-
echo "exit $?"; paretobench rows closed -f csv | wc -l

# Interrupted, with the whole process group: no cell has failed by that, and the command that goes on is as it was typed.
cat > long.yaml <<'Y'
models: [{path: data/tiny.bin, name: tiny}]
quantizers: [rtn: {bits: [2, 3, 4, 5, 6, 8], group_size: [-1, 4, 8, 16]}]
seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
backends: [reference]
tasks: [piqa]
Y
for signal in TERM HUP; do
	rm -rf "in t"
	setsid sh -c 'echo $$ > pid; exec paretobench run long.yaml -o "in t" --data data --jobs 2 --threads 1' 2> err & waited=$!
	n=0; while ! [ -s "in t/results.db" ] && [ $n -lt 500 ]; do sleep 0.01; n=$((n + 1)); done
	sleep 0.2; kill -s $signal -- "-$(cat pid)"; wait $waited; echo "exit $?"
	tail -1 err
	paretobench rows "in t" --status failed -f csv | wc -l
done

# What a model cannot do is known before any work: skipped, said once, not tried.
try paretobench eval data/tiny.bin -tpiqa --form csv
printf 'models: [{path: quantized, name: q}]\nquantizers: [identity, rtn: {bits: [2, 3]}]\ntasks: [piqa]\n' > again.yaml
paretobench run again.yaml -o again1 --data data 2> err; echo "exit $?"; grep -c '^paretobench: 2 of 3 cells are skipped: rtn: q is quantized already\|^paretobench: 2 of 3 cells are skipped: rtn: quantized is quantized already' err; grep -c '^skipped   2$' err
