/* Pre-processing of records by name: from the forms in which data sets are found to one form a task. */
#ifndef PB_TASKS_PROCESS_H
#define PB_TASKS_PROCESS_H

#include "tasks/data.h"

struct pb_process {
	const char *name;
	const char *help;
	/* Replaces the records. Messages name file and line. */
	enum pb_status (*apply)(struct pb_records *records, struct pb_error *err);
};
extern const struct pb_process pb_processes[];  /* sorted by name */
extern const size_t pb_n_processes;
const struct pb_process *pb_process_find(const char *name); /* NULL: unknown */

/* hellaswag's cleaning of one string (lm-evaluation-harness): strip, " [title]" to ". ", "[...]" deleted, two blanks to one. */
void pb_hellaswag_clean(const char *s, size_t n, struct pb_text *out);

#endif
