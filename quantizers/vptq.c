/* vptq: vector post-training quantization. A vector of `length` consecutive output rows of one input column is replaced by
 * the nearest entry of a codebook; columns are coded one after the other, and the error of each is made up for by those after
 * it (quantizers/vptq_columns.h). For W (rows, cols) and second moments H of the inputs:
 *
 *   norm       W' = (W - b) / s for each column: none; minmax b = min, s = max - min; meanstd b = mean, s = deviation
 *   Hessian    H' = H + load_damping mean(diag H) I;  norm_hessian=scaled: H' = S (...) S, the one that belongs to W';
 *              as_released: it stays as it is
 *   order      columns by falling diag H' (permute); outliers are the first `outliers` percent, more so that the rest is a
 *              multiple of `groups`, and have vectors and a codebook of their own; the rest is cut into groups of neighbours
 *   codebook   of each part by k-means on its vectors, each weighing h'_jj of its column (quantizers/kmeans.h)
 *   loop       with the factor of (H' + damping mean(diag H') I)^-1
 *   residual   a second codebook a group, by k-means on the errors that columns had when the loop coded them with the
 *              first alone; then the loop again from the beginning with both
 *
 * bits says how many index bits a weight is to have where length or centroids is 0: then those are taken whose codebooks, as
 * stored, are worth their bytes in this matrix. Small matrices get short vectors and small codebooks, down to length 1.
 *
 * Stored: codebooks in dtype, (groups, centroids, length) each; for each vector, of the last of a column also the part
 * below the matrix, ceil(log2 centroids) bits, one run a stage; outliers likewise; a column order of 16 bits a column, when
 * columns are permuted and it matters (groups or outliers); with norm s and b in dtype, one each a column.
 *
 * Source: arXiv 2409.17066 and microsoft/VPTQ, branch algorithm (5a8dfb93). Deviations: codebooks, s and b are rounded to
 * dtype before they are used, not afterwards; k-means sees a sample of the vectors, is the same in each run, and ends by the
 * fall of its cost; without outliers the last group may be short; the factor is made in the order that is used, whatever
 * that is; centroids need not be a power of two. Neither layer-wise nor end-to-end fine-tuning. */
#include "quantizers/quantizer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quantizers/hessian.h"
#include "quantizers/kmeans.h"
#include "quantizers/shape.h"
#include "quantizers/vptq_columns.h"

#define LONGEST 16      /* vectors that `length` 0 chooses from */
#define MOST_BITS 12    /* of an index that it chooses: 4096 centroids */
#define SAMPLE 65536    /* vectors that k-means may always see */

enum { NORM_NONE, NORM_MINMAX, NORM_MEANSTD };
enum { HESSIAN_AS_RELEASED, HESSIAN_SCALED };
static const char *const norm_names[] = { "none", "minmax", "meanstd", NULL };
static const char *const hessian_names[] = { "as_released", "scaled", NULL };
static const char *const dtype_names[] = { "f16", "bf16", "f32", NULL };
static const enum pb_dtype dtypes[] = { PB_F16, PB_BF16, PB_F32 };

struct vptq_options {
	double bits, outliers, load_damping, damping, tolerance;
	int64_t length, centroids, residual, outlier_length, outlier_centroids, groups, iterations, samples;
	int norm, norm_hessian, dtype;
	bool permute, sequential;
};

static const struct pb_option vptq_options[] = {
	PB_OPT_REAL(struct vptq_options, bits, 0.1, 8, 2, "index bits a weight, for what is chosen by 0 below"),
	PB_OPT_INT(struct vptq_options, length, 0, 64, 0, "weights of a vector; 0: what pays in each matrix"),
	PB_OPT_INT(struct vptq_options, centroids, 0, 65536, 0, "entries of a codebook, 2 or more; 0: 2^(bits * length), at most 4096"),
	PB_OPT_INT(struct vptq_options, residual, 0, 65536, 0, "entries of the residual codebook, 2 or more; 0: there is none"),
	PB_OPT_INT(struct vptq_options, groups, 1, 4096, 1, "groups of columns with codebooks of their own"),
	PB_OPT_REAL(struct vptq_options, outliers, 0, 50, 0, "percent of the columns that are coded apart"),
	PB_OPT_INT(struct vptq_options, outlier_length, 1, 64, 4, "weights of a vector of the outliers"),
	PB_OPT_INT(struct vptq_options, outlier_centroids, 0, 65536, 0, "entries of the outliers' codebook, 2 or more; 0: one for eight vectors, at most 4096"),
	PB_OPT_CHOICE(struct vptq_options, norm, norm_names, "none", "scale and offset of each column before it is coded"),
	PB_OPT_CHOICE(struct vptq_options, norm_hessian, hessian_names, "scaled", "Hessian of the scaled columns, or that of the unscaled ones"),
	PB_OPT_BOOL(struct vptq_options, permute, 1, "code columns in the order of falling second moments"),
	PB_OPT_REAL(struct vptq_options, load_damping, 0, 1, 0.01, "share of the mean diagonal that is added to the Hessian"),
	PB_OPT_REAL(struct vptq_options, damping, 0, 1, 0.01, "the same again, for the column loop alone"),
	PB_OPT_BOOL(struct vptq_options, sequential, 0, "second moments of a model whose earlier layers are quantized already; no: of the model as it is"),
	PB_OPT_INT(struct vptq_options, iterations, 0, 10000, 100, "iterations of k-means, at most"),
	PB_OPT_REAL(struct vptq_options, tolerance, 0, 1, 1e-5, "share of its cost by which an iteration of k-means has to fall"),
	PB_OPT_INT(struct vptq_options, samples, 0, 1 << 20, 64, "vectors that k-means sees for each centroid, beyond 65536"),
	PB_OPT_CHOICE(struct vptq_options, dtype, dtype_names, "f16", "number format of codebooks, scales and offsets"),
	PB_OPT_END
};

/* What is stored for one shape. */
struct layout {
	uint32_t length, k[2], n_stages;
	uint32_t n_outliers, outlier_length, outlier_k;
	uint32_t n_groups, group;       /* columns of a group, the last may be short */
	bool ordered;
	uint64_t codebook_bytes, bytes;
};

static void vptq_count(const struct vptq_options *o, uint32_t rows, uint32_t cols, struct layout *y)
{
	uint64_t number = pb_dtype_bytes(dtypes[o->dtype]), n = pb_vector_count(rows, cols - y->n_outliers, y->length, true), index = 0;
	y->codebook_bytes = 0;
	for (uint32_t s = 0; s < y->n_stages; s++) {
		y->codebook_bytes += (uint64_t)y->n_groups * y->k[s] * y->length * number;
		index += pb_index_bytes(pb_index_bits(y->k[s]), n);
	}
	y->bytes = y->codebook_bytes + index;
	if (y->n_outliers)
		y->bytes += (uint64_t)y->outlier_k * y->outlier_length * number +
			pb_index_bytes(pb_index_bits(y->outlier_k), pb_vector_count(rows, y->n_outliers, y->outlier_length, true));
	if (y->ordered)
		y->bytes += 2 * (uint64_t)cols;
	if (o->norm != NORM_NONE)
		y->bytes += 2 * cols * number;
}

/* The index bits of the largest codebook of a power of two with at most n entries, 2 to 4096 of them. */
static double vptq_bits_below(uint64_t n)
{
	return fmax(fmin(floor(log2((double)n)), MOST_BITS), 1);
}

/* The length and number of centroids that are left open: those with the least price in bits a weight. Its terms: what
 * codebooks take; how far index bits are from `bits`; and what short vectors lose. The last stands for what was measured on two
 * small language models at 2 bits: going from length 1 to 2, 3 and 4 lowered the error of attention's matrices as 0.43, 0.65 and
 * 0.8 bits more would, that of the feed-forward matrices as 0.1, 0.19 and 0.26 bits. */
static void vptq_choose(const struct vptq_options *o, uint32_t rows, uint32_t cols, struct layout *y)
{
	double weights = (double)rows * (cols - y->n_outliers), residual = y->n_stages > 1 ? pb_index_bits(y->k[1]) : 0, lowest = INFINITY;
	uint32_t longest = o->length ? (uint32_t)o->length : LONGEST;
	struct layout best = *y;
	for (y->length = o->length ? longest : 1; y->length <= longest; y->length++) {
		uint64_t vectors = pb_vector_count(rows, y->group, y->length, true);
		double bits = fmax(fmin(round(o->bits * y->length - residual), vptq_bits_below(vectors)), 1);
		y->k[0] = o->centroids ? (uint32_t)o->centroids : 1u << (unsigned)bits;
		vptq_count(o, rows, cols, y);
		double price = 8 * (double)y->codebook_bytes / weights + 0.85 / sqrt(y->length) +
			fabs((pb_index_bits(y->k[0]) + residual) / y->length - o->bits);
		if (price < lowest) {
			lowest = price;
			best = *y;
		}
	}
	*y = best;
}

/* A codebook needs two entries, and no more than there are vectors to make it from. */
static enum pb_status vptq_check_size(const char *option, uint32_t k, uint64_t vectors, struct pb_error *err)
{
	if (k < 2)
		return pb_fail(err, PB_USAGE, "%s: %" PRIu32 " is no codebook\ntake 2 or more", option, k);
	if (k > 2 && k > vectors)
		return pb_fail(err, PB_UNSUPPORTED, "%s: %" PRIu32 " are more than the %" PRIu64 " vectors that they are made from", option, k,
			vectors);
	return PB_OK;
}

static enum pb_status vptq_lay_out(const struct vptq_options *o, uint32_t rows, uint32_t cols, struct layout *y, struct pb_error *err)
{
	uint32_t groups = (uint32_t)o->groups, n_outliers = (uint32_t)ceil(cols * o->outliers / 100), outlier_k = (uint32_t)o->outlier_centroids, rest;
	if (n_outliers)
		n_outliers += (cols - n_outliers) % groups;
	if (n_outliers >= cols)
		return pb_fail(err, PB_UNSUPPORTED, "outliers: with %" PRIu32 " groups all %" PRIu32 " columns would be some", groups, cols);
	rest = cols - n_outliers;
	uint64_t outlier_vectors = pb_vector_count(rows, n_outliers, (uint32_t)o->outlier_length, true);
	if (!outlier_k)
		outlier_k = 1u << (unsigned)vptq_bits_below(outlier_vectors / 8);
	*y = (struct layout){ .n_stages = o->residual ? 2 : 1, .k = { 0, (uint32_t)o->residual }, .n_outliers = n_outliers,
		.outlier_length = (uint32_t)o->outlier_length, .outlier_k = outlier_k };
	groups = groups < rest ? groups : rest;
	y->group = rest / groups + (rest % groups != 0);
	y->n_groups = rest / y->group + (rest % y->group != 0);
	y->ordered = o->permute && (y->n_groups > 1 || n_outliers);
	if (y->ordered && cols > PB_MAX_ORDERED)
		return pb_fail(err, PB_UNSUPPORTED, "permute: %" PRIu32 " columns are more than the %d of a stored order", cols, PB_MAX_ORDERED);
	vptq_choose(o, rows, cols, y);
	uint64_t vectors = pb_vector_count(rows, y->group, y->length, true);
	enum pb_status status = vptq_check_size("centroids", y->k[0], vectors, err);
	if (!status && o->residual)
		status = vptq_check_size("residual", y->k[1], vectors, err);
	if (!status && n_outliers)
		status = vptq_check_size("outlier_centroids", outlier_k, outlier_vectors, err);
	return status;
}

/* ------------------------------------------------------------------------------------------------ the method */

/* Everything between the weights and what is stored. */
struct vptq {
	const struct vptq_options *o;
	const struct pb_quantize_job *job;
	struct layout y;
	struct pb_rng rng;
	uint32_t n_parts;
	size_t stride;
	float *scale, *offset;          /* (cols) as stored; 1 and 0 without norm */
	float *hessian;                 /* (cols, cols) H', then its factor U */
	uint32_t *order;                /* (cols) column at each place */
	double *importance;             /* (cols) h'_jj at each place */
	float *w, *work;                /* (cols, stride) W' in working order; the loop's */
	struct pb_vptq_part *parts;     /* outliers, groups */
	float *codebook[2], *outlier_codebook;
	uint32_t *index[2], *outlier_index; /* column after column */
};

static void vptq_free(struct vptq *q)
{
	pb_free(q->scale);
	pb_free(q->offset);
	pb_free(q->hessian);
	pb_free(q->order);
	pb_free(q->importance);
	pb_free(q->w);
	pb_free(q->work);
	pb_free(q->parts);
	pb_free(q->outlier_codebook);
	pb_free(q->outlier_index);
	for (int s = 0; s < 2; s++) {
		pb_free(q->codebook[s]);
		pb_free(q->index[s]);
	}
}

static enum pb_status vptq_alloc(struct vptq *q, struct pb_error *err)
{
	const struct layout *y = &q->y;
	uint32_t rows = q->job->rows, cols = q->job->cols;
	size_t down = pb_vector_count(rows, 1, y->length, true), down_outliers = pb_vector_count(rows, 1, y->outlier_length, true);
	size_t longest = down * y->length;
	if (y->n_outliers && down_outliers * y->outlier_length > longest)
		longest = down_outliers * y->outlier_length;
	q->stride = (longest + 15) / 16 * 16;
	q->n_parts = y->n_groups + (y->n_outliers > 0);
	q->scale = pb_alloc(cols, sizeof *q->scale);
	q->offset = pb_alloc(cols, sizeof *q->offset);
	q->hessian = pb_alloc_aligned((size_t)cols * cols, sizeof *q->hessian);
	q->order = pb_alloc(cols, sizeof *q->order);
	q->importance = pb_alloc(cols, sizeof *q->importance);
	q->w = pb_alloc_aligned(cols * q->stride, sizeof *q->w);
	q->work = pb_alloc_aligned(cols * q->stride, sizeof *q->work);
	q->parts = pb_alloc_zero(q->n_parts, sizeof *q->parts);
	q->outlier_codebook = pb_alloc((size_t)y->outlier_k * y->outlier_length, sizeof(float));
	q->outlier_index = pb_alloc(down_outliers * y->n_outliers, sizeof(uint32_t));
	bool ok = q->scale && q->offset && q->hessian && q->order && q->importance && q->w && q->work && q->parts && q->outlier_codebook &&
		q->outlier_index;
	for (uint32_t s = 0; s < y->n_stages; s++) {
		q->codebook[s] = pb_alloc((size_t)y->n_groups * y->k[s] * y->length, sizeof(float));
		q->index[s] = pb_alloc(down * (cols - y->n_outliers), sizeof(uint32_t));
		ok = ok && q->codebook[s] && q->index[s];
	}
	if (!ok)
		return pb_out_of_memory(err, "vptq");
	struct pb_vptq_part *part = q->parts;
	if (y->n_outliers)
		*part++ = (struct pb_vptq_part){ .n = y->n_outliers, .length = y->outlier_length, .k = { y->outlier_k },
			.codebook = { q->outlier_codebook }, .index = { q->outlier_index } };
	for (uint32_t g = 0; g < y->n_groups; g++, part++) {
		size_t before = (size_t)g * y->group, left = cols - y->n_outliers - before;
		part->first = (uint32_t)(y->n_outliers + before);
		part->n = left < y->group ? (uint32_t)left : y->group;
		part->length = y->length;
		for (uint32_t s = 0; s < y->n_stages; s++) {
			part->k[s] = y->k[s];
			part->codebook[s] = q->codebook[s] + (size_t)g * y->k[s] * y->length;
			part->index[s] = q->index[s] + before * down;
		}
	}
	return PB_OK;
}

/* To what will be stored. */
static enum pb_status vptq_round(const struct vptq_options *o, float *values, size_t n, struct pb_error *err)
{
	for (size_t i = 0; i < n; i++) {
		float stored = 0.0f;
		pb_float_write(dtypes[o->dtype], &values[i], 1, &stored);
		values[i] = pb_float_at(dtypes[o->dtype], &stored, 0);
		if (!isfinite(values[i]))
			return pb_fail(err, PB_NUMERIC, "weights are too large for %s\ntake dtype=f32", pb_dtype_name(dtypes[o->dtype]));
	}
	return PB_OK;
}

static enum pb_status vptq_norm(struct vptq *q, struct pb_error *err)
{
	uint32_t rows = q->job->rows, cols = q->job->cols;
	bool minmax = q->o->norm == NORM_MINMAX;
	enum pb_status status;
	for (uint32_t c = 0; c < cols; c++) {
		const float *w = q->job->weights + c;
		double low = w[0], high = w[0], sum = 0.0, squares = 0.0;
		q->scale[c] = 1.0f;
		q->offset[c] = 0.0f;
		if (q->o->norm == NORM_NONE)
			continue;
		for (size_t r = 0; r < rows; r++) {
			double x = w[r * cols];
			low = fmin(low, x);
			high = fmax(high, x);
			sum += x;
		}
		for (size_t r = 0; r < rows; r++)
			squares += (w[r * cols] - sum / rows) * (w[r * cols] - sum / rows);
		q->scale[c] = (float)(minmax ? high - low : sqrt(squares / rows));
		q->offset[c] = (float)(minmax ? low : sum / rows);
	}
	status = vptq_round(q->o, q->scale, cols, err);
	return status ? status : vptq_round(q->o, q->offset, cols, err);
}

/* H' from the second moments. A column that is scaled by 0 is exact whatever its code is: without a second moment. */
static enum pb_status vptq_hessian(struct vptq *q, struct pb_error *err)
{
	const float *moment = q->job->second_moment;
	size_t n = q->job->cols;
	bool scaled = q->o->norm_hessian == HESSIAN_SCALED, any = false;
	double mean = 0.0;
	enum pb_status status = pb_hessian_check(moment, q->job->cols, err);
	if (status)
		return status;
	for (size_t i = 0; i < n; i++)
		mean += moment[i * n + i] / (double)n;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			double h = moment[i * n + j] + (i == j ? q->o->load_damping * mean : 0.0);
			q->hessian[i * n + j] = (float)(scaled ? h * q->scale[i] * q->scale[j] : h);
		}
	for (size_t i = 0; i < n; i++)
		any = any || q->hessian[i * n + i] > 0.0f;
	for (size_t i = 0; i < n && !any; i++)
		q->hessian[i * n + i] = 1.0f;
	return PB_OK;
}

struct ranked {
	float value;
	uint32_t column;
};

static int vptq_compare(const void *a, const void *b)
{
	const struct ranked *p = a, *r = b;
	if (p->value != r->value)
		return p->value > r->value ? -1 : 1;
	return p->column < r->column ? -1 : 1;
}

/* Columns by falling h'_jj, then W' in that order; columns without a second moment count as 0. */
static enum pb_status vptq_order(struct vptq *q, struct pb_error *err)
{
	uint32_t rows = q->job->rows, cols = q->job->cols;
	struct ranked *ranks = pb_alloc(cols, sizeof *ranks);
	if (!ranks)
		return pb_out_of_memory(err, "column order");
	for (uint32_t c = 0; c < cols; c++)
		ranks[c] = (struct ranked){ q->hessian[(size_t)c * cols + c], c };
	if (q->o->permute)
		qsort(ranks, cols, sizeof *ranks, vptq_compare);
	for (uint32_t p = 0; p < cols; p++) {
		uint32_t c = ranks[p].column;
		float *to = q->w + p * q->stride;
		q->order[p] = c;
		q->importance[p] = ranks[p].value;
		memset(to, 0, q->stride * sizeof *to);
		for (size_t r = 0; r < rows && ranks[p].value > 0.0f && q->scale[c] > 0.0f; r++)
			to[r] = (q->job->weights[r * cols + c] - q->offset[c]) / q->scale[c];
	}
	pb_free(ranks);
	return PB_OK;
}

/* The codebooks of one stage, from the vectors of `data`. */
static enum pb_status vptq_codebooks(struct vptq *q, uint32_t stage, const float *data, struct pb_error *err)
{
	enum pb_status status = PB_OK;
	for (struct pb_vptq_part *part = q->parts; !status && part < q->parts + q->n_parts; part++) {
		if (!part->codebook[stage])
			continue;
		struct pb_kmeans how = { .k = part->k[stage], .length = part->length, .most = SAMPLE + part->k[stage] * (uint64_t)q->o->samples,
			.iterations = q->o->iterations, .tolerance = q->o->tolerance };
		struct pb_vector_runs runs = { .data = data + part->first * q->stride, .n_runs = part->n,
			.run_length = pb_vector_count(q->job->rows, 1, part->length, true), .stride = q->stride,
			.weight = q->importance + part->first };
		status = pb_kmeans(&how, &runs, &q->rng, part->codebook[stage], err);
		if (!status)
			status = vptq_round(q->o, part->codebook[stage], (size_t)part->k[stage] * part->length, err);
		part->n_stages = stage + 1;
	}
	return status;
}

static enum pb_status vptq_code(struct vptq *q, struct pb_error *err)
{
	enum pb_status status = PB_OK;
	for (uint32_t stage = 0; !status && stage < q->y.n_stages; stage++) {
		status = vptq_codebooks(q, stage, stage ? q->work : q->w, err);
		if (!status)
			status = pb_vptq_columns(q->parts, q->hessian, q->job->rows, q->job->cols, q->stride, q->w, q->work, err);
	}
	return status;
}

/* From column after column in working order to rows of vectors; columns in their own order where that is not stored. */
static void vptq_place(const struct vptq *q, const uint32_t *from, uint32_t first, uint32_t n, size_t down, uint32_t *to)
{
	for (uint32_t p = 0; p < n; p++) {
		size_t place = q->y.ordered ? p : q->order[first + p] - first;
		for (size_t i = 0; i < down; i++)
			to[i * n + place] = from[p * down + i];
	}
}

static enum pb_status vptq_store(struct vptq *q, struct pb_encoded *m, struct pb_error *err)
{
	const struct layout *y = &q->y;
	enum pb_dtype dtype = dtypes[q->o->dtype];
	uint32_t rest = m->cols - y->n_outliers, *index[2], *outlier_index;
	size_t down = pb_vector_count(m->rows, 1, y->length, true), down_outliers = pb_vector_count(m->rows, 1, y->outlier_length, true);
	enum pb_status status = PB_OK;
	index[0] = pb_alloc(down * rest, sizeof *index[0]);
	index[1] = pb_alloc(down * rest, sizeof *index[1]);
	outlier_index = pb_alloc(down_outliers * y->n_outliers, sizeof *outlier_index);
	if (!index[0] || !index[1] || !outlier_index)
		status = pb_out_of_memory(err, "vptq");
	if (!status) {
		for (uint32_t s = 0; s < y->n_stages; s++)
			vptq_place(q, q->index[s], y->n_outliers, rest, down, index[s]);
		vptq_place(q, q->outlier_index, 0, y->n_outliers, down_outliers, outlier_index);
		struct pb_vector_values values = { .length = y->length, .along_rows = true, .n_groups = y->n_groups, .n_stages = y->n_stages,
			.n_centroids = y->k, .dtype = dtype, .codebook = (const float *const *)q->codebook,
			.index = (const uint32_t *const *)index, .n_outliers = y->n_outliers, .outlier_length = y->outlier_length,
			.outlier_centroids = y->outlier_k, .outlier_codebook = q->outlier_codebook, .outlier_index = outlier_index,
			.column_order = y->ordered ? q->order : NULL };
		status = pb_encoded_set_vector(m, &values, err);
	}
	if (!status && q->o->norm != NORM_NONE)
		status = pb_encoded_set_col_scale(m, q->scale, dtype, err);
	if (!status && q->o->norm != NORM_NONE)
		status = pb_encoded_set_col_offset(m, q->offset, dtype, err);
	pb_free(index[0]);
	pb_free(index[1]);
	pb_free(outlier_index);
	return status;
}

/* ----------------------------------------------------------------------------------------------------- hooks */

static unsigned vptq_needs(const void *options)
{
	const struct vptq_options *o = options;
	return PB_NEEDS_ACTIVATIONS | (o->sequential ? PB_NEEDS_SEQUENTIAL : PB_NEEDS_NOTHING);
}

static double vptq_wbits(const void *options, enum pb_dtype source_dtype)
{
	const struct vptq_options *o = options;
	double bits = pb_index_bits((uint32_t)o->centroids) + (o->residual ? pb_index_bits((uint32_t)o->residual) : 0);
	(void)source_dtype;
	return o->length && o->centroids ? bits / (double)o->length : o->bits;
}

static enum pb_status vptq_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes,
	struct pb_error *err)
{
	struct layout y;
	enum pb_status status = vptq_lay_out(options, rows, cols, &y, err);
	(void)source_dtype;
	if (!status)
		*bytes = y.bytes;
	return status;
}

/* The rule behind the widths that the paper prints: indices without padding, 16 bits a codebook's number, and 48 a column for scale,
 * bias and order. NaN where the options do not fit the shape. */
static double vptq_paper_bits(const void *options, uint32_t rows, uint32_t cols)
{
	struct layout y;
	if (vptq_lay_out(options, rows, cols, &y, NULL))
		return NAN;
	double coded = (double)rows * (cols - y.n_outliers), bits = 48.0 * cols;
	for (uint32_t s = 0; s < y.n_stages; s++)
		bits += coded * log2(y.k[s]) / y.length + 16.0 * y.n_groups * y.k[s] * y.length;
	if (y.n_outliers)
		bits += (double)rows * y.n_outliers * log2(y.outlier_k) / y.outlier_length + 16.0 * y.outlier_k * y.outlier_length;
	return bits;
}

static double vptq_paper_bytes(const void *options, const struct pb_config *config)
{
	return pb_paper_bytes(config, vptq_paper_bits, options);
}

static enum pb_status vptq_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	struct vptq q = { .o = options, .job = job, .rng = job->rng };
	struct pb_encoded *m = NULL;
	enum pb_status status = vptq_lay_out(q.o, job->rows, job->cols, &q.y, err);
	if (!status)
		status = vptq_alloc(&q, err);
	if (!status)
		status = vptq_norm(&q, err);
	if (!status)
		status = vptq_hessian(&q, err);
	if (!status)
		status = vptq_order(&q, err);
	if (!status)
		status = pb_hessian_factor(q.hessian, job->cols, q.order, q.o->damping, q.hessian, job->pool, err);
	if (!status)
		status = vptq_code(&q, err);
	if (!status)
		status = pb_encoded_new(&m, job->rows, job->cols, err);
	if (!status)
		status = vptq_store(&q, m, err);
	vptq_free(&q);
	if (status)
		pb_encoded_free(m);
	else
		*out = m;
	return status;
}

const struct pb_quantizer pb_quantizer_vptq = {
	.name = "vptq",
	.title = "Vector PTQ",
	.source = "arXiv:2409.17066",
	.family = "VPTQ",
	.help = "Vectors of weights down a column become indices into a codebook made by k-means that weighs columns by the second "
		"moments of their inputs; the error of a column is made up for by those after it. Codebook sizes are free; small "
		"matrices get short vectors by default, as a codebook counts.",
	.abi = PB_QUANTIZER_ABI,
	.version = 2,
	.needs = vptq_needs,
	.options = vptq_options,
	.options_size = sizeof(struct vptq_options),
	.wbits = vptq_wbits,
	.plan = vptq_plan,
	.quantize = vptq_quantize,
	.paper_bytes = vptq_paper_bytes,
};
