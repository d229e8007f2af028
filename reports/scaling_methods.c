/* Scaling laws of methods in a report: losses by parameters and bits, effective parameters, what quantization adds to the loss. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/scaling_parts.h"

#define MOST_WIDTHS 8

/* --- effective parameters --- */

static void add_multipliers(struct pb_section *section, const struct pb_scaling *scaling, const struct pb_law_group *g)
{
	static const struct pb_section_column columns[] = {
		{ "Models", false, false }, { "Setting", false, true }, { "Sizes", true, false }, { "Effective bits", true, false }, { "Multiplier", true, false }, { "Least to most", true, false },
		{ "At 16 bits", true, false }, { "By the law of bits", true, false },
	};
	struct pb_section_table *table = NULL;
	for (size_t i = 0; i < g->n; i++) {
		const struct pb_law_fit *f = &g->first[i];
		const struct pb_multiplier *m = &f->effective;
		if (f->reason || !isfinite(m->share) || (f->is_full && f->items[0]->trained == 0.0))
			continue;
		if (!table) {
			pb_section_heading(section, "%s: effective parameters", g->first->front->title);
			pb_section_text(section, "Which share of its parameters a full-precision model with the same loss would need, by the law of full precision (of a method that trains: trained on as long).");
			table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
		}
		double law = NAN, low = NAN, high = NAN;
		const struct pb_law_fit *precision = pb_scaling_precision_of(scaling, f);
		if (precision)
			pb_scaling_share(precision, m->bits, &law, &low, &high);
		pb_table_text(table, "%s", f->family);
		pb_table_text(table, "%s", f->label);
		pb_table_number(table, (double)f->n_sizes, "%zu", f->n_sizes);
		pb_law_number(table, m->bits, "%.3f");
		pb_law_interval(table, m->share, m->low, m->high);
		pb_table_number(table, m->least, "%.3f to %.3f", m->least, m->most);
		pb_law_number(table, m->per_bit, "%.2f");
		pb_law_interval(table, law, low, high);
	}
	if (table)
		pb_section_note(section, "multiplier: geometric mean over the sizes; in brackets 95 %% of resampled laws and normal errors of the losses. Least to most: over the sizes; one multiplier for all sizes is "
			"an assumption. at 16 bits: the multiplier times 16 over the effective bits; above 1, a full-precision model of equal weight memory is worse. by the law of bits: N_eff / N of the method\u2019s "
			"fit below. n/a: a loss that the law of full precision cannot reach, or no such fit.");
}

/* --- precision --- */

/* The method that is drawn: most points on the front, then most points. */
static const struct pb_law_fit *best_of(const struct pb_law_group *g)
{
	const struct pb_law_fit *best = NULL;
	for (size_t i = 0; i < g->n; i++) {
		const struct pb_law_fit *f = &g->first[i];
		if (!f->reason && (!best || f->n_on_front > best->n_on_front || (f->n_on_front == best->n_on_front && f->n > best->n)))
			best = f;
	}
	return best;
}

static int compare_numbers(const void *pa, const void *pb)
{
	double a = *(const double *)pa, b = *(const double *)pb;
	return (a > b) - (a < b);
}

/* Different widths, rising; bits[i]: the mean effective bits of the points of widths[i]. */
static size_t find_widths(const struct pb_law_fit *f, double widths[MOST_WIDTHS], double bits[MOST_WIDTHS])
{
	size_t n = 0;
	for (size_t i = 0; i < f->n; i++) {
		bool seen = false;
		for (size_t k = 0; k < n && !seen; k++)
			seen = widths[k] == f->items[i]->point->row->wbits;
		if (!seen && n < MOST_WIDTHS)
			widths[n++] = f->items[i]->point->row->wbits;
	}
	qsort(widths, n, sizeof *widths, compare_numbers);
	for (size_t k = 0; k < n; k++) {
		double sum = 0.0, count = 0.0;
		for (size_t i = 0; i < f->n; i++)
			if (f->items[i]->point->row->wbits == widths[k]) {
				sum += f->items[i]->point->bits;
				count++;
			}
		bits[k] = sum / count;
	}
	return n;
}

static void add_precision_panel(struct pb_section *section, const struct pb_law_fit *f, bool residuals)
{
	static const struct pb_chart_reference zero[] = { { 0.0, "" } };
	double widths[MOST_WIDTHS], bits[MOST_WIDTHS];
	const size_t n_widths = find_widths(f, widths, bits);
	struct pb_chart_series *series = pb_arena_alloc(section->arena, PB_LAW_SERIES * n_widths, sizeof *series);
	size_t n = 0;
	bool ok = series != NULL;
	for (size_t k = 0; k < n_widths && ok; k++) {
		const char *name = pb_arena_printf(section->arena, widths[k] == 16.0 ? "full precision" : widths[k] == 1.0 ? "%g bit" : "%g bits", widths[k]);
		const bool full = widths[k] == 16.0;
		const struct pb_law_curve curve = { .fit = f, .second = bits[k], .wbits = widths[k],
			.style = { .name = name, .ink = pb_chart_ink(pb_chart_width(widths[k])), .shape = full ? PB_SHAPE_CROSS : pb_chart_shape(pb_chart_width(widths[k])) } };
		ok = name && pb_law_draw(series, &n, &curve, k == 0, residuals, section->arena);
	}
	const char *slug = pb_arena_printf(section->arena, "precision-%s%s", f->front->slug, residuals ? "-residuals" : "");
	const char *title = pb_arena_printf(section->arena, residuals ? "%s, %s: residuals of the law of bits" : "%s, %s, by parameters and bits", f->front->title, f->label);
	const char *note = pb_arena_printf(section->arena, "Model family %s, %zu points, the method with most points on the front of sizes.", f->family, f->n);
	if (!ok || !slug || !title || !note) {
		section->failed = true;
		return;
	}
	struct pb_section_chart chart = { .slug = slug, .note = note, .panel = true, .caption = residuals ? "Measured over fitted, with the 95 % interval of what was measured; bits by colour."
		: "Points: measured, with 95 % intervals. Lines: one fit for all bits, dashed beyond the largest size. Grey: 95 % of the resampled fits, for the fewest bits.",
		.chart = { .title = title, .description = title, .x_title = "Parameters, log scale", .x_kind = PB_AXIS_COUNT, .y_title = residuals ? "Residual, %" : "Loss, nats (lower is better), log scale",
			.y_kind = residuals ? PB_AXIS_LINEAR : PB_AXIS_LOG, .series = series, .n_series = n, .references = zero, .n_references = residuals } };
	pb_section_chart(section, &chart);
}

static void add_precision(struct pb_section *section, const struct pb_law_group *g)
{
	const struct pb_law_fit *best = best_of(g);
	if (best) {
		pb_section_heading(section, "%s by parameters and bits: %s", g->first->front->title, g->first->form->formula);
		pb_section_text(section, "One fit for all widths of a method, with full precision of the same models as 16 bits; P: the effective bits.");
		add_precision_panel(section, best, false);
		add_precision_panel(section, best, true);
		pb_law_parameters(section, g);
		pb_law_quality(section, g, "Method", "plane");
		pb_section_note(section, "In brackets: profiles, 95 %%. Held out: error at the largest size, all bits, of a fit to the others; plane: the same of a power law in parameters and bits without a floor; AICc to "
			"plane: negative speaks for the law.");
	}
	pb_law_reasons(section, g);
}

/* --- degradations --- */

/* Both laws of a method side by side; fits of the second stand in the same order. */
static void add_degradations(struct pb_section *section, const struct pb_law_group *power, const struct pb_law_group *decay)
{
	static const struct pb_section_column parameters[] = {
		{ "Models", false, false }, { "Method", false, true }, { "Points", true, false }, { "Left out", true, false }, { "alpha", true, false }, { "gamma", true, false },
		{ "gamma_N", true, false }, { "gamma (exp)", true, false },
	};
	static const struct pb_section_column quality[] = {
		{ "Method", false, true }, { "Residual, %", true, false }, { "Held out, %", true, false }, { "Residual (exp), %", true, false }, { "Held out (exp), %", true, false },
		{ "AICc, power less exp", true, false }, { "Warnings", false, true },
	};
	if (!power->n_fitted)
		return;
	pb_section_heading(section, "%s: what quantization adds to the loss", power->first->front->title);
	pb_section_text(section, "%s (power) and %s (exp), where delta is the loss above full precision of the same model, P the effective bits. "
		"Both fit few widths; beyond these they differ.", power->first->form->formula, decay->first->form->formula);
	struct pb_section_table *table = pb_section_table(section, parameters, sizeof parameters / sizeof *parameters);
	for (size_t i = 0; table && i < power->n && i < decay->n; i++) {
		const struct pb_law_fit *f = &power->first[i], *e = &decay->first[i];
		if (f->reason || e->reason)
			continue;
		pb_law_identity(table, f);
		pb_table_number(table, (double)f->n_left_out, "%zu", f->n_left_out);
		pb_law_parameter(table, f, 1);
		pb_law_parameter(table, f, 2);
		pb_law_parameter(table, e, 1);
		pb_law_parameter(table, e, 2);
	}
	table = pb_section_table(section, quality, sizeof quality / sizeof *quality);
	for (size_t i = 0; table && i < power->n && i < decay->n; i++) {
		const struct pb_law_fit *f = &power->first[i], *e = &decay->first[i];
		if (f->reason || e->reason)
			continue;
		pb_table_text(table, "%s", f->label);
		pb_law_number(table, 100.0 * f->fit.deviation, "%.1f");
		pb_law_number(table, f->held.n ? 100.0 * f->held.error : NAN, "%.1f");
		pb_law_number(table, 100.0 * e->fit.deviation, "%.1f");
		pb_law_number(table, e->held.n ? 100.0 * e->held.error : NAN, "%.1f");
		pb_law_number(table, f->aicc - e->aicc, "%+.1f");
		pb_law_warnings(table, f->fit.warnings | e->fit.warnings);
	}
	pb_section_note(section, "left out: points whose loss is not above full precision\u2019s. Held out: error of delta at the largest size of a fit to the others. A negative difference of AICc speaks for the power "
		"law. Intervals: profiles, 95 %%.");
}

void pb_law_methods(struct pb_section *section, const struct pb_scaling *scaling, const struct pb_law_group laws[PB_LAWS])
{
	add_multipliers(section, scaling, &laws[PB_LAW_LOSS]);
	if (laws[PB_LAW_PRECISION].n)
		add_precision(section, &laws[PB_LAW_PRECISION]);
	if (laws[PB_LAW_DEGRADATION].n)
		add_degradations(section, &laws[PB_LAW_DEGRADATION], &laws[PB_LAW_DEGRADATION_EXP]);
}
