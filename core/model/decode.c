/* The reference decode. A row is decoded in place: the coded columns first, side by side at the left end of
 * the row's output, then moved apart to make room for the kept ones, then the parts that are added. */
#include "core/model/encoded.h"

#include <string.h>

#define CHUNK 256u

static inline uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void decode_scalar(const struct pb_encoded *m, const float *table, uint64_t row, uint32_t coded, float *out)
{
	const uint8_t *packed = m->packed + row * pb_packed_bytes(m->width, coded);
	uint8_t codes[CHUNK];
	for (uint32_t c = 0; c < coded; c += least(CHUNK, coded - c)) {
		uint32_t n = least(CHUNK, coded - c);
		pb_unpack(m->width, packed, c, n, codes);
		for (uint32_t i = 0; i < n; i++)
			out[c + i] = table[codes[i]];
	}
}

/* Some places of a vector code whose vectors run down the columns, by one codebook a group. */
struct places {
	uint32_t first, n, group;
	uint32_t length, n_centroids;
	const void *codebook;
	const uint8_t *index;
};

/* One entry of each place's vector, added to what is there, or put there. */
static void decode_down(const struct pb_vector_code *v, const struct places *at, uint64_t row, bool add, float *out)
{
	uint64_t first = row / at->length * at->n, entry = row % at->length, k = at->n_centroids;
	uint32_t index[CHUNK];
	for (uint32_t p = 0; p < at->n; p += least(CHUNK, at->n - p)) {
		uint32_t n = least(CHUNK, at->n - p);
		pb_unpack_index(pb_index_bits(at->n_centroids), at->index, first + p, n, index);
		for (uint32_t i = 0; i < n; i++) {
			uint64_t centroid = (p + i) / at->group * k + index[i];
			float value = pb_float_at(v->dtype, at->codebook, centroid * at->length + entry);
			uint32_t place = at->first + p + i;
			float *to = out + (v->column_order ? v->column_order[place] : place);
			*to = add ? *to + value : value;
		}
	}
}

static void decode_vectors_down(const struct pb_encoded *m, uint64_t row, uint32_t coded, float *out)
{
	const struct pb_vector_code *v = m->vector;
	struct places outliers = { 0, v->n_outliers, v->n_outliers, v->outlier_length, v->outlier_centroids, v->outlier_codebook,
		v->outlier_index };
	if (v->n_outliers)
		decode_down(v, &outliers, row, false, out);
	for (uint32_t s = 0; s < v->n_stages; s++) {
		struct places rest = { v->n_outliers, coded - v->n_outliers, pb_vector_group(m), v->length, v->n_centroids[s],
			v->codebook[s], v->index[s] };
		decode_down(v, &rest, row, s > 0, out);
	}
}

/* One stage of a vector code whose vectors lie along the row. */
static void decode_along(const struct pb_encoded *m, uint32_t stage, uint64_t row, uint32_t coded, float *out)
{
	const struct pb_vector_code *v = m->vector;
	uint32_t in_row = coded / v->length + (coded % v->length != 0), group = pb_vector_group(m);
	uint64_t k = v->n_centroids[stage];
	uint32_t index[CHUNK];
	for (uint32_t j = 0; j < in_row; j++) {
		if (j % CHUNK == 0)
			pb_unpack_index(pb_index_bits(v->n_centroids[stage]), v->index[stage], row * in_row + j, least(CHUNK, in_row - j), index);
		uint32_t place = j * v->length, n = least(v->length, coded - place);
		uint64_t centroid = place / group * k + index[j % CHUNK];
		for (uint32_t e = 0; e < n; e++) {
			float value = pb_float_at(v->dtype, v->codebook[stage], centroid * v->length + e);
			float *to = out + (v->column_order ? v->column_order[place + e] : place + e);
			*to = stage ? *to + value : value;
		}
	}
}

/* Zero points, scales and offsets of the blocks, block after block. */
static void apply_blocks(const struct pb_encoded *m, uint64_t row, uint32_t coded, float *out)
{
	const struct pb_scale *scale = &m->block_scale, *offset = &m->block_offset;
	uint64_t size = m->block_size, block, rest;
	if (m->block_kind == PB_BLOCK_ROW) {
		block = row * (coded / size + (coded % size != 0));
		rest = size;
	} else {
		block = row * coded / size;
		rest = size - row * coded % size;
	}
	for (uint32_t c = 0; c < coded; block++, rest = size) {
		float *p = out + c;
		uint32_t n = rest < coded - c ? (uint32_t)rest : coded - c;
		if (offset->kind == PB_SCALE_ZERO) {
			float zero = pb_scale_at(offset, block);
			for (uint32_t i = 0; i < n; i++)
				p[i] -= zero;
		}
		if (scale->kind != PB_SCALE_ABSENT) {
			float factor = pb_scale_at(scale, block);
			for (uint32_t i = 0; i < n; i++)
				p[i] *= factor;
		}
		if (offset->kind != PB_SCALE_ABSENT && offset->kind != PB_SCALE_ZERO) {
			float term = pb_scale_at(offset, block);
			for (uint32_t i = 0; i < n; i++)
				p[i] += term;
		}
		c += n;
	}
}

/* p[0..n) times column scale, plus column offset, [first, first + n) of them. */
static void scale_columns(const struct pb_encoded *m, uint32_t first, uint32_t n, float *p)
{
	float numbers[CHUNK];
	for (uint32_t c = 0; c < n; c += least(CHUNK, n - c)) {
		uint32_t here = least(CHUNK, n - c);
		if (m->col_scale) {
			pb_float_read(m->col_scale_dtype, m->col_scale, first + c, here, numbers);
			for (uint32_t i = 0; i < here; i++)
				p[c + i] *= numbers[i];
		}
		if (m->col_offset) {
			pb_float_read(m->col_offset_dtype, m->col_offset, first + c, here, numbers);
			for (uint32_t i = 0; i < here; i++)
				p[c + i] += numbers[i];
		}
	}
}

/* Coded columns to their places, from the right, each run between two kept columns scaled where it comes to lie. */
static void place_columns(const struct pb_encoded *m, uint64_t row, float *out)
{
	uint32_t end = m->cols;
	for (uint32_t k = m->n_kept;; k--) {
		uint32_t first = k ? m->kept_columns[k - 1] + 1 : 0;
		if (k)
			memmove(out + first, out + first - k, (end - first) * sizeof *out);
		scale_columns(m, first, end - first, out + first);
		if (k == 0)
			break;
		end = first - 1;
		out[end] = pb_float_at(m->kept_dtype, m->kept, row * m->n_kept + k - 1);
	}
}

static void add_low_rank(const struct pb_encoded *m, uint64_t row, float *out)
{
	float sum[CHUNK], v[CHUNK];
	for (uint32_t c = 0; c < m->cols; c += least(CHUNK, m->cols - c)) {
		uint32_t n = least(CHUNK, m->cols - c);
		memset(sum, 0, sizeof sum);
		for (uint64_t r = 0; r < m->rank; r++) {
			float u = pb_float_at(m->rank_dtype, m->rank_u, row * m->rank + r);
			pb_float_read(m->rank_dtype, m->rank_v, r * m->cols + c, n, v);
			for (uint32_t i = 0; i < n; i++)
				sum[i] += u * v[i];
		}
		for (uint32_t i = 0; i < n; i++)
			out[c + i] += sum[i];
	}
}

/* The coded columns before blocks; `table` holds the levels unless each row has its own. */
static void decode_coded(const struct pb_encoded *m, float *table, uint64_t row, uint32_t coded, float *out)
{
	switch (m->code) {
	case PB_CODE_DENSE:
		pb_float_read(m->dense_dtype, m->dense, row * coded, coded, out);
		break;
	case PB_CODE_SCALAR:
		if (m->levels_kind == PB_LEVELS_ROW)
			pb_float_read(m->levels_dtype, m->levels, row * m->n_levels, m->n_levels, table);
		decode_scalar(m, table, row, coded, out);
		break;
	case PB_CODE_VECTOR:
		if (m->vector->along_rows)
			decode_vectors_down(m, row, coded, out);
		else
			for (uint32_t s = 0; s < m->vector->n_stages; s++)
				decode_along(m, s, row, coded, out);
		break;
	}
}

void pb_encoded_decode(const struct pb_encoded *m, uint32_t first, uint32_t n, float *out)
{
	uint32_t coded = pb_encoded_coded_cols(m);
	float table[PB_MAX_LEVELS];
	if (m->code == PB_CODE_SCALAR && m->levels_kind != PB_LEVELS_ROW)
		pb_float_read(m->levels_dtype, m->levels, 0, m->n_levels, table);
	for (uint64_t row = first; row < (uint64_t)first + n; row++, out += m->cols) {
		if (coded)
			decode_coded(m, table, row, coded, out);
		if (m->block_kind != PB_BLOCK_NONE)
			apply_blocks(m, row, coded, out);
		if (m->row_scale) {
			float factor = pb_float_at(m->row_scale_dtype, m->row_scale, row);
			for (uint32_t c = 0; c < coded; c++)
				out[c] *= factor;
		}
		if (m->n_kept || m->col_scale || m->col_offset)
			place_columns(m, row, out);
		if (m->sparse_start)
			for (uint32_t i = m->sparse_start[row]; i < m->sparse_start[row + 1]; i++)
				out[m->sparse_column[i]] += pb_float_at(m->sparse_dtype, m->sparse_value, i);
		if (m->rank)
			add_low_rank(m, row, out);
	}
}
