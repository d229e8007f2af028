/* Curves of straight pieces: numbers by hand, crossings against brute force. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "reports/stats/polyline.h"
#include "tests/unit/expect.h"

static void test_at(void **state)
{
	const double x[] = { 1, 2, 4 }, y[] = { 10, 20, 0 };
	const struct pb_polyline l = { 3, x, y, NULL };
	(void)state;
	assert_true(pb_polyline_at(&l, 1) == 10 && pb_polyline_at(&l, 1.5) == 15 && pb_polyline_at(&l, 2) == 20 && pb_polyline_at(&l, 3) == 10 && pb_polyline_at(&l, 4) == 0);
	assert_true(isnan(pb_polyline_at(&l, 0.999)) && isnan(pb_polyline_at(&l, 4.001)) && isnan(pb_polyline_at(&l, NAN)));
}

static void test_compare(void **state)
{
	const double x1[] = { 0, 2 }, y1[] = { 0, 2 }, e1[] = { 0.1, 0.3 }, x2[] = { 1, 3 }, y2[] = { 1.25, 1.25 }, e2[] = { 0.2, 0.2 };
	const struct pb_polyline a = { 2, x1, y1, e1 }, b = { 2, x2, y2, e2 };
	struct pb_polyline_difference d;
	double crossings[4];
	(void)state;
	assert_true(pb_polyline_compare(&d, &a, &b, -INFINITY, INFINITY));
	assert_true(d.low == 1 && d.high == 2);
	assert_float_equal(d.mean, 0.25, 1e-14);
	assert_float_equal(d.above, 48.0 / 64.0, 1e-15);
	/* Over [1, 2] the ends of the first count 1/4 and 3/4, those of the second 3/4 and 1/4. */
	assert_float_equal(d.error, sqrt(0.1 * 0.1 / 16 + 0.3 * 0.3 * 9 / 16 + 0.2 * 0.2 * 10 / 16), 1e-14);
	assert_int_equal(pb_polyline_crossings(&a, &b, crossings), 1);
	assert_float_equal(crossings[0], 1.25, 1e-15);
	assert_false(pb_polyline_compare(&d, &a, &b, 2, INFINITY));
	const double nan_error[] = { NAN, 0.3 };
	const struct pb_polyline c = { 2, x1, y1, nan_error };
	assert_true(pb_polyline_compare(&d, &c, &b, -INFINITY, INFINITY) && isnan(d.error));
	assert_true(pb_polyline_compare(&d, &a, &b, 1.5, 1.75) && d.low == 1.5 && d.high == 1.75 && d.above == 1.0);
}

/* Touching, equal for a while, equal at the ends. */
static void test_touching(void **state)
{
	const double x[] = { 0, 1, 2, 3 }, flat[] = { 1, 1, 1, 1 }, touch[] = { 2, 1, 2, 3 }, along[] = { 2, 1, 1, 0 }, through[] = { 2, 1, 0, 0 }, back[] = { 1, 2, 1, 1 };
	const struct pb_polyline f = { 4, x, flat, NULL };
	double out[8];
	(void)state;
	assert_int_equal(pb_polyline_crossings(&(struct pb_polyline){ 4, x, touch, NULL }, &f, out), 0);
	assert_int_equal(pb_polyline_crossings(&(struct pb_polyline){ 4, x, along, NULL }, &f, out), 1);
	assert_float_equal(out[0], 1.5, 1e-15);
	assert_int_equal(pb_polyline_crossings(&(struct pb_polyline){ 4, x, through, NULL }, &f, out), 1);
	assert_float_equal(out[0], 1.0, 1e-15);
	assert_int_equal(pb_polyline_crossings(&(struct pb_polyline){ 4, x, back, NULL }, &f, out), 0);
	assert_int_equal(pb_polyline_crossings(&f, &f, out), 0);
}

static void test_best(void **state)
{
	const double x1[] = { 0, 4 }, y1[] = { 1, 1 }, x2[] = { 1, 3 }, y2[] = { 0, 2 }, x3[] = { 2, 6 }, y3[] = { 0.5, 0.5 };
	const struct pb_polyline lines[] = { { 2, x1, y1, y1 }, { 2, x2, y2, y2 }, { 2, x3, y3, y3 } };
	struct pb_polyline_stretch *s;
	size_t n;
	(void)state;
	OK(pb_polyline_best(&s, &n, lines, 3, true, ERR));
	assert_int_equal(n, 3);
	assert_true(s[0].low == 1 && s[0].high == 2 && s[0].best == 0 && s[0].second == 1);
	assert_true(s[1].low == 2 && s[1].high == 3 && s[1].best == 1 && s[1].second == 0);
	assert_true(s[2].low == 3 && s[2].high == 4 && s[2].best == 0 && s[2].second == 2);
	pb_free(s);
	OK(pb_polyline_best(&s, &n, lines, 3, false, ERR));
	assert_int_equal(n, 2);
	assert_true(s[0].low == 1 && s[0].high == 2 && s[0].best == 1);
	assert_true(s[1].low == 2 && s[1].high == 4 && s[1].best == 2 && s[1].second == 0);
	pb_free(s);
	OK(pb_polyline_best(&s, &n, lines, 1, true, ERR));
	assert_int_equal(n, 0);
	pb_free(s);
}

/* At 2,000 places the best by looking is the best of the stretch, and crossings are where signs change. */
static void test_against_looking(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 30; seed++) {
		struct pb_rng rng = pb_rng_make(seed, 0);
		double x[3][6], y[3][6], crossings[12];
		struct pb_polyline lines[3];
		struct pb_polyline_stretch *s;
		size_t n, changes = 0;
		for (size_t l = 0; l < 3; l++) {
			double at = pb_rng_unit(&rng);
			for (size_t i = 0; i < 6; i++) {
				x[l][i] = at += 0.05 + pb_rng_unit(&rng);
				y[l][i] = pb_rng_unit(&rng);
			}
			lines[l] = (struct pb_polyline){ 6, x[l], y[l], y[l] };
		}
		OK(pb_polyline_best(&s, &n, lines, 3, true, ERR));
		for (int p = 0; p < 2000; p++) {
			double at = 8.0 * p / 2000, highest = -1;
			size_t best = 3, there = 0, stretch = n;
			for (size_t l = 0; l < 3; l++) {
				double v = pb_polyline_at(&lines[l], at);
				there += !isnan(v);
				if (v > highest) {
					highest = v;
					best = l;
				}
			}
			for (size_t k = 0; k < n; k++)
				if (at > s[k].low && at < s[k].high)
					stretch = k;
			assert_true((there > 1) == (stretch < n));
			assert_true(stretch == n || s[stretch].best == best);
		}
		pb_free(s);
		n = pb_polyline_crossings(&lines[0], &lines[1], crossings);
		for (double at = 0, before = NAN; at < 8; at += 1e-4) {
			double d = pb_polyline_at(&lines[0], at) - pb_polyline_at(&lines[1], at);
			changes += d * before < 0;
			before = d;
		}
		assert_int_equal(n, changes);
		for (size_t i = 0; i < n; i++)
			assert_float_equal(pb_polyline_at(&lines[0], crossings[i]), pb_polyline_at(&lines[1], crossings[i]), 1e-12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_touching),
		cmocka_unit_test(test_best),
		cmocka_unit_test(test_against_looking),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
