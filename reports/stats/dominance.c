#include "reports/stats/dominance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"

static bool is_finite(const struct pb_axes *axes, const double *p)
{
	for (unsigned k = 0; k < axes->n; k++)
		if (!isfinite(p[k]))
			return false;
	return true;
}

bool pb_dominates_within(const struct pb_axes *axes, const double *p, const double *q, const double *slack)
{
	if (!is_finite(axes, p) || !is_finite(axes, q))
		return false;
	for (unsigned k = 0; k < axes->n; k++)
		if (axes->higher_is_better[k] ? p[k] < q[k] - slack[k] : p[k] > q[k] + slack[k])
			return false;
	return true;
}

bool pb_dominates(const struct pb_axes *axes, const double *p, const double *q)
{
	static const double none[PB_MAX_AXES];
	return pb_dominates_within(axes, p, q, none) && !pb_dominates_within(axes, q, p, none);
}

/* A point with all axes turned so that lower is better. */
struct turned {
	double at[PB_MAX_AXES];
	size_t index;
};

static int compare_turned(const void *pa, const void *pb)
{
	const struct turned *a = pa, *b = pb;
	for (unsigned k = 0; k < PB_MAX_AXES; k++)
		if (a->at[k] != b->at[k])
			return a->at[k] < b->at[k] ? -1 : 1;
	return (a->index > b->index) - (a->index < b->index);
}

/* The finite points, turned and in lexicographic order; a point can be dominated by earlier ones only. */
static size_t turn(const struct pb_axes *axes, const double *values, size_t n, struct turned *out)
{
	size_t n_out = 0;
	for (size_t i = 0; i < n; i++) {
		const double *p = values + i * axes->n;
		if (!is_finite(axes, p))
			continue;
		out[n_out] = (struct turned){ .index = i };
		for (unsigned k = 0; k < axes->n; k++)
			out[n_out].at[k] = axes->higher_is_better[k] ? -p[k] : p[k];
		n_out++;
	}
	qsort(out, n_out, sizeof *out, compare_turned);
	return n_out;
}

static bool equal(const struct turned *a, const struct turned *b)
{
	for (unsigned k = 0; k < PB_MAX_AXES; k++)
		if (a->at[k] != b->at[k])
			return false;
	return true;
}

static bool weakly_better(const struct turned *a, const struct turned *b)
{
	for (unsigned k = 0; k < PB_MAX_AXES; k++)
		if (a->at[k] > b->at[k])
			return false;
	return true;
}

/* Keeps the points of the front, in place. What is dominated is dominated by a point of the front; in two axes by the last one. */
static size_t keep_front(const struct pb_axes *axes, struct turned *points, size_t n)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		bool dominated = false;
		for (size_t k = kept; k-- > 0 && !dominated;) {
			dominated = weakly_better(&points[k], &points[i]) && !equal(&points[k], &points[i]);
			if (axes->n == 2 && !equal(&points[k], &points[i]))
				break;
		}
		if (!dominated)
			points[kept++] = points[i];
	}
	return kept;
}

static void mark(const struct pb_axes *axes, const double *values, size_t n, struct turned *scratch, enum pb_membership *members)
{
	size_t n_front = keep_front(axes, scratch, turn(axes, values, n, scratch));
	for (size_t i = 0; i < n; i++)
		members[i] = PB_MEMBER_NO;
	for (size_t i = 0; i < n_front; i++) {
		bool tied = (i > 0 && equal(&scratch[i - 1], &scratch[i])) || (i + 1 < n_front && equal(&scratch[i], &scratch[i + 1]));
		members[scratch[i].index] = tied ? PB_MEMBER_TIED : PB_MEMBER_YES;
	}
}

enum pb_status pb_front_members(const struct pb_axes *axes, const double *values, size_t n, enum pb_membership *members, struct pb_error *err)
{
	struct turned *scratch = pb_alloc(n, sizeof *scratch);
	if (!scratch)
		return pb_out_of_memory(err, "a front");
	mark(axes, values, n, scratch, members);
	pb_free(scratch);
	return PB_OK;
}

/* Area of two axes, of points in lexicographic order. */
static double area(const struct turned *points, size_t n, const double *reference)
{
	double sum = 0.0, best = reference[1];
	for (size_t i = 0; i < n; i++)
		if (points[i].at[0] < reference[0] && points[i].at[1] < best) {
			sum += (reference[0] - points[i].at[0]) * (best - points[i].at[1]);
			best = points[i].at[1];
		}
	return sum;
}

/* A slice between the levels of the first axis, each an area of the other two, of the points that reach it. */
static double volume_of_slices(struct turned *points, size_t n, const double *reference, struct turned *slice)
{
	double sum = 0.0;
	size_t n_slice = 0;
	for (size_t i = 0; i < n && points[i].at[0] < reference[0]; i++) {
		struct turned p = { .at = { points[i].at[1], points[i].at[2] }, .index = points[i].index };
		size_t at = n_slice++;
		for (; at > 0 && compare_turned(&slice[at - 1], &p) > 0; at--)
			slice[at] = slice[at - 1];
		slice[at] = p;
		double next = i + 1 < n && points[i + 1].at[0] < reference[0] ? points[i + 1].at[0] : reference[0];
		if (next > points[i].at[0])
			sum += (next - points[i].at[0]) * area(slice, n_slice, reference + 1);
	}
	return sum;
}

static double hypervolume(const struct pb_axes *axes, const double *values, size_t n, const double *reference, struct turned *scratch)
{
	double turned_reference[PB_MAX_AXES];
	size_t n_front = keep_front(axes, scratch, turn(axes, values, n, scratch));
	for (unsigned k = 0; k < axes->n; k++)
		turned_reference[k] = axes->higher_is_better[k] ? -reference[k] : reference[k];
	return axes->n == 2 ? area(scratch, n_front, turned_reference) : volume_of_slices(scratch, n_front, turned_reference, scratch + n);
}

enum pb_status pb_hypervolume(const struct pb_axes *axes, const double *values, size_t n, const double *reference, double *volume, struct pb_error *err)
{
	struct turned *scratch = pb_alloc(2 * n, sizeof *scratch);
	if (!scratch)
		return pb_out_of_memory(err, "a hypervolume");
	*volume = hypervolume(axes, values, n, reference, scratch);
	pb_free(scratch);
	return PB_OK;
}

double pb_epsilon_indicator(const struct pb_axes *axes, const double *a, size_t n_a, const double *b, size_t n_b)
{
	double worst = -INFINITY;
	for (size_t j = 0; j < n_b; j++) {
		const double *q = b + j * axes->n;
		double least = INFINITY;
		if (!is_finite(axes, q))
			continue;
		for (size_t i = 0; i < n_a; i++) {
			const double *p = a + i * axes->n;
			double shift = -INFINITY;
			if (!is_finite(axes, p))
				continue;
			for (unsigned k = 0; k < axes->n; k++)
				shift = fmax(shift, axes->higher_is_better[k] ? q[k] - p[k] : p[k] - q[k]);
			least = fmin(least, shift);
		}
		worst = fmax(worst, least);
	}
	return worst;
}

enum pb_status pb_front_probability(const struct pb_axes *axes, size_t n, size_t n_replicates, pb_draw_fn draw, const void *arg, double *probability,
	const double *reference, double *volumes, struct pb_error *err)
{
	struct turned *scratch = pb_alloc(2 * n, sizeof *scratch);
	double *values = pb_alloc_zero(n, axes->n * sizeof *values);
	enum pb_membership *members = pb_alloc(n, sizeof *members);
	size_t *hits = pb_alloc_zero(n, sizeof *hits);
	enum pb_status st = scratch && values && members && hits ? PB_OK : pb_out_of_memory(err, "the probability of a front");
	for (size_t r = 0; r < n_replicates && st == PB_OK; r++) {
		draw(arg, r, values);
		mark(axes, values, n, scratch, members);
		for (size_t i = 0; i < n; i++)
			hits[i] += members[i] != PB_MEMBER_NO;
		if (reference)
			volumes[r] = hypervolume(axes, values, n, reference, scratch);
	}
	for (size_t i = 0; i < n && st == PB_OK; i++)
		probability[i] = n_replicates ? (double)hits[i] / (double)n_replicates : NAN;
	pb_free(hits);
	pb_free(members);
	pb_free(values);
	pb_free(scratch);
	return st;
}

static int compare_numbers(const void *pa, const void *pb)
{
	const double *a = pa, *b = pb;
	return (*a > *b) - (*a < *b);
}

/* Between values, linear; infinite ones have nothing between them. */
static double quantile(const double *sorted, size_t n, double q)
{
	double at = q * (double)(n - 1);
	size_t i = (size_t)at;
	double low = sorted[i], high = sorted[i + 1 < n ? i + 1 : i];
	return isfinite(low) && isfinite(high) ? low + (at - (double)i) * (high - low) : NAN;
}

/* The best of the second axis at each place: points and places both in the order of the first axis. */
static void attain(const struct pb_axes *axes, const double *values, size_t n, struct turned *points, const struct turned *places, size_t n_places, double *best, size_t stride)
{
	size_t n_points = turn(axes, values, n, points), next = 0;
	double least = INFINITY;
	for (size_t i = 0; i < n_places; i++) {
		for (; next < n_points && points[next].at[0] <= places[i].at[0]; next++)
			least = fmin(least, points[next].at[1]);
		best[places[i].index * stride] = axes->higher_is_better[1] ? -least : least;
	}
}

enum pb_status pb_attainment(const struct pb_axes *axes, size_t n, size_t n_replicates, pb_draw_fn draw, const void *arg, const double *places, size_t n_places,
	const double *quantiles, size_t n_quantiles, double *out, struct pb_error *err)
{
	struct turned *scratch = pb_alloc(n, sizeof *scratch), *order = pb_alloc(n_places, sizeof *order);
	double *values = pb_alloc_zero(n, axes->n * sizeof *values), *best = pb_alloc(n_places, n_replicates * sizeof *best);
	enum pb_status st = scratch && order && values && best ? PB_OK : pb_out_of_memory(err, "an attainment function");
	for (size_t i = 0; i < n_places && st == PB_OK; i++)
		order[i] = (struct turned){ .at = { axes->higher_is_better[0] ? -places[i] : places[i] }, .index = i };
	if (st == PB_OK)
		qsort(order, n_places, sizeof *order, compare_turned);
	for (size_t r = 0; r < n_replicates && st == PB_OK; r++) {
		draw(arg, r, values);
		attain(axes, values, n, scratch, order, n_places, best + r, n_replicates);
	}
	for (size_t i = 0; i < n_places && st == PB_OK; i++) {
		qsort(best + i * n_replicates, n_replicates, sizeof *best, compare_numbers);
		for (size_t k = 0; k < n_quantiles; k++)
			out[i * n_quantiles + k] = n_replicates ? quantile(best + i * n_replicates, n_replicates, quantiles[k]) : NAN;
	}
	pb_free(best);
	pb_free(values);
	pb_free(order);
	pb_free(scratch);
	return st;
}

void pb_draw_normal(const void *normal_draws, size_t replicate, double *values)
{
	const struct pb_normal_draws *d = normal_draws;
	struct pb_rng rng = pb_rng_make(d->seed, replicate);
	for (size_t i = 0; i < d->n * d->n_axes; i++)
		values[i] = d->stderrs[i] > 0.0 ? d->values[i] + d->stderrs[i] * pb_rng_normal(&rng) : d->values[i];
}

void pb_draw_made(const void *made_draws, size_t replicate, double *values)
{
	const struct pb_made_draws *d = made_draws;
	memcpy(values, d->values, d->n * d->n_axes * sizeof *values);
	for (unsigned k = 0; k < d->n_axes; k++)
		for (size_t i = 0; d->draws[k] && i < d->n; i++)
			values[i * d->n_axes + k] = d->draws[k][i * d->n_replicates + replicate];
}

double pb_curve_at(const double *x, const double *y, size_t n, double at)
{
	if (n == 0 || !(at >= x[0]) || !(at <= x[n - 1]))
		return NAN;
	size_t i = 0;
	while (i + 1 < n && x[i + 1] < at)
		i++;
	if (at == x[i])
		return y[i];
	return y[i] + (y[i + 1] - y[i]) * ((at - x[i]) / (x[i + 1] - x[i]));
}

struct pb_curve_difference pb_curve_compare(const double *x1, const double *y1, size_t n1, const double *x2, const double *y2, size_t n2)
{
	struct pb_curve_difference d = { NAN, NAN, NAN, NAN };
	double low = n1 && n2 ? fmax(x1[0], x2[0]) : NAN, high = n1 && n2 ? fmin(x1[n1 - 1], x2[n2 - 1]) : NAN;
	if (!(low < high))
		return d;
	d = (struct pb_curve_difference){ low, high, 0.0, 0.0 };
	for (unsigned i = 0; i < PB_CURVE_POINTS; i++) {
		double at = i + 1 == PB_CURVE_POINTS ? high : low + (high - low) * i / (PB_CURVE_POINTS - 1);
		double difference = pb_curve_at(x1, y1, n1, at) - pb_curve_at(x2, y2, n2, at);
		d.mean += difference / PB_CURVE_POINTS;
		d.share_above += (difference > 0.0 ? 1.0 : difference == 0.0 ? 0.5 : 0.0) / PB_CURVE_POINTS;
	}
	return d;
}

static void add_span(struct pb_curve_span *spans, size_t *n, double low, double high, int sign)
{
	if (*n && (spans[*n - 1].sign == sign || !(low < high)))
		spans[*n - 1].high = fmax(spans[*n - 1].high, high);
	else if (low < high)
		spans[(*n)++] = (struct pb_curve_span){ low, high, sign };
}

size_t pb_curve_spans(const double *x1, const double *y1, size_t n1, const double *x2, const double *y2, size_t n2, struct pb_curve_span *spans)
{
	double low = n1 && n2 ? fmax(x1[0], x2[0]) : NAN, high = n1 && n2 ? fmin(x1[n1 - 1], x2[n2 - 1]) : NAN, from = low;
	size_t i = 0, k = 0, n = 0;
	if (!(low < high))
		return 0;
	while (from < high) { /* from knot to knot of either; between two the difference is a line */
		for (; i < n1 && x1[i] <= from; i++)
			;
		for (; k < n2 && x2[k] <= from; k++)
			;
		double to = fmin(high, fmin(i < n1 ? x1[i] : high, k < n2 ? x2[k] : high));
		double a = pb_curve_at(x1, y1, n1, from) - pb_curve_at(x2, y2, n2, from), b = pb_curve_at(x1, y1, n1, to) - pb_curve_at(x2, y2, n2, to);
		if ((a > 0.0 && b < 0.0) || (a < 0.0 && b > 0.0)) {
			double crossing = from + (to - from) * (a / (a - b));
			add_span(spans, &n, from, crossing, a > 0.0 ? 1 : -1);
			add_span(spans, &n, crossing, to, b > 0.0 ? 1 : -1);
		} else {
			double middle = 0.5 * (a + b);
			add_span(spans, &n, from, to, (middle > 0.0) - (middle < 0.0));
		}
		from = to;
	}
	return n;
}
