/* paretobench rows: what records hold, one row a (cell, task, metric). */
#include <string.h>
#include "core/store/store.h"
#include "harness/cli/cli.h"
#include "harness/cli/records.h"

struct rows_state {
	const char *format, *metric, *status;
};

static const struct pb_flag flags[] = {
	{ "format", 'f', "FORMAT", "csv, json, jsonl, md or table (default: table)" },
	{ "metric", 'm', "METRIC", "only this metric" },
	{ "status", 's', "STATUS", "only rows with this status: ok, failed, skipped, stale" },
	{ NULL, 0, NULL, NULL },
};

static enum pb_status rows_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct rows_state *s = state;
	enum pb_row_status status;

	(void)cli;
	if (strcmp(name, "format") == 0) {
		s->format = value;
		return pb_rows_format_check(value, err);
	}
	if (strcmp(name, "metric") == 0)
		s->metric = value;
	if (strcmp(name, "status") == 0) {
		s->status = value;
		if (!pb_row_status_parse(value, &status))
			return pb_fail(err, PB_USAGE, "--status %s: choose one of ok, failed, skipped, stale", value);
	}
	return PB_OK;
}

/* Keeps the rows that pass, in place. */
static void filter(struct pb_rows *rows, const struct rows_state *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < rows->n; i++) {
		const struct pb_row *r = &rows->rows[i];

		if ((s->metric && strcmp(r->metric, s->metric) != 0) || (s->status && strcmp(pb_row_status_name(r->status), s->status) != 0)) {
			json_decref(r->counters);
			continue;
		}
		rows->rows[kept++] = *r;
	}
	rows->n = kept;
}

static enum pb_status rows_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct rows_state *s = state;
	struct pb_records records = {0};
	struct pb_text t = {0};
	enum pb_status st = pb_records_open(&records, cli->args, cli->n_args, err);

	(void)code;
	if (!st) {
		filter(&records.rows, s);
		st = pb_rows_format(&records.rows, s->format ? s->format : "table", &t, err);
	}
	if (!st)
		st = pb_print(&t, err);
	pb_text_free(&t);
	pb_records_close(&records);
	return st;
}

const struct pb_command pb_cmd_rows = {
	.name = "rows",
	.arguments = "DIR|FILE...",
	.summary = "print the rows of one or more runs",
	.help = "Prints the rows of the records, one a (cell, task, metric), in one fixed order. Absent numbers are empty in\n"
		"CSV and null in JSON. In place of a folder: a result file of lm-evaluation-harness, or a CSV table with the columns of rows;\n"
		"their rows have the kernel `imported`.",
	.flags = flags,
	.least = 1,
	.most = 1000,
	.set = rows_set,
	.state_size = sizeof(struct rows_state),
	.run = rows_run,
};
