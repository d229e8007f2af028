/* The budget of a method that is trained, as options of the plugin: they are part of label, row and key. From it follows the
 * recipe: as many updates as the tokens make, the learning rate falling along a cosine to 0 behind the warm-up. */
#ifndef PB_QUANTIZERS_BUDGET_H
#define PB_QUANTIZERS_BUDGET_H

#include "core/base/options.h"
#include "backends/train/train.h"

/* The first member of a plugin's options, so that offsets hold for both. */
struct pb_budget {
	int64_t tokens, sequences, length, micro_batches;
	double learning_rate, warmup;
};

#define PB_BUDGET_OPTIONS(budget_tokens, rate, share) \
	PB_OPT_INT(struct pb_budget, tokens, 1, 1e14, budget_tokens, "tokens that are trained on, in whole updates"), \
	PB_OPT_REAL(struct pb_budget, learning_rate, 0, 10, rate, "largest learning rate"), \
	PB_OPT_REAL(struct pb_budget, warmup, 0, 1, share, "share of the updates over which the learning rate rises"), \
	PB_OPT_INT(struct pb_budget, sequences, 1, 65536, 16, "sequences of a micro-batch"), \
	PB_OPT_INT(struct pb_budget, length, 0, 65536, 0, "tokens of a sequence; 0: 2048, or the model's context when that is less"), \
	PB_OPT_INT(struct pb_budget, micro_batches, 1, 65536, 1, "micro-batches of an update")

/* Steps, batch, rate and schedule; the rest of the recipe is left alone. PB_USAGE when sequences do not fit the context. */
enum pb_status pb_budget_recipe(const struct pb_budget *b, uint32_t context, struct pb_recipe *recipe, struct pb_error *err) PB_MUST_CHECK;

#endif
