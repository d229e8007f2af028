/* Speed of scoring: tokens and GFLOP a second of each backend with 1 and 2 threads, beside what sgemm alone reaches on the
 * same products, one after the other in one thread. Shares are of processor time, so that they hold on a busy machine.
 *
 *   bench_score [-n TOKENS] [-l LENGTH] [MODEL]      without MODEL: two synthetic ones
 *
 * Tokens are drawn at random; the work does not depend on them. All positions are scored. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "backends/forward.h"
#include "backends/backend.h"

static void give_up(const struct pb_error *err)
{
	fprintf(stderr, "bench_score: %s\n", err->text);
	exit(1);
}

static void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "bench_score: out of memory\n");
		exit(1);
	}
	return p;
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A llama2.c checkpoint in memory with random weights. */
static struct pb_model *make_model(const char *name, const int32_t header[7], void **bytes)
{
	size_t dim = (size_t)header[0], hidden = (size_t)header[1], layers = (size_t)header[2], heads = (size_t)header[3], kv_heads = (size_t)header[4];
	size_t n_vocab = (size_t)header[5], context = (size_t)header[6], kv = dim * kv_heads / heads;
	size_t n = n_vocab * dim + layers * (2 * dim + 2 * dim * dim + 2 * dim * kv + 3 * dim * hidden) + dim + context * (dim / heads);
	char *file = need(pb_alloc(28 + n * 4, 1));
	struct pb_rng rng = pb_rng_make(1, 1);
	struct pb_model *model;
	struct pb_error err = { 0 };

	memcpy(file, header, 28);
	for (size_t i = 0; i < n; i++) {
		float w = (float)(pb_rng_unit(&rng) - 0.5) * 0.2f;

		memcpy(file + 28 + i * 4, &w, 4);
	}
	*bytes = file;
	if (pb_model_parse_llama2c(&model, name, file, 28 + n * 4, &err))
		give_up(&err);
	return model;
}

/* Processor seconds of one sgemm, C (m, n) = A (m, k) B, with the strides that the backend uses. */
static double sgemm_seconds(enum CBLAS_TRANSPOSE b_kind, int m, int n, int k, int a_stride, int b_stride, int c_stride)
{
	size_t b_rows = (size_t)(b_kind == CblasTrans ? n : k);
	float *a = need(pb_alloc((size_t)m * (size_t)a_stride, 4)), *b = need(pb_alloc(b_rows * (size_t)b_stride, 4)), *c = need(pb_alloc((size_t)m * (size_t)c_stride, 4));
	double begin, seconds;
	long runs = 0;

	for (size_t i = 0; i < (size_t)m * (size_t)a_stride; i++)
		a[i] = (float)(i % 7) - 3;
	for (size_t i = 0; i < b_rows * (size_t)b_stride; i++)
		b[i] = (float)(i % 5) - 2;
	for (begin = cpu_seconds(); (seconds = cpu_seconds() - begin) < 0.05; runs++)
		cblas_sgemm(CblasRowMajor, CblasNoTrans, b_kind, m, n, k, 1, a, a_stride, b, b_stride, 0, c, c_stride);
	pb_free(a);
	pb_free(b);
	pb_free(c);
	return seconds / (double)runs;
}

struct work {
	double flop, seconds;   /* of one token; seconds of sgemm in one thread */
};

static void add_map(struct work *w, const char *name, uint32_t rows, uint32_t cols, uint32_t times)
{
	double flop = 2.0 * rows * cols, seconds = 0;

	for (uint32_t first = 0, n; first < rows; first += n) {
		n = rows - first < 256 ? rows - first : 256;
		seconds += sgemm_seconds(CblasTrans, PB_TOKEN_CHUNK, (int)n, (int)cols, (int)cols, (int)cols, (int)rows) / PB_TOKEN_CHUNK;
	}
	printf("  sgemm %-10s %5u x %-5u %7.1f GFLOP/s\n", name, rows, cols, flop / seconds / 1e9);
	w->flop += flop * times;
	w->seconds += seconds * times;
}

/* Attention in blocks of queries, as far as it is causal; blocks are done whole. */
static void add_attention(struct work *w, const struct pb_config *c, uint32_t length)
{
	int head = (int)c->head_dim, q = (int)(c->n_heads * c->head_dim), kv = (int)(c->n_kv_heads * c->head_dim), block = PB_QUERY_BLOCK;
	double scores = 0, values = 0, flop = 0, times = (double)c->n_layers * c->n_heads / length;

	for (uint32_t end = PB_QUERY_BLOCK; end <= length; end += PB_QUERY_BLOCK) {
		scores += sgemm_seconds(CblasTrans, block, (int)end, head, q, kv, (int)end);
		values += sgemm_seconds(CblasNoTrans, block, head, (int)end, (int)end, kv, q);
		flop += 2.0 * block * end * head;
	}
	printf("  sgemm scores     %7.1f GFLOP/s\n  sgemm values     %7.1f GFLOP/s\n", flop / scores / 1e9, flop / values / 1e9);
	w->flop += 2.0 * length * length * head * times;
	w->seconds += (scores + values) * times;
}

static struct work measure_floor(const struct pb_config *c, uint32_t length)
{
	uint32_t q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
	struct work w = { 0 };

	openblas_set_num_threads(1);
	add_map(&w, "q", q, c->dim, c->n_layers);
	add_map(&w, "k, v", kv, c->dim, 2 * c->n_layers);
	add_map(&w, "o", c->dim, q, c->n_layers);
	add_map(&w, "gate, up", c->hidden, c->dim, 2 * c->n_layers);
	add_map(&w, "down", c->dim, c->hidden, c->n_layers);
	add_map(&w, "head", c->n_vocab, c->dim, 1);
	add_attention(&w, c, length);
	return w;
}

static double score_seconds(const struct pb_backend *b, const struct pb_model *model, unsigned threads, uint32_t length, size_t n, double *cpu)
{
	struct pb_request *requests = need(pb_alloc_zero(n, sizeof *requests));
	int32_t *tokens = need(pb_alloc((size_t)length + 1, n * sizeof *tokens));
	float *logprobs = need(pb_alloc(length, n * sizeof *logprobs));
	void *options = need(pb_alloc_zero(1, b->options_size + 1));
	struct pb_rng rng = pb_rng_make(2, 2);
	struct pb_session *session;
	struct pb_pool *pool;
	struct pb_error err = { 0 };
	double begin, seconds;

	for (size_t i = 0; i < (length + 1) * n; i++)
		tokens[i] = (int32_t)pb_rng_below(&rng, model->config.n_vocab);
	for (size_t i = 0; i < n; i++)
		requests[i] = (struct pb_request){ .tokens = tokens + i * (length + 1), .n = length + 1, .first = 1, .group = (uint32_t)i, .logprobs = logprobs + i * length };
	pb_options_default(b->options, options);
	if (pb_pool_new(&pool, threads, &err) || b->open(&session, model, options, pool, &err))
		give_up(&err);
	begin = pb_clock_seconds();
	*cpu = -cpu_seconds();
	if (b->score(session, requests, n, NULL, NULL, &err))
		give_up(&err);
	seconds = pb_clock_seconds() - begin;
	*cpu += cpu_seconds();
	b->close(session);
	pb_pool_free(pool);
	pb_free(options);
	pb_free(requests);
	pb_free(tokens);
	pb_free(logprobs);
	return seconds;
}

static void bench(const struct pb_model *model, uint32_t length, size_t n_tokens)
{
	const struct pb_config *c = &model->config;
	struct work w;

	if (length > c->context)
		length = c->context;
	printf("%s: dim %u, %u layers, hidden %u, vocabulary %u, sequences of %u tokens\n", model->name, c->dim, c->n_layers, c->hidden, c->n_vocab, length);
	w = measure_floor(c, length);
	printf("  %.3f MFLOP a token; sgemm alone takes %.3f us a token: %.1f GFLOP/s\n", w.flop / 1e6, w.seconds * 1e6, w.flop / w.seconds / 1e9);
	for (size_t i = 0; i < pb_n_backends; i++) {
		for (unsigned threads = 1; threads <= 2; threads++) {
			size_t share = strcmp(pb_backends[i]->name, "reference") ? n_tokens : n_tokens / 10, n = share / length + 1;
			double cpu, seconds = score_seconds(pb_backends[i], model, threads, length, n, &cpu), tokens = (double)n * length;

			printf("  %-10s %u thread%s %9.0f tokens/s %6.1f GFLOP/s; a token: %8.2f us of a processor, %5.1f GFLOP/s, %5.1f %% of sgemm alone\n",
				pb_backends[i]->name, threads, threads == 1 ? " " : "s", tokens / seconds, w.flop * tokens / seconds / 1e9,
				cpu / tokens * 1e6, w.flop * tokens / cpu / 1e9, 100 * w.seconds * tokens / cpu);
		}
	}
}

int main(int argc, char **argv)
{
	static const int32_t headers[2][7] = { { 64, 172, 5, 8, 4, 512, 512 }, { 288, 768, 6, 6, 6, 32000, 512 } };
	static const char *const names[2] = { "dim 64", "dim 288" };
	const char *path = NULL;
	size_t n_tokens = 0;
	uint32_t length = 413;
	struct pb_model *model;
	struct pb_error err = { 0 };

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-n") && i + 1 < argc)
			n_tokens = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "-l") && i + 1 < argc)
			length = (uint32_t)strtoul(argv[++i], NULL, 10);
		else
			path = argv[i];
	}
	if (path) {
		if (pb_model_open(&model, path, &err))
			give_up(&err);
		bench(model, length, n_tokens ? n_tokens : 100000);
		pb_model_close(model);
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		void *bytes;

		model = make_model(names[i], headers[i], &bytes);
		bench(model, length, n_tokens ? n_tokens : i ? 5000 : 100000);
		pb_model_close(model);
		pb_free(bytes);
	}
	return 0;
}
