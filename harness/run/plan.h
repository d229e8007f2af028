/* From a sweep to its cells, in the order in which they run. */
#ifndef PB_HARNESS_RUN_PLAN_H
#define PB_HARNESS_RUN_PLAN_H

#include "harness/run/cell.h"

struct pb_planned_cell {
	struct pb_cell cell;
	enum pb_status problem;         /* it cannot run; why below */
	const char *why;
};

struct pb_plan {
	struct pb_workspace *workspace; /* owns labels */
	struct pb_arena *arena;
	struct pb_planned_cell *cells;
	size_t n;
};

struct pb_filter {                  /* --only KEY=VALUE */
	const char *key, *value;
};

/* Cells of the sweep that pass the filters (model, quantizer, label, backend, seed), without repeats. A cell that cannot run
 * (model, data or options) stays in the plan with its problem. The sweep outlives the plan. */
enum pb_status pb_plan_make(struct pb_plan *out, const struct pb_sweep *sweep, const struct pb_filter *filters, size_t n_filters,
	const struct pb_data_path *data, struct pb_error *err) PB_MUST_CHECK;
void pb_plan_free(struct pb_plan *plan);

#endif
