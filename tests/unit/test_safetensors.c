#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/model/safetensors.h"
#include "tests/unit/scratch.h"

/* 8 + header + zeros; exact: a buffer of just that size, so that the sanitizer sees every byte too many. */
static unsigned char *make_file(const char *header, uint64_t length, size_t data_bytes, size_t *size)
{
	size_t text = strlen(header);
	unsigned char *file;
	*size = 8 + text + data_bytes;
	file = calloc(1, *size);
	assert_non_null(file);
	memcpy(file, &length, 8);
	memcpy(file + 8, header, text);
	return file;
}

static void expect(const char *header, size_t data_bytes, enum pb_status status, const char *words)
{
	struct pb_safetensors *st = NULL;
	struct pb_error err = { 0 };
	size_t size;
	unsigned char *file = make_file(header, strlen(header), data_bytes, &size);
	assert_int_equal(pb_safetensors_parse(&st, "x.safetensors", file, size, &err), status);
	if (status) {
		assert_null(st);
		if (!strstr(err.text, words) || strncmp(err.text, "x.safetensors:", 14))
			fail_msg("'%s' does not say '%s'", err.text, words);
	}
	pb_safetensors_close(st);
	free(file);
}

#define F32_2X3 "\"dtype\":\"F32\",\"shape\":[2,3]"

static void test_good(void **state)
{
	(void)state;
	struct pb_safetensors *st = NULL;
	size_t size;
	const char *header = "{\"b\":{" F32_2X3 ",\"data_offsets\":[0,24]},\"__metadata__\":{\"k\":\"v\"},"
		"\"empty\":{\"dtype\":\"U8\",\"shape\":[4,0],\"data_offsets\":[24,24]},"
		"\"a\":{\"dtype\":\"I16\",\"shape\":[],\"data_offsets\":[24,26]}}   ";
	unsigned char *file = make_file(header, strlen(header), 26, &size);
	assert_int_equal(pb_safetensors_parse(&st, "x", file, size, NULL), PB_OK);
	assert_int_equal(pb_safetensors_count(st), 3);
	assert_string_equal(pb_safetensors_name(st, 0), "b");
	assert_string_equal(pb_safetensors_name(st, 1), "empty");
	assert_string_equal(pb_safetensors_name(st, 2), "a");
	const struct pb_tensor *b = pb_safetensors_find(st, "b");
	assert_non_null(b);
	assert_int_equal(b->dtype, PB_F32);
	assert_int_equal(b->n_dims, 2);
	assert_int_equal(b->shape[0], 2);
	assert_int_equal(b->shape[1], 3);
	assert_int_equal(b->bytes, 24);
	assert_ptr_equal(b->data, file + 8 + strlen(header));
	assert_ptr_equal(pb_safetensors_find(st, "a")->data, file + size - 2);
	assert_null(pb_safetensors_find(st, "c"));
	assert_null(pb_safetensors_find(st, "__metadata__"));
	assert_string_equal(pb_safetensors_metadata(st, "k"), "v");
	assert_null(pb_safetensors_metadata(st, "l"));
	assert_int_equal(pb_safetensors_data_bytes(st), 26);
	assert_int_equal(pb_safetensors_header_bytes(st), 8 + strlen(header));
	pb_safetensors_close(st);
	free(file);
	expect("{}", 0, PB_OK, NULL);
}

static void test_header_length(void **state)
{
	(void)state;
	static const struct {
		uint64_t length;
		const char *words;
	} cases[] = {
		{ UINT64_C(1) << 60, "over the limit" }, { UINT64_MAX, "over the limit" }, { 100000001, "over the limit" },
		{ 100000000, "truncated" }, { 3, "truncated" }, { 0, "does not begin with {" }, { 1, "x:1" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pb_safetensors *st = NULL;
		struct pb_error err = { 0 };
		size_t size;
		unsigned char *file = make_file("{}", cases[i].length, 0, &size);
		assert_int_equal(pb_safetensors_parse(&st, "x", file, size, &err), PB_FORMAT);
		if (!strstr(err.text, cases[i].words))
			fail_msg("length %llu: '%s'", (unsigned long long)cases[i].length, err.text);
		for (size_t n = 0; n < 8; n++)
			assert_int_equal(pb_safetensors_parse(&st, "x", file, n, &err), PB_FORMAT);
		assert_non_null(strstr(err.text, "truncated"));
		assert_null(st);
		free(file);
	}
}

static void test_lies(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		size_t data;
		enum pb_status status;
		const char *words;
	} cases[] = {
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[0,24]}}", 23, PB_FORMAT, "truncated: header asks for 89 bytes, the file has 88" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[0,24]}}", 25, PB_FORMAT, "1 bytes after the last tensor" },
		{ "{}", 1, PB_FORMAT, "1 bytes after the last tensor" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[0,20]}}", 20, PB_FORMAT, "tensor a: shape and dtype need 24 bytes, data_offsets give 20" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[8,32]}}", 32, PB_FORMAT, "hole of 8 bytes" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[24,0]}}", 24, PB_FORMAT, "end before they begin" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[0,24]},\"b\":{" F32_2X3 ",\"data_offsets\":[0,24]}}", 24, PB_FORMAT, "tensor b: begins at 0, inside" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[0,24]},\"b\":{" F32_2X3 ",\"data_offsets\":[20,44]}}", 44, PB_FORMAT, "tensor b: begins at 20, inside" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[0,24]},\"b\":{" F32_2X3 ",\"data_offsets\":[28,52]}}", 52, PB_FORMAT, "tensor b: begins at 28, a hole of 4" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[0,24]},\"a\":{" F32_2X3 ",\"data_offsets\":[24,48]}}", 48, PB_FORMAT, "duplicate" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[-24,0]}}", 24, PB_FORMAT, "not two unsigned integers" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[0.0,24.0]}}", 24, PB_FORMAT, "not two unsigned integers" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[0,24,24]}}", 24, PB_FORMAT, "not two unsigned integers" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[0,18446744073709551616]}}", 24, PB_FORMAT, "" },
		{ "{\"a\":{" F32_2X3 "}}", 24, PB_FORMAT, "not an object of dtype" },
		{ "{\"a\":{" F32_2X3 ",\"data_offsets\":[0,24],\"more\":1}}", 24, PB_FORMAT, "not an object of dtype" },
		{ "{\"a\":[]}", 0, PB_FORMAT, "not an object of dtype" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, PB_FORMAT, "the shape overflows" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0, PB_FORMAT, "the shape overflows" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, PB_FORMAT, "dimension 0 of the shape" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,true],\"data_offsets\":[0,4]}}", 4, PB_FORMAT, "dimension 1 of the shape" },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, PB_UNSUPPORTED, "9 dimensions" },
		{ "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, PB_UNSUPPORTED, "dtype F8_E4M3" },
		{ "{\"a\":{\"dtype\":\"F32\\u0000\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, PB_FORMAT, "" },
		{ "{\"a\":{\"dtype\":\"F\\n2\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, PB_FORMAT, "dtype is no name" },
		{ "{\"a\\nb\":{" F32_2X3 ",\"data_offsets\":[0,24]}}", 24, PB_FORMAT, "control characters" },
		{ "{\"\":{" F32_2X3 ",\"data_offsets\":[0,24]}}", 24, PB_FORMAT, "is empty" },
		{ "{\"__metadata__\":{\"k\":1}}", 0, PB_FORMAT, "__metadata__" },
		{ "{\"__metadata__\":[]}", 0, PB_FORMAT, "__metadata__ is not an object" },
		{ " {}", 0, PB_FORMAT, "does not begin with {" },
		{ "[]", 0, PB_FORMAT, "does not begin with {" },
		{ "{} {}", 0, PB_FORMAT, "" },
		{ "{\"a\":", 0, PB_FORMAT, "" },
		{ "{\"\xff\":1}", 0, PB_FORMAT, "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect(cases[i].header, cases[i].data, cases[i].status, cases[i].words);
}

static char *read_whole(const char *path, size_t *size)
{
	char *data = NULL;
	assert_int_equal(pb_file_read(path, 1 << 20, &data, size, NULL), PB_OK);
	return data;
}

static void test_round_trip(void **state)
{
	(void)state;
	const char *path = scratch_path("x.safetensors");
	static const float f[6] = { 1, 2, 3, 4, 5, 6 };
	static const uint16_t h[3] = { 7, 8, 9 };
	static const uint8_t u[5] = { 1, 2, 3, 4, 5 };
	static const uint64_t l[1] = { 77 };
	struct pb_named_tensor list[] = {
		{ "z.u8", { PB_U8, 1, { 5 }, u, 5 } },
		{ "b.f32", { PB_F32, 2, { 2, 3 }, f, 24 } },
		{ "a.f32", { PB_F32, 1, { 6 }, f, 24 } },
		{ "m.bf16", { PB_BF16, 1, { 3 }, h, 6 } },
		{ "q.u64", { PB_U64, 0, { 0 }, l, 8 } },
		{ "none", { PB_I32, 2, { 0, 9 }, NULL, 0 } },
		{ "quote \"\xc3\xa9\"", { PB_BOOL, 1, { 2 }, u, 2 } },
	};
	static const char *const metadata[] = { "format", "pt", "note", "\"quoted\"", NULL };
	size_t n = sizeof list / sizeof *list;
	assert_int_equal(pb_safetensors_write(path, list, n, metadata, NULL), PB_OK);
	size_t size, size2;
	char *first = read_whole(path, &size);

	struct pb_safetensors *st = NULL;
	assert_int_equal(pb_safetensors_open(&st, path, NULL), PB_OK);
	assert_int_equal(pb_safetensors_header_bytes(st) % 8, 0);
	assert_int_equal(pb_safetensors_data_bytes(st), 5 + 24 + 24 + 6 + 8 + 2);
	assert_int_equal(pb_safetensors_header_bytes(st) + pb_safetensors_data_bytes(st), size);
	static const char *const order[] = { "q.u64", "a.f32", "b.f32", "none", "m.bf16", "quote \"\xc3\xa9\"", "z.u8" };
	assert_int_equal(pb_safetensors_count(st), n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(pb_safetensors_name(st, i), order[i]);
	for (size_t i = 0; i < n; i++) {
		const struct pb_tensor *t = pb_safetensors_find(st, list[i].name), *w = &list[i].tensor;
		assert_non_null(t);
		assert_int_equal(t->dtype, w->dtype);
		assert_int_equal(t->n_dims, w->n_dims);
		assert_int_equal(t->bytes, w->bytes);
		assert_memory_equal(t->shape, w->shape, w->n_dims * sizeof *t->shape);
		if (w->bytes)
			assert_memory_equal(t->data, w->data, w->bytes);
		assert_int_equal((uintptr_t)t->data % pb_dtype_bytes(t->dtype), 0);
	}
	assert_string_equal(pb_safetensors_metadata(st, "note"), "\"quoted\"");

	/* the order in which tensors are given does not matter */
	struct pb_named_tensor back[sizeof list / sizeof *list];
	for (size_t i = 0; i < n; i++)
		back[i] = list[n - 1 - i];
	assert_int_equal(pb_safetensors_write(path, back, n, metadata, NULL), PB_OK);
	char *second = read_whole(path, &size2);
	assert_int_equal(size, size2);
	assert_memory_equal(first, second, size);
	/* the open file is still the old one */
	assert_memory_equal(pb_safetensors_find(st, "b.f32")->data, f, 24);
	pb_safetensors_close(st);
	pb_free(first);
	pb_free(second);
	scratch_remove();
}

/* Tensors given one after the other, in the order of the list. */
static void test_one_after_the_other(void **state)
{
	(void)state;
	const char *path = scratch_path("x.safetensors");
	static const float f[4] = { 1, 2, 3, 4 };
	static const uint16_t h[2] = { 7, 8 };
	const struct pb_named_tensor list[] = {
		{ "z", { PB_F32, 1, { 3 }, NULL, 12 } },
		{ "a", { PB_U16, 1, { 2 }, NULL, 4 } },
		{ "b", { PB_F32, 1, { 1 }, NULL, 4 } },
	};
	const void *const data[] = { f, h, f + 3 };
	struct pb_error err;
	for (unsigned given = 0; given <= 3; given++) {
		struct pb_safetensors_writer *w = NULL;
		assert_int_equal(pb_safetensors_writer_open(&w, path, list, 3, NULL, NULL), PB_OK);
		for (unsigned i = 0; i < given; i++)
			assert_int_equal(pb_safetensors_writer_put(w, data[i], NULL), PB_OK);
		if (given == 3)
			assert_int_equal(pb_safetensors_writer_put(w, f, &err), PB_FAILED);
		if (given == 1) {
			pb_safetensors_writer_abort(w);
		} else {
			assert_int_equal(pb_safetensors_writer_commit(w, &err), given == 3 ? PB_OK : PB_FAILED);
		}
		assert_int_equal(scratch_count(), given == 3);
	}
	struct pb_safetensors *st = NULL;
	assert_int_equal(pb_safetensors_open(&st, path, NULL), PB_OK);
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(pb_safetensors_name(st, i), list[i].name);
		assert_memory_equal(pb_safetensors_tensor(st, i)->data, data[i], list[i].tensor.bytes);
	}
	pb_safetensors_close(st);
	scratch_remove();
}

static void test_write_refuses(void **state)
{
	(void)state;
	const char *path = scratch_path("x.safetensors");
	static const uint8_t u[8];
	static const struct {
		struct pb_named_tensor list[2];
		const char *words;
	} cases[] = {
		{ { { "a", { PB_U8, 1, { 8 }, u, 8 } }, { "a", { PB_U16, 1, { 4 }, u, 8 } } }, "tensor a is there twice" },
		{ { { "a", { PB_U8, 1, { 8 }, u, 8 } }, { "b", { PB_U16, 1, { 8 }, u, 8 } } }, "tensor b: has 8 bytes" },
		{ { { "a", { PB_U8, 1, { 8 }, u, 8 } }, { "", { PB_U8, 1, { 8 }, u, 8 } } }, "name" },
		{ { { "a", { PB_U8, 1, { 8 }, u, 8 } }, { "\xff", { PB_U8, 1, { 8 }, u, 8 } } }, "name" },
		{ { { "a", { PB_U8, 1, { 8 }, u, 8 } }, { "__metadata__", { PB_U8, 1, { 8 }, u, 8 } } }, "name" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pb_error err = { 0 };
		assert_int_equal(pb_safetensors_write(path, cases[i].list, 2, NULL, &err), PB_FORMAT);
		if (!strstr(err.text, cases[i].words))
			fail_msg("'%s' does not say '%s'", err.text, cases[i].words);
		assert_false(pb_file_exists(path));
	}
	assert_int_equal(pb_safetensors_write(path, NULL, 0, NULL, NULL), PB_OK);
	struct pb_safetensors *st = NULL;
	assert_int_equal(pb_safetensors_open(&st, path, NULL), PB_OK);
	assert_int_equal(pb_safetensors_count(st), 0);
	pb_safetensors_close(st);
	struct pb_error err = { 0 };
	path = scratch_path("absent.safetensors");
	st = NULL;
	assert_int_not_equal(pb_safetensors_open(&st, path, &err), PB_OK);
	assert_non_null(strstr(err.text, "absent.safetensors"));
	scratch_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_header_length),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_write_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
