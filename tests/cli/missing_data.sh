# A data set that is not there fails its own rows, and the other tasks have their numbers; when it is there, the cell is run again.
make_model data
mv data/eval away
cat > s.yaml <<'Y'
models: [{path: data/tiny.bin, name: tiny}]
quantizers: [identity, rtn]
tasks: [tinystories, piqa]
Y
export PB_DATA=data
paretobench run s.yaml -o run --quiet 2> said; echo "exit $?"
paretobench rows run -f jsonl | sed -E 's/^.*"cell":"[^"]*","status":"([a-z]*)".*/\1/' | sort | uniq -c | awk '{ print $2, $1 }'
mv away data/eval
paretobench run s.yaml -o run --quiet; echo "exit $?"
paretobench rows run -f jsonl | sed -E 's/^.*"cell":"[^"]*","status":"([a-z]*)".*/\1/' | sort | uniq -c | awk '{ print $2, $1 }'
