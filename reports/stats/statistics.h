/* Statistics of scores: standard errors, paired tests, equivalence, families of tests, power. Numbers only.
 *
 * What cannot be known (an error of one item, a test without items) is NaN. Random numbers are seeded and counted, so the same
 * input gives the same bits. Formulas: Miller, "Adding Error Bars to Evals" (clusters, pairs); McNemar 1947 and Fagerland et al. 2013
 * (mid-p); Schuirmann 1987 (two one-sided tests); Holm 1979; Benjamini and Hochberg 1995. */
#ifndef PB_REPORTS_STATS_STATISTICS_H
#define PB_REPORTS_STATS_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"

/* Scores of items: the estimate is sum(sums) / sum(weights), a mean for weights of 1, a loss a token for texts with their tokens
 * as weights. Differences of two systems on the same items are such scores, too. */
struct pb_scores {
	const double *sums;         /* (n) */
	const double *weights;      /* (n), > 0; NULL: 1 each */
	const uint32_t *clusters;   /* (n), numbers below n: items that share a passage have the same; NULL: items are independent */
	size_t n;
};
struct pb_mean {
	double value, stderr_value;
	size_t n, n_units;          /* items; clusters, or items again */
};
/* Sample standard error of the mean or, with weights, of the ratio (delta method); with clusters
 * se_c^2 = se^2 + sum over clusters of products of residuals of two different items / (sum of weights)^2. */
enum pb_status pb_scores_mean(const struct pb_scores *scores, struct pb_mean *out, struct pb_error *err) PB_MUST_CHECK;

double pb_stderr_binomial(double share, uint64_t n);                            /* sqrt(p (1 - p) / n) */
double pb_stderr_of_mean(const double *errors, size_t k);                       /* of the plain mean of k independent means */

/* Distributions. */
double pb_normal_quantile(double p);                    /* 0 < p < 1 */
double pb_chi2_upper(double x, unsigned df);            /* P(chi squared > x) */
double pb_t_upper(double t, double df);                 /* P(T > t) */
double pb_t_quantile(double p, double df);              /* 0 < p < 1; df may be INFINITY */

/* A difference from zero: 95 % interval and two-sided p of Student's t with n_units - 1 degrees of freedom. When all items say the
 * same, p is that of as many equal signs. */
struct pb_test {
	double low, high, p;
};
struct pb_test pb_test_zero(const struct pb_mean *difference);

/* Resampling of n units (items or clusters) with replacement: how often each is drawn in each replicate. Made once, it serves all
 * scores of the same units, and then replicates of several scores belong together. */
struct pb_resampling {
	size_t n_units, replicates;
	uint8_t *counts;            /* (replicates, n_units) */
};
enum pb_status pb_resampling_make(struct pb_resampling *out, size_t n_units, size_t replicates, uint64_t seed, struct pb_error *err) PB_MUST_CHECK;
void pb_resampling_free(struct pb_resampling *resampling);
/* Values of the replicates, in their order; the number of units is that of the scores. */
enum pb_status pb_resampling_values(const struct pb_resampling *resampling, const struct pb_scores *scores, double *values, struct pb_error *err) PB_MUST_CHECK;
/* Percentile interval at 95 %, standard deviation of the replicates, and p = 2 min(P(<= 0), P(>= 0)), each share (r + 1) / (R + 1). */
struct pb_bootstrap {
	double stderr_value, low, high, p;
};
enum pb_status pb_bootstrap(const struct pb_resampling *resampling, const struct pb_scores *scores, struct pb_bootstrap *out, struct pb_error *err) PB_MUST_CHECK;
/* Two-sided p of a mean difference under random signs of units: all sign vectors up to 16 units, else `replicates` random ones
 * with p = (1 + hits) / (replicates + 1). */
enum pb_status pb_sign_flip(const struct pb_scores *differences, size_t replicates, uint64_t seed, double *p, struct pb_error *err) PB_MUST_CHECK;

/* Two systems with the same choice items: b items only the first has right, c only the second. */
struct pb_mcnemar {
	double p;                   /* exact up to b + c = 2000, else by chi2 */
	double mid_p;               /* NaN above that */
	double chi2;                /* with continuity correction, one degree of freedom */
};
struct pb_mcnemar pb_mcnemar(uint64_t b, uint64_t c);
struct pb_flips {
	uint64_t n, lost, won;      /* right only in the first; right only in the second */
	uint64_t changed;           /* another choice, right or wrong: churn */
};
struct pb_flips pb_flips_count(const int32_t *first, const int32_t *second, const int32_t *gold, size_t n);

/* Equivalence: whether both one-sided 95 % bounds of the difference are within +-margin. p: the larger of the two one-sided tests. */
struct pb_equivalence {
	double low, high, p;
	bool equivalent;
};
struct pb_equivalence pb_equivalence_test(const struct pb_mean *difference, double margin);

/* Families of tests: adjusted p in the order given. A p that is NaN is no test, stays NaN and does not count. */
enum pb_status pb_adjust_holm(const double *p, size_t n, double *adjusted, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_adjust_benjamini_hochberg(const double *p, size_t n, double *adjusted, struct pb_error *err) PB_MUST_CHECK;

/* At 80 % power and two-sided 5 %: the difference that n pairs show whose differences have this standard deviation, and how many
 * pairs a difference needs. */
double pb_smallest_detectable(double standard_deviation, double n);
double pb_items_needed(double standard_deviation, double difference);

#endif
