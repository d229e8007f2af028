/* Batches from one long list of tokens: it is cut into windows of equal length, which are taken in a new random order in
 * each epoch. A window's place in the order is a function of seed and position alone. */
#ifndef PB_BACKENDS_TRAIN_BATCHES_H
#define PB_BACKENDS_TRAIN_BATCHES_H

#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"

struct pb_batches {
	const int32_t *tokens;
	uint32_t length;
	uint32_t n_windows;
	uint64_t seed;
	uint64_t epoch;                 /* that `order` is of */
	uint32_t *order;                /* (n_windows) */
};

/* tokens outlive it. Too few tokens and ids outside of the vocabulary are PB_USAGE. what: begins the message. */
enum pb_status pb_batches_open(struct pb_batches *out, const char *what, const int32_t *tokens, size_t n, uint32_t n_vocab, uint32_t length,
	uint64_t seed, struct pb_error *err) PB_MUST_CHECK;
void pb_batches_close(struct pb_batches *b);                /* {0} is fine */
/* Windows [position, position + n) of the endless sequence of epochs: inputs and what follows each, (n, length). */
void pb_batches_take(struct pb_batches *b, uint64_t position, uint32_t n, int32_t *inputs, int32_t *targets);

#endif
