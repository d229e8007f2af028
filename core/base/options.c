#include "core/base/options.h"

#include <math.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/memory.h"

static void *field(const struct pb_option *o, void *options)
{
	return (char *)options + o->offset;
}

static const void *const_field(const struct pb_option *o, const void *options)
{
	return (const char *)options + o->offset;
}

static int choice_index(const struct pb_option *o, const char *value)
{
	for (int i = 0; o->choices[i] != NULL; i++)
		if (strcmp(o->choices[i], value) == 0)
			return i;
	return -1;
}

static const struct pb_option *find(const struct pb_option *table, const char *name)
{
	for (; table->name != NULL; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static void set_default(const struct pb_option *o, void *options)
{
	void *p = field(o, options);
	switch (o->type) {
	case PB_OPTION_INT: *(int64_t *)p = (int64_t)o->default_number; break;
	case PB_OPTION_REAL: *(double *)p = o->default_number; break;
	case PB_OPTION_BOOL: *(bool *)p = o->default_number != 0; break;
	case PB_OPTION_CHOICE: *(int *)p = choice_index(o, o->default_choice); break;
	case PB_OPTION_TEXT: strcpy(p, o->default_choice); break;
	}
}

void pb_options_default(const struct pb_option *table, void *options)
{
	for (; table->name != NULL; table++)
		set_default(table, options);
}

static enum pb_status fail_unknown(const struct pb_option *table, const char *who, const char *name, struct pb_error *err)
{
	/* Tables are short; names after the 64th are not suggested. */
	const char *names[64] = { NULL };
	size_t n = 0;
	for (; table[n].name != NULL && n < 64; n++)
		names[n] = table[n].name;
	const char *nearest = pb_nearest(name, names, n);
	if (nearest != NULL)
		return pb_fail(err, PB_USAGE, "%s: unknown option '%s'; did you mean '%s'?", who, name, nearest);
	if (n == 0)
		return pb_fail(err, PB_USAGE, "%s: unknown option '%s': there are none", who, name);
	struct pb_text list = { 0 };
	for (size_t i = 0; i < n; i++)
		pb_text_printf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
	enum pb_status status = pb_fail(err, PB_USAGE, "%s: unknown option '%s'; the options are %s", who, name, pb_text_c(&list));
	pb_text_free(&list);
	return status;
}

static enum pb_status fail_range(const struct pb_option *o, const char *who, const char *value, struct pb_error *err)
{
	char low[32], high[32];
	pb_format_short(low, o->low);
	pb_format_short(high, o->high);
	return pb_fail(err, PB_USAGE, "%s: %s=%s is out of range %s..%s", who, o->name, value, low, high);
}

static bool parse_bool(const char *s, bool *out)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(s, words[i]) == 0) {
			*out = i % 2 == 1;
			return true;
		}
	}
	return false;
}

enum pb_status pb_options_set(const struct pb_option *table, void *options, const char *who, const char *name, const char *value, struct pb_error *err)
{
	const struct pb_option *o = find(table, name);
	if (o == NULL)
		return fail_unknown(table, who, name, err);
	void *p = field(o, options);
	int64_t whole;
	double real;
	switch (o->type) {
	case PB_OPTION_INT:
		if (!pb_parse_int64(value, &whole))
			return pb_fail(err, PB_USAGE, "%s: %s=%s: not a whole number", who, name, value);
		if ((double)whole < o->low || (double)whole > o->high)
			return fail_range(o, who, value, err);
		*(int64_t *)p = whole;
		return PB_OK;
	case PB_OPTION_REAL:
		if (!pb_parse_double(value, &real))
			return pb_fail(err, PB_USAGE, "%s: %s=%s: not a number", who, name, value);
		if (real < o->low || real > o->high)
			return fail_range(o, who, value, err);
		*(double *)p = real;
		return PB_OK;
	case PB_OPTION_BOOL:
		if (!parse_bool(value, p))
			return pb_fail(err, PB_USAGE, "%s: %s=%s: choose one of true, false", who, name, value);
		return PB_OK;
	case PB_OPTION_CHOICE: {
		int i = choice_index(o, value);
		if (i >= 0) {
			*(int *)p = i;
			return PB_OK;
		}
		struct pb_text list = { 0 };
		for (i = 0; o->choices[i] != NULL; i++)
			pb_text_printf(&list, "%s%s", i > 0 ? ", " : "", o->choices[i]);
		enum pb_status status = pb_fail(err, PB_USAGE, "%s: %s=%s: choose one of %s", who, name, value, pb_text_c(&list));
		pb_text_free(&list);
		return status;
	}
	case PB_OPTION_TEXT:
		if (strlen(value) >= PB_OPTION_TEXT_BYTES)
			return pb_fail(err, PB_USAGE, "%s: %s: longer than %d bytes", who, name, PB_OPTION_TEXT_BYTES - 1);
		if (!pb_utf8_valid(value, strlen(value)))
			return pb_fail(err, PB_USAGE, "%s: %s: not UTF-8", who, name);
		strcpy(p, value);
		return PB_OK;
	}
	return pb_fail(err, PB_FAILED, "%s: %s: an option without a type", who, name);
}

/* `item` is "name=value" and is cut in two; `text` is the whole, up to where the item begins, cut in the same way. */
static enum pb_status parse_item(const struct pb_option *table, void *options, const char *who, char *item, const char *first, struct pb_error *err)
{
	char *equals = strchr(item, '=');
	if (equals == NULL || equals == item)
		return pb_fail(err, PB_USAGE, "%s: '%s': write options as name=value,name=value", who, item);
	*equals = '\0';
	for (const char *earlier = first; earlier < item; earlier += strlen(earlier) + 1, earlier += strlen(earlier) + 1)
		if (strcmp(earlier, item) == 0)
			return pb_fail(err, PB_USAGE, "%s: option '%s' is given twice", who, item);
	return pb_options_set(table, options, who, item, equals + 1, err);
}

enum pb_status pb_options_parse(const struct pb_option *table, void *options, const char *who, const char *text, struct pb_error *err)
{
	if (text == NULL || text[0] == '\0')
		return PB_OK;
	/* Items become pairs of strings, name NUL value NUL, one after the other. */
	char *copy = pb_strdup(text);
	if (copy == NULL)
		return pb_out_of_memory(err, who);
	enum pb_status status = PB_OK;
	for (char *item = copy; item != NULL && status == PB_OK;) {
		char *comma = strchr(item, ',');
		if (comma != NULL)
			*comma = '\0';
		status = parse_item(table, options, who, item, copy, err);
		item = comma == NULL ? NULL : comma + 1;
	}
	pb_free(copy);
	return status;
}

json_t *pb_options_json(const struct pb_option *table, const void *options)
{
	json_t *object = json_object();
	for (; object != NULL && table->name != NULL; table++) {
		const void *p = const_field(table, options);
		json_t *value = NULL;
		switch (table->type) {
		case PB_OPTION_INT: value = json_integer(*(const int64_t *)p); break;
		case PB_OPTION_REAL: value = pb_json_number(*(const double *)p); break;
		case PB_OPTION_BOOL: value = json_boolean(*(const bool *)p); break;
		case PB_OPTION_CHOICE: value = json_string(table->choices[*(const int *)p]); break;
		case PB_OPTION_TEXT: value = json_string(p); break;
		}
		/* Also fails, and leaves nothing behind, when value is NULL. */
		if (json_object_set_new(object, table->name, value) != 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

/* The value as it would be written by the user. */
static void put_value(const struct pb_option *o, const void *options, struct pb_text *out)
{
	const void *p = const_field(o, options);
	char number[32];
	switch (o->type) {
	case PB_OPTION_INT:
		pb_text_printf(out, "%lld", (long long)*(const int64_t *)p);
		break;
	case PB_OPTION_REAL:
		pb_format_short(number, *(const double *)p);
		pb_text_string(out, number);
		break;
	case PB_OPTION_BOOL:
		pb_text_string(out, *(const bool *)p ? "true" : "false");
		break;
	case PB_OPTION_CHOICE:
		pb_text_string(out, o->choices[*(const int *)p]);
		break;
	case PB_OPTION_TEXT:
		pb_text_string(out, p);
		break;
	}
}

static bool is_default(const struct pb_option *o, const void *options)
{
	const void *p = const_field(o, options);
	switch (o->type) {
	case PB_OPTION_INT: return *(const int64_t *)p == (int64_t)o->default_number;
	case PB_OPTION_REAL: return *(const double *)p == o->default_number;
	case PB_OPTION_BOOL: return *(const bool *)p == (o->default_number != 0);
	case PB_OPTION_CHOICE: return strcmp(o->choices[*(const int *)p], o->default_choice) == 0;
	case PB_OPTION_TEXT: return strcmp(p, o->default_choice) == 0;
	}
	return false;
}

void pb_options_label(const struct pb_option *table, const void *options, struct pb_text *out)
{
	bool first = true;
	for (; table->name != NULL; table++) {
		if (is_default(table, options))
			continue;
		pb_text_printf(out, "%s%s=", first ? "" : ",", table->name);
		put_value(table, options, out);
		first = false;
	}
}

enum pb_status pb_options_check(const struct pb_option *table, const char *who, struct pb_error *err)
{
	for (const struct pb_option *o = table; o->name != NULL; o++) {
		if (o->name[0] == '\0' || strpbrk(o->name, "=, ") != NULL)
			return pb_fail(err, PB_FAILED, "%s: option name '%s' cannot be written on a command line", who, o->name);
		if (find(table, o->name) != o)
			return pb_fail(err, PB_FAILED, "%s: option '%s' is twice in the table", who, o->name);
		if (o->help == NULL || o->help[0] == '\0')
			return pb_fail(err, PB_FAILED, "%s: option '%s' has no help", who, o->name);
		if (o->type == PB_OPTION_CHOICE) {
			if (o->choices == NULL || o->default_choice == NULL || choice_index(o, o->default_choice) < 0)
				return pb_fail(err, PB_FAILED, "%s: option '%s': the default is not one of the choices", who, o->name);
			continue;
		}
		if (o->type == PB_OPTION_TEXT) {
			if (o->default_choice == NULL || strlen(o->default_choice) >= PB_OPTION_TEXT_BYTES)
				return pb_fail(err, PB_FAILED, "%s: option '%s': there is no default, or it is too long", who, o->name);
			continue;
		}
		if (!(o->low <= o->default_number && o->default_number <= o->high))
			return pb_fail(err, PB_FAILED, "%s: option '%s': the default is out of range", who, o->name);
		if (o->type == PB_OPTION_INT && (o->default_number != floor(o->default_number) || !(fabs(o->default_number) < 0x1p63)))
			return pb_fail(err, PB_FAILED, "%s: option '%s': the default is not a whole number", who, o->name);
	}
	return PB_OK;
}

static void put_form(const struct pb_option *o, struct pb_text *out)
{
	static const char *const types[] = { [PB_OPTION_INT] = "INT", [PB_OPTION_REAL] = "REAL", [PB_OPTION_BOOL] = "BOOL", [PB_OPTION_TEXT] = "TEXT" };
	pb_text_printf(out, "%s=", o->name);
	if (o->type != PB_OPTION_CHOICE)
		pb_text_string(out, types[o->type]);
	else
		for (int i = 0; o->choices[i] != NULL; i++)
			pb_text_printf(out, "%s%s", i > 0 ? "|" : "", o->choices[i]);
}

/* "2..8 (4)", "(true)", "(symmetric)" */
static void put_range(const struct pb_option *o, struct pb_text *out)
{
	char low[32], high[32], value[32];
	if (o->type == PB_OPTION_CHOICE) {
		pb_text_printf(out, "(%s)", o->default_choice);
	} else if (o->type == PB_OPTION_TEXT) {
		pb_text_printf(out, "(%s)", *o->default_choice ? o->default_choice : "none");
	} else if (o->type == PB_OPTION_BOOL) {
		pb_text_printf(out, "(%s)", o->default_number != 0 ? "true" : "false");
	} else {
		pb_format_short(low, o->low);
		pb_format_short(high, o->high);
		pb_format_short(value, o->default_number);
		pb_text_printf(out, "%s..%s (%s)", low, high, value);
	}
}

void pb_options_help(const struct pb_option *table, const char *only, struct pb_text *out)
{
	struct pb_text form = { 0 }, range = { 0 };
	int form_width = 0, range_width = 0;
	/* Two passes: widths of the columns, then the lines. */
	for (int pass = 0; pass < 2; pass++) {
		for (const struct pb_option *o = table; o->name != NULL; o++) {
			if (only != NULL && strcmp(only, o->name) != 0)
				continue;
			pb_text_clear(&form);
			pb_text_clear(&range);
			put_form(o, &form);
			put_range(o, &range);
			if (pass == 1) {
				pb_text_printf(out, "  %-*s  %-*s  %s\n", form_width, pb_text_c(&form), range_width, pb_text_c(&range), o->help);
				continue;
			}
			if ((int)form.length > form_width && form.length <= 32)
				form_width = (int)form.length;
			if ((int)range.length > range_width)
				range_width = (int)range.length;
		}
	}
	out->failed |= form.failed || range.failed;
	pb_text_free(&form);
	pb_text_free(&range);
}
