#include "core/model/merge_heap.h"

#include <stdbool.h>
#include <string.h>
#include "core/base/memory.h"

static bool before(const struct pb_merge *a, const struct pb_merge *b)
{
	return a->priority > b->priority || (a->priority == b->priority && a->at < b->at);
}

enum pb_status pb_merge_push(struct pb_merge_heap *h, struct pb_merge merge, struct pb_error *err)
{
	size_t i = h->n;

	if (h->n == h->capacity) {
		size_t capacity = h->capacity ? 2 * h->capacity : 256;
		struct pb_merge *items = pb_realloc(h->items, capacity, sizeof(*items));

		if (!items)
			return pb_out_of_memory(err, "merges");
		h->items = items;
		h->capacity = capacity;
	}
	h->n++;
	for (; i > 0 && before(&merge, &h->items[(i - 1) / 2]); i = (i - 1) / 2)
		h->items[i] = h->items[(i - 1) / 2];
	h->items[i] = merge;
	return PB_OK;
}

struct pb_merge pb_merge_pop(struct pb_merge_heap *h)
{
	struct pb_merge top = h->items[0], last = h->items[--h->n];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < h->n) {
		if (child + 1 < h->n && before(&h->items[child + 1], &h->items[child]))
			child++;
		if (!before(&h->items[child], &last))
			break;
		h->items[i] = h->items[child];
		i = child;
	}
	h->items[i] = last;
	return top;
}

void pb_merge_heap_free(struct pb_merge_heap *h)
{
	pb_free(h->items);
	memset(h, 0, sizeof(*h));
}
