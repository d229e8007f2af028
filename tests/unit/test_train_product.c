/* Matrix products of the training passes in f32: every instruction set gives the bits of a plain loop in the order that
 * network_real.h says, and a model large enough for them has the gradients that OpenBLAS gives in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rng.h"
#include "backends/train/network.h"
#include "tests/unit/expect.h"

static void fill(struct pb_rng *rng, float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] = (float)pb_rng_normal(rng);
}

static uint32_t next_block(uint32_t left)
{
	if (left >= 2 * 448)
		return 448;
	return left > 448 ? (left / 2 + 15) / 16 * 16 : left;
}

static float element(const struct pb_product_f32 *f, uint32_t row, uint32_t col)
{
	float value = f->start ? f->start[row * f->c_stride + col] : 0;

	for (uint32_t p = 0, end; p < f->k;) {
		float sum = 0;

		for (end = p + next_block(f->k - p); p < end; p++)
			sum = fmaf(f->a_transposed ? f->a[p * f->a_stride + row] : f->a[row * f->a_stride + p], f->b[p * f->b_stride + col], sum);
		value += sum;
	}
	return value;
}

typedef void (*product_fn)(const struct pb_product_f32 *f, float *scratch);

static unsigned product_functions(product_fn list[3])
{
	unsigned n = 0;

	list[n++] = pb_product_f32_plain;
#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		list[n++] = pb_product_f32_avx2;
	if (pb_kernels_best_f32() == &pb_kernels_f32_avx512)
		list[n++] = pb_product_f32_avx512;
#endif
	return n;
}

static void test_order_of_terms(void **state)
{
	static const uint32_t shapes[][3] = { { 1, 1, 1 }, { 5, 3, 2 }, { 12, 32, 64 }, { 13, 33, 100 }, { 24, 16, 448 }, { 7, 40, 449 }, { 31, 70, 895 },
		{ 12, 35, 896 }, { 50, 20, 1400 }, { PB_PRODUCT_ROWS, 31, 40 }, { 14, PB_PRODUCT_COLS, 17 } };
	struct pb_rng rng = pb_rng_make(3, 1);
	product_fn functions[3];
	unsigned n_functions = product_functions(functions);
	float *scratch = malloc(PB_PRODUCT_SCRATCH * sizeof *scratch);

	(void)state;
	assert_non_null(scratch);
	for (size_t i = 0; i < 4 * sizeof shapes / sizeof *shapes; i++) {
		uint32_t m = shapes[i / 4][0], n = shapes[i / 4][1], k = shapes[i / 4][2];
		struct pb_product_f32 f = { .m = m, .n = n, .k = k, .a_transposed = i & 1, .a_stride = (i & 1 ? m : k) + 3, .b_stride = n + 1, .c_stride = n + 2 };
		float *a = malloc((size_t)(m + 1) * (k + 1) * 4 * sizeof *a), *b = malloc(k * f.b_stride * sizeof *b), *c = malloc(m * f.c_stride * sizeof *c);
		float *start = malloc(m * f.c_stride * sizeof *start), *expected = malloc(m * f.c_stride * sizeof *expected);

		assert_true(a && b && c && start && expected);
		fill(&rng, a, (size_t)(m + 1) * (k + 1) * 4);
		fill(&rng, b, k * f.b_stride);
		fill(&rng, start, m * f.c_stride);
		f.a = a;
		f.b = b;
		f.c = c;
		f.start = i & 2 ? start : NULL;
		memcpy(expected, start, m * f.c_stride * sizeof *c);
		for (uint32_t row = 0; row < m; row++)
			for (uint32_t col = 0; col < n; col++)
				expected[row * f.c_stride + col] = element(&f, row, col);
		for (unsigned j = 0; j < n_functions; j++) {
			memcpy(c, start, m * f.c_stride * sizeof *c);
			functions[j](&f, scratch);
			assert_memory_equal(c, expected, m * f.c_stride * sizeof *c);
		}
		free(a);
		free(b);
		free(c);
		free(start);
		free(expected);
	}
	free(scratch);
}

static void test_large_model(void **state)
{
	struct pb_config config = { .architecture = "llama", .n_vocab = 530, .dim = 72, .n_layers = 2, .n_heads = 6, .n_kv_heads = 3, .head_dim = 12, .hidden = 150,
		.context = 128, .norm_eps = 1e-5f, .rope_base = 10000, .tied_head = true, .bos = -1, .eos = -1 };
	enum { TOKENS = 1000 };
	struct pb_network_f64 *net64;
	struct pb_network_f32 *nets[2];
	struct pb_pool *pool;
	struct pb_rng rng = pb_rng_make(11, 7);
	int32_t tokens[TOKENS + 1];
	double loss;

	(void)state;
	OK(pb_pool_new(&pool, 3, ERR));
	OK(pb_network_open_f64(&net64, &config, 10, TOKENS / 10, false, NULL, NULL, ERR));
	OK(pb_network_open_f32(&nets[0], &config, 10, TOKENS / 10, false, NULL, NULL, ERR));
	OK(pb_network_open_f32(&nets[1], &config, 10, TOKENS / 10, true, NULL, pool, ERR));
	for (uint32_t i = 0; i < net64->layout.n; i++) {
		const struct pb_parameter *p = &net64->layout.parameters[i];

		for (size_t k = p->first; k < p->first + p->n; k++) {
			float x = (float)(p->kind == PB_PARAMETER_NORM ? 1 : pb_rng_normal(&rng) / sqrt(p->cols));

			nets[0]->parameters[k] = nets[1]->parameters[k] = x;
			net64->parameters[k] = (double)x;
		}
	}
	for (uint32_t i = 0; i <= TOKENS; i++)
		tokens[i] = (int32_t)pb_rng_below(&rng, config.n_vocab);
	loss = pb_network_run_f64(net64, tokens, tokens + 1, 1.0 / TOKENS, true, NULL);
	for (int i = 0; i < 2; i++)
		assert_true(fabs(pb_network_run_f32(nets[i], tokens, tokens + 1, 1.0 / TOKENS, true, NULL) - loss) < 1e-5 * loss);
	assert_memory_equal(nets[0]->gradient, nets[1]->gradient, nets[0]->layout.total * sizeof(float));
	for (uint32_t i = 0; i < net64->layout.n; i++) {
		const struct pb_parameter *p = &net64->layout.parameters[i];
		double error = 0, size = 0;

		for (size_t k = p->first; k < p->first + p->n; k++) {
			error += pow((double)nets[0]->gradient[k] - net64->gradient[k], 2);
			size += pow(net64->gradient[k], 2);
		}
		if (!(sqrt(error) < 1e-5 * sqrt(size)))
			fail_msg("%s: relative error %g of the gradient in f32", p->name, sqrt(error / size));
	}
	pb_network_close_f64(net64);
	pb_network_close_f32(nets[0]);
	pb_network_close_f32(nets[1]);
	pb_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_of_terms),
		cmocka_unit_test(test_large_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
