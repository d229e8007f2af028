/* What a training reads: a tokenizer, and texts as tokens. */
#ifndef PB_HARNESS_RUN_TRAINING_DATA_H
#define PB_HARNESS_RUN_TRAINING_DATA_H

#include "core/base/hash.h"
#include "core/model/model.h"
#include "core/model/tokenizer.h"
#include "harness/run/recipe.h"

struct pb_training_data {
	struct pb_tokenizer *tokenizer;
	struct pb_text tokenizer_file;  /* its bytes */
	struct pb_ids train, validation;
	char hash[PB_HASH_HEX];         /* of all tokens and the tokenizer */
};

/* from: the model that the recipe goes on from; NULL: a new one. Each document begins with the tokenizer's BOS, or its EOS
 * when it has no BOS. */
enum pb_status pb_training_data_read(struct pb_training_data *out, const struct pb_training_recipe *recipe, const struct pb_model *from, struct pb_error *err) PB_MUST_CHECK;
void pb_training_data_free(struct pb_training_data *data);
/* The tokenizer into the folder of the model. */
enum pb_status pb_training_data_write_tokenizer(const struct pb_training_data *data, const char *folder, struct pb_error *err) PB_MUST_CHECK;

#endif
