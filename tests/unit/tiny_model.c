#include "tests/unit/tiny_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/base/text.h"
#include "core/model/safetensors.h"

static const struct {
	const char *name;
	char rows, cols;        /* d dim, q all heads, k all key-value heads, h hidden */
} slots[] = {
	{ "self_attn.q_proj", 'q', 'd' }, { "self_attn.k_proj", 'k', 'd' }, { "self_attn.v_proj", 'k', 'd' }, { "self_attn.o_proj", 'd', 'q' },
	{ "mlp.gate_proj", 'h', 'd' }, { "mlp.down_proj", 'd', 'h' }, { "mlp.up_proj", 'h', 'd' },
};

struct tiny_model tiny_model_default(void)
{
	return (struct tiny_model){ .n_vocab = 300, .dim = 32, .n_layers = 2, .n_heads = 4, .n_kv_heads = 2, .hidden = 48, .context = 64,
		.tied = true, .seed = 1 };
}

static uint32_t head_dim(const struct tiny_model *m)
{
	return m->head_dim ? m->head_dim : m->dim / m->n_heads;
}

static uint32_t size_of(const struct tiny_model *m, char what)
{
	switch (what) {
	case 'd': return m->dim;
	case 'q': return m->n_heads * head_dim(m);
	case 'k': return m->n_kv_heads * head_dim(m);
	case 'v': return m->n_vocab;
	default: return m->hidden;
	}
}

/* rows 0: a norm. Heads are rotated in adjacent pairs. */
static float *make_values(const struct tiny_model *m, const char *name, uint32_t rows, uint32_t cols)
{
	struct pb_rng rng = pb_rng_make(m->seed, pb_rng_stream(name));
	size_t n = (size_t)(rows ? rows : 1) * cols;
	float *values = pb_alloc(n, sizeof *values);
	for (size_t i = 0; values && i < n; i++)
		values[i] = (float)(rows ? pb_rng_normal(&rng) / sqrt(cols) : 1 + 0.1 * pb_rng_normal(&rng));
	return values;
}

/* Rows of each head from adjacent pairs to halves. */
static enum pb_status split_halves(float *values, uint32_t rows, uint32_t cols, uint32_t dim, struct pb_error *err)
{
	float *copy = pb_alloc((size_t)rows * cols, sizeof *copy);
	if (!copy)
		return pb_out_of_memory(err, "tiny model");
	memcpy(copy, values, (size_t)rows * cols * sizeof *copy);
	for (uint32_t r = 0; r < rows; r++) {
		uint32_t head = r / dim, i = r % dim;
		uint32_t old = head * dim + (i < dim / 2 ? 2 * i : 2 * (i - dim / 2) + 1);
		memcpy(values + (size_t)r * cols, copy + (size_t)old * cols, cols * sizeof *copy);
	}
	pb_free(copy);
	return PB_OK;
}

static enum pb_status write_values(struct pb_writer *w, const struct tiny_model *m, const char *name, uint32_t rows, uint32_t cols, struct pb_error *err)
{
	float *values = make_values(m, name, rows, cols);
	if (!values)
		return pb_out_of_memory(err, "tiny model");
	enum pb_status status = pb_writer_write(w, values, (size_t)(rows ? rows : 1) * cols * sizeof *values, err);
	pb_free(values);
	return status;
}

static enum pb_status write_layers(struct pb_writer *w, const struct tiny_model *m, const char *part, uint32_t rows, uint32_t cols, struct pb_error *err)
{
	enum pb_status status = PB_OK;
	for (uint32_t layer = 0; !status && layer < m->n_layers; layer++) {
		char name[96];
		snprintf(name, sizeof name, "model.layers.%u.%s.weight", layer, part);
		status = write_values(w, m, name, rows, cols, err);
	}
	return status;
}

static enum pb_status write_slots(struct pb_writer *w, const struct tiny_model *m, size_t first, size_t n, struct pb_error *err)
{
	enum pb_status status = PB_OK;
	for (size_t i = first; !status && i < first + n; i++)
		status = write_layers(w, m, slots[i].name, size_of(m, slots[i].rows), size_of(m, slots[i].cols), err);
	return status;
}

static enum pb_status write_llama2c_header(struct pb_writer *w, const struct tiny_model *m, int version, struct pb_error *err)
{
	unsigned char header[256] = { 0 };
	const int32_t start[2] = { 0x616b3432, 1 };
	const int32_t numbers[7] = { (int32_t)m->dim, (int32_t)m->hidden, (int32_t)m->n_layers, (int32_t)m->n_heads, (int32_t)m->n_kv_heads,
		version == 0 && !m->tied ? -(int32_t)m->n_vocab : (int32_t)m->n_vocab, (int32_t)m->context };
	if (version == 0)
		return pb_writer_write(w, numbers, sizeof numbers, err);
	memcpy(header, start, sizeof start);
	memcpy(header + 8, numbers, sizeof numbers);
	header[36] = m->tied;
	return pb_writer_write(w, header, sizeof header, err);
}

static enum pb_status write_llama2c_body(struct pb_writer *w, const struct tiny_model *m, int version, struct pb_error *err)
{
	enum pb_status status = PB_OK;
	if (version == 0) {
		status = write_values(w, m, "model.embed_tokens.weight", m->n_vocab, m->dim, err);
		if (!status)
			status = write_layers(w, m, "input_layernorm", 0, m->dim, err);
		if (!status)
			status = write_slots(w, m, 0, 4, err);
		if (!status)
			status = write_layers(w, m, "post_attention_layernorm", 0, m->dim, err);
		if (!status)
			status = write_slots(w, m, 4, 3, err);
		if (!status)
			status = write_values(w, m, "model.norm.weight", 0, m->dim, err);
		for (uint32_t i = 0; !status && i < m->context * head_dim(m); i++)
			status = pb_writer_write(w, &(float){ 0.5f }, sizeof(float), err);
	} else {
		status = write_layers(w, m, "input_layernorm", 0, m->dim, err);
		if (!status)
			status = write_layers(w, m, "post_attention_layernorm", 0, m->dim, err);
		if (!status)
			status = write_values(w, m, "model.norm.weight", 0, m->dim, err);
		if (!status)
			status = write_values(w, m, "model.embed_tokens.weight", m->n_vocab, m->dim, err);
		if (!status)
			status = write_slots(w, m, 0, 7, err);
	}
	if (!status && !m->tied)
		status = write_values(w, m, "lm_head.weight", m->n_vocab, m->dim, err);
	return status;
}

static enum pb_status end(struct pb_writer *w, enum pb_status status, struct pb_error *err)
{
	if (!status)
		return pb_writer_commit(w, err);
	pb_writer_abort(w);
	return status;
}

enum pb_status tiny_model_write_llama2c(const char *path, const struct tiny_model *m, int version, struct pb_error *err)
{
	struct pb_writer *w = NULL;
	enum pb_status status = pb_writer_open(&w, path, err);
	if (status)
		return status;
	status = write_llama2c_header(w, m, version, err);
	if (!status)
		status = write_llama2c_body(w, m, version, err);
	return end(w, status, err);
}

/* Folders. */

struct tensors {
	const struct tiny_model *m;
	struct pb_arena *arena;
	struct pb_named_tensor list[1024];
	size_t n;
};

static enum pb_status add(struct tensors *t, const char *name, const char *stream, uint32_t rows, uint32_t cols, struct pb_error *err)
{
	struct pb_tensor x = { .dtype = t->m->dtype, .n_dims = rows ? 2 : 1, .shape = { rows ? rows : cols, rows ? cols : 0 } };
	size_t n = (size_t)(rows ? rows : 1) * cols;
	x.bytes = n * pb_dtype_bytes(x.dtype);
	float *values = make_values(t->m, stream, rows, cols);
	void *data = pb_arena_alloc(t->arena, (size_t)x.bytes, 1);
	char *copy = pb_arena_strdup(t->arena, name);
	enum pb_status status = PB_OK;
	if (!values || !data || !copy || t->n == 1024)
		status = pb_out_of_memory(err, "tiny model");
	if (!status && (strstr(name, "q_proj") || strstr(name, "k_proj")))
		status = split_halves(values, rows, cols, head_dim(t->m), err);
	if (!status) {
		pb_float_write(x.dtype, values, n, data);
		x.data = data;
		t->list[t->n++] = (struct pb_named_tensor){ copy, x };
	}
	pb_free(values);
	return status;
}

static enum pb_status make_tensors(struct tensors *t, struct pb_error *err)
{
	const struct tiny_model *m = t->m;
	const char *embedding = "model.embed_tokens.weight", *head = "lm_head.weight";
	enum pb_status status = PB_OK;
	if (!m->head_only)
		status = add(t, embedding, embedding, m->n_vocab, m->dim, err);
	if (!status && (!m->tied || m->store_both || m->head_only))
		status = add(t, head, m->tied ? embedding : head, m->n_vocab, m->dim, err);
	if (!status)
		status = add(t, "model.norm.weight", "model.norm.weight", 0, m->dim, err);
	for (uint32_t layer = 0; !status && layer < m->n_layers; layer++) {
		static const char *const vectors[] = { "input_layernorm.weight", "post_attention_layernorm.weight", "self_attn.rotary_emb.inv_freq" };
		char name[96];
		for (int i = 0; !status && i < (m->has_frequencies ? 3 : 2); i++) {
			snprintf(name, sizeof name, "model.layers.%u.%s", layer, vectors[i]);
			status = add(t, name, name, 0, i < 2 ? m->dim : head_dim(m) / 2, err);
		}
		for (size_t i = 0; !status && i < sizeof slots / sizeof *slots; i++) {
			snprintf(name, sizeof name, "model.layers.%u.%s.weight", layer, slots[i].name);
			status = add(t, name, name, size_of(m, slots[i].rows), size_of(m, slots[i].cols), err);
		}
	}
	return status;
}

static enum pb_status write_text(const char *folder, const char *name, const struct pb_text *text, struct pb_error *err)
{
	char *path = pb_path_join(folder, name);
	enum pb_status status = path ? pb_text_check(text, err) : pb_out_of_memory(err, "tiny model");
	if (!status)
		status = pb_file_write(path, pb_text_c(text), text->length, err);
	pb_free(path);
	return status;
}

static enum pb_status write_config(const char *folder, const struct tiny_model *m, struct pb_error *err)
{
	struct pb_text t = { 0 };
	pb_text_printf(&t, "{\"model_type\": \"%s\", \"vocab_size\": %u, \"hidden_size\": %u, \"intermediate_size\": %u, \"num_hidden_layers\": %u, "
		"\"num_attention_heads\": %u, \"num_key_value_heads\": %u, \"max_position_embeddings\": %u, \"rms_norm_eps\": 1e-05, "
		"\"tie_word_embeddings\": %s", m->model_type ? m->model_type : "llama", m->n_vocab, m->dim, m->hidden, m->n_layers, m->n_heads, m->n_kv_heads,
		m->context, m->tied ? "true" : "false");
	if (m->head_dim)
		pb_text_printf(&t, ", \"head_dim\": %u", m->head_dim);
	pb_text_printf(&t, "%s}\n", m->extra ? m->extra : "");
	enum pb_status status = write_text(folder, "config.json", &t, err);
	pb_text_free(&t);
	return status;
}

/* Shard s holds every n-th tensor. */
static enum pb_status write_shard(const char *folder, const struct tensors *t, unsigned s, struct pb_text *index, struct pb_error *err)
{
	unsigned n = t->m->shards > 1 ? t->m->shards : 1;
	struct pb_named_tensor list[1024];
	char name[64] = "model.safetensors";
	size_t count = 0;
	if (n > 1)
		snprintf(name, sizeof name, "model-%05u-of-%05u.safetensors", s + 1, n);
	for (size_t i = s; i < t->n; i += n) {
		list[count++] = t->list[i];
		pb_text_printf(index, "%s\"%s\": \"%s\"", index->length ? ", " : "{\"weight_map\": {", t->list[i].name, name);
	}
	char *path = pb_path_join(folder, name);
	enum pb_status status = path ? pb_safetensors_write(path, list, count, NULL, err) : pb_out_of_memory(err, "tiny model");
	pb_free(path);
	return status;
}

enum pb_status tiny_model_write_folder(const char *folder, const struct tiny_model *m, struct pb_error *err)
{
	struct tensors *t = pb_alloc_zero(1, sizeof *t);
	struct pb_text index = { 0 };
	enum pb_status status = PB_OK;
	if (t)
		t->arena = pb_arena_new();
	if (!t || !t->arena) {
		pb_free(t);
		return pb_out_of_memory(err, "tiny model");
	}
	t->m = m;
	status = pb_folder_make(folder, err);
	if (!status)
		status = write_config(folder, m, err);
	if (!status)
		status = make_tensors(t, err);
	for (unsigned s = 0; !status && s < (m->shards > 1 ? m->shards : 1); s++)
		status = write_shard(folder, t, s, &index, err);
	if (!status && m->shards > 1) {
		pb_text_string(&index, "}}\n");
		status = write_text(folder, "model.safetensors.index.json", &index, err);
	}
	pb_text_free(&index);
	pb_arena_free(t->arena);
	pb_free(t);
	return status;
}

enum pb_status tiny_model_write_tokenizer(const char *path, uint32_t n_vocab, struct pb_error *err)
{
	static const char *const special[] = { "<unk>", "\n<s>\n", "\n</s>\n" };
	struct pb_writer *w = NULL;
	enum pb_status status;
	if (n_vocab < 259)
		return pb_fail(err, PB_USAGE, "tiny tokenizer: %u pieces are below 259", n_vocab);
	status = pb_writer_open(&w, path, err);
	if (status)
		return status;
	status = pb_writer_write(w, &(int32_t){ 16 }, 4, err);
	for (uint32_t id = 0; !status && id < n_vocab; id++) {
		char piece[32];
		float score = 0;
		uint32_t i = id < 259 ? 0 : id - 259;
		if (id < 3) {
			snprintf(piece, sizeof piece, "%s", special[id]);
		} else if (id < 259) {
			snprintf(piece, sizeof piece, "<0x%02X>", id - 3);
		} else {
			score = -(float)i;
			if (i == 0)
				snprintf(piece, sizeof piece, " ");
			else if (i < 27)
				snprintf(piece, sizeof piece, "%c", (int)('a' + i - 1));
			else if (i < 27 + 26 * 26)
				snprintf(piece, sizeof piece, "%c%c", (int)('a' + (i - 27) / 26), (int)('a' + (i - 27) % 26));
			else
				snprintf(piece, sizeof piece, "<piece%u>", i);
		}
		int32_t length = (int32_t)strlen(piece);
		status = pb_writer_write(w, &score, sizeof score, err);
		if (!status)
			status = pb_writer_write(w, &length, sizeof length, err);
		if (!status)
			status = pb_writer_write(w, piece, (size_t)length, err);
	}
	return end(w, status, err);
}
