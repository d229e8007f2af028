/* Time of vptq on matrices side by side, one thread each, beside the time that its distance products alone would take at the
 * rate of sgemm on 1024 x 1024 x 1024, measured in as many threads before and after; the same for the search for the
 * nearest centroid alone; and peak memory.
 *
 *   bench_vptq [-n ROWS] [-m COLS] [-v LENGTH] [-k CENTROIDS] [-i ITERATIONS] [-j MATRICES] [-r ROUNDS]
 *
 * k-means makes all of its iterations, so that products can be counted: 2 LENGTH CENTROIDS flop for each vector that k-means
 * sees, in each iteration, and for each vector of the matrix in the column loop. */
#include "tests/bench/layer.h"
#include "quantizers/kmeans.h"

#define SAMPLE 65536    /* vectors that k-means of vptq sees, and for each centroid */
#define SAMPLE_EACH 64

struct work {
	struct pb_quantizer_use use;
	struct pb_quantize_job job;
	size_t length, centroids;
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

static void peak_task(void *arg, size_t task, unsigned worker)
{
	(void)worker;
	((double *)arg)[task] = sgemm_peak();
}

static void search_task(void *arg, size_t task, unsigned worker)
{
	const struct work *work = arg;
	struct pb_nearest *s = NULL;
	struct pb_error err = { 0 };
	size_t n = (size_t)work->job.rows * work->job.cols / work->length;
	uint32_t *index = need(pb_alloc(n, sizeof *index));

	(void)task;
	(void)worker;
	if (pb_nearest_new(&s, (uint32_t)work->centroids, (uint32_t)work->length, &err))
		give_up(err.text);
	pb_nearest_set(s, work->job.weights);
	pb_nearest_find(s, work->job.weights, n, index, NULL);
	pb_nearest_free(s);
	pb_free(index);
}

/* Processor seconds of a matrix. */
static double seconds_of(struct pb_pool *pool, size_t matrices, void (*task)(void *, size_t, unsigned), void *arg)
{
	double cpu = cpu_seconds();

	pb_pool_run(pool, matrices, task, arg);
	return (cpu_seconds() - cpu) / (double)matrices;
}

static double mean_peak(struct pb_pool *pool, size_t matrices)
{
	double *rates = need(pb_alloc(matrices, sizeof *rates)), sum = 0;

	pb_pool_run(pool, matrices, peak_task, rates);
	for (size_t i = 0; i < matrices; i++)
		sum += rates[i] / (double)matrices;
	pb_free(rates);
	return sum;
}

int main(int argc, char **argv)
{
	size_t rows = 4096, cols = 4096, length = 8, centroids = 4096, iterations = 20, matrices = 2, rounds = 3, unused;
	const struct {
		char flag;
		size_t *value;
	} flags[] = { { 'n', &rows }, { 'm', &cols }, { 'v', &length }, { 'k', &centroids }, { 'i', &iterations }, { 'j', &matrices }, { 'r', &rounds } };
	char text[128];
	struct work work = { 0 };
	struct pb_pool *pool;
	struct pb_error err = { 0 };

	for (int i = 1; i < argc; i += 2) {
		size_t *value = &unused;
		for (size_t f = 0; f < sizeof flags / sizeof *flags; f++)
			if (argv[i][0] == '-' && argv[i][1] == flags[f].flag)
				value = flags[f].value;
		if (value == &unused || i + 1 == argc)
			give_up("usage: bench_vptq [-n ROWS] [-m COLS] [-v LENGTH] [-k CENTROIDS] [-i ITERATIONS] [-j MATRICES] [-r ROUNDS]");
		*value = (size_t)atol(argv[i + 1]);
	}
	snprintf(text, sizeof text, "vptq:length=%zu,centroids=%zu,iterations=%zu,tolerance=0,samples=%d", length, centroids, iterations, SAMPLE_EACH);
	if (pb_quantizer_use_parse(&work.use, text, &err) || pb_pool_new(&pool, (unsigned)matrices, &err))
		give_up(err.text);
	openblas_set_num_threads(1);
	make_layer(&work.job, rows, cols);
	work.length = length;
	work.centroids = centroids;
	double vectors = (double)rows * (double)cols / (double)length, sample = SAMPLE + SAMPLE_EACH * (double)centroids;
	double each = 2.0 * (double)length * (double)centroids, flop = each * (vectors + (double)iterations * (sample < vectors ? sample : vectors));
	printf("%s, %zu x %zu, %zu at once: %.0f GFLOP of distances a matrix\n", text, rows, cols, matrices, flop / 1e9);
	for (size_t r = 0; r < rounds; r++) {
		double before = mean_peak(pool, matrices), search = seconds_of(pool, matrices, search_task, &work);
		forget_peak();
		double memory = status_mib("VmRSS:"), wall = pb_clock_seconds(), all = seconds_of(pool, matrices, quantize_task, &work);
		wall = pb_clock_seconds() - wall;
		memory = status_mib("VmHWM:") - memory;
		double rate = (before + mean_peak(pool, matrices)) / 2;
		printf("sgemm %.0f GFLOP/cpu-s  search of %.0f vectors %.2f cpu-s, %.2f times its products  all %.2f s, %.2f cpu-s a matrix, %.2f times its products  %.0f MiB more\n",
			rate / 1e9, vectors, search, search * rate / (each * vectors), wall, all, all * rate / flop, memory);
		fflush(stdout);
	}
	pb_quantizer_use_free(&work.use);
	pb_pool_free(pool);
	return 0;
}
