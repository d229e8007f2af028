#include "harness/run/sweep.h"

#include <string.h>
#include "backends/backend.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/base/yaml.h"
#include "harness/run/calibration.h"
#include "harness/run/expect.h"
#include "harness/run/reference.h"
#include "harness/run/settings.h"
#include "harness/run/trained.h"
#include "harness/run/zoo.h"
#include "quantizers/quantizer.h"

#define SWEEP_LIMIT (4u << 20)

/* Settings, and seeds, of the sweep or of one model. */
struct settings {
	const char **quantizers;
	size_t n_quantizers, n_seeds;
	int64_t *seeds;
};

struct sweep_reader {
	struct pb_sweep *sweep;
	struct pb_settings all;         /* of the sweep and of its models */
	struct settings common;
	const char *folder;             /* of the sweep file */
	const struct pb_data_path *data;
	struct pb_error *err;
};

enum pb_status pb_find_file(struct pb_arena *arena, const char *name, const char *folder, const struct pb_data_path *data, const char **path, struct pb_error *err)
{
	struct pb_text looked = {0};
	enum pb_status st = PB_OK;

	if (!name[0])
		return pb_fail(err, PB_USAGE, "an empty name of a file");
	for (size_t i = 0; i < 2 + data->n; i++) {
		const char *in = i == 0 ? "." : i == 1 ? folder : data->folders[i - 2];
		char *candidate;

		if (!in || (i > 0 && name[0] == '/'))
			continue;
		candidate = i == 0 ? pb_strdup(name) : pb_path_join(in, name);
		if (!candidate) {
			st = pb_out_of_memory(err, "a path");
			break;
		}
		if (pb_file_exists(candidate)) {
			*path = pb_arena_strdup(arena, candidate);
			pb_free(candidate);
			pb_text_free(&looked);
			return *path ? PB_OK : pb_out_of_memory(err, "a path");
		}
		pb_text_printf(&looked, "%s%s", looked.length ? ", " : "", candidate);
		pb_free(candidate);
	}
	if (!st)
		st = pb_fail(err, PB_MISSING, "%s: not found (looked at %s)\nname a folder that holds it with --data or PB_DATA", name, pb_text_c(&looked));
	pb_text_free(&looked);
	return st;
}

/* A model or another file named in the sweep; failures get the place in the sweep. */
static enum pb_status find(struct sweep_reader *r, const struct pb_yaml *node, bool is_model, const char **out)
{
	const char *name;
	enum pb_status st = pb_yaml_string(node, &name, r->err);
	struct pb_error why = {0};

	if (st)
		return st;
	st = (is_model ? pb_find_model : pb_find_file)(r->sweep->arena, name, r->folder, r->data, out, &why);
	return st ? pb_yaml_fail(node, r->err, "%s", why.text) : PB_OK;
}

/* What the method of a setting needs of the sweep. */
static enum pb_status check_needs(struct sweep_reader *r, const struct pb_setting *setting)
{
	struct pb_quantizer_use use;
	struct pb_error why = {0};
	unsigned needs;
	enum pb_status st = pb_quantizer_use_parse(&use, setting->text, r->err);

	if (st)
		return st;
	needs = pb_quantizer_needs(use.quantizer, use.options);
	if (!r->sweep->calibration && needs & PB_NEEDS_CALIBRATION)
		(void)pb_calibration_fail_none(use.quantizer, &why);
	else if (!r->sweep->training && needs & PB_NEEDS_TRAINING)
		(void)pb_trained_fail_none(use.quantizer, &why);
	pb_quantizer_use_free(&use);
	return why.status ? pb_yaml_fail(setting->at, r->err, "%s", why.text) : PB_OK;
}

/* A list, or one value as a list of one. */
static size_t list_length(const struct pb_yaml *node)
{
	return !node ? 0 : node->kind == PB_YAML_LIST ? node->n : 1;
}

static const struct pb_yaml *list_at(const struct pb_yaml *node, size_t i)
{
	return node->kind == PB_YAML_LIST ? node->values[i] : node;
}

static enum pb_status read_quantizers(struct sweep_reader *r, struct settings *to, const struct pb_yaml *node)
{
	size_t first = r->all.n;
	enum pb_status st = PB_OK;

	r->all.arena = r->sweep->arena;
	for (size_t i = 0, checked = first; !st && i < list_length(node); i++) {
		st = pb_settings_read(&r->all, list_at(node, i), r->err);
		for (; !st && checked < r->all.n; checked++)
			st = check_needs(r, &r->all.list[checked]);
	}
	if (st)
		return st;
	to->n_quantizers = r->all.n - first;
	to->quantizers = pb_arena_alloc(r->sweep->arena, to->n_quantizers, sizeof(*to->quantizers));
	if (!to->quantizers)
		return pb_out_of_memory(r->err, "the sweep");
	for (size_t i = 0; i < to->n_quantizers; i++)
		to->quantizers[i] = r->all.list[first + i].text;
	return PB_OK;
}

static enum pb_status read_seeds(struct sweep_reader *r, struct settings *to, const struct pb_yaml *node)
{
	enum pb_status st = PB_OK;

	if (node && list_length(node) == 0)
		return pb_yaml_fail(node, r->err, "an empty list of seeds");
	to->n_seeds = node ? list_length(node) : 1;
	to->seeds = pb_arena_alloc(r->sweep->arena, to->n_seeds, sizeof(*to->seeds));
	if (!to->seeds)
		return pb_out_of_memory(r->err, "the sweep");
	for (size_t i = 0; node && !st && i < to->n_seeds; i++)
		st = pb_yaml_int(list_at(node, i), 0, INT64_MAX, &to->seeds[i], r->err);
	return st;
}

/* ---- models ---- */

static enum pb_status keep_name(struct sweep_reader *r, const struct pb_yaml *node, const char **out)
{
	enum pb_status st = pb_yaml_string(node, out, r->err);

	if (!st && !(*out = pb_arena_strdup(r->sweep->arena, *out)))
		st = pb_out_of_memory(r->err, "the sweep");
	return st;
}

/* A model that is trained first, on a share of its recipe's steps. */
static enum pb_status read_recipe(struct sweep_reader *r, const struct pb_yaml *node, const struct pb_yaml *share_node, struct pb_sweep_model *m)
{
	struct pb_sweep *s = r->sweep;
	const char *path = NULL;
	double share = 1;
	enum pb_status st = share_node ? pb_yaml_double(share_node, 0, 1, &share, r->err) : PB_OK;

	if (!st)
		st = find(r, node, false, &path);
	if (!st)
		st = pb_training_recipe_read(&m->recipe, path, r->data, r->err);
	if (st)
		return st;
	pb_training_recipe_cut(m->recipe, share);
	m->is_made = true;
	m->name = share < 1 ? pb_arena_printf(s->arena, "%s@%g", m->recipe->name, share) : pb_arena_strdup(s->arena, m->recipe->name);
	return m->name ? PB_OK : pb_out_of_memory(r->err, "the sweep");
}

static enum pb_status read_model_map(struct sweep_reader *r, const struct pb_yaml *node, struct pb_sweep_model *m, struct settings *own)
{
	static const char *const keys[] = { "path", "recipe", "share", "tokenizer", "name", "quantizers", "seeds", NULL };
	const struct pb_yaml *path = pb_yaml_get(node, "path"), *recipe = pb_yaml_get(node, "recipe"), *share = pb_yaml_get(node, "share");
	const struct pb_yaml *tokenizer = pb_yaml_get(node, "tokenizer"), *name = pb_yaml_get(node, "name");
	const struct pb_yaml *quantizers = pb_yaml_get(node, "quantizers"), *seeds = pb_yaml_get(node, "seeds");
	enum pb_status st = pb_yaml_check_keys(node, keys, r->err);

	if (!st && !path == !recipe)
		return pb_yaml_fail(node, r->err, path ? "a model has either a path or a recipe" : "this model has no path");
	if (!st && share && !recipe)
		return pb_yaml_fail(share, r->err, "share: of the steps of a recipe, which this model does not have");
	if (!st && recipe && tokenizer)
		return pb_yaml_fail(tokenizer, r->err, "tokenizer: a recipe brings its own");
	if (!st && quantizers && list_length(quantizers) == 0)
		return pb_yaml_fail(quantizers, r->err, "an empty list of quantizers");
	if (!st && quantizers)
		st = read_quantizers(r, own, quantizers);
	if (!st && seeds)
		st = read_seeds(r, own, seeds);
	if (!st)
		st = path ? find(r, path, true, &m->path) : read_recipe(r, recipe, share, m);
	if (!st && tokenizer)
		st = find(r, tokenizer, false, &m->tokenizer);
	return !st && name ? keep_name(r, name, &m->name) : st;
}

static enum pb_status read_model(struct sweep_reader *r, const struct pb_yaml *node, struct pb_sweep_model *m)
{
	struct settings own = r->common;
	enum pb_status st;

	if (node->kind != PB_YAML_SCALAR && node->kind != PB_YAML_MAP)
		return pb_yaml_fail(node, r->err, "a model is a path, a name of the zoo, {path, tokenizer, name, quantizers, seeds}, or {recipe, share, ...}");
	st = node->kind == PB_YAML_SCALAR ? find(r, node, true, &m->path) : read_model_map(r, node, m, &own);
	m->quantizers = own.quantizers;
	m->n_quantizers = own.n_quantizers;
	m->seeds = own.seeds;
	m->n_seeds = own.n_seeds;
	return st;
}

/* ---- tasks and data ---- */

static enum pb_status read_limit(const struct pb_yaml *node, uint64_t *limit, struct pb_error *err)
{
	int64_t n;
	enum pb_status st = pb_yaml_int(node, 0, INT64_MAX, &n, err);

	if (!st)
		*limit = (uint64_t)n;
	return st;
}

static enum pb_status read_task(struct sweep_reader *r, const struct pb_yaml *node, uint64_t default_limit, struct pb_sweep_task *t)
{
	static const char *const keys[] = { "limit", "protocol", NULL };
	const struct pb_yaml *options = NULL, *at = node;
	struct pb_error why = {0};
	struct pb_task *task;
	const char *name;
	enum pb_status st = PB_OK;

	t->limit = default_limit;
	if (node->kind == PB_YAML_MAP && node->n == 1) {
		name = node->keys[0];
		at = node->key_nodes[0];
		options = node->values[0];
		if (options->kind != PB_YAML_MAP)
			return pb_yaml_fail(options, r->err, "a task's options are {limit, protocol}");
		if ((st = pb_yaml_check_keys(options, keys, r->err)))
			return st;
		if (pb_yaml_get(options, "limit"))
			st = read_limit(pb_yaml_get(options, "limit"), &t->limit, r->err);
		if (!st && pb_yaml_get(options, "protocol")) {
			st = pb_yaml_string(pb_yaml_get(options, "protocol"), &t->protocol, r->err);
			if (!st && !(t->protocol = pb_arena_strdup(r->sweep->arena, t->protocol)))
				st = pb_out_of_memory(r->err, "the sweep");
		}
		if (st)
			return st;
	} else if ((st = pb_yaml_string(node, &name, r->err))) {
		return st;
	}
	t->name = pb_arena_strdup(r->sweep->arena, name);
	if (!t->name)
		return pb_out_of_memory(r->err, "the sweep");
	if (pb_task_open(&task, t->name, t->protocol, t->limit, &why))
		return pb_yaml_fail(at, r->err, "%s", why.text);
	pb_task_close(task);
	return PB_OK;
}

static enum pb_status read_limits(const struct pb_yaml *node, struct pb_limits *limits, struct pb_error *err)
{
	static const char *const keys[] = { "time", "memory", NULL };
	const struct pb_yaml *time = pb_yaml_get(node, "time"), *memory = pb_yaml_get(node, "memory");
	enum pb_status st = pb_yaml_check_keys(node, keys, err);

	if (st)
		return st;
	if (time && (!pb_parse_seconds(time->text ? time->text : "", &limits->seconds) || limits->seconds <= 0))
		return pb_yaml_fail(time, err, "not a duration: write 90s, 10m or 1h30m");
	if (memory && (!pb_parse_bytes(memory->text ? memory->text : "", &limits->memory_bytes) || limits->memory_bytes < (16u << 20)))
		return pb_yaml_fail(memory, err, "not a size of at least 16 MiB: write 512MiB or 4GiB");
	return PB_OK;
}

/* A map with `data`, the text, and options of that table; text: what such a map is. */
static enum pb_status read_text(struct sweep_reader *r, const struct pb_yaml *node, const char *who, const char *text, const char *const *keys,
	const struct pb_option *table, void *options, const char **data)
{
	struct pb_error why = {0};
	const char *value;
	enum pb_status st;

	if (node->kind != PB_YAML_MAP || !pb_yaml_get(node, "data"))
		return pb_yaml_fail(node, r->err, "%s is %s", who, text);
	if ((st = pb_yaml_check_keys(node, keys, r->err)))
		return st;
	pb_options_default(table, options);
	for (size_t i = 0; i < node->n; i++) {
		if ((st = pb_yaml_string(node->values[i], &value, r->err)))
			return st;
		st = strcmp(node->keys[i], "data") == 0 ? pb_text_find(r->sweep->arena, value, r->folder, r->data, data, &why)
			: pb_options_set(table, options, who, node->keys[i], value, &why);
		if (st)
			return pb_yaml_fail(node->values[i], r->err, "%s", why.text);
	}
	return PB_OK;
}

static enum pb_status read_calibration(struct sweep_reader *r, const struct pb_yaml *node)
{
	static const char *const keys[] = { "data", "n_samples", "seq_len", "seed", "format", NULL };
	struct pb_calibration_spec *c = r->sweep->calibration = pb_arena_alloc(r->sweep->arena, 1, sizeof(*c));

	return c ? read_text(r, node, "calibration", "{data: FILE, n_samples, seq_len, seed, format}", keys, pb_calibration_options, c, &c->data)
		: pb_out_of_memory(r->err, "the sweep");
}

static enum pb_status read_training(struct sweep_reader *r, const struct pb_yaml *node)
{
	static const char *const keys[] = { "data", "format", NULL };
	struct pb_training_spec *t = r->sweep->training = pb_arena_alloc(r->sweep->arena, 1, sizeof(*t));

	return t ? read_text(r, node, "training", "{data: FILE, format}", keys, pb_training_options, t, &t->data) : pb_out_of_memory(r->err, "the sweep");
}

static enum pb_status read_backends(struct sweep_reader *r, const struct pb_yaml *node)
{
	struct pb_sweep *s = r->sweep;

	if (node && list_length(node) == 0)
		return pb_yaml_fail(node, r->err, "an empty list of backends");
	s->n_backends = node ? list_length(node) : 1;
	s->backends = pb_arena_alloc(s->arena, s->n_backends, sizeof(*s->backends));
	if (!s->backends)
		return pb_out_of_memory(r->err, "the sweep");
	if (!node) {
		s->backends[0] = "blas";
		return PB_OK;
	}
	for (size_t i = 0; i < s->n_backends; i++) {
		struct pb_backend_use use = {0};
		struct pb_error why = {0};
		const char *name;
		enum pb_status st = pb_yaml_string(list_at(node, i), &name, r->err);

		if (st)
			return st;
		if (pb_backend_use_parse(&use, name, &why))
			return pb_yaml_fail(list_at(node, i), r->err, "%s", why.text);
		pb_backend_use_free(&use);
		if (!(s->backends[i] = pb_arena_strdup(s->arena, name)))
			return pb_out_of_memory(r->err, "the sweep");
	}
	return PB_OK;
}

/* The lists that a sweep cannot be without. */
static enum pb_status read_lists(struct sweep_reader *r, const struct pb_yaml *root, uint64_t limit)
{
	const struct pb_yaml *models = pb_yaml_get(root, "models"), *quantizers = pb_yaml_get(root, "quantizers"), *tasks = pb_yaml_get(root, "tasks");
	struct pb_sweep *s = r->sweep;
	enum pb_status st = PB_OK;

	if (list_length(models) == 0 || list_length(quantizers) == 0 || list_length(tasks) == 0)
		return pb_yaml_fail(root, r->err, "a sweep needs models, quantizers and tasks, each with at least one entry");
	s->expect = s->reference = "";
	s->models = pb_arena_alloc(s->arena, list_length(models), sizeof(*s->models));
	s->tasks = pb_arena_alloc(s->arena, list_length(tasks), sizeof(*s->tasks));
	if (!s->models || !s->tasks)
		return pb_out_of_memory(r->err, "the sweep");
	st = read_quantizers(r, &r->common, quantizers);
	for (size_t i = 0; !st && i < list_length(tasks); i++)
		st = read_task(r, list_at(tasks, i), limit, &s->tasks[s->n_tasks++]);
	for (size_t i = 0; !st && i < s->n_tasks; i++)
		for (size_t j = 0; !st && j < i; j++)
			if (strcmp(s->tasks[i].name, s->tasks[j].name) == 0)
				st = pb_yaml_fail(list_at(tasks, i), r->err, "task '%s' is there twice", s->tasks[i].name);
	/* Last, so that typing errors in names come before missing files. */
	for (size_t i = 0; !st && i < list_length(models); i++)
		st = read_model(r, list_at(models, i), &s->models[s->n_models++]);
	if (!st && pb_yaml_get(root, "expect"))
		st = pb_expect_read(s, &r->all, pb_yaml_get(root, "expect"), r->err);
	if (!st && pb_yaml_get(root, "reference"))
		st = pb_reference_read(s, pb_yaml_get(root, "reference"), r->err);
	return st;
}

/* It names the folder out/NAME. */
static enum pb_status read_name(struct sweep_reader *r, const struct pb_yaml *node)
{
	const char *name;
	enum pb_status st = pb_yaml_file_name(node, "a sweep", &name, r->err);

	if (!st && !(r->sweep->name = pb_arena_strdup(r->sweep->arena, name)))
		st = pb_out_of_memory(r->err, "the sweep");
	return st;
}

static enum pb_status read_root(struct sweep_reader *r, const struct pb_yaml *root)
{
	static const char *const keys[] = { "name", "models", "quantizers", "backends", "tasks", "limit", "calibration", "training", "seeds", "limits", "expect", "reference", NULL };
	const struct pb_yaml *node;
	struct pb_sweep *s = r->sweep;
	uint64_t limit = 0;
	enum pb_status st;

	if (root->kind != PB_YAML_MAP)
		return pb_yaml_fail(root, r->err, "a sweep is a map with models, quantizers and tasks");
	if ((st = pb_yaml_check_keys(root, keys, r->err)))
		return st;
	if ((node = pb_yaml_get(root, "name")))
		st = read_name(r, node);
	if (!st && (node = pb_yaml_get(root, "limit")))
		st = read_limit(node, &limit, r->err);
	if (!st && (node = pb_yaml_get(root, "limits")))
		st = node->kind == PB_YAML_MAP ? read_limits(node, &s->limits, r->err) : pb_yaml_fail(node, r->err, "limits are {time, memory}");
	if (!st && (node = pb_yaml_get(root, "calibration")))
		st = read_calibration(r, node);
	if (!st && (node = pb_yaml_get(root, "training")))
		st = read_training(r, node);
	if (!st)
		st = read_backends(r, pb_yaml_get(root, "backends"));
	if (!st)
		st = read_seeds(r, &r->common, pb_yaml_get(root, "seeds"));
	return st ? st : read_lists(r, root, limit);
}

enum pb_status pb_sweep_parse(struct pb_sweep **out, const char *name, const char *text, size_t size, const struct pb_data_path *data, struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_sweep *s = arena ? pb_arena_alloc(arena, 1, sizeof(*s)) : NULL;
	struct pb_yaml_file *file = NULL;
	char *folder = pb_path_folder(name);
	struct sweep_reader reader = { .sweep = s, .folder = folder, .data = data, .err = err };
	enum pb_status st = PB_OK;

	if (s)
		s->arena = arena;
	if (!s || !folder) {
		st = pb_out_of_memory(err, "the sweep");
	} else {
		const char *file_name = pb_path_name(name);
		const char *dot = strrchr(file_name, '.');

		s->text = pb_arena_strndup(arena, text, size);
		s->name = pb_arena_strndup(arena, file_name, dot && dot > file_name ? (size_t)(dot - file_name) : strlen(file_name));
		if (!s->text || !s->name)
			st = pb_out_of_memory(err, "the sweep");
	}
	if (!st)
		st = pb_yaml_parse(&file, name, text, size, err);
	if (!st)
		st = read_root(&reader, pb_yaml_root(file));
	pb_yaml_free(file);
	pb_free(folder);
	if (!st)
		*out = s;
	else if (s)
		pb_sweep_free(s);
	else
		pb_arena_free(arena);
	return st;
}

enum pb_status pb_sweep_read(struct pb_sweep **out, const char *path, const struct pb_data_path *data, struct pb_error *err)
{
	char *text = NULL;
	size_t size = 0;
	enum pb_status st = pb_file_read_typed(path, SWEEP_LIMIT, &text, &size, err);

	if (st)
		return st;
	st = pb_sweep_parse(out, path, text, size, data, err);
	pb_free(text);
	return st;
}

void pb_sweep_free(struct pb_sweep *sweep)
{
	for (size_t i = 0; sweep && i < sweep->n_models; i++)
		pb_training_recipe_free(sweep->models[i].recipe);
	if (sweep)
		pb_arena_free(sweep->arena);
}
