/* How many numbers of each kind a Llama-type model has, by its config alone: what papers' rules of size count. */
#ifndef PB_QUANTIZERS_SHAPE_H
#define PB_QUANTIZERS_SHAPE_H

#include <stdint.h>
#include "core/model/model.h"

struct pb_shape {
	uint64_t weights;               /* of the quantizable matrices */
	uint64_t rows, cols;            /* sums over them: outputs, inputs */
	uint64_t embeddings;            /* embedding, and head unless it is the same */
	uint64_t norms;
};
struct pb_shape pb_shape_of(const struct pb_config *c);

#endif
