/* Several runs of the same settings, one after the other: what the means of tasks did since the first, and which regressions are seen again. */
#ifndef PB_REPORTS_HISTORY_H
#define PB_REPORTS_HISTORY_H

#include "reports/regressions.h"
#include "reports/section.h"

struct pb_history_run {
	const char *name;               /* as it was named */
	const struct pb_rows *rows;
	struct pb_item_stores items;
};
/* A task and metric over the cells that could be compared with the first run in every later one. */
struct pb_history_line {
	const char *task, *metric, *scale;
	size_t n_cells;
	double first;                   /* mean of the cells' values in the first run */
	double *change, *error;         /* (n_runs) mean paired difference from the first run, 0 there. The cells share their items: the error
	                                 * is the mean of theirs, which holds even if they move together */
	size_t *worse, *better;         /* (n_runs) cells that changed, by the rule of a comparison with the first run */
};
struct pb_history {
	const struct pb_history_run *runs;
	size_t n_runs;
	struct pb_history_line *lines;  /* by task and metric */
	size_t n_lines;
	const struct pb_comparison *comparisons; /* (n_runs), each run's with the first; that of the first is empty */
	struct pb_regressions regressions;
	size_t n_left;                  /* cells and tasks of the first run that some later one lacks, or has otherwise */
};
/* Two runs or more, in their order. In the arena, beside the rows. */
enum pb_status pb_history_make(struct pb_history *out, struct pb_arena *arena, const struct pb_history_run *runs, size_t n, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_history_print(const struct pb_history *history, enum pb_compare_format format, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* "History": regressions, the table, and a chart of accuracies and one of losses. */
void pb_history_section(struct pb_section *out, const struct pb_history *history, struct pb_arena *arena);

/* As both of them say it. */
const char *pb_history_begun(const struct pb_history_run *run);                 /* start of its first row, or "" */
bool pb_history_is_percent(const struct pb_history_line *line);
double pb_history_unit(const struct pb_history_line *line);                     /* 100 for percent, else 1 */
void pb_history_put_change(struct pb_text *out, const struct pb_history_line *line, size_t run);        /* "+0.12 ± 0.30", 95 % */
/* "mean accuracy over 5 tasks", "piqa acc": what has a regression; its last difference, "-3.1 pp (-4.0 to -2.2), q 0.001", or why it failed; and
 * the runs that saw it, from 1, "2, 3". Plain text. */
void pb_regression_put_what(struct pb_text *out, const struct pb_regression *regression);
void pb_regression_put_size(struct pb_text *out, const struct pb_regression *regression);
void pb_regression_put_runs(struct pb_text *out, const struct pb_regressions *regressions, const struct pb_regression *regression);

#endif
