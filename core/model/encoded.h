/* The encoded matrix: what every quantizer returns and every backend reads.
 *
 *   W^ = diag(row_scale) ( level[code] * block_scale + block_offset ) diag(col_scale) + 1 col_offset^T
 *        on the coded columns,
 *        the kept columns as they are stored,
 *        + sparse + U V                                                then `post` on each output vector
 *
 * W is (rows, cols), rows = out features. With zero points the inner term is (level[code] - zero) * block_scale.
 * The decode is in f32, one rounding an operation, in this order: level (less zero), times block_scale,
 * plus block_offset, times row_scale, times col_scale, plus col_offset, plus sparse, plus low rank (its sum over r
 * ascending, from 0). A part that is absent does no operation; row_scale, col_scale and col_offset do not touch kept columns.
 * pb_encoded_decode is the oracle for every kernel.
 *
 * All memory of a matrix belongs to its arena. Sizes are counted from the bytes of the parts:
 * pb_encoded_parts lists them, and the same list is what is written to and read from files. Numbers and
 * indices are aligned to their size; bits of a packed byte that hold no index are zero. */
#ifndef PB_CORE_MODEL_ENCODED_H
#define PB_CORE_MODEL_ENCODED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "core/base/memory.h"
#include "core/base/status.h"
#include "core/model/levels.h"
#include "core/model/tensor.h"

enum pb_code { PB_CODE_DENSE, PB_CODE_SCALAR, PB_CODE_VECTOR };

/* Width of a scalar index. Each row begins at a byte; fields fill a byte from bit 0 up and run over
 * byte borders; trits: five a byte, sum of t_i * 3^i. */
enum pb_width { PB_W1, PB_W_TRIT, PB_W2, PB_W3, PB_W4, PB_W5, PB_W6, PB_W8, PB_WIDTHS };

enum pb_levels_kind {
	PB_LEVELS_NAMED,        /* levels.h; no bytes */
	PB_LEVELS_TENSOR,       /* one stored table */
	PB_LEVELS_ROW           /* one stored table a row */
};

enum pb_block_kind {
	PB_BLOCK_NONE,
	PB_BLOCK_ROW,           /* block_size consecutive coded columns of one row; the last of a row may be short */
	PB_BLOCK_FLAT           /* block_size consecutive coded weights, row-major over the whole matrix; the last may be short */
};

/* One number a block, in one of several ways of storing it. */
enum pb_scale_kind {
	PB_SCALE_ABSENT,
	PB_SCALE_FLOAT,         /* dtype F32, F16 or BF16 */
	PB_SCALE_NESTED,        /* u8 code c into dynamic:8; value = dynamic[c] * outer[i / nested_block] + nested_offset, f32 */
	PB_SCALE_ZERO           /* unsigned integer zero points, packed as one run of zero_width; only as block_offset */
};

struct pb_scale {
	enum pb_scale_kind kind;
	uint64_t n;             /* numbers */
	enum pb_dtype dtype;    /* FLOAT */
	void *data;             /* FLOAT: n values; NESTED: n codes; ZERO: packed */
	uint32_t nested_block;  /* NESTED */
	float *outer;           /* NESTED: ceil(n / nested_block) */
	float *nested_offset;   /* NESTED: one number */
	enum pb_width zero_width;
};

enum pb_post { PB_POST_NONE, PB_POST_LAYERNORM /* without weights, eps 1e-5 */ };

/* The vector code: one index for `length` weights, into codebooks; the value is the sum of its stages, in order.
 * Coded column column_order[p] is at place p (itself without an order). The first n_outliers places are coded apart; n
 * places are left. A group is ceil(n / n_groups) of them, the last may be short; vectors along a row do not cross groups.
 * Indices are in the order of (ceil(rows / length), n) for vectors down the columns, else (rows, ceil(n / length));
 * centroid entries that fall outside the matrix are not used. */
#define PB_MAX_STAGES 8
#define PB_MAX_ORDERED 65536 /* columns of a column_order */
struct pb_vector_code {
	uint32_t length;        /* weights a vector */
	bool along_rows;        /* true: a vector runs down a column (out features), else along a row */
	uint32_t n_groups;      /* groups of columns, each with codebooks of its own */
	uint32_t n_stages;      /* 1 + residual stages, at most PB_MAX_STAGES */
	uint32_t *n_centroids;  /* [n_stages], 2..65536 */
	enum pb_dtype dtype;    /* of the centroids: F32, F16, BF16 */
	void **codebook;        /* [n_stages]: (n_groups, n_centroids, length) */
	uint8_t **index;        /* [n_stages]: packed, pb_index_bits(n_centroids) bits, one run for the matrix */
	/* Only for vectors down the columns: vectors of a length of their own into one codebook of their own, without stages. */
	uint32_t n_outliers;    /* 0: none, and all that follows is unused */
	uint32_t outlier_length;
	uint32_t outlier_centroids; /* 2..65536 */
	void *outlier_codebook; /* (outlier_centroids, outlier_length) */
	uint8_t *outlier_index; /* packed as index, in the order of (ceil(rows / outlier_length), n_outliers) */
	uint16_t *column_order; /* (coded cols), at most 65536 of them: permutation of the coded columns, or NULL */
};

struct pb_encoded {
	struct pb_arena *arena;
	uint32_t rows, cols;
	enum pb_code code;

	enum pb_dtype dense_dtype;      /* DENSE: F32, F16, BF16 */
	const void *dense;              /* (rows, coded cols); may point into a model's mapping */

	enum pb_width width;            /* SCALAR */
	uint8_t *packed;                /* rows times pb_packed_bytes(width, coded cols) */
	enum pb_levels_kind levels_kind;
	char levels_name[32];           /* NAMED */
	unsigned n_levels;
	enum pb_dtype levels_dtype;     /* TENSOR, ROW: F32, F16, BF16 */
	void *levels;                   /* (n_levels) or (rows, n_levels); NAMED: the table as F32, which is not a part */

	struct pb_vector_code *vector;  /* VECTOR */

	enum pb_block_kind block_kind;
	uint64_t block_size;
	struct pb_scale block_scale, block_offset;

	enum pb_dtype row_scale_dtype, col_scale_dtype, col_offset_dtype;
	void *row_scale;                /* (rows) or NULL */
	void *col_scale;                /* (cols), of all columns; or NULL */
	void *col_offset;               /* (cols), of all columns; or NULL */

	uint32_t n_kept;                /* kept columns */
	uint32_t *kept_columns;         /* (n_kept), ascending */
	enum pb_dtype kept_dtype;
	void *kept;                     /* (rows, n_kept) */

	uint64_t n_sparse;              /* CSR */
	uint32_t *sparse_start;         /* (rows + 1) or NULL */
	uint32_t *sparse_column;        /* (n_sparse), ascending in a row */
	enum pb_dtype sparse_dtype;
	void *sparse_value;             /* (n_sparse) */

	uint32_t rank;                  /* low rank */
	enum pb_dtype rank_dtype;
	void *rank_u, *rank_v;          /* (rows, rank), (rank, cols) */

	enum pb_post post;

	uint64_t claimed_bytes;         /* what its maker says that it takes, in place of the bytes of its parts; 0: nothing is said */
};

/* An empty matrix of that shape with an arena of its own; code DENSE, nothing in it. */
enum pb_status pb_encoded_new(struct pb_encoded **out, uint32_t rows, uint32_t cols, struct pb_error *err) PB_MUST_CHECK;
void pb_encoded_free(struct pb_encoded *m);                     /* NULL is fine */
uint32_t pb_encoded_coded_cols(const struct pb_encoded *m);     /* cols - n_kept */
uint64_t pb_encoded_blocks(const struct pb_encoded *m);         /* by block_kind and block_size; 0 for NONE */
/* Block i holds *n weights of the (rows, coded cols) array, from *first on. */
void pb_encoded_block(const struct pb_encoded *m, uint64_t i, uint64_t *first, uint64_t *n);
/* The option group_size of the quantizers: -1 a block a row, 0 one block for the matrix, else that many coded columns of a
 * row. set_groups sets block_kind and block_size; group_count is the number of blocks that this makes, before there is a matrix. */
void pb_encoded_set_groups(struct pb_encoded *m, int64_t group_size);
uint64_t pb_group_count(uint32_t rows, uint32_t coded_cols, int64_t group_size);

/* Packing. */
unsigned pb_width_levels(enum pb_width w);                      /* 2, 3, 4, 8, ... */
double pb_width_bits(enum pb_width w);                          /* 1, log2(3), 2, 3, ... */
const char *pb_width_name(enum pb_width w);                     /* "1", "1.58", "2", ... */
bool pb_width_for_levels(unsigned n_levels, enum pb_width *out);/* the narrowest that holds n levels; false above 256 */
uint64_t pb_packed_bytes(enum pb_width w, uint64_t n);          /* bytes of one run of n indices */
void pb_pack(enum pb_width w, const uint8_t *codes, uint64_t n, uint8_t *packed);
void pb_unpack(enum pb_width w, const uint8_t *packed, uint64_t first, uint64_t n, uint8_t *codes);
/* Indices of a vector code: one run of fields of 1..32 bits, from bit 0 of byte 0 up. */
unsigned pb_index_bits(uint32_t n_centroids);                   /* ceil(log2(n_centroids)), at least 1 */
uint64_t pb_index_bytes(unsigned bits, uint64_t n);
void pb_pack_index(unsigned bits, const uint32_t *index, uint64_t n, uint8_t *packed);
void pb_unpack_index(unsigned bits, const uint8_t *packed, uint64_t first, uint64_t n, uint32_t *index);

/* Filling in. Memory from the matrix's arena; values are rounded to the dtype; a value that is not finite, before or
 * after rounding, is PB_NUMERIC. */
/* w: (rows, coded cols) */
enum pb_status pb_encoded_set_dense(struct pb_encoded *m, const float *w, enum pb_dtype dtype, struct pb_error *err) PB_MUST_CHECK;
/* codes: (rows, coded cols), one a byte */
enum pb_status pb_encoded_set_codes(struct pb_encoded *m, enum pb_width w, const uint8_t *codes, struct pb_error *err) PB_MUST_CHECK;
/* The fields of struct pb_vector_code before rounding and packing; all is copied. */
struct pb_vector_values {
	uint32_t length;
	bool along_rows;
	uint32_t n_groups, n_stages;
	const uint32_t *n_centroids;            /* [n_stages] */
	enum pb_dtype dtype;
	const float *const *codebook;           /* [n_stages]: (n_groups, n_centroids, length) */
	const uint32_t *const *index;           /* [n_stages]: pb_vector_count numbers each */
	uint32_t n_outliers, outlier_length, outlier_centroids;
	const float *outlier_codebook;
	const uint32_t *outlier_index;
	const uint32_t *column_order;           /* or NULL */
};
enum pb_status pb_encoded_set_vector(struct pb_encoded *m, const struct pb_vector_values *values, struct pb_error *err) PB_MUST_CHECK;
/* Vectors in a block of rows x cols, for a length and a direction. */
uint64_t pb_vector_count(uint32_t rows, uint32_t cols, uint32_t length, bool along_rows);
/* Places of a group of the vector code. */
uint32_t pb_vector_group(const struct pb_encoded *m);
/* name for NAMED (levels, n_levels, dtype unused), else levels as (n_levels) or (rows, n_levels) */
enum pb_status pb_encoded_set_levels(struct pb_encoded *m, enum pb_levels_kind kind, const char *name, const float *levels,
	unsigned n_levels, enum pb_dtype dtype, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_scale_set_float(struct pb_encoded *m, struct pb_scale *s, const float *values, uint64_t n, enum pb_dtype dtype, struct pb_error *err) PB_MUST_CHECK;
/* 8-bit blockwise, of the values less their mean; nested_block is 256 by rule. */
enum pb_status pb_scale_set_nested(struct pb_encoded *m, struct pb_scale *s, const float *values, uint64_t n, uint32_t nested_block, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_scale_set_zero(struct pb_encoded *m, struct pb_scale *s, const uint8_t *zeros, uint64_t n, enum pb_width width, struct pb_error *err) PB_MUST_CHECK;
/* Number i as decoded (ZERO: the integer; ABSENT: NaN). Quantizers code with these, not with the values before rounding. */
float pb_scale_at(const struct pb_scale *s, uint64_t i);
enum pb_status pb_encoded_set_row_scale(struct pb_encoded *m, const float *values, enum pb_dtype dtype, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_encoded_set_col_scale(struct pb_encoded *m, const float *values, enum pb_dtype dtype, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_encoded_set_col_offset(struct pb_encoded *m, const float *values, enum pb_dtype dtype, struct pb_error *err) PB_MUST_CHECK;
/* Before set_codes or set_dense; columns ascending; w: the whole (rows, cols) matrix. */
enum pb_status pb_encoded_keep_columns(struct pb_encoded *m, const uint32_t *columns, uint32_t n, const float *w, enum pb_dtype dtype, struct pb_error *err) PB_MUST_CHECK;
/* start: (rows + 1) */
enum pb_status pb_encoded_set_sparse(struct pb_encoded *m, const uint32_t *start, const uint32_t *column, const float *value, enum pb_dtype dtype, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_encoded_set_low_rank(struct pb_encoded *m, const float *u, const float *v, uint32_t rank, enum pb_dtype dtype, struct pb_error *err) PB_MUST_CHECK;

/* Every part has the size that its neighbours need, indices in range, columns ascending, numbers finite, padding zero:
 * PB_NUMERIC for numbers, else PB_FORMAT. */
enum pb_status pb_encoded_check(const struct pb_encoded *m, struct pb_error *err) PB_MUST_CHECK;

/* Rows [first, first + n) into out (n, cols), f32. Thread-safe, no allocation. */
void pb_encoded_decode(const struct pb_encoded *m, uint32_t first, uint32_t n, float *out);

/* The ledger: one line a part that has bytes. */
#define PB_MAX_PARTS 64
struct pb_part {
	char name[32];          /* "codes", "levels", "block_scale", "block_scale.outer", "sparse.column", ... */
	struct pb_tensor tensor;/* dtype, shape, data and bytes as stored */
};
unsigned pb_encoded_parts(const struct pb_encoded *m, struct pb_part parts[PB_MAX_PARTS]);
uint64_t pb_encoded_bytes(const struct pb_encoded *m);          /* sum over the parts */

/* How the parts hang together, without the bytes (rows, cols, code, width, levels, block kind and size, dtypes, post);
 * and back. Parts are looked up by name through `find`; their tensors may point into a mapping that outlives the
 * matrix. Everything is checked (pb_encoded_check included). */
json_t *pb_encoded_describe(const struct pb_encoded *m);        /* NULL when memory is out */
typedef const struct pb_tensor *(*pb_part_find)(void *arg, const char *part); /* NULL when there is none */
enum pb_status pb_encoded_restore(struct pb_encoded **out, const json_t *description, pb_part_find find, void *arg, struct pb_error *err) PB_MUST_CHECK;
/* The same with copies of all parts, for a mapping that the matrix outlives. */
enum pb_status pb_encoded_copy(struct pb_encoded **out, const json_t *description, pb_part_find find, void *arg, struct pb_error *err) PB_MUST_CHECK;

#endif
