#include "harness/run/weights.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#define ROWS 64u                /* of a matrix that one task takes */
#define PANEL 128u              /* columns of the second moments that it multiplies by at a time */

enum pb_status pb_weights_before(struct pb_model *out, const struct pb_model *model, struct pb_error *err)
{
	struct pb_matrix *matrices;

	if (model->quantization)
		return pb_fail(err, PB_UNSUPPORTED, "%s is quantized already; what its weights were before is not known", model->name);
	matrices = pb_alloc(model->n_matrices, sizeof(*matrices));
	if (!matrices)
		return pb_out_of_memory(err, "the weights before");
	memcpy(matrices, model->matrices, model->n_matrices * sizeof(*matrices));
	for (uint32_t i = 0; i < model->n_matrices; i++)
		matrices[i].encoded = NULL;
	*out = *model;
	out->matrices = matrices;
	return PB_OK;
}

/* One matrix, in blocks of rows. */
struct comparison {
	const struct pb_matrix *before, *after;
	const float *second_moment;     /* (cols, cols) or NULL */
	struct pb_weight_error *blocks; /* of each task */
	bool *failed;                   /* memory was out, of each task */
};

static void read_rows(const struct pb_matrix *m, uint32_t first, uint32_t n, float *out)
{
	if (m->encoded)
		pb_encoded_decode(m->encoded, first, n, out);
	else
		pb_float_read(m->source.dtype, m->source.data, (uint64_t)first * m->cols, (uint64_t)n * m->cols, out);
}

/* sum over the rows r of r H r^T, for the first n rows of x into *first and for as many behind them into *second; x: (2n, cols).
 * panel: scratch (cols, PANEL); products: scratch (2n, PANEL). */
static void add_proxies(const float *h, uint32_t cols, const double *x, uint32_t n, double *panel, double *products, double *first, double *second)
{
	for (uint32_t at = 0, width; at < cols; at += width) {
		width = cols - at < PANEL ? cols - at : PANEL;
		for (uint32_t i = 0; i < cols; i++)
			for (uint32_t j = 0; j < width; j++)
				panel[(size_t)i * width + j] = h[(size_t)i * cols + at + j];
		cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)(2 * n), (blasint)width, (blasint)cols, 1, x, (blasint)cols, panel, (blasint)width,
			0, products, (blasint)width);
		for (uint32_t i = 0; i < 2 * n; i++)
			for (uint32_t j = 0; j < width; j++)
				*(i < n ? first : second) += x[(size_t)i * cols + at + j] * products[(size_t)i * width + j];
	}
}

static void compare_task(void *arg, size_t task, unsigned worker)
{
	const struct comparison *c = arg;
	struct pb_weight_error *e = &c->blocks[task];
	uint32_t first = (uint32_t)task * ROWS, n = c->before->rows - first < ROWS ? c->before->rows - first : ROWS, cols = c->before->cols;
	size_t count = (size_t)n * cols;
	float *before = pb_alloc(2 * count, sizeof(*before)), *after = before ? before + count : NULL;
	double *x = pb_alloc(2 * count, sizeof(*x));    /* errors, then weights */
	double *scratch = c->second_moment ? pb_alloc(cols + 2 * ROWS, PANEL * sizeof(*scratch)) : NULL;

	(void)worker;
	memset(e, 0, sizeof(*e));
	c->failed[task] = !before || !x || (c->second_moment && !scratch);
	if (!c->failed[task]) {
		read_rows(c->before, first, n, before);
		read_rows(c->after, first, n, after);
		for (size_t i = 0; i < count; i++) {
			x[i] = (double)after[i] - before[i];
			x[count + i] = before[i];
			e->error[PB_SUMS_L1] += fabs(x[i]);
			e->whole[PB_SUMS_L1] += fabs(x[count + i]);
			e->error[PB_SUMS_SQUARES] += x[i] * x[i];
			e->whole[PB_SUMS_SQUARES] += x[count + i] * x[count + i];
		}
		if (c->second_moment)
			add_proxies(c->second_moment, cols, x, n, scratch, scratch + (size_t)cols * PANEL, &e->error[PB_SUMS_PROXY], &e->whole[PB_SUMS_PROXY]);
	}
	pb_free(scratch);
	pb_free(x);
	pb_free(before);
}

static enum pb_status compare_matrix(struct comparison *c, struct pb_pool *pool, struct pb_weight_error *out, struct pb_error *err)
{
	size_t n = c->before->rows / ROWS + (c->before->rows % ROWS != 0);
	enum pb_status st = PB_OK;

	if (c->after->encoded && c->after->encoded->post != PB_POST_NONE)
		return pb_fail(err, PB_UNSUPPORTED, "a layernorm behind it makes the scale of its weights mean nothing");
	c->blocks = pb_alloc(n, sizeof(*c->blocks));
	c->failed = pb_alloc(n, sizeof(*c->failed));
	memset(out, 0, sizeof(*out));
	if (!c->blocks || !c->failed)
		st = pb_out_of_memory(err, "sums over weights");
	else
		pb_pool_run(pool, n, compare_task, c);
	for (size_t i = 0; !st && i < n; i++) {
		if (c->failed[i])
			st = pb_out_of_memory(err, "sums over weights");
		for (unsigned k = 0; k < PB_SUMS; k++) {
			out->error[k] += c->blocks[i].error[k];
			out->whole[k] += c->blocks[i].whole[k];
		}
	}
	pb_free(c->blocks);
	pb_free(c->failed);
	return st;
}

enum pb_status pb_weights_compare(const struct pb_model *before, const struct pb_model *after, struct pb_calibration *moments, struct pb_pool *pool,
	pb_progress_fn progress, void *arg, struct pb_weight_error *out, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	openblas_set_num_threads(1);
	for (uint32_t i = 0; !st && i < before->n_matrices; i++) {
		struct comparison c = { .before = &before->matrices[i], .after = &after->matrices[i] };
		struct pb_quantize_job job = {0};

		if (progress && progress(arg, (double)i / before->n_matrices))
			return pb_fail(err, PB_INTERRUPTED, "stopped");
		if (moments && pb_calibration_is_layered(moments) && i % PB_SLOTS == 0)
			st = pb_calibration_enter(moments, c.before->layer, err);
		if (!st && moments)
			pb_calibration_fill(moments, c.before, &job);
		c.second_moment = job.second_moment;
		if (!st && (st = compare_matrix(&c, pool, &out[i], err)))
			pb_fail_prefix(err, "%s", c.before->name);
	}
	return st;
}
