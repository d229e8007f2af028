#include "harness/run/workspace.h"

#include <stdio.h>
#include <string.h>
#include "harness/run/recipe_model.h"

enum pb_status pb_workspace_new(struct pb_workspace **out, struct pb_pool *pool, const struct pb_data_path *data, struct pb_error *err)
{
	struct pb_workspace *w = pb_alloc_zero(1, sizeof(*w));

	if (w)
		w->arena = pb_arena_new();
	if (!w || !w->arena) {
		pb_free(w);
		return pb_out_of_memory(err, "the workspace");
	}
	w->pool = pool;
	w->data = *data;
	*out = w;
	return PB_OK;
}

static void close_model(struct pb_workspace *w)
{
	pb_model_close(w->model);
	w->model = NULL;
	pb_free(w->model_path);
	w->model_path = NULL;
}

static void close_tokenizer(struct pb_workspace *w)
{
	pb_tokenizer_free(w->tokenizer);
	w->tokenizer = NULL;
	pb_free(w->tokenizer_path);
	w->tokenizer_path = NULL;
}

void pb_workspace_free(struct pb_workspace *w)
{
	if (!w)
		return;
	while (w->tasks) {
		struct pb_open_task *t = w->tasks;

		w->tasks = t->next;
		pb_task_requests_free(t->requests);
		pb_task_data_free(t->data);
		pb_task_close(t->task);
		pb_free(t);
	}
	close_tokenizer(w);
	close_model(w);
	pb_ids_free(&w->tokens);
	pb_arena_free(w->arena);
	pb_free(w);
}

enum pb_status pb_workspace_model(struct pb_workspace *w, const struct pb_sweep_model *spec, struct pb_model **model, struct pb_error *err)
{
	enum pb_status st;

	if (w->model && strcmp(w->model_path, spec->path) == 0) {
		*model = w->model;
		return PB_OK;
	}
	if (spec->is_made && !pb_recipe_model_is_there(spec->path))
		return pb_fail(err, PB_MISSING, "its model is trained first");
	close_model(w);
	w->model_path = pb_strdup(spec->path);
	if (!w->model_path)
		return pb_out_of_memory(err, "a path");
	st = pb_model_open(&w->model, spec->path, err);
	if (!st)
		st = pb_model_check_finite(w->model, err);
	if (st) {
		close_model(w);
		return st;
	}
	*model = w->model;
	return PB_OK;
}

enum pb_status pb_workspace_tokenizer(struct pb_workspace *w, const struct pb_sweep_model *spec, struct pb_tokenizer **tokenizer, struct pb_error *err)
{
	struct pb_model *model = NULL;
	char *path = NULL;
	enum pb_status st = pb_workspace_model(w, spec, &model, err);

	if (st)
		return st;
	if (spec->tokenizer) {
		path = pb_strdup(spec->tokenizer);
		if (!path)
			return pb_out_of_memory(err, "a path");
	} else if ((st = pb_model_find_tokenizer(model, &path, err))) {
		return st;
	}
	if (w->tokenizer && strcmp(w->tokenizer_path, path) == 0 && pb_tokenizer_size(w->tokenizer) == model->config.n_vocab) {
		pb_free(path);
		*tokenizer = w->tokenizer;
		return PB_OK;
	}
	close_tokenizer(w);
	w->tokenizer_path = path;
	st = pb_tokenizer_open(&w->tokenizer, path, model->config.n_vocab, err);
	if (st)
		close_tokenizer(w);
	else
		*tokenizer = w->tokenizer;
	return st;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

enum pb_status pb_workspace_open_task(struct pb_workspace *w, const struct pb_sweep_task *spec, struct pb_open_task **out, struct pb_error *err)
{
	struct pb_open_task *t;
	struct pb_task *task = NULL;
	enum pb_status st = pb_task_open(&task, spec->name, spec->protocol, spec->limit, err);

	if (st)
		return st;
	for (t = w->tasks; t; t = t->next)
		if (same_text(t->task->hash, task->hash) && same_text(t->task->name, task->name)) {
			pb_task_close(task);
			*out = t;
			return PB_OK;
		}
	t = pb_alloc_zero(1, sizeof(*t));
	if (!t) {
		pb_task_close(task);
		return pb_out_of_memory(err, "a task");
	}
	t->task = task;
	st = pb_task_data_read(&t->data, task, &w->data, err);
	if (st) {
		pb_task_close(task);
		pb_free(t);
		return st;
	}
	t->next = w->tasks;
	w->tasks = t;
	*out = t;
	return PB_OK;
}

enum pb_status pb_workspace_open_requests(struct pb_open_task *t, const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err)
{
	if (t->requests && t->context == context && strcmp(t->tokenizer, pb_tokenizer_hash(tokenizer)) == 0)
		return PB_OK;
	pb_task_requests_free(t->requests);
	t->requests = NULL;
	t->context = context;
	strcpy(t->tokenizer, pb_tokenizer_hash(tokenizer));
	return pb_task_requests_make(&t->requests, t->task, t->data, tokenizer, context, err);
}

/* ---- data that methods learn from ---- */

enum pb_status pb_workspace_hash_data(struct pb_workspace *w, const char *path, const char **hash, struct pb_error *err)
{
	struct pb_hashed *h = w->hashed;
	enum pb_status st = PB_OK;

	while (h && strcmp(h->path, path) != 0)
		h = h->next;
	if (!h) {
		h = pb_arena_alloc(w->arena, 1, sizeof(*h));
		if (!h || !(h->path = pb_arena_strdup(w->arena, path)))
			return pb_out_of_memory(err, "a path");
		st = pb_hash_of_file(path, h->hash, err);
		if (st)
			return st;
		h->next = w->hashed;
		w->hashed = h;
	}
	*hash = h->hash;
	return PB_OK;
}

enum pb_status pb_workspace_hash_calibration(struct pb_workspace *w, const struct pb_calibration_spec *calibration, const struct pb_model *model,
	struct pb_hash *hash, struct pb_error *err)
{
	const char *data_hash;
	enum pb_status st = pb_workspace_hash_data(w, calibration->data, &data_hash, err);

	if (!st)
		pb_calibration_hash(calibration, data_hash, model->config.context, hash);
	return st;
}

enum pb_status pb_workspace_open_calibration(struct pb_workspace *w, const struct pb_sweep_model *spec, struct pb_calibration_source *source, unsigned needs,
	struct pb_calibration **out, struct pb_error *err)
{
	struct pb_tokenizer *tokenizer = NULL;
	enum pb_status st = pb_calibration_is_ready(source->spec) ? PB_OK : pb_workspace_tokenizer(w, spec, &tokenizer, err);

	if (!st)
		st = pb_workspace_hash_data(w, source->spec->data, &source->hash, err);
	source->tokenizer = tokenizer;
	return st ? st : pb_calibration_open(out, source, needs, err);
}

enum pb_status pb_workspace_calibrate(struct pb_workspace *w, const struct pb_sweep_model *spec, const struct pb_quantizer_use *use,
	const struct pb_calibration_spec *calibration, const char *cache, pb_progress_fn progress, void *arg, struct pb_calibration **out, struct pb_error *err)
{
	unsigned needs = pb_quantizer_needs(use->quantizer, use->options);
	struct pb_calibration_source source = { .spec = calibration, .cache = cache, .pool = w->pool, .progress = progress, .arg = arg };
	struct pb_model *model = NULL;
	enum pb_status st = pb_workspace_model(w, spec, &model, err);

	if (!st)
		st = pb_quantize_check(model, use, calibration, NULL, err);
	if (st || !(needs & PB_NEEDS_CALIBRATION))
		return st;
	source.model = model;
	return pb_workspace_open_calibration(w, spec, &source, needs, out, err);
}

/* Tokens that are kept are those of this text and tokenizer, or none. */
static void keep_tokens(struct pb_workspace *w, const struct pb_training_spec *training, const struct pb_tokenizer *tokenizer, const char *hash)
{
	char of[sizeof(w->tokens_of)];

	snprintf(of, sizeof(of), "%s %s %d", pb_tokenizer_hash(tokenizer), hash, (int)pb_text_format(training->data, training->format));
	if (strcmp(of, w->tokens_of) != 0)
		w->tokens.n = 0;
	strcpy(w->tokens_of, of);
}

enum pb_status pb_workspace_train(struct pb_workspace *w, const struct pb_sweep_model *spec, const struct pb_quantizer_use *use,
	const struct pb_training_spec *training, const char *folder, int64_t seed, pb_stage_fn stage, void *arg, struct pb_model **out, double *seconds,
	struct pb_error *err)
{
	struct pb_trained_source source = { .spec = training, .folder = folder, .use = use, .seed = seed, .pool = w->pool, .stage = stage, .arg = arg };
	struct pb_model *model = NULL;
	struct pb_tokenizer *tokenizer = NULL;
	enum pb_status st = pb_workspace_model(w, spec, &model, err);

	if (!st)
		st = pb_quantize_check(model, use, NULL, training, err);
	if (!st)
		st = pb_workspace_tokenizer(w, spec, &tokenizer, err);
	if (!st)
		st = pb_workspace_hash_data(w, training->data, &source.hash, err);
	if (st)
		return st;
	keep_tokens(w, training, tokenizer, source.hash);
	source.tokens = &w->tokens;
	source.model = model;
	source.tokenizer = tokenizer;
	return pb_trained_open(out, seconds, &source, err);
}

enum pb_status pb_workspace_calibration_json(struct pb_workspace *w, const struct pb_model *model, const struct pb_quantizer_use *use,
	const struct pb_calibration_spec *calibration, json_t **out, struct pb_error *err)
{
	const char *hash;
	enum pb_status st;

	*out = NULL;
	if (!(pb_quantizer_needs(use->quantizer, use->options) & PB_NEEDS_CALIBRATION))
		return PB_OK;
	st = pb_workspace_hash_data(w, calibration->data, &hash, err);
	if (!st && !(*out = pb_calibration_json(calibration, hash, model->config.context)))
		st = pb_out_of_memory(err, "calibration");
	return st;
}
