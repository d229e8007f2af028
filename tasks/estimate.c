/* Estimates. */
#include <math.h>
#include "tasks/estimate.h"
#include "tasks/kind.h"

struct pb_estimate pb_estimate_mean(const double *x, size_t n)
{
	double sum = 0, squares = 0, mean;

	for (size_t i = 0; i < n; i++)
		sum += x[i];
	mean = sum / (double)n;
	for (size_t i = 0; i < n; i++)
		squares += (x[i] - mean) * (x[i] - mean);
	return (struct pb_estimate){ mean, n > 1 ? sqrt(squares / (double)(n - 1) / (double)n) : NAN };
}

static double ratio_error(const double *y, const double *w, size_t n, double ratio, double total)
{
	double squares = 0;

	for (size_t i = 0; i < n; i++) {
		double rest = y[i] - ratio * w[i];

		squares += rest * rest;
	}
	return n > 1 ? sqrt(squares * (double)n / (double)(n - 1)) / total : NAN;
}

static double sum_of(const double *x, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += x[i];
	return sum;
}

struct pb_estimate pb_estimate_ratio(const double *y, const double *w, size_t n)
{
	double total = sum_of(w, n), ratio = sum_of(y, n) / total;

	return (struct pb_estimate){ ratio, ratio_error(y, w, n, ratio, total) };
}

struct pb_estimate pb_estimate_exp(struct pb_estimate e)
{
	double value = exp(e.value);

	return (struct pb_estimate){ value, value * e.stderr_value };
}

struct pb_estimate pb_estimate_root(struct pb_estimate e)
{
	double value = sqrt(e.value);

	return (struct pb_estimate){ value, value > 0 ? e.stderr_value / (2 * value) : e.stderr_value };
}

static double quantile(const struct pb_pooled *p, double share)
{
	double place = share * (double)(p->n - 1);
	size_t below = (size_t)place;

	return below + 1 < p->n ? p->sorted[below] + (place - (double)below) * (p->sorted[below + 1] - p->sorted[below]) : p->sorted[p->n - 1];
}

struct pb_estimate pb_estimate_quantile(const struct pb_pooled *p, double share, double *scratch)
{
	struct pb_estimate e = { quantile(p, share), NAN };
	double error;

	for (size_t i = 0; i < p->n_units; i++)
		scratch[i] = 0;
	for (size_t i = 0; i < p->n && p->sorted[i] <= e.value; i++)
		scratch[p->unit[i]]++;
	error = pb_estimate_ratio(scratch, p->counts, p->n_units).stderr_value;
	if (share - error >= 0 && share + error <= 1)
		e.stderr_value = (quantile(p, share + error) - quantile(p, share - error)) / 2;
	return e;
}

void pb_metric_add(struct pb_task_result *result, const char *name, struct pb_estimate e, uint64_t n, bool higher_is_better)
{
	result->metrics[result->n_metrics++] = (struct pb_metric){ .name = name, .value = e.value, .stderr_value = e.stderr_value,
		.n = n, .higher_is_better = higher_is_better };
}

enum pb_status pb_text_units_make(struct pb_text_units *units, struct pb_arena *arena, size_t n, bool words, bool bytes, struct pb_error *err)
{
	struct pb_text_units u = { .n = n };

	u.nll = pb_arena_alloc(arena, n, sizeof(double));
	u.tokens = pb_arena_alloc(arena, n, sizeof(double));
	u.words = words ? pb_arena_alloc(arena, n, sizeof(double)) : NULL;
	u.bytes = bytes ? pb_arena_alloc(arena, n, sizeof(double)) : NULL;
	if (!u.nll || !u.tokens || (words && !u.words) || (bytes && !u.bytes))
		return pb_out_of_memory(err, "a result");
	*units = u;
	return PB_OK;
}

static enum pb_status add_items(struct pb_task_result *result, const struct pb_text_units *units, struct pb_error *err)
{
	struct pb_item *items = pb_arena_alloc(result->arena, units->n, sizeof(*items));
	double *values = pb_arena_alloc(result->arena, units->n, sizeof(*values));

	if (!items || !values)
		return pb_out_of_memory(err, "a result");
	for (size_t i = 0; i < units->n; i++) {
		values[i] = -units->nll[i];
		items[i] = (struct pb_item){ .index = (uint32_t)i, .n_values = 1, .values = &values[i], .weight = units->tokens[i],
			.gold = -1, .chosen = -1, .chosen_norm = -1 };
	}
	result->items = items;
	result->n_items = units->n;
	return PB_OK;
}

enum pb_status pb_text_units_score(struct pb_task_result *result, const struct pb_task *task, const struct pb_text_units *units, bool mean_of_means, struct pb_error *err)
{
	double tokens = sum_of(units->tokens, units->n);
	struct pb_estimate nll = pb_estimate_ratio(units->nll, units->tokens, units->n), bits;

	if (mean_of_means) {
		double sum = 0;

		for (size_t i = 0; i < units->n; i++)
			sum += units->nll[i] / units->tokens[i];
		nll.value = sum / (double)units->n;
		nll.stderr_value = ratio_error(units->nll, units->tokens, units->n, nll.value, tokens);
	}
	if (pb_task_wants(task, "nll"))
		pb_metric_add(result, "nll", nll, (uint64_t)tokens, false);
	if (pb_task_wants(task, "ppl_token"))
		pb_metric_add(result, "ppl_token", pb_estimate_exp(nll), (uint64_t)tokens, false);
	if (units->words && pb_task_wants(task, "ppl_word"))
		pb_metric_add(result, "ppl_word", pb_estimate_exp(pb_estimate_ratio(units->nll, units->words, units->n)),
			(uint64_t)sum_of(units->words, units->n), false);
	if (units->bytes) {
		uint64_t bytes = (uint64_t)sum_of(units->bytes, units->n);

		bits = pb_estimate_ratio(units->nll, units->bytes, units->n);
		if (pb_task_wants(task, "ppl_byte"))
			pb_metric_add(result, "ppl_byte", pb_estimate_exp(bits), bytes, false);
		bits.value /= M_LN2;
		bits.stderr_value /= M_LN2;
		if (pb_task_wants(task, "bits_per_byte"))
			pb_metric_add(result, "bits_per_byte", bits, bytes, false);
	}
	return add_items(result, units, err);
}
