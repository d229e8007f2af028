/* The ledger of parts, the description that says how they hang together, and the way back. */
#include "core/model/encoded.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* More weights than any file holds; below it no count of numbers, bits or bytes of a matrix overflows 64 bits. */
#define MAX_WEIGHTS (UINT64_C(1) << 48)

static const char *const code_names[] = { [PB_CODE_DENSE] = "dense", [PB_CODE_SCALAR] = "scalar", [PB_CODE_VECTOR] = "vector", NULL };
static const char *const levels_names[] = { [PB_LEVELS_NAMED] = "named", [PB_LEVELS_TENSOR] = "tensor", [PB_LEVELS_ROW] = "row", NULL };
static const char *const block_names[] = { [PB_BLOCK_NONE] = "none", [PB_BLOCK_ROW] = "row", [PB_BLOCK_FLAT] = "flat", NULL };
static const char *const scale_names[] = { [PB_SCALE_ABSENT] = "absent", [PB_SCALE_FLOAT] = "float", [PB_SCALE_NESTED] = "nested",
	[PB_SCALE_ZERO] = "zero", NULL };
static const char *const post_names[] = { [PB_POST_NONE] = "none", [PB_POST_LAYERNORM] = "layernorm", NULL };

/* ------------------------------------------------------------------ parts */

struct ledger {
	struct pb_part *parts;
	unsigned n;
};

/* Dimensions end at the first 0; a part without bytes is left out. */
static void add_part(struct ledger *l, const char *name, enum pb_dtype dtype, const void *data, uint64_t d0, uint64_t d1, uint64_t d2)
{
	const uint64_t shape[3] = { d0, d1, d2 };
	struct pb_part *p = &l->parts[l->n];
	if (d0 == 0)
		return;
	memset(p, 0, sizeof *p);
	snprintf(p->name, sizeof p->name, "%s", name);
	p->tensor.dtype = dtype;
	p->tensor.data = data;
	p->tensor.bytes = pb_dtype_bytes(dtype);
	for (unsigned d = 0; d < 3 && shape[d]; d++) {
		p->tensor.shape[p->tensor.n_dims++] = shape[d];
		p->tensor.bytes *= shape[d];
	}
	l->n++;
}

static uint64_t outer_count(uint64_t n, uint32_t nested_block)
{
	return n / nested_block + (n % nested_block != 0);
}

static void add_scale(struct ledger *l, const char *name, const struct pb_scale *s)
{
	char full[32];
	switch (s->kind) {
	case PB_SCALE_ABSENT:
		break;
	case PB_SCALE_FLOAT:
		add_part(l, name, s->dtype, s->data, s->n, 0, 0);
		break;
	case PB_SCALE_NESTED:
		add_part(l, name, PB_U8, s->data, s->n, 0, 0);
		snprintf(full, sizeof full, "%s.outer", name);
		add_part(l, full, PB_F32, s->outer, outer_count(s->n, s->nested_block), 0, 0);
		snprintf(full, sizeof full, "%s.offset", name);
		add_part(l, full, PB_F32, s->nested_offset, 1, 0, 0);
		break;
	case PB_SCALE_ZERO:
		add_part(l, name, PB_U8, s->data, pb_packed_bytes(s->zero_width, s->n), 0, 0);
		break;
	}
}

static void add_vector(struct ledger *l, const struct pb_encoded *m)
{
	const struct pb_vector_code *v = m->vector;
	uint32_t coded = pb_encoded_coded_cols(m);
	uint64_t n = pb_vector_count(m->rows, coded - v->n_outliers, v->length, v->along_rows);
	char name[32];
	for (uint32_t s = 0; s < v->n_stages; s++) {
		snprintf(name, sizeof name, "codebook.%" PRIu32, s);
		add_part(l, name, v->dtype, v->codebook[s], v->n_groups, v->n_centroids[s], v->length);
		snprintf(name, sizeof name, "index.%" PRIu32, s);
		add_part(l, name, PB_U8, v->index[s], pb_index_bytes(pb_index_bits(v->n_centroids[s]), n), 0, 0);
	}
	if (v->n_outliers) {
		n = pb_vector_count(m->rows, v->n_outliers, v->outlier_length, true);
		add_part(l, "outlier.codebook", v->dtype, v->outlier_codebook, v->outlier_centroids, v->outlier_length, 0);
		add_part(l, "outlier.index", PB_U8, v->outlier_index, pb_index_bytes(pb_index_bits(v->outlier_centroids), n), 0, 0);
	}
	if (v->column_order)
		add_part(l, "column_order", PB_U16, v->column_order, coded, 0, 0);
}

unsigned pb_encoded_parts(const struct pb_encoded *m, struct pb_part parts[PB_MAX_PARTS])
{
	struct ledger l = { parts, 0 };
	uint32_t coded = pb_encoded_coded_cols(m);
	if (m->code == PB_CODE_DENSE && coded)
		add_part(&l, "dense", m->dense_dtype, m->dense, m->rows, coded, 0);
	if (m->code == PB_CODE_SCALAR) {
		if (coded)
			add_part(&l, "codes", PB_U8, m->packed, m->rows, pb_packed_bytes(m->width, coded), 0);
		if (m->levels_kind == PB_LEVELS_TENSOR)
			add_part(&l, "levels", m->levels_dtype, m->levels, m->n_levels, 0, 0);
		if (m->levels_kind == PB_LEVELS_ROW)
			add_part(&l, "levels", m->levels_dtype, m->levels, m->rows, m->n_levels, 0);
	}
	if (m->code == PB_CODE_VECTOR)
		add_vector(&l, m);
	add_scale(&l, "block_scale", &m->block_scale);
	add_scale(&l, "block_offset", &m->block_offset);
	if (m->row_scale)
		add_part(&l, "row_scale", m->row_scale_dtype, m->row_scale, m->rows, 0, 0);
	if (m->col_scale)
		add_part(&l, "col_scale", m->col_scale_dtype, m->col_scale, m->cols, 0, 0);
	if (m->col_offset)
		add_part(&l, "col_offset", m->col_offset_dtype, m->col_offset, m->cols, 0, 0);
	if (m->n_kept) {
		add_part(&l, "kept.column", PB_U32, m->kept_columns, m->n_kept, 0, 0);
		add_part(&l, "kept.value", m->kept_dtype, m->kept, m->rows, m->n_kept, 0);
	}
	if (m->sparse_start) {
		add_part(&l, "sparse.start", PB_U32, m->sparse_start, (uint64_t)m->rows + 1, 0, 0);
		add_part(&l, "sparse.column", PB_U32, m->sparse_column, m->n_sparse, 0, 0);
		add_part(&l, "sparse.value", m->sparse_dtype, m->sparse_value, m->n_sparse, 0, 0);
	}
	if (m->rank) {
		add_part(&l, "low_rank.u", m->rank_dtype, m->rank_u, m->rows, m->rank, 0);
		add_part(&l, "low_rank.v", m->rank_dtype, m->rank_v, m->rank, m->cols, 0);
	}
	return l.n;
}

uint64_t pb_encoded_bytes(const struct pb_encoded *m)
{
	struct pb_part parts[PB_MAX_PARTS];
	uint64_t bytes = 0;
	for (unsigned n = pb_encoded_parts(m, parts), i = 0; i < n; i++)
		bytes += parts[i].tensor.bytes;
	return bytes;
}

/* --------------------------------------------------------------- describe */

/* Adds a value; NULL (memory is out) is remembered. */
struct writer {
	json_t *object;
	bool failed;
};

static struct writer writer_new(void)
{
	struct writer w = { .object = json_object() };
	w.failed = !w.object;
	return w;
}

static void put(struct writer *w, const char *key, json_t *value)
{
	if (!w->object)
		json_decref(value);
	else if (json_object_set_new(w->object, key, value))
		w->failed = true;
}

static void put_integer(struct writer *w, const char *key, uint64_t value)
{
	put(w, key, json_integer((json_int_t)value));
}

static void put_string(struct writer *w, const char *key, const char *value)
{
	put(w, key, json_string(value));
}

static void put_dtype(struct writer *w, const char *key, enum pb_dtype dtype)
{
	put_string(w, key, pb_dtype_name(dtype));
}

static json_t *finish(struct writer *w)
{
	if (w->failed) {
		json_decref(w->object);
		return NULL;
	}
	return w->object;
}

static json_t *describe_levels(const struct pb_encoded *m)
{
	struct writer w = writer_new();
	put_string(&w, "kind", levels_names[m->levels_kind]);
	if (m->levels_kind == PB_LEVELS_NAMED) {
		put_string(&w, "name", m->levels_name);
	} else {
		put_integer(&w, "n", m->n_levels);
		put_dtype(&w, "dtype", m->levels_dtype);
	}
	return finish(&w);
}

static json_t *describe_vector(const struct pb_vector_code *v)
{
	struct writer w = writer_new();
	json_t *centroids = json_array();
	for (uint32_t s = 0; s < v->n_stages; s++)
		if (json_array_append_new(centroids, json_integer(v->n_centroids[s])))
			w.failed = true;
	put_integer(&w, "length", v->length);
	put(&w, "along_rows", json_boolean(v->along_rows));
	put_integer(&w, "n_groups", v->n_groups);
	put(&w, "n_centroids", centroids);
	put_dtype(&w, "dtype", v->dtype);
	if (v->n_outliers) {
		struct writer outliers = writer_new();
		put_integer(&outliers, "n", v->n_outliers);
		put_integer(&outliers, "length", v->outlier_length);
		put_integer(&outliers, "n_centroids", v->outlier_centroids);
		put(&w, "outliers", finish(&outliers));
	}
	put(&w, "column_order", json_boolean(v->column_order != NULL));
	return finish(&w);
}

static json_t *describe_scale(const struct pb_scale *s)
{
	struct writer w = writer_new();
	put_string(&w, "kind", scale_names[s->kind]);
	if (s->kind == PB_SCALE_FLOAT)
		put_dtype(&w, "dtype", s->dtype);
	if (s->kind == PB_SCALE_NESTED)
		put_integer(&w, "nested_block", s->nested_block);
	if (s->kind == PB_SCALE_ZERO)
		put_string(&w, "width", pb_width_name(s->zero_width));
	return finish(&w);
}

static json_t *describe_count(const char *key, uint64_t n, enum pb_dtype dtype)
{
	struct writer w = writer_new();
	put_integer(&w, key, n);
	put_dtype(&w, "dtype", dtype);
	return finish(&w);
}

json_t *pb_encoded_describe(const struct pb_encoded *m)
{
	struct writer w = writer_new();
	put_integer(&w, "rows", m->rows);
	put_integer(&w, "cols", m->cols);
	put_string(&w, "code", code_names[m->code]);
	if (m->code == PB_CODE_DENSE)
		put_dtype(&w, "dtype", m->dense_dtype);
	if (m->code == PB_CODE_SCALAR) {
		put_string(&w, "width", pb_width_name(m->width));
		put(&w, "levels", describe_levels(m));
	}
	if (m->code == PB_CODE_VECTOR)
		put(&w, "vector", describe_vector(m->vector));
	if (m->block_kind != PB_BLOCK_NONE) {
		struct writer block = writer_new();
		put_string(&block, "kind", block_names[m->block_kind]);
		put_integer(&block, "size", m->block_size);
		put(&w, "block", finish(&block));
	}
	if (m->block_scale.kind != PB_SCALE_ABSENT)
		put(&w, "block_scale", describe_scale(&m->block_scale));
	if (m->block_offset.kind != PB_SCALE_ABSENT)
		put(&w, "block_offset", describe_scale(&m->block_offset));
	if (m->row_scale)
		put_dtype(&w, "row_scale", m->row_scale_dtype);
	if (m->col_scale)
		put_dtype(&w, "col_scale", m->col_scale_dtype);
	if (m->col_offset)
		put_dtype(&w, "col_offset", m->col_offset_dtype);
	if (m->n_kept)
		put(&w, "kept", describe_count("n", m->n_kept, m->kept_dtype));
	if (m->sparse_start)
		put(&w, "sparse", describe_count("n", m->n_sparse, m->sparse_dtype));
	if (m->rank)
		put(&w, "low_rank", describe_count("rank", m->rank, m->rank_dtype));
	if (m->post != PB_POST_NONE)
		put_string(&w, "post", post_names[m->post]);
	if (m->claimed_bytes)
		put_integer(&w, "claimed_bytes", m->claimed_bytes);
	return finish(&w);
}

/* ---------------------------------------------------------------- restore */

struct restorer {
	struct pb_encoded *m;
	pb_part_find find;
	void *arg;
	bool copies;
	struct pb_error *err;
};

/* The object under `key` of `parent` (or the parent itself for a NULL key), with no keys but the allowed ones. */
static enum pb_status get_object(const json_t *parent, const char *key, const char *const *allowed, const json_t **out,
	struct pb_error *err)
{
	const json_t *object = key ? json_object_get(parent, key) : parent;
	const char *name;
	json_t *value;
	if (!json_is_object(object))
		return pb_fail(err, PB_FORMAT, "encoding: %s is not an object", key ? key : "it");
	json_object_foreach((json_t *)object, name, value) {
		const char *const *a = allowed;
		while (*a && strcmp(*a, name))
			a++;
		if (!*a)
			return pb_fail(err, PB_FORMAT, "encoding: unknown key '%.40s'", name);
	}
	*out = object;
	return PB_OK;
}

static enum pb_status get_integer(const json_t *object, const char *key, uint64_t high, uint64_t *out, struct pb_error *err)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_integer(value) || json_integer_value(value) < 1 || (uint64_t)json_integer_value(value) > high)
		return pb_fail(err, PB_FORMAT, "encoding: %s is not a whole number from 1 to %" PRIu64, key, high);
	*out = (uint64_t)json_integer_value(value);
	return PB_OK;
}

static enum pb_status get_u32(const json_t *object, const char *key, uint32_t *out, struct pb_error *err)
{
	uint64_t value;
	enum pb_status status = get_integer(object, key, UINT32_MAX, &value, err);
	if (!status)
		*out = (uint32_t)value;
	return status;
}

static enum pb_status get_bool(const json_t *object, const char *key, bool *out, struct pb_error *err)
{
	const json_t *value = json_object_get(object, key);
	if (!json_is_boolean(value))
		return pb_fail(err, PB_FORMAT, "encoding: %s is not true or false", key);
	*out = json_is_true(value);
	return PB_OK;
}

static enum pb_status get_choice(const json_t *object, const char *key, const char *const *names, int *out, struct pb_error *err)
{
	const char *text = json_string_value(json_object_get(object, key));
	for (int i = 0; text && names[i]; i++)
		if (!strcmp(names[i], text)) {
			*out = i;
			return PB_OK;
		}
	return pb_fail(err, PB_FORMAT, "encoding: %s is '%.40s', which is none of its choices", key, text ? text : "");
}

static enum pb_status get_dtype(const json_t *object, const char *key, enum pb_dtype *out, struct pb_error *err)
{
	static const char *const names[] = { "F32", "F16", "BF16", NULL };
	static const enum pb_dtype dtypes[] = { PB_F32, PB_F16, PB_BF16 };
	int choice;
	enum pb_status status = get_choice(object, key, names, &choice, err);
	if (!status)
		*out = dtypes[choice];
	return status;
}

static enum pb_status get_width(const json_t *object, const char *key, enum pb_width *out, struct pb_error *err)
{
	const char *names[PB_WIDTHS + 1] = { NULL };
	int choice;
	for (int w = 0; w < PB_WIDTHS; w++)
		names[w] = pb_width_name((enum pb_width)w);
	enum pb_status status = get_choice(object, key, names, &choice, err);
	if (!status)
		*out = (enum pb_width)choice;
	return status;
}

/* The data of a part, which must have exactly this dtype and shape (dimensions end at the first 0), aligned to its
 * elements: copied into the arena where the tensor is not. NULL for a shape without elements. */
static enum pb_status take(struct restorer *r, const char *name, enum pb_dtype dtype, uint64_t d0, uint64_t d1, uint64_t d2,
	void **out)
{
	const uint64_t shape[3] = { d0, d1, d2 };
	uint64_t bytes = pb_dtype_bytes(dtype);
	unsigned n_dims = 0;
	*out = NULL;
	if (d0 == 0)
		return PB_OK;
	for (; n_dims < 3 && shape[n_dims]; n_dims++)
		if (__builtin_mul_overflow(bytes, shape[n_dims], &bytes))
			return pb_fail(r->err, PB_FORMAT, "%s: larger than any file", name);
	const struct pb_tensor *t = r->find(r->arg, name);
	if (!t)
		return pb_fail(r->err, PB_FORMAT, "%s: the part is missing", name);
	bool same = t->dtype == dtype && t->n_dims == n_dims && t->bytes == bytes && t->data;
	for (unsigned d = 0; same && d < n_dims; d++)
		same = t->shape[d] == shape[d];
	if (!same)
		return pb_fail(r->err, PB_FORMAT, "%s: the part has not the dtype or shape that its matrix needs", name);
	if (r->copies || (uintptr_t)t->data % pb_dtype_bytes(dtype)) {
		void *copy = pb_arena_alloc(r->m->arena, bytes, 1);
		if (!copy)
			return pb_out_of_memory(r->err, name);
		memcpy(copy, t->data, bytes);
		*out = copy;
	} else {
		*out = (void *)t->data;
	}
	return PB_OK;
}

static enum pb_status take_indices(struct restorer *r, const char *name, uint64_t n, uint32_t **out)
{
	void *data;
	enum pb_status status = take(r, name, PB_U32, n, 0, 0, &data);
	if (!status)
		*out = data;
	return status;
}

static enum pb_status restore_kept(struct restorer *r, const json_t *description)
{
	static const char *const keys[] = { "n", "dtype", NULL };
	struct pb_encoded *m = r->m;
	const json_t *object;
	uint64_t n;
	enum pb_status status = get_object(description, "kept", keys, &object, r->err);
	if (!status)
		status = get_integer(object, "n", m->cols, &n, r->err);
	if (!status)
		status = get_dtype(object, "dtype", &m->kept_dtype, r->err);
	if (!status)
		status = take_indices(r, "kept.column", n, &m->kept_columns);
	if (!status)
		status = take(r, "kept.value", m->kept_dtype, m->rows, n, 0, &m->kept);
	if (!status)
		m->n_kept = (uint32_t)n;
	return status;
}

static enum pb_status restore_dense(struct restorer *r, const json_t *description)
{
	uint32_t coded = pb_encoded_coded_cols(r->m);
	void *data = NULL;
	enum pb_status status = get_dtype(description, "dtype", &r->m->dense_dtype, r->err);
	if (!status && coded)
		status = take(r, "dense", r->m->dense_dtype, r->m->rows, coded, 0, &data);
	r->m->dense = data;
	return status;
}

static enum pb_status restore_levels(struct restorer *r, const json_t *description)
{
	static const char *const named_keys[] = { "kind", "name", NULL };
	static const char *const stored_keys[] = { "kind", "n", "dtype", NULL };
	static const char *const all_keys[] = { "kind", "name", "n", "dtype", NULL };
	struct pb_encoded *m = r->m;
	const json_t *object;
	int kind;
	uint64_t n;
	enum pb_status status = get_object(description, "levels", all_keys, &object, r->err);
	if (!status)
		status = get_choice(object, "kind", levels_names, &kind, r->err);
	if (!status)
		status = get_object(description, "levels", kind == PB_LEVELS_NAMED ? named_keys : stored_keys, &object, r->err);
	if (status)
		return status;
	if (kind == PB_LEVELS_NAMED) {
		const char *name = json_string_value(json_object_get(object, "name"));
		status = pb_encoded_set_levels(m, PB_LEVELS_NAMED, name ? name : "", NULL, 0, PB_F32, r->err);
		if (status == PB_USAGE)
			status = pb_fail(r->err, PB_FORMAT, "levels: '%.40s': there is no table of that name", name ? name : "");
		return status;
	}
	m->levels_kind = (enum pb_levels_kind)kind;
	status = get_integer(object, "n", PB_MAX_LEVELS, &n, r->err);
	if (!status)
		status = get_dtype(object, "dtype", &m->levels_dtype, r->err);
	if (!status)
		status = kind == PB_LEVELS_ROW ? take(r, "levels", m->levels_dtype, m->rows, n, 0, &m->levels)
			: take(r, "levels", m->levels_dtype, n, 0, 0, &m->levels);
	if (!status)
		m->n_levels = (unsigned)n;
	return status;
}

static enum pb_status restore_scalar(struct restorer *r, const json_t *description)
{
	struct pb_encoded *m = r->m;
	uint32_t coded = pb_encoded_coded_cols(m);
	void *data = NULL;
	enum pb_status status = get_width(description, "width", &m->width, r->err);
	if (!status && coded)
		status = take(r, "codes", PB_U8, m->rows, pb_packed_bytes(m->width, coded), 0, &data);
	m->packed = data;
	return status ? status : restore_levels(r, description);
}

static enum pb_status restore_stage(struct restorer *r, const json_t *centroids, uint32_t s)
{
	struct pb_vector_code *v = r->m->vector;
	const json_t *k = json_array_get(centroids, s);
	char name[32];
	void *index;
	if (!json_is_integer(k) || json_integer_value(k) < 2 || json_integer_value(k) > 65536)
		return pb_fail(r->err, PB_FORMAT, "encoding: n_centroids is not a list of whole numbers from 2 to 65536");
	v->n_centroids[s] = (uint32_t)json_integer_value(k);
	snprintf(name, sizeof name, "codebook.%" PRIu32, s);
	enum pb_status status = take(r, name, v->dtype, v->n_groups, v->n_centroids[s], v->length, &v->codebook[s]);
	if (status)
		return status;
	snprintf(name, sizeof name, "index.%" PRIu32, s);
	uint64_t n = pb_vector_count(r->m->rows, pb_encoded_coded_cols(r->m) - v->n_outliers, v->length, v->along_rows);
	status = take(r, name, PB_U8, pb_index_bytes(pb_index_bits(v->n_centroids[s]), n), 0, 0, &index);
	v->index[s] = index;
	return status;
}

static enum pb_status restore_outliers(struct restorer *r, const json_t *vector)
{
	static const char *const keys[] = { "n", "length", "n_centroids", NULL };
	struct pb_vector_code *v = r->m->vector;
	uint64_t n, k, most = pb_encoded_coded_cols(r->m);
	const json_t *object;
	void *index;
	enum pb_status status = get_object(vector, "outliers", keys, &object, r->err);
	if (!status)
		status = get_integer(object, "n", most, &n, r->err);
	if (!status)
		status = get_u32(object, "length", &v->outlier_length, r->err);
	if (!status)
		status = get_integer(object, "n_centroids", 65536, &k, r->err);
	if (status)
		return status;
	v->n_outliers = (uint32_t)n;
	v->outlier_centroids = (uint32_t)k;
	status = take(r, "outlier.codebook", v->dtype, k, v->outlier_length, 0, &v->outlier_codebook);
	if (status)
		return status;
	n = pb_vector_count(r->m->rows, v->n_outliers, v->outlier_length, true);
	status = take(r, "outlier.index", PB_U8, pb_index_bytes(pb_index_bits(v->outlier_centroids), n), 0, 0, &index);
	v->outlier_index = index;
	return status;
}

static enum pb_status restore_vector(struct restorer *r, const json_t *description)
{
	static const char *const keys[] = { "length", "along_rows", "n_groups", "n_centroids", "dtype", "outliers", "column_order", NULL };
	struct pb_encoded *m = r->m;
	const json_t *object, *centroids = NULL;
	bool ordered = false;
	struct pb_vector_code *v = m->vector = pb_arena_alloc(m->arena, 1, sizeof *v);
	if (!v)
		return pb_out_of_memory(r->err, "vector code");
	enum pb_status status = get_object(description, "vector", keys, &object, r->err);
	if (!status)
		status = get_u32(object, "length", &v->length, r->err);
	if (!status)
		status = get_bool(object, "along_rows", &v->along_rows, r->err);
	if (!status)
		status = get_u32(object, "n_groups", &v->n_groups, r->err);
	if (!status)
		status = get_dtype(object, "dtype", &v->dtype, r->err);
	if (!status)
		status = get_bool(object, "column_order", &ordered, r->err);
	if (!status) {
		centroids = json_object_get(object, "n_centroids");
		v->n_stages = (uint32_t)json_array_size(centroids);
		if (json_array_size(centroids) < 1 || json_array_size(centroids) > PB_MAX_STAGES)
			status = pb_fail(r->err, PB_FORMAT, "encoding: n_centroids is not a list of 1 to %d numbers", PB_MAX_STAGES);
	}
	if (status)
		return status;
	v->n_centroids = pb_arena_alloc(m->arena, v->n_stages, sizeof *v->n_centroids);
	v->codebook = pb_arena_alloc(m->arena, v->n_stages, sizeof *v->codebook);
	v->index = pb_arena_alloc(m->arena, v->n_stages, sizeof *v->index);
	if (!v->n_centroids || !v->codebook || !v->index)
		return pb_out_of_memory(r->err, "vector code");
	if (json_object_get(object, "outliers"))
		status = restore_outliers(r, object);
	for (uint32_t s = 0; !status && s < v->n_stages; s++)
		status = restore_stage(r, centroids, s);
	if (!status && ordered) {
		void *order;
		status = take(r, "column_order", PB_U16, pb_encoded_coded_cols(m), 0, 0, &order);
		v->column_order = order;
	}
	return status;
}

static enum pb_status restore_scale(struct restorer *r, const json_t *description, const char *name, struct pb_scale *s)
{
	static const char *const keys[] = { "kind", "dtype", "nested_block", "width", NULL };
	const json_t *object;
	char full[32];
	void *data;
	int kind;
	enum pb_status status = get_object(description, name, keys, &object, r->err);
	if (!status)
		status = get_choice(object, "kind", scale_names, &kind, r->err);
	if (status)
		return status;
	s->kind = (enum pb_scale_kind)kind;
	s->n = pb_encoded_blocks(r->m);
	switch (s->kind) {
	case PB_SCALE_ABSENT:
		break;
	case PB_SCALE_FLOAT:
		status = get_dtype(object, "dtype", &s->dtype, r->err);
		return status ? status : take(r, name, s->dtype, s->n, 0, 0, &s->data);
	case PB_SCALE_NESTED:
		status = get_u32(object, "nested_block", &s->nested_block, r->err);
		if (!status)
			status = take(r, name, PB_U8, s->n, 0, 0, &s->data);
		if (status)
			return status;
		snprintf(full, sizeof full, "%s.outer", name);
		status = take(r, full, PB_F32, outer_count(s->n, s->nested_block), 0, 0, &data);
		s->outer = data;
		if (status)
			return status;
		snprintf(full, sizeof full, "%s.offset", name);
		status = take(r, full, PB_F32, 1, 0, 0, &data);
		s->nested_offset = data;
		return status;
	case PB_SCALE_ZERO:
		status = get_width(object, "width", &s->zero_width, r->err);
		return status ? status : take(r, name, PB_U8, pb_packed_bytes(s->zero_width, s->n), 0, 0, &s->data);
	}
	return pb_fail(r->err, PB_FORMAT, "%s: a scale that is absent is not described", name);
}

static enum pb_status restore_blocks(struct restorer *r, const json_t *description)
{
	static const char *const keys[] = { "kind", "size", NULL };
	struct pb_encoded *m = r->m;
	const json_t *object;
	enum pb_status status = PB_OK;
	int kind;
	if (json_object_get(description, "block")) {
		status = get_object(description, "block", keys, &object, r->err);
		if (!status)
			status = get_choice(object, "kind", block_names, &kind, r->err);
		if (!status)
			status = get_integer(object, "size", INT64_MAX, &m->block_size, r->err);
		if (!status)
			m->block_kind = (enum pb_block_kind)kind;
	}
	if (!status && json_object_get(description, "block_scale"))
		status = restore_scale(r, description, "block_scale", &m->block_scale);
	if (!status && json_object_get(description, "block_offset"))
		status = restore_scale(r, description, "block_offset", &m->block_offset);
	return status;
}

static enum pb_status restore_vectors(struct restorer *r, const json_t *description)
{
	struct pb_encoded *m = r->m;
	enum pb_status status = PB_OK;
	if (json_object_get(description, "row_scale")) {
		status = get_dtype(description, "row_scale", &m->row_scale_dtype, r->err);
		if (!status)
			status = take(r, "row_scale", m->row_scale_dtype, m->rows, 0, 0, &m->row_scale);
	}
	if (!status && json_object_get(description, "col_scale")) {
		status = get_dtype(description, "col_scale", &m->col_scale_dtype, r->err);
		if (!status)
			status = take(r, "col_scale", m->col_scale_dtype, m->cols, 0, 0, &m->col_scale);
	}
	if (!status && json_object_get(description, "col_offset")) {
		status = get_dtype(description, "col_offset", &m->col_offset_dtype, r->err);
		if (!status)
			status = take(r, "col_offset", m->col_offset_dtype, m->cols, 0, 0, &m->col_offset);
	}
	return status;
}

static enum pb_status restore_sparse(struct restorer *r, const json_t *description)
{
	static const char *const keys[] = { "n", "dtype", NULL };
	struct pb_encoded *m = r->m;
	const json_t *object;
	enum pb_status status = get_object(description, "sparse", keys, &object, r->err);
	if (status)
		return status;
	const json_t *n = json_object_get(object, "n");
	if (!json_is_integer(n) || json_integer_value(n) < 0 || json_integer_value(n) > UINT32_MAX)
		return pb_fail(r->err, PB_FORMAT, "encoding: n of the sparse values is not a whole number from 0 to %u", UINT32_MAX);
	m->n_sparse = (uint64_t)json_integer_value(n);
	status = get_dtype(object, "dtype", &m->sparse_dtype, r->err);
	if (!status)
		status = take_indices(r, "sparse.start", (uint64_t)m->rows + 1, &m->sparse_start);
	if (!status)
		status = take_indices(r, "sparse.column", m->n_sparse, &m->sparse_column);
	if (!status)
		status = take(r, "sparse.value", m->sparse_dtype, m->n_sparse, 0, 0, &m->sparse_value);
	return status;
}

static enum pb_status restore_low_rank(struct restorer *r, const json_t *description)
{
	static const char *const keys[] = { "rank", "dtype", NULL };
	struct pb_encoded *m = r->m;
	const json_t *object;
	enum pb_status status = get_object(description, "low_rank", keys, &object, r->err);
	if (!status)
		status = get_u32(object, "rank", &m->rank, r->err);
	if (!status)
		status = get_dtype(object, "dtype", &m->rank_dtype, r->err);
	if (!status)
		status = take(r, "low_rank.u", m->rank_dtype, m->rows, m->rank, 0, &m->rank_u);
	if (!status)
		status = take(r, "low_rank.v", m->rank_dtype, m->rank, m->cols, 0, &m->rank_v);
	return status;
}

static enum pb_status restore_parts(struct restorer *r, const json_t *description)
{
	struct pb_encoded *m = r->m;
	int code, post = PB_POST_NONE;
	enum pb_status status = get_choice(description, "code", code_names, &code, r->err);
	if (!status && json_object_get(description, "kept"))
		status = restore_kept(r, description);
	if (status)
		return status;
	m->code = (enum pb_code)code;
	status = m->code == PB_CODE_DENSE ? restore_dense(r, description) :
		m->code == PB_CODE_SCALAR ? restore_scalar(r, description) : restore_vector(r, description);
	if (!status)
		status = restore_blocks(r, description);
	if (!status)
		status = restore_vectors(r, description);
	if (!status && json_object_get(description, "sparse"))
		status = restore_sparse(r, description);
	if (!status && json_object_get(description, "low_rank"))
		status = restore_low_rank(r, description);
	if (!status && json_object_get(description, "post"))
		status = get_choice(description, "post", post_names, &post, r->err);
	m->post = (enum pb_post)post;
	if (!status && json_object_get(description, "claimed_bytes"))
		status = get_integer(description, "claimed_bytes", MAX_WEIGHTS, &m->claimed_bytes, r->err);
	return status ? status : pb_encoded_check(m, r->err);
}

static enum pb_status restore(struct pb_encoded **out, const json_t *description, pb_part_find find, void *arg, bool copies,
	struct pb_error *err)
{
	static const char *const keys[] = { "rows", "cols", "code", "dtype", "width", "levels", "vector", "block", "block_scale",
		"block_offset", "row_scale", "col_scale", "col_offset", "kept", "sparse", "low_rank", "post", "claimed_bytes", NULL };
	struct restorer r = { .find = find, .arg = arg, .copies = copies, .err = err };
	const json_t *object;
	uint32_t rows, cols;
	enum pb_status status = get_object(description, NULL, keys, &object, err);
	if (!status)
		status = get_u32(object, "rows", &rows, err);
	if (!status)
		status = get_u32(object, "cols", &cols, err);
	if (!status && (uint64_t)rows * cols > MAX_WEIGHTS)
		status = pb_fail(err, PB_FORMAT, "matrix: %" PRIu32 " x %" PRIu32 " is larger than any file", rows, cols);
	if (!status)
		status = pb_encoded_new(&r.m, rows, cols, err);
	if (status)
		return status;
	status = restore_parts(&r, object);
	if (status)
		pb_encoded_free(r.m);
	else
		*out = r.m;
	return status;
}

enum pb_status pb_encoded_restore(struct pb_encoded **out, const json_t *description, pb_part_find find, void *arg, struct pb_error *err)
{
	return restore(out, description, find, arg, false, err);
}

enum pb_status pb_encoded_copy(struct pb_encoded **out, const json_t *description, pb_part_find find, void *arg, struct pb_error *err)
{
	return restore(out, description, find, arg, true, err);
}
