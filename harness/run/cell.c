/* The life of a cell: calibrate, quantize or train, score, rows. */
#include "harness/run/workspace.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/version.h"
#include "core/counters/counters.h"
#include "harness/run/machine.h"
#include "harness/run/origin.h"
#include "harness/run/recipe_model.h"
#include "harness/run/weights.h"

/* What all rows of a cell share. */
static enum pb_status fill_row(struct pb_rows *rows, struct pb_row *r, const struct pb_row *base, struct pb_error *err)
{
	*r = *base;
	r->run = pb_rows_string(rows, base->run);
	r->cell = pb_rows_string(rows, base->cell);
	r->reason = pb_rows_string(rows, base->reason);
	r->model = pb_rows_string(rows, base->model);
	r->family = pb_rows_string(rows, base->family);
	r->model_family = pb_rows_string(rows, base->model_family);
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
	return r->run && r->cell && r->reason && r->model && r->family && r->model_family && r->model_hash && r->tokenizer_hash && r->quantizer && r->options && r->label && r->size_convention &&
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
		.family = "", .params = PB_ABSENT, .model_family = "", .train_tokens = PB_ABSENT, .model_hash = "", .tokenizer_hash = "", .quantizer = "", .options = "{}", .label = cell->label ? cell->label : cell->quantizer,
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
			.gold = from->gold, .chosen = from->chosen, .chosen_norm = from->chosen_norm, .cluster = from->cluster };
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
	const void *options;            /* of the backend */
	struct pb_session *session;
};

static enum pb_status score_task(struct cell_run *run, struct pb_open_task *t, const struct running *r, struct pb_task_result **scored, struct pb_error *why)
{
	enum pb_status st = pb_workspace_open_requests(t, r->tokenizer, r->model->config.context, why);

	if (st)
		return st;
	run->base.protocol = t->requests->protocol;
	st = score_counted(run, r->backend, r->session, t->requests, why);
	return st ? st : pb_task_score(scored, t->task, t->data, t->requests, why);
}

/* A task that compares: what runs, beside the model with the weights of its file, in a session of its own. Counters would be
 * of both models: there are none. */
static enum pb_status compare_task(struct cell_run *run, struct pb_open_task *t, const struct running *r, struct pb_task_result **scored, struct pb_error *why)
{
	struct pb_session *full = NULL;
	struct pb_model *source = NULL, before = {0};
	enum pb_status st = pb_workspace_open_requests(t, r->tokenizer, r->model->config.context, why);

	if (!st)
		st = pb_workspace_model(run->w, run->cell->model, &source, why);
	if (!st)
		st = pb_weights_before(&before, source, why);
	if (!st && !r->backend->compare)
		st = pb_fail(why, PB_UNSUPPORTED, "backend %s does not compare two models", r->backend->name);
	if (!st)
		st = r->backend->open(&full, &before, r->options, run->w->pool, why);
	if (!st) {
		run->base.protocol = t->requests->protocol;
		st = r->backend->compare(full, r->session, t->requests->requests, t->requests->n_requests, run_progress, run, why);
		r->backend->close(full);
	}
	pb_free(before.matrices);
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
		st = pb_workspace_hash_calibration(run->w, c->calibration, before, hash, why);
	}
	if (hash && hex)
		pb_hash_finish(hash, hex);
	if (!st)
		st = pb_workspace_open_calibration(run->w, c->model, &source, PB_NEEDS_ACTIVATIONS, out, why);
	if (st)
		return st;
	run->base.task_hash = hex;
	if (*run->base.calibration)
		return PB_OK;
	object = pb_calibration_json(c->calibration, source.hash, before->config.context);
	return object ? describe_data(run, object, why) : pb_out_of_memory(why, "calibration");
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

static enum pb_status measure(struct cell_run *run, struct pb_open_task *t, const struct running *r, struct pb_task_result **scored, struct pb_error *why)
{
	if (pb_task_is_of_weights(t->task))
		return weigh(run, t->task, r->model, scored, why);
	return pb_task_compares(t->task) ? compare_task(run, t, r, scored, why) : score_task(run, t, r, scored, why);
}

/* One task of the cell; a failure of the task is a row. */
static enum pb_status run_task(struct cell_run *run, const struct pb_sweep_task *spec, const struct running *r, struct pb_error *err)
{
	const char *calibration = run->base.calibration;
	struct pb_open_task *t = NULL;
	struct pb_task_result *scored = NULL;
	struct pb_error why = {0};
	double begin = pb_clock_seconds();
	enum pb_status st = pb_workspace_open_task(run->w, spec, &t, &why);

	run->current = spec->name;
	run->base.task = spec->name;
	run->base.protocol = spec->protocol ? spec->protocol : "";
	run->base.task_hash = run->base.data_hash = "";
	run->base.counters = NULL;
	if (!st) {
		run->base.protocol = t->task->protocol;
		run->base.task_hash = t->task->hash;
		run->base.data_hash = t->data->hash;
		st = measure(run, t, r, &scored, &why);
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
		r.options = use.options;
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
	struct pb_origin origin;
	enum pb_status st;

	if ((st = pb_quantizer_use_parse(&use, run->cell->quantizer, why)))
		return st;
	run->base.quantizer = use.quantizer->name;
	run->base.family = use.quantizer->family;
	if (!(run->base.options = pb_cell_options(run->result->arena, use.quantizer->options, use.options)))
		st = pb_out_of_memory(why, "options");
	if (!st)
		st = pb_workspace_model(w, run->cell->model, &model, why);
	if (!st)
		st = pb_workspace_tokenizer(w, run->cell->model, &tokenizer, why);
	if (!st)
		st = pb_origin_find(&origin, run->result->arena, run->cell->model->path, model->hash, why);
	if (!st) {
		run->base.model_family = origin.family;
		run->base.train_tokens = origin.tokens;
		run->base.model = pb_cell_model_name(run->cell->model, model);
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
