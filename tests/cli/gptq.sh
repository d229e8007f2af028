# Methods that look at the inputs, on a whole model: the same for any number of workers and threads, at the size of round to
# nearest, plus awq's scales.
. "$PB_SRC/tests/cli/numbers.inc"
make_model data
export PB_DATA=data
for i in 1 2 3 4 5 6 7 8 9; do echo "the cat sees the dog $i"; echo "a bee likes the cow and the owl"; done > text.txt
cat > s.yaml <<'Y'
models: [{path: data/tiny.bin, name: tiny}]
quantizers: [gptq: {bits: 3, group_size: 16, sequential: [yes, no]}, "gptq:bits=2,act_order=all", "gptq:bits=2,true_sequential=yes,qep=0.5", awq: {bits: 3, group_size: 16, clip: [yes, no]}]
tasks: [tinystories]
calibration: {data: text.txt, n_samples: 12, seq_len: 48}
Y
paretobench run s.yaml -o one --jobs 1 --threads 1 --quiet; echo "exit $?"
paretobench run s.yaml -o two --jobs 2 --threads 3 --quiet; echo "exit $?"
for run in one two; do paretobench rows $run -f jsonl > $run.jsonl; numbers $run.jsonl > $run.numbers; done
wc -l < one.numbers
cmp one.numbers two.numbers && echo "jobs and threads do not matter"
grep '"nll"' one.numbers | cut -d' ' -f6 | sort -u | wc -l
cal="--calibration text.txt --n-samples 12 --seq-len 48"
for q in rtn gptq awq; do
	c=$cal; [ $q = rtn ] && c=
	paretobench quantize data/tiny.bin -q $q:bits=3,group_size=16 -o $q $c | sed -E 's/.*weights [^(]*\(([0-9]+) bytes.*/\1/' | head -1
done
paretobench inspect awq --ledger | awk '$2 == "col_scale" || /col_scale/ { n++ } END { print n " lines of col_scale" }'
paretobench eval data/tiny.bin -q gptq:act_order=all,group_size=16 $cal -t tinystories 2>&1; echo "exit $?"
paretobench eval data/tiny.bin -q gptq -t tinystories 2>&1; echo "exit $?"
