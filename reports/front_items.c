/* How probable memberships of a front are when its points were measured on the same items: each replicate draws items, the same
 * for all points, so differences between settings keep their pairs. */
#include "reports/front.h"

#include <math.h>
#include <string.h>

#include "core/base/rng.h"
#include "reports/stats/dominance.h"
#include "reports/stats/statistics.h"

#define UNLIKELY 0.001          /* by independent errors: such points are left as they are, and rival nobody */

struct shared {
	struct pb_front *front;
	const struct pb_item_stores *stores;
	size_t *candidates, n;          /* points */
	const char **tasks;
	size_t n_tasks, replicates;
	double *draws, *means;          /* (n, replicates), (n): sums over the tasks so far, over their number */
	double *task_draws;             /* (replicates) */
};

static enum pb_status read_items(const struct shared *s, struct pb_arena *arena, const struct pb_row *row, const char *task, struct pb_stored_item **items, size_t *n,
	struct pb_error *err)
{
	enum pb_status st = PB_OK;
	*n = 0;
	for (size_t i = 0; i < s->stores->n && !*n && st == PB_OK; i++)
		st = pb_store_items(s->stores->stores[i], arena, row->cell, task, items, n, err);
	return st;
}

static bool same_items(const struct pb_stored_item *a, size_t n_a, const struct pb_stored_item *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (a[i].index != b[i].index || a[i].gold != b[i].gold || a[i].gold < 0)
			return false;
	return true;
}

/* Adds a task; *shared is false when the points do not have the same items of it. */
static enum pb_status add_task(struct shared *s, const char *task, struct pb_arena *arena, bool *shared, struct pb_error *err)
{
	struct pb_stored_item *first = NULL, *items = NULL;
	struct pb_resampling resampling = { 0 };
	size_t n_first = 0, n = 0;
	enum pb_status st = read_items(s, arena, s->front->points[s->candidates[0]].row, task, &first, &n_first, err);
	double *scores = pb_arena_alloc(arena, n_first, sizeof *scores);
	if (st == PB_OK && !scores)
		st = pb_out_of_memory(err, "fronts");
	*shared = n_first > 1;
	if (st == PB_OK && *shared)
		st = pb_resampling_make(&resampling, n_first, s->replicates, pb_rng_stream(task), err);
	for (size_t i = 0; i < s->n && st == PB_OK && *shared; i++) {
		st = read_items(s, arena, s->front->points[s->candidates[i]].row, task, &items, &n, err);
		*shared = st == PB_OK && same_items(first, n_first, items, n);
		if (!*shared)
			break;
		for (size_t k = 0; k < n; k++) {
			scores[k] = items[k].chosen == items[k].gold;
			s->means[i] += scores[k] / (double)n / (double)s->n_tasks;
		}
		st = pb_resampling_values(&resampling, &(struct pb_scores){ .sums = scores, .n = n }, s->task_draws, err);
		for (size_t r = 0; r < s->replicates && st == PB_OK; r++)
			s->draws[i * s->replicates + r] += s->task_draws[r] / (double)s->n_tasks;
	}
	pb_resampling_free(&resampling);
	return st;
}

/* The tasks of a point of a mean, or the front's one. */
static void take_tasks(struct shared *s, const struct pb_rows *rows)
{
	const struct pb_row *row = s->front->points[s->candidates[0]].row;
	if (!s->front->is_mean) {
		s->tasks[s->n_tasks++] = s->front->task;
		return;
	}
	for (size_t i = 0; i < rows->n && s->n_tasks < s->front->n_tasks; i++) {
		const struct pb_row *r = &rows->rows[i];
		if (r->status == PB_ROW_OK && strcmp(r->metric, "acc") == 0 && strcmp(r->cell, row->cell) == 0 && strcmp(r->run, row->run) == 0)
			s->tasks[s->n_tasks++] = r->task;
	}
}

static enum pb_status take_probabilities(struct shared *s, struct pb_arena *arena, struct pb_error *err)
{
	const struct pb_axes axes = { 2, { false, true } };
	double *values = pb_arena_alloc(arena, s->n, 2 * sizeof *values), *probability = pb_arena_alloc(arena, s->n, sizeof *probability);
	if (!values || !probability)
		return pb_out_of_memory(err, "fronts");
	for (size_t i = 0; i < s->n; i++) {
		const struct pb_point *p = &s->front->points[s->candidates[i]];
		if (!(fabs(s->means[i] - p->value) < 1e-9))
			return PB_OK; /* the value is not the mean of these items */
		values[2 * i] = pb_point_by(p, PB_BY_SIZE);
		values[2 * i + 1] = p->value;
	}
	const struct pb_made_draws made = { values, s->draws, s->n, s->replicates, 2, 1 };
	enum pb_status st = pb_front_probability(&axes, s->n, s->replicates, pb_draw_made, &made, probability, NULL, NULL, err);
	for (size_t i = 0; i < s->n && st == PB_OK; i++)
		s->front->points[s->candidates[i]].probability = probability[i];
	s->front->by_items = st == PB_OK;
	return st;
}

static enum pb_status prepare(struct shared *s, struct pb_arena *arena, const struct pb_rows *rows, struct pb_error *err)
{
	struct pb_front *front = s->front;
	s->candidates = pb_arena_alloc(arena, front->n_points, sizeof *s->candidates);
	s->tasks = pb_arena_alloc(arena, front->n_tasks + 1, sizeof *s->tasks);
	if (!s->candidates || !s->tasks)
		return pb_out_of_memory(err, "fronts");
	for (size_t i = 0; i < front->n_points; i++)
		if (isfinite(pb_point_by(&front->points[i], PB_BY_SIZE)) && (front->points[i].on_front || front->points[i].probability >= UNLIKELY))
			s->candidates[s->n++] = i;
	if (!s->n)
		return PB_OK;
	take_tasks(s, rows);
	s->draws = pb_arena_alloc(arena, s->n, s->replicates * sizeof *s->draws);
	s->means = pb_arena_alloc(arena, s->n, sizeof *s->means);
	s->task_draws = pb_arena_alloc(arena, s->replicates, sizeof *s->task_draws);
	return s->draws && s->means && s->task_draws ? PB_OK : pb_out_of_memory(err, "fronts");
}

enum pb_status pb_front_take_items(struct pb_front *front, const struct pb_rows *rows, const struct pb_item_stores *stores, struct pb_error *err)
{
	struct shared s = { .front = front, .stores = stores, .replicates = pb_front_replicates(front) };
	bool shared = true;
	if (strcmp(front->metric, "acc") != 0)
		return PB_OK;
	struct pb_arena *arena = pb_arena_new();
	enum pb_status st = arena ? prepare(&s, arena, rows, err) : pb_out_of_memory(err, "fronts");
	shared = s.n > 0 && s.n_tasks > 0;
	for (size_t t = 0; t < s.n_tasks && st == PB_OK && shared; t++) {
		struct pb_arena *own = pb_arena_new(); /* items of one task at a time */
		st = own ? add_task(&s, s.tasks[t], own, &shared, err) : pb_out_of_memory(err, "fronts");
		pb_arena_free(own);
	}
	if (st == PB_OK && shared)
		st = take_probabilities(&s, arena, err);
	pb_arena_free(arena);
	return st;
}
