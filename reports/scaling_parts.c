#include "reports/scaling_parts.h"

#include <math.h>
#include <string.h>

#define GRID 40
#define BEYOND 4.0              /* curves are drawn that many times beyond the largest size */

struct pb_law_group pb_law_group_at(const struct pb_scaling *scaling, size_t i)
{
	struct pb_law_group g = { .first = &scaling->fits[i] };
	while (i + g.n < scaling->n && scaling->fits[i + g.n].front == g.first->front && scaling->fits[i + g.n].law == g.first->law)
		g.n_fitted += !scaling->fits[i + g.n++].reason;
	return g;
}

/* --- cells --- */

void pb_law_identity(struct pb_section_table *table, const struct pb_law_fit *f)
{
	pb_table_text(table, "%s", f->family);
	pb_table_text(table, "%s", f->label);
	pb_table_number(table, (double)f->n, "%zu", f->n);
}

void pb_law_parameter(struct pb_section_table *table, const struct pb_law_fit *f, unsigned k)
{
	double value = pb_form_shown(f->form, k, f->fit.theta[k]), low = pb_form_shown(f->form, k, f->fit.low[k]), high = pb_form_shown(f->form, k, f->fit.high[k]);
	char ends[2][32];
	const double end[] = { low, high }, range[] = { f->fit.lower[k], f->fit.upper[k] };
	for (int i = 0; i < 2; i++) {
		if (isinf(end[i]) && f->form->parameters[k].is_log)
			snprintf(ends[i], sizeof ends[i], "no end");
		else
			snprintf(ends[i], sizeof ends[i], "%.3g", isinf(end[i]) ? range[i] : end[i]);
	}
	if (isnan(low) || isnan(high))
		pb_table_number(table, value, "%.6g", value);
	else
		pb_table_number(table, value, "%.6g (%s to %s)", value, ends[0], ends[1]);
}

void pb_law_parameters(struct pb_section *section, const struct pb_law_group *g)
{
	const struct pb_form *form = g->first->form;
	struct pb_section_column *columns = pb_arena_alloc(section->arena, 3 + PB_FORM_PARAMETERS, sizeof *columns);
	if (!columns) {
		section->failed = true;
		return;
	}
	columns[0] = (struct pb_section_column){ "Models", false, false };
	columns[1] = (struct pb_section_column){ pb_law_is_of_method(g->first->law) ? "Method" : "Setting", false, true };
	columns[2] = (struct pb_section_column){ "Points", true, false };
	for (unsigned k = 0; k < form->n_parameters; k++)
		columns[3 + k] = (struct pb_section_column){ form->parameters[k].name, true, false };
	struct pb_section_table *table = pb_section_table(section, columns, 3 + form->n_parameters);
	for (size_t i = 0; table && i < g->n; i++) {
		const struct pb_law_fit *f = &g->first[i];
		if (f->reason)
			continue;
		pb_law_identity(table, f);
		for (unsigned k = 0; k < form->n_parameters; k++)
			pb_law_parameter(table, f, k);
	}
}

void pb_law_number(struct pb_section_table *table, double value, const char *format)
{
	char buffer[32];
	if (isfinite(value))
		snprintf(buffer, sizeof buffer, format, value);
	pb_table_number(table, value, "%s", isfinite(value) ? buffer : "n/a");
}

void pb_law_interval(struct pb_section_table *table, double value, double low, double high)
{
	if (!isfinite(value))
		pb_table_number(table, NAN, "n/a");
	else if (isfinite(low) && isfinite(high))
		pb_table_number(table, value, "%.3f (%.3f to %.3f)", value, low, high);
	else
		pb_table_number(table, value, "%.3f", value);
}

void pb_law_warnings(struct pb_section_table *table, unsigned warnings)
{
	struct pb_text t = { 0 };
	for (unsigned bit = 0; bit < PB_FIT_WARNINGS; bit++)
		if (warnings & 1u << bit)
			pb_text_printf(&t, "%s%s", t.length ? "; " : "", pb_fit_warning_text(bit));
	pb_table_text(table, "%s", pb_text_c(&t));
	pb_text_free(&t);
}

void pb_law_quality(struct pb_section *section, const struct pb_law_group *g, const char *what, const char *straight)
{
	const char *error = pb_arena_printf(section->arena, "By a %s, %%", straight), *aicc = pb_arena_printf(section->arena, "AICc to %s", straight);
	if (!error || !aicc) {
		section->failed = true;
		return;
	}
	const struct pb_section_column columns[] = {
		{ what, false, true }, { "Residual, %", true, false }, { "Held out, %", true, false }, { error, true, false }, { aicc, true, false }, { "Starts", true, false },
		{ "Reached", true, false }, { "Warnings", false, true },
	};
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; table && i < g->n; i++) {
		const struct pb_law_fit *f = &g->first[i];
		if (f->reason)
			continue;
		pb_table_text(table, "%s", f->label);
		pb_law_number(table, 100.0 * f->fit.deviation, "%.2f");
		pb_law_number(table, f->held.n ? 100.0 * f->held.error : NAN, "%.2f");
		pb_law_number(table, f->held_straight.n ? 100.0 * f->held_straight.error : NAN, "%.2f");
		pb_law_number(table, f->aicc - f->aicc_straight, "%+.1f");
		pb_table_number(table, (double)f->fit.n_starts, "%zu", f->fit.n_starts);
		pb_table_number(table, (double)f->fit.n_reached, "%zu", f->fit.n_reached);
		pb_law_warnings(table, f->fit.warnings);
	}
}

void pb_law_reasons(struct pb_section *section, const struct pb_law_group *g)
{
	const bool of_method = g->n && pb_law_is_of_method(g->first->law);
	for (size_t i = 0; i < g->n; i++) {
		size_t same = 0;
		bool first = true;
		for (size_t k = 0; k < g->n && g->first[i].reason; k++)
			if (g->first[k].reason && strcmp(g->first[k].reason, g->first[i].reason) == 0) {
				first = first && k >= i;
				same++;
			}
		if (same && first)
			pb_section_note(section, "No fit of %s%s for %zu %s%s (%s, %s%s): %s.", g->first[i].front->title, pb_law_is_of_data(g->first->law) ? " with tokens" : of_method ? " by parameters and bits" : "", same, of_method ? "method" : "setting",
				same == 1 ? "" : "s", g->first[i].family, g->first[i].label, same > 1 ? " and others" : "", g->first[i].reason);
	}
}

/* --- curves --- */

/* Places on the axes: bytes for bits, percent for accuracies. */
static double shown_x(const struct pb_law_fit *f, double x)
{
	return f->form->variables[0].transform == PB_LOG2 && isfinite(f->items[0]->point->bytes) ? x / 8.0 : x;
}

static double shown_y(const struct pb_law_fit *f, double y)
{
	return f->form->is_log ? y : 100.0 * y;
}

static double value_at(const struct pb_law_curve *c, const double *theta, double x)
{
	const double at[] = { x, c->second };
	return shown_y(c->fit, pb_fit_value(&c->fit->fit, theta, at));
}

/* An interval of the curve from its resamples. */
static void band_at(const struct pb_law_curve *c, double x, double *low, double *high)
{
	double values[PB_SCALING_RESAMPLES], scratch[PB_SCALING_RESAMPLES];
	for (size_t r = 0; r < PB_SCALING_RESAMPLES; r++)
		values[r] = value_at(c, c->fit->thetas + r * c->fit->form->n_parameters, x);
	pb_fit_percentiles(values, PB_SCALING_RESAMPLES, 1, scratch, low, high);
}

/* A line from x0 to x1 in equal steps of the logarithm; false when memory is out. */
static bool fill_line(struct pb_chart_series *s, const struct pb_law_curve *c, double x0, double x1, bool band, struct pb_arena *arena)
{
	double *numbers = pb_arena_alloc(arena, 4 * GRID, sizeof *numbers);
	if (!numbers)
		return false;
	s->n = GRID;
	s->x = numbers;
	s->y = numbers + GRID;
	for (size_t i = 0; i < GRID; i++) {
		double x = i + 1 == GRID ? x1 : x0 * pow(x1 / x0, (double)i / (GRID - 1));
		numbers[i] = shown_x(c->fit, x);
		numbers[GRID + i] = value_at(c, c->fit->fit.theta, x);
		if (band)
			band_at(c, x, &numbers[2 * GRID + i], &numbers[3 * GRID + i]);
	}
	if (band) {
		s->low = numbers + 2 * GRID;
		s->high = numbers + 3 * GRID;
		s->band = true;
	} else
		s->line = true;
	return true;
}

static bool is_of(const struct pb_law_curve *c, size_t i)
{
	return isnan(c->wbits) || c->fit->items[i]->point->row->wbits == c->wbits;
}

static bool fill_points(struct pb_chart_series *s, const struct pb_law_curve *c, bool residuals, struct pb_arena *arena)
{
	const struct pb_law_fit *f = c->fit;
	double *numbers = pb_arena_alloc(arena, 4 * f->n, sizeof *numbers);
	const char **tooltips = pb_arena_alloc(arena, f->n, sizeof *tooltips);
	if (!numbers || !tooltips)
		return false;
	double *x = numbers, *y = numbers + f->n, *low = numbers + 2 * f->n, *high = numbers + 3 * f->n;
	*s = c->style;
	s->x = x;
	s->y = y;
	s->low = low;
	s->high = high;
	s->tooltips = tooltips;
	s->marks = true;
	for (size_t i = 0; i < f->n; i++) {
		double error = PB_Z95 * f->errors[i], residual = pb_fit_residual(&f->fit, i);
		double relative = f->form->is_log ? error / f->y[i] : error;
		if (!is_of(c, i))
			continue;
		x[s->n] = shown_x(f, f->x[i * f->form->n_variables]);
		y[s->n] = residuals ? 100.0 * residual : shown_y(f, f->y[i]);
		low[s->n] = residuals ? 100.0 * (residual - relative) : shown_y(f, f->y[i] - error);
		high[s->n] = residuals ? 100.0 * (residual + relative) : shown_y(f, f->y[i] + error);
		tooltips[s->n] = pb_arena_printf(arena, "%s, %s\nmeasured %.5g, fit %.5g", f->items[i]->point->row->label, f->items[i]->point->row->model, shown_y(f, f->y[i]),
			shown_y(f, f->form->is_log ? f->y[i] * exp(-residual) : f->y[i] - residual));
		if (!tooltips[s->n++])
			return false;
	}
	return true;
}

void pb_law_range(const struct pb_law_curve *c, double *low, double *high)
{
	*low = INFINITY;
	*high = 0.0;
	for (size_t i = 0; i < c->fit->n; i++)
		if (is_of(c, i)) {
			*low = fmin(*low, c->fit->x[i * c->fit->form->n_variables]);
			*high = fmax(*high, c->fit->x[i * c->fit->form->n_variables]);
		}
}

bool pb_law_draw(struct pb_chart_series *series, size_t *n, const struct pb_law_curve *c, bool band, bool residuals, struct pb_arena *arena)
{
	double x0, x1;
	pb_law_range(c, &x0, &x1);
	for (int k = band ? 0 : 1; k < 3 && !residuals; k++) {
		struct pb_chart_series *s = &series[(*n)++];
		*s = c->style;
		s->no_name = true;
		s->dash = k == 2 ? PB_DASHED : PB_SOLID;
		if (!fill_line(s, c, k == 2 ? x1 : x0, k == 1 ? x1 : BEYOND * x1, k == 0, arena))
			return false;
	}
	return fill_points(&series[(*n)++], c, residuals, arena);
}
