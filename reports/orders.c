#include "reports/orders.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/base/csv.h"
#include "core/base/json.h"

#define LEVEL 0.05              /* of Holm-adjusted p */
#define MAX_SEEDS 64            /* of a setting; further ones are left out */

const char *pb_order_verdict_name(enum pb_order_verdict verdict)
{
	static const char *const names[PB_ORDER_VERDICTS] = { "holds", "reversed", "within noise", "missing cell" };

	return (unsigned)verdict < PB_ORDER_VERDICTS ? names[verdict] : "unknown";
}

/* --- the fact --- */

static json_t *side_json(const struct pb_expected_side *s)
{
	json_t *options = json_loads(s->options, JSON_REJECT_DUPLICATES, NULL);

	return options ? json_pack("{s:s, s:s, s:o}", "name", s->name, "quantizer", s->quantizer, "options", options) : NULL;
}

char *pb_expected_format(const struct pb_expected *list, size_t n)
{
	json_t *array = json_array();
	char *text;

	for (size_t i = 0; array && i < n; i++) {
		json_t *better = side_json(&list[i].better), *worse = side_json(&list[i].worse), *object = NULL;

		if (better && worse)
			object = json_pack("{s:O, s:O, s:s, s:s, s:s}", "better", better, "worse", worse, "task", list[i].task, "metric", list[i].metric,
				"source", list[i].source);
		json_decref(better);
		json_decref(worse);
		if (!object || json_array_append_new(array, object)) {
			json_decref(array);
			array = NULL;
		}
	}
	text = array ? pb_json_canonical(array) : NULL;
	json_decref(array);
	return text;
}

static const char *const not_orders = "expect: not a list of expected orders";

/* A string member, in the arena. */
static enum pb_status read_text(const json_t *object, const char *key, struct pb_arena *arena, const char **out, struct pb_error *err)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);

	if (!text || strlen(text) != json_string_length(value))
		return pb_fail(err, PB_FORMAT, "%s", not_orders);
	return (*out = pb_arena_strdup(arena, text)) ? PB_OK : pb_out_of_memory(err, "expected orders");
}

static enum pb_status read_side(const json_t *object, struct pb_arena *arena, struct pb_expected_side *side, struct pb_error *err)
{
	const json_t *options = json_object_get(object, "options");
	char *text;
	enum pb_status st = read_text(object, "name", arena, &side->name, err);

	if (!st)
		st = read_text(object, "quantizer", arena, &side->quantizer, err);
	if (st)
		return st;
	if (!json_is_object(options))
		return pb_fail(err, PB_FORMAT, "%s", not_orders);
	text = pb_json_canonical(options);
	side->options = text ? pb_arena_strdup(arena, text) : NULL;
	pb_free(text);
	return side->options ? PB_OK : pb_out_of_memory(err, "expected orders");
}

static enum pb_status read_expected(const json_t *object, struct pb_arena *arena, struct pb_expected *e, struct pb_error *err)
{
	enum pb_status st = read_side(json_object_get(object, "better"), arena, &e->better, err);

	if (!st)
		st = read_side(json_object_get(object, "worse"), arena, &e->worse, err);
	if (!st)
		st = read_text(object, "task", arena, &e->task, err);
	if (!st)
		st = read_text(object, "metric", arena, &e->metric, err);
	return st ? st : read_text(object, "source", arena, &e->source, err);
}

enum pb_status pb_expected_parse(struct pb_expected **list, size_t *n, struct pb_arena *arena, const char *run, const char *text, struct pb_error *err)
{
	struct pb_expected *longer;
	json_t *array = NULL;
	size_t n_new;
	enum pb_status st;

	if (!text[0])
		return PB_OK;
	if ((st = pb_json_parse(&array, "expect", text, strlen(text), err)))
		return st;
	n_new = json_array_size(array);
	longer = pb_arena_alloc(arena, *n + n_new, sizeof(*longer));
	if (!json_is_array(array))
		st = pb_fail(err, PB_FORMAT, "%s", not_orders);
	else if (!longer)
		st = pb_out_of_memory(err, "expected orders");
	if (!st && *n)
		memcpy(longer, *list, *n * sizeof(*longer));
	for (size_t i = 0; !st && i < n_new; i++) {
		longer[*n + i].run = run;
		st = read_expected(json_array_get(array, i), arena, &longer[*n + i], err);
	}
	json_decref(array);
	if (!st) {
		*list = longer;
		*n += n_new;
	}
	return st;
}

/* --- the cells of an expectation --- */

struct place {                  /* where an order is looked at */
	const char *run, *model, *backend;
	int64_t params;
};
struct places {
	struct place *list;
	size_t n;
};

static int compare_places(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	int c = (a->params > b->params) - (a->params < b->params);

	if (!c)
		c = strcmp(a->model, b->model);
	if (!c)
		c = strcmp(a->backend, b->backend);
	return c ? c : strcmp(a->run, b->run);
}

/* Every (run, model, backend) of the rows once. A failed row may not know the parameters: the most that any row knows count. */
static enum pb_status find_places(struct places *out, struct pb_arena *arena, const struct pb_rows *rows, struct pb_error *err)
{
	out->n = 0;
	out->list = pb_arena_alloc(arena, rows->n, sizeof(*out->list));
	if (!out->list)
		return pb_out_of_memory(err, "expected orders");
	for (size_t i = 0; i < rows->n; i++) {
		const struct pb_row *r = &rows->rows[i];
		size_t k = out->n;

		while (k > 0 && (strcmp(out->list[k - 1].model, r->model) != 0 || strcmp(out->list[k - 1].backend, r->backend) != 0 || strcmp(out->list[k - 1].run, r->run) != 0))
			k--;
		if (k == 0)
			out->list[out->n++] = (struct place){ r->run, r->model, r->backend, r->params };
		else if (r->params > out->list[k - 1].params)
			out->list[k - 1].params = r->params;
	}
	qsort(out->list, out->n, sizeof(*out->list), compare_places);
	return PB_OK;
}

/* Rows of the task for one side of an expectation, in all places: with a number of the metric, or without any. */
struct candidates {
	const struct pb_row **rows;
	size_t n;
};

static bool is_of(const struct pb_row *r, const struct pb_expected *e, const struct pb_expected_side *side)
{
	return strcmp(r->quantizer, side->quantizer) == 0 && strcmp(r->task, e->task) == 0 && strcmp(r->run, e->run) == 0 &&
		strcmp(r->options, side->options) == 0 && (r->status != PB_ROW_OK || strcmp(r->metric, e->metric) == 0);
}

/* Whether a side has a cell in this place, with or without a number. */
static bool has_cell(const struct candidates *from, const struct place *at)
{
	for (size_t i = 0; i < from->n; i++)
		if (strcmp(from->rows[i]->model, at->model) == 0 && strcmp(from->rows[i]->backend, at->backend) == 0)
			return true;
	return false;
}

/* A cell of one side in one place: rows by seed, or why there is none. */
struct found {
	const struct pb_row *rows[MAX_SEEDS];
	size_t n;
	const char *why;
};

static enum pb_status find_cell(struct found *out, struct pb_arena *arena, const struct candidates *from, const struct place *at, const struct pb_expected_side *side,
	struct pb_error *err)
{
	*out = (struct found){ .why = NULL };
	for (size_t i = 0; i < from->n; i++) {
		const struct pb_row *r = from->rows[i];

		if (strcmp(r->model, at->model) != 0 || strcmp(r->backend, at->backend) != 0)
			continue;
		if (r->status != PB_ROW_OK) {
			if (!out->why && !(out->why = pb_arena_printf(arena, "%s: %s: %s", side->name, pb_row_status_name(r->status), r->reason)))
				return pb_out_of_memory(err, "expected orders");
			continue;
		}
		if (out->n && out->rows[out->n - 1]->seed == r->seed && strcmp(out->rows[out->n - 1]->cell, r->cell) != 0) {
			*out = (struct found){ .why = pb_arena_printf(arena, "%s: several cells", side->name) };
			return out->why ? PB_OK : pb_out_of_memory(err, "expected orders");
		}
		if (out->n < MAX_SEEDS)
			out->rows[out->n++] = r;
	}
	if (!out->n && !out->why && !(out->why = pb_arena_printf(arena, "%s: no cell", side->name)))
		return pb_out_of_memory(err, "expected orders");
	return PB_OK;
}

/* Drops seeds that the other side does not have. Both are by seed. */
static void keep_common(struct found *a, struct found *b)
{
	size_t i = 0, k = 0, n = 0;

	while (i < a->n && k < b->n) {
		int64_t x = a->rows[i]->seed, y = b->rows[k]->seed;

		if (x == y) {
			a->rows[n] = a->rows[i];
			b->rows[n++] = b->rows[k];
		}
		i += x <= y;
		k += y <= x;
	}
	a->n = b->n = n;
}

static double mean_value(const struct found *f)
{
	double sum = 0;

	for (size_t i = 0; i < f->n; i++)
		sum += f->rows[i]->value;
	return sum / (double)f->n;
}

/* --- verdicts --- */

static enum pb_order_verdict verdict_of(double difference, bool higher_is_better)
{
	return difference == 0 ? PB_ORDER_NOISE : (difference > 0) == higher_is_better ? PB_ORDER_HOLDS : PB_ORDER_REVERSED;
}

static enum pb_status make_order(struct pb_order *o, struct pb_arena *arena, const struct pb_expected *e, const struct place *at, const struct candidates *better,
	const struct candidates *worse, const struct pb_item_stores *stores, struct pb_error *err)
{
	struct found b, w;
	enum pb_status st = find_cell(&b, arena, better, at, &e->better, err);

	if (!st)
		st = find_cell(&w, arena, worse, at, &e->worse, err);
	if (st)
		return st;
	*o = (struct pb_order){ .expected = e, .model = at->model, .backend = at->backend, .better_value = NAN, .worse_value = NAN, .p_holm = NAN,
		.verdict = PB_ORDER_MISSING, .why = "no seed in common" };
	o->better = b.n ? b.rows[0] : NULL;
	o->worse = w.n ? w.rows[0] : NULL;
	if (!b.n || !w.n) {
		o->why = b.n ? w.why : b.why;
		return PB_OK;
	}
	keep_common(&b, &w);
	o->n_seeds = b.n;
	if (!b.n)
		return PB_OK;
	o->better_value = mean_value(&b);
	o->worse_value = mean_value(&w);
	o->verdict = verdict_of(o->better_value - o->worse_value, b.rows[0]->higher_is_better);
	st = pb_pair_make(&o->pair, arena, &(struct pb_side){ w.rows, w.n, stores }, &(struct pb_side){ b.rows, b.n, stores }, err);
	if (!st) {
		o->tested = !o->pair.refusal && !isnan(o->pair.test.p);
		o->why = o->tested ? "" : o->pair.refusal ? o->pair.refusal : "one item has no error";
	}
	return st;
}

static enum pb_status judge(struct pb_orders *orders, struct pb_error *err)
{
	double *p = pb_alloc(orders->n, sizeof(*p)), *adjusted = pb_alloc(orders->n, sizeof(*adjusted));
	enum pb_status st = p && adjusted ? PB_OK : pb_out_of_memory(err, "expected orders");

	for (size_t i = 0; !st && i < orders->n; i++)
		p[i] = orders->list[i].tested ? orders->list[i].pair.test.p : NAN;
	if (!st)
		st = pb_adjust_holm(p, orders->n, adjusted, err);
	for (size_t i = 0; !st && i < orders->n; i++) {
		struct pb_order *o = &orders->list[i];

		o->p_holm = adjusted[i];
		if (o->tested)
			o->verdict = o->p_holm < LEVEL ? verdict_of(o->pair.difference.value, o->pair.higher_is_better) : PB_ORDER_NOISE;
	}
	pb_free(p);
	pb_free(adjusted);
	return st;
}

enum pb_status pb_orders_make(struct pb_orders *out, struct pb_arena *arena, const struct pb_expected *expected, size_t n, const struct pb_rows *rows,
	const struct pb_item_stores *stores, struct pb_error *err)
{
	struct pb_orders orders = {0};
	struct places places;
	struct candidates better = {0}, worse = {0};
	size_t before;
	enum pb_status st = find_places(&places, arena, rows, err);

	better.rows = pb_alloc(rows->n, sizeof(*better.rows));
	worse.rows = pb_alloc(rows->n, sizeof(*worse.rows));
	if (!st)
		orders.list = pb_arena_alloc(arena, n * (places.n + 1), sizeof(*orders.list));
	if (!st && (!better.rows || !worse.rows || !orders.list))
		st = pb_out_of_memory(err, "expected orders");
	for (size_t i = 0; !st && i < n; i++) {
		better.n = worse.n = 0;
		for (size_t k = 0; k < rows->n; k++) {
			if (is_of(&rows->rows[k], &expected[i], &expected[i].better))
				better.rows[better.n++] = &rows->rows[k];
			if (is_of(&rows->rows[k], &expected[i], &expected[i].worse))
				worse.rows[worse.n++] = &rows->rows[k];
		}
		before = orders.n;
		for (size_t k = 0; !st && k < places.n; k++)
			if (has_cell(&better, &places.list[k]) || has_cell(&worse, &places.list[k]))
				st = make_order(&orders.list[orders.n++], arena, &expected[i], &places.list[k], &better, &worse, stores, err);
		/* Of no model at all: that is told once. */
		if (!st && orders.n == before)
			st = make_order(&orders.list[orders.n++], arena, &expected[i], &(struct place){ expected[i].run, "", "", PB_ABSENT }, &better, &worse, stores, err);
	}
	pb_free(better.rows);
	pb_free(worse.rows);
	if (!st)
		st = judge(&orders, err);
	if (!st)
		*out = orders;
	return st;
}

/* --- orders.csv --- */

enum pb_status pb_orders_csv(const struct pb_orders *orders, struct pb_text *out, struct pb_error *err)
{
	static const char *const names[] = { "better", "worse", "model", "backend", "task", "metric", "better_value", "worse_value", "scale", "difference",
		"stderr", "low95", "high95", "n", "seeds", "test", "p", "p_holm", "verdict", "why", "source" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		pb_csv_text(out, names[i]);
	pb_csv_end(out);
	for (size_t i = 0; i < orders->n; i++) {
		const struct pb_order *o = &orders->list[i];
		const struct pb_pair *pair = o->tested ? &o->pair : &(struct pb_pair){ .difference = { NAN, NAN, 0, 0 }, .test = { NAN, NAN, NAN } };

		pb_csv_text(out, o->expected->better.name);
		pb_csv_text(out, o->expected->worse.name);
		pb_csv_text(out, o->model);
		pb_csv_text(out, o->backend);
		pb_csv_text(out, o->expected->task);
		pb_csv_text(out, o->expected->metric);
		pb_csv_number(out, o->better_value);
		pb_csv_number(out, o->worse_value);
		pb_csv_text(out, pair->scale);
		pb_csv_number(out, pair->difference.value);
		pb_csv_number(out, pair->difference.stderr_value);
		pb_csv_number(out, pair->test.low);
		pb_csv_number(out, pair->test.high);
		if (o->tested)
			pb_csv_integer(out, (long long)pair->difference.n);
		else
			pb_csv_text(out, NULL);
		pb_csv_integer(out, (long long)o->n_seeds);
		pb_csv_text(out, pair->how);
		pb_csv_number(out, pair->test.p);
		pb_csv_number(out, o->p_holm);
		pb_csv_text(out, pb_order_verdict_name(o->verdict));
		pb_csv_text(out, o->why[0] ? o->why : NULL);
		pb_csv_text(out, o->expected->source);
		pb_csv_end(out);
	}
	return pb_text_check(out, err);
}
