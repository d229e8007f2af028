/* Every allocation of a training run, from opening to the written folder, is made to fail once: the outcome is PB_MEMORY
 * with a sentence. Each run is a process of its own, because the number of the allocation that fails is read once in a
 * process; nothing here may allocate before. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "backends/train/train.h"
#include "tests/unit/scratch.h"

enum { CLEAN, REFUSED, WRONG };

static enum pb_status train(struct pb_trainer **t, struct pb_batches *data, const char *checkpoint, const char *folder, struct pb_error *err)
{
	static const struct pb_config config = { .architecture = "llama", .n_vocab = 16, .dim = 8, .n_layers = 1, .n_heads = 2, .n_kv_heads = 1, .head_dim = 4,
		.hidden = 8, .context = 8, .norm_eps = 1e-5f, .rope_base = 10000, .rope_interleaved = true, .bos = -1, .eos = -1 };
	static int32_t tokens[40];
	struct pb_recipe recipe;
	struct pb_step step;
	enum pb_status st;

	for (int i = 0; i < 40; i++)
		tokens[i] = i * 7 % 16;
	pb_options_default(pb_recipe_options, &recipe);
	recipe.steps = 2;
	recipe.sequences = 2;
	recipe.length = 8;
	recipe.states = 1;
	st = pb_batches_open(data, "text", tokens, 40, 16, 8, 1, err);
	if (!st)
		st = pb_trainer_open(t, &config, &recipe, NULL, NULL, err);
	if (st)
		return st;
	pb_trainer_start(*t);
	st = pb_trainer_advance(*t, data, &step, err);
	if (!st)
		st = pb_trainer_save(*t, checkpoint, NULL, err);
	if (!st)
		st = pb_trainer_resume(*t, checkpoint, NULL, err);
	if (!st)
		st = pb_network_write_folder(pb_trainer_network(*t), pb_trainer_network(*t)->parameters, folder, PB_BF16, err);
	return st;
}

static int outcome_of_child(const char *checkpoint, const char *folder)
{
	struct pb_trainer *t = NULL;
	struct pb_batches data = { 0 };
	struct pb_error err = { 0 };
	enum pb_status st = train(&t, &data, checkpoint, folder, &err);

	pb_trainer_close(t);
	pb_batches_close(&data);
	if (!st)
		return CLEAN;
	if (st == PB_MEMORY && err.status == PB_MEMORY && err.text[0])
		return REFUSED;
	fprintf(stderr, "status %d: %s\n", (int)st, err.text);
	return WRONG;
}

static int run_with_failure(int n, const char *checkpoint, const char *folder)
{
	char number[16];
	int status = 0;
	pid_t child;

	snprintf(number, sizeof number, "%d", n);
	fflush(NULL);
	child = fork();
	if (!child) {
		/* cmocka would take a crash for a failed test and go on with the next one, in the child. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		setenv("PB_TEST_FAIL_ALLOC", number, 1);
		exit(outcome_of_child(checkpoint, folder));
	}
	assert_true(child > 0);
	assert_true(waitpid(child, &status, 0) == child);
	if (!WIFEXITED(status))
		fail_msg("allocation %d: the process ended by signal %d", n, WTERMSIG(status));
	return WEXITSTATUS(status);
}

static void test_every_allocation(void **state)
{
	char checkpoint[512], folder[512];
	int n = 1, outcome;

	(void)state;
	snprintf(checkpoint, sizeof checkpoint, "%s", scratch_path("checkpoint"));
	snprintf(folder, sizeof folder, "%s", scratch_path("folder"));
	while ((outcome = run_with_failure(n, checkpoint, folder)) == REFUSED && n < 5000)
		n++;
	if (outcome != CLEAN)
		fail_msg("allocation %d: outcome %d", n, outcome);
	assert_true(n > 15);
}

static int remove_scratch(void **state)
{
	(void)state;
	scratch_remove();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_allocation) };

	return cmocka_run_group_tests(tests, NULL, remove_scratch);
}
