# A quantizer that is a program of the user's own: its output is what is scored, its size is what it claims and says so; every
# way to fail is one line and its own cell's.
. "$PB_SRC/tests/cli/numbers.inc"
make_model data
export PB_DATA=data TMPDIR=$PWD/tmp
mkdir tmp
R=$PB_SRC/build/${PB_TEST_CONFIG:-release}/tests/cli/rounder
i=0; while [ $i -lt 60 ]; do echo "the cat sees the dog $i"; echo "a bee likes the cow and the owl"; i=$((i + 1)); done > text.txt
printf '#!/bin/sh\n# what a user may write\nexec %s "$@"\n' "$R" > mine.sh; chmod +x mine.sh
ev() { paretobench eval --quiet data/tiny.bin -t tinystories --format jsonl "$@"; }
ev -q external:program=./mine.sh,bits=4.5 > rows.jsonl; echo "exit $?"
sed 's/.*"label":\("[^"]*"\).*"wbits":\([^,]*\),"effective_bits":\([^,]*\),"weight_bytes":\([^,]*\),.*"size_convention":\("[^"]*"\).*/\1 \2 \3 \4 \5/' rows.jsonl | sort -u
numbers rows.jsonl | cut -d' ' -f5- > x
ev -q external:program=$R,arg=bare --threads 2 > rows.jsonl; grep -c '"label":"external program=[^"]*".*"wbits":null' rows.jsonl; numbers rows.jsonl | cut -d' ' -f5- | cmp - x && echo "threads and ways to call it do not matter"
ev -q external:program=$R,arg=needs,needs=both --calibration text.txt --n-samples 4 --seq-len 32 > rows.jsonl; numbers rows.jsonl | cut -d' ' -f5- | cmp - x && echo "it gets what it needs"
ev -q external:program=$R,arg=needs,needs=both,sequential=true --calibration text.txt --n-samples 4 --seq-len 32 > rows.jsonl; numbers rows.jsonl | cut -d' ' -f5- | cmp - x && echo sequential
ev -q external:program=$R,arg=chatty > rows.jsonl; numbers rows.jsonl | cut -d' ' -f5- | cmp - x && echo chatty
# Parts of an encoded matrix are counted: the same numbers, 2 bytes a weight.
ev -q external:program=$R,arg=parts > rows.jsonl; numbers rows.jsonl | cut -d' ' -f5- | cmp - x && sed 's/.*"effective_bits":\([^,]*\),.*"size_convention":\("[^"]*"\).*/\1 \2/' rows.jsonl | sort -u
# Written, and read again: the weights are there as f32, and the size is still a claim.
paretobench quantize data/tiny.bin -q external:program=./mine.sh -o q
paretobench inspect q | grep -E '^(weights|model|stored)'
paretobench eval --quiet q -t tinystories --format jsonl > rows.jsonl; numbers rows.jsonl | cut -d' ' -f5- | cmp - x && grep -c '"size_convention":"claimed"' rows.jsonl
# Another program by the same name is another cell.
cat > s.yaml <<'Y'
models: [{path: data/tiny.bin, name: tiny}]
quantizers: [identity, external: {program: ./mine.sh, arg: [bare, nothing]}, rtn: {bits: [2, 4]}]
tasks: [tinystories]
Y
paretobench run s.yaml -o one --quiet 2> err; echo "exit $?"
echo '# changed' >> mine.sh
paretobench run s.yaml -o one --quiet 2> err; echo "exit $?"
paretobench rows one -f jsonl | sed 's/.*"status":"\([^"]*\)".*"quantizer":"\([^"]*\)".*/\1 \2/' | sort | uniq -c | sed 's/^ *//'
paretobench report one -o page --quiet > said; grep -o '; [0-9]* of claimed size, on no front' page/report.html | sort -u
# On no front of a size; seconds are nobody's claim, and a front of them is for the clock to say.
grep -c external page/fronts.csv
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i ~ /^on_front/ && $i != "on_front_seconds") on[i] = 1; next }
	/external/ { for (i in on) n += $i == "true" } END { print length(on), n + 0 }' page/fronts.csv
# At a limit of the cell all that it has started is gone, also what left its process group.
printf '#!/bin/sh\nsleep 1000 & echo $! >> started\nsetsid sh -c "sleep 1000 & echo \\$! >> started; wait" & echo $! >> started\nwait\n' > family.sh; chmod +x family.sh
cat > f.yaml <<'Y'
models: [{path: data/tiny.bin, name: tiny}]
quantizers: [external: {program: ./family.sh}]
tasks: [tinystories]
limits: {time: 3s}
Y
paretobench run f.yaml -o family --quiet 2> err; echo "exit $?"
paretobench rows family -f jsonl | sed 's/.*"reason":"\([^",]*\).*/\1/'
test $(wc -l < started) -ge 3 && echo "it has started programs"
for pid in $(cat started); do kill -0 "$pid" 2> err && echo "$pid lives"; done
ls tmp | wc -l
# Mistakes.
try() { q=$1; shift; ev -q "external:program=$q" "$@" > rows.jsonl 2> err; echo "$? $(grep -c '^paretobench: ' err) $(sed 's/^paretobench: //; s/[^ ]*\/rounder/ROUNDER/g; s/[^ ]*\/tmp\/paretobench-external-[^\/]*/TMP/; q' err)"; }
for how in exit crash nothing huge garbage fifo folder nan shape flat type name silent zero negative words greedy cut late parts-json parts-missing parts-shape parts-both; do try "$R,arg=$how"; done
try "$R,arg=hang,seconds=0.3"
try "$R,arg=hang-closed,seconds=0.3"
try "$R,seconds=0"
try ./nosuch.sh
try ./text.txt
try .
printf '#!/no/such/shell\n' > broken.sh; chmod +x broken.sh
try ./broken.sh
try "./mine.sh,sequential=true"
try "./mine.sh,needs=activations"
paretobench eval --quiet data/tiny.bin -q external -t tinystories 2>&1; echo "exit $?"
ls tmp | wc -l
