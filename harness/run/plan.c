#include "harness/run/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool passes(const struct pb_planned_cell *c, const struct pb_filter *f)
{
	char text[32];

	if (strcmp(f->key, "model") == 0)
		return c->cell.model_name && strcmp(c->cell.model_name, f->value) == 0;
	if (strcmp(f->key, "quantizer") == 0) {
		size_t n = strcspn(c->cell.quantizer, ":");

		return strcmp(c->cell.quantizer, f->value) == 0 || (strlen(f->value) == n && strncmp(c->cell.quantizer, f->value, n) == 0);
	}
	if (strcmp(f->key, "label") == 0)
		return c->cell.label && strcmp(c->cell.label, f->value) == 0;
	if (strcmp(f->key, "backend") == 0)
		return strcmp(c->cell.backend, f->value) == 0;
	snprintf(text, sizeof(text), "%lld", (long long)c->cell.seed);
	return strcmp(text, f->value) == 0;
}

static enum pb_status check_filters(const struct pb_filter *filters, size_t n, struct pb_error *err)
{
	static const char *const keys[] = { "model", "quantizer", "label", "backend", "seed" };
	size_t n_keys = sizeof(keys) / sizeof(keys[0]);

	for (size_t i = 0; i < n; i++) {
		bool known = false;

		for (size_t k = 0; k < n_keys; k++)
			known = known || strcmp(filters[i].key, keys[k]) == 0;
		if (!known)
			return pb_fail(err, PB_USAGE, "--only %s=%s: the key is one of model, quantizer, label, backend, seed", filters[i].key, filters[i].value);
	}
	return PB_OK;
}

/* A cell without a key of its own gets one from what the sweep says of it, so that it has a place in the record. */
static void key_of_problem(struct pb_cell *c)
{
	struct pb_hash *h = pb_hash_new();

	if (!h)
		return;
	pb_hash_string(h, c->model->path);
	pb_hash_string(h, c->quantizer);
	pb_hash_string(h, c->backend);
	for (size_t i = 0; i < c->n_tasks; i++)
		pb_hash_string(h, c->tasks[i].name);
	pb_hash_bytes(h, &c->seed, sizeof(c->seed));
	pb_hash_finish(h, c->key);
}

static enum pb_status plan_one(struct pb_plan *plan, struct pb_planned_cell *c, struct pb_error *err)
{
	struct pb_error why = {0};
	enum pb_status st = pb_workspace_plan(plan->workspace, &c->cell, &why);

	if (!st)
		return PB_OK;
	if (st == PB_MEMORY)
		return pb_fail(err, st, "%s", why.text);
	c->problem = st;
	c->why = pb_arena_strdup(plan->arena, why.text);
	key_of_problem(&c->cell);
	if (!c->cell.model_name)
		c->cell.model_name = c->cell.model->name ? c->cell.model->name : c->cell.model->path;
	if (!c->cell.label)
		c->cell.label = c->cell.quantizer;
	return c->why && c->cell.key[0] ? PB_OK : pb_out_of_memory(err, "the plan");
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Settings that mean the same (a default written out) are one cell: the first stays. */
static enum pb_status drop_repeats(struct pb_plan *plan, struct pb_error *err)
{
	const char **keys = pb_arena_alloc(plan->arena, plan->n ? plan->n : 1, sizeof(*keys));
	size_t n_keys = 0, kept = 0;

	if (!keys)
		return pb_out_of_memory(err, "the plan");
	for (size_t i = 0; i < plan->n; i++) {
		const char *key = pb_arena_strdup(plan->arena, plan->cells[i].cell.key);

		if (!key)
			return pb_out_of_memory(err, "the plan");
		if (bsearch(&key, keys, n_keys, sizeof(*keys), compare_keys))
			continue;
		keys[n_keys++] = key;
		qsort(keys, n_keys, sizeof(*keys), compare_keys);
		plan->cells[kept++] = plan->cells[i];
	}
	plan->n = kept;
	return PB_OK;
}

/* The cells of one model that pass. */
static enum pb_status plan_model(struct pb_plan *plan, const struct pb_sweep *sweep, const struct pb_sweep_model *model, const struct pb_filter *filters,
	size_t n_filters, struct pb_error *err)
{
	size_t total = model->n_quantizers * sweep->n_backends * model->n_seeds;
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < total; i++) {
		struct pb_planned_cell *c = &plan->cells[plan->n];
		size_t rest = i;
		bool wanted = true;

		memset(c, 0, sizeof(*c));
		c->cell.run = sweep->name;
		c->cell.seed = model->seeds[rest % model->n_seeds];
		rest /= model->n_seeds;
		c->cell.quantizer = model->quantizers[rest % model->n_quantizers];
		rest /= model->n_quantizers;
		c->cell.backend = sweep->backends[rest];
		c->cell.model = model;
		c->cell.calibration = sweep->calibration;
		c->cell.training = sweep->training;
		c->cell.tasks = sweep->tasks;
		c->cell.n_tasks = sweep->n_tasks;
		st = plan_one(plan, c, err);
		for (size_t f = 0; f < n_filters; f++)
			wanted = wanted && passes(c, &filters[f]);
		if (wanted)
			plan->n++;
	}
	return st;
}

enum pb_status pb_plan_make(struct pb_plan *out, const struct pb_sweep *sweep, const struct pb_filter *filters, size_t n_filters,
	const struct pb_data_path *data, struct pb_error *err)
{
	struct pb_plan plan = { .arena = pb_arena_new() };
	size_t total = 0;
	enum pb_status st = plan.arena ? check_filters(filters, n_filters, err) : pb_out_of_memory(err, "the plan");

	for (size_t i = 0; i < sweep->n_models; i++)
		total += sweep->models[i].n_quantizers * sweep->n_backends * sweep->models[i].n_seeds;
	if (!st)
		st = pb_workspace_new(&plan.workspace, NULL, data, err);
	if (!st && !(plan.cells = pb_arena_alloc(plan.arena, total, sizeof(*plan.cells))))
		st = pb_out_of_memory(err, "the plan");
	/* Models outermost: a worker keeps one open. */
	for (size_t i = 0; !st && i < sweep->n_models; i++)
		st = plan_model(&plan, sweep, &sweep->models[i], filters, n_filters, err);
	if (!st)
		st = drop_repeats(&plan, err);
	if (!st && plan.n == 0)
		st = pb_fail(err, PB_USAGE, "%s: no cell is left by --only", sweep->name);
	if (st)
		pb_plan_free(&plan);
	else
		*out = plan;
	return st;
}

void pb_plan_free(struct pb_plan *plan)
{
	pb_workspace_free(plan->workspace);
	pb_arena_free(plan->arena);
	memset(plan, 0, sizeof(*plan));
}
