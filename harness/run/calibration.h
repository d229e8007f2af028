/* Calibration of a model: what quantizers need to know of the data, once per (model, tokenizer, data, settings). It is kept in
 * the cache folder by the hash of these and mapped from there; two that make the same file at once make the same bytes, and
 * the last one stays. Without a folder, and for sequential methods, whose numbers depend on the method, inputs are measured
 * layer by layer while the model is quantized, and nothing is kept. */
#ifndef PB_HARNESS_RUN_CALIBRATION_H
#define PB_HARNESS_RUN_CALIBRATION_H

#include <jansson.h>
#include "backends/backend.h"
#include "backends/forward.h"
#include "core/base/hash.h"
#include "core/model/model.h"
#include "harness/run/samples.h"
#include "quantizers/quantizer.h"

/* Raised when the numbers of calibration change. */
#define PB_CALIBRATION_VERSION 1

struct pb_calibration_source {
	const struct pb_calibration_spec *spec;
	const char *hash;               /* of the file spec->data */
	const char *cache;              /* folder; NULL: nothing is kept */
	const struct pb_model *model;   /* not quantized */
	const struct pb_tokenizer *tokenizer;
	struct pb_pool *pool;
	pb_progress_fn progress;        /* or NULL; called too while layers are measured */
	void *arg;
};

/* Whether these data can give what a quantizer needs of this model, before any work. spec NULL: there are none. */
enum pb_status pb_calibration_check(const struct pb_calibration_spec *spec, const struct pb_quantizer *q, unsigned needs, const struct pb_model *model,
	struct pb_error *err) PB_MUST_CHECK;
/* For a quantizer that needs data and was given none: names the key and the flag. */
enum pb_status pb_calibration_fail_none(const struct pb_quantizer *q, struct pb_error *err);
/* What the numbers depend on, beside model and tokenizer, into a hash; and as an object for records. */
void pb_calibration_hash(const struct pb_calibration_spec *spec, const char *data_hash, uint32_t context, struct pb_hash *hash);
json_t *pb_calibration_json(const struct pb_calibration_spec *spec, const char *data_hash, uint32_t context);   /* NULL when memory is out */

struct pb_calibration;
/* Checked data; measures what is not in the cache. The source's parts outlive it. */
enum pb_status pb_calibration_open(struct pb_calibration **out, const struct pb_calibration_source *source, unsigned needs, struct pb_error *err) PB_MUST_CHECK;
void pb_calibration_close(struct pb_calibration *c);            /* NULL is fine */

/* Whether inputs come layer by layer: then each layer, in order, is entered before its matrices are filled and after the
 * matrices of the layers before it have their encodings. */
bool pb_calibration_is_layered(const struct pb_calibration *c);
enum pb_status pb_calibration_enter(struct pb_calibration *c, uint32_t layer, struct pb_error *err) PB_MUST_CHECK;
/* Whether inputs come step by step inside of a layer: then, after it is entered, each input, in order, is stepped to before its
 * matrices are filled and after those of the inputs before it have their encodings. */
bool pb_calibration_is_stepwise(const struct pb_calibration *c);
enum pb_status pb_calibration_step(struct pb_calibration *c, enum pb_input input, struct pb_error *err) PB_MUST_CHECK;
/* Puts a matrix's numbers into its job; they live until the next layer is entered, or the next step. */
void pb_calibration_fill(const struct pb_calibration *c, const struct pb_matrix *m, struct pb_quantize_job *job);

#endif
