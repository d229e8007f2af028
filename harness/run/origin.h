/* Where a model comes from, as far as it is known. */
#ifndef PB_HARNESS_RUN_ORIGIN_H
#define PB_HARNESS_RUN_ORIGIN_H

#include <stdint.h>
#include "core/base/memory.h"
#include "core/base/status.h"

struct pb_origin {
	const char *family;             /* of the model of the zoo with this hash, wherever it lies; "" when there is none */
	int64_t tokens;                 /* that it was trained on from nothing, by a train.json in its folder that is of this model; PB_ABSENT */
};
/* In the arena. path: of the model. A train.json that cannot be read tells nothing. */
enum pb_status pb_origin_find(struct pb_origin *out, struct pb_arena *arena, const char *path, const char *model_hash, struct pb_error *err) PB_MUST_CHECK;

#endif
