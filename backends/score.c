#include "backends/score.h"

#include <math.h>
#include "core/base/memory.h"
#include "backends/diverge.h"

/* Logits kept at a time: 64 MiB, within these limits of rows. */
#define LOGIT_FLOATS (1u << 24)
#define LOGIT_ROWS_MIN 64u
#define ROWS_TASK 16u           /* rows of one task of the sums */

/* A part of one sequence in a batch: its tokens are those of requests[first .. first + n_requests) at these positions. */
struct piece {
	size_t first, n_requests;
	uint32_t position, n;
	uint32_t row;           /* in the batch */
	uint32_t scored;        /* first position whose logits are needed; position + n: none are */
	uint32_t place;         /* of that position in the list of rows */
};

struct pb_session {
	struct pb_forward *forward;
	/* The batch that is being put together. A sequence has one node, whatever the number of its pieces. */
	struct pb_span *spans;
	struct piece *pieces;
	struct pb_kv *nodes;
	uint32_t n_pieces, n_nodes, n_tokens;
	/* Rows whose logits are needed. */
	uint32_t *rows;
	uint32_t logit_rows;
	float *logits;          /* (logit_rows, n_vocab) */
	double *log_sum;        /* (logit_rows) */
	float *largest;         /* (logit_rows) */
	struct pb_row_divergence *divergences; /* (logit_rows) */
	/* The call that is answered. */
	const struct pb_request *requests;
	pb_progress_fn progress;
	void *arg;
	uint64_t done, total;   /* input tokens of requests, shared ones counted for each */
	struct pb_session *full; /* of a comparison: runs the same batches, its keys and values in the same slots; else NULL */
};

static inline uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t most(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* ---- opening ---- */

enum pb_status pb_session_open(struct pb_session **out, const struct pb_model *model, const struct pb_ops *ops, uint64_t cache_bytes,
	struct pb_pool *pool, struct pb_error *err)
{
	struct pb_session *s = pb_alloc_zero(1, sizeof *s);
	uint32_t n_vocab = model->config.n_vocab, fit = LOGIT_FLOATS / n_vocab / PB_TOKEN_CHUNK * PB_TOKEN_CHUNK;
	enum pb_status st;

	if (!s)
		return pb_out_of_memory(err, "a session");
	st = pb_forward_open(&s->forward, model, ops, cache_bytes, pool, err);
	if (st) {
		pb_session_close(s);
		return st;
	}
	s->logit_rows = most(LOGIT_ROWS_MIN, least(fit, PB_BATCH_TOKENS));
	s->spans = pb_alloc(PB_BATCH_TOKENS, sizeof *s->spans);
	s->pieces = pb_alloc(PB_BATCH_TOKENS, sizeof *s->pieces);
	s->nodes = pb_alloc(PB_BATCH_TOKENS + 2, sizeof *s->nodes);
	s->rows = pb_alloc(PB_BATCH_TOKENS, sizeof *s->rows);
	s->logits = pb_alloc_aligned(s->logit_rows, n_vocab * sizeof(float));
	s->log_sum = pb_alloc(s->logit_rows, sizeof *s->log_sum);
	s->largest = pb_alloc(s->logit_rows, sizeof *s->largest);
	s->divergences = pb_alloc(s->logit_rows, sizeof *s->divergences);
	if (!s->spans || !s->pieces || !s->nodes || !s->rows || !s->logits || !s->log_sum || !s->largest || !s->divergences) {
		pb_session_close(s);
		return pb_out_of_memory(err, "a session");
	}
	*out = s;
	return PB_OK;
}

void pb_session_close(struct pb_session *s)
{
	if (!s)
		return;
	pb_forward_close(s->forward);
	pb_free(s->spans);
	pb_free(s->pieces);
	pb_free(s->nodes);
	pb_free(s->rows);
	pb_free(s->logits);
	pb_free(s->log_sum);
	pb_free(s->largest);
	pb_free(s->divergences);
	pb_free(s);
}

const char *pb_session_kernel(const struct pb_session *s)
{
	return s->forward->native ? "native" : "decoded";
}

/* ---- from states to log-probabilities ---- */

/* Lists the rows whose logits are needed; returns how many. */
static uint32_t list_rows(struct pb_session *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_pieces; i++) {
		struct piece *p = &s->pieces[i];
		uint32_t first = UINT32_MAX;

		for (size_t r = p->first; r < p->first + p->n_requests; r++)
			first = least(first, s->requests[r].first);
		p->scored = least(most(p->position, first - 1), p->position + p->n);
		p->place = n;
		for (uint32_t t = p->scored; t < p->position + p->n; t++)
			s->rows[n++] = p->row + (t - p->position);
	}
	return n;
}

struct sums {
	struct pb_session *s;
	uint32_t n;
};

/* What is computed of whole rows of logits: their sums, or those beside full precision's. */
static void row_task(void *arg, size_t task, unsigned worker)
{
	const struct sums *sums = arg;
	struct pb_session *s = sums->s;
	uint32_t first = (uint32_t)task * ROWS_TASK, n_vocab = s->forward->model->config.n_vocab;

	(void)worker;
	for (uint32_t row = first; row < least(first + ROWS_TASK, sums->n); row++) {
		const float *logits = s->logits + (size_t)row * n_vocab;

		if (s->full)
			s->divergences[row] = pb_diverge(s->full->logits + (size_t)row * n_vocab, logits, n_vocab);
		else
			s->log_sum[row] = s->forward->ops->log_sum(logits, n_vocab, &s->largest[row]);
	}
}

/* Whether the token has the largest logit, and none before it has. */
static bool is_greedy(const float *logits, float largest, int32_t token)
{
	if (logits[token] != largest)
		return false;
	for (int32_t i = 0; i < token; i++)
		if (logits[i] == largest)
			return false;
	return true;
}

/* The token at place t + 1 of a request, from the logits of a row; false: not finite. */
static bool answer_score(struct pb_session *s, const struct pb_request *r, uint32_t t, uint32_t row)
{
	const float *logits = s->logits + (size_t)row * s->forward->model->config.n_vocab;
	int32_t token = r->tokens[t + 1];
	uint32_t out = t + 1 - r->first;
	double logprob = logits[token] - s->log_sum[row];

	r->logprobs[out] = (float)logprob;
	if (r->greedy)
		r->greedy[out] = is_greedy(logits, s->largest[row], token);
	return isfinite(logprob);
}

static bool answer_divergence(struct pb_session *s, const struct pb_request *r, uint32_t t, uint32_t row)
{
	size_t place = (size_t)row * s->forward->model->config.n_vocab + (size_t)r->tokens[t + 1];
	const struct pb_row_divergence *d = &s->divergences[row];
	struct pb_divergence *out = &r->divergence[t + 1 - r->first];

	*out = (struct pb_divergence){ d->kld, s->full->logits[place] - d->log_sum_full, s->logits[place] - d->log_sum_quantized, d->same_top };
	return isfinite(out->kld) && isfinite(out->full) && isfinite(out->quantized);
}

/* Answers one request's positions that lie in the piece, as far as their logits are there: n rows from place `first` on. */
static enum pb_status read_answers(struct pb_session *s, const struct piece *p, size_t request, uint32_t first, uint32_t n, struct pb_error *err)
{
	const struct pb_request *r = &s->requests[request];
	uint32_t from = most(r->first - 1, p->scored), to = least(r->n - 1, p->position + p->n);

	if (first > p->place)
		from = most(from, p->scored + (first - p->place));
	if (first + n < p->place + (p->position + p->n - p->scored))
		to = least(to, first + n > p->place ? p->scored + (first + n - p->place) : p->scored);
	for (uint32_t t = from; t < to; t++) {
		uint32_t row = p->place + (t - p->scored) - first;

		if (s->full && !answer_divergence(s, r, t, row))
			return pb_fail(err, PB_NUMERIC, "request %zu, position %u: the divergence from full precision is not finite", request, t + 1);
		if (!s->full && !answer_score(s, r, t, row))
			return pb_fail(err, PB_NUMERIC, "request %zu, position %u: log-probability is not finite", request, t + 1);
	}
	return PB_OK;
}

/* The batch through both models of a comparison, or the one; the second finds the nodes as the first did. */
static void run_batch(struct pb_session *s)
{
	pb_forward_run(s->forward, s->spans, s->n_pieces);
	if (!s->full)
		return;
	for (uint32_t i = 0; i < s->n_pieces; i++)
		s->spans[i].kv->length -= s->spans[i].n;
	pb_forward_run(s->full->forward, s->spans, s->n_pieces);
}

/* The logits of n rows from place `first` of the list on, and what is computed of whole rows. */
static void run_rows(struct pb_session *s, uint32_t first, uint32_t n)
{
	pb_forward_logits(s->forward, s->rows + first, n, s->logits);
	if (s->full)
		pb_forward_logits(s->full->forward, s->rows + first, n, s->full->logits);
	pb_pool_run(s->forward->pool, (n + ROWS_TASK - 1) / ROWS_TASK, row_task, &(struct sums){ s, n });
}

static enum pb_status score_batch(struct pb_session *s, struct pb_error *err)
{
	uint32_t n_rows;

	run_batch(s);
	n_rows = list_rows(s);
	for (uint32_t first = 0; first < n_rows; first += s->logit_rows) {
		uint32_t n = least(s->logit_rows, n_rows - first);

		run_rows(s, first, n);
		for (uint32_t i = 0; i < s->n_pieces; i++) {
			const struct piece *p = &s->pieces[i];

			for (size_t r = p->first; r < p->first + p->n_requests; r++) {
				enum pb_status st = read_answers(s, p, r, first, n, err);

				if (st)
					return st;
			}
		}
	}
	for (uint32_t i = 0; i < s->n_pieces; i++)
		s->done += (uint64_t)s->pieces[i].n * s->pieces[i].n_requests;
	return PB_OK;
}

/* ---- batches ---- */

/* Nodes that live on, in both stores of a comparison. */
static void keep_nodes(struct pb_session *s, struct pb_kv *const *kept, size_t n)
{
	struct pb_kv copies[2], *copied[2] = { &copies[0], &copies[1] };

	for (size_t i = 0; i < n; i++)
		copies[i] = *kept[i];
	if (s->full)
		pb_kv_keep(&s->full->forward->store, copied, n);
	pb_kv_keep(&s->forward->store, kept, n);
}

/* Runs the batch and begins the next one. *parent and *current (or NULL; a child of *parent) live on in it. */
static enum pb_status flush(struct pb_session *s, struct pb_kv **parent, struct pb_kv **current, struct pb_error *err)
{
	struct pb_kv *kept[2];
	size_t n = 0;
	enum pb_status st = score_batch(s, err);

	if (st)
		return st;
	if (s->done < s->total && s->progress && s->progress(s->arg, (double)s->done / (double)s->total))
		return pb_fail(err, PB_INTERRUPTED, "scoring: stopped");
	if (*parent) {
		s->nodes[0] = **parent;
		kept[n++] = *parent = &s->nodes[0];
	}
	if (current) {
		s->nodes[n] = **current;
		*current = &s->nodes[n];
		(*current)->parent = *parent;
		kept[n++] = *current;
	}
	keep_nodes(s, kept, n);
	s->n_nodes = (uint32_t)n;
	s->n_pieces = s->n_tokens = 0;
	return PB_OK;
}

/* Adds the tokens [start, start + n) of the requests, which have them in common. *parent: what they continue, or NULL; it moves
 * with the batch. out: where to leave the node, for children to come; or NULL. */
static enum pb_status add_sequence(struct pb_session *s, size_t request, size_t n_requests, uint32_t start, uint32_t n,
	struct pb_kv **parent, struct pb_kv **out, struct pb_error *err)
{
	struct pb_kv *node;
	enum pb_status st;

	if (n > PB_BATCH_TOKENS - s->n_tokens && s->n_tokens && (st = flush(s, parent, NULL, err)))
		return st;
	node = &s->nodes[s->n_nodes++];
	pb_kv_take(&s->forward->store, node, *parent, start, n);
	for (uint32_t done = 0, part; done < n; done += part) {
		if (s->n_tokens == PB_BATCH_TOKENS && (st = flush(s, parent, &node, err)))
			return st;
		part = least(n - done, PB_BATCH_TOKENS - s->n_tokens);
		s->spans[s->n_pieces] = (struct pb_span){ node, s->requests[request].tokens + start + done, part };
		s->pieces[s->n_pieces++] = (struct piece){
			.first = request,
			.n_requests = n_requests,
			.position = start + done,
			.n = part,
			.row = s->n_tokens,
		};
		s->n_tokens += part;
	}
	/* The store has room for one long sequence beside a batch: it is done with before others come. */
	if (n > PB_BATCH_TOKENS && (st = out ? flush(s, &node, NULL, err) : flush(s, parent, NULL, err)))
		return st;
	if (out)
		*out = node;
	return PB_OK;
}

/* Length of the longest common beginning of the inputs. */
static uint32_t common_prefix(const struct pb_request *r, size_t n)
{
	uint32_t length = r[0].n - 1;

	for (size_t i = 1; i < n; i++) {
		uint32_t same = 0, end = least(length, r[i].n - 1);

		while (same < end && r[i].tokens[same] == r[0].tokens[same])
			same++;
		length = same;
	}
	return length;
}

static enum pb_status check_requests(const struct pb_config *c, const struct pb_request *requests, size_t n, uint32_t *longest, uint64_t *total, struct pb_error *err)
{
	*longest = 0;
	*total = 0;
	for (size_t i = 0; i < n; i++) {
		const struct pb_request *r = &requests[i];

		if (r->first < 1 || r->first >= r->n)
			return pb_fail(err, PB_USAGE, "request %zu: tokens from %u on are asked of %u: at least one comes before them and one is asked", i, r->first, r->n);
		if (r->n - 1 > c->context)
			return pb_fail(err, PB_USAGE, "request %zu: %u tokens do not fit into a context of %u and one more", i, r->n, c->context);
		for (uint32_t t = 0; t < r->n; t++)
			if (r->tokens[t] < 0 || (uint32_t)r->tokens[t] >= c->n_vocab)
				return pb_fail(err, PB_USAGE, "request %zu, position %u: token %d is not in 0..%u", i, t, r->tokens[t], c->n_vocab - 1);
		*longest = most(*longest, r->n - 1);
		*total += r->n - 1;
	}
	return PB_OK;
}

/* full: or NULL, to score. */
static enum pb_status answer(struct pb_session *s, struct pb_session *full, const struct pb_request *requests, size_t n, pb_progress_fn progress, void *arg,
	struct pb_error *err)
{
	struct pb_kv *parent = NULL;
	uint32_t longest;
	enum pb_status st = check_requests(&s->forward->model->config, requests, n, &longest, &s->total, err);

	if (!st)
		st = pb_forward_reserve(s->forward, longest, err);
	if (!st && full)
		st = pb_forward_reserve(full->forward, longest, err);
	if (st)
		return st;
	s->full = full;
	s->requests = requests;
	s->progress = progress;
	s->arg = arg;
	s->done = 0;
	s->n_pieces = s->n_nodes = s->n_tokens = 0;
	for (size_t i = 0, end; i < n; i = end) {
		uint32_t prefix;

		for (end = i + 1; end < n && requests[end].group == requests[i].group;)
			end++;
		prefix = common_prefix(requests + i, end - i);
		parent = NULL;
		if (prefix && (st = add_sequence(s, i, end - i, 0, prefix, &parent, &parent, err)))
			return st;
		for (size_t r = i; r < end; r++) {
			uint32_t rest = requests[r].n - 1 - prefix;

			if (rest && (st = add_sequence(s, r, 1, prefix, rest, &parent, NULL, err)))
				return st;
		}
	}
	return s->n_pieces ? flush(s, &parent, NULL, err) : PB_OK;
}

enum pb_status pb_session_score(struct pb_session *s, const struct pb_request *requests, size_t n, pb_progress_fn progress, void *arg, struct pb_error *err)
{
	return answer(s, NULL, requests, n, progress, arg, err);
}

enum pb_status pb_session_compare(struct pb_session *full, struct pb_session *quantized, const struct pb_request *requests, size_t n,
	pb_progress_fn progress, void *arg, struct pb_error *err)
{
	const struct pb_config *a = &full->forward->model->config, *b = &quantized->forward->model->config;

	if (a->n_vocab != b->n_vocab || a->context != b->context)
		return pb_fail(err, PB_USAGE, "two models to compare: vocabularies of %u and %u tokens, contexts of %u and %u", a->n_vocab, b->n_vocab, a->context, b->context);
	return answer(quantized, full, requests, n, progress, arg, err);
}

/* ---- logits ---- */

enum pb_status pb_session_logits(struct pb_session *s, const int32_t *tokens, uint32_t n, int all, float *out, struct pb_error *err)
{
	struct pb_forward *f = s->forward;
	const struct pb_config *c = &f->model->config;
	struct pb_kv node;
	enum pb_status st;

	if (n < 1 || n > c->context)
		return pb_fail(err, PB_USAGE, "logits: %u tokens: a context of %u takes 1..%u", n, c->context, c->context);
	for (uint32_t t = 0; t < n; t++)
		if (tokens[t] < 0 || (uint32_t)tokens[t] >= c->n_vocab)
			return pb_fail(err, PB_USAGE, "logits: position %u: token %d is not in 0..%u", t, tokens[t], c->n_vocab - 1);
	if ((st = pb_forward_reserve(f, n, err)))
		return st;
	pb_kv_take(&f->store, &node, NULL, 0, n);
	for (uint32_t first = 0; first < n; first += PB_BATCH_TOKENS) {
		uint32_t part = least(PB_BATCH_TOKENS, n - first), from = all ? 0 : part - 1;

		pb_forward_run(f, &(struct pb_span){ &node, tokens + first, part }, 1);
		if (!all && first + part < n)
			continue;
		for (uint32_t i = from; i < part; i++)
			s->rows[i - from] = i;
		pb_forward_logits(f, s->rows, part - from, out + (all ? (size_t)first * c->n_vocab : 0));
	}
	return PB_OK;
}
