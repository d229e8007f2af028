/* HQQ against known numbers, those of the 4 x 8 matrix of quantized.h, computed in double precision from the published
 * algorithm, and its own rules. */
#include "tests/unit/quantized.h"

#include <stdio.h>

extern const struct pb_quantizer pb_quantizer_hqq, pb_quantizer_rtn;

static void near(double got, double expected, double share)
{
	if (!(fabs(got - expected) <= share * fabs(expected)))
		fail_msg("%.12g, expected %.12g", got, expected);
}

static void known(void **state)
{
	(void)state;
	float w[32];
	known_matrix(w);
	struct pb_encoded *m = quantized(&pb_quantizer_hqq, "bits=3,group_size=8,scale_dtype=f32", w, 4, 8);
	expect_codes(m, "06557456" "55732330" "16106517" "54604762");
	near(pb_scale_at(&m->block_scale, 0), 0.19140625, 1e-7);
	near(-pb_scale_at(&m->block_offset, 0) / pb_scale_at(&m->block_scale, 0), 4.982142857, 1e-7);
	pb_encoded_free(m);
	near(mean_square_of(&pb_quantizer_hqq, "bits=3,group_size=8,scale_dtype=f32", w, 4, 8), 0.001010244, 1e-6);
}

static double mean_power(const struct pb_quantizer *q, const char *options, const float *w, uint32_t rows, uint32_t cols)
{
	struct pb_encoded *m = quantized(q, options, w, rows, cols);
	float *out = decoded(m);
	double sum = 0;
	for (uint32_t i = 0; i < rows * cols; i++)
		sum += pow(fabs((double)w[i] - out[i]), 0.7);
	free(out);
	pb_encoded_free(m);
	return sum;
}

/* Weights with heavy tails at their true size: the range's own zero point is not the best. */
static void helps(void **state)
{
	(void)state;
	static float w[32 * 128];
	int better = 0;
	for (uint64_t seed = 0; seed < 10; seed++) {
		normal_matrix(seed, w, 32 * 128);
		for (size_t i = seed; i < 32 * 128; i += 61)
			w[i] *= 4.0f;
		for (int bits = 2; bits <= 4; bits++) {
			char options[64];
			snprintf(options, sizeof options, "bits=%d,group_size=64", bits);
			double moved = mean_power(&pb_quantizer_hqq, options, w, 32, 128);
			snprintf(options, sizeof options, "bits=%d,group_size=64,iterations=0", bits);
			better += moved < mean_power(&pb_quantizer_hqq, options, w, 32, 128);
		}
	}
	assert_true(better >= 27);
}

static void manners(void **state)
{
	(void)state;
	char options[96];
	for (int bits = 1; bits <= 8; bits++)
		if (bits != 7) {
			snprintf(options, sizeof options, "bits=%d,group_size=%d,scale_dtype=%s", bits, bits - 2, bits % 2 ? "f16" : "f32");
			check_manners(&pb_quantizer_hqq, options);
		}
	/* without steps and with the same rounding of the offset it is rtn */
	static float w[16 * 96];
	normal_matrix(3, w, 16 * 96);
	near(mean_square_of(&pb_quantizer_hqq, "bits=4,group_size=32,iterations=0,scale_dtype=f32", w, 16, 96),
		mean_square_of(&pb_quantizer_rtn, "bits=4,group_size=32,zero=float,scale_dtype=f32", w, 16, 96), 1e-3);
	struct pb_encoded *m = NULL;
	struct pb_error err;
	assert_int_equal(try_quantize(&pb_quantizer_hqq, "bits=7", w, 16, 96, PB_F32, &m, &err), PB_USAGE);
	assert_null(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known),
		cmocka_unit_test(helps),
		cmocka_unit_test(manners),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
