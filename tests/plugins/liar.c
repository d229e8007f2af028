/* A quantizer that plans fewer bytes than it stores. */
#include "quantizers/quantizer.h"

static const struct pb_option options[] = { PB_OPT_END };

static double liar_wbits(const void *opts, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	(void)opts;
	return 1;
}

static enum pb_status liar_plan(const void *opts, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	(void)opts, (void)source_dtype, (void)err;
	*bytes = rows * (((uint64_t)cols + 7) / 8);
	return PB_OK;
}

static enum pb_status liar_quantize(const void *opts, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	(void)opts;
	struct pb_encoded *m;
	enum pb_status status = pb_encoded_new(&m, job->rows, job->cols, err);
	if (status != PB_OK)
		return status;
	status = pb_encoded_set_dense(m, job->weights, PB_F32, err);
	if (status != PB_OK) {
		pb_encoded_free(m);
		return status;
	}
	*out = m;
	return PB_OK;
}

const struct pb_quantizer pb_plugin = {
	.name = "liar",
	.title = "Liar",
	.source = "tests/plugins/liar.c",
	.family = "other",
	.help = "Plans one bit a weight and stores 32.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = options,
	.wbits = liar_wbits,
	.plan = liar_plan,
	.quantize = liar_quantize,
};
