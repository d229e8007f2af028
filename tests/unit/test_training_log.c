/* Logs of trainings: what is read of them, what is refused and in which words. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/csv.h"
#include "reports/training.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"

#define HEAD "step,tokens,loss,gradient_norm,learning_rate,validation_loss,seconds\n"
#define FACTS(name, parameters, status, reason) "{\"name\": \"" name "\", \"parameters\": " parameters ", \"matrix_parameters\": 20, \"steps\": 4,\n" \
	" \"tokens\": 4096, \"tokens_per_second\": 1234.5, \"final_loss\": 3.5, \"validation_loss\": null, \"status\": \"" status "\", \"reason\": \"" reason "\"}\n"
#define GOOD FACTS("micro-s", "30000", "done", "")

static enum pb_status add(struct pb_trainings *t, const char *folder, const char *log, const char *facts, struct pb_error *err)
{
	const struct pb_training_bytes l = { "run/log.csv", log, strlen(log) }, f = { "run/train.json", facts, strlen(facts) };
	return pb_trainings_add(t, folder, &l, &f, err);
}

static void reads(void **state)
{
	(void)state;
	struct pb_trainings t = { 0 };
	OK(add(&t, "run", HEAD "0,0,,,,7.125,0\n1,1024,7,1.5,0.001,,0.25\r\n4,4096,3.5,0.5,1e-3,3.25,1\n", GOOD, ERR));
	assert_int_equal(t.n, 1);
	const struct pb_training *run = &t.runs[0];
	assert_string_equal(run->name, "micro-s");
	assert_string_equal(run->folder, "run");
	assert_string_equal(run->reason, "");
	assert_string_equal(run->version, "");
	assert_int_equal(run->status, PB_TRAINING_DONE);
	assert_string_equal(pb_training_status_name(run->status), "done");
	assert_true(run->parameters == 30000 && run->matrix_parameters == 20 && run->steps == 4 && run->tokens == 4096);
	assert_true(run->tokens_per_second == 1234.5 && run->final_loss == 3.5 && isnan(run->validation_loss));
	assert_int_equal(run->n_lines, 3);
	assert_true(run->lines[0].step == 0 && isnan(run->lines[0].loss) && run->lines[0].validation_loss == 7.125 && run->lines[0].seconds == 0.0);
	assert_true(run->lines[1].tokens == 1024 && run->lines[1].loss == 7.0 && run->lines[1].gradient_norm == 1.5 && isnan(run->lines[1].validation_loss));
	assert_true(run->lines[2].step == 4 && run->lines[2].learning_rate == 0.001 && run->lines[2].seconds == 1.0);
	assert_int_equal(strlen(run->log_hash), 64);
	/* Columns in another order, and more of them; no line yet. */
	OK(add(&t, "b", "more,seconds,validation_loss,step,learning_rate,gradient_norm,loss,tokens\nx,1,,1,0.5,2,3,7\n",
		FACTS("b", "1, \"version\": \"0.1\", \"train\": {}", "diverged", "loss 1e9 at step 3"), ERR));
	assert_string_equal(t.runs[1].version, "0.1");
	assert_true(t.runs[1].lines[0].step == 1 && t.runs[1].lines[0].tokens == 7 && t.runs[1].lines[0].loss == 3.0 && t.runs[1].lines[0].seconds == 1.0);
	assert_string_equal(t.runs[1].reason, "loss 1e9 at step 3");
	OK(add(&t, "c", HEAD, FACTS("c", "1", "running", ""), ERR));
	assert_int_equal(t.runs[2].n_lines, 0);
	pb_trainings_free(&t);
}

/* Every refusal names the file, and the line where there is one, in one line; nothing is added. */
static void refuses(void **state)
{
	(void)state;
	static const struct {
		const char *log, *facts, *says;
	} cases[] = {
		{ "", GOOD, "run/log.csv:1: no column 'step'; is it the log of a training?" },
		{ "step,tokens,loss,gradient_norm,learning_rate,seconds\n", GOOD, "run/log.csv:1: no column 'validation_loss'; is it the log of a training?" },
		{ "step,step,tokens,loss,gradient_norm,learning_rate,validation_loss,seconds\n", GOOD,
			"run/log.csv:1: more than one column 'step'; is it the log of a training?" },
		{ HEAD "1,1024,nan,1,1,,1\n", GOOD, "run/log.csv:2: loss is not a finite number" },
		{ HEAD "1,1024,NaN,1,1,,1\n", GOOD, "run/log.csv:2: loss is not a finite number" },
		{ HEAD "1,1024,7,inf,1,,1\n", GOOD, "run/log.csv:2: gradient_norm is not a finite number" },
		{ HEAD "1,1024,7,1e999,1,,1\n", GOOD, "run/log.csv:2: gradient_norm is not a finite number" },
		{ HEAD "1,1024,7,1,1,\"\",1\n", GOOD, "run/log.csv:2: validation_loss is not a finite number" },
		{ HEAD "1,1024,7,1,1,,1\n\n2,2048,seven,1,1,,1\n", GOOD, "run/log.csv:4: loss is not a finite number" },
		{ HEAD "1.5,1024,7,1,1,,1\n", GOOD, "run/log.csv:2: step is not a whole number from 0 on" },
		{ HEAD ",1024,7,1,1,,1\n", GOOD, "run/log.csv:2: step is not a whole number from 0 on" },
		{ HEAD "1,-1,7,1,1,,1\n", GOOD, "run/log.csv:2: tokens is not a whole number from 0 on" },
		{ HEAD "1,9223372036854775808,7,1,1,,1\n", GOOD, "run/log.csv:2: tokens is not a whole number from 0 on" },
		{ HEAD "1,1024,7,1,1,,1\n1,2048,7,1,1,,1\n", GOOD, "run/log.csv:3: step 1 after step 1" },
		{ HEAD "9,1024,7,1,1,,1\n10,2048,7,1,1,,1\n5,4096,7,1,1,,1\n", GOOD, "run/log.csv:4: step 5 after step 10" },
		{ HEAD "1,1024,7,1,1,,1\n2,1023,7,1,1,,1\n", GOOD, "run/log.csv:3: 1023 tokens after 1024" },
		{ HEAD "1,1024,7,1,1,,1\n2,2048,7\n", GOOD, "run/log.csv:3: 3 fields, the first line has 7" },
		{ HEAD "1,1024,7,1,1,,1\n2,2048,7,1,1,,1.2", GOOD, "run/log.csv:3: truncated: the last line has no end" },
		{ HEAD "1,1024,7,1,1,,\"1\n", GOOD, "run/log.csv:2: the quoted field of the row that begins here has no end" },
		{ HEAD, "", "run/train.json:1:" },
		{ HEAD, "{\"name\": \"a\"", "run/train.json:1:" },
		{ HEAD, "[]", "run/train.json: not an object" },
		{ HEAD, "{}", "run/train.json: 'name' is not a string" },
		{ HEAD, "{\"name\": \"\"}", "run/train.json: 'name' is empty" },
		{ HEAD, FACTS("a", "1.5", "done", ""), "run/train.json: 'parameters' is not a whole number from 0 on" },
		{ HEAD, FACTS("a", "-1", "done", ""), "run/train.json: 'parameters' is not a whole number from 0 on" },
		{ HEAD, FACTS("a", "1, \"parameters\": 2", "done", ""), "run/train.json:1:" },
		{ HEAD, FACTS("a", "1, \"version\": 1", "done", ""), "run/train.json: 'version' is not a string" },
		{ HEAD, FACTS("a", "1", "stopped", ""), "run/train.json: 'status' is none of running, done, diverged" },
		{ HEAD, "{\"name\": \"a\", \"parameters\": 1, \"matrix_parameters\": 1, \"steps\": 1, \"tokens\": 1, \"tokens_per_second\": \"fast\"}",
			"run/train.json: 'tokens_per_second' is neither a number nor null" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pb_trainings t = { 0 };
		struct pb_error err = { 0 };
		if (add(&t, "run", cases[i].log, cases[i].facts, &err) != PB_FORMAT || t.n != 0)
			fail_msg("case %zu is not refused", i);
		bool exact = cases[i].says[strlen(cases[i].says) - 1] != ':';
		if (exact ? strcmp(err.text, cases[i].says) != 0 : strncmp(err.text, cases[i].says, strlen(cases[i].says)) != 0)
			fail_msg("case %zu says '%s'", i, err.text);
		assert_null(strchr(err.text, '\n'));
		pb_trainings_free(&t);
	}
}

static void order_and_table(void **state)
{
	(void)state;
	struct pb_trainings t = { 0 };
	struct pb_text text = { 0 };
	OK(add(&t, "z", HEAD "1,1024,7.1,1,1,,1\n", FACTS("large", "500", "done", ""), ERR));
	OK(add(&t, "y", HEAD "1,1024,7,1,1,6.5,1\n2,2048,6,1,1,,1\n", FACTS("same, twice", "10", "done", ""), ERR));
	OK(add(&t, "x", HEAD, FACTS("same, twice", "10", "done", ""), ERR));
	OK(add(&t, "w", HEAD "3,5,1,2,0,,4\n", FACTS("a", "10", "done", ""), ERR));
	OK(pb_trainings_sort(&t, ERR));
	static const char *const names[] = { "a", "same, twice (x)", "same, twice (y)", "large" };
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(t.runs[i].name, names[i]);
	OK(pb_trainings_csv(&t, &text, ERR));
	assert_string_equal(text.data, "run,step,tokens,loss,gradient_norm,learning_rate,validation_loss,seconds\n"
		"a,3,5,1,2,0,,4\n"
		"\"same, twice (y)\",1,1024,7,1,1,6.5,1\n"
		"\"same, twice (y)\",2,2048,6,1,1,,1\n"
		"large,1,1024,7.0999999999999996,1,1,,1\n");
	pb_text_free(&text);
	pb_trainings_free(&t);
	OK(pb_trainings_sort(&t, ERR));
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(scratch_path(name), "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void folders(void **state)
{
	(void)state;
	struct pb_trainings t = { 0 };
	struct pb_error err = { 0 };
	bool there = true;
	char folder[256];
	snprintf(folder, sizeof folder, "%s", scratch_folder());
	OK(pb_training_is_there(folder, &there, ERR));
	assert_false(there);
	write_file("log.csv", HEAD "1,1024,7,1,1,,1\n");
	OK(pb_training_is_there(folder, &there, ERR));
	assert_true(there);
	assert_int_equal(pb_trainings_read(&t, folder, &err), PB_MISSING);
	assert_non_null(strstr(err.text, "/train.json: "));
	write_file("train.json", GOOD);
	OK(pb_trainings_read(&t, folder, ERR));
	assert_int_equal(t.n, 1);
	assert_string_equal(t.runs[0].folder, folder);
	pb_trainings_free(&t);
}

/* With every allocation failing once: a refusal, or all of the numbers. The first test, since the number is read once in a process. */
static int read_all(void)
{
	struct pb_trainings t = { 0 };
	struct pb_error err = { 0 };
	struct pb_text text = { 0 };
	enum pb_status st = add(&t, "a", HEAD "1,1024,7,1,1,6,1\n2,2048,6,1,1,,2\n", GOOD, &err);
	if (!st)
		st = add(&t, "b", HEAD "1,1024,7,1,1,6,1\n", GOOD, &err);
	if (!st)
		st = pb_trainings_sort(&t, &err);
	if (!st)
		st = pb_trainings_csv(&t, &text, &err);
	bool whole = st ? st == PB_MEMORY && *err.text : strstr(pb_text_c(&text), "\nmicro-s (b),1,1024,7,1,1,6,1\n") != NULL;
	pb_text_free(&text);
	pb_trainings_free(&t);
	return !whole ? 2 : st ? 1 : 0;
}

static void memory(void **state)
{
	(void)state;
	unsigned refused = 0;
	for (unsigned n = 1, clean = 0; clean < 5; n++) {
		pid_t child = fork();
		if (child == 0) {
			char text[16];
			snprintf(text, sizeof text, "%u", n);
			setenv("PB_TEST_FAIL_ALLOC", text, 1);
			exit(read_all());
		}
		int code = 0;
		waitpid(child, &code, 0);
		if (!WIFEXITED(code) || WEXITSTATUS(code) > 1)
			fail_msg("allocation %u: wait status %d", n, code);
		refused += WEXITSTATUS(code);
		clean = WEXITSTATUS(code) ? 0 : clean + 1;
	}
	assert_true(refused > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory), cmocka_unit_test(reads), cmocka_unit_test(refuses), cmocka_unit_test(order_and_table), cmocka_unit_test(folders),
	};
	return cmocka_run_group_tests(tests, NULL, scratch_teardown);
}
