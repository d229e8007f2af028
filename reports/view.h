/* What a report says, before it is put into a page, a PDF or Markdown: the same content for all three. */
#ifndef PB_REPORTS_VIEW_H
#define PB_REPORTS_VIEW_H

#include "reports/bit_curves.h"
#include "reports/figure.h"
#include "reports/front.h"
#include "reports/report.h"
#include "reports/scaling.h"

/* A cell over all its rows. */
struct pb_view_cell {
	const struct pb_row *row;           /* its first row: identity */
	enum pb_row_status status;          /* ok only when all its rows are */
	const struct pb_row **tasks;        /* a row of each of its tasks: time and counters are those of a task */
	size_t n_tasks;
	const struct pb_point **points;     /* one a column of the view; NULL: no point */
};

/* A counter over all tasks of all cells. */
struct pb_view_counter {
	const char *name, *unit;
	bool has_value;                     /* in any task; if not, `reason` says why */
	const char *reason;
};

/* A line of time and counters: a task of a cell, or sums over all cells and tasks of a quantizer's setting. */
struct pb_view_time {
	const struct pb_row *row;           /* of a setting: any of its rows */
	size_t n_tasks;
	double quantize_seconds, eval_seconds;  /* NaN: none */
	bool has_quantizing;
	int64_t peak_rss_bytes;             /* the highest; PB_ABSENT */
	double *counters;                   /* by the view's counters; NaN: none */
};

/* What has no number: tasks of a setting that share the reason. */
struct pb_view_failure {
	const struct pb_row *row;           /* the first of them */
	const char *tasks;                  /* "piqa, boolq"; "" for a whole cell */
	const char *reason;
};

struct pb_view {
	const struct pb_report_input *input;
	struct pb_arena *arena;
	struct pb_fronts fronts;
	const struct pb_front *main;        /* NULL when nothing can be drawn */
	const struct pb_front **columns;    /* main first, then one front for each task, protocol and backend */
	size_t n_columns;
	struct pb_view_cell *cells;         /* by model_bytes (unknown last), model, label, run, cell */
	size_t n_cells, n_in_table;         /* the cells that have a point in any column come first */
	size_t n_status[PB_ROW_STATUSES];   /* cells */
	struct pb_view_counter *counters;   /* by name */
	size_t n_counters;
	struct pb_view_time *times;
	size_t n_times;
	bool times_by_setting;
	struct pb_view_failure *failures;
	size_t n_failures;
	bool has_bits;                      /* the main front has points with effective bits */
	bool many_backends, many_seeds;
	bool has_family[16];                /* that have a point in the main front */
	bool has_rows;                      /* false when the report has other parts alone: then nothing is said of rows */
	const struct pb_section **sections; /* further parts, in their order: trainings, how sure the main front is, fronts by other axes, families, scaling laws, bit-level curves, then those of the input */
	size_t n_sections;
	struct pb_section *training, *families, *scaling_laws, *bits; /* NULL: none */
	struct pb_scaling scaling;
	struct pb_bit_curve_list bit_curves;
	const char *summary;                /* one paragraph */
	const char *caption;                /* how to read the main figure and its intervals */
	const char *font;                   /* font and library of the figures */
};

enum pb_status pb_view_make(struct pb_view *out, const struct pb_report_input *input, struct pb_measure *measure, struct pb_error *err) PB_MUST_CHECK;
void pb_view_free(struct pb_view *view);

/* The note under a figure of this front: models, items, convention, what is left out; with_date: date and version too, for a figure
 * that may stand alone. In the arena; NULL when memory is out. */
const char *pb_view_note(const struct pb_view *view, const struct pb_front *front, bool with_date);
/* Fills the view's times; for pb_view_make. */
enum pb_status pb_view_times(struct pb_view *view, struct pb_error *err) PB_MUST_CHECK;
/* The same with its failures. */
enum pb_status pb_view_failures(struct pb_view *view, struct pb_error *err) PB_MUST_CHECK;
/* The heading of a column: title and unit. */
void pb_view_heading(const struct pb_front *front, struct pb_text *out);
/* Identities of models and tasks for the provenance: pairs of texts, in the arena. */
struct pb_view_pair {
	const char *name, *value;
};
enum pb_status pb_view_hashes(const struct pb_view *view, struct pb_view_pair **pairs, size_t *n, struct pb_error *err) PB_MUST_CHECK;

#endif
