/* The numbers of a training run. */
#include "backends/train/train.h"

#include <math.h>

static const char *const schedules[] = { "constant", "linear", "cosine", NULL };
static const char *const masters[] = { "f32", "bf16", NULL };
static const char *const states[] = { "f32", "8bit", NULL };

const struct pb_option pb_recipe_options[] = {
	PB_OPT_INT(struct pb_recipe, steps, 1, 1e9, 1000, "updates"),
	PB_OPT_INT(struct pb_recipe, sequences, 1, 65536, 16, "sequences of a micro-batch"),
	PB_OPT_INT(struct pb_recipe, length, 1, 65536, 256, "tokens of a sequence"),
	PB_OPT_INT(struct pb_recipe, micro_batches, 1, 65536, 1, "micro-batches of an update, whose gradients are added"),
	PB_OPT_REAL(struct pb_recipe, learning_rate, 0, 10, 1e-3, "largest learning rate"),
	PB_OPT_CHOICE(struct pb_recipe, schedule, schedules, "cosine", "how the learning rate falls after the warm-up"),
	PB_OPT_INT(struct pb_recipe, warmup, 0, 1e9, 0, "updates over which the learning rate rises"),
	PB_OPT_REAL(struct pb_recipe, final_share, 0, 1, 0, "share of the learning rate that is left at the end"),
	PB_OPT_REAL(struct pb_recipe, beta1, 0, 0.9999999, 0.9, "decay of the mean of gradients"),
	PB_OPT_REAL(struct pb_recipe, beta2, 0, 0.9999999, 0.95, "decay of the mean of squared gradients"),
	PB_OPT_REAL(struct pb_recipe, epsilon, 1e-20, 1, 1e-8, "added to the root of squared gradients"),
	PB_OPT_REAL(struct pb_recipe, weight_decay, 0, 10, 0.1, "decay of matrices, decoupled, times the learning rate"),
	PB_OPT_REAL(struct pb_recipe, clip, 0, 1e9, 1, "largest norm of all gradients together; 0: no limit"),
	PB_OPT_REAL(struct pb_recipe, init, 0, 1, 0.02, "standard deviation of first weights"),
	PB_OPT_CHOICE(struct pb_recipe, master, masters, "f32", "what weights are rounded to after an update"),
	PB_OPT_CHOICE(struct pb_recipe, states, states, "f32", "how the optimizer keeps its means"),
	PB_OPT_BOOL(struct pb_recipe, recompute, 0, "run layers again in the backward pass, for less memory"),
	PB_OPT_INT(struct pb_recipe, seed, 0, 1e15, 1, "of first weights and of the order of data"),
	PB_OPT_END
};

enum pb_status pb_recipe_check(const struct pb_recipe *r, struct pb_error *err)
{
	static const double most_tokens = 1 << 24;

	if (r->steps < 1)
		return pb_fail(err, PB_USAGE, "recipe: steps: %lld: at least 1 is needed", (long long)r->steps);
	if (!isfinite(r->learning_rate) || r->learning_rate <= 0)
		return pb_fail(err, PB_USAGE, "recipe: learning_rate: not above 0, so nothing would be learned");
	if (r->warmup > r->steps)
		return pb_fail(err, PB_USAGE, "recipe: warmup: %lld updates are more than the %lld steps", (long long)r->warmup, (long long)r->steps);
	if (r->sequences < 1 || r->length < 1 || (double)r->sequences * (double)r->length > most_tokens)
		return pb_fail(err, PB_USAGE, "recipe: sequences, length: %lld times %lld tokens are out of the range from 1 to 2^24 in a micro-batch\n"
			"micro_batches makes an update of several of them", (long long)r->sequences, (long long)r->length);
	if (r->micro_batches < 1 || (double)r->micro_batches * (double)r->sequences * (double)r->length > 64 * most_tokens)
		return pb_fail(err, PB_USAGE, "recipe: micro_batches: %lld is out of range: an update has 1 to 2^30 tokens", (long long)r->micro_batches);
	return PB_OK;
}

double pb_recipe_rate(const struct pb_recipe *r, uint64_t step)
{
	double warmup = (double)r->warmup, done = (double)step, share = 1, progress;

	if (done < warmup)
		return r->learning_rate * (done + 1) / warmup;
	progress = (double)r->steps > warmup ? (done - warmup) / ((double)r->steps - warmup) : 0;
	if (progress > 1)
		progress = 1;
	if (r->schedule == PB_SCHEDULE_LINEAR)
		share = 1 - progress;
	else if (r->schedule == PB_SCHEDULE_COSINE)
		share = 0.5 * (1 + cos(3.14159265358979323846 * progress));
	return r->learning_rate * (r->final_share + (1 - r->final_share) * share);
}
