# Claims on measured rows: pairs of settings on the same items, published numbers with a counterpart, protocols, the page.
make_model data
export PB_DATA=data
cat > s.yaml <<'Y'
models: [{path: data/tiny.bin, name: LLaMA-7B}]
quantizers: [identity, rtn: {bits: [2, 8]}]
backends: [blas]
tasks: [tinystories, piqa]
Y
paretobench run s.yaml -o run --quiet; echo "exit $?"
cat > own.yaml <<'Y'
- id: OWN-1
  statement: More bits are better than fewer
  source: nobody
  untestable: nobody has printed it
  verdict: UNTESTABLE
  run:
    how: both widths on one model
    compare: {better: {quantizer: rtn, bits: 8}, worse: {quantizer: rtn, bits: 2}, same: [group_size], metric: [nll]}
- id: OWN-2
  statement: Fewer bits are better than more
  source: nobody
  untestable: nobody has printed it
  verdict: UNTESTABLE
  run:
    how: both widths on one model
    compare: {better: {quantizer: rtn, bits: 2}, worse: {quantizer: rtn, bits: 8}, same: [], metric: [nll]}
- id: OWN-3
  statement: 8 bits are as good as full precision
  source: nobody
  untestable: nobody has printed it
  verdict: UNTESTABLE
  run:
    how: an equivalence test
    compare: {better: {quantizer: rtn, bits: 8}, worse: {quantizer: identity}, same: [], metric: [nll], equivalent: yes}
- id: OWN-4
  statement: Nothing was run
  source: nobody
  untestable: nobody has printed it
  verdict: UNTESTABLE
  run: {how: elsewhere, compare: {better: {quantizer: vptq}, worse: {quantizer: rtn}, same: [], metric: [nll]}}
- id: OWN-5
  statement: LLaMA-7B has 77.37 on PIQA
  source: OneBit README
  rows: {piqa: OB-RM-0005}
  test: [{that: printed, is: piqa > 70}]
  verdict: HOLDS
- id: OWN-6
  statement: LLaMA-7B has 77.37 on PIQA by another protocol
  source: OneBit README
  rows: {piqa: OB-RM-0005}
  test: [{that: printed, is: piqa > 70}]
  protocol: onebit-lmeh
  verdict: HOLDS
Y
paretobench verify own.yaml --run run > full; echo "exit $?"
grep -E '^OWN|measured' full
# Numbers of items and of tests; values are those of a model of random weights.
grep -E '^    [A-Z]+ ' full | sed -E 's/[-+]?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?( ± [0-9.]+)?/N/g' | cut -c1-150
paretobench verify OWN-1 own.yaml --run run -f json | grep -cE '"verdict": "(REPRODUCED|UNDERPOWERED|CONTRADICTED)"'
paretobench verify own.yaml --run run -f md | grep -c 'measured: '
paretobench verify own.yaml --run run --html page > /dev/null; echo "exit $?"
ls page
grep -c '^| OWN-2 | UNTESTABLE' page/report.md
grep -oE '<h[123][^>]*>[^<]*' page/report.html | sed 's/<[^>]*>//' | head -6

# Numbers of one's own beside those that are shipped; one of them measured far off, one near.
head -1 "$PB_SRC/configs/claims/paretoq.csv" > own.csv
ppl=$(paretobench rows run -f csv -m ppl_token | tail -n +2 | awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "ppl_token") print $(i + 1) }')
echo "MY-1,me,T1,table,LLaMA-7B,7000000000,FP16,16,,,tinystories,,,perplexity,10.0,,ppl,0," >> own.csv
echo "MY-2,me,T1,table,LLaMA-7B,7000000000,RTN,8,,-1,tinystories,,,perplexity,$ppl,,ppl,0," >> own.csv
cat > mine.yaml <<'Y'
- id: MY-CLAIM
  statement: LLaMA-7B has a perplexity of 10 on stories
  source: me
  rows: {mine: MY-1 MY-2}
  test: [{that: printed, is: min(mine) == 10}]
  verdict: HOLDS
Y
paretobench verify own.csv mine.yaml --run run | grep -E '^    [A-Z]+ |measured' | sed -E 's/: .* printed.*/: N printed/'; paretobench verify own.csv | tail -1
echo "MY-1,me,T1,table,x,,,,,,,,,,1,,,," >> own.csv
paretobench verify own.csv mine.yaml 2>&1; echo "exit $?"

# Claims as a part of a report, and the language on a page.
paretobench report run --claims -o report > /dev/null; echo "exit $?"
grep -c '^| A-OB-17 | FAILS' report/report.md
ls report/claims.json
paretobench help claims | head -1

# What is wrong with a comparison, and with runs.
sed 's/better: {quantizer: vptq}/beter: {quantizer: vptq}/' own.yaml > bad.yaml; paretobench verify bad.yaml 2>&1; echo "exit $?"
sed 's/worse: {quantizer: identity}/worse: {bits: 2}/' own.yaml > bad.yaml; paretobench verify bad.yaml 2>&1; echo "exit $?"
sed 's/{how: elsewhere, /{/' own.yaml > bad.yaml; paretobench verify bad.yaml 2>&1; echo "exit $?"
paretobench verify own.yaml --run run --run run 2>&1; echo "exit $?"
paretobench verify own.yaml --run nowhere 2>&1; echo "exit $?"
