/* Fits: gradients, known parameters found again, coverage of intervals, published laws and data.
 *
 * The Chinchilla points and the OLMo ladder are read where PB_TEST_DATA names the folder that holds them. */
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
#include "reports/stats/fit.h"
#include "reports/stats/fit_problem.h"
#include "tests/unit/expect.h"

/* --- forms --- */

/* Parameters that each form can have, and points to see it at. */
static const struct known {
	const char *form;
	double theta[PB_FORM_PARAMETERS], x[PB_FORM_VARIABLES], step[PB_FORM_VARIABLES]; /* x times step a point */
	bool weak;          /* of these points not all parameters are well known */
} known[] = {
	{ "chinchilla", { 6.17, 7.67, 0.597, 0.347, 0.367 }, { 4e7, 3e8 }, { 2.0, 2.9 }, false },
	{ "degradation", { -4.07, 0.525, 0.226, 5.5 }, { 1e8, 1e9, 2 }, { 2.0, 2.9, 1.3 }, false },
	{ "degradation_bits", { 6.0, 0.3, 4.0 }, { 1e5, 2 }, { 2.0, 1.3 }, false },
	{ "degradation_bits_exp", { 6.0, 0.3, -0.5 }, { 1e5, 2 }, { 2.0, 1.3 }, false },
	{ "degradation_exp", { -1.7, 0.507, 0.344, -0.526 }, { 1e8, 1e9, 2 }, { 2.0, 2.9, 1.3 }, false },
	{ "power", { 4.0, -0.5, 0.4 }, { 3e4 }, { 2.1 }, false },
	{ "precision", { 4.0, -0.5, 0.4, 0.8, 0.4 }, { 3e4, 1.5 }, { 2.1, 1.5 }, false },
	{ "precision_data", { 8.0, 9.5, 0.9, 0.5, 0.8, 0.9 }, { 3e7, 1e9, 1.5 }, { 2.0, 2.5, 1.5 }, true },
	{ "qat", { -4.0, 0.2, 0.4, 0.25 }, { 7e7, 1e10, 16 }, { 2.0, 2.9, 2.0 }, false },
	{ "saturating", { 0.9, 20.0, 0.3 }, { 1e5, 0.25 }, { 1.8, 1.0 }, false },
	{ "saturating_free", { 0.3, 0.9, 20.0, 0.1 }, { 1e5 }, { 1.8 }, false },
	{ "saturating_params", { 0.3, 0.9, 20.0, 0.1 }, { 1e5 }, { 1.8 }, false },
	{ "straight", { 3.0, 0.1 }, { 1e5 }, { 2.0 }, false },
	{ "straight_data", { 3.0, 0.1, 0.05 }, { 1e5, 1e6 }, { 2.0, 2.9 }, false },
};
#define N_KNOWN (sizeof known / sizeof *known)
#define N_POINTS 60

/* Points on a lattice of ten levels of each variable, none a power of another, with relative (or plain) errors. */
static struct pb_fit_points points_of(const struct known *k, size_t n, double deviation, uint64_t seed, double *x, double *y)
{
	const struct pb_form *form = pb_form_find(k->form);
	struct pb_rng rng = pb_rng_make(seed, 0);
	for (size_t i = 0; i < n; i++) {
		const size_t levels[] = { i % 10, i * 7 / 10 % 10, (i * 3 + i / 10) % 5 };
		double seen[PB_FORM_VARIABLES];
		for (unsigned v = 0; v < form->n_variables; v++) {
			x[i * form->n_variables + v] = k->x[v] * pow(k->step[v], (double)levels[v]);
			seen[v] = pb_form_transform(form->variables[v].transform, x[i * form->n_variables + v]);
		}
		y[i] = form->predict(k->theta, seen, NULL) + deviation * pb_rng_normal(&rng);
		if (form->is_log)
			y[i] = exp(y[i]);
	}
	return (struct pb_fit_points){ n, x, y };
}

static void test_table(void **state)
{
	(void)state;
	assert_int_equal(pb_n_forms, N_KNOWN);
	for (size_t i = 0; i < pb_n_forms; i++) {
		const struct pb_form *form = pb_forms[i];
		assert_string_equal(form->name, known[i].form);
		assert_true(i == 0 || strcmp(pb_forms[i - 1]->name, form->name) < 0);
		assert_true(form->n_variables <= PB_FORM_VARIABLES && form->n_parameters <= PB_FORM_PARAMETERS && form->n_starts > 0);
		for (unsigned k = 0; k < form->n_parameters; k++)
			assert_true(form->parameters[k].lower < form->parameters[k].upper);
	}
	assert_null(pb_form_find("chinchillas"));
}

/* Richardson's central differences, of the predictions and of the objective. */
static double difference(double (*f)(const void *, const double *, double *), const void *arg, const double *theta, unsigned k)
{
	double at[PB_FORM_PARAMETERS], d[2];
	for (int i = 0; i < 2; i++) {
		double h = (i ? 1e-4 : 2e-4) * (1.0 + fabs(theta[k]));
		memcpy(at, theta, sizeof at);
		at[k] = theta[k] + h;
		d[i] = f(arg, at, NULL);
		at[k] = theta[k] - h;
		d[i] = (d[i] - f(arg, at, NULL)) / (2.0 * h);
	}
	return (4.0 * d[1] - d[0]) / 3.0;
}

struct place {
	const struct pb_form *form;
	const double *x;
};

static double predicted(const void *arg, const double *theta, double *gradient)
{
	const struct place *p = arg;
	return p->form->predict(theta, p->x, gradient);
}

static void test_gradients(void **state)
{
	(void)state;
	struct pb_rng rng = pb_rng_make(3, 0);
	for (size_t i = 0; i < N_KNOWN; i++) {
		double x[N_POINTS * PB_FORM_VARIABLES], y[N_POINTS], gradient[PB_FORM_PARAMETERS];
		struct pb_fit_points points = points_of(&known[i], N_POINTS, 0.02, 1, x, y);
		struct pb_fit fit;
		const struct pb_form *form = pb_form_find(known[i].form);
		OK(pb_fit_make(&fit, form, &points, 0.05, NULL, ERR));
		for (int trial = 0; trial < 20; trial++) {
			double theta[PB_FORM_PARAMETERS] = { 0 };
			for (unsigned k = 0; k < form->n_parameters; k++)
				theta[k] = known[i].theta[k] * (0.8 + 0.4 * pb_rng_unit(&rng));
			struct place place = { form, fit.x + trial * form->n_variables };
			form->predict(theta, place.x, gradient);
			for (unsigned k = 0; k < form->n_parameters; k++)
				assert_float_equal(gradient[k], difference(predicted, &place, theta, k), 1e-7 * (1.0 + fabs(gradient[k])));
			fit.huber = trial % 2 ? 1e6 : 1e-3; /* all residuals count by their squares, or about all by their sizes */
			pb_fit_objective(&fit, theta, gradient);
			for (unsigned k = 0; k < form->n_parameters; k++)
				assert_float_equal(gradient[k], difference(pb_fit_objective, &fit, theta, k), (trial % 2 ? 1e-7 : 1e-2) * (1.0 + fabs(gradient[k])));
		}
		pb_fit_free(&fit);
	}
}

/* Constants of the papers, in predictions that were computed apart. */
static void test_published_laws(void **state)
{
	(void)state;
	const struct pb_form *ptq = pb_form_find("degradation_exp"), *law = pb_form_find("degradation");
	const double kumar[] = { log(0.0598) + 1.1277, 0.5068, 0.3439, log(0.5907) }, without_b[] = { log(0.0598), 0.5068, 0.3439, log(0.5907) };
	const double a[] = { log(220e6), log(13e9), 4 }, b[] = { log(220e6), log(13e9), 3 }, c[] = { log(1e9), log(1e11), 4 };
	assert_float_equal(exp(ptq->predict(kumar, a, NULL)), 0.0382263, 5e-8);
	assert_float_equal(exp(ptq->predict(without_b, a, NULL)), 0.0123768, 5e-8);
	assert_float_equal(exp(ptq->predict(kumar, b, NULL)), 0.2077697, 5e-8);
	assert_float_equal(exp(ptq->predict(kumar, c, NULL)), 0.0638668, 5e-8);
	/* 405 B parameters at 4 bits degrade by 0.2 at 21.833 T tokens. */
	const double ouyang[] = { log(0.017), 0.5251, 0.2261, 5.4967 }, d[] = { log(405e9), log(21.833e12), log(4) };
	assert_float_equal(exp(law->predict(ouyang, d, NULL)), 0.2, 1e-5);
	/* Where the loss is least for the compute: tokens a parameter. */
	const double unrounded[] = { 6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083 };
	const double rounded[] = { log(406.4), log(410.7), log(1.69), 0.34, 0.28 }, refit[] = { log(482.00572), log(2085.4342), log(1.81686), 0.34781, 0.36585 };
	double params, tokens;
	pb_chinchilla_optimum(unrounded, 5.88e23, &params, &tokens);
	assert_float_equal(tokens / params, 59.04, 0.005);
	assert_float_equal(6.0 * tokens * params, 5.88e23, 1e13);
	pb_chinchilla_optimum(rounded, 5.88e23, &params, &tokens);
	assert_float_equal(tokens / params, 92.83, 0.005);
	pb_chinchilla_optimum(refit, 5.88e23, &params, &tokens);
	assert_float_equal(tokens / params, 18.33, 0.01);
	pb_chinchilla_optimum(refit, 1e18, &params, &tokens);
	assert_float_equal(tokens / params, 25.64, 0.01);
	/* A model that has the loss of one half as large. */
	const double power[] = { 4.0, -0.5, 0.4 };
	double loss = exp(-0.5) + exp(4.0) / pow(5e5, 0.4);
	assert_float_equal(pb_effective_parameters(power, 1e6, loss), 0.5, 1e-12);
	assert_true(isnan(pb_effective_parameters(power, 1e6, 0.6)));
	/* What is left of the parameters at 3 bits. */
	const double precision[] = { 4.0, -0.5, 0.4, 0.8, log(1.5) }, with_data[] = { 8.0, 9.5, 0.9, 0.5, 0.8, log(1.5) };
	assert_float_equal(pb_precision_share(pb_form_find("precision"), precision, 3.0), 1.0 - exp(-2.2 / 1.5), 1e-15);
	assert_float_equal(pb_precision_share(pb_form_find("precision_data"), with_data, 3.0), 1.0 - exp(-2.2 / 1.5), 1e-15);
}

/* --- recovery --- */

static void test_exact_recovery(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KNOWN; i++) {
		double x[N_POINTS * PB_FORM_VARIABLES], y[N_POINTS];
		struct pb_fit_points points = points_of(&known[i], N_POINTS, 0.0, 1, x, y);
		struct pb_fit fit;
		OK(pb_fit_make(&fit, pb_form_find(known[i].form), &points, 0.05, NULL, ERR));
		for (unsigned k = 0; k < fit.form->n_parameters; k++)
			if (fabs(fit.theta[k] - known[i].theta[k]) > (known[i].weak ? 1e-2 : 1e-5) * (1.0 + fabs(known[i].theta[k])))
				fail_msg("%s: %s is %.9g, not %.9g", known[i].form, fit.form->parameters[k].name, fit.theta[k], known[i].theta[k]);
		assert_true(fit.objective < 1e-12);
		assert_float_equal(pb_fit_value(&fit, fit.theta, x), y[0], 1e-6 * y[0]);
		pb_fit_free(&fit);
	}
}

/* The starts of the coverage runs: from the truth alone, since all find the same optimum and 4500 would cost 500 times as much. */
static const double *truth;
static void start_at_truth(const struct pb_form_data *data, size_t index, double *theta)
{
	(void)data;
	(void)index;
	memcpy(theta, truth, PB_FORM_PARAMETERS * sizeof *theta);
}

#ifdef __SANITIZE_ADDRESS__
#define DRAWS 100           /* for the memory of it; the numbers are those of the other build */
#else
#define DRAWS 500
#endif
#define RESAMPLES 200

/* Shares of 500 draws in which each parameter is in its 95 % interval. A true coverage of 95 % gives 93 to 97 % at two standard
 * errors (0.97 points), so 90 to 98 % fails for intervals that are wrong and not by chance. */
static void coverage(const char *name, size_t n, double deviation, double huber, bool bootstrap)
{
	const struct known *k = NULL;
	static double x[N_POINTS * PB_FORM_VARIABLES], y[N_POINTS], thetas[RESAMPLES * PB_FORM_PARAMETERS], scratch[RESAMPLES];
	size_t in[PB_FORM_PARAMETERS] = { 0 };
	for (size_t i = 0; i < N_KNOWN; i++)
		if (strcmp(known[i].form, name) == 0)
			k = &known[i];
	assert_non_null(k);
	struct pb_form form = *pb_form_find(name);
	form.start = start_at_truth;
	form.n_starts = 1;
	truth = k->theta;
	for (size_t draw = 0; draw < DRAWS; draw++) {
		struct pb_fit_points points = points_of(k, n, deviation, 1000 + draw, x, y);
		struct pb_fit fit;
		size_t n_failed;
		OK(pb_fit_make(&fit, &form, &points, huber, NULL, ERR));
		if (bootstrap) {
			OK(pb_fit_bootstrap(&fit, RESAMPLES, draw, NULL, thetas, &n_failed, ERR));
			assert_true(n_failed * 10 <= RESAMPLES);
			for (unsigned p = 0; p < form.n_parameters; p++)
				pb_fit_percentiles(thetas + p, RESAMPLES, form.n_parameters, scratch, &fit.low[p], &fit.high[p]);
		} else
			OK(pb_fit_profile(&fit, ERR));
		for (unsigned p = 0; p < form.n_parameters; p++)
			in[p] += fit.low[p] <= k->theta[p] && k->theta[p] <= fit.high[p];
		pb_fit_free(&fit);
	}
	printf("# coverage, %s, %zu points, %s:", name, n, bootstrap ? "bootstrap" : "profile");
	for (unsigned p = 0; p < form.n_parameters; p++)
		printf(" %s %.1f %%", form.parameters[p].name, 100.0 * (double)in[p] / DRAWS);
	printf("\n");
	for (unsigned p = 0; p < form.n_parameters; p++)
		assert_true(DRAWS < 500 || (in[p] >= 450 && in[p] <= 490));
}

static void test_coverage_profile(void **state)
{
	(void)state;
	coverage("power", 8, 0.01, 0.0, false);
	coverage("power", 40, 0.01, 0.0, false);
	coverage("saturating", 10, 0.01, 0.0, false);
	coverage("chinchilla", 60, 0.005, 0.0, false);
	coverage("degradation_bits", 12, 0.1, 0.0, false);
}

static void test_coverage_bootstrap(void **state)
{
	(void)state;
	coverage("power", 8, 0.01, 0.0, true);
	coverage("power", 40, 0.01, 0.0, true);
	coverage("saturating", 10, 0.01, 0.0, true);
}

/* --- what cannot be known --- */

static void test_refusals(void **state)
{
	(void)state;
	struct pb_fit fit;
	struct pb_error err = { 0 };
	const struct pb_form *power = pb_form_find("power");
	const double x[] = { 1e5, 2e5, 4e5, 8e5 }, y[] = { 2, 1.8, 1.6, 1.5 }, zero[] = { 2, 0, 1.6, 1.5 }, bad_x[] = { 1e5, -2e5, 4e5, 8e5 }, bad_y[] = { 2, 1.8, NAN, 1.5 };
	assert_int_equal(pb_fit_make(&fit, power, &(struct pb_fit_points){ 3, x, y }, 0, NULL, &err), PB_UNSUPPORTED);
	assert_string_equal(err.text, "power: 3 points for 3 parameters; it needs at least 4");
	assert_int_equal(pb_fit_make(&fit, power, &(struct pb_fit_points){ 4, x, zero }, 0, NULL, &err), PB_NUMERIC);
	assert_string_equal(err.text, "point 2: the value is 0, which form power has no place for");
	assert_int_equal(pb_fit_make(&fit, power, &(struct pb_fit_points){ 4, bad_x, y }, 0, NULL, &err), PB_NUMERIC);
	assert_string_equal(err.text, "point 2: params is -200000, which form power has no place for");
	assert_int_equal(pb_fit_make(&fit, power, &(struct pb_fit_points){ 4, x, bad_y }, 0, NULL, &err), PB_NUMERIC);
	OK(pb_fit_make(&fit, power, &(struct pb_fit_points){ 4, x, y }, 0, NULL, ERR));
	assert_true(fit.warnings & PB_FIT_FEW_POINTS);
	pb_fit_free(&fit);
}

/* All points at one number of bits: a factor and a power of them are one thing. Points on a line have no offset to find. */
static void test_not_identified(void **state)
{
	(void)state;
	double x[2 * N_POINTS], y[N_POINTS];
	struct pb_fit fit;
	struct pb_rng rng = pb_rng_make(5, 0);
	for (size_t i = 0; i < 20; i++) {
		x[2 * i] = 1e5 * pow(1.5, (double)i);
		x[2 * i + 1] = 4.0;
		y[i] = exp(1.0 + 0.02 * pb_rng_normal(&rng)) / pow(x[2 * i], 0.2);
	}
	OK(pb_fit_make(&fit, pb_form_find("degradation_bits"), &(struct pb_fit_points){ 20, x, y }, 0, NULL, ERR));
	OK(pb_fit_profile(&fit, ERR));
	assert_true(fit.warnings & PB_FIT_FLAT);
	assert_true(isinf(fit.low[2]) && isinf(fit.high[2]));
	assert_true(fit.low[1] < 0.2 && 0.2 < fit.high[1] && fit.high[1] - fit.low[1] < 0.02);
	pb_fit_free(&fit);
	for (size_t i = 0; i < 8; i++) {
		x[i] = 1e5 * pow(2.0, (double)i);
		y[i] = exp(3.0 + 0.002 * pb_rng_normal(&rng)) / pow(x[i], 0.1);
	}
	OK(pb_fit_make(&fit, pb_form_find("power"), &(struct pb_fit_points){ 8, x, y }, 0, NULL, ERR));
	OK(pb_fit_profile(&fit, ERR));
	assert_true(fit.warnings & PB_FIT_FLAT);
	assert_true(isinf(fit.low[1])); /* E may be nothing */
	pb_fit_free(&fit);
}

static void test_hold_out_and_choice(void **state)
{
	(void)state;
	double x[N_POINTS], y[N_POINTS];
	struct pb_fit_points points = points_of(&known[5], 10, 0.002, 9, x, y);
	struct pb_held_out power, straight;
	struct pb_fit fit;
	struct pb_fit_likelihood with_offset, line;
	OK(pb_fit_hold_out(pb_form_find("power"), &points, 0, 0, NULL, &power, ERR));
	OK(pb_fit_hold_out(pb_form_find("straight"), &points, 0, 0, NULL, &straight, ERR));
	assert_int_equal(power.n, 1);
	assert_float_equal(power.largest, known[5].x[0] * pow(known[5].step[0], 9), 1e-3);
	assert_true(power.error < 0.01 && straight.error > 2.0 * power.error);
	OK(pb_fit_make(&fit, pb_form_find("power"), &points, 0, NULL, ERR));
	OK(pb_fit_maximise(&fit, 1.345, &with_offset, ERR));
	pb_fit_free(&fit);
	OK(pb_fit_make(&fit, pb_form_find("straight"), &points, 0, NULL, ERR));
	OK(pb_fit_maximise(&fit, 1.345, &line, ERR));
	pb_fit_free(&fit);
	assert_true(with_offset.aicc < line.aicc - 10);
	assert_float_equal(with_offset.aicc - with_offset.aic, 2.0 * 4 * 5 / (10 - 4 - 1), 1e-9);
}

static void test_percentiles(void **state)
{
	(void)state;
	double values[2 * 101], scratch[101], low, high;
	for (size_t i = 0; i < 101; i++) {
		values[2 * i] = (double)(i * 37 % 101);
		values[2 * i + 1] = NAN;
	}
	pb_fit_percentiles(values, 101, 2, scratch, &low, &high);
	assert_float_equal(low, 2.5, 1e-12);
	assert_float_equal(high, 97.5, 1e-12);
	pb_fit_percentiles(values + 1, 101, 2, scratch, &low, &high);
	assert_true(isnan(low) && isnan(high));
}

static void test_same_for_any_threads(void **state)
{
	(void)state;
	double x[N_POINTS * 2], y[N_POINTS];
	struct pb_fit_points points = points_of(&known[6], 40, 0.01, 4, x, y);
	struct pb_fit alone, together;
	struct pb_pool *pool = NULL;
	static double a[100 * 5], b[100 * 5];
	size_t failed_a, failed_b;
	OK(pb_pool_new(&pool, 3, ERR));
	OK(pb_fit_make(&alone, pb_form_find("precision"), &points, 0, NULL, ERR));
	OK(pb_fit_make(&together, pb_form_find("precision"), &points, 0, pool, ERR));
	assert_memory_equal(alone.theta, together.theta, sizeof alone.theta);
	OK(pb_fit_bootstrap(&alone, 100, 1, NULL, a, &failed_a, ERR));
	OK(pb_fit_bootstrap(&together, 100, 1, pool, b, &failed_b, ERR));
	assert_memory_equal(a, b, sizeof a);
	assert_int_equal(failed_a, failed_b);
	pb_fit_free(&alone);
	pb_fit_free(&together);
	pb_pool_free(pool);
}

/* --- real data --- */

static bool read_data(struct pb_csv *csv, const char *name)
{
	const char *folder = getenv("PB_TEST_DATA");
	char *path = folder ? pb_path_join(folder, name) : NULL, *data = NULL;
	size_t size = 0;
	if (!path || !pb_file_exists(path)) {
		pb_free(path);
		return false;
	}
	OK(pb_file_read_data(path, 64 << 20, &data, &size, ERR));
	OK(pb_csv_parse(csv, name, data, size, ERR));
	pb_free(data);
	pb_free(path);
	return true;
}

static size_t column(const struct pb_csv *csv, const char *name)
{
	for (size_t k = 0; k < csv->n_fields[0]; k++)
		if (strcmp(csv->fields[0][k], name) == 0)
			return k;
	fail_msg("no column %s", name);
	return 0;
}

static double number(const struct pb_csv *csv, size_t row, size_t field)
{
	double value = NAN;
	if (csv->fields[row][field])
		assert_true(pb_parse_double(csv->fields[row][field], &value));
	return value;
}

static int compare_down(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;
	return (a < b) - (a > b);
}

/* Besiroglu et al., "Chinchilla Scaling: A replication attempt": 245 points read off a figure, the five worst left out. */
static void test_chinchilla(void **state)
{
	(void)state;
	struct pb_csv csv;
	static double x[2 * 245], y[245], losses[245], thetas[300 * 5], scratch[300];
	size_t n = 0, n_failed;
	struct pb_pool *pool = NULL;
	struct pb_fit fit;
	struct pb_fit_likelihood likelihood;
	double scale;
	if (!read_data(&csv, "results/chinchilla/svg_extracted_data.csv"))
		skip();
	assert_int_equal(csv.n_rows, 246);
	size_t params = column(&csv, "Model Size"), flop = column(&csv, "Training FLOP"), loss = column(&csv, "loss");
	for (size_t r = 1; r < csv.n_rows; r++)
		losses[r - 1] = number(&csv, r, loss);
	qsort(losses, 245, sizeof *losses, compare_down);
	for (size_t r = 1; r < csv.n_rows; r++)
		if (number(&csv, r, loss) < losses[4]) {
			x[2 * n] = number(&csv, r, params);
			x[2 * n + 1] = number(&csv, r, flop) / (6.0 * x[2 * n]);
			y[n++] = number(&csv, r, loss);
		}
	assert_int_equal(n, 240);
	OK(pb_pool_new(&pool, pb_cpu_count(), ERR));
	OK(pb_fit_make(&fit, pb_form_find("chinchilla"), &(struct pb_fit_points){ n, x, y }, 1e-3, pool, ERR));
	printf("# Chinchilla: objective %.16g, %zu of %zu starts reached it\n", fit.objective, fit.n_reached, fit.n_starts);
	assert_int_equal(fit.n_starts, 4500);
	assert_float_equal(fit.objective, 0.00101827, 1e-8);
	assert_true(fit.objective <= 0.0010182740346154362 && fit.n_reached >= 100);
	const double theta[] = { 6.16928, 7.67036, 0.597316, 0.3473127, 0.3671826 };
	const double tolerance[] = { 2e-4, 4e-4, 2e-5, 1e-5, 2e-5 }; /* the replication's grid ended a little above the optimum */
	for (int k = 0; k < 5; k++)
		assert_float_equal(fit.theta[k], theta[k], tolerance[k]);
	assert_int_equal(fit.warnings, 0);

	OK(pb_fit_maximise(&fit, 1e-3, &likelihood, ERR));
	const double published[] = { 482.00572, 2085.4342, 1.81686, 0.34781, 0.36585 }, digits[] = { 0.01, 0.1, 1e-5, 1e-5, 1e-5 };
	for (unsigned k = 0; k < 5; k++)
		assert_float_equal(pb_form_shown(fit.form, k, likelihood.theta[k]), published[k], digits[k]);
	assert_float_equal(likelihood.log_likelihood, 879.77, 0.005);
	assert_float_equal(likelihood.aic, 2.0 * 6 - 2.0 * likelihood.log_likelihood, 1e-9);
	assert_float_equal(pb_fit_objective(&fit, likelihood.theta, NULL), 0.0010186447, 2e-9);
	/* Hoffmann et al., unrounded and as printed. */
	const double unrounded[] = { 6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083 }, rounded[] = { log(406.4), log(410.7), log(1.69), 0.34, 0.28 };
	assert_float_equal(pb_fit_objective(&fit, unrounded, NULL), 0.0012311626, 1e-10);
	assert_float_equal(pb_fit_objective(&fit, rounded, NULL), 0.0041210091, 1e-10);
	assert_float_equal(pb_fit_log_likelihood(&fit, 1e-3, rounded, &scale), 562.25, 0.005);

	/* Intervals, published from 4000 resamples: A (285, 744), B (1042, 5810), E (1.769, 1.871), alpha (.317, .373), beta (.331, .415). */
	const double low[] = { 285, 1042, 1.769, 0.317, 0.331 }, high[] = { 744, 5810, 1.871, 0.373, 0.415 };
	OK(pb_fit_bootstrap(&fit, 300, 42, pool, thetas, &n_failed, ERR));
	OK(pb_fit_profile(&fit, ERR));
	for (unsigned k = 0; k < 5; k++) {
		double from, to;
		pb_fit_percentiles(thetas + k, 300, 5, scratch, &from, &to);
		from = pb_form_shown(fit.form, k, from);
		to = pb_form_shown(fit.form, k, to);
		printf("# %s: bootstrap %.4g to %.4g, profile %.4g to %.4g\n", fit.form->parameters[k].name, from, to,
			pb_form_shown(fit.form, k, fit.low[k]), pb_form_shown(fit.form, k, fit.high[k]));
		assert_float_equal(log(from / low[k]), 0.0, 0.15);
		assert_float_equal(log(to / high[k]), 0.0, 0.15);
		assert_true(pb_form_shown(fit.form, k, fit.low[k]) < published[k] && published[k] < pb_form_shown(fit.form, k, fit.high[k]));
	}
	pb_fit_free(&fit);
	pb_pool_free(pool);
	pb_csv_free(&csv);
}

#define LADDER 24           /* runs, the six of the largest size last */
#define LADDER_SETS 11      /* of validation */

static double rest_error(const char *name, const double *x, const double *y)
{
	struct pb_fit fit;
	double error = 0.0;
	const struct pb_form *form = pb_form_find(name);
	OK(pb_fit_make(&fit, form, &(struct pb_fit_points){ LADDER - 6, x, y }, 0, NULL, ERR));
	for (size_t i = LADDER - 6; i < LADDER; i++)
		error += fabs(log(y[i] / pb_fit_value(&fit, fit.theta, x + i * form->n_variables))) / 6.0;
	pb_fit_free(&fit);
	return error;
}

/* OLMo's model ladder: four sizes, five budgets and a second run at one of them; losses on eleven sets at the end of training.
 * Sizes up to 760 M predict those of 1 B. Beaten must be a straight line in log-log, of loss by compute, on C4; a plane, which knows
 * parameters and tokens as the law does, is a little better than the law on C4, and worse in the mean over the sets. */
static void test_olmo_ladder(void **state)
{
	(void)state;
	static const char *const sizes[] = { "190M", "370M", "760M", "1B" }, *const budgets[] = { "0.5xC", "1xC", "1xC-rerun", "2xC", "5xC", "10xC" };
	static const double params[] = { 190354176, 371262464, 758220288, 1279395840 };
	double x[2 * LADDER], compute[LADDER], y[LADDER_SETS][LADDER], law[LADDER_SETS], plane[LADDER_SETS], line[LADDER_SETS], means[3] = { 0 };
	struct pb_held_out held;
	for (size_t s = 0, n = 0; s < 4; s++)
		for (size_t b = 0; b < 6; b++, n++) {
			struct pb_csv csv;
			char name[64];
			snprintf(name, sizeof name, "results/olmo_ladder/%s-%s.csv.gz", sizes[s], budgets[b]);
			if (!read_data(&csv, name))
				skip();
			size_t last = csv.n_rows - 1;
			while (!csv.fields[last][1])
				last--;
			x[2 * n] = params[s];
			x[2 * n + 1] = number(&csv, last, column(&csv, "throughput/total_tokens"));
			compute[n] = 6.0 * x[2 * n] * x[2 * n + 1];
			assert_string_equal(csv.fields[0][1], "eval/c4_en-validation/CrossEntropyLoss");
			for (size_t k = 0; k < LADDER_SETS; k++) {
				assert_non_null(strstr(csv.fields[0][k + 1], "CrossEntropyLoss"));
				y[k][n] = number(&csv, last, k + 1);
			}
			pb_csv_free(&csv);
		}
	for (size_t k = 0; k < LADDER_SETS; k++) {
		law[k] = rest_error("chinchilla", x, y[k]);
		plane[k] = rest_error("straight_data", x, y[k]);
		line[k] = rest_error("straight", compute, y[k]);
		means[0] += law[k] / LADDER_SETS;
		means[1] += plane[k] / LADDER_SETS;
		means[2] += line[k] / LADDER_SETS;
	}
	printf("# OLMo ladder, losses of 1B from 190M to 760M, mean relative error on C4 (on all %d sets): chinchilla %.3f %% (%.3f %%), "
		"line in log-log by compute %.3f %% (%.3f %%), plane by parameters and tokens %.3f %% (%.3f %%)\n", LADDER_SETS,
		100.0 * law[0], 100.0 * means[0], 100.0 * line[0], 100.0 * means[2], 100.0 * plane[0], 100.0 * means[1]);
	assert_true(law[0] < line[0] && law[0] < 0.0065);
	assert_true(means[0] < means[1] && means[0] < means[2]);
	OK(pb_fit_hold_out(pb_form_find("chinchilla"), &(struct pb_fit_points){ LADDER, x, y[0] }, 0, 0, NULL, &held, ERR));
	assert_int_equal(held.n, 6);
	assert_float_equal(held.error, law[0], 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_gradients),
		cmocka_unit_test(test_published_laws),
		cmocka_unit_test(test_exact_recovery),
		cmocka_unit_test(test_coverage_profile),
		cmocka_unit_test(test_coverage_bootstrap),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_not_identified),
		cmocka_unit_test(test_hold_out_and_choice),
		cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_same_for_any_threads),
		cmocka_unit_test(test_chinchilla),
		cmocka_unit_test(test_olmo_ladder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
