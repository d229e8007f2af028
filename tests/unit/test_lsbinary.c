/* Least-squares signs against known numbers, those of the 4 x 8 matrix of quantized.h, computed in double precision from the published
 * algorithms, and their own rules. */
#include "tests/unit/quantized.h"

extern const struct pb_quantizer pb_quantizer_lsbinary, pb_quantizer_binary;

static void near(double got, double expected, double share)
{
	if (!(fabs(got - expected) <= share * fabs(expected)))
		fail_msg("%.12g, expected %.12g", got, expected);
}

static void known(void **state)
{
	(void)state;
	static const double v[4][2] = { { 0.554408482, 0.406529018 }, { 0.444010417, 0.225911458 }, { 0.425130208, 0.151692708 }, { 0.232910156, 0.116699219 } };
	static const double ternary[4] = { 0.48046875, 0.233984375, 0.193603516, 0.158203125 };
	float w[32];
	known_matrix(w);
	struct pb_encoded *m = quantized(&pb_quantizer_lsbinary, "scale_dtype=f32", w, 4, 8);
	for (int r = 0; r < 4; r++) {
		near(((float *)m->levels)[4 * r + 3], v[r][0] + v[r][1], 1e-7);
		near(((float *)m->levels)[4 * r + 2], v[r][0] - v[r][1], 1e-7);
	}
	pb_encoded_free(m);
	near(mean_square_of(&pb_quantizer_lsbinary, "scale_dtype=f32", w, 4, 8), 0.007660202, 1e-6);
	near(mean_square_of(&pb_quantizer_lsbinary, "scale_dtype=f32,method=greedy", w, 4, 8), 0.016347598, 1e-6);
	near(mean_square_of(&pb_quantizer_lsbinary, "scale_dtype=f32,bits=1.58", w, 4, 8), 0.021911466, 1e-6);
	near(mean_square_of(&pb_quantizer_lsbinary, "scale_dtype=f32,bits=1", w, 4, 8), 0.044103205, 1e-6);
	m = quantized(&pb_quantizer_lsbinary, "scale_dtype=f32,bits=1.58", w, 4, 8);
	for (int r = 0; r < 4; r++)
		near(pb_scale_at(&m->block_scale, (uint64_t)r), 2 * ternary[r], 1e-7);
	pb_encoded_free(m);
}

/* No pair of factors on a fine lattice does better. */
static void is_optimal(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		float w[23];
		normal_matrix(seed, w, 23);
		double largest = 0, least = INFINITY, least_ternary = INFINITY;
		for (int i = 0; i < 23; i++)
			largest = fmax(largest, fabs((double)w[i]));
		for (int a = 0; a <= 300; a++)
			for (int b = 0; b <= a; b++) {
				double high = largest * a / 300, low = largest * b / 300, error = 0;
				for (int i = 0; i < 23; i++)
					error += fmin(pow(fabs((double)w[i]) - high, 2), pow(fabs((double)w[i]) - low, 2)) / 23;
				least = fmin(least, error);
				if (b == 0)
					least_ternary = fmin(least_ternary, error);
			}
		double two = mean_square_of(&pb_quantizer_lsbinary, "scale_dtype=f32", w, 1, 23);
		double three = mean_square_of(&pb_quantizer_lsbinary, "scale_dtype=f32,bits=1.58,group_size=50", w, 1, 23);
		double greedy = mean_square_of(&pb_quantizer_lsbinary, "scale_dtype=f32,method=greedy,group_size=0", w, 1, 23);
		double one = mean_square_of(&pb_quantizer_lsbinary, "scale_dtype=f32,bits=1", w, 1, 23);
		assert_true(two <= least * (1 + 1e-6) && three <= least_ternary * (1 + 1e-6));
		assert_true(two <= greedy * (1 + 1e-6) && greedy < one && two < three && three < one);
		near(one, mean_square_of(&pb_quantizer_binary, "scale_dtype=f32", w, 1, 23), 1e-6);
	}
}

static void manners(void **state)
{
	(void)state;
	static const char *const settings[] = { "", "method=greedy", "bits=1,group_size=5", "bits=1.58,group_size=16", "group_size=0,scale_dtype=f32",
		"bits=1.58,group_size=0,scale_dtype=bf16", "bits=1,method=greedy" };
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		check_manners(&pb_quantizer_lsbinary, settings[i]);
	float w[4 * 30];
	struct pb_encoded *m = NULL;
	struct pb_error err;
	normal_matrix(5, w, 4 * 30);
	m = quantized(&pb_quantizer_lsbinary, "", w, 4, 30);
	assert_int_equal(pb_encoded_bytes(m), 4 * 8 + 4 * 4 * 2);
	pb_encoded_free(m);
	m = quantized(&pb_quantizer_lsbinary, "bits=1.58,group_size=8", w, 4, 30);
	assert_int_equal(pb_encoded_bytes(m), 4 * 6 + 16 * 2);
	pb_encoded_free(m);
	m = NULL;
	assert_int_equal(try_quantize(&pb_quantizer_lsbinary, "group_size=8", w, 4, 30, PB_F32, &m, &err), PB_UNSUPPORTED);
	assert_int_equal(try_quantize(&pb_quantizer_lsbinary, "bits=1.58,method=greedy", w, 4, 30, PB_F32, &m, &err), PB_USAGE);
	assert_null(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known),
		cmocka_unit_test(is_optimal),
		cmocka_unit_test(manners),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
