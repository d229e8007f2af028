#include "reports/claims/comparison.h"

#include <math.h>
#include <string.h>
#include <strings.h>
#include "core/base/text.h"

const char *pb_reproduction_name(enum pb_reproduction r)
{
	static const char *const names[PB_REPRODUCTIONS] = { "NOT MEASURED", "REPRODUCED", "UNDERPOWERED", "PROTOCOL DIFFERS", "OFF", "CONTRADICTED" };

	return names[r];
}

static enum pb_status check_names(const struct pb_yaml *list, const char *what, struct pb_error *err)
{
	if (list->kind != PB_YAML_LIST)
		return pb_yaml_fail(list, err, "%s is a list of names", what);
	for (size_t i = 0; i < list->n; i++)
		if (list->values[i]->kind != PB_YAML_SCALAR)
			return pb_yaml_fail(list->values[i], err, "%s is a list of names", what);
	return PB_OK;
}

static enum pb_status check_setting(const struct pb_yaml *map, const char *key, const struct pb_yaml *setting, struct pb_error *err)
{
	if (!setting || setting->kind != PB_YAML_MAP || !pb_yaml_get(setting, "quantizer"))
		return pb_yaml_fail(setting ? setting : map, err, "compare needs %s: {quantizer: name, option: value, ...}", key);
	for (size_t i = 0; i < setting->n; i++)
		if (setting->values[i]->kind == PB_YAML_MAP || (setting->values[i]->kind == PB_YAML_LIST && check_names(setting->values[i], setting->keys[i], NULL)))
			return pb_yaml_fail(setting->values[i], err, "%s is a value or a list of values", setting->keys[i]);
	return PB_OK;
}

enum pb_status pb_claim_comparison_parse(struct pb_claim_comparison *out, bool *has, const struct pb_yaml *run, struct pb_error *err)
{
	static const char *const keys[] = { "how", "compare", NULL }, *const inner[] = { "better", "worse", "same", "metric", "bits_within", "equivalent", NULL };
	struct pb_claim_comparison c = { .bits_within = INFINITY };
	const struct pb_yaml *map = run->kind == PB_YAML_MAP ? pb_yaml_get(run, "compare") : NULL, *how = run->kind == PB_YAML_MAP ? pb_yaml_get(run, "how") : NULL, *node;
	enum pb_status st;

	*has = map != NULL;
	if (!how || how->kind != PB_YAML_SCALAR || !how->text[0])
		return pb_yaml_fail(run, err, "run is {how: in words} or {how: in words, compare: {better, worse, same, metric}}");
	st = pb_yaml_check_keys(run, keys, err);
	if (st || !map)
		return st;
	if (map->kind != PB_YAML_MAP)
		return pb_yaml_fail(map, err, "compare is {better, worse, same, metric}");
	c.better = pb_yaml_get(map, "better");
	c.worse = pb_yaml_get(map, "worse");
	c.same = pb_yaml_get(map, "same");
	c.metric = pb_yaml_get(map, "metric");
	st = pb_yaml_check_keys(map, inner, err);
	if (!st)
		st = check_setting(map, "better", c.better, err);
	if (!st)
		st = check_setting(map, "worse", c.worse, err);
	if (!st)
		st = c.same ? check_names(c.same, "same", err) : pb_yaml_fail(map, err, "compare needs same: a list of names, [] when there are none");
	if (!st)
		st = c.metric ? check_names(c.metric, "metric", err) : pb_yaml_fail(map, err, "compare needs metric: a list of names");
	if (!st && (node = pb_yaml_get(map, "bits_within")))
		st = pb_yaml_double(node, 0, 64, &c.bits_within, err);
	if (!st && (node = pb_yaml_get(map, "equivalent")))
		st = pb_yaml_bool(node, &c.equivalent, err);
	if (!st)
		*out = c;
	return st;
}

/* The value of an option as text; "" when the row has none of that name. */
static const char *option(const char *name, const struct pb_row *row, const json_t *options, char buffer[64])
{
	const json_t *value = json_object_get(options, name);

	buffer[0] = '\0';
	if (strcmp(name, "quantizer") == 0)
		return row->quantizer;
	if (strcmp(name, "wbits") == 0 && isfinite(row->wbits))
		pb_format_short(buffer, row->wbits);
	else if (json_is_number(value))
		pb_format_short(buffer, json_number_value(value));
	else if (json_is_boolean(value))
		return json_is_true(value) ? "yes" : "no";
	else if (json_is_string(value))
		return json_string_value(value);
	return buffer;
}

static bool equal(const char *wanted, const char *is)
{
	double a, b;

	if (pb_parse_double(wanted, &a) && pb_parse_double(is, &b))
		return a == b;
	if (strcasecmp(wanted, "true") == 0)
		wanted = "yes";
	if (strcasecmp(wanted, "false") == 0)
		wanted = "no";
	return strcmp(wanted, is) == 0;
}

bool pb_setting_fits(const struct pb_yaml *setting, const struct pb_row *row, const json_t *options)
{
	for (size_t i = 0; i < setting->n; i++) {
		const struct pb_yaml *wanted = setting->values[i];
		char buffer[64];
		const char *is = option(setting->keys[i], row, options, buffer);
		bool fits = wanted->kind == PB_YAML_SCALAR && equal(wanted->text, is);

		for (size_t k = 0; wanted->kind == PB_YAML_LIST && k < wanted->n && !fits; k++)
			fits = equal(wanted->values[k]->text, is);
		if (!fits)
			return false;
	}
	return true;
}

bool pb_claim_comparison_has_metric(const struct pb_claim_comparison *c, const char *metric)
{
	for (size_t i = 0; i < c->metric->n; i++)
		if (strcmp(c->metric->values[i]->text, metric) == 0)
			return true;
	return false;
}

bool pb_claim_comparison_alike(const struct pb_claim_comparison *c, const struct pb_row *a, const json_t *a_options, const struct pb_row *b, const json_t *b_options)
{
	for (size_t i = 0; i < c->same->n; i++) {
		char x[64], y[64];

		if (!equal(option(c->same->values[i]->text, a, a_options, x), option(c->same->values[i]->text, b, b_options, y)))
			return false;
	}
	return !(fabs(a->effective_bits - b->effective_bits) > c->bits_within);
}
