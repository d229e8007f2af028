/* Where the parameters of a trainable model lie: one flat array, and arrays of gradients and of optimizer states beside it
 * in the same order. q, k and v of a layer are neighbours, as are gate and up, so that each group is one matrix. */
#ifndef PB_BACKENDS_TRAIN_LAYOUT_H
#define PB_BACKENDS_TRAIN_LAYOUT_H

#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"
#include "core/model/model.h"

enum pb_parameter_kind { PB_PARAMETER_EMBEDDING, PB_PARAMETER_NORM, PB_PARAMETER_MATRIX, PB_PARAMETER_HEAD, PB_PARAMETER_TRANSFORM };

struct pb_parameter {
	char name[112];             /* "model.layers.0.self_attn.q_proj.weight"; a transform's: "....q_proj.transform" */
	enum pb_parameter_kind kind;
	uint32_t layer;             /* of norms in layers, matrices and transforms */
	enum pb_slot slot;          /* of matrices and transforms */
	uint32_t rows, cols;        /* rows 1: a vector */
	size_t first, n;            /* elements [first, first + n) of the flat arrays */
};

struct pb_layout {
	uint32_t n;
	struct pb_parameter *parameters;
	size_t total;               /* elements of a flat array, padding included; padding is 0 and stays 0 */
	size_t count;               /* parameters */
	/* Places in `parameters`. */
	uint32_t final_norm, head, transforms;  /* head: 0, the embedding, when tied; transforms: the first, or n */
};

/* How many parameters a transform has for one matrix. */
typedef uint32_t (*pb_transform_size_fn)(void *arg, uint32_t layer, enum pb_slot slot, uint32_t rows, uint32_t cols);

/* The config's numbers are checked. size: NULL when there is no transform. */
enum pb_status pb_layout_make(struct pb_layout *out, const struct pb_config *config, pb_transform_size_fn size, void *arg, struct pb_error *err) PB_MUST_CHECK;
void pb_layout_free(struct pb_layout *layout);

/* Places in `parameters`. */
uint32_t pb_layout_matrix(uint32_t layer, enum pb_slot slot);
uint32_t pb_layout_norm(uint32_t layer, int feed_forward);

#endif
