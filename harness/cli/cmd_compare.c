/* paretobench compare: what got better or worse from one run to another. */
#include <stdlib.h>
#include <string.h>
#include "harness/cli/cli.h"
#include "harness/cli/records.h"
#include "reports/history.h"
#include "reports/report.h"

struct compare_state {
	enum pb_compare_format format;
	bool all, history;
	const char *fail_on;        /* "regression", "suspected"; NULL */
	const char *folder;
};

static const struct pb_flag flags[] = {
	{ "format", 'f', "FORMAT", "table, md or json (default: table)" },
	{ "all", 'a', NULL, "list what is within noise, too" },
	{ "fail-on", 0, "WHAT", "exit code 3 for a regression (with --history: one that is confirmed), or suspected (also those)" },
	{ "history", 0, NULL, "two runs or more, in their order: regressions seen in two in a row, and means of tasks since the first" },
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
		s->fail_on = value;
		return strcmp(value, "regression") == 0 || strcmp(value, "suspected") == 0 ? PB_OK : pb_fail(err, PB_USAGE, "--fail-on %s: choose one of regression, suspected", value);
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

static int compare_begun(const void *pa, const void *pb)
{
	const struct pb_history_run *a = pa, *b = pb;
	int c = strcmp(pb_history_begun(a), pb_history_begun(b));

	return c ? c : strcmp(a->name, b->name);
}

/* The runs of a folder stand in the order in which they were begun; what was named one by one stands as it was named. */
static void order_folders(struct pb_history_run *runs, const struct pb_record_names *names)
{
	for (size_t i = 0, n; i < names->n; i += n) {
		for (n = 1; names->folders[i] && i + n < names->n && names->folders[i + n] == names->folders[i];)
			n++;
		qsort(runs + i, n, sizeof(*runs), compare_begun);
	}
}

static enum pb_status history_run(struct compare_state *s, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct pb_record_names names = {0};
	struct pb_records *records = NULL;
	struct pb_history_run *runs = NULL;
	struct pb_history history;
	struct pb_text t = {0};
	enum pb_status st = pb_record_names_find(&names, cli->arena, cli->args, cli->n_args, err);

	if (!st && names.n < 2)
		st = pb_fail(err, PB_USAGE, "compare: --history takes two runs or more");
	if (!st)
		st = pb_records_check(names.names, names.n, err);
	if (!st) {
		records = pb_arena_alloc(cli->arena, names.n, sizeof(*records));
		runs = pb_arena_alloc(cli->arena, names.n, sizeof(*runs));
		st = records && runs ? PB_OK : pb_out_of_memory(err, "a history");
	}
	for (size_t i = 0; !st && i < names.n; i++) {
		st = pb_records_open(&records[i], names.names + i, 1, err);
		if (!st)
			runs[i] = (struct pb_history_run){ names.names[i], &records[i].rows, pb_records_items(&records[i]) };
	}
	if (!st) {
		order_folders(runs, &names);
		st = pb_history_make(&history, cli->arena, runs, names.n, err);
	}
	if (!st && s->folder)
		st = write_history(cli, &history, s->folder, err);
	if (!st)
		st = pb_history_print(&history, s->format, &t, err);
	if (!st)
		st = pb_print(&t, err);
	if (!st && s->fail_on) {
		const size_t *n = history.regressions.n_states;

		*code = n[PB_REGRESSION_CONFIRMED] || (strcmp(s->fail_on, "suspected") == 0 && n[PB_REGRESSION_SUSPECTED]) ? 3 : 0;
	}
	pb_text_free(&t);
	for (size_t i = 0; records && i < names.n; i++)
		pb_records_close(&records[i]);
	return st;
}

static enum pb_status compare_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct compare_state *s = state;
	struct pb_records base = {0}, now = {0};
	struct pb_item_stores base_items, now_items;
	struct pb_comparison comparison = {0};
	struct pb_compare_names names = { .all = s->all };
	const struct pb_compared *refused;
	struct pb_text t = {0};
	enum pb_status st;

	if (s->history)
		return history_run(s, cli, code, err);
	if (cli->n_args != 2)
		return pb_fail(err, PB_USAGE, cli->n_args < 2 ? "compare: one run; it takes two" : "compare: more than two runs; with --history they may be");
	if (s->folder)
		return pb_fail(err, PB_USAGE, "--output %s: it is for --history; `report` makes pages of runs", s->folder);
	names.base = cli->args[0];
	names.now = cli->args[1];
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
	if (!st && (refused = pb_compare_all_refused(&comparison)))
		st = pb_fail(err, PB_USAGE, "compare: nothing may be compared: %zu refused, as %s", comparison.n_changes[PB_CHANGE_REFUSED], refused->why);
	if (!st && s->fail_on && pb_compare_is_regression(&comparison))
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
		"label and backend, whatever their seed or version; where the seeds differ and one alone was run, nobody knows how much\n"
		"seeds differ, and all is within noise. Better and worse: q < 0.01 after Benjamini and\n"
		"Hochberg over all tests, and beyond two standard errors of the paired difference; everything else is within noise.\n"
		"What may not be compared (another definition of the task, protocol, data or tokenizer) is listed with what differs;\n"
		"when nothing may be compared, the exit code is 2.\n"
		"BASE and NEW are folders of runs, or files as `rows` takes them, whose values are compared by their errors alone.\n"
		"--history takes any number of runs, oldest first, and compares each with the first; a folder of runs stands for them in\n"
		"the order in which they were begun. A regression is confirmed when two runs in a row have it, of those that measured it;\n"
		"suspected, when the last one alone has it; gone, when the last one has it no more. So for a nightly job:\n"
		"    paretobench run nightly.yaml -o nights/$(date +%F); paretobench compare --history nights --fail-on regression\n"
		"It tells of each task the mean paired change since the first run, too.",
	.flags = flags,
	.least = 1,
	.most = 1000,
	.set = compare_set,
	.state_size = sizeof(struct compare_state),
	.run = compare_run,
};
