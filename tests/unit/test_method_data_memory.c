/* Every allocation of calibrating and quantizing a model, with a cache and without, and of training one, is made to fail once: the outcome is
 * PB_MEMORY with a sentence. Each run is a process of its own, because the number of the allocation that fails is read once
 * in a process. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "harness/run/cell.h"
#include "tests/plugins/watcher.c"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tiny_model.h"

enum { CLEAN, REFUSED, WRONG };

struct trial {
	const char *cache;      /* or NULL */
	struct watcher_options quantizer;
	const char *method;     /* that is trained; or NULL */
	struct pb_sweep_model model;
	struct pb_calibration_spec spec;
};

static enum pb_status calibrate(const struct trial *t, struct pb_workspace **w, struct pb_error *err)
{
	static const struct pb_data_path nowhere;
	struct pb_quantizer_use use = { &pb_plugin, (void *)(uintptr_t)&t->quantizer };
	struct pb_calibration *c = NULL;
	struct pb_model *model = NULL;
	json_t *about = NULL;
	enum pb_status st = pb_workspace_new(w, NULL, &nowhere, err);

	if (!st)
		st = pb_workspace_model(*w, &t->model, &model, err);
	if (!st)
		st = pb_workspace_calibrate(*w, &t->model, &use, &t->spec, t->cache, NULL, NULL, &c, err);
	if (!st)
		st = pb_quantize_model(model, &use, 0, c, NULL, err);
	if (!st)
		st = pb_workspace_calibration_json(*w, model, &use, &t->spec, &about, err);
	json_decref(about);
	pb_calibration_close(c);
	return st;
}

static enum pb_status train(const struct trial *t, struct pb_workspace **w, struct pb_error *err)
{
	static const struct pb_data_path nowhere;
	const struct pb_training_spec spec = { .data = t->spec.data };
	struct pb_quantizer_use use = {0};
	struct pb_model *trained = NULL;
	double seconds;
	enum pb_status st = pb_workspace_new(w, NULL, &nowhere, err);

	if (!st)
		st = pb_quantizer_use_parse(&use, t->method, err);
	if (!st)
		st = pb_workspace_train(*w, &t->model, &use, &spec, t->cache, 0, NULL, NULL, &trained, &seconds, err);
	pb_model_close(trained);
	pb_quantizer_use_free(&use);
	return st;
}

static int outcome_of_child(const struct trial *t)
{
	struct pb_workspace *w = NULL;
	struct pb_error err = { 0 };
	enum pb_status st = (t->method ? train : calibrate)(t, &w, &err);

	pb_workspace_free(w);
	if (!st)
		return CLEAN;
	if (st == PB_MEMORY && err.status == PB_MEMORY && err.text[0])
		return REFUSED;
	fprintf(stderr, "status %d: %s\n", (int)st, err.text);
	return WRONG;
}

static int run_with_failure(int n, const struct trial *t)
{
	char number[16];
	int status = 0;
	pid_t child;

	if (t->cache)
		scratch_remove_tree(t->cache);
	snprintf(number, sizeof number, "%d", n);
	fflush(NULL);
	child = fork();
	if (!child) {
		/* cmocka would take a crash for a failed test and go on with the next one, in the child. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		setenv("PB_TEST_FAIL_ALLOC", number, 1);
		exit(outcome_of_child(t));
	}
	assert_true(child > 0);
	assert_true(waitpid(child, &status, 0) == child);
	if (!WIFEXITED(status))
		fail_msg("allocation %d: the process ended by signal %d", n, WTERMSIG(status));
	return WEXITSTATUS(status);
}

static void test_every_allocation(void **state)
{
	char path[512], tokenizer[512], text[512], cache[512];

	(void)state;
	snprintf(path, sizeof path, "%s", scratch_path("model.bin"));
	snprintf(tokenizer, sizeof tokenizer, "%s", scratch_path("tokenizer.bin"));
	snprintf(text, sizeof text, "%s", scratch_path("text.txt"));
	snprintf(cache, sizeof cache, "%s", scratch_path("cache"));

	const struct pb_sweep_model model = { .path = path, .tokenizer = tokenizer };
	const struct pb_calibration_spec spec = { .data = text, .n_samples = 3, .seq_len = 8 };
	const struct trial trials[] = {
		{ .cache = cache, .quantizer = { true, false, true }, .model = model, .spec = spec },
		{ .quantizer = { true, false, true }, .model = model, .spec = spec },
		{ .quantizer = { true, true, false }, .model = model, .spec = spec },
		{ .cache = cache, .method = "paretoq:bits=1.58,tokens=16,sequences=1,length=4,distill=0.5", .model = model, .spec = spec },
		{ .cache = cache, .method = "onebit:tokens=16,sequences=1,length=4", .model = model, .spec = spec },
	};

	for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
		const struct trial *t = &trials[i];
		int n = 1, outcome;

		while ((outcome = run_with_failure(n, t)) == REFUSED && n < 20000)
			n++;
		if (outcome != CLEAN)
			fail_msg("trial %zu, allocation %d: outcome %d", i, n, outcome);
		assert_true(n > 50);
	}
}

/* In a process of its own: nothing may allocate in this one before the others are told which allocation fails. */
static int setup(void **state)
{
	struct tiny_model m = tiny_model_default();
	int status;
	pid_t child;

	(void)state;
	scratch_folder();
	fflush(NULL);
	child = fork();
	if (!child) {
		struct pb_error err;
		FILE *f = fopen(scratch_path("text.txt"), "w");

		m.n_vocab = 260;
		m.dim = m.hidden = 8;
		m.n_heads = 2;
		m.n_kv_heads = 1;
		exit(!f || fputs("a text of some length\n", f) < 0 || fclose(f) || tiny_model_write_llama2c(scratch_path("model.bin"), &m, 0, &err) ||
			tiny_model_write_tokenizer(scratch_path("tokenizer.bin"), m.n_vocab, &err));
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_allocation) };

	return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
