/* Option tables. A plugin owns its options as a table; from it come parsing, range checks,
 * help, and the echo of effective values into each row. */
#ifndef PB_CORE_BASE_OPTIONS_H
#define PB_CORE_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "core/base/status.h"
#include "core/base/text.h"

enum pb_option_type { PB_OPTION_INT, PB_OPTION_REAL, PB_OPTION_BOOL, PB_OPTION_CHOICE, PB_OPTION_TEXT };

#define PB_OPTION_TEXT_BYTES 512 /* of every text in an options struct, with its NUL */

struct pb_option {
	const char *name;                /* NULL ends the table */
	enum pb_option_type type;
	size_t offset;                   /* of an int64_t, double, bool, int (index of the choice) or char [PB_OPTION_TEXT_BYTES] in the options struct */
	double low, high;                /* inclusive; INT and REAL */
	double default_number;           /* INT, REAL, BOOL (0 or 1) */
	const char *default_choice;      /* CHOICE, TEXT */
	const char *const *choices;      /* CHOICE, NULL-terminated */
	const char *help;                /* one line, with the unit */
};

#define PB_OPT_INT(s, f, lo, hi, def, text)  { .name = #f, .type = PB_OPTION_INT, .offset = offsetof(s, f), .low = lo, .high = hi, .default_number = def, .help = text }
#define PB_OPT_REAL(s, f, lo, hi, def, text) { .name = #f, .type = PB_OPTION_REAL, .offset = offsetof(s, f), .low = lo, .high = hi, .default_number = def, .help = text }
#define PB_OPT_BOOL(s, f, def, text)         { .name = #f, .type = PB_OPTION_BOOL, .offset = offsetof(s, f), .high = 1, .default_number = def, .help = text }
#define PB_OPT_CHOICE(s, f, list, def, text) { .name = #f, .type = PB_OPTION_CHOICE, .offset = offsetof(s, f), .choices = list, .default_choice = def, .help = text }
#define PB_OPT_TEXT(s, f, def, text)         { .name = #f, .type = PB_OPTION_TEXT, .offset = offsetof(s, f), .default_choice = def, .help = text }
#define PB_OPT_END { .name = NULL }

/* Fills every option with its default. `options` points to the plugin's struct. */
void pb_options_default(const struct pb_option *table, void *options);
/* Sets one option from text; PB_USAGE with the range, the choices, or the nearest name. `who` begins the message. */
enum pb_status pb_options_set(const struct pb_option *table, void *options, const char *who, const char *name, const char *value, struct pb_error *err) PB_MUST_CHECK;
/* "a=1,b=x" (may be empty or NULL). */
enum pb_status pb_options_parse(const struct pb_option *table, void *options, const char *who, const char *text, struct pb_error *err) PB_MUST_CHECK;
/* Effective values: an object in table order; NULL when memory is out. */
json_t *pb_options_json(const struct pb_option *table, const void *options);
/* Values that differ from the defaults as "a=1,b=x", for labels. */
void pb_options_label(const struct pb_option *table, const void *options, struct pb_text *out);
/* Defaults in range, names unique, choices contain the default. */
enum pb_status pb_options_check(const struct pb_option *table, const char *who, struct pb_error *err) PB_MUST_CHECK;
/* Help text, one line an option: "  bits=INT  2..8 (4)  nominal width". only: NULL or one option's name. */
void pb_options_help(const struct pb_option *table, const char *only, struct pb_text *out);

#endif
