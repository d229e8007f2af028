/* QEP's correction: numbers that numpy made of the formula of quantizers/qep.h, and what holds for gptq with it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rng.h"
#include "quantizers/qep.h"
#include "quantizers/quantizer.h"
#include "tests/unit/expect.h"

static const float weights[12] = { -0.8f, -1.32f, -0.25f, 0.42f, 1.14f, 0.11f, -0.55f, -0.78f, 0.75f, 1.63f, 0.27f, -1.23f };
static const float moments[16] = { 0.756f, 0.026f, 0, 0.277f, 0.026f, 0.946f, -0.061f, -0.119f, 0, -0.061f, 0.902f, -0.005f, 0.277f, -0.119f, -0.005f, 0.912f };
static const float cross[16] = { -0.022f, -0.042f, -0.011f, 0.073f, 0.001f, -0.062f, 0.019f, 0.035f, 0, 0.001f, -0.005f, 0.002f };

/* numpy: W + 0.5 * W @ D @ inv(H + trace(H) / 4 * eye(4)) */
static void test_known(void **state)
{
	static const double expected[12] = { -0.790602043, -1.29056609, -0.253292404, 0.391151836, 1.12835876, 0.0965672724, -0.552551875, -0.755098621,
		0.740818551, 1.59604286, 0.27492213, -1.19946009 };
	float w[12];

	(void)state;
	memcpy(w, weights, sizeof w);
	OK(pb_qep_correct(w, 3, 4, cross, moments, 0.5, ERR));
	for (int i = 0; i < 12; i++)
		assert_true(fabs(w[i] - expected[i]) < 2e-7);
	memcpy(w, weights, sizeof w);
	OK(pb_qep_correct(w, 3, 4, cross, moments, 0, ERR));
	assert_memory_equal(w, weights, sizeof w);
}

static void test_refused(void **state)
{
	float w[12], bad[16];
	struct pb_error err = { 0 };

	(void)state;
	memcpy(w, weights, sizeof w);
	memcpy(bad, moments, sizeof bad);
	bad[1] = bad[4] = 100;
	assert_int_equal(pb_qep_correct(w, 3, 4, cross, bad, 0.5, &err), PB_NUMERIC);
	assert_memory_equal(w, weights, sizeof w);
	for (int i = 0; i < 12; i++)
		w[i] *= 100;
	for (int i = 0; i < 16; i++)
		bad[i] = 3e38f;
	assert_int_equal(pb_qep_correct(w, 3, 4, bad, moments, 1, &err), PB_NUMERIC);
}

/* What is decoded, free'd. */
static float *quantize(const char *options, const struct pb_quantize_job *job)
{
	struct pb_quantizer_use use = { 0 };
	struct pb_encoded *m = NULL;
	float *out = calloc((size_t)job->rows * job->cols, sizeof *out);

	assert_non_null(out);
	OK(pb_quantizer_use_parse(&use, options, ERR));
	OK(pb_quantizer_run(&use, job, &m, ERR));
	pb_encoded_decode(m, 0, job->rows, out);
	pb_encoded_free(m);
	pb_quantizer_use_free(&use);
	return out;
}

/* gptq with qep is gptq of the corrected weights; of down_proj, and of no error in the inputs, it is gptq. */
static void test_gptq(void **state)
{
	enum { ROWS = 6, COLS = 40, N = 200 };
	static float w[ROWS * COLS], corrected[ROWS * COLS], h[COLS * COLS], d[COLS * COLS], none[COLS * COLS], mean_abs[COLS];
	struct pb_rng r = pb_rng_make(7, 8);
	struct pb_quantize_job job = { .name = "m", .slot = PB_Q, .rows = ROWS, .cols = COLS, .weights = w, .second_moment = h, .mean_abs = mean_abs, .cross_moment = d };
	float *plain, *moved, *other;

	(void)state;
	for (int i = 0; i < ROWS * COLS; i++)
		w[i] = (float)pb_rng_normal(&r);
	for (int t = 0; t < N; t++) {
		double x[COLS], y[COLS];

		for (int i = 0; i < COLS; i++) {
			x[i] = pb_rng_normal(&r);
			y[i] = x[i] + 0.3 * pb_rng_normal(&r) + 0.2 * x[i];
		}
		for (int i = 0; i < COLS; i++)
			for (int j = 0; j < COLS; j++) {
				h[i * COLS + j] += (float)(x[i] * x[j] / N);
				d[i * COLS + j] += (float)((y[i] - x[i]) * x[j] / N);
			}
	}
	for (int i = 0; i < COLS; i++)
		for (int j = 0; j < i; j++)
			h[i * COLS + j] = h[j * COLS + i];
	memcpy(corrected, w, sizeof w);
	OK(pb_qep_correct(corrected, ROWS, COLS, d, h, 0.5, ERR));
	plain = quantize("gptq:bits=3", &job);
	moved = quantize("gptq:bits=3,qep=0.5", &job);
	assert_memory_not_equal(plain, moved, sizeof w);
	job.weights = corrected;
	other = quantize("gptq:bits=3", &job);
	assert_memory_equal(other, moved, sizeof w);
	free(other);
	free(moved);
	job.weights = w;
	job.slot = PB_DOWN;
	moved = quantize("gptq:bits=3,qep=0.5", &job);
	assert_memory_equal(plain, moved, sizeof w);
	free(moved);
	job.slot = PB_Q;
	job.cross_moment = none;
	moved = quantize("gptq:bits=3,qep=1", &job);
	assert_memory_equal(plain, moved, sizeof w);
	free(moved);
	free(plain);
}

static void test_needs(void **state)
{
	struct pb_quantizer_use use = { 0 };
	struct pb_quantize_job job = { .name = "m", .rows = 3, .cols = 4, .weights = weights, .second_moment = moments, .mean_abs = moments };
	struct pb_encoded *m = NULL;
	struct pb_error err = { 0 };

	(void)state;
	OK(pb_quantizer_use_parse(&use, "gptq:qep=0.5,true_sequential=true", ERR));
	assert_int_equal(pb_quantizer_needs(use.quantizer, use.options), PB_NEEDS_ACTIVATIONS | PB_NEEDS_SEQUENTIAL | PB_NEEDS_STEPWISE | PB_NEEDS_CROSS);
	assert_int_equal(pb_quantizer_run(&use, &job, &m, &err), PB_UNSUPPORTED);
	assert_string_equal(err.text, "it needs moments across to the full-precision model and was given none");
	pb_quantizer_use_free(&use);
	OK(pb_quantizer_use_parse(&use, "gptq:qep=0.5,sequential=false", ERR));
	assert_int_equal(pb_quantizer_run(&use, &job, &m, &err), PB_USAGE);
	assert_string_equal(err.text, "qep: without sequential=true there are no quantized layers before");
	pb_quantizer_use_free(&use);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_gptq),
		cmocka_unit_test(test_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
