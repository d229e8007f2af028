#include "core/model/model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "core/base/json.h"
#include "core/base/text.h"
#include "core/model/model_files.h"

static const char *const slot_names[PB_SLOTS] = {
	[PB_Q] = "self_attn.q_proj", [PB_K] = "self_attn.k_proj", [PB_V] = "self_attn.v_proj", [PB_O] = "self_attn.o_proj",
	[PB_GATE] = "mlp.gate_proj", [PB_UP] = "mlp.up_proj", [PB_DOWN] = "mlp.down_proj",
};

/* "run/stories.bin" is called stories; a folder keeps its dots, and "." is called as the folder that it is. */
static char *make_name(struct pb_arena *arena, const char *path, const char *folder)
{
	char *full = realpath(folder ? folder : path, NULL);
	const char *last = pb_path_name(full ? full : path);
	const char *dot = folder ? NULL : strrchr(last, '.');
	char *name = pb_arena_strndup(arena, last, dot && dot != last ? (size_t)(dot - last) : strlen(last));
	free(full); /* made by realpath */
	return name;
}

enum pb_status pb_model_new(struct pb_model **out, const char *path, const char *format, struct pb_error *err)
{
	struct pb_model *m = pb_alloc_zero(1, sizeof *m);
	struct pb_model_files *f = pb_alloc_zero(1, sizeof *f);
	struct pb_arena *arena = pb_arena_new();
	if (!m || !f || !arena) {
		pb_free(m);
		pb_free(f);
		pb_arena_free(arena);
		return pb_out_of_memory(err, "model");
	}
	m->files = f;
	f->arena = arena;
	/* A safetensors file is a part of its folder, which gives the model its name. */
	char *parent = pb_path_folder(path);
	bool is_folder = pb_folder_exists(path), is_part = !is_folder && pb_path_has_suffix(path, ".safetensors");
	if (parent) {
		f->folder = pb_arena_strdup(arena, is_folder ? path : parent);
		m->path = pb_arena_strdup(arena, path);
		m->name = make_name(arena, path, is_folder ? path : is_part ? parent : NULL);
	}
	pb_free(parent);
	snprintf(m->format, sizeof m->format, "%s", format);
	if (!f->folder || !m->path || !m->name) {
		pb_model_close(m);
		return pb_out_of_memory(err, "model");
	}
	*out = m;
	return PB_OK;
}

void pb_model_close(struct pb_model *model)
{
	if (!model)
		return;
	for (uint32_t i = 0; i < model->n_matrices; i++)
		pb_encoded_free(model->matrices[i].encoded);
	json_decref(model->quantization);
	struct pb_model_files *f = model->files;
	for (unsigned i = 0; i < f->n_shards; i++) {
		pb_safetensors_close(f->shards[i].st);
		pb_free(f->shards[i].path);
	}
	pb_free(f->shards);
	pb_map_close(&f->map);
	pb_arena_free(f->arena);
	pb_free(f);
	pb_free(model);
}

/* Lists. */

static void shape_matrix(struct pb_matrix *x, const struct pb_config *c, uint32_t layer, enum pb_slot slot)
{
	uint32_t q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
	const uint32_t shapes[PB_SLOTS][2] = {
		[PB_Q] = { q, c->dim }, [PB_K] = { kv, c->dim }, [PB_V] = { kv, c->dim }, [PB_O] = { c->dim, q },
		[PB_GATE] = { c->hidden, c->dim }, [PB_UP] = { c->hidden, c->dim }, [PB_DOWN] = { c->dim, c->hidden },
	};
	x->layer = layer;
	x->slot = slot;
	x->rows = shapes[slot][0];
	x->cols = shapes[slot][1];
	snprintf(x->name, sizeof x->name, "model.layers.%" PRIu32 ".%s", layer, slot_names[slot]);
}

enum pb_status pb_model_make_lists(struct pb_model *model, struct pb_error *err)
{
	const struct pb_config *c = &model->config;
	uint32_t n = c->n_layers * PB_SLOTS;
	struct pb_arena *arena = model->files->arena;
	model->matrices = pb_arena_alloc(arena, n, sizeof *model->matrices);
	model->attention_norm = pb_arena_alloc(arena, c->n_layers, sizeof *model->attention_norm);
	model->ffn_norm = pb_arena_alloc(arena, c->n_layers, sizeof *model->ffn_norm);
	if (!model->matrices || !model->attention_norm || !model->ffn_norm)
		return pb_out_of_memory(err, "list of matrices");
	model->n_matrices = n;
	model->matrix_parameters = 0;
	for (uint32_t i = 0; i < n; i++) {
		shape_matrix(&model->matrices[i], c, i / PB_SLOTS, (enum pb_slot)(i % PB_SLOTS));
		model->matrix_parameters += (uint64_t)model->matrices[i].rows * model->matrices[i].cols;
	}
	model->parameters = model->matrix_parameters + (uint64_t)c->n_vocab * c->dim * (c->tied_head ? 1 : 2) +
		(2 * (uint64_t)c->n_layers + 1) * c->dim;
	return PB_OK;
}

unsigned pb_model_kept_count(const struct pb_model *model)
{
	return 2 * model->config.n_layers + (model->config.tied_head ? 2 : 3);
}

struct pb_kept pb_model_kept(struct pb_model *model, unsigned i)
{
	const struct pb_config *c = &model->config;
	struct pb_kept k = { .tensor = &model->embedding, .rows = c->n_vocab, .cols = c->dim };
	unsigned norms = 2 * c->n_layers, layer = (i - 1) / 2;
	if (i == 0) {
		snprintf(k.name, sizeof k.name, "model.embed_tokens.weight");
	} else if (i == norms + 2) {
		k.tensor = &model->head;
		snprintf(k.name, sizeof k.name, "lm_head.weight");
	} else {
		k.rows = 0;
		if (i == norms + 1) {
			k.tensor = &model->final_norm;
			snprintf(k.name, sizeof k.name, "model.norm.weight");
		} else if (i % 2) {
			k.tensor = &model->attention_norm[layer];
			snprintf(k.name, sizeof k.name, "model.layers.%u.input_layernorm.weight", layer);
		} else {
			k.tensor = &model->ffn_norm[layer];
			snprintf(k.name, sizeof k.name, "model.layers.%u.post_attention_layernorm.weight", layer);
		}
	}
	return k;
}

/* Shards. */

enum pb_status pb_model_add_shard(struct pb_model *model, struct pb_safetensors *st, const char *path, struct pb_error *err)
{
	struct pb_model_files *f = model->files;
	char *copy = pb_strdup(path);
	struct pb_shard *shards = pb_realloc(f->shards, (size_t)f->n_shards + 1, sizeof *shards);
	if (shards)
		f->shards = shards;
	if (!copy || !shards) {
		pb_free(copy);
		pb_safetensors_close(st);
		return pb_out_of_memory(err, "list of weight files");
	}
	f->shards[f->n_shards++] = (struct pb_shard){ st, copy };
	return PB_OK;
}

const struct pb_tensor *pb_model_find_tensor(const struct pb_model *model, const char *name, const char **file)
{
	const struct pb_model_files *f = model->files;
	for (unsigned i = 0; i < f->n_shards; i++) {
		const struct pb_tensor *t = pb_safetensors_find(f->shards[i].st, name);
		if (t) {
			if (file)
				*file = f->shards[i].path;
			return t;
		}
	}
	return NULL;
}

enum pb_status pb_model_take_tensor(struct pb_model *model, const char *name, uint32_t rows, uint32_t cols, struct pb_tensor *out,
	struct pb_error *err)
{
	const char *file = model->path;
	const struct pb_tensor *t = pb_model_find_tensor(model, name, &file);
	if (!t)
		return pb_fail(err, PB_FORMAT, "%s: %s: the tensor is missing", model->path, name);
	if (t->dtype != PB_F32 && t->dtype != PB_F16 && t->dtype != PB_BF16)
		return pb_fail(err, PB_UNSUPPORTED, "%s: %s: dtype %s is not done; F32, F16 and BF16 are", file, name, pb_dtype_name(t->dtype));
	bool same = rows ? t->n_dims == 2 && t->shape[0] == rows && t->shape[1] == cols : t->n_dims == 1 && t->shape[0] == cols;
	if (!same) {
		struct pb_text have = { 0 };
		for (unsigned d = 0; d < t->n_dims; d++)
			pb_text_printf(&have, "%s%" PRIu64, d ? ", " : "", t->shape[d]);
		enum pb_status status = rows
			? pb_fail(err, PB_FORMAT, "%s: %s: shape is [%s], the config asks for [%u, %u]", file, name, pb_text_c(&have), rows, cols)
			: pb_fail(err, PB_FORMAT, "%s: %s: shape is [%s], the config asks for [%u]", file, name, pb_text_c(&have), cols);
		pb_text_free(&have);
		return status;
	}
	*out = *t;
	return PB_OK;
}

/* The hash. */

static void hash_tensor(struct pb_hash *h, const char *name, const struct pb_tensor *t)
{
	char text[32];
	pb_hash_string(h, name);
	pb_hash_string(h, pb_dtype_name(t->dtype));
	for (unsigned d = 0; d < t->n_dims; d++) {
		snprintf(text, sizeof text, "%s%" PRIu64, d ? "x" : "", t->shape[d]);
		pb_hash_string(h, text);
	}
	pb_hash_bytes(h, t->data, (size_t)t->bytes);
}

static void hash_kept(struct pb_hash *h, struct pb_model *model, unsigned i)
{
	struct pb_kept k = pb_model_kept(model, i);
	hash_tensor(h, k.name, k.tensor);
}

static enum pb_status hash_matrix(struct pb_hash *h, const struct pb_matrix *x, struct pb_error *err)
{
	if (!x->encoded) {
		hash_tensor(h, x->name, &x->source);
		return PB_OK;
	}
	struct pb_part parts[PB_MAX_PARTS];
	json_t *description = pb_encoded_describe(x->encoded);
	char *text = description ? pb_json_canonical(description) : NULL;
	json_decref(description);
	if (!text)
		return pb_out_of_memory(err, "hash of a model");
	pb_hash_string(h, x->name);
	pb_hash_string(h, text);
	pb_free(text);
	unsigned n = pb_encoded_parts(x->encoded, parts);
	for (unsigned i = 0; i < n; i++)
		hash_tensor(h, parts[i].name, &parts[i].tensor);
	return PB_OK;
}

enum pb_status pb_model_make_hash(struct pb_model *model, struct pb_error *err)
{
	json_t *config = pb_config_to_json(&model->config);
	char *text = config ? pb_json_canonical(config) : NULL;
	struct pb_hash *h = text ? pb_hash_new() : NULL;
	enum pb_status status = PB_OK;
	json_decref(config);
	if (!h) {
		pb_free(text);
		return pb_out_of_memory(err, "hash of a model");
	}
	pb_hash_string(h, "paretobench model 1");
	pb_hash_string(h, text);
	pb_free(text);
	hash_kept(h, model, 0);
	for (uint32_t layer = 0; !status && layer < model->config.n_layers; layer++) {
		hash_kept(h, model, 1 + 2 * layer);
		hash_kept(h, model, 2 + 2 * layer);
		for (uint32_t i = 0; !status && i < PB_SLOTS; i++)
			status = hash_matrix(h, &model->matrices[layer * PB_SLOTS + i], err);
	}
	for (unsigned i = 1 + 2 * model->config.n_layers; i < pb_model_kept_count(model); i++)
		hash_kept(h, model, i);
	pb_hash_finish(h, model->hash);
	return status;
}

/* Opening. */

static enum pb_status open_llama2c(struct pb_model *model, struct pb_error *err)
{
	enum pb_status status = pb_map_open(&model->files->map, model->path, err);
	return status ? status : pb_llama2c_read(model, model->files->map.data, model->files->map.size, err);
}

static enum pb_status folder_has(const struct pb_model *model, const char *name, bool *has, struct pb_error *err)
{
	char *path = pb_path_join(model->files->folder, name);
	if (!path)
		return pb_out_of_memory(err, "path of a model");
	*has = pb_file_exists(path);
	pb_free(path);
	return PB_OK;
}

static enum pb_status open_folder(struct pb_model *model, bool is_part, struct pb_error *err)
{
	bool whole = !is_part || !strcmp(pb_path_name(model->path), PB_WEIGHTS_FILE), encoded = false, config = false;
	enum pb_status status = whole ? folder_has(model, PB_ENCODED_JSON, &encoded, err) : PB_OK;
	if (!status)
		status = folder_has(model, "config.json", &config, err);
	if (status)
		return status;
	if (!encoded && !config)
		return pb_fail(err, PB_MISSING, "%s: no model: neither config.json nor %s is in %s", model->path, PB_ENCODED_JSON,
			is_part ? "its folder" : "it");
	snprintf(model->format, sizeof model->format, encoded ? "paretobench" : "huggingface");
	return encoded ? pb_encoded_model_read(model, err) : pb_huggingface_read(model, is_part ? model->path : NULL, err);
}

/* Hands out a model that was read well, with its hash; closes the other. */
static enum pb_status give(struct pb_model **out, struct pb_model *model, enum pb_status status, struct pb_error *err)
{
	if (!status)
		status = pb_model_make_hash(model, err);
	if (status)
		pb_model_close(model);
	else
		*out = model;
	return status;
}

enum pb_status pb_model_open(struct pb_model **out, const char *path, struct pb_error *err)
{
	struct stat info;
	struct pb_model *model = NULL;
	if (stat(path, &info))
		return pb_fail(err, errno == ENOENT ? PB_MISSING : PB_IO, "%s: %s", path, errno == ENOENT ? "no such file or folder" : strerror(errno));
	bool is_folder = S_ISDIR(info.st_mode), is_part = !is_folder && pb_path_has_suffix(path, ".safetensors");
	if (!is_folder && !is_part && !pb_path_has_suffix(path, ".bin"))
		return pb_fail(err, PB_USAGE, "%s: not a model: a model is a llama2.c .bin file, a folder, or a .safetensors file in a folder", path);
	enum pb_status status = pb_model_new(&model, path, "llama2.c", err);
	if (status)
		return status;
	status = is_folder || is_part ? open_folder(model, is_part, err) : open_llama2c(model, err);
	return give(out, model, status, err);
}

enum pb_status pb_model_parse_llama2c(struct pb_model **out, const char *name, const void *data, size_t size, struct pb_error *err)
{
	struct pb_model *model = NULL;
	enum pb_status status = pb_model_new(&model, name, "llama2.c", err);
	if (status)
		return status;
	status = pb_llama2c_read(model, data, size, err);
	return give(out, model, status, err);
}

/* Use. */

static enum pb_status check_finite(const struct pb_model *model, const char *name, const struct pb_tensor *t, struct pb_error *err)
{
	float chunk[4096];
	uint64_t n = t->bytes / pb_dtype_bytes(t->dtype), bad = 0;
	for (uint64_t i = 0; i < n; i += 4096) {
		uint64_t here = n - i < 4096 ? n - i : 4096;
		pb_float_read(t->dtype, t->data, i, here, chunk);
		bad += pb_count_not_finite(chunk, here);
	}
	if (bad)
		return pb_fail(err, PB_NUMERIC, "%s: %s: %" PRIu64 " of %" PRIu64 " weights are not finite", model->path, name, bad, n);
	return PB_OK;
}

enum pb_status pb_model_check_finite(const struct pb_model *model, struct pb_error *err)
{
	for (unsigned i = 0; i < pb_model_kept_count(model); i++) {
		struct pb_kept k = pb_model_kept((struct pb_model *)model, i);
		enum pb_status status = check_finite(model, k.name, k.tensor, err);
		if (status)
			return status;
	}
	for (uint32_t i = 0; i < model->n_matrices; i++)
		if (model->matrices[i].source.data) {
			enum pb_status status = check_finite(model, model->matrices[i].name, &model->matrices[i].source, err);
			if (status)
				return status;
		}
	return PB_OK;
}

void pb_matrix_set_encoded(struct pb_matrix *matrix, struct pb_encoded *encoded)
{
	if (matrix->encoded != encoded)
		pb_encoded_free(matrix->encoded);
	matrix->encoded = encoded;
}

enum pb_status pb_matrix_read(const struct pb_matrix *matrix, float *out, struct pb_error *err)
{
	if (matrix->source.data)
		pb_float_read(matrix->source.dtype, matrix->source.data, 0, (uint64_t)matrix->rows * matrix->cols, out);
	else if (matrix->encoded)
		pb_encoded_decode(matrix->encoded, 0, matrix->rows, out);
	else
		return pb_fail(err, PB_FAILED, "%s: neither weights nor an encoding", matrix->name);
	return PB_OK;
}

enum pb_status pb_matrix_encoding(const struct pb_matrix *matrix, const struct pb_encoded **out, struct pb_encoded **made,
	struct pb_error *err)
{
	*made = NULL;
	if (matrix->encoded) {
		*out = matrix->encoded;
		return PB_OK;
	}
	if (!matrix->source.data)
		return pb_fail(err, PB_FAILED, "%s: neither weights nor an encoding", matrix->name);
	enum pb_status status = pb_encoded_new(made, matrix->rows, matrix->cols, err);
	if (status)
		return status;
	(*made)->code = PB_CODE_DENSE;
	(*made)->dense_dtype = matrix->source.dtype;
	(*made)->dense = matrix->source.data;
	*out = *made;
	return PB_OK;
}

struct pb_size pb_model_size(const struct pb_model *model)
{
	struct pb_size size = { 0 };
	for (uint32_t i = 0; i < model->n_matrices; i++) {
		const struct pb_matrix *x = &model->matrices[i];
		uint64_t stored = x->encoded ? pb_encoded_bytes(x->encoded) : x->source.bytes;
		bool is_claimed = x->encoded && x->encoded->claimed_bytes;
		size.weight_bytes += is_claimed ? x->encoded->claimed_bytes : stored;
		size.stored_bytes += stored;
		size.is_claimed |= is_claimed;
	}
	for (unsigned i = 0; i < pb_model_kept_count(model); i++)
		size.kept_bytes += pb_model_kept((struct pb_model *)model, i).tensor->bytes;
	size.model_bytes = size.weight_bytes + size.kept_bytes;
	size.stored_bytes += size.kept_bytes;
	size.effective_bits = 8.0 * (double)size.weight_bytes / (double)model->matrix_parameters;
	return size;
}

enum pb_status pb_model_find_tokenizer(const struct pb_model *model, char **path, struct pb_error *err)
{
	static const char *const names[] = { "tokenizer.json", "tokenizer.model", "tokenizer.bin" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *file = pb_path_join(model->files->folder, names[i]);
		if (!file)
			return pb_out_of_memory(err, "path of a tokenizer");
		if (pb_file_exists(file) && !pb_folder_exists(file)) {
			*path = file;
			return PB_OK;
		}
		pb_free(file);
	}
	return pb_fail(err, PB_MISSING, "%s: no tokenizer: none of tokenizer.json, tokenizer.model, tokenizer.bin is in %s\nname one with --tokenizer FILE, in a sweep with {path: MODEL, tokenizer: FILE}",
		model->path, model->files->folder);
}
