#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/csv.h"
#include "core/base/rng.h"

/* A table as "line|field|field\n", absent as "-", empty as "''". */
static void show(struct pb_text *t, const char *text, size_t n)
{
	struct pb_csv csv;
	struct pb_error err = { 0 };
	pb_text_clear(t);
	if (pb_csv_parse(&csv, "t.csv", text, n, &err) != PB_OK) {
		pb_text_printf(t, "%s %s", pb_status_name(err.status), err.text);
		return;
	}
	for (size_t i = 0; i < csv.n_rows; i++) {
		pb_text_printf(t, "%u", csv.lines[i]);
		for (size_t j = 0; j < csv.n_fields[i]; j++) {
			const char *s = csv.fields[i][j];
			pb_text_printf(t, "|%s", s == NULL ? "-" : s[0] == '\0' ? "''" : s);
		}
		pb_text_char(t, '\n');
	}
	pb_csv_free(&csv);
}

static void check(const char *text, const char *expected)
{
	struct pb_text t = { 0 };
	show(&t, text, strlen(text));
	assert_string_equal(pb_text_c(&t), expected);
	pb_text_free(&t);
}

static void tables(void **state)
{
	(void)state;
	check("", "");
	check("\n\r\n \t\n", "");
	check("a,b\n1,2\n", "1|a|b\n2|1|2\n");
	check("a,b\n1,2", "1|a|b\n2|1|2\n");
	check("a,b\r\n1,2\r\n", "1|a|b\n2|1|2\n");
	check("a\rb\rc", "1|a\n2|b\n3|c\n");
	check("a,,\"\",d", "1|a|-|''|d\n");
	check(",\n", "1|-|-\n");
	check(" a , b\t,\" c \"\n", "1|a|b| c \n");
	check("\"a,b\",\"say \"\"hi\"\"\"\n", "1|a,b|say \"hi\"\n");
	check("a\n\n\nb\n", "1|a\n4|b\n");
	check("a\n  \r\nb\n", "1|a\n3|b\n");
	check("\"x\n\ny\",2\nz\n", "1|x\n\ny|2\n4|z\n");
	check("\"x\r\ny\",2\r\nz\r\n", "1|x\r\ny|2\n3|z\n");
	check("\xEF\xBB\xBF\"a\",b\n", "1|a|b\n");
	check("\xEF\xBB\xBF", "");
	check("1,2,3\n4\n", "1|1|2|3\n2|4\n");
	check("\"\"\n", "1|''\n");
	check("caf\xC3\xA9,\xE2\x82\xAC\n", "1|caf\xC3\xA9|\xE2\x82\xAC\n");
}

static void refuses(void **state)
{
	(void)state;
	struct pb_text t = { 0 };
	check("a,b\nx,\"y\n", "format t.csv:2: the quoted field of the row that begins here has no end");
	check("\"", "format t.csv:1: the quoted field of the row that begins here has no end");
	check("a\n\nx,\"y\"z\n", "format t.csv:3:6: a quote in the wrong place");
	check("a\"b\n", "format t.csv:1:2: a quote in the wrong place");
	check("\"a\nb\"c\n", "format t.csv:2:3: a quote in the wrong place");
	show(&t, "a\nb\0c", 5);
	assert_string_equal(pb_text_c(&t), "format t.csv:2: a NUL byte");
	pb_text_free(&t);
}

static void large(void **state)
{
	(void)state;
	struct pb_text t = { 0 };
	struct pb_csv csv;
	enum { ROWS = 20000 };
	for (int i = 0; i < ROWS; i++) {
		for (int j = 0; j < i % 50; j++)
			pb_csv_integer(&t, (long long)i * j);
		pb_csv_text(&t, "end");
		pb_csv_end(&t);
	}
	assert_int_equal(pb_csv_parse(&csv, "t.csv", t.data, t.length, NULL), PB_OK);
	assert_int_equal(csv.n_rows, ROWS);
	for (int i = 0; i < ROWS; i += 37) {
		assert_int_equal(csv.n_fields[i], i % 50 + 1);
		assert_int_equal(csv.lines[i], i + 1);
		assert_string_equal(csv.fields[i][i % 50], "end");
	}
	pb_csv_free(&csv);
	pb_text_free(&t);
}

static void writes(void **state)
{
	(void)state;
	struct pb_text t = { 0 };
	pb_csv_text(&t, NULL);
	pb_csv_text(&t, "plain text");
	pb_csv_text(&t, "");
	pb_csv_text(&t, "a,b");
	pb_csv_text(&t, "say \"hi\"");
	pb_csv_text(&t, " lead");
	pb_csv_text(&t, "trail\t");
	pb_csv_text(&t, "x\ny");
	pb_csv_end(&t);
	pb_csv_number(&t, 0.1);
	pb_csv_number(&t, NAN);
	pb_csv_number(&t, INFINITY);
	pb_csv_number(&t, -0.0);
	pb_csv_integer(&t, -9223372036854775807 - 1);
	pb_csv_text(&t, NULL);
	pb_csv_end(&t);
	pb_csv_end(&t);
	assert_string_equal(pb_text_c(&t), ",plain text,\"\",\"a,b\",\"say \"\"hi\"\"\",\" lead\",\"trail\t\",\"x\ny\"\n"
		"0.10000000000000001,,,-0,-9223372036854775808,\n\n");
	pb_text_clear(&t);
	pb_csv_text(&t, "\xEF\xBB\xBFx");
	pb_csv_end(&t);
	check(pb_text_c(&t), "1|\xEF\xBB\xBFx\n");
	pb_text_free(&t);
}

/* Random fields of awkward characters come back as they were, absent ones too. */
static void round_trip(void **state)
{
	(void)state;
	static const char letters[] = "a,\"\n\r \t\xC3\xA9";
	struct pb_rng r = pb_rng_make(3, 4);
	for (int round = 0; round < 3000; round++) {
		char fields[12][8];
		bool absent[12];
		struct pb_text t = { 0 };
		struct pb_csv csv;
		for (int i = 0; i < 12; i++) {
			size_t n = pb_rng_below(&r, 7);
			for (size_t j = 0; j < n; j++)
				fields[i][j] = letters[pb_rng_below(&r, sizeof letters - 1)];
			fields[i][n] = '\0';
			absent[i] = pb_rng_below(&r, 5) == 0;
			pb_csv_text(&t, absent[i] ? NULL : fields[i]);
			if (i % 4 == 3)
				pb_csv_end(&t);
		}
		assert_int_equal(pb_csv_parse(&csv, "t", t.data, t.length, NULL), PB_OK);
		assert_int_equal(csv.n_rows, 3);
		for (int i = 0; i < 12; i++) {
			const char *s = csv.fields[i / 4][i % 4];
			assert_int_equal(csv.n_fields[i / 4], 4);
			if (absent[i])
				assert_null(s);
			else
				assert_string_equal(s, fields[i]);
		}
		pb_csv_free(&csv);
		pb_text_free(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),
		cmocka_unit_test(refuses),
		cmocka_unit_test(large),
		cmocka_unit_test(writes),
		cmocka_unit_test(round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
