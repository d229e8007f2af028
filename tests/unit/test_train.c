/* Training: against torch, to the same bits in every way that a run can be cut, and what it refuses. */
#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/rng.h"
#include "core/model/safetensors.h"
#include "backends/backend.h"
#include "backends/train/optimizer.h"
#include "backends/train/train.h"
#include "tests/unit/scratch.h"
#include "tests/unit/expect.h"
#include "tests/unit/mixed_model.h"
#include "tests/unit/train_hooks.h"

static struct pb_recipe tiny_recipe(const char *text)
{
	struct pb_recipe r;

	pb_options_default(pb_recipe_options, &r);
	OK(pb_options_parse(pb_recipe_options, &r, "recipe", "steps=20,sequences=2,length=16,micro_batches=2,warmup=4,learning_rate=0.01,final_share=0.1", ERR));
	OK(pb_options_parse(pb_recipe_options, &r, "recipe", text, ERR));
	return r;
}

static struct pb_trainer *open_trainer(const struct pb_config *c, const char *recipe, struct pb_pool *pool)
{
	struct pb_recipe r = tiny_recipe(recipe);
	struct pb_trainer *t = NULL;

	OK(pb_trainer_open(&t, c, &r, NULL, pool, ERR));
	return t;
}

/* Text with something to learn: a token is mostly a function of the one before. */
static int32_t *make_tokens(size_t n, uint32_t n_vocab)
{
	int32_t *tokens = malloc(n * sizeof *tokens);
	struct pb_rng rng = pb_rng_make(9, 9);

	assert_non_null(tokens);
	for (size_t i = 0; i < n; i++)
		tokens[i] = (int32_t)(i && pb_rng_below(&rng, 8) ? ((uint32_t)tokens[i - 1] * 5 + 3) % n_vocab : pb_rng_below(&rng, n_vocab));
	return tokens;
}

static void run_steps(struct pb_trainer *t, struct pb_batches *data, int n, struct pb_step *last)
{
	for (int i = 0; i < n; i++)
		OK(pb_trainer_advance(t, data, last, ERR));
}

static size_t weight_bytes(struct pb_trainer *t)
{
	return pb_trainer_network(t)->layout.total * sizeof(float);
}

/* ---- torch ---- */

static void test_torch(void **state)
{
	struct pb_config c = mixed_config();
	struct pb_trainer *t = open_trainer(&c, "", NULL);
	int32_t inputs[MIXED_TOKENS], targets[MIXED_TOKENS];
	FILE *f = fopen("tests/vectors/train/adamw20.txt", "r");
	char line[256];
	unsigned lines = 0;

	(void)state;
	if (!f)
		fail_msg("tests/vectors/train/adamw20.txt: not there; run from the repository's root");
	mixed_fill(pb_trainer_network(t));
	mixed_tokens(inputs, targets);
	while (fgets(line, sizeof line, f)) {
		double loss, norm, rate;
		unsigned long step;
		struct pb_step s;

		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%lu %lf %lf %lf", &step, &loss, &norm, &rate), 4);
		OK(pb_trainer_step(t, inputs, targets, &s, ERR));
		assert_true(s.step == step && s.tokens == 64);
		assert_true(fabs(s.learning_rate - rate) < 1e-8);
		if (!(fabs(s.loss - loss) < 1e-4) || !(fabs(s.gradient_norm - norm) < 1e-3))
			fail_msg("step %lu: loss %.8f, norm %.8f; torch has %.8f, %.8f", step, s.loss, s.gradient_norm, loss, norm);
		lines++;
	}
	fclose(f);
	assert_int_equal(lines, 20);
	pb_trainer_close(t);
}

/* ---- the same bits ---- */

/* 200 steps at once, and 100, a checkpoint, 100 by another trainer. */
static void check_resume(const char *recipe)
{
	struct pb_config c = mixed_config();
	struct pb_trainer *one = open_trainer(&c, recipe, NULL), *two = open_trainer(&c, recipe, NULL), *three = open_trainer(&c, recipe, NULL);
	int32_t *tokens = make_tokens(700, c.n_vocab);
	struct pb_batches data, other;
	struct pb_step s, s3;

	OK(pb_batches_open(&data, "text", tokens, 700, c.n_vocab, 16, 1, ERR));
	OK(pb_batches_open(&other, "text", tokens, 700, c.n_vocab, 16, 1, ERR));
	pb_trainer_start(one);
	pb_trainer_start(two);
	run_steps(one, &data, 200, &s);
	run_steps(two, &data, 100, &s3);
	OK(pb_trainer_save(two, scratch_path("checkpoint"), NULL, ERR));
	pb_trainer_close(two);
	OK(pb_trainer_resume(three, scratch_path("checkpoint"), NULL, ERR));
	assert_int_equal(pb_trainer_steps(three), 100);
	run_steps(three, &other, 100, &s3);
	assert_true(s.loss == s3.loss && s.step == 200 && s3.step == 200);
	assert_memory_equal(pb_trainer_network(one)->parameters, pb_trainer_network(three)->parameters, weight_bytes(one));
	OK(pb_trainer_save(one, scratch_path("one"), NULL, ERR));
	OK(pb_trainer_save(three, scratch_path("three"), NULL, ERR));

	char *a, *b;
	size_t a_size, b_size;

	OK(pb_file_read(scratch_path("one"), 1 << 24, &a, &a_size, ERR));
	OK(pb_file_read(scratch_path("three"), 1 << 24, &b, &b_size, ERR));
	assert_true(a_size == b_size);
	assert_memory_equal(a, b, a_size);
	free(a);
	free(b);
	pb_batches_close(&data);
	pb_batches_close(&other);
	pb_trainer_close(one);
	pb_trainer_close(three);
	free(tokens);
}

static void test_resume(void **state)
{
	(void)state;
	check_resume("steps=200");
	check_resume("steps=200,states=8bit,master=bf16,micro_batches=1,schedule=linear");
}

static void test_threads(void **state)
{
	struct pb_config c = mixed_config();
	float *first = NULL;
	int32_t *tokens = make_tokens(700, c.n_vocab);

	(void)state;
	c.dim = 40;
	c.hidden = 100;
	c.tied_head = true;
	for (unsigned threads = 1; threads <= 3; threads++) {
		struct pb_batches data;
		struct pb_pool *pool;
		struct pb_step s;

		OK(pb_pool_new(&pool, threads, ERR));
		OK(pb_batches_open(&data, "text", tokens, 700, c.n_vocab, 40, 1, ERR));

		struct pb_trainer *t = open_trainer(&c, threads == 3 ? "length=40,sequences=5,recompute=true" : "length=40,sequences=5", pool);

		pb_trainer_start(t);
		run_steps(t, &data, 10, &s);
		if (!first) {
			first = malloc(weight_bytes(t));
			assert_non_null(first);
			memcpy(first, pb_trainer_network(t)->parameters, weight_bytes(t));
		}
		assert_memory_equal(first, pb_trainer_network(t)->parameters, weight_bytes(t));
		pb_trainer_close(t);
		pb_batches_close(&data);
		pb_pool_free(pool);
	}
	free(first);
	free(tokens);
}

static void test_no_growth(void **state)
{
	struct pb_config c = mixed_config();
	struct pb_trainer *t = open_trainer(&c, "", NULL);
	int32_t *tokens = make_tokens(700, c.n_vocab);
	struct pb_batches data;
	struct pb_step s;
	size_t before;

	(void)state;
	OK(pb_batches_open(&data, "text", tokens, 700, c.n_vocab, 16, 1, ERR));
	pb_trainer_start(t);
	run_steps(t, &data, 2, &s);
	before = mallinfo2().uordblks;
	run_steps(t, &data, 30, &s);
	assert_true(mallinfo2().uordblks == before);
	pb_batches_close(&data);
	pb_trainer_close(t);
	free(tokens);
}

/* ---- the folder, and the reference backend ---- */

static double reference_loss(const char *folder, const int32_t *tokens, uint32_t n)
{
	const struct pb_backend *b = pb_backend_find("reference", NULL);
	struct pb_session *session;
	struct pb_model *model;
	float logprobs[64];
	struct pb_request request = { .tokens = tokens, .n = n, .first = 1, .logprobs = logprobs };
	char options[256] = { 0 };
	double sum = 0;

	assert_true(b && n <= 64 && b->options_size <= sizeof options);
	OK(pb_model_open(&model, folder, ERR));
	pb_options_default(b->options, options);
	OK(b->open(&session, model, options, NULL, ERR));
	OK(b->score(session, &request, 1, NULL, NULL, ERR));
	b->close(session);
	pb_model_close(model);
	for (uint32_t i = 0; i + 1 < n; i++)
		sum -= logprobs[i];
	return sum / (n - 1);
}

static void check_folder(bool interleaved, bool tied, enum pb_rope_scaling scaling, enum pb_dtype dtype, double most)
{
	struct pb_config c = mixed_config();
	int32_t *tokens = make_tokens(700, c.n_vocab);
	struct pb_batches data;
	struct pb_step s;
	double here, there;

	c.rope_interleaved = interleaved;
	c.tied_head = tied;
	c.rope_scaling = scaling;
	c.rope_factor = 2;
	c.rope_low = 1;
	c.rope_high = 4;
	c.rope_original_context = 32;

	struct pb_trainer *t = open_trainer(&c, "sequences=1,length=48,micro_batches=1,init=0.2", NULL);
	struct pb_network_f32 *net = pb_trainer_network(t);

	OK(pb_batches_open(&data, "text", tokens, 700, c.n_vocab, 48, 1, ERR));
	pb_trainer_start(t);
	run_steps(t, &data, 10, &s);
	OK(pb_network_write_folder(net, net->parameters, scratch_path("folder"), dtype, ERR));
	here = pb_network_run_f32(net, tokens, tokens + 1, 1.0 / 48, false, NULL);
	there = reference_loss(scratch_path("folder"), tokens, 49);
	if (!(fabs(here - there) < most))
		fail_msg("loss %.9f here, %.9f by the reference", here, there);

	/* A model of the folder starts from the same loss. */
	if (!interleaved && dtype == PB_F32) {
		struct pb_trainer *again = open_trainer(&c, "sequences=1,length=48,micro_batches=1", NULL);
		struct pb_model *model;

		OK(pb_model_open(&model, scratch_path("folder"), ERR));
		assert_true(model->parameters == net->layout.count);
		OK(pb_trainer_take_model(again, model, ERR));
		assert_memory_equal(net->parameters, pb_trainer_network(again)->parameters, weight_bytes(t));
		pb_model_close(model);
		pb_trainer_close(again);
	}
	pb_batches_close(&data);
	pb_trainer_close(t);
	free(tokens);
}

static void test_folder(void **state)
{
	(void)state;
	check_folder(false, false, PB_ROPE_PLAIN, PB_F32, 2e-6);
	check_folder(true, true, PB_ROPE_LINEAR, PB_F32, 2e-6);
	check_folder(false, true, PB_ROPE_LLAMA3, PB_F32, 2e-6);
	check_folder(false, false, PB_ROPE_PLAIN, PB_BF16, 2e-2);
}

/* ---- optimizer, schedules ---- */

static void test_optimizer(void **state)
{
	struct pb_config c = mixed_config();
	struct pb_layout layout;
	struct pb_optimizer *o;
	struct pb_adam adam = { .rate = 0.01, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .decay = 0.1, .gradient_scale = 0.5, .step = 1 };

	(void)state;
	OK(pb_layout_make(&layout, &c, NULL, NULL, ERR));
	for (int eight = 0; eight < 2; eight++) {
		float *p = calloc(layout.total, sizeof *p), *g = calloc(layout.total, sizeof *g);
		double squares = 0;

		OK(pb_optimizer_open(&o, &layout, eight == 1, NULL, ERR));
		for (uint32_t i = 0; i < layout.n; i++) {
			for (size_t k = layout.parameters[i].first; k < layout.parameters[i].first + layout.parameters[i].n; k++) {
				p[k] = 1;
				g[k] = k % 3 ? 0.25f : -0.5f;
				squares += (double)g[k] * (double)g[k];
			}
		}
		assert_true(fabs(pb_optimizer_norm(o, g) - sqrt(squares)) < 1e-9);
		pb_optimizer_update(o, &adam, p, g);
		/* The first step is rate times the sign of the gradient, decay aside. */
		for (uint32_t i = 0; i < layout.n; i++) {
			const struct pb_parameter *q = &layout.parameters[i];
			double keep = q->kind == PB_PARAMETER_NORM ? 1 : 1 - 0.01 * 0.1;

			for (size_t k = q->first; k < q->first + q->n; k++)
				assert_true(fabs((double)p[k] - (keep - (g[k] > 0 ? 0.01 : -0.01))) < 1e-6);
		}
		pb_optimizer_close(o);
		free(p);
		free(g);
	}
	pb_layout_free(&layout);
}

static void test_schedules(void **state)
{
	struct pb_recipe r = tiny_recipe("steps=110,warmup=10,learning_rate=2,final_share=0.25");

	(void)state;
	assert_true(fabs(pb_recipe_rate(&r, 0) - 0.2) < 1e-15 && pb_recipe_rate(&r, 9) == 2 && pb_recipe_rate(&r, 10) == 2);
	assert_true(fabs(pb_recipe_rate(&r, 60) - 2 * (0.25 + 0.75 * 0.5)) < 1e-15 && fabs(pb_recipe_rate(&r, 110) - 0.5) < 1e-15);
	assert_true(fabs(pb_recipe_rate(&r, 35) - 2 * (0.25 + 0.75 * 0.5 * (1 + sqrt(0.5)))) < 1e-12);
	r.schedule = PB_SCHEDULE_LINEAR;
	assert_true(fabs(pb_recipe_rate(&r, 35) - 2 * (0.25 + 0.75 * 0.75)) < 1e-15);
	r.schedule = PB_SCHEDULE_CONSTANT;
	assert_true(pb_recipe_rate(&r, 35) == 2 && pb_recipe_rate(&r, 109) == 2);
	r.warmup = 0;
	assert_true(pb_recipe_rate(&r, 0) == 2);
}

/* Clipping makes the gradient that the optimizer sees as long as the recipe says: a tiny limit, against which epsilon is
 * large, makes tiny steps. */
static void test_clipping(void **state)
{
	struct pb_config c = mixed_config();
	int32_t *tokens = make_tokens(700, c.n_vocab);
	struct pb_batches data;
	double moved[2];

	(void)state;
	OK(pb_batches_open(&data, "text", tokens, 700, c.n_vocab, 16, 1, ERR));
	for (int i = 0; i < 2; i++) {
		struct pb_trainer *t = open_trainer(&c, i ? "clip=1e-3,epsilon=1,weight_decay=0" : "clip=0,epsilon=1,weight_decay=0", NULL);
		struct pb_network_f32 *net = pb_trainer_network(t);
		float *before = malloc(weight_bytes(t));
		struct pb_step s;

		pb_trainer_start(t);
		memcpy(before, net->parameters, weight_bytes(t));
		run_steps(t, &data, 1, &s);
		moved[i] = 0;
		for (size_t k = 0; k < net->layout.total; k++)
			moved[i] += pow((double)net->parameters[k] - (double)before[k], 2);
		/* m / (1 - beta1) is the gradient; the root of v is small against 1 */
		if (i)
			assert_true(fabs(sqrt(moved[1]) / (s.learning_rate * 1e-3) - 1) < 0.01);
		else
			assert_true(s.gradient_norm > 0.1 && sqrt(moved[0]) > 10 * s.learning_rate * 1e-3);
		free(before);
		pb_trainer_close(t);
	}
	pb_batches_close(&data);
	free(tokens);
}

static double final_loss(const char *recipe)
{
	struct pb_config c = mixed_config();
	struct pb_trainer *t = open_trainer(&c, recipe, NULL);
	int32_t *tokens = make_tokens(700, c.n_vocab);
	struct pb_batches data;
	struct pb_step s;
	double sum = 0;

	OK(pb_batches_open(&data, "text", tokens, 700, c.n_vocab, 16, 1, ERR));
	pb_trainer_start(t);
	run_steps(t, &data, 140, &s);
	for (int i = 0; i < 10; i++) {
		run_steps(t, &data, 1, &s);
		sum += s.loss / 10;
	}
	if (strstr(recipe, "bf16"))
		for (size_t i = 0; i < pb_trainer_network(t)->layout.total; i++) {
			float p = pb_trainer_network(t)->parameters[i];

			assert_true(p == pb_bf16_to_f32(pb_f32_to_bf16(p)));
		}
	pb_batches_close(&data);
	pb_trainer_close(t);
	free(tokens);
	return sum;
}

static void test_states_and_masters(void **state)
{
	double f32 = final_loss("steps=150,sequences=8"), eight = final_loss("steps=150,sequences=8,states=8bit"), bf16 = final_loss("steps=150,sequences=8,master=bf16");

	(void)state;
	if (!(f32 < 2.5 && fabs(eight - f32) < 0.05 * f32 && fabs(bf16 - f32) < 0.1 * f32))
		fail_msg("losses %.4f with f32, %.4f with 8-bit states, %.4f with bf16 weights", f32, eight, bf16);
}

/* ---- hooks ---- */

struct counter {
	struct pb_network_f32 *net;
	unsigned calls;
};

static void count_call(void *arg, const int32_t *tokens)
{
	struct counter *c = arg;

	assert_true(tokens[0] >= 0);
	c->calls++;
}

static double nothing(void *arg, uint32_t first, uint32_t n, const float *logits, float *d)
{
	const struct counter *c = arg;

	assert_true(logits && d && first + n <= c->net->n);
	return 0.25;
}

static void test_hooks(void **state)
{
	struct pb_config c = mixed_config();
	struct pb_recipe r = tiny_recipe("steps=60,sequences=8");
	struct pb_trainer *t = NULL;
	int32_t *tokens = make_tokens(700, c.n_vocab);
	struct pb_batches data;
	struct pb_step first, s;

	(void)state;
	OK(pb_batches_open(&data, "text", tokens, 700, c.n_vocab, 16, 1, ERR));
	OK(pb_trainer_open(&t, &c, &r, &pb_bending_f32, NULL, ERR));
	pb_trainer_start(t);

	struct counter counter = { pb_trainer_network(t), 0 };
	struct pb_extra_loss_f32 extra = { .arg = &counter, .target_weight = 1, .logits = nothing };
	struct pb_extra_loss_f32 real_extra = { .arg = pb_trainer_network(t), .target_weight = 1, .logits = pb_pull_logits_f32, .state = pb_pull_state_f32 };
	const struct pb_parameter *transform = &pb_trainer_network(t)->layout.parameters[pb_trainer_network(t)->layout.transforms];
	float scale = pb_trainer_network(t)->parameters[transform->first];

	assert_true(transform->kind == PB_PARAMETER_TRANSFORM && transform->n == 32);
	run_steps(t, &data, 1, &first);
	pb_trainer_add_loss(t, &extra, count_call);
	run_steps(t, &data, 2, &s);
	assert_int_equal(counter.calls, 4);
	assert_true(s.loss > first.loss);
	pb_trainer_add_loss(t, &real_extra, NULL);
	run_steps(t, &data, 1, &s);
	pb_trainer_add_loss(t, NULL, NULL);
	run_steps(t, &data, 50, &s);
	assert_true(s.loss < first.loss - 1);
	assert_true(pb_trainer_network(t)->parameters[transform->first] != scale);
	pb_batches_close(&data);
	pb_trainer_close(t);
	free(tokens);
}

static void test_fisher(void **state)
{
	struct pb_config c = mixed_config();
	struct pb_network_f32 *net;
	int32_t *tokens = make_tokens(100, c.n_vocab);
	float *sums, *expected;
	double loss = 0;

	(void)state;
	OK(pb_network_open_f32(&net, &c, 1, 16, false, NULL, NULL, ERR));
	sums = calloc(net->layout.total, sizeof *sums);
	expected = calloc(net->layout.total, sizeof *expected);
	for (size_t i = 0; i < net->layout.total; i++)
		net->parameters[i] = 0.1f + 0.2f * sinf((float)i);
	for (int sample = 0; sample < 3; sample++) {
		pb_network_clear_f32(net);
		pb_network_run_f32(net, tokens + 20 * sample, tokens + 20 * sample + 1, 1.0 / 16, true, NULL);
		for (size_t i = 0; i < net->layout.total; i++)
			expected[i] += net->gradient[i] * net->gradient[i];
		loss += pb_fisher_add(net, tokens + 20 * sample, tokens + 20 * sample + 1, sums);
	}
	assert_true(loss > 3);
	assert_memory_equal(sums, expected, net->layout.total * sizeof *sums);
	assert_true(sums[net->layout.parameters[pb_layout_matrix(1, PB_UP)].first] > 0);
	pb_network_close_f32(net);
	free(sums);
	free(expected);
	free(tokens);
}

/* ---- data ---- */

static void test_batches(void **state)
{
	int32_t tokens[103], inputs[20 * 10], targets[20 * 10], again[10], again_targets[10];
	struct pb_batches b;
	struct pb_error err;
	unsigned seen[2] = { 0 };

	(void)state;
	for (int i = 0; i < 103; i++)
		tokens[i] = i;
	OK(pb_batches_open(&b, "text", tokens, 103, 103, 10, 4, ERR));
	pb_batches_take(&b, 0, 20, inputs, targets);
	for (int w = 0; w < 20; w++) {
		assert_true(inputs[10 * w] % 10 == 0);
		seen[w / 10] |= 1u << inputs[10 * w] / 10;
		for (int i = 0; i < 10; i++)
			assert_true(inputs[10 * w + i] == inputs[10 * w] + i && targets[10 * w + i] == inputs[10 * w + i] + 1);
	}
	assert_true(seen[0] == 0x3ff && seen[1] == 0x3ff);
	assert_memory_not_equal(inputs, inputs + 100, 100 * sizeof *inputs);
	pb_batches_take(&b, 3, 1, again, again_targets);
	assert_memory_equal(again, inputs + 30, sizeof again);
	pb_batches_close(&b);

	assert_int_equal(pb_batches_open(&b, "text", tokens, 10, 103, 10, 4, &err), PB_USAGE);
	assert_string_equal(err.text, "text: 10 tokens are too few: sequences of 10 need at least 11");
	assert_int_equal(pb_batches_open(&b, "text", tokens, 0, 103, 10, 4, &err), PB_USAGE);
	assert_int_equal(pb_batches_open(&b, "text", tokens, 103, 64, 10, 4, &err), PB_USAGE);
	assert_string_equal(err.text, "text: token 64 is 64, outside of the model's vocabulary of 64");
}

/* ---- what is refused ---- */

static void test_bad_recipes(void **state)
{
	static const struct { const char *text, *why; } bad[] = {
		{ "learning_rate=1e9", "learning_rate" }, { "steps=0", "steps" }, { "length=0", "length" }, { "schedule=step", "schedule" },
		{ "stpes=3", "steps" }, { "beta2=1", "beta2" },
	}, together[] = {
		{ "learning_rate=0", "recipe: learning_rate: not above 0" }, { "warmup=21", "recipe: warmup: 21 updates are more than the 20 steps" },
		{ "sequences=65536,length=65536", "recipe: sequences, length: 65536 times 65536 tokens" }, { "micro_batches=65536,sequences=2048", "recipe: micro_batches" },
	};
	struct pb_config c = mixed_config();
	struct pb_trainer *t = NULL;
	struct pb_error err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct pb_recipe r = tiny_recipe("");

		assert_int_equal(pb_options_parse(pb_recipe_options, &r, "recipe", bad[i].text, &err), PB_USAGE);
		assert_non_null(strstr(err.text, bad[i].why));
	}
	for (size_t i = 0; i < sizeof together / sizeof *together; i++) {
		struct pb_recipe r = tiny_recipe(together[i].text);

		assert_int_equal(pb_trainer_open(&t, &c, &r, NULL, NULL, &err), PB_USAGE);
		assert_ptr_equal(strstr(err.text, together[i].why), err.text);
	}
	OK(pb_options_check(pb_recipe_options, "recipe", ERR));
}

static void test_diverged(void **state)
{
	struct pb_config c = mixed_config();
	struct pb_trainer *t = open_trainer(&c, "", NULL);
	struct pb_network_f32 *net = pb_trainer_network(t);
	int32_t *tokens = make_tokens(700, c.n_vocab);
	float *before = malloc(weight_bytes(t));
	struct pb_batches data, other;
	struct pb_step s;
	struct pb_error err;

	(void)state;
	OK(pb_batches_open(&data, "text", tokens, 700, c.n_vocab, 16, 1, ERR));
	OK(pb_batches_open(&other, "text", tokens, 700, c.n_vocab, 8, 1, ERR));
	pb_trainer_start(t);
	run_steps(t, &data, 2, &s);
	net->parameters[net->layout.parameters[net->layout.head].first + 3] = NAN;
	memcpy(before, net->parameters, weight_bytes(t));
	assert_int_equal(pb_trainer_advance(t, &data, &s, &err), PB_NUMERIC);
	assert_string_equal(err.text, "training: step 3: diverged: the loss is not finite");
	assert_memory_equal(before, net->parameters, weight_bytes(t));
	assert_int_equal(pb_trainer_steps(t), 2);
	for (size_t i = 0; i < net->layout.parameters[net->layout.head].n; i++)
		net->parameters[net->layout.parameters[net->layout.head].first + i] = i % 2 ? 1000 : -1000.0f * (float)(i % 5);
	assert_int_equal(pb_trainer_advance(t, &data, &s, &err), PB_NUMERIC);
	assert_non_null(strstr(err.text, "over ten times that of guessing"));
	assert_int_equal(pb_trainer_advance(t, &other, &s, &err), PB_USAGE);
	pb_batches_close(&data);
	pb_batches_close(&other);
	pb_trainer_close(t);
	free(before);
	free(tokens);
}

/* A rate that is far too high ends with a line, whatever the numbers do. */
static void test_rate_too_high(void **state)
{
	struct pb_config c = mixed_config();
	struct pb_trainer *t = open_trainer(&c, "steps=1000,learning_rate=10,warmup=0,clip=0", NULL);
	int32_t *tokens = make_tokens(700, c.n_vocab);
	struct pb_batches data;
	struct pb_step s;
	struct pb_error err = { 0 };
	enum pb_status st = PB_OK;

	(void)state;
	OK(pb_batches_open(&data, "text", tokens, 700, c.n_vocab, 16, 1, ERR));
	pb_trainer_start(t);
	for (int i = 0; i < 20 && !st; i++)
		st = pb_trainer_advance(t, &data, &s, &err);
	assert_int_equal(st, PB_NUMERIC);
	assert_non_null(strstr(err.text, "diverged"));
	pb_batches_close(&data);
	pb_trainer_close(t);
	free(tokens);
}

static void test_bad_steps(void **state)
{
	struct pb_config c = mixed_config();
	struct pb_trainer *t = open_trainer(&c, "", NULL);
	int32_t inputs[64] = { 0 }, targets[64] = { 0 };
	struct pb_step s;
	struct pb_error err;

	(void)state;
	pb_trainer_start(t);
	inputs[5] = 64;
	assert_int_equal(pb_trainer_step(t, inputs, targets, &s, &err), PB_USAGE);
	assert_string_equal(err.text, "training: step 1: token 64 or its target 0 is outside of the vocabulary of 64");
	inputs[5] = 0;
	for (int i = 0; i < 64; i++)
		targets[i] = -1;
	assert_int_equal(pb_trainer_step(t, inputs, targets, &s, &err), PB_USAGE);
	assert_string_equal(err.text, "training: step 1: no token has a target");
	targets[63] = 1;
	OK(pb_trainer_step(t, inputs, targets, &s, ERR));
	pb_trainer_close(t);
}

static void test_bad_checkpoints(void **state)
{
	struct pb_config c = mixed_config();
	struct pb_trainer *t = open_trainer(&c, "", NULL), *other = open_trainer(&c, "learning_rate=0.02", NULL), *eight = open_trainer(&c, "recompute=true", NULL);
	float values[4] = { 0 };
	struct pb_named_tensor tensor = { "parameters", { .dtype = PB_F32, .n_dims = 1, .shape = { 4 }, .data = values, .bytes = sizeof values } };
	struct pb_error err;

	(void)state;
	pb_trainer_start(t);
	OK(pb_trainer_save(t, scratch_path("checkpoint"), NULL, ERR));
	assert_int_equal(pb_trainer_resume(other, scratch_path("checkpoint"), NULL, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "not resumed: the recipe of the checkpoint is not the one given"));
	OK(pb_trainer_resume(eight, scratch_path("checkpoint"), NULL, ERR));
	c.rope_interleaved = true;
	pb_trainer_close(other);
	other = open_trainer(&c, "", NULL);
	assert_int_equal(pb_trainer_resume(other, scratch_path("checkpoint"), NULL, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "the config of the checkpoint"));
	OK(pb_safetensors_write(scratch_path("no checkpoint"), &tensor, 1, NULL, ERR));
	assert_int_equal(pb_trainer_resume(t, scratch_path("no checkpoint"), NULL, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "not a checkpoint of a training run"));
	assert_int_equal(pb_trainer_resume(t, scratch_path("nothing"), NULL, &err), PB_MISSING);
	assert_int_equal(pb_network_write_folder(pb_trainer_network(t), pb_trainer_network(t)->parameters, scratch_path("f"), PB_I8, &err), PB_USAGE);
	pb_trainer_close(t);
	pb_trainer_close(other);
	pb_trainer_close(eight);
}

static int remove_scratch(void **state)
{
	(void)state;
	scratch_remove();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_torch),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_no_growth),
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_optimizer),
		cmocka_unit_test(test_schedules),
		cmocka_unit_test(test_clipping),
		cmocka_unit_test(test_states_and_masters),
		cmocka_unit_test(test_hooks),
		cmocka_unit_test(test_fisher),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_bad_recipes),
		cmocka_unit_test(test_diverged),
		cmocka_unit_test(test_rate_too_high),
		cmocka_unit_test(test_bad_steps),
		cmocka_unit_test(test_bad_checkpoints),
	};

	return cmocka_run_group_tests(tests, NULL, remove_scratch);
}
