#include "reports/bit_curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/csv.h"

/* --- points of a width, sorted by size --- */

static double total_bits(const struct pb_scaling_item *item)
{
	return 8.0 * item->point->bytes;
}

static int compare_sizes(const struct pb_scaling_item *a, const struct pb_scaling_item *b)
{
	int c = (total_bits(a) > total_bits(b)) - (total_bits(a) < total_bits(b));
	return c ? c : (a > b) - (a < b);
}

static int compare_items(const void *pa, const void *pb)
{
	const struct pb_scaling_item *a = *(const struct pb_scaling_item *const *)pa, *b = *(const struct pb_scaling_item *const *)pb;
	int c = strcmp(a->series, b->series);
	if (!c)
		c = strcmp(a->method, b->method);
	if (!c)
		c = (a->point->row->wbits > b->point->row->wbits) - (a->point->row->wbits < b->point->row->wbits);
	return c ? c : compare_sizes(a, b);
}

static int compare_full(const void *pa, const void *pb)
{
	return compare_sizes(*(const struct pb_scaling_item *const *)pa, *(const struct pb_scaling_item *const *)pb);
}

static bool same_method(const struct pb_scaling_item *a, const struct pb_scaling_item *b)
{
	return strcmp(a->series, b->series) == 0 && strcmp(a->method, b->method) == 0;
}

/* A line through n items, sorted by size, seeds of one size as their mean; *ok is false when memory is out. Fewer than two points: not kept. */
static bool add_line(struct pb_bit_curves *c, const struct pb_scaling_item *const *items, size_t n, struct pb_arena *arena)
{
	double *numbers = pb_arena_alloc(arena, 3 * n, sizeof *numbers);
	const struct pb_scaling_item **kept = pb_arena_alloc(arena, n, sizeof *kept);
	if (!numbers || !kept)
		return false;
	double *x = numbers, *y = numbers + n, *errors = numbers + 2 * n;
	size_t n_kept = 0;
	for (size_t i = 0, k; i < n; i += k) {
		double sum = 0.0, error = 0.0;
		for (k = 0; i + k < n && total_bits(items[i + k]) == total_bits(items[i]); k++) {
			sum += items[i + k]->y;
			error += items[i + k]->error;
		}
		kept[n_kept] = items[i];
		x[n_kept] = log10(total_bits(items[i]));
		y[n_kept] = sum / (double)k;
		errors[n_kept++] = error / (double)k;
	}
	if (n_kept < 2)
		return true;
	c->lines[c->n_lines++] = (struct pb_bit_line){ .wbits = items[0]->is_full ? 16.0 : items[0]->point->row->wbits, .line = { .n = n_kept, .x = x, .y = y, .errors = errors },
		.items = kept, .seeds = items, .n_seeds = n };
	c->n_points += n_kept;
	for (size_t i = 0; i < n_kept; i++)
		c->n_on_front += kept[i]->point->on_front;
	return true;
}

/* Full precision of the models of a method, with as many bits as it has. */
static bool add_full(struct pb_bit_curves *c, const struct pb_scaling_item *const *all, size_t n_all, const struct pb_scaling_item *const *own, size_t n, struct pb_arena *arena)
{
	const struct pb_scaling_item **full = pb_arena_alloc(arena, n_all, sizeof *full);
	size_t n_full = 0;
	if (!full)
		return false;
	for (size_t i = 0; i < n_all; i++)
		for (size_t k = 0; k < n; k++)
			if (pb_scaling_is_reference(all[i], own[k])) {
				full[n_full++] = all[i];
				break;
			}
	if (n_full > 1)
		qsort(full, n_full, sizeof *full, compare_full);
	return n_full == 0 || add_line(c, full, n_full, arena);
}

/* --- draws --- */

static size_t place_of(const struct pb_bit_curves *c, const struct pb_scaling_item *item)
{
	return (size_t)(item->point - c->front->points);
}

/* Draws of a line from those of the points: of seeds their mean, of a perplexity its logarithm. */
static bool take_draws(const struct pb_bit_curves *c, struct pb_bit_line *l, const struct pb_draws *draws, struct pb_arena *arena)
{
	const bool is_perplexity = strncmp(c->front->metric, "ppl", 3) == 0;
	const size_t n = l->line.n, n_draws = draws->n_replicates;
	double *values = pb_arena_alloc(arena, n_draws, n * sizeof *values);
	if (!values)
		return false;
	for (size_t i = 0, first = 0, k; i < n; i++, first += k) {
		for (k = 0; first + k < l->n_seeds && total_bits(l->seeds[first + k]) == total_bits(l->items[i]); k++)
			;
		for (size_t r = 0; r < n_draws; r++) {
			double sum = 0.0;
			for (size_t seed = first; seed < first + k; seed++) {
				const double value = draws->values[place_of(c, l->seeds[seed]) * n_draws + r];
				sum += is_perplexity ? log(value) : value;
			}
			values[r * n + i] = sum / (double)k;
		}
	}
	l->line.draws = values;
	l->line.n_draws = n_draws;
	return true;
}

/* Gives the lines draws of the items that all their points share; without such items they stay without. */
static enum pb_status draw_lines(struct pb_bit_curves *c, const struct pb_rows *rows, const struct pb_item_stores *stores, struct pb_arena *arena, struct pb_error *err)
{
	struct pb_arena *scratch = pb_arena_new();
	struct pb_draws draws;
	size_t n = 0, *places = scratch ? pb_arena_alloc(scratch, c->front->n_points, sizeof *places) : NULL;
	for (size_t i = 0; i < c->n_lines && places; i++)
		for (size_t k = 0; k < c->lines[i].n_seeds; k++)
			places[n++] = place_of(c, c->lines[i].seeds[k]);
	enum pb_status st = places ? pb_draws_make_of(&draws, c->front, places, n, rows, stores, scratch, err) : pb_out_of_memory(err, "curves");
	c->by_items = st == PB_OK && draws.by_items;
	for (size_t i = 0; i < c->n_lines && c->by_items && st == PB_OK; i++)
		if (!take_draws(c, &c->lines[i], &draws, arena))
			st = pb_out_of_memory(err, "curves");
	pb_arena_free(scratch);
	return st;
}

/* --- lines --- */

static enum pb_status find_best(struct pb_bit_curves *c, struct pb_arena *arena, struct pb_error *err)
{
	struct pb_polyline *lines = pb_arena_alloc(arena, c->n_lines, sizeof *lines);
	struct pb_polyline_stretch *best = NULL;
	if (!lines)
		return pb_out_of_memory(err, "curves");
	for (size_t i = 0; i < c->n_lines; i++)
		lines[i] = c->lines[i].line;
	enum pb_status st = pb_polyline_best(&best, &c->n_best, lines, c->n_lines, c->front->higher_is_better, err);
	if (st != PB_OK)
		return st;
	c->best = pb_arena_alloc(arena, c->n_best, sizeof *best);
	if (c->best)
		memcpy(c->best, best, c->n_best * sizeof *best);
	pb_free(best);
	return c->best ? PB_OK : pb_out_of_memory(err, "curves");
}

struct maker {
	struct pb_bit_curve_list *out;
	const struct pb_rows *rows;
	const struct pb_item_stores *stores;
	struct pb_error *err;
};

/* Lines of one method: items[0..n), sorted by width and size. */
static enum pb_status add_method(const struct maker *m, const struct pb_front *front, const struct pb_scaling_item *const *items, size_t n,
	const struct pb_scaling_item *const *all, size_t n_all)
{
	struct pb_bit_curve_list *out = m->out;
	struct pb_bit_curves *c = &out->curves[out->n];
	bool ok = true;
	*c = (struct pb_bit_curves){ .front = front, .family = items[0]->series, .method = items[0]->method, .lines = pb_arena_alloc(out->arena, n + 1, sizeof *c->lines) };
	for (size_t i = 0, k; i < n && ok && c->lines; i += k) {
		for (k = 1; i + k < n && items[i + k]->point->row->wbits == items[i]->point->row->wbits; k++)
			;
		ok = add_line(c, items + i, k, out->arena);
	}
	if (!ok || !c->lines)
		return pb_out_of_memory(m->err, "curves");
	if (c->n_lines < 2)
		return PB_OK;
	if (!add_full(c, all, n_all, items, n, out->arena))
		return pb_out_of_memory(m->err, "curves");
	out->n++;
	enum pb_status st = m->stores && m->stores->n ? draw_lines(c, m->rows, m->stores, out->arena, m->err) : PB_OK;
	return st == PB_OK ? find_best(c, out->arena, m->err) : st;
}

static enum pb_status add_front(const struct maker *m, const struct pb_front *front)
{
	struct pb_bit_curve_list *out = m->out;
	struct pb_scaling_item *items = NULL;
	size_t n_items = 0, n = 0;
	enum pb_status st = pb_scaling_items(&items, &n_items, front, out->arena, m->err);
	if (st != PB_OK)
		return st;
	const struct pb_scaling_item **list = pb_arena_alloc(out->arena, n_items, sizeof *list);
	struct pb_bit_curves *longer = pb_arena_alloc(out->arena, out->n + n_items, sizeof *longer);
	if (!list || !longer)
		return pb_out_of_memory(m->err, "curves");
	if (out->n)
		memcpy(longer, out->curves, out->n * sizeof *longer);
	out->curves = longer;
	for (size_t i = 0; i < n_items; i++)
		if (isfinite(items[i].point->bytes) && isfinite(items[i].point->row->wbits) && isfinite(items[i].y))
			list[n++] = &items[i];
	if (n > 1)
		qsort(list, n, sizeof *list, compare_items);
	for (size_t i = 0, k; i < n && st == PB_OK; i += k) {
		for (k = 1; i + k < n && same_method(list[i], list[i + k]); k++)
			;
		if (!list[i]->is_full)
			st = add_method(m, front, list + i, k, list, n);
	}
	return st;
}

enum pb_status pb_bit_curves_make(struct pb_bit_curve_list *out, const struct pb_fronts *fronts, const struct pb_rows *rows, const struct pb_item_stores *stores,
	struct pb_arena *arena, struct pb_error *err)
{
	const struct maker m = { out, rows, stores, err };
	enum pb_status st = PB_OK;
	enum pb_law law;
	*out = (struct pb_bit_curve_list){ .arena = arena };
	for (size_t i = 0; i < fronts->n && st == PB_OK; i++)
		if (pb_scaling_is_wanted(fronts, &fronts->fronts[i], &law))
			st = add_front(&m, &fronts->fronts[i]);
	return st;
}

/* --- crossings, bit-curves.csv --- */

struct pb_bit_crossing *pb_bit_crossings(const struct pb_polyline *a, const struct pb_polyline *b, size_t *n, struct pb_arena *arena)
{
	const size_t most = a->n + b->n;
	struct pb_bit_crossing *list = pb_arena_alloc(arena, most, sizeof *list);
	double *x = pb_alloc(2 * most + 2 * a->n_draws, sizeof *x);
	*n = list && x ? pb_polyline_crossings(a, b, x) : 0;
	for (size_t i = 0; i < *n; i++)
		list[i] = (struct pb_bit_crossing){ x[i], pb_polyline_draw_crossing(a, b, x[i], x + most) };
	if (!x)
		list = NULL;
	pb_free(x);
	return list;
}

enum crossing_number { CROSSING_AT, CROSSING_LOW, CROSSING_HIGH, CROSSING_SHARE, CROSSING_NUMBERS };

static double crossing_number(const struct pb_bit_crossing *c, enum crossing_number number)
{
	const double numbers[] = { c->x, c->drawn.low, c->drawn.high };
	return number == CROSSING_SHARE ? c->drawn.share : pow(10.0, numbers[number]);
}

/* A field for each number, with that of all crossings; empty when there is none. */
static void csv_crossings(struct pb_text *out, const struct pb_polyline *a, const struct pb_polyline *b, struct pb_arena *arena)
{
	size_t n;
	const struct pb_bit_crossing *list = pb_bit_crossings(a, b, &n, arena);
	for (enum crossing_number number = 0; number < CROSSING_NUMBERS; number++) {
		struct pb_text t = { 0 };
		for (size_t i = 0; i < n && (number == CROSSING_AT || isfinite(list[i].drawn.share)); i++)
			pb_text_printf(&t, "%s%.17g", i ? " " : "", crossing_number(&list[i], number));
		out->failed = out->failed || !list || t.failed;
		pb_csv_text(out, t.length ? pb_text_c(&t) : NULL);
		pb_text_free(&t);
	}
}

static void csv_pair(struct pb_text *out, const struct pb_bit_curves *c, size_t i, size_t k, struct pb_arena *arena)
{
	const char *const texts[] = { c->front->task, c->front->metric, c->front->protocol, c->front->backend, c->family, c->method };
	struct pb_polyline_difference d;
	if (!pb_polyline_compare(&d, &c->lines[i].line, &c->lines[k].line, -INFINITY, INFINITY))
		return;
	const double numbers[] = { c->lines[i].wbits, c->lines[k].wbits, pow(10.0, d.low), pow(10.0, d.high), d.mean, d.error, d.mean - PB_Z95 * d.error, d.mean + PB_Z95 * d.error, d.above };
	for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
		pb_csv_text(out, *texts[t] ? texts[t] : NULL);
	for (size_t t = 0; t < sizeof numbers / sizeof *numbers; t++)
		pb_csv_number(out, numbers[t]);
	csv_crossings(out, &c->lines[i].line, &c->lines[k].line, arena);
	pb_csv_text(out, d.is_paired ? "items" : "values");
	pb_csv_end(out);
}

enum pb_status pb_bit_curves_csv(const struct pb_bit_curve_list *list, struct pb_text *out, struct pb_error *err)
{
	static const char *const names[] = { "task", "metric", "protocol", "backend", "model_family", "method", "width_a", "width_b", "from_bits", "to_bits", "mean_a_minus_b", "stderr", "low95",
		"high95", "share_a_above", "crossings_bits", "crossings_low95", "crossings_high95", "crossings_share", "errors_by" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		pb_csv_text(out, names[i]);
	pb_csv_end(out);
	for (size_t i = 0; i < list->n; i++)
		for (size_t a = 0; a < list->curves[i].n_lines; a++)
			for (size_t b = a + 1; b < list->curves[i].n_lines; b++)
				csv_pair(out, &list->curves[i], a, b, list->arena);
	return pb_text_check(out, err);
}
