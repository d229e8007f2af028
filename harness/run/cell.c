#include "harness/run/cell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/version.h"
#include "core/counters/counters.h"
#include "harness/run/machine.h"
#include "harness/run/recipe_model.h"
#include "harness/run/weights.h"

/* A task with its data, opened once. */
struct open_task {
	struct open_task *next;
	struct pb_task *task;
	struct pb_task_data *data;
	struct pb_task_requests *requests;      /* for `tokenizer` and `context` */
	char tokenizer[PB_HASH_HEX];
	uint32_t context;
};

/* A text that many cells share, with its hash. */
struct hashed {
	struct hashed *next;
	const char *path;
	char hash[PB_HASH_HEX];
};

struct pb_workspace {
	struct pb_arena *arena;
	struct pb_pool *pool;
	struct pb_data_path data;
	char *model_path, *tokenizer_path;
	struct pb_model *model;
	struct pb_tokenizer *tokenizer;
	struct open_task *tasks;
	struct hashed *hashed;
	struct pb_ids tokens;           /* of the text that was trained on last */
	char tokens_of[2 * PB_HASH_HEX + 16];   /* hashes of tokenizer and text, format */
};

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
		struct open_task *t = w->tasks;

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

/* The task with its data. */
static enum pb_status open_task(struct pb_workspace *w, const struct pb_sweep_task *spec, struct open_task **out, struct pb_error *err)
{
	struct open_task *t;
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

static enum pb_status open_requests(struct open_task *t, const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err)
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

static enum pb_status hash_data(struct pb_workspace *w, const char *path, const char **hash, struct pb_error *err)
{
	struct hashed *h = w->hashed;
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

/* Fills in tokenizer and hash of the source. */
static enum pb_status open_calibration(struct pb_workspace *w, const struct pb_sweep_model *spec, struct pb_calibration_source *source, unsigned needs,
	struct pb_calibration **out, struct pb_error *err)
{
	struct pb_tokenizer *tokenizer = NULL;
	enum pb_status st = pb_calibration_is_ready(source->spec) ? PB_OK : pb_workspace_tokenizer(w, spec, &tokenizer, err);

	if (!st)
		st = hash_data(w, source->spec->data, &source->hash, err);
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
	return open_calibration(w, spec, &source, needs, out, err);
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
		st = hash_data(w, training->data, &source.hash, err);
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
	st = hash_data(w, calibration->data, &hash, err);
	if (!st && !(*out = pb_calibration_json(calibration, hash, model->config.context)))
		st = pb_out_of_memory(err, "calibration");
	return st;
}

/* ---- plan ---- */

/* "rtn w4 group_size=64": bits are in the width. */
static const char *make_label(struct pb_arena *arena, const struct pb_quantizer_use *use, enum pb_dtype source)
{
	struct pb_text options = {0}, label = {0};
	const char *copy;

	pb_text_printf(&label, "%s", use->quantizer->name);
	if (strcmp(use->quantizer->name, "identity") != 0)
		pb_text_printf(&label, " w%.3g", use->quantizer->wbits(use->options, source));
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

/* The options as they take effect, canonical. In the arena. */
static const char *effective_options(struct pb_arena *arena, const struct pb_option *table, const void *options)
{
	json_t *object = pb_options_json(table, options);
	char *text = object ? pb_json_canonical(object) : NULL;
	const char *copy = text ? pb_arena_strdup(arena, text) : NULL;

	json_decref(object);
	pb_free(text);
	return copy;
}

static const char *model_name(const struct pb_sweep_model *spec, const struct pb_model *model)
{
	return spec->name ? spec->name : model->name;
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

static enum pb_status hash_calibration(struct pb_workspace *w, const struct pb_calibration_spec *calibration, const struct pb_model *model,
	struct pb_hash *hash, struct pb_error *err)
{
	const char *data_hash;
	enum pb_status st = hash_data(w, calibration->data, &data_hash, err);

	if (!st)
		pb_calibration_hash(calibration, data_hash, model->config.context, hash);
	return st;
}

/* Everything that can change the numbers, and how much text there is to score. */
static enum pb_status hash_cell(struct pb_workspace *w, const struct pb_cell *cell, const struct parts *parts, struct pb_hash *hash, double *chars, struct pb_error *err)
{
	const struct pb_quantizer *q = parts->quantizer.quantizer;
	const struct pb_backend *b = parts->backend.backend;
	const char *options = effective_options(w->arena, q->options, parts->quantizer.options);
	const char *backend_options = effective_options(w->arena, b->options, parts->backend.options), *data_hash;
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
		enum pb_status st = hash_data(w, q->program(parts->quantizer.options).path, &data_hash, err);

		if (st)
			return st;
		pb_hash_string(hash, data_hash);
	}
	if (needs & PB_NEEDS_TRAINING) {
		enum pb_status st = hash_data(w, cell->training->data, &data_hash, err);

		if (st)
			return st;
		pb_trained_hash(cell->training, data_hash, hash);
	} else if (needs) {
		enum pb_status st = hash_calibration(w, cell->calibration, parts->model, hash, err);

		if (st)
			return st;
	}
	for (size_t i = 0; i < cell->n_tasks; i++) {
		struct open_task *t = NULL;
		enum pb_status st = open_task(w, &cell->tasks[i], &t, err);

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
		if (pb_task_wants_moments(t->task) && cell->calibration && (st = hash_calibration(w, cell->calibration, parts->model, hash, err)))
			return st;
		*chars += (double)t->data->n_chars;
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
	cell->model_name = pb_arena_strdup(w->arena, model_name(cell->model, parts->model));
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

/* What all rows of a cell share. */
static enum pb_status fill_row(struct pb_rows *rows, struct pb_row *r, const struct pb_row *base, struct pb_error *err)
{
	*r = *base;
	r->run = pb_rows_string(rows, base->run);
	r->cell = pb_rows_string(rows, base->cell);
	r->reason = pb_rows_string(rows, base->reason);
	r->model = pb_rows_string(rows, base->model);
	r->family = pb_rows_string(rows, base->family);
	r->model_hash = pb_rows_string(rows, base->model_hash);
	r->tokenizer_hash = pb_rows_string(rows, base->tokenizer_hash);
	r->quantizer = pb_rows_string(rows, base->quantizer);
	r->options = pb_rows_string(rows, base->options);
	r->label = pb_rows_string(rows, base->label);
	r->size_convention = pb_rows_string(rows, base->size_convention);
	r->backend = pb_rows_string(rows, base->backend);
	r->kernel = pb_rows_string(rows, base->kernel);
	r->task = pb_rows_string(rows, base->task);
	r->task_hash = pb_rows_string(rows, base->task_hash);
	r->data_hash = pb_rows_string(rows, base->data_hash);
	r->protocol = pb_rows_string(rows, base->protocol);
	r->metric = pb_rows_string(rows, base->metric);
	r->started_utc = pb_rows_string(rows, base->started_utc);
	r->version = pb_rows_string(rows, base->version);
	r->machine = pb_rows_string(rows, base->machine);
	r->calibration = pb_rows_string(rows, base->calibration);
	if (r->counters)
		json_incref(r->counters);
	return r->run && r->cell && r->reason && r->model && r->family && r->model_hash && r->tokenizer_hash && r->quantizer && r->options && r->label && r->size_convention &&
		r->backend && r->kernel && r->task && r->task_hash && r->data_hash && r->protocol && r->metric && r->started_utc && r->version && r->machine && r->calibration
		? PB_OK : pb_out_of_memory(err, "rows");
}

static enum pb_status add_row(struct pb_rows *rows, const struct pb_row *base, struct pb_error *err)
{
	struct pb_row *r = pb_rows_add(rows, err);

	return r ? fill_row(rows, r, base, err) : PB_MEMORY;
}

static struct pb_row blank_row(const struct pb_cell *cell)
{
	return (struct pb_row){ .run = cell->run, .cell = cell->key, .status = PB_ROW_OK, .reason = "", .model = cell->model_name ? cell->model_name : "",
		.family = "", .params = PB_ABSENT, .model_hash = "", .tokenizer_hash = "", .quantizer = "", .options = "{}", .label = cell->label ? cell->label : cell->quantizer,
		.wbits = NAN, .effective_bits = NAN, .weight_bytes = PB_ABSENT, .model_bytes = PB_ABSENT, .paper_bytes = NAN, .size_convention = "packed", .backend = cell->backend,
		.kernel = "", .task = "", .task_hash = "", .data_hash = "", .protocol = "", .metric = "", .value = NAN, .stderr_value = NAN, .n = PB_ABSENT, .chance = NAN,
		.seed = cell->seed, .quantize_seconds = NAN, .eval_seconds = NAN, .peak_rss_bytes = PB_ABSENT, .started_utc = "", .version = pb_version(),
		.machine = pb_machine_name(), .calibration = "" };
}

enum pb_status pb_cell_rows_failed(const struct pb_cell *cell, enum pb_row_status status, const char *reason, struct pb_rows *rows, struct pb_error *err)
{
	struct pb_quantizer_use use = {0};
	struct pb_row base = blank_row(cell);
	char name[64], *options = NULL;
	json_t *object = NULL;
	enum pb_status st = PB_OK;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(cell->quantizer, ":"), cell->quantizer);
	base.quantizer = name;
	if (pb_quantizer_use_parse(&use, cell->quantizer, NULL) == PB_OK) {
		base.family = use.quantizer->family;
		object = pb_options_json(use.quantizer->options, use.options);
		options = object ? pb_json_canonical(object) : NULL;
		if (options)
			base.options = options;
		else
			st = pb_out_of_memory(err, "rows");
	}
	base.status = status;
	base.reason = reason;
	for (size_t i = 0; !st && i < cell->n_tasks; i++) {
		base.task = cell->tasks[i].name;
		base.protocol = cell->tasks[i].protocol ? cell->tasks[i].protocol : "";
		st = add_row(rows, &base, err);
	}
	json_decref(object);
	pb_free(options);
	pb_quantizer_use_free(&use);
	return st;
}

/* The state of one running cell. */
struct cell_run {
	struct pb_workspace *w;
	struct pb_cell *cell;
	struct pb_cell_result *result;
	pb_stage_fn stage;
	void *arg;
	const char *current;            /* stage, for progress */
	struct pb_row base;
};

static int run_progress(void *arg, double done)
{
	struct cell_run *run = arg;

	return run->stage ? run->stage(run->arg, run->current, done) : 0;
}

/* Accuracy of guessing: the mean of one over the number of choices; NaN for other metrics. */
static double chance_of(const struct pb_metric *m, const struct pb_task_result *result)
{
	double sum = 0;

	if (strncmp(m->name, "acc", 3) != 0)
		return NAN;
	for (size_t i = 0; i < result->n_items; i++) {
		if (result->items[i].gold < 0 || result->items[i].n_values < 2)
			return NAN;
		sum += 1.0 / result->items[i].n_values;
	}
	return result->n_items ? sum / (double)result->n_items : NAN;
}

static enum pb_status keep_items(struct pb_cell_result *result, const struct pb_task *task, const struct pb_task_result *scored, struct pb_error *err)
{
	struct pb_stored_task *kept = &result->tasks[result->n_tasks];
	struct pb_stored_item *items = pb_arena_alloc(result->arena, scored->n_items, sizeof(*items));

	kept->task = pb_arena_strdup(result->arena, task->name);
	if (!items || !kept->task)
		return pb_out_of_memory(err, "items");
	for (size_t i = 0; i < scored->n_items; i++) {
		const struct pb_item *from = &scored->items[i];
		double *values = pb_arena_alloc(result->arena, from->n_values, sizeof(double));

		if (!values)
			return pb_out_of_memory(err, "items");
		memcpy(values, from->values, from->n_values * sizeof(double));
		items[i] = (struct pb_stored_item){ .index = from->index, .n_values = from->n_values, .values = values, .weight = from->weight,
			.gold = from->gold, .chosen = from->chosen, .chosen_norm = from->chosen_norm };
	}
	kept->items = items;
	kept->n_items = scored->n_items;
	result->n_tasks++;
	return PB_OK;
}

static enum pb_status keep_metrics(struct cell_run *run, const struct pb_task_result *scored, struct pb_error *err)
{
	for (size_t i = 0; i < scored->n_metrics; i++) {
		const struct pb_metric *m = &scored->metrics[i];
		struct pb_row row = run->base;
		enum pb_status st;

		row.metric = m->name;
		row.value = m->value;
		row.stderr_value = m->stderr_value;
		row.n = (int64_t)m->n;
		row.higher_is_better = m->higher_is_better;
		row.chance = chance_of(m, scored);
		if ((st = add_row(&run->result->rows, &row, err)))
			return st;
	}
	return PB_OK;
}

/* Scores with counters around it: not around reading data and making requests, which a later cell finds done. The caller
 * drops the counters' reference; a failure has none. */
static enum pb_status score_counted(struct cell_run *run, const struct pb_backend *backend, struct pb_session *session, struct pb_task_requests *requests, struct pb_error *why)
{
	struct pb_reading readings[PB_MAX_READINGS];
	struct pb_counters *counting = NULL;
	enum pb_status st = pb_counters_begin(&counting, run->w->pool, why);
	unsigned n;

	if (st)
		return st;
	st = backend->score(session, requests->requests, requests->n_requests, run_progress, run, why);
	n = pb_counters_end(counting, readings);
	if (!st && !(run->base.counters = pb_readings_json(readings, n)))
		st = pb_out_of_memory(why, "counters");
	return st;
}

/* What the method, and a model that the sweep has trained, have learned from, into the row; takes the reference. NULL: nothing. */
static enum pb_status describe_data(struct cell_run *run, json_t *object, struct pb_error *why)
{
	json_t *made = NULL;
	char *text = NULL;
	enum pb_status st = run->cell->model->is_made ? pb_recipe_model_json(run->cell->model->path, &made, why) : PB_OK;

	if (made) {
		object = object ? object : json_object();
		if (json_object_set_new(object, "model", made))
			st = pb_out_of_memory(why, "calibration");
	}
	if (!st && object) {
		text = pb_json_canonical(object);
		run->base.calibration = text ? pb_arena_strdup(run->result->arena, text) : NULL;
		if (!run->base.calibration)
			st = pb_out_of_memory(why, "calibration");
	}
	json_decref(object);
	pb_free(text);
	return st;
}

/* What runs, opened by the backend. */
struct running {
	const struct pb_model *model;
	const struct pb_tokenizer *tokenizer;
	const struct pb_backend *backend;
	struct pb_session *session;
};

static enum pb_status score_task(struct cell_run *run, struct open_task *t, const struct running *r, struct pb_task_result **scored, struct pb_error *why)
{
	enum pb_status st = open_requests(t, r->tokenizer, r->model->config.context, why);

	if (st)
		return st;
	run->base.protocol = t->requests->protocol;
	st = score_counted(run, r->backend, r->session, t->requests, why);
	return st ? st : pb_task_score(scored, t->task, t->data, t->requests, why);
}

/* Second moments in the model as it was before, and what rows say of them: they are a part of what the task is. */
static enum pb_status open_moments(struct cell_run *run, const struct pb_task *task, const struct pb_model *before, struct pb_calibration **out, struct pb_error *why)
{
	const struct pb_cell *c = run->cell;
	struct pb_calibration_source source = { .spec = c->calibration, .cache = c->cache, .model = before, .pool = run->w->pool, .progress = run_progress, .arg = run };
	struct pb_hash *hash = pb_hash_new();
	char *hex = pb_arena_alloc(run->result->arena, PB_HASH_HEX, 1);
	json_t *object = NULL;
	enum pb_status st = hash && hex ? PB_OK : pb_out_of_memory(why, "calibration");

	if (!st) {
		pb_hash_string(hash, task->hash);
		st = hash_calibration(run->w, c->calibration, before, hash, why);
	}
	if (hash && hex)
		pb_hash_finish(hash, hex);
	if (!st)
		st = open_calibration(run->w, c->model, &source, PB_NEEDS_ACTIVATIONS, out, why);
	if (st)
		return st;
	run->base.task_hash = hex;
	if (!*run->base.calibration && !(object = pb_calibration_json(c->calibration, source.hash, before->config.context)))
		return pb_out_of_memory(why, "calibration");
	return describe_data(run, object, why);
}

/* A task of the kind `weights`. */
static enum pb_status weigh(struct cell_run *run, const struct pb_task *task, const struct pb_model *after, struct pb_task_result **scored, struct pb_error *why)
{
	struct pb_weight_error *errors = pb_alloc(after->n_matrices, sizeof(*errors));
	struct pb_calibration *moments = NULL;
	struct pb_model *source = NULL, before = {0};
	bool wants = pb_task_wants_moments(task) && run->cell->calibration;
	enum pb_status st = errors ? pb_workspace_model(run->w, run->cell->model, &source, why) : pb_out_of_memory(why, "sums over weights");

	if (!st)
		st = pb_weights_before(&before, source, why);
	if (!st && wants)
		st = open_moments(run, task, &before, &moments, why);
	if (!st)
		st = pb_weights_compare(&before, after, moments, run->w->pool, run_progress, run, errors, why);
	if (!st)
		st = pb_task_score_weights(scored, task, errors, before.n_matrices, wants, why);
	pb_calibration_close(moments);
	pb_free(before.matrices);
	pb_free(errors);
	return st;
}

/* One task of the cell; a failure of the task is a row. */
static enum pb_status run_task(struct cell_run *run, const struct pb_sweep_task *spec, const struct running *r, struct pb_error *err)
{
	const char *calibration = run->base.calibration;
	struct open_task *t = NULL;
	struct pb_task_result *scored = NULL;
	struct pb_error why = {0};
	double begin = pb_clock_seconds();
	enum pb_status st = open_task(run->w, spec, &t, &why);

	run->current = spec->name;
	run->base.task = spec->name;
	run->base.protocol = spec->protocol ? spec->protocol : "";
	run->base.task_hash = run->base.data_hash = "";
	run->base.counters = NULL;
	if (!st) {
		run->base.protocol = t->task->protocol;
		run->base.task_hash = t->task->hash;
		run->base.data_hash = t->data->hash;
		st = pb_task_is_of_weights(t->task) ? weigh(run, t->task, r->model, &scored, &why) : score_task(run, t, r, &scored, &why);
	}
	run->base.eval_seconds = pb_clock_seconds() - begin;
	run->base.peak_rss_bytes = pb_peak_rss_bytes();
	if (st) {
		json_decref(run->base.counters);
		run->base.counters = NULL;
	}
	if (st == PB_INTERRUPTED)
		return pb_fail(err, st, "%s", why.text);
	if (st) {
		struct pb_row row = run->base;

		row.status = st == PB_UNSUPPORTED ? PB_ROW_SKIPPED : PB_ROW_FAILED;
		row.reason = why.text;
		run->base.calibration = calibration;
		return add_row(&run->result->rows, &row, err);
	}
	st = keep_metrics(run, scored, err);
	if (!st && scored->n_items)
		st = keep_items(run->result, t->task, scored, err);
	pb_task_result_free(scored);
	json_decref(run->base.counters);
	run->base.counters = NULL;
	run->base.calibration = calibration;
	return st;
}

static enum pb_status run_tasks(struct cell_run *run, const struct pb_model *model, const struct pb_tokenizer *tokenizer, struct pb_error *why, struct pb_error *err)
{
	struct pb_backend_use use = {0};
	struct running r = { .model = model, .tokenizer = tokenizer };
	enum pb_status st = pb_backend_use_parse(&use, run->cell->backend, why);

	if (!st)
		st = use.backend->open(&r.session, model, use.options, run->w->pool, why);
	if (!st) {
		r.backend = use.backend;
		run->base.kernel = use.backend->kernel(r.session);
		for (size_t i = 0; !st && i < run->cell->n_tasks; i++) {
			st = run_task(run, &run->cell->tasks[i], &r, err);
			if (st && why != err)
				pb_fail(why, st, "%s", err ? err->text : "");
		}
		use.backend->close(r.session);
	}
	pb_backend_use_free(&use);
	return st;
}

/* Calibration that cells share is no part of the time that quantizing takes: the first of them would pay for all. */
static enum pb_status quantize(struct cell_run *run, struct pb_model *model, const struct pb_quantizer_use *use, struct pb_error *why)
{
	struct pb_calibration *calibration = NULL;
	json_t *object = NULL;
	double begin;
	enum pb_status st;

	run->current = "calibrate";
	st = pb_workspace_calibrate(run->w, run->cell->model, use, run->cell->calibration, run->cell->cache, run_progress, run, &calibration, why);
	if (!st)
		st = pb_workspace_calibration_json(run->w, model, use, run->cell->calibration, &object, why);
	if (!st)
		st = describe_data(run, object, why);
	run->current = "quantize";
	begin = pb_clock_seconds();
	if (!st)
		st = run_progress(run, 0) ? pb_fail(why, PB_INTERRUPTED, "stopped") : pb_quantize_model(model, use, run->cell->seed, calibration, run->w->pool, why);
	run->base.quantize_seconds = pb_clock_seconds() - begin;
	pb_calibration_close(calibration);
	return st;
}

/* The time is that of the training, whichever cell has made it. */
static enum pb_status train(struct cell_run *run, const struct pb_quantizer_use *use, struct pb_model **trained, struct pb_error *why)
{
	const struct pb_cell *c = run->cell;
	enum pb_status st = pb_workspace_train(run->w, c->model, use, c->training, c->trained, c->seed, run->stage, run->arg, trained, &run->base.quantize_seconds, why);
	json_t *training = st ? NULL : json_incref(json_object_get((*trained)->quantization, "training"));

	return st ? st : describe_data(run, training ? json_pack("{s:o}", "training", training) : NULL, why);
}

static enum pb_status run_quantized(struct cell_run *run, const struct pb_model *model, const struct pb_tokenizer *tokenizer, struct pb_error *why, struct pb_error *err)
{
	struct pb_size size = pb_model_size(model);

	run->base.weight_bytes = (int64_t)size.weight_bytes;
	run->base.model_bytes = (int64_t)size.model_bytes;
	run->base.effective_bits = size.effective_bits;
	run->base.size_convention = size.is_claimed ? "claimed" : "packed";
	return run_tasks(run, model, tokenizer, why, err);
}

static enum pb_status run_model(struct cell_run *run, struct pb_error *why, struct pb_error *err)
{
	struct pb_workspace *w = run->w;
	struct pb_quantizer_use use = {0};
	struct pb_model *model = NULL, *trained = NULL;
	struct pb_tokenizer *tokenizer = NULL;
	enum pb_status st;

	if ((st = pb_quantizer_use_parse(&use, run->cell->quantizer, why)))
		return st;
	run->base.quantizer = use.quantizer->name;
	run->base.family = use.quantizer->family;
	if (!(run->base.options = effective_options(run->result->arena, use.quantizer->options, use.options)))
		st = pb_out_of_memory(why, "options");
	if (!st)
		st = pb_workspace_model(w, run->cell->model, &model, why);
	if (!st)
		st = pb_workspace_tokenizer(w, run->cell->model, &tokenizer, why);
	if (!st) {
		run->base.model = model_name(run->cell->model, model);
		run->base.model_hash = model->hash;
		run->base.tokenizer_hash = pb_tokenizer_hash(tokenizer);
		run->base.params = (int64_t)model->parameters;
		run->base.wbits = use.quantizer->wbits(use.options, model->matrices[0].source.dtype);
		if (use.quantizer->paper_bytes && !model->quantization)
			run->base.paper_bytes = use.quantizer->paper_bytes(use.options, &model->config);
		st = pb_quantizer_needs(use.quantizer, use.options) & PB_NEEDS_TRAINING ? train(run, &use, &trained, why) : quantize(run, model, &use, why);
	}
	if (!st)
		st = run_quantized(run, trained ? trained : model, tokenizer, why, err);
	pb_model_close(trained);
	if (model)
		pb_unquantize_model(model);
	pb_quantizer_use_free(&use);
	return st;
}

enum pb_status pb_workspace_run(struct pb_workspace *w, struct pb_cell *cell, pb_stage_fn stage, void *arg, struct pb_cell_result *result, struct pb_error *err)
{
	struct cell_run run = { .w = w, .cell = cell, .result = result, .stage = stage, .arg = arg, .current = "quantize", .base = blank_row(cell) };
	struct pb_error why = {0};
	char started[32];
	enum pb_status st;

	memset(result, 0, sizeof(*result));
	/* Here, so that the first cell's times do not hold it. */
	if ((st = pb_counters_probe(err)))
		return st;
	pb_rows_init(&result->rows);
	result->arena = pb_arena_new();
	result->tasks = result->arena ? pb_arena_alloc(result->arena, cell->n_tasks, sizeof(*result->tasks)) : NULL;
	if (!result->tasks) {
		pb_cell_result_free(result);
		return pb_out_of_memory(err, "a result");
	}
	pb_clock_utc(started);
	run.base.started_utc = started;
	pb_peak_rss_reset();
	st = run_model(&run, &why, err);
	if (st == PB_INTERRUPTED || (st && result->rows.n > 0)) {
		pb_cell_result_free(result);
		return pb_fail(err, st, "%s", why.text);
	}
	if (st)
		st = pb_cell_rows_failed(cell, st == PB_UNSUPPORTED ? PB_ROW_SKIPPED : PB_ROW_FAILED, why.text, &result->rows, err);
	if (st)
		pb_cell_result_free(result);
	return st;
}

void pb_cell_result_free(struct pb_cell_result *result)
{
	pb_rows_free(&result->rows);
	pb_arena_free(result->arena);
	memset(result, 0, sizeof(*result));
}
