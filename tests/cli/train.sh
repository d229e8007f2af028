# Training: the model, any threads, interruption and kill -9 to the same bits, going on from a model, and what is refused.
recipe() { # NAME STEPS MORE-OF-TRAIN
	cat > $1.yaml <<Y
model: {dim: 16, layers: 1, heads: 2}
data: {world: small}
train: {steps: $2, sequences: 4, length: 32, learning_rate: 1e-2, warmup: 4$3}
save_every: 4
Y
}
recipe a 60
paretobench train a.yaml --threads 1 --quiet; echo "train $?"
ls out/a
head -1 out/a/log.csv; tail -1 out/a/log.csv | cut -d, -f1-2
paretobench inspect out/a | head -3
paretobench eval out/a -t world_facts --limit 5 --data none 2>&1 | head -1
paretobench train a.yaml -o b --threads 2 --quiet && cmp out/a/model.safetensors b/model.safetensors && echo "threads do not matter"
paretobench train a.yaml -o b 2>&1 | head -1
numbers() { cut -d, -f1-6 "$1/log.csv"; }
until_checkpoint() { n=0; while [ ! -s "$1/checkpoint.safetensors" ] && [ $n -lt 2000 ]; do sleep 0.005; n=$((n + 1)); done; }
recipe long 400
paretobench train long.yaml -o whole --quiet
(paretobench train long.yaml -o killed --quiet & pid=$!; until_checkpoint killed; kill -9 $pid; wait $pid) 2>/dev/null
[ -e killed/model.safetensors ] && echo "was done before it was killed"
paretobench train long.yaml -o killed --quiet; echo "again $?"
cmp whole/model.safetensors killed/model.safetensors && echo "kill -9 does not matter"
numbers whole > x; numbers killed | cmp x - && echo "nor for the log"
(paretobench train long.yaml -o stopped --progress never 2> said & pid=$!; until_checkpoint stopped; kill -TERM $pid; wait $pid; echo "stopped $?")
sed 's/step [0-9]*/step N/' said
paretobench train long.yaml -o stopped --quiet; cmp whole/model.safetensors stopped/model.safetensors && echo "nor an end by hand"
numbers stopped | cmp x - && echo "nor for its log"
cat > more.yaml <<'Y'
from: out/a
data: {world: small}
train: {steps: 5, sequences: 4, length: 32, learning_rate: 1e-9}
dtype: f32
Y
paretobench train more.yaml --quiet; echo "from a model $?"
tail -qn 1 out/a/log.csv out/more/log.csv | awk -F, '{ loss[NR] = $6 } END { d = loss[1] - loss[2]; print (d < 0.01 && d > -0.01 ? "goes on from its loss" : "begins elsewhere") }'
refused() { paretobench train "$@" 2>&1; echo "exit $?"; }
refused gone.yaml
refused a.yaml -o whole
recipe wild 60 ', clip: 0, weight_decay: 0, init: 1'
sed -i 's/1e-2/10/; s/save_every: 4/save_every: 2/' wild.yaml
refused wild.yaml -o wild --quiet | sed 's/step [0-9]*: diverged: a loss of [0-9.e+]*/step N: diverged: a loss of X/'
grep '"status"' wild/train.json; ls wild
sed 's/model: {/model: {vocab: 100, /' a.yaml > small.yaml; refused small.yaml -o small
sed 's/length: 32/length: 400/; s/model: {/model: {context: 300, /' a.yaml > context.yaml; refused context.yaml -o context
printf 'a few words\n' > few; cp out/a/tokenizer.json .
printf 'model: {dim: 16, layers: 1, heads: 2}\ndata: {train: few, tokenizer: tokenizer.json}\ntrain: {length: 256}\n' > few.yaml; refused few.yaml
printf 'x' > none; sed 's/few,/none,/; s/tokenizer.json/none/' few.yaml > none.yaml; refused none.yaml
for n in 1 2 3 5 8 13; do PB_TEST_FAIL_WRITE=$n paretobench train a.yaml -o full --quiet 2>&1 | tail -1; done
paretobench train a.yaml -o full --quiet && cmp out/a/model.safetensors full/model.safetensors && echo "a full disk costs nothing"
mkdir locked; (flock 9; paretobench train a.yaml -o locked 2>&1; echo "exit $?") 9> locked/train.lock
