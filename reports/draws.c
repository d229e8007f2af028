#include "reports/draws.h"

#include <math.h>
#include <string.h>

#include "core/base/rng.h"
#include "reports/items.h"
#include "reports/stats/dominance.h"
#include "reports/stats/statistics.h"

#define MANY_POINTS 500         /* of more, those that are surely dominated are not drawn */
#define SURE 5.0                /* standard errors of a difference, as of independent values */

struct shared {
	struct pb_draws *draws;
	const struct pb_front *front;
	const struct pb_item_stores *stores;
	enum pb_score score;
	const size_t *places;           /* of the points that are drawn */
	size_t n;
	const char **tasks;
	double *weights;                /* of the tasks in the value */
	size_t n_tasks;
	double *means;                  /* (n): sums over the tasks so far, over their number */
	double *task_draws;             /* (n_replicates) */
	bool ok;                        /* so far all points have the same items */
};

/* --- which points --- */

/* q is at most p in every cost that q has, of the same family, and better by so many errors that no draw turns that around. */
static bool surely_dominates(const struct pb_front *front, const struct pb_point *q, const struct pb_point *p)
{
	/* The pairs are many: what rules most of them out comes first, and there is no root. */
	const double better = front->higher_is_better ? q->value - p->value : p->value - q->value;
	const double variance = p->stderr_value * p->stderr_value + q->stderr_value * q->stderr_value;
	if (!(better > 0.0) || (isfinite(p->by[PB_BY_BITS]) && !(q->by[PB_BY_BITS] <= p->by[PB_BY_BITS]) && !pb_point_is_claimed(p)))
		return false;
	if (front->within_models && strcmp(p->row->model, q->row->model) != 0)
		return false;
	if (!(variance > 0.0 && better * better > SURE * SURE * variance) || strcmp(p->row->family, q->row->family) != 0 || strcmp(p->row->quantizer, q->row->quantizer) != 0)
		return false;
	for (enum pb_by by = 0; by < PB_BYS; by++)
		if (isfinite(pb_point_by(p, by)) && !(pb_point_by(q, by) <= pb_point_by(p, by)))
			return false;
	return true;
}

static size_t choose_places(const struct pb_front *front, size_t *places)
{
	size_t n = 0;
	for (size_t i = 0; i < front->n_points; i++) {
		bool is_drawn = true;
		for (size_t k = 0; front->n_points > MANY_POINTS && k < front->n_points && is_drawn; k++)
			is_drawn = !surely_dominates(front, &front->points[k], &front->points[i]);
		if (is_drawn)
			places[n++] = i;
	}
	return n;
}

/* --- items --- */

static enum pb_status read_items(const struct shared *s, struct pb_arena *arena, size_t place, const char *task, struct pb_stored_item **items, size_t *n, struct pb_error *err)
{
	enum pb_status st = PB_OK;
	*n = 0;
	for (size_t i = 0; i < s->stores->n && !*n && st == PB_OK; i++)
		st = pb_store_items(s->stores->stores[i], arena, s->front->points[place].row->cell, task, items, n, err);
	return st;
}

static bool same_items(enum pb_score score, const struct pb_stored_item *a, size_t n_a, const struct pb_stored_item *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (a[i].index != b[i].index || a[i].gold != b[i].gold || a[i].cluster != b[i].cluster || (pb_score_is_by_tokens(score) && a[i].weight != b[i].weight))
			return false;
	return true;
}

/* A part of a task that is drawn for itself. */
struct stratum {
	size_t first, n;
	double *weights;
	const uint32_t *clusters;
	struct pb_resampling resampling;
};

static enum pb_status make_stratum(struct shared *s, struct stratum *t, const struct pb_stored_item *items, const char *task, struct pb_arena *arena, struct pb_error *err)
{
	uint32_t *places = pb_arena_alloc(arena, t->n, sizeof *places);
	size_t n_units = t->n;
	t->weights = pb_score_is_by_tokens(s->score) ? pb_arena_alloc(arena, t->n, sizeof *t->weights) : NULL;
	if (!places || (pb_score_is_by_tokens(s->score) && !t->weights))
		return pb_out_of_memory(err, "fronts");
	for (size_t i = 0; t->weights && i < t->n; i++)
		t->weights[i] = pb_item_weight(&items[t->first + i], s->score, t->n);
	t->clusters = pb_item_clusters(items + t->first, t->n, places);
	if (t->clusters) {
		bool *seen = pb_arena_alloc(arena, t->n, sizeof *seen);
		if (!seen)
			return pb_out_of_memory(err, "fronts");
		n_units = 0;
		for (size_t i = 0; i < t->n; i++) {
			n_units += !seen[t->clusters[i]];
			seen[t->clusters[i]] = true;
		}
		s->draws->by_clusters = true;
	}
	return pb_resampling_make(&t->resampling, n_units, s->draws->n_replicates, pb_rng_stream(task) + items[t->first].index / PB_SUBTASK_STRIDE, err);
}

/* Bits are the sum over items, all else a mean. */
static double from_mean(const struct shared *s, double mean, size_t n)
{
	return s->score == PB_SCORE_BITS ? mean * (double)n : mean;
}

/* The draws of one point on one task. share: of the task in the value. */
static enum pb_status draw_point(struct shared *s, size_t i, const struct stratum *strata, size_t n_strata, const struct pb_stored_item *items, double *scores, double share,
	struct pb_error *err)
{
	double *row = s->draws->values + s->places[i] * s->draws->n_replicates;
	for (size_t k = 0; k < n_strata; k++) {
		const struct stratum *t = &strata[k];
		const struct pb_scores all = { scores, t->weights, t->clusters, t->n };
		double sum = 0.0, weight = 0.0;
		for (size_t j = 0; j < t->n; j++) {
			scores[j] = pb_item_score(&items[t->first + j], s->score);
			sum += scores[j];
			weight += t->weights ? t->weights[j] : 1.0;
		}
		s->means[i] += share / (double)n_strata * from_mean(s, sum / weight, t->n);
		enum pb_status st = pb_resampling_values(&t->resampling, &all, s->task_draws, err);
		if (st != PB_OK)
			return st;
		for (size_t r = 0; r < s->draws->n_replicates; r++)
			row[r] += share / (double)n_strata * from_mean(s, s->task_draws[r], t->n);
	}
	return PB_OK;
}

static enum pb_status draw_task(struct shared *s, const char *task, double share, struct pb_arena *arena, struct pb_error *err)
{
	struct pb_stored_item *first = NULL, *items = NULL;
	struct stratum *strata = NULL;
	size_t n_first = 0, n = 0, n_strata = 0;
	double *scores = NULL;
	enum pb_status st = read_items(s, arena, s->places[0], task, &first, &n_first, err);
	if (st != PB_OK || n_first < 2) {
		s->ok = false;
		return st;
	}
	strata = pb_arena_alloc(arena, n_first, sizeof *strata);
	scores = pb_arena_alloc(arena, n_first, sizeof *scores);
	if (!strata || !scores)
		return pb_out_of_memory(err, "fronts");
	bool by_subtasks = (s->score == PB_SCORE_RIGHT || s->score == PB_SCORE_RIGHT_NORM) && pb_items_have_subtasks(first, n_first);
	for (size_t i = 0; i < n_first && st == PB_OK; i += strata[n_strata++].n) {
		strata[n_strata] = (struct stratum){ .first = i, .n = by_subtasks ? pb_items_of_subtask(first + i, n_first - i) : n_first };
		st = make_stratum(s, &strata[n_strata], first, task, arena, err);
	}
	for (size_t i = 0; i < s->n && st == PB_OK && s->ok; i++) {
		struct pb_arena *own = pb_arena_new(); /* items of one point at a time */
		st = own ? read_items(s, own, s->places[i], task, &items, &n, err) : pb_out_of_memory(err, "fronts");
		s->ok = st == PB_OK && same_items(s->score, first, n_first, items, n);
		if (s->ok)
			st = draw_point(s, i, strata, n_strata, items, scores, share, err);
		pb_arena_free(own);
	}
	for (size_t k = 0; k < n_strata; k++)
		pb_resampling_free(&strata[k].resampling);
	return st;
}

/* The tasks of a point of a mean, or the front's one. */
static void take_tasks(struct shared *s, const struct pb_rows *rows)
{
	const struct pb_row *row = s->front->points[s->places[0]].row;
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

/* A perplexity is the exponential of a mean loss. Whether the values are those that the items make. */
static bool finish_items(struct shared *s)
{
	bool is_perplexity = strncmp(s->front->metric, "ppl", 3) == 0;
	for (size_t i = 0; i < s->n; i++) {
		double *row = s->draws->values + s->places[i] * s->draws->n_replicates, value = s->front->points[s->places[i]].value;
		double mean = is_perplexity ? exp(s->means[i]) : s->means[i];
		if (!(fabs(mean - value) <= 1e-9 * fmax(1.0, fabs(value))))
			return false;
		for (size_t r = 0; is_perplexity && r < s->draws->n_replicates; r++)
			row[r] = exp(row[r]);
	}
	return true;
}

static enum pb_status draw_items(struct shared *s, const struct pb_rows *rows, struct pb_arena *arena, struct pb_error *err)
{
	enum pb_status st = PB_OK;
	s->tasks = pb_arena_alloc(arena, s->front->n_tasks + 1, sizeof *s->tasks);
	s->weights = pb_arena_alloc(arena, s->front->n_tasks + 1, sizeof *s->weights);
	s->means = pb_arena_alloc(arena, s->n, sizeof *s->means);
	s->task_draws = pb_arena_alloc(arena, s->draws->n_replicates, sizeof *s->task_draws);
	if (!s->tasks || !s->weights || !s->means || !s->task_draws)
		return pb_out_of_memory(err, "fronts");
	for (size_t i = 0; i < s->n; i++)
		memset(s->draws->values + s->places[i] * s->draws->n_replicates, 0, s->draws->n_replicates * sizeof *s->draws->values);
	take_tasks(s, rows);
	const size_t n_counted = pb_task_weights(s->tasks, s->n_tasks, s->weights);
	s->ok = s->n_tasks > 0;
	for (size_t t = 0; t < s->n_tasks && st == PB_OK && s->ok; t++) {
		struct pb_arena *own = pb_arena_new();
		st = own ? draw_task(s, s->tasks[t], s->weights[t] / (double)n_counted, own, err) : pb_out_of_memory(err, "fronts");
		pb_arena_free(own);
	}
	s->ok = s->ok && st == PB_OK && finish_items(s);
	return st;
}

/* --- values --- */

static void draw_values(struct shared *s)
{
	const uint64_t seed = pb_rng_stream("front");
	for (size_t i = 0; i < s->n; i++) {
		const struct pb_point *p = &s->front->points[s->places[i]];
		double *row = s->draws->values + s->places[i] * s->draws->n_replicates;
		struct pb_rng rng = pb_rng_make(seed, s->places[i]);
		for (size_t r = 0; r < s->draws->n_replicates; r++)
			row[r] = p->stderr_value > 0.0 ? p->value + p->stderr_value * pb_rng_normal(&rng) : p->value;
	}
}

enum pb_status pb_draws_make_of(struct pb_draws *out, const struct pb_front *front, const size_t *places, size_t n, const struct pb_rows *rows,
	const struct pb_item_stores *stores, struct pb_arena *arena, struct pb_error *err)
{
	struct pb_draws draws = { .front = front, .n_replicates = pb_front_replicates(front) };
	struct shared s = { .draws = &draws, .front = front, .stores = stores, .score = pb_score_of(front->metric), .places = places, .n = n };
	struct pb_arena *scratch = pb_arena_new();
	enum pb_status st = PB_OK;
	draws.values = pb_arena_alloc(arena, front->n_points, draws.n_replicates * sizeof *draws.values);
	if (!draws.values || !scratch) {
		pb_arena_free(scratch);
		return pb_out_of_memory(err, "fronts");
	}
	for (size_t i = 0; i < front->n_points; i++)
		for (size_t r = 0; r < draws.n_replicates; r++)
			draws.values[i * draws.n_replicates + r] = front->points[i].value;
	if (stores && s.n && s.score != PB_SCORE_NONE)
		st = draw_items(&s, rows, scratch, err);
	draws.by_items = s.ok;
	draws.by_clusters = s.ok && draws.by_clusters;
	if (!s.ok)
		draw_values(&s);
	pb_arena_free(scratch);
	if (st == PB_OK)
		*out = draws;
	return st;
}

enum pb_status pb_draws_make(struct pb_draws *out, const struct pb_front *front, const struct pb_rows *rows, const struct pb_item_stores *stores,
	struct pb_arena *arena, struct pb_error *err)
{
	size_t *places = pb_alloc(front->n_points, sizeof *places);
	enum pb_status st = places ? pb_draws_make_of(out, front, places, choose_places(front, places), rows, stores, arena, err) : pb_out_of_memory(err, "fronts");
	pb_free(places);
	return st;
}

struct taking {
	const struct pb_draws *draws;
	bool by_all;
};

static enum pb_status take_draws_of_model(void *arg, struct pb_front *own, const size_t *places, struct pb_error *err)
{
	const struct taking *t = arg;
	size_t n = t->draws->n_replicates;
	struct pb_draws draws = *t->draws;
	draws.front = own;
	draws.values = pb_alloc(own->n_points, n * sizeof *draws.values);
	if (!draws.values)
		return pb_out_of_memory(err, "fronts");
	for (size_t i = 0; i < own->n_points; i++)
		memcpy(draws.values + i * n, t->draws->values + places[i] * n, n * sizeof *draws.values);
	enum pb_status st = pb_front_take_draws(own, &draws, t->by_all, err);
	pb_free(draws.values);
	return st;
}

enum pb_status pb_front_take_draws(struct pb_front *front, const struct pb_draws *draws, bool by_all, struct pb_error *err)
{
	front->by_items = draws->by_items;
	if (front->within_models)
		return pb_front_each_model(front, take_draws_of_model, &(struct taking){ draws, by_all }, err);
	const struct pb_axes axes = { 2, { false, front->higher_is_better } };
	double *values = pb_alloc(front->n_points, 2 * sizeof *values), *probability = pb_alloc(front->n_points, sizeof *probability);
	enum pb_status st = values && probability ? PB_OK : pb_out_of_memory(err, "fronts");
	for (enum pb_by by = PB_BY_SIZE; by < (by_all ? PB_BYS : PB_BY_SIZE + 1) && st == PB_OK; by++) {
		for (size_t i = 0; i < front->n_points; i++) {
			values[2 * i] = pb_point_by(&front->points[i], by);
			values[2 * i + 1] = front->points[i].value;
		}
		const struct pb_made_draws made = { values, { NULL, draws->values }, front->n_points, draws->n_replicates, 2 };
		st = pb_front_probability(&axes, front->n_points, draws->n_replicates, pb_draw_made, &made, probability, NULL, NULL, err);
		for (size_t i = 0; i < front->n_points && st == PB_OK; i++)
			front->points[i].probability[by] = isfinite(values[2 * i]) && (draws->by_items || isfinite(front->points[i].stderr_value)) ? probability[i] : NAN;
	}
	pb_free(probability);
	pb_free(values);
	return st;
}
