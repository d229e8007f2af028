/* Text to tree: recursive descent. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "reports/claims/syntax.h"

#define TEXT_LIMIT 8192
#define DEPTH_LIMIT 64
#define MOST_PARTS 8
#define MOST_VARIABLES 8

struct parser {
	const char *start, *p;
	const struct pb_scope *scope;
	struct pb_arena *arena;
	struct pb_error *err;
	unsigned depth;
	const char *variables[MOST_VARIABLES];
	size_t n_variables;
};

static enum pb_status parse_by(struct parser *ps, struct pb_expression **out);

static enum pb_status fail(struct parser *ps, const char *at, const char *format, ...) PB_PRINTF(3, 4);
static enum pb_status fail(struct parser *ps, const char *at, const char *format, ...)
{
	char what[512];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return pb_fail(ps->err, PB_USAGE, "character %zu: %s", (size_t)(at - ps->start) + 1, what);
}

static enum pb_status new_node(struct parser *ps, enum pb_node_kind kind, size_t n, struct pb_expression **out)
{
	struct pb_expression *e = pb_arena_alloc(ps->arena, 1, sizeof(*e));

	if (!e || (n && !(e->parts = pb_arena_alloc(ps->arena, n, sizeof(*e->parts)))))
		return pb_out_of_memory(ps->err, "an expression");
	e->kind = kind;
	e->n = n;
	*out = e;
	return PB_OK;
}

static enum pb_status new_pair(struct parser *ps, enum pb_node_kind kind, const struct pb_expression *a, const struct pb_expression *b, struct pb_expression **out)
{
	enum pb_status st = new_node(ps, kind, 2, out);

	if (!st) {
		(*out)->parts[0] = a;
		(*out)->parts[1] = b;
	}
	return st;
}

static void skip(struct parser *ps)
{
	while (*ps->p == ' ' || *ps->p == '\t' || *ps->p == '\n' || *ps->p == '\r')
		ps->p++;
}

static size_t word_length(const char *p)
{
	size_t n = 0;

	if (!isalpha((unsigned char)*p) && *p != '_')
		return 0;
	while (isalnum((unsigned char)p[n]) || p[n] == '_')
		n++;
	return n;
}

static bool take(struct parser *ps, const char *symbol)
{
	size_t n = strlen(symbol);

	skip(ps);
	if (strncmp(ps->p, symbol, n) != 0 || (isalpha((unsigned char)symbol[0]) && word_length(ps->p) != n))
		return false;
	ps->p += n;
	return true;
}

static enum pb_status unknown(struct parser *ps, const char *at, size_t n, const char *what, const char *const *names, size_t n_names)
{
	char word[64];
	const char *near;

	snprintf(word, sizeof(word), "%.*s", (int)(n < 60 ? n : 60), at);
	near = pb_nearest(word, names, n_names);
	return fail(ps, at, "unknown %s '%s'%s%s%s", what, word, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* ---- names ---- */

static bool is_word(const char *at, size_t n, const char *name)
{
	return strlen(name) == n && strncmp(at, name, n) == 0;
}

static enum pb_status parse_name(struct parser *ps, const char *at, size_t n, struct pb_expression **out)
{
	const struct pb_scope *s = ps->scope;
	size_t count = ps->n_variables + s->n_selections + s->n_definitions, k = 0;
	const char **names;

	for (size_t i = ps->n_variables; i-- > 0;)
		if (is_word(at, n, ps->variables[i])) {
			enum pb_status st = new_node(ps, PB_NODE_VARIABLE, 0, out);

			if (!st)
				(*out)->index = i;
			return st;
		}
	for (size_t i = 0; i < s->n_definitions + s->n_selections; i++) {
		bool definition = i < s->n_definitions;
		size_t index = definition ? i : i - s->n_definitions;

		if (is_word(at, n, definition ? s->definitions[index].name : s->selections[index].name)) {
			enum pb_status st = new_node(ps, definition ? PB_NODE_DEFINITION : PB_NODE_ROWS, 0, out);

			if (!st)
				(*out)->index = index;
			return st;
		}
	}
	if (!(names = pb_arena_alloc(ps->arena, count + 1, sizeof(*names))))
		return pb_out_of_memory(ps->err, "an expression");
	for (size_t i = 0; i < ps->n_variables; i++)
		names[k++] = ps->variables[i];
	for (size_t i = 0; i < s->n_selections; i++)
		names[k++] = s->selections[i].name;
	for (size_t i = 0; i < s->n_definitions; i++)
		names[k++] = s->definitions[i].name;
	return unknown(ps, at, n, "name", names, count);
}

static enum pb_status find_column(struct parser *ps, const char *at, size_t n, bool shapes, enum pb_node_kind *kind, size_t *index)
{
	const char *names[64];
	size_t count = 0;

	for (size_t i = 0; i < PB_NUMBER_COLUMNS; i++)
		names[count++] = pb_number_columns[i];
	for (size_t i = 0; shapes && i < pb_n_shape_columns; i++)
		names[count++] = pb_shape_columns[i];
	for (size_t i = 0; i < count; i++)
		if (is_word(at, n, names[i])) {
			*kind = i < PB_NUMBER_COLUMNS ? PB_NODE_COLUMN : PB_NODE_SHAPE;
			*index = i < PB_NUMBER_COLUMNS ? i : i - PB_NUMBER_COLUMNS;
			return PB_OK;
		}
	return unknown(ps, at, n, "column", names, count);
}

/* ---- calls ---- */

static enum pb_status parse_arguments(struct parser *ps, const struct pb_expression **parts, size_t *n, size_t least, size_t most, const char *name)
{
	const char *at = ps->p;
	enum pb_status st = PB_OK;

	*n = 0;
	if (take(ps, ")"))
		return least ? fail(ps, at, "%s needs an argument", name) : PB_OK;
	do {
		struct pb_expression *part;

		if (*n == most)
			return fail(ps, ps->p, "%s has at most %zu argument%s", name, most, most == 1 ? "" : "s");
		if ((st = parse_by(ps, &part)))
			return st;
		parts[(*n)++] = part;
	} while (take(ps, ","));
	if (!take(ps, ")"))
		return fail(ps, ps->p, "%s( is not closed by )", name);
	return *n < least ? fail(ps, at, "%s needs %zu arguments", name, least) : PB_OK;
}

static enum pb_status finish_call(struct parser *ps, enum pb_node_kind kind, const struct pb_expression *const *parts, size_t n, size_t index, struct pb_expression **out)
{
	enum pb_status st = new_node(ps, kind, n, out);

	if (st)
		return st;
	for (size_t i = 0; i < n; i++)
		(*out)->parts[i] = parts[i];
	(*out)->index = index;
	return PB_OK;
}

/* root(t, low, high, EXPR): where EXPR of t is zero. */
static enum pb_status parse_root(struct parser *ps, struct pb_expression **out)
{
	const struct pb_expression *parts[3];
	size_t n, length;
	const char *name;
	enum pb_status st;

	skip(ps);
	length = word_length(ps->p);
	if (length == 0 || ps->n_variables == MOST_VARIABLES)
		return fail(ps, ps->p, "root(t, low, high, EXPR) begins with the name of its variable");
	if (!(name = pb_arena_strndup(ps->arena, ps->p, length)))
		return pb_out_of_memory(ps->err, "an expression");
	ps->p += length;
	if (!take(ps, ","))
		return fail(ps, ps->p, "root(t, low, high, EXPR) has four arguments");
	ps->variables[ps->n_variables++] = name;
	st = parse_arguments(ps, parts, &n, 3, 3, "root");
	ps->n_variables--;
	return st ? st : finish_call(ps, PB_NODE_ROOT, parts, n, ps->n_variables, out);
}

static enum pb_status parse_call(struct parser *ps, const char *at, size_t length, struct pb_expression **out)
{
	const struct pb_expression *parts[MOST_PARTS];
	const char *names[128] = { "root" };
	size_t n, count = 1;
	enum pb_status st;

	if (is_word(at, length, "root"))
		return parse_root(ps, out);
	for (size_t i = 0; i < pb_n_functions; i++) {
		const struct pb_function *f = &pb_functions[i];

		names[count++] = f->name;
		if (!is_word(at, length, f->name))
			continue;
		st = parse_arguments(ps, parts, &n, f->least, f->most, f->name);
		return st ? st : finish_call(ps, PB_NODE_CALL, parts, n, i, out);
	}
	return unknown(ps, at, length, "function", names, count);
}

/* ---- from the tightest to the loosest ---- */

static enum pb_status parse_number(struct parser *ps, struct pb_expression **out)
{
	const char *at = ps->p;
	char digits[64];
	size_t n = 0;
	double value;
	enum pb_status st;

	while (isdigit((unsigned char)at[n]) || at[n] == '.' || at[n] == 'e' || at[n] == 'E' || ((at[n] == '+' || at[n] == '-') && n && (at[n - 1] == 'e' || at[n - 1] == 'E')))
		n++;
	snprintf(digits, sizeof(digits), "%.*s", (int)(n < 60 ? n : 60), at);
	if (n >= 60 || !pb_parse_double(digits, &value))
		return fail(ps, at, "'%s' is not a number", digits);
	ps->p += n;
	st = new_node(ps, PB_NODE_NUMBER, 0, out);
	if (!st)
		(*out)->number = value;
	return st;
}

static enum pb_status parse_quoted(struct parser *ps, struct pb_expression **out)
{
	const char *at = ps->p, *end = strchr(at + 1, *at);
	enum pb_status st;

	if (!end)
		return fail(ps, at, "a text is not closed by %c", *at);
	if ((st = new_node(ps, PB_NODE_TEXT, 0, out)))
		return st;
	if (!((*out)->text = pb_arena_strndup(ps->arena, at + 1, (size_t)(end - at - 1))))
		return pb_out_of_memory(ps->err, "an expression");
	ps->p = end + 1;
	return PB_OK;
}

static enum pb_status parse_primary(struct parser *ps, struct pb_expression **out)
{
	const char *at;
	size_t n;
	enum pb_status st;

	skip(ps);
	at = ps->p;
	if (isdigit((unsigned char)*at))
		return parse_number(ps, out);
	if (*at == '\'' || *at == '"')
		return parse_quoted(ps, out);
	if (take(ps, "(")) {
		st = parse_by(ps, out);
		return st ? st : take(ps, ")") ? PB_OK : fail(ps, ps->p, "( is not closed by )");
	}
	if ((n = word_length(at)) == 0)
		return *at ? fail(ps, at, "'%.16s' where a number, a name or ( is needed", at) : fail(ps, at, "the expression ends where a number, a name or ( is needed");
	ps->p += n;
	return take(ps, "(") ? parse_call(ps, at, n, out) : parse_name(ps, at, n, out);
}

static enum pb_status parse_column(struct parser *ps, struct pb_expression **out)
{
	enum pb_status st = parse_primary(ps, out);

	while (!st && take(ps, ".")) {
		struct pb_expression *e;
		size_t n = word_length(ps->p);

		if ((st = new_node(ps, PB_NODE_COLUMN, 1, &e)))
			return st;
		e->parts[0] = *out;
		st = find_column(ps, ps->p, n, true, &e->kind, &e->index);
		ps->p += n;
		*out = e;
	}
	return st;
}

static enum pb_status parse_unary(struct parser *ps, struct pb_expression **out);

static enum pb_status parse_power(struct parser *ps, struct pb_expression **out)
{
	struct pb_expression *right;
	enum pb_status st = parse_column(ps, out);

	if (st || !take(ps, "^"))
		return st;
	if (++ps->depth > DEPTH_LIMIT)
		return fail(ps, ps->p, "more than %d levels deep", DEPTH_LIMIT);
	st = parse_unary(ps, &right);
	ps->depth--;
	return st ? st : new_pair(ps, PB_NODE_POWER, *out, right, out);
}

static enum pb_status parse_unary(struct parser *ps, struct pb_expression **out)
{
	struct pb_expression *e;
	enum pb_status st;

	if (!take(ps, "-"))
		return parse_power(ps, out);
	if (++ps->depth > DEPTH_LIMIT)
		return fail(ps, ps->p, "more than %d levels deep", DEPTH_LIMIT);
	st = new_node(ps, PB_NODE_NEGATE, 1, &e);
	if (!st)
		st = parse_unary(ps, out);
	ps->depth--;
	if (!st) {
		e->parts[0] = *out;
		*out = e;
	}
	return st;
}

static enum pb_status parse_product(struct parser *ps, struct pb_expression **out)
{
	enum pb_status st = parse_unary(ps, out);

	while (!st) {
		enum pb_node_kind kind = take(ps, "*") ? PB_NODE_MULTIPLY : take(ps, "/") ? PB_NODE_DIVIDE : PB_NODE_NUMBER;
		struct pb_expression *right;

		if (kind == PB_NODE_NUMBER)
			break;
		st = parse_unary(ps, &right);
		if (!st)
			st = new_pair(ps, kind, *out, right, out);
	}
	return st;
}

static enum pb_status parse_sum(struct parser *ps, struct pb_expression **out)
{
	enum pb_status st = parse_product(ps, out);

	while (!st) {
		enum pb_node_kind kind = take(ps, "+") ? PB_NODE_ADD : take(ps, "-") ? PB_NODE_SUBTRACT : PB_NODE_NUMBER;
		struct pb_expression *right;

		if (kind == PB_NODE_NUMBER)
			break;
		st = parse_product(ps, &right);
		if (!st)
			st = new_pair(ps, kind, *out, right, out);
	}
	return st;
}

/* a < b < c is a < b and b < c. */
static enum pb_status parse_comparison(struct parser *ps, struct pb_expression **out)
{
	static const struct { const char *symbol; enum pb_node_kind kind; } operators[] = {
		{ "<=", PB_NODE_AT_MOST }, { ">=", PB_NODE_AT_LEAST }, { "==", PB_NODE_AGREE }, { "!=", PB_NODE_DIFFER }, { "<", PB_NODE_LESS }, { ">", PB_NODE_MORE },
	};
	struct pb_expression *left, *all = NULL;
	enum pb_status st = parse_sum(ps, &left);

	*out = left;
	while (!st) {
		struct pb_expression *right, *pair;
		size_t k = 0;

		while (k < sizeof(operators) / sizeof(operators[0]) && !take(ps, operators[k].symbol))
			k++;
		if (k == sizeof(operators) / sizeof(operators[0]))
			break;
		st = parse_sum(ps, &right);
		if (!st)
			st = new_pair(ps, operators[k].kind, left, right, &pair);
		if (!st && all)
			st = new_pair(ps, PB_NODE_AND, all, pair, &all);
		else if (!st)
			all = pair;
		left = right;
		*out = all;
	}
	return st;
}

static enum pb_status parse_not(struct parser *ps, struct pb_expression **out)
{
	struct pb_expression *e;
	enum pb_status st;

	if (!take(ps, "not"))
		return parse_comparison(ps, out);
	if (++ps->depth > DEPTH_LIMIT)
		return fail(ps, ps->p, "more than %d levels deep", DEPTH_LIMIT);
	st = new_node(ps, PB_NODE_NOT, 1, &e);
	if (!st)
		st = parse_not(ps, out);
	ps->depth--;
	if (!st) {
		e->parts[0] = *out;
		*out = e;
	}
	return st;
}

static enum pb_status parse_logic(struct parser *ps, bool is_or, struct pb_expression **out)
{
	enum pb_status st = is_or ? parse_logic(ps, false, out) : parse_not(ps, out);

	while (!st && take(ps, is_or ? "or" : "and")) {
		struct pb_expression *right;

		st = is_or ? parse_logic(ps, false, &right) : parse_not(ps, &right);
		if (!st)
			st = new_pair(ps, is_or ? PB_NODE_OR : PB_NODE_AND, *out, right, out);
	}
	return st;
}

/* ---- by ---- */

/* Selections that a body names outside functions of whole lists: each stands for one row. */
static enum pb_status collect(struct parser *ps, const struct pb_expression *e, struct pb_expression *by, uint64_t *seen)
{
	enum pb_status st = PB_OK;

	if (e->kind == PB_NODE_ROWS) {
		for (size_t i = 0; i < by->n_names; i++)
			if (by->names[i] == e->index)
				return PB_OK;
		if (by->n_names == PB_BY_NAMES)
			return fail(ps, ps->p, "more than %d names in one `by`", PB_BY_NAMES);
		by->names[by->n_names++] = e->index;
	}
	if (e->kind == PB_NODE_DEFINITION && !(*seen >> e->index & 1)) {
		*seen |= (uint64_t)1 << e->index;
		return collect(ps, ps->scope->definitions[e->index].expression, by, seen);
	}
	if (e->kind == PB_NODE_BY || (e->kind == PB_NODE_CALL && pb_functions[e->index].whole))
		return PB_OK;
	for (size_t i = 0; !st && i < e->n; i++)
		st = collect(ps, e->parts[i], by, seen);
	return st;
}

static enum pb_status parse_by_columns(struct parser *ps, struct pb_expression *by)
{
	do {
		enum pb_node_kind kind;
		size_t n;
		enum pb_status st;

		skip(ps);
		n = word_length(ps->p);
		if (by->n_columns == PB_BY_COLUMNS)
			return fail(ps, ps->p, "more than %d columns in one `by`", PB_BY_COLUMNS);
		if ((st = find_column(ps, ps->p, n, false, &kind, &by->columns[by->n_columns])))
			return st;
		by->n_columns++;
		ps->p += n;
		/* `by model, task, 3)`: the comma may belong to the call around it. */
		skip(ps);
		if (*ps->p != ',' || word_length(ps->p + 1 + strspn(ps->p + 1, " \t\r\n")) == 0)
			return PB_OK;
		ps->p++;
	} while (true);
}

static enum pb_status parse_by(struct parser *ps, struct pb_expression **out)
{
	struct pb_expression *by, *condition = NULL;
	uint64_t seen = 0;      /* definitions */
	enum pb_status st;

	if (++ps->depth > DEPTH_LIMIT)
		return fail(ps, ps->p, "more than %d levels deep", DEPTH_LIMIT);
	st = parse_logic(ps, true, out);
	ps->depth--;
	if (st || !take(ps, "by"))
		return st;
	if ((st = new_node(ps, PB_NODE_BY, 2, &by)))
		return st;
	by->parts[0] = *out;
	by->n = 1;
	if ((st = parse_by_columns(ps, by)))
		return st;
	if (take(ps, "if")) {
		if ((st = parse_logic(ps, true, &condition)))
			return st;
		by->parts[by->n++] = condition;
	}
	for (size_t i = 0; !st && i < by->n; i++)
		st = collect(ps, by->parts[i], by, &seen);
	*out = by;
	return st;
}

enum pb_status pb_expression_parse(const struct pb_expression **out, const char *text, const struct pb_scope *scope, struct pb_arena *arena, struct pb_error *err)
{
	struct parser ps = { .start = text, .p = text, .scope = scope, .arena = arena, .err = err };
	struct pb_expression *made;
	enum pb_status st;

	if (strlen(text) > TEXT_LIMIT)
		return pb_fail(err, PB_USAGE, "character %d: an expression longer than that", TEXT_LIMIT);
	st = parse_by(&ps, &made);
	skip(&ps);
	if (!st && *ps.p)
		st = fail(&ps, ps.p, "'%.16s' is left over", ps.p);
	if (!st)
		*out = made;
	return st;
}
