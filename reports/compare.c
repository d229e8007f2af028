#include "reports/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/front.h"

const char *pb_change_name(enum pb_change change)
{
	static const char *const names[PB_CHANGES] = { "worse", "better", "within noise", "failed", "refused", "untested", "only in base", "only in new" };

	return (unsigned)change < PB_CHANGES ? names[change] : "unknown";
}

/* --- rows to pairs of sides --- */

/* Of metrics that say the same the first is compared. */
static int preference(const char *metric)
{
	static const char *const names[] = { "nll", "ppl_token", "ppl", "ppl_word", "ppl_byte", "bits_per_byte" };
	int n = sizeof(names) / sizeof(names[0]);

	for (int i = 0; i < n; i++)
		if (strcmp(metric, names[i]) == 0)
			return i;
	return n;
}

/* What a metric measures: that of its items, or itself. */
static const char *kind_of(const struct pb_row *r)
{
	const char *scale = pb_pair_scale(r->metric);

	return scale ? scale : r->metric;
}

struct entry {
	const struct pb_row *row;
	bool is_new;
};

int pb_compare_settings(const struct pb_row *a, const struct pb_row *b)
{
	int c = strcmp(a->model, b->model);

	if (!c)
		c = strcmp(a->label, b->label);
	if (!c)
		c = strcmp(a->quantizer, b->quantizer);
	return c ? c : strcmp(a->backend, b->backend);
}

static int compare_tasks(const struct pb_row *a, const struct pb_row *b)
{
	int c = pb_compare_settings(a, b);

	return c ? c : strcmp(a->task, b->task);
}

int pb_compare_cells(const struct pb_row *a, const struct pb_row *b)
{
	int c = compare_tasks(a, b);

	return c ? c : strcmp(kind_of(a), kind_of(b));
}

static int compare_to_entry(const void *row, const void *entry)
{
	const struct pb_compared *e = entry;

	return pb_compare_cells(row, e->base ? e->base : e->now);
}

const struct pb_compared *pb_compare_find(const struct pb_comparison *c, const struct pb_row *row)
{
	return c->n == 0 ? NULL : bsearch(row, c->list, c->n, sizeof(*c->list), compare_to_entry);
}

static int compare_entries(const void *pa, const void *pb)
{
	const struct pb_row *a = ((const struct entry *)pa)->row, *b = ((const struct entry *)pb)->row;
	int c = compare_tasks(a, b);

	if (!c)
		c = (a->status != PB_ROW_OK) - (b->status != PB_ROW_OK);
	if (!c)
		c = strcmp(kind_of(a), kind_of(b));
	if (!c)
		c = preference(a->metric) - preference(b->metric);
	if (!c)
		c = strcmp(a->metric, b->metric);
	if (!c)
		c = (a->seed > b->seed) - (a->seed < b->seed);
	return c ? c : strcmp(a->cell, b->cell);
}

struct comparer {
	struct pb_arena *arena, *scratch;
	const struct pb_item_stores *base_items, *now_items;
	struct pb_comparison *out;
	struct pb_error *err;
};

static double mean_value(const struct pb_side *side)
{
	double sum = 0;

	for (size_t i = 0; i < side->n; i++)
		sum += side->rows[i]->value;
	return side->n ? sum / (double)side->n : NAN;
}

/* Values of rows from elsewhere, as independent of each other. */
static bool compare_values(struct pb_pair *pair, const struct pb_row *base, const struct pb_row *now)
{
	double error = hypot(base->stderr_value, now->stderr_value);
	double n = base->n == PB_ABSENT || now->n == PB_ABSENT ? 0 : fmin((double)base->n, (double)now->n);

	if (!(error > 0) || (strcmp(base->kernel, "imported") != 0 && strcmp(now->kernel, "imported") != 0))
		return false;
	*pair = (struct pb_pair){ .scale = base->metric, .higher_is_better = base->higher_is_better, .how = "independent",
		.difference = { now->value - base->value, error, (size_t)n, n > 1 ? (size_t)n : SIZE_MAX } };
	pair->deviation = n > 0 ? error * sqrt(n) : NAN;
	pair->test = pb_test_zero(&pair->difference);
	return true;
}

static struct pb_compared *add(struct comparer *c, const struct pb_row *base, const struct pb_row *now, enum pb_change change)
{
	struct pb_compared *e = &c->out->list[c->out->n++];

	*e = (struct pb_compared){ .base = base, .now = now, .base_value = NAN, .now_value = NAN, .q = NAN, .change = change, .why = "" };
	return e;
}

static enum pb_status add_pair(struct comparer *c, const struct pb_side *base, const struct pb_side *now)
{
	struct pb_compared *e = add(c, base->rows[0], now->rows[0], PB_CHANGE_UNTESTED);
	bool failed;
	enum pb_status st = pb_pair_make(&e->pair, c->arena, base, now, c->err);

	if (st)
		return st;
	e->base_value = mean_value(base);
	e->now_value = mean_value(now);
	e->tested = !e->pair.refusal && !isnan(e->pair.test.p);
	if (e->tested)
		return PB_OK;
	/* A difference of definitions forbids a comparison; where only items are missing, errors may do. */
	e->why = pb_pair_refusal(c->arena, base->rows[0], now->rows[0], &failed);
	if (failed)
		return pb_out_of_memory(c->err, "a comparison");
	if (e->why) {
		e->change = PB_CHANGE_REFUSED;
	} else if (base->n == 1 && now->n == 1 && compare_values(&e->pair, base->rows[0], now->rows[0])) {
		e->tested = true;
		e->why = "";
	} else {
		e->why = e->pair.refusal ? e->pair.refusal : "one item has no error";
		if (strncmp(e->why, "no items", 8) != 0 && e->pair.refusal)
			e->change = PB_CHANGE_REFUSED;
	}
	return PB_OK;
}

/* Entries of one task of one setting with a number of one metric. */
static size_t run_of_metric(const struct entry *e, size_t n)
{
	size_t i = 1;

	while (i < n && e[i].row->status == PB_ROW_OK && strcmp(e[i].row->metric, e[0].row->metric) == 0)
		i++;
	return i;
}

/* The rows of one side among entries. In the scratch arena. */
static enum pb_status split(struct comparer *c, const struct entry *e, size_t n, bool is_new, struct pb_side *side)
{
	const struct pb_row **rows = pb_arena_alloc(c->scratch, n, sizeof(*rows));

	*side = (struct pb_side){ .rows = rows, .stores = is_new ? c->now_items : c->base_items };
	if (!rows)
		return pb_out_of_memory(c->err, "a comparison");
	for (size_t i = 0; i < n; i++)
		if (e[i].is_new == is_new)
			rows[side->n++] = e[i].row;
	return PB_OK;
}

/* The first entry of a side that has no number, or NULL. */
static const struct pb_row *without_number(const struct entry *e, size_t n, bool is_new)
{
	for (size_t i = 0; i < n; i++)
		if (e[i].row->status != PB_ROW_OK && e[i].is_new == is_new)
			return e[i].row;
	return NULL;
}

/* A metric that one side alone has. */
static enum pb_status add_single(struct comparer *c, const struct entry *e, size_t n, const struct pb_side *base, const struct pb_side *now)
{
	const struct pb_row *failed = without_number(e, n, base->n > 0);
	struct pb_compared *x = add(c, base->n ? base->rows[0] : NULL, now->n ? now->rows[0] : NULL, base->n ? PB_CHANGE_ONLY_BASE : PB_CHANGE_ONLY_NEW);

	x->base_value = mean_value(base);
	x->now_value = mean_value(now);
	if (failed) {
		x->why = pb_arena_printf(c->arena, "%s: %s", pb_row_status_name(failed->status), failed->reason);
		if (!x->why)
			return pb_out_of_memory(c->err, "a comparison");
		if (base->n && failed->status == PB_ROW_FAILED)
			x->change = PB_CHANGE_FAILED;
	}
	return PB_OK;
}

/* Entries of one task of one setting whose metrics say the same: the first of them that both sides have, or else the first. */
static enum pb_status compare_kind(struct comparer *c, const struct entry *e, size_t n, const struct entry *all, size_t n_all)
{
	struct pb_side base = {0}, now = {0};
	enum pb_status st = PB_OK;

	for (size_t i = 0, m; !st && i < n && !(base.n && now.n); i += m) {
		m = run_of_metric(e + i, n - i);
		st = split(c, e + i, m, false, &base);
		if (!st)
			st = split(c, e + i, m, true, &now);
	}
	if (!st && base.n && now.n)
		return add_pair(c, &base, &now);
	n = run_of_metric(e, n);
	if (!st)
		st = split(c, e, n, false, &base);
	if (!st)
		st = split(c, e, n, true, &now);
	return st ? st : add_single(c, all, n_all, &base, &now);
}

/* All entries of one task of one setting. */
static enum pb_status compare_task(struct comparer *c, const struct entry *e, size_t n)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0, m; !st && i < n && e[i].row->status == PB_ROW_OK; i += m) {
		for (m = 1; i + m < n && e[i + m].row->status == PB_ROW_OK && strcmp(kind_of(e[i + m].row), kind_of(e[i].row)) == 0;)
			m++;
		st = compare_kind(c, e + i, m, e, n);
	}
	return st;
}

static enum pb_status compare_all(struct comparer *c, struct entry *entries, size_t n)
{
	enum pb_status st = PB_OK;

	qsort(entries, n, sizeof(*entries), compare_entries);
	for (size_t i = 0; !st && i < n;) {
		size_t m = 1;

		while (i + m < n && compare_tasks(entries[i].row, entries[i + m].row) == 0)
			m++;
		st = compare_task(c, entries + i, m);
		i += m;
	}
	return st;
}

static enum pb_status check_common(const struct pb_comparison *c, struct pb_error *err)
{
	for (size_t i = 0; i < c->n; i++)
		if ((c->list[i].base && c->list[i].now) || c->list[i].change == PB_CHANGE_FAILED)
			return PB_OK;
	return pb_fail(err, PB_USAGE, "compare: no setting has a number in both (same model, label, backend and task)");
}

enum pb_status pb_compare_make(struct pb_comparison *out, struct pb_arena *arena, const struct pb_rows *base, const struct pb_item_stores *base_items,
	const struct pb_rows *now, const struct pb_item_stores *now_items, struct pb_error *err)
{
	size_t n = base->n + now->n;
	struct entry *entries = pb_alloc(n, sizeof(*entries));
	struct pb_comparison comparison = { .list = pb_arena_alloc(arena, n, sizeof(*comparison.list)) };
	struct comparer c = { .arena = arena, .scratch = pb_arena_new(), .base_items = base_items, .now_items = now_items, .out = &comparison, .err = err };
	enum pb_status st = entries && comparison.list && c.scratch ? PB_OK : pb_out_of_memory(err, "a comparison");

	for (size_t i = 0; !st && i < n; i++)
		entries[i] = i < base->n ? (struct entry){ &base->rows[i], false } : (struct entry){ &now->rows[i - base->n], true };
	if (!st)
		st = compare_all(&c, entries, n);
	if (!st)
		st = check_common(&comparison, err);
	if (!st)
		st = pb_compare_judge(&comparison, arena, err);
	pb_arena_free(c.scratch);
	pb_free(entries);
	if (!st)
		*out = comparison;
	return st;
}

/* --- verdicts --- */

static enum pb_change verdict(const struct pb_mean *difference, double q, bool higher_is_better, bool spread_unknown)
{
	if (spread_unknown || !(q < PB_COMPARE_LEVEL) || !(fabs(difference->value) > PB_COMPARE_ERRORS * difference->stderr_value))
		return PB_CHANGE_NOISE;
	return (difference->value > 0) == higher_is_better ? PB_CHANGE_BETTER : PB_CHANGE_WORSE;
}

double pb_compare_margin(const char *scale)
{
	return strncmp(scale, "acc", 3) == 0 ? PB_COMPARE_MARGIN_ACC : strcmp(scale, "nll") == 0 ? PB_COMPARE_MARGIN_NLL : NAN;
}

/* Means of settings with two tasks or more. */
static enum pb_status add_means(struct pb_comparison *c, struct pb_arena *arena, struct pb_error *err)
{
	double *numbers = pb_arena_alloc(arena, 3 * c->n, sizeof(*numbers)), *differences = numbers, *errors = numbers + c->n, *weights = errors + c->n;
	const char **tasks = pb_arena_alloc(arena, c->n, sizeof(*tasks));

	c->means = pb_arena_alloc(arena, c->n, sizeof(*c->means));
	if (!numbers || !tasks || !c->means)
		return pb_out_of_memory(err, "a comparison");
	for (size_t i = 0, end; i < c->n; i = end) {
		const struct pb_row *first = c->list[i].base ? c->list[i].base : c->list[i].now;
		struct pb_compared_mean m = { .base = first, .q = NAN };
		size_t n = 0;

		for (end = i; end < c->n && pb_compare_settings(first, c->list[end].base ? c->list[end].base : c->list[end].now) == 0; end++) {
			const struct pb_compared *e = &c->list[end];

			if (!e->tested || strcmp(e->pair.scale, "acc") != 0)
				continue;
			tasks[n] = e->base->task;
			differences[n] = e->pair.difference.value;
			errors[n++] = e->pair.difference.stderr_value;
			m.difference.n += e->pair.difference.n;
			m.spread_unknown = m.spread_unknown || e->pair.spread_unknown;
		}
		if (n < 2)
			continue;
		m.n_tasks = pb_task_weights(tasks, n, weights);
		for (size_t k = 0; k < n; k++) {
			m.difference.value += weights[k] * differences[k];
			errors[k] *= weights[k];
		}
		m.difference.value /= (double)m.n_tasks;
		m.difference.stderr_value = pb_stderr_of_mean(errors, n) * (double)n / (double)m.n_tasks;
		m.difference.n_units = m.difference.n;
		m.test = pb_test_zero(&m.difference);
		c->means[c->n_means++] = m;
	}
	return PB_OK;
}

/* One family: every test of the list, then the means. */
static enum pb_status judge_family(struct pb_comparison *c, double *p, double *q, struct pb_error *err)
{
	enum pb_status st;

	for (size_t i = 0; i < c->n; i++)
		p[i] = c->list[i].tested ? c->list[i].pair.test.p : NAN;
	for (size_t i = 0; i < c->n_means; i++)
		p[c->n + i] = c->means[i].test.p;
	if ((st = pb_adjust_benjamini_hochberg(p, c->n + c->n_means, q, err)))
		return st;
	for (size_t i = 0; i < c->n; i++) {
		struct pb_compared *e = &c->list[i];

		if (e->tested) {
			e->q = q[i];
			e->change = verdict(&e->pair.difference, e->q, e->pair.higher_is_better, e->pair.spread_unknown);
			e->by_seed = e->change != verdict(&e->pair.difference, e->q, e->pair.higher_is_better, false);
			e->equivalent = pb_equivalence_test(&e->pair.difference, pb_compare_margin(e->pair.scale)).equivalent;
		}
		c->n_changes[e->change]++;
	}
	for (size_t i = 0; i < c->n_means; i++) {
		c->means[i].q = q[c->n + i];
		c->means[i].change = verdict(&c->means[i].difference, c->means[i].q, true, c->means[i].spread_unknown);
	}
	return PB_OK;
}

enum pb_status pb_compare_judge(struct pb_comparison *c, struct pb_arena *arena, struct pb_error *err)
{
	double *p, *q;
	enum pb_status st = add_means(c, arena, err);

	if (st)
		return st;
	p = pb_alloc(c->n + c->n_means, sizeof(*p));
	q = pb_alloc(c->n + c->n_means, sizeof(*q));
	st = p && q ? judge_family(c, p, q, err) : pb_out_of_memory(err, "a comparison");
	pb_free(p);
	pb_free(q);
	return st;
}

const struct pb_compared *pb_compare_all_refused(const struct pb_comparison *c)
{
	const struct pb_compared *first = NULL;

	for (size_t i = 0; i < c->n; i++) {
		if (c->list[i].tested || c->list[i].change == PB_CHANGE_FAILED)
			return NULL;
		if (!first && c->list[i].change == PB_CHANGE_REFUSED)
			first = &c->list[i];
	}
	return first;
}

bool pb_compare_is_regression(const struct pb_comparison *c)
{
	for (size_t i = 0; i < c->n_means; i++)
		if (c->means[i].change == PB_CHANGE_WORSE)
			return true;
	return c->n_changes[PB_CHANGE_WORSE] + c->n_changes[PB_CHANGE_FAILED] > 0;
}
