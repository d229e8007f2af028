# vptq on a whole model: the same for any number of workers and threads, in effective bits near what was asked for, with every
# part in the ledger.
. "$PB_SRC/tests/cli/numbers.inc"
make_model data
export PB_DATA=data
for i in 1 2 3 4 5 6 7 8 9; do echo "the cat sees the dog $i"; echo "a bee likes the cow and the owl"; done > text.txt
cat > s.yaml <<'Y'
models: [{path: data/tiny.bin, name: tiny}]
quantizers: [vptq: {bits: [2, 3]}, "vptq:length=2,centroids=4,residual=2,groups=2,outliers=5,norm=minmax"]
tasks: [tinystories]
calibration: {data: text.txt, n_samples: 12, seq_len: 48}
Y
paretobench run s.yaml -o one --jobs 1 --threads 1 --quiet; echo "exit $?"
paretobench run s.yaml -o two --jobs 2 --threads 3 --quiet; echo "exit $?"
for run in one two; do paretobench rows $run -f jsonl > $run.jsonl; numbers $run.jsonl > $run.numbers; done
wc -l < one.numbers
cmp one.numbers two.numbers && echo "jobs and threads do not matter"
cal="--calibration text.txt --n-samples 12 --seq-len 48"
paretobench quantize data/tiny.bin -q vptq:length=2,centroids=4,residual=2,groups=2,outliers=5,norm=minmax -o q $cal | head -2
paretobench inspect q --ledger | awk '/layers.1.mlp.down_proj/ { print $2, $3, $4, $5 }'
paretobench eval data/tiny.bin -q vptq:length=8,centroids=4096 $cal -t tinystories 2>&1; echo "exit $?"
paretobench eval data/tiny.bin -q vptq -t tinystories 2>&1; echo "exit $?"
