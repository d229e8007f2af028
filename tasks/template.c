/* Prompt templates. */
#include <stdio.h>
#include <string.h>
#include "tasks/template.h"

#define MAX_PARTS 256

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t name_length(const char *s)
{
	size_t n = 0;

	while (is_name_char(s[n]))
		n++;
	return n;
}

static const char *skip_blanks(const char *s)
{
	while (*s == ' ')
		s++;
	return s;
}

/* "name }}" or "name.sub }}" after the opening braces; *s is moved behind the closing ones. */
static enum pb_status parse_reference(struct pb_arena *arena, const struct pb_yaml *node, const char **s, struct pb_template_part *part, struct pb_error *err)
{
	const char *p = skip_blanks(*s);
	size_t n = name_length(p);

	if (!n)
		return pb_yaml_fail(node, err, "template: a field's name is expected after '{{'");
	if (!(part->name = pb_arena_strndup(arena, p, n)))
		return pb_out_of_memory(err, "a template");
	p += n;
	if (*p == '.') {
		n = name_length(++p);
		if (!n)
			return pb_yaml_fail(node, err, "template: a name is expected after '%s.'", part->name);
		if (!(part->sub = pb_arena_strndup(arena, p, n)))
			return pb_out_of_memory(err, "a template");
		p += n;
	}
	p = skip_blanks(p);
	if (p[0] != '}' || p[1] != '}')
		return pb_yaml_fail(node, err, "template: '{{%s%s%s' must end in '}}'; only {{field}} and {{field.sub}} are known",
			part->name, part->sub ? "." : "", part->sub ? part->sub : "");
	*s = p + 2;
	return PB_OK;
}

enum pb_status pb_template_parse(struct pb_template **out, struct pb_arena *arena, const struct pb_yaml *node, const char *key, bool bare, struct pb_error *err)
{
	struct pb_template_part parts[MAX_PARTS], *kept;
	struct pb_template *t = pb_arena_alloc(arena, 1, sizeof(*t));
	const char *s;
	size_t n = 0;
	enum pb_status st = pb_yaml_string(node, &s, err);

	if (st)
		return st;
	if (!t || !(t->place = pb_arena_printf(arena, "%s:%u:%u: %s", node->file, node->line, node->column, key)))
		return pb_out_of_memory(err, "a template");
	if (bare && *s && !(*s >= '0' && *s <= '9') && !s[name_length(s)]) {
		parts[n++] = (struct pb_template_part){ .name = pb_arena_strdup(arena, s) };
		if (!parts[0].name)
			return pb_out_of_memory(err, "a template");
		s += strlen(s);
	}
	while (*s) {
		const char *open = strstr(s, "{{");
		size_t length = open ? (size_t)(open - s) : strlen(s);

		if (n + 2 > MAX_PARTS)
			return pb_yaml_fail(node, err, "template: more than %d parts", MAX_PARTS / 2);
		if (length) {
			parts[n] = (struct pb_template_part){ .literal = pb_arena_strndup(arena, s, length) };
			if (!parts[n++].literal)
				return pb_out_of_memory(err, "a template");
			s += length;
		}
		if (open) {
			s = open + 2;
			parts[n] = (struct pb_template_part){0};
			if ((st = parse_reference(arena, node, &s, &parts[n++], err)))
				return st;
		}
	}
	kept = pb_arena_alloc(arena, n ? n : 1, sizeof(*kept));
	if (!kept)
		return pb_out_of_memory(err, "a template");
	memcpy(kept, parts, n * sizeof(*kept));
	t->parts = kept;
	t->n_parts = n;
	*out = t;
	return PB_OK;
}

static enum pb_status undefined(const struct pb_template *t, const json_t *object, const char *prefix, const char *name, struct pb_error *err)
{
	const char *names[64], *key, *near;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)object, key, value)
		if (n < sizeof(names) / sizeof(*names))
			names[n++] = key;
	near = pb_nearest(name, names, n);
	return pb_fail(err, PB_FORMAT, "%s: field '%s%s' is not in the record%s%s%s", t->place, prefix, name, near ? "; did you mean '" : "",
		near ? near : "", near ? "'?" : "");
}

static enum pb_status look_up(const struct pb_template *t, const struct pb_template_part *part, const json_t *record, const json_t **out, struct pb_error *err)
{
	const json_t *value = json_object_get(record, part->name);

	if (!value)
		return undefined(t, record, "", part->name, err);
	if (part->sub) {
		const json_t *inner = json_object_get(value, part->sub);
		char prefix[128];

		if (!inner) {
			snprintf(prefix, sizeof(prefix), "%.100s.", part->name);
			return undefined(t, value, prefix, part->sub, err);
		}
		value = inner;
	}
	*out = value;
	return PB_OK;
}

enum pb_status pb_template_render(const struct pb_template *t, const json_t *record, struct pb_text *out, struct pb_error *err)
{
	for (size_t i = 0; i < t->n_parts; i++) {
		const struct pb_template_part *part = &t->parts[i];
		const json_t *value = NULL;
		enum pb_status st;

		if (part->literal) {
			pb_text_string(out, part->literal);
			continue;
		}
		if ((st = look_up(t, part, record, &value, err)))
			return st;
		if (json_is_string(value))
			pb_text_bytes(out, json_string_value(value), json_string_length(value));
		else if (json_is_integer(value))
			pb_text_printf(out, "%lld", (long long)json_integer_value(value));
		else
			return pb_fail(err, PB_FORMAT, "%s: field '%s%s%s' is neither a string nor an integer", t->place, part->name,
				part->sub ? "." : "", part->sub ? part->sub : "");
	}
	return pb_text_check(out, err);
}

enum pb_status pb_template_string(const struct pb_template *t, const json_t *record, const char *prefix, struct pb_arena *arena,
	const char **out, struct pb_error *err)
{
	struct pb_text text = {0};
	enum pb_status st;

	pb_text_string(&text, prefix);
	st = pb_template_render(t, record, &text, err);
	if (!st && !(*out = pb_arena_strndup(arena, pb_text_c(&text), text.length)))
		st = pb_out_of_memory(err, "items");
	pb_text_free(&text);
	return st;
}

enum pb_status pb_template_value(const struct pb_template *t, const json_t *record, const json_t **out, struct pb_error *err)
{
	if (t->n_parts != 1 || t->parts[0].literal) {
		*out = NULL;
		return PB_OK;
	}
	return look_up(t, &t->parts[0], record, out, err);
}
