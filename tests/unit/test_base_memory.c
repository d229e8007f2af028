#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/memory.h"

static void refuses_overflow(void **state)
{
	(void)state;
	assert_null(pb_alloc(SIZE_MAX, 2));
	assert_null(pb_alloc(SIZE_MAX / 2 + 2, 2));
	assert_null(pb_alloc_zero(SIZE_MAX / 4, 8));
	assert_null(pb_alloc_aligned(SIZE_MAX, SIZE_MAX));
	assert_null(pb_alloc_aligned(PTRDIFF_MAX, 1));
	char *p = pb_alloc(4, 1);
	assert_non_null(p);
	assert_null(pb_realloc(p, SIZE_MAX / 2, 4));
	memcpy(p, "abc", 4); /* still ours */
	pb_free(p);
	struct pb_arena *arena = pb_arena_new();
	assert_null(pb_arena_alloc(arena, SIZE_MAX / 8, 16));
	assert_null(pb_arena_alloc(arena, PTRDIFF_MAX, 1));
	assert_non_null(pb_arena_alloc(arena, 1, 1));
	pb_arena_free(arena);
}

static void nothing_is_a_valid_pointer(void **state)
{
	(void)state;
	void *p[4] = { pb_alloc(0, 8), pb_alloc_zero(8, 0), pb_alloc_aligned(0, 0), pb_realloc(NULL, 0, 1) };
	for (int i = 0; i < 4; i++) {
		assert_non_null(p[i]);
		pb_free(p[i]);
	}
	p[0] = pb_realloc(pb_alloc(10, 1), 0, 1);
	assert_non_null(p[0]);
	pb_free(p[0]);
	pb_free(NULL);
	pb_arena_free(NULL);
}

static void aligned_and_cleared(void **state)
{
	(void)state;
	for (size_t n = 1; n < 300; n += 7) {
		unsigned char *a = pb_alloc_aligned(n, 1), *z = pb_alloc_zero(n, 3);
		assert_int_equal((uintptr_t)a % 64, 0);
		for (size_t i = 0; i < 3 * n; i++)
			assert_int_equal(z[i], 0);
		memset(a, 1, n);
		pb_free(a);
		pb_free(z);
	}
}

static void copies_of_strings(void **state)
{
	(void)state;
	char *a = pb_strdup("hello"), *b = pb_strndup("hello", 3), *c = pb_strndup("hi", 10);
	assert_string_equal(a, "hello");
	assert_string_equal(b, "hel");
	assert_string_equal(c, "hi");
	pb_free(a);
	pb_free(b);
	pb_free(c);
}

/* Small, large and odd requests in a mix: each piece is cleared, aligned, and keeps what is written into it. */
static void arena_pieces_do_not_overlap(void **state)
{
	(void)state;
	enum { N = 3000 };
	static unsigned char *pieces[N];
	static size_t sizes[N];
	struct pb_arena *arena = pb_arena_new();
	uint32_t x = 12345;
	for (size_t i = 0; i < N; i++) {
		x = x * 1664525u + 1013904223u;
		sizes[i] = x >> 24 == 7 ? 100000 + (x & 0xFFFF) : (x >> 8) % 700;
		pieces[i] = pb_arena_alloc(arena, sizes[i], 1);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % 16, 0);
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(pieces[i][j], 0);
		memset(pieces[i], (int)(i % 251 + 1), sizes[i]);
	}
	for (size_t i = 0; i < N; i++)
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(pieces[i][j], i % 251 + 1);
	pb_arena_free(arena);
}

static void arena_strings(void **state)
{
	(void)state;
	struct pb_arena *arena = pb_arena_new();
	assert_string_equal(pb_arena_strdup(arena, "abc"), "abc");
	assert_string_equal(pb_arena_strndup(arena, "abc", 2), "ab");
	assert_string_equal(pb_arena_printf(arena, "%d-%s", 7, "x"), "7-x");
	assert_int_equal(strlen(pb_arena_printf(arena, "%*s", 200000, "x")), 200000);
	pb_arena_free(arena);
}

static void out_of_memory_is_a_sentence(void **state)
{
	(void)state;
	struct pb_error err;
	assert_int_equal(pb_out_of_memory(&err, "token table"), PB_MEMORY);
	assert_string_equal(err.text, "token table: out of memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_overflow),
		cmocka_unit_test(nothing_is_a_valid_pointer),
		cmocka_unit_test(aligned_and_cleared),
		cmocka_unit_test(copies_of_strings),
		cmocka_unit_test(arena_pieces_do_not_overlap),
		cmocka_unit_test(arena_strings),
		cmocka_unit_test(out_of_memory_is_a_sentence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
