/* Matrix products in f32 for avx512. */
#include "backends/train/network.h"

#ifdef __x86_64__
#include <immintrin.h>

#define PB_PRODUCT pb_product_f32_avx512
#define PB_TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl")))
#define LANES 16
#define ROWS 12
#define VECTORS 2
#define FUSED(sum, x, v) ((sum) = (lanes)_mm512_fmadd_ps(_mm512_set1_ps(x), (__m512)(v), (__m512)(sum)))
#include "backends/train/product.inc"
#endif
