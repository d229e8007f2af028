# Nights in a row, each compared with the first: a regression planted for one night is suspected and then gone, one that stays is
# confirmed, and the exit code says which. A night that fails counts as one that is worse; one that did not measure a cell does not count.
R=$PB_SRC/build/${PB_TEST_CONFIG:-release}/tests/cli/rounder
paretobench world -o . --quiet
export PB_DATA=.
cat > nightly.yaml <<'Y'
models: [micro-m]
quantizers: [identity, external: {program: ./method.sh}]
tasks: [world_agreement, world_ppl]
limits: {time: 5m}
Y
method() { printf '#!/bin/sh\nexec %s "$1" "$2" %s\n' "$R" "$1" > method.sh; chmod +x method.sh; }
night() { method "$2"; paretobench run "${3:-nightly.yaml}" -o "nights/$1" --quiet 2> err; sleep 1; }
hide() { sed 's/, 20..-.*//; s/-[0-9.]* pp ([^)]*)/PP/; s/+[0-9.]* nats ([^)]*)/NATS/; s/external: micro-m: [^;]*;/REASON;/'; }
history() { paretobench compare --history "$@" > out; code=$?; sed -n '/^run/p; /^Regressions/,/^Seen/p' out | grep -v ^Seen | hide; echo "exit $code"; }

# The names are not in the order of the nights: what counts is when they were begun.
night z-base fine; night y-calm fine; night x-planted coarse
history nights --fail-on regression
history nights --fail-on suspected
night w-again coarse
history nights --fail-on regression
history nights
paretobench compare --history nights -f md | sed -n '/Regressions/,/^Seen/p' | hide
paretobench compare --history nights -f json > out; grep -E '"(confirmed|suspected|gone|since|last|state)"' out | sort | uniq -c | sed 's/^ *//'
# A night that measured the other cell alone says nothing of it; then it is gone, and only looking for it tells.
sed 's/identity, external.*/identity]/' nightly.yaml > less.yaml
night v-less fine less.yaml
history nights --fail-on regression
night u-gone fine
history nights --fail-on suspected
# Runs that are named one by one stand as they are named: from the regression on, nothing is worse.
history nights/x-planted nights/w-again nights/u-gone --fail-on suspected
# Failures: first sight, then again.
night t-failed exit; history nights/z-base nights/t-failed --fail-on regression
history nights/z-base nights/t-failed nights/x-planted --fail-on regression
paretobench compare --history nights -o trend > out; grep -c '>suspected<' trend/report.html; ls trend/figures | grep -c svg
mkdir empty; paretobench compare --history empty; echo "exit $?"
paretobench compare --history nights/z-base; echo "exit $?"
paretobench compare --history nights/z-base nights; echo "exit $?"
paretobench compare nights/z-base nights/y-calm -o trend; echo "exit $?"
