/* Layout of the size-quality figure. */
#include "reports/figure.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/figure_layout.h"
#include "reports/goals.h"

#define MOST_MARKS 400          /* of more points, dominated ones that lie in one patch are one mark */
#define PATCH_SIZE 14.0         /* pixels of a full figure; smaller figures have larger ones, for the same picture */
#define SMALL_PATCH_SIZE 20.0
#define MOST_FRONT_LABELS 60    /* more front points than that have no names in the figure */
#define MOST_LABELS 25          /* more points than that: labels on the front only */
#define MOST_REFERENCES 3
#define NAME_HEIGHT 13.0
#define PPL_RANGE 1000.0          /* perplexities above that many times the best are arrows */

static bool allocated(const void *p, struct pb_error *err)
{
	if (!p)
		(void)pb_out_of_memory(err, "a figure");
	return p != NULL;
}

static bool many_models(const struct pb_front *front)
{
	for (size_t i = 1; i < front->n_points; i++)
		if (strcmp(front->points[i].row->model, front->points[0].row->model) != 0)
			return true;
	return false;
}

/* The counted bits, when they are not those of the name. */
static void put_bits(const struct pb_point *point, struct pb_text *out)
{
	double wbits = point->row->wbits;
	if (isfinite(wbits) && wbits > 0.0 && isfinite(point->bits) && fabs(point->bits / wbits - 1.0) > 0.05)
		pb_text_printf(out, " (%.3g b)", point->bits);
}

/* What a label says: label, counted bits when they differ from the name's by more than 5 %, model when there are several. */
static void put_label(const struct pb_point *point, bool with_model, struct pb_text *out)
{
	const struct pb_row *r = point->row;
	pb_text_string(out, *r->label ? r->label : r->quantizer);
	put_bits(point, out);
	if (with_model)
		pb_text_printf(out, " \u00b7 %s", r->model);
}

/* The label in two lengths. By bits, the axis says the bits and the line's name the model. When room is short, options go first:
 * which model and how many bits matter more. */
static bool label_texts(struct pb_figure *f, struct pb_measure *m, const struct pb_point *point, struct pb_label_text *out)
{
	const struct pb_row *r = point->row;
	const char *label = *r->label ? r->label : r->quantizer;
	struct pb_text whole = { 0 }, shown = { 0 }, bits = { 0 }, model = { 0 };
	if (!f->spec.by_bits)
		put_bits(point, &bits);
	if (many_models(f->spec.front)) {
		pb_text_string(&model, " \u00b7 ");
		pb_measure_fit(m, PB_LABEL_SIZE, false, 110.0, r->model, &model);
	}
	pb_text_printf(&whole, "%s%s%s", label, pb_text_c(&bits), pb_text_c(&model));
	if (!f->spec.by_bits)
		pb_text_string(&bits, pb_text_c(&model));
	whole.failed = whole.failed || bits.failed || model.failed;
	pb_measure_fit(m, PB_LABEL_SIZE, false, pb_figure_sizes[f->spec.size].label_width - pb_measure_width(m, PB_LABEL_SIZE, false, pb_text_c(&bits)), label, &shown);
	pb_text_string(&shown, pb_text_c(&bits));
	pb_text_free(&bits);
	pb_text_free(&model);
	out->text = pb_figure_keep(f, &shown);
	out->whole = pb_figure_keep(f, &whole);
	return out->text && out->whole;
}

static char *tooltip(const struct pb_figure *f, const struct pb_point *p)
{
	const struct pb_row *r = p->row;
	struct pb_text t = { 0 };
	char buffer[64];
	pb_text_printf(&t, "%s \u00b7 %s\n", *r->label ? r->label : r->quantizer, r->model);
	if (*r->options && strcmp(r->options, "{}") != 0)
		pb_text_printf(&t, "options %s\n", r->options);
	pb_format_size(buffer, p->bytes);
	pb_text_printf(&t, "%" PRId64 " bytes (%s)", r->model_bytes, buffer);
	if (isfinite(p->bits))
		pb_text_printf(&t, ", %.4g effective bits", p->bits);
	pb_front_format(f->spec.front, p->value, p->stderr_value, buffer);
	pb_text_printf(&t, "\n%s %s%s", f->spec.front->title, buffer, pb_front_is_percent(f->spec.front) ? " %" : "");
	if (*r->cell)
		pb_text_printf(&t, "\ncell %.12s", r->cell);
	return pb_figure_keep(f, &t);
}

static double x_of(const struct pb_figure *f, const struct pb_point *p)
{
	return f->spec.by_bits ? p->bits : p->bytes;
}

static double y_factor(const struct pb_figure *f)
{
	return pb_front_is_percent(f->spec.front) ? 100.0 : 1.0;
}

static double to_x(const struct pb_figure *f, double v)
{
	return f->left + f->plot_w * pb_axis_place(&f->x, v);
}

static double to_y(const struct pb_figure *f, double v)
{
	return f->top + f->plot_h * (1.0 - pb_axis_place(&f->y, v * y_factor(f)));
}

/* Bits that a weight may have; other numbers are a mistake that would ruin the axis. */
static bool has_bits(const struct pb_point *p)
{
	return p->bits > 0.0 && p->bits <= 1024.0;
}

/* Drawn points, in the order of points: all, or those that have effective bits. */
static enum pb_status choose_marks(struct pb_figure *f, struct pb_error *err)
{
	const struct pb_front *front = f->spec.front;
	f->marks = pb_arena_alloc(f->arena, front->n_points, sizeof *f->marks);
	if (!allocated(f->marks, err))
		return PB_MEMORY;
	for (size_t i = 0; i < front->n_points; i++) {
		const struct pb_point *p = &front->points[i];
		if (f->spec.by_bits && !has_bits(p))
			continue;
		struct pb_mark *m = &f->marks[f->n_marks++];
		m->point = p;
		m->n_points = 1;
		m->patch_size = f->spec.size == PB_FIGURE_FULL ? PATCH_SIZE : SMALL_PATCH_SIZE;
		m->on_front = f->spec.by_bits ? p->on_bits_front : p->on_front;
		m->separated = f->spec.by_bits ? PB_SEPARATED_UNKNOWN : p->separated;
		m->tooltip = tooltip(f, p);
		if (!allocated(m->tooltip, err))
			return PB_MEMORY;
		f->families[pb_family_index(p->row->family)] = true;
	}
	f->n_drawn = f->n_marks;
	return f->n_marks ? PB_OK : pb_fail(err, PB_MISSING, "figure: %s: no point can be drawn", front->title);
}

/* What is beyond the bounds is drawn as an arrow: an axis of such numbers would overflow. */
static void grow_range(double *low, double *high, double v)
{
	v = fmin(fmax(v, -1e150), 1e150);
	if (v < *low)
		*low = v;
	if (v > *high)
		*high = v;
}

static void make_axes(struct pb_figure *f)
{
	const struct pb_front *front = f->spec.front;
	double factor = y_factor(f), x_low = INFINITY, x_high = -INFINITY, low = INFINITY, high = -INFINITY;
	bool is_log = pb_front_is_log(front), capped = strncmp(front->metric, "ppl", 3) == 0;
	for (size_t i = 0; i < f->n_marks; i++) {
		const struct pb_point *p = f->marks[i].point;
		grow_range(&x_low, &x_high, x_of(f, p));
		if (is_log && !(p->value > 0.0))
			continue;
		grow_range(&low, &high, is_log ? fmax(factor * p->value, 1e-150) : factor * p->value);
		if (isfinite(p->low95) && (!is_log || p->low95 > 0.25 * p->value)) {
			grow_range(&low, &high, factor * p->low95);
			grow_range(&low, &high, factor * p->high95);
		}
	}
	if (isfinite(front->chance) && !is_log)
		grow_range(&low, &high, factor * front->chance);
	if (is_log && capped && high > PPL_RANGE * low)
		high = PPL_RANGE * low;
	if (pb_front_is_percent(front)) {
		low = fmax(low, 0.0);
		high = fmin(high, 100.0);
		if (high < low) /* values that are no fractions */
			high = low;
	}
	pb_axis_make(&f->x, f->spec.by_bits ? PB_AXIS_LINEAR : PB_AXIS_BYTES, x_low, x_high, f->spec.by_bits ? 0.0 : -INFINITY, INFINITY,
		pb_figure_sizes[f->spec.size].x_ticks);
	bool percent = pb_front_is_percent(front) && low >= 0.0 && high <= 100.0;
	pb_axis_make(&f->y, is_log ? PB_AXIS_LOG : PB_AXIS_LINEAR, low, high, percent ? 0.0 : -INFINITY, percent ? 100.0 : INFINITY,
		pb_figure_sizes[f->spec.size].y_ticks);
}

static double clamp_y(const struct pb_figure *f, double y)
{
	return fmin(fmax(y, f->top), f->top + f->plot_h);
}

static int compare_marks(const void *pa, const void *pb)
{
	const struct pb_mark *a = pa, *b = pb;
	int c = (a->x > b->x) - (a->x < b->x);
	if (!c)
		c = strcmp(a->point->row->model, b->point->row->model);
	if (!c)
		c = strcmp(a->point->row->label, b->point->row->label);
	return c ? c : (a->point > b->point) - (a->point < b->point);
}

static void place_marks(struct pb_figure *f)
{
	for (size_t i = 0; i < f->n_marks; i++) {
		struct pb_mark *m = &f->marks[i];
		const struct pb_point *p = m->point;
		double place = pb_axis_place(&f->y, p->value * y_factor(f));
		m->x = to_x(f, x_of(f, p));
		m->beyond = place > 1.0 ? 1 : !(place >= 0.0) ? -1 : 0;
		m->y = m->beyond ? f->top + (m->beyond > 0 ? 7.0 : f->plot_h - 7.0) : to_y(f, p->value);
		if (m->beyond || !isfinite(p->low95))
			continue;
		m->has_bar = true;
		double low = to_y(f, p->low95), high = to_y(f, p->high95);
		m->bar_bottom = clamp_y(f, isfinite(low) ? low : f->top + f->plot_h);
		m->bar_top = clamp_y(f, high);
	}
	if (f->n_marks > 1)
		qsort(f->marks, f->n_marks, sizeof *f->marks, compare_marks);
}

/* --- many points --- */

static double patch(const struct pb_mark *m, double v)
{
	return floor(v / m->patch_size);
}

/* Dominated marks of one family in one patch of the plot follow one another; others come first. */
static int compare_patches(const void *pa, const void *pb)
{
	const struct pb_mark *a = pa, *b = pb;
	bool alone_a = a->on_front || a->beyond, alone_b = b->on_front || b->beyond;
	if (alone_a || alone_b)
		return alone_a && alone_b ? compare_marks(a, b) : alone_b - alone_a;
	size_t family_a = pb_family_index(a->point->row->family), family_b = pb_family_index(b->point->row->family);
	int c = (family_a > family_b) - (family_a < family_b);
	if (!c)
		c = (patch(a, a->x) > patch(b, b->x)) - (patch(a, a->x) < patch(b, b->x));
	if (!c)
		c = (patch(a, a->y) > patch(b, b->y)) - (patch(a, a->y) < patch(b, b->y));
	return c ? c : compare_marks(a, b);
}

static bool same_patch(const struct pb_mark *a, const struct pb_mark *b)
{
	return !a->on_front && !a->beyond && !b->on_front && !b->beyond && patch(a, a->x) == patch(b, b->x) && patch(a, a->y) == patch(b, b->y) &&
		pb_family_index(a->point->row->family) == pb_family_index(b->point->row->family);
}

/* The marks from first to next as one. */
static bool join(struct pb_figure *f, const struct pb_mark *first, size_t n, struct pb_mark *out)
{
	struct pb_text t = { 0 };
	double x = 0.0, y = 0.0, low = INFINITY, high = -INFINITY;
	for (size_t i = 0; i < n; i++) {
		x += first[i].x / (double)n;
		y += first[i].y / (double)n;
		low = fmin(low, first[i].point->value);
		high = fmax(high, first[i].point->value);
	}
	pb_text_printf(&t, "%zu dominated points (%s)\n%s %.6g to %.6g", n, pb_families[pb_family_index(first->point->row->family)].name,
		f->spec.front->title, low * y_factor(f), high * y_factor(f));
	*out = *first;
	out->has_bar = first->has_bar && first->on_front;
	if (n == 1) {
		pb_text_free(&t);
		return true;
	}
	out->n_points = n;
	out->x = x;
	out->y = y;
	out->tooltip = pb_figure_keep(f, &t);
	return out->tooltip != NULL;
}

/* Of more marks than anybody can tell apart, dominated ones that lie together become one. */
static enum pb_status join_marks(struct pb_figure *f, struct pb_error *err)
{
	size_t n = 0;
	if (f->n_marks <= MOST_MARKS)
		return PB_OK;
	qsort(f->marks, f->n_marks, sizeof *f->marks, compare_patches);
	for (size_t i = 0, next; i < f->n_marks; i = next) {
		for (next = i + 1; next < f->n_marks && same_patch(&f->marks[i], &f->marks[next]); next++)
			;
		struct pb_mark joined;
		if (!join(f, &f->marks[i], next - i, &joined))
			return pb_out_of_memory(err, "a figure");
		f->marks[n++] = joined;
	}
	f->n_marks = n;
	qsort(f->marks, f->n_marks, sizeof *f->marks, compare_marks);
	return PB_OK;
}

/* By size, a front within models has a line for each, which ends at its last point. */
static bool runs_by_models(const struct pb_figure *f)
{
	return !f->spec.by_bits && f->spec.front->within_models;
}

/* The step line through the front's marks that belong to `model` (NULL: all): between two sizes nothing better is known than the
 * smaller point, so it goes right first and then up. */
static bool add_steps(struct pb_figure *f, const char *model)
{
	struct pb_steps *s = &f->steps[f->n_steps];
	*s = (struct pb_steps){ .name = model ? model : "", .xy = pb_arena_alloc(f->arena, 2 * (2 * f->n_marks + 1), sizeof(double)) };
	if (!s->xy)
		return false;
	for (size_t i = 0; i < f->n_marks; i++) {
		const struct pb_mark *m = &f->marks[i];
		if (!m->on_front || (model && strcmp(m->point->row->model, model) != 0))
			continue;
		double y = m->beyond ? f->top + (m->beyond > 0 ? 0.0 : f->plot_h) : m->y;
		if (s->n > 0) {
			s->xy[2 * s->n] = m->x;
			s->xy[2 * s->n + 1] = s->xy[2 * s->n - 1];
			s->n++;
		}
		s->xy[2 * s->n] = m->x;
		s->xy[2 * s->n + 1] = y;
		s->n++;
	}
	if (s->n > 0 && !runs_by_models(f)) {
		s->xy[2 * s->n] = f->left + f->plot_w;
		s->xy[2 * s->n + 1] = s->xy[2 * s->n - 1];
		s->n++;
	}
	f->n_steps += s->n > 0;
	return true;
}

/* Steps of the attained values: to the right edge along the lower ones and back along the upper ones. */
static bool add_bands(struct pb_figure *f)
{
	const struct pb_bands *b = f->spec.front->bands;
	if (!b || f->spec.by_bits || !b->n)
		return true;
	f->band = pb_arena_alloc(f->arena, 8 * b->n, sizeof *f->band);
	f->middle = pb_arena_alloc(f->arena, 4 * b->n, sizeof *f->middle);
	if (!f->band || !f->middle)
		return false;
	size_t last = 4 * b->n;
	for (size_t i = 0; i < b->n; i++) {
		if (!isfinite(b->low[i]) || !isfinite(b->high[i]))
			continue;
		double from = to_x(f, b->x[i]), to = i + 1 < b->n ? to_x(f, b->x[i + 1]) : f->left + f->plot_w;
		double low = clamp_y(f, to_y(f, b->low[i])), middle = clamp_y(f, to_y(f, b->middle[i])), high = clamp_y(f, to_y(f, b->high[i]));
		const double lower[4] = { from, low, to, low }, upper[4] = { to, high, from, high }, middles[4] = { from, middle, to, middle };
		memcpy(f->band + 2 * f->n_band, lower, sizeof lower);
		memcpy(f->middle + 2 * f->n_middle, middles, sizeof middles);
		last -= 2;
		memcpy(f->band + 2 * last, upper, sizeof upper);
		f->n_band += 2;
		f->n_middle += 2;
	}
	memmove(f->band + 2 * f->n_band, f->band + 2 * last, 2 * (4 * b->n - last) * sizeof *f->band);
	f->n_band *= 2;
	return true;
}

static enum pb_status make_steps(struct pb_figure *f, struct pb_error *err)
{
	bool by_models = f->spec.by_bits || runs_by_models(f);
	f->steps = pb_arena_alloc(f->arena, by_models ? f->n_marks : 1, sizeof *f->steps);
	bool ok = f->steps != NULL && add_bands(f);
	if (!by_models)
		ok = ok && add_steps(f, NULL);
	for (size_t i = 0; ok && by_models && i < f->n_marks; i++) {
		const char *model = f->marks[i].point->row->model;
		bool seen = false;
		for (size_t k = 0; k < f->n_steps && !seen; k++)
			seen = strcmp(f->steps[k].name, model) == 0;
		if (!seen)
			ok = add_steps(f, model);
	}
	return ok ? PB_OK : pb_out_of_memory(err, "a figure");
}

static double end_of(const struct pb_steps *s)
{
	return s->xy[2 * s->n - 1];
}

static int compare_ends(const void *pa, const void *pb)
{
	const struct pb_steps *a = pa, *b = pb;
	int c = (end_of(a) > end_of(b)) - (end_of(a) < end_of(b));
	return c ? c : strcmp(a->name, b->name);
}

/* Models' names in a column at the ends of their lines, the best first; those for which there is no room have none. */
static enum pb_status name_steps(struct pb_figure *f, struct pb_measure *m, struct pb_error *err)
{
	if (!f->spec.by_bits)
		return PB_OK;
	size_t most = (size_t)(f->plot_h / NAME_HEIGHT), n = f->n_steps < most ? f->n_steps : most;
	struct pb_label *names = pb_arena_alloc(f->arena, f->n_steps, sizeof *names);
	if (!allocated(names, err))
		return PB_MEMORY;
	qsort(f->steps, f->n_steps, sizeof *f->steps, compare_ends);
	for (size_t i = 0; i < f->n_steps; i++) {
		struct pb_text t = { 0 };
		if (i < n)
			pb_measure_fit(m, PB_LABEL_SIZE, true, f->width - f->left - f->plot_w - 10.0, f->steps[i].name, &t);
		f->steps[i].shown = pb_figure_keep(f, &t);
		if (!allocated(f->steps[i].shown, err))
			return PB_MEMORY;
		names[i] = (struct pb_label){ .x = f->left + f->plot_w, .y = end_of(&f->steps[i]), .w = f->width, .h = NAME_HEIGHT };
	}
	pb_labels_column(names, n, f->left + f->plot_w + 4.0, f->top, f->top + f->plot_h);
	for (size_t i = 0; i < n; i++)
		f->steps[i].name_y = names[i].box.y + 10.0;
	return PB_OK;
}

/* Full precision of a model: its largest such point. */
static const struct pb_point *full_precision(const struct pb_front *front, size_t i)
{
	const struct pb_point *p = &front->points[i];
	if (strcmp(p->row->family, "full precision") != 0)
		return NULL;
	for (size_t k = i + 1; k < front->n_points; k++) {
		const struct pb_row *other = front->points[k].row;
		if (strcmp(other->family, "full precision") == 0 && strcmp(other->model, p->row->model) == 0)
			return NULL;
	}
	return p;
}

static enum pb_status add_reference(struct pb_figure *f, double value, bool is_chance, const char *model, struct pb_error *err)
{
	double place = pb_axis_place(&f->y, value * y_factor(f));
	if (!(place >= 0.0 && place <= 1.0))
		return PB_OK;
	struct pb_reference *r = &f->references[f->n_references++];
	struct pb_text t = { 0 };
	bool panel = f->spec.size == PB_FIGURE_PANEL;
	pb_text_printf(&t, "%s%s%s ", is_chance ? "chance" : panel ? "full" : "full precision", *model ? " " : "", model);
	if (pb_front_is_percent(f->spec.front))
		pb_text_printf(&t, "%.1f %%", 100.0 * value);
	else
		pb_text_printf(&t, "%.4g", value);
	*r = (struct pb_reference){ .y = to_y(f, value), .is_chance = is_chance, .text = pb_figure_keep(f, &t) };
	return allocated(r->text, err) ? PB_OK : PB_MEMORY;
}

static bool boxes_meet(const struct pb_box *a, const struct pb_box *b)
{
	return a->x < b->x + b->w && b->x < a->x + a->w && a->y < b->y + b->h && b->y < a->y + a->h;
}

static struct pb_box reference_box(const struct pb_reference *r, struct pb_measure *m)
{
	return (struct pb_box){ r->text_x, r->text_y - 10.0, pb_measure_width(m, PB_LABEL_SIZE, false, r->text), 13.0 };
}

/* How many pieces of the line run through the box. */
static int steps_meet(const struct pb_steps *s, const struct pb_box *box)
{
	int n = 0;
	for (size_t i = 1; i < s->n; i++) {
		const double *a = s->xy + 2 * i - 2;
		struct pb_box piece = { fmin(a[0], a[2]), fmin(a[1], a[3]), fabs(a[2] - a[0]), fabs(a[3] - a[1]) };
		n += boxes_meet(box, &piece);
	}
	return n;
}

/* Texts at the left end: above the line, else below it, else further right. Where marks lie there, other places cost less. */
static void place_reference(struct pb_figure *f, size_t i, struct pb_measure *m)
{
	struct pb_reference *r = &f->references[i];
	int least = -1;
	double best_x = 0.0, best_y = 0.0;
	for (int column = 0; column < 4 && least != 0; column++)
		for (int below = 0; below < 2; below++) {
			r->text_x = f->left + 6.0 + 0.25 * column * f->plot_w;
			r->text_y = below ? r->y + 12.0 : r->y - 4.0;
			struct pb_box box = reference_box(r, m);
			int hits = box.y < f->top || box.y + box.h > f->top + f->plot_h || box.x + box.w > f->left + f->plot_w ? 1000 : 0;
			for (size_t k = 0; k < i; k++) {
				struct pb_box other = reference_box(&f->references[k], m);
				hits += boxes_meet(&box, &other) ? 1000 : 0;
			}
			for (size_t k = 0; k < f->n_marks; k++) {
				struct pb_box mark = { f->marks[k].x - 6.0, f->marks[k].y - 6.0, 12.0, 12.0 };
				hits += boxes_meet(&box, &mark);
			}
			for (size_t k = 0; k < f->n_steps; k++)
				hits += steps_meet(&f->steps[k], &box);
			if (least >= 0 && hits >= least)
				continue;
			least = hits;
			best_x = r->text_x;
			best_y = r->text_y;
		}
	r->text_x = best_x;
	r->text_y = best_y;
}

static enum pb_status make_references(struct pb_figure *f, struct pb_measure *m, struct pb_error *err)
{
	const struct pb_front *front = f->spec.front;
	bool many = many_models(front);
	enum pb_status st = PB_OK;
	for (size_t i = front->n_points; i-- > 0 && f->n_references < MOST_REFERENCES && st == PB_OK;) { /* the largest first */
		const struct pb_point *p = full_precision(front, i);
		struct pb_text model = { 0 };
		if (!p)
			continue;
		if (many)
			pb_measure_fit(m, PB_LABEL_SIZE, false, 110, p->row->model, &model);
		st = pb_text_check(&model, err);
		if (st == PB_OK)
			st = add_reference(f, p->value, false, pb_text_c(&model), err);
		pb_text_free(&model);
	}
	if (st == PB_OK && isfinite(front->chance))
		st = add_reference(f, front->chance, true, "", err);
	for (size_t i = 0; i < f->n_references && st == PB_OK; i++)
		place_reference(f, i, m);
	return st;
}

static bool wants_label(const struct pb_figure *f, const struct pb_mark *m)
{
	if (f->spec.size == PB_FIGURE_PANEL)
		return false;
	return m->on_front || (f->spec.size == PB_FIGURE_FULL && f->n_marks <= MOST_LABELS);
}

static size_t count_families(const struct pb_figure *f)
{
	size_t n = 0;
	for (size_t i = 0; i < pb_n_families; i++)
		n += f->families[i];
	return n;
}

static void add_line(double *lines, size_t *n, double x1, double y1, double x2, double y2)
{
	const double v[4] = { x1, y1, x2, y2 };
	memcpy(lines + 4 * (*n)++, v, sizeof v);
}

static struct pb_box name_box(const struct pb_figure *f, const struct pb_steps *s)
{
	return (struct pb_box){ f->left + f->plot_w + 2.0, s->name_y - 11.0, 140.0, 14.0 };
}

static struct pb_box legend_box(const struct pb_figure *f)
{
	return (struct pb_box){ f->left + f->plot_w + 8.0, f->legend_y - 4.0, 140.0, 18.0 * (double)count_families(f) + 8.0 };
}

/* The highest place in the right margin that the models' names of a figure by bits leave free; none: no legend. */
static void place_legend(struct pb_figure *f)
{
	bool is_free = !f->spec.by_bits;
	f->legend_y = f->top;
	for (double y = f->top; !is_free && y + 18.0 * (double)count_families(f) <= f->top + f->plot_h; y += 4.0) {
		f->legend_y = y;
		is_free = true;
		for (size_t i = 0; i < f->n_steps; i++) {
			struct pb_box legend = legend_box(f), name = name_box(f, &f->steps[i]);
			is_free = is_free && !(f->steps[i].shown[0] && boxes_meet(&legend, &name));
		}
	}
	f->legend = f->legend && is_free;
}

/* What labels keep clear of; in the figure's arena. */
static bool make_ground(struct pb_figure *f, struct pb_measure *m, struct pb_label_ground *ground)
{
	size_t n_lines = f->n_references, n_taken = 0;
	for (size_t i = 0; i < f->n_steps; i++)
		n_lines += f->steps[i].n;
	double *markers = pb_arena_alloc(f->arena, 2 * f->n_marks, sizeof *markers);
	struct pb_box *bars = pb_arena_alloc(f->arena, f->n_marks, sizeof *bars);
	struct pb_box *taken = pb_arena_alloc(f->arena, f->n_references + 1 + f->n_steps, sizeof *taken);
	double *lines = pb_arena_alloc(f->arena, 4 * n_lines, sizeof *lines);
	if (!markers || !bars || !taken || !lines)
		return false;
	*ground = (struct pb_label_ground){ .inside = { f->left + 2.0, f->top - 6.0, f->width - f->left - 6.0, f->plot_h + 6.0 },
		.marker_radius = 6.0, .numbers_only = f->spec.size == PB_FIGURE_NARROW && f->n_labels > 5 };
	for (size_t i = 0; i < f->n_marks; i++) {
		const struct pb_mark *mark = &f->marks[i];
		markers[2 * ground->n_markers] = mark->x;
		markers[2 * ground->n_markers++ + 1] = mark->y;
		if (mark->has_bar)
			bars[ground->n_bars++] = (struct pb_box){ mark->x - 1.5, mark->bar_top, 3.0, mark->bar_bottom - mark->bar_top };
	}
	for (size_t i = 0; i < f->n_references; i++) {
		taken[n_taken++] = reference_box(&f->references[i], m);
		add_line(lines, &ground->n_lines, f->left, f->references[i].y, f->left + f->plot_w, f->references[i].y);
	}
	place_legend(f);
	if (f->legend)
		taken[n_taken++] = legend_box(f);
	for (size_t i = 0; i < f->n_steps; i++) {
		const struct pb_steps *s = &f->steps[i];
		if (f->spec.by_bits)
			taken[n_taken++] = name_box(f, s);
		for (size_t k = 1; k < s->n; k++)
			add_line(lines, &ground->n_lines, s->xy[2 * k - 2], s->xy[2 * k - 1], s->xy[2 * k], s->xy[2 * k + 1]);
	}
	ground->markers = markers;
	ground->bars = bars;
	ground->lines = lines;
	ground->taken = taken;
	ground->n_taken = n_taken;
	return true;
}

static enum pb_status make_labels(struct pb_figure *f, struct pb_measure *m, struct pb_error *err)
{
	struct pb_label_ground ground;
	f->labels = pb_arena_alloc(f->arena, f->n_marks, sizeof *f->labels);
	f->label_texts = pb_arena_alloc(f->arena, f->n_marks, sizeof *f->label_texts);
	if (!f->labels || !f->label_texts)
		return pb_out_of_memory(err, "a figure");
	f->legend = f->spec.size == PB_FIGURE_FULL && f->n_marks > MOST_LABELS;
	size_t n_wanted = 0;
	for (size_t i = 0; i < f->n_marks; i++)
		n_wanted += wants_label(f, &f->marks[i]);
	for (size_t i = 0; i < f->n_marks && n_wanted <= MOST_FRONT_LABELS; i++) {
		const struct pb_mark *mark = &f->marks[i];
		struct pb_label_text *t = &f->label_texts[f->n_labels];
		if (!wants_label(f, mark))
			continue;
		if (!label_texts(f, m, mark->point, t))
			return pb_out_of_memory(err, "a figure");
		f->labels[f->n_labels++] = (struct pb_label){ .x = mark->x, .y = mark->y, .w = pb_measure_width(m, PB_LABEL_SIZE, false, t->text), .h = 13.0,
			.key_w = pb_measure_width(m, PB_LABEL_SIZE, true, "00") };
	}
	if (!make_ground(f, m, &ground) || !pb_labels_place(f->labels, f->n_labels, &ground))
		return pb_out_of_memory(err, "a figure");
	return PB_OK;
}

/* "beyond the range: a 1.2e+05, b ...": the first six by name, then how many more. */
static enum pb_status make_outside(struct pb_figure *f, struct pb_error *err)
{
	const struct pb_front *front = f->spec.front;
	struct pb_text t = { 0 };
	size_t n = 0;
	for (size_t i = 0; i < f->n_marks; i++) {
		const struct pb_mark *m = &f->marks[i];
		if (!m->beyond || ++n > 6)
			continue;
		pb_text_string(&t, n == 1 ? "Beyond the range, drawn as arrows: " : ", ");
		put_label(m->point, many_models(front), &t);
		pb_text_printf(&t, " %.4g", m->point->value * y_factor(f));
	}
	if (n > 6)
		pb_text_printf(&t, " and %zu more", n - 6);
	if (n)
		pb_text_char(&t, '.');
	if (f->n_drawn < front->n_points)
		pb_text_printf(&t, "%s%zu without plausible effective bits are not drawn.", n ? " " : "", front->n_points - f->n_drawn);
	if (f->spec.size == PB_FIGURE_FULL && f->n_labels == 0 && f->n_marks > MOST_LABELS)
		pb_text_printf(&t, "%sThe front has too many points for names; the table has them.", t.length ? " " : "");
	if (f->n_marks < f->n_drawn)
		pb_text_printf(&t, "%sDominated points that lie together are one small mark, without bars: %zu marks for %zu points.", t.length ? " " : "", f->n_marks, f->n_drawn);
	f->outside = pb_figure_keep(f, &t);
	return allocated(f->outside, err) ? PB_OK : PB_MEMORY;
}

static enum pb_status make_texts(struct pb_figure *f, struct pb_measure *m, struct pb_error *err)
{
	const struct pb_front *front = f->spec.front;
	struct pb_text whole = { 0 }, title = { 0 }, y = { 0 }, d = { 0 };
	bool panel = f->spec.size == PB_FIGURE_PANEL;
	const char *unit = pb_front_unit(front);
	double room = f->width - 20.0;
	if (panel)
		pb_text_printf(&whole, "%s%s", front->title, unit);
	else
		pb_text_printf(&whole, "%s by %s", front->title, f->spec.by_bits ? "effective bits" : "model size");
	pb_measure_fit(m, PB_TITLE_SIZE(f->spec.size), true, room, pb_text_c(&whole), &title);
	title.failed = title.failed || whole.failed;
	pb_text_free(&whole);
	const char *metric = front->is_mean ? "Mean accuracy" : strncmp(front->metric, "acc", 3) == 0 && !front->metric[3] ? "Accuracy" : front->metric;
	pb_text_printf(&y, "%.60s%s (%s is better)", metric, unit, front->higher_is_better ? "higher" : "lower");
	size_t on_front = 0;
	for (size_t i = 0; i < f->n_marks; i++)
		on_front += f->marks[i].on_front;
	pb_text_printf(&d, "%s by %s: %zu points, %zu on the front", front->title, f->spec.by_bits ? "effective bits" : "model size", f->n_drawn, on_front);
	if (f->spec.size == PB_FIGURE_NARROW)
		pb_text_string(&d, ", for narrow screens");
	f->x_title = f->spec.by_bits ? "Effective bits per quantized weight" : panel ? "Model size" : "Model size: all bytes needed to run, log scale";
	f->title = pb_figure_keep(f, &title);
	f->y_title = pb_figure_keep(f, &y);
	f->description = pb_figure_keep(f, &d);
	return f->title && f->y_title && f->description ? PB_OK : pb_out_of_memory(err, "a figure");
}

static enum pb_status lay_out(struct pb_figure *f, struct pb_measure *measure, struct pb_error *err)
{
	enum pb_status st = choose_marks(f, err);
	if (st != PB_OK)
		return st;
	make_axes(f);
	if (f->x.failed || f->y.failed)
		return pb_out_of_memory(err, "a figure");
	place_marks(f);
	st = join_marks(f, err);
	if (st == PB_OK)
		st = make_steps(f, err);
	if (st == PB_OK)
		st = name_steps(f, measure, err);
	if (st == PB_OK)
		st = make_references(f, measure, err);
	if (st == PB_OK)
		st = make_labels(f, measure, err);
	if (st == PB_OK)
		st = make_outside(f, err);
	if (st == PB_OK)
		st = make_texts(f, measure, err);
	return st == PB_OK ? pb_figure_end(f, measure, err) : st;
}

enum pb_status pb_figure_make(struct pb_figure **out, const struct pb_figure_spec *spec, struct pb_measure *measure, struct pb_error *err)
{
	struct pb_figure *f = pb_figure_new(spec);
	if (!f)
		return pb_out_of_memory(err, "a figure");
	enum pb_status st = lay_out(f, measure, err);
	if (st != PB_OK)
		pb_figure_free(f);
	else
		*out = f;
	return st;
}
