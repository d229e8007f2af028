/* onebit and svid: the decomposition, the layer, its gradients, the packing, and the first steps of a training against torch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "backends/train/distill.h"
#include "core/base/rng.h"
#include "quantizers/rank_one.h"
#include "quantizers/shape.h"
#include "tests/unit/qat.h"

static void near(const char *what, size_t i, double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance * fmax(1, fabs(expected))))
		fail_msg("%s, %zu: %.9g, expected %.9g", what, i, value, expected);
}

static float *normal(size_t n, uint64_t stream)
{
	struct pb_rng rng = pb_rng_make(7, stream);
	float *w = malloc(n * sizeof *w);

	assert_non_null(w);
	for (size_t i = 0; i < n; i++)
		w[i] = (float)pb_rng_normal(&rng);
	return w;
}

/* ---- the decomposition ---- */

/* |W| = [[1, 2, 3], [4, 5, 6]]: singular value 9.508032; the two vectors as scikit-learn's NMF gives them. */
static void test_anchors(void **state)
{
	static const float w[6] = { 1, -2, 3, -4, 5, -6 };
	static const double product[6] = { 1.574546, 2.080114, 2.585681, 3.759361, 4.966446, 6.173530 };
	static const double nmf_a[2] = { 0.777443, 1.856211 }, nmf_b[3] = { 2.025287, 2.675582, 3.325877 };
	float a[2], b[3];

	(void)state;
	for (int split = PB_SPLIT_NMF; split <= PB_SPLIT_SVD_ROWS; split++) {
		assert_in_range(pb_rank_one(w, 2, 3, (enum pb_split)split, a, b), 3, 6);
		for (size_t i = 0; i < 6; i++)
			near("product", i, (double)a[i / 3] * b[i % 3], product[i], 1e-6);

		double a_length = sqrt((double)a[0] * a[0] + (double)a[1] * a[1]), b_length = sqrt((double)b[0] * b[0] + (double)b[1] * b[1] + (double)b[2] * b[2]);

		near("singular value", (size_t)split, a_length * b_length, 9.508032, 1e-6);
		if (split == PB_SPLIT_SVD)
			near("shared", 0, a_length, sqrt(9.508032), 1e-6);
		if (split == PB_SPLIT_SVD_ROWS)
			near("on the rows", 0, a_length, 9.508032, 1e-6);
		for (size_t i = 0; split == PB_SPLIT_NMF && i < 2; i++)
			near("a", i, a[i], nmf_a[i], 1e-6);
		for (size_t i = 0; split == PB_SPLIT_NMF && i < 3; i++)
			near("b", i, b[i], nmf_b[i], 1e-6);
	}
}

static double square(const float *w, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)w[i] * w[i];
	return sum;
}

/* Largest singular value of W itself, squared, by power iteration in double. */
static double first_square(const float *w, uint32_t rows, uint32_t cols)
{
	double *x = calloc(cols, sizeof *x), length = 0;

	assert_non_null(x);
	for (uint32_t c = 0; c < cols; c++)
		x[c] = 1 + 0.1 * (c % 7);
	for (int i = 0; i < 1000; i++) {
		double *next = calloc(cols, sizeof *next), norm = 0;

		assert_non_null(next);
		for (uint32_t r = 0; r < rows; r++) {
			double y = 0;

			for (uint32_t c = 0; c < cols; c++)
				y += w[(size_t)r * cols + c] * x[c];
			for (uint32_t c = 0; c < cols; c++)
				next[c] += w[(size_t)r * cols + c] * y;
		}
		for (uint32_t c = 0; c < cols; c++)
			norm += next[c] * next[c];
		norm = sqrt(norm);
		for (uint32_t c = 0; c < cols; c++)
			x[c] = next[c] / norm;
		length = norm;
		free(next);
	}
	free(x);
	return length;
}

/* Of normal weights the error tends to 1 - 2 / pi; the best rank-one fit of W itself leaves nearly all. So the signs help
 * (proposition 2). */
static void test_normal_weights(void **state)
{
	enum { ROWS = 256, COLS = 384 };
	float *w = normal(ROWS * COLS, 1), a[ROWS], b[COLS], magnitudes = 0;
	double error = 0, all = square(w, ROWS * COLS), first;

	(void)state;
	assert_in_range(pb_rank_one(w, ROWS, COLS, PB_SPLIT_SVD, a, b), 2, 6);
	for (size_t i = 0; i < ROWS * COLS; i++) {
		double d = fabs((double)w[i]) - (double)a[i / COLS] * b[i % COLS];

		error += d * d;
	}
	magnitudes = (float)(square(a, ROWS) * square(b, COLS));
	near("error", 0, error / all, 0.3609, 0.003);
	near("as the singular value says", 0, error, all - magnitudes, 1e-5);
	first = first_square(w, ROWS, COLS);
	assert_true(first < magnitudes && 1 - first / all > 0.98 && 1 - first / all < 0.997);
	free(w);
}

static void test_matrices_without_size(void **state)
{
	static const float zeros[6] = { 0 }, row[6] = { 0, 0, 0, 1, -2, 0 }, one[1] = { -3 };
	float a[2], b[3];

	(void)state;
	pb_rank_one(zeros, 2, 3, PB_SPLIT_SVD, a, b);
	assert_true(a[0] == 0 && a[1] == 0 && b[0] == 0 && b[2] == 0);
	pb_rank_one(row, 2, 3, PB_SPLIT_SVD, a, b);
	assert_true(a[0] == 0 && b[2] == 0);
	near("a row", 0, (double)a[1] * b[0], 1, 1e-6);
	near("a row", 1, (double)a[1] * b[1], 2, 1e-6);
	pb_rank_one(one, 1, 1, PB_SPLIT_NMF, a, b);
	near("one", 0, (double)a[0] * b[0], 3, 1e-6);
}

/* Proposition 1: X (S (.) a b^T)^T = ((X (.) b) S^T) (.) a, by the plugin that stores exactly this. */
static void test_svid(void **state)
{
	enum { ROWS = 24, COLS = 41 };
	float *w = normal(ROWS * COLS, 2), *x = normal(COLS, 3), a[ROWS], b[COLS], decoded[ROWS * COLS];
	struct pb_quantizer_use use;
	struct pb_quantize_job job = { .name = "m", .n_layers = 1, .rows = ROWS, .cols = COLS, .weights = w, .source_dtype = PB_F32 };
	struct pb_encoded *m = NULL;

	(void)state;
	w[5] = 0;
	OK(pb_quantizer_use_parse(&use, "svid:vector_dtype=f32", ERR));
	OK(pb_quantizer_run(&use, &job, &m, ERR));
	assert_int_equal(m->post, PB_POST_NONE);
	pb_encoded_decode(m, 0, ROWS, decoded);
	pb_rank_one(w, ROWS, COLS, PB_SPLIT_SVD, a, b);
	for (uint32_t r = 0; r < ROWS; r++) {
		double left = 0, right = 0;

		for (uint32_t c = 0; c < COLS; c++) {
			double sign = w[r * COLS + c] < 0 ? -1 : 1;

			assert_true(decoded[r * COLS + c] == (float)sign * a[r] * b[c]);
			left += (double)x[c] * decoded[r * COLS + c];
			right += (double)x[c] * b[c] * sign;
		}
		near("row", r, left, right * a[r], 1e-6);
	}
	assert_int_equal(pb_encoded_bytes(m), ROWS * 6 + (ROWS + COLS) * 4);
	pb_encoded_free(m);
	pb_quantizer_use_free(&use);
	free(w);
	free(x);
}

/* ---- the layer ---- */

static void test_worked_example(void **state)
{
	static const float latent[6] = { 0.01f, -0.01f, 0.01f, -0.01f, 0.01f, -0.01f }, vectors[5] = { 1.5f, 2.5f, 0.8f, 1.0f, 1.2f };
	static const double x[3] = { 0.5, -1, 2 };
	struct method m = method_open("onebit:vector_dtype=f32", 2, 3);
	float used[6], y[2] = { 0 };

	(void)state;
	method_forward(&m, latent, vectors, used);
	for (int i = 0; i < 6; i++)
		y[i / 3] += (float)(x[i % 3] * used[i]);
	near("times h", 0, y[0], 5.7, 1e-6);
	near("times h", 1, y[1], -9.5, 1e-6);
	assert_int_equal(m.transform.post, PB_POST_LAYERNORM);
	assert_int_equal(pb_quantizer_frozen(&m.use), 1 << PB_PARAMETER_EMBEDDING | 1 << PB_PARAMETER_NORM | 1 << PB_PARAMETER_HEAD);
	pb_kernels_best_f32()->layernorm(y, 2);
	near("layernorm", 0, y[0], 1, 1e-6);
	near("layernorm", 1, y[1], -1, 1e-6);
	method_close(&m);
}

static void test_start(void **state)
{
	float latent[6] = { 1, -2, 3, -4, 0, -6 }, magnitudes[6] = { 1, 2, 3, 4, 0, 6 }, vectors[5], a[2], b[3];
	static const float expected[6] = { 0.01f, -0.01f, 0.01f, -0.01f, 0, -0.01f };
	struct method m = method_open("onebit", 2, 3);

	(void)state;
	method_start(&m, latent, vectors);
	pb_rank_one(magnitudes, 2, 3, PB_SPLIT_NMF, a, b);
	assert_memory_equal(latent, expected, sizeof latent);
	assert_memory_equal(vectors, a, sizeof a);
	assert_memory_equal(vectors + 2, b, sizeof b);
	method_close(&m);
}

/* Without layernorm and with the weights as latent ones it starts as svid, and stores none; everything is trained. */
static void test_without_layernorm(void **state)
{
	enum { ROWS = 5, COLS = 33, N = ROWS * COLS };
	struct method m = method_open("onebit:layernorm=no,frozen=no,latent=weights,split=svd", ROWS, COLS);
	struct pb_quantizer_use svid;
	struct pb_quantize_job job = { .name = "m", .n_layers = 1, .rows = ROWS, .cols = COLS, .source_dtype = PB_F32 };
	float *w = normal(N, 8), latent[N], vectors[ROWS + COLS], ours[N], theirs[N];
	struct pb_encoded *a = NULL, *b = NULL;

	(void)state;
	memcpy(latent, w, sizeof latent);
	method_start(&m, latent, vectors);
	assert_memory_equal(latent, w, sizeof latent);
	assert_int_equal(m.transform.post, PB_POST_NONE);
	assert_int_equal(pb_quantizer_frozen(&m.use), 0);
	OK(method_encode(&m, latent, vectors, &a, ERR));
	job.weights = w;
	OK(pb_quantizer_use_parse(&svid, "svid", ERR));
	OK(pb_quantizer_run(&svid, &job, &b, ERR));
	pb_encoded_decode(a, 0, ROWS, ours);
	pb_encoded_decode(b, 0, ROWS, theirs);
	assert_memory_equal(ours, theirs, sizeof ours);
	assert_int_equal(a->post, PB_POST_NONE);
	assert_int_equal(pb_encoded_bytes(a), pb_encoded_bytes(b));
	pb_encoded_free(a);
	pb_encoded_free(b);
	free(w);
	method_close(&m);
	pb_quantizer_use_free(&svid);
}

static void test_losses(void **state)
{
	static const struct { const char *text; double targets, logits, states; } losses[] = {
		{ "onebit", 0, 0.01, 1 }, { "onebit:alpha=10,targets=0.25", 0.25, 0.0075, 7.5 }, { "onebit:loss=paper,targets=0.5", 0.5, 0.5, 0.5 },
	};
	struct method own = method_open("onebit:targets=1", 1, 1);
	struct pb_distillation d;

	(void)state;
	for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
		struct method m = method_open(losses[i].text, 1, 1);

		assert_true(m.use.quantizer->qat->teacher(m.use.options, &d));
		near("targets", i, d.targets, losses[i].targets, 1e-12);
		near("logits", i, d.logits, losses[i].logits, 1e-12);
		near("states", i, d.states, losses[i].states, 1e-12);
		method_close(&m);
	}
	assert_false(own.use.quantizer->qat->teacher(own.use.options, &d));
	method_close(&own);
}

/* A latent 0 runs as it is stored, or as 0. */
static void test_zero(void **state)
{
	static const float latent[2] = { 0, -0.01f }, vectors[3] = { 2, 3, 5 };
	struct method plus = method_open("onebit", 1, 2), zero = method_open("onebit:zero=zero", 1, 2);
	struct pb_encoded *m = NULL;
	struct pb_error err = { 0 };
	float used[2], gradient[2] = { 1, 1 }, d[3];

	(void)state;
	method_forward(&plus, latent, vectors, used);
	assert_true(used[0] == 6 && used[1] == -10);
	method_forward(&zero, latent, vectors, used);
	assert_true(used[0] == 0 && used[1] == -10);
	method_backward(&zero, latent, vectors, gradient, d);
	near("h", 0, d[0], -5, 1e-6);
	near("g", 0, d[1], 0, 0);
	near("g", 1, d[2], -2, 1e-6);
	assert_int_equal(method_encode(&zero, latent, vectors, &m, &err), PB_NUMERIC);
	assert_non_null(strstr(err.text, "1 latent weights are 0"));
	OK(method_encode(&plus, latent, vectors, &m, ERR));
	pb_encoded_free(m);
	method_close(&plus);
	method_close(&zero);
}

/* The map is linear in h and in g: differences of any width are derivatives. That of the latent weights is what a straight-through
 * estimator says it is. */
static void test_gradients(void **state)
{
	enum { ROWS = 6, COLS = 300, SUM = ROWS + COLS };
	struct method m = method_open("onebit:vector_dtype=f32", ROWS, COLS);
	float *w = normal(ROWS * COLS, 4), *g = normal(ROWS * COLS, 5), vectors[SUM], d[SUM], moved[SUM], up[ROWS * COLS], down[ROWS * COLS];
	float *upstream = normal(ROWS * COLS, 5);

	(void)state;
	for (int i = 0; i < SUM; i++)
		vectors[i] = 0.5f + 0.01f * (float)(i % 50);
	method_backward(&m, w, vectors, g, d);
	for (int i = 0; i < SUM; i += i < ROWS ? 1 : 17) {
		double numeric = 0;

		memcpy(moved, vectors, sizeof moved);
		moved[i] = vectors[i] + 0.25f;
		method_forward(&m, w, moved, up);
		moved[i] = vectors[i] - 0.25f;
		method_forward(&m, w, moved, down);
		for (int k = 0; k < ROWS * COLS; k++)
			numeric += upstream[k] * ((double)up[k] - down[k]) / 0.5;
		near(i < ROWS ? "h" : "g", (size_t)i, d[i], numeric, 1e-5);
	}
	for (int k = 0; k < ROWS * COLS; k++) {
		double t = tanh(w[k]);

		near("latent", (size_t)k, g[k], upstream[k] * (double)vectors[k / COLS] * vectors[ROWS + k % COLS] * (1.001 - t * t), 1e-6);
	}
	free(w);
	free(g);
	free(upstream);
	method_close(&m);
}

/* ---- what is stored ---- */

/* + - - + + + - +, eight minus, seven plus and one minus: 0x46 0xFF 0x80. */
static void test_packing(void **state)
{
	static const char signs[] = "+--+++-+" "--------" "+++++++-";
	struct method m = method_open("onebit", 1, 24);
	float latent[24], vectors[25];
	struct pb_encoded *encoded = NULL;

	(void)state;
	for (int i = 0; i < 25; i++)
		vectors[i] = 1;
	for (int i = 0; i < 24; i++)
		latent[i] = signs[i] == '+' ? 0.01f : -0.01f;
	OK(method_encode(&m, latent, vectors, &encoded, ERR));
	assert_int_equal(encoded->packed[0], 0x46);
	assert_int_equal(encoded->packed[1], 0xff);
	assert_int_equal(encoded->packed[2], 0x80);
	assert_int_equal(encoded->post, PB_POST_LAYERNORM);
	assert_int_equal(pb_encoded_bytes(encoded), 3 + 25 * 2);
	pb_encoded_free(encoded);
	method_close(&m);
}

static void test_stored(void **state)
{
	static const char *const options[] = { "onebit", "onebit:vector_dtype=bf16,split=svd", "onebit:vector_dtype=f32,split=svd_rows" };
	enum { ROWS = 5, COLS = 270 };

	(void)state;
	for (int k = 0; k < 3; k++) {
		struct method m = method_open(options[k], ROWS, COLS);
		float *w = normal(ROWS * COLS, 6), vectors[ROWS + COLS], used[ROWS * COLS], decoded[ROWS * COLS];
		struct pb_encoded *encoded = NULL;

		method_start(&m, w, vectors);
		OK(method_encode(&m, w, vectors, &encoded, ERR));
		method_forward(&m, w, vectors, used);
		pb_encoded_decode(encoded, 0, ROWS, decoded);
		for (int i = 0; i < ROWS * COLS; i++)
			assert_true(used[i] == decoded[i]);
		pb_encoded_free(encoded);
		free(w);
		method_close(&m);
	}
}

/* ---- the paper's sizes ---- */

/* LLaMA: heads of 128, vocabulary 32000, head apart. GB of 10^9 bytes at 16 bits and by the paper's rule, the share that is saved,
 * and bits of the whole. */
static void test_paper_sizes(void **state)
{
	static const struct { uint32_t dim, hidden, layers; double full, size, saved, bits; } models[] = {
		{ 4096, 11008, 32, 13.48, 1.339, 90.06, 1.59 }, { 5120, 13824, 40, 26.03, 2.250, 91.36, 1.38 },
		{ 6656, 17920, 60, 65.06, 4.882, 92.50, 1.20 }, { 8192, 22016, 80, 130.57, 9.171, 92.98, 1.12 },
	};
	struct method m = method_open("onebit", 4096, 4096);

	(void)state;
	for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
		uint32_t heads = models[i].dim / 128;
		struct pb_config c = { .n_vocab = 32000, .dim = models[i].dim, .n_layers = models[i].layers, .n_heads = heads, .n_kv_heads = heads, .head_dim = 128,
			.hidden = models[i].hidden };
		struct pb_shape s = pb_shape_of(&c);
		double full = 2.0 * (double)(s.weights + s.embeddings + s.norms), size = m.use.quantizer->paper_bytes(m.use.options, &c);

		near("GB at 16 bits", i, full / 1e9, models[i].full, 0.00501 / models[i].full);
		near("GB", i, size / 1e9, models[i].size, 0.000501 / models[i].size);
		near("saved", i, 100 * (1 - size / full), models[i].saved, 0.00501 / models[i].saved);
		near("bits of the whole", i, 8 * size / (double)(s.weights + s.rows + s.cols + s.embeddings + s.norms), models[i].bits, 0.005);
	}
	/* A matrix alone, by what is stored of it: its average counts the vectors as weights. */
	struct pb_quantize_job job = { .name = "m", .rows = 4096, .cols = 4096, .source_dtype = PB_F16 };
	uint64_t bytes = 0;

	OK(pb_quantizer_plan(&m.use, &job, &bytes, ERR));
	assert_int_equal(8 * bytes, 16908288);
	near("average bits", 0, 8.0 * (double)bytes / (4096.0 * 4096 + 8192), 1.0073, 5e-5);
	method_close(&m);
}

/* ---- torch ---- */

static void test_torch(void **state)
{
	static const char *const losses[] = { "code", "paper" };
	struct pb_model *model = mixed_model();

	(void)state;
	for (int k = 0; k < 2; k++) {
		char options[64];

		snprintf(options, sizeof options, "onebit:vector_dtype=f32,loss=%s", losses[k]);
		struct method m = method_open(options, 1, 1);
		struct pb_trainer *t = mixed_trainer(&m, model, "warmup=4", NULL);
		struct pb_network_f32 *net = pb_trainer_network(t);
		struct pb_distillation d;
		struct pb_distiller *distiller = NULL;
		const struct pb_parameter *head = &net->layout.parameters[net->layout.head], *norm = &net->layout.parameters[net->layout.final_norm];
		float before = net->parameters[head->first + 3], norm_before = net->parameters[norm->first];

		assert_true(m.use.quantizer->qat->teacher(m.use.options, &d));
		assert_true(d.targets == 0);
		OK(pb_distiller_open(&distiller, &d, model, t, ERR));
		check_losses(t, "tests/vectors/onebit/losses20.txt", losses[k], 2e-2);
		assert_true(net->parameters[0] == (float)(0.4 * (mixed(0, 0) / 4294967296.0 - 0.5)));
		assert_true(net->parameters[head->first + 3] == before && net->parameters[norm->first] == norm_before);
		pb_trainer_close(t);
		pb_distiller_close(distiller);
		method_close(&m);
	}
	pb_model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_anchors), cmocka_unit_test(test_normal_weights), cmocka_unit_test(test_matrices_without_size), cmocka_unit_test(test_svid),
		cmocka_unit_test(test_worked_example), cmocka_unit_test(test_start), cmocka_unit_test(test_without_layernorm), cmocka_unit_test(test_losses),
		cmocka_unit_test(test_zero), cmocka_unit_test(test_gradients),
		cmocka_unit_test(test_packing), cmocka_unit_test(test_stored), cmocka_unit_test(test_paper_sizes), cmocka_unit_test(test_torch),
	};

	return cmocka_run_group_tests_name("onebit", tests, NULL, scratch_teardown);
}
