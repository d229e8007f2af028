#include "quantizers/shape.h"

struct pb_shape pb_shape_of(const struct pb_config *c)
{
	uint64_t dim = c->dim, hidden = c->hidden, q = (uint64_t)c->n_heads * c->head_dim, kv = (uint64_t)c->n_kv_heads * c->head_dim, layers = c->n_layers;
	struct pb_shape s = {
		.weights = layers * (2 * dim * q + 2 * dim * kv + 3 * dim * hidden),
		.rows = layers * (q + 2 * kv + dim + 2 * hidden + dim),
		.cols = layers * (3 * dim + q + 2 * dim + hidden),
		.embeddings = (c->tied_head ? 1 : 2) * (uint64_t)c->n_vocab * dim,
		.norms = (2 * layers + 1) * dim,
	};

	return s;
}
