#include "harness/run/calibration.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "backends/train/train.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/calibration_file.h"

#define FORMAT "paretobench-calibration-1"
/* Larger models make activations again in the backward pass instead of keeping them. */
#define KEPT_PARAMETERS (1u << 27)

struct pb_calibration {
	struct pb_calibration_source source;
	uint32_t length;                        /* of samples */
	int32_t *tokens;                        /* (n_samples, length); NULL until they are needed */
	bool sequential, stepwise;
	struct pb_calibrator *calibrator;       /* inputs layer by layer, or NULL */
	struct pb_safetensors *inputs;          /* mapped, or NULL */
	struct pb_safetensors *gradients;       /* mapped, or NULL */
	float *squares;                         /* gradients without a cache, or NULL */
	const float **square;                   /* [n_matrices]: of each matrix in squares */
};

enum pb_status pb_calibration_fail_none(const struct pb_quantizer *q, struct pb_error *err)
{
	return pb_fail(err, PB_USAGE, "%s: needs calibration data: name a text by the sweep's key `calibration: {data: FILE}` or by --calibration FILE", q->name);
}

static enum pb_status check_ready(const struct pb_calibration_spec *spec, const struct pb_quantizer *q, unsigned needs, const struct pb_model *model, struct pb_error *err)
{
	struct pb_safetensors *file = NULL;
	enum pb_status st;

	if (needs & PB_NEEDS_SEQUENTIAL)
		return pb_fail(err, PB_USAGE, "%s: %s: it measures each layer behind the layers that it has quantized, which ready tensors cannot know; name a text", q->name, spec->data);
	st = pb_safetensors_open(&file, spec->data, err);
	if (!st)
		st = pb_calibration_file_check(file, spec->data, model, needs, err);
	pb_safetensors_close(file);
	return st;
}

enum pb_status pb_calibration_check(const struct pb_calibration_spec *spec, const struct pb_quantizer *q, unsigned needs, const struct pb_model *model,
	struct pb_error *err)
{
	uint32_t length;

	if (needs == PB_NEEDS_NOTHING)
		return PB_OK;
	if (!spec)
		return pb_calibration_fail_none(q, err);
	return pb_calibration_is_ready(spec) ? check_ready(spec, q, needs, model, err) : pb_calibration_length(spec, model->config.context, &length, err);
}

/* ---- what the numbers depend on ---- */

json_t *pb_calibration_json(const struct pb_calibration_spec *spec, const char *data_hash, uint32_t context)
{
	json_t *object = json_pack("{s:s, s:s}", "data", pb_path_name(spec->data), "hash", data_hash);
	uint32_t length = 0;

	if (!object || pb_calibration_is_ready(spec) || pb_calibration_length(spec, context, &length, NULL))
		return object;
	if (json_object_set_new(object, "n_samples", json_integer(spec->n_samples)) || json_object_set_new(object, "seq_len", json_integer(length)) ||
	    json_object_set_new(object, "seed", json_integer(spec->seed)) ||
	    json_object_set_new(object, "format", json_string(pb_text_format_name(pb_text_format(spec->data, spec->format))))) {
		json_decref(object);
		return NULL;
	}
	return object;
}

void pb_calibration_hash(const struct pb_calibration_spec *spec, const char *data_hash, uint32_t context, struct pb_hash *hash)
{
	uint32_t length = 0, format;

	pb_hash_string(hash, FORMAT);
	pb_hash_bytes(hash, &(uint32_t){ PB_CALIBRATION_VERSION }, sizeof(uint32_t));
	pb_hash_string(hash, data_hash);
	if (pb_calibration_is_ready(spec) || pb_calibration_length(spec, context, &length, NULL))
		return;
	format = (uint32_t)pb_text_format(spec->data, spec->format);
	pb_hash_bytes(hash, &spec->n_samples, sizeof(spec->n_samples));
	pb_hash_bytes(hash, &length, sizeof(length));
	pb_hash_bytes(hash, &spec->seed, sizeof(spec->seed));
	pb_hash_bytes(hash, &format, sizeof(format));
}

/* FOLDER/KEY.KIND.safetensors */
static char *cache_path(const struct pb_calibration *c, const char *kind)
{
	const struct pb_calibration_source *s = &c->source;
	struct pb_hash *hash = pb_hash_new();
	char key[PB_HASH_HEX], name[PB_HASH_HEX + 40];

	if (!hash)
		return NULL;
	pb_hash_string(hash, s->model->hash);
	pb_hash_string(hash, pb_tokenizer_hash(s->tokenizer));
	pb_calibration_hash(s->spec, s->hash, s->model->config.context, hash);
	pb_hash_finish(hash, key);
	snprintf(name, sizeof(name), "%s.%s.safetensors", key, kind);
	return pb_path_join(s->cache, name);
}

/* ---- measuring ---- */

static enum pb_status need_tokens(struct pb_calibration *c, struct pb_error *err)
{
	return c->tokens ? PB_OK : pb_samples_draw(c->source.spec, c->source.tokenizer, c->length, &c->tokens, err);
}

static enum pb_status open_calibrator(struct pb_calibration *c, struct pb_error *err)
{
	const struct pb_calibration_source *s = &c->source;
	enum pb_status st = need_tokens(c, err);

	return st ? st : pb_calibrator_open(&c->calibrator, s->model, c->tokens, (uint32_t)s->spec->n_samples, c->length, s->pool, s->progress, s->arg, err);
}

/* Of each sample the mean loss over its tokens but the first; targets: scratch (length). */
static enum pb_status sum_squares(struct pb_calibration *c, struct pb_network_f32 *net, int32_t *targets, struct pb_error *err)
{
	const struct pb_calibration_source *s = &c->source;
	int64_t n = s->spec->n_samples;

	for (int64_t i = 0; i < n; i++) {
		const int32_t *tokens = c->tokens + (size_t)i * c->length;

		if (s->progress && s->progress(s->arg, (double)i / (double)n))
			return pb_fail(err, PB_INTERRUPTED, "calibration: stopped");
		memcpy(targets, tokens + 1, (c->length - 1) * sizeof(*targets));
		targets[c->length - 1] = -1;
		if (!isfinite(pb_fisher_add(net, tokens, targets, c->squares)))
			return pb_fail(err, PB_NUMERIC, "calibration: %s: the loss of sample %" PRId64 " is not finite", s->model->name, i);
	}
	for (size_t i = 0; i < net->layout.total; i++)
		c->squares[i] = (float)(c->squares[i] / (double)n);
	if (pb_count_not_finite(c->squares, net->layout.total))
		return pb_fail(err, PB_NUMERIC, "calibration: %s: squared gradients are not finite", s->model->name);
	return PB_OK;
}

static enum pb_status measure_gradients(struct pb_calibration *c, struct pb_error *err)
{
	const struct pb_model *model = c->source.model;
	struct pb_network_f32 *net = NULL;
	int32_t *targets = NULL;
	enum pb_status st = need_tokens(c, err);

	if (!st)
		st = pb_network_open_f32(&net, &model->config, 1, c->length, model->parameters > KEPT_PARAMETERS, NULL, c->source.pool, err);
	if (!st)
		st = pb_network_take_model(net, model, err);
	if (st) {
		pb_network_close_f32(net);
		return st;
	}
	pb_network_prepare_f32(net);
	targets = pb_alloc(c->length, sizeof(*targets));
	c->squares = pb_alloc_zero(net->layout.total, sizeof(*c->squares));
	c->square = pb_alloc(model->n_matrices, sizeof(*c->square));
	st = targets && c->squares && c->square ? sum_squares(c, net, targets, err) : pb_out_of_memory(err, "squared gradients");
	for (uint32_t i = 0; !st && i < model->n_matrices; i++)
		c->square[i] = c->squares + net->layout.parameters[pb_layout_matrix(model->matrices[i].layer, model->matrices[i].slot)].first;
	pb_free(targets);
	pb_network_close_f32(net);
	return st;
}

static void drop_gradients(struct pb_calibration *c)
{
	pb_free(c->squares);
	pb_free(c->square);
	c->squares = NULL;
	c->square = NULL;
}

/* ---- files ---- */

static enum pb_status open_file(struct pb_safetensors **out, const char *path, const struct pb_model *model, unsigned needs, struct pb_error *err)
{
	struct pb_safetensors *file = NULL;
	enum pb_status st = pb_safetensors_open(&file, path, err);

	if (!st)
		st = pb_calibration_file_check(file, path, model, needs, err);
	if (!st)
		st = pb_calibration_file_check_numbers(file, path, model, needs, err);
	if (st)
		pb_safetensors_close(file);
	else
		*out = file;
	return st;
}

static enum pb_status write_file(struct pb_calibration *c, const char *path, unsigned kind, struct pb_error *err)
{
	const struct pb_calibration_source *s = &c->source;
	json_t *object = pb_calibration_json(s->spec, s->hash, s->model->config.context);
	char *text = object ? pb_json_canonical(object) : NULL;
	const char *const metadata[] = { "format", FORMAT, "model", s->model->hash, "tokenizer", pb_tokenizer_hash(s->tokenizer), "calibration", text, NULL };
	enum pb_status st = text ? pb_folder_make(s->cache, err) : pb_out_of_memory(err, "calibration");

	if (!st && kind == PB_NEEDS_ACTIVATIONS) {
		st = open_calibrator(c, err);
		if (!st)
			st = pb_calibration_write_inputs(path, c->calibrator, s->model, metadata, err);
		pb_calibrator_close(c->calibrator);
		c->calibrator = NULL;
	} else if (!st) {
		st = measure_gradients(c, err);
		if (!st)
			st = pb_calibration_write_gradients(path, c->square, s->model, metadata, err);
		drop_gradients(c);
	}
	json_decref(object);
	pb_free(text);
	return st;
}

/* kind: ACTIVATIONS or GRADIENTS. A file that is not there, or not sound, is made. */
static enum pb_status open_cached(struct pb_calibration *c, unsigned kind, struct pb_safetensors **file, struct pb_error *err)
{
	char *path = cache_path(c, kind == PB_NEEDS_ACTIVATIONS ? "inputs" : "gradients");
	enum pb_status st;

	if (!path)
		return pb_out_of_memory(err, "calibration");
	st = open_file(file, path, c->source.model, kind, err);
	if (st && st != PB_MEMORY) {
		st = write_file(c, path, kind, err);
		if (!st)
			st = open_file(file, path, c->source.model, kind, err);
	}
	pb_free(path);
	return st;
}

/* ---- opening ---- */

static enum pb_status open_parts(struct pb_calibration *c, unsigned needs, struct pb_error *err)
{
	const struct pb_calibration_source *s = &c->source;
	enum pb_status st = PB_OK;

	if (pb_calibration_is_ready(s->spec)) {
		if (needs & PB_NEEDS_ACTIVATIONS)
			st = open_file(&c->inputs, s->spec->data, s->model, PB_NEEDS_ACTIVATIONS, err);
		if (!st && needs & PB_NEEDS_GRADIENTS)
			st = open_file(&c->gradients, s->spec->data, s->model, PB_NEEDS_GRADIENTS, err);
		return st;
	}
	st = pb_calibration_length(s->spec, s->model->config.context, &c->length, err);
	if (!st && needs & PB_NEEDS_GRADIENTS)
		st = s->cache ? open_cached(c, PB_NEEDS_GRADIENTS, &c->gradients, err) : measure_gradients(c, err);
	if (!st && needs & PB_NEEDS_ACTIVATIONS)
		st = s->cache && !c->sequential ? open_cached(c, PB_NEEDS_ACTIVATIONS, &c->inputs, err) : open_calibrator(c, err);
	if (!st && c->sequential && needs & PB_NEEDS_CROSS)
		st = pb_calibrator_follow(c->calibrator, err);
	return st;
}

enum pb_status pb_calibration_open(struct pb_calibration **out, const struct pb_calibration_source *source, unsigned needs, struct pb_error *err)
{
	struct pb_calibration *c = pb_alloc_zero(1, sizeof(*c));
	enum pb_status st;

	if (!c)
		return pb_out_of_memory(err, "calibration");
	c->source = *source;
	c->sequential = needs & PB_NEEDS_SEQUENTIAL;
	c->stepwise = c->sequential && needs & PB_NEEDS_STEPWISE;
	st = open_parts(c, needs, err);
	if (st)
		pb_calibration_close(c);
	else
		*out = c;
	return st;
}

void pb_calibration_close(struct pb_calibration *c)
{
	if (!c)
		return;
	pb_calibrator_close(c->calibrator);
	pb_safetensors_close(c->inputs);
	pb_safetensors_close(c->gradients);
	drop_gradients(c);
	pb_free(c->tokens);
	pb_free(c);
}

/* ---- giving ---- */

bool pb_calibration_is_layered(const struct pb_calibration *c)
{
	return c->calibrator != NULL;
}

enum pb_status pb_calibration_enter(struct pb_calibration *c, uint32_t layer, struct pb_error *err)
{
	enum pb_status st = layer && c->sequential ? pb_calibrator_advance(c->calibrator, err) : PB_OK;

	return st || c->stepwise ? st : pb_calibrator_measure(c->calibrator, !c->sequential, err);
}

bool pb_calibration_is_stepwise(const struct pb_calibration *c)
{
	return c->stepwise;
}

enum pb_status pb_calibration_step(struct pb_calibration *c, enum pb_input input, struct pb_error *err)
{
	return pb_calibrator_measure_input(c->calibrator, input, err);
}

void pb_calibration_fill(const struct pb_calibration *c, const struct pb_matrix *m, struct pb_quantize_job *job)
{
	if (c->inputs)
		pb_calibration_file_fill_inputs(c->inputs, c->source.model, m, job);
	if (c->gradients)
		pb_calibration_file_fill_gradients(c->gradients, c->source.model, m, job);
	if (c->square)
		job->gradient_sq = c->square[m - c->source.model->matrices];
	if (c->calibrator) {
		const struct pb_moments *moments = pb_calibrator_moments(c->calibrator, pb_input_of(m->slot));

		job->second_moment = moments->second_moment;
		job->mean_abs = moments->mean_abs;
		job->cross_moment = moments->cross_moment;
	}
}
