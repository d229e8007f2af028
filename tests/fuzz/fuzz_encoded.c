/* A description and the raw bytes of parts, as a hostile file would hold them. Input: the JSON text, a NUL byte, then
 * one record a part: one byte that names it, one byte of dtype, one of dimensions, each dimension as 16 bits, and the
 * bytes that the shape asks for (as many as are left). Whatever is accepted is decoded. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/model/encoded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "dense", "codes", "levels", "block_scale", "block_scale.outer", "block_scale.offset",
	"block_offset", "block_offset.outer", "block_offset.offset", "row_scale", "col_scale", "kept.column", "kept.value",
	"sparse.start", "sparse.column", "sparse.value", "low_rank.u", "low_rank.v", "codebook.0", "index.0", "codebook.1",
	"index.1", "column_order", "outlier.codebook", "outlier.index", "col_offset" };
#define N_NAMES (sizeof names / sizeof *names)

struct shelf {
	struct pb_tensor tensors[N_NAMES];
	void *blocks[N_NAMES];
};

static const struct pb_tensor *find(void *arg, const char *name)
{
	struct shelf *s = arg;
	for (size_t i = 0; i < N_NAMES; i++)
		if (!strcmp(names[i], name))
			return s->blocks[i] ? &s->tensors[i] : NULL;
	return NULL;
}

/* Each part in a heap block of its own size, so that a read past it is seen. */
static void read_parts(struct shelf *s, const uint8_t *p, const uint8_t *end)
{
	while (end - p >= 3) {
		size_t i = p[0] % N_NAMES;
		struct pb_tensor t = { .dtype = (enum pb_dtype)(p[1] % PB_DTYPES), .n_dims = p[2] % 4 };
		uint64_t n;
		p += 3;
		if (end - p < 2 * (ptrdiff_t)t.n_dims)
			return;
		for (unsigned d = 0; d < t.n_dims; d++, p += 2)
			t.shape[d] = p[0] | (uint64_t)p[1] << 8;
		if (!pb_tensor_count(&t, &n))
			return;
		t.bytes = n * pb_dtype_bytes(t.dtype);
		if (t.bytes > (uint64_t)(end - p))
			t.bytes = (uint64_t)(end - p);
		free(s->blocks[i]);
		s->blocks[i] = malloc(t.bytes ? t.bytes : 1);
		if (!s->blocks[i])
			return;
		memcpy(s->blocks[i], p, t.bytes);
		t.data = s->blocks[i];
		s->tensors[i] = t;
		p += t.bytes;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *split = memchr(data, 0, size);
	struct shelf shelf = { 0 };
	struct pb_encoded *m = NULL;
	json_t *description = NULL;
	if (!split || pb_json_parse(&description, "input", (const char *)data, (size_t)(split - data), NULL))
		return 0;
	read_parts(&shelf, split + 1, data + size);
	if (pb_encoded_restore(&m, description, find, &shelf, NULL) == PB_OK) {
		/* small data may describe a large matrix (long vectors): a few rows of it are enough */
		uint32_t n = m->rows < 64 ? m->rows : 64;
		float *out = m->cols <= 1 << 16 ? malloc((size_t)n * m->cols * sizeof *out) : NULL;
		if (out) {
			pb_encoded_decode(m, 0, n, out);
			pb_encoded_decode(m, m->rows - 1, 1, out);
		}
		free(out);
		json_t *again = pb_encoded_describe(m);
		struct pb_part parts[PB_MAX_PARTS];
		uint64_t bytes = 0;
		for (unsigned k = pb_encoded_parts(m, parts), i = 0; i < k; i++)
			bytes += parts[i].tensor.bytes;
		if (bytes != pb_encoded_bytes(m))
			abort();
		json_decref(again);
		pb_encoded_free(m);
	}
	json_decref(description);
	for (size_t i = 0; i < N_NAMES; i++)
		free(shelf.blocks[i]);
	return 0;
}
