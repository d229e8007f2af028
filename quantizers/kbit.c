/* kbit: blockwise k-bit data types without any fitting, after Dettmers & Zettlemoyer, "The case for 4-bit
 * precision" (arXiv:2212.09720), and bitsandbytes, where these types are deployed.
 *
 * The coded weights are flattened row-major and cut every `block` weights, over the ends of rows:
 *
 *   s_b = max |w| of the block                      code = argmin_j | Q[j] - w / s_b |      w^ = Q[code] * s_b
 *
 * Q is a table of at most 2^bits levels in [-1, 1] (core/model/levels.h): int, float, dynamic, nf4, fp4 (bitsandbytes'
 * table), fp4_mx (the grid 0, .5, 1, 1.5, 2, 3, 4, 6), af4, or quantile, whose table is estimated from the coded weights.
 *
 * Stored per matrix (rows, cols): codes, `bits` a weight, each row padded to a byte; s_b, one a block, in `scale` (16 bits
 * in the paper, f32 in bitsandbytes); with `centering` the mean of each block in the same format; with `nested` s_b as an
 * 8-bit code, an f32 constant per 256 blocks and an f32 mean; with quantile 2^bits f16 levels; with `outliers` the kept
 * columns as f16 and their u32 indices.
 *
 * Where the sources leave room:
 * - A tie takes the lower level; nf4 and fp4 have bitsandbytes' thresholds, to the bit. nf4 and fp4 multiply by 1/s_b as its kernels do,
 *   the others divide.
 * - 16-bit constants are rounded first and the weights are coded with the rounded one; what lies beyond the table goes to
 *   its end. The mean is rounded before it is subtracted. With nested constants the weights are coded with the f32
 *   constant and the constant is compressed afterwards, as in bitsandbytes.
 * - A block whose constant is 0 gets the code of 0.
 * - quantile: order statistics at 256 evenly spaced ranks, of which 2^bits - 1 are taken, plus 0, divided by the largest
 *   magnitude (create_quantile_map of bitsandbytes 0.43.3), over the whole tensor, or averaged over full chunks.
 * - outliers: the top fraction of input columns by input_row_std, the paper's proxy. A matrix that has none keeps no column.
 * - There are no 7-bit fields: 7 bits are stored, and counted, as 8. */
#include "quantizers/quantizer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/memory.h"
#include "core/model/levels.h"
#include "quantizers/order.h"
#include "quantizers/shape.h"

enum kbit_type { KBIT_INT, KBIT_FLOAT, KBIT_DYNAMIC, KBIT_QUANTILE, KBIT_NF4, KBIT_FP4, KBIT_FP4_MX, KBIT_AF4 };

#define NESTED_BLOCK 256        /* bitsandbytes' quantize_4bit, compress_statistics */
#define AF4_BLOCK 64            /* the table was derived for this block alone */
#define QUANTILE_RANKS 256      /* of estimate_quantiles */
#define LARGEST (1ull << 56)    /* weights; keeps every byte count below 2^64 */

/* In the order of enum kbit_type. */
static const char *const types[] = { "int", "float", "dynamic", "quantile", "nf4", "fp4", "fp4_mx", "af4", NULL };
static const char *const scale_names[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype scale_dtypes[] = { PB_F16, PB_BF16, PB_F32 };

struct kbit_options {
	int type;
	int64_t bits, exponent, block;
	bool centering;
	double outliers;
	int scale;
	bool nested;
	int64_t chunk;
};

static const struct pb_option options[] = {
	PB_OPT_CHOICE(struct kbit_options, type, types, "float", "data type, the table of levels"),
	PB_OPT_INT(struct kbit_options, bits, 2, 8, 4, "bits a code; 4 for nf4, fp4, fp4_mx and af4"),
	PB_OPT_INT(struct kbit_options, exponent, -1, 7, -1, "exponent bits of float; -1: the paper's, 3 for 4 bits and more, 2 for 3 bits"),
	PB_OPT_INT(struct kbit_options, block, 0, 65536, 64, "weights that share a constant, over the flattened matrix, 8 or more; 0: all"),
	PB_OPT_BOOL(struct kbit_options, centering, 0, "subtract the mean of each block first, and store it"),
	PB_OPT_REAL(struct kbit_options, outliers, 0, 0.5, 0, "fraction of input columns kept as f16, chosen by the row std of the layer before"),
	PB_OPT_CHOICE(struct kbit_options, scale, scale_names, "f16", "number format of block constants and means"),
	PB_OPT_BOOL(struct kbit_options, nested, 0, "quantize the block constants too (8 bits, blocks of 256); `scale` is then of the means alone"),
	PB_OPT_INT(struct kbit_options, chunk, 0, 65536, 0, "quantile: average the quantiles of chunks of so many weights, 256 or more; 0: of the whole matrix"),
	PB_OPT_END
};

/* ---- options and sizes ---- */

static unsigned kbit_exponent(const struct kbit_options *o)
{
	if (o->exponent >= 0)
		return (unsigned)o->exponent;
	return o->bits >= 4 ? 3 : o->bits == 3 ? 2 : 1; /* Appendix A; 2 bits leave no choice */
}

static enum pb_status kbit_check_options(const struct kbit_options *o, struct pb_error *err)
{
	const char *type = types[o->type];
	if (o->type >= KBIT_NF4 && o->bits != 4)
		return pb_fail(err, PB_USAGE, "bits=%" PRId64 ": type %s has 4 bits", o->bits, type);
	if (o->type == KBIT_AF4 && o->block != AF4_BLOCK)
		return pb_fail(err, PB_USAGE, "block=%" PRId64 ": type af4 is made for block=%d alone", o->block, AF4_BLOCK);
	if (o->exponent != -1 && o->type != KBIT_FLOAT)
		return pb_fail(err, PB_USAGE, "exponent=%" PRId64 ": type %s has none; it belongs to type float", o->exponent, type);
	if (o->type == KBIT_FLOAT && (kbit_exponent(o) < 1 || kbit_exponent(o) > (uint64_t)o->bits - 1))
		return pb_fail(err, PB_USAGE, "exponent=%" PRId64 ": a float of %" PRId64 " bits has 1 to %" PRId64 " exponent bits",
			o->exponent, o->bits, o->bits - 1);
	if (o->block >= 1 && o->block < 8)
		return pb_fail(err, PB_USAGE, "block=%" PRId64 ": a block is 8 weights or more, or 0 for the whole matrix", o->block);
	if (o->chunk != 0 && o->type != KBIT_QUANTILE)
		return pb_fail(err, PB_USAGE, "chunk=%" PRId64 ": type %s estimates nothing; it belongs to type quantile", o->chunk, type);
	if (o->chunk >= 1 && o->chunk < QUANTILE_RANKS)
		return pb_fail(err, PB_USAGE, "chunk=%" PRId64 ": a chunk is %d weights or more, or 0 for the whole matrix", o->chunk, QUANTILE_RANKS);
	return PB_OK;
}

struct kbit_layout {
	enum pb_width width;
	uint32_t n_kept, coded_cols;
	uint64_t n;                     /* coded weights */
	uint64_t block, n_blocks;
	uint64_t bytes;
};

static enum pb_status kbit_lay_out(const struct kbit_options *o, uint32_t rows, uint32_t cols, bool has_proxy,
	struct kbit_layout *out, struct pb_error *err)
{
	enum pb_status status = kbit_check_options(o, err);
	if (status != PB_OK)
		return status;
	if (rows == 0 || cols == 0 || (uint64_t)rows * cols > LARGEST)
		return pb_fail(err, PB_UNSUPPORTED, "a matrix of %" PRIu32 " x %" PRIu32 " has no weights or too many", rows, cols);

	struct kbit_layout l = { 0 };
	while (l.width == PB_W_TRIT || pb_width_bits(l.width) < (double)o->bits)
		l.width++;
	if (has_proxy)
		l.n_kept = (uint32_t)floor(o->outliers * cols + 0.5);
	if (l.n_kept == cols)
		l.n_kept = cols - 1;
	l.coded_cols = cols - l.n_kept;
	l.n = (uint64_t)rows * l.coded_cols;
	l.block = o->block ? (uint64_t)o->block : l.n;
	l.n_blocks = (l.n + l.block - 1) / l.block;

	uint64_t number = pb_dtype_bytes(scale_dtypes[o->scale]);
	l.bytes = rows * pb_packed_bytes(l.width, l.coded_cols);
	if (o->nested)
		l.bytes += l.n_blocks + (l.n_blocks + NESTED_BLOCK - 1) / NESTED_BLOCK * sizeof(float) + sizeof(float);
	else
		l.bytes += l.n_blocks * number;
	if (o->centering)
		l.bytes += l.n_blocks * number;
	if (o->type == KBIT_QUANTILE)
		l.bytes += (1u << o->bits) * pb_dtype_bytes(PB_F16);
	l.bytes += l.n_kept * (sizeof(uint32_t) + rows * pb_dtype_bytes(PB_F16));
	*out = l;
	return PB_OK;
}

/* ---- proxy outliers ---- */

struct kbit_column {
	float std;
	uint32_t column;
};

static int kbit_by_std(const void *a, const void *b)
{
	const struct kbit_column *x = a, *y = b;
	if (x->std != y->std)
		return x->std > y->std ? -1 : 1;
	return x->column < y->column ? -1 : 1;
}

static int kbit_by_column(const void *a, const void *b)
{
	const struct kbit_column *x = a, *y = b;
	return (x->column > y->column) - (x->column < y->column);
}

/* Keeps the n columns of the largest std; among equals the first. */
static enum pb_status kbit_keep_outliers(struct pb_encoded *m, const struct pb_quantize_job *job, uint32_t n, struct pb_error *err)
{
	if (pb_count_not_finite(job->input_row_std, job->cols))
		return pb_fail(err, PB_NUMERIC, "the row std of the layer before is not finite");
	enum pb_status status = PB_MEMORY;
	struct kbit_column *ranked = pb_alloc(job->cols, sizeof *ranked);
	uint32_t *columns = pb_alloc(n, sizeof *columns);
	if (!ranked || !columns) {
		status = pb_out_of_memory(err, "the outlier columns");
		goto out;
	}
	for (uint32_t j = 0; j < job->cols; j++)
		ranked[j] = (struct kbit_column){ job->input_row_std[j], j };
	qsort(ranked, job->cols, sizeof *ranked, kbit_by_std);
	qsort(ranked, n, sizeof *ranked, kbit_by_column);
	for (uint32_t k = 0; k < n; k++)
		columns[k] = ranked[k].column;
	status = pb_encoded_keep_columns(m, columns, n, job->weights, PB_F16, err);
out:
	pb_free(ranked);
	pb_free(columns);
	return status;
}

/* The columns that are not kept, row-major without gaps. */
static void kbit_compact(const struct pb_encoded *m, const float *weights, float *x)
{
	for (uint32_t i = 0; i < m->rows; i++) {
		const float *row = weights + (size_t)i * m->cols;
		uint32_t kept = 0;
		for (uint32_t j = 0; j < m->cols; j++) {
			if (kept < m->n_kept && m->kept_columns[kept] == j)
				kept++;
			else
				*x++ = row[j];
		}
	}
}

/* ---- quantile map ---- */

/* Radix sort by 11, 11 and 10 bits; the sorted keys end up in `scratch`. */
static void kbit_sort(uint32_t *keys, uint32_t *scratch, size_t n)
{
	for (unsigned shift = 0; shift < 33; shift += 11) {
		size_t start[2048] = { 0 };
		for (size_t i = 0; i < n; i++)
			start[keys[i] >> shift & 2047]++;
		size_t sum = 0;
		for (int b = 0; b < 2048; b++) {
			size_t count = start[b];
			start[b] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			scratch[start[keys[i] >> shift & 2047]++] = keys[i];
		uint32_t *swap = keys;
		keys = scratch;
		scratch = swap;
	}
}

static int kbit_compare_floats(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

/* levels: 2^bits numbers, ascending, not yet rounded to f16. A last chunk that is not full is left out when there are others. */
static enum pb_status kbit_quantile_map(const struct kbit_options *o, const float *x, uint64_t n, float *levels, struct pb_error *err)
{
	unsigned n_quantiles = (1u << o->bits) - 1;
	uint64_t chunk = o->chunk && (uint64_t)o->chunk < n ? (uint64_t)o->chunk : n;
	uint64_t n_chunks = n / chunk;
	double sums[PB_MAX_LEVELS] = { 0 };

	uint32_t *keys = pb_alloc(chunk, sizeof *keys), *sorted = pb_alloc(chunk, sizeof *sorted);
	if (!keys || !sorted) {
		pb_free(keys);
		pb_free(sorted);
		return pb_out_of_memory(err, "the order statistics of a matrix");
	}
	double margin = 1.0 / (2.0 * n_quantiles);
	for (uint64_t c = 0; c < n_chunks; c++) {
		for (uint64_t i = 0; i < chunk; i++)
			keys[i] = pb_order_key(x[c * chunk + i]);
		kbit_sort(keys, sorted, chunk);
		for (unsigned q = 0; q < n_quantiles; q++) {
			unsigned rank = (QUANTILE_RANKS - 1) * q / (n_quantiles - 1);
			double p = margin + rank * (1.0 - 2.0 * margin) / (QUANTILE_RANKS - 1);
			sums[q] += pb_order_unkey(sorted[(uint64_t)floor(p * (double)(chunk - 1) + 0.5)]);
		}
	}
	pb_free(keys);
	pb_free(sorted);

	double largest = 0.0;
	for (unsigned q = 0; q < n_quantiles; q++)
		largest = fmax(largest, fabs(sums[q]));
	for (unsigned q = 0; q < n_quantiles; q++)
		levels[q] = largest > 0.0 ? (float)(sums[q] / largest) : 0.0f;
	levels[n_quantiles] = 0.0f;
	qsort(levels, n_quantiles + 1, sizeof *levels, kbit_compare_floats);
	return PB_OK;
}

/* ---- levels, constants, codes ---- */

static enum pb_status kbit_set_levels(const struct kbit_options *o, struct pb_encoded *m, const float *x, uint64_t n,
	struct pb_level_search *search, struct pb_error *err)
{
	float levels[PB_MAX_LEVELS];
	unsigned n_levels = 1u << o->bits;
	enum pb_status status;
	if (o->type == KBIT_QUANTILE) {
		status = kbit_quantile_map(o, x, n, levels, err);
		if (status == PB_OK)
			status = pb_encoded_set_levels(m, PB_LEVELS_TENSOR, NULL, levels, n_levels, PB_F16, err);
		if (status != PB_OK)
			return status;
		pb_float_read(PB_F16, m->levels, 0, n_levels, levels);
	} else {
		char name[32];
		int bits = (int)o->bits, exponent = (int)kbit_exponent(o);
		switch ((enum kbit_type)o->type) {
		case KBIT_INT: snprintf(name, sizeof name, "int:%d", bits); break;
		case KBIT_FLOAT: snprintf(name, sizeof name, "float:%d:%d", exponent, bits - 1 - exponent); break;
		case KBIT_DYNAMIC: snprintf(name, sizeof name, "dynamic:%d", bits); break;
		case KBIT_FP4: snprintf(name, sizeof name, "fp4_bnb"); break;
		default: snprintf(name, sizeof name, "%s", types[o->type]); break;
		}
		status = pb_levels_named(name, levels, &n_levels, err);
		if (status == PB_OK)
			status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, name, NULL, 0, PB_F32, err);
		if (status != PB_OK)
			return status;
	}
	pb_level_search_make(search, levels, n_levels);
	if (o->type == KBIT_NF4) /* dQuantizeNF4's thresholds are the midpoints rounded to f32, to either side */
		for (unsigned i = 0; i + 1 < search->n; i++)
			search->middle[i] = (search->sorted[i] + search->sorted[i + 1]) * 0.5f;
	return PB_OK;
}

/* Subtracts from x the mean of its block as stored. means: scratch, (n_blocks). */
static enum pb_status kbit_center(const struct kbit_options *o, const struct kbit_layout *l, struct pb_encoded *m, float *x,
	float *means, struct pb_error *err)
{
	for (uint64_t b = 0; b < l->n_blocks; b++) {
		uint64_t first = b * l->block, end = first + l->block < l->n ? first + l->block : l->n;
		double sum = 0.0;
		for (uint64_t i = first; i < end; i++)
			sum += x[i];
		means[b] = (float)(sum / (double)(end - first));
	}
	enum pb_status status = pb_scale_set_float(m, &m->block_offset, means, l->n_blocks, scale_dtypes[o->scale], err);
	if (status != PB_OK)
		return status;
	for (uint64_t i = 0; i < l->n; i++)
		x[i] -= pb_scale_at(&m->block_offset, i / l->block);
	/* Two finite numbers of opposite sign may lie further apart than an f32 reaches. */
	if (pb_count_not_finite(x, l->n))
		return pb_fail(err, PB_NUMERIC, "weights less their mean are not finite");
	return PB_OK;
}

/* constants: out, (n_blocks), what the weights are coded with. */
static enum pb_status kbit_set_constants(const struct kbit_options *o, const struct kbit_layout *l, struct pb_encoded *m, const float *x,
	float *constants, struct pb_error *err)
{
	for (uint64_t b = 0; b < l->n_blocks; b++) {
		uint64_t first = b * l->block, end = first + l->block < l->n ? first + l->block : l->n;
		float largest = 0.0f;
		for (uint64_t i = first; i < end; i++)
			largest = fmaxf(largest, fabsf(x[i]));
		constants[b] = largest;
	}
	if (o->nested)
		return pb_scale_set_nested(m, &m->block_scale, constants, l->n_blocks, NESTED_BLOCK, err);
	enum pb_status status = pb_scale_set_float(m, &m->block_scale, constants, l->n_blocks, scale_dtypes[o->scale], err);
	if (status != PB_OK)
		return status;
	for (uint64_t b = 0; b < l->n_blocks; b++)
		constants[b] = pb_scale_at(&m->block_scale, b);
	return PB_OK;
}

/* bitsandbytes' dQuantizeFP4: the code by magnitude above each threshold, 8 for the sign. */
static unsigned kbit_fp4_code(float x)
{
	static const float above[7] = { 0.00260417f, 0.0859375f, 0.20833333f, 0.29166667f, 0.4166667f, 0.583333f, 0.8333333f };
	static const unsigned char code[8] = { 0, 1, 6, 7, 4, 5, 2, 3 };
	unsigned i = 0;
	while (i < 7 && fabsf(x) > above[i])
		i++;
	return code[i] | (x < 0.0f ? 8u : 0u);
}

static void kbit_encode(const struct kbit_options *o, const struct kbit_layout *l, const struct pb_level_search *search,
	const float *x, const float *constants, uint8_t *codes)
{
	bool deployed = o->type == KBIT_NF4 || o->type == KBIT_FP4;
	for (uint64_t b = 0; b < l->n_blocks; b++) {
		uint64_t first = b * l->block, end = first + l->block < l->n ? first + l->block : l->n;
		float s = constants[b], inverse = 1.0f / s;
		if (s == 0.0f) {
			memset(codes + first, (int)pb_level_nearest(search, 0.0f), end - first);
			continue;
		}
		bool multiply = deployed && isfinite(inverse); /* the inverse of a subnormal constant may not be */
		for (uint64_t i = first; i < end; i++) {
			float y = multiply ? x[i] * inverse : x[i] / s;
			codes[i] = (uint8_t)(o->type == KBIT_FP4 ? kbit_fp4_code(y) : pb_level_nearest(search, y));
		}
	}
}

static enum pb_status kbit_fill(const struct kbit_options *o, const struct kbit_layout *l, struct pb_encoded *m, float *x,
	float *constants, uint8_t *codes, struct pb_error *err)
{
	struct pb_level_search search;
	m->code = PB_CODE_SCALAR;
	m->block_kind = PB_BLOCK_FLAT;
	m->block_size = l->block;
	enum pb_status status = PB_OK;
	if (o->centering)
		status = kbit_center(o, l, m, x, constants, err);
	if (status == PB_OK)
		status = kbit_set_levels(o, m, x, l->n, &search, err);
	if (status == PB_OK)
		status = kbit_set_constants(o, l, m, x, constants, err);
	if (status != PB_OK)
		return status;
	kbit_encode(o, l, &search, x, constants, codes);
	return pb_encoded_set_codes(m, l->width, codes, err);
}

/* ---- hooks ---- */

static double kbit_wbits(const void *opts, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	const struct kbit_options *o = opts;
	return (double)o->bits;
}

/* For a matrix that has input_row_std. */
static enum pb_status kbit_plan(const void *opts, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	(void)source_dtype;
	struct kbit_layout l;
	enum pb_status status = kbit_lay_out(opts, rows, cols, true, &l, err);
	if (status == PB_OK)
		*bytes = l.bytes;
	return status;
}

static enum pb_status kbit_plan_job(const void *opts, const struct pb_quantize_job *job, uint64_t *bytes, struct pb_error *err)
{
	struct kbit_layout l;
	enum pb_status status = kbit_lay_out(opts, job->rows, job->cols, job->input_row_std != NULL, &l, err);
	if (status == PB_OK)
		*bytes = l.bytes;
	return status;
}

/* The axis of the paper's figures: 16 bits a block, and 16 - k more for each weight of the columns that are kept. */
static double kbit_paper_bits(const void *opts, uint32_t rows, uint32_t cols)
{
	const struct kbit_options *o = opts;
	double weights = (double)rows * cols, blocks = o->block ? weights / (double)o->block : 1;
	return weights * ((double)o->bits + o->outliers * (16 - (double)o->bits)) + 16 * blocks * (o->centering ? 2 : 1);
}

static double kbit_paper_bytes(const void *opts, const struct pb_config *config)
{
	return pb_paper_bytes(config, kbit_paper_bits, opts);
}

static enum pb_status kbit_quantize(const void *opts, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	const struct kbit_options *o = opts;
	struct kbit_layout l;
	enum pb_status status = kbit_lay_out(o, job->rows, job->cols, job->input_row_std != NULL, &l, err);
	if (status != PB_OK)
		return status;
	struct pb_encoded *m;
	status = pb_encoded_new(&m, job->rows, job->cols, err);
	if (status != PB_OK)
		return status;
	if (l.n_kept)
		status = kbit_keep_outliers(m, job, l.n_kept, err);

	float *x = pb_alloc(l.n, sizeof *x), *constants = pb_alloc(l.n_blocks, sizeof *constants);
	uint8_t *codes = pb_alloc(l.n, sizeof *codes);
	if (status == PB_OK && (!x || !constants || !codes))
		status = pb_out_of_memory(err, "the codes of a matrix");
	if (status == PB_OK) {
		kbit_compact(m, job->weights, x);
		status = kbit_fill(o, &l, m, x, constants, codes, err);
	}
	pb_free(x);
	pb_free(constants);
	pb_free(codes);
	if (status != PB_OK) {
		pb_encoded_free(m);
		return status;
	}
	*out = m;
	return PB_OK;
}

const struct pb_quantizer pb_quantizer_kbit = {
	.name = "kbit",
	.title = "k-bit data types",
	.source = "arXiv:2212.09720",
	.family = "k-bit",
	.help = "Blockwise k-bit data types (int, float, dynamic exponent, quantile, NF4, FP4) without calibration: each block of "
		"weights is divided by its largest magnitude and each weight takes the nearest level of a table. Block means, nested "
		"constants and 16-bit outlier columns are options.",
	.abi = PB_QUANTIZER_ABI,
	.version = 1,
	.options = options,
	.options_size = sizeof(struct kbit_options),
	.wbits = kbit_wbits,
	.plan = kbit_plan,
	.quantize = kbit_quantize,
	.paper_bytes = kbit_paper_bytes,
	.plan_job = kbit_plan_job,
};
