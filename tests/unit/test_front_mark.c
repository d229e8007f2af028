/* Fronts by other axes than size, how probable a membership is, and the section that says so. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/csv.h"
#include "reports/front_section.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"

static void add(struct pb_rows *rows, const char *cell, const char *family, int64_t bytes, double bits, double paper, int64_t params, double seconds, double value, double error)
{
	struct pb_row *r = pb_rows_add(rows, NULL);
	assert_non_null(r);
	r->run = "run";
	r->cell = r->label = cell;
	r->status = PB_ROW_OK;
	r->model = "m";
	r->family = family;
	r->task = "t";
	r->task_hash = "h";
	r->protocol = "p";
	r->backend = "cpu";
	r->metric = "acc";
	r->higher_is_better = true;
	r->size_convention = "packed";
	r->chance = 0.25;
	r->model_bytes = bytes;
	r->effective_bits = bits;
	r->paper_bytes = paper;
	r->params = params;
	r->eval_seconds = seconds;
	r->value = value;
	r->stderr_value = error;
	r->n = 100;
}

/* By size: small, big. By the papers' rules small is larger than rival, so both stay. By time big is fastest and best: alone. */
static void fill(struct pb_rows *rows)
{
	pb_rows_init(rows);
	add(rows, "small", "k-bit", 1000, 2.0, 900, 100, 3.0, 0.50, 0.02);
	add(rows, "rival", "VPTQ", 1100, 2.2, 800, PB_ABSENT, 2.0, 0.48, 0.02);
	add(rows, "big", "full precision", 4000, 16.0, NAN, 100, 1.0, 0.70, 0.02);
	add(rows, "exact", "k-bit", 5000, 16.0, NAN, 100, NAN, 0.40, NAN);
}

static const struct pb_point *find(const struct pb_front *front, const char *cell)
{
	for (size_t i = 0; i < front->n_points; i++)
		if (strcmp(front->points[i].row->cell, cell) == 0)
			return &front->points[i];
	fail_msg("no point %s", cell);
	return NULL;
}

static void test_axes(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	fill(&rows);
	OK(pb_fronts_make(&fronts, &rows, ERR));
	assert_int_equal(fronts.n, 1);
	const struct pb_point *small = find(fronts.fronts, "small"), *rival = find(fronts.fronts, "rival"), *big = find(fronts.fronts, "big"), *exact = find(fronts.fronts, "exact");
	assert_true(small->on[PB_BY_SIZE] && !rival->on[PB_BY_SIZE] && big->on[PB_BY_SIZE] && !exact->on[PB_BY_SIZE]);
	assert_true(small->on[PB_BY_BITS] && !rival->on[PB_BY_BITS] && big->on[PB_BY_BITS]);
	assert_true(small->on[PB_BY_PAPER] && rival->on[PB_BY_PAPER] && !big->on[PB_BY_PAPER]); /* no number, no place */
	assert_true(!small->on[PB_BY_PARAMS] && !rival->on[PB_BY_PARAMS] && big->on[PB_BY_PARAMS]);
	assert_true(!small->on[PB_BY_SECONDS] && !rival->on[PB_BY_SECONDS] && big->on[PB_BY_SECONDS] && !exact->on[PB_BY_SECONDS]);
	assert_float_equal(big->by[PB_BY_SECONDS], 0.01, 1e-15);
	/* rival is on it when it draws more than small: a difference of -0.02 with an error of 0.0283. */
	assert_float_equal(small->probability, 1.0, 0);
	assert_float_equal(rival->probability, 0.2398, 0.05);
	assert_float_equal(big->probability, 1.0, 0.001);
	assert_true(isnan(exact->probability));
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

static void test_csv(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	struct pb_text text = { 0 };
	struct pb_csv csv;
	fill(&rows);
	OK(pb_fronts_make(&fronts, &rows, ERR));
	OK(pb_fronts_csv(&fronts, &text, ERR));
	OK(pb_csv_parse(&csv, "fronts.csv", text.data, text.length, ERR));
	assert_int_equal(csv.n_rows, 5);
	assert_string_equal(csv.fields[0][16], "probability");
	assert_string_equal(csv.fields[1][6], "small");
	assert_string_equal(csv.fields[1][16], "1");
	assert_string_equal(csv.fields[1][17], "values");
	assert_string_equal(csv.fields[1][21], "true");     /* on_front_paper */
	assert_null(csv.fields[3][21]);                     /* big has none */
	assert_string_equal(csv.fields[3][23], "true");     /* on_front_seconds */
	assert_null(csv.fields[4][16]);
	pb_csv_free(&csv);
	pb_text_free(&text);
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

static void test_section(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	struct pb_arena *arena = pb_arena_new();
	fill(&rows);
	OK(pb_fronts_make(&fronts, &rows, ERR));
	for (enum pb_by by = 0; by < PB_BYS; by++) {
		struct pb_section section;
		const struct pb_section_table *tables[2] = { NULL, NULL };
		size_t n_tables = 0, charts = 0;
		OK(pb_front_section(&section, fronts.fronts, by, arena, ERR));
		OK(pb_section_check(&section, ERR));
		for (size_t i = 0; i < section.n_blocks; i++) {
			charts += section.blocks[i].kind == PB_SECTION_CHART;
			if (section.blocks[i].kind == PB_SECTION_TABLE && n_tables < 2)
				tables[n_tables++] = section.blocks[i].table;
		}
		assert_int_equal(charts, by != PB_BY_SIZE);
		assert_int_equal(n_tables, 2);
		assert_int_equal(tables[0]->n_fields, 3 * 7);   /* small, rival, big */
		/* Volume in log2 of bytes by accuracy, from 5000 bytes and 0.25: small to big, big to the end. */
		assert_float_equal(tables[1]->fields[3].number, 0.25 * log2(4.0) + 0.45 * log2(5000.0 / 4000.0), 1e-12);
		assert_string_equal(tables[1]->fields[0].text, "all");
		assert_int_equal(tables[1]->n_fields, 4 * 5);
		pb_section_free(&section);
	}
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

static void put(struct pb_store *store, struct pb_row *row, const bool *right, size_t n)
{
	struct pb_stored_item items[40] = { { 0 } };
	const struct pb_stored_task task = { "t", n, items };
	double sum = 0.0;
	for (size_t i = 0; i < n; i++) {
		items[i] = (struct pb_stored_item){ .index = (uint32_t)i, .weight = 1.0, .gold = 1, .chosen = right[i], .chosen_norm = right[i] };
		sum += right[i];
	}
	row->value = sum / (double)n;
	row->n = (int64_t)n;
	OK(pb_store_put(store, row->cell, 0, row, 1, &task, 1, ERR));
}

/* Two points that share all items but one that only the larger has right: it is on the front whenever that one is drawn. With
 * independent errors it would be about a coin. A third one, without items, sends the front back to independent errors. */
static void test_shared_items(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	struct pb_store *store = NULL;
	bool right[2][40] = { { false } };
	pb_rows_init(&rows);
	add(&rows, "first", "k-bit", 1000, 2, NAN, 1, 1, 0, 0.08);
	add(&rows, "second", "k-bit", 2000, 2, NAN, 1, 1, 0, 0.08);
	for (size_t i = 0; i < 20; i++)
		right[0][i] = right[1][i] = true;
	right[1][30] = true;
	OK(pb_store_open(&store, scratch_path("run"), true, ERR));
	put(store, &rows.rows[0], right[0], 40);
	put(store, &rows.rows[1], right[1], 40);
	const struct pb_item_stores stores = { &store, 1 };
	OK(pb_fronts_make(&fronts, &rows, ERR));
	assert_float_equal(find(fronts.fronts, "second")->probability, 0.59, 0.05);
	assert_false(fronts.fronts->by_items);
	OK(pb_front_take_items(fronts.fronts, &rows, &stores, ERR));
	assert_true(fronts.fronts->by_items);
	assert_float_equal(find(fronts.fronts, "first")->probability, 1.0, 0);
	assert_float_equal(find(fronts.fronts, "second")->probability, 1.0 - pow(39.0 / 40.0, 40), 0.05);
	pb_fronts_free(&fronts);

	add(&rows, "third", "k-bit", 3000, 2, NAN, 1, 1, 0.9, 0.08);
	OK(pb_fronts_make(&fronts, &rows, ERR));
	OK(pb_front_take_items(fronts.fronts, &rows, &stores, ERR));
	assert_false(fronts.fronts->by_items);
	pb_fronts_free(&fronts);
	pb_store_close(store);
	pb_rows_free(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_axes),
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_section),
		cmocka_unit_test(test_shared_items),
	};
	return cmocka_run_group_tests(tests, NULL, scratch_teardown);
}
