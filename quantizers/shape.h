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

/* Bytes of a model whose matrices take so many bits each, and everything else 16 bits a number, as papers on post-training
 * methods leave it. bits: of a matrix of that shape; NaN makes the sum NaN. */
typedef double (*pb_matrix_bits_fn)(const void *options, uint32_t rows, uint32_t cols);
double pb_paper_bytes(const struct pb_config *c, pb_matrix_bits_fn bits, const void *options);

#endif
