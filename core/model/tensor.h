/* Tensors as they lie in files, and conversion to f32. Row-major; rows = out features, cols = in features. */
#ifndef PB_CORE_MODEL_TENSOR_H
#define PB_CORE_MODEL_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"

enum pb_dtype { PB_F32, PB_F16, PB_BF16, PB_F64, PB_U8, PB_I8, PB_U16, PB_I16, PB_U32, PB_I32, PB_U64, PB_I64, PB_BOOL, PB_DTYPES };

#define PB_MAX_DIMS 8

/* A view: `data` belongs to somebody else (a mapping, an arena); no alignment is promised. */
struct pb_tensor {
	enum pb_dtype dtype;
	unsigned n_dims;
	uint64_t shape[PB_MAX_DIMS];
	const void *data;
	uint64_t bytes;
};

size_t pb_dtype_bytes(enum pb_dtype dtype);
const char *pb_dtype_name(enum pb_dtype dtype);              /* safetensors' names: "F32", "BF16", ... */
bool pb_dtype_parse(const char *name, enum pb_dtype *out);   /* safetensors' names */

/* IEEE conversions; round to nearest even; overflow to infinity; NaN stays NaN. */
float pb_f16_to_f32(uint16_t h);
uint16_t pb_f32_to_f16(float f);
float pb_bf16_to_f32(uint16_t h);
uint16_t pb_f32_to_bf16(float f);

/* Element i of unaligned data of a floating dtype (F32, F16, BF16, F64) as f32. */
float pb_float_at(enum pb_dtype dtype, const void *data, uint64_t i);
/* n elements from `first` on into out. */
void pb_float_read(enum pb_dtype dtype, const void *data, uint64_t first, uint64_t n, float *out);
/* f32 values into data of dtype F32, F16 or BF16, rounding. */
void pb_float_write(enum pb_dtype dtype, const float *values, uint64_t n, void *data);

/* Number of elements with overflow check; false on overflow. */
bool pb_tensor_count(const struct pb_tensor *t, uint64_t *out);
/* How many of n f32 values are not finite. */
uint64_t pb_count_not_finite(const float *values, uint64_t n);

#endif
