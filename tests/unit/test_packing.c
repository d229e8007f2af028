/* Packed indices: runs of every width and length against what went in, and known bytes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rng.h"
#include "core/model/encoded.h"

static void *get_memory(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);
	assert_non_null(p);
	return p;
}

static void packing(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(9, 0);
	static const double bits[PB_WIDTHS] = { 1, 1.6, 2, 3, 4, 5, 6, 8 };
	for (int w = 0; w < PB_WIDTHS; w++)
		for (uint64_t n = 0; n < 90; n++) {
			enum pb_width width = (enum pb_width)w;
			uint64_t bytes = pb_packed_bytes(width, n);
			assert_int_equal(bytes, (uint64_t)ceil((double)n * bits[w] / 8 - 1e-9));
			/* blocks of exactly the size, so that the sanitizer sees a byte read too far */
			uint8_t *codes = get_memory(n, 1), *packed = malloc(bytes ? bytes : 1), *back = malloc(n ? n : 1);
			for (uint64_t i = 0; i < n; i++)
				codes[i] = (uint8_t)pb_rng_below(&r, pb_width_levels(width));
			pb_pack(width, codes, n, packed);
			for (uint64_t first = 0; first <= n; first++) {
				uint64_t count = pb_rng_below(&r, n - first + 1);
				memset(back, 0xee, n ? n : 1);
				pb_unpack(width, packed, first, count, back);
				assert_memory_equal(back, codes + first, count);
				if (count < n)
					assert_int_equal(back[count], 0xee);
			}
			free(codes);
			free(packed);
			free(back);
		}
}

static void packed_layout(void **state)
{
	(void)state;
	uint8_t packed[8];
	pb_pack(PB_W1, (const uint8_t[]){ 1, 0, 0, 1, 0, 0, 0, 0, 1 }, 9, packed);
	assert_memory_equal(packed, ((const uint8_t[]){ 0x09, 0x01 }), 2);
	pb_pack(PB_W_TRIT, (const uint8_t[]){ 2, 1, 0, 1, 2, 2 }, 6, packed); /* 2 + 3 + 27 + 162, 2 */
	assert_memory_equal(packed, ((const uint8_t[]){ 194, 2 }), 2);
	pb_pack(PB_W3, (const uint8_t[]){ 1, 2, 3, 4 }, 4, packed); /* 1 + 2*8 + 3*64 + 4*512 = 2257 = 0x8d1 */
	assert_memory_equal(packed, ((const uint8_t[]){ 0xd1, 0x08 }), 2);
	pb_pack(PB_W4, (const uint8_t[]){ 1, 2, 15 }, 3, packed);
	assert_memory_equal(packed, ((const uint8_t[]){ 0x21, 0x0f }), 2);
	/* bits 16 and 8 one after the other, and 12 bits, low bits first */
	pb_pack_index(12, (const uint32_t[]){ 5, 4095, 2748 }, 3, packed);
	assert_memory_equal(packed, ((const uint8_t[]){ 0x05, 0xf0, 0xff, 0xbc, 0x0a }), 5);
	pb_pack_index(16, (const uint32_t[]){ 1, 65535 }, 2, packed);
	assert_memory_equal(packed, ((const uint8_t[]){ 0x01, 0x00, 0xff, 0xff }), 4);
}

/* VPTQ's checkpoints hold main and residual index of a vector as one field, i1 | i2 << b1, in little-endian words: the same
 * run of bits. */
static void packed_as_in_checkpoints(void **state)
{
	(void)state;
	uint32_t words[3];
	pb_pack_index(24, (const uint32_t[]){ 1 | 2 << 16, 65535 | 255 << 16, 4660 | 171 << 16, 40000 | 7 << 16 }, 4, (uint8_t *)words);
	assert_memory_equal(words, ((const uint32_t[]){ 0xff020001, 0x1234ffff, 0x079c40ab }), 12);
	memset(words, 0, sizeof words); /* the last word is filled with zeros */
	pb_pack_index(12, (const uint32_t[]){ 5, 4095, 2748 }, 3, (uint8_t *)words);
	assert_memory_equal(words, ((const uint32_t[]){ 0xbcfff005, 0x0000000a }), 8);
	memset(words, 0, sizeof words);
	pb_pack_index(24, (const uint32_t[]){ 5 | 1 << 12, 4095 | 2048 << 12, 2748 | 291 << 12 }, 3, (uint8_t *)words);
	assert_memory_equal(words, ((const uint32_t[]){ 0xff001005, 0x3abc800f, 0x00000012 }), 12);
}

static void index_packing(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(10, 0);
	assert_int_equal(pb_index_bits(2), 1);
	assert_int_equal(pb_index_bits(3), 2);
	assert_int_equal(pb_index_bits(256), 8);
	assert_int_equal(pb_index_bits(257), 9);
	assert_int_equal(pb_index_bits(65536), 16);
	for (unsigned bits = 1; bits <= 32; bits++)
		for (uint64_t n = 0; n < 70; n++) {
			uint64_t bytes = pb_index_bytes(bits, n);
			assert_int_equal(bytes, (n * bits + 7) / 8);
			uint8_t *packed = malloc(bytes ? bytes : 1);
			uint32_t index[70], back[70];
			for (uint64_t i = 0; i < n; i++)
				index[i] = (uint32_t)pb_rng_below(&r, 1ull << bits);
			pb_pack_index(bits, index, n, packed);
			for (uint64_t first = 0; first <= n; first++) {
				uint64_t count = pb_rng_below(&r, n - first + 1);
				pb_unpack_index(bits, packed, first, count, back);
				assert_memory_equal(back, index + first, count * sizeof *back);
			}
			free(packed);
		}
}

static void widths(void **state)
{
	(void)state;
	static const struct { unsigned levels; double bits; const char *name; } expected[PB_WIDTHS] = { { 2, 1, "1" },
		{ 3, 1.584962500721156, "1.58" }, { 4, 2, "2" }, { 8, 3, "3" }, { 16, 4, "4" }, { 32, 5, "5" }, { 64, 6, "6" },
		{ 256, 8, "8" } };
	enum pb_width w = PB_WIDTHS;
	for (int i = 0; i < PB_WIDTHS; i++) {
		assert_int_equal(pb_width_levels((enum pb_width)i), expected[i].levels);
		assert_true(fabs(pb_width_bits((enum pb_width)i) - expected[i].bits) < 1e-12);
		assert_string_equal(pb_width_name((enum pb_width)i), expected[i].name);
		assert_true(pb_width_for_levels(expected[i].levels, &w));
		assert_int_equal(w, i);
		if (i + 1 < PB_WIDTHS) {
			assert_true(pb_width_for_levels(expected[i].levels + 1, &w));
			assert_int_equal(w, i + 1);
		}
	}
	assert_true(pb_width_for_levels(1, &w));
	assert_int_equal(w, PB_W1);
	assert_false(pb_width_for_levels(257, &w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packing),
		cmocka_unit_test(packed_layout),
		cmocka_unit_test(packed_as_in_checkpoints),
		cmocka_unit_test(index_packing),
		cmocka_unit_test(widths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
