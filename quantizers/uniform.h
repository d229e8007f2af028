/* Uniform grids of 2^b values, b bits a code: rtn rounds to them, gptq, awq and hqq choose better roundings or grids. Each block of
 * weights has a grid of its own. With top = 2^b - 1, for the weights x of a block:
 *
 *   asymmetric, zero=integer   lo = min(0, min x), hi = max(0, max x);  s = (hi - lo) / top;  z = round(-lo / s)
 *                              code = clamp(round(x / s) + z, 0, top);  W^ = (code - z) s
 *   asymmetric, zero=float     lo = min x, hi = max x;  s = (hi - lo) / top;  o = lo
 *                              code = clamp(round((x - o) / s), 0, top);  W^ = code s + o
 *   symmetric                  s = 2 max|x| / top;  code = clamp(round(x / s) + 2^(b-1), 0, top);  W^ = (code - 2^(b-1)) s
 *
 * A block of zeros counts as lo = -1, hi = +1 (integer zero points and symmetric). s and o are rounded to scale_dtype
 * before z and the codes are made, an s that would round to 0 becomes the smallest number of the dtype; round() takes
 * ties to even. The symmetric top value is clipped by half a step, as in the reference.
 *
 * search: the range is shrunk by 1 - 0.8 i / search_steps for i = 0, 1, ..., search_steps - 1, towards 0 (zero=float:
 * towards its middle), and the i with the smallest squared error of the block is kept, the smallest i of equals.
 *
 * Stored per matrix: codes, b bits each, rows padded to a byte; one s a block; asymmetric: one z of b bits a block in one
 * packed run, or one o a block in scale_dtype. Levels are implied by name.
 *
 * Source: quant.py of IST-DASLab/gptq (arXiv 2210.17323). Deviations: codes are made with the stored scale; the symmetric
 * range of a block without negative numbers is not halved; the search minimises squared error instead of a power of 2.4. */
#ifndef PB_QUANTIZERS_UNIFORM_H
#define PB_QUANTIZERS_UNIFORM_H

#include <stdbool.h>
#include <stdint.h>
#include "core/base/options.h"
#include "core/model/encoded.h"

/* Options of a plugin that stores uniform grids; the first member of its struct, so that offsets hold for both. */
struct pb_uniform {
	int64_t bits, group_size, search_steps;
	int mode, zero, scale_dtype;
	bool search;
};

enum { PB_SYMMETRIC, PB_ASYMMETRIC };           /* mode */
enum { PB_ZERO_INTEGER, PB_ZERO_FLOAT };        /* zero */
extern const char *const pb_uniform_modes[], *const pb_uniform_zeros[], *const pb_uniform_dtypes[];

#define PB_UNIFORM_OPTIONS \
	PB_OPT_INT(struct pb_uniform, bits, 2, 8, 4, "bits a code: 2, 3, 4, 5, 6 or 8"), \
	PB_OPT_INT(struct pb_uniform, group_size, -1, 1 << 24, -1, "consecutive weights of a row that share a scale; -1: the row, 0: the matrix"), \
	PB_OPT_CHOICE(struct pb_uniform, mode, pb_uniform_modes, "asymmetric", "range about 0, or from the least to the greatest weight"), \
	PB_OPT_CHOICE(struct pb_uniform, zero, pb_uniform_zeros, "integer", "asymmetric: a zero point of `bits` bits, or an offset in scale_dtype"), \
	PB_OPT_CHOICE(struct pb_uniform, scale_dtype, pb_uniform_dtypes, "f16", "number format of scales and offsets")
#define PB_UNIFORM_SEARCH_OPTIONS \
	PB_OPT_BOOL(struct pb_uniform, search, 0, "choose each block's range by its squared error"), \
	PB_OPT_INT(struct pb_uniform, search_steps, 1, 1000, 80, "shrink factors that the search tries")

/* Bits of a matrix as papers count them: a code a weight, and a 16-bit scale a block, asymmetric with a zero point of `bits` (or
 * 16) bits: b + (16 + b) / g a weight. */
double pb_uniform_paper_bits(const struct pb_uniform *u, uint32_t rows, uint32_t cols);
enum pb_dtype pb_uniform_dtype(const struct pb_uniform *u);   /* of scales and offsets */
float pb_uniform_rounded(const struct pb_uniform *u, float x);  /* to it */

/* A block's grid as it will be stored: value = (code - zero) scale + offset, one of zero and offset being 0. */
struct pb_grid {
	float scale, offset;
	int zero;
};

/* The grid of n >= 1 weights. */
struct pb_grid pb_uniform_fit(const struct pb_uniform *u, const float *x, uint64_t n);
/* The grid for a range; PB_ZERO_INTEGER and PB_SYMMETRIC: lo <= 0 <= hi, symmetric: lo = -hi. */
struct pb_grid pb_uniform_grid(const struct pb_uniform *u, double lo, double hi);
int pb_uniform_code(const struct pb_uniform *u, const struct pb_grid *g, float x);
/* As pb_encoded_decode computes it. */
float pb_uniform_value(const struct pb_uniform *u, const struct pb_grid *g, int code);

/* Bytes of the stored parts, for the hook plan; PB_USAGE for options that do not go together. */
enum pb_status pb_uniform_plan(const struct pb_uniform *u, uint32_t rows, uint32_t cols, uint64_t *bytes, struct pb_error *err) PB_MUST_CHECK;
/* grids: one a block of m, whose groups are set by u->group_size; codes: (rows, cols), one a byte. */
enum pb_status pb_uniform_store(const struct pb_uniform *u, const struct pb_grid *grids, const uint8_t *codes, struct pb_encoded *m,
	struct pb_error *err) PB_MUST_CHECK;

#endif
