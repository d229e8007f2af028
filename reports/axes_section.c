#include "reports/axes_section.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ROWS 60
#define MOST_MARKS 400          /* of more points, only those on the front of their own family are drawn */
#define LEVELS 4

struct maker {
	struct pb_section *section;
	const struct pb_axes_input *input;
	struct pb_arena *arena;
	struct pb_error *err;
	bool is_shown[PB_BYS];          /* costs that have a chart */
};

static struct pb_goal value_of(const struct maker *m)
{
	return (struct pb_goal){ m->input->main, PB_BYS };
}

static struct pb_goal cost(enum pb_by by)
{
	return (struct pb_goal){ NULL, by };
}

static enum pb_status make_tradeoff(const struct maker *m, struct pb_tradeoff *t, const struct pb_goal *goals, unsigned n)
{
	return pb_tradeoff_make(t, goals, n, m->input->main, m->input->draws, m->input->rows, m->input->stores, m->arena, m->err);
}

/* --- steps --- */

struct place {
	double x, y;
};

static int compare_places(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	return (a->x > b->x) - (a->x < b->x);
}

/* A line of steps through the places, by x: from each to the next worse one, and from the worst on to `end`. */
static bool make_steps(struct pb_chart_series *s, struct place *places, size_t n, bool higher_is_better, double end, struct pb_arena *arena)
{
	double *x = pb_arena_alloc(arena, 4 * n + 2, sizeof *x), *y = x ? x + 2 * n + 1 : NULL;
	if (!x)
		return false;
	qsort(places, n, sizeof *places, compare_places);
	s->n = 0;
	for (size_t i = 0; i < n; i++) {
		if (higher_is_better) { /* what is known at x is known below it, too */
			x[s->n] = i > 0 ? places[i - 1].x : end;
			y[s->n++] = places[i].y;
		}
		x[s->n] = places[i].x;
		y[s->n++] = places[i].y;
		if (!higher_is_better) {
			x[s->n] = i + 1 < n ? places[i + 1].x : end;
			y[s->n++] = places[i].y;
		}
	}
	s->x = x;
	s->y = y;
	s->line = true;
	s->no_name = true;
	s->ink = PB_INK_FRONT;
	return true;
}

/* The worst of the first axis. */
static double end_of(const struct pb_tradeoff *t)
{
	double end = NAN;
	for (size_t i = 0; i < t->n; i++)
		end = t->axes.higher_is_better[0] ? fmin(end, t->trades[i].at[0]) : fmax(end, t->trades[i].at[0]);
	return end;
}

/* The front of trades among those whose third number is within the level; all when there is no third one. */
static enum pb_status front_within(const struct maker *m, struct pb_chart_series *s, const struct pb_tradeoff *t, double level)
{
	const struct pb_axes axes = { 2, { t->axes.higher_is_better[0], t->axes.higher_is_better[1] } };
	double *values = pb_arena_alloc(m->arena, t->n, 2 * sizeof *values);
	enum pb_membership *members = pb_arena_alloc(m->arena, t->n, sizeof *members);
	struct place *places = pb_arena_alloc(m->arena, t->n, sizeof *places);
	size_t n = 0;
	if (!values || !members || !places)
		return pb_out_of_memory(m->err, "a report");
	for (size_t i = 0; i < t->n; i++) {
		const struct pb_trade *trade = &t->trades[i];
		bool is_within = t->axes.n == 2 || (t->axes.higher_is_better[2] ? trade->at[2] >= level : trade->at[2] <= level);
		values[2 * i] = is_within ? trade->at[0] : NAN;
		values[2 * i + 1] = trade->at[1];
	}
	enum pb_status st = pb_front_members(&axes, values, t->n, members, m->err);
	for (size_t i = 0; i < t->n && st == PB_OK; i++)
		if (members[i] != PB_MEMBER_NO)
			places[n++] = (struct place){ pb_goal_shown(&t->goals[0], values[2 * i]), pb_goal_shown(&t->goals[1], values[2 * i + 1]) };
	if (st == PB_OK && !make_steps(s, places, n, axes.higher_is_better[0], pb_goal_shown(&t->goals[0], end_of(t)), m->arena))
		st = pb_out_of_memory(m->err, "a report");
	return st;
}

/* What 5 to 95 % of the draws attain, as an area, and the median. */
static enum pb_status add_bands(const struct maker *m, struct pb_chart_series *s, const struct pb_tradeoff *t)
{
	struct pb_bands b;
	enum pb_status st = pb_bands_make(&b, t, m->arena, m->err);
	double *numbers = st == PB_OK ? pb_arena_alloc(m->arena, 8 * b.n, sizeof *numbers) : NULL;
	if (st != PB_OK || !numbers)
		return st != PB_OK ? st : pb_out_of_memory(m->err, "a report");
	double *x = numbers, *y = x + 2 * b.n, *low = y + 2 * b.n, *high = low + 2 * b.n;
	size_t n = 0;
	for (size_t i = 0; i < b.n; i++) {
		bool down = t->axes.higher_is_better[0];
		for (int end = 0; end < 2 && isfinite(b.middle[i]); end++) { /* there is none where in half of the draws nothing is */
			size_t k = down ? (end || i == 0 ? i : i - 1) : (!end || i + 1 == b.n ? i : i + 1);
			x[n] = pb_goal_shown(&t->goals[0], b.x[k]);
			y[n] = pb_goal_shown(&t->goals[1], b.middle[i]);
			low[n] = pb_goal_shown(&t->goals[1], b.low[i]);
			high[n++] = pb_goal_shown(&t->goals[1], b.high[i]);
		}
	}
	*s = (struct pb_chart_series){ .name = "attained in half of the draws", .no_name = true, .ink = PB_INK_MUTED, .n = n, .x = x, .y = y, .low = low, .high = high,
		.line = true, .band = true, .dash = PB_DASHED, .width = 1.0 };
	return PB_OK;
}

/* --- points --- */

/* Which trades are drawn: those of the front, and of many only those that nothing of their own family dominates besides. */
static enum pb_status choose_drawn(const struct maker *m, const struct pb_tradeoff *t, bool *is_drawn, size_t *n_drawn)
{
	*n_drawn = 0;
	double *values = pb_arena_alloc(m->arena, t->n, t->axes.n * sizeof *values);
	enum pb_membership *members = pb_arena_alloc(m->arena, t->n, sizeof *members);
	size_t *places = pb_arena_alloc(m->arena, t->n, sizeof *places);
	if (!values || !members || !places)
		return pb_out_of_memory(m->err, "a report");
	for (size_t family = 0; family < pb_n_families; family++) {
		size_t n = 0;
		for (size_t i = 0; i < t->n; i++)
			if (pb_family_index(t->trades[i].point->row->family) == family) {
				memcpy(values + n * t->axes.n, t->values + i * t->axes.n, t->axes.n * sizeof *values);
				places[n++] = i;
			}
		enum pb_status st = pb_front_members(&t->axes, values, n, members, m->err);
		if (st != PB_OK)
			return st;
		for (size_t k = 0; k < n; k++) {
			is_drawn[places[k]] = t->trades[places[k]].on || (t->axes.n == 2 && (t->n <= MOST_MARKS || members[k] != PB_MEMBER_NO));
			*n_drawn += is_drawn[places[k]];
		}
	}
	return PB_OK;
}

static const char *tooltip(const struct pb_tradeoff *t, const struct pb_trade *trade, struct pb_arena *arena)
{
	const char *text = pb_arena_printf(arena, "%s \u00b7 %s", trade->point->row->label, trade->point->row->model);
	for (unsigned k = 0; k < t->axes.n && text; k++) {
		char value[64];
		pb_goal_format(&t->goals[k], trade->at[k], trade->errors[k], value);
		text = pb_arena_printf(arena, "%s\n%s %s", text, pb_goal_shown_title(&t->goals[k]), value);
	}
	return text;
}

/* Points of a family on the front, or the other ones. */
static bool add_cloud(struct pb_chart_series *s, const struct pb_tradeoff *t, const bool *is_drawn, size_t family, bool on, struct pb_arena *arena)
{
	double *x = pb_arena_alloc(arena, 4 * t->n, sizeof *x);
	const char **tooltips = pb_arena_alloc(arena, t->n, sizeof *tooltips);
	if (!x || !tooltips)
		return false;
	double *y = x + t->n, *low = y + t->n, *high = low + t->n;
	const struct pb_family *f = &pb_families[family];
	size_t n = 0;
	for (size_t i = 0; i < t->n; i++) {
		const struct pb_trade *trade = &t->trades[i];
		if (!is_drawn[i] || trade->on != on || pb_family_index(trade->point->row->family) != family)
			continue;
		x[n] = pb_goal_shown(&t->goals[0], trade->at[0]);
		y[n] = pb_goal_shown(&t->goals[1], trade->at[1]);
		low[n] = on ? pb_goal_shown(&t->goals[1], trade->at[1] - PB_Z95 * trade->errors[1]) : NAN;
		high[n] = on ? pb_goal_shown(&t->goals[1], trade->at[1] + PB_Z95 * trade->errors[1]) : NAN;
		if (!(tooltips[n++] = tooltip(t, trade, arena)))
			return false;
	}
	*s = (struct pb_chart_series){ .name = f->name, .hollow = !on, .ink = f->ink, .shape = f->shape, .n = n, .x = x, .y = y, .low = low, .high = high, .tooltips = tooltips,
		.marks = true };
	return true;
}

/* Adds the series of each family that has points, the front over the others; a family has its name once. False when memory is out. */
static bool add_clouds(struct pb_chart_series *series, size_t *n, const struct pb_tradeoff *t, const bool *is_drawn, bool no_names, struct pb_arena *arena)
{
	size_t first = *n;
	for (int on = 0; on < 2; on++)
		for (size_t family = 0; family < pb_n_families; family++) {
			if (!add_cloud(&series[*n], t, is_drawn, family, on, arena))
				return false;
			series[*n].no_name = no_names;
			for (size_t k = first; k < *n && series[*n].n; k++)
				series[k].no_name = series[k].no_name || strcmp(series[k].name, series[*n].name) == 0;
			*n += series[*n].n > 0;
		}
	return true;
}

static const char *axis_title(const struct pb_goal *g, struct pb_arena *arena)
{
	if (g->front)
		return pb_arena_printf(arena, "%s%s (%s is better)", g->front->is_mean ? "Accuracy" : g->front->metric, pb_front_unit(g->front), g->front->higher_is_better ? "higher" : "lower");
	return pb_arena_printf(arena, "%s, log scale", pb_goal_heading(g));
}

static const char *measured_with(const struct pb_goal *g)
{
	if (g->front || (g->by != PB_BY_SECONDS && g->by != PB_BY_ENERGY))
		return "";
	return g->by == PB_BY_SECONDS ? " Time of evaluation as it was measured in the run, with whatever ran beside it." :
		" Energy of the whole processor package in evaluation, with whatever ran beside it.";
}

/* --- two axes --- */

static enum pb_status add_pair(struct maker *m, const struct pb_goal *x, bool panel)
{
	const struct pb_goal goals[2] = { *x, value_of(m) };
	struct pb_tradeoff t;
	size_t n_drawn, n = 2;
	enum pb_status st = make_tradeoff(m, &t, goals, 2);
	if (st != PB_OK)
		return st;
	if (!t.n) {
		pb_section_text(m->section, "%s: no setting has a number for that and %s, so there is nothing to draw.", pb_goal_heading(x), m->input->main->title);
		return PB_OK;
	}
	bool *is_drawn = pb_arena_alloc(m->arena, t.n, sizeof *is_drawn);
	struct pb_chart_series *series = pb_arena_alloc(m->arena, 2 * pb_n_families + 3, sizeof *series);
	if (!is_drawn || !series)
		return pb_out_of_memory(m->err, "a report");
	st = choose_drawn(m, &t, is_drawn, &n_drawn);
	if (st == PB_OK)
		st = add_bands(m, &series[0], &t);
	if (st == PB_OK)
		st = front_within(m, &series[1], &t, NAN);
	if (st != PB_OK)
		return st;
	series[1].name = "front";
	series[1].width = panel ? 1.5 : 2.0;
	const char *slug = pb_arena_printf(m->arena, "front-by-%s", pb_goal_name(x));
	const char *described = pb_arena_printf(m->arena, "%s by %s", m->input->main->title, pb_goal_shown_title(x)), *title = panel ? pb_goal_heading(x) : described;
	const char *x_title = axis_title(x, m->arena), *y_title = axis_title(&goals[1], m->arena);
	const char *caption = pb_arena_printf(m->arena, "%zu of %zu points have this number%s, %zu are on the front (the line).%s%s", t.n, m->input->main->n_points,
		n_drawn < t.n ? pb_arena_printf(m->arena, " and %zu that are on their family's front are drawn", n_drawn) : "", t.n_on,
		panel ? "" : " Grey: what 5 to 95 % of the draws attain, dashed what half of them do. Intervals are of 95 %, for points on the front.", measured_with(x));
	if (!slug || !described || !x_title || !y_title || !caption || !add_clouds(series, &n, &t, is_drawn, panel, m->arena))
		return pb_out_of_memory(m->err, "a report");
	const struct pb_section_chart chart = { .slug = slug, .note = "", .caption = caption, .panel = panel,
		.chart = { .title = title, .x_title = x_title, .y_title = y_title, .description = described, .x_kind = pb_goal_axis(x), .y_kind = pb_goal_axis(&goals[1]), .series = series,
			.n_series = n } };
	pb_section_chart(m->section, &chart);
	return PB_OK;
}

static size_t count_with(const struct pb_front *front, enum pb_by by)
{
	size_t n = 0;
	for (size_t i = 0; i < front->n_points; i++)
		n += isfinite(pb_point_by(&front->points[i], by));
	return n;
}

/* Why the machine counted no energy: what the first counter says. */
static const char *why_no_energy(const struct pb_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		const json_t *counter = json_object_get(rows->rows[i].counters, "energy");
		const char *note = json_string_value(json_object_get(counter, "note"));
		if (note && *note)
			return note;
	}
	return "";
}

static enum pb_status add_panels(struct maker *m, const struct pb_goal *asked)
{
	enum pb_status st = PB_OK;
	for (enum pb_by by = PB_BY_BITS; by < PB_BYS && st == PB_OK; by++) {
		const struct pb_goal x = cost(by);
		m->is_shown[by] = count_with(m->input->main, by) > 0;
		if (m->is_shown[by] && !(asked && !asked->front && asked->by == by))
			st = add_pair(m, &x, true);
	}
	for (enum pb_by by = PB_BY_BITS; by < PB_BYS && st == PB_OK; by++)
		if (!m->is_shown[by] && by == PB_BY_ENERGY)
			pb_section_note(m->section, "No front by energy: no row has joules%s%s%s.", *why_no_energy(m->input->rows) ? " (" : "", why_no_energy(m->input->rows),
				*why_no_energy(m->input->rows) ? ")" : "");
		else if (!m->is_shown[by])
			pb_section_note(m->section, "No front by %s: no row has that number.", pb_by_title(by));
	return st;
}

/* --- three axes --- */

static int compare_numbers(const void *pa, const void *pb)
{
	const double *a = pa, *b = pb;
	return (*a > *b) - (*a < *b);
}

/* Quartiles of the third number over the front, the strictest first. Returns how many different ones there are. */
static size_t make_levels(const struct pb_tradeoff *t, double levels[LEVELS], double *scratch)
{
	size_t n = 0, n_levels = 0;
	for (size_t i = 0; i < t->n; i++)
		if (t->trades[i].on)
			scratch[n++] = t->axes.higher_is_better[2] ? -t->trades[i].at[2] : t->trades[i].at[2];
	qsort(scratch, n, sizeof *scratch, compare_numbers);
	for (size_t k = 1; k <= LEVELS; k++) {
		double level = scratch[(n * k + LEVELS - 1) / LEVELS - 1];
		level = t->axes.higher_is_better[2] ? -level : level;
		if (!n_levels || level != levels[n_levels - 1])
			levels[n_levels++] = level;
	}
	return n_levels;
}

static enum pb_status add_levels(struct maker *m, struct pb_chart_series *series, size_t *n, const struct pb_tradeoff *t)
{
	static const enum pb_dash dashes[LEVELS] = { PB_DOTTED, PB_DASHED, PB_SOLID, PB_SOLID };
	static const double widths[LEVELS] = { 1.5, 1.5, 1.0, 2.5 };
	double levels[LEVELS], *scratch = pb_arena_alloc(m->arena, t->n, sizeof *scratch);
	size_t n_levels = scratch ? make_levels(t, levels, scratch) : 0;
	enum pb_status st = scratch ? PB_OK : pb_out_of_memory(m->err, "a report");
	for (size_t k = 0; k < n_levels && st == PB_OK; k++) {
		struct pb_chart_series *s = &series[(*n)++];
		size_t style = LEVELS - n_levels + k;
		char level[64];
		st = front_within(m, s, t, levels[k]);
		pb_goal_format(&t->goals[2], levels[k], NAN, level);
		s->name = pb_arena_printf(m->arena, "%s %s%s", t->axes.higher_is_better[2] ? "\u2265" : "\u2264", level, pb_goal_unit(&t->goals[2]));
		s->no_name = false;
		s->dash = dashes[style];
		s->width = widths[style];
		if (!s->name)
			st = pb_out_of_memory(m->err, "a report");
	}
	return st;
}

static enum pb_status add_triple_chart(struct maker *m, const struct pb_tradeoff *t)
{
	bool *is_drawn = pb_arena_alloc(m->arena, t->n, sizeof *is_drawn);
	struct pb_chart_series *series = pb_arena_alloc(m->arena, 2 * pb_n_families + LEVELS + 1, sizeof *series);
	size_t n_drawn, n = 0;
	if (!is_drawn || !series)
		return pb_out_of_memory(m->err, "a report");
	enum pb_status st = choose_drawn(m, t, is_drawn, &n_drawn);
	if (st == PB_OK)
		st = add_levels(m, series, &n, t);
	if (st != PB_OK)
		return st;
	const char *z = pb_goal_shown_title(&t->goals[2]);
	const char *title = pb_arena_printf(m->arena, "%s by %s and %s", m->input->main->title, pb_goal_shown_title(&t->goals[0]), z);
	const char *x_title = axis_title(&t->goals[0], m->arena), *y_title = axis_title(&t->goals[1], m->arena);
	const char *caption = pb_arena_printf(m->arena, "Points are the front of three axes. Each line is the front of two among settings within a limit of the third, %s: quartiles of it over the "
		"points, the widest line the loosest. A point that lies below a line is there for its %s.%s", z, z, measured_with(&t->goals[2]));
	if (!title || !x_title || !y_title || !caption || !add_clouds(series, &n, t, is_drawn, false, m->arena))
		return pb_out_of_memory(m->err, "a report");
	const struct pb_section_chart chart = { .slug = "front-of-three", .note = "", .caption = caption,
		.chart = { .title = title, .x_title = x_title, .y_title = y_title, .description = title, .x_kind = pb_goal_axis(&t->goals[0]), .y_kind = pb_goal_axis(&t->goals[1]),
			.series = series, .n_series = n } };
	pb_section_chart(m->section, &chart);
	return PB_OK;
}

static int compare_trades(const void *pa, const void *pb)
{
	const struct pb_trade *a = *(const struct pb_trade *const *)pa, *b = *(const struct pb_trade *const *)pb;
	if (a->on != b->on)
		return b->on - a->on;
	if (a->probability != b->probability)
		return a->probability < b->probability ? 1 : -1;
	return (a > b) - (a < b);
}

static enum pb_status add_triple_table(struct maker *m, const struct pb_tradeoff *t)
{
	struct pb_section_column *columns = pb_arena_alloc(m->arena, 3 + PB_MAX_AXES, sizeof *columns);
	const struct pb_trade **list = pb_arena_alloc(m->arena, t->n, sizeof *list);
	size_t n = 0;
	if (!columns || !list)
		return pb_out_of_memory(m->err, "a report");
	for (size_t i = 0; i < t->n; i++)
		if (t->trades[i].on)
			list[n++] = &t->trades[i];
	if (n > MOST_ROWS) {
		qsort(list, n, sizeof *list, compare_trades);
		pb_section_note(m->section, "The %d surest ones; %zu more are in fronts.csv.", MOST_ROWS, n - MOST_ROWS);
		n = MOST_ROWS;
	}
	columns[0] = (struct pb_section_column){ "Model", false, false };
	columns[1] = (struct pb_section_column){ "Setting", false, true };
	for (unsigned k = 0; k < t->axes.n; k++)
		columns[2 + k] = (struct pb_section_column){ pb_goal_heading(&t->goals[k]), true, false };
	columns[2 + t->axes.n] = (struct pb_section_column){ "Probability", true, false };
	struct pb_section_table *table = pb_section_table(m->section, columns, 3 + t->axes.n);
	for (size_t i = 0; i < n; i++) {
		const struct pb_row *row = list[i]->point->row;
		pb_table_text(table, "%s", row->model);
		pb_table_text(table, "%s", row->label);
		for (unsigned k = 0; k < t->axes.n; k++) {
			char value[64];
			pb_goal_format(&t->goals[k], list[i]->at[k], list[i]->errors[k], value);
			pb_table_number(table, list[i]->at[k], "%s", value);
		}
		if (isfinite(list[i]->probability))
			pb_table_number(table, list[i]->probability, "%.2f", list[i]->probability);
		else
			pb_table_number(table, NAN, "n/a");
	}
	return PB_OK;
}

static bool same_goal(const struct pb_goal *a, const struct pb_goal *b)
{
	return a->front == b->front && (a->front || a->by == b->by);
}

static enum pb_status add_triple(struct maker *m, const struct pb_goal *x, const struct pb_goal *z)
{
	const struct pb_goal goals[3] = { *x, value_of(m), *z };
	struct pb_tradeoff t;
	enum pb_status st = make_tradeoff(m, &t, goals, 3);
	if (st != PB_OK || !t.n)
		return st;
	m->input->main->axes = pb_arena_printf(m->arena, "%s, %s, %s", pb_goal_name(x), pb_goal_name(&goals[1]), pb_goal_name(z));
	if (!m->input->main->axes)
		return pb_out_of_memory(m->err, "a report");
	for (size_t i = 0; i < t.n; i++) {
		t.trades[i].point->has_axes = true;
		t.trades[i].point->on_axes = t.trades[i].on;
		t.trades[i].point->probability_axes = t.trades[i].probability;
	}
	pb_section_heading(m->section, "%s and %s at once", pb_goal_heading(x), pb_goal_shown_title(z));
	pb_section_text(m->section, "A setting is on this front when no other one is at least as good in all three and better in one: %zu of %zu settings. The probability is the share of %zu draws "
		"in which that is so%s.", t.n_on, t.n, t.n_replicates, t.by_items ? ", of the items that settings share" : ", of values as independent normals");
	st = add_triple_chart(m, &t);
	return st == PB_OK ? add_triple_table(m, &t) : st;
}

/* --- all --- */

static enum pb_status find(const struct maker *m, struct pb_goal *goal, const char *option, const char *name)
{
	const struct pb_goal value = value_of(m);
	enum pb_status st = pb_goal_find(goal, m->input->fronts, true, option, name, m->err);
	if (st == PB_OK && same_goal(goal, &value))
		st = pb_fail(m->err, PB_USAGE, "%s %s: that is the value of the fronts itself\nchoose another value of the fronts with --y", option, name);
	return st;
}

enum pb_status pb_axes_section(struct pb_section *out, const struct pb_axes_input *input, struct pb_arena *arena, struct pb_error *err)
{
	struct maker m = { .section = out, .input = input, .arena = arena, .err = err };
	struct pb_goal x = cost(PB_BY_SIZE), z = cost(PB_BY_SECONDS);
	enum pb_status st = PB_OK;
	pb_section_init(out, arena, "axes", "Fronts by other axes");
	if (input->x)
		st = find(&m, &x, "--x", input->x);
	if (input->z && st == PB_OK)
		st = find(&m, &z, "--z", input->z);
	if (st == PB_OK && input->x && input->z && same_goal(&x, &z))
		st = pb_fail(err, PB_USAGE, "--z %s: the same axis as --x", input->z);
	if (st != PB_OK)
		return st;
	if (!input->z && same_goal(&x, &z))
		z = cost(PB_BY_SIZE);
	if (!input->x && same_goal(&x, &z))
		x = cost(PB_BY_SECONDS);
	pb_section_text(out, "%s against what else a setting costs; colours and markers as in the first figure, each line the front of its panel, and dominated points small.", input->main->title);
	if (input->x && !(same_goal(&x, &(struct pb_goal){ NULL, PB_BY_SIZE })))
		st = add_pair(&m, &x, false);
	if (st == PB_OK)
		st = add_panels(&m, input->x ? &x : NULL);
	return st == PB_OK ? add_triple(&m, &x, &z) : st;
}
