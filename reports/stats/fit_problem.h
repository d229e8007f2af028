/* What the files of the fit share: one minimisation. */
#ifndef PB_REPORTS_STATS_FIT_PROBLEM_H
#define PB_REPORTS_STATS_FIT_PROBLEM_H

#include "reports/stats/fit.h"

/* An objective of `n` variables, with gradient unless NULL. */
typedef double (*pb_objective_fn)(const void *arg, const double *at, double *gradient);

/* Minimises from `at` within bounds (lower = upper: held), again and again until a run gains less than `tolerance` of the
 * objective. PB_NUMERIC when it did not get to an end; then `at` and *value are the best found. */
enum pb_status pb_minimise(pb_objective_fn objective, const void *arg, unsigned n, const double *lower, const double *upper, double tolerance,
	double *at, double *value, struct pb_error *err) PB_MUST_CHECK;

/* Sum of Huber losses of a fit; `arg` is a struct pb_fit. */
double pb_fit_objective(const void *fit, const double *theta, double *gradient);

#define PB_FIT_EXACT 1e-12      /* of the objective, for results */
#define PB_FIT_ROUGH 1e-7       /* for starts and resamples; with 1e-5 resamples stop short of where flat directions lead */

#endif
