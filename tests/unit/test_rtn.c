/* Round to nearest. The codes of the known matrix agree with an implementation of IST-DASLab/gptq's quant.py in double
 * precision (3 and 2 bits by row) but for row 0 of the symmetric case: the largest weight lies at -3.5 steps exactly, a
 * tie that the scale's last bit decides. */
#include "tests/unit/quantized.h"

#include <stdio.h>

extern const struct pb_quantizer pb_quantizer_rtn;

static void known(const char *options, const char *codes, const double *scales, uint64_t n_scales, const double *zeros, double error)
{
	float w[32];
	known_matrix(w);
	assert_true(w[0] == -0.9609375f && w[31] == -0.11328125f);
	struct pb_encoded *m = quantized(&pb_quantizer_rtn, options, w, 4, 8);
	float *out = decoded(m);
	expect_codes(m, codes);
	expect_scales(&m->block_scale, scales, n_scales);
	if (zeros)
		expect_scales(&m->block_offset, zeros, n_scales);
	else
		assert_int_equal(m->block_offset.kind, PB_SCALE_ABSENT);
	if (fabs(mean_square(w, out, 32) - error) > 1e-10 * error)
		fail_msg("%s: error %.12g, expected %.12g", options, mean_square(w, out, 32), error);
	free(out);
	pb_encoded_free(m);
}

static void known_numbers(void **state)
{
	(void)state;
	known("bits=3,scale_dtype=f32", "06557456" "66742340" "06105417" "53604762",
		(const double[]){ 0.19140625, 0.19140625, 0.152901784, 0.106584825 }, 4, (const double[]){ 5, 4, 2, 3 }, 0.0022596046193);
	known("bits=2,scale_dtype=f32", "02223222" "33321220" "03002203" "21202321",
		(const double[]){ 0.446614593, 0.446614593, 0.356770843, 0.248697922 }, 4, (const double[]){ 2, 2, 1, 1 }, 0.0144337025886);
	known("bits=3,scale_dtype=f32,mode=symmetric", "05445345" "66743340" "37327637" "64715773",
		(const double[]){ 0.274553567, 0.1953125, 0.198660716, 0.112723216 }, 4, NULL, 0.00417980838734);
	known("bits=4,group_size=4,zero=float", "0fddf069" "99f09cf0" "2f30c90f" "c9f07fd0",
		(const double[]){ 0.0760498047, 0.0395812988, 0.0489501953, 0.0416564941, 0.0606689453, 0.0606689453, 0.0458374023, 0.0338439941 },
		8, (const double[]){ -0.9609375, -0.21484375, -0.078125, -0.68359375, -0.375, -0.21484375, -0.3515625, -0.11328125 },
		8.35606770124e-05);
	/* groups of 5 in rows of 8: the second holds 3, one of them without a positive weight */
	known("bits=4,group_size=5", "0dbbf0bf" "bbf40be0" "2f30e90f" "c9f0bfc0",
		(const double[]){ 0.0892944336, 0.0249938965, 0.0630493164, 0.0455627441, 0.0606689453, 0.0606689453, 0.0458374023, 0.0338439941 },
		8, (const double[]){ 11, 9, 5, 15, 6, 4, 8, 3 }, 0.00032788576209);
	known("bits=4,group_size=0,mode=symmetric", "1988b689bbd767836c65cb6d98b59ba7", (const double[]){ 0.128173828 }, 1, NULL,
		0.00155728124082);
	known("bits=3,group_size=0,zero=float,scale_dtype=f32", "05446345667433413632653754535654", (const double[]){ 0.236607149 }, 1,
		(const double[]){ -0.9609375 }, 0.00477696510302);
}

static const char *const kinds[] = { "mode=symmetric", "mode=asymmetric", "zero=float" };

static void manners(void **state)
{
	(void)state;
	char options[96];
	for (size_t k = 0; k < 3; k++)
		for (int bits = 2; bits <= 8; bits++)
			for (int search = 0; search < 2; search++) {
				if (bits == 7)
					continue;
				snprintf(options, sizeof options, "bits=%d,%s,search=%d,search_steps=10,group_size=%d", bits, kinds[k], search,
					bits - 3);
				check_manners(&pb_quantizer_rtn, options);
			}
}

static void sizes(void **state)
{
	(void)state;
	float w[4 * 30];
	normal_matrix(5, w, 4 * 30);
	static const struct { const char *options; uint64_t bytes; } cases[] = {
		{ "bits=4,mode=symmetric", 4 * 15 + 4 * 2 },
		{ "bits=4", 4 * 15 + 4 * 2 + 2 },                          /* 4 zero points of 4 bits */
		{ "bits=3,group_size=8", 4 * 12 + 16 * 2 + 6 },            /* 90 bits a row; 16 blocks, 48 bits of zeros */
		{ "bits=2,group_size=16,zero=float,scale_dtype=f32", 4 * 8 + 8 * 4 * 2 },
		{ "bits=6,group_size=0", 4 * 23 + 2 + 1 },
		{ "bits=8,group_size=0,scale_dtype=bf16,mode=symmetric", 4 * 30 + 2 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pb_encoded *m = quantized(&pb_quantizer_rtn, cases[i].options, w, 4, 30);
		assert_int_equal(pb_encoded_bytes(m), cases[i].bytes);
		pb_encoded_free(m);
	}
}

static void error_falls_with_bits(void **state)
{
	(void)state;
	static float w[16 * 128];
	normal_matrix(1, w, 16 * 128);
	for (size_t k = 0; k < 3; k++)
		for (int group = -1; group <= 32; group = group < 0 ? 0 : group ? 64 : 32)
			for (int search = 0; search < 2; search++) {
				double before = INFINITY;
				for (int bits = 2; bits <= 8; bits += bits == 6 ? 2 : 1) {
					char options[96];
					snprintf(options, sizeof options, "bits=%d,group_size=%d,%s,search=%d", bits, group, kinds[k], search);
					double error = mean_square_of(&pb_quantizer_rtn, options, w, 16, 128);
					assert_true(error < before / 2);
					before = error;
				}
			}
}

static void search_is_never_worse(void **state)
{
	(void)state;
	static float w[8 * 60];
	for (uint64_t seed = 0; seed < 20; seed++) {
		normal_matrix(seed, w, 8 * 60);
		w[seed] *= 20.0f; /* an outlier, which is what a search is for */
		for (size_t k = 0; k < 3; k++)
			for (int bits = 2; bits <= 4; bits++) {
				char options[128];
				snprintf(options, sizeof options, "bits=%d,group_size=%d,%s", bits, (int)seed % 3 * 20 - 1, kinds[k]);
				double plain = mean_square_of(&pb_quantizer_rtn, options, w, 8, 60);
				snprintf(options, sizeof options, "bits=%d,group_size=%d,%s,search=true", bits, (int)seed % 3 * 20 - 1, kinds[k]);
				double searched = mean_square_of(&pb_quantizer_rtn, options, w, 8, 60);
				assert_true(searched <= plain);
				assert_true(searched < plain || bits > 3);
			}
	}
	/* of equal errors the widest range stays: zeros, whose range counts as -1..1 */
	const float zeros[4] = { 0 };
	struct pb_encoded *m = quantized(&pb_quantizer_rtn, "search=true,scale_dtype=f32", zeros, 1, 4);
	assert_true(pb_scale_at(&m->block_scale, 0) == 2.0f / 15.0f);
	pb_encoded_free(m);
	/* one step is no search */
	double one = mean_square_of(&pb_quantizer_rtn, "search=true,search_steps=1", w, 8, 60);
	assert_true(one == mean_square_of(&pb_quantizer_rtn, "", w, 8, 60));
}

/* A block that uses both ends of its grid stays where it is when it is quantized again. Rounding may leave an end without a
 * weight (zero=integer), and a symmetric range loses half a step at its upper end: such blocks have another range then. */
static void again_gives_the_same(void **state)
{
	(void)state;
	static float w[16 * 96];
	for (int bits = 2; bits <= 8; bits += bits == 6 ? 2 : 1)
		for (int zero = 0; zero < 2; zero++)
			for (uint64_t seed = 0; seed < 5; seed++) {
				char options[96];
				snprintf(options, sizeof options, "bits=%d,group_size=%d,zero=%s", bits, seed % 2 ? -1 : 32, zero ? "float" : "integer");
				normal_matrix(seed, w, 16 * 96);
				struct pb_encoded *first = quantized(&pb_quantizer_rtn, options, w, 16, 96);
				float *once = decoded(first);
				struct pb_encoded *second = quantized(&pb_quantizer_rtn, options, once, 16, 96);
				float *twice = decoded(second);
				uint64_t blocks = pb_encoded_blocks(first), full = 0;
				for (uint64_t b = 0; b < blocks; b++) {
					uint64_t at, n;
					uint8_t codes[96], least = 255, most = 0;
					pb_encoded_block(first, b, &at, &n);
					pb_unpack(first->width, first->packed + at / 96 * pb_packed_bytes(first->width, 96), at % 96, n, codes);
					for (uint64_t i = 0; i < n; i++) {
						least = codes[i] < least ? codes[i] : least;
						most = codes[i] > most ? codes[i] : most;
					}
					if (least == 0 && most == (1 << bits) - 1) {
						full++;
						assert_memory_equal(once + at, twice + at, n * sizeof *once);
					}
				}
				assert_true(zero ? full == blocks : full > blocks / 3);
				free(once);
				free(twice);
				pb_encoded_free(first);
				pb_encoded_free(second);
			}
}

static void constant_rows(void **state)
{
	(void)state;
	float w[3 * 7];
	for (int i = 0; i < 21; i++)
		w[i] = i < 7 ? 0.75f : i < 14 ? -0.3f : 0.0f;
	struct pb_encoded *m = quantized(&pb_quantizer_rtn, "zero=float,scale_dtype=f32", w, 3, 7);
	float *out = decoded(m);
	assert_memory_equal(out, w, sizeof w); /* scale 0, the offset is the number */
	free(out);
	pb_encoded_free(m);
	m = quantized(&pb_quantizer_rtn, "bits=3", w, 3, 7); /* the range from 0 has the number at its end */
	out = decoded(m);
	for (int i = 0; i < 21; i++)
		assert_true(fabsf(out[i] - w[i]) <= 0.001f * fabsf(w[i]));
	free(out);
	pb_encoded_free(m);
}

static void extreme_ranges(void **state)
{
	(void)state;
	struct pb_encoded *m = NULL;
	struct pb_error err;
	const float tiny[4] = { 1e-7f, -1e-7f, 2e-7f, 0.0f }, large[4] = { 1e38f, -1e38f, 3e37f, 0.0f }, over[4] = { 1e6f, -1e6f, 0, 0 };
	for (size_t k = 0; k < 3; k++) {
		/* a scale that f16 would round to 0 becomes its smallest number: the weights are rounded to multiples of that */
		m = quantized(&pb_quantizer_rtn, kinds[k], tiny, 1, 4);
		float *out = decoded(m);
		for (int i = 0; i < 4; i++)
			assert_true(fabsf(out[i] - tiny[i]) <= 0x1.01p-25f);
		free(out);
		pb_encoded_free(m);
		m = NULL;
		assert_int_equal(try_quantize(&pb_quantizer_rtn, kinds[k], over, 1, 4, PB_F32, &m, &err), PB_NUMERIC);
		assert_null(m);
		char options[64];
		snprintf(options, sizeof options, "%s,scale_dtype=f32,bits=4", kinds[k]);
		m = quantized(&pb_quantizer_rtn, options, large, 1, 4);
		out = decoded(m);
		assert_int_equal(pb_count_not_finite(out, 4), 0);
		assert_true(fabsf(out[2] - 3e37f) < 1e37f);
		free(out);
		pb_encoded_free(m);
	}
}

static void refusals(void **state)
{
	(void)state;
	struct pb_encoded *m = NULL;
	struct pb_error err;
	const float w[4] = { 1, 2, 3, 4 };
	assert_int_equal(try_quantize(&pb_quantizer_rtn, "bits=7", w, 2, 2, PB_F32, &m, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "7"));
	assert_int_equal(try_quantize(&pb_quantizer_rtn, "bits=1", w, 2, 2, PB_F32, &m, &err), PB_USAGE);
	assert_int_equal(try_quantize(&pb_quantizer_rtn, "mode=other", w, 2, 2, PB_F32, &m, &err), PB_USAGE);
	assert_int_equal(try_quantize(&pb_quantizer_rtn, "group_size=-2", w, 2, 2, PB_F32, &m, &err), PB_USAGE);
	assert_null(m);
	assert_int_equal(pb_quantizer_check(&pb_quantizer_rtn, &err), PB_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_numbers),
		cmocka_unit_test(manners),
		cmocka_unit_test(sizes),
		cmocka_unit_test(error_falls_with_bits),
		cmocka_unit_test(search_is_never_worse),
		cmocka_unit_test(again_gives_the_same),
		cmocka_unit_test(constant_rows),
		cmocka_unit_test(extreme_ranges),
		cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
