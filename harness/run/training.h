/* A training by a recipe, in a folder that it can go on from:
 *
 *   recipe.yaml              as read
 *   train.json               what was made, how far, on what
 *   log.csv                  step,tokens,loss,gradient_norm,learning_rate,validation_loss,seconds; loss: mean over the steps since
 *                            the line before; validation_loss absent where it was not measured
 *   checkpoint.safetensors   while it is not done
 *   config.json, model.safetensors, tokenizer.*   when it is
 *
 * Weights and losses are a function of recipe and data: the same for any threads, any interruption. */
#ifndef PB_HARNESS_RUN_TRAINING_H
#define PB_HARNESS_RUN_TRAINING_H

#include "core/base/hash.h"
#include "core/base/pool.h"
#include "harness/run/progress.h"
#include "harness/run/recipe.h"

struct pb_training_options {
	const char *folder;
	struct pb_pool *pool;
	enum pb_when progress, colour;
	bool quiet;
};

struct pb_training_summary {
	bool interrupted, already;      /* already: was done before; nothing was changed */
	uint64_t steps, tokens;         /* in all */
	double seconds, rate;           /* of the steps; tokens a second; NaN: none were made */
	double loss, validation_loss;   /* of the last line of the log; NaN: none */
	char hash[PB_HASH_HEX];         /* of the model; "" when it is not done */
};

/* Runs or goes on. A folder that holds the training of another recipe or of other data is PB_USAGE; a diverged training is
 * PB_NUMERIC and keeps its last checkpoint. */
enum pb_status pb_train(const struct pb_training_recipe *recipe, const struct pb_training_options *options, struct pb_training_summary *summary,
	struct pb_error *err) PB_MUST_CHECK;

#endif
