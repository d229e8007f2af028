#include "harness/run/recipe_model.h"

#include <stdio.h>
#include <string.h>
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "harness/run/training.h"

#define KEY_DIGITS 12
#define FILE_LIMIT ((size_t)64 << 20)

static enum pb_status add_file(struct pb_hash *hash, const char *path, struct pb_error *err)
{
	char digest[PB_HASH_HEX];
	enum pb_status st = path ? pb_hash_of_file(path, digest, err) : PB_OK;

	pb_hash_string(hash, path && !st ? digest : "");
	return st;
}

static enum pb_status make_key(const struct pb_training_recipe *r, char key[PB_HASH_HEX], struct pb_error *err)
{
	struct pb_hash *hash = pb_hash_new();
	enum pb_status st = hash ? PB_OK : pb_out_of_memory(err, "a hash");

	if (st)
		return st;
	pb_hash_string(hash, r->text);
	pb_hash_bytes(hash, &r->share, sizeof r->share);
	st = add_file(hash, r->train_file, err);
	if (!st)
		st = add_file(hash, r->validation_file, err);
	if (!st)
		st = add_file(hash, r->tokenizer, err);
	pb_hash_finish(hash, key);
	return st;
}

enum pb_status pb_recipe_models_place(struct pb_sweep *sweep, const char *folder, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < sweep->n_models; i++) {
		struct pb_sweep_model *m = &sweep->models[i];
		char key[PB_HASH_HEX];

		if (!m->recipe)
			continue;
		st = make_key(m->recipe, key, err);
		if (!st && !(m->path = pb_arena_printf(sweep->arena, "%s/models/%s-%.*s", folder, m->recipe->name, KEY_DIGITS, key)))
			st = pb_out_of_memory(err, "a path");
	}
	return st;
}

static bool is_wanted(const struct pb_sweep_model *m, const struct pb_recipe_models_options *options)
{
	for (size_t i = 0; i < options->n_filters; i++)
		if (strcmp(options->filters[i].key, "model") == 0 && strcmp(options->filters[i].value, m->name) != 0)
			return false;
	return true;
}

enum pb_status pb_recipe_models_make(const struct pb_sweep *sweep, const struct pb_recipe_models_options *options, bool *interrupted, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	*interrupted = false;
	for (size_t i = 0; !st && !*interrupted && i < sweep->n_models; i++) {
		const struct pb_sweep_model *m = &sweep->models[i];
		struct pb_training_options training = { .folder = m->path, .pool = options->pool, .progress = options->progress, .colour = options->colour, .quiet = options->quiet };
		struct pb_training_summary summary;

		if (!m->recipe || !is_wanted(m, options))
			continue;
		st = pb_train(m->recipe, &training, &summary, err);
		*interrupted = summary.interrupted;
		if (!summary.interrupted && !summary.already)
			pb_log(PB_LOG_INFO, "%s: trained on %llu tokens by %s", m->name, (unsigned long long)summary.tokens, m->recipe->file);
	}
	return st;
}

bool pb_recipe_model_is_there(const char *folder)
{
	char *path = pb_path_join(folder, "model.safetensors");
	bool there = path && pb_file_exists(path);

	pb_free(path);
	return there;
}

enum pb_status pb_recipe_model_json(const char *folder, json_t **out, struct pb_error *err)
{
	char *path = pb_path_join(folder, "train.json");
	json_t *state = NULL;
	enum pb_status st = path ? pb_json_read(&state, path, FILE_LIMIT, err) : pb_out_of_memory(err, "a path");

	if (!st && !(*out = json_pack("{s:O, s:O, s:O}", "recipe", json_object_get(state, "name"), "steps", json_object_get(state, "steps"),
	    "tokens", json_object_get(state, "tokens"))))
		st = pb_fail(err, PB_FORMAT, "%s: tells no name, steps and tokens", path);
	json_decref(state);
	pb_free(path);
	return st;
}
