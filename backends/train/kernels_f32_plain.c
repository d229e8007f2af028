/* The kernels in f32 for any processor. */
#include "backends/train/network.h"

#define PB_REAL float
#define PB_R(name) pb_##name##_f32
#define PB_KERNELS pb_kernels_f32_plain
#define PB_TARGET
#define PB_PRODUCT pb_product_f32_plain
#define PB_EXPONENTIALS 1
#include "backends/train/kernels.inc"
