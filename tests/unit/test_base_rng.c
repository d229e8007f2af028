/* The generator against the known answers of Random123 (kat_vectors, philox4x32 10), and hashes against FIPS 180-4. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/rng.h"
#include "tests/unit/scratch.h"

static void known_answers(void **state)
{
	(void)state;
	static const struct { uint32_t counter[4], key[2], out[4]; } vectors[] = {
		{ { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
		{ { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff }, { 0xffffffff, 0xffffffff }, { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
		{ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 }, { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
	};
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		uint32_t out[4];
		pb_philox(vectors[i].counter, vectors[i].key, out);
		assert_memory_equal(out, vectors[i].out, sizeof out);
	}
}

static void layout_of_a_stream(void **state)
{
	(void)state;
	/* Seed 0, stream 0 begins with the first vector; 64-bit numbers are low word first. */
	struct pb_rng r = pb_rng_make(0, 0);
	assert_int_equal(pb_rng_u32(&r), 0x6627e8d5);
	assert_int_equal(pb_rng_u32(&r), 0xe169c58d);
	assert_true(pb_rng_u64(&r) == 0x9b00dbd8bc57ac4cu);
	/* Seed, stream and block index are where the header says. */
	r = pb_rng_make(0x299f31d0a4093822u, 0x0370734413198a2eu);
	r.counter[0] = 0x243f6a88;
	r.counter[1] = 0x85a308d3;
	assert_int_equal(pb_rng_u32(&r), 0xd16cfe09);
	/* The index carries into its second word. */
	r = pb_rng_make(1, 2);
	r.counter[0] = 0xffffffff;
	pb_rng_u32(&r);
	assert_int_equal(r.counter[0], 0);
	assert_int_equal(r.counter[1], 1);
	assert_int_equal(r.counter[2], 2);
}

static void streams_by_name(void **state)
{
	(void)state;
	/* SHA-256("abc") begins ba7816bf 8f01cfea. */
	assert_true(pb_rng_stream("abc") == 0xeacf018fbf1678bau);
	assert_true(pb_rng_stream("") == 0x141cfc9842c4b0e3u);
}

static void uniform(void **state)
{
	(void)state;
	enum { N = 200000, BINS = 20 };
	struct pb_rng r = pb_rng_make(7, 3);
	double counts[BINS] = { 0 }, chi = 0;
	for (int i = 0; i < N; i++) {
		double u = pb_rng_unit(&r);
		assert_true(u >= 0 && u < 1);
		counts[(int)(u * BINS)]++;
	}
	for (int i = 0; i < BINS; i++)
		chi += (counts[i] - N / BINS) * (counts[i] - N / BINS) / (N / BINS);
	assert_true(chi < 43.8); /* 0.1 % of a chi square of 19 */
}

static void below_is_in_range_and_even(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(1, 1);
	unsigned counts[7] = { 0 };
	for (int i = 0; i < 70000; i++)
		counts[pb_rng_below(&r, 7)]++;
	for (int i = 0; i < 7; i++)
		assert_in_range(counts[i], 9600, 10400);
	for (int i = 0; i < 1000; i++) {
		assert_true(pb_rng_below(&r, 1) == 0);
		assert_true(pb_rng_below(&r, UINT64_MAX) < UINT64_MAX);
		assert_true(pb_rng_below(&r, (1ull << 63) + 1) <= 1ull << 63);
	}
}

/* Box-Muller with the C library's log and cos, which are within an ulp of the truth. */
static void normal_is_box_muller(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(11, 5), copy = r;
	double sum = 0, squares = 0, cubes = 0, fourths = 0;
	enum { N = 400000 };
	for (int i = 0; i < N; i++) {
		double x = pb_rng_normal(&r);
		double u = 1.0 - pb_rng_unit(&copy), v = pb_rng_unit(&copy);
		double expected = sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
		if (fabs(x - expected) > 4e-15 * (1 + fabs(expected)))
			fail_msg("%d: %.17g, expected %.17g", i, x, expected);
		sum += x;
		squares += x * x;
		cubes += x * x * x;
		fourths += x * x * x * x;
	}
	assert_true(fabs(sum / N) < 4 / sqrt(N));
	assert_true(fabs(squares / N - 1) < 4 * sqrt(2.0 / N));
	assert_true(fabs(cubes / N) < 4 * sqrt(15.0 / N));
	assert_true(fabs(fourths / N - 3) < 4 * sqrt(96.0 / N));
}

static void normal_at_the_ends(void **state)
{
	(void)state;
	/* A block whose four words are given: unit is 0 (u = 1: the value 0) and its largest (u = 2^-53: the largest value). */
	struct pb_rng r = pb_rng_make(1, 1);
	memset(r.block, 0, sizeof r.block);
	r.used = 0;
	assert_true(pb_rng_normal(&r) == 0);
	r.block[0] = r.block[1] = 0xffffffff;
	r.block[2] = r.block[3] = 0;
	r.used = 0;
	double x = pb_rng_normal(&r), largest = sqrt(2 * 53 * log(2.0));
	assert_true(fabs(x - largest) < 1e-14 * largest);
	/* cos at each eighth of a turn. */
	for (int i = 0; i < 8; i++) {
		r.block[0] = 0;
		r.block[1] = 0x80000000; /* u = 1/2 */
		r.block[2] = 0;
		r.block[3] = (uint32_t)i << 29;
		r.used = 0;
		assert_true(fabs(pb_rng_normal(&r) - sqrt(2 * log(2.0)) * cos(i * acos(-1.0) / 4)) < 1e-15);
	}
}

static void shuffles(void **state)
{
	(void)state;
	uint32_t counts[4][4] = { { 0 } };
	for (uint32_t stream = 0; stream < 24000; stream++) {
		uint32_t items[4] = { 0, 1, 2, 3 };
		struct pb_rng r = pb_rng_make(9, stream);
		pb_rng_shuffle(&r, items, 4);
		uint32_t seen = 0;
		for (int i = 0; i < 4; i++) {
			seen |= 1u << items[i];
			counts[i][items[i]]++;
		}
		assert_int_equal(seen, 15);
	}
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++)
			assert_in_range(counts[i][j], 5700, 6300);
	struct pb_rng r = pb_rng_make(9, 0), before = r;
	pb_rng_shuffle(&r, NULL, 0);
	assert_int_equal(r.used, before.used);
}

static void hashes(void **state)
{
	(void)state;
	char hex[PB_HASH_HEX], other[PB_HASH_HEX];
	pb_hash_of_bytes("", 0, hex);
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	struct pb_hash *h = pb_hash_new();
	pb_hash_bytes(h, "a", 1);
	pb_hash_bytes(h, NULL, 0);
	pb_hash_bytes(h, "bc", 2);
	pb_hash_finish(h, hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	h = pb_hash_new();
	pb_hash_string(h, "a");
	pb_hash_string(h, "bc");
	pb_hash_finish(h, hex);
	h = pb_hash_new();
	pb_hash_string(h, "ab");
	pb_hash_string(h, "c");
	pb_hash_finish(h, other);
	assert_string_not_equal(hex, other);
}

static void hash_of_file(void **state)
{
	(void)state;
	/* FIPS 180-4's third example: a million times the letter a. */
	static char a[1000000];
	char hex[PB_HASH_HEX] = "untouched";
	struct pb_error err;
	memset(a, 'a', sizeof a);
	assert_int_equal(pb_file_write(scratch_path("a"), a, sizeof a, NULL), PB_OK);
	assert_int_equal(pb_hash_of_file(scratch_path("none"), hex, &err), PB_MISSING);
	assert_string_equal(hex, "untouched");
	assert_int_equal(pb_hash_of_file(scratch_folder(), hex, &err), PB_IO);
	assert_int_equal(pb_hash_of_file(scratch_path("a"), hex, &err), PB_OK);
	assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(layout_of_a_stream),
		cmocka_unit_test(streams_by_name),
		cmocka_unit_test(uniform),
		cmocka_unit_test(below_is_in_range_and_even),
		cmocka_unit_test(normal_is_box_muller),
		cmocka_unit_test(normal_at_the_ends),
		cmocka_unit_test(shuffles),
		cmocka_unit_test(hashes),
		cmocka_unit_test(hash_of_file),
	};
	return cmocka_run_group_tests(tests, NULL, scratch_teardown);
}
