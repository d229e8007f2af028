#include "reports/claims_section.h"

#include <math.h>
#include <string.h>

static const struct pb_section_column verdict_columns[] = {
	{ "Claim", false, false }, { "Verdict", false, false }, { "Statement", false, true }, { "Why", false, true }, { "By a run", false, true },
};
static const struct pb_section_column test_columns[] = {
	{ "Claim", false, false }, { "Outcome", false, false }, { "That", false, true }, { "Numbers", false, true },
};
static const struct pb_section_column number_columns[] = {
	{ "Claim", false, false }, { "Rows", true, false }, { "Source", false, true }, { "Note", false, true },
};
static const struct pb_section_column measured_columns[] = { { "Claim", false, false }, { "Verdict", false, false }, { "Pair or number", false, true } };
static const struct pb_section_column finding_columns[] = { { "Row", false, false }, { "And", false, false }, { "What", false, true } };

static void add_verdicts(struct pb_section *out, const struct pb_verdicts *v)
{
	struct pb_section_table *table;

	pb_section_heading(out, "Verdicts");
	table = pb_section_table(out, verdict_columns, sizeof(verdict_columns) / sizeof(verdict_columns[0]));
	for (size_t i = 0; i < v->n; i++) {
		const struct pb_claim *c = v->claims[i];

		pb_table_text(table, "%s", c->id);
		pb_table_text(table, "%s%s%s", pb_verdict_name(c->verdict), c->verdict != c->expected ? ", expected " : "", c->verdict != c->expected ? pb_verdict_name(c->expected) : "");
		pb_table_text(table, "%s", c->statement);
		pb_table_text(table, "%s", c->reason);
		pb_table_text(table, "%s", c->measured && c->measured->verdict != PB_NOT_MEASURED ? c->measured->reason : c->how);
	}
}

static void add_test(struct pb_section_table *table, const struct pb_claim *c, const struct pb_claim_test *t, const char *outcome)
{
	pb_table_text(table, "%s", c->id);
	pb_table_text(table, "%s", outcome);
	pb_table_text(table, "%s%s%s%s", t->reading ? "[" : "", t->reading ? t->reading : "", t->reading ? "] " : "", t->that);
	pb_table_text(table, "%s", t->numbers);
}

static void add_tests(struct pb_section *out, const struct pb_verdicts *v)
{
	struct pb_section_table *table;

	pb_section_heading(out, "Tests and the numbers that decide them");
	pb_section_note(out, "A printed number stands for half a unit of its last digit on either side, a number read off a figure for the error of reading. A test is open when "
		"these decide. Rows are named by their ids in configs/claims.");
	table = pb_section_table(out, test_columns, sizeof(test_columns) / sizeof(test_columns[0]));
	for (size_t i = 0; i < v->n; i++) {
		const struct pb_claim *c = v->claims[i];

		for (size_t k = 0; k < c->n_tests; k++)
			add_test(table, c, &c->tests[k], pb_outcome_name(c->tests[k].outcome));
		for (size_t k = 0; k < c->n_beside; k++)
			add_test(table, c, &c->beside[k], "beside");
	}
}

static void add_sources(struct pb_section *out, struct pb_arena *arena, const struct pb_verdicts *v)
{
	struct pb_section_table *table;

	pb_section_heading(out, "Sources");
	table = pb_section_table(out, number_columns, sizeof(number_columns) / sizeof(number_columns[0]));
	for (size_t i = 0; i < v->n; i++) {
		const struct pb_claim *c = v->claims[i];
		const struct pb_number **rows;
		size_t n = 0;

		if (pb_claim_numbers(c, arena, &rows, &n, NULL))
			out->failed = true;
		pb_table_text(table, "%s", c->id);
		pb_table_number(table, (double)n, "%zu", n);
		pb_table_text(table, "%s", c->source);
		pb_table_text(table, "%s", c->note);
	}
}

static void add_measured(struct pb_section *out, const struct pb_verdicts *v)
{
	struct pb_section_table *table = NULL;

	for (size_t i = 0; i < v->n; i++) {
		const struct pb_measured *m = v->claims[i]->measured;

		for (size_t k = 0; m && k < m->n; k++) {
			if (!table) {
				pb_section_heading(out, "By the run");
				pb_section_note(out, "Settings on the same items, paired tests, Holm over all pairs of a claim at 5 %%; published numbers with a measured counterpart within the printed "
					"digits and 1.96 standard errors.");
				table = pb_section_table(out, measured_columns, sizeof(measured_columns) / sizeof(measured_columns[0]));
			}
			pb_table_text(table, "%s", v->claims[i]->id);
			pb_table_text(table, "%s", pb_reproduction_name(m->lines[k].verdict));
			pb_table_text(table, "%s", m->lines[k].what);
		}
	}
}

static void add_findings(struct pb_section *out, const struct pb_findings *f)
{
	struct pb_section_table *table = NULL;

	for (size_t i = 0; i < f->n; i++) {
		const struct pb_finding *x = &f->findings[i];

		if (i == 0) {
			pb_section_heading(out, "What looks wrong in the published numbers");
			pb_section_note(out, "Whatever is claimed of them: found by rules over all rows.");
		}
		if (i == 0 || f->findings[i - 1].kind != x->kind) {
			pb_section_text(out, "%s", pb_finding_title(x->kind));
			table = pb_section_table(out, finding_columns, sizeof(finding_columns) / sizeof(finding_columns[0]));
		}
		pb_table_text(table, "%s", x->first->text[PB_NUMBER_ID]);
		pb_table_text(table, "%s", x->second ? x->second->text[PB_NUMBER_ID] : "");
		pb_table_text(table, "%s", x->what);
	}
}

void pb_claims_section(struct pb_section *out, struct pb_arena *arena, const struct pb_verdicts *v, const struct pb_findings *findings)
{
	struct pb_text json = {0}, summary = {0};

	pb_section_init(out, arena, "claims", "Claims of papers");
	pb_verdicts_summary(v, &summary);
	pb_section_text(out, "%s.", pb_text_c(&summary));
	out->failed |= summary.failed;
	pb_text_free(&summary);
	pb_section_note(out, "HOLDS: every test is true. FAILS: one is false. DEPENDS: on the reading of the claim, or on digits that were not printed. UNTESTABLE: what is needed is not published.");
	add_verdicts(out, v);
	add_measured(out, v);
	add_tests(out, v);
	add_sources(out, arena, v);
	if (findings)
		add_findings(out, findings);
	if (pb_verdicts_json(v, &json, NULL))
		out->failed = true; /* memory is all that can be missing */
	pb_section_file(out, "claims.json", "Every claim with its tests, and every number behind it with its row and source", &json);
}
