/* Keys and values of tokens already seen, as a tree: a node holds the tokens of its own and continues its parent, so that
 * sequences with a common beginning share it. The numbers of all nodes lie in one store of slots, a slot a token. */
#ifndef PB_BACKENDS_KV_H
#define PB_BACKENDS_KV_H

#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"

struct pb_kv_store {
	uint32_t n_layers, width;       /* width: n_kv_heads * head_dim */
	uint32_t n_slots, used;
	float *keys, *values;           /* (n_layers, n_slots, width); keys after the rotary embedding */
};

/* Sees its parent's tokens before position `start`, then its own. The parent stays in place as long as the child is used. */
struct pb_kv {
	const struct pb_kv *parent;     /* or NULL */
	uint32_t start;                 /* position of its first token in the sequence */
	uint32_t slot;                  /* of its first token; its tokens are consecutive */
	uint32_t length, capacity;      /* tokens held, tokens that it has slots for */
};

/* At least n_slots; contents are lost when the store grows. */
enum pb_status pb_kv_store_reserve(struct pb_kv_store *store, uint32_t n_layers, uint32_t width, uint32_t n_slots, struct pb_error *err) PB_MUST_CHECK;
void pb_kv_store_free(struct pb_kv_store *store);

/* An empty node with the next `capacity` slots, which must be free. It continues `parent` (NULL: start is 0) at position
 * `start`: the parent holds the tokens before it, or will when the node's own are run. */
void pb_kv_take(struct pb_kv_store *store, struct pb_kv *kv, const struct pb_kv *parent, uint32_t start, uint32_t capacity);
/* Moves these nodes (ascending slots) to the front and frees all other slots. */
void pb_kv_keep(struct pb_kv_store *store, struct pb_kv *const *kept, size_t n);

/* Of one layer: (n_slots, width). */
static inline float *pb_kv_keys(const struct pb_kv_store *store, uint32_t layer)
{
	return store->keys + (size_t)layer * store->n_slots * store->width;
}

static inline float *pb_kv_values(const struct pb_kv_store *store, uint32_t layer)
{
	return store->values + (size_t)layer * store->n_slots * store->width;
}

#endif
