/* Reading models: llama2.c files and Hugging Face folders that are made here, and every way to lie in them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/model/model.h"
#include "core/model/model_files.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tiny_model.h"

static struct pb_model *open_model(const char *path)
{
	struct pb_model *model = NULL;
	OK(pb_model_open(&model, path, ERR));
	return model;
}

/* One sentence that names the subject and says `words`. */
static void refused(const char *path, enum pb_status status, const char *words)
{
	struct pb_model *model = NULL;
	struct pb_error err = { 0 };
	enum pb_status got = pb_model_open(&model, path, &err);
	if (got != status || !strstr(err.text, words))
		fail_msg("%s: status %d, not %d: '%s' does not say '%s'", path, (int)got, (int)status, err.text, words);
	assert_null(model);
	if (strncmp(err.text, scratch_folder(), strlen(scratch_folder())))
		fail_msg("'%s' does not begin with the path", err.text);
}

static void write_text(const char *path, const char *text)
{
	OK(pb_file_write(path, text, strlen(text), ERR));
}

static void rename_file(const char *from, const char *to)
{
	assert_int_equal(rename(from, to), 0);
}

static float *values_of(const struct pb_tensor *t, size_t n)
{
	float *values = calloc(n, sizeof *values);
	assert_non_null(values);
	assert_int_equal(t->bytes, n * pb_dtype_bytes(t->dtype));
	pb_float_read(t->dtype, t->data, 0, n, values);
	return values;
}

static void same_tensor(const struct pb_tensor *a, const struct pb_tensor *b)
{
	assert_int_equal(a->dtype, b->dtype);
	assert_int_equal(a->n_dims, b->n_dims);
	assert_memory_equal(a->shape, b->shape, a->n_dims * sizeof *a->shape);
	assert_int_equal(a->bytes, b->bytes);
	assert_memory_equal(a->data, b->data, a->bytes);
}

/* The same numbers; `halved`: b holds q and k with each head's dimensions in halves, a in adjacent pairs. */
static void same_model(struct pb_model *a, struct pb_model *b, bool halved)
{
	uint32_t d = a->config.head_dim;
	assert_int_equal(pb_model_kept_count(a), pb_model_kept_count(b));
	for (unsigned i = 0; i < pb_model_kept_count(a); i++)
		same_tensor(pb_model_kept(a, i).tensor, pb_model_kept(b, i).tensor);
	assert_int_equal(a->n_matrices, b->n_matrices);
	for (uint32_t i = 0; i < a->n_matrices; i++) {
		const struct pb_matrix *x = &a->matrices[i], *y = &b->matrices[i];
		assert_string_equal(x->name, y->name);
		assert_int_equal(x->rows, y->rows);
		assert_int_equal(x->cols, y->cols);
		if (!halved || (x->slot != PB_Q && x->slot != PB_K)) {
			same_tensor(&x->source, &y->source);
			continue;
		}
		float *v = values_of(&x->source, (size_t)x->rows * x->cols), *w = values_of(&y->source, (size_t)x->rows * x->cols);
		for (uint32_t r = 0; r < x->rows; r++) {
			uint32_t k = r % d, there = r - k + k / 2 + (k % 2 ? d / 2 : 0);
			assert_memory_equal(v + (size_t)r * x->cols, w + (size_t)there * x->cols, x->cols * sizeof *v);
		}
		free(v);
		free(w);
	}
}

static void check_names(const struct pb_model *m)
{
	static const char *const names[] = { "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
		"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj" };
	assert_int_equal(m->n_matrices, 7 * m->config.n_layers);
	for (uint32_t i = 0; i < m->n_matrices; i++) {
		char name[96];
		snprintf(name, sizeof name, "model.layers.%u.%s", i / 7, names[i % 7]);
		assert_string_equal(m->matrices[i].name, name);
		assert_int_equal(m->matrices[i].layer, i / 7);
		assert_int_equal(m->matrices[i].slot, i % 7);
	}
}

static void test_llama2c(void **state)
{
	(void)state;
	for (int tied = 0; tied < 2; tied++) {
		struct tiny_model t = tiny_model_default();
		t.tied = tied;
		OK(tiny_model_write_llama2c(scratch_path("tiny.v0.bin"), &t, 0, ERR));
		OK(tiny_model_write_llama2c(scratch_path("v1.bin"), &t, 1, ERR));
		struct pb_model *m = open_model(scratch_path("tiny.v0.bin")), *v1 = open_model(scratch_path("v1.bin"));
		const struct pb_config *c = &m->config;
		assert_string_equal(m->name, "tiny.v0");
		assert_string_equal(m->format, "llama2.c");
		assert_string_equal(m->path, scratch_path("tiny.v0.bin"));
		assert_string_equal(c->architecture, "llama");
		assert_int_equal(c->n_vocab, 300);
		assert_int_equal(c->dim, 32);
		assert_int_equal(c->n_layers, 2);
		assert_int_equal(c->n_heads, 4);
		assert_int_equal(c->n_kv_heads, 2);
		assert_int_equal(c->head_dim, 8);
		assert_int_equal(c->hidden, 48);
		assert_int_equal(c->context, 64);
		assert_true(c->norm_eps == 1e-5f);
		assert_true(c->rope_base == 10000);
		assert_true(c->rope_interleaved);
		assert_int_equal(c->rope_scaling, PB_ROPE_PLAIN);
		assert_int_equal(c->tied_head, tied);
		assert_int_equal(c->bos, 1);
		assert_int_equal(c->eos, 2);
		check_names(m);
		/* q, o: 32 x 32; k, v: 16 x 32; gate, up, down: 48 x 32 */
		assert_int_equal(m->matrix_parameters, 2 * (2 * 1024 + 2 * 512 + 3 * 1536));
		assert_int_equal(m->parameters, m->matrix_parameters + 300 * 32 * (tied ? 1 : 2) + 5 * 32);
		assert_int_equal(m->matrices[PB_K].rows, 16);
		assert_int_equal(m->matrices[PB_DOWN].rows, 32);
		assert_int_equal(m->matrices[PB_DOWN].cols, 48);
		assert_true(tied == (m->head.data == m->embedding.data));
		struct pb_size size = pb_model_size(m);
		assert_int_equal(size.weight_bytes, 4 * m->matrix_parameters);
		assert_int_equal(size.model_bytes, 4 * m->parameters);
		assert_true(size.effective_bits == 32);
		same_model(m, v1, false);
		assert_string_equal(m->hash, v1->hash);
		OK(pb_model_check_finite(m, ERR));
		float *norm = values_of(&m->attention_norm[1], 32);
		assert_true(fabsf(norm[0] - 1) < 1 && norm[0] != norm[1]);
		free(norm);
		pb_model_close(m);
		pb_model_close(v1);
	}
}

static char *load(const char *path, size_t *size)
{
	char *data = NULL;
	OK(pb_file_read(path, 1 << 20, &data, size, ERR));
	return data;
}

/* The parser on a copy of exactly that size, so that the sanitizer sees what is read beyond. */
static void parse_refused(const char *data, size_t size, enum pb_status status, const char *words)
{
	struct pb_model *model = NULL;
	struct pb_error err = { 0 };
	char *copy = malloc(size ? size : 1);
	assert_non_null(copy);
	memcpy(copy, data, size);
	enum pb_status got = pb_model_parse_llama2c(&model, "tiny.bin", copy, size, &err);
	if (got != status || !strstr(err.text, words) || strncmp(err.text, "tiny.bin: ", 10))
		fail_msg("status %d, not %d: '%s' does not say '%s'", (int)got, (int)status, err.text, words);
	assert_null(model);
	free(copy);
}

static void test_llama2c_header(void **state)
{
	(void)state;
	static const struct {
		int field;
		int32_t value;
		const char *words;
	} cases[] = {
		{ 0, 0, "dim is 0" }, { 0, -32, "dim is -32" }, { 0, 34, "no multiple of n_heads 4" }, { 0, 4, "dimension of a head" },
		{ 0, 12, "odd" }, { 0, 64, "truncated" }, { 0, 16, "too long" }, { 0, INT32_MAX - 3, "dimension: 2147483644 is out of the range" },
		{ 1, 0, "hidden_dim is 0" }, { 1, 49, "truncated" }, { 1, 47, "too long" }, { 1, INT32_MAX, "feed-forward" },
		{ 2, 0, "n_layers is 0" }, { 2, 3, "truncated" }, { 2, 1, "too long" }, { 2, INT32_MAX, "layers" },
		{ 3, 0, "n_heads is 0" }, { 3, 5, "no multiple of n_heads 5" }, { 3, 64, "no multiple of n_heads 64" }, { 3, 2, "" },
		{ 4, 0, "n_kv_heads is 0" }, { 4, 3, "no multiple of 3 key-value heads" }, { 4, 8, "no multiple of 8" }, { 4, 4, "truncated" },
		{ 5, 0, "vocab_size is 0" }, { 5, INT32_MIN, "vocab_size is -2147483648" }, { 5, -300, "truncated" }, { 5, 301, "truncated" },
		{ 5, 299, "too long" }, { 5, INT32_MAX, "vocabulary" },
		{ 6, 0, "seq_len is 0" }, { 6, -1, "seq_len is -1" }, { 6, 65, "truncated" }, { 6, 63, "too long" }, { 6, INT32_MAX, "context" },
	};
	struct tiny_model t = tiny_model_default();
	size_t size;
	OK(tiny_model_write_llama2c(scratch_path("tiny.bin"), &t, 0, ERR));
	char *data = load(scratch_path("tiny.bin"), &size);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int32_t old;
		memcpy(&old, data + 4 * cases[i].field, 4);
		memcpy(data + 4 * cases[i].field, &cases[i].value, 4);
		parse_refused(data, size, PB_FORMAT, cases[i].words);
		memcpy(data + 4 * cases[i].field, &old, 4);
	}
	char words[128];
	snprintf(words, sizeof words, "truncated: header asks for %zu bytes, the file has %zu", size, size - 1);
	parse_refused(data, size - 1, PB_FORMAT, words);
	for (size_t n = 0; n < size; n += n < 300 ? 1 : 997)
		parse_refused(data, n, PB_FORMAT, "truncated");
	char *longer = calloc(size + 1, 1);
	assert_non_null(longer);
	memcpy(longer, data, size);
	parse_refused(longer, size + 1, PB_FORMAT, "too long: header asks for");
	free(longer);
	pb_free(data);

	OK(tiny_model_write_llama2c(scratch_path("tiny.bin"), &t, 1, ERR));
	data = load(scratch_path("tiny.bin"), &size);
	data[4] = 2;
	parse_refused(data, size, PB_UNSUPPORTED, "version 2 of llama2.c's format (int8 groups) is not read");
	data[4] = 3;
	parse_refused(data, size, PB_FORMAT, "version 3");
	data[4] = 1;
	data[36] = 2;
	parse_refused(data, size, PB_FORMAT, "flag");
	data[36] = 0;
	parse_refused(data, size, PB_FORMAT, "truncated");
	data[36] = 1;
	data[255] = 1;
	parse_refused(data, size, PB_FORMAT, "padding is not zero at byte 255");
	data[255] = 0;
	memcpy(data + 8 + 4 * 5, &(int32_t){ -300 }, 4);
	parse_refused(data, size, PB_FORMAT, "vocab_size is -300");
	memcpy(data + 8 + 4 * 5, &(int32_t){ 300 }, 4);
	for (size_t n = 0; n < size; n += n < 300 ? 1 : 997)
		parse_refused(data, n, PB_FORMAT, "truncated");
	memcpy(data, "PK\3\4", 4);
	parse_refused(data, size, PB_UNSUPPORTED, "convert");
	pb_free(data);
}

/* Folders of every kind are the same function as the llama2.c file of the same seed. */
static void test_folders(void **state)
{
	(void)state;
	for (int tied = 0; tied < 2; tied++) {
		struct tiny_model t = tiny_model_default();
		t.tied = tied;
		OK(tiny_model_write_llama2c(scratch_path("tiny.bin"), &t, 0, ERR));
		OK(tiny_model_write_folder(scratch_path("one"), &t, ERR));
		t.shards = 3;
		t.has_frequencies = true;
		OK(tiny_model_write_folder(scratch_path("three.v1"), &t, ERR));
		struct pb_model *m = open_model(scratch_path("tiny.bin")), *one = open_model(scratch_path("one")), *three = open_model(scratch_path("three.v1"));
		assert_string_equal(one->name, "one");
		assert_string_equal(three->name, "three.v1");
		assert_string_equal(one->format, "huggingface");
		check_names(one);
		same_model(m, one, true);
		same_model(one, three, false);
		assert_string_equal(one->hash, three->hash);
		assert_string_not_equal(one->hash, m->hash);
		assert_int_equal(one->parameters, m->parameters);
		assert_false(one->config.rope_interleaved);
		assert_true(one->config.norm_eps == 1e-5f);
		assert_int_equal(one->config.tied_head, tied);
		pb_model_close(m);
		pb_model_close(one);
		pb_model_close(three);

		struct pb_model *file = open_model(scratch_path("one/model.safetensors"));
		assert_string_equal(file->name, "one");
		pb_model_close(file);
		scratch_remove_tree(scratch_path("one"));
		scratch_remove_tree(scratch_path("three.v1"));
	}
}

static void test_dtypes(void **state)
{
	(void)state;
	static const enum pb_dtype dtypes[] = { PB_F32, PB_F16, PB_BF16 };
	char hashes[3][PB_HASH_HEX];
	for (int i = 0; i < 3; i++) {
		struct tiny_model t = tiny_model_default();
		t.dtype = dtypes[i];
		t.n_heads = 6;
		t.n_kv_heads = 2;
		t.head_dim = 10;
		OK(tiny_model_write_folder(scratch_path("m"), &t, ERR));
		struct pb_model *m = open_model(scratch_path("m"));
		assert_int_equal(m->matrices[0].source.dtype, dtypes[i]);
		assert_int_equal(m->config.head_dim, 10);
		assert_int_equal(m->matrices[PB_Q].rows, 60);
		assert_int_equal(m->matrices[PB_V].rows, 20);
		assert_int_equal(m->matrices[PB_O].cols, 60);
		assert_int_equal(pb_model_size(m).model_bytes, m->parameters * pb_dtype_bytes(dtypes[i]));
		assert_true(pb_model_size(m).effective_bits == (i ? 16 : 32));
		float w[60 * 32];
		OK(pb_matrix_read(&m->matrices[PB_Q], w, ERR));
		assert_true(w[0] != 0 && isfinite(w[60 * 32 - 1]));
		OK(pb_model_check_finite(m, ERR));
		memcpy(hashes[i], m->hash, PB_HASH_HEX);
		pb_model_close(m);
	}
	assert_string_not_equal(hashes[0], hashes[1]);
	assert_string_not_equal(hashes[1], hashes[2]);
}

/* What changes a number changes the hash, and nothing else does. */
static void test_hash(void **state)
{
	(void)state;
	static const struct {
		const char *extra;
		bool same;
	} cases[] = {
		{ ", \"torch_dtype\": \"float16\", \"use_cache\": true", true },
		{ ", \"rope_theta\": 10000.0", true },
		{ ", \"rope_theta\": 10001.0", false },
		{ ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}", false },
		{ ", \"rope_scaling\": null, \"head_dim\": 8", true },
	};
	struct tiny_model t = tiny_model_default();
	OK(tiny_model_write_folder(scratch_path("m"), &t, ERR));
	struct pb_model *m = open_model(scratch_path("m"));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		t.extra = cases[i].extra;
		OK(tiny_model_write_folder(scratch_path("n"), &t, ERR));
		struct pb_model *n = open_model(scratch_path("n"));
		if (cases[i].same != !strcmp(m->hash, n->hash))
			fail_msg("%s: the hash is %s", cases[i].extra, cases[i].same ? "another" : "the same");
		pb_model_close(n);
	}
	t.extra = NULL;
	t.seed = 2;
	OK(tiny_model_write_folder(scratch_path("n"), &t, ERR));
	struct pb_model *n = open_model(scratch_path("n"));
	assert_string_not_equal(m->hash, n->hash);
	pb_model_close(n);
	pb_model_close(m);
}

static void test_tied(void **state)
{
	(void)state;
	struct tiny_model t = tiny_model_default();
	OK(tiny_model_write_folder(scratch_path("plain"), &t, ERR));
	t.store_both = true;
	OK(tiny_model_write_folder(scratch_path("both"), &t, ERR));
	t.store_both = false;
	t.head_only = true;
	OK(tiny_model_write_folder(scratch_path("head"), &t, ERR));
	struct pb_model *plain = open_model(scratch_path("plain")), *both = open_model(scratch_path("both")), *head = open_model(scratch_path("head"));
	same_model(plain, both, false);
	same_model(plain, head, false);
	assert_string_equal(plain->hash, both->hash);
	assert_string_equal(plain->hash, head->hash);
	pb_model_close(plain);
	pb_model_close(both);
	pb_model_close(head);

	/* the config says untied and there is no head: tied; it says tied and the head is another: refused */
	struct tiny_model u = tiny_model_default();
	u.tied = false;
	OK(tiny_model_write_folder(scratch_path("untied"), &u, ERR));
	rename_file(scratch_path("untied/config.json"), scratch_path("untied.json"));
	rename_file(scratch_path("plain/config.json"), scratch_path("untied/config.json"));
	rename_file(scratch_path("untied.json"), scratch_path("plain/config.json"));
	plain = open_model(scratch_path("plain"));
	assert_true(plain->config.tied_head);
	pb_model_close(plain);
	refused(scratch_path("untied"), PB_FORMAT, "lm_head.weight differs from model.embed_tokens.weight");
}

/* The weights of one model with the config of another. */
static void mix(const struct tiny_model *weights, const struct tiny_model *config, enum pb_status status, const char *words)
{
	OK(tiny_model_write_folder(scratch_path("weights"), weights, ERR));
	OK(tiny_model_write_folder(scratch_path("config"), config, ERR));
	rename_file(scratch_path("config/config.json"), scratch_path("weights/config.json"));
	refused(scratch_path("weights"), status, words);
	scratch_remove_tree(scratch_path("weights"));
	scratch_remove_tree(scratch_path("config"));
}

static void test_wrong_tensors(void **state)
{
	(void)state;
	const struct tiny_model t = tiny_model_default();
	struct tiny_model u = t;
	u.n_layers = 3;
	mix(&t, &u, PB_FORMAT, "model.layers.2.input_layernorm.weight: the tensor is missing");
	mix(&u, &t, PB_UNSUPPORTED, "model.layers.2.input_layernorm.weight: the tensor has no place");
	u = t;
	u.hidden = 47;
	mix(&t, &u, PB_FORMAT, "model.layers.0.mlp.gate_proj.weight: shape is [48, 32], the config asks for [47, 32]");
	u = t;
	u.dim = 16;
	mix(&t, &u, PB_FORMAT, "model.embed_tokens.weight: shape is [300, 32], the config asks for [300, 16]");
	u = t;
	u.n_kv_heads = 4;
	mix(&t, &u, PB_FORMAT, "model.layers.0.self_attn.k_proj.weight: shape is [16, 32], the config asks for [32, 32]");
	u = t;
	u.dtype = PB_I16;
	mix(&u, &t, PB_UNSUPPORTED, "dtype I16 is not done");
}

static void test_index(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *words;
	} cases[] = {
		{ "{}", "weight_map is missing" }, { "[]", "weight_map is missing" }, { "{\"weight_map\": {}}", "empty" },
		{ "{\"weight_map\": {\"model.norm.weight\": \"../other.safetensors\"}}", "plain name" },
		{ "{\"weight_map\": {\"model.norm.weight\": \"/etc/x.safetensors\"}}", "plain name" },
		{ "{\"weight_map\": {\"model.norm.weight\": \"a\\\\b.safetensors\"}}", "plain name" },
		{ "{\"weight_map\": {\"model.norm.weight\": \".safetensors\"}}", "plain name" },
		{ "{\"weight_map\": {\"model.norm.weight\": \"\"}}", "plain name" },
		{ "{\"weight_map\": {\"model.norm.weight\": 7}}", "plain name" },
		{ "{\"weight_map\": {\"model.norm.weight\": \"config.json\"}}", "plain name" },
		{ "{\"weight_map\": {\"absent\": \"model-00001-of-00002.safetensors\"}}", "is not in its file" },
		{ "{\"weight_map\": {\"model.embed_tokens.weight\": \"model-00001-of-00002.safetensors\"}}", "the tensor is not in model.safetensors.index.json" },
		{ "{\"weight_map\": ", "index.json:" },
	};
	struct tiny_model t = tiny_model_default();
	t.shards = 2;
	OK(tiny_model_write_folder(scratch_path("m"), &t, ERR));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_text(scratch_path("m/model.safetensors.index.json"), cases[i].text);
		refused(scratch_path("m"), PB_FORMAT, cases[i].words);
	}
	write_text(scratch_path("m/model.safetensors.index.json"), "{\"weight_map\": {\"model.norm.weight\": \"gone.safetensors\"}}");
	refused(scratch_path("m"), PB_MISSING, "gone.safetensors");
	assert_int_equal(unlink(scratch_path("m/model.safetensors.index.json")), 0);
	refused(scratch_path("m"), PB_MISSING, "no weights");
	write_text(scratch_path("m/pytorch_model.bin"), "PK");
	refused(scratch_path("m"), PB_UNSUPPORTED, "convert the model to safetensors");
	/* one shard alone is not a model */
	refused(scratch_path("m/model-00001-of-00002.safetensors"), PB_FORMAT, "the tensor is missing");
	assert_int_equal(unlink(scratch_path("m/config.json")), 0);
	refused(scratch_path("m"), PB_MISSING, "neither config.json nor paretobench.json");
	refused(scratch_path("absent"), PB_MISSING, "no such file");
	write_text(scratch_path("x.gguf"), "GGUF");
	refused(scratch_path("x.gguf"), PB_USAGE, "not a model");
	write_text(scratch_path("x.bin"), "");
	refused(scratch_path("x.bin"), PB_FORMAT, "truncated");
}

#define BASE "\"vocab_size\": 300, \"hidden_size\": 32, \"intermediate_size\": 48, \"num_hidden_layers\": 2, \"num_attention_heads\": 4"
#define LLAMA "{\"model_type\": \"llama\", " BASE
#define MISTRAL "{\"model_type\": \"mistral\", " BASE

static struct pb_config parse_config(const char *text)
{
	struct pb_config c;
	OK(pb_config_parse(&c, "config.json", text, strlen(text), ERR));
	return c;
}

static void test_config(void **state)
{
	(void)state;
	struct pb_config c = parse_config(LLAMA "}");
	assert_int_equal(c.n_kv_heads, 4);
	assert_int_equal(c.head_dim, 8);
	assert_int_equal(c.context, 2048);
	assert_true(c.norm_eps == 1e-6f);
	assert_true(c.rope_base == 10000);
	assert_false(c.rope_interleaved);
	assert_false(c.tied_head);
	assert_int_equal(c.bos, 1);
	assert_int_equal(c.eos, 2);
	c = parse_config(LLAMA ", \"num_key_value_heads\": null, \"head_dim\": null, \"rope_scaling\": null, \"bos_token_id\": null, \"eos_token_id\": [7, 8],"
		" \"tie_word_embeddings\": true, \"rope_theta\": 500000.0, \"attention_bias\": false, \"hidden_act\": \"silu\", \"unknown\": {}}");
	assert_int_equal(c.eos, 7);
	assert_true(c.tied_head);
	assert_true(c.rope_base == 500000);
	c = parse_config(LLAMA ", \"share_embedding\": true, \"layer_sharing\": false, \"head_dim\": 64}");
	assert_true(c.tied_head);
	assert_int_equal(c.head_dim, 64);
	c = parse_config(LLAMA ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 4.0}}");
	assert_int_equal(c.rope_scaling, PB_ROPE_LINEAR);
	assert_true(c.rope_factor == 4);
	c = parse_config(LLAMA ", \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 32, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0,"
		" \"original_max_position_embeddings\": 8192}}");
	assert_int_equal(c.rope_scaling, PB_ROPE_LLAMA3);
	assert_true(c.rope_factor == 32 && c.rope_low == 1 && c.rope_high == 4 && c.rope_original_context == 8192);
	c = parse_config(LLAMA ", \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 5000}}");
	assert_int_equal(c.rope_scaling, PB_ROPE_PLAIN);
	assert_true(c.rope_base == 5000);
	c = parse_config(MISTRAL ", \"num_key_value_heads\": 2, \"sliding_window\": null}");
	assert_int_equal(c.n_kv_heads, 2);
	assert_int_equal(c.context, 131072);
	c = parse_config(MISTRAL ", \"num_key_value_heads\": 2, \"max_position_embeddings\": 4096}");
	assert_int_equal(c.context, 4096);
}

static void test_config_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum pb_status status;
		const char *words;
	} cases[] = {
		{ "", PB_FORMAT, "" }, { "[]", PB_FORMAT, "not an object" }, { "{}", PB_FORMAT, "model_type: missing" },
		{ "{\"model_type\": \"gpt2\"}", PB_UNSUPPORTED, "model_type: gpt2 is not done" },
		{ "{\"model_type\": 3}", PB_FORMAT, "model_type: not a name" },
		{ "{\"model_type\": \"llama\"}", PB_FORMAT, "vocab_size: missing" },
		{ LLAMA ", \"vocab_size\": 300}", PB_FORMAT, "duplicate" },
		{ LLAMA ", \"head_dim\": 7}", PB_FORMAT, "odd" },
		{ LLAMA ", \"head_dim\": -8}", PB_FORMAT, "head_dim: not a whole number" },
		{ LLAMA ", \"head_dim\": 0}", PB_FORMAT, "dimension of a head: 0 is out of the range" },
		{ LLAMA ", \"num_key_value_heads\": 3}", PB_FORMAT, "no multiple of 3" },
		{ LLAMA ", \"num_key_value_heads\": 0}", PB_FORMAT, "key-value heads: 0" },
		{ LLAMA ", \"num_key_value_heads\": 2.5}", PB_FORMAT, "num_key_value_heads: not a whole" },
		{ LLAMA ", \"max_position_embeddings\": 99999999999}", PB_FORMAT, "max_position_embeddings: not a whole" },
		{ LLAMA ", \"rms_norm_eps\": \"1e-5\"}", PB_FORMAT, "rms_norm_eps: not a number" },
		{ LLAMA ", \"rms_norm_eps\": 0}", PB_FORMAT, "epsilon" },
		{ LLAMA ", \"rms_norm_eps\": 1e300}", PB_FORMAT, "epsilon" },
		{ LLAMA ", \"rope_theta\": -1}", PB_FORMAT, "rotary base" },
		{ LLAMA ", \"rope_theta\": 1e999}", PB_FORMAT, "" },
		{ LLAMA ", \"attention_bias\": true}", PB_UNSUPPORTED, "attention_bias" },
		{ LLAMA ", \"mlp_bias\": true}", PB_UNSUPPORTED, "mlp_bias" },
		{ LLAMA ", \"mlp_bias\": 1}", PB_FORMAT, "mlp_bias: neither true nor false" },
		{ LLAMA ", \"layer_sharing\": true}", PB_UNSUPPORTED, "layer_sharing" },
		{ LLAMA ", \"hidden_act\": \"gelu\"}", PB_UNSUPPORTED, "hidden_act: gelu is not done" },
		{ LLAMA ", \"hidden_act\": \"ge\\nlu\"}", PB_FORMAT, "hidden_act: not a name" },
		{ LLAMA ", \"quantization_config\": {}}", PB_UNSUPPORTED, "quantization_config" },
		{ LLAMA ", \"partial_rotary_factor\": 0.5}", PB_UNSUPPORTED, "partial_rotary_factor" },
		{ LLAMA ", \"bos_token_id\": 300}", PB_FORMAT, "outside of the vocabulary" },
		{ LLAMA ", \"eos_token_id\": \"</s>\"}", PB_FORMAT, "eos_token_id: not a token id" },
		{ LLAMA ", \"rope_scaling\": 2}", PB_FORMAT, "rope_scaling: not an object" },
		{ LLAMA ", \"rope_scaling\": {}}", PB_FORMAT, "no rope_type" },
		{ LLAMA ", \"rope_scaling\": {\"type\": \"yarn\"}}", PB_UNSUPPORTED, "yarn is not done" },
		{ LLAMA ", \"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}}", PB_UNSUPPORTED, "dynamic is not done" },
		{ LLAMA ", \"rope_scaling\": {\"type\": \"linear\"}}", PB_FORMAT, "factor: missing" },
		{ LLAMA ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 0}}", PB_FORMAT, "factor" },
		{ LLAMA ", \"rope_scaling\": {\"type\": \"llama3\", \"factor\": 8}}", PB_FORMAT, "low_freq_factor: missing" },
		{ LLAMA ", \"rope_scaling\": {\"type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 4,"
			" \"original_max_position_embeddings\": 8192}}", PB_FORMAT, "0 < low < high" },
		{ LLAMA ", \"rope_theta\": 1, \"rope_parameters\": {\"type\": \"default\", \"rope_theta\": 2}}", PB_FORMAT, "two different values" },
		{ LLAMA ", \"rope_scaling\": {\"type\": \"default\"}, \"rope_parameters\": {\"type\": \"default\"}}", PB_FORMAT, "beside rope_scaling" },
		{ MISTRAL ", \"num_key_value_heads\": 2}", PB_UNSUPPORTED, "sliding_window: 4096 is shorter" },
		{ MISTRAL ", \"num_key_value_heads\": 2, \"sliding_window\": 16, \"max_position_embeddings\": 32}", PB_UNSUPPORTED, "sliding_window: 16" },
		{ "{\"model_type\": \"llama\", \"vocab_size\": 300, \"hidden_size\": 33, \"intermediate_size\": 48, \"num_hidden_layers\": 2,"
			" \"num_attention_heads\": 4}", PB_FORMAT, "hidden_size: no multiple" },
		{ "{\"model_type\": \"llama\", \"vocab_size\": 300, \"hidden_size\": 32, \"intermediate_size\": 48, \"num_hidden_layers\": 2,"
			" \"num_attention_heads\": 0}", PB_FORMAT, "" },
		{ "{\"model_type\": \"llama\", \"vocab_size\": 4294967295, \"hidden_size\": 4294967292, \"intermediate_size\": 4294967295,"
			" \"num_hidden_layers\": 4294967295, \"num_attention_heads\": 4}", PB_FORMAT, "out of the range" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pb_config c;
		struct pb_error err = { 0 };
		enum pb_status got = pb_config_parse(&c, "config.json", cases[i].text, strlen(cases[i].text), &err);
		if (got != cases[i].status || !strstr(err.text, cases[i].words) || strncmp(err.text, "config.json:", 12))
			fail_msg("%s: status %d, '%s' does not say '%s'", cases[i].text, (int)got, err.text, cases[i].words);
	}
}

static void test_not_finite(void **state)
{
	(void)state;
	struct tiny_model t = tiny_model_default();
	struct pb_model *m = NULL;
	struct pb_error err = { 0 };
	size_t size;
	OK(tiny_model_write_llama2c(scratch_path("tiny.bin"), &t, 0, ERR));
	char *data = load(scratch_path("tiny.bin"), &size);
	const float bad[2] = { NAN, INFINITY };
	OK(pb_model_parse_llama2c(&m, "tiny.bin", data, size, ERR));
	memcpy((char *)m->matrices[7 + PB_DOWN].source.data + 4, bad, 8);
	assert_int_equal(pb_model_check_finite(m, &err), PB_NUMERIC);
	assert_string_equal(err.text, "tiny.bin: model.layers.1.mlp.down_proj: 2 of 1536 weights are not finite");
	memcpy((char *)m->final_norm.data, bad, 4);
	assert_int_equal(pb_model_check_finite(m, &err), PB_NUMERIC);
	assert_string_equal(err.text, "tiny.bin: model.norm.weight: 1 of 32 weights are not finite");
	pb_model_close(m);
	pb_free(data);
}

static void test_tokenizer(void **state)
{
	(void)state;
	struct tiny_model t = tiny_model_default();
	struct pb_error err = { 0 };
	char *path = NULL;
	OK(tiny_model_write_llama2c(scratch_path("tiny.bin"), &t, 0, ERR));
	struct pb_model *m = open_model(scratch_path("tiny.bin"));
	assert_int_equal(pb_model_find_tokenizer(m, &path, &err), PB_MISSING);
	assert_non_null(strstr(err.text, "tokenizer.model"));
	assert_non_null(strstr(err.text, "tokenizer.bin"));
	assert_non_null(strstr(err.text, "--tokenizer FILE"));
	assert_null(path);
	OK(tiny_model_write_tokenizer(scratch_path("tokenizer.bin"), 300, ERR));
	OK(pb_model_find_tokenizer(m, &path, ERR));
	assert_string_equal(path, scratch_path("tokenizer.bin"));
	pb_free(path);
	write_text(scratch_path("tokenizer.model"), "x");
	OK(pb_model_find_tokenizer(m, &path, ERR));
	assert_string_equal(path, scratch_path("tokenizer.model"));
	pb_free(path);
	write_text(scratch_path("tokenizer.json"), "x");
	OK(pb_model_find_tokenizer(m, &path, ERR));
	assert_string_equal(path, scratch_path("tokenizer.json"));
	pb_free(path);
	pb_model_close(m);
	assert_int_equal(tiny_model_write_tokenizer(scratch_path("small.bin"), 258, &err), PB_USAGE);
}

static void test_real_models(void **state)
{
	(void)state;
	static const struct {
		const char *file;
		uint64_t parameters;
		uint32_t n_vocab, context;
	} cases[] = {
		{ "models/stories260K/stories260K.bin", 260032, 512, 512 },
		{ "models/babyllama_tok105/model5000.bin", 936448, 105, 256 },
	};
	const char *data = getenv("PB_TEST_DATA");
	if (!data || !data[0])
		skip();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *path = pb_path_join(data, cases[i].file);
		assert_non_null(path);
		struct pb_model *m = open_model(path);
		assert_int_equal(m->parameters, cases[i].parameters);
		assert_int_equal(m->config.n_vocab, cases[i].n_vocab);
		assert_int_equal(m->config.context, cases[i].context);
		assert_int_equal(m->config.n_kv_heads, 4);
		assert_true(m->config.tied_head);
		OK(pb_model_check_finite(m, ERR));
		pb_model_close(m);
		pb_free(path);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, NULL, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_llama2c),
		TEST(test_llama2c_header),
		TEST(test_folders),
		TEST(test_dtypes),
		TEST(test_hash),
		TEST(test_tied),
		TEST(test_wrong_tensors),
		TEST(test_index),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_refused),
		TEST(test_not_finite),
		TEST(test_tokenizer),
		cmocka_unit_test(test_real_models),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
