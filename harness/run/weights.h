/* What quantization did to the matrices of a model, for tasks of the kind `weights` (tasks/weights.c): sums over the weights of
 * each, the same bits for any number of threads. */
#ifndef PB_HARNESS_RUN_WEIGHTS_H
#define PB_HARNESS_RUN_WEIGHTS_H

#include "backends/backend.h"
#include "core/base/pool.h"
#include "core/model/model.h"
#include "harness/run/calibration.h"
#include "tasks/task.h"

/* The model with its file's own weights, whatever encodings it has by now: a view that owns its list of matrices alone, which
 * the caller pb_free's, and that the model must outlive. PB_UNSUPPORTED: what the file has is quantized already. */
enum pb_status pb_weights_before(struct pb_model *out, const struct pb_model *model, struct pb_error *err) PB_MUST_CHECK;

/* after beside before, which has the same shape, into out (n_matrices). moments: of inputs of `before`, or NULL; then the sums
 * PB_SUMS_PROXY are 0. progress: with the share of matrices that are done; or NULL. A matrix with a layernorm behind it, which
 * makes the scale of its weights mean nothing, is PB_UNSUPPORTED. */
enum pb_status pb_weights_compare(const struct pb_model *before, const struct pb_model *after, struct pb_calibration *moments, struct pb_pool *pool,
	pb_progress_fn progress, void *arg, struct pb_weight_error *out, struct pb_error *err) PB_MUST_CHECK;

#endif
