/* Codebooks: the search against a plain loop in double, k-means against its definition. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rng.h"
#include "quantizers/kmeans.h"
#include "tests/unit/expect.h"

static void *get_memory(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);
	assert_non_null(p);
	return p;
}

static double squared(const float *a, const float *b, uint32_t n)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
	return sum;
}

static uint32_t plain_nearest(const float *x, const float *centroids, uint32_t k, uint32_t length, double *distance)
{
	uint32_t best = 0;
	*distance = INFINITY;
	for (uint32_t c = 0; c < k; c++) {
		double here = squared(x, centroids + (size_t)c * length, length);
		if (here < *distance) {
			*distance = here;
			best = c;
		}
	}
	return best;
}

static void expect_nearest(const float *x, uint64_t n, const float *centroids, uint32_t k, uint32_t length)
{
	struct pb_nearest *s;
	uint32_t *index = get_memory(n, sizeof *index);
	double *distance = get_memory(n, sizeof *distance);
	OK(pb_nearest_new(&s, k, length, ERR));
	pb_nearest_set(s, centroids);
	pb_nearest_find(s, x, n, index, distance);
	for (uint64_t i = 0; i < n; i++) {
		double shortest;
		uint32_t best = plain_nearest(x + i * length, centroids, k, length, &shortest);
		if (index[i] != best || distance[i] != shortest)
			fail_msg("vector %d of length %u: centroid %u at %a of %u, expected %u at %a", (int)i, length, index[i], distance[i], k,
				best, shortest);
	}
	memset(index, 0xff, n * sizeof *index);
	pb_nearest_find(s, x, n, index, NULL);
	for (uint64_t i = 0; i < n; i++)
		assert_true(index[i] < k);
	pb_nearest_free(s);
	free(index);
	free(distance);
}

static void search_is_exact(void **state)
{
	(void)state;
	static const uint32_t sizes[] = { 2, 3, 4, 31, 32, 33, 255, 256, 257, 600, 4096 }, lengths[] = { 1, 2, 3, 5, 8, 12, 16 };
	struct pb_rng r = pb_rng_make(1, 0);
	for (size_t a = 0; a < sizeof sizes / sizeof *sizes; a++)
		for (size_t b = 0; b < sizeof lengths / sizeof *lengths; b++) {
			uint32_t k = sizes[a], v = lengths[b], n = 1 + (uint32_t)pb_rng_below(&r, 80);
			float *x = get_memory((size_t)n * v, sizeof *x), *c = get_memory((size_t)k * v, sizeof *c);
			for (int kind = 0; kind < 4; kind++) {
				/* spread; all close to a point far from 0, where f32 products say little; few numbers, so many equals; zeros */
				for (size_t i = 0; i < (size_t)(n + k) * v; i++) {
					double z = pb_rng_normal(&r);
					float value = kind == 0 ? (float)z : kind == 1 ? (float)(100 + 0.001 * z) : kind == 2 ? (float)rint(z) : 0;
					*(i < (size_t)n * v ? &x[i] : &c[i - (size_t)n * v]) = value;
				}
				expect_nearest(x, n, c, k, v);
			}
			free(x);
			free(c);
		}
}

/* Scores overflow; distances in double do not. */
static void search_of_huge_numbers(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(2, 0);
	float x[40 * 3], c[50 * 3];
	for (double scale = 1e10; scale < 1e38; scale *= 1e4) {
		for (size_t i = 0; i < sizeof x / sizeof *x; i++)
			x[i] = (float)(scale * (pb_rng_unit(&r) - 0.5));
		for (size_t i = 0; i < sizeof c / sizeof *c; i++)
			c[i] = (float)(scale * (pb_rng_unit(&r) - 0.5));
		expect_nearest(x, 40, c, 50, 3);
	}
}

static double cost_of(const struct pb_vector_runs *runs, const float *centroids, uint32_t k, uint32_t length)
{
	double cost = 0, distance;
	for (uint64_t run = 0; run < runs->n_runs; run++)
		for (uint64_t i = 0; i < runs->run_length; i++) {
			plain_nearest(runs->data + run * runs->stride + i * length, centroids, k, length, &distance);
			cost += runs->weight[run] * distance;
		}
	return cost;
}

/* Runs of normal vectors with weights from 0 up. */
struct runs {
	struct pb_vector_runs runs;
	float *data;
	double *weight;
};

static struct runs make_runs(struct pb_rng *r, uint64_t n_runs, uint64_t run_length, uint32_t length, size_t gap)
{
	struct runs m = { .runs = { .n_runs = n_runs, .run_length = run_length, .stride = run_length * length + gap } };
	m.data = get_memory(n_runs * m.runs.stride, sizeof *m.data);
	m.weight = get_memory(n_runs, sizeof *m.weight);
	for (uint64_t i = 0; i < n_runs; i++) {
		m.weight[i] = i % 5 ? exp(pb_rng_normal(r)) : 0;
		for (uint64_t j = 0; j < m.runs.stride; j++)
			m.data[i * m.runs.stride + j] = j < run_length * length ? (float)pb_rng_normal(r) : NAN; /* a gap is not read */
	}
	m.runs.data = m.data;
	m.runs.weight = m.weight;
	return m;
}

static void free_runs(struct runs *m)
{
	free(m->data);
	free(m->weight);
}

/* More iterations never cost more, and at the end each centroid is the weighted mean of what is nearest to it. */
static void clusters_get_better(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(3, 0);
	struct runs m = make_runs(&r, 20, 30, 3, 7);
	struct pb_kmeans how = { .k = 24, .length = 3, .most = 1 << 20, .tolerance = 0 };
	float centroids[24 * 3];
	double before = INFINITY;
	for (how.iterations = 1; how.iterations <= 200; how.iterations *= 2) {
		struct pb_rng same = pb_rng_make(4, 0);
		OK(pb_kmeans(&how, &m.runs, &same, centroids, ERR));
		double cost = cost_of(&m.runs, centroids, how.k, how.length);
		assert_true(cost <= before * (1 + 1e-6));
		before = cost;
	}
	double sum[24 * 3] = { 0 }, total[24] = { 0 }, distance;
	for (uint64_t run = 0; run < 20; run++)
		for (uint64_t i = 0; i < 30; i++) {
			const float *x = m.data + run * m.runs.stride + i * 3;
			uint32_t c = plain_nearest(x, centroids, 24, 3, &distance);
			for (int d = 0; d < 3; d++)
				sum[c * 3 + (uint32_t)d] += m.weight[run] * x[d];
			total[c] += m.weight[run];
		}
	for (size_t i = 0; i < 24 * 3; i++) {
		assert_true(total[i / 3] > 0);
		assert_true(fabs(centroids[i] - sum[i] / total[i / 3]) < 1e-5);
	}
	free_runs(&m);
}

/* The same by an own plain implementation that starts from the same vectors: all of them take part, so the first k centroids
 * are a choice that the stream of random numbers makes. */
static void follows_lloyd(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(5, 0);
	struct runs m = make_runs(&r, 9, 40, 2, 0);
	struct pb_kmeans how = { .k = 8, .length = 2, .most = 360, .iterations = 0, .tolerance = 0 };
	float start[16], end[16];
	struct pb_rng same = pb_rng_make(6, 0);
	OK(pb_kmeans(&how, &m.runs, &same, start, ERR));
	for (int i = 0; i < 8; i++) {
		double distance;
		plain_nearest(start + 2 * i, m.data, 360, 2, &distance);
		assert_true(distance == 0); /* each is one of the vectors */
		for (int j = 0; j < i; j++)
			assert_true(squared(start + 2 * i, start + 2 * j, 2) > 0);
	}
	how.iterations = 5;
	same = pb_rng_make(6, 0);
	OK(pb_kmeans(&how, &m.runs, &same, end, ERR));
	for (int t = 0; t < 5; t++) {
		double sum[16] = { 0 }, total[8] = { 0 }, distance;
		for (uint32_t i = 0; i < 360; i++) {
			uint32_t c = plain_nearest(m.data + (size_t)i * 2, start, 8, 2, &distance);
			for (uint32_t d = 0; d < 2; d++)
				sum[c * 2 + d] += m.weight[i / 40] * m.data[i * 2 + d];
			total[c] += m.weight[i / 40];
		}
		for (int i = 0; i < 16; i++)
			if (total[i / 2] > 0)
				start[i] = (float)(sum[i] / total[i / 2]);
	}
	assert_memory_equal(start, end, sizeof end);
	free_runs(&m);
}

/* Two far clumps, where random starts leave centroids without vectors: all are used at the end. */
static void no_centroid_stays_empty(void **state)
{
	(void)state;
	const double weight[2] = { 1, 3 };
	float data[2 * 64];
	for (int i = 0; i < 64; i++) {
		data[i] = i < 60 ? 5.0f : (float)i;  /* sixty times the same number, and four others */
		data[64 + i] = i < 60 ? 5.0f : -(float)i;
	}
	struct pb_vector_runs runs = { .data = data, .n_runs = 2, .run_length = 64, .stride = 64, .weight = weight };
	struct pb_kmeans how = { .k = 9, .length = 1, .most = 1000, .iterations = 50, .tolerance = 0 };
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct pb_rng r = pb_rng_make(seed, 0);
		float centroids[9];
		OK(pb_kmeans(&how, &runs, &r, centroids, ERR));
		assert_true(cost_of(&runs, centroids, 9, 1) == 0); /* nine different numbers */
	}
}

static void few_vectors(void **state)
{
	(void)state;
	const double one[3] = { 1, 1, 1 }, none[3] = { 0, 0, 0 };
	const float data[3] = { 2, 2, 7 }, zeros[3] = { 0, 0, 0 };
	struct pb_vector_runs runs = { .data = data, .n_runs = 3, .run_length = 1, .stride = 1, .weight = one };
	struct pb_kmeans how = { .k = 5, .length = 1, .most = 1000, .iterations = 50, .tolerance = 1e-5 };
	struct pb_rng r = pb_rng_make(7, 0);
	float centroids[5];
	OK(pb_kmeans(&how, &runs, &r, centroids, ERR));
	assert_true(cost_of(&runs, centroids, 5, 1) == 0);
	runs.weight = none; /* nothing matters: some numbers, and finite */
	OK(pb_kmeans(&how, &runs, &r, centroids, ERR));
	for (int i = 0; i < 5; i++)
		assert_true(isfinite(centroids[i]));
	runs.weight = one;
	runs.data = zeros;
	OK(pb_kmeans(&how, &runs, &r, centroids, ERR));
	for (int i = 0; i < 5; i++)
		assert_true(centroids[i] == 0);
}

/* Fewer vectors than there are take part: the choice follows from the stream alone, and costs little. */
static void samples(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(8, 0);
	struct runs m = make_runs(&r, 50, 100, 2, 3);
	struct pb_kmeans how = { .k = 16, .length = 2, .most = 5000, .iterations = 30, .tolerance = 1e-6 };
	float all[32], some[32], again[32];
	struct pb_rng a = pb_rng_make(9, 0), b = pb_rng_make(9, 0), c = pb_rng_make(9, 0);
	OK(pb_kmeans(&how, &m.runs, &a, all, ERR));
	how.most = 1000;
	OK(pb_kmeans(&how, &m.runs, &b, some, ERR));
	OK(pb_kmeans(&how, &m.runs, &c, again, ERR));
	assert_memory_equal(some, again, sizeof some);
	assert_true(memcmp(some, all, sizeof some));
	assert_true(cost_of(&m.runs, some, 16, 2) < 1.25 * cost_of(&m.runs, all, 16, 2));
	free_runs(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(search_is_exact),
		cmocka_unit_test(search_of_huge_numbers),
		cmocka_unit_test(clusters_get_better),
		cmocka_unit_test(follows_lloyd),
		cmocka_unit_test(no_centroid_stays_empty),
		cmocka_unit_test(few_vectors),
		cmocka_unit_test(samples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
