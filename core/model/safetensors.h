/* safetensors in and out. Reading is by memory mapping with every check of the format: header
 * length, unique names, contiguous offsets that start at 0, sizes that equal shape times dtype,
 * file length. Writing is atomic, deterministic, header padded so that data begin at a multiple of 8. */
#ifndef PB_CORE_MODEL_SAFETENSORS_H
#define PB_CORE_MODEL_SAFETENSORS_H

#include "core/base/status.h"
#include "core/model/tensor.h"

struct pb_safetensors;      /* an open file; tensors point into its mapping */

enum pb_status pb_safetensors_open(struct pb_safetensors **out, const char *path, struct pb_error *err) PB_MUST_CHECK;
/* The same checks on bytes in memory, which must outlive the result. name: for messages. */
enum pb_status pb_safetensors_parse(struct pb_safetensors **out, const char *name, const void *data, size_t size, struct pb_error *err) PB_MUST_CHECK;
void pb_safetensors_close(struct pb_safetensors *st);

size_t pb_safetensors_count(const struct pb_safetensors *st);
const char *pb_safetensors_name(const struct pb_safetensors *st, size_t i);       /* in order of offsets */
const struct pb_tensor *pb_safetensors_tensor(const struct pb_safetensors *st, size_t i);
const struct pb_tensor *pb_safetensors_find(const struct pb_safetensors *st, const char *name); /* NULL when absent */
const char *pb_safetensors_metadata(const struct pb_safetensors *st, const char *key);          /* NULL when absent */
uint64_t pb_safetensors_data_bytes(const struct pb_safetensors *st);               /* file length less 8 + header */
uint64_t pb_safetensors_header_bytes(const struct pb_safetensors *st);             /* 8 + header */

struct pb_named_tensor {
	const char *name;
	struct pb_tensor tensor;
};
/* Tensors are written by descending dtype size, then name. metadata: NULL-terminated pairs key, value; or NULL. */
enum pb_status pb_safetensors_write(const char *path, const struct pb_named_tensor *tensors, size_t n,
	const char *const *metadata, struct pb_error *err) PB_MUST_CHECK;

/* The same for tensors that are not all in memory at once: named and shaped first (their data is not looked at), then given
 * one after the other, in the order of the list. open -> put* -> commit; abort at any time leaves nothing behind. */
struct pb_safetensors_writer;
enum pb_status pb_safetensors_writer_open(struct pb_safetensors_writer **out, const char *path, const struct pb_named_tensor *tensors, size_t n,
	const char *const *metadata, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_safetensors_writer_put(struct pb_safetensors_writer *w, const void *data, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_safetensors_writer_commit(struct pb_safetensors_writer *w, struct pb_error *err) PB_MUST_CHECK; /* frees w, also on failure */
void pb_safetensors_writer_abort(struct pb_safetensors_writer *w);  /* frees w; NULL is fine */

#endif
