#include "harness/run/wire.h"

#include <string.h>
#include "core/base/json.h"

/* Options of the table, with `data`; NULL without data. */
static json_t *wire_text(const struct pb_option *table, const void *options, const char *data)
{
	json_t *object = data ? pb_options_json(table, options) : NULL;

	if (object && json_object_set_new(object, "data", json_string(data))) {
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *pb_wire_cell(const struct pb_cell *c)
{
	json_t *tasks = json_array();
	json_t *cell;

	for (size_t i = 0; i < c->n_tasks; i++)
		json_array_append_new(tasks, json_pack("{s:s, s:I, s:s*}", "name", c->tasks[i].name, "limit", (json_int_t)c->tasks[i].limit, "protocol", c->tasks[i].protocol));
	cell = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s*, s:s*, s:s*, s:s*, s:o*, s:o*, s:b, s:o}", "run", c->run, "key", c->key, "label", c->label, "model", c->model->path,
		"quantizer", c->quantizer, "backend", c->backend, "seed", (json_int_t)c->seed, "tokenizer", c->model->tokenizer, "name", c->model_name,
		"cache", c->cache, "trained", c->trained, "calibration", wire_text(pb_calibration_options, c->calibration, c->calibration ? c->calibration->data : NULL),
		"training", wire_text(pb_training_options, c->training, c->training ? c->training->data : NULL), "is_made", c->model->is_made, "tasks", tasks);
	return cell;
}

/* A string member in the arena; NULL when it is not there. */
static const char *member(const json_t *object, const char *key, struct pb_arena *arena)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? pb_arena_strdup(arena, s) : NULL;
}

/* NULL when there is none. */
static enum pb_status read_calibration(const json_t *object, struct pb_arena *arena, const struct pb_calibration_spec **out, struct pb_error *err)
{
	struct pb_calibration_spec *c;
	const char *format = json_string_value(json_object_get(object, "format"));

	*out = NULL;
	if (!object)
		return PB_OK;
	c = pb_arena_alloc(arena, 1, sizeof(*c));
	if (!c)
		return pb_out_of_memory(err, "a cell");
	c->data = member(object, "data", arena);
	c->n_samples = json_integer_value(json_object_get(object, "n_samples"));
	c->seq_len = json_integer_value(json_object_get(object, "seq_len"));
	c->seed = json_integer_value(json_object_get(object, "seed"));
	if (!c->data || !format || c->n_samples < 1)
		return pb_fail(err, PB_FORMAT, "not a cell");
	*out = c;
	return pb_options_set(pb_calibration_options, c, "calibration", "format", format, err);
}

static enum pb_status read_training(const json_t *object, struct pb_arena *arena, const struct pb_training_spec **out, struct pb_error *err)
{
	struct pb_training_spec *t;
	const char *format = json_string_value(json_object_get(object, "format"));

	*out = NULL;
	if (!object)
		return PB_OK;
	t = pb_arena_alloc(arena, 1, sizeof(*t));
	if (!t)
		return pb_out_of_memory(err, "a cell");
	t->data = member(object, "data", arena);
	if (!t->data || !format)
		return pb_fail(err, PB_FORMAT, "not a cell");
	*out = t;
	return pb_options_set(pb_training_options, t, "training", "format", format, err);
}

enum pb_status pb_wire_read_cell(const json_t *object, struct pb_arena *arena, struct pb_cell *cell, struct pb_error *err)
{
	const json_t *tasks = json_object_get(object, "tasks");
	struct pb_sweep_model *model = pb_arena_alloc(arena, 1, sizeof(*model));
	struct pb_sweep_task *list = pb_arena_alloc(arena, json_array_size(tasks) + 1, sizeof(*list));
	const char *key = json_string_value(json_object_get(object, "key"));
	enum pb_status st;

	if (!model || !list)
		return pb_out_of_memory(err, "a cell");
	memset(cell, 0, sizeof(*cell));
	model->path = member(object, "model", arena);
	model->tokenizer = member(object, "tokenizer", arena);
	model->name = member(object, "name", arena);
	model->is_made = json_is_true(json_object_get(object, "is_made"));
	cell->model = model;
	cell->model_name = model->name;
	cell->run = member(object, "run", arena);
	cell->label = member(object, "label", arena);
	cell->quantizer = member(object, "quantizer", arena);
	cell->backend = member(object, "backend", arena);
	cell->seed = json_integer_value(json_object_get(object, "seed"));
	cell->tasks = list;
	cell->n_tasks = json_array_size(tasks);
	for (size_t i = 0; i < cell->n_tasks; i++) {
		const json_t *t = json_array_get(tasks, i);

		list[i] = (struct pb_sweep_task){ .name = member(t, "name", arena), .protocol = member(t, "protocol", arena),
			.limit = (uint64_t)json_integer_value(json_object_get(t, "limit")) };
		if (!list[i].name)
			return pb_fail(err, PB_FORMAT, "a task of the cell has no name");
	}
	cell->cache = member(object, "cache", arena);
	cell->trained = member(object, "trained", arena);
	if (!key || strlen(key) >= sizeof(cell->key) || !model->path || !cell->run || !cell->label || !cell->quantizer || !cell->backend)
		return pb_fail(err, PB_FORMAT, "not a cell");
	strcpy(cell->key, key);
	st = read_calibration(json_object_get(object, "calibration"), arena, &cell->calibration, err);
	return st ? st : read_training(json_object_get(object, "training"), arena, &cell->training, err);
}

static json_t *wire_item(const struct pb_stored_item *it)
{
	json_t *values = json_array();

	for (uint32_t i = 0; i < it->n_values; i++)
		json_array_append_new(values, pb_json_number(it->values[i]));
	return json_pack("[I, f, i, i, i, o, I]", (json_int_t)it->index, it->weight, it->gold, it->chosen, it->chosen_norm, values,
		(json_int_t)it->cluster);
}

json_t *pb_wire_result(const struct pb_cell_result *result)
{
	json_t *rows = json_array(), *items = json_array();

	for (size_t i = 0; i < result->rows.n; i++)
		json_array_append_new(rows, pb_row_json(&result->rows.rows[i]));
	for (size_t i = 0; i < result->n_tasks; i++) {
		json_t *list = json_array();

		for (size_t k = 0; k < result->tasks[i].n_items; k++)
			json_array_append_new(list, wire_item(&result->tasks[i].items[k]));
		json_array_append_new(items, json_pack("{s:s, s:o}", "task", result->tasks[i].task, "items", list));
	}
	return json_pack("{s:o, s:o}", "rows", rows, "items", items);
}

static enum pb_status read_item(const json_t *object, struct pb_arena *arena, struct pb_stored_item *it, struct pb_error *err)
{
	const json_t *list = json_array_get(object, 5);
	size_t n = json_array_size(list);
	double *values = pb_arena_alloc(arena, n, sizeof(double));

	if (!values)
		return pb_out_of_memory(err, "items");
	if (json_array_size(object) != 7 || n > UINT32_MAX)
		return pb_fail(err, PB_FORMAT, "a worker sent an item that is none");
	for (size_t i = 0; i < n; i++) {
		if (!json_is_number(json_array_get(list, i)))
			return pb_fail(err, PB_FORMAT, "a worker sent an item with a log-likelihood that is no number");
		values[i] = json_number_value(json_array_get(list, i));
	}
	*it = (struct pb_stored_item){ .index = (uint32_t)json_integer_value(json_array_get(object, 0)), .weight = json_number_value(json_array_get(object, 1)),
		.gold = (int32_t)json_integer_value(json_array_get(object, 2)), .chosen = (int32_t)json_integer_value(json_array_get(object, 3)),
		.chosen_norm = (int32_t)json_integer_value(json_array_get(object, 4)), .n_values = (uint32_t)n, .values = values,
		.cluster = (uint32_t)json_integer_value(json_array_get(object, 6)) };
	return PB_OK;
}

static enum pb_status read_task(const json_t *object, struct pb_arena *arena, struct pb_stored_task *task, struct pb_error *err)
{
	const json_t *list = json_object_get(object, "items");
	struct pb_stored_item *items = pb_arena_alloc(arena, json_array_size(list) + 1, sizeof(*items));
	enum pb_status st = PB_OK;

	task->task = member(object, "task", arena);
	task->n_items = json_array_size(list);
	task->items = items;
	if (!items || !task->task)
		return pb_out_of_memory(err, "items");
	for (size_t i = 0; !st && i < task->n_items; i++)
		st = read_item(json_array_get(list, i), arena, &items[i], err);
	return st;
}

enum pb_status pb_wire_read_result(const json_t *object, struct pb_cell_result *result, struct pb_error *err)
{
	const json_t *rows = json_object_get(object, "rows"), *items = json_object_get(object, "items");
	enum pb_status st = PB_OK;

	memset(result, 0, sizeof(*result));
	pb_rows_init(&result->rows);
	result->arena = pb_arena_new();
	result->tasks = result->arena ? pb_arena_alloc(result->arena, json_array_size(items) + 1, sizeof(*result->tasks)) : NULL;
	if (!result->tasks)
		st = pb_out_of_memory(err, "a result");
	for (size_t i = 0; !st && i < json_array_size(rows); i++)
		st = pb_row_from_json(&result->rows, json_array_get(rows, i), err);
	for (size_t i = 0; !st && i < json_array_size(items); i++)
		st = read_task(json_array_get(items, i), result->arena, &result->tasks[result->n_tasks++], err);
	if (!st && result->rows.n == 0)
		st = pb_fail(err, PB_FORMAT, "a worker sent a cell without rows");
	if (st)
		pb_cell_result_free(result);
	return st;
}
