#include "tasks/python_random.h"

#define N 624
#define M 397

static void init_genrand(struct pb_python_random *r, uint32_t seed)
{
	r->state[0] = seed;
	for (uint32_t i = 1; i < N; i++)
		r->state[i] = 1812433253u * (r->state[i - 1] ^ r->state[i - 1] >> 30) + i;
	r->next = N;
}

/* init_by_array with the one word that a small seed has. */
void pb_python_random_seed(struct pb_python_random *r, uint32_t seed)
{
	uint32_t i = 1;

	init_genrand(r, 19650218u);
	for (uint32_t k = 0; k < N; k++) {
		r->state[i] = (r->state[i] ^ (r->state[i - 1] ^ r->state[i - 1] >> 30) * 1664525u) + seed;
		if (++i == N) {
			r->state[0] = r->state[N - 1];
			i = 1;
		}
	}
	for (uint32_t k = 0; k < N - 1; k++) {
		r->state[i] = (r->state[i] ^ (r->state[i - 1] ^ r->state[i - 1] >> 30) * 1566083941u) - i;
		if (++i == N) {
			r->state[0] = r->state[N - 1];
			i = 1;
		}
	}
	r->state[0] = 0x80000000u;
}

static void make_words(struct pb_python_random *r)
{
	for (uint32_t i = 0; i < N; i++) {
		uint32_t y = (r->state[i] & 0x80000000u) | (r->state[(i + 1) % N] & 0x7fffffffu);

		r->state[i] = r->state[(i + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
	}
	r->next = 0;
}

uint32_t pb_python_random_u32(struct pb_python_random *r)
{
	uint32_t y;

	if (r->next == N)
		make_words(r);
	y = r->state[r->next++];
	y ^= y >> 11;
	y ^= y << 7 & 0x9d2c5680u;
	y ^= y << 15 & 0xefc60000u;
	return y ^ y >> 18;
}

uint32_t pb_python_random_below(struct pb_python_random *r, uint32_t n)
{
	unsigned bits = 32 - (unsigned)__builtin_clz(n);
	uint32_t x;

	do
		x = pb_python_random_u32(r) >> (32 - bits);
	while (x >= n);
	return x;
}
