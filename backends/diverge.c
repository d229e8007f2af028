/* With a and b the logits less the largest of their row, and P, Q the sums of exp(a), exp(b):
 *
 *   sum p (ln p - ln q) = sum exp(a) (a - b) / P - ln P + ln Q
 *
 * Two equal rows give 0 exactly. Nothing is left out: llama.cpp, whose term this is, drops tokens with ln p <= -16, as its file
 * of full-precision logits in 16 bits does not know them. */
#include "backends/diverge.h"

#include <math.h>

/* The place of the first of the largest. */
static uint32_t top_of(const float *x, uint32_t n)
{
	uint32_t top = 0;

	for (uint32_t i = 1; i < n; i++)
		if (x[i] > x[top])
			top = i;
	return top;
}

struct pb_row_divergence pb_diverge(const float *full, const float *quantized, uint32_t n)
{
	uint32_t top_full = top_of(full, n), top_quantized = top_of(quantized, n);
	double largest_full = full[top_full], largest_quantized = quantized[top_quantized];
	double sum_full = 0, sum_quantized = 0, apart = 0, kld;

	for (uint32_t i = 0; i < n; i++) {
		double a = full[i] - largest_full, b = quantized[i] - largest_quantized, weight = exp(a);

		sum_full += weight;
		sum_quantized += exp(b);
		apart += weight * (a - b);
	}
	kld = apart / sum_full - log(sum_full) + log(sum_quantized);
	return (struct pb_row_divergence){
		/* It is never negative (Gibbs): what is below 0 is rounding. NaN stays. */
		.kld = kld < 0 ? 0 : kld,
		.log_sum_full = largest_full + log(sum_full),
		.log_sum_quantized = largest_quantized + log(sum_quantized),
		.same_top = top_full == top_quantized,
	};
}
