#include "reports/groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/csv.h"
#include "core/base/json.h"
#include "reports/stats/fit.h"

/* --- the corner --- */

static double worse(bool higher_is_better, double a, double b)
{
	return higher_is_better ? fmin(a, b) : fmax(a, b);
}

static bool take_named(const json_t *object, const char *name, double least, double *out)
{
	const json_t *value = json_object_get(object, name);
	bool is_there = json_is_number(value) && json_number_value(value) > least;
	if (is_there)
		*out = json_number_value(value);
	return is_there;
}

enum pb_status pb_corner_make(struct pb_corner *out, const struct pb_tradeoff *t, const char *named, struct pb_error *err)
{
	const struct pb_front *front = t->goals[1].front;
	struct pb_corner c = { NAN, NAN, false, false };
	json_t *object = NULL;
	for (size_t i = 0; i < t->n; i++) {
		c.cost = fmax(c.cost, t->trades[i].at[0]);
		c.value = worse(front->higher_is_better, c.value, t->trades[i].at[1]);
	}
	if (isfinite(front->chance))
		c.value = front->chance;
	if (*named) {
		enum pb_status st = pb_json_parse(&object, "reference", named, strlen(named), err);
		if (st != PB_OK)
			return st;
		c.has_cost = take_named(object, pb_goal_name(&t->goals[0]), 0.0, &c.cost);
		c.has_value = take_named(object, front->metric, -INFINITY, &c.value);
		json_decref(object);
	}
	*out = c;
	return PB_OK;
}

/* --- groups --- */

/* What all parts need: the trades by log2 of the cost and the value. */
struct maker {
	const struct pb_tradeoff *t;
	struct pb_axes axes;
	double *values;                 /* (n, 2) */
	double corner[2];
	struct pb_arena *arena;
	struct pb_error *err;
};

static const char *name_of(const struct pb_tradeoff *t, size_t i, bool family)
{
	const struct pb_row *row = t->trades[i].point->row;
	return family ? row->family : row->quantizer;
}

/* Trades of a group, or of all for a name of NULL. */
static bool take_members(const struct maker *m, struct pb_group *g)
{
	g->places = pb_arena_alloc(m->arena, m->t->n, sizeof *g->places);
	for (size_t i = 0; g->places && i < m->t->n; i++)
		if (!g->name || strcmp(name_of(m->t, i, g->is_family), g->name) == 0) {
			g->places[g->n++] = i;
			g->n_on += m->t->trades[i].on;
		}
	return g->places != NULL;
}

static enum pb_status take_front(const struct maker *m, struct pb_group *g, double *values, enum pb_membership *members)
{
	for (size_t k = 0; k < g->n; k++)
		memcpy(values + 2 * k, m->values + 2 * g->places[k], 2 * sizeof *values);
	enum pb_status st = pb_front_members(&m->axes, values, g->n, members, m->err);
	if (st != PB_OK)
		return st;
	g->front = pb_arena_alloc(m->arena, g->n, sizeof *g->front);
	g->curve = pb_arena_alloc(m->arena, g->n, sizeof *g->curve);
	g->curve_x = pb_arena_alloc(m->arena, g->n, sizeof *g->curve_x);
	g->curve_y = pb_arena_alloc(m->arena, g->n, sizeof *g->curve_y);
	if (!g->front || !g->curve || !g->curve_x || !g->curve_y)
		return pb_out_of_memory(m->err, "a report");
	for (size_t k = 0; k < g->n; k++) {
		if (members[k] == PB_MEMBER_NO)
			continue;
		size_t at = g->n_front++;
		for (; at > 0 && m->values[2 * g->front[at - 1]] > values[2 * k]; at--)
			g->front[at] = g->front[at - 1];
		g->front[at] = g->places[k];
	}
	for (size_t k = 0; k < g->n_front; k++) {
		size_t i = g->front[k];
		if (g->n_curve && g->curve_x[g->n_curve - 1] == m->values[2 * i])
			continue; /* tied on the front: equal values */
		g->curve_x[g->n_curve] = m->values[2 * i];
		g->curve_y[g->n_curve] = m->values[2 * i + 1];
		g->curve[g->n_curve++] = i;
	}
	return PB_OK;
}

static enum pb_status take_volume(const struct maker *m, struct pb_group *g, double *values, double *draws, double *probability)
{
	size_t n_replicates = m->t->n_replicates;
	for (size_t k = 0; k < g->n; k++)
		memcpy(draws + k * n_replicates, m->t->draws[1] + g->places[k] * n_replicates, n_replicates * sizeof *draws);
	const struct pb_made_draws made = { values, { NULL, draws }, g->n, n_replicates, 2 };
	g->volumes = pb_arena_alloc(m->arena, n_replicates, sizeof *g->volumes);
	if (!g->volumes)
		return pb_out_of_memory(m->err, "a report");
	enum pb_status st = pb_hypervolume(&m->axes, values, g->n, m->corner, &g->volume, m->err);
	if (st == PB_OK)
		st = pb_front_probability(&m->axes, g->n, n_replicates, pb_draw_made, &made, probability, m->corner, g->volumes, m->err);
	if (st == PB_OK) /* the draws are not needed any more */
		pb_fit_percentiles(g->volumes, n_replicates, 1, draws, &g->volume_low, &g->volume_high);
	return st;
}

static enum pb_status make_group(const struct maker *m, struct pb_group *g)
{
	struct pb_arena *scratch = take_members(m, g) ? pb_arena_new() : NULL;
	double *values = scratch ? pb_arena_alloc(scratch, g->n, 3 * sizeof *values) : NULL;
	double *draws = scratch ? pb_arena_alloc(scratch, g->n, m->t->n_replicates * sizeof *draws) : NULL;
	enum pb_membership *members = scratch ? pb_arena_alloc(scratch, g->n, sizeof *members) : NULL;
	enum pb_status st = values && draws && members ? PB_OK : pb_out_of_memory(m->err, "a report");
	if (st == PB_OK)
		st = take_front(m, g, values, members);
	if (st == PB_OK)
		st = take_volume(m, g, values, draws, values + 2 * g->n);
	pb_arena_free(scratch);
	return st;
}

static enum pb_status make_groups(const struct maker *m, struct pb_groups *out)
{
	enum pb_status st = make_group(m, &out->all);
	out->groups = pb_arena_alloc(m->arena, 2 * m->t->n, sizeof *out->groups);
	if (!out->groups)
		return pb_out_of_memory(m->err, "a report");
	for (int family = 1; family >= 0; family--)
		for (size_t i = 0; i < m->t->n && st == PB_OK; i++) {
			bool seen = false;
			for (size_t k = 0; k < out->n && !seen; k++)
				seen = out->groups[k].is_family == (family == 1) && strcmp(out->groups[k].name, name_of(m->t, i, family == 1)) == 0;
			if (seen)
				continue;
			out->groups[out->n] = (struct pb_group){ .name = name_of(m->t, i, family == 1), .is_family = family == 1 };
			st = make_group(m, &out->groups[out->n++]);
		}
	return st;
}

/* --- pairs --- */

/* Costs by doublings and errors of a group's front; by logarithm, for factors, where all errors are positive. */
static bool take_errors(const struct maker *m, const struct pb_group *g, bool by_factors, double *out)
{
	const struct pb_front *front = m->t->goals[1].front;
	for (size_t k = 0; k < g->n_front; k++) {
		double value = m->values[2 * g->front[k] + 1], error = front->higher_is_better ? 1.0 - value : value;
		if (by_factors && (!(error > 0.0) || (front->higher_is_better && !pb_front_is_percent(front))))
			return false;
		out[2 * k] = m->values[2 * g->front[k]];
		out[2 * k + 1] = by_factors ? log2(error) : front->higher_is_better ? -value : value;
	}
	return true;
}

static enum pb_status add_epsilon(const struct maker *m, struct pb_group_pair *p)
{
	static const struct pb_axes less = { 2, { false, false } };
	double *a = pb_alloc(p->first->n_front, 2 * sizeof *a), *b = pb_alloc(p->second->n_front, 2 * sizeof *b);
	enum pb_status st = a && b ? PB_OK : pb_out_of_memory(m->err, "a report");
	size_t n_a = p->first->n_front, n_b = p->second->n_front;
	p->epsilon[0] = p->epsilon[1] = NAN;
	if (st == PB_OK && take_errors(m, p->first, true, a) && take_errors(m, p->second, true, b)) {
		p->epsilon[0] = exp2(pb_epsilon_indicator(&less, a, n_a, b, n_b));
		p->epsilon[1] = exp2(pb_epsilon_indicator(&less, b, n_b, a, n_a));
	}
	if (st == PB_OK && take_errors(m, p->first, false, a) && take_errors(m, p->second, false, b)) {
		p->additive[0] = pb_epsilon_indicator(&less, a, n_a, b, n_b);
		p->additive[1] = pb_epsilon_indicator(&less, b, n_b, a, n_a);
	}
	pb_free(b);
	pb_free(a);
	return st;
}

static size_t count_dominated(const struct maker *m, const struct pb_group *by, const struct pb_group *of)
{
	size_t n = 0;
	for (size_t k = 0; k < of->n_front; k++) {
		bool is_dominated = false;
		for (size_t i = 0; i < by->n_front && !is_dominated; i++)
			is_dominated = pb_dominates(&m->axes, m->values + 2 * by->front[i], m->values + 2 * of->front[k]);
		n += is_dominated;
	}
	return n;
}

static enum pb_status compare_volumes(const struct maker *m, struct pb_group_pair *p)
{
	size_t n = m->t->n_replicates, n_above = 0;
	double *differences = pb_alloc(n, 2 * sizeof *differences);
	if (!differences)
		return pb_out_of_memory(m->err, "a report");
	for (size_t r = 0; r < n; r++) {
		differences[r] = p->first->volumes[r] - p->second->volumes[r];
		n_above += differences[r] > 0.0;
	}
	p->volume = p->first->volume - p->second->volume;
	p->p_volume = (double)n_above / (double)n;
	pb_fit_percentiles(differences, n, 1, differences + n, &p->volume_low, &p->volume_high);
	pb_free(differences);
	return PB_OK;
}

static void draw_curve(const struct maker *m, const struct pb_group *g, size_t replicate, double *y)
{
	for (size_t k = 0; k < g->n_curve; k++)
		y[k] = m->t->draws[1][g->curve[k] * m->t->n_replicates + replicate];
}

static double cost_at(const struct maker *m, const struct pb_group *g, size_t k)
{
	return m->t->trades[g->curve[k]].at[0];
}

static enum pb_status compare_curves(const struct maker *m, struct pb_group_pair *p)
{
	const struct pb_group *a = p->first, *b = p->second;
	size_t n = m->t->n_replicates, n_above = 0;
	p->curve = pb_curve_compare(a->curve_x, a->curve_y, a->n_curve, b->curve_x, b->curve_y, b->n_curve);
	p->curve_low = p->curve_high = p->p_curve = p->curve_from = p->curve_to = NAN;
	if (!isfinite(p->curve.mean))
		return PB_OK;
	p->curve_from = fmax(cost_at(m, a, 0), cost_at(m, b, 0));
	p->curve_to = fmin(cost_at(m, a, a->n_curve - 1), cost_at(m, b, b->n_curve - 1));
	p->spans = pb_arena_alloc(m->arena, 2 * (a->n_curve + b->n_curve), sizeof *p->spans);
	double *means = pb_alloc(2 * n + a->n_curve + b->n_curve, sizeof *means);
	if (!p->spans || !means) {
		pb_free(means);
		return pb_out_of_memory(m->err, "a report");
	}
	p->n_spans = pb_curve_spans(a->curve_x, a->curve_y, a->n_curve, b->curve_x, b->curve_y, b->n_curve, p->spans);
	double *y_a = means + 2 * n, *y_b = y_a + a->n_curve;
	for (size_t r = 0; r < n; r++) {
		draw_curve(m, a, r, y_a);
		draw_curve(m, b, r, y_b);
		means[r] = pb_curve_compare(a->curve_x, y_a, a->n_curve, b->curve_x, y_b, b->n_curve).mean;
		n_above += means[r] > 0.0;
	}
	p->p_curve = (double)n_above / (double)n;
	pb_fit_percentiles(means, n, 1, means + n, &p->curve_low, &p->curve_high);
	pb_free(means);
	return PB_OK;
}

static enum pb_status make_pairs(const struct maker *m, struct pb_groups *out)
{
	enum pb_status st = PB_OK;
	out->pairs = pb_arena_alloc(m->arena, out->n * (out->n + 1) / 2, sizeof *out->pairs);
	if (!out->pairs)
		return pb_out_of_memory(m->err, "a report");
	for (size_t i = 0; i < out->n; i++)
		for (size_t k = i + 1; k < out->n && st == PB_OK; k++) {
			struct pb_group_pair *p = &out->pairs[out->n_pairs];
			if (out->groups[i].is_family != out->groups[k].is_family)
				continue;
			out->n_pairs++;
			p->first = &out->groups[i];
			p->second = &out->groups[k];
			p->dominated[0] = count_dominated(m, p->first, p->second);
			p->dominated[1] = count_dominated(m, p->second, p->first);
			st = add_epsilon(m, p);
			if (st == PB_OK)
				st = compare_volumes(m, p);
			if (st == PB_OK)
				st = compare_curves(m, p);
		}
	return st;
}

enum pb_status pb_groups_make(struct pb_groups *out, const struct pb_tradeoff *t, const struct pb_corner *corner, struct pb_arena *arena, struct pb_error *err)
{
	struct pb_groups groups = { .tradeoff = t, .corner = *corner };
	struct maker m = { t, t->axes, pb_arena_alloc(arena, t->n, 2 * sizeof *m.values), { log2(corner->cost), corner->value }, arena, err };
	if (!m.values)
		return pb_out_of_memory(err, "a report");
	for (size_t i = 0; i < t->n; i++) {
		m.values[2 * i] = log2(t->trades[i].at[0]);
		m.values[2 * i + 1] = t->trades[i].at[1];
	}
	enum pb_status st = make_groups(&m, &groups);
	if (st == PB_OK)
		st = make_pairs(&m, &groups);
	if (st == PB_OK)
		*out = groups;
	return st;
}

/* --- pairs.csv --- */

void pb_groups_csv(const struct pb_groups *g, bool with_header, struct pb_text *out)
{
	static const char *const names[] = { "axis", "value", "kind", "first", "second", "epsilon_first", "epsilon_second", "epsilon_additive_first", "epsilon_additive_second",
		"dominated_of_second", "front_of_second", "dominated_of_first", "front_of_first", "reference_axis", "reference_value", "volume_first", "volume_second", "volume_difference",
		"volume_low95", "volume_high95", "p_volume_larger", "curve_from", "curve_to", "curve_difference", "curve_low95", "curve_high95", "p_curve_above", "share_above" };
	for (size_t i = 0; with_header && i < sizeof names / sizeof *names; i++)
		pb_csv_text(out, names[i]);
	if (with_header)
		pb_csv_end(out);
	for (size_t i = 0; i < g->n_pairs; i++) {
		const struct pb_group_pair *p = &g->pairs[i];
		pb_csv_text(out, pb_goal_name(&g->tradeoff->goals[0]));
		pb_csv_text(out, pb_goal_name(&g->tradeoff->goals[1]));
		pb_csv_text(out, p->first->is_family ? "family" : "method");
		pb_csv_text(out, p->first->name);
		pb_csv_text(out, p->second->name);
		pb_csv_number(out, p->epsilon[0]);
		pb_csv_number(out, p->epsilon[1]);
		pb_csv_number(out, p->additive[0]);
		pb_csv_number(out, p->additive[1]);
		pb_csv_integer(out, (long long)p->dominated[0]);
		pb_csv_integer(out, (long long)p->second->n_front);
		pb_csv_integer(out, (long long)p->dominated[1]);
		pb_csv_integer(out, (long long)p->first->n_front);
		pb_csv_number(out, g->corner.cost);
		pb_csv_number(out, g->corner.value);
		pb_csv_number(out, p->first->volume);
		pb_csv_number(out, p->second->volume);
		pb_csv_number(out, p->volume);
		pb_csv_number(out, p->volume_low);
		pb_csv_number(out, p->volume_high);
		pb_csv_number(out, p->p_volume);
		pb_csv_number(out, p->curve_from);
		pb_csv_number(out, p->curve_to);
		pb_csv_number(out, p->curve.mean);
		pb_csv_number(out, p->curve_low);
		pb_csv_number(out, p->curve_high);
		pb_csv_number(out, p->p_curve);
		pb_csv_number(out, p->curve.share_above);
		pb_csv_end(out);
	}
}
