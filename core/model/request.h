/* What is asked of a backend: the log-probability of tokens after others. Tasks make requests,
 * backends answer them; neither knows the other. */
#ifndef PB_CORE_MODEL_REQUEST_H
#define PB_CORE_MODEL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the distributions over the next token of two models differ in, at one position; natural logarithms. */
struct pb_divergence {
	double kld;             /* of the quantized model from the full-precision one: sum p (ln p - ln q), over the whole vocabulary; >= 0 */
	double full, quantized; /* log-probability of the token that follows, in either */
	bool same_top;          /* both have the same most likely token (the first of equal ones) */
};

/* tokens[first .. n) are predicted, each from all tokens before it; the input is tokens[0 .. n-1). 1 <= first < n. */
struct pb_request {
	const int32_t *tokens;
	uint32_t n, first;
	uint32_t group;         /* neighbours in the list with the same group share the work of their common prefix */
	float *logprobs;        /* out: (n - first), natural logarithm */
	bool *greedy;           /* out: (n - first), the token is the arg-max (first maximum); or NULL */
	struct pb_divergence *divergence; /* out of a comparison, which fills nothing else: (n - first); or NULL */
};

#endif
