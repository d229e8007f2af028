/* The result of training as a folder in Hugging Face's form. */
#include "backends/train/trainer.h"

#include <string.h>
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/model/safetensors.h"

static json_t *rope_scaling(const struct pb_config *c)
{
	if (c->rope_scaling == PB_ROPE_LINEAR)
		return json_pack("{s:s, s:f}", "rope_type", "linear", "factor", c->rope_factor);
	if (c->rope_scaling == PB_ROPE_LLAMA3)
		return json_pack("{s:s, s:f, s:f, s:f, s:f}", "rope_type", "llama3", "factor", c->rope_factor, "low_freq_factor", c->rope_low,
			"high_freq_factor", c->rope_high, "original_max_position_embeddings", c->rope_original_context);
	return json_null();
}

json_t *pb_config_huggingface(const struct pb_config *c, enum pb_dtype dtype)
{
	const char *type = dtype == PB_BF16 ? "bfloat16" : dtype == PB_F16 ? "float16" : "float32";

	return json_pack("{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:b, s:i, s:i, s:s, s:b, s:b, s:s}",
		"architectures", "LlamaForCausalLM", "model_type", "llama", "vocab_size", (json_int_t)c->n_vocab, "hidden_size", (json_int_t)c->dim,
		"intermediate_size", (json_int_t)c->hidden, "num_hidden_layers", (json_int_t)c->n_layers, "num_attention_heads", (json_int_t)c->n_heads,
		"num_key_value_heads", (json_int_t)c->n_kv_heads, "head_dim", (json_int_t)c->head_dim, "max_position_embeddings", (json_int_t)c->context,
		"rms_norm_eps", (double)c->norm_eps, "rope_theta", c->rope_base, "rope_scaling", rope_scaling(c), "tie_word_embeddings", c->tied_head,
		"bos_token_id", c->bos, "eos_token_id", c->eos, "hidden_act", "silu", "attention_bias", 0, "mlp_bias", 0, "torch_dtype", type);
}

/* Rows of q and k from pairs (2i, 2i+1) to (i, i + half), head by head. */
static void reorder_rows(const struct pb_parameter *p, uint32_t head_dim, const float *from, float *to)
{
	for (uint32_t row = 0; row < p->rows; row++) {
		uint32_t head = row / head_dim, d = row % head_dim, at = d / 2 + (d % 2 ? head_dim / 2 : 0);

		memcpy(to + ((size_t)head * head_dim + at) * p->cols, from + (size_t)row * p->cols, p->cols * sizeof *to);
	}
}

static enum pb_status write_config(const struct pb_config *c, enum pb_dtype dtype, const char *folder, struct pb_error *err)
{
	json_t *object = pb_config_huggingface(c, dtype);
	char *text = object ? pb_json_pretty(object) : NULL, *path = pb_path_join(folder, "config.json");
	enum pb_status st = text && path ? pb_file_write(path, text, strlen(text), err) : pb_out_of_memory(err, "config.json");

	json_decref(object);
	pb_free(text);
	pb_free(path);
	return st;
}

static enum pb_status write_weights(const struct pb_network_f32 *net, const float *weights, const char *folder, enum pb_dtype dtype, struct pb_error *err)
{
	const struct pb_layout *l = &net->layout;
	size_t size = pb_dtype_bytes(dtype);
	const char *const metadata[] = { "format", "pt", NULL };
	char *path = pb_path_join(folder, "model.safetensors"), *data = pb_alloc_aligned(l->total, size);
	float *reordered = pb_alloc(l->total, sizeof *reordered);
	struct pb_named_tensor *tensors = pb_alloc_zero(l->transforms, sizeof *tensors);
	enum pb_status st = path && data && reordered && tensors ? PB_OK : pb_out_of_memory(err, "weights to write");

	for (uint32_t i = 0; !st && i < l->transforms; i++) {
		const struct pb_parameter *p = &l->parameters[i];
		bool vector = p->kind == PB_PARAMETER_NORM;
		const float *from = weights + p->first;

		if (net->config.rope_interleaved && p->kind == PB_PARAMETER_MATRIX && (p->slot == PB_Q || p->slot == PB_K)) {
			reorder_rows(p, net->config.head_dim, from, reordered + p->first);
			from = reordered + p->first;
		}
		pb_float_write(dtype, from, p->n, data + p->first * size);
		tensors[i] = (struct pb_named_tensor){ p->name, { .dtype = dtype, .n_dims = vector ? 1 : 2, .data = data + p->first * size, .bytes = p->n * size } };
		tensors[i].tensor.shape[0] = vector ? p->cols : p->rows;
		tensors[i].tensor.shape[1] = vector ? 0 : p->cols;
	}
	if (!st)
		st = pb_safetensors_write(path, tensors, l->transforms, metadata, err);
	pb_free(path);
	pb_free(data);
	pb_free(reordered);
	pb_free(tensors);
	return st;
}

enum pb_status pb_network_write_folder(const struct pb_network_f32 *net, const float *weights, const char *folder, enum pb_dtype dtype, struct pb_error *err)
{
	enum pb_status st;

	if (dtype != PB_F32 && dtype != PB_F16 && dtype != PB_BF16)
		return pb_fail(err, PB_USAGE, "%s: weights are written as F32, F16 or BF16, not as %s", folder, pb_dtype_name(dtype));
	if (net->transform && net->transform->post != PB_POST_NONE)
		return pb_fail(err, PB_UNSUPPORTED, "%s: a layernorm after matrices has no place in this format", folder);
	st = pb_folder_make(folder, err);
	if (!st)
		st = write_config(&net->config, dtype, folder, err);
	if (!st)
		st = write_weights(net, weights, folder, dtype, err);
	return st;
}
