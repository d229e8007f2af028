#include "harness/run/training.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <cblas.h>
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/version.h"
#include "harness/run/interrupt.h"
#include "harness/run/training_data.h"
#include "harness/run/training_log.h"

#define FILE_LIMIT ((size_t)64 << 20)

struct training {
	const struct pb_training_recipe *recipe;
	const struct pb_training_options *options;
	struct pb_training_summary *summary;
	struct pb_training_data data;
	struct pb_model *from;
	struct pb_config config;
	struct pb_trainer *trainer;
	struct pb_batches batches;
	struct pb_progress progress;
	struct pb_training_log log;
	int lock;                       /* of the folder; -1: none */
	double here_seconds;            /* of this process's steps */
	uint64_t here_tokens;
	int32_t *inputs, *targets;      /* a batch of the validation */
	struct pb_error *err;
};

static char *path_of(const struct training *t, const char *name)
{
	return pb_path_join(t->options->folder, name);
}

static enum pb_status write_file(struct training *t, const char *name, const char *data, size_t size)
{
	char *path = path_of(t, name);
	enum pb_status st = path ? pb_file_write(path, data, size, t->err) : pb_out_of_memory(t->err, "a path");

	pb_free(path);
	return st;
}

static uint64_t step_tokens(const struct training *t)
{
	const struct pb_recipe *r = &t->recipe->train;

	return (uint64_t)(r->sequences * r->length * r->micro_batches);
}

static double rate(const struct training *t)
{
	return t->here_seconds > 0 ? (double)t->here_tokens / t->here_seconds : NAN;
}

/* ---- train.json ---- */

static uint64_t matrix_parameters(const struct pb_layout *l)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < l->transforms; i++)
		if (l->parameters[i].kind == PB_PARAMETER_MATRIX)
			n += l->parameters[i].n;
	return n;
}

static enum pb_status write_state(struct training *t, const char *status, const char *reason)
{
	const struct pb_layout *l = &pb_trainer_network(t->trainer)->layout;
	uint64_t steps = pb_trainer_steps(t->trainer);
	json_t *train = pb_options_json(pb_recipe_options, &t->recipe->train), *o;
	char *text;
	enum pb_status st;

	o = train ? json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:s, s:s, s:o, s:s, s:s}", "name", t->recipe->name, "status", status, "reason", reason,
		"version", pb_version(), "parameters", (json_int_t)l->count, "matrix_parameters", (json_int_t)matrix_parameters(l), "steps", (json_int_t)steps,
		"tokens", (json_int_t)(steps * step_tokens(t)), "tokens_per_second", pb_json_number(rate(t)), "final_loss", pb_json_number(t->log.loss),
		"validation_loss", pb_json_number(t->log.validation_loss), "data_hash", t->data.hash, "model_hash", t->summary->hash, "train", train,
		"from", t->from ? t->from->hash : "", "openblas_core", openblas_get_corename()) : NULL;
	text = o ? pb_json_pretty(o) : NULL;
	st = text ? write_file(t, "train.json", text, strlen(text)) : pb_out_of_memory(t->err, "train.json");
	json_decref(o);
	pb_free(text);
	return st;
}

/* ---- checkpoint ---- */

static enum pb_status save(struct training *t)
{
	char *note = pb_training_log_note(&t->log, t->data.hash), *path = path_of(t, "checkpoint.safetensors");
	enum pb_status st = note && path ? pb_trainer_save(t->trainer, path, note, t->err) : pb_out_of_memory(t->err, "a checkpoint");

	pb_free(note);
	pb_free(path);
	return st ? st : write_state(t, "running", "");
}

static enum pb_status resume(struct training *t, bool *found)
{
	char *path = path_of(t, "checkpoint.safetensors"), *log = path_of(t, "log.csv"), *note = NULL;
	enum pb_status st = path && log ? PB_OK : pb_out_of_memory(t->err, "a path");

	*found = !st && pb_file_exists(path);
	if (*found) {
		st = pb_trainer_resume(t->trainer, path, &note, t->err);
		if (!st)
			st = pb_training_log_read(&t->log, log, pb_trainer_steps(t->trainer), t->err);
		if (!st)
			st = pb_training_log_read_note(&t->log, path, note, t->data.hash, t->err);
	}
	pb_free(note);
	pb_free(path);
	pb_free(log);
	return st;
}

/* ---- steps ---- */

/* Mean over all whole windows of the validation text, in order. */
static double validate(struct training *t)
{
	struct pb_network_f32 *net = pb_trainer_network(t->trainer);
	size_t length = net->length, windows = (t->data.validation.n - 1) / length;
	double sum = 0;

	pb_network_prepare_f32(net);
	for (size_t first = 0; first < windows; first += net->sequences) {
		for (size_t i = 0; i < net->sequences; i++) {
			const int32_t *window = t->data.validation.data + (first + i) * length;

			for (size_t k = 0; k < length; k++) {
				bool there = first + i < windows;

				t->inputs[i * length + k] = there ? window[k] : 0;
				t->targets[i * length + k] = there ? window[k + 1] : -1;
			}
		}
		sum += pb_network_run_f32(net, t->inputs, t->targets, 1, false, NULL);
	}
	return sum / (double)(windows * length);
}

static bool is_due(uint64_t step, int64_t every, int64_t steps)
{
	return step % (uint64_t)every == 0 || step == (uint64_t)steps;
}

static enum pb_status add_line(struct training *t, const struct pb_step *s, double validation_loss)
{
	char *path = path_of(t, "log.csv");
	enum pb_status st;

	pb_training_log_line(&t->log, s, s->step * step_tokens(t), validation_loss);
	if (!isnan(validation_loss)) {
		struct pb_text line = {0};

		pb_text_printf(&line, "step %" PRIu64 "/%lld  loss %.4f  validation %.4f  learning rate %.3g  %.0f tokens/s", s->step, (long long)t->recipe->train.steps, t->log.loss,
			validation_loss, s->learning_rate, rate(t));
		pb_progress_cell(&t->progress, pb_text_c(&line), false);
		pb_text_free(&line);
	}
	st = path ? pb_training_log_write(&t->log, path, t->err) : pb_out_of_memory(t->err, "a path");
	pb_free(path);
	return st;
}

static void show(struct training *t, const struct pb_step *s)
{
	char what[96];

	t->progress.finished = s->step;
	t->progress.cost_done += 1;
	t->progress.cost_measured += 1;
	t->progress.seconds_measured = t->here_seconds;
	snprintf(what, sizeof what, "loss %.4f | %.0f tokens/s", s->loss, rate(t));
	pb_progress_status(&t->progress, what);
}

static enum pb_status take_step(struct training *t)
{
	const struct pb_training_recipe *r = t->recipe;
	int64_t steps = r->train.steps;
	double begin = pb_clock_seconds(), validation_loss = NAN;
	struct pb_step s;
	enum pb_status st = pb_trainer_advance(t->trainer, &t->batches, &s, t->err);

	if (st)
		return st;
	begin = pb_clock_seconds() - begin;
	t->here_seconds += begin;
	t->here_tokens += s.tokens;
	pb_training_log_step(&t->log, &s, begin);
	if (t->inputs && is_due(s.step, r->validate_every, steps))
		validation_loss = validate(t);
	if (!isnan(validation_loss) || pb_training_log_is_due(s.step, steps))
		st = add_line(t, &s, validation_loss);
	if (!st && s.step < (uint64_t)steps && is_due(s.step, r->save_every, steps))
		st = save(t);
	show(t, &s);
	return st;
}

/* A step that cannot be: what there is stays, and the folder says so. */
static enum pb_status diverged(struct training *t)
{
	char *path = path_of(t, "checkpoint.safetensors");
	struct pb_error why = *t->err;
	bool kept = path && pb_file_exists(path);

	pb_free(path);
	if (write_state(t, "diverged", why.text))
		return t->err->status;
	return pb_fail(t->err, PB_NUMERIC, "%s: %s\n%s%s; try a lower learning_rate, more warmup or clip", t->recipe->name, why.text,
		kept ? "the last checkpoint before it is kept in " : "no checkpoint was made before it in ", t->options->folder);
}

static enum pb_status finish(struct training *t)
{
	struct pb_network_f32 *net = pb_trainer_network(t->trainer);
	struct pb_model *model = NULL;
	char *path = path_of(t, "checkpoint.safetensors");
	enum pb_status st = path ? pb_training_data_write_tokenizer(&t->data, t->options->folder, t->err) : pb_out_of_memory(t->err, "a path");

	if (!st)
		st = pb_network_write_folder(net, net->parameters, t->options->folder, t->recipe->dtype, t->err);
	if (!st)
		st = pb_model_open(&model, t->options->folder, t->err);
	if (!st) {
		memcpy(t->summary->hash, model->hash, sizeof model->hash);
		pb_model_close(model);
		st = write_state(t, "done", "");
	}
	if (!st && unlink(path) && errno != ENOENT)
		st = pb_fail(t->err, PB_IO, "%s: not removed: %s", path, strerror(errno));
	pb_free(path);
	return st;
}

static enum pb_status run_steps(struct training *t)
{
	uint64_t steps = t->recipe->share > 0 ? (uint64_t)t->recipe->train.steps : 0;
	enum pb_status st = PB_OK;

	while (!st && !pb_interrupted() && pb_trainer_steps(t->trainer) < steps)
		st = take_step(t);
	pb_progress_clear(&t->progress);
	if (st)
		return st == PB_NUMERIC ? diverged(t) : st;
	t->summary->interrupted = pb_trainer_steps(t->trainer) < steps;
	return t->summary->interrupted ? save(t) : finish(t);
}

/* ---- setting up ---- */

static enum pb_status lock_folder(struct training *t)
{
	char *path = path_of(t, "train.lock");
	enum pb_status st = path ? PB_OK : pb_out_of_memory(t->err, "a path");

	int lock = st ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (!st && lock < 0)
		st = pb_fail(t->err, PB_IO, "%s: %s", path, strerror(errno));
	else if (!st && flock(lock, LOCK_EX | LOCK_NB)) {
		st = pb_fail(t->err, PB_FAILED, "%s: another training is writing here", t->options->folder);
		close(lock);
	} else if (!st) {
		t->lock = lock;
	}
	pb_free(path);
	return st;
}

/* The folder is empty, or holds this very recipe; already: and it is done. */
static enum pb_status compare_folder(struct training *t, bool *already)
{
	char *path = path_of(t, "recipe.yaml"), *state_path = path_of(t, "train.json"), *text = NULL;
	json_t *state = NULL;
	size_t size = 0;
	enum pb_status st = path && state_path ? PB_OK : pb_out_of_memory(t->err, "a path");

	*already = false;
	if (!st && pb_file_exists(path)) {
		st = pb_file_read(path, FILE_LIMIT, &text, &size, t->err);
		if (!st && strcmp(text, t->recipe->text) != 0)
			st = pb_fail(t->err, PB_USAGE, "%s: holds the training of another recipe\nname another folder with -o, or remove this one", t->options->folder);
		if (!st && pb_file_exists(state_path))
			st = pb_json_read(&state, state_path, FILE_LIMIT, t->err);
		if (!st && json_is_string(json_object_get(state, "status")) && strcmp(json_string_value(json_object_get(state, "status")), "done") == 0) {
			const char *hash = json_string_value(json_object_get(state, "model_hash"));

			*already = true;
			if (hash && strlen(hash) < PB_HASH_HEX)
				memcpy(t->summary->hash, hash, strlen(hash) + 1);
		}
	} else if (!st) {
		st = pb_file_write(path, t->recipe->text, strlen(t->recipe->text), t->err);
	}
	json_decref(state);
	pb_free(text);
	pb_free(state_path);
	pb_free(path);
	return st;
}

static enum pb_status make_config(struct training *t)
{
	const struct pb_training_recipe *r = t->recipe;
	struct pb_config *c = &t->config;

	*c = t->from ? t->from->config : r->config;
	if (!c->n_vocab)
		c->n_vocab = pb_tokenizer_size(t->data.tokenizer);
	if (!c->context)
		c->context = (uint32_t)r->train.length;
	if (c->context < (uint32_t)r->train.length)
		return pb_fail(t->err, PB_USAGE, "%s: sequences of %lld tokens are longer than the model's context of %u", r->file, (long long)r->train.length, c->context);
	if (!t->from) {
		c->bos = pb_tokenizer_bos(t->data.tokenizer);
		c->eos = pb_tokenizer_eos(t->data.tokenizer);
	}
	return PB_OK;
}

static enum pb_status open_validation(struct training *t)
{
	const struct pb_recipe *r = &t->recipe->train;
	size_t n = (size_t)(r->sequences * r->length);

	if (!t->data.validation.n)
		return PB_OK;
	if (t->data.validation.n < (size_t)r->length + 1)
		return pb_fail(t->err, PB_USAGE, "%s: validation: %zu tokens are too few for sequences of %lld", t->recipe->file, t->data.validation.n, (long long)r->length);
	t->inputs = pb_alloc(n, sizeof *t->inputs);
	t->targets = pb_alloc(n, sizeof *t->targets);
	return t->inputs && t->targets ? PB_OK : pb_out_of_memory(t->err, "the validation");
}

static enum pb_status start(struct training *t)
{
	const struct pb_training_recipe *r = t->recipe;
	bool resumed = false;
	enum pb_status st = r->from ? pb_model_open(&t->from, r->from, t->err) : PB_OK;

	if (!st && t->from && t->from->quantization)
		st = pb_fail(t->err, PB_UNSUPPORTED, "%s: is quantized; training goes on from plain weights", r->from);
	if (!st)
		st = pb_training_data_read(&t->data, r, t->from, t->err);
	if (!st)
		st = make_config(t);
	if (!st)
		st = pb_batches_open(&t->batches, r->train_file ? r->train_file : "the world's train.txt", t->data.train.data, t->data.train.n, t->config.n_vocab,
			(uint32_t)r->train.length, (uint64_t)r->train.seed, t->err);
	if (!st)
		st = open_validation(t);
	if (!st)
		st = pb_trainer_open(&t->trainer, &t->config, &r->train, NULL, t->options->pool, t->err);
	if (!st)
		st = resume(t, &resumed);
	if (!st && !resumed && t->from)
		st = pb_trainer_take_model(t->trainer, t->from, t->err);
	else if (!st && !resumed)
		pb_trainer_start(t->trainer);
	return st ? st : write_state(t, "running", "");
}

static void begin_progress(struct training *t)
{
	uint64_t done = pb_trainer_steps(t->trainer), steps = (uint64_t)t->recipe->train.steps;

	pb_progress_begin(&t->progress, steps, done, (double)(steps - done), 1, t->options->quiet ? PB_NEVER : t->options->progress, t->options->colour);
	if (done)
		pb_log(PB_LOG_INFO, "%s: goes on behind step %" PRIu64, t->options->folder, done);
}

static void close_training(struct training *t)
{
	pb_trainer_close(t->trainer);
	pb_batches_close(&t->batches);
	pb_training_data_free(&t->data);
	pb_model_close(t->from);
	pb_training_log_free(&t->log);
	pb_free(t->inputs);
	pb_free(t->targets);
	if (t->lock >= 0) {
		char *path = path_of(t, "train.lock");

		if (path)
			unlink(path);
		pb_free(path);
		close(t->lock);
	}
}

enum pb_status pb_train(const struct pb_training_recipe *recipe, const struct pb_training_options *options, struct pb_training_summary *summary, struct pb_error *err)
{
	struct pb_error own = {0};
	struct training t = { .recipe = recipe, .options = options, .summary = summary, .lock = -1, .err = err ? err : &own };
	struct pb_interrupts signals;
	enum pb_status st;

	*summary = (struct pb_training_summary){ .rate = NAN, .loss = NAN, .validation_loss = NAN };
	pb_training_log_begin(&t.log);
	pb_interrupts_begin(&signals);
	/* The folder before the work: hours of it must not end in "cannot write". */
	st = pb_folder_make(options->folder, t.err);
	if (!st)
		st = lock_folder(&t);
	if (!st)
		st = compare_folder(&t, &summary->already);
	if (!st && !summary->already)
		st = start(&t);
	if (!st && !summary->already) {
		begin_progress(&t);
		st = run_steps(&t);
		summary->steps = pb_trainer_steps(t.trainer);
		summary->tokens = summary->steps * step_tokens(&t);
		summary->seconds = t.log.seconds;
		summary->rate = rate(&t);
		summary->loss = t.log.loss;
		summary->validation_loss = t.log.validation_loss;
	}
	pb_interrupts_end(&signals);
	close_training(&t);
	return st;
}
