/* AWQ against an independent implementation (tests/vectors/awq/ORIGIN.txt) and its own rules. */
#include <stdio.h>
#include "core/base/pool.h"
#include "tests/unit/layer.h"

extern const struct pb_quantizer pb_quantizer_awq, pb_quantizer_rtn;

static void independent_implementation(void **state)
{
	(void)state;
	check_vector(&pb_quantizer_awq, "awq", 6);
}

static const char *const grids[] = { "bits=4", "bits=3,group_size=32", "bits=2,mode=symmetric,group_size=50", "bits=3,zero=float,scale_dtype=f32",
	"bits=8,group_size=16,scale_dtype=bf16", "bits=4,group_size=1000" };
enum { GRIDS = sizeof grids / sizeof *grids };

static struct pb_encoded *run_with(const char *grid, const char *rest, const struct layer *l)
{
	char options[160];
	snprintf(options, sizeof options, "%s,%s", grid, rest);
	return run_layer(&pb_quantizer_awq, options, l);
}

static double loss_with(const char *grid, const char *rest, const struct layer *l)
{
	char options[160];
	snprintf(options, sizeof options, "%s,%s", grid, rest);
	return loss_by(&pb_quantizer_awq, options, l);
}

/* Scales of 1 are among those that are tried. */
static void scales_are_never_worse(void **state)
{
	(void)state;
	for (int i = 0; i < GRIDS; i++)
		for (uint64_t seed = 0; seed < 3; seed++) {
			struct layer l = random_layer(seed, 40, 100, 200);
			double rtn = loss_by(&pb_quantizer_rtn, grids[i], &l), one = loss_with(grids[i], "clip=no,scale_steps=1", &l);
			double best = loss_with(grids[i], "clip=no", &l), duo = loss_with(grids[i], "clip=no,duo_scaling=yes", &l);
			assert_true(one == rtn);
			assert_true(best <= rtn * (1 + 1e-6));
			assert_true(duo > 0 && duo < 2 * rtn);
			free_layer(&l);
		}
}

/* What the method is for: a few inputs far larger than the others. */
static void loud_inputs(void **state)
{
	(void)state;
	struct layer l = random_layer(5, 64, 128, 300);
	for (uint32_t a = 0; a < l.cols; a++)
		for (uint32_t b = 0; b < l.cols; b++)
			l.h[a * l.cols + b] *= (a % 32 == 7 ? 30.0f : 1.0f) * (b % 32 == 7 ? 30.0f : 1.0f);
	for (uint32_t a = 7; a < l.cols; a += 32)
		l.mean_abs[a] *= 30.0f;
	for (int i = 0; i < GRIDS; i++) {
		double rtn = loss_by(&pb_quantizer_rtn, grids[i], &l), awq = loss_with(grids[i], "clip=yes", &l);
		if (!(awq < 0.5 * rtn))
			fail_msg("%s: loss %g, rtn %g", grids[i], awq, rtn);
	}
	free_layer(&l);
}

/* Sum of the errors of groups, each alone. */
static double groups_alone(const struct layer *l, const struct pb_encoded *m)
{
	struct layer part = *l;
	size_t n = (size_t)l->cols * l->cols, group = m->block_size;
	float *out = decoded(m);
	part.h = get_memory(n, sizeof *part.h);
	for (size_t i = 0; i < n; i++)
		part.h[i] = i / l->cols / group == i % l->cols / group ? l->h[i] : 0;
	double loss = loss_of(&part, out);
	free(part.h);
	free(out);
	return loss;
}

static void clips(void **state)
{
	(void)state;
	for (int i = 0; i < GRIDS; i++) {
		struct layer l = random_layer(7 + (uint64_t)i, 70, 96, 200);
		struct pb_encoded *plain = run_with(grids[i], "clip=no,scale_steps=1", &l), *clipped = run_with(grids[i], "scale_steps=1", &l);
		double before = groups_alone(&l, plain), after = groups_alone(&l, clipped);
		assert_true(after <= before * (1 + 1e-6));
		assert_true(after < 0.99 * before || i == 4); /* 8 bits have little to gain */
		pb_encoded_free(plain);
		pb_encoded_free(clipped);
		free_layer(&l);
	}
}

static void same_matrix(const struct pb_encoded *a, const struct pb_encoded *b, bool equal)
{
	float *x = decoded(a), *y = decoded(b);
	assert_true(!memcmp(x, y, (size_t)a->rows * a->cols * sizeof *x) == equal);
	free(x);
	free(y);
}

static void queries_and_keys(void **state)
{
	(void)state;
	static const char *const names[] = { "model.layers.0.self_attn.q_proj", "k_proj", "model.layers.0.self_attn.v_proj" };
	struct layer l = random_layer(1, 20, 64, 100);
	struct pb_encoded *plain = run_with("bits=3", "clip=no", &l);
	struct pb_quantizer_use use;
	struct pb_error err;
	assert_int_equal(pb_quantizer_use_parse(&use, "awq:bits=3", &err), PB_OK);
	for (int i = 0; i < 3; i++) {
		struct pb_quantize_job job = { .name = names[i], .rows = l.rows, .cols = l.cols, .weights = l.w, .second_moment = l.h, .mean_abs = l.mean_abs };
		struct pb_encoded *m = NULL;
		assert_int_equal(pb_quantizer_run(&use, &job, &m, &err), PB_OK);
		same_matrix(plain, m, i < 2);
		pb_encoded_free(m);
	}
	pb_quantizer_use_free(&use);
	pb_encoded_free(plain);
	free_layer(&l);
}

static void sizes(void **state)
{
	(void)state;
	struct layer l = random_layer(2, 12, 70, 100);
	for (int i = 0; i < GRIDS; i++) {
		struct pb_encoded *rtn = run_layer(&pb_quantizer_rtn, grids[i], &l), *m = run_with(grids[i], "clip=no", &l);
		assert_int_equal(pb_encoded_bytes(m), pb_encoded_bytes(rtn) + 70 * (strstr(grids[i], "f32") ? 4 : 2));
		pb_encoded_free(rtn);
		pb_encoded_free(m);
	}
	free_layer(&l);
}

static void refused(const char *options, const struct layer *l, enum pb_status expected, const char *sentence)
{
	struct pb_encoded *m = NULL;
	struct pb_error err;
	enum pb_status status = try_layer(&pb_quantizer_awq, options, l, &m, &err);
	if (status != expected || !strstr(err.text, sentence))
		fail_msg("%s: status %d: %s; expected %d: %s", options, (int)status, status ? err.text : "", (int)expected, sentence);
	assert_null(m);
}

static void odd_inputs(void **state)
{
	(void)state;
	struct layer l = random_layer(3, 10, 40, 80);
	refused("group_size=0", &l, PB_UNSUPPORTED, "take -1");
	refused("bits=7", &l, PB_USAGE, "take 6 or 8");
	/* a dead input, and one whose scale is beyond f16 for most exponents: those are left out */
	for (uint32_t c = 0; c < l.cols; c++)
		l.h[5 * l.cols + c] = l.h[c * l.cols + 5] = 0;
	l.mean_abs[5] = 0;
	l.mean_abs[6] = 1e20f;
	struct pb_encoded *m = run_layer(&pb_quantizer_awq, "bits=4", &l);
	float *out = decoded(m);
	assert_int_equal(pb_count_not_finite(out, 400), 0);
	assert_true(loss_of(&l, out) <= loss_by(&pb_quantizer_rtn, "bits=4", &l) * 1.1);
	free(out);
	pb_encoded_free(m);
	l.h[3] = NAN;
	refused("bits=4", &l, PB_NUMERIC, "1 of 1600 are not finite");
	memset(l.h, 0, 1600 * sizeof *l.h);
	refused("bits=4", &l, PB_NUMERIC, "all are 0");
	free_layer(&l);
}

struct parallel {
	struct layer layers[4];
	struct pb_encoded *results[4];
};

static void quantize_task(void *arg, size_t task, unsigned worker)
{
	struct parallel *p = arg;
	(void)worker;
	p->results[task] = run_layer(&pb_quantizer_awq, "bits=3,group_size=64", &p->layers[task]);
}

static void threads(void **state)
{
	(void)state;
	struct parallel one, many;
	struct pb_pool *pool;
	assert_int_equal(pb_pool_new(&pool, 4, NULL), PB_OK);
	for (unsigned i = 0; i < 4; i++)
		one.layers[i] = random_layer(i, 150, 256, 260);
	many = one;
	pb_pool_run(NULL, 4, quantize_task, &one);
	pb_pool_run(pool, 4, quantize_task, &many);
	for (unsigned i = 0; i < 4; i++) {
		same_matrix(one.results[i], many.results[i], true);
		pb_encoded_free(one.results[i]);
		pb_encoded_free(many.results[i]);
		free_layer(&one.layers[i]);
	}
	pb_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(independent_implementation),
		cmocka_unit_test(scales_are_never_worse),
		cmocka_unit_test(loud_inputs),
		cmocka_unit_test(clips),
		cmocka_unit_test(queries_and_keys),
		cmocka_unit_test(sizes),
		cmocka_unit_test(odd_inputs),
		cmocka_unit_test(threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
