/* The gradients of the training passes: against central differences of the loss in double, part by part and together, and
 * those in f32 against those in double. */
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
#include "tests/unit/train_hooks.h"

#define PB_REAL double
#define PB_R(name) pb_##name##_f64
#include "tests/unit/train_hooks.inc"
#undef PB_REAL
#undef PB_R

static struct pb_config small_config(void)
{
	return (struct pb_config){ .architecture = "llama", .n_vocab = 37, .dim = 20, .n_layers = 2, .n_heads = 4, .n_kv_heads = 2, .head_dim = 6,
		.hidden = 28, .context = 128, .norm_eps = 1e-5f, .rope_base = 10000, .bos = -1, .eos = -1 };
}

/* ---- whole models ---- */

#define ALL_SLOTS 0x7fu

struct trial {
	struct pb_config config;
	uint32_t sequences, length;
	bool recompute, hooks, transform, layernorm;
	unsigned zero_slots;            /* matrices that are 0, so that a part is alone; they are not checked */
};

static double random_value(struct pb_rng *rng, const struct pb_parameter *p)
{
	double x = pb_rng_normal(rng);

	if (p->kind == PB_PARAMETER_NORM)
		return 1 + 0.2 * x;
	return x / sqrt(p->kind == PB_PARAMETER_EMBEDDING ? 2 : p->cols);
}

static void fill(const struct trial *tr, struct pb_network_f64 *net, struct pb_network_f32 *net32, int32_t *tokens, int32_t *targets)
{
	struct pb_rng rng = pb_rng_make(11, 7);

	for (uint32_t i = 0; i < net->layout.n; i++) {
		const struct pb_parameter *p = &net->layout.parameters[i];
		bool zero = p->kind == PB_PARAMETER_MATRIX && tr->zero_slots >> p->slot & 1;

		for (size_t k = p->first; k < p->first + p->n; k++) {
			net32->parameters[k] = (float)(zero ? 0 : p->kind == PB_PARAMETER_TRANSFORM ? 0.8 + 0.1 * pb_rng_normal(&rng) : random_value(&rng, p));
			net->parameters[k] = (double)net32->parameters[k];
		}
	}
	for (uint32_t i = 0; i < net->n; i++) {
		tokens[i] = (int32_t)pb_rng_below(&rng, net->config.n_vocab);
		targets[i] = i % 7 == 3 ? -1 : (int32_t)pb_rng_below(&rng, net->config.n_vocab);
	}
}

struct run {
	struct pb_network_f64 *net;
	const int32_t *tokens, *targets;
	const struct pb_extra_loss_f64 *extra;
};

static double loss_with(const struct run *r, size_t at, double value)
{
	double before = r->net->parameters[at], loss;

	r->net->parameters[at] = value;
	pb_network_prepare_f64(r->net);
	loss = pb_network_run_f64(r->net, r->tokens, r->targets, 0.01, false, r->extra);
	r->net->parameters[at] = before;
	return loss;
}

/* Five points, error of the fourth order. */
static double difference(const struct run *r, size_t at)
{
	double x = r->net->parameters[at], h = 1e-3;

	return (8 * (loss_with(r, at, x + h) - loss_with(r, at, x - h)) - (loss_with(r, at, x + 2 * h) - loss_with(r, at, x - 2 * h))) / (12 * h);
}

static double length_of(const double *x, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += x[i] * x[i];
	return sqrt(sum);
}

/* Some elements of each parameter, the largest gradient among them. */
static void check_parameter(const struct run *r, const struct pb_network_f32 *net32, const struct pb_parameter *p)
{
	struct pb_rng rng = pb_rng_make(5, p->first);
	const double *g = r->net->gradient + p->first;
	double error = 0, most, sum = 0;
	size_t top = 0;

	for (size_t i = 0; i < p->n; i++)
		top = fabs(g[i]) > fabs(g[top]) ? i : top;
	most = fabs(g[top]);
	assert_true(most > 1e-9);
	for (int k = 0; k < 6; k++) {
		size_t i = k ? pb_rng_below(&rng, p->n) : top;
		double numeric = difference(r, p->first + i), e = fabs(numeric - g[i]) / fmax(fabs(g[i]), 1e-2 * most);

		error = fmax(error, e);
	}
	if (!(error < 1e-6))
		fail_msg("%s: relative error %g of the gradient in double", p->name, error);
	for (size_t i = 0; i < p->n; i++)
		sum += pow((double)net32->gradient[p->first + i] - g[i], 2);
	if (!(sqrt(sum) < 1e-3 * length_of(g, p->n)))
		fail_msg("%s: relative error %g of the gradient in f32", p->name, sqrt(sum) / length_of(g, p->n));
}

static void try_one(const struct trial *tr)
{
	struct pb_network_f64 *net;
	struct pb_network_f32 *net32;
	int32_t tokens[256], targets[256];
	const struct pb_transform_f64 *t64 = tr->layernorm ? &pb_bending_layernorm_f64 : tr->transform ? &pb_bending_f64 : NULL;
	const struct pb_transform_f32 *t32 = tr->layernorm ? &pb_bending_layernorm_f32 : tr->transform ? &pb_bending_f32 : NULL;
	double loss, loss32;

	OK(pb_network_open_f64(&net, &tr->config, tr->sequences, tr->length, tr->recompute, t64, NULL, ERR));
	OK(pb_network_open_f32(&net32, &tr->config, tr->sequences, tr->length, tr->recompute, t32, NULL, ERR));
	assert_true(net->n <= 256);
	fill(tr, net, net32, tokens, targets);

	struct pb_extra_loss_f64 extra = { net, 0.5, pb_pull_logits_f64, pb_pull_state_f64 };
	struct pb_extra_loss_f32 extra32 = { net32, 0.5, pb_pull_logits_f32, pb_pull_state_f32 };
	struct run r = { net, tokens, targets, tr->hooks ? &extra : NULL };

	pb_network_prepare_f64(net);
	pb_network_clear_f64(net);
	loss = pb_network_run_f64(net, tokens, targets, 0.01, true, r.extra);
	pb_network_finish_f64(net);
	pb_network_prepare_f32(net32);
	pb_network_clear_f32(net32);
	loss32 = pb_network_run_f32(net32, tokens, targets, 0.01, true, tr->hooks ? &extra32 : NULL);
	pb_network_finish_f32(net32);
	assert_true(isfinite(loss) && fabs(loss - loss32) < 1e-5 * fabs(loss));
	assert_true(pb_network_run_f64(net, tokens, targets, 0.01, false, r.extra) == loss);

	/* Passes that only ask for the loss leave gradients alone. */
	for (uint32_t i = 0; i < net->layout.n; i++) {
		const struct pb_parameter *p = &net->layout.parameters[i];
		bool in_matrix = p->kind == PB_PARAMETER_MATRIX || p->kind == PB_PARAMETER_TRANSFORM;

		if (in_matrix && tr->zero_slots >> p->slot & 1)
			continue;
		if (p->kind == PB_PARAMETER_NORM && i != net->layout.final_norm && tr->zero_slots >> (i == pb_layout_norm(p->layer, 1) ? PB_DOWN : PB_O) & 1)
			continue;
		check_parameter(&r, net32, p);
	}
	pb_network_close_f64(net);
	pb_network_close_f32(net32);
}

static void test_grouped_untied(void **state)
{
	struct trial t = { .config = small_config(), .sequences = 2, .length = 70 };

	(void)state;
	try_one(&t);
}

static void test_tied_interleaved(void **state)
{
	struct trial t = { .config = small_config(), .sequences = 3, .length = 9 };

	(void)state;
	t.config.tied_head = t.config.rope_interleaved = true;
	t.config.n_kv_heads = 4;
	t.config.dim = 17;
	t.config.hidden = 19;
	try_one(&t);
}

static void test_one_key_head(void **state)
{
	struct trial t = { .config = small_config(), .sequences = 1, .length = 130 };

	(void)state;
	t.config.n_kv_heads = 1;
	t.config.n_layers = 1;
	try_one(&t);
}

static void test_attention_alone(void **state)
{
	struct trial t = { .config = small_config(), .sequences = 2, .length = 12, .zero_slots = 1u << PB_GATE | 1u << PB_UP | 1u << PB_DOWN };

	(void)state;
	try_one(&t);
	t.config.rope_interleaved = true;
	try_one(&t);
}

static void test_feed_forward_alone(void **state)
{
	struct trial t = { .config = small_config(), .sequences = 2, .length = 12, .zero_slots = 1u << PB_Q | 1u << PB_K | 1u << PB_V | 1u << PB_O };

	(void)state;
	try_one(&t);
}

static void test_tied_head_alone(void **state)
{
	struct trial t = { .config = small_config(), .sequences = 2, .length = 12, .zero_slots = ALL_SLOTS };

	(void)state;
	t.config.tied_head = true;
	try_one(&t);
}

static void test_transform(void **state)
{
	struct trial t = { .config = small_config(), .sequences = 2, .length = 12, .transform = true };

	(void)state;
	try_one(&t);
}

static void test_layernorm_and_losses(void **state)
{
	struct trial t = { .config = small_config(), .sequences = 2, .length = 12, .transform = true, .layernorm = true, .hooks = true };

	(void)state;
	t.config.norm_eps = 1e-3f;
	try_one(&t);
	t.recompute = true;
	t.config.rope_interleaved = true;
	try_one(&t);
}

static void test_extra_losses(void **state)
{
	struct trial t = { .config = small_config(), .sequences = 2, .length = 12, .hooks = true };

	(void)state;
	try_one(&t);
}

/* ---- the same bits, whatever the pool and with or without recomputation ---- */

static void gradient_of(bool recompute, unsigned threads, const struct trial *tr, float *out, double *loss)
{
	struct pb_network_f32 *net;
	struct pb_network_f64 *net64;
	struct pb_pool *pool;
	int32_t tokens[256], targets[256];

	OK(pb_pool_new(&pool, threads, ERR));
	OK(pb_network_open_f32(&net, &tr->config, tr->sequences, tr->length, recompute, &pb_bending_layernorm_f32, pool, ERR));
	OK(pb_network_open_f64(&net64, &tr->config, tr->sequences, tr->length, recompute, &pb_bending_layernorm_f64, NULL, ERR));
	fill(tr, net64, net, tokens, targets);
	pb_network_prepare_f32(net);
	pb_network_clear_f32(net);
	*loss = pb_network_run_f32(net, tokens, targets, 0.01, true, NULL);
	pb_network_finish_f32(net);
	memcpy(out, net->gradient, net->layout.total * sizeof *out);
	pb_network_close_f32(net);
	pb_network_close_f64(net64);
	pb_pool_free(pool);
}

static void test_same_bits(void **state)
{
	struct trial t = { .config = small_config(), .sequences = 3, .length = 70 };
	float *one = calloc(1 << 16, sizeof *one), *other = calloc(1 << 16, sizeof *other);
	double loss, other_loss;

	(void)state;
	assert_true(one && other);
	gradient_of(false, 1, &t, one, &loss);
	for (unsigned i = 1; i < 6; i++) {
		gradient_of(i % 2, 1 + i / 2, &t, other, &other_loss);
		assert_true(loss == other_loss);
		assert_memory_equal(one, other, (1 << 16) * sizeof *one);
	}
	free(one);
	free(other);
}

/* ---- kernels ---- */

#define N 53            /* no multiple of anything */

static void random_values(double *x, float *y, size_t n, uint64_t stream)
{
	struct pb_rng rng = pb_rng_make(3, stream);

	for (size_t i = 0; i < n; i++) {
		y[i] = (float)pb_rng_normal(&rng);
		x[i] = (double)y[i];
	}
}

static void near(const float *x, const double *y, size_t n, double most)
{
	for (size_t i = 0; i < n; i++)
		if (!(fabs((double)x[i] - y[i]) <= most * (1 + fabs(y[i]))))
			fail_msg("element %zu: %.9g, not %.9g", i, (double)x[i], y[i]);
}

/* Every set gives the numbers of double, and the sets give the same bits among themselves. */
static void test_kernels_agree(void **state)
{
	const struct pb_kernels_f32 *best = pb_kernels_best_f32(), *sets[3] = { &pb_kernels_f32_plain, best, best };
	const struct pb_kernels_f64 *k64 = &pb_kernels_f64_plain;
	double x[4 * N], w[N], d[4 * N], out[4 * N], scale[4], dx[4 * N] = { 0 }, dw[N], loss;
	float fx[4 * N], fw[N], fd[4 * N], first[6][4 * N], fout[4 * N], fscale[4], fdx[4 * N], fdw[N];

	(void)state;
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		sets[1] = &pb_kernels_f32_avx2;
#endif
	random_values(x, fx, 4 * N, 1);
	random_values(w, fw, N, 2);
	random_values(d, fd, 4 * N, 3);
	for (int i = 0; i < 3; i++) {
		const struct pb_kernels_f32 *k = sets[i];
		float result[6][4 * N] = { { 0 } };

		k->norm(fx, fw, 2, N, 1e-5f, fout, fscale);
		k64->norm(x, w, 2, N, 1e-5, out, scale);
		near(fout, out, 2 * N, 1e-5);
		memcpy(result[0], fout, 2 * N * sizeof *fout);
		memset(fdx, 0, sizeof fdx);
		memset(dx, 0, sizeof dx);
		k->norm_back(fx, fw, fscale, fd, 2, N, fdx, fdw);
		k64->norm_back(x, w, scale, d, 2, N, dx, dw);
		near(fdx, dx, 2 * N, 1e-5);
		near(fdw, dw, N, 1e-5);
		memcpy(result[1], fdx, 2 * N * sizeof *fdx);
		k->gate(fx, 2, N, fout);
		k64->gate(x, 2, N, out);
		near(fout, out, 2 * N, 1e-5);
		memcpy(result[2], fout, 2 * N * sizeof *fout);
		k->gate_back(fx, fd, 2, N, fout);
		k64->gate_back(x, d, 2, N, out);
		near(fout, out, 4 * N, 1e-5);
		memcpy(result[3], fout, 4 * N * sizeof *fout);
		loss = k64->cross_entropy(x, N, 5, 0.5, out);
		assert_true(fabs(k->cross_entropy(fx, N, 5, 0.5f, fout) - loss) < 1e-5);
		near(fout, out, N, 1e-6);
		memcpy(result[4], fout, N * sizeof *fout);
		assert_true(k->cross_entropy(fx, N, -1, 0.5f, fout) == 0 && fout[0] == 0 && fout[N - 1] == 0);
		memcpy(fout, fx, sizeof fout);
		memcpy(out, x, sizeof out);
		k->soften(fout, N, 4, N - 4, fscale);
		k64->soften(out, N, 4, N - 4, scale);
		near(fout, out, 4 * N, 1e-6);
		memcpy(result[5], fout, 4 * N * sizeof *fout);
		if (i == 0)
			memcpy(first, result, sizeof first);
		else
			assert_memory_equal(first, result, sizeof first);
	}
}

/* The derivative of sum of d * f(x) by x[i]. */
#define DIFFERENCE(x_i, expression, into) do { \
	double kept_ = (x_i), h_ = 1e-4, sums_[4]; \
	static const double steps_[4] = { 1, -1, 2, -2 }; \
	for (int s_ = 0; s_ < 4; s_++) { \
		(x_i) = kept_ + steps_[s_] * h_; \
		sums_[s_] = (expression); \
	} \
	(x_i) = kept_; \
	(into) = (8 * (sums_[0] - sums_[1]) - (sums_[2] - sums_[3])) / (12 * h_); \
} while (0)

static double product(const double *a, const double *b, size_t n)
{
	return pb_kernels_f64_plain.dot(a, b, n);
}

static double norm_value(const double *x, const double *w, const double *d)
{
	double out[N], scale;

	pb_kernels_f64_plain.norm(x, w, 1, N, 1e-5, out, &scale);
	return product(out, d, N);
}

static double gate_value(const double *x, const double *d)
{
	double out[N];

	pb_kernels_f64_plain.gate(x, 1, N, out);
	return product(out, d, N);
}

static double layernorm_value(const double *x, const double *d)
{
	double y[N];

	memcpy(y, x, sizeof y);
	pb_kernels_f64_plain.layernorm(y, N);
	return product(y, d, N);
}

static void test_kernels_differences(void **state)
{
	const struct pb_kernels_f64 *k = &pb_kernels_f64_plain;
	double x[2 * N], w[N], d[N], out[N], scale, dx[N] = { 0 }, dw[N], dg[2 * N], dn[N], y[N], dl[N], numeric;
	float unused[2 * N];

	(void)state;
	random_values(x, unused, 2 * N, 4);
	random_values(w, unused, N, 5);
	random_values(d, unused, N, 6);
	k->norm(x, w, 1, N, 1e-5, out, &scale);
	k->norm_back(x, w, &scale, d, 1, N, dx, dw);
	k->gate_back(x, d, 1, N, dg);
	memcpy(y, x, sizeof y);
	memcpy(dn, d, sizeof dn);
	k->layernorm_back(y, k->layernorm(y, N), N, dn);
	k->cross_entropy(x, N, 9, 1, dl);
	for (int i = 0; i < N; i++) {
		DIFFERENCE(x[i], norm_value(x, w, d), numeric);
		assert_true(fabs(numeric - dx[i]) < 1e-8);
		DIFFERENCE(w[i], norm_value(x, w, d), numeric);
		assert_true(fabs(numeric - dw[i]) < 1e-8);
		DIFFERENCE(x[i], gate_value(x, d), numeric);
		assert_true(fabs(numeric - dg[i]) < 1e-8);
		DIFFERENCE(x[N + i], gate_value(x, d), numeric);
		assert_true(fabs(numeric - dg[N + i]) < 1e-8);
		DIFFERENCE(x[i], layernorm_value(x, d), numeric);
		assert_true(fabs(numeric - dn[i]) < 1e-8);
		DIFFERENCE(x[i], k->cross_entropy(x, N, 9, 1, out), numeric);
		assert_true(fabs(numeric - dl[i]) < 1e-8);
	}
}

/* Pair (a, b) at angle t becomes (a cos t - b sin t, b cos t + a sin t); back gives what was there. */
static void test_rotation(void **state)
{
	double cosine[3] = { cos(0.3), cos(1.1), cos(-2) }, sine[3] = { sin(0.3), sin(1.1), sin(-2) }, x[6] = { 1, 2, 3, 4, 5, 6 }, y[6];

	(void)state;
	memcpy(y, x, sizeof y);
	pb_kernels_f64_plain.rotate(y, cosine, sine, 6, false, 1);
	assert_true(fabs(y[0] - (cos(0.3) - 4 * sin(0.3))) < 1e-15 && fabs(y[3] - (4 * cos(0.3) + sin(0.3))) < 1e-15);
	pb_kernels_f64_plain.rotate(y, cosine, sine, 6, false, -1);
	for (int i = 0; i < 6; i++)
		assert_true(fabs(x[i] - y[i]) < 1e-14);
	pb_kernels_f64_plain.rotate(y, cosine, sine, 6, true, 1);
	assert_true(fabs(y[2] - (3 * cos(1.1) - 4 * sin(1.1))) < 1e-14 && fabs(y[3] - (4 * cos(1.1) + 3 * sin(1.1))) < 1e-14);
}

static void test_bad_shapes(void **state)
{
	struct pb_network_f32 *net = NULL;
	struct pb_config c = small_config();
	struct pb_error err;

	(void)state;
	c.n_kv_heads = 3;
	assert_int_equal(pb_network_open_f32(&net, &c, 1, 8, false, NULL, NULL, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "4 heads are no multiple of 3 key-value heads"));
	c = small_config();
	c.n_vocab = 0;
	assert_int_equal(pb_network_open_f32(&net, &c, 1, 8, false, NULL, NULL, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "vocabulary: 0 is out of the range"));
	c = small_config();
	assert_int_equal(pb_network_open_f32(&net, &c, 1, 0, false, NULL, NULL, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "1 sequences of 0 tokens"));
	assert_int_equal(pb_network_open_f32(&net, &c, UINT32_MAX, 1 << 20, false, NULL, NULL, &err), PB_USAGE);
	assert_null(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernels_agree),
		cmocka_unit_test(test_kernels_differences),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_grouped_untied),
		cmocka_unit_test(test_tied_interleaved),
		cmocka_unit_test(test_one_key_head),
		cmocka_unit_test(test_attention_alone),
		cmocka_unit_test(test_feed_forward_alone),
		cmocka_unit_test(test_tied_head_alone),
		cmocka_unit_test(test_transform),
		cmocka_unit_test(test_extra_losses),
		cmocka_unit_test(test_layernorm_and_losses),
		cmocka_unit_test(test_same_bits),
		cmocka_unit_test(test_bad_shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
