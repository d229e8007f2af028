/* A counter-based random generator, Philox 4x32 with 10 rounds (Salmon et al., SC 2011). The
 * numbers are a function of (seed, stream, index) alone: give each matrix, sample or replicate
 * its own stream and the result depends on no order and no thread. */
#ifndef PB_CORE_BASE_RNG_H
#define PB_CORE_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct pb_rng {
	uint32_t key[2];     /* seed */
	uint32_t counter[4]; /* block index (2 words), stream (2 words) */
	uint32_t block[4];   /* current output block */
	unsigned used;       /* words of the block already given, 0..4 */
};

void pb_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

struct pb_rng pb_rng_make(uint64_t seed, uint64_t stream);
uint64_t pb_rng_stream(const char *name);      /* a stream number from a name (first 8 bytes of its SHA-256, little endian) */
uint32_t pb_rng_u32(struct pb_rng *r);
uint64_t pb_rng_u64(struct pb_rng *r);
double pb_rng_unit(struct pb_rng *r);          /* [0, 1), 53 bits */
uint64_t pb_rng_below(struct pb_rng *r, uint64_t n); /* 0..n-1, unbiased; n > 0 */
double pb_rng_normal(struct pb_rng *r);        /* mean 0, variance 1 (Box-Muller, both halves used in turn by index parity is not needed: one pair a call) */
void pb_rng_shuffle(struct pb_rng *r, uint32_t *items, size_t n);

#endif
