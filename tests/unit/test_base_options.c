#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/base/options.h"

struct sample {
	int64_t bits, group_size;
	double damp;
	bool sort;
	int mode;
};

static const char *const modes[] = { "symmetric", "asymmetric", NULL };
static const struct pb_option table[] = {
	PB_OPT_INT(struct sample, bits, 2, 8, 4, "nominal width"),
	PB_OPT_INT(struct sample, group_size, -1, 1 << 20, 128, "weights that share a scale"),
	PB_OPT_REAL(struct sample, damp, 0, 1, 0.01, "share of the mean diagonal"),
	PB_OPT_BOOL(struct sample, sort, 1, "largest columns first"),
	PB_OPT_CHOICE(struct sample, mode, modes, "asymmetric", "zero point"),
	PB_OPT_END
};
static const struct pb_option empty[] = { PB_OPT_END };

static void defaults_and_parsing(void **state)
{
	(void)state;
	struct sample s;
	struct pb_error err;
	memset(&s, 0xAA, sizeof s);
	pb_options_default(table, &s);
	assert_true(s.bits == 4 && s.group_size == 128 && s.damp == 0.01 && s.sort && s.mode == 1);
	assert_int_equal(pb_options_parse(table, &s, "rtn", NULL, &err), PB_OK);
	assert_int_equal(pb_options_parse(table, &s, "rtn", "", &err), PB_OK);
	assert_int_equal(pb_options_parse(table, &s, "rtn", "mode=symmetric,bits=3,damp=1e-3,sort=off,group_size=-1", &err), PB_OK);
	assert_true(s.bits == 3 && s.group_size == -1 && s.damp == 1e-3 && !s.sort && s.mode == 0);
	static const char *const words[] = { "true", "yes", "on", "1", "false", "no", "off", "0" };
	for (int i = 0; i < 8; i++) {
		assert_int_equal(pb_options_set(table, &s, "rtn", "sort", words[i], &err), PB_OK);
		assert_int_equal(s.sort, i < 4);
	}
}

static void messages(void **state)
{
	(void)state;
	static const struct { const char *text, *message; } cases[] = {
		{ "bitss=3", "rtn: unknown option 'bitss'; did you mean 'bits'?" },
		{ "temperature=3", "rtn: unknown option 'temperature'; the options are bits, group_size, damp, sort, mode" },
		{ "bits=9", "rtn: bits=9 is out of range 2..8" },
		{ "bits=1", "rtn: bits=1 is out of range 2..8" },
		{ "bits=4k", "rtn: bits=4k: not a whole number" },
		{ "bits=3.0", "rtn: bits=3.0: not a whole number" },
		{ "bits=", "rtn: bits=: not a whole number" },
		{ "bits= 3", "rtn: bits= 3: not a whole number" },
		{ "damp=nan", "rtn: damp=nan: not a number" },
		{ "damp=1.5", "rtn: damp=1.5 is out of range 0..1" },
		{ "sort=maybe", "rtn: sort=maybe: choose one of true, false" },
		{ "mode=foo", "rtn: mode=foo: choose one of symmetric, asymmetric" },
		{ "bits=3,bits=3", "rtn: option 'bits' is given twice" },
		{ "bits=3,damp=0.5,mode=symmetric,damp=0.5", "rtn: option 'damp' is given twice" },
		{ "bits", "rtn: 'bits': write options as name=value,name=value" },
		{ "=3", "rtn: '=3': write options as name=value,name=value" },
		{ "bits=3,", "rtn: '': write options as name=value,name=value" },
		{ ",", "rtn: '': write options as name=value,name=value" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sample s;
		struct pb_error err = { 0 };
		pb_options_default(table, &s);
		if (pb_options_parse(table, &s, "rtn", cases[i].text, &err) != PB_USAGE)
			fail_msg("taken: %s", cases[i].text);
		assert_string_equal(err.text, cases[i].message);
	}
	struct pb_error err;
	assert_int_equal(pb_options_set(empty, NULL, "identity", "bits", "3", &err), PB_USAGE);
	assert_string_equal(err.text, "identity: unknown option 'bits': there are none");
}

static void texts(void **state)
{
	struct named {
		char path[PB_OPTION_TEXT_BYTES];
	} s;
	static const struct pb_option named[] = { PB_OPT_TEXT(struct named, path, "here", "a path"), PB_OPT_END };
	static const struct pb_option none[] = { { .name = "path", .type = PB_OPTION_TEXT, .help = "x" }, PB_OPT_END };
	char text[PB_OPTION_TEXT_BYTES + 8] = "path=";
	struct pb_text label = { 0 }, help = { 0 };
	struct pb_error err;
	(void)state;
	pb_options_default(named, &s);
	assert_string_equal(s.path, "here");
	assert_int_equal(pb_options_check(named, "x", &err), PB_OK);
	assert_int_equal(pb_options_parse(named, &s, "x", "path=./a b=c", &err), PB_OK);
	assert_string_equal(s.path, "./a b=c");
	pb_options_label(named, &s, &label);
	assert_string_equal(pb_text_c(&label), "path=./a b=c");
	pb_options_help(named, NULL, &help);
	assert_string_equal(pb_text_c(&help), "  path=TEXT  (here)  a path\n");
	json_t *v = pb_options_json(named, &s);
	assert_string_equal(json_string_value(json_object_get(v, "path")), "./a b=c");
	json_decref(v);
	memset(text + 5, 'y', PB_OPTION_TEXT_BYTES);
	assert_int_equal(pb_options_parse(named, &s, "x", text, &err), PB_USAGE);
	assert_string_equal(err.text, "x: path: longer than 511 bytes");
	text[5 + PB_OPTION_TEXT_BYTES - 1] = '\0';
	assert_int_equal(pb_options_parse(named, &s, "x", text, &err), PB_OK);
	assert_int_equal(pb_options_parse(named, &s, "x", "path=\xff", &err), PB_USAGE);
	assert_string_equal(err.text, "x: path: not UTF-8");
	assert_int_equal(pb_options_check(none, "x", &err), PB_FAILED);
	pb_text_free(&label);
	pb_text_free(&help);
}

static void echo(void **state)
{
	(void)state;
	struct sample s;
	struct pb_text label = { 0 };
	pb_options_default(table, &s);
	json_t *v = pb_options_json(table, &s);
	char *text = json_dumps(v, JSON_COMPACT | JSON_REAL_PRECISION(17));
	assert_string_equal(text, "{\"bits\":4,\"group_size\":128,\"damp\":0.01,\"sort\":true,\"mode\":\"asymmetric\"}");
	pb_free(text);
	json_decref(v);
	pb_options_label(table, &s, &label);
	assert_string_equal(pb_text_c(&label), "");
	assert_int_equal(pb_options_parse(table, &s, "rtn", "damp=0.1,bits=2,sort=no,mode=symmetric", NULL), PB_OK);
	pb_options_label(table, &s, &label);
	assert_string_equal(pb_text_c(&label), "bits=2,damp=0.1,sort=false,mode=symmetric");
	/* A label reads back. */
	struct sample again;
	pb_options_default(table, &again);
	assert_int_equal(pb_options_parse(table, &again, "rtn", pb_text_c(&label), NULL), PB_OK);
	assert_true(again.bits == 2 && again.damp == 0.1 && !again.sort && again.mode == 0);
	pb_text_free(&label);
	v = pb_options_json(empty, NULL);
	assert_int_equal(json_object_size(v), 0);
	json_decref(v);
}

static void checks_tables(void **state)
{
	(void)state;
	static const struct pb_option bad_default[] = { PB_OPT_INT(struct sample, bits, 2, 8, 9, "x"), PB_OPT_END };
	static const struct pb_option fraction[] = { PB_OPT_INT(struct sample, bits, 2, 8, 2.5, "x"), PB_OPT_END };
	static const struct pb_option nan_default[] = { PB_OPT_REAL(struct sample, damp, 0, 1, NAN, "x"), PB_OPT_END };
	static const struct pb_option twice[] = { PB_OPT_BOOL(struct sample, sort, 0, "x"), PB_OPT_BOOL(struct sample, sort, 0, "x"), PB_OPT_END };
	static const struct pb_option bad_choice[] = { PB_OPT_CHOICE(struct sample, mode, modes, "foo", "x"), PB_OPT_END };
	static const struct pb_option no_help[] = { PB_OPT_BOOL(struct sample, sort, 0, NULL), PB_OPT_END };
	static const struct pb_option bad_name[] = { { .name = "a=b", .high = 1, .help = "x" }, PB_OPT_END };
	static const struct pb_option *const bad[] = { bad_default, fraction, nan_default, twice, bad_choice, no_help, bad_name };
	struct pb_error err;
	assert_int_equal(pb_options_check(table, "rtn", &err), PB_OK);
	assert_int_equal(pb_options_check(empty, "rtn", &err), PB_OK);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(pb_options_check(bad[i], "rtn", &err), PB_FAILED);
	assert_string_equal(err.text, "rtn: option name 'a=b' cannot be written on a command line");
}

static void help(void **state)
{
	(void)state;
	struct pb_text t = { 0 };
	pb_options_help(table, "bits", &t);
	assert_string_equal(pb_text_c(&t), "  bits=INT  2..8 (4)  nominal width\n");
	pb_text_clear(&t);
	pb_options_help(table, "nothing", &t);
	assert_string_equal(pb_text_c(&t), "");
	pb_options_help(table, NULL, &t);
	assert_string_equal(pb_text_c(&t),
		"  bits=INT                   2..8 (4)           nominal width\n"
		"  group_size=INT             -1..1048576 (128)  weights that share a scale\n"
		"  damp=REAL                  0..1 (0.01)        share of the mean diagonal\n"
		"  sort=BOOL                  (true)             largest columns first\n"
		"  mode=symmetric|asymmetric  (asymmetric)       zero point\n");
	pb_text_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_and_parsing),
		cmocka_unit_test(messages),
		cmocka_unit_test(texts), cmocka_unit_test(echo),
		cmocka_unit_test(checks_tables),
		cmocka_unit_test(help),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
