/* From texts to requests: encodings of (context, continuation) pairs and a growing list of requests. */
#ifndef PB_TASKS_ENCODE_H
#define PB_TASKS_ENCODE_H

#include "tasks/task.h"

enum pb_pair_encoding {
	PB_PAIR_JOINT,              /* lm-evaluation-harness: context + continuation encoded together and cut at the context's own length */
	PB_PAIR_SEPARATE            /* encoded apart, no special tokens (OneBit's bundled harness) */
};

/* The token in front of everything: BOS, else EOS; -1 when the tokenizer has neither. */
int32_t pb_prefix_token(const struct pb_tokenizer *tokenizer);

struct pb_request_list {
	struct pb_task_requests *out;
	size_t capacity;
};
/* logprobs are made and set to NaN, greedy when wanted. tokens live in the arena of the requests. */
enum pb_status pb_request_add(struct pb_request_list *list, const int32_t *tokens, size_t n, size_t first, uint32_t group, bool greedy, struct pb_error *err) PB_MUST_CHECK;

/* Room for encoding pairs one after the other; a context that comes again is not encoded again. */
struct pb_pair_encoder {
	const struct pb_tokenizer *tokenizer;
	enum pb_pair_encoding encoding;
	uint32_t length;            /* longest input */
	struct pb_text context_text, text;
	struct pb_ids context, whole, tokens;
	bool has_context;
};
void pb_pair_encoder_free(struct pb_pair_encoder *e);
/* Adds the request of one pair, cut from the left to length + 1 tokens (counted in n_truncated). A pair that leaves no
 * token to predict, no token before it, or a continuation longer than the input is PB_FORMAT without a place. */
enum pb_status pb_request_add_pair(struct pb_request_list *list, struct pb_pair_encoder *e, const char *context, const char *continuation,
	uint32_t group, bool greedy, struct pb_error *err) PB_MUST_CHECK;

/* An arena copy of the ids with `front` before them when it is not negative. */
enum pb_status pb_ids_keep(struct pb_arena *arena, const struct pb_ids *ids, int32_t front, int32_t **out, struct pb_error *err) PB_MUST_CHECK;

/* Sum of a request's log-probabilities in double, in order; PB_NUMERIC with the position when one is not finite. */
enum pb_status pb_request_sum(const struct pb_request *request, double *sum, struct pb_error *err) PB_MUST_CHECK;
bool pb_request_greedy(const struct pb_request *request);

#endif
