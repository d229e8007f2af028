# The same numbers for any number of threads, from a checkpoint and from a folder of the same weights, and after
# `quantize` as when quantized in memory.
. "$PB_SRC/tests/cli/numbers.inc"
make_model data
export PB_DATA=data
ev() { paretobench eval --quiet "$@" -t tinystories,piqa --format jsonl > rows.jsonl && numbers rows.jsonl | sed 's/^"[^"]*" //'; }
ev data/tiny.bin --threads 1 > one
ev data/tiny.bin --threads 2 > two
cmp one two && echo threads
ev data/hf > folder
cut -d' ' -f1,3-4 one > a; cut -d' ' -f1,3-4 folder > b; cmp a b && echo shapes
ev data/tiny.bin -q rtn:bits=3,group_size=16 > memory
paretobench quantize data/tiny.bin -q rtn:bits=3,group_size=16 -o q > said
ev q > file
cmp memory file && echo quantized
ev data/tiny.bin -b reference > reference
wc -l < reference
# A backend's options are taken, change what they say, and are refused when they are none.
ev data/tiny.bin -q rtn:bits=3,group_size=16 -b blas:cache=0 > tiles
cut -d' ' -f3- memory > a; cut -d' ' -f3- tiles > b; cmp a b && echo "same bits from tiles"
paretobench eval data/tiny.bin -b blas:cash=1 -t piqa 2>&1; echo "exit $?"
