/* Hugging Face folders of Llama's family: config.json and safetensors, in one file or in shards. */
#include <stdlib.h>
#include <string.h>
#include "core/base/json.h"
#include "core/model/model_files.h"

#define CONFIG_LIMIT ((size_t)4 << 20)
#define INDEX_FILE "model.safetensors.index.json"
#define EMBEDDING "model.embed_tokens.weight"
#define HEAD "lm_head.weight"

static enum pb_status read_config(struct pb_model *model, struct pb_error *err)
{
	char *path = pb_path_join(model->files->folder, "config.json"), *data = NULL;
	size_t size = 0;
	if (!path)
		return pb_out_of_memory(err, "path of config.json");
	enum pb_status status = pb_file_read(path, CONFIG_LIMIT, &data, &size, err);
	if (!status)
		status = pb_config_parse(&model->config, path, data, size, err);
	pb_free(data);
	pb_free(path);
	return status;
}

static enum pb_status open_shard(struct pb_model *model, const char *path, struct pb_error *err)
{
	struct pb_safetensors *st = NULL;
	enum pb_status status = pb_safetensors_open(&st, path, err);
	return status ? status : pb_model_add_shard(model, st, path, err);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A file name from the index stays in the model's folder. */
static const char *shard_name(const json_t *value)
{
	const char *name = pb_json_plain(value, 255);
	return name && name[0] != '.' && !strpbrk(name, "/\\") && pb_path_has_suffix(name, ".safetensors") ? name : NULL;
}

/* The distinct files of the map, in the order of their names. */
static enum pb_status open_shards(struct pb_model *model, const char *index, json_t *map, struct pb_error *err)
{
	const char *tensor, **names = pb_alloc(json_object_size(map) + 1, sizeof *names);
	json_t *value;
	size_t n = 0;
	enum pb_status status = PB_OK;
	if (!names)
		return pb_out_of_memory(err, "list of weight files");
	json_object_foreach(map, tensor, value) {
		names[n] = shard_name(value);
		if (!names[n++]) {
			status = pb_fail(err, PB_FORMAT, "%s: a file in weight_map is not the plain name of a .safetensors file", index);
			break;
		}
	}
	if (!status)
		qsort(names, n, sizeof *names, compare_strings);
	for (size_t i = 0; !status && i < n; i++) {
		if (i > 0 && !strcmp(names[i], names[i - 1]))
			continue;
		char *path = pb_path_join(model->files->folder, names[i]);
		status = path ? open_shard(model, path, err) : pb_out_of_memory(err, "path of a weight file");
		pb_free(path);
	}
	pb_free(names);
	return status;
}

/* The map and the shards hold the same tensors, each one once. */
static enum pb_status check_map(struct pb_model *model, const char *index, json_t *map, struct pb_error *err)
{
	const struct pb_model_files *f = model->files;
	const char *tensor;
	json_t *value;
	json_object_foreach(map, tensor, value) {
		const char *file = NULL;
		if (!pb_model_find_tensor(model, tensor, &file) || strcmp(pb_path_name(file), json_string_value(value)))
			return pb_fail(err, PB_FORMAT, "%s: weight_map: a tensor is not in its file %s", index, json_string_value(value));
	}
	for (unsigned i = 0; i < f->n_shards; i++)
		for (size_t j = 0; j < pb_safetensors_count(f->shards[i].st); j++) {
			const char *name = pb_safetensors_name(f->shards[i].st, j);
			const json_t *entry = json_object_get(map, name);
			if (!entry)
				return pb_fail(err, PB_FORMAT, "%s: %s: the tensor is not in %s", f->shards[i].path, name, INDEX_FILE);
			if (strcmp(pb_path_name(f->shards[i].path), json_string_value(entry)))
				return pb_fail(err, PB_FORMAT, "%s: %s: the tensor is in %s too", f->shards[i].path, name, json_string_value(entry));
		}
	return PB_OK;
}

static enum pb_status open_index(struct pb_model *model, const char *index, struct pb_error *err)
{
	json_t *object = NULL;
	enum pb_status status = pb_json_read(&object, index, PB_JSON_LIMIT, err);
	if (status)
		return status;
	json_t *map = json_object_get(object, "weight_map");
	if (!json_is_object(map) || json_object_size(map) == 0)
		status = pb_fail(err, PB_FORMAT, "%s: weight_map is missing or empty", index);
	if (!status)
		status = open_shards(model, index, map, err);
	if (!status)
		status = check_map(model, index, map, err);
	json_decref(object);
	return status;
}

static enum pb_status no_weights(struct pb_model *model, struct pb_error *err)
{
	static const char *const pickles[] = { "pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth" };
	for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++) {
		char *path = pb_path_join(model->files->folder, pickles[i]);
		if (!path)
			return pb_out_of_memory(err, "path of weights");
		bool there = pb_file_exists(path);
		pb_free(path);
		if (there)
			return pb_fail(err, PB_UNSUPPORTED, "%s: the weights are in %s, a PyTorch file, which is not read\nconvert the model to safetensors",
				model->path, pickles[i]);
	}
	return pb_fail(err, PB_MISSING, "%s: no weights: neither %s nor %s is in it", model->path, PB_WEIGHTS_FILE, INDEX_FILE);
}

static enum pb_status open_weights(struct pb_model *model, const char *weights, struct pb_error *err)
{
	if (weights)
		return open_shard(model, weights, err);
	char *single = pb_path_join(model->files->folder, PB_WEIGHTS_FILE), *index = pb_path_join(model->files->folder, INDEX_FILE);
	enum pb_status status;
	if (!single || !index)
		status = pb_out_of_memory(err, "path of weights");
	else if (pb_file_exists(single))
		status = open_shard(model, single, err);
	else if (pb_file_exists(index))
		status = open_index(model, index, err);
	else
		status = no_weights(model, err);
	pb_free(single);
	pb_free(index);
	return status;
}

/* Whether the head is the embedding: as the config says, and whenever there is no head (some checkpoints are tied and
 * say otherwise). A tied model may have either tensor, or the same numbers twice. */
static enum pb_status take_embedding(struct pb_model *model, struct pb_error *err)
{
	struct pb_config *c = &model->config;
	bool has_head = pb_model_find_tensor(model, HEAD, NULL), has_embedding = pb_model_find_tensor(model, EMBEDDING, NULL);
	if (!has_head)
		c->tied_head = true;
	enum pb_status status = PB_OK;
	if (has_embedding || !has_head || !c->tied_head)
		status = pb_model_take_tensor(model, EMBEDDING, c->n_vocab, c->dim, &model->embedding, err);
	if (!status && has_head)
		status = pb_model_take_tensor(model, HEAD, c->n_vocab, c->dim, &model->head, err);
	if (status || !c->tied_head)
		return status;
	if (!has_embedding)
		model->embedding = model->head;
	if (has_embedding && has_head && (model->head.dtype != model->embedding.dtype || memcmp(model->head.data, model->embedding.data, (size_t)model->head.bytes)))
		return pb_fail(err, PB_FORMAT, "%s: %s differs from %s, and the config says that they are tied", model->path, HEAD, EMBEDDING);
	model->head = model->embedding;
	return PB_OK;
}

static enum pb_status take_tensors(struct pb_model *model, struct pb_error *err)
{
	enum pb_status status = PB_OK;
	for (unsigned i = 1; !status && i < pb_model_kept_count(model); i++) {
		struct pb_kept k = pb_model_kept(model, i);
		if (k.rows == 0)
			status = pb_model_take_tensor(model, k.name, 0, k.cols, k.tensor, err);
	}
	for (uint32_t i = 0; !status && i < model->n_matrices; i++) {
		struct pb_matrix *x = &model->matrices[i];
		char name[sizeof x->name + 8];
		strcpy(name, x->name);
		strcat(name, ".weight");
		status = pb_model_take_tensor(model, name, x->rows, x->cols, &x->source, err);
	}
	return status;
}

static int compare_data(const void *a, const void *b)
{
	const void *x = *(const void *const *)a, *y = *(const void *const *)b;
	return (x > y) - (x < y);
}

/* Nothing in the files is ignored but rotary frequencies, which follow from the config. Every tensor that a model uses
 * has bytes, so its address is its own. */
static enum pb_status check_all_used(struct pb_model *model, struct pb_error *err)
{
	const struct pb_model_files *f = model->files;
	unsigned n_kept = pb_model_kept_count(model);
	size_t n = 0;
	const void **used = pb_alloc((size_t)n_kept + model->n_matrices, sizeof *used);
	enum pb_status status = PB_OK;
	if (!used)
		return pb_out_of_memory(err, "list of tensors");
	for (unsigned i = 0; i < n_kept; i++)
		used[n++] = pb_model_kept(model, i).tensor->data;
	for (uint32_t i = 0; i < model->n_matrices; i++)
		used[n++] = model->matrices[i].source.data;
	qsort(used, n, sizeof *used, compare_data);
	for (unsigned i = 0; !status && i < f->n_shards; i++)
		for (size_t j = 0; !status && j < pb_safetensors_count(f->shards[i].st); j++) {
			const char *name = pb_safetensors_name(f->shards[i].st, j);
			const struct pb_tensor *t = pb_safetensors_tensor(f->shards[i].st, j);
			if (pb_path_has_suffix(name, ".rotary_emb.inv_freq") || (model->config.tied_head && !strcmp(name, HEAD)))
				continue;
			if (t->bytes == 0 || !bsearch(&t->data, used, n, sizeof *used, compare_data))
				status = pb_fail(err, PB_UNSUPPORTED, "%s: %s: the tensor has no place in a model of this type", f->shards[i].path, name);
		}
	pb_free(used);
	return status;
}

enum pb_status pb_huggingface_read(struct pb_model *model, const char *weights, struct pb_error *err)
{
	enum pb_status status = read_config(model, err);
	if (!status)
		status = open_weights(model, weights, err);
	if (!status)
		status = take_embedding(model, err);
	if (!status)
		status = pb_model_make_lists(model, err);
	if (!status)
		status = take_tensors(model, err);
	if (!status)
		status = check_all_used(model, err);
	return status;
}
