#include "reports/items.h"

#include <math.h>
#include <string.h>

enum pb_score pb_score_of(const char *metric)
{
	static const struct { const char *metric; enum pb_score score; } known[] = {
		{ "acc", PB_SCORE_RIGHT }, { "acc_norm", PB_SCORE_RIGHT_NORM }, { "bits", PB_SCORE_BITS }, { "nll", PB_SCORE_LOSS }, { "ppl_token", PB_SCORE_LOSS },
		{ "ppl", PB_SCORE_LOSS }, { "ppl_word", PB_SCORE_LOSS }, { "ppl_byte", PB_SCORE_LOSS }, { "bits_per_byte", PB_SCORE_LOSS },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].metric, metric) == 0)
			return known[i].score;
	return PB_SCORE_NONE;
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
	case PB_SCORE_NONE:
		break;
	}
	return NAN;
}

double pb_item_weight(const struct pb_stored_item *it, enum pb_score score, size_t n)
{
	return score == PB_SCORE_BITS ? 1 / (double)n : score == PB_SCORE_LOSS ? it->weight : 1;
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
