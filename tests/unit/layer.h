/* What the tests of methods that look at the inputs share: a layer with second moments, a quantizer's whole path on it, and
 * its loss; linear algebra in plain loops, in double. Header only. */
#ifndef PB_TESTS_UNIT_LAYER_H
#define PB_TESTS_UNIT_LAYER_H

#include <stdio.h>
#include <zlib.h>
#include "tests/unit/quantized.h"

struct layer {
	uint32_t rows, cols;
	float *w, *h;           /* (rows, cols); (cols, cols) mean of x x^T */
	float *mean_abs;        /* (cols) mean of |x| */
	struct pb_pool *pool;   /* for work inside of the matrix, or NULL */
};

static inline void *get_memory(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);
	assert_non_null(p);
	return p;
}

static inline struct layer empty_layer(uint32_t rows, uint32_t cols)
{
	struct layer l = { rows, cols, get_memory((size_t)rows * cols, sizeof(float)), get_memory((size_t)cols * cols, sizeof(float)),
		get_memory(cols, sizeof(float)), NULL };
	return l;
}

static inline void free_layer(struct layer *l)
{
	free(l->w);
	free(l->h);
	free(l->mean_abs);
}

/* Normal weights; inputs that share causes, some columns larger than others. */
static inline struct layer random_layer(uint64_t seed, uint32_t rows, uint32_t cols, uint32_t tokens)
{
	struct layer l = empty_layer(rows, cols);
	struct pb_rng r = pb_rng_make(seed, 7);
	double *h = get_memory((size_t)cols * cols, sizeof *h), *x = get_memory(cols, sizeof *x);
	normal_matrix(seed, l.w, (size_t)rows * cols);
	for (uint32_t t = 0; t < tokens; t++) {
		double shared = pb_rng_normal(&r);
		for (uint32_t c = 0; c < cols; c++)
			x[c] = (1 + c % 5) * pb_rng_normal(&r) + shared + (c ? x[c - 1] / 2 : 0);
		for (uint32_t c = 0; c < cols; c++)
			l.mean_abs[c] += (float)(fabs(x[c]) / tokens);
		for (uint32_t a = 0; a < cols; a++)
			for (uint32_t b = 0; b < cols; b++)
				h[(size_t)a * cols + b] += x[a] * x[b] / tokens;
	}
	for (size_t i = 0; i < (size_t)cols * cols; i++)
		l.h[i] = (float)h[i];
	free(h);
	free(x);
	return l;
}

/* hi(s1) + hi(s2) - 255 of two successive states of a 32-bit generator, hi the top byte */
static inline int draw(uint32_t *s)
{
	int sum = -255;
	for (int i = 0; i < 2; i++) {
		*s = 1664525u * *s + 1013904223u;
		sum += (int)(*s >> 24);
	}
	return sum;
}

/* A layer that other programs can make again, exactly: from the state 12345, W row by row, draw / 256; then X of 2 cols
 * tokens, token by token, 256 x[c] = draw (1 + c mod 3) + floor(256 x[c - 1] / 2), x[-1] = 0. Column `dead` of X is 0. Means of
 * x x^T and |x| are rounded to f32 once. */
static inline struct layer drawn_layer(uint32_t rows, uint32_t cols, uint32_t dead)
{
	struct layer l = empty_layer(rows, cols);
	uint32_t s = 12345, tokens = 2 * cols;
	int64_t *h = get_memory((size_t)cols * cols, sizeof *h), *sum = get_memory(cols, sizeof *sum);
	int *x = get_memory(cols, sizeof *x);
	for (size_t i = 0; i < (size_t)rows * cols; i++)
		l.w[i] = (float)draw(&s) / 256.0f;
	for (uint32_t t = 0; t < tokens; t++) {
		for (uint32_t c = 0; c < cols; c++) {
			int last = c ? x[c - 1] : 0, half = last >= 0 ? last / 2 : -((1 - last) / 2);
			x[c] = draw(&s) * (1 + (int)(c % 3)) + half;
		}
		if (dead < cols)
			x[dead] = 0;
		for (size_t c = 0; c < cols; c++)
			sum[c] += abs(x[c]);
		for (size_t a = 0; a < cols; a++)
			for (size_t b = 0; b < cols; b++)
				h[a * cols + b] += (int64_t)x[a] * x[b];
	}
	for (size_t i = 0; i < (size_t)cols * cols; i++)
		l.h[i] = (float)((double)h[i] / (65536.0 * tokens));
	for (size_t c = 0; c < cols; c++)
		l.mean_abs[c] = (float)((double)sum[c] / (256.0 * tokens));
	free(h);
	free(sum);
	free(x);
	return l;
}

static inline enum pb_status try_layer(const struct pb_quantizer *q, const char *options, const struct layer *l, struct pb_encoded **out,
	struct pb_error *err)
{
	char text[512];
	struct pb_quantizer_use use;
	struct pb_quantize_job job = { .name = "m", .n_layers = 1, .rows = l->rows, .cols = l->cols, .weights = l->w, .second_moment = l->h,
		.mean_abs = l->mean_abs, .rng = pb_rng_make(1, 1), .pool = l->pool };
	snprintf(text, sizeof text, "%s:%s", q->name, options);
	if (pb_quantizer_use_parse(&use, text, err))
		fail_msg("%s", err->text);
	enum pb_status status = pb_quantizer_run(&use, &job, out, err);
	pb_quantizer_use_free(&use);
	return status;
}

static inline struct pb_encoded *run_layer(const struct pb_quantizer *q, const char *options, const struct layer *l)
{
	struct pb_encoded *m = NULL;
	struct pb_error err = { .text = "" };
	if (try_layer(q, options, l, &m, &err))
		fail_msg("%s:%s: %s", q->name, options, err.text);
	return m;
}

/* tr((W - W^) H (W - W^)^T) */
static inline double loss_of(const struct layer *l, const float *decoded)
{
	double loss = 0, *d = get_memory(l->cols, sizeof *d);
	for (size_t r = 0; r < l->rows; r++) {
		for (size_t c = 0; c < l->cols; c++)
			d[c] = (double)l->w[r * l->cols + c] - decoded[r * l->cols + c];
		for (size_t a = 0; a < l->cols; a++) {
			double sum = 0;
			for (size_t b = 0; b < l->cols; b++)
				sum += l->h[a * l->cols + b] * d[b];
			loss += d[a] * sum;
		}
	}
	free(d);
	return loss;
}

static inline double loss_by(const struct pb_quantizer *q, const char *options, const struct layer *l)
{
	struct pb_encoded *m = run_layer(q, options, l);
	float *out = decoded(m);
	double loss = loss_of(l, out);
	free(out);
	pb_encoded_free(m);
	return loss;
}

static inline uint8_t *codes_of(const struct pb_encoded *m)
{
	uint8_t *codes = get_memory((size_t)m->rows * m->cols, 1);
	for (uint32_t r = 0; r < m->rows; r++)
		pb_unpack(m->width, m->packed + r * pb_packed_bytes(m->width, m->cols), 0, m->cols, codes + (size_t)r * m->cols);
	return codes;
}

/* A file of tests/vectors/NAME/layer.txt on drawn_layer(256, 512, 37): cases of one line "options loss loss_of_rtn" and CRC-32 of
 * each row's codes, one byte a code. Of 131072 weights a few
 * lie so near to the middle of two values that rounding errors decide, and with them the rest of their rows. */
static inline void check_vector(const struct pb_quantizer *q, const char *name, int cases)
{
	char path[512], options[128];
	snprintf(path, sizeof path, "%.*s/../vectors/%s/layer.txt", (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__, name);
	FILE *f = fopen(path, "r");
	if (!f)
		fail_msg("%s is not there", path);
	struct layer l = drawn_layer(256, 512, 37);
	double loss, rtn_loss;
	while (fscanf(f, "%127s %lf %lf", options, &loss, &rtn_loss) == 3) {
		struct pb_encoded *m = run_layer(q, options, &l);
		float *out = decoded(m);
		uint8_t *codes = codes_of(m);
		int other = 0;
		for (uint32_t r = 0; r < l.rows; r++) {
			unsigned expected;
			assert_int_equal(fscanf(f, "%x", &expected), 1);
			other += crc32(0, codes + (size_t)r * l.cols, l.cols) != expected;
		}
		double got = loss_of(&l, out);
		assert_true(got < 1.001 * rtn_loss);
		if (other > 8 || fabs(got - loss) > (other ? 1e-3 : 1e-5) * loss)
			fail_msg("%s: %d rows differ, loss %.9g, expected %.9g", options, other, got, loss);
		free(codes);
		free(out);
		pb_encoded_free(m);
		cases--;
	}
	assert_int_equal(cases, 0);
	fclose(f);
	free_layer(&l);
}

/* a = L L^T, L in the lower triangle */
static inline void cholesky(double *a, uint32_t n)
{
	for (size_t j = 0; j < n; j++)
		for (size_t i = j; i < n; i++) {
			double sum = a[i * n + j];
			for (size_t k = 0; k < j; k++)
				sum -= a[i * n + k] * a[j * n + k];
			a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
		}
}

/* Of a symmetric positive definite matrix, by Gauss and Jordan. */
static inline void invert(double *a, uint32_t n)
{
	for (size_t p = 0; p < n; p++) {
		double pivot = 1 / a[p * n + p];
		a[p * n + p] = 1;
		for (size_t j = 0; j < n; j++)
			a[p * n + j] *= pivot;
		for (size_t i = 0; i < n; i++) {
			double factor = a[i * n + p];
			if (i == p)
				continue;
			a[i * n + p] = 0;
			for (size_t j = 0; j < n; j++)
				a[i * n + j] -= factor * a[p * n + j];
		}
	}
}

/* U upper triangular with a^-1 = U^T U: a becomes U^T, that is U column after column. */
static inline void inverse_factor(double *a, uint32_t n)
{
	invert(a, n);
	cholesky(a, n);
}

#endif
