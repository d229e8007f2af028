/* How sure the parameters of a fit are: profiles, resampling, likelihood. */
#include "reports/stats/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "reports/stats/fit_problem.h"
#include "reports/stats/statistics.h"

/* --- profiles --- */

#define FARTHEST 1000.0     /* standard errors (of the curvature at the optimum) that a profile is followed */

/* Solves (matrix + a little) solution = e_k by Gauss-Jordan with pivots; false when it is singular. */
static bool solve_unit(const double matrix[PB_FORM_PARAMETERS][PB_FORM_PARAMETERS], unsigned n, unsigned k, double *solution)
{
	double a[PB_FORM_PARAMETERS][PB_FORM_PARAMETERS + 1];
	for (unsigned i = 0; i < n; i++) {
		memcpy(a[i], matrix[i], n * sizeof(double));
		a[i][n] = i == k;
	}
	for (unsigned c = 0; c < n; c++) {
		unsigned pivot = c;
		for (unsigned i = c + 1; i < n; i++)
			if (fabs(a[i][c]) > fabs(a[pivot][c]))
				pivot = i;
		if (!(fabs(a[pivot][c]) > 0.0))
			return false;
		for (unsigned j = 0; j <= n; j++) {
			double swap = a[c][j];
			a[c][j] = a[pivot][j];
			a[pivot][j] = swap;
		}
		for (unsigned i = 0; i < n; i++) {
			double factor = a[i][c] / a[c][c];
			for (unsigned j = c; j <= n && i != c; j++)
				a[i][j] -= factor * a[c][j];
		}
	}
	for (unsigned i = 0; i < n; i++)
		solution[i] = a[i][n] / a[i][i];
	return true;
}

/* The column of the covariance that belongs to parameter k, for residuals of deviation 1; false when it is not identified at all. */
static bool covariance(const struct pb_fit *fit, unsigned k, double *column)
{
	unsigned n = fit->form->n_parameters;
	double matrix[PB_FORM_PARAMETERS][PB_FORM_PARAMETERS] = { { 0 } }, g[PB_FORM_PARAMETERS], scale[PB_FORM_PARAMETERS];
	for (size_t i = 0; i < fit->n; i++) {
		fit->form->predict(fit->theta, fit->x + i * fit->form->n_variables, g);
		for (unsigned a = 0; a < n; a++)
			for (unsigned b = 0; b < n; b++)
				matrix[a][b] += g[a] * g[b];
	}
	for (unsigned a = 0; a < n; a++)
		scale[a] = sqrt(matrix[a][a]);
	for (unsigned a = 0; a < n; a++)
		for (unsigned b = 0; b < n; b++)
			matrix[a][b] /= scale[a] * scale[b];
	if (!solve_unit(matrix, n, k, column) || !(column[k] > 0.0))
		return false;
	for (unsigned a = 0; a < n; a++)
		column[a] /= scale[a] * scale[k];
	return isfinite(column[k]) && column[k] > 0.0;
}

struct profile {
	const struct pb_fit *fit;
	unsigned k;
	double allowed;                             /* rise of the objective at the end of the interval */
	double at[PB_FORM_PARAMETERS], value;       /* the last point of the profile: where the next begins */
	double slope[PB_FORM_PARAMETERS];           /* of the other parameters along the profile, at the optimum */
};

/* Root of the rise over what is allowed, so that the profile of a linear model is a straight line; 1 at the end. */
static double rise(struct profile *p, double value)
{
	double lower[PB_FORM_PARAMETERS], upper[PB_FORM_PARAMETERS], objective;
	unsigned n = p->fit->form->n_parameters;
	memcpy(lower, p->fit->lower, sizeof lower);
	memcpy(upper, p->fit->upper, sizeof upper);
	for (unsigned i = 0; i < n; i++)
		p->at[i] += p->slope[i] * (value - p->value);
	p->at[p->k] = lower[p->k] = upper[p->k] = p->value = value;
	/* What did not converge is higher than the profile: the interval is rather too short than without end. */
	if (pb_minimise(pb_fit_objective, p->fit, n, lower, upper, PB_FIT_ROUGH, p->at, &objective, NULL) == PB_MEMORY)
		return NAN;
	return sqrt(fmax(objective - p->fit->objective, 0.0) / p->allowed);
}

/* One end; infinite when the profile has not risen enough at the bound or FARTHEST standard errors away. NaN: memory. */
static double end_of(struct profile *p, double direction, double standard_error)
{
	const struct pb_fit *fit = p->fit;
	double best = fit->theta[p->k], bound = direction > 0.0 ? fit->upper[p->k] : fit->lower[p->k];
	double inner = best, inner_rise = 0.0, outer = best, outer_rise = 0.0, step = 2.0 * standard_error;
	memcpy(p->at, fit->theta, sizeof p->at);
	p->value = best;
	while (outer_rise < 1.0) {
		inner = outer;
		inner_rise = outer_rise;
		if (outer == bound || fabs(outer - best) > FARTHEST * standard_error)
			return direction * INFINITY;
		outer = direction > 0.0 ? fmin(outer + step, bound) : fmax(outer - step, bound);
		outer_rise = rise(p, outer);
		if (isnan(outer_rise))
			return NAN;
		step *= 1.7;
	}
	for (int i = 0; i < 40 && fabs(outer_rise - 1.0) > 1e-3 && fabs(outer - inner) > 1e-9 * (1.0 + fabs(best)); i++) {
		double share = (1.0 - inner_rise) / (outer_rise - inner_rise);
		double middle = inner + fmin(fmax(share, 0.05), 0.95) * (outer - inner), at = rise(p, middle);
		if (isnan(at))
			return NAN;
		if (at < 1.0) {
			inner = middle;
			inner_rise = at;
			if (1.0 - at < 1e-3)
				return middle;
		} else {
			outer = middle;
			outer_rise = at;
		}
	}
	return outer;
}

enum pb_status pb_fit_profile(struct pb_fit *fit, struct pb_error *err)
{
	unsigned n = fit->form->n_parameters;
	double spare = (double)fit->n - n, t = pb_t_quantile(0.975, spare);
	if (!(fit->deviation > 0.0))
		return PB_OK;
	for (unsigned k = 0; k < n; k++) {
		double column[PB_FORM_PARAMETERS] = { 0 }, standard_error = 0.05 * (1.0 + fabs(fit->theta[k]));
		struct profile p = { .fit = fit, .k = k, .allowed = 0.5 * t * t * fit->deviation * fit->deviation };
		if (covariance(fit, k, column)) {
			standard_error = fit->deviation * sqrt(column[k]);
			for (unsigned i = 0; i < n; i++)
				p.slope[i] = column[i] / column[k];
		}
		double low = end_of(&p, -1.0, standard_error), high = end_of(&p, 1.0, standard_error);
		if (isnan(low) || isnan(high))
			return pb_out_of_memory(err, "a profile");
		fit->low[k] = low;
		fit->high[k] = high;
		if (isinf(low) || isinf(high))
			fit->warnings |= PB_FIT_FLAT;
	}
	return PB_OK;
}

/* --- bootstrap --- */

struct bootstrap {
	const struct pb_fit *fit;
	uint64_t seed;
	double *thetas;
	double *x, *target;         /* of each worker */
	enum pb_status *status;     /* of each resample */
};

static void resample(void *arg, size_t index, unsigned worker)
{
	struct bootstrap *b = arg;
	const struct pb_fit *fit = b->fit;
	unsigned n_parameters = fit->form->n_parameters, n_variables = fit->form->n_variables;
	struct pb_rng rng = pb_rng_make(b->seed, index);
	struct pb_fit drawn = *fit;
	drawn.x = b->x + worker * fit->n * n_variables;
	drawn.target = b->target + worker * fit->n;
	if (fit->n >= PB_FIT_MANY_POINTS)
		for (size_t i = 0; i < fit->n; i++) {
			size_t from = pb_rng_below(&rng, fit->n);
			memcpy(drawn.x + i * n_variables, fit->x + from * n_variables, n_variables * sizeof *drawn.x);
			drawn.target[i] = fit->target[from];
		}
	else {
		/* The squared size of errors, given that of residuals, is that times spare / chi squared. */
		double chi2 = 0.0;
		size_t spare = fit->n - n_parameters;
		for (size_t i = 0; i < spare; i++)
			chi2 += pow(pb_rng_normal(&rng), 2.0);
		double size = fit->deviation * sqrt((double)spare / chi2);
		memcpy(drawn.x, fit->x, fit->n * n_variables * sizeof *drawn.x);
		for (size_t i = 0; i < fit->n; i++)
			drawn.target[i] = fit->target[i] - pb_fit_residual(fit, i) + size * pb_rng_normal(&rng);
	}
	double *theta = b->thetas + index * n_parameters, objective;
	memcpy(theta, fit->theta, n_parameters * sizeof *theta);
	b->status[index] = pb_minimise(pb_fit_objective, &drawn, n_parameters, fit->lower, fit->upper, PB_FIT_ROUGH, theta, &objective, NULL);
}

enum pb_status pb_fit_bootstrap(struct pb_fit *fit, size_t n_resamples, uint64_t seed, struct pb_pool *pool, double *thetas, size_t *n_failed, struct pb_error *err)
{
	unsigned workers = pb_pool_threads(pool), n_parameters = fit->form->n_parameters;
	struct bootstrap b = { fit, seed, thetas, pb_alloc(workers * fit->n, fit->form->n_variables * sizeof *b.x), pb_alloc(workers * fit->n, sizeof *b.target),
		pb_alloc(n_resamples, sizeof *b.status) };
	enum pb_status st = b.x && b.target && b.status ? PB_OK : pb_out_of_memory(err, "a bootstrap");
	*n_failed = 0;
	if (st == PB_OK)
		pb_pool_run(pool, n_resamples, resample, &b);
	for (size_t r = 0; r < n_resamples && st == PB_OK; r++) {
		if (b.status[r] == PB_MEMORY)
			st = pb_out_of_memory(err, "a bootstrap");
		if (b.status[r] == PB_OK)
			continue;
		++*n_failed;
		for (unsigned k = 0; k < n_parameters; k++)
			thetas[r * n_parameters + k] = NAN;
	}
	if (st == PB_OK && 10 * *n_failed > n_resamples)
		fit->warnings |= PB_FIT_UNSTABLE;
	pb_free(b.x);
	pb_free(b.target);
	pb_free(b.status);
	return st;
}

static int compare_numbers(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;
	return (a > b) - (a < b);
}

void pb_fit_percentiles(const double *values, size_t n, size_t stride, double *scratch, double *low, double *high)
{
	size_t m = 0;
	for (size_t i = 0; i < n; i++)
		if (!isnan(values[i * stride]))
			scratch[m++] = values[i * stride];
	*low = *high = NAN;
	if (m < 2)
		return;
	qsort(scratch, m, sizeof *scratch, compare_numbers);
	double place = 0.025 * (double)(m - 1), share = place - floor(place);
	size_t i = (size_t)place;
	*low = scratch[i] + share * (scratch[i + 1] - scratch[i]);
	*high = scratch[m - 1 - i] - share * (scratch[m - 1 - i] - scratch[m - 2 - i]);
}

/* --- likelihood --- */

/* ln of the integral of exp(-Huber(r)) over r. */
static double log_normaliser(double threshold)
{
	return log(sqrt(2.0 * M_PI) * erf(threshold * M_SQRT1_2) + 2.0 * exp(-0.5 * threshold * threshold) / threshold);
}

struct likelihood {
	const struct pb_fit *fit;
	double threshold;
};

/* at: theta, then ln s. */
static double minus_log_likelihood(const void *arg, const double *at, double *gradient)
{
	const struct likelihood *l = arg;
	const struct pb_fit *fit = l->fit;
	unsigned n = fit->form->n_parameters;
	double s = exp(at[n]), own[PB_FORM_PARAMETERS], sum = (double)fit->n * (at[n] + log_normaliser(l->threshold));
	for (unsigned k = 0; gradient && k < n; k++)
		gradient[k] = 0.0;
	if (gradient)
		gradient[n] = (double)fit->n;
	for (size_t i = 0; i < fit->n; i++) {
		double r = (fit->target[i] - fit->form->predict(at, fit->x + i * fit->form->n_variables, gradient ? own : NULL)) / s;
		double slope = fmin(fmax(r, -l->threshold), l->threshold);
		sum += slope * (r - 0.5 * slope);
		for (unsigned k = 0; gradient && k < n; k++)
			gradient[k] -= slope * own[k] / s;
		if (gradient)
			gradient[n] -= slope * r;
	}
	return sum;
}

/* ln s that suits the residuals of `theta`: the likelihood has one maximum in it. */
static double suiting_scale(const struct likelihood *l, const double *theta, double *log_scale)
{
	double at[PB_FORM_PARAMETERS + 1], low = -60.0, high = 20.0, gradient[PB_FORM_PARAMETERS + 1];
	unsigned n = l->fit->form->n_parameters;
	memcpy(at, theta, n * sizeof *at);
	for (int i = 0; i < 100; i++) {
		at[n] = 0.5 * (low + high);
		minus_log_likelihood(l, at, gradient);
		if (gradient[n] < 0.0)
			low = at[n];
		else
			high = at[n];
	}
	*log_scale = at[n];
	return -minus_log_likelihood(l, at, NULL);
}

double pb_fit_log_likelihood(const struct pb_fit *fit, double threshold, const double *theta, double *scale)
{
	const struct likelihood l = { fit, threshold };
	double log_scale, value = suiting_scale(&l, theta, &log_scale);
	*scale = exp(log_scale);
	return value;
}

enum pb_status pb_fit_maximise(const struct pb_fit *fit, double threshold, struct pb_fit_likelihood *out, struct pb_error *err)
{
	unsigned n = fit->form->n_parameters;
	double at[PB_FORM_PARAMETERS + 1], lower[PB_FORM_PARAMETERS + 1], upper[PB_FORM_PARAMETERS + 1], value = NAN;
	enum pb_status st = PB_OK;
	memcpy(at, fit->theta, n * sizeof *at);
	memcpy(lower, fit->lower, n * sizeof *lower);
	memcpy(upper, fit->upper, n * sizeof *upper);
	lower[n] = -60.0;
	upper[n] = 20.0;
	/* Far below the residuals the likelihood is one of absolute errors, which has kinks: the threshold comes down to it. */
	for (double t = fmax(1.0, threshold); st == PB_OK; t = fmax(t / 4.0, threshold)) {
		const struct likelihood l = { fit, t };
		suiting_scale(&l, at, &at[n]);
		st = pb_minimise(minus_log_likelihood, &l, n + 1, lower, upper, PB_FIT_EXACT, at, &value, err);
		if (t == threshold)
			break;
	}
	if (st != PB_OK)
		return st;
	double k = n + 1, spare = (double)fit->n - k - 1.0;
	*out = (struct pb_fit_likelihood){ .scale = exp(at[n]), .log_likelihood = -value, .aic = 2.0 * k + 2.0 * value };
	memcpy(out->theta, at, n * sizeof *at);
	out->aicc = spare > 0.0 ? out->aic + 2.0 * k * (k + 1.0) / spare : NAN;
	return PB_OK;
}
