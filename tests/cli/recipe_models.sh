# Models of a sweep that are trained first: by a recipe or a share of its steps, kept by what they are made of, gone on with after
# a kill, with settings of their own; what they were trained on is in their rows; every mistake is one line with its place.
. "$PB_SRC/tests/cli/numbers.inc"
paretobench world --size small -o data --quiet
export PB_DATA=data
cat > r.yaml <<'Y'
name: little
model: {dim: 16, layers: 1, heads: 2}
data: {train: data/world/validation.txt, tokenizer: data/world/tokenizer.json}
train: {steps: 200, sequences: 4, length: 32, learning_rate: 1e-2, warmup: 20}
save_every: 4
Y
cat > s.yaml <<'Y'
models:
  - {recipe: r.yaml, share: 0.9, quantizers: [identity, paretoq: {tokens: 2560, sequences: 4, length: 32}]}
  - {recipe: r.yaml, share: 0, seeds: [0, 1], quantizers: [paretoq: {tokens: 2560, sequences: 4, length: 32}]}
  - {recipe: r.yaml, name: whole}
quantizers: [rtn]
tasks: [world_ppl: {limit: 5}, weights]
training: {data: data/world/validation.txt}
calibration: {data: data/world/validation.txt, n_samples: 2, seq_len: 32}
Y
paretobench run s.yaml -o one --dry-run | cut -c1-110
paretobench run s.yaml -o one --jobs 1 --threads 1 --quiet; echo "exit $?"
paretobench run s.yaml -o two --jobs 3 --threads 2 --quiet; echo "exit $?"
paretobench rows one -f jsonl --metric nll > one.jsonl; paretobench rows two -f jsonl --metric nll > two.jsonl
numbers one.jsonl > a; numbers two.jsonl > b; cmp a b && echo "jobs and threads do not matter"
grep -o '"model":"[^"]*"\|"seed":[0-9]*\|"calibration":.*' one.jsonl | sed -E 's/"hash":"[0-9a-f]{64}"/HASH/; s/"loss":[^,]*/LOSS/; s/,"seed.*//' | paste -sd' \n' | tr -s ' '
paretobench rows one -f jsonl | grep -o '"calibration":.*' | sort | uniq -c | cut -c1-60
ls one/models | sed 's/-[0-9a-f]*$/-KEY/'; grep -h '"tokens"\|"steps": [0-9]*,$\|"warmup"' one/models/*/train.json | sort | uniq -c | tr -s ' '
paretobench run s.yaml -o one --dry-run | cut -c1-60
# The whole recipe is what `train` makes of it.
paretobench train r.yaml -o whole --quiet; for d in one/models/*; do cmp -s $d/model.safetensors whole/model.safetensors && echo "as train makes it"; done
until_checkpoint() { n=0; while [ ! -s $1/models/*/checkpoint.safetensors ] && [ $n -lt 2000 ]; do sleep 0.005; n=$((n + 1)); done; }
(paretobench run s.yaml -o killed --quiet & pid=$!; until_checkpoint killed; kill -9 $pid; wait $pid) 2>/dev/null
ls killed/models/*/model.safetensors 2>/dev/null
paretobench run s.yaml -o killed --quiet; echo "again $?"
paretobench rows killed -f jsonl --metric nll > k.jsonl; numbers k.jsonl | cmp - a && echo "kill -9 does not matter"
(paretobench run s.yaml -o stopped --progress never 2> said & pid=$!; until_checkpoint stopped; kill -TERM $pid; wait $pid; echo "stopped $?"); cat said
paretobench run s.yaml -o stopped --quiet --only model=whole; ls stopped/models | wc -l
paretobench run s.yaml -o stopped --quiet; paretobench rows stopped -f jsonl --metric nll > k.jsonl; numbers k.jsonl | cmp - a && echo "nor an end by hand"
# Mistakes.
try() { sed "s~^  - {recipe: r.yaml, name: whole}~  - $1~" s.yaml > t.yaml; paretobench run t.yaml -o none > printed 2> err; echo "$? $(grep -c '^paretobench: ' err) $(head -1 err)"; }
try '{recipe: none.yaml}'
try '{recipe: r.yaml, share: 1.5}'
try '{recipe: r.yaml, share: some}'
try '{path: whole, share: 0.5}'
try '{recipe: r.yaml, path: whole}'
try '{share: 0.5}'
try '{recipe: r.yaml, tokenizer: r.yaml}'
try '{recipe: r.yaml, quantizers: []}'
try '{recipe: r.yaml, quantizers: [rnt]}'
try '{recipe: r.yaml, seeds: [-1]}'
try '{recipe: r.yaml, stepps: 3}'
sed 's/steps: 200/steps: -1/' r.yaml > bad.yaml; try '{recipe: bad.yaml}'
sed 's/1e-2/10/; s/warmup: 20/warmup: 2, clip: 0, weight_decay: 0, init: 1/' r.yaml > wild.yaml; try '{recipe: wild.yaml}' | sed -E 's/step [0-9]*: diverged: a loss of [0-9.e+]*/step N: diverged: a loss of X/'
sed -n 2p err | sed -E "s/-[0-9a-f]{12}/-KEY/"
