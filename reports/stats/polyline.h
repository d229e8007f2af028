/* Curves of straight pieces through measured points: how two compare where both are, where they cross, which of several is best
 * where. Nothing is said of them beyond their ends. */
#ifndef PB_REPORTS_STATS_POLYLINE_H
#define PB_REPORTS_STATS_POLYLINE_H

#include <stdbool.h>
#include <stddef.h>
#include "core/base/status.h"

struct pb_polyline {
	size_t n;                       /* points, at least 2 */
	const double *x, *y;            /* x rises strictly */
	const double *errors;           /* standard errors of y, as of independent values; NaN: none */
	const double *draws;            /* (n_draws, n): what y might have been, a draw the same for all lines that are compared; NULL: none */
	size_t n_draws;
};

/* NaN beyond the ends. */
double pb_polyline_at(const struct pb_polyline *line, double x);

#define PB_POLYLINE_POINTS 64
struct pb_polyline_difference {
	double low, high;               /* where */
	double mean;                    /* of the first less the second, over equally spaced points, ends included */
	double error;                   /* standard error of that: by the draws when both lines have them, else from those of the points; NaN */
	bool is_paired;                 /* by draws */
	double above;                   /* share of these points at which the first is above */
};
/* Between low and high, as far as both lines are there; false when they have nothing in common. */
bool pb_polyline_compare(struct pb_polyline_difference *out, const struct pb_polyline *first, const struct pb_polyline *second, double low, double high);
/* Where their order changes, rising; at most first->n + second->n. Lines that only touch do not cross. */
size_t pb_polyline_crossings(const struct pb_polyline *first, const struct pb_polyline *second, double *out);
/* How sure a crossing at x is, by the draws of both lines. scratch: (2 n_draws + first->n + second->n). */
struct pb_polyline_crossing {
	double share;                   /* of draws in which the lines cross; NaN: there are no draws */
	double low, high;               /* of these, where the crossing nearest to x is in 95 %; NaN: in none */
};
struct pb_polyline_crossing pb_polyline_draw_crossing(const struct pb_polyline *first, const struct pb_polyline *second, double x, double *scratch);

/* A stretch on which one line is best, and another second, of those that are there. */
struct pb_polyline_stretch {
	double low, high;
	size_t best, second;
};
/* Stretches where at least two lines are, rising, in *out, which is pb_free'd; neighbours differ in the best. second: over the whole
 * stretch, by the mean. Equal lines: the earlier is best. */
enum pb_status pb_polyline_best(struct pb_polyline_stretch **out, size_t *n_out, const struct pb_polyline *lines, size_t n, bool higher_is_better,
	struct pb_error *err) PB_MUST_CHECK;

#endif
