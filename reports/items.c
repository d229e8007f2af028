#include "reports/items.h"

#include <math.h>
#include <string.h>

enum pb_score pb_score_of(const char *metric)
{
	static const struct { const char *metric; enum pb_score score; } known[] = {
		{ "acc", PB_SCORE_RIGHT }, { "acc_norm", PB_SCORE_RIGHT_NORM }, { "bits", PB_SCORE_BITS }, { "nll", PB_SCORE_LOSS }, { "ppl_token", PB_SCORE_LOSS },
		{ "ppl", PB_SCORE_LOSS }, { "ppl_word", PB_SCORE_LOSS }, { "ppl_byte", PB_SCORE_LOSS }, { "bits_per_byte", PB_SCORE_LOSS },
		{ "kld", PB_SCORE_KLD }, { "same_top", PB_SCORE_SAME_TOP }, { "delta_nll", PB_SCORE_DELTA_NLL },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].metric, metric) == 0)
			return known[i].score;
	return PB_SCORE_NONE;
}

bool pb_score_is_by_tokens(enum pb_score score)
{
	return score >= PB_SCORE_LOSS;
}

bool pb_score_higher_is_better(enum pb_score score)
{
	return score != PB_SCORE_LOSS && score != PB_SCORE_KLD && score != PB_SCORE_DELTA_NLL;
}

bool pb_metric_is_percent(const char *metric)
{
	return strncmp(metric, "acc", 3) == 0 || strcmp(metric, "same_top") == 0;
}

bool pb_metric_is_relative(const char *metric)
{
	static const char *const starts[] = { "kld", "same_top", "delta_nll", "delta_p_", "relative_", "proxy_error" };

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (strncmp(metric, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

const char *pb_metric_unit(const char *metric)
{
	bool nats = strcmp(metric, "nll") == 0 || strcmp(metric, "delta_nll") == 0 || strncmp(metric, "kld", 3) == 0;

	return pb_metric_is_percent(metric) ? "%" : nats ? "nats" : "";
}

/* Bits of the right answer that the probabilities hold beyond guessing, as tasks count them. */
static double known_bits(const struct pb_stored_item *it)
{
	double top = -INFINITY, sum = 0;

	for (uint32_t i = 0; i < it->n_values; i++)
		top = fmax(top, it->values[i]);
	for (uint32_t i = 0; i < it->n_values; i++)
		sum += exp(it->values[i] - top);
	return log2((double)it->n_values) + (it->values[it->gold] - top - log(sum)) / M_LN2;
}

static double divergence(const struct pb_stored_item *it, enum pb_divergence_sum sum)
{
	return it->n_values == PB_DIVERGENCE_SUMS ? it->values[sum] : NAN;
}

double pb_item_score(const struct pb_stored_item *it, enum pb_score score)
{
	switch (score) {
	case PB_SCORE_RIGHT:
		return it->chosen == it->gold;
	case PB_SCORE_RIGHT_NORM:
		return it->chosen_norm == it->gold;
	case PB_SCORE_BITS:
		return it->gold >= 0 && (uint32_t)it->gold < it->n_values ? known_bits(it) : NAN;
	case PB_SCORE_LOSS:
		return it->n_values == 1 ? -it->values[0] : NAN;
	case PB_SCORE_KLD:
		return divergence(it, PB_SUM_KLD);
	case PB_SCORE_SAME_TOP:
		return divergence(it, PB_SUM_SAME_TOP);
	case PB_SCORE_DELTA_NLL:
		return divergence(it, PB_SUM_DELTA_NLL);
	case PB_SCORE_NONE:
		break;
	}
	return NAN;
}

double pb_item_weight(const struct pb_stored_item *it, enum pb_score score, size_t n)
{
	return score == PB_SCORE_BITS ? 1 / (double)n : pb_score_is_by_tokens(score) ? it->weight : 1;
}

bool pb_items_have_subtasks(const struct pb_stored_item *items, size_t n)
{
	return n > 0 && items[0].index / PB_SUBTASK_STRIDE != items[n - 1].index / PB_SUBTASK_STRIDE;
}

size_t pb_items_of_subtask(const struct pb_stored_item *items, size_t n)
{
	size_t k = 1;

	while (k < n && items[k].index / PB_SUBTASK_STRIDE == items[0].index / PB_SUBTASK_STRIDE)
		k++;
	return k;
}

const uint32_t *pb_item_clusters(const struct pb_stored_item *items, size_t n, uint32_t *places)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		uint32_t c = items[i].cluster;

		places[i] = c > 0 && c <= n ? c - 1 : (uint32_t)i;
		any = any || places[i] != i;
	}
	return any ? places : NULL;
}
