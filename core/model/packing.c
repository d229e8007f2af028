/* Packed indices. Loads of several bytes are little-endian, as are all machines that the project builds for. */
#include "core/model/encoded.h"

#include <string.h>

static const struct {
	const char *name;
	unsigned levels;
	unsigned field;         /* bits; 0 for trits */
	double bits;
} widths[PB_WIDTHS] = {
	[PB_W1] = { "1", 2, 1, 1.0 },
	[PB_W_TRIT] = { "1.58", 3, 0, 1.5849625007211562 },
	[PB_W2] = { "2", 4, 2, 2.0 },
	[PB_W3] = { "3", 8, 3, 3.0 },
	[PB_W4] = { "4", 16, 4, 4.0 },
	[PB_W5] = { "5", 32, 5, 5.0 },
	[PB_W6] = { "6", 64, 6, 6.0 },
	[PB_W8] = { "8", 256, 8, 8.0 },
};

unsigned pb_width_levels(enum pb_width w)
{
	return widths[w].levels;
}

double pb_width_bits(enum pb_width w)
{
	return widths[w].bits;
}

const char *pb_width_name(enum pb_width w)
{
	return widths[w].name;
}

bool pb_width_for_levels(unsigned n_levels, enum pb_width *out)
{
	for (int w = 0; w < PB_WIDTHS; w++)
		if (widths[w].levels >= n_levels) {
			*out = (enum pb_width)w;
			return true;
		}
	return false;
}

uint64_t pb_packed_bytes(enum pb_width w, uint64_t n)
{
	if (w == PB_W_TRIT)
		return n / 5 + (n % 5 != 0);
	return pb_index_bytes(widths[w].field, n);
}

static void pack_trits(const uint8_t *codes, uint64_t n, uint8_t *packed)
{
	for (uint64_t i = 0; i < n; i += 5) {
		unsigned in_byte = n - i < 5 ? (unsigned)(n - i) : 5, byte = 0;
		for (unsigned j = in_byte; j-- > 0;)
			byte = 3 * byte + codes[i + j];
		*packed++ = (uint8_t)byte;
	}
}

void pb_pack(enum pb_width w, const uint8_t *codes, uint64_t n, uint8_t *packed)
{
	unsigned bits = widths[w].field, have = 0;
	uint32_t held = 0;
	if (w == PB_W_TRIT) {
		pack_trits(codes, n, packed);
		return;
	}
	for (uint64_t i = 0; i < n; i++) {
		held |= (uint32_t)codes[i] << have;
		for (have += bits; have >= 8; have -= 8) {
			*packed++ = (uint8_t)held;
			held >>= 8;
		}
	}
	if (have)
		*packed = (uint8_t)held;
}

static void unpack_trits(const uint8_t *packed, uint64_t first, uint64_t n, uint8_t *codes)
{
	const uint8_t *p = packed + first / 5;
	uint64_t i = 0;
	while (i < n) {
		unsigned skipped = i == 0 ? (unsigned)(first % 5) : 0, value = *p++;
		unsigned in_byte = 5 - skipped;
		for (unsigned j = 0; j < skipped; j++)
			value /= 3;
		for (unsigned j = 0; j < in_byte && i < n; j++, value /= 3)
			codes[i++] = (uint8_t)(value % 3);
	}
}

/* One field; the second byte is read only when the field runs into it. */
static inline uint8_t field_at(unsigned bits, const uint8_t *packed, uint64_t i)
{
	uint64_t bit = i * bits;
	unsigned shift = (unsigned)(bit % 8), value = packed[bit / 8] >> shift;
	if (shift + bits > 8)
		value |= (unsigned)packed[bit / 8 + 1] << (8 - shift);
	return (uint8_t)(value & ((1u << bits) - 1));
}

/* Eight fields fill `bits` bytes, so groups of eight are loaded as one word; `bits` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void unpack_fields(unsigned bits, const uint8_t *packed, uint64_t first,
	uint64_t n, uint8_t *codes)
{
	uint64_t i = 0;
	for (; i < n && (first + i) % 8; i++)
		codes[i] = field_at(bits, packed, first + i);
	const uint8_t *p = packed + (first + i) / 8 * bits;
	for (; n - i >= 8; i += 8, p += bits) {
		uint64_t word = 0;
		memcpy(&word, p, bits);
		for (unsigned j = 0; j < 8; j++)
			codes[i + j] = (uint8_t)(word >> (j * bits) & ((1u << bits) - 1));
	}
	for (; i < n; i++)
		codes[i] = field_at(bits, packed, first + i);
}

void pb_unpack(enum pb_width w, const uint8_t *packed, uint64_t first, uint64_t n, uint8_t *codes)
{
	if (n == 0)
		return;
	switch (w) {
	case PB_W1: unpack_fields(1, packed, first, n, codes); break;
	case PB_W_TRIT: unpack_trits(packed, first, n, codes); break;
	case PB_W2: unpack_fields(2, packed, first, n, codes); break;
	case PB_W3: unpack_fields(3, packed, first, n, codes); break;
	case PB_W4: unpack_fields(4, packed, first, n, codes); break;
	case PB_W5: unpack_fields(5, packed, first, n, codes); break;
	case PB_W6: unpack_fields(6, packed, first, n, codes); break;
	case PB_W8: memcpy(codes, packed + first, n); break;
	case PB_WIDTHS: break;
	}
}

unsigned pb_index_bits(uint32_t n_centroids)
{
	unsigned bits = 1;
	while (bits < 32 && (1ull << bits) < n_centroids)
		bits++;
	return bits;
}

uint64_t pb_index_bytes(unsigned bits, uint64_t n)
{
	return n / 8 * bits + (n % 8 * bits + 7) / 8;
}

void pb_pack_index(unsigned bits, const uint32_t *index, uint64_t n, uint8_t *packed)
{
	unsigned have = 0;
	uint64_t held = 0;
	for (uint64_t i = 0; i < n; i++) {
		held |= (uint64_t)index[i] << have;
		for (have += bits; have >= 8; have -= 8) {
			*packed++ = (uint8_t)held;
			held >>= 8;
		}
	}
	if (have)
		*packed = (uint8_t)held;
}

void pb_unpack_index(unsigned bits, const uint8_t *packed, uint64_t first, uint64_t n, uint32_t *index)
{
	if (n == 0)
		return;
	const uint8_t *p = packed + first / 8 * bits + first % 8 * bits / 8;
	unsigned skip = (unsigned)(first % 8 * bits % 8), have = 8 - skip;
	uint64_t held = *p++ >> skip;
	for (uint64_t i = 0; i < n; i++) {
		for (; have < bits; have += 8)
			held |= (uint64_t)*p++ << have;
		index[i] = (uint32_t)(held & ((1ull << bits) - 1));
		held >>= bits;
		have -= bits;
	}
}
