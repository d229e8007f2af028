/* A whole model through a quantizer: matrices in parallel, each with a random stream of its own. */
#include "harness/run/cell.h"

#include <math.h>
#include <string.h>

struct quantize_work {
	struct pb_model *model;
	const struct pb_quantizer_use *use;
	int64_t seed;
	struct pb_encoded **done;       /* [n_matrices] */
	struct pb_error *errors;        /* [n_matrices] */
};

/* Standard deviation of each row, in double, over (rows, cols). */
static void row_std(const float *w, uint32_t rows, uint32_t cols, float *out)
{
	for (uint32_t r = 0; r < rows; r++) {
		const float *row = w + (size_t)r * cols;
		double sum = 0, squares = 0, mean;

		for (uint32_t c = 0; c < cols; c++)
			sum += row[c];
		mean = sum / cols;
		for (uint32_t c = 0; c < cols; c++)
			squares += (row[c] - mean) * (row[c] - mean);
		out[r] = (float)sqrt(squares / cols);
	}
}

const struct pb_matrix *pb_feeding_matrix(const struct pb_model *model, const struct pb_matrix *m)
{
	const struct pb_matrix *layer = &model->matrices[(size_t)m->layer * PB_SLOTS];
	const struct pb_matrix *from = m->slot == PB_DOWN ? &layer[PB_UP] : m->slot == PB_O ? &layer[PB_V] : NULL;

	return from && from->rows == m->cols ? from : NULL;
}

static enum pb_status quantize_one(struct quantize_work *work, size_t i, struct pb_error *err)
{
	const struct pb_matrix *m = &work->model->matrices[i];
	const struct pb_matrix *from = pb_feeding_matrix(work->model, m);
	struct pb_quantize_job job = { .name = m->name, .layer = m->layer, .n_layers = work->model->config.n_layers, .rows = m->rows, .cols = m->cols,
		.source_dtype = m->source.data ? m->source.dtype : PB_F32, .rng = pb_rng_make((uint64_t)work->seed, pb_rng_stream(m->name)) };
	float *weights = pb_alloc((size_t)m->rows * m->cols, sizeof(float));
	float *std = NULL, *feeding = NULL;
	enum pb_status st = weights ? pb_matrix_read(m, weights, err) : pb_out_of_memory(err, "weights");

	if (!st && from) {
		std = pb_alloc(from->rows, sizeof(float));
		feeding = pb_alloc((size_t)from->rows * from->cols, sizeof(float));
		st = std && feeding ? pb_matrix_read(from, feeding, err) : pb_out_of_memory(err, "weights");
		if (!st)
			row_std(feeding, from->rows, from->cols, std);
		pb_free(feeding);
	}
	job.weights = weights;
	job.input_row_std = std;
	if (!st)
		st = pb_quantizer_run(work->use, &job, &work->done[i], err);
	pb_free(std);
	pb_free(weights);
	return st;
}

static void quantize_task(void *arg, size_t task, unsigned worker)
{
	struct quantize_work *work = arg;
	struct pb_error *err = &work->errors[task];

	(void)worker;
	if (quantize_one(work, task, err))
		pb_fail_prefix(err, "%s: %s", work->use->quantizer->name, work->model->matrices[task].name);
}

enum pb_status pb_quantize_check(const struct pb_model *model, const struct pb_quantizer_use *use, struct pb_error *err)
{
	const struct pb_quantizer *q = use->quantizer;

	if (model->quantization && strcmp(q->name, "identity") != 0)
		return pb_fail(err, PB_UNSUPPORTED, "%s: %s is quantized already; only identity runs it as it is", q->name, model->name);
	if (pb_quantizer_needs(q, use->options) != PB_NEEDS_NOTHING)
		return pb_fail(err, PB_UNSUPPORTED, "%s: needs calibration, which this version does not collect", q->name);
	return PB_OK;
}

enum pb_status pb_quantize_model(struct pb_model *model, const struct pb_quantizer_use *use, int64_t seed, struct pb_pool *pool, struct pb_error *err)
{
	struct quantize_work work = { .model = model, .use = use, .seed = seed };
	size_t n = model->n_matrices;
	enum pb_status st = pb_quantize_check(model, use, err);

	if (st || model->quantization)
		return st;
	work.done = pb_alloc_zero(n, sizeof(*work.done));
	work.errors = pb_alloc_zero(n, sizeof(*work.errors));
	if (!work.done || !work.errors)
		st = pb_out_of_memory(err, "the quantized model");
	else
		pb_pool_run(pool, n, quantize_task, &work);
	/* The first in order, not in time: the message does not depend on threads. */
	for (size_t i = 0; !st && i < n; i++)
		if (work.errors[i].status)
			st = pb_fail(err, work.errors[i].status, "%s", work.errors[i].text);
	for (size_t i = 0; work.done && i < n; i++) {
		if (st)
			pb_encoded_free(work.done[i]);
		else
			pb_matrix_set_encoded(&model->matrices[i], work.done[i]);
	}
	pb_free(work.done);
	pb_free(work.errors);
	return st;
}

void pb_unquantize_model(struct pb_model *model)
{
	for (size_t i = 0; !model->quantization && i < model->n_matrices; i++)
		pb_matrix_set_encoded(&model->matrices[i], NULL);
}
