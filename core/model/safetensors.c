#include "core/model/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/base/text.h"

/* Tensor bytes are used as they lie in the file. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors are little-endian");

#define LENGTH_BYTES 8u
#define MAX_HEADER_BYTES 100000000u     /* the format's own limit */
#define MAX_NAME_BYTES 512u

struct entry {
	const char *name;
	struct pb_tensor tensor;
	uint64_t begin, end;            /* relative to the data */
};

struct pb_safetensors {
	struct pb_map map;              /* {0} when the bytes are the caller's */
	struct pb_arena *arena;
	json_t *metadata;               /* or NULL */
	size_t n;
	struct entry *entries;          /* in order of offsets */
	const struct entry **by_name;
	uint64_t header_bytes, data_bytes;
};

static int compare_offsets(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	if (x->end != y->end) /* a tensor without bytes comes before the one that begins at the same place */
		return x->end < y->end ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(const struct entry *const *)a)->name, (*(const struct entry *const *)b)->name);
}

static int compare_name_to_entry(const void *name, const void *entry)
{
	return strcmp(name, (*(const struct entry *const *)entry)->name);
}

/* Names are put into messages and looked up as C strings. */
static bool is_printable(const char *s, size_t limit)
{
	size_t n = strlen(s);
	if (n == 0 || n > limit)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

static bool read_unsigned(const json_t *value, uint64_t *out)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*out = (uint64_t)json_integer_value(value);
	return true;
}

static enum pb_status parse_metadata(struct pb_safetensors *st, const char *file, json_t *metadata, struct pb_error *err)
{
	const char *key;
	json_t *value;
	if (!json_is_object(metadata))
		return pb_fail(err, PB_FORMAT, "%s: __metadata__ is not an object", file);
	json_object_foreach(metadata, key, value)
		if (!json_is_string(value))
			return pb_fail(err, PB_FORMAT, "%s: a value in __metadata__ is not a string", file);
	st->metadata = json_incref(metadata);
	return PB_OK;
}

static enum pb_status parse_entry(struct entry *e, const char *file, json_t *info, struct pb_error *err)
{
	const char *name = e->name;
	const char *dtype = json_string_value(json_object_get(info, "dtype"));
	const json_t *shape = json_object_get(info, "shape"), *offsets = json_object_get(info, "data_offsets");
	if (!json_is_object(info) || json_object_size(info) != 3 || !dtype || !json_is_array(shape) || !json_is_array(offsets))
		return pb_fail(err, PB_FORMAT, "%s: tensor %s: not an object of dtype, shape and data_offsets", file, name);
	if (!pb_dtype_parse(dtype, &e->tensor.dtype)) {
		if (!is_printable(dtype, 32))
			return pb_fail(err, PB_FORMAT, "%s: tensor %s: the dtype is no name", file, name);
		return pb_fail(err, PB_UNSUPPORTED, "%s: tensor %s: dtype %s is not read", file, name, dtype);
	}
	if (json_array_size(shape) > PB_MAX_DIMS)
		return pb_fail(err, PB_UNSUPPORTED, "%s: tensor %s: %zu dimensions, at most %d are read", file, name, json_array_size(shape), PB_MAX_DIMS);
	e->tensor.n_dims = (unsigned)json_array_size(shape);
	for (unsigned d = 0; d < e->tensor.n_dims; d++)
		if (!read_unsigned(json_array_get(shape, d), &e->tensor.shape[d]))
			return pb_fail(err, PB_FORMAT, "%s: tensor %s: dimension %u of the shape is not an unsigned integer", file, name, d);
	if (json_array_size(offsets) != 2 || !read_unsigned(json_array_get(offsets, 0), &e->begin) || !read_unsigned(json_array_get(offsets, 1), &e->end))
		return pb_fail(err, PB_FORMAT, "%s: tensor %s: data_offsets are not two unsigned integers", file, name);
	if (e->begin > e->end)
		return pb_fail(err, PB_FORMAT, "%s: tensor %s: data_offsets end before they begin", file, name);
	uint64_t count, bytes;
	if (!pb_tensor_count(&e->tensor, &count) || __builtin_mul_overflow(count, pb_dtype_bytes(e->tensor.dtype), &bytes))
		return pb_fail(err, PB_FORMAT, "%s: tensor %s: the shape overflows", file, name);
	if (e->end - e->begin != bytes)
		return pb_fail(err, PB_FORMAT, "%s: tensor %s: shape and dtype need %llu bytes, data_offsets give %llu", file, name,
			(unsigned long long)bytes, (unsigned long long)(e->end - e->begin));
	e->tensor.bytes = bytes;
	return PB_OK;
}

/* Offsets tile [0, data bytes) without holes and overlaps. */
static enum pb_status check_layout(const struct pb_safetensors *st, const char *file, struct pb_error *err)
{
	uint64_t end = 0;
	for (size_t i = 0; i < st->n; i++) {
		const struct entry *e = &st->entries[i];
		if (e->begin > end)
			return pb_fail(err, PB_FORMAT, "%s: tensor %s: begins at %llu, a hole of %llu bytes after the tensor before it", file, e->name,
				(unsigned long long)e->begin, (unsigned long long)(e->begin - end));
		if (e->begin < end)
			return pb_fail(err, PB_FORMAT, "%s: tensor %s: begins at %llu, inside the tensor before it", file, e->name, (unsigned long long)e->begin);
		end = e->end;
	}
	if (end > st->data_bytes)
		return pb_fail(err, PB_FORMAT, "%s: truncated: header asks for %llu bytes, the file has %llu", file,
			(unsigned long long)(st->header_bytes + end), (unsigned long long)(st->header_bytes + st->data_bytes));
	if (end < st->data_bytes)
		return pb_fail(err, PB_FORMAT, "%s: %llu bytes after the last tensor", file, (unsigned long long)(st->data_bytes - end));
	return PB_OK;
}

static enum pb_status parse_header(struct pb_safetensors *st, const char *file, const unsigned char *data, json_t *header, struct pb_error *err)
{
	enum pb_status status;
	const char *name;
	json_t *info;
	if (!json_is_object(header))
		return pb_fail(err, PB_FORMAT, "%s: the header is not an object", file);
	st->entries = pb_arena_alloc(st->arena, json_object_size(header) + 1, sizeof *st->entries);
	st->by_name = pb_arena_alloc(st->arena, json_object_size(header) + 1, sizeof *st->by_name);
	if (!st->entries || !st->by_name)
		return pb_out_of_memory(err, "list of tensors");
	json_object_foreach(header, name, info) {
		if (!strcmp(name, "__metadata__")) {
			status = parse_metadata(st, file, info, err);
		} else {
			struct entry *e = &st->entries[st->n++];
			if (!is_printable(name, MAX_NAME_BYTES))
				return pb_fail(err, PB_FORMAT, "%s: a tensor's name is empty, longer than %u bytes or has control characters", file, MAX_NAME_BYTES);
			e->name = pb_arena_strdup(st->arena, name);
			if (!e->name)
				return pb_out_of_memory(err, "list of tensors");
			status = parse_entry(e, file, info, err);
		}
		if (status)
			return status;
	}
	qsort(st->entries, st->n, sizeof *st->entries, compare_offsets);
	status = check_layout(st, file, err);
	if (status)
		return status;
	for (size_t i = 0; i < st->n; i++) {
		st->entries[i].tensor.data = data + st->header_bytes + st->entries[i].begin;
		st->by_name[i] = &st->entries[i];
	}
	qsort(st->by_name, st->n, sizeof *st->by_name, compare_names);
	return PB_OK;
}

enum pb_status pb_safetensors_parse(struct pb_safetensors **out, const char *name, const void *data, size_t size, struct pb_error *err)
{
	uint64_t length;
	if (size < LENGTH_BYTES)
		return pb_fail(err, PB_FORMAT, "%s: truncated: %zu bytes, the header length alone needs %u", name, size, LENGTH_BYTES);
	memcpy(&length, data, sizeof length);
	if (length > MAX_HEADER_BYTES)
		return pb_fail(err, PB_FORMAT, "%s: not a safetensors file: header length %llu is over the limit of %u", name, (unsigned long long)length, MAX_HEADER_BYTES);
	if (length > size - LENGTH_BYTES)
		return pb_fail(err, PB_FORMAT, "%s: truncated: header length is %llu bytes, the file has %zu", name, (unsigned long long)length, size);
	const char *text = (const char *)data + LENGTH_BYTES;
	if (length == 0 || text[0] != '{')
		return pb_fail(err, PB_FORMAT, "%s: not a safetensors file: the header does not begin with {", name);

	json_t *header = NULL;
	enum pb_status status = pb_json_parse(&header, name, text, (size_t)length, err);
	if (status)
		return status;
	struct pb_safetensors *st = pb_alloc_zero(1, sizeof *st);
	if (st)
		st->arena = pb_arena_new();
	if (!st || !st->arena) {
		status = pb_out_of_memory(err, "safetensors reader");
	} else {
		st->header_bytes = LENGTH_BYTES + length;
		st->data_bytes = size - st->header_bytes;
		status = parse_header(st, name, data, header, err);
	}
	json_decref(header);
	if (status)
		pb_safetensors_close(st);
	else
		*out = st;
	return status;
}

enum pb_status pb_safetensors_open(struct pb_safetensors **out, const char *path, struct pb_error *err)
{
	struct pb_map map = { 0 };
	struct pb_safetensors *st = NULL;
	enum pb_status status = pb_map_open(&map, path, err);
	if (status)
		return status;
	status = pb_safetensors_parse(&st, path, map.data, map.size, err);
	if (status) {
		pb_map_close(&map);
		return status;
	}
	st->map = map;
	*out = st;
	return PB_OK;
}

void pb_safetensors_close(struct pb_safetensors *st)
{
	if (!st)
		return;
	json_decref(st->metadata);
	pb_arena_free(st->arena);
	pb_map_close(&st->map);
	pb_free(st);
}

size_t pb_safetensors_count(const struct pb_safetensors *st)
{
	return st->n;
}

const char *pb_safetensors_name(const struct pb_safetensors *st, size_t i)
{
	return st->entries[i].name;
}

const struct pb_tensor *pb_safetensors_tensor(const struct pb_safetensors *st, size_t i)
{
	return &st->entries[i].tensor;
}

const struct pb_tensor *pb_safetensors_find(const struct pb_safetensors *st, const char *name)
{
	const struct entry *const *e = bsearch(name, st->by_name, st->n, sizeof *st->by_name, compare_name_to_entry);
	return e ? &(*e)->tensor : NULL;
}

const char *pb_safetensors_metadata(const struct pb_safetensors *st, const char *key)
{
	return json_string_value(json_object_get(st->metadata, key));
}

uint64_t pb_safetensors_data_bytes(const struct pb_safetensors *st)
{
	return st->data_bytes;
}

uint64_t pb_safetensors_header_bytes(const struct pb_safetensors *st)
{
	return st->header_bytes;
}

static int compare_for_writing(const void *a, const void *b)
{
	const struct pb_named_tensor *x = a, *y = b;
	size_t x_bytes = pb_dtype_bytes(x->tensor.dtype), y_bytes = pb_dtype_bytes(y->tensor.dtype);
	if (x_bytes != y_bytes)
		return x_bytes > y_bytes ? -1 : 1;
	return strcmp(x->name, y->name);
}

static enum pb_status check_for_writing(const char *path, const struct pb_named_tensor *t, struct pb_error *err)
{
	uint64_t count, bytes;
	if (!is_printable(t->name, MAX_NAME_BYTES) || !pb_utf8_valid(t->name, strlen(t->name)) || !strcmp(t->name, "__metadata__"))
		return pb_fail(err, PB_FORMAT, "%s: a tensor's name cannot be written", path);
	if (t->tensor.n_dims > PB_MAX_DIMS || !pb_tensor_count(&t->tensor, &count) || __builtin_mul_overflow(count, pb_dtype_bytes(t->tensor.dtype), &bytes) ||
	    bytes != t->tensor.bytes)
		return pb_fail(err, PB_FORMAT, "%s: tensor %s: has %llu bytes, not those of its shape", path, t->name, (unsigned long long)t->tensor.bytes);
	return PB_OK;
}

/* A NULL value, one that could not be made, fails too. */
static bool put(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

static json_t *make_entry(const struct pb_tensor *t, uint64_t begin)
{
	json_t *entry = json_object(), *shape = json_array();
	bool good = entry && shape;
	for (unsigned d = 0; good && d < t->n_dims; d++)
		good = json_array_append_new(shape, json_integer((json_int_t)t->shape[d])) == 0;
	good = good && put(entry, "dtype", json_string(pb_dtype_name(t->dtype))) && put(entry, "shape", json_incref(shape)) &&
		put(entry, "data_offsets", json_pack("[I, I]", (json_int_t)begin, (json_int_t)(begin + t->bytes)));
	json_decref(shape);
	if (good)
		return entry;
	json_decref(entry);
	return NULL;
}

static int append(const char *bytes, size_t n, void *text)
{
	pb_text_bytes(text, bytes, n);
	return 0;
}

/* The header with its padding, freed by pb_free; the object keeps the order of insertion. */
static enum pb_status make_header(const char *path, const struct pb_named_tensor *tensors, size_t n, const char *const *metadata,
	char **out, uint64_t *length, struct pb_error *err)
{
	json_t *header = json_object(), *pairs = metadata ? json_object() : NULL;
	bool good = header && (pairs || !metadata);
	for (const char *const *m = metadata; good && m && *m; m += 2)
		good = put(pairs, m[0], json_string(m[1]));
	if (good && pairs)
		good = json_object_set(header, "__metadata__", pairs) == 0;
	const char *twice = NULL;
	uint64_t offset = 0;
	for (size_t i = 0; good && !twice && i < n; i++) {
		if (json_object_get(header, tensors[i].name))
			twice = tensors[i].name;
		else
			good = put(header, tensors[i].name, make_entry(&tensors[i].tensor, offset));
		offset += tensors[i].tensor.bytes;
	}
	struct pb_text text = { 0 };
	good = good && json_dump_callback(header, append, &text, JSON_COMPACT) == 0;
	json_decref(pairs);
	json_decref(header);
	while (good && text.length % 8 != 0 && !text.failed)
		pb_text_char(&text, ' ');
	enum pb_status status = PB_OK;
	if (twice)
		status = pb_fail(err, PB_FORMAT, "%s: tensor %s is there twice", path, twice);
	else if (!good || text.failed)
		status = pb_out_of_memory(err, "safetensors header");
	else if (text.length > MAX_HEADER_BYTES)
		status = pb_fail(err, PB_LIMIT, "%s: the header has %zu bytes, over the limit of %u", path, text.length, MAX_HEADER_BYTES);
	if (status) {
		pb_text_free(&text);
		return status;
	}
	*out = text.data;
	*length = text.length;
	return PB_OK;
}

struct pb_safetensors_writer {
	struct pb_writer *file;
	uint64_t *bytes;                /* of each tensor */
	size_t n, next;
};

static enum pb_status check_all_for_writing(const char *path, const struct pb_named_tensor *tensors, size_t n, const char *const *metadata, struct pb_error *err)
{
	uint64_t total = 0;
	for (size_t i = 0; i < n; i++) {
		enum pb_status status = check_for_writing(path, &tensors[i], err);
		if (status)
			return status;
		if (__builtin_add_overflow(total, tensors[i].tensor.bytes, &total) || total > INT64_MAX)
			return pb_fail(err, PB_LIMIT, "%s: the tensors have too many bytes", path);
	}
	for (const char *const *m = metadata; m && *m; m += 2)
		if (!m[1] || !pb_utf8_valid(m[0], strlen(m[0])) || !pb_utf8_valid(m[1], strlen(m[1])))
			return pb_fail(err, PB_FORMAT, "%s: a pair of the metadata cannot be written", path);
	return PB_OK;
}

static enum pb_status begin_file(struct pb_safetensors_writer *w, const char *path, const char *header, uint64_t length, struct pb_error *err)
{
	enum pb_status status = pb_writer_open(&w->file, path, err);
	if (!status)
		status = pb_writer_write(w->file, &length, sizeof length, err);
	return status ? status : pb_writer_write(w->file, header, (size_t)length, err);
}

enum pb_status pb_safetensors_writer_open(struct pb_safetensors_writer **out, const char *path, const struct pb_named_tensor *tensors, size_t n,
	const char *const *metadata, struct pb_error *err)
{
	char *header = NULL;
	uint64_t length = 0;
	enum pb_status status = check_all_for_writing(path, tensors, n, metadata, err);
	if (!status)
		status = make_header(path, tensors, n, metadata, &header, &length, err);
	if (status)
		return status;
	struct pb_safetensors_writer *w = pb_alloc_zero(1, sizeof *w);
	if (w)
		w->bytes = pb_alloc(n, sizeof *w->bytes);
	if (w && w->bytes) {
		w->n = n;
		for (size_t i = 0; i < n; i++)
			w->bytes[i] = tensors[i].tensor.bytes;
		status = begin_file(w, path, header, length, err);
	} else {
		status = pb_out_of_memory(err, "safetensors writer");
	}
	pb_free(header);
	if (status)
		pb_safetensors_writer_abort(w);
	else
		*out = w;
	return status;
}

enum pb_status pb_safetensors_writer_put(struct pb_safetensors_writer *w, const void *data, struct pb_error *err)
{
	if (w->next == w->n)
		return pb_fail(err, PB_FAILED, "safetensors: more tensors than the header names");
	return pb_writer_write(w->file, data, (size_t)w->bytes[w->next++], err);
}

enum pb_status pb_safetensors_writer_commit(struct pb_safetensors_writer *w, struct pb_error *err)
{
	struct pb_writer *file = w->file;
	bool whole = w->next == w->n;
	pb_free(w->bytes);
	pb_free(w);
	if (whole)
		return pb_writer_commit(file, err);
	pb_writer_abort(file);
	return pb_fail(err, PB_FAILED, "safetensors: fewer tensors than the header names");
}

void pb_safetensors_writer_abort(struct pb_safetensors_writer *w)
{
	if (!w)
		return;
	pb_writer_abort(w->file);
	pb_free(w->bytes);
	pb_free(w);
}

enum pb_status pb_safetensors_write(const char *path, const struct pb_named_tensor *tensors, size_t n,
	const char *const *metadata, struct pb_error *err)
{
	struct pb_safetensors_writer *w = NULL;
	struct pb_named_tensor *order = pb_alloc(n, sizeof *order);
	if (!order)
		return pb_out_of_memory(err, "order of tensors");
	if (n)
		memcpy(order, tensors, n * sizeof *order);
	qsort(order, n, sizeof *order, compare_for_writing);
	enum pb_status status = pb_safetensors_writer_open(&w, path, order, n, metadata, err);
	for (size_t i = 0; !status && i < n; i++)
		status = pb_safetensors_writer_put(w, order[i].tensor.data, err);
	pb_free(order);
	if (!status)
		return pb_safetensors_writer_commit(w, err);
	pb_safetensors_writer_abort(w);
	return status;
}
