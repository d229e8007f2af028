#include "reports/stats/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <nlopt.h>

#include "core/base/memory.h"
#include "reports/stats/fit_problem.h"

#define MAX_RUNS 40         /* of L-BFGS from one start */
#define EFFICIENT 1.345     /* standard deviations at which Huber's estimate is 95 % efficient for normal errors */
#define SPARSE 47           /* of a large grid, one start in so many is enough to find the size of residuals; no factor of the grid */
#define SMALL_SPARSE 5      /* the same of smaller ones */
#define NOTHING 1e-10       /* an objective that is as good as zero: residuals of 1e-5 */
#define LEAST_HUBER 1e-5    /* residuals below it are as good as none */
#define FIRST_HUBER 1e-3    /* Hoffmann et al.; nearly absolute errors, to find the size of residuals with */

const char *pb_fit_warning_text(unsigned bit)
{
	static const char *const texts[PB_FIT_WARNINGS] = {
		"few points: fewer than two more than parameters",
		"a parameter is at the end of its range",
		"not identified: an interval has no end, or reaches 0",
		"only one start reached the best objective",
		"more than one resample in ten did not converge",
		"the search did not come to an end",
	};
	return texts[bit];
}

/* --- one minimisation --- */

struct scaled {
	pb_objective_fn objective;
	const void *arg;
	double unit;            /* objective / unit is near 1: NLopt's tolerance of the gradient is absolute */
};

static double scaled_objective(unsigned n, const double *at, double *gradient, void *arg)
{
	const struct scaled *s = arg;
	double value = s->objective(s->arg, at, gradient) / s->unit;
	for (unsigned k = 0; gradient && k < n; k++)
		gradient[k] /= s->unit;
	return value;
}

static nlopt_opt make_optimizer(unsigned n, const double *lower, const double *upper, double tolerance, struct scaled *scaled)
{
	nlopt_opt opt = nlopt_create(NLOPT_LD_LBFGS, n);
	if (!opt)
		return NULL;
	if (nlopt_set_lower_bounds(opt, lower) < 0 || nlopt_set_upper_bounds(opt, upper) < 0 || nlopt_set_min_objective(opt, scaled_objective, scaled) < 0 ||
	    nlopt_set_ftol_rel(opt, 0.01 * tolerance) < 0 || nlopt_set_maxeval(opt, 500) < 0) {
		nlopt_destroy(opt);
		return NULL;
	}
	return opt;
}

enum pb_status pb_minimise(pb_objective_fn objective, const void *arg, unsigned n, const double *lower, const double *upper, double tolerance,
	double *at, double *value, struct pb_error *err)
{
	double best[PB_FORM_PARAMETERS + 1], best_value;
	struct scaled scaled = { objective, arg, 1.0 };
	nlopt_opt opt = make_optimizer(n, lower, upper, tolerance, &scaled);
	bool done = false;
	if (!opt)
		return pb_out_of_memory(err, "a fit");
	for (unsigned k = 0; k < n; k++)
		best[k] = fmin(fmax(at[k], lower[k]), upper[k]);
	best_value = objective(arg, best, NULL);
	for (int run = 0; run < MAX_RUNS && !done && isfinite(best_value); run++) {
		double next[PB_FORM_PARAMETERS + 1], next_value;
		memcpy(next, best, n * sizeof *next);
		scaled.unit = fabs(best_value) > 1e-300 ? fabs(best_value) : 1.0;
		nlopt_result result = nlopt_optimize(opt, next, &next_value);
		if (result == NLOPT_OUT_OF_MEMORY)
			break;
		next_value = objective(arg, next, NULL);
		/* A failed line search may end anywhere; the best so far is kept. */
		done = !(next_value < best_value - tolerance * (fabs(best_value) + NOTHING));
		if (next_value < best_value) {
			best_value = next_value;
			memcpy(best, next, n * sizeof *best);
		}
	}
	nlopt_destroy(opt);
	memcpy(at, best, n * sizeof *at);
	*value = best_value;
	return done ? PB_OK : pb_fail(err, PB_NUMERIC, "a fit did not converge");
}

double pb_fit_objective(const void *arg, const double *theta, double *gradient)
{
	const struct pb_fit *fit = arg;
	const struct pb_form *form = fit->form;
	double sum = 0.0, own[PB_FORM_PARAMETERS];
	for (unsigned k = 0; gradient && k < form->n_parameters; k++)
		gradient[k] = 0.0;
	for (size_t i = 0; i < fit->n; i++) {
		double r = fit->target[i] - form->predict(theta, fit->x + i * form->n_variables, gradient ? own : NULL);
		double slope = fmin(fmax(r, -fit->huber), fit->huber);
		sum += slope * (r - 0.5 * slope);
		for (unsigned k = 0; gradient && k < form->n_parameters; k++)
			gradient[k] -= slope * own[k];
	}
	return sum;
}

double pb_fit_objective_at(const struct pb_fit *fit, const double *theta)
{
	return pb_fit_objective(fit, theta, NULL);
}

/* --- the grid of starts --- */

struct grid {
	const struct pb_fit *fit;
	size_t stride;
	double (*theta)[PB_FORM_PARAMETERS];
	double *objective;
	enum pb_status *status;
};

static void run_start(void *arg, size_t index, unsigned worker)
{
	struct grid *g = arg;
	const struct pb_fit *fit = g->fit;
	const struct pb_form_data data = { fit->n, fit->x, fit->target };
	(void)worker;
	fit->form->start(&data, index * g->stride, g->theta[index]);
	g->status[index] = pb_minimise(pb_fit_objective, fit, fit->form->n_parameters, fit->lower, fit->upper, PB_FIT_ROUGH, g->theta[index], &g->objective[index], NULL);
}

static size_t best_start(const struct grid *g, size_t n)
{
	size_t best = n;
	for (size_t i = 0; i < n; i++)
		if (isfinite(g->objective[i]) && (best == n || g->objective[i] < g->objective[best]))
			best = i;
	return best;
}

static enum pb_status search(struct pb_fit *fit, size_t stride, struct pb_pool *pool, struct pb_error *err)
{
	size_t n = (fit->form->n_starts + stride - 1) / stride;
	struct grid g = { fit, stride, pb_alloc(n, sizeof *g.theta), pb_alloc(n, sizeof *g.objective), pb_alloc(n, sizeof *g.status) };
	enum pb_status st = g.theta && g.objective && g.status ? PB_OK : pb_out_of_memory(err, "a fit");
	if (st == PB_OK) {
		pb_pool_run(pool, n, run_start, &g);
		size_t best = best_start(&g, n);
		for (size_t i = 0; i < n && st == PB_OK; i++)
			if (g.status[i] == PB_MEMORY)
				st = pb_out_of_memory(err, "a fit");
		if (st == PB_OK && best == n)
			st = pb_fail(err, PB_NUMERIC, "%s: no start has a finite objective", fit->form->name);
		if (st == PB_OK) {
			memcpy(fit->theta, g.theta[best], sizeof fit->theta);
			st = pb_minimise(pb_fit_objective, fit, fit->form->n_parameters, fit->lower, fit->upper, PB_FIT_EXACT, fit->theta, &fit->objective, err);
			fit->warnings = st == PB_NUMERIC ? PB_FIT_UNFINISHED : 0;
			st = st == PB_NUMERIC ? PB_OK : st;
		}
		fit->n_starts = n;
		fit->n_reached = 0;
		for (size_t i = 0; i < n && st == PB_OK; i++)
			fit->n_reached += g.objective[i] <= fit->objective * (1.0 + 1e-6) + 1e-6 * NOTHING;
	}
	pb_free(g.theta);
	pb_free(g.objective);
	pb_free(g.status);
	return st;
}

/* --- residuals --- */

double pb_fit_residual(const struct pb_fit *fit, size_t point)
{
	return fit->target[point] - fit->form->predict(fit->theta, fit->x + point * fit->form->n_variables, NULL);
}

static int compare_numbers(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;
	return (a > b) - (a < b);
}

/* As many residuals as there are parameters are near zero whatever the errors: the median is that of the others. */
static enum pb_status robust_deviation(const struct pb_fit *fit, double *out, struct pb_error *err)
{
	size_t p = fit->form->n_parameters, m = fit->n - p;
	double *sizes = pb_alloc(fit->n, sizeof *sizes);
	if (!sizes)
		return pb_out_of_memory(err, "a fit");
	for (size_t i = 0; i < fit->n; i++)
		sizes[i] = fabs(pb_fit_residual(fit, i));
	qsort(sizes, fit->n, sizeof *sizes, compare_numbers);
	*out = 0.5 * (sizes[p + (m - 1) / 2] + sizes[p + m / 2]) / 0.67448975019608171;
	pb_free(sizes);
	return PB_OK;
}

/* Deviation for tests: of the influence of a residual, over the share of those that count in full. Both as in least squares when
 * all residuals are below the threshold. */
static double deviation_of(const struct pb_fit *fit)
{
	double squares = 0.0, spare = (double)fit->n - fit->form->n_parameters, full = -(double)fit->form->n_parameters;
	for (size_t i = 0; i < fit->n; i++) {
		double r = fabs(pb_fit_residual(fit, i));
		squares += pow(fmin(r, fit->huber), 2.0);
		full += r <= fit->huber;
	}
	return sqrt(squares / spare / (fmax(full, 0.5) / spare));
}

static void look_for_trouble(struct pb_fit *fit)
{
	if (fit->n < fit->form->n_parameters + 2)
		fit->warnings |= PB_FIT_FEW_POINTS;
	if (fit->n_starts > 1 && fit->n_reached < 2)
		fit->warnings |= PB_FIT_LONE_START;
	for (unsigned k = 0; k < fit->form->n_parameters; k++) {
		double reach = 1e-6 * (1.0 + fabs(fit->theta[k]));
		if (fit->theta[k] - fit->lower[k] < reach || fit->upper[k] - fit->theta[k] < reach)
			fit->warnings |= PB_FIT_AT_BOUND;
	}
}

/* --- */

static enum pb_status take_points(struct pb_fit *fit, const struct pb_fit_points *points, struct pb_error *err)
{
	const struct pb_form *form = fit->form;
	fit->x = pb_alloc(points->n, form->n_variables * sizeof *fit->x);
	fit->target = pb_alloc(points->n, sizeof *fit->target);
	if (!fit->x || !fit->target)
		return pb_out_of_memory(err, "a fit");
	for (size_t i = 0; i < points->n; i++) {
		for (unsigned k = 0; k < form->n_variables; k++) {
			double value = points->x[i * form->n_variables + k];
			fit->x[i * form->n_variables + k] = pb_form_transform(form->variables[k].transform, value);
			if (!isfinite(fit->x[i * form->n_variables + k]))
				return pb_fail(err, PB_NUMERIC, "point %zu: %s is %g, which form %s has no place for", i + 1, form->variables[k].name, value, form->name);
		}
		fit->target[i] = form->is_log ? pb_form_transform(PB_LN, points->y[i]) : points->y[i];
		if (!isfinite(fit->target[i]))
			return pb_fail(err, PB_NUMERIC, "point %zu: the value is %g, which form %s has no place for", i + 1, points->y[i], form->name);
	}
	return PB_OK;
}

static enum pb_status fit_points(struct pb_fit *fit, double huber, struct pb_pool *pool, struct pb_error *err)
{
	const struct pb_form_data data = { fit->n, fit->x, fit->target };
	double deviation = 0.0;
	for (unsigned k = 0; k < fit->form->n_parameters; k++) {
		fit->lower[k] = fit->form->parameters[k].lower;
		fit->upper[k] = fit->form->parameters[k].upper;
		fit->low[k] = fit->high[k] = NAN;
	}
	if (fit->form->bounds)
		fit->form->bounds(&data, fit->lower, fit->upper);
	fit->huber = huber > 0.0 ? huber : FIRST_HUBER;
	enum pb_status st = PB_OK;
	if (!(huber > 0.0)) {
		st = search(fit, fit->form->n_starts > 4 * SPARSE ? SPARSE : fit->form->n_starts > 4 * SMALL_SPARSE ? SMALL_SPARSE : 1, pool, err);
		if (st == PB_OK)
			st = robust_deviation(fit, &deviation, err);
		fit->huber = fmax(EFFICIENT * deviation, LEAST_HUBER);
	}
	if (st == PB_OK)
		st = search(fit, 1, pool, err);
	if (st != PB_OK)
		return st;
	fit->deviation = deviation_of(fit);
	look_for_trouble(fit);
	return PB_OK;
}

enum pb_status pb_fit_make(struct pb_fit *out, const struct pb_form *form, const struct pb_fit_points *points, double huber, struct pb_pool *pool, struct pb_error *err)
{
	struct pb_fit fit = { .form = form, .n = points->n };
	if (points->n < form->n_parameters + 1)
		return pb_fail(err, PB_UNSUPPORTED, "%s: %zu points for %u parameters; it needs at least %u", form->name, points->n, form->n_parameters, form->n_parameters + 1);
	enum pb_status st = take_points(&fit, points, err);
	if (st == PB_OK)
		st = fit_points(&fit, huber, pool, err);
	if (st != PB_OK)
		pb_fit_free(&fit);
	else
		*out = fit;
	return st;
}

void pb_fit_free(struct pb_fit *fit)
{
	pb_free(fit->x);
	pb_free(fit->target);
	fit->x = fit->target = NULL;
}

double pb_fit_value(const struct pb_fit *fit, const double *theta, const double *x)
{
	double seen[PB_FORM_VARIABLES];
	for (unsigned k = 0; k < fit->form->n_variables; k++)
		seen[k] = pb_form_transform(fit->form->variables[k].transform, x[k]);
	double value = fit->form->predict(theta, seen, NULL);
	return fit->form->is_log ? exp(value) : value;
}

/* --- held out --- */

static enum pb_status predict_rest(const struct pb_form *form, const struct pb_fit_points *kept, const double *x, const double *y, size_t n, double huber,
	struct pb_pool *pool, struct pb_held_out *out, struct pb_error *err)
{
	struct pb_fit fit;
	enum pb_status st = pb_fit_make(&fit, form, kept, huber, pool, err);
	if (st != PB_OK)
		return st;
	out->error = 0.0;
	for (size_t i = 0; i < n; i++) {
		double value = pb_fit_value(&fit, fit.theta, x + i * form->n_variables);
		out->error += fabs(form->is_log ? log(y[i] / value) : y[i] - value) / (double)n;
	}
	out->n = n;
	pb_fit_free(&fit);
	return PB_OK;
}

enum pb_status pb_fit_hold_out(const struct pb_form *form, const struct pb_fit_points *points, unsigned variable, double huber, struct pb_pool *pool,
	struct pb_held_out *out, struct pb_error *err)
{
	unsigned n_variables = form->n_variables;
	struct pb_held_out held = { .largest = points->n ? points->x[variable] : NAN };
	double *x = pb_alloc(points->n, n_variables * sizeof *x), *y = pb_alloc(points->n, sizeof *y);
	size_t n_kept = 0, end = points->n;
	if (!x || !y) {
		pb_free(x);
		pb_free(y);
		return pb_out_of_memory(err, "a fit");
	}
	for (size_t i = 0; i < points->n; i++)
		held.largest = fmax(held.largest, points->x[i * n_variables + variable]);
	for (size_t i = 0; i < points->n; i++) {
		size_t to = points->x[i * n_variables + variable] < held.largest ? n_kept++ : --end;
		memcpy(x + to * n_variables, points->x + i * n_variables, n_variables * sizeof *x);
		y[to] = points->y[i];
	}
	const struct pb_fit_points kept = { n_kept, x, y };
	enum pb_status st = predict_rest(form, &kept, x + end * n_variables, y + end, points->n - end, huber, pool, &held, err);
	pb_free(x);
	pb_free(y);
	if (st == PB_OK)
		*out = held;
	return st;
}
