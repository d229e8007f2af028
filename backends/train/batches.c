#include "backends/train/batches.h"

#include <string.h>
#include "core/base/memory.h"
#include "core/base/rng.h"

static void shuffle(struct pb_batches *b, uint64_t epoch)
{
	struct pb_rng rng = pb_rng_make(b->seed, pb_rng_stream("training order") + epoch);

	for (uint32_t i = 0; i < b->n_windows; i++)
		b->order[i] = i;
	pb_rng_shuffle(&rng, b->order, b->n_windows);
	b->epoch = epoch;
}

enum pb_status pb_batches_open(struct pb_batches *out, const char *what, const int32_t *tokens, size_t n, uint32_t n_vocab, uint32_t length,
	uint64_t seed, struct pb_error *err)
{
	struct pb_batches b = { .tokens = tokens, .length = length, .seed = seed };

	if (!length || n < (size_t)length + 1)
		return pb_fail(err, PB_USAGE, "%s: %zu tokens are too few: sequences of %u need at least %llu", what, n, length, (unsigned long long)length + 1);
	if ((n - 1) / length > UINT32_MAX)
		return pb_fail(err, PB_LIMIT, "%s: %zu tokens are too many for sequences of %u", what, n, length);
	for (size_t i = 0; i < n; i++)
		if (tokens[i] < 0 || (uint32_t)tokens[i] >= n_vocab)
			return pb_fail(err, PB_USAGE, "%s: token %zu is %d, outside of the model's vocabulary of %u", what, i, tokens[i], n_vocab);
	b.n_windows = (uint32_t)((n - 1) / length);
	b.order = pb_alloc(b.n_windows, sizeof *b.order);
	if (!b.order)
		return pb_out_of_memory(err, "order of training");
	shuffle(&b, 0);
	*out = b;
	return PB_OK;
}

void pb_batches_close(struct pb_batches *b)
{
	pb_free(b->order);
	*b = (struct pb_batches){ 0 };
}

void pb_batches_take(struct pb_batches *b, uint64_t position, uint32_t n, int32_t *inputs, int32_t *targets)
{
	for (uint32_t i = 0; i < n; i++, position++) {
		if (position / b->n_windows != b->epoch)
			shuffle(b, position / b->n_windows);

		const int32_t *window = b->tokens + (size_t)b->order[position % b->n_windows] * b->length;

		memcpy(inputs + (size_t)i * b->length, window, b->length * sizeof *inputs);
		memcpy(targets + (size_t)i * b->length, window + 1, b->length * sizeof *targets);
	}
}
