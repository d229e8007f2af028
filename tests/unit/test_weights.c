/* The task `weights`: sums over weights against plain loops, second moments in the model as it was, what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "harness/run/cell.h"
#include "harness/run/weights.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tiny_model.h"

static struct pb_model *model;
static struct pb_tokenizer *tokenizer;
static struct pb_model before;
static char text_path[512];

static int setup(void **state)
{
	struct tiny_model m = tiny_model_default();
	struct pb_text text = { 0 };

	(void)state;
	/* More than one block of rows, the last one short; more than one panel of columns. */
	m.dim = 96;
	m.hidden = 150;
	OK(tiny_model_write_llama2c(scratch_path("model.bin"), &m, 0, ERR));
	OK(pb_model_open(&model, scratch_path("model.bin"), ERR));
	OK(tiny_model_write_tokenizer(scratch_path("tokenizer.bin"), m.n_vocab, ERR));
	OK(pb_tokenizer_open(&tokenizer, scratch_path("tokenizer.bin"), m.n_vocab, ERR));
	for (int i = 0; i < 60; i++)
		pb_text_printf(&text, "line %d of a small text\n", i * i);
	snprintf(text_path, sizeof text_path, "%s", scratch_path("text.txt"));
	OK(pb_file_write(text_path, pb_text_c(&text), text.length, ERR));
	pb_text_free(&text);
	OK(pb_weights_before(&before, model, ERR));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pb_free(before.matrices);
	pb_tokenizer_free(tokenizer);
	pb_model_close(model);
	scratch_remove();
	return 0;
}

static void quantize(const char *text)
{
	struct pb_quantizer_use use = { 0 };

	OK(pb_quantizer_use_parse(&use, text, ERR));
	OK(pb_quantize_model(model, &use, 0, NULL, NULL, ERR));
	pb_quantizer_use_free(&use);
}

static struct pb_calibration *open_moments(const char *cache)
{
	static struct pb_calibration_spec spec;
	struct pb_calibration_source source = { .spec = &spec, .hash = "", .cache = cache, .model = &before, .tokenizer = tokenizer };
	struct pb_calibration *c = NULL;

	pb_options_default(pb_calibration_options, &spec);
	spec.data = text_path;
	spec.n_samples = 4;
	spec.seq_len = 24;
	OK(pb_calibration_open(&c, &source, PB_NEEDS_ACTIVATIONS, ERR));
	return c;
}

/* sum r H r^T over the rows of x, the plain way. */
static double plain_proxy(const float *x, const float *h, uint32_t rows, uint32_t cols)
{
	double sum = 0;

	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t i = 0; i < cols; i++)
			for (uint32_t j = 0; j < cols; j++)
				sum += (double)x[r * cols + i] * h[i * cols + j] * x[r * cols + j];
	return sum;
}

static void check_matrix(uint32_t i, const struct pb_weight_error *found, const struct pb_calibration *moments)
{
	const struct pb_matrix *m = &model->matrices[i];
	struct pb_quantize_job job = { 0 };
	uint64_t n = (uint64_t)m->rows * m->cols;
	float *w = pb_alloc(n, sizeof *w), *x = pb_alloc(n, sizeof *x);
	double sums[4] = { 0 };

	assert_true(w && x);
	OK(pb_matrix_read(m, w, ERR));
	pb_encoded_decode(m->encoded, 0, m->rows, x);
	for (uint64_t k = 0; k < n; k++) {
		x[k] -= w[k];
		sums[0] += fabs(x[k]);
		sums[1] += fabs(w[k]);
		sums[2] += (double)x[k] * x[k];
		sums[3] += (double)w[k] * w[k];
	}
	assert_true(fabs(found->error[PB_SUMS_L1] / sums[0] - 1) < 1e-6);
	assert_true(fabs(found->whole[PB_SUMS_L1] / sums[1] - 1) < 1e-12);
	assert_true(fabs(found->error[PB_SUMS_SQUARES] / sums[2] - 1) < 1e-6);
	assert_true(fabs(found->whole[PB_SUMS_SQUARES] / sums[3] - 1) < 1e-12);
	pb_calibration_fill(moments, &before.matrices[i], &job);
	assert_true(fabs(found->error[PB_SUMS_PROXY] / plain_proxy(x, job.second_moment, m->rows, m->cols) - 1) < 1e-5);
	assert_true(fabs(found->whole[PB_SUMS_PROXY] / plain_proxy(w, job.second_moment, m->rows, m->cols) - 1) < 1e-9);
	pb_free(w);
	pb_free(x);
}

static void test_sums(void **state)
{
	struct pb_calibration *kept = open_moments(scratch_path("cache")), *layered = open_moments(NULL);
	struct pb_weight_error found[2 * PB_SLOTS], again[2 * PB_SLOTS];
	struct pb_pool *pool = NULL;

	(void)state;
	OK(pb_pool_new(&pool, 4, ERR));
	quantize("rtn:bits=2");
	assert_true(pb_calibration_is_layered(layered) && !pb_calibration_is_layered(kept));
	OK(pb_weights_compare(&before, model, kept, NULL, NULL, NULL, found, ERR));
	for (uint32_t i = 0; i < model->n_matrices; i++)
		check_matrix(i, &found[i], kept);
	/* Measured behind the back of a quantized model: of the model as it was, the same bits; and for any number of threads. */
	OK(pb_weights_compare(&before, model, layered, pool, NULL, NULL, again, ERR));
	assert_memory_equal(found, again, sizeof found);
	OK(pb_weights_compare(&before, model, NULL, pool, NULL, NULL, again, ERR));
	assert_true(again[3].error[PB_SUMS_L1] == found[3].error[PB_SUMS_L1] && again[3].whole[PB_SUMS_PROXY] == 0);
	pb_unquantize_model(model);
	OK(pb_weights_compare(&before, model, kept, pool, NULL, NULL, again, ERR));
	for (uint32_t i = 0; i < model->n_matrices; i++)
		assert_true(again[i].error[PB_SUMS_L1] == 0 && again[i].error[PB_SUMS_PROXY] == 0 && again[i].whole[PB_SUMS_PROXY] == found[i].whole[PB_SUMS_PROXY]);
	pb_calibration_close(kept);
	pb_calibration_close(layered);
	pb_pool_free(pool);
}

static void test_refused(void **state)
{
	struct pb_weight_error found[2 * PB_SLOTS];
	struct pb_model view;
	struct pb_error err = { 0 };

	(void)state;
	quantize("rtn:bits=2");
	model->matrices[3].encoded->post = PB_POST_LAYERNORM;
	assert_int_equal(pb_weights_compare(&before, model, NULL, NULL, NULL, NULL, found, &err), PB_UNSUPPORTED);
	assert_string_equal(err.text, "model.layers.0.self_attn.o_proj: a layernorm behind it makes the scale of its weights mean nothing");
	pb_unquantize_model(model);
	model->quantization = json_object();
	assert_int_equal(pb_weights_before(&view, model, &err), PB_UNSUPPORTED);
	assert_string_equal(err.text, "model is quantized already; what its weights were before is not known");
	json_decref(model->quantization);
	model->quantization = NULL;
}

static struct pb_task *parse(const char *more)
{
	struct pb_task *task = NULL;
	char text[256];
	int n = snprintf(text, sizeof text, "task: w\noutput_type: weights\n%s", more);

	OK(pb_task_parse(&task, "w.yaml", text, (size_t)n, NULL, 0, ERR));
	assert_true(pb_task_is_of_weights(task));
	return task;
}

/* Of (1, 10), (2, 10), (6, 10): 0.3, and by hand sqrt(3 / 2 * (4 + 1 + 9)) / 30. */
static void test_metrics(void **state)
{
	struct pb_weight_error matrices[3] = { { { 1, 1, 1 }, { 10, 10, 0 } }, { { 2, 1, 1 }, { 10, 10, 0 } }, { { 6, 1, 1 }, { 10, 10, 0 } } };
	struct pb_task *task = parse(""), *proxy = parse("metric_list: [proxy_error]\n"), *l1 = parse("metric_list: [relative_l1]\n");
	struct pb_task_result *result = NULL;
	struct pb_error err = { 0 };

	(void)state;
	assert_true(pb_task_wants_moments(task) && pb_task_wants_moments(proxy) && !pb_task_wants_moments(l1));
	OK(pb_task_score_weights(&result, task, matrices, 3, false, ERR));
	assert_int_equal(result->n_metrics, 2);
	assert_string_equal(result->metrics[0].name, "relative_l1");
	assert_true(fabs(result->metrics[0].value - 0.3) < 1e-15 && result->metrics[0].n == 3 && !result->metrics[0].higher_is_better);
	assert_true(fabs(result->metrics[0].stderr_value - sqrt(21) / 30) < 1e-15);
	assert_true(result->metrics[1].value == 0.1 && result->metrics[1].stderr_value < 1e-15);
	pb_task_result_free(result);
	OK(pb_task_score_weights(&result, l1, matrices, 1, true, ERR));
	assert_true(result->n_metrics == 1 && isnan(result->metrics[0].stderr_value));
	pb_task_result_free(result);
	assert_int_equal(pb_task_score_weights(&result, proxy, matrices, 3, false, &err), PB_USAGE);
	assert_string_equal(err.text, "w: proxy_error needs calibration data, and there are none");
	assert_int_equal(pb_task_score_weights(&result, task, matrices, 3, true, &err), PB_NUMERIC);
	assert_string_equal(err.text, "w: proxy_error is not finite: all weights are 0, or too large");
	pb_task_close(task);
	pb_task_close(proxy);
	pb_task_close(l1);
}

static void test_definition(void **state)
{
	static const char text[] = "task: w\noutput_type: weights\ndata_files: [{file: x}]\n";
	struct pb_task *task = NULL;
	struct pb_error err = { 0 };

	(void)state;
	assert_int_equal(pb_task_parse(&task, "w.yaml", text, strlen(text), NULL, 0, &err), PB_USAGE);
	assert_string_equal(err.text, "w.yaml:3:13: tasks of the kind weights read no data_files");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_definition),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
