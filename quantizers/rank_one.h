/* The best rank-one fit of a matrix's magnitudes, |W| ~ a b^T with a (rows), b (cols) not negative: alternating least squares,
 *
 *   a = |W| b / (b . b);   b = |W|^T a / (a . a)
 *
 * which is power iteration, until b changes by less than 1e-6 of its length, at most 200 times. Sums are in double. The
 * product follows from |W| alone; how its size is shared between a and b is the split:
 *
 *   NMF       as the iteration leaves it, from the start of scikit-learn's NMF with one component, init='random' and random_state=0:
 *             b, then a, are |sqrt(mean |W|) z| with normal z of numpy's RandomState(0)
 *   SVD       the square root of the singular value on each
 *   SVD_ROWS  the singular value on a
 *
 * Source: OneBit (arXiv:2402.11295, 3.3), scripts/build_start_ckpt.py of xuyuzhuang11/OneBit; scikit-learn, _nmf.py. */
#ifndef PB_QUANTIZERS_RANK_ONE_H
#define PB_QUANTIZERS_RANK_ONE_H

#include <stdint.h>

enum pb_split { PB_SPLIT_NMF, PB_SPLIT_SVD, PB_SPLIT_SVD_ROWS };
extern const char *const pb_split_names[];

/* Iterations that it took. A matrix of zeros gives zeros. */
unsigned pb_rank_one(const float *w, uint32_t rows, uint32_t cols, enum pb_split split, float *a, float *b);

#endif
