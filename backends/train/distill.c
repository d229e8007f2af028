#include "backends/train/distill.h"

#include <math.h>
#include <string.h>
#include "core/base/memory.h"
#include "backends/train/trainer.h"

#define TOKEN_CHUNK 32u         /* tokens of one task */
#define SHORTEST 1e-12          /* a state is divided by its length, or by this (PyTorch's normalize) */

struct pb_distiller {
	struct pb_distillation weights;
	struct pb_network_f32 *teacher;
	struct pb_extra_loss_f32 loss;
	double logits_factor, states_factor;    /* of one token's term */
	float *logits;          /* (loss_rows, n_vocab) of the teacher */
	float *rows;            /* (threads, 2 n_vocab) */
	double *sums;           /* (n): of each token */
};

/* ---- logits ---- */

struct rows {
	const struct pb_distiller *d;
	uint32_t n;
	const float *student;
	float *gradient;
	double *sums;
};

/* Probabilities of a row of logits; returns the ln of the sum of exponentials. */
static float soften(const struct pb_network_f32 *net, const float *logits, float *p)
{
	uint32_t n = net->config.n_vocab;
	float log_sum;

	memcpy(p, logits, n * sizeof *p);
	net->kernels->soften(p, n, 1, n - 1, &log_sum);
	return log_sum;
}

static void logits_task(void *arg, size_t task, unsigned worker)
{
	const struct rows *r = arg;
	const struct pb_distiller *d = r->d;
	size_t n_vocab = d->teacher->config.n_vocab;
	float *p = d->rows + worker * 2 * n_vocab, *q = p + n_vocab, factor = (float)d->logits_factor;
	uint32_t first = (uint32_t)task * TOKEN_CHUNK, end = first + TOKEN_CHUNK < r->n ? first + TOKEN_CHUNK : r->n;

	for (uint32_t i = first; i < end; i++) {
		const float *t = d->logits + i * n_vocab, *s = r->student + i * n_vocab;
		double t_log = soften(d->teacher, t, p), s_log = soften(d->teacher, s, q), sum = 0;
		bool kl = d->weights.form == PB_DISTILL_CODE;

		for (size_t k = 0; k < n_vocab; k++)
			sum += p[k] * ((kl ? t[k] - t_log : 0) - (s[k] - s_log));
		r->sums[i] = sum * d->logits_factor;
		if (!r->gradient)
			continue;
		for (size_t k = 0; k < n_vocab; k++)
			r->gradient[i * n_vocab + k] += factor * (q[k] - p[k]);
	}
}

static double sum_of(const double *sums, uint32_t n)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += sums[i];
	return sum;
}

static double logits_loss(void *arg, uint32_t first, uint32_t n, const float *logits, float *gradient)
{
	struct pb_distiller *d = arg;

	if (d->weights.logits == 0)
		return 0;
	pb_network_logits_f32(d->teacher, first, n, d->logits);
	pb_pool_run(d->teacher->pool, (n + TOKEN_CHUNK - 1) / TOKEN_CHUNK, logits_task, &(struct rows){ d, n, logits, gradient, d->sums });
	return sum_of(d->sums, n);
}

/* ---- states ---- */

struct states {
	const struct pb_distiller *d;
	const float *teacher, *student;
	float *gradient;
};

static double length_of(const float *x, uint32_t n)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (double)x[i] * x[i];
	return sqrt(sum);
}

/* With u = x / |x|: the gradient of |t - u|^2 is 2 (u (u . t) - t) / |x|. */
static void states_task(void *arg, size_t task, unsigned worker)
{
	const struct states *s = arg;
	const struct pb_distiller *d = s->d;
	uint32_t dim = d->teacher->config.dim, n = d->teacher->n;
	uint32_t first = (uint32_t)task * TOKEN_CHUNK, end = first + TOKEN_CHUNK < n ? first + TOKEN_CHUNK : n;

	(void)worker;
	for (uint32_t i = first; i < end; i++) {
		const float *t = s->teacher + (size_t)i * dim, *x = s->student + (size_t)i * dim;
		double t_length = fmax(length_of(t, dim), SHORTEST), length = fmax(length_of(x, dim), SHORTEST), distance = 0, along = 0;

		for (uint32_t k = 0; k < dim; k++) {
			double a = t[k] / t_length, b = x[k] / length;

			distance += (a - b) * (a - b);
			along += a * b;
		}
		d->sums[i] = distance * d->states_factor;
		for (uint32_t k = 0; s->gradient && k < dim; k++)
			s->gradient[(size_t)i * dim + k] += (float)(2 * d->states_factor * (x[k] / length * along - t[k] / t_length) / length);
	}
}

static double states_loss(void *arg, uint32_t state, const float *x, float *gradient)
{
	struct pb_distiller *d = arg;
	const struct pb_network_f32 *net = d->teacher;
	uint32_t left_out = d->weights.form == PB_DISTILL_CODE ? net->config.n_layers : 0;

	if (d->weights.states == 0 || state == left_out)
		return 0;
	pb_pool_run(net->pool, (net->n + TOKEN_CHUNK - 1) / TOKEN_CHUNK, states_task,
		&(struct states){ d, net->states + (size_t)state * net->n * net->config.dim, x, gradient });
	return sum_of(d->sums, net->n);
}

/* ---- the teacher ---- */

static void pass(void *arg, const int32_t *tokens)
{
	struct pb_distiller *d = arg;

	pb_network_forward_f32(d->teacher, tokens);
}

static enum pb_status open_parts(struct pb_distiller *d, const struct pb_model *teacher, const struct pb_trainer *student, struct pb_error *err)
{
	const struct pb_network_f32 *net = student->net;
	size_t n_vocab = net->config.n_vocab;
	enum pb_status st = pb_network_open_f32(&d->teacher, &net->config, net->sequences, net->length, true, NULL, student->pool, err);

	if (!st)
		st = pb_network_take_model(d->teacher, teacher, err);
	if (st)
		return st;
	pb_network_prepare_f32(d->teacher);
	d->logits = pb_alloc(net->loss_rows * n_vocab, sizeof *d->logits);
	d->rows = pb_alloc(2 * n_vocab * pb_pool_threads(student->pool), sizeof *d->rows);
	d->sums = pb_alloc(net->n, sizeof *d->sums);
	return d->logits && d->rows && d->sums ? PB_OK : pb_out_of_memory(err, "distillation");
}

enum pb_status pb_distiller_open(struct pb_distiller **out, const struct pb_distillation *weights, const struct pb_model *teacher, struct pb_trainer *student,
	struct pb_error *err)
{
	struct pb_distiller *d = pb_alloc_zero(1, sizeof *d);
	double sequences = (double)(student->recipe.sequences * student->recipe.micro_batches), tokens = sequences * (double)student->recipe.length;
	bool code = weights->form == PB_DISTILL_CODE;
	enum pb_status st;

	if (!d)
		return pb_out_of_memory(err, "distillation");
	d->weights = *weights;
	d->loss = (struct pb_extra_loss_f32){ .arg = d, .target_weight = weights->targets, .logits = logits_loss, .state = states_loss };
	d->logits_factor = weights->logits / (code ? sequences : tokens);
	d->states_factor = code ? weights->states / tokens : weights->states;
	st = open_parts(d, teacher, student, err);
	if (st) {
		pb_distiller_close(d);
		return st;
	}
	pb_trainer_add_loss(student, &d->loss, pass);
	*out = d;
	return PB_OK;
}

void pb_distiller_close(struct pb_distiller *d)
{
	if (!d)
		return;
	pb_network_close_f32(d->teacher);
	pb_free(d->logits);
	pb_free(d->rows);
	pb_free(d->sums);
	pb_free(d);
}
