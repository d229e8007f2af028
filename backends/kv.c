#include <string.h>
#include "core/base/memory.h"
#include "backends/kv.h"

enum pb_status pb_kv_store_reserve(struct pb_kv_store *store, uint32_t n_layers, uint32_t width, uint32_t n_slots, struct pb_error *err)
{
	size_t row_bytes;
	float *keys, *values;

	if (store->keys && store->n_slots >= n_slots) {
		store->used = 0;
		return PB_OK;
	}
	if (__builtin_mul_overflow((size_t)n_layers * sizeof(float), width, &row_bytes))
		return pb_fail(err, PB_LIMIT, "attention: keys of %u layers are too large", n_layers);
	keys = pb_alloc_aligned(n_slots, row_bytes);
	values = pb_alloc_aligned(n_slots, row_bytes);
	if (!keys || !values) {
		pb_free(keys);
		pb_free(values);
		return pb_out_of_memory(err, "keys and values");
	}
	pb_kv_store_free(store);
	*store = (struct pb_kv_store){ .n_layers = n_layers, .width = width, .n_slots = n_slots, .keys = keys, .values = values };
	return PB_OK;
}

void pb_kv_store_free(struct pb_kv_store *store)
{
	pb_free(store->keys);
	pb_free(store->values);
	*store = (struct pb_kv_store){ 0 };
}

void pb_kv_take(struct pb_kv_store *store, struct pb_kv *kv, const struct pb_kv *parent, uint32_t start, uint32_t capacity)
{
	*kv = (struct pb_kv){ .parent = parent, .start = start, .slot = store->used, .capacity = capacity };
	store->used += capacity;
}

void pb_kv_keep(struct pb_kv_store *store, struct pb_kv *const *kept, size_t n)
{
	uint32_t used = 0;

	for (size_t i = 0; i < n; i++) {
		struct pb_kv *kv = kept[i];

		if (kv->slot != used && kv->length) {
			for (uint32_t layer = 0; layer < store->n_layers; layer++) {
				float *keys = pb_kv_keys(store, layer), *values = pb_kv_values(store, layer);
				size_t to = (size_t)used * store->width, from = (size_t)kv->slot * store->width;
				size_t bytes = (size_t)kv->length * store->width * sizeof(float);

				memmove(keys + to, keys + from, bytes);
				memmove(values + to, values + from, bytes);
			}
		}
		kv->slot = used;
		used += kv->capacity;
	}
	store->used = used;
}
