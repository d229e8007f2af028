/* paretobench worker: started by `run`, not by hand. */
#include "core/counters/counters.h"
#include "harness/cli/cli.h"
#include "harness/run/worker.h"

static enum pb_status worker_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct pb_pool *pool = NULL;
	enum pb_status st;

	(void)state;
	(void)code;
	/* Before there are threads, as PAPI wants it. */
	st = pb_counters_probe(err);
	if (!st)
		st = pb_cli_pool(cli, &pool, err);
	if (st)
		return st;
	st = pb_worker_main(pool, &cli->data, err);
	pb_pool_free(pool);
	return st;
}

const struct pb_command pb_cmd_worker = {
	.name = "worker",
	.arguments = "",
	.summary = "runs cells that come on stdin",
	.help = "Reads cells as JSON, one a line, and answers in the same way. Started by `run`.",
	.hidden = true,
	.run = worker_run,
};
