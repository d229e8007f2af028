/* The passes in double, which check the ones in f32. */
#include "backends/train/network.h"

#define PB_REAL double
#define PB_R(name) pb_##name##_f64
#define PB_GEMM cblas_dgemm
#define PB_KERNELS_BEST pb_kernels_best_f64
#include "backends/train/network.inc"

const struct pb_kernels_f64 *pb_kernels_best_f64(void)
{
	return &pb_kernels_f64_plain;
}
