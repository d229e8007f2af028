# Methods that are trained: one training for all cells that share it, whatever the number of workers, threads and
# interruptions; what is scored is what is stored; every mistake is one line.
. "$PB_SRC/tests/cli/numbers.inc"
make_model data
export PB_DATA=data
i=0; while [ $i -lt 60 ]; do echo "the cat sees the dog $i"; echo "a bee likes the cow and the owl"; i=$((i + 1)); done > text.txt
cat > s.yaml <<'Y'
models: [{path: data/tiny.bin, name: tiny}]
quantizers:
  - svid
  - paretoq: {bits: [1, 1.58, 2, 3, 4], tokens: 2000, sequences: 4, length: 16}
  - paretoq: {bits: 2, train: no, init: [paper, mse]}
  - paretoq: {bits: 2, tokens: 1000, sequences: 4, length: 16, distill: 0.5}
  - onebit: {tokens: 2000, sequences: 4, length: 16, loss: [code, paper]}
backends: [blas, reference]
tasks: [tinystories]
training: {data: text.txt}
Y
paretobench run s.yaml -o one --jobs 1 --threads 1 --quiet; echo "exit $?"
paretobench run s.yaml -o two --jobs 3 --threads 2 --quiet; echo "exit $?"
paretobench rows one -f jsonl > one.jsonl; paretobench rows two -f jsonl > two.jsonl
numbers one.jsonl > a; numbers two.jsonl > b
grep -c '"ok"' a
cmp a b && echo "jobs and threads do not matter"
ls one/trained | wc -l; for f in one/trained/*/model/model.safetensors; do cmp $f two/${f#one/}; done
ls one/trained/* | sort | uniq -c | sed '/trained/d; /^ *[0-9]* *$/d; s/^ *//'
grep -o '"training":{.*}' one.jsonl | sed -E 's/"hash":"[0-9a-f]{64}"/HASH/; s/"loss":[^,]*/LOSS/; s/}.*/}/' | sort | uniq -c | sed 's/^ *//'
grep -o '"quantize_seconds":[^,]*' one.jsonl | grep -c null
# Killed and gone on with: the same bits. By eval, then by run, and the same from a folder that quantize writes.
long="-q paretoq:bits=1.58,tokens=24000,sequences=4,length=16 --training text.txt"
eval="paretobench eval --quiet data/tiny.bin -t tinystories --format jsonl"
ev() { $eval "$@"; }
ev $long --trained whole > rows.jsonl; numbers rows.jsonl > x
until_checkpoint() { n=0; while [ ! -s $1/*/checkpoint.safetensors ] && [ $n -lt 2000 ]; do sleep 0.005; n=$((n + 1)); done; }
($eval $long --trained killed > /dev/null & pid=$!; until_checkpoint killed; kill -9 $pid; wait $pid) 2>/dev/null
[ -e killed/*/model ] && echo "was done before it was killed"
ev $long --trained killed > rows.jsonl; numbers rows.jsonl | cmp - x && echo "kill -9 does not matter"
cmp whole/*/model/model.safetensors killed/*/model/model.safetensors
($eval $long --trained stopped 2> said & pid=$!; until_checkpoint stopped; kill -TERM $pid; wait $pid; echo "stopped $?")
sed -E 's/step [0-9]* of/step N of/; s/[0-9a-f]{64}/KEY/' said
ev $long --trained stopped > rows.jsonl; numbers rows.jsonl | cmp - x && echo "nor an end by hand"
log() { cut -d, -f1-5 $1/*/log.csv; }
log whole > y; log killed | cmp - y; log stopped | cmp - y; wc -l < y; ls killed/*
paretobench quantize data/tiny.bin $long --trained whole -o q | sed 's/:.*effective/: effective/'
paretobench inspect q | grep rule
cmp q/model.safetensors whole/*/model/model.safetensors && echo "written as it is"
paretobench eval --quiet q -t tinystories --format jsonl > rows.jsonl; numbers rows.jsonl | cut -d' ' -f5- > z; cut -d' ' -f5- x | cmp - z && echo "and read again"
paretobench logits data/tiny.bin --ids 1,2 --last $long --trained whole -b blas > l1; paretobench logits q --ids 1,2 --last -b blas | cmp - l1 && echo "logits too"
# A damaged model is made again.
for f in whole/*/model/paretobench.json; do : > $f; done
ev $long --trained whole > rows.jsonl; numbers rows.jsonl | cmp - x && echo repaired
# Who comes second waits for the first.
(ev $long --trained shared > one.rows & ev $long --trained shared > two.rows; wait)
numbers one.rows | cmp - x; numbers two.rows | cmp - x; ls shared | wc -l
paretobench help paretoq | grep needs
paretobench run s.yaml -o one --dry-run --only label="paretoq w4 tokens=2000 length=16" 2>/dev/null | head -2 | cut -c1-98
# Mistakes.
try() { "$@" > printed 2> err; code=$?; lines=$(grep -c '^paretobench: ' err); echo "$code $lines $(head -1 err)"; }
try ev -q paretoq
try ev -q onebit
try ev -q paretoq --training nofile.txt
try ev -q paretoq --training world_train
try ev -q paretoq --training text.txt --training-format words
try ev -q paretoq:train=no --training-format lines
try ev -q paretoq:bits=1,grid=seq --training text.txt
try ev -q paretoq:bits=5 --training text.txt
try ev -q paretoq:tokens=0 --training text.txt
try ev -q paretoq:learning_rate=0 --training text.txt
try ev -q paretoq:length=65 --training text.txt
try ev -q paretoq:warmup=2 --training text.txt
try ev -q paretoq:tokens=2000,sequences=4,length=16,learning_rate=10 --training text.txt --trained wild
sed -n 2p err; ls wild/*
try paretobench eval q -q onebit -t tinystories --training text.txt
echo short > short.txt
try ev -q onebit --training short.txt
try ev -q onebit --training short.txt --training-format documents
sed -i '/^training/d' s.yaml
try paretobench run s.yaml -o none
echo 'training: {text: text.txt}' >> s.yaml; try paretobench run s.yaml -o none
sed -i 's/^training.*/training: {data: text.txt, seed: 1}/' s.yaml; try paretobench run s.yaml -o none
# Widths of paretoq are a study, with a verdict on each finding that there are comparisons for.
paretobench report two -o pages --quiet > /dev/null; grep '^## \|^| [a-e] |' pages/report.md | sed -n '/ParetoQ/,/Failed/p' | cut -d'|' -f2,4-7; ls pages/figures | grep -c study
