/* What all figures share: their sizes, the lines under the plot, the way from a layout to a figure. */
#include <string.h>

#include "reports/figure_layout.h"

const struct pb_figure_measures pb_figure_sizes[PB_FIGURE_SIZES] = {
	[PB_FIGURE_FULL] = { 960, 76, 150, 60, 514, 66, 9, 8, 250 },
	[PB_FIGURE_NARROW] = { 480, 58, 14, 60, 330, 62, 5, 7, 150 },
	[PB_FIGURE_PANEL] = { 470, 58, 16, 46, 232, 44, 5, 6, 0 },
};

struct pb_figure *pb_figure_new(const struct pb_figure_spec *spec)
{
	const struct pb_figure_measures *size = &pb_figure_sizes[spec->size];
	struct pb_arena *arena = pb_arena_new();
	struct pb_figure *f = arena ? pb_arena_alloc(arena, 1, sizeof *f) : NULL;
	if (!f) {
		pb_arena_free(arena);
		return NULL;
	}
	f->arena = arena;
	f->spec = *spec;
	f->width = size->width;
	f->left = size->left;
	f->top = size->top;
	f->plot_w = size->width - size->left - size->right;
	f->plot_h = size->plot_h;
	return f;
}

char *pb_figure_keep(const struct pb_figure *f, struct pb_text *t)
{
	char *s = t->failed ? NULL : pb_arena_strdup(f->arena, pb_text_c(t));
	pb_text_free(t);
	return s;
}

static enum pb_status add_lines(struct pb_figure *f, struct pb_measure *m, const char *s, struct pb_error *err)
{
	struct pb_text t = { 0 };
	size_t n = pb_measure_wrap(m, 11.0, f->width - f->left - 16.0, s, &t);
	char **lines = pb_arena_alloc(f->arena, f->n_lines + n, sizeof *lines);
	char *text = pb_figure_keep(f, &t);
	if (!lines || !text)
		return pb_out_of_memory(err, "a figure");
	if (f->n_lines)
		memcpy(lines, f->lines, f->n_lines * sizeof *lines);
	for (char *rest = text; rest; n--) {
		lines[f->n_lines++] = rest;
		rest = strchr(rest, '\n');
		if (rest)
			*rest++ = '\0';
	}
	f->lines = lines;
	return PB_OK;
}

/* The names of numbers, then the note and what the figure itself has to say. */
static enum pb_status make_lines(struct pb_figure *f, struct pb_measure *m, struct pb_error *err)
{
	struct pb_text t = { 0 };
	enum pb_status st = PB_OK;
	for (size_t i = 0; i < f->n_labels; i++)
		if (f->labels[i].number)
			pb_text_printf(&t, "%s%u\u00a0%s", t.length ? "; " : "", f->labels[i].number, f->label_texts[i].whole);
	if (t.failed)
		st = pb_out_of_memory(err, "a figure");
	else if (t.length)
		st = add_lines(f, m, t.data, err);
	f->n_key_lines = f->n_lines;
	pb_text_clear(&t);
	pb_text_string(&t, f->spec.note);
	if (*f->spec.note && *f->outside)
		pb_text_char(&t, ' ');
	pb_text_string(&t, f->outside);
	if (st == PB_OK)
		st = pb_text_check(&t, err);
	if (st == PB_OK && t.length && f->spec.size == PB_FIGURE_FULL)
		st = add_lines(f, m, t.data, err);
	pb_text_free(&t);
	return st;
}

enum pb_status pb_figure_end(struct pb_figure *f, struct pb_measure *measure, struct pb_error *err)
{
	enum pb_status st = make_lines(f, measure, err);
	f->height = f->top + f->plot_h + pb_figure_sizes[f->spec.size].bottom + (f->n_lines > 1 ? PB_FIGURE_LINE * (double)(f->n_lines - 1) : 0.0);
	return st == PB_OK ? pb_measure_check(measure, err) : st;
}

void pb_figure_free(struct pb_figure *figure)
{
	if (figure)
		pb_arena_free(figure->arena);
}

double pb_figure_width(const struct pb_figure *figure)
{
	return figure->width;
}

double pb_figure_height(const struct pb_figure *figure)
{
	return figure->height;
}

const char *pb_figure_description(const struct pb_figure *figure)
{
	return figure->description;
}

const char *pb_figure_outside(const struct pb_figure *figure)
{
	return figure->outside;
}
