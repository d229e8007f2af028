/* The process in which cells run: `paretobench worker`, started by the runner. */
#ifndef PB_HARNESS_RUN_WORKER_H
#define PB_HARNESS_RUN_WORKER_H

#include "core/base/pool.h"
#include "core/base/status.h"
#include "tasks/task.h"

/* Reads cells from stdin, one a line, and answers on the descriptor that was stdout; whatever a plugin prints goes to
 * stderr. Ends at end of file. */
enum pb_status pb_worker_main(struct pb_pool *pool, const struct pb_data_path *data, struct pb_error *err) PB_MUST_CHECK;

#endif
