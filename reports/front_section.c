#include "reports/front_section.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/rng.h"
#include "reports/stats/dominance.h"
#include "reports/stats/fit.h"

#define LEAST_PROBABILITY 0.05
#define MOST_ROWS 60

/* --- members --- */

static int compare_members(const void *pa, const void *pb)
{
	const struct pb_point *a = *(const struct pb_point *const *)pa, *b = *(const struct pb_point *const *)pb;
	if (a->on_front != b->on_front)
		return b->on_front - a->on_front;
	if (a->probability != b->probability)
		return a->probability < b->probability ? 1 : -1;
	return (a > b) - (a < b);
}

static void put_others(struct pb_section_table *table, const struct pb_point *p)
{
	struct pb_text t = { 0 };
	for (enum pb_by by = PB_BY_BITS; by < PB_BYS; by++)
		if (p->on[by])
			pb_text_printf(&t, "%s%s", t.length ? ", " : "", pb_by_name(by));
	pb_table_text(table, "%s", pb_text_c(&t));
	pb_text_free(&t);
}

static void add_members(struct pb_section *section, const struct pb_front *front)
{
	static const struct pb_section_column columns[] = {
		{ "model", false, false }, { "setting", false, true }, { "size", true, false }, { "value", true, false }, { "on the front", false, false }, { "probability", true, false },
		{ "also on the front by", false, false },
	};
	const struct pb_point **points = pb_arena_alloc(section->arena, front->n_points, sizeof *points);
	size_t n = 0;
	if (!points) {
		section->failed = true;
		return;
	}
	for (size_t i = 0; i < front->n_points; i++)
		if (front->points[i].on_front || front->points[i].probability >= LEAST_PROBABILITY)
			points[n++] = &front->points[i];
	if (n > MOST_ROWS) {
		qsort(points, n, sizeof *points, compare_members);
		pb_section_note(section, "The %d surest ones; %zu more are in fronts.csv.", MOST_ROWS, n - MOST_ROWS);
		n = MOST_ROWS;
	}
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; table && i < n; i++) {
		const struct pb_point *p = points[i];
		char size[32], value[64];
		pb_format_size(size, p->bytes);
		pb_front_format(front, p->value, p->stderr_value, value);
		pb_table_text(table, "%s", p->row->model);
		pb_table_text(table, "%s", p->row->label);
		pb_table_number(table, p->bytes, "%s", size);
		pb_table_number(table, p->value, "%s", value);
		pb_table_text(table, "%s", p->on_front ? "yes" : "no");
		if (isfinite(p->probability))
			pb_table_number(table, p->probability, "%.2f", p->probability);
		else
			pb_table_number(table, NAN, "n/a");
		put_others(table, p);
	}
}

/* --- volumes --- */

/* Bits of size, by logarithm, and the value. */
struct cloud {
	double *values, *stderrs;       /* (n, 2) */
	size_t n;
	double *volumes;                /* (replicates) */
};

static void take_family(struct cloud *c, const struct pb_front *front, const double *values, const double *stderrs, const char *family)
{
	c->n = 0;
	for (size_t i = 0; i < front->n_points; i++) {
		if (family && strcmp(front->points[i].row->family, family) != 0)
			continue;
		c->values[2 * c->n] = log2(values[2 * i]);
		c->values[2 * c->n + 1] = values[2 * i + 1];
		c->stderrs[2 * c->n] = 0.0;
		c->stderrs[2 * c->n++ + 1] = stderrs[2 * i + 1];
	}
}

static enum pb_status volume_of(struct cloud *c, const struct pb_axes *axes, const double *reference, size_t replicates, double *probability, double *volume, struct pb_error *err)
{
	const struct pb_normal_draws draws = { c->values, c->stderrs, c->n, 2, pb_rng_stream("volume") };
	enum pb_status st = pb_hypervolume(axes, c->values, c->n, reference, volume, err);
	return st == PB_OK ? pb_front_probability(axes, c->n, replicates, pb_draw_normal, &draws, probability, reference, c->volumes, err) : st;
}

/* Families in the order of their first points. */
static size_t families_of(const struct pb_front *front, const char **families)
{
	size_t n = 0;
	for (size_t i = 0; i < front->n_points; i++) {
		bool seen = false;
		for (size_t k = 0; k < n && !seen; k++)
			seen = strcmp(families[k], front->points[i].row->family) == 0;
		if (!seen)
			families[n++] = front->points[i].row->family;
	}
	return n;
}

static void add_volume_row(struct pb_section_table *table, const struct pb_front *front, const char *family, double volume, double all, double low, double high)
{
	size_t n = 0, members = 0;
	for (size_t i = 0; i < front->n_points; i++)
		if (!family || strcmp(front->points[i].row->family, family) == 0) {
			n++;
			members += front->points[i].on_front;
		}
	pb_table_text(table, "%s", family ? family : "all");
	pb_table_number(table, (double)n, "%zu", n);
	pb_table_number(table, (double)members, "%zu", members);
	pb_table_number(table, volume, "%.4g (%.4g to %.4g)", volume, low, high);
	if (all > 0.0)
		pb_table_number(table, volume / all, "%.1f %%", 100.0 * volume / all);
	else
		pb_table_number(table, NAN, "n/a");
}

static enum pb_status add_volumes(struct pb_section *section, const struct pb_front *front, struct pb_error *err)
{
	static const struct pb_section_column columns[] = {
		{ "family of methods", false, false }, { "points", true, false }, { "on the front", true, false }, { "volume", true, false }, { "share", true, false },
	};
	const struct pb_axes axes = { 2, { false, front->higher_is_better } };
	size_t n = front->n_points, replicates = pb_front_replicates(front);
	double *numbers = pb_arena_alloc(section->arena, 9 * n + 2 * replicates, sizeof *numbers);
	const char **families = pb_arena_alloc(section->arena, n, sizeof *families);
	if (!numbers || !families)
		return pb_out_of_memory(err, "a report");
	double *values = numbers, *stderrs = numbers + 2 * n, *probability = numbers + 8 * n, *scratch = numbers + 9 * n + replicates, reference[2] = { 0.0, front->points[0].value }, all = 0.0;
	struct cloud c = { numbers + 4 * n, numbers + 6 * n, 0, numbers + 9 * n };
	pb_front_draws(front, values, stderrs);
	for (size_t i = 0; i < n; i++) {
		reference[0] = isfinite(values[2 * i]) ? fmax(reference[0], values[2 * i]) : reference[0];
		reference[1] = front->higher_is_better ? fmin(reference[1], values[2 * i + 1]) : fmax(reference[1], values[2 * i + 1]);
	}
	if (isfinite(front->chance))
		reference[1] = front->chance;
	if (!(reference[0] > 0.0))
		return PB_OK;
	char size[32], value[64];
	pb_format_size(size, reference[0]);
	pb_front_format(front, reference[1], NAN, value);
	reference[0] = log2(reference[0]);
	pb_section_text(section, "Volume between the front and the reference (the largest size, %s; the %s, %s), size by log2: how much of sizes and values a family of methods reaches. "
		"Two reports can be compared when their references are the same.", size, isfinite(front->chance) ? "value of chance" : "worst value", value);
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	size_t n_families = families_of(front, families);
	for (size_t k = 0; k <= n_families && table; k++) {
		const char *family = k ? families[k - 1] : NULL;
		double volume, low, high;
		take_family(&c, front, values, stderrs, family);
		enum pb_status st = volume_of(&c, &axes, reference, replicates, probability, &volume, err);
		if (st != PB_OK)
			return st;
		all = k ? all : volume;
		pb_fit_percentiles(c.volumes, replicates, 1, scratch, &low, &high);
		add_volume_row(table, front, family, volume, all, low, high);
	}
	pb_section_note(section, "In brackets: 95 %% of as many draws of values as independent normals. A draw spreads the values, so its front is as a rule a little above that of the measured ones.");
	return PB_OK;
}

/* --- the chart --- */

static int compare_by(const void *pa, const void *pb)
{
	const double *a = pa, *b = pb;
	return (a[0] > b[0]) - (a[0] < b[0]);
}

/* As the chart shows it. */
static double shown(const struct pb_point *p, enum pb_by by)
{
	return by == PB_BY_SECONDS ? 1000.0 * p->by[by] : p->by[by];
}

static const char *shown_title(enum pb_by by)
{
	return by == PB_BY_SECONDS ? "milliseconds for an item" : pb_by_title(by);
}

/* The front as a line of steps, to the right edge of the points. */
static bool add_steps(struct pb_chart_series *s, const struct pb_front *front, enum pb_by by, double factor, struct pb_arena *arena)
{
	double (*places)[2] = pb_arena_alloc(arena, front->n_points, sizeof *places);
	double *numbers = pb_arena_alloc(arena, 4 * front->n_points + 2, sizeof *numbers), most = 0.0;
	size_t n = 0;
	if (!places || !numbers)
		return false;
	for (size_t i = 0; i < front->n_points; i++) {
		const struct pb_point *p = &front->points[i];
		if (isfinite(p->by[by]))
			most = fmax(most, shown(p, by));
		if (p->on[by]) {
			places[n][0] = shown(p, by);
			places[n++][1] = factor * p->value;
		}
	}
	qsort(places, n, sizeof *places, compare_by);
	double *x = numbers, *y = numbers + 2 * front->n_points + 1;
	for (size_t i = 0; i < n; i++) {
		x[s->n] = places[i][0];
		y[s->n++] = places[i][1];
		x[s->n] = i + 1 < n ? places[i + 1][0] : most;
		y[s->n++] = places[i][1];
	}
	*s = (struct pb_chart_series){ .name = "front", .no_name = true, .ink = PB_INK_FRONT, .n = s->n, .x = x, .y = y, .line = true, .width = 2.0 };
	return true;
}

static bool add_cloud(struct pb_chart_series *s, const struct pb_front *front, const char *family, enum pb_by by, double factor, struct pb_arena *arena)
{
	double *numbers = pb_arena_alloc(arena, 4 * front->n_points, sizeof *numbers);
	const char **tooltips = pb_arena_alloc(arena, front->n_points, sizeof *tooltips);
	const struct pb_family *drawn = &pb_families[pb_family_index(family)];
	size_t n = 0;
	if (!numbers || !tooltips)
		return false;
	double *x = numbers, *y = x + front->n_points, *low = y + front->n_points, *high = low + front->n_points;
	for (size_t i = 0; i < front->n_points; i++) {
		const struct pb_point *p = &front->points[i];
		char value[64];
		if (strcmp(p->row->family, family) != 0 || !isfinite(p->by[by]))
			continue;
		pb_front_format(front, p->value, p->stderr_value, value);
		x[n] = shown(p, by);
		y[n] = factor * p->value;
		low[n] = p->on[by] ? factor * p->low95 : NAN;
		high[n] = p->on[by] ? factor * p->high95 : NAN;
		tooltips[n] = pb_arena_printf(arena, "%s, %s\n%s\n%s %.4g", p->row->label, p->row->model, value, shown_title(by), shown(p, by));
		if (!tooltips[n++])
			return false;
	}
	*s = (struct pb_chart_series){ .name = family, .ink = drawn->ink, .shape = drawn->shape, .n = n, .x = x, .y = y, .low = low, .high = high, .tooltips = tooltips, .marks = true };
	return true;
}

static void add_chart(struct pb_section *section, const struct pb_front *front, enum pb_by by)
{
	static const enum pb_axis_kind kinds[PB_BYS] = { PB_AXIS_BYTES, PB_AXIS_LINEAR, PB_AXIS_BYTES, PB_AXIS_COUNT, PB_AXIS_LOG };
	struct pb_arena *arena = section->arena;
	double factor = pb_front_is_percent(front) ? 100.0 : 1.0;
	const char **families = pb_arena_alloc(arena, front->n_points, sizeof *families);
	size_t n = families ? families_of(front, families) : 0, with = 0;
	struct pb_chart_series *series = pb_arena_alloc(arena, n + 1, sizeof *series);
	const char *slug = pb_arena_printf(arena, "front-by-%s", pb_by_name(by));
	const char *title = pb_arena_printf(arena, "%s by %s", front->title, shown_title(by));
	const char *x_title = pb_arena_printf(arena, "%s%s", shown_title(by), by == PB_BY_BITS ? "" : ", log scale");
	const char *y_title = pb_arena_printf(arena, "%s%s (%s is better)", front->is_mean ? "accuracy" : front->metric, factor > 1.0 ? ", %" : "", front->higher_is_better ? "higher" : "lower");
	bool ok = families && series && slug && title && x_title && y_title && add_steps(&series[0], front, by, factor, arena);
	for (size_t k = 0; ok && k < n; k++)
		ok = add_cloud(&series[k + 1], front, families[k], by, factor, arena);
	for (size_t i = 0; i < front->n_points; i++)
		with += isfinite(front->points[i].by[by]);
	const char *note = pb_arena_printf(arena, "%zu of %zu points have this number.", with, front->n_points);
	if (!ok || !note) {
		section->failed = true;
		return;
	}
	const struct pb_section_chart chart = { .slug = slug, .note = note,
		.caption = by == PB_BY_SECONDS ? "Time of evaluation as it was measured in the run, with whatever ran beside it; intervals of 95 % for points on the front." :
			"The line of steps is the front; intervals of 95 % for points on it.",
		.chart = { .title = title, .x_title = x_title, .y_title = y_title, .description = title, .x_kind = kinds[by], .y_kind = pb_front_is_log(front) ? PB_AXIS_LOG : PB_AXIS_LINEAR,
			.series = series, .n_series = n + 1 } };
	pb_section_chart(section, &chart);
}

enum pb_status pb_front_section(struct pb_section *out, const struct pb_front *front, enum pb_by by, struct pb_arena *arena, struct pb_error *err)
{
	pb_section_init(out, arena, "sure", "How sure the front is");
	pb_section_text(out, "%s: points that are on the front by size, or would be with a probability of %g or more. The probability is the share of %zu draws in which no point dominates "
		"it. %s Sizes are exact.", front->title, LEAST_PROBABILITY, pb_front_replicates(front),
		front->by_items ? "A draw takes items with replacement, the same for all points, each task for itself, so differences between settings are paired." :
			"A draw takes the values of all points as independent normals from value and standard error: items that settings share are not taken together, so differences count as "
			"less sure than they are.");
	add_members(out, front);
	enum pb_status st = add_volumes(out, front, err);
	if (st == PB_OK && by != PB_BY_SIZE)
		add_chart(out, front, by);
	return st;
}
