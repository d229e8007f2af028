#include "reports/pairing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reports/items.h"

#define SIGNS_BELOW 30          /* units: fewer are tested by signs, not by t */
#define SIGN_REPLICATES 9999

const char *pb_pair_scale(const char *metric)
{
	static const char *const names[] = { [PB_SCORE_NONE] = NULL, [PB_SCORE_RIGHT] = "acc", [PB_SCORE_RIGHT_NORM] = "acc_norm", [PB_SCORE_BITS] = "bits",
		[PB_SCORE_LOSS] = "nll", [PB_SCORE_KLD] = "kld", [PB_SCORE_SAME_TOP] = "same_top", [PB_SCORE_DELTA_NLL] = "delta_nll" };

	return names[pb_score_of(metric)];
}

const char *pb_pair_refusal(struct pb_arena *arena, const struct pb_row *a, const struct pb_row *b, bool *failed)
{
	const struct { const char *what, *first, *second; int shown; } fields[] = {
		{ "task", a->task, b->task, 80 }, { "metric", a->metric, b->metric, 80 }, { "definition of the task", a->task_hash, b->task_hash, 8 },
		{ "data", a->data_hash, b->data_hash, 8 }, { "protocol", a->protocol, b->protocol, 80 }, { "tokenizer", a->tokenizer_hash, b->tokenizer_hash, 8 },
	};
	const char *text = NULL;

	*failed = false;
	for (size_t i = 0; !*failed && i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!fields[i].first[0] || !fields[i].second[0] || strcmp(fields[i].first, fields[i].second) == 0)
			continue;
		text = pb_arena_printf(arena, "%s%sthe %s (%.*s, %.*s)", text ? text : "", text ? ", " : "", fields[i].what, fields[i].shown, fields[i].first, fields[i].shown,
			fields[i].second);
		*failed = !text;
	}
	return text;
}

/* What keeps two sets of items from being pairs, or NULL. */
static const char *items_differ(struct pb_arena *arena, const struct pb_items *a, const struct pb_items *b, enum pb_score score, bool *failed)
{
	const char *text = NULL;

	if (a->n != b->n) {
		text = pb_arena_printf(arena, "the number of items (%zu, %zu)", a->n, b->n);
		*failed = !text;
		return text;
	}
	for (size_t i = 0; i < a->n; i++) {
		const struct pb_stored_item *x = &a->items[i], *y = &b->items[i];

		if (x->index != y->index || x->gold != y->gold || (x->n_values != y->n_values))
			text = pb_arena_printf(arena, "the items (at place %zu)", i);
		else if (pb_score_is_by_tokens(score) && x->weight != y->weight)
			text = pb_arena_printf(arena, "the tokens of item %u (%g, %g): the tokenizer", x->index, x->weight, y->weight);
		else
			continue;
		*failed = !text;
		return text;
	}
	return NULL;
}

/* The difference of the sides' means over their seeds, item by item; NaN where an item has no such score. */
static void subtract(double *d, enum pb_score score, const struct pb_items *first, size_t n_first, const struct pb_items *second, size_t n_second)
{
	for (size_t i = 0; i < first->n; i++) {
		double a = 0, b = 0;

		for (size_t k = 0; k < n_first; k++)
			a += pb_item_score(&first[k].items[i], score);
		for (size_t k = 0; k < n_second; k++)
			b += pb_item_score(&second[k].items[i], score);
		d[i] = b / (double)n_second - a / (double)n_first;
	}
}

/* Plain mean of the subtasks' means, as their accuracy is. */
static enum pb_status mean_of_subtasks(struct pb_mean *out, struct pb_arena *arena, const struct pb_items *items, const double *d, struct pb_error *err)
{
	double *errors = pb_arena_alloc(arena, items->n, sizeof(*errors)), sum = 0;
	size_t k = 0;

	if (!errors)
		return pb_out_of_memory(err, "a comparison");
	for (size_t i = 0; i < items->n;) {
		struct pb_mean mean;
		size_t n = pb_items_of_subtask(items->items + i, items->n - i);
		enum pb_status st = pb_scores_mean(&(struct pb_scores){ .sums = d + i, .n = n }, &mean, err);
		if (st)
			return st;
		sum += mean.value;
		errors[k++] = mean.stderr_value;
		i += n;
	}
	*out = (struct pb_mean){ .value = sum / (double)k, .stderr_value = pb_stderr_of_mean(errors, k), .n = items->n, .n_units = items->n - k + 1 };
	return PB_OK;
}

/* Mean of item differences d on the scale of the metric. */
static enum pb_status mean_of(struct pb_mean *out, struct pb_arena *arena, enum pb_score score, const struct pb_items *items, const double *d, struct pb_error *err)
{
	double *weights = pb_arena_alloc(arena, items->n, sizeof(*weights));
	uint32_t *places = pb_arena_alloc(arena, items->n, sizeof(*places));
	struct pb_scores scores = { .sums = d, .weights = weights, .n = items->n };

	if (!weights || !places)
		return pb_out_of_memory(err, "a comparison");
	if ((score == PB_SCORE_RIGHT || score == PB_SCORE_RIGHT_NORM) && pb_items_have_subtasks(items->items, items->n))
		return mean_of_subtasks(out, arena, items, d, err);
	for (size_t i = 0; i < items->n; i++)
		weights[i] = pb_item_weight(&items->items[i], score, items->n);
	scores.clusters = pb_item_clusters(items->items, items->n, places);
	return pb_scores_mean(&scores, out, err);
}

static bool same_seeds(const struct pb_items *first, size_t n_first, const struct pb_items *second, size_t n_second)
{
	bool same = n_first == n_second;

	for (size_t k = 0; same && k < n_first; k++)
		same = first[k].seed == second[k].seed;
	return same;
}

/* Sum of squared deviations of n differences from their mean: of `second` from `first`, pair by pair, or all from the first of them. */
static enum pb_status spread_of_seeds(double *out, struct pb_arena *arena, enum pb_score score, const struct pb_items *first, bool in_pairs, const struct pb_items *second, size_t n,
	double *d, struct pb_error *err)
{
	double mean = 0, squares = 0;

	for (size_t k = 0; k < n; k++) {
		struct pb_mean m;
		double step;
		enum pb_status st;

		subtract(d, score, in_pairs ? first + k : first, 1, second + k, 1);
		if ((st = mean_of(&m, arena, score, first, d, err)))
			return st;
		step = m.value - mean;
		mean += step / (double)(k + 1);
		squares += step * (m.value - mean);
	}
	*out = squares;
	return PB_OK;
}

/* What the seeds add to the error of the difference, as a mean over the seeds: 0 where both sides have one and the same. */
static enum pb_status error_of_seeds(double *out, bool *unknown, struct pb_arena *arena, enum pb_score score, const struct pb_items *first, size_t n_first,
	const struct pb_items *second, size_t n_second, double *d, struct pb_error *err)
{
	double a = 0, b = 0, free = (double)(n_first + n_second) - 2;
	enum pb_status st;

	*out = 0;
	if (same_seeds(first, n_first, second, n_second)) {
		st = spread_of_seeds(&a, arena, score, first, true, second, n_first, d, err);
		if (!st && n_first > 1)
			*out = sqrt(a / (double)(n_first - 1) / (double)n_first);
		return st;
	}
	*unknown = free == 0;
	st = spread_of_seeds(&a, arena, score, first, false, first, n_first, d, err);
	if (!st)
		st = spread_of_seeds(&b, arena, score, second, false, second, n_second, d, err);
	if (!st && free > 0)
		*out = sqrt((a + b) / free * (1 / (double)n_first + 1 / (double)n_second));
	return st;
}

static enum pb_status count_flips(struct pb_pair *pair, struct pb_arena *arena, enum pb_score score, const struct pb_items *a, const struct pb_items *b, struct pb_error *err)
{
	int32_t *choices = pb_arena_alloc(arena, 3 * a->n, sizeof(*choices)), *first = choices, *second = choices + a->n, *gold = choices + 2 * a->n;

	if (!choices)
		return pb_out_of_memory(err, "a comparison");
	for (size_t i = 0; i < a->n; i++) {
		first[i] = score == PB_SCORE_RIGHT ? a->items[i].chosen : a->items[i].chosen_norm;
		second[i] = score == PB_SCORE_RIGHT ? b->items[i].chosen : b->items[i].chosen_norm;
		gold[i] = a->items[i].gold;
	}
	pair->flips = pb_flips_count(first, second, gold, a->n);
	return PB_OK;
}

static enum pb_status test_pair(struct pb_pair *pair, enum pb_score score, const struct pb_items *items, const double *d, bool has_flips, struct pb_error *err)
{
	bool independent = pair->difference.n_units == pair->difference.n;

	pair->how = "t";
	pair->test = pb_test_zero(&pair->difference);
	if (has_flips && independent) {
		pair->how = "McNemar";
		pair->test.p = pb_mcnemar(pair->flips.lost, pair->flips.won).p;
	} else if (pb_score_is_by_tokens(score) && items->n < SIGNS_BELOW && !isnan(pair->test.p)) {
		pair->how = "signs";
		return pb_sign_flip(&(struct pb_scores){ .sums = d, .n = items->n }, SIGN_REPLICATES, 0, &pair->test.p, err);
	}
	return PB_OK;
}

static enum pb_status compare_items(struct pb_pair *pair, struct pb_arena *arena, enum pb_score score, const struct pb_items *first, size_t n_first,
	const struct pb_items *second, size_t n_second, struct pb_error *err)
{
	double *d = pb_arena_alloc(arena, first->n, sizeof(*d)), of_seeds = 0;
	bool has_flips = (score == PB_SCORE_RIGHT || score == PB_SCORE_RIGHT_NORM) && n_first == 1 && n_second == 1;
	enum pb_status st = d ? error_of_seeds(&of_seeds, &pair->spread_unknown, arena, score, first, n_first, second, n_second, d, err) : pb_out_of_memory(err, "a comparison");

	if (st)
		return st;
	subtract(d, score, first, n_first, second, n_second);
	for (size_t i = 0; i < first->n; i++)
		if (isnan(d[i])) {
			pair->refusal = "items that have no such score";
			return PB_OK;
		}
	if ((st = mean_of(&pair->difference, arena, score, first, d, err)))
		return st;
	pair->difference.stderr_value = hypot(pair->difference.stderr_value, of_seeds);
	pair->deviation = pair->difference.stderr_value * sqrt((double)pair->difference.n);
	if (has_flips)
		st = count_flips(pair, arena, score, first, second, err);
	return st ? st : test_pair(pair, score, first, d, has_flips, err);
}

enum pb_status pb_pair_items(struct pb_pair *out, struct pb_arena *arena, const char *metric, const struct pb_items *first, size_t n_first,
	const struct pb_items *second, size_t n_second, struct pb_error *err)
{
	enum pb_score score = pb_score_of(metric);
	struct pb_pair pair = { .scale = pb_pair_scale(metric), .higher_is_better = pb_score_higher_is_better(score) };
	struct pb_arena *scratch;
	bool failed = false;
	enum pb_status st = PB_OK;

	for (size_t k = 1; !pair.refusal && !failed && k < n_first + n_second; k++)
		pair.refusal = items_differ(arena, &first[0], k < n_first ? &first[k] : &second[k - n_first], score, &failed);
	if (failed)
		return pb_out_of_memory(err, "a comparison");
	if (!pair.refusal && (score == PB_SCORE_NONE || first[0].n == 0))
		pair.refusal = "no items are kept";
	if (!pair.refusal) {
		scratch = pb_arena_new();
		st = scratch ? compare_items(&pair, scratch, score, first, n_first, second, n_second, err) : pb_out_of_memory(err, "a comparison");
		pb_arena_free(scratch);
	}
	if (!st)
		*out = pair;
	return st;
}

void pb_pair_format(char out[96], const struct pb_pair *pair)
{
	bool percent = pb_metric_is_percent(pair->scale);
	const char *nats = percent ? "" : pb_metric_unit(pair->scale);
	double unit = percent ? 100 : 1, half = unit * (pair->test.high - pair->test.low) / 2;
	int decimals = half > 0 ? (int)(1 - floor(log10(half))) : 2;

	decimals = decimals < 0 ? 0 : decimals > 9 ? 9 : decimals;
	snprintf(out, 96, "%+.*f%s%s (%+.*f to %+.*f)", decimals, unit * pair->difference.value, percent ? " pp" : *nats ? " " : "", nats, decimals, unit * pair->test.low,
		decimals, unit * pair->test.high);
}

void pb_format_p(char out[32], double p)
{
	if (isnan(p))
		snprintf(out, 32, "n/a");
	else if (p < 0.0001)
		snprintf(out, 32, "<0.0001");
	else
		snprintf(out, 32, "%.2g", p);
}

/* The items of each seed of a side. */
static enum pb_status read_side(struct pb_arena *arena, const struct pb_side *side, struct pb_items *items, struct pb_error *err)
{
	for (size_t k = 0; k < side->n; k++) {
		items[k].seed = side->rows[k]->seed;
		for (size_t i = 0; i < side->stores->n && !items[k].n; i++) {
			struct pb_stored_item *list = NULL;
			enum pb_status st = pb_store_items(side->stores->stores[i], arena, side->rows[k]->cell, side->rows[k]->task, &list, &items[k].n, err);

			if (st)
				return st;
			items[k].items = list;
		}
	}
	return PB_OK;
}

/* Rows of both sides against the first: what differs. */
static const char *rows_differ(struct pb_arena *arena, const struct pb_side *first, const struct pb_side *second, bool *failed)
{
	const char *why = NULL;

	*failed = false;
	for (size_t k = 1; !why && !*failed && k < first->n + second->n; k++)
		why = pb_pair_refusal(arena, first->rows[0], k < first->n ? first->rows[k] : second->rows[k - first->n], failed);
	return why;
}

enum pb_status pb_pair_make(struct pb_pair *out, struct pb_arena *arena, const struct pb_side *first, const struct pb_side *second, struct pb_error *err)
{
	struct pb_pair pair = {0};
	bool failed;
	struct pb_arena *scratch;
	struct pb_items *items;
	enum pb_status st = PB_OK;

	pair.refusal = rows_differ(arena, first, second, &failed);
	if (failed)
		return pb_out_of_memory(err, "a comparison");
	if (!pair.refusal && !pb_pair_scale(first->rows[0]->metric))
		pair.refusal = "no items are kept of this metric";
	if (pair.refusal) {
		*out = pair;
		return PB_OK;
	}
	scratch = pb_arena_new();
	items = scratch ? pb_arena_alloc(scratch, first->n + second->n, sizeof(*items)) : NULL;
	if (!items)
		st = pb_out_of_memory(err, "a comparison");
	if (!st)
		st = read_side(scratch, first, items, err);
	if (!st)
		st = read_side(scratch, second, items + first->n, err);
	if (!st)
		st = pb_pair_items(out, arena, first->rows[0]->metric, items, first->n, items + first->n, second->n, err);
	pb_arena_free(scratch);
	return st;
}
