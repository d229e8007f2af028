/* The figure of trainings: loss against tokens. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/figure_layout.h"

#define LOSS_RANGE 1.2          /* losses above that many times the highest first one are arrows */
#define COLUMN_REACH 0.02       /* of the plot's width: lines that end so near to the rightmost end have their names in one column */
#define MARK_DISTANCE 20.0
#define LABEL_HEIGHT 13.0
#define MOST_NAMES 5            /* on a narrow figure; more are numbers */

/* Colours and markers of trainings, in their order. Further ones have the colours again, with other markers. */
static const enum pb_ink inks[] = { PB_INK_PARETOQ, PB_INK_ONEBIT, PB_INK_SQUEEZELLM, PB_INK_VPTQ, PB_INK_KBIT, PB_INK_OTHER, PB_INK_FULL };
static const enum pb_shape shapes[] = { PB_SHAPE_CIRCLE, PB_SHAPE_SQUARE, PB_SHAPE_UP, PB_SHAPE_DIAMOND, PB_SHAPE_DOWN, PB_SHAPE_PENTAGON };
#define N_INKS (sizeof inks / sizeof *inks)
#define N_SHAPES (sizeof shapes / sizeof *shapes)

static bool is_narrow(const struct pb_figure *f)
{
	return f->spec.size == PB_FIGURE_NARROW;
}

/* Names have no room. */
static bool wants_numbers(const struct pb_figure *f)
{
	return is_narrow(f) && f->n_curves > MOST_NAMES;
}

static bool has_place(const struct pb_training *run)
{
	for (size_t i = 0; i < run->n_lines; i++)
		if (pb_training_line_has_place(&run->lines[i]))
			return true;
	return false;
}

static enum pb_status choose_curves(struct pb_figure *f, const struct pb_trainings *trainings, struct pb_error *err)
{
	f->curves = pb_arena_alloc(f->arena, trainings->n, sizeof *f->curves);
	if (!f->curves)
		return pb_out_of_memory(err, "a figure");
	for (size_t i = 0; i < trainings->n; i++)
		if (has_place(&trainings->runs[i]))
			f->curves[f->n_curves++] = (struct pb_curve){ .run = &trainings->runs[i], .ink = inks[i % N_INKS],
				.shape = shapes[(i + i / N_INKS) % N_SHAPES], .peak = NAN };
	return f->n_curves ? PB_OK : pb_fail(err, PB_MISSING, "figure: no line of a training can be drawn");
}

/* --- axes --- */

/* What is beyond the bounds is drawn at the edge: an axis of such numbers would overflow. */
static void grow_range(double *low, double *high, double v)
{
	if (!isfinite(v))
		return;
	v = fmin(fmax(v, -1e150), 1e150);
	*low = fmin(*low, v);
	*high = fmax(*high, v);
}

static double first_loss(const struct pb_training *run)
{
	for (size_t i = 0; i < run->n_lines; i++)
		if (pb_training_line_has_place(&run->lines[i]))
			return isfinite(run->lines[i].loss) ? run->lines[i].loss : run->lines[i].validation_loss;
	return NAN;
}

static void make_axes(struct pb_figure *f)
{
	double x_low = INFINITY, x_high = -INFINITY, low = INFINITY, high = -INFINITY, first_low = INFINITY, first = -INFINITY;
	for (size_t i = 0; i < f->n_curves; i++) {
		const struct pb_training *run = f->curves[i].run;
		grow_range(&first_low, &first, first_loss(run));
		for (size_t k = 0; k < run->n_lines; k++) {
			if (!pb_training_line_has_place(&run->lines[k]))
				continue;
			grow_range(&x_low, &x_high, (double)run->lines[k].tokens);
			grow_range(&low, &high, run->lines[k].loss);
			grow_range(&low, &high, run->lines[k].validation_loss);
		}
	}
	if (first > 0.0)
		high = fmin(high, LOSS_RANGE * first);
	pb_axis_make(&f->x, PB_AXIS_COUNT, x_low, x_high, -INFINITY, INFINITY, pb_figure_sizes[f->spec.size].x_ticks);
	pb_axis_make(&f->y, PB_AXIS_LINEAR, low, high, low >= 0.0 ? 0.0 : -INFINITY, INFINITY, pb_figure_sizes[f->spec.size].y_ticks);
}

static double to_x(const struct pb_figure *f, const struct pb_training_line *line)
{
	return f->left + f->plot_w * pb_axis_place(&f->x, (double)line->tokens);
}

/* Far beyond the range is as good as further: the line is cut at the edge of the plot. */
static double to_y(const struct pb_figure *f, double loss)
{
	return f->top + f->plot_h * (1.0 - fmin(fmax(pb_axis_place(&f->y, loss), -2.0), 3.0));
}

/* --- names --- */

/* "name", "name (running)". */
static bool name_curve(struct pb_figure *f, struct pb_measure *m, const struct pb_training *run, struct pb_label_text *out)
{
	struct pb_text whole = { 0 }, shown = { 0 }, status = { 0 };
	if (run->status != PB_TRAINING_DONE)
		pb_text_printf(&status, " (%s)", pb_training_status_name(run->status));
	pb_text_printf(&whole, "%s%s", run->name, pb_text_c(&status));
	pb_measure_fit(m, PB_LABEL_SIZE, false, is_narrow(f) ? 90.0 : 170.0, run->name, &shown);
	pb_text_string(&shown, pb_text_c(&status));
	whole.failed = whole.failed || status.failed;
	pb_text_free(&status);
	out->text = pb_figure_keep(f, &shown);
	out->whole = pb_figure_keep(f, &whole);
	return out->text && out->whole;
}

static int64_t last_tokens(const struct pb_training *run)
{
	size_t i = run->n_lines;
	while (i > 0 && !pb_training_line_has_place(&run->lines[i - 1]))
		i--;
	return i > 0 ? run->lines[i - 1].tokens : 0;
}

static void choose_column(struct pb_figure *f)
{
	int64_t last = 0;
	for (size_t i = 0; i < f->n_curves; i++)
		if (last_tokens(f->curves[i].run) > last)
			last = last_tokens(f->curves[i].run);
	for (size_t i = 0; i < f->n_curves; i++)
		f->curves[i].in_column = pb_axis_place(&f->x, (double)last_tokens(f->curves[i].run)) >= pb_axis_place(&f->x, (double)last) - COLUMN_REACH;
}

/* Texts of the labels, one a curve, and the room that the column needs beside the plot. The last line ends before the plot does. */
static enum pb_status name_curves(struct pb_figure *f, struct pb_measure *m, struct pb_label_text *texts, struct pb_error *err)
{
	double w = pb_measure_width(m, PB_LABEL_SIZE, true, "00");
	for (size_t i = 0; i < f->n_curves; i++) {
		if (!name_curve(f, m, f->curves[i].run, &texts[i]))
			return pb_out_of_memory(err, "a figure");
		if (!wants_numbers(f) && f->curves[i].in_column)
			w = fmax(w, pb_measure_width(m, PB_LABEL_SIZE, false, texts[i].text));
	}
	double after_end = 0.05 * (f->width - f->left - w);
	f->plot_w = f->width - f->left - fmax(is_narrow(f) ? 14.0 : 24.0, w + 26.0 - after_end);
	return PB_OK;
}

/* --- lines --- */

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

static const char *tooltip(const struct pb_figure *f, const struct pb_training *run, const struct pb_training_line *line)
{
	struct pb_text t = { 0 };
	char tokens[32];
	pb_format_count(tokens, (double)line->tokens, 3);
	pb_text_printf(&t, "%s\nstep %" PRId64 ", %" PRId64 " tokens (%s)\nvalidation loss %.4g", run->name, line->step, line->tokens, tokens, line->validation_loss);
	if (isfinite(line->loss))
		pb_text_printf(&t, "\ntraining loss %.4g", line->loss);
	return pb_figure_keep(f, &t);
}

/* Marks do not cover each other; the last measurement has one always. */
static enum pb_status mark_curve(struct pb_figure *f, struct pb_curve *curve, struct pb_error *err)
{
	const struct pb_training *run = curve->run;
	curve->marks = pb_arena_alloc(f->arena, curve->n_validation, sizeof *curve->marks);
	if (!curve->marks)
		return pb_out_of_memory(err, "a figure");
	for (size_t i = run->n_lines; i-- > 0;) {
		const struct pb_training_line *line = &run->lines[i];
		if (line->tokens <= 0 || !isfinite(line->validation_loss) || pb_axis_place(&f->y, line->validation_loss) > 1.0)
			continue;
		struct pb_curve_mark mark = { to_x(f, line), to_y(f, line->validation_loss), line, NULL };
		const struct pb_curve_mark *later = curve->n_marks ? &curve->marks[curve->n_marks - 1] : NULL;
		if (later && hypot(later->x - mark.x, later->y - mark.y) < MARK_DISTANCE)
			continue;
		mark.tooltip = tooltip(f, run, line);
		if (!mark.tooltip)
			return pb_out_of_memory(err, "a figure");
		curve->marks[curve->n_marks++] = mark;
	}
	return PB_OK;
}

static void add_point(const struct pb_figure *f, struct pb_curve *curve, const struct pb_training_line *line, double loss, double *xy, size_t *n)
{
	double x = to_x(f, line), y = to_y(f, loss);
	if (pb_axis_place(&f->y, loss) > 1.0 && !(loss <= curve->peak)) {
		curve->peak = loss;
		curve->peak_x = x;
	}
	xy[2 * *n] = curve->end_x = x;
	xy[2 * (*n)++ + 1] = y;
	curve->end_y = fmax(y, f->top + 7.0);
}

static enum pb_status place_curve(struct pb_figure *f, struct pb_curve *curve, struct pb_error *err)
{
	const struct pb_training *run = curve->run;
	curve->training = pb_arena_alloc(f->arena, 2 * run->n_lines, sizeof(double));
	curve->validation = pb_arena_alloc(f->arena, 2 * run->n_lines, sizeof(double));
	if (!curve->training || !curve->validation)
		return pb_out_of_memory(err, "a figure");
	for (size_t i = 0; i < run->n_lines; i++) {
		const struct pb_training_line *line = &run->lines[i];
		if (!pb_training_line_has_place(line))
			continue;
		if (isfinite(line->loss))
			add_point(f, curve, line, line->loss, curve->training, &curve->n_training);
		if (isfinite(line->validation_loss))
			add_point(f, curve, line, line->validation_loss, curve->validation, &curve->n_validation);
		curve->ends_unmarked = !isfinite(line->validation_loss);
	}
	enum pb_status st = mark_curve(f, curve, err);
	curve->n_training = thin(curve->training, curve->n_training);
	curve->n_validation = thin(curve->validation, curve->n_validation);
	return st;
}

/* --- labels --- */

/* The end of a line, in the order of labels: the column by height, then the others from the left. */
struct end {
	size_t label;
	bool in_column;
	double x, y;
};

static int compare_ends(const void *pa, const void *pb)
{
	const struct end *a = pa, *b = pb;
	if (a->in_column != b->in_column)
		return a->in_column ? -1 : 1;
	double u = a->in_column ? a->y : a->x, v = b->in_column ? b->y : b->x;
	return u != v ? (u > v) - (u < v) : (a->label > b->label) - (a->label < b->label);
}

/* What labels away from the column keep clear of: marks, ends, lines in pieces of some pixels, the labels of the column. */
static bool make_ground(struct pb_figure *f, const struct pb_label *column, size_t n_column, struct pb_label_ground *g)
{
	size_t n_markers = f->n_curves, n_lines = 0;
	for (size_t i = 0; i < f->n_curves; i++) {
		n_markers += f->curves[i].n_marks;
		n_lines += f->curves[i].n_training + f->curves[i].n_validation;
	}
	double *markers = pb_arena_alloc(f->arena, 2 * n_markers, sizeof *markers), *lines = pb_arena_alloc(f->arena, 4 * n_lines, sizeof *lines);
	struct pb_box *taken = pb_arena_alloc(f->arena, n_column, sizeof *taken);
	if (!markers || !lines || !taken)
		return false;
	*g = (struct pb_label_ground){ .inside = { f->left + 2.0, f->top - 6.0, f->width - f->left - 6.0, f->plot_h + 6.0 }, .markers = markers,
		.marker_radius = 6.0, .lines = lines, .taken = taken, .n_taken = n_column, .numbers_only = wants_numbers(f) };
	for (size_t i = 0; i < n_column; i++)
		taken[i] = column[i].box;
	for (size_t i = 0; i < f->n_curves; i++) {
		const struct pb_curve *curve = &f->curves[i];
		const double *xy = curve->n_training ? curve->training : curve->validation;
		size_t n = curve->n_training ? curve->n_training : curve->n_validation;
		for (size_t k = 0; k < curve->n_marks; k++, g->n_markers++) {
			markers[2 * g->n_markers] = curve->marks[k].x;
			markers[2 * g->n_markers + 1] = curve->marks[k].y;
		}
		markers[2 * g->n_markers] = curve->end_x;
		markers[2 * g->n_markers++ + 1] = curve->end_y;
		for (size_t from = 0, k = 1; k < n; k++) {
			if (xy[2 * k] - xy[2 * from] < 6.0 && k + 1 < n)
				continue;
			const double piece[4] = { xy[2 * from], xy[2 * from + 1], xy[2 * k], xy[2 * k + 1] };
			memcpy(lines + 4 * g->n_lines++, piece, sizeof piece);
			from = k;
		}
	}
	return true;
}

/* Names stand at the ends of their lines: those that end together at the right in a column, the others where there is room. */
static enum pb_status place_labels(struct pb_figure *f, struct pb_label *labels, size_t n_column, size_t n, struct pb_error *err)
{
	struct pb_label_ground ground;
	double last_x = -INFINITY;
	bool moved = false;
	for (size_t i = 0; i < n_column; i++)
		last_x = fmax(last_x, labels[i].x);
	pb_labels_column(labels, n_column, last_x + 9.0, f->top, f->top + f->plot_h);
	for (size_t i = 0; i < n_column; i++)
		moved = moved || labels[i].leader;
	if (moved) /* room for leaders */
		pb_labels_column(labels, n_column, last_x + 20.0, f->top, f->top + f->plot_h);
	if (!make_ground(f, labels, n_column, &ground))
		return pb_out_of_memory(err, "a figure");
	pb_labels_place(labels + n_column, n - n_column, &ground);
	return PB_OK;
}

/* Labels are kept in the order of curves, and so are their numbers. A column that is full leaves the rest to the table. */
static enum pb_status make_labels(struct pb_figure *f, struct pb_measure *m, const struct pb_label_text *texts, struct pb_error *err)
{
	struct end *ends = pb_arena_alloc(f->arena, f->n_curves, sizeof *ends);
	struct pb_label *labels = pb_arena_alloc(f->arena, f->n_curves, sizeof *labels);
	f->labels = pb_arena_alloc(f->arena, f->n_curves, sizeof *f->labels);
	f->label_texts = pb_arena_alloc(f->arena, f->n_curves, sizeof *f->label_texts);
	if (!ends || !labels || !f->labels || !f->label_texts)
		return pb_out_of_memory(err, "a figure");
	size_t n_column = 0, most = (size_t)(f->plot_h / LABEL_HEIGHT);
	double key_w = pb_measure_width(m, PB_LABEL_SIZE, true, "00");
	for (size_t i = 0; i < f->n_curves; i++) {
		const struct pb_curve *curve = &f->curves[i];
		if (curve->in_column && n_column == most)
			continue;
		n_column += curve->in_column;
		f->label_texts[f->n_labels] = texts[i];
		ends[f->n_labels] = (struct end){ f->n_labels, curve->in_column, curve->end_x, curve->end_y };
		f->n_labels++;
	}
	qsort(ends, f->n_labels, sizeof *ends, compare_ends);
	for (size_t i = 0; i < f->n_labels; i++)
		labels[i] = (struct pb_label){ .x = ends[i].x, .y = ends[i].y, .w = pb_measure_width(m, PB_LABEL_SIZE, false, f->label_texts[ends[i].label].text),
			.h = LABEL_HEIGHT, .key_w = key_w, .number = wants_numbers(f) };
	enum pb_status st = place_labels(f, labels, n_column, f->n_labels, err);
	for (size_t i = 0; i < f->n_labels; i++)
		f->labels[ends[i].label] = labels[i];
	for (size_t i = 0, number = 0; i < f->n_labels; i++)
		if (f->labels[i].number)
			f->labels[i].number = (unsigned)++number;
	return st;
}

/* --- texts --- */

static enum pb_status make_texts(struct pb_figure *f, const struct pb_trainings *trainings, struct pb_error *err)
{
	struct pb_text outside = { 0 }, description = { 0 };
	size_t n_peaks = 0, n_without_place = 0;
	for (size_t i = 0; i < f->n_curves; i++) {
		const struct pb_curve *curve = &f->curves[i];
		if (!isfinite(curve->peak) || ++n_peaks > 6)
			continue;
		pb_text_printf(&outside, "%s%s up to %.4g", n_peaks == 1 ? "Beyond the range, drawn as arrows: " : ", ", curve->run->name, curve->peak);
	}
	if (n_peaks > 6)
		pb_text_printf(&outside, " and %zu more", n_peaks - 6);
	if (n_peaks)
		pb_text_char(&outside, '.');
	for (size_t i = 0; i < trainings->n; i++)
		for (size_t k = 0; k < trainings->runs[i].n_lines; k++)
			n_without_place += !pb_training_line_has_place(&trainings->runs[i].lines[k]);
	if (n_without_place)
		pb_text_printf(&outside, "%s%zu of the logs\u2019 lines, at 0 tokens or without a loss, %s no place here.", n_peaks ? " " : "", n_without_place,
			n_without_place == 1 ? "has" : "have");
	if (f->n_labels < f->n_curves)
		pb_text_printf(&outside, "%s%zu lines have no room for their names.", outside.length ? " " : "", f->n_curves - f->n_labels);
	pb_text_printf(&description, "loss by training tokens: %zu %s%s", f->n_curves, f->n_curves == 1 ? "training" : "trainings",
		is_narrow(f) ? ", for narrow screens" : "");
	f->title = "Loss by training tokens";
	f->y_title = "loss (lower is better)";
	f->x_title = "training tokens, log scale";
	f->outside = pb_figure_keep(f, &outside);
	f->description = pb_figure_keep(f, &description);
	return f->outside && f->description ? PB_OK : pb_out_of_memory(err, "a figure");
}

static enum pb_status lay_out(struct pb_figure *f, const struct pb_trainings *trainings, struct pb_measure *m, struct pb_error *err)
{
	enum pb_status st = choose_curves(f, trainings, err);
	if (st != PB_OK)
		return st;
	struct pb_label_text *texts = pb_arena_alloc(f->arena, f->n_curves, sizeof *texts);
	if (!texts)
		return pb_out_of_memory(err, "a figure");
	make_axes(f);
	if (f->x.failed || f->y.failed)
		return pb_out_of_memory(err, "a figure");
	choose_column(f);
	st = name_curves(f, m, texts, err);
	for (size_t i = 0; st == PB_OK && i < f->n_curves; i++)
		st = place_curve(f, &f->curves[i], err);
	if (st == PB_OK)
		st = make_labels(f, m, texts, err);
	if (st == PB_OK)
		st = make_texts(f, trainings, err);
	return st == PB_OK ? pb_figure_end(f, m, err) : st;
}

enum pb_status pb_training_figure_make(struct pb_figure **out, const struct pb_trainings *trainings, enum pb_figure_size size, const char *note,
	struct pb_measure *measure, struct pb_error *err)
{
	const struct pb_figure_spec spec = { .size = size, .note = note };
	struct pb_figure *f = pb_figure_new(&spec);
	if (!f)
		return pb_out_of_memory(err, "a figure");
	enum pb_status st = lay_out(f, trainings, measure, err);
	if (st != PB_OK)
		pb_figure_free(f);
	else
		*out = f;
	return st;
}

/* --- drawing --- */

void pb_curves_draw_key(const struct pb_figure *f, struct pb_canvas *c)
{
	const struct pb_stroke thin_line = { PB_INK_MUTED, 1.0, PB_SOLID }, line = { PB_INK_MUTED, 2.0, PB_SOLID }, outline = { PB_INK_OUTLINE, 0.8, PB_SOLID };
	double x = f->width - 96.0; /* the texts as measured at 11 px, rounded up: 86 and 76 */
	bool validated = false;
	for (size_t i = 0; i < f->n_curves; i++)
		validated = validated || f->curves[i].n_validation > 0;
	if (validated) {
		pb_canvas_text(c, x, 48.0, PB_LEFT, 11.0, false, PB_INK_TEXT, "validation loss");
		pb_canvas_line(c, x - 28.0, 44.0, x - 6.0, 44.0, line);
		pb_canvas_marker(c, PB_SHAPE_CIRCLE, x - 17.0, 44.0, 3.5, PB_INK_MUTED, outline);
		x -= 116.0;
	}
	pb_canvas_text(c, x, 48.0, PB_LEFT, 11.0, false, PB_INK_TEXT, "training loss");
	pb_canvas_line(c, x - 28.0, 44.0, x - 6.0, 44.0, thin_line);
}

void pb_curves_draw_lines(const struct pb_figure *f, struct pb_canvas *c)
{
	if (!f->n_curves)
		return;
	pb_canvas_clip(c, f->left, f->top, f->plot_w, f->plot_h);
	for (size_t i = 0; i < f->n_curves; i++)
		pb_canvas_polyline(c, f->curves[i].training, f->curves[i].n_training, (struct pb_stroke){ f->curves[i].ink, 1.0, PB_SOLID });
	for (size_t i = 0; i < f->n_curves; i++)
		pb_canvas_polyline(c, f->curves[i].validation, f->curves[i].n_validation, (struct pb_stroke){ f->curves[i].ink, 2.0, PB_SOLID });
	pb_canvas_unclip(c);
}

static void draw_curve_mark(const struct pb_curve *curve, struct pb_canvas *c, const struct pb_curve_mark *mark, struct pb_text t[4])
{
	const struct pb_stroke outline = { PB_INK_OUTLINE, 0.8, PB_SOLID };
	char number[32];
	for (int i = 0; i < 4; i++)
		pb_text_clear(&t[i]);
	pb_text_printf(&t[0], "%" PRId64, mark->line->step);
	pb_text_printf(&t[1], "%" PRId64, mark->line->tokens);
	pb_format_number(number, mark->line->validation_loss);
	pb_text_string(&t[2], number);
	if (isfinite(mark->line->loss)) {
		pb_format_number(number, mark->line->loss);
		pb_text_string(&t[3], number);
	}
	for (int i = 0; i < 4; i++)
		if (t[i].failed)
			pb_canvas_fail(c, PB_MEMORY, "memory is out");
	const char *const attributes[] = { "run", curve->run->name, "step", pb_text_c(&t[0]), "tokens", pb_text_c(&t[1]), "validation-loss", pb_text_c(&t[2]),
		"loss", pb_text_c(&t[3]), NULL };
	pb_canvas_open(c, mark->tooltip, attributes);
	pb_canvas_marker(c, curve->shape, mark->x, mark->y, 4.0, curve->ink, outline);
	pb_canvas_close(c);
}

void pb_curves_draw_marks(const struct pb_figure *f, struct pb_canvas *c)
{
	const struct pb_stroke outline = { PB_INK_OUTLINE, 0.8, PB_SOLID };
	struct pb_text scratch[4] = { 0 };
	for (size_t i = 0; i < f->n_curves; i++) {
		const struct pb_curve *curve = &f->curves[i];
		for (size_t k = curve->n_marks; k-- > 0;)
			draw_curve_mark(curve, c, &curve->marks[k], scratch);
		if (curve->ends_unmarked)
			pb_canvas_marker(c, PB_SHAPE_CIRCLE, curve->end_x, curve->end_y, 2.0, curve->ink, (struct pb_stroke){ curve->ink, 0.8, PB_SOLID });
		if (isfinite(curve->peak))
			pb_canvas_marker(c, PB_SHAPE_UP, curve->peak_x, f->top + 7.0, 5.0, curve->ink, outline);
	}
	for (int i = 0; i < 4; i++)
		pb_text_free(&scratch[i]);
}
