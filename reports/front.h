/* Fronts: for each thing that was measured, the points (size, value) of all cells, and which are not dominated.
 *
 * One front holds only what may be compared: rows of one task, task definition, protocol, metric and backend. A row that is
 * not ok, has no finite value or no positive size is never a point; it is counted as left out. Besides, for each backend,
 * the mean of the accuracies of all its tasks, over cells that have every one of them. */
#ifndef PB_REPORTS_FRONT_H
#define PB_REPORTS_FRONT_H

#include "core/base/memory.h"
#include "core/store/row.h"
#include "reports/pairing.h"

#define PB_Z95 1.959963984540054 /* two-sided 95 % of the normal distribution */

struct pb_bands;

enum pb_separated { PB_SEPARATED_UNKNOWN, PB_SEPARATED_NO, PB_SEPARATED_YES };

/* What a front may be of, besides the value: the less the better. */
enum pb_by {
	PB_BY_SIZE,                     /* model_bytes */
	PB_BY_BITS,                     /* effective_bits, here of all models together */
	PB_BY_PAPER,                    /* paper_bytes: each method by the rule of its paper */
	PB_BY_WEIGHTS,                  /* weight_bytes: of the quantized matrices alone */
	PB_BY_PARAMS,
	PB_BY_SECONDS,                  /* of evaluation, an item (a token, where tokens are counted); of a mean, of all its tasks */
	PB_BY_ENERGY,                   /* joules an item, counted likewise, where the machine counts them */
	PB_BYS
};
const char *pb_by_name(enum pb_by by);      /* "size", "bits", "paper", "weights", "params", "seconds", "energy" */
const char *pb_by_title(enum pb_by by);

struct pb_point {
	const struct pb_row *row;       /* a row of the cell: identity and sizes; for a mean, not its value */
	double bytes, bits;             /* model_bytes (> 0), effective_bits (NaN when absent) */
	double value, stderr_value;     /* fractions as in the row; stderr NaN when there is none */
	double low95, high95;           /* NaN when there is no error */
	int64_t n;                      /* items; summed for a mean; PB_ABSENT */
	double by[PB_BYS];              /* NaN when absent */
	bool on[PB_BYS];                /* not dominated in (by, value) among all points */
	bool on_front;                  /* by size */
	double probability[PB_BYS];     /* of being on the front by that, see by_items; NaN without an error, and where it was not drawn */
	enum pb_separated separated;    /* of a front point from the best smaller one: unpaired, two-sided at 95 % */
	bool on_bits_front;             /* not dominated in (effective_bits, value) among the points of its own model */
	bool has_axes, on_axes;         /* has all three numbers of the front's `axes`, and is on the front of them */
	double probability_axes;        /* NaN as above */
};

struct pb_front {
	const char *task, *task_hash, *protocol, *metric, *backend;
	bool higher_is_better, is_mean;
	bool within_models;             /* values are against each model's own full precision, and there are several: each has a front of its own */
	const char *title;              /* "piqa acc"; with protocol, backend or hash where these are needed to tell fronts apart */
	const char *slug;               /* for file names: [a-z0-9-], unique among the fronts */
	double chance;                  /* NaN when unknown or not the same for all points */
	struct pb_point *points;        /* by size, then better value, then model, label, cell */
	size_t n_points, n_models;
	size_t n_failed, n_stale, n_skipped; /* rows of this task, backend and protocol; running ones count as skipped */
	size_t n_no_number;             /* ok, without a finite value */
	struct pb_point *unsized;       /* ok, without a positive size: no points of the front, but of laws by parameters; in the order of rows */
	size_t n_no_size;               /* of them */
	size_t n_tasks, n_incomplete;   /* of a mean: its tasks; cells that do not have all of them */
	size_t n_counted;               /* of a mean: tasks, those that count as one once */
	const char *tasks;              /* of a mean: "arc_easy, hendrycksTest (57), piqa" */
	bool by_items;                  /* probabilities are of draws of the items that the points share (draws.h); else of values, as independent normals */
	const char *axes;               /* "size, mean-acc, seconds": the three axes of on_axes; NULL: none */
	const struct pb_bands *bands;   /* what draws attain by size; NULL: not drawn */
};

struct pb_fronts {
	struct pb_arena *arena;
	struct pb_front *fronts;        /* means first, then by task, protocol, hash, backend and metric */
	size_t n;
	const char *note;               /* why a mean was refused, or "" */
};

/* By run and cell; rows made by hand, which may have no cell key, by model, label and backend. */
int pb_front_compare_cells(const struct pb_row *a, const struct pb_row *b);
/* The rows must outlive the fronts. */
enum pb_status pb_fronts_make(struct pb_fronts *out, const struct pb_rows *rows, struct pb_error *err) PB_MUST_CHECK;
void pb_fronts_free(struct pb_fronts *fronts);
/* fronts.csv: every point of every front. */
enum pb_status pb_fronts_csv(const struct pb_fronts *fronts, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;

/* Calls fn for the points of each model, in order, as a front of their own, which is not within_models; what it makes of them is the
 * front's. places: of these points in the front. */
enum pb_status pb_front_each_model(struct pb_front *front, enum pb_status (*fn)(void *arg, struct pb_front *own, const size_t *places, struct pb_error *err), void *arg,
	struct pb_error *err) PB_MUST_CHECK;
/* So many tasks of one name before a hyphen, or else before an underscore, count as one in a mean: the subjects of hendrycksTest. */
#define PB_TASK_GROUP 5
/* "hendrycksTest-anatomy": the length of "hendrycksTest"; the whole name when there is neither. */
size_t pb_task_prefix(const char *task);
/* The weights (n) of different tasks in a mean; their sum, how many count, is returned. When all are of one name, each counts. */
size_t pb_task_weights(const char *const *tasks, size_t n, double *weights);
/* The standard error of a row: results from elsewhere may tell the number of items alone, then that of a share. NaN: none. */
double pb_row_error(const struct pb_row *row);
/* Marks the points: on, on_front, on_bits_front, separated; each model for itself where the front is within_models. Points are sorted. */
enum pb_status pb_front_mark(struct pb_front *front, struct pb_error *err) PB_MUST_CHECK;
/* Gives the points probabilities of being on the front by size, of values as independent normals. Draws of items: draws.h. */
enum pb_status pb_front_draw_values(struct pb_front *front, struct pb_error *err) PB_MUST_CHECK;
/* How many draws a probability is of. */
size_t pb_front_replicates(const struct pb_front *front);
/* The point's place on an axis for dominance: NaN for a size that is only claimed. */
double pb_point_by(const struct pb_point *point, enum pb_by by);
/* Whether nobody has counted the point's size: such points are drawn, and are on no front. */
bool pb_point_is_claimed(const struct pb_point *point);
/* Whether the metric is the one that stands for its task: accuracy before perplexity before divergence. */
bool pb_front_stands_for_task(const struct pb_fronts *fronts, const struct pb_front *front);
/* Whether the metric is a fraction that is shown in percent. */
bool pb_front_is_percent(const struct pb_front *front);
/* ", %", ", nats" or "": behind what names the metric. */
const char *pb_front_unit(const struct pb_front *front);
/* Whether a value axis is logarithmic: perplexities, divergences, losses; not with values below 0. */
bool pb_front_is_log(const struct pb_front *front);
/* "62.41 ± 1.13" (percent without its sign) or "12.31 ± 0.21". */
void pb_front_format(const struct pb_front *front, double value, double stderr_value, char out[64]);

#endif
