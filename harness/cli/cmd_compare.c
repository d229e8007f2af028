/* paretobench compare: what got better or worse from one run to another. */
#include <string.h>
#include "harness/cli/cli.h"
#include "harness/cli/records.h"
#include "reports/compare.h"

struct compare_state {
	enum pb_compare_format format;
	bool all, fail;
};

static const struct pb_flag flags[] = {
	{ "format", 'f', "FORMAT", "table, md or json (default: table)" },
	{ "all", 'a', NULL, "list what is within noise, too" },
	{ "fail-on", 0, "WHAT", "regression: exit code 3 when anything got worse or has failed" },
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

static enum pb_status compare_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct compare_state *s = state;
	struct pb_records base = {0}, now = {0};
	struct pb_item_stores base_items, now_items;
	struct pb_comparison comparison = {0};
	struct pb_compare_names names = { cli->args[0], cli->args[1], s->all };
	struct pb_text t = {0};
	enum pb_status st = pb_records_open(&base, cli->args, 1, err);

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
	.arguments = "BASE NEW",
	.summary = "what got better or worse from one run to another",
	.help = "Compares two runs, setting by setting and task by task, on the same items. Settings are matched by model,\n"
		"label and backend, whatever their seed or version. Better and worse: q < 0.01 after Benjamini and\n"
		"Hochberg over all tests, and beyond two standard errors of the paired difference; everything else is within noise.\n"
		"What may not be compared (another definition of the task, protocol, data or tokenizer) is listed with what differs.\n"
		"BASE and NEW are folders of runs, or files as `rows` takes them, whose values are compared by their errors alone.",
	.flags = flags,
	.least = 2,
	.most = 2,
	.set = compare_set,
	.state_size = sizeof(struct compare_state),
	.run = compare_run,
};
