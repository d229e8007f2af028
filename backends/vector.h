/* Maxima and exponentials in f32 lanes. The code is in the compiler's generic vectors and is made once for each instruction
 * set by the file that includes it; as products are not contracted into sums, all of them give the same bits. */
#ifndef PB_BACKENDS_VECTOR_H
#define PB_BACKENDS_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PB_LANES 16
#define PB_INLINE static inline __attribute__((always_inline))

typedef float pb_lanes __attribute__((vector_size(PB_LANES * sizeof(float))));
typedef uint32_t pb_bits __attribute__((vector_size(PB_LANES * sizeof(uint32_t))));

/* Vectors are passed by address: by value their place would depend on the instruction set. */

/* Lanes of a where mask is all ones, of b where it is zero. */
PB_INLINE void pb_select(const pb_bits *mask, const pb_lanes *a, const pb_lanes *b, pb_lanes *out)
{
	*out = (pb_lanes)(((pb_bits)*a & *mask) | ((pb_bits)*b & ~*mask));
}

/* v = exp(v) for v <= 88, within 1 unit in the last place; 0 below -87, where results would not be normal; NaN stays NaN.
 * exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2. ln 2 is taken in two parts, so that n times the first is exact.
 * exp(r) = 1 + r + r^2 q(r), q with the smallest largest error on the interval (3.1e-9 of the result; weighted least squares
 * on Chebyshev points, reweighted until level). */
PB_INLINE void pb_exp_lanes(pb_lanes *v)
{
	const float shift = 12582912.0f;        /* 1.5 * 2^23: a sum with it has no fraction, and n in its low bits */
	pb_lanes x = *v, shifted = x * 1.4426950216293335f + shift, n = shifted - shift;
	pb_lanes r = (x - n * 0.693359375f) + n * 2.12194440e-4f, p;
	pb_bits normal = ~(pb_bits)(x < -87.0f), power = ((pb_bits)shifted + 127) << 23;

	p = r * 0.0013814539415761828f + 0.00836874544620514f;
	p = p * r + 0.04166838899254799f;
	p = p * r + 0.1666652113199234f;
	p = p * r + 0.4999999403953552f;
	p = (p * (r * r) + r) + 1.0f;
	*v = (pb_lanes)((pb_bits)(p * (pb_lanes)power) & normal);
}

PB_INLINE void pb_load(pb_lanes *v, const float *x)
{
	memcpy(v, x, sizeof *v);
}

/* Of a whole number of lanes; a NaN counts as nothing. */
PB_INLINE float pb_largest(const float *x, size_t n)
{
	pb_lanes most, v;
	float largest;

	pb_load(&most, x);
	for (size_t i = PB_LANES; i < n; i += PB_LANES) {
		pb_load(&v, x + i);
		pb_bits more = (pb_bits)(v > most);
		pb_select(&more, &v, &most, &most);
	}
	largest = most[0];
	for (size_t k = 1; k < PB_LANES; k++)
		largest = most[k] > largest ? most[k] : largest;
	return largest;
}

/* The sum of exp(x[i] - largest) over a whole number of lanes; the exponentials go to out, unless it is NULL. A lane adds
 * up to PB_TERMS of them in f32, which is as near as they are themselves, then goes on in double. */
#define PB_TERMS 16
PB_INLINE double pb_exp_sum(const float *x, size_t n, float largest, float *out)
{
	double total[4] = { 0 };

	for (size_t i = 0; i < n;) {
		size_t end = n - i < PB_TERMS * PB_LANES ? n : i + PB_TERMS * PB_LANES;
		pb_lanes sum = { 0 }, v;

		for (; i < end; i += PB_LANES) {
			pb_load(&v, x + i);
			v -= largest;
			pb_exp_lanes(&v);
			if (out)
				memcpy(out + i, &v, sizeof v);
			sum += v;
		}
		for (size_t k = 0; k < PB_LANES; k++)
			total[k % 4] += (double)sum[k];
	}
	return total[0] + total[1] + total[2] + total[3];
}

/* v = v / (1 + exp(-v)) by way of exp(-|v|), which does not overflow. */
PB_INLINE void pb_silu_lanes(pb_lanes *v)
{
	pb_bits negative = (pb_bits)(*v < 0.0f);
	pb_lanes e = (pb_lanes)((pb_bits)*v | 0x80000000u), one = (pb_lanes){ 0 } + 1.0f, numerator;

	pb_exp_lanes(&e);
	pb_select(&negative, &e, &one, &numerator);
	*v = *v * (numerator / (1.0f + e));
}

#endif
