/* The inside of a trainer, for the files of this room. */
#ifndef PB_BACKENDS_TRAIN_TRAINER_H
#define PB_BACKENDS_TRAIN_TRAINER_H

#include "backends/train/optimizer.h"
#include "backends/train/train.h"

struct pb_trainer {
	struct pb_recipe recipe;
	struct pb_network_f32 *net;
	struct pb_optimizer *optimizer;
	struct pb_pool *pool;
	const struct pb_extra_loss_f32 *extra;
	void (*before)(void *arg, const int32_t *tokens);
	uint64_t step;                  /* updates done */
	int32_t *inputs, *targets;      /* of one update */
};

/* config.json; NULL when memory is out. */
json_t *pb_config_huggingface(const struct pb_config *config, enum pb_dtype dtype);

#endif
