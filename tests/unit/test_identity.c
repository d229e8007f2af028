/* identity, and the skeleton, which is not in the library and is therefore included. */
#include "tests/unit/quantized.h"

#include "quantizers/skeleton.c"

extern const struct pb_quantizer pb_quantizer_identity;

static void passes_through(void **state)
{
	(void)state;
	float w[6 * 11];
	normal_matrix(1, w, 66);
	static const enum pb_dtype sources[] = { PB_F32, PB_F16, PB_BF16 };
	for (size_t s = 0; s < 3; s++) {
		struct pb_encoded *m = NULL;
		struct pb_error err;
		unsigned char raw[66 * 4];
		float rounded[66];
		pb_float_write(sources[s], w, 66, raw);
		pb_float_read(sources[s], raw, 0, 66, rounded);
		/* what is in the file comes out, bit for bit, at the file's size */
		assert_int_equal(try_quantize(&pb_quantizer_identity, "", rounded, 6, 11, sources[s], &m, &err), PB_OK);
		float *out = decoded(m);
		assert_memory_equal(out, rounded, sizeof rounded);
		assert_int_equal(pb_encoded_bytes(m), 66 * pb_dtype_bytes(sources[s]));
		free(out);
		pb_encoded_free(m);
	}
}

static void rounds_when_asked(void **state)
{
	(void)state;
	static const struct { const char *options; enum pb_dtype dtype; double wbits; } cases[] = { { "dtype=f32", PB_F32, 32 },
		{ "dtype=f16", PB_F16, 16 }, { "dtype=bf16", PB_BF16, 16 }, { "dtype=source", PB_F32, 32 } };
	float w[15];
	normal_matrix(2, w, 15);
	for (size_t i = 0; i < 4; i++) {
		struct pb_encoded *m = quantized(&pb_quantizer_identity, cases[i].options, w, 3, 5);
		float *out = decoded(m);
		assert_int_equal(m->dense_dtype, cases[i].dtype);
		for (int j = 0; j < 15; j++) {
			unsigned char raw[4];
			pb_float_write(cases[i].dtype, &w[j], 1, raw);
			assert_true(out[j] == pb_float_at(cases[i].dtype, raw, 0));
		}
		struct identity { int dtype; } options;
		struct pb_error err;
		pb_options_default(pb_quantizer_identity.options, &options);
		assert_int_equal(pb_options_parse(pb_quantizer_identity.options, &options, "identity", cases[i].options, &err), PB_OK);
		assert_true(pb_quantizer_identity.wbits(&options, PB_F32) == cases[i].wbits);
		free(out);
		pb_encoded_free(m);
	}
}

static void refuses(void **state)
{
	(void)state;
	struct pb_encoded *m = NULL;
	struct pb_error err;
	const float large[2] = { 1.0f, 70000.0f };
	assert_int_equal(try_quantize(&pb_quantizer_identity, "dtype=f16", large, 1, 2, PB_F32, &m, &err), PB_NUMERIC);
	assert_int_equal(try_quantize(&pb_quantizer_identity, "", large, 1, 2, PB_F64, &m, &err), PB_UNSUPPORTED);
	assert_int_equal(try_quantize(&pb_quantizer_identity, "dtype=f64", large, 1, 2, PB_F32, &m, &err), PB_USAGE);
	assert_null(m);
	assert_int_equal(try_quantize(&pb_quantizer_identity, "dtype=bf16", large, 1, 2, PB_F64, &m, &err), PB_OK);
	pb_encoded_free(m);
	check_manners(&pb_quantizer_identity, "");
	check_manners(&pb_quantizer_identity, "dtype=f16");
	assert_int_equal(pb_quantizer_check(&pb_quantizer_identity, &err), PB_OK);
}

static void skeleton_works(void **state)
{
	(void)state;
	struct pb_error err;
	float w[32];
	assert_int_equal(pb_quantizer_check(&pb_plugin, &err), PB_OK);
	check_manners(&pb_plugin, "");
	check_manners(&pb_plugin, "clip=0.5");
	known_matrix(w);
	struct pb_encoded *m = quantized(&pb_plugin, "", w, 4, 8);
	float *out = decoded(m);
	assert_int_equal(pb_encoded_bytes(m), 4 * 4 + 4 * 2);
	for (int i = 0; i < 32; i++)
		assert_true(fabsf(out[i] - w[i]) <= 0.5002f * pb_scale_at(&m->block_scale, (uint64_t)i / 8));
	free(out);
	pb_encoded_free(m);
	/* a row that spans the grid is held to the rounding of its scale, and again to the bit */
	const float grid[15] = { -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7 };
	m = quantized(&pb_plugin, "", grid, 1, 15);
	out = decoded(m);
	assert_memory_equal(out, grid, sizeof grid);
	free(out);
	pb_encoded_free(m);
	/* clipping halves the range */
	m = quantized(&pb_plugin, "clip=0.5", grid, 1, 15);
	out = decoded(m);
	assert_true(out[14] == 3.5f && out[0] == -3.5f && out[9] == 2.0f);
	free(out);
	pb_encoded_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_through),
		cmocka_unit_test(rounds_when_asked),
		cmocka_unit_test(refuses),
		cmocka_unit_test(skeleton_works),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
