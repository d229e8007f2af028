#include "quantizers/qep.h"

#include <cblas.h>
#include <f77blas.h>
#include <stddef.h>
#include "core/base/memory.h"
#include "core/model/tensor.h"

/* b = W D, (rows, cols) in double. D is widened a panel of columns at a time. */
#define PANEL 64u

static void multiply(const double *w, const float *cross, uint32_t rows, uint32_t cols, double *panel, double *b)
{
	for (uint32_t at = 0, width; at < cols; at += width) {
		width = cols - at < PANEL ? cols - at : PANEL;
		for (size_t i = 0; i < cols; i++)
			for (uint32_t j = 0; j < width; j++)
				panel[i * width + j] = cross[i * cols + at + j];
		cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)rows, (blasint)width, (blasint)cols, 1, w, (blasint)cols, panel, (blasint)width, 0,
			b + at, (blasint)cols);
	}
}

enum pb_status pb_qep_correct(float *w, uint32_t rows, uint32_t cols, const float *cross, const float *second_moment, double strength, struct pb_error *err)
{
	size_t n = (size_t)rows * cols;
	double *h = pb_alloc(cols, cols * sizeof *h), *wide = pb_alloc(n, sizeof *wide), *b = pb_alloc(n, sizeof *b), *panel = pb_alloc(cols, PANEL * sizeof *panel);
	double mean = 0;
	blasint size = (blasint)cols, info = 0;
	enum pb_status status = h && wide && b && panel ? PB_OK : pb_out_of_memory(err, "the correction of the weights");

	for (size_t i = 0; !status && i < n; i++)
		wide[i] = w[i];
	for (size_t i = 0; !status && i < cols; i++)
		mean += second_moment[i * cols + i] / (double)cols;
	if (!status) {
		multiply(wide, cross, rows, cols, panel, b);
		for (size_t i = 0; i < (size_t)cols * cols; i++)
			h[i] = second_moment[i];
		for (size_t i = 0; i < cols; i++)
			h[i * cols + i] += PB_QEP_DAMP * mean;
		/* What LAPACK takes for an upper triangle, column after column, is a lower one here: H = L L^T. */
		dpotrf_((char *)"U", &size, h, &size, &info);
	}
	if (!status && !info) {
		cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (blasint)rows, size, 1, h, size, b, size);
		cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (blasint)rows, size, 1, h, size, b, size);
	}
	for (size_t i = 0; !status && !info && i < n; i++)
		w[i] = (float)(wide[i] + strength * b[i]);
	if (!status && (info || pb_count_not_finite(w, n)))
		status = pb_fail(err, PB_NUMERIC, "qep: the corrected weights are not finite, or the second moments are not positive definite");
	pb_free(h);
	pb_free(wide);
	pb_free(b);
	pb_free(panel);
	return status;
}
