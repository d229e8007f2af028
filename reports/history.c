#include "reports/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/front.h"

#define BESIDE 0.03             /* of a run: so much is a series right of the one before, that bars do not cover each other */

static struct pb_history_line *line_of(struct pb_history *h, struct pb_arena *arena, const struct pb_compared *e)
{
	struct pb_history_line *l;

	for (size_t i = 0; i < h->n_lines; i++)
		if (strcmp(h->lines[i].task, e->base->task) == 0 && strcmp(h->lines[i].metric, e->base->metric) == 0)
			return &h->lines[i];
	l = &h->lines[h->n_lines];
	*l = (struct pb_history_line){ .task = e->base->task, .metric = e->base->metric, .scale = e->pair.scale };
	l->change = pb_arena_alloc(arena, h->n_runs, sizeof(double));
	l->error = pb_arena_alloc(arena, h->n_runs, sizeof(double));
	l->worse = pb_arena_alloc(arena, h->n_runs, sizeof(size_t));
	l->better = pb_arena_alloc(arena, h->n_runs, sizeof(size_t));
	if (!l->change || !l->error || !l->worse || !l->better)
		return NULL;
	h->n_lines++;
	return l;
}

static int compare_lines(const void *pa, const void *pb)
{
	const struct pb_history_line *a = pa, *b = pb;
	int c = strcmp(a->task, b->task);

	return c ? c : strcmp(a->metric, b->metric);
}

/* An entry of the first comparison, when all later ones have it, into the sums of its line. */
static enum pb_status add_entry(struct pb_history *h, struct pb_arena *arena, const struct pb_compared *e, struct pb_error *err)
{
	const struct pb_compared **all = pb_arena_alloc(arena, h->n_runs, sizeof(*all));
	struct pb_history_line *l;

	if (!all)
		return pb_out_of_memory(err, "a history");
	for (size_t k = 1; k < h->n_runs; k++) {
		all[k] = pb_compare_find(&h->comparisons[k], e->base);
		if (!all[k] || !all[k]->tested || all[k]->base != e->base)
			return PB_OK;
	}
	if (!(l = line_of(h, arena, e)))
		return pb_out_of_memory(err, "a history");
	l->n_cells++;
	l->first += e->base_value;
	for (size_t k = 1; k < h->n_runs; k++) {
		l->change[k] += all[k]->pair.difference.value;
		l->error[k] += all[k]->pair.difference.stderr_value;
		l->worse[k] += all[k]->change == PB_CHANGE_WORSE;
		l->better[k] += all[k]->change == PB_CHANGE_BETTER;
	}
	return PB_OK;
}

enum pb_status pb_history_make(struct pb_history *out, struct pb_arena *arena, const struct pb_history_run *runs, size_t n, struct pb_error *err)
{
	struct pb_comparison *comparisons = pb_arena_alloc(arena, n, sizeof(*comparisons));
	struct pb_history h = { .runs = runs, .n_runs = n, .comparisons = comparisons };
	enum pb_status st = comparisons ? PB_OK : pb_out_of_memory(err, "a history");

	for (size_t k = 1; !st && k < n; k++) {
		st = pb_compare_make(&comparisons[k], arena, runs[0].rows, &runs[0].items, runs[k].rows, &runs[k].items, err);
		if (st)
			pb_fail_prefix(err, "%s", runs[k].name);
	}
	if (!st && !(h.lines = pb_arena_alloc(arena, comparisons[1].n, sizeof(*h.lines))))
		st = pb_out_of_memory(err, "a history");
	for (size_t i = 0; !st && i < comparisons[1].n; i++)
		if (comparisons[1].list[i].tested)
			st = add_entry(&h, arena, &comparisons[1].list[i], err);
	if (!st)
		st = pb_regressions_find(&h.regressions, arena, comparisons, n, err);
	if (st)
		return st;
	for (size_t i = 0; i < comparisons[1].n; i++)
		h.n_left += comparisons[1].list[i].base != NULL;
	for (size_t i = 0; i < h.n_lines; i++) {
		struct pb_history_line *l = &h.lines[i];

		h.n_left -= l->n_cells;
		l->first /= (double)l->n_cells;
		for (size_t k = 1; k < n; k++) {
			l->change[k] /= (double)l->n_cells;
			l->error[k] /= (double)l->n_cells;
		}
	}
	qsort(h.lines, h.n_lines, sizeof(*h.lines), compare_lines);
	*out = h;
	return PB_OK;
}

/* --- the section --- */

static bool fill_series(struct pb_chart_series *s, struct pb_arena *arena, const struct pb_history *h, const struct pb_history_line *l, size_t number)
{
	double *x = pb_arena_alloc(arena, 4 * h->n_runs, sizeof(*x)), *y, *low, *high;

	if (!x)
		return false;
	y = x + h->n_runs;
	low = y + h->n_runs;
	high = low + h->n_runs;
	for (size_t k = 0; k < h->n_runs; k++) {
		x[k] = (double)(k + 1) + BESIDE * (double)number;
		y[k] = pb_history_unit(l) * l->change[k];
		low[k] = pb_history_unit(l) * (l->change[k] - PB_Z95 * l->error[k]);
		high[k] = pb_history_unit(l) * (l->change[k] + PB_Z95 * l->error[k]);
	}
	*s = (struct pb_chart_series){ .name = pb_arena_printf(arena, "%s %s", l->task, l->metric), .ink = pb_chart_ink(number), .shape = pb_chart_shape(number), .n = h->n_runs, .x = x,
		.y = y, .low = low, .high = high, .line = true, .marks = true };
	return s->name;
}

static void add_chart(struct pb_section *out, const struct pb_history *h, bool percent)
{
	struct pb_chart_series *series = pb_arena_alloc(out->arena, h->n_lines, sizeof(*series));
	static const struct pb_chart_reference zero = { 0, "run 1" };
	size_t n = 0;

	if (!series) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < h->n_lines; i++) {
		const struct pb_history_line *l = &h->lines[i];

		if (pb_history_is_percent(l) != percent || (!percent && strcmp(l->scale, "nll") != 0))
			continue;
		if (!fill_series(&series[n], out->arena, h, l, n)) {
			out->failed = true;
			return;
		}
		n++;
	}
	if (!n)
		return;
	pb_section_chart(out, &(struct pb_section_chart){ .slug = percent ? "history-accuracy" : "history-loss", .note = "",
		.caption = "Mean paired change of all cells since the first run. Bars: 95 %, as if all cells moved together.",
		.chart = { .title = percent ? "Accuracy since the first run" : "Loss since the first run", .x_title = "Run", .x_kind = PB_AXIS_LINEAR, .y_kind = PB_AXIS_LINEAR,
			.y_title = percent ? "Change of accuracy, percentage points (higher is better)" : "Change of loss, nats (lower is better)",
			.description = percent ? "change of mean accuracies by run" : "change of mean losses by run", .series = series, .n_series = n,
			.references = &zero, .n_references = 1 } });
}

static void add_regressions(struct pb_section *out, const struct pb_regressions *r)
{
	static const struct pb_section_column columns[] = { { "State", false, false }, { "Setting", false, true }, { "Model", false, false }, { "What", false, true },
		{ "Last difference (95 %)", false, true }, { "Seen in runs", false, true } };
	struct pb_section_table *table;
	struct pb_text text = {0};

	pb_section_text(out, "Regressions: %zu confirmed, %zu suspected, %zu gone. Seen is what is worse than in the first run with q < %g after Benjamini and Hochberg over all tests of the run "
		"and beyond %g standard errors, or what has failed; confirmed, what two runs in a row have seen; suspected, what the last run alone has.", r->n_states[PB_REGRESSION_CONFIRMED],
		r->n_states[PB_REGRESSION_SUSPECTED], r->n_states[PB_REGRESSION_GONE], PB_COMPARE_LEVEL, PB_COMPARE_ERRORS);
	if (!r->n)
		return;
	table = pb_section_table(out, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < r->n; i++) {
		const struct pb_regression *x = &r->list[i];
		void (*const put[])(struct pb_text *, const struct pb_regression *) = { pb_regression_put_what, pb_regression_put_size };

		pb_table_text(table, "%s", pb_regression_state_name(x->state));
		pb_table_text(table, "%s", x->base->label);
		pb_table_text(table, "%s", x->base->model);
		for (size_t k = 0; k < sizeof(put) / sizeof(put[0]); k++) {
			pb_text_clear(&text);
			put[k](&text, x);
			pb_table_text(table, "%s", pb_text_c(&text));
		}
		pb_text_clear(&text);
		pb_regression_put_runs(&text, r, x);
		pb_table_text(table, "%s", pb_text_c(&text));
	}
	out->failed = out->failed || text.failed;
	pb_text_free(&text);
}

void pb_history_section(struct pb_section *out, const struct pb_history *h, struct pb_arena *arena)
{
	static const struct pb_section_column run_columns[] = { { "Run", true, false }, { "Name", false, true }, { "Begun", false, false } };
	static const struct pb_section_column columns[] = { { "Task", false, false }, { "Cells", true, false }, { "Run", true, false }, { "Change since run 1 (95 %)", true, false },
		{ "Worse", true, false }, { "Better", true, false } };
	struct pb_section_table *table;
	struct pb_text text = {0};

	pb_section_init(out, arena, "history", "History");
	add_regressions(out, &h->regressions);
	add_chart(out, h, true);
	add_chart(out, h, false);
	table = pb_section_table(out, run_columns, sizeof(run_columns) / sizeof(run_columns[0]));
	for (size_t k = 0; k < h->n_runs; k++) {
		pb_table_number(table, (double)(k + 1), "%zu", k + 1);
		pb_table_text(table, "%s", h->runs[k].name);
		pb_table_text(table, "%s", pb_history_begun(&h->runs[k]));
	}
	if (h->n_left)
		pb_section_note(out, "%zu metrics of cells are left out, which a later run lacks or has otherwise.", h->n_left);
	table = pb_section_table(out, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < h->n_lines; i++)
		for (size_t k = 1; k < h->n_runs; k++) {
			const struct pb_history_line *l = &h->lines[i];

			pb_text_clear(&text);
			pb_history_put_change(&text, l, k);
			pb_table_text(table, "%s %s", l->task, l->metric);
			pb_table_number(table, (double)l->n_cells, "%zu", l->n_cells);
			pb_table_number(table, (double)(k + 1), "%zu", k + 1);
			pb_table_number(table, pb_history_unit(l) * l->change[k], "%s%s", pb_text_c(&text), pb_history_is_percent(l) ? " pp" : "");
			pb_table_number(table, (double)l->worse[k], "%zu", l->worse[k]);
			pb_table_number(table, (double)l->better[k], "%zu", l->better[k]);
		}
	out->failed = out->failed || text.failed;
	pb_text_free(&text);
}
