/* Floats as unsigned integers of the same order, for radix sorts and order statistics by counting. -0 is below 0; NaN has
 * no place. */
#ifndef PB_QUANTIZERS_ORDER_H
#define PB_QUANTIZERS_ORDER_H

#include <stdint.h>
#include <string.h>

static inline uint32_t pb_order_key(float f)
{
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	return u & 0x80000000u ? ~u : u | 0x80000000u;
}

static inline float pb_order_unkey(uint32_t key)
{
	uint32_t u = key & 0x80000000u ? key & 0x7fffffffu : ~key;
	float f;
	memcpy(&f, &u, sizeof f);
	return f;
}

#endif
