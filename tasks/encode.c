/* Encodings of pairs. */
#include <math.h>
#include <string.h>
#include "core/base/text.h"
#include "tasks/encode.h"
#include "tasks/whitespace.h"

int32_t pb_prefix_token(const struct pb_tokenizer *tokenizer)
{
	int32_t bos = pb_tokenizer_bos(tokenizer);

	return bos >= 0 ? bos : pb_tokenizer_eos(tokenizer);
}

enum pb_status pb_request_add(struct pb_request_list *list, const int32_t *tokens, size_t n, size_t first, uint32_t group, bool greedy, struct pb_error *err)
{
	struct pb_task_requests *out = list->out;
	struct pb_request *r;

	if (n > INT32_MAX)
		return pb_fail(err, PB_LIMIT, "a request of %zu tokens", n);
	if (out->n_requests == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 256;
		struct pb_request *grown = pb_arena_alloc(out->arena, capacity, sizeof(*grown));

		if (!grown)
			return pb_out_of_memory(err, "requests");
		if (out->n_requests)
			memcpy(grown, out->requests, out->n_requests * sizeof(*grown));
		out->requests = grown;
		list->capacity = capacity;
	}
	r = &out->requests[out->n_requests];
	*r = (struct pb_request){ .tokens = tokens, .n = (uint32_t)n, .first = (uint32_t)first, .group = group };
	r->logprobs = pb_arena_alloc(out->arena, n - first, sizeof(*r->logprobs));
	r->greedy = greedy ? pb_arena_alloc(out->arena, n - first, sizeof(*r->greedy)) : NULL;
	if (!r->logprobs || (greedy && !r->greedy))
		return pb_out_of_memory(err, "requests");
	/* A value that a backend does not fill must not look like a probability of one. */
	for (size_t i = 0; i < n - first; i++)
		r->logprobs[i] = NAN;
	out->n_requests++;
	return PB_OK;
}

void pb_pair_encoder_free(struct pb_pair_encoder *e)
{
	pb_text_free(&e->context_text);
	pb_text_free(&e->text);
	pb_ids_free(&e->context);
	pb_ids_free(&e->whole);
	pb_ids_free(&e->tokens);
}

static enum pb_status push(struct pb_ids *ids, int32_t id, struct pb_error *err)
{
	if (ids->n == ids->capacity) {
		size_t capacity = ids->capacity ? 2 * ids->capacity : 64;
		int32_t *data = pb_realloc(ids->data, capacity, sizeof(*data));

		if (!data)
			return pb_out_of_memory(err, "tokens");
		ids->data = data;
		ids->capacity = capacity;
	}
	ids->data[ids->n++] = id;
	return PB_OK;
}

static enum pb_status append(struct pb_ids *to, const int32_t *ids, size_t n, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; i < n && !st; i++)
		st = push(to, ids[i], err);
	return st;
}

/* The tokens of the context in e->context. */
static enum pb_status encode_context(struct pb_pair_encoder *e, const char *s, size_t n, enum pb_special special, struct pb_error *err)
{
	enum pb_status st;

	if (e->has_context && e->context_text.length == n && memcmp(pb_text_c(&e->context_text), s, n) == 0)
		return PB_OK;
	e->has_context = false;
	pb_text_clear(&e->context_text);
	pb_text_bytes(&e->context_text, s, n);
	e->context.n = 0;
	st = pb_tokenizer_encode(e->tokenizer, s, n, special, &e->context, err);
	if (!st)
		st = pb_text_check(&e->context_text, err);
	e->has_context = !st;
	return st;
}

/* Sets tokens to prefix and continuation; *first: where the continuation begins. A continuation that begins with the
 * prefix token gets no second one. */
static enum pb_status encode_empty_context(struct pb_pair_encoder *e, const char *continuation, size_t *first, struct pb_error *err)
{
	int32_t prefix = pb_prefix_token(e->tokenizer);
	enum pb_status st;

	if (prefix < 0)
		return pb_fail(err, PB_UNSUPPORTED, "the context is empty, and the tokenizer has neither BOS nor EOS to stand for it");
	e->whole.n = 0;
	st = pb_tokenizer_encode(e->tokenizer, continuation, strlen(continuation), PB_SPECIAL_NONE, &e->whole, err);
	if (!st && (!e->whole.n || e->whole.data[0] != prefix))
		st = push(&e->tokens, prefix, err);
	*first = 1;
	return st ? st : append(&e->tokens, e->whole.data, e->whole.n, err);
}

static enum pb_status encode_joint(struct pb_pair_encoder *e, const char *context, const char *continuation, size_t *first, struct pb_error *err)
{
	/* White space at the end of the context belongs to the continuation's first token. */
	size_t n = pb_without_space_after(context, strlen(context));
	enum pb_status st;

	if (!*context)
		return encode_empty_context(e, continuation, first, err);
	st = encode_context(e, context, n, PB_SPECIAL_DEFAULT, err);
	if (st)
		return st;
	pb_text_clear(&e->text);
	pb_text_string(&e->text, context);
	pb_text_string(&e->text, continuation);
	e->whole.n = 0;
	st = pb_text_check(&e->text, err);
	if (!st)
		st = pb_tokenizer_encode(e->tokenizer, pb_text_c(&e->text), e->text.length, PB_SPECIAL_DEFAULT, &e->whole, err);
	if (!st)
		st = append(&e->tokens, e->context.data, e->context.n, err);
	*first = e->context.n;
	/* Cut by count: where a token spans the border the two parts are not what `whole` is, and that is what is scored. */
	if (!st && e->whole.n > e->context.n)
		st = append(&e->tokens, e->whole.data + e->context.n, e->whole.n - e->context.n, err);
	return st;
}

static enum pb_status encode_separate(struct pb_pair_encoder *e, const char *context, const char *continuation, size_t *first, struct pb_error *err)
{
	int32_t eos = pb_tokenizer_eos(e->tokenizer);
	enum pb_status st;

	if (*context) {
		st = encode_context(e, context, strlen(context), PB_SPECIAL_NONE, err);
		if (!st)
			st = append(&e->tokens, e->context.data, e->context.n, err);
	} else if (eos < 0) {
		st = pb_fail(err, PB_UNSUPPORTED, "the context is empty, and the tokenizer has no EOS to stand for it");
	} else {
		st = push(&e->tokens, eos, err);
	}
	*first = e->tokens.n;
	return st ? st : pb_tokenizer_encode(e->tokenizer, continuation, strlen(continuation), PB_SPECIAL_NONE, &e->tokens, err);
}

enum pb_status pb_request_add_pair(struct pb_request_list *list, struct pb_pair_encoder *e, const char *context, const char *continuation,
	uint32_t group, bool greedy, struct pb_error *err)
{
	size_t first = 0, cut = 0, n, n_continuation;
	int32_t *tokens;
	enum pb_status st;

	e->tokens.n = 0;
	if (e->encoding == PB_PAIR_JOINT)
		st = encode_joint(e, context, continuation, &first, err);
	else
		st = encode_separate(e, context, continuation, &first, err);
	if (st)
		return st;
	n = e->tokens.n;
	n_continuation = n - first;
	if (n <= first)
		return pb_fail(err, PB_FORMAT, "the continuation \"%.40s\" has no token of its own", continuation);
	if (!first)
		return pb_fail(err, PB_FORMAT, "the context has no token");
	if (n_continuation > e->length)
		return pb_fail(err, PB_FORMAT, "the continuation has %zu tokens, more than the context of %u", n_continuation, e->length);
	if (n > (size_t)e->length + 1) {
		cut = n - e->length - 1;
		list->out->n_truncated++;
	}
	tokens = pb_arena_alloc(list->out->arena, n - cut, sizeof(*tokens));
	if (!tokens)
		return pb_out_of_memory(err, "tokens");
	memcpy(tokens, e->tokens.data + cut, (n - cut) * sizeof(*tokens));
	return pb_request_add(list, tokens, n - cut, first - cut, group, greedy, err);
}

enum pb_status pb_ids_keep(struct pb_arena *arena, const struct pb_ids *ids, int32_t front, int32_t **out, struct pb_error *err)
{
	size_t extra = front >= 0;
	int32_t *kept = pb_arena_alloc(arena, ids->n + extra + 1, sizeof(*kept));

	if (!kept)
		return pb_out_of_memory(err, "tokens");
	if (extra)
		kept[0] = front;
	if (ids->n)
		memcpy(kept + extra, ids->data, ids->n * sizeof(*kept));
	*out = kept;
	return PB_OK;
}

enum pb_status pb_request_sum(const struct pb_request *request, double *sum, struct pb_error *err)
{
	double total = 0;

	for (uint32_t i = 0; i < request->n - request->first; i++) {
		if (!isfinite(request->logprobs[i]))
			return pb_fail(err, PB_NUMERIC, "the log-probability of token %u of %u is not finite", i + 1, request->n - request->first);
		total += (double)request->logprobs[i];
	}
	*sum = total;
	return PB_OK;
}

bool pb_request_greedy(const struct pb_request *request)
{
	for (uint32_t i = 0; i < request->n - request->first; i++)
		if (!request->greedy[i])
			return false;
	return true;
}
