#include "reports/regressions.h"

#include <stdlib.h>
#include <string.h>

const char *pb_regression_state_name(enum pb_regression_state state)
{
	static const char *const names[PB_REGRESSION_STATES] = { "confirmed", "suspected", "gone" };

	return (unsigned)state < PB_REGRESSION_STATES ? names[state] : "unknown";
}

static enum pb_seen seen_of(enum pb_change change)
{
	switch (change) {
	case PB_CHANGE_WORSE:
	case PB_CHANGE_FAILED:
		return PB_SEEN_WORSE;
	case PB_CHANGE_BETTER:
	case PB_CHANGE_NOISE:
		return PB_SEEN_NOT;
	default:
		return PB_SEEN_UNMEASURED;
	}
}

static const struct pb_compared_mean *find_mean(const struct pb_comparison *c, const struct pb_row *setting)
{
	for (size_t i = 0; i < c->n_means; i++)
		if (pb_compare_settings(c->means[i].base, setting) == 0)
			return &c->means[i];
	return NULL;
}

/* What a comparison says of an entry or, without one, of the mean of the setting. */
static enum pb_seen look(const struct pb_comparison *c, const struct pb_row *row, bool is_mean)
{
	const struct pb_compared *e = is_mean ? NULL : pb_compare_find(c, row);
	const struct pb_compared_mean *m = is_mean ? find_mean(c, row) : NULL;

	return e ? seen_of(e->change) : m ? seen_of(m->change) : PB_SEEN_UNMEASURED;
}

/* What has been seen of a row over all runs; nothing, when an earlier run than `k` saw it: then it is in the list. */
static enum pb_status add(struct pb_regressions *r, struct pb_arena *arena, const struct pb_comparison *comparisons, size_t k, const struct pb_row *row, bool is_mean,
	struct pb_error *err)
{
	struct pb_regression *x = &r->list[r->n];
	bool running = false;

	for (size_t i = 1; i < k; i++)
		if (look(&comparisons[i], row, is_mean) == PB_SEEN_WORSE)
			return PB_OK;
	*x = (struct pb_regression){ .base = row, .state = PB_REGRESSION_GONE, .seen = pb_arena_alloc(arena, r->n_runs, sizeof(*x->seen)) };
	if (!x->seen)
		return pb_out_of_memory(err, "regressions");
	x->seen[0] = PB_SEEN_NOT;
	for (size_t i = 1; i < r->n_runs; i++) {
		x->seen[i] = look(&comparisons[i], row, is_mean);
		if (x->seen[i] == PB_SEEN_UNMEASURED)
			continue;
		if (x->seen[i] == PB_SEEN_NOT) {
			x->state = PB_REGRESSION_GONE;
		} else {
			x->state = running ? PB_REGRESSION_CONFIRMED : PB_REGRESSION_SUSPECTED;
			x->since = running ? x->since : i;
			x->last = i;
		}
		running = x->seen[i] == PB_SEEN_WORSE;
	}
	x->entry = is_mean ? NULL : pb_compare_find(&comparisons[x->last], row);
	x->mean = is_mean ? find_mean(&comparisons[x->last], row) : NULL;
	r->n_states[x->state]++;
	r->n++;
	return PB_OK;
}

static int compare_regressions(const void *pa, const void *pb)
{
	const struct pb_regression *a = pa, *b = pb;
	int c = (a->state > b->state) - (a->state < b->state);

	if (!c)
		c = pb_compare_settings(a->base, b->base);
	if (!c)
		c = (a->entry == NULL) - (b->entry == NULL);
	return c || !a->entry ? c : pb_compare_cells(a->base, b->base);
}

enum pb_status pb_regressions_find(struct pb_regressions *out, struct pb_arena *arena, const struct pb_comparison *comparisons, size_t n_runs, struct pb_error *err)
{
	struct pb_regressions r = { .n_runs = n_runs };
	size_t most = 0;
	enum pb_status st = PB_OK;

	for (size_t k = 1; k < n_runs; k++)
		most += comparisons[k].n + comparisons[k].n_means;
	if (!(r.list = pb_arena_alloc(arena, most, sizeof(*r.list))))
		return pb_out_of_memory(err, "regressions");
	for (size_t k = 1; k < n_runs; k++) {
		const struct pb_comparison *c = &comparisons[k];

		for (size_t i = 0; !st && i < c->n; i++)
			if (seen_of(c->list[i].change) == PB_SEEN_WORSE)
				st = add(&r, arena, comparisons, k, c->list[i].base, false, err);
		for (size_t i = 0; !st && i < c->n_means; i++)
			if (seen_of(c->means[i].change) == PB_SEEN_WORSE)
				st = add(&r, arena, comparisons, k, c->means[i].base, true, err);
	}
	if (st)
		return st;
	qsort(r.list, r.n, sizeof(*r.list), compare_regressions);
	*out = r;
	return PB_OK;
}
