/* CSV in and out (libcsv, strict). */
#ifndef PB_CORE_BASE_CSV_H
#define PB_CORE_BASE_CSV_H

#include <stddef.h>
#include "core/base/status.h"
#include "core/base/text.h"

/* A table read whole. A field is NULL when it was empty and unquoted ("absent"), "" when it was quoted and empty. */
struct pb_csv {
	size_t n_rows;
	size_t *n_fields;       /* of each row */
	char ***fields;         /* [row][field] */
	unsigned *lines;        /* line where each row began, from 1 */
	struct pb_arena *arena;
};
/* A UTF-8 byte-order mark is dropped. */
enum pb_status pb_csv_parse(struct pb_csv *out, const char *name, const char *data, size_t size, struct pb_error *err) PB_MUST_CHECK;
void pb_csv_free(struct pb_csv *csv);

/* Writing into a text: fields are separated by commas by the caller's order of calls; a row ends with pb_csv_end. */
void pb_csv_text(struct pb_text *t, const char *s);     /* quoted when it needs to be; NULL: absent */
void pb_csv_number(struct pb_text *t, double value);    /* not finite: absent */
void pb_csv_integer(struct pb_text *t, long long value);
void pb_csv_end(struct pb_text *t);

#endif
