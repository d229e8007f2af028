# Plugins that crash, hang, allocate without end or lie cost their own cells; the others are as without them.
# An address sanitizer reserves more memory than the limits here allow.
[ "${PB_TEST_CONFIG:-release}" = sanitize ] && exit 77
make_model data
P=$PB_SRC/build/release/tests/plugins
export PB_DATA=data
for name in crash hang greedy liar; do
	cat > $name.yaml <<Y
models: [{path: data/tiny.bin, name: tiny}]
quantizers: [identity, $name, rtn]
tasks: [piqa]
limits: {time: 3s, memory: 256MiB}
Y
	paretobench run $name.yaml -o $name --plugin $P/$name.so --jobs 1 --quiet 2> said; echo "$name exit $?"
	paretobench rows $name -f csv | awk -F, 'NR > 1 { print $4 }' | sort | uniq -c | awk '{ print $2, $1 }'
	paretobench rows $name -f jsonl --status failed | sed -E 's/.*"reason":"([^"]*)".*/\1/; s/it was (last seen with|not looked at before).*/it was looked at or not/; s/,? in stage.*//; s/^(greedy.*out of memory|over its memory limit.*)$/stopped by its memory limit/'
done
paretobench list quantizers --plugin $P/old_abi.so 2>&1 | sed 's/.*old_abi/old_abi/'
paretobench list quantizers --plugin $PB_SRC/build/release/quantizers/skeleton.so | grep -c skeleton
