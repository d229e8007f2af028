/* Distillation: the two forms of its losses written out in double, their gradients against differences, and what is frozen. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "backends/train/distill.h"
#include "backends/train/trainer.h"
#include "core/base/rng.h"
#include "tests/unit/qat.h"

#define SEQUENCES 2
#define LENGTH 8
#define TOKENS (SEQUENCES * LENGTH)
#define MICRO 2

struct lesson {
	struct pb_model *model;
	struct pb_trainer *trainer;
	struct pb_distiller *distiller;
	struct pb_network_f32 *teacher; /* another one, for the expected numbers */
	float *logits;                  /* (TOKENS, n_vocab), of the teacher */
};

static struct lesson open_lesson(enum pb_distillation_form form, double logits, double states)
{
	struct lesson l = { .model = mixed_model() };
	struct pb_distillation d = { .form = form, .targets = 0.5, .logits = logits, .states = states };
	struct pb_recipe r;
	int32_t inputs[MIXED_TOKENS], targets[MIXED_TOKENS];

	pb_options_default(pb_recipe_options, &r);
	r.sequences = SEQUENCES;
	r.length = LENGTH;
	r.micro_batches = MICRO;
	OK(pb_trainer_open(&l.trainer, &l.model->config, &r, NULL, NULL, ERR));
	pb_trainer_start(l.trainer);
	OK(pb_distiller_open(&l.distiller, &d, l.model, l.trainer, ERR));
	OK(pb_network_open_f32(&l.teacher, &l.model->config, SEQUENCES, LENGTH, false, NULL, NULL, ERR));
	OK(pb_network_take_model(l.teacher, l.model, ERR));
	mixed_tokens(inputs, targets);
	pb_network_prepare_f32(l.teacher);
	pb_network_run_f32(l.teacher, inputs, targets, 1, false, NULL);
	l.logits = malloc(TOKENS * 64 * sizeof *l.logits);
	assert_non_null(l.logits);
	pb_network_logits_f32(l.teacher, 0, TOKENS, l.logits);
	l.trainer->before(l.trainer->extra->arg, inputs);
	return l;
}

static void close_lesson(struct lesson *l)
{
	pb_trainer_close(l->trainer);
	pb_distiller_close(l->distiller);
	pb_network_close_f32(l->teacher);
	pb_model_close(l->model);
	free(l->logits);
}

static double log_sum(const float *x, int n)
{
	double most = -INFINITY, sum = 0;

	for (int i = 0; i < n; i++)
		most = fmax(most, x[i]);
	for (int i = 0; i < n; i++)
		sum += exp(x[i] - most);
	return most + log(sum);
}

static double expected_logits(enum pb_distillation_form form, const float *teacher, const float *student, int tokens)
{
	double sum = 0;

	for (int t = 0; t < tokens; t++) {
		const float *p = teacher + t * 64, *q = student + t * 64;
		double p_log = log_sum(p, 64), q_log = log_sum(q, 64);

		for (int i = 0; i < 64; i++)
			sum += exp(p[i] - p_log) * ((form == PB_DISTILL_CODE ? p[i] - p_log : 0) - (q[i] - q_log));
	}
	return sum / (form == PB_DISTILL_CODE ? MICRO * SEQUENCES : MICRO * TOKENS);
}

static double expected_states(enum pb_distillation_form form, const float *teacher, const float *student)
{
	double sum = 0;

	for (int t = 0; t < TOKENS; t++) {
		double a = 0, b = 0;

		for (int i = 0; i < 32; i++) {
			a += (double)teacher[t * 32 + i] * teacher[t * 32 + i];
			b += (double)student[t * 32 + i] * student[t * 32 + i];
		}
		for (int i = 0; i < 32; i++)
			sum += pow(teacher[t * 32 + i] / sqrt(a) - student[t * 32 + i] / sqrt(b), 2);
	}
	return form == PB_DISTILL_CODE ? sum / (MICRO * TOKENS) : sum;
}

static void close_to(const char *what, size_t i, double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%s, %zu: %.9g, expected %.9g", what, i, value, expected);
}

static float *random_values(size_t n, double deviation)
{
	struct pb_rng rng = pb_rng_make(4, n);
	float *x = malloc(n * sizeof *x);

	assert_non_null(x);
	for (size_t i = 0; i < n; i++)
		x[i] = (float)(deviation * pb_rng_normal(&rng));
	return x;
}

static void check_logits(enum pb_distillation_form form)
{
	struct lesson l = open_lesson(form, 0.3, 0);
	const struct pb_extra_loss_f32 *extra = l.trainer->extra;
	float *x = random_values(TOKENS * 64, 2), *d = random_values(TOKENS * 64, 1), *before = random_values(TOKENS * 64, 1);
	double loss = extra->logits(extra->arg, 0, TOKENS, x, d);

	assert_true(extra->target_weight == 0.5);
	close_to("loss", 0, loss, 0.3 * expected_logits(form, l.logits, x, TOKENS), 1e-5);
	assert_true(extra->logits(extra->arg, 0, TOKENS, x, NULL) == loss);
	/* Rows from the middle of the batch. */
	close_to("some rows", 0, extra->logits(extra->arg, 3, 5, x, NULL), 0.3 * expected_logits(form, l.logits + 3 * 64, x, 5), 1e-5);
	for (size_t i = 0; i < TOKENS * 64; i += 13) {
		float keep = x[i], h = 0.01f;
		double up, down;

		x[i] = keep + h;
		up = expected_logits(form, l.logits, x, TOKENS);
		x[i] = keep - h;
		down = expected_logits(form, l.logits, x, TOKENS);
		x[i] = keep;
		close_to("gradient", i, d[i] - before[i], 0.3 * (up - down) / (2 * (double)h), 1e-6);
	}
	assert_true(extra->state(extra->arg, 1, x, d) == 0);
	free(x);
	free(d);
	free(before);
	close_lesson(&l);
}

static void check_states(enum pb_distillation_form form)
{
	struct lesson l = open_lesson(form, 0, 0.7);
	const struct pb_extra_loss_f32 *extra = l.trainer->extra;
	float *x = random_values(TOKENS * 32, 2), *d = random_values(TOKENS * 32, 1), *before = random_values(TOKENS * 32, 1);

	for (uint32_t s = 0; s <= 2; s++) {
		const float *teacher = l.teacher->states + s * TOKENS * 32;
		bool counts = s != (form == PB_DISTILL_CODE ? 2 : 0);
		double loss = extra->state(extra->arg, s, x, d);

		close_to("loss", s, loss, counts ? 0.7 * expected_states(form, teacher, x) : 0, 1e-4);
		assert_true(extra->state(extra->arg, s, x, NULL) == loss);
		for (size_t i = 0; i < TOKENS * 32; i += 7) {
			float keep = x[i], h = 0.01f;
			double up, down;

			x[i] = keep + h;
			up = expected_states(form, teacher, x);
			x[i] = keep - h;
			down = expected_states(form, teacher, x);
			x[i] = keep;
			close_to("gradient", i, d[i] - before[i], counts ? 0.7 * (up - down) / (2 * (double)h) : 0, 2e-5);
		}
		memcpy(d, before, TOKENS * 32 * sizeof *d);
	}
	assert_true(extra->logits(extra->arg, 0, TOKENS, x, d) == 0);
	/* A state of zeros has no direction, and no gradient that is not finite. */
	memset(x, 0, TOKENS * 32 * sizeof *x);
	memset(d, 0, TOKENS * 32 * sizeof *d);
	assert_true(isfinite(extra->state(extra->arg, 1, x, d)));
	for (size_t i = 0; i < TOKENS * 32; i++)
		assert_true(isfinite(d[i]));
	free(x);
	free(d);
	free(before);
	close_lesson(&l);
}

static void test_logits(void **state)
{
	(void)state;
	check_logits(PB_DISTILL_CODE);
	check_logits(PB_DISTILL_PAPER);
}

static void test_states(void **state)
{
	(void)state;
	check_states(PB_DISTILL_CODE);
	check_states(PB_DISTILL_PAPER);
}

/* Against itself a model has no loss of the code's form, and no gradient. */
static void test_same_model(void **state)
{
	struct lesson l = open_lesson(PB_DISTILL_CODE, 1, 1);
	struct pb_network_f32 *net = pb_trainer_network(l.trainer);
	const struct pb_extra_loss_f32 *extra = l.trainer->extra;
	int32_t inputs[MIXED_TOKENS], targets[MIXED_TOKENS];
	struct pb_extra_loss_f32 alone = *extra;

	(void)state;
	alone.target_weight = 0;
	mixed_tokens(inputs, targets);
	OK(pb_trainer_take_model(l.trainer, l.model, ERR));
	pb_network_prepare_f32(net);
	pb_network_clear_f32(net);
	close_to("loss", 0, pb_network_run_f32(net, inputs, targets, 1, true, &alone), 0, 1e-6);
	for (size_t i = 0; i < net->layout.total; i++)
		close_to("gradient", i, net->gradient[i], 0, 1e-5);
	close_lesson(&l);
}

static void test_other_shape(void **state)
{
	struct lesson l = open_lesson(PB_DISTILL_CODE, 1, 1);
	struct pb_config c = l.model->config;
	struct pb_distillation d = { .logits = 1 };
	struct pb_distiller *none = NULL;
	struct pb_trainer *t = NULL;
	struct pb_recipe r;
	struct pb_error err = { 0 };

	(void)state;
	c.n_layers = 1;
	pb_options_default(pb_recipe_options, &r);
	r.length = 8;
	OK(pb_trainer_open(&t, &c, &r, NULL, NULL, ERR));
	assert_int_equal(pb_distiller_open(&none, &d, l.model, t, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "shape"));
	assert_null(none);
	pb_trainer_close(t);
	close_lesson(&l);
}

/* ---- frozen parameters ---- */

static void check_freeze(const char *states)
{
	const unsigned kinds = 1u << PB_PARAMETER_EMBEDDING | 1u << PB_PARAMETER_NORM;
	struct pb_config c = mixed_config();
	struct pb_trainer *all = NULL, *some = NULL;
	struct pb_recipe r;
	int32_t inputs[MIXED_TOKENS], targets[MIXED_TOKENS];
	struct pb_step s, t;
	double squares = 0;

	pb_options_default(pb_recipe_options, &r);
	OK(pb_options_parse(pb_recipe_options, &r, "recipe", "steps=5,sequences=4,length=16,clip=0", ERR));
	OK(pb_options_parse(pb_recipe_options, &r, "recipe", states, ERR));
	OK(pb_trainer_open(&all, &c, &r, NULL, NULL, ERR));
	OK(pb_trainer_open(&some, &c, &r, NULL, NULL, ERR));
	pb_trainer_freeze(some, kinds);
	pb_trainer_start(all);
	pb_trainer_start(some);
	mixed_tokens(inputs, targets);
	OK(pb_trainer_step(all, inputs, targets, &s, ERR));
	OK(pb_trainer_step(some, inputs, targets, &t, ERR));
	assert_true(s.loss == t.loss && t.gradient_norm < s.gradient_norm);

	const struct pb_network_f32 *a = pb_trainer_network(all), *b = pb_trainer_network(some);

	for (uint32_t i = 0; i < b->layout.n; i++) {
		const struct pb_parameter *p = &b->layout.parameters[i];
		bool frozen = kinds >> p->kind & 1;

		for (size_t k = p->first; k < p->first + p->n; k++) {
			if (!frozen)
				squares += (double)b->gradient[k] * b->gradient[k];
			if (frozen && p->kind == PB_PARAMETER_NORM)
				assert_true(b->parameters[k] == 1);
		}
		/* The rest steps as it would anyway: a first step of Adam does not know of the others. */
		assert_int_equal(memcmp(a->parameters + p->first, b->parameters + p->first, p->n * sizeof(float)) != 0, frozen);
	}
	close_to("norm", 0, t.gradient_norm, sqrt(squares), 1e-6);
	for (int i = 0; i < 4; i++)
		OK(pb_trainer_step(some, inputs, targets, &t, ERR));
	assert_true(t.loss < s.loss);
	pb_trainer_close(all);
	pb_trainer_close(some);
}

static void test_freeze(void **state)
{
	(void)state;
	check_freeze("");
	check_freeze("states=8bit");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logits), cmocka_unit_test(test_states), cmocka_unit_test(test_same_model), cmocka_unit_test(test_other_shape),
		cmocka_unit_test(test_freeze),
	};

	return cmocka_run_group_tests_name("distill", tests, NULL, scratch_teardown);
}
