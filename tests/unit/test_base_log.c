#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "tests/unit/scratch.h"

/* Runs fn with stderr going to a file; returns what was written, pb_free'd by the caller. */
static char *stderr_of(void (*fn)(void))
{
	char *text;
	size_t n;
	fflush(stderr);
	int kept = dup(STDERR_FILENO);
	assert_non_null(freopen(scratch_path("stderr"), "w", stderr));
	fn();
	fflush(stderr);
	dup2(kept, STDERR_FILENO);
	close(kept);
	assert_int_equal(pb_file_read(scratch_path("stderr"), 1 << 24, &text, &n, NULL), PB_OK);
	return text;
}

static void one_of_each(void)
{
	struct pb_error err;
	pb_log(PB_LOG_DEBUG, "a %s", "debug");
	pb_log(PB_LOG_INFO, "an info");
	pb_log(PB_LOG_WARNING, "cells: %d left", 3);
	pb_log(PB_LOG_ERROR, "onebit: failed");
	(void)pb_fail(&err, PB_USAGE, "rtn: unknown option 'bitss'\nsee paretobench help rtn");
	pb_log_failure(&err);
}

static void levels(void **state)
{
	(void)state;
	static const char *const expected[] = {
		"paretobench: onebit: failed\nparetobench: rtn: unknown option 'bitss'\n  see paretobench help rtn\n",
		"paretobench: warning: cells: 3 left\n", "paretobench: an info\n", "paretobench: a debug\n",
	};
	unsetenv("PB_LOG");
	for (int verbosity = -1; verbosity <= 2; verbosity++) {
		char all[512] = "";
		for (int i = verbosity + 1; i >= 0; i--)
			strcat(all, expected[i]);
		pb_log_setup(verbosity);
		char *text = stderr_of(one_of_each);
		assert_string_equal(text, all);
		pb_free(text);
	}
}

static void odd_texts(void)
{
	static char large[100001];
	memset(large, 'x', sizeof large - 1);
	pb_log(PB_LOG_ERROR, "a\033[31m\rb\x7f\xff");
	pb_log(PB_LOG_ERROR, "%s", large);
}

static void no_control_characters(void **state)
{
	(void)state;
	pb_log_setup(0);
	char *text = stderr_of(odd_texts);
	assert_memory_equal(text, "paretobench: a?[31m?b?\xff\nparetobench: xxx", 40);
	assert_int_equal(strlen(text), 24 + 13 + 100000 + 1);
	pb_free(text);
}

static int hook_calls;
static void hook(void)
{
	hook_calls++;
	fputs("<clear>", stderr);
	fflush(stderr);
}

static void clears_the_status_line(void **state)
{
	(void)state;
	pb_log_setup(0);
	pb_log_before(hook);
	char *text = stderr_of(one_of_each);
	pb_log_before(NULL);
	assert_int_equal(hook_calls, 3);
	assert_memory_equal(text, "<clear>paretobench: warning: cells: 3 left\n<clear>paretobench: onebit", 69);
	pb_free(text);
}

static void *many_lines(void *arg)
{
	for (int i = 0; i < 300; i++)
		pb_log(PB_LOG_WARNING, "thread %s line %d \"quoted\" \\ \t caf\xc3\xa9 \xff", (const char *)arg, i);
	return NULL;
}

static void four_threads(void)
{
	pthread_t ids[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&ids[i], NULL, many_lines, "t");
	for (int i = 0; i < 4; i++)
		pthread_join(ids[i], NULL);
	pb_log(PB_LOG_DEBUG, "not for people");
}

static void json_lines(void **state)
{
	(void)state;
	setenv("PB_LOG", scratch_path("log.jsonl"), 1);
	pb_log_setup(0);
	char *text = stderr_of(four_threads), *log;
	size_t n, lines = 0;
	for (char *p = text, *next; *p != '\0'; p = next) {
		next = strchr(p, '\n') + 1;
		assert_memory_equal(p, "paretobench: warning: thread t line ", 36);
	}
	pb_free(text);
	assert_int_equal(pb_file_read(scratch_path("log.jsonl"), 1 << 24, &log, &n, NULL), PB_OK);
	for (char *p = log, *next; *p != '\0'; p = next, lines++) {
		json_t *v;
		next = strchr(p, '\n') + 1;
		assert_int_equal(pb_json_parse(&v, "log", p, (size_t)(next - p), NULL), PB_OK);
		assert_int_equal(json_object_size(v), 5);
		assert_int_equal(strlen(json_string_value(json_object_get(v, "utc"))), 20);
		assert_true(json_real_value(json_object_get(v, "seconds")) > 0);
		assert_int_equal(json_integer_value(json_object_get(v, "pid")), getpid());
		const char *event = json_string_value(json_object_get(v, "event"));
		if (lines < 1200) {
			assert_string_equal(json_string_value(json_object_get(v, "level")), "warning");
			assert_non_null(strstr(event, "\"quoted\" \\ \t caf\xc3\xa9 \xEF\xBF\xBD"));
		} else {
			assert_string_equal(json_string_value(json_object_get(v, "level")), "debug");
			assert_string_equal(event, "not for people");
		}
		json_decref(v);
	}
	assert_int_equal(lines, 1201);
	pb_free(log);
}

static void setup_with_a_bad_log(void)
{
	pb_log_setup(0);
}

static void says_that_there_is_no_log(void **state)
{
	(void)state;
	setenv("PB_LOG", "/no/such/folder/log", 1);
	char *text = stderr_of(setup_with_a_bad_log);
	assert_string_equal(text, "paretobench: warning: /no/such/folder/log: cannot open the log of PB_LOG\n");
	pb_free(text);
}

int main(void)
{
	/* The log stays open once it is: last. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels),
		cmocka_unit_test(no_control_characters),
		cmocka_unit_test(clears_the_status_line),
		cmocka_unit_test(says_that_there_is_no_log),
		cmocka_unit_test(json_lines),
	};
	return cmocka_run_group_tests(tests, NULL, scratch_teardown);
}
