#include "reports/view.h"

#include <cairo.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/canvas.h"
#include "reports/axes_section.h"
#include "reports/front_section.h"
#include "reports/groups_section.h"

/* The value of a fact, or "". */
static const char *fact_value(const struct pb_view *view, const char *name)
{
	for (size_t i = 0; i < view->input->n_facts; i++)
		if (strcmp(view->input->facts[i].name, name) == 0)
			return view->input->facts[i].value;
	return "";
}

static size_t n_trainings(const struct pb_view *view)
{
	return view->input->trainings ? view->input->trainings->n : 0;
}

static const char *keep(const struct pb_view *view, struct pb_text *t)
{
	const char *s = t->failed ? NULL : pb_arena_strdup(view->arena, pb_text_c(t));
	pb_text_free(t);
	return s;
}

/* The main figure: what was asked for, else the mean of accuracies, else the first perplexity, else the first front there is. */
static enum pb_status choose_columns(struct pb_view *view, struct pb_error *err)
{
	const struct pb_fronts *fronts = &view->fronts;
	view->columns = pb_arena_alloc(view->arena, fronts->n, sizeof *view->columns);
	if (!view->columns)
		return pb_out_of_memory(err, "a report");
	if (view->input->y) {
		struct pb_goal goal;
		enum pb_status st = pb_goal_find(&goal, fronts, false, "--y", view->input->y, err);
		if (st != PB_OK)
			return st;
		view->main = goal.front;
	}
	const struct pb_front *first = NULL, *ppl = NULL, *mean = NULL;
	for (size_t i = 0; i < fronts->n; i++) {
		const struct pb_front *f = &fronts->fronts[i];
		if (f->n_points == 0 || !(f->is_mean || pb_front_stands_for_task(fronts, f)))
			continue;
		if (f->is_mean && !mean)
			mean = f;
		if (!first)
			first = f;
		if (!ppl && strncmp(f->metric, "ppl", 3) == 0)
			ppl = f;
	}
	if (!view->main)
		view->main = mean ? mean : ppl ? ppl : first;
	if (view->main)
		view->columns[view->n_columns++] = view->main;
	for (size_t i = 0; i < fronts->n; i++) {
		const struct pb_front *f = &fronts->fronts[i];
		if (f != view->main && f->n_points > 0 && (f->is_mean || pb_front_stands_for_task(fronts, f)))
			view->columns[view->n_columns++] = f;
	}
	for (size_t i = 0; view->main && i < view->main->n_points; i++) {
		view->has_bits = view->has_bits || (view->main->points[i].bits > 0.0 && view->main->points[i].bits <= 1024.0);
		view->has_family[pb_family_index(view->main->points[i].row->family)] = true;
	}
	return PB_OK;
}

static int compare_row_pointers(const void *pa, const void *pb)
{
	const struct pb_row *a = *(const struct pb_row *const *)pa, *b = *(const struct pb_row *const *)pb;
	int c = pb_front_compare_cells(a, b);
	return c ? c : (a > b) - (a < b);
}

static int compare_view_cells(const void *pa, const void *pb)
{
	const struct pb_view_cell *a = pa, *b = pb;
	bool in_a = a->points != NULL, in_b = b->points != NULL;
	int c = (int)in_b - (int)in_a;
	/* An unknown size comes last. */
	uint64_t bytes_a = a->row->model_bytes == PB_ABSENT ? UINT64_MAX : (uint64_t)a->row->model_bytes;
	uint64_t bytes_b = b->row->model_bytes == PB_ABSENT ? UINT64_MAX : (uint64_t)b->row->model_bytes;
	if (!c)
		c = (bytes_a > bytes_b) - (bytes_a < bytes_b);
	if (!c)
		c = strcmp(a->row->model, b->row->model);
	if (!c)
		c = strcmp(a->row->label, b->row->label);
	return c ? c : pb_front_compare_cells(a->row, b->row);
}

/* failed before stale before running before skipped before ok */
static enum pb_row_status worse(enum pb_row_status a, enum pb_row_status b)
{
	static const int badness[PB_ROW_STATUSES] = { [PB_ROW_OK] = 0, [PB_ROW_SKIPPED] = 1, [PB_ROW_RUNNING] = 2, [PB_ROW_STALE] = 3, [PB_ROW_FAILED] = 4 };
	return badness[b] > badness[a] ? b : a;
}

static int compare_point_pointers(const void *pa, const void *pb)
{
	return pb_front_compare_cells((*(const struct pb_point *const *)pa)->row, (*(const struct pb_point *const *)pb)->row);
}

/* Gives each cell its points; cells and points meet by sorted search, as there may be thousands of both. */
static enum pb_status find_points(struct pb_view *view, struct pb_error *err)
{
	for (size_t i = 0; i < view->n_columns; i++) {
		const struct pb_front *front = view->columns[i];
		const struct pb_point **index = pb_arena_alloc(view->arena, front->n_points, sizeof *index);
		if (!index)
			return pb_out_of_memory(err, "a report");
		for (size_t k = 0; k < front->n_points; k++)
			index[k] = &front->points[k];
		qsort(index, front->n_points, sizeof *index, compare_point_pointers);
		for (size_t k = 0; k < view->n_cells; k++) {
			struct pb_view_cell *cell = &view->cells[k];
			const struct pb_point key = { .row = cell->row }, *key_pointer = &key;
			const struct pb_point **found = bsearch(&key_pointer, index, front->n_points, sizeof *index, compare_point_pointers);
			if (!found)
				continue;
			if (!cell->points) {
				cell->points = pb_arena_alloc(view->arena, view->n_columns, sizeof *cell->points);
				view->n_in_table++;
			}
			if (!cell->points)
				return pb_out_of_memory(err, "a report");
			cell->points[i] = *found;
		}
	}
	return PB_OK;
}

static enum pb_status make_cells(struct pb_view *view, struct pb_error *err)
{
	const struct pb_rows *rows = view->input->rows;
	const struct pb_row **list = pb_arena_alloc(view->arena, rows->n, sizeof *list);
	const struct pb_row **tasks = pb_arena_alloc(view->arena, rows->n, sizeof *tasks);
	view->cells = pb_arena_alloc(view->arena, rows->n, sizeof *view->cells);
	if (!list || !tasks || !view->cells)
		return pb_out_of_memory(err, "a report");
	for (size_t i = 0; i < rows->n; i++)
		list[i] = &rows->rows[i];
	if (rows->n > 1)
		qsort(list, rows->n, sizeof *list, compare_row_pointers);
	for (size_t i = 0; i < rows->n;) {
		struct pb_view_cell *cell = &view->cells[view->n_cells++];
		*cell = (struct pb_view_cell){ .row = list[i], .status = PB_ROW_OK, .tasks = tasks };
		size_t k = i;
		for (; k < rows->n && pb_front_compare_cells(list[i], list[k]) == 0; k++) {
			cell->status = worse(cell->status, list[k]->status);
			if (k == i || strcmp(list[k]->task, list[k - 1]->task) != 0)
				cell->tasks[cell->n_tasks++] = list[k];
		}
		tasks += cell->n_tasks;
		view->n_status[cell->status]++;
		i = k;
	}
	enum pb_status st = find_points(view, err);
	if (st != PB_OK)
		return st;
	if (view->n_cells > 1)
		qsort(view->cells, view->n_cells, sizeof *view->cells, compare_view_cells);
	for (size_t i = 1; i < rows->n; i++) {
		view->many_backends = view->many_backends || strcmp(rows->rows[i].backend, rows->rows[0].backend) != 0;
		view->many_seeds = view->many_seeds || rows->rows[i].seed != rows->rows[0].seed;
	}
	return PB_OK;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The number of different strings among n; sorts them. */
static size_t count_different(const char **names, size_t n)
{
	size_t different = 0;
	if (n > 1)
		qsort(names, n, sizeof *names, compare_names);
	for (size_t i = 0; i < n; i++)
		different += i == 0 || strcmp(names[i], names[i - 1]) != 0;
	return different;
}

static const char *counter_member(const json_t *counter, const char *member)
{
	const char *s = json_is_object(counter) ? json_string_value(json_object_get(counter, member)) : NULL;
	return s ? s : "";
}

static const char *counter_reason(const json_t *counter)
{
	const char *s = counter_member(counter, "note");
	if (!*s)
		s = counter_member(counter, "reason");
	return *s ? s : counter_member(counter, "status");
}

/* What is said of a counter over all tasks. */
static void sum_up_counter(const struct pb_view *view, struct pb_view_counter *c)
{
	for (size_t i = 0; i < view->n_cells; i++)
		for (size_t k = 0; k < view->cells[i].n_tasks; k++) {
			const json_t *counter = json_object_get(view->cells[i].tasks[k]->counters, c->name);
			if (!counter)
				continue;
			bool has_value = isfinite(pb_row_counter(view->cells[i].tasks[k], c->name));
			c->has_value = c->has_value || has_value;
			if (!*c->unit)
				c->unit = counter_member(counter, "unit");
			if (!*c->reason && !has_value)
				c->reason = counter_reason(counter);
		}
}

static enum pb_status make_counters(struct pb_view *view, struct pb_error *err)
{
	size_t n = 0;
	const char *name;
	json_t *value;
	for (size_t i = 0; i < view->n_cells; i++)
		for (size_t k = 0; k < view->cells[i].n_tasks; k++)
			n += json_object_size(view->cells[i].tasks[k]->counters);
	const char **names = pb_arena_alloc(view->arena, n, sizeof *names);
	view->counters = pb_arena_alloc(view->arena, n, sizeof *view->counters);
	if (!names || !view->counters)
		return pb_out_of_memory(err, "a report");
	n = 0;
	for (size_t i = 0; i < view->n_cells; i++)
		for (size_t k = 0; k < view->cells[i].n_tasks; k++)
			json_object_foreach(view->cells[i].tasks[k]->counters, name, value)
				names[n++] = name;
	(void)count_different(names, n);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && strcmp(names[i], names[i - 1]) == 0)
			continue;
		view->counters[view->n_counters] = (struct pb_view_counter){ .name = names[i], .unit = "", .reason = "" };
		sum_up_counter(view, &view->counters[view->n_counters++]);
	}
	return PB_OK;
}

void pb_view_heading(const struct pb_front *front, struct pb_text *out)
{
	pb_text_string(out, front->title);
	pb_text_string(out, pb_front_unit(front));
}

static void put_count(struct pb_text *t, size_t n, const char *one, const char *many)
{
	pb_text_printf(t, "%zu %s", n, n == 1 ? one : many);
}

static enum pb_status make_row_summary(struct pb_view *view, struct pb_text *summary, struct pb_error *err)
{
	static const enum pb_row_status order[] = { PB_ROW_OK, PB_ROW_FAILED, PB_ROW_SKIPPED, PB_ROW_STALE, PB_ROW_RUNNING };
	const struct pb_rows *rows = view->input->rows;
	const char **names = pb_arena_alloc(view->arena, rows->n, sizeof *names);
	if (!names)
		return pb_out_of_memory(err, "a report");
	size_t n_tasks = 0;
	put_count(summary, view->n_cells, "cell", "cells");
	for (size_t i = 0; i < rows->n; i++)
		names[i] = rows->rows[i].model;
	pb_text_string(summary, " of ");
	put_count(summary, count_different(names, rows->n), "model", "models");
	for (size_t i = 0; i < rows->n; i++)
		names[i] = rows->rows[i].label;
	pb_text_string(summary, ", ");
	put_count(summary, count_different(names, rows->n), "quantizer setting", "quantizer settings");
	for (size_t i = 0; i < rows->n; i++)
		if (*rows->rows[i].task)
			names[n_tasks++] = rows->rows[i].task;
	pb_text_string(summary, " and ");
	put_count(summary, count_different(names, n_tasks), "task", "tasks");
	pb_text_string(summary, ": ");
	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		if (view->n_status[order[i]] || order[i] <= PB_ROW_SKIPPED)
			pb_text_printf(summary, "%s%zu %s", i ? ", " : "", view->n_status[order[i]], pb_row_status_name(order[i]));
	if (*view->input->created_utc)
		pb_text_printf(summary, "; run of %s", view->input->created_utc);
	if (*fact_value(view, "version"))
		pb_text_printf(summary, " with paretobench %s", fact_value(view, "version"));
	pb_text_char(summary, '.');
	return PB_OK;
}

static enum pb_status make_summary(struct pb_view *view, struct pb_error *err)
{
	struct pb_text t = { 0 };
	enum pb_status st = view->has_rows ? make_row_summary(view, &t, err) : PB_OK;
	if (n_trainings(view)) {
		pb_text_string(&t, t.length ? " " : "");
		pb_trainings_count(view->input->trainings, &t);
	}
	view->summary = keep(view, &t);
	return st != PB_OK ? st : view->summary ? PB_OK : pb_out_of_memory(err, "a report");
}

static enum pb_status make_captions(struct pb_view *view, struct pb_error *err)
{
	struct pb_text t = { 0 };
	if (view->main && view->main->is_mean)
		pb_text_printf(&t, "The value is the mean accuracy over %s, for cells that have all of these tasks; its standard error takes the tasks' "
			"errors as independent. ", view->main->tasks);
	if (view->main && view->main->bands)
		pb_text_printf(&t, "The grey band of a figure by size is what the best setting of each size attains in 5 to 95 %% of %zu draws (edges dotted), the dashed line what it attains in half of them: %s. ",
			pb_front_replicates(view->main), view->main->by_items ? "items are drawn, the same for all settings" : "values are drawn as independent normals");
	pb_text_string(&t, "Bars are normal 95 % intervals from the standard error of each value. A front point that is drawn as a ring is not separated at "
		"95 % from the best smaller one by an unpaired two-sided test; cells scored on the same items may differ with more certainty than that test shows. "
		"The line shows the best value that is known at each size: it steps, since no model between two measured ones is known.");
	view->caption = keep(view, &t);
	return view->caption ? PB_OK : pb_out_of_memory(err, "a report");
}

const char *pb_view_note(const struct pb_view *view, const struct pb_front *front, bool with_date)
{
	struct pb_text t = { 0 };
	int64_t least = INT64_MAX, most = -1;
	bool known = front->n_points > 0;
	const char *convention = NULL;
	size_t n_claimed = 0;
	for (size_t i = 0; i < front->n_points; i++) {
		const struct pb_point *p = &front->points[i];
		known = known && p->n != PB_ABSENT;
		least = p->n < least ? p->n : least;
		most = p->n > most ? p->n : most;
		if (pb_point_is_claimed(p))
			n_claimed++;
		else
			convention = !convention || strcmp(convention, p->row->size_convention) == 0 ? p->row->size_convention : "";
	}
	put_count(&t, front->n_points, "point", "points");
	pb_text_string(&t, " of ");
	put_count(&t, front->n_models, "model", "models");
	if (front->is_mean)
		pb_text_printf(&t, "; tasks %s", front->tasks);
	else if (*front->protocol)
		pb_text_printf(&t, "; protocol %s", front->protocol);
	if (known && most > 0)
		pb_text_printf(&t, least == most ? "; n = %" PRId64 : "; n = %" PRId64 " to %" PRId64, least, most);
	if (*front->backend)
		pb_text_printf(&t, "; backend %s", front->backend);
	if (convention && *convention)
		pb_text_printf(&t, "; sizes: %s bytes", convention);
	if (n_claimed)
		pb_text_printf(&t, "; %zu of claimed size, on no front", n_claimed);
	if (front->within_models)
		pb_text_string(&t, "; each model against its own full precision, with a front of its own");
	pb_text_string(&t, "; bars: 95 %");
	const struct {
		size_t n;
		const char *why;
	} left_out[] = {
		{ front->n_failed, "failed" }, { front->n_stale, "stale" }, { front->n_skipped, "skipped" }, { front->n_no_number, "without a number" },
		{ front->n_no_size, "without a size" }, { front->n_incomplete, "without all tasks" },
	};
	const char *before = "; left out: ";
	for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
		if (left_out[i].n) {
			pb_text_printf(&t, "%s%zu %s", before, left_out[i].n, left_out[i].why);
			before = ", ";
		}
	if (with_date && *view->input->created_utc)
		pb_text_printf(&t, "; %.10s", view->input->created_utc);
	if (with_date && *fact_value(view, "version"))
		pb_text_printf(&t, "; paretobench %.40s", fact_value(view, "version"));
	pb_text_char(&t, '.');
	return keep(view, &t);
}

static int compare_pairs(const void *pa, const void *pb)
{
	const struct pb_view_pair *a = pa, *b = pb;
	int c = strcmp(a->name, b->name);
	return c ? c : strcmp(a->value, b->value);
}

/* Adds "what name" -> value when it is new; false when memory is out. */
static bool add_pair(const struct pb_view *view, struct pb_view_pair *pairs, size_t *n, const char *what, const char *name, const char *value)
{
	struct pb_text t = { 0 };
	pb_text_printf(&t, "%s %s", what, name);
	bool seen = false;
	for (size_t i = 0; i < *n && !seen; i++)
		seen = strcmp(pairs[i].name, pb_text_c(&t)) == 0 && strcmp(pairs[i].value, value) == 0;
	if (seen || !*value) {
		pb_text_free(&t);
		return true;
	}
	pairs[*n].name = keep(view, &t);
	pairs[*n].value = value;
	return pairs[(*n)++].name != NULL;
}

enum pb_status pb_view_hashes(const struct pb_view *view, struct pb_view_pair **pairs, size_t *n, struct pb_error *err)
{
	const struct pb_rows *rows = view->input->rows;
	struct pb_view_pair *list = pb_arena_alloc(view->arena, 4 * rows->n + n_trainings(view), sizeof *list);
	size_t used = 0;
	bool ok = list != NULL;
	for (size_t i = 0; ok && i < rows->n; i++) {
		const struct pb_row *r = &rows->rows[i];
		struct pb_text task = { 0 };
		pb_text_printf(&task, "%s (%s)", r->task, r->protocol);
		ok = !task.failed && add_pair(view, list, &used, "model", r->model, r->model_hash) &&
			add_pair(view, list, &used, "task", pb_text_c(&task), r->task_hash) &&
			add_pair(view, list, &used, "rows", "made by", r->version) && add_pair(view, list, &used, "rows", "made on", r->machine);
		pb_text_free(&task);
	}
	for (size_t i = 0; ok && i < n_trainings(view); i++) {
		const struct pb_training *run = &view->input->trainings->runs[i];
		const char *value = pb_arena_printf(view->arena, "%" PRId64 " steps, %" PRId64 " of %" PRId64 " parameters in matrices, SHA-256 of log.csv %s%s%s",
			run->steps, run->matrix_parameters, run->parameters, run->log_hash, *run->version ? ", trained by paretobench " : "", run->version);
		ok = value && add_pair(view, list, &used, "training", run->name, value);
	}
	if (!ok)
		return pb_out_of_memory(err, "a report");
	if (used > 1)
		qsort(list, used, sizeof *list, compare_pairs);
	*pairs = list;
	*n = used;
	return PB_OK;
}

/* The main front against a cost, and groups of it; n is 0 when no point has that number. */
static enum pb_status make_groups(struct pb_view *view, struct pb_groups *out, struct pb_tradeoff *t, const struct pb_goal *cost, struct pb_front *front, const struct pb_draws *draws,
	struct pb_error *err)
{
	const struct pb_goal goals[2] = { *cost, { front, PB_BYS } };
	struct pb_corner corner;
	enum pb_status st = pb_tradeoff_make(t, goals, 2, front, draws, view->input->rows, view->input->items, view->arena, err);
	if (st != PB_OK || !t->n)
		return st;
	st = pb_corner_make(&corner, t, view->input->reference ? view->input->reference : "", err);
	return st == PB_OK ? pb_groups_make(out, t, &corner, view->arena, err) : st;
}

/* Families and methods by the cost that was asked for, else by size, and their curves by bits. */
static enum pb_status gather_groups(struct pb_view *view, struct pb_front *front, const struct pb_draws *draws, struct pb_error *err)
{
	const struct pb_goal bits = { NULL, PB_BY_BITS };
	struct pb_goal cost = { NULL, PB_BY_SIZE };
	struct pb_tradeoff *trades = pb_arena_alloc(view->arena, 2, sizeof *trades);
	struct pb_section *section = pb_arena_alloc(view->arena, 1, sizeof *section);
	struct pb_groups by_cost, by_bits;
	if (!trades || !section)
		return pb_out_of_memory(err, "a report");
	for (enum pb_by by = 0; view->input->x && by < PB_BYS; by++)
		if (strcmp(view->input->x, pb_by_name(by)) == 0)
			cost.by = by;
	enum pb_status st = make_groups(view, &by_cost, &trades[0], &cost, front, draws, err);
	if (st == PB_OK && cost.by != PB_BY_BITS)
		st = make_groups(view, &by_bits, &trades[1], &bits, front, draws, err);
	if (st != PB_OK || !trades[0].n)
		return st;
	view->families = section;
	view->sections[view->n_sections++] = section;
	return pb_groups_section(section, &by_cost, trades[1].n ? &by_bits : NULL, view->input->reference_note ? view->input->reference_note : "", view->arena, err);
}

/* Draws of a front, in an arena; what the front's figures and fronts.csv need of them is the view's. */
static enum pb_status draw_front(struct pb_view *view, struct pb_front *front, struct pb_draws *draws, struct pb_arena *arena, struct pb_error *err)
{
	const struct pb_report_input *input = view->input;
	const struct pb_goal by_size[2] = { { NULL, PB_BY_SIZE }, { front, PB_BYS } };
	struct pb_bands *bands = pb_arena_alloc(view->arena, 1, sizeof *bands);
	struct pb_tradeoff sizes;
	enum pb_status st = bands ? pb_draws_make(draws, front, input->rows, input->items, arena, err) : pb_out_of_memory(err, "a report");
	if (st == PB_OK)
		st = pb_front_take_draws(front, draws, front == view->main, err);
	if (front->within_models) /* what the best setting of all models attains means nothing */
		return st;
	if (st == PB_OK)
		st = pb_tradeoff_make(&sizes, by_size, 2, front, draws, input->rows, input->items, arena, err);
	if (st == PB_OK)
		st = pb_bands_make(bands, &sizes, view->arena, err);
	if (st == PB_OK)
		front->bands = bands;
	return st;
}

/* Of the fronts besides the main one: those that have a figure as the main one, the others by their values. */
static enum pb_status draw_other_front(struct pb_view *view, struct pb_front *front, struct pb_error *err)
{
	bool has_figure = false;
	struct pb_draws draws;
	for (size_t i = 0; i < view->n_columns; i++)
		has_figure = has_figure || view->columns[i] == front;
	if (!has_figure)
		return pb_front_draw_values(front, err);
	struct pb_arena *own = pb_arena_new();
	enum pb_status st = own ? draw_front(view, front, &draws, own, err) : pb_out_of_memory(err, "a report");
	pb_arena_free(own);
	return st;
}

/* A main front within models is one by size: other axes and volumes are of one model. */
static enum pb_status check_axes(const struct pb_view *view, struct pb_error *err)
{
	const struct pb_report_input *input = view->input;
	if (view->main->within_models && ((input->x && strcmp(input->x, pb_by_name(PB_BY_SIZE)) != 0) || input->z))
		return pb_fail(err, PB_USAGE, "%s: it is against each model's own full precision, and there are several models: other axes than size are of one\n"
			"leave --x and --z out, or report a run of one model", view->main->slug);
	return PB_OK;
}

/* How sure the main front is, fronts by other axes, families and methods: all from one set of draws. */
static enum pb_status gather_front_sections(struct pb_view *view, struct pb_error *err)
{
	const struct pb_report_input *input = view->input;
	struct pb_section *sections = pb_arena_alloc(view->arena, 2, sizeof *sections);
	struct pb_front *front = &view->fronts.fronts[view->main - view->fronts.fronts];
	struct pb_draws draws;
	if (!sections)
		return pb_out_of_memory(err, "a report");
	enum pb_status st = check_axes(view, err);
	if (st == PB_OK)
		st = draw_front(view, front, &draws, view->arena, err);
	const struct pb_axes_input axes = { front, &draws, &view->fronts, input->rows, input->items, input->x, input->z };
	if (st == PB_OK && !front->within_models)
		st = pb_axes_section(&sections[1], &axes, view->arena, err);
	if (st != PB_OK)
		return st;
	pb_front_section(&sections[0], front, &draws, view->arena);
	view->sections[view->n_sections++] = &sections[0];
	if (front->within_models)
		return PB_OK;
	view->sections[view->n_sections++] = &sections[1];
	return gather_groups(view, front, &draws, err);
}

static enum pb_status gather_sections(struct pb_view *view, struct pb_error *err)
{
	struct pb_section *training = pb_arena_alloc(view->arena, 1, sizeof *training), *laws = pb_arena_alloc(view->arena, 1, sizeof *laws);
	struct pb_section *bits = pb_arena_alloc(view->arena, 1, sizeof *bits);
	view->sections = pb_arena_alloc(view->arena, view->input->n_sections + 6, sizeof *view->sections);
	if (!training || !laws || !bits || !view->sections)
		return pb_out_of_memory(err, "a report");
	enum pb_status st = view->input->is_part ? PB_OK : pb_scaling_make(&view->scaling, &view->fronts, view->arena, err);
	if (st == PB_OK && !view->input->is_part)
		st = pb_bit_curves_make(&view->bit_curves, &view->fronts, view->input->rows, view->input->items, view->arena, err);
	if (st != PB_OK)
		return st;
	if (n_trainings(view)) {
		pb_training_section(training, view->input->trainings, view->arena);
		view->sections[view->n_sections++] = view->training = training;
	}
	if (view->main && !view->input->is_part)
		st = gather_front_sections(view, err);
	if (st != PB_OK)
		return st;
	if (view->scaling.n) {
		pb_scaling_section(laws, &view->scaling);
		view->sections[view->n_sections++] = view->scaling_laws = laws;
	}
	if (view->bit_curves.n) {
		pb_bit_curves_section(bits, &view->bit_curves);
		view->sections[view->n_sections++] = view->bits = bits;
	}
	for (size_t i = 0; i < view->input->n_sections; i++)
		view->sections[view->n_sections++] = view->input->sections[i];
	for (size_t i = 0; i < view->n_sections && st == PB_OK; i++)
		st = pb_section_check(view->sections[i], err);
	return st;
}

static enum pb_status fill(struct pb_view *view, struct pb_measure *measure, struct pb_error *err)
{
	view->has_rows = view->input->rows->n > 0 || n_trainings(view) + view->input->n_sections == 0;
	enum pb_status st = pb_fronts_make(&view->fronts, view->input->rows, err);
	if (st == PB_OK)
		st = choose_columns(view, err);
	for (size_t i = 0; i < view->fronts.n && st == PB_OK && !view->input->is_part; i++)
		if (&view->fronts.fronts[i] != view->main) /* whose draws more parts need */
			st = draw_other_front(view, &view->fronts.fronts[i], err);
	if (st == PB_OK)
		st = gather_sections(view, err);
	if (st == PB_OK)
		st = make_cells(view, err);
	if (st == PB_OK)
		st = make_counters(view, err);
	if (st == PB_OK)
		st = pb_view_times(view, err);
	if (st == PB_OK)
		st = pb_view_failures(view, err);
	if (st == PB_OK)
		st = make_summary(view, err);
	if (st == PB_OK)
		st = make_captions(view, err);
	if (st != PB_OK)
		return st;
	/* The width of a known text tells another font from ours, whatever name it goes by. */
	struct pb_text t = { 0 };
	pb_text_printf(&t, "%s (\u201cparetobench 0123456789\u201d at 100 px is %.1f px wide), cairo %s", PB_FONT,
		pb_measure_width(measure, 100.0, false, "paretobench 0123456789"), cairo_version_string());
	view->font = keep(view, &t);
	return view->font ? PB_OK : pb_out_of_memory(err, "a report");
}

enum pb_status pb_view_make(struct pb_view *out, const struct pb_report_input *input, struct pb_measure *measure, struct pb_error *err)
{
	struct pb_view view = { .input = input, .arena = pb_arena_new(), .fronts.note = "" };
	if (!view.arena)
		return pb_out_of_memory(err, "a report");
	enum pb_status st = fill(&view, measure, err);
	if (st != PB_OK)
		pb_view_free(&view);
	else
		*out = view;
	return st;
}

void pb_view_free(struct pb_view *view)
{
	if (view->training)
		pb_section_free(view->training);
	if (view->scaling_laws)
		pb_section_free(view->scaling_laws);
	if (view->bits)
		pb_section_free(view->bits);
	if (view->families)
		pb_section_free(view->families);
	pb_scaling_free(&view->scaling);
	pb_fronts_free(&view->fronts);
	pb_arena_free(view->arena);
	view->arena = NULL;
}
