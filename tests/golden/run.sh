#!/bin/sh
# Golden tables on a small model of our own: sizes and the hash of the stored bytes of every setting exact, scores to 1e-5 of their value
# (BLAS kernels differ from machine to machine). --update renews both tables and the golden
# figure; say why in the commit.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
PATH=$root/build/release:$root/build/release/tests/cli:$PATH
export PB_HOME="$root"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
make_model data
export PB_DATA=data
echo "quantizer,weight_bytes,model_bytes,sha256" > sizes.csv
grep -v '^#' "$here/settings.txt" | while read -r setting; do
	said=$(paretobench quantize data/tiny.bin -q "$setting" -o q)
	weight=$(echo "$said" | sed -E 's/.*weights [^(]*\(([0-9]+) bytes.*/\1/')
	model=$(echo "$said" | sed -E 's/.*model [^(]*\(([0-9]+) bytes.*/\1/')
	header=$(od -An -t u8 -N 8 q/model.safetensors)
	echo "\"$setting\",$weight,$model,$(tail -c "+$((header + 9))" q/model.safetensors | sha256sum | cut -d' ' -f1)" >> sizes.csv
done
echo "quantizer,backend,task,metric,value,stderr" > scores.csv
for setting in identity rtn:bits=3,group_size=16 rtn:bits=4 kbit:type=nf4 ternary; do
	for backend in reference blas; do
		paretobench eval --quiet data/tiny.bin -q "$setting" -b $backend -t tinystories,piqa --format jsonl |
			sed -E "s/^.*\"task\":\"([^\"]*)\".*\"metric\":\"([^\"]*)\",\"value\":([^,]*),\"stderr\":([^,]*),.*$/\"$setting\",$backend,\1,\2,\3,\4/" >> scores.csv
	done
done
if [ "${1:-}" = --update ]; then
	cp sizes.csv scores.csv "$here/"
	cd "$root" && build/release/tests/unit/test_report --update-golden
	exit 0
fi
diff "$here/sizes.csv" sizes.csv || exit 1
# Keys must be equal, numbers near.
awk -F, '
function near(a, b) { return a == b || (a - b < 0 ? b - a : a - b) <= 1e-5 * (a < 0 ? -a : a) }
FNR == NR { want[FNR] = $0; n = FNR; next }
{
	m = split(want[FNR], w, ",")
	bad = m != NF
	for (i = 1; i <= NF - 2; i++) if ($i != w[i]) bad = 1
	if (FNR > 1 && (!near(w[NF - 1], $(NF - 1)) || !near(w[NF], $NF))) bad = 1
	if (bad) { print "expected " want[FNR] "\n     got " $0; wrong = 1 }
}
END { if (FNR != n) { print "expected " n " lines, got " FNR; wrong = 1 } exit wrong }' "$here/scores.csv" scores.csv
