/* Bit-level curves (Dettmers and Zettlemoyer, arXiv 2212.09720): for each method that was run at several widths on several sizes of
 * one model family, a straight-piece curve of the value over the logarithm of the model's bits for each width. A width is the best at
 * a total size where its curve is; between measured sizes that is an interpolation. Sizes are counted: all bytes that a model needs. */
#ifndef PB_REPORTS_BIT_CURVES_H
#define PB_REPORTS_BIT_CURVES_H

#include "reports/draws.h"
#include "reports/scaling.h"
#include "reports/stats/polyline.h"

struct pb_bit_line {
	double wbits;                       /* 16: full precision */
	struct pb_polyline line;            /* x: log10 of the model's bits; the mean over seeds, whose errors are taken as one without draws */
	const struct pb_scaling_item **items; /* of each point, its first */
	const struct pb_scaling_item *const *seeds; /* (n_seeds), of all points, by size */
	size_t n_seeds;
};
struct pb_bit_curves {
	const struct pb_front *front;
	const char *family, *method;
	struct pb_bit_line *lines;          /* by width; full precision of the same models is the last */
	size_t n_lines;
	size_t n_points, n_on_front;
	bool by_items;                      /* lines have draws of the items that all their points share; else errors are independent */
	struct pb_polyline_stretch *best;   /* which line is best at which x */
	size_t n_best;
};
struct pb_bit_curve_list {
	struct pb_arena *arena;             /* of the caller */
	struct pb_bit_curves *curves;       /* by front, family, method */
	size_t n;
};

/* Of the fronts that have scaling laws: methods with two widths that have two sizes each. The fronts must outlive it. Items are those
 * of the rows; stores: NULL for none. */
enum pb_status pb_bit_curves_make(struct pb_bit_curve_list *out, const struct pb_fronts *fronts, const struct pb_rows *rows, const struct pb_item_stores *stores,
	struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
/* Where two lines cross, and how sure that is; in the arena, *n of them. NULL when memory is out. */
struct pb_bit_crossing {
	double x;
	struct pb_polyline_crossing drawn;
};
struct pb_bit_crossing *pb_bit_crossings(const struct pb_polyline *a, const struct pb_polyline *b, size_t *n, struct pb_arena *arena);
/* bit-curves.csv: a line for each pair of widths of a method. */
enum pb_status pb_bit_curves_csv(const struct pb_bit_curve_list *list, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* "Bit-level curves". The list must outlive it. */
void pb_bit_curves_section(struct pb_section *out, const struct pb_bit_curve_list *list);

#endif
