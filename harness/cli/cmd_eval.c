/* paretobench eval: one cell, in this process, without a record. */
#include <string.h>
#include "core/base/log.h"
#include "core/counters/counters.h"
#include "harness/cli/cli.h"
#include "harness/cli/records.h"

#define MAX_TASKS 64

struct eval_state {
	const char *quantizer, *backend, *tokenizer, *protocol, *format;
	struct pb_sweep_task tasks[MAX_TASKS];
	size_t n_tasks;
	uint64_t limit, seed;
	struct pb_cli_method_data method_data;
};

static const struct pb_flag flags[] = {
	{ "quantizer", 'q', "NAME[:opt=value,...]", "quantize first (default: identity)" },
	{ "backend", 'b', "NAME[:opt=value,...]", "default: blas" },
	{ "task", 't', "TASK[,TASK]", "what to score; may be repeated" },
	{ "limit", 'l', "N", "the first N items of each task" },
	{ "protocol", 0, "ID", "instead of the task's own; see 'paretobench list protocols'" },
	{ "tokenizer", 0, "FILE", "default: beside the model" },
	{ "seed", 0, "N", "for methods that draw random numbers (default: 0)" },
	PB_METHOD_DATA_FLAGS,
	{ "format", 'f', "FORMAT", "csv, json, jsonl, md or table (default: table)" },
	{ NULL, 0, NULL, NULL },
};

static enum pb_status add_tasks(struct eval_state *s, struct pb_cli *cli, const char *list, struct pb_error *err)
{
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, ",");

		if (s->n_tasks == MAX_TASKS)
			return pb_fail(err, PB_USAGE, "--task: more than %d tasks", MAX_TASKS);
		s->tasks[s->n_tasks].name = pb_arena_strndup(cli->arena, p, n);
		if (!s->tasks[s->n_tasks].name)
			return pb_out_of_memory(err, "the command line");
		for (size_t i = 0; i < s->n_tasks; i++)
			if (strcmp(s->tasks[i].name, s->tasks[s->n_tasks].name) == 0)
				return pb_fail(err, PB_USAGE, "--task: '%s' is there twice", s->tasks[i].name);
		s->n_tasks++;
		p += n + (p[n] == ',');
	}
	return PB_OK;
}

static enum pb_status eval_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct eval_state *s = state;

	if (pb_cli_method_data_set(&s->method_data, name, value))
		return PB_OK;
	if (strcmp(name, "quantizer") == 0)
		s->quantizer = value;
	else if (strcmp(name, "backend") == 0)
		s->backend = value;
	else if (strcmp(name, "tokenizer") == 0)
		s->tokenizer = value;
	else if (strcmp(name, "protocol") == 0)
		s->protocol = value;
	else if (strcmp(name, "task") == 0)
		return add_tasks(s, cli, value, err);
	else if (strcmp(name, "limit") == 0)
		return pb_cli_count(name, value, 1, INT64_MAX, &s->limit, err);
	else if (strcmp(name, "seed") == 0)
		return pb_cli_count(name, value, 0, INT64_MAX, &s->seed, err);
	else if (strcmp(name, "format") == 0) {
		s->format = value;
		return pb_rows_format_check(value, err);
	}
	return PB_OK;
}

/* Rows that are not ok are told on stderr too, since tables may go elsewhere. */
static void tell_failures(const struct pb_rows *rows, int *code)
{
	for (size_t i = 0; i < rows->n; i++)
		if (rows->rows[i].status != PB_ROW_OK) {
			pb_log(PB_LOG_ERROR, "%s: %s: %s", rows->rows[i].task, pb_row_status_name(rows->rows[i].status), rows->rows[i].reason);
			if (rows->rows[i].status == PB_ROW_FAILED)
				*code = 1;
		}
}

static enum pb_status eval_cell(struct eval_state *s, struct pb_cli *cli, struct pb_workspace *w, const struct pb_sweep_model *model, int *code, struct pb_error *err)
{
	struct pb_cell cell = { .run = "eval", .model = model, .quantizer = s->quantizer ? s->quantizer : "identity", .backend = s->backend ? s->backend : "blas",
		.tasks = s->tasks, .n_tasks = s->n_tasks, .seed = (int64_t)s->seed };
	struct pb_cell_result result;
	struct pb_progress progress;
	struct pb_text t = {0};
	enum pb_status st = pb_cli_method_data_find(cli, &s->method_data, err);

	cell.calibration = s->method_data.calibration_spec;
	cell.training = s->method_data.training_spec;
	cell.trained = s->method_data.trained;
	if (!st)
		st = pb_workspace_plan(w, &cell, err);
	if (st)
		return st;
	pb_cli_stages_begin(cli, &progress);
	st = pb_workspace_run(w, &cell, pb_cli_stage, &progress, &result, err);
	pb_progress_clear(&progress);
	if (st)
		return st;
	pb_rows_sort(&result.rows);
	st = pb_rows_format(&result.rows, s->format ? s->format : "table", &t, err);
	if (!st)
		st = pb_print(&t, err);
	if (!st)
		tell_failures(&result.rows, code);
	pb_text_free(&t);
	pb_cell_result_free(&result);
	return st;
}

static enum pb_status eval_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct eval_state *s = state;
	struct pb_opened opened = {0};
	enum pb_status st;

	if (s->n_tasks == 0)
		return pb_fail(err, PB_USAGE, "eval: no task\nname one with -t; 'paretobench list tasks' shows them");
	for (size_t i = 0; i < s->n_tasks; i++) {
		s->tasks[i].limit = s->limit;
		s->tasks[i].protocol = s->protocol;
	}
	/* Before there are threads, as PAPI wants it. */
	st = pb_counters_probe(err);
	if (!st)
		st = pb_cli_workspace(cli, s->tokenizer, &opened, err);
	if (!st)
		st = eval_cell(s, cli, opened.workspace, &opened.spec, code, err);
	pb_cli_close(&opened);
	return st;
}

const struct pb_command pb_cmd_eval = {
	.name = "eval",
	.arguments = "MODEL",
	.summary = "score one model, quantized or not, on tasks",
	.help = "Scores MODEL (a llama2.c checkpoint, a Hugging Face folder of a Llama-type model, or a folder written by\n"
		"`quantize`) on tasks and prints its rows. Data sets are looked for in the folders of --data and PB_DATA.",
	.flags = flags,
	.least = 1,
	.most = 1,
	.set = eval_set,
	.state_size = sizeof(struct eval_state),
	.run = eval_run,
};
