/* Small random models and a tokenizer, written for tests. Weights are normal with variance 1/columns, norms are near 1;
 * they are a function of the seed and of the tensor's name, so a llama2.c file and a folder of the same shape and seed
 * are the same function (q and k are stored in each format's own order of the rotated dimensions). */
#ifndef PB_TESTS_UNIT_TINY_MODEL_H
#define PB_TESTS_UNIT_TINY_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include "core/base/status.h"
#include "core/model/tensor.h"

struct tiny_model {
	uint32_t n_vocab, dim, n_layers, n_heads, n_kv_heads, hidden, context;
	uint32_t head_dim;      /* 0: dim / n_heads; llama2.c knows no other */
	bool tied;
	uint64_t seed;
	/* of folders only */
	enum pb_dtype dtype;    /* F32 (the default), F16 or BF16 */
	unsigned shards;        /* 0 and 1: one file; else so many and an index */
	bool store_both;        /* tied: the head is stored too */
	bool head_only;         /* tied: the head is stored and the embedding is not */
	bool has_frequencies;   /* with rotary_emb.inv_freq */
	const char *extra;      /* more keys of config.json, like ", \"rope_theta\": 5000"; or NULL */
	const char *model_type; /* NULL: "llama" */
};

/* vocabulary 300, dim 32, 2 layers, 4 heads, 2 key-value heads, hidden 48, context 64, tied, seed 1 */
struct tiny_model tiny_model_default(void);

/* version: 0 or 1 */
enum pb_status tiny_model_write_llama2c(const char *path, const struct tiny_model *m, int version, struct pb_error *err);
/* config.json and the weights; the folder is made. */
enum pb_status tiny_model_write_folder(const char *folder, const struct tiny_model *m, struct pb_error *err);
/* tokenizer.bin in llama2.c's form: unknown, BOS, EOS, 256 bytes, a blank, a..z, pairs of letters; n_vocab >= 259. */
enum pb_status tiny_model_write_tokenizer(const char *path, uint32_t n_vocab, struct pb_error *err);

#endif
