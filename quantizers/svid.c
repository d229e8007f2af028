/* svid: sign-value-independent decomposition alone, W^ = S (.) h g^T with S = sign(W), sign(0) = +1, and h g^T the best
 * rank-one fit of |W| (quantizers/rank_one.h). It is OneBit's start without its layernorm and without training, the
 * training-free 1-bit baseline beside `binary`, which has one scale a row. Stored per matrix: one bit a weight (set: minus), rows
 * padded to a byte, h (rows) and g (cols) in vector_dtype. Source: arXiv 2402.11295, 3.3. Deviations: none. */
#include "quantizers/quantizer.h"

#include "core/base/memory.h"
#include "quantizers/rank_one.h"

static const char *const dtype_names[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_BF16, PB_F32 };

struct svid_options {
	int vector_dtype, split;
};

static const struct pb_option svid_options[] = {
	PB_OPT_CHOICE(struct svid_options, vector_dtype, dtype_names, "f16", "number format of the two vectors"),
	PB_OPT_CHOICE(struct svid_options, split, pb_split_names, "svd", "how the fit's size is shared between them; it only matters for rounding"),
	PB_OPT_END
};

static double svid_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)options;
	(void)source_dtype;
	return 1.0;
}

static enum pb_status svid_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	const struct svid_options *o = options;

	(void)source_dtype;
	(void)err;
	*bytes = rows * pb_packed_bytes(PB_W1, cols) + ((uint64_t)rows + cols) * pb_dtype_bytes(dtypes[o->vector_dtype]);
	return PB_OK;
}

static enum pb_status svid_fill(const struct svid_options *o, const struct pb_quantize_job *job, struct pb_encoded *m, float *h, float *g, uint8_t *codes,
	struct pb_error *err)
{
	enum pb_dtype dtype = dtypes[o->vector_dtype];
	enum pb_status status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, "sign_bit", NULL, 0, PB_F32, err);

	pb_rank_one(job->weights, job->rows, job->cols, (enum pb_split)o->split, h, g);
	for (size_t i = 0; i < (size_t)job->rows * job->cols; i++)
		codes[i] = job->weights[i] < 0;
	if (!status)
		status = pb_encoded_set_row_scale(m, h, dtype, err);
	if (!status)
		status = pb_encoded_set_col_scale(m, g, dtype, err);
	return status ? status : pb_encoded_set_codes(m, PB_W1, codes, err);
}

static enum pb_status svid_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, job->rows, job->cols, err);
	if (status)
		return status;
	float *h = pb_alloc(job->rows, sizeof *h), *g = pb_alloc(job->cols, sizeof *g);
	uint8_t *codes = pb_alloc((size_t)job->rows * job->cols, 1);

	status = h && g && codes ? svid_fill(options, job, m, h, g, codes, err) : pb_out_of_memory(err, "codes");
	pb_free(h);
	pb_free(g);
	pb_free(codes);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

const struct pb_quantizer pb_quantizer_svid = {
	.name = "svid",
	.title = "SVID (no LN, no KD)",
	.source = "arXiv:2402.11295",
	.family = "OneBit",
	.help = "The sign of each weight times a value of its row and a value of its column, the best rank-one fit of the magnitudes. "
		"It needs no data; it is what OneBit's training starts from, without the layernorm.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = svid_options,
	.options_size = sizeof(struct svid_options),
	.wbits = svid_wbits,
	.plan = svid_plan,
	.quantize = svid_quantize,
};
