#include "reports/front.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/csv.h"
#include "core/store/import.h"
#include "reports/goals.h"
#include "reports/items.h"
#include "reports/stats/statistics.h"

static int compare_keys(const struct pb_row *a, const struct pb_row *b)
{
	int c = strcmp(a->task, b->task);
	if (!c)
		c = strcmp(a->protocol, b->protocol);
	if (!c)
		c = strcmp(a->task_hash, b->task_hash);
	if (!c)
		c = strcmp(a->backend, b->backend);
	if (!c)
		c = strcmp(a->metric, b->metric);
	if (!c)
		c = (int)a->higher_is_better - (int)b->higher_is_better;
	return c;
}

static int compare_row_keys(const void *pa, const void *pb)
{
	const struct pb_row *a = *(const struct pb_row *const *)pa, *b = *(const struct pb_row *const *)pb;
	int c = compare_keys(a, b);
	return c ? c : (a > b) - (a < b); /* the order of the rows */
}

static int compare_cells(const struct pb_row *a, const struct pb_row *b)
{
	int c = strcmp(a->run, b->run);
	return c ? c : strcmp(a->cell, b->cell);
}

int pb_front_compare_cells(const struct pb_row *a, const struct pb_row *b)
{
	int c = strcmp(a->run, b->run);
	if (!c)
		c = strcmp(a->cell, b->cell);
	/* Rows made by hand may have no cell key. */
	if (!c)
		c = strcmp(a->model, b->model);
	if (!c)
		c = strcmp(a->label, b->label);
	return c ? c : strcmp(a->backend, b->backend);
}

static int compare_identity(const struct pb_row *a, const struct pb_row *b)
{
	int c = strcmp(a->model, b->model);
	if (!c)
		c = strcmp(a->label, b->label);
	return c ? c : compare_cells(a, b);
}

/* sign: 1 when higher is better, else -1. */
static int compare_better(double a, double b, bool higher_is_better)
{
	int c = (a < b) - (a > b);
	return higher_is_better ? c : -c;
}

static int compare_points_up(const void *pa, const void *pb)
{
	const struct pb_point *a = pa, *b = pb;
	int c = (a->bytes > b->bytes) - (a->bytes < b->bytes);
	if (!c)
		c = compare_better(a->value, b->value, true);
	return c ? c : compare_identity(a->row, b->row);
}

static int compare_points_down(const void *pa, const void *pb)
{
	const struct pb_point *a = pa, *b = pb;
	int c = (a->bytes > b->bytes) - (a->bytes < b->bytes);
	if (!c)
		c = compare_better(a->value, b->value, false);
	return c ? c : compare_identity(a->row, b->row);
}

static void add_intervals(struct pb_point *points, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct pb_point *p = &points[i];
		if (!(p->stderr_value >= 0.0))
			p->stderr_value = NAN;
		p->low95 = p->value - PB_Z95 * p->stderr_value;
		p->high95 = p->value + PB_Z95 * p->stderr_value;
		if (!isfinite(p->low95) || !isfinite(p->high95))
			p->stderr_value = p->low95 = p->high95 = NAN;
	}
}

static void count_models(struct pb_front *front)
{
	for (size_t i = 0; i < front->n_points; i++) {
		bool seen = false;
		for (size_t k = 0; k < i && !seen; k++)
			seen = strcmp(front->points[k].row->model, front->points[i].row->model) == 0;
		front->n_models += !seen;
	}
}

static enum pb_status finish_points(struct pb_front *front, struct pb_error *err)
{
	if (front->n_points > 1)
		qsort(front->points, front->n_points, sizeof *front->points, front->higher_is_better ? compare_points_up : compare_points_down);
	add_intervals(front->points, front->n_points);
	add_intervals(front->unsized, front->n_no_size);
	count_models(front);
	front->within_models = front->n_models > 1 && pb_metric_is_relative(front->metric);
	return pb_front_mark(front, err);
}

static void take_chance(struct pb_front *front, double chance, bool first)
{
	if (first)
		front->chance = chance;
	else if (!(chance == front->chance))
		front->chance = NAN;
}

static bool has_size(const struct pb_row *row)
{
	return row->model_bytes != PB_ABSENT && row->model_bytes > 0;
}

double pb_row_error(const struct pb_row *row)
{
	bool is_share = strcmp(row->kernel, PB_IMPORTED) == 0 && strncmp(row->metric, "acc", 3) == 0 && row->n > 0;
	return isnan(row->stderr_value) && is_share ? pb_stderr_binomial(row->value, (uint64_t)row->n) : row->stderr_value;
}

static double an_item(double sum, int64_t n)
{
	return n > 0 && sum > 0.0 ? sum / (double)n : NAN;
}

static struct pb_point point_of(const struct pb_row *row)
{
	struct pb_point p = { .row = row, .bytes = has_size(row) ? (double)row->model_bytes : NAN, .bits = row->effective_bits, .value = row->value,
		.stderr_value = pb_row_error(row), .low95 = NAN, .high95 = NAN, .n = row->n };
	p.by[PB_BY_SIZE] = p.bytes;
	p.by[PB_BY_BITS] = p.bits;
	p.by[PB_BY_PAPER] = row->paper_bytes;
	p.by[PB_BY_WEIGHTS] = row->weight_bytes > 0 ? (double)row->weight_bytes : NAN;
	p.by[PB_BY_PARAMS] = row->params == PB_ABSENT ? NAN : (double)row->params;
	/* What is compared with full precision takes the time of both. */
	p.by[PB_BY_SECONDS] = pb_metric_is_relative(row->metric) ? NAN : an_item(row->eval_seconds, row->n);
	p.by[PB_BY_ENERGY] = an_item(pb_row_counter(row, "energy"), row->n);
	return p;
}

static void count_status(struct pb_front *front, enum pb_row_status status)
{
	if (status == PB_ROW_FAILED)
		front->n_failed++;
	else if (status == PB_ROW_STALE)
		front->n_stale++;
	else
		front->n_skipped++;
}

/* Rows that have no numbers carry no metric and perhaps no hash: they count for every metric of their task. */
static void count_left_out(struct pb_front *front, const struct pb_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		const struct pb_row *r = &rows->rows[i];
		if (r->status == PB_ROW_OK || strcmp(r->backend, front->backend) != 0)
			continue;
		if (*r->task && strcmp(r->task, front->task) != 0)
			continue;
		if (*r->protocol && strcmp(r->protocol, front->protocol) != 0)
			continue;
		if (*r->task_hash && strcmp(r->task_hash, front->task_hash) != 0)
			continue;
		count_status(front, r->status);
	}
}

static enum pb_status make_front(struct pb_fronts *out, const struct pb_row *const *group, size_t n, const struct pb_rows *rows, struct pb_error *err)
{
	struct pb_front *front = &out->fronts[out->n];
	*front = (struct pb_front){ .task = group[0]->task, .task_hash = group[0]->task_hash, .protocol = group[0]->protocol,
		.metric = group[0]->metric, .backend = group[0]->backend, .higher_is_better = group[0]->higher_is_better, .chance = NAN, .tasks = "" };
	front->points = pb_arena_alloc(out->arena, n, sizeof *front->points);
	front->unsized = pb_arena_alloc(out->arena, n, sizeof *front->unsized);
	if (!front->points || !front->unsized)
		return pb_out_of_memory(err, "fronts");
	for (size_t i = 0; i < n; i++) {
		if (!isfinite(group[i]->value))
			front->n_no_number++;
		else if (!has_size(group[i]))
			front->unsized[front->n_no_size++] = point_of(group[i]);
		else {
			take_chance(front, group[i]->chance, front->n_points == 0);
			front->points[front->n_points++] = point_of(group[i]);
		}
	}
	count_left_out(front, rows);
	out->n++;
	return finish_points(front, err);
}

/* --- the mean of accuracies --- */

static int compare_for_mean(const void *pa, const void *pb)
{
	const struct pb_row *a = *(const struct pb_row *const *)pa, *b = *(const struct pb_row *const *)pb;
	int c = compare_cells(a, b);
	if (!c)
		c = strcmp(a->task, b->task);
	return c ? c : (a > b) - (a < b);
}

size_t pb_task_prefix(const char *task)
{
	size_t n = strcspn(task, "-");
	return task[n] ? n : strcspn(task, "_");
}

/* Of how many tasks the group is that task i counts with; *first: whether it is the first of them. */
static size_t group_of(const char *const *tasks, size_t n, size_t i, bool *first)
{
	const size_t prefix = pb_task_prefix(tasks[i]);
	size_t n_alike = 0;
	*first = true;
	for (size_t k = 0; k < n; k++)
		if (pb_task_prefix(tasks[k]) == prefix && strncmp(tasks[k], tasks[i], prefix) == 0) {
			n_alike++;
			*first = *first && k >= i;
		}
	if (n_alike >= PB_TASK_GROUP && n_alike < n)
		return n_alike;
	*first = true;
	return 1;
}

size_t pb_task_weights(const char *const *tasks, size_t n, double *weights)
{
	size_t n_counted = 0;
	bool first;
	for (size_t i = 0; i < n; i++) {
		weights[i] = 1.0 / (double)group_of(tasks, n, i, &first);
		n_counted += first;
	}
	return n_counted;
}

struct task_set {
	const struct pb_row **tasks;    /* a row of each (task, protocol, hash) */
	const char **names;
	double *weights;                /* in the mean */
	size_t n, n_counted;
	bool mixed;                     /* a task is there in two definitions */
};

static enum pb_status collect_tasks(struct task_set *set, const struct pb_row *const *acc, size_t n, const char *backend, struct pb_arena *arena, struct pb_error *err)
{
	*set = (struct task_set){ .tasks = pb_arena_alloc(arena, n, sizeof *set->tasks), .names = pb_arena_alloc(arena, n, sizeof *set->names),
		.weights = pb_arena_alloc(arena, n, sizeof *set->weights) };
	if (!set->tasks || !set->names || !set->weights)
		return pb_out_of_memory(err, "fronts");
	for (size_t i = 0; i < n; i++) { /* sorted by task, protocol and hash */
		if (strcmp(acc[i]->backend, backend) != 0)
			continue;
		const struct pb_row *last = set->n ? set->tasks[set->n - 1] : NULL;
		if (last && strcmp(last->task, acc[i]->task) == 0) {
			set->mixed = set->mixed || strcmp(last->protocol, acc[i]->protocol) != 0 || strcmp(last->task_hash, acc[i]->task_hash) != 0;
			continue;
		}
		set->names[set->n] = acc[i]->task;
		set->tasks[set->n++] = acc[i];
	}
	set->n_counted = pb_task_weights(set->names, set->n, set->weights);
	return PB_OK;
}

/* "arc_easy, hendrycksTest (57), piqa" */
static const char *names_of(const struct task_set *set, struct pb_arena *arena)
{
	struct pb_text t = { 0 };
	for (size_t i = 0; i < set->n; i++) {
		bool first;
		const size_t n = group_of(set->names, set->n, i, &first);
		if (!first)
			continue;
		pb_text_string(&t, i ? ", " : "");
		if (n > 1)
			pb_text_printf(&t, "%.*s (%zu)", (int)pb_task_prefix(set->names[i]), set->names[i], n);
		else
			pb_text_string(&t, set->names[i]);
	}
	const char *names = t.failed ? NULL : pb_arena_strdup(arena, pb_text_c(&t));
	pb_text_free(&t);
	return names;
}

/* The rows of one cell, sorted by task, as one point; false when a task is missing or there twice. */
static bool mean_point(const struct pb_row *const *cell, size_t n, const struct task_set *set, struct pb_point *out, double *chance)
{
	double sum = 0.0, variance = 0.0, chances = 0.0, seconds = 0.0, joules = 0.0;
	if (n != set->n)
		return false;
	*out = point_of(cell[0]);
	out->n = 0;
	for (size_t i = 0; i < n; i++) {
		if (!isfinite(cell[i]->value) || (i > 0 && strcmp(cell[i]->task, cell[i - 1]->task) == 0))
			return false;
		sum += set->weights[i] * cell[i]->value;
		variance += set->weights[i] * pb_row_error(cell[i]) * set->weights[i] * pb_row_error(cell[i]);
		chances += set->weights[i] * cell[i]->chance;
		seconds += cell[i]->eval_seconds;
		joules += pb_row_counter(cell[i], "energy");
		out->n = out->n == PB_ABSENT || cell[i]->n == PB_ABSENT ? PB_ABSENT : out->n + cell[i]->n;
	}
	out->by[PB_BY_SECONDS] = an_item(seconds, out->n);
	out->by[PB_BY_ENERGY] = an_item(joules, out->n);
	out->value = sum / (double)set->n_counted;
	out->stderr_value = sqrt(variance) / (double)set->n_counted;
	*chance = chances / (double)set->n_counted;
	return true;
}

static int compare_row_cells(const void *pa, const void *pb)
{
	return compare_cells(*(const struct pb_row *const *)pa, *(const struct pb_row *const *)pb);
}

/* Cells that have no accuracy at all, each once; the others are counted where they are incomplete. acc: sorted by cell. */
static enum pb_status count_absent_cells(struct pb_front *front, const struct pb_row *const *acc, size_t n, const struct pb_rows *rows,
	struct pb_arena *arena, struct pb_error *err)
{
	const struct pb_row **list = pb_arena_alloc(arena, rows->n, sizeof *list);
	size_t n_list = 0;
	if (!list)
		return pb_out_of_memory(err, "fronts");
	for (size_t i = 0; i < rows->n; i++) {
		const struct pb_row *r = &rows->rows[i];
		if (r->status != PB_ROW_OK && strcmp(r->backend, front->backend) == 0)
			list[n_list++] = r;
	}
	if (n_list > 1)
		qsort(list, n_list, sizeof *list, compare_row_cells);
	for (size_t i = 0; i < n_list; i++) {
		if ((i > 0 && compare_cells(list[i], list[i - 1]) == 0) || bsearch(&list[i], acc, n, sizeof *acc, compare_row_cells))
			continue;
		count_status(front, list[i]->status);
	}
	return PB_OK;
}

static enum pb_status make_mean(struct pb_fronts *out, const struct pb_row **acc, size_t n, const struct task_set *set, const struct pb_rows *rows,
	struct pb_error *err)
{
	struct pb_front *front = &out->fronts[out->n];
	*front = (struct pb_front){ .task = "mean", .task_hash = "", .protocol = set->tasks[0]->protocol, .metric = "acc", .backend = acc[0]->backend,
		.higher_is_better = true, .is_mean = true, .chance = NAN, .n_tasks = set->n, .n_counted = set->n_counted };
	for (size_t i = 1; i < set->n; i++)
		if (strcmp(set->tasks[i]->protocol, front->protocol) != 0)
			front->protocol = "";
	front->tasks = names_of(set, out->arena);
	front->points = pb_arena_alloc(out->arena, n, sizeof *front->points);
	front->unsized = pb_arena_alloc(out->arena, n, sizeof *front->unsized);
	if (!front->tasks || !front->points || !front->unsized)
		return pb_out_of_memory(err, "fronts");
	qsort(acc, n, sizeof *acc, compare_for_mean);
	for (size_t i = 0; i < n;) {
		size_t k = 1;
		double chance;
		while (i + k < n && compare_cells(acc[i], acc[i + k]) == 0)
			k++;
		if (!mean_point(acc + i, k, set, &front->points[front->n_points], &chance))
			front->n_incomplete++;
		else if (!has_size(acc[i]))
			front->unsized[front->n_no_size++] = front->points[front->n_points];
		else
			take_chance(front, chance, front->n_points++ == 0);
		i += k;
	}
	enum pb_status st = finish_points(front, err);
	if (st != PB_OK)
		return st;
	if (front->n_points || front->n_no_size)
		out->n++;
	return count_absent_cells(front, acc, n, rows, out->arena, err);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* acc: all rows of the metric acc, sorted by key. */
static enum pb_status make_means(struct pb_fronts *out, const struct pb_row **acc, size_t n, const struct pb_rows *rows, struct pb_error *err)
{
	const char **backends = pb_arena_alloc(out->arena, n, sizeof *backends);
	const struct pb_row **own = pb_arena_alloc(out->arena, n, sizeof *own);
	if (!backends || !own)
		return pb_out_of_memory(err, "fronts");
	for (size_t i = 0; i < n; i++)
		backends[i] = acc[i]->backend;
	if (n > 1)
		qsort(backends, n, sizeof *backends, compare_names);
	for (size_t b = 0; b < n; b++) {
		if (b > 0 && strcmp(backends[b], backends[b - 1]) == 0)
			continue;
		struct task_set set;
		enum pb_status st = collect_tasks(&set, acc, n, backends[b], out->arena, err);
		if (st != PB_OK)
			return st;
		if (set.mixed)
			out->note = "No mean of accuracies is shown: a task is there in more than one definition or protocol, and these are not mixed.";
		if (set.mixed || set.n < 2)
			continue;
		size_t n_own = 0;
		for (size_t i = 0; i < n; i++)
			if (strcmp(acc[i]->backend, backends[b]) == 0)
				own[n_own++] = acc[i];
		st = make_mean(out, own, n_own, &set, rows, err);
		if (st != PB_OK)
			return st;
	}
	return PB_OK;
}

/* --- names --- */

static bool differs(const struct pb_fronts *fronts, const struct pb_front *front, const char *(*part)(const struct pb_front *))
{
	for (size_t i = 0; i < fronts->n; i++) {
		const struct pb_front *other = &fronts->fronts[i];
		if (other != front && strcmp(other->task, front->task) == 0 && strcmp(other->metric, front->metric) == 0 &&
		    strcmp(part(other), part(front)) != 0)
			return true;
	}
	return false;
}

static const char *protocol_of(const struct pb_front *f) { return f->protocol; }
static const char *hash_of(const struct pb_front *f) { return f->task_hash; }
static const char *backend_of(const struct pb_front *f) { return f->backend; }

static void put_slug(struct pb_text *t, const char *s)
{
	size_t start = t->length;
	for (; *s && t->length - start < 60; s++) {
		char c = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (plain || (t->length > start && t->data[t->length - 1] != '-'))
			pb_text_char(t, plain ? c : '-');
	}
	if (!t->failed && t->length > start && t->data[t->length - 1] == '-')
		t->data[--t->length] = '\0';
}

static enum pb_status name_front(struct pb_fronts *fronts, struct pb_front *front, struct pb_error *err)
{
	struct pb_text title = { 0 }, slug = { 0 };
	if (front->is_mean)
		pb_text_printf(&title, "Mean accuracy of %zu tasks", front->n_counted);
	else
		pb_text_printf(&title, "%s %s", *front->task ? front->task : "(no task)", front->metric);
	put_slug(&slug, *front->task ? front->task : "front");
	if (*front->metric)
		pb_text_char(&slug, '-');
	put_slug(&slug, front->metric);
	if (differs(fronts, front, protocol_of))
		pb_text_printf(&title, ", %s", front->protocol);
	if (differs(fronts, front, hash_of))
		pb_text_printf(&title, ", definition %.8s", front->task_hash);
	if (differs(fronts, front, backend_of))
		pb_text_printf(&title, ", %s", front->backend);
	if (slug.length == 0 || slug.data[0] == '-')
		pb_text_string(&slug, "front");
	size_t stem = slug.length;
	for (unsigned k = 2; !slug.failed; k++) {
		bool taken = strcmp(slug.data, "front") == 0 || strcmp(slug.data, "front-bits") == 0; /* the main figures' */
		for (const struct pb_front *f = fronts->fronts; f < front; f++)
			taken = taken || strcmp(f->slug, slug.data) == 0;
		if (!taken)
			break;
		slug.length = stem;
		pb_text_printf(&slug, "-%u", k);
	}
	front->title = title.failed ? NULL : pb_arena_strdup(fronts->arena, pb_text_c(&title));
	front->slug = slug.failed ? NULL : pb_arena_strdup(fronts->arena, pb_text_c(&slug));
	pb_text_free(&title);
	pb_text_free(&slug);
	return front->title && front->slug ? PB_OK : pb_out_of_memory(err, "fronts");
}

static enum pb_status make_all(struct pb_fronts *out, const struct pb_rows *rows, struct pb_error *err)
{
	const struct pb_row **ok = pb_arena_alloc(out->arena, rows->n, sizeof *ok);
	const struct pb_row **acc = pb_arena_alloc(out->arena, rows->n, sizeof *acc);
	size_t n_ok = 0, n_acc = 0;
	if (!ok || !acc)
		return pb_out_of_memory(err, "fronts");
	for (size_t i = 0; i < rows->n; i++)
		if (rows->rows[i].status == PB_ROW_OK)
			ok[n_ok++] = &rows->rows[i];
	if (n_ok > 1)
		qsort(ok, n_ok, sizeof *ok, compare_row_keys);
	for (size_t i = 0; i < n_ok; i++)
		if (strcmp(ok[i]->metric, "acc") == 0 && ok[i]->higher_is_better)
			acc[n_acc++] = ok[i];
	/* At most a front for each row and a mean for each backend. */
	out->fronts = pb_arena_alloc(out->arena, 2 * n_ok, sizeof *out->fronts);
	if (!out->fronts)
		return pb_out_of_memory(err, "fronts");
	enum pb_status st = make_means(out, acc, n_acc, rows, err);
	for (size_t i = 0; i < n_ok && st == PB_OK;) {
		size_t k = 1;
		while (i + k < n_ok && compare_keys(ok[i], ok[i + k]) == 0)
			k++;
		st = make_front(out, ok + i, k, rows, err);
		i += k;
	}
	for (size_t i = 0; i < out->n && st == PB_OK; i++)
		st = name_front(out, &out->fronts[i], err);
	return st;
}

enum pb_status pb_fronts_make(struct pb_fronts *out, const struct pb_rows *rows, struct pb_error *err)
{
	struct pb_fronts fronts = { .arena = pb_arena_new(), .note = "" };
	if (!fronts.arena)
		return pb_out_of_memory(err, "fronts");
	enum pb_status st = make_all(&fronts, rows, err);
	if (st != PB_OK)
		pb_fronts_free(&fronts);
	else
		*out = fronts;
	return st;
}

void pb_fronts_free(struct pb_fronts *fronts)
{
	pb_arena_free(fronts->arena);
	*fronts = (struct pb_fronts){ .note = "" };
}

static void csv_optional(struct pb_text *out, const char *s)
{
	pb_csv_text(out, *s ? s : NULL);
}

static void csv_name(struct pb_text *out, const char *stem, enum pb_by by)
{
	char name[64];
	snprintf(name, sizeof name, "%s%s", stem, pb_by_name(by));
	pb_csv_text(out, name);
}

static int compare_numbers(const void *pa, const void *pb)
{
	const double *a = pa, *b = pb;
	return (*a > *b) - (*a < *b);
}

/* What draws attain at a size, or nothing. */
static void csv_attained(struct pb_text *out, const struct pb_bands *b, double size)
{
	const double *found = b ? bsearch(&size, b->x, b->n, sizeof size, compare_numbers) : NULL;
	size_t i = found ? (size_t)(found - b->x) : 0;
	pb_csv_number(out, found ? b->low[i] : NAN);
	pb_csv_number(out, found ? b->middle[i] : NAN);
	pb_csv_number(out, found ? b->high[i] : NAN);
}

enum pb_status pb_fronts_csv(const struct pb_fronts *fronts, struct pb_text *out, struct pb_error *err)
{
	static const char *const names[] = { "task", "task_hash", "protocol", "metric", "backend", "model", "label", "model_bytes", "effective_bits",
		"value", "stderr", "low95", "high95", "on_front", "separated", "cell",
		"probability", "probability_by", "paper_bytes", "weight_bytes", "params", "seconds_per_item", "joules_per_item" };
	static const char *const attained_names[] = { "attained_5", "attained_50", "attained_95" };
	static const char *const separated_names[] = { NULL, "false", "true" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		pb_csv_text(out, names[i]);
	for (enum pb_by by = PB_BY_BITS; by < PB_BYS; by++)
		csv_name(out, "on_front_", by);
	for (enum pb_by by = PB_BY_BITS; by < PB_BYS; by++)
		csv_name(out, "probability_", by);
	for (size_t i = 0; i < 3; i++)
		pb_csv_text(out, attained_names[i]);
	pb_csv_text(out, "axes");
	pb_csv_text(out, "on_front_axes");
	pb_csv_text(out, "probability_axes");
	pb_csv_end(out);
	for (size_t i = 0; i < fronts->n; i++) {
		const struct pb_front *f = &fronts->fronts[i];
		for (size_t k = 0; k < f->n_points; k++) {
			const struct pb_point *p = &f->points[k];
			csv_optional(out, f->task);
			csv_optional(out, f->task_hash);
			csv_optional(out, f->protocol);
			csv_optional(out, f->metric);
			csv_optional(out, f->backend);
			csv_optional(out, p->row->model);
			csv_optional(out, p->row->label);
			pb_csv_integer(out, p->row->model_bytes);
			pb_csv_number(out, p->bits);
			pb_csv_number(out, p->value);
			pb_csv_number(out, p->stderr_value);
			pb_csv_number(out, p->low95);
			pb_csv_number(out, p->high95);
			pb_csv_text(out, p->on_front ? "true" : "false");
			pb_csv_text(out, separated_names[p->separated]);
			csv_optional(out, p->row->cell);
			pb_csv_number(out, p->probability[PB_BY_SIZE]);
			pb_csv_text(out, isnan(p->probability[PB_BY_SIZE]) ? NULL : f->by_items ? "items" : "values");
			for (enum pb_by by = PB_BY_PAPER; by < PB_BYS; by++)
				pb_csv_number(out, p->by[by]);
			for (enum pb_by by = PB_BY_BITS; by < PB_BYS; by++)
				pb_csv_text(out, !isfinite(p->by[by]) ? NULL : p->on[by] ? "true" : "false");
			for (enum pb_by by = PB_BY_BITS; by < PB_BYS; by++)
				pb_csv_number(out, p->probability[by]);
			csv_attained(out, f->bands, p->bytes);
			pb_csv_text(out, p->has_axes ? f->axes : NULL);
			pb_csv_text(out, !p->has_axes ? NULL : p->on_axes ? "true" : "false");
			pb_csv_number(out, p->has_axes ? p->probability_axes : NAN);
			pb_csv_end(out);
		}
	}
	return pb_text_check(out, err);
}

/* Which metric stands for a task: the smaller the better. */
static unsigned metric_rank(const char *metric)
{
	static const char *const order[] = { "acc", "acc_norm", "ppl_word", "ppl_token", "bits_per_byte", "kld", "nll" };
	for (unsigned i = 0; i < sizeof order / sizeof *order; i++)
		if (strcmp(metric, order[i]) == 0)
			return i;
	return 100;
}

static bool same_task(const struct pb_front *a, const struct pb_front *b)
{
	return strcmp(a->task, b->task) == 0 && strcmp(a->task_hash, b->task_hash) == 0 && strcmp(a->protocol, b->protocol) == 0 &&
		strcmp(a->backend, b->backend) == 0;
}

bool pb_front_stands_for_task(const struct pb_fronts *fronts, const struct pb_front *front)
{
	if (front->n_points == 0)
		return false;
	for (size_t i = 0; i < fronts->n; i++) {
		const struct pb_front *other = &fronts->fronts[i];
		if (other == front || other->is_mean || other->n_points == 0 || !same_task(other, front))
			continue;
		unsigned a = metric_rank(other->metric), b = metric_rank(front->metric);
		if (a < b || (a == b && other < front))
			return false;
	}
	return true;
}

bool pb_front_is_percent(const struct pb_front *front)
{
	return pb_metric_is_percent(front->metric) || strcmp(front->metric, "exact_match") == 0;
}

const char *pb_front_unit(const struct pb_front *front)
{
	return pb_front_is_percent(front) ? ", %" : *pb_metric_unit(front->metric) ? ", nats" : "";
}

bool pb_front_is_log(const struct pb_front *front)
{
	if (front->higher_is_better)
		return false;
	bool any = false;
	for (size_t i = 0; i < front->n_points; i++) {
		if (front->points[i].value < 0.0)
			return false;
		any = any || front->points[i].value > 0.0;
	}
	return any;
}

void pb_front_format(const struct pb_front *front, double value, double stderr_value, char out[64])
{
	double factor = pb_front_is_percent(front) ? 100.0 : 1.0;
	pb_format_value(out, factor * value, factor * stderr_value);
}
