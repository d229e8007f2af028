#include "reports/parameters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/store/import.h"
#include "reports/front.h"
#include "reports/stats/statistics.h"

#define MAX_PANELS 24           /* further tasks are in the tables */

struct cell {
	const char *model, *label;
	double params;
};
/* A task, or several of one prefix: a value a cell, NaN where there is none. */
struct curve {
	const char *name, *metric;
	double *values, *errors;        /* (n_cells) */
	size_t n_tasks;
};
struct table {
	struct pb_arena *arena;
	struct cell *cells;
	size_t n_cells;
	struct curve *curves;           /* accuracies and perplexities by task, in the order of the rows */
	size_t n_curves, capacity;
};

static bool counts(const struct pb_row *r)
{
	return r->status == PB_ROW_OK && strcmp(r->kernel, PB_IMPORTED) == 0 && r->params > 0 && r->model_bytes == PB_ABSENT && isfinite(r->value) &&
		(strcmp(r->metric, "acc") == 0 || strncmp(r->metric, "ppl", 3) == 0);
}

static int compare_cells(const void *pa, const void *pb)
{
	const struct cell *a = pa, *b = pb;
	int c = strcmp(a->label, b->label);

	if (!c)
		c = (a->params > b->params) - (a->params < b->params);
	return c ? c : strcmp(a->model, b->model);
}

/* Rows are sorted by model and label: a cell is a stretch of them. */
static bool find_cells(struct table *t, const struct pb_rows *rows)
{
	if (!(t->cells = pb_arena_alloc(t->arena, rows->n, sizeof(*t->cells))))
		return false;
	for (size_t i = 0; i < rows->n; i++) {
		const struct pb_row *r = &rows->rows[i];
		const struct cell *last = t->n_cells ? &t->cells[t->n_cells - 1] : NULL;

		if (counts(r) && !(last && strcmp(last->model, r->model) == 0 && strcmp(last->label, r->label) == 0))
			t->cells[t->n_cells++] = (struct cell){ r->model, r->label, (double)r->params };
	}
	qsort(t->cells, t->n_cells, sizeof(*t->cells), compare_cells);
	return true;
}

static struct curve *add_curve(struct table *t, const char *name, const char *metric)
{
	struct curve *c;

	if (t->n_curves == t->capacity) {
		size_t capacity = t->capacity ? 2 * t->capacity : 64;
		struct curve *longer = pb_arena_alloc(t->arena, capacity, sizeof(*longer));

		if (!longer)
			return NULL;
		if (t->n_curves)
			memcpy(longer, t->curves, t->n_curves * sizeof(*longer));
		t->curves = longer;
		t->capacity = capacity;
	}
	c = &t->curves[t->n_curves];
	*c = (struct curve){ .name = name, .metric = metric, .n_tasks = 1 };
	c->values = pb_arena_alloc(t->arena, t->n_cells, sizeof(double));
	c->errors = pb_arena_alloc(t->arena, t->n_cells, sizeof(double));
	if (!c->values || !c->errors)
		return NULL;
	for (size_t i = 0; i < t->n_cells; i++)
		c->values[i] = c->errors[i] = NAN;
	t->n_curves++;
	return c;
}

/* The row's place; rows of a task follow each other, so the curve after the last one is tried first. */
static bool place(struct table *t, const struct pb_row *r, size_t *last)
{
	struct curve *c = NULL;

	for (size_t k = 0; !c && k < t->n_curves; k++) {
		struct curve *tried = &t->curves[(*last + 1 + k) % t->n_curves];

		if (strcmp(tried->name, r->task) == 0 && strcmp(tried->metric, r->metric) == 0) {
			c = tried;
			*last = (*last + 1 + k) % t->n_curves;
		}
	}
	if (!c && !(c = add_curve(t, r->task, r->metric)))
		return false;
	for (size_t i = 0; i < t->n_cells; i++)
		if (strcmp(t->cells[i].model, r->model) == 0 && strcmp(t->cells[i].label, r->label) == 0) {
			c->values[i] = r->value;
			c->errors[i] = pb_row_error(r);
		}
	return true;
}

static bool is_accuracy(const struct curve *c)
{
	return strcmp(c->metric, "acc") == 0;
}

static bool is_complete(const struct table *t, const struct curve *c)
{
	for (size_t i = 0; i < t->n_cells; i++)
		if (isnan(c->values[i]))
			return false;
	return true;
}

/* Mean of the accuracies of these curves; a cell that lacks one has none. */
static bool mean_of(struct table *t, const struct curve *const *curves, size_t n, struct curve *out)
{
	double *errors = pb_arena_alloc(t->arena, n, sizeof(*errors));

	out->values = pb_arena_alloc(t->arena, t->n_cells, sizeof(double));
	out->errors = pb_arena_alloc(t->arena, t->n_cells, sizeof(double));
	if (!errors || !out->values || !out->errors)
		return false;
	out->n_tasks = n;
	for (size_t i = 0; i < t->n_cells; i++) {
		double sum = 0;

		for (size_t k = 0; k < n; k++) {
			sum += curves[k]->values[i];
			errors[k] = curves[k]->errors[i];
		}
		out->values[i] = sum / (double)n;
		out->errors[i] = pb_stderr_of_mean(errors, n);
	}
	return true;
}

/* --- charts --- */

/* One series a label, over the parameters. */
static bool fill_series(struct table *t, const struct curve *c, double unit, struct pb_chart_series *series, size_t *n)
{
	double *numbers = pb_arena_alloc(t->arena, 4 * t->n_cells, sizeof(*numbers)), *x = numbers, *y, *low, *high;

	*n = 0;
	if (!numbers)
		return false;
	y = x + t->n_cells;
	low = y + t->n_cells;
	high = low + t->n_cells;
	for (size_t i = 0; i < t->n_cells; i++) {
		struct pb_chart_series *s = *n ? &series[*n - 1] : NULL;

		x[i] = t->cells[i].params;
		y[i] = unit * c->values[i];
		low[i] = unit * (c->values[i] - PB_Z95 * c->errors[i]);
		high[i] = unit * (c->values[i] + PB_Z95 * c->errors[i]);
		if (!s || strcmp(t->cells[i].label, t->cells[i - 1].label) != 0) {
			s = &series[(*n)++];
			*s = (struct pb_chart_series){ .name = t->cells[i].label, .no_name = true, .ink = pb_chart_ink(*n - 1), .shape = pb_chart_shape(*n - 1),
				.x = x + i, .y = y + i, .low = low + i, .high = high + i, .line = true, .marks = true };
		}
		s->n++;
	}
	for (size_t k = 0; *n > 1 && k < *n; k++)
		series[k].no_name = false;
	return true;
}

static void add_panel(struct pb_section *out, struct table *t, const struct curve *c, size_t number)
{
	struct pb_chart_series *series = pb_arena_alloc(t->arena, t->n_cells, sizeof(*series));
	bool percent = is_accuracy(c);
	size_t n = 0;
	const char *title = c->n_tasks > 1 ? pb_arena_printf(t->arena, "%s, mean acc of %zu tasks", c->name, c->n_tasks) : pb_arena_printf(t->arena, "%s %s", c->name, c->metric);
	const char *slug = pb_arena_printf(t->arena, "parameters-%zu", number);
	struct pb_section_chart chart;

	if (!series || !title || !slug || !fill_series(t, c, percent ? 100 : 1, series, &n)) {
		out->failed = true;
		return;
	}
	chart = (struct pb_section_chart){ .slug = slug, .caption = "Bars: 95 % intervals.", .note = "", .panel = true,
		.chart = { .title = title, .x_title = "Parameters, log scale", .y_title = percent ? "Accuracy, % (higher is better)" : "Perplexity, log scale (lower is better)",
			.description = title, .x_kind = PB_AXIS_COUNT, .y_kind = percent ? PB_AXIS_LINEAR : PB_AXIS_LOG, .series = series, .n_series = n } };
	pb_section_chart(out, &chart);
}

static bool same_prefix(const struct curve *a, const struct curve *b)
{
	size_t n = pb_task_prefix(a->name);

	return n == pb_task_prefix(b->name) && strncmp(a->name, b->name, n) == 0 && is_accuracy(a) && is_accuracy(b);
}

/* Single tasks, and groups as their mean, in the order of the tasks; NULL when memory is out. */
static const struct curve *gather(struct table *t, size_t *n_shown)
{
	const struct curve **group = pb_arena_alloc(t->arena, t->n_curves, sizeof(*group));
	struct curve *shown = pb_arena_alloc(t->arena, t->n_curves, sizeof(*shown));

	*n_shown = 0;
	for (size_t i = 0; group && shown && i < t->n_curves; i++) {
		struct curve *mean = &shown[*n_shown];
		size_t n = 0, first = t->n_curves;

		for (size_t k = 0; k < t->n_curves; k++)
			if (same_prefix(&t->curves[i], &t->curves[k])) {
				first = k < first ? k : first;
				group[n++] = &t->curves[k];
			}
		if (n >= PB_TASK_GROUP && first != i)
			continue;
		*mean = t->curves[i];
		(*n_shown)++;
		if (n < PB_TASK_GROUP)
			continue;
		mean->name = pb_arena_strndup(t->arena, t->curves[i].name, pb_task_prefix(t->curves[i].name));
		if (!mean->name || !mean_of(t, group, n, mean))
			return NULL;
	}
	return group ? shown : NULL;
}

static void add_panels(struct pb_section *out, struct table *t, const struct curve *shown, size_t n)
{
	for (size_t i = 0; i < n && i < MAX_PANELS; i++)
		add_panel(out, t, &shown[i], i + 1);
	if (n > MAX_PANELS)
		pb_section_note(out, "%zu further tasks are in rows.csv.", n - MAX_PANELS);
}

/* Correlation of the logarithm of a perplexity with mean accuracy over the *n cells that have both. */
static double correlation(const struct curve *ppl, const struct curve *mean, size_t n_cells, size_t *n)
{
	double sx = 0, sy = 0, xx = 0, yy = 0, xy = 0, count = 0;

	for (size_t i = 0; i < n_cells; i++) {
		double x = log(ppl->values[i]), y = mean->values[i];

		if (!isfinite(x) || !isfinite(y))
			continue;
		count++;
		sx += x;
		sy += y;
		xx += x * x;
		yy += y * y;
		xy += x * y;
	}
	*n = (size_t)count;
	return (xy - sx * sy / count) / sqrt((xx - sx * sx / count) * (yy - sy * sy / count));
}

/* Perplexity against mean accuracy, a mark a cell. */
static void add_scatter(struct pb_section *out, struct table *t, const struct curve *ppl, const struct curve *mean)
{
	struct pb_chart_series *series = pb_arena_alloc(t->arena, t->n_cells, sizeof(*series));
	double *numbers = pb_arena_alloc(t->arena, 3 * t->n_cells, sizeof(*numbers)), r;
	size_t n;
	const char *x_title = pb_arena_printf(t->arena, "%s %s, log scale (lower is better)", ppl->name, ppl->metric);
	const char *caption;

	r = correlation(ppl, mean, t->n_cells, &n);
	caption = pb_arena_printf(t->arena, "Mean accuracy over %zu tasks that all models have, with 95 %% intervals, against perplexity. The correlation of accuracy with "
		"the logarithm of perplexity over %zu models is %.3f.", mean->n_tasks, n, r);

	if (!series || !numbers || !x_title || !caption) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < t->n_cells; i++) {
		double *y = numbers + 3 * i;

		y[0] = 100 * mean->values[i];
		y[1] = 100 * (mean->values[i] - PB_Z95 * mean->errors[i]);
		y[2] = 100 * (mean->values[i] + PB_Z95 * mean->errors[i]);
		series[i] = (struct pb_chart_series){ .name = t->cells[i].model, .ink = pb_chart_ink(i), .shape = pb_chart_shape(i), .n = 1, .x = &ppl->values[i], .y = y,
			.low = y + 1, .high = y + 2, .marks = true };
	}
	pb_section_chart(out, &(struct pb_section_chart){ .slug = "perplexity-accuracy", .caption = caption, .note = "",
		.chart = { .title = "Perplexity and accuracy", .x_title = x_title, .y_title = "Mean accuracy, % (higher is better)", .description = caption, .x_kind = PB_AXIS_LOG,
			.y_kind = PB_AXIS_LINEAR, .series = series, .n_series = t->n_cells } });
}

static const struct pb_section_column columns[] = {
	{ "Model", false, false }, { "Setting", false, false }, { "Parameters", true, false }, { "Mean accuracy", true, false }, { "Perplexity", true, false },
};

static void add_table(struct pb_section *out, const struct table *t, const struct curve *ppl, const struct curve *mean)
{
	struct pb_section_table *table = pb_section_table(out, columns, sizeof(columns) / sizeof(columns[0]));
	char text[64];

	for (size_t i = 0; i < t->n_cells; i++) {
		pb_table_text(table, "%s", t->cells[i].model);
		pb_table_text(table, "%s", t->cells[i].label);
		pb_format_count(text, t->cells[i].params, 3);
		pb_table_number(table, t->cells[i].params, "%s", text);
		for (int k = 0; k < 2; k++) {
			const struct curve *c = k ? ppl : mean;
			double value = c ? c->values[i] * (k ? 1 : 100) : NAN;

			if (c)
				pb_format_value(text, value, c->errors[i] * (k ? 1 : 100));
			pb_table_number(table, value, "%s", c ? text : "n/a");
		}
	}
}

enum pb_status pb_parameters_section(struct pb_section *out, const struct pb_rows *rows, struct pb_arena *arena, bool *is_there, struct pb_error *err)
{
	struct table t = { .arena = arena };
	struct curve mean = { .name = "mean", .metric = "acc" };
	const struct curve **complete, *shown, *ppl = NULL;
	size_t n_shown, n_complete = 0, last = 0;

	*is_there = false;
	pb_section_init(out, arena, "parameters", "Results by parameters");
	if (!find_cells(&t, rows))
		return pb_out_of_memory(err, "a report");
	if (t.n_cells < 2)
		return PB_OK;
	for (size_t i = 0; i < rows->n; i++)
		if (counts(&rows->rows[i]) && !place(&t, &rows->rows[i], &last))
			return pb_out_of_memory(err, "a report");
	shown = gather(&t, &n_shown);
	complete = pb_arena_alloc(arena, n_shown, sizeof(*complete));
	if (!shown || !complete)
		return pb_out_of_memory(err, "a report");
	for (size_t i = 0; i < n_shown; i++) {
		if (!is_accuracy(&shown[i]))
			ppl = ppl ? ppl : &shown[i];
		else if (is_complete(&t, &shown[i]))
			complete[n_complete++] = &shown[i];
	}
	if (n_complete && !mean_of(&t, complete, n_complete, &mean))
		return pb_out_of_memory(err, "a report");
	pb_section_text(out, "%zu models from elsewhere, without sizes: they have no place on a size-quality front.", t.n_cells);
	pb_section_note(out, "Parameters are those that the files tell, or the size in the model's name. Mean accuracy is the plain mean of acc over the %zu tasks that all of them have; "
		"%d tasks or more of one name before a hyphen or an underscore count as one, their mean.", n_complete, PB_TASK_GROUP);
	if (n_complete && ppl)
		add_scatter(out, &t, ppl, &mean);
	add_table(out, &t, ppl, n_complete ? &mean : NULL);
	add_panels(out, &t, shown, n_shown);
	*is_there = true;
	return pb_section_check(out, err);
}
