/* What the tests of quantizers share: one small matrix of known numbers, and a quantizer's whole path through
 * pb_quantizer_run (plan, quantize, checks, planned bytes = stored bytes). Header only. */
#ifndef PB_TESTS_UNIT_QUANTIZED_H
#define PB_TESTS_UNIT_QUANTIZED_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/rng.h"
#include "quantizers/quantizer.h"

/* W (4, 8): 32-bit LCG s = 1664525 s + 1013904223 from 12345; each number is (a + b - 255) / 256 of the top bytes of
 * two successive states. W[0] = -0.9609375 0.1796875 0.01953125 0.04296875 0.37890625 -0.21484375 0.0390625 0.16015625.
 * Expected values in the tests were computed from it with numpy (float32 weights and scales, np.rint, errors in float64). */
static inline void known_matrix(float w[32])
{
	uint32_t s = 12345, bytes[2];
	for (int i = 0; i < 32; i++) {
		for (int j = 0; j < 2; j++) {
			s = 1664525u * s + 1013904223u;
			bytes[j] = s >> 24;
		}
		w[i] = ((float)(bytes[0] + bytes[1]) - 255.0f) / 256.0f;
	}
}

static inline void normal_matrix(uint64_t seed, float *w, size_t n)
{
	struct pb_rng r = pb_rng_make(seed, 0);
	for (size_t i = 0; i < n; i++)
		w[i] = (float)(0.02 * pb_rng_normal(&r));
}

static inline enum pb_status try_quantize(const struct pb_quantizer *q, const char *options, const float *w, uint32_t rows, uint32_t cols,
	enum pb_dtype source, struct pb_encoded **out, struct pb_error *err)
{
	struct pb_quantizer_use use = { .quantizer = q, .options = calloc(1, q->options_size) };
	struct pb_quantize_job job = { .name = "m", .n_layers = 1, .rows = rows, .cols = cols, .weights = w, .source_dtype = source };
	assert_non_null(use.options);
	pb_options_default(q->options, use.options);
	enum pb_status status = pb_options_parse(q->options, use.options, q->name, options, err);
	if (!status)
		status = pb_quantizer_run(&use, &job, out, err);
	free(use.options);
	return status;
}

static inline struct pb_encoded *quantized(const struct pb_quantizer *q, const char *options, const float *w, uint32_t rows, uint32_t cols)
{
	struct pb_encoded *m = NULL;
	struct pb_error err = { .text = "" };
	if (try_quantize(q, options, w, rows, cols, PB_F32, &m, &err))
		fail_msg("%s:%s: %s", q->name, options, err.text);
	return m;
}

static inline float *decoded(const struct pb_encoded *m)
{
	float *out = malloc((size_t)m->rows * m->cols * sizeof *out);
	assert_non_null(out);
	pb_encoded_decode(m, 0, m->rows, out);
	return out;
}

static inline double mean_square(const float *a, const float *b, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
	return sum / (double)n;
}

static inline double mean_square_of(const struct pb_quantizer *q, const char *options, const float *w, uint32_t rows, uint32_t cols)
{
	struct pb_encoded *m = quantized(q, options, w, rows, cols);
	float *out = decoded(m);
	double error = mean_square(w, out, (size_t)rows * cols);
	free(out);
	pb_encoded_free(m);
	return error;
}

/* Codes as digits, hexadecimal above 9, row after row. */
static inline void expect_codes(const struct pb_encoded *m, const char *digits)
{
	uint32_t cols = pb_encoded_coded_cols(m);
	uint64_t row_bytes = pb_packed_bytes(m->width, cols);
	uint8_t *codes = malloc(cols);
	assert_non_null(codes);
	assert_int_equal(strlen(digits), (size_t)m->rows * cols);
	for (uint32_t r = 0; r < m->rows; r++) {
		pb_unpack(m->width, m->packed + r * row_bytes, 0, cols, codes);
		for (uint32_t c = 0; c < cols; c++)
			assert_int_equal("0123456789abcdef"[codes[c]], digits[r * cols + c]);
	}
	free(codes);
}

static inline void expect_scales(const struct pb_scale *s, const double *values, uint64_t n)
{
	assert_int_equal(s->n, n);
	for (uint64_t i = 0; i < n; i++)
		if (fabs(pb_scale_at(s, i) - values[i]) > 1e-8 * fabs(values[i]))
			fail_msg("number %d is %.9g, expected %.9g", (int)i, (double)pb_scale_at(s, i), values[i]);
}

/* The rules that hold for every quantizer that needs nothing. */
static inline void check_manners(const struct pb_quantizer *q, const char *options)
{
	static const uint32_t shapes[][2] = { { 1, 1 }, { 1, 37 }, { 37, 1 }, { 3, 5 }, { 8, 64 } };
	struct pb_error err;
	for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
		uint32_t rows = shapes[s][0], cols = shapes[s][1], n = rows * cols;
		float *w = calloc(n, sizeof *w);
		assert_non_null(w);
		struct pb_encoded *m = quantized(q, options, w, rows, cols); /* zeros stay zeros */
		float *out = decoded(m);
		for (uint32_t i = 0; i < n; i++)
			assert_true(out[i] == 0.0f);
		free(out);
		pb_encoded_free(m);
		normal_matrix(s, w, n);
		m = quantized(q, options, w, rows, cols);
		struct pb_encoded *again = quantized(q, options, w, rows, cols);
		out = decoded(m);
		float *out_again = decoded(again);
		assert_memory_equal(out, out_again, n * sizeof *out);
		assert_int_equal(pb_count_not_finite(out, n), 0);
		free(out);
		free(out_again);
		pb_encoded_free(m);
		pb_encoded_free(again);
		m = NULL;
		w[n / 2] = s % 2 ? NAN : INFINITY;
		assert_int_equal(try_quantize(q, options, w, rows, cols, PB_F32, &m, &err), PB_NUMERIC);
		assert_null(m);
		free(w);
	}
}

#endif
