/* skeleton: a quantizer to copy. It works: plain 4-bit round to nearest with one scale a row,
 *
 *   s_r = max|W_r| / 7;   code = round(W / s_r) + 8 in 1..15;   W^ = (code - 8) s_r
 *
 * Say here, in this order: what the method does, in two sentences; the formula with its shapes; exactly what is stored
 * per matrix, in which order and width, so that a reader can check the size; the paper and the implementation that was
 * followed; every deviation from them. For this file: rows x ceil(cols / 2) bytes of codes and one f16 scale a row.
 *
 * This file is compiled by every build as a shared object and is never in the registry. Try it without touching the
 * program:    paretobench eval MODEL --plugin build/release/quantizers/skeleton.so -q skeleton:clip=0.9 -t TASK
 * To add a method to the tree: copy this file to quantizers/NAME.c, replace every `skeleton`, name the struct at the
 * end pb_quantizer_NAME, declare and list it in quantizers/registry.c, and write a test of known numbers in tests/unit/test_NAME.c. */

/* The interface, and with it tensors, levels, encoded matrices, options and random numbers. Nothing of other plugins. */
#include "quantizers/quantizer.h"

#include <math.h>

/* Constants have a name and a comment that says where they come from. */
#define BITS 4
#define TOP 7 /* codes -7..7: the map is symmetric, -8 is not used */

/* The options: a plain struct, and a table that describes it. From the table come parsing ("skeleton:clip=0.9"), range
 * checks, `paretobench help skeleton`, and the options column of every row. A field's type follows from the macro:
 * PB_OPT_INT int64_t, PB_OPT_REAL double, PB_OPT_BOOL bool, PB_OPT_CHOICE int (the index of the choice). */
struct skeleton_options {
	double clip;
};

static const struct pb_option skeleton_options[] = {
	/* struct, field, least, greatest, default, help with the unit */
	PB_OPT_REAL(struct skeleton_options, clip, 0.1, 1.0, 1.0, "share of the largest magnitude of a row that is kept"),
	PB_OPT_END
};

/* The width that the method's name says, for labels and axes. Not a measurement: the bytes are counted. */
static double skeleton_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	(void)options;
	return BITS;
}

/* The bytes that quantize will store for this shape, before any work: a sweep is costed by it, and a result with other
 * bytes is refused. Options that do not go together, or not with this shape, are refused here: PB_USAGE when the user
 * asked for something impossible, PB_UNSUPPORTED when this plugin does not do it. */
static enum pb_status skeleton_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes,
	struct pb_error *err)
{
	(void)options;
	(void)source_dtype;
	(void)err;
	*bytes = rows * pb_packed_bytes(PB_W4, cols) + (uint64_t)rows * pb_dtype_bytes(PB_F16);
	return PB_OK;
}

/* The work on the matrix, apart from getting and giving back memory. Steps are named as the paper names them. */
static enum pb_status skeleton_fill(const struct skeleton_options *o, const struct pb_quantize_job *job, struct pb_encoded *m,
	float *scales, uint8_t *codes, struct pb_error *err)
{
	const float *w = job->weights; /* (rows, cols), finite: the caller has checked */
	uint64_t cols = job->cols;
	for (uint64_t r = 0; r < job->rows; r++) {
		float largest = 0.0f;
		for (uint64_t c = 0; c < cols; c++)
			largest = fmaxf(largest, fabsf(w[r * cols + c]));
		scales[r] = (float)(largest * o->clip / TOP);
	}
	/* Blocks share a scale; group_size -1 is a block a row. The setters copy, round to the dtype, and refuse numbers that
	 * are not finite. */
	pb_encoded_set_groups(m, -1);
	enum pb_status status = pb_scale_set_float(m, &m->block_scale, scales, job->rows, PB_F16, err);
	/* Levels by name cost no bytes: "signed:4" is code - 8. Levels of your own: PB_LEVELS_TENSOR or PB_LEVELS_ROW. */
	if (!status)
		status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, "signed:4", NULL, 0, PB_F32, err);
	if (status)
		return status;
	for (uint64_t r = 0; r < job->rows; r++) {
		/* Code with the number that was stored, not with the one before rounding. */
		float scale = pb_scale_at(&m->block_scale, r);
		for (uint64_t c = 0; c < cols; c++) {
			float q = scale > 0.0f ? nearbyintf(w[r * cols + c] / scale) : 0.0f;
			codes[r * cols + c] = (uint8_t)(8 + (int)fminf(fmaxf(q, -TOP), TOP));
		}
	}
	return pb_encoded_set_codes(m, PB_W4, codes, err);
}

/* One matrix in, an encoded matrix out. Called in parallel for different matrices, so nothing static is written. Random
 * numbers come from a copy of job->rng, the matrix's own stream: results depend on no order and no thread. Memory comes
 * from core/base/memory.h; memory of the result belongs to the result's arena. On failure *out stays as it was and err
 * holds one sentence "what: why"; the names of plugin and matrix are put in front by the caller. */
static enum pb_status skeleton_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out,
	struct pb_error *err)
{
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, job->rows, job->cols, err);
	if (status)
		return status;
	float *scales = pb_alloc(job->rows, sizeof *scales);
	uint8_t *codes = pb_alloc((size_t)job->rows * job->cols, 1);
	status = scales && codes ? skeleton_fill(options, job, m, scales, codes, err) : pb_out_of_memory(err, "codes");
	pb_free(scales);
	pb_free(codes);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

/* The only thing that the world sees. In a shared object it is called pb_plugin. */
const struct pb_quantizer pb_plugin = {
	.name = "skeleton",
	.title = "Skeleton",
	.source = "paretobench",           /* "arXiv:NNNN.NNNNN" of the paper */
	.family = "other",                 /* gives colour and marker in figures */
	.help = "The example that new quantizers are copied from: 4-bit round to nearest with one scale a row.",
	.abi = PB_QUANTIZER_ABI,           /* the interface that this file was compiled for */
	.version = 1,                      /* raise it when the numbers change: old results become stale */
	.options = skeleton_options,
	.options_size = sizeof(struct skeleton_options),
	.wbits = skeleton_wbits,
	.plan = skeleton_plan,
	.quantize = skeleton_quantize,
	/* .needs says what it wants to know of the data: activations (job->second_moment), gradients (job->gradient_sq). */
};
