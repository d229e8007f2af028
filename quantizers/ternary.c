/* ternary: absmean rounding of BitNet b1.58 applied to finished weights. For each block
 *
 *   g = max(mean|w|, 1e-5);   t = clamp(round(w / g), -1, +1);   W^ = g t
 *
 * with one block for the matrix as in the paper; blocks of a row or a group are variants. g is rounded to scale_dtype
 * before the codes are made; round() takes ties to even. Stored per matrix: five ternary codes (t + 1) a byte, rows
 * padded to a byte, and one g a block. Source: microsoft/unilm, "The Era of 1-bit LLMs: Training Tips, Code and FAQ"
 * (arXiv 2402.17764). Deviations: activations are not quantized, nothing is trained. */
#include "quantizers/quantizer.h"

#include <math.h>

#define SMALLEST_SCALE 1e-5 /* the reference's clamp; representable, if coarsely, in f16 */

static const char *const dtype_names[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_BF16, PB_F32 };

struct ternary_options {
	int64_t group_size;
	int scale_dtype;
};

static const struct pb_option ternary_options[] = {
	PB_OPT_INT(struct ternary_options, group_size, -1, 1 << 24, 0, "consecutive weights of a row that share a scale; -1: the row, 0: the matrix"),
	PB_OPT_CHOICE(struct ternary_options, scale_dtype, dtype_names, "f16", "number format of the scales"),
	PB_OPT_END
};

static double ternary_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	(void)options;
	return 1.58;
}

static enum pb_status ternary_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes,
	struct pb_error *err)
{
	const struct ternary_options *o = options;
	(void)source_dtype;
	(void)err;
	*bytes = rows * pb_packed_bytes(PB_W_TRIT, cols) +
		pb_group_count(rows, cols, o->group_size) * pb_dtype_bytes(dtypes[o->scale_dtype]);
	return PB_OK;
}

static enum pb_status ternary_fill(const void *options, const float *w, struct pb_encoded *m, float *scales, uint8_t *codes,
	struct pb_error *err)
{
	const struct ternary_options *o = options;
	uint64_t blocks = pb_encoded_blocks(m), first, n;
	for (uint64_t b = 0; b < blocks; b++) {
		double sum = 0.0;
		pb_encoded_block(m, b, &first, &n);
		for (uint64_t i = first; i < first + n; i++)
			sum += fabs((double)w[i]);
		scales[b] = (float)fmax(sum / (double)n, SMALLEST_SCALE);
	}
	enum pb_status status = pb_scale_set_float(m, &m->block_scale, scales, blocks, dtypes[o->scale_dtype], err);
	if (!status)
		status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, "ternary", NULL, 0, PB_F32, err);
	if (status)
		return status;
	for (uint64_t b = 0; b < blocks; b++) {
		float scale = pb_scale_at(&m->block_scale, b);
		pb_encoded_block(m, b, &first, &n);
		for (uint64_t i = first; i < first + n; i++) {
			float t = nearbyintf(w[i] / scale);
			codes[i] = t > 0.0f ? 2 : t < 0.0f ? 0 : 1;
		}
	}
	return pb_encoded_set_codes(m, PB_W_TRIT, codes, err);
}

static enum pb_status ternary_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out,
	struct pb_error *err)
{
	const struct ternary_options *o = options;
	return pb_quantize_blocks(job, o->group_size, ternary_fill, o, out, err);
}

const struct pb_quantizer pb_quantizer_ternary = {
	.name = "ternary",
	.title = "Ternary (absmean)",
	.source = "arXiv:2402.17764",
	.family = "other",
	.help = "-1, 0 or +1 times the mean magnitude, by the rounding of BitNet b1.58 and without its training. "
		"Five codes are stored in a byte, 1.6 bits a weight.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = ternary_options,
	.options_size = sizeof(struct ternary_options),
	.wbits = ternary_wbits,
	.plan = ternary_plan,
	.quantize = ternary_quantize,
};
