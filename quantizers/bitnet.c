/* bitnet: the weight quantizer of BitNet b1.58, one scale a matrix, trained straight through. With g = max(mean |W|, 1e-5),
 * from the latent weights anew in each step,
 *
 *   W^ = g clamp(round(W / g), -1, +1),   ties to even;   dL/dW = dL/dW^
 *
 * g is rounded to scale_dtype before it is used, in training too. Stored per matrix: five ternary codes a byte, rows padded to
 * a byte, and one g; as `ternary`, which is this without training. It is a baseline of ParetoQ, with ParetoQ's recipe here
 * (quantizers/budget.h).
 *
 * Source: arXiv 2402.17764, microsoft/unilm, "The Era of 1-bit LLMs: Training Tips, Code and FAQ". Deviations: a finished model
 * is trained on, activations are not quantized, no norm is added in front of the matrices. */
#include "quantizers/quantizer.h"

#include <math.h>
#include "core/base/memory.h"
#include "quantizers/budget.h"
#include "quantizers/straight_through.h"

#define LEAST_SCALE 1e-5 /* the reference's clamp */

struct bitnet_options {
	struct pb_budget budget;
	int scale_dtype;
};

static const char *const dtype_names[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_BF16, PB_F32 };

static const struct pb_option bitnet_options[] = {
	PB_BUDGET_OPTIONS(PB_BUDGET_TOKENS, PB_BUDGET_RATE, 0),
	PB_OPT_CHOICE(struct bitnet_options, scale_dtype, dtype_names, "f16", "number format of the scale"),
	PB_BUDGET_DISTILL,
	PB_OPT_END
};

/* As it is used and stored. */
static float scale_of(const struct bitnet_options *o, const float *w, size_t n)
{
	double sum = 0;
	float g;

	for (size_t i = 0; i < n; i++)
		sum += fabsf(w[i]);
	g = (float)fmax(sum / (double)n, LEAST_SCALE);
	switch (dtypes[o->scale_dtype]) {
	case PB_F16: return pb_f16_to_f32(pb_f32_to_f16(g));
	case PB_BF16: return pb_bf16_to_f32(pb_f32_to_bf16(g));
	default: return g;
	}
}

static float trit_of(float w, float g)
{
	return fminf(fmaxf(rintf(w / g), -1), 1);
}

static void bitnet_forward(void *arg, const struct pb_parameter *m, const float *latent, const float *parameters, float *used)
{
	float g = scale_of(arg, latent, m->n);

	(void)parameters;
	for (size_t i = 0; i < m->n; i++)
		used[i] = trit_of(latent[i], g) * g;
}

static enum pb_status bitnet_fill(const struct bitnet_options *o, const float *latent, struct pb_encoded *m, uint8_t *codes, struct pb_error *err)
{
	size_t n = (size_t)m->rows * m->cols;
	float g = scale_of(o, latent, n);
	enum pb_status status;

	for (size_t i = 0; i < n; i++)
		codes[i] = (uint8_t)(trit_of(latent[i], g) + 1);
	pb_encoded_set_groups(m, 0);
	status = pb_scale_set_float(m, &m->block_scale, &g, 1, dtypes[o->scale_dtype], err);
	if (!status)
		status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, "ternary", NULL, 0, PB_F32, err);
	return status ? status : pb_encoded_set_codes(m, PB_W_TRIT, codes, err);
}

static enum pb_status bitnet_encode(const void *options, const struct pb_parameter *matrix, const float *latent, const float *parameters,
	struct pb_encoded **out, struct pb_error *err)
{
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, matrix->rows, matrix->cols, err);
	uint8_t *codes = pb_alloc(matrix->n, 1);

	(void)parameters;
	if (!status)
		status = codes ? bitnet_fill(options, latent, m, codes, err) : pb_out_of_memory(err, "codes");
	pb_free(codes);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

static enum pb_status bitnet_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	const struct bitnet_options *o = options;

	(void)source_dtype;
	(void)err;
	*bytes = rows * pb_packed_bytes(PB_W_TRIT, cols) + pb_dtype_bytes(dtypes[o->scale_dtype]);
	return PB_OK;
}

static double bitnet_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)options;
	(void)source_dtype;
	return 1.58;
}

static unsigned bitnet_needs(const void *options)
{
	(void)options;
	return PB_NEEDS_TRAINING;
}

static const struct pb_qat bitnet_qat = {
	.transform = { PB_STRAIGHT_THROUGH, .forward = bitnet_forward },
	.recipe = pb_budget_recipe,
	.teacher = pb_budget_teacher,
	.encode = bitnet_encode,
};

const struct pb_quantizer pb_quantizer_bitnet = {
	.name = "bitnet",
	.title = "BitNet b1.58 (weights)",
	.source = "arXiv:2402.17764",
	.family = "other",
	.help = "Trains a finished model through the ternary rounding of BitNet b1.58, one scale a matrix. "
		"The budget is given in tokens; `ternary` is the same without training.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.needs = bitnet_needs,
	.options = bitnet_options,
	.options_size = sizeof(struct bitnet_options),
	.wbits = bitnet_wbits,
	.plan = bitnet_plan,
	.qat = &bitnet_qat,
};
