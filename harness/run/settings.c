#include "harness/run/settings.h"

#include <string.h>
#include "core/base/json.h"
#include "core/base/text.h"
#include "quantizers/quantizer.h"

#define MAX_SETTINGS 10000

static enum pb_status grow(struct pb_settings *s, struct pb_error *err)
{
	size_t capacity = s->capacity ? 2 * s->capacity : 64;
	struct pb_setting *list = pb_arena_alloc(s->arena, capacity, sizeof(*list));

	if (!list)
		return pb_out_of_memory(err, "the sweep");
	if (s->n)
		memcpy(list, s->list, s->n * sizeof(*list));
	s->list = list;
	s->capacity = capacity;
	return PB_OK;
}

/* The options as they take effect. In the arena; NULL when memory is out. */
static const char *effective_options(struct pb_arena *arena, const struct pb_quantizer_use *use)
{
	json_t *object = pb_options_json(use->quantizer->options, use->options);
	char *text = object ? pb_json_canonical(object) : NULL;
	const char *copy = text ? pb_arena_strdup(arena, text) : NULL;

	json_decref(object);
	pb_free(text);
	return copy;
}

bool pb_settings_are_same(const struct pb_setting *a, const struct pb_setting *b)
{
	return strcmp(a->quantizer, b->quantizer) == 0 && strcmp(a->options, b->options) == 0;
}

static enum pb_status add(struct pb_settings *s, const struct pb_yaml *at, const char *text, struct pb_error *err)
{
	struct pb_quantizer_use use;
	struct pb_setting setting = { .at = at };
	struct pb_error why = {0};
	enum pb_status st;

	if (pb_quantizer_use_parse(&use, text, &why))
		return pb_yaml_fail(at, err, "%s", why.text);
	setting.text = pb_arena_strdup(s->arena, text);
	setting.quantizer = pb_arena_strdup(s->arena, use.quantizer->name);
	setting.options = effective_options(s->arena, &use);
	pb_quantizer_use_free(&use);
	if (!setting.text || !setting.quantizer || !setting.options)
		return pb_out_of_memory(err, "the sweep");
	if (s->n == MAX_SETTINGS)
		return pb_yaml_fail(at, err, "more than %d quantizer settings", MAX_SETTINGS);
	if (s->n == s->capacity && (st = grow(s, err)))
		return st;
	s->list[s->n++] = setting;
	return PB_OK;
}

/* How many settings the lists make. */
static enum pb_status count(const struct pb_yaml *options, uint64_t *total, struct pb_error *err)
{
	*total = 1;
	for (size_t k = 0; k < options->n; k++) {
		const struct pb_yaml *v = options->values[k];

		if (v->kind == PB_YAML_MAP)
			return pb_yaml_fail(v, err, "an option is a value or a list of values");
		if (v->kind == PB_YAML_LIST) {
			if (v->n == 0)
				return pb_yaml_fail(v, err, "an empty list");
			*total *= v->n;
		}
		if (*total > MAX_SETTINGS)
			return pb_yaml_fail(options, err, "more than %d settings", MAX_SETTINGS);
	}
	return PB_OK;
}

/* The i-th of `total` settings; *at: where it stands, of one option the entry of its list. */
static enum pb_status write_setting(struct pb_text *text, const char *name, const struct pb_yaml *options, uint64_t i, uint64_t total,
	const struct pb_yaml **at, struct pb_error *err)
{
	pb_text_string(text, name);
	*at = options;
	for (size_t k = 0; k < options->n; k++) {
		const struct pb_yaml *v = options->values[k];
		const char *value;
		enum pb_status st;

		if (v->kind == PB_YAML_LIST) {
			total /= v->n;
			v = v->values[i / total];
			i %= total;
		}
		if ((st = pb_yaml_string(v, &value, err)))
			return st;
		if (strchr(value, ',') || strpbrk(options->keys[k], ",=:"))
			return pb_yaml_fail(v, err, "%s: one value, without a comma", options->keys[k]);
		pb_text_printf(text, "%c%s=%s", k == 0 ? ':' : ',', options->keys[k], value);
		if (options->n == 1)
			*at = v;
	}
	return pb_text_check(text, err);
}

static enum pb_status expand(struct pb_settings *s, const char *name, const struct pb_yaml *options, struct pb_error *err)
{
	uint64_t total;
	enum pb_status st = count(options, &total, err);

	for (uint64_t i = 0; !st && i < total; i++) {
		struct pb_text text = {0};
		const struct pb_yaml *at;

		st = write_setting(&text, name, options, i, total, &at, err);
		if (!st)
			st = add(s, at, pb_text_c(&text), err);
		pb_text_free(&text);
	}
	return st;
}

enum pb_status pb_settings_read(struct pb_settings *s, const struct pb_yaml *node, struct pb_error *err)
{
	const struct pb_yaml *options;
	struct pb_error why = {0};

	if (node->kind == PB_YAML_SCALAR)
		return add(s, node, node->text, err);
	if (node->kind != PB_YAML_MAP || node->n != 1)
		return pb_yaml_fail(node, err, "a quantizer is NAME, NAME:opt=value, or one NAME: {option: value or list}");
	if (!pb_quantizer_find(node->keys[0], &why))
		return pb_yaml_fail(node->key_nodes[0], err, "%s", why.text);
	options = node->values[0];
	if (options->kind == PB_YAML_SCALAR && options->text[0] == '\0')
		return add(s, node, node->keys[0], err);
	if (options->kind != PB_YAML_MAP)
		return pb_yaml_fail(options, err, "options of %s are {name: value}", node->keys[0]);
	return expand(s, node->keys[0], options, err);
}
