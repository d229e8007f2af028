/* Scaling laws with tokens in a report: full precision by parameters and tokens, where a compute is best spent, methods with both. */
#include <math.h>
#include <string.h>

#include "core/base/csv.h"
#include "reports/scaling_parts.h"

#define MOST_SIZES 8
#define GRID 40

/* --- the optimum --- */

bool pb_scaling_has_optimum(const struct pb_law_fit *f)
{
	return (f->law == PB_LAW_DATA || f->law == PB_LAW_PRECISION_DATA) && !f->reason && !(f->fit.warnings & (PB_FIT_AT_BOUND | PB_FIT_FLAT | PB_FIT_UNFINISHED));
}

void pb_scaling_computes(const struct pb_law_fit *data, double computes[PB_SCALING_COMPUTES])
{
	double largest = 0.0;
	for (size_t i = 0; i < data->n; i++) {
		const double *x = data->x + i * data->form->n_variables;
		largest = fmax(largest, 6.0 * x[0] * x[1]);
	}
	for (int k = 0; k < PB_SCALING_COMPUTES; k++)
		computes[k] = largest * pow(10.0, k);
}

/* The parameters as those of the form "chinchilla": with bits, both exponents are one. */
static void as_chinchilla(const struct pb_law_fit *f, const double *theta, double out[5])
{
	memcpy(out, theta, 4 * sizeof *out);
	out[4] = f->law == PB_LAW_DATA ? theta[4] : theta[3];
}

struct pb_optimum pb_scaling_optimum(const struct pb_law_fit *data, double compute)
{
	struct pb_optimum o;
	double theta[5], draws[3][PB_SCALING_RESAMPLES], scratch[PB_SCALING_RESAMPLES];
	double *const shown[] = { o.params, o.tokens, o.ratio };
	as_chinchilla(data, data->fit.theta, theta);
	pb_chinchilla_optimum(theta, compute, &o.params[0], &o.tokens[0]);
	o.ratio[0] = o.tokens[0] / o.params[0];
	o.loss = exp(theta[2]) + exp(theta[0] - theta[3] * log(o.params[0])) + exp(theta[1] - theta[4] * log(o.tokens[0]));
	/* Of the optimum itself: its parameters are far from independent. */
	for (size_t r = 0; r < PB_SCALING_RESAMPLES; r++) {
		as_chinchilla(data, data->thetas + r * data->form->n_parameters, theta);
		pb_chinchilla_optimum(theta, compute, &draws[0][r], &draws[1][r]);
		draws[2][r] = draws[1][r] / draws[0][r];
	}
	for (int k = 0; k < 3; k++)
		pb_fit_percentiles(draws[k], PB_SCALING_RESAMPLES, 1, scratch, &shown[k][1], &shown[k][2]);
	return o;
}

enum pb_status pb_optimum_csv(const struct pb_scaling *scaling, struct pb_text *out, struct pb_error *err)
{
	static const char *const names[] = { "task", "metric", "protocol", "backend", "model_family", "label", "form", "compute_flop", "params", "params_low95", "params_high95", "tokens", "tokens_low95",
		"tokens_high95", "tokens_per_param", "tokens_per_param_low95", "tokens_per_param_high95", "loss" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		pb_csv_text(out, names[i]);
	pb_csv_end(out);
	for (size_t i = 0; i < scaling->n; i++) {
		const struct pb_law_fit *f = &scaling->fits[i];
		const char *const texts[] = { f->front->task, f->front->metric, f->front->protocol, f->front->backend, f->family, f->label, f->form->name };
		double computes[PB_SCALING_COMPUTES];
		if (!pb_scaling_has_optimum(f))
			continue;
		pb_scaling_computes(f, computes);
		for (int k = 0; k < PB_SCALING_COMPUTES; k++) {
			const struct pb_optimum o = pb_scaling_optimum(f, computes[k]);
			for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
				pb_csv_text(out, *texts[t] ? texts[t] : NULL);
			pb_csv_number(out, computes[k]);
			for (int p = 0; p < 3; p++)
				pb_csv_number(out, o.params[p]);
			for (int p = 0; p < 3; p++)
				pb_csv_number(out, o.tokens[p]);
			for (int p = 0; p < 3; p++)
				pb_csv_number(out, o.ratio[p]);
			pb_csv_number(out, o.loss);
			pb_csv_end(out);
		}
	}
	return pb_text_check(out, err);
}

/* --- the figure: losses by tokens, a curve for each size --- */

/* The curve of one size from its fewest tokens (or those of the continuation) on. */
static bool fill_line(struct pb_chart_series *s, const struct pb_law_fit *f, double params, double from, double to, struct pb_arena *arena)
{
	double *numbers = pb_arena_alloc(arena, 2 * GRID, sizeof *numbers);
	if (!numbers)
		return false;
	s->n = GRID;
	s->x = numbers;
	s->y = numbers + GRID;
	s->line = true;
	for (size_t i = 0; i < GRID; i++) {
		numbers[i] = from * pow(to / from, (double)i / (GRID - 1));
		numbers[GRID + i] = pb_fit_value(&f->fit, f->fit.theta, (const double[]){ params, numbers[i] });
	}
	return true;
}

/* Points are sorted by params; tokens of one size rise as the losses fall only in the mean, so they are sorted here. */
static bool fill_size(struct pb_chart_series *series, size_t *n, const struct pb_law_fit *f, size_t first, size_t count, size_t place, struct pb_arena *arena)
{
	const double params = f->x[2 * first];
	double *numbers = pb_arena_alloc(arena, 4 * count, sizeof *numbers), low = INFINITY, high = 0.0;
	char text[32];
	pb_format_count(text, params, 3);
	const char *name = pb_arena_printf(arena, "%s parameters", text);
	if (!numbers || !name)
		return false;
	const struct pb_chart_series own = { .name = name, .no_name = true, .ink = pb_chart_ink(place), .shape = pb_chart_shape(place) };
	for (size_t i = first; i < first + count; i++) {
		low = fmin(low, f->x[2 * i + 1]);
		high = fmax(high, f->x[2 * i + 1]);
	}
	for (int k = 0; k < 2; k++) {
		struct pb_chart_series *s = &series[(*n)++];
		*s = own;
		s->dash = k ? PB_DASHED : PB_SOLID;
		if (!fill_line(s, f, params, k ? high : low, k ? 4.0 * high : high * (1.0 + 1e-9), arena))
			return false;
	}
	struct pb_chart_series *marks = &series[(*n)++];
	*marks = own;
	marks->no_name = false;
	marks->marks = true;
	marks->n = count;
	marks->x = numbers;
	marks->y = numbers + count;
	marks->low = numbers + 2 * count;
	marks->high = numbers + 3 * count;
	for (size_t i = 0; i < count; i++) {
		size_t at = i;
		for (; at > 0 && numbers[at - 1] > f->x[2 * (first + i) + 1]; at--)
			for (int k = 0; k < 4; k++)
				numbers[k * count + at] = numbers[k * count + at - 1];
		numbers[at] = f->x[2 * (first + i) + 1];
		numbers[count + at] = f->y[first + i];
		numbers[2 * count + at] = f->y[first + i] - PB_Z95 * f->errors[first + i];
		numbers[3 * count + at] = f->y[first + i] + PB_Z95 * f->errors[first + i];
	}
	return true;
}

static void add_panels(struct pb_section *section, const struct pb_law_fit *f)
{
	static const struct pb_chart_reference zero[] = { { 0.0, "" } };
	struct pb_chart_series *series = pb_arena_alloc(section->arena, 3 * MOST_SIZES, sizeof *series), *residuals = pb_arena_alloc(section->arena, PB_LAW_SERIES, sizeof *residuals);
	size_t n = 0, n_residuals = 0, n_shown = 0;
	bool ok = series && residuals;
	for (size_t i = 0, k; i < f->n && ok && n_shown < MOST_SIZES; i += k, n_shown++) {
		for (k = 1; i + k < f->n && f->x[2 * (i + k)] == f->x[2 * i]; k++)
			;
		ok = fill_size(series, &n, f, i, k, n_shown, section->arena);
	}
	const struct pb_law_curve curve = { .fit = f, .second = NAN, .wbits = NAN, .style = { .name = f->label, .ink = PB_INK_FULL, .shape = PB_SHAPE_CROSS } };
	ok = ok && pb_law_draw(residuals, &n_residuals, &curve, false, true, section->arena);
	const char *slug = pb_arena_printf(section->arena, "data-%s", f->front->slug), *slug_residuals = pb_arena_printf(section->arena, "data-%s-residuals", f->front->slug);
	const char *title = pb_arena_printf(section->arena, "%s by parameters and tokens", f->front->title), *title_residuals = pb_arena_printf(section->arena, "%s: residuals of the law of tokens", f->front->title);
	const char *note = pb_arena_printf(section->arena, "Model family %s, %s, %zu models.", f->family, f->label, f->n);
	if (!ok || !slug || !slug_residuals || !title || !title_residuals || !note) {
		section->failed = true;
		return;
	}
	pb_section_chart(section, &(struct pb_section_chart){ .slug = slug, .note = note, .panel = true, .caption = "Points: measured, with 95 % intervals. Lines: one fit for all, dashed beyond the most tokens of a size.",
		.chart = { .title = title, .description = title, .x_title = "Tokens of the training, log scale", .x_kind = PB_AXIS_COUNT, .y_title = "Loss, nats (lower is better), log scale",
			.y_kind = PB_AXIS_LOG, .series = series, .n_series = n } });
	pb_section_chart(section, &(struct pb_section_chart){ .slug = slug_residuals, .note = note, .panel = true, .caption = "Measured over fitted, with the 95 % interval of what was measured.",
		.chart = { .title = title_residuals, .description = title_residuals, .x_title = "Parameters, log scale", .x_kind = PB_AXIS_COUNT, .y_title = "Residual, %", .series = residuals,
			.n_series = n_residuals, .references = zero, .n_references = 1 } });
}

/* --- tables --- */

static void add_quality(struct pb_section *section, const struct pb_law_group *g)
{
	static const struct pb_section_column columns[] = {
		{ "Models", false, false }, { "Of", false, true }, { "Residual, %", true, false }, { "Held out, %", true, false }, { "By a plane, %", true, false }, { "AICc", true, false }, { "AICc to plane", true, false },
		{ "Starts", true, false }, { "Reached", true, false }, { "Warnings", false, true },
	};
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; table && i < g->n; i++) {
		const struct pb_law_fit *f = &g->first[i];
		if (f->reason)
			continue;
		pb_table_text(table, "%s", f->family);
		pb_table_text(table, "%s", f->label);
		pb_law_number(table, 100.0 * f->fit.deviation, "%.2f");
		pb_law_number(table, f->held.n ? 100.0 * f->held.error : NAN, "%.2f");
		pb_law_number(table, f->held_straight.n ? 100.0 * f->held_straight.error : NAN, "%.2f");
		pb_law_number(table, f->aicc, "%.1f");
		pb_law_number(table, f->aicc - f->aicc_straight, "%+.1f");
		pb_table_number(table, (double)f->fit.n_starts, "%zu", f->fit.n_starts);
		pb_table_number(table, (double)f->fit.n_reached, "%zu", f->fit.n_reached);
		pb_law_warnings(table, f->fit.warnings);
	}
}

static void add_counts(struct pb_section_table *table, const double value[3])
{
	char text[3][32];
	for (int k = 0; k < 3; k++)
		pb_format_count(text[k], value[k], 3);
	pb_table_number(table, value[0], "%s (%s to %s)", text[0], text[1], text[2]);
}

static void add_optima(struct pb_section *section, const struct pb_law_group laws[PB_LAWS])
{
	static const struct pb_section_column columns[] = {
		{ "Models", false, false }, { "Law of", false, true }, { "Compute, FLOP", true, false }, { "Parameters", true, false }, { "Tokens", true, false }, { "Tokens a parameter", true, false },
		{ "Loss", true, false },
	};
	static const enum pb_law asked[] = { PB_LAW_DATA, PB_LAW_PRECISION_DATA };
	struct pb_section_table *table = NULL;
	for (size_t a = 0; a < sizeof asked / sizeof *asked; a++)
		for (size_t i = 0; i < laws[asked[a]].n; i++) {
			const struct pb_law_fit *f = &laws[asked[a]].first[i];
			double computes[PB_SCALING_COMPUTES];
			if (f->reason)
				continue;
			if (!pb_scaling_has_optimum(f)) {
				pb_section_note(section, "No optimal allocation by the law \u201c%s\u201d of %s, %s: it is not identified.", f->form->name, f->family, f->label);
				continue;
			}
			if (!table) {
				pb_section_heading(section, "%s: where compute is best spent", f->front->title);
				table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
			}
			pb_scaling_computes(f, computes);
			for (int k = 0; k < PB_SCALING_COMPUTES && table; k++) {
				const struct pb_optimum o = pb_scaling_optimum(f, computes[k]);
				pb_table_text(table, "%s", f->family);
				pb_table_text(table, "%s%s", f->label, f->law == PB_LAW_DATA ? "" : ", at bits enough");
				pb_table_number(table, computes[k], "%.3g", computes[k]);
				add_counts(table, o.params);
				add_counts(table, o.tokens);
				pb_table_number(table, o.ratio[0], "%.3g (%.3g to %.3g)", o.ratio[0], o.ratio[1], o.ratio[2]);
				pb_law_number(table, o.loss, "%.4f");
			}
		}
	if (table)
		pb_section_note(section, "Where the fitted loss is least for a compute of 6 N D: that of the largest model here, ten and a hundred times as much, which is beyond what was measured. In brackets: 95 %% of the "
			"optima of %d resampled laws.", PB_SCALING_RESAMPLES);
}

void pb_law_with_data(struct pb_section *section, const struct pb_law_group laws[PB_LAWS])
{
	static const char *const titles[PB_LAWS] = { [PB_LAW_DATA] = " by parameters and tokens", [PB_LAW_PRECISION_DATA] = " by parameters, tokens and bits",
		[PB_LAW_DEGRADATION_DATA] = ": what quantization adds to the loss, with tokens", [PB_LAW_DEGRADATION_DATA_EXP] = ": what quantization adds to the loss, with tokens" };
	bool any = false;
	for (int law = PB_LAW_DATA; law < PB_LAWS; law++) {
		const struct pb_law_group *g = &laws[law];
		any = any || g->n_fitted;
		if (g->n_fitted) {
			pb_section_heading(section, "%s%s: %s", g->first->front->title, titles[law], g->first->form->formula);
			for (size_t i = 0; i < g->n && law == PB_LAW_DATA; i++)
				if (!g->first[i].reason) {
					add_panels(section, &g->first[i]);
					break;
				}
			pb_law_parameters(section, g);
			add_quality(section, g);
		}
		pb_law_reasons(section, g);
	}
	if (any)
		pb_section_note(section, "D: tokens that the model was trained on; models of one family, of which some have as many parameters and other tokens. Held out: error at the largest size of a fit to the others; "
			"plane: the same of a power law without a floor. AICc: lower is better among laws of one target.");
	add_optima(section, laws);
}
