/* Drawing of a figure that is laid out. */
#include <inttypes.h>
#include <math.h>

#include "reports/figure_layout.h"

static double text_size(const struct pb_figure *f)
{
	return f->spec.size == PB_FIGURE_PANEL ? 11.0 : 12.0;
}

static void draw_ground(const struct pb_figure *f, struct pb_canvas *c)
{
	const struct pb_stroke grid = { PB_INK_GRID, 1.0, PB_SOLID }, axis = { PB_INK_AXIS, 1.0, PB_SOLID };
	double bottom = f->top + f->plot_h, right = f->left + f->plot_w, size = text_size(f);
	for (size_t i = 0; i < f->y.n_ticks; i++) {
		const struct pb_tick *t = &f->y.ticks[i];
		double y = f->top + f->plot_h * (1.0 - pb_axis_place(&f->y, t->value));
		if (t->minor)
			continue;
		pb_canvas_line(c, f->left, y, right, y, grid);
		pb_canvas_text(c, f->left - 8.0, y + 0.36 * size, PB_RIGHT, size, false, PB_INK_TEXT, t->label);
	}
	pb_canvas_line(c, f->left, bottom, right, bottom, axis);
	for (size_t i = 0; i < f->x.n_ticks; i++) {
		const struct pb_tick *t = &f->x.ticks[i];
		double x = f->left + f->plot_w * pb_axis_place(&f->x, t->value);
		pb_canvas_line(c, x, bottom, x, bottom + (t->minor ? 3.0 : 5.0), axis);
		if (!t->minor)
			pb_canvas_text(c, x, bottom + 6.0 + size, PB_MIDDLE, size, false, PB_INK_TEXT, t->label);
	}
}

static void draw_titles(const struct pb_figure *f, struct pb_canvas *c)
{
	bool panel = f->spec.size == PB_FIGURE_PANEL;
	double bottom = f->top + f->plot_h;
	pb_canvas_text(c, 12.0, panel ? 20.0 : 26.0, PB_LEFT, PB_TITLE_SIZE(f->spec.size), true, PB_INK_TEXT, f->title);
	pb_canvas_text(c, 12.0, panel ? 36.0 : 48.0, PB_LEFT, panel ? 11.0 : 13.0, false, panel ? PB_INK_MUTED : PB_INK_TEXT, f->y_title);
	pb_canvas_text(c, f->left + 0.5 * f->plot_w, bottom + (panel ? 34.0 : 38.0), PB_MIDDLE, panel ? 11.0 : 13.0, false, PB_INK_TEXT, f->x_title);
	for (size_t i = 0; i < f->n_lines; i++)
		pb_canvas_text(c, 12.0, bottom + 57.0 + PB_FIGURE_LINE * (double)i, PB_LEFT, 11.0, false,
			i < f->n_key_lines ? PB_INK_TEXT : PB_INK_MUTED, f->lines[i]);
}

static void draw_marker(struct pb_canvas *c, const struct pb_family *family, bool on_front, enum pb_separated separated, double x, double y, double radius)
{
	const struct pb_stroke outline = { PB_INK_OUTLINE, 0.8, PB_SOLID };
	struct pb_stroke ring = { family->ink, 2.2, PB_SOLID };
	if (!on_front)
		pb_canvas_marker(c, family->shape, x, y, radius, PB_INK_PAPER, outline);
	else if (separated == PB_SEPARATED_NO)
		pb_canvas_marker(c, family->shape, x, y, radius, PB_INK_PAPER, ring);
	else
		pb_canvas_marker(c, family->shape, x, y, radius, family->ink, outline);
}

/* Which marker means what, from right to left above the plot. */
static void draw_marker_key(const struct pb_figure *f, struct pb_canvas *c)
{
	static const struct {
		const char *text;
		bool on_front;
		enum pb_separated separated;
		double width;           /* of the text, as measured at 11 px, rounded up */
	} entries[3] = {
		{ "dominated", false, PB_SEPARATED_UNKNOWN, 64.0 },
		{ "on it, not separated at 95 %", true, PB_SEPARATED_NO, 172.0 },
		{ "on the front", true, PB_SEPARATED_YES, 72.0 },
	};
	const struct pb_family sample = { "", PB_INK_MUTED, PB_SHAPE_CIRCLE };
	double x = f->width - 10.0;
	if (f->spec.size != PB_FIGURE_FULL)
		return;
	for (int i = 0; i < 3; i++) {
		if (f->spec.by_bits && entries[i].separated == PB_SEPARATED_NO)
			continue;
		x -= entries[i].width;
		pb_canvas_text(c, x, 44.0, PB_LEFT, 11.0, false, PB_INK_TEXT, entries[i].text);
		draw_marker(c, &sample, entries[i].on_front, entries[i].separated, x - 9.0, 40.0, 4.5);
		x -= 28.0;
	}
}

static void draw_legend(const struct pb_figure *f, struct pb_canvas *c)
{
	double x = f->left + f->plot_w + 20.0, y = f->legend_y + 6.0;
	if (!f->legend)
		return;
	for (size_t i = 0; i < pb_n_families; i++) {
		if (!f->families[i])
			continue;
		draw_marker(c, &pb_families[i], true, PB_SEPARATED_YES, x, y, 5.0);
		pb_canvas_text(c, x + 12.0, y + 4.0, PB_LEFT, 12.0, false, PB_INK_TEXT, pb_families[i].name);
		y += 18.0;
	}
}

static void draw_references(const struct pb_figure *f, struct pb_canvas *c)
{
	for (size_t i = 0; i < f->n_references; i++) {
		const struct pb_reference *r = &f->references[i];
		struct pb_stroke stroke = { r->is_chance ? PB_INK_MUTED : PB_INK_OUTLINE, 1.0, PB_DOTTED };
		pb_canvas_line(c, f->left, r->y, f->left + f->plot_w, r->y, stroke);
	}
}

/* Under everything. */
static void draw_bands(const struct pb_figure *f, struct pb_canvas *c)
{
	if (!f->n_band)
		return;
	pb_canvas_clip(c, f->left, f->top, f->plot_w, f->plot_h);
	pb_canvas_area(c, f->band, f->n_band, PB_INK_GRID);
	/* Its lower and its upper edge, then the median. */
	pb_canvas_polyline(c, f->band, f->n_band / 2, (struct pb_stroke){ PB_INK_MUTED, 0.7, PB_DOTTED });
	pb_canvas_polyline(c, f->band + f->n_band, f->n_band / 2, (struct pb_stroke){ PB_INK_MUTED, 0.7, PB_DOTTED });
	pb_canvas_polyline(c, f->middle, f->n_middle, (struct pb_stroke){ PB_INK_MUTED, 1.0, PB_DASHED });
	pb_canvas_unclip(c);
}

static void draw_steps(const struct pb_figure *f, struct pb_canvas *c)
{
	const struct pb_stroke stroke = { PB_INK_FRONT, 1.5, PB_SOLID };
	pb_canvas_clip(c, f->left, f->top - 1.0, f->plot_w, f->plot_h + 2.0);
	for (size_t i = 0; i < f->n_steps; i++)
		pb_canvas_polyline(c, f->steps[i].xy, f->steps[i].n, stroke);
	pb_canvas_unclip(c);
	for (size_t i = 0; f->spec.by_bits && f->spec.size == PB_FIGURE_FULL && i < f->n_steps; i++) {
		const struct pb_steps *s = &f->steps[i];
		pb_canvas_text(c, f->left + f->plot_w + 4.0, s->name_y, PB_LEFT, PB_LABEL_SIZE, true, PB_INK_TEXT, s->shown);
	}
}

static void draw_bar(struct pb_canvas *c, const struct pb_mark *m)
{
	struct pb_stroke stroke = { m->on_front ? PB_INK_AXIS : PB_INK_MUTED, 1.0, PB_SOLID };
	if (!m->has_bar)
		return;
	pb_canvas_bar(c, m->x, m->bar_top, m->bar_bottom, 2.0, stroke);
}

static void number_text(struct pb_text *t, double v)
{
	char buffer[32];
	if (!isfinite(v))
		return;
	pb_format_number(buffer, v);
	pb_text_string(t, buffer);
}

static void draw_mark(const struct pb_figure *f, struct pb_canvas *c, const struct pb_mark *m, struct pb_text t[4])
{
	for (int i = 0; i < 4; i++)
		pb_text_clear(&t[i]);
	const struct pb_row *r = m->point->row;
	const struct pb_family *family = &pb_families[pb_family_index(r->family)];
	pb_text_printf(&t[0], "%" PRId64, r->model_bytes);
	number_text(&t[1], m->point->bits);
	number_text(&t[2], m->point->value);
	number_text(&t[3], m->point->stderr_value);
	for (int i = 0; i < 4; i++)
		if (t[i].failed)
			pb_canvas_fail(c, PB_MEMORY, "memory is out");
	if (m->n_points > 1) {
		pb_text_clear(&t[0]);
		pb_text_printf(&t[0], "%zu", m->n_points);
		const char *const count[] = { "family", r->family, "points", pb_text_c(&t[0]), NULL };
		pb_canvas_open(c, m->tooltip, count);
		pb_canvas_marker(c, family->shape, m->x, m->y, 2.5, PB_INK_PAPER, (struct pb_stroke){ family->ink, 0.8, PB_SOLID });
		pb_canvas_close(c);
		return;
	}
	const char *const attributes[] = { "cell", r->cell, "model", r->model, "label", r->label, "family", r->family, "bytes", pb_text_c(&t[0]),
		"bits", pb_text_c(&t[1]), "value", pb_text_c(&t[2]), "stderr", pb_text_c(&t[3]), "front", m->on_front ? "true" : "false", NULL };
	pb_canvas_open(c, m->tooltip, f->n_marks < f->n_drawn && !m->on_front ? NULL : attributes);
	draw_bar(c, m);
	if (m->beyond) {
		const struct pb_stroke outline = { PB_INK_OUTLINE, 0.8, PB_SOLID };
		pb_canvas_marker(c, m->beyond > 0 ? PB_SHAPE_UP : PB_SHAPE_DOWN, m->x, m->y, 5.0, family->ink, outline);
	} else {
		draw_marker(c, family, m->on_front, m->separated, m->x, m->y, f->spec.size == PB_FIGURE_PANEL ? 4.0 : 5.0);
	}
	pb_canvas_close(c);
}

static void draw_leaders(const struct pb_figure *f, struct pb_canvas *c)
{
	const struct pb_stroke leader = { PB_INK_MUTED, 0.7, PB_SOLID };
	for (size_t i = 0; i < f->n_labels; i++) {
		const struct pb_label *l = &f->labels[i];
		if (l->leader)
			pb_canvas_line(c, l->x, l->y, l->leader_x, l->leader_y, leader);
	}
}

static void draw_labels(const struct pb_figure *f, struct pb_canvas *c)
{
	struct pb_text number = { 0 };
	for (size_t i = 0; i < f->n_references; i++)
		pb_canvas_label(c, f->references[i].text_x, f->references[i].text_y, PB_LABEL_SIZE, false, PB_INK_MUTED, f->references[i].text);
	for (size_t i = 0; i < f->n_labels; i++) {
		const struct pb_label *l = &f->labels[i];
		pb_text_clear(&number);
		pb_text_printf(&number, "%u", l->number);
		if (number.failed)
			pb_canvas_fail(c, PB_MEMORY, "memory is out");
		pb_canvas_label(c, l->box.x, l->box.y + 10.0, PB_LABEL_SIZE, l->number != 0, PB_INK_TEXT,
			l->number ? pb_text_c(&number) : f->label_texts[i].text);
	}
	pb_text_free(&number);
}

void pb_figure_draw(const struct pb_figure *f, struct pb_canvas *c)
{
	struct pb_text scratch[4] = { 0 };
	draw_ground(f, c);
	draw_titles(f, c);
	if (f->chart) {
		pb_chart_draw(f, c);
		return;
	}
	draw_marker_key(f, c);
	draw_legend(f, c);
	draw_bands(f, c);
	draw_references(f, c);
	draw_steps(f, c);
	/* Leaders lie under the markers; the front lies over what it dominates. */
	draw_leaders(f, c);
	for (int front = 0; front < 2; front++)
		for (size_t i = 0; i < f->n_marks; i++)
			if (f->marks[i].on_front == (front == 1))
				draw_mark(f, c, &f->marks[i], scratch);
	draw_labels(f, c);
	for (int i = 0; i < 4; i++)
		pb_text_free(&scratch[i]);
}
