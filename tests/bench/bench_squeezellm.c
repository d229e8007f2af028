/* Speed of squeezellm: k-means of all rows of a layer by both solvers, then the whole plugin on it, with 1 and 2 threads.
 *
 *   bench_squeezellm [-r ROWS] [-c COLS]      4096 x 4096 by default
 *
 * Weights are normal, sensitivities squares of normal numbers; once as f32, where hardly two weights of a row are equal, and
 * once rounded to bf16, as most models come, where many are. As in the product work is divided by matrices: the layer is two
 * matrices of half its rows, one task of the pool each. Processor time is beside the clock's, so that it holds on a busy machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/pool.h"
#include "core/base/rng.h"
#include "quantizers/kmeans1d.h"
#include "quantizers/quantizer.h"

enum { HALVES = 2, MOST_LEVELS = 16 };

struct layer {
	uint32_t rows, cols;            /* of a half */
	float *w, *f;                   /* (2 rows, cols) */
	unsigned k;
	bool lloyd;
	double cost[HALVES];
	const char *options;
	uint64_t bytes[HALVES];
};

static void give_up(const char *text)
{
	fprintf(stderr, "bench_squeezellm: %s\n", text);
	exit(1);
}

static double cpu_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double peak_mib(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_maxrss / 1024;
}

static void make_layer(struct layer *l)
{
	struct pb_rng r = pb_rng_make(1, 1);
	size_t n = (size_t)HALVES * l->rows * l->cols;
	l->w = pb_alloc(n, sizeof *l->w);
	l->f = pb_alloc(n, sizeof *l->f);
	if (!l->w || !l->f)
		give_up("out of memory");
	for (size_t i = 0; i < n; i++) {
		double z = pb_rng_normal(&r);
		l->w[i] = (float)(0.02 * pb_rng_normal(&r));
		l->f[i] = (float)(z * z);
	}
}

static void kmeans_half(void *arg, size_t task, unsigned worker)
{
	struct layer *l = arg;
	struct pb_kmeans1d *s;
	struct pb_error err;
	struct pb_rng rng = pb_rng_make(2, task);
	double centers[MOST_LEVELS];
	(void)worker;
	if (pb_kmeans1d_new(&s, l->cols, l->k, &err))
		give_up(err.text);
	l->cost[task] = 0;
	for (uint64_t r = task * l->rows; r < (task + 1) * l->rows; r++) {
		pb_kmeans1d_load(s, l->w + r * l->cols, l->f + r * l->cols, l->cols);
		if (l->lloyd)
			pb_kmeans1d_lloyd(s, l->k, 50, 1e-4, &rng, centers);
		else
			pb_kmeans1d_exact(s, l->k, centers);
		if (r % 64 == 0) /* a sample, to compare costs; it takes little time */
			l->cost[task] += pb_kmeans1d_cost(s, l->k, centers);
	}
	pb_kmeans1d_free(s);
}

static void quantize_half(void *arg, size_t task, unsigned worker)
{
	struct layer *l = arg;
	struct pb_quantizer_use use;
	struct pb_error err;
	size_t first = task * l->rows * l->cols;
	struct pb_quantize_job job = { .name = "half", .n_layers = 1, .rows = l->rows, .cols = l->cols, .weights = l->w + first, .source_dtype = PB_F32,
		.gradient_sq = l->f + first, .rng = pb_rng_make(2, task) };
	struct pb_encoded *m;
	(void)worker;
	if (pb_quantizer_use_parse(&use, l->options, &err) || pb_quantizer_run(&use, &job, &m, &err))
		give_up(err.text);
	l->bytes[task] = pb_encoded_bytes(m);
	pb_encoded_free(m);
	pb_quantizer_use_free(&use);
}

static double timed(struct layer *l, unsigned threads, pb_task_fn fn, double *cpu)
{
	struct pb_pool *pool;
	struct pb_error err;
	if (pb_pool_new(&pool, threads, &err))
		give_up(err.text);
	double begin = pb_clock_seconds();
	*cpu = cpu_seconds();
	pb_pool_run(pool, HALVES, fn, l);
	*cpu = cpu_seconds() - *cpu;
	double seconds = pb_clock_seconds() - begin;
	pb_pool_free(pool);
	return seconds;
}

static void bench_kmeans(struct layer *l)
{
	for (unsigned bits = 2; bits <= 4; bits++)
		for (int lloyd = 0; lloyd < 2; lloyd++) {
			l->k = 1u << bits;
			l->lloyd = lloyd;
			for (unsigned threads = 1; threads <= 2; threads++) {
				double cpu, seconds = timed(l, threads, kmeans_half, &cpu);
				printf("  %u bits, %s: %u thread%s %7.3f s, %7.1f us of a processor a row, sampled cost %.6g\n", bits, lloyd ? "lloyd" : "exact", threads,
					threads == 1 ? " " : "s", seconds, cpu / (HALVES * l->rows) * 1e6, l->cost[0] + l->cost[1]);
			}
		}
}

static void bench_plugin(struct layer *l, const char *options)
{
	l->options = options;
	for (unsigned threads = 1; threads <= 2; threads++) {
		double cpu, seconds = timed(l, threads, quantize_half, &cpu);
		printf("  %s: %u thread%s %.3f s (%.3f s of a processor), %.4f bits a weight, peak memory %.0f MiB\n", options, threads, threads == 1 ? "" : "s",
			seconds, cpu, 8.0 * (double)(l->bytes[0] + l->bytes[1]) / ((double)HALVES * l->rows * l->cols), peak_mib());
	}
}

int main(int argc, char **argv)
{
	struct layer l = { .rows = 4096 / HALVES, .cols = 4096 };
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "-r"))
			l.rows = (uint32_t)strtoul(argv[i + 1], NULL, 10) / HALVES;
		else if (!strcmp(argv[i], "-c"))
			l.cols = (uint32_t)strtoul(argv[i + 1], NULL, 10);
		else
			give_up("usage: bench_squeezellm [-r ROWS] [-c COLS]");
	}
	if (l.rows == 0 || l.cols == 0)
		give_up("a layer has at least 2 rows and 1 column");
	make_layer(&l);
	printf("%u x %u, f32; the layer and its sensitivities are %.0f MiB, peak memory %.0f MiB\n", HALVES * l.rows, l.cols,
		(double)HALVES * l.rows * l.cols * 8 / 1048576, peak_mib());
	bench_plugin(&l, "squeezellm:bits=3");
	bench_plugin(&l, "squeezellm:bits=3,sensitive=0.05,outliers=0.4");
	bench_plugin(&l, "squeezellm:bits=3,sensitive=0.05,outliers=2,rule=code,range=2");
	bench_kmeans(&l);
	for (size_t i = 0; i < (size_t)HALVES * l.rows * l.cols; i++)
		l.w[i] = pb_bf16_to_f32(pb_f32_to_bf16(l.w[i]));
	printf("%u x %u, rounded to bf16\n", HALVES * l.rows, l.cols);
	bench_kmeans(&l);
	pb_free(l.w);
	pb_free(l.f);
	return 0;
}
