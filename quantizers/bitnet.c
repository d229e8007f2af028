/* bitnet: the weight quantizers of BitNet, one scale a matrix, trained straight through. With g = max(mean |W|, 1e-5) and
 * m = mean W, from the latent weights anew in each step,
 *
 *   bits   W^
 *   1      g sign(W - m), sign(0) = -1             BitNet
 *   1.58   g clamp(round(W / g), -1, +1), ties to even   BitNet b1.58
 *
 * and dL/dW = dL/dW^. g is rounded to scale_dtype before it is used, in training too. Stored per matrix: one bit a weight, or
 * five ternary codes a byte, rows padded to a byte, and one g; ternary as `ternary`, which is this without training. They are
 * baselines of ParetoQ and OneBit, with ParetoQ's recipe here (quantizers/budget.h).
 *
 * Source: arXiv 2310.11453, 2.1 (1 bit); arXiv 2402.17764, microsoft/unilm, "The Era of 1-bit LLMs: Training Tips, Code and FAQ".
 * Deviations: a finished model is trained on, activations are not quantized, no norm is added in front of the matrices. */
#include "quantizers/quantizer.h"

#include <math.h>
#include "core/base/memory.h"
#include "quantizers/budget.h"
#include "quantizers/straight_through.h"

#define LEAST_SCALE 1e-5 /* the reference's clamp */

struct bitnet_options {
	struct pb_budget budget;
	int bits, scale_dtype;
};

enum { BITS_1, BITS_1_58 };
static const char *const bits_names[] = { "1", "1.58", NULL };
static const struct grid {
	double wbits;
	enum pb_width width;
	const char *levels;
} grids[] = { { 1, PB_W1, "sign" }, { 1.58, PB_W_TRIT, "ternary" } };

static const char *const dtype_names[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_BF16, PB_F32 };

static const struct pb_option bitnet_options[] = {
	PB_OPT_CHOICE(struct bitnet_options, bits, bits_names, "1.58", "1: signs about the mean, as the first BitNet; 1.58: ternary, as b1.58"),
	PB_BUDGET_OPTIONS(PB_BUDGET_TOKENS, PB_BUDGET_SEQUENCES, PB_BUDGET_RATE, 0),
	PB_OPT_CHOICE(struct bitnet_options, scale_dtype, dtype_names, "f16", "number format of the scale"),
	PB_BUDGET_DISTILL,
	PB_OPT_END
};

/* Of a matrix: its scale as it is used and stored, and what its signs are about. */
struct centre {
	float scale, mean;
};

static struct centre centre_of(const struct bitnet_options *o, const float *w, size_t n)
{
	double size = 0, sum = 0;
	float g;

	for (size_t i = 0; i < n; i++) {
		size += fabsf(w[i]);
		sum += w[i];
	}
	g = (float)fmax(size / (double)n, LEAST_SCALE);
	if (dtypes[o->scale_dtype] == PB_F16)
		g = pb_f16_to_f32(pb_f32_to_f16(g));
	else if (dtypes[o->scale_dtype] == PB_BF16)
		g = pb_bf16_to_f32(pb_f32_to_bf16(g));
	return (struct centre){ g, (float)(sum / (double)n) };
}

static unsigned code_of(const struct bitnet_options *o, float w, struct centre c)
{
	return o->bits == BITS_1 ? w > c.mean : (unsigned)(fminf(fmaxf(rintf(w / c.scale), -1), 1) + 1);
}

static float level_of(const struct bitnet_options *o, unsigned code)
{
	return o->bits == BITS_1 ? 2 * (float)code - 1 : (float)code - 1;
}

static void bitnet_forward(void *arg, const struct pb_parameter *m, const float *latent, const float *parameters, float *used)
{
	struct centre c = centre_of(arg, latent, m->n);

	(void)parameters;
	for (size_t i = 0; i < m->n; i++)
		used[i] = level_of(arg, code_of(arg, latent[i], c)) * c.scale;
}

static enum pb_status bitnet_fill(const struct bitnet_options *o, const float *latent, struct pb_encoded *m, uint8_t *codes, struct pb_error *err)
{
	size_t n = (size_t)m->rows * m->cols;
	struct centre c = centre_of(o, latent, n);
	enum pb_status status;

	for (size_t i = 0; i < n; i++)
		codes[i] = (uint8_t)code_of(o, latent[i], c);
	pb_encoded_set_groups(m, 0);
	status = pb_scale_set_float(m, &m->block_scale, &c.scale, 1, dtypes[o->scale_dtype], err);
	if (!status)
		status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, grids[o->bits].levels, NULL, 0, PB_F32, err);
	return status ? status : pb_encoded_set_codes(m, grids[o->bits].width, codes, err);
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
	*bytes = rows * pb_packed_bytes(grids[o->bits].width, cols) + pb_dtype_bytes(dtypes[o->scale_dtype]);
	return PB_OK;
}

static double bitnet_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	return grids[((const struct bitnet_options *)options)->bits].wbits;
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
	.title = "BitNet (weights)",
	.source = "arXiv:2402.17764",
	.family = "other",
	.help = "Trains a finished model through the ternary rounding of BitNet b1.58, or the signs of the first BitNet, one scale a matrix. "
		"The budget is given in tokens; `ternary` is the first without training.",
	.abi = PB_QUANTIZER_ABI,
	.version = 2,
	.needs = bitnet_needs,
	.options = bitnet_options,
	.options_size = sizeof(struct bitnet_options),
	.wbits = bitnet_wbits,
	.plan = bitnet_plan,
	.qat = &bitnet_qat,
};
