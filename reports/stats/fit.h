/* Fits of scaling-law forms: the sum of Huber losses of residuals (relative ones for most forms: of logarithms), minimised by
 * L-BFGS within bounds from a grid of starts, as in Hoffmann et al. (arXiv 2203.15556) and its replication (arXiv 2404.10102).
 *
 * The loss is a sum, not a mean, and is run again from the best point until it stops changing: with a mean the default tolerances
 * stop too early, which is what made the published Chinchilla constants wrong. Results depend on the data and options alone. */
#ifndef PB_REPORTS_STATS_FIT_H
#define PB_REPORTS_STATS_FIT_H

#include <stdbool.h>
#include <stdint.h>
#include "core/base/pool.h"
#include "core/base/status.h"
#include "reports/stats/forms.h"

/* Measured points, not transformed. */
struct pb_fit_points {
	size_t n;
	const double *x;                /* (n, n_variables of the form) */
	const double *y;
};

enum pb_fit_warning {
	PB_FIT_FEW_POINTS = 1 << 0,     /* fewer than two points more than parameters */
	PB_FIT_AT_BOUND = 1 << 1,       /* a parameter is at the end of its range */
	PB_FIT_FLAT = 1 << 2,           /* not identified: an interval has no end; of a positive parameter, reaches 0 */
	PB_FIT_LONE_START = 1 << 3,     /* of many starts one alone reached the best objective */
	PB_FIT_UNSTABLE = 1 << 4,       /* more than one resample in ten did not converge */
	PB_FIT_UNFINISHED = 1 << 5      /* the search still gained where it was stopped */
};
#define PB_FIT_WARNINGS 6
/* A sentence for the bit. */
const char *pb_fit_warning_text(unsigned bit);

struct pb_fit {
	const struct pb_form *form;
	size_t n;
	double *x, *target;             /* as the optimizer sees them: (n, n_variables), (n) */
	double huber;                   /* threshold: residuals above it count linearly */
	double theta[PB_FORM_PARAMETERS];
	double lower[PB_FORM_PARAMETERS], upper[PB_FORM_PARAMETERS];
	double objective;               /* sum of the losses */
	double deviation;               /* of a residual, corrected for the parameters; NaN without spare points */
	size_t n_starts, n_reached;     /* starts, and those that ended within 1e-6 of the best objective */
	unsigned warnings;
	double low[PB_FORM_PARAMETERS], high[PB_FORM_PARAMETERS];   /* of theta, at 95 %, by pb_fit_profile; infinite: no end */
};

/* huber 0: 1.345 robust standard deviations of the residuals, found first. Refused, in one sentence: a value that has no
 * logarithm or is not finite, and fewer points than parameters plus one. The points are copied. */
enum pb_status pb_fit_make(struct pb_fit *out, const struct pb_form *form, const struct pb_fit_points *points, double huber, struct pb_pool *pool, struct pb_error *err) PB_MUST_CHECK;
void pb_fit_free(struct pb_fit *fit);

/* Prediction at x (not transformed), in the unit of y. */
double pb_fit_value(const struct pb_fit *fit, const double *theta, const double *x);
/* The sum of losses at any parameters. */
double pb_fit_objective_at(const struct pb_fit *fit, const double *theta);
/* target - prediction of a point of the fit. */
double pb_fit_residual(const struct pb_fit *fit, size_t point);

/* Intervals by profiles: where the objective, minimised over all other parameters, has risen by as much as an F test with the
 * spare points as degrees of freedom allows at 95 %. Nothing to find without spare points: then they are NaN. */
enum pb_status pb_fit_profile(struct pb_fit *fit, struct pb_error *err) PB_MUST_CHECK;

/* Bootstrap: thetas (n_resamples, n_parameters), each fitted from the fit's own parameters. Points are drawn with replacement
 * when there are PB_FIT_MANY_POINTS, else drawn around the fit with normal errors whose size is itself drawn as uncertain as so
 * few points leave it. Resamples that did not converge are NaN. */
#define PB_FIT_MANY_POINTS 30
enum pb_status pb_fit_bootstrap(struct pb_fit *fit, size_t n_resamples, uint64_t seed, struct pb_pool *pool, double *thetas, size_t *n_failed, struct pb_error *err) PB_MUST_CHECK;
/* Percentiles 2.5 and 97.5 of n values with a stride, those that are NaN left out; the values are sorted in `scratch` (n). */
void pb_fit_percentiles(const double *values, size_t n, size_t stride, double *scratch, double *low, double *high);

/* The same loss as a likelihood with a scale of its own: density exp(-Huber(r / s)) / (s Z), the threshold now in units of s. */
struct pb_fit_likelihood {
	double theta[PB_FORM_PARAMETERS];
	double scale;                   /* s */
	double log_likelihood;          /* of the targets */
	double aic, aicc;               /* 2 k - 2 ln f, k with the scale; corrected for few points, NaN when these are too few */
};
enum pb_status pb_fit_maximise(const struct pb_fit *fit, double threshold, struct pb_fit_likelihood *out, struct pb_error *err) PB_MUST_CHECK;
/* Of any parameters, at the scale that suits them best. */
double pb_fit_log_likelihood(const struct pb_fit *fit, double threshold, const double *theta, double *scale);

/* Fits without the points of the largest value of a variable and predicts these. */
struct pb_held_out {
	size_t n;                       /* points held out */
	double error;                   /* mean absolute error of their targets: relative for a form of logarithms */
	double largest;                 /* the value that was held out */
};
enum pb_status pb_fit_hold_out(const struct pb_form *form, const struct pb_fit_points *points, unsigned variable, double huber, struct pb_pool *pool,
	struct pb_held_out *out, struct pb_error *err) PB_MUST_CHECK;

#endif
