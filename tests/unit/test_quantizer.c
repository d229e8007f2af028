/* What holds for every quantizer: the registry, the checks of plugins, loading, options by text, and the rules that
 * pb_quantizer_run enforces. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/pool.h"
#include "core/base/rng.h"
#include "core/base/text.h"
#include "quantizers/quantizer.h"

static void *get_memory(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);
	assert_non_null(p);
	return p;
}

static void check_says(const struct pb_error *err, const char *part)
{
	if (!strstr(err->text, part))
		fail_msg("'%s' does not say '%s'", err->text, part);
}

/* Random weights and everything that a quantizer may need. */
struct problem {
	struct pb_quantize_job job;
	float *weights, *std, *second_moment, *cross_moment, *mean_abs, *gradient_sq;
};

static struct problem make_problem(uint64_t seed, uint32_t rows, uint32_t cols)
{
	struct problem p = { 0 };
	struct pb_rng r = pb_rng_make(seed, 1);
	size_t n = (size_t)rows * cols;
	p.weights = get_memory(n, sizeof *p.weights);
	p.std = get_memory(cols, sizeof *p.std);
	p.second_moment = get_memory((size_t)cols * cols, sizeof *p.second_moment);
	p.mean_abs = get_memory(cols, sizeof *p.mean_abs);
	p.gradient_sq = get_memory(n, sizeof *p.gradient_sq);
	for (size_t i = 0; i < n; i++) {
		p.weights[i] = 0.05f * (float)pb_rng_normal(&r);
		p.gradient_sq[i] = (float)(pb_rng_unit(&r) + 1e-3);
	}
	float *x = get_memory(cols, sizeof *x);
	for (uint32_t s = 0; s < 2 * cols; s++) {
		for (uint32_t i = 0; i < cols; i++)
			x[i] = (float)pb_rng_normal(&r);
		for (uint32_t i = 0; i < cols; i++)
			p.mean_abs[i] += fabsf(x[i]) / (float)(2 * cols);
		for (uint32_t i = 0; i < cols; i++)
			for (uint32_t j = 0; j < cols; j++)
				p.second_moment[(size_t)i * cols + j] += x[i] * x[j] / (float)(2 * cols);
	}
	free(x);
	p.cross_moment = get_memory((size_t)cols * cols, sizeof *p.cross_moment);
	for (size_t i = 0; i < (size_t)cols * cols; i++)
		p.cross_moment[i] = 0.1f * p.second_moment[i];
	for (uint32_t i = 0; i < cols; i++)
		p.std[i] = (float)pb_rng_unit(&r);
	p.job = (struct pb_quantize_job){ .name = "model.layers.0.mlp.up_proj", .n_layers = 1, .rows = rows, .cols = cols, .weights = p.weights,
		.source_dtype = PB_F32, .input_row_std = pb_rng_below(&r, 2) ? p.std : NULL, .second_moment = p.second_moment, .cross_moment = p.cross_moment,
		.mean_abs = p.mean_abs, .gradient_sq = p.gradient_sq, .rng = pb_rng_make(seed, 2) };
	return p;
}

static void free_problem(struct problem *p)
{
	free(p->weights);
	free(p->std);
	free(p->second_moment);
	free(p->cross_moment);
	free(p->mean_abs);
	free(p->gradient_sq);
}

static struct pb_quantizer_use defaults_of(const struct pb_quantizer *q)
{
	struct pb_quantizer_use use;
	struct pb_error err;
	if (pb_quantizer_use_parse(&use, q->name, &err) != PB_OK)
		fail_msg("%s: %s", q->name, err.text);
	return use;
}

/* ---- memory that is out ---- */

/* In a process of its own, whose n-th allocation fails: 0 when all went well, 1 when it ended in a clean error. */
static int quantize_short_of_memory(const char *text, unsigned n)
{
	enum { R = 6, C = 300 };
	static float w[R * C], std[C], moments[C * C];
	char number[16];
	snprintf(number, sizeof number, "%u", n);
	setenv("PB_TEST_FAIL_ALLOC", number, 1);
	for (int i = 0; i < R * C; i++)
		w[i] = (float)(i * 37 % 101) / 101 - 0.4f;
	for (int i = 0; i < C; i++)
		moments[i * C + i] = 1;
	struct pb_quantizer_use use;
	struct pb_error err = { PB_OK, "" };
	enum pb_status status = pb_quantizer_use_parse(&use, text, &err);
	if (status != PB_OK)
		return status == PB_MEMORY && *err.text ? 1 : 2;
	struct pb_quantize_job job = { .name = "m", .rows = R, .cols = C, .weights = w, .input_row_std = std, .second_moment = moments,
		.mean_abs = moments };
	struct pb_encoded *m = NULL;
	status = pb_quantizer_run(&use, &job, &m, &err);
	pb_quantizer_use_free(&use);
	if (status != PB_OK)
		return status == PB_MEMORY && *err.text && !m ? 1 : 2;
	pb_encoded_free(m);
	return 0;
}

/* Runs first: the number of the allocation that fails is read once in a process. */
static void memory_out(void **state)
{
	(void)state;
	static const char *const texts[] = { "kbit:type=quantile,outliers=0.02,centering=1", "kbit:type=nf4,nested=1", "gptq:group_size=64,act_order=group",
		"awq:group_size=64,scale_steps=2", "squeezellm:sensitivity=none,outliers=5",
		"vptq:length=3,centroids=16,residual=4,groups=2,outliers=1,outlier_centroids=2,norm=minmax" };
	for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
		int result = 1;
		unsigned n = 1;
		for (; result == 1 && n < 200; n++) {
			pid_t child = fork();
			assert_true(child >= 0);
			if (child == 0)
				_exit(quantize_short_of_memory(texts[t], n));
			int status;
			assert_int_equal(waitpid(child, &status, 0), child);
			if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
				fail_msg("%s: allocation %u: status %x", texts[t], n, (unsigned)status);
			result = WEXITSTATUS(status);
		}
		assert_int_equal(result, 0);
		assert_true(n > 8);
	}
}

/* ---- registry ---- */

static void registry(void **state)
{
	(void)state;
	assert_true(pb_n_quantizers >= 1);
	for (size_t i = 0; i < pb_n_quantizers; i++) {
		struct pb_error err;
		const struct pb_quantizer *q = pb_quantizers[i];
		if (pb_quantizer_check(q, &err) != PB_OK)
			fail_msg("%s", err.text);
		if (i > 0)
			assert_true(strcmp(pb_quantizers[i - 1]->name, q->name) < 0);
		assert_ptr_equal(pb_quantizer_at(i), q);
		assert_ptr_equal(pb_quantizer_find(q->name, NULL), q);
		struct pb_text help = { 0 };
		pb_options_help(q->options, NULL, &help);
		assert_int_equal(pb_text_check(&help, NULL), PB_OK);
		pb_text_free(&help);
		struct pb_quantizer_use use = defaults_of(q);
		double wbits = q->wbits(use.options, PB_F32);
		if (strcmp(q->name, "diffq") == 0 || strcmp(q->name, "external") == 0) /* the weights, and whose program it is, decide */
			assert_true(isnan(wbits));
		else
			assert_true(isfinite(wbits) && wbits > 0);
		pb_quantizer_use_free(&use);
	}
	assert_null(pb_quantizer_at(pb_quantizer_count()));

	struct pb_error err;
	assert_null(pb_quantizer_find("kbti", &err));
	assert_int_equal(err.status, PB_USAGE);
	assert_string_equal(err.text, "unknown quantizer 'kbti'; did you mean 'kbit'?");
	assert_null(pb_quantizer_find("somethingelse", &err));
	check_says(&err, "unknown quantizer 'somethingelse'; the quantizers are ");
	check_says(&err, "kbit");
}

/* ---- a quantizer to break ---- */

struct fake_options {
	int64_t n;
	double x;
	bool b;
	int c;
};
static const char *const letters[] = { "a", "b", NULL };
static const struct pb_option fake_table[] = {
	PB_OPT_INT(struct fake_options, n, 0, 9, 3, "a number"),
	PB_OPT_REAL(struct fake_options, x, 0, 1, 0.5, "a fraction"),
	PB_OPT_BOOL(struct fake_options, b, 1, "a switch"),
	PB_OPT_CHOICE(struct fake_options, c, letters, "b", "a letter"),
	PB_OPT_END
};

static double fake_wbits(const void *options, enum pb_dtype source_dtype)
{
	(void)source_dtype;
	(void)options;
	return 32;
}

static enum pb_status fake_plan(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	(void)options, (void)source_dtype, (void)err;
	*bytes = (uint64_t)rows * cols * sizeof(float);
	return PB_OK;
}

static enum pb_status quantize_shape(const struct pb_quantize_job *job, uint32_t rows, struct pb_encoded **out, struct pb_error *err)
{
	enum pb_status status = pb_encoded_new(out, rows, job->cols, err);
	return status == PB_OK ? pb_encoded_set_dense(*out, job->weights, PB_F32, err) : status;
}

static enum pb_status fake_quantize(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	(void)options;
	return quantize_shape(job, job->rows, out, err);
}

static struct pb_quantizer fake(void)
{
	return (struct pb_quantizer){ .name = "fake_1", .title = "Fake", .source = "this file", .family = "other", .help = "For tests.",
		.abi = PB_QUANTIZER_ABI, .version = 1, .options = fake_table, .options_size = sizeof(struct fake_options),
		.wbits = fake_wbits, .plan = fake_plan, .quantize = fake_quantize };
}

static void check_broken(struct pb_quantizer q, enum pb_status status, const char *sentence)
{
	struct pb_error err;
	assert_int_equal(pb_quantizer_check(&q, &err), status);
	check_says(&err, sentence);
}
#define BROKEN(change, status, sentence) do { \
	struct pb_quantizer q = fake(); \
	q.change; \
	check_broken(q, status, sentence); \
} while (0)

static void check_broken_table(const struct pb_option *table, const char *sentence)
{
	struct pb_quantizer q = fake();
	q.options = table;
	check_broken(q, PB_FAILED, sentence);
}

/* ---- a method that is trained, to break ---- */

static uint32_t fake_n(void *arg, uint32_t layer, enum pb_slot slot, uint32_t rows, uint32_t cols)
{
	(void)arg, (void)layer, (void)slot, (void)rows, (void)cols;
	return 1;
}

static void fake_start(void *arg, const struct pb_parameter *matrix, float *latent, float *parameters)
{
	(void)arg, (void)matrix;
	parameters[0] = latent[0] > 9e9f ? INFINITY : 2;
}

static void fake_forward(void *arg, const struct pb_parameter *matrix, const float *latent, const float *parameters, float *used)
{
	const struct fake_options *o = arg;
	for (size_t i = 0; i < matrix->n; i++)
		used[i] = o->n == 7 ? latent[i] : parameters[0] * latent[i];
}

static void fake_backward(void *arg, const struct pb_parameter *matrix, const float *latent, const float *parameters, const float *used,
	float *gradient, float *parameter_gradient)
{
	(void)arg, (void)matrix, (void)latent, (void)parameters, (void)used, (void)gradient;
	parameter_gradient[0] = 0;
}

static enum pb_status fake_recipe(const void *options, uint32_t context, struct pb_recipe *recipe, struct pb_error *err)
{
	(void)options, (void)context, (void)recipe, (void)err;
	return PB_OK;
}

static enum pb_status fake_encode(const void *options, const struct pb_parameter *matrix, const float *latent, const float *parameters, struct pb_encoded **out,
	struct pb_error *err)
{
	float w[12];
	(void)options;
	assert_true(matrix->n == 12);
	for (size_t i = 0; i < 12; i++)
		w[i] = parameters[0] * latent[i];
	enum pb_status status = pb_encoded_new(out, matrix->rows, matrix->cols, err);
	return status == PB_OK ? pb_encoded_set_dense(*out, w, PB_F32, err) : status;
}

static struct pb_qat fake_qat(void)
{
	return (struct pb_qat){ .transform = { .n_parameters = fake_n, .start = fake_start, .forward = fake_forward, .backward = fake_backward },
		.recipe = fake_recipe, .encode = fake_encode };
}

#define BROKEN_QAT(change, sentence) do { \
	struct pb_qat qat = fake_qat(); \
	struct pb_quantizer q = fake(); \
	q.quantize = NULL; \
	q.qat = &qat; \
	qat.change; \
	check_broken(q, PB_FAILED, sentence); \
} while (0)

static void check_broken_qat(void)
{
	struct pb_qat sound = fake_qat();
	struct pb_quantizer both = fake();
	both.qat = &sound;
	check_broken(both, PB_FAILED, "fake_1: quantize, qat and program are ways for one thing");
	both.quantize = NULL;
	assert_int_equal(pb_quantizer_check(&both, NULL), PB_OK);
	BROKEN_QAT(transform.n_parameters = NULL, "no hook qat.transform.n_parameters");
	BROKEN_QAT(transform.start = NULL, "no hook qat.transform.start");
	BROKEN_QAT(transform.forward = NULL, "no hook qat.transform.forward");
	BROKEN_QAT(transform.backward = NULL, "no hook qat.transform.backward");
	BROKEN_QAT(recipe = NULL, "no hook qat.recipe");
	BROKEN_QAT(encode = NULL, "no hook qat.encode");
}

/* Before the first step: what forward gives is what is stored, or it is told. */
static void rules_of_training(void **state)
{
	(void)state;
	float w[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, huge[12] = { 1e10f }, decoded[12];
	struct pb_qat qat = fake_qat();
	struct pb_quantizer q = fake();
	struct fake_options options = { 0 };
	struct pb_quantizer_use use = { &q, &options };
	struct pb_quantize_job job = { .name = "m", .rows = 3, .cols = 4, .weights = w, .source_dtype = PB_F32 };
	struct pb_encoded *m = NULL;
	struct pb_error err;
	q.quantize = NULL;
	q.qat = &qat;
	assert_int_equal(pb_quantizer_run(&use, &job, &m, &err), PB_OK);
	pb_encoded_decode(m, 0, 3, decoded);
	for (int i = 0; i < 12; i++)
		assert_true(decoded[i] == 2 * w[i]);
	pb_encoded_free(m);
	m = NULL;
	options.n = 7;
	assert_int_equal(pb_quantizer_run(&use, &job, &m, &err), PB_FAILED);
	check_says(&err, "the plugin stores 2 in row 0, column 0, where 1 was trained");
	options.n = 0;
	job.weights = huge;
	assert_int_equal(pb_quantizer_run(&use, &job, &m, &err), PB_NUMERIC);
	check_says(&err, "1 of 1 trained parameters (scales) are not finite");
	assert_null(m);
	struct pb_transform_f32 t = pb_quantizer_transform(&use);
	assert_ptr_equal(t.arg, &options);
}

static void checks_of_a_plugin(void **state)
{
	(void)state;
	struct pb_error err;
	struct pb_quantizer sound = fake();
	assert_int_equal(pb_quantizer_check(&sound, &err), PB_OK);
	BROKEN(abi = PB_QUANTIZER_ABI + 6, PB_UNSUPPORTED, "made for ABI 12, this program has ABI 6");
	BROKEN(name = NULL, PB_FAILED, "no name");
	BROKEN(name = "", PB_FAILED, "no name");
	BROKEN(name = "Fake", PB_FAILED, "'Fake': a name is");
	BROKEN(name = "fa-ke", PB_FAILED, "a name is");
	BROKEN(name = "fake:1", PB_FAILED, "a name is");
	BROKEN(name = "a_name_that_is_far_too_long_to_be_printed_in_a_table", PB_FAILED, "a name is");
	BROKEN(title = NULL, PB_FAILED, "fake_1: no title");
	BROKEN(source = "", PB_FAILED, "fake_1: no source");
	BROKEN(family = NULL, PB_FAILED, "fake_1: no family");
	BROKEN(family = "kbit", PB_FAILED, "family 'kbit' is not known");
	BROKEN(help = NULL, PB_FAILED, "fake_1: no help");
	BROKEN(version = 0, PB_FAILED, "version 0");
	BROKEN(wbits = NULL, PB_FAILED, "fake_1: no hook wbits");
	BROKEN(plan = NULL, PB_FAILED, "fake_1: no hook plan");
	BROKEN(quantize = NULL, PB_FAILED, "fake_1: no hook quantize");
	check_broken_qat();
	BROKEN(options = NULL, PB_FAILED, "no table of options");
	BROKEN(options_size = offsetof(struct fake_options, c), PB_FAILED, "option c: offset");
	BROKEN(options_size = 0, PB_FAILED, "option n: offset");

	check_broken_table((const struct pb_option[]){ PB_OPT_INT(struct fake_options, n, 0, 9, 10, "x"), PB_OPT_END }, "out of range");
	check_broken_table((const struct pb_option[]){ PB_OPT_INT(struct fake_options, n, 0, 9, 1, "x"),
		PB_OPT_INT(struct fake_options, n, 0, 9, 1, "x"), PB_OPT_END }, "twice");
	check_broken_table((const struct pb_option[]){ PB_OPT_CHOICE(struct fake_options, c, letters, "d", "x"), PB_OPT_END }, "choices");
	check_broken_table((const struct pb_option[]){ { .name = "n", .type = (enum pb_option_type)7, .help = "x" }, PB_OPT_END }, "type 7");
	check_broken_table((const struct pb_option[]){ { .name = "n", .type = PB_OPTION_INT, .offset = 4, .help = "x" }, PB_OPT_END }, "offset 4");
	check_broken_table((const struct pb_option[]){ { .name = "n", .type = PB_OPTION_INT, .offset = SIZE_MAX - 7, .help = "x" }, PB_OPT_END }, "offset");

	/* no options at all */
	static const struct pb_option none[] = { PB_OPT_END };
	sound.options = none;
	sound.options_size = 0;
	assert_int_equal(pb_quantizer_check(&sound, &err), PB_OK);
}

/* ---- the rules of a run ---- */

static enum pb_status give_nothing(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	(void)options, (void)job, (void)out, (void)err;
	return PB_OK;
}

static enum pb_status give_a_claim(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	(void)options;
	enum pb_status status = quantize_shape(job, job->rows, out, err);
	if (status == PB_OK)
		(*out)->claimed_bytes = 7;
	return status;
}

static enum pb_status give_no_reason(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	(void)options, (void)job, (void)out, (void)err;
	return PB_FAILED;
}

static enum pb_status give_another_shape(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	(void)options;
	return quantize_shape(job, job->rows - 1, out, err);
}

static enum pb_status give_unsound(const void *options, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	(void)options;
	enum pb_status status = quantize_shape(job, job->rows, out, err);
	if (status == PB_OK)
		(*out)->block_size = 5; /* of no kind */
	return status;
}

static enum pb_status plan_refuses(const void *options, uint32_t rows, uint32_t cols, enum pb_dtype source_dtype, uint64_t *bytes, struct pb_error *err)
{
	(void)options, (void)source_dtype, (void)bytes;
	return pb_fail(err, PB_UNSUPPORTED, "%u x %u is not for me", rows, cols);
}

static enum pb_status plan_less(const void *options, const struct pb_quantize_job *job, uint64_t *bytes, struct pb_error *err)
{
	(void)options, (void)job, (void)err;
	*bytes = 47;
	return PB_OK;
}

static enum pb_status plan_more(const void *options, const struct pb_quantize_job *job, uint64_t *bytes, struct pb_error *err)
{
	(void)options, (void)job, (void)err;
	*bytes = 49;
	return PB_OK;
}

static bool is_bound(const void *options)
{
	(void)options;
	return true;
}

static bool is_exact(const void *options)
{
	(void)options;
	return false;
}

static void check_run(struct pb_quantizer q, struct pb_quantize_job job, enum pb_status expected, const char *sentence)
{
	struct fake_options options = { 0 };
	struct pb_quantizer_use use = { &q, &options };
	struct pb_encoded *m = NULL, *const untouched = m;
	struct pb_error err;
	enum pb_status status = pb_quantizer_run(&use, &job, &m, &err);
	if (status != expected)
		fail_msg("status %d, expected %d: %s", (int)status, (int)expected, err.text);
	if (expected != PB_OK) {
		assert_ptr_equal(m, untouched);
		check_says(&err, sentence);
		assert_int_equal(pb_quantizer_run(&use, &job, &m, NULL), expected);
	}
	pb_encoded_free(m);
}
#define RUN(change, job, status, sentence) do { \
	struct pb_quantizer q = fake(); \
	q.change; \
	check_run(q, job, status, sentence); \
} while (0)

static unsigned wants_activations(const void *options)
{
	(void)options;
	return PB_NEEDS_ACTIVATIONS;
}

static unsigned wants_gradients(const void *options)
{
	(void)options;
	return PB_NEEDS_GRADIENTS;
}

static void rules_of_a_run(void **state)
{
	(void)state;
	float w[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, bad[12] = { 0, NAN, 2, INFINITY, 4, -INFINITY };
	struct pb_quantize_job job = { .name = "m", .rows = 3, .cols = 4, .weights = w, .source_dtype = PB_F32 }, infinite = job, empty = job;
	infinite.weights = bad;
	empty.rows = 0;
	RUN(version = 1, job, PB_OK, "");
	RUN(version = 1, infinite, PB_NUMERIC, "3 of 12 weights are not finite");
	RUN(version = 1, empty, PB_UNSUPPORTED, "0 x 4 has no weights");
	RUN(quantize = give_nothing, job, PB_FAILED, "gave no matrix");
	RUN(quantize = give_no_reason, job, PB_FAILED, "no reason");
	RUN(quantize = give_another_shape, job, PB_FAILED, "a matrix of 2 x 4 for one of 3 x 4");
	RUN(quantize = give_a_claim, job, PB_FAILED, "claims a size of its own");
	RUN(quantize = give_unsound, job, PB_FORMAT, "not sound");
	RUN(plan = plan_refuses, job, PB_UNSUPPORTED, "3 x 4 is not for me");
	RUN(plan_job = plan_less, job, PB_FAILED, "planned 47 bytes and stored 48");
	RUN(plan_job = plan_less; q.plan_is_bound = is_bound, job, PB_FAILED, "planned at most 47 bytes and stored 48");
	RUN(plan_job = plan_more; q.plan_is_bound = is_bound, job, PB_OK, "");
	RUN(plan_job = plan_more; q.plan_is_bound = is_exact, job, PB_FAILED, "planned 49 bytes and stored 48");
	RUN(needs = wants_activations, job, PB_UNSUPPORTED, "second moments");
	RUN(needs = wants_gradients, job, PB_UNSUPPORTED, "squared gradients");
	float moments[16] = { 1 };
	job.second_moment = moments;
	job.mean_abs = moments;
	job.gradient_sq = w;
	RUN(needs = wants_activations, job, PB_OK, "");
	RUN(needs = wants_gradients, job, PB_OK, "");
}

/* ---- options by text ---- */

static void check_use(const char *text, const char *sentence)
{
	struct pb_quantizer_use use = { (const struct pb_quantizer *)&use, &use }, before = use;
	struct pb_error err;
	if (pb_quantizer_use_parse(&use, text, &err) != PB_USAGE)
		fail_msg("'%s' is taken", text);
	check_says(&err, sentence);
	assert_memory_equal(&use, &before, sizeof use);
	assert_int_equal(pb_quantizer_use_parse(&use, text, NULL), PB_USAGE);
}

static void uses_by_text(void **state)
{
	(void)state;
	struct pb_quantizer_use use;
	static const char *const sound[] = { "kbit", "kbit:", "kbit:bits=3", "kbit:bits=3,type=int,block=128" };
	for (size_t i = 0; i < sizeof sound / sizeof *sound; i++) {
		assert_int_equal(pb_quantizer_use_parse(&use, sound[i], NULL), PB_OK);
		assert_true(use.quantizer->wbits(use.options, PB_F32) == (i < 2 ? 4 : 3));
		pb_quantizer_use_free(&use);
		assert_null(use.options);
		pb_quantizer_use_free(&use);
	}
	check_use("", "no name");
	check_use(":bits=3", "no name");
	check_use("kbits", "did you mean 'kbit'?");
	check_use("kbits:bits=3", "did you mean 'kbit'?");
	check_use("kbit bits=3", "unknown quantizer 'kbit bits=3'");
	check_use("kbit:bit=3", "did you mean 'bits'?");
	check_use("kbit:bits=three", "bits=three");
	check_use("kbit:bits=99", "2..8");
	check_use("kbit:bits", "kbit");
	check_use("kbit:bits=3,", "kbit");
	check_use("kbit:bits=3,,block=64", "kbit");
	check_use("kbit:type=complex", "int, float");
}

/* ---- loading ---- */

/* build/CONFIG/PART, as seen from this program. */
static char *built(const char *part)
{
	char self[1024];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	assert_true(n > 0);
	self[n] = 0;
	char *end = strstr(self, "/tests/unit/");
	assert_non_null(end);
	*end = 0;
	char *path = pb_path_join(self, part);
	assert_non_null(path);
	return path;
}

static void check_not_loaded(const char *path, enum pb_status expected, const char *sentence)
{
	struct pb_error err;
	size_t before = pb_quantizer_count();
	enum pb_status status = pb_quantizer_load(path, &err);
	if (status != expected)
		fail_msg("%s: status %d, expected %d: %s", path, (int)status, (int)expected, status ? err.text : "loaded");
	check_says(&err, path);
	check_says(&err, sentence);
	assert_int_equal(pb_quantizer_count(), before);
}

static const struct pb_quantizer *load(const char *part, const char *name)
{
	char *path = built(part);
	struct pb_error err;
	size_t before = pb_quantizer_count();
	if (pb_quantizer_load(path, &err) != PB_OK)
		fail_msg("%s", err.text);
	assert_int_equal(pb_quantizer_count(), before + 1);
	const struct pb_quantizer *q = pb_quantizer_find(name, NULL);
	assert_non_null(q);
	assert_ptr_equal(pb_quantizer_at(before), q);
	check_not_loaded(path, PB_USAGE, "is there already");
	pb_free(path);
	return q;
}

static void loading(void **state)
{
	(void)state;
	check_not_loaded("no/such/plugin.so", PB_MISSING, "no such file");
	check_not_loaded("tests/vectors/kbit/ORIGIN.txt", PB_FORMAT, "does not load");
	check_not_loaded("tests", PB_FORMAT, "does not load");
	char *path = built("tests/plugins/no_symbol.so");
	check_not_loaded(path, PB_FORMAT, "no symbol pb_plugin");
	pb_free(path);
	path = built("tests/plugins/wrong_symbol.so");
	check_not_loaded(path, PB_FORMAT, "pb_plugin has 4 bytes");
	pb_free(path);
	path = built("tests/plugins/old_abi.so");
	check_not_loaded(path, PB_UNSUPPORTED, "made for ABI 5, this program has ABI 6");
	pb_free(path);

	struct problem p = make_problem(1, 4, 9);
	const struct pb_quantizer *liar = load("tests/plugins/liar.so", "liar");
	struct pb_quantizer_use use = defaults_of(liar);
	struct pb_encoded *m = NULL;
	struct pb_error err;
	assert_int_equal(pb_quantizer_run(&use, &p.job, &m, &err), PB_FAILED);
	assert_string_equal(err.text, "the plugin planned 8 bytes and stored 144");
	pb_quantizer_use_free(&use);
	load("tests/plugins/crash.so", "crash");
	/* a path without a slash is one in this folder, and not a library of the system */
	char *folder = built("tests/plugins"), *here = getcwd(NULL, 0);
	assert_non_null(here);
	assert_int_equal(chdir(folder), 0);
	assert_int_equal(pb_quantizer_load("hang.so", &err), PB_OK);
	assert_int_equal(chdir(here), 0);
	assert_non_null(pb_quantizer_find("hang", NULL));
	free(here);
	pb_free(folder);
	load("tests/plugins/greedy.so", "greedy");
	assert_null(pb_quantizer_find("lair", &err));
	check_says(&err, "did you mean 'liar'?");
	free_problem(&p);
}

static void skeleton(void **state)
{
	(void)state;
	char *path = built("quantizers/skeleton.so");
	bool there = pb_file_exists(path);
	pb_free(path);
	if (!there)
		fail_msg("quantizers/skeleton.so is not built: make all");
	const struct pb_quantizer *q = load("quantizers/skeleton.so", "skeleton");
	struct problem p = make_problem(1, 5, 33);
	struct pb_quantizer_use use = defaults_of(q);
	struct pb_encoded *m = NULL;
	struct pb_error err;
	if (pb_quantizer_run(&use, &p.job, &m, &err) != PB_OK)
		fail_msg("skeleton: %s", err.text);
	pb_encoded_free(m);
	pb_quantizer_use_free(&use);
	free_problem(&p);
}

/* ---- every quantizer ---- */

/* A value of the option that its table allows: the ends, the default, or something between. */
static void draw_option(const struct pb_option *o, void *options, struct pb_rng *r)
{
	void *p = (char *)options + o->offset;
	double u = pb_rng_unit(r);
	switch (o->type) {
	case PB_OPTION_INT: {
		double span = o->high - o->low;
		double v = u < 0.1 ? o->low : u < 0.2 ? o->high : u < 0.5 ? o->default_number : o->low + floor(pow(span + 1, pb_rng_unit(r)) - 1);
		*(int64_t *)p = (int64_t)v;
		break;
	}
	case PB_OPTION_REAL:
		*(double *)p = u < 0.1 ? o->low : u < 0.2 ? o->high : u < 0.5 ? o->default_number : o->low + (o->high - o->low) * pb_rng_unit(r);
		break;
	case PB_OPTION_BOOL:
		*(bool *)p = u < 0.5;
		break;
	case PB_OPTION_CHOICE: {
		unsigned n = 0;
		while (o->choices[n])
			n++;
		*(int *)p = (int)pb_rng_below(r, n);
		break;
	}
	case PB_OPTION_TEXT:
		break;
	}
}

static char *label_of(const struct pb_quantizer_use *use, uint32_t rows, uint32_t cols)
{
	struct pb_text t = { 0 };
	pb_text_printf(&t, "%s:", use->quantizer->name);
	pb_options_label(use->quantizer->options, use->options, &t);
	pb_text_printf(&t, " %u x %u", rows, cols);
	return t.data;
}

/* Random options and shapes: what can be planned runs, costs what was planned (or no more), decodes to finite numbers
 * near the weights, and the same again from the same input. */
static void random_options(void **state)
{
	(void)state;
	for (size_t i = 0; i < pb_n_quantizers; i++) {
		const struct pb_quantizer *q = pb_quantizers[i];
		if (q->program)
			continue;
		struct pb_rng r = pb_rng_make(11, i);
		int ran = 0;
		for (int trial = 0; trial < 300 && ran < 120; trial++) {
			struct pb_quantizer_use use = defaults_of(q);
			for (const struct pb_option *o = q->options; o->name; o++)
				if (pb_rng_below(&r, 2))
					draw_option(o, use.options, &r);
			uint32_t rows = 1 + (uint32_t)pb_rng_below(&r, 20), cols = 1 + (uint32_t)pb_rng_below(&r, 150);
			struct problem p = make_problem(pb_rng_u64(&r), rows, cols);
			char *label = label_of(&use, rows, cols);
			uint64_t planned = 0;
			struct pb_error err;
			enum pb_status status = pb_quantizer_plan(&use, &p.job, &planned, &err);
			if (status == PB_OK) {
				struct pb_encoded *m = NULL, *again = NULL;
				if (pb_quantizer_run(&use, &p.job, &m, &err) != PB_OK)
					fail_msg("%s: %s", label, err.text);
				assert_int_equal(pb_quantizer_run(&use, &p.job, &again, &err), PB_OK);
				if (pb_quantizer_plan_is_bound(&use) ? pb_encoded_bytes(m) > planned : pb_encoded_bytes(m) != planned)
					fail_msg("%s: planned %zu, stored %zu", label, (size_t)planned, (size_t)pb_encoded_bytes(m));
				float *d = get_memory((size_t)rows * cols, sizeof *d), *e = get_memory((size_t)rows * cols, sizeof *e);
				pb_encoded_decode(m, 0, rows, d);
				pb_encoded_decode(again, 0, rows, e);
				assert_memory_equal(d, e, (size_t)rows * cols * sizeof *d);
				for (size_t k = 0; k < (size_t)rows * cols; k++)
					if (!isfinite(d[k]) || fabsf(d[k]) > 2)
						fail_msg("%s: weight %zu decodes to %g", label, k, (double)d[k]);
				free(d);
				free(e);
				pb_encoded_free(m);
				pb_encoded_free(again);
				ran++;
			} else if (status != PB_USAGE && status != PB_UNSUPPORTED) {
				fail_msg("%s: plan: status %d: %s", label, (int)status, err.text);
			}
			free(label);
			free_problem(&p);
			pb_quantizer_use_free(&use);
		}
		if (ran < 30)
			fail_msg("%s: only %d random settings could run", q->name, ran);
	}
}

/* Not finite, constant, huge and tiny weights, and matrices of one row, one column and one number: a result or a clean error. */
static void odd_weights(void **state)
{
	(void)state;
	static const uint32_t shapes[][2] = { { 1, 1 }, { 1, 64 }, { 64, 1 }, { 3, 65 } };
	static const float fills[] = { 0, -0.0f, 1, -1e30f, 1e-30f, 1e-42f, 65504, 3.4e38f };
	for (size_t i = 0; i < pb_n_quantizers; i++)
		for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
			struct pb_quantizer_use use = defaults_of(pb_quantizers[i]);
			struct problem p = make_problem(5, shapes[s][0], shapes[s][1]);
			size_t n = (size_t)shapes[s][0] * shapes[s][1];
			struct pb_encoded *m = NULL;
			struct pb_error err;
			float *d = get_memory(n, sizeof *d);
			for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
				for (size_t k = 0; k < n; k++)
					p.weights[k] = k % 3 == 2 ? -fills[f] : fills[f];
				enum pb_status status = pb_quantizer_run(&use, &p.job, &m, &err);
				if (status == PB_OK) {
					pb_encoded_decode(m, 0, p.job.rows, d);
					for (size_t k = 0; fills[f] == 0 && k < n; k++)
						assert_true(fabsf(d[k]) <= (pb_quantizers[i]->qat ? 1e-5f : 0)); /* the least scale; 2 bits have no level 0 */
					pb_encoded_free(m);
				} else if (!*err.text || (status != PB_NUMERIC && status != PB_UNSUPPORTED && status != PB_USAGE)) {
					fail_msg("%s: %u x %u of %g: status %d: %s", pb_quantizers[i]->name, p.job.rows, p.job.cols, (double)fills[f],
						(int)status, err.text);
				}
			}
			static const float not_finite[] = { NAN, INFINITY, -INFINITY };
			for (size_t f = 0; f < 3; f++) {
				p.weights[n - 1] = not_finite[f];
				if (pb_quantizer_plan(&use, &p.job, &(uint64_t){ 0 }, NULL) == PB_OK) {
					assert_int_equal(pb_quantizer_run(&use, &p.job, &m, &err), PB_NUMERIC);
					check_says(&err, "1 of ");
					check_says(&err, "weights are not finite");
				}
			}
			free(d);
			free_problem(&p);
			pb_quantizer_use_free(&use);
		}
}

enum { MATRICES = 6 };
struct parallel {
	struct pb_quantizer_use use;
	struct problem problems[MATRICES];
	struct pb_encoded *results[MATRICES];
};

static void quantize_task(void *arg, size_t task, unsigned worker)
{
	(void)worker;
	struct parallel *p = arg;
	if (pb_quantizer_run(&p->use, &p->problems[task].job, &p->results[task], NULL) != PB_OK)
		p->results[task] = NULL;
}

/* Between matrices and inside of them. */
static void threads(void **state)
{
	(void)state;
	struct pb_pool *pool;
	assert_int_equal(pb_pool_new(&pool, 3, NULL), PB_OK);
	for (size_t i = 0; i < pb_n_quantizers; i++) {
		if (pb_quantizers[i]->program)
			continue;
		struct parallel serial = { .use = defaults_of(pb_quantizers[i]) }, parallel;
		for (unsigned k = 0; k < MATRICES; k++)
			serial.problems[k] = make_problem(100 + k, 130 + k, 64);
		parallel = serial;
		for (unsigned k = 0; k < MATRICES; k++)
			parallel.problems[k].job.pool = pool;
		pb_pool_run(NULL, MATRICES, quantize_task, &serial);
		pb_pool_run(pool, MATRICES, quantize_task, &parallel);
		for (unsigned k = 0; k < MATRICES; k++) {
			struct pb_part a[PB_MAX_PARTS], b[PB_MAX_PARTS];
			assert_non_null(serial.results[k]);
			assert_non_null(parallel.results[k]);
			unsigned n = pb_encoded_parts(serial.results[k], a);
			assert_int_equal(pb_encoded_parts(parallel.results[k], b), n);
			for (unsigned j = 0; j < n; j++) {
				assert_int_equal(a[j].tensor.bytes, b[j].tensor.bytes);
				assert_memory_equal(a[j].tensor.data, b[j].tensor.data, a[j].tensor.bytes);
			}
			pb_encoded_free(serial.results[k]);
			pb_encoded_free(parallel.results[k]);
			free_problem(&serial.problems[k]);
		}
		pb_quantizer_use_free(&serial.use);
	}
	pb_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_out),
		cmocka_unit_test(registry),
		cmocka_unit_test(checks_of_a_plugin),
		cmocka_unit_test(rules_of_training),
		cmocka_unit_test(rules_of_a_run),
		cmocka_unit_test(uses_by_text),
		cmocka_unit_test(random_options),
		cmocka_unit_test(odd_weights),
		cmocka_unit_test(threads),
		cmocka_unit_test(loading),
		cmocka_unit_test(skeleton),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
