/* Calibration of whole models: samples drawn from texts, what is kept on disk, squared gradients against differences of the
 * loss in double, and quantizing with and without a cache, in parallel and layer by layer. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "backends/train/train.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "harness/run/calibration_file.h"
#include "harness/run/cell.h"
#include "tests/plugins/watcher.c"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tiny_model.h"

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

/* A model with its tokenizer and a text. */
static struct pb_model *model;
static struct pb_tokenizer *tokenizer;
static char text_path[512], text_hash[PB_HASH_HEX];

static int setup(void **state)
{
	struct tiny_model m = tiny_model_default();
	struct pb_text text = { 0 };

	(void)state;
	m.hidden = 40;
	OK(tiny_model_write_llama2c(scratch_path("model.bin"), &m, 0, ERR));
	OK(pb_model_open(&model, scratch_path("model.bin"), ERR));
	OK(tiny_model_write_tokenizer(scratch_path("tokenizer.bin"), m.n_vocab, ERR));
	OK(pb_tokenizer_open(&tokenizer, scratch_path("tokenizer.bin"), m.n_vocab, ERR));
	for (int i = 0; i < 60; i++)
		pb_text_printf(&text, "line %d of a small text\n", i * i);
	snprintf(text_path, sizeof text_path, "%s", scratch_path("text.txt"));
	OK(pb_file_write(text_path, pb_text_c(&text), text.length, ERR));
	OK(pb_hash_of_file(text_path, text_hash, ERR));
	pb_text_free(&text);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pb_tokenizer_free(tokenizer);
	pb_model_close(model);
	scratch_remove();
	return 0;
}

static struct pb_calibration_spec make_spec(void)
{
	struct pb_calibration_spec spec = { .data = text_path };

	pb_options_default(pb_calibration_options, &spec);
	spec.n_samples = 6;
	spec.seq_len = 24;
	return spec;
}

/* ---- samples ---- */

static int32_t *draw(const struct pb_calibration_spec *spec, const char *text, uint32_t length)
{
	int32_t *tokens = NULL;

	OK(pb_samples_draw_from(spec, "text", text, strlen(text), tokenizer, length, &tokens, ERR));
	return tokens;
}

static void refuses(const struct pb_calibration_spec *spec, const char *text, uint32_t length, const char *message)
{
	int32_t *tokens = NULL;
	struct pb_error err = { 0 };

	assert_int_not_equal(pb_samples_draw_from(spec, "text", text, strlen(text), tokenizer, length, &tokens, &err), PB_OK);
	assert_string_equal(err.text, message);
	assert_null(tokens);
}

/* Each sample is somewhere in the list. */
static void check_windows(const int32_t *samples, int64_t n, uint32_t length, const struct pb_ids *all)
{
	for (int64_t i = 0; i < n; i++) {
		bool found = false;

		for (size_t at = 0; !found && at + length <= all->n; at++)
			found = memcmp(samples + i * length, all->data + at, length * sizeof *samples) == 0;
		assert_true(found);
	}
}

static void test_lines_and_text(void **state)
{
	static const char text[] = "ab cd\r\n\n  \nno end of line";
	struct pb_calibration_spec spec = make_spec();
	struct pb_ids lines = { 0 }, whole = { 0 };
	int32_t *samples, *more;

	(void)state;
	OK(pb_tokenizer_encode(tokenizer, "ab cd", 5, PB_SPECIAL_BOS, &lines, ERR));
	OK(pb_tokenizer_encode(tokenizer, "no end of line", 14, PB_SPECIAL_BOS, &lines, ERR));
	assert_int_equal(lines.data[0], pb_tokenizer_bos(tokenizer));
	spec.n_samples = 50;
	samples = draw(&spec, text, 5);
	check_windows(samples, 50, 5, &lines);
	/* Fewer are the first of more; another seed draws others. */
	spec.n_samples = 7;
	more = draw(&spec, text, 5);
	assert_memory_equal(more, samples, 7 * 5 * sizeof *samples);
	pb_free(more);
	spec.seed = 1;
	more = draw(&spec, text, 5);
	assert_memory_not_equal(more, samples, 7 * 5 * sizeof *samples);
	pb_free(more);
	pb_free(samples);
	/* As long as the whole text; one more is too long. */
	samples = draw(&spec, text, (uint32_t)lines.n);
	assert_memory_equal(samples, lines.data, lines.n * sizeof *samples);
	pb_free(samples);
	refuses(&spec, "ab", 9, "text: 3 tokens are too few for calibration samples of 9");
	refuses(&spec, "\n \n", 2, "text: 0 tokens are too few for calibration samples of 2");

	spec.format = PB_CALIBRATION_TEXT;
	OK(pb_tokenizer_encode(tokenizer, text, strlen(text), PB_SPECIAL_DEFAULT, &whole, ERR));
	samples = draw(&spec, text, (uint32_t)whole.n);
	assert_memory_equal(samples, whole.data, whole.n * sizeof *samples);
	pb_free(samples);
	pb_ids_free(&lines);
	pb_ids_free(&whole);
}

static void test_documents(void **state)
{
	static const char text[] = "{\"text\": \"ab\"}\n\n{\"id\": 3, \"text\": \"the long one of them\"}\n{\"text\": \"\"}\n";
	struct pb_calibration_spec spec = make_spec();
	struct pb_ids ids = { 0 };
	int32_t *samples;

	(void)state;
	spec.data = "x.jsonl.gz";
	assert_int_equal(pb_text_format(spec.data, spec.format), PB_CALIBRATION_DOCUMENTS);
	OK(pb_tokenizer_encode(tokenizer, "the long one of them", 20, PB_SPECIAL_DEFAULT, &ids, ERR));
	samples = draw(&spec, text, 6);
	check_windows(samples, spec.n_samples, 6, &ids);
	pb_free(samples);
	samples = draw(&spec, text, (uint32_t)ids.n);
	pb_free(samples);
	refuses(&spec, text, (uint32_t)ids.n + 1, "text: none of 3 documents has the 23 tokens of a calibration sample");
	refuses(&spec, "\n", 4, "text: no document is in it");
	refuses(&spec, "\n{\"text\": 3}\n", 4, "text:2: not a JSON object with a string 'text'");
	refuses(&spec, "[", 4, "text:1: not a JSON object with a string 'text'");
	refuses(&spec, "[\"text\"]", 4, "text:1: not a JSON object with a string 'text'");
	pb_ids_free(&ids);
}

static void test_length(void **state)
{
	struct pb_calibration_spec spec = make_spec();
	uint32_t length = 0;
	struct pb_error err;

	(void)state;
	OK(pb_calibration_length(&spec, 64, &length, ERR));
	assert_int_equal(length, 24);
	assert_int_equal(pb_calibration_length(&spec, 20, &length, &err), PB_USAGE);
	check_says(&err, "24 tokens do not fit the model's context of 20");
	spec.seq_len = 0;
	OK(pb_calibration_length(&spec, 64, &length, ERR));
	assert_int_equal(length, 64);
	OK(pb_calibration_length(&spec, 4096, &length, ERR));
	assert_int_equal(length, 2048);
	assert_int_equal(pb_calibration_length(&spec, 1, &length, &err), PB_USAGE);
	spec.n_samples = 1 << 20;
	assert_int_equal(pb_calibration_length(&spec, 4096, &length, &err), PB_USAGE);
	check_says(&err, "more than 2^30 tokens");
}

/* ---- numbers ---- */

static unsigned measured;       /* calls of the progress hook */

static int count(void *arg, double done)
{
	(void)arg;
	assert_true(done >= 0 && done <= 1);
	measured++;
	return 0;
}

static struct pb_calibration *open_calibration(const struct pb_calibration_spec *spec, const char *cache, unsigned needs, struct pb_pool *pool)
{
	struct pb_calibration_source source = { .spec = spec, .hash = text_hash, .cache = cache, .model = model, .tokenizer = tokenizer, .pool = pool, .progress = count };
	struct pb_calibration *c = NULL;

	OK(pb_calibration_open(&c, &source, needs, ERR));
	return c;
}

static double loss_of(struct pb_network_f64 *net, const int32_t *tokens, const int32_t *targets, uint32_t n)
{
	pb_network_prepare_f64(net);
	return pb_network_run_f64(net, tokens, targets, 1.0 / (n - 1), false, NULL);
}

/* Squared gradients of a few weights of each matrix, by differences of each sample's mean loss. */
static void test_gradients(void **state)
{
	struct pb_calibration_spec spec = make_spec();
	uint32_t n = (uint32_t)spec.seq_len;
	struct pb_calibration *c = open_calibration(&spec, NULL, PB_NEEDS_GRADIENTS, NULL);
	struct pb_network_f32 *single = NULL;
	struct pb_network_f64 *net = NULL;
	int32_t *tokens = NULL, *targets = get_memory(n, sizeof *targets);

	(void)state;
	assert_false(pb_calibration_is_layered(c));
	OK(pb_samples_draw(&spec, tokenizer, n, &tokens, ERR));
	OK(pb_network_open_f32(&single, &model->config, 1, n, false, NULL, NULL, ERR));
	OK(pb_network_take_model(single, model, ERR));
	OK(pb_network_open_f64(&net, &model->config, 1, n, false, NULL, NULL, ERR));
	for (size_t i = 0; i < net->layout.total; i++)
		net->parameters[i] = single->parameters[i];
	for (uint32_t i = 0; i < model->n_matrices; i++) {
		const struct pb_matrix *m = &model->matrices[i];
		const struct pb_parameter *p = &net->layout.parameters[pb_layout_matrix(m->layer, m->slot)];
		struct pb_quantize_job job = { 0 };

		pb_calibration_fill(c, m, &job);
		assert_null(job.second_moment);
		for (size_t k = i % 7; k < p->n; k += p->n / 3) {
			double *w = &net->parameters[p->first + k], kept = *w, squares = 0;

			for (int64_t s = 0; s < spec.n_samples; s++) {
				const int32_t *sample = tokens + s * n;
				double up, down;

				memcpy(targets, sample + 1, (n - 1) * sizeof *targets);
				targets[n - 1] = -1;
				*w = kept + 1e-4;
				up = loss_of(net, sample, targets, n);
				*w = kept - 1e-4;
				down = loss_of(net, sample, targets, n);
				*w = kept;
				squares += (up - down) * (up - down) / 4e-8;
			}
			squares /= (double)spec.n_samples;
			assert_float_equal(job.gradient_sq[k], squares, 1e-3 * squares + 1e-12);
		}
	}
	pb_network_close_f32(single);
	pb_network_close_f64(net);
	pb_free(tokens);
	free(targets);
	pb_calibration_close(c);
}

/* The numbers of every matrix, one after the other. */
static float *all_numbers(struct pb_calibration *c, size_t *n_out)
{
	size_t n = 0, capacity = 1 << 20;
	float *all = get_memory(capacity, sizeof *all);

	for (uint32_t i = 0; i < model->n_matrices; i++) {
		const struct pb_matrix *m = &model->matrices[i];
		struct pb_quantize_job job = { 0 };
		size_t square = (size_t)m->cols * m->cols, size = (size_t)m->rows * m->cols;

		if (pb_calibration_is_layered(c) && m->slot == PB_Q)
			OK(pb_calibration_enter(c, m->layer, ERR));
		pb_calibration_fill(c, m, &job);
		assert_true(n + square + m->cols + size <= capacity);
		memcpy(all + n, job.second_moment, square * sizeof *all);
		memcpy(all + n + square, job.mean_abs, m->cols * sizeof *all);
		memcpy(all + n + square + m->cols, job.gradient_sq, size * sizeof *all);
		n += square + m->cols + size;
	}
	*n_out = n;
	return all;
}

static void test_cache(void **state)
{
	struct pb_calibration_spec spec = make_spec();
	const unsigned needs = PB_NEEDS_ACTIVATIONS | PB_NEEDS_GRADIENTS;
	struct pb_calibration *c;
	struct pb_pool *pool = NULL;
	float *kept, *made, *again;
	size_t n, n_made, n_again;
	char cache[512];

	(void)state;
	snprintf(cache, sizeof cache, "%s", scratch_path("deep/cache"));
	OK(pb_pool_new(&pool, 3, ERR));
	/* Made with three threads and mapped; without a cache, in one thread, layer by layer; and found again. */
	measured = 0;
	c = open_calibration(&spec, cache, needs, pool);
	assert_true(measured > 0);
	assert_false(pb_calibration_is_layered(c));
	kept = all_numbers(c, &n);
	pb_calibration_close(c);
	c = open_calibration(&spec, NULL, needs, NULL);
	assert_true(pb_calibration_is_layered(c));
	made = all_numbers(c, &n_made);
	pb_calibration_close(c);
	measured = 0;
	c = open_calibration(&spec, cache, needs, NULL);
	assert_int_equal(measured, 0);
	again = all_numbers(c, &n_again);
	pb_calibration_close(c);
	assert_int_equal(n, n_made);
	assert_memory_equal(kept, made, n * sizeof *kept);
	assert_memory_equal(kept, again, n * sizeof *kept);
	/* Each setting has files of its own. */
	spec.seed = 5;
	measured = 0;
	pb_calibration_close(open_calibration(&spec, cache, PB_NEEDS_GRADIENTS, pool));
	assert_true(measured > 0);
	/* What was asked for by sequential methods is never kept. */
	measured = 0;
	c = open_calibration(&spec, cache, needs | PB_NEEDS_SEQUENTIAL, pool);
	assert_true(pb_calibration_is_layered(c));
	assert_int_equal(measured, 0);
	pb_calibration_close(c);
	pb_pool_free(pool);
	free(kept);
	free(made);
	free(again);
}

/* Two at once leave one whole file; a file that is not sound is made again. */
static void test_cache_is_repaired(void **state)
{
	struct pb_calibration_spec spec = make_spec();
	struct pb_calibration *first, *second;
	struct pb_safetensors *file = NULL;
	char cache[512], path[768], command[1024], hash[PB_HASH_HEX], again[PB_HASH_HEX];
	FILE *f;

	(void)state;
	snprintf(cache, sizeof cache, "%s", scratch_path("repaired"));
	first = open_calibration(&spec, cache, PB_NEEDS_ACTIVATIONS, NULL);
	snprintf(command, sizeof command, "ls %s/*.inputs.safetensors", cache);
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(path, sizeof path, f));
	pclose(f);
	path[strcspn(path, "\n")] = '\0';
	OK(pb_hash_of_file(path, hash, ERR));
	OK(pb_file_write(path, "cut", 3, ERR));
	measured = 0;
	second = open_calibration(&spec, cache, PB_NEEDS_ACTIVATIONS, NULL);
	assert_true(measured > 0);
	OK(pb_hash_of_file(path, again, ERR));
	assert_string_equal(hash, again);
	OK(pb_safetensors_open(&file, path, ERR));
	assert_string_equal(pb_safetensors_metadata(file, "model"), model->hash);
	pb_safetensors_close(file);
	pb_calibration_close(first);
	pb_calibration_close(second);
}

/* ---- whole models ---- */

static void quantize(const struct watcher_options *o, const char *cache, struct pb_pool *pool)
{
	struct pb_calibration_spec spec = make_spec();
	struct pb_quantizer_use use = { &pb_plugin, (void *)(uintptr_t)o };
	struct pb_calibration *c = open_calibration(&spec, cache, pb_quantizer_needs(&pb_plugin, o), pool);

	OK(pb_quantize_model(model, &use, 0, c, pool, ERR));
	pb_calibration_close(c);
}

/* The decoded matrix; free'd. */
static float *decoded(uint32_t matrix)
{
	const struct pb_matrix *m = &model->matrices[matrix];
	float *w = get_memory((size_t)m->rows * m->cols, sizeof *w);

	assert_non_null(m->encoded);
	pb_encoded_decode(m->encoded, 0, m->rows, w);
	return w;
}

static bool same_matrix(uint32_t matrix, const float *w)
{
	const struct pb_matrix *m = &model->matrices[matrix];
	float *now = decoded(matrix);
	bool same = memcmp(now, w, (size_t)m->rows * m->cols * sizeof *w) == 0;

	free(now);
	return same;
}

static void test_quantize(void **state)
{
	const struct watcher_options parallel = { true, false, false }, sequential = { true, true, false };
	float *first[PB_SLOTS * 2], *behind[PB_SLOTS];
	struct pb_pool *pool = NULL;
	char cache[512];

	(void)state;
	snprintf(cache, sizeof cache, "%s", scratch_path("quantize"));
	OK(pb_pool_new(&pool, 4, ERR));
	quantize(&parallel, cache, pool);
	for (uint32_t i = 0; i < 2 * PB_SLOTS; i++)
		first[i] = decoded(i);
	pb_unquantize_model(model);
	/* Without a cache, in one thread, layer by layer: the same bits. */
	quantize(&parallel, NULL, NULL);
	for (uint32_t i = 0; i < 2 * PB_SLOTS; i++)
		assert_true(same_matrix(i, first[i]));
	pb_unquantize_model(model);
	/* Sequential: the first layer is as it was, the next one is not, for any number of threads. */
	quantize(&sequential, cache, pool);
	for (uint32_t i = 0; i < PB_SLOTS; i++) {
		assert_true(same_matrix(i, first[i]));
		assert_false(same_matrix(PB_SLOTS + i, first[PB_SLOTS + i]));
		behind[i] = decoded(PB_SLOTS + i);
	}
	pb_unquantize_model(model);
	quantize(&sequential, NULL, NULL);
	for (uint32_t i = 0; i < PB_SLOTS; i++)
		assert_true(same_matrix(PB_SLOTS + i, behind[i]));
	pb_unquantize_model(model);
	pb_pool_free(pool);
	for (uint32_t i = 0; i < PB_SLOTS; i++)
		free(behind[i]);
	for (uint32_t i = 0; i < 2 * PB_SLOTS; i++)
		free(first[i]);
}

/* Fails at one matrix. */
static enum pb_status fail_late(const void *opts, const struct pb_quantize_job *job, struct pb_encoded **out, struct pb_error *err)
{
	if (job->layer == 1 && strstr(job->name, "up_proj"))
		return pb_fail(err, PB_NUMERIC, "not this one");
	return pb_plugin.quantize(opts, job, out, err);
}

static void test_failure_leaves_the_model(void **state)
{
	struct pb_calibration_spec spec = make_spec();
	struct watcher_options o = { true, true, false };
	struct pb_quantizer failing = pb_plugin;
	struct pb_quantizer_use use = { &failing, &o };
	struct pb_calibration *c = open_calibration(&spec, NULL, pb_quantizer_needs(&pb_plugin, &o), NULL);
	struct pb_error err;

	(void)state;
	failing.quantize = fail_late;
	assert_int_equal(pb_quantize_model(model, &use, 0, c, NULL, &err), PB_NUMERIC);
	assert_string_equal(err.text, "watcher: model.layers.1.mlp.up_proj: not this one");
	for (uint32_t i = 0; i < model->n_matrices; i++)
		assert_null(model->matrices[i].encoded);
	pb_calibration_close(c);
	/* Without numbers the quantizer is not called. */
	assert_int_equal(pb_quantize_model(model, &use, 0, NULL, NULL, &err), PB_UNSUPPORTED);
	assert_int_equal(pb_quantize_check(model, &use, NULL, NULL, &err), PB_USAGE);
	check_says(&err, "needs calibration data");
	check_says(&err, "calibration: {data: FILE}");
	check_says(&err, "--calibration FILE");
}

static int stop(void *arg, double done)
{
	(void)done;
	return ++*(unsigned *)arg == 2;
}

static void test_stopped(void **state)
{
	struct pb_calibration_spec spec = make_spec();
	unsigned calls = 0;
	struct pb_calibration_source source = { .spec = &spec, .hash = text_hash, .cache = scratch_path("stopped"), .model = model, .tokenizer = tokenizer,
		.progress = stop, .arg = &calls };
	struct pb_calibration *c = NULL;
	struct pb_error err;

	(void)state;
	assert_int_equal(pb_calibration_open(&c, &source, PB_NEEDS_GRADIENTS, &err), PB_INTERRUPTED);
	calls = 0;
	assert_int_equal(pb_calibration_open(&c, &source, PB_NEEDS_ACTIVATIONS, &err), PB_INTERRUPTED);
	assert_null(c);
	/* No half of a file is left. */
	assert_int_equal(remove(source.cache), 0);
}

/* ---- ready tensors ---- */

/* A file of the inputs of this model, with one tensor of it changed; count 0: left out. */
static void write_ready(const char *path, const char *change, float value, uint32_t rows, enum pb_dtype dtype, const char *hash)
{
	struct pb_named_tensor tensors[2 * PB_SLOTS * 3];
	char names[2 * PB_SLOTS * 3][128];
	const char *const metadata[] = { "model", hash, NULL };
	size_t n = 0;

	for (uint32_t i = 0; i < model->n_matrices; i++) {
		const struct pb_matrix *m = &model->matrices[i];
		static const char *const parts[] = { "second_moment", "mean_abs", "gradient_sq" };

		for (int part = 0; part < 3; part++) {
			uint64_t count = part == 0 ? (uint64_t)m->cols * m->cols : part == 1 ? m->cols : (uint64_t)m->rows * m->cols;
			struct pb_tensor t = { .dtype = PB_F32, .n_dims = part == 1 ? 1 : 2, .shape = { part == 2 ? m->rows : m->cols, m->cols } };
			float *data;

			if (part < 2 && (m->slot == PB_K || m->slot == PB_V || m->slot == PB_UP))
				continue;
			snprintf(names[n], sizeof names[n], "%s.%s", m->name, parts[part]);
			if (change && strcmp(names[n], change) == 0) {
				if (!rows)
					continue;
				t.dtype = dtype;
				if (rows != t.shape[0])
					count = count / t.shape[0] * rows;
				t.shape[0] = rows;
			}
			data = get_memory(count, sizeof *data);
			for (uint64_t k = 0; k < count; k++)
				data[k] = 0.5f;
			if (change && strcmp(names[n], change) == 0)
				data[0] = value;
			t.data = data;
			t.bytes = count * pb_dtype_bytes(t.dtype);
			tensors[n] = (struct pb_named_tensor){ names[n], t };
			n++;
		}
	}
	OK(pb_safetensors_write(path, tensors, n, hash ? metadata : NULL, ERR));
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)tensors[i].tensor.data);
}

static void test_ready_tensors(void **state)
{
	static const struct {
		const char *change;
		float value;
		uint32_t rows;
		enum pb_dtype dtype;
		const char *hash;
		enum pb_status status;
		const char *says;
	} cases[] = {
		{ NULL, 0, 0, PB_F32, NULL, PB_OK, "" },
		{ "model.layers.1.mlp.down_proj.second_moment", 2, 40, PB_F32, NULL, PB_OK, "" },
		{ "model.layers.1.mlp.down_proj.second_moment", 2, 0, PB_F32, NULL, PB_FORMAT, "model.layers.1.mlp.down_proj.second_moment is not in it" },
		{ "model.layers.1.mlp.down_proj.second_moment", 2, 41, PB_F32, NULL, PB_FORMAT, "its shape is not (40, 40) as this model's" },
		{ "model.layers.0.self_attn.o_proj.mean_abs", 2, 33, PB_F32, NULL, PB_FORMAT, "its shape is not (32) as this model's" },
		{ "model.layers.0.self_attn.o_proj.mean_abs", 2, 32, PB_F16, NULL, PB_FORMAT, "is F16 and should be F32" },
		{ "model.layers.0.self_attn.k_proj.gradient_sq", 2, 0, PB_F32, NULL, PB_FORMAT, "k_proj.gradient_sq is not in it" },
		{ "model.layers.0.self_attn.k_proj.gradient_sq", NAN, 16, PB_F32, NULL, PB_NUMERIC, "1 of 512 numbers are not finite" },
		{ "model.layers.0.self_attn.q_proj.second_moment", INFINITY, 32, PB_F32, NULL, PB_NUMERIC, "1 of 1024 numbers are not finite" },
		{ "model.layers.0.self_attn.q_proj.second_moment", -1, 32, PB_F32, NULL, PB_NUMERIC, "negative" },
		{ "model.layers.0.mlp.up_proj.gradient_sq", -1, 40, PB_F32, NULL, PB_NUMERIC, "negative" },
		{ NULL, 0, 0, PB_F32, "0123", PB_USAGE, "made with another model than model" },
	};
	char path[512];
	struct pb_calibration_spec spec = make_spec();

	(void)state;
	snprintf(path, sizeof path, "%s", scratch_path("ready.safetensors"));
	spec.data = path;
	assert_true(pb_calibration_is_ready(&spec));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pb_calibration_source source = { .spec = &spec, .hash = text_hash, .model = model };
		struct pb_calibration *c = NULL;
		struct pb_error err = { 0 };
		enum pb_status st, checked;

		write_ready(path, cases[i].change, cases[i].value, cases[i].rows, cases[i].dtype, cases[i].hash);
		st = pb_calibration_open(&c, &source, PB_NEEDS_ACTIVATIONS | PB_NEEDS_GRADIENTS, &err);
		if (st != cases[i].status)
			fail_msg("case %zu: status %d: %s", i, (int)st, err.text);
		if (st) {
			check_says(&err, cases[i].says);
			assert_null(strchr(err.text, '\n'));
		}
		/* Before any work shapes are looked at, numbers are not. */
		checked = pb_calibration_check(&spec, &pb_plugin, PB_NEEDS_ACTIVATIONS | PB_NEEDS_GRADIENTS, model, &err);
		assert_int_equal(checked, st == PB_NUMERIC ? PB_OK : st);
		pb_calibration_close(c);
	}
	struct pb_error err;

	write_ready(path, NULL, 0, 0, PB_F32, model->hash);
	assert_int_equal(pb_calibration_check(&spec, &pb_plugin, PB_NEEDS_ACTIVATIONS, model, &err), PB_OK);
	assert_int_equal(pb_calibration_check(&spec, &pb_plugin, PB_NEEDS_ACTIVATIONS | PB_NEEDS_SEQUENTIAL, model, &err), PB_USAGE);
	check_says(&err, "name a text");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_and_text),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_gradients),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_is_repaired),
		cmocka_unit_test(test_quantize),
		cmocka_unit_test(test_failure_leaves_the_model),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_ready_tensors),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
