# Reports of training logs, alone and beside a run: what is written, that it is the same each time, what is refused.
head=step,tokens,loss,gradient_norm,learning_rate,validation_loss,seconds
# training DIR NAME PARAMETERS STATUS REASON
training() {
	mkdir -p "$1"
	printf '%s\n' $head 0,0,,,,7.5,0.1 10,10240,5.5,1.25,0.001,,1.5 20,20480,4.5,1,0.0005,4.25,3 > "$1/log.csv"
	printf '{"name":"%s","parameters":%s,"matrix_parameters":20000,"steps":20,"tokens":20480,"tokens_per_second":6826.7,"final_loss":4.5,"validation_loss":4.25,"status":"%s","reason":"%s"}\n' \
		"$2" "$3" "$4" "$5" > "$1/train.json"
}
training s micro-s 30000 done ''
training m micro-m 480000 diverged 'loss is not finite at step 21'
training l micro-m 990000 running ''

# One: beside its log.
paretobench report s
ls s s/figures
grep -o '<h1>[^<]*</h1>\|<h2 id="[a-z]*">' s/report.html
sed -n '/^| Name/,/^$/p' s/report.md

# Several, twice: the same bytes, in any order of the arguments. A name that two have gets its folder.
paretobench report s m l -o page1; paretobench report l s m -o page2
diff -r page1 page2 && echo "pages twice"
cat page1/training.csv

# Beside a run, and both in one folder.
make_model data
printf 'models: [data/tiny.bin]\nquantizers: [identity, rtn]\ntasks: [piqa]\nreference: {size: 4MiB, acc: 0.25}\n' > s.yaml
paretobench run s.yaml -o run --data data --quiet
paretobench report run m -o page3
ls page3
grep -o '<h2 id="[a-z]*">' page3/report.html
# The corner of volumes is the sweep's; axes by name.
grep -o "the reference, .* and .*: how" page3/report.md; cut -d, -f14,15 page3/pairs.csv | sort -u
paretobench report run -o page5 --x bits --z params --y piqa:acc_norm > /dev/null; sed -n 's/.*\("bits, [^"]*"\).*/\1/p' page5/fronts.csv | sort -u
for axis in "--x weight" "--y size" "--y piqa --x acc" "--x bits --z bits"; do paretobench report run -o page6 $axis 2>&1 | head -1; done; [ -e page6 ] && echo "a folder of nothing"
cp s/log.csv s/train.json run
paretobench report run
grep -c '2 cells of .* 1 training: 1 done.' run/report.html

# As `train` writes them.
for n in 3 5; do
	printf 'model: {dim: 16, layers: 1, heads: 2}\ndata: {world: small}\ntrain: {steps: %s, sequences: 4, length: 32}\n' $n > t$n.yaml
	paretobench train t$n.yaml -o t$n --quiet
done
paretobench report t3 t5 -o page4
sed 's/,.*//' page4/training.csv | sort | uniq -c | awk '{ print $1, $2 }'
grep -c '^- training t[35]: [35] steps, .* trained by paretobench ' page4/report.md

# Refused in one line, with the file and its line.
try() { "$@" > out 2> err; code=$?; echo "$code $(wc -l < err) $(head -1 err)"; }
try paretobench report data
try paretobench report s nowhere
try paretobench report s m s
broken() { cp "$1" bad/log.csv; try paretobench report bad -o nothing; }
mkdir bad; cp s/log.csv bad
try paretobench report bad
cp s/train.json bad; rm bad/log.csv
try paretobench report bad
cut -d, -f1-5,7 s/log.csv > log; broken log
sed 's/5\.5/nan/' s/log.csv > log; broken log
sed 's/0\.0005/small/' s/log.csv > log; broken log
head -c -3 s/log.csv > log; broken log
head -c -1 s/log.csv > log; broken log
(cat s/log.csv; echo 15,30720,4,1,1,,4) > log; broken log
: > log; broken log
head -c 4000 /dev/zero > log; broken log
cp s/log.csv bad; sed 's/"done"/"halted"/' s/train.json > bad/train.json
try paretobench report bad
head -c 40 s/train.json > bad/train.json
try paretobench report bad
[ -e nothing ] || echo "nothing left behind"
