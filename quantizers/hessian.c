#include "quantizers/hessian.h"

#include <cblas.h>
#include <f77blas.h>
#include <inttypes.h>
#include <stddef.h>
#include <threads.h>
#include "core/base/memory.h"
#include "core/model/tensor.h"

static once_flag one_thread = ONCE_FLAG_INIT;

static void set_one_thread(void)
{
	openblas_set_num_threads(1);
}

enum pb_status pb_hessian_check(const float *h, uint32_t n, struct pb_error *err)
{
	uint64_t bad = pb_count_not_finite(h, (uint64_t)n * n);
	uint32_t negative = 0, dead = 0;

	call_once(&one_thread, set_one_thread);
	if (bad)
		return pb_fail(err, PB_NUMERIC, "second moments: %" PRIu64 " of %" PRIu64 " are not finite", bad, (uint64_t)n * n);
	for (size_t i = 0; i < n; i++) {
		negative += h[i * n + i] < 0.0f;
		dead += h[i * n + i] == 0.0f;
	}
	if (negative)
		return pb_fail(err, PB_NUMERIC, "second moments: %" PRIu32 " of %" PRIu32 " diagonals are negative", negative, n);
	if (dead == n)
		return pb_fail(err, PB_NUMERIC, "second moments: all are 0, the calibration data reach no input of this matrix");
	return PB_OK;
}

/* mean of the diagonals that are not 0 */
static double live_mean(const float *h, uint32_t n)
{
	double sum = 0.0, live = 0.0;

	for (size_t i = 0; i < n; i++) {
		sum += h[i * n + i];
		live += h[i * n + i] > 0.0f;
	}
	return sum / live;
}

/* H' = R R^T with R upper triangular makes U = R^-1. R is the usual lower factor, L, of H' with its places in reverse order,
 * reversed both ways: one factor and one triangular inverse, and no inverse of H'. To LAPACK, which takes column after
 * column, L is an upper triangle. */
enum pb_status pb_hessian_factor(const float *h, uint32_t n, const uint32_t *order, double damp, float *u, struct pb_error *err)
{
	double *l = pb_alloc((size_t)n * n, sizeof *l), mean = live_mean(h, n);
	blasint size = (blasint)n, info = 0;

	if (!l)
		return pb_out_of_memory(err, "Cholesky factor");
	for (size_t p = 0; p < n; p++) {
		const float *from = h + (order ? order[p] : p) * n;
		double *to = l + (n - 1 - p) * n + (n - 1);
		for (size_t q = p; q < n; q++)
			*(to - q) = from[order ? order[q] : q];
		*(to - p) = (*(to - p) > 0.0 ? *(to - p) : mean) + damp * mean;
	}
	dpotrf_((char *)"U", &size, l, &size, &info);
	if (info == 0)
		dtrtri_((char *)"U", (char *)"N", &size, l, &size, &info);
	for (size_t p = 0; info == 0 && p < n; p++)
		for (size_t q = 0; q < n; q++)
			u[p * n + q] = q < p ? 0.0f : (float)l[(n - 1 - p) * n + (n - 1 - q)];
	pb_free(l);
	if (info)
		return pb_fail(err, PB_NUMERIC, "second moments: not positive definite with a damping of %g of their mean diagonal\nraise the damping", damp);
	return PB_OK;
}
