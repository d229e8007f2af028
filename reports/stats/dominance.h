/* Dominance among points in two or three axes: fronts with ties, how sure a membership is, volumes, and curves.
 *
 * Points are values (n, axes->n), row-major, in the axes' own units. A point that has a value that is not finite is on no
 * front, dominates nothing and adds no volume. Definitions: Zitzler et al., "Performance assessment of multiobjective
 * optimizers" (2003); the comparison of curves is Dettmers and Zettlemoyer's (arXiv 2212.09720). */
#ifndef PB_REPORTS_STATS_DOMINANCE_H
#define PB_REPORTS_STATS_DOMINANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"

#define PB_MAX_AXES 3

struct pb_axes {
	unsigned n;                                 /* 2 or 3 */
	bool higher_is_better[PB_MAX_AXES];
};

/* p is at least as good as q in every axis, and better in one. */
bool pb_dominates(const struct pb_axes *axes, const double *p, const double *q);
/* p is at least as good as q after q was made worse by `slack` in each axis: p <= q + slack where lower is better. A negative
 * slack asks for a lead: with (0, -2 standard errors of the difference) q is surely dominated. */
bool pb_dominates_within(const struct pb_axes *axes, const double *p, const double *q, const double *slack);

enum pb_membership {
	PB_MEMBER_NO,
	PB_MEMBER_YES,
	PB_MEMBER_TIED      /* on the front together with points that are equal to it in every axis */
};
/* members[n] of the points that no point dominates. */
enum pb_status pb_front_members(const struct pb_axes *axes, const double *values, size_t n, enum pb_membership *members, struct pb_error *err) PB_MUST_CHECK;

/* Volume that the points dominate and the reference bounds; points that are not better than it in every axis add nothing. */
enum pb_status pb_hypervolume(const struct pb_axes *axes, const double *values, size_t n, const double *reference, double *volume, struct pb_error *err) PB_MUST_CHECK;

/* Additive epsilon indicator: the smallest shift of all of `a` after which each point of `b` is weakly dominated by one of them;
 * at most 0 when that is so already. Infinity when `a` has no finite point, -infinity when `b` has none. */
double pb_epsilon_indicator(const struct pb_axes *axes, const double *a, size_t n_a, const double *b, size_t n_b);

/* --- under uncertainty --- */

/* Fills values (n, axes->n) of a replicate; the same for the same number, whatever came before. */
typedef void (*pb_draw_fn)(const void *arg, size_t replicate, double *values);

/* probability[n]: share of the replicates in which the point is on the front; with a reference, volumes[n_replicates]. */
enum pb_status pb_front_probability(const struct pb_axes *axes, size_t n, size_t n_replicates, pb_draw_fn draw, const void *arg, double *probability,
	const double *reference, double *volumes, struct pb_error *err) PB_MUST_CHECK;

/* The empirical attainment function of two axes: at each place of the first axis (n_places, in any order), quantiles over the replicates of
 * the best value in the second among points that are at least as good in the first: out (n_places, n_quantiles); NaN where a quantile is of
 * replicates in which there is no such point. Quantiles are of values, lowest first, linear between them. */
enum pb_status pb_attainment(const struct pb_axes *axes, size_t n, size_t n_replicates, pb_draw_fn draw, const void *arg, const double *places, size_t n_places,
	const double *quantiles, size_t n_quantiles, double *out, struct pb_error *err) PB_MUST_CHECK;

/* Independent normal errors. */
struct pb_normal_draws {
	const double *values, *stderrs; /* (n, n_axes); an error that is not above 0: exact */
	size_t n;
	unsigned n_axes;
	uint64_t seed;
};
void pb_draw_normal(const void *normal_draws, size_t replicate, double *values);

/* Replicates made before, of items that all points share (pb_resampling). */
struct pb_made_draws {
	const double *values;               /* (n, n_axes) */
	const double *draws[PB_MAX_AXES];   /* of an axis (n, n_replicates); NULL: it is exact */
	size_t n, n_replicates;
	unsigned n_axes;
};
void pb_draw_made(const void *made_draws, size_t replicate, double *values);

/* --- curves --- */

/* Piecewise linear through points of rising x; NaN outside of them. */
double pb_curve_at(const double *x, const double *y, size_t n, double at);

/* Two curves on the x that both cover, at PB_CURVE_POINTS points from end to end. */
#define PB_CURVE_POINTS 64
struct pb_curve_difference {
	double low, high;               /* the common range; NaN, as all else, when there is none */
	double mean;                    /* of first - second */
	double share_above;             /* share of points where the first is above; equal counts half */
};
struct pb_curve_difference pb_curve_compare(const double *x1, const double *y1, size_t n1, const double *x2, const double *y2, size_t n2);

/* Where on the common range the first is above (1), below (-1) or equal (0) to the second, from low to high: one after the other. */
struct pb_curve_span {
	double low, high;
	int sign;
};
/* spans (2 n1 + 2 n2); returns how many. */
size_t pb_curve_spans(const double *x1, const double *y1, size_t n1, const double *x2, const double *y2, size_t n2, struct pb_curve_span *spans);

#endif
