/* Scaling laws in a report: curves with residuals beside them, and tables of parameters, quality and warnings. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/scaling.h"

#define MOST_CURVES 6
#define GRID 40
#define BEYOND 4.0              /* curves are drawn that many times beyond the largest size */

/* --- which curves --- */

/* Full precision first, then those with most points on the front of sizes. */
static int compare_fits(const void *pa, const void *pb)
{
	const struct pb_law_fit *a = *(const struct pb_law_fit *const *)pa, *b = *(const struct pb_law_fit *const *)pb;
	int full_a = strcmp(a->points[0]->row->family, "full precision") == 0, full_b = strcmp(b->points[0]->row->family, "full precision") == 0;
	if (full_a != full_b)
		return full_b - full_a;
	if (a->n_on_front != b->n_on_front)
		return a->n_on_front < b->n_on_front ? 1 : -1;
	return strcmp(a->label, b->label);
}

struct group {
	const struct pb_law_fit *first;     /* of the same front and law */
	size_t n, n_fitted;
	const struct pb_law_fit *drawn[MOST_CURVES];
	size_t n_drawn, n_of_family;        /* of the family that is drawn */
};

static size_t count_family(const struct group *g, const char *family)
{
	size_t n = 0;
	for (size_t i = 0; i < g->n; i++)
		n += !g->first[i].reason && strcmp(g->first[i].family, family) == 0;
	return n;
}

/* The family with most fits is drawn. */
static void choose(struct group *g, struct pb_section *section)
{
	const struct pb_law_fit **fits = pb_arena_alloc(section->arena, g->n, sizeof *fits);
	const char *family = NULL;
	size_t n = 0;
	if (!fits) {
		section->failed = true;
		return;
	}
	for (size_t i = 0; i < g->n; i++) {
		size_t count = g->first[i].reason ? 0 : count_family(g, g->first[i].family);
		g->n_fitted += !g->first[i].reason;
		if (count > g->n_of_family) {
			g->n_of_family = count;
			family = g->first[i].family;
		}
	}
	for (size_t i = 0; i < g->n; i++)
		if (!g->first[i].reason && strcmp(g->first[i].family, family) == 0)
			fits[n++] = &g->first[i];
	if (n > 1)
		qsort(fits, n, sizeof *fits, compare_fits);
	g->n_drawn = n < MOST_CURVES ? n : MOST_CURVES;
	memcpy(g->drawn, fits, g->n_drawn * sizeof *fits);
}

/* --- curves --- */

static bool is_log(const struct pb_law_fit *f)
{
	return f->form->is_log;
}

/* Places on the x axis: parameters, or bytes for bits. */
static double shown_x(const struct pb_law_fit *f, double x)
{
	return f->law == PB_LAW_ACCURACY ? x / 8.0 : x;
}

static double shown_y(const struct pb_law_fit *f, double y)
{
	return is_log(f) ? y : 100.0 * y;
}

static double curve(const struct pb_law_fit *f, const double *theta, double x)
{
	const double at[] = { x, f->form->n_variables > 1 ? f->x[1] : 0.0 };
	return shown_y(f, pb_fit_value(&f->fit, theta, at));
}

/* An interval of the curve from its resamples. */
static void band_at(const struct pb_law_fit *f, double x, double *low, double *high)
{
	double values[PB_SCALING_RESAMPLES], scratch[PB_SCALING_RESAMPLES];
	for (size_t r = 0; r < PB_SCALING_RESAMPLES; r++)
		values[r] = curve(f, f->thetas + r * f->form->n_parameters, x);
	pb_fit_percentiles(values, PB_SCALING_RESAMPLES, 1, scratch, low, high);
}

/* Fills a line from x0 to x1 in equal steps of the logarithm; false when memory is out. */
static bool fill_line(struct pb_chart_series *s, const struct pb_law_fit *f, double x0, double x1, bool band, struct pb_arena *arena)
{
	double *numbers = pb_arena_alloc(arena, 4 * GRID, sizeof *numbers);
	if (!numbers)
		return false;
	s->n = GRID;
	s->x = numbers;
	s->y = numbers + GRID;
	for (size_t i = 0; i < GRID; i++) {
		double x = i + 1 == GRID ? x1 : x0 * pow(x1 / x0, (double)i / (GRID - 1));
		numbers[i] = shown_x(f, x);
		numbers[GRID + i] = curve(f, f->fit.theta, x);
		if (band)
			band_at(f, x, &numbers[2 * GRID + i], &numbers[3 * GRID + i]);
	}
	if (band) {
		s->low = numbers + 2 * GRID;
		s->high = numbers + 3 * GRID;
		s->band = true;
	} else
		s->line = true;
	return true;
}

static bool fill_points(struct pb_chart_series *s, const struct pb_law_fit *f, bool residuals, struct pb_arena *arena)
{
	double *numbers = pb_arena_alloc(arena, 4 * f->n, sizeof *numbers);
	const char **tooltips = pb_arena_alloc(arena, f->n, sizeof *tooltips);
	if (!numbers || !tooltips)
		return false;
	s->n = f->n;
	s->x = numbers;
	s->y = numbers + f->n;
	s->low = numbers + 2 * f->n;
	s->high = numbers + 3 * f->n;
	s->tooltips = tooltips;
	s->marks = true;
	for (size_t i = 0; i < f->n; i++) {
		double error = PB_Z95 * f->errors[i], residual = pb_fit_residual(&f->fit, i);
		double relative = is_log(f) ? error / f->y[i] : error;
		numbers[i] = shown_x(f, f->x[i * f->form->n_variables]);
		numbers[f->n + i] = residuals ? 100.0 * residual : shown_y(f, f->y[i]);
		numbers[2 * f->n + i] = residuals ? 100.0 * (residual - relative) : shown_y(f, f->y[i] - error);
		numbers[3 * f->n + i] = residuals ? 100.0 * (residual + relative) : shown_y(f, f->y[i] + error);
		tooltips[i] = pb_arena_printf(arena, "%s, %s\nmeasured %.5g, fit %.5g", f->label, f->points[i]->row->model, shown_y(f, f->y[i]),
			shown_y(f, is_log(f) ? f->y[i] * exp(-residual) : f->y[i] - residual));
		if (!tooltips[i])
			return false;
	}
	return true;
}

/* Series of a panel: for each curve its band (of the first), line, continuation and points; or its residuals alone. */
static bool fill_series(struct pb_chart_series *series, size_t *n, const struct group *g, bool residuals, struct pb_arena *arena)
{
	for (size_t i = 0; i < g->n_drawn; i++) {
		const struct pb_law_fit *f = g->drawn[i];
		const struct pb_chart_series own = { .name = f->label, .no_name = true, .ink = i ? pb_chart_ink(i - 1) : PB_INK_FULL, .shape = i ? pb_chart_shape(i - 1) : PB_SHAPE_CROSS };
		double x0 = f->x[0], x1 = f->x[0];
		for (size_t k = 1; k < f->n; k++) {
			x0 = fmin(x0, f->x[k * f->form->n_variables]);
			x1 = fmax(x1, f->x[k * f->form->n_variables]);
		}
		for (int k = 0; k < 3 && !residuals; k++) {
			struct pb_chart_series *s = &series[*n];
			*s = own;
			if (k == 0 && i > 0)
				continue;
			s->dash = k == 2 ? PB_DASHED : PB_SOLID;
			if (!fill_line(s, f, k == 2 ? x1 : x0, k == 1 ? x1 : BEYOND * x1, k == 0, arena))
				return false;
			++*n;
		}
		series[*n] = own;
		series[*n].no_name = false;
		if (!fill_points(&series[*n], f, residuals, arena))
			return false;
		++*n;
	}
	return true;
}

static void add_panel(struct pb_section *section, const struct group *g, bool residuals)
{
	static const struct pb_chart_reference zero[] = { { 0.0, "" } };
	const struct pb_front *front = g->first->front;
	bool loss = g->first->law == PB_LAW_LOSS;
	struct pb_chart_series *series = pb_arena_alloc(section->arena, 4 * g->n_drawn, sizeof *series);
	size_t n = 0;
	const char *slug = pb_arena_printf(section->arena, "scaling-%s%s", front->slug, residuals ? "-residuals" : "");
	const char *title = pb_arena_printf(section->arena, residuals ? "%s: residuals of the fits" : loss ? "%s by parameters" : "%s by size", front->title);
	const char *description = pb_arena_printf(section->arena, "%s of %s: %zu fitted curves", residuals ? "residuals" : "measurements and fits", front->title, g->n_drawn);
	const char *note = pb_arena_printf(section->arena, "Model family %s. %zu of the %zu settings with a fit: full precision, then those with most points on the front of sizes.",
		g->drawn[0]->family, g->n_drawn, g->n_of_family);
	if (!series || !slug || !title || !description || !note || !fill_series(series, &n, g, residuals, section->arena)) {
		section->failed = true;
		return;
	}
	struct pb_section_chart chart = { .slug = slug, .note = note, .panel = true,
		.chart = { .title = title, .description = description, .x_title = loss ? "parameters, log scale" : "model size (everything that runs), log scale",
			.x_kind = loss ? PB_AXIS_COUNT : PB_AXIS_BYTES, .series = series, .n_series = n } };
	if (residuals) {
		chart.caption = "Measured over fitted, with the 95 % interval of what was measured.";
		chart.chart.y_title = loss ? "residual, %" : "residual, percentage points";
		chart.chart.references = zero;
		chart.chart.n_references = 1;
	} else {
		chart.caption = "Points: measured, with 95 % intervals. Lines: fits, dashed beyond the largest size. Grey: 95 % of the resampled fits of full precision, or of the first setting.";
		chart.chart.y_title = loss ? pb_arena_printf(section->arena, "%s (lower is better), log scale", front->metric) : "accuracy, %";
		chart.chart.y_kind = loss ? PB_AXIS_LOG : PB_AXIS_LINEAR;
		section->failed = section->failed || !chart.chart.y_title;
	}
	pb_section_chart(section, &chart);
}

/* --- tables --- */

/* Estimate and interval; an end that was not found is the end of the range for a plain parameter. */
static void add_parameter(struct pb_section_table *table, const struct pb_law_fit *f, unsigned k)
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

static void add_number(struct pb_section_table *table, double value, const char *format)
{
	char buffer[32];
	if (isfinite(value))
		snprintf(buffer, sizeof buffer, format, value);
	pb_table_number(table, value, "%s", isfinite(value) ? buffer : "n/a");
}

static void add_warnings(struct pb_section_table *table, unsigned warnings)
{
	struct pb_text t = { 0 };
	for (unsigned bit = 0; bit < PB_FIT_WARNINGS; bit++)
		if (warnings & 1u << bit)
			pb_text_printf(&t, "%s%s", t.length ? "; " : "", pb_fit_warning_text(bit));
	pb_table_text(table, "%s", pb_text_c(&t));
	pb_text_free(&t);
}

static void add_identity(struct pb_section_table *table, const struct pb_law_fit *f)
{
	pb_table_text(table, "%s", f->family);
	pb_table_text(table, "%s", f->label);
	pb_table_number(table, (double)f->n, "%zu", f->n);
}

static void add_parameters_table(struct pb_section *section, const struct group *g)
{
	const struct pb_form *form = g->first->form;
	struct pb_section_column *columns = pb_arena_alloc(section->arena, 3 + PB_FORM_PARAMETERS, sizeof *columns);
	if (!columns) {
		section->failed = true;
		return;
	}
	columns[0] = (struct pb_section_column){ "models", false, false };
	columns[1] = (struct pb_section_column){ "setting", false, true };
	columns[2] = (struct pb_section_column){ "points", true, false };
	for (unsigned k = 0; k < form->n_parameters; k++)
		columns[3 + k] = (struct pb_section_column){ form->parameters[k].name, true, false };
	struct pb_section_table *table = pb_section_table(section, columns, 3 + form->n_parameters);
	for (size_t i = 0; table && i < g->n; i++) {
		const struct pb_law_fit *f = &g->first[i];
		if (f->reason)
			continue;
		add_identity(table, f);
		for (unsigned k = 0; k < form->n_parameters; k++)
			add_parameter(table, f, k);
	}
}

static void add_loss_quality(struct pb_section *section, const struct group *g)
{
	static const struct pb_section_column columns[] = {
		{ "setting", false, true }, { "residual, %", true, false }, { "held out, %", true, false }, { "line, %", true, false }, { "AICc to line", true, false },
		{ "effective", true, false }, { "at 16 bits", true, false }, { "warnings", false, true },
	};
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; table && i < g->n; i++) {
		const struct pb_law_fit *f = &g->first[i];
		if (f->reason)
			continue;
		pb_table_text(table, "%s", f->label);
		add_number(table, 100.0 * f->fit.deviation, "%.2f");
		add_number(table, f->held.n ? 100.0 * f->held.error : NAN, "%.2f");
		add_number(table, f->held_straight.n ? 100.0 * f->held_straight.error : NAN, "%.2f");
		add_number(table, f->aicc - f->aicc_straight, "%+.1f");
		add_number(table, f->effective_params, "%.3f");
		add_number(table, f->effective_per_bit, "%.2f");
		add_warnings(table, f->fit.warnings);
	}
	pb_section_note(section, "residual: deviation around the fit. held out: error at the largest size of a fit to the others; line: the same of a straight line in log-log; "
		"AICc to line: negative speaks for the law, n/a with too few points. effective: parameters of a full-precision model with this loss over those it has, by the law of full "
		"precision (geometric mean over sizes); at 16 bits: that times 16 over the effective bits, above 1 when a full-precision model of equal weight memory is worse.");
}

static void add_accuracy_quality(struct pb_section *section, const struct group *g)
{
	static const struct pb_section_column columns[] = {
		{ "setting", false, true }, { "residual, pp", true, false }, { "held out, pp", true, false }, { "starts", true, false }, { "reached", true, false }, { "warnings", false, true },
	};
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; table && i < g->n; i++) {
		const struct pb_law_fit *f = &g->first[i];
		if (f->reason)
			continue;
		pb_table_text(table, "%s", f->label);
		add_number(table, 100.0 * f->fit.deviation, "%.2f");
		add_number(table, f->held.n ? 100.0 * f->held.error : NAN, "%.2f");
		pb_table_number(table, (double)f->fit.n_starts, "%zu", f->fit.n_starts);
		pb_table_number(table, (double)f->fit.n_reached, "%zu", f->fit.n_reached);
		add_warnings(table, f->fit.warnings);
	}
	pb_section_note(section, "residual: deviation around the fit, held out: error at the largest size of a fit to the others, both in percentage points. "
		"starts: of the search; reached: how many ended at the best objective.");
}

/* Both laws of a method side by side; fits of the second stand in the same order. */
static void add_degradations(struct pb_section *section, const struct group *power, const struct group *decay)
{
	static const struct pb_section_column columns[] = {
		{ "models", false, false }, { "method", false, true }, { "points", true, false }, { "left out", true, false }, { "alpha", true, false }, { "gamma", true, false }, { "residual, %", true, false },
		{ "gamma_N", true, false }, { "gamma (exp)", true, false }, { "residual (exp), %", true, false }, { "AICc, power less exp", true, false },
	};
	if (!power->n_fitted)
		return;
	pb_section_heading(section, "%s: what quantization adds to the loss", power->first->front->title);
	pb_section_text(section, "%s (power) and %s (exp), where delta is the loss above full precision of the same model, P the effective bits. "
		"Both fit few widths; beyond these they differ.", power->first->form->formula, decay->first->form->formula);
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; table && i < power->n && i < decay->n; i++) {
		const struct pb_law_fit *f = &power->first[i], *e = &decay->first[i];
		if (f->reason || e->reason)
			continue;
		add_identity(table, f);
		pb_table_number(table, (double)f->n_left_out, "%zu", f->n_left_out);
		add_parameter(table, f, 1);
		add_parameter(table, f, 2);
		add_number(table, 100.0 * f->fit.deviation, "%.1f");
		add_parameter(table, e, 1);
		add_parameter(table, e, 2);
		add_number(table, 100.0 * e->fit.deviation, "%.1f");
		add_number(table, f->aicc - e->aicc, "%+.1f");
	}
	pb_section_note(section, "left out: points whose loss is not above full precision\u2019s. A negative difference of AICc speaks for the power law. Intervals: profiles, 95 %%.");
}

/* --- the section --- */

/* Why settings have no fit, each reason once with how many have it. */
static void add_reasons(struct pb_section *section, const struct group *g)
{
	for (size_t i = 0; i < g->n; i++) {
		size_t same = 0;
		bool first = true;
		for (size_t k = 0; k < g->n && g->first[i].reason; k++)
			if (g->first[k].reason && strcmp(g->first[k].reason, g->first[i].reason) == 0) {
				first = first && k >= i;
				same++;
			}
		if (same && first)
			pb_section_note(section, "No fit of %s for %zu %s (%s, %s%s): %s.", g->first[i].front->title, same, same == 1 ? "setting" : "settings", g->first[i].family, g->first[i].label,
				same > 1 ? " and others" : "", g->first[i].reason);
	}
}

static void add_group(struct pb_section *section, struct group *g)
{
	bool loss = g->first->law == PB_LAW_LOSS;
	if (g->n_fitted) {
		pb_section_heading(section, "%s: %s", g->first->front->title, g->first->form->formula);
		add_panel(section, g, false);
		add_panel(section, g, true);
		add_parameters_table(section, g);
		pb_section_note(section, "In brackets: profiles, 95 %%.%s", loss ? "" : " Ends at 0 or 1 may be those of the range.");
		if (loss)
			add_loss_quality(section, g);
		else
			add_accuracy_quality(section, g);
	}
	add_reasons(section, g);
}

static struct group group_at(const struct pb_scaling *scaling, size_t i)
{
	struct group g = { .first = &scaling->fits[i] };
	while (i + g.n < scaling->n && scaling->fits[i + g.n].front == g.first->front && scaling->fits[i + g.n].law == g.first->law)
		g.n++;
	return g;
}

void pb_scaling_section(struct pb_section *out, const struct pb_scaling *scaling)
{
	struct pb_text csv = { 0 };
	struct pb_error ignored;
	pb_section_init(out, scaling->arena, "scaling", "Scaling laws");
	pb_section_text(out, "Fits over the sizes of one model family (models whose names differ in a size alone), for each setting that was run on at least %d of them: Huber loss with a "
		"threshold of 1.345 robust deviations, L-BFGS from a grid of starts. Intervals are 95 %%: profiles of the objective with an F test; resampled ones are in fits.csv.", PB_SCALING_SIZES);
	for (size_t i = 0; i < scaling->n;) {
		struct group g = group_at(scaling, i);
		choose(&g, out);
		i += g.n;
		if (g.first->law != PB_LAW_DEGRADATION) {
			add_group(out, &g);
			continue;
		}
		struct group decay = group_at(scaling, i);
		choose(&decay, out);
		i += decay.n;
		add_degradations(out, &g, &decay);
	}
	if (pb_scaling_csv(scaling, &csv, &ignored) != PB_OK)
		out->failed = true; /* memory is all that can be missing */
	pb_section_file(out, "fits.csv", "All fits, with 17 digits", &csv);
}
