/* Exact k-means on a line, and Lloyd's iterations.
 *
 * Points x_0 < x_1 < ... are distinct, of positive weight. With W, X, Q the sums of a, a x, a x^2 over the points before a
 * place, points j..i-1 around their mean cost Q_i - Q_j - (X_i - X_j)^2 / (W_i - W_j). Over all clusters the Q add up to what
 * they always are, so the cost is least where the gain is greatest:
 *
 *   gain_k(i) = max_j gain_{k-1}(j) + (X_i - X_j)^2 / (W_i - W_j)
 *
 * for the first i points in k clusters. The best j does not fall as i grows (the cost has the quadrangle inequality), so a
 * layer of n places takes n log n steps, in vectors.
 *
 * Most places cannot be ends of clusters, and that is known beforehand. Allow ends at some places only, with cells of points
 * between them. Let c be the centers of the true optimum, t_k the middle of c_k and c_{k+1}, and move all points of the cell
 * around t_k to that side of t_k where their mean is. The squared distance to the nearest center is a square and a concave
 * function with a bend of 2 (c_{k+1} - c_k) at t_k: the move costs at most (c_{k+1} - c_k) times the cell's sum a |x - mean|,
 * which by Cauchy-Schwarz is at most sqrt(sum a * cost) of the cell. If that is at most mu in each cell, all moves together
 * cost at most mu (c_K - c_1). So: find the gains for the few places, forwards and backwards; a place through which every
 * way is worse than the best one by more than mu (c_K - c_1) is not where an end was moved to, and ends lie in the cells
 * beside the other places. Choose new places in these, with a smaller mu, until all points are places. In the worst case
 * nothing is ruled out and the last round is the whole table. */
#include "quantizers/kmeans1d.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/memory.h"
#include "quantizers/order.h"

#define LANES 8
#define PLACES 64               /* about so many in an end's window at a time */
#define ROUNDS 5                /* of narrowing, before all points are places */
#define LEAST_SHARE 0x1p-48     /* of a weight in the sum of weights */
#define SLACK 1e-12             /* of the cost of one cluster: more than the rounding of sums */

/* Pairs are what every x86-64 has; comparisons of longer vectors would be taken apart into single numbers. */
typedef double pair __attribute__((vector_size(16)));
typedef double loose_pair __attribute__((vector_size(16), aligned(sizeof(double)), may_alias));
typedef int64_t pair_mask __attribute__((vector_size(16)));
#define PAIRS (LANES / 2)

#define LOAD(p) (*(const loose_pair *)(p))
#define STORE(p) (*(loose_pair *)(p))
#define SELECT(mask, a, b) ((pair)(((pair_mask)(a) & (mask)) | ((pair_mask)(b) & ~(mask))))

/* Places where a cluster may end, and the greatest gains of the points before and after. */
struct places {
	uint32_t n, *from;              /* from: the begin that gives `before`, a place of the cluster on the left */
	const uint32_t *at;
	double *before, *after;
};

/* Places in the order of a pass, with W and X there: from the left, or from the right and negated. */
struct line {
	uint32_t n, *best;              /* best[i]: from which place of the line before place i is reached */
	double *w, *x, *gain;
};

struct pb_kmeans1d {
	uint32_t n;                     /* distinct points of positive weight */
	double mean, variance;          /* weighted mean of the points; plain variance of all that were given */
	uint64_t *keyed, *scratch;      /* (most points): key of x, bits of a */
	double *x, *a;                  /* (n) less the mean, ascending; their weights */
	double *w, *wx, *wxx;           /* (n + 1) sums of a, a x, a x^2 over the points before */
	uint32_t *low, *high;           /* [k + 1] windows of the ends; end 0 is 0, end k is n */
	uint32_t *grid;                 /* (n + 1) all places, ascending */
	struct places *places;          /* [k + 1] those of each end */
	struct line lines[2];
	double *near, *sums;            /* (n) k-means++: squared distance to the nearest center, and running sums */
	struct pb_arena *arena;
};

/* ---- memory ---- */

static bool line_new(struct pb_arena *arena, struct line *l, size_t n)
{
	/* the last vector of a line reaches beyond its end */
	size_t padded = n + LANES;
	l->best = pb_arena_alloc(arena, padded, sizeof *l->best);
	l->w = pb_arena_alloc(arena, padded, sizeof *l->w);
	l->x = pb_arena_alloc(arena, padded, sizeof *l->x);
	l->gain = pb_arena_alloc(arena, padded, sizeof *l->gain);
	return l->best && l->w && l->x && l->gain;
}

static bool places_new(struct pb_arena *arena, struct places *p, size_t n)
{
	p->from = pb_arena_alloc(arena, n, sizeof *p->from);
	p->before = pb_arena_alloc(arena, n, sizeof *p->before);
	p->after = pb_arena_alloc(arena, n, sizeof *p->after);
	return p->from && p->before && p->after;
}

enum pb_status pb_kmeans1d_new(struct pb_kmeans1d **out, uint32_t n, unsigned k, struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_kmeans1d *s = arena ? pb_arena_alloc(arena, 1, sizeof *s) : NULL;
	size_t points = n, ends = points + 1;
	bool all = s != NULL;
	if (s) {
		s->arena = arena;
		s->keyed = pb_arena_alloc(arena, points, sizeof *s->keyed);
		s->scratch = pb_arena_alloc(arena, points, sizeof *s->scratch);
		s->x = pb_arena_alloc(arena, points, sizeof *s->x);
		s->a = pb_arena_alloc(arena, points, sizeof *s->a);
		s->near = pb_arena_alloc(arena, points, sizeof *s->near);
		s->sums = pb_arena_alloc(arena, points, sizeof *s->sums);
		s->w = pb_arena_alloc(arena, ends, sizeof *s->w);
		s->wx = pb_arena_alloc(arena, ends, sizeof *s->wx);
		s->wxx = pb_arena_alloc(arena, ends, sizeof *s->wxx);
		s->low = pb_arena_alloc(arena, k + 1, sizeof *s->low);
		s->high = pb_arena_alloc(arena, k + 1, sizeof *s->high);
		s->grid = pb_arena_alloc(arena, ends, sizeof *s->grid);
		s->places = pb_arena_alloc(arena, k + 1, sizeof *s->places);
		all = s->keyed && s->scratch && s->x && s->a && s->near && s->sums && s->w && s->wx && s->wxx && s->low && s->high &&
			s->grid && s->places;
		for (unsigned i = 0; all && i <= k; i++)
			all = places_new(arena, &s->places[i], ends);
		all = all && line_new(arena, &s->lines[0], ends) && line_new(arena, &s->lines[1], ends);
	}
	if (!all) {
		pb_arena_free(arena);
		return pb_out_of_memory(err, "k-means on a line");
	}
	*out = s;
	return PB_OK;
}

void pb_kmeans1d_free(struct pb_kmeans1d *s)
{
	if (s)
		pb_arena_free(s->arena);
}

/* ---- points ---- */

/* Radix sort by the upper 32 bits, 11, 11 and 10 of them; the sorted numbers end up in `scratch`. */
static void sort_keyed(uint64_t *keyed, uint64_t *scratch, uint32_t n)
{
	uint32_t start[3][2048] = { 0 };
	for (uint32_t i = 0; i < n; i++)
		for (unsigned pass = 0; pass < 3; pass++)
			start[pass][keyed[i] >> (32 + 11 * pass) & 2047]++;
	for (unsigned pass = 0; pass < 3; pass++) {
		uint32_t sum = 0;
		for (unsigned b = 0; b < 2048; b++) {
			uint32_t count = start[pass][b];
			start[pass][b] = sum;
			sum += count;
		}
		for (uint32_t i = 0; i < n; i++)
			scratch[start[pass][keyed[i] >> (32 + 11 * pass) & 2047]++] = keyed[i];
		uint64_t *swap = keyed;
		keyed = scratch;
		scratch = swap;
	}
}

static float weight_of(uint64_t keyed)
{
	uint32_t bits = (uint32_t)keyed;
	float a;
	memcpy(&a, &bits, sizeof a);
	return a;
}

/* Points of positive weight with their keys, and the plain variance of all; the sum of weights. */
static double key_points(struct pb_kmeans1d *s, const float *x, const float *a, uint32_t n, uint32_t *used)
{
	double total = 0.0, sum = 0.0, squares = 0.0;
	uint32_t m = 0;
	for (uint32_t i = 0; i < n; i++) {
		float weight = a ? a[i] : 1.0f;
		uint32_t bits;
		memcpy(&bits, &weight, sizeof bits);
		s->keyed[m] = (uint64_t)pb_order_key(x[i]) << 32 | bits;
		m += weight > 0.0f;
		total += weight;
		sum += x[i];
		squares += (double)x[i] * x[i];
	}
	s->variance = fmax(squares / n - sum / n * (sum / n), 0.0);
	*used = m;
	return total;
}

void pb_kmeans1d_load(struct pb_kmeans1d *s, const float *x, const float *a, uint32_t n)
{
	uint32_t used;
	double total = key_points(s, x, a, n, &used);
	if (used == 0)
		total = key_points(s, x, NULL, n, &used);
	sort_keyed(s->keyed, s->scratch, used);

	double least = total * LEAST_SHARE, sum = 0.0, moment = 0.0;
	uint32_t m = 0;
	for (uint32_t i = 0; i < used; i++) {
		double value = pb_order_unkey((uint32_t)(s->scratch[i] >> 32)), weight = weight_of(s->scratch[i]);
		weight = weight > least ? weight : least;
		sum += weight;
		moment += weight * value;
		if (m > 0 && s->x[m - 1] == value) {
			s->a[m - 1] += weight;
		} else {
			s->x[m] = value;
			s->a[m] = weight;
			m++;
		}
	}
	s->n = m;
	s->mean = moment / sum;
	for (uint32_t i = 0; i < m; i++) {
		double value = s->x[i] -= s->mean, weight = s->a[i];
		s->w[i + 1] = s->w[i] + weight;
		s->wx[i + 1] = s->wx[i] + weight * value;
		s->wxx[i + 1] = s->wxx[i] + weight * value * value;
	}
}

double pb_kmeans1d_cost(const struct pb_kmeans1d *s, unsigned k, const double *centers)
{
	double cost = 0.0;
	unsigned j = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		double x = s->x[i] + s->mean, d = x - centers[j];
		for (; j + 1 < k && fabs(x - centers[j + 1]) <= fabs(d); j++)
			d = x - centers[j + 1];
		cost += s->a[i] * d * d;
	}
	return cost;
}

/* The means of the clusters that end before places end[0], end[1], ...; an empty one repeats the one before, and at the
 * left end the first point. */
static void centers_of(const struct pb_kmeans1d *s, unsigned k, const uint32_t *end, double *centers)
{
	uint32_t begin = 0;
	double center = s->x[0];
	for (unsigned j = 0; j < k; j++) {
		if (end[j] > begin)
			center = (s->wx[end[j]] - s->wx[begin]) / (s->w[end[j]] - s->w[begin]);
		centers[j] = center + s->mean;
		begin = end[j];
	}
}

/* Few distinct points: they are the centers. */
static bool points_are_centers(const struct pb_kmeans1d *s, unsigned k, double *centers)
{
	if (s->n > k)
		return false;
	for (unsigned j = 0; j < k; j++)
		centers[j] = s->x[j < s->n ? j : s->n - 1] + s->mean;
	return true;
}

/* ---- greatest gain ---- */

/* The place of `from`, in first..last, that place i of `to` is best reached from; of equals the first. */
static void scan(const struct line *from, struct line *to, uint32_t i, uint32_t first, uint32_t last)
{
	const pair w = (pair){ 0 } + to->w[i], x = (pair){ 0 } + to->x[i], end = (pair){ 0 } + (double)last;
	pair most[PAIRS], where[PAIRS], at[PAIRS];
	for (unsigned p = 0; p < PAIRS; p++) {
		most[p] = (pair){ 0 } - INFINITY;
		where[p] = (pair){ 0 };
		at[p] = (pair){ 2 * p, 2 * p + 1 } + (double)first;
	}
	for (uint32_t j = first; j <= last; j += LANES) {
#pragma GCC unroll 4
		for (unsigned p = 0; p < PAIRS; p++) {
			pair dw = w - LOAD(from->w + j + 2 * p), dx = x - LOAD(from->x + j + 2 * p);
			pair gain = LOAD(from->gain + j + 2 * p) + dx * dx / (dw + DBL_MIN);
			pair_mask better = (gain > most[p]) & (dw >= 0.0) & (at[p] <= end);
			most[p] = SELECT(better, gain, most[p]);
			where[p] = SELECT(better, at[p], where[p]);
			at[p] += LANES;
		}
	}
	double best = most[0][0], place = where[0][0];
	for (unsigned l = 1; l < LANES; l++) {
		double gain = most[l / 2][l % 2], here = where[l / 2][l % 2];
		if (gain > best || (gain == best && here < place)) {
			best = gain;
			place = here;
		}
	}
	to->best[i] = (uint32_t)place;
	to->gain[i] = best;
}

/* LANES places of `to` from i on, all from places first..last of `from`. */
static void scan_block(const struct line *from, struct line *to, uint32_t i, uint32_t first, uint32_t last)
{
	pair w[PAIRS], x[PAIRS], most[PAIRS], where[PAIRS];
	for (unsigned p = 0; p < PAIRS; p++) {
		w[p] = LOAD(to->w + i + 2 * p);
		x[p] = LOAD(to->x + i + 2 * p);
		most[p] = (pair){ 0 } - INFINITY;
		where[p] = (pair){ 0 };
	}
	for (uint32_t j = first; j <= last; j++) {
#pragma GCC unroll 4
		for (unsigned p = 0; p < PAIRS; p++) {
			pair dw = w[p] - from->w[j], dx = x[p] - from->x[j], gain = from->gain[j] + dx * dx / (dw + DBL_MIN);
			pair_mask better = (gain > most[p]) & (dw >= 0.0);
			most[p] = SELECT(better, gain, most[p]);
			where[p] = SELECT(better, (pair){ 0 } + (double)j, where[p]);
		}
	}
	for (unsigned p = 0; p < PAIRS; p++) {
		STORE(to->gain + i + 2 * p) = most[p];
		to->best[i + 2 * p] = (uint32_t)where[p][0];
		to->best[i + 2 * p + 1] = (uint32_t)where[p][1];
	}
}

/* Every LANES-th place of `to` between low and high, which are done. */
static void scan_between(const struct line *from, struct line *to, uint32_t low, uint32_t high)
{
	uint32_t middle = (low / LANES + (high + LANES - 1) / LANES) / 2 * LANES;
	if (middle <= low)
		return;
	scan(from, to, middle, to->best[low], to->best[high]);
	scan_between(from, to, low, middle);
	scan_between(from, to, middle, high);
}

/* The gains of a line from those of the line before. */
static void next_layer(const struct line *from, struct line *to)
{
	uint32_t last = to->n - 1;
	scan(from, to, 0, 0, from->n - 1);
	scan(from, to, last, to->best[0], from->n - 1);
	scan_between(from, to, 0, last);
	for (uint32_t i = 0; i + 1 < last; i += LANES) {
		uint32_t next = i + LANES < last ? i + LANES : last;
		scan_block(from, to, i + 1, to->best[i], to->best[next]);
	}
}

static void line_up(const struct pb_kmeans1d *s, const struct places *p, bool backwards, struct line *l)
{
	l->n = p->n;
	for (uint32_t i = 0; i < p->n; i++) {
		uint32_t at = p->at[backwards ? p->n - 1 - i : i];
		l->w[i] = backwards ? -s->w[at] : s->w[at];
		l->x[i] = backwards ? -s->wx[at] : s->wx[at];
	}
}

/* `before` and `from` of all ends of k clusters. */
static void pass_forwards(struct pb_kmeans1d *s, unsigned k)
{
	struct line *from = &s->lines[0], *to = &s->lines[1];
	line_up(s, &s->places[0], false, from);
	from->gain[0] = 0.0;
	for (unsigned j = 1; j <= k; j++) {
		struct places *p = &s->places[j];
		line_up(s, p, false, to);
		next_layer(from, to);
		memcpy(p->before, to->gain, p->n * sizeof *p->before);
		memcpy(p->from, to->best, p->n * sizeof *p->from);
		struct line *swap = from;
		from = to;
		to = swap;
	}
}

/* `after` of all ends but the first and the last. */
static void pass_backwards(struct pb_kmeans1d *s, unsigned k)
{
	struct line *from = &s->lines[0], *to = &s->lines[1];
	line_up(s, &s->places[k], true, from);
	from->gain[0] = 0.0;
	for (unsigned j = k - 1; j > 0; j--) {
		struct places *p = &s->places[j];
		line_up(s, p, true, to);
		next_layer(from, to);
		for (uint32_t i = 0; i < p->n; i++)
			p->after[i] = to->gain[p->n - 1 - i];
		struct line *swap = from;
		from = to;
		to = swap;
	}
}

/* The square of mu for the cell of points first..last-1. */
static double spread(const struct pb_kmeans1d *s, uint32_t first, uint32_t last)
{
	double w = s->w[last] - s->w[first], x = s->wx[last] - s->wx[first];
	return w * (s->wxx[last] - s->wxx[first]) - x * x;
}

/* Places in the windows, their ends among them, as far apart as the square of mu lets them. All windows cut cells alike, so
 * that two ends that are moved do not change their order. */
static void choose_places(struct pb_kmeans1d *s, unsigned k, double mu_squared)
{
	uint32_t n = 0, at = s->low[1];
	s->grid[n++] = at;
	while (at < s->high[k - 1]) {
		uint32_t next = s->high[k - 1];
		bool inside = false;
		for (unsigned j = 1; j < k; j++) {
			if (s->low[j] > at && s->low[j] < next)
				next = s->low[j];
			if (s->high[j] > at && s->high[j] < next)
				next = s->high[j];
			inside |= s->low[j] <= at && at < s->high[j];
		}
		for (uint32_t i = at + 1; inside && i < next; i++)
			if (spread(s, s->grid[n - 1], i + 1) > mu_squared)
				s->grid[n++] = i;
		s->grid[n++] = at = next;
	}
	uint32_t first = 0, last = 0;
	for (unsigned j = 1; j < k; j++) {
		while (s->grid[first] < s->low[j])
			first++;
		while (s->grid[last] < s->high[j])
			last++;
		s->places[j].at = s->grid + first;
		s->places[j].n = last - first + 1;
	}
}

/* Keeps of each end's window what ways within `loss` of the best one go through, and the cells beside it. */
static void narrow(struct pb_kmeans1d *s, unsigned k, double loss)
{
	double least = s->places[k].before[0] - loss;
	for (unsigned j = 1; j < k; j++) {
		const struct places *p = &s->places[j];
		uint32_t first = 0, last = p->n - 1;
		while (first < last && p->before[first] + p->after[first] < least)
			first++;
		while (last > first && p->before[last] + p->after[last] < least)
			last--;
		s->low[j] = p->at[first ? first - 1 : 0];
		s->high[j] = p->at[last + 1 < p->n ? last + 1 : last];
	}
	/* ends are in order */
	for (unsigned j = 1; j < k; j++)
		s->low[j] = s->low[j] > s->low[j - 1] ? s->low[j] : s->low[j - 1];
	for (unsigned j = k - 1; j > 0; j--)
		s->high[j] = s->high[j] < s->high[j + 1] ? s->high[j] : s->high[j + 1];
}

/* At least the distance of the last center from the first. */
static double extent(const struct pb_kmeans1d *s, uint32_t low, uint32_t high)
{
	double first = low > 0 ? s->wx[low] / s->w[low] : s->x[0];
	double last = high < s->n ? (s->wx[s->n] - s->wx[high]) / (s->w[s->n] - s->w[high]) : s->x[s->n - 1];
	return last - first;
}

/* One round: places, gains, narrower windows. True when all points of the windows were places. */
static bool search_round(struct pb_kmeans1d *s, unsigned k, bool last)
{
	uint32_t widest = 0;
	double mu_squared = 0.0;
	for (unsigned j = 1; j < k; j++) {
		widest = s->high[j] - s->low[j] > widest ? s->high[j] - s->low[j] : widest;
		mu_squared = fmax(mu_squared, spread(s, s->low[j], s->high[j]));
	}
	bool all = last || widest <= PLACES;
	mu_squared = all ? -INFINITY : mu_squared / ((double)PLACES * PLACES * PLACES * PLACES);
	if (k > 1)
		choose_places(s, k, mu_squared);
	pass_forwards(s, k);
	if (all)
		return true;
	pass_backwards(s, k);
	narrow(s, k, sqrt(mu_squared) * extent(s, s->low[1], s->high[k - 1]) * (1 + 1e-6) + SLACK * s->wxx[s->n]);
	return false;
}

void pb_kmeans1d_exact(struct pb_kmeans1d *s, unsigned k, double *centers)
{
	if (points_are_centers(s, k, centers))
		return;
	for (unsigned j = 0; j <= k; j++) {
		s->low[j] = j == k ? s->n : 0;
		s->high[j] = j ? s->n : 0;
	}
	s->places[0].at = s->low;
	s->places[k].at = s->high + k;
	s->places[0].n = s->places[k].n = 1;
	for (unsigned round = 0; !search_round(s, k, round == ROUNDS);)
		round++;
	/* the way back: clusters end at low[1], low[2], ..., low[k] */
	for (uint32_t j = k, place = 0; j > 1; j--) {
		place = s->places[j].from[place];
		s->low[j - 1] = s->places[j - 1].at[place];
	}
	centers_of(s, k, s->low + 1, centers);
}

/* ---- Lloyd's iterations ---- */

/* The first i whose sums[i] is above r; the last one when rounding leaves none. */
static uint32_t draw(const double *sums, uint32_t n, double r)
{
	uint32_t low = 0, high = n - 1;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (sums[middle] > r)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The sum of weight times squared distance to the nearest center, with one more center at point `at`. */
static double potential(const struct pb_kmeans1d *s, uint32_t at)
{
	double sum = 0.0;
	for (uint32_t i = 0; i < s->n; i++) {
		double d = s->x[i] - s->x[at], squared = d * d;
		sum += s->a[i] * (squared < s->near[i] ? squared : s->near[i]);
	}
	return sum;
}

/* Adds a center at point `at`: distances, and the running sums to draw by. */
static void add_center(struct pb_kmeans1d *s, uint32_t at)
{
	double sum = 0.0;
	for (uint32_t i = 0; i < s->n; i++) {
		double d = s->x[i] - s->x[at], squared = d * d;
		s->near[i] = squared < s->near[i] ? squared : s->near[i];
		s->sums[i] = sum += s->a[i] * s->near[i];
	}
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Greedy k-means++; there are more than k points. Centers less the mean, ascending. */
static void choose_starts(struct pb_kmeans1d *s, unsigned k, struct pb_rng *rng, double *centers)
{
	unsigned trials = 2 + (unsigned)log(k);
	uint32_t at = draw(s->w + 1, s->n, pb_rng_unit(rng) * s->w[s->n]);
	for (uint32_t i = 0; i < s->n; i++)
		s->near[i] = INFINITY;
	for (unsigned j = 0;; j++) {
		add_center(s, at);
		centers[j] = s->x[at];
		if (j + 1 == k)
			break;
		double least = INFINITY, total = s->sums[s->n - 1];
		for (unsigned t = 0; t < trials; t++) {
			uint32_t tried = draw(s->sums, s->n, pb_rng_unit(rng) * total);
			double sum = potential(s, tried);
			if (sum < least) {
				least = sum;
				at = tried;
			}
		}
	}
	qsort(centers, k, sizeof *centers, ascending);
}

/* Where each cluster ends: a point in the middle of two centers belongs to the lower one. True when that is new. */
static bool assign(const struct pb_kmeans1d *s, unsigned k, const double *centers, uint32_t *end)
{
	bool moved = false;
	for (unsigned j = 0; j < k; j++) {
		uint32_t low = 0, high = s->n;
		double middle = j + 1 < k ? 0.5 * (centers[j] + centers[j + 1]) : INFINITY;
		while (low < high) {
			uint32_t at = low + (high - low) / 2;
			if (s->x[at] <= middle)
				low = at + 1;
			else
				high = at;
		}
		moved |= end[j] != low;
		end[j] = low;
	}
	return moved;
}

/* The point farthest from the center of its cluster. */
static double farthest(const struct pb_kmeans1d *s, unsigned k, const double *centers, const uint32_t *end)
{
	double most = -1.0, where = 0.0;
	for (unsigned j = 0; j < k; j++) {
		uint32_t begin = j ? end[j - 1] : 0, ends[2] = { begin, end[j] - 1 };
		for (unsigned e = 0; e < 2 && end[j] > begin; e++)
			if (fabs(s->x[ends[e]] - centers[j]) > most) {
				most = fabs(s->x[ends[e]] - centers[j]);
				where = s->x[ends[e]];
			}
	}
	return where;
}

void pb_kmeans1d_lloyd(struct pb_kmeans1d *s, unsigned k, unsigned iterations, double tolerance, struct pb_rng *rng, double *centers)
{
	if (points_are_centers(s, k, centers))
		return;
	choose_starts(s, k, rng, centers);
	memset(s->low, 0, k * sizeof *s->low);
	for (unsigned i = 0; i < iterations && assign(s, k, centers, s->low); i++) {
		double moved = 0.0;
		bool jumped = false;
		for (unsigned j = 0; j < k; j++) {
			uint32_t begin = j ? s->low[j - 1] : 0, end = s->low[j];
			double center = end > begin ? (s->wx[end] - s->wx[begin]) / (s->w[end] - s->w[begin]) : farthest(s, k, centers, s->low);
			moved += (center - centers[j]) * (center - centers[j]);
			jumped |= end == begin;
			centers[j] = center;
		}
		if (jumped)
			qsort(centers, k, sizeof *centers, ascending);
		if (moved <= tolerance * s->variance)
			break;
	}
	for (unsigned j = 0; j < k; j++)
		centers[j] += s->mean;
}
