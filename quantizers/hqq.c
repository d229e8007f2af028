/* hqq: half-quadratic quantization. The scale of a group is that of its range; its zero point is moved by a few steps that
 * make sum |w - w^|^p small, p < 1, which outliers disturb less than squares. No data are needed. For a group w of a row,
 * top = 2^bits - 1, s = (max w - min w) / top (1 when the range is 1e-4 or less, 5e-5 at least), Z = -min w / s, not rounded:
 *
 *   code = clamp(round(w / s + Z), 0, top);   w^ = (code - Z) s;   e = shrink(w - w^);   Z = mean of code - (w - e) / s
 *   shrink(d) = sign(d) max(|d| - |d|^(p-1) / beta, 0),   p = 0.7, beta = 10
 *
 * until the mean of |w - w^| over the whole matrix does not fall, or for `iterations`; the last Z stays, even of the step that
 * was no better.
 *
 * Stored per matrix: codes, `bits` each, rows padded to a byte; s and the offset -Z s of each group in scale_dtype.
 * Source: github.com/mobiusml/hqq e0b1d00 (quantize.py, optimize.py: optimize_weights_proximal_legacy, in which beta stays).
 * Deviations: the reference stores Z and 3, 5 and 6 bits in wider fields; s is rounded before the steps, and the last codes are
 * made with the offset as stored; groups run along rows only (axis=1) and do not cross them. */
#include "quantizers/quantizer.h"

#include <math.h>
#include "quantizers/uniform.h"

#define POWER 0.7               /* lp_norm */
#define BETA 10.0
#define SMALL_RANGE 1e-4
#define SMALLEST_SCALE 5e-5     /* scale.clamp(max=2e4) of the inverse */

struct hqq_options {
	struct pb_uniform grid;
	int64_t iterations;
};

static const struct pb_option hqq_options[] = {
	PB_OPT_INT(struct pb_uniform, bits, 1, 8, 4, "bits a code: 1, 2, 3, 4, 5, 6 or 8"),
	PB_OPT_INT(struct pb_uniform, group_size, -1, 1 << 24, 64, "consecutive weights of a row that share a scale; -1: the row, 0: the matrix"),
	PB_OPT_CHOICE(struct pb_uniform, scale_dtype, pb_uniform_dtypes, "f16", "number format of scales and offsets"),
	PB_OPT_INT(struct hqq_options, iterations, 0, 1000, 20, "steps at most; 0: the zero points of the ranges"),
	PB_OPT_END
};

/* What the options do not say: offsets, not integers, as zero points. */
static struct pb_uniform hqq_grid(const struct hqq_options *o)
{
	struct pb_uniform u = o->grid;
	u.mode = PB_ASYMMETRIC;
	u.zero = PB_ZERO_FLOAT;
	return u;
}

static double hqq_code(double x, int top)
{
	return fmin(fmax(nearbyint(x), 0.0), top);
}

/* sign(d) max(|d| - |d|^(p-1) / beta, 0) */
static double hqq_shrink(double d)
{
	double size = fabs(d);
	return size > 0.0 ? copysign(fmax(size - pow(size, POWER - 1.0) / BETA, 0.0), d) : 0.0;
}

/* One step for a group; *error gets its sum of |w - w^| before the step. */
static double hqq_step(const float *w, uint64_t n, double scale, double zero, int top, double *error)
{
	double sum = 0.0;
	for (uint64_t i = 0; i < n; i++) {
		double code = hqq_code(w[i] / scale + zero, top), d = w[i] - (code - zero) * scale;
		*error += fabs(d);
		sum += code - (w[i] - hqq_shrink(d)) / scale;
	}
	return sum / (double)n;
}

static enum pb_status hqq_fill(const struct hqq_options *o, const float *w, struct pb_encoded *m, struct pb_grid *grids, double *zeros,
	uint8_t *codes, struct pb_error *err)
{
	struct pb_uniform u = hqq_grid(o);
	uint64_t blocks = pb_encoded_blocks(m), first, n;
	int top = (1 << u.bits) - 1;
	double least = INFINITY;
	for (uint64_t b = 0; b < blocks; b++) {
		pb_encoded_block(m, b, &first, &n);
		double lo = w[first], hi = lo;
		for (uint64_t i = first; i < first + n; i++) {
			lo = fmin(lo, w[i]);
			hi = fmax(hi, w[i]);
		}
		double scale = hi - lo <= SMALL_RANGE ? 1.0 : fmax((hi - lo) / top, SMALLEST_SCALE);
		grids[b] = (struct pb_grid){ .scale = pb_uniform_rounded(&u, (float)scale) };
		zeros[b] = -lo / grids[b].scale;
	}
	for (int64_t step = 0; step < o->iterations; step++) {
		double error = 0.0;
		for (uint64_t b = 0; b < blocks; b++) {
			pb_encoded_block(m, b, &first, &n);
			zeros[b] = hqq_step(w + first, n, grids[b].scale, zeros[b], top, &error);
		}
		if (!(error < least))
			break;
		least = error;
	}
	for (uint64_t b = 0; b < blocks; b++) {
		pb_encoded_block(m, b, &first, &n);
		grids[b].offset = pb_uniform_rounded(&u, (float)(-zeros[b] * grids[b].scale));
		for (uint64_t i = first; i < first + n; i++)
			codes[i] = (uint8_t)pb_uniform_code(&u, &grids[b], w[i]);
	}
	return pb_uniform_store(&u, grids, codes, m, err);
}

static double hqq_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	return (double)((const struct hqq_options *)options)->grid.bits;
}

static enum pb_status hqq_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes,
	struct pb_error *err)
{
	struct pb_uniform u = hqq_grid(options);
	(void)source_dtype;
	return pb_uniform_plan(&u, rows, cols, bytes, err);
}

static enum pb_status hqq_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	const struct hqq_options *o = options;
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, job->rows, job->cols, err);
	if (status)
		return status;
	pb_encoded_set_groups(m, o->grid.group_size);
	struct pb_grid *grids = pb_alloc(pb_encoded_blocks(m), sizeof *grids);
	double *zeros = pb_alloc(pb_encoded_blocks(m), sizeof *zeros);
	uint8_t *codes = pb_alloc((size_t)job->rows * job->cols, 1);
	status = grids && zeros && codes ? hqq_fill(o, job->weights, m, grids, zeros, codes, err) : pb_out_of_memory(err, "codes");
	pb_free(grids);
	pb_free(zeros);
	pb_free(codes);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

const struct pb_quantizer pb_quantizer_hqq = {
	.name = "hqq",
	.title = "HQQ",
	.source = "github.com/mobiusml/hqq",
	.family = "other",
	.help = "Uniform integers with an offset for each group, which is moved so that a power below 1 of the errors is small. It needs no data.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = hqq_options,
	.options_size = sizeof(struct hqq_options),
	.wbits = hqq_wbits,
	.plan = hqq_plan,
	.quantize = hqq_quantize,
};
