/* What has no number, and why: a line for the tasks of a setting that share the reason. */
#include <string.h>

#include "reports/view.h"

static bool same_line(const struct pb_row *a, const struct pb_row *b)
{
	return a->status == b->status && a->seed == b->seed && strcmp(a->reason, b->reason) == 0 && strcmp(a->model, b->model) == 0 && strcmp(a->label, b->label) == 0 &&
		strcmp(a->quantizer, b->quantizer) == 0 && strcmp(a->backend, b->backend) == 0;
}

/* The tasks of rows i to n - 1 of the same setting, where they say the same as row i; those rows are done then. */
static bool join_tasks(const struct pb_rows *rows, size_t i, size_t n, bool *done, struct pb_text *out)
{
	const char *last = "";
	for (size_t k = i; k < n; k++) {
		const struct pb_row *r = &rows->rows[k];
		if (done[k] || !same_line(&rows->rows[i], r))
			continue;
		done[k] = true;
		if (strcmp(last, r->task) != 0)
			pb_text_printf(out, "%s%s", *last ? ", " : "", r->task);
		last = r->task;
	}
	return !out->failed;
}

static bool same_setting(const struct pb_row *a, const struct pb_row *b)
{
	return strcmp(a->model, b->model) == 0 && strcmp(a->label, b->label) == 0 && strcmp(a->backend, b->backend) == 0;
}

enum pb_status pb_view_failures(struct pb_view *view, struct pb_error *err)
{
	const struct pb_rows *rows = view->input->rows;
	bool *done = pb_arena_alloc(view->arena, rows->n, sizeof *done);
	view->failures = pb_arena_alloc(view->arena, rows->n, sizeof *view->failures);
	if (!done || !view->failures)
		return pb_out_of_memory(err, "a report");
	for (size_t first = 0, n; first < rows->n; first = n) {
		for (n = first + 1; n < rows->n && same_setting(&rows->rows[first], &rows->rows[n]); n++)
			;
		for (size_t i = first; i < n; i++) {
			const struct pb_row *r = &rows->rows[i];
			struct pb_text tasks = { 0 };
			if (done[i] || r->status == PB_ROW_OK)
				continue;
			bool ok = join_tasks(rows, i, n, done, &tasks);
			const char *text = ok ? pb_arena_strdup(view->arena, pb_text_c(&tasks)) : NULL;
			pb_text_free(&tasks);
			if (!text)
				return pb_out_of_memory(err, "a report");
			view->failures[view->n_failures++] = (struct pb_view_failure){ r, text, *r->reason ? r->reason : "no reason was recorded" };
		}
	}
	return PB_OK;
}
