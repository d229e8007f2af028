/* Models that a method has trained, each in a folder named by the hash of all that its weights depend on:
 *
 *   KEY/model/                    the artifact: paretobench.json, model.safetensors; what is scored is always read from here
 *   KEY/log.csv                   losses, training_log.h
 *   KEY/checkpoint.safetensors    while it is not done; whoever wants the model next goes on from it to the same bits
 *   KEY/train.lock                held by the process that trains; others wait */
#ifndef PB_HARNESS_RUN_TRAINED_H
#define PB_HARNESS_RUN_TRAINED_H

#include <jansson.h>
#include "core/base/hash.h"
#include "core/base/pool.h"
#include "core/model/model.h"
#include "harness/run/samples.h"
#include "quantizers/quantizer.h"

/* Raised when the numbers of trained models change. */
#define PB_TRAINED_VERSION 1

/* stage: what is done, for a status line; done: 0..1. Non-zero stops. */
typedef int (*pb_stage_fn)(void *arg, const char *stage, double done);

struct pb_trained_source {
	const struct pb_training_spec *spec;
	const char *hash;               /* of the file spec->data */
	struct pb_ids *tokens;          /* of the text; read when they are needed and there are none, and left for the next one */
	const char *folder;             /* of trained models */
	const struct pb_model *model;   /* not quantized */
	const struct pb_tokenizer *tokenizer;
	const struct pb_quantizer_use *use;
	int64_t seed;                   /* of the order of the data */
	struct pb_pool *pool;
	pb_stage_fn stage;              /* or NULL */
	void *arg;
};

/* Whether a quantizer that is trained can be, before any work: there are data, and its budget fits the model. */
enum pb_status pb_trained_check(const struct pb_training_spec *spec, const struct pb_quantizer_use *use, const struct pb_model *model, struct pb_error *err) PB_MUST_CHECK;
/* For a quantizer that needs training data and was given none: names the key and the flag. */
enum pb_status pb_trained_fail_none(const struct pb_quantizer *q, struct pb_error *err);
/* Tokens that the budget has, in whole updates; 0 when it does not fit the model. */
double pb_trained_tokens(const struct pb_quantizer_use *use, const struct pb_model *model);
/* What the numbers depend on of the data, into a hash; and as an object for records. */
void pb_trained_hash(const struct pb_training_spec *spec, const char *data_hash, struct pb_hash *hash);
json_t *pb_trained_json(const struct pb_training_spec *spec, const char *data_hash);    /* NULL when memory is out */

/* What `quantize` writes of how a model came about; takes the references. NULL when memory is out. */
json_t *pb_quantization_json(const struct pb_quantizer_use *use, int64_t seed, json_t *calibration, json_t *training);

/* The artifact, trained first if it is not there. Closed by the caller. seconds: that all its steps took, whoever made them. An
 * interruption is PB_INTERRUPTED and keeps what is done. */
enum pb_status pb_trained_open(struct pb_model **out, double *seconds, const struct pb_trained_source *source, struct pb_error *err) PB_MUST_CHECK;

#endif
