#include "core/model/tensor.h"

#include <math.h>
#include <string.h>

static const struct {
	const char *name;
	unsigned char bytes;
} dtypes[PB_DTYPES] = {
	[PB_F32] = { "F32", 4 }, [PB_F16] = { "F16", 2 }, [PB_BF16] = { "BF16", 2 }, [PB_F64] = { "F64", 8 },
	[PB_U8] = { "U8", 1 },   [PB_I8] = { "I8", 1 },   [PB_U16] = { "U16", 2 },   [PB_I16] = { "I16", 2 },
	[PB_U32] = { "U32", 4 }, [PB_I32] = { "I32", 4 }, [PB_U64] = { "U64", 8 },   [PB_I64] = { "I64", 8 },
	[PB_BOOL] = { "BOOL", 1 },
};

size_t pb_dtype_bytes(enum pb_dtype dtype)
{
	return dtypes[dtype].bytes;
}

const char *pb_dtype_name(enum pb_dtype dtype)
{
	return (unsigned)dtype < PB_DTYPES ? dtypes[dtype].name : "unknown";
}

bool pb_dtype_parse(const char *name, enum pb_dtype *out)
{
	for (int d = 0; d < PB_DTYPES; d++)
		if (!strcmp(name, dtypes[d].name)) {
			*out = (enum pb_dtype)d;
			return true;
		}
	return false;
}

static uint32_t bits_of(float f)
{
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	return u;
}

static float float_of(uint32_t u)
{
	float f;
	memcpy(&f, &u, sizeof f);
	return f;
}

float pb_f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16;
	uint32_t exponent = (h >> 10) & 31, mantissa = h & 0x3ff;
	if (exponent == 31)
		return float_of(sign | 0x7f800000 | mantissa << 13);
	if (exponent)
		return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
	/* zero and subnormals: mantissa * 2^-24, exact in f32 */
	float value = (float)mantissa * 0x1p-24f;
	return float_of(sign | bits_of(value));
}

uint16_t pb_f32_to_f16(float f)
{
	uint32_t u = bits_of(f), magnitude = u & 0x7fffffff;
	uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
	if (magnitude > 0x7f800000) /* NaN: the quiet bit keeps the mantissa from becoming 0 */
		return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
	if (magnitude >= 0x477ff000) /* 65520, half way to 2^16, rounds to infinity */
		return (uint16_t)(sign | 0x7c00);
	if (magnitude >= 0x38800000) { /* 2^-14: normal; a carry out of the mantissa raises the exponent as it should */
		magnitude -= 112u << 23;
		return (uint16_t)(sign | ((magnitude + 0xfff + (magnitude >> 13 & 1)) >> 13));
	}
	if (magnitude < 0x33000000) /* below 2^-25, half of the smallest subnormal */
		return sign;
	/* subnormal: units of 2^-24; the shift is 14 for exponent 112 and 24 for exponent 102 */
	unsigned shift = 126 - (magnitude >> 23);
	uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
	uint32_t half = 1u << (shift - 1), kept = mantissa >> shift;
	uint32_t rest = mantissa & ((1u << shift) - 1);
	if (rest > half || (rest == half && (kept & 1)))
		kept++;
	return (uint16_t)(sign | kept);
}

float pb_bf16_to_f32(uint16_t h)
{
	return float_of((uint32_t)h << 16);
}

uint16_t pb_f32_to_bf16(float f)
{
	uint32_t u = bits_of(f);
	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

float pb_float_at(enum pb_dtype dtype, const void *data, uint64_t i)
{
	float out;
	pb_float_read(dtype, data, i, 1, &out);
	return out;
}

void pb_float_read(enum pb_dtype dtype, const void *data, uint64_t first, uint64_t n, float *out)
{
	if (n == 0)
		return;
	const unsigned char *p = (const unsigned char *)data + first * pb_dtype_bytes(dtype);
	switch (dtype) {
	case PB_F32:
		memcpy(out, p, n * sizeof *out);
		break;
	case PB_F16:
		for (uint64_t i = 0; i < n; i++) {
			uint16_t h;
			memcpy(&h, p + 2 * i, sizeof h);
			out[i] = pb_f16_to_f32(h);
		}
		break;
	case PB_BF16:
		for (uint64_t i = 0; i < n; i++) {
			uint16_t h;
			memcpy(&h, p + 2 * i, sizeof h);
			out[i] = pb_bf16_to_f32(h);
		}
		break;
	case PB_F64:
		for (uint64_t i = 0; i < n; i++) {
			double d;
			memcpy(&d, p + 8 * i, sizeof d);
			out[i] = (float)d;
		}
		break;
	default: /* not a floating dtype: there is no number to give */
		for (uint64_t i = 0; i < n; i++)
			out[i] = NAN;
	}
}

void pb_float_write(enum pb_dtype dtype, const float *values, uint64_t n, void *data)
{
	unsigned char *p = data;
	if (n == 0)
		return;
	switch (dtype) {
	case PB_F32:
		memcpy(p, values, n * sizeof *values);
		break;
	case PB_F16:
	case PB_BF16:
		for (uint64_t i = 0; i < n; i++) {
			uint16_t h = dtype == PB_F16 ? pb_f32_to_f16(values[i]) : pb_f32_to_bf16(values[i]);
			memcpy(p + 2 * i, &h, sizeof h);
		}
		break;
	default:
		break;
	}
}

bool pb_tensor_count(const struct pb_tensor *t, uint64_t *out)
{
	uint64_t n = 1;
	for (unsigned d = 0; d < t->n_dims; d++)
		if (t->shape[d] == 0) {
			*out = 0;
			return true;
		}
	for (unsigned d = 0; d < t->n_dims; d++)
		if (__builtin_mul_overflow(n, t->shape[d], &n))
			return false;
	*out = n;
	return true;
}

uint64_t pb_count_not_finite(const float *values, uint64_t n)
{
	uint64_t count = 0;
	for (uint64_t i = 0; i < n;) {
		uint64_t end = n - i < 1 << 20 ? n : i + (1 << 20);
		uint32_t bad = 0; /* as wide as the numbers, for vector code */
		for (; i < end; i++)
			bad += (bits_of(values[i]) & 0x7f800000) == 0x7f800000;
		count += bad;
	}
	return count;
}
