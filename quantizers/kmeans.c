#include "quantizers/kmeans.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/memory.h"

#define LANES 32u       /* numbers that a loop takes at once */
#define BLOCK 256u      /* centroids of one product: its scores stay in the first cache */
#define TILE 65536u     /* scores of a tile of vectors against all centroids, which stay in the second */
#define TILE_ROWS 16u   /* at least, so that products are worth a call */

struct pb_nearest {
	uint32_t k, length, width, n_blocks, rows;
	const float *centroids; /* (k, length) */
	double largest;         /* squared norm of a centroid */
	float *table;           /* (n_blocks, length + 1, width): 2 c, then -|c|^2 */
	float *tile;            /* (rows, length + 1): vectors, each with a 1 at its end */
	float *score;           /* (n_blocks, rows, width): 2 x c - |c|^2, which is largest where |x - c| is least */
	float *peak;            /* (rows, n_blocks): largest of a block */
	float (*largest_of)(const float *x, size_t n);
};

static uint32_t least(uint64_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

/* Of a whole number of lanes. (With indices of 32 bits, whose sums may wrap, this would be scalar code.) */
static inline __attribute__((always_inline)) float largest(const float *x, size_t n)
{
	float most[LANES];
	memcpy(most, x, sizeof most);
	for (size_t i = LANES; i < n; i += LANES)
		for (size_t l = 0; l < LANES; l++)
			most[l] = x[i + l] > most[l] ? x[i + l] : most[l];
	for (size_t l = 0; l < LANES / 2; l++)
		most[l] = most[l + LANES / 2] > most[l] ? most[l + LANES / 2] : most[l];
	for (size_t l = 0; l < LANES / 4; l++)
		most[l] = most[l + LANES / 4] > most[l] ? most[l + LANES / 4] : most[l];
	float top = most[0];
	for (size_t l = 1; l < LANES / 4; l++)
		top = most[l] > top ? most[l] : top;
	return top;
}

/* By the widest vectors where there are some, with the same result. (Of gcc 12's code the one for 32 bytes is slower than the
 * plain one for 16.) */
#define LARGEST_OF(set, target) \
	target static float largest_##set(const float *x, size_t n) \
	{ \
		return largest(x, n); \
	}
LARGEST_OF(plain, )
#ifdef __x86_64__
LARGEST_OF(avx512, __attribute__((target("avx512f"))))
#endif

static void choose_largest(struct pb_nearest *s)
{
	s->largest_of = largest_plain;
#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f"))
		s->largest_of = largest_avx512;
#endif
}

enum pb_status pb_nearest_new(struct pb_nearest **out, uint32_t k, uint32_t length, struct pb_error *err)
{
	struct pb_nearest *s = pb_alloc_zero(1, sizeof *s);
	if (!s)
		return pb_out_of_memory(err, "codebook search");
	s->k = k;
	s->length = length;
	choose_largest(s);
	s->width = least((k + LANES - 1) / LANES * LANES, BLOCK);
	s->n_blocks = (k + s->width - 1) / s->width;
	s->rows = TILE / (s->n_blocks * s->width) > TILE_ROWS ? TILE / (s->n_blocks * s->width) : TILE_ROWS;
	size_t centroids = (size_t)s->n_blocks * s->width, numbers = (size_t)length + 1;
	s->table = pb_alloc_aligned(numbers * centroids, sizeof *s->table);
	s->tile = pb_alloc_aligned(numbers * s->rows, sizeof *s->tile);
	s->score = pb_alloc_aligned(centroids * s->rows, sizeof *s->score);
	s->peak = pb_alloc_aligned((size_t)s->rows * s->n_blocks, sizeof *s->peak);
	if (!s->table || !s->tile || !s->score || !s->peak) {
		pb_nearest_free(s);
		return pb_out_of_memory(err, "codebook search");
	}
	*out = s;
	return PB_OK;
}

void pb_nearest_free(struct pb_nearest *s)
{
	if (!s)
		return;
	pb_free(s->table);
	pb_free(s->tile);
	pb_free(s->score);
	pb_free(s->peak);
	pb_free(s);
}

void pb_nearest_set(struct pb_nearest *s, const float *centroids)
{
	uint32_t v = s->length;
	s->centroids = centroids;
	s->largest = 0.0;
	for (uint32_t b = 0; b < s->n_blocks; b++) {
		float *block = s->table + (size_t)b * (v + 1) * s->width;
		for (uint32_t i = 0; i < s->width; i++) {
			uint32_t c = b * s->width + i;
			double norm = 0.0;
			for (uint32_t d = 0; d < v; d++) {
				float x = c < s->k ? centroids[(size_t)c * v + d] : 0.0f;
				block[d * s->width + i] = 2.0f * x;
				norm += (double)x * x;
			}
			block[v * s->width + i] = c < s->k ? (float)-norm : -FLT_MAX;
			s->largest = norm > s->largest ? norm : s->largest;
		}
	}
}

static bool any_not_below(const float *x, float threshold)
{
	uint32_t any = 0;
	for (uint32_t l = 0; l < LANES; l++)
		any |= !(x[l] < threshold);
	return any;
}

static double distance_to(const float *x, const float *c, uint32_t length)
{
	double sum = 0.0;
	for (uint32_t d = 0; d < length; d++) {
		double difference = (double)x[d] - c[d];
		sum += difference * difference;
	}
	return sum;
}

/* The nearest centroid of x, whose scores are in row i of the tile. A score is wrong by less than half the slack: it is a sum
 * of length + 1 products, whose magnitudes together are at most |x|^2 + 2 |c|^2. */
static uint32_t nearest_of(const struct pb_nearest *s, const float *x, uint32_t i, double *distance)
{
	const float *peak = s->peak + (size_t)i * s->n_blocks;
	double magnitude = 2.0 * s->largest;
	uint32_t best = 0;
	float top = peak[0];
	*distance = INFINITY;
	for (uint32_t d = 0; d < s->length; d++)
		magnitude += (double)x[d] * x[d];
	for (uint32_t b = 1; b < s->n_blocks; b++)
		top = peak[b] > top ? peak[b] : top;
	float slack = (float)((s->length + 4.0) * FLT_EPSILON * magnitude);
	float threshold = magnitude < 1e30 ? top - slack : -INFINITY; /* scores that may be infinite say nothing */
	for (uint32_t b = 0; b < s->n_blocks; b++) {
		const float *score = s->score + ((size_t)b * s->rows + i) * s->width;
		uint32_t first = b * s->width, n = least(s->k - first, s->width);
		if (peak[b] < threshold)
			continue;
		for (uint32_t j = 0; j < n; j++) {
			if (j % LANES == 0 && !any_not_below(score + j, threshold)) {
				j += LANES - 1;
				continue;
			}
			if (score[j] < threshold)
				continue;
			double here = distance_to(x, s->centroids + (size_t)(first + j) * s->length, s->length);
			if (here < *distance) {
				*distance = here;
				best = first + j;
			}
			if (here == 0.0)
				return best; /* nothing is nearer, and this is the first */
		}
	}
	return best;
}

void pb_nearest_find(struct pb_nearest *s, const float *vectors, uint64_t n, uint32_t *index, double *distance)
{
	uint32_t v = s->length;
	double unused;
	for (uint64_t first = 0; first < n; first += s->rows) {
		uint32_t m = least(n - first, s->rows);
		const float *x = vectors + first * v;
		for (uint32_t i = 0; i < m; i++) {
			memcpy(s->tile + (size_t)i * (v + 1), x + (size_t)i * v, v * sizeof *x);
			s->tile[(size_t)i * (v + 1) + v] = 1.0f;
		}
		for (uint32_t b = 0; b < s->n_blocks; b++) {
			float *score = s->score + (size_t)b * s->rows * s->width;
			cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)m, (blasint)s->width, (blasint)(v + 1), 1, s->tile,
				(blasint)(v + 1), s->table + (size_t)b * (v + 1) * s->width, (blasint)s->width, 0, score, (blasint)s->width);
			for (uint32_t i = 0; i < m; i++)
				s->peak[(size_t)i * s->n_blocks + b] = s->largest_of(score + (size_t)i * s->width, s->width);
		}
		for (uint32_t i = 0; i < m; i++)
			index[first + i] = nearest_of(s, x + (size_t)i * v, i, distance ? &distance[first + i] : &unused);
	}
}

/* ---------------------------------------------------------------- k-means */

struct cost {
	double value;           /* weight times squared distance */
	uint64_t vector;
};

struct clustering {
	const struct pb_kmeans *how;
	struct pb_nearest *search;
	uint64_t n;
	float *x;               /* (n, length) the vectors that take part */
	double *weight;         /* (n) */
	double *distance;       /* (n) squared */
	uint32_t *index;        /* (n) */
	struct cost *costs;     /* (n) */
	double *sum;            /* (k, length) of weight times vector */
	double *total;          /* (k) weight */
	uint64_t *count;        /* (k) vectors */
};

static void free_clustering(struct clustering *c)
{
	pb_nearest_free(c->search);
	pb_free(c->x);
	pb_free(c->weight);
	pb_free(c->distance);
	pb_free(c->index);
	pb_free(c->costs);
	pb_free(c->sum);
	pb_free(c->total);
	pb_free(c->count);
}

static enum pb_status make_clustering(struct clustering *c, struct pb_error *err)
{
	uint32_t k = c->how->k, v = c->how->length;
	enum pb_status status = pb_nearest_new(&c->search, k, v, err);
	if (status)
		return status;
	c->x = pb_alloc_aligned(c->n * v, sizeof *c->x);
	c->weight = pb_alloc(c->n, sizeof *c->weight);
	c->distance = pb_alloc(c->n, sizeof *c->distance);
	c->index = pb_alloc(c->n, sizeof *c->index);
	c->costs = pb_alloc(c->n, sizeof *c->costs);
	c->sum = pb_alloc((size_t)k * v, sizeof *c->sum);
	c->total = pb_alloc(k, sizeof *c->total);
	c->count = pb_alloc(k, sizeof *c->count);
	if (!c->x || !c->weight || !c->distance || !c->index || !c->costs || !c->sum || !c->total || !c->count)
		return pb_out_of_memory(err, "k-means");
	return PB_OK;
}

/* n of all the vectors, each choice of n equally likely, in their order. */
static void take_vectors(struct clustering *c, const struct pb_vector_runs *runs, struct pb_rng *rng)
{
	uint64_t all = runs->n_runs * runs->run_length, taken = 0;
	uint32_t v = c->how->length;
	for (uint64_t i = 0; i < all && taken < c->n; i++) {
		if (c->n < all && pb_rng_below(rng, all - i) >= c->n - taken)
			continue;
		uint64_t run = i / runs->run_length;
		memcpy(c->x + taken * v, runs->data + run * runs->stride + i % runs->run_length * v, v * sizeof *c->x);
		c->weight[taken++] = runs->weight[run];
	}
}

/* k of the vectors, in random order; 0 for those that there are not. */
static void first_centroids(struct clustering *c, struct pb_rng *rng, float *centroids)
{
	uint32_t k = c->how->k, v = c->how->length;
	memset(centroids, 0, (size_t)k * v * sizeof *centroids);
	for (uint64_t i = 0; i < c->n; i++)
		c->costs[i].vector = i;
	for (uint64_t i = 0; i < k && i < c->n; i++) {
		uint64_t j = i + pb_rng_below(rng, c->n - i), chosen = c->costs[j].vector;
		c->costs[j].vector = c->costs[i].vector;
		memcpy(centroids + i * v, c->x + chosen * v, v * sizeof *centroids);
	}
}

static void add_vector(struct clustering *c, uint64_t i, uint32_t to, double weight)
{
	uint32_t v = c->how->length;
	for (uint32_t d = 0; d < v; d++)
		c->sum[(size_t)to * v + d] += weight * c->x[i * v + d];
	c->total[to] += weight;
}

/* The most costly first; of equals the one with the lower number. */
static int compare_costs(const void *a, const void *b)
{
	const struct cost *p = a, *q = b;
	if (p->value != q->value)
		return p->value > q->value ? -1 : 1;
	return p->vector < q->vector ? -1 : p->vector > q->vector;
}

/* Gives each centroid without weight the most costly vector that its own cluster can spare. */
static void fill_empty(struct clustering *c)
{
	uint64_t next = 0;
	bool sorted = false;
	for (uint32_t empty = 0; empty < c->how->k; empty++) {
		if (c->total[empty] > 0.0)
			continue;
		if (!sorted) {
			for (uint64_t i = 0; i < c->n; i++)
				c->costs[i] = (struct cost){ c->weight[i] * c->distance[i], i };
			qsort(c->costs, c->n, sizeof *c->costs, compare_costs);
			sorted = true;
		}
		while (next < c->n && c->costs[next].value > 0.0) {
			uint64_t i = c->costs[next++].vector;
			uint32_t from = c->index[i];
			if (c->count[from] < 2 || !(c->total[from] - c->weight[i] > 0.0))
				continue;
			add_vector(c, i, from, -c->weight[i]);
			c->count[from]--;
			add_vector(c, i, empty, c->weight[i]);
			c->count[empty] = 1;
			break;
		}
	}
}

static void move_centroids(struct clustering *c, float *centroids)
{
	uint32_t k = c->how->k, v = c->how->length;
	memset(c->sum, 0, (size_t)k * v * sizeof *c->sum);
	memset(c->total, 0, k * sizeof *c->total);
	memset(c->count, 0, k * sizeof *c->count);
	for (uint64_t i = 0; i < c->n; i++) {
		add_vector(c, i, c->index[i], c->weight[i]);
		c->count[c->index[i]]++;
	}
	fill_empty(c);
	for (uint32_t j = 0; j < k; j++)
		for (uint32_t d = 0; d < v && c->total[j] > 0.0; d++)
			centroids[(size_t)j * v + d] = (float)(c->sum[(size_t)j * v + d] / c->total[j]);
}

enum pb_status pb_kmeans(const struct pb_kmeans *how, const struct pb_vector_runs *runs, struct pb_rng *rng, float *centroids,
	struct pb_error *err)
{
	uint64_t all = runs->n_runs * runs->run_length;
	struct clustering c = { .how = how, .n = all < how->most ? all : how->most };
	double before = INFINITY;
	enum pb_status status = make_clustering(&c, err);
	if (!status) {
		take_vectors(&c, runs, rng);
		first_centroids(&c, rng, centroids);
		for (int64_t i = 0; i < how->iterations; i++) {
			double cost = 0.0;
			pb_nearest_set(c.search, centroids);
			pb_nearest_find(c.search, c.x, c.n, c.index, c.distance);
			for (uint64_t j = 0; j < c.n; j++)
				cost += c.weight[j] * c.distance[j];
			if (cost == 0.0 || cost >= before * (1.0 - how->tolerance))
				break;
			before = cost;
			move_centroids(&c, centroids);
		}
	}
	free_clustering(&c);
	return status;
}
