# Calibration: measured once for all cells and whatever the number of workers, kept over a kill, the same from ready
# tensors; every mistake is one line.
. "$PB_SRC/tests/cli/numbers.inc"
make_model data
export PB_DATA=data
P=$PB_SRC/build/${PB_TEST_CONFIG:-release}/tests/plugins/watcher.so
for i in 1 2 3 4 5 6 7 8 9; do echo "the cat sees the dog $i"; echo; echo "a bee likes the cow and the owl"; done > text.txt
cat > s.yaml <<'Y'
models: [{path: data/tiny.bin, name: tiny}]
quantizers: [identity, watcher: {sequential: [false, true], gradients: [false, true]}, "watcher:activations=false,gradients=true"]
tasks: [tinystories, piqa]
calibration: {data: text.txt, n_samples: 20, seq_len: 48}
Y
paretobench run s.yaml -o one --plugin "$P" --jobs 1 --quiet; echo "exit $?"
paretobench run s.yaml -o two --plugin "$P" --jobs 3 --threads 2 --quiet; echo "exit $?"
paretobench rows one -f jsonl > one.jsonl; paretobench rows two -f jsonl > two.jsonl
numbers one.jsonl > a; numbers two.jsonl > b
wc -l < a
cmp a b && echo "jobs do not matter"
grep '"nll"' a | cut -d' ' -f6 | sort -u | wc -l
ls one/calibration | sed 's/^[0-9a-f]*\.//'
for f in one/calibration/*; do cmp "$f" "two/calibration/${f##*/}"; done
grep -o '"calibration":.*}' one.jsonl | sed -E 's/"hash":"[0-9a-f]{64}"/HASH/' | sort | uniq -c | sed 's/^ *//'
(paretobench run s.yaml -o killed --plugin "$P" --jobs 1 --quiet & pid=$!; n=0; while [ ! -e killed/calibration ] && [ $n -lt 1000 ]; do sleep 0.01; n=$((n + 1)); done; kill -9 $pid; wait $pid) 2>/dev/null
mkdir -p killed/calibration; touch killed/calibration/.paretobench-1-1.tmp
paretobench run s.yaml -o killed --plugin "$P" --quiet; echo "exit $?"
ls -A killed/calibration | grep -c tmp
paretobench rows killed -f jsonl > killed.jsonl; numbers killed.jsonl > c
cmp a c && echo "kill -9 does not matter"
paretobench help watcher --plugin "$P" | grep needs
# Other text, another cell; the same from `eval`, and from ready tensors with its own key.
cp one/calibration/*.inputs.safetensors inputs.safetensors
ev() { paretobench eval --quiet data/tiny.bin --plugin "$P" "$@" -t tinystories --format jsonl; }
said() { numbers rows.jsonl | cut -d' ' -f5-; }
ev -q watcher --calibration text.txt --n-samples 20 --seq-len 48 > rows.jsonl; said > text; numbers rows.jsonl | cut -d' ' -f1 > key
grep '"gradients":false,"sequential":false' one.jsonl | grep tinystories > rows.jsonl; said | cmp - text && echo "run and eval agree"
ev -q watcher --calibration inputs.safetensors > rows.jsonl; said | cmp - text && echo "ready tensors"
numbers rows.jsonl | cut -d' ' -f1 | cmp -s - key || echo "have a key of their own"
ev -q watcher --calibration text.txt --n-samples 20 --seq-len 47 > rows.jsonl; said | cmp -s - text || echo "settings matter"
paretobench quantize data/tiny.bin --plugin "$P" -q watcher -o q --calibration text.txt --n-samples 20 --seq-len 48 > said
paretobench eval --quiet q -t tinystories --format jsonl > rows.jsonl; said | cmp - text && echo quantized
grep -c '"seq_len": 48' q/paretobench.json
# Mistakes.
try() { "$@" > out 2> err; code=$?; lines=$(grep -c '^paretobench: ' err); echo "$code $lines $(head -1 err)"; }
try ev -q watcher
try ev -q watcher --calibration nofile.txt
try ev -q watcher --calibration world_calib
try ev -q watcher --calibration text.txt --seq-len 65
try ev -q watcher --calibration text.txt --seq-len 1
try ev -q watcher --calibration text.txt --n-samples 0
try ev -q watcher --calibration text.txt --calibration-format words
try ev -q watcher --n-samples 5
try ev -q watcher --calibration text.txt --calibration-format documents
echo short > short.txt
try ev -q watcher --calibration short.txt
try ev -q watcher:sequential=true --calibration inputs.safetensors
try ev -q watcher:gradients=true --calibration inputs.safetensors
try ev -q watcher --calibration data/hf/model.safetensors
head -c 1000 inputs.safetensors > cut.safetensors
try ev -q watcher --calibration cut.safetensors
sed -i '/^calibration/d' s.yaml
try paretobench run s.yaml -o none --plugin "$P"
