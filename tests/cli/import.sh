# Results from elsewhere in place of a folder: rows, a report by parameters, a comparison; and what is neither of the two forms.
result() { cat > "$1.json" <<J
{"results": {"piqa": {"acc": $3, "acc_stderr": 0.01}, "arc_easy": {"acc": $4, "acc_stderr": 0.01}, "lambada_openai": {"ppl": $5, "ppl_stderr": 0.1}},
 "versions": {"piqa": 0, "arc_easy": 0, "lambada_openai": 0}, "config": {"model_args": "pretrained=org/$2", "num_fewshot": 0}}
J
}
result small pythia-70m 0.6 0.4 30.5
result large pythia-1.4b 0.7 0.6 6.1
result later pythia-1.4b 0.62 0.6 6.2
printf 'model,params,task,metric,value,stderr,n\n"<b>7B",7000000000,piqa,acc,0.8,0.005,5000\n"<b>7B",7000000000,arc_easy,acc,0.75,0.01,2000\n' > table.csv
paretobench rows small.json table.csv
paretobench report small.json large.json table.csv -o page
sed -n '/## Results/,/^!/p' page/report.md; ls page/figures | grep -c svg; grep -c '<b>7B' page/report.html
paretobench report small.json; echo "exit $?"
paretobench compare large.json later.json --fail-on regression; echo "exit $?"
paretobench compare small.json large.json; echo "exit $?"
paretobench rows small.json small.json; echo "exit $?"
echo '{"results": 3}' > bad.json; paretobench rows bad.json; echo "exit $?"
echo 'model,task' > bad.csv; paretobench rows bad.csv; echo "exit $?"
paretobench rows none.csv; echo "exit $?"
# A byte order mark is passed over; text that is no UTF-8 is refused, and in the name of a file it is no reason to fail.
{ printf '\357\273\277'; cat small.json; } > mark.json; paretobench rows mark.json | wc -l
printf 'model,task,metric,value\nm\377,piqa,acc,0.5\n' > latin.csv; paretobench rows latin.csv; echo "exit $?"
echo '[1]' > list.json; paretobench rows list.json; echo "exit $?"
cp large.json "$(printf 'b\377.json')"; paretobench compare "$(printf 'b\377.json')" later.json -f json > out; echo "exit $?"; paretobench compare --history "$(printf 'b\377.json')" later.json -f json > out; echo "exit $?"
