/* Prompts as templates: literal text with {{field}} and {{field.sub}}. Nothing else of Jinja. */
#ifndef PB_TASKS_TEMPLATE_H
#define PB_TASKS_TEMPLATE_H

#include <stdbool.h>
#include <jansson.h>
#include "core/base/memory.h"
#include "core/base/status.h"
#include "core/base/text.h"
#include "core/base/yaml.h"

struct pb_template_part {
	const char *literal;        /* or NULL: a reference */
	const char *name;           /* of the field */
	const char *sub;            /* of a field of that field, or NULL */
};

struct pb_template {
	const char *place;          /* "tasks/piqa.yaml:7:14: doc_to_text", for messages */
	const struct pb_template_part *parts;
	size_t n_parts;
};

/* From a scalar. bare: text that is one plain word is the name of a field (doc_to_target: label). */
enum pb_status pb_template_parse(struct pb_template **out, struct pb_arena *arena, const struct pb_yaml *node, const char *key, bool bare, struct pb_error *err) PB_MUST_CHECK;

/* Appends the text for a record. Strings go in as they are, integers as decimal digits; lists, objects, reals and
 * null are refused. */
enum pb_status pb_template_render(const struct pb_template *t, const json_t *record, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;

/* Sets *out to the prefix and the text for a record, in the arena. */
enum pb_status pb_template_string(const struct pb_template *t, const json_t *record, const char *prefix, struct pb_arena *arena,
	const char **out, struct pb_error *err) PB_MUST_CHECK;

/* The value itself when the template is one reference and nothing else; *out is borrowed, NULL when it is not such a template. */
enum pb_status pb_template_value(const struct pb_template *t, const json_t *record, const json_t **out, struct pb_error *err) PB_MUST_CHECK;

#endif
