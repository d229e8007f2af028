/* Matrix products in f32 for avx2. */
#include "backends/train/network.h"

#ifdef __x86_64__
#include <immintrin.h>

#define PB_PRODUCT pb_product_f32_avx2
#define PB_TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#define ROWS 6
#define VECTORS 2
#define FUSED(sum, x, v) ((sum) = (lanes)_mm256_fmadd_ps(_mm256_set1_ps(x), (__m256)(v), (__m256)(sum)))
#include "backends/train/product.inc"
#endif
