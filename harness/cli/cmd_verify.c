/* paretobench verify: claims of papers, tested on the numbers that they print. */
#include <string.h>
#include "core/base/file.h"
#include "core/base/version.h"
#include "harness/cli/claims.h"
#include "harness/cli/cli.h"
#include "reports/claims/print.h"
#include "reports/claims_section.h"
#include "reports/measured.h"
#include "reports/report.h"

struct verify_state {
	const char *format, *html;
	bool detect;
	const char **runs;
	size_t n_runs;
};

static const struct pb_flag flags[] = {
	{ "format", 'f', "FORMAT", "table, json or md (default: table)" },
	{ "run", 'r', "DIR", "also what the rows of a run say of the claims; may be repeated" },
	{ "html", 0, "DIR", "also a page of all of it: DIR/report.html, report.pdf, report.md and claims.json" },
	{ "detect", 0, NULL, "instead: what looks wrong in the published numbers, whatever is claimed of them" },
	{ NULL, 0, NULL, NULL },
};

static enum pb_status verify_set(void *state, struct pb_cli *cli, const char *name, const char *value, struct pb_error *err)
{
	struct verify_state *s = state;

	if (strcmp(name, "detect") == 0) {
		s->detect = true;
		return PB_OK;
	}
	if (strcmp(name, "run") == 0) {
		const char **runs = pb_arena_alloc(cli->arena, s->n_runs + 1, sizeof(*runs));

		if (!runs)
			return pb_out_of_memory(err, "the command line");
		for (size_t i = 0; i < s->n_runs; i++)
			runs[i] = s->runs[i];
		runs[s->n_runs++] = value;
		s->runs = runs;
		return PB_OK;
	}
	if (strcmp(name, "html") == 0) {
		s->html = value;
		return PB_OK;
	}
	s->format = value;
	if (strcmp(value, "table") != 0 && strcmp(value, "json") != 0 && strcmp(value, "md") != 0)
		return pb_fail(err, PB_USAGE, "--format %s: choose one of table, json, md", value);
	return PB_OK;
}

static bool is_numbers(const char *argument)
{
	return pb_path_has_suffix(argument, ".csv");
}

enum pb_status pb_cli_claims(const char *const *args, size_t n, struct pb_claims *claims, struct pb_error *err)
{
	const char *home = pb_home();
	char *folder = home ? pb_path_join(home, "configs/claims") : NULL;
	const char **numbers = NULL;
	size_t n_numbers = 0;
	enum pb_status st = pb_claims_init(claims, err);

	if (!st && !(numbers = pb_arena_alloc(claims->arena, n + 1, sizeof(*numbers))))
		st = pb_out_of_memory(err, "the claims");
	for (size_t i = 0; !st && i < n; i++)
		if (is_numbers(args[i]))
			numbers[n_numbers++] = args[i];
	if (!st && !folder)
		st = pb_fail(err, PB_MISSING, "the program's own files are not found\nset PB_HOME to the folder that has configs/claims");
	if (!st)
		st = pb_claims_read(claims, folder, numbers, n_numbers, err);
	for (size_t i = 0; !st && i < n; i++)
		if (pb_path_has_suffix(args[i], ".yaml"))
			st = pb_claims_add(claims, args[i], err);
	pb_free(folder);
	return st;
}

static enum pb_status not_found(const struct pb_claims *claims, struct pb_arena *arena, const char *name, struct pb_error *err)
{
	const char **ids = pb_arena_alloc(arena, claims->n + 1, sizeof(*ids)), *near;

	if (!ids)
		return pb_out_of_memory(err, "the claims");
	for (size_t i = 0; i < claims->n; i++)
		ids[i] = claims->claims[i].id;
	near = pb_nearest(name, ids, claims->n);
	return near ? pb_fail(err, PB_USAGE, "verify: no claim is called '%s'; did you mean %s?", name, near)
		: pb_fail(err, PB_USAGE, "verify: no claim is called '%s'\nsee 'paretobench list claims'; A-PQ* is all that begin so; a file of claims ends in .yaml", name);
}

/* Whether claims are named: files of numbers name none. */
static bool names_claims(const struct pb_cli *cli)
{
	for (size_t a = 0; a < cli->n_args; a++)
		if (!is_numbers(cli->args[a]))
			return true;
	return false;
}

/* Those that an argument names: by an id, a pattern, or the file they are of. All when no argument does. */
static enum pb_status choose(struct pb_cli *cli, const struct pb_claims *claims, struct pb_claim ***out, size_t *n, struct pb_error *err)
{
	struct pb_claim **chosen = pb_arena_alloc(cli->arena, claims->n + 1, sizeof(struct pb_claim *));
	bool *taken = pb_arena_alloc(cli->arena, claims->n + 1, sizeof(bool)), named = names_claims(cli);

	if (!chosen || !taken)
		return pb_out_of_memory(err, "the claims");
	*n = 0;
	for (size_t a = 0; a < (named ? cli->n_args : 1); a++) {
		bool found = false, is_file = named && pb_path_has_suffix(cli->args[a], ".yaml");

		if (named && is_numbers(cli->args[a]))
			continue;

		for (size_t i = 0; i < claims->n; i++) {
			struct pb_claim *c = &claims->claims[i];

			if (named && (is_file ? strcmp(c->file, cli->args[a]) != 0 : !pb_matches(cli->args[a], c->id)))
				continue;
			found = true;
			if (!taken[i])
				chosen[(*n)++] = c;
			taken[i] = true;
		}
		if (!found)
			return named ? not_found(claims, cli->arena, cli->args[a], err) : pb_fail(err, PB_FORMAT, "verify: there are no claims");
	}
	*out = chosen;
	return PB_OK;
}

static enum pb_status print(const struct verify_state *s, const struct pb_verdicts *v, bool details, struct pb_error *err)
{
	struct pb_text t = {0}, summary = {0};
	const char *format = s->format ? s->format : "table";
	enum pb_status st;

	if (strcmp(format, "json") == 0)
		st = pb_verdicts_json(v, &t, err);
	else if (strcmp(format, "md") == 0)
		st = pb_verdicts_markdown(v, details, &t, err);
	else
		st = pb_verdicts_table(v, details, &t, err);
	if (!st && strcmp(format, "table") == 0) {
		pb_verdicts_summary(v, &summary);
		st = pb_text_check(&summary, err);
		pb_text_printf(&t, "\n%s\n", pb_text_c(&summary));
	}
	if (!st)
		st = pb_print(&t, err);
	pb_text_free(&summary);
	pb_text_free(&t);
	return st;
}

static enum pb_status detect(const struct verify_state *s, struct pb_cli *cli, const struct pb_claims *claims, struct pb_error *err)
{
	const char *format = s->format ? s->format : "table";
	struct pb_findings findings = {0};
	struct pb_text t = {0};
	enum pb_status st = names_claims(cli) ? pb_fail(err, PB_USAGE, "verify: --detect looks at all published numbers and takes no claims")
		: pb_detect(&findings, &claims->numbers, &claims->shapes, claims->arena, err);

	if (!st)
		st = strcmp(format, "json") == 0 ? pb_findings_json(&findings, &t, err) : pb_findings_table(&findings, strcmp(format, "md") == 0, &t, err);
	if (!st)
		st = pb_print(&t, err);
	pb_text_free(&t);
	return st;
}

enum pb_status pb_cli_claims_judge(struct pb_claims *claims, struct pb_claim *const *chosen, size_t n, const struct pb_records *records, struct pb_error *err)
{
	const struct pb_item_stores items = pb_records_items(records);
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < n; i++) {
		st = pb_claim_judge(claims, chosen[i], err);
		if (!st && records->n)
			st = pb_measure_claim(claims, chosen[i], &records->rows, &items, err);
	}
	return st;
}

/* The page, with what looks wrong in the numbers when all claims are on it. */
static enum pb_status write_page(const struct verify_state *s, struct pb_cli *cli, const struct pb_claims *claims, const struct pb_verdicts *v, struct pb_error *err)
{
	const struct pb_fact facts[] = { { "command", cli->program }, { "version", pb_version() } };
	struct pb_section section = {0};
	const struct pb_section *sections[] = { &section };
	struct pb_findings findings = {0};
	struct pb_rows none;
	struct pb_report_input input = { .title = "Claims of papers", .rows = &none, .facts = facts, .n_facts = 2, .created_utc = "", .sections = sections, .n_sections = 1 };
	char *page = NULL;
	bool named = names_claims(cli);
	enum pb_status st = named ? PB_OK : pb_detect(&findings, &claims->numbers, &claims->shapes, claims->arena, err);

	pb_rows_init(&none);
	if (!st) {
		pb_claims_section(&section, claims->arena, v, named ? NULL : &findings);
		st = pb_section_check(&section, err);
	}
	if (!st)
		st = pb_report_write(&input, s->html, &page, err);
	pb_section_free(&section);
	pb_rows_free(&none);
	pb_free(page);
	return st;
}

static enum pb_status verify_run(void *state, struct pb_cli *cli, int *code, struct pb_error *err)
{
	struct verify_state *s = state;
	struct pb_claims claims = {0};
	struct pb_claim **chosen = NULL;
	struct pb_records records = {0};
	size_t n = 0;
	enum pb_status st = pb_cli_claims(cli->args, cli->n_args, &claims, err);

	if (!st && s->detect) {
		st = detect(s, cli, &claims, err);
		pb_claims_free(&claims);
		return st;
	}
	if (!st)
		st = choose(cli, &claims, &chosen, &n, err);
	if (!st)
		st = pb_records_open(&records, s->runs, s->n_runs, err);
	if (!st)
		st = pb_cli_claims_judge(&claims, chosen, n, &records, err);
	if (!st && s->html)
		st = write_page(s, cli, &claims, &(struct pb_verdicts){ chosen, n }, err);
	if (!st)
		st = print(s, &(struct pb_verdicts){ chosen, n }, names_claims(cli) || cli->verbosity, err);
	/* Of all claims, some are known to fail; a claim that was asked for is refuted when it does. */
	for (size_t i = 0; !st && i < n; i++)
		if (chosen[i]->verdict != chosen[i]->expected || (names_claims(cli) && chosen[i]->verdict == PB_FAILS)
			|| (chosen[i]->measured && chosen[i]->measured->verdict == PB_CONTRADICTED))
			*code = 3;
	pb_records_close(&records);
	pb_claims_free(&claims);
	return st;
}

const struct pb_command pb_cmd_verify = {
	.name = "verify",
	.arguments = "[CLAIMS...]",
	.summary = "test claims of papers on published numbers",
	.help = "Tests claims of papers on the numbers that they print: HOLDS, FAILS, DEPENDS (on what), UNTESTABLE (what is\n"
		"missing). CLAIMS are ids, patterns (A-PQ*) or files of claims (FILE.yaml); none: all that come with the program.\n"
		"FILE.csv adds published numbers, in the columns of configs/claims/*.csv.\n"
		"For claims that are named, or with -v: every test with its numbers, and every number with its source.\n"
		"With --run, what measured rows say: REPRODUCED, OFF (by how much), CONTRADICTED (a paired test, Holm over the\n"
		"claim, says the opposite), PROTOCOL DIFFERS, UNDERPOWERED (with the items that would be needed).\n"
		"Exit code 3: a verdict is not the one that the claim's file expects, a claim that was named fails, or a run\n"
		"contradicts one.",
	.flags = flags,
	.least = 0,
	.most = 1000,
	.set = verify_set,
	.state_size = sizeof(struct verify_state),
	.run = verify_run,
};
