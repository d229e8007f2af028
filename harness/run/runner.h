/* A sweep in worker processes: one record, one writer, any number of workers. */
#ifndef PB_HARNESS_RUN_RUNNER_H
#define PB_HARNESS_RUN_RUNNER_H

#include "harness/run/plan.h"
#include "harness/run/progress.h"

struct pb_run_options {
	const char *folder;                 /* of the record */
	const char *command;                /* as typed, for the record */
	unsigned jobs, threads;             /* workers, threads of each */
	const char *const *plugins;         /* shared objects, for the workers too */
	size_t n_plugins;
	const struct pb_data_path *data;
	enum pb_when progress, colour;
	bool quiet;
	bool partial;                       /* the plan is a part of the sweep: other cells of the record stay as they are */
};

struct pb_run_summary {
	size_t ok, failed, skipped, kept;   /* cells; kept: done in an earlier run */
	double seconds;
	bool interrupted;
};

/* Runs the cells that the record does not have yet. PB_OK also when cells failed: see the summary. */
enum pb_status pb_run_plan(const struct pb_sweep *sweep, const struct pb_plan *plan, const struct pb_run_options *options,
	struct pb_run_summary *summary, struct pb_error *err) PB_MUST_CHECK;
/* Says once each why several cells of the plan cannot run. */
void pb_run_tell_problems(const struct pb_plan *plan);

#endif
