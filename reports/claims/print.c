#include "reports/claims/print.h"

#include <math.h>
#include <string.h>
#include "core/base/json.h"
#include "core/base/markup.h"

const char *pb_outcome_name(enum pb_outcome outcome)
{
	static const char *const names[] = { "false", "open", "true", "untestable" };

	return names[outcome];
}

/* As printed, with what kind of number it is when not of a table. */
static void put_number(const struct pb_number *r, struct pb_text *out)
{
	char half[32];

	pb_format_short(half, r->half);
	if (isnan(r->value))
		pb_text_string(out, "none printed");
	else
		pb_text_printf(out, "%s%s%s", r->text[PB_NUMBER_VALUE], r->text[PB_NUMBER_UNIT][0] ? " " : "", r->text[PB_NUMBER_UNIT]);
	if (strcmp(r->text[PB_NUMBER_KIND], "digitised") == 0)
		pb_text_printf(out, " (read off a figure, ± %s)", half);
	else if (strcmp(r->text[PB_NUMBER_KIND], "table") != 0)
		pb_text_printf(out, " (%s)", r->text[PB_NUMBER_KIND]);
}

void pb_verdicts_summary(const struct pb_verdicts *v, struct pb_text *out)
{
	size_t n[PB_VERDICTS] = {0}, different = 0;

	for (size_t i = 0; i < v->n; i++) {
		n[v->claims[i]->verdict]++;
		different += v->claims[i]->verdict != v->claims[i]->expected;
	}
	pb_text_printf(out, "%zu claim%s on published numbers: %zu hold, %zu fail, %zu depend, %zu untestable", v->n, v->n == 1 ? "" : "s", n[PB_HOLDS], n[PB_FAILS],
		n[PB_DEPENDS], n[PB_UNTESTABLE]);
	if (different == 0) {
		pb_text_string(out, "; every verdict is the expected one");
		return;
	}
	pb_text_printf(out, "; %zu verdict%s not the expected one:", different, different == 1 ? " is" : "s are");
	for (size_t i = 0; i < v->n; i++)
		if (v->claims[i]->verdict != v->claims[i]->expected)
			pb_text_printf(out, " %s", v->claims[i]->id);
}

/* The column of a row that tells it from its neighbours. */
static void put_what(const struct pb_number *r, struct pb_text *out)
{
	static const enum pb_number_column columns[] = { PB_NUMBER_MODEL, PB_NUMBER_METHOD, PB_NUMBER_WBITS, PB_NUMBER_GROUP, PB_NUMBER_TASK, PB_NUMBER_CTX, PB_NUMBER_METRIC };
	bool any = false;

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		const char *text = r->text[columns[i]];

		if (!text[0])
			continue;
		pb_text_string(out, any ? ", " : "");
		if (columns[i] == PB_NUMBER_WBITS)
			pb_text_printf(out, "%s bit", text);
		else if (columns[i] == PB_NUMBER_CTX)
			pb_text_printf(out, "context %s", text);
		else
			pb_text_string(out, text);
		any = true;
	}
}

static void put_line(struct pb_text *out, const char *name, const char *text)
{
	if (text && text[0])
		pb_text_printf(out, "    %-9s %s\n", name, text);
}

static void put_tests(const struct pb_claim_test *tests, size_t n, bool beside, struct pb_text *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct pb_claim_test *t = &tests[i];

		pb_text_printf(out, "    %-9s %s%s%s%s: %s\n", beside ? "beside" : pb_outcome_name(t->outcome), t->reading ? "[" : "", t->reading ? t->reading : "", t->reading ? "] " : "",
			t->that, t->numbers);
		if (!beside)
			pb_text_printf(out, "              %s\n", t->text);
	}
}

/* What kinds of numbers a verdict rests on: "40 table, 3 secondary". */
static void put_kinds(const struct pb_number *const *rows, size_t n, struct pb_text *out)
{
	static const char *const kinds[] = { "table", "prose", "secondary", "digitised", "prediction" };
	bool any = false;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		size_t count = 0;

		for (size_t i = 0; i < n; i++)
			count += strcmp(rows[i]->text[PB_NUMBER_KIND], kinds[k]) == 0;
		if (count)
			pb_text_printf(out, "%s%zu %s", any ? ", " : "    rests on  ", count, kinds[k]);
		any |= count > 0;
	}
	pb_text_string(out, any ? "\n" : "");
}

/* Rows under the source that they share. */
static enum pb_status put_numbers(const struct pb_claim *c, struct pb_text *out, struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	const struct pb_number **rows = NULL, *before = NULL;
	size_t n = 0;
	enum pb_status st = arena ? pb_claim_numbers(c, arena, &rows, &n, err) : pb_out_of_memory(err, "the numbers of a claim");

	if (!st)
		put_kinds(rows, n, out);
	for (size_t i = 0; !st && i < n; i++) {
		if (!before || strcmp(before->text[PB_NUMBER_SOURCE], rows[i]->text[PB_NUMBER_SOURCE]) != 0 || strcmp(before->text[PB_NUMBER_TABLE], rows[i]->text[PB_NUMBER_TABLE]) != 0)
			pb_text_printf(out, "    from      %s, %s\n", rows[i]->text[PB_NUMBER_SOURCE], rows[i]->text[PB_NUMBER_TABLE]);
		pb_text_printf(out, "              %s: ", rows[i]->text[PB_NUMBER_ID]);
		put_what(rows[i], out);
		pb_text_string(out, ": ");
		put_number(rows[i], out);
		pb_text_char(out, '\n');
		before = rows[i];
	}
	pb_arena_free(arena);
	return st;
}

static void put_measured(const struct pb_claim *c, bool details, struct pb_text *out)
{
	if (!c->measured || c->measured->verdict == PB_NOT_MEASURED)
		return;
	pb_text_printf(out, "%-10smeasured    %s\n", "", c->measured->reason);
	for (size_t i = 0; details && i < c->measured->n; i++)
		pb_text_printf(out, "    %-16s  %s\n", pb_reproduction_name(c->measured->lines[i].verdict), c->measured->lines[i].what);
}

enum pb_status pb_verdicts_table(const struct pb_verdicts *v, bool details, struct pb_text *out, struct pb_error *err)
{
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < v->n; i++) {
		const struct pb_claim *c = v->claims[i];
		bool expected = c->verdict == c->expected;

		if (details && i)
			pb_text_char(out, '\n');
		pb_text_printf(out, "%-8s  %-10s  %s\n", c->id, pb_verdict_name(c->verdict), c->statement);
		if (!expected)
			pb_text_printf(out, "%-22sexpected %s\n", "", pb_verdict_name(c->expected));
		if (c->reason[0])
			pb_text_printf(out, "%-22s%s\n", "", c->reason);
		put_measured(c, details, out);
		if (!details)
			continue;
		put_line(out, "source", c->source);
		put_tests(c->tests, c->n_tests, false, out);
		put_tests(c->beside, c->n_beside, true, out);
		put_line(out, "note", c->note);
		put_line(out, "protocol", c->protocol);
		put_line(out, "by a run", c->how);
		st = put_numbers(c, out, err);
	}
	return st ? st : pb_text_check(out, err);
}

/* ---- Markdown ---- */

enum pb_status pb_verdicts_markdown(const struct pb_verdicts *v, bool details, struct pb_text *out, struct pb_error *err)
{
	struct pb_text summary = {0};

	pb_text_string(out, "| Claim | Verdict | Statement | Why |\n|---|---|---|---|\n");
	for (size_t i = 0; i < v->n; i++) {
		const struct pb_claim *c = v->claims[i];

		pb_text_string(out, "| ");
		pb_markdown_escape(out, c->id);
		pb_text_printf(out, " | %s%s%s | ", pb_verdict_name(c->verdict), c->verdict != c->expected ? ", expected " : "",
			c->verdict != c->expected ? pb_verdict_name(c->expected) : "");
		pb_markdown_escape(out, c->statement);
		pb_text_string(out, " | ");
		pb_markdown_escape(out, c->reason);
		if (c->measured && c->measured->verdict != PB_NOT_MEASURED) {
			pb_text_printf(out, "%smeasured: ", c->reason[0] ? "; " : "");
			pb_markdown_escape(out, c->measured->reason);
		}
		pb_text_string(out, " |\n");
	}
	for (size_t i = 0; details && i < v->n; i++) {
		const struct pb_claim *c = v->claims[i];

		pb_text_string(out, "\n**");
		pb_markdown_escape(out, c->id);
		pb_text_string(out, "** (");
		pb_markdown_escape(out, c->source);
		pb_text_string(out, ")\n");
		for (size_t k = 0; k < c->n_tests; k++) {
			pb_text_printf(out, "- %s: ", pb_outcome_name(c->tests[k].outcome));
			pb_markdown_escape(out, c->tests[k].that);
			pb_text_string(out, ": ");
			pb_markdown_escape(out, c->tests[k].numbers);
			pb_text_char(out, '\n');
		}
	}
	pb_text_char(out, '\n');
	pb_verdicts_summary(v, &summary);
	pb_markdown_escape(out, pb_text_c(&summary));
	out->failed = out->failed || summary.failed;
	pb_text_free(&summary);
	pb_text_char(out, '\n');
	return pb_text_check(out, err);
}

/* ---- JSON ---- */

static json_t *test_json(const struct pb_claim_test *t, bool beside)
{
	json_t *o = json_pack("{s:s, s:s, s:s}", "that", t->that, "is", t->text, "numbers", t->numbers);

	if (!beside && o)
		json_object_set_new(o, "outcome", json_string(pb_outcome_name(t->outcome)));
	if (!beside && o)
		json_object_set_new(o, "reading", t->reading ? json_string(t->reading) : json_null());
	return o;
}

static json_t *tests_json(const struct pb_claim_test *tests, size_t n, bool beside)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, test_json(&tests[i], beside));
	return list;
}

static json_t *number_json(const struct pb_number *r)
{
	json_t *o = json_object();

	for (size_t c = 0; c < PB_NUMBER_COLUMNS; c++) {
		const char *text = r->text[c];
		json_t *value = text[0] ? json_string(text) : json_null();

		if (pb_number_column_is_numeric((enum pb_number_column)c))
			json_object_set_new(o, pb_number_columns[c], pb_json_number(r->column[c])), json_decref(value);
		else
			json_object_set_new(o, pb_number_columns[c], value);
	}
	json_object_set_new(o, "printed", json_string(r->text[PB_NUMBER_VALUE]));
	json_object_set_new(o, "half", pb_json_number(isnan(r->value) ? NAN : r->half));
	json_object_set_new(o, "file", json_string(r->file));
	json_object_set_new(o, "line", json_integer(r->line));
	return o;
}

static json_t *measured_json(const struct pb_measured *m)
{
	json_t *o, *lines;

	if (!m)
		return json_null();
	lines = json_array();
	for (size_t i = 0; i < m->n; i++)
		json_array_append_new(lines, json_pack("{s:s, s:s}", "verdict", pb_reproduction_name(m->lines[i].verdict), "what", m->lines[i].what));
	o = json_pack("{s:s, s:s, s:o}", "verdict", pb_reproduction_name(m->verdict), "reason", m->reason, "lines", lines);
	return o;
}

static enum pb_status claim_json(const struct pb_claim *c, json_t *list, struct pb_error *err)
{
	struct pb_arena *arena = pb_arena_new();
	const struct pb_number **rows = NULL;
	size_t n = 0;
	json_t *o, *numbers = json_array();
	enum pb_status st = arena ? pb_claim_numbers(c, arena, &rows, &n, err) : pb_out_of_memory(err, "a verdict");

	for (size_t i = 0; !st && i < n; i++)
		json_array_append_new(numbers, number_json(rows[i]));
	pb_arena_free(arena);
	o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "id", c->id, "statement", c->statement, "source", c->source, "verdict",
		pb_verdict_name(c->verdict), "expected", pb_verdict_name(c->expected), "as_expected", c->verdict == c->expected, "reason", c->reason, "protocol", c->protocol, "note",
		c->note, "run", c->how, "tests", tests_json(c->tests, c->n_tests, false), "beside", tests_json(c->beside, c->n_beside, true), "numbers", numbers, "measured", measured_json(c->measured));
	if (st) {
		json_decref(o);
		return st;
	}
	return json_array_append_new(list, o) ? pb_out_of_memory(err, "a verdict") : PB_OK;
}

enum pb_status pb_verdicts_json(const struct pb_verdicts *v, struct pb_text *out, struct pb_error *err)
{
	json_t *list = json_array();
	char *text = NULL;
	enum pb_status st = list ? PB_OK : pb_out_of_memory(err, "a verdict");

	for (size_t i = 0; !st && i < v->n; i++)
		st = claim_json(v->claims[i], list, err);
	if (!st && !(text = pb_json_pretty(list)))
		st = pb_out_of_memory(err, "a verdict");
	if (!st)
		pb_text_string(out, text);
	pb_free(text);
	json_decref(list);
	return st ? st : pb_text_check(out, err);
}

/* ---- findings ---- */

enum pb_status pb_findings_table(const struct pb_findings *f, bool markdown, struct pb_text *out, struct pb_error *err)
{
	struct pb_text line = {0};

	for (size_t i = 0; i < f->n; i++) {
		const struct pb_finding *x = &f->findings[i];

		if (i == 0 || f->findings[i - 1].kind != x->kind)
			pb_text_printf(out, "%s%s%s\n%s", i ? "\n" : "", markdown ? "## " : "", pb_finding_title(x->kind), markdown ? "\n" : "");
		pb_text_clear(&line);
		pb_text_printf(&line, "%s%s%s: %s", x->first->text[PB_NUMBER_ID], x->second ? ", " : "", x->second ? x->second->text[PB_NUMBER_ID] : "", x->what);
		pb_text_string(out, markdown ? "- " : "  ");
		if (markdown)
			pb_markdown_escape(out, pb_text_c(&line));
		else
			pb_text_string(out, pb_text_c(&line));
		pb_text_char(out, '\n');
	}
	out->failed = out->failed || line.failed;
	pb_text_free(&line);
	pb_text_printf(out, "%s%zu findings\n", f->n ? "\n" : "", f->n);
	return pb_text_check(out, err);
}

enum pb_status pb_findings_json(const struct pb_findings *f, struct pb_text *out, struct pb_error *err)
{
	json_t *list = json_array();
	char *text;

	for (size_t i = 0; i < f->n; i++) {
		const struct pb_finding *x = &f->findings[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:s?, s:s, s:s, s:i}", "kind", pb_finding_name(x->kind), "first", x->first->text[PB_NUMBER_ID], "second",
			x->second ? x->second->text[PB_NUMBER_ID] : NULL, "what", x->what, "file", x->first->file, "line", (int)x->first->line));
	}
	text = list ? pb_json_pretty(list) : NULL;
	json_decref(list);
	if (!text)
		return pb_out_of_memory(err, "the findings");
	pb_text_string(out, text);
	pb_free(text);
	return pb_text_check(out, err);
}
