/* binary: the sign of each weight times the mean magnitude of its block, W^ = s sign(w), s = mean|w|, sign(0) = +1.
 * s is the least-squares scale for these signs. Stored per matrix: one bit a weight (0: -s, 1: +s), rows padded to a
 * byte, and one s a block in scale_dtype. Source: arXiv 1603.05279, eq. 6 (there: one scale a row). Deviations: none. */
#include "quantizers/quantizer.h"

#include <math.h>

static const char *const dtype_names[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_BF16, PB_F32 };

struct binary_options {
	int64_t group_size;
	int scale_dtype;
};

static const struct pb_option binary_options[] = {
	PB_OPT_INT(struct binary_options, group_size, -1, 1 << 24, -1, "consecutive weights of a row that share a scale; -1: the row, 0: the matrix"),
	PB_OPT_CHOICE(struct binary_options, scale_dtype, dtype_names, "f16", "number format of the scales"),
	PB_OPT_END
};

static double binary_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	(void)options;
	return 1.0;
}

static enum pb_status binary_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes,
	struct pb_error *err)
{
	const struct binary_options *o = options;
	(void)source_dtype;
	(void)err;
	*bytes = rows * pb_packed_bytes(PB_W1, cols) +
		pb_group_count(rows, cols, o->group_size) * pb_dtype_bytes(dtypes[o->scale_dtype]);
	return PB_OK;
}

static enum pb_status binary_fill(const void *options, const float *w, struct pb_encoded *m, float *scales, uint8_t *codes,
	struct pb_error *err)
{
	const struct binary_options *o = options;
	uint64_t blocks = pb_encoded_blocks(m), first, n;
	for (uint64_t b = 0; b < blocks; b++) {
		double sum = 0.0;
		pb_encoded_block(m, b, &first, &n);
		for (uint64_t i = first; i < first + n; i++) {
			sum += fabs((double)w[i]);
			codes[i] = w[i] >= 0.0f;
		}
		scales[b] = (float)(sum / (double)n);
	}
	enum pb_status status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, "sign", NULL, 0, PB_F32, err);
	if (!status)
		status = pb_scale_set_float(m, &m->block_scale, scales, blocks, dtypes[o->scale_dtype], err);
	return status ? status : pb_encoded_set_codes(m, PB_W1, codes, err);
}

static enum pb_status binary_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out,
	struct pb_error *err)
{
	const struct binary_options *o = options;
	return pb_quantize_blocks(job, o->group_size, binary_fill, o, out, err);
}

const struct pb_quantizer pb_quantizer_binary = {
	.name = "binary",
	.title = "Binary",
	.source = "arXiv:1603.05279",
	.family = "other",
	.help = "The sign of each weight times the mean magnitude of its group, row or matrix. "
		"Without training it is the floor that 1-bit methods are measured from.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = binary_options,
	.options_size = sizeof(struct binary_options),
	.wbits = binary_wbits,
	.plan = binary_plan,
	.quantize = binary_quantize,
};
