/* The k-bit data types against vectors made elsewhere, published tables and their own rules. Where numbers come
 * from: tests/vectors/kbit/ORIGIN.txt. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "core/base/rng.h"
#include "quantizers/quantizer.h"

static void *get_memory(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);
	assert_non_null(p);
	return p;
}

static struct pb_quantizer_use parse(const char *options)
{
	char text[256];
	struct pb_quantizer_use use;
	struct pb_error err;
	snprintf(text, sizeof text, "kbit:%s", options);
	if (pb_quantizer_use_parse(&use, text, &err) != PB_OK)
		fail_msg("%s: %s", text, err.text);
	return use;
}

/* Through pb_quantizer_run, so that planned bytes are checked every time. */
static struct pb_encoded *quantize_with(const char *options, const float *w, uint32_t rows, uint32_t cols, const float *std)
{
	struct pb_quantizer_use use = parse(options);
	struct pb_quantize_job job = { .name = "m", .rows = rows, .cols = cols, .weights = w, .source_dtype = PB_F32, .input_row_std = std };
	struct pb_encoded *m = NULL;
	struct pb_error err;
	if (pb_quantizer_run(&use, &job, &m, &err) != PB_OK)
		fail_msg("%s: %s", options, err.text);
	pb_quantizer_use_free(&use);
	return m;
}

static struct pb_encoded *quantize(const char *options, const float *w, uint32_t rows, uint32_t cols)
{
	return quantize_with(options, w, rows, cols, NULL);
}

static float *decode(const struct pb_encoded *m)
{
	float *w = get_memory((size_t)m->rows * m->cols, sizeof *w);
	pb_encoded_decode(m, 0, m->rows, w);
	return w;
}

static double mean_error(const float *a, const float *b, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += fabs((double)a[i] - (double)b[i]);
	return sum / (double)n;
}

static double error_of(const char *options, const float *w, uint32_t rows, uint32_t cols)
{
	struct pb_encoded *m = quantize(options, w, rows, cols);
	float *d = decode(m);
	double error = mean_error(w, d, (size_t)rows * cols);
	free(d);
	pb_encoded_free(m);
	return error;
}

static double bits_of(const char *options, uint32_t rows, uint32_t cols, const float *std)
{
	float *w = get_memory((size_t)rows * cols, sizeof *w);
	for (size_t i = 0; i < (size_t)rows * cols; i++)
		w[i] = (float)(i % 97) - 48.0f;
	struct pb_encoded *m = quantize_with(options, w, rows, cols, std);
	double bits = 8.0 * (double)pb_encoded_bytes(m) / ((double)rows * cols);
	pb_encoded_free(m);
	free(w);
	return bits;
}

static float *normals(uint64_t stream, size_t n)
{
	struct pb_rng r = pb_rng_make(7, stream);
	float *w = get_memory(n, sizeof *w);
	for (size_t i = 0; i < n; i++)
		w[i] = (float)pb_rng_normal(&r);
	return w;
}

static void near(double got, double expected, double tolerance, const char *what)
{
	if (!(fabs(got - expected) <= tolerance))
		fail_msg("%s: %.9g, expected %.9g", what, got, expected);
}

/* ---- vectors ---- */

enum { ROWS = 7, COLS = 25 };

static void vector_input(float w[ROWS * COLS], float std[COLS])
{
	uint32_t s = 12345;
	for (int i = 0; i < ROWS * COLS; i++) {
		uint32_t a = s = 1664525u * s + 1013904223u, b = s = 1664525u * s + 1013904223u;
		w[i] = ((float)(a >> 24) + (float)(b >> 24) - 255.0f) / 256.0f * 0.37f;
	}
	for (int j = 0; j < COLS; j++)
		std[j] = (float)(7 * j % 25) / 25.0f;
}

static void check_hex(const char *options, const char *what, const void *data, size_t n, const char *expected)
{
	const unsigned char *bytes = data;
	char *hex = get_memory(2 * n + 1, 1);
	for (size_t i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	if (strcmp(hex, expected))
		fail_msg("%s: %s: %s, expected %s", options, what, hex, expected);
	free(hex);
}

static void check_scale_hex(const char *options, const char *what, const struct pb_scale *s, const char *expected)
{
	unsigned char bytes[4096];
	size_t n = 0;
	if (s->kind == PB_SCALE_NESTED) {
		size_t outer = (s->n + s->nested_block - 1) / s->nested_block * sizeof *s->outer;
		memcpy(bytes, s->data, s->n);
		memcpy(bytes + s->n, s->outer, outer);
		memcpy(bytes + s->n + outer, s->nested_offset, sizeof *s->nested_offset);
		n = s->n + outer + sizeof *s->nested_offset;
	} else if (s->kind == PB_SCALE_FLOAT) {
		n = s->n * pb_dtype_bytes(s->dtype);
		memcpy(bytes, s->data, n);
	}
	check_hex(options, what, bytes, n, expected);
}

static void vectors(void **state)
{
	(void)state;
	float w[ROWS * COLS], std[COLS];
	vector_input(w, std);
	assert_true(w[0] == -0.9609375f * 0.37f);

	FILE *f = fopen("tests/vectors/kbit/blocks.txt", "r");
	if (!f)
		fail_msg("tests/vectors/kbit/blocks.txt: not there; run from the repository's root");
	char line[4096], options[256] = "";
	struct pb_encoded *m = NULL;
	float *d = NULL;
	int n_cases = 0, n_checks = 0;
	while (fgets(line, sizeof line, f)) {
		char key[32], value[4000];
		if (line[0] == '#' || sscanf(line, "%31s %3999s", key, value) != 2)
			continue;
		n_checks++;
		if (!strcmp(key, "options")) {
			snprintf(options, sizeof options, "%.255s", value);
			free(d);
			pb_encoded_free(m);
			m = quantize_with(options, w, ROWS, COLS, std);
			d = decode(m);
			n_cases++;
		} else if (!strcmp(key, "codes")) {
			check_hex(options, key, m->packed, ROWS * pb_packed_bytes(m->width, pb_encoded_coded_cols(m)), value);
		} else if (!strcmp(key, "scale")) {
			check_scale_hex(options, key, &m->block_scale, value);
		} else if (!strcmp(key, "offset")) {
			check_scale_hex(options, key, &m->block_offset, value);
		} else if (!strcmp(key, "levels")) {
			assert_int_equal(m->levels_kind, PB_LEVELS_TENSOR);
			check_hex(options, key, m->levels, m->n_levels * pb_dtype_bytes(m->levels_dtype), value);
		} else if (!strcmp(key, "kept")) {
			check_hex(options, key, m->kept, (size_t)ROWS * m->n_kept * pb_dtype_bytes(m->kept_dtype), value);
		} else if (!strcmp(key, "bytes")) {
			assert_int_equal(pb_encoded_bytes(m), strtoull(value, NULL, 10));
		} else if (!strcmp(key, "crc")) {
			unsigned long crc = crc32(crc32(0, NULL, 0), (const unsigned char *)d, sizeof w);
			if (crc != strtoul(value, NULL, 16))
				fail_msg("%s: crc %08lx, expected %s", options, crc, value);
		} else if (!strcmp(key, "error")) {
			near(mean_error(w, d, ROWS * COLS), strtod(value, NULL), 1e-9, options);
		} else {
			fail_msg("blocks.txt: unknown key %s", key);
		}
	}
	fclose(f);
	free(d);
	pb_encoded_free(m);
	assert_int_equal(n_cases, 50);
	assert_true(n_checks > 5 * n_cases);
}

/* Element 2i in the high nibble, as bitsandbytes packs. */
static void check_nibbles(const char *options, const char *expected, double error)
{
	float w[64];
	for (int j = 0; j < 64; j++)
		w[j] = 2.0f * ((float)j - 31.5f) / 31.5f;
	struct pb_encoded *m = quantize(options, w, 1, 64);
	uint8_t codes[64];
	char hex[65];
	pb_unpack(m->width, m->packed, 0, 64, codes);
	for (int i = 0; i < 64; i++)
		hex[i] = "0123456789abcdef"[codes[i] & 15];
	hex[64] = 0;
	assert_string_equal(hex, expected);
	float *d = decode(m);
	near(mean_error(w, d, 64), error, 1e-8, options); /* published as an f32 */
	free(d);
	pb_encoded_free(m);
}

static void deployed_vectors(void **state)
{
	(void)state;
	check_nibbles("type=nf4,scale=f32", "00000111111112222233344445556667788899aaabbbccccddddeeeeeeefffff", 0.082399504);
	check_nibbles("type=fp4,scale=f32", "bbbbbbaaaaaaaadddddccccffeeee99911166667744445555522222222333333", 0.101702009);
}

/* ---- tables ---- */

/* A matrix that holds the levels themselves comes back as it is, one code a level, and the table's name is the one expected. */
static void check_table(const char *options, const char *name, const double *positive, int n, bool has_minus_one)
{
	float w[64];
	uint32_t used = 0;
	for (int i = 0; i < n; i++) {
		w[used++] = (float)positive[i];
		if (positive[i] != 0 && (positive[i] != 1 || has_minus_one))
			w[used++] = -(float)positive[i];
	}
	char text[256];
	snprintf(text, sizeof text, "%s,scale=f32,block=0", options);
	struct pb_encoded *m = quantize(text, w, 1, used);
	assert_string_equal(m->levels_name, name);
	uint8_t codes[64];
	pb_unpack(m->width, m->packed, 0, used, codes);
	for (uint32_t i = 0; i < used; i++)
		for (uint32_t j = 0; j < i; j++)
			assert_int_not_equal(codes[i], codes[j]);
	float *d = decode(m);
	for (uint32_t i = 0; i < used; i++)
		near(d[i], w[i], 1e-7, options);
	free(d);
	pb_encoded_free(m);
}
#define TABLE(options, name, has_minus_one, ...) do { \
	const double values_[] = { __VA_ARGS__ }; \
	check_table(options, name, values_, (int)(sizeof values_ / sizeof *values_), has_minus_one); \
} while (0)

static void tables(void **state)
{
	(void)state;
	TABLE("type=int,bits=2", "int:2", true, 0, 1);
	TABLE("type=int,bits=3", "int:3", true, 0, 1.0 / 3, 2.0 / 3, 1);
	TABLE("type=int,bits=4", "int:4", true, 0, 1.0 / 7, 2.0 / 7, 3.0 / 7, 4.0 / 7, 5.0 / 7, 6.0 / 7, 1);
	TABLE("type=float,bits=2", "float:1:0", true, 0, 1);
	TABLE("type=float,bits=3", "float:2:0", true, 0, 0.25, 0.5, 1);
	TABLE("type=float,bits=3,exponent=1", "float:1:1", true, 0, 0.083333333, 0.66666667, 1);
	TABLE("type=float,bits=4", "float:3:0", true, 0, 1.0 / 64, 1.0 / 32, 1.0 / 16, 0.125, 0.25, 0.5, 1);
	TABLE("type=float,bits=4,exponent=2", "float:2:1", true, 0, 0.020833333, 0.16666667, 0.25, 0.33333333, 0.5, 0.66666667, 1);
	TABLE("type=float,bits=5", "float:3:1", true, 0, 0.00130208, 0.01041667, 0.015625, 0.020833333, 0.03125, 0.04166667, 0.0625,
		0.083333333, 0.125, 0.16666667, 0.25, 0.33333333, 0.5, 0.66666667, 1);
	TABLE("type=float,bits=5,exponent=2", "float:2:2", true, 0, 0.00892857, 0.01785714, 0.02678571, 0.14285714, 0.17857143, 0.21428571,
		0.25, 0.28571429, 0.35714286, 0.42857143, 0.5, 0.57142857, 0.71428571, 0.85714286, 1);
	TABLE("type=dynamic,bits=3", "dynamic:3", false, 0, 0.055, 0.325, 0.775, 1);
	TABLE("type=dynamic,bits=4", "dynamic:4", false, 0, 0.0055, 0.0325, 0.0775, 0.2125, 0.4375, 0.6625, 0.8875, 1);
	TABLE("type=fp4", "fp4_bnb", true, 0, 0.005208333, 0.16666667, 0.25, 0.33333333, 0.5, 0.66666667, 1);
	TABLE("type=fp4_mx", "fp4_mx", true, 0, 0.083333333, 0.16666667, 0.25, 0.33333333, 0.5, 0.66666667, 1);

	/* the paper's exponent bits: 3 from 4 bits on */
	static const char *const names[] = { "float:3:2", "float:3:3", "float:3:4" };
	float w[8] = { 1, -1, 0.5f };
	for (int bits = 6; bits <= 8; bits++) {
		char text[64];
		snprintf(text, sizeof text, "type=float,bits=%d", bits);
		struct pb_encoded *m = quantize(text, w, 1, 8);
		assert_string_equal(m->levels_name, names[bits - 6]);
		pb_encoded_free(m);
	}
}

/* Codes of x between -1 and 1, in a block whose constant is 1. */
static uint8_t code_of(const char *options, float x)
{
	float w[8] = { 1, x };
	uint8_t codes[8];
	struct pb_encoded *m = quantize(options, w, 1, 8);
	pb_unpack(m->width, m->packed, 0, 8, codes);
	pb_encoded_free(m);
	return codes[1];
}

static void thresholds(void **state)
{
	(void)state;
	static const float fp4_above[7] = { 0.00260417f, 0.0859375f, 0.20833333f, 0.29166667f, 0.4166667f, 0.583333f, 0.8333333f };
	static const uint8_t fp4_codes[8] = { 0, 1, 6, 7, 4, 5, 2, 3 };
	for (int i = 0; i < 7; i++) {
		float t = fp4_above[i], after = nextafterf(t, 2);
		assert_int_equal(code_of("type=fp4", t), fp4_codes[i]);
		assert_int_equal(code_of("type=fp4", after), fp4_codes[i + 1]);
		assert_int_equal(code_of("type=fp4", -t), 8 + fp4_codes[i]);
		assert_int_equal(code_of("type=fp4", -after), 8 + fp4_codes[i + 1]);
	}
	static const float nf4_above[15] = { -.8480964f, -.6106329f, -.4599953f, -.3396794f, -.2346074f, -.1379117f, -.0455250f, .0397901f,
		.1202553f, .2035213f, .2920138f, .3893125f, .5016634f, .6427869f, .8614784f };
	for (int i = 0; i < 15; i++) {
		assert_int_equal(code_of("type=nf4", nf4_above[i] - 1.2e-7f), i);
		assert_int_equal(code_of("type=nf4", nf4_above[i] + 1.2e-7f), i + 1);
	}
	/* halfway between exact levels: the lower one */
	assert_int_equal(code_of("type=int,bits=2", 0.5f), 1);
	assert_int_equal(code_of("type=int,bits=2", -0.5f), 0);
	assert_int_equal(code_of("type=float,bits=3", 0.375f), 4);
	assert_int_equal(code_of("type=float,bits=3", nextafterf(0.375f, 1)), 5);
	/* there is no -1 in dynamic */
	assert_int_equal(code_of("type=dynamic,bits=3", -1.0f), 0);
}

/* nf4 multiplies by the inverse of the constant, int divides by it: that shows next to a threshold. */
static void normalization(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(3, 3);
	float nf4_middle = (0.44070982933044434f + 0.5626170039176941f) * 0.5f;
	int n_differ[2] = { 0, 0 };
	for (int trial = 0; trial < 400; trial++) {
		float s = 1 + (float)pb_rng_unit(&r), inverse = 1 / s, w[8] = { s };
		for (int t = 0; t < 2; t++) {
			float middle = t ? 0.5f : nf4_middle, x = middle * s;
			w[1] = trial % 3 == 0 ? x : nextafterf(x, trial % 3 == 1 ? 0.0f : 4.0f);
			bool by_product = w[1] * inverse > middle, by_quotient = w[1] / s > middle;
			struct pb_encoded *m = quantize(t ? "type=int,bits=2,scale=f32" : "type=nf4,scale=f32", w, 1, 8);
			uint8_t codes[8];
			pb_unpack(m->width, m->packed, 0, 8, codes);
			assert_int_equal(codes[1], t ? 1 + by_quotient : 12 + by_product);
			n_differ[t] += by_product != by_quotient;
			pb_encoded_free(m);
		}
	}
	assert_true(n_differ[0] > 0 && n_differ[1] > 0);
}

/* ---- sizes ---- */

static void effective_bits(void **state)
{
	(void)state;
	char text[128];
	for (int k = 2; k <= 8; k++) {
		int stored = k == 7 ? 8 : k; /* no 7-bit fields */
		snprintf(text, sizeof text, "type=int,bits=%d", k);
		near(bits_of(text, 64, 128, NULL), stored + 16.0 / 64, 0, text);
		snprintf(text, sizeof text, "type=float,bits=%d,block=1024", k);
		near(bits_of(text, 64, 128, NULL), stored + 16.0 / 1024, 0, text);
		snprintf(text, sizeof text, "type=dynamic,bits=%d,block=32,centering=1", k);
		near(bits_of(text, 64, 128, NULL), stored + 2 * 16.0 / 32, 0, text);
		snprintf(text, sizeof text, "type=quantile,bits=%d", k);
		near(bits_of(text, 64, 128, NULL), stored + 16.0 / 64 + 16.0 * (1 << k) / (64 * 128), 1e-12, text);
	}
	near(bits_of("type=nf4", 64, 128, NULL), 4.25, 0, "f16 constants");
	near(bits_of("type=nf4,scale=bf16", 64, 128, NULL), 4.25, 0, "bf16 constants");
	near(bits_of("type=nf4,scale=f32", 64, 128, NULL), 4.5, 0, "f32 constants");
	near(bits_of("type=nf4,block=0", 64, 128, NULL), 4 + 16.0 / 8192, 0, "one constant");
	near(bits_of("type=nf4,nested=1", 1024, 1024, NULL), 4 + 8.0 / 64 + 32.0 / (64 * 256) + 32.0 / (1024 * 1024), 1e-12, "nested");
	near(bits_of("type=nf4,nested=1", 1024, 1024, NULL), 4.126953, 1e-4, "nested, as published");
	/* 2 % of 200 columns: 4 kept; the others in blocks of their own */
	float std[200] = { 0 };
	double n = 64.0 * 200, coded = 64.0 * 196;
	near(bits_of("type=int,outliers=0.02", 64, 200, std), (coded * 4 + coded / 64 * 16 + 4 * 64 * 16 + 4 * 32) / n, 1e-12, "outliers");
	near(bits_of("type=int,outliers=0.02", 64, 200, NULL), 4.25, 0, "outliers without a layer before");
	/* blocks run over the ends of rows */
	near(bits_of("type=int", 64, 3, NULL) * 64 * 3 / 8, 64 * 2 + 3 * 2, 1e-9, "flat blocks");
}

static void plan_knows_the_proxy(void **state)
{
	(void)state;
	struct pb_quantizer_use use = parse("type=int,outliers=0.1");
	float std[100] = { 0 };
	struct pb_quantize_job job = { .name = "m", .rows = 10, .cols = 100, .source_dtype = PB_F32 };
	uint64_t without, with, shape;
	assert_int_equal(pb_quantizer_plan(&use, &job, &without, NULL), PB_OK);
	job.input_row_std = std;
	assert_int_equal(pb_quantizer_plan(&use, &job, &with, NULL), PB_OK);
	assert_int_equal(use.quantizer->plan(use.options, 10, 100, PB_F32, &shape, NULL), PB_OK);
	assert_int_equal(without, 10 * 50 + 16 * 2);
	assert_int_equal(with, 10 * 45 + 15 * 2 + 10 * (4 + 10 * 2));
	assert_int_equal(shape, with);
	pb_quantizer_use_free(&use);
}

/* ---- Gaussian errors ---- */

struct published {
	const char *type;
	int block;
	double error, error_std, relative, relative_std;
};

/* bitsandbytes tests/test_functional.py, test_4bit_quant */
static const struct published published[] = {
	{ "fp4", 32, 0.088925, 9.1e-05, 0.242443, 0.00033 },
	{ "fp4", 64, 0.096543, 0.000111, 0.260125, 0.000379 },
	{ "fp4", 128, 0.102969, 0.000134, 0.275817, 0.000433 },
	{ "fp4", 256, 0.108684, 0.000182, 0.289831, 0.000497 },
	{ "fp4", 512, 0.114115, 0.000234, 0.302881, 0.000583 },
	{ "fp4", 1024, 0.119333, 0.00032, 0.315, 0.000757 },
	{ "fp4", 2048, 0.124556, 0.000455, 0.326607, 0.000955 },
	{ "fp4", 4096, 0.129536, 0.000612, 0.337169, 0.001239 },
	{ "nf4", 32, 0.067746, 6.9e-05, 0.189726, 0.000304 },
	{ "nf4", 64, 0.072798, 7.4e-05, 0.203339, 0.00034 },
	{ "nf4", 128, 0.076831, 9.1e-05, 0.215237, 0.000391 },
	{ "nf4", 256, 0.080337, 0.000102, 0.226105, 0.000398 },
	{ "nf4", 512, 0.083547, 0.000143, 0.236079, 0.000544 },
	{ "nf4", 1024, 0.08661, 0.000187, 0.24537, 0.0006 },
	{ "nf4", 2048, 0.089592, 0.000251, 0.254163, 0.000747 },
	{ "nf4", 4096, 0.092547, 0.00036, 0.262473, 0.000999 },
};

static void gaussian_table(void **state)
{
	(void)state;
	size_t n = 1024 * 1024;
	float *w = normals(1, n);
	double previous = 0;
	for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
		const struct published *p = &published[i];
		char text[64];
		snprintf(text, sizeof text, "type=%s,scale=f32,block=%d", p->type, p->block);
		struct pb_encoded *m = quantize(text, w, 1024, 1024);
		float *d = decode(m);
		double error = mean_error(w, d, n), relative = 0;
		for (size_t j = 0; j < n; j++)
			relative += fabs((double)w[j] - (double)d[j]) / (fabs((double)w[j]) + 1e-8);
		relative /= (double)n;
		print_message("%s %4d: %.6f (%.6f, %+.1f std) %.6f (%.6f, %+.1f std)\n", p->type, p->block, error, p->error,
			(error - p->error) / p->error_std, relative, p->relative, (relative - p->relative) / p->relative_std);
		near(error, p->error, 7 * p->error_std, text);
		near(relative, p->relative, 7 * p->relative_std, text);
		if (p->block > 32)
			assert_true(error > previous); /* falls when the block halves */
		previous = error;
		free(d);
		pb_encoded_free(m);
	}
	free(w);
}

static void check_falls(const float *w, uint32_t rows, uint32_t cols, const char *what)
{
	static const char *const types[] = { "int", "float", "dynamic", "quantile" };
	for (int t = 0; t < 4; t++) {
		double previous = INFINITY;
		for (int bits = 2; bits <= 8; bits++) {
			char text[64];
			snprintf(text, sizeof text, "type=%s,bits=%d", types[t], bits);
			double error = error_of(text, w, rows, cols);
			if (!(error < previous))
				fail_msg("%s: %s: error %.9g, with a bit less %.9g", what, text, error, previous);
			previous = error;
		}
	}
}

static void error_falls_with_bits(void **state)
{
	(void)state;
	float *w = normals(2, 128 * 256);
	check_falls(w, 128, 256, "N(0,1)");
	free(w);
}

/* Inverse of the normal distribution function, by bisection. */
static double normal_quantile(double p)
{
	double low = -10, high = 10;
	for (int i = 0; i < 60; i++) {
		double middle = (low + high) / 2;
		if (0.5 * erfc(-middle / sqrt(2)) < p)
			low = middle;
		else
			high = middle;
	}
	return (low + high) / 2;
}

static void check_levels(const struct pb_encoded *m, const double *expected, unsigned n, double tolerance)
{
	float levels[PB_MAX_LEVELS];
	assert_int_equal(m->n_levels, n);
	pb_float_read(m->levels_dtype, m->levels, 0, n, levels);
	for (unsigned i = 0; i < n; i++)
		near(levels[i], expected[i], tolerance, "level");
}

static void quantile_limits(void **state)
{
	(void)state;
	static const double four[16] = { -1, -.70125, -.530951, -.401121, -.290878, -.186153, -.092999, -.002501, 0, .087927, .180859, .285126,
		.394593, .522971, .689963, 1 };
	static const double three[8] = { -1, -.544224, -.249862, -.002875, 0, .249862, .536357, 1 };
	/* a sample that is the distribution: no noise */
	uint32_t n = 1 << 16;
	float *w = get_memory(n, sizeof *w);
	for (uint32_t i = 0; i < n; i++) /* a stride that is odd: every rank once, and never in order */
		w[i] = (float)normal_quantile(((double)(i * 40503u % n) + 0.5) / n);
	struct pb_encoded *m = quantize("type=quantile,bits=4", w, 64, 1024);
	check_levels(m, four, 16, 4e-4);
	pb_encoded_free(m);
	m = quantize("type=quantile,bits=3", w, 64, 1024);
	check_levels(m, three, 8, 4e-4);
	pb_encoded_free(m);
	free(w);

	/* a random sample, whole and by chunks */
	w = normals(3, 1 << 20);
	m = quantize("type=quantile,bits=4", w, 1024, 1024);
	check_levels(m, four, 16, 8e-3);
	pb_encoded_free(m);
	m = quantize("type=quantile,bits=4,chunk=4096", w, 1024, 1024);
	check_levels(m, four, 16, 8e-3);
	pb_encoded_free(m);
	free(w);
}

static void quantile_chunks(void **state)
{
	(void)state;
	/* three chunks of the same numbers in other orders, and a rest that is left out */
	float *w = normals(4, 1024), *all = get_memory(3400, sizeof *all);
	struct pb_rng r = pb_rng_make(1, 1);
	uint32_t order[1024];
	for (uint32_t i = 0; i < 1024; i++)
		order[i] = i;
	for (int c = 0; c < 3; c++) {
		for (int i = 0; i < 1024; i++)
			all[c * 1024 + i] = w[order[i]];
		pb_rng_shuffle(&r, order, 1024);
	}
	for (int i = 3072; i < 3400; i++)
		all[i] = 1000;
	struct pb_encoded *one = quantize("type=quantile,bits=5", w, 1, 1024), *chunked = quantize("type=quantile,bits=5,chunk=1024", all, 1, 3400),
		*whole = quantize("type=quantile,bits=5", all, 1, 3400), *large = quantize("type=quantile,bits=5,chunk=4096", all, 1, 3400);
	assert_memory_equal(one->levels, chunked->levels, 64);
	assert_memory_not_equal(one->levels, whole->levels, 64);
	assert_memory_equal(large->levels, whole->levels, 64); /* a chunk larger than the matrix is the matrix */
	pb_encoded_free(one);
	pb_encoded_free(chunked);
	pb_encoded_free(whole);
	pb_encoded_free(large);
	free(w);
	free(all);
}

/* ---- proxy outliers, means, constants ---- */

static void outlier_columns(void **state)
{
	(void)state;
	enum { R = 12, C = 50 };
	float *w = normals(5, R * C), std[C], rest[R * 45];
	for (int j = 0; j < C; j++)
		std[j] = 1;
	std[49] = 3, std[7] = 2, std[20] = 2; /* and then columns 0 and 1, the first among equals */
	static const uint32_t expected[5] = { 0, 1, 7, 20, 49 };
	struct pb_encoded *m = quantize_with("type=nf4,outliers=0.1", w, R, C, std);
	assert_int_equal(m->n_kept, 5);
	assert_memory_equal(m->kept_columns, expected, sizeof expected);
	float *d = decode(m);
	int n = 0;
	for (int i = 0; i < R; i++)
		for (int j = 0, k = 0; j < C; j++) {
			if (k < 5 && expected[k] == (uint32_t)j) {
				assert_true(d[i * C + j] == pb_f16_to_f32(pb_f32_to_f16(w[i * C + j])));
				k++;
			} else {
				rest[n++] = w[i * C + j];
			}
		}
	/* the others are coded as if they were the matrix */
	struct pb_encoded *m_rest = quantize("type=nf4", rest, R, 45);
	float *d_rest = decode(m_rest);
	n = 0;
	for (int i = 0; i < R; i++)
		for (int j = 0, k = 0; j < C; j++) {
			if (k < 5 && expected[k] == (uint32_t)j)
				k++;
			else
				assert_true(d[i * C + j] == d_rest[n++]);
		}
	free(d_rest);
	pb_encoded_free(m_rest);
	free(d);
	pb_encoded_free(m);

	/* without a layer before, and with a fraction that rounds to nothing */
	m = quantize("type=nf4,outliers=0.1", w, R, C);
	assert_int_equal(m->n_kept, 0);
	pb_encoded_free(m);
	m = quantize_with("type=nf4,outliers=0.009", w, R, C, std);
	assert_int_equal(m->n_kept, 0);
	pb_encoded_free(m);
	/* one column is never kept whole */
	m = quantize_with("type=nf4,outliers=0.5", w, R, 1, std);
	assert_int_equal(m->n_kept, 0);
	pb_encoded_free(m);

	struct pb_quantizer_use use = parse("type=nf4,outliers=0.1");
	struct pb_quantize_job job = { .name = "m", .rows = R, .cols = C, .weights = w, .source_dtype = PB_F32, .input_row_std = std };
	std[3] = NAN;
	assert_int_equal(pb_quantizer_run(&use, &job, &m, NULL), PB_NUMERIC);
	std[3] = 1;
	w[7] = 70000; /* beyond f16, in a kept column */
	assert_int_equal(pb_quantizer_run(&use, &job, &m, NULL), PB_NUMERIC);
	pb_quantizer_use_free(&use);
	free(w);
}

static void centering(void **state)
{
	(void)state;
	float *w = normals(6, 4096);
	for (int i = 0; i < 4096; i++)
		w[i] = 5 + 0.01f * w[i];
	double plain = error_of("type=int,bits=4,scale=f32", w, 16, 256), centered = error_of("type=int,bits=4,scale=f32,centering=1", w, 16, 256);
	assert_true(centered < plain / 10);

	/* the mean as stored, and the constant of what is left */
	for (int i = 0; i < 64; i++)
		w[i] = 3.0009f + (i % 2 ? 0.5f : -0.5f);
	struct pb_encoded *m = quantize("type=int,bits=4,centering=1", w, 1, 64);
	float mean = pb_f16_to_f32(pb_f32_to_f16(3.0009f));
	assert_true(pb_scale_at(&m->block_offset, 0) == mean);
	assert_true(pb_scale_at(&m->block_scale, 0) == pb_f16_to_f32(pb_f32_to_f16(3.5009f - mean)));
	pb_encoded_free(m);

	/* nothing is left of a constant */
	for (int i = 0; i < 64; i++)
		w[i] = 3;
	near(error_of("type=nf4,centering=1", w, 8, 8), 0, 0, "constant");
	near(error_of("type=quantile,bits=3,centering=1", w, 8, 8), 0, 0, "constant");
	free(w);
}

static void zero_blocks(void **state)
{
	(void)state;
	static const char *const all[] = { "type=int,bits=2", "type=float", "type=dynamic", "type=quantile", "type=nf4", "type=fp4", "type=fp4_mx",
		"type=af4", "type=nf4,nested=1", "type=fp4,nested=1", "type=int,nested=1,centering=1", "type=nf4,block=0" };
	float *w = normals(7, 256), zero[256] = { 0 };
	memset(w + 64, 0, 64 * sizeof *w); /* one block of zeros among others */
	w[0] = 1e-9f;                      /* a weight far below its block */
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		near(error_of(all[i], zero, 16, 16), 0, 0, all[i]);
		struct pb_encoded *m = quantize(all[i], w, 4, 64);
		float *d = decode(m);
		for (int j = 64; j < 128; j++)
			if (d[j] != 0)
				fail_msg("%s: weight %d of a block of zeros is %g", all[i], j, (double)d[j]);
		free(d);
		pb_encoded_free(m);
	}
	/* a constant that rounds to zero takes its block with it; as f32 it does not */
	float tiny[64];
	for (int i = 0; i < 64; i++)
		tiny[i] = 1e-8f;
	near(error_of("type=nf4", tiny, 1, 64), 1e-8, 1e-15, "rounded to zero");
	near(error_of("type=nf4,scale=f32", tiny, 1, 64), 0, 1e-15, "f32");
	/* subnormal numbers, whose inverse is infinite */
	for (int i = 0; i < 64; i++)
		tiny[i] = (float[]){ 1e-40f, -1e-40f, 5e-41f, 0 }[i % 4];
	near(error_of("type=nf4,scale=f32", tiny, 1, 64), 0, 1e-41 * 7 / 4, "subnormal");
	near(error_of("type=fp4,scale=f32", tiny, 1, 64), 0, 1e-43, "subnormal");
	free(w);
}

static void large_constants(void **state)
{
	(void)state;
	float w[64] = { 70000, -3 };
	struct pb_quantizer_use use = parse("type=nf4");
	struct pb_quantize_job job = { .name = "m", .rows = 1, .cols = 64, .weights = w, .source_dtype = PB_F32 };
	struct pb_encoded *m = NULL;
	struct pb_error err;
	assert_int_equal(pb_quantizer_run(&use, &job, &m, &err), PB_NUMERIC);
	assert_non_null(strstr(err.text, "too large for F16"));
	pb_quantizer_use_free(&use);
	assert_true(error_of("type=nf4,scale=bf16", w, 1, 64) < 300.0 / 64 + 3);
	w[0] = 3.4e38f, w[1] = -3.4e38f;
	use = parse("type=nf4,scale=f32,centering=1,block=8");
	w[2] = w[3] = w[4] = w[5] = w[6] = w[7] = 3.4e38f; /* mean 2.55e38; the second weight is 5.95e38 below it */
	assert_int_equal(pb_quantizer_run(&use, &job, &m, &err), PB_NUMERIC);
	assert_string_equal(err.text, "weights less their mean are not finite");
	pb_quantizer_use_free(&use);
}

static void nested_constants(void **state)
{
	(void)state;
	float *w = normals(8, 256 * 512);
	struct pb_encoded *plain = quantize("type=nf4,scale=f32", w, 256, 512), *nested = quantize("type=nf4,nested=1", w, 256, 512);
	/* compression comes after coding: the codes are those of f32 constants */
	assert_memory_equal(plain->packed, nested->packed, 256 * 512 / 2);
	double sum = 0, worst = 0;
	for (uint64_t b = 0; b < plain->block_scale.n; b++)
		sum += pb_scale_at(&plain->block_scale, b);
	near(*nested->block_scale.nested_offset, sum / (double)plain->block_scale.n, 1e-6, "mean of the constants");
	for (uint64_t b = 0; b < plain->block_scale.n; b++)
		worst = fmax(worst, fabs(pb_scale_at(&plain->block_scale, b) - pb_scale_at(&nested->block_scale, b)));
	assert_true(worst > 0 && worst < 0.02);
	double plain_error = error_of("type=nf4,scale=f32", w, 256, 512), nested_error = error_of("type=nf4,nested=1", w, 256, 512);
	near(nested_error / plain_error, 1, 0.01, "nested error");
	pb_encoded_free(plain);
	pb_encoded_free(nested);
	free(w);
}

/* ---- properties ---- */

/* Quantizing what was decoded changes nothing, for tables that hold both -1 and 1. Not for quantile, whose table is made
 * again from other numbers, nor for nested constants, which are coded again; for dynamic, which has no -1, when the largest
 * weight of each block is positive, up to 7 bits: the rounding of bf16 is wider than the top step of 8. */
static void idempotent(void **state)
{
	(void)state;
	static const char *const types[] = { "type=int,bits=2", "type=int,bits=3", "type=int,bits=5", "type=int,bits=8", "type=float,bits=3",
		"type=float,bits=4", "type=float,bits=6", "type=float,bits=8,exponent=4", "type=nf4", "type=fp4", "type=fp4_mx", "type=af4",
		"type=dynamic,bits=3", "type=dynamic,bits=7", "type=int,bits=4,outliers=0.1" };
	static const char *const scales[] = { "f16", "bf16", "f32" };
	float *w = normals(9, 40 * 64), std[64];
	for (int j = 0; j < 64; j++)
		std[j] = (float)(j * 5 % 64);
	for (int i = 0; i < 40 * 64; i += 64)
		w[i] = 4 + fabsf(w[i]);
	for (size_t t = 0; t < sizeof types / sizeof *types; t++)
		for (int s = 0; s < 3; s++) {
			char text[128];
			snprintf(text, sizeof text, "%s,scale=%s", types[t], scales[s]);
			bool with_outliers = strstr(text, "outliers") != NULL;
			struct pb_encoded *first = quantize_with(text, w, 40, 64, with_outliers ? std : NULL);
			float *once = decode(first);
			struct pb_encoded *second = quantize_with(text, once, 40, 64, with_outliers ? std : NULL);
			float *twice = decode(second);
			for (int i = 0; i < 40 * 64; i++)
				if (once[i] != twice[i])
					fail_msg("%s: weight %d: %.9g, then %.9g", text, i, (double)once[i], (double)twice[i]);
			free(once);
			free(twice);
			pb_encoded_free(first);
			pb_encoded_free(second);
		}
	free(w);
}

static void check_refused(const char *options, const char *sentence)
{
	struct pb_quantizer_use use = parse(options);
	uint64_t bytes = 77;
	struct pb_error err;
	assert_int_equal(use.quantizer->plan(use.options, 8, 8, PB_F32, &bytes, &err), PB_USAGE);
	if (!strstr(err.text, sentence))
		fail_msg("%s: '%s', expected '%s'", options, err.text, sentence);
	assert_int_equal(bytes, 77);
	pb_quantizer_use_free(&use);
}

static void options_that_do_not_fit(void **state)
{
	(void)state;
	check_refused("type=nf4,bits=3", "type nf4 has 4 bits");
	check_refused("type=fp4,bits=8", "type fp4 has 4 bits");
	check_refused("type=fp4_mx,bits=5", "type fp4_mx has 4 bits");
	check_refused("type=af4,block=128", "block=64 alone");
	check_refused("type=int,exponent=2", "belongs to type float");
	check_refused("type=float,bits=4,exponent=4", "1 to 3 exponent bits");
	check_refused("type=float,bits=4,exponent=0", "1 to 3 exponent bits");
	check_refused("block=7", "8 weights or more");
	check_refused("block=1", "8 weights or more");
	check_refused("type=int,chunk=4096", "belongs to type quantile");
	check_refused("type=quantile,chunk=255", "256 weights or more");

	struct pb_quantizer_use use;
	assert_int_equal(pb_quantizer_use_parse(&use, "kbit:bits=9", NULL), PB_USAGE);
	assert_int_equal(pb_quantizer_use_parse(&use, "kbit:bits=1", NULL), PB_USAGE);
	assert_int_equal(pb_quantizer_use_parse(&use, "kbit:type=nf5", NULL), PB_USAGE);
	assert_int_equal(pb_quantizer_use_parse(&use, "kbit:outliers=0.6", NULL), PB_USAGE);
	use = parse("type=int,bits=3");
	assert_true(use.quantizer->wbits(use.options, PB_F32) == 3);
	pb_quantizer_use_free(&use);
}

/* ---- a real model ---- */

/* The matrices of stories260K, a llama2.c checkpoint: seven int32 (dim, hidden, layers, heads, kv heads, vocabulary, length),
 * then f32 tensors in the order below, each for all layers. */
static void real_weights(void **state)
{
	(void)state;
	const char *folder = getenv("PB_TEST_DATA");
	if (!folder)
		skip();
	char path[1024];
	snprintf(path, sizeof path, "%s/models/stories260K/stories260K.bin", folder);
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("%s: not there", path);
	int32_t h[7];
	assert_int_equal(fread(h, sizeof *h, 7, f), 7);
	uint32_t dim = (uint32_t)h[0], hidden = (uint32_t)h[1], layers = (uint32_t)h[2], kv = dim * (uint32_t)h[4] / (uint32_t)h[3],
		vocabulary = (uint32_t)h[5];
	assert_int_equal(dim, 64);
	const struct {
		const char *name;
		uint32_t rows, cols;
	} parts[] = { { NULL, vocabulary, dim }, { NULL, layers, dim }, { "q", layers * dim, dim }, { "k", layers * kv, dim }, { "v", layers * kv, dim },
		{ "o", layers * dim, dim }, { NULL, layers, dim }, { "gate", layers * hidden, dim }, { "down", layers * dim, hidden },
		{ "up", layers * hidden, dim } };
	for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
		size_t n = (size_t)parts[p].rows * parts[p].cols;
		float *w = get_memory(n, sizeof *w);
		assert_int_equal(fread(w, sizeof *w, n, f), n);
		if (parts[p].name) {
			uint32_t rows = parts[p].rows / layers;
			for (uint32_t l = 0; l < layers; l++) {
				char what[32];
				snprintf(what, sizeof what, "layer %u %s", l, parts[p].name);
				check_falls(w + (size_t)l * rows * parts[p].cols, rows, parts[p].cols, what);
			}
		}
		free(w);
	}
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(deployed_vectors),
		cmocka_unit_test(tables),
		cmocka_unit_test(thresholds),
		cmocka_unit_test(normalization),
		cmocka_unit_test(effective_bits),
		cmocka_unit_test(plan_knows_the_proxy),
		cmocka_unit_test(gaussian_table),
		cmocka_unit_test(error_falls_with_bits),
		cmocka_unit_test(quantile_limits),
		cmocka_unit_test(quantile_chunks),
		cmocka_unit_test(outlier_columns),
		cmocka_unit_test(centering),
		cmocka_unit_test(zero_blocks),
		cmocka_unit_test(large_constants),
		cmocka_unit_test(nested_constants),
		cmocka_unit_test(idempotent),
		cmocka_unit_test(options_that_do_not_fit),
		cmocka_unit_test(real_weights),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
