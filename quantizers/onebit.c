/* onebit: one sign a weight between two vectors, and a layernorm behind each matrix, trained against the full-precision model.
 * Of a token's input x (cols) each of the seven matrices of a layer makes
 *
 *   u_k = x_k g_k;   y_i = h_i sum_k S_ik u_k;   LayerNorm(y) = (y - mean) / sqrt(variance + 1e-5), without weights
 *
 * with S = sign(W) of latent weights W. Start, SVID: h g^T is the best rank-one fit of |W| (quantizers/rank_one.h), W becomes
 * 0.01 sign(W). W, g and h are trained; embedding, head and norms are frozen. With G the gradient of S (.) h g^T:
 *
 *   dL/dW = G (.) h g^T (.) (1.001 - tanh(W)^2);   dL/dh = (G (.) S) g;   dL/dg = (G (.) S)^T h
 *
 * Losses, backends/train/distill.h: loss=code is 0.01 KL, summed over a sequence, + alpha times that of the states; loss=paper
 * is the cross-entropy + alpha times the other. No loss of the text's own tokens. g and h are rounded to vector_dtype before
 * they are used, in training too, so that what is trained is what is stored.
 *
 * What the method adds can be taken away: layernorm=no, which keeps the start's scales (with latent=weights it runs as BinaryMoS,
 * arXiv 2406.12311, with one expert); frozen=no; targets=1, the text's own tokens. With all three it is binary training with two
 * vectors a matrix. configs/onebit.yaml says what each costs.
 *
 * Stored per matrix: one bit a weight (set: minus), least bit first, rows padded to a byte, the released checkpoints'
 * packing; h (rows) and g (cols) in vector_dtype; the layernorm as the matrix's `post`.
 *
 * Source: arXiv 2402.11295 and xuyuzhuang11/OneBit (bitnet.py, build_start_ckpt.py, kd.py). Deviations: f32 instead of fp16;
 * zero=plus runs a latent 0 as +1, as it is stored, where the code has 0; g and h do not decay; the recipe is scaled down by
 * `tokens` (there 50 epochs of 132,000 texts, a rate of 1e-4 to 4e-4, 128 sequences of 2048 tokens an update: 51,000 updates. The
 * layernorm throws the start's scales away, so that updates count more than tokens: here one sequence each). */
#include "quantizers/quantizer.h"

#include <math.h>
#include "core/base/memory.h"
#include "quantizers/budget.h"
#include "quantizers/rank_one.h"
#include "quantizers/shape.h"

#define FIRST_LATENT 0.01f      /* build_start_ckpt.py */
#define SMOOTH 1.001f           /* bitnet.py */
#define LOGITS_SCALE 0.01       /* kd_loss_scale of the scripts */
#define COLUMNS 256u            /* whose gradients are held at a time */

struct onebit_options {
	struct pb_budget budget;
	double alpha, targets;
	int loss, split, zero, vector_dtype, latent;
	bool layernorm, frozen;
};

static const char *const loss_names[] = { "code", "paper", NULL };
static const char *const zero_names[] = { "plus", "zero", NULL };
static const char *const dtype_names[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_BF16, PB_F32 };
enum { LOSS_CODE, LOSS_PAPER };
static const char *const latent_names[] = { "code", "weights", NULL };
enum { ZERO_PLUS, ZERO_ZERO };
enum { LATENT_CODE, LATENT_WEIGHTS };

static const struct pb_option onebit_options[] = {
	PB_BUDGET_OPTIONS(PB_BUDGET_TOKENS, 1, 1e-2, 0.01),
	PB_OPT_CHOICE(struct onebit_options, loss, loss_names, "code", "losses against the full-precision model: those of the released code, or the paper's"),
	PB_OPT_REAL(struct onebit_options, alpha, 0, 1e6, 1, "factor of the loss of the states"),
	PB_OPT_REAL(struct onebit_options, targets, 0, 1, 0, "share of the loss that is against the text's own tokens, which neither has"),
	PB_OPT_BOOL(struct onebit_options, layernorm, 1, "no: none behind the matrices, so that the scales of the start hold"),
	PB_OPT_BOOL(struct onebit_options, frozen, 1, "no: embedding, head and norms are trained too"),
	PB_OPT_CHOICE(struct onebit_options, latent, latent_names, "code", "first latent weights: 0.01 sign(W) as the code, or the weights as they are"),
	PB_OPT_CHOICE(struct onebit_options, split, pb_split_names, "nmf", "how the first fit's size is shared between h and g"),
	PB_OPT_CHOICE(struct onebit_options, vector_dtype, dtype_names, "f16", "number format of h and g"),
	PB_OPT_CHOICE(struct onebit_options, zero, zero_names, "plus", "a latent weight of 0 runs as +1, as it is stored, or as 0, as the code"),
	PB_OPT_END
};

/* ---- training ---- */

static float sign_of(const struct onebit_options *o, float w)
{
	return w < 0 ? -1.0f : w > 0 || o->zero == ZERO_PLUS ? 1.0f : 0.0f;
}

/* An element of g or h as it is used and stored. */
static float rounded(const struct onebit_options *o, float x)
{
	switch (dtypes[o->vector_dtype]) {
	case PB_F16: return pb_f16_to_f32(pb_f32_to_f16(x));
	case PB_BF16: return pb_bf16_to_f32(pb_f32_to_bf16(x));
	default: return x;
	}
}

/* h, then g. */
static uint32_t onebit_n_parameters(void *arg, uint32_t layer, enum pb_slot slot, uint32_t rows, uint32_t cols)
{
	(void)arg;
	(void)layer;
	(void)slot;
	return rows + cols;
}

static void onebit_start(void *arg, const struct pb_parameter *m, float *latent, float *parameters)
{
	const struct onebit_options *o = arg;

	pb_rank_one(latent, m->rows, m->cols, (enum pb_split)o->split, parameters, parameters + m->rows);
	for (size_t i = 0; o->latent == LATENT_CODE && i < m->n; i++)
		latent[i] = latent[i] < 0 ? -FIRST_LATENT : latent[i] > 0 ? FIRST_LATENT : 0;
}

static void onebit_forward(void *arg, const struct pb_parameter *m, const float *latent, const float *parameters, float *used)
{
	const struct onebit_options *o = arg;
	const float *h = parameters, *g = parameters + m->rows;

	for (uint32_t first = 0; first < m->cols; first += COLUMNS) {
		uint32_t n = m->cols - first < COLUMNS ? m->cols - first : COLUMNS;
		float scales[COLUMNS];

		for (uint32_t c = 0; c < n; c++)
			scales[c] = rounded(o, g[first + c]);
		for (uint32_t r = 0; r < m->rows; r++) {
			size_t at = (size_t)r * m->cols + first;
			float scale = rounded(o, h[r]);

			for (uint32_t c = 0; c < n; c++)
				used[at + c] = sign_of(o, latent[at + c]) * scale * scales[c];
		}
	}
}

static void onebit_backward(void *arg, const struct pb_parameter *m, const float *latent, const float *parameters, const float *used, float *gradient,
	float *parameter_gradient)
{
	const struct onebit_options *o = arg;
	const float *h = parameters, *g = parameters + m->rows;
	float *dh = parameter_gradient, *dg = parameter_gradient + m->rows;

	(void)used;
	for (uint32_t r = 0; r < m->rows; r++)
		dh[r] = 0;
	for (uint32_t first = 0; first < m->cols; first += COLUMNS) {
		uint32_t n = m->cols - first < COLUMNS ? m->cols - first : COLUMNS;
		float scales[COLUMNS];
		double sums[COLUMNS] = { 0 };

		for (uint32_t c = 0; c < n; c++)
			scales[c] = rounded(o, g[first + c]);
		for (uint32_t r = 0; r < m->rows; r++) {
			const float *w = latent + (size_t)r * m->cols + first;
			float *d = gradient + (size_t)r * m->cols + first, scale = rounded(o, h[r]);
			double sum = 0;

			for (uint32_t c = 0; c < n; c++) {
				float s = sign_of(o, w[c]) * d[c], t = tanhf(w[c]);

				sum += s * scales[c];
				sums[c] += s * scale;
				d[c] *= scale * scales[c] * (SMOOTH - t * t);
			}
			dh[r] += (float)sum;
		}
		for (uint32_t c = 0; c < n; c++)
			dg[first + c] = (float)sums[c];
	}
}

static enum pb_status onebit_recipe(const void *options, uint32_t context, struct pb_recipe *recipe, struct pb_error *err)
{
	enum pb_status status = pb_budget_recipe(options, context, recipe, err);

	recipe->beta2 = 0.98;
	recipe->weight_decay = 0.01;
	return status;
}

static bool onebit_teacher(const void *options, struct pb_distillation *out)
{
	const struct onebit_options *o = options;
	bool paper = o->loss == LOSS_PAPER;

	*out = (struct pb_distillation){ .form = paper ? PB_DISTILL_PAPER : PB_DISTILL_CODE, .targets = o->targets,
		.logits = (1 - o->targets) * (paper ? 1 : LOGITS_SCALE), .states = (1 - o->targets) * o->alpha };
	return o->targets < 1;
}

static void onebit_vary(const void *options, enum pb_post *post, unsigned *frozen)
{
	const struct onebit_options *o = options;

	*post = o->layernorm ? PB_POST_LAYERNORM : PB_POST_NONE;
	*frozen = o->frozen ? 1u << PB_PARAMETER_EMBEDDING | 1u << PB_PARAMETER_NORM | 1u << PB_PARAMETER_HEAD : 0;
}

/* ---- what is stored ---- */

static enum pb_status onebit_fill(const struct onebit_options *o, const float *latent, const float *parameters, struct pb_encoded *m, uint8_t *codes,
	struct pb_error *err)
{
	enum pb_dtype dtype = dtypes[o->vector_dtype];
	uint64_t zeros = 0;
	enum pb_status status;

	for (size_t i = 0; i < (size_t)m->rows * m->cols; i++) {
		codes[i] = latent[i] < 0;
		zeros += latent[i] == 0;
	}
	if (o->zero == ZERO_ZERO && zeros)
		return pb_fail(err, PB_NUMERIC, "%llu latent weights are 0, which one bit does not hold\nzero=plus trains them as they are stored", (unsigned long long)zeros);
	m->post = o->layernorm ? PB_POST_LAYERNORM : PB_POST_NONE;
	status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, "sign_bit", NULL, 0, PB_F32, err);
	if (!status)
		status = pb_encoded_set_row_scale(m, parameters, dtype, err);
	if (!status)
		status = pb_encoded_set_col_scale(m, parameters + m->rows, dtype, err);
	return status ? status : pb_encoded_set_codes(m, PB_W1, codes, err);
}

static enum pb_status onebit_encode(const void *options, const struct pb_parameter *matrix, const float *latent, const float *parameters,
	struct pb_encoded **out, struct pb_error *err)
{
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, matrix->rows, matrix->cols, err);
	uint8_t *codes = pb_alloc(matrix->n, 1);

	if (!status)
		status = codes ? onebit_fill(options, latent, parameters, m, codes, err) : pb_out_of_memory(err, "codes");
	pb_free(codes);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

static enum pb_status onebit_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	const struct onebit_options *o = options;

	(void)source_dtype;
	(void)err;
	*bytes = rows * pb_packed_bytes(PB_W1, cols) + ((uint64_t)rows + cols) * pb_dtype_bytes(dtypes[o->vector_dtype]);
	return PB_OK;
}

static double onebit_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)options;
	(void)source_dtype;
	return 1.0;
}

/* The paper's table of sizes: one bit a weight, all else at 16 bits. */
static double onebit_paper_bytes(const void *options, const struct pb_config *config)
{
	struct pb_shape s = pb_shape_of(config);

	(void)options;
	return (double)s.weights / 8 + 2 * (double)(s.rows + s.cols + s.embeddings + s.norms);
}

static unsigned onebit_needs(const void *options)
{
	(void)options;
	return PB_NEEDS_TRAINING;
}

static const struct pb_qat onebit_qat = {
	.transform = { .n_parameters = onebit_n_parameters, .start = onebit_start, .forward = onebit_forward, .backward = onebit_backward },
	.vary = onebit_vary,
	.recipe = onebit_recipe,
	.teacher = onebit_teacher,
	.encode = onebit_encode,
};

const struct pb_quantizer pb_quantizer_onebit = {
	.name = "onebit",
	.title = "OneBit",
	.source = "arXiv:2402.11295",
	.family = "OneBit",
	.help = "One bit a weight between a vector of the inputs and one of the outputs, and a layernorm behind each matrix, trained "
		"against the full-precision model's distributions and states. The budget is given in tokens.",
	.abi = PB_QUANTIZER_ABI,
	.version = 2,
	.needs = onebit_needs,
	.options = onebit_options,
	.options_size = sizeof(struct onebit_options),
	.wbits = onebit_wbits,
	.plan = onebit_plan,
	.qat = &onebit_qat,
	.paper_bytes = onebit_paper_bytes,
};
