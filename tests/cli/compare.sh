# Two runs compared: by seed alone they are within noise, a worse quantizer under the same name is a regression, and what differs is told.
make_model data
export PB_DATA=data
sweep() { printf 'name: %s\nmodels: [{path: data/tiny.bin, name: m}]\nquantizers: [%s]\ntasks: [%s]\nseeds: [%s]\n' "$1" "$2" "$3" "$4" > "$1.yaml"; paretobench run "$1.yaml" -o "$1" --quiet; }
sweep base 'identity, rtn: {bits: [2, 8]}' 'tinystories, piqa' 0
sweep seed 'identity, rtn: {bits: [2, 8]}' 'tinystories, piqa' 1
sweep fewer 'identity, rtn: {bits: 8}' 'tinystories: {limit: 2}, piqa' 0
hide() { sed 's/, version .*//; s/[0-9a-f]\{8\}, [0-9a-f]\{8\}/HASH, HASH/g'; }
paretobench compare base seed --fail-on regression > out; echo "exit $?"; hide < out
paretobench compare base fewer | hide
paretobench compare base seed -f md --all | hide | head -12
paretobench compare base seed -f json | grep -c '"change": "within noise"'

# A task that has no number any more is a regression.
mkdir moved; find data -name '*piqa*' -exec mv {} moved/ \;
sweep broken 'identity, rtn: {bits: [2, 8]}' 'tinystories, piqa' 0 2> /dev/null
paretobench compare base broken --fail-on regression | hide | sed 's/piqa: .*/REASON/'; echo
paretobench compare base broken --fail-on regression > /dev/null; echo "exit $?"
paretobench compare base broken > /dev/null; echo "exit $?"
paretobench compare --history base seed base/../broken -o trend | sed 's/, 20..-.*//; s/failed: piqa: .*;/REASON;/'; ls trend trend/figures
paretobench compare base seed broken; echo "exit $?"
paretobench compare --history base base; echo "exit $?"
paretobench compare base; echo "exit $?"
paretobench compare base none; echo "exit $?"
paretobench compare base seed --fail-on everything; echo "exit $?"
paretobench compare base seed --format xml; echo "exit $?"
