/* What the readers and writers of model formats share; nobody else but their tests includes this. */
#ifndef PB_CORE_MODEL_MODEL_FILES_H
#define PB_CORE_MODEL_MODEL_FILES_H

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/model/model.h"
#include "core/model/safetensors.h"

#define PB_ENCODED_JSON "paretobench.json"
#define PB_WEIGHTS_FILE "model.safetensors"
/* Key in the weights' metadata: SHA-256 of the paretobench.json that they belong to. */
#define PB_ENCODED_KEY "paretobench.json.sha256"
#define PB_JSON_LIMIT ((size_t)256 << 20)       /* bytes of a JSON file beside weights */

struct pb_shard {
	struct pb_safetensors *st;
	char *path;
};

/* What a model's pointers point into. */
struct pb_model_files {
	struct pb_arena *arena;         /* paths, lists */
	char *folder;                   /* where the model's files are */
	struct pb_map map;              /* llama2.c; {0} when the bytes are the caller's */
	unsigned n_shards;              /* safetensors */
	struct pb_shard *shards;
	char source_hash[PB_HASH_HEX];  /* paretobench: of the model that was quantized; else "" */
};

/* config.c ------------------------------------------------------------------------------------------------- */

/* Every number in range, heads divisible by key-value heads, head_dim even, the rotary numbers sound. Within these
 * limits no product of a model's dimensions overflows 64 bits. file: begins the message. */
enum pb_status pb_config_check(const struct pb_config *c, const char *file, struct pb_error *err) PB_MUST_CHECK;

/* Hugging Face's config.json from bytes. */
enum pb_status pb_config_parse(struct pb_config *out, const char *file, const char *data, size_t size, struct pb_error *err) PB_MUST_CHECK;

/* The config in paretobench.json: all fields, checked on the way in. NULL when memory is out. */
json_t *pb_config_to_json(const struct pb_config *c);
enum pb_status pb_config_from_json(struct pb_config *out, const char *file, const json_t *object, struct pb_error *err) PB_MUST_CHECK;

/* Text of a JSON string that can be put into a message: printable, at most `limit` bytes; else NULL. */
const char *pb_json_plain(const json_t *value, size_t limit);

/* model.c -------------------------------------------------------------------------------------------------- */

/* An empty model with its path, name and folder; pb_model_close frees it at any stage. */
enum pb_status pb_model_new(struct pb_model **out, const char *path, const char *format, struct pb_error *err) PB_MUST_CHECK;

/* Matrices with names and shapes, arrays of norms, counts of parameters, from a config that was checked. */
enum pb_status pb_model_make_lists(struct pb_model *model, struct pb_error *err) PB_MUST_CHECK;

/* The kept tensors by number: embedding, for each layer its attention norm and its feed-forward norm, final norm,
 * head unless tied. */
struct pb_kept {
	char name[96];                  /* "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight", ... */
	struct pb_tensor *tensor;       /* in the model */
	uint32_t rows, cols;            /* rows 0: a vector */
};
unsigned pb_model_kept_count(const struct pb_model *model);
struct pb_kept pb_model_kept(struct pb_model *model, unsigned i);

/* model->hash: of the config's numbers and of every tensor, or encoding, in a fixed order. */
enum pb_status pb_model_make_hash(struct pb_model *model, struct pb_error *err) PB_MUST_CHECK;

/* Takes over st, also on failure. */
enum pb_status pb_model_add_shard(struct pb_model *model, struct pb_safetensors *st, const char *path, struct pb_error *err) PB_MUST_CHECK;
/* NULL when no shard has it. file: path of the shard; may be NULL. */
const struct pb_tensor *pb_model_find_tensor(const struct pb_model *model, const char *name, const char **file);
/* Finds the tensor and copies the view: F32, F16 or BF16, of shape (rows, cols), or (cols) for rows 0. */
enum pb_status pb_model_take_tensor(struct pb_model *model, const char *name, uint32_t rows, uint32_t cols, struct pb_tensor *out,
	struct pb_error *err) PB_MUST_CHECK;

/* The encoding that runs: the matrix's own, or (then *made too, to be freed) a dense one around its source. */
enum pb_status pb_matrix_encoding(const struct pb_matrix *matrix, const struct pb_encoded **out, struct pb_encoded **made,
	struct pb_error *err) PB_MUST_CHECK;

/* readers -------------------------------------------------------------------------------------------------- */

/* Each fills an empty model, but for its hash. */
enum pb_status pb_llama2c_read(struct pb_model *model, const void *data, size_t size, struct pb_error *err) PB_MUST_CHECK;
/* weights: path of one safetensors file, or NULL: what the folder has. */
enum pb_status pb_huggingface_read(struct pb_model *model, const char *weights, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_encoded_model_read(struct pb_model *model, struct pb_error *err) PB_MUST_CHECK;
/* The text of paretobench.json, for a model that has its shard. */
enum pb_status pb_encoded_model_parse(struct pb_model *model, const char *file, const char *data, size_t size, struct pb_error *err) PB_MUST_CHECK;

#endif
