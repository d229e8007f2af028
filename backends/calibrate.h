/* What the inputs of a model's linear maps are like on samples of text: second moments and mean magnitudes, layer by layer,
 * so that the states of one layer and the numbers of one layer are all that is held.
 *
 *   open -> [follow] -> (measure | measure and advance | measure_input)* -> close
 *
 * Products are summed in double, batch by batch in the order of the samples; a task makes a tile of the sums. Results are
 * the same bits for any pool. */
#ifndef PB_BACKENDS_CALIBRATE_H
#define PB_BACKENDS_CALIBRATE_H

#include <stdbool.h>
#include <stdint.h>
#include "backends/backend.h"
#include "backends/forward.h"

/* Of one input, over the tokens of all samples. */
struct pb_moments {
	uint32_t cols;
	float *second_moment;   /* (cols, cols) mean of x x^T, symmetric */
	float *mean_abs;        /* (cols) mean of |x| */
	float *cross_moment;    /* (cols, cols) mean of (x' - x) x^T, x' the same input in the model that is followed; or NULL */
};

struct pb_calibrator;

/* tokens: (n_samples, seq_len) ids in range, seq_len up to the model's context. They, the model and the pool outlive it.
 * progress: called between batches with the share of all layers that is done; or NULL. */
enum pb_status pb_calibrator_open(struct pb_calibrator **out, const struct pb_model *model, const int32_t *tokens, uint32_t n_samples, uint32_t seq_len,
	struct pb_pool *pool, pb_progress_fn progress, void *arg, struct pb_error *err) PB_MUST_CHECK;
void pb_calibrator_close(struct pb_calibrator *c);      /* NULL is fine */

/* Measures the next layer, the first one to begin with. advance: its outputs are what the layer after it gets. Inputs that
 * are not finite are PB_NUMERIC and name the matrix. */
enum pb_status pb_calibrator_measure(struct pb_calibrator *c, bool advance, struct pb_error *err) PB_MUST_CHECK;
/* The layer that was measured without advancing runs again, with the weights that the model has by now. */
enum pb_status pb_calibrator_advance(struct pb_calibrator *c, struct pb_error *err) PB_MUST_CHECK;
/* One input alone, again and again: of the first layer, then of the layer that was advanced to, with the weights that the model
 * has by now. What is behind that input in the layer may still be as it was. */
enum pb_status pb_calibrator_measure_input(struct pb_calibrator *c, enum pb_input input, struct pb_error *err) PB_MUST_CHECK;
/* Right after opening: from now on the samples run beside through the model as it is now, whatever encodings it gets. */
enum pb_status pb_calibrator_follow(struct pb_calibrator *c, struct pb_error *err) PB_MUST_CHECK;
/* Of the layer measured last; valid until the next call of measure. */
const struct pb_moments *pb_calibrator_moments(const struct pb_calibrator *c, enum pb_input input);

/* Columns of an input. */
uint32_t pb_input_cols(const struct pb_config *config, enum pb_input input);

#endif
