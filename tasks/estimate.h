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
