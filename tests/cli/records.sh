# Records from outside: columns, one writer, exports that are the same each time, runs of two folders on one page.
make_model data
export PB_DATA=data
cat > s.yaml <<'Y'
models: [{path: data/tiny.bin, name: 'a,"b" é'}, {path: data/hf, name: hf}]
quantizers: [identity, rtn: {bits: [2, 3]}]
backends: [blas, reference]
seeds: [0, 1]
tasks: [tinystories, piqa]
Y
paretobench run s.yaml -o a --quiet --jobs 8; echo "exit $?"
paretobench rows a -f csv | head -1 | tr , '\n' | grep -v '^counter\.' | paste -sd' '
paretobench rows a -f jsonl | head -1 | grep -o '"[a-z_]*":' | tr -d '":\n' | grep -c schemaruncellstatusreasonmodelfamilyparams
paretobench rows a -f jsonl > lines; paretobench rows a -f json | sed '1d; $d; s/,$//' | cmp - lines && echo "json and jsonl agree"
for format in csv json jsonl table md; do paretobench rows a -f $format; done | grep -Eci '(^|[ ,:|])-?(nan|inf)([ ,|]|$)'
paretobench rows a -f csv --metric acc --status ok | wc -l
paretobench rows a -f csv > once; paretobench rows a -f csv | cmp - once && echo "rows twice"

# A skeleton of a plugin by a relative path, for the workers too.
cp "$PB_SRC/build/${PB_TEST_CONFIG:-release}/quantizers/skeleton.so" plugin.so
printf 'models: [data/tiny.bin]\nquantizers: [skeleton]\ntasks: [piqa]\n' > p.yaml
paretobench run p.yaml -o b --plugin plugin.so --quiet; echo "exit $?"

paretobench report a b -o page1; paretobench report a b -o page2
diff -r page1 page2 && echo "pages twice"
ls page1

# A second writer is told, a reader is not kept waiting.
(flock -x 9; paretobench run s.yaml -o a --quiet 2>&1; echo "exit $?"; paretobench rows a -f csv | cmp - once && echo "read meanwhile") 9> a/.lock
