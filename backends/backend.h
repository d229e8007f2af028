/* The plugin interface of backends: a model whose matrices are encoded, and log-probabilities of requests. */
#ifndef PB_BACKENDS_BACKEND_H
#define PB_BACKENDS_BACKEND_H

#include <stddef.h>
#include <stdint.h>
#include "core/base/options.h"
#include "core/base/pool.h"
#include "core/base/status.h"
#include "core/model/model.h"
#include "core/model/request.h"

#define PB_BACKEND_ABI 2

struct pb_session;              /* an open model; belongs to the backend */

/* Called between batches with the share done, 0..1. Non-zero stops with PB_INTERRUPTED. May be NULL. */
typedef int (*pb_progress_fn)(void *arg, double done);

struct pb_backend {
	const char *name, *title, *help;
	unsigned abi;
	unsigned version;           /* raised when numbers change; part of a cell's key */
	const struct pb_option *options;
	size_t options_size;
	/* The model and the pool outlive the session. */
	enum pb_status (*open)(struct pb_session **out, const struct pb_model *model, const void *options, struct pb_pool *pool, struct pb_error *err);
	/* Fills logprobs (and greedy) of every request. A value that is not finite is PB_NUMERIC and names the request and
	 * position. The batches are cut from the list by a fixed rule, so the result does not depend on threads. */
	enum pb_status (*score)(struct pb_session *s, const struct pb_request *requests, size_t n, pb_progress_fn progress, void *arg, struct pb_error *err);
	/* Fills divergence of every request: of the model of `quantized` from that of `full`, by the same batches; sums in double.
	 * Two sessions of this backend with one pool, whose models share a vocabulary. Errors as in score. Memory is that of two
	 * sessions, with logits of a block of positions in each, never of a window. NULL: the backend cannot. */
	enum pb_status (*compare)(struct pb_session *full, struct pb_session *quantized, const struct pb_request *requests, size_t n,
		pb_progress_fn progress, void *arg, struct pb_error *err);
	/* Logits of every position (all) or of the last one into out, (n or 1, n_vocab). */
	enum pb_status (*logits)(struct pb_session *s, const int32_t *tokens, uint32_t n, int all, float *out, struct pb_error *err);
	/* "native" when every encoded matrix has a kernel of its own, else "decoded". */
	const char *(*kernel)(const struct pb_session *s);
	void (*close)(struct pb_session *s);
};

extern const struct pb_backend *const pb_backends[];   /* sorted by name */
extern const size_t pb_n_backends;
const struct pb_backend *pb_backend_find(const char *name, struct pb_error *err); /* NULL: unknown, nearest name in err */

/* A backend with its options. */
struct pb_backend_use {
	const struct pb_backend *backend;
	void *options;              /* pb_free'd by pb_backend_use_free */
};
/* "NAME" or "NAME:opt=value,opt=value" */
enum pb_status pb_backend_use_parse(struct pb_backend_use *out, const char *text, struct pb_error *err) PB_MUST_CHECK;
void pb_backend_use_free(struct pb_backend_use *use);      /* {0} is fine */

enum pb_status pb_backend_check(const struct pb_backend *b, struct pb_error *err) PB_MUST_CHECK;

#endif
