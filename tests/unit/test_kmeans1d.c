/* k-means on a line: the exact solver against enumeration and the whole table of a dynamic program, Lloyd's iterations
 * against the exact solver, and the odd inputs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "quantizers/kmeans1d.h"

#define TOLERANCE 1e-4

static struct pb_kmeans1d *solver(uint32_t n, unsigned k)
{
	struct pb_kmeans1d *s = NULL;
	struct pb_error err;
	if (pb_kmeans1d_new(&s, n, k, &err) != PB_OK)
		fail_msg("%s", err.text);
	return s;
}

static double exact_cost(const float *x, const float *a, uint32_t n, unsigned k, double *centers)
{
	struct pb_kmeans1d *s = solver(n, k);
	pb_kmeans1d_load(s, x, a, n);
	pb_kmeans1d_exact(s, k, centers);
	double cost = pb_kmeans1d_cost(s, k, centers);
	for (unsigned j = 0; j < k; j++)
		if (!isfinite(centers[j]) || (j > 0 && centers[j] < centers[j - 1]))
			fail_msg("center %u of %u is %g", j, k, centers[j]);
	pb_kmeans1d_free(s);
	return cost;
}

/* ---- plain solutions ---- */

struct point {
	double x, a;
};

static int by_place(const void *a, const void *b)
{
	const struct point *p = a, *q = b;
	return (p->x > q->x) - (p->x < q->x);
}

static double mean_cost(const struct point *p, uint32_t n)
{
	double w = 0, sum = 0, cost = 0;
	for (uint32_t i = 0; i < n; i++) {
		w += p[i].a;
		sum += p[i].a * p[i].x;
	}
	for (uint32_t i = 0; i < n && w > 0; i++)
		cost += p[i].a * (p[i].x - sum / w) * (p[i].x - sum / w);
	return cost;
}

/* All ways to cut n sorted points into at most k runs. */
static double enumerate(const struct point *p, uint32_t n, unsigned k)
{
	if (k == 1 || n == 0)
		return mean_cost(p, n);
	double least = INFINITY;
	for (uint32_t first = 0; first <= n; first++)
		least = fmin(least, mean_cost(p, first) + enumerate(p + first, n - first, k - 1));
	return least;
}

/* The whole table, in long double: every begin of every end of every layer. */
static double whole_table(const struct point *p, uint32_t n, unsigned k)
{
	long double *w = calloc(n + 1, sizeof *w), *x = calloc(n + 1, sizeof *x), *q = calloc(n + 1, sizeof *q);
	long double *f = calloc(n + 1, sizeof *f), *g = calloc(n + 1, sizeof *g);
	assert_true(w && x && q && f && g);
	for (uint32_t i = 0; i < n; i++) {
		w[i + 1] = w[i] + p[i].a;
		x[i + 1] = x[i] + p[i].a * (p[i].x - p[n / 2].x);
		q[i + 1] = q[i] + (long double)p[i].a * (p[i].x - p[n / 2].x) * (p[i].x - p[n / 2].x);
		f[i + 1] = INFINITY;
	}
	for (unsigned layer = 0; layer < k; layer++) {
		for (uint32_t i = 0; i <= n; i++) {
			g[i] = f[i];
			for (uint32_t j = 0; j < i; j++) {
				long double dw = w[i] - w[j], dx = x[i] - x[j], cost = f[j] + (dw > 0 ? q[i] - q[j] - dx * dx / dw : 0);
				g[i] = cost < g[i] ? cost : g[i];
			}
		}
		long double *swap = f;
		f = g;
		g = swap;
	}
	double least = (double)f[n];
	free(w);
	free(x);
	free(q);
	free(f);
	free(g);
	return least;
}

static struct point *sorted_points(const float *x, const float *a, uint32_t n)
{
	struct point *p = calloc(n, sizeof *p);
	assert_non_null(p);
	for (uint32_t i = 0; i < n; i++)
		p[i] = (struct point){ x[i], a[i] };
	qsort(p, n, sizeof *p, by_place);
	return p;
}

enum { KINDS = 8, WEIGHTS = 5 };
static void draw_points(struct pb_rng *r, unsigned kind, unsigned weights, float *x, float *a, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		double z = pb_rng_normal(r), u = pb_rng_unit(r);
		switch (kind) {
		case 0: x[i] = (float)z; break;
		case 1: x[i] = (float)nearbyint(z * 10); break;                 /* many equal points */
		case 2: x[i] = (float)(z * z * z); break;                       /* long tails */
		case 3: x[i] = (float)((double)pb_rng_below(r, 5) * 10 + z * 0.01); break; /* lumps */
		case 4: x[i] = (float)(1000 + z * 0.01); break;                 /* far from 0 */
		case 5: x[i] = (float)exp(2 * z); break;
		case 6: x[i] = (float)i; break;
		default: x[i] = (float)(i % 37 == 0 ? z * 1e3 : z);             /* outliers */
		}
		switch (weights) {
		case 0: a[i] = 1; break;
		case 1: a[i] = (float)u; break;
		case 2: a[i] = (float)exp(2 * pb_rng_normal(r)); break;
		case 3: a[i] = u < 0.5 ? 0 : (float)u; break;
		default: a[i] = (float)pow(u, 4);
		}
	}
}

/* ---- tests ---- */

static void check_centers(const double *centers, const double *expected, unsigned k)
{
	for (unsigned j = 0; j < k; j++)
		if (!(fabs(centers[j] - expected[j]) < 1e-7))
			fail_msg("center %u is %.10g, expected %.10g", j, centers[j], expected[j]);
}

static void known_numbers(void **state)
{
	(void)state;
	static const float x[] = { -0.90f, -0.50f, -0.45f, -0.10f, 0.00f, 0.05f, 0.12f, 0.40f, 0.55f, 0.80f };
	static const float a[] = { 0.2f, 1.0f, 4.0f, 0.5f, 0.0f, 2.0f, 1.0f, 0.3f, 3.0f, 0.1f };
	double centers[4];
	assert_true(fabs(exact_cost(x, a, 10, 4, centers) - 0.0310252101) < 1e-8);
	check_centers(centers, (const double[]){ -0.9, -0.46, 0.0485714286, 0.5441176471 }, 4);
	assert_true(fabs(exact_cost(x, NULL, 10, 4, centers) - 0.1085916667) < 1e-8);
	check_centers(centers, (const double[]){ -0.9, -0.475, 0.0175, 0.5833333333 }, 4);
}

static void against_enumeration(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(1, 0);
	float x[9], a[9];
	double centers[12];
	for (int trial = 0; trial < 3000; trial++) {
		uint32_t n = 1 + (uint32_t)pb_rng_below(&r, 9);
		unsigned k = 1 + (unsigned)pb_rng_below(&r, 5);
		draw_points(&r, (unsigned)pb_rng_below(&r, KINDS), (unsigned)pb_rng_below(&r, 3), x, a, n);
		struct point *p = sorted_points(x, a, n);
		double all = mean_cost(p, n), least = enumerate(p, n, k), got = exact_cost(x, a, n, k, centers);
		if (!(fabs(got - least) <= 1e-12 * all))
			fail_msg("trial %d: n %u, k %u: cost %.17g, least %.17g", trial, n, k, got, least);
		free(p);
	}
}

/* Enough points that most places are ruled out before the last round. */
static void against_whole_table(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(2, 0);
	static float x[1200], a[1200];
	double centers[20];
	for (unsigned trial = 0; trial < 160; trial++) {
		uint32_t n = 1 + (uint32_t)pb_rng_below(&r, trial % 16 ? 300 : 1200);
		unsigned k = 1 + (unsigned)pb_rng_below(&r, 17);
		draw_points(&r, trial % KINDS, (trial / KINDS) % WEIGHTS, x, a, n);
		struct point *p = sorted_points(x, a, n);
		double all = mean_cost(p, n), least = whole_table(p, n, k), got = exact_cost(x, a, n, k, centers);
		if (!(fabs(got - least) <= 1e-11 * all))
			fail_msg("trial %u: n %u, k %u: cost %.17g, least %.17g of %g", trial, n, k, got, least, all);
		free(p);
	}
}

/* The same at the sizes of real rows. */
static void long_rows(void **state)
{
	(void)state;
	enum { N = 3000, K = 8 };
	static float x[N], a[N];
	double centers[K];
	struct pb_rng r = pb_rng_make(3, 0);
	for (unsigned kind = 0; kind < KINDS; kind += 2) {
		draw_points(&r, kind, kind / 2, x, a, N);
		struct point *p = sorted_points(x, a, N);
		double all = mean_cost(p, N), least = whole_table(p, N, K), got = exact_cost(x, a, N, K, centers);
		if (!(fabs(got - least) <= 1e-11 * all))
			fail_msg("kind %u: cost %.17g, least %.17g of %g", kind, got, least, all);
		free(p);
	}
}

/* Lloyd's cost never rises from one iteration to the next, and is never below the exact one; more clusters cost less. */
static void lloyd(void **state)
{
	(void)state;
	static float x[2000], a[2000];
	double centers[16], again[16];
	double sum_lloyd = 0, sum_exact = 0;
	for (unsigned trial = 0; trial < 60; trial++) {
		struct pb_rng r = pb_rng_make(trial, 1);
		uint32_t n = 1 + (uint32_t)pb_rng_below(&r, 2000);
		unsigned k = 1 + (unsigned)pb_rng_below(&r, 16);
		draw_points(&r, trial % KINDS, (trial / KINDS) % WEIGHTS, x, a, n);
		struct pb_kmeans1d *s = solver(n, k);
		pb_kmeans1d_load(s, x, a, n);
		pb_kmeans1d_exact(s, 1, centers);
		double all = pb_kmeans1d_cost(s, 1, centers), before = INFINITY;
		pb_kmeans1d_exact(s, k, centers);
		double least = pb_kmeans1d_cost(s, k, centers);
		assert_true(least <= all * (1 + 1e-12));
		for (unsigned iterations = 1; iterations <= 50; iterations++) {
			struct pb_rng one = r, other = r;
			pb_kmeans1d_lloyd(s, k, iterations, 0, &one, centers);
			pb_kmeans1d_lloyd(s, k, iterations, 0, &other, again);
			assert_memory_equal(centers, again, k * sizeof *centers);
			double cost = pb_kmeans1d_cost(s, k, centers);
			if (!(cost <= before + 1e-12 * all))
				fail_msg("trial %u: cost rises from %.17g to %.17g in iteration %u", trial, before, cost, iterations);
			if (!(cost >= least - 1e-12 * all))
				fail_msg("trial %u: Lloyd's cost %.17g is below the least, %.17g", trial, cost, least);
			before = cost;
		}
		struct pb_rng one = r;
		pb_kmeans1d_lloyd(s, k, 50, TOLERANCE, &one, centers);
		sum_lloyd += all > 0 ? pb_kmeans1d_cost(s, k, centers) / all : 0;
		sum_exact += all > 0 ? least / all : 0;
		for (unsigned j = 1; j < k; j++)
			assert_true(centers[j] >= centers[j - 1]);
		pb_kmeans1d_free(s);
	}
	assert_true(sum_lloyd < 1.3 * sum_exact); /* it is a fair solver all the same */
}

static void check_both(const float *x, const float *a, uint32_t n, unsigned k, const double *expected)
{
	double centers[8];
	struct pb_rng r = pb_rng_make(4, 0);
	struct pb_kmeans1d *s = solver(n, k);
	for (int times = 0; times < 2; times++) { /* the memory is for one problem after another */
		pb_kmeans1d_load(s, x, a, n);
		pb_kmeans1d_exact(s, k, centers);
		check_centers(centers, expected, k);
		pb_kmeans1d_lloyd(s, k, 50, TOLERANCE, &r, centers);
		check_centers(centers, expected, k);
	}
	pb_kmeans1d_free(s);
}

static void odd_points(void **state)
{
	(void)state;
	/* all equal, one point, fewer distinct ones than clusters: the last repeats */
	check_both((const float[]){ 3, 3, 3, 3 }, NULL, 4, 4, (const double[]){ 3, 3, 3, 3 });
	check_both((const float[]){ -7 }, NULL, 1, 3, (const double[]){ -7, -7, -7 });
	check_both((const float[]){ 2, 1, 2, 1, 2 }, NULL, 5, 4, (const double[]){ 1, 2, 2, 2 });
	check_both((const float[]){ 0.0f, -0.0f, 0.0f }, NULL, 3, 2, (const double[]){ 0, 0 });
	/* points without weight do not pull; when none has any, each counts 1 */
	check_both((const float[]){ 1, 2, 100, -100 }, (const float[]){ 1, 1, 0, 0 }, 4, 2, (const double[]){ 1, 2 });
	check_both((const float[]){ 1, 2, 100 }, (const float[]){ 0, 2, 0 }, 3, 2, (const double[]){ 2, 2 });
	check_both((const float[]){ 1, 3, 8 }, (const float[]){ 0, 0, 0 }, 3, 1, (const double[]){ 4 });
	check_both((const float[]){ 0, 0, 0, 0 }, (const float[]){ 0, 0, 0, 0 }, 4, 2, (const double[]){ 0, 0 });
	/* one cluster is the weighted mean */
	check_both((const float[]){ 1, 2, 4 }, (const float[]){ 1, 2, 1 }, 3, 1, (const double[]){ 2.25 });
	/* a tie between {0}{1 2} and {0 1}{2}: the clusters that end first */
	double centers[2];
	exact_cost((const float[]){ 0, 1, 2 }, NULL, 3, 2, centers);
	check_centers(centers, (const double[]){ 0, 1.5 }, 2);
	/* magnitudes at both ends of f32 */
	check_both((const float[]){ -3e38f, 3e38f, 1e-42f, 3e38f }, (const float[]){ 3e38f, 1, 1, 3e38f }, 4, 3,
		(const double[]){ -3e38f, 1e-42f, 3e38f });
	exact_cost((const float[]){ 1, 2, 3, 4 }, (const float[]){ 1e-45f, 1e38f, 1e-45f, 1e-30f }, 4, 2, centers);
}

/* Far fewer points at a time than the memory is for, and others before them. */
static void memory_is_used_again(void **state)
{
	(void)state;
	static float x[1000], a[1000];
	struct pb_rng r = pb_rng_make(5, 0);
	struct pb_kmeans1d *s = solver(1000, 16);
	for (unsigned trial = 0; trial < 50; trial++) {
		uint32_t n = 1 + (uint32_t)pb_rng_below(&r, 1000);
		unsigned k = 1 + (unsigned)pb_rng_below(&r, 16);
		double again[16], centers[16];
		draw_points(&r, trial % KINDS, trial % WEIGHTS, x, a, n);
		pb_kmeans1d_load(s, x, a, n);
		pb_kmeans1d_exact(s, k, again);
		exact_cost(x, a, n, k, centers);
		assert_memory_equal(again, centers, k * sizeof *centers);
	}
	pb_kmeans1d_free(s);
	pb_kmeans1d_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_numbers),
		cmocka_unit_test(against_enumeration),
		cmocka_unit_test(against_whole_table),
		cmocka_unit_test(long_rows),
		cmocka_unit_test(lloyd),
		cmocka_unit_test(odd_points),
		cmocka_unit_test(memory_is_used_again),
	};
	return cmocka_run_group_tests_name("kmeans1d", tests, NULL, NULL);
}
