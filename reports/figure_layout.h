/* Figures between layout and drawing. */
#ifndef PB_REPORTS_FIGURE_LAYOUT_H
#define PB_REPORTS_FIGURE_LAYOUT_H

#include "reports/chart.h"
#include "reports/labels.h"

/* A point with its place in pixels. */
struct pb_mark {
	const struct pb_point *point;
	double x, y;
	int beyond;                     /* 1 above the range, -1 below; y is at the edge then */
	bool has_bar;
	double bar_top, bar_bottom;     /* clamped to the plot */
	bool on_front;
	enum pb_separated separated;
	size_t n_points;                /* dominated ones that are drawn as one, in their middle; else 1 */
	double patch_size;
	const char *tooltip;
};
struct pb_steps {
	const char *name;               /* of the model; "" for the front of all */
	const char *shown;              /* the name, shortened to the right margin */
	double name_y;
	double *xy;
	size_t n;
};
struct pb_reference {
	double y;
	bool is_chance;
	const char *text;
	double text_x, text_y;
};
struct pb_label_text {
	const char *text;               /* fits the figure */
	const char *whole;              /* for the key */
};

struct pb_figure {
	struct pb_arena *arena;
	struct pb_figure_spec spec;
	double width, height;
	double left, top, plot_w, plot_h;
	struct pb_axis x, y;
	const char *title, *x_title, *y_title, *description, *outside;
	struct pb_mark *marks;          /* by x, then name */
	size_t n_marks, n_drawn;        /* n_drawn: points that the marks stand for */
	struct pb_steps *steps;
	size_t n_steps;
	double *band, *middle;          /* what draws attain: the outline of 5 to 95 % (n_band), steps of the median (n_middle) */
	size_t n_band, n_middle;
	struct pb_reference references[4];
	size_t n_references;
	const struct pb_chart *chart;   /* or NULL; with it there are no marks, steps and references, and its names are labels[series] */
	struct pb_label *labels;
	struct pb_label_text *label_texts;
	size_t n_labels;
	bool legend;                    /* families in the right margin */
	double legend_y;                /* top */
	bool families[16];              /* that occur */
	char **lines;                   /* key and note, under the plot */
	size_t n_lines, n_key_lines;
};

struct pb_figure_measures {
	double width, left, right, top, plot_h, bottom;
	unsigned x_ticks, y_ticks;
	double label_width;
};
extern const struct pb_figure_measures pb_figure_sizes[PB_FIGURE_SIZES];

/* A figure with its frame and nothing in it; NULL when memory is out. */
struct pb_figure *pb_figure_new(const struct pb_figure_spec *spec);
/* Moves a finished text to the arena; NULL when memory is out. */
char *pb_figure_keep(const struct pb_figure *f, struct pb_text *t);
/* The end of a layout: key and note, and with them the height. */
enum pb_status pb_figure_end(struct pb_figure *f, struct pb_measure *measure, struct pb_error *err) PB_MUST_CHECK;

void pb_chart_draw(const struct pb_figure *f, struct pb_canvas *c);

#define PB_FIGURE_LINE 14.0         /* height of a note's line */
#define PB_LABEL_SIZE 11.0
#define PB_TITLE_SIZE(size) ((size) == PB_FIGURE_FULL ? 16.0 : (size) == PB_FIGURE_NARROW ? 14.0 : 13.0)

#endif
