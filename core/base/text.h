/* Text: a growing string, numbers in and out without the locale, UTF-8, nearest names, and the
 * house's way to print sizes, durations and values with errors. */
#ifndef PB_CORE_BASE_TEXT_H
#define PB_CORE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"

/* A growing, NUL-terminated string. A failed allocation sets `failed` and is reported once, by
 * pb_text_check; until then further appends are no-ops. Start with {0}. */
struct pb_text {
	char *data;      /* NULL while empty */
	size_t length;   /* bytes without the NUL */
	size_t capacity;
	bool failed;
};
void pb_text_free(struct pb_text *t);
void pb_text_clear(struct pb_text *t);                       /* keeps the memory */
void pb_text_bytes(struct pb_text *t, const void *p, size_t n);
void pb_text_string(struct pb_text *t, const char *s);
void pb_text_char(struct pb_text *t, char c);
void pb_text_printf(struct pb_text *t, const char *format, ...) PB_PRINTF(2, 3);
void pb_text_vprintf(struct pb_text *t, const char *format, va_list args);
const char *pb_text_c(const struct pb_text *t);              /* never NULL */
enum pb_status pb_text_check(const struct pb_text *t, struct pb_error *err) PB_MUST_CHECK;

/* Whole-string parsers, independent of the locale: no blanks, no rest, no overflow. "nan", "inf" are refused. */
bool pb_parse_double(const char *s, double *out);
bool pb_parse_int64(const char *s, int64_t *out);
bool pb_parse_bytes(const char *s, uint64_t *out);           /* 4096, 4KiB, 1.5GiB, 10MB */
bool pb_parse_seconds(const char *s, double *out);           /* 90, 90s, 10m, 1h30m, 500ms */

/* Shortest text that reads back to the same double is not needed: data uses 17 significant digits. "" never; value must be finite. */
void pb_format_number(char out[32], double value);           /* %.17g, '.' as decimal point */
void pb_format_short(char out[32], double value);            /* for messages and labels: shortest text that reads back to the same double */
void pb_format_size(char out[32], double bytes);             /* "49.8 MiB", three digits, IEC */
/* "39.3 M": at most `digits` digits (1 to 15), zeros at the end dropped; thousands are k, M, B (10^9) and T. */
void pb_format_count(char out[32], double value, int digits);
void pb_format_duration(char out[32], double seconds);       /* "1h02m", "4m07s", "12.3 s", "840 ms" */
/* "0.6241 ± 0.0113": same decimals, error with two significant digits, three when it begins with a 1; a NaN stderr
 * leaves the error out and uses 4 decimals. A value that is not finite is "n/a", also in the two above. */
void pb_format_value(char out[64], double value, double stderr_value);

/* UTF-8. pb_utf8_next decodes one code point at s (< end), advances *s; malformed bytes give U+FFFD and advance one byte. */
uint32_t pb_utf8_next(const char **s, const char *end);
size_t pb_utf8_put(char out[4], uint32_t code_point);        /* bytes written */
size_t pb_utf8_count(const char *s, size_t n);               /* code points */
bool pb_utf8_valid(const char *s, size_t n);
/* Python's str.isspace set (spec: U+0009-000D, 001C-0020, 0085, 00A0, 1680, 2000-200A, 2028, 2029, 202F, 205F, 3000). */
bool pb_is_python_space(uint32_t code_point);

/* Damerau-Levenshtein distance, bytes. */
unsigned pb_edit_distance(const char *a, const char *b);
/* The nearest of names[0..n) to `word`, or NULL when none is near enough to be meant. */
const char *pb_nearest(const char *word, const char *const *names, size_t n);

#endif
