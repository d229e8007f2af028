#include "harness/run/calibration_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "core/base/memory.h"

enum part { SECOND_MOMENT, MEAN_ABS, GRADIENT_SQ, PARTS };

/* A tensor of the file. */
struct place {
	enum part part;
	char name[128];
	unsigned n_dims;
	uint32_t shape[2];
	uint64_t n;             /* numbers */
};

/* The matrix whose name stands for all with the same inputs. */
static const struct pb_matrix *first_of_input(const struct pb_model *model, const struct pb_matrix *m)
{
	static const enum pb_slot first[PB_INPUTS] = { [PB_INPUT_ATTENTION] = PB_Q, [PB_INPUT_O] = PB_O, [PB_INPUT_FFN] = PB_GATE, [PB_INPUT_DOWN] = PB_DOWN };

	return &model->matrices[(size_t)m->layer * PB_SLOTS + first[pb_input_of(m->slot)]];
}

static struct place place_of(const struct pb_model *model, const struct pb_matrix *m, enum part part)
{
	static const char *const names[PARTS] = { "second_moment", "mean_abs", "gradient_sq" };
	struct place p = { .part = part, .n_dims = part == MEAN_ABS ? 1 : 2, .shape = { part == GRADIENT_SQ ? m->rows : m->cols, m->cols } };

	p.n = (uint64_t)p.shape[0] * (p.n_dims == 2 ? p.shape[1] : 1);
	snprintf(p.name, sizeof(p.name), "%s.%s", (part == GRADIENT_SQ ? m : first_of_input(model, m))->name, names[part]);
	return p;
}

/* The places that `needs` asks for, in the order of the model; start with next = 0. */
struct places {
	const struct pb_model *model;
	unsigned needs;
	size_t next;
};

static bool next_place(struct places *it, struct place *p)
{
	while (it->next < (size_t)it->model->n_matrices * PARTS) {
		const struct pb_matrix *m = &it->model->matrices[it->next / PARTS];
		enum part part = (enum part)(it->next++ % PARTS);

		if (part == GRADIENT_SQ ? it->needs & PB_NEEDS_GRADIENTS : it->needs & PB_NEEDS_ACTIVATIONS && first_of_input(it->model, m) == m) {
			*p = place_of(it->model, m, part);
			return true;
		}
	}
	return false;
}

/* ---- reading ---- */

static enum pb_status check_place(const struct pb_safetensors *file, const char *path, const struct place *p, struct pb_error *err)
{
	const struct pb_tensor *t = pb_safetensors_find(file, p->name);
	bool fits;

	if (!t)
		return pb_fail(err, PB_FORMAT, "%s: %s is not in it", path, p->name);
	if (t->dtype != PB_F32)
		return pb_fail(err, PB_FORMAT, "%s: %s is %s and should be F32", path, p->name, pb_dtype_name(t->dtype));
	fits = t->n_dims == p->n_dims;
	for (unsigned d = 0; fits && d < p->n_dims; d++)
		fits = t->shape[d] == p->shape[d];
	if (!fits && p->n_dims == 1)
		return pb_fail(err, PB_FORMAT, "%s: %s: its shape is not (%" PRIu32 ") as this model's", path, p->name, p->shape[0]);
	if (!fits)
		return pb_fail(err, PB_FORMAT, "%s: %s: its shape is not (%" PRIu32 ", %" PRIu32 ") as this model's", path, p->name, p->shape[0], p->shape[1]);
	if ((uintptr_t)t->data % _Alignof(float))
		return pb_fail(err, PB_FORMAT, "%s: %s does not begin at a multiple of 4 bytes", path, p->name);
	return PB_OK;
}

enum pb_status pb_calibration_file_check(const struct pb_safetensors *file, const char *path, const struct pb_model *model, unsigned needs,
	struct pb_error *err)
{
	const char *hash = pb_safetensors_metadata(file, "model");
	struct places it = { model, needs, 0 };
	struct place p;
	enum pb_status st = PB_OK;

	if (hash && strcmp(hash, model->hash) != 0)
		return pb_fail(err, PB_USAGE, "%s: these tensors were made with another model than %s", path, model->name);
	while (!st && next_place(&it, &p))
		st = check_place(file, path, &p, err);
	return st;
}

enum pb_status pb_calibration_file_check_numbers(const struct pb_safetensors *file, const char *path, const struct pb_model *model, unsigned needs,
	struct pb_error *err)
{
	struct places it = { model, needs, 0 };
	struct place p;

	while (next_place(&it, &p)) {
		const float *values = pb_safetensors_find(file, p.name)->data;
		uint64_t bad = pb_count_not_finite(values, p.n), step = p.part == SECOND_MOMENT ? (uint64_t)p.shape[1] + 1 : 1;

		if (bad)
			return pb_fail(err, PB_NUMERIC, "%s: %s: %" PRIu64 " of %" PRIu64 " numbers are not finite", path, p.name, bad, p.n);
		for (uint64_t i = 0; i < p.n; i += step)
			if (values[i] < 0)
				return pb_fail(err, PB_NUMERIC, "%s: %s: a mean of squares or of magnitudes is negative", path, p.name);
	}
	return PB_OK;
}

static const float *find(const struct pb_safetensors *file, const struct pb_model *model, const struct pb_matrix *m, enum part part)
{
	struct place p = place_of(model, m, part);

	return pb_safetensors_find(file, p.name)->data;
}

void pb_calibration_file_fill_inputs(const struct pb_safetensors *file, const struct pb_model *model, const struct pb_matrix *m, struct pb_quantize_job *job)
{
	job->second_moment = find(file, model, m, SECOND_MOMENT);
	job->mean_abs = find(file, model, m, MEAN_ABS);
}

void pb_calibration_file_fill_gradients(const struct pb_safetensors *file, const struct pb_model *model, const struct pb_matrix *m, struct pb_quantize_job *job)
{
	job->gradient_sq = find(file, model, m, GRADIENT_SQ);
}

/* ---- writing ---- */

/* A file with the header of what is needed; the names of its tensors live until here. */
static enum pb_status begin_file(struct pb_safetensors_writer **w, const char *path, const struct pb_model *model, unsigned needs, const char *const *metadata,
	struct pb_error *err)
{
	size_t most = (size_t)model->n_matrices * PARTS, n = 0;
	struct places it = { model, needs, 0 };
	struct place *places = pb_alloc(most, sizeof(*places));
	struct pb_named_tensor *tensors = pb_alloc_zero(most, sizeof(*tensors));
	enum pb_status st = PB_OK;

	if (!places || !tensors)
		st = pb_out_of_memory(err, "calibration");
	for (; !st && next_place(&it, &places[n]); n++) {
		const struct place *p = &places[n];

		tensors[n] = (struct pb_named_tensor){ p->name, { .dtype = PB_F32, .n_dims = p->n_dims, .shape = { p->shape[0], p->shape[1] }, .bytes = p->n * sizeof(float) } };
	}
	if (!st)
		st = pb_safetensors_writer_open(w, path, tensors, n, metadata, err);
	pb_free(places);
	pb_free(tensors);
	return st;
}

static enum pb_status end_file(struct pb_safetensors_writer *w, enum pb_status st, struct pb_error *err)
{
	if (!st)
		return pb_safetensors_writer_commit(w, err);
	pb_safetensors_writer_abort(w);
	return st;
}

enum pb_status pb_calibration_write_inputs(const char *path, struct pb_calibrator *c, const struct pb_model *model, const char *const *metadata,
	struct pb_error *err)
{
	struct pb_safetensors_writer *w = NULL;
	enum pb_status st = begin_file(&w, path, model, PB_NEEDS_ACTIVATIONS, metadata, err);

	for (uint32_t layer = 0; !st && layer < model->config.n_layers; layer++) {
		st = pb_calibrator_measure(c, true, err);
		for (int i = 0; !st && i < PB_INPUTS; i++) {
			const struct pb_moments *m = pb_calibrator_moments(c, (enum pb_input)i);

			st = pb_safetensors_writer_put(w, m->second_moment, err);
			if (!st)
				st = pb_safetensors_writer_put(w, m->mean_abs, err);
		}
	}
	return end_file(w, st, err);
}

enum pb_status pb_calibration_write_gradients(const char *path, const float *const *gradients, const struct pb_model *model, const char *const *metadata,
	struct pb_error *err)
{
	struct pb_safetensors_writer *w = NULL;
	enum pb_status st = begin_file(&w, path, model, PB_NEEDS_GRADIENTS, metadata, err);

	for (uint32_t i = 0; !st && i < model->n_matrices; i++)
		st = pb_safetensors_writer_put(w, gradients[i], err);
	return end_file(w, st, err);
}
