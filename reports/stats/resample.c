/* Bootstrap and sign flips of scores. */
#include "reports/stats/statistics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include "core/base/memory.h"
#include "core/base/rng.h"

#define EXACT_SIGN_UNITS 16

/* What resamples: the units' sums and weights. */
struct units {
	size_t n;
	double *sums, *weights;
};

/* Clusters in the order of their first items. */
static enum pb_status units_make(struct units *u, const struct pb_scores *s, struct pb_error *err)
{
	size_t *place = s->clusters ? pb_alloc_zero(s->n, sizeof(*place)) : NULL;

	u->n = 0;
	u->sums = pb_alloc_zero(s->n, sizeof(double));
	u->weights = pb_alloc_zero(s->n, sizeof(double));
	if ((s->clusters && !place) || !u->sums || !u->weights) {
		pb_free(place);
		return pb_out_of_memory(err, "statistics");
	}
	for (size_t i = 0; i < s->n; i++) {
		size_t k = i;

		if (s->clusters) {
			if (!place[s->clusters[i]])
				place[s->clusters[i]] = ++u->n;
			k = place[s->clusters[i]] - 1;
		}
		u->sums[k] += s->sums[i];
		u->weights[k] += s->weights ? s->weights[i] : 1;
	}
	if (!s->clusters)
		u->n = s->n;
	pb_free(place);
	return PB_OK;
}

static void units_free(struct units *u)
{
	pb_free(u->sums);
	pb_free(u->weights);
}

enum pb_status pb_resampling_make(struct pb_resampling *out, size_t n_units, size_t replicates, uint64_t seed, struct pb_error *err)
{
	uint8_t *counts = pb_alloc_zero(n_units, replicates);

	if (!counts)
		return pb_out_of_memory(err, "a bootstrap");
	/* A stream a replicate: one does not depend on how many there are. A unit is drawn 256 times with a probability below 1e-500. */
	for (size_t r = 0; r < replicates; r++) {
		struct pb_rng rng = pb_rng_make(seed, r);

		for (size_t i = 0; i < n_units; i++)
			counts[r * n_units + pb_rng_below(&rng, n_units)]++;
	}
	*out = (struct pb_resampling){ n_units, replicates, counts };
	return PB_OK;
}

void pb_resampling_free(struct pb_resampling *resampling)
{
	pb_free(resampling->counts);
	*resampling = (struct pb_resampling){0};
}

/* Whether each number is an integer of a byte; these are then exact in any order, and fast. */
static bool take_bytes(const double *values, size_t n, uint8_t *bytes)
{
	for (size_t i = 0; i < n; i++) {
		if (!(values[i] >= 0 && values[i] <= UINT8_MAX) || values[i] != floor(values[i]))
			return false;
		bytes[i] = (uint8_t)values[i];
	}
	return true;
}

static double sum_bytes(const uint8_t *counts, const uint8_t *bytes, size_t n)
{
	uint64_t sum = 0;

	for (size_t first = 0; first < n; first += UINT16_MAX) { /* 255 * 255 * 65535 fits 32 bits */
		size_t end = n - first < UINT16_MAX ? n : first + UINT16_MAX;
		uint32_t part = 0;

		for (size_t i = first; i < end; i++)
			part += (uint32_t)(counts[i] * bytes[i]);
		sum += part;
	}
	return (double)sum;
}

static double sum_counted(const uint8_t *counts, const double *values, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += counts[i] * values[i];
	return sum;
}

enum pb_status pb_resampling_values(const struct pb_resampling *rs, const struct pb_scores *scores, double *values, struct pb_error *err)
{
	struct units u = {0};
	uint8_t *bytes = pb_alloc(scores->n, 2);
	enum pb_status st = bytes ? units_make(&u, scores, err) : pb_out_of_memory(err, "a bootstrap");

	if (!st && u.n != rs->n_units)
		st = pb_fail(err, PB_FAILED, "a bootstrap of %zu units for scores of %zu", rs->n_units, u.n);
	if (!st) {
		const bool whole_sums = take_bytes(u.sums, u.n, bytes), whole_weights = take_bytes(u.weights, u.n, bytes + u.n);

		for (size_t r = 0; r < rs->replicates; r++) {
			const uint8_t *counts = rs->counts + r * u.n;
			double sum = whole_sums ? sum_bytes(counts, bytes, u.n) : sum_counted(counts, u.sums, u.n);

			values[r] = sum / (whole_weights ? sum_bytes(counts, bytes + u.n, u.n) : sum_counted(counts, u.weights, u.n));
		}
	}
	pb_free(bytes);
	units_free(&u);
	return st;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Linear between the order statistics, as numpy's default. */
static double sorted_quantile(const double *sorted, size_t n, double q)
{
	double place = q * (double)(n - 1), below = floor(place);
	size_t i = (size_t)below;

	return i + 1 < n ? sorted[i] + (place - below) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

enum pb_status pb_bootstrap(const struct pb_resampling *rs, const struct pb_scores *scores, struct pb_bootstrap *out, struct pb_error *err)
{
	size_t n = rs->replicates, n_low = 0, n_high = 0;
	double *values = pb_alloc(n, sizeof(*values)), mean = 0, squares = 0;
	enum pb_status st = values ? pb_resampling_values(rs, scores, values, err) : pb_out_of_memory(err, "a bootstrap");

	if (!st && (n < 2 || scores->n < 2)) {
		*out = (struct pb_bootstrap){ NAN, NAN, NAN, NAN };
	} else if (!st) {
		qsort(values, n, sizeof(*values), compare_doubles);
		for (size_t r = 0; r < n; r++) {
			mean += values[r] / (double)n;
			n_low += values[r] <= 0;
			n_high += values[r] >= 0;
		}
		for (size_t r = 0; r < n; r++)
			squares += (values[r] - mean) * (values[r] - mean);
		*out = (struct pb_bootstrap){ .stderr_value = sqrt(squares / (double)(n - 1)), .low = sorted_quantile(values, n, 0.025),
			.high = sorted_quantile(values, n, 0.975), .p = fmin(1, 2 * (double)((n_low < n_high ? n_low : n_high) + 1) / (double)(n + 1)) };
	}
	pb_free(values);
	return st;
}

/* Sums that differ by rounding only are as far from zero as the one observed. */
static bool reaches(double sum, double observed)
{
	return fabs(sum) >= fabs(observed) * (1 - 1e-12);
}

/* All sign vectors. */
static double sign_flip_exact(const struct units *u, double observed)
{
	size_t total = (size_t)1 << u->n, hits = 0;

	for (size_t code = 0; code < total; code++) {
		double sum = 0;

		for (size_t i = 0; i < u->n; i++)
			sum += code >> i & 1 ? -u->sums[i] : u->sums[i];
		hits += reaches(sum, observed);
	}
	return (double)hits / (double)total;
}

static double sign_flip_random(const struct units *u, double observed, size_t replicates, uint64_t seed)
{
	size_t hits = 0;

	for (size_t r = 0; r < replicates; r++) {
		struct pb_rng rng = pb_rng_make(seed, r);
		uint32_t bits = 0;
		double sum = 0;

		for (size_t i = 0; i < u->n; i++) {
			bits = i % 32 == 0 ? pb_rng_u32(&rng) : bits >> 1;
			sum += bits & 1 ? -u->sums[i] : u->sums[i];
		}
		hits += reaches(sum, observed);
	}
	return (double)(hits + 1) / (double)(replicates + 1);
}

enum pb_status pb_sign_flip(const struct pb_scores *differences, size_t replicates, uint64_t seed, double *p, struct pb_error *err)
{
	struct units u = {0};
	double observed = 0;
	enum pb_status st = units_make(&u, differences, err);

	for (size_t i = 0; !st && i < u.n; i++)
		observed += u.sums[i];
	if (!st)
		*p = u.n == 0 ? NAN : u.n <= EXACT_SIGN_UNITS ? sign_flip_exact(&u, observed) : sign_flip_random(&u, observed, replicates, seed);
	units_free(&u);
	return st;
}
