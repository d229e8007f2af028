#include "reports/groups_section.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_PAIRS 66
#define MOST_CURVES 12
#define MOST_SPANS 4

static const struct pb_goal *cost_of(const struct pb_groups *g)
{
	return &g->tradeoff->goals[0];
}

static const struct pb_front *front_of(const struct pb_groups *g)
{
	return g->tradeoff->goals[1].front;
}

/* --- volumes --- */

static void add_volume_row(struct pb_section_table *table, const struct pb_groups *all, const struct pb_group *g)
{
	pb_table_text(table, "%s", g->name ? g->name : "all");
	pb_table_number(table, (double)g->n, "%zu", g->n);
	pb_table_number(table, (double)g->n_on, "%zu", g->n_on);
	pb_table_number(table, g->volume, "%.4g (%.4g to %.4g)", g->volume, g->volume_low, g->volume_high);
	if (all->all.volume > 0.0)
		pb_table_number(table, g->volume / all->all.volume, "%.1f %%", 100.0 * g->volume / all->all.volume);
	else
		pb_table_number(table, NAN, "n/a");
}

static void add_volumes(struct pb_section *section, const struct pb_groups *g, const char *why)
{
	static const struct pb_section_column columns[] = {
		{ "Family of methods", false, false }, { "Points", true, false }, { "On the front", true, false }, { "Volume", true, false }, { "Share", true, false },
	};
	char cost[64], value[64];
	pb_goal_format(cost_of(g), g->corner.cost, NAN, cost);
	pb_goal_format(&g->tradeoff->goals[1], g->corner.value, NAN, value);
	pb_section_text(section, "Volume between the front of a family and the reference, %s and %s%s: how much of costs and values the family reaches, in doublings of the %s times %s. "
		"The reference's cost is %s, its value %s%s. Two reports can be compared when their references are the same.", cost, value, pb_goal_unit(&g->tradeoff->goals[1]), pb_goal_shown_title(cost_of(g)), front_of(g)->metric,
		g->corner.has_cost ? "named in the sweep" : "by rule the largest of all points",
		g->corner.has_value ? "named in the sweep" : isfinite(front_of(g)->chance) ? "by rule that of chance" : "by rule the worst of all points", why);
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	add_volume_row(table, g, &g->all);
	for (size_t i = 0; i < g->n; i++)
		if (g->groups[i].is_family)
			add_volume_row(table, g, &g->groups[i]);
	pb_section_note(section, "In brackets: 95 %% of the draws. A draw spreads the values, so its front is as a rule a little above that of the measured ones.");
}

/* --- pairs of families --- */

static void add_factor(struct pb_section_table *table, double epsilon)
{
	if (isfinite(epsilon))
		pb_table_number(table, epsilon, "%.3f\u00d7", epsilon);
	else
		pb_table_number(table, NAN, "n/a");
}

static void add_family_pairs(struct pb_section *section, const struct pb_groups *g)
{
	static const struct pb_section_column columns[] = {
		{ "First", false, false }, { "Second", false, false }, { "Covers at", true, false }, { "Covered at", true, false }, { "Dominates", true, false },
		{ "Dominated", true, false }, { "\u0394 volume", true, false }, { "P(larger)", true, false },
	};
	bool any = false;
	for (size_t i = 0; i < g->n_pairs; i++)
		any = any || g->pairs[i].first->is_family;
	if (!any)
		return;
	pb_section_text(section, "Pairs of families. \u201cCovers at\u201d is the multiplicative epsilon indicator: when %s and errors%s of the first are divided by this factor, each point of the "
		"second is matched or beaten; at most 1 means that it is so already; \u201ccovered at\u201d is the other way round. The first dominates so many points of the second's front, and so many of "
		"its own are dominated. \u0394 volume is first \u2212 second, P(larger) the share of draws in which the first's volume is the larger one. pairs.csv has additive indicators, and "
		"pairs of methods.", pb_goal_shown_title(cost_of(g)), front_of(g)->higher_is_better ? " (1 \u2212 value)" : "");
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; i < g->n_pairs; i++) {
		const struct pb_group_pair *p = &g->pairs[i];
		if (!p->first->is_family)
			continue;
		pb_table_text(table, "%s", p->first->name);
		pb_table_text(table, "%s", p->second->name);
		add_factor(table, p->epsilon[0]);
		add_factor(table, p->epsilon[1]);
		pb_table_number(table, (double)p->dominated[0] / (double)p->second->n_front, "%zu of %zu", p->dominated[0], p->second->n_front);
		pb_table_number(table, (double)p->dominated[1] / (double)p->first->n_front, "%zu of %zu", p->dominated[1], p->first->n_front);
		pb_table_number(table, p->volume, "%+.3g (%+.3g to %+.3g)", p->volume, p->volume_low, p->volume_high);
		pb_table_number(table, p->p_volume, "%.3f", p->p_volume);
	}
}

/* --- curves of methods --- */

static int compare_groups(const void *pa, const void *pb)
{
	const struct pb_group *a = *(const struct pb_group *const *)pa, *b = *(const struct pb_group *const *)pb;
	return a->n_curve != b->n_curve ? (a->n_curve < b->n_curve) - (a->n_curve > b->n_curve) : (a > b) - (a < b);
}

static int compare_names(const void *pa, const void *pb)
{
	return strcmp((*(const struct pb_group *const *)pa)->name, (*(const struct pb_group *const *)pb)->name);
}

/* The methods with the most points of their curves, by name. */
static size_t choose_curves(const struct pb_groups *g, const struct pb_group **list)
{
	size_t n = 0;
	for (size_t i = 0; i < g->n; i++)
		if (!g->groups[i].is_family && g->groups[i].n_curve > 1)
			list[n++] = &g->groups[i];
	qsort(list, n, sizeof *list, compare_groups);
	n = n < MOST_CURVES ? n : MOST_CURVES;
	qsort(list, n, sizeof *list, compare_names);
	return n;
}

static bool make_curve(struct pb_chart_series *s, const struct pb_groups *all, const struct pb_group *g, size_t place, struct pb_arena *arena)
{
	double *x = pb_arena_alloc(arena, g->n_curve, 2 * sizeof *x), *y = x ? x + g->n_curve : NULL;
	const char **tooltips = pb_arena_alloc(arena, g->n_curve, sizeof *tooltips);
	if (!x || !tooltips)
		return false;
	for (size_t k = 0; k < g->n_curve; k++) {
		const struct pb_trade *trade = &all->tradeoff->trades[g->curve[k]];
		char cost[64], value[64];
		x[k] = pb_goal_shown(cost_of(all), trade->at[0]);
		y[k] = pb_goal_shown(&all->tradeoff->goals[1], trade->at[1]);
		pb_goal_format(cost_of(all), trade->at[0], NAN, cost);
		pb_goal_format(&all->tradeoff->goals[1], trade->at[1], trade->errors[1], value);
		if (!(tooltips[k] = pb_arena_printf(arena, "%s \u00b7 %s\n%s, %s", trade->point->row->label, trade->point->row->model, cost, value)))
			return false;
	}
	*s = (struct pb_chart_series){ .name = g->name, .ink = pb_chart_ink(place), .shape = pb_chart_shape(place), .n = g->n_curve, .x = x, .y = y, .tooltips = tooltips, .line = true,
		.marks = true, .dash = PB_DASHED };
	return true;
}

static void add_curves(struct pb_section *section, const struct pb_groups *g)
{
	struct pb_arena *arena = section->arena;
	const struct pb_group **list = pb_arena_alloc(arena, g->n, sizeof *list);
	struct pb_chart_series *series = pb_arena_alloc(arena, MOST_CURVES, sizeof *series);
	size_t n = list && series ? choose_curves(g, list) : 0;
	const char *axis = pb_goal_heading(cost_of(g)), *value = front_of(g)->is_mean ? "Accuracy" : front_of(g)->metric;
	const char *slug = pb_arena_printf(arena, "curves-by-%s", pb_goal_name(cost_of(g)));
	const char *title = pb_arena_printf(arena, "Curves of methods: %s by %s", front_of(g)->title, pb_goal_shown_title(cost_of(g)));
	const char *x_title = pb_arena_printf(arena, "%s, log scale", axis);
	const char *y_title = pb_arena_printf(arena, "%s%s (%s is better)", value, pb_front_unit(front_of(g)), front_of(g)->higher_is_better ? "higher" : "lower");
	bool ok = list && series && slug && title && x_title && y_title;
	for (size_t k = 0; ok && k < n; k++)
		ok = make_curve(&series[k], g, list[k], k, arena);
	if (!ok) {
		section->failed = true;
		return;
	}
	if (!n)
		return;
	const struct pb_section_chart chart = { .slug = slug, .note = "",
		.caption = "Each method's own front. Marks are measured; between them the dashed lines are interpolated, for comparison alone: no model there is known.",
		.chart = { .title = title, .x_title = x_title, .y_title = y_title, .description = title, .x_kind = pb_goal_axis(cost_of(g)),
			.y_kind = pb_front_is_log(front_of(g)) ? PB_AXIS_LOG : PB_AXIS_LINEAR, .series = series, .n_series = n } };
	pb_section_chart(section, &chart);
}

/* "above from 40 KiB to 1 MiB, below to 2 MiB"; of many crossings, how many. */
static void put_spans(struct pb_text *t, const struct pb_groups *g, const struct pb_group_pair *p)
{
	static const char *const words[] = { "below", "equal", "above" };
	char low[64], high[64];
	if (p->n_spans > MOST_SPANS) {
		pb_goal_format(cost_of(g), p->curve_from, NAN, low);
		pb_goal_format(cost_of(g), p->curve_to, NAN, high);
		pb_text_printf(t, "above on %.0f %% of the way from %s to %s, in %zu pieces", 100.0 * p->curve.share_above, low, high, p->n_spans);
		return;
	}
	for (size_t i = 0; i < p->n_spans; i++) {
		pb_goal_format(cost_of(g), exp2(p->spans[i].low), NAN, low);
		pb_goal_format(cost_of(g), exp2(p->spans[i].high), NAN, high);
		if (i == 0)
			pb_text_printf(t, "%s from %s to %s", words[p->spans[i].sign + 1], low, high);
		else
			pb_text_printf(t, ", %s to %s", words[p->spans[i].sign + 1], high);
	}
}

static int compare_pairs(const void *pa, const void *pb)
{
	const struct pb_group_pair *a = *(const struct pb_group_pair *const *)pa, *b = *(const struct pb_group_pair *const *)pb;
	double x = fabs(a->curve.mean), y = fabs(b->curve.mean);
	return x != y ? (x < y) - (x > y) : (a > b) - (a < b);
}

static void add_curve_row(struct pb_section_table *table, const struct pb_groups *g, const struct pb_group_pair *p)
{
	double factor = pb_front_is_percent(front_of(g)) ? 100.0 : 1.0;
	struct pb_text spans = { 0 };
	put_spans(&spans, g, p);
	pb_table_text(table, "%s", p->first->name);
	pb_table_text(table, "%s", p->second->name);
	pb_table_number(table, p->curve.mean, "%+.3g (%+.3g to %+.3g)", factor * p->curve.mean, factor * p->curve_low, factor * p->curve_high);
	pb_table_number(table, p->p_curve, "%.3f", p->p_curve);
	pb_table_text(table, "%s", pb_text_c(&spans));
	table->section->failed = table->section->failed || spans.failed;
	pb_text_free(&spans);
}

static void add_curve_pairs(struct pb_section *section, const struct pb_groups *g)
{
	static const struct pb_section_column columns[] = {
		{ "First", false, false }, { "Second", false, false }, { "Mean difference", true, false }, { "P(above)", true, false }, { "The first is", false, true },
	};
	const struct pb_group_pair **list = pb_arena_alloc(section->arena, g->n_pairs, sizeof *list);
	size_t n = 0;
	if (!list) {
		section->failed = true;
		return;
	}
	for (size_t i = 0; i < g->n_pairs; i++)
		if (!g->pairs[i].first->is_family && isfinite(g->pairs[i].curve.mean))
			list[n++] = &g->pairs[i];
	pb_section_heading(section, "Curves by %s", pb_goal_shown_title(cost_of(g)));
	add_curves(section, g);
	if (!n) {
		pb_section_text(section, "No two methods have a range of %s in common.", pb_goal_shown_title(cost_of(g)));
		return;
	}
	qsort(list, n, sizeof *list, compare_pairs);
	pb_section_text(section, "Methods against one another over the range of %s that both have, straight between the points of their fronts over its logarithm: the mean of first \u2212 second%s with 95 %% of "
		"the draws, the share of draws in which it is above 0, and where the first is above or below (%s is better).", pb_goal_shown_title(cost_of(g)),
		pb_front_is_percent(front_of(g)) ? " in percentage points" : "", front_of(g)->higher_is_better ? "above" : "below");
	if (n > MOST_PAIRS)
		pb_section_note(section, "The %d largest differences; %zu more are in pairs.csv.", MOST_PAIRS, n - MOST_PAIRS);
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; table && i < n && i < MOST_PAIRS; i++)
		add_curve_row(table, g, list[i]);
}

enum pb_status pb_groups_section(struct pb_section *out, const struct pb_groups *sizes, const struct pb_groups *bits, const char *why, struct pb_arena *arena, struct pb_error *err)
{
	struct pb_text csv = { 0 };
	pb_section_init(out, arena, "families", "Families and methods");
	add_volumes(out, sizes, why);
	add_family_pairs(out, sizes);
	add_curve_pairs(out, sizes);
	if (bits)
		add_curve_pairs(out, bits);
	pb_groups_csv(sizes, true, &csv);
	if (bits)
		pb_groups_csv(bits, false, &csv);
	enum pb_status st = pb_text_check(&csv, err);
	if (st == PB_OK)
		pb_section_file(out, "pairs.csv", "All pairs of families and methods", &csv);
	else
		pb_text_free(&csv);
	return st;
}
