/* Axes: from a range of values to ticks and places. */
#ifndef PB_REPORTS_AXIS_H
#define PB_REPORTS_AXIS_H

#include <stdbool.h>
#include <stddef.h>

enum pb_axis_kind {
	PB_AXIS_LINEAR,         /* ticks at 1, 2, 5 times a power of ten */
	PB_AXIS_LOG,            /* the same over few powers, powers of ten over many */
	PB_AXIS_COUNT,          /* the same for numbers of things: "200 k", "1 M" */
	PB_AXIS_BYTES           /* log2; ticks at powers of two, minor ones at 1.25, 1.5, 1.75 times these */
};

#define PB_MAX_TICKS 96

struct pb_tick {
	double value;
	bool minor;             /* no label */
	char label[32];
};
/* Nothing to free. */
struct pb_axis {
	enum pb_axis_kind kind;
	double low, high;       /* low < high; for logarithmic kinds low > 0 */
	struct pb_tick ticks[PB_MAX_TICKS];
	size_t n_ticks;
	bool failed;            /* memory was out for a label */
};

/* An axis that shows low..high (finite, low <= high; positive for logarithmic kinds) with room at both ends and at most about
 * `most` labels. floor, ceiling: the range never goes beyond these (-INFINITY, INFINITY: free). */
void pb_axis_make(struct pb_axis *axis, enum pb_axis_kind kind, double low, double high, double floor, double ceiling, unsigned most);
/* 0 at low, 1 at high; outside for values outside; NaN when the axis cannot show the value at all (not positive on a logarithm). */
double pb_axis_place(const struct pb_axis *axis, double value);

#endif
