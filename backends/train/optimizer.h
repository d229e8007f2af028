/* AdamW with decoupled decay, on the flat arrays of a layout. States are f32, or 8 bits in blocks (a dynamic map and the
 * largest magnitude of each block of 256; unsigned for the squares). */
#ifndef PB_BACKENDS_TRAIN_OPTIMIZER_H
#define PB_BACKENDS_TRAIN_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/pool.h"
#include "core/base/status.h"
#include "core/model/tensor.h"
#include "backends/train/layout.h"

struct pb_optimizer;

struct pb_adam {
	double rate;                    /* learning rate of this step */
	double beta1, beta2, epsilon, decay;
	double gradient_scale;          /* clipping */
	uint64_t step;                  /* from 1 */
	bool bf16;                      /* parameters are rounded to bf16 after the step */
};

/* The layout and the pool outlive it. */
enum pb_status pb_optimizer_open(struct pb_optimizer **out, const struct pb_layout *layout, bool eight_bits, struct pb_pool *pool, struct pb_error *err) PB_MUST_CHECK;
void pb_optimizer_close(struct pb_optimizer *o);            /* NULL is fine */
/* Kinds of parameters that stay as they are, a sum of 1 << enum pb_parameter_kind: no step, no decay, no part of the norm. Before
 * the first step. */
void pb_optimizer_freeze(struct pb_optimizer *o, unsigned kinds);

/* Root of the sum of squares over all parameters, summed in a fixed order in double. */
double pb_optimizer_norm(struct pb_optimizer *o, const float *gradient);
/* Matrices, embedding and head decay; norms and the parameters of transforms do not. */
void pb_optimizer_update(struct pb_optimizer *o, const struct pb_adam *adam, float *parameters, const float *gradient);

/* The arrays of states, for checkpoints: fills up to PB_OPTIMIZER_ARRAYS, returns how many. */
#define PB_OPTIMIZER_ARRAYS 4
struct pb_optimizer_array {
	const char *name;
	enum pb_dtype dtype;
	void *data;
	size_t n;
};
unsigned pb_optimizer_arrays(struct pb_optimizer *o, struct pb_optimizer_array out[PB_OPTIMIZER_ARRAYS]);

#endif
