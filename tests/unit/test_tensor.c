/* Number formats. The oracles here are written from the definition of the formats in double arithmetic
 * (frexp, ldexp, nearbyint), not from the bit tricks of the implementation. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rng.h"
#include "core/model/tensor.h"

static float float_of(uint32_t u)
{
	float f;
	memcpy(&f, &u, sizeof f);
	return f;
}

static uint32_t bits_of(float f)
{
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	return u;
}

/* Value of a small float with `fraction` mantissa bits and `width` exponent bits. */
static double small_value(uint16_t h, int width, int fraction)
{
	int bias = (1 << (width - 1)) - 1, e = h >> fraction & ((1 << width) - 1), m = h & ((1 << fraction) - 1);
	double sign = h >> (width + fraction) & 1 ? -1.0 : 1.0;
	if (e == (1 << width) - 1)
		return m ? NAN : sign * INFINITY;
	if (e == 0)
		return sign * ldexp(m, 1 - bias - fraction);
	return sign * ldexp((1 << fraction) + m, e - bias - fraction);
}

/* Nearest value of the format, ties to even, by the unit in the last place at x. */
static double small_round(double x, int width, int fraction)
{
	int bias = (1 << (width - 1)) - 1, e;
	double largest = ldexp((1 << (fraction + 1)) - 1, bias - fraction);
	if (x == 0 || !isfinite(x))
		return x;
	frexp(x, &e); /* |x| in [2^(e-1), 2^e) */
	int lowest = 1 - bias;
	int ulp = (e - 1 < lowest ? lowest : e - 1) - fraction;
	double y = ldexp(nearbyint(ldexp(x, -ulp)), ulp);
	return fabs(y) > largest ? copysign(INFINITY, x) : y;
}

static void all_f16_round_trip(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 65536; h++) {
		float f = pb_f16_to_f32((uint16_t)h);
		double expected = small_value((uint16_t)h, 5, 10);
		if (isnan(expected)) {
			assert_true(isnan(f));
			assert_true(isnan(pb_f16_to_f32(pb_f32_to_f16(f))));
		} else {
			assert_true((double)f == expected && !signbit(f) == !signbit(expected));
			assert_int_equal(pb_f32_to_f16(f), h);
		}
	}
}

static void all_bf16_round_trip(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 65536; h++) {
		float f = pb_bf16_to_f32((uint16_t)h);
		double expected = small_value((uint16_t)h, 8, 7);
		if (isnan(expected)) {
			assert_true(isnan(f));
			assert_true(isnan(pb_bf16_to_f32(pb_f32_to_bf16(f))));
		} else {
			assert_true((double)f == expected && !signbit(f) == !signbit(expected));
			assert_int_equal(pb_f32_to_bf16(f), h);
		}
	}
}

static void expect_rounding(float x)
{
	double f16 = small_round(x, 5, 10), bf16 = small_round(x, 8, 7);
	float got16 = pb_f16_to_f32(pb_f32_to_f16(x)), gotb = pb_bf16_to_f32(pb_f32_to_bf16(x));
	if (!((double)got16 == f16 && !signbit(got16) == !signbit(x)))
		fail_msg("f16 of %a is %a, expected %a", (double)x, (double)got16, f16);
	if (!((double)gotb == bf16 && !signbit(gotb) == !signbit(x)))
		fail_msg("bf16 of %a is %a, expected %a", (double)x, (double)gotb, bf16);
}

/* Between each two neighbouring values: the tie, and the f32 next to it on both sides. */
static void rounding_between_neighbours(void **state)
{
	(void)state;
	for (uint32_t h = 0; h < 0x7c00; h++) {
		double next = h == 0x7bff ? 65536.0 : small_value((uint16_t)(h + 1), 5, 10);
		float tie = (float)((small_value((uint16_t)h, 5, 10) + next) / 2);
		for (int sign = -1; sign <= 1; sign += 2) {
			expect_rounding((float)sign * tie);
			expect_rounding((float)sign * nextafterf(tie, INFINITY));
			expect_rounding((float)sign * nextafterf(tie, 0.0f));
		}
	}
	for (uint32_t h = 0; h < 0x7f80; h++) {
		uint32_t tie = h << 16 | 0x8000;
		for (uint32_t sign = 0; sign < 2; sign++)
			for (int d = -1; d <= 1; d++)
				expect_rounding(float_of((sign << 31) | (tie + (uint32_t)d)));
	}
}

static void rounding_of_random_bits(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(1, 0);
	for (int i = 0; i < 200000; i++) {
		float x = float_of(pb_rng_u32(&r));
		if (!isnan(x))
			expect_rounding(x);
	}
}

static void named_cases(void **state)
{
	(void)state;
	assert_int_equal(pb_f32_to_f16(65504.0f), 0x7bff);
	assert_int_equal(pb_f32_to_f16(65519.996f), 0x7bff);
	assert_int_equal(pb_f32_to_f16(65520.0f), 0x7c00);
	assert_int_equal(pb_f32_to_f16(-1e30f), 0xfc00);
	assert_int_equal(pb_f32_to_f16(0x1p-24f), 0x0001);
	assert_int_equal(pb_f32_to_f16(0x1p-25f), 0x0000);
	assert_int_equal(pb_f32_to_f16(-0x1.000002p-25f), 0x8001);
	assert_int_equal(pb_f32_to_f16(0x1.ffcp-15f), 0x0400); /* rounds up from the subnormals */
	assert_int_equal(pb_f32_to_bf16(1.00390625f), 0x3f80); /* 1 + 2^-8: tie to even */
	assert_int_equal(pb_f32_to_bf16(1.01171875f), 0x3f82); /* 1 + 3 * 2^-8 */
	assert_int_equal(pb_f32_to_bf16(3.4e38f), 0x7f80);     /* above the largest bf16's upper half */
	/* a NaN whose mantissa bits are all in the part that is cut stays a NaN */
	assert_true(isnan(pb_f16_to_f32(pb_f32_to_f16(float_of(0x7f800001)))));
	assert_true(isnan(pb_bf16_to_f32(pb_f32_to_bf16(float_of(0xff800001)))));
	assert_int_equal(bits_of(pb_f16_to_f32(0x8000)), 0x80000000);
}

static void reads_unaligned_data(void **state)
{
	(void)state;
	unsigned char buffer[1 + 5 * 8];
	const float values[5] = { 1.0f, -0.5f, 3.140625f, 0.0f, -65504.0f };
	static const enum pb_dtype dtypes[] = { PB_F32, PB_F16, PB_BF16 };
	for (size_t d = 0; d < 3; d++) {
		float out[5] = { 0 };
		pb_float_write(dtypes[d], values, 5, buffer + 1);
		pb_float_read(dtypes[d], buffer + 1, 0, 5, out);
		for (int i = 0; i < 5; i++) {
			float expected = dtypes[d] == PB_BF16 && i == 4 ? -65536.0f : values[i];
			assert_true(out[i] == expected);
			assert_true(pb_float_at(dtypes[d], buffer + 1, (uint64_t)i) == expected);
		}
		pb_float_read(dtypes[d], buffer + 1, 2, 2, out);
		assert_true(out[0] == values[2] && out[1] == values[3]);
	}
	double doubles[2] = { 0.1, 1e300 };
	memcpy(buffer + 1, doubles, sizeof doubles);
	assert_true(pb_float_at(PB_F64, buffer + 1, 0) == 0.1f);
	assert_true(isinf(pb_float_at(PB_F64, buffer + 1, 1)));
}

static void dtype_names(void **state)
{
	(void)state;
	static const struct { const char *name; size_t bytes; } expected[PB_DTYPES] = {
		{ "F32", 4 }, { "F16", 2 }, { "BF16", 2 }, { "F64", 8 }, { "U8", 1 },
		{ "I8", 1 }, { "U16", 2 }, { "I16", 2 }, { "U32", 4 }, { "I32", 4 },
		{ "U64", 8 }, { "I64", 8 }, { "BOOL", 1 },
	};
	for (int d = 0; d < PB_DTYPES; d++) {
		enum pb_dtype back = PB_DTYPES;
		assert_string_equal(pb_dtype_name((enum pb_dtype)d), expected[d].name);
		assert_int_equal(pb_dtype_bytes((enum pb_dtype)d), expected[d].bytes);
		assert_true(pb_dtype_parse(expected[d].name, &back));
		assert_int_equal(back, d);
	}
	enum pb_dtype untouched = PB_I16;
	assert_false(pb_dtype_parse("f32", &untouched));
	assert_false(pb_dtype_parse("F8_E4M3", &untouched));
	assert_int_equal(untouched, PB_I16);
}

static void counts(void **state)
{
	(void)state;
	struct pb_tensor t = { .n_dims = 0 };
	uint64_t n = 7;
	assert_true(pb_tensor_count(&t, &n));
	assert_int_equal(n, 1);
	t = (struct pb_tensor){ .n_dims = 3, .shape = { 3, 5, 7 } };
	assert_true(pb_tensor_count(&t, &n));
	assert_int_equal(n, 105);
	t = (struct pb_tensor){ .n_dims = 3, .shape = { 1ull << 40, 1ull << 40, 0 } };
	assert_true(pb_tensor_count(&t, &n));
	assert_int_equal(n, 0);
	t = (struct pb_tensor){ .n_dims = 2, .shape = { 1ull << 32, 1ull << 32 } };
	assert_false(pb_tensor_count(&t, &n));

	const float values[6] = { 1.0f, NAN, INFINITY, -INFINITY, 0.0f, 3.4e38f };
	assert_int_equal(pb_count_not_finite(values, 6), 3);
	assert_int_equal(pb_count_not_finite(values, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_f16_round_trip),
		cmocka_unit_test(all_bf16_round_trip),
		cmocka_unit_test(rounding_between_neighbours),
		cmocka_unit_test(rounding_of_random_bits),
		cmocka_unit_test(named_cases),
		cmocka_unit_test(reads_unaligned_data),
		cmocka_unit_test(dtype_names),
		cmocka_unit_test(counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
