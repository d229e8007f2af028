/* Every allocation of a task, from its definition to its metrics, is made to fail once: the outcome is PB_MEMORY with a
 * sentence, or, where a message could do without, the numbers of an undisturbed run. Each run is a process of its own,
 * because the number of the allocation that fails is read once in a process; nothing here may allocate before.
 * Strings of JSON data here avoid lengths of 14, 30, 62, ...: jansson 2.14 reads past its buffer when that cannot grow for
 * the closing quote. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "core/base/log.h"
#include "tasks/task.h"
#include "tests/unit/scratch.h"

enum { CLEAN, REFUSED, WRONG };

/* What an undisturbed run gives. */
static struct outcome {
	char task[PB_HASH_HEX], data[PB_HASH_HEX];
	size_t n_requests, n_metrics;
	double values[PB_MAX_METRICS];
} *expected;

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(scratch_path(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* llama2.c form: unknown, BOS, EOS, bytes, a blank. */
static void write_tokenizer(void)
{
	FILE *f = fopen(scratch_path("tokenizer.bin"), "wb");
	char name[8];
	float score = 0;
	int32_t longest = 8;

	assert_non_null(f);
	fwrite(&longest, 4, 1, f);
	for (int i = -3; i <= 256; i++) {
		int32_t length;

		snprintf(name, sizeof(name), i < 0 ? "<%d>" : i < 256 ? "<0x%02X>" : " ", i);
		length = (int32_t)strlen(name);
		fwrite(&score, 4, 1, f);
		fwrite(&length, 4, 1, f);
		fwrite(name, 1, (size_t)length, f);
	}
	fclose(f);
}

static enum pb_status run_task(const char *file, const struct pb_tokenizer *tokenizer, struct outcome *out, struct pb_error *err)
{
	const char *folder = scratch_folder();
	struct pb_task *task = NULL;
	struct pb_task_data *data = NULL;
	struct pb_task_requests *requests = NULL;
	struct pb_task_result *result = NULL;
	enum pb_status st = pb_task_open(&task, scratch_path(file), NULL, 2, err);

	if (!st)
		st = pb_task_data_read(&data, task, &(struct pb_data_path){ &folder, 1 }, err);
	if (!st)
		st = pb_task_requests_make(&requests, task, data, tokenizer, 16, err);
	for (size_t i = 0; !st && i < requests->n_requests; i++)
		for (uint32_t j = 0; j < requests->requests[i].n - requests->requests[i].first; j++) {
			requests->requests[i].logprobs[j] = -(float)(1 + (i + j) % 3);
			if (requests->requests[i].divergence)
				requests->requests[i].divergence[j] = (struct pb_divergence){ .kld = (double)(j % 4), .full = -1, .quantized = -2 };
		}
	if (!st)
		st = pb_task_score(&result, task, data, requests, err);
	if (!st) {
		memcpy(out->task, task->hash, PB_HASH_HEX);
		memcpy(out->data, data->hash, PB_HASH_HEX);
		out->n_requests = requests->n_requests;
		out->n_metrics = result->n_metrics;
		for (size_t i = 0; i < result->n_metrics; i++)
			out->values[i] = result->metrics[i].value;
	}
	pb_task_result_free(result);
	pb_task_requests_free(requests);
	pb_task_data_free(data);
	pb_task_close(task);
	return st;
}

static bool same(const struct outcome *a, const struct outcome *b)
{
	return strcmp(a->task, b->task) == 0 && strcmp(a->data, b->data) == 0 && a->n_requests == b->n_requests && a->n_metrics == b->n_metrics
		&& memcmp(a->values, b->values, sizeof(a->values)) == 0;
}

static int run_short_of_memory(const char *file, unsigned n)
{
	struct pb_tokenizer *tokenizer = NULL;
	struct outcome out = {0};
	struct pb_error err = {0};
	char number[16];
	enum pb_status st;

	snprintf(number, sizeof(number), "%u", n);
	setenv("PB_TEST_FAIL_ALLOC", number, 1);
	pb_log_setup(-1);
	st = pb_tokenizer_open(&tokenizer, scratch_path("tokenizer.bin"), 0, &err);
	if (!st)
		st = run_task(file, tokenizer, &out, &err);
	pb_tokenizer_free(tokenizer);
	if (st)
		return st == PB_MEMORY && *err.text ? REFUSED : WRONG;
	if (!n)
		*expected = out;
	return same(expected, &out) ? CLEAN : WRONG;
}

static int in_child(const char *file, unsigned n)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		/* cmocka would take a crash for a failed test and go on with the next one, in the child. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		_exit(run_short_of_memory(file, n));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > REFUSED)
		fail_msg("%s: allocation %u: status %x", file, n, (unsigned)status);
	return WEXITSTATUS(status);
}

static void check(const char *name, const char *definition, const char *data)
{
	unsigned refused = 0, clean = 0;

	write_file("t.yaml", definition);
	write_file(name, data);
	assert_int_equal(in_child("t.yaml", 0), CLEAN);
	/* A message in the log may swallow a few; eight clean runs in a row are the end. */
	for (unsigned n = 1; clean < 8; n++) {
		if (in_child("t.yaml", n) == REFUSED) {
			refused++;
			clean = 0;
		} else {
			clean++;
		}
		assert_true(n < 2000);
	}
	assert_true(refused > 25);
}

static void test_choice(void **state)
{
	(void)state;
	check("c.jsonl", "task: t\noutput_type: multiple_choice\ndata_files: [{file: c.jsonl}]\ndoc_to_text: '{{q}}'\ndoc_to_choice: '{{a}}'\ndoc_to_target: g\n",
		"{\"q\":\"x\",\"a\":[\"ab\",\"cd\"],\"g\":0}\n{\"q\":[\"x\",\"y\"],\"a\":\"c\",\"g\":1}\n");
	check("o.jsonl", "task: t\noutput_type: multiple_choice\ndata_files: [{file: o.jsonl, process: olmes}]\n"
		"doc_to_text: '{{question}}'\ndoc_to_choice: '{{choices}}'\ndoc_to_target: gold\n",
		"{\"doc\":{\"query\":\"Question: q\\nAnswer:\",\"choices\":[\"x\"],\"gold\":0},\"request\":{\"context\":\"Question: q\\nAnswer:\",\"continuation\":\" x\"},"
		"\"idx\":0,\"doc_id\":1000000,\"label\":0}\n"
		"{\"doc\":{\"choices\":[\"x\",\"y\"],\"gold\":0,\"question\":\"q\"},\"request\":{\"context\":\"q\",\"continuation\":\" x\"},\"idx\":0,\"doc_id\":0,\"label\":0}\n"
		"{\"doc\":{\"choices\":[\"x\",\"y\"],\"gold\":0,\"question\":\"q\"},\"request\":{\"context\":\"q\",\"continuation\":\" y\"},\"idx\":1,\"doc_id\":0,\"label\":0}\n");
	check("one.jsonl", "task: t\noutput_type: multiple_choice\nsubtasks: [one, two]\ndata_files: [{file: '{{subtask}}.jsonl'}]\n"
		"doc_to_text: ''\ndoc_to_choice: ['{{g}}', '{{b}}']\ndoc_to_target: 0\n", "{\"g\":\"a\",\"b\":\"b\"}\n");
}

static void test_lines(void **state)
{
	(void)state;
	check("h.txt", "task: t\noutput_type: multiple_choice\ndata_files: [{file: h.txt, format: hellaswag}]\n"
		"doc_to_text: '{{query}}'\ndoc_to_choice: '{{choices}}'\ndoc_to_target: gold\n", "Walk: He walks.\n2\na\nb\nc\nd\n");
	check("w.csv", "task: t\noutput_type: multiple_choice\ndata_files: [{file: w.csv, format: csv, process: winogrande}]\n"
		"doc_to_text: '{{contexts}}'\ndoc_to_choice: '{{continuation}}'\ndoc_to_target: gold\n", "sentence,option1,option2,answer\nSo _ ran off.,Ann,Bo,2\n");
}

static void test_texts(void **state)
{
	(void)state;
	check("r.txt", "task: t\noutput_type: loglikelihood_rolling\ndata_files: [{file: r.txt, format: text, process: wikitext_pages}]\n"
		"doc_to_target: '{{page}}'\ndetokenizer: wikitext\n", " \n = A = \n a ( b ) , c \n = B = \n a long line that takes two windows\n");
	check("d.json", "task: t\noutput_type: documents\ndata_files: [{file: d.json, format: json}]\ndoc_to_target: text\n", "[\"a text longer than the context is\", {\"text\": \"b\"}]");
	check("v.txt", "task: t\noutput_type: divergence\nprotocol: lmeh-word\ndata_files: [{file: v.txt, format: lines}]\ndoc_to_target: text\n",
		"a long line that takes two windows\nand one more line of text\n");
	check("w.txt", "task: t\noutput_type: window\ndata_files: [{file: w.txt, format: text}]\ndoc_to_target: text\n", "a line of text\n \nand one more line of text\n");
	check("l.csv", "task: t\noutput_type: loglikelihood\ndata_files: [{file: l.csv, format: csv, process: lambada}]\ndoc_to_text: context\ndoc_to_target: target\n",
		"text\nthe last word\n");
}

static int set_up(void **state)
{
	(void)state;
	expected = mmap(NULL, sizeof(*expected), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (expected == MAP_FAILED)
		return -1;
	write_tokenizer();
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	scratch_remove();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, set_up, clean_up);
}
