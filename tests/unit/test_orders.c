/* Expected orders: from the fact of a record to verdicts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/csv.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "reports/orders.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"

#define N 200

static const char *const options[] = { "{\"bits\":2}", "{\"bits\":3}", "{\"bits\":4}", "{\"bits\":5}" };
static struct pb_store *store;

/* A cell of texts whose losses are 2 + shift + noise of their own and noise that all cells share. */
static void put_cell(const char *model, unsigned which, int64_t seed, double shift, enum pb_row_status status)
{
	struct pb_rows rows;
	struct pb_row *r;
	struct pb_stored_item items[N];
	double values[N], sum = 0;
	char cell[80];

	pb_rows_init(&rows);
	assert_non_null(r = pb_rows_add(&rows, NULL));
	snprintf(cell, sizeof(cell), "%s-%u-%d", model, which, (int)seed);
	for (uint32_t i = 0; i < N; i++) {
		struct pb_rng shared = pb_rng_make(1, i), own = pb_rng_make(2 + which + 10 * (uint64_t)seed, i);

		values[i] = -10 * (2 + shift + pb_rng_normal(&shared) + 0.05 * pb_rng_normal(&own));
		sum -= values[i];
		items[i] = (struct pb_stored_item){ .index = i, .n_values = 1, .values = &values[i], .weight = 10, .gold = -1, .chosen = -1, .chosen_norm = -1 };
	}
	r->run = "r";
	r->cell = cell;
	r->status = status;
	r->reason = status == PB_ROW_OK ? "" : "out of luck";
	r->model = model;
	r->params = model[1] * 10;
	r->quantizer = "rtn";
	r->options = options[which];
	r->label = which == 0 ? "rtn w2" : which == 1 ? "rtn w3" : "rtn w4";
	r->backend = "blas";
	r->task = "text";
	r->seed = seed;
	if (status == PB_ROW_OK) {
		r->metric = "nll";
		r->value = sum / (10 * N);
		r->n = 10 * N;
		OK(pb_store_put(store, cell, 0, r, 1, &(struct pb_stored_task){ .task = "text", .n_items = N, .items = items }, 1, ERR));
	} else {
		OK(pb_store_put(store, cell, 0, r, 1, NULL, 0, ERR));
	}
	pb_rows_free(&rows);
}

static struct pb_expected expected(unsigned better, unsigned worse, const char *metric)
{
	static const char *const names[] = { "rtn:bits=2", "rtn:bits=3", "rtn:bits=4", "rtn:bits=5" };

	return (struct pb_expected){ .better = { names[better], "rtn", options[better] }, .worse = { names[worse], "rtn", options[worse] }, .task = "text",
		.metric = metric, .source = "a, \"paper\"" };
}

static void round_trip(void **state)
{
	struct pb_expected list[] = { expected(1, 0, "nll"), expected(2, 1, "nll") }, *again = NULL;
	struct pb_arena *arena = pb_arena_new();
	char *text = pb_expected_format(list, 2);
	size_t n = 0;

	(void)state;
	OK(pb_expected_parse(&again, &n, arena, "r", text, ERR));
	OK(pb_expected_parse(&again, &n, arena, "s", text, ERR));
	OK(pb_expected_parse(&again, &n, arena, "s", "", ERR));
	assert_int_equal(n, 4);
	assert_string_equal(again[1].better.name, "rtn:bits=4");
	assert_string_equal(again[1].worse.options, options[1]);
	assert_string_equal(again[3].run, "s");
	assert_string_equal(again[3].source, "a, \"paper\"");
	pb_free(text);
	pb_arena_free(arena);
}

static void hostile_facts(void **state)
{
	static const char *const facts[] = { "{", "{}", "3", "[1]", "[{}]", "[{\"better\":{\"name\":\"a\",\"quantizer\":\"b\",\"options\":[]}}]",
		"[{\"better\":{\"name\":\"a\",\"quantizer\":\"b\",\"options\":{}},\"worse\":{\"name\":\"a\",\"quantizer\":\"b\",\"options\":{}},\"task\":\"\\u0000\"}]" };
	struct pb_arena *arena = pb_arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		struct pb_expected *list = NULL;
		struct pb_error why = {0};
		size_t n = 0;

		assert_int_equal(pb_expected_parse(&list, &n, arena, "r", facts[i], &why), PB_FORMAT);
		assert_int_equal(n, 0);
	}
	pb_arena_free(arena);
}

static const struct pb_order *order_of(const struct pb_orders *orders, const char *model, const char *better)
{
	for (size_t i = 0; i < orders->n; i++)
		if (strcmp(orders->list[i].model, model) == 0 && strcmp(orders->list[i].expected->better.name, better) == 0)
			return &orders->list[i];
	fail_msg("no order of %s", better);
	return NULL;
}

static void verdicts(void **state)
{
	struct pb_expected list[] = { expected(1, 0, "nll"), expected(2, 1, "nll"), expected(0, 2, "nll"), expected(3, 0, "nll") };
	struct pb_arena *arena = pb_arena_new();
	struct pb_item_stores stores = { &store, 1 };
	struct pb_orders orders;
	struct pb_rows rows;
	struct pb_section section;
	struct pb_text csv = {0};
	struct pb_csv table;
	const struct pb_order *o;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		list[i].run = "r";
	OK(pb_store_open(&store, scratch_path("run"), true, ERR));
	for (int seed = 0; seed < 2; seed++) {
		put_cell("m2", 0, seed, 0.2, PB_ROW_OK);
		put_cell("m2", 1, seed, 0.0, PB_ROW_OK);
		put_cell("m2", 2, seed, 0.0, PB_ROW_OK);
	}
	put_cell("m1", 0, 0, 0.1, PB_ROW_OK);
	put_cell("m1", 1, 0, 0.0, PB_ROW_OK);
	put_cell("m1", 2, 0, 0.0, PB_ROW_FAILED);
	pb_rows_init(&rows);
	OK(pb_store_rows(store, &rows, ERR));
	OK(pb_orders_make(&orders, arena, list, 4, &rows, &stores, ERR));
	assert_int_equal(orders.n, 8);
	assert_string_equal(orders.list[0].model, "m1");
	o = order_of(&orders, "m2", "rtn:bits=3");
	assert_int_equal(o->verdict, PB_ORDER_HOLDS);
	assert_true(o->tested && o->n_seeds == 2 && o->p_holm < 1e-6 && fabs(o->pair.difference.value + 0.2) < 0.02);
	assert_true(fabs(o->better_value - o->worse_value - o->pair.difference.value) < 1e-12);
	o = order_of(&orders, "m2", "rtn:bits=4");
	assert_int_equal(o->verdict, PB_ORDER_NOISE);
	o = order_of(&orders, "m2", "rtn:bits=2");
	assert_int_equal(o->verdict, PB_ORDER_REVERSED);
	o = order_of(&orders, "m1", "rtn:bits=4");
	assert_int_equal(o->verdict, PB_ORDER_MISSING);
	assert_string_equal(o->why, "rtn:bits=4: failed: out of luck");
	assert_true(isnan(o->better_value) && !o->tested);
	o = order_of(&orders, "m1", "rtn:bits=5");
	assert_string_equal(o->why, "rtn:bits=5: no cell");
	OK(pb_orders_csv(&orders, &csv, ERR));
	OK(pb_csv_parse(&table, "orders.csv", csv.data, csv.length, ERR));
	assert_int_equal(table.n_rows, 9);
	for (size_t i = 0; i < table.n_rows; i++)
		assert_int_equal(table.n_fields[i], 21);
	pb_csv_free(&table);
	pb_text_free(&csv);
	pb_orders_section(&section, &orders, arena);
	OK(pb_section_check(&section, ERR));
	assert_string_equal(section.blocks[0].text, "Of 8 expected orders 2 hold, 1 is reversed, 1 is within noise, and 4 lack a cell.");
	pb_section_free(&section);
	pb_rows_free(&rows);
	pb_store_close(store);
	pb_arena_free(arena);
}

/* Metrics without items: numbers are compared, and nothing is claimed of noise. Two cells of one seed cannot be told apart. */
static void numbers_only(void **state)
{
	struct pb_expected list[] = { expected(1, 0, "relative_l1"), expected(0, 1, "relative_l1") };
	struct pb_arena *arena = pb_arena_new();
	struct pb_item_stores none = {0};
	struct pb_orders orders;
	struct pb_rows rows;

	(void)state;
	pb_rows_init(&rows);
	for (unsigned i = 0; i < 2; i++) {
		struct pb_row *r = pb_rows_add(&rows, NULL);

		r->run = "r";
		r->status = PB_ROW_OK;
		r->cell = i ? "a" : "b";
		r->model = "m";
		r->quantizer = "rtn";
		r->options = options[i];
		r->task = "text";
		r->metric = "relative_l1";
		r->value = i ? 0.1 : 0.3;
		list[i].run = "r";
	}
	OK(pb_orders_make(&orders, arena, list, 2, &rows, &none, ERR));
	assert_int_equal(orders.list[0].verdict, PB_ORDER_HOLDS);
	assert_int_equal(orders.list[1].verdict, PB_ORDER_REVERSED);
	assert_false(orders.list[0].tested);
	assert_string_equal(orders.list[0].why, "no items are kept of this metric");
	rows.rows[1].options = options[0];
	OK(pb_orders_make(&orders, arena, list, 1, &rows, &none, ERR));
	assert_int_equal(orders.list[0].verdict, PB_ORDER_MISSING);
	list[0].worse = list[0].better = list[1].better;
	OK(pb_orders_make(&orders, arena, list, 1, &rows, &none, ERR));
	assert_string_equal(orders.list[0].why, "rtn:bits=2: several cells");
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(hostile_facts),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(numbers_only),
	};

	return cmocka_run_group_tests_name("orders", tests, NULL, scratch_teardown);
}
