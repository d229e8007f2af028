/* Dominance: against brute force, published clouds of points with known fronts, and cases small enough to compute by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/csv.h"
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "reports/stats/dominance.h"
#include "reports/stats/statistics.h"
#include "tests/unit/expect.h"

#define MAX 64
static const struct pb_axes two = { 2, { false, false } }, size_accuracy = { 2, { false, true } }, three = { 3, { false, true, false } };

static void test_dominates(void **state)
{
	(void)state;
	const double a[] = { 1, 5 }, b[] = { 1, 5 }, c[] = { 1, 6 }, d[] = { 2, 7 }, bad[] = { 0, NAN };
	assert_false(pb_dominates(&two, a, b)); /* equal */
	assert_true(pb_dominates(&two, a, c));
	assert_false(pb_dominates(&two, c, a));
	assert_true(pb_dominates(&size_accuracy, c, a));
	assert_false(pb_dominates(&size_accuracy, d, a)); /* larger and better */
	assert_false(pb_dominates(&two, bad, d));
	assert_false(pb_dominates(&two, a, bad));
	/* A lead of 1 in y is not one of 1.5; a handicap of 1 in x is enough for d. */
	assert_true(pb_dominates_within(&two, a, c, (double[]){ 0, -1 }));
	assert_false(pb_dominates_within(&two, a, c, (double[]){ 0, -1.5 }));
	assert_true(pb_dominates_within(&size_accuracy, d, c, (double[]){ 1, 0 }));
	assert_false(pb_dominates_within(&size_accuracy, d, c, (double[]){ 0.5, 0 }));
}

static void brute_force(const struct pb_axes *axes, const double *values, size_t n, enum pb_membership *members)
{
	for (size_t i = 0; i < n; i++) {
		const double *q = values + i * axes->n;
		bool finite = true;
		members[i] = PB_MEMBER_YES;
		for (unsigned k = 0; k < axes->n; k++)
			finite = finite && isfinite(q[k]);
		for (size_t j = 0; j < n; j++) {
			const double *p = values + j * axes->n;
			if (!finite || pb_dominates(axes, p, q))
				members[i] = PB_MEMBER_NO;
			else if (j != i && members[i] != PB_MEMBER_NO && memcmp(p, q, axes->n * sizeof *p) == 0)
				members[i] = PB_MEMBER_TIED;
		}
	}
}

/* Volume by counting: coordinates are small integers, so cells of side 1 are in or out. */
static double count_cells(const struct pb_axes *axes, const double *values, size_t n, const double *reference, int side)
{
	double volume = 0.0;
	int cells = axes->n == 3 ? side * side * side : side * side;
	for (int c = 0; c < cells; c++) {
		const int at[] = { c % side, c / side % side, c / side / side };
		bool in = false;
		for (size_t i = 0; i < n && !in; i++) {
			in = true;
			for (unsigned k = 0; k < axes->n; k++) {
				double p = values[i * axes->n + k], low = at[k], high = at[k] + 1;
				in = in && (axes->higher_is_better[k] ? p >= high && low >= reference[k] : p <= low && high <= reference[k]);
			}
		}
		volume += in;
	}
	return volume;
}

static void test_brute_force(void **state)
{
	(void)state;
	struct pb_rng rng = pb_rng_make(1, 0);
	for (int trial = 0; trial < 600; trial++) {
		const struct pb_axes *axes = trial % 3 == 0 ? &two : trial % 3 == 1 ? &size_accuracy : &three;
		double values[3 * MAX], reference[3], volume;
		enum pb_membership got[MAX], expected[MAX];
		size_t n = pb_rng_below(&rng, MAX);
		for (size_t i = 0; i < n * axes->n; i++)
			values[i] = trial >= 300 && pb_rng_below(&rng, 20) == 0 ? NAN : (double)pb_rng_below(&rng, 8);
		OK(pb_front_members(axes, values, n, got, ERR));
		brute_force(axes, values, n, expected);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(got[i], expected[i]);
		for (unsigned k = 0; k < axes->n; k++)
			reference[k] = axes->higher_is_better[k] ? 2 : 6;
		OK(pb_hypervolume(axes, values, n, reference, &volume, ERR));
		assert_float_equal(volume, count_cells(axes, values, n, reference, 8), 1e-12);
	}
}

static void test_small_volume(void **state)
{
	(void)state;
	const double points[] = { 1, 5, 2, 3, 4, 2, 3, 4 }, reference[] = { 6, 6 };
	double volume;
	OK(pb_hypervolume(&two, points, 4, reference, &volume, ERR));
	assert_float_equal(volume, 15.0, 0.0);
	OK(pb_hypervolume(&two, points, 0, reference, &volume, ERR));
	assert_float_equal(volume, 0.0, 0.0);
}

static void read_csv(struct pb_csv *csv, const char *path)
{
	char *data = NULL;
	size_t size = 0;
	OK(pb_file_read(path, 1 << 20, &data, &size, ERR));
	OK(pb_csv_parse(csv, path, data, size, ERR));
	pb_free(data);
}

static double number(const struct pb_csv *csv, size_t row, size_t field)
{
	double value = NAN;
	assert_true(csv->fields[row][field] && pb_parse_double(csv->fields[row][field], &value));
	return value;
}

/* Perplexity table of llama.cpp: many ties in size, and one in divergence to beat them. */
static void test_llama3_8b(void **state)
{
	(void)state;
	struct pb_csv csv;
	double all[2 * MAX], imatrix[2 * MAX], plain[2 * MAX], volume;
	const double reference[] = { 16, 6 };
	size_t n = 0, n_imatrix = 0, n_plain = 0, n_front = 0;
	enum pb_membership members[MAX], of_plain[MAX];
	size_t plain_row[MAX];
	read_csv(&csv, "tests/vectors/dominance/llama3_8b.csv");
	for (size_t r = 1; r < csv.n_rows; r++, n++) {
		double *list = csv.fields[r][1] ? imatrix : plain;
		size_t *n_list = csv.fields[r][1] ? &n_imatrix : &n_plain;
		if (!csv.fields[r][1])
			plain_row[n_plain] = r;
		all[2 * n] = list[2 * *n_list] = number(&csv, r, 2);
		all[2 * n + 1] = list[2 * *n_list + 1] = number(&csv, r, 3);
		++*n_list;
	}
	assert_int_equal(n, 46);
	assert_int_equal(n_imatrix, 31);
	OK(pb_front_members(&two, all, n, members, ERR));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(members[i], number(&csv, i + 1, 4) != 0 ? PB_MEMBER_YES : PB_MEMBER_NO);
		n_front += members[i] != PB_MEMBER_NO;
	}
	assert_int_equal(n_front, 21);
	OK(pb_front_members(&two, plain, n_plain, of_plain, ERR));
	for (size_t i = 0; i < n_plain; i++)
		assert_int_equal(of_plain[i], number(&csv, plain_row[i], 5) != 0 ? PB_MEMBER_YES : PB_MEMBER_NO);
	OK(pb_hypervolume(&two, all, n, reference, &volume, ERR));
	assert_float_equal(volume, 83.515297, 5e-7);
	OK(pb_hypervolume(&two, imatrix, n_imatrix, reference, &volume, ERR));
	assert_float_equal(volume, 83.242234, 5e-7);
	OK(pb_hypervolume(&two, plain, n_plain, reference, &volume, ERR));
	assert_float_equal(volume, 77.846184, 5e-7);
	assert_float_equal(pb_epsilon_indicator(&two, imatrix, n_imatrix, plain, n_plain), 0.027601, 5e-7);
	assert_float_equal(pb_epsilon_indicator(&two, plain, n_plain, imatrix, n_imatrix), 1.08, 5e-7);
	assert_true(pb_epsilon_indicator(&two, all, n, plain, n_plain) <= 0.0);
	pb_csv_free(&csv);
}

enum convention { PAPER, ALL_AT_W, PACKED, PACKED_8, CONVENTIONS };

static double model_bits(const struct pb_csv *csv, size_t row, enum convention convention)
{
	double w = number(csv, row, 1), linear = number(csv, row, 2), embedding = number(csv, row, 3), rows = number(csv, row, 4), norms = number(csv, row, 5);
	double packed = w == 1.58 ? 1.6 : w; /* five ternary weights are a byte */
	switch (convention) {
	case PAPER: return w * linear + 4 * embedding;
	case ALL_AT_W: return w * (linear + embedding);
	case PACKED: return packed * linear + 16 * (rows + norms + embedding);
	default: return packed * linear + 16 * (rows + norms) + 8 * embedding;
	}
}

/* 25 models of ParetoQ: 16 are on the front of the paper's sizes; counted otherwise, one model joins. */
static void test_paretoq(void **state)
{
	(void)state;
	static const char *const joins[CONVENTIONS][2] = { { "", "" }, { "350M", "1" }, { "350M", "3" }, { "350M", "3" } };
	struct pb_csv csv;
	read_csv(&csv, "tests/vectors/dominance/paretoq.csv");
	assert_int_equal(csv.n_rows, 26);
	assert_float_equal(model_bits(&csv, 1, PAPER) / 8 / 1048576, 21.4, 0.05);
	assert_float_equal(model_bits(&csv, 25, PAPER) / 8 / 1048576, 720.5, 0.05);
	for (int c = 0; c < CONVENTIONS; c++) {
		double values[50];
		enum pb_membership members[25];
		for (size_t i = 0; i < 25; i++) {
			values[2 * i] = model_bits(&csv, i + 1, (enum convention)c);
			values[2 * i + 1] = number(&csv, i + 1, 6);
		}
		OK(pb_front_members(&size_accuracy, values, 25, members, ERR));
		for (size_t i = 0; i < 25; i++) {
			char **f = csv.fields[i + 1];
			bool expected = strcmp(f[7], "1") == 0 || (strcmp(f[0], joins[c][0]) == 0 && strcmp(f[1], joins[c][1]) == 0);
			assert_int_equal(members[i] != PB_MEMBER_NO, expected);
		}
	}
	pb_csv_free(&csv);
}

/* Two points whose order is a coin with known odds: P(second beats first) = Phi(1/sqrt(2)) = 0.7602. */
static void test_normal_draws(void **state)
{
	(void)state;
	const double values[] = { 1, 0.5, 2, 0.6, 3, 0.2, 4, NAN }, stderrs[] = { 0, 0.1, 0, 0.1, 0, 0, 0, 0 }, reference[] = { 4, 0 };
	struct pb_normal_draws draws = { values, stderrs, 4, 2, 7 };
	double p[4], volumes[4000], again[4000], mean = 0.0;
	OK(pb_front_probability(&size_accuracy, 4, 4000, pb_draw_normal, &draws, p, reference, volumes, ERR));
	assert_float_equal(p[0], 1.0, 0.0); /* nothing is smaller */
	assert_float_equal(p[1], 0.7602, 0.025);
	assert_float_equal(p[2], 0.0, 0.002);
	assert_float_equal(p[3], 0.0, 0.0);
	for (size_t r = 0; r < 4000; r++)
		mean += volumes[r] / 4000;
	/* 1 * y1 + 2 * E max(y1, y2), E max = 0.55 + ... of two normals with difference 0.1 +- 0.1414 */
	double emax = 0.6 * 0.76025 + 0.5 * 0.23975 + 0.1414214 * exp(-0.25) / sqrt(2 * 3.14159265358979);
	assert_float_equal(mean, 0.5 + 2 * emax, 0.01);
	OK(pb_front_probability(&size_accuracy, 4, 4000, pb_draw_normal, &draws, p, reference, again, ERR));
	assert_memory_equal(volumes, again, sizeof again);
}

/* Items are shared: a point that has every item of another and one more is never beaten by it. */
static void test_shared_items(void **state)
{
	(void)state;
	static double draws[3 * 2000];
	double scores[3][40], p[3];
	const double values[] = { 1, 0, 2, 0, 3, 0 };
	struct pb_resampling resampling;
	struct pb_made_draws made = { values, { NULL, draws }, 3, 2000, 2 };
	OK(pb_resampling_make(&resampling, 40, 2000, 11, ERR));
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < 40; k++)
			scores[i][k] = k < 20 || (i == 2 && k == 30);
		OK(pb_resampling_values(&resampling, &(struct pb_scores){ .sums = scores[i], .n = 40 }, draws + i * 2000, ERR));
	}
	OK(pb_front_probability(&size_accuracy, 3, 2000, pb_draw_made, &made, p, NULL, NULL, ERR));
	assert_float_equal(p[0], 1.0, 0.0);
	assert_float_equal(p[1], 0.0, 0.0); /* never better than the smaller one */
	assert_float_equal(p[2], 1.0 - pow(1.0 - 1.0 / 40.0, 40), 0.035); /* when item 30 was drawn */
	pb_resampling_free(&resampling);
}

static void test_curves(void **state)
{
	(void)state;
	const double x1[] = { 0, 1, 3 }, y1[] = { 0, 1, 1 }, x2[] = { 1, 2, 4 }, y2[] = { 0, 1, 3 };
	assert_float_equal(pb_curve_at(x1, y1, 3, 0.25), 0.25, 0.0);
	assert_float_equal(pb_curve_at(x1, y1, 3, 3), 1.0, 0.0);
	assert_true(isnan(pb_curve_at(x1, y1, 3, 3.0001)));
	assert_true(isnan(pb_curve_at(x1, y1, 3, NAN)));
	/* On [1, 3]: 1 - (x - 1), so the mean is 0 and half is above; 64 points do not hit the middle. */
	struct pb_curve_difference d = pb_curve_compare(x1, y1, 3, x2, y2, 3);
	assert_float_equal(d.low, 1.0, 0.0);
	assert_float_equal(d.high, 3.0, 0.0);
	assert_float_equal(d.mean, 0.0, 1e-12);
	assert_float_equal(d.share_above, 0.5, 1e-12);
	const double x3[] = { 5, 6 };
	assert_true(isnan(pb_curve_compare(x1, y1, 3, x3, y2, 2).mean));
	assert_true(isnan(pb_curve_compare(x1, y1, 0, x3, y2, 2).mean));
}

/* Against a sweep over all points for each place and replicate. */
static void test_attainment(void **state)
{
	(void)state;
	static const struct pb_axes kinds[] = { { 2, { false, false } }, { 2, { false, true } }, { 2, { true, false } }, { 2, { true, true } } };
	const double quantiles[] = { 0.05, 0.5, 0.95 };
	struct pb_rng rng = pb_rng_make(3, 0);
	for (int trial = 0; trial < 40; trial++) {
		const struct pb_axes *axes = &kinds[trial % 4];
		double values[2 * 12], draws[12 * 21], places[12], found[3 * 12];
		size_t n = 1 + pb_rng_below(&rng, 12);
		for (size_t i = 0; i < n; i++) {
			places[i] = values[2 * i] = (double)pb_rng_below(&rng, 6);
			values[2 * i + 1] = 0.0;
			for (size_t r = 0; r < 21; r++)
				draws[i * 21 + r] = (double)pb_rng_below(&rng, 50);
		}
		const struct pb_made_draws made = { values, { NULL, draws }, n, 21, 2 };
		OK(pb_attainment(axes, n, 21, pb_draw_made, &made, places, n, quantiles, 3, found, ERR));
		for (size_t k = 0; k < n; k++) {
			double best[21];
			for (size_t r = 0; r < 21; r++) {
				best[r] = axes->higher_is_better[1] ? -INFINITY : INFINITY;
				for (size_t i = 0; i < n; i++)
					if (axes->higher_is_better[0] ? values[2 * i] >= places[k] : values[2 * i] <= places[k])
						best[r] = axes->higher_is_better[1] ? fmax(best[r], draws[i * 21 + r]) : fmin(best[r], draws[i * 21 + r]);
			}
			for (size_t r = 0; r < 21; r++) { /* 21 values: quantiles are the second, the eleventh and the twentieth */
				size_t below = 0, equal = 0;
				for (size_t i = 0; i < 21; i++) {
					below += best[i] < best[r];
					equal += best[i] == best[r];
				}
				for (size_t q = 0; q < 3; q++) {
					size_t rank = q == 0 ? 1 : q == 1 ? 10 : 19;
					if (below <= rank && rank < below + equal)
						assert_float_equal(found[3 * k + q], best[r], 0);
				}
			}
		}
	}
	/* Nothing is attained below the first point. */
	const double one[] = { 5.0, 1.0 }, draws[] = { 1.0 }, place = 4.0;
	const struct pb_made_draws made = { one, { NULL, draws }, 1, 1, 2 };
	double found[3];
	OK(pb_attainment(&two, 1, 1, pb_draw_made, &made, &place, 1, quantiles, 3, found, ERR));
	assert_true(isnan(found[0]) && isnan(found[2]));
}

static void test_spans(void **state)
{
	(void)state;
	const double x1[] = { 0, 2, 4 }, y1[] = { 0, 2, 0 }, x2[] = { 1, 5 }, y2[] = { 1, 1 }, flat[] = { 0, 0 };
	struct pb_curve_span s[10];
	/* From 1 to 4: they meet at 1, the first is above until 3. */
	assert_int_equal(pb_curve_spans(x1, y1, 3, x2, y2, 2, s), 2);
	assert_true(s[0].sign == 1 && s[0].low == 1.0 && fabs(s[0].high - 3.0) < 1e-15);
	assert_true(s[1].sign == -1 && s[1].high == 4.0);
	assert_int_equal(pb_curve_spans(x2, y2, 2, x1, y1, 3, s), 2);
	assert_true(s[0].sign == -1 && s[1].sign == 1);
	assert_int_equal(pb_curve_spans(x2, y2, 2, x2, y2, 2, s), 1);
	assert_true(s[0].sign == 0 && s[0].low == 1.0 && s[0].high == 5.0);
	assert_int_equal(pb_curve_spans(x2, flat, 2, x2, y2, 2, s), 1);
	assert_int_equal(s[0].sign, -1);
	assert_int_equal(pb_curve_spans(x1, y1, 1, x2, y2, 2, s), 0);
	assert_int_equal(pb_curve_spans(x1, y1, 0, x2, y2, 2, s), 0);
	/* Many crossings: no more spans than there is room for, one after the other, and together the common range. */
	struct pb_rng rng = pb_rng_make(4, 0);
	for (int trial = 0; trial < 200; trial++) {
		double x[2][9], y[2][9];
		size_t n[2];
		struct pb_curve_span spans[36];
		for (int c = 0; c < 2; c++) {
			n[c] = 2 + pb_rng_below(&rng, 8);
			for (size_t i = 0; i < n[c]; i++) {
				x[c][i] = (i ? x[c][i - 1] : 0.0) + 0.1 + pb_rng_unit(&rng);
				y[c][i] = (double)pb_rng_below(&rng, 4);
			}
		}
		size_t k = pb_curve_spans(x[0], y[0], n[0], x[1], y[1], n[1], spans);
		assert_true(k <= 2 * (n[0] + n[1]));
		struct pb_curve_difference d = pb_curve_compare(x[0], y[0], n[0], x[1], y[1], n[1]);
		assert_int_equal(k > 0, isfinite(d.mean));
		for (size_t i = 0; i < k; i++) {
			double at = 0.5 * (spans[i].low + spans[i].high), a = pb_curve_at(x[0], y[0], n[0], at) - pb_curve_at(x[1], y[1], n[1], at);
			assert_true(spans[i].low < spans[i].high);
			assert_true(spans[i].low == (i ? spans[i - 1].high : d.low));
			/* In the middle of a span the sign is its own, or they touch there. */
			assert_true(spans[i].sign == (a > 0.0) - (a < 0.0) || fabs(a) < 1e-12);
		}
		if (k)
			assert_float_equal(spans[k - 1].high, d.high, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dominates),
		cmocka_unit_test(test_brute_force),
		cmocka_unit_test(test_small_volume),
		cmocka_unit_test(test_llama3_8b),
		cmocka_unit_test(test_paretoq),
		cmocka_unit_test(test_normal_draws),
		cmocka_unit_test(test_shared_items),
		cmocka_unit_test(test_curves),
		cmocka_unit_test(test_attainment),
		cmocka_unit_test(test_spans),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
