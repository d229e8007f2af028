#include "quantizers/straight_through.h"

uint32_t pb_no_parameters(void *arg, uint32_t layer, enum pb_slot slot, uint32_t rows, uint32_t cols)
{
	(void)arg;
	(void)layer;
	(void)slot;
	(void)rows;
	(void)cols;
	return 0;
}

void pb_no_start(void *arg, const struct pb_parameter *matrix, float *latent, float *parameters)
{
	(void)arg;
	(void)matrix;
	(void)latent;
	(void)parameters;
}

void pb_straight_through(void *arg, const struct pb_parameter *matrix, const float *latent, const float *parameters, const float *used,
	float *gradient, float *parameter_gradient)
{
	(void)arg;
	(void)matrix;
	(void)latent;
	(void)parameters;
	(void)used;
	(void)gradient;
	(void)parameter_gradient;
}
