/* finetune, llm_qat and bitnet: what runs and is stored before the first step is what the training-free methods of the same grids
 * store, gradients pass unchanged, and what their options refuse. */
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

enum { ROWS = 6, COLS = 43, SIZE = ROWS * COLS };

static void make_weights(float w[SIZE])
{
	struct pb_rng rng = pb_rng_make(2, 5);

	for (int i = 0; i < SIZE; i++)
		w[i] = i / COLS == 4 ? 0 : (float)(0.03 * pb_rng_normal(&rng)); /* a row without size */
}

static void decode(const char *text, float *w, float decoded[SIZE])
{
	struct pb_quantize_job job = { .name = "m", .n_layers = 1, .rows = ROWS, .cols = COLS, .weights = w, .source_dtype = PB_F32 };
	struct pb_quantizer_use use;
	struct pb_encoded *m = NULL;

	OK(pb_quantizer_use_parse(&use, text, ERR));
	OK(pb_quantizer_run(&use, &job, &m, ERR));
	pb_encoded_decode(m, 0, ROWS, decoded);
	pb_encoded_free(m);
	pb_quantizer_use_free(&use);
}

static void test_same_grids(void **state)
{
	static const char *const pairs[][2] = {
		{ "finetune", "identity:dtype=bf16" }, { "finetune:dtype=f16", "identity:dtype=f16" }, { "finetune:dtype=f32", "identity:dtype=f32" },
		{ "bitnet", "ternary" }, { "bitnet:scale_dtype=f32", "ternary:scale_dtype=f32" },
	};
	float w[SIZE], a[SIZE], b[SIZE];

	(void)state;
	make_weights(w);
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		decode(pairs[i][0], w, a);
		decode(pairs[i][1], w, b);
		for (int k = 0; k < SIZE; k++)
			if (a[k] != b[k])
				fail_msg("%s: weight %d is %g, of %s %g", pairs[i][0], k, (double)a[k], pairs[i][1], (double)b[k]);
	}
}

static void test_min_max(void **state)
{
	float w[SIZE], decoded[SIZE];

	(void)state;
	make_weights(w);
	for (int bits = 1; bits <= 8; bits += bits == 6 ? 2 : 1) {
		double top = bits > 1 ? (1 << (bits - 1)) - 1 : 1;
		char text[48];

		snprintf(text, sizeof text, bits > 1 ? "llm_qat:bits=%d,scale_dtype=f32" : "llm_qat:bits=1.58,scale_dtype=f32", bits);
		decode(text, w, decoded);
		for (int r = 0; r < ROWS; r++) {
			double most = 0;

			for (int c = 0; c < COLS; c++)
				most = fmax(most, fabsf(w[r * COLS + c]));
			for (int c = 0; c < COLS; c++) {
				double s = most / top, expected = s > 0 ? s * rint(w[r * COLS + c] / s) : 0;

				if (!(fabs(decoded[r * COLS + c] - expected) < 1e-6 * most + 1e-30))
					fail_msg("%s: %g, expected %g", text, (double)decoded[r * COLS + c], expected);
			}
		}
	}
}

/* BitNet at 1 bit: mean |W| times the sign of what is above the mean, and a minus at the mean itself. */
static void test_signs_about_the_mean(void **state)
{
	static const float w[6] = { 0.25f, -0.5f, 1, 0.5f, 0, 0.25f };
	struct pb_quantizer_use use;
	struct pb_encoded *m = NULL;
	struct pb_quantize_job job = { .name = "m", .n_layers = 1, .rows = 2, .cols = 3, .weights = w, .source_dtype = PB_F32 };
	float decoded[6];

	(void)state;
	OK(pb_quantizer_use_parse(&use, "bitnet:bits=1,scale_dtype=f32", ERR));
	OK(pb_quantizer_run(&use, &job, &m, ERR));
	pb_encoded_decode(m, 0, 2, decoded);
	for (int i = 0; i < 6; i++)     /* the mean is 1/4, that of the magnitudes 5/12 */
		assert_true(decoded[i] == (i == 2 || i == 3 ? 1 : -1) * (float)(2.5 / 6));
	assert_int_equal(pb_encoded_bytes(m), 2 + 4);
	assert_true(use.quantizer->wbits(use.options, PB_F32) == 1);
	pb_encoded_free(m);
	pb_quantizer_use_free(&use);
}

static void test_gradients_pass(void **state)
{
	static const char *const methods[] = { "finetune", "llm_qat", "bitnet", "bitnet:bits=1" };
	float w[SIZE], gradient[SIZE], before[SIZE];

	(void)state;
	make_weights(w);
	for (int i = 0; i < SIZE; i++)
		gradient[i] = before[i] = (float)i;
	for (size_t k = 0; k < 4; k++) {
		struct method m = method_open(methods[k], ROWS, COLS);
		struct pb_distillation d;

		assert_int_equal(m.transform.n_parameters(m.transform.arg, 0, PB_Q, ROWS, COLS), 0);
		method_start(&m, w, NULL);
		method_backward(&m, w, NULL, gradient, NULL);
		assert_memory_equal(gradient, before, sizeof before);
		assert_false(m.use.quantizer->qat->teacher(m.use.options, &d));
		method_close(&m);
	}
}

/* A few steps on the tiny model: the loss falls, and what is stored is what ran. */
static void test_training(void **state)
{
	static const char *const methods[] = { "finetune", "llm_qat:bits=3", "bitnet", "bitnet:bits=1" };
	struct pb_model *model = mixed_model();
	int32_t inputs[MIXED_TOKENS], targets[MIXED_TOKENS];

	(void)state;
	mixed_tokens(inputs, targets);
	for (size_t k = 0; k < 4; k++) {
		struct method m = method_open(methods[k], 32, 48);
		struct pb_trainer *t = mixed_trainer(&m, model, "", NULL);
		struct pb_network_f32 *net = pb_trainer_network(t);
		const struct pb_parameter *down = &net->layout.parameters[pb_layout_matrix(1, PB_DOWN)];
		float decoded[32 * 48];
		struct pb_encoded *encoded = NULL;
		struct pb_step first, s;

		OK(pb_trainer_step(t, inputs, targets, &first, ERR));
		for (int i = 1; i < 20; i++)
			OK(pb_trainer_step(t, inputs, targets, &s, ERR));
		assert_true(s.loss < 0.7 * first.loss);
		pb_network_prepare_f32(net);
		OK(method_encode(&m, net->parameters + down->first, NULL, &encoded, ERR));
		pb_encoded_decode(encoded, 0, 32, decoded);
		for (size_t i = 0; i < down->n; i++)
			assert_true(decoded[i] == net->used[down->first + i]);
		pb_encoded_free(encoded);
		pb_trainer_close(t);
		method_close(&m);
	}
	pb_model_close(model);
}

static void test_refusals(void **state)
{
	struct pb_quantizer_use use;
	struct pb_error err = { 0 };

	(void)state;
	assert_int_equal(pb_quantizer_use_parse(&use, "llm_qat:bits=1", &err), PB_USAGE);
	assert_int_equal(pb_quantizer_use_parse(&use, "llm_qat:bits=7", &err), PB_USAGE);
	assert_non_null(strstr(err.text, "1.58, 2, 3, 4, 5, 6, 8"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_grids), cmocka_unit_test(test_min_max), cmocka_unit_test(test_signs_about_the_mean), cmocka_unit_test(test_gradients_pass), cmocka_unit_test(test_training),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests_name("straight_through", tests, NULL, scratch_teardown);
}
