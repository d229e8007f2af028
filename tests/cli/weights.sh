# The task weights: what quantization did to the matrices, without data; with calibration data their proxy error, the same from
# `eval` and from runs with any number of workers, and in the key of its cells; trained methods against the model before.
. "$PB_SRC/tests/cli/numbers.inc"
make_model data
export PB_DATA=data
i=0; while [ $i -lt 60 ]; do echo "the cat sees the dog $i"; echo "a bee likes the cow and the owl"; i=$((i + 1)); done > text.txt
paretobench help weights | sed -n '1p; 3s/;.*//p'
paretobench list tasks | grep '^weights'
paretobench eval --quiet data/tiny.bin -q rtn:bits=2 -t weights | cut -c 1-90
cat > s.yaml <<'Y'
models: [{path: data/tiny.bin, name: tiny}]
quantizers:
  - identity
  - rtn: {bits: [2, 4]}
  - gptq: {bits: 2}
  - paretoq: {bits: 2, tokens: 500, sequences: 4, length: 16}
  - onebit: {tokens: 500, sequences: 4, length: 16}
tasks: [weights]
training: {data: text.txt}
calibration: {data: text.txt, n_samples: 8, seq_len: 48}
Y
paretobench run s.yaml -o one --jobs 1 --quiet; echo "exit $?"
paretobench run s.yaml -o two --jobs 3 --threads 2 --quiet; echo "exit $?"
paretobench rows one -f jsonl > one.jsonl; paretobench rows two -f jsonl > two.jsonl
numbers one.jsonl | grep '"ok"' > a; numbers two.jsonl | grep '"ok"' > b; cmp a b && echo "jobs and threads do not matter"
cut -d' ' -f2,4,5 a | sort | uniq -c | sed 's/^ *//'
paretobench rows one --status skipped -f jsonl | sed 's/.*"reason":\("[^"]*"\).*/\1/'
grep -c '"task":"weights".*"calibration":{.*"n_samples":8' one.jsonl
said() { numbers "$1" | cut -d' ' -f5-; }
paretobench eval --quiet data/tiny.bin -q rtn:bits=2 -t weights --calibration text.txt --n-samples 8 --seq-len 48 -f jsonl > eval.jsonl
grep '"label":"rtn w2' one.jsonl > run.jsonl; said eval.jsonl > x; said run.jsonl | cmp - x && echo "run and eval agree"
# Other calibration data are other cells; they change the proxy error alone.
sed -i 's/n_samples: 8/n_samples: 9/' s.yaml
paretobench run s.yaml -o one --quiet; echo "exit $?"
paretobench rows one -f jsonl > one.jsonl; grep '"label":"rtn w2' one.jsonl | grep -v '"stale"' > run.jsonl
said run.jsonl | diff x - | grep -c '^[<>] "proxy_error"'; said run.jsonl | diff x - | grep -c '^[<>] "relative'
paretobench report one -o page --quiet > said; ls page | grep -c report
# Mistakes.
paretobench quantize data/tiny.bin -q rtn -o q > said
paretobench eval --quiet q -t weights > said; echo "exit $?"
paretobench eval data/tiny.bin -t weights --protocol lmeh 2>&1; echo "exit $?"
printf 'task: w\noutput_type: weights\nmetric_list: [proxy_error]\n' > w.yaml
paretobench eval --quiet data/tiny.bin -t w.yaml 2>&1 > said; echo "exit $?"
printf 'task: w\noutput_type: weights\ndata_files: [{file: x.jsonl}]\n' > w.yaml
paretobench eval --quiet data/tiny.bin -t w.yaml 2>&1; echo "exit $?"
