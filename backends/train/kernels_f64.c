/* The kernels in double, with libm's exponential. */
#include "backends/train/network.h"

#define PB_REAL double
#define PB_R(name) pb_##name##_f64
#define PB_KERNELS pb_kernels_f64_plain
#define PB_TARGET
#define PB_PRODUCT NULL
#define PB_EXPONENTIALS 0
#include "backends/train/kernels.inc"
