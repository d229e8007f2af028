# The models that ship: what the list says of them is so, the smallest scores what scores.csv says, and its recipe is one that
# can be run. Models by name, and names that are not quite right.
zoo=$PB_SRC/configs/zoo
paretobench list models | awk '{ print $1, $2 }'
for name in $(paretobench list models | awk '{ print $1 }'); do
	hash=$(grep -A1 "^  $name:" "$zoo/zoo.yaml" | sed -n 's/.*hash: \([0-9a-f]*\).*/\1/p')
	parameters=$(sed -n "s/^  $name: .*parameters: \([0-9]*\),.*/\1/p" "$zoo/zoo.yaml")
	paretobench inspect "$name" --format json > about
	grep -q "$hash" about || echo "$name: another hash than $hash"
	grep -q "[^0-9]$parameters[^0-9]" about || echo "$name: not $parameters weights"
	[ "$(wc -c < "$zoo/$name/model.safetensors")" -le 5000000 ] || echo "$name: more than 5 MB"
	grep -q '"status": "done"' "$zoo/$name/train.json" || echo "$name: its training is not done"
	grep -q "^[0-9]*,$(sed -n "s/^  $name: .*tokens: \([0-9]*\),.*/\1/p" "$zoo/zoo.yaml")," "$zoo/$name/log.csv" || echo "$name: its log ends elsewhere"
done
[ "$(find "$zoo" -type f -exec cat {} + | wc -c)" -le 25000000 ] || echo "more than 25 MB"
paretobench world -o . --quiet
paretobench run "$zoo/family.yaml" -o dry --data . --dry-run --quiet | tail -1 | sed 's/, about.*//'
paretobench eval micro-xxs -t world_facts,world_agreement,world_cloze,world_story,world_yesno,world_ppl --data . --quiet --format jsonl |
	sed -E 's/^.*"model":"([^"]*)".*"label":"([^"]*)".*"task":"([^"]*)".*"metric":"([^"]*)","value":([^,]*),"stderr":([^,]*),"n":([^,]*),.*$/\1,"\2",\3,\4,\5,\6,\7/' > scores
paretobench eval micro-s-long -t world_story --limit 1 --data . --quiet --format jsonl | grep -o '"model_family":[^,]*,"train_tokens":[^,]*' | sort -u
grep '^micro-xxs,"identity"' "$zoo/scores.csv" > expected
awk -F, 'FNR == NR { want[FNR] = $0; n = FNR; next }
{ m = split(want[FNR], w, ","); for (i = 1; i <= 7; i++) if (i == 5 || i == 6 ? ($i - w[i]) ^ 2 > 1e-10 * w[i] ^ 2 : $i != w[i]) print "expected " want[FNR] " got " $0 }
END { print FNR == n ? n " scores" : "another number of scores" }' expected scores
paretobench inspect micro-xss 2>&1; echo "exit $?"
printf 'models: [micro-mm]\nquantizers: [rtn]\ntasks: [world_ppl]\n' > s.yaml
paretobench run s.yaml 2>&1; echo "exit $?"
mkdir micro-xs; paretobench inspect micro-xs 2>&1; echo "exit $?"
