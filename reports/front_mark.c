/* Which points of a front are on it, by each axis, and how sure that is. */
#include "reports/front.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/rng.h"
#include "reports/stats/dominance.h"

#define SURE 5.0                /* standard errors of a difference */

bool pb_point_is_claimed(const struct pb_point *point)
{
	return strcmp(point->row->size_convention, "claimed") == 0;
}

static enum pb_separated separated(const struct pb_point *p, const struct pb_point *smaller)
{
	if (!isfinite(p->stderr_value) || !isfinite(smaller->stderr_value))
		return PB_SEPARATED_UNKNOWN;
	double spread = sqrt(p->stderr_value * p->stderr_value + smaller->stderr_value * smaller->stderr_value);
	return fabs(p->value - smaller->value) > PB_Z95 * spread ? PB_SEPARATED_YES : PB_SEPARATED_NO;
}

/* Front points are compared with the best of the strictly smaller ones; points are sorted by size. */
static void mark_separated(struct pb_front *front)
{
	const struct pb_point *best = NULL, *best_of_size = NULL;
	for (size_t i = 0; i < front->n_points; i++) {
		struct pb_point *p = &front->points[i];
		if (best_of_size && best_of_size->bytes < p->bytes)
			best = best_of_size;
		if (!p->on_front)
			continue;
		p->separated = best ? separated(p, best) : PB_SEPARATED_UNKNOWN;
		best_of_size = p;
	}
}

const char *pb_by_name(enum pb_by by)
{
	static const char *const names[PB_BYS] = { "size", "bits", "paper", "weights", "params", "seconds", "energy" };
	return names[by];
}

const char *pb_by_title(enum pb_by by)
{
	static const char *const titles[PB_BYS] = { "model size", "effective bits", "size by the rule of the method's paper", "size of the quantized weights",
		"parameters", "seconds for an item", "joules for an item" };
	return titles[by];
}

/* What the front is marked by. A size that is only claimed is no rival to counted ones. */
double pb_point_by(const struct pb_point *p, enum pb_by by)
{
	return (by == PB_BY_SIZE || by == PB_BY_BITS || by == PB_BY_WEIGHTS) && pb_point_is_claimed(p) ? NAN : p->by[by];
}

static enum pb_status mark_front(struct pb_front *front, struct pb_error *err)
{
	const struct pb_axes axes = { 2, { false, front->higher_is_better } };
	double *values = pb_alloc(front->n_points, 2 * sizeof *values);
	enum pb_membership *members = pb_alloc(front->n_points, sizeof *members);
	enum pb_status st = values && members ? PB_OK : pb_out_of_memory(err, "fronts");
	for (enum pb_by by = 0; by < PB_BYS && st == PB_OK; by++) {
		for (size_t i = 0; i < front->n_points; i++) {
			values[2 * i] = pb_point_by(&front->points[i], by);
			values[2 * i + 1] = front->points[i].value;
		}
		st = pb_front_members(&axes, values, front->n_points, members, err);
		for (size_t i = 0; i < front->n_points && st == PB_OK; i++)
			front->points[i].on[by] = members[i] != PB_MEMBER_NO;
	}
	for (size_t i = 0; i < front->n_points && st == PB_OK; i++)
		front->points[i].on_front = front->points[i].on[PB_BY_SIZE];
	if (st == PB_OK)
		mark_separated(front);
	pb_free(members);
	pb_free(values);
	return st;
}

static int compare_models(const void *pa, const void *pb)
{
	const struct pb_point *a = *(struct pb_point *const *)pa, *b = *(struct pb_point *const *)pb;
	int c = strcmp(a->row->model, b->row->model);
	return c ? c : (a > b) - (a < b);
}

/* By effective bits, each model for itself: more bits of a small model are no rival to few bits of a large one. */
static enum pb_status mark_bits_front(struct pb_front *front, struct pb_error *err)
{
	const struct pb_axes axes = { 2, { false, front->higher_is_better } };
	struct pb_point **points = pb_alloc(front->n_points, sizeof *points);
	double *values = pb_alloc(front->n_points, 2 * sizeof *values);
	enum pb_membership *members = pb_alloc(front->n_points, sizeof *members);
	enum pb_status st = points && values && members ? PB_OK : pb_out_of_memory(err, "fronts");
	for (size_t i = 0; i < front->n_points && st == PB_OK; i++)
		points[i] = &front->points[i];
	if (front->n_points > 1 && st == PB_OK)
		qsort(points, front->n_points, sizeof *points, compare_models);
	for (size_t i = 0, n; i < front->n_points && st == PB_OK; i += n) {
		for (n = 0; i + n < front->n_points && strcmp(points[i + n]->row->model, points[i]->row->model) == 0; n++) {
			values[2 * n] = pb_point_by(points[i + n], PB_BY_BITS);
			values[2 * n + 1] = points[i + n]->value;
		}
		st = pb_front_members(&axes, values, n, members, err);
		for (size_t k = 0; k < n && st == PB_OK; k++)
			points[i + k]->on_bits_front = members[k] != PB_MEMBER_NO;
	}
	pb_free(members);
	pb_free(values);
	pb_free(points);
	return st;
}

enum pb_status pb_front_each_model(struct pb_front *front, enum pb_status (*fn)(void *arg, struct pb_front *own, const size_t *places, struct pb_error *err), void *arg,
	struct pb_error *err)
{
	struct pb_front own = *front;
	struct pb_point **points = pb_alloc(front->n_points, sizeof *points);
	size_t *places = pb_alloc(front->n_points, sizeof *places);
	enum pb_status st;
	own.within_models = false;
	own.points = pb_alloc(front->n_points, sizeof *own.points);
	st = points && places && own.points ? PB_OK : pb_out_of_memory(err, "fronts");
	for (size_t i = 0; i < front->n_points && st == PB_OK; i++)
		points[i] = &front->points[i];
	if (front->n_points > 1 && st == PB_OK)
		qsort(points, front->n_points, sizeof *points, compare_models);
	for (size_t i = 0; i < front->n_points && st == PB_OK; i += own.n_points) {
		for (own.n_points = 0; i + own.n_points < front->n_points && strcmp(points[i + own.n_points]->row->model, points[i]->row->model) == 0; own.n_points++) {
			own.points[own.n_points] = *points[i + own.n_points];
			places[own.n_points] = (size_t)(points[i + own.n_points] - front->points);
		}
		st = fn(arg, &own, places, err);
		for (size_t k = 0; k < own.n_points && st == PB_OK; k++)
			*points[i + k] = own.points[k];
	}
	pb_free(own.points);
	pb_free(places);
	pb_free(points);
	return st;
}

size_t pb_front_replicates(const struct pb_front *front)
{
	return front->n_points <= 500 ? 1000 : 200;
}

static void take_values(const struct pb_front *front, double *values, double *stderrs)
{
	for (size_t i = 0; i < front->n_points; i++) {
		const struct pb_point *p = &front->points[i];
		values[2 * i] = pb_point_by(p, PB_BY_SIZE);
		values[2 * i + 1] = p->value;
		stderrs[2 * i] = 0.0;
		stderrs[2 * i + 1] = isfinite(p->stderr_value) ? p->stderr_value : 0.0;
	}
}

/* Whether a point of the front is better by so many standard errors that the other one is on no front that is drawn; what such a
 * point dominates is dominated by that one, too. */
static bool surely_dominated(const struct pb_front *front, const struct pb_axes *axes, const double *values, const double *stderrs, size_t i)
{
	for (size_t k = 0; k < front->n_points; k++) {
		if (front->points[k].on_front) {
			double lead = SURE * hypot(stderrs[2 * k + 1], stderrs[2 * i + 1]);
			if (k != i && lead > 0.0 && pb_dominates_within(axes, values + 2 * k, values + 2 * i, (double[]){ 0.0, -lead }))
				return true;
		}
	}
	return false;
}

static enum pb_status draw_values_of_model(void *arg, struct pb_front *own, const size_t *places, struct pb_error *err)
{
	(void)arg;
	(void)places;
	return pb_front_draw_values(own, err);
}

/* A point without an error is taken as exact. */
enum pb_status pb_front_draw_values(struct pb_front *front, struct pb_error *err)
{
	if (front->within_models)
		return pb_front_each_model(front, draw_values_of_model, NULL, err);
	const struct pb_axes axes = { 2, { false, front->higher_is_better } };
	double *values = pb_alloc(front->n_points, 2 * sizeof *values), *stderrs = pb_alloc(front->n_points, 2 * sizeof *stderrs);
	double *probability = pb_alloc(front->n_points, sizeof *probability);
	size_t *places = pb_alloc(front->n_points, sizeof *places), n = 0;
	enum pb_status st = values && stderrs && probability && places ? PB_OK : pb_out_of_memory(err, "fronts");
	if (st == PB_OK)
		take_values(front, values, stderrs);
	for (size_t i = 0; i < front->n_points && st == PB_OK; i++) {
		front->points[i].probability[PB_BY_SIZE] = isfinite(front->points[i].stderr_value) && isfinite(values[2 * i]) ? 0.0 : NAN;
		if (!surely_dominated(front, &axes, values, stderrs, i))
			places[n++] = i;
	}
	for (size_t i = 0; i < n && st == PB_OK; i++) {
		memmove(values + 2 * i, values + 2 * places[i], 2 * sizeof *values);
		memmove(stderrs + 2 * i, stderrs + 2 * places[i], 2 * sizeof *stderrs);
	}
	if (st == PB_OK) {
		const struct pb_normal_draws draws = { values, stderrs, n, 2, pb_rng_stream("front") };
		st = pb_front_probability(&axes, n, pb_front_replicates(front), pb_draw_normal, &draws, probability, NULL, NULL, err);
	}
	for (size_t i = 0; i < n && st == PB_OK; i++)
		if (!isnan(front->points[places[i]].probability[PB_BY_SIZE]))
			front->points[places[i]].probability[PB_BY_SIZE] = probability[i];
	pb_free(places);
	pb_free(probability);
	pb_free(stderrs);
	pb_free(values);
	return st;
}

static enum pb_status mark_model(void *arg, struct pb_front *own, const size_t *places, struct pb_error *err)
{
	(void)arg;
	(void)places;
	return pb_front_mark(own, err);
}

enum pb_status pb_front_mark(struct pb_front *front, struct pb_error *err)
{
	if (front->within_models)
		return pb_front_each_model(front, mark_model, NULL, err);
	for (size_t i = 0; i < front->n_points; i++)
		for (enum pb_by by = 0; by < PB_BYS; by++)
			front->points[i].probability[by] = NAN;
	enum pb_status st = mark_front(front, err);
	return st == PB_OK ? mark_bits_front(front, err) : st;
}
