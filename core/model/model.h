/* A Llama-type model: its shape, its tensors in mapped files, and, for each matrix, how it is encoded.
 *
 * Formats: llama2.c checkpoints (version 0 and 1), Hugging Face folders (config.json + safetensors, sharded too),
 * and folders written by `quantize` (paretobench.json + model.safetensors). */
#ifndef PB_CORE_MODEL_MODEL_H
#define PB_CORE_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "core/base/hash.h"
#include "core/base/status.h"
#include "core/model/encoded.h"
#include "core/model/tensor.h"

enum pb_rope_scaling { PB_ROPE_PLAIN, PB_ROPE_LINEAR, PB_ROPE_LLAMA3 };

struct pb_config {
	char architecture[32];      /* "llama" */
	uint32_t n_vocab, dim, n_layers, n_heads, n_kv_heads, head_dim, hidden;   /* hidden: of the feed-forward part */
	uint32_t context;           /* largest length */
	float norm_eps;
	double rope_base;
	bool rope_interleaved;      /* pairs (2i, 2i+1); else (i, i + head_dim/2) */
	enum pb_rope_scaling rope_scaling;
	double rope_factor, rope_low, rope_high, rope_original_context;
	bool tied_head;
	int32_t bos, eos;           /* -1: unknown */
};

/* The matrices of one layer, in the order of the forward pass. */
enum pb_slot { PB_Q, PB_K, PB_V, PB_O, PB_GATE, PB_UP, PB_DOWN, PB_SLOTS };

/* One quantizable matrix. */
struct pb_matrix {
	char name[96];              /* "model.layers.0.self_attn.q_proj" in every format */
	uint32_t layer;
	enum pb_slot slot;
	uint32_t rows, cols;
	struct pb_tensor source;    /* in the mapped file; data NULL when the model was opened encoded */
	struct pb_encoded *encoded; /* what runs; owned by the model; NULL: the source as it is */
};

struct pb_model {
	char *path;                 /* as given */
	char *name;                 /* last part of the path: of a .bin file without suffix, of weights in a folder the folder's */
	char format[32];            /* "llama2.c", "huggingface", "paretobench" */
	struct pb_config config;
	uint32_t n_matrices;        /* n_layers * PB_SLOTS, ordered by layer, slot */
	struct pb_matrix *matrices;
	struct pb_tensor embedding; /* (n_vocab, dim) */
	struct pb_tensor head;      /* (n_vocab, dim); the embedding when tied */
	struct pb_tensor *attention_norm, *ffn_norm; /* [n_layers], (dim) */
	struct pb_tensor final_norm;
	char hash[PB_HASH_HEX];     /* of everything that the numbers depend on: config and all tensor bytes */
	uint64_t parameters;        /* all, a tied head counted once */
	uint64_t matrix_parameters; /* of the quantizable matrices */
	json_t *quantization;       /* format "paretobench": quantizer, options, claims of quantize; else NULL */
	struct pb_model_files *files;
};

/* Opens by path: a .bin file, a folder, or a .safetensors file in a folder. Every shape is checked; values are
 * checked where they are used (pb_model_check_finite). */
enum pb_status pb_model_open(struct pb_model **out, const char *path, struct pb_error *err) PB_MUST_CHECK;
/* A llama2.c checkpoint from bytes that outlive the model. */
enum pb_status pb_model_parse_llama2c(struct pb_model **out, const char *name, const void *data, size_t size, struct pb_error *err) PB_MUST_CHECK;
void pb_model_close(struct pb_model *model);

/* Kept tensors (embedding, head, norms) and sources must be finite: PB_NUMERIC names the tensor and how many are not. */
enum pb_status pb_model_check_finite(const struct pb_model *model, struct pb_error *err) PB_MUST_CHECK;

/* Takes over the encoded matrix; frees the one before. */
void pb_matrix_set_encoded(struct pb_matrix *matrix, struct pb_encoded *encoded);
/* The source (or the decoded encoding) as f32 (rows, cols). */
enum pb_status pb_matrix_read(const struct pb_matrix *matrix, float *out, struct pb_error *err) PB_MUST_CHECK;

/* Sizes by bytes. weight: the quantizable matrices as encoded (source bytes where encoded is NULL), or as claimed where an
 * encoding has a claim; kept: embedding, head (once when tied), norms, as stored in the source; model = weight + kept. */
struct pb_size {
	uint64_t weight_bytes, kept_bytes, model_bytes;
	double effective_bits;      /* 8 * weight_bytes / matrix_parameters */
	bool is_claimed;            /* weight_bytes has claims in it: it is not what is stored */
	uint64_t stored_bytes;      /* of all parts and kept tensors: model_bytes, unless there are claims */
};
struct pb_size pb_model_size(const struct pb_model *model);

/* Writes a folder that pb_model_open reads: model.safetensors (every part of every matrix as
 * MATRIX.PART, kept tensors by their names), paretobench.json (config, encodings, `quantization`,
 * hash of the source). The data bytes of the file equal pb_model_size().stored_bytes. */
enum pb_status pb_model_write(const struct pb_model *model, const char *folder, const json_t *quantization, struct pb_error *err) PB_MUST_CHECK;

/* The tokenizer file beside a model: tokenizer.json, tokenizer.model, tokenizer.bin, the first of them (in the model's folder); pb_free'd.
 * PB_MISSING says what was looked for. */
enum pb_status pb_model_find_tokenizer(const struct pb_model *model, char **path, struct pb_error *err) PB_MUST_CHECK;

#endif
