/* The kernels in f32 for avx2. */
#include "backends/train/network.h"

#ifdef __x86_64__
#define PB_REAL float
#define PB_R(name) pb_##name##_f32
#define PB_KERNELS pb_kernels_f32_avx2
#define PB_TARGET __attribute__((target("avx2")))
#define PB_PRODUCT pb_product_f32_avx2
#define PB_EXPONENTIALS 1
#include "backends/train/kernels.inc"
#endif
