/* CPython's generator, for protocols that are defined by its draws: MT19937 seeded by init_by_array. */
#ifndef PB_TASKS_PYTHON_RANDOM_H
#define PB_TASKS_PYTHON_RANDOM_H

#include <stdint.h>

struct pb_python_random {
	uint32_t state[624];
	unsigned next;          /* index of the next word; 624: make new ones */
};

void pb_python_random_seed(struct pb_python_random *r, uint32_t seed);     /* random.seed(seed) */
uint32_t pb_python_random_u32(struct pb_python_random *r);
/* random.randint(0, n - 1); n from 1 to 2^32 - 1 */
uint32_t pb_python_random_below(struct pb_python_random *r, uint32_t n);

#endif
