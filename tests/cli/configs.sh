# Every sweep in configs/ parses, finds its files and is planned; counted cells, none refused. Needs the models and data sets
# that they name.
[ -n "${PB_TEST_DATA:-}" ] || exit 77
export PB_DATA="$PB_TEST_DATA"
paretobench world -o . --quiet
for sweep in "$PB_SRC"/configs/*.yaml; do
	paretobench run "$sweep" -o dry --data . --dry-run --quiet | tail -1 | sed "s/, about.*//; s/^/$(basename "$sweep" .yaml): /"
done
[ ! -e dry ] || echo "a dry run left something behind"
