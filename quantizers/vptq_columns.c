/* Column p, vector by vector, ties to the lower index:
 *
 *   x_p = w_p - sum over i < p of e_i U_ip,   i1 = argmin_c |x_p - C_c|,   i2 = argmin_c |x_p - C_i1 - R_c|,   e_p = (x_p - C_i1 - R_i2) / U_pp
 *
 * The sum is made as in the released code: for the columns after a block of BLOCK at the end of the block. */
#include "quantizers/vptq_columns.h"

#include <cblas.h>
#include <string.h>
#include "core/base/memory.h"
#include "quantizers/kmeans.h"

#define BLOCK 128u      /* the reference's */

struct loop {
	const struct pb_vptq_part *part;
	struct pb_nearest *search[2];
	uint32_t rows;
	size_t stride;
	float *error;           /* (BLOCK, stride) e of the block's columns */
	float *value, *rest;    /* (stride) q; x less the main code */
};

static void close_part(struct loop *l)
{
	for (int s = 0; s < 2; s++) {
		pb_nearest_free(l->search[s]);
		l->search[s] = NULL;
	}
}

static enum pb_status open_part(struct loop *l, const struct pb_vptq_part *part, struct pb_error *err)
{
	enum pb_status status = PB_OK;
	close_part(l);
	l->part = part;
	for (uint32_t s = 0; !status && s < part->n_stages; s++) {
		status = pb_nearest_new(&l->search[s], part->k[s], part->length, err);
		if (!status)
			pb_nearest_set(l->search[s], part->codebook[s]);
	}
	return status;
}

/* Codes x, whole vectors of column p, and leaves x less its code there. */
static void code_column(struct loop *l, uint32_t p, float *x)
{
	const struct pb_vptq_part *part = l->part;
	uint32_t v = part->length;
	size_t n = l->rows / v + (l->rows % v != 0);
	const float *from = x;
	for (uint32_t s = 0; s < part->n_stages; s++) {
		uint32_t *index = part->index[s] + (p - part->first) * n;
		pb_nearest_find(l->search[s], from, n, index, NULL);
		for (size_t i = 0; i < n; i++) {
			const float *c = part->codebook[s] + (size_t)index[i] * v;
			for (size_t e = i * v; e < (i + 1) * v; e++)
				l->value[e] = s ? l->value[e] + *c++ : *c++;
		}
		for (size_t e = 0; e < n * v; e++)
			l->rest[e] = x[e] - l->value[e];
		from = l->rest;
	}
	memcpy(x, l->rest, l->rows * sizeof *x);
}

static enum pb_status code_all(struct loop *l, const struct pb_vptq_part *parts, const float *u, uint32_t cols, float *work,
	struct pb_error *err)
{
	enum pb_status status = PB_OK;
	blasint n = (blasint)cols, rows = (blasint)l->rows, stride = (blasint)l->stride;
	for (uint32_t first = 0, end; first < cols; first = end) {
		end = cols - first < BLOCK ? cols : first + BLOCK;
		for (uint32_t p = first; p < end; p++) {
			const float *column = u + (size_t)first * cols + p; /* of U, from the block's first row on */
			float *x = work + p * l->stride, *e = l->error + (p - first) * l->stride;
			if (!l->part || p == l->part->first + l->part->n)
				status = open_part(l, l->part ? l->part + 1 : parts, err);
			if (status)
				return status;
			if (p > first)
				cblas_sgemv(CblasRowMajor, CblasTrans, (blasint)(p - first), rows, -1, l->error, stride, column, n, 1, x, 1);
			code_column(l, p, x);
			for (size_t r = 0; r < l->rows; r++)
				e[r] = x[r] / column[(size_t)(p - first) * cols];
		}
		if (end < cols)
			cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)(cols - end), rows, (blasint)(end - first), -1,
				u + (size_t)first * cols + end, n, l->error, stride, 1, work + end * l->stride, stride);
	}
	return PB_OK;
}

enum pb_status pb_vptq_columns(const struct pb_vptq_part *parts, const float *u, uint32_t rows, uint32_t cols,
	size_t stride, const float *w, float *work, struct pb_error *err)
{
	struct loop l = { .rows = rows, .stride = stride, .error = pb_alloc_aligned(BLOCK * stride, sizeof(float)),
		.value = pb_alloc(stride, sizeof(float)), .rest = pb_alloc(stride, sizeof(float)) };
	enum pb_status status = l.error && l.value && l.rest ? PB_OK : pb_out_of_memory(err, "column loop");
	if (!status) {
		memcpy(work, w, cols * stride * sizeof *work);
		status = code_all(&l, parts, u, cols, work, err);
	}
	close_part(&l);
	pb_free(l.error);
	pb_free(l.value);
	pb_free(l.rest);
	return status;
}
