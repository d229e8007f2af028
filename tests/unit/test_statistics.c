/* Statistics against the goldens of the formulas' sources, scipy 1.17 and enumeration. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rng.h"
#include "reports/stats/statistics.h"
#include "tests/unit/expect.h"

static void near(double value, double expected, double relative)
{
	if (!(fabs(value - expected) <= relative * fmax(1e-300, fabs(expected))))
		fail_msg("%.17g, expected %.17g", value, expected);
}

/* Eight differences, of a second and a first system. */
static const double differences[] = { 0.3 - 0.1, -1.2 + 1.0, 0.7 - 0.2, 2.1 - 1.1, -0.4 + 0.9, 0.9 - 1.0, 1.5 - 0.5, 0.1 - 0.3 };
static const double weights[] = { 10, 12, 5, 30, 8, 9, 20, 6 };
static const uint32_t clusters[] = { 0, 0, 1, 1, 1, 4, 4, 7 };

static void errors_of_means(void **state)
{
	struct pb_scores s = { .sums = differences, .n = 8 };
	struct pb_mean e;

	(void)state;
	OK(pb_scores_mean(&s, &e, ERR));
	near(e.value, 0.3375, 1e-14);
	near(e.stderr_value, 0.17519122205668378, 1e-14);
	assert_int_equal(e.n_units, 8);
	s.clusters = clusters;
	OK(pb_scores_mean(&s, &e, ERR));
	near(e.stderr_value, 0.17747571199523129, 1e-14);
	assert_int_equal(e.n_units, 4);
	s.weights = weights;
	OK(pb_scores_mean(&s, &e, ERR));
	near(e.value, 0.027, 1e-14);
	near(e.stderr_value, 0.01158828225900136, 1e-13);
	s.clusters = NULL;
	OK(pb_scores_mean(&s, &e, ERR));
	near(e.stderr_value, 0.010635520002063166, 1e-13);
}

static void errors_of_shares(void **state)
{
	static const double errors[] = { 0.1, 0.05, 0.2 };

	(void)state;
	near(pb_stderr_binomial(0.5, 100), 0.05, 1e-15);
	assert_true(isnan(pb_stderr_binomial(0.5, 0)) && isnan(pb_stderr_binomial(1.5, 10)));
	near(pb_stderr_of_mean(errors, 3), sqrt(0.01 + 0.0025 + 0.04) / 3, 1e-15);
}

static void what_cannot_be_known(void **state)
{
	static const double one[] = { 3 }, same[] = { 2, 2, 2, 2 };
	static const uint32_t together[] = { 1, 1, 1, 1 };
	struct pb_scores s = { .sums = one, .n = 0 };
	struct pb_mean e;
	struct pb_test t;

	(void)state;
	OK(pb_scores_mean(&s, &e, ERR));
	assert_true(isnan(e.value) && isnan(e.stderr_value));
	s.n = 1;
	OK(pb_scores_mean(&s, &e, ERR));
	assert_true(e.value == 3 && isnan(e.stderr_value));
	assert_true(isnan(pb_test_zero(&e).p) && isnan(pb_equivalence_test(&e, 1).p));
	s = (struct pb_scores){ .sums = same, .clusters = together, .n = 4 };
	OK(pb_scores_mean(&s, &e, ERR));
	assert_true(e.n_units == 1 && isnan(e.stderr_value));
	/* Four times the same: the sign test's p, not zero. */
	s.clusters = NULL;
	OK(pb_scores_mean(&s, &e, ERR));
	t = pb_test_zero(&e);
	assert_true(e.stderr_value == 0 && t.p == 0.125 && t.low == 2 && t.high == 2);
}

static void distributions(void **state)
{
	static const struct { double t, df, p; } upper[] = { { 2.5, 1, 0.12111894159084341 }, { 2.5, 3, 0.04385332350403278 }, { -1, 7, 0.82469166858989629 },
		{ 2.04, 34, 0.024589895978499664 }, { 3.3, 1499, 0.00049477518069178112 }, { 12, 20, 6.7977785129403297e-11 },
		{ 1.96, 1e6, 0.024998033792634926 }, { 40, 5000, 4.2074252359678853e-304 }, { 0, 5, 0.5 } };
	static const struct { double p, df, t; } quantiles[] = { { .975, 1, 12.706204736174694 }, { .975, 4, 2.7764451051977934 }, { .95, 61, 1.6702194837737365 },
		{ .975, 1499, 1.9615478106169344 }, { .01, 9, -2.8214379250258093 }, { .975, INFINITY, 1.959963984540054 } };
	static const struct { double p, z; } normal[] = { { .975, 1.959963984540054 }, { .8, 0.8416212335729143 }, { 1e-10, -6.3613409024040557 },
		{ .3, -0.52440051270804089 }, { .999999, 4.7534243088170873 } };

	(void)state;
	for (size_t i = 0; i < sizeof(upper) / sizeof(*upper); i++)
		near(pb_t_upper(upper[i].t, upper[i].df), upper[i].p, upper[i].p < 1e-200 ? 1e-9 : 1e-10);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(*quantiles); i++)
		near(pb_t_quantile(quantiles[i].p, quantiles[i].df), quantiles[i].t, 1e-11);
	for (size_t i = 0; i < sizeof(normal) / sizeof(*normal); i++)
		near(pb_normal_quantile(normal[i].p), normal[i].z, 1e-10);
	/* scipy.stats.chi2.sf */
	near(pb_chi2_upper(238.4, 5), 1.6917239591137909e-49, 1e-12);
	near(pb_chi2_upper(3.84, 1), 0.05004352124870519, 1e-14);
	near(pb_chi2_upper(0.5, 2), 0.7788007830714049, 1e-14);
	near(pb_chi2_upper(10, 4), 0.04042768199451279, 1e-14);
	near(pb_chi2_upper(7, 3), 0.07189777249646509, 1e-14);
	near(pb_chi2_upper(1e-3, 6), 0.9999999999791744, 1e-15);
	assert_true(pb_chi2_upper(2000, 5) == 0 && pb_chi2_upper(0, 5) == 1 && pb_chi2_upper(-1, 2) == 1 && isnan(pb_chi2_upper(NAN, 2)));
	assert_true(fabs(pb_normal_quantile(0.5)) < 1e-15 && isnan(pb_normal_quantile(0)) && isnan(pb_normal_quantile(1)) && isnan(pb_t_upper(NAN, 3)));
}

static void paired_difference(void **state)
{
	struct pb_scores s = { .sums = differences, .n = 8 };
	struct pb_mean e;
	struct pb_test t;
	struct pb_equivalence q;
	double d[1000];

	(void)state;
	OK(pb_scores_mean(&s, &e, ERR));
	t = pb_test_zero(&e);
	near(t.p, 0.095417347448906578, 1e-12);
	near(t.low, -0.076761412341411095, 1e-11);
	near(t.high, 0.75176141234141114, 1e-12);
	q = pb_equivalence_test(&e, 1);
	near(q.p, 0.0034390256095506748, 1e-11);
	near(q.low, 0.005586458891834567, 1e-10);
	near(q.high, 0.66941354110816542, 1e-12);
	assert_true(q.equivalent && !pb_equivalence_test(&e, 0.6).equivalent);
	/* 1000 items, 25 and 10 of them discordant. */
	for (size_t i = 0; i < 1000; i++)
		d[i] = i < 25 ? 1 : i < 35 ? -1 : 0;
	s = (struct pb_scores){ .sums = d, .n = 1000 };
	OK(pb_scores_mean(&s, &e, ERR));
	near(e.value, 0.015, 1e-14);
	near(e.stderr_value, 0.0058999838, 2e-8);
	near(e.value / e.stderr_value, 2.54238, 1e-5);
}

static void mcnemar(void **state)
{
	static const struct { uint64_t b, c; double p, mid_p; } cases[] = { { 25, 10, 0.016673847800120715, 0.011330984183587134 }, { 10, 25, 0.016673847800120715, 0.011330984183587134 },
		{ 0, 5, 0.0625, 0.03125 }, { 7, 7, 1, 1 }, { 1, 0, 1, 0.5 }, { 120, 80, 0.0056851559967503063, 0.0046600519746401196 },
		{ 1100, 900, 8.4570895355038098e-06, 7.6566283477573221e-06 }, { 0, 0, 1, 1 } };
	struct pb_mcnemar m;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		m = pb_mcnemar(cases[i].b, cases[i].c);
		near(m.p, cases[i].p, 1e-10);
		near(m.mid_p, cases[i].mid_p, 1e-10);
	}
	near(pb_mcnemar(25, 10).chi2, 5.6, 1e-14);
	m = pb_mcnemar(1200, 1300);
	near(m.p, 0.04770352868301684, 1e-12);
	assert_true(isnan(m.mid_p));
}

/* Every table of up to 12 discordant items, by counting all 2^n ways in which a coin decides them. */
static void mcnemar_by_counting(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 12; n++)
		for (unsigned b = 0; b <= n; b++) {
			unsigned hits = 0, far = b > n - b ? 2 * b - n : n - 2 * b;

			for (unsigned way = 0; way < 1u << n; way++) {
				unsigned ones = (unsigned)__builtin_popcount(way);

				hits += (ones > n - ones ? 2 * ones - n : n - 2 * ones) >= far;
			}
			near(pb_mcnemar(b, n - b).p, (double)hits / (1u << n), 1e-12);
		}
}

static void flips(void **state)
{
	static const int32_t gold[] = { 0, 1, 2, 3, 0, 1 }, first[] = { 0, 1, 0, 0, 1, 2 }, second[] = { 0, 0, 2, 1, 1, 3 };
	struct pb_flips f = pb_flips_count(first, second, gold, 6);

	(void)state;
	assert_int_equal(f.lost, 1);
	assert_int_equal(f.won, 1);
	assert_int_equal(f.changed, 4);
}

/* All 4^4 resamples of four units against many random ones: mean, spread and interval. */
static void bootstrap_by_counting(void **state)
{
	static const double x[] = { 1, 2, 4, 9 };
	double squares = 0;
	struct pb_scores s = { .sums = x, .n = 4 };
	struct pb_resampling rs;
	struct pb_bootstrap b;
	size_t below = 0;

	(void)state;
	for (unsigned way = 0; way < 256; way++) {
		double mean = (x[way & 3] + x[way >> 2 & 3] + x[way >> 4 & 3] + x[way >> 6]) / 4;

		squares += (mean - 4) * (mean - 4) / 256;
		below += mean <= 1.25;
	}
	assert_int_equal(below, 5); /* 1.95 %: 1.25 is the 2.5 % point, or the next mean, 1.5 */
	OK(pb_resampling_make(&rs, 4, 40000, 3, ERR));
	OK(pb_bootstrap(&rs, &s, &b, ERR));
	near(b.stderr_value, sqrt(squares), 0.01);
	near(b.low, 1.5, 1e-12);
	near(b.p, 2.0 / 40001, 1e-12);
	pb_resampling_free(&rs);
}

static void bootstrap_of_clusters_and_weights(void **state)
{
	struct pb_scores s = { .sums = differences, .weights = weights, .clusters = clusters, .n = 8 };
	/* The clusters as items of their own. */
	static const double sums[] = { 0.2 - 0.2, 0.5 + 1.0 + 0.5, -0.1 + 1.0, -0.2 }, sizes[] = { 22, 43, 29, 6 };
	struct pb_scores whole = { .sums = sums, .weights = sizes, .n = 4 };
	struct pb_resampling rs, again;
	struct pb_bootstrap b, c;
	struct pb_error why;

	(void)state;
	OK(pb_resampling_make(&rs, 4, 2000, 0, ERR));
	OK(pb_bootstrap(&rs, &s, &b, ERR));
	OK(pb_bootstrap(&rs, &whole, &c, ERR));
	near(b.low, c.low, 1e-9);
	near(b.high, c.high, 1e-12);
	near(b.stderr_value, c.stderr_value, 1e-12);
	/* Same seed, same draws, however many replicates there are. */
	OK(pb_resampling_make(&again, 4, 100, 0, ERR));
	assert_memory_equal(rs.counts, again.counts, 400);
	s.clusters = NULL;
	assert_int_equal(pb_bootstrap(&rs, &s, &b, &why), PB_FAILED);
	pb_resampling_free(&rs);
	pb_resampling_free(&again);
}

static void sign_flips(void **state)
{
	struct pb_scores s = { .sums = differences, .n = 8 };
	double p, many[40], random;

	(void)state;
	OK(pb_sign_flip(&s, 0, 0, &p, ERR));
	near(p, 0.125, 1e-14); /* scipy.stats.permutation_test, all 256 sign vectors */
	/* Where both can be had: the same differences with 32 zeros are beyond the exact limit and have the same p. */
	memset(many, 0, sizeof(many));
	memcpy(many, differences, sizeof(differences));
	s = (struct pb_scores){ .sums = many, .n = 40 };
	OK(pb_sign_flip(&s, 100000, 1, &random, ERR));
	assert_true(fabs(random - p) < 4 * sqrt(p * (1 - p) / 100000));
	s.n = 0;
	OK(pb_sign_flip(&s, 10, 0, &p, ERR));
	assert_true(isnan(p));
}

static void families(void **state)
{
	static const double p[] = { .01, .04, NAN, .03, .005, .9, .04 };
	static const double holm[] = { .05, .12, NAN, .12, .03, .9, .12 }, bh[] = { .03, .048, NAN, .048, .03, .9, .048 };
	double adjusted[7];

	(void)state;
	OK(pb_adjust_holm(p, 7, adjusted, ERR));
	for (size_t i = 0; i < 7; i++)
		isnan(holm[i]) ? assert_true(isnan(adjusted[i])) : near(adjusted[i], holm[i], 1e-14);
	OK(pb_adjust_benjamini_hochberg(p, 7, adjusted, ERR));
	for (size_t i = 0; i < 7; i++)
		isnan(bh[i]) ? assert_true(isnan(adjusted[i])) : near(adjusted[i], bh[i], 1e-14);
	OK(pb_adjust_holm(p, 0, adjusted, ERR));
}

static void power(void **state)
{
	(void)state;
	near(pb_smallest_detectable(0.5, 1000), 0.04429695174148298, 1e-12);
	assert_true(pb_items_needed(0.5, 0.01) == 19623);
	assert_true(isnan(pb_items_needed(0.5, 0)) && isnan(pb_smallest_detectable(0.5, 0)));
}

/* 95 % intervals of a paired mean and of a weighted ratio in clusters hold the truth about 95 times in a hundred. */
static void coverage(void **state)
{
	size_t held[2] = {0};

	(void)state;
	for (uint64_t draw = 0; draw < 1000; draw++) {
		struct pb_rng rng = pb_rng_make(11, draw);
		double x[120], w[120], shared = 0;
		uint32_t cluster[120];
		struct pb_scores s = { .sums = x, .n = 120 };

		for (int round = 0; round < 2; round++) {
			struct pb_mean e;
			struct pb_test t;

			for (uint32_t i = 0; i < 120; i++) {
				if (i % 3 == 0)
					shared = pb_rng_normal(&rng);
				cluster[i] = i / 3;
				w[i] = round ? 5 + (double)pb_rng_below(&rng, 20) : 1;
				x[i] = w[i] * (0.25 + pb_rng_normal(&rng) + (round ? shared : 0));
			}
			s.weights = round ? w : NULL;
			s.clusters = round ? cluster : NULL;
			OK(pb_scores_mean(&s, &e, ERR));
			t = pb_test_zero(&e);
			held[round] += t.low <= 0.25 && 0.25 <= t.high;
		}
	}
	assert_in_range(held[0], 930, 970);
	assert_in_range(held[1], 925, 970);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_of_means),
		cmocka_unit_test(errors_of_shares),
		cmocka_unit_test(what_cannot_be_known),
		cmocka_unit_test(distributions),
		cmocka_unit_test(paired_difference),
		cmocka_unit_test(mcnemar),
		cmocka_unit_test(mcnemar_by_counting),
		cmocka_unit_test(flips),
		cmocka_unit_test(bootstrap_by_counting),
		cmocka_unit_test(bootstrap_of_clusters_and_weights),
		cmocka_unit_test(sign_flips),
		cmocka_unit_test(families),
		cmocka_unit_test(power),
		cmocka_unit_test(coverage),
	};

	return cmocka_run_group_tests_name("statistics", tests, NULL, NULL);
}
