/* Moments of the inputs of linear maps: against the activations of the training engine, which are made by other code and in
 * double; layer by layer over layers that are quantized already; and the same bits for any pool. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "backends/calibrate.h"
#include "backends/train/network.h"
#include "core/base/rng.h"
#include "quantizers/quantizer.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tiny_model.h"

static void *get_memory(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	assert_non_null(p);
	return p;
}

static int32_t *make_tokens(const struct pb_model *model, size_t n)
{
	int32_t *tokens = get_memory(n, sizeof *tokens);
	struct pb_rng r = pb_rng_make(3, 4);

	for (size_t i = 0; i < n; i++)
		tokens[i] = (int32_t)pb_rng_below(&r, model->config.n_vocab);
	return tokens;
}

static struct pb_model *open_model(const struct tiny_model *m, bool folder)
{
	const char *path = scratch_path(folder ? "model" : "model.bin");
	struct pb_model *model = NULL;

	if (folder)
		OK(tiny_model_write_folder(path, m, ERR));
	else
		OK(tiny_model_write_llama2c(path, m, 0, ERR));
	OK(pb_model_open(&model, path, ERR));
	return model;
}

/* ---- the training engine in double as the oracle ---- */

static void fill_vector(double *out, const struct pb_tensor *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = pb_float_at(t->dtype, t->data, i);
}

static void fill_network(struct pb_network_f64 *net, const struct pb_model *model)
{
	for (uint32_t i = 0; i < net->layout.n; i++) {
		const struct pb_parameter *p = &net->layout.parameters[i];
		double *out = net->parameters + p->first;

		if (p->kind == PB_PARAMETER_MATRIX) {
			const struct pb_matrix *m = &model->matrices[p->layer * PB_SLOTS + (uint32_t)p->slot];
			float *w = get_memory(p->n, sizeof *w);

			OK(pb_matrix_read(m, w, ERR));
			for (size_t k = 0; k < p->n; k++)
				out[k] = w[k];
			free(w);
		} else if (p->kind == PB_PARAMETER_EMBEDDING) {
			fill_vector(out, &model->embedding, p->n);
		} else if (p->kind == PB_PARAMETER_HEAD) {
			fill_vector(out, &model->head, p->n);
		} else if (i == net->layout.final_norm) {
			fill_vector(out, &model->final_norm, p->n);
		} else {
			fill_vector(out, i == pb_layout_norm(p->layer, 0) ? &model->attention_norm[p->layer] : &model->ffn_norm[p->layer], p->n);
		}
	}
}

static void compare(const struct pb_moments *m, const double *x, size_t n)
{
	uint32_t cols = m->cols;

	for (uint32_t i = 0; i < cols; i++) {
		double sum = 0, size = 0;

		for (size_t t = 0; t < n; t++) {
			sum += fabs(x[t * cols + i]);
			size += x[t * cols + i] * x[t * cols + i];
		}
		assert_float_equal(m->mean_abs[i], sum / n, 2e-5 * sum / n);
		for (uint32_t j = 0; j < cols; j++) {
			double product = 0;

			for (size_t t = 0; t < n; t++)
				product += x[t * cols + i] * x[t * cols + j];
			if (fabs(m->second_moment[(size_t)i * cols + j] - product / n) > 1e-5 * (size / n + 1e-3))
				fail_msg("moment %u %u: %g, expected %g", i, j, (double)m->second_moment[(size_t)i * cols + j], product / n);
			assert_true(m->second_moment[(size_t)i * cols + j] == m->second_moment[(size_t)j * cols + i]);
		}
	}
}

static void check_model(struct pb_model *model, uint32_t n_samples, uint32_t seq_len)
{
	size_t n = (size_t)n_samples * seq_len;
	int32_t *tokens = make_tokens(model, n), *none = get_memory(n, sizeof *none);
	struct pb_network_f64 *net = NULL;
	struct pb_calibrator *c = NULL;

	memset(none, -1, n * sizeof *none);
	OK(pb_network_open_f64(&net, &model->config, n_samples, seq_len, false, NULL, NULL, ERR));
	fill_network(net, model);
	pb_network_prepare_f64(net);
	pb_network_run_f64(net, tokens, none, 1, false, NULL);
	OK(pb_calibrator_open(&c, model, tokens, n_samples, seq_len, NULL, NULL, NULL, ERR));
	for (uint32_t l = 0; l < model->config.n_layers; l++) {
		const struct pb_activations_f64 *a = &net->activations[l];

		OK(pb_calibrator_measure(c, true, ERR));
		compare(pb_calibrator_moments(c, PB_INPUT_ATTENTION), a->normed1, n);
		compare(pb_calibrator_moments(c, PB_INPUT_O), a->attended, n);
		compare(pb_calibrator_moments(c, PB_INPUT_FFN), a->normed2, n);
		compare(pb_calibrator_moments(c, PB_INPUT_DOWN), a->gated, n);
	}
	pb_calibrator_close(c);
	pb_network_close_f64(net);
	free(tokens);
	free(none);
	pb_model_close(model);
}

static void test_against_double(void **state)
{
	struct tiny_model m = tiny_model_default();

	(void)state;
	check_model(open_model(&m, false), 3, 64);
	/* Widths that are no multiple of a tile, and a last batch that is not full. */
	m.hidden = 150;
	m.head_dim = 12;
	m.dtype = PB_BF16;
	m.tied = false;
	check_model(open_model(&m, true), 37, 30);
	/* Samples that are longer than a batch. */
	m.context = 1100;
	m.n_vocab = 270;
	check_model(open_model(&m, true), 2, 1100);
}

/* ---- rules ---- */

static struct pb_moments copy_moments(const struct pb_calibrator *c, enum pb_input input)
{
	const struct pb_moments *m = pb_calibrator_moments(c, input);
	size_t n = (size_t)m->cols * m->cols;
	struct pb_moments copy = { m->cols, get_memory(n, sizeof(float)), get_memory(m->cols, sizeof(float)), NULL };

	memcpy(copy.second_moment, m->second_moment, n * sizeof(float));
	memcpy(copy.mean_abs, m->mean_abs, m->cols * sizeof(float));
	return copy;
}

static bool same_moments(const struct pb_moments *a, const struct pb_moments *b)
{
	return memcmp(a->second_moment, b->second_moment, (size_t)a->cols * a->cols * sizeof(float)) == 0 &&
		memcmp(a->mean_abs, b->mean_abs, a->cols * sizeof(float)) == 0;
}

static void free_moments(struct pb_moments *m)
{
	free(m->second_moment);
	free(m->mean_abs);
}

static void test_same_bits_for_any_pool(void **state)
{
	struct tiny_model m = tiny_model_default();
	struct pb_model *model;
	struct pb_moments first[PB_INPUTS];
	int32_t *tokens;

	(void)state;
	m.hidden = 300;
	model = open_model(&m, false);
	tokens = make_tokens(model, 40 * 50);
	for (unsigned threads = 1; threads <= 4; threads++) {
		struct pb_calibrator *c = NULL;
		struct pb_pool *pool = NULL;

		OK(pb_pool_new(&pool, threads, ERR));
		OK(pb_calibrator_open(&c, model, tokens, 40, 50, pool, NULL, NULL, ERR));
		OK(pb_calibrator_measure(c, true, ERR));
		OK(pb_calibrator_measure(c, true, ERR));
		for (int i = 0; i < PB_INPUTS; i++) {
			if (threads == 1)
				first[i] = copy_moments(c, (enum pb_input)i);
			else
				assert_true(same_moments(&first[i], pb_calibrator_moments(c, (enum pb_input)i)));
		}
		pb_calibrator_close(c);
		pb_pool_free(pool);
	}
	for (int i = 0; i < PB_INPUTS; i++)
		free_moments(&first[i]);
	free(tokens);
	pb_model_close(model);
}

static void quantize_matrix(struct pb_matrix *m)
{
	struct pb_quantizer_use use = { 0 };
	float *w = get_memory((size_t)m->rows * m->cols, sizeof *w);
	struct pb_quantize_job job = { .name = m->name, .rows = m->rows, .cols = m->cols, .weights = w, .source_dtype = PB_F32 };
	struct pb_encoded *encoded = NULL;

	OK(pb_quantizer_use_parse(&use, "rtn:bits=2", ERR));
	OK(pb_matrix_read(m, w, ERR));
	OK(pb_quantizer_run(&use, &job, &encoded, ERR));
	pb_matrix_set_encoded(m, encoded);
	free(w);
	pb_quantizer_use_free(&use);
}

static void quantize_layer(struct pb_model *model, uint32_t layer)
{
	for (uint32_t i = layer * PB_SLOTS; i < (layer + 1) * PB_SLOTS; i++)
		quantize_matrix(&model->matrices[i]);
}

/* Layer by layer over quantized layers gives what one pass gives over the model whose first layer is quantized; its own
 * inputs are those of the model as it was. */
static void test_sequential(void **state)
{
	struct tiny_model m = tiny_model_default();
	struct pb_model *model = open_model(&m, false);
	int32_t *tokens = make_tokens(model, 5 * 40);
	struct pb_calibrator *c = NULL, *plain = NULL;
	struct pb_moments own, parallel;

	(void)state;
	OK(pb_calibrator_open(&plain, model, tokens, 5, 40, NULL, NULL, NULL, ERR));
	OK(pb_calibrator_measure(plain, true, ERR));
	own = copy_moments(plain, PB_INPUT_DOWN);
	OK(pb_calibrator_measure(plain, true, ERR));
	parallel = copy_moments(plain, PB_INPUT_DOWN);
	pb_calibrator_close(plain);

	OK(pb_calibrator_open(&c, model, tokens, 5, 40, NULL, NULL, NULL, ERR));
	OK(pb_calibrator_measure(c, false, ERR));
	assert_true(same_moments(&own, pb_calibrator_moments(c, PB_INPUT_DOWN)));
	quantize_layer(model, 0);
	OK(pb_calibrator_advance(c, ERR));
	OK(pb_calibrator_measure(c, false, ERR));
	assert_false(same_moments(&parallel, pb_calibrator_moments(c, PB_INPUT_DOWN)));

	OK(pb_calibrator_open(&plain, model, tokens, 5, 40, NULL, NULL, NULL, ERR));
	OK(pb_calibrator_measure(plain, true, ERR));
	OK(pb_calibrator_measure(plain, true, ERR));
	for (int i = 0; i < PB_INPUTS; i++)
		assert_true(same_moments(pb_calibrator_moments(plain, (enum pb_input)i), pb_calibrator_moments(c, (enum pb_input)i)));
	pb_calibrator_close(plain);
	pb_calibrator_close(c);
	free_moments(&own);
	free_moments(&parallel);
	free(tokens);
	pb_model_close(model);
}

/* Inside of a layer: an input behind matrices that are quantized is what a model that has been quantized so far gives. */
static void test_stepwise(void **state)
{
	struct tiny_model m = tiny_model_default();
	struct pb_model *model = open_model(&m, false);
	int32_t *tokens = make_tokens(model, 5 * 40);
	struct pb_calibrator *c = NULL, *plain = NULL;

	(void)state;
	OK(pb_calibrator_open(&c, model, tokens, 5, 40, NULL, NULL, NULL, ERR));
	for (int i = 0; i < PB_INPUTS; i++) {
		OK(pb_calibrator_measure_input(c, (enum pb_input)i, ERR));
		OK(pb_calibrator_open(&plain, model, tokens, 5, 40, NULL, NULL, NULL, ERR));
		OK(pb_calibrator_measure(plain, false, ERR));
		assert_true(same_moments(pb_calibrator_moments(plain, (enum pb_input)i), pb_calibrator_moments(c, (enum pb_input)i)));
		pb_calibrator_close(plain);
		for (uint32_t slot = 0; slot < PB_SLOTS; slot++)
			if (pb_input_of((enum pb_slot)slot) == (enum pb_input)i)
				quantize_matrix(&model->matrices[slot]);
	}
	OK(pb_calibrator_advance(c, ERR));
	OK(pb_calibrator_measure_input(c, PB_INPUT_O, ERR));
	OK(pb_calibrator_open(&plain, model, tokens, 5, 40, NULL, NULL, NULL, ERR));
	OK(pb_calibrator_measure(plain, true, ERR));
	OK(pb_calibrator_measure(plain, true, ERR));
	assert_true(same_moments(pb_calibrator_moments(plain, PB_INPUT_O), pb_calibrator_moments(c, PB_INPUT_O)));
	pb_calibrator_close(plain);
	pb_calibrator_close(c);
	free(tokens);
	pb_model_close(model);
}

/* The inputs of a layer by the training engine in double. */
static struct pb_network_f64 *run_engine(const struct pb_model *model, bool as_quantized, const int32_t *tokens, uint32_t n_samples, uint32_t seq_len)
{
	struct pb_network_f64 *net = NULL;
	int32_t *none = get_memory((size_t)n_samples * seq_len, sizeof *none);

	memset(none, -1, (size_t)n_samples * seq_len * sizeof *none);
	OK(pb_network_open_f64(&net, &model->config, n_samples, seq_len, false, NULL, NULL, ERR));
	fill_network(net, model);
	for (uint32_t i = 0; as_quantized && i < model->n_matrices; i++) {
		const struct pb_matrix *m = &model->matrices[i];
		const struct pb_parameter *p = &net->layout.parameters[pb_layout_matrix(m->layer, m->slot)];
		float *w = get_memory(p->n, sizeof *w);

		if (m->encoded) {
			pb_encoded_decode(m->encoded, 0, m->rows, w);
			for (size_t k = 0; k < p->n; k++)
				net->parameters[p->first + k] = w[k];
		}
		free(w);
	}
	pb_network_prepare_f64(net);
	pb_network_run_f64(net, tokens, none, 1, false, NULL);
	free(none);
	return net;
}

static void compare_cross(const struct pb_moments *m, const double *full, const double *x, size_t n)
{
	for (uint32_t i = 0; i < m->cols; i++)
		for (uint32_t j = 0; j < m->cols; j++) {
			double product = 0, size = 0;

			for (size_t t = 0; t < n; t++) {
				product += (full[t * m->cols + i] - x[t * m->cols + i]) * x[t * m->cols + j];
				size += fabs(x[t * m->cols + i] * x[t * m->cols + j]);
			}
			if (fabs(m->cross_moment[(size_t)i * m->cols + j] - product / (double)n) > 1e-5 * (size / (double)n + 1e-3))
				fail_msg("cross moment %u %u: %g, expected %g", i, j, (double)m->cross_moment[(size_t)i * m->cols + j], product / (double)n);
		}
}

/* Beside the model as it was when it was followed. */
static void check_followed(struct pb_model *model, uint32_t n_samples, uint32_t seq_len, struct pb_pool *pool)
{
	size_t n = (size_t)n_samples * seq_len;
	int32_t *tokens = make_tokens(model, n);
	struct pb_network_f64 *full, *quantized;
	struct pb_calibrator *c = NULL;

	OK(pb_calibrator_open(&c, model, tokens, n_samples, seq_len, pool, NULL, NULL, ERR));
	OK(pb_calibrator_follow(c, ERR));
	OK(pb_calibrator_measure(c, false, ERR));
	for (uint32_t i = 0, cols = pb_calibrator_moments(c, PB_INPUT_O)->cols; i < cols * cols; i++)
		assert_true(pb_calibrator_moments(c, PB_INPUT_O)->cross_moment[i] == 0);
	quantize_layer(model, 0);
	OK(pb_calibrator_advance(c, ERR));
	full = run_engine(model, false, tokens, n_samples, seq_len);
	quantized = run_engine(model, true, tokens, n_samples, seq_len);
	OK(pb_calibrator_measure_input(c, PB_INPUT_ATTENTION, ERR));
	compare_cross(pb_calibrator_moments(c, PB_INPUT_ATTENTION), full->activations[1].normed1, quantized->activations[1].normed1, n);
	OK(pb_calibrator_measure(c, false, ERR));
	compare_cross(pb_calibrator_moments(c, PB_INPUT_O), full->activations[1].attended, quantized->activations[1].attended, n);
	compare_cross(pb_calibrator_moments(c, PB_INPUT_FFN), full->activations[1].normed2, quantized->activations[1].normed2, n);
	compare_cross(pb_calibrator_moments(c, PB_INPUT_DOWN), full->activations[1].gated, quantized->activations[1].gated, n);
	pb_network_close_f64(full);
	pb_network_close_f64(quantized);
	pb_calibrator_close(c);
	free(tokens);
	pb_model_close(model);
}

static void test_followed(void **state)
{
	struct tiny_model m = tiny_model_default();
	struct pb_pool *pool = NULL;

	(void)state;
	check_followed(open_model(&m, false), 3, 64, NULL);
	/* Widths that are no multiple of a tile, several batches, a sample longer than a batch. */
	m.hidden = 150;
	m.context = 1100;
	OK(pb_pool_new(&pool, 3, ERR));
	check_followed(open_model(&m, false), 21, 50, pool);
	check_followed(open_model(&m, false), 1, 1100, pool);
	pb_pool_free(pool);
}

static void test_not_finite(void **state)
{
	struct tiny_model m = tiny_model_default();
	struct pb_model *model = open_model(&m, false);
	int32_t *tokens = make_tokens(model, 2 * 40);
	float norm[32];
	struct pb_calibrator *c = NULL;
	struct pb_error err;

	(void)state;
	for (int i = 0; i < 32; i++)
		norm[i] = i == 7 ? 1e30f : 1;
	model->ffn_norm[1].data = norm;
	OK(pb_calibrator_open(&c, model, tokens, 2, 40, NULL, NULL, NULL, ERR));
	OK(pb_calibrator_measure(c, true, ERR));
	assert_int_equal(pb_calibrator_measure(c, true, &err), PB_NUMERIC);
	assert_string_equal(err.text, "model.layers.1.mlp.gate_proj: its inputs on the calibration data are not finite, or their squares are not");
	pb_calibrator_close(c);
	free(tokens);
	pb_model_close(model);
}

struct watch {
	double last;
	unsigned calls, stop_at;
};

static int watch(void *arg, double done)
{
	struct watch *w = arg;

	assert_true(done >= w->last && done < 1);
	w->last = done;
	return ++w->calls == w->stop_at;
}

static void test_progress(void **state)
{
	struct tiny_model m = tiny_model_default();
	struct pb_model *model = open_model(&m, false);
	int32_t *tokens = make_tokens(model, 100 * 60);
	struct watch w = { .stop_at = 9 };
	struct pb_calibrator *c = NULL;
	struct pb_error err;

	(void)state;
	OK(pb_calibrator_open(&c, model, tokens, 100, 60, NULL, watch, &w, ERR));
	OK(pb_calibrator_measure(c, true, ERR));
	assert_int_equal(w.calls, 6);
	assert_int_equal(pb_calibrator_measure(c, true, &err), PB_INTERRUPTED);
	assert_int_equal(w.calls, 9);
	pb_calibrator_close(c);
	free(tokens);
	pb_model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_double),
		cmocka_unit_test(test_same_bits_for_any_pool),
		cmocka_unit_test(test_sequential),
		cmocka_unit_test(test_stepwise),
		cmocka_unit_test(test_followed),
		cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, scratch_teardown);
}
