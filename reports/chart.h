/* Charts: lines and points of numbers, with intervals, over one pair of axes. Everything that is not a size-quality front. */
#ifndef PB_REPORTS_CHART_H
#define PB_REPORTS_CHART_H

#include "reports/axis.h"
#include "reports/canvas.h"
#include "reports/figure.h"

/* A point that is not finite, or not positive on a logarithmic axis, has no place: it breaks the line, and the figure says how many
 * there are. A point beyond the range (see struct pb_chart) is an arrow at the edge, and the figure says which. */
struct pb_chart_series {
	const char *name;               /* stands right of the plot with a sample, at the height of the line's end */
	bool no_name;                   /* it does not: the name is for tooltips and notes alone */
	enum pb_ink ink;
	enum pb_shape shape;
	size_t n;
	const double *x, *y;            /* x rises along a line */
	const double *low, *high;       /* interval of each y; NULL, or NaN at a point: none */
	const char *const *tooltips;    /* of the marks; NULL: name and numbers */
	bool line, marks;
	bool hollow;                    /* marks are small outlines: what does not count */
	bool band;                      /* the interval as a grey area under everything; else as bars */
	double width;                   /* of the line; 0: 1.5 */
	enum pb_dash dash;
	double mark_gap;                /* marks nearer than that to the next one along the line are left out; 0: none are */
};
/* The i-th of many that have no colours of their own: colours and markers in a fixed order, further ones by other pairs. */
enum pb_ink pb_chart_ink(size_t i);
enum pb_shape pb_chart_shape(size_t i);
/* The place of a nominal width in that order, the same in all figures whose colours are widths. */
size_t pb_chart_width(double wbits);

/* A dotted horizontal line with a text at its left end. */
struct pb_chart_reference {
	double y;
	const char *text;
};

struct pb_chart {
	const char *title, *x_title, *y_title;
	const char *description;        /* one sentence in words, for who cannot see it */
	enum pb_axis_kind x_kind, y_kind;
	bool has_y_floor, has_y_most;
	double y_floor;                 /* the axis does not go below, e.g. 0 for errors */
	double y_most;                  /* higher values are arrows */
	const struct pb_chart_series *series;   /* drawn in this order */
	size_t n_series;
	const struct pb_chart_reference *references;
	size_t n_references;
};

/* The chart must outlive the figure. note: under a full figure, "" for none. PB_MISSING when no point has a place. */
enum pb_status pb_chart_make(struct pb_figure **out, const struct pb_chart *chart, enum pb_figure_size size, const char *note,
	struct pb_measure *measure, struct pb_error *err) PB_MUST_CHECK;
/* Whether any point has a place. */
bool pb_chart_has_place(const struct pb_chart *chart);

#endif
