/* Values as text, and the numbers that decide a statement. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "reports/claims/syntax.h"

#define MOST_SHOWN 12
#define MOST_DEPTH 8

static void put_number(struct pb_text *t, struct pb_interval x)
{
	double half = (x.high - x.low) / 2;

	pb_text_printf(t, "%.6g", x.middle);
	if (isfinite(half) && half > 1e-9 * fmax(fabs(x.middle), 1e-3))
		pb_text_printf(t, " ± %.2g", half);
	else if (!isfinite(half))
		pb_text_string(t, " ± any");
}

static void put_entry(const struct pb_value *v, size_t i, struct pb_text *t)
{
	static const char *const truths[] = { "false", "open", "true" };

	if (v->kind == PB_VALUE_NUMBER)
		put_number(t, v->numbers[i]);
	else
		pb_text_string(t, v->kind == PB_VALUE_TRUTH ? truths[v->truths[i]] : v->texts[i]);
}

void pb_value_text(const struct pb_value *v, struct pb_text *t)
{
	for (size_t i = 0; i < v->n && i < MOST_SHOWN; i++) {
		pb_text_string(t, i ? ", " : "");
		put_entry(v, i, t);
	}
	if (v->n > MOST_SHOWN)
		pb_text_printf(t, ", ... (%zu values)", v->n);
}

static bool is_call(const struct pb_expression *e, const char *name)
{
	return e->kind == PB_NODE_CALL && strcmp(pb_functions[e->index].name, name) == 0;
}

/* A value that is one published number, or the extreme of some, with its id. */
static void put_value(const struct pb_expression *e, const struct pb_value *v, struct pb_text *t)
{
	bool named = e->kind == PB_NODE_ROWS || e->kind == PB_NODE_COLUMN || is_call(e, "max") || is_call(e, "min") || is_call(e, "only") || is_call(e, "printed");

	pb_value_text(v, t);
	if (named && v->n == 1 && v->rows && v->rows[0])
		pb_text_printf(t, " (%s)", v->rows[0]->text[PB_NUMBER_ID]);
}

/* Which entries are not true: "2 open: A, B; 1 not: C". */
static void put_exceptions(const struct pb_value *v, enum pb_truth which, const char *word, struct pb_text *t)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++)
		n += v->truths[i] == which;
	if (n == 0)
		return;
	pb_text_printf(t, "; %s", word);
	if (!v->rows) {
		pb_text_printf(t, " %zu", n);
		return;
	}
	n = 0;
	for (size_t i = 0; i < v->n; i++)
		if (v->truths[i] == which && v->rows[i] && n++ < MOST_SHOWN)
			pb_text_printf(t, "%s %s", n > 1 ? "," : "", v->rows[i]->text[PB_NUMBER_ID]);
	if (n > MOST_SHOWN)
		pb_text_printf(t, " and %zu more", n - MOST_SHOWN);
}

static void put_list(const struct pb_value *v, struct pb_text *t)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++)
		n += v->truths[i] == PB_TRUE;
	pb_text_printf(t, "%zu of %zu", n, v->n);
	/* Of a list that is mostly false, the true entries are what to look at. */
	if (n && 2 * n < v->n)
		put_exceptions(v, PB_TRUE, "so:", t);
	else
		put_exceptions(v, PB_FALSE, "not:", t);
	put_exceptions(v, PB_OPEN, "open:", t);
}

static const char *symbol(enum pb_node_kind kind)
{
	switch (kind) {
	case PB_NODE_LESS:
		return "<";
	case PB_NODE_AT_MOST:
		return "<=";
	case PB_NODE_MORE:
		return ">";
	case PB_NODE_AT_LEAST:
		return ">=";
	case PB_NODE_AGREE:
		return "==";
	case PB_NODE_DIFFER:
		return "!=";
	default:
		return NULL;
	}
}

static enum pb_status side(const struct pb_expression *e, const struct pb_scope *scope, struct pb_arena *arena, struct pb_text *t, struct pb_error *err)
{
	struct pb_value v;
	enum pb_status st = pb_expression_value(e, scope, arena, &v, err);

	if (st)
		return st;
	if (e->kind == PB_NODE_DEFINITION)
		return side(scope->definitions[e->index].expression, scope, arena, t, err);
	if (is_call(e, "count")) {
		st = pb_expression_value(e->parts[0], scope, arena, &v, err);
		if (!st)
			put_list(&v, t);
	} else {
		put_value(e, &v, t);
	}
	return st;
}

static enum pb_status explain(const struct pb_expression *e, const struct pb_scope *scope, struct pb_arena *arena, unsigned depth, struct pb_text *t, struct pb_error *err)
{
	struct pb_value v;
	enum pb_status st;

	if (e->kind == PB_NODE_DEFINITION)
		return explain(scope->definitions[e->index].expression, scope, arena, depth, t, err);
	if ((e->kind == PB_NODE_AND || e->kind == PB_NODE_OR) && depth < MOST_DEPTH) {
		st = explain(e->parts[0], scope, arena, depth + 1, t, err);
		pb_text_string(t, e->kind == PB_NODE_AND ? "; " : " or ");
		return st ? st : explain(e->parts[1], scope, arena, depth + 1, t, err);
	}
	if (e->kind == PB_NODE_NOT && depth < MOST_DEPTH) {
		pb_text_string(t, "not ");
		return explain(e->parts[0], scope, arena, depth + 1, t, err);
	}
	if (symbol(e->kind)) {
		st = side(e->parts[0], scope, arena, t, err);
		pb_text_printf(t, " %s ", symbol(e->kind));
		return st ? st : side(e->parts[1], scope, arena, t, err);
	}
	if (is_call(e, "all") || is_call(e, "any") || is_call(e, "count")) {
		st = pb_expression_value(e->parts[0], scope, arena, &v, err);
		if (!st)
			put_list(&v, t);
		return st;
	}
	if (is_call(e, "rising") || is_call(e, "falling"))
		return side(e->parts[0], scope, arena, t, err);
	st = pb_expression_value(e, scope, arena, &v, err);
	if (!st)
		put_value(e, &v, t);
	return st;
}

enum pb_status pb_expression_explain(const struct pb_expression *e, const struct pb_scope *scope, struct pb_arena *arena, struct pb_text *out, struct pb_error *err)
{
	return explain(e, scope, arena, 0, out, err);
}
