/* paretobench report: pages, figures and tables from records and from logs of trainings. */
#include <stdio.h>
#include <string.h>
#include "core/base/json.h"
#include "core/base/file.h"
#include "core/store/import.h"
#include "harness/cli/claims.h"
#include "harness/cli/cli.h"
#include "reports/claims_section.h"
#include "reports/orders.h"
#include "reports/parameters.h"
#include "reports/report.h"
#include "reports/row_sections.h"
#include "reports/study.h"

struct report_state {
	const char *folder;
	bool claims;
	const char *x, *y, *z;
};

static const struct pb_flag flags[] = {
	{ "output", 'o', "DIR", "where to (default: the first folder)" },
	{ "y", 0, "VALUE", "what fronts are of: mean, a task, a metric, TASK:METRIC or a front's name in fronts.csv" },
	{ "x", 0, "AXIS", "the front by size, bits, paper, weights, params, seconds, energy, or another value" },
	{ "z", 0, "AXIS", "and by a third axis at once, of the same names (default: size and seconds at once)" },
	{ "claims", 0, NULL, "also claims of papers, on published numbers and on these rows" },
	{ NULL, 0, NULL, NULL },
};

static enum pb_status report_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct report_state *s = state;

	(void)cli;
	(void)err;
	if (strcmp(name, "x") == 0)
		s->x = value;
	else if (strcmp(name, "y") == 0)
		s->y = value;
	else if (strcmp(name, "z") == 0)
		s->z = value;
	else if (strcmp(name, "claims") == 0)
		s->claims = true;
	else
		s->folder = value;
	return PB_OK;
}

/* A member of an object as "key value"; of a library the version that ran, and the one it was built with when that is another. */
static void put_member(struct pb_text *t, const char *key, const json_t *value)
{
	const char *built = json_string_value(json_object_get(value, "built")), *running = json_string_value(json_object_get(value, "running"));
	char *text = NULL;

	pb_text_printf(t, "%s%s ", t->length ? ", " : "", key);
	if (running)
		pb_text_string(t, running);
	if (built && !(running && strstr(running, built)))
		pb_text_printf(t, "%s(built with %s)", running ? " " : "", built);
	if (built || running)
		return;
	if (json_is_string(value))
		pb_text_string(t, json_string_value(value));
	else if ((text = pb_json_canonical(value)))
		pb_text_string(t, text);
	pb_free(text);
}

/* A JSON object as text for people; anything else as it is. In the arena; NULL when memory is out. */
static const char *readable(struct pb_arena *arena, const char *value)
{
	struct pb_text t = {0};
	json_t *object = NULL, *member;
	const char *key, *copy;

	if (value[0] != '{' || pb_json_parse(&object, "fact", value, strlen(value), NULL))
		return value;
	json_object_foreach(object, key, member)
		put_member(&t, key, member);
	json_decref(object);
	copy = t.failed ? NULL : pb_arena_strdup(arena, pb_text_c(&t));
	pb_text_free(&t);
	return copy;
}

/* The facts of one record, in the order of the page. */
static enum pb_status read_facts(struct pb_cli *cli, struct pb_store *store, struct pb_fact *facts, size_t *n, struct pb_error *err)
{
	static const char *const keys[] = { "name", "created_utc", "version", "command", "machine", "libraries", "sweep" };
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *value = "";

		st = pb_store_get(store, cli->arena, keys[i], &value, err);
		if (!st && !(value = readable(cli->arena, value)))
			st = pb_out_of_memory(err, "the report");
		if (!st && value[0])
			facts[(*n)++] = (struct pb_fact){ keys[i], value };
	}
	return st;
}

static const char *fact(const struct pb_fact *facts, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(facts[i].name, name) == 0)
			return facts[i].value;
	return "";
}

/* Which of the folders have a record, in their order, and the trainings of those that have one, sorted. */
static enum pb_status sort_out(struct pb_cli *cli, const char **records, size_t *n_records, struct pb_trainings *trainings, struct pb_error *err)
{
	enum pb_status st = pb_records_check(cli->args, cli->n_args, err);

	for (size_t i = 0; !st && i < cli->n_args; i++) {
		bool is_record = pb_import_is_file(cli->args[i]), is_training = false;

		if (is_record) {
			records[(*n_records)++] = cli->args[i];
			continue;
		}
		st = pb_store_is_there(cli->args[i], &is_record, err);
		if (!st)
			st = pb_training_is_there(cli->args[i], &is_training, err);
		if (!st && !is_record && !is_training)
			st = pb_fail(err, PB_MISSING, "%s: no results.db here, and no log.csv and train.json; is it the folder of a run or of a training?",
				cli->args[i]);
		if (!st && is_training)
			st = pb_trainings_read(trainings, cli->args[i], err);
		if (!st && is_record)
			records[(*n_records)++] = cli->args[i];
	}
	return st ? st : pb_trainings_sort(trainings, err);
}

/* The name of the record, or of what was trained. */
static const char *title(const struct pb_fact *facts, size_t n_facts, const struct pb_trainings *trainings)
{
	if (n_facts || !trainings->n)
		return fact(facts, n_facts, "name")[0] || !n_facts ? fact(facts, n_facts, "name") : "imported results";
	return trainings->n == 1 ? trainings->runs[0].name : "training";
}

/* Parts that only some runs have. */
struct parts {
	struct pb_section orders, study, movement, knowledge, parameters, of_claims;
	struct pb_claims claims;
	const struct pb_section *list[6];   /* those there are */
	size_t n;
};

/* What the sweeps of the runs expect, tested. Nothing when they expect nothing. */
static enum pb_status add_orders(struct pb_cli *cli, const struct pb_records *records, struct parts *parts, struct pb_error *err)
{
	const struct pb_item_stores items = pb_records_items(records);
	struct pb_expected *expected = NULL;
	struct pb_orders orders;
	size_t n = 0;
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < records->n; i++) {
		const char *name = "", *text = "";

		st = pb_store_get(records->stores[i], cli->arena, "name", &name, err);
		if (!st)
			st = pb_store_get(records->stores[i], cli->arena, "expect", &text, err);
		if (!st)
			st = pb_expected_parse(&expected, &n, cli->arena, name, text, err);
	}
	if (st || !n)
		return st;
	st = pb_orders_make(&orders, cli->arena, expected, n, &records->rows, &items, err);
	if (!st) {
		pb_orders_section(&parts->orders, &orders, cli->arena);
		parts->list[parts->n++] = &parts->orders;
	}
	return st;
}

/* The study of trained methods, when the rows hold one. */
static enum pb_status add_study(struct pb_cli *cli, const struct pb_records *records, struct parts *parts, struct pb_error *err)
{
	struct pb_study *study = pb_arena_alloc(cli->arena, 1, sizeof(*study));
	enum pb_status st = study ? pb_study_read(study, &records->rows, cli->arena, err) : pb_out_of_memory(err, "the report");

	if (!st && pb_study_is_there(study)) {
		pb_study_section(&parts->study, study);
		parts->list[parts->n++] = &parts->study;
	}
	return st;
}

/* Results from elsewhere that have no sizes. */
static enum pb_status add_parameters(struct pb_cli *cli, const struct pb_records *records, struct parts *parts, struct pb_error *err)
{
	bool is_there = false;
	enum pb_status st = pb_parameters_section(&parts->parameters, &records->rows, cli->arena, &is_there, err);

	if (!st && is_there)
		parts->list[parts->n++] = &parts->parameters;
	return st;
}

/* The corner of volumes that the sweeps of the runs name: one, or none when they differ. */
static enum pb_status read_reference(struct pb_cli *cli, const struct pb_records *records, struct pb_report_input *input, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < records->n; i++) {
		const char *text = "";

		st = pb_store_get(records->stores[i], cli->arena, "reference", &text, err);
		if (!st && input->reference && strcmp(text, input->reference) != 0)
			input->reference_note = ", since the sweeps of these runs name different ones";
		else if (!st)
			input->reference = text;
	}
	if (input->reference_note)
		input->reference = "";
	return st;
}

/* What papers claim, and what the rows say of it. */
static enum pb_status add_claims(struct pb_cli *cli, const struct pb_records *records, struct parts *parts, struct pb_error *err)
{
	struct pb_claims *claims = &parts->claims;
	struct pb_claim **all = NULL;
	struct pb_findings findings;
	enum pb_status st = pb_cli_claims(NULL, 0, claims, err);

	if (!st && !(all = pb_arena_alloc(cli->arena, claims->n + 1, sizeof(struct pb_claim *))))
		st = pb_out_of_memory(err, "the report");
	for (size_t i = 0; !st && i < claims->n; i++)
		all[i] = &claims->claims[i];
	if (!st)
		st = pb_cli_claims_judge(claims, all, claims->n, records, err);
	if (!st)
		st = pb_detect(&findings, &claims->numbers, &claims->shapes, cli->arena, err);
	if (!st) {
		pb_claims_section(&parts->of_claims, cli->arena, &(struct pb_verdicts){ all, claims->n }, &findings);
		parts->list[parts->n++] = &parts->of_claims;
	}
	return st;
}

static enum pb_status report_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct report_state *s = state;
	struct pb_fact *facts = pb_arena_alloc(cli->arena, 8 * cli->n_args, sizeof(*facts));
	const char **folders = pb_arena_alloc(cli->arena, cli->n_args, sizeof(*folders));
	struct pb_report_input input = {0};
	struct pb_item_stores items;
	struct pb_trainings trainings = {0};
	struct pb_records records = {0};
	struct parts parts = {0};
	size_t n_facts = 0, n_folders = 0;
	char *page = NULL;
	struct pb_text line = {0};
	enum pb_status st = facts && folders ? PB_OK : pb_out_of_memory(err, "the report");

	(void)code;
	if (!st && !s->folder && pb_import_is_file(cli->args[0]))
		st = pb_fail(err, PB_USAGE, "report: results from elsewhere have no folder of their own\nname one for the pages with -o");
	if (!st)
		st = sort_out(cli, folders, &n_folders, &trainings, err);
	if (!st)
		st = pb_records_open(&records, folders, n_folders, err);
	for (size_t i = 0; !st && i < records.n; i++)
		st = read_facts(cli, records.stores[i], facts, &n_facts, err);
	for (size_t i = 0; !st && i < n_folders; i++)
		if (pb_import_is_file(folders[i]))
			facts[n_facts++] = (struct pb_fact){ "imported", pb_path_name(folders[i]) };
	items = pb_records_items(&records);
	if (!st) {
		input = (struct pb_report_input){ .title = title(facts, n_facts, &trainings), .rows = &records.rows, .facts = facts, .n_facts = n_facts,
			.created_utc = fact(facts, n_facts, "created_utc"), .trainings = &trainings, .items = &items, .x = s->x, .y = s->y, .z = s->z };
		st = add_orders(cli, &records, &parts, err);
	}
	if (!st)
		st = read_reference(cli, &records, &input, err);
	if (!st)
		st = add_study(cli, &records, &parts, err);
	if (!st && pb_movement_section(&parts.movement, &records.rows, cli->arena))
		parts.list[parts.n++] = &parts.movement;
	if (!st && pb_knowledge_section(&parts.knowledge, &records.rows, cli->arena))
		parts.list[parts.n++] = &parts.knowledge;
	if (!st)
		st = add_parameters(cli, &records, &parts, err);
	if (!st && s->claims)
		st = add_claims(cli, &records, &parts, err);
	input.sections = parts.list;
	input.n_sections = parts.n;
	if (!st)
		st = pb_report_write(&input, s->folder ? s->folder : cli->args[0], &page, err);
	if (!st) {
		pb_text_printf(&line, "%s\n", page);
		st = pb_print(&line, err);
	}
	pb_text_free(&line);
	pb_free(page);
	pb_trainings_free(&trainings);
	pb_section_free(&parts.orders);
	pb_section_free(&parts.study);
	pb_section_free(&parts.parameters);
	pb_section_free(&parts.of_claims);
	pb_claims_free(&parts.claims);
	pb_records_close(&records);
	return st;
}

const struct pb_command pb_cmd_report = {
	.name = "report",
	.arguments = "DIR|FILE...",
	.summary = "write report.html, report.pdf, report.md, tables and figures",
	.help = "Makes pages from the rows of one or more runs: size-quality fronts with 95 % intervals, the tables behind\n"
		"them, what failed and why, and where it all comes from. A folder that holds the log of a training (log.csv\n"
		"and train.json) is drawn as loss against tokens. Rows of paretoq at three widths or more are a study, with figures and\n"
		"a verdict on what its paper found. What was run on four sizes of a model family has scaling laws (fits.csv,\n"
		"multipliers.csv, optimum.csv), what was run at several widths bit-level curves (bit-curves.csv). Prints the path of\n"
		"report.html. The same rows and logs give the same bytes. In place of a folder: a result file of lm-evaluation-harness, or a\n"
		"CSV table with the columns of rows.",
	.flags = flags,
	.least = 1,
	.most = 1000,
	.set = report_set,
	.state_size = sizeof(struct report_state),
	.run = report_run,
};
