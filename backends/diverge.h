/* Two models' logits at one position against each other. */
#ifndef PB_BACKENDS_DIVERGE_H
#define PB_BACKENDS_DIVERGE_H

#include <stdbool.h>
#include <stdint.h>

struct pb_row_divergence {
	double kld;                                 /* see struct pb_divergence */
	double log_sum_full, log_sum_quantized;     /* ln of the sum of exp(logit) */
	bool same_top;
};

/* Of n logits each. All in double, in order: a row is the same bits wherever it is computed. A logit that is not finite, or so
 * far below the others of `quantized` alone that the divergence has no number, leaves kld or a sum not finite. */
struct pb_row_divergence pb_diverge(const float *full, const float *quantized, uint32_t n);

#endif
