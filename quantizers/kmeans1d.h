/* The k-means problem on a line: k centers c that make  sum_i a_i min_j (x_i - c_j)^2  small, with weights a_i >= 0.
 *
 * Clusters of points on a line are intervals, so on sorted points with running sums of a, a x and a x^2 the cost of a
 * cluster is a matter of two ends. The exact solver and Lloyd's iterations both work on them.
 * A struct pb_kmeans1d is the memory for one problem after another, of one thread. */
#ifndef PB_QUANTIZERS_KMEANS1D_H
#define PB_QUANTIZERS_KMEANS1D_H

#include <stdint.h>
#include "core/base/rng.h"
#include "core/base/status.h"

struct pb_kmeans1d;

/* For up to n points and k clusters, both at least 1; about (20 k + 140) n bytes. */
enum pb_status pb_kmeans1d_new(struct pb_kmeans1d **out, uint32_t n, unsigned k, struct pb_error *err) PB_MUST_CHECK;
void pb_kmeans1d_free(struct pb_kmeans1d *s);                   /* NULL is fine */

/* Takes n points, finite, with weights, finite and not negative; a: NULL for 1 each. Points of weight 0 do not count,
 * unless all are 0: then each counts 1. A weight below 2^-48 of their sum counts as that. */
void pb_kmeans1d_load(struct pb_kmeans1d *s, const float *x, const float *a, uint32_t n);

/* The k centers of least cost for the points loaded, ascending; of several such the one whose clusters end first. With
 * fewer distinct points than k they are the points, the last one repeated. Exact up to the rounding of double. */
void pb_kmeans1d_exact(struct pb_kmeans1d *s, unsigned k, double *centers);

/* Greedy k-means++, then at most `iterations` of Lloyd's, as in scikit-learn's KMeans with n_init = 1: each new center is the
 * best of 2 + floor(ln k) points drawn by weight times squared distance; ends when no point moves, or when the squares of
 * the centers' steps sum to at most `tolerance` times the plain variance of all points. A cluster without points moves to
 * the point farthest from its center. Centers as above. Other random numbers, so other starts, than scikit-learn's. */
void pb_kmeans1d_lloyd(struct pb_kmeans1d *s, unsigned k, unsigned iterations, double tolerance, struct pb_rng *rng, double *centers);

/* The cost of k centers, ascending, for the points loaded. */
double pb_kmeans1d_cost(const struct pb_kmeans1d *s, unsigned k, const double *centers);

#endif
