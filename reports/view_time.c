/* The lines of the table of time and counters: a task of a cell each, or, of more lines than anybody reads, a quantizer's setting each. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/view.h"

#define MOST_LINES 2000

static int compare_settings(const void *pa, const void *pb)
{
	const struct pb_view_time *a = pa, *b = pb;
	int c = strcmp(a->row->label, b->row->label);
	if (!c)
		c = strcmp(a->row->quantizer, b->row->quantizer);
	return c ? c : strcmp(a->row->backend, b->row->backend);
}

/* An absent number adds nothing to a sum; the sum of absent ones is absent. */
static double add(double sum, double v)
{
	return isnan(sum) ? v : isnan(v) ? sum : sum + v;
}

static void join(struct pb_view_time *sum, const struct pb_view_time *line, size_t n_counters)
{
	sum->n_tasks += line->n_tasks;
	sum->quantize_seconds = add(sum->quantize_seconds, line->quantize_seconds);
	sum->eval_seconds = add(sum->eval_seconds, line->eval_seconds);
	if (line->peak_rss_bytes > sum->peak_rss_bytes)
		sum->peak_rss_bytes = line->peak_rss_bytes;
	for (size_t i = 0; i < n_counters; i++)
		sum->counters[i] = add(sum->counters[i], line->counters[i]);
}

enum pb_status pb_view_times(struct pb_view *view, struct pb_error *err)
{
	size_t n = 0;
	for (size_t i = 0; i < view->n_cells; i++)
		n += view->cells[i].n_tasks;
	view->times = pb_arena_alloc(view->arena, n, sizeof *view->times);
	double *counters = pb_arena_alloc(view->arena, n * view->n_counters, sizeof *counters);
	if (!view->times || !counters)
		return pb_out_of_memory(err, "a report");
	for (size_t i = 0; i < view->n_cells; i++)
		for (size_t k = 0; k < view->cells[i].n_tasks; k++) {
			const struct pb_row *r = view->cells[i].tasks[k];
			struct pb_view_time *t = &view->times[view->n_times++];
			/* The quantizing is the cell's: it stands in the line of its first task. */
			*t = (struct pb_view_time){ .row = r, .n_tasks = 1, .quantize_seconds = k == 0 ? r->quantize_seconds : NAN, .has_quantizing = k == 0,
				.eval_seconds = r->eval_seconds, .peak_rss_bytes = r->peak_rss_bytes, .counters = counters };
			counters += view->n_counters;
			for (size_t c = 0; c < view->n_counters; c++)
				t->counters[c] = pb_row_counter(r, view->counters[c].name);
		}
	view->times_by_setting = view->n_times > MOST_LINES;
	if (!view->times_by_setting)
		return PB_OK;
	size_t kept = 0;
	qsort(view->times, view->n_times, sizeof *view->times, compare_settings);
	for (size_t i = 0; i < view->n_times; i++) {
		if (kept > 0 && compare_settings(&view->times[kept - 1], &view->times[i]) == 0) {
			join(&view->times[kept - 1], &view->times[i], view->n_counters);
		} else {
			view->times[kept] = view->times[i];
			view->times[kept++].has_quantizing = true;
		}
	}
	view->n_times = kept;
	return PB_OK;
}
