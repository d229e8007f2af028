/* rtn: uniform round to nearest. For each block of weights x, with b bits and top = 2^b - 1:
 *
 *   asymmetric, zero=integer   lo = min(0, min x), hi = max(0, max x);  s = (hi - lo) / top;  z = round(-lo / s)
 *                              code = clamp(round(x / s) + z, 0, top);  W^ = (code - z) s
 *   asymmetric, zero=float     lo = min x, hi = max x;  s = (hi - lo) / top;  o = lo
 *                              code = clamp(round((x - o) / s), 0, top);  W^ = code s + o
 *   symmetric                  s = 2 max|x| / top;  code = clamp(round(x / s) + 2^(b-1), 0, top);  W^ = (code - 2^(b-1)) s
 *
 * A block of zeros counts as lo = -1, hi = +1 (integer zero points and symmetric). s and o are rounded to scale_dtype
 * before z and the codes are made, an s that would round to 0 becomes the smallest number of the dtype; round() takes
 * ties to even. The symmetric top value is clipped by half a step, as in the reference.
 *
 * search: the range is shrunk by 1 - 0.8 i / search_steps for i = 0, 1, ..., search_steps - 1, towards 0 (zero=float:
 * towards its middle), and the i with the smallest squared error of the block is kept, the smallest i of equals.
 *
 * Stored per matrix: codes, b bits each, rows padded to a byte; one s a block; asymmetric: one z of b bits a block in one
 * packed run, or one o a block in scale_dtype. Levels are implied by name.
 *
 * Source: the RTN baseline of arXiv 2210.17323 (IST-DASLab/gptq, quant.py). Deviations: codes are made with the stored
 * scale; the symmetric range of a block without negative numbers is not halved; the search minimises squared error
 * instead of a power of 2.4. */
#include "quantizers/quantizer.h"

#include <math.h>

#define SHRINK_SPAN 0.8 /* quant.py: maxshrink = .8 over grid = 100 steps */

enum { SYMMETRIC, ASYMMETRIC };
enum { ZERO_INTEGER, ZERO_FLOAT };
static const char *const mode_names[] = { "symmetric", "asymmetric", NULL };
static const char *const zero_names[] = { "integer", "float", NULL };
static const char *const dtype_names[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_BF16, PB_F32 };
static const float smallest[] = { 0x1p-24f, 0x1p-133f, 0x1p-149f }; /* positive numbers of each dtype */

struct rtn_options {
	int64_t bits, group_size, search_steps;
	int mode, zero, scale_dtype;
	bool search;
};

static const struct pb_option rtn_options[] = {
	PB_OPT_INT(struct rtn_options, bits, 2, 8, 4, "bits a code: 2, 3, 4, 5, 6 or 8"),
	PB_OPT_INT(struct rtn_options, group_size, -1, 1 << 24, -1, "consecutive weights of a row that share a scale; -1: the row, 0: the matrix"),
	PB_OPT_CHOICE(struct rtn_options, mode, mode_names, "asymmetric", "range about 0, or from the least to the greatest weight"),
	PB_OPT_CHOICE(struct rtn_options, zero, zero_names, "integer", "asymmetric: a zero point of `bits` bits, or an offset in scale_dtype"),
	PB_OPT_CHOICE(struct rtn_options, scale_dtype, dtype_names, "f16", "number format of scales and offsets"),
	PB_OPT_BOOL(struct rtn_options, search, 0, "choose each block's range by its squared error"),
	PB_OPT_INT(struct rtn_options, search_steps, 1, 1000, 80, "shrink factors that the search tries"),
	PB_OPT_END
};

/* A block's numbers as they will be stored; zero is an integer unless offset is in use. */
struct grid {
	float scale, offset;
	int zero;
};

static float rtn_rounded(const struct rtn_options *o, float x)
{
	float y = x;
	pb_float_write(dtypes[o->scale_dtype], &x, 1, &y);
	return pb_float_at(dtypes[o->scale_dtype], &y, 0);
}

static float rtn_scale(const struct rtn_options *o, double lo, double hi)
{
	float scale = rtn_rounded(o, (float)((hi - lo) / ((1 << o->bits) - 1)));
	return scale > 0.0f || hi == lo ? scale : smallest[o->scale_dtype];
}

static int rtn_clamp(float code, int top)
{
	return code > 0.0f ? (code < (float)top ? (int)code : top) : 0;
}

/* The grid for the range [lo, hi] of a block, shrunk by `keep`. */
static struct grid rtn_grid(const struct rtn_options *o, double lo, double hi, double keep)
{
	int top = (1 << o->bits) - 1;
	struct grid g = { .zero = 1 << (o->bits - 1) };
	if (o->mode == ASYMMETRIC && o->zero == ZERO_FLOAT) {
		double middle = lo + (hi - lo) / 2, half = (hi - lo) / 2 * keep;
		g.scale = rtn_scale(o, middle - half, middle + half);
		g.offset = rtn_rounded(o, keep < 1.0 ? (float)(middle - half) : (float)lo);
		return g;
	}
	if (lo == 0.0 && hi == 0.0) {
		lo = -1.0;
		hi = 1.0;
	}
	lo *= keep;
	hi *= keep;
	g.scale = rtn_scale(o, lo, hi);
	if (o->mode == ASYMMETRIC)
		g.zero = rtn_clamp(nearbyintf((float)-lo / g.scale), top);
	return g;
}

static int rtn_code(const struct rtn_options *o, const struct grid *g, float x)
{
	int top = (1 << o->bits) - 1;
	if (o->mode == ASYMMETRIC && o->zero == ZERO_FLOAT)
		return g->scale > 0.0f ? rtn_clamp(nearbyintf((x - g->offset) / g->scale), top) : 0;
	return rtn_clamp(nearbyintf(x / g->scale) + (float)g->zero, top);
}

/* As pb_encoded_decode computes it. */
static float rtn_value(const struct rtn_options *o, const struct grid *g, int code)
{
	if (o->mode == ASYMMETRIC && o->zero == ZERO_FLOAT) {
		float scaled = (float)code * g->scale;
		return scaled + g->offset;
	}
	return (float)(code - g->zero) * g->scale;
}

static double rtn_error(const struct rtn_options *o, const struct grid *g, const float *x, uint64_t n)
{
	double sum = 0.0;
	for (uint64_t i = 0; i < n; i++) {
		double d = (double)x[i] - rtn_value(o, g, rtn_code(o, g, x[i]));
		sum += d * d;
	}
	return sum;
}

static struct grid rtn_fit(const struct rtn_options *o, const float *x, uint64_t n)
{
	bool around_zero = o->mode == SYMMETRIC || o->zero == ZERO_INTEGER;
	double lo = around_zero ? 0.0 : x[0], hi = lo;
	for (uint64_t i = 0; i < n; i++) {
		lo = x[i] < lo ? x[i] : lo;
		hi = x[i] > hi ? x[i] : hi;
	}
	if (o->mode == SYMMETRIC) {
		hi = -lo > hi ? -lo : hi;
		lo = -hi;
	}
	struct grid best = rtn_grid(o, lo, hi, 1.0);
	if (!o->search)
		return best;
	double least = rtn_error(o, &best, x, n);
	for (int64_t i = 1; i < o->search_steps; i++) {
		struct grid g = rtn_grid(o, lo, hi, 1.0 - SHRINK_SPAN * (double)i / (double)o->search_steps);
		double error = rtn_error(o, &g, x, n);
		if (error < least) {
			least = error;
			best = g;
		}
	}
	return best;
}

static enum pb_status rtn_width(const struct rtn_options *o, enum pb_width *out, struct pb_error *err)
{
	if (o->bits == 7)
		return pb_fail(err, PB_USAGE, "bits: 7 would be stored in 8 bits\ntake 6 or 8");
	(void)pb_width_for_levels(1u << o->bits, out); /* 2..8 bits always have one */
	return PB_OK;
}

static double rtn_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	return (double)((const struct rtn_options *)options)->bits;
}

static enum pb_status rtn_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes,
	struct pb_error *err)
{
	const struct rtn_options *o = options;
	uint64_t blocks = pb_group_count(rows, cols, o->group_size), number = pb_dtype_bytes(dtypes[o->scale_dtype]);
	enum pb_width width;
	enum pb_status status = rtn_width(o, &width, err);
	(void)source_dtype;
	if (status)
		return status;
	*bytes = rows * pb_packed_bytes(width, cols) + blocks * number;
	if (o->mode == ASYMMETRIC)
		*bytes += o->zero == ZERO_FLOAT ? blocks * number : pb_packed_bytes(width, blocks);
	return PB_OK;
}

/* The numbers of the blocks, then the codes by what was stored. */
static enum pb_status rtn_fill(const struct rtn_options *o, const float *w, struct pb_encoded *m, enum pb_width width, float *scales,
	float *offsets, uint8_t *zeros, uint8_t *codes, struct pb_error *err)
{
	uint64_t blocks = pb_encoded_blocks(m), first, n;
	char signed_levels[] = "signed:?";
	enum pb_status status;
	for (uint64_t b = 0; b < blocks; b++) {
		pb_encoded_block(m, b, &first, &n);
		struct grid g = rtn_fit(o, w + first, n);
		scales[b] = g.scale;
		offsets[b] = g.offset;
		zeros[b] = (uint8_t)g.zero;
		for (uint64_t i = first; i < first + n; i++)
			codes[i] = (uint8_t)rtn_code(o, &g, w[i]);
	}
	/* "signed:4" has the zero point 2^(bits-1) in its levels, where it costs nothing */
	signed_levels[7] = (char)('0' + o->bits);
	status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, o->mode == SYMMETRIC ? signed_levels : "integer", NULL, 0, PB_F32, err);
	if (!status)
		status = pb_scale_set_float(m, &m->block_scale, scales, blocks, dtypes[o->scale_dtype], err);
	if (!status && o->mode == ASYMMETRIC)
		status = o->zero == ZERO_INTEGER ? pb_scale_set_zero(m, &m->block_offset, zeros, blocks, width, err)
			: pb_scale_set_float(m, &m->block_offset, offsets, blocks, dtypes[o->scale_dtype], err);
	return status ? status : pb_encoded_set_codes(m, width, codes, err);
}

static enum pb_status rtn_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	const struct rtn_options *o = options;
	struct pb_encoded *m = NULL;
	enum pb_width width;
	enum pb_status status = rtn_width(o, &width, err);
	if (!status)
		status = pb_encoded_new(&m, job->rows, job->cols, err);
	if (status)
		return status;
	pb_encoded_set_groups(m, o->group_size);
	uint64_t blocks = pb_encoded_blocks(m);
	float *scales = pb_alloc(blocks, sizeof *scales), *offsets = pb_alloc(blocks, sizeof *offsets);
	uint8_t *zeros = pb_alloc(blocks, 1), *codes = pb_alloc((size_t)job->rows * job->cols, 1);
	if (scales && offsets && zeros && codes)
		status = rtn_fill(o, job->weights, m, width, scales, offsets, zeros, codes, err);
	else
		status = pb_out_of_memory(err, "codes");
	pb_free(scales);
	pb_free(offsets);
	pb_free(zeros);
	pb_free(codes);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

const struct pb_quantizer pb_quantizer_rtn = {
	.name = "rtn",
	.title = "Round to nearest",
	.source = "arXiv:2210.17323",
	.family = "other",
	.help = "Uniform integers with a scale, and for asymmetric ranges a zero point or an offset, for each group, row or matrix. "
		"It needs no data and is the baseline of most papers; search=true shrinks each range to the least squared error.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = rtn_options,
	.options_size = sizeof(struct rtn_options),
	.wbits = rtn_wbits,
	.plan = rtn_plan,
	.quantize = rtn_quantize,
};
