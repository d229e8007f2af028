/* paretobench fit: a scaling law fitted to the columns of a CSV file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/csv.h"
#include "core/base/file.h"
#include "harness/cli/cli.h"
#include "reports/stats/fit.h"
#include "reports/stats/statistics.h"

#define LARGEST_FILE (64u << 20)
#define RESAMPLES 1000
#define SEED 42

struct fit_state {
	const char *form, *y, *format;
	const char *columns[PB_FORM_VARIABLES + 1];     /* "name=column", as given */
	size_t n_columns;
	const char *at[PB_FORM_PARAMETERS];             /* "name=value", as given */
	size_t n_at;
	double huber;
	uint64_t drop;
	bool no_bootstrap;
};

static const struct pb_flag flags[] = {
	{ "form", 'f', "FORM", "the law (default: power); listed above" },
	{ "x", 'x', "NAME=COLUMN", "column of a variable; once each (default: the column of its name). flop=COLUMN: tokens are that over 6 params" },
	{ "y", 'y', "COLUMN", "column of what is predicted (default: loss)" },
	{ "huber", 0, "D", "threshold of the loss of a residual (default: 1.345 robust deviations)" },
	{ "drop-largest", 0, "N", "leaves out the N points of largest values" },
	{ "at", 0, "NAME=VALUE", "also how well other parameters do, published ones: once for each parameter of the form" },
	{ "no-bootstrap", 0, NULL, "intervals by profiles alone" },
	{ "format", 0, "FORMAT", "table or csv, with 17 digits (default: table)" },
	{ NULL, 0, NULL, NULL },
};

static enum pb_status fit_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct fit_state *s = state;

	(void)cli;
	if (strcmp(name, "form") == 0)
		s->form = value;
	else if (strcmp(name, "y") == 0)
		s->y = value;
	else if (strcmp(name, "no-bootstrap") == 0)
		s->no_bootstrap = true;
	else if (strcmp(name, "at") == 0) {
		if (!strchr(value, '=') || s->n_at == PB_FORM_PARAMETERS)
			return pb_fail(err, PB_USAGE, "--at %s: give NAME=VALUE, once for each parameter of the form", value);
		s->at[s->n_at++] = value;
	} else if (strcmp(name, "drop-largest") == 0)
		return pb_cli_count(name, value, 0, 1000000, &s->drop, err);
	else if (strcmp(name, "huber") == 0) {
		if (!pb_parse_double(value, &s->huber) || !(s->huber > 0))
			return pb_fail(err, PB_USAGE, "--huber %s: a number above 0", value);
	} else if (strcmp(name, "format") == 0) {
		s->format = value;
		if (strcmp(value, "table") != 0 && strcmp(value, "csv") != 0)
			return pb_fail(err, PB_USAGE, "--format %s: choose one of table, csv", value);
	} else {
		if (!strchr(value, '=') || s->n_columns > PB_FORM_VARIABLES)
			return pb_fail(err, PB_USAGE, "--x %s: give NAME=COLUMN, once for each variable of the form", value);
		s->columns[s->n_columns++] = value;
	}
	return PB_OK;
}

static enum pb_status find_form(const char *name, const struct pb_form **form, struct pb_error *err)
{
	const char *names[32];
	const char *near;

	*form = pb_form_find(name);
	if (*form)
		return PB_OK;
	for (size_t i = 0; i < pb_n_forms; i++)
		names[i] = pb_forms[i]->name;
	near = pb_nearest(name, names, pb_n_forms);
	return near ? pb_fail(err, PB_USAGE, "--form %s: no such form; did you mean %s?", name, near)
		: pb_fail(err, PB_USAGE, "--form %s: no such form\nsee 'paretobench fit --help'", name);
}

/* --- columns --- */

static enum pb_status find_column(const struct pb_csv *csv, const char *file, const char *name, size_t *column, struct pb_error *err)
{
	for (size_t k = 0; csv->n_rows && k < csv->n_fields[0]; k++)
		if (csv->fields[0][k] && strcmp(csv->fields[0][k], name) == 0) {
			*column = k;
			return PB_OK;
		}
	return pb_fail(err, PB_USAGE, "%s:1: no column '%s'", file, name);
}

/* The column given for a variable, or NULL. */
static const char *given(const struct fit_state *s, const char *variable)
{
	for (size_t i = 0; i < s->n_columns; i++)
		if (strncmp(s->columns[i], variable, strlen(variable)) == 0 && s->columns[i][strlen(variable)] == '=')
			return s->columns[i] + strlen(variable) + 1;
	return NULL;
}

static enum pb_status check_given(const struct fit_state *s, const struct pb_form *form, struct pb_error *err)
{
	for (size_t i = 0; i < s->n_columns; i++) {
		int length = (int)(strchr(s->columns[i], '=') - s->columns[i]);
		bool known = false;

		for (unsigned k = 0; k < form->n_variables; k++) {
			const char *name = form->variables[k].name;

			known = known || ((int)strlen(name) == length && strncmp(name, s->columns[i], (size_t)length) == 0);
			known = known || (strcmp(name, "tokens") == 0 && length == 4 && strncmp("flop", s->columns[i], 4) == 0);
		}
		if (!known)
			return pb_fail(err, PB_USAGE, "--x %s: form %s has no variable '%.*s'", s->columns[i], form->name, length, s->columns[i]);
	}
	return PB_OK;
}

/* Parameters given by --at, as the optimizer has them. */
static enum pb_status read_at(const struct fit_state *s, const struct pb_form *form, double *theta, struct pb_error *err)
{
	for (unsigned k = 0; s->n_at && k < form->n_parameters; k++) {
		const char *name = form->parameters[k].name;
		size_t n = strlen(name), found = 0;

		for (size_t i = 0; i < s->n_at; i++) {
			if (strncmp(s->at[i], name, n) != 0 || s->at[i][n] != '=')
				continue;
			if (found++ || !pb_parse_double(s->at[i] + n + 1, &theta[k]) || !isfinite(theta[k]) || (form->parameters[k].is_log && !(theta[k] > 0)))
				return pb_fail(err, PB_USAGE, "--at %s: once, and a number%s", s->at[i], form->parameters[k].is_log ? " above 0" : "");
			theta[k] = form->parameters[k].is_log ? log(theta[k]) : theta[k];
		}
		if (!found)
			return pb_fail(err, PB_USAGE, "--at: form %s has a parameter %s, too; give all of them", form->name, name);
	}
	return s->n_at > form->n_parameters ? pb_fail(err, PB_USAGE, "--at: form %s has %u parameters, %zu are given", form->name, form->n_parameters, s->n_at) : PB_OK;
}

/* A field as a number that the form can take; NaN when it is absent. */
static enum pb_status number(const struct pb_csv *csv, const char *file, size_t row, size_t column, enum pb_transform transform, double *out, struct pb_error *err)
{
	const char *field = column < csv->n_fields[row] ? csv->fields[row][column] : NULL;

	*out = NAN;
	if (field && !pb_parse_double(field, out))
		return pb_fail(err, PB_FORMAT, "%s:%u: %s: '%.40s' is not a number", file, csv->lines[row], csv->fields[0][column], field);
	if (field && isnan(pb_form_transform(transform, *out)))
		return pb_fail(err, PB_FORMAT, "%s:%u: %s: %s has no logarithm", file, csv->lines[row], csv->fields[0][column], field);
	return PB_OK;
}

static int compare_down(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;

	return (a < b) - (a > b);
}

/* Keeps the points below the n-th largest value. */
static enum pb_status drop_largest(struct pb_arena *arena, double *x, unsigned n_variables, double *y, size_t *n, size_t drop, struct pb_error *err)
{
	double *sorted = pb_arena_alloc(arena, *n, sizeof(*sorted));
	size_t kept = 0;

	if (!sorted)
		return pb_out_of_memory(err, "a fit");
	if (drop > *n)
		return pb_fail(err, PB_USAGE, "--drop-largest %zu: there are %zu points", drop, *n);
	if (!drop)
		return PB_OK;
	memcpy(sorted, y, *n * sizeof(*y));
	qsort(sorted, *n, sizeof(*sorted), compare_down);
	for (size_t i = 0; i < *n; i++)
		if (y[i] < sorted[drop - 1]) {
			memmove(x + kept * n_variables, x + i * n_variables, n_variables * sizeof(*x));
			y[kept++] = y[i];
		}
	*n = kept;
	return PB_OK;
}

/* A law of what never changes cannot be told from its constant. The level of chance is no such variable. */
static enum pb_status check_varies(const struct pb_form *form, const char *file, const struct pb_fit_points *points, struct pb_error *err)
{
	for (unsigned k = 0; points->n > 1 && k < form->n_variables; k++) {
		bool varies = strcmp(form->variables[k].name, "chance") == 0;

		for (size_t i = 1; !varies && i < points->n; i++)
			varies = points->x[i * form->n_variables + k] != points->x[k];
		if (!varies)
			return pb_fail(err, PB_NUMERIC, "%s: %s: the same in all %zu points, so no law of it can be fitted", file, form->variables[k].name, points->n);
	}
	return PB_OK;
}

/* The points; rows without one of the numbers are counted in *absent. */
static enum pb_status read_points(struct pb_arena *arena, const struct fit_state *s, const struct pb_form *form, const struct pb_csv *csv, const char *file,
	struct pb_fit_points *out, size_t *absent, struct pb_error *err)
{
	size_t columns[PB_FORM_VARIABLES], y_column, n = 0;
	bool is_flop[PB_FORM_VARIABLES] = { false };
	double *x = pb_arena_alloc(arena, csv->n_rows, form->n_variables * sizeof(*x)), *y = pb_arena_alloc(arena, csv->n_rows, sizeof(*y));
	enum pb_status st = x && y ? find_column(csv, file, s->y ? s->y : "loss", &y_column, err) : pb_out_of_memory(err, "a fit");

	for (unsigned k = 0; !st && k < form->n_variables; k++) {
		const char *name = form->variables[k].name, *column = given(s, name);

		if (!column && strcmp(name, "tokens") == 0 && (column = given(s, "flop")))
			is_flop[k] = true;
		st = find_column(csv, file, column ? column : name, &columns[k], err);
	}
	for (size_t r = 1; !st && r < csv->n_rows; r++) {
		bool whole;

		if (csv->n_fields[r] != csv->n_fields[0])
			return pb_fail(err, PB_FORMAT, "%s:%u: %zu fields where %zu are named", file, csv->lines[r], csv->n_fields[r], csv->n_fields[0]);
		st = number(csv, file, r, y_column, form->is_log ? PB_LN : PB_PLAIN, &y[n], err);
		whole = isfinite(y[n]);
		for (unsigned k = 0; !st && k < form->n_variables; k++) {
			double *at = &x[n * form->n_variables + k];

			st = number(csv, file, r, columns[k], form->variables[k].transform, at, err);
			if (is_flop[k])
				*at /= 6 * x[n * form->n_variables]; /* params come first wherever there are tokens */
			whole = whole && isfinite(*at);
		}
		n += whole;
		*absent += !whole;
	}
	if (!st)
		st = drop_largest(arena, x, form->n_variables, y, &n, s->drop, err);
	if (!st)
		*out = (struct pb_fit_points){ n, x, y };
	return st ? st : check_varies(form, file, out, err);
}

/* --- what is printed --- */

struct results {
	const struct pb_fit *fit;
	struct pb_fit_likelihood likelihood;
	bool has_likelihood;
	double low[PB_FORM_PARAMETERS], high[PB_FORM_PARAMETERS];   /* resampled; NaN: not */
	size_t n_failed;
	struct pb_held_out held;
	size_t n_absent;
	double threshold;
	bool has_at;
	double at[PB_FORM_PARAMETERS];
};

static void put_csv(struct pb_text *t, const struct results *r)
{
	static const char *const names[] = { "parameter", "estimate", "low95", "high95", "bootstrap_low95", "bootstrap_high95", "likelihood_estimate" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		pb_csv_text(t, names[i]);
	pb_csv_end(t);
	for (unsigned k = 0; k < r->fit->form->n_parameters; k++) {
		const double numbers[] = { r->fit->theta[k], r->fit->low[k], r->fit->high[k], r->low[k], r->high[k], r->has_likelihood ? r->likelihood.theta[k] : NAN };

		pb_csv_text(t, r->fit->form->parameters[k].name);
		for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			pb_csv_number(t, pb_form_shown(r->fit->form, k, numbers[i]));
		pb_csv_end(t);
	}
}

static void put_interval(struct pb_text *t, double low, double high)
{
	char text[64] = "n/a";

	if (!isnan(low) && !isnan(high))
		snprintf(text, sizeof(text), "%.5g to %.5g", low, high);
	pb_text_printf(t, "  %-24s", text);
}

/* Other parameters on the same points: by how much the fit is better, and whether that is more than chance. */
static void put_at(struct pb_text *t, const struct results *r)
{
	const struct pb_fit *fit = r->fit;
	double scale, log_likelihood = pb_fit_log_likelihood(fit, r->threshold, r->at, &scale);

	pb_text_string(t, "at");
	for (unsigned k = 0; k < fit->form->n_parameters; k++)
		pb_text_printf(t, "%s %s %.8g", k ? "," : "", fit->form->parameters[k].name, pb_form_shown(fit->form, k, r->at[k]));
	pb_text_printf(t, ": objective %.10g, log-likelihood %.4f", pb_fit_objective_at(fit, r->at), log_likelihood);
	if (r->has_likelihood) {
		double ratio = 2 * (r->likelihood.log_likelihood - log_likelihood), p = pb_chi2_upper(ratio, fit->form->n_parameters);

		pb_text_printf(t, "; likelihood ratio %.4f on %u degrees of freedom, p = %.3g", ratio, fit->form->n_parameters, p);
	}
	pb_text_char(t, '\n');
}

static void put_table(struct pb_text *t, const struct results *r)
{
	const struct pb_fit *fit = r->fit;
	const struct pb_form *form = fit->form;

	pb_text_printf(t, "%s\n%zu points", form->formula, fit->n);
	if (r->n_absent)
		pb_text_printf(t, " (%zu %s without a number left out)", r->n_absent, r->n_absent == 1 ? "row" : "rows");
	pb_text_printf(t, ", %zu of %zu starts reached the best objective\nobjective %.10g, Huber threshold %.4g, deviation of residuals %.4g\n\n%-10s %-14s  %-24s  %-24s  %s\n",
		fit->n_reached, fit->n_starts, fit->objective, fit->huber, fit->deviation, "parameter", "estimate", "95 %, profile", "95 %, bootstrap", "by likelihood");
	for (unsigned k = 0; k < form->n_parameters; k++) {
		pb_text_printf(t, "%-10s %-14.8g", form->parameters[k].name, pb_form_shown(form, k, fit->theta[k]));
		put_interval(t, pb_form_shown(form, k, fit->low[k]), pb_form_shown(form, k, fit->high[k]));
		put_interval(t, pb_form_shown(form, k, r->low[k]), pb_form_shown(form, k, r->high[k]));
		if (r->has_likelihood)
			pb_text_printf(t, "  %.8g\n", pb_form_shown(form, k, r->likelihood.theta[k]));
		else
			pb_text_string(t, "  n/a\n");
	}
	pb_text_char(t, '\n');
	if (r->has_likelihood)
		pb_text_printf(t, "log-likelihood %.4f, AIC %.4f, corrected %.4f (threshold %.4g of the scale)\n", r->likelihood.log_likelihood, r->likelihood.aic, r->likelihood.aicc, r->threshold);
	if (r->has_at)
		put_at(t, r);
	if (r->held.n)
		pb_text_printf(t, "without the %zu %s of the largest %s (%.6g): error there %.3g%s\n", r->held.n, r->held.n == 1 ? "point" : "points", form->variables[0].name, r->held.largest,
			form->is_log ? 100 * r->held.error : r->held.error, form->is_log ? " %" : "");
	for (unsigned bit = 0; bit < PB_FIT_WARNINGS; bit++)
		if (fit->warnings & 1u << bit)
			pb_text_printf(t, "warning: %s\n", pb_fit_warning_text(bit));
}

/* What may fail for few points or hard forms without stopping the command. */
static enum pb_status add_rest(struct results *r, struct pb_fit *fit, const struct pb_fit_points *points, const struct fit_state *s, struct pb_pool *pool,
	struct pb_arena *arena, struct pb_error *err)
{
	unsigned n = fit->form->n_parameters;
	double *thetas = pb_arena_alloc(arena, RESAMPLES, n * sizeof(*thetas)), *scratch = pb_arena_alloc(arena, RESAMPLES, sizeof(*scratch));
	enum pb_status st = thetas && scratch ? pb_fit_profile(fit, err) : pb_out_of_memory(err, "a fit");

	if (!st && !s->no_bootstrap)
		st = pb_fit_bootstrap(fit, RESAMPLES, SEED, pool, thetas, &r->n_failed, err);
	for (unsigned k = 0; !st && k < n; k++) {
		r->low[k] = r->high[k] = NAN;
		if (!s->no_bootstrap)
			pb_fit_percentiles(thetas + k, RESAMPLES, n, scratch, &r->low[k], &r->high[k]);
	}
	if (st)
		return st;
	st = pb_fit_maximise(fit, r->threshold, &r->likelihood, err);
	r->has_likelihood = !st;
	if (st != PB_MEMORY)
		st = pb_fit_hold_out(fit->form, points, 0, s->huber, pool, &r->held, err);
	return st == PB_MEMORY ? st : PB_OK;
}

static enum pb_status run(struct fit_state *s, struct pb_cli *cli, const struct pb_csv *csv, const struct pb_form *form, struct pb_error *err)
{
	struct pb_fit_points points;
	struct pb_fit fit = {0};
	struct results r = { .fit = &fit, .threshold = s->huber > 0 ? s->huber : 1.345, .has_at = s->n_at > 0 };
	struct pb_pool *pool = NULL;
	struct pb_text t = {0};
	enum pb_status st = read_at(s, form, r.at, err);

	if (!st)
		st = read_points(cli->arena, s, form, csv, cli->args[0], &points, &r.n_absent, err);

	if (!st)
		st = pb_cli_pool(cli, &pool, err);
	if (!st && (st = pb_fit_make(&fit, form, &points, s->huber, pool, err)))
		pb_fail_prefix(err, "%s", cli->args[0]);
	if (!st)
		st = add_rest(&r, &fit, &points, s, pool, cli->arena, err);
	if (!st) {
		if (s->format && strcmp(s->format, "csv") == 0)
			put_csv(&t, &r);
		else
			put_table(&t, &r);
		st = pb_print(&t, err);
	}
	pb_text_free(&t);
	pb_fit_free(&fit);
	pb_pool_free(pool);
	return st;
}

static enum pb_status fit_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct fit_state *s = state;
	const struct pb_form *form;
	struct pb_csv csv;
	char *data = NULL;
	size_t size = 0;
	enum pb_status st = find_form(s->form ? s->form : "power", &form, err);

	(void)code;
	if (!st)
		st = check_given(s, form, err);
	if (!st)
		st = pb_file_read_data(cli->args[0], LARGEST_FILE, &data, &size, err);
	if (st)
		return st;
	st = pb_csv_parse(&csv, cli->args[0], data, size, err);
	pb_free(data);
	if (st)
		return st;
	st = run(s, cli, &csv, form, err);
	pb_csv_free(&csv);
	return st;
}

const struct pb_command pb_cmd_fit = {
	.name = "fit",
	.arguments = "FILE.csv",
	.summary = "fit a scaling law to columns of a table",
	.help = "Fits a law to the rows of a CSV file (.gz and .bz2 too), with intervals by profiles and by resampling (1000, seed\n"
		"42), the estimate by likelihood with its AIC, and the error at the largest value of the first variable when that is\n"
		"left out. Forms and their variables:\n\n"
		"  power (params)                            L = E + A / N^alpha\n"
		"  chinchilla (params, tokens)               L = E + A / N^alpha + B / D^beta\n"
		"  precision (params, bits)                  L = E + A / N_eff^alpha, N_eff = N * (1 - exp(-(P - P0) / gamma))\n"
		"  precision_data (params, tokens, bits)     the same + B / D^alpha\n"
		"  degradation (params, tokens, bits)        delta = k * D^beta / (N^alpha * P^gamma)\n"
		"  degradation_bits (params, bits)           the same at one D\n"
		"  degradation_exp (params, tokens, bits)    delta = C * D^gamma_D / N^gamma_N * exp(-P / gamma)\n"
		"  degradation_bits_exp (params, bits)       the same at one D\n"
		"  qat (params, tokens, group_size)          delta = k * D^gamma_D * (log2 G)^gamma_G / N^gamma_N\n"
		"  saturating (total_bits, chance)           acc = c0 + (c1 - c0) / (1 + exp(-(log2(bits) - x0) / w)), c0 = chance\n"
		"  saturating_free (total_bits)              the same, c0 free\n"
		"  saturating_params (params)                the same of N\n"
		"  straight (params)                         L = A / N^alpha\n"
		"  straight_data (params, tokens)            L = A / (N^alpha * D^beta)\n\n"
		"The replication of Chinchilla's fit, on the points that Epoch AI read off its figure (svg_extracted_data.csv):\n\n"
		"  paretobench fit svg_extracted_data.csv --form chinchilla --x 'params=Model Size' --x 'flop=Training FLOP' \\\n"
		"      --y loss --huber 1e-3 --drop-largest 5\n\n"
		"With --at A=406.4 --at B=410.7 --at E=1.69 --at alpha=0.34 --at beta=0.28 it says how badly the printed constants do.",
	.flags = flags,
	.least = 1,
	.most = 1,
	.set = fit_set,
	.state_size = sizeof(struct fit_state),
	.run = fit_run,
};
