/* binary and ternary. The ternary codes by matrix are those of BitNet's absmean rule on the known matrix: scale
 * 0.300170898, mean squared error 0.035229187. */
#include "tests/unit/quantized.h"

extern const struct pb_quantizer pb_quantizer_binary, pb_quantizer_ternary;

static void known(const struct pb_quantizer *q, const char *options, const char *codes, const double *scales, uint64_t n, double error)
{
	float w[32];
	known_matrix(w);
	struct pb_encoded *m = quantized(q, options, w, 4, 8);
	float *out = decoded(m);
	expect_codes(m, codes);
	expect_scales(&m->block_scale, scales, n);
	if (fabs(mean_square(w, out, 32) - error) > 1e-10 * error)
		fail_msg("%s: error %.12g, expected %.12g", options, mean_square(w, out, 32), error);
	free(out);
	pb_encoded_free(m);
}

static const double row_means[4] = { 0.249511719, 0.331054688, 0.387207031, 0.232910156 };
static const double group_means[8] = { 0.30078125, 0.198242188, 0.361328125, 0.30078125, 0.340820312, 0.43359375, 0.228515625,
	0.237304688 };

static void binary_numbers(void **state)
{
	(void)state;
	static const char signs[] = "01111011" "11100000" "01001101" "11101110";
	known(&pb_quantizer_binary, "scale_dtype=f32", signs, row_means, 4, 0.044103205204);
	known(&pb_quantizer_binary, "group_size=0", signs, (const double[]){ 0.300292969 }, 1, 0.0480080842972);
	known(&pb_quantizer_binary, "group_size=4", signs, group_means, 8, 0.0426741838455);
}

static void ternary_numbers(void **state)
{
	(void)state;
	known(&pb_quantizer_ternary, "scale_dtype=f32", "02112012" "22210010" "02002202" "21201221", (const double[]){ 0.300170898 }, 1,
		0.0352291874588);
	known(&pb_quantizer_ternary, "group_size=-1", "02112012" "22210010" "02002202" "21202221", row_means, 4, 0.034713588655);
	known(&pb_quantizer_ternary, "group_size=4", "02112012" "22210010" "02002212" "21202221", group_means, 8, 0.0322585701942);
}

static void manners(void **state)
{
	(void)state;
	static const char *const options[] = { "group_size=-1", "group_size=0", "group_size=1", "group_size=7,scale_dtype=bf16",
		"group_size=100,scale_dtype=f32" };
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		check_manners(&pb_quantizer_binary, options[i]);
		check_manners(&pb_quantizer_ternary, options[i]);
	}
}

static void sizes(void **state)
{
	(void)state;
	float w[3 * 21];
	normal_matrix(2, w, 63);
	static const struct { const struct pb_quantizer *q; const char *options; uint64_t bytes; } cases[] = {
		{ &pb_quantizer_binary, "", 3 * 3 + 3 * 2 },
		{ &pb_quantizer_binary, "group_size=0,scale_dtype=f32", 3 * 3 + 4 },
		{ &pb_quantizer_binary, "group_size=8", 3 * 3 + 9 * 2 },
		{ &pb_quantizer_ternary, "", 3 * 5 + 2 },           /* five trits a byte: 21 in 5 */
		{ &pb_quantizer_ternary, "group_size=-1", 3 * 5 + 3 * 2 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pb_encoded *m = quantized(cases[i].q, cases[i].options, w, 3, 21);
		assert_int_equal(pb_encoded_bytes(m), cases[i].bytes);
		pb_encoded_free(m);
	}
}

/* Two numbers of one magnitude, and three of it and zero, are held exactly; coding them again gives the same. */
static void exact_on_their_own_grid(void **state)
{
	(void)state;
	float w[4 * 16], *out, *twice;
	normal_matrix(3, w, 64);
	struct pb_encoded *m = quantized(&pb_quantizer_binary, "", w, 4, 16);
	out = decoded(m);
	pb_encoded_free(m);
	m = quantized(&pb_quantizer_binary, "", out, 4, 16);
	twice = decoded(m);
	assert_memory_equal(out, twice, sizeof w);
	pb_encoded_free(m);
	free(out);
	free(twice);
	/* ternary: the mean magnitude of {-s, 0, s} is below s, but the codes stay */
	struct pb_encoded *first = quantized(&pb_quantizer_ternary, "group_size=-1", w, 4, 16);
	out = decoded(first);
	m = quantized(&pb_quantizer_ternary, "group_size=-1", out, 4, 16);
	assert_memory_equal(first->packed, m->packed, 4 * pb_packed_bytes(PB_W_TRIT, 16));
	pb_encoded_free(m);
	pb_encoded_free(first);
	free(out);
}

static void zero_and_tiny(void **state)
{
	(void)state;
	const float w[4] = { 0.0f, -0.0f, 1.0f, -1.0f }, tiny[4] = { 1e-6f, -2e-6f, 4e-6f, 6e-6f };
	struct pb_encoded *m = quantized(&pb_quantizer_binary, "", w, 1, 4); /* sign(0) = +1 */
	expect_codes(m, "1110");
	pb_encoded_free(m);
	/* the scale does not fall below 1e-5 (f32: 1e-5; the mean is 3.25e-6): 0.1, -0.2, 0.4 and 0.6 steps */
	m = quantized(&pb_quantizer_ternary, "scale_dtype=f32", tiny, 1, 4);
	assert_true(pb_scale_at(&m->block_scale, 0) == 1e-5f);
	expect_codes(m, "1112");
	pb_encoded_free(m);
}

/* More scales cannot be worse for the sign code, whose scale is the least-squares one (to within the rounding of f16). */
static void smaller_blocks_are_better(void **state)
{
	(void)state;
	static float w[16 * 64];
	normal_matrix(4, w, 16 * 64);
	for (int i = 0; i < 16 * 64; i++)
		w[i] *= 1.0f + (float)(i % 64 / 8);
	double matrix = mean_square_of(&pb_quantizer_binary, "group_size=0", w, 16, 64);
	double row = mean_square_of(&pb_quantizer_binary, "group_size=-1", w, 16, 64);
	double group = mean_square_of(&pb_quantizer_binary, "group_size=8", w, 16, 64);
	assert_true(group < row && row <= matrix);
	/* a normal distribution: 1 - 2/pi of the variance is left with the sign code */
	normal_matrix(5, w, 16 * 64);
	const float zero[16 * 64] = { 0 };
	double left = mean_square_of(&pb_quantizer_binary, "group_size=0", w, 16, 64) / mean_square(w, zero, 16 * 64);
	assert_true(fabs(left - 0.3634) < 0.03);
	assert_true(mean_square_of(&pb_quantizer_ternary, "", w, 16, 64) < mean_square_of(&pb_quantizer_binary, "group_size=0", w, 16, 64));
}

static void tables_are_sound(void **state)
{
	(void)state;
	struct pb_error err;
	assert_int_equal(pb_quantizer_check(&pb_quantizer_binary, &err), PB_OK);
	assert_int_equal(pb_quantizer_check(&pb_quantizer_ternary, &err), PB_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(binary_numbers),
		cmocka_unit_test(ternary_numbers),
		cmocka_unit_test(manners),
		cmocka_unit_test(sizes),
		cmocka_unit_test(exact_on_their_own_grid),
		cmocka_unit_test(zero_and_tiny),
		cmocka_unit_test(smaller_blocks_are_better),
		cmocka_unit_test(tables_are_sound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
