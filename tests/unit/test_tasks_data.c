/* The real sets, where PB_TEST_DATA names the folder that holds them: counts, and texts against hashes. The hashes of pages
 * and rows were made by a transcription of the published rules in CPython 3.11, joined with "\0" and "\n\n". */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "tasks/data.h"
#include "tasks/whitespace.h"
#include "tasks/wikitext.h"
#include "tests/unit/task_fixture.h"

static const char *folder;

static struct pb_task *open_task(const char *name, const char *protocol, uint64_t limit)
{
	struct pb_task *task = NULL;
	struct pb_error err = {0};

	if (pb_task_open(&task, name, protocol, limit, &err))
		fail_msg("%s", err.text);
	return task;
}

static struct pb_task_data *read_task(const struct pb_task *task)
{
	struct pb_task_data *data = NULL;
	struct pb_error err = {0};

	if (pb_task_data_read(&data, task, &(struct pb_data_path){ &folder, 1 }, &err))
		fail_msg("%s", err.text);
	return data;
}

static struct pb_tokenizer *open_tokenizer(const char *name, unsigned n_vocab)
{
	struct pb_tokenizer *tokenizer = NULL;
	struct pb_error err = {0};
	char *path = pb_path_join(folder, name);

	if (pb_tokenizer_open(&tokenizer, path, n_vocab, &err))
		fail_msg("%s", err.text);
	pb_free(path);
	return tokenizer;
}

static void test_counts(void **state)
{
	static const struct {
		const char *name;
		size_t n_items;
		uint64_t n_sequences;
	} sets[] = {
		{ "piqa", 1838, 3676 }, { "hellaswag", 10042, 40168 }, { "arc_easy", 570, 2281 }, { "arc_challenge", 299, 1194 },
		{ "openbookqa", 500, 2000 }, { "boolq", 3270, 6540 }, { "winogrande", 1267, 2534 }, { "lambada_openai", 5153, 5153 },
		{ "blimp", 34000, 68000 }, { "blimp_adjunct_island", 1000, 2000 }, { "wikitext", 62, 62 }, { "tinystories", 1000, 1000 },
	};

	(void)state;
	if (!folder)
		skip();
	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		struct pb_task *task = open_task(sets[i].name, NULL, 0);
		struct pb_task_data *data = read_task(task);

		if (data->n_items != sets[i].n_items || data->n_sequences != sets[i].n_sequences)
			fail_msg("%s: %zu items, %llu sequences", sets[i].name, data->n_items, (unsigned long long)data->n_sequences);
		pb_task_data_free(data);
		pb_task_close(task);
	}
}

static void test_limits(void **state)
{
	struct pb_task *task, *parts;
	struct pb_task_data *data;

	(void)state;
	if (!folder)
		skip();
	task = open_task("hellaswag", NULL, 10);
	data = read_task(task);
	assert_int_equal(data->n_items, 10);
	pb_task_data_free(data);
	pb_task_close(task);
	parts = open_task("blimp", NULL, 10);
	data = read_task(parts);
	assert_int_equal(data->n_items, 340);
	pb_task_data_free(data);
	pb_task_close(parts);
}

/* The same set in two files is the same data: PIQA as lines with labels, and as requests. */
static void test_layouts(void **state)
{
	static const char yaml[] = "task: piqa\noutput_type: multiple_choice\n"
		"data_files: [{file: eval/olmes/piqa/rc_0shot/requests.jsonl, process: olmes}]\n"
		"doc_to_text: \"Question: {{goal}}\\nAnswer:\"\ndoc_to_choice: ['{{sol1}}', '{{sol2}}']\ndoc_to_target: label\n";
	static const char other[] = "task: winogrande\noutput_type: multiple_choice\n"
		"data_files: [{file: eval/mosaic/winogrande.jsonl, process: winogrande_options}]\n"
		"doc_to_text: '{{contexts}}'\ndoc_to_choice: '{{continuation}}'\ndoc_to_target: gold\n";
	struct pb_task *lines, *requests;
	struct pb_task_data *a, *b;

	(void)state;
	if (!folder)
		skip();
	lines = open_task("piqa", NULL, 0);
	requests = fixture_task(yaml, NULL, 0);
	a = read_task(lines);
	b = read_task(requests);
	assert_string_equal(a->hash, b->hash);
	pb_task_data_free(a);
	pb_task_data_free(b);
	pb_task_close(lines);
	pb_task_close(requests);
	lines = open_task("winogrande", NULL, 0);
	requests = fixture_task(other, NULL, 0);
	a = read_task(lines);
	b = read_task(requests);
	assert_string_equal(a->hash, b->hash);
	pb_task_data_free(a);
	pb_task_data_free(b);
	pb_task_close(lines);
	pb_task_close(requests);
}

static void check_hash(const struct pb_text *t, const char *expected)
{
	char hash[PB_HASH_HEX];

	pb_hash_of_bytes(t->data, t->length, hash);
	assert_string_equal(hash, expected);
}

struct gathered {
	struct pb_text text;
	size_t n, words, bytes;
	const char *between;
	size_t between_length;
	bool detokenize;
};

static enum pb_status gather(void *arg, const char *s, size_t n, unsigned line, struct pb_error *err)
{
	struct gathered *g = arg;

	(void)line;
	if (g->n++)
		pb_text_bytes(&g->text, g->between, g->between_length);
	g->words += pb_space_runs(s, n) + 1;
	g->bytes += n;
	if (g->detokenize)
		return pb_wikitext_detokenize(s, n, &g->text, err);
	pb_text_bytes(&g->text, s, n);
	return PB_OK;
}

static void test_wikitext(void **state)
{
	static const struct {
		const char *file;
		size_t pages, words, bytes, rows;
		const char *pages_hash, *rows_hash;
	} splits[] = {
		{ "text/wikitext2/raw/wiki.test.raw.gz", 62, 241335, 1290527, 4358, "b0ae50e166add20959a5406d9b3c99fe1f23819ec0a10149047149434fb85d81",
			"696cca6b65a171b0a358a4be6732cdfdf2dd6164a32e20fd70e3c13fc4dfae83" },
		{ "text/wikitext2/raw/wiki.valid.raw.gz", 60, 214006, 1146785, 3760, "d5bd98ccac4d0ffcd8ca06d7bd1a94f0871b631d7e3d454578760fca5b575b95",
			"b44fb967f92b525731216a507d1fbc44b97446b7ef0a2b4d1a893f81f1bbc29e" },
	};
	struct pb_error err = {0};

	(void)state;
	if (!folder)
		skip();
	for (size_t i = 0; i < 2; i++) {
		struct gathered pages = { .between = "", .between_length = 1, .detokenize = true }, rows = { .between = "\n\n", .between_length = 2 };
		char *path = pb_path_join(folder, splits[i].file), *data;
		size_t size;

		assert_int_equal(pb_file_read_data(path, (size_t)1 << 24, &data, &size, &err), PB_OK);
		assert_int_equal(pb_wikitext_pages(data, size, gather, &pages, &err), PB_OK);
		assert_int_equal(pages.n, splits[i].pages);
		assert_int_equal(pages.words, splits[i].words);
		assert_int_equal(pages.bytes, splits[i].bytes);
		check_hash(&pages.text, splits[i].pages_hash);
		assert_int_equal(pb_wikitext_rows(data, size, gather, &rows, &err), PB_OK);
		assert_int_equal(rows.n, splits[i].rows);
		check_hash(&rows.text, splits[i].rows_hash);
		pb_text_free(&pages.text);
		pb_text_free(&rows.text);
		pb_free(data);
		pb_free(path);
	}
}

static void test_wikitext_rows(void **state)
{
	struct pb_task *task;
	struct pb_task_data *data;

	(void)state;
	if (!folder)
		skip();
	task = open_task("wikitext_gptq", NULL, 0);
	data = read_task(task);
	assert_int_equal(data->n_items, 4358);
	pb_task_data_free(data);
	pb_task_close(task);
}

static void check_stories(const char *tokenizer_file, unsigned n_vocab, uint32_t context, uint64_t n_tokens)
{
	struct pb_tokenizer *tokenizer = open_tokenizer(tokenizer_file, n_vocab);
	struct pb_task *task = open_task("tinystories", NULL, 0);
	struct pb_task_data *data = read_task(task);
	struct pb_task_requests *requests = fixture_requests(task, data, tokenizer, context);
	struct pb_task_result *result;

	fixture_fill(requests);
	result = fixture_score(task, data, requests);
	assert_int_equal(fixture_metric(result, "nll")->n, n_tokens);
	assert_int_equal(fixture_metric(result, "ppl_token")->n, n_tokens);
	/* Cut stories decode to their beginnings with pieces for every byte; a newline is no piece of the other tokenizer. */
	if (n_vocab == 512)
		assert_non_null(fixture_metric(result, "bits_per_byte"));
	pb_task_result_free(result);
	pb_task_requests_free(requests);
	pb_task_data_free(data);
	pb_task_close(task);
	pb_tokenizer_free(tokenizer);
}

static void test_stories(void **state)
{
	(void)state;
	if (!folder)
		skip();
	check_stories("models/stories260K/tok512.bin", 512, 512, 412717);
	check_stories("models/babyllama_tok105/tok105.bin", 105, 256, 255000);
}

/* Every task can be asked of a small model; no continuation of the real sets is lost. */
static void test_every_task(void **state)
{
	static const char *const names[] = { "piqa", "hellaswag", "arc_easy", "arc_challenge", "openbookqa", "boolq", "winogrande", "lambada_openai", "blimp", "wikitext" };
	struct pb_tokenizer *tokenizer;

	(void)state;
	if (!folder)
		skip();
	tokenizer = open_tokenizer("models/stories260K/tok512.bin", 512);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct pb_task *task = open_task(names[i], NULL, 20);
		struct pb_task_data *data = read_task(task);
		struct pb_task_requests *requests = fixture_requests(task, data, tokenizer, 512);
		struct pb_task_result *result;

		fixture_fill(requests);
		result = fixture_score(task, data, requests);
		assert_int_equal(result->n_items, data->n_items);
		assert_true(result->n_metrics >= 1);
		pb_task_result_free(result);
		pb_task_requests_free(requests);
		pb_task_data_free(data);
		pb_task_close(task);
	}
	pb_tokenizer_free(tokenizer);
}

static int find_folder(void **state)
{
	(void)state;
	pb_log_setup(-1);
	folder = getenv("PB_TEST_DATA");
	if (folder && !*folder)
		folder = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_wikitext),
		cmocka_unit_test(test_wikitext_rows),
		cmocka_unit_test(test_stories),
		cmocka_unit_test(test_every_task),
	};

	return cmocka_run_group_tests(tests, find_folder, NULL);
}
