/* What methods share that run a rounding of their latent weights and train them as if nothing were rounded: no parameters of
 * their own, nothing to start, and the gradient of what runs is that of the latent weights. */
#ifndef PB_QUANTIZERS_STRAIGHT_THROUGH_H
#define PB_QUANTIZERS_STRAIGHT_THROUGH_H

#include "backends/train/train.h"

uint32_t pb_no_parameters(void *arg, uint32_t layer, enum pb_slot slot, uint32_t rows, uint32_t cols);
void pb_no_start(void *arg, const struct pb_parameter *matrix, float *latent, float *parameters);
void pb_straight_through(void *arg, const struct pb_parameter *matrix, const float *latent, const float *parameters, const float *used,
	float *gradient, float *parameter_gradient);

#define PB_STRAIGHT_THROUGH .n_parameters = pb_no_parameters, .start = pb_no_start, .backward = pb_straight_through

#endif
