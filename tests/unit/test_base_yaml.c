#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/base/yaml.h"
#include "tests/unit/scratch.h"

static struct pb_yaml_file *parse(const char *text)
{
	struct pb_yaml_file *f = NULL;
	struct pb_error err = { 0 };
	if (pb_yaml_parse(&f, "t.yaml", text, strlen(text), &err) != PB_OK)
		fail_msg("%s", err.text);
	return f;
}

static void refused_bytes(const char *text, size_t n, enum pb_status expected, const char *message)
{
	struct pb_yaml_file *f = (struct pb_yaml_file *)&f;
	struct pb_error err = { 0 };
	if (pb_yaml_parse(&f, "t.yaml", text, n, &err) != expected)
		fail_msg("not refused: %s", text);
	assert_ptr_equal(f, &f);
	if (message[strlen(message) - 1] == '*')
		assert_memory_equal(err.text, message, strlen(message) - 1);
	else
		assert_string_equal(err.text, message);
}

static void refused(const char *text, const char *message)
{
	refused_bytes(text, strlen(text), PB_USAGE, message);
}

static void byte_order_mark(void **state)
{
	(void)state;
	struct pb_yaml_file *f = parse("\xEF\xBB\xBF- id: 1\n  name: a\n- id: 2\n");
	const struct pb_yaml *root = pb_yaml_root(f);
	assert_int_equal(root->n, 2);
	assert_int_equal(root->values[0]->column, 3);
	assert_int_equal(root->values[0]->n, 2);
	pb_yaml_free(f);
}

static void a_tree_with_places(void **state)
{
	(void)state;
	struct pb_yaml_file *f = parse("# sweep\nname: quick\nmodels: [a, {path: x y, n: 1.58}]\nq:\n  - rtn: {bits: [2, 3]}\n  - 'no'\nempty:\ntext: |\n  one\n  two\nü: \"\\u00e9\"\n");
	const struct pb_yaml *root = pb_yaml_root(f);
	assert_int_equal(root->kind, PB_YAML_MAP);
	assert_int_equal(root->n, 6);
	assert_int_equal(root->line, 2);
	assert_string_equal(root->file, "t.yaml");
	assert_string_equal(pb_yaml_get(root, "name")->text, "quick");
	const struct pb_yaml *models = pb_yaml_get(root, "models");
	assert_int_equal(models->kind, PB_YAML_LIST);
	assert_int_equal(models->n, 2);
	const struct pb_yaml *path = pb_yaml_get(models->values[1], "path");
	assert_string_equal(path->text, "x y");
	assert_int_equal(path->line, 3);
	assert_int_equal(path->column, 20);
	assert_int_equal(models->values[1]->key_nodes[1]->column, 25);
	assert_string_equal(models->values[1]->keys[1], "n");
	const struct pb_yaml *q = pb_yaml_get(root, "q");
	assert_string_equal(pb_yaml_get(pb_yaml_get(q->values[0], "rtn"), "bits")->values[1]->text, "3");
	assert_true(q->values[1]->quoted);
	assert_false(path->quoted);
	assert_string_equal(pb_yaml_get(root, "empty")->text, "");
	assert_string_equal(pb_yaml_get(root, "text")->text, "one\ntwo\n");
	assert_string_equal(pb_yaml_get(root, "ü")->text, "é");
	assert_null(pb_yaml_get(root, "none"));
	assert_null(pb_yaml_get(q, "name"));
	assert_null(pb_yaml_get(NULL, "name"));
	pb_yaml_free(f);
	pb_yaml_free(NULL);
}

static void nothing_is_an_empty_map(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "\n\n", "# only a comment\n", "---\n", "--- \n...\n", "%YAML 1.1\n---\n", "\xEF\xBB\xBF" };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct pb_yaml_file *f = parse(texts[i]);
		assert_int_equal(pb_yaml_root(f)->kind, PB_YAML_MAP);
		assert_int_equal(pb_yaml_root(f)->n, 0);
		assert_int_equal(pb_yaml_root(f)->line, 1);
		pb_yaml_free(f);
	}
	struct pb_yaml_file *f = parse("\"\"");
	assert_int_equal(pb_yaml_root(f)->kind, PB_YAML_SCALAR);
	pb_yaml_free(f);
	f = parse("\xEF\xBB\xBF" "a: 1");
	assert_string_equal(pb_yaml_get(pb_yaml_root(f), "a")->text, "1");
	pb_yaml_free(f);
}

static void refuses_what_we_do_not_take(void **state)
{
	(void)state;
	refused("a: 1\nb: 2\na: 3\n", "t.yaml:3:1: key 'a' is there already, in line 1");
	refused("m: {x: 1, y: 2, 'x': 3, y: 4}", "t.yaml:1:17: key 'x' is there already, in line 1");
	refused("a: &x 1", "t.yaml:1:4: anchors are not supported");
	refused("a: &x [1]", "t.yaml:1:4: anchors are not supported");
	refused("a: &x {b: 1}", "t.yaml:1:4: anchors are not supported");
	refused("a: *x", "t.yaml:1:4: aliases are not supported");
	refused("a: !!int 1", "t.yaml:1:4: tags are not supported");
	refused("a: ! 1", "t.yaml:1:4: tags are not supported");
	refused("a: !x [1]", "t.yaml:1:4: tags are not supported");
	refused("%TAG ! tag:x,2000:\n---\na: 1", "t.yaml:1:1: tags are not supported");
	refused("a: 1\n<<: {b: 2}", "t.yaml:2:1: merge keys are not supported");
	refused("[a]: 1", "t.yaml:1:1: a key must be a plain word");
	refused("? {a: b}\n: 1", "t.yaml:1:3: a key must be a plain word");
	refused("a: 1\n---\nb: 2\n", "t.yaml:2:1: a second document: a file holds one");
	refused("---\n---\n", "t.yaml:2:1: a second document: a file holds one");
	refused("a: \"x\\0y\"", "t.yaml:1:4: a NUL character in a text");
	refused("a: b: c", "t.yaml:1:5: mapping values are not allowed in this context");
	refused("a: [1, 2", "t.yaml:*");
	refused("a: 'x", "t.yaml:*");
	refused("\tb: 1", "t.yaml:1:1: *");
	refused("x: 1\nab: \xff\n", "t.yaml:2:5: *");
	refused("x: \xED\xA0\x80", "t.yaml:1:4: *");
	refused("x: \x01", "t.yaml:1:4: *");
	refused_bytes("a: b\0c", 6, PB_USAGE, "t.yaml:1:5: *");
	refused_bytes("\xFF\xFE" "a\0", 4, PB_USAGE, "t.yaml:1:1: *");
}

static void depth(void **state)
{
	(void)state;
	char text[256];
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	text[128] = '\0';
	pb_yaml_free(parse(text));
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	text[130] = '\0';
	refused_bytes(text, 130, PB_LIMIT, "t.yaml:1:65: more than 64 levels");
	static char many[100000];
	memset(many, '[', sizeof many);
	refused_bytes(many, sizeof many, PB_LIMIT, "t.yaml:1:65: more than 64 levels");
	memset(many, '{', sizeof many);
	refused_bytes(many, sizeof many, PB_LIMIT, "t.yaml:1:65: more than 64 levels");
}

static void counts(void **state)
{
	(void)state;
	struct pb_text t = { 0 };
	/* The list is a value, too. */
	for (int i = 0; i < 99999; i++)
		pb_text_string(&t, "- a\n");
	pb_yaml_free(parse(pb_text_c(&t)));
	pb_text_string(&t, "- a\n");
	refused_bytes(pb_text_c(&t), t.length, PB_LIMIT, "t.yaml:100000:3: more than 100000 values");
	/* As many keys as may be, the last a duplicate of one in the middle. */
	pb_text_clear(&t);
	for (int i = 0; i < 49998; i++)
		pb_text_printf(&t, "k%d: 1\n", i);
	pb_yaml_free(parse(pb_text_c(&t)));
	pb_text_string(&t, "k777: 2\n");
	refused(pb_text_c(&t), "t.yaml:49999:1: key 'k777' is there already, in line 778");
	pb_text_free(&t);
	char *large = calloc(1, (4 << 20) + 1);
	memset(large, '#', (4 << 20) + 1);
	refused_bytes(large, (4 << 20) + 1, PB_LIMIT, "t.yaml: larger than the limit of 4 MiB");
	free(large);
}

static void keys_are_checked(void **state)
{
	(void)state;
	static const char *const allowed[] = { "models", "quantizers", "tasks", NULL };
	static const char *const none[] = { NULL };
	struct pb_error err;
	struct pb_yaml_file *f = parse("models: 1\nquantisers: 2\nzzz: 3\nl: [1]\n");
	const struct pb_yaml *root = pb_yaml_root(f);
	assert_int_equal(pb_yaml_check_keys(root, allowed, &err), PB_USAGE);
	assert_string_equal(err.text, "t.yaml:2:1: unknown key 'quantisers'; did you mean 'quantizers'?");
	assert_int_equal(pb_yaml_check_keys(root, none, &err), PB_USAGE);
	assert_string_equal(err.text, "t.yaml:1:1: unknown key 'models'");
	assert_int_equal(pb_yaml_check_keys(pb_yaml_get(root, "l"), allowed, &err), PB_USAGE);
	assert_string_equal(err.text, "t.yaml:4:4: expected a map of keys and values, found a list");
	pb_yaml_free(f);
	f = parse("tasks: 1\nmodels: 2\n");
	assert_int_equal(pb_yaml_check_keys(pb_yaml_root(f), allowed, &err), PB_OK);
	pb_yaml_free(f);
}

static void typed_values(void **state)
{
	(void)state;
	struct pb_error err;
	struct pb_yaml_file *f = parse("s: a b\ni: 12\nd: 1.58\nt: yes\nn: off\ne:\nq: \"\"\nl: [1]\nm: {a: 1}\nx: 0x10\nh: 1e-7\n");
	const struct pb_yaml *root = pb_yaml_root(f);
#define NODE(key) pb_yaml_get(root, key)
	const char *s;
	int64_t i = 5;
	double d = 5;
	bool b;
	assert_int_equal(pb_yaml_string(NODE("s"), &s, &err), PB_OK);
	assert_string_equal(s, "a b");
	assert_int_equal(pb_yaml_string(NODE("q"), &s, &err), PB_OK);
	assert_string_equal(s, "");
	assert_int_equal(pb_yaml_string(NODE("t"), &s, &err), PB_OK);
	assert_string_equal(s, "yes");
	assert_int_equal(pb_yaml_string(NODE("e"), &s, &err), PB_USAGE);
	assert_string_equal(err.text, "t.yaml:6:3: expected a text, found nothing");
	assert_int_equal(pb_yaml_string(NODE("m"), &s, &err), PB_USAGE);
	assert_string_equal(err.text, "t.yaml:9:4: expected a text, found a map");

	assert_int_equal(pb_yaml_int(NODE("i"), 0, 11, &i, &err), PB_USAGE);
	assert_string_equal(err.text, "t.yaml:2:4: 12 is out of range 0..11");
	assert_int_equal(pb_yaml_int(NODE("d"), 0, 11, &i, &err), PB_USAGE);
	assert_string_equal(err.text, "t.yaml:3:4: expected a whole number, found '1.58'");
	assert_int_equal(pb_yaml_int(NODE("x"), 0, 99, &i, &err), PB_USAGE);
	assert_int_equal(pb_yaml_int(NODE("l"), 0, 99, &i, &err), PB_USAGE);
	assert_int_equal(i, 5);
	assert_int_equal(pb_yaml_int(NODE("i"), 12, 12, &i, &err), PB_OK);
	assert_int_equal(i, 12);

	assert_int_equal(pb_yaml_double(NODE("d"), 2, INFINITY, &d, &err), PB_USAGE);
	assert_string_equal(err.text, "t.yaml:3:4: 1.58 is out of range 2..inf");
	assert_int_equal(pb_yaml_double(NODE("s"), 2, 3, &d, &err), PB_USAGE);
	assert_true(d == 5);
	assert_int_equal(pb_yaml_double(NODE("d"), 1.58, 1.58, &d, &err), PB_OK);
	assert_true(d == 1.58);
	assert_int_equal(pb_yaml_double(NODE("h"), 0, 1, &d, &err), PB_OK);
	assert_true(d == 1e-7);

	assert_int_equal(pb_yaml_bool(NODE("t"), &b, &err), PB_OK);
	assert_true(b);
	assert_int_equal(pb_yaml_bool(NODE("n"), &b, &err), PB_OK);
	assert_false(b);
	assert_int_equal(pb_yaml_bool(NODE("i"), &b, &err), PB_USAGE);
	assert_string_equal(err.text, "t.yaml:2:4: expected true or false, found '12'");
	pb_yaml_free(f);
}

static void reads_files(void **state)
{
	(void)state;
	struct pb_yaml_file *f;
	struct pb_error err;
	char expected[600];
	assert_int_equal(pb_file_write(scratch_path("x.yaml"), "a: 1\na: 2\n", 10, NULL), PB_OK);
	assert_int_equal(pb_yaml_read(&f, scratch_path("x.yaml"), &err), PB_USAGE);
	snprintf(expected, sizeof expected, "%s:2:1: key 'a' is there already, in line 1", scratch_path("x.yaml"));
	assert_string_equal(err.text, expected);
	assert_int_equal(pb_yaml_read(&f, scratch_path("none.yaml"), &err), PB_MISSING);
	assert_int_equal(pb_file_write(scratch_path("x.yaml"), "a: 1\n", 5, NULL), PB_OK);
	assert_int_equal(pb_yaml_read(&f, scratch_path("x.yaml"), &err), PB_OK);
	pb_yaml_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_with_places),
		cmocka_unit_test(byte_order_mark),
		cmocka_unit_test(nothing_is_an_empty_map),
		cmocka_unit_test(refuses_what_we_do_not_take),
		cmocka_unit_test(depth),
		cmocka_unit_test(counts),
		cmocka_unit_test(keys_are_checked),
		cmocka_unit_test(typed_values),
		cmocka_unit_test(reads_files),
	};
	return cmocka_run_group_tests(tests, NULL, scratch_teardown);
}
