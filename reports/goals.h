/* What settings are judged by, two or three things at once: costs and values, which settings are on the front of them, how surely. */
#ifndef PB_REPORTS_GOALS_H
#define PB_REPORTS_GOALS_H

#include "reports/axis.h"
#include "reports/draws.h"
#include "reports/stats/dominance.h"

/* A cost, or the value of a front. */
struct pb_goal {
	const struct pb_front *front;   /* NULL: a cost */
	enum pb_by by;
};
/* By name: a cost ("size", where one may be), a front's slug ("world-ppl-nll"), TASK:METRIC, a task (the metric
 * that stands for it), a metric that only one front with points has; the mean of accuracies comes first. PB_USAGE, with all names that
 * there are. option: who asks, "--y". */
enum pb_status pb_goal_find(struct pb_goal *out, const struct pb_fronts *fronts, bool may_be_cost, const char *option, const char *name, struct pb_error *err) PB_MUST_CHECK;
const char *pb_goal_name(const struct pb_goal *goal);
bool pb_goal_higher_is_better(const struct pb_goal *goal);
/* As figures and tables show it: percent, milliseconds, millijoules. */
double pb_goal_shown(const struct pb_goal *goal, double v);
const char *pb_goal_shown_title(const struct pb_goal *goal);    /* "milliseconds for an item"; of a value the front's title */
const char *pb_goal_heading(const struct pb_goal *goal);        /* the same at the start of a heading: "Milliseconds for an item" */
enum pb_axis_kind pb_goal_axis(const struct pb_goal *goal);
const char *pb_goal_unit(const struct pb_goal *goal);           /* of a number alone: " ms", " %", "" */
/* "62.41 ± 1.13", "1.20 MiB", "0.31". error: NaN for none. */
void pb_goal_format(const struct pb_goal *goal, double v, double error, char out[64]);

/* A setting with all its numbers. */
struct pb_trade {
	struct pb_point *point;         /* of the main front */
	double at[PB_MAX_AXES], errors[PB_MAX_AXES];    /* in the goals' own units; an error is NaN for none */
	bool on;
	double probability;             /* NaN: no error is known */
};
struct pb_tradeoff {
	struct pb_goal goals[PB_MAX_AXES];
	struct pb_axes axes;
	struct pb_trade *trades;        /* in the order of the main front's points */
	size_t n, n_without, n_on;      /* n_without: points of the main front that lack a number */
	bool by_items;
	double *values;                 /* (n, axes.n) */
	double *draws[PB_MAX_AXES];     /* (n, n_replicates); NULL: exact */
	size_t n_replicates;
};
/* Of the points of the front that `main` draws; goals with another front get draws of their own. In the arena. */
enum pb_status pb_tradeoff_make(struct pb_tradeoff *out, const struct pb_goal *goals, unsigned n_goals, struct pb_front *front, const struct pb_draws *main,
	const struct pb_rows *rows, const struct pb_item_stores *stores, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
/* For the draws of all trades. */
struct pb_made_draws pb_tradeoff_draws(const struct pb_tradeoff *t);

/* What of two goals is attained in 5, 50 and 95 % of the draws: steps by the first one. */
struct pb_bands {
	size_t n;
	double *x, *low, *middle, *high;
};
enum pb_status pb_bands_make(struct pb_bands *out, const struct pb_tradeoff *t, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;

#endif
