/* Tables of levels that have a name and cost no bytes: a stored matrix may say "nf4" instead of
 * holding 16 numbers. All are ascending unless the format fixes the order of its codes.
 *
 *   integer            level = code (unsigned integers; the origin is in block_offset)
 *   signed:K           level = code - 2^(K-1), two's complement's range (K 1..8)
 *   sign               1 bit: -1, +1
 *   sign_bit           1 bit: +1, -1 (a set bit is a minus)
 *   ternary            -1, 0, +1
 *   seq:N              N levels (2 i + 1 - N) / N, evenly in -1..1 and about 0 (N 2..16)
 *   int:K              2^K - 1 levels i / (2^(K-1) - 1) (K 2..8)
 *   float:E:M          sign, E exponent and M mantissa bits, normalised to 1 (create_fp8_map's rule);
 *                      2^(E+M+1) - 1 levels, zero once (E 1..7, E + M <= 7)
 *   dynamic:K          signed dynamic exponent, n = K - 1 (K 2..8)
 *   dynamic_unsigned:K
 *   nf4, fp4_bnb, af4  as deployed; the order of codes is that of the library
 *   fp4_mx             0, .5, 1, 1.5, 2, 3, 4, 6 and negatives (bit 3), divided by 6 */
#ifndef PB_CORE_MODEL_LEVELS_H
#define PB_CORE_MODEL_LEVELS_H

#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"

#define PB_MAX_LEVELS 256

/* "integer" has as many levels as the width of the index: n is set to 256. */
enum pb_status pb_levels_named(const char *name, float out[PB_MAX_LEVELS], unsigned *n, struct pb_error *err) PB_MUST_CHECK;

/* The 256 levels of "dynamic:8", made once. */
const float *pb_levels_dynamic8(void);

/* Nearest of n levels. A tie takes the smaller level. */
struct pb_level_search {
	unsigned n;
	float sorted[PB_MAX_LEVELS];     /* ascending, without repeats */
	uint8_t code[PB_MAX_LEVELS];     /* code of sorted[i]; the lowest code among equal levels */
	float middle[PB_MAX_LEVELS];     /* middle[i]: between sorted[i] and sorted[i + 1] */
};
void pb_level_search_make(struct pb_level_search *s, const float *levels, unsigned n);
unsigned pb_level_nearest(const struct pb_level_search *s, float x);   /* the code */

#endif
