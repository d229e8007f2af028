/* From log-probabilities to metrics: accuracies, ties, normalisers, errors, perplexities, limits, values that are no numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/log.h"
#include "tasks/estimate.h"
#include "tests/unit/scratch.h"
#include "tests/unit/task_fixture.h"

static const char *const pieces[] = { " a", " b", " c", " d", "ab", NULL };
static struct pb_tokenizer *tokenizer;

static int make_tokenizer(void **state)
{
	(void)state;
	pb_log_setup(-1);
	tokenizer = fixture_tokenizer(pieces);
	return 0;
}

static void near(double a, double b)
{
	if (!(fabs(a - b) <= 1e-12 * (1 + fabs(b))))
		fail_msg("%.17g is not %.17g", a, b);
}

/* The whole of a request's log-likelihood on its first token. */
static void set(struct fixture_run *run, size_t request, float value)
{
	struct pb_request *r = &run->requests->requests[request];

	for (uint32_t i = 0; i < r->n - r->first; i++)
		r->logprobs[i] = i ? 0 : value;
}

static double value_of(const struct fixture_run *run, const char *metric)
{
	const struct pb_metric *m = fixture_metric(run->result, metric);

	assert_non_null(m);
	return m->value;
}

static double error_of(const struct fixture_run *run, const char *metric)
{
	return fixture_metric(run->result, metric)->stderr_value;
}

static const char choice_yaml[] = "task: t\noutput_type: multiple_choice\ndata_files: [{file: c.jsonl}]\n"
	"doc_to_text: '{{q}}'\ndoc_to_choice: '{{a}}'\ndoc_to_target: g\nmetric_list: [acc, acc_norm, acc_bytes]\n";

static void test_choice(void **state)
{
	/* Lengths: 2 and 4 characters; then 2 characters of 6 bytes and 3 of 3. */
	struct fixture_run run;

	(void)state;
	fixture_write("c.jsonl", "{\"q\":\"x\",\"a\":[\"ab\",\"abcd\"],\"g\":0}\n{\"q\":\"x\",\"a\":[\"\\u3041\\u3042\",\"abc\"],\"g\":0}\n"
		"{\"q\":\"x\",\"a\":[\"ab\",\"cd\"],\"g\":1}\n{\"q\":\"x\",\"a\":[\"ab\",\"cd\"],\"g\":0}\n");
	run = fixture_begin(tokenizer, choice_yaml, NULL, 0, 64);
	set(&run, 0, -3), set(&run, 1, -4);     /* sums: 0; by length -1.5, -1: 1 */
	set(&run, 2, -6), set(&run, 3, -6.5f);  /* sums: 0; characters -3, -2.17: 1; bytes -1, -2.17: 0 */
	set(&run, 4, -2), set(&run, 5, -2);     /* a tie goes to the first */
	set(&run, 6, -2), set(&run, 7, -2);
	run.result = fixture_score(run.task, run.data, run.requests);
	near(value_of(&run, "acc"), 0.75);
	near(value_of(&run, "acc_norm"), 0.25);
	near(value_of(&run, "acc_bytes"), 0.5);
	/* Sample variance of {1, 1, 0, 1} is 1/4. */
	near(error_of(&run, "acc"), sqrt(0.25 / 4));
	near(error_of(&run, "acc_bytes"), sqrt(1.0 / 3 / 4));
	assert_int_equal(fixture_metric(run.result, "acc")->n, 4);
	assert_true(fixture_metric(run.result, "acc")->higher_is_better);
	assert_int_equal(run.result->n_items, 4);
	assert_int_equal(run.result->items[1].index, 1);
	assert_int_equal(run.result->items[1].gold, 0);
	assert_int_equal(run.result->items[1].chosen, 0);
	assert_int_equal(run.result->items[1].chosen_norm, 1);
	assert_int_equal(run.result->items[1].n_values, 2);
	near(run.result->items[1].values[1], -6.5);
	near(run.result->items[1].weight, 1);
	fixture_end(&run);
}

static void test_choice_limit(void **state)
{
	struct fixture_run run = fixture_begin(tokenizer, choice_yaml, NULL, 1, 64), all = fixture_begin(tokenizer, choice_yaml, NULL, 9, 64);

	(void)state;
	assert_int_equal(run.data->n_items, 1);
	assert_int_equal(all.data->n_items, 4);
	assert_string_not_equal(run.data->hash, all.data->hash);
	set(&run, 0, -3), set(&run, 1, -4);
	run.result = fixture_score(run.task, run.data, run.requests);
	near(value_of(&run, "acc"), 1);
	assert_true(isnan(error_of(&run, "acc")));
	fixture_end(&run);
	fixture_end(&all);
}

static void check_numeric(struct fixture_run *run, const char *message)
{
	struct pb_error err = {0};

	assert_int_equal(pb_task_score(&run->result, run->task, run->data, run->requests, &err), PB_NUMERIC);
	assert_null(run->result);
	if (!strstr(err.text, message))
		fail_msg("%s", err.text);
}

static void test_not_finite(void **state)
{
	struct fixture_run run = fixture_begin(tokenizer, choice_yaml, NULL, 2, 64);

	(void)state;
	/* A request that no backend has filled is no number. */
	check_numeric(&run, "t: item 0 (");
	fixture_fill(run.requests);
	run.requests->requests[3].logprobs[1] = NAN;
	check_numeric(&run, "c.jsonl:2): choice 1: the log-probability of token 2 of ");
	run.requests->requests[3].logprobs[1] = -INFINITY;
	check_numeric(&run, "c.jsonl:2): choice 1");
	run.requests->requests[3].logprobs[1] = -1;
	run.result = fixture_score(run.task, run.data, run.requests);
	fixture_end(&run);
}

static const char parts_yaml[] = "task: parts\noutput_type: multiple_choice\nsubtasks: [one, absent, two]\n"
	"data_files: [{file: 'p/{{subtask}}.jsonl'}]\ndoc_to_text: ''\ndoc_to_choice: ['{{good}}', '{{bad}}']\ndoc_to_target: 0\nmetric_list: [acc]\n";

static void test_subtasks(void **state)
{
	struct fixture_run run;

	(void)state;
	fixture_write("p/one.jsonl", "{\"good\":\"a\",\"bad\":\"b\"}\n{\"good\":\"b\",\"bad\":\"c\"}\n");
	fixture_write("p/two.jsonl", "{\"good\":\"a\",\"bad\":\"b\"}\n{\"good\":\"b\",\"bad\":\"c\"}\n{\"good\":\"b\",\"bad\":\"d\"}\n{\"good\":\"b\",\"bad\":\"d\"}\n");
	run = fixture_begin(tokenizer, parts_yaml, NULL, 0, 64);
	assert_int_equal(run.data->n_items, 6);
	for (size_t i = 0; i < 12; i++)
		set(&run, i, i % 2 ? -2 : -1);
	set(&run, 2, -3);                       /* one: 1 of 2; two: 4 of 4 */
	run.result = fixture_score(run.task, run.data, run.requests);
	near(value_of(&run, "acc"), 0.75);
	/* Variance 1/2 over 2 items, and none: sqrt(1/4 + 0) / 2. */
	near(error_of(&run, "acc"), 0.25);
	assert_int_equal(run.result->items[1].index, 1);
	assert_int_equal(run.result->items[3].index, 2 * PB_SUBTASK_STRIDE + 1);
	fixture_end(&run);
	/* The limit is of each subtask. */
	run = fixture_begin(tokenizer, parts_yaml, NULL, 3, 64);
	assert_int_equal(run.data->n_items, 5);
	fixture_end(&run);
}

static const char pair_yaml[] = "task: t\noutput_type: loglikelihood\ndata_files: [{file: l.jsonl}]\ndoc_to_text: c\ndoc_to_target: t\n";

static void test_passages(void **state)
{
	static const char yaml[] = "task: t\noutput_type: multiple_choice\ndata_files: [{file: q.jsonl}]\ndoc_to_text: '{{text}} {{question}}'\n"
		"doc_to_choice: [a, b]\ndoc_to_target: 0\nmetric_list: [acc]\n";
	static const uint32_t expected[] = { 1, 2, 0, 1, 2, 1 };
	char with[512];
	struct fixture_run run, other;

	(void)state;
	fixture_write("q.jsonl", "{\"text\":\"x\",\"question\":1}\n{\"text\":\"a\",\"question\":1}\n{\"text\":\"y\",\"question\":1}\n"
		"{\"text\":\"x\",\"question\":2}\n{\"text\":\"a\",\"question\":2}\n{\"text\":\"x\",\"question\":3}\n");
	snprintf(with, sizeof(with), "%sdoc_to_passage: '{{text}}'\n", yaml);
	run = fixture_begin(tokenizer, with, NULL, 0, 64);
	other = fixture_begin(tokenizer, yaml, NULL, 0, 64);
	/* It changes no number. */
	assert_string_equal(run.task->hash, other.task->hash);
	fixture_fill(run.requests);
	fixture_fill(other.requests);
	run.result = fixture_score(run.task, run.data, run.requests);
	other.result = fixture_score(other.task, other.data, other.requests);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(run.result->items[i].cluster, expected[i]);
		assert_int_equal(other.result->items[i].cluster, 0);
	}
	fixture_end(&run);
	fixture_end(&other);
}

static void test_loglikelihood(void **state)
{
	struct fixture_run run;

	(void)state;
	fixture_write("l.jsonl", "{\"c\":\"a\",\"t\":\" b c\"}\n{\"c\":\"a\",\"t\":\" d\"}\n{\"c\":\"a\",\"t\":\" c\"}\n");
	run = fixture_begin(tokenizer, pair_yaml, NULL, 0, 64);
	set(&run, 0, -1), set(&run, 1, -2), set(&run, 2, -6);
	for (size_t i = 0; i < 3; i++)
		run.requests->requests[i].greedy[0] = i != 2;
	run.requests->requests[0].greedy[1] = false;    /* one of two tokens is not enough */
	run.result = fixture_score(run.task, run.data, run.requests);
	near(value_of(&run, "acc"), 1.0 / 3);
	near(error_of(&run, "acc"), sqrt(1.0 / 3 / 3));
	near(value_of(&run, "ppl"), exp(3));
	/* Sample variance of {1, 2, 6} is 7. */
	near(error_of(&run, "ppl"), exp(3) * sqrt(7.0 / 3));
	assert_false(fixture_metric(run.result, "ppl")->higher_is_better);
	assert_int_equal(run.result->items[1].gold, 0);
	assert_int_equal(run.result->items[1].chosen, 0);
	assert_int_equal(run.result->items[0].chosen, -1);
	near(run.result->items[2].values[0], -6);
	fixture_end(&run);
	fixture_write("l.jsonl", "{\"c\":\"a\",\"t\":\" b\"}\n");
	run = fixture_begin(tokenizer, pair_yaml, NULL, 0, 64);
	set(&run, 0, -1000);                    /* exp(1000) is no number */
	check_numeric(&run, "t: ppl is not finite");
	fixture_end(&run);
}

static const char documents_yaml[] = "task: t\noutput_type: documents\ndata_files: [{file: d.jsonl}]\ndoc_to_target: text\n";

static void test_documents(void **state)
{
	struct fixture_run run;
	double mean, error;

	(void)state;
	fixture_write("d.jsonl", "{\"text\":\"a b\"}\n{\"text\":\"a b c d\"}\n{\"text\":\"c\"}\n");
	run = fixture_begin(tokenizer, documents_yaml, NULL, 0, 64);
	set(&run, 0, -3), set(&run, 1, -10), set(&run, 2, -1);
	run.result = fixture_score(run.task, run.data, run.requests);
	/* 14 nats over 2 + 4 + 1 tokens; residuals 3 - 4, 10 - 8, 1 - 2. */
	mean = 2;
	error = sqrt((1 + 4 + 1) * 3.0 / 2) / 7;
	near(value_of(&run, "nll"), mean);
	near(error_of(&run, "nll"), error);
	assert_int_equal(fixture_metric(run.result, "nll")->n, 7);
	near(value_of(&run, "ppl_token"), exp(2));
	near(error_of(&run, "ppl_token"), exp(2) * error);
	/* Bytes 3 + 7 + 1. */
	near(value_of(&run, "bits_per_byte"), 14 / 11.0 / log(2));
	assert_int_equal(fixture_metric(run.result, "bits_per_byte")->n, 11);
	near(run.result->items[1].weight, 4);
	near(run.result->items[1].values[0], -10);
	assert_int_equal(run.result->items[1].gold, -1);
	fixture_end(&run);
	/* Cut at 3 tokens: "a b", "a b", "c" are what is predicted. */
	run = fixture_begin(tokenizer, documents_yaml, NULL, 0, 3);
	fixture_fill(run.requests);
	run.result = fixture_score(run.task, run.data, run.requests);
	assert_int_equal(fixture_metric(run.result, "bits_per_byte")->n, 7);
	assert_int_equal(fixture_metric(run.result, "nll")->n, 5);
	fixture_end(&run);
	run = fixture_begin(tokenizer, documents_yaml, NULL, 1, 64);
	fixture_fill(run.requests);
	run.result = fixture_score(run.task, run.data, run.requests);
	assert_true(isnan(error_of(&run, "nll")));
	assert_true(isnan(error_of(&run, "bits_per_byte")));
	fixture_end(&run);
}

static const char rolling_yaml[] = "task: t\noutput_type: loglikelihood_rolling\ndata_files: [{file: r.jsonl}]\ndoc_to_target: page\n"
	"detokenizer: wikitext\nmetric_list: [nll, ppl_word, ppl_byte, bits_per_byte, ppl_token]\n";

static void test_rolling(void **state)
{
	struct fixture_run run;

	(void)state;
	/* Words of the page as it is: white space at its ends makes an empty word each: 4 and 3. What is scored is detokenized:
	 * "a, b" is _a "," _b: with the tokenizer's BOS 4 tokens. */
	fixture_write("r.jsonl", "{\"page\":\"a , b\\n\"}\n{\"page\":\" c\\n\"}\n");
	run = fixture_begin(tokenizer, rolling_yaml, "lmeh-word-one-bos", 0, 64);
	set(&run, 0, -8), set(&run, 1, -6);
	assert_int_equal(run.requests->requests[0].n - run.requests->requests[0].first, 4);
	assert_int_equal(run.requests->requests[1].n - run.requests->requests[1].first, 3);
	run.result = fixture_score(run.task, run.data, run.requests);
	near(value_of(&run, "nll"), 2);
	near(value_of(&run, "ppl_word"), exp(14 / 7.0));
	near(error_of(&run, "ppl_word"), exp(2) * 0);
	assert_int_equal(fixture_metric(run.result, "ppl_word")->n, 7);
	near(value_of(&run, "ppl_byte"), exp(14 / 9.0));
	near(value_of(&run, "bits_per_byte"), 14 / 9.0 / log(2));
	/* Residuals 8 - 14/9 * 6 and 6 - 14/9 * 3. */
	near(error_of(&run, "bits_per_byte"), sqrt((pow(8 - 14 / 9.0 * 6, 2) + pow(6 - 14 / 9.0 * 3, 2)) * 2) / 9 / log(2));
	fixture_end(&run);
	/* The same sum from windows; the last page may be empty. */
	fixture_write("r.jsonl", "{\"page\":\"a b c d a b c\"}\n{\"page\":\"\"}\n");
	run = fixture_begin(tokenizer, rolling_yaml, NULL, 0, 3);
	assert_int_equal(run.requests->n_requests, 3);
	set(&run, 0, -1), set(&run, 1, -2), set(&run, 2, -5);
	run.result = fixture_score(run.task, run.data, run.requests);
	near(value_of(&run, "nll"), 1);
	assert_int_equal(fixture_metric(run.result, "nll")->n, 8);
	assert_int_equal(fixture_metric(run.result, "ppl_word")->n, 8);
	near(run.result->items[0].values[0], -8);
	near(run.result->items[1].weight, 0);
	fixture_end(&run);
}

static const char window_yaml[] = "task: t\noutput_type: window\ndata_files: [{file: w.txt, format: text}]\ndoc_to_target: text\n";

static void test_window(void **state)
{
	struct fixture_run run;
	double error;

	(void)state;
	fixture_write("w.txt", "a b c d a b c d a b c d");
	run = fixture_begin(tokenizer, window_yaml, "gptq-wt2@4", 0, 64);
	assert_int_equal(run.requests->n_requests, 3);
	set(&run, 0, -3), set(&run, 1, -6), set(&run, 2, -9);
	run.result = fixture_score(run.task, run.data, run.requests);
	near(value_of(&run, "nll"), 2);
	error = sqrt((9 + 0 + 9) * 3.0 / 2) / 9;
	near(error_of(&run, "nll"), error);
	near(value_of(&run, "ppl_token"), exp(2));
	near(error_of(&run, "ppl_token"), exp(2) * error);
	assert_int_equal(fixture_metric(run.result, "nll")->n, 9);
	assert_int_equal(run.result->n_items, 3);
	near(run.result->items[2].weight, 3);
	fixture_end(&run);
}

/* The scorer's sums are exact, so they are the same in any order of requests and can be made again by hand. */
static void test_fake_scorer(void **state)
{
	struct fixture_run run = fixture_begin(tokenizer, window_yaml, "gptq-wt2@4", 0, 64);
	double sum = 0;

	(void)state;
	fixture_fill(run.requests);
	for (size_t i = 0; i < run.requests->n_requests; i++)
		for (uint32_t j = 1; j < 4; j++)
			sum += fixture_logprob(run.requests->requests[i].tokens[j - 1], run.requests->requests[i].tokens[j]);
	run.result = fixture_score(run.task, run.data, run.requests);
	near(value_of(&run, "nll"), -sum / 9);
	fixture_end(&run);
}

static void test_estimates(void **state)
{
	const double x[] = { 1, 2, 4 }, y[] = { 2, 3, 7 }, w[] = { 1, 2, 3 };
	struct pb_estimate e = pb_estimate_mean(x, 3);

	(void)state;
	near(e.value, 7.0 / 3);
	near(e.stderr_value, sqrt(7.0 / 9));
	e = pb_estimate_ratio(y, w, 3);
	near(e.value, 2);
	near(e.stderr_value, sqrt((0 + 1 + 1) * 3.0 / 2) / 6);
	assert_true(isnan(pb_estimate_mean(x, 1).stderr_value));
	assert_true(isnan(pb_estimate_ratio(y, w, 1).stderr_value));
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
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_choice_limit),
		cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_subtasks),
		cmocka_unit_test(test_passages),
		cmocka_unit_test(test_loglikelihood),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_rolling),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_fake_scorer),
		cmocka_unit_test(test_estimates),
	};

	return cmocka_run_group_tests(tests, make_tokenizer, clean_up);
}
