#include "harness/run/recipe.h"

#include <math.h>
#include <string.h>
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/base/yaml.h"
#include "harness/run/sweep.h"
#include "harness/run/zoo.h"
#include "tasks/world/world.h"

#define RECIPE_LIMIT (1u << 20)
#define PARTS 20                /* of a training, by default: validations and checkpoints */

struct recipe_reader {
	struct pb_training_recipe *recipe;
	const char *folder;         /* of the recipe */
	const struct pb_data_path *data;
	struct pb_error *err;
};

static enum pb_status keep_string(struct recipe_reader *r, const struct pb_yaml *node, const char **out)
{
	const char *text;
	enum pb_status st = pb_yaml_string(node, &text, r->err);

	if (!st && !(*out = pb_arena_strdup(r->recipe->arena, text)))
		st = pb_out_of_memory(r->err, "the recipe");
	return st;
}

/* A model or another file that the recipe names; NULL node: none. */
static enum pb_status find(struct recipe_reader *r, const struct pb_yaml *node, bool is_model, const char **out)
{
	struct pb_error why = {0};
	const char *name;
	enum pb_status st = node ? pb_yaml_string(node, &name, r->err) : PB_OK;

	if (st || !node)
		return st;
	return (is_model ? pb_find_model : pb_find_file)(r->recipe->arena, name, r->folder, r->data, out, &why) ? pb_yaml_fail(node, r->err, "%s", why.text) : PB_OK;
}

/* ---- the model ---- */

static enum pb_status read_count(const struct pb_yaml *model, const char *key, int64_t high, bool needed, uint32_t *out, struct pb_error *err)
{
	const struct pb_yaml *node = pb_yaml_get(model, key);
	int64_t n;
	enum pb_status st;

	if (!node)
		return needed ? pb_yaml_fail(model, err, "a new model needs %s", key) : PB_OK;
	st = pb_yaml_int(node, 1, high, &n, err);
	if (!st)
		*out = (uint32_t)n;
	return st;
}

/* About 8/3 of the width, in whole eights: with three matrices it is then as large as two of four times the width. */
static uint32_t usual_hidden(uint32_t dim)
{
	return (dim * 8 / 3 + 7) / 8 * 8;
}

static enum pb_status read_shape(const struct pb_yaml *model, struct pb_config *c, struct pb_error *err)
{
	const struct pb_yaml *eps = pb_yaml_get(model, "norm_eps"), *base = pb_yaml_get(model, "rope_base"), *tied = pb_yaml_get(model, "tied_head");
	double norm_eps = 1e-5;
	enum pb_status st;

	*c = (struct pb_config){ .architecture = "llama", .rope_base = 10000, .tied_head = true, .bos = -1, .eos = -1 };
	st = read_count(model, "dim", 65536, true, &c->dim, err);
	if (!st)
		st = read_count(model, "layers", 1024, true, &c->n_layers, err);
	if (!st)
		st = read_count(model, "heads", 1024, true, &c->n_heads, err);
	if (st)
		return st;
	c->n_kv_heads = c->n_heads;
	c->head_dim = c->dim / c->n_heads;
	c->hidden = usual_hidden(c->dim);
	st = read_count(model, "kv_heads", 1024, false, &c->n_kv_heads, err);
	if (!st)
		st = read_count(model, "head_dim", 1024, false, &c->head_dim, err);
	if (!st)
		st = read_count(model, "hidden", 1 << 20, false, &c->hidden, err);
	if (!st)
		st = read_count(model, "context", 1 << 20, false, &c->context, err);
	if (!st)
		st = read_count(model, "vocab", 1 << 20, false, &c->n_vocab, err);
	if (!st && eps)
		st = pb_yaml_double(eps, 1e-12, 1, &norm_eps, err);
	if (!st && base)
		st = pb_yaml_double(base, 1, 1e12, &c->rope_base, err);
	if (!st && tied)
		st = pb_yaml_bool(tied, &c->tied_head, err);
	c->norm_eps = (float)norm_eps;
	if (!st && c->n_heads % c->n_kv_heads)
		st = pb_yaml_fail(model, err, "%u heads cannot share %u kv_heads evenly", c->n_heads, c->n_kv_heads);
	if (!st && !pb_yaml_get(model, "head_dim") && c->dim % c->n_heads)
		st = pb_yaml_fail(model, err, "dim %u is not a multiple of %u heads; or give head_dim", c->dim, c->n_heads);
	if (!st && c->head_dim % 2)
		st = pb_yaml_fail(model, err, "head_dim %u is odd: rotary embedding turns pairs", c->head_dim);
	return st;
}

static enum pb_status read_model(struct recipe_reader *r, const struct pb_yaml *root)
{
	static const char *const keys[] = { "dim", "layers", "heads", "kv_heads", "head_dim", "hidden", "context", "vocab", "norm_eps", "rope_base", "tied_head", NULL };
	const struct pb_yaml *model = pb_yaml_get(root, "model"), *from = pb_yaml_get(root, "from");

	if (!model == !from)
		return pb_yaml_fail(root, r->err, "a recipe has either `model`, the shape of a new one, or `from`, a model to go on from");
	if (from)
		return PB_OK;
	if (model->kind != PB_YAML_MAP)
		return pb_yaml_fail(model, r->err, "a model's shape is {dim, layers, heads, ...}");
	return pb_yaml_check_keys(model, keys, r->err) ? PB_USAGE : read_shape(model, &r->recipe->config, r->err);
}

/* ---- data ---- */

static enum pb_status read_world(struct recipe_reader *r, const struct pb_yaml *node)
{
	static const char *const keys[] = { "size", "seed", NULL };
	const struct pb_yaml *size = node, *seed = NULL;
	int64_t number = 0;
	enum pb_status st = PB_OK;

	if (node->kind == PB_YAML_MAP) {
		st = pb_yaml_check_keys(node, keys, r->err);
		size = pb_yaml_get(node, "size");
		seed = pb_yaml_get(node, "seed");
	}
	if (!st && !size)
		return pb_yaml_fail(node, r->err, "a world is its size, or {size, seed}");
	if (!st)
		st = keep_string(r, size, &r->recipe->world);
	if (!st && !pb_world_size_find(r->recipe->world))
		st = pb_yaml_fail(size, r->err, "a world is small, medium or large, not '%s'", r->recipe->world);
	if (!st && seed)
		st = pb_yaml_int(seed, 0, INT64_MAX, &number, r->err);
	r->recipe->world_seed = (uint64_t)number;
	return st;
}

static enum pb_status read_documents(const struct pb_yaml *node, enum pb_documents *out, struct pb_error *err)
{
	const char *text;
	enum pb_status st = pb_yaml_string(node, &text, err);

	if (!st && strcmp(text, "lines") != 0 && strcmp(text, "whole") != 0)
		st = pb_yaml_fail(node, err, "documents are lines (a line is one) or whole (the file is one), not '%s'", text);
	if (!st)
		*out = strcmp(text, "whole") == 0 ? PB_DOCUMENTS_WHOLE : PB_DOCUMENTS_LINES;
	return st;
}

static enum pb_status read_data(struct recipe_reader *r, const struct pb_yaml *root)
{
	static const char *const keys[] = { "world", "train", "validation", "tokenizer", "documents", NULL };
	const struct pb_yaml *data = pb_yaml_get(root, "data"), *world, *train, *documents;
	struct pb_training_recipe *recipe = r->recipe;
	enum pb_status st;

	if (!data || data->kind != PB_YAML_MAP)
		return pb_yaml_fail(data ? data : root, r->err, "a recipe needs data: {world: SIZE} or {train: FILE, validation: FILE, tokenizer: FILE, documents: lines|whole}");
	if ((st = pb_yaml_check_keys(data, keys, r->err)))
		return st;
	world = pb_yaml_get(data, "world");
	train = pb_yaml_get(data, "train");
	documents = pb_yaml_get(data, "documents");
	if (!world == !train)
		return pb_yaml_fail(data, r->err, "data are either a world or a file to train on");
	if (world && data->n > 1)
		return pb_yaml_fail(data, r->err, "a world brings its own files and tokenizer");
	if (world)
		return read_world(r, world);
	st = find(r, train, false, &recipe->train_file);
	if (!st)
		st = find(r, pb_yaml_get(data, "validation"), false, &recipe->validation_file);
	if (!st)
		st = find(r, pb_yaml_get(data, "tokenizer"), false, &recipe->tokenizer);
	if (!st && !recipe->tokenizer && !recipe->from)
		st = pb_yaml_fail(data, r->err, "a new model needs a tokenizer");
	if (!st && documents)
		st = read_documents(documents, &recipe->documents, r->err);
	return st;
}

/* ---- numbers ---- */

static enum pb_status read_train(struct recipe_reader *r, const struct pb_yaml *root)
{
	const struct pb_yaml *train = pb_yaml_get(root, "train");
	struct pb_error why = {0};

	pb_options_default(pb_recipe_options, &r->recipe->train);
	if (!train || train->kind != PB_YAML_MAP)
		return pb_yaml_fail(train ? train : root, r->err, "a recipe needs train: {steps, sequences, length, learning_rate, ...}");
	for (size_t i = 0; i < train->n; i++) {
		const char *value;
		enum pb_status st = pb_yaml_string(train->values[i], &value, r->err);

		if (st)
			return st;
		st = pb_options_set(pb_recipe_options, &r->recipe->train, "train", train->keys[i], value, &why);
		if (st == PB_MEMORY)
			return pb_out_of_memory(r->err, "the recipe");
		if (st)
			return pb_yaml_fail(train->key_nodes[i], r->err, "%s", why.text);
	}
	return pb_recipe_check(&r->recipe->train, &why) ? pb_yaml_fail(train, r->err, "%s", why.text) : PB_OK;
}

static enum pb_status read_every(const struct pb_yaml *node, int64_t steps, int64_t *out, struct pb_error *err)
{
	*out = steps > PARTS ? steps / PARTS : 1;
	return node ? pb_yaml_int(node, 1, INT64_MAX, out, err) : PB_OK;
}

static enum pb_status read_dtype(const struct pb_yaml *node, enum pb_dtype *out, struct pb_error *err)
{
	static const struct { const char *name; enum pb_dtype dtype; } types[] = { { "bf16", PB_BF16 }, { "f16", PB_F16 }, { "f32", PB_F32 } };
	const char *text;
	enum pb_status st = node ? pb_yaml_string(node, &text, err) : PB_OK;

	*out = PB_BF16;
	for (size_t i = 0; !st && node; i++) {
		if (i == sizeof types / sizeof *types)
			return pb_yaml_fail(node, err, "weights are written as bf16, f16 or f32, not '%s'", text);
		*out = types[i].dtype;
		if (strcmp(text, types[i].name) == 0)
			break;
	}
	return st;
}

static enum pb_status read_root(struct recipe_reader *r, const struct pb_yaml *root)
{
	static const char *const keys[] = { "name", "model", "from", "data", "train", "validate_every", "save_every", "dtype", NULL };
	struct pb_training_recipe *recipe = r->recipe;
	const struct pb_yaml *name;
	enum pb_status st;

	if (root->kind != PB_YAML_MAP)
		return pb_yaml_fail(root, r->err, "a recipe is a map with model, data and train");
	st = pb_yaml_check_keys(root, keys, r->err);
	if (!st && (name = pb_yaml_get(root, "name"))) {
		const char *text;

		st = pb_yaml_file_name(name, "a recipe", &text, r->err);
		if (!st && !(recipe->name = pb_arena_strdup(recipe->arena, text)))
			st = pb_out_of_memory(r->err, "the recipe");
	}
	if (!st)
		st = read_model(r, root);
	if (!st)
		st = read_train(r, root);
	if (!st)
		st = read_every(pb_yaml_get(root, "validate_every"), recipe->train.steps, &recipe->validate_every, r->err);
	if (!st)
		st = read_every(pb_yaml_get(root, "save_every"), recipe->train.steps, &recipe->save_every, r->err);
	if (!st)
		st = read_dtype(pb_yaml_get(root, "dtype"), &recipe->dtype, r->err);
	/* Last, so that typing errors come before missing files. */
	if (!st)
		st = find(r, pb_yaml_get(root, "from"), true, &recipe->from);
	return st ? st : read_data(r, root);
}

enum pb_status pb_training_recipe_parse(struct pb_training_recipe **out, const char *name, const char *text, size_t size, const struct pb_data_path *data,
	struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_training_recipe *recipe = arena ? pb_arena_alloc(arena, 1, sizeof(*recipe)) : NULL;
	struct pb_yaml_file *file = NULL;
	char *folder = pb_path_folder(name);
	struct recipe_reader reader = { .recipe = recipe, .folder = folder, .data = data, .err = err };
	enum pb_status st = PB_OK;

	if (!recipe || !folder) {
		st = pb_out_of_memory(err, "the recipe");
	} else {
		const char *file_name = pb_path_name(name), *dot = strrchr(file_name, '.');

		recipe->arena = arena;
		recipe->share = 1;
		recipe->file = pb_arena_strdup(arena, name);
		recipe->text = pb_arena_strndup(arena, text, size);
		recipe->name = pb_arena_strndup(arena, file_name, dot && dot > file_name ? (size_t)(dot - file_name) : strlen(file_name));
		if (!recipe->file || !recipe->text || !recipe->name)
			st = pb_out_of_memory(err, "the recipe");
	}
	if (!st)
		st = pb_yaml_parse(&file, name, text, size, err);
	if (!st)
		st = read_root(&reader, pb_yaml_root(file));
	pb_yaml_free(file);
	pb_free(folder);
	if (st)
		pb_arena_free(arena);
	else
		*out = recipe;
	return st;
}

enum pb_status pb_training_recipe_read(struct pb_training_recipe **out, const char *path, const struct pb_data_path *data, struct pb_error *err)
{
	char *text = NULL;
	size_t size = 0;
	enum pb_status st = pb_file_read_typed(path, RECIPE_LIMIT, &text, &size, err);

	if (st)
		return st;
	st = pb_training_recipe_parse(out, path, text, size, data, err);
	pb_free(text);
	return st;
}

void pb_training_recipe_cut(struct pb_training_recipe *r, double share)
{
	int64_t steps = llround(share * (double)r->train.steps);

	if (share >= 1)
		return;
	r->share = steps ? share : 0;
	r->train.warmup = (int64_t)(share * (double)r->train.warmup);
	r->train.steps = steps ? steps : 1;
	r->validate_every = r->save_every = steps > PARTS ? steps / PARTS : 1;
}

void pb_training_recipe_free(struct pb_training_recipe *r)
{
	if (r)
		pb_arena_free(r->arena);
}
