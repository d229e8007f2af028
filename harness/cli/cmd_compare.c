/* paretobench compare: what got better or worse from one run to another. */
#include <string.h>
#include "harness/cli/cli.h"
#include "harness/cli/records.h"
#include "reports/history.h"
#include "reports/report.h"

struct compare_state {
	enum pb_compare_format format;
	bool all, fail, history;
	const char *folder;
};

static const struct pb_flag flags[] = {
	{ "format", 'f', "FORMAT", "table, md or json (default: table)" },
	{ "all", 'a', NULL, "list what is within noise, too" },
	{ "fail-on", 0, "WHAT", "regression: exit code 3 when anything got worse or has failed" },
	{ "history", 0, NULL, "two runs or more, in their order: what the means of tasks did since the first" },
	{ "output", 'o', "DIR", "with --history: a report with the figure, too" },
	{ NULL, 0, NULL, NULL },
};

static enum pb_status compare_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	static const char *const formats[] = { [PB_COMPARE_TABLE] = "table", [PB_COMPARE_MARKDOWN] = "md", [PB_COMPARE_JSON] = "json" };
	struct compare_state *s = state;

	(void)cli;
	if (strcmp(name, "all") == 0) {
		s->all = true;
		return PB_OK;
	}
	if (strcmp(name, "history") == 0) {
		s->history = true;
		return PB_OK;
	}
	if (strcmp(name, "output") == 0) {
		s->folder = value;
		return PB_OK;
	}
	if (strcmp(name, "fail-on") == 0) {
		s->fail = strcmp(value, "regression") == 0;
		return s->fail ? PB_OK : pb_fail(err, PB_USAGE, "--fail-on %s: it can be: regression", value);
	}
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(value, formats[i]) == 0) {
			s->format = (enum pb_compare_format)i;
			return PB_OK;
		}
	return pb_fail(err, PB_USAGE, "--format %s: choose one of json, md, table", value);
}

/* A report that has the history as its one section. */
static enum pb_status write_history(struct pb_cli *cli, const struct pb_history *history, const char *folder, struct pb_error *err)
{
	struct pb_section section;
	const struct pb_section *sections[] = { &section };
	struct pb_rows none;
	struct pb_report_input input = { .title = "history", .rows = &none, .created_utc = "", .sections = sections, .n_sections = 1 };
	char *page = NULL;
	enum pb_status st;

	pb_rows_init(&none);
	pb_history_section(&section, history, cli->arena);
	st = pb_report_write(&input, folder, &page, err);
	pb_section_free(&section);
	pb_free(page);
	return st;
}

static enum pb_status history_run(struct compare_state *s, struct pb_cli *cli, struct pb_error *err)
{
	struct pb_records *records = pb_arena_alloc(cli->arena, cli->n_args, sizeof(*records));
	struct pb_history_run *runs = pb_arena_alloc(cli->arena, cli->n_args, sizeof(*runs));
	struct pb_history history;
	struct pb_text t = {0};
	enum pb_status st = records && runs ? pb_records_check(cli->args, cli->n_args, err) : pb_out_of_memory(err, "a history");

	for (size_t i = 0; !st && i < cli->n_args; i++) {
		st = pb_records_open(&records[i], cli->args + i, 1, err);
		if (!st)
			runs[i] = (struct pb_history_run){ cli->args[i], &records[i].rows, pb_records_items(&records[i]) };
	}
	if (!st)
		st = pb_history_make(&history, cli->arena, runs, cli->n_args, err);
	if (!st && s->folder)
		st = write_history(cli, &history, s->folder, err);
	if (!st)
		st = pb_history_print(&history, &t, err);
	if (!st)
		st = pb_print(&t, err);
	pb_text_free(&t);
	for (size_t i = 0; records && i < cli->n_args; i++)
		pb_records_close(&records[i]);
	return st;
}

static enum pb_status compare_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct compare_state *s = state;
	struct pb_records base = {0}, now = {0};
	struct pb_item_stores base_items, now_items;
	struct pb_comparison comparison = {0};
	struct pb_compare_names names = { cli->args[0], cli->args[1], s->all };
	struct pb_text t = {0};
	enum pb_status st;

	if (s->history)
		return history_run(s, cli, err);
	if (cli->n_args > 2)
		return pb_fail(err, PB_USAGE, "compare: more than two runs; with --history they may be");
	st = pb_records_open(&base, cli->args, 1, err);
	if (!st)
		st = pb_records_open(&now, cli->args + 1, 1, err);
	if (!st) {
		base_items = pb_records_items(&base);
		now_items = pb_records_items(&now);
		st = pb_compare_make(&comparison, cli->arena, &base.rows, &base_items, &now.rows, &now_items, err);
	}
	if (!st)
		st = pb_compare_print(&comparison, &names, s->format, &t, err);
	if (!st)
		st = pb_print(&t, err);
	if (!st && s->fail && pb_compare_is_regression(&comparison))
		*code = 3;
	pb_text_free(&t);
	pb_records_close(&base);
	pb_records_close(&now);
	return st;
}

const struct pb_command pb_cmd_compare = {
	.name = "compare",
	.arguments = "BASE NEW...",
	.summary = "what got better or worse from one run to another",
	.help = "Compares two runs, setting by setting and task by task, on the same items. Settings are matched by model,\n"
		"label and backend, whatever their seed or version. Better and worse: q < 0.01 after Benjamini and\n"
		"Hochberg over all tests, and beyond two standard errors of the paired difference; everything else is within noise.\n"
		"What may not be compared (another definition of the task, protocol, data or tokenizer) is listed with what differs.\n"
		"BASE and NEW are folders of runs, or files as `rows` takes them, whose values are compared by their errors alone.\n"
		"--history takes any number of runs and tells of each task the mean paired change since the first.",
	.flags = flags,
	.least = 2,
	.most = 1000,
	.set = compare_set,
	.state_size = sizeof(struct compare_state),
	.run = compare_run,
};
