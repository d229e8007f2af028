/* Which published numbers a claim rests on: by their ids, or by what stands in their columns. */
#ifndef PB_REPORTS_CLAIMS_SELECT_H
#define PB_REPORTS_CLAIMS_SELECT_H

#include "core/base/yaml.h"
#include "reports/claims/numbers.h"

struct pb_selection {
	const char *name;
	const struct pb_number **rows;
	size_t n;
	const char *missing;    /* what of it is not there, or NULL */
};

/* Ids separated by blanks, with FIRST..LAST for ids that count on (`SQ-Table1-005..016`); or {column: pattern, ...}, where a pattern
 * is a text or a list of them, `*` stands for any characters and a leading `!` for "not"; or a list of such. Rows keep the order
 * of the ids, or of the files. Rows that are not there are no error: `missing` says which. Pointers live in the arena. */
enum pb_status pb_select(struct pb_selection *out, const struct pb_yaml *node, const struct pb_numbers *numbers, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;

/* Whether `*` in the pattern can stand for something so that it is the text. */
bool pb_matches(const char *pattern, const char *text);

#endif
