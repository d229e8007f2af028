/* Trained models: their tokens, one artifact for any threads, interruptions and repairs, and what makes another one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "harness/run/trained.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tiny_model.h"

#define METHOD "paretoq:bits=2,tokens=1500,sequences=2,length=16" /* 47 steps */

static struct pb_model *model;
static struct pb_tokenizer *tokenizer;
static char text[512];

static int setup(void **state)
{
	struct tiny_model m = tiny_model_default();
	FILE *f;

	(void)state;
	m.dtype = PB_BF16;
	OK(tiny_model_write_folder(scratch_path("model"), &m, ERR));
	OK(pb_model_open(&model, scratch_path("model"), ERR));
	OK(tiny_model_write_tokenizer(scratch_path("tokenizer.bin"), m.n_vocab, ERR));
	OK(pb_tokenizer_open(&tokenizer, scratch_path("tokenizer.bin"), m.n_vocab, ERR));
	snprintf(text, sizeof text, "%s", scratch_path("text.txt"));
	f = fopen(text, "w");
	assert_non_null(f);
	for (int i = 0; i < 50; i++)
		fprintf(f, "the cat sees the dog %d\n\na bee likes an owl\n", i);
	fclose(f);
	return 0;
}

static int teardown(void **state)
{
	pb_tokenizer_free(tokenizer);
	pb_model_close(model);
	return scratch_teardown(state);
}

/* ---- tokens ---- */

static void check_tokens(const struct pb_training_spec *spec, const char *const *parts, enum pb_special special, int front)
{
	struct pb_ids ids = {0}, expected = {0};

	OK(pb_training_tokens(spec, tokenizer, &ids, ERR));
	for (; *parts; parts++) {
		if (front >= 0)
			OK(pb_ids_add(&expected, front, ERR));
		OK(pb_tokenizer_encode(tokenizer, *parts, strlen(*parts), special, &expected, ERR));
	}
	assert_int_equal(ids.n, expected.n);
	assert_memory_equal(ids.data, expected.data, ids.n * sizeof *ids.data);
	pb_ids_free(&ids);
	pb_ids_free(&expected);
}

static void write_text(const char *path, const char *what)
{
	OK(pb_file_write(path, what, strlen(what), ERR));
}

static void test_tokens(void **state)
{
	char lines[512], documents[512];
	struct pb_training_spec spec = { .data = lines };
	struct pb_ids ids = {0};
	struct pb_error err = {0};

	(void)state;
	snprintf(lines, sizeof lines, "%s", scratch_path("lines.txt"));
	snprintf(documents, sizeof documents, "%s", scratch_path("documents.jsonl"));
	write_text(lines, "ab cd\n\n  \nef\n");
	write_text(documents, "{\"text\": \"ab\\ncd\"}\n\n{\"id\": 1, \"text\": \"ef\"}\n");
	check_tokens(&spec, (const char *const[]){ "ab cd", "ef", NULL }, PB_SPECIAL_NONE, pb_tokenizer_bos(tokenizer));
	spec.format = PB_CALIBRATION_TEXT;
	check_tokens(&spec, (const char *const[]){ "ab cd\n\n  \nef\n", NULL }, PB_SPECIAL_DEFAULT, -1);
	spec = (struct pb_training_spec){ .data = documents };
	check_tokens(&spec, (const char *const[]){ "ab\ncd", "ef", NULL }, PB_SPECIAL_NONE, pb_tokenizer_bos(tokenizer));
	write_text(documents, "{\"text\": \"ab\"}\n{\"txt\": \"ef\"}\n");
	assert_int_equal(pb_training_tokens(&spec, tokenizer, &ids, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "documents.jsonl:2: "));
	pb_ids_free(&ids);
}

/* ---- artifacts ---- */

struct order {
	const char *method, *folder;
	int64_t seed;
	const char *hash;       /* of the text */
	struct pb_pool *pool;
	int stop_after;         /* calls of stage; 0: never */
	int calls;
	struct pb_ids tokens;
};

static int stage(void *arg, const char *what, double done)
{
	struct order *o = arg;

	assert_true(strncmp(what, "train, loss ", 12) == 0 && done > 0 && done <= 1);
	return ++o->calls == o->stop_after;
}

static enum pb_status get(struct order *o, struct pb_model **out, struct pb_error *err)
{
	const struct pb_training_spec spec = { .data = text };
	struct pb_quantizer_use use;
	double seconds = NAN;
	enum pb_status st;

	OK(pb_quantizer_use_parse(&use, o->method, ERR));
	OK(pb_trained_check(&spec, &use, model, ERR));

	struct pb_trained_source source = { .spec = &spec, .hash = o->hash ? o->hash : "text", .tokens = &o->tokens, .folder = o->folder, .model = model,
		.tokenizer = tokenizer, .use = &use, .seed = o->seed, .pool = o->pool, .stage = stage, .arg = o };

	st = pb_trained_open(out, &seconds, &source, err);
	assert_true(st || seconds >= 0);
	pb_quantizer_use_free(&use);
	pb_ids_free(&o->tokens);
	return st;
}

static void hash_of(struct order *o, char hash[PB_HASH_HEX])
{
	struct pb_model *trained = NULL;

	OK(get(o, &trained, ERR));
	memcpy(hash, trained->hash, PB_HASH_HEX);
	pb_model_close(trained);
}

static void test_same_artifact(void **state)
{
	char folders[3][512], hash[PB_HASH_HEX], other[PB_HASH_HEX];
	struct order plain = { .method = METHOD, .folder = folders[0] }, again = plain, stopped = { .method = METHOD, .folder = folders[1], .stop_after = 20 },
		threads = { .method = METHOD, .folder = folders[2] };
	struct pb_model *trained = NULL;
	struct pb_error err = {0};

	(void)state;
	for (int i = 0; i < 3; i++)
		snprintf(folders[i], sizeof folders[i], "%s", scratch_path((const char *const[]){ "plain", "stopped", "threads" }[i]));
	hash_of(&plain, hash);
	assert_int_equal(plain.calls, 47);
	/* It is there: nothing is trained. */
	hash_of(&again, other);
	assert_string_equal(other, hash);
	assert_int_equal(again.calls, 0);
	/* Stopped twice, and gone on with. */
	assert_int_equal(get(&stopped, &trained, &err), PB_INTERRUPTED);
	assert_non_null(strstr(err.text, "interrupted behind step 20 of 47"));
	stopped.calls = 0;
	assert_int_equal(get(&stopped, &trained, &err), PB_INTERRUPTED);
	assert_non_null(strstr(err.text, "interrupted behind step 40 of 47"));
	hash_of(&stopped, other);
	assert_string_equal(other, hash);
	OK(pb_pool_new(&threads.pool, 3, ERR));
	hash_of(&threads, other);
	assert_string_equal(other, hash);
	pb_pool_free(threads.pool);
}

/* The artifact is the model with other weights: same config and names, kept tensors trained, in the source's number format. */
static void test_artifact(void **state)
{
	char folder[512];
	struct order o = { .method = METHOD, .folder = folder };
	struct pb_model *trained = NULL;
	const json_t *training;
	uint64_t bytes = 0, planned = 0;
	struct pb_quantizer_use use;

	(void)state;
	snprintf(folder, sizeof folder, "%s", scratch_path("artifact"));
	OK(get(&o, &trained, ERR));
	assert_int_equal(trained->n_matrices, model->n_matrices);
	assert_int_equal(trained->embedding.dtype, PB_BF16);
	assert_int_not_equal(memcmp(trained->embedding.data, model->embedding.data, model->embedding.bytes), 0);
	assert_int_not_equal(memcmp(trained->final_norm.data, model->final_norm.data, model->final_norm.bytes), 0);
	OK(pb_quantizer_use_parse(&use, METHOD, ERR));
	for (uint32_t i = 0; i < model->n_matrices; i++) {
		const struct pb_matrix *m = &model->matrices[i];
		struct pb_quantize_job job = { .name = m->name, .rows = m->rows, .cols = m->cols, .source_dtype = PB_BF16 };

		OK(pb_quantizer_plan(&use, &job, &bytes, ERR));
		planned += bytes;
	}
	pb_quantizer_use_free(&use);
	assert_int_equal(pb_model_size(trained).weight_bytes, planned);
	training = json_object_get(trained->quantization, "training");
	assert_int_equal(json_integer_value(json_object_get(training, "steps")), 47);
	assert_int_equal(json_integer_value(json_object_get(training, "tokens")), 47 * 32);
	assert_true(json_is_real(json_object_get(training, "loss")));
	assert_string_equal(json_string_value(json_object_get(trained->quantization, "quantizer")), "paretoq");
	pb_model_close(trained);
}

/* With embedding, head and norms frozen they stay to the bit. */
static void test_frozen(void **state)
{
	char folder[512];
	struct order o = { .method = "onebit:tokens=300,sequences=2,length=16", .folder = folder };
	struct pb_model *trained = NULL;

	(void)state;
	snprintf(folder, sizeof folder, "%s", scratch_path("frozen"));
	OK(get(&o, &trained, ERR));
	assert_memory_equal(trained->embedding.data, model->embedding.data, model->embedding.bytes);
	assert_memory_equal(trained->final_norm.data, model->final_norm.data, model->final_norm.bytes);
	assert_memory_equal(trained->attention_norm[1].data, model->attention_norm[1].data, model->attention_norm[1].bytes);
	assert_int_equal(trained->matrices[3].encoded->post, PB_POST_LAYERNORM);
	pb_model_close(trained);
}

static void test_other_artifacts(void **state)
{
	static const struct order others[] = {
		{ .method = METHOD, .seed = 1 }, { .method = METHOD, .hash = "other text" }, { .method = METHOD ",init=mse" },
		{ .method = "paretoq:bits=2,tokens=1510,sequences=2,length=16" },
	};
	char folder[512], first[PB_HASH_HEX], hash[PB_HASH_HEX];
	struct order o = { .method = METHOD, .folder = folder };

	(void)state;
	snprintf(folder, sizeof folder, "%s", scratch_path("others"));
	hash_of(&o, first);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		o = others[i];
		o.folder = folder;
		hash_of(&o, hash);
		assert_true(o.calls > 40);
		assert_int_equal(strcmp(hash, first) == 0, i == 1); /* the same tokens under another name */
	}
}

static void run(const char *format, const char *folder)
{
	char command[1024];

	snprintf(command, sizeof command, format, folder);
	assert_int_equal(system(command), 0);
}

/* What cannot be read is made again; a checkpoint that is none is told. */
static void test_damage(void **state)
{
	char folder[512], hash[PB_HASH_HEX], again[PB_HASH_HEX];
	struct order o = { .method = METHOD, .folder = folder }, stopped = o;
	struct pb_model *trained = NULL;
	struct pb_error err = {0};

	(void)state;
	snprintf(folder, sizeof folder, "%s", scratch_path("damage"));
	hash_of(&o, hash);
	run("f=$(ls %s/*/model/model.safetensors) && head -c 1000 $f > $f.cut && mv $f.cut $f", folder);
	o.calls = 0;
	hash_of(&o, again);
	assert_string_equal(again, hash);
	assert_int_equal(o.calls, 47);
	run("rm -r %s/*/model", folder);
	stopped.stop_after = 10;
	assert_int_equal(get(&stopped, &trained, &err), PB_INTERRUPTED);
	run("f=$(ls %s/*/checkpoint.safetensors) && head -c 1000 $f > $f.cut && mv $f.cut $f", folder);
	assert_int_equal(get(&o, &trained, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "checkpoint.safetensors"));
	assert_true(strncmp(err.text, "paretoq: ", 9) == 0);
}

static void test_refusals(void **state)
{
	char folder[512];
	const struct pb_training_spec spec = { .data = text };
	struct order o = { .method = METHOD ",learning_rate=10,warmup=0", .folder = folder };
	struct pb_quantizer_use use;
	struct pb_model *trained = NULL;
	struct pb_error err = {0};

	(void)state;
	snprintf(folder, sizeof folder, "%s", scratch_path("refusals"));
	OK(pb_quantizer_use_parse(&use, METHOD, ERR));
	assert_int_equal(pb_trained_check(NULL, &use, model, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "training: {data: FILE}"));
	assert_non_null(strstr(err.text, "--training FILE"));
	assert_true(pb_trained_tokens(&use, model) == 47 * 32);
	pb_quantizer_use_free(&use);
	OK(pb_quantizer_use_parse(&use, "paretoq:length=65", ERR));
	assert_int_equal(pb_trained_check(&spec, &use, model, &err), PB_USAGE);
	assert_true(pb_trained_tokens(&use, model) == 0);
	pb_quantizer_use_free(&use);
	assert_int_equal(get(&o, &trained, &err), PB_NUMERIC);
	assert_non_null(strstr(err.text, "diverged"));
	assert_non_null(strstr(err.text, "\ntry a lower learning_rate"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens), cmocka_unit_test(test_same_artifact), cmocka_unit_test(test_artifact), cmocka_unit_test(test_frozen),
		cmocka_unit_test(test_other_artifacts), cmocka_unit_test(test_damage), cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests_name("trained", tests, setup, teardown);
}
