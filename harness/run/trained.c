#include "harness/run/trained.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "backends/train/distill.h"
#include "backends/train/train.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/version.h"
#include "harness/run/interrupt.h"
#include "harness/run/training_log.h"

#define FORMAT "paretobench-trained-1"
/* Larger models make activations again in the backward pass instead of keeping them. */
#define KEPT_PARAMETERS (1u << 27)
#define PARTS 20                /* of a training, each of which ends with a checkpoint */
#define SAVE_SECONDS 60.0       /* and so does each minute */
#define WAIT_MICROSECONDS 100000

/* ---- before the work ---- */

enum pb_status pb_trained_fail_none(const struct pb_quantizer *q, struct pb_error *err)
{
	return pb_fail(err, PB_USAGE, "%s: needs training data: name a text by the sweep's key `training: {data: FILE}` or by --training FILE", q->name);
}

static enum pb_status make_recipe(const struct pb_quantizer_use *use, const struct pb_model *model, int64_t seed, struct pb_recipe *r, struct pb_error *err)
{
	enum pb_status st;

	pb_options_default(pb_recipe_options, r);
	st = use->quantizer->qat->recipe(use->options, model->config.context, r, err);
	if (st) {
		pb_fail_prefix(err, "%s", use->quantizer->name);
		return st;
	}
	r->seed = seed;
	r->recompute = model->parameters > KEPT_PARAMETERS;
	return PB_OK;
}

enum pb_status pb_trained_check(const struct pb_training_spec *spec, const struct pb_quantizer_use *use, const struct pb_model *model, struct pb_error *err)
{
	struct pb_recipe recipe;

	return spec ? make_recipe(use, model, 0, &recipe, err) : pb_trained_fail_none(use->quantizer, err);
}

double pb_trained_tokens(const struct pb_quantizer_use *use, const struct pb_model *model)
{
	struct pb_recipe r;

	return make_recipe(use, model, 0, &r, NULL) ? 0 : (double)r.steps * (double)(r.sequences * r.length * r.micro_batches);
}

void pb_trained_hash(const struct pb_training_spec *spec, const char *data_hash, struct pb_hash *hash)
{
	pb_hash_string(hash, FORMAT);
	pb_hash_bytes(hash, &(uint32_t){ PB_TRAINED_VERSION }, sizeof(uint32_t));
	pb_hash_string(hash, data_hash);
	pb_hash_string(hash, pb_text_format_name(pb_text_format(spec->data, spec->format)));
}

json_t *pb_trained_json(const struct pb_training_spec *spec, const char *data_hash)
{
	return json_pack("{s:s, s:s, s:s}", "data", pb_path_name(spec->data), "hash", data_hash, "format",
		pb_text_format_name(pb_text_format(spec->data, spec->format)));
}

json_t *pb_quantization_json(const struct pb_quantizer_use *use, int64_t seed, json_t *calibration, json_t *training)
{
	json_t *options = use->quantizer->options ? pb_options_json(use->quantizer->options, use->options) : json_object();

	return json_pack("{s:s, s:i, s:o, s:I, s:s, s:o*, s:o*}", "quantizer", use->quantizer->name, "quantizer_version", (int)use->quantizer->version,
		"options", options, "seed", (json_int_t)seed, "version", pb_version(), "calibration", calibration, "training", training);
}

/* ---- one training ---- */

struct run {
	const struct pb_trained_source *source;
	char *folder;                   /* of this model */
	char *artifact, *checkpoint, *log_path;
	int lock;                       /* -1: none */
	struct pb_recipe recipe;
	struct pb_transform_f32 transform;
	struct pb_batches batches;
	struct pb_trainer *trainer;
	struct pb_distiller *distiller;
	struct pb_training_log log;
	double begun, saved;            /* on the clock */
	uint64_t here;                  /* steps of this process */
	struct pb_error *err;
};

/* FOLDER/KEY, and what is in it. */
static enum pb_status make_paths(struct run *r)
{
	const struct pb_trained_source *s = r->source;
	const struct pb_quantizer *q = s->use->quantizer;
	struct pb_hash *hash = pb_hash_new();
	json_t *object = pb_options_json(q->options, s->use->options);
	char *options = object ? pb_json_canonical(object) : NULL, key[PB_HASH_HEX];
	bool made = hash && options;

	json_decref(object);
	if (made) {
		pb_hash_string(hash, s->model->hash);
		pb_hash_string(hash, pb_tokenizer_hash(s->tokenizer));
		pb_hash_string(hash, q->name);
		pb_hash_bytes(hash, &(uint32_t){ q->version }, sizeof(uint32_t));
		pb_hash_string(hash, options);
		pb_trained_hash(s->spec, s->hash, hash);
		pb_hash_bytes(hash, &s->seed, sizeof(s->seed));
	}
	if (hash)
		pb_hash_finish(hash, key);
	pb_free(options);
	r->folder = made ? pb_path_join(s->folder, key) : NULL;
	r->artifact = r->folder ? pb_path_join(r->folder, "model") : NULL;
	r->checkpoint = r->folder ? pb_path_join(r->folder, "checkpoint.safetensors") : NULL;
	r->log_path = r->folder ? pb_path_join(r->folder, "log.csv") : NULL;
	return r->artifact && r->checkpoint && r->log_path ? PB_OK : pb_out_of_memory(r->err, "a path");
}

static int tell(const struct run *r, const char *stage, double done)
{
	return r->source->stage ? r->source->stage(r->source->arg, stage, done) : 0;
}

static enum pb_status lock_folder(struct run *r)
{
	enum pb_status st = pb_folder_make(r->folder, r->err);
	char *path = st ? NULL : pb_path_join(r->folder, "train.lock");

	if (!st && !path)
		st = pb_out_of_memory(r->err, "a path");
	if (!st && (r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666)) < 0)
		st = pb_fail(r->err, PB_IO, "%s: %s", path, strerror(errno));
	while (!st && flock(r->lock, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			st = pb_fail(r->err, PB_IO, "%s: %s", path, strerror(errno));
		else if (tell(r, "wait for the same model", 0))
			st = pb_fail(r->err, PB_INTERRUPTED, "stopped");
		else
			usleep(WAIT_MICROSECONDS);
	}
	pb_free(path);
	return st;
}

static enum pb_status save(struct run *r)
{
	char *note = pb_training_log_note(&r->log, r->source->hash);
	enum pb_status st = note ? pb_trainer_save(r->trainer, r->checkpoint, note, r->err) : pb_out_of_memory(r->err, "a checkpoint");

	pb_free(note);
	r->saved = pb_clock_seconds();
	return st;
}

static enum pb_status resume(struct run *r)
{
	char *note = NULL;
	enum pb_status st = pb_trainer_resume(r->trainer, r->checkpoint, &note, r->err);

	if (!st && pb_file_exists(r->log_path))
		st = pb_training_log_read(&r->log, r->log_path, pb_trainer_steps(r->trainer), r->err);
	if (!st)
		st = pb_training_log_read_note(&r->log, r->checkpoint, note, r->source->hash, r->err);
	pb_free(note);
	return st;
}

static enum pb_status start(struct run *r)
{
	const struct pb_trained_source *s = r->source;
	const struct pb_qat *qat = s->use->quantizer->qat;
	struct pb_distillation distillation;
	enum pb_status st = make_recipe(s->use, s->model, s->seed, &r->recipe, r->err);

	r->transform = pb_quantizer_transform(s->use);
	if (!st && !s->tokens->n)
		st = pb_training_tokens(s->spec, s->tokenizer, s->tokens, r->err);
	if (!st)
		st = pb_batches_open(&r->batches, s->spec->data, s->tokens->data, s->tokens->n, s->model->config.n_vocab, (uint32_t)r->recipe.length, (uint64_t)s->seed, r->err);
	if (!st)
		st = pb_trainer_open(&r->trainer, &s->model->config, &r->recipe, &r->transform, s->pool, r->err);
	if (st)
		return st;
	pb_trainer_freeze(r->trainer, pb_quantizer_frozen(s->use));
	st = pb_file_exists(r->checkpoint) ? resume(r) : pb_trainer_take_model(r->trainer, s->model, r->err);
	if (!st && qat->teacher && qat->teacher(s->use->options, &distillation))
		st = pb_distiller_open(&r->distiller, &distillation, s->model, r->trainer, r->err);
	return st;
}

static int show(const struct run *r, double loss)
{
	uint64_t done = pb_trainer_steps(r->trainer), all = (uint64_t)r->recipe.steps;
	double each = r->here ? (pb_clock_seconds() - r->begun) / (double)r->here : 0;
	char stage[64], left[32];

	pb_format_duration(left, each * (double)(all - done));
	snprintf(stage, sizeof(stage), "train, loss %.4g, %s left,", loss, left);
	return tell(r, stage, (double)done / (double)all);
}

static enum pb_status interrupted(struct run *r)
{
	enum pb_status st = save(r);

	return st ? st : pb_fail(r->err, PB_INTERRUPTED, "interrupted behind step %" PRIu64 " of %lld; the same command goes on from %s",
		pb_trainer_steps(r->trainer), (long long)r->recipe.steps, r->checkpoint);
}

static enum pb_status take_step(struct run *r)
{
	int64_t steps = r->recipe.steps;
	uint64_t every = steps > PARTS ? (uint64_t)steps / PARTS : 1;
	double begin = pb_clock_seconds();
	struct pb_error why = {0};
	struct pb_step s;
	enum pb_status st = pb_trainer_advance(r->trainer, &r->batches, &s, &why);

	if (st)
		return pb_fail(r->err, st, st == PB_NUMERIC ? "%s\ntry a lower learning_rate or more warmup" : "%s", why.text);
	r->here++;
	pb_training_log_step(&r->log, &s, pb_clock_seconds() - begin);
	if (pb_training_log_is_due(s.step, steps)) {
		pb_training_log_line(&r->log, &s, s.step * s.tokens, NAN);
		st = pb_training_log_write(&r->log, r->log_path, r->err);
	}
	if (!st && s.step < (uint64_t)steps && (s.step % every == 0 || pb_clock_seconds() - r->saved > SAVE_SECONDS))
		st = save(r);
	if (!st && (show(r, s.loss) || pb_interrupted()) && s.step < (uint64_t)steps)
		st = interrupted(r);
	return st;
}

/* ---- the artifact ---- */

/* The model with other weights in its place: kept tensors in the source's number format, matrices encoded. */
struct result {
	struct pb_model model;          /* a copy that owns nothing */
	struct pb_arena *arena;         /* its arrays and kept tensors */
};

static enum pb_status keep_tensor(struct run *r, struct result *x, struct pb_tensor *t, uint32_t place)
{
	const struct pb_network_f32 *net = pb_trainer_network(r->trainer);
	const struct pb_parameter *p = &net->layout.parameters[place];
	void *data = pb_arena_alloc(x->arena, p->n, pb_dtype_bytes(t->dtype));

	if (!data)
		return pb_out_of_memory(r->err, "trained weights");
	if (t->dtype != PB_F32 && t->dtype != PB_F16 && t->dtype != PB_BF16)
		return pb_fail(r->err, PB_UNSUPPORTED, "%s: trained weights are not written as %s", p->name, pb_dtype_name(t->dtype));
	pb_float_write(t->dtype, net->parameters + p->first, p->n, data);
	t->data = data;
	return PB_OK;
}

static enum pb_status keep_tensors(struct run *r, struct result *x)
{
	struct pb_model *m = &x->model;
	const struct pb_layout *l = &pb_trainer_network(r->trainer)->layout;
	uint32_t n_layers = m->config.n_layers;
	struct pb_tensor *norms = pb_arena_alloc(x->arena, 2 * (size_t)n_layers, sizeof(*norms));
	enum pb_status st = norms ? keep_tensor(r, x, &m->embedding, 0) : pb_out_of_memory(r->err, "trained weights");

	if (st)
		return st;
	memcpy(norms, m->attention_norm, n_layers * sizeof(*norms));
	memcpy(norms + n_layers, m->ffn_norm, n_layers * sizeof(*norms));
	m->attention_norm = norms;
	m->ffn_norm = norms + n_layers;
	for (uint32_t i = 0; !st && i < n_layers; i++) {
		st = keep_tensor(r, x, &m->attention_norm[i], pb_layout_norm(i, 0));
		if (!st)
			st = keep_tensor(r, x, &m->ffn_norm[i], pb_layout_norm(i, 1));
	}
	if (!st)
		st = keep_tensor(r, x, &m->final_norm, l->final_norm);
	if (m->config.tied_head)
		m->head = m->embedding;
	else if (!st)
		st = keep_tensor(r, x, &m->head, l->head);
	return st;
}

struct encoding {
	const struct run *run;
	struct pb_model *model;
	struct pb_error *errors;        /* [n_matrices] */
};

static void encode_task(void *arg, size_t i, unsigned worker)
{
	struct encoding *e = arg;
	const struct pb_network_f32 *net = pb_trainer_network(e->run->trainer);
	struct pb_matrix *m = &e->model->matrices[i];
	const struct pb_parameter *own = &net->layout.parameters[net->layout.transforms + i];
	const float *latent = net->parameters + net->layout.parameters[pb_layout_matrix(m->layer, m->slot)].first;
	struct pb_quantize_job job = { .name = m->name, .layer = m->layer, .n_layers = e->model->config.n_layers, .slot = m->slot, .rows = m->rows, .cols = m->cols,
		.weights = latent, .source_dtype = m->source.dtype };

	(void)worker;
	if (pb_quantizer_encode(e->run->source->use, &job, latent, net->parameters + own->first, &m->encoded, &e->errors[i]))
		pb_fail_prefix(&e->errors[i], "%s", m->name);
}

static enum pb_status encode_matrices(struct run *r, struct result *x)
{
	struct pb_model *m = &x->model;
	struct pb_matrix *matrices = pb_arena_alloc(x->arena, m->n_matrices, sizeof(*matrices));
	struct encoding e = { r, m, pb_alloc_zero(m->n_matrices, sizeof(*e.errors)) };
	enum pb_status st = PB_OK;

	if (!matrices || !e.errors) {
		pb_free(e.errors);
		return pb_out_of_memory(r->err, "trained weights");
	}
	memcpy(matrices, m->matrices, m->n_matrices * sizeof(*matrices));
	m->matrices = matrices;
	pb_pool_run(r->source->pool, m->n_matrices, encode_task, &e);
	for (uint32_t i = 0; !st && i < m->n_matrices; i++)
		if (e.errors[i].status)
			st = pb_fail(r->err, e.errors[i].status, "%s", e.errors[i].text);
	pb_free(e.errors);
	return st;
}

static json_t *describe(const struct run *r)
{
	const struct pb_trained_source *s = r->source;
	json_t *training = pb_trained_json(s->spec, s->hash);

	if (training && (json_object_set_new(training, "steps", json_integer(r->recipe.steps)) ||
	    json_object_set_new(training, "tokens", json_integer(r->recipe.steps * r->recipe.sequences * r->recipe.length * r->recipe.micro_batches)) ||
	    json_object_set_new(training, "loss", pb_json_number(r->log.loss)))) {
		json_decref(training);
		return NULL;
	}
	return training ? pb_quantization_json(s->use, s->seed, NULL, training) : NULL;
}

static enum pb_status write_artifact(struct run *r)
{
	struct result x = { .model = *r->source->model, .arena = pb_arena_new() };
	json_t *about = describe(r);
	enum pb_status st = x.arena && about ? keep_tensors(r, &x) : pb_out_of_memory(r->err, "trained weights");

	if (!st)
		st = encode_matrices(r, &x);
	if (!st)
		st = pb_model_write(&x.model, r->artifact, about, r->err);
	for (uint32_t i = 0; x.model.matrices != r->source->model->matrices && i < x.model.n_matrices; i++)
		pb_encoded_free(x.model.matrices[i].encoded);
	json_decref(about);
	pb_arena_free(x.arena);
	return st;
}

static enum pb_status train(struct run *r)
{
	struct pb_interrupts signals;
	enum pb_status st;

	pb_folder_drop_temporaries(r->folder);
	pb_folder_drop_temporaries(r->artifact);
	st = start(r);
	r->begun = r->saved = pb_clock_seconds();
	pb_interrupts_begin(&signals);
	while (!st && pb_trainer_steps(r->trainer) < (uint64_t)r->recipe.steps)
		st = take_step(r);
	pb_interrupts_end(&signals);
	if (!st)
		st = write_artifact(r);
	if (!st && unlink(r->checkpoint) && errno != ENOENT)
		st = pb_fail(r->err, PB_IO, "%s: not removed: %s", r->checkpoint, strerror(errno));
	return st;
}

/* ---- opening ---- */

static void close_run(struct run *r)
{
	pb_trainer_close(r->trainer);
	pb_distiller_close(r->distiller);
	pb_batches_close(&r->batches);
	pb_training_log_free(&r->log);
	pb_free(r->folder);
	pb_free(r->artifact);
	pb_free(r->checkpoint);
	pb_free(r->log_path);
	if (r->lock >= 0)
		close(r->lock);
}

/* Seconds of all steps, by the log of a model that is there. */
static double seconds_of_log(const struct run *r)
{
	struct pb_training_log log;
	double seconds;

	pb_training_log_begin(&log);
	seconds = pb_training_log_read(&log, r->log_path, UINT64_MAX, NULL) ? NAN : log.seconds;
	pb_training_log_free(&log);
	return seconds;
}

static enum pb_status open_or_train(struct run *r, struct pb_model **out, double *seconds)
{
	enum pb_status st = make_paths(r);

	if (!st)
		st = lock_folder(r);
	if (st)
		return st;
	st = pb_file_exists(r->artifact) ? pb_model_open(out, r->artifact, r->err) : PB_MISSING;
	if (!st) {
		*seconds = seconds_of_log(r);
		return PB_OK;
	}
	if (st == PB_MEMORY)
		return st;
	st = train(r);
	*seconds = r->log.seconds;
	if (st) {
		pb_fail_prefix(r->err, "%s", r->source->use->quantizer->name);
		return st;
	}
	return pb_model_open(out, r->artifact, r->err);
}

enum pb_status pb_trained_open(struct pb_model **out, double *seconds, const struct pb_trained_source *source, struct pb_error *err)
{
	struct pb_error own = {0};
	struct run r = { .source = source, .lock = -1, .err = err ? err : &own };
	enum pb_status st;

	pb_training_log_begin(&r.log);
	st = open_or_train(&r, out, seconds);
	close_run(&r);
	return st;
}
