#include "quantizers/hessian.h"

#include <cblas.h>
#include <f77blas.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
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

/* ---- the factor ---- */

#define STRIP 256u      /* rows or columns of a task; sums are split by it, never by the number of threads */
#define TILE 128u       /* on the diagonal, of the inverse */

struct factor {
	const float *h;
	const uint32_t *order;
	double damp, mean;
	uint32_t n, at;         /* at: where the strip in work begins, on the diagonal */
	double *l;              /* (n, n) row after row, its lower triangle alone; to LAPACK, which takes column after column, an upper one */
	float *u;
	atomic_bool no_memory;
};

static uint32_t strip_rows(const struct factor *f, uint32_t first)
{
	return f->n - first < STRIP ? f->n - first : STRIP;
}

/* H' with its places in reverse order. */
static void fill_task(void *arg, size_t task, unsigned worker)
{
	const struct factor *f = arg;
	size_t n = f->n, first = task * STRIP, end = first + strip_rows(f, (uint32_t)first);

	(void)worker;
	for (size_t p = first; p < end; p++) {
		const float *from = f->h + (f->order ? f->order[p] : p) * n;
		double *to = f->l + (n - 1 - p) * n + (n - 1);
		for (size_t q = p; q < n; q++)
			*(to - q) = from[f->order ? f->order[q] : q];
		*(to - p) = (*(to - p) > 0.0 ? *(to - p) : f->mean) + f->damp * f->mean;
	}
}

/* A later strip's rows, in the columns of the one in work. */
static void solve_task(void *arg, size_t task, unsigned worker)
{
	const struct factor *f = arg;
	size_t n = f->n, first = f->at + (task + 1) * STRIP;

	(void)worker;
	cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (blasint)strip_rows(f, (uint32_t)first), STRIP, 1, f->l + f->at * n + f->at, (blasint)n,
		f->l + first * n + f->at, (blasint)n);
}

/* What these columns take off the others of a later strip, up to the diagonal; the longest strip first. */
static void update_task(void *arg, size_t task, unsigned worker)
{
	const struct factor *f = arg;
	size_t n = f->n, next = f->at + STRIP, first = next + (n - next - 1) / STRIP * STRIP - task * STRIP;
	blasint rows = (blasint)strip_rows(f, (uint32_t)first), stride = (blasint)n;
	const double *by = f->l + first * n + f->at;

	(void)worker;
	if (first > next)
		cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, (blasint)(first - next), STRIP, -1, by, stride, f->l + next * n + f->at, stride, 1,
			f->l + first * n + next, stride);
	cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, rows, STRIP, -1, by, stride, 1, f->l + first * n + first, stride);
}

/* The inverse of a tile on the diagonal takes its place: in L^-1 it is what it is alone. */
static void tile_task(void *arg, size_t task, unsigned worker)
{
	const struct factor *f = arg;
	size_t first = task * TILE;
	blasint size = (blasint)(f->n - first < TILE ? f->n - first : TILE), stride = (blasint)f->n, info;

	(void)worker;
	dtrtri_((char *)"U", (char *)"N", &size, f->l + first * f->n + first, &stride, &info); /* no diagonal is 0 */
}

/* A strip of columns, X, of L^-1, to its place in U. With T_i the inverse of tile i, X_ij = T_i for i = j, and below
 * -T_i (sum over j <= k < i of L_ik X_kj). */
static void invert_task(void *arg, size_t task, unsigned worker)
{
	struct factor *f = arg;
	size_t n = f->n, first = task * STRIP, cols = strip_rows(f, (uint32_t)first), rows = n - first;
	double *x = pb_alloc_zero(rows * cols, sizeof *x);

	(void)worker;
	if (!x) {
		atomic_store(&f->no_memory, true);
		return;
	}
	for (size_t i = 0; i < rows; i += TILE) {
		size_t size = rows - i < TILE ? rows - i : TILE, before = i < cols ? i : cols;
		const double *l = f->l + (first + i) * n + first;
		cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)size, (blasint)before, (blasint)i, -1, l, (blasint)n, x, (blasint)cols, 0, x + i * cols,
			(blasint)cols);
		cblas_dtrmm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (blasint)size, (blasint)before, 1, l + i, (blasint)n, x + i * cols,
			(blasint)cols);
		for (size_t j = 0; i < cols && j < size; j++)
			memcpy(x + (i + j) * cols + i, l + j * n + i, (j + 1) * sizeof *x);
	}
	for (size_t p = 0; p < n; p++) {
		float *to = f->u + p * n + (rows - 1);
		for (size_t q = 0; q < cols; q++)
			*(to - q) = p < rows ? (float)x[(rows - 1 - p) * cols + q] : 0.0f;
	}
	pb_free(x);
}

/* H' = R R^T with R upper triangular makes U = R^-1. R is the usual lower factor, L, of H' with its places in reverse order,
 * reversed both ways: one factor and one triangular inverse, and no inverse of H'. */
enum pb_status pb_hessian_factor(const float *h, uint32_t n, const uint32_t *order, double damp, float *u, struct pb_pool *pool, struct pb_error *err)
{
	struct factor f = { .h = h, .order = order, .damp = damp, .mean = live_mean(h, n), .n = n, .u = u, .l = pb_alloc((size_t)n * n, sizeof *f.l) };
	size_t strips = (n + STRIP - 1) / STRIP;
	blasint stride = (blasint)n, info = 0;

	if (!f.l)
		return pb_out_of_memory(err, "Cholesky factor");
	pb_pool_run(pool, strips, fill_task, &f);
	for (size_t k = 0; info == 0 && k < strips; k++) {
		f.at = (uint32_t)k * STRIP;
		blasint size = (blasint)strip_rows(&f, f.at);
		dpotrf_((char *)"U", &size, f.l + f.at * (size_t)n + f.at, &stride, &info);
		if (info == 0) {
			pb_pool_run(pool, strips - k - 1, solve_task, &f);
			pb_pool_run(pool, strips - k - 1, update_task, &f);
		}
	}
	if (info == 0) {
		pb_pool_run(pool, (n + TILE - 1) / TILE, tile_task, &f);
		pb_pool_run(pool, strips, invert_task, &f);
	}
	pb_free(f.l);
	if (info)
		return pb_fail(err, PB_NUMERIC, "second moments: not positive definite with a damping of %g of their mean diagonal\nraise the damping", damp);
	return f.no_memory ? pb_out_of_memory(err, "Cholesky factor") : PB_OK;
}
