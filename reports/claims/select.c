#include "reports/claims/select.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ID_LIMIT 128
#define RANGE_LIMIT 100000

struct selector {
	const struct pb_numbers *numbers;
	struct pb_arena *arena;
	struct pb_selection *out;
	size_t capacity;
	struct pb_error *err;
};

bool pb_matches(const char *pattern, const char *text)
{
	const char *star = NULL, *again = NULL;

	while (*text)
		if (*pattern == '*') {
			star = pattern++;
			again = text;
		} else if (*pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++again;
		} else {
			return false;
		}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static enum pb_status add(struct selector *s, const struct pb_number *row)
{
	if (s->out->n == s->capacity) {
		size_t larger = s->capacity ? 2 * s->capacity : 16;
		const struct pb_number **rows = pb_arena_alloc(s->arena, larger, sizeof(struct pb_number *));

		if (!rows)
			return pb_out_of_memory(s->err, "a selection of rows");
		if (s->out->n)
			memcpy(rows, s->out->rows, s->out->n * sizeof(struct pb_number *));
		s->out->rows = rows;
		s->capacity = larger;
	}
	s->out->rows[s->out->n++] = row;
	return PB_OK;
}

static enum pb_status add_id(struct selector *s, const char *id)
{
	const struct pb_number *row = pb_numbers_find(s->numbers, id);

	if (row)
		return add(s, row);
	if (!s->out->missing && !(s->out->missing = pb_arena_printf(s->arena, "no published number has the id %s", id)))
		return pb_out_of_memory(s->err, "a selection of rows");
	return PB_OK;
}

/* FIRST..LAST: the digits at the end of FIRST count on up to LAST. */
static enum pb_status add_range(struct selector *s, const struct pb_yaml *at, const char *first, const char *last)
{
	size_t n = strlen(first), digits = 0;
	unsigned long from, to;

	while (digits < n && isdigit((unsigned char)first[n - 1 - digits]))
		digits++;
	if (digits == 0 || digits > 9 || strlen(last) != digits || strspn(last, "0123456789") != digits)
		return pb_yaml_fail(at, s->err, "'%s..%s': a range is an id that ends in digits, `..`, and as many digits for the last one", first, last);
	from = strtoul(first + n - digits, NULL, 10);
	to = strtoul(last, NULL, 10);
	if (to < from || to - from > RANGE_LIMIT)
		return pb_yaml_fail(at, s->err, "'%s..%s': the range runs backwards or is too long", first, last);
	for (; from <= to; from++) {
		const char *id = pb_arena_printf(s->arena, "%.*s%0*lu", (int)(n - digits), first, (int)digits, from);
		enum pb_status st = id ? add_id(s, id) : pb_out_of_memory(s->err, "a selection of rows");

		if (st)
			return st;
	}
	return PB_OK;
}

static enum pb_status add_ids(struct selector *s, const struct pb_yaml *node)
{
	const char *p = node->text;
	enum pb_status st = PB_OK;

	if (!*(p += strspn(p, " \t\r\n")))
		return pb_yaml_fail(node, s->err, "a selection of rows is ids, or {column: pattern, ...}");
	while (!st && *p) {
		size_t n = strcspn(p, " \t\r\n");
		char word[ID_LIMIT], *dots;

		if (n >= sizeof(word))
			return pb_yaml_fail(node, s->err, "an id of %zu characters", n);
		memcpy(word, p, n);
		word[n] = '\0';
		if (strchr(word, '*')) {
			st = pb_yaml_fail(node, s->err, "'%s': a pattern is written {id: %s}", word, word);
		} else if ((dots = strstr(word, ".."))) {
			*dots = '\0';
			st = add_range(s, node, word, dots + 2);
		} else {
			st = add_id(s, word);
		}
		p += n;
		p += strspn(p, " \t\r\n");
	}
	return st;
}

static bool passes(const struct pb_yaml *pattern, const char *text)
{
	if (pattern->kind == PB_YAML_SCALAR)
		return pattern->text[0] == '!' ? !pb_matches(pattern->text + 1, text) : pb_matches(pattern->text, text);
	for (size_t i = 0; i < pattern->n; i++)
		if (passes(pattern->values[i], text))
			return true;
	return false;
}

static enum pb_status check_conditions(struct selector *s, const struct pb_yaml *node)
{
	const char *keys[PB_NUMBER_COLUMNS + 1];
	enum pb_status st;

	memcpy(keys, pb_number_columns, sizeof(pb_number_columns));
	keys[PB_NUMBER_COLUMNS] = NULL;
	if ((st = pb_yaml_check_keys(node, keys, s->err)))
		return st;
	for (size_t i = 0; i < node->n; i++) {
		const struct pb_yaml *pattern = node->values[i];

		if (pattern->kind == PB_YAML_MAP || (pattern->kind == PB_YAML_LIST && pattern->n == 0))
			return pb_yaml_fail(pattern, s->err, "a pattern is a text or a list of texts");
		for (size_t k = 0; pattern->kind == PB_YAML_LIST && k < pattern->n; k++)
			if (pattern->values[k]->kind != PB_YAML_SCALAR)
				return pb_yaml_fail(pattern->values[k], s->err, "a pattern is a text or a list of texts");
	}
	return PB_OK;
}

static enum pb_status add_matching(struct selector *s, const struct pb_yaml *node)
{
	size_t columns[PB_NUMBER_COLUMNS], before = s->out->n;
	enum pb_status st = check_conditions(s, node);

	for (size_t i = 0; !st && i < node->n; i++)
		for (columns[i] = 0; strcmp(pb_number_columns[columns[i]], node->keys[i]) != 0;)
			columns[i]++;
	for (size_t r = 0; !st && r < s->numbers->n; r++) {
		const struct pb_number *row = &s->numbers->rows[r];
		bool all = true;

		for (size_t i = 0; all && i < node->n; i++)
			all = passes(node->values[i], row->text[columns[i]]);
		if (all)
			st = add(s, row);
	}
	if (!st && s->out->n == before && !s->out->missing
		&& !(s->out->missing = pb_arena_printf(s->arena, "no published number fits the conditions at %s:%u", node->file, node->line)))
		st = pb_out_of_memory(s->err, "a selection of rows");
	return st;
}

static enum pb_status add_node(struct selector *s, const struct pb_yaml *node)
{
	enum pb_status st = PB_OK;

	if (node->kind == PB_YAML_SCALAR)
		return add_ids(s, node);
	if (node->kind == PB_YAML_MAP)
		return add_matching(s, node);
	for (size_t i = 0; !st && i < node->n; i++)
		st = add_node(s, node->values[i]);
	return st;
}

enum pb_status pb_select(struct pb_selection *out, const struct pb_yaml *node, const struct pb_numbers *numbers, struct pb_arena *arena, struct pb_error *err)
{
	struct pb_selection made = { .name = out->name };
	struct selector s = { .numbers = numbers, .arena = arena, .out = &made, .err = err };
	enum pb_status st = add_node(&s, node);

	if (!st)
		*out = made;
	return st;
}
