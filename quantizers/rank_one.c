#include "quantizers/rank_one.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define MOST_ITERATIONS 200
#define ENOUGH 1e-6             /* change of b, relative to its length */
#define COLUMNS 256u            /* whose sums are held at a time */

const char *const pb_split_names[] = { "nmf", "svd", "svd_rows", NULL };

/* ---- numpy's RandomState(0).standard_normal ---- */

#define MT_WORDS 624
#define MT_AHEAD 397

/* MT19937 (Matsumoto and Nishimura, 1998) and the polar method, whose second number waits. */
struct twister {
	uint32_t words[MT_WORDS];
	unsigned used;
	bool has_second;
	double second;
};

static void seed(struct twister *t, uint32_t number)
{
	*t = (struct twister){ .used = MT_WORDS };
	t->words[0] = number;
	for (uint32_t i = 1; i < MT_WORDS; i++)
		t->words[i] = 1812433253u * (t->words[i - 1] ^ t->words[i - 1] >> 30) + i;
}

static uint32_t next_word(struct twister *t)
{
	uint32_t *w = t->words, y;

	if (t->used == MT_WORDS) {
		for (unsigned i = 0; i < MT_WORDS; i++) {
			y = (w[i] & 0x80000000u) | (w[(i + 1) % MT_WORDS] & 0x7fffffffu);
			w[i] = w[(i + MT_AHEAD) % MT_WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
		}
		t->used = 0;
	}
	y = w[t->used++];
	y ^= y >> 11;
	y ^= y << 7 & 0x9d2c5680u;
	y ^= y << 15 & 0xefc60000u;
	return y ^ y >> 18;
}

/* [0, 1), 53 bits */
static double next_unit(struct twister *t)
{
	uint32_t high = next_word(t) >> 5, low = next_word(t) >> 6;

	return (high * 67108864.0 + low) / 9007199254740992.0;
}

static double next_normal(struct twister *t)
{
	double x, y, square, factor;

	if (t->has_second) {
		t->has_second = false;
		return t->second;
	}
	do {
		x = 2 * next_unit(t) - 1;
		y = 2 * next_unit(t) - 1;
		square = x * x + y * y;
	} while (square >= 1 || square == 0);
	factor = sqrt(-2 * log(square) / square);
	t->second = factor * x;
	t->has_second = true;
	return factor * y;
}

/* ---- the fit ---- */

static double square_of(const float *x, uint32_t n)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (double)x[i] * x[i];
	return sum;
}

static void begin(const float *w, uint32_t rows, uint32_t cols, float *a, float *b)
{
	struct twister t;
	size_t n = (size_t)rows * cols;
	double sum = 0, size;

	for (size_t i = 0; i < n; i++)
		sum += fabsf(w[i]);
	size = sqrt(sum / (double)n);
	seed(&t, 0);
	for (uint32_t c = 0; c < cols; c++)
		b[c] = fabsf((float)(size * next_normal(&t)));
	for (uint32_t r = 0; r < rows; r++)
		a[r] = fabsf((float)(size * next_normal(&t)));
}

static void fit_rows(const float *w, uint32_t rows, uint32_t cols, const float *b, double square, float *a)
{
	for (uint32_t r = 0; r < rows; r++) {
		const float *row = w + (size_t)r * cols;
		double sum = 0;

		for (uint32_t c = 0; c < cols; c++)
			sum += (double)fabsf(row[c]) * b[c];
		a[r] = (float)(sum / square);
	}
}

/* Returns the squared length of the change of b. */
static double fit_columns(const float *w, uint32_t rows, uint32_t cols, const float *a, double square, float *b)
{
	double change = 0;

	for (uint32_t first = 0; first < cols; first += COLUMNS) {
		uint32_t n = cols - first < COLUMNS ? cols - first : COLUMNS;
		double sums[COLUMNS] = { 0 };

		for (uint32_t r = 0; r < rows; r++) {
			const float *row = w + (size_t)r * cols + first;
			double x = a[r];

			for (uint32_t c = 0; c < n; c++)
				sums[c] += fabsf(row[c]) * x;
		}
		for (uint32_t c = 0; c < n; c++) {
			float now = (float)(sums[c] / square), d = now - b[first + c];

			change += (double)d * d;
			b[first + c] = now;
		}
	}
	return change;
}

static void scale(float *x, uint32_t n, double factor)
{
	for (uint32_t i = 0; i < n; i++)
		x[i] = (float)(x[i] * factor);
}

unsigned pb_rank_one(const float *w, uint32_t rows, uint32_t cols, enum pb_split split, float *a, float *b)
{
	unsigned iterations = 0;
	double a_square, b_square, change;

	begin(w, rows, cols, a, b);
	b_square = square_of(b, cols);
	do {
		if (b_square > 0)
			fit_rows(w, rows, cols, b, b_square, a);
		a_square = square_of(a, rows);
		if (!(b_square > 0) || !(a_square > 0)) {
			memset(a, 0, rows * sizeof *a);
			memset(b, 0, cols * sizeof *b);
			return iterations;
		}
		change = fit_columns(w, rows, cols, a, a_square, b);
		b_square = square_of(b, cols);
		iterations++;
	} while (change > ENOUGH * ENOUGH * b_square && iterations < MOST_ITERATIONS);
	if (split == PB_SPLIT_SVD) {
		double ratio = sqrt(sqrt(b_square / a_square));

		scale(a, rows, ratio);
		scale(b, cols, 1 / ratio);
	} else if (split == PB_SPLIT_SVD_ROWS) {
		scale(a, rows, sqrt(b_square));
		scale(b, cols, 1 / sqrt(b_square));
	}
	return iterations;
}
