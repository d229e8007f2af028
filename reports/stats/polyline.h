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
};

/* NaN beyond the ends. */
double pb_polyline_at(const struct pb_polyline *line, double x);

#define PB_POLYLINE_POINTS 64
struct pb_polyline_difference {
	double low, high;               /* where */
	double mean;                    /* of the first less the second, over equally spaced points, ends included */
	double error;                   /* standard error of that, from those of the measured points; NaN */
	double above;                   /* share of these points at which the first is above */
};
/* Between low and high, as far as both lines are there; false when they have nothing in common. */
bool pb_polyline_compare(struct pb_polyline_difference *out, const struct pb_polyline *first, const struct pb_polyline *second, double low, double high);
/* Where their order changes, rising; at most first->n + second->n. Lines that only touch do not cross. */
size_t pb_polyline_crossings(const struct pb_polyline *first, const struct pb_polyline *second, double *out);

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
