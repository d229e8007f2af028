/* Rows: absent is not zero, a failure is never a number, and what is written reads back to the same bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/csv.h"
#include "core/base/json.h"
#include "core/store/row.h"

static struct pb_error err;

static struct pb_row *add(struct pb_rows *rows, const char *model, const char *label)
{
	struct pb_row *row = pb_rows_add(rows, &err);
	assert_non_null(row);
	row->model = model;
	row->label = label;
	return row;
}

static void full_row(struct pb_rows *rows)
{
	struct pb_row *r = add(rows, "micro-1m", "rtn w4 g64");
	r->run = "night";
	r->cell = "c0ffee";
	r->status = PB_ROW_OK;
	r->family = "k-bit";
	r->params = 9007199254740993; /* 2^53 + 1: not a double */
	r->model_hash = "aa";
	r->quantizer = "rtn";
	r->options = "{\"bits\":4,\"note\":\"a,\\\"b\\\"\"}";
	r->wbits = 1.0 / 3.0;
	r->effective_bits = 4.5;
	r->weight_bytes = 0;
	r->model_bytes = 123456789;
	r->size_convention = "packed";
	r->backend = "cpu";
	r->kernel = "native";
	r->task = "piqa";
	r->task_hash = "bb";
	r->protocol = "lmeh";
	r->metric = "acc";
	r->value = 0.1 + 0.2;
	r->stderr_value = 5e-324;
	r->n = 1838;
	r->higher_is_better = true;
	r->chance = 0.5;
	r->seed = -7;
	r->quantize_seconds = 0.0;
	r->eval_seconds = 1e300;
	r->counters = json_pack("{s:{s:I,s:s}, s:{s:n,s:s}}", "cycles", "value", (json_int_t)9007199254740993, "unit", "cycles",
		"energy", "value", "status", "not available");
	r->started_utc = "2026-01-31T12:34:56Z";
	r->version = "0.1.0";
	r->machine = "two\nlines";
	r->calibration = "{\"data\":\"c.txt\",\"n_samples\":128}";
}

static void failed_row(struct pb_rows *rows)
{
	struct pb_row *r = add(rows, "micro-1m", "vptq");
	r->status = PB_ROW_FAILED;
	r->reason = "codebook larger than matrix (4096 > 1024)";
	r->value = 1.0;         /* must not come out */
	r->stderr_value = 1.0;
	r->n = 1;
}

static const char *csv_at(const struct pb_csv *csv, size_t row, const char *column)
{
	for (size_t i = 0; i < csv->n_fields[0]; i++)
		if (strcmp(csv->fields[0][i], column) == 0)
			return csv->fields[row][i];
	fail_msg("no column %s", column);
	return NULL;
}

static void csv_round_trip(void **state)
{
	(void)state;
	struct pb_rows rows;
	pb_rows_init(&rows);
	full_row(&rows);
	failed_row(&rows);
	add(&rows, "m", "empty");
	struct pb_text text = { 0 };
	assert_int_equal(pb_rows_csv(&rows, &text, &err), PB_OK);
	struct pb_csv csv;
	assert_int_equal(pb_csv_parse(&csv, "rows", text.data, text.length, &err), PB_OK);
	assert_int_equal(csv.n_rows, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(csv.n_fields[i], csv.n_fields[0]);
	double v;
	assert_true(pb_parse_double(csv_at(&csv, 1, "value"), &v));
	assert_true(v == 0.1 + 0.2);
	assert_string_equal(csv_at(&csv, 1, "value"), "0.30000000000000004");
	assert_true(pb_parse_double(csv_at(&csv, 1, "stderr"), &v));
	assert_true(v == 5e-324);
	assert_string_equal(csv_at(&csv, 1, "params"), "9007199254740993");
	assert_string_equal(csv_at(&csv, 1, "weight_bytes"), "0");
	assert_string_equal(csv_at(&csv, 1, "quantize_seconds"), "0");
	assert_null(csv_at(&csv, 1, "peak_rss_bytes"));
	assert_null(csv_at(&csv, 1, "reason"));
	assert_string_equal(csv_at(&csv, 1, "options"), "{\"bits\":4,\"note\":\"a,\\\"b\\\"\"}");
	assert_string_equal(csv_at(&csv, 1, "machine"), "two\nlines");
	assert_string_equal(csv_at(&csv, 1, "counter.cycles"), "9007199254740993");
	assert_null(csv_at(&csv, 1, "counter.energy"));
	assert_string_equal(csv_at(&csv, 1, "higher_is_better"), "true");
	assert_string_equal(csv_at(&csv, 2, "status"), "failed");
	assert_null(csv_at(&csv, 2, "value"));
	assert_null(csv_at(&csv, 2, "stderr"));
	assert_null(csv_at(&csv, 2, "n"));
	assert_null(csv_at(&csv, 2, "counter.cycles"));
	assert_null(csv_at(&csv, 3, "params"));
	assert_null(csv_at(&csv, 3, "seed"));
	pb_csv_free(&csv);
	pb_text_free(&text);
	pb_rows_free(&rows);
}

static void json_round_trip(void **state)
{
	(void)state;
	struct pb_rows rows, back;
	pb_rows_init(&rows);
	pb_rows_init(&back);
	full_row(&rows);
	failed_row(&rows);
	struct pb_text text = { 0 }, again = { 0 };
	assert_int_equal(pb_rows_json(&rows, false, &text, &err), PB_OK);
	json_t *array = NULL;
	assert_int_equal(pb_json_parse(&array, "rows", text.data, text.length, &err), PB_OK);
	assert_int_equal(json_array_size(array), 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pb_row_from_json(&back, json_array_get(array, i), &err), PB_OK);
	assert_true(json_is_null(json_object_get(json_array_get(array, 1), "value")));
	assert_true(json_is_null(json_object_get(json_array_get(array, 0), "peak_rss_bytes")));
	assert_true(json_is_object(json_object_get(json_array_get(array, 0), "options")));
	json_decref(array);
	const struct pb_row *r = &back.rows[0];
	assert_true(r->value == 0.1 + 0.2 && r->stderr_value == 5e-324 && r->wbits == 1.0 / 3.0 && r->eval_seconds == 1e300);
	assert_true(r->params == 9007199254740993 && r->seed == -7 && r->weight_bytes == 0 && r->quantize_seconds == 0.0);
	assert_true(r->peak_rss_bytes == PB_ABSENT && r->higher_is_better);
	assert_string_equal(r->options, rows.rows[0].options);
	assert_string_equal(r->calibration, rows.rows[0].calibration);
	assert_true(isnan(back.rows[1].value) && back.rows[1].n == PB_ABSENT);
	assert_string_equal(back.rows[1].reason, rows.rows[1].reason);
	assert_int_equal(pb_rows_json(&back, false, &again, &err), PB_OK);
	assert_string_equal(text.data, again.data);
	pb_text_free(&text);
	pb_text_free(&again);
	pb_rows_free(&rows);
	pb_rows_free(&back);
}

static void json_lines(void **state)
{
	(void)state;
	struct pb_rows rows;
	pb_rows_init(&rows);
	struct pb_text text = { 0 };
	assert_int_equal(pb_rows_json(&rows, false, &text, &err), PB_OK);
	assert_string_equal(text.data, "[]\n");
	pb_text_clear(&text);
	add(&rows, "bad \xff byte", "a\nb");
	add(&rows, "m", "b");
	assert_int_equal(pb_rows_json(&rows, true, &text, &err), PB_OK);
	size_t lines = 0;
	for (const char *p = text.data; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 2);
	assert_non_null(strstr(text.data, "bad \xEF\xBF\xBD byte"));
	pb_text_free(&text);
	pb_rows_free(&rows);
}

static void refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"[]", "{}", "{\"schema\":2,\"status\":\"ok\"}", "{\"schema\":1}", "{\"schema\":1,\"status\":\"fine\"}",
		"{\"schema\":1,\"status\":\"ok\",\"valeu\":1}", "{\"schema\":1,\"status\":\"ok\",\"value\":\"1\"}",
		"{\"schema\":1,\"status\":\"failed\",\"value\":1}", "{\"schema\":1,\"status\":\"ok\",\"n\":1.5}",
		"{\"schema\":1,\"status\":\"ok\",\"model\":3}", "{\"schema\":1,\"status\":\"ok\",\"model\":\"a\\u0000b\"}",
		"{\"schema\":1,\"status\":\"ok\",\"counters\":[]}", "{\"schema\":1,\"status\":\"ok\",\"counters\":{},\"higher_is_better\":1}",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct pb_rows rows;
		pb_rows_init(&rows);
		json_t *object = json_loads(texts[i], JSON_ALLOW_NUL, NULL);
		assert_non_null(object);
		if (pb_row_from_json(&rows, object, &err) != PB_FORMAT)
			fail_msg("taken: %s", texts[i]);
		assert_int_equal(rows.n, 0);
		json_decref(object);
		pb_rows_free(&rows);
	}
	struct pb_rows rows;
	pb_rows_init(&rows);
	json_t *least = json_pack("{s:i, s:s}", "schema", 1, "status", "ok");
	assert_int_equal(pb_row_from_json(&rows, least, &err), PB_OK);
	assert_true(isnan(rows.rows[0].value) && rows.rows[0].seed == PB_ABSENT);
	assert_string_equal(rows.rows[0].model, "");
	json_decref(least);
	pb_rows_free(&rows);
}

static void order(void **state)
{
	(void)state;
	struct pb_rows rows;
	pb_rows_init(&rows);
	add(&rows, "b", "x")->seed = 2;
	add(&rows, "b", "x")->seed = -1;
	add(&rows, "b", "a")->task = "z";
	add(&rows, "b", "a")->task = "y";
	add(&rows, "a", "x");
	pb_rows_sort(&rows);
	assert_string_equal(rows.rows[0].model, "a");
	assert_string_equal(rows.rows[1].task, "y");
	assert_string_equal(rows.rows[2].task, "z");
	assert_int_equal(rows.rows[3].seed, -1);
	assert_int_equal(rows.rows[4].seed, 2);
	pb_rows_free(&rows);
}

static void tables(void **state)
{
	(void)state;
	struct pb_rows rows;
	pb_rows_init(&rows);
	full_row(&rows);
	rows.rows[0].model = "modèle|<b>\x1b[31m";
	rows.rows[0].value = 0.6241;
	rows.rows[0].stderr_value = 0.0213;
	failed_row(&rows);
	struct pb_text text = { 0 };
	assert_int_equal(pb_rows_table(&rows, false, &text, &err), PB_OK);
	assert_non_null(strstr(text.data, "0.624 ± 0.021"));
	assert_non_null(strstr(text.data, "failed: codebook larger than matrix (4096 > 1024)"));
	assert_null(strchr(text.data, '\x1b'));
	pb_text_clear(&text);
	assert_int_equal(pb_rows_table(&rows, true, &text, &err), PB_OK);
	assert_non_null(strstr(text.data, "modèle\\|&lt;b>"));
	/* Every line of a Markdown table has the same number of unescaped bars. */
	unsigned bars = 0, first = 0;
	for (const char *p = text.data; *p; p++) {
		if (*p == '|' && (p == text.data || p[-1] != '\\'))
			bars++;
		if (*p == '\n') {
			first = first ? first : bars;
			assert_int_equal(bars, first);
			bars = 0;
		}
	}
	assert_int_equal(first, 10);
	pb_text_free(&text);
	pb_rows_free(&rows);
}

static void statuses(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PB_ROW_STATUSES; i++) {
		enum pb_row_status back;
		assert_true(pb_row_status_parse(pb_row_status_name((enum pb_row_status)i), &back));
		assert_int_equal(back, i);
	}
	enum pb_row_status none;
	assert_false(pb_row_status_parse("OK", &none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_round_trip), cmocka_unit_test(json_round_trip), cmocka_unit_test(json_lines),
		cmocka_unit_test(refused), cmocka_unit_test(order), cmocka_unit_test(tables), cmocka_unit_test(statuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
