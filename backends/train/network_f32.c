/* The passes in f32, which train. */
#include "backends/train/network.h"

#define PB_REAL float
#define PB_R(name) pb_##name##_f32
#define PB_GEMM cblas_sgemm
#define PB_KERNELS_BEST pb_kernels_best_f32
#include "backends/train/network.inc"

const struct pb_kernels_f32 *pb_kernels_best_f32(void)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
		return &pb_kernels_f32_avx512;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return &pb_kernels_f32_avx2;
#endif
	return &pb_kernels_f32_plain;
}
