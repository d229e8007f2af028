/* JSON by jansson, with our messages and our rule that a number is finite. */
#ifndef PB_CORE_BASE_JSON_H
#define PB_CORE_BASE_JSON_H

#include <stdbool.h>
#include <jansson.h>
#include "core/base/status.h"

/* Duplicate keys are refused. name: for messages "NAME:LINE:COLUMN: why". *out is json_decref'd by the caller. */
enum pb_status pb_json_parse(json_t **out, const char *name, const char *data, size_t size, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_json_read(json_t **out, const char *path, size_t limit, struct pb_error *err) PB_MUST_CHECK;
/* A number, or null when `value` is not finite. NULL when memory is out. */
json_t *pb_json_number(double value);
/* A string; bytes that are no UTF-8 become U+FFFD. NULL when memory is out. */
json_t *pb_json_text(const char *s);
/* Canonical text for hashing: sorted keys, compact, 17 digits. pb_free'd; NULL when memory is out. */
char *pb_json_canonical(const json_t *value);
/* Sorted keys, indented by two, 17 digits, newline at the end; pb_free'd. */
char *pb_json_pretty(const json_t *value);

#endif
