/* Scaling laws in a report: curves with residuals beside them, and tables of parameters, quality and warnings. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/scaling_parts.h"

#define MOST_CURVES 6

/* --- which curves --- */

/* Full precision first (as it is before trained on), then those with most points on the front of sizes. */
static int compare_fits(const void *pa, const void *pb)
{
	const struct pb_law_fit *a = *(const struct pb_law_fit *const *)pa, *b = *(const struct pb_law_fit *const *)pb;
	if (a->is_full != b->is_full)
		return (int)b->is_full - (int)a->is_full;
	if (a->is_full && a->items[0]->trained != b->items[0]->trained)
		return a->items[0]->trained > b->items[0]->trained ? 1 : -1;
	if (a->n_on_front != b->n_on_front)
		return a->n_on_front < b->n_on_front ? 1 : -1;
	return strcmp(a->label, b->label);
}

/* Those of the family with most fits. */
struct choice {
	const struct pb_law_fit *drawn[MOST_CURVES];
	size_t n, n_of_family;
};

static size_t count_family(const struct pb_law_group *g, const char *family)
{
	size_t n = 0;
	for (size_t i = 0; i < g->n; i++)
		n += !g->first[i].reason && strcmp(g->first[i].family, family) == 0;
	return n;
}

static struct choice choose(const struct pb_law_group *g, struct pb_section *section)
{
	const struct pb_law_fit **fits = pb_arena_alloc(section->arena, g->n, sizeof *fits);
	struct choice c = { .n = 0 };
	const char *family = NULL;
	size_t n = 0;
	if (!fits) {
		section->failed = true;
		return c;
	}
	for (size_t i = 0; i < g->n; i++) {
		size_t count = g->first[i].reason ? 0 : count_family(g, g->first[i].family);
		if (count > c.n_of_family) {
			c.n_of_family = count;
			family = g->first[i].family;
		}
	}
	for (size_t i = 0; i < g->n; i++)
		if (!g->first[i].reason && strcmp(g->first[i].family, family) == 0)
			fits[n++] = &g->first[i];
	if (n > 1)
		qsort(fits, n, sizeof *fits, compare_fits);
	c.n = n < MOST_CURVES ? n : MOST_CURVES;
	memcpy(c.drawn, fits, c.n * sizeof *fits);
	return c;
}

/* --- panels --- */

/* In the colour of its family of methods; several of one family by shades and markers. */
static struct pb_chart_series style_of(const struct choice *c, size_t i)
{
	const struct pb_family *family = &pb_families[pb_family_index(c->drawn[i]->items[0]->point->row->family)];
	size_t place = 0;
	for (size_t k = 0; k < i; k++)
		place += &pb_families[pb_family_index(c->drawn[k]->items[0]->point->row->family)] == family;
	return (struct pb_chart_series){ .name = c->drawn[i]->label, .ink = pb_family_ink(family, place), .shape = pb_family_shape(family, place) };
}

static bool fill_series(struct pb_chart_series *series, size_t *n, const struct choice *c, bool residuals, struct pb_arena *arena)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct pb_law_curve curve = { .fit = c->drawn[i], .second = c->drawn[i]->form->n_variables > 1 ? c->drawn[i]->x[1] : NAN, .wbits = NAN, .style = style_of(c, i) };
		if (!pb_law_draw(series, n, &curve, i == 0, residuals, arena))
			return false;
	}
	return true;
}

static const char *loss_name(const struct pb_front *front)
{
	return strncmp(front->metric, "ppl", 3) == 0 ? "Loss, ln of the perplexity" : front->metric;
}

static void add_panel(struct pb_section *section, const struct pb_law_group *g, const struct choice *c, bool residuals)
{
	static const struct pb_chart_reference zero[] = { { 0.0, "" } };
	const struct pb_front *front = g->first->front;
	const bool loss = g->first->law == PB_LAW_LOSS, of_bytes = !loss && isfinite(c->drawn[0]->items[0]->point->bytes);
	struct pb_chart_series *series = pb_arena_alloc(section->arena, PB_LAW_SERIES * c->n, sizeof *series);
	size_t n = 0;
	const char *slug = pb_arena_printf(section->arena, "scaling-%s%s", front->slug, residuals ? "-residuals" : "");
	const char *title = pb_arena_printf(section->arena, residuals ? "%s: residuals of the fits" : of_bytes ? "%s by size" : "%s by parameters", front->title);
	const char *description = pb_arena_printf(section->arena, "%s of %s: %zu fitted curves", residuals ? "residuals" : "measurements and fits", front->title, c->n);
	const char *note = pb_arena_printf(section->arena, "Model family %s. %zu of the %zu settings with a fit: full precision, then those with most points on the front of sizes.",
		c->drawn[0]->family, c->n, c->n_of_family);
	const char *y_title = pb_arena_printf(section->arena, loss ? "%s (lower is better), log scale" : "Accuracy, %%", loss_name(front));
	if (!series || !slug || !title || !description || !note || !y_title || !fill_series(series, &n, c, residuals, section->arena)) {
		section->failed = true;
		return;
	}
	struct pb_section_chart chart = { .slug = slug, .note = note, .panel = true,
		.chart = { .title = title, .description = description, .x_title = of_bytes ? "Model size (everything that runs), log scale" : "Parameters, log scale",
			.x_kind = of_bytes ? PB_AXIS_BYTES : PB_AXIS_COUNT, .series = series, .n_series = n } };
	if (residuals) {
		chart.caption = "Measured over fitted, with the 95 % interval of what was measured.";
		chart.chart.y_title = loss ? "Residual, %" : "Residual, percentage points";
		chart.chart.references = zero;
		chart.chart.n_references = 1;
	} else {
		chart.caption = "Points: measured, with 95 % intervals. Lines: fits, dashed beyond the largest size. Grey: 95 % of the resampled fits of full precision, or of the first setting.";
		chart.chart.y_title = y_title;
		chart.chart.y_kind = loss ? PB_AXIS_LOG : PB_AXIS_LINEAR;
	}
	pb_section_chart(section, &chart);
}

/* --- tables --- */

static void add_loss_quality(struct pb_section *section, const struct pb_law_group *g)
{
	pb_law_quality(section, g, "Setting", "line");
	pb_section_note(section, "residual: deviation around the fit. Held out: error at the largest size of a fit to the others; line: the same of a straight line in log-log; "
		"AICc to line: negative speaks for the law, n/a with too few points. Starts: of the search; reached: how many ended at the best objective.");
}

static void add_accuracy_quality(struct pb_section *section, const struct pb_law_group *g)
{
	static const struct pb_section_column columns[] = {
		{ "Setting", false, true }, { "Residual, pp", true, false }, { "Held out, pp", true, false }, { "Starts", true, false }, { "Reached", true, false }, { "Warnings", false, true },
	};
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; table && i < g->n; i++) {
		const struct pb_law_fit *f = &g->first[i];
		if (f->reason)
			continue;
		pb_table_text(table, "%s", f->label);
		pb_law_number(table, 100.0 * f->fit.deviation, "%.2f");
		pb_law_number(table, f->held.n ? 100.0 * f->held.error : NAN, "%.2f");
		pb_table_number(table, (double)f->fit.n_starts, "%zu", f->fit.n_starts);
		pb_table_number(table, (double)f->fit.n_reached, "%zu", f->fit.n_reached);
		pb_law_warnings(table, f->fit.warnings);
	}
	pb_section_note(section, "residual: deviation around the fit, held out: error at the largest size of a fit to the others, both in percentage points. "
		"starts: of the search; reached: how many ended at the best objective.");
}

/* --- the section --- */

/* Fits of one front and law, of settings; by form, as some may have no sizes. */
static void add_settings(struct pb_section *section, const struct pb_law_group *g)
{
	bool loss = g->first->law == PB_LAW_LOSS;
	struct choice c = choose(g, section);
	if (c.n) {
		pb_section_heading(section, "%s: %s", g->first->front->title, c.drawn[0]->form->formula);
		add_panel(section, g, &c, false);
		add_panel(section, g, &c, true);
		pb_law_parameters(section, g);
		pb_section_note(section, "In brackets: profiles, 95 %%.%s", loss ? "" : " Ends at 0 or 1 may be those of the range.");
		if (loss)
			add_loss_quality(section, g);
		else
			add_accuracy_quality(section, g);
	}
	pb_law_reasons(section, g);
}

static void add_file(struct pb_section *out, const struct pb_scaling *scaling, const char *name, const char *what,
	enum pb_status (*make)(const struct pb_scaling *, struct pb_text *, struct pb_error *))
{
	struct pb_text csv = { 0 };
	struct pb_error ignored;
	if (make(scaling, &csv, &ignored) != PB_OK)
		out->failed = true; /* memory is all that can be missing */
	pb_section_file(out, name, what, &csv);
}

void pb_scaling_section(struct pb_section *out, const struct pb_scaling *scaling)
{
	bool any_multiplier = false, any_optimum = false;
	pb_section_init(out, scaling->arena, "scaling", "Scaling laws");
	pb_section_text(out, "Fits over the sizes of one model family (as the rows tell it, and where a family has several models of one size, or rows tell none: models whose names differ in a size alone), for each setting, and for each method with its widths, that was run on at least %d of "
		"them: Huber loss with a threshold of 1.345 robust deviations, L-BFGS from a grid of starts. Intervals are 95 %%: profiles of the objective with an F test; resampled ones are in "
		"fits.csv. N: all parameters of the model. Losses in nats; of a perplexity, its logarithm.", PB_SCALING_SIZES);
	for (size_t i = 0; i < scaling->n;) {
		struct pb_law_group laws[PB_LAWS] = { { .n = 0 } }, g = pb_law_group_at(scaling, i);
		add_settings(out, &g);
		laws[g.first->law] = g;
		i += g.n;
		/* Laws of methods and of data follow the losses they are of. */
		while (i < scaling->n && scaling->fits[i].law >= PB_LAW_PRECISION) {
			struct pb_law_group next = pb_law_group_at(scaling, i);
			laws[next.first->law] = next;
			for (; i < scaling->n && scaling->fits[i].law == next.first->law && scaling->fits[i].front == next.first->front; i++)
				any_optimum = any_optimum || pb_scaling_has_optimum(&scaling->fits[i]);
		}
		for (size_t k = 0; k < g.n; k++)
			any_multiplier = any_multiplier || isfinite(g.first[k].effective.share);
		pb_law_methods(out, scaling, laws);
		pb_law_with_data(out, laws);
	}
	add_file(out, scaling, "fits.csv", "All fits, with 17 digits", pb_scaling_csv);
	if (any_multiplier)
		add_file(out, scaling, "multipliers.csv", "Effective parameters of all settings, with 17 digits", pb_multipliers_csv);
	if (any_optimum)
		add_file(out, scaling, "optimum.csv", "Where compute is best spent, with 17 digits", pb_optimum_csv);
}
