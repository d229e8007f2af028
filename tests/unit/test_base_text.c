#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rng.h"
#include "core/base/text.h"

static void text_grows(void **state)
{
	(void)state;
	struct pb_text t = { 0 };
	assert_string_equal(pb_text_c(&t), "");
	for (int i = 0; i < 10000; i++)
		pb_text_printf(&t, "%d,", i % 10);
	pb_text_char(&t, 'x');
	pb_text_string(&t, "yz");
	pb_text_bytes(&t, "a\0b", 3);
	assert_int_equal(t.length, 20006);
	assert_int_equal(strlen(t.data), 20004); /* up to the NUL inside */
	assert_memory_equal(t.data + 20000, "xyza\0b", 7);
	assert_int_equal(pb_text_check(&t, NULL), PB_OK);
	pb_text_clear(&t);
	assert_string_equal(pb_text_c(&t), "");
	pb_text_printf(&t, "%*s", 100000, "end");
	assert_int_equal(t.length, 100000);
	assert_string_equal(t.data + 99997, "end");
	pb_text_free(&t);
	assert_string_equal(pb_text_c(&t), "");
}

static void failed_text_stays_failed(void **state)
{
	(void)state;
	struct pb_text t = { 0 };
	struct pb_error err;
	pb_text_string(&t, "kept");
	t.failed = true;
	pb_text_string(&t, "x");
	pb_text_printf(&t, "%d", 3);
	assert_string_equal(pb_text_c(&t), "kept");
	assert_int_equal(pb_text_check(&t, &err), PB_MEMORY);
	pb_text_free(&t);
}

static void doubles(void **state)
{
	(void)state;
	static const struct { const char *text; double value; } good[] = {
		{ "0", 0 }, { "-0", 0 }, { "1.58", 1.58 }, { "+2", 2 }, { ".5", .5 }, { "5.", 5 }, { "1e-7", 1e-7 }, { "-1.5E+3", -1500 },
		{ "4.9406564584124654e-324", 0x1p-1074 }, { "1.7976931348623157e308", 1.7976931348623157e308 }, { "1e-400", 0 },
	};
	static const char *const bad[] = { "", " 1", "1 ", "1,5", "nan", "inf", "-inf", "0x10", "1e", "1e+", "e5", ".", "-", "--1", "1e400", "1_000", "1.2.3", "infinity" };
	double x;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(pb_parse_double(good[i].text, &x));
		assert_true(x == good[i].value);
	}
	x = 7;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (pb_parse_double(bad[i], &x))
			fail_msg("taken: '%s'", bad[i]);
	assert_true(x == 7);
}

static void integers(void **state)
{
	(void)state;
	static const char *const bad[] = { "", " 1", "1 ", "1.0", "0x1", "9223372036854775808", "-9223372036854775809", "-", "+", "1e3", "--1", "12a" };
	int64_t x;
	assert_true(pb_parse_int64("9223372036854775807", &x) && x == INT64_MAX);
	assert_true(pb_parse_int64("-9223372036854775808", &x) && x == INT64_MIN);
	assert_true(pb_parse_int64("+12", &x) && x == 12);
	assert_true(pb_parse_int64("007", &x) && x == 7);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (pb_parse_int64(bad[i], &x))
			fail_msg("taken: '%s'", bad[i]);
}

static void bytes(void **state)
{
	(void)state;
	static const struct { const char *text; uint64_t value; } good[] = {
		{ "4096", 4096 }, { "4KiB", 4096 }, { "1.5GiB", 1610612736 }, { "10MB", 10000000 }, { "0", 0 }, { "7B", 7 }, { "3kB", 3000 },
		{ "2TiB", 2199023255552 }, { "18446744073709551615", UINT64_MAX }, { "0.5KiB", 512 },
	};
	static const char *const bad[] = { "", "MiB", "-1", "1.5", "1.5B", "4K", "4 KiB", "4KiBx", "18446744073709551616", "16777216TiB", "99999999.5TiB", "1e3" };
	uint64_t x;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (!pb_parse_bytes(good[i].text, &x))
			fail_msg("refused: '%s'", good[i].text);
		assert_true(x == good[i].value);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (pb_parse_bytes(bad[i], &x))
			fail_msg("taken: '%s'", bad[i]);
}

static void seconds(void **state)
{
	(void)state;
	static const struct { const char *text; double value; } good[] = {
		{ "90", 90 }, { "90s", 90 }, { "10m", 600 }, { "1h30m", 5400 }, { "500ms", .5 }, { "1.5h", 5400 }, { "1h2m3s4ms", 3723.004 }, { "0.25", .25 }, { "4m07s", 247 },
	};
	static const char *const bad[] = { "", "s", "-1", "+1", "1d", "1m1h", "1s1s", "1m30", "1 m", "90sec", "m5", "1h30" };
	double x;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (!pb_parse_seconds(good[i].text, &x))
			fail_msg("refused: '%s'", good[i].text);
		assert_true(fabs(x - good[i].value) < 1e-12 * (1 + x));
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (pb_parse_seconds(bad[i], &x))
			fail_msg("taken: '%s'", bad[i]);
}

static void numbers_read_back(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(1, 1);
	char text[32];
	for (int i = 0; i < 20000; i++) {
		uint64_t u = pb_rng_u64(&r);
		double x, y;
		memcpy(&x, &u, sizeof x);
		if (!isfinite(x))
			continue;
		pb_format_number(text, x);
		assert_true(pb_parse_double(text, &y) && x == y);
		pb_format_short(text, x);
		assert_true(pb_parse_double(text, &y) && x == y);
	}
	pb_format_number(text, 0.1);
	assert_string_equal(text, "0.10000000000000001");
	pb_format_short(text, 0.1);
	assert_string_equal(text, "0.1");
	static const struct { double value; const char *text; } cases[] = {
		{ 8, "8" }, { 1000, "1000" }, { -80, "-80" }, { 16777216, "16777216" }, { 1e15, "1e+15" }, { 1e-7, "1e-07" }, { 120.5, "120.5" }, { 0.0001, "0.0001" }, { 0, "0" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		pb_format_short(text, cases[i].value);
		assert_string_equal(text, cases[i].text);
	}
	pb_format_short(text, INFINITY);
	assert_string_equal(text, "inf");
	pb_format_short(text, NAN);
	assert_string_equal(text, "nan");
}

static void another_locale_changes_nothing(void **state)
{
	(void)state;
	static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "nl_NL.UTF-8", "de_DE" };
	const char *found = NULL;
	for (size_t i = 0; i < sizeof names / sizeof *names && found == NULL; i++)
		found = setlocale(LC_ALL, names[i]);
	if (found == NULL)
		skip();
	char text[64];
	double x;
	struct pb_text t = { 0 };
	pb_format_number(text, 1.5);
	bool number = strcmp(text, "1.5") == 0;
	pb_text_printf(&t, "%.1f", 1.5);
	bool printed = strcmp(pb_text_c(&t), "1.5") == 0;
	bool parsed = pb_parse_double("1.5", &x) && x == 1.5;
	setlocale(LC_ALL, "C");
	pb_text_free(&t);
	assert_true(number);
	assert_true(printed);
	assert_true(parsed);
}

static void sizes(void **state)
{
	(void)state;
	static const struct { double bytes; const char *text; } cases[] = {
		{ 0, "0 B" }, { 512, "512 B" }, { 1023, "1023 B" }, { 1024, "1.00 KiB" }, { 1536, "1.50 KiB" }, { 52219084, "49.8 MiB" },
		{ 498.0 * 1048576, "498 MiB" }, { 999.4 * 1024, "999 KiB" }, { 1000.0 * 1024, "0.977 MiB" }, { 1023.0 * 1024, "0.999 MiB" },
		{ 9.999 * 1024, "10.0 KiB" }, { 99.96 * 1024, "100 KiB" }, { 3e9, "2.79 GiB" }, { -2048, "-2.00 KiB" }, { NAN, "n/a" }, { INFINITY, "n/a" },
		{ 1e30, "8.67e+11 EiB" },
	};
	char text[32];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		pb_format_size(text, cases[i].bytes);
		assert_string_equal(text, cases[i].text);
	}
}

static void counts(void **state)
{
	(void)state;
	static const struct { double value; int digits; const char *text; } cases[] = {
		{ 0, 3, "0" }, { 28, 3, "28" }, { 12.34, 3, "12.3" }, { 999.4, 3, "999" }, { 999.5, 3, "1 k" }, { 999.5, 4, "999.5" }, { 30000, 3, "30 k" },
		{ 39321600, 3, "39.3 M" }, { 999999, 3, "1 M" }, { 1234500, 6, "1.2345 M" }, { 1.1e9, 3, "1.1 B" }, { 15e12, 3, "15 T" },
		{ 9.223372036854775807e18, 3, "9.22e+06 T" }, { -4096, 3, "-4.1 k" }, { NAN, 3, "n/a" }, { -1.7976931348623157e308, 15, "-1.79769313486232e+296 T" },
	};
	char text[32];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		pb_format_count(text, cases[i].value, cases[i].digits);
		assert_string_equal(text, cases[i].text);
	}
}

static void durations(void **state)
{
	(void)state;
	static const struct { double seconds; const char *text; } cases[] = {
		{ 0, "0 s" }, { 0.00042, "0.4 ms" }, { 0.00996, "10 ms" }, { 0.84, "840 ms" }, { 0.9994, "999 ms" }, { 0.9996, "1.0 s" }, { 12.3, "12.3 s" },
		{ 59.94, "59.9 s" }, { 59.96, "1m00s" }, { 63, "1m03s" }, { 247, "4m07s" }, { 3599.4, "59m59s" }, { 3599.6, "1h00m" }, { 3720, "1h02m" },
		{ 7500, "2h05m" }, { 360000, "100h00m" }, { -63, "-1m03s" }, { NAN, "n/a" }, { 1e300, "2.78e+296 h" },
	};
	char text[32];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		pb_format_duration(text, cases[i].seconds);
		assert_string_equal(text, cases[i].text);
	}
}

static void values(void **state)
{
	(void)state;
	static const struct { double value, error; const char *text; } cases[] = {
		{ 0.6241, 0.0113, "0.6241 \xc2\xb1 0.0113" }, { 0.6241, 0.0234, "0.624 \xc2\xb1 0.023" }, { 0.62414, NAN, "0.6241" },
		{ 0.5, 0.00996, "0.5000 \xc2\xb1 0.0100" }, { 12.34567, 0.25, "12.35 \xc2\xb1 0.25" }, { 1234.5, 56.7, "1234 \xc2\xb1 57" },
		{ 1234.5, 5670, "1234 \xc2\xb1 5670" }, { -0.0001, 0.2, "0.00 \xc2\xb1 0.20" }, { 0.75, 0, "0.7500 \xc2\xb1 0.0000" },
		{ NAN, 0.1, "n/a" }, { INFINITY, NAN, "n/a" }, { -0.00001, NAN, "0.0000" }, { -1.25, NAN, "-1.2500" }, { 0.5, INFINITY, "0.5000" },
		{ 1.5e20, 2e18, "1.500e+20 \xc2\xb1 2.000e+18" },
	};
	char text[64];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		pb_format_value(text, cases[i].value, cases[i].error);
		assert_string_equal(text, cases[i].text);
	}
}

static void utf8_round_trip(void **state)
{
	(void)state;
	for (uint32_t c = 0; c <= 0x10FFFF; c++) {
		if (c >= 0xD800 && c <= 0xDFFF)
			continue;
		char bytes[4];
		size_t n = pb_utf8_put(bytes, c);
		const char *s = bytes;
		if (pb_utf8_next(&s, bytes + n) != c || s != bytes + n || !pb_utf8_valid(bytes, n))
			fail_msg("U+%04X", (unsigned)c);
	}
	char bytes[4];
	assert_int_equal(pb_utf8_put(bytes, 0xD800), 3);
	assert_memory_equal(bytes, "\xEF\xBF\xBD", 3);
	assert_int_equal(pb_utf8_put(bytes, 0x110000), 3);
}

static void utf8_malformed(void **state)
{
	(void)state;
	/* Overlong forms, surrogates, beyond the last code point, lone continuation, cut sequences. */
	static const char *const bad[] = { "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF",
		"\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\x80", "\xBF", "\xC2", "\xE2\x82", "\xF0\x9F\x98", "\xFE", "\xFF", "\xE2\x28\xA1" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *s = bad[i];
		assert_int_equal(pb_utf8_next(&s, bad[i] + strlen(bad[i])), 0xFFFD);
		assert_ptr_equal(s, bad[i] + 1);
		assert_false(pb_utf8_valid(bad[i], strlen(bad[i])));
	}
	assert_true(pb_utf8_valid("\xEF\xBF\xBD", 3));
	assert_int_equal(pb_utf8_count("a\xC3\xA9\xF0\x9F\x98\x80", 7), 3);
	assert_int_equal(pb_utf8_count("\xE2\x82", 2), 2);
}

static void spaces(void **state)
{
	(void)state;
	/* ''.join(chr(c) for c in range(0x110000) if chr(c).isspace()) has 29 characters in Python 3. */
	unsigned n = 0;
	for (uint32_t c = 0; c <= 0x10FFFF; c++)
		n += pb_is_python_space(c);
	assert_int_equal(n, 29);
	assert_true(pb_is_python_space(0x1F) && pb_is_python_space(0x85) && pb_is_python_space(0x200A) && pb_is_python_space(0x3000));
	assert_false(pb_is_python_space(0x1B) || pb_is_python_space(0x200B) || pb_is_python_space('a') || pb_is_python_space(0xFEFF));
}

static void distances(void **state)
{
	(void)state;
	static const struct { const char *a, *b; unsigned d; } cases[] = {
		{ "", "", 0 }, { "abc", "", 3 }, { "kitten", "sitting", 3 }, { "ab", "ba", 1 }, { "bitss", "bits", 1 }, { "rtn", "trn", 1 }, { "ca", "abc", 3 }, { "same", "same", 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(pb_edit_distance(cases[i].a, cases[i].b), cases[i].d);
		assert_int_equal(pb_edit_distance(cases[i].b, cases[i].a), cases[i].d);
	}
	char large[1000];
	memset(large, 'a', sizeof large - 1);
	large[sizeof large - 1] = '\0';
	assert_int_equal(pb_edit_distance(large, "a"), 999);
}

static void nearest_names(void **state)
{
	(void)state;
	static const char *const names[] = { "bits", "group_size", "symmetric", "onebit", "squeezellm", "k" };
	size_t n = sizeof names / sizeof *names;
	assert_string_equal(pb_nearest("bitss", names, n), "bits");
	assert_string_equal(pb_nearest("Bits", names, n), "bits");
	assert_string_equal(pb_nearest("groupsize", names, n), "group_size");
	assert_string_equal(pb_nearest("group", names, n), "group_size");
	assert_string_equal(pb_nearest("sqeezelm", names, n), "squeezellm");
	assert_null(pb_nearest("temperature", names, n));
	assert_null(pb_nearest("x", names, n));
	assert_null(pb_nearest("", names, n));
	assert_null(pb_nearest("bits", NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_grows),
		cmocka_unit_test(failed_text_stays_failed),
		cmocka_unit_test(doubles),
		cmocka_unit_test(integers),
		cmocka_unit_test(bytes),
		cmocka_unit_test(seconds),
		cmocka_unit_test(numbers_read_back),
		cmocka_unit_test(another_locale_changes_nothing),
		cmocka_unit_test(sizes), cmocka_unit_test(counts),
		cmocka_unit_test(durations),
		cmocka_unit_test(values),
		cmocka_unit_test(utf8_round_trip),
		cmocka_unit_test(utf8_malformed),
		cmocka_unit_test(spaces),
		cmocka_unit_test(distances),
		cmocka_unit_test(nearest_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
