/* Time and memory of quantizing one matrix, and several at once, with second moments of correlated inputs; and what sgemm
 * alone reaches on this machine, measured between the rounds.
 *
 *   bench_gptq [-q QUANTIZER] [-n ROWS] [-m COLS] [-j MATRICES] [-r ROUNDS]
 *
 * MATRICES are quantized side by side, one thread each, as the program does it. Peak memory is the process's, less what it
 * had before quantizing (the weights and moments of all matrices are the same arrays). */
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

static void give_up(const char *what)
{
	fprintf(stderr, "bench_gptq: %s\n", what);
	exit(1);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* MiB of VmHWM or VmRSS */
static double status_mib(const char *key)
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
static void forget_peak(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");

	if (f) {
		fputs("5", f);
		fclose(f);
	}
}

/* Flop a processor second of sgemm on 1024 x 1024 x 1024, one thread. */
static double sgemm_peak(void)
{
	enum { SIZE = 1024 };
	float *a = pb_alloc_zero(SIZE * SIZE, sizeof *a), *c = pb_alloc_zero(SIZE * SIZE, sizeof *c);
	double begin, seconds;
	long runs = 0;

	if (!a || !c)
		give_up("out of memory");
	for (begin = cpu_seconds(); (seconds = cpu_seconds() - begin) < 0.3; runs++)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIZE, SIZE, SIZE, 1, a, SIZE, a, SIZE, 0, c, SIZE);
	pb_free(a);
	pb_free(c);
	return 2.0 * SIZE * SIZE * SIZE * (double)runs / seconds;
}

struct work {
	struct pb_quantizer_use use;
	struct pb_quantize_job job;
};

static void quantize_task(void *arg, size_t task, unsigned worker)
{
	const struct work *work = arg;
	struct pb_encoded *m = NULL;
	struct pb_error err = { 0 };

	(void)task;
	(void)worker;
	if (pb_quantizer_run(&work->use, &work->job, &m, &err))
		give_up(err.text);
	pb_encoded_free(m);
}

static void run(const struct work *work, size_t matrices, double peak)
{
	struct pb_pool *pool;
	struct pb_error err = { 0 };

	if (pb_pool_new(&pool, (unsigned)matrices, &err))
		give_up(err.text);
	forget_peak();
	double before = status_mib("VmRSS:"), wall = pb_clock_seconds(), cpu = cpu_seconds();
	pb_pool_run(pool, matrices, quantize_task, (void *)work);
	wall = pb_clock_seconds() - wall;
	cpu = cpu_seconds() - cpu;
	printf("%zu at once  %7.3f s  %7.3f cpu-s  %7.3f cpu-s a matrix  %6.0f MiB more  sgemm %.0f GFLOP/cpu-s\n", matrices, wall, cpu,
		cpu / (double)matrices, status_mib("VmHWM:") - before, peak / 1e9);
	fflush(stdout);
	pb_pool_free(pool);
}

int main(int argc, char **argv)
{
	const char *quantizer = "gptq:bits=4,group_size=128";
	size_t rows = 4096, cols = 4096, matrices = 2;
	int rounds = 3;
	struct pb_error err = { 0 };
	struct work work = { 0 };
	struct pb_rng rng = pb_rng_make(1, 1);

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "-q"))
			quantizer = argv[i + 1];
		else if (!strcmp(argv[i], "-n"))
			rows = (size_t)atol(argv[i + 1]);
		else if (!strcmp(argv[i], "-m"))
			cols = (size_t)atol(argv[i + 1]);
		else if (!strcmp(argv[i], "-j"))
			matrices = (size_t)atol(argv[i + 1]);
		else if (!strcmp(argv[i], "-r"))
			rounds = atoi(argv[i + 1]);
		else
			give_up("usage: bench_gptq [-q QUANTIZER] [-n ROWS] [-m COLS] [-j MATRICES] [-r ROUNDS]");
	}
	if (pb_quantizer_use_parse(&work.use, quantizer, &err))
		give_up(err.text);
	openblas_set_num_threads(1);
	size_t tokens = 2 * cols;
	float *w = pb_alloc(rows * cols, sizeof *w), *x = pb_alloc(tokens * cols, sizeof *x), *h = pb_alloc_zero(cols * cols, sizeof *h),
		*mean_abs = pb_alloc_zero(cols, sizeof *mean_abs);
	if (!w || !x || !h || !mean_abs)
		give_up("out of memory");
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
	work.job = (struct pb_quantize_job){ .name = "m", .n_layers = 1, .rows = (uint32_t)rows, .cols = (uint32_t)cols, .weights = w, .second_moment = h,
		.mean_abs = mean_abs };
	printf("%s, %zu x %zu\n", quantizer, rows, cols);
	for (int round = 0; round < rounds; round++) {
		double peak = sgemm_peak();
		run(&work, 1, peak);
		if (matrices > 1)
			run(&work, matrices, peak);
	}
	pb_quantizer_use_free(&work.use);
	pb_free(w);
	pb_free(h);
	pb_free(mean_abs);
	return 0;
}
