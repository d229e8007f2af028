#include "reports/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/figure_layout.h"

#define LABEL_HEIGHT 13.0
#define SAMPLE 26.0             /* width of the line and marker before a name */
#define BEYOND 7.0              /* from the edge to the middle of an arrow */
#define MOST_LISTED 6

static const enum pb_ink inks[] = { PB_INK_PARETOQ, PB_INK_ONEBIT, PB_INK_SQUEEZELLM, PB_INK_VPTQ, PB_INK_KBIT, PB_INK_OTHER, PB_INK_FULL };
static const enum pb_shape shapes[] = { PB_SHAPE_CIRCLE, PB_SHAPE_SQUARE, PB_SHAPE_UP, PB_SHAPE_DIAMOND, PB_SHAPE_DOWN, PB_SHAPE_PENTAGON };
#define N_INKS (sizeof inks / sizeof *inks)
#define N_SHAPES (sizeof shapes / sizeof *shapes)

enum pb_ink pb_chart_ink(size_t i)
{
	return inks[i % N_INKS];
}

enum pb_shape pb_chart_shape(size_t i)
{
	return shapes[(i + i / N_INKS) % N_SHAPES];
}

size_t pb_chart_width(double wbits)
{
	/* The seventh ink is full precision's. */
	static const double widths[] = { 1, 1.58, 2, 3, 4, 8, 16, 1.5, 5, 6, 7 };
	size_t i = 0;
	while (i < sizeof widths / sizeof *widths && fabs(widths[i] - wbits) > 1e-9)
		i++;
	return i;
}

/* --- places --- */

static bool on_axis(enum pb_axis_kind kind, double v)
{
	return isfinite(v) && (kind == PB_AXIS_LINEAR || v > 0.0);
}

static bool has_place(const struct pb_chart *chart, const struct pb_chart_series *s, size_t i)
{
	return on_axis(chart->x_kind, s->x[i]) && on_axis(chart->y_kind, s->y[i]);
}

bool pb_chart_has_place(const struct pb_chart *chart)
{
	for (size_t k = 0; k < chart->n_series; k++)
		for (size_t i = 0; i < chart->series[k].n; i++)
			if (has_place(chart, &chart->series[k], i))
				return true;
	return false;
}

/* What is beyond the bounds is drawn at the edge: an axis of such numbers would overflow. */
static void grow_range(enum pb_axis_kind kind, double *low, double *high, double v)
{
	if (!on_axis(kind, v))
		return;
	v = fmin(fmax(v, kind == PB_AXIS_LINEAR ? -1e150 : 1e-300), 1e150);
	*low = fmin(*low, v);
	*high = fmax(*high, v);
}

static void make_axes(struct pb_figure *f, const struct pb_chart *chart)
{
	double x_low = INFINITY, x_high = -INFINITY, low = INFINITY, high = -INFINITY;
	for (size_t k = 0; k < chart->n_series; k++) {
		const struct pb_chart_series *s = &chart->series[k];
		for (size_t i = 0; i < s->n; i++) {
			if (!has_place(chart, s, i))
				continue;
			grow_range(chart->x_kind, &x_low, &x_high, s->x[i]);
			grow_range(chart->y_kind, &low, &high, s->y[i]);
			if (s->low)
				grow_range(chart->y_kind, &low, &high, s->low[i]);
			if (s->high)
				grow_range(chart->y_kind, &low, &high, s->high[i]);
		}
	}
	for (size_t i = 0; i < chart->n_references; i++)
		grow_range(chart->y_kind, &low, &high, chart->references[i].y);
	if (chart->has_y_most)
		high = fmax(low, fmin(high, chart->y_most));
	if (chart->has_y_floor)
		low = fmin(high, fmax(low, chart->y_floor));
	pb_axis_make(&f->x, chart->x_kind, x_low, x_high, -INFINITY, INFINITY, pb_figure_sizes[f->spec.size].x_ticks);
	pb_axis_make(&f->y, chart->y_kind, low, high, chart->has_y_floor ? chart->y_floor : -INFINITY, INFINITY, pb_figure_sizes[f->spec.size].y_ticks);
}

static double to_x(const struct pb_figure *f, double x)
{
	return f->left + f->plot_w * fmin(fmax(pb_axis_place(&f->x, x), -2.0), 3.0);
}

/* Far beyond the range is as good as further: lines are cut at the edge of the plot. */
static double to_y(const struct pb_figure *f, double y)
{
	return f->top + f->plot_h * (1.0 - fmin(fmax(pb_axis_place(&f->y, y), -2.0), 3.0));
}

/* --- names --- */

static enum pb_status name_series(struct pb_figure *f, struct pb_measure *m, struct pb_error *err)
{
	const struct pb_chart *chart = f->chart;
	const double most = f->spec.size == PB_FIGURE_FULL ? 190.0 : 84.0;
	double w = 0.0;
	f->label_texts = pb_arena_alloc(f->arena, chart->n_series, sizeof *f->label_texts);
	if (!f->label_texts)
		return pb_out_of_memory(err, "a figure");
	for (size_t k = 0; k < chart->n_series; k++) {
		struct pb_text t = { 0 };
		pb_measure_fit(m, PB_LABEL_SIZE, false, most, chart->series[k].name, &t);
		f->label_texts[k] = (struct pb_label_text){ pb_figure_keep(f, &t), chart->series[k].name };
		if (!f->label_texts[k].text)
			return pb_out_of_memory(err, "a figure");
		if (!chart->series[k].no_name)
			w = fmax(w, SAMPLE + pb_measure_width(m, PB_LABEL_SIZE, false, f->label_texts[k].text));
	}
	f->plot_w = f->width - f->left - (w > 0.0 ? w + 20.0 : 24.0);
	return PB_OK;
}

struct end {
	double y;
	size_t series;
};

static int compare_ends(const void *pa, const void *pb)
{
	const struct end *a = pa, *b = pb;
	return a->y != b->y ? (a->y > b->y) - (a->y < b->y) : (a->series > b->series) - (a->series < b->series);
}

/* In a column right of the plot, lines by the heights of their ends, points alone from the top in their order. What has no room there is said under the figure. */
static enum pb_status place_names(struct pb_figure *f, size_t *n_left_out, struct pb_error *err)
{
	const struct pb_chart *chart = f->chart;
	const size_t most = (size_t)(f->plot_h / LABEL_HEIGHT);
	struct end *ends = pb_arena_alloc(f->arena, chart->n_series, sizeof *ends);
	struct pb_label *labels = pb_arena_alloc(f->arena, chart->n_series, sizeof *labels);
	f->labels = pb_arena_alloc(f->arena, chart->n_series, sizeof *f->labels);
	if (!ends || !labels || !f->labels)
		return pb_out_of_memory(err, "a figure");
	size_t n = 0;
	for (size_t k = 0; k < chart->n_series; k++) {
		const struct pb_chart_series *s = &chart->series[k];
		size_t last = s->n;
		while (last > 0 && !has_place(chart, s, last - 1))
			last--;
		if (s->no_name || last == 0)
			continue;
		if (n == most)
			(*n_left_out)++;
		else
			ends[n++] = (struct end){ s->line ? fmin(fmax(to_y(f, s->y[last - 1]), f->top), f->top + f->plot_h) : f->top, k };
	}
	qsort(ends, n, sizeof *ends, compare_ends);
	for (size_t i = 0; i < n; i++)
		labels[i] = (struct pb_label){ .x = f->left + f->plot_w, .y = ends[i].y, .w = f->width, .h = LABEL_HEIGHT };
	pb_labels_column(labels, n, f->left + f->plot_w + 10.0, f->top, f->top + f->plot_h);
	for (size_t i = 0; i < n; i++)
		f->labels[ends[i].series] = labels[i];
	f->n_labels = 0; /* drawn here, with samples */
	return PB_OK;
}

/* --- texts --- */

static bool is_beyond(const struct pb_figure *f, double y)
{
	double place = pb_axis_place(&f->y, y);
	return place > 1.0 || place < 0.0;
}

static enum pb_status make_texts(struct pb_figure *f, struct pb_measure *m, size_t n_without_name, struct pb_error *err)
{
	const struct pb_chart *chart = f->chart;
	struct pb_text outside = { 0 }, title = { 0 };
	size_t n_beyond = 0, n_without_place = 0;
	for (size_t k = 0; k < chart->n_series; k++) {
		const struct pb_chart_series *s = &chart->series[k];
		double worst = NAN;
		for (size_t i = 0; i < s->n; i++) {
			if (!has_place(chart, s, i))
				n_without_place++;
			else if (is_beyond(f, s->y[i]) && !(fabs(s->y[i]) <= fabs(worst)))
				worst = s->y[i];
		}
		if (isfinite(worst) && ++n_beyond <= MOST_LISTED)
			pb_text_printf(&outside, "%s%s %s to %.4g", n_beyond == 1 ? "Beyond the range, drawn as arrows: " : ", ", s->name, pb_axis_place(&f->y, worst) > 1.0 ? "up" : "down", worst);
	}
	if (n_beyond > MOST_LISTED)
		pb_text_printf(&outside, " and %zu more", n_beyond - MOST_LISTED);
	if (n_beyond)
		pb_text_char(&outside, '.');
	if (n_without_place)
		pb_text_printf(&outside, "%s%zu %s no place on these axes.", outside.length ? " " : "", n_without_place, n_without_place == 1 ? "value has" : "values have");
	if (n_without_name)
		pb_text_printf(&outside, "%s%zu lines have no room for their names.", outside.length ? " " : "", n_without_name);
	pb_measure_fit(m, PB_TITLE_SIZE(f->spec.size), true, f->width - 20.0, chart->title, &title);
	f->title = pb_figure_keep(f, &title);
	f->x_title = chart->x_title;
	f->y_title = chart->y_title;
	f->description = chart->description;
	f->outside = pb_figure_keep(f, &outside);
	return f->title && f->outside ? PB_OK : pb_out_of_memory(err, "a figure");
}

static enum pb_status lay_out(struct pb_figure *f, const struct pb_chart *chart, struct pb_measure *m, struct pb_error *err)
{
	size_t n_without_name = 0;
	if (!pb_chart_has_place(chart))
		return pb_fail(err, PB_MISSING, "figure: no point of '%s' can be drawn", chart->title);
	f->chart = chart;
	make_axes(f, chart);
	if (f->x.failed || f->y.failed)
		return pb_out_of_memory(err, "a figure");
	enum pb_status st = name_series(f, m, err);
	if (st == PB_OK)
		st = place_names(f, &n_without_name, err);
	if (st == PB_OK)
		st = make_texts(f, m, n_without_name, err);
	return st == PB_OK ? pb_figure_end(f, m, err) : st;
}

enum pb_status pb_chart_make(struct pb_figure **out, const struct pb_chart *chart, enum pb_figure_size size, const char *note,
	struct pb_measure *measure, struct pb_error *err)
{
	const struct pb_figure_spec spec = { .size = size, .note = note };
	struct pb_figure *f = pb_figure_new(&spec);
	if (!f)
		return pb_out_of_memory(err, "a figure");
	enum pb_status st = lay_out(f, chart, measure, err);
	if (st != PB_OK)
		pb_figure_free(f);
	else
		*out = f;
	return st;
}

/* --- drawing --- */

struct pen {
	const struct pb_figure *f;
	struct pb_canvas *c;
	double *xy;                     /* scratch, for a line or an area of any series */
	struct pb_text text[5];
};

static bool has_interval(const struct pb_chart *chart, const struct pb_chart_series *s, size_t i)
{
	return s->low && s->high && has_place(chart, s, i) && on_axis(chart->y_kind, s->low[i]) && on_axis(chart->y_kind, s->high[i]);
}

/* Of the points in one column of half a pixel only the first, the lowest, the highest and the last are kept: the same picture. */
static size_t thin(double *xy, size_t n)
{
	size_t kept = 0;
	for (size_t first = 0, next; first < n; first = next) {
		size_t low = first, high = first;
		for (next = first + 1; next < n && floor(2.0 * xy[2 * next]) == floor(2.0 * xy[2 * first]); next++) {
			if (xy[2 * next + 1] < xy[2 * low + 1])
				low = next;
			if (xy[2 * next + 1] > xy[2 * high + 1])
				high = next;
		}
		for (size_t i = first; i < next; i++)
			if (i == first || i == low || i == high || i + 1 == next) {
				xy[2 * kept] = xy[2 * i];
				xy[2 * kept++ + 1] = xy[2 * i + 1];
			}
	}
	return kept;
}

static void draw_band(struct pen *pen, const struct pb_chart_series *s)
{
	const struct pb_chart *chart = pen->f->chart;
	for (size_t first = 0, next; first < s->n; first = next) {
		for (next = first; next < s->n && has_interval(chart, s, next); next++)
			;
		size_t n = 0;
		for (size_t i = first; i < next; i++, n++) {
			pen->xy[2 * n] = to_x(pen->f, s->x[i]);
			pen->xy[2 * n + 1] = to_y(pen->f, s->high[i]);
		}
		for (size_t i = next; i-- > first; n++) {
			pen->xy[2 * n] = to_x(pen->f, s->x[i]);
			pen->xy[2 * n + 1] = to_y(pen->f, s->low[i]);
		}
		if (n > 2)
			pb_canvas_area(pen->c, pen->xy, n, PB_INK_GRID);
		next += next == first;
	}
}

static void draw_line(struct pen *pen, const struct pb_chart_series *s)
{
	const struct pb_stroke stroke = { s->ink, s->width > 0.0 ? s->width : 1.5, s->dash };
	for (size_t first = 0, next; first < s->n; first = next) {
		size_t n = 0;
		for (next = first; next < s->n && has_place(pen->f->chart, s, next); next++, n++) {
			pen->xy[2 * n] = to_x(pen->f, s->x[next]);
			pen->xy[2 * n + 1] = to_y(pen->f, s->y[next]);
		}
		n = thin(pen->xy, n);
		if (n == 1) /* a point alone, between values without a place */
			pb_canvas_marker(pen->c, PB_SHAPE_CIRCLE, pen->xy[0], pen->xy[1], 2.0, s->ink, (struct pb_stroke){ s->ink, 0.8, PB_SOLID });
		else
			pb_canvas_polyline(pen->c, pen->xy, n, stroke);
		next += next == first;
	}
}

static void draw_bar(const struct pen *pen, const struct pb_chart_series *s, size_t i)
{
	const struct pb_stroke stroke = { PB_INK_AXIS, 1.0, PB_SOLID };
	const struct pb_figure *f = pen->f;
	double x = to_x(f, s->x[i]), top = fmax(to_y(f, s->high[i]), f->top), bottom = fmin(to_y(f, s->low[i]), f->top + f->plot_h);
	if (top > bottom)
		return;
	pb_canvas_bar(pen->c, x, top, bottom, 2.0, stroke);
}

static const char *number(struct pen *pen, size_t which, double v)
{
	char buffer[32] = "";
	if (isfinite(v))
		pb_format_number(buffer, v);
	pb_text_clear(&pen->text[which]);
	pb_text_string(&pen->text[which], buffer);
	return pb_text_c(&pen->text[which]);
}

static const char *tooltip(struct pen *pen, const struct pb_chart_series *s, size_t i)
{
	const struct pb_chart *chart = pen->f->chart;
	struct pb_text *t = &pen->text[4];
	if (s->tooltips && s->tooltips[i])
		return s->tooltips[i];
	pb_text_clear(t);
	pb_text_printf(t, "%s\n%s: %.6g\n%s: %.6g", s->name, chart->x_title, s->x[i], chart->y_title, s->y[i]);
	if (has_interval(chart, s, i))
		pb_text_printf(t, " (%.6g to %.6g)", s->low[i], s->high[i]);
	return pb_text_c(t);
}

static void put_marker(const struct pen *pen, const struct pb_chart_series *s, double x, double y, double radius)
{
	const struct pb_stroke outline = { s->hollow ? s->ink : PB_INK_OUTLINE, 0.8, PB_SOLID };
	enum pb_ink fill = !s->hollow ? s->ink : s->shape == PB_SHAPE_CROSS ? PB_INK_NONE : PB_INK_PAPER;
	pb_canvas_marker(pen->c, s->shape, x, y, s->hollow ? radius - 1.0 : radius, fill, outline);
}

static void draw_mark(struct pen *pen, const struct pb_chart_series *s, size_t i)
{
	const struct pb_stroke outline = { PB_INK_OUTLINE, 0.8, PB_SOLID };
	const struct pb_figure *f = pen->f;
	const double radius = f->spec.size == PB_FIGURE_PANEL ? 3.5 : 4.5, place = pb_axis_place(&f->y, s->y[i]);
	const bool interval = has_interval(f->chart, s, i);
	const char *const attributes[] = { "series", s->name, "x", number(pen, 0, s->x[i]), "y", number(pen, 1, s->y[i]), "low", number(pen, 2, interval ? s->low[i] : NAN),
		"high", number(pen, 3, interval ? s->high[i] : NAN), NULL };
	const char *title = tooltip(pen, s, i);
	for (int k = 0; k < 5; k++)
		if (pen->text[k].failed)
			pb_canvas_fail(pen->c, PB_MEMORY, "memory is out");
	pb_canvas_open(pen->c, title, attributes);
	if (interval && !s->band)
		draw_bar(pen, s, i);
	if (place > 1.0)
		pb_canvas_marker(pen->c, PB_SHAPE_UP, to_x(f, s->x[i]), f->top + BEYOND, 5.0, s->ink, outline);
	else if (place < 0.0)
		pb_canvas_marker(pen->c, PB_SHAPE_DOWN, to_x(f, s->x[i]), f->top + f->plot_h - BEYOND, 5.0, s->ink, outline);
	else
		put_marker(pen, s, to_x(f, s->x[i]), to_y(f, s->y[i]), radius);
	pb_canvas_close(pen->c);
}

/* The last mark always stays; those before it keep their distance. */
static void draw_marks(struct pen *pen, const struct pb_chart_series *s)
{
	const struct pb_figure *f = pen->f;
	double x = INFINITY, y = INFINITY;
	for (size_t i = s->n; i-- > 0;) {
		if (!has_place(f->chart, s, i) || (!is_beyond(f, s->y[i]) && hypot(to_x(f, s->x[i]) - x, to_y(f, s->y[i]) - y) < s->mark_gap))
			continue;
		x = to_x(f, s->x[i]);
		y = to_y(f, s->y[i]);
		draw_mark(pen, s, i);
	}
}

/* A line that leaves the range without marks has its arrow at its highest point. */
static void draw_arrow(struct pen *pen, const struct pb_chart_series *s)
{
	const struct pb_figure *f = pen->f;
	size_t peak = s->n;
	for (size_t i = 0; i < s->n; i++)
		if (has_place(f->chart, s, i) && pb_axis_place(&f->y, s->y[i]) > 1.0 && (peak == s->n || s->y[i] > s->y[peak]))
			peak = i;
	if (peak < s->n)
		pb_canvas_marker(pen->c, PB_SHAPE_UP, to_x(f, s->x[peak]), f->top + BEYOND, 5.0, s->ink, (struct pb_stroke){ PB_INK_OUTLINE, 0.8, PB_SOLID });
}

static void draw_names(const struct pen *pen)
{
	const struct pb_figure *f = pen->f;
	for (size_t k = 0; k < f->chart->n_series; k++) {
		const struct pb_chart_series *s = &f->chart->series[k];
		const struct pb_label *label = &f->labels[k];
		double x = label->box.x, y = label->box.y + 0.5 * LABEL_HEIGHT;
		if (!(label->h > 0.0))
			continue;
		if (s->line)
			pb_canvas_line(pen->c, x, y, x + 20.0, y, (struct pb_stroke){ s->ink, s->width > 0.0 ? s->width : 1.5, s->dash });
		if (s->marks)
			put_marker(pen, s, x + 10.0, y, 4.0);
		pb_canvas_text(pen->c, x + SAMPLE, label->box.y + 10.0, PB_LEFT, PB_LABEL_SIZE, false, PB_INK_TEXT, f->label_texts[k].text);
	}
}

static void draw_references(const struct pen *pen, bool texts)
{
	const struct pb_figure *f = pen->f;
	for (size_t i = 0; i < f->chart->n_references; i++) {
		const struct pb_chart_reference *r = &f->chart->references[i];
		if (!on_axis(f->chart->y_kind, r->y) || is_beyond(f, r->y))
			continue;
		if (texts)
			pb_canvas_label(pen->c, f->left + 4.0, to_y(f, r->y) - 4.0, PB_LABEL_SIZE, false, PB_INK_MUTED, r->text);
		else
			pb_canvas_line(pen->c, f->left, to_y(f, r->y), f->left + f->plot_w, to_y(f, r->y), (struct pb_stroke){ PB_INK_MUTED, 1.0, PB_DOTTED });
	}
}

void pb_chart_draw(const struct pb_figure *f, struct pb_canvas *c)
{
	const struct pb_chart *chart = f->chart;
	size_t longest = 0;
	for (size_t k = 0; k < chart->n_series; k++)
		longest = chart->series[k].n > longest ? chart->series[k].n : longest;
	struct pen pen = { .f = f, .c = c, .xy = pb_alloc(longest, 4 * sizeof(double)) };
	if (!pen.xy) {
		pb_canvas_fail(c, PB_MEMORY, "memory is out");
		return;
	}
	pb_canvas_clip(c, f->left, f->top, f->plot_w, f->plot_h);
	for (size_t k = 0; k < chart->n_series; k++)
		if (chart->series[k].band)
			draw_band(&pen, &chart->series[k]);
	draw_references(&pen, false);
	for (size_t k = 0; k < chart->n_series; k++)
		if (chart->series[k].line)
			draw_line(&pen, &chart->series[k]);
	pb_canvas_unclip(c);
	for (size_t k = 0; k < chart->n_series; k++) {
		if (chart->series[k].marks)
			draw_marks(&pen, &chart->series[k]);
		else
			draw_arrow(&pen, &chart->series[k]);
	}
	draw_references(&pen, true);
	draw_names(&pen);
	for (int k = 0; k < 5; k++)
		pb_text_free(&pen.text[k]);
	pb_free(pen.xy);
}
