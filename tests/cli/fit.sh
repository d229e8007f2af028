# A law fitted to a table: known parameters come back; columns by name; what is wrong is said with its line.
awk 'BEGIN { print "size,run,D,L,note"; for (i = 0; i < 6; i++) for (k = 0; k < 5; k++) { N = 1e7 * 2.3 ^ i; D = 4e8 * 3.1 ^ k; print N "," i "," D "," 1.8 + 400 / N ^ 0.35 + 2000 / D ^ 0.37 + ((7 * i + 3 * k) % 5 - 2) / 2000 "," } }' > runs.csv
paretobench fit runs.csv --form chinchilla -x params=size -x tokens=D -y L --no-bootstrap --format csv | awk -F, 'NR == 1 { print; next } { printf "%s %.2g %s\n", $1, $2, ($3 < $2 && $2 < $4 && $5 == "") ? "inside" : "outside" }'
# Tokens out of compute; the same fit.
awk -F, 'NR == 1 { print "params,C,loss" } NR > 1 { printf "%s,%.17g,%s\n", $1, 6 * $1 * $3, $4 }' runs.csv > compute.csv
paretobench fit compute.csv --form chinchilla -x flop=C --no-bootstrap | sed -n '1p; /^alpha/s/\(0\.3[0-9]\).*/\1/p; /^beta/s/\(0\.3[0-9]\).*/\1/p'
# Rows without a number, and the largest values, are left out and said.
{ cat compute.csv; echo '1e9,1e20,'; echo '1e9,1e20,9'; } > gaps.csv
paretobench fit gaps.csv --form straight --drop-largest 1 --no-bootstrap | sed -n '1,2p'
gzip -c compute.csv > c.csv.gz && paretobench fit c.csv.gz --form straight --no-bootstrap | head -1
# Other parameters on the same points: those that made them are no worse than chance allows, others are.
for alpha in 0.35 0.34; do
	paretobench fit compute.csv --form chinchilla -x flop=C --no-bootstrap --huber 1e-3 --at A=400 --at B=2000 --at E=1.8 --at alpha=$alpha --at beta=0.37 |
		awk '/^at /{ print $1, $2, $3, $9, ($NF > 0.05) ? "within chance" : "worse" }'
done
# Refusals.
paretobench fit compute.csv --form straight --at A=400; echo "exit $?"
paretobench fit compute.csv --form straight --at A=400 --at alpha=1 --at beta=2; echo "exit $?"
paretobench fit compute.csv --form straight --at A=0 --at alpha=1; echo "exit $?"
paretobench fit compute.csv --form straight --at A; echo "exit $?"
paretobench fit runs.csv --form chinchila; echo "exit $?"
paretobench fit runs.csv -y L; echo "exit $?"
paretobench fit runs.csv -x bits=D -y L; echo "exit $?"
paretobench fit runs.csv -x params; echo "exit $?"
paretobench fit runs.csv -x params=size -y note; echo "exit $?"
paretobench fit runs.csv -x params=size -y L --huber 0; echo "exit $?"
paretobench fit runs.csv --format xml; echo "exit $?"
printf 'params,loss\n1,2\n2,two\n' > text.csv
paretobench fit text.csv; echo "exit $?"
printf 'params,loss\n1,2\n2,-2\n3,1\n4,1\n' > negative.csv
paretobench fit negative.csv; echo "exit $?"
printf 'params,loss\n1,2\n2,"1' > cut.csv
paretobench fit cut.csv; echo "exit $?"
: > empty.csv
paretobench fit empty.csv; echo "exit $?"
paretobench fit none.csv; echo "exit $?"
# A law of what never changes; a row that is cut, and one that has too much.
awk -F, 'NR == 1 { print "params,tokens,loss" } NR > 1 { print "1e8," $3 "," $4 }' runs.csv > constant.csv
paretobench fit constant.csv --form chinchilla; echo "exit $?"
{ cat constant.csv; echo '2e8,1e10'; } > short.csv; paretobench fit short.csv; echo "exit $?"
{ cat constant.csv; echo '2e8,1e10,2,3'; } > long.csv; paretobench fit long.csv; echo "exit $?"
