/* What a cell is going to be: its key, label, sizes and cost, before any work on weights. */
#include "harness/run/workspace.h"

#include <math.h>
#include <string.h>
#include "core/base/json.h"

const char *pb_cell_options(struct pb_arena *arena, const struct pb_option *table, const void *options)
{
	json_t *object = pb_options_json(table, options);
	char *text = object ? pb_json_canonical(object) : NULL;
	const char *copy = text ? pb_arena_strdup(arena, text) : NULL;

	json_decref(object);
	pb_free(text);
	return copy;
}

const char *pb_cell_model_name(const struct pb_sweep_model *spec, const struct pb_model *model)
{
	return spec->name ? spec->name : model->name;
}

/* "rtn w4 group_size=64": bits are in the width. */
static const char *make_label(struct pb_arena *arena, const struct pb_quantizer_use *use, enum pb_dtype source)
{
	struct pb_text options = {0}, label = {0};
	const char *copy;
	double wbits = use->quantizer->wbits(use->options, source);

	pb_text_printf(&label, "%s", use->quantizer->name);
	if (strcmp(use->quantizer->name, "identity") != 0 && isfinite(wbits))
		pb_text_printf(&label, " w%.3g", wbits);
	pb_options_label(use->quantizer->options, use->options, &options);
	for (const char *p = pb_text_c(&options); *p;) {
		size_t n = strcspn(p, ",");

		if (strncmp(p, "bits=", 5) != 0)
			pb_text_printf(&label, " %.*s", (int)n, p);
		p += n + (p[n] == ',');
	}
	copy = options.failed || label.failed ? NULL : pb_arena_strdup(arena, pb_text_c(&label));
	pb_text_free(&options);
	pb_text_free(&label);
	return copy;
}

static enum pb_status plan_sizes(const struct pb_model *model, const struct pb_quantizer_use *use, struct pb_cell *cell, struct pb_error *err)
{
	/* What kept columns are chosen by is not known yet, only whether there is such a thing. */
	static const float known = 0;
	struct pb_size size = pb_model_size(model);
	uint64_t total = 0;

	for (uint32_t i = 0; !model->quantization && i < model->n_matrices; i++) {
		const struct pb_matrix *m = &model->matrices[i];
		struct pb_quantize_job job = { .name = m->name, .layer = m->layer, .n_layers = model->config.n_layers, .rows = m->rows, .cols = m->cols,
			.source_dtype = m->source.dtype, .input_row_std = pb_feeding_matrix(model, m) ? &known : NULL };
		uint64_t bytes = 0;
		enum pb_status st = pb_quantizer_plan(use, &job, &bytes, err);

		if (st) {
			pb_fail_prefix(err, "%s: %s", use->quantizer->name, m->name);
			return st;
		}
		total += bytes;
	}
	cell->weight_bytes = model->quantization ? size.weight_bytes : total;
	cell->model_bytes = cell->weight_bytes + size.kept_bytes;
	cell->bytes_are_bound = !model->quantization && pb_quantizer_plan_is_bound(use);
	return PB_OK;
}

/* What a plan is made of. */
struct parts {
	struct pb_quantizer_use quantizer;
	struct pb_backend_use backend;
	struct pb_model *model;
	struct pb_tokenizer *tokenizer;
};

/* Everything that can change the numbers, and how much text there is to score; twice where two models run. */
static enum pb_status hash_cell(struct pb_workspace *w, const struct pb_cell *cell, const struct parts *parts, struct pb_hash *hash, double *chars, struct pb_error *err)
{
	const struct pb_quantizer *q = parts->quantizer.quantizer;
	const struct pb_backend *b = parts->backend.backend;
	const char *options = pb_cell_options(w->arena, q->options, parts->quantizer.options);
	const char *backend_options = pb_cell_options(w->arena, b->options, parts->backend.options), *data_hash;
	unsigned needs = pb_quantizer_needs(q, parts->quantizer.options);
	size_t n_missing = 0;

	if (!options || !backend_options)
		return pb_out_of_memory(err, "the plan");
	pb_hash_bytes(hash, &(uint32_t){ PB_NUMERICS_VERSION }, sizeof(uint32_t));
	pb_hash_string(hash, cell->model_name);
	pb_hash_string(hash, parts->model->hash);
	pb_hash_string(hash, pb_tokenizer_hash(parts->tokenizer));
	pb_hash_string(hash, q->name);
	pb_hash_bytes(hash, &(uint32_t){ q->version }, sizeof(uint32_t));
	pb_hash_string(hash, options);
	pb_hash_bytes(hash, &cell->seed, sizeof(cell->seed));
	pb_hash_string(hash, b->name);
	pb_hash_bytes(hash, &(uint32_t){ b->version }, sizeof(uint32_t));
	pb_hash_string(hash, backend_options);
	if (q->program) {
		enum pb_status st = pb_workspace_hash_data(w, q->program(parts->quantizer.options).path, &data_hash, err);

		if (st)
			return st;
		pb_hash_string(hash, data_hash);
	}
	if (needs & PB_NEEDS_TRAINING) {
		enum pb_status st = pb_workspace_hash_data(w, cell->training->data, &data_hash, err);

		if (st)
			return st;
		pb_trained_hash(cell->training, data_hash, hash);
	} else if (needs) {
		enum pb_status st = pb_workspace_hash_calibration(w, cell->calibration, parts->model, hash, err);

		if (st)
			return st;
	}
	for (size_t i = 0; i < cell->n_tasks; i++) {
		struct pb_open_task *t = NULL;
		enum pb_status st = pb_workspace_open_task(w, &cell->tasks[i], &t, err);

		/* One data set that is not there fails its own rows; a cell without any is not worth a worker. */
		if (st == PB_MISSING && ++n_missing < cell->n_tasks) {
			pb_hash_string(hash, cell->tasks[i].name);
			pb_hash_string(hash, "missing");
			continue;
		}
		if (st)
			return st;
		pb_hash_string(hash, t->task->name);
		pb_hash_string(hash, t->task->hash);
		pb_hash_string(hash, t->data->hash);
		if (pb_task_wants_moments(t->task) && cell->calibration && (st = pb_workspace_hash_calibration(w, cell->calibration, parts->model, hash, err)))
			return st;
		*chars += (pb_task_compares(t->task) ? 2 : 1) * (double)t->data->n_chars;
	}
	return PB_OK;
}

/* As many tokens of scoring are about as much work as calibration or training is. */
static double learning_tokens(const struct pb_cell *cell, const struct parts *parts)
{
	unsigned needs = pb_quantizer_needs(parts->quantizer.quantizer, parts->quantizer.options);
	uint32_t length = 0;

	if (needs & PB_NEEDS_TRAINING)
		return 3 * pb_trained_tokens(&parts->quantizer, parts->model);
	if (needs == PB_NEEDS_NOTHING || pb_calibration_is_ready(cell->calibration) ||
	    pb_calibration_length(cell->calibration, parts->model->config.context, &length, NULL))
		return 0;
	return (double)cell->calibration->n_samples * length *
		((needs & PB_NEEDS_GRADIENTS ? 3 : 0) +
		(needs & PB_NEEDS_ACTIVATIONS ? (needs & PB_NEEDS_STEPWISE ? 6 : needs & PB_NEEDS_SEQUENTIAL ? 3 : 2) * (needs & PB_NEEDS_CROSS ? 2 : 1) : 0));
}

static enum pb_status plan_parts(struct pb_workspace *w, struct pb_cell *cell, struct parts *parts, struct pb_error *err)
{
	struct pb_hash *hash;
	double chars = 0;
	enum pb_status st = pb_quantizer_use_parse(&parts->quantizer, cell->quantizer, err);

	if (!st)
		st = pb_backend_use_parse(&parts->backend, cell->backend, err);
	if (!st)
		st = pb_workspace_model(w, cell->model, &parts->model, err);
	if (!st)
		st = pb_workspace_tokenizer(w, cell->model, &parts->tokenizer, err);
	if (!st)
		st = plan_sizes(parts->model, &parts->quantizer, cell, err);
	if (st)
		return st;
	cell->label = make_label(w->arena, &parts->quantizer, parts->model->matrices[0].source.dtype);
	cell->model_name = pb_arena_strdup(w->arena, pb_cell_model_name(cell->model, parts->model));
	if (!cell->label || !cell->model_name)
		return pb_out_of_memory(err, "the plan");
	if ((st = pb_quantize_check(parts->model, &parts->quantizer, cell->calibration, cell->training, err)))
		return st;
	hash = pb_hash_new();
	if (!hash)
		return pb_out_of_memory(err, "the plan");
	st = hash_cell(w, cell, parts, hash, &chars, err);
	pb_hash_finish(hash, cell->key);
	/* About three characters a token, and the work of quantizing as that of some tokens. */
	cell->cost = (double)parts->model->parameters * (chars / 3 + 2000 + learning_tokens(cell, parts));
	return st;
}

enum pb_status pb_workspace_plan(struct pb_workspace *w, struct pb_cell *cell, struct pb_error *err)
{
	struct parts parts = {0};
	enum pb_status st = plan_parts(w, cell, &parts, err);

	pb_backend_use_free(&parts.backend);
	pb_quantizer_use_free(&parts.quantizer);
	return st;
}
