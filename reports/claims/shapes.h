/* Shapes of the models that published sizes are recomputed from (configs/claims/shapes.yaml). */
#ifndef PB_REPORTS_CLAIMS_SHAPES_H
#define PB_REPORTS_CLAIMS_SHAPES_H

#include <stddef.h>
#include <stdint.h>
#include "core/base/memory.h"
#include "core/base/yaml.h"

struct pb_model_shape {
	const char **names;     /* patterns for names of models, with `*` */
	size_t n_names;
	int64_t hidden, layers, heads, kv_heads, head_dim, ffn, vocab;
	bool tied;              /* the head is the embedding */
	bool gated;             /* three matrices in a feed-forward block, else two */
};
struct pb_model_shapes {
	struct pb_model_shape *shapes;
	size_t n;
};

enum pb_status pb_shapes_parse(struct pb_model_shapes *out, const struct pb_yaml *root, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
/* NULL when there is none. */
const struct pb_model_shape *pb_shape_find(const struct pb_model_shapes *shapes, const char *model);

/* One matrix of a block. */
struct pb_linear {
	int64_t out, in;
};
/* Fills matrices[7] in the order q k v o gate up down (without gate when there is none); returns how many. */
size_t pb_shape_linears(const struct pb_model_shape *s, struct pb_linear matrices[7]);

/* What sizes are made of, by name: linear_weights, linear_outputs (rows of all matrices), linear_inputs (columns), embedding_weights
 * (with the head, when it is a matrix of its own), norm_weights, layers. */
extern const char *const pb_shape_columns[];
extern const size_t pb_n_shape_columns;
double pb_shape_column(const struct pb_model_shape *s, size_t column);

#endif
