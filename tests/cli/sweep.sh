# A sweep: dry run, run, resume, any number of workers, and a runner that is killed in the middle.
. "$PB_SRC/tests/cli/numbers.inc"
make_model data
cat > s.yaml <<'Y'
models: [{path: data/tiny.bin, name: tiny}]
quantizers: [identity, rtn: {bits: [2, 3, 4], group_size: [-1, 16]}, kbit: {type: [int, nf4]}]
tasks: [tinystories, piqa]
Y
export PB_DATA=data
paretobench run s.yaml -o dry --dry-run --quiet | tail -1 | sed 's/, about.*//'
[ -e dry ] || echo "dry run leaves nothing"
paretobench run s.yaml -o one --jobs 1 --quiet; echo "exit $?"
paretobench run s.yaml -o two --jobs 2 --threads 2 --quiet; echo "exit $?"
paretobench rows one -f jsonl > one.jsonl; paretobench rows two -f jsonl > two.jsonl
numbers one.jsonl > a; numbers two.jsonl > b
wc -l < a
cmp a b && echo "jobs do not matter"
paretobench run s.yaml -o one 2>&1 | grep 'earlier run'
(paretobench run s.yaml -o killed --jobs 1 --quiet & pid=$!; n=0; while [ ! -s killed/results.db ] && [ $n -lt 1000 ]; do sleep 0.01; n=$((n + 1)); done; sleep 0.1; kill -9 $pid; wait $pid) 2>/dev/null
paretobench run s.yaml -o killed --quiet; echo "exit $?"
paretobench rows killed -f jsonl > killed.jsonl; numbers killed.jsonl > c
cmp a c && echo "kill -9 does not matter"
paretobench run s.yaml -o part --only quantizer=identity --quiet && paretobench rows part -f csv | wc -l
cat > bound.yaml <<'Y'
models: [{path: data/tiny.bin, name: tiny}]
quantizers: [squeezellm: {sensitivity: none, outliers: 1, rule: [paper, code]}]
tasks: [tinystories]
Y
paretobench run bound.yaml --dry-run --quiet -o none | sed -n 's/.* blas *\(.*KiB\) .*/\1/p'
