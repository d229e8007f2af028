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

double pb_paper_bytes(const struct pb_config *c, pb_matrix_bits_fn bits, const void *options)
{
	uint32_t q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
	const uint32_t shapes[PB_SLOTS][2] = { [PB_Q] = { q, c->dim }, [PB_K] = { kv, c->dim }, [PB_V] = { kv, c->dim }, [PB_O] = { c->dim, q },
		[PB_GATE] = { c->hidden, c->dim }, [PB_UP] = { c->hidden, c->dim }, [PB_DOWN] = { c->dim, c->hidden } };
	struct pb_shape s = pb_shape_of(c);
	double layer = 0;

	for (int i = 0; i < PB_SLOTS; i++)
		layer += bits(options, shapes[i][0], shapes[i][1]);
	return layer * c->n_layers / 8 + 2 * (double)(s.embeddings + s.norms);
}
