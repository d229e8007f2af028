/* Folders written by pb_model_write: what is read back is the same to the bit, sizes are those of the file, and a
 * failure at any allocation or write leaves a clear message and nothing half written that is taken for whole. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/model/model.h"
#include "core/model/model_files.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tiny_model.h"

/* Round to nearest on 16 levels, one f16 scale a block of 16 weights. */
static enum pb_status encode_blocks(struct pb_encoded *m, const float *w, struct pb_error *err)
{
	uint64_t n = (uint64_t)m->rows * m->cols;
	uint8_t codes[48 * 48];
	float scales[48 * 3];
	m->block_kind = PB_BLOCK_ROW;
	m->block_size = 16;
	for (uint64_t b = 0; b < n / 16; b++) {
		float top = 0;
		for (int i = 0; i < 16; i++)
			top = w[16 * b + i] > top ? w[16 * b + i] : -w[16 * b + i] > top ? -w[16 * b + i] : top;
		scales[b] = top / 7;
	}
	enum pb_status status = pb_scale_set_float(m, &m->block_scale, scales, n / 16, PB_F16, err);
	for (uint64_t i = 0; !status && i < n; i++) {
		float x = w[i] / pb_scale_at(&m->block_scale, i / 16) + 8.5f;
		codes[i] = (uint8_t)(x < 0 ? 0 : x > 15 ? 15 : x);
	}
	if (!status)
		status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, "signed:4", NULL, 0, PB_F32, err);
	return status ? status : pb_encoded_set_codes(m, PB_W4, codes, err);
}

/* Signs with a scale for each row and column, a layer norm behind, and some weights left as they are. */
static enum pb_status encode_signs(struct pb_encoded *m, const float *w, struct pb_error *err)
{
	uint8_t codes[48 * 48];
	float rows[48], cols[48];
	uint32_t start[49], column[48];
	float value[48];
	for (uint32_t r = 0; r < m->rows; r++) {
		for (uint32_t c = 0; c < m->cols; c++)
			codes[r * m->cols + c] = w[r * m->cols + c] > 0;
		rows[r] = 0.1f + 0.01f * (float)r;
		start[r] = r;
		column[r] = r % m->cols;
		value[r] = w[r * m->cols];
	}
	start[m->rows] = m->rows;
	for (uint32_t c = 0; c < m->cols; c++)
		cols[c] = 1 + 0.01f * (float)c;
	m->post = PB_POST_LAYERNORM;
	enum pb_status status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, "sign", NULL, 0, PB_F32, err);
	if (!status)
		status = pb_encoded_set_codes(m, PB_W1, codes, err);
	if (!status)
		status = pb_encoded_set_row_scale(m, rows, PB_F16, err);
	if (!status)
		status = pb_encoded_set_col_scale(m, cols, PB_BF16, err);
	return status ? status : pb_encoded_set_sparse(m, start, column, value, PB_F32, err);
}

/* Trits with three levels a row. */
static enum pb_status encode_levels(struct pb_encoded *m, const float *w, struct pb_error *err)
{
	uint8_t codes[48 * 48];
	float levels[48 * 3];
	for (uint32_t r = 0; r < m->rows; r++) {
		for (uint32_t c = 0; c < m->cols; c++)
			codes[r * m->cols + c] = (uint8_t)(w[r * m->cols + c] < -0.05f ? 0 : w[r * m->cols + c] > 0.05f ? 2 : 1);
		for (int i = 0; i < 3; i++)
			levels[3 * r + (uint32_t)i] = (float)(i - 1) * (0.1f + 0.001f * (float)r);
	}
	enum pb_status status = pb_encoded_set_levels(m, PB_LEVELS_ROW, NULL, levels, 3, PB_BF16, err);
	return status ? status : pb_encoded_set_codes(m, PB_W_TRIT, codes, err);
}

/* Down projections stay as they are in the file. */
static enum pb_status encode(struct pb_model *model, struct pb_error *err)
{
	for (uint32_t i = 0; i < model->n_matrices; i++) {
		struct pb_matrix *x = &model->matrices[i];
		struct pb_encoded *m = NULL;
		float w[48 * 48];
		if (x->slot == PB_DOWN)
			continue;
		enum pb_status status = pb_matrix_read(x, w, err);
		if (!status)
			status = pb_encoded_new(&m, x->rows, x->cols, err);
		if (!status)
			status = i % 3 == 0 ? encode_blocks(m, w, err) : i % 3 == 1 ? encode_signs(m, w, err) : encode_levels(m, w, err);
		if (status) {
			pb_encoded_free(m);
			return status;
		}
		pb_matrix_set_encoded(x, m);
	}
	return PB_OK;
}

static struct pb_model *make_model(enum pb_dtype dtype, bool tied)
{
	struct tiny_model t = tiny_model_default();
	struct pb_model *m = NULL;
	t.dtype = dtype;
	t.tied = tied;
	t.extra = ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 1.1}";
	OK(tiny_model_write_folder(scratch_path("source"), &t, ERR));
	OK(pb_model_open(&m, scratch_path("source"), ERR));
	OK(encode(m, ERR));
	return m;
}

static struct pb_model *open_model(const char *path)
{
	struct pb_model *m = NULL;
	OK(pb_model_open(&m, path, ERR));
	return m;
}

static void refused(const char *path, enum pb_status status, const char *words)
{
	struct pb_model *m = NULL;
	struct pb_error err = { 0 };
	enum pb_status got = pb_model_open(&m, path, &err);
	if (got != status || !strstr(err.text, words))
		fail_msg("status %d, not %d: '%s' does not say '%s'", (int)got, (int)status, err.text, words);
	assert_null(m);
}

static void decode(const struct pb_matrix *x, float *out)
{
	const struct pb_encoded *encoded = NULL;
	struct pb_encoded *made = NULL;
	OK(pb_matrix_encoding(x, &encoded, &made, ERR));
	pb_encoded_decode(encoded, 0, x->rows, out);
	pb_encoded_free(made);
}

static void same_model(struct pb_model *a, struct pb_model *b)
{
	const struct pb_config *c = &a->config, *d = &b->config;
	assert_int_equal(c->n_vocab, d->n_vocab);
	assert_int_equal(c->context, d->context);
	assert_int_equal(c->rope_interleaved, d->rope_interleaved);
	assert_int_equal(c->rope_scaling, d->rope_scaling);
	assert_true(c->rope_factor == d->rope_factor && c->rope_base == d->rope_base && c->norm_eps == d->norm_eps);
	assert_int_equal(c->tied_head, d->tied_head);
	assert_int_equal(c->eos, d->eos);
	assert_int_equal(a->parameters, b->parameters);
	assert_int_equal(a->matrix_parameters, b->matrix_parameters);
	for (unsigned i = 0; i < pb_model_kept_count(a); i++) {
		const struct pb_tensor *t = pb_model_kept(a, i).tensor, *u = pb_model_kept(b, i).tensor;
		assert_int_equal(t->dtype, u->dtype);
		assert_int_equal(t->bytes, u->bytes);
		assert_memory_equal(t->data, u->data, t->bytes);
	}
	for (uint32_t i = 0; i < a->n_matrices; i++) {
		const struct pb_matrix *x = &a->matrices[i], *y = &b->matrices[i];
		float v[48 * 48], w[48 * 48];
		assert_string_equal(x->name, y->name);
		decode(x, v);
		decode(y, w);
		assert_memory_equal(v, w, (size_t)x->rows * x->cols * sizeof *v);
		assert_int_equal(y->encoded->post, x->encoded ? x->encoded->post : PB_POST_NONE);
	}
	struct pb_size s = pb_model_size(a), t = pb_model_size(b);
	assert_int_equal(s.weight_bytes, t.weight_bytes);
	assert_int_equal(s.kept_bytes, t.kept_bytes);
	assert_int_equal(s.model_bytes, t.model_bytes);
	assert_true(s.effective_bits == t.effective_bits);
}

static char *load(const char *path, size_t *size)
{
	char *data = NULL;
	OK(pb_file_read(path, 1 << 20, &data, size, ERR));
	return data;
}

static void same_file(const char *a, const char *b)
{
	size_t n, k;
	char *x = load(a, &n), *y = load(b, &k);
	assert_int_equal(n, k);
	assert_memory_equal(x, y, n);
	pb_free(x);
	pb_free(y);
}

static void test_round_trip(void **state)
{
	(void)state;
	static const enum pb_dtype dtypes[] = { PB_F32, PB_F16, PB_BF16 };
	for (int i = 0; i < 6; i++) {
		struct pb_model *m = make_model(dtypes[i % 3], i < 3);
		json_t *quantization = json_pack("{s:s, s:[f, i]}", "quantizer", "test", "numbers", 0.1, 3);
		assert_non_null(quantization);
		OK(pb_model_write(m, scratch_path("out/deep"), quantization, ERR));
		struct pb_model *back = open_model(scratch_path("out/deep"));
		same_model(m, back);
		assert_string_equal(back->format, "paretobench");
		assert_string_equal(back->name, "deep");
		assert_true(json_equal(back->quantization, quantization));
		assert_string_equal(back->files->source_hash, m->hash);
		assert_string_not_equal(back->hash, m->hash);
		OK(pb_model_check_finite(back, ERR));

		struct pb_safetensors *st = NULL;
		OK(pb_safetensors_open(&st, scratch_path("out/deep/model.safetensors"), ERR));
		assert_int_equal(pb_safetensors_data_bytes(st), pb_model_size(m).model_bytes);
		size_t size;
		pb_free(load(scratch_path("out/deep/model.safetensors"), &size));
		assert_int_equal(size, pb_safetensors_header_bytes(st) + pb_model_size(m).model_bytes);
		pb_safetensors_close(st);

		/* what was read is written again as the same bytes, over itself too */
		OK(pb_model_write(back, scratch_path("again"), quantization, ERR));
		same_file(scratch_path("out/deep/paretobench.json"), scratch_path("again/paretobench.json"));
		same_file(scratch_path("out/deep/model.safetensors"), scratch_path("again/model.safetensors"));
		OK(pb_model_write(back, scratch_path("out/deep"), NULL, ERR));
		struct pb_model *third = open_model(scratch_path("out/deep"));
		same_model(m, third);
		assert_null(third->quantization);
		assert_string_equal(third->hash, back->hash);
		assert_string_equal(third->files->source_hash, m->hash);
		pb_model_close(third);
		third = open_model(scratch_path("again/model.safetensors"));
		assert_string_equal(third->format, "paretobench");
		assert_string_equal(third->name, "again");
		pb_model_close(third);
		pb_model_close(back);
		pb_model_close(m);
		json_decref(quantization);
	}
}

/* The hash of an encoded model is of its encodings. */
static void test_hash(void **state)
{
	(void)state;
	struct pb_model *m = make_model(PB_F32, true);
	OK(pb_model_write(m, scratch_path("a"), NULL, ERR));
	pb_matrix_set_encoded(&m->matrices[3], NULL);
	OK(pb_model_write(m, scratch_path("b"), NULL, ERR));
	struct pb_model *a = open_model(scratch_path("a")), *b = open_model(scratch_path("b"));
	assert_string_not_equal(a->hash, b->hash);
	assert_string_equal(a->files->source_hash, b->files->source_hash);
	pb_model_close(a);
	pb_model_close(b);
	pb_model_close(m);
}

static void write_refused(const struct pb_model *m, const char *path, const char *words)
{
	struct pb_error err = { 0 };
	assert_int_equal(pb_model_write(m, path, NULL, &err), PB_USAGE);
	if (!strstr(err.text, words))
		fail_msg("'%s' does not say '%s'", err.text, words);
}

static void test_other_folders(void **state)
{
	(void)state;
	struct pb_model *m = make_model(PB_F32, true);
	OK(pb_model_write(m, scratch_path("out"), NULL, ERR));
	OK(pb_file_write(scratch_path("out/tokenizer.model"), "x", 1, ERR));
	OK(pb_file_write(scratch_path("out/.paretobench-1-0.tmp"), "x", 1, ERR));
	OK(pb_model_write(m, scratch_path("out"), NULL, ERR));
	OK(pb_file_write(scratch_path("out/notes.txt"), "x", 1, ERR));
	write_refused(m, scratch_path("out"), "the folder holds notes.txt");
	write_refused(m, scratch_path("source"), "the folder holds config.json");
	OK(pb_folder_make(scratch_path("raw"), ERR));
	OK(pb_file_write(scratch_path("raw/model.safetensors"), "x", 1, ERR));
	write_refused(m, scratch_path("raw"), "holds model.safetensors of another model");
	write_refused(m, scratch_path("raw/model.safetensors"), "Not a directory");
	struct pb_model *source = open_model(scratch_path("source"));
	pb_model_close(source);
	pb_model_close(m);
}

/* Replaces the first `from` in the JSON by `to` and makes the weights belong to it. */
static void change(const char *from, const char *to)
{
	size_t size;
	char *text = load(scratch_path("good/paretobench.json"), &size), *place = strstr(text, from);
	assert_non_null(place);
	char *changed = malloc(size + strlen(to) + 1);
	assert_non_null(changed);
	sprintf(changed, "%.*s%s%s", (int)(place - text), text, to, place + strlen(from));
	OK(pb_folder_make(scratch_path("bad"), ERR));
	OK(pb_file_write(scratch_path("bad/paretobench.json"), changed, strlen(changed), ERR));

	struct pb_safetensors *st = NULL;
	char hash[PB_HASH_HEX];
	const char *const metadata[] = { PB_ENCODED_KEY, hash, NULL };
	struct pb_named_tensor list[256];
	OK(pb_safetensors_open(&st, scratch_path("good/model.safetensors"), ERR));
	size_t n = pb_safetensors_count(st);
	assert_true(n < 256);
	for (size_t i = 0; i < n; i++)
		list[i] = (struct pb_named_tensor){ pb_safetensors_name(st, i), *pb_safetensors_tensor(st, i) };
	pb_hash_of_bytes(changed, strlen(changed), hash);
	OK(pb_safetensors_write(scratch_path("bad/model.safetensors"), list, n, metadata, ERR));
	pb_safetensors_close(st);
	free(changed);
	pb_free(text);
}

static void test_lies(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to;
		enum pb_status status;
		const char *words;
	} cases[] = {
		{ "\"schema\": 1", "\"schema\": 2", PB_UNSUPPORTED, "schema" },
		{ "\"format\": \"paretobench\"", "\"format\": \"other\"", PB_FORMAT, "format is not paretobench" },
		{ "\"source_hash\": \"", "\"source_hash\": \"0", PB_FORMAT, "source_hash" },
		{ "\"quantization\": null", "\"quantization\": 1", PB_FORMAT, "quantization" },
		{ "\"quantization\": null", "\"more\": 0, \"quantization\": null", PB_FORMAT, "other keys" },
		{ "\"dim\": 32", "\"dim\": 16", PB_FORMAT, "model.embed_tokens.weight: shape is [300, 32]" },
		{ "\"dim\": 32", "\"dim\": null", PB_FORMAT, "dim: missing" },
		{ "\"dim\": 32", "\"dim\": 32, \"width\": 1", PB_FORMAT, "keys that are not known" },
		{ "\"architecture\": \"llama\"", "\"architecture\": \"gpt2\"", PB_UNSUPPORTED, "architecture" },
		{ "\"n_layers\": 2", "\"n_layers\": 3", PB_FORMAT, "model.layers.2.input_layernorm.weight: the tensor is missing" },
		{ "\"n_layers\": 2", "\"n_layers\": 1", PB_FORMAT, "matrices that the model does not have" },
		{ "\"n_layers\": 2", "\"n_layers\": 4000000000", PB_FORMAT, "layers" },
		{ "\"hidden\": 48", "\"hidden\": 32", PB_FORMAT, "the config asks for" },
		{ "\"tied_head\": true", "\"tied_head\": false", PB_FORMAT, "lm_head.weight: the tensor is missing" },
		{ "\"rope_scaling\": \"linear\"", "\"rope_scaling\": \"yarn\"", PB_FORMAT, "rope_scaling" },
		{ "\"model.layers.0.mlp.down_proj\"", "\"model.layers.0.mlp.other\"", PB_FORMAT, "model.layers.0.mlp.down_proj: the matrix is missing" },
		{ "\"width\": \"4\"", "\"width\": \"3\"", PB_FORMAT, "model.layers." },
		{ "\"width\": \"1.58\"", "\"width\": \"2\"", PB_FORMAT, "model.layers." },
		{ "\"post\": \"layernorm\"", "\"post\": \"none\", \"x\": 1", PB_FORMAT, "model.layers." },
		{ "\"cols\": 32", "\"cols\": 31", PB_FORMAT, "model.layers." },
	};
	struct pb_model *m = make_model(PB_F32, true);
	OK(pb_model_write(m, scratch_path("good"), NULL, ERR));
	pb_model_close(m);
	change("\"schema\": 1", "\"schema\":  1");
	m = open_model(scratch_path("bad"));
	pb_model_close(m);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		change(cases[i].from, cases[i].to);
		refused(scratch_path("bad"), cases[i].status, cases[i].words);
	}
	/* a pair whose halves are not each other's */
	size_t size;
	char *text = load(scratch_path("bad/paretobench.json"), &size);
	OK(pb_file_write(scratch_path("good/paretobench.json"), text, size, ERR));
	pb_free(text);
	refused(scratch_path("good"), PB_FORMAT, "does not belong to model.safetensors beside it");
	assert_int_equal(unlink(scratch_path("good/model.safetensors")), 0);
	refused(scratch_path("good"), PB_MISSING, "model.safetensors");
}

/* Runs in a process of its own: reads, encodes, writes and reads again. 0: all of it; 3: stopped with a message. */
static int run_once(const char *source, const char *out)
{
	struct pb_error err = { 0 };
	struct pb_model *m = NULL, *back = NULL;
	enum pb_status status = pb_model_open(&m, source, &err);
	if (!status)
		status = encode(m, &err);
	if (!status)
		status = pb_model_write(m, out, NULL, &err);
	if (!status)
		status = pb_model_open(&back, out, &err);
	pb_model_close(m);
	pb_model_close(back);
	return !status ? 0 : err.text[0] && err.status == status ? 3 : 1;
}

static int run_child(const char *variable, unsigned n, const char *out)
{
	char number[16];
	int result;
	snprintf(number, sizeof number, "%u", n);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (variable)
			setenv(variable, number, 1);
		execl("/proc/self/exe", "test_model_write", scratch_path("source"), out, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &result, 0), child);
	assert_true(WIFEXITED(result));
	return WEXITSTATUS(result);
}

static unsigned count_entries(const char *path)
{
	unsigned n = 0;
	DIR *dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static void test_memory_runs_out(void **state)
{
	(void)state;
	pb_model_close(make_model(PB_F32, true));
	unsigned n = 0, unnoticed = 0, good = 0;
	/* Every one of the first, then steps: an allocation deep in a loop is like the one before it. Three successes in a
	 * row are the end; one alone is a failure that nobody missed, which is right for the fsync of a folder only. */
	while (good < 3) {
		n += good || n < 60 ? 1 : 1 + n / 12;
		int result = run_child("PB_TEST_FAIL_ALLOC", n, scratch_path("out"));
		if (result != 0 && result != 3)
			fail_msg("allocation %u: exit code %d", n, result);
		if (result == 3 && good) {
			unnoticed++;
			good = 0;
		}
		good += result == 0;
		assert_true(n < 100000);
	}
	assert_true(n > 1000);
	assert_in_range(unnoticed, 0, 2);
}

static void test_disk_is_full(void **state)
{
	(void)state;
	pb_model_close(make_model(PB_F32, true));
	int result = 3;
	unsigned n = 0;
	while (result == 3 && n < 10000) {
		n++;
		result = run_child("PB_TEST_FAIL_WRITE", n, scratch_path("out"));
		if (result != 0 && result != 3)
			fail_msg("write %u: exit code %d", n, result);
		assert_in_range(count_entries(scratch_path("out")), 0, 4); /* no temporary file stays */
		if (result == 3) {
			struct pb_model *m = NULL;
			struct pb_error err = { 0 };
			assert_int_not_equal(pb_model_open(&m, scratch_path("out"), &err), PB_OK);
			assert_non_null(strstr(err.text, "out"));
		}
	}
	assert_int_equal(result, 0);
	assert_true(n > 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, NULL, scratch_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip),
		TEST(test_hash),
		TEST(test_other_folders),
		TEST(test_lies),
		TEST(test_memory_runs_out),
		TEST(test_disk_is_full),
	};
	if (argc == 3)
		return run_once(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
