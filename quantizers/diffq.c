/* diffq: each matrix learns how many bits it needs, while noise stands for the rounding. With b the bits of a matrix, its least
 * and greatest weight lo and hi, and e of a normal distribution of deviation 1/2, drawn anew for each weight and update,
 *
 *   in training   W^ = W + (hi - lo) / (2^b - 1) e
 *   stored        W^ = lo + s round((W - lo) / s),   s = (hi - lo) / (2^B - 1),   B = round(b), ties to even
 *
 *   b = min_bits + (max_bits - min_bits) sigmoid(bits_rate t)
 *
 * t is trained with the weights, embedding, head and norms; the loss grows by `penalty` for each MiB (2^20 bytes) of codes,
 * n b / 2^23. With G the gradient of W^ and u = 1 / (2^b - 1):
 *
 *   dL/dW = G, and + and - u sum(G e) at hi and lo, in equal parts where several weights are hi or lo
 *   dL/dt = db/dt (sum(G (W^ - W)) (-ln 2 2^b u) + penalty n / 2^23)
 *
 * Stored per matrix: B bits a weight, rows padded to a byte, s and lo in f32. A B of 7 is made 8, which is what it would be
 * stored in. The loss that is shown is without the penalty.
 *
 * Source: arXiv 2104.09987, facebookresearch/diffq (diffq.py). Deviations: groups are whole matrices (group_size=0 there, where
 * the paper has groups of 8 weights: an encoded matrix has one width); 8 bits at most instead of 15, so they start at 6 instead
 * of 8; the recipe is ParetoQ's (quantizers/budget.h) on a finished model; the bits' logits, at bits_rate times the
 * rate of all, have a thousand updates where the code's have a hundred thousand at 1e-3. */
#include "quantizers/quantizer.h"

#include <math.h>
#include "core/base/memory.h"
#include "quantizers/budget.h"

#define MIB 8388608.0 /* bits of one */

struct diffq_options {
	struct pb_budget budget;
	double penalty, min_bits, max_bits, init_bits, bits_rate;
	int noise;
};

static const char *const noise_names[] = { "gaussian", "uniform", NULL };
enum { NOISE_GAUSSIAN, NOISE_UNIFORM };

static const struct pb_option diffq_options[] = {
	PB_OPT_REAL(struct diffq_options, penalty, 0, 1e9, 10, "what a MiB of codes adds to the loss"),
	PB_OPT_REAL(struct diffq_options, min_bits, 1, 8, 2, "bits that a matrix cannot go below"),
	PB_OPT_REAL(struct diffq_options, max_bits, 1, 8, 8, "nor above"),
	PB_OPT_REAL(struct diffq_options, init_bits, 1, 8, 6, "bits that each starts with, between the two"),
	PB_OPT_REAL(struct diffq_options, bits_rate, 1e-6, 1e6, 10, "times the learning rate: that of the bits' logits"),
	PB_OPT_CHOICE(struct diffq_options, noise, noise_names, "gaussian", "of deviation 1/2 as the code, or even in -1/2..1/2 as the paper"),
	PB_BUDGET_OPTIONS(PB_BUDGET_TOKENS, PB_BUDGET_SEQUENCES, PB_BUDGET_RATE, 0),
	PB_BUDGET_DISTILL,
	PB_OPT_END
};

/* ---- bits ---- */

static double share_of(const struct diffq_options *o, double t)
{
	return 1 / (1 + exp(-o->bits_rate * t));
}

static double bits_of(const struct diffq_options *o, float t)
{
	return o->min_bits + (o->max_bits - o->min_bits) * share_of(o, t);
}

static unsigned stored_bits(double bits)
{
	unsigned whole = (unsigned)rint(bits);

	return whole == 7 ? 8 : whole;
}

static enum pb_width width_of(unsigned bits)
{
	enum pb_width width = PB_W8;

	(void)pb_width_for_levels(1u << bits, &width); /* 1..8 bits always have one */
	return width;
}

struct range {
	float low, high;
};

static struct range range_of(const float *w, size_t n)
{
	struct range r = { w[0], w[0] };

	for (size_t i = 1; i < n; i++) {
		r.low = fminf(r.low, w[i]);
		r.high = fmaxf(r.high, w[i]);
	}
	return r;
}

/* Of the levels low + scale * code; 0 for a matrix of one value. */
static float scale_of(struct range r, unsigned bits)
{
	return (float)(((double)r.high - r.low) / ((1u << bits) - 1));
}

static unsigned code_of(float w, struct range r, float scale, unsigned bits)
{
	return scale > 0 ? (unsigned)fmin(rint(((double)w - r.low) / scale), (1u << bits) - 1) : 0;
}

/* ---- training ---- */

static uint32_t diffq_n_parameters(void *arg, uint32_t layer, enum pb_slot slot, uint32_t rows, uint32_t cols)
{
	(void)arg;
	(void)layer;
	(void)slot;
	(void)rows;
	(void)cols;
	return 1;
}

static void diffq_start(void *arg, const struct pb_parameter *m, float *latent, float *t)
{
	const struct diffq_options *o = arg;

	(void)m;
	(void)latent;
	*t = (float)(log((o->init_bits - o->min_bits) / (o->max_bits - o->init_bits)) / o->bits_rate);
}

static void diffq_forward(void *arg, const struct pb_parameter *m, const float *latent, const float *t, float *used)
{
	struct range r = range_of(latent, m->n);
	unsigned bits = stored_bits(bits_of(arg, *t));
	float scale = scale_of(r, bits);

	for (size_t i = 0; i < m->n; i++)
		used[i] = (float)code_of(latent[i], r, scale, bits) * scale + r.low;
}

static void diffq_disturb(void *arg, const struct pb_parameter *m, const float *latent, const float *t, struct pb_rng *rng, float *used)
{
	const struct diffq_options *o = arg;
	struct range r = range_of(latent, m->n);
	double step = ((double)r.high - r.low) / (exp2(bits_of(o, *t)) - 1);

	for (size_t i = 0; i < m->n; i++)
		used[i] = (float)(latent[i] + step * (o->noise == NOISE_GAUSSIAN ? pb_rng_normal(rng) / 2 : pb_rng_unit(rng) - 0.5));
}

static void diffq_backward(void *arg, const struct pb_parameter *m, const float *latent, const float *t, const float *used, float *gradient, float *t_gradient)
{
	const struct diffq_options *o = arg;
	struct range r = range_of(latent, m->n);
	double bits = bits_of(o, *t), share = share_of(o, *t), levels = exp2(bits), along = 0, by_range;
	uint64_t n_low = 0, n_high = 0;

	for (size_t i = 0; i < m->n; i++) {
		along += gradient[i] * ((double)used[i] - latent[i]);
		n_low += latent[i] == r.low;
		n_high += latent[i] == r.high;
	}
	by_range = r.high > r.low ? along / ((double)r.high - r.low) : 0;
	for (size_t i = 0; i < m->n; i++) {
		if (latent[i] == r.high)
			gradient[i] += (float)(by_range / (double)n_high);
		if (latent[i] == r.low)
			gradient[i] -= (float)(by_range / (double)n_low);
	}
	*t_gradient = (float)(o->bits_rate * (o->max_bits - o->min_bits) * share * (1 - share) *
		(along * -0.69314718055994530942 * levels / (levels - 1) + o->penalty * (double)m->n / MIB));
}

/* ---- what is stored ---- */

static enum pb_status diffq_fill(const struct diffq_options *o, const float *latent, float t, struct pb_encoded *m, uint8_t *codes, struct pb_error *err)
{
	size_t n = (size_t)m->rows * m->cols;
	struct range r = range_of(latent, n);
	unsigned bits = stored_bits(bits_of(o, t));
	float scale = scale_of(r, bits);
	enum pb_status status;

	for (size_t i = 0; i < n; i++)
		codes[i] = (uint8_t)code_of(latent[i], r, scale, bits);
	pb_encoded_set_groups(m, 0);
	status = pb_scale_set_float(m, &m->block_scale, &scale, 1, PB_F32, err);
	if (!status)
		status = pb_scale_set_float(m, &m->block_offset, &r.low, 1, PB_F32, err);
	if (!status)
		status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, "integer", NULL, 0, PB_F32, err);
	return status ? status : pb_encoded_set_codes(m, width_of(bits), codes, err);
}

static enum pb_status diffq_encode(const void *options, const struct pb_parameter *matrix, const float *latent, const float *t, struct pb_encoded **out,
	struct pb_error *err)
{
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, matrix->rows, matrix->cols, err);
	uint8_t *codes = pb_alloc(matrix->n, 1);

	if (!status)
		status = codes ? diffq_fill(options, latent, *t, m, codes, err) : pb_out_of_memory(err, "codes");
	pb_free(codes);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

static enum pb_status diffq_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	const struct diffq_options *o = options;

	(void)source_dtype;
	if (!(o->min_bits < o->init_bits && o->init_bits < o->max_bits))
		return pb_fail(err, PB_USAGE, "init_bits: %g is not between min_bits, %g, and max_bits, %g", o->init_bits, o->min_bits, o->max_bits);
	*bytes = rows * pb_packed_bytes(width_of(stored_bits(o->max_bits)), cols) + 2 * sizeof(float);
	return PB_OK;
}

static bool diffq_plan_is_bound(const void *options)
{
	(void)options;
	return true;
}

/* Each matrix has its own in the end, which follows from the text. */
static double diffq_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)options;
	(void)source_dtype;
	return NAN;
}

static unsigned diffq_needs(const void *options)
{
	(void)options;
	return PB_NEEDS_TRAINING;
}

static const struct pb_qat diffq_qat = {
	.transform = { .n_parameters = diffq_n_parameters, .start = diffq_start, .forward = diffq_forward, .disturb = diffq_disturb, .backward = diffq_backward },
	.recipe = pb_budget_recipe,
	.teacher = pb_budget_teacher,
	.encode = diffq_encode,
};

const struct pb_quantizer pb_quantizer_diffq = {
	.name = "diffq",
	.title = "DiffQ (bits a matrix)",
	.source = "arXiv:2104.09987",
	.family = "other",
	.help = "Trains the whole model with noise in place of rounding, and with it the number of bits of each matrix, against a penalty "
		"on the size. Its rows have no nominal width: the effective bits say what the matrices ended with.",
	.abi = PB_QUANTIZER_ABI,
	.version = 2,
	.needs = diffq_needs,
	.options = diffq_options,
	.options_size = sizeof(struct diffq_options),
	.wbits = diffq_wbits,
	.plan = diffq_plan,
	.plan_is_bound = diffq_plan_is_bound,
	.qat = &diffq_qat,
};
