#include "reports/row_sections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- points in series --- */

struct mark {
	const char *series;
	double x, y, half;              /* half: of the 95 % interval; NaN: none */
	const struct pb_row *row;
};

static int compare_marks(const void *pa, const void *pb)
{
	const struct mark *a = pa, *b = pb;
	int c = strcmp(a->series, b->series);
	if (!c)
		c = (a->x > b->x) - (a->x < b->x);
	return c ? c : (a->row > b->row) - (a->row < b->row);
}

/* The marks as series, one for each name, by name. NULL when memory is out. */
static struct pb_chart_series *make_series(struct pb_arena *arena, struct mark *marks, size_t n, bool line, size_t *n_series)
{
	struct pb_chart_series *series = pb_arena_alloc(arena, n, sizeof *series);
	double *numbers = pb_arena_alloc(arena, 4 * n, sizeof *numbers);
	const char **tooltips = pb_arena_alloc(arena, n, sizeof *tooltips);
	if (!series || !numbers || !tooltips)
		return NULL;
	double *x = numbers, *y = numbers + n, *low = numbers + 2 * n, *high = numbers + 3 * n;
	*n_series = 0;
	if (n > 1)
		qsort(marks, n, sizeof *marks, compare_marks);
	for (size_t i = 0; i < n; i++) {
		const struct mark *m = &marks[i];
		x[i] = m->x;
		y[i] = m->y;
		low[i] = m->y - m->half;
		high[i] = m->y + m->half;
		tooltips[i] = pb_arena_printf(arena, "%s \u00b7 %s\n%.4g effective bits\n%.6g", m->row->label, m->row->model, m->row->effective_bits, m->y);
		if (!tooltips[i])
			return NULL;
		if (i == 0 || strcmp(m->series, marks[i - 1].series) != 0) {
			const size_t k = (*n_series)++;
			const struct pb_family *family = &pb_families[pb_family_index(m->series)];
			const bool is_family = strcmp(family->name, m->series) == 0; /* of one colour everywhere */
			series[k] = (struct pb_chart_series){ .name = m->series, .ink = is_family ? family->ink : pb_chart_ink(k), .shape = is_family ? family->shape : pb_chart_shape(k), .x = x + i, .y = y + i, .low = low + i,
				.high = high + i, .tooltips = tooltips + i, .line = line, .marks = true };
		}
		series[*n_series - 1].n++;
	}
	return series;
}

static bool is_metric(const struct pb_row *r, const char *task, const char *metric)
{
	return r->status == PB_ROW_OK && strcmp(r->metric, metric) == 0 && (!task || strcmp(r->task, task) == 0) && isfinite(r->value);
}

/* --- knowledge --- */

static const struct pb_section_column knowledge_columns[] = {
	{ "Model", false, false }, { "Parameters", true, false }, { "Full precision, bits of facts", true, false }, { "A parameter", true, false },
	{ "Most bits of facts a stored bit", true, false }, { "By", false, false }, { "Its bits of facts", true, false },
};

static bool is_knowledge(const struct pb_row *r)
{
	return is_metric(r, NULL, "bits") && r->model_bytes > 0;
}

static double per_stored_bit(const struct pb_row *r)
{
	return r->value / (8.0 * (double)r->model_bytes);
}

/* The row of the same model and task, and of the same nominal width when that is asked for, that holds most per stored bit. */
static const struct pb_row *densest(const struct pb_row *const *rows, size_t n, const struct pb_row *first, bool same_width)
{
	const struct pb_row *best = NULL;
	for (size_t i = 0; i < n; i++) {
		const struct pb_row *r = rows[i];
		if ((same_width && r->wbits != first->wbits) || strcmp(r->model, first->model) != 0 || strcmp(r->task, first->task) != 0)
			continue;
		if (!best || per_stored_bit(r) > per_stored_bit(best))
			best = r;
	}
	return best;
}

static const struct pb_row *full_precision(const struct pb_row *const *rows, size_t n, const struct pb_row *like)
{
	for (size_t i = 0; i < n; i++) {
		const struct pb_row *r = rows[i];
		if (strcmp(r->family, "full precision") == 0 && strcmp(r->model, like->model) == 0 && strcmp(r->task, like->task) == 0)
			return r;
	}
	return NULL;
}

/* A line of the table for the model of this row. */
static void add_model(struct pb_section_table *table, const struct pb_row *const *rows, size_t n, const struct pb_row *first)
{
	const struct pb_row *full = full_precision(rows, n, first), *best = densest(rows, n, first, false);
	char buffer[64];
	pb_table_text(table, "%s", first->model);
	pb_format_count(buffer, first->params == PB_ABSENT ? NAN : (double)first->params, 3);
	pb_table_number(table, first->params == PB_ABSENT ? NAN : (double)first->params, "%s", buffer);
	pb_format_value(buffer, full ? full->value : NAN, full ? full->stderr_value : NAN);
	pb_table_number(table, full ? full->value : NAN, "%s", buffer);
	double each = full && full->params > 0 ? full->value / (double)full->params : NAN;
	pb_table_number(table, each, isfinite(each) ? "%.5f" : "n/a", each);
	pb_table_number(table, per_stored_bit(best), "%.6f", per_stored_bit(best));
	pb_table_text(table, "%s", best->label);
	pb_format_value(buffer, best->value, best->stderr_value);
	pb_table_number(table, best->value, "%s", buffer);
}

static int compare_params(const void *pa, const void *pb)
{
	const struct pb_row *a = *(const struct pb_row *const *)pa, *b = *(const struct pb_row *const *)pb;
	int c = (a->params > b->params) - (a->params < b->params);
	return c ? c : strcmp(a->model, b->model);
}

bool pb_knowledge_section(struct pb_section *out, const struct pb_rows *rows, struct pb_arena *arena)
{
	size_t n = 0, n_models = 0, n_by_bits = 0;
	bool any_knows = false;
	const struct pb_row **known = pb_arena_alloc(arena, rows->n, sizeof *known);
	for (size_t i = 0; known && i < rows->n; i++)
		if (is_knowledge(&rows->rows[i]))
			known[n++] = &rows->rows[i];
	if (known && !n)
		return false;
	pb_section_init(out, arena, "knowledge", "Knowledge");
	struct mark *by_size = pb_arena_alloc(arena, n, sizeof *by_size), *by_bits = pb_arena_alloc(arena, n, sizeof *by_bits);
	const struct pb_row **models = pb_arena_alloc(arena, n, sizeof *models);
	if (!known || !by_size || !by_bits || !models) {
		out->failed = true;
		return true;
	}
	for (size_t i = 0; i < n; i++) {
		const struct pb_row *r = known[i];
		bool seen = false;
		any_knows = any_knows || r->value > 0.0;
		by_size[i] = (struct mark){ r->family, (double)r->model_bytes, r->value, 1.96 * r->stderr_value, r };
		if (isfinite(r->effective_bits) && densest(known, n, r, true) == r)
			by_bits[n_by_bits++] = (struct mark){ r->model, r->effective_bits, per_stored_bit(r), 1.96 * r->stderr_value / (8.0 * (double)r->model_bytes), r };
		for (size_t k = 0; k < n_models && !seen; k++)
			seen = strcmp(models[k]->model, r->model) == 0;
		if (!seen)
			models[n_models++] = r;
	}
	struct pb_section_chart size = { .slug = "knowledge-size", .note = "", .caption = "Each point is a setting of a model. Bits of facts: the log-probability that the model gives to "
		"the true answers of a task of facts beyond what their frequencies give, summed over the facts; 0 is knowing nothing, and who is surely wrong is below (an arrow at the foot). Bars are 95 % intervals over facts.",
		.chart = { .title = "Bits of facts by model size", .x_title = "Model size: all bytes needed to run, log scale", .y_title = "Bits of facts (higher is better)",
			.description = "bits of facts by model size, a colour for each family of methods", .x_kind = PB_AXIS_BYTES, .y_kind = PB_AXIS_LINEAR } };
	struct pb_section_chart bits = { .slug = "knowledge-bits", .note = "", .caption = "Bits of facts over all bits that the model stores, by effective bits of its weights: for each model "
		"the best setting at each nominal width. Where a line is highest, a stored bit holds most.",
		.chart = { .title = "Bits of facts for each stored bit", .x_title = "Effective bits per quantized weight, log scale", .y_title = "Bits of facts a stored bit (higher is better)",
			.description = "bits of facts for each stored bit by effective bits, a line for each model", .x_kind = PB_AXIS_LOG, .y_kind = PB_AXIS_LINEAR } };
	size.chart.has_y_floor = bits.chart.has_y_floor = any_knows;
	size.chart.series = make_series(arena, by_size, n, false, &size.chart.n_series);
	bits.chart.series = make_series(arena, by_bits, n_by_bits, true, &bits.chart.n_series);
	if (!size.chart.series || !bits.chart.series) {
		out->failed = true;
		return true;
	}
	pb_section_chart(out, &size);
	pb_section_chart(out, &bits);
	struct pb_section_table *table = pb_section_table(out, knowledge_columns, sizeof knowledge_columns / sizeof *knowledge_columns);
	qsort(models, n_models, sizeof *models, compare_params);
	for (size_t i = 0; i < n_models; i++)
		add_model(table, known, n, models[i]);
	return true;
}

/* --- movement --- */

/* One chart of a metric of task `weights`, when any row has it. */
static bool add_movement(struct pb_section *out, const struct pb_rows *rows, const char *metric, const char *slug, const char *title, const char *y_title, const char *caption)
{
	struct mark *marks = pb_arena_alloc(out->arena, rows->n, sizeof *marks);
	size_t n = 0;
	if (!marks) {
		out->failed = true;
		return true;
	}
	for (size_t i = 0; i < rows->n; i++) {
		const struct pb_row *r = &rows->rows[i];
		if (is_metric(r, "weights", metric) && r->value > 0.0 && isfinite(r->effective_bits))
			marks[n++] = (struct mark){ r->family, r->effective_bits, r->value, NAN, r };
	}
	if (!n)
		return false;
	struct pb_section_chart chart = { .slug = slug, .note = "", .caption = caption,
		.chart = { .title = title, .x_title = "Effective bits per quantized weight, log scale", .y_title = y_title, .description = title,
			.x_kind = PB_AXIS_LOG, .y_kind = PB_AXIS_LOG } };
	chart.chart.series = make_series(out->arena, marks, n, false, &chart.chart.n_series);
	if (!chart.chart.series)
		out->failed = true;
	else
		pb_section_chart(out, &chart);
	return true;
}

bool pb_movement_section(struct pb_section *out, const struct pb_rows *rows, struct pb_arena *arena)
{
	bool any;
	pb_section_init(out, arena, "movement", "Movement of the weights");
	any = add_movement(out, rows, "relative_l1", "movement-l1", "Movement of the weights by effective bits", "sum |W^ - W| / sum |W| (lower is nearer)",
		"Each point is a setting of a model. Rounding alone moves weights as far as their grid is coarse; what a trained method moves beyond that, it learned.");
	any = add_movement(out, rows, "proxy_error", "movement-proxy", "Proxy error by effective bits", "tr(E H E') / tr(W H W') (lower is better)",
		"The error of each layer's output on the calibration's inputs, relative to the output: what calibrated methods minimize.") || any;
	return any;
}
