/* paretoq: the numbers of its forward and backward maps one by one, its gradients against differences, first scales, what is
 * stored, and the first steps of a training against torch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rng.h"
#include "quantizers/shape.h"
#include "tests/unit/qat.h"

#define N 13
static const float weights[N] = { -1.25f, -0.75f, -0.5f, -0.3f, -0.25f, -0.125f, 0, 0.125f, 0.25f, 0.3f, 0.5f, 0.75f, 1.25f };

static void near(const char *what, int i, double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance * fmax(1, fabs(expected))))
		fail_msg("%s, %d: %.9g, expected %.9g", what, i, value, expected);
}

/* ---- known numbers ---- */

struct known {
	const char *options;
	float scale;
	float out[N], latent_gradient[N];
	double scale_gradient;
};

/* The row of weights with scale 1 or as given, upstream gradients 1 to 13. */
static const struct known known[] = {
	{ "paretoq:bits=1,zero=zero,scale_dtype=f32", 0.4884615f,
		{ -0.4884615f, -0.4884615f, -0.4884615f, -0.4884615f, -0.4884615f, -0.4884615f, 0, 0.4884615f, 0.4884615f, 0.4884615f, 0.4884615f, 0.4884615f, 0.4884615f },
		{ 0, 0, 0, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0 }, 11.648705 },
	{ "paretoq:bits=1.58,scale_dtype=f32", 1,
		{ -0.666667f, -0.666667f, -0.666667f, 0, 0, 0, 0, 0, 0, 0, 0.666667f, 0.666667f, 0.666667f },
		{ 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0 }, 2.620958 },
	{ "paretoq:bits=2,scale_dtype=f32", 1,
		{ -0.75f, -0.75f, -0.75f, -0.25f, -0.25f, -0.25f, 0.25f, 0.25f, 0.25f, 0.25f, 0.25f, 0.75f, 0.75f },
		{ 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0 }, 1.996921 },
	{ "paretoq:bits=3,scale_dtype=f32", 0.25f,
		{ -1, -0.75f, -0.5f, -0.25f, -0.25f, 0, 0, 0, 0.25f, 0.25f, 0.5f, 0.75f, 0.75f },
		{ 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0 }, 5.252203 },
	{ "paretoq:bits=4,scale_dtype=f32", 0.125f,
		{ -1, -0.75f, -0.5f, -0.25f, -0.25f, -0.125f, 0, 0.125f, 0.25f, 0.25f, 0.5f, 0.75f, 0.875f },
		{ 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0 }, 8.449176 },
	/* The grids that the paper compares: numpy's numbers, from the same formulas. */
	{ "paretoq:bits=3,grid=seq,scale_dtype=f32", 1,
		{ -0.875f, -0.875f, -0.375f, -0.375f, -0.375f, -0.125f, 0.125f, 0.125f, 0.125f, 0.375f, 0.625f, 0.625f, 0.875f },
		{ 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0 }, 1.6132911 },
	{ "paretoq:bits=4,grid=seq,scale_dtype=f32", 1,
		{ -0.9375f, -0.6875f, -0.4375f, -0.3125f, -0.1875f, -0.1875f, 0.0625f, 0.0625f, 0.3125f, 0.3125f, 0.5625f, 0.8125f, 0.9375f },
		{ 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0 }, 1.4164949 },
	{ "paretoq:bits=1.58,grid=lsq,scale_dtype=f32", 0.5f,
		{ -0.5f, -0.5f, -0.5f, -0.5f, 0, 0, 0, 0, 0, 0.5f, 0.5f, 0.5f, 0.5f },
		{ 0, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 0 }, 6.0739671 },
	{ "paretoq:bits=2,grid=lsq,scale_dtype=f32", 0.5f,
		{ -1, -1, -0.5f, -0.5f, 0, 0, 0, 0, 0, 0.5f, 0.5f, 0.5f, 0.5f },
		{ 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 0 }, 6.0739671 },
};

static void test_known(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
		struct method m = method_open(known[k].options, 1, N);
		float out[N], gradient[N], scale_gradient;

		method_forward(&m, weights, &known[k].scale, out);
		for (int i = 0; i < N; i++) {
			near(known[k].options, i, out[i], known[k].out[i], 1e-6);
			gradient[i] = (float)(i + 1);
		}
		method_backward(&m, weights, &known[k].scale, gradient, &scale_gradient);
		for (int i = 0; i < N; i++)
			near("gradient of the weights", i, gradient[i], known[k].latent_gradient[i], 0);
		near("gradient of the scale", (int)k, scale_gradient, known[k].scale_gradient, 1e-6);
		method_close(&m);
	}
}

/* With the levels instead of -1, +1 outside of the range: the two weights there have 1/3 less of their gradients 1 and 13. */
static void test_saturation(void **state)
{
	struct method m = method_open("paretoq:bits=1.58,scale_dtype=f32,saturation=levels", 1, N);
	float gradient[N], scale = 1, scale_gradient;

	(void)state;
	for (int i = 0; i < N; i++)
		gradient[i] = (float)(i + 1);
	method_backward(&m, weights, &scale, gradient, &scale_gradient);
	near("saturation", 0, scale_gradient, 2.620958 + (1 - 13) / 3.0 / sqrt(N), 1e-6);
	method_close(&m);
}

static void test_first_scales(void **state)
{
	static const struct {
		const char *options;
		double scale;
		float out[N];
	} first[] = {
		{ "paretoq:bits=1,zero=zero,scale_dtype=f32", 0.4884615,
			{ -0.4884615f, -0.4884615f, -0.4884615f, -0.4884615f, -0.4884615f, -0.4884615f, 0, 0.4884615f, 0.4884615f, 0.4884615f, 0.4884615f, 0.4884615f, 0.4884615f } },
		{ "paretoq:bits=1.58,scale_dtype=f32", 1.25, { -0.833333f, -0.833333f, -0.833333f, 0, 0, 0, 0, 0, 0, 0, 0.833333f, 0.833333f, 0.833333f } },
		{ "paretoq:bits=2,scale_dtype=f32", 1.25, { -0.9375f, -0.9375f, -0.3125f, -0.3125f, -0.3125f, -0.3125f, 0.3125f, 0.3125f, 0.3125f, 0.3125f, 0.3125f, 0.9375f, 0.9375f } },
		{ "paretoq:bits=3,scale_dtype=f32", 0.4166667, { -1.25f, -0.833333f, -0.416667f, -0.416667f, -0.416667f, 0, 0, 0, 0.416667f, 0.416667f, 0.416667f, 0.833333f, 1.25f } },
		{ "paretoq:bits=4,scale_dtype=f32", 0.1785714,
			{ -1.25f, -0.714286f, -0.535714f, -0.357143f, -0.178571f, -0.178571f, 0, 0.178571f, 0.178571f, 0.357143f, 0.535714f, 0.714286f, 1.25f } },
	};

	(void)state;
	for (size_t k = 0; k < sizeof first / sizeof *first; k++) {
		struct method m = method_open(first[k].options, 1, N);
		float latent[N], out[N], scale;

		memcpy(latent, weights, sizeof latent);
		method_start(&m, latent, &scale);
		near("first scale", (int)k, scale, first[k].scale, 1e-7);
		assert_memory_equal(latent, weights, sizeof latent);
		method_forward(&m, latent, &scale, out);
		for (int i = 0; i < N; i++)
			near(first[k].options, i, out[i], first[k].out[i], 1e-6);
		method_close(&m);
	}
}

/* Ties, and scales that are too small, negative or 0. */
static void test_edges(void **state)
{
	struct method two = method_open("paretoq:bits=2,scale_dtype=f32", 1, 3), ternary = method_open("paretoq:bits=1.58,scale_dtype=f32", 1, 3),
		three = method_open("paretoq:bits=3,scale_dtype=f32", 1, 3), one = method_open("paretoq:bits=1,scale_dtype=f32", 1, 3);
	const float halves[3] = { -0.5f, 0, 0.5f }, thirds[3] = { -1 / 3.0f, 1e30f, 1 / 3.0f }, scale = 1;
	float out[3], gradient[3] = { 1, 1, 1 }, scale_gradient;

	(void)state;
	method_forward(&two, halves, &scale, out);
	assert_true(out[0] == -0.75f && out[1] == 0.25f && out[2] == 0.25f);
	method_forward(&ternary, thirds, &scale, out);
	assert_true(out[0] == 0 && out[1] == 2 / 3.0f && out[2] == 0);
	method_forward(&three, halves, &scale, out);
	assert_true(out[0] == 0 && out[1] == 0 && out[2] == 0);
	method_forward(&one, halves, &scale, out);
	assert_true(out[0] == -1 && out[1] == 1 && out[2] == 1);
	for (int i = 0; i < 3; i++) {
		const float bad[] = { 0, -3, 1e-6f };

		method_forward(&two, halves, &bad[i], out);
		assert_true(out[0] == -0.75f * 1e-5f && out[1] == 0.25f * 1e-5f && out[2] == 0.75f * 1e-5f);
		gradient[0] = gradient[1] = gradient[2] = 1;
		method_backward(&two, halves, &bad[i], gradient, &scale_gradient);
		assert_true(gradient[0] == 0 && gradient[1] == 1 && gradient[2] == 0);
		near("not masked", i, scale_gradient, 0.25 / sqrt(3), 1e-6);
	}
	method_close(&two);
	method_close(&ternary);
	method_close(&three);
	method_close(&one);
}

/* ---- gradients ---- */

/* What runs when the rounding stays what it is at (w0, a0): the function that the straight-through gradients are of. */
static double straight_through(int which, double w, double a, double w0, double a0, double level)
{
	static const double low[] = { -1, -0.99, -0.99, -4, -8, -0.99, -0.99, -1, -2 }, high[] = { 1, 0.99, 0.99, 3, 7, 0.99, 0.99, 1, 1 };
	static const double below[] = { 0, -1, -0.75, -4, -8, -0.875, -0.9375, -1, -2 }, above[] = { 0, 1, 0.75, 3, 7, 0.875, 0.9375, 1, 1 };
	double r0 = w0 / a0;

	if (which == 0)
		return a * level + (fabs(r0) <= 1 ? w - w0 : 0);
	return r0 < low[which] ? a * below[which] : r0 > high[which] ? a * above[which] : w + a * (level - r0);
}

static void test_gradients(void **state)
{
	static const char *const options[] = { "paretoq:bits=1,scale_dtype=f32", "paretoq:bits=1.58,scale_dtype=f32", "paretoq:bits=2,scale_dtype=f32",
		"paretoq:bits=3,scale_dtype=f32", "paretoq:bits=4,scale_dtype=f32", "paretoq:bits=3,grid=seq,scale_dtype=f32", "paretoq:bits=4,grid=seq,scale_dtype=f32",
		"paretoq:bits=1.58,grid=lsq,scale_dtype=f32", "paretoq:bits=2,grid=lsq,scale_dtype=f32" };
	static const double qp[] = { 1, 1, 1, 3, 7, 3, 7, 1, 1 };
	enum { ROWS = 5, COLS = 40 };
	struct pb_rng rng = pb_rng_make(3, 3);

	(void)state;
	for (int k = 0; k < 9; k++) {
		struct method m = method_open(options[k], ROWS, COLS);
		float w[ROWS * COLS], a[ROWS], g[ROWS * COLS], upstream[ROWS * COLS], used[ROWS * COLS], da[ROWS];

		for (int i = 0; i < ROWS * COLS; i++) {
			w[i] = (float)pb_rng_normal(&rng);
			g[i] = upstream[i] = (float)pb_rng_normal(&rng);
		}
		method_start(&m, w, a);
		for (int r = 0; r < ROWS; r++)
			a[r] *= 0.8f; /* some weights are outside */
		method_forward(&m, w, a, used);
		method_backward(&m, w, a, g, da);
		for (int r = 0; r < ROWS; r++) {
			double h = 1e-4, numeric = 0;

			for (int c = 0; c < COLS; c++) {
				int i = r * COLS + c;
				double level = (double)used[i] / a[r];

				numeric += upstream[i] * (straight_through(k, w[i], a[r] + h, w[i], a[r], level) - straight_through(k, w[i], a[r] - h, w[i], a[r], level)) / (2 * h);
				near("weight", i, g[i],
					upstream[i] * (straight_through(k, w[i] + h, a[r], w[i], a[r], level) - straight_through(k, w[i] - h, a[r], w[i], a[r], level)) / (2 * h), 1e-6);
			}
			near(options[k], r, da[r], numeric / sqrt(ROWS * COLS * qp[k]), 2e-6);
		}
		/* Of the map as it is, where it does not jump: 1 bit. */
		if (k == 0) {
			float more[ROWS], less[ROWS], up[ROWS * COLS], down[ROWS * COLS];

			for (int r = 0; r < ROWS; r++) {
				more[r] = a[r] + 0.25f;
				less[r] = a[r] - 0.25f;
			}
			method_forward(&m, w, more, up);
			method_forward(&m, w, less, down);
			for (int r = 0; r < ROWS; r++) {
				double numeric = 0;

				for (int c = 0; c < COLS; c++)
					numeric += upstream[r * COLS + c] * ((double)up[r * COLS + c] - down[r * COLS + c]) / ((double)more[r] - less[r]);
				near("true derivative", r, da[r], numeric / sqrt(ROWS * COLS), 1e-5);
			}
		}
		method_close(&m);
	}
}

/* ---- first scales of the least squared error ---- */

static double error_of(const struct method *m, const float *w, uint32_t n, float scale)
{
	float *used = malloc(n * sizeof *used);
	double error = 0, square = 0;

	assert_non_null(used);
	method_forward(m, w, &scale, used);
	for (uint32_t i = 0; i < n; i++) {
		error += ((double)w[i] - used[i]) * ((double)w[i] - used[i]);
		square += (double)w[i] * w[i];
	}
	free(used);
	return error / square;
}

/* Of normal weights, by numerical integration: the best scale and its error, in units of their deviation. */
static void test_mse(void **state)
{
	static const struct { const char *options; double scale, error; } best[] = {
		{ "paretoq:bits=1,init=mse,scale_dtype=f32", 0.798, 0.3634 }, { "paretoq:bits=1.58,init=mse,scale_dtype=f32", 1.836, 0.1902 },
		{ "paretoq:bits=2,init=mse,scale_dtype=f32", 1.992, 0.1189 }, { "paretoq:bits=3,init=mse,scale_dtype=f32", 0.602, 0.0406 },
		{ "paretoq:bits=4,init=mse,scale_dtype=f32", 0.339, 0.0119 },
	};
	enum { LONG = 100000 };
	float *w = malloc(LONG * sizeof *w), scale;
	struct pb_rng rng = pb_rng_make(1, 1);

	(void)state;
	assert_non_null(w);
	for (int i = 0; i < LONG; i++)
		w[i] = (float)pb_rng_normal(&rng);
	for (size_t k = 0; k < sizeof best / sizeof *best; k++) {
		struct method m = method_open(best[k].options, 1, LONG);

		method_start(&m, w, &scale);
		near(best[k].options, 0, scale, best[k].scale, 0.02);
		near(best[k].options, 1, error_of(&m, w, LONG, scale) / best[k].error, 1, 0.02);
		/* None nearby is better. */
		for (int i = -10; i <= 10; i++)
			assert_true(error_of(&m, w, LONG, scale * (1 + 0.003f * (float)i)) >= error_of(&m, w, LONG, scale) * (1 - 1e-4));
		method_close(&m);
	}
	/* The paper's scales of a row whose largest weight is four deviations. */
	for (int i = 0; i < LONG; i++)
		w[i] = fmaxf(fminf(w[i], 4), -4);
	w[0] = 4;
	struct method ternary = method_open("paretoq:bits=1.58", 1, LONG), two = method_open("paretoq:bits=2", 1, LONG);

	method_start(&ternary, w, &scale);
	near("ternary, max", 0, error_of(&ternary, w, LONG, scale), 0.55, 0.01);
	near("2 bits, max", 0, error_of(&two, w, LONG, scale), 0.34, 0.01);
	method_close(&ternary);
	method_close(&two);
	free(w);
}

static void test_mse_of_rows_without_size(void **state)
{
	static const char *const options[] = { "paretoq:bits=1,init=mse", "paretoq:bits=1.58,init=mse", "paretoq:bits=2,init=mse", "paretoq:bits=3,init=mse", "paretoq:bits=4,init=mse" };
	static const float rows[][4] = { { 0, 0, 0, 0 }, { 1e-30f, 0, 0, -1e-30f }, { 3, 3, 3, 3 }, { -2, 0, 0, 0 }, { 1e-6f, 2e-6f, 3e-6f, 4e-6f } };

	(void)state;
	for (size_t k = 0; k < 5; k++)
		for (size_t i = 0; i < 5; i++) {
			struct method m = method_open(options[k], 1, 4);
			float latent[4], scale = NAN;
			struct pb_encoded *encoded = NULL;

			memcpy(latent, rows[i], sizeof latent);
			method_start(&m, latent, &scale);
			assert_true(isfinite(scale) && scale >= 0);
			OK(method_encode(&m, latent, &scale, &encoded, ERR));
			pb_encoded_free(encoded);
			method_close(&m);
		}
}

/* ---- what is stored ---- */

static void test_stored(void **state)
{
	static const char *const options[] = { "paretoq:bits=1", "paretoq:bits=1.58", "paretoq:bits=2", "paretoq:bits=3", "paretoq:bits=4" };
	static const char *const dtypes[] = { "f16", "bf16", "f32" };
	static const size_t row_bytes[] = { 5, 8, 10, 14, 19 }, scale_bytes[] = { 2, 2, 4 };
	enum { ROWS = 3, COLS = 37 };
	struct pb_rng rng = pb_rng_make(8, 8);

	(void)state;
	for (int k = 0; k < 5; k++)
		for (int d = 0; d < 3; d++) {
			char text[64];
			float w[ROWS * COLS], a[ROWS], used[ROWS * COLS], decoded[ROWS * COLS];
			struct pb_encoded *m = NULL;

			snprintf(text, sizeof text, "%s,scale_dtype=%s", options[k], dtypes[d]);
			struct method method = method_open(text, ROWS, COLS);

			for (int i = 0; i < ROWS * COLS; i++)
				w[i] = (float)(0.02 * pb_rng_normal(&rng));
			method_start(&method, w, a);
			a[1] *= 1.0001f; /* no number of 16 bits */
			OK(method_encode(&method, w, a, &m, ERR));
			method_forward(&method, w, a, used);
			pb_encoded_decode(m, 0, ROWS, decoded);
			for (int i = 0; i < ROWS * COLS; i++)
				assert_true(used[i] == decoded[i]);
			assert_int_equal(pb_encoded_bytes(m), ROWS * (row_bytes[k] + scale_bytes[d]));
			pb_encoded_free(m);
			method_close(&method);
		}
}

/* Five trits a byte, the first the least: codes 1 0 2 1 2 are 1 + 0 + 18 + 27 + 162; a rest begins a byte. */
static void test_trits(void **state)
{
	struct method m = method_open("paretoq:bits=1.58", 1, 7);
	const float w[7] = { 0, -1, 1, 0.1f, 0.9f, 1, -1 }, scale = 1;
	struct pb_encoded *encoded = NULL;

	(void)state;
	OK(method_encode(&m, w, &scale, &encoded, ERR));
	assert_int_equal(encoded->packed[0], 208);
	assert_int_equal(encoded->packed[1], 2);
	pb_encoded_free(encoded);
	method_close(&m);
}

static void refuses(const char *options, const float *w, const float *scales, const char *sentence)
{
	struct method m = method_open(options, 2, 3);
	struct pb_encoded *encoded = NULL;
	struct pb_error err = { 0 };

	assert_int_equal(method_encode(&m, w, scales, &encoded, &err), PB_NUMERIC);
	if (!strstr(err.text, sentence))
		fail_msg("'%s' does not say '%s'", err.text, sentence);
	assert_null(encoded);
	method_close(&m);
}

static void test_refusals(void **state)
{
	const float w[6] = { 1, 0, 2, 3, 0, 4 }, bad[6] = { 1, NAN, 2, 3, INFINITY, 4 }, a[2] = { 1, 2 }, nan_scale[2] = { 1, NAN }, huge[2] = { 1, 1e6f };
	struct pb_quantizer_use use;
	struct pb_error err = { 0 };

	(void)state;
	refuses("paretoq:bits=1,zero=zero", w, a, "2 latent weights are 0, which one bit does not hold");
	refuses("paretoq", bad, a, "2 of 6 latent weights are not finite");
	refuses("paretoq", w, nan_scale, "1 of 2 trained parameters (scales) are not finite");
	refuses("paretoq", w, huge, "not finite");
	assert_int_equal(pb_quantizer_use_parse(&use, "paretoq:bits=5", &err), PB_USAGE);
	assert_non_null(strstr(err.text, "1, 1.58, 2, 3, 4"));
	assert_int_equal(pb_quantizer_use_parse(&use, "paretoq:tokens=0", &err), PB_USAGE);
	assert_non_null(strstr(err.text, "tokens"));
}

/* ---- budget ---- */

static void test_budget(void **state)
{
	struct method m = method_open("paretoq:tokens=100000,sequences=8,micro_batches=2,warmup=0.1,learning_rate=0.002", 1, 1);
	struct pb_recipe r;
	struct pb_distillation d;
	struct pb_error err = { 0 };

	(void)state;
	pb_options_default(pb_recipe_options, &r);
	OK(m.use.quantizer->qat->recipe(m.use.options, 256, &r, ERR));
	assert_true(r.length == 256 && r.sequences == 8 && r.micro_batches == 2 && r.steps == 25 && r.warmup == 3);
	assert_true(r.learning_rate == 0.002 && r.weight_decay == 0 && r.beta2 == 0.999 && r.schedule == PB_SCHEDULE_COSINE && r.final_share == 0);
	OK(m.use.quantizer->qat->recipe(m.use.options, 8192, &r, ERR));
	assert_int_equal(r.length, 2048);
	assert_false(m.use.quantizer->qat->teacher(m.use.options, &d));
	method_close(&m);
	m = method_open("paretoq:length=300,distill=0.25", 1, 1);
	assert_int_equal(m.use.quantizer->qat->recipe(m.use.options, 256, &r, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "longer than the model's context of 256"));
	assert_true(m.use.quantizer->qat->teacher(m.use.options, &d));
	assert_true(d.targets == 0.75 && d.logits == 0.25 && d.states == 0 && d.form == PB_DISTILL_PAPER);
	method_close(&m);
	m = method_open("paretoq:learning_rate=0", 1, 1);
	assert_int_equal(m.use.quantizer->qat->recipe(m.use.options, 256, &r, &err), PB_USAGE);
	method_close(&m);
}

/* One budget and one rate for every width and the baselines, so that they can be compared. */
static void test_same_budget(void **state)
{
	static const char *const methods[] = { "paretoq:bits=1", "paretoq:bits=4", "llm_qat:bits=2", "bitnet", "finetune" };

	(void)state;
	for (size_t k = 0; k < sizeof methods / sizeof *methods; k++) {
		struct method m = method_open(methods[k], 1, 1);
		struct pb_recipe r;

		pb_options_default(pb_recipe_options, &r);
		OK(m.use.quantizer->qat->recipe(m.use.options, 256, &r, ERR));
		assert_true(r.learning_rate == 2e-3 && r.steps == 1024 && r.sequences == 4 && r.length == 256);
		method_close(&m);
	}
}

static void test_refused_grid(void **state)
{
	struct pb_quantizer_use use;
	struct pb_quantize_job job = { .name = "m", .rows = 2, .cols = 2, .source_dtype = PB_F32 };
	uint64_t bytes = 0;
	struct pb_error err = { 0 };

	(void)state;
	OK(pb_quantizer_use_parse(&use, "paretoq:bits=1,grid=seq", ERR));
	assert_int_equal(pb_quantizer_plan(&use, &job, &bytes, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "elastic binarization alone"));
	pb_quantizer_use_free(&use);
}

/* ---- the paper's sizes ---- */

/* MobileLLM: heads of 64, vocabulary 32000, head shared. MiB on the axis of the paper's figures for 1, 1.58, 2, 3 and 4 bits. */
static const struct mobile {
	uint32_t dim, layers, heads, kv_heads, hidden;
	uint64_t weights, embeddings, rows, norms, total;
	double sizes[5];
} mobiles[] = {
	{ 576, 30, 9, 3, 1536, 106168320, 18432000, 155520, 35136, 124635456, { 21.4, 28.8, 34.1, 46.8, 59.4 } },
	{ 960, 32, 15, 5, 2560, 314572800, 30720000, 276480, 62400, 345355200, { 52.1, 73.9, 89.6, 127.1, 164.6 } },
	{ 1152, 40, 18, 6, 3072, 566231040, 36864000, 414720, 93312, 603188352, { 85.1, 124.2, 152.6, 220.1, 287.6 } },
	{ 1280, 54, 20, 5, 3584, 964362240, 40960000, 628992, 139520, 1005461760, { 134.5, 201.2, 249.5, 364.4, 479.4 } },
	{ 1600, 54, 25, 5, 4352, 1459814400, 51200000, 763776, 174400, 1511188800, { 198.4, 299.4, 372.5, 546.5, 720.5 } },
};

static void test_paper_sizes(void **state)
{
	static const char *const bits[] = { "1", "1.58", "2", "3", "4" };

	(void)state;
	for (size_t i = 0; i < sizeof mobiles / sizeof *mobiles; i++) {
		const struct mobile *x = &mobiles[i];
		struct pb_config c = { .n_vocab = 32000, .dim = x->dim, .n_layers = x->layers, .n_heads = x->heads, .n_kv_heads = x->kv_heads, .head_dim = 64,
			.hidden = x->hidden, .tied_head = true };
		struct pb_shape s = pb_shape_of(&c);

		assert_true(s.weights == x->weights && s.embeddings == x->embeddings && s.rows == x->rows && s.norms == x->norms);
		assert_true(s.weights + s.embeddings + s.norms == x->total);
		for (size_t k = 0; k < 5; k++) {
			char text[32];

			snprintf(text, sizeof text, "paretoq:bits=%s", bits[k]);
			struct method m = method_open(text, 1, 1);

			near(text, (int)i, m.use.quantizer->paper_bytes(m.use.options, &c) / 1048576, x->sizes[k], 0.0501 / x->sizes[k]);
			method_close(&m);
		}
	}
}

/* ---- torch ---- */

static void test_torch(void **state)
{
	static const char *const bits[] = { "1", "1.58", "2", "3", "4" };
	struct pb_model *model = mixed_model();

	(void)state;
	for (size_t k = 0; k < 5; k++) {
		char options[64];

		snprintf(options, sizeof options, "paretoq:bits=%s,scale_dtype=f32", bits[k]);
		struct method m = method_open(options, 1, 1);
		struct pb_trainer *t = mixed_trainer(&m, model, "", NULL);

		check_losses(t, "tests/vectors/paretoq/losses20.txt", bits[k], 1e-2);
		pb_trainer_close(t);
		method_close(&m);
	}
	pb_model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known), cmocka_unit_test(test_saturation), cmocka_unit_test(test_first_scales), cmocka_unit_test(test_edges),
		cmocka_unit_test(test_gradients), cmocka_unit_test(test_mse), cmocka_unit_test(test_mse_of_rows_without_size), cmocka_unit_test(test_stored),
		cmocka_unit_test(test_trits), cmocka_unit_test(test_refusals), cmocka_unit_test(test_budget), cmocka_unit_test(test_same_budget), cmocka_unit_test(test_refused_grid), cmocka_unit_test(test_paper_sizes),
		cmocka_unit_test(test_torch),
	};

	return cmocka_run_group_tests_name("paretoq", tests, NULL, scratch_teardown);
}
