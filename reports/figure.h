/* Figures, laid out once, drawn on any canvas: sizes and qualities; for all else see chart.h. */
#ifndef PB_REPORTS_FIGURE_H
#define PB_REPORTS_FIGURE_H

#include "reports/canvas.h"
#include "reports/front.h"

enum pb_figure_size {
	PB_FIGURE_FULL,         /* 960 x 640 and more when the note is long; labels at the points */
	PB_FIGURE_NARROW,       /* 480 wide, for small screens */
	PB_FIGURE_PANEL,        /* 470 x 322, no labels */
	PB_FIGURE_SIZES
};

struct pb_figure_spec {
	const struct pb_front *front;
	bool by_bits;           /* x is effective_bits, one front for each model; else model_bytes */
	enum pb_figure_size size;
	const char *note;       /* under a full figure, before what the figure itself has to say; "" for none */
};

struct pb_figure;
/* The front must outlive the figure. PB_MISSING when no point can be drawn. */
enum pb_status pb_figure_make(struct pb_figure **out, const struct pb_figure_spec *spec, struct pb_measure *measure, struct pb_error *err) PB_MUST_CHECK;
void pb_figure_free(struct pb_figure *figure);
double pb_figure_width(const struct pb_figure *figure);
double pb_figure_height(const struct pb_figure *figure);
const char *pb_figure_description(const struct pb_figure *figure);  /* one sentence in words */
const char *pb_figure_outside(const struct pb_figure *figure);      /* which points are beyond the range or have no place, or "" */
void pb_figure_draw(const struct pb_figure *figure, struct pb_canvas *canvas);

#endif
