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
	const struct pb_polyline l = { .n = 3, .x = x, .y = y };
	(void)state;
	assert_true(pb_polyline_at(&l, 1) == 10 && pb_polyline_at(&l, 1.5) == 15 && pb_polyline_at(&l, 2) == 20 && pb_polyline_at(&l, 3) == 10 && pb_polyline_at(&l, 4) == 0);
	assert_true(isnan(pb_polyline_at(&l, 0.999)) && isnan(pb_polyline_at(&l, 4.001)) && isnan(pb_polyline_at(&l, NAN)));
}

static void test_compare(void **state)
{
	const double x1[] = { 0, 2 }, y1[] = { 0, 2 }, e1[] = { 0.1, 0.3 }, x2[] = { 1, 3 }, y2[] = { 1.25, 1.25 }, e2[] = { 0.2, 0.2 };
	const struct pb_polyline a = { .n = 2, .x = x1, .y = y1, .errors = e1 }, b = { .n = 2, .x = x2, .y = y2, .errors = e2 };
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
	const struct pb_polyline c = { .n = 2, .x = x1, .y = y1, .errors = nan_error };
	assert_true(pb_polyline_compare(&d, &c, &b, -INFINITY, INFINITY) && isnan(d.error));
	assert_true(pb_polyline_compare(&d, &a, &b, 1.5, 1.75) && d.low == 1.5 && d.high == 1.75 && d.above == 1.0);
}

/* By draws: the deviation of the differences of the drawn lines, and where these cross. */
static void test_drawn(void **state)
{
	enum { DRAWS = 5 };
	static const double x1[] = { 0, 1, 3 }, y1[] = { 0, 1, 2 }, x2[] = { 0.5, 2.5 }, y2[] = { 1.25, 1.25 }, none[] = { NAN, NAN, NAN };
	static const double d1[DRAWS * 3] = { 0, 1, 2, 0.1, 1.3, 2.2, -0.4, 0.9, 1.9, 0.2, 0.8, 2.1, 2, 3, 4 }, d2[DRAWS * 2] = { 1.25, 1.25, 1.5, 1, 0.9, 1.1, 1.2, 1.3, 1, 1 };
	const struct pb_polyline a = { .n = 3, .x = x1, .y = y1, .errors = none, .draws = d1, .n_draws = DRAWS }, b = { .n = 2, .x = x2, .y = y2, .errors = none, .draws = d2, .n_draws = DRAWS };
	struct pb_polyline_difference d, e;
	double mean = 0.0, squares = 0.0, differences[DRAWS], crossings[8], first = NAN, last = NAN, scratch[2 * DRAWS + 5];
	(void)state;
	for (size_t r = 0; r < DRAWS; r++) {
		const struct pb_polyline one = { .n = 3, .x = x1, .y = d1 + 3 * r, .errors = none }, other = { .n = 2, .x = x2, .y = d2 + 2 * r, .errors = none };
		assert_true(pb_polyline_compare(&e, &one, &other, 1, 2) && !e.is_paired && isnan(e.error));
		differences[r] = e.mean;
		mean += e.mean / DRAWS;
		assert_int_equal(pb_polyline_crossings(&one, &other, crossings), r < 4);
		if (r < 4) {
			first = fmin(crossings[0], first);
			last = fmax(crossings[0], last);
		}
	}
	for (size_t r = 0; r < DRAWS; r++)
		squares += pow(differences[r] - mean, 2);
	assert_true(pb_polyline_compare(&d, &a, &b, 1, 2) && d.is_paired);
	assert_float_equal(d.error, sqrt(squares / (DRAWS - 1)), 1e-14);
	const struct pb_polyline_crossing c = pb_polyline_draw_crossing(&a, &b, 1.5, scratch);
	assert_float_equal(c.share, 0.8, 1e-15);
	assert_true(first < c.low && c.low < c.high && c.high < last && c.low - first < 0.1 && last - c.high < 0.1);
	/* A line with itself differs by nothing, whatever its draws. */
	assert_true(pb_polyline_compare(&d, &a, &a, -INFINITY, INFINITY) && d.error == 0.0);
	const struct pb_polyline bare = { .n = 2, .x = x2, .y = y2, .errors = none };
	assert_true(isnan(pb_polyline_draw_crossing(&a, &bare, 1.5, scratch).share));
}

/* Touching, equal for a while, equal at the ends. */
static void test_touching(void **state)
{
	const double x[] = { 0, 1, 2, 3 }, flat[] = { 1, 1, 1, 1 }, touch[] = { 2, 1, 2, 3 }, along[] = { 2, 1, 1, 0 }, through[] = { 2, 1, 0, 0 }, back[] = { 1, 2, 1, 1 };
	const struct pb_polyline f = { .n = 4, .x = x, .y = flat };
	double out[8];
	(void)state;
	assert_int_equal(pb_polyline_crossings(&(struct pb_polyline){ .n = 4, .x = x, .y = touch }, &f, out), 0);
	assert_int_equal(pb_polyline_crossings(&(struct pb_polyline){ .n = 4, .x = x, .y = along }, &f, out), 1);
	assert_float_equal(out[0], 1.5, 1e-15);
	assert_int_equal(pb_polyline_crossings(&(struct pb_polyline){ .n = 4, .x = x, .y = through }, &f, out), 1);
	assert_float_equal(out[0], 1.0, 1e-15);
	assert_int_equal(pb_polyline_crossings(&(struct pb_polyline){ .n = 4, .x = x, .y = back }, &f, out), 0);
	assert_int_equal(pb_polyline_crossings(&f, &f, out), 0);
}

static void test_best(void **state)
{
	const double x1[] = { 0, 4 }, y1[] = { 1, 1 }, x2[] = { 1, 3 }, y2[] = { 0, 2 }, x3[] = { 2, 6 }, y3[] = { 0.5, 0.5 };
	const struct pb_polyline lines[] = { { .n = 2, .x = x1, .y = y1, .errors = y1 }, { .n = 2, .x = x2, .y = y2, .errors = y2 }, { .n = 2, .x = x3, .y = y3, .errors = y3 } };
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
			lines[l] = (struct pb_polyline){ .n = 6, .x = x[l], .y = y[l], .errors = y[l] };
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
		cmocka_unit_test(test_drawn),
		cmocka_unit_test(test_touching),
		cmocka_unit_test(test_best),
		cmocka_unit_test(test_against_looking),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
