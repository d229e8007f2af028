/* Matrix products in f32 for any processor. */
#include "backends/train/network.h"

#include <math.h>

#define PB_PRODUCT pb_product_f32_plain
#define PB_TARGET
#define LANES 4
#define ROWS 6
#define VECTORS 2
#define FUSED(sum, x, v) do { \
	for (int lane_ = 0; lane_ < LANES; lane_++) \
		(sum)[lane_] = fmaf((x), (v)[lane_], (sum)[lane_]); \
} while (0)
#include "backends/train/product.inc"
