/* Writing a folder that holds a model as it runs: paretobench.json and model.safetensors. The JSON comes first and the
 * weights name its hash, so that after an interruption the two are never taken for a pair that they are not. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "core/base/json.h"
#include "core/model/model_files.h"

/* The tensors of the file, with their names. */
struct list {
	struct pb_arena *arena;
	struct pb_named_tensor *tensors;
	size_t n, capacity;
	struct pb_encoded **made;       /* [n_matrices], dense ones around sources; NULL elsewhere */
	json_t *descriptions;
};

static enum pb_status add(struct list *l, const char *owner, const char *part, const struct pb_tensor *t, struct pb_error *err)
{
	char *name = part ? pb_arena_printf(l->arena, "%s.%s", owner, part) : pb_arena_strdup(l->arena, owner);
	if (l->n == l->capacity) {
		size_t capacity = l->capacity ? 2 * l->capacity : 64;
		struct pb_named_tensor *tensors = pb_realloc(l->tensors, capacity, sizeof *tensors);
		if (!tensors)
			return pb_out_of_memory(err, "list of tensors");
		l->tensors = tensors;
		l->capacity = capacity;
	}
	if (!name)
		return pb_out_of_memory(err, "list of tensors");
	l->tensors[l->n++] = (struct pb_named_tensor){ name, *t };
	return PB_OK;
}

static enum pb_status add_matrix(struct list *l, const struct pb_matrix *x, struct pb_encoded **made, struct pb_error *err)
{
	struct pb_part parts[PB_MAX_PARTS];
	const struct pb_encoded *encoded = NULL;
	enum pb_status status = pb_matrix_encoding(x, &encoded, made, err);
	if (status)
		return status;
	if (json_object_set_new(l->descriptions, x->name, pb_encoded_describe(encoded)))
		return pb_out_of_memory(err, "description of a matrix");
	unsigned n = pb_encoded_parts(encoded, parts);
	for (unsigned i = 0; !status && i < n; i++)
		status = add(l, x->name, parts[i].name, &parts[i].tensor, err);
	return status;
}

static enum pb_status make_list(struct list *l, struct pb_model *model, struct pb_error *err)
{
	enum pb_status status = PB_OK;
	l->arena = pb_arena_new();
	l->made = pb_alloc_zero(model->n_matrices, sizeof *l->made);
	l->descriptions = json_object();
	if (!l->arena || !l->made || !l->descriptions)
		return pb_out_of_memory(err, "list of tensors");
	for (unsigned i = 0; !status && i < pb_model_kept_count(model); i++) {
		struct pb_kept k = pb_model_kept(model, i);
		status = add(l, k.name, NULL, k.tensor, err);
	}
	for (uint32_t i = 0; !status && i < model->n_matrices; i++)
		status = add_matrix(l, &model->matrices[i], &l->made[i], err);
	uint64_t bytes = 0;
	for (size_t i = 0; i < l->n; i++)
		bytes += l->tensors[i].tensor.bytes;
	if (!status && bytes != pb_model_size(model).stored_bytes)
		status = pb_fail(err, PB_FAILED, "%s: %" PRIu64 " bytes to write, the sizes say %" PRIu64, model->path, bytes, pb_model_size(model).stored_bytes);
	return status;
}

static void free_list(struct list *l, const struct pb_model *model)
{
	for (uint32_t i = 0; l->made && i < model->n_matrices; i++)
		pb_encoded_free(l->made[i]);
	pb_free(l->made);
	pb_free(l->tensors);
	pb_arena_free(l->arena);
	json_decref(l->descriptions);
}

static char *make_json(const struct pb_model *model, const struct list *l, const json_t *quantization)
{
	const char *source_hash = model->files->source_hash[0] ? model->files->source_hash : model->hash;
	json_t *object = json_pack("{s:i, s:s, s:o, s:O, s:s, s:O?}", "schema", 1, "format", "paretobench",
		"config", pb_config_to_json(&model->config), "tensors", l->descriptions, "source_hash", source_hash,
		"quantization", (json_t *)quantization);
	char *text = object ? pb_json_pretty(object) : NULL;
	json_decref(object);
	return text;
}

/* Only a folder that holds nothing, or a model that was written here before, is written to. */
static enum pb_status check_folder(const char *folder, struct pb_error *err)
{
	static const char *const ours[] = { ".", "..", PB_ENCODED_JSON, PB_WEIGHTS_FILE, "tokenizer.model", "tokenizer.bin" };
	if (!pb_file_exists(folder))
		return PB_OK;
	DIR *dir = opendir(folder);
	if (!dir)
		return pb_fail(err, errno == ENOTDIR ? PB_USAGE : PB_IO, "%s: %s", folder, strerror(errno));
	enum pb_status status = PB_OK;
	bool has_json = false, has_weights = false;
	const struct dirent *entry;
	while (!status && (entry = readdir(dir))) {
		size_t i = 0;
		while (i < sizeof ours / sizeof *ours && strcmp(entry->d_name, ours[i]))
			i++;
		has_json |= !strcmp(entry->d_name, PB_ENCODED_JSON);
		has_weights |= !strcmp(entry->d_name, PB_WEIGHTS_FILE);
		/* a temporary file is what a write that was killed leaves */
		if (i == sizeof ours / sizeof *ours && strncmp(entry->d_name, ".paretobench-", 13))
			status = pb_fail(err, PB_USAGE, "%s: not written: the folder holds %.200s, which is no part of a model written here", folder, entry->d_name);
	}
	closedir(dir);
	if (!status && has_weights && !has_json)
		status = pb_fail(err, PB_USAGE, "%s: not written: the folder holds %s of another model", folder, PB_WEIGHTS_FILE);
	return status;
}

static enum pb_status write_files(const struct list *l, const char *folder, const char *text, struct pb_error *err)
{
	char *json = pb_path_join(folder, PB_ENCODED_JSON), *weights = pb_path_join(folder, PB_WEIGHTS_FILE);
	char hash[PB_HASH_HEX];
	const char *const metadata[] = { "format", "paretobench", PB_ENCODED_KEY, hash, NULL };
	enum pb_status status = PB_OK;
	if (!json || !weights)
		status = pb_out_of_memory(err, "path of a model");
	if (!status)
		status = pb_folder_make(folder, err);
	if (!status)
		status = pb_file_write(json, text, strlen(text), err);
	if (!status) {
		pb_hash_of_bytes(text, strlen(text), hash);
		status = pb_safetensors_write(weights, l->tensors, l->n, metadata, err);
	}
	pb_free(json);
	pb_free(weights);
	return status;
}

enum pb_status pb_model_write(const struct pb_model *model, const char *folder, const json_t *quantization, struct pb_error *err)
{
	struct list l = { 0 };
	char *text = NULL;
	enum pb_status status = check_folder(folder, err);
	if (!status)
		status = make_list(&l, (struct pb_model *)model, err);
	if (!status) {
		text = make_json(model, &l, quantization);
		if (!text)
			status = pb_out_of_memory(err, PB_ENCODED_JSON);
	}
	if (!status)
		status = write_files(&l, folder, text, err);
	pb_free(text);
	free_list(&l, model);
	return status;
}
