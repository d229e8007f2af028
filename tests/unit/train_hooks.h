/* The transform and the extra loss of train_hooks.inc in f32, as tests of training use them. */
#ifndef PB_TESTS_UNIT_TRAIN_HOOKS_H
#define PB_TESTS_UNIT_TRAIN_HOOKS_H

#include <math.h>
#include "backends/train/network.h"

static uint32_t one_a_row(void *arg, uint32_t layer, enum pb_slot slot, uint32_t rows, uint32_t cols)
{
	(void)arg;
	(void)layer;
	(void)slot;
	(void)cols;
	return rows;
}

#define PB_REAL float
#define PB_R(name) pb_##name##_f32
#include "tests/unit/train_hooks.inc"
#undef PB_REAL
#undef PB_R

#endif
