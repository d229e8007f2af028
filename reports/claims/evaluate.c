/* Tree to value. */
#include <math.h>
#include <string.h>
#include "reports/claims/syntax.h"

#define WORK_LIMIT 3000000

static enum pb_status evaluate(struct pb_evaluation *ev, const struct pb_expression *e, struct pb_value *out);

enum pb_status pb_value_new(struct pb_evaluation *ev, enum pb_value_kind kind, size_t n, struct pb_value *out, void *array)
{
	static const size_t sizes[] = { sizeof(struct pb_interval), sizeof(enum pb_truth), sizeof(const char *) };
	void *entries;

	ev->work += n + 1;
	if (ev->work > WORK_LIMIT)
		return pb_fail(ev->err, PB_LIMIT, "the expression makes more than %d values", WORK_LIMIT);
	if (!(entries = pb_arena_alloc(ev->arena, n ? n : 1, sizes[kind])))
		return pb_out_of_memory(ev->err, "the value of an expression");
	*out = (struct pb_value){ .kind = kind, .n = n };
	if (kind == PB_VALUE_NUMBER)
		out->numbers = entries;
	else if (kind == PB_VALUE_TRUTH)
		out->truths = entries;
	else
		out->texts = entries;
	*(void **)array = entries;
	return PB_OK;
}

static const char *kind_name(enum pb_value_kind kind)
{
	return kind == PB_VALUE_NUMBER ? "numbers" : kind == PB_VALUE_TRUTH ? "true or false" : "texts";
}

static enum pb_status need(struct pb_evaluation *ev, const struct pb_value *v, enum pb_value_kind kind, const char *what)
{
	return v->kind == kind ? PB_OK : pb_fail(ev->err, PB_USAGE, "%s needs %s, not %s", what, kind_name(kind), kind_name(v->kind));
}

/* ---- rows ---- */

static bool in_key(const struct pb_evaluation *ev, const struct pb_number *row)
{
	for (size_t i = 0; i < ev->n_key; i++)
		if (strcmp(row->text[ev->key[i].column], ev->key[i].text) != 0)
			return false;
	return true;
}

/* The rows that a selection stands for here: those of the key. */
static enum pb_status rows_of(struct pb_evaluation *ev, size_t index, const struct pb_number ***out, size_t *n)
{
	const struct pb_selection *s = &ev->scope->selections[index];
	const struct pb_number **rows = pb_arena_alloc(ev->arena, s->n + 1, sizeof(struct pb_number *));

	if (!rows)
		return pb_out_of_memory(ev->err, "the value of an expression");
	ev->work += s->n / 8 + 1;
	if (ev->work > WORK_LIMIT)
		return pb_fail(ev->err, PB_LIMIT, "the expression makes more than %d values", WORK_LIMIT);
	*n = 0;
	for (size_t i = 0; i < s->n; i++)
		if (in_key(ev, s->rows[i]))
			rows[(*n)++] = s->rows[i];
	*out = rows;
	return PB_OK;
}

static enum pb_status value_of_rows(struct pb_evaluation *ev, const struct pb_expression *e, struct pb_value *out)
{
	const struct pb_selection *s = &ev->scope->selections[e->index];
	const struct pb_number **rows = NULL;
	struct pb_interval *x;
	size_t n = 0;
	enum pb_status st;

	if (s->missing)
		return pb_fail(ev->err, PB_MISSING, "%s: %s", s->name, s->missing);
	if (ev->bound[e->index] && !ev->whole) {
		rows = pb_arena_alloc(ev->arena, 1, sizeof(struct pb_number *));
		if (!rows)
			return pb_out_of_memory(ev->err, "the value of an expression");
		rows[n++] = ev->bound[e->index];
	} else if ((st = rows_of(ev, e->index, &rows, &n))) {
		return st;
	}
	ev->lacking = n == 0;
	if (n == 0)
		return pb_fail(ev->err, PB_MISSING, "%s: no row left", s->name);
	if ((st = pb_value_new(ev, PB_VALUE_NUMBER, n, out, &x)))
		return st;
	out->rows = rows;
	for (size_t i = 0; i < n; i++)
		x[i] = pb_around(rows[i]->value, rows[i]->half);
	return PB_OK;
}

/* Of rows as such: a column of a row whose value is absent is fine, its value is not. */
static enum pb_status check_values(struct pb_evaluation *ev, const struct pb_value *v)
{
	for (size_t i = 0; v->kind == PB_VALUE_NUMBER && i < v->n; i++)
		if (isnan(v->numbers[i].middle))
			return pb_fail(ev->err, PB_MISSING, "%s has no number: the source prints none", v->rows && v->rows[i] ? v->rows[i]->text[PB_NUMBER_ID] : "a row");
	return PB_OK;
}

static enum pb_status column_of(struct pb_evaluation *ev, const struct pb_expression *e, struct pb_value *out)
{
	struct pb_value rows;
	bool numeric = e->kind == PB_NODE_SHAPE || pb_number_column_is_numeric((enum pb_number_column)e->index);
	struct pb_interval *x = NULL;
	const char **texts = NULL;
	enum pb_status st = evaluate(ev, e->parts[0], &rows);

	if (st)
		return st;
	if (!rows.rows)
		return pb_fail(ev->err, PB_USAGE, ".%s: only rows have columns", e->kind == PB_NODE_SHAPE ? pb_shape_columns[e->index] : pb_number_columns[e->index]);
	if ((st = pb_value_new(ev, numeric ? PB_VALUE_NUMBER : PB_VALUE_TEXT, rows.n, out, numeric ? (void *)&x : (void *)&texts)))
		return st;
	out->rows = rows.rows;
	for (size_t i = 0; i < rows.n; i++) {
		const struct pb_number *r = rows.rows[i];
		const struct pb_model_shape *shape = NULL;

		if (!r)
			return pb_fail(ev->err, PB_USAGE, "only rows have columns");
		if (e->kind == PB_NODE_SHAPE) {
			if (!(shape = ev->scope->shapes ? pb_shape_find(ev->scope->shapes, r->text[PB_NUMBER_MODEL]) : NULL))
				return pb_fail(ev->err, PB_MISSING, "the shape of %s (%s) is not known", r->text[PB_NUMBER_MODEL], r->text[PB_NUMBER_ID]);
			x[i] = pb_exact(pb_shape_column(shape, e->index));
		} else if (texts) {
			texts[i] = r->text[e->index];
		} else {
			if (isnan(r->column[e->index]))
				return pb_fail(ev->err, PB_MISSING, "%s has no %s", r->text[PB_NUMBER_ID], pb_number_columns[e->index]);
			x[i] = e->index == PB_NUMBER_VALUE ? pb_around(r->value, r->half) : e->index == PB_NUMBER_BITS ? pb_around(r->column[e->index], r->bits_half) : pb_exact(r->column[e->index]);
		}
	}
	return PB_OK;
}

/* ---- operators ---- */

static enum pb_status pair_up(struct pb_evaluation *ev, const struct pb_value *a, const struct pb_value *b, size_t *n)
{
	if (a->n != b->n && a->n != 1 && b->n != 1)
		return pb_fail(ev->err, PB_USAGE, "lists of %zu and %zu values do not pair up; `by COLUMN` matches rows", a->n, b->n);
	*n = a->n > b->n ? a->n : b->n;
	return PB_OK;
}

static const struct pb_number *const *rows_of_pair(const struct pb_value *a, const struct pb_value *b, size_t n)
{
	return a->rows && a->n == n ? a->rows : b->rows && b->n == n ? b->rows : NULL;
}

static enum pb_status arithmetic(struct pb_evaluation *ev, enum pb_node_kind kind, const struct pb_value *a, const struct pb_value *b, struct pb_value *out)
{
	struct pb_interval *x;
	size_t n = 0;
	enum pb_status st = need(ev, a, PB_VALUE_NUMBER, "arithmetic");

	if (!st)
		st = need(ev, b, PB_VALUE_NUMBER, "arithmetic");
	if (!st)
		st = pair_up(ev, a, b, &n);
	if (!st)
		st = pb_value_new(ev, PB_VALUE_NUMBER, n, out, &x);
	if (st)
		return st;
	out->rows = rows_of_pair(a, b, n);
	for (size_t i = 0; i < n; i++) {
		struct pb_interval p = a->numbers[a->n == 1 ? 0 : i], q = b->numbers[b->n == 1 ? 0 : i];

		if (kind == PB_NODE_ADD)
			x[i] = pb_interval_add(p, q);
		else if (kind == PB_NODE_SUBTRACT)
			x[i] = pb_interval_subtract(p, q);
		else if (kind == PB_NODE_MULTIPLY)
			x[i] = pb_interval_multiply(p, q);
		else if (kind == PB_NODE_DIVIDE && !pb_interval_divide(p, q, &x[i]))
			return pb_fail(ev->err, PB_NUMERIC, "a division by zero");
		else if (kind == PB_NODE_POWER && !pb_interval_power(p, q, &x[i]))
			return pb_fail(ev->err, PB_NUMERIC, "a power that is not defined");
		if (!isfinite(x[i].middle))
			return pb_fail(ev->err, PB_NUMERIC, "a number that is not finite");
	}
	return PB_OK;
}

static enum pb_truth compare_numbers(enum pb_node_kind kind, struct pb_interval p, struct pb_interval q)
{
	switch (kind) {
	case PB_NODE_LESS:
		return pb_interval_less(p, q);
	case PB_NODE_MORE:
		return pb_interval_less(q, p);
	case PB_NODE_AT_MOST:
		return pb_truth_not(pb_interval_less(q, p));
	case PB_NODE_AT_LEAST:
		return pb_truth_not(pb_interval_less(p, q));
	case PB_NODE_AGREE:
		return pb_interval_agree(p, q);
	default:
		return pb_truth_not(pb_interval_agree(p, q));
	}
}

static enum pb_status comparison(struct pb_evaluation *ev, enum pb_node_kind kind, const struct pb_value *a, const struct pb_value *b, struct pb_value *out)
{
	enum pb_truth *t;
	size_t n = 0;
	bool equality = kind == PB_NODE_AGREE || kind == PB_NODE_DIFFER;
	enum pb_status st = pair_up(ev, a, b, &n);

	if (!st && (a->kind != b->kind || a->kind == PB_VALUE_TRUTH))
		st = pb_fail(ev->err, PB_USAGE, "a comparison of %s with %s", kind_name(a->kind), kind_name(b->kind));
	if (!st && a->kind == PB_VALUE_TEXT && !equality)
		st = pb_fail(ev->err, PB_USAGE, "texts can be == or != only");
	if (!st)
		st = pb_value_new(ev, PB_VALUE_TRUTH, n, out, &t);
	if (st)
		return st;
	out->rows = rows_of_pair(a, b, n);
	for (size_t i = 0; i < n; i++) {
		size_t k = a->n == 1 ? 0 : i, m = b->n == 1 ? 0 : i;

		if (a->kind == PB_VALUE_TEXT)
			t[i] = (strcmp(a->texts[k], b->texts[m]) == 0) == (kind == PB_NODE_AGREE) ? PB_TRUE : PB_FALSE;
		else
			t[i] = compare_numbers(kind, a->numbers[k], b->numbers[m]);
	}
	return PB_OK;
}

static enum pb_status logic(struct pb_evaluation *ev, enum pb_node_kind kind, const struct pb_value *a, const struct pb_value *b, struct pb_value *out)
{
	enum pb_truth *t;
	size_t n = 0;
	enum pb_status st = need(ev, a, PB_VALUE_TRUTH, "and, or");

	if (!st)
		st = need(ev, b, PB_VALUE_TRUTH, "and, or");
	if (!st)
		st = pair_up(ev, a, b, &n);
	if (!st)
		st = pb_value_new(ev, PB_VALUE_TRUTH, n, out, &t);
	if (st)
		return st;
	out->rows = rows_of_pair(a, b, n);
	for (size_t i = 0; i < n; i++)
		t[i] = (kind == PB_NODE_AND ? pb_truth_and : pb_truth_or)(a->truths[a->n == 1 ? 0 : i], b->truths[b->n == 1 ? 0 : i]);
	return PB_OK;
}

static enum pb_status unary(struct pb_evaluation *ev, const struct pb_expression *e, struct pb_value *out)
{
	struct pb_value a;
	struct pb_interval *x;
	enum pb_truth *t;
	enum pb_status st = evaluate(ev, e->parts[0], &a);

	if (!st)
		st = need(ev, &a, e->kind == PB_NODE_NOT ? PB_VALUE_TRUTH : PB_VALUE_NUMBER, e->kind == PB_NODE_NOT ? "not" : "-");
	if (!st)
		st = pb_value_new(ev, a.kind, a.n, out, e->kind == PB_NODE_NOT ? (void *)&t : (void *)&x);
	if (st)
		return st;
	out->rows = a.rows;
	for (size_t i = 0; i < a.n; i++)
		if (e->kind == PB_NODE_NOT)
			t[i] = pb_truth_not(a.truths[i]);
		else
			x[i] = pb_interval_subtract(pb_exact(0), a.numbers[i]);
	return PB_OK;
}

static enum pb_status binary(struct pb_evaluation *ev, const struct pb_expression *e, struct pb_value *out)
{
	struct pb_value a, b;
	enum pb_status st = evaluate(ev, e->parts[0], &a);

	if (!st)
		st = check_values(ev, &a);
	if (!st)
		st = evaluate(ev, e->parts[1], &b);
	if (!st)
		st = check_values(ev, &b);
	if (st)
		return st;
	if (e->kind == PB_NODE_AND || e->kind == PB_NODE_OR)
		return logic(ev, e->kind, &a, &b, out);
	return (e->kind >= PB_NODE_LESS ? comparison : arithmetic)(ev, e->kind, &a, &b, out);
}

static enum pb_status call(struct pb_evaluation *ev, const struct pb_expression *e, struct pb_value *out)
{
	const struct pb_function *f = &pb_functions[e->index];
	struct pb_value args[8];
	bool whole = ev->whole;
	size_t n_key = ev->n_key;
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < e->n; i++) {
		ev->whole = whole || f->whole;
		ev->n_key = f->free ? 0 : n_key;
		st = evaluate(ev, e->parts[i], &args[i]);
		ev->n_key = n_key;
		ev->whole = whole;
		if (!st)
			st = check_values(ev, &args[i]);
	}
	return st ? st : f->fn(ev, args, e->n, out);
}

/* By halving; the two ends must differ in sign. Of the numbers as printed. */
static enum pb_status root(struct pb_evaluation *ev, const struct pb_expression *e, struct pb_value *out)
{
	struct pb_value ends[2], y;
	struct pb_interval *x;
	double low, high, at_low = 0;
	enum pb_status st = evaluate(ev, e->parts[0], &ends[0]);

	if (!st)
		st = evaluate(ev, e->parts[1], &ends[1]);
	for (size_t i = 0; !st && i < 2; i++)
		st = ends[i].n == 1 ? need(ev, &ends[i], PB_VALUE_NUMBER, "root") : pb_fail(ev->err, PB_USAGE, "root goes from one number to another");
	if (st)
		return st;
	low = ends[0].numbers[0].middle;
	high = ends[1].numbers[0].middle;
	for (int step = 0; step < 64; step++) {
		double middle = step == 0 ? low : step == 1 ? high : low / 2 + high / 2, at;

		ev->variables[e->index] = middle;
		st = evaluate(ev, e->parts[2], &y);
		if (!st)
			st = y.n == 1 ? need(ev, &y, PB_VALUE_NUMBER, "root") : pb_fail(ev->err, PB_USAGE, "root is of an expression with one value");
		if (st)
			return st;
		at = y.numbers[0].middle;
		if (at == 0) {
			low = high = middle;
			break;
		}
		if (step == 0)
			at_low = at;
		else if (step == 1 && (at > 0) == (at_low > 0))
			return pb_fail(ev->err, PB_NUMERIC, "root: the expression has the same sign at both ends");
		else if (step > 1 && (at > 0) == (at_low > 0))
			low = middle;
		else if (step > 1)
			high = middle;
	}
	if ((st = pb_value_new(ev, PB_VALUE_NUMBER, 1, out, &x)))
		return st;
	x[0] = pb_exact(low / 2 + high / 2);
	return PB_OK;
}

/* ---- by ---- */

struct listing {
	struct pb_value *entries;
	const struct pb_number **rows;
	size_t n, capacity;
};

static enum pb_status keep(struct pb_evaluation *ev, struct listing *l, const struct pb_value *v, const struct pb_number *row)
{
	if (v->n != 1)
		return pb_fail(ev->err, PB_USAGE, "`by`: %zu values where one is needed for each combination of rows", v->n);
	if (l->n == l->capacity) {
		size_t larger = l->capacity ? 2 * l->capacity : 16;
		struct pb_value *entries = pb_arena_alloc(ev->arena, larger, sizeof(*entries));
		const struct pb_number **rows = pb_arena_alloc(ev->arena, larger, sizeof(struct pb_number *));

		if (!entries || !rows)
			return pb_out_of_memory(ev->err, "the value of an expression");
		if (l->n) {
			memcpy(entries, l->entries, l->n * sizeof(*entries));
			memcpy(rows, l->rows, l->n * sizeof(struct pb_number *));
		}
		l->entries = entries;
		l->rows = rows;
		l->capacity = larger;
	}
	if (l->n && v->kind != l->entries[0].kind)
		return pb_fail(ev->err, PB_USAGE, "`by`: now %s, now %s", kind_name(l->entries[0].kind), kind_name(v->kind));
	l->entries[l->n] = *v;
	l->rows[l->n++] = row;
	return PB_OK;
}

/* A combination of rows that lacks one for a list is none. */
static enum pb_status visit(struct pb_evaluation *ev, const struct pb_expression *e, const struct pb_number *row, struct listing *l)
{
	struct pb_value condition, body;
	enum pb_status st = PB_OK;

	if (e->n == 2) {
		st = evaluate(ev, e->parts[1], &condition);
		if (!st)
			st = need(ev, &condition, PB_VALUE_TRUTH, "if");
		if (!st && (condition.n != 1 || condition.truths[0] != PB_TRUE))
			return condition.n == 1 ? PB_OK : pb_fail(ev->err, PB_USAGE, "`if` needs one statement, not %zu", condition.n);
	}
	if (!st)
		st = evaluate(ev, e->parts[0], &body);
	if (!st)
		st = check_values(ev, &body);
	return st ? st : keep(ev, l, &body, row);
}

static enum pb_status combine(struct pb_evaluation *ev, const struct pb_expression *e, size_t level, const struct pb_number *first, struct listing *l)
{
	const struct pb_number **rows;
	size_t n, name;
	enum pb_status st;

	if (level == e->n_names) {
		st = visit(ev, e, first, l);
		return st == PB_MISSING && ev->lacking ? PB_OK : st;
	}
	name = e->names[level];
	st = rows_of(ev, name, &rows, &n);
	for (size_t i = 0; !st && i < n; i++) {
		ev->bound[name] = rows[i];
		st = combine(ev, e, level + 1, first, l);
	}
	ev->bound[name] = NULL;
	return st;
}

/* Selections in functions of whole lists, when no name stands for one row: they say which keys there are. */
static bool first_rows(const struct pb_evaluation *ev, const struct pb_expression *e, size_t *index)
{
	if (e->kind == PB_NODE_ROWS) {
		*index = e->index;
		return true;
	}
	if (e->kind == PB_NODE_DEFINITION)
		return first_rows(ev, ev->scope->definitions[e->index].expression, index);
	for (size_t i = 0; i < e->n; i++)
		if (first_rows(ev, e->parts[i], index))
			return true;
	return false;
}

static enum pb_status list_value(struct pb_evaluation *ev, const struct listing *l, struct pb_value *out)
{
	struct pb_interval *x;
	enum pb_truth *t;
	const char **s;
	void *arrays[] = { &x, &t, &s };
	enum pb_value_kind kind = l->entries[0].kind;
	enum pb_status st = pb_value_new(ev, kind, l->n, out, arrays[kind]);

	if (st)
		return st;
	out->rows = l->rows;
	for (size_t i = 0; i < l->n; i++)
		if (kind == PB_VALUE_NUMBER)
			x[i] = l->entries[i].numbers[0];
		else if (kind == PB_VALUE_TRUTH)
			t[i] = l->entries[i].truths[0];
		else
			s[i] = l->entries[i].texts[0];
	return PB_OK;
}

static enum pb_status by(struct pb_evaluation *ev, const struct pb_expression *e, struct pb_value *out)
{
	const struct pb_number *bound[PB_BY_NAMES], **rows = NULL;
	struct listing l = {0};
	size_t index = e->n_names ? e->names[0] : 0, n = 0, before = ev->n_key;
	bool whole = ev->whole;
	enum pb_status st;

	if (e->n_names == 0 && !first_rows(ev, e->parts[0], &index))
		return pb_fail(ev->err, PB_USAGE, "`by` needs the name of rows");
	for (size_t i = 0; i < e->n_names; i++)
		if (ev->scope->selections[e->names[i]].missing)
			return pb_fail(ev->err, PB_MISSING, "%s: %s", ev->scope->selections[e->names[i]].name, ev->scope->selections[e->names[i]].missing);
	if (before + e->n_columns > sizeof(ev->key) / sizeof(ev->key[0]))
		return pb_fail(ev->err, PB_USAGE, "`by` in `by` in `by`");
	st = rows_of(ev, index, &rows, &n);
	for (size_t i = 0; i < e->n_names; i++)
		bound[i] = ev->bound[e->names[i]];
	ev->whole = false;
	for (size_t i = 0; !st && i < n; i++) {
		/* A key, once. Names then run over all their rows of it. */
		bool seen = false;

		ev->work += i / 8;
		for (size_t k = 0; e->n_names == 0 && k < i && !seen; k++) {
			seen = true;
			for (size_t c = 0; seen && c < e->n_columns; c++)
				seen = strcmp(rows[k]->text[e->columns[c]], rows[i]->text[e->columns[c]]) == 0;
		}
		if (seen)
			continue;
		for (size_t c = 0; c < e->n_columns; c++) {
			ev->key[before + c].column = e->columns[c];
			ev->key[before + c].text = rows[i]->text[e->columns[c]];
		}
		ev->n_key = before + e->n_columns;
		if (e->n_names)
			ev->bound[index] = rows[i];
		st = combine(ev, e, e->n_names ? 1 : 0, rows[i], &l);
		ev->n_key = before;
	}
	for (size_t i = 0; i < e->n_names; i++)
		ev->bound[e->names[i]] = bound[i];
	ev->n_key = before;
	ev->whole = whole;
	if (!st && l.n == 0)
		st = pb_fail(ev->err, PB_MISSING, "no rows go together by %s", pb_number_columns[e->columns[0]]);
	return st ? st : list_value(ev, &l, out);
}

static enum pb_status literal(struct pb_evaluation *ev, const struct pb_expression *e, struct pb_value *out)
{
	struct pb_interval *x;
	const char **s;
	enum pb_status st = pb_value_new(ev, e->kind == PB_NODE_TEXT ? PB_VALUE_TEXT : PB_VALUE_NUMBER, 1, out, e->kind == PB_NODE_TEXT ? (void *)&s : (void *)&x);

	if (st)
		return st;
	if (e->kind == PB_NODE_TEXT)
		s[0] = e->text;
	else
		x[0] = pb_exact(e->kind == PB_NODE_VARIABLE ? ev->variables[e->index] : e->number);
	return PB_OK;
}

static enum pb_status evaluate(struct pb_evaluation *ev, const struct pb_expression *e, struct pb_value *out)
{
	switch (e->kind) {
	case PB_NODE_NUMBER:
	case PB_NODE_TEXT:
	case PB_NODE_VARIABLE:
		return literal(ev, e, out);
	case PB_NODE_ROWS:
		return value_of_rows(ev, e, out);
	case PB_NODE_DEFINITION:
		return evaluate(ev, ev->scope->definitions[e->index].expression, out);
	case PB_NODE_COLUMN:
	case PB_NODE_SHAPE:
		return column_of(ev, e, out);
	case PB_NODE_NEGATE:
	case PB_NODE_NOT:
		return unary(ev, e, out);
	case PB_NODE_CALL:
		return call(ev, e, out);
	case PB_NODE_BY:
		return by(ev, e, out);
	case PB_NODE_ROOT:
		return root(ev, e, out);
	default:
		return binary(ev, e, out);
	}
}

enum pb_status pb_expression_value(const struct pb_expression *e, const struct pb_scope *scope, struct pb_arena *arena, struct pb_value *out, struct pb_error *err)
{
	struct pb_evaluation ev = { .scope = scope, .arena = arena, .err = err, .bound = pb_arena_alloc(arena, scope->n_selections + 1, sizeof(struct pb_number *)) };
	struct pb_value made;
	enum pb_status st = ev.bound ? evaluate(&ev, e, &made) : pb_out_of_memory(err, "the value of an expression");

	if (!st)
		st = check_values(&ev, &made);
	if (!st)
		*out = made;
	return st;
}
