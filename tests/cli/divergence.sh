# The task kind divergence: the quantized model beside full precision, from `eval` and from runs with any number of workers; exact
# zero for the model itself; trained methods against the model before; what is refused; reports, fronts and comparisons.
. "$PB_SRC/tests/cli/numbers.inc"
make_model data
export PB_DATA=data
mkdir -p data/world
i=0; while [ $i -lt 40 ]; do echo "the cat sees the dog $i"; echo "a bee likes the cow and the owl"; i=$((i + 1)); done > data/world/test.txt
paretobench help world_divergence | sed -n '1p; 3s/;.*//p'
paretobench list tasks | grep '_divergence '
paretobench eval --quiet data/tiny.bin -t world_divergence | cut -c 1-90
paretobench eval --quiet data/tiny.bin -q rtn:bits=3 -t world_divergence -b reference -f jsonl > reference.jsonl
paretobench eval --quiet data/tiny.bin -q rtn:bits=3 -t world_divergence -f jsonl > eval.jsonl
cat > s.yaml <<'Y'
name: near
models: [{path: data/tiny.bin, name: tiny}, {path: data/tiny.bin, name: twin}]
quantizers:
  - identity
  - rtn: {bits: [2, 3, 4, 8]}
  - onebit: {tokens: 500, sequences: 4, length: 16}
tasks: [world_divergence, world_ppl]
training: {data: data/world/test.txt}
reference: {size: 4MiB, kld: 10}
expect: [{better: {rtn: {bits: 8}}, worse: {rtn: {bits: 2}}, task: world_divergence, metric: kld, source: more bits}]
Y
paretobench run s.yaml -o one --jobs 1 --quiet; echo "exit $?"
paretobench run s.yaml -o two --jobs 3 --threads 2 --quiet; echo "exit $?"
paretobench rows one -f jsonl > one.jsonl; paretobench rows two -f jsonl > two.jsonl
numbers one.jsonl | grep '"ok"' > a; numbers two.jsonl | grep '"ok"' > b; cmp a b && echo "jobs and threads do not matter"
said() { numbers "$1" | cut -d' ' -f5-; }
grep '"model":"tiny".*"label":"rtn w3".*"task":"world_divergence"' one.jsonl > run.jsonl; said eval.jsonl > x; said run.jsonl | cmp - x && echo "run and eval agree"
# of LABEL METRIC: its value
of() { grep "\"model\":\"tiny\".*\"label\":\"$1\".*\"metric\":\"$2\"" one.jsonl | sed -E 's/.*"metric":"[^"]*","value":([^,]*),.*/\1/'; }
for metric in kld same_top delta_nll kld_median kld_p99 kld_p999 kld_max delta_p_rms; do echo "identity $metric $(of identity $metric)"; done
for label in 'rtn w8' 'rtn w4' 'rtn w3' 'rtn w2'; do echo "$(of "$label" kld)"; done | sort -g -c && echo "less with more bits"
[ "$(of 'onebit[^"]*' kld)" ] && echo "trained"
awk -v a="$(of 'rtn w2' nll)" -v b="$(of identity nll)" -v d="$(of 'rtn w2' delta_nll)" 'BEGIN { e = a - b - d; print (e < 1e-6 && e > -1e-6 ? "the losses differ by delta_nll" : a " " b " " d) }'
join() { sed -E 's/.*"metric":"([^"]*)","value":([^,]*),.*/\1 \2/' "$1" | sort; }
join reference.jsonl > x; join eval.jsonl > y; paste -d' ' x y | awk '{ e = $2 - $4; if (e > 1e-4 || e < -1e-4) print }'
# Fronts are of one model each; the value has no seconds of its own.
paretobench report one -o page --quiet --y world_divergence > said; echo "exit $?"
grep -c '^world_divergence,.*,kld,.*,true,' page/fronts.csv
sed -n 's/^| Front .* | \([^|]* kld[^|]*\) |.*/\1/p' page/report.md
grep -o 'no point of one model dominates one of another' page/report.md
paretobench report one -o refused --y world_divergence:kld --x bits 2>&1 | head -1; ls refused 2>&1 | grep -c report
paretobench run s.yaml -o single --quiet --only model=tiny
paretobench report single -o page2 --quiet --y world_divergence --x bits > said; echo "exit $?"
grep -o 'its value named in the sweep' page2/report.md
paretobench compare one two | sed -n '3p; /^untested/,/^$/p'
# Two models run: the cost counts the text twice, beside what a cell costs anyhow.
for task in world_ppl world_divergence; do
	sed "s/^tasks:.*/tasks: [$task]/; s/^reference.*//; s/^expect.*//" s.yaml > cost.yaml
	paretobench run cost.yaml -n -o none | sed -n "s/^ *1  identity.* \([0-9.]* ms\)  .*/$task \1/p"
done
# What is refused: the task alone fails, with one line.
paretobench quantize data/tiny.bin -q rtn -o q > said
sed -i 's/models: .*/models: [{path: q, tokenizer: data\/tokenizer.bin, name: q}]/; /rtn: {bits: \[/d; /onebit/d; /^expect/d; /^training/d' s.yaml
paretobench run s.yaml -o three --quiet; echo "exit $?"
paretobench rows three -f jsonl | sed -E 's/.*"status":("[^"]*"),"reason":("[^"]*"|null),.*"task":("[^"]*").*"metric":("[^"]*"|null),.*/\1 \2 \3 \4/'
paretobench eval data/tiny.bin -t world_divergence --protocol lmeh 2>&1 | sed 's/;.*//'
paretobench eval data/tiny.bin -t world_divergence --protocol gptq-wt2@16 --quiet -f jsonl | sed -n 's/.*"protocol":"\([^"]*\)".*"metric":"kld","value":\([^,]*\),.*/\1 \2/p'
