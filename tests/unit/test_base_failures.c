/* Every allocation, and every write, is made to fail once: PB_TEST_FAIL_ALLOC=n and PB_TEST_FAIL_WRITE=n for n = 1, 2, ...
 * until nothing fails any more. The variables are read once a process, so each n is a child; this process must not
 * allocate by pb_alloc itself. A leak in a child is a failure under the sanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

#include "core/base/csv.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/base/options.h"
#include "core/base/pool.h"
#include "core/base/yaml.h"
#include "tests/unit/scratch.h"

enum { CLEAN = 0, REFUSED = 10, WRONG = 20 };

/* What a scenario returns for a status and its error. */
static int outcome(enum pb_status status, enum pb_status expected, const struct pb_error *err)
{
	if (status == PB_OK)
		return CLEAN;
	if (status == expected && err->status == expected && strlen(err->text) > 0)
		return REFUSED;
	fprintf(stderr, "%s: %s\n", pb_status_name(status), err->text);
	return WRONG;
}

/* Runs the scenario with the variable at 1, 2, ... until it went well some times in a row (a library may try again with
 * less, so once is not the end); returns how many times it was refused. */
static unsigned fail_each(const char *variable, int (*scenario)(void))
{
	unsigned refused = 0, clean_runs = 0;
	for (unsigned n = 1; n < 2000; n++) {
		pid_t child = fork();
		if (child == 0) {
			char text[16];
			snprintf(text, sizeof text, "%u", n);
			setenv(variable, text, 1);
			exit(scenario());
		}
		int status = 0;
		waitpid(child, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == CLEAN) {
			if (++clean_runs == 5)
				return refused;
			continue;
		}
		clean_runs = 0;
		refused++;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != REFUSED)
			fail_msg("%s=%u: status %x", variable, n, (unsigned)status);
	}
	fail_msg("%s: no end", variable);
	return 0;
}

static int read_yaml(void)
{
	static const char text[] = "a: [1, {b: 2}, '3']\nc:\n  d: |\n    long\n  e: {f: {g: []}}\n";
	struct pb_yaml_file *f;
	struct pb_error err = { 0 };
	enum pb_status status = pb_yaml_parse(&f, "t", text, sizeof text - 1, &err);
	if (status == PB_OK)
		pb_yaml_free(f);
	return outcome(status, PB_MEMORY, &err);
}

static int read_csv(void)
{
	struct pb_csv csv;
	struct pb_error err = { 0 };
	static char text[4000];
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 40 == 39 ? '\n' : i % 2 ? ',' : 'x';
	enum pb_status status = pb_csv_parse(&csv, "t", text, sizeof text, &err);
	if (status == PB_OK)
		pb_csv_free(&csv);
	return outcome(status, PB_MEMORY, &err);
}

static int read_json(void)
{
	static const char text[] = "{\"a\": [1, 2.5, \"x\", {\"b\": null}], \"c\": {\"d\": 1, \"e\": 2, \"f\": 3, \"g\": 4, \"h\": 5, \"i\": 6}}";
	json_t *v;
	struct pb_error err = { 0 };
	enum pb_status status = pb_json_parse(&v, "t", text, sizeof text - 1, &err);
	if (status != PB_OK)
		return outcome(status, PB_MEMORY, &err);
	char *canonical = pb_json_canonical(v), *pretty = pb_json_pretty(v);
	int code = canonical == NULL || pretty == NULL ? REFUSED : CLEAN;
	pb_free(canonical);
	pb_free(pretty);
	json_decref(v);
	return code;
}

struct sample {
	int64_t bits;
	double damp;
	bool sort;
	int mode;
};
static const char *const modes[] = { "a", "b", NULL };
static const struct pb_option table[] = {
	PB_OPT_INT(struct sample, bits, 2, 8, 4, "x"),
	PB_OPT_REAL(struct sample, damp, 0, 1, 0.01, "x"),
	PB_OPT_BOOL(struct sample, sort, 0, "x"),
	PB_OPT_CHOICE(struct sample, mode, modes, "b", "x"),
	PB_OPT_END
};

static int use_options(void)
{
	struct sample s;
	struct pb_error err = { 0 };
	struct pb_text t = { 0 };
	pb_options_default(table, &s);
	enum pb_status status = pb_options_parse(table, &s, "rtn", "bits=3,damp=0.5,sort=yes,mode=a", &err);
	if (status != PB_OK)
		return outcome(status, PB_MEMORY, &err);
	json_t *v = pb_options_json(table, &s);
	pb_options_label(table, &s, &t);
	pb_options_help(table, NULL, &t);
	status = pb_text_check(&t, &err);
	int code = v == NULL ? REFUSED : outcome(status, PB_MEMORY, &err);
	json_decref(v);
	pb_text_free(&t);
	return code;
}

/* Whatever the message needs and does not get, the status stays. */
static int refuse_options(void)
{
	struct sample s;
	struct pb_error err = { 0 };
	pb_options_default(table, &s);
	enum pb_status status = pb_options_set(table, &s, "rtn", "zzzzzz", "1", &err);
	if (status != PB_USAGE || pb_options_set(table, &s, "rtn", "mode", "zzz", &err) != PB_USAGE)
		return WRONG;
	return strcmp(err.text, "rtn: mode=zzz: choose one of a, b") == 0 ? CLEAN : REFUSED;
}

static void nothing(void *arg, size_t task, unsigned worker)
{
	(void)arg;
	(void)task;
	(void)worker;
}

static int use_small_things(void)
{
	struct pb_pool *pool;
	struct pb_error err = { 0 };
	char hex[PB_HASH_HEX];
	struct pb_hash *h = pb_hash_new();
	if (h == NULL)
		return REFUSED;
	pb_hash_finish(h, hex);
	struct pb_arena *arena = pb_arena_new();
	if (arena == NULL)
		return REFUSED;
	bool ok = pb_arena_strdup(arena, "x") != NULL && pb_arena_alloc(arena, 100000, 1) != NULL && pb_arena_printf(arena, "%90000d", 1) != NULL;
	pb_arena_free(arena);
	if (!ok)
		return REFUSED;
	char *p = pb_strdup("abc"), *q = p == NULL ? NULL : pb_realloc(p, 100, 1), *folder = pb_path_folder("a/b"), *joined = pb_path_join("a", "b");
	ok = q != NULL && folder != NULL && joined != NULL;
	pb_free(q != NULL ? q : p);
	pb_free(folder);
	pb_free(joined);
	if (!ok)
		return REFUSED;
	enum pb_status status = pb_pool_new(&pool, 2, &err);
	if (status == PB_OK) {
		pb_pool_run(pool, 10, nothing, NULL);
		pb_pool_free(pool);
	}
	return outcome(status, PB_MEMORY, &err);
}

static int read_compressed(void)
{
	char *data;
	size_t size;
	struct pb_error err = { 0 };
	enum pb_status status = pb_file_read_data(scratch_path("z.gz"), 1 << 20, &data, &size, &err);
	if (status == PB_OK)
		pb_free(data);
	return outcome(status, PB_MEMORY, &err);
}

static int hash_file(void)
{
	char hex[PB_HASH_HEX];
	struct pb_error err = { 0 };
	return outcome(pb_hash_of_file(scratch_path("z.gz"), hex, &err), PB_MEMORY, &err);
}

static bool old_file_is_there(void)
{
	char text[8] = "";
	FILE *f = fopen(scratch_path("old"), "r");
	bool ok = f != NULL && fread(text, 1, sizeof text, f) == 3 && memcmp(text, "old", 3) == 0;
	if (f != NULL)
		fclose(f);
	return ok && scratch_count() == 2;
}

/* A write in three pieces, the second beyond the buffer. After a failure the folder is as it was. */
static int write_file(enum pb_status expected)
{
	static char large[200000];
	struct pb_writer *w;
	struct pb_error err = { 0 };
	enum pb_status status = pb_writer_open(&w, scratch_path("old"), &err);
	if (status == PB_OK) {
		static const size_t pieces[] = { 10, sizeof large, 70000 };
		for (int i = 0; i < 3 && status == PB_OK; i++)
			status = pb_writer_write(w, large, pieces[i], &err);
		if (status == PB_OK)
			status = pb_writer_commit(w, &err);
		else
			pb_writer_abort(w);
	}
	if (status == PB_OK) {
		struct stat st;
		if (stat(scratch_path("old"), &st) != 0 || st.st_size != 270010 || scratch_count() != 2)
			return WRONG;
		FILE *f = fopen(scratch_path("old"), "w");
		fputs("old", f);
		fclose(f);
		return CLEAN;
	}
	if (!old_file_is_there())
		return WRONG;
	if (expected == PB_IO && strstr(err.text, "/old: cannot write: No space left on device") == NULL)
		return WRONG;
	return outcome(status, expected, &err);
}

static int write_without_memory(void)
{
	return write_file(PB_MEMORY);
}

static int write_to_full_disk(void)
{
	return write_file(PB_IO);
}

static int make_folders(void)
{
	struct pb_error err = { 0 };
	enum pb_status status = pb_folder_make(scratch_path("."), &err);
	return status == PB_OK ? outcome(pb_folder_make(scratch_path("old/x"), &err) == PB_MEMORY ? PB_MEMORY : PB_OK, PB_MEMORY, &err) : WRONG;
}

static void without_memory(void **state)
{
	(void)state;
	static const struct { const char *name; int (*scenario)(void); unsigned least; } cases[] = {
		{ "yaml", read_yaml, 6 }, { "csv", read_csv, 6 }, { "json", read_json, 20 }, { "options", use_options, 8 }, { "refused options", refuse_options, 1 },
		{ "small things", use_small_things, 10 }, { "gz", read_compressed, 3 }, { "hash", hash_file, 1 }, { "write", write_without_memory, 5 }, { "folders", make_folders, 1 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		unsigned n = fail_each("PB_TEST_FAIL_ALLOC", cases[i].scenario);
		if (n < cases[i].least)
			fail_msg("%s: refused %u times only", cases[i].name, n);
	}
}

static void on_a_full_disk(void **state)
{
	(void)state;
	/* Writes of 10, 200000 and 70000 bytes, the sync and the rename. */
	assert_int_equal(fail_each("PB_TEST_FAIL_WRITE", write_to_full_disk), 5);
	assert_true(old_file_is_there());
}

/* Files are made by the C library, since pb_file_write would read the variables. */
static int prepare(void **state)
{
	(void)state;
	FILE *f = fopen(scratch_path("old"), "w");
	fputs("old", f);
	fclose(f);
	gzFile z = gzopen(scratch_path("z.gz"), "wb");
	for (int i = 0; i < 100000; i++)
		gzputc(z, i % 251 * i % 253);
	return gzclose(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_memory),
		cmocka_unit_test(on_a_full_disk),
	};
	return cmocka_run_group_tests(tests, prepare, scratch_teardown);
}
