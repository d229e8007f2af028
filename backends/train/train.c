#include "backends/train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include "core/base/memory.h"
#include "core/base/rng.h"

#define DIVERGED 10.0           /* times the loss of guessing */

static size_t step_tokens(const struct pb_trainer *t)
{
	return (size_t)t->recipe.micro_batches * t->net->n;
}

enum pb_status pb_trainer_open(struct pb_trainer **out, const struct pb_config *config, const struct pb_recipe *recipe,
	const struct pb_transform_f32 *transform, struct pb_pool *pool, struct pb_error *err)
{
	enum pb_status st = pb_recipe_check(recipe, err);
	struct pb_trainer *t;

	if (st)
		return st;
	t = pb_alloc_zero(1, sizeof *t);
	if (!t)
		return pb_out_of_memory(err, "training");
	t->recipe = *recipe;
	t->pool = pool;
	st = pb_network_open_f32(&t->net, config, (uint32_t)recipe->sequences, (uint32_t)recipe->length, recipe->recompute, transform, pool, err);
	if (!st)
		st = pb_optimizer_open(&t->optimizer, &t->net->layout, recipe->states == 1, pool, err);
	if (!st) {
		t->inputs = pb_alloc(step_tokens(t), sizeof *t->inputs);
		t->targets = pb_alloc(step_tokens(t), sizeof *t->targets);
		if (!t->inputs || !t->targets)
			st = pb_out_of_memory(err, "training");
	}
	if (st)
		pb_trainer_close(t);
	else
		*out = t;
	return st;
}

void pb_trainer_close(struct pb_trainer *t)
{
	if (!t)
		return;
	pb_network_close_f32(t->net);
	pb_optimizer_close(t->optimizer);
	pb_free(t->inputs);
	pb_free(t->targets);
	pb_free(t);
}

struct pb_network_f32 *pb_trainer_network(struct pb_trainer *t)
{
	return t->net;
}

uint64_t pb_trainer_steps(const struct pb_trainer *t)
{
	return t->step;
}

void pb_trainer_freeze(struct pb_trainer *t, unsigned kinds)
{
	pb_optimizer_freeze(t->optimizer, kinds);
}

void pb_trainer_add_loss(struct pb_trainer *t, const struct pb_extra_loss_f32 *extra, void (*before)(void *arg, const int32_t *tokens))
{
	t->extra = extra;
	t->before = before;
}

/* ---- first weights ---- */

static void round_to_master(struct pb_trainer *t)
{
	float *p = t->net->parameters;

	for (size_t i = 0; t->recipe.master == 1 && i < t->net->layout.total; i++)
		p[i] = pb_bf16_to_f32(pb_f32_to_bf16(p[i]));
}

static void finish_start(struct pb_trainer *t)
{
	round_to_master(t);
	pb_network_start_f32(t->net);
	round_to_master(t);
	t->step = 0;
}

void pb_trainer_start(struct pb_trainer *t)
{
	struct pb_network_f32 *net = t->net;

	for (uint32_t i = 0; i < net->layout.transforms; i++) {
		const struct pb_parameter *p = &net->layout.parameters[i];
		struct pb_rng rng = pb_rng_make((uint64_t)t->recipe.seed, pb_rng_stream(p->name));
		bool branch_end = p->kind == PB_PARAMETER_MATRIX && (p->slot == PB_O || p->slot == PB_DOWN);
		double deviation = branch_end ? t->recipe.init / sqrt(2.0 * net->config.n_layers) : t->recipe.init;

		for (size_t k = 0; k < p->n; k++)
			net->parameters[p->first + k] = p->kind == PB_PARAMETER_NORM ? 1.0f : (float)(deviation * pb_rng_normal(&rng));
	}
	finish_start(t);
}

static bool same_shape(const struct pb_config *a, const struct pb_config *b)
{
	return a->n_vocab == b->n_vocab && a->dim == b->dim && a->n_layers == b->n_layers && a->n_heads == b->n_heads && a->n_kv_heads == b->n_kv_heads &&
		a->head_dim == b->head_dim && a->hidden == b->hidden && a->tied_head == b->tied_head && a->rope_interleaved == b->rope_interleaved;
}

static void read_tensor(const struct pb_network_f32 *net, uint32_t place, const struct pb_tensor *t)
{
	const struct pb_parameter *p = &net->layout.parameters[place];

	pb_float_read(t->dtype, t->data, 0, p->n, net->parameters + p->first);
}

enum pb_status pb_network_take_model(struct pb_network_f32 *net, const struct pb_model *model, struct pb_error *err)
{
	if (!same_shape(&net->config, &model->config))
		return pb_fail(err, PB_USAGE, "training: %s: the model's shape is not the one that is trained", model->path);
	read_tensor(net, 0, &model->embedding);
	read_tensor(net, net->layout.final_norm, &model->final_norm);
	if (!net->config.tied_head)
		read_tensor(net, net->layout.head, &model->head);
	for (uint32_t layer = 0; layer < net->config.n_layers; layer++) {
		read_tensor(net, pb_layout_norm(layer, 0), &model->attention_norm[layer]);
		read_tensor(net, pb_layout_norm(layer, 1), &model->ffn_norm[layer]);
	}
	for (uint32_t i = 0; i < model->n_matrices; i++) {
		const struct pb_matrix *m = &model->matrices[i];
		enum pb_status st = pb_matrix_read(m, net->parameters + net->layout.parameters[pb_layout_matrix(m->layer, m->slot)].first, err);

		if (st)
			return st;
	}
	if (pb_count_not_finite(net->parameters, net->layout.total))
		return pb_fail(err, PB_NUMERIC, "training: %s: weights are not finite", model->path);
	return PB_OK;
}

enum pb_status pb_trainer_take_model(struct pb_trainer *t, const struct pb_model *model, struct pb_error *err)
{
	enum pb_status st = pb_network_take_model(t->net, model, err);

	if (!st)
		finish_start(t);
	return st;
}

/* ---- steps ---- */

/* Targets there are, or an error for a token that cannot be. */
static enum pb_status check_tokens(const struct pb_trainer *t, const int32_t *inputs, const int32_t *targets, size_t *n_targets, struct pb_error *err)
{
	int64_t n_vocab = t->net->config.n_vocab;

	*n_targets = 0;
	for (size_t i = 0; i < step_tokens(t); i++) {
		if (inputs[i] < 0 || inputs[i] >= n_vocab || targets[i] < -1 || targets[i] >= n_vocab)
			return pb_fail(err, PB_USAGE, "training: step %" PRIu64 ": token %d or its target %d is outside of the vocabulary of %" PRId64, t->step + 1,
				inputs[i], targets[i], n_vocab);
		*n_targets += targets[i] >= 0;
	}
	if (!*n_targets)
		return pb_fail(err, PB_USAGE, "training: step %" PRIu64 ": no token has a target", t->step + 1);
	return PB_OK;
}

static enum pb_status check_loss(const struct pb_trainer *t, const struct pb_step *s, struct pb_error *err)
{
	double guess = log((double)t->net->config.n_vocab + 1);
	const char *what = !isfinite(s->loss) ? "the loss is not finite" : !isfinite(s->gradient_norm) ? "the gradient is not finite" : NULL;

	if (what)
		return pb_fail(err, PB_NUMERIC, "training: step %" PRIu64 ": diverged: %s", s->step, what);
	if (!t->extra && s->loss > DIVERGED * guess)
		return pb_fail(err, PB_NUMERIC, "training: step %" PRIu64 ": diverged: a loss of %.4g, over ten times that of guessing", s->step, s->loss);
	return PB_OK;
}

enum pb_status pb_trainer_step(struct pb_trainer *t, const int32_t *inputs, const int32_t *targets, struct pb_step *out, struct pb_error *err)
{
	struct pb_network_f32 *net = t->net;
	const struct pb_recipe *r = &t->recipe;
	struct pb_step s = { .step = t->step + 1, .learning_rate = pb_recipe_rate(r, t->step), .tokens = step_tokens(t) };
	size_t n_targets;
	enum pb_status st = check_tokens(t, inputs, targets, &n_targets, err);

	if (st)
		return st;
	pb_network_prepare_f32(net);
	pb_network_disturb_f32(net, (uint64_t)r->seed, t->step);
	pb_network_clear_f32(net);
	for (int64_t i = 0; i < r->micro_batches; i++) {
		size_t at = (size_t)i * net->n;

		if (t->before && t->extra)
			t->before(t->extra->arg, inputs + at);
		s.loss += pb_network_run_f32(net, inputs + at, targets + at, 1.0 / (double)n_targets, true, t->extra);
	}
	pb_network_finish_f32(net);
	s.gradient_norm = pb_optimizer_norm(t->optimizer, net->gradient);
	st = check_loss(t, &s, err);
	if (st)
		return st;

	struct pb_adam adam = { .rate = s.learning_rate, .beta1 = r->beta1, .beta2 = r->beta2, .epsilon = r->epsilon, .decay = r->weight_decay,
		.gradient_scale = 1, .step = s.step, .bf16 = r->master == 1 };
	if (r->clip > 0 && s.gradient_norm > r->clip)
		adam.gradient_scale = r->clip / s.gradient_norm;
	pb_optimizer_update(t->optimizer, &adam, net->parameters, net->gradient);
	t->step++;
	*out = s;
	return PB_OK;
}

enum pb_status pb_trainer_advance(struct pb_trainer *t, struct pb_batches *data, struct pb_step *out, struct pb_error *err)
{
	uint32_t n = (uint32_t)(t->recipe.micro_batches * t->recipe.sequences);

	if (data->length != (uint32_t)t->recipe.length)
		return pb_fail(err, PB_USAGE, "training: the data are cut into sequences of %u tokens, the recipe says %lld", data->length, (long long)t->recipe.length);
	pb_batches_take(data, t->step * n, n, t->inputs, t->targets);
	return pb_trainer_step(t, t->inputs, t->targets, out, err);
}

/* ---- squared gradients ---- */

#define SQUARE_CHUNK 16384u

struct squares {
	const struct pb_network_f32 *net;
	float *sums;
};

static void square_task(void *arg, size_t task, unsigned worker)
{
	const struct squares *s = arg;
	size_t first = task * SQUARE_CHUNK, end = first + SQUARE_CHUNK < s->net->layout.total ? first + SQUARE_CHUNK : s->net->layout.total;

	(void)worker;
	for (size_t i = first; i < end; i++)
		s->sums[i] += s->net->gradient[i] * s->net->gradient[i];
}

double pb_fisher_add(struct pb_network_f32 *net, const int32_t *tokens, const int32_t *targets, float *sums)
{
	uint32_t n = 0;
	double loss;

	for (uint32_t i = 0; i < net->n; i++)
		n += targets[i] >= 0;
	if (!n)
		return 0;
	pb_network_clear_f32(net);
	loss = pb_network_run_f32(net, tokens, targets, 1.0 / n, true, NULL);
	pb_pool_run(net->pool, (net->layout.total + SQUARE_CHUNK - 1) / SQUARE_CHUNK, square_task, &(struct squares){ net, sums });
	return loss;
}
