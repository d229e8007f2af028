/* Parts of a report that come from rows alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "reports/row_sections.h"

static struct pb_error err;

static struct pb_row *add(struct pb_rows *rows, const char *model, const char *label, double bits, int64_t bytes, const char *task, const char *metric, double value)
{
	struct pb_row *r = pb_rows_add(rows, &err);
	assert_non_null(r);
	r->status = PB_ROW_OK;
	r->model = model;
	r->label = label;
	r->quantizer = label;
	r->family = strcmp(label, "identity") == 0 ? "full precision" : "k-bit";
	r->wbits = r->effective_bits = bits;
	r->model_bytes = bytes;
	r->params = strcmp(model, "small") == 0 ? 1000 : 2000;
	r->task = task;
	r->metric = metric;
	r->value = value;
	r->stderr_value = 2.0;
	return r;
}

static const struct pb_section_table *table_of(const struct pb_section *s)
{
	for (size_t i = 0; i < s->n_blocks; i++)
		if (s->blocks[i].kind == PB_SECTION_TABLE)
			return s->blocks[i].table;
	return NULL;
}

static const struct pb_chart *chart_of(const struct pb_section *s, size_t which)
{
	for (size_t i = 0; i < s->n_blocks; i++)
		if (s->blocks[i].kind == PB_SECTION_CHART && which-- == 0)
			return &s->blocks[i].chart->chart;
	return NULL;
}

static void nothing(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_section s;
	struct pb_arena *arena = pb_arena_new();
	pb_rows_init(&rows);
	assert_false(pb_knowledge_section(&s, &rows, arena));
	assert_false(pb_movement_section(&s, &rows, arena));
	add(&rows, "small", "rtn", 4, 1000, "world_facts", "acc", 0.5);
	add(&rows, "small", "rtn", 4, 1000, "world_facts", "bits", NAN);
	add(&rows, "small", "rtn", 4, PB_ABSENT, "world_facts", "bits", 10); /* of unknown size */
	add(&rows, "small", "rtn", 4, 1000, "world_facts", "bits", 10)->status = PB_ROW_FAILED;
	assert_false(pb_knowledge_section(&s, &rows, arena));
	assert_false(pb_movement_section(&s, &rows, arena));
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

static void knowledge(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_section s;
	struct pb_arena *arena = pb_arena_new();
	pb_rows_init(&rows);
	add(&rows, "large", "identity", 16, 4000, "world_facts", "bits", 320);
	add(&rows, "large", "rtn", 4, 1000, "world_facts", "bits", 160);
	add(&rows, "large", "gptq", 4, 1000, "world_facts", "bits", 200);
	add(&rows, "large", "rtn", 2, 500, "world_facts", "bits", -50);
	add(&rows, "small", "rtn", 4, 500, "world_facts", "bits", 4);
	assert_true(pb_knowledge_section(&s, &rows, arena));
	assert_int_equal(pb_section_check(&s, &err), PB_OK);
	const struct pb_section_table *t = table_of(&s);
	assert_int_equal(t->n_fields, 2 * t->n_columns);
	/* The smaller model first; without full precision there is no number of it. */
	assert_string_equal(t->fields[0].text, "small");
	assert_string_equal(t->fields[2].text, "n/a");
	assert_true(isnan(t->fields[2].number));
	const struct pb_section_field *large = t->fields + t->n_columns;
	assert_string_equal(large[0].text, "large");
	assert_true(large[2].number == 320 && large[3].number == 0.16);
	assert_true(large[4].number == 200.0 / 8000.0);
	assert_string_equal(large[5].text, "gptq");
	/* By family, every row; by model, the densest row of each width, by bits. */
	const struct pb_chart *size = chart_of(&s, 0), *bits = chart_of(&s, 1);
	assert_int_equal(size->n_series, 2);
	assert_int_equal(size->series[0].n + size->series[1].n, 5);
	assert_int_equal(bits->n_series, 2);
	assert_string_equal(bits->series[0].name, "large");
	assert_int_equal(bits->series[0].n, 3);
	assert_true(bits->series[0].x[0] == 2 && bits->series[0].y[0] == -50.0 / 4000.0);
	assert_true(bits->series[0].x[1] == 4 && bits->series[0].y[1] == 200.0 / 8000.0);
	assert_true(fabs(bits->series[0].high[1] - (200.0 + 1.96 * 2.0) / 8000.0) < 1e-15);
	assert_true(bits->has_y_floor && bits->y_floor == 0.0);
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

static void movement(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_section s;
	struct pb_arena *arena = pb_arena_new();
	pb_rows_init(&rows);
	add(&rows, "large", "identity", 16, 4000, "weights", "relative_l1", 0.0); /* no place on a logarithm */
	add(&rows, "large", "rtn", 4, 1000, "weights", "relative_l1", 0.1);
	add(&rows, "small", "rtn", 2, 1000, "weights", "relative_l1", 0.4);
	add(&rows, "large", "gptq", 4, 1000, "weights", "relative_l1", 0.12);
	add(&rows, "large", "gptq", 4, 1000, "other", "relative_l1", 0.12);
	assert_true(pb_movement_section(&s, &rows, arena));
	assert_int_equal(pb_section_check(&s, &err), PB_OK);
	const struct pb_chart *l1 = chart_of(&s, 0);
	assert_null(chart_of(&s, 1)); /* nobody measured the other */
	assert_int_equal(l1->n_series, 1);
	assert_string_equal(l1->series[0].name, "k-bit");
	assert_int_equal(l1->series[0].ink, PB_INK_KBIT); /* a family has one colour everywhere */
	assert_int_equal(l1->series[0].n, 3);
	assert_true(l1->series[0].x[0] == 2 && l1->series[0].y[0] == 0.4);
	assert_true(l1->series[0].x[1] == 4 && l1->series[0].y[1] == 0.1);
	assert_true(l1->series[0].x[2] == 4 && l1->series[0].y[2] == 0.12);
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nothing), cmocka_unit_test(knowledge), cmocka_unit_test(movement) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
