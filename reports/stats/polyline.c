#include "reports/stats/polyline.h"

#include <math.h>
#include <stdlib.h>

#include "core/base/memory.h"
#include "reports/stats/fit.h"

/* The piece that x is in, and the share of its right end; false beyond the ends. */
static bool find_piece(const struct pb_polyline *l, double x, size_t *piece, double *share)
{
	size_t k = 0;
	if (!(x >= l->x[0] && x <= l->x[l->n - 1]))
		return false;
	while (k + 2 < l->n && x > l->x[k + 1])
		k++;
	*piece = k;
	*share = (x - l->x[k]) / (l->x[k + 1] - l->x[k]);
	return true;
}

double pb_polyline_at(const struct pb_polyline *l, double x)
{
	size_t k;
	double share;
	return find_piece(l, x, &k, &share) ? l->y[k] + share * (l->y[k + 1] - l->y[k]) : NAN;
}

/* How much the value of point i counts in the mean of the line over n places: a value counts at every place beside it. */
static double weight_of(const struct pb_polyline *l, size_t i, const double *places, size_t n)
{
	double weight = 0.0, share;
	size_t k;
	for (size_t p = 0; p < n; p++)
		if (find_piece(l, places[p], &k, &share))
			weight += (k == i ? 1.0 - share : k + 1 == i ? share : 0.0) / (double)n;
	return weight;
}

/* Variance of the mean of the line over the places, of independent points. */
static double variance_of_mean(const struct pb_polyline *l, const double *places, size_t n)
{
	double variance = 0.0;
	for (size_t i = 0; i < l->n; i++) {
		const double weight = weight_of(l, i, places, n);
		if (weight > 0.0)
			variance += weight * weight * l->errors[i] * l->errors[i];
	}
	return variance;
}

/* Sample covariance of what two points have been in the draws. */
static double covariance(const struct pb_polyline *a, size_t i, const struct pb_polyline *b, size_t k)
{
	double mean_a = 0.0, mean_b = 0.0, sum = 0.0;
	for (size_t r = 0; r < a->n_draws; r++) {
		mean_a += a->draws[r * a->n + i] / (double)a->n_draws;
		mean_b += b->draws[r * b->n + k] / (double)a->n_draws;
	}
	for (size_t r = 0; r < a->n_draws; r++)
		sum += (a->draws[r * a->n + i] - mean_a) * (b->draws[r * b->n + k] - mean_b);
	return sum / (double)(a->n_draws - 1);
}

/* Of the means of two lines over the places. */
static double covariance_of_means(const struct pb_polyline *a, const struct pb_polyline *b, const double *places, size_t n)
{
	double sum = 0.0;
	for (size_t i = 0; i < a->n; i++) {
		const double weight = weight_of(a, i, places, n);
		for (size_t k = 0; k < b->n && weight > 0.0; k++) {
			const double other = weight_of(b, k, places, n);
			if (other > 0.0)
				sum += weight * other * covariance(a, i, b, k);
		}
	}
	return sum;
}

static bool are_drawn(const struct pb_polyline *a, const struct pb_polyline *b)
{
	return a->draws && b->draws && a->n_draws == b->n_draws && a->n_draws > 1;
}

static double variance_of_difference(const struct pb_polyline *a, const struct pb_polyline *b, const double *places, size_t n)
{
	if (!are_drawn(a, b))
		return variance_of_mean(a, places, n) + variance_of_mean(b, places, n);
	return fmax(0.0, covariance_of_means(a, a, places, n) + covariance_of_means(b, b, places, n) - 2.0 * covariance_of_means(a, b, places, n));
}

bool pb_polyline_compare(struct pb_polyline_difference *out, const struct pb_polyline *a, const struct pb_polyline *b, double low, double high)
{
	double points[PB_POLYLINE_POINTS], sum = 0.0, above = 0.0;
	low = fmax(low, fmax(a->x[0], b->x[0]));
	high = fmin(high, fmin(a->x[a->n - 1], b->x[b->n - 1]));
	if (!(low < high))
		return false;
	for (size_t i = 0; i < PB_POLYLINE_POINTS; i++) {
		points[i] = i + 1 == PB_POLYLINE_POINTS ? high : low + (high - low) * (double)i / (PB_POLYLINE_POINTS - 1);
		double difference = pb_polyline_at(a, points[i]) - pb_polyline_at(b, points[i]);
		sum += difference;
		above += difference > 0.0;
	}
	*out = (struct pb_polyline_difference){ .low = low, .high = high, .mean = sum / PB_POLYLINE_POINTS, .above = above / PB_POLYLINE_POINTS,
		.error = sqrt(variance_of_difference(a, b, points, PB_POLYLINE_POINTS)), .is_paired = are_drawn(a, b) };
	return true;
}

static int compare_numbers(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;
	return (a > b) - (a < b);
}

/* All places of both that both reach, rising, none twice; out: (a->n + b->n). */
static size_t common_places(const struct pb_polyline *a, const struct pb_polyline *b, double *out)
{
	size_t n = 0, kept = 0;
	for (size_t i = 0; i < a->n; i++)
		if (!isnan(pb_polyline_at(b, a->x[i])))
			out[n++] = a->x[i];
	for (size_t i = 0; i < b->n; i++)
		if (!isnan(pb_polyline_at(a, b->x[i])))
			out[n++] = b->x[i];
	if (n > 1)
		qsort(out, n, sizeof *out, compare_numbers);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || out[i] > out[kept - 1])
			out[kept++] = out[i];
	return kept;
}

size_t pb_polyline_crossings(const struct pb_polyline *a, const struct pb_polyline *b, double *out)
{
	/* Between two places the difference is straight; a crossing is written over places that were passed. */
	const size_t n = common_places(a, b, out);
	size_t n_out = 0;
	double before = 0.0;            /* the last difference that is not 0 */
	double last = 0.0, x_last = 0.0, x_equal = 0.0; /* the last one; its place; where equal ones begin */
	for (size_t i = 0; i < n; i++) {
		const double x = out[i], difference = pb_polyline_at(a, x) - pb_polyline_at(b, x);
		if (difference != 0.0 && before * difference < 0.0)
			out[n_out++] = last == 0.0 ? 0.5 * (x_equal + x_last) : x_last + (x - x_last) * last / (last - difference);
		if (difference != 0.0)
			before = difference;
		else if (last != 0.0)
			x_equal = x;
		last = difference;
		x_last = x;
	}
	return n_out;
}

struct pb_polyline_crossing pb_polyline_draw_crossing(const struct pb_polyline *a, const struct pb_polyline *b, double x, double *scratch)
{
	struct pb_polyline_crossing out = { NAN, NAN, NAN };
	double *found = scratch + 2 * a->n_draws;
	size_t n_crossing = 0;
	if (!are_drawn(a, b))
		return out;
	for (size_t r = 0; r < a->n_draws; r++) {
		const struct pb_polyline first = { a->n, a->x, a->draws + r * a->n, NULL, NULL, 0 }, second = { b->n, b->x, b->draws + r * b->n, NULL, NULL, 0 };
		const size_t n = pb_polyline_crossings(&first, &second, found);
		size_t nearest = 0;
		for (size_t k = 1; k < n; k++)
			if (fabs(found[k] - x) < fabs(found[nearest] - x))
				nearest = k;
		if (n)
			scratch[n_crossing++] = found[nearest];
	}
	out.share = (double)n_crossing / (double)a->n_draws;
	if (n_crossing)
		pb_fit_percentiles(scratch, n_crossing, 1, scratch + a->n_draws, &out.low, &out.high);
	return out;
}

/* --- the best of several --- */

static size_t best_at(const struct pb_polyline *lines, size_t n, double sign, double x, size_t *n_there)
{
	size_t best = n;
	*n_there = 0;
	for (size_t i = 0; i < n; i++) {
		double y = pb_polyline_at(&lines[i], x);
		if (isnan(y))
			continue;
		++*n_there;
		if (best == n || sign * y > sign * pb_polyline_at(&lines[best], x))
			best = i;
	}
	return best;
}

static size_t second_over(const struct pb_polyline *lines, size_t n, double sign, const struct pb_polyline_stretch *s)
{
	size_t second = n;
	double nearest = INFINITY;
	for (size_t i = 0; i < n; i++) {
		struct pb_polyline_difference d;
		if (i == s->best || !pb_polyline_compare(&d, &lines[s->best], &lines[i], s->low, s->high) || sign * d.mean >= nearest)
			continue;
		nearest = sign * d.mean;
		second = i;
	}
	return second;
}

enum pb_status pb_polyline_best(struct pb_polyline_stretch **out, size_t *n_out, const struct pb_polyline *lines, size_t n, bool higher_is_better, struct pb_error *err)
{
	const double sign = higher_is_better ? 1.0 : -1.0;
	size_t n_points = 0, n_places = 0;
	for (size_t i = 0; i < n; i++)
		n_points += lines[i].n;
	/* Each pair crosses at most as often as it has points. */
	double *places = pb_alloc(n_points * (n + 1), sizeof *places);
	struct pb_polyline_stretch *list = pb_alloc(n_points * (n + 1), sizeof *list);
	if (!places || !list) {
		pb_free(places);
		pb_free(list);
		return pb_out_of_memory(err, "curves");
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < lines[i].n; k++)
			places[n_places++] = lines[i].x[k];
		for (size_t k = 0; k < i; k++)
			n_places += pb_polyline_crossings(&lines[i], &lines[k], places + n_places);
	}
	qsort(places, n_places, sizeof *places, compare_numbers);
	*n_out = 0;
	for (size_t p = 1; p < n_places; p++) {
		size_t n_there, best = best_at(lines, n, sign, 0.5 * (places[p - 1] + places[p]), &n_there);
		if (!(places[p] > places[p - 1]) || n_there < 2)
			continue;
		struct pb_polyline_stretch *last = *n_out ? &list[*n_out - 1] : NULL;
		if (last && last->best == best && last->high == places[p - 1])
			last->high = places[p];
		else
			list[(*n_out)++] = (struct pb_polyline_stretch){ .low = places[p - 1], .high = places[p], .best = best };
	}
	for (size_t s = 0; s < *n_out; s++)
		list[s].second = second_over(lines, n, sign, &list[s]);
	pb_free(places);
	*out = list;
	return PB_OK;
}
