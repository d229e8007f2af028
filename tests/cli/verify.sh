# Claims of papers on the numbers that they print: the whole table, one claim in full, formats, files of one's own, errors.
paretobench verify > all; echo "exit $?"
grep -E '^[A-Z]' all | cut -c1-21 | sed 's/ *$//'
tail -1 all
echo
paretobench verify A-PQ-02; echo "exit $?"
paretobench verify A-OB-01 > failing; echo "a claim that fails, named: exit $?"
paretobench verify 'A-OB-*' SB02 -f md > some.md; echo "exit $?"
head -4 some.md | cut -c1-60
paretobench verify C21 --format json | grep -cE '"(id|source|printed)": '
paretobench list claims | wc -l | tr -d ' '
paretobench list claims | sed -n 3p

# A file of claims over the same numbers; a verdict that is not the expected one.
cat > own.yaml <<'Y'
- id: OWN-1
  statement: Ternary models are better than 2-bit models
  source: nobody
  rows:
    ternary: {id: PQ-REL-*, task: avg8, wbits: 1.58}
    two: {id: PQ-REL-*, task: avg8, wbits: 2}
  test:
    - that: on average, for each size
      is: all(ternary > two by params)
  verdict: HOLDS
Y
paretobench verify own.yaml | grep -vE '^ {14}PQ-'; paretobench verify own.yaml > own; echo "exit $?"

# What is wrong is told with its place and the nearest name.
paretobench verify A-PQ-2 2>&1; echo "exit $?"
paretobench verify nothing-like-it 2>&1; echo "exit $?"
paretobench verify missing.yaml 2>&1; echo "exit $?"
paretobench verify -f xml 2>&1; echo "exit $?"
sed 's/ternary > two/ternery > two/' own.yaml > bad.yaml; paretobench verify bad.yaml 2>&1; echo "exit $?"
sed 's/wbits: 2}/wbit: 2}/' own.yaml > bad.yaml; paretobench verify bad.yaml 2>&1; echo "exit $?"
sed 's/is: all/is: mean/' own.yaml > bad.yaml; paretobench verify bad.yaml 2>&1; echo "exit $?"
sed 's/task: avg8, wbits: 2/task: avg9, wbits: 2/' own.yaml > bad.yaml; paretobench verify bad.yaml | sed -n 1,3p

# What looks wrong in the numbers, whatever is claimed.
paretobench verify --detect > findings; echo "exit $?"
grep -vE '^  ' findings
grep -E 'SQ-TableH15-012|gptq-mos-270|VQ-Table5-008|PQ-TER-0043|PQ-TER-0110|VQ-Table2-123|SQ-Table3-049' findings
paretobench verify --detect -f json | grep -c '"kind"'
paretobench verify --detect A-PQ-01 2>&1; echo "exit $?"
