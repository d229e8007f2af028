#include "reports/goals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- names --- */

static bool is_named(const struct pb_fronts *fronts, const struct pb_front *f, const char *name)
{
	const char *colon = strchr(name, ':');
	if (strcmp(name, f->slug) == 0 || strcmp(name, f->metric) == 0 || (strcmp(name, f->task) == 0 && pb_front_stands_for_task(fronts, f)))
		return true;
	return colon && strncmp(name, f->task, (size_t)(colon - name)) == 0 && !f->task[colon - name] && strcmp(colon + 1, f->metric) == 0;
}

static enum pb_status no_goal(const struct pb_fronts *fronts, bool may_be_cost, const char *option, const char *name, bool several, struct pb_error *err)
{
	struct pb_text names = { 0 };
	for (enum pb_by by = 0; !several && may_be_cost && by < PB_BYS; by++)
		pb_text_printf(&names, "%s%s", by ? ", " : "", pb_by_name(by));
	for (size_t i = 0; i < fronts->n; i++)
		if (fronts->fronts[i].n_points && (!several || is_named(fronts, &fronts->fronts[i], name)))
			pb_text_printf(&names, "%s%s", names.length ? ", " : "", fronts->fronts[i].slug);
	enum pb_status st = pb_text_check(&names, err);
	if (st == PB_OK)
		st = pb_fail(err, PB_USAGE, several ? "%s %s: several values have this name\nchoose one of %s" : may_be_cost ? "%s %s: these rows have no such axis\nchoose one of %s" : "%s %s: these rows have no such value\nchoose one of %s", option, name,
			pb_text_c(&names));
	pb_text_free(&names);
	return st;
}

enum pb_status pb_goal_find(struct pb_goal *out, const struct pb_fronts *fronts, bool may_be_cost, const char *option, const char *name, struct pb_error *err)
{
	const struct pb_front *found = NULL, *mean = NULL;
	size_t n = 0, n_means = 0;
	for (enum pb_by by = 0; by < PB_BYS; by++)
		if (may_be_cost && strcmp(name, pb_by_name(by)) == 0) {
			*out = (struct pb_goal){ NULL, by };
			return PB_OK;
		}
	for (size_t i = 0; i < fronts->n; i++) {
		const struct pb_front *f = &fronts->fronts[i];
		if (!f->n_points || !is_named(fronts, f, name))
			continue;
		if (strcmp(name, f->slug) == 0) {
			*out = (struct pb_goal){ f, PB_BYS };
			return PB_OK;
		}
		n++;
		found = f;
		n_means += f->is_mean;
		mean = f->is_mean ? f : mean;
	}
	if (n_means == 1) {
		n = 1;
		found = mean;
	}
	if (n != 1)
		return no_goal(fronts, may_be_cost, option, name, n > 1, err);
	*out = (struct pb_goal){ found, PB_BYS };
	return PB_OK;
}

const char *pb_goal_name(const struct pb_goal *g)
{
	return g->front ? g->front->slug : pb_by_name(g->by);
}

bool pb_goal_higher_is_better(const struct pb_goal *g)
{
	return g->front && g->front->higher_is_better;
}

/* --- as it is shown --- */

double pb_goal_shown(const struct pb_goal *g, double v)
{
	if (g->front)
		return pb_front_is_percent(g->front) ? 100.0 * v : v;
	return g->by == PB_BY_SECONDS || g->by == PB_BY_ENERGY ? 1000.0 * v : v;
}

const char *pb_goal_shown_title(const struct pb_goal *g)
{
	if (g->front)
		return g->front->title;
	return g->by == PB_BY_SECONDS ? "milliseconds for an item" : g->by == PB_BY_ENERGY ? "millijoules for an item" : pb_by_title(g->by);
}

const char *pb_goal_heading(const struct pb_goal *g)
{
	static const char *const headings[PB_BYS] = { "Model size", "Effective bits", "Size by the rule of the method's paper", "Size of the quantized weights", "Parameters",
		"Milliseconds for an item", "Millijoules for an item" };
	return g->front ? g->front->title : headings[g->by];
}

enum pb_axis_kind pb_goal_axis(const struct pb_goal *g)
{
	static const enum pb_axis_kind kinds[PB_BYS] = { PB_AXIS_BYTES, PB_AXIS_LOG, PB_AXIS_BYTES, PB_AXIS_BYTES, PB_AXIS_COUNT, PB_AXIS_LOG, PB_AXIS_LOG };
	if (g->front)
		return pb_front_is_log(g->front) ? PB_AXIS_LOG : PB_AXIS_LINEAR;
	return kinds[g->by];
}

const char *pb_goal_unit(const struct pb_goal *g)
{
	if (g->front)
		return pb_front_is_percent(g->front) ? " %" : "";
	return g->by == PB_BY_SECONDS ? " ms" : g->by == PB_BY_ENERGY ? " mJ" : g->by == PB_BY_BITS ? " bits" : "";
}

void pb_goal_format(const struct pb_goal *g, double v, double error, char out[64])
{
	if (g->front && isfinite(error))
		pb_front_format(g->front, v, error, out);
	else if (!g->front && pb_goal_axis(g) == PB_AXIS_BYTES)
		pb_format_size(out, v);
	else if (!g->front && pb_goal_axis(g) == PB_AXIS_COUNT)
		pb_format_count(out, v, 3);
	else
		snprintf(out, 64, "%.4g", pb_goal_shown(g, v));
}

/* --- a trade --- */

static int compare_points(const void *pa, const void *pb)
{
	return pb_front_compare_cells((*(const struct pb_point *const *)pa)->row, (*(const struct pb_point *const *)pb)->row);
}

/* For each point of the main front the place of its cell in the other one, or SIZE_MAX. */
static bool match(size_t *places, const struct pb_front *front, const struct pb_front *other, struct pb_arena *arena)
{
	const struct pb_point **sorted = pb_arena_alloc(arena, other->n_points, sizeof *sorted);
	if (!sorted)
		return false;
	for (size_t i = 0; i < other->n_points; i++)
		sorted[i] = &other->points[i];
	qsort(sorted, other->n_points, sizeof *sorted, compare_points);
	for (size_t i = 0; i < front->n_points; i++) {
		const struct pb_point *key = &front->points[i], **found = bsearch(&key, sorted, other->n_points, sizeof *sorted, compare_points);
		places[i] = found ? (size_t)(*found - other->points) : SIZE_MAX;
	}
	return true;
}

/* One number of all points of the main front, by place in the front that has it; absent ones are NaN. */
struct numbers {
	size_t *places;                 /* in the goal's front */
	const struct pb_draws *draws;   /* NULL: a cost */
	struct pb_draws own;
};

static enum pb_status find_numbers(struct numbers *out, const struct pb_goal *g, const struct pb_front *front, const struct pb_draws *main, const struct pb_rows *rows,
	const struct pb_item_stores *stores, struct pb_arena *arena, struct pb_error *err)
{
	*out = (struct numbers){ 0 };
	if (!g->front)
		return PB_OK;
	out->places = pb_arena_alloc(arena, front->n_points, sizeof *out->places);
	if (!out->places || !match(out->places, front, g->front, arena))
		return pb_out_of_memory(err, "fronts");
	out->draws = main;
	if (g->front == front)
		return PB_OK;
	out->draws = &out->own;
	return pb_draws_make(&out->own, g->front, rows, stores, arena, err);
}

static void take_number(struct pb_trade *t, unsigned k, const struct pb_goal *g, const struct numbers *from, size_t i)
{
	const struct pb_point *p = t->point;
	t->errors[k] = NAN;
	if (!g->front) {
		t->at[k] = pb_point_by(p, g->by);
		return;
	}
	p = from->places[i] == SIZE_MAX ? NULL : &g->front->points[from->places[i]];
	t->at[k] = p ? p->value : NAN;
	t->errors[k] = p ? p->stderr_value : NAN;
}

/* The trades that have all numbers, with their draws. */
static bool take_trades(struct pb_tradeoff *t, struct pb_front *front, const struct numbers *from, struct pb_arena *arena)
{
	size_t *places = pb_arena_alloc(arena, front->n_points, sizeof *places);
	t->trades = pb_arena_alloc(arena, front->n_points, sizeof *t->trades);
	if (!places || !t->trades)
		return false;
	for (size_t i = 0; i < front->n_points; i++) {
		struct pb_trade *trade = &t->trades[t->n];
		bool has_all = true;
		trade->point = &front->points[i];
		for (unsigned k = 0; k < t->axes.n; k++) {
			take_number(trade, k, &t->goals[k], &from[k], i);
			has_all = has_all && isfinite(trade->at[k]);
		}
		if (has_all)
			places[t->n++] = i;
		else
			t->n_without++;
	}
	t->values = pb_arena_alloc(arena, t->n, t->axes.n * sizeof *t->values);
	if (!t->values)
		return false;
	for (unsigned k = 0; k < t->axes.n; k++) {
		for (size_t i = 0; i < t->n; i++)
			t->values[i * t->axes.n + k] = t->trades[i].at[k];
		if (!from[k].draws)
			continue;
		t->by_items = t->by_items && from[k].draws->by_items;
		t->draws[k] = pb_arena_alloc(arena, t->n, t->n_replicates * sizeof *t->draws[k]);
		if (!t->draws[k])
			return false;
		for (size_t i = 0; i < t->n; i++)
			memcpy(t->draws[k] + i * t->n_replicates, from[k].draws->values + from[k].places[places[i]] * from[k].draws->n_replicates, t->n_replicates * sizeof **t->draws);
	}
	return true;
}

struct pb_made_draws pb_tradeoff_draws(const struct pb_tradeoff *t)
{
	return (struct pb_made_draws){ t->values, { t->draws[0], t->draws[1], t->draws[2] }, t->n, t->n_replicates, t->axes.n };
}

static bool has_error(const struct pb_tradeoff *t, const struct pb_trade *trade)
{
	for (unsigned k = 0; k < t->axes.n; k++)
		if (t->draws[k] && !isfinite(trade->errors[k]))
			return false;
	return true;
}

static enum pb_status mark(struct pb_tradeoff *t, struct pb_error *err)
{
	enum pb_membership *members = pb_alloc(t->n, sizeof *members);
	double *probability = pb_alloc(t->n, sizeof *probability);
	const struct pb_made_draws draws = pb_tradeoff_draws(t);
	enum pb_status st = members && probability ? PB_OK : pb_out_of_memory(err, "fronts");
	if (st == PB_OK)
		st = pb_front_members(&t->axes, t->values, t->n, members, err);
	if (st == PB_OK)
		st = pb_front_probability(&t->axes, t->n, t->n_replicates, pb_draw_made, &draws, probability, NULL, NULL, err);
	for (size_t i = 0; i < t->n && st == PB_OK; i++) {
		t->trades[i].on = members[i] != PB_MEMBER_NO;
		t->trades[i].probability = has_error(t, &t->trades[i]) ? probability[i] : NAN;
		t->n_on += t->trades[i].on;
	}
	pb_free(probability);
	pb_free(members);
	return st;
}

enum pb_status pb_tradeoff_make(struct pb_tradeoff *out, const struct pb_goal *goals, unsigned n_goals, struct pb_front *front, const struct pb_draws *main,
	const struct pb_rows *rows, const struct pb_item_stores *stores, struct pb_arena *arena, struct pb_error *err)
{
	struct pb_tradeoff t = { .axes.n = n_goals, .by_items = true, .n_replicates = main->n_replicates };
	struct numbers from[PB_MAX_AXES];
	enum pb_status st = PB_OK;
	for (unsigned k = 0; k < n_goals && st == PB_OK; k++) {
		t.goals[k] = goals[k];
		t.axes.higher_is_better[k] = pb_goal_higher_is_better(&goals[k]);
		st = find_numbers(&from[k], &goals[k], front, main, rows, stores, arena, err);
		/* Replicates of two fronts belong together. */
		if (st == PB_OK && from[k].draws && from[k].draws->n_replicates < t.n_replicates)
			t.n_replicates = from[k].draws->n_replicates;
	}
	if (st == PB_OK && !take_trades(&t, front, from, arena))
		st = pb_out_of_memory(err, "fronts");
	if (st == PB_OK)
		st = mark(&t, err);
	if (st == PB_OK)
		*out = t;
	return st;
}

/* --- attainment --- */

static int compare_numbers(const void *pa, const void *pb)
{
	const double *a = pa, *b = pb;
	return (*a > *b) - (*a < *b);
}

enum pb_status pb_bands_make(struct pb_bands *out, const struct pb_tradeoff *t, struct pb_arena *arena, struct pb_error *err)
{
	static const double quantiles[3] = { 0.05, 0.5, 0.95 };
	const struct pb_made_draws draws = pb_tradeoff_draws(t);
	double *numbers = pb_arena_alloc(arena, 4 * t->n, sizeof *numbers), *found = pb_alloc(t->n, sizeof quantiles);
	enum pb_status st = numbers && found ? PB_OK : pb_out_of_memory(err, "fronts");
	struct pb_bands b = { 0, numbers, numbers + t->n, numbers + 2 * t->n, numbers + 3 * t->n };
	for (size_t i = 0; i < t->n && st == PB_OK; i++)
		b.x[i] = t->trades[i].at[0];
	if (st == PB_OK) {
		qsort(b.x, t->n, sizeof *b.x, compare_numbers);
		for (size_t i = 0; i < t->n; i++)
			if (i == 0 || b.x[i] != b.x[i - 1])
				b.x[b.n++] = b.x[i];
		st = pb_attainment(&t->axes, t->n, t->n_replicates, pb_draw_made, &draws, b.x, b.n, quantiles, 3, found, err);
	}
	for (size_t i = 0; i < b.n && st == PB_OK; i++) {
		b.low[i] = found[3 * i];
		b.middle[i] = found[3 * i + 1];
		b.high[i] = found[3 * i + 2];
	}
	pb_free(found);
	if (st == PB_OK)
		*out = b;
	return st;
}
