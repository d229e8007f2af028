#include "reports/front_section.h"

#include <math.h>
#include <stdlib.h>

#define LEAST_PROBABILITY 0.05
#define MOST_ROWS 60

static int compare_members(const void *pa, const void *pb)
{
	const struct pb_point *a = *(const struct pb_point *const *)pa, *b = *(const struct pb_point *const *)pb;
	if (a->on_front != b->on_front)
		return b->on_front - a->on_front;
	if (a->probability[PB_BY_SIZE] != b->probability[PB_BY_SIZE])
		return a->probability[PB_BY_SIZE] < b->probability[PB_BY_SIZE] ? 1 : -1;
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
		{ "Model", false, false }, { "Setting", false, true }, { "Size", true, false }, { "Value", true, false }, { "On the front", false, false }, { "Probability", true, false },
		{ "Also on the front by", false, false },
	};
	const struct pb_point **points = pb_arena_alloc(section->arena, front->n_points, sizeof *points);
	size_t n = 0;
	if (!points) {
		section->failed = true;
		return;
	}
	for (size_t i = 0; i < front->n_points; i++)
		if (front->points[i].on_front || front->points[i].probability[PB_BY_SIZE] >= LEAST_PROBABILITY)
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
		if (isfinite(p->probability[PB_BY_SIZE]))
			pb_table_number(table, p->probability[PB_BY_SIZE], "%.2f", p->probability[PB_BY_SIZE]);
		else
			pb_table_number(table, NAN, "n/a");
		put_others(table, p);
	}
}

void pb_front_section(struct pb_section *out, const struct pb_front *front, const struct pb_draws *draws, struct pb_arena *arena)
{
	pb_section_init(out, arena, "sure", "How sure the front is");
	pb_section_text(out, "%s: points that are on the front by size, or would be with a probability of %g or more. The probability is the share of %zu draws in which no point dominates "
		"it. %s Sizes are exact.", front->title, LEAST_PROBABILITY, draws->n_replicates,
		!draws->by_items ? "A draw takes the values of all points as independent normals from value and standard error: items that settings share are not taken together, so differences count as "
			"less sure than they are." :
		draws->by_clusters ? "A draw takes items with replacement, those of one passage together, the same for all points, each task for itself, so differences between settings are paired." :
			"A draw takes items with replacement, the same for all points, each task for itself, so differences between settings are paired.");
	if (front->within_models)
		pb_section_text(out, "Values are against each model's own full precision: no point of one model dominates one of another. Fronts by other axes and volumes are made where there "
			"is one model.");
	add_members(out, front);
}
