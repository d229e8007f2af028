/* The tiny model and the tokens of the vectors that torch has made of trainings; tests/vectors/train/adamw20.txt describes them. */
#ifndef PB_TESTS_UNIT_MIXED_MODEL_H
#define PB_TESTS_UNIT_MIXED_MODEL_H

#include <stdint.h>
#include "backends/train/train.h"

#define MIXED_TOKENS 64         /* 4 sequences of 16 */

static inline struct pb_config mixed_config(void)
{
	return (struct pb_config){ .architecture = "llama", .n_vocab = 64, .dim = 32, .n_layers = 2, .n_heads = 4, .n_kv_heads = 2, .head_dim = 8,
		.hidden = 48, .context = 64, .norm_eps = 1e-5f, .rope_base = 10000, .bos = -1, .eos = -1 };
}

static inline uint32_t mixed(uint32_t p, uint32_t k)
{
	uint32_t x = k * 2654435761u + p * 2246822519u + 12345u;

	x ^= x >> 15;
	x *= 2246822519u;
	return x ^ x >> 13;
}

/* All parameters but those of transforms. */
static inline void mixed_fill(struct pb_network_f32 *net)
{
	for (uint32_t i = 0; i < net->layout.transforms; i++) {
		const struct pb_parameter *p = &net->layout.parameters[i];

		for (uint32_t k = 0; k < p->n; k++) {
			double u = mixed(i, k) / 4294967296.0 - 0.5;

			net->parameters[p->first + k] = (float)(p->kind == PB_PARAMETER_NORM ? 1 + 0.2 * u : 0.4 * u);
		}
	}
}

static inline void mixed_tokens(int32_t inputs[MIXED_TOKENS], int32_t targets[MIXED_TOKENS])
{
	for (uint32_t i = 0; i < MIXED_TOKENS; i++) {
		inputs[i] = (int32_t)(mixed(1000, i / 16 * 17 + i % 16) % 64);
		targets[i] = (int32_t)(mixed(1000, i / 16 * 17 + i % 16 + 1) % 64);
	}
}

#endif
