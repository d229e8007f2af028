/* What the tests of trained methods share: a matrix through a method's hooks, with options by text. Header only. */
#ifndef PB_TESTS_UNIT_QAT_H
#define PB_TESTS_UNIT_QAT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/train/train.h"
#include "core/model/model.h"
#include "quantizers/quantizer.h"
#include "tests/unit/expect.h"
#include "tests/unit/mixed_model.h"
#include "tests/unit/scratch.h"

struct method {
	struct pb_quantizer_use use;
	struct pb_transform_f32 transform;
	struct pb_parameter matrix;
};

static inline struct method method_open(const char *text, uint32_t rows, uint32_t cols)
{
	struct method m = { .matrix = { .name = "m", .kind = PB_PARAMETER_MATRIX, .rows = rows, .cols = cols, .n = (size_t)rows * cols } };

	OK(pb_quantizer_use_parse(&m.use, text, ERR));
	m.transform = pb_quantizer_transform(&m.use);
	return m;
}

static inline void method_close(struct method *m)
{
	pb_quantizer_use_free(&m->use);
}

static inline void method_start(const struct method *m, float *latent, float *parameters)
{
	m->transform.start(m->transform.arg, &m->matrix, latent, parameters);
}

static inline void method_forward(const struct method *m, const float *latent, const float *parameters, float *used)
{
	m->transform.forward(m->transform.arg, &m->matrix, latent, parameters, used);
}

/* gradient: of what is used, becomes that of latent */
static inline void method_backward(const struct method *m, const float *latent, const float *parameters, float *gradient, float *parameter_gradient)
{
	m->transform.backward(m->transform.arg, &m->matrix, latent, parameters, NULL, gradient, parameter_gradient);
}

static inline enum pb_status method_encode(const struct method *m, const float *latent, const float *parameters, struct pb_encoded **out, struct pb_error *err)
{
	struct pb_quantize_job job = { .name = "m", .n_layers = 1, .rows = m->matrix.rows, .cols = m->matrix.cols, .weights = latent, .source_dtype = PB_F32 };

	return pb_quantizer_encode(&m->use, &job, latent, parameters, out, err);
}

/* The model of mixed_model.h as files. */
static inline struct pb_model *mixed_model(void)
{
	struct pb_config c = mixed_config();
	struct pb_network_f32 *net = NULL;
	struct pb_model *model = NULL;

	OK(pb_network_open_f32(&net, &c, 1, 1, false, NULL, NULL, ERR));
	mixed_fill(net);
	OK(pb_network_write_folder(net, net->parameters, scratch_path("mixed"), PB_F32, ERR));
	pb_network_close_f32(net);
	OK(pb_model_open(&model, scratch_path("mixed"), ERR));
	return model;
}

/* One column of numbers behind the step, for a name, in a file of "NAME STEP LOSS NORM" lines: the trainer's steps against them. */
static inline void check_losses(struct pb_trainer *t, const char *path, const char *name, double norm_tolerance)
{
	FILE *f = fopen(path, "r");
	int32_t inputs[MIXED_TOKENS], targets[MIXED_TOKENS];
	char line[256], what[32];
	unsigned long step, lines = 0;
	double loss, norm;
	struct pb_step s;

	if (!f)
		fail_msg("%s: not there; run from the repository's root", path);
	mixed_tokens(inputs, targets);
	while (fgets(line, sizeof line, f)) {
		if (line[0] == '#' || sscanf(line, "%31s %lu %lf %lf", what, &step, &loss, &norm) != 4 || strcmp(what, name) != 0)
			continue;
		OK(pb_trainer_step(t, inputs, targets, &s, ERR));
		assert_int_equal(s.step, step);
		if (!(fabs(s.loss - loss) < 1e-3 * fmax(1, loss)) || !(fabs(s.gradient_norm - norm) < norm_tolerance * norm))
			fail_msg("%s, step %lu: loss %.8f, norm %.8f; torch has %.8f, %.8f", name, step, s.loss, s.gradient_norm, loss, norm);
		lines++;
	}
	fclose(f);
	assert_int_equal(lines, 20);
}

/* A trainer of a method on the tiny model, as torch's: rate 0.003, 4 sequences of 16 in an update. */
static inline struct pb_trainer *mixed_trainer(const struct method *m, const struct pb_model *model, const char *more, struct pb_pool *pool)
{
	struct pb_trainer *t = NULL;
	struct pb_recipe r;

	pb_options_default(pb_recipe_options, &r);
	OK(m->use.quantizer->qat->recipe(m->use.options, 64, &r, ERR));
	OK(pb_options_parse(pb_recipe_options, &r, "recipe", "steps=20,sequences=4,length=16,micro_batches=1,learning_rate=0.003", ERR));
	OK(pb_options_parse(pb_recipe_options, &r, "recipe", more, ERR));
	OK(pb_trainer_open(&t, &model->config, &r, &m->transform, pool, ERR));
	pb_trainer_freeze(t, pb_quantizer_frozen(&m->use));
	OK(pb_trainer_take_model(t, model, ERR));
	return t;
}

#endif
