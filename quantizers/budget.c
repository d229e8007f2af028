#include "quantizers/budget.h"

#include <math.h>

#define LONGEST 2048 /* tokens of a sequence, where none are asked for: those of ParetoQ and OneBit */

enum pb_status pb_budget_recipe(const void *options, uint32_t context, struct pb_recipe *recipe, struct pb_error *err)
{
	const struct pb_budget *b = options;
	int64_t length = b->length ? b->length : context < LONGEST ? context : LONGEST;
	int64_t update = b->sequences * length * b->micro_batches;

	if (length > context)
		return pb_fail(err, PB_USAGE, "length: sequences of %lld tokens are longer than the model's context of %u", (long long)length, context);
	recipe->steps = (b->tokens + update - 1) / update;
	recipe->sequences = b->sequences;
	recipe->length = length;
	recipe->micro_batches = b->micro_batches;
	recipe->learning_rate = b->learning_rate;
	recipe->schedule = PB_SCHEDULE_COSINE;
	recipe->final_share = 0;
	recipe->warmup = (int64_t)ceil(b->warmup * (double)recipe->steps);
	recipe->beta1 = 0.9;
	recipe->beta2 = 0.999;
	recipe->epsilon = 1e-8;
	recipe->weight_decay = 0;
	recipe->clip = 1;
	return pb_recipe_check(recipe, err);
}

bool pb_budget_teacher(const void *options, struct pb_distillation *out)
{
	const struct pb_budget *b = options;

	*out = (struct pb_distillation){ .form = PB_DISTILL_PAPER, .targets = 1 - b->distill, .logits = b->distill };
	return b->distill > 0;
}
