# A room includes only rooms on the floors below it; rooms of one floor never meet. Nothing but tests includes tests.
cd "$PB_SRC" || exit 1
# may ROOM ALLOWED...: prints the includes of a room's sources that name another room than itself and those allowed
may() {
	room=$1
	shift
	allowed=$(echo "$room" "$@" | tr ' ' '|')
	grep -n '^#include "' $(find "$room" -maxdepth 1 -name '*.[ch]') /dev/null | grep -vE "#include \"($allowed)/[^/]*\"$"
}
core="core/base core/model core/store core/counters"
may core/base
may core/model core/base
may core/store core/base
may core/counters core/base
may backends $core
may backends/train $core backends
may tasks $core
may tasks/world $core
may reports/stats core/base
may reports/claims core/base core/store reports/stats
may reports $core reports/stats reports/claims
may quantizers $core backends backends/train
may harness/run $core backends backends/train tasks tasks/world reports reports/stats reports/claims quantizers
may harness/cli $core backends tasks tasks/world reports reports/stats reports/claims quantizers harness/run
# No file outgrows its reader; plugins least of all.
wc -l $(git ls-files '*.[ch]' 2>/dev/null || find . -path ./build -prune -o -name '*.[ch]' -print) | awk '$2 != "total" && $1 > 1200'
echo checked
