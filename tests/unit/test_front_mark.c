/* Fronts by other axes than size, and how probable a membership is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/csv.h"
#include "reports/front.h"
#include "tests/unit/expect.h"

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
	rows->rows[0].counters = json_pack("{s:{s:n, s:s}}", "energy", "value", "status", "unavailable");
	rows->rows[2].counters = json_pack("{s:{s:f, s:s}}", "energy", "value", 25.0, "status", "measured");
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
	OK(pb_front_draw_values(fronts.fronts, ERR));
	const struct pb_point *small = find(fronts.fronts, "small"), *rival = find(fronts.fronts, "rival"), *big = find(fronts.fronts, "big"), *exact = find(fronts.fronts, "exact");
	assert_true(small->on[PB_BY_SIZE] && !rival->on[PB_BY_SIZE] && big->on[PB_BY_SIZE] && !exact->on[PB_BY_SIZE]);
	assert_true(small->on[PB_BY_BITS] && !rival->on[PB_BY_BITS] && big->on[PB_BY_BITS]);
	assert_true(small->on[PB_BY_PAPER] && rival->on[PB_BY_PAPER] && !big->on[PB_BY_PAPER]); /* no number, no place */
	assert_true(!small->on[PB_BY_PARAMS] && !rival->on[PB_BY_PARAMS] && big->on[PB_BY_PARAMS]);
	assert_true(!small->on[PB_BY_SECONDS] && !rival->on[PB_BY_SECONDS] && big->on[PB_BY_SECONDS] && !exact->on[PB_BY_SECONDS]);
	assert_float_equal(big->by[PB_BY_SECONDS], 0.01, 1e-15);
	/* rival is on it when it draws more than small: a difference of -0.02 with an error of 0.0283. */
	assert_float_equal(small->probability[PB_BY_SIZE], 1.0, 0);
	assert_float_equal(rival->probability[PB_BY_SIZE], 0.2398, 0.05);
	assert_float_equal(big->probability[PB_BY_SIZE], 1.0, 0.001);
	assert_true(isnan(exact->probability[PB_BY_SIZE]));
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

static size_t column(const struct pb_csv *csv, const char *name)
{
	for (size_t i = 0; i < csv->n_fields[0]; i++)
		if (strcmp(csv->fields[0][i], name) == 0)
			return i;
	fail_msg("no column %s", name);
	return 0;
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
	OK(pb_front_draw_values(fronts.fronts, ERR));
	OK(pb_fronts_csv(&fronts, &text, ERR));
	OK(pb_csv_parse(&csv, "fronts.csv", text.data, text.length, ERR));
	assert_int_equal(csv.n_rows, 5);
	assert_string_equal(csv.fields[1][column(&csv, "label")], "small");
	assert_string_equal(csv.fields[1][column(&csv, "probability")], "1");
	assert_string_equal(csv.fields[1][column(&csv, "probability_by")], "values");
	assert_string_equal(csv.fields[1][column(&csv, "on_front_paper")], "true");
	assert_null(csv.fields[3][column(&csv, "on_front_paper")]);     /* big has none */
	assert_string_equal(csv.fields[3][column(&csv, "on_front_seconds")], "true");
	assert_string_equal(csv.fields[3][column(&csv, "joules_per_item")], "0.25");
	assert_string_equal(csv.fields[3][column(&csv, "on_front_energy")], "true");
	assert_null(csv.fields[1][column(&csv, "joules_per_item")]);    /* counted by no one: absent, not zero */
	assert_null(csv.fields[1][column(&csv, "on_front_energy")]);
	assert_null(csv.fields[1][column(&csv, "probability_bits")]);   /* not drawn */
	assert_null(csv.fields[1][column(&csv, "axes")]);
	assert_null(csv.fields[4][column(&csv, "probability")]);
	pb_csv_free(&csv);
	pb_text_free(&text);
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_axes),
		cmocka_unit_test(test_csv),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
