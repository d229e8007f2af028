/* Codebooks: the nearest of k centroids, and weighted k-means by Lloyd's algorithm. A vector is `length` f32 numbers.
 *
 * Which centroid is nearest is decided by distances in double, the first of equals; products in f32 (OpenBLAS) only find out
 * which distances need a look. So the results are functions of the numbers alone, the same on every machine. One thread;
 * thread-safe for different objects. The caller sets OpenBLAS to one thread. */
#ifndef PB_QUANTIZERS_KMEANS_H
#define PB_QUANTIZERS_KMEANS_H

#include <stddef.h>
#include <stdint.h>
#include "core/base/rng.h"
#include "core/base/status.h"

/* A search among k centroids, with its scratch: four bytes for each of length + 1 numbers of a centroid, and 64 KiB to a few MiB. */
struct pb_nearest;
enum pb_status pb_nearest_new(struct pb_nearest **out, uint32_t k, uint32_t length, struct pb_error *err) PB_MUST_CHECK;
void pb_nearest_free(struct pb_nearest *s);                     /* NULL is fine */
/* centroids: (k, length), finite; not copied. To be called before the first search, and when they have changed. */
void pb_nearest_set(struct pb_nearest *s, const float *centroids);
/* vectors: (n, length), finite. index: (n) the nearest centroid of each. distance: (n) its squared distance, or NULL. */
void pb_nearest_find(struct pb_nearest *s, const float *vectors, uint64_t n, uint32_t *index, double *distance);

/* Vectors to cluster, in runs: run r has run_length of them side by side from data + r * stride on, each of weight[r] >= 0. */
struct pb_vector_runs {
	const float *data;
	uint64_t n_runs, run_length;
	size_t stride;
	const double *weight;   /* (n_runs) */
};

struct pb_kmeans {
	uint32_t k, length;
	uint64_t most;          /* vectors that take part, a random choice where there are more; at least 1 */
	int64_t iterations;     /* at most */
	double tolerance;       /* ends when the cost falls by no more than this share in an iteration */
};

/* centroids: (k, length) with the least sum over the vectors of weight * |x - nearest centroid|^2 that Lloyd's iterations find
 * from k of the vectors, chosen at random. A centroid that nothing is nearest to moves to the vector that costs most. Fewer
 * distinct vectors than k: some centroids are there twice, or 0. */
enum pb_status pb_kmeans(const struct pb_kmeans *how, const struct pb_vector_runs *runs, struct pb_rng *rng, float *centroids,
	struct pb_error *err) PB_MUST_CHECK;

#endif
