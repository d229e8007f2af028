# Bad input: one clear line and exit code 1 or 2, never a crash.
make_model data
export PB_DATA=data
try() { "$@" > out 2> err; code=$?; lines=$(grep -c '^paretobench: ' err); echo "$code $lines $(head -1 err | sed "s#$PWD/##g")"; }
head -c 50000 data/tiny.bin > cut.bin
try paretobench inspect cut.bin
head -c 10 data/tiny.bin > stump.bin
try paretobench inspect stump.bin
: > empty.bin
try paretobench inspect empty.bin
cp -r data/hf lies; printf '\377\377\377\377\377\377\377\017' | dd of=lies/model.safetensors bs=1 conv=notrunc 2>/dev/null
try paretobench inspect lies
cp data/tiny.bin nan.bin; printf '\377\377\377\377' | dd of=nan.bin bs=1 seek=60000 conv=notrunc 2>/dev/null
try paretobench eval --quiet nan.bin --tokenizer data/tokenizer.bin -t piqa
head -c 3000 data/tokenizer.bin > short.bin
try paretobench eval --quiet data/tiny.bin --tokenizer short.bin -t piqa
try paretobench eval --quiet data/tiny.bin -t piqa -q rtn:bits=99
try paretobench eval --quiet data/tiny.bin -t piqa -q rtn:bitz=4
try paretobench eval --quiet data/tiny.bin -t piqa --protocol nosuch
printf '[""]' > data/text/tinystories/tinystories_1000.json
try paretobench eval --quiet data/tiny.bin -t tinystories
printf 'models: [data/tiny.bin]\nquantizers: [rtn]\ntasks: [piqa]\nlimit: 3\nlimts: {}\n' > typo.yaml
try paretobench run typo.yaml -o typo
try paretobench quantize data/tiny.bin -q rtn -o /proc/nothing
try paretobench rows data
try paretobench report data
(ulimit -f 20; try paretobench quantize data/tiny.bin -q identity -o full)
ls full | sed 's/^/left: /'
