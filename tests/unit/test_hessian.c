/* The factor of the inverse against a plain one in double, on sizes around those of its strips and tiles; the same bits for any
 * number of threads. */
#include "core/base/pool.h"
#include "quantizers/hessian.h"
#include "tests/unit/layer.h"
#include "tests/unit/expect.h"

/* U by Gauss, Jordan and Cholesky, of H with places and damping. */
static double *plain_factor(const struct layer *l, const uint32_t *order, double damp)
{
	size_t n = l->cols;
	double mean = 0, live = 0, *a = get_memory(n * n, sizeof *a);
	for (size_t c = 0; c < n; c++) {
		mean += l->h[c * n + c];
		live += l->h[c * n + c] > 0;
	}
	mean /= live;
	for (size_t p = 0; p < n; p++)
		for (size_t q = 0; q < n; q++) {
			double x = l->h[order[p] * n + order[q]];
			a[p * n + q] = p != q ? x : (x > 0 ? x : mean) + damp * mean;
		}
	inverse_factor(a, (uint32_t)n);
	return a; /* U^T */
}

static void plain(void **state)
{
	(void)state;
	static const uint32_t sizes[] = { 1, 2, 127, 128, 129, 256, 257, 385, 513 };
	struct pb_pool *pool;
	assert_int_equal(pb_pool_new(&pool, 3, NULL), PB_OK);
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
		size_t n = sizes[s];
		struct layer l = random_layer(s, 1, (uint32_t)n, 100); /* of low rank, but for the damping */
		uint32_t *order = get_memory(n, sizeof *order);
		float *u = get_memory(n * n, sizeof *u), *same = get_memory(n * n, sizeof *same);
		if (n > 100)
			for (size_t c = 0; c < n; c++)
				l.h[70 * n + c] = l.h[c * n + 70] = 0;
		for (uint32_t c = 0; c < n; c++)
			order[c] = c % 2 ? c : (uint32_t)(n - 1) / 2 * 2 - c; /* the even ones backwards */
		OK(pb_hessian_factor(l.h, (uint32_t)n, order, 0.01, u, NULL, ERR));
		double *expected = plain_factor(&l, order, 0.01), largest = 0;
		for (size_t p = 0; p < n; p++)
			for (size_t q = p; q < n; q++)
				largest = fmax(largest, fabs(expected[q * n + p]));
		for (size_t p = 0; p < n; p++)
			for (size_t q = 0; q < n; q++)
				if (!(fabs(u[p * n + q] - (q < p ? 0 : expected[q * n + p])) <= (q < p ? 0 : 1e-7 * largest)))
					fail_msg("%zu: (%zu, %zu) is %.9g, expected %.9g", n, p, q, u[p * n + q], expected[q * n + p]);
		OK(pb_hessian_factor(l.h, (uint32_t)n, order, 0.01, same, pool, ERR));
		assert_memory_equal(u, same, n * n * sizeof *u);
		OK(pb_hessian_factor(l.h, (uint32_t)n, order, 0.01, l.h, pool, ERR));
		assert_memory_equal(u, l.h, n * n * sizeof *u);
		free(expected);
		free(order);
		free(u);
		free(same);
		free_layer(&l);
	}
	pb_pool_free(pool);
}

/* In the first strip, in the middle, and in the last place. */
static void not_positive(void **state)
{
	(void)state;
	enum { N = 600 };
	static const size_t places[] = { 1, 300, N - 1 };
	for (size_t i = 0; i < 3; i++) {
		float *h = get_memory(N * N, sizeof *h), *u = get_memory(N * N, sizeof *u);
		struct pb_error err = { .text = "" };
		for (size_t c = 0; c < N; c++)
			h[c * N + c] = 1;
		h[places[i] * N + places[i] - 1] = h[(places[i] - 1) * N + places[i]] = 2;
		assert_int_equal(pb_hessian_factor(h, N, NULL, 0.01, u, NULL, &err), PB_NUMERIC);
		assert_non_null(strstr(err.text, "not positive definite"));
		free(h);
		free(u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(not_positive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
