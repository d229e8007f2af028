/* Which pages of parts there are, what they are called and which rows they have. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "reports/parts.h"

static struct pb_error err;

static void add(struct pb_rows *rows, const char *quantizer, double wbits)
{
	struct pb_row *r = pb_rows_add(rows, &err);
	assert_non_null(r);
	r->quantizer = quantizer;
	r->wbits = wbits;
	r->family = strcmp(quantizer, "identity") == 0 ? "full precision" : "k-bit";
}

static void methods_and_widths(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_part *parts;
	size_t n;
	struct pb_arena *arena = pb_arena_new();
	pb_rows_init(&rows);
	add(&rows, "identity", 16);
	add(&rows, "rtn", 4);
	add(&rows, "rtn", 1.58);
	assert_int_equal(pb_parts_make(&parts, &n, &rows, arena, &err), PB_OK);
	assert_int_equal(n, 2); /* one method needs no page, two widths do */
	add(&rows, "gptq", 4);
	add(&rows, "gptq", NAN); /* of no width: on the method's page alone */
	add(&rows, "rtn", 1);
	assert_int_equal(pb_parts_make(&parts, &n, &rows, arena, &err), PB_OK);
	static const struct {
		bool is_width;
		const char *name, *file;
		size_t n;
	} wanted[] = {
		{ false, "gptq", "methods/gptq.html", 3 }, { false, "rtn", "methods/rtn.html", 4 }, { true, "1 bit", "bits/1.html", 2 },
		{ true, "1.58 bits", "bits/1.58.html", 2 }, { true, "4 bits", "bits/4.html", 3 },
	};
	assert_int_equal(n, sizeof wanted / sizeof *wanted);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(parts[i].is_width, wanted[i].is_width);
		assert_string_equal(parts[i].name, wanted[i].name);
		assert_string_equal(parts[i].file, wanted[i].file);
		assert_int_equal(parts[i].rows.n, wanted[i].n);
		assert_string_equal(parts[i].rows.rows[0].quantizer, "identity");
	}
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

/* Names of plugins are anybody's: no file leaves its folder, and no two are one. */
static void hostile_names(void **state)
{
	(void)state;
	static char longest[301];
	struct pb_rows rows;
	struct pb_part *parts;
	size_t n;
	struct pb_arena *arena = pb_arena_new();
	memset(longest, 'x', sizeof longest - 1);
	pb_rows_init(&rows);
	add(&rows, "../../etc/passwd", 4);
	add(&rows, "..", 4);
	add(&rows, "a/b", 4);
	add(&rows, "a-b", 4);
	add(&rows, "a b", 4);
	add(&rows, "<script>\n\"'", 4);
	add(&rows, longest, 4);
	assert_int_equal(pb_parts_make(&parts, &n, &rows, arena, &err), PB_OK);
	assert_int_equal(n, 7);
	for (size_t i = 0; i < n; i++) {
		const char *name = parts[i].file + strlen("methods/");
		assert_memory_equal(parts[i].file, "methods/", strlen("methods/"));
		assert_true(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(name) && name[0] != '.' && strlen(name) < 80);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(parts[k].file, parts[i].file);
	}
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(methods_and_widths), cmocka_unit_test(hostile_names) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
