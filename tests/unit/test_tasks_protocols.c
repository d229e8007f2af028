/* Protocols of the papers on quantization beside gptq-wt2: CPython's draws, random windows, joined texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/text.h"
#include "tasks/python_random.h"
#include "tests/unit/scratch.h"
#include "tests/unit/task_fixture.h"

#define BOS 1
#define ROWS 7

static const char *const pieces[] = { " a", " b", " c", " d", NULL };
static struct pb_tokenizer *tokenizer;

static const char yaml[] = "task: t\noutput_type: window\nprotocol: gptq-c4\ndata_files: [{file: rows.jsonl}]\ndoc_to_target: text\n";

/* Row i has i + 1 letters: i + 2 tokens with BOS. */
static const char *row_text(int i)
{
	static char text[2 * ROWS + 1];
	size_t n = 0;

	for (int k = 0; k <= i; k++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, k ? " %c" : "%c", "abcd"[(i + k) % 4]);
	return text;
}

static int setup(void **state)
{
	struct pb_text rows = {0};

	(void)state;
	tokenizer = fixture_tokenizer(pieces);
	for (int i = 0; i < ROWS; i++)
		pb_text_printf(&rows, "{\"text\": \"%s\"}\n", row_text(i));
	fixture_write("rows.jsonl", pb_text_c(&rows));
	pb_text_free(&rows);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pb_tokenizer_free(tokenizer);
	scratch_remove();
	return 0;
}

/* Measured with CPython 3.11: random.Random(seed).getrandbits(32), and randint(0, n - 1) of Random(0). */
static void test_draws_are_pythons(void **state)
{
	static const struct { uint32_t seed, words[5]; } words[] = {
		{ 0, { 3626764237u, 1654615998u, 3255389356u, 3823568514u, 1806341205u } },
		{ 1, { 577090037u, 2444712010u, 3639700191u, 3445702192u, 3280387012u } },
		{ 1234, { 4150886329u, 3342196574u, 1892932127u, 501869158u, 32175636u } },
	};
	static const uint32_t large[] = { 25247, 27562, 2653, 16968, 33506, 31845 }, small[] = { 864, 394, 776, 911, 430, 41 };
	struct pb_python_random r;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		pb_python_random_seed(&r, words[i].seed);
		for (int k = 0; k < 5; k++)
			assert_int_equal(pb_python_random_u32(&r), words[i].words[k]);
	}
	pb_python_random_seed(&r, 0);
	for (int k = 0; k < 6; k++)
		assert_int_equal(pb_python_random_below(&r, 45576), large[k]);
	pb_python_random_seed(&r, 0);
	for (int k = 0; k < 6; k++)
		assert_int_equal(pb_python_random_below(&r, 1001), small[k]);
}

/* Token k of row i with BOS in front. */
static int32_t row_token(int i, size_t k)
{
	static const char *const letters[] = { " a", " b", " c", " d" };

	return k == 0 ? BOS : fixture_id(pieces, letters[((size_t)i + k - 1) % 4]);
}

/* The windows that the rule draws: a row until it is long enough, then randint(0, tokens - length - 1). */
static void check_drawn(const char *protocol, size_t length, size_t longer, size_t n_windows, uint64_t limit)
{
	struct pb_task *task = fixture_task(yaml, protocol, limit);
	struct pb_task_data *data = fixture_data(task);
	struct pb_task_requests *requests = fixture_requests(task, data, tokenizer, 64);
	struct pb_python_random r;

	assert_string_equal(requests->protocol, protocol);
	assert_int_equal(requests->n_requests, n_windows);
	pb_python_random_seed(&r, 0);
	for (size_t w = 0; w < n_windows; w++) {
		uint32_t row, at;

		do
			row = pb_python_random_below(&r, ROWS);
		while (row + 2 < length + longer);
		at = pb_python_random_below(&r, (uint32_t)(row + 2 - length));
		assert_int_equal(requests->requests[w].n, length);
		assert_int_equal(requests->requests[w].first, 1);
		for (size_t k = 0; k < length; k++)
			assert_int_equal(requests->requests[w].tokens[k], row_token((int)row, at + k));
	}
	pb_task_requests_free(requests);
	pb_task_data_free(data);
	pb_task_close(task);
}

static void test_drawn_windows(void **state)
{
	(void)state;
	check_drawn("onebit-c4@5", 5, 1, 256, 0);
	check_drawn("onebit-c4@5", 5, 1, 3, 3);
}

/* A text of exactly one window has no place to draw: the reference stops there, and so does this. */
static void test_no_place(void **state)
{
	struct pb_task *task = fixture_task(yaml, "vptq-c4@8", 0);
	struct pb_task_data *data = fixture_data(task);
	struct pb_task_requests *requests = NULL;
	struct pb_error err = {0};

	(void)state;
	assert_int_equal(pb_task_requests_make(&requests, task, data, tokenizer, 64, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "exactly 8 tokens"));
	pb_task_data_free(data);
	pb_task_close(task);
}

static size_t windows(const char *protocol)
{
	struct pb_task *task = fixture_task(yaml, protocol, 0);
	struct pb_task_data *data = fixture_data(task);
	struct pb_task_requests *requests = fixture_requests(task, data, tokenizer, 64);
	size_t n = requests->n_requests;

	pb_task_requests_free(requests);
	pb_task_data_free(data);
	pb_task_close(task);
	return n;
}

/* 28 letters and BOS: joined with blanks they are 29 tokens, with two line feeds 12 more. */
static void test_joined(void **state)
{
	(void)state;
	assert_int_equal(windows("gptq-c4-new@4"), 29 / 4);
	assert_int_equal(windows("gptq-ptb-new@4"), 29 / 4);
	assert_true(windows("gptq-ptb@4") > 29 / 4);
	assert_int_equal(windows("gptq-ptb@4"), windows("gptq-wt2@4"));
	assert_int_equal(windows("squeezellm@4"), windows("gptq-wt2@4"));
	assert_int_equal(windows("onebit@4"), windows("gptq-wt2@4"));
	assert_int_equal(windows("vptq@4"), windows("gptq-wt2@4"));
	assert_int_equal(windows("mobilellm@4"), windows("gptq-wt2@4"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_draws_are_pythons),
		cmocka_unit_test(test_drawn_windows),
		cmocka_unit_test(test_no_place),
		cmocka_unit_test(test_joined),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
