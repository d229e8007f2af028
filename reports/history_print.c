/* A history in words: for a terminal, as Markdown, as JSON. */
#include <math.h>
#include <string.h>
#include "core/base/json.h"
#include "core/base/markup.h"
#include "reports/history.h"

bool pb_history_is_percent(const struct pb_history_line *l)
{
	return strncmp(l->scale, "acc", 3) == 0;
}

double pb_history_unit(const struct pb_history_line *l)
{
	return pb_history_is_percent(l) ? 100 : 1;
}

void pb_history_put_change(struct pb_text *t, const struct pb_history_line *l, size_t k)
{
	char text[64];

	pb_format_value(text, pb_history_unit(l) * l->change[k], PB_Z95 * pb_history_unit(l) * l->error[k]);
	pb_text_printf(t, "%s%s", l->change[k] >= 0 ? "+" : "", text);
}

const char *pb_history_begun(const struct pb_history_run *run)
{
	const char *first = "";

	for (size_t i = 0; i < run->rows->n; i++)
		if (run->rows->rows[i].started_utc[0] && (!first[0] || strcmp(run->rows->rows[i].started_utc, first) < 0))
			first = run->rows->rows[i].started_utc;
	return first;
}

void pb_regression_put_what(struct pb_text *out, const struct pb_regression *r)
{
	if (r->entry)
		pb_text_printf(out, "%s %s", r->base->task, r->entry->base->metric);
	else
		pb_text_printf(out, "mean accuracy over %zu tasks", r->mean->n_tasks);
}

void pb_regression_put_size(struct pb_text *out, const struct pb_regression *r)
{
	char difference[96], q[32];

	if (r->entry && !r->entry->tested) {
		pb_text_string(out, r->entry->why);
		return;
	}
	if (r->entry)
		pb_pair_format(difference, &r->entry->pair);
	else
		pb_pair_format(difference, &(struct pb_pair){ .scale = "acc", .difference = r->mean->difference, .test = r->mean->test });
	pb_format_p(q, r->entry ? r->entry->q : r->mean->q);
	pb_text_printf(out, "%s, q %s", difference, q);
}

void pb_regression_put_runs(struct pb_text *out, const struct pb_regressions *all, const struct pb_regression *r)
{
	size_t told = 0;

	for (size_t k = 0; k < all->n_runs; k++)
		if (r->seen[k] == PB_SEEN_WORSE)
			pb_text_printf(out, "%s%zu", told++ ? ", " : "", k + 1);
}

/* --- words --- */

static void put_text(struct pb_text *out, const char *s, bool markdown)
{
	if (markdown)
		pb_markdown_escape(out, s);
	else
		pb_terminal_escape(out, s);
}

static void put_regression(struct pb_text *out, const struct pb_regressions *all, const struct pb_regression *r, bool markdown)
{
	struct pb_text line = {0};

	pb_text_printf(&line, "%s, %s, ", r->base->label, r->base->model);
	pb_regression_put_what(&line, r);
	pb_text_string(&line, ": ");
	pb_regression_put_size(&line, r);
	pb_text_string(&line, "; seen in runs ");
	pb_regression_put_runs(&line, all, r);
	pb_text_string(out, markdown ? "- " : "  ");
	put_text(out, pb_text_c(&line), markdown);
	pb_text_char(out, '\n');
	out->failed = out->failed || line.failed;
	pb_text_free(&line);
}

static void put_regressions(struct pb_text *out, const struct pb_regressions *r, bool markdown)
{
	pb_text_printf(out, "\n%sRegressions: %zu confirmed, %zu suspected, %zu gone%s\n", markdown ? "**" : "", r->n_states[PB_REGRESSION_CONFIRMED],
		r->n_states[PB_REGRESSION_SUSPECTED], r->n_states[PB_REGRESSION_GONE], markdown ? "**" : "");
	for (size_t i = 0; i < r->n; i++) {
		if (i == 0 || r->list[i].state != r->list[i - 1].state)
			pb_text_printf(out, markdown ? "\n%s:\n\n" : "%s:\n", pb_regression_state_name(r->list[i].state));
		put_regression(out, r, &r->list[i], markdown);
	}
	pb_text_printf(out, "%sSeen: worse than in run 1 with q < %g after Benjamini and Hochberg over all tests of the run and beyond %g standard errors of the\n"
		"paired difference, or failed. Confirmed: in two runs in a row, of those that measured it; suspected: in the last alone.\n", markdown ? "\n" : "", PB_COMPARE_LEVEL,
		PB_COMPARE_ERRORS);
}

static void put_line(struct pb_text *out, const struct pb_history *h, const struct pb_history_line *l, bool markdown)
{
	pb_text_string(out, markdown ? "| " : "\n");
	put_text(out, l->task, markdown);
	pb_text_char(out, ' ');
	put_text(out, l->metric, markdown);
	pb_text_printf(out, markdown ? " | %zu | 1 | %.4f | | |\n" : ", %zu cells\n  run 1  %.4f\n", l->n_cells, pb_history_unit(l) * l->first);
	for (size_t k = 1; k < h->n_runs; k++) {
		pb_text_printf(out, markdown ? "| | | %zu | " : "  run %-3zu ", k + 1);
		pb_history_put_change(out, l, k);
		pb_text_printf(out, markdown ? " | %zu | %zu |\n" : "  (%zu, %zu)\n", l->worse[k], l->better[k]);
	}
}

static void put_words(struct pb_text *out, const struct pb_history *h, bool markdown)
{
	for (size_t k = 0; k < h->n_runs; k++) {
		pb_text_printf(out, "run %-3zu ", k + 1);
		put_text(out, h->runs[k].name, markdown);
		if (pb_history_begun(&h->runs[k])[0])
			pb_text_printf(out, ", %s", pb_history_begun(&h->runs[k]));
		pb_text_string(out, markdown ? "  \n" : "\n");
	}
	put_regressions(out, &h->regressions, markdown);
	pb_text_string(out, "\nMean over cells in run 1, and its paired change since, with 95 %; (worse, better): cells that changed. Accuracies in percent.\n");
	if (h->n_left)
		pb_text_printf(out, "Left out: %zu metrics of cells, which a later run lacks or has otherwise.\n", h->n_left);
	if (markdown && h->n_lines)
		pb_text_string(out, "\n| Task | Cells | Run | Mean, change | Worse | Better |\n| --- | ---: | ---: | ---: | ---: | ---: |\n");
	for (size_t i = 0; i < h->n_lines; i++)
		put_line(out, h, &h->lines[i], markdown);
}

/* --- JSON --- */

/* Both may be NULL when memory is out; takes the value. */
static bool append(json_t *array, json_t *value)
{
	return json_array_append_new(array, value) == 0;
}

static json_t *runs_json(const struct pb_history *h)
{
	json_t *runs = json_array();
	bool fine = runs;

	for (size_t k = 0; fine && k < h->n_runs; k++)
		fine = append(runs, json_pack("{s:o, s:o}", "name", pb_json_text(h->runs[k].name), "begun", pb_json_text(pb_history_begun(&h->runs[k]))));
	if (fine)
		return runs;
	json_decref(runs);
	return NULL;
}

static json_t *line_json(const struct pb_history *h, const struct pb_history_line *l)
{
	json_t *changes = json_array();
	bool fine = changes;

	for (size_t k = 1; fine && k < h->n_runs; k++)
		fine = append(changes, json_pack("{s:I, s:o, s:o, s:I, s:I}", "run", (json_int_t)(k + 1), "change", pb_json_number(l->change[k]), "stderr", pb_json_number(l->error[k]),
			"worse", (json_int_t)l->worse[k], "better", (json_int_t)l->better[k]));
	if (fine)
		return json_pack("{s:o, s:o, s:s, s:I, s:o, s:o}", "task", pb_json_text(l->task), "metric", pb_json_text(l->metric), "scale", l->scale, "cells", (json_int_t)l->n_cells, "first",
			pb_json_number(l->first), "changes", changes);
	json_decref(changes);
	return NULL;
}

/* The runs from the second on: true: worse or failed; false: not; null: not measured. */
static json_t *seen_json(const struct pb_regressions *all, const struct pb_regression *r)
{
	json_t *seen = json_array();
	bool fine = seen;

	for (size_t k = 1; fine && k < all->n_runs; k++)
		fine = append(seen, r->seen[k] == PB_SEEN_UNMEASURED ? json_null() : json_boolean(r->seen[k] == PB_SEEN_WORSE));
	if (fine)
		return seen;
	json_decref(seen);
	return NULL;
}

static json_t *regression_json(const struct pb_regressions *all, const struct pb_regression *r)
{
	bool tested = !r->entry || r->entry->tested;
	const struct pb_mean *difference = r->entry ? &r->entry->pair.difference : &r->mean->difference;
	json_t *o = json_pack("{s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o}", "state", pb_regression_state_name(r->state), "model", pb_json_text(r->base->model), "quantizer",
		pb_json_text(r->base->quantizer), "label", pb_json_text(r->base->label), "backend", pb_json_text(r->base->backend), "since", (json_int_t)(r->since + 1), "last", (json_int_t)(r->last + 1), "seen", seen_json(all, r),
		"difference", pb_json_number(tested ? difference->value : NAN), "stderr", pb_json_number(tested ? difference->stderr_value : NAN), "q",
		pb_json_number(r->entry ? r->entry->q : r->mean->q));
	json_t *what = r->entry ? json_pack("{s:o, s:o, s:o*}", "task", pb_json_text(r->base->task), "metric", pb_json_text(r->entry->base->metric), "why",
		r->entry->why[0] ? pb_json_text(r->entry->why) : NULL)
		: json_pack("{s:I}", "mean_of_tasks", (json_int_t)r->mean->n_tasks);
	bool fine = o && what && json_object_update(o, what) == 0;

	json_decref(what);
	if (fine)
		return o;
	json_decref(o);
	return NULL;
}

static enum pb_status put_json(struct pb_text *out, const struct pb_history *h, struct pb_error *err)
{
	const struct pb_regressions *r = &h->regressions;
	json_t *lines = json_array(), *regressions = json_array(), *all;
	bool fine = lines && regressions;
	char *text;

	for (size_t i = 0; fine && i < h->n_lines; i++)
		fine = append(lines, line_json(h, &h->lines[i]));
	for (size_t i = 0; fine && i < r->n; i++)
		fine = append(regressions, regression_json(r, &r->list[i]));
	all = json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:I}", "runs", runs_json(h), "tasks", lines, "regressions", regressions, "confirmed",
		(json_int_t)r->n_states[PB_REGRESSION_CONFIRMED], "suspected", (json_int_t)r->n_states[PB_REGRESSION_SUSPECTED], "gone", (json_int_t)r->n_states[PB_REGRESSION_GONE],
		"left_out", (json_int_t)h->n_left);
	text = all && fine ? pb_json_pretty(all) : NULL;
	json_decref(all);
	if (!text)
		return pb_out_of_memory(err, "a history");
	pb_text_string(out, text);
	pb_free(text);
	return PB_OK;
}

enum pb_status pb_history_print(const struct pb_history *h, enum pb_compare_format format, struct pb_text *out, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	if (format == PB_COMPARE_JSON)
		st = put_json(out, h, err);
	else
		put_words(out, h, format == PB_COMPARE_MARKDOWN);
	return st ? st : pb_text_check(out, err);
}
