/* Bit-level curves out of rows: which points make a line, which width is best where, what bit-curves.csv says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/csv.h"
#include "reports/bit_curves.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"

static const char *const models[] = { "toy-xs", "toy-s", "toy-m", "toy-l" };
static const double params[] = { 1e5, 1e6, 1e7, 1e8 };

static void add(struct pb_rows *rows, size_t size, const char *label, double bits, const char *metric, double value, int seed)
{
	struct pb_row *r = pb_rows_add(rows, NULL);
	char cell[64];
	assert_non_null(r);
	snprintf(cell, sizeof cell, "%s %zu %d", label, size, seed);
	r->run = "run";
	r->cell = pb_rows_string(rows, cell);
	r->label = pb_rows_string(rows, label);
	r->status = PB_ROW_OK;
	r->model = models[size];
	r->family = bits == 16.0 ? "full precision" : "k-bit";
	r->params = (int64_t)params[size];
	r->model_bytes = (int64_t)(params[size] * bits / 8);
	r->wbits = r->effective_bits = bits;
	r->backend = "cpu";
	r->task = "t";
	r->metric = metric;
	r->higher_is_better = strcmp(metric, "acc") == 0;
	r->value = value;
	r->stderr_value = 0.01;
	r->n = 1000;
}

/* Accuracy falls by a lot at 2 bits for the small ones: at equal bits 2 is best for large models, 4 for small ones. */
static void fill(struct pb_rows *rows)
{
	pb_rows_init(rows);
	for (size_t i = 0; i < 4; i++) {
		const double full = 0.3 + 0.15 * (double)i;
		add(rows, i, "identity", 16, "acc", full, 0);
		add(rows, i, "near w4", 4, "acc", full - 0.01, 0);
		add(rows, i, "near w2", 2, "acc", full - 0.02 - 0.06 * (3.0 - (double)i) / 3.0, 0);
		add(rows, i, "near w2", 2, "acc", full - 0.04 - 0.06 * (3.0 - (double)i) / 3.0, 1);
		add(rows, i, "lone w4", 4, "acc", full, 0);
		if (i == 0)
			add(rows, i, "lone w2", 2, "acc", full, 0); /* one size: no line */
		add(rows, i, "identity", 16, "nll", 4.0 - full, 0);
	}
	rows->rows[0].model_bytes = PB_ABSENT; /* identity of toy-xs has no size */
}

struct made {
	struct pb_rows rows;
	struct pb_fronts fronts;
	struct pb_bit_curve_list list;
	struct pb_arena *arena;
};

static int begin(void **state)
{
	static struct made m;
	memset(&m, 0, sizeof m);
	m.arena = pb_arena_new();
	fill(&m.rows);
	OK(pb_fronts_make(&m.fronts, &m.rows, ERR));
	OK(pb_bit_curves_make(&m.list, &m.fronts, &m.rows, NULL, m.arena, ERR));
	*state = &m;
	return 0;
}

static int end(void **state)
{
	struct made *m = *state;
	pb_fronts_free(&m->fronts);
	pb_rows_free(&m->rows);
	pb_arena_free(m->arena);
	return 0;
}

static void test_lines(void **state)
{
	const struct made *m = *state;
	assert_int_equal(m->list.n, 1);
	const struct pb_bit_curves *c = &m->list.curves[0];
	assert_string_equal(c->method, "near");
	assert_string_equal(c->family, "toy");
	assert_int_equal(c->n_lines, 3);
	assert_true(c->lines[0].wbits == 2 && c->lines[1].wbits == 4 && c->lines[2].wbits == 16);
	assert_int_equal(c->lines[0].line.n, 4);
	assert_int_equal(c->lines[2].line.n, 3);
	assert_int_equal(c->n_points, 11);
	/* The mean over seeds, with the error of one. */
	assert_float_equal(c->lines[0].line.x[0], log10(2e5), 1e-12);
	assert_float_equal(c->lines[0].line.y[0], 0.3 - 0.03 - 0.06, 1e-12);
	assert_float_equal(c->lines[0].line.errors[0], 0.01, 1e-15);
	assert_float_equal(c->lines[2].line.x[0], log10(16e6), 1e-12);
}

/* By hand: with u = log10(bits), 4 bits are 0.29 + 0.15 (u - log10 4e5), 2 bits 0.21 + 0.17 (u - log10 2e5). */
static void test_best(void **state)
{
	const struct made *m = *state;
	const struct pb_bit_curves *c = &m->list.curves[0];
	const double crossing = (0.29 - 0.15 * log10(4e5) - 0.21 + 0.17 * log10(2e5)) / 0.02;
	double x[8];
	struct pb_polyline_difference d;
	assert_int_equal(pb_polyline_crossings(&c->lines[0].line, &c->lines[1].line, x), 1);
	assert_float_equal(x[0], crossing, 1e-9);
	assert_int_equal(c->n_best, 3);
	assert_true(c->best[0].best == 1 && c->best[0].second == 0);
	assert_float_equal(c->best[0].low, log10(4e5), 1e-12);
	assert_float_equal(c->best[0].high, crossing, 1e-9);
	assert_true(c->best[1].best == 0 && c->best[1].second == 1);
	assert_float_equal(c->best[1].high, log10(2e8), 1e-12);
	assert_true(c->best[2].best == 1 && c->best[2].second == 2);
	assert_float_equal(c->best[2].high, log10(4e8), 1e-12);
	assert_true(pb_polyline_compare(&d, &c->lines[1].line, &c->lines[2].line, -INFINITY, INFINITY));
	assert_float_equal(d.mean, 0.15 * log10(4.0) - 0.01, 1e-12);
}

static void test_csv_and_section(void **state)
{
	const struct made *m = *state;
	struct pb_text text = { 0 };
	struct pb_csv csv;
	struct pb_section section;
	size_t charts = 0, tables = 0, files = 0;
	OK(pb_bit_curves_csv(&m->list, &text, ERR));
	OK(pb_csv_parse(&csv, "bit-curves.csv", text.data, text.length, ERR));
	assert_int_equal(csv.n_rows, 1 + 3);
	assert_string_equal(csv.fields[1][5], "near");
	assert_string_equal(csv.fields[1][6], "2");
	assert_string_equal(csv.fields[1][7], "4");
	assert_non_null(csv.fields[1][15]);
	assert_null(csv.fields[3][15]); /* 4 bits and full precision do not cross */
	pb_csv_free(&csv);
	pb_text_free(&text);
	pb_bit_curves_section(&section, &m->list);
	OK(pb_section_check(&section, ERR));
	for (size_t i = 0; i < section.n_blocks; i++) {
		charts += section.blocks[i].kind == PB_SECTION_CHART;
		tables += section.blocks[i].kind == PB_SECTION_TABLE;
		files += section.blocks[i].kind == PB_SECTION_FILE;
	}
	assert_int_equal(charts, 1);
	assert_int_equal(tables, 2);
	assert_int_equal(files, 1);
	pb_section_free(&section);
}

/* --- items that the points share --- */

enum { N_ITEMS = 400 };

/* Whether the item is right at that size and width: 2 bits lose the first two items and win the last. */
static bool is_right(size_t size, double bits, size_t item)
{
	const size_t all = 120 + 60 * size;
	if (bits == 2.0 && (item < 2 || item == 399))
		return item == 399;
	return item < all;
}

static void put_items(struct pb_store *store, struct pb_row *row, size_t size, bool is_short)
{
	static struct pb_stored_item items[N_ITEMS];
	const size_t n = is_short ? N_ITEMS - 1 : N_ITEMS;
	row->value = 0.0;
	for (size_t i = 0; i < N_ITEMS; i++) {
		const bool right = is_right(size, row->wbits, i);
		items[i] = (struct pb_stored_item){ .index = i, .weight = 1.0, .gold = 1, .chosen = right, .chosen_norm = right };
		row->value += right / (double)N_ITEMS;
	}
	row->stderr_value = sqrt(row->value * (1.0 - row->value) / N_ITEMS);
	const struct pb_stored_task task = { row->task, n, items };
	OK(pb_store_put(store, row->cell, 0, row, 1, &task, 1, ERR));
}

static void test_shared_items(void **state)
{
	(void)state;
	for (int is_short = 0; is_short < 2; is_short++) {
		struct made m = { .arena = pb_arena_new() };
		struct pb_store *store;
		struct pb_polyline_difference d;
		struct pb_section section;
		bool says_paired = false;
		pb_rows_init(&m.rows);
		OK(pb_store_open(&store, scratch_path(is_short ? "short" : "shared"), true, ERR));
		for (size_t size = 0; size < 4; size++)
			for (double bits = 2.0; bits <= 4.0; bits += 2.0) {
				add(&m.rows, size, bits == 2.0 ? "near w2" : "near w4", bits, "acc", 0.0, 0);
				put_items(store, &m.rows.rows[m.rows.n - 1], size, is_short && size == 2);
			}
		OK(pb_fronts_make(&m.fronts, &m.rows, ERR));
		OK(pb_bit_curves_make(&m.list, &m.fronts, &m.rows, &(struct pb_item_stores){ &store, 1 }, m.arena, ERR));
		assert_int_equal(m.list.n, 1);
		const struct pb_bit_curves *c = &m.list.curves[0];
		assert_int_equal(c->by_items, !is_short);
		/* The difference of each item is known, and so is the error of the mean; as of independent points it would be larger. */
		assert_true(pb_polyline_compare(&d, &c->lines[0].line, &c->lines[1].line, -INFINITY, INFINITY));
		double sum = 0.0, squares = 0.0, independent = 0.0;
		for (size_t i = 0; i < N_ITEMS; i++) {
			double y[2][4];
			struct pb_polyline one[2];
			struct pb_polyline_difference of_item;
			for (int l = 0; l < 2; l++) {
				for (size_t k = 0; k < 4; k++)
					y[l][k] = is_right(k, c->lines[l].wbits, i);
				one[l] = (struct pb_polyline){ .n = 4, .x = c->lines[l].line.x, .y = y[l], .errors = c->lines[l].line.errors };
			}
			assert_true(pb_polyline_compare(&of_item, &one[0], &one[1], -INFINITY, INFINITY));
			sum += of_item.mean;
			squares += of_item.mean * of_item.mean;
			independent = of_item.error;
		}
		assert_float_equal(d.mean, sum / N_ITEMS, 1e-12);
		const double paired = sqrt((squares - sum * sum / N_ITEMS) / N_ITEMS / N_ITEMS);
		assert_true(independent > 1.5 * paired);
		if (is_short)
			assert_float_equal(d.error, independent, 1e-12);
		else
			assert_float_equal(d.error, paired, 0.1 * paired); /* of 1,000 draws */
		assert_int_equal(d.is_paired, !is_short);
		pb_bit_curves_section(&section, &m.list);
		for (size_t i = 0; i < section.n_blocks; i++)
			says_paired |= section.blocks[i].kind == PB_SECTION_NOTE && strstr(section.blocks[i].text, is_short ? "taken as independent" : "compared on the same items");
		assert_true(says_paired);
		pb_section_free(&section);
		pb_store_close(store);
		pb_fronts_free(&m.fronts);
		pb_rows_free(&m.rows);
		pb_arena_free(m.arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines, begin, end),
		cmocka_unit_test_setup_teardown(test_best, begin, end),
		cmocka_unit_test_setup_teardown(test_csv_and_section, begin, end),
		cmocka_unit_test(test_shared_items),
	};
	return cmocka_run_group_tests(tests, NULL, scratch_teardown);
}
