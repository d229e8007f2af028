/* Deterministic placement of labels at points. */
#ifndef PB_REPORTS_LABELS_H
#define PB_REPORTS_LABELS_H

#include <stdbool.h>
#include <stddef.h>

struct pb_box {
	double x, y, w, h;              /* left, top */
};

struct pb_label {
	double x, y;                    /* the point */
	double w, h;                    /* size of its text */
	double key_w;                   /* width of a number in its place */
	/* Filled: */
	struct pb_box box;
	double cost, leader_cost;
	bool leader;                    /* draw a line from (x, y) to (leader_x, leader_y) */
	double leader_x, leader_y;
	unsigned number;                /* 0: the text stands at the point; else this number does, and the text belongs to a key */
};

struct pb_label_ground {
	struct pb_box inside;           /* where labels may lie */
	const double *markers;          /* x, y of all points, labelled or not */
	size_t n_markers;
	double marker_radius;
	const struct pb_box *bars;      /* of the points' intervals; they count as markers */
	size_t n_bars;
	const double *lines;            /* x1, y1, x2, y2: the pieces of the front and of reference lines, horizontal or vertical */
	size_t n_lines;
	const struct pb_box *taken;     /* texts that are there already */
	size_t n_taken;
	bool numbers_only;              /* no room for texts at all */
};

/* labels: sorted by x, then name. For each, eight places (E, NE, SE, N, S, W, NW, SW) at 8 px, then at 20 and 36 px with a leader;
 * cost = 10 overlap with labels + 6 overlap with markers + 3 overlap with the front + leader length / 10 + 20 when outside.
 * Overlap with boxes counts in character cells (area over h * h / 2), with lines in text heights (length over h); a leader that
 * runs through another point's marker overlaps it by one.
 * Then two passes place the worst ten anew. A label that still costs more than 15 becomes a number. False when memory is out. */
bool pb_labels_place(struct pb_label *labels, size_t n, const struct pb_label_ground *ground);
/* For the ends of lines. labels: sorted by y, all of one height h. A column with its left edge at x and its texts between top and bottom, none over another,
 * the order that of the points and each as near to the height of its point as the others let it; with a leader when that is not
 * the same height. All must fit: n times h is at most bottom - top. A label that has a number keeps it. */
void pb_labels_column(struct pb_label *labels, size_t n, double x, double top, double bottom);

#endif
