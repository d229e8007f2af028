#!/bin/sh
# Runs configs/quickstart.yaml into out/quickstart and makes its report. The models and data sets come from the
# folders of PB_DATA, else from ./data or ../shared/data.
set -eu
program=build/release/paretobench
if [ -z "${PB_DATA:-}" ]; then
	for folder in data ../shared/data; do
		[ -f "$folder/models/stories260K/stories260K.bin" ] && PB_DATA=$folder && break
	done
fi
if [ -z "${PB_DATA:-}" ]; then
	cat >&2 <<'TEXT'
quickstart: the program is built (build/paretobench), and there is no model here to run it on.
  Put these files into a folder and say where it is, then run `make quickstart` again with PB_DATA=FOLDER:
    models/stories260K/stories260K.bin, models/stories260K/tok512.bin   (karpathy/tinyllamas, stories260K)
    text/tinystories/tinystories_1000.json.gz                           (1,000 stories, one JSON array of strings)
    eval/blimp/*.jsonl.gz                                               (alexwarstadt/blimp, data)
TEXT
	exit 1
fi
export PB_DATA
$program run configs/quickstart.yaml -o out/quickstart
echo "the report is at:"
$program report out/quickstart
