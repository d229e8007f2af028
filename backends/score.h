/* Sessions of the backends that run in this process: requests are cut into batches, and states become log-probabilities.
 *
 * The rule of cutting, from the list alone: neighbours with one group form a family; the longest common beginning of its
 * inputs is run once and the rest of each request continues it. These sequences are put into a batch in order, whole; one
 * that does not fit begins the next batch, and one of more than PB_BATCH_TOKENS has batches of its own. */
#ifndef PB_BACKENDS_SCORE_H
#define PB_BACKENDS_SCORE_H

#include "backends/backend.h"
#include "backends/forward.h"

enum pb_status pb_session_open(struct pb_session **out, const struct pb_model *model, const struct pb_ops *ops, uint64_t cache_bytes,
	struct pb_pool *pool, struct pb_error *err) PB_MUST_CHECK;

/* The hooks of struct pb_backend. */
enum pb_status pb_session_score(struct pb_session *s, const struct pb_request *requests, size_t n, pb_progress_fn progress, void *arg,
	struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_session_compare(struct pb_session *full, struct pb_session *quantized, const struct pb_request *requests, size_t n,
	pb_progress_fn progress, void *arg, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_session_logits(struct pb_session *s, const int32_t *tokens, uint32_t n, int all, float *out, struct pb_error *err) PB_MUST_CHECK;
const char *pb_session_kernel(const struct pb_session *s);
void pb_session_close(struct pb_session *s);

#endif
