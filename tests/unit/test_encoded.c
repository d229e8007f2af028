/* Encoded matrices: random matrices of every kind against a decode that is written here, number by number,
 * from what went in (codes one a byte, values before packing) and not from what is stored. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/json.h"
#include "core/base/rng.h"
#include "core/model/encoded.h"
#include "tests/unit/expect.h"

static void *get_memory(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);
	assert_non_null(p);
	return p;
}

static float rounded(enum pb_dtype dtype, float x)
{
	return dtype == PB_F16 ? pb_f16_to_f32(pb_f32_to_f16(x)) : dtype == PB_BF16 ? pb_bf16_to_f32(pb_f32_to_bf16(x)) : x;
}

static enum pb_dtype any_dtype(struct pb_rng *r)
{
	static const enum pb_dtype dtypes[] = { PB_F32, PB_F16, PB_BF16 };
	return dtypes[pb_rng_below(r, 3)];
}

static float *normals(struct pb_rng *r, size_t n)
{
	float *v = get_memory(n, sizeof *v);
	for (size_t i = 0; i < n; i++)
		v[i] = (float)pb_rng_normal(r);
	return v;
}

static void round_all(enum pb_dtype dtype, float *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v[i] = rounded(dtype, v[i]);
}

/* ------------------------------------------------- what a random matrix is to be */

enum { ROW_SCALE = 1, COL_SCALE = 2, KEPT = 4, SPARSE = 8, LOW_RANK = 16, POST = 32, COL_OFFSET = 64, ALL_EXTRAS = 127 };
enum { NO_NUMBERS = PB_SCALE_ABSENT, FLOATS = PB_SCALE_FLOAT, NESTED = PB_SCALE_NESTED, ZEROS = PB_SCALE_ZERO };

struct recipe {
	uint32_t rows, cols;
	enum pb_code code;
	enum pb_width width;
	enum pb_levels_kind levels;
	const char *name;               /* NAMED */
	enum pb_block_kind block;
	uint64_t block_size;
	int scale, offset;
	unsigned extras;
	/* VECTOR */
	uint32_t length, n_groups, n_stages, outliers, outlier_length;
	bool along_rows, ordered;
};

/* The nested coding by its rule, with a search over all 256 levels. */
static void naive_nested(const float *values, uint64_t n, uint32_t block, float *out)
{
	float table[PB_MAX_LEVELS];
	unsigned n_levels;
	double sum = 0;
	OK(pb_levels_named("dynamic:8", table, &n_levels, ERR));
	for (uint64_t i = 0; i < n; i++)
		sum += values[i];
	float mean = (float)(sum / (double)n);
	for (uint64_t first = 0; first < n; first += block) {
		float largest = 0;
		uint64_t end = first + block < n ? first + block : n;
		for (uint64_t i = first; i < end; i++)
			if (fabsf(values[i] - mean) > largest)
				largest = fabsf(values[i] - mean);
		for (uint64_t i = first; i < end; i++) {
			float x = largest == 0 ? 0 : (values[i] - mean) / largest;
			unsigned best = 0;
			for (unsigned l = 1; l < n_levels; l++)
				if (fabs((double)table[l] - x) < fabs((double)table[best] - x))
					best = l;
			float scaled = table[best] * largest;
			out[i] = scaled + mean;
		}
	}
}

/* Fills one of the block numbers and says what they decode to. */
static float *make_numbers(struct pb_rng *r, struct pb_encoded *m, struct pb_scale *s, int kind)
{
	uint64_t n = pb_encoded_blocks(m);
	float *decoded = normals(r, n);
	if (kind == FLOATS) {
		enum pb_dtype dtype = any_dtype(r);
		OK(pb_scale_set_float(m, s, decoded, n, dtype, ERR));
		round_all(dtype, decoded, n);
	} else if (kind == NESTED) {
		uint32_t block = pb_rng_below(r, 2) ? 256 : 1 + (uint32_t)pb_rng_below(r, 9);
		float *values = normals(r, n);
		OK(pb_scale_set_nested(m, s, values, n, block, ERR));
		naive_nested(values, n, block, decoded);
		free(values);
	} else {
		enum pb_width w = (enum pb_width)pb_rng_below(r, PB_WIDTHS);
		uint8_t *zeros = get_memory(n, 1);
		for (uint64_t i = 0; i < n; i++) {
			zeros[i] = (uint8_t)pb_rng_below(r, pb_width_levels(w));
			decoded[i] = zeros[i];
		}
		OK(pb_scale_set_zero(m, s, zeros, n, w, ERR));
		free(zeros);
	}
	for (uint64_t i = 0; i < n; i++)
		assert_true(pb_scale_at(s, i) == decoded[i]);
	return decoded;
}

static float *make_scalar(struct pb_rng *r, struct pb_encoded *m, const struct recipe *k)
{
	uint64_t coded = pb_encoded_coded_cols(m), n = m->rows * coded;
	unsigned n_levels = pb_width_levels(k->width), stored = k->levels == PB_LEVELS_ROW ? m->rows : 1;
	float *table, *out = get_memory(n, sizeof *out);
	enum pb_dtype dtype = any_dtype(r);
	if (k->levels == PB_LEVELS_NAMED) {
		unsigned n_named;
		table = get_memory(PB_MAX_LEVELS, sizeof *table);
		OK(pb_levels_named(k->name, table, &n_named, ERR));
		n_levels = n_named < n_levels ? n_named : n_levels;
		OK(pb_encoded_set_levels(m, PB_LEVELS_NAMED, k->name, NULL, 0, PB_F32, ERR));
	} else {
		n_levels = 1 + (unsigned)pb_rng_below(r, n_levels);
		table = normals(r, (size_t)n_levels * stored);
		OK(pb_encoded_set_levels(m, k->levels, NULL, table, n_levels, dtype, ERR));
		round_all(dtype, table, (size_t)n_levels * stored);
	}
	uint8_t *codes = get_memory(n, 1);
	for (uint64_t i = 0; i < n; i++) {
		codes[i] = (uint8_t)pb_rng_below(r, n_levels);
		out[i] = table[codes[i] + (k->levels == PB_LEVELS_ROW ? i / coded * n_levels : 0)];
	}
	OK(pb_encoded_set_codes(m, k->width, codes, ERR));
	free(codes);
	free(table);
	return out;
}

static float *make_book(struct pb_rng *r, uint32_t n_books, uint32_t length, uint64_t n, uint32_t *k, uint32_t **index)
{
	*k = 2 + (uint32_t)pb_rng_below(r, pb_rng_below(r, 8) ? 40 : 600);
	*index = get_memory(n, sizeof **index);
	for (uint64_t i = 0; i < n; i++)
		(*index)[i] = (uint32_t)pb_rng_below(r, *k);
	return normals(r, (size_t)n_books * *k * length);
}

static float *make_vector(struct pb_rng *r, struct pb_encoded *m, const struct recipe *k)
{
	uint32_t coded = pb_encoded_coded_cols(m), n_centroids[PB_MAX_STAGES], *index[PB_MAX_STAGES], *order = NULL;
	uint32_t n_outliers = k->outliers, rest = coded - n_outliers, outlier_centroids = 0, *outlier_index = NULL;
	float *book[PB_MAX_STAGES], *outlier_book = NULL, *out = get_memory((size_t)m->rows * coded, sizeof *out);
	enum pb_dtype dtype = any_dtype(r);
	uint32_t in_row = (rest + k->length - 1) / k->length, down = (m->rows + k->length - 1) / k->length;
	uint64_t n = k->along_rows ? (uint64_t)down * rest : (uint64_t)m->rows * in_row;
	uint32_t group_cols = (rest + k->n_groups - 1) / k->n_groups;
	assert_int_equal(pb_vector_count(m->rows, rest, k->length, k->along_rows), n);
	for (uint32_t s = 0; s < k->n_stages; s++)
		book[s] = make_book(r, k->n_groups, k->length, n, &n_centroids[s], &index[s]);
	if (n_outliers)
		outlier_book = make_book(r, 1, k->outlier_length, pb_vector_count(m->rows, n_outliers, k->outlier_length, true),
			&outlier_centroids, &outlier_index);
	if (k->ordered) {
		order = get_memory(coded, sizeof *order);
		for (uint32_t p = 0; p < coded; p++)
			order[p] = p;
		pb_rng_shuffle(r, order, coded);
	}
	struct pb_vector_values values = { .length = k->length, .along_rows = k->along_rows, .n_groups = k->n_groups,
		.n_stages = k->n_stages, .n_centroids = n_centroids, .dtype = dtype, .codebook = (const float *const *)book,
		.index = (const uint32_t *const *)index, .n_outliers = n_outliers, .outlier_length = k->outlier_length,
		.outlier_centroids = outlier_centroids, .outlier_codebook = outlier_book, .outlier_index = outlier_index,
		.column_order = order };
	OK(pb_encoded_set_vector(m, &values, ERR));
	for (uint32_t row = 0; row < m->rows; row++)
		for (uint32_t p = 0; p < coded; p++) {
			float *to = &out[(uint64_t)row * coded + (order ? order[p] : p)];
			if (p < n_outliers) {
				uint32_t i = outlier_index[(uint64_t)(row / k->outlier_length) * n_outliers + p];
				*to = rounded(dtype, outlier_book[(uint64_t)i * k->outlier_length + row % k->outlier_length]);
				continue;
			}
			uint32_t q = p - n_outliers, group = q / group_cols, entry = k->along_rows ? row % k->length : q % k->length;
			uint64_t at = k->along_rows ? (uint64_t)(row / k->length) * rest + q : (uint64_t)row * in_row + q / k->length;
			for (uint32_t s = 0; s < k->n_stages; s++) {
				float c = rounded(dtype, book[s][((uint64_t)group * n_centroids[s] + index[s][at]) * k->length + entry]);
				*to = s ? *to + c : c;
			}
		}
	for (uint32_t s = 0; s < k->n_stages; s++) {
		free(book[s]);
		free(index[s]);
	}
	free(outlier_book);
	free(outlier_index);
	free(order);
	return out;
}

/* The matrix of a recipe and, in *expected, what it decodes to (rows, cols). */
static struct pb_encoded *make(struct pb_rng *r, const struct recipe *k, float **expected)
{
	struct pb_encoded *m = NULL;
	uint32_t rows = k->rows, cols = k->cols;
	float *full = normals(r, (size_t)rows * cols), *out = get_memory((size_t)rows * cols, sizeof *out);
	bool *is_kept = get_memory(cols, sizeof *is_kept);
	enum pb_dtype kept_dtype = any_dtype(r), dtype;
	OK(pb_encoded_new(&m, rows, cols, ERR));
	if (k->extras & KEPT) {
		uint32_t *columns = get_memory(cols, sizeof *columns), n = 0, limit = cols > 1 ? cols - 1 : cols;
		for (uint32_t c = 0; c < cols && n < limit; c++)
			if (pb_rng_below(r, 3) == 0) {
				columns[n++] = c;
				is_kept[c] = true;
			}
		OK(pb_encoded_keep_columns(m, columns, n, full, kept_dtype, ERR));
		free(columns);
	}
	uint32_t coded = pb_encoded_coded_cols(m);
	float *values;
	if (k->code == PB_CODE_DENSE) {
		dtype = any_dtype(r);
		values = normals(r, (size_t)rows * coded);
		OK(pb_encoded_set_dense(m, values, dtype, ERR));
		round_all(dtype, values, (size_t)rows * coded);
	} else {
		values = k->code == PB_CODE_SCALAR ? make_scalar(r, m, k) : make_vector(r, m, k);
	}
	float *scale = NULL, *offset = NULL, *row_scale = NULL, *col_scale = NULL, *col_offset = NULL;
	if (k->block != PB_BLOCK_NONE && coded) {
		m->block_kind = k->block;
		m->block_size = k->block_size;
		scale = k->scale ? make_numbers(r, m, &m->block_scale, k->scale) : NULL;
		offset = k->offset ? make_numbers(r, m, &m->block_offset, k->offset) : NULL;
	}
	if (k->extras & ROW_SCALE) {
		dtype = any_dtype(r);
		row_scale = normals(r, rows);
		OK(pb_encoded_set_row_scale(m, row_scale, dtype, ERR));
		round_all(dtype, row_scale, rows);
	}
	if (k->extras & COL_SCALE) {
		dtype = any_dtype(r);
		col_scale = normals(r, cols);
		OK(pb_encoded_set_col_scale(m, col_scale, dtype, ERR));
		round_all(dtype, col_scale, cols);
	}
	if (k->extras & COL_OFFSET) {
		dtype = any_dtype(r);
		col_offset = normals(r, cols);
		OK(pb_encoded_set_col_offset(m, col_offset, dtype, ERR));
		round_all(dtype, col_offset, cols);
	}
	for (uint64_t row = 0; row < rows; row++)
		for (uint64_t c = 0, coded_c = 0; c < cols; c++) {
			if (is_kept[c]) {
				out[row * cols + c] = rounded(kept_dtype, full[row * cols + c]);
				continue;
			}
			float v = values[row * coded + coded_c];
			uint64_t in_row = (coded + k->block_size - 1) / (k->block_size ? k->block_size : 1);
			uint64_t block = k->block == PB_BLOCK_ROW ? row * in_row + coded_c / k->block_size :
				k->block == PB_BLOCK_FLAT ? (row * coded + coded_c) / k->block_size : 0;
			if (offset && k->offset == ZEROS)
				v = v - offset[block];
			if (scale)
				v = v * scale[block];
			if (offset && k->offset != ZEROS)
				v = v + offset[block];
			if (row_scale)
				v = v * row_scale[row];
			if (col_scale)
				v = v * col_scale[c];
			if (col_offset)
				v = v + col_offset[c];
			out[row * cols + c] = v;
			coded_c++;
		}
	if (k->extras & SPARSE) {
		uint32_t *start = get_memory(rows + 1u, sizeof *start), *column = get_memory((size_t)rows * cols, sizeof *column), n = 0;
		float *v = normals(r, (size_t)rows * cols);
		dtype = any_dtype(r);
		for (uint64_t row = 0; row < rows; row++) {
			for (uint32_t c = 0; c < cols; c++)
				if (pb_rng_below(r, 6) == 0) {
					out[row * cols + c] += rounded(dtype, v[n]);
					column[n++] = c;
				}
			start[row + 1] = n;
		}
		OK(pb_encoded_set_sparse(m, start, column, v, dtype, ERR));
		free(start);
		free(column);
		free(v);
	}
	if (k->extras & LOW_RANK) {
		uint32_t rank = 1 + (uint32_t)pb_rng_below(r, 4);
		float *u = normals(r, (size_t)rows * rank), *v = normals(r, (size_t)rank * cols);
		dtype = any_dtype(r);
		OK(pb_encoded_set_low_rank(m, u, v, rank, dtype, ERR));
		for (uint64_t row = 0; row < rows; row++)
			for (uint64_t c = 0; c < cols; c++) {
				float sum = 0;
				for (uint64_t i = 0; i < rank; i++) {
					float product = rounded(dtype, u[row * rank + i]) * rounded(dtype, v[i * cols + c]);
					sum = sum + product;
				}
				out[row * cols + c] += sum;
			}
		free(u);
		free(v);
	}
	if (k->extras & POST) {
		m->post = PB_POST_LAYERNORM;
		m->claimed_bytes = 77;
	}
	free(full);
	free(is_kept);
	free(values);
	free(scale);
	free(offset);
	free(row_scale);
	free(col_scale);
	free(col_offset);
	*expected = out;
	return m;
}

/* --------------------------------------------------------------- parts as a file has them */

/* Copies of the parts, each in a heap block of exactly its size (plus `shift` bytes in front). */
struct shelf {
	struct pb_part parts[PB_MAX_PARTS];
	unsigned char *blocks[PB_MAX_PARTS];
	unsigned n;
};

static void fill_shelf(struct shelf *s, const struct pb_encoded *m, size_t shift)
{
	s->n = pb_encoded_parts(m, s->parts);
	assert_true(s->n <= PB_MAX_PARTS);
	for (unsigned i = 0; i < s->n; i++) {
		struct pb_tensor *t = &s->parts[i].tensor;
		assert_true(t->bytes > 0);
		s->blocks[i] = get_memory(t->bytes + shift, 1);
		memcpy(s->blocks[i] + shift, t->data, t->bytes);
		t->data = s->blocks[i] + shift;
	}
}

static void empty_shelf(struct shelf *s)
{
	for (unsigned i = 0; i < s->n; i++)
		free(s->blocks[i]);
}

static const struct pb_tensor *find_part(void *arg, const char *name)
{
	struct shelf *s = arg;
	for (unsigned i = 0; i < s->n; i++)
		if (!strcmp(s->parts[i].name, name))
			return &s->parts[i].tensor;
	return NULL;
}

static void expect_same(const struct pb_encoded *m, const float *expected)
{
	float *out = get_memory((size_t)m->rows * m->cols, sizeof *out);
	pb_encoded_decode(m, 0, m->rows, out);
	for (uint64_t i = 0; i < (uint64_t)m->rows * m->cols; i++)
		if (memcmp(&out[i], &expected[i], sizeof *out))
			fail_msg("weight %llu of %u x %u is %a, expected %a", (unsigned long long)i, m->rows, m->cols,
				(double)out[i], (double)expected[i]);
	free(out);
}

static void expect_slices(struct pb_rng *r, const struct pb_encoded *m, const float *expected)
{
	for (int i = 0; i < 4; i++) {
		uint32_t first = (uint32_t)pb_rng_below(r, m->rows), n = (uint32_t)pb_rng_below(r, m->rows - first + 1);
		float *out = get_memory((size_t)n * m->cols, sizeof *out);
		pb_encoded_decode(m, first, n, out);
		assert_memory_equal(out, expected + (uint64_t)first * m->cols, (size_t)n * m->cols * sizeof *out);
		free(out);
	}
}

static void expect_restored(const struct pb_encoded *m, const float *expected, size_t shift)
{
	struct shelf shelf;
	struct pb_encoded *back = NULL;
	uint64_t bytes = 0;
	fill_shelf(&shelf, m, shift);
	for (unsigned i = 0; i < shelf.n; i++) {
		uint64_t n;
		bytes += shelf.parts[i].tensor.bytes;
		assert_true(pb_tensor_count(&shelf.parts[i].tensor, &n));
		assert_int_equal(n * pb_dtype_bytes(shelf.parts[i].tensor.dtype), shelf.parts[i].tensor.bytes);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(shelf.parts[i].name, shelf.parts[j].name);
	}
	assert_int_equal(bytes, pb_encoded_bytes(m));
	/* through text, as a file has it */
	json_t *description = pb_encoded_describe(m), *parsed = NULL;
	assert_non_null(description);
	char *text = json_dumps(description, 0);
	parsed = json_loads(text, 0, NULL);
	assert_non_null(parsed);
	OK(pb_encoded_restore(&back, parsed, find_part, &shelf, ERR));
	expect_same(back, expected);
	assert_int_equal(pb_encoded_bytes(back), bytes);
	assert_int_equal(back->post, m->post);
	assert_int_equal(back->claimed_bytes, m->claimed_bytes);
	json_t *again = pb_encoded_describe(back);
	assert_true(json_equal(again, description));
	json_decref(again);
	json_decref(parsed);
	json_decref(description);
	free(text);
	pb_encoded_free(back);
	empty_shelf(&shelf);
}

static void try_recipe(struct pb_rng *r, const struct recipe *k)
{
	float *expected;
	struct pb_encoded *m = make(r, k, &expected);
	OK(pb_encoded_check(m, ERR));
	expect_same(m, expected);
	expect_slices(r, m, expected);
	expect_restored(m, expected, pb_rng_below(r, 2));
	free(expected);
	pb_encoded_free(m);
}

/* --------------------------------------------------------------------- random matrices */

static const uint32_t shapes[][2] = { { 1, 1 }, { 1, 2 }, { 2, 1 }, { 1, 7 }, { 1, 300 }, { 13, 1 }, { 5, 8 }, { 7, 13 }, { 17, 31 },
	{ 3, 257 }, { 16, 64 }, { 2, 521 } };
#define N_SHAPES (sizeof shapes / sizeof *shapes)

static const char *const names_by_width[PB_WIDTHS][3] = {
	[PB_W1] = { "sign", "integer", "signed:1" }, [PB_W_TRIT] = { "ternary", "integer", "int:2" },
	[PB_W2] = { "signed:2", "integer", "int:2" }, [PB_W3] = { "int:3", "float:2:0", "dynamic:3" },
	[PB_W4] = { "nf4", "float:2:1", "fp4_bnb" }, [PB_W5] = { "float:3:1", "dynamic:5", "signed:5" },
	[PB_W6] = { "int:6", "integer", "float:3:2" }, [PB_W8] = { "dynamic:8", "float:4:3", "integer" },
};

static uint64_t any_block_size(struct pb_rng *r, const uint32_t shape[2])
{
	static const uint64_t sizes[] = { 1, 2, 3, 5, 8, 32, 64, 1000 };
	switch (pb_rng_below(r, 4)) {
	case 0: return shape[1];
	case 1: return (uint64_t)shape[0] * shape[1];
	default: return sizes[pb_rng_below(r, 8)];
	}
}

static void every_width_level_and_block(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(3, 0);
	for (int width = 0; width < PB_WIDTHS; width++)
		for (int levels = 0; levels <= PB_LEVELS_ROW; levels++)
			for (int block = 0; block <= PB_BLOCK_FLAT; block++)
				for (size_t s = 0; s < N_SHAPES; s++) {
					struct recipe k = { .rows = shapes[s][0], .cols = shapes[s][1], .code = PB_CODE_SCALAR,
						.width = (enum pb_width)width, .levels = (enum pb_levels_kind)levels,
						.name = names_by_width[width][pb_rng_below(&r, 3)], .block = (enum pb_block_kind)block };
					if (block) {
						k.block_size = any_block_size(&r, shapes[s]);
						k.scale = FLOATS;
					}
					try_recipe(&r, &k);
				}
}

static void every_block_number(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(4, 0);
	static const int scales[] = { NO_NUMBERS, FLOATS, NESTED }, offsets[] = { NO_NUMBERS, FLOATS, NESTED, ZEROS };
	for (int scale = 0; scale < 3; scale++)
		for (int offset = 0; offset < 4; offset++)
			for (int block = PB_BLOCK_ROW; block <= PB_BLOCK_FLAT; block++)
				for (size_t s = 0; s < N_SHAPES; s++)
					for (int round = 0; round < 3; round++) {
						struct recipe k = { .rows = shapes[s][0], .cols = shapes[s][1], .code = PB_CODE_SCALAR, .width = PB_W4,
							.name = "nf4", .block = (enum pb_block_kind)block, .block_size = any_block_size(&r, shapes[s]),
							.scale = scales[scale], .offset = offsets[offset] };
						try_recipe(&r, &k);
					}
}

static void extras_alone_and_together(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(5, 0);
	for (int code = PB_CODE_DENSE; code <= PB_CODE_SCALAR; code++)
		for (unsigned extras = 0; extras <= ALL_EXTRAS; extras++)
			for (size_t s = 0; s < N_SHAPES; s++) {
				struct recipe k = { .rows = shapes[s][0], .cols = shapes[s][1], .code = (enum pb_code)code, .width = PB_W3,
					.levels = PB_LEVELS_TENSOR, .extras = extras };
				try_recipe(&r, &k);
			}
}

static void anything(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(6, 0);
	for (int round = 0; round < 1500; round++) {
		const uint32_t shape[2] = { 1 + (uint32_t)pb_rng_below(&r, 40), 1 + (uint32_t)pb_rng_below(&r, 300) };
		struct recipe k = { .rows = shape[0], .cols = shape[1], .code = pb_rng_below(&r, 4) ? PB_CODE_SCALAR : PB_CODE_DENSE,
			.width = (enum pb_width)pb_rng_below(&r, PB_WIDTHS), .levels = (enum pb_levels_kind)pb_rng_below(&r, 3),
			.block = (enum pb_block_kind)pb_rng_below(&r, 3), .extras = (unsigned)pb_rng_below(&r, ALL_EXTRAS + 1) };
		k.name = names_by_width[k.width][pb_rng_below(&r, 3)];
		if (k.block) {
			k.block_size = any_block_size(&r, shape);
			k.scale = (int)pb_rng_below(&r, 3);
			k.offset = (int)pb_rng_below(&r, 4);
		}
		try_recipe(&r, &k);
	}
}

static void vectors(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(7, 0);
	for (int round = 0; round < 1000; round++) {
		const uint32_t shape[2] = { 1 + (uint32_t)pb_rng_below(&r, 40), 1 + (uint32_t)pb_rng_below(&r, 300) };
		struct recipe k = { .rows = shape[0], .cols = shape[1], .code = PB_CODE_VECTOR, .length = 1 + (uint32_t)pb_rng_below(&r, 9),
			.n_stages = 1 + (uint32_t)pb_rng_below(&r, 3), .along_rows = pb_rng_below(&r, 2), .ordered = pb_rng_below(&r, 2),
			.n_groups = 1, .block = (enum pb_block_kind)pb_rng_below(&r, 3),
			.extras = (unsigned)pb_rng_below(&r, ALL_EXTRAS + 1) & ~(unsigned)KEPT };
		if (k.along_rows && pb_rng_below(&r, 2))
			k.n_groups = 1 + (uint32_t)pb_rng_below(&r, shape[1] < 5 ? shape[1] : 5);
		else if (!k.along_rows && shape[1] % (3 * k.length) == 0)
			k.n_groups = 3;
		if (k.along_rows && k.n_groups == 1 && shape[1] > 1 && pb_rng_below(&r, 2)) {
			k.extras |= KEPT;
		} else if (k.along_rows && shape[1] > k.n_groups && pb_rng_below(&r, 2)) {
			k.outliers = 1 + (uint32_t)pb_rng_below(&r, shape[1] - k.n_groups);
			k.outlier_length = 1 + (uint32_t)pb_rng_below(&r, 9);
		}
		if (k.block) {
			k.block_size = any_block_size(&r, shape);
			k.scale = (int)pb_rng_below(&r, 3);
			k.offset = (int)pb_rng_below(&r, 4);
		}
		try_recipe(&r, &k);
	}
}

/* Groups along a row that are a multiple of the vector's length. */
static void grouped_vectors_along_rows(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(8, 0);
	for (uint32_t length = 1; length <= 6; length++)
		for (uint32_t groups = 1; groups <= 4; groups++) {
			struct recipe k = { .rows = 9, .cols = 3 * length * groups, .code = PB_CODE_VECTOR, .length = length, .n_stages = 2,
				.n_groups = groups, .ordered = groups % 2 };
			try_recipe(&r, &k);
		}
	struct recipe cut = { .rows = 2, .cols = 10, .code = PB_CODE_VECTOR, .length = 3, .n_stages = 1, .n_groups = 2 };
	float *expected;
	struct pb_error err;
	struct pb_encoded *m = make(&r, &cut, &expected);
	assert_int_equal(pb_encoded_check(m, &err), PB_FORMAT); /* 5 columns a group cut vectors of 3 */
	free(expected);
	pb_encoded_free(m);
}

static void all_columns_kept(void **state)
{
	(void)state;
	struct pb_error err;
	struct pb_encoded *m = NULL;
	const float w[6] = { 1, 2, 3, 4, 5, 6 };
	const uint32_t columns[3] = { 0, 1, 2 };
	OK(pb_encoded_new(&m, 2, 3, ERR));
	OK(pb_encoded_keep_columns(m, columns, 3, w, PB_F16, ERR));
	OK(pb_encoded_set_dense(m, NULL, PB_F16, ERR));
	OK(pb_encoded_check(m, ERR));
	assert_int_equal(pb_encoded_coded_cols(m), 0);
	assert_int_equal(pb_encoded_bytes(m), 3 * 4 + 6 * 2);
	expect_same(m, w);
	expect_restored(m, w, 1);
	m->block_kind = PB_BLOCK_ROW;
	m->block_size = 4;
	assert_int_equal(pb_encoded_blocks(m), 0);
	m->block_scale.kind = PB_SCALE_FLOAT;
	assert_int_equal(pb_encoded_check(m, &err), PB_FORMAT);
	pb_encoded_free(m);
}

/* ----------------------------------------------------------------------------- blocks */

static void block_counts(void **state)
{
	(void)state;
	struct pb_encoded *m = NULL;
	OK(pb_encoded_new(&m, 5, 13, ERR));
	assert_int_equal(pb_encoded_blocks(m), 0);
	m->block_kind = PB_BLOCK_ROW;
	m->block_size = 4;
	assert_int_equal(pb_encoded_blocks(m), 5 * 4);
	m->block_size = 13;
	assert_int_equal(pb_encoded_blocks(m), 5);
	m->block_size = 1000;
	assert_int_equal(pb_encoded_blocks(m), 5);
	m->block_kind = PB_BLOCK_FLAT;
	m->block_size = 4;
	assert_int_equal(pb_encoded_blocks(m), 17);
	m->block_size = 65;
	assert_int_equal(pb_encoded_blocks(m), 1);
	pb_encoded_free(m);
	pb_encoded_free(NULL);
}

/* Blocks by number cover the coded weights once, in order, and none crosses what it must not cross. */
static void blocks_by_number(void **state)
{
	(void)state;
	static const int64_t sizes[] = { -1, 0, 1, 2, 3, 7, 13, 14, 1000 };
	struct pb_encoded *m = NULL;
	const float w[5 * 14] = { 0 };
	const uint32_t kept[1] = { 4 };
	OK(pb_encoded_new(&m, 5, 14, ERR));
	OK(pb_encoded_keep_columns(m, kept, 1, w, PB_F16, ERR));
	for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
		for (int flat = 0; flat < 2; flat++) {
			pb_encoded_set_groups(m, sizes[s]);
			assert_int_equal(pb_encoded_blocks(m), pb_group_count(5, 13, sizes[s]));
			assert_int_equal(m->block_kind, sizes[s] ? PB_BLOCK_ROW : PB_BLOCK_FLAT);
			if (flat)
				m->block_kind = PB_BLOCK_FLAT;
			uint64_t next = 0, first, n;
			for (uint64_t b = 0; b < pb_encoded_blocks(m); b++) {
				pb_encoded_block(m, b, &first, &n);
				assert_int_equal(first, next);
				assert_true(n >= 1 && n <= m->block_size);
				assert_true(m->block_kind == PB_BLOCK_FLAT || first / 13 == (first + n - 1) / 13);
				next = first + n;
			}
			assert_int_equal(next, 5 * 13);
		}
	assert_int_equal(pb_group_count(5, 13, -1), 5);
	assert_int_equal(pb_group_count(5, 13, 0), 1);
	assert_int_equal(pb_group_count(5, 13, 4), 20);
	pb_encoded_free(m);
}

/* ---------------------------------------------------------------------- nested scales */

static void nested_scales(void **state)
{
	(void)state;
	struct pb_encoded *m = NULL;
	struct pb_scale s = { 0 };
	OK(pb_encoded_new(&m, 1, 1, ERR));
	/* all alike: residuals 0, the code of 0.0 (127 levels are negative), the offset is the number */
	const float same[3] = { 0.3f, 0.3f, 0.3f };
	OK(pb_scale_set_nested(m, &s, same, 3, 2, ERR));
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(((const uint8_t *)s.data)[i], 127);
		assert_true(pb_scale_at(&s, i) == 0.3f);
	}
	assert_int_equal(s.n, 3);
	assert_true(s.outer[0] == 0.0f && s.outer[1] == 0.0f);
	/* 1, 2, 3, 6: mean 3, residuals -2 -1 0 3; blocks of 2 have 2 and 3; -1 is not in the map, 0.99296875 is */
	const float four[4] = { 1, 2, 3, 6 };
	OK(pb_scale_set_nested(m, &s, four, 4, 2, ERR));
	assert_true(*s.nested_offset == 3.0f && s.outer[0] == 2.0f && s.outer[1] == 3.0f);
	assert_true(fabsf(pb_scale_at(&s, 0) - (3.0f - 2.0f * 0.99296875f)) < 1e-6f);
	assert_true(pb_scale_at(&s, 2) == 3.0f && pb_scale_at(&s, 3) == 6.0f);

	struct pb_error err;
	const float bad[2] = { 1, NAN }, wide[3] = { 3e38f, 3e38f, -3e38f };
	assert_int_equal(pb_scale_set_nested(m, &s, bad, 2, 256, &err), PB_NUMERIC);
	assert_int_equal(pb_scale_set_nested(m, &s, wide, 3, 256, &err), PB_NUMERIC);
	assert_int_equal(pb_scale_set_nested(m, &s, four, 0, 256, &err), PB_USAGE);
	assert_int_equal(pb_scale_set_nested(m, &s, four, 4, 0, &err), PB_USAGE);
	assert_int_equal(s.n, 4); /* untouched by what was refused */
	const struct pb_scale absent = { 0 };
	assert_true(isnan(pb_scale_at(&absent, 0)));
	pb_encoded_free(m);
}

/* --------------------------------------------------------------------------- refusals */

static void setters_refuse(void **state)
{
	(void)state;
	struct pb_error err;
	struct pb_encoded *m = NULL;
	const float w[6] = { 1, 2, 3, 4, 5, 6 }, nan[6] = { 1, 2, NAN, 4, 5, 6 }, large[6] = { 1, 2, 70000, 4, 5, 6 };
	const float beyond_bf16[6] = { 3.4e38f, 0, 0, 0, 0, 0 };
	const uint8_t codes[6] = { 0, 1, 2, 3, 3, 4 };
	const uint32_t falling[2] = { 1, 0 }, twice[2] = { 1, 1 }, outside[1] = { 3 }, one[1] = { 1 };
	assert_int_equal(pb_encoded_new(&m, 0, 3, &err), PB_USAGE);
	assert_int_equal(pb_encoded_new(&m, 3, 0, &err), PB_USAGE);
	assert_null(m);
	OK(pb_encoded_new(&m, 2, 3, ERR));
	assert_int_equal(pb_encoded_set_dense(m, nan, PB_F32, &err), PB_NUMERIC);
	assert_int_equal(pb_encoded_set_dense(m, large, PB_F16, &err), PB_NUMERIC);
	assert_non_null(strstr(err.text, "1 of 6"));
	assert_int_equal(pb_encoded_set_dense(m, beyond_bf16, PB_BF16, &err), PB_NUMERIC);
	assert_int_equal(pb_encoded_set_dense(m, w, PB_U8, &err), PB_USAGE);
	assert_int_equal(pb_encoded_set_dense(m, nan, PB_F32, NULL), PB_NUMERIC);
	assert_null(m->dense);
	assert_int_equal(pb_encoded_check(m, &err), PB_FORMAT); /* nothing in it yet */
	assert_int_equal(pb_encoded_keep_columns(m, falling, 2, w, PB_F16, &err), PB_USAGE);
	assert_int_equal(pb_encoded_keep_columns(m, twice, 2, w, PB_F16, &err), PB_USAGE);
	assert_int_equal(pb_encoded_keep_columns(m, outside, 1, w, PB_F16, &err), PB_USAGE);
	assert_int_equal(pb_encoded_keep_columns(m, (const uint32_t[]){ 2 }, 1, nan, PB_F16, &err), PB_NUMERIC);
	assert_int_equal(m->n_kept, 0);
	OK(pb_encoded_set_dense(m, w, PB_F32, ERR));
	assert_int_equal(pb_encoded_keep_columns(m, one, 1, w, PB_F16, &err), PB_USAGE); /* too late */
	assert_int_equal(pb_encoded_set_codes(m, PB_W2, codes, &err), PB_USAGE);
	assert_int_equal(pb_encoded_set_levels(m, PB_LEVELS_NAMED, "nf5", NULL, 0, PB_F32, &err), PB_USAGE);
	assert_int_equal(pb_encoded_set_levels(m, PB_LEVELS_NAMED, "a name of more than thirty-two characters", NULL, 0, PB_F32, &err),
		PB_USAGE);
	assert_int_equal(pb_encoded_set_levels(m, PB_LEVELS_TENSOR, NULL, w, 0, PB_F32, &err), PB_USAGE);
	assert_int_equal(pb_encoded_set_levels(m, PB_LEVELS_TENSOR, NULL, w, 257, PB_F32, &err), PB_USAGE);
	assert_int_equal(pb_encoded_set_levels(m, PB_LEVELS_TENSOR, NULL, nan, 3, PB_F32, &err), PB_NUMERIC);
	assert_int_equal(pb_scale_set_float(m, &m->block_scale, large, 3, PB_F16, &err), PB_NUMERIC);
	assert_int_equal(pb_scale_set_zero(m, &m->block_offset, codes, 6, PB_W_TRIT, &err), PB_USAGE);
	assert_int_equal(pb_encoded_set_row_scale(m, nan + 1, PB_F32, &err), PB_NUMERIC);
	assert_int_equal(pb_encoded_set_col_scale(m, nan, PB_F32, &err), PB_NUMERIC);
	assert_int_equal(pb_encoded_set_col_offset(m, large, PB_F16, &err), PB_NUMERIC);
	assert_int_equal(pb_encoded_set_low_rank(m, nan + 2, w, 1, PB_F32, &err), PB_NUMERIC);
	assert_int_equal(pb_encoded_set_low_rank(m, w, nan, 1, PB_F32, &err), PB_NUMERIC);
	assert_int_equal(pb_encoded_set_sparse(m, (const uint32_t[]){ 0, 1, 2 }, one, nan + 2, PB_F32, &err), PB_NUMERIC);
	assert_int_equal(m->block_scale.kind, PB_SCALE_ABSENT);
	assert_true(!m->row_scale && !m->col_scale && !m->col_offset && !m->rank && !m->sparse_start);
	OK(pb_encoded_check(m, ERR));
	pb_encoded_free(m);
}

static void expect_bad(struct pb_encoded *m, enum pb_status status)
{
	struct pb_error err;
	assert_int_equal(pb_encoded_check(m, &err), status);
	assert_int_equal(pb_encoded_check(m, NULL), status);
}

/* Sets a field, expects a refusal, and puts the old value back. */
#define EXPECT_BAD(m, field, value, status) do { \
	__typeof__(field) old_ = (field); \
	(field) = (value); \
	expect_bad(m, status); \
	(field) = old_; \
} while (0)

static void check_refuses_corruption(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(11, 0);
	struct recipe k = { .rows = 6, .cols = 11, .code = PB_CODE_SCALAR, .width = PB_W3, .name = "int:3", .block = PB_BLOCK_ROW,
		.block_size = 4, .scale = NESTED, .offset = ZEROS, .extras = ALL_EXTRAS };
	float *expected;
	struct pb_encoded *m = make(&r, &k, &expected);
	OK(pb_encoded_check(m, ERR));
	EXPECT_BAD(m, m->rows, 0, PB_FORMAT);
	EXPECT_BAD(m, m->code, (enum pb_code)7, PB_FORMAT);
	EXPECT_BAD(m, m->width, (enum pb_width)PB_WIDTHS, PB_FORMAT);
	EXPECT_BAD(m, m->packed, NULL, PB_FORMAT);
	EXPECT_BAD(m, m->packed[1], 0xff, PB_FORMAT); /* a code 7 where 7 levels end at 6 */
	EXPECT_BAD(m, m->levels_kind, (enum pb_levels_kind)9, PB_FORMAT);
	EXPECT_BAD(m, m->levels_name[0], 'x', PB_FORMAT);
	EXPECT_BAD(m, m->n_levels, 6, PB_FORMAT);
	EXPECT_BAD(m, ((float *)m->levels)[1], 0.5f, PB_FORMAT);
	EXPECT_BAD(m, m->block_kind, PB_BLOCK_NONE, PB_FORMAT);
	EXPECT_BAD(m, m->block_kind, (enum pb_block_kind)5, PB_FORMAT);
	EXPECT_BAD(m, m->block_size, 0, PB_FORMAT);
	EXPECT_BAD(m, m->block_size, 1, PB_FORMAT);
	EXPECT_BAD(m, m->block_scale.n, m->block_scale.n + 1, PB_FORMAT);
	EXPECT_BAD(m, m->block_scale.data, NULL, PB_FORMAT);
	EXPECT_BAD(m, m->block_scale.outer, NULL, PB_FORMAT);
	EXPECT_BAD(m, m->block_scale.nested_offset, NULL, PB_FORMAT);
	EXPECT_BAD(m, m->block_scale.nested_block, 0, PB_FORMAT);
	EXPECT_BAD(m, m->block_scale.outer[0], INFINITY, PB_NUMERIC);
	EXPECT_BAD(m, *m->block_scale.nested_offset, NAN, PB_NUMERIC);
	EXPECT_BAD(m, m->block_scale.kind, (enum pb_scale_kind)9, PB_FORMAT);
	EXPECT_BAD(m, m->block_scale.kind, PB_SCALE_ZERO, PB_FORMAT);
	EXPECT_BAD(m, m->block_offset.zero_width, (enum pb_width)PB_WIDTHS, PB_FORMAT);
	EXPECT_BAD(m, m->n_kept, 12, PB_FORMAT);
	EXPECT_BAD(m, m->kept_columns, NULL, PB_FORMAT);
	EXPECT_BAD(m, m->kept_columns[m->n_kept - 1], 11, PB_FORMAT);
	EXPECT_BAD(m, m->kept_columns[0], m->kept_columns[1], PB_FORMAT);
	EXPECT_BAD(m, m->kept, NULL, PB_FORMAT);
	EXPECT_BAD(m, m->kept_dtype, PB_U16, PB_FORMAT);
	EXPECT_BAD(m, m->sparse_start, NULL, PB_FORMAT);
	EXPECT_BAD(m, m->sparse_column, NULL, PB_FORMAT);
	EXPECT_BAD(m, m->sparse_start[0], 1, PB_FORMAT);
	EXPECT_BAD(m, m->sparse_start[2], 0xffffffffu, PB_FORMAT);
	EXPECT_BAD(m, m->n_sparse, m->n_sparse - 1, PB_FORMAT);
	EXPECT_BAD(m, m->sparse_column[m->n_sparse - 1], 11, PB_FORMAT);
	EXPECT_BAD(m, m->sparse_value, NULL, PB_FORMAT);
	EXPECT_BAD(m, m->rank_u, NULL, PB_FORMAT);
	EXPECT_BAD(m, m->rank_v, NULL, PB_FORMAT);
	EXPECT_BAD(m, m->post, (enum pb_post)2, PB_FORMAT);
	void *const numbers[] = { m->kept, m->sparse_value, m->rank_u, m->rank_v, m->row_scale, m->col_scale, m->col_offset };
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		uint32_t old, bad = 0xffffffff; /* NaN of every stored dtype */
		memcpy(&old, numbers[i], sizeof old);
		memcpy(numbers[i], &bad, sizeof bad);
		expect_bad(m, PB_NUMERIC);
		memcpy(numbers[i], &old, sizeof old);
	}
	OK(pb_encoded_check(m, ERR));
	expect_same(m, expected);
	free(expected);
	pb_encoded_free(m);
}

static void check_refuses_padding_and_trits(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(12, 0);
	float *expected;
	struct recipe trits = { .rows = 2, .cols = 7, .code = PB_CODE_SCALAR, .width = PB_W_TRIT, .name = "ternary" };
	struct pb_encoded *m = make(&r, &trits, &expected);
	EXPECT_BAD(m, m->packed[0], 243, PB_FORMAT);
	EXPECT_BAD(m, m->packed[1], 9, PB_FORMAT); /* two trits end at 8 */
	EXPECT_BAD(m, m->packed[3], 9, PB_FORMAT);
	free(expected);
	pb_encoded_free(m);
	struct recipe fields = { .rows = 2, .cols = 7, .code = PB_CODE_SCALAR, .width = PB_W3, .name = "signed:3" };
	m = make(&r, &fields, &expected); /* 21 bits in 3 bytes */
	EXPECT_BAD(m, m->packed[2], m->packed[2] | 0x20, PB_FORMAT);
	EXPECT_BAD(m, m->packed[5], m->packed[5] | 0x80, PB_FORMAT);
	OK(pb_encoded_check(m, ERR));
	free(expected);
	pb_encoded_free(m);
	struct recipe stored = { .rows = 2, .cols = 4, .code = PB_CODE_SCALAR, .width = PB_W2, .levels = PB_LEVELS_TENSOR };
	m = make(&r, &stored, &expected);
	EXPECT_BAD(m, m->n_levels, 0, PB_FORMAT);
	EXPECT_BAD(m, m->n_levels, 5, PB_FORMAT);
	EXPECT_BAD(m, m->levels, NULL, PB_FORMAT);
	EXPECT_BAD(m, m->levels_dtype, PB_F64, PB_FORMAT);
	free(expected);
	pb_encoded_free(m);
}

static void check_refuses_bad_vectors(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(13, 0);
	struct recipe k = { .rows = 6, .cols = 10, .code = PB_CODE_VECTOR, .length = 4, .n_stages = 2, .n_groups = 2, .along_rows = true,
		.ordered = true, .outliers = 2, .outlier_length = 5 };
	float *expected;
	struct pb_encoded *m = make(&r, &k, &expected);
	struct pb_vector_code *v = m->vector;
	OK(pb_encoded_check(m, ERR));
	EXPECT_BAD(m, m->vector, NULL, PB_FORMAT);
	EXPECT_BAD(m, v->length, 0, PB_FORMAT);
	EXPECT_BAD(m, v->n_groups, 0, PB_FORMAT);
	EXPECT_BAD(m, v->n_groups, 9, PB_FORMAT);
	EXPECT_BAD(m, v->n_stages, 0, PB_FORMAT);
	EXPECT_BAD(m, v->n_stages, PB_MAX_STAGES + 1, PB_FORMAT);
	EXPECT_BAD(m, v->n_centroids[1], 1, PB_FORMAT);
	EXPECT_BAD(m, v->n_centroids[1], 65537, PB_FORMAT);
	EXPECT_BAD(m, v->codebook[0], NULL, PB_FORMAT);
	EXPECT_BAD(m, v->index[1], NULL, PB_FORMAT);
	EXPECT_BAD(m, v->dtype, PB_I8, PB_FORMAT);
	EXPECT_BAD(m, v->along_rows, false, PB_FORMAT);
	EXPECT_BAD(m, v->n_outliers, 10, PB_FORMAT);
	EXPECT_BAD(m, v->n_outliers, 0xffffffffu, PB_FORMAT);
	EXPECT_BAD(m, v->outlier_length, 0, PB_FORMAT);
	EXPECT_BAD(m, v->outlier_centroids, 1, PB_FORMAT);
	EXPECT_BAD(m, v->outlier_codebook, NULL, PB_FORMAT);
	EXPECT_BAD(m, v->outlier_index, NULL, PB_FORMAT);
	EXPECT_BAD(m, v->column_order[0], 10, PB_FORMAT);
	EXPECT_BAD(m, v->column_order[0], v->column_order[1], PB_FORMAT);
	free(expected);
	pb_encoded_free(m);
	/* 3 centroids in 2 bits: index 3 is none */
	const float book[3] = { 1, 2, 3 };
	const uint32_t three = 3, index[5] = { 0, 1, 2, 2, 1 }, beyond[5] = { 0, 1, 3, 2, 1 };
	struct pb_vector_values values = { .length = 1, .n_groups = 1, .n_stages = 1, .n_centroids = &three, .dtype = PB_F32,
		.codebook = (const float *const[]){ book }, .index = (const uint32_t *const[]){ index } };
	struct pb_error err;
	OK(pb_encoded_new(&m, 1, 5, ERR));
	OK(pb_encoded_set_vector(m, &values, ERR));
	OK(pb_encoded_check(m, ERR));
	EXPECT_BAD(m, m->vector->index[0][0], 0x03, PB_FORMAT);
	EXPECT_BAD(m, m->vector->index[0][1], 0x05, PB_FORMAT); /* bits after the fifth index */
	values.index = (const uint32_t *const[]){ beyond };
	assert_int_equal(pb_encoded_set_vector(m, &values, &err), PB_USAGE);
	values.index = (const uint32_t *const[]){ index };
	values.column_order = (const uint32_t[]){ 0, 1, 2, 5, 4 };
	assert_int_equal(pb_encoded_set_vector(m, &values, &err), PB_USAGE);
	values.column_order = NULL;
	values.n_outliers = 1; /* of length 0, and not down the columns */
	assert_int_equal(pb_encoded_set_vector(m, &values, &err), PB_USAGE);
	values.n_outliers = 0;
	values.length = 0;
	assert_int_equal(pb_encoded_set_vector(m, &values, &err), PB_USAGE);
	pb_encoded_free(m);
}

/* An order has 16 bits a column. */
static void orders_of_many_columns(void **state)
{
	(void)state;
	struct pb_error err;
	for (uint32_t cols = 65536; cols <= 65537; cols++) {
		struct pb_encoded *m = NULL;
		const float book[2] = { 1, 2 };
		const uint32_t two = 2;
		uint32_t *index = get_memory(cols, sizeof *index), *order = get_memory(cols, sizeof *order);
		for (uint32_t p = 0; p < cols; p++) {
			order[p] = cols - 1 - p;
			index[p] = p == 5;
		}
		struct pb_vector_values values = { .length = 1, .along_rows = true, .n_groups = 1, .n_stages = 1, .n_centroids = &two,
			.dtype = PB_F32, .codebook = (const float *const[]){ book }, .index = (const uint32_t *const[]){ index },
			.column_order = order };
		OK(pb_encoded_new(&m, 1, cols, ERR));
		assert_int_equal(pb_encoded_set_vector(m, &values, &err), cols > 65536 ? PB_UNSUPPORTED : PB_OK);
		if (cols <= 65536) {
			float *out = get_memory(cols, sizeof *out);
			OK(pb_encoded_check(m, ERR));
			pb_encoded_decode(m, 0, 1, out);
			for (uint32_t c = 0; c < cols; c++)
				assert_true(out[c] == (c == cols - 1 - 5 ? 2.0f : 1.0f));
			assert_int_equal(pb_encoded_bytes(m), 2 * 4 + cols / 8 + 2 * cols);
			free(out);
		}
		pb_encoded_free(m);
		free(index);
		free(order);
	}
}

/* -------------------------------------------------------------------- restore refuses */

static enum pb_status restore(const json_t *description, struct shelf *shelf)
{
	struct pb_encoded *m = NULL;
	struct pb_error err = { .text = "" };
	enum pb_status status = pb_encoded_restore(&m, description, find_part, shelf, &err);
	assert_true((status == PB_OK) == (m != NULL));
	assert_true(status == PB_OK || (err.status == status && err.text[0]));
	pb_encoded_free(m);
	return status;
}

/* Every part in turn missing, of another shape, dtype or length. */
static void expect_parts_needed(const json_t *description, struct shelf *shelf)
{
	for (unsigned i = 0; i < shelf->n; i++) {
		struct pb_part whole = shelf->parts[i];
		struct pb_tensor *t = &shelf->parts[i].tensor;
		shelf->parts[i].name[0] = '!';
		assert_int_equal(restore(description, shelf), PB_FORMAT);
		shelf->parts[i] = whole;
		t->shape[0]--;
		assert_int_equal(restore(description, shelf), PB_FORMAT);
		shelf->parts[i] = whole;
		t->bytes--;
		assert_int_equal(restore(description, shelf), PB_FORMAT);
		shelf->parts[i] = whole;
		t->n_dims++;
		assert_int_equal(restore(description, shelf), PB_FORMAT);
		shelf->parts[i] = whole;
		t->dtype = t->dtype == PB_F64 ? PB_I64 : PB_F64;
		assert_int_equal(restore(description, shelf), PB_FORMAT);
		shelf->parts[i] = whole;
		t->data = NULL;
		assert_int_equal(restore(description, shelf), PB_FORMAT);
		shelf->parts[i] = whole;
	}
}

/* Every value of the description, at every depth, removed or replaced by something of another kind: it must be refused or,
 * where the key may be absent, still make a matrix that is sound. */
static void disturb(json_t *root, json_t *object, struct shelf *shelf)
{
	const char *keys[32];
	size_t n = 0;
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value)
		keys[n++] = key;
	for (size_t i = 0; i < n; i++) {
		char name[32];
		snprintf(name, sizeof name, "%s", keys[i]);
		json_t *old = json_incref(json_object_get(object, name));
		json_t *const others[] = { json_null(), json_integer(0), json_integer(-1), json_integer(INT64_MAX), json_real(2.5),
			json_string("none of them"), json_array(), json_object() };
		for (size_t o = 0; o < sizeof others / sizeof *others; o++) {
			json_object_set(object, name, others[o]);
			enum pb_status status = restore(root, shelf);
			/* a block that is larger than the matrix has the count of one that spans it */
			if (o == 3 && !strcmp(name, "size"))
				assert_true(status == PB_OK || status == PB_FORMAT);
			else
				assert_int_equal(status, PB_FORMAT);
			json_decref(others[o]);
		}
		json_object_del(object, name);
		enum pb_status status = restore(root, shelf);
		assert_true(status == PB_OK || status == PB_FORMAT);
		if (object != root)
			assert_int_equal(status, PB_FORMAT);
		json_object_set_new(object, name, old);
		assert_int_equal(restore(root, shelf), PB_OK);
		json_object_set_new(object, "surprise", json_true());
		assert_int_equal(restore(root, shelf), PB_FORMAT);
		json_object_del(object, "surprise");
		if (json_is_object(old))
			disturb(root, old, shelf);
	}
}

static void restore_refuses(void **state)
{
	(void)state;
	struct pb_rng r = pb_rng_make(14, 0);
	const struct recipe recipes[] = {
		{ .rows = 6, .cols = 11, .code = PB_CODE_SCALAR, .width = PB_W3, .name = "int:3", .block = PB_BLOCK_ROW, .block_size = 4,
			.scale = NESTED, .offset = ZEROS, .extras = ALL_EXTRAS },
		{ .rows = 6, .cols = 11, .code = PB_CODE_SCALAR, .width = PB_W4, .levels = PB_LEVELS_TENSOR, .block = PB_BLOCK_FLAT,
			.block_size = 4, .scale = FLOATS, .offset = NESTED, .extras = ALL_EXTRAS },
		{ .rows = 6, .cols = 11, .code = PB_CODE_SCALAR, .width = PB_W_TRIT, .levels = PB_LEVELS_ROW },
		{ .rows = 6, .cols = 11, .code = PB_CODE_DENSE, .extras = ALL_EXTRAS },
		{ .rows = 6, .cols = 12, .code = PB_CODE_VECTOR, .length = 4, .n_stages = 2, .n_groups = 2, .along_rows = true, .ordered = true,
			.extras = COL_SCALE | COL_OFFSET },
		{ .rows = 6, .cols = 12, .code = PB_CODE_VECTOR, .length = 4, .n_stages = 1, .n_groups = 2, .along_rows = true, .ordered = true,
			.outliers = 3, .outlier_length = 2, .extras = COL_SCALE | COL_OFFSET },
	};
	for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
		float *expected;
		struct shelf shelf;
		struct pb_encoded *m = make(&r, &recipes[i], &expected);
		json_t *description = pb_encoded_describe(m);
		fill_shelf(&shelf, m, 0);
		assert_int_equal(restore(description, &shelf), PB_OK);
		expect_parts_needed(description, &shelf);
		disturb(description, description, &shelf);
		/* a shape that no file holds */
		json_object_set_new(description, "rows", json_integer(UINT32_MAX));
		json_object_set_new(description, "cols", json_integer(UINT32_MAX));
		assert_int_equal(restore(description, &shelf), PB_FORMAT);
		assert_int_equal(restore(NULL, &shelf), PB_FORMAT);
		json_decref(description);
		empty_shelf(&shelf);
		free(expected);
		pb_encoded_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_width_level_and_block),
		cmocka_unit_test(every_block_number),
		cmocka_unit_test(extras_alone_and_together),
		cmocka_unit_test(anything),
		cmocka_unit_test(vectors),
		cmocka_unit_test(grouped_vectors_along_rows),
		cmocka_unit_test(all_columns_kept),
		cmocka_unit_test(block_counts),
		cmocka_unit_test(blocks_by_number),
		cmocka_unit_test(nested_scales),
		cmocka_unit_test(setters_refuse),
		cmocka_unit_test(check_refuses_corruption),
		cmocka_unit_test(check_refuses_padding_and_trits),
		cmocka_unit_test(check_refuses_bad_vectors),
		cmocka_unit_test(orders_of_many_columns),
		cmocka_unit_test(restore_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
