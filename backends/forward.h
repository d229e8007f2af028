/* The forward pass of a Llama-type model, once for all backends that run in this process. A backend gives the few
 * operations whose arithmetic is its own (struct pb_ops); everything else, and how work is cut into tasks, is here.
 *
 * The cut depends on shapes alone, never on the number of threads, and one task computes each number: results are the same
 * bits for any pool. Activations and keys and values are f32. */
#ifndef PB_BACKENDS_FORWARD_H
#define PB_BACKENDS_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/pool.h"
#include "core/base/status.h"
#include "core/model/model.h"
#include "backends/kv.h"

#define PB_BATCH_TOKENS 1024    /* most tokens of one pass */
#define PB_QUERY_BLOCK 64       /* queries of one attention task */
#define PB_TOKEN_CHUNK 128      /* tokens of one task of a linear map */

struct pb_forward;

/* Consecutive queries of one sequence: rows [row, row + n) of the batch, which are own tokens [own, own + n) of kv. */
struct pb_query_block {
	const struct pb_kv *kv;
	uint32_t row, n, own;
};

struct pb_ops {
	/* y[t * y_stride + r] = sum over c of x[t * cols + c] * w[r * cols + c], for r < rows, t < n. */
	void (*product)(const float *w, uint32_t rows, uint32_t cols, const float *x, uint32_t n, float *y, size_t y_stride);
	/* Causal attention of one head: from f->q into the same place of f->attended. scratch: PB_QUERY_BLOCK floats for each
	 * position of the longest sequence, whose length is rounded up to a multiple of 16; 64-byte aligned. */
	void (*attention)(const struct pb_forward *f, uint32_t layer, const struct pb_query_block *block, uint32_t head, float *scratch);
	/* gate[i] = silu(gate[i]) * up[i] */
	void (*gate)(float *gate, const float *up, size_t n);
	/* ln of the sum of exp(x[i]), and the largest x[i] */
	double (*log_sum)(const float *x, uint32_t n, float *largest);
};

/* A linear map. f32 is NULL when rows have to be decoded each time. */
struct pb_weight {
	uint32_t rows, cols, tile_rows;
	enum pb_post post;
	const struct pb_encoded *encoded;       /* or NULL */
	const struct pb_tensor *tensor;         /* when encoded is NULL */
	const float *f32;                       /* (rows, cols): in place or kept decoded */
};

/* Linear maps that read the same rows are one input. */
enum pb_input { PB_INPUT_ATTENTION /* q, k, v */, PB_INPUT_O, PB_INPUT_FFN /* gate, up */, PB_INPUT_DOWN, PB_INPUTS };

static inline enum pb_input pb_input_of(enum pb_slot slot)
{
	return slot <= PB_V ? PB_INPUT_ATTENTION : slot == PB_O ? PB_INPUT_O : slot <= PB_UP ? PB_INPUT_FFN : PB_INPUT_DOWN;
}

/* Called with the input rows of a layer's maps before they run: x is (n, cols), rows are the tokens of the batch in order. */
struct pb_input_hook {
	void *arg;
	void (*input)(void *arg, enum pb_input input, const float *x, uint32_t n, uint32_t cols);
};

/* Tokens to run: they are appended to kv, which has room for them. */
struct pb_span {
	struct pb_kv *kv;
	const int32_t *tokens;
	uint32_t n;
};

struct pb_forward {
	const struct pb_model *model;
	const struct pb_ops *ops;
	struct pb_pool *pool;
	struct pb_weight *weights;              /* (n_layers, PB_SLOTS), then the head */
	bool native;                            /* every weight is used in place */
	float *kept;                            /* decoded weights, or NULL */
	float *norms;                           /* (2 * n_layers + 1, dim): attention, feed-forward of each layer; final */
	struct pb_kv_store store;

	uint32_t length;                        /* longest sequence that there is room for */
	double *inverse_frequency;              /* (head_dim / 2) */
	float *rope_cos, *rope_sin;             /* (length, head_dim / 2) */
	float *scratch;                         /* (threads, scratch_floats) */
	size_t scratch_floats;

	/* Of the current batch; rows are tokens. */
	uint32_t n;
	float *x;                               /* (n, dim): the residual stream; after a pass its last state */
	float *normed, *projected;              /* (n, dim) */
	float *q, *attended;                    /* (n, n_heads * head_dim) */
	float *k, *v;                           /* (n, n_kv_heads * head_dim) */
	float *gate, *up;                       /* (n, hidden) */
	int32_t *token;
	uint32_t *position, *slot;
	struct pb_query_block *blocks;
	uint32_t n_blocks;
};

/* cache_bytes: when all weights that cannot be used in place fit into it as f32, they are kept decoded; else rows are
 * decoded each time they are used. The results are the same bits. */
enum pb_status pb_forward_open(struct pb_forward **out, const struct pb_model *model, const struct pb_ops *ops, uint64_t cache_bytes,
	struct pb_pool *pool, struct pb_error *err) PB_MUST_CHECK;
void pb_forward_close(struct pb_forward *f);    /* NULL is fine */
/* Room for sequences of `length` tokens and a batch beside one of them; empties the store. */
enum pb_status pb_forward_reserve(struct pb_forward *f, uint32_t length, struct pb_error *err) PB_MUST_CHECK;
/* Token ids are in range, all tokens together at most PB_BATCH_TOKENS; a parent that is in the list comes before its
 * children, whole. Leaves the states of all tokens, in order, in f->x. */
void pb_forward_run(struct pb_forward *f, const struct pb_span *spans, size_t n_spans);
/* The same in parts, for layers one at a time: places the tokens, then each layer from the states in f->x to the states
 * after it. The first part leaves embeddings in f->x; whoever puts other states there calls pb_forward_enter before the
 * layer. hook: or NULL. */
void pb_forward_begin(struct pb_forward *f, const struct pb_span *spans, size_t n_spans);
void pb_forward_enter(struct pb_forward *f, uint32_t layer);
void pb_forward_layer(struct pb_forward *f, uint32_t layer, const struct pb_input_hook *hook);
/* Logits of these rows of the last batch, n <= PB_BATCH_TOKENS, into (n, n_vocab). */
void pb_forward_logits(struct pb_forward *f, const uint32_t *rows, uint32_t n, float *logits);

/* Products by OpenBLAS, which is set to one thread, the rest in the fastest vectors of this processor. */
const struct pb_ops *pb_blas_ops(void);

/* The angle of pair i is position * out[i]; out has head_dim / 2 numbers. */
void pb_rope_frequencies(const struct pb_config *config, double *out);

#endif
