#include "core/model/encoded.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum pb_status pb_encoded_new(struct pb_encoded **out, uint32_t rows, uint32_t cols, struct pb_error *err)
{
	if (rows == 0 || cols == 0)
		return pb_fail(err, PB_USAGE, "matrix: %" PRIu32 " x %" PRIu32 " has no weights", rows, cols);
	struct pb_arena *arena = pb_arena_new();
	struct pb_encoded *m = arena ? pb_arena_alloc(arena, 1, sizeof *m) : NULL;
	if (!m) {
		pb_arena_free(arena);
		return pb_out_of_memory(err, "encoded matrix");
	}
	m->arena = arena;
	m->rows = rows;
	m->cols = cols;
	*out = m;
	return PB_OK;
}

void pb_encoded_free(struct pb_encoded *m)
{
	if (m)
		pb_arena_free(m->arena);
}

uint32_t pb_encoded_coded_cols(const struct pb_encoded *m)
{
	return m->cols - m->n_kept;
}

uint64_t pb_encoded_blocks(const struct pb_encoded *m)
{
	uint64_t coded = pb_encoded_coded_cols(m), size = m->block_size;
	if (m->block_kind == PB_BLOCK_NONE || size == 0)
		return 0;
	if (m->block_kind == PB_BLOCK_ROW)
		return m->rows * (coded / size + (coded % size != 0));
	coded *= m->rows;
	return coded / size + (coded % size != 0);
}

void pb_encoded_block(const struct pb_encoded *m, uint64_t i, uint64_t *first, uint64_t *n)
{
	uint64_t coded = pb_encoded_coded_cols(m), size = m->block_size, end = m->rows * coded;
	if (m->block_kind == PB_BLOCK_ROW) {
		uint64_t in_row = coded / size + (coded % size != 0), row = i / in_row;
		*first = row * coded + i % in_row * size;
		end = (row + 1) * coded;
	} else {
		*first = i * size;
	}
	*n = end - *first < size ? end - *first : size;
}

void pb_encoded_set_groups(struct pb_encoded *m, int64_t group_size)
{
	uint64_t coded = pb_encoded_coded_cols(m);
	m->block_kind = group_size == 0 ? PB_BLOCK_FLAT : PB_BLOCK_ROW;
	m->block_size = group_size > 0 ? (uint64_t)group_size : group_size < 0 ? coded : m->rows * coded;
}

uint64_t pb_group_count(uint32_t rows, uint32_t coded_cols, int64_t group_size)
{
	struct pb_encoded m = { .rows = rows, .cols = coded_cols };
	pb_encoded_set_groups(&m, group_size);
	return pb_encoded_blocks(&m);
}

uint64_t pb_vector_count(uint32_t rows, uint32_t cols, uint32_t length, bool along_rows)
{
	uint64_t cut = along_rows ? rows : cols, whole = along_rows ? cols : rows;
	return (cut / length + (cut % length != 0)) * whole;
}

uint32_t pb_vector_group(const struct pb_encoded *m)
{
	uint32_t n = pb_encoded_coded_cols(m) - m->vector->n_outliers, groups = m->vector->n_groups;
	return n / groups + (n % groups != 0);
}

static bool is_stored_dtype(enum pb_dtype dtype)
{
	return dtype == PB_F32 || dtype == PB_F16 || dtype == PB_BF16;
}

static uint64_t count_not_finite(enum pb_dtype dtype, const void *data, uint64_t n)
{
	float values[256];
	uint64_t count = 0;
	for (uint64_t i = 0; i < n; i += 256) {
		uint64_t here = n - i < 256 ? n - i : 256;
		pb_float_read(dtype, data, i, here, values);
		count += pb_count_not_finite(values, here);
	}
	return count;
}

/* n values rounded to dtype in memory of the matrix. */
static enum pb_status store_numbers(struct pb_encoded *m, const char *what, const float *values, uint64_t n, enum pb_dtype dtype,
	void **out, struct pb_error *err)
{
	if (!is_stored_dtype(dtype))
		return pb_fail(err, PB_USAGE, "%s: numbers are stored as F32, F16 or BF16, not %s", what, pb_dtype_name(dtype));
	uint64_t bad = pb_count_not_finite(values, n);
	if (bad)
		return pb_fail(err, PB_NUMERIC, "%s: %" PRIu64 " of %" PRIu64 " numbers are not finite", what, bad, n);
	void *data = pb_arena_alloc(m->arena, n, pb_dtype_bytes(dtype));
	if (!data)
		return pb_out_of_memory(err, what);
	pb_float_write(dtype, values, n, data);
	bad = count_not_finite(dtype, data, n);
	if (bad)
		return pb_fail(err, PB_NUMERIC, "%s: %" PRIu64 " of %" PRIu64 " numbers are too large for %s", what, bad, n,
			pb_dtype_name(dtype));
	*out = data;
	return PB_OK;
}

static enum pb_status store_indices(struct pb_encoded *m, const char *what, const uint32_t *values, uint64_t n, uint32_t **out,
	struct pb_error *err)
{
	uint32_t *data = pb_arena_alloc(m->arena, n, sizeof *data);
	if (!data)
		return pb_out_of_memory(err, what);
	if (n)
		memcpy(data, values, n * sizeof *data);
	*out = data;
	return PB_OK;
}

enum pb_status pb_encoded_set_dense(struct pb_encoded *m, const float *w, enum pb_dtype dtype, struct pb_error *err)
{
	void *data;
	enum pb_status status = store_numbers(m, "weights", w, (uint64_t)m->rows * pb_encoded_coded_cols(m), dtype, &data, err);
	if (status)
		return status;
	m->code = PB_CODE_DENSE;
	m->dense = data;
	m->dense_dtype = dtype;
	return PB_OK;
}

static enum pb_status check_codes(const char *what, enum pb_width w, const uint8_t *codes, uint64_t n, struct pb_error *err)
{
	uint8_t largest = 0;
	for (uint64_t i = 0; i < n; i++)
		largest = codes[i] > largest ? codes[i] : largest;
	if (largest >= pb_width_levels(w))
		return pb_fail(err, PB_USAGE, "%s: %d is no code of %s bits", what, largest, pb_width_name(w));
	return PB_OK;
}

enum pb_status pb_encoded_set_codes(struct pb_encoded *m, enum pb_width w, const uint8_t *codes, struct pb_error *err)
{
	uint64_t coded = pb_encoded_coded_cols(m), row_bytes = pb_packed_bytes(w, coded);
	enum pb_status status = check_codes("codes", w, codes, m->rows * coded, err);
	if (status)
		return status;
	uint8_t *packed = pb_arena_alloc(m->arena, m->rows, row_bytes);
	if (!packed)
		return pb_out_of_memory(err, "codes");
	for (uint64_t r = 0; r < m->rows; r++)
		pb_pack(w, codes + r * coded, coded, packed + r * row_bytes);
	m->code = PB_CODE_SCALAR;
	m->width = w;
	m->packed = packed;
	return PB_OK;
}

enum pb_status pb_encoded_set_levels(struct pb_encoded *m, enum pb_levels_kind kind, const char *name, const float *levels,
	unsigned n_levels, enum pb_dtype dtype, struct pb_error *err)
{
	float table[PB_MAX_LEVELS];
	void *data;
	enum pb_status status;
	if (kind == PB_LEVELS_NAMED) {
		if (strlen(name) >= sizeof m->levels_name)
			return pb_fail(err, PB_USAGE, "levels: '%.40s': there is no table of that name", name);
		status = pb_levels_named(name, table, &n_levels, err);
		levels = table;
		dtype = PB_F32;
	} else {
		status = n_levels >= 1 && n_levels <= PB_MAX_LEVELS ? PB_OK :
			pb_fail(err, PB_USAGE, "levels: a table has 1 to %d levels, not %u", PB_MAX_LEVELS, n_levels);
	}
	if (!status)
		status = store_numbers(m, "levels", levels, n_levels * (kind == PB_LEVELS_ROW ? (uint64_t)m->rows : 1), dtype, &data, err);
	if (status)
		return status;
	m->levels_kind = kind;
	m->n_levels = n_levels;
	m->levels_dtype = dtype;
	m->levels = data;
	memset(m->levels_name, 0, sizeof m->levels_name);
	if (kind == PB_LEVELS_NAMED)
		memcpy(m->levels_name, name, strlen(name));
	return PB_OK;
}

enum pb_status pb_scale_set_float(struct pb_encoded *m, struct pb_scale *s, const float *values, uint64_t n, enum pb_dtype dtype,
	struct pb_error *err)
{
	void *data;
	enum pb_status status = store_numbers(m, "block numbers", values, n, dtype, &data, err);
	if (status)
		return status;
	*s = (struct pb_scale){ .kind = PB_SCALE_FLOAT, .n = n, .dtype = dtype, .data = data };
	return PB_OK;
}

enum pb_status pb_scale_set_nested(struct pb_encoded *m, struct pb_scale *s, const float *values, uint64_t n, uint32_t nested_block,
	struct pb_error *err)
{
	struct pb_level_search search;
	double sum = 0.0;
	if (n == 0 || nested_block == 0)
		return pb_fail(err, PB_USAGE, "block numbers: nested coding needs numbers and a block of at least one");
	uint64_t bad = pb_count_not_finite(values, n), n_outer = n / nested_block + (n % nested_block != 0);
	if (bad)
		return pb_fail(err, PB_NUMERIC, "block numbers: %" PRIu64 " of %" PRIu64 " numbers are not finite", bad, n);
	uint8_t *codes = pb_arena_alloc(m->arena, n, 1);
	float *outer = pb_arena_alloc(m->arena, n_outer, sizeof *outer), *offset = pb_arena_alloc(m->arena, 1, sizeof *offset);
	if (!codes || !outer || !offset)
		return pb_out_of_memory(err, "block numbers");
	pb_level_search_make(&search, pb_levels_dynamic8(), PB_MAX_LEVELS);
	for (uint64_t i = 0; i < n; i++)
		sum += values[i];
	*offset = (float)(sum / (double)n);
	for (uint64_t b = 0; b < n_outer; b++) {
		uint64_t first = b * nested_block, end = n - first < nested_block ? n : first + nested_block;
		float absmax = 0.0f;
		for (uint64_t i = first; i < end; i++)
			absmax = fmaxf(absmax, fabsf(values[i] - *offset));
		if (!isfinite(absmax))
			return pb_fail(err, PB_NUMERIC, "block numbers: their spread is beyond F32");
		outer[b] = absmax;
		for (uint64_t i = first; i < end; i++)
			codes[i] = (uint8_t)pb_level_nearest(&search, absmax > 0.0f ? (values[i] - *offset) / absmax : 0.0f);
	}
	*s = (struct pb_scale){ .kind = PB_SCALE_NESTED, .n = n, .data = codes, .nested_block = nested_block, .outer = outer,
		.nested_offset = offset };
	return PB_OK;
}

enum pb_status pb_scale_set_zero(struct pb_encoded *m, struct pb_scale *s, const uint8_t *zeros, uint64_t n, enum pb_width width,
	struct pb_error *err)
{
	enum pb_status status = check_codes("zero points", width, zeros, n, err);
	if (status)
		return status;
	uint8_t *packed = pb_arena_alloc(m->arena, pb_packed_bytes(width, n), 1);
	if (!packed)
		return pb_out_of_memory(err, "zero points");
	pb_pack(width, zeros, n, packed);
	*s = (struct pb_scale){ .kind = PB_SCALE_ZERO, .n = n, .data = packed, .zero_width = width };
	return PB_OK;
}

float pb_scale_at(const struct pb_scale *s, uint64_t i)
{
	uint8_t zero;
	switch (s->kind) {
	case PB_SCALE_FLOAT:
		return pb_float_at(s->dtype, s->data, i);
	case PB_SCALE_NESTED: {
		float scaled = pb_levels_dynamic8()[((const uint8_t *)s->data)[i]] * s->outer[i / s->nested_block];
		return scaled + *s->nested_offset;
	}
	case PB_SCALE_ZERO:
		pb_unpack(s->zero_width, s->data, i, 1, &zero);
		return (float)zero;
	case PB_SCALE_ABSENT:
		break;
	}
	return NAN;
}

enum pb_status pb_encoded_set_row_scale(struct pb_encoded *m, const float *values, enum pb_dtype dtype, struct pb_error *err)
{
	enum pb_status status = store_numbers(m, "row scale", values, m->rows, dtype, &m->row_scale, err);
	if (!status)
		m->row_scale_dtype = dtype;
	return status;
}

enum pb_status pb_encoded_set_col_scale(struct pb_encoded *m, const float *values, enum pb_dtype dtype, struct pb_error *err)
{
	enum pb_status status = store_numbers(m, "column scale", values, m->cols, dtype, &m->col_scale, err);
	if (!status)
		m->col_scale_dtype = dtype;
	return status;
}

enum pb_status pb_encoded_set_col_offset(struct pb_encoded *m, const float *values, enum pb_dtype dtype, struct pb_error *err)
{
	enum pb_status status = store_numbers(m, "column offset", values, m->cols, dtype, &m->col_offset, err);
	if (!status)
		m->col_offset_dtype = dtype;
	return status;
}

enum pb_status pb_encoded_keep_columns(struct pb_encoded *m, const uint32_t *columns, uint32_t n, const float *w, enum pb_dtype dtype,
	struct pb_error *err)
{
	uint32_t *places = NULL;
	void *data = NULL;
	if (m->dense || m->packed || m->vector)
		return pb_fail(err, PB_USAGE, "kept columns: they are chosen before the other columns are coded");
	for (uint32_t k = 0; k < n; k++)
		if (columns[k] >= m->cols || (k && columns[k] <= columns[k - 1]))
			return pb_fail(err, PB_USAGE, "kept columns: column %" PRIu32 " is out of range or out of order", columns[k]);
	float *gathered = pb_alloc((size_t)m->rows * n, sizeof *gathered);
	if (!gathered)
		return pb_out_of_memory(err, "kept columns");
	for (uint64_t r = 0; r < m->rows; r++)
		for (uint32_t k = 0; k < n; k++)
			gathered[r * n + k] = w[r * m->cols + columns[k]];
	enum pb_status status = store_numbers(m, "kept columns", gathered, (uint64_t)m->rows * n, dtype, &data, err);
	if (!status)
		status = store_indices(m, "kept columns", columns, n, &places, err);
	pb_free(gathered);
	if (status)
		return status;
	m->n_kept = n;
	m->kept_columns = places;
	m->kept_dtype = dtype;
	m->kept = data;
	return PB_OK;
}

enum pb_status pb_encoded_set_sparse(struct pb_encoded *m, const uint32_t *start, const uint32_t *column, const float *value,
	enum pb_dtype dtype, struct pb_error *err)
{
	uint32_t *starts = NULL, *columns = NULL;
	void *values = NULL;
	uint64_t n = start[m->rows];
	enum pb_status status = store_numbers(m, "sparse values", value, n, dtype, &values, err);
	if (!status)
		status = store_indices(m, "sparse rows", start, (uint64_t)m->rows + 1, &starts, err);
	if (!status)
		status = store_indices(m, "sparse columns", column, n, &columns, err);
	if (status)
		return status;
	m->n_sparse = n;
	m->sparse_start = starts;
	m->sparse_column = columns;
	m->sparse_dtype = dtype;
	m->sparse_value = values;
	return PB_OK;
}

enum pb_status pb_encoded_set_low_rank(struct pb_encoded *m, const float *u, const float *v, uint32_t rank, enum pb_dtype dtype,
	struct pb_error *err)
{
	void *left = NULL, *right = NULL;
	enum pb_status status = store_numbers(m, "low rank, left factor", u, (uint64_t)m->rows * rank, dtype, &left, err);
	if (!status)
		status = store_numbers(m, "low rank, right factor", v, (uint64_t)rank * m->cols, dtype, &right, err);
	if (status)
		return status;
	m->rank = rank;
	m->rank_dtype = dtype;
	m->rank_u = left;
	m->rank_v = right;
	return PB_OK;
}

/* One codebook of n_books tables with the n indices into it. */
static enum pb_status store_codebook(struct pb_encoded *m, uint32_t n_books, uint32_t k, uint32_t length, enum pb_dtype dtype,
	const float *values, const uint32_t *index, uint64_t n, void **codebook, uint8_t **packed, struct pb_error *err)
{
	unsigned bits = pb_index_bits(k);
	uint64_t numbers;
	if (k < 2 || k > 65536)
		return pb_fail(err, PB_USAGE, "vector code: a codebook has 2 to 65536 centroids, not %" PRIu32, k);
	if (__builtin_mul_overflow((uint64_t)n_books * k, length, &numbers))
		return pb_out_of_memory(err, "codebook");
	for (uint64_t i = 0; i < n; i++)
		if (index[i] >= k)
			return pb_fail(err, PB_USAGE, "vector code: %" PRIu32 " is no index into %" PRIu32 " centroids", index[i], k);
	enum pb_status status = store_numbers(m, "codebook", values, numbers, dtype, codebook, err);
	if (status)
		return status;
	*packed = pb_arena_alloc(m->arena, pb_index_bytes(bits, n), 1);
	if (!*packed)
		return pb_out_of_memory(err, "vector code");
	pb_pack_index(bits, index, n, *packed);
	return PB_OK;
}

static enum pb_status store_order(struct pb_encoded *m, const uint32_t *order, uint16_t **out, struct pb_error *err)
{
	uint32_t coded = pb_encoded_coded_cols(m);
	if (coded > PB_MAX_ORDERED)
		return pb_fail(err, PB_UNSUPPORTED, "column order: %" PRIu32 " columns are more than the %d that it holds", coded, PB_MAX_ORDERED);
	uint16_t *data = pb_arena_alloc(m->arena, coded, sizeof *data);
	if (!data)
		return pb_out_of_memory(err, "column order");
	for (uint32_t p = 0; p < coded; p++) {
		if (order[p] >= coded)
			return pb_fail(err, PB_USAGE, "column order: there is no column %" PRIu32, order[p]);
		data[p] = (uint16_t)order[p];
	}
	*out = data;
	return PB_OK;
}

enum pb_status pb_encoded_set_vector(struct pb_encoded *m, const struct pb_vector_values *values, struct pb_error *err)
{
	uint32_t coded = pb_encoded_coded_cols(m), n_outliers = values->n_outliers;
	if (values->length == 0 || values->n_groups == 0 || values->n_stages == 0 || values->n_stages > PB_MAX_STAGES)
		return pb_fail(err, PB_USAGE, "vector code: length and groups are at least 1, stages 1 to %d", PB_MAX_STAGES);
	if (n_outliers && (n_outliers >= coded || values->outlier_length == 0 || !values->along_rows))
		return pb_fail(err, PB_USAGE, "vector code: outliers are some of the columns, in vectors down them");
	uint64_t n = pb_vector_count(m->rows, coded - n_outliers, values->length, values->along_rows);
	struct pb_vector_code *v = pb_arena_alloc(m->arena, 1, sizeof *v);
	if (v) {
		v->n_centroids = pb_arena_alloc(m->arena, values->n_stages, sizeof *v->n_centroids);
		v->codebook = pb_arena_alloc(m->arena, values->n_stages, sizeof *v->codebook);
		v->index = pb_arena_alloc(m->arena, values->n_stages, sizeof *v->index);
	}
	if (!v || !v->n_centroids || !v->codebook || !v->index)
		return pb_out_of_memory(err, "vector code");
	v->length = values->length;
	v->along_rows = values->along_rows;
	v->n_groups = values->n_groups;
	v->n_stages = values->n_stages;
	v->dtype = values->dtype;
	enum pb_status status = PB_OK;
	for (uint32_t s = 0; !status && s < v->n_stages; s++) {
		v->n_centroids[s] = values->n_centroids[s];
		status = store_codebook(m, v->n_groups, v->n_centroids[s], v->length, v->dtype, values->codebook[s], values->index[s], n,
			&v->codebook[s], &v->index[s], err);
	}
	if (!status && n_outliers) {
		v->n_outliers = n_outliers;
		v->outlier_length = values->outlier_length;
		v->outlier_centroids = values->outlier_centroids;
		status = store_codebook(m, 1, v->outlier_centroids, v->outlier_length, v->dtype, values->outlier_codebook,
			values->outlier_index, pb_vector_count(m->rows, n_outliers, v->outlier_length, true), &v->outlier_codebook,
			&v->outlier_index, err);
	}
	if (!status && values->column_order)
		status = store_order(m, values->column_order, &v->column_order, err);
	if (status)
		return status;
	m->code = PB_CODE_VECTOR;
	m->vector = v;
	return PB_OK;
}

/* What is wrong with one array of numbers, if anything. */
static enum pb_status check_numbers(const char *what, enum pb_dtype dtype, const void *data, uint64_t n, struct pb_error *err)
{
	if (!is_stored_dtype(dtype))
		return pb_fail(err, PB_FORMAT, "%s: numbers are stored as F32, F16 or BF16, not %s", what, pb_dtype_name(dtype));
	if (n && !data)
		return pb_fail(err, PB_FORMAT, "%s: not there", what);
	uint64_t bad = count_not_finite(dtype, data, n);
	if (bad)
		return pb_fail(err, PB_NUMERIC, "%s: %" PRIu64 " of %" PRIu64 " numbers are not finite", what, bad, n);
	return PB_OK;
}

/* One run of n packed indices: none at or above n_levels, no bits set after the last one, no byte that is not five trits. */
static enum pb_status check_run(const char *what, enum pb_width w, const uint8_t *packed, uint64_t n, unsigned n_levels,
	struct pb_error *err)
{
	uint8_t codes[256];
	uint64_t bytes = pb_packed_bytes(w, n);
	if (n == 0)
		return PB_OK;
	if (w == PB_W_TRIT) {
		static const unsigned powers[5] = { 243, 3, 9, 27, 81 };
		for (uint64_t i = 0; i < bytes; i++)
			if (packed[i] >= (i + 1 < bytes ? 243 : powers[n % 5]))
				return pb_fail(err, PB_FORMAT, "%s: byte %d holds no trits", what, packed[i]);
	} else if (w != PB_W8) {
		unsigned used = (unsigned)(n % 8 * (unsigned)pb_width_bits(w) % 8);
		if (used && packed[bytes - 1] >> used)
			return pb_fail(err, PB_FORMAT, "%s: bits after the last index are not zero", what);
	}
	if (n_levels >= pb_width_levels(w))
		return PB_OK;
	for (uint64_t i = 0; i < n; i += 256) {
		uint64_t here = n - i < 256 ? n - i : 256;
		pb_unpack(w, packed, i, here, codes);
		for (uint64_t j = 0; j < here; j++)
			if (codes[j] >= n_levels)
				return pb_fail(err, PB_FORMAT, "%s: code %d is beyond the %u levels", what, codes[j], n_levels);
	}
	return PB_OK;
}

static enum pb_status check_scalar(const struct pb_encoded *m, struct pb_error *err)
{
	uint64_t coded = pb_encoded_coded_cols(m);
	float table[PB_MAX_LEVELS];
	unsigned n_named;
	if ((unsigned)m->width >= PB_WIDTHS)
		return pb_fail(err, PB_FORMAT, "codes: unknown width");
	uint64_t row_bytes = pb_packed_bytes(m->width, coded);
	if (!m->packed && coded)
		return pb_fail(err, PB_FORMAT, "codes: not there");
	enum pb_status status = PB_OK;
	switch (m->levels_kind) {
	case PB_LEVELS_NAMED:
		if (pb_levels_named(m->levels_name, table, &n_named, NULL) || n_named != m->n_levels || !m->levels ||
		    m->levels_dtype != PB_F32 || memcmp(table, m->levels, n_named * sizeof *table))
			status = pb_fail(err, PB_FORMAT, "levels: the table differs from the one named '%s'", m->levels_name);
		break;
	case PB_LEVELS_TENSOR:
	case PB_LEVELS_ROW:
		if (m->n_levels == 0 || m->n_levels > pb_width_levels(m->width))
			return pb_fail(err, PB_FORMAT, "levels: %u levels for codes of %s bits", m->n_levels, pb_width_name(m->width));
		status = check_numbers("levels", m->levels_dtype, m->levels,
			m->n_levels * (m->levels_kind == PB_LEVELS_ROW ? (uint64_t)m->rows : 1), err);
		break;
	default:
		status = pb_fail(err, PB_FORMAT, "levels: unknown kind");
	}
	for (uint64_t r = 0; !status && coded && r < m->rows; r++)
		status = check_run("codes", m->width, m->packed + r * row_bytes, coded, m->n_levels, err);
	return status;
}

static enum pb_status check_order(const uint16_t *order, uint32_t n, struct pb_error *err)
{
	enum pb_status status = PB_OK;
	if (n > PB_MAX_ORDERED)
		return pb_fail(err, PB_FORMAT, "column order: %" PRIu32 " columns are more than the %d that it holds", n, PB_MAX_ORDERED);
	uint8_t *seen = pb_alloc_zero(n, 1);
	if (!seen)
		return pb_out_of_memory(err, "column order");
	for (uint32_t p = 0; p < n && !status; p++) {
		if (order[p] >= n || seen[order[p]])
			status = pb_fail(err, PB_FORMAT, "column order: %d is out of range or there twice", order[p]);
		else
			seen[order[p]] = 1;
	}
	pb_free(seen);
	return status;
}

static enum pb_status check_indices(const uint8_t *packed, uint64_t n, uint32_t n_centroids, struct pb_error *err)
{
	uint32_t index[256];
	unsigned bits = pb_index_bits(n_centroids), used = (unsigned)(n % 8 * bits % 8);
	if (n && !packed)
		return pb_fail(err, PB_FORMAT, "vector indices: not there");
	if (used && packed[pb_index_bytes(bits, n) - 1] >> used)
		return pb_fail(err, PB_FORMAT, "vector indices: bits after the last index are not zero");
	if (n_centroids == 1u << bits)
		return PB_OK;
	for (uint64_t i = 0; i < n; i += 256) {
		uint64_t here = n - i < 256 ? n - i : 256;
		pb_unpack_index(bits, packed, i, here, index);
		for (uint64_t j = 0; j < here; j++)
			if (index[j] >= n_centroids)
				return pb_fail(err, PB_FORMAT, "vector indices: index %" PRIu32 " is beyond the %" PRIu32 " centroids",
					index[j], n_centroids);
	}
	return PB_OK;
}

static enum pb_status check_codebook(enum pb_dtype dtype, const void *codebook, uint32_t n_books, uint32_t k, uint32_t length,
	const uint8_t *index, uint64_t n, struct pb_error *err)
{
	uint64_t numbers;
	if (k < 2 || k > 65536 || __builtin_mul_overflow((uint64_t)n_books * k, length, &numbers))
		return pb_fail(err, PB_FORMAT, "vector code: a codebook has 2 to 65536 centroids, not %" PRIu32, k);
	enum pb_status status = check_numbers("codebook", dtype, codebook, numbers, err);
	return status ? status : check_indices(index, n, k, err);
}

static enum pb_status check_vector(const struct pb_encoded *m, struct pb_error *err)
{
	const struct pb_vector_code *v = m->vector;
	uint32_t coded = pb_encoded_coded_cols(m);
	if (!v)
		return pb_fail(err, PB_FORMAT, "vector code: not there");
	if (v->n_outliers && (v->n_outliers >= coded || v->outlier_length == 0 || !v->along_rows))
		return pb_fail(err, PB_FORMAT, "vector code: %" PRIu32 " outliers of length %" PRIu32 " do not fit %" PRIu32 " columns",
			v->n_outliers, v->outlier_length, coded);
	uint32_t rest = coded - v->n_outliers;
	if (v->length == 0 || v->n_stages == 0 || v->n_stages > PB_MAX_STAGES || v->n_groups == 0 || v->n_groups > rest)
		return pb_fail(err, PB_FORMAT, "vector code: length %" PRIu32 ", %" PRIu32 " groups and %" PRIu32
			" stages do not fit %" PRIu32 " columns", v->length, v->n_groups, v->n_stages, rest);
	if (!v->along_rows && v->n_groups > 1 && pb_vector_group(m) % v->length)
		return pb_fail(err, PB_FORMAT, "vector code: groups of %" PRIu32 " columns cut vectors of %" PRIu32, pb_vector_group(m), v->length);
	uint64_t n = pb_vector_count(m->rows, rest, v->length, v->along_rows);
	enum pb_status status = PB_OK;
	for (uint32_t s = 0; !status && s < v->n_stages; s++)
		status = check_codebook(v->dtype, v->codebook[s], v->n_groups, v->n_centroids[s], v->length, v->index[s], n, err);
	if (!status && v->n_outliers)
		status = check_codebook(v->dtype, v->outlier_codebook, 1, v->outlier_centroids, v->outlier_length, v->outlier_index,
			pb_vector_count(m->rows, v->n_outliers, v->outlier_length, true), err);
	return status || !v->column_order ? status : check_order(v->column_order, coded, err);
}

static enum pb_status check_scale(const struct pb_encoded *m, const char *what, const struct pb_scale *s, bool is_offset,
	struct pb_error *err)
{
	uint64_t blocks = pb_encoded_blocks(m);
	if (s->kind == PB_SCALE_ABSENT)
		return PB_OK;
	if (s->n != blocks || blocks == 0)
		return pb_fail(err, PB_FORMAT, "%s: %" PRIu64 " numbers for %" PRIu64 " blocks", what, s->n, blocks);
	if (!s->data)
		return pb_fail(err, PB_FORMAT, "%s: not there", what);
	switch (s->kind) {
	case PB_SCALE_FLOAT:
		return check_numbers(what, s->dtype, s->data, s->n, err);
	case PB_SCALE_NESTED:
		if (s->nested_block == 0 || !s->outer || !s->nested_offset)
			return pb_fail(err, PB_FORMAT, "%s: the outer scales are not there", what);
		for (uint64_t i = 0; i < s->n; i++)
			if (!isfinite(pb_scale_at(s, i)))
				return pb_fail(err, PB_NUMERIC, "%s: number %" PRIu64 " is not finite", what, i);
		return PB_OK;
	case PB_SCALE_ZERO:
		if (!is_offset || (unsigned)s->zero_width >= PB_WIDTHS)
			return pb_fail(err, PB_FORMAT, "%s: zero points do not belong here", what);
		return check_run(what, s->zero_width, s->data, s->n, PB_MAX_LEVELS, err);
	case PB_SCALE_ABSENT:
		break;
	}
	return pb_fail(err, PB_FORMAT, "%s: unknown kind", what);
}

static enum pb_status check_blocks(const struct pb_encoded *m, struct pb_error *err)
{
	switch (m->block_kind) {
	case PB_BLOCK_NONE:
	case PB_BLOCK_ROW:
	case PB_BLOCK_FLAT:
		break;
	default:
		return pb_fail(err, PB_FORMAT, "blocks: unknown kind");
	}
	if ((m->block_kind == PB_BLOCK_NONE) != (m->block_size == 0))
		return pb_fail(err, PB_FORMAT, "blocks: a size of %" PRIu64 " does not fit the kind", m->block_size);
	enum pb_status status = check_scale(m, "block scale", &m->block_scale, false, err);
	return status ? status : check_scale(m, "block offset", &m->block_offset, true, err);
}

static enum pb_status check_kept(const struct pb_encoded *m, struct pb_error *err)
{
	if (m->n_kept > m->cols || (m->n_kept && !m->kept_columns))
		return pb_fail(err, PB_FORMAT, "kept columns: %" PRIu32 " of %" PRIu32 " columns", m->n_kept, m->cols);
	for (uint32_t k = 0; k < m->n_kept; k++)
		if (m->kept_columns[k] >= m->cols || (k && m->kept_columns[k] <= m->kept_columns[k - 1]))
			return pb_fail(err, PB_FORMAT, "kept columns: column %" PRIu32 " is out of range or out of order",
				m->kept_columns[k]);
	return m->n_kept ? check_numbers("kept columns", m->kept_dtype, m->kept, (uint64_t)m->rows * m->n_kept, err) : PB_OK;
}

static enum pb_status check_sparse(const struct pb_encoded *m, struct pb_error *err)
{
	if (!m->sparse_start)
		return m->n_sparse ? pb_fail(err, PB_FORMAT, "sparse: the row starts are not there") : PB_OK;
	if (m->n_sparse && !m->sparse_column)
		return pb_fail(err, PB_FORMAT, "sparse: the columns are not there");
	if (m->sparse_start[0] != 0 || m->sparse_start[m->rows] != m->n_sparse)
		return pb_fail(err, PB_FORMAT, "sparse: the row starts do not span the %" PRIu64 " values", m->n_sparse);
	for (uint32_t r = 0; r < m->rows; r++)
		if (m->sparse_start[r] > m->sparse_start[r + 1])
			return pb_fail(err, PB_FORMAT, "sparse: the row starts fall at row %" PRIu32, r);
	for (uint32_t r = 0; r < m->rows; r++)
		for (uint32_t i = m->sparse_start[r]; i < m->sparse_start[r + 1]; i++)
			if (m->sparse_column[i] >= m->cols || (i > m->sparse_start[r] && m->sparse_column[i] <= m->sparse_column[i - 1]))
				return pb_fail(err, PB_FORMAT, "sparse: column %" PRIu32 " of row %" PRIu32
					" is out of range or out of order", m->sparse_column[i], r);
	return check_numbers("sparse", m->sparse_dtype, m->sparse_value, m->n_sparse, err);
}

enum pb_status pb_encoded_check(const struct pb_encoded *m, struct pb_error *err)
{
	enum pb_status status = PB_OK;
	if (m->rows == 0 || m->cols == 0)
		return pb_fail(err, PB_FORMAT, "matrix: %" PRIu32 " x %" PRIu32 " has no weights", m->rows, m->cols);
	if ((status = check_kept(m, err)))
		return status;
	switch (m->code) {
	case PB_CODE_DENSE:
		status = check_numbers("weights", m->dense_dtype, m->dense, (uint64_t)m->rows * pb_encoded_coded_cols(m), err);
		break;
	case PB_CODE_SCALAR:
		status = check_scalar(m, err);
		break;
	case PB_CODE_VECTOR:
		status = check_vector(m, err);
		break;
	default:
		status = pb_fail(err, PB_FORMAT, "matrix: unknown kind of code");
	}
	if (!status)
		status = check_blocks(m, err);
	if (!status && m->row_scale)
		status = check_numbers("row scale", m->row_scale_dtype, m->row_scale, m->rows, err);
	if (!status && m->col_scale)
		status = check_numbers("column scale", m->col_scale_dtype, m->col_scale, m->cols, err);
	if (!status && m->col_offset)
		status = check_numbers("column offset", m->col_offset_dtype, m->col_offset, m->cols, err);
	if (!status)
		status = check_sparse(m, err);
	if (!status && m->rank)
		status = check_numbers("low rank, left factor", m->rank_dtype, m->rank_u, (uint64_t)m->rows * m->rank, err);
	if (!status && m->rank)
		status = check_numbers("low rank, right factor", m->rank_dtype, m->rank_v, (uint64_t)m->rank * m->cols, err);
	if (!status && m->post != PB_POST_NONE && m->post != PB_POST_LAYERNORM)
		status = pb_fail(err, PB_FORMAT, "post: unknown operation");
	return status;
}
