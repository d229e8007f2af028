#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/status.h"
#include "core/base/text.h"
#include "core/base/version.h"

static void fills_and_returns(void **state)
{
	(void)state;
	struct pb_error err = { 0 };
	assert_int_equal(pb_fail(&err, PB_FORMAT, "%s: row %d: too short", "a.csv", 3), PB_FORMAT);
	assert_int_equal(err.status, PB_FORMAT);
	assert_string_equal(err.text, "a.csv: row 3: too short");
	assert_int_equal(pb_fail(NULL, PB_IO, "x"), PB_IO);
}

static void prefixes(void **state)
{
	(void)state;
	struct pb_error err = { 0 };
	(void)pb_fail(&err, PB_NUMERIC, "3 weights are not finite");
	assert_int_equal(pb_fail_prefix(&err, "%s: layer %d", "rtn", 4), PB_NUMERIC);
	assert_string_equal(err.text, "rtn: layer 4: 3 weights are not finite");
	assert_int_equal(pb_fail_prefix(NULL, "x"), PB_FAILED);
}

static void takes_its_own_text(void **state)
{
	(void)state;
	struct pb_error err = { 0 };
	(void)pb_fail(&err, PB_IO, "inner");
	(void)pb_fail(&err, PB_FAILED, "outer (%s)", err.text);
	assert_string_equal(err.text, "outer (inner)");
}

static void cuts_long_texts_between_characters(void **state)
{
	(void)state;
	/* Two-byte characters at odd offsets: a cut at the last byte would leave half of one. */
	char text[2 * PB_ERROR_TEXT] = "x";
	for (size_t i = 1; i + 2 < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	for (int shift = 0; shift < 2; shift++) {
		struct pb_error err;
		(void)pb_fail(&err, PB_IO, "%s", text + shift);
		assert_true(strlen(err.text) >= PB_ERROR_TEXT - 2);
		assert_true(pb_utf8_valid(err.text, strlen(err.text)));
		(void)pb_fail_prefix(&err, "p%s", text + shift);
		assert_true(strlen(err.text) < PB_ERROR_TEXT);
	}
}

static void names_and_exit_codes(void **state)
{
	(void)state;
	static const char *const names[] = { "ok", "usage", "format", "io", "memory", "numeric", "unsupported", "missing", "limit", "interrupted", "failed" };
	for (int i = 0; i <= PB_FAILED; i++) {
		assert_string_equal(pb_status_name((enum pb_status)i), names[i]);
		assert_int_equal(pb_status_exit((enum pb_status)i), i == PB_OK ? 0 : i == PB_USAGE ? 2 : i == PB_INTERRUPTED ? 130 : 1);
	}
}

static void has_a_version(void **state)
{
	(void)state;
	assert_true(strlen(pb_version()) > 0);
	assert_string_not_equal(pb_version(), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_and_returns),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(takes_its_own_text),
		cmocka_unit_test(cuts_long_texts_between_characters),
		cmocka_unit_test(names_and_exit_codes),
		cmocka_unit_test(has_a_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
