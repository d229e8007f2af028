/* diffq: levels, gradients against differences under the same noise, what is stored, refusals, and torch's first steps. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rng.h"
#include "tests/unit/qat.h"

static void near(const char *what, size_t i, double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance * fmax(1, fabs(expected))))
		fail_msg("%s %zu: %.9g, expected %.9g", what, i, value, expected);
}

static void fill_normal(float *w, int n, uint64_t seed)
{
	struct pb_rng rng = pb_rng_make(seed, 0);

	for (int i = 0; i < n; i++)
		w[i] = (float)(0.1 * pb_rng_normal(&rng));
}

/* The logit of b bits, at the default range and rate. */
static float logit(double b)
{
	return (float)(log((b - 2) / (8 - b)) / 10);
}

/* -1..2 in 2 bits: -1, 0, 1, 2, ties to even codes; in 3 bits steps of 3/7. */
static void test_levels(void **state)
{
	static const float w[8] = { -1, -0.6f, -0.5f, 0.5f, 0.6f, 1.5f, 1.9f, 2 };
	static const float two[8] = { -1, -1, -1, 1, 1, 1, 2, 2 };
	struct method m = method_open("diffq", 2, 4);
	float used[8], t = logit(2.3);

	(void)state;
	method_forward(&m, w, &t, used);
	for (int i = 0; i < 8; i++)
		near("2 bits", (size_t)i, used[i], two[i], 1e-6);
	t = logit(3.4);
	method_forward(&m, w, &t, used);
	for (int i = 0; i < 8; i++)     /* 0.5 is halfway, but for the rounding of 3/7 */
		near("3 bits", (size_t)i, used[i], i == 3 ? 2.0 / 7 : -1 + 3.0 / 7 * rint((w[i] + 1.0) * 7 / 3), 1e-6);
	method_close(&m);
}

static void test_start(void **state)
{
	struct method m = method_open("diffq:init_bits=4.25,bits_rate=3", 2, 4);
	float t;

	(void)state;
	method_start(&m, NULL, &t);
	near("logit", 0, t, log(2.25 / 3.75) / 3, 1e-6);
	method_close(&m);
}

/* The noise has the deviation of its kind, whatever the bits. */
static void test_noise(void **state)
{
	static const struct { const char *text; double deviation; } kinds[] = { { "diffq", 0.5 }, { "diffq:noise=uniform", 0.28867513 } };
	enum { N = 20000 };
	static float w[N], used[N];

	(void)state;
	fill_normal(w, N, 3);
	w[7] = -1;
	w[8] = 1;
	for (int k = 0; k < 2; k++) {
		struct method m = method_open(kinds[k].text, 100, 200);
		struct pb_rng rng = pb_rng_make(5, 6);
		float t = logit(3);
		double sum = 0, squares = 0;

		m.transform.disturb(m.transform.arg, &m.matrix, w, &t, &rng, used);
		for (int i = 0; i < N; i++) {
			double e = (used[i] - (double)w[i]) / (2.0 / 7);

			sum += e;
			squares += e * e;
			assert_true(k == 0 || fabs(e) < 0.5001);
		}
		near("mean", (size_t)k, sum / N, 0, 0.012);
		near("deviation", (size_t)k, sqrt(squares / N), kinds[k].deviation, 0.01);
		method_close(&m);
	}
}

static double objective(const struct method *m, const float *w, const float *t, const float *upstream)
{
	struct pb_rng rng = pb_rng_make(9, 1);
	float *used = malloc(m->matrix.n * sizeof *used);
	double sum = 0;

	m->transform.disturb(m->transform.arg, &m->matrix, w, t, &rng, used);
	for (size_t i = 0; i < m->matrix.n; i++)
		sum += upstream[i] * (double)used[i];
	free(used);
	return sum;
}

/* Under the same noise; the range moves with its ends, of which the greatest is there twice. */
static void test_gradients(void **state)
{
	enum { ROWS = 7, COLS = 30, N = ROWS * COLS };
	struct method m = method_open("diffq:penalty=1000", ROWS, COLS);
	struct pb_rng rng = pb_rng_make(9, 1);
	float w[N], upstream[N], g[N], used[N], t = logit(3.7), dt, up, down;
	double penalty = 1000.0 * N / 8388608 * 6 * 10 * (1.7 / 6) * (4.3 / 6), h = 1.0 / 128;

	(void)state;
	fill_normal(w, N, 4);
	fill_normal(upstream, N, 5);
	w[11] = -0.75f;
	w[20] = w[40] = 0.75f;
	memcpy(g, upstream, sizeof g);
	m.transform.disturb(m.transform.arg, &m.matrix, w, &t, &rng, used);
	m.transform.backward(m.transform.arg, &m.matrix, w, &t, used, g, &dt);
	up = t + 1e-3f;
	down = t - 1e-3f;
	near("bits", 0, dt, penalty + (objective(&m, w, &up, upstream) - objective(&m, w, &down, upstream)) / ((double)up - down), 1e-3);
	for (int i = 0; i < N; i++) {
		float moved[N];
		double numeric;

		if (i == 20 || i == 40)
			continue;
		memcpy(moved, w, sizeof moved);
		moved[i] = w[i] + (float)h;
		numeric = objective(&m, moved, &t, upstream);
		moved[i] = w[i] - (float)h;
		near("latent", (size_t)i, g[i], (numeric - objective(&m, moved, &t, upstream)) / (2 * h), 1e-4);
	}
	/* Both ends of the range at the top, moved together, have the sum of their parts. */
	float moved[N];

	memcpy(moved, w, sizeof moved);
	moved[20] = moved[40] = 0.75f + (float)h;
	double numeric = objective(&m, moved, &t, upstream);

	moved[20] = moved[40] = 0.75f - (float)h;
	near("latent", 20, g[20] + g[40], (numeric - objective(&m, moved, &t, upstream)) / (2 * h), 1e-4);
	near("equal parts", 20, g[20] - upstream[20], g[40] - upstream[40], 1e-6);
	method_close(&m);
}

/* Every width: what is stored is what forward gives (pb_quantizer_encode checks it), in the bytes of its width. */
static void test_stored(void **state)
{
	static const struct { double bits; uint64_t row; } widths[] = { { 2.01, 9 }, { 2.6, 13 }, { 4.2, 17 }, { 5, 21 }, { 6.1, 25 }, { 6.9, 33 }, { 7.9, 33 } };
	enum { ROWS = 3, COLS = 33 };
	float w[ROWS * COLS];

	(void)state;
	for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
		struct method m = method_open("diffq", ROWS, COLS);
		struct pb_encoded *encoded = NULL;
		float t = logit(widths[k].bits);

		fill_normal(w, ROWS * COLS, k);
		OK(method_encode(&m, w, &t, &encoded, ERR));
		assert_int_equal(pb_encoded_bytes(encoded), ROWS * widths[k].row + 8);
		pb_encoded_free(encoded);
		encoded = NULL;
		for (int i = 0; i < ROWS * COLS; i++)
			w[i] = 0.25f;
		OK(method_encode(&m, w, &t, &encoded, ERR));
		pb_encoded_free(encoded);
		method_close(&m);
	}
}

static void test_refusals(void **state)
{
	static const struct { const char *text, *part; } wrong[] = {
		{ "diffq:init_bits=2", "init_bits: 2 is not between min_bits, 2, and max_bits, 8" }, { "diffq:max_bits=6", "init_bits: 6 is not between min_bits, 2, and max_bits, 6" },
		{ "diffq:min_bits=5,max_bits=4", "init_bits: 6 is not between" },
	};
	struct pb_quantize_job job = { .name = "m", .n_layers = 1, .rows = 2, .cols = 2, .source_dtype = PB_F32 };

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct method m = method_open(wrong[i].text, 2, 2);
		struct pb_error err = { 0 };
		uint64_t bytes;

		assert_int_equal(pb_quantizer_plan(&m.use, &job, &bytes, &err), PB_USAGE);
		if (!strstr(err.text, wrong[i].part))
			fail_msg("'%s' has no '%s'", err.text, wrong[i].part);
		method_close(&m);
	}
}

static double mean_bits(const struct pb_network_f32 *net)
{
	double sum = 0;

	for (uint32_t i = net->layout.transforms; i < net->layout.n; i++)
		sum += 2 + 6 / (1 + exp(-10 * (double)net->parameters[net->layout.parameters[i].first]));
	return sum / (net->layout.n - net->layout.transforms);
}

/* The mean of the bits behind the last step; torch's is of before it, whose rate is 0.6 % of the first. */
static void test_torch(void **state)
{
	static const struct { const char *name; double bits; } kinds[] = { { "gaussian", 5.562779 }, { "uniform", 5.556176 } };
	struct pb_model *model = mixed_model();

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		char options[64];

		snprintf(options, sizeof options, "diffq:penalty=100,noise=%s", kinds[k].name);
		struct method m = method_open(options, 1, 1);
		struct pb_trainer *t = mixed_trainer(&m, model, "", NULL);

		check_losses(t, "tests/vectors/diffq/losses20.txt", kinds[k].name, 1e-2);
		near("bits", k, mean_bits(pb_trainer_network(t)), kinds[k].bits, 1e-3);
		pb_trainer_close(t);
		method_close(&m);
	}
	pb_model_close(model);
}

/* Noise follows from the step, so a training that was interrupted goes on to the same bits. */
static void test_resume(void **state)
{
	struct pb_model *model = mixed_model();
	struct method m = method_open("diffq", 1, 1);
	struct pb_trainer *a = mixed_trainer(&m, model, "", NULL), *b = mixed_trainer(&m, model, "", NULL);
	int32_t inputs[MIXED_TOKENS], targets[MIXED_TOKENS];
	struct pb_step s;

	(void)state;
	mixed_tokens(inputs, targets);
	for (int i = 0; i < 6; i++) {
		OK(pb_trainer_step(a, inputs, targets, &s, ERR));
		if (i == 2)
			OK(pb_trainer_save(a, scratch_path("diffq.safetensors"), "", ERR));
	}
	OK(pb_trainer_resume(b, scratch_path("diffq.safetensors"), NULL, ERR));
	for (int i = 3; i < 6; i++)
		OK(pb_trainer_step(b, inputs, targets, &s, ERR));
	assert_memory_equal(pb_trainer_network(a)->parameters, pb_trainer_network(b)->parameters, pb_trainer_network(a)->layout.total * sizeof(float));
	pb_trainer_close(a);
	pb_trainer_close(b);
	method_close(&m);
	pb_model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels), cmocka_unit_test(test_start), cmocka_unit_test(test_noise), cmocka_unit_test(test_gradients), cmocka_unit_test(test_stored),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_torch), cmocka_unit_test(test_resume),
	};

	return cmocka_run_group_tests_name("diffq", tests, NULL, scratch_teardown);
}
