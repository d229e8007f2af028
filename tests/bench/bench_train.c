/* Speed of training: tokens a second of whole steps (forward, backward, AdamW) for models of about 1 and 10 million
 * parameters, and the share of what sgemm alone reaches on this machine, measured between the rounds.
 *
 *   bench_train [-r ROUNDS] [-t THREADS] [-s STEPS]
 *
 * Work is counted as three times the forward pass: 2 flop for each weight and token, and for attention what is causal.
 * Shares are of processor time, so that they hold on a busy machine; tokens a second are of both. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "backends/train/train.h"

static void give_up(const char *what)
{
	fprintf(stderr, "bench_train: %s\n", what);
	exit(1);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Flop a processor second of sgemm on 512 x 512 x 512, one thread. */
static double sgemm_peak(void)
{
	enum { SIZE = 512 };
	size_t bytes = sizeof(float) * SIZE * SIZE;
	float *a = pb_alloc_aligned(1, bytes), *b = pb_alloc_aligned(1, bytes), *c = pb_alloc_aligned(1, bytes);
	double begin, seconds;
	long runs = 0;

	if (!a || !b || !c)
		give_up("out of memory");
	for (size_t i = 0; i < SIZE * SIZE; i++) {
		a[i] = (float)(i % 7) - 3;
		b[i] = (float)(i % 5) - 2;
	}
	openblas_set_num_threads(1);
	for (begin = cpu_seconds(); (seconds = cpu_seconds() - begin) < 0.3; runs++)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, SIZE, SIZE, SIZE, 1, a, SIZE, b, SIZE, 0, c, SIZE);
	pb_free(a);
	pb_free(b);
	pb_free(c);
	return 2.0 * SIZE * SIZE * SIZE * (double)runs / seconds;
}

struct shape {
	const char *name;
	struct pb_config config;
	int64_t sequences, length;
};

static double flop_a_token(const struct shape *s)
{
	const struct pb_config *c = &s->config;
	double q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim, layer = 2 * c->dim * q + 2 * c->dim * kv + 3.0 * c->dim * c->hidden;
	double attention = 2 * q * ((double)s->length + 1) / 2;

	return 6 * (c->n_layers * (layer + attention) + (double)c->n_vocab * c->dim);
}

static void run_shape(const struct shape *s, struct pb_pool *pool, int steps)
{
	struct pb_recipe recipe;
	struct pb_trainer *t;
	struct pb_step step = { 0 };
	struct pb_error err = { 0 };
	size_t n = (size_t)(s->sequences * s->length);
	int32_t *tokens = pb_alloc(n + 1, sizeof *tokens);
	struct pb_rng rng = pb_rng_make(1, 1);
	struct rusage usage;
	double wall, cpu, peak = sgemm_peak();

	if (!tokens)
		give_up("out of memory");
	for (size_t i = 0; i <= n; i++)
		tokens[i] = (int32_t)pb_rng_below(&rng, s->config.n_vocab);
	pb_options_default(pb_recipe_options, &recipe);
	recipe.sequences = s->sequences;
	recipe.length = s->length;
	if (pb_trainer_open(&t, &s->config, &recipe, NULL, pool, &err))
		give_up(err.text);
	pb_trainer_start(t);
	if (pb_trainer_step(t, tokens, tokens + 1, &step, &err))
		give_up(err.text);
	wall = pb_clock_seconds();
	cpu = cpu_seconds();
	for (int i = 0; i < steps; i++)
		if (pb_trainer_step(t, tokens, tokens + 1, &step, &err))
			give_up(err.text);
	wall = pb_clock_seconds() - wall;
	cpu = cpu_seconds() - cpu;
	getrusage(RUSAGE_SELF, &usage);
	printf("%-4s %10zu %8zu %12.0f %14.0f %10.1f %10.1f %7.1f %% %8ld MiB\n", s->name, pb_trainer_network(t)->layout.count, n, (double)n * steps / wall,
		(double)n * steps / cpu, flop_a_token(s) * (double)n * steps / cpu / 1e9, peak / 1e9, 100 * flop_a_token(s) * (double)n * steps / cpu / peak,
		usage.ru_maxrss >> 10);
	fflush(stdout);
	pb_trainer_close(t);
	pb_free(tokens);
}

int main(int argc, char **argv)
{
	const struct shape shapes[] = {
		{ "1M", { .architecture = "llama", .n_vocab = 1024, .dim = 128, .n_layers = 5, .n_heads = 4, .n_kv_heads = 4, .head_dim = 32, .hidden = 352,
			.context = 256, .norm_eps = 1e-5f, .rope_base = 10000, .tied_head = true, .bos = -1, .eos = -1 }, 16, 256 },
		{ "10M", { .architecture = "llama", .n_vocab = 2048, .dim = 320, .n_layers = 8, .n_heads = 10, .n_kv_heads = 5, .head_dim = 32, .hidden = 864,
			.context = 256, .norm_eps = 1e-5f, .rope_base = 10000, .tied_head = true, .bos = -1, .eos = -1 }, 16, 256 },
	};
	int rounds = 2, steps = 5;
	unsigned threads = pb_cpu_count();
	struct pb_pool *pool;
	struct pb_error err = { 0 };

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "-r"))
			rounds = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "-t"))
			threads = (unsigned)atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "-s"))
			steps = atoi(argv[i + 1]);
		else
			give_up("usage: bench_train [-r ROUNDS] [-t THREADS] [-s STEPS]");
	}
	if (pb_pool_new(&pool, threads, &err))
		give_up(err.text);
	openblas_set_num_threads(1);
	printf("%u threads\n%-4s %10s %8s %12s %14s %10s %10s %9s %12s\n", threads, "size", "parameters", "tokens", "tokens/s", "tokens/cpu-s", "GFLOP/s",
		"sgemm", "share", "peak memory");
	for (int round = 0; round < rounds; round++)
		for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
			run_shape(&shapes[i], pool, steps);
	pb_pool_free(pool);
	return 0;
}
