/* Published numbers: the rows of configs/claims/NAME.csv, one number a row, each with its source. */
#ifndef PB_REPORTS_CLAIMS_NUMBERS_H
#define PB_REPORTS_CLAIMS_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include "core/base/memory.h"
#include "core/base/status.h"

/* The header line of the files, in this order. */
enum pb_number_column {
	PB_NUMBER_ID,           /* unique over all files */
	PB_NUMBER_SOURCE,       /* repository file, paper or page */
	PB_NUMBER_TABLE,        /* table or figure in it */
	PB_NUMBER_KIND,         /* table, prose, secondary (quoted by others), digitised (measured on a figure), prediction (of a fit) */
	PB_NUMBER_MODEL,
	PB_NUMBER_PARAMS,       /* nominal */
	PB_NUMBER_METHOD,       /* FP16 for every row at full precision, or as printed */
	PB_NUMBER_WBITS,        /* nominal bits as printed */
	PB_NUMBER_BITS,         /* `effective_bits`: bits with overhead, where printed */
	PB_NUMBER_GROUP,        /* size of a group, or its rule */
	PB_NUMBER_TASK,
	PB_NUMBER_CTX,          /* context in tokens, where stated */
	PB_NUMBER_SHOTS,
	PB_NUMBER_METRIC,
	PB_NUMBER_VALUE,        /* as printed; empty: the source prints that there is none */
	PB_NUMBER_ERROR,        /* of reading a figure; empty: half a unit of the last printed digit */
	PB_NUMBER_UNIT,
	PB_NUMBER_BETTER,       /* `higher_is_better`: 1, 0, or empty: no direction */
	PB_NUMBER_NOTE,
	PB_NUMBER_COLUMNS
};

struct pb_number {
	const char *text[PB_NUMBER_COLUMNS];    /* as in the file; "" when absent */
	const char *file;                       /* name of it, for messages */
	unsigned line;
	double value, half;                     /* what is printed stands for value ± half; NaN: no number */
	double column[PB_NUMBER_COLUMNS];       /* of columns that are numbers; NaN when absent */
	double bits_half;                       /* of effective_bits */
};

struct pb_numbers {
	struct pb_arena *arena;
	struct pb_number *rows;                 /* in the order of reading */
	size_t n, capacity;
	const struct pb_number **by_id;         /* sorted */
	const char **files;                     /* read, by name */
	size_t n_files;
};
void pb_numbers_init(struct pb_numbers *numbers);
void pb_numbers_free(struct pb_numbers *numbers);
/* Adds a file. Refused with FILE:LINE: another header, a number that is none, an unknown kind, an id that is there. */
enum pb_status pb_numbers_parse(struct pb_numbers *numbers, const char *name, const char *data, size_t size, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_numbers_read(struct pb_numbers *numbers, const char *path, struct pb_error *err) PB_MUST_CHECK;
/* NULL when there is none. */
const struct pb_number *pb_numbers_find(const struct pb_numbers *numbers, const char *id);

extern const char *const pb_number_columns[PB_NUMBER_COLUMNS];
bool pb_number_column_is_numeric(enum pb_number_column column);
/* Half a unit of the last digit of a number as printed: 0.005 for "7.08", 500 for "6.60e5"; 0 for text that is no number. */
double pb_printed_half(const char *text);

#endif
