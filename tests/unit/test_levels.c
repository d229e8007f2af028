/* Tables of levels against the printed tables of the literature: Dettmers & Zettlemoyer (arXiv 2212.09720) and
 * bitsandbytes' functional.py. The decimals of float maps are those of the closed form
 * 2^-(e-1) (1 + m/2^M) / (2 - 2^-M) and, for the subnormals, (m/2^M) 2^-(2^E) / (2 - 2^-M). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rng.h"
#include "core/model/levels.h"

static unsigned named(const char *name, float out[PB_MAX_LEVELS])
{
	unsigned n = 0;
	struct pb_error err;
	assert_int_equal(pb_levels_named(name, out, &n, &err), PB_OK);
	return n;
}

static void near(double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%.9g, expected %.9g", got, expected);
}

static void check_ascending(const char *name, unsigned expected_n)
{
	float levels[PB_MAX_LEVELS];
	assert_int_equal(named(name, levels), expected_n);
	for (unsigned i = 1; i < expected_n; i++)
		assert_true(levels[i - 1] < levels[i]);
}

/* A symmetric ascending table by its values >= 0. */
static void check_symmetric(const char *name, const double *values, unsigned n_values)
{
	float levels[PB_MAX_LEVELS];
	check_ascending(name, 2 * n_values - 1);
	named(name, levels);
	for (unsigned i = 0; i < n_values; i++) {
		near(levels[n_values - 1 + i], values[i], 4e-8);
		near(levels[n_values - 1 - i], -values[i], 4e-8);
	}
}
#define CHECK_SYMMETRIC(name, ...) do { \
	const double values_[] = { __VA_ARGS__ }; \
	check_symmetric(name, values_, sizeof values_ / sizeof *values_); \
} while (0)

static void integers(void **state)
{
	(void)state;
	float levels[PB_MAX_LEVELS];
	assert_int_equal(named("integer", levels), 256);
	for (int i = 0; i < 256; i++)
		assert_true(levels[i] == (float)i);
	assert_int_equal(named("signed:4", levels), 16);
	for (int i = 0; i < 16; i++)
		assert_true(levels[i] == (float)(i - 8));
	assert_int_equal(named("signed:8", levels), 256);
	assert_true(levels[0] == -128.0f && levels[255] == 127.0f);
	assert_int_equal(named("signed:1", levels), 2);
	assert_true(levels[0] == -1.0f && levels[1] == 0.0f);
	assert_int_equal(named("sign", levels), 2);
	assert_true(levels[0] == -1.0f && levels[1] == 1.0f);
	assert_int_equal(named("ternary", levels), 3);
	assert_true(levels[0] == -1.0f && levels[1] == 0.0f && levels[2] == 1.0f);
	assert_int_equal(named("sign_bit", levels), 2);
	assert_true(levels[0] == 1.0f && levels[1] == -1.0f);
	assert_int_equal(named("seq:3", levels), 3);
	assert_true(levels[0] == -2 / 3.0f && levels[1] == 0.0f && levels[2] == 2 / 3.0f);
	assert_int_equal(named("seq:4", levels), 4);
	assert_true(levels[0] == -0.75f && levels[1] == -0.25f && levels[2] == 0.25f && levels[3] == 0.75f);
}

static void linear_maps(void **state)
{
	(void)state;
	CHECK_SYMMETRIC("int:2", 0, 1);
	CHECK_SYMMETRIC("int:3", 0, 0.333333333, 0.666666667, 1);
	CHECK_SYMMETRIC("int:4", 0, 0.142857143, 0.285714286, 0.428571429, 0.571428571, 0.714285714, 0.857142857, 1);
	float levels[PB_MAX_LEVELS];
	for (unsigned k = 2; k <= 8; k++) {
		char name[16] = "int:0";
		name[4] = (char)('0' + k);
		int top = (1 << (k - 1)) - 1;
		assert_int_equal(named(name, levels), 2 * top + 1);
		for (int i = -top; i <= top; i++)
			near(levels[i + top], (double)i / top, 1e-7);
		assert_true(levels[top] == 0.0f);
	}
}

static void float_maps(void **state)
{
	(void)state;
	CHECK_SYMMETRIC("float:2:0", 0, 0.25, 0.5, 1);
	/* 1/12, 2/3 */
	CHECK_SYMMETRIC("float:1:1", 0, 0.083333333, 0.666666667, 1);
	CHECK_SYMMETRIC("float:2:1", 0, 0.020833333, 0.166666667, 0.25, 0.333333333, 0.5, 0.666666667, 1);
	CHECK_SYMMETRIC("float:3:0", 0, 0.015625, 0.03125, 0.0625, 0.125, 0.25, 0.5, 1);
	/* subnormals m/112 and normals 2^-(e-1) (4+m)/7 */
	CHECK_SYMMETRIC("float:2:2", 0, 0.008928571, 0.017857143, 0.026785714, 0.142857143, 0.178571429, 0.214285714,
		0.25, 0.285714286, 0.357142857, 0.428571429, 0.5, 0.571428571, 0.714285714, 0.857142857, 1);
	CHECK_SYMMETRIC("float:3:1", 0, 0.001302083, 0.010416667, 0.015625, 0.020833333, 0.03125, 0.041666667, 0.0625,
		0.083333333, 0.125, 0.166666667, 0.25, 0.333333333, 0.5, 0.666666667, 1);
	/* the closed form for every format that fits in 8 bits */
	for (int e_bits = 1; e_bits <= 7; e_bits++)
		for (int m_bits = 0; e_bits + m_bits <= 7; m_bits++) {
			char name[16] = "float:0:0";
			float levels[PB_MAX_LEVELS];
			name[6] = (char)('0' + e_bits);
			name[8] = (char)('0' + m_bits);
			unsigned half = (1u << (e_bits + m_bits)) - 1;
			check_ascending(name, 2 * half + 1);
			named(name, levels);
			double largest = 2.0 - ldexp(1.0, -m_bits);
			for (unsigned i = 0; i <= half; i++) {
				int step = (int)(i >> m_bits), m = (int)(i & ((1u << m_bits) - 1));
				int field = step ? (1 << e_bits) - step : 0; /* larger fields are smaller numbers */
				double fraction = ldexp(m, -m_bits);
				double v = (field ? ldexp(1.0 + fraction, 1 - field) : ldexp(fraction, -(1 << e_bits))) / largest;
				near(levels[half + i], v, 1e-7 * v);
				assert_true(levels[half - i] == -levels[half + i]);
			}
			assert_true(levels[2 * half] == 1.0f);
		}
}

/* Magnitudes of the signed map; +1 has no negative. */
static void check_dynamic(const char *name, const double *magnitudes, unsigned n)
{
	float levels[PB_MAX_LEVELS];
	check_ascending(name, 2 * n + 2);
	named(name, levels);
	assert_true(levels[n] == 0.0f && levels[2 * n + 1] == 1.0f);
	for (unsigned i = 0; i < n; i++) {
		near(levels[n + 1 + i], magnitudes[i], 3e-7 * magnitudes[i]);
		assert_true(levels[n - 1 - i] == -levels[n + 1 + i]);
	}
}

static void dynamic_maps(void **state)
{
	(void)state;
	const double three[] = { 0.055, 0.325, 0.775 };
	const double four[] = { 0.0055, 0.0325, 0.0775, 0.2125, 0.4375, 0.6625, 0.8875 };
	const double five[] = { 0.00055, 0.00325, 0.00775, 0.02125, 0.04375, 0.06625, 0.08875, 0.15625, 0.26875, 0.38125,
		0.49375, 0.60625, 0.71875, 0.83125, 0.94375 };
	check_dynamic("dynamic:3", three, 3);
	check_dynamic("dynamic:4", four, 7);
	check_dynamic("dynamic:5", five, 15);
	/* the rule in double precision: 10^(i+1-n) times the midpoints of 2^i intervals of [0.1, 1] */
	for (unsigned k = 2; k <= 8; k++) {
		char name[16] = "dynamic:0";
		double magnitudes[128];
		unsigned n = 0;
		name[8] = (char)('0' + k);
		for (unsigned i = 0; i < k - 1; i++)
			for (unsigned j = 0; j < 1u << i; j++)
				magnitudes[n++] = pow(10, (double)i + 2 - k) * (0.1 + 0.9 * (j + 0.5) / (1u << i));
		check_dynamic(name, magnitudes, n);
	}
	float levels[PB_MAX_LEVELS];
	assert_int_equal(named("dynamic:8", levels), 256);
	near(levels[0], -0.99296875, 1e-7);
	near(levels[128], 5.5e-7, 1e-13);
	near(levels[253], 0.97890625, 1e-7);
	near(levels[254], 0.99296875, 1e-7);
	check_ascending("dynamic_unsigned:8", 256);
	named("dynamic_unsigned:8", levels);
	assert_true(levels[0] == 0.0f && levels[255] == 1.0f);
	near(levels[1], 3.25e-7, 1e-13);
	near(levels[254], 0.996484375, 1e-7);
}

static void four_bit_tables(void **state)
{
	(void)state;
	static const double nf4[16] = { -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
		-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
		0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0 };
	static const double bnb[8] = { 0, 0.005208333, 0.666666667, 1, 0.333333333, 0.5, 0.166666667, 0.25 };
	static const double mx[8] = { 0, 0.083333333, 0.166666667, 0.25, 0.333333333, 0.5, 0.666666667, 1 };
	static const double af4[16] = { -1, -.69441008, -.51243739, -.3736951, -.25607552, -.14982478, -.04934812, 0,
		.04273164, .12934483, .21961274, .31675666, .42563882, .55496234, .72424863, 1 };
	float levels[PB_MAX_LEVELS];
	check_ascending("nf4", 16);
	named("nf4", levels);
	for (int i = 0; i < 16; i++)
		assert_true((double)levels[i] == nf4[i]);
	assert_int_equal(named("af4", levels), 16);
	for (int i = 0; i < 16; i++)
		near(levels[15 - i], af4[i], 3e-8);
	assert_int_equal(named("fp4_bnb", levels), 16);
	for (int i = 0; i < 8; i++) {
		near(levels[i], bnb[i], 4e-8);
		assert_true(levels[i + 8] == -levels[i]);
	}
	assert_int_equal(named("fp4_mx", levels), 16);
	for (int i = 0; i < 8; i++) {
		near(levels[i], mx[i], 4e-8);
		assert_true(levels[i + 8] == -levels[i]);
	}
}

static void unknown_names(void **state)
{
	(void)state;
	static const char *const names[] = { "", "int", "int:", "int:1", "int:9", "int:10", "int:4 ", "float:0:3", "float:5:3",
		"float:8:0", "float:2:", "float:2:12", "float:2", "dynamic:1", "dynamic:9", "dynamic_unsigned:", "signed:0",
		"signed:9", "seq:1", "seq:17", "seq:08", "seq:4x", "seq:123", "seq:", "NF4", "ternary2", "integer:8",
		"a name that is much longer than every name of a table could be and goes on" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		float levels[PB_MAX_LEVELS] = { 42.0f };
		unsigned n = 99;
		struct pb_error err;
		assert_int_equal(pb_levels_named(names[i], levels, &n, &err), PB_USAGE);
		assert_true(levels[0] == 42.0f && n == 99);
		assert_int_equal(pb_levels_named(names[i], levels, &n, NULL), PB_USAGE);
	}
}

/* Smallest distance; of two at the same distance the smaller level; of equal levels the lowest code. */
static unsigned naive_nearest(const float *levels, unsigned n, float x)
{
	unsigned best = 0;
	for (unsigned i = 1; i < n; i++) {
		double d = fabs((double)x - levels[i]), b = fabs((double)x - levels[best]);
		if (d < b || (d == b && levels[i] < levels[best]))
			best = i;
	}
	return best;
}

static void check_nearest(const float *levels, unsigned n, struct pb_rng *r)
{
	struct pb_level_search s;
	pb_level_search_make(&s, levels, n);
	assert_true(s.n >= 1 && s.n <= n);
	for (unsigned i = 1; i < s.n; i++)
		assert_true(s.sorted[i - 1] < s.sorted[i]);
	for (unsigned i = 0; i < n; i++) {
		unsigned code = pb_level_nearest(&s, levels[i]);
		assert_true(levels[code] == levels[i] && code <= i);
	}
	for (unsigned i = 0; i + 1 < s.n; i++) {
		float tie = (float)(((double)s.sorted[i] + s.sorted[i + 1]) / 2);
		/* about 0 the step is one that double arithmetic still sees beside a level */
		const float near_tie[] = { tie, tie == 0 ? 1e-12f : nextafterf(tie, INFINITY), tie == 0 ? -1e-12f : nextafterf(tie, -INFINITY) };
		for (int j = 0; j < 3; j++)
			assert_int_equal(pb_level_nearest(&s, near_tie[j]), naive_nearest(levels, n, near_tie[j]));
	}
	for (int i = 0; i < 300; i++) {
		float x = (float)(3.0 * pb_rng_unit(r) - 1.5);
		assert_int_equal(pb_level_nearest(&s, x), naive_nearest(levels, n, x));
	}
	assert_int_equal(pb_level_nearest(&s, -INFINITY), s.code[0]);
	assert_int_equal(pb_level_nearest(&s, INFINITY), s.code[s.n - 1]);
	assert_true(pb_level_nearest(&s, NAN) < n);
}

static void nearest_levels(void **state)
{
	(void)state;
	static const char *const names[] = { "sign", "sign_bit", "ternary", "seq:3", "seq:4", "int:3", "int:8", "signed:4", "float:2:1", "float:3:4", "dynamic:4",
		"dynamic:8", "dynamic_unsigned:8", "nf4", "af4", "fp4_bnb", "fp4_mx", "integer" };
	struct pb_rng r = pb_rng_make(2, 0);
	float levels[PB_MAX_LEVELS];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		unsigned n = named(names[i], levels);
		check_nearest(levels, n, &r);
	}
	for (int round = 0; round < 200; round++) { /* unsorted, with repeats */
		unsigned n = 1 + (unsigned)pb_rng_below(&r, PB_MAX_LEVELS);
		for (unsigned i = 0; i < n; i++)
			levels[i] = round % 2 ? (float)pb_rng_normal(&r) : (float)pb_rng_below(&r, 9) / 8.0f - 0.5f;
		check_nearest(levels, n, &r);
	}
}

static void ties_take_the_smaller(void **state)
{
	(void)state;
	struct pb_level_search s;
	const float levels[5] = { 1.0f, -1.0f, 0.0f, -0.0f, 1.0f };
	pb_level_search_make(&s, levels, 5);
	assert_int_equal(s.n, 3);
	assert_int_equal(pb_level_nearest(&s, 0.5f), 2);
	assert_int_equal(pb_level_nearest(&s, -0.5f), 1);
	assert_int_equal(pb_level_nearest(&s, 0.50000006f), 0);
	assert_int_equal(pb_level_nearest(&s, -0.0f), 2);
	/* a midpoint that f32 cannot hold: 1 + 2^-24 */
	const float close[2] = { 1.0f, 1.00000012f };
	pb_level_search_make(&s, close, 2);
	assert_int_equal(pb_level_nearest(&s, 1.0f), 0);
	assert_int_equal(pb_level_nearest(&s, 1.00000012f), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers),
		cmocka_unit_test(linear_maps),
		cmocka_unit_test(float_maps),
		cmocka_unit_test(dynamic_maps),
		cmocka_unit_test(four_bit_tables),
		cmocka_unit_test(unknown_names),
		cmocka_unit_test(nearest_levels),
		cmocka_unit_test(ties_take_the_smaller),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
