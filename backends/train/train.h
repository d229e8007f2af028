/* Training: a recipe, a model that learns by it, checkpoints that go on to the same bits, and the result as a folder that
 * every reader of Hugging Face's format takes.
 *
 *   open -> (start | take_model | resume) -> advance* with save now and then -> write_folder
 *
 * Parameters are f32 (rounded to bf16 after each step when the recipe says so). The numbers are a function of recipe,
 * config and data: random numbers are counted (seed, stream), so step and position in the data are all of the state beside
 * weights and optimizer. */
#ifndef PB_BACKENDS_TRAIN_TRAIN_H
#define PB_BACKENDS_TRAIN_TRAIN_H

#include <stdbool.h>
#include <stdint.h>
#include "core/base/options.h"
#include "core/base/pool.h"
#include "core/base/status.h"
#include "core/model/model.h"
#include "backends/train/batches.h"
#include "backends/train/network.h"

enum pb_schedule { PB_SCHEDULE_CONSTANT, PB_SCHEDULE_LINEAR, PB_SCHEDULE_COSINE };

/* By pb_recipe_options: defaults, ranges, help. A step sees sequences * micro_batches windows of `length` tokens. */
struct pb_recipe {
	int64_t steps, sequences, length, micro_batches, warmup, seed;
	double learning_rate, final_share;
	double beta1, beta2, epsilon, weight_decay, clip, init;
	int schedule;           /* enum pb_schedule */
	int master;             /* 0 f32, 1 bf16 */
	int states;             /* 0 f32, 1 8 bits */
	bool recompute;
};
extern const struct pb_option pb_recipe_options[];

/* What the ranges do not say: numbers that do not fit together. */
enum pb_status pb_recipe_check(const struct pb_recipe *r, struct pb_error *err) PB_MUST_CHECK;
/* Learning rate of step `step`, from 0: rises in equal parts over the warm-up, whose last step has the full rate, then falls
 * to final_share of it at the last step's end. */
double pb_recipe_rate(const struct pb_recipe *r, uint64_t step);

struct pb_trainer;

struct pb_step {
	uint64_t step;          /* from 1 */
	double loss;            /* mean over the step's targets, before the update, and the extra losses */
	double gradient_norm;   /* before clipping */
	double learning_rate;
	uint64_t tokens;        /* of this step */
};

/* transform: or NULL; it, the pool and extra outlive the trainer. */
enum pb_status pb_trainer_open(struct pb_trainer **out, const struct pb_config *config, const struct pb_recipe *recipe,
	const struct pb_transform_f32 *transform, struct pb_pool *pool, struct pb_error *err) PB_MUST_CHECK;
void pb_trainer_close(struct pb_trainer *t);                /* NULL is fine */
struct pb_network_f32 *pb_trainer_network(struct pb_trainer *t);
uint64_t pb_trainer_steps(const struct pb_trainer *t);      /* done */
/* Kinds of parameters that are not trained, a sum of 1 << enum pb_parameter_kind; before the first step. */
void pb_trainer_freeze(struct pb_trainer *t, unsigned kinds);
/* A loss beside the cross-entropy. before: called with the tokens of each micro-batch ahead of it, for a teacher's own
 * pass; or NULL. */
void pb_trainer_add_loss(struct pb_trainer *t, const struct pb_extra_loss_f32 *extra, void (*before)(void *arg, const int32_t *tokens));

/* Random weights: normal with deviation `init`, o and down over sqrt(2 n_layers) of it; norms 1. */
void pb_trainer_start(struct pb_trainer *t);
/* The weights of a model of the same shape; pb_trainer_take_model then starts the transform. */
enum pb_status pb_trainer_take_model(struct pb_trainer *t, const struct pb_model *model, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_network_take_model(struct pb_network_f32 *net, const struct pb_model *model, struct pb_error *err) PB_MUST_CHECK;

/* One step on (sequences * micro_batches, length) tokens; targets may be -1. A loss or a gradient that is not finite, or a
 * loss over ten times that of guessing, is PB_NUMERIC, names the step, and leaves weights and states as they were. */
enum pb_status pb_trainer_step(struct pb_trainer *t, const int32_t *inputs, const int32_t *targets, struct pb_step *out, struct pb_error *err) PB_MUST_CHECK;
/* The same on the step's own windows of the data. */
enum pb_status pb_trainer_advance(struct pb_trainer *t, struct pb_batches *data, struct pb_step *out, struct pb_error *err) PB_MUST_CHECK;

/* A safetensors file of weights, optimizer states, config, recipe, step and position. note: the caller's own text, kept with
 * them; NULL: "". */
enum pb_status pb_trainer_save(struct pb_trainer *t, const char *path, const char *note, struct pb_error *err) PB_MUST_CHECK;
/* Config and recipe must be the checkpoint's (recompute may differ); the steps after it are the same bits. note: pb_free'd by
 * the caller; NULL: not wanted. */
enum pb_status pb_trainer_resume(struct pb_trainer *t, const char *path, char **note, struct pb_error *err) PB_MUST_CHECK;

/* config.json and model.safetensors in F32, F16 or BF16. weights: a flat array, net->parameters or net->used. Rotary pairs
 * (2i, 2i+1) are reordered to the format's (i, i + head_dim/2), which is the same function. */
enum pb_status pb_network_write_folder(const struct pb_network_f32 *net, const float *weights, const char *folder, enum pb_dtype dtype,
	struct pb_error *err) PB_MUST_CHECK;

/* Squared gradients of one sequence's mean loss, added to sums (layout.total); the network has one sequence and its weights
 * are prepared. Returns the loss. */
double pb_fisher_add(struct pb_network_f32 *net, const int32_t *tokens, const int32_t *targets, float *sums);

#endif
