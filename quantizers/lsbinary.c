/* lsbinary: sums of signs with least-squares factors. For a block of weights x, sign(0) = +1:
 *
 *   bits=1     w^ = v1 s1,           v1 = mean|x|, s1 = sign x
 *   bits=2     w^ = v1 s1 + v2 s2,   s1 = sign x, s2 = sign(x - v1 s1)
 *              greedy    v1 = mean|x|, v2 = mean|x - v1 s1|
 *              optimal   the v1 >= v2 >= 0 with the least squared error: |x| has the two values v1 + v2 and v1 - v2, so they
 *                        are the means of its best division in two, found among all cuts of the sorted |x|
 *   bits=1.58  w^ = v t, t in -1, 0, +1: 2 bits with v1 = v2 = v / 2; the best cut with the lower part at 0 (optimal only)
 *
 * With low = v1 - v2 and high = v1 + v2 these are the numbers that are stored, in scale_dtype, and signs are made with them as
 * stored: s2 by whether |x| lies above their middle.
 *
 * Stored per matrix: bits=1: a sign a weight and v1 a block; bits=1.58: five t a byte and v a block; bits=2: two bits a weight
 * and -high, -low, low, high for each row (group_size=-1) or for the matrix (0), where two numbers would do; values of groups
 * have no place in the encoding. Rows of codes are padded to a byte.
 * Source: arXiv 2001.02786, its two-bit and ternary solutions. Deviation: apple/ml-quant tries only weights as v1, and every
 * third of them. */
#include "quantizers/quantizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/memory.h"

enum { BITS_1, BITS_TRIT, BITS_2 };
enum { GREEDY, OPTIMAL };
static const char *const bits_names[] = { "1", "1.58", "2", NULL };
static const char *const method_names[] = { "greedy", "optimal", NULL };
static const char *const dtype_names[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_BF16, PB_F32 };
static const enum pb_width widths[] = { PB_W1, PB_W_TRIT, PB_W2 };

struct lsbinary_options {
	int bits, method, scale_dtype;
	int64_t group_size;
};

static const struct pb_option lsbinary_options[] = {
	PB_OPT_CHOICE(struct lsbinary_options, bits, bits_names, "2", "signs that are added; 1.58: two with one factor, which makes three values"),
	PB_OPT_CHOICE(struct lsbinary_options, method, method_names, "optimal", "each factor for what the ones before it leave, or both for the least squared error"),
	PB_OPT_INT(struct lsbinary_options, group_size, -1, 1 << 24, -1, "consecutive weights of a row that share factors; -1: the row, 0: the matrix; 2 bits: -1 or 0"),
	PB_OPT_CHOICE(struct lsbinary_options, scale_dtype, dtype_names, "f16", "number format of what is stored of the factors"),
	PB_OPT_END
};

static float lsbinary_rounded(const struct lsbinary_options *o, double x)
{
	float exact = (float)x, stored = exact;
	pb_float_write(dtypes[o->scale_dtype], &exact, 1, &stored);
	return pb_float_at(dtypes[o->scale_dtype], &stored, 0);
}

static int lsbinary_compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return x < y ? -1 : x > y;
}

/* The best division of n sorted magnitudes into the first k, with mean *low (0 when `zero`), and the rest, with mean *high. */
static void lsbinary_divide(const float *sorted, uint64_t n, bool zero, double *low, double *high)
{
	double total = 0.0, below = 0.0, most = -1.0;
	for (uint64_t i = 0; i < n; i++)
		total += sorted[i];
	for (uint64_t k = 0; k < n; k++) {
		double a = k && !zero ? below / (double)k : 0.0, b = (total - below) / (double)(n - k);
		double gain = a * a * (double)k + b * b * (double)(n - k);
		if (gain > most) {
			most = gain;
			*low = k || zero ? a : b;
			*high = b;
		}
		below += sorted[k];
	}
}

/* The magnitudes of a block as stored: low = high for one bit, low = 0 for three values. sorted: scratch for n numbers. */
static void lsbinary_solve(const struct lsbinary_options *o, const float *x, uint64_t n, float *sorted, float *low, float *high)
{
	double first = 0.0, second = 0.0, a = 0.0, b = 0.0;
	if (o->bits == BITS_1 || o->method == GREEDY) {
		for (uint64_t i = 0; i < n; i++)
			first += fabs((double)x[i]) / (double)n;
		for (uint64_t i = 0; o->bits == BITS_2 && i < n; i++)
			second += fabs(fabs((double)x[i]) - first) / (double)n;
		a = first - second;
		b = first + second;
	} else {
		for (uint64_t i = 0; i < n; i++)
			sorted[i] = fabsf(x[i]);
		qsort(sorted, n, sizeof *sorted, lsbinary_compare);
		lsbinary_divide(sorted, n, o->bits == BITS_TRIT, &a, &b);
	}
	*low = lsbinary_rounded(o, a);
	*high = lsbinary_rounded(o, b);
}

static uint8_t lsbinary_code(const struct lsbinary_options *o, float x, float low, float high)
{
	double size = fabs((double)x), middle = ((double)low + high) / 2;
	if (o->bits == BITS_1)
		return x >= 0.0f;
	if (o->bits == BITS_TRIT)
		return size <= middle ? 1 : x < 0.0f ? 0 : 2;
	return x >= 0.0f ? 2 + (size >= middle) : size <= middle;
}

static enum pb_status lsbinary_fill(const struct lsbinary_options *o, const float *w, struct pb_encoded *m, float *scales, float *levels,
	float *sorted, uint8_t *codes, struct pb_error *err)
{
	uint64_t blocks = pb_encoded_blocks(m), first, n;
	enum pb_dtype dtype = dtypes[o->scale_dtype];
	enum pb_status status;
	for (uint64_t b = 0; b < blocks; b++) {
		float low, high;
		pb_encoded_block(m, b, &first, &n);
		lsbinary_solve(o, w + first, n, sorted, &low, &high);
		for (uint64_t i = first; i < first + n; i++)
			codes[i] = lsbinary_code(o, w[i], low, high);
		scales[b] = high;
		memcpy(levels + 4 * b, (const float[]){ -high, -low, low, high }, 4 * sizeof *levels);
	}
	if (o->bits == BITS_2) {
		m->block_kind = PB_BLOCK_NONE;
		m->block_size = 0;
		status = pb_encoded_set_levels(m, o->group_size < 0 ? PB_LEVELS_ROW : PB_LEVELS_TENSOR, NULL, levels, 4, dtype, err);
	} else {
		status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, o->bits == BITS_1 ? "sign" : "ternary", NULL, 0, PB_F32, err);
		if (!status)
			status = pb_scale_set_float(m, &m->block_scale, scales, blocks, dtype, err);
	}
	return status ? status : pb_encoded_set_codes(m, widths[o->bits], codes, err);
}

static double lsbinary_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	return (const double[]){ 1, 1.58, 2 }[((const struct lsbinary_options *)options)->bits];
}

static enum pb_status lsbinary_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes,
	struct pb_error *err)
{
	const struct lsbinary_options *o = options;
	(void)source_dtype;
	if (o->bits == BITS_2 && o->group_size > 0)
		return pb_fail(err, PB_UNSUPPORTED, "bits=2: values of groups have no place in the encoding\ntake group_size=-1 or 0");
	if (o->bits == BITS_TRIT && o->method == GREEDY)
		return pb_fail(err, PB_USAGE, "bits=1.58: only method=optimal has three values");
	*bytes = rows * pb_packed_bytes(widths[o->bits], cols) +
		pb_group_count(rows, cols, o->group_size) * pb_dtype_bytes(dtypes[o->scale_dtype]) * (o->bits == BITS_2 ? 4 : 1);
	return PB_OK;
}

static enum pb_status lsbinary_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	const struct lsbinary_options *o = options;
	struct pb_encoded *m = NULL;
	enum pb_status status = pb_encoded_new(&m, job->rows, job->cols, err);
	if (status)
		return status;
	pb_encoded_set_groups(m, o->group_size);
	uint64_t blocks = pb_encoded_blocks(m), n = (uint64_t)job->rows * job->cols;
	float *scales = pb_alloc(blocks, sizeof *scales), *levels = pb_alloc(blocks, 4 * sizeof *levels);
	float *sorted = pb_alloc(o->group_size ? job->cols : n, sizeof *sorted);
	uint8_t *codes = pb_alloc(n, 1);
	status = scales && levels && sorted && codes ? lsbinary_fill(o, job->weights, m, scales, levels, sorted, codes, err) :
		pb_out_of_memory(err, "codes");
	pb_free(scales);
	pb_free(levels);
	pb_free(sorted);
	pb_free(codes);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

const struct pb_quantizer pb_quantizer_lsbinary = {
	.name = "lsbinary",
	.title = "Least-squares binary",
	.source = "arXiv:2001.02786",
	.family = "other",
	.help = "One or two signs a weight, or three values, with the factors that make the squared error of each row, group or matrix least.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = lsbinary_options,
	.options_size = sizeof(struct lsbinary_options),
	.wbits = lsbinary_wbits,
	.plan = lsbinary_plan,
	.quantize = lsbinary_quantize,
};
