/* Every allocation of a tokenizer's life is made to fail once: PB_TEST_FAIL_ALLOC=n for n = 1, 2, ... until nothing fails any
 * more. The variable is read once a process, so each n is a child; this process must not allocate by pb_alloc itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/text.h"
#include "core/model/tokenizer.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tokenizer_bytes.h"

enum { CLEAN = 0, REFUSED = 10, WRONG = 20 };

static int outcome(enum pb_status status, const struct pb_error *err)
{
	if (status == PB_OK)
		return CLEAN;
	return status == PB_MEMORY && err->status == PB_MEMORY && err->text[0] != '\0' ? REFUSED : WRONG;
}

/* A long text, so that every list grows; the ids and the text there were before must still be there after a failure. */
static int live(const char *path)
{
	static char text[3000];
	struct pb_tokenizer *t;
	struct pb_ids ids = {0};
	struct pb_text back = {0};
	struct pb_error err;
	int result;
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = "ab c\xC3\xA9"[i % 6];
	result = outcome(pb_tokenizer_open(&t, path, 0, &err), &err);
	if (result != CLEAN)
		return result;
	result = outcome(pb_tokenizer_encode(t, "a", 1, PB_SPECIAL_BOS, &ids, &err), &err);
	if (result == CLEAN) {
		size_t before = ids.n;
		result = outcome(pb_tokenizer_encode(t, text, sizeof text, PB_SPECIAL_DEFAULT, &ids, &err), &err);
		if (result == REFUSED && (ids.n != before || ids.data[0] != 1))
			result = WRONG;
	}
	if (result == CLEAN)
		result = outcome(pb_tokenizer_decode(t, ids.data, ids.n, &back, &err), &err);
	pb_text_free(&back);
	pb_ids_free(&ids);
	pb_tokenizer_free(t);
	return result;
}

static unsigned fail_each(const struct file_bytes *f)
{
	const char *path = scratch_path("tokenizer");
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(f->data, 1, f->n, file), f->n);
	assert_int_equal(fclose(file), 0);
	for (unsigned n = 1; n < 2000; n++) {
		int status = 0;
		pid_t child = fork();
		if (child == 0) {
			char number[16];
			snprintf(number, sizeof number, "%u", n);
			setenv("PB_TEST_FAIL_ALLOC", number, 1);
			exit(live(path));
		}
		waitpid(child, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == CLEAN)
			return n - 1;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != REFUSED)
			fail_msg("allocation %u: %s", n, WIFEXITED(status) ? "a wrong end" : "a crash");
	}
	fail_msg("no end");
	return 0;
}

static void memory_runs_out(void **state)
{
	static const int types[] = { BPE, UNIGRAM, CHAR };
	static struct file_bytes f, charsmap;
	(void)state;
	put_word(&charsmap, 4); /* a trie of its root alone */
	put_word(&charsmap, 0);
	put_bytes(&charsmap, "", 1);
	for (size_t i = 0; i < 3; i++) {
		f.n = 0;
		put_special(&f, 0);
		put_piece(&f, "\xE2\x96\x81", -1, NORMAL);
		put_piece(&f, "a", -2, NORMAL);
		put_piece(&f, "b", -2, NORMAL);
		put_piece(&f, "ab", -1, UNUSED);
		put_piece(&f, "c", -1, USER_DEFINED);
		put_trainer(&f, types[i], 0);
		put_normalizer(&f, &charsmap, 1, 1, 1);
		assert_true(fail_each(&f) >= 8);
	}
	f.n = 0;
	put_bin_start(&f, 6, 0);
	put_bin_piece(&f, "a", 1, 0);
	put_bin_piece(&f, " a", 2, 0);
	assert_true(fail_each(&f) >= 6);
	scratch_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_runs_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
