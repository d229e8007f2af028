#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/memory.h"
#include "tests/unit/scratch.h"

static void canonical_text(void **state)
{
	(void)state;
	static const char text[] = " {\"b\": [1, 2.5, null, true], \"a\": {\"z\": \"\\u00e9\", \"y\": 0.1}} ";
	json_t *v;
	assert_int_equal(pb_json_parse(&v, "t.json", text, sizeof text - 1, NULL), PB_OK);
	char *s = pb_json_canonical(v);
	assert_string_equal(s, "{\"a\":{\"y\":0.10000000000000001,\"z\":\"\xc3\xa9\"},\"b\":[1,2.5,null,true]}");
	pb_free(s);
	s = pb_json_pretty(v);
	assert_string_equal(s, "{\n  \"a\": {\n    \"y\": 0.10000000000000001,\n    \"z\": \"\xc3\xa9\"\n  },\n  \"b\": [\n    1,\n    2.5,\n    null,\n    true\n  ]\n}\n");
	pb_free(s);
	json_decref(v);
}

static void numbers_are_finite(void **state)
{
	(void)state;
	static const double values[] = { NAN, INFINITY, -INFINITY };
	for (int i = 0; i < 3; i++) {
		json_t *v = pb_json_number(values[i]);
		assert_true(json_is_null(v));
		json_decref(v);
	}
	json_t *v = pb_json_number(0.1);
	assert_true(json_is_real(v) && json_real_value(v) == 0.1);
	char *s = pb_json_canonical(v);
	assert_string_equal(s, "0.10000000000000001");
	pb_free(s);
	json_decref(v);
}

static void refused(const char *text, size_t n, const char *place)
{
	json_t *v = (json_t *)&v;
	struct pb_error err = { 0 };
	assert_int_equal(pb_json_parse(&v, "t.json", text, n, &err), PB_FORMAT);
	assert_ptr_equal(v, &v);
	if (strncmp(err.text, place, strlen(place)) != 0 || strchr(err.text, '\n') != NULL)
		fail_msg("%s", err.text);
}

static void refuses(void **state)
{
	(void)state;
	refused("{\"a\": 1,\n \"a\": 2}", 17, "t.json:2:4: duplicate object key");
	refused("", 0, "t.json:1:1: ");
	refused("{\"a\": 1", 7, "t.json:1:7: ");
	refused("[1, 2] x", 8, "t.json:1:");
	refused("[NaN]", 5, "t.json:1:");
	refused("[1e400]", 7, "t.json:1:");
	refused("[\"\xff\"]", 5, "t.json:1:");
	refused("[\"a\\u0000\"]", 11, "t.json:1:");
	refused("[1]\0", 4, "t.json:1:");
	refused("[99999999999999999999]", 22, "t.json:1:");
	refused("[\"a\n\"]", 6, "t.json:1:");
	static char deep[10000];
	memset(deep, '[', sizeof deep);
	refused(deep, sizeof deep, "t.json:1:");
}

static void scalars_are_values(void **state)
{
	(void)state;
	json_t *v;
	assert_int_equal(pb_json_parse(&v, "t", "9007199254740993", 16, NULL), PB_OK);
	assert_true(json_integer_value(v) == 9007199254740993);
	json_decref(v);
}

static void reads_files(void **state)
{
	(void)state;
	json_t *v;
	struct pb_error err;
	char expected[600];
	assert_int_equal(pb_file_write(scratch_path("x.json"), "{\"a\": [1,}", 10, NULL), PB_OK);
	assert_int_equal(pb_json_read(&v, scratch_path("x.json"), 100, &err), PB_FORMAT);
	snprintf(expected, sizeof expected, "%s:1:10: ", scratch_path("x.json"));
	assert_memory_equal(err.text, expected, strlen(expected));
	assert_int_equal(pb_json_read(&v, scratch_path("x.json"), 9, &err), PB_LIMIT);
	assert_int_equal(pb_json_read(&v, scratch_path("y.json"), 9, &err), PB_MISSING);
	assert_int_equal(pb_file_write(scratch_path("x.json"), "[3]", 3, NULL), PB_OK);
	assert_int_equal(pb_json_read(&v, scratch_path("x.json"), 100, &err), PB_OK);
	json_decref(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_text),
		cmocka_unit_test(numbers_are_finite),
		cmocka_unit_test(refuses),
		cmocka_unit_test(scalars_are_values),
		cmocka_unit_test(reads_files),
	};
	return cmocka_run_group_tests(tests, NULL, scratch_teardown);
}
