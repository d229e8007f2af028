/* A whole model through a quantizer: matrices in parallel, each with a random stream of its own; methods that share the work on one
 * matrix get the threads that have none. Where the inputs of matrices come layer by layer, only those of one layer at a time. */
#include "harness/run/cell.h"

#include <math.h>
#include <string.h>
#include "harness/run/external.h"

struct quantize_work {
	struct pb_model *model;
	const struct pb_quantizer_use *use;
	int64_t seed;
	struct pb_calibration *calibration;     /* or NULL */
	struct pb_pool *pool;
	size_t first;                   /* matrix of task 0 */
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
	struct pb_quantize_job job = { .name = m->name, .layer = m->layer, .n_layers = work->model->config.n_layers, .slot = m->slot, .rows = m->rows, .cols = m->cols,
		.source_dtype = m->source.data ? m->source.dtype : PB_F32, .rng = pb_rng_make((uint64_t)work->seed, pb_rng_stream(m->name)),
		.pool = work->pool };
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
	if (work->calibration)
		pb_calibration_fill(work->calibration, m, &job);
	if (!st)
		st = work->use->quantizer->program ? pb_external_run(work->use, &job, &work->done[i], err) : pb_quantizer_run(work->use, &job, &work->done[i], err);
	pb_free(std);
	pb_free(weights);
	return st;
}

static void quantize_task(void *arg, size_t task, unsigned worker)
{
	struct quantize_work *work = arg;
	size_t i = work->first + task;
	struct pb_error *err = &work->errors[i];

	(void)worker;
	if (quantize_one(work, i, err))
		pb_fail_prefix(err, "%s: %s", work->use->quantizer->name, work->model->matrices[i].name);
}

static enum pb_status check_source(const struct pb_model *model, const struct pb_quantizer *q, struct pb_error *err)
{
	if (model->quantization && strcmp(q->name, "identity") != 0)
		return pb_fail(err, PB_UNSUPPORTED, "%s: %s is quantized already; only identity runs it as it is", q->name, model->name);
	return PB_OK;
}

enum pb_status pb_quantize_check(const struct pb_model *model, const struct pb_quantizer_use *use, const struct pb_calibration_spec *calibration,
	const struct pb_training_spec *training, struct pb_error *err)
{
	unsigned needs = pb_quantizer_needs(use->quantizer, use->options);
	enum pb_status st = check_source(model, use->quantizer, err);

	if (!st && needs & PB_NEEDS_TRAINING)
		return pb_trained_check(training, use, model, err);
	if (!st && use->quantizer->program)
		st = pb_external_check(use, err);
	return st ? st : pb_calibration_check(calibration, use->quantizer, needs, model, err);
}

/* Matrices [first, first + n); on success the model has their encodings. */
static enum pb_status quantize_range(struct quantize_work *work, size_t first, size_t n, struct pb_error *err)
{
	work->first = first;
	pb_pool_run(work->pool, n, quantize_task, work);
	/* The first in order, not in time: the message does not depend on threads. */
	for (size_t i = first; i < first + n; i++)
		if (work->errors[i].status)
			return pb_fail(err, work->errors[i].status, "%s", work->errors[i].text);
	for (size_t i = first; i < first + n; i++) {
		pb_matrix_set_encoded(&work->model->matrices[i], work->done[i]);
		work->done[i] = NULL;
	}
	return PB_OK;
}

/* The matrices of one layer, those of an input together. */
static enum pb_status quantize_steps(struct quantize_work *work, size_t first, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	for (size_t slot = 0, n; !st && slot < PB_SLOTS; slot += n) {
		enum pb_input input = pb_input_of((enum pb_slot)slot);

		for (n = 1; slot + n < PB_SLOTS && pb_input_of((enum pb_slot)(slot + n)) == input; n++)
			;
		st = pb_calibration_step(work->calibration, input, err);
		if (!st)
			st = quantize_range(work, first + slot, n, err);
	}
	return st;
}

static enum pb_status quantize_layers(struct quantize_work *work, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	for (uint32_t layer = 0; !st && layer < work->model->config.n_layers; layer++) {
		st = pb_calibration_enter(work->calibration, layer, err);
		if (!st)
			st = pb_calibration_is_stepwise(work->calibration) ? quantize_steps(work, (size_t)layer * PB_SLOTS, err)
				: quantize_range(work, (size_t)layer * PB_SLOTS, PB_SLOTS, err);
	}
	return st;
}

enum pb_status pb_quantize_model(struct pb_model *model, const struct pb_quantizer_use *use, int64_t seed, struct pb_calibration *calibration,
	struct pb_pool *pool, struct pb_error *err)
{
	struct quantize_work work = { .model = model, .use = use, .seed = seed, .calibration = calibration, .pool = pool };
	size_t n = model->n_matrices;
	enum pb_status st = check_source(model, use->quantizer, err);

	if (st || model->quantization)
		return st;
	work.done = pb_alloc_zero(n, sizeof(*work.done));
	work.errors = pb_alloc_zero(n, sizeof(*work.errors));
	if (!work.done || !work.errors)
		st = pb_out_of_memory(err, "the quantized model");
	else if (calibration && pb_calibration_is_layered(calibration))
		st = quantize_layers(&work, err);
	else
		st = quantize_range(&work, 0, n, err);
	for (size_t i = 0; work.done && i < n; i++)
		pb_encoded_free(work.done[i]);
	if (st)
		pb_unquantize_model(model);
	pb_free(work.done);
	pb_free(work.errors);
	return st;
}

void pb_unquantize_model(struct pb_model *model)
{
	for (size_t i = 0; !model->quantization && i < model->n_matrices; i++)
		pb_matrix_set_encoded(&model->matrices[i], NULL);
}
