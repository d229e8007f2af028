# The commands of CONTRIBUTING.md's first section, as they stand there, on a small model of our own.
make_model data
export PB_DATA=data
cp -r "$PB_SRC/quantizers" "$PB_SRC/backends" "$PB_SRC/core" .
sed -n '/^To try a method/,/^## /s/^    //p' "$PB_SRC/CONTRIBUTING.md" | sed 's|MODEL|data/tiny.bin|; s|paretobench eval|& --quiet|' > commands
wc -l < commands
sh -e ./commands > said 2> errors || cat errors
awk '$1 == "tiny" { print $2, $3, $4, $NF }' said | sort -u
