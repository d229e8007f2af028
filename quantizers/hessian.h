/* What second moments of the inputs say about errors in the weights. H = mean of x x^T, (n, n), n = input features; an error
 * D = W - W^ (rows, n) changes the outputs by tr(D H D^T) in the mean square, summed over the rows. (The Hessian of that
 * error is 2 H; the factor changes nothing here.) Thread-safe. */
#ifndef PB_QUANTIZERS_HESSIAN_H
#define PB_QUANTIZERS_HESSIAN_H

#include <stdint.h>
#include "core/base/pool.h"
#include "core/base/status.h"

/* To begin with: sets OpenBLAS to one thread. A column is dead when its input was never other than 0: H_ii = 0. PB_NUMERIC when
 * numbers are not finite, a diagonal is negative, or all columns are dead. */
enum pb_status pb_hessian_check(const float *h, uint32_t n, struct pb_error *err) PB_MUST_CHECK;

/* The factor by which columns that are still to come make up for the error of one: with order[p] the column at place p (order
 * NULL: its own place), dead columns given the mean of the other diagonals, and H' = H + damp * mean(diag H, live columns) * I,
 * H'^-1 = U^T U with U upper triangular (arXiv 2210.17323). Once the places before p have their final values, the error
 * w_p - w^_p = e U_pp is made up for by w_q -= e U_pq for all q > p. u: (n, n) by places, 0 below the diagonal.
 * u may be h. Scratch: 8 n^2 bytes, in which it works in double, of which half is touched, and 2 KiB n a thread. The pool may be
 * NULL and changes no bit. PB_NUMERIC when H' is not positive definite. */
enum pb_status pb_hessian_factor(const float *h, uint32_t n, const uint32_t *order, double damp, float *u, struct pb_pool *pool, struct pb_error *err) PB_MUST_CHECK;

#endif
