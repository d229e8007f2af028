/* Merges of neighbouring symbols that wait for their turn: the one with the highest priority first, then the leftmost. For
 * the tokenizers of this folder. */
#ifndef PB_CORE_MODEL_MERGE_HEAP_H
#define PB_CORE_MODEL_MERGE_HEAP_H

#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"

struct pb_merge {
	float priority;
	uint32_t at;            /* place of the left symbol */
	uint32_t a, b;          /* of the tokenizer: how it knows a merge that is out of date */
	int32_t id;             /* what the two become */
};

struct pb_merge_heap {      /* starts as {0} */
	struct pb_merge *items;
	size_t n, capacity;
};

enum pb_status pb_merge_push(struct pb_merge_heap *h, struct pb_merge merge, struct pb_error *err) PB_MUST_CHECK;
struct pb_merge pb_merge_pop(struct pb_merge_heap *h);     /* n > 0 */
void pb_merge_heap_free(struct pb_merge_heap *h);

#endif
