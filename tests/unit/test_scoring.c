/* From requests to batches: shared beginnings, continued sequences, any number of threads, and everything that is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "backends/blas.c"
#include "backends/diverge.h"
#include "backends/reference.c"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"
#include "tests/unit/tiny_model.h"

#define CONTEXT (PB_BATCH_TOKENS + 400)

static const struct pb_backend *const both[2] = { &pb_backend_reference, &pb_backend_blas };
static const struct pb_ops *both_ops[2];
static const char *folder;

static void *get_memory(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	assert_non_null(p);
	return p;
}

static struct pb_model *open_model(void)
{
	char path[512];
	struct pb_model *model;

	snprintf(path, sizeof path, "%s/model.bin", folder);
	OK(pb_model_open(&model, path, ERR));
	return model;
}

static struct pb_session *open_session(const struct pb_backend *b, const struct pb_model *model, struct pb_pool *pool)
{
	struct blas_options options;
	struct pb_session *s;

	pb_options_default(blas_options, &options);
	OK(b->open(&s, model, b == &pb_backend_blas ? &options : NULL, pool, ERR));
	return s;
}

/* ---- lists of requests ---- */

struct list {
	size_t n;
	struct pb_request *requests;
	int32_t *tokens;
	float *logprobs;
	bool *greedy;
	size_t n_logprobs;
};

/* Adds a request of `common` tokens of the family's text and `own` random ones. */
static void add_request(struct list *l, struct pb_rng *rng, uint32_t group, uint32_t common, uint32_t own, uint32_t first)
{
	struct pb_request *r = &l->requests[l->n++];
	struct pb_rng family = pb_rng_make(group, 77);

	*r = (struct pb_request){ .tokens = l->tokens, .n = common + own, .first = first, .group = group, .logprobs = l->logprobs + l->n_logprobs, .greedy = l->greedy + l->n_logprobs };
	for (uint32_t i = 0; i < r->n; i++)
		*l->tokens++ = (int32_t)pb_rng_below(i < common ? &family : rng, 300);
	l->n_logprobs += r->n - first;
}

/* Families of all kinds: single ones, choices after a context, one-token choices with one input, whole texts, an input that
 * begins another one, nothing in common, prefixes and sequences of more than a batch, many small ones. */
static struct list make_list(void)
{
	struct list l = { .requests = get_memory(500, sizeof *l.requests), .logprobs = get_memory(40000, sizeof(float)), .greedy = get_memory(40000, sizeof(bool)) };
	struct pb_rng rng = pb_rng_make(1, 2);
	uint32_t group = 0;

	l.tokens = get_memory(60000, sizeof(int32_t));
	add_request(&l, &rng, group++, 30, 1, 1);
	for (int i = 0; i < 4; i++)
		add_request(&l, &rng, group, 50, 3 + (uint32_t)i, 50);
	for (int i = 0; i < 4; i++)
		add_request(&l, &rng, ++group, 5, 700, 5 + (uint32_t)i);
	group++;
	for (int i = 0; i < 3; i++)
		add_request(&l, &rng, group, 20, 1, 20);
	group++;
	for (int i = 0; i < 3; i++)
		add_request(&l, &rng, group, 40, 10, 1 + (uint32_t)i * 20);
	group++;
	add_request(&l, &rng, group, 25, 0, 3);
	add_request(&l, &rng, group, 45, 7, 10);
	add_request(&l, &rng, group, 25, 1, 25);
	group++;
	add_request(&l, &rng, group, 0, 9, 2);
	add_request(&l, &rng, group, 0, 12, 11);
	add_request(&l, &rng, group, 0, 2, 1);
	group++;
	for (int i = 0; i < 3; i++)
		add_request(&l, &rng, group, PB_BATCH_TOKENS + 150, 100 + (uint32_t)i, PB_BATCH_TOKENS - 20);
	group++;
	add_request(&l, &rng, group, 10, 30, 10);
	add_request(&l, &rng, group, 10, PB_BATCH_TOKENS + 300, 900);
	add_request(&l, &rng, group, 10, 40, 10);
	add_request(&l, &rng, group, 10, PB_BATCH_TOKENS, 900);
	group++;
	add_request(&l, &rng, group++, 0, PB_BATCH_TOKENS + 1, 1);
	add_request(&l, &rng, group++, 0, PB_BATCH_TOKENS + 2, 1);
	for (int i = 0; i < 300; i++)
		add_request(&l, &rng, group + (uint32_t)i / 150, 3, 1 + (uint32_t)i % 4, 3);
	return l;
}

static void free_list(struct list *l)
{
	free((void *)(uintptr_t)l->requests[0].tokens);
	free(l->requests);
	free(l->logprobs);
	free(l->greedy);
}

static float *score_list(const struct pb_backend *b, const struct list *l, const struct pb_model *model, struct pb_pool *pool)
{
	struct pb_session *s = open_session(b, model, pool);
	float *copy = get_memory(l->n_logprobs, sizeof *copy);

	memset(l->logprobs, 0xff, l->n_logprobs * sizeof(float));
	OK(b->score(s, l->requests, l->n, NULL, NULL, ERR));
	memcpy(copy, l->logprobs, l->n_logprobs * sizeof *copy);
	b->close(s);
	return copy;
}

/* ---- tests ---- */

/* Shared or each on its own, in a list or alone: the same bits from the reference, nearly the same from blas. */
static void sharing_is_not_seen(void **state)
{
	struct pb_model *model = open_model();
	struct list l = make_list();

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct pb_backend *b = both[i];
		struct pb_session *s = open_session(b, model, NULL);
		float *shared = score_list(b, &l, model, NULL);
		bool *greedy = get_memory(l.n_logprobs, sizeof *greedy);
		size_t n_greedy = 0;

		memcpy(greedy, l.greedy, l.n_logprobs * sizeof *greedy);
		for (size_t k = 0; k < l.n; k++)
			OK(b->score(s, &l.requests[k], 1, NULL, NULL, ERR));
		for (size_t k = 0; k < l.n_logprobs; k++) {
			float difference = fabsf(shared[k] - l.logprobs[k]);

			if (!(i == 0 ? difference == 0 : difference < 1e-5f))
				fail_msg("%s: %zu: %.9g alone, %.9g in the list", b->name, k, (double)l.logprobs[k], (double)shared[k]);
			assert_int_equal(greedy[k], l.greedy[k]);
			n_greedy += greedy[k];
		}
		assert_true(n_greedy > 0);
		b->close(s);
		free(shared);
		free(greedy);
	}
	free_list(&l);
	pb_model_close(model);
}

static void same_bits_for_any_threads(void **state)
{
	struct pb_model *model = open_model();
	struct list l = make_list();

	(void)state;
	for (int i = 0; i < 2; i++) {
		float *alone = score_list(both[i], &l, model, NULL);

		for (unsigned threads = 1; threads <= 3; threads++) {
			struct pb_pool *pool;

			OK(pb_pool_new(&pool, threads, ERR));
			float *found = score_list(both[i], &l, model, pool);
			assert_memory_equal(found, alone, l.n_logprobs * sizeof *found);
			free(found);
			pb_pool_free(pool);
		}
		free(alone);
	}
	free_list(&l);
	pb_model_close(model);
}

/* Token by token, in uneven parts and as a child of a parent: as in one pass. */
static void incremental_passes(void **state)
{
	enum { N = 90 };
	struct pb_model *model = open_model();
	uint32_t n_vocab = model->config.n_vocab, rows[N];
	float *whole = get_memory((size_t)N * n_vocab, sizeof *whole), *parts = get_memory((size_t)N * n_vocab, sizeof *parts);
	struct pb_rng rng = pb_rng_make(5, 5);
	int32_t tokens[N];

	(void)state;
	for (uint32_t t = 0; t < N; t++) {
		tokens[t] = (int32_t)pb_rng_below(&rng, n_vocab);
		rows[t] = t;
	}
	for (int i = 0; i < 2; i++) {
		static const uint32_t steps[] = { 1, 7, 64 };
		struct pb_forward *f;
		struct pb_kv kv, child;

		OK(pb_forward_open(&f, model, both_ops[i], 0, NULL, ERR));
		OK(pb_forward_reserve(f, N, ERR));
		pb_kv_take(&f->store, &kv, NULL, 0, N);
		pb_forward_run(f, &(struct pb_span){ &kv, tokens, N }, 1);
		pb_forward_logits(f, rows, N, whole);
		for (size_t k = 0; k <= sizeof steps / sizeof *steps; k++) {
			memset(parts, 0xff, (size_t)N * n_vocab * sizeof *parts);
			pb_kv_keep(&f->store, NULL, 0);
			if (k == sizeof steps / sizeof *steps) {
				/* A parent and its child in one batch; another node lies between them in the store. */
				pb_kv_take(&f->store, &child, NULL, 0, 30);
				pb_kv_take(&f->store, &kv, NULL, 0, 33);
				pb_forward_run(f, &(struct pb_span){ &child, tokens + 5, 30 }, 1);
				kv.length = 0;
				pb_forward_run(f, &(struct pb_span){ &kv, tokens, 20 }, 1);
				pb_forward_logits(f, rows, 20, parts);
				pb_kv_keep(&f->store, (struct pb_kv *[]){ &kv }, 1);
				pb_forward_run(f, &(struct pb_span){ &kv, tokens + 20, 13 }, 1);
				pb_forward_logits(f, rows, 13, parts + 20 * n_vocab);
				pb_kv_take(&f->store, &child, &kv, 33, N - 33);
				pb_forward_run(f, &(struct pb_span){ &child, tokens + 33, N - 33 }, 1);
				pb_forward_logits(f, rows, N - 33, parts + 33 * n_vocab);
			} else {
				pb_kv_take(&f->store, &kv, NULL, 0, N);
				for (uint32_t t = 0, n; t < N; t += n) {
					n = N - t < steps[k] ? N - t : steps[k];
					pb_forward_run(f, &(struct pb_span){ &kv, tokens + t, n }, 1);
					pb_forward_logits(f, rows, n, parts + (size_t)t * n_vocab);
				}
			}
			for (size_t j = 0; j < (size_t)N * n_vocab; j++)
				if (!(i == 0 ? whole[j] == parts[j] : fabsf(whole[j] - parts[j]) < 1e-5f))
					fail_msg("%s, way %zu, position %zu: %.9g, not %.9g", both[i]->name, k, j / n_vocab, (double)parts[j], (double)whole[j]);
		}
		pb_forward_close(f);
	}
	free(whole);
	free(parts);
	pb_model_close(model);
}

/* Makes all logits equal: the first token is the greedy one, and each has probability 1 / n_vocab. */
static void first_of_equal_ones_is_greedy(void **state)
{
	struct pb_model *model = open_model();
	float *zeros = get_memory((size_t)model->config.n_vocab * model->config.dim, sizeof *zeros);
	int32_t tokens[] = { 5, 0, 1, 299, 0 };
	float logprobs[4];
	bool greedy[4];
	struct pb_request r = { .tokens = tokens, .n = 5, .first = 1, .logprobs = logprobs, .greedy = greedy };

	(void)state;
	model->head.data = zeros;
	for (int i = 0; i < 2; i++) {
		struct pb_session *s = open_session(both[i], model, NULL);

		OK(both[i]->score(s, &r, 1, NULL, NULL, ERR));
		for (int t = 0; t < 4; t++) {
			assert_true(fabs(logprobs[t] + log(300)) < 1e-6);
			assert_int_equal(greedy[t], tokens[t + 1] == 0);
		}
		both[i]->close(s);
	}
	free(zeros);
	pb_model_close(model);
}

static void expect(enum pb_status found, const struct pb_error *err, enum pb_status status, const char *text)
{
	assert_int_equal(found, status);
	assert_int_equal(err->status, status);
	assert_string_equal(err->text, text);
}

static void bad_requests(void **state)
{
	struct pb_model *model = open_model();
	int32_t *tokens = get_memory(CONTEXT + 2, sizeof *tokens);
	float *logprobs = get_memory(CONTEXT + 2, sizeof *logprobs), *logits = get_memory(300, sizeof *logits);
	struct pb_error err;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct pb_backend *b = both[i];
		struct pb_session *s = open_session(b, model, NULL);
		struct pb_request r[2] = { { .tokens = tokens, .n = 5, .first = 1, .logprobs = logprobs }, { .tokens = tokens, .n = 5, .first = 1, .group = 1, .logprobs = logprobs } };

		r[1].first = 0;
		expect(b->score(s, r, 2, NULL, NULL, &err), &err, PB_USAGE, "request 1: tokens from 0 on are asked of 5: at least one comes before them and one is asked");
		r[1].first = 5;
		expect(b->score(s, r, 2, NULL, NULL, &err), &err, PB_USAGE, "request 1: tokens from 5 on are asked of 5: at least one comes before them and one is asked");
		r[1].first = 1;
		r[1].n = CONTEXT + 2;
		expect(b->score(s, r, 2, NULL, NULL, &err), &err, PB_USAGE, "request 1: 1426 tokens do not fit into a context of 1424 and one more");
		r[1].n = CONTEXT + 1;
		tokens[7] = 300;
		expect(b->score(s, r, 2, NULL, NULL, &err), &err, PB_USAGE, "request 1, position 7: token 300 is not in 0..299");
		expect(b->logits(s, tokens, 9, 0, logits, &err), &err, PB_USAGE, "logits: position 7: token 300 is not in 0..299");
		tokens[7] = -1;
		expect(b->score(s, r, 2, NULL, NULL, &err), &err, PB_USAGE, "request 1, position 7: token -1 is not in 0..299");
		tokens[7] = 0;
		expect(b->logits(s, tokens, 0, 0, logits, &err), &err, PB_USAGE, "logits: 0 tokens: a context of 1424 takes 1..1424");
		expect(b->logits(s, tokens, CONTEXT + 1, 0, logits, &err), &err, PB_USAGE, "logits: 1425 tokens: a context of 1424 takes 1..1424");
		/* The session is as good as before, up to its full length. */
		OK(b->score(s, r, 2, NULL, NULL, ERR));
		OK(b->score(s, NULL, 0, NULL, NULL, ERR));
		OK(b->logits(s, tokens, CONTEXT, 0, logits, ERR));
		b->close(s);
	}
	free(tokens);
	free(logprobs);
	free(logits);
	pb_model_close(model);
}

/* A weight that is not finite, an overflow in the head, one in the middle: the first position that shows it is named. */
static void numbers_that_are_not_finite(void **state)
{
	static const struct { int where; float value; const char *text; } cases[] = {
		{ 0, NAN, "request 1, position 3: log-probability is not finite" },
		{ 0, INFINITY, "request 1, position 3: log-probability is not finite" },
		{ 1, NAN, "request 0, position 3: log-probability is not finite" },
		{ 1, 3e38f, "request 0, position 3: log-probability is not finite" },
		{ 2, NAN, "request 0, position 3: log-probability is not finite" },
	};
	int32_t tokens[2][6] = { { 1, 2, 3, 4, 5, 6 }, { 1, 2, 250, 4, 5, 6 } };
	float logprobs[2][6];
	struct pb_request r[2];

	(void)state;
	for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
		for (int i = 0; i < 2; i++) {
			struct pb_model *model = open_model();
			size_t dim = model->config.dim, n_embedding = 300 * dim, n_down = (size_t)model->matrices[PB_DOWN].rows * model->matrices[PB_DOWN].cols;
			float *embedding = get_memory(n_embedding, sizeof *embedding), *down = get_memory(n_down, sizeof *down);
			struct pb_error err;

			pb_float_read(model->embedding.dtype, model->embedding.data, 0, n_embedding, embedding);
			OK(pb_matrix_read(&model->matrices[PB_DOWN], down, ERR));
			if (cases[k].where == 0)
				embedding[250 * dim + 3] = cases[k].value;
			else if (cases[k].where == 1)
				/* One row of the two has a sum that overflows to plus infinity. */
				for (size_t c = 0; c < dim; c++) {
					embedding[298 * dim + c] = c % 2 ? -cases[k].value : cases[k].value;
					embedding[299 * dim + c] = -embedding[298 * dim + c];
				}
			else
				down[5] = cases[k].value;
			/* Only the second request has the bad token as input; all have it in the head. */
			if (cases[k].where == 0)
				model->embedding.data = embedding;
			else if (cases[k].where == 1)
				model->head.data = embedding;
			else
				model->matrices[PB_DOWN].source.data = down;
			for (int q = 0; q < 2; q++)
				r[q] = (struct pb_request){ .tokens = tokens[q], .n = 6, .first = 3, .group = (uint32_t)q, .logprobs = logprobs[q] };
			struct pb_session *s = open_session(both[i], model, NULL);
			enum pb_status st = both[i]->score(s, r, 2, NULL, NULL, &err);
			expect(st, &err, PB_NUMERIC, cases[k].text);
			both[i]->close(s);
			free(embedding);
			free(down);
			pb_model_close(model);
		}
	}
}

struct watch {
	double last;
	int calls, stop_at;
};

static int watch_progress(void *arg, double done)
{
	struct watch *w = arg;

	assert_true(done > w->last && done < 1);
	w->last = done;
	return ++w->calls == w->stop_at;
}

static void progress_and_stop(void **state)
{
	struct pb_model *model = open_model();
	struct list l = make_list();

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct pb_session *s = open_session(both[i], model, NULL);
		struct watch w = { 0 };
		struct pb_error err;

		OK(both[i]->score(s, l.requests, l.n, watch_progress, &w, ERR));
		assert_true(w.calls > 5 && w.last > 0.5);
		w = (struct watch){ .stop_at = 3 };
		expect(both[i]->score(s, l.requests, l.n, watch_progress, &w, &err), &err, PB_INTERRUPTED, "scoring: stopped");
		assert_int_equal(w.calls, 3);
		both[i]->close(s);
	}
	free_list(&l);
	pb_model_close(model);
}

/* ---- comparisons ---- */

/* Room for what a comparison says of every position of the list. */
static struct pb_divergence *take_divergences(struct list *l)
{
	struct pb_divergence *all = get_memory(l->n_logprobs, sizeof *all);

	for (size_t k = 0, n = 0; k < l->n; n += l->requests[k].n - l->requests[k].first, k++)
		l->requests[k].divergence = all + n;
	return all;
}

static bool same_divergence(const struct pb_divergence *a, const struct pb_divergence *b)
{
	return a->kld == b->kld && a->full == b->full && a->quantized == b->quantized && a->same_top == b->same_top;
}

static void compare_list(const struct pb_backend *b, const struct list *l, const struct pb_model *full, const struct pb_model *quantized, struct pb_pool *pool)
{
	struct pb_session *s = open_session(b, full, pool), *q = open_session(b, quantized, pool);

	OK(b->compare(s, q, l->requests, l->n, NULL, NULL, ERR));
	b->close(s);
	b->close(q);
}

/* A second model of the same shape and other weights. */
static struct pb_model *open_other(void)
{
	char path[512];
	struct pb_model *model;

	snprintf(path, sizeof path, "%s/other.bin", folder);
	OK(pb_model_open(&model, path, ERR));
	return model;
}

/* Against logits of each request alone: shared beginnings and continued sequences are not seen; nor is the number of threads. */
static void comparisons(void **state)
{
	struct pb_model *model = open_model(), *other = open_other();
	struct list l = make_list();
	struct pb_divergence *found = take_divergences(&l), *again = get_memory(l.n_logprobs, sizeof *again);
	float *p = get_memory((size_t)CONTEXT * 300, sizeof *p), *q = get_memory((size_t)CONTEXT * 300, sizeof *q);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct pb_session *s = open_session(both[i], model, NULL), *o = open_session(both[i], other, NULL);
		size_t n_same = 0;

		compare_list(both[i], &l, model, other, NULL);
		for (size_t k = 0; k < l.n; k++) {
			const struct pb_request *r = &l.requests[k];

			OK(both[i]->logits(s, r->tokens, r->n - 1, 1, p, ERR));
			OK(both[i]->logits(o, r->tokens, r->n - 1, 1, q, ERR));
			for (uint32_t t = r->first; t < r->n; t++) {
				const float *a = p + (size_t)(t - 1) * 300, *c = q + (size_t)(t - 1) * 300;
				struct pb_row_divergence row = pb_diverge(a, c, 300);
				const struct pb_divergence *d = &r->divergence[t - r->first];
				double near = i == 0 ? 0 : 1e-5;

				if (!(fabs(d->kld - row.kld) <= near) || !(fabs(d->full - (a[r->tokens[t]] - row.log_sum_full)) <= near) ||
				    !(fabs(d->quantized - (c[r->tokens[t]] - row.log_sum_quantized)) <= near))
					fail_msg("%s: request %zu, position %u: %.9g, %.9g alone", both[i]->name, k, t, d->kld, row.kld);
				assert_int_equal(d->same_top, row.same_top);
				assert_true(d->kld > 0);
				n_same += d->same_top;
			}
		}
		assert_true(n_same > 0 && n_same < l.n_logprobs);
		memcpy(again, found, l.n_logprobs * sizeof *again);
		for (unsigned threads = 1; threads <= 3; threads++) {
			struct pb_pool *pool;

			OK(pb_pool_new(&pool, threads, ERR));
			memset(found, 0, l.n_logprobs * sizeof *found);
			compare_list(both[i], &l, model, other, pool);
			for (size_t k = 0; k < l.n_logprobs; k++)
				assert_true(same_divergence(&found[k], &again[k]));
			pb_pool_free(pool);
		}
		/* Sessions score as before, and a model is at no distance from itself. */
		OK(both[i]->compare(s, o, l.requests, l.n, NULL, NULL, ERR));
		OK(both[i]->score(o, l.requests, l.n, NULL, NULL, ERR));
		for (size_t k = 0; k < l.n_logprobs; k++)
			assert_true(fabs(l.logprobs[k] - found[k].quantized) < 1e-5);
		compare_list(both[i], &l, model, model, NULL);
		for (size_t k = 0; k < l.n_logprobs; k++)
			assert_true(found[k].kld == 0 && found[k].same_top && found[k].full == found[k].quantized);
		both[i]->close(s);
		both[i]->close(o);
	}
	free(p);
	free(q);
	free(again);
	free(found);
	free_list(&l);
	pb_model_close(model);
	pb_model_close(other);
}

static void comparisons_refused(void **state)
{
	struct pb_model *model = open_model(), *other = open_other();
	struct list l = make_list();
	struct pb_divergence *found = take_divergences(&l);
	float *head = get_memory((size_t)300 * model->config.dim, sizeof *head);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct pb_session *s = open_session(both[i], model, NULL), *o = open_session(both[i], other, NULL);
		struct watch w = { 0 };
		struct pb_error err;
		uint32_t n_vocab = other->config.n_vocab;

		OK(both[i]->compare(s, o, l.requests, l.n, watch_progress, &w, ERR));
		assert_true(w.calls > 5 && w.last > 0.5);
		w = (struct watch){ .stop_at = 3 };
		expect(both[i]->compare(s, o, l.requests, l.n, watch_progress, &w, &err), &err, PB_INTERRUPTED, "scoring: stopped");
		other->config.n_vocab = 200;
		expect(both[i]->compare(s, o, l.requests, l.n, NULL, NULL, &err), &err, PB_USAGE,
			"two models to compare: vocabularies of 300 and 200 tokens, contexts of 1424 and 1424");
		other->config.n_vocab = n_vocab;
		both[i]->close(o);
		/* Of either model. */
		head[17] = NAN;
		other->head.data = head;
		o = open_session(both[i], other, NULL);
		expect(both[i]->compare(s, o, l.requests, 1, NULL, NULL, &err), &err, PB_NUMERIC, "request 0, position 1: the divergence from full precision is not finite");
		expect(both[i]->compare(o, s, l.requests, 1, NULL, NULL, &err), &err, PB_NUMERIC, "request 0, position 1: the divergence from full precision is not finite");
		both[i]->close(s);
		both[i]->close(o);
		pb_model_close(other);
		other = open_other();
	}
	free(head);
	free(found);
	free_list(&l);
	pb_model_close(model);
	pb_model_close(other);
}

static void registry(void **state)
{
	struct pb_error err;
	struct pb_backend b;

	(void)state;
	for (size_t i = 0; i < pb_n_backends; i++) {
		OK(pb_backend_check(pb_backends[i], ERR));
		assert_ptr_equal(pb_backend_find(pb_backends[i]->name, NULL), pb_backends[i]);
		assert_true(i == 0 || strcmp(pb_backends[i - 1]->name, pb_backends[i]->name) < 0);
	}
	assert_null(pb_backend_find("refernce", &err));
	expect(err.status, &err, PB_USAGE, "backend 'refernce': there is none of that name\ndid you mean 'reference'?");
	assert_null(pb_backend_find("quantum", &err));
	assert_non_null(strstr(err.text, "\nthere are: blas, reference"));

	b = pb_backend_blas;
	b.abi++;
	expect(pb_backend_check(&b, &err), &err, PB_UNSUPPORTED, "backend blas: made for interface 3, this program has 2");
	b = pb_backend_blas;
	b.logits = NULL;
	expect(pb_backend_check(&b, &err), &err, PB_FAILED, "backend blas: logits is missing");
	b = pb_backend_blas;
	b.name = "No name";
	expect(pb_backend_check(&b, &err), &err, PB_FAILED, "backend 'No name': the name is not made of a-z, 0-9 and _");
}

/* Each allocation fails once, in a child of its own: the variable is read once a process. */
static void memory_that_is_out(void)
{
	enum { DONE = 0, REFUSED = 10, WRONG = 20 };
	unsigned refused = 0, done = 0;

	for (unsigned n = 1; n < 5000 && !done; n++) {
		pid_t child = fork();

		if (child == 0) {
			int32_t tokens[] = { 1, 2, 3, 4 };
			float logprobs[3];
			struct pb_divergence divergence[3];
			struct pb_request r = { .tokens = tokens, .n = 4, .first = 1, .logprobs = logprobs, .divergence = divergence };
			struct blas_options options = { .cache = 1 };
			struct pb_model *model;
			struct pb_session *s;
			struct pb_error err = { 0 };
			char text[16], path[512];
			enum pb_status st;

			snprintf(text, sizeof text, "%u", n);
			setenv("PB_TEST_FAIL_ALLOC", text, 1);
			snprintf(path, sizeof path, "%s/bf16", folder);
			st = pb_model_open(&model, path, &err);
			if (!st) {
				st = pb_backend_blas.open(&s, model, &options, NULL, &err);
				if (!st) {
					st = pb_backend_blas.score(s, &r, 1, NULL, NULL, &err);
					if (!st) {
						struct pb_session *full = NULL;

						st = pb_backend_blas.open(&full, model, &options, NULL, &err);
						if (!st) {
							st = pb_backend_blas.compare(full, s, &r, 1, NULL, NULL, &err);
							pb_backend_blas.close(full);
						}
					}
					pb_backend_blas.close(s);
				}
				pb_model_close(model);
			}
			exit(!st ? DONE : st == PB_MEMORY && err.status == PB_MEMORY && *err.text ? REFUSED : WRONG);
		}
		int status = 0;
		waitpid(child, &status, 0);
		if (!WIFEXITED(status) || (WEXITSTATUS(status) != DONE && WEXITSTATUS(status) != REFUSED)) {
			fprintf(stderr, "allocation %u: status %d\n", n, status);
			exit(1);
		}
		done += WEXITSTATUS(status) == DONE;
		refused += WEXITSTATUS(status) == REFUSED;
	}
	if (!done || refused < 40) {
		fprintf(stderr, "refused %u times only\n", refused);
		exit(1);
	}
}

/* In a child, so that this process has not allocated when memory is to run out. */
static int write_models(void)
{
	struct tiny_model m = tiny_model_default();
	struct pb_error err = { 0 };
	char path[512];

	m.context = CONTEXT;
	m.dim = 16;
	m.n_layers = 2;
	m.hidden = 24;
	snprintf(path, sizeof path, "%s/model.bin", folder);
	if (tiny_model_write_llama2c(path, &m, 0, &err))
		return 1;
	m.seed = 2;
	snprintf(path, sizeof path, "%s/other.bin", folder);
	if (tiny_model_write_llama2c(path, &m, 0, &err))
		return 1;
	m.seed = 1;
	m.dtype = PB_BF16;
	snprintf(path, sizeof path, "%s/bf16", folder);
	return tiny_model_write_folder(path, &m, &err) != PB_OK;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparisons),
		cmocka_unit_test(comparisons_refused),
		cmocka_unit_test(registry),
		cmocka_unit_test(sharing_is_not_seen),
		cmocka_unit_test(same_bits_for_any_threads),
		cmocka_unit_test(incremental_passes),
		cmocka_unit_test(first_of_equal_ones_is_greedy),
		cmocka_unit_test(bad_requests),
		cmocka_unit_test(numbers_that_are_not_finite),
		cmocka_unit_test(progress_and_stop),
	};
	int status = 1;

	folder = scratch_folder();
	both_ops[0] = &reference_ops;
	both_ops[1] = pb_blas_ops();
	pid_t child = fork();
	if (child == 0)
		exit(write_models());
	waitpid(child, &status, 0);
	if (status) {
		fprintf(stderr, "cannot write models\n");
		return 1;
	}
	memory_that_is_out();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	scratch_remove();
	return failed;
}
