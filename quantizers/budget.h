/* The budget of a method that is trained, as options of the plugin: they are part of label, row and key. From it follows the
 * recipe: as many updates as the tokens make, the learning rate falling along a cosine to 0 behind the warm-up, and ParetoQ's
 * AdamW (beta 0.9 and 0.999, eps 1e-8, no decay, gradients clipped to norm 1), which all methods share that do not say
 * otherwise. */
#ifndef PB_QUANTIZERS_BUDGET_H
#define PB_QUANTIZERS_BUDGET_H

#include "core/base/options.h"
#include "backends/train/distill.h"
#include "backends/train/train.h"

/* What all share unless they say otherwise: the same number of tokens, and one rate, for every width, so that widths are compared
 * and not budgets; the paper has 2e-5 up to 2 bits and half of it above, on three times the tokens. Validation texts of the micro
 * world chose both at three sizes. */
#define PB_BUDGET_TOKENS 1048576
#define PB_BUDGET_SEQUENCES 4
#define PB_BUDGET_RATE 2e-3

/* The first member of a plugin's options, so that offsets hold for both. */
struct pb_budget {
	int64_t tokens, sequences, length, micro_batches;
	double learning_rate, warmup, distill;
};

#define PB_BUDGET_OPTIONS(budget_tokens, n_sequences, rate, share) \
	PB_OPT_INT(struct pb_budget, tokens, 1, 1e14, budget_tokens, "tokens that are trained on, in whole updates"), \
	PB_OPT_REAL(struct pb_budget, learning_rate, 0, 10, rate, "largest learning rate"), \
	PB_OPT_REAL(struct pb_budget, warmup, 0, 1, share, "share of the updates over which the learning rate rises"), \
	PB_OPT_INT(struct pb_budget, sequences, 1, 65536, n_sequences, "sequences of a micro-batch"), \
	PB_OPT_INT(struct pb_budget, length, 0, 65536, 0, "tokens of a sequence; 0: 2048, or the model's context when that is less"), \
	PB_OPT_INT(struct pb_budget, micro_batches, 1, 65536, 1, "micro-batches of an update")
#define PB_BUDGET_DISTILL \
	PB_OPT_REAL(struct pb_budget, distill, 0, 1, 0, "share of the loss that is against the full-precision model's distribution")

/* The hooks of struct pb_qat. PB_USAGE when sequences do not fit the context, or numbers do not fit together. */
enum pb_status pb_budget_recipe(const void *options, uint32_t context, struct pb_recipe *recipe, struct pb_error *err) PB_MUST_CHECK;
bool pb_budget_teacher(const void *options, struct pb_distillation *out);

#endif
