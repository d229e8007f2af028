/* The column loop of vptq; private to the plugin and its tests. Columns are coded from left to right, in working order, each
 * in vectors of consecutive rows; the error of a column is made up for by those after it. */
#ifndef PB_QUANTIZERS_VPTQ_COLUMNS_H
#define PB_QUANTIZERS_VPTQ_COLUMNS_H

#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"

/* Columns [first, first + n) that share codebooks: the outliers, or a group. */
struct pb_vptq_part {
	uint32_t first, n;
	uint32_t length;        /* rows of a vector; the last of a column is filled with zeros */
	uint32_t n_stages;      /* 1: main; 2: main, and residual for what it leaves */
	uint32_t k[2];
	float *codebook[2];     /* (k, length) */
	uint32_t *index[2];     /* (n, ceil(rows / length)), set by the loop */
};

/* parts: without gaps from column 0 to cols. u: (cols, cols) of pb_hessian_factor in working order. w: (cols, stride),
 * a column's rows side by side and zeros to the next whole vector. work: (cols, stride), at the end the error that each column
 * had when it was coded (its value less the code's), zeros after the rows. */
enum pb_status pb_vptq_columns(const struct pb_vptq_part *parts, const float *u, uint32_t rows, uint32_t cols,
	size_t stride, const float *w, float *work, struct pb_error *err) PB_MUST_CHECK;

#endif
