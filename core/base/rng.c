#include "core/base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/hash.h"

/* Multipliers and key increments of Philox 4x32 (Salmon et al., table 2; the increments are the golden ratio and sqrt(3) - 1). */
#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u
#define PHILOX_ROUNDS 10

void pb_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
	uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
	for (int i = 0; i < PHILOX_ROUNDS; i++) {
		uint64_t p0 = (uint64_t)PHILOX_M0 * c0, p1 = (uint64_t)PHILOX_M1 * c2;
		c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
		c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
		c1 = (uint32_t)p1;
		c3 = (uint32_t)p0;
		k0 += PHILOX_W0;
		k1 += PHILOX_W1;
	}
	out[0] = c0;
	out[1] = c1;
	out[2] = c2;
	out[3] = c3;
}

struct pb_rng pb_rng_make(uint64_t seed, uint64_t stream)
{
	return (struct pb_rng){
		.key = { (uint32_t)seed, (uint32_t)(seed >> 32) },
		.counter = { 0, 0, (uint32_t)stream, (uint32_t)(stream >> 32) },
		.used = 4,
	};
}

static unsigned hex_digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

uint64_t pb_rng_stream(const char *name)
{
	char hex[PB_HASH_HEX];
	uint64_t stream = 0;
	pb_hash_of_bytes(name, strlen(name), hex);
	for (int i = 7; i >= 0; i--)
		stream = stream << 8 | hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]);
	return stream;
}

uint32_t pb_rng_u32(struct pb_rng *r)
{
	if (r->used >= 4) {
		pb_philox(r->counter, r->key, r->block);
		if (++r->counter[0] == 0)
			r->counter[1]++;
		r->used = 0;
	}
	return r->block[r->used++];
}

uint64_t pb_rng_u64(struct pb_rng *r)
{
	uint64_t low = pb_rng_u32(r);
	return low | (uint64_t)pb_rng_u32(r) << 32;
}

double pb_rng_unit(struct pb_rng *r)
{
	return (double)(pb_rng_u64(r) >> 11) * 0x1p-53;
}

uint64_t pb_rng_below(struct pb_rng *r, uint64_t n)
{
	/* 2^64 mod n values are refused, so that each rest is equally frequent. */
	uint64_t refused = -n % n, x;
	do
		x = pb_rng_u64(r);
	while (x < refused);
	return x % n;
}

/* The two functions below use nothing but operations that IEEE 754 rounds exactly: the C library's log and cos
 * choose a variant by the processor, and the variants differ in the last bit. */

/* Natural logarithm of x in (0, 1]. x = m 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s), s = (m-1)/(m+1),
 * |s| < 0.1716, whose series is cut where the next term is below 2^-60. */
static double exact_log(double x)
{
	int e;
	double m = frexp(x, &e);
	if (m < 0.70710678118654752) {
		m *= 2.0;
		e--;
	}
	double s = (m - 1.0) / (m + 1.0), s2 = s * s, sum = 0.0;
	for (int k = 21; k >= 1; k -= 2)
		sum = sum * s2 + 1.0 / (double)k;
	return (double)e * 0.69314718055994531 + 2.0 * s * sum;
}

/* cos(2 pi u), u in [0, 1): the quadrant by exact comparison, then Taylor series on [-pi/4, pi/4]. */
static double exact_cos_turns(double u)
{
	unsigned quadrant = (unsigned)(4.0 * u + 0.5);
	double x = (u - 0.25 * (double)quadrant) * 6.28318530717958648, x2 = x * x, sum = 0.0;
	bool sine = quadrant & 1;
	/* sum of (-1)^k x^2k / (2k + sine)! from the last term: each step divides by the two factors that the next lower term lacks. */
	for (int k = 9; k >= 1; k--)
		sum = (1.0 + sum) * -x2 / (double)((2 * k + sine) * (2 * k + sine - 1));
	sum += 1.0;
	if (sine)
		sum *= x;
	/* cos(x + q pi/2): cos x, -sin x, -cos x, sin x */
	return quadrant % 4 == 1 || quadrant % 4 == 2 ? -sum : sum;
}

double pb_rng_normal(struct pb_rng *r)
{
	double u = 1.0 - pb_rng_unit(r);
	return sqrt(-2.0 * exact_log(u)) * exact_cos_turns(pb_rng_unit(r));
}

void pb_rng_shuffle(struct pb_rng *r, uint32_t *items, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = (size_t)pb_rng_below(r, i);
		uint32_t t = items[i - 1];
		items[i - 1] = items[j];
		items[j] = t;
	}
}
