/* What is asked of a backend: encodings of pairs, truncation, windows, documents. The tokenizer is made here; its pieces
 * are joined in the order in which they are listed, so every expected list of tokens can be followed by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/text.h"
#include "tests/unit/scratch.h"
#include "tests/unit/task_fixture.h"

#define BOS 1
#define EOS 2

static const char *const pieces[] = { " a", " b", " c", " d", "ab", " ab", "bc", NULL };
static struct pb_tokenizer *tokenizer;

static int make_tokenizer(void **state)
{
	(void)state;
	tokenizer = fixture_tokenizer(pieces);
	return 0;
}

/* A request as text: ids 1 and 2 as "<s>" and "</s>", other pieces as they are with '_' for the blank, a '|' before
 * the first predicted one. */
static const char *shown(const struct pb_request *r)
{
	static char out[1024];
	size_t n = 0;

	for (uint32_t i = 0; i < r->n; i++) {
		const char *piece = NULL;
		char one[2] = "";

		if (i == r->first)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "| ");
		if (r->tokens[i] == BOS || r->tokens[i] == EOS)
			piece = r->tokens[i] == BOS ? "<s>" : "</s>";
		for (size_t j = 0; pieces[j] && !piece; j++)
			if (fixture_id(pieces, pieces[j]) == r->tokens[i])
				piece = pieces[j];
		if (!piece) {
			one[0] = (char)(r->tokens[i] < 259 ? r->tokens[i] - 3 : r->tokens[i] == 259 ? ' ' : 'a' + r->tokens[i] - 260);
			piece = one;
		}
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s%s", piece[0] == ' ' ? "_" : "", piece + (piece[0] == ' '), i + 1 < r->n ? " " : "");
	}
	return out;
}

static const char pair_yaml[] = "task: pair\noutput_type: loglikelihood\ndata_files: [{file: pair.jsonl}]\ndoc_to_text: \"{{c}}\"\ndoc_to_target: \"{{t}}\"\n";

static enum pb_status make_pair(const char *context, const char *target, const char *protocol, uint32_t length, struct pb_task_requests **requests, struct pb_error *err)
{
	struct pb_task *task = fixture_task(pair_yaml, protocol, 0);
	struct pb_task_data *data;
	char line[256];
	enum pb_status st;

	snprintf(line, sizeof(line), "{\"c\":\"%s\",\"t\":\"%s\"}\n", context, target);
	fixture_write("pair.jsonl", line);
	data = fixture_data(task);
	st = pb_task_requests_make(requests, task, data, tokenizer, length, err);
	pb_task_data_free(data);
	pb_task_close(task);
	return st;
}

static void check_pair(const char *context, const char *target, const char *protocol, uint32_t length, const char *expected)
{
	struct pb_task_requests *requests = NULL;
	struct pb_error err = {0};

	if (make_pair(context, target, protocol, length, &requests, &err))
		fail_msg("%s", err.text);
	assert_int_equal(requests->n_requests, 1);
	assert_string_equal(shown(&requests->requests[0]), expected);
	pb_task_requests_free(requests);
}

static void check_pair_refused(const char *context, const char *target, const char *protocol, uint32_t length, enum pb_status status, const char *message)
{
	struct pb_task_requests *requests = NULL;
	struct pb_error err = {0};

	assert_int_equal(make_pair(context, target, protocol, length, &requests, &err), status);
	if (!strstr(err.text, message))
		fail_msg("%s", err.text);
}

static void test_joint(void **state)
{
	(void)state;
	check_pair("a b", " c d", NULL, 64, "<s> _a _b | _c _d");
	/* A token spans the border: "d ab c" is _d _ab _c. The context is the one encoded alone, the continuation is cut by count:
	 * what is scored is not the text, as upstream. */
	check_pair("d a", "b c", NULL, 64, "<s> _d _a | _c");
	check_pair("xa", "b c", NULL, 64, "<s> _ x a | _c");
	/* White space at the end of the context moves. */
	check_pair("a ", "b", NULL, 64, "<s> _a | _b");
	check_pair("a \\u3000\\n", "b", NULL, 64, "<s> _a | _ \xe3 \x80 \x80 \n b");
	/* Empty context: the prefix token stands for it; the continuation alone has the tokenizer's blank in front. */
	check_pair("", " a", NULL, 64, "<s> | _ _a");
	check_pair("", "a", NULL, 64, "<s> | _a");
	/* Context of white space only: the tokens of the empty text. */
	check_pair("  ", "a", NULL, 64, "<s> | _ _ _a");
}

static void test_joint_refused(void **state)
{
	(void)state;
	/* "xa" has as many tokens as "xab", where ab is one: nothing is left of the continuation. */
	check_pair_refused("xa", "b", NULL, 64, PB_FORMAT, "pair: item 0 (");
	check_pair_refused("xa", "b", NULL, 64, PB_FORMAT, "the continuation \"b\" has no token of its own");
	check_pair_refused("a", " a b c d", NULL, 3, PB_FORMAT, "the continuation has 4 tokens, more than the context of 3");
	check_pair_refused("a", " b", NULL, 1, PB_USAGE, "too short");
	check_pair_refused("a", " b", "lmeh@65", 64, PB_USAGE, "more than the model's context of 64");
}

static void test_separate(void **state)
{
	(void)state;
	/* Each side has the tokenizer's blank; there is no BOS. */
	check_pair("a b", " c", "onebit-lmeh", 64, "_a _b | _ _c");
	check_pair("a ", "b", "onebit-lmeh", 64, "_a _ | _b");
	check_pair("xa", "b", "onebit-lmeh", 64, "_ x a | _b");
	check_pair("", " c", "onebit-lmeh", 64, "</s> | _ _c");
}

static void test_truncation(void **state)
{
	struct pb_task_requests *requests = NULL;
	struct pb_error err = {0};

	(void)state;
	/* The input holds length tokens; the last predicted one is not part of it. */
	check_pair("a b c d", " a b", NULL, 6, "<s> _a _b _c _d | _a _b");
	check_pair("a b c d", " a b", NULL, 5, "_a _b _c _d | _a _b");
	check_pair("a b c d", " a b", NULL, 2, "_d | _a _b");
	check_pair("a b c d", " a b", "lmeh@3", 64, "_c _d | _a _b");
	assert_int_equal(make_pair("a b c d", " a b", NULL, 5, &requests, &err), PB_OK);
	assert_int_equal(requests->n_truncated, 1);
	pb_task_requests_free(requests);
	assert_int_equal(make_pair("a b c d", " a b", NULL, 6, &requests, &err), PB_OK);
	assert_int_equal(requests->n_truncated, 0);
	pb_task_requests_free(requests);
}

static void test_choices(void **state)
{
	struct pb_task *task = fixture_task("task: t\noutput_type: multiple_choice\ndata_files: [{file: c.jsonl}]\ndescription: 'b '\n"
		"doc_to_text: '{{q}}'\ndoc_to_choice: '{{a}}'\ndoc_to_target: g\n", NULL, 0);
	struct pb_task_data *data;
	struct pb_task_requests *requests;

	(void)state;
	/* One context and two choices; then a context each and one continuation. */
	fixture_write("c.jsonl", "{\"q\":\"a\",\"a\":[\"b\",\"c d\"],\"g\":0}\n{\"q\":[\"a\",\"c\"],\"a\":\"d\",\"g\":1}\n");
	data = fixture_data(task);
	assert_int_equal(data->n_items, 2);
	assert_int_equal(data->n_sequences, 4);
	requests = fixture_requests(task, data, tokenizer, 64);
	assert_int_equal(requests->n_requests, 4);
	assert_string_equal(requests->protocol, "lmeh");
	assert_string_equal(shown(&requests->requests[0]), "<s> _b _a | _b");
	assert_string_equal(shown(&requests->requests[1]), "<s> _b _a | _c _d");
	assert_string_equal(shown(&requests->requests[2]), "<s> _b _a | _d");
	assert_string_equal(shown(&requests->requests[3]), "<s> _b _c | _d");
	assert_int_equal(requests->requests[0].group, requests->requests[1].group);
	assert_int_equal(requests->requests[2].group, requests->requests[3].group);
	assert_int_not_equal(requests->requests[0].group, requests->requests[2].group);
	pb_task_requests_free(requests);
	pb_task_data_free(data);
	pb_task_close(task);
}

/* One line a text, of so many words "a b c d a b ...". */
static void write_texts(const unsigned *words, size_t n)
{
	struct pb_text file = {0};

	for (size_t i = 0; i < n; i++) {
		pb_text_string(&file, "{\"text\":\"");
		for (unsigned j = 0; j < words[i]; j++)
			pb_text_printf(&file, "%s%c", j ? " " : "", 'a' + j % 4);
		pb_text_string(&file, "\"}\n");
	}
	fixture_write("texts.jsonl", pb_text_c(&file));
	pb_text_free(&file);
}

static struct pb_task *text_task(const char *kind, const char *protocol, uint64_t limit)
{
	char yaml[256];

	snprintf(yaml, sizeof(yaml), "task: t\noutput_type: %s\ndata_files: [{file: texts.jsonl}]\ndoc_to_target: text\n", kind);
	return fixture_task(yaml, protocol, limit);
}

/* Each of n tokens is predicted once, in order, from the tokens in front of it; all windows but the first are full. */
static void check_windows(const struct pb_task_requests *r, const int32_t *tokens, size_t n, size_t length)
{
	size_t next = 0;

	for (size_t i = 0; i < r->n_requests; i++) {
		const struct pb_request *q = &r->requests[i];

		assert_true(q->first >= 1 && q->first < q->n && q->n <= length + 1);
		if (i)
			assert_int_equal(q->n, length + 1);
		for (uint32_t j = q->first; j < q->n; j++)
			assert_int_equal(q->tokens[j], tokens[next++]);
		for (uint32_t j = 0; j < q->n; j++) {
			size_t at = next - q->n + j;

			assert_int_equal(q->tokens[j], next < q->n - j ? BOS : tokens[at]);
		}
	}
	assert_int_equal(next, n);
}

static void test_rolling(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 20; n++) {
		struct pb_task *task = text_task("loglikelihood_rolling", NULL, 0);
		struct pb_task *single = text_task("loglikelihood_rolling", "lmeh-word-one-bos", 0);
		struct pb_task_data *data;
		struct pb_task_requests *requests;
		int32_t tokens[32] = { BOS };

		for (unsigned j = 0; j < n; j++)
			tokens[j + 1] = fixture_id(pieces, (const char *[]){ " a", " b", " c", " d" }[j % 4]);
		write_texts(&n, 1);
		data = fixture_data(task);
		requests = fixture_requests(task, data, tokenizer, 5);
		assert_string_equal(requests->protocol, "lmeh-word@5");
		/* The tokenizer's own BOS is predicted after the prefix token. */
		check_windows(requests, tokens, n + 1, 5);
		pb_task_requests_free(requests);
		requests = fixture_requests(single, data, tokenizer, 5);
		assert_string_equal(requests->protocol, "lmeh-word-one-bos@5");
		check_windows(requests, tokens + 1, n, 5);
		pb_task_requests_free(requests);
		pb_task_data_free(data);
		pb_task_close(task);
		pb_task_close(single);
	}
}

static void test_documents(void **state)
{
	struct pb_task *task = text_task("documents", NULL, 0), *cut = text_task("documents", "documents@3", 1);
	const unsigned words[] = { 2, 6 };
	struct pb_task_data *data;
	struct pb_task_requests *requests = NULL;
	struct pb_error err = {0};
	const char *folder = scratch_folder();

	(void)state;
	write_texts(words, 2);
	data = fixture_data(task);
	requests = fixture_requests(task, data, tokenizer, 5);
	assert_string_equal(requests->protocol, "documents@5");
	assert_int_equal(requests->n_requests, 2);
	assert_int_equal(requests->n_truncated, 1);
	assert_string_equal(shown(&requests->requests[0]), "<s> | _a _b");
	assert_string_equal(shown(&requests->requests[1]), "<s> | _a _b _c _d");
	pb_task_requests_free(requests);
	pb_task_data_free(data);

	data = fixture_data(cut);
	assert_int_equal(data->n_items, 1);
	requests = fixture_requests(cut, data, tokenizer, 5);
	assert_string_equal(requests->protocol, "documents@3");
	assert_int_equal(requests->n_requests, 1);
	pb_task_requests_free(requests);
	assert_int_equal(pb_task_requests_make(&requests, cut, data, tokenizer, 2, &err), PB_USAGE);
	pb_task_data_free(data);

	fixture_write("texts.jsonl", "{\"text\":\"a\"}\n{\"text\":\"\"}\n");
	assert_int_equal(pb_task_data_read(&data, task, &(struct pb_data_path){ &folder, 1 }, &err), PB_FORMAT);
	assert_string_equal(err.text, "t: text 1 (line 2) is empty");
	fixture_write("texts.jsonl", "{\"text\":\"\"}\n");
	assert_int_equal(pb_task_data_read(&data, task, &(struct pb_data_path){ &folder, 1 }, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "every text is empty"));
	pb_task_close(task);
	pb_task_close(cut);
}

static const char raw_yaml[] = "task: t\noutput_type: window\ndata_files: [{file: raw.txt, format: text}]\ndoc_to_target: text\n";

static void check_raw(const char *text, const char *protocol, uint64_t limit, uint32_t context, const char *const *expected, const char *effective)
{
	struct pb_task *task = fixture_task(raw_yaml, protocol, limit);
	struct pb_task_data *data;
	struct pb_task_requests *requests;
	size_t n = 0;

	fixture_write("raw.txt", text);
	data = fixture_data(task);
	requests = fixture_requests(task, data, tokenizer, context);
	assert_string_equal(requests->protocol, effective);
	while (expected[n])
		n++;
	assert_int_equal(requests->n_requests, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(shown(&requests->requests[i]), expected[i]);
	pb_task_requests_free(requests);
	pb_task_data_free(data);
	pb_task_close(task);
}

static void test_gptq(void **state)
{
	(void)state;
	/* Rows "a\n", "", "b": joined "a\n" "\n\n" "" "\n\n" "b": five line feeds. BOS stands at the very start and nowhere else. */
	check_raw("a\n \nb", "gptq-wt2@2", 0, 2048, (const char *[]){ "<s> | _a", "\n | \n", "\n | \n", "\n | b", NULL }, "gptq-wt2@2");
}

static void test_gptq_windows(void **state)
{
	struct pb_task *task = fixture_task(raw_yaml, "gptq-wt2@4", 0);
	struct pb_task_data *data;
	struct pb_task_requests *requests = NULL;
	struct pb_error err = {0};

	(void)state;
	check_raw("a b c d a b c d a", "gptq-wt2@4", 0, 64, (const char *[]){ "<s> | _a _b _c", "_d | _a _b _c", NULL }, "gptq-wt2@4");
	check_raw("a b c d a b c d a", "gptq-wt2@4", 1, 64, (const char *[]){ "<s> | _a _b _c", NULL }, "gptq-wt2@4");
	/* The model's context is shorter than the protocol's window. */
	check_raw("a b c d a", NULL, 0, 3, (const char *[]){ "<s> | _a _b", "_c | _d _a", NULL }, "gptq-wt2@3");
	fixture_write("raw.txt", "a b");
	data = fixture_data(task);
	assert_int_equal(data->n_items, 1);
	assert_int_equal(pb_task_requests_make(&requests, task, data, tokenizer, 64, &err), PB_FORMAT);
	assert_string_equal(err.text, "t: the text has 3 tokens; protocol gptq-wt2@4 needs at least 4");
	pb_task_data_free(data);
	pb_task_close(task);
}

static void test_paretoq(void **state)
{
	(void)state;
	/* Each row is encoded alone, with the tokenizer's blank and its line feed, without BOS; blank rows give nothing. */
	check_raw("a\n \nb c\nd\n", "paretoq@3", 0, 64, (const char *[]){ "_a | \n _b", "_c | \n _d", NULL }, "paretoq@3");
	/* Less than one block is one short block. */
	check_raw("a\n \nb c\n", "paretoq", 0, 64, (const char *[]){ "_a | \n _b _c \n", NULL }, "paretoq@64");
}

static void test_llamacpp(void **state)
{
	struct pb_task *task = fixture_task(raw_yaml, "llamacpp@4", 0);
	struct pb_task *records = text_task("window", "llamacpp@4", 0);
	const unsigned words = 20;
	struct pb_task_data *data;
	struct pb_task_requests *requests = NULL;
	struct pb_error err = {0};

	(void)state;
	/* The first token of each chunk gives way to BOS; the second half is scored. */
	check_raw("a b c d a b c d a", "llamacpp@4", 0, 64, (const char *[]){ "<s> _a _b | _c", "<s> _a _b | _c", NULL }, "llamacpp@4");
	fixture_write("raw.txt", "a b c d");
	data = fixture_data(task);
	assert_int_equal(pb_task_requests_make(&requests, task, data, tokenizer, 64, &err), PB_FORMAT);
	assert_string_equal(err.text, "t: the text has 5 tokens; protocol llamacpp@4 needs at least 8");
	pb_task_data_free(data);
	write_texts(&words, 1);
	data = fixture_data(records);
	assert_int_equal(pb_task_requests_make(&requests, records, data, tokenizer, 64, &err), PB_UNSUPPORTED);
	pb_task_data_free(data);
	pb_task_close(task);
	pb_task_close(records);
}

/* llama.cpp's default: 255 of 512. */
static void test_llamacpp_count(void **state)
{
	struct pb_task *task = fixture_task(raw_yaml, "llamacpp", 0);
	struct pb_task_data *data;
	struct pb_task_requests *requests;
	struct pb_text text = {0};

	(void)state;
	for (int i = 0; i < 1100; i++)
		pb_text_string(&text, "a ");
	fixture_write("raw.txt", pb_text_c(&text));
	data = fixture_data(task);
	requests = fixture_requests(task, data, tokenizer, 1024);
	assert_int_equal(requests->n_requests, 2);
	assert_int_equal(requests->requests[1].n - requests->requests[1].first, 255);
	assert_string_equal(requests->protocol, "llamacpp@512");
	pb_task_requests_free(requests);
	pb_task_data_free(data);
	pb_task_close(task);
	pb_text_free(&text);
}

static int clean_up(void **state)
{
	(void)state;
	pb_tokenizer_free(tokenizer);
	scratch_remove();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joint),
		cmocka_unit_test(test_joint_refused),
		cmocka_unit_test(test_separate),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_rolling),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_gptq),
		cmocka_unit_test(test_gptq_windows),
		cmocka_unit_test(test_paretoq),
		cmocka_unit_test(test_llamacpp),
		cmocka_unit_test(test_llamacpp_count),
	};

	return cmocka_run_group_tests(tests, make_tokenizer, clean_up);
}
