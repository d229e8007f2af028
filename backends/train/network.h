/* A Llama-type model that can be trained: forward and backward pass of a batch of equally long sequences. The same code is
 * compiled for float and for double; the second checks the first.
 *
 * Work is cut by shapes alone and every sum is made by one task in a fixed order, so results are the same bits for any
 * pool. Nothing is allocated after opening. */
#ifndef PB_BACKENDS_TRAIN_NETWORK_H
#define PB_BACKENDS_TRAIN_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/pool.h"
#include "core/base/rng.h"
#include "core/base/status.h"
#include "core/model/model.h"
#include "backends/train/layout.h"

/* Bounds of the product of the kernels. */
#define PB_PRODUCT_ROWS 240u
#define PB_PRODUCT_COLS 512u
#define PB_PRODUCT_TERMS 448u
#define PB_PRODUCT_MARGIN 32u           /* a panel's rows or columns, at most */
#define PB_PRODUCT_SCRATCH (PB_PRODUCT_TERMS * (PB_PRODUCT_ROWS + PB_PRODUCT_COLS + 2 * PB_PRODUCT_MARGIN))

#define PB_REAL float
#define PB_R(name) pb_##name##_f32
#include "backends/train/network_real.h"
#undef PB_REAL
#undef PB_R

#define PB_REAL double
#define PB_R(name) pb_##name##_f64
#include "backends/train/network_real.h"
#undef PB_REAL
#undef PB_R

extern const struct pb_kernels_f32 pb_kernels_f32_plain, pb_kernels_f32_avx2, pb_kernels_f32_avx512;
extern const struct pb_kernels_f64 pb_kernels_f64_plain;

/* Their products. */
void pb_product_f32_plain(const struct pb_product_f32 *f, float *scratch);
void pb_product_f32_avx2(const struct pb_product_f32 *f, float *scratch);
void pb_product_f32_avx512(const struct pb_product_f32 *f, float *scratch);

/* The fastest ones that this processor runs. */
const struct pb_kernels_f32 *pb_kernels_best_f32(void);
const struct pb_kernels_f64 *pb_kernels_best_f64(void);

#endif
