/* llm_qat: the weight quantizer of LLM-QAT, symmetric min-max of each row, trained straight through. With s = max |W_r| / top,
 * top = 2^(bits-1) - 1 (1 at 1.58 bits), from the latent weights anew in each step,
 *
 *   W^ = s clamp(round(W / s), -top, top),   ties to even;   dL/dW = dL/dW^
 *
 * s is rounded to scale_dtype before it is used, in training too. Stored per matrix: codes (the lowest is not used; at 1.58 bits
 * five ternary ones a byte), rows padded to a byte, and one s a row. It is the baseline of ParetoQ and OneBit; here it has ParetoQ's recipe (quantizers/budget.h).
 *
 * Source: arXiv 2305.17888, facebookresearch/LLM-QAT, as in the two papers. Deviations: activations and KV cache are not
 * quantized; the text is the sweep's, not of the model's own making; distillation is an option (distill=1 is the paper's). */
#include "quantizers/quantizer.h"

#include <math.h>
#include "core/base/memory.h"
#include "quantizers/budget.h"
#include "quantizers/straight_through.h"

struct llm_qat_options {
	struct pb_budget budget;
	int bits, scale_dtype;
};

static const char *const bits_names[] = { "1.58", "2", "3", "4", "5", "6", "8", NULL };
static const struct grid {
	double wbits;
	enum pb_width width;
	int top;
	const char *levels;
	int first;              /* code of the level -top */
} grids[] = {
	{ 1.58, PB_W_TRIT, 1, "ternary", 0 },
	{ 2, PB_W2, 1, "signed:2", 1 },
	{ 3, PB_W3, 3, "signed:3", 1 },
	{ 4, PB_W4, 7, "signed:4", 1 },
	{ 5, PB_W5, 15, "signed:5", 1 },
	{ 6, PB_W6, 31, "signed:6", 1 },
	{ 8, PB_W8, 127, "signed:8", 1 },
};

static const char *const dtype_names[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_BF16, PB_F32 };

static const struct pb_option llm_qat_options[] = {
	PB_OPT_CHOICE(struct llm_qat_options, bits, bits_names, "4", "bits a code; 1.58 has the levels of 2 in less room"),
	PB_BUDGET_OPTIONS(PB_BUDGET_TOKENS, PB_BUDGET_SEQUENCES, PB_BUDGET_RATE, 0),
	PB_OPT_CHOICE(struct llm_qat_options, scale_dtype, dtype_names, "f16", "number format of the scales"),
	PB_BUDGET_DISTILL,
	PB_OPT_END
};

static float top_of(const struct llm_qat_options *o)
{
	return (float)grids[o->bits].top;
}

/* The scale of a row as it is used and stored; 0 for a row without size. */
static float scale_of(const struct llm_qat_options *o, const float *w, uint32_t n)
{
	float most = 0, s;

	for (uint32_t i = 0; i < n; i++)
		most = fmaxf(most, fabsf(w[i]));
	s = most / top_of(o);
	switch (dtypes[o->scale_dtype]) {
	case PB_F16: return pb_f16_to_f32(pb_f32_to_f16(s));
	case PB_BF16: return pb_bf16_to_f32(pb_f32_to_bf16(s));
	default: return s;
	}
}

static float step_of(float top, float w, float s)
{
	return s > 0 ? fminf(fmaxf(rintf(w / s), -top), top) : 0;
}

static void llm_qat_forward(void *arg, const struct pb_parameter *m, const float *latent, const float *parameters, float *used)
{
	const struct llm_qat_options *o = arg;
	float top = top_of(o);

	(void)parameters;
	for (uint32_t r = 0; r < m->rows; r++) {
		const float *w = latent + (size_t)r * m->cols;
		float *out = used + (size_t)r * m->cols, s = scale_of(o, w, m->cols);

		for (uint32_t c = 0; c < m->cols; c++)
			out[c] = step_of(top, w[c], s) * s;
	}
}

static enum pb_status llm_qat_fill(const struct llm_qat_options *o, const float *latent, struct pb_encoded *m, float *scales, uint8_t *codes,
	struct pb_error *err)
{
	const struct grid *g = &grids[o->bits];
	float top = top_of(o);
	enum pb_status status;

	for (uint32_t r = 0; r < m->rows; r++) {
		const float *w = latent + (size_t)r * m->cols;

		scales[r] = scale_of(o, w, m->cols);
		for (uint32_t c = 0; c < m->cols; c++)
			codes[(size_t)r * m->cols + c] = (uint8_t)(step_of(top, w[c], scales[r]) + top + (float)g->first);
	}
	pb_encoded_set_groups(m, -1);
	status = pb_scale_set_float(m, &m->block_scale, scales, m->rows, dtypes[o->scale_dtype], err);
	if (!status)
		status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, g->levels, NULL, 0, PB_F32, err);
	return status ? status : pb_encoded_set_codes(m, g->width, codes, err);
}

static enum pb_status llm_qat_encode(const void *options, const struct pb_parameter *matrix, const float *latent, const float *parameters,
	struct pb_encoded **out, struct pb_error *err)
{
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, matrix->rows, matrix->cols, err);
	float *scales = pb_alloc(matrix->rows, sizeof *scales);
	uint8_t *codes = pb_alloc(matrix->n, 1);

	(void)parameters;
	if (!status)
		status = scales && codes ? llm_qat_fill(options, latent, m, scales, codes, err) : pb_out_of_memory(err, "codes");
	pb_free(scales);
	pb_free(codes);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

static enum pb_status llm_qat_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	const struct llm_qat_options *o = options;

	(void)source_dtype;
	(void)err;
	*bytes = rows * pb_packed_bytes(grids[o->bits].width, cols) + (uint64_t)rows * pb_dtype_bytes(dtypes[o->scale_dtype]);
	return PB_OK;
}

static double llm_qat_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	return grids[((const struct llm_qat_options *)options)->bits].wbits;
}

static unsigned llm_qat_needs(const void *options)
{
	(void)options;
	return PB_NEEDS_TRAINING;
}

static const struct pb_qat llm_qat_qat = {
	.transform = { PB_STRAIGHT_THROUGH, .forward = llm_qat_forward },
	.recipe = pb_budget_recipe,
	.teacher = pb_budget_teacher,
	.encode = llm_qat_encode,
};

const struct pb_quantizer pb_quantizer_llm_qat = {
	.name = "llm_qat",
	.title = "LLM-QAT (weights)",
	.source = "arXiv:2305.17888",
	.family = "other",
	.help = "Trains the model through symmetric rounding to whole multiples of a row's largest magnitude, the baseline of ParetoQ and "
		"OneBit. The budget is given in tokens.",
	.abi = PB_QUANTIZER_ABI,
	.version = 2,
	.needs = llm_qat_needs,
	.options = llm_qat_options,
	.options_size = sizeof(struct llm_qat_options),
	.wbits = llm_qat_wbits,
	.plan = llm_qat_plan,
	.qat = &llm_qat_qat,
};
