/* Regressions over runs of the same settings, one after the other, each compared with the first.
 *
 * A cell (or the mean accuracy of a setting) is seen in a run when the comparison of this run with the first has it worse or failed. Seen in two
 * runs in a row, a regression is confirmed; in the last one alone, it is suspected; not in the last one, but before, it is gone. A run that
 * did not measure the cell, or may not be compared, counts neither way: the runs in a row are those that measured it. */
#ifndef PB_REPORTS_REGRESSIONS_H
#define PB_REPORTS_REGRESSIONS_H

#include "reports/compare.h"

enum pb_regression_state { PB_REGRESSION_CONFIRMED, PB_REGRESSION_SUSPECTED, PB_REGRESSION_GONE, PB_REGRESSION_STATES };
const char *pb_regression_state_name(enum pb_regression_state state);   /* "confirmed", ... */

enum pb_seen { PB_SEEN_UNMEASURED, PB_SEEN_NOT, PB_SEEN_WORSE };

struct pb_regression {
	const struct pb_row *base;              /* of the first run; its task and metric count when there is an entry */
	enum pb_seen *seen;                     /* (n_runs), that of the first is PB_SEEN_NOT */
	enum pb_regression_state state;
	size_t since, last;                     /* the last runs in a row that saw it: the first and the last of them, from 0 */
	const struct pb_compared *entry;        /* of run `last`; NULL: it is a mean */
	const struct pb_compared_mean *mean;
};
struct pb_regressions {
	struct pb_regression *list;             /* by state, setting, task */
	size_t n, n_runs;
	size_t n_states[PB_REGRESSION_STATES];
};
/* comparisons: (n_runs), each with the first run, whose own is not read. In the arena, beside the comparisons. */
enum pb_status pb_regressions_find(struct pb_regressions *out, struct pb_arena *arena, const struct pb_comparison *comparisons, size_t n_runs, struct pb_error *err) PB_MUST_CHECK;

#endif
