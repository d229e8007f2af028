/* Time and memory of quantizing one matrix, and several at once, with second moments of correlated inputs; and what sgemm
 * alone reaches on this machine, measured between the rounds.
 *
 *   bench_gptq [-q QUANTIZER] [-n ROWS] [-m COLS] [-j MATRICES] [-t THREADS] [-r ROUNDS]
 *
 * MATRICES are quantized side by side by THREADS threads, as the program does it. Peak memory is the process's, less what it
 * had before quantizing (the weights and moments of all matrices are the same arrays). */
#include "tests/bench/layer.h"

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
	forget_peak();
	double before = status_mib("VmRSS:"), wall = pb_clock_seconds(), cpu = cpu_seconds();
	pb_pool_run(work->job.pool, matrices, quantize_task, (void *)work);
	wall = pb_clock_seconds() - wall;
	cpu = cpu_seconds() - cpu;
	printf("%zu at once  %7.3f s  %7.3f cpu-s  %7.3f cpu-s a matrix  %6.0f MiB more  sgemm %.0f GFLOP/cpu-s\n", matrices, wall, cpu,
		cpu / (double)matrices, status_mib("VmHWM:") - before, peak / 1e9);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *quantizer = "gptq:bits=4,group_size=128";
	size_t rows = 4096, cols = 4096, matrices = 2;
	unsigned threads = 2;
	int rounds = 3;
	struct pb_error err = { 0 };
	struct work work = { 0 };

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "-q"))
			quantizer = argv[i + 1];
		else if (!strcmp(argv[i], "-n"))
			rows = (size_t)atol(argv[i + 1]);
		else if (!strcmp(argv[i], "-m"))
			cols = (size_t)atol(argv[i + 1]);
		else if (!strcmp(argv[i], "-j"))
			matrices = (size_t)atol(argv[i + 1]);
		else if (!strcmp(argv[i], "-t"))
			threads = (unsigned)atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "-r"))
			rounds = atoi(argv[i + 1]);
		else
			give_up("usage: bench_gptq [-q QUANTIZER] [-n ROWS] [-m COLS] [-j MATRICES] [-t THREADS] [-r ROUNDS]");
	}
	if (pb_quantizer_use_parse(&work.use, quantizer, &err))
		give_up(err.text);
	openblas_set_num_threads(1);
	make_layer(&work.job, rows, cols);
	if (pb_pool_new(&work.job.pool, threads, &err))
		give_up(err.text);
	printf("%s, %zu x %zu, %u threads\n", quantizer, rows, cols, threads);
	for (int round = 0; round < rounds; round++) {
		double peak = sgemm_peak();
		run(&work, 1, peak);
		if (matrices > 1)
			run(&work, matrices, peak);
	}
	pb_pool_free(work.job.pool);
	pb_quantizer_use_free(&work.use);
	return 0;
}
