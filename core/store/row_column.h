/* The columns of a row as a table: one place from which CSV, JSON and the reading of JSON come. */
#ifndef PB_CORE_STORE_ROW_COLUMN_H
#define PB_CORE_STORE_ROW_COLUMN_H

#include "core/store/row.h"

enum pb_row_column_type {
	PB_COLUMN_SCHEMA,       /* the constant PB_ROW_SCHEMA; no field */
	PB_COLUMN_STATUS,
	PB_COLUMN_TEXT,         /* "" is absent */
	PB_COLUMN_OPTIONS,      /* text that holds a JSON object: an object in JSON, the text in CSV */
	PB_COLUMN_INTEGER,      /* int64_t */
	PB_COLUMN_REAL,         /* double */
	PB_COLUMN_BOOL,
	PB_COLUMN_COUNTERS      /* an object in JSON; columns of their own in CSV */
};

struct pb_row_column {
	const char *name;
	enum pb_row_column_type type;
	size_t offset;          /* in struct pb_row */
	bool is_score;          /* present in rows of status ok only */
};
extern const struct pb_row_column pb_row_column_table[];
extern const size_t pb_n_row_columns;

/* Fields of a row by column; integers and reals of scores are absent when the row is not ok. */
const char *pb_row_text(const struct pb_row *row, const struct pb_row_column *column);
int64_t pb_row_integer(const struct pb_row *row, const struct pb_row_column *column);
double pb_row_real(const struct pb_row *row, const struct pb_row_column *column);
bool pb_row_bool(const struct pb_row *row, const struct pb_row_column *column);

#endif
