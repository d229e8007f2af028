/* What the benchmarks of methods that look at the inputs share: one layer with second moments of correlated inputs, clocks,
 * memory, and what sgemm alone reaches. Header only. */
#ifndef PB_TESTS_BENCH_LAYER_H
#define PB_TESTS_BENCH_LAYER_H

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/pool.h"
#include "core/base/rng.h"
#include "quantizers/quantizer.h"

static inline void give_up(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static inline void *need(void *p)
{
	if (!p)
		give_up("out of memory");
	return p;
}

static inline double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* MiB of VmHWM or VmRSS */
static inline double status_mib(const char *key)
{
	char line[256];
	double kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, key, strlen(key)))
			kib = atof(line + strlen(key) + 1);
	if (f)
		fclose(f);
	return kib / 1024;
}

/* The peak begins again. */
static inline void forget_peak(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");

	if (f) {
		fputs("5", f);
		fclose(f);
	}
}

static inline double thread_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Flop a processor second of sgemm on 1024 x 1024 x 1024, in this thread. */
static inline double sgemm_peak(void)
{
	enum { SIZE = 1024 };
	float *a = need(pb_alloc_zero(SIZE * SIZE, sizeof *a)), *c = need(pb_alloc_zero(SIZE * SIZE, sizeof *c));
	double begin, seconds;
	long runs = 0;

	for (begin = thread_seconds(); (seconds = thread_seconds() - begin) < 0.3; runs++)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIZE, SIZE, SIZE, 1, a, SIZE, a, SIZE, 0, c, SIZE);
	pb_free(a);
	pb_free(c);
	return 2.0 * SIZE * SIZE * SIZE * (double)runs / seconds;
}

/* Weights and moments for the job; never given back. */
static inline void make_layer(struct pb_quantize_job *job, size_t rows, size_t cols)
{
	struct pb_rng rng = pb_rng_make(1, 1);
	size_t tokens = 2 * cols;
	float *w = need(pb_alloc(rows * cols, sizeof *w)), *x = need(pb_alloc(tokens * cols, sizeof *x));
	float *h = need(pb_alloc_zero(cols * cols, sizeof *h)), *mean_abs = need(pb_alloc_zero(cols, sizeof *mean_abs));

	for (size_t i = 0; i < rows * cols; i++)
		w[i] = 0.02f * (float)(pb_rng_unit(&rng) + pb_rng_unit(&rng) - 1);
	for (size_t t = 0; t < tokens; t++)
		for (size_t c = 0; c < cols; c++) {
			float *at = x + t * cols + c;
			*at = (float)(1 + c % 3) * (float)(pb_rng_unit(&rng) - 0.5) + (c ? 0.5f * at[-1] : 0.0f);
			mean_abs[c] += (*at < 0 ? -*at : *at) / (float)tokens;
		}
	cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, (blasint)cols, (blasint)tokens, 1.0f / (float)tokens, x, (blasint)cols, 0, h, (blasint)cols);
	for (size_t a = 0; a < cols; a++)
		for (size_t b = 0; b < a; b++)
			h[a * cols + b] = h[b * cols + a];
	pb_free(x);
	*job = (struct pb_quantize_job){ .name = "m", .n_layers = 1, .rows = (uint32_t)rows, .cols = (uint32_t)cols, .weights = w, .second_moment = h,
		.mean_abs = mean_abs };
}

#endif
