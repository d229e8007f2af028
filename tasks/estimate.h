/* Means and ratios with their standard errors, and metrics. Sums are in double and in the order of the items. */
#ifndef PB_TASKS_ESTIMATE_H
#define PB_TASKS_ESTIMATE_H

#include "tasks/task.h"

struct pb_estimate {
	double value, stderr_value; /* stderr NaN: fewer than two units */
};
/* Mean of x; stderr: sample standard deviation / sqrt(n). */
struct pb_estimate pb_estimate_mean(const double *x, size_t n);
/* sum(y) / sum(w) of units drawn together (texts, windows); stderr by the ratio estimator:
 * sqrt( sum (y_i - R w_i)^2 * n / (n - 1) ) / sum(w). */
struct pb_estimate pb_estimate_ratio(const double *y, const double *w, size_t n);
/* exp(value) and, by the delta method, its error. */
struct pb_estimate pb_estimate_exp(struct pb_estimate e);

/* The root of a mean of squares, by the delta method. */
struct pb_estimate pb_estimate_root(struct pb_estimate e);

/* Numbers that lie in units (texts) drawn together, for quantiles over all of them. */
struct pb_pooled {
	const double *sorted;       /* n, ascending */
	const uint32_t *unit;       /* n: where each of them lies */
	size_t n;
	const double *counts;       /* n_units: how many lie in each */
	size_t n_units;
};
/* At place share * (n - 1) of the sorted numbers, between two of them in proportion (llama.cpp). stderr by Woodruff (1952): half the way
 * between the quantiles one standard error below and above the share, which is that of the share of numbers up to the quantile, a ratio
 * over the units; NaN where one of the two is beyond the numbers. scratch: n_units. */
struct pb_estimate pb_estimate_quantile(const struct pb_pooled *pooled, double share, double *scratch);

void pb_metric_add(struct pb_task_result *result, const char *name, struct pb_estimate e, uint64_t n, bool higher_is_better);

/* The usual items of a text task and its metrics from one unit (text, window) each. nll: minus the summed log-probability. */
struct pb_text_units {
	size_t n;
	double *nll, *tokens;       /* of each unit */
	double *words, *bytes;      /* or NULL: no metric of that kind */
};
enum pb_status pb_text_units_make(struct pb_text_units *units, struct pb_arena *arena, size_t n, bool words, bool bytes, struct pb_error *err) PB_MUST_CHECK;
/* mean_of_means: nll is the plain mean of the units' means. Adds the metrics that the task wants and the items. */
enum pb_status pb_text_units_score(struct pb_task_result *result, const struct pb_task *task, const struct pb_text_units *units, bool mean_of_means, struct pb_error *err) PB_MUST_CHECK;

#endif
