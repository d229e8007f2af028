/* finetune: the full-precision model trained on with a budget, as the trained methods are, so that what their extra tokens
 * give is not taken for a merit of their grids. Weights run rounded to dtype, W^ = round(W), and are trained straight
 * through the rounding, with embedding, head and norms. Stored per matrix: rows x cols numbers of dtype. The recipe is ParetoQ's
 * (quantizers/budget.h). */
#include "quantizers/quantizer.h"

#include "quantizers/budget.h"
#include "quantizers/straight_through.h"

struct finetune_options {
	struct pb_budget budget;
	int dtype;
};

static const char *const dtype_names[] = { "bf16", "f16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_BF16, PB_F16, PB_F32 };

static const struct pb_option finetune_options[] = {
	PB_BUDGET_OPTIONS(PB_BUDGET_TOKENS, PB_BUDGET_SEQUENCES, PB_BUDGET_RATE, 0),
	PB_OPT_CHOICE(struct finetune_options, dtype, dtype_names, "bf16", "number format of the weights"),
	PB_BUDGET_DISTILL,
	PB_OPT_END
};

static enum pb_dtype dtype_of(const void *options)
{
	return dtypes[((const struct finetune_options *)options)->dtype];
}

static double finetune_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	return 8.0 * (double)pb_dtype_bytes(dtype_of(options));
}

static enum pb_status finetune_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	(void)source_dtype;
	(void)err;
	*bytes = (uint64_t)rows * cols * pb_dtype_bytes(dtype_of(options));
	return PB_OK;
}

static void finetune_forward(void *arg, const struct pb_parameter *m, const float *latent, const float *parameters, float *used)
{
	enum pb_dtype dtype = dtype_of(arg);

	(void)parameters;
	for (size_t i = 0; i < m->n; i++)
		used[i] = dtype == PB_BF16 ? pb_bf16_to_f32(pb_f32_to_bf16(latent[i])) : dtype == PB_F16 ? pb_f16_to_f32(pb_f32_to_f16(latent[i])) : latent[i];
}

static enum pb_status finetune_encode(const void *options, const struct pb_parameter *matrix, const float *latent, const float *parameters,
	struct pb_encoded **out, struct pb_error *err)
{
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, matrix->rows, matrix->cols, err);

	(void)parameters;
	if (!status)
		status = pb_encoded_set_dense(m, latent, dtype_of(options), err);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

static unsigned finetune_needs(const void *options)
{
	(void)options;
	return PB_NEEDS_TRAINING;
}

static const struct pb_qat finetune_qat = {
	.transform = { PB_STRAIGHT_THROUGH, .forward = finetune_forward },
	.recipe = pb_budget_recipe,
	.teacher = pb_budget_teacher,
	.encode = finetune_encode,
};

const struct pb_quantizer pb_quantizer_finetune = {
	.name = "finetune",
	.title = "Full precision, trained on",
	.source = "paretobench",
	.family = "full precision",
	.help = "The full-precision model trained on with a budget, without quantization: the fair reference for methods that are trained "
		"on as many tokens.",
	.abi = PB_QUANTIZER_ABI,
	.version = 2,
	.needs = finetune_needs,
	.options = finetune_options,
	.options_size = sizeof(struct finetune_options),
	.wbits = finetune_wbits,
	.plan = finetune_plan,
	.qat = &finetune_qat,
};
