/* The record: what is put in comes out, a cell is replaced whole, one writer at a time, files that are none are refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>
#include "core/base/file.h"
#include "core/store/store.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/pb-store-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static struct pb_row *add(struct pb_rows *rows, const char *cell, const char *task, const char *metric, double value)
{
	struct pb_error err = {0};
	struct pb_row *r = pb_rows_add(rows, &err);

	assert_non_null(r);
	r->cell = pb_rows_string(rows, cell);
	r->task = pb_rows_string(rows, task);
	r->metric = pb_rows_string(rows, metric);
	r->model = pb_rows_string(rows, "m");
	r->label = pb_rows_string(rows, "rtn w4");
	r->status = PB_ROW_OK;
	r->value = value;
	r->stderr_value = 0.125;
	r->n = 17;
	return r;
}

static struct pb_store *open_store(bool create)
{
	struct pb_store *store = NULL;
	struct pb_error err = {0};
	enum pb_status st = pb_store_open(&store, folder, create, &err);

	if (st)
		print_message("%s\n", err.text);
	assert_int_equal(st, PB_OK);
	return store;
}

static void test_round_trip(void **state)
{
	struct pb_store *store = open_store(true);
	struct pb_rows rows, back;
	const double first[2] = { -1.5, -2.0 / 3.0 }, second[1] = { -1e-300 };
	const struct pb_stored_item items[2] = {
		{ .index = 4, .n_values = 2, .values = first, .weight = 1, .gold = 1, .chosen = 1, .chosen_norm = 0, .cluster = 5 },
		{ .index = 9, .n_values = 1, .values = second, .weight = 33, .gold = -1, .chosen = -1, .chosen_norm = -1 },
	};
	const struct pb_stored_task task = { .task = "piqa", .n_items = 2, .items = items };
	struct pb_arena *arena = pb_arena_new();
	struct pb_stored_item *got = NULL;
	enum pb_row_status status;
	size_t n = 0;

	(void)state;
	pb_rows_init(&rows);
	add(&rows, "c1", "piqa", "acc", 1.0 / 3.0);
	add(&rows, "c1", "piqa", "acc_norm", 0.1)->stderr_value = NAN;
	assert_int_equal(pb_store_status(store, "c1", &status, NULL), PB_OK);
	assert_int_equal(status, PB_ROW_RUNNING);
	assert_int_equal(pb_store_put(store, "c1", 7, rows.rows, rows.n, &task, 1, NULL), PB_OK);
	pb_store_close(store);

	store = open_store(false);
	assert_int_equal(pb_store_status(store, "c1", &status, NULL), PB_OK);
	assert_int_equal(status, PB_ROW_OK);
	pb_rows_init(&back);
	assert_int_equal(pb_store_rows(store, &back, NULL), PB_OK);
	assert_int_equal(back.n, 2);
	assert_string_equal(back.rows[0].metric, "acc");
	assert_true(back.rows[0].value == 1.0 / 3.0);
	assert_int_equal(back.rows[0].n, 17);
	assert_true(isnan(back.rows[1].stderr_value));
	assert_int_equal(back.rows[0].model_bytes, PB_ABSENT);
	assert_int_equal(pb_store_items(store, arena, "c1", "piqa", &got, &n, NULL), PB_OK);
	assert_int_equal(n, 2);
	assert_int_equal(got[0].cluster, 5);
	assert_int_equal(got[1].cluster, 0);
	assert_int_equal(got[0].index, 4);
	assert_true(got[0].values[1] == -2.0 / 3.0);
	assert_true(got[1].values[0] == -1e-300 && got[1].weight == 33 && got[1].gold == -1);
	pb_store_close(store);
	pb_rows_free(&back);
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

static void test_a_cell_is_replaced_whole(void **state)
{
	struct pb_store *store = open_store(true);
	struct pb_rows rows, one, back;
	enum pb_row_status status;

	(void)state;
	pb_rows_init(&rows);
	pb_rows_init(&one);
	pb_rows_init(&back);
	add(&rows, "c1", "piqa", "acc", 0.5);
	add(&rows, "c1", "piqa", "acc_norm", 0.5);
	assert_int_equal(pb_store_put(store, "c1", 0, rows.rows, rows.n, NULL, 0, NULL), PB_OK);
	add(&one, "c1", "piqa", "", NAN)->status = PB_ROW_FAILED;
	one.rows[0].reason = pb_rows_string(&one, "killed");
	assert_int_equal(pb_store_put(store, "c1", 0, one.rows, one.n, NULL, 0, NULL), PB_OK);
	assert_int_equal(pb_store_status(store, "c1", &status, NULL), PB_OK);
	assert_int_equal(status, PB_ROW_FAILED);
	assert_int_equal(pb_store_rows(store, &back, NULL), PB_OK);
	assert_int_equal(back.n, 1);
	assert_string_equal(back.rows[0].reason, "killed");
	assert_true(isnan(back.rows[0].value));
	pb_store_close(store);
	pb_rows_free(&rows);
	pb_rows_free(&one);
	pb_rows_free(&back);
}

static void test_stale_rows_lose_their_numbers(void **state)
{
	struct pb_store *store = open_store(true);
	struct pb_rows rows, back;
	const char *keys[] = { "c2" };
	uint64_t marked = 0;

	(void)state;
	pb_rows_init(&rows);
	pb_rows_init(&back);
	add(&rows, "c1", "piqa", "acc", 0.5);
	add(&rows, "c2", "piqa", "acc", 0.75);
	assert_int_equal(pb_store_put(store, "c1", 0, &rows.rows[0], 1, NULL, 0, NULL), PB_OK);
	assert_int_equal(pb_store_put(store, "c2", 1, &rows.rows[1], 1, NULL, 0, NULL), PB_OK);
	assert_int_equal(pb_store_mark_stale(store, keys, 1, &marked, NULL), PB_OK);
	assert_int_equal(marked, 1);
	assert_int_equal(pb_store_mark_stale(store, keys, 1, &marked, NULL), PB_OK);
	assert_int_equal(marked, 0);
	assert_int_equal(pb_store_rows(store, &back, NULL), PB_OK);
	for (size_t i = 0; i < back.n; i++) {
		bool stale = strcmp(back.rows[i].cell, "c1") == 0;

		assert_int_equal(back.rows[i].status, stale ? PB_ROW_STALE : PB_ROW_OK);
		assert_true(stale ? isnan(back.rows[i].value) : back.rows[i].value == 0.75);
	}
	pb_store_close(store);
	pb_rows_free(&rows);
	pb_rows_free(&back);
}

static void test_stale_cells_come_back(void **state)
{
	struct pb_store *store = open_store(true);
	struct pb_rows rows, back;
	const char *both[] = { "s1", "s2" };
	uint64_t changed = 0;
	enum pb_row_status status;

	(void)state;
	pb_rows_init(&rows);
	pb_rows_init(&back);
	add(&rows, "s1", "piqa", "acc", 0.5);
	add(&rows, "s2", "piqa", "acc", 0.75);
	add(&rows, "s2", "boolq", "acc", 0.25);
	add(&rows, "s3", "piqa", "acc", 0.25);
	rows.rows[2].status = PB_ROW_FAILED;
	rows.rows[2].reason = pb_rows_string(&rows, "killed");
	rows.rows[3].status = PB_ROW_FAILED;
	assert_int_equal(pb_store_put(store, "s1", 0, &rows.rows[0], 1, NULL, 0, NULL), PB_OK);
	assert_int_equal(pb_store_put(store, "s2", 1, &rows.rows[1], 2, NULL, 0, NULL), PB_OK);
	assert_int_equal(pb_store_put(store, "s3", 2, &rows.rows[3], 1, NULL, 0, NULL), PB_OK);
	assert_int_equal(pb_store_mark_stale(store, NULL, 0, &changed, NULL), PB_OK);
	/* s3 has no number: nothing of it is worth keeping. */
	assert_int_equal(pb_store_status(store, "s3", &status, NULL), PB_OK);
	assert_int_equal(status, PB_ROW_RUNNING);
	assert_int_equal(pb_store_status(store, "s1", &status, NULL), PB_OK);
	assert_int_equal(status, PB_ROW_STALE);
	assert_int_equal(pb_store_revive(store, both, 2, &changed, NULL), PB_OK);
	assert_int_equal(changed, 2);
	assert_int_equal(pb_store_revive(store, both, 2, &changed, NULL), PB_OK);
	assert_int_equal(changed, 0);
	assert_int_equal(pb_store_status(store, "s1", &status, NULL), PB_OK);
	assert_int_equal(status, PB_ROW_OK);
	assert_int_equal(pb_store_status(store, "s2", &status, NULL), PB_OK);
	assert_int_equal(status, PB_ROW_FAILED);
	assert_int_equal(pb_store_rows(store, &back, NULL), PB_OK);
	for (size_t i = 0; i < back.n; i++) {
		if (strcmp(back.rows[i].cell, "s1") == 0)
			assert_true(back.rows[i].value == 0.5);
		if (strcmp(back.rows[i].cell, "s2") == 0 && back.rows[i].status != PB_ROW_OK)
			assert_string_equal(back.rows[i].reason, "killed");
	}
	pb_store_close(store);
	pb_rows_free(&rows);
	pb_rows_free(&back);
}

static void test_one_writer(void **state)
{
	struct pb_store *store = open_store(true), *second = NULL;
	struct pb_error err = {0};

	(void)state;
	assert_int_equal(pb_store_open(&second, folder, true, &err), PB_FAILED);
	assert_non_null(strstr(err.text, "another run is writing"));
	pb_store_close(store);
	store = open_store(true);
	pb_store_close(store);
}

static void test_files_that_are_no_record(void **state)
{
	struct pb_store *store = NULL;
	struct pb_error err = {0};
	char path[128];
	static const char junk[5000] = "this is no database";

	(void)state;
	assert_int_equal(pb_store_open(&store, folder, false, &err), PB_MISSING);
	snprintf(path, sizeof(path), "%s/results.db", folder);
	assert_int_equal(pb_file_write(path, junk, sizeof(junk), NULL), PB_OK);
	assert_int_equal(pb_store_open(&store, folder, false, &err), PB_FORMAT);
	assert_int_equal(pb_store_open(&store, folder, true, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "results.db"));
}

static void test_facts(void **state)
{
	struct pb_store *store = open_store(true);
	struct pb_arena *arena = pb_arena_new();
	const char *value = NULL;

	(void)state;
	assert_int_equal(pb_store_set(store, "name", "a", NULL), PB_OK);
	assert_int_equal(pb_store_set(store, "name", "b \"quoted\"", NULL), PB_OK);
	assert_int_equal(pb_store_get(store, arena, "name", &value, NULL), PB_OK);
	assert_string_equal(value, "b \"quoted\"");
	assert_int_equal(pb_store_get(store, arena, "nothing", &value, NULL), PB_OK);
	assert_string_equal(value, "");
	pb_store_close(store);
	pb_arena_free(arena);
}

/* A record from before items had clusters is read as it is, and gets them when it is written to. */
static void test_record_without_clusters(void **state)
{
	const double values[] = { -1 };
	const struct pb_stored_item item = { .index = 0, .n_values = 1, .values = values, .weight = 1, .cluster = 1 };
	const struct pb_stored_task task = { .task = "piqa", .n_items = 1, .items = &item };
	struct pb_arena *arena = pb_arena_new();
	struct pb_stored_item *got = NULL;
	struct pb_store *store = open_store(true);
	struct pb_rows rows;
	sqlite3 *db = NULL;
	char path[96];
	size_t n = 0;

	(void)state;
	pb_rows_init(&rows);
	add(&rows, "c1", "piqa", "acc", 1);
	assert_int_equal(pb_store_put(store, "c1", 0, rows.rows, 1, &task, 1, NULL), PB_OK);
	pb_store_close(store);
	snprintf(path, sizeof(path), "%s/results.db", folder);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "ALTER TABLE item DROP COLUMN cluster", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	for (int create = 0; create < 2; create++) {
		store = open_store(create);
		assert_int_equal(pb_store_items(store, arena, "c1", "piqa", &got, &n, NULL), PB_OK);
		assert_int_equal(n, 1);
		assert_int_equal(got[0].cluster, 0);
		if (create)
			assert_int_equal(pb_store_put(store, "c1", 0, rows.rows, 1, &task, 1, NULL), PB_OK);
		pb_store_close(store);
	}
	store = open_store(false);
	assert_int_equal(pb_store_items(store, arena, "c1", "piqa", &got, &n, NULL), PB_OK);
	assert_int_equal(got[0].cluster, 1);
	pb_store_close(store);
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_record_without_clusters, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_a_cell_is_replaced_whole, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_stale_rows_lose_their_numbers, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_stale_cells_come_back, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_one_writer, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_files_that_are_no_record, make_folder, drop_folder),
		cmocka_unit_test_setup_teardown(test_facts, make_folder, drop_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
