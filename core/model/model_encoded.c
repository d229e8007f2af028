/* Folders written by pb_model_write: paretobench.json says how the tensors of model.safetensors make up the matrices. */
#include <stdio.h>
#include <string.h>
#include "core/base/json.h"
#include "core/model/model_files.h"

struct finder {
	const struct pb_safetensors *st;
	const char *matrix;
	size_t used;            /* parts that were found */
};

static const struct pb_tensor *find_part(void *arg, const char *part)
{
	struct finder *f = arg;
	char name[160];
	if (snprintf(name, sizeof name, "%s.%s", f->matrix, part) >= (int)sizeof name)
		return NULL;
	const struct pb_tensor *t = pb_safetensors_find(f->st, name);
	f->used += t != NULL;
	return t;
}

static enum pb_status restore_matrix(struct pb_matrix *x, const char *file, const json_t *description, struct finder *f, struct pb_error *err)
{
	struct pb_encoded *encoded = NULL;
	f->matrix = x->name;
	if (!description)
		return pb_fail(err, PB_FORMAT, "%s: %s: the matrix is missing", file, x->name);
	enum pb_status status = pb_encoded_restore(&encoded, description, find_part, f, err);
	if (status)
		return pb_fail_prefix(err, "%s: %s", file, x->name);
	if (encoded->rows != x->rows || encoded->cols != x->cols) {
		status = pb_fail(err, PB_FORMAT, "%s: %s: %u x %u, the config asks for %u x %u", file, x->name, encoded->rows, encoded->cols, x->rows, x->cols);
		pb_encoded_free(encoded);
		return status;
	}
	pb_matrix_set_encoded(x, encoded);
	return PB_OK;
}

static bool is_hash(const char *s)
{
	return s && strlen(s) == PB_HASH_HEX - 1 && strspn(s, "0123456789abcdef") == PB_HASH_HEX - 1;
}

static enum pb_status parse_object(struct pb_model *model, const char *file, const json_t *object, struct pb_error *err)
{
	const char *format = pb_json_plain(json_object_get(object, "format"), 64);
	const char *source_hash = pb_json_plain(json_object_get(object, "source_hash"), PB_HASH_HEX);
	const json_t *schema = json_object_get(object, "schema"), *descriptions = json_object_get(object, "tensors");
	json_t *quantization = json_object_get(object, "quantization");
	struct finder f = { .st = model->files->shards[0].st };
	if (!json_is_object(object) || !format || strcmp(format, "paretobench"))
		return pb_fail(err, PB_FORMAT, "%s: format is not paretobench", file);
	if (!json_is_integer(schema) || json_integer_value(schema) != 1)
		return pb_fail(err, PB_UNSUPPORTED, "%s: schema is not 1, the only one that is read", file);
	if (!is_hash(source_hash))
		return pb_fail(err, PB_FORMAT, "%s: source_hash is not a SHA-256 in hexadecimal", file);
	if (!json_is_object(descriptions))
		return pb_fail(err, PB_FORMAT, "%s: tensors is not an object", file);
	if (!json_is_object(quantization) && !json_is_null(quantization))
		return pb_fail(err, PB_FORMAT, "%s: quantization is neither an object nor null", file);
	if (json_object_size(object) != 6)
		return pb_fail(err, PB_FORMAT, "%s: holds other keys than schema, format, config, tensors, source_hash and quantization", file);
	enum pb_status status = pb_config_from_json(&model->config, file, json_object_get(object, "config"), err);
	if (!status)
		status = pb_model_make_lists(model, err);
	for (unsigned i = 0; !status && i < pb_model_kept_count(model); i++) {
		struct pb_kept k = pb_model_kept(model, i);
		status = pb_model_take_tensor(model, k.name, k.rows, k.cols, k.tensor, err);
	}
	if (!status && model->config.tied_head)
		model->head = model->embedding;
	for (uint32_t i = 0; !status && i < model->n_matrices; i++)
		status = restore_matrix(&model->matrices[i], file, json_object_get(descriptions, model->matrices[i].name), &f, err);
	if (status)
		return status;
	if (json_object_size(descriptions) != model->n_matrices)
		return pb_fail(err, PB_FORMAT, "%s: tensors describes matrices that the model does not have", file);
	if (pb_safetensors_count(f.st) != pb_model_kept_count(model) + f.used)
		return pb_fail(err, PB_FORMAT, "%s: holds tensors that no matrix asks for", model->files->shards[0].path);
	memcpy(model->files->source_hash, source_hash, PB_HASH_HEX);
	if (json_is_object(quantization))
		model->quantization = json_incref(quantization);
	return PB_OK;
}

enum pb_status pb_encoded_model_parse(struct pb_model *model, const char *file, const char *data, size_t size, struct pb_error *err)
{
	json_t *object = NULL;
	enum pb_status status = pb_json_parse(&object, file, data, size, err);
	if (status)
		return status;
	status = parse_object(model, file, object, err);
	json_decref(object);
	return status;
}

static enum pb_status read_pair(struct pb_model *model, const char *json, const char *weights, struct pb_error *err)
{
	struct pb_safetensors *st = NULL;
	char hash[PB_HASH_HEX], *data = NULL;
	size_t size = 0;
	enum pb_status status = pb_safetensors_open(&st, weights, err);
	if (!status)
		status = pb_model_add_shard(model, st, weights, err);
	if (!status)
		status = pb_file_read(json, PB_JSON_LIMIT, &data, &size, err);
	if (status)
		return status;
	const char *wanted = pb_safetensors_metadata(st, PB_ENCODED_KEY);
	pb_hash_of_bytes(data, size, hash);
	if (!wanted || strcmp(wanted, hash))
		status = pb_fail(err, PB_FORMAT, "%s: does not belong to %s beside it: one of the two was changed or not written to the end\n"
			"quantize the model again", json, PB_WEIGHTS_FILE);
	else
		status = pb_encoded_model_parse(model, json, data, size, err);
	pb_free(data);
	return status;
}

enum pb_status pb_encoded_model_read(struct pb_model *model, struct pb_error *err)
{
	char *json = pb_path_join(model->files->folder, PB_ENCODED_JSON), *weights = pb_path_join(model->files->folder, PB_WEIGHTS_FILE);
	enum pb_status status = json && weights ? read_pair(model, json, weights, err) : pb_out_of_memory(err, "path of a model");
	pb_free(json);
	pb_free(weights);
	return status;
}
