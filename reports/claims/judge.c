/* From tests to a verdict. */
#include <string.h>
#include "reports/claims/claims.h"

static const char *keep(struct pb_arena *arena, struct pb_text *t)
{
	const char *copy = t->failed ? NULL : pb_arena_strdup(arena, pb_text_c(t));

	pb_text_free(t);
	return copy;
}

/* What is missing is an outcome; anything else that goes wrong is not. */
static enum pb_status run_test(const struct pb_claim *c, struct pb_claim_test *t, bool beside, struct pb_arena *arena, struct pb_error *err)
{
	struct pb_error why = {0};
	struct pb_value value;
	struct pb_text text = {0};
	enum pb_status st = pb_expression_value(t->expression, &c->scope, arena, &value, &why);

	t->outcome = PB_OUTCOME_MISSING;
	if (!st && !beside && (value.kind != PB_VALUE_TRUTH || value.n != 1))
		st = pb_fail(&why, PB_USAGE, "a test is one statement; all(...) or any(...) makes one of a list");
	if (st == PB_MISSING || st == PB_NUMERIC || st == PB_LIMIT) {
		pb_text_string(&text, why.text);
	} else if (st) {
		return pb_fail(err, st, "%s:%u: %s: %s: %s", c->file, c->line, c->id, t->that, why.text);
	} else {
		t->outcome = beside ? PB_OUTCOME_TRUE : (enum pb_outcome)value.truths[0];
		if ((st = pb_expression_explain(t->expression, &c->scope, arena, &text, err))) {
			pb_text_free(&text);
			return st;
		}
	}
	return (t->numbers = keep(arena, &text)) ? PB_OK : pb_out_of_memory(err, "a verdict");
}

static void append(struct pb_text *t, const char *word, const char *what)
{
	pb_text_printf(t, "%s%s%s", t->length ? "; " : "", word, what);
}

static enum pb_outcome both(enum pb_outcome a, enum pb_outcome b)
{
	if (a == PB_OUTCOME_FALSE || b == PB_OUTCOME_FALSE)
		return PB_OUTCOME_FALSE;
	if (a == PB_OUTCOME_MISSING || b == PB_OUTCOME_MISSING)
		return PB_OUTCOME_MISSING;
	return a == PB_OUTCOME_OPEN || b == PB_OUTCOME_OPEN ? PB_OUTCOME_OPEN : PB_OUTCOME_TRUE;
}

static bool same_reading(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

struct readings {
	size_t n[4];            /* with each outcome */
	struct pb_text names[4];
};

/* Outcome of each reading: of all tests that are of it. */
static void tell_readings(const struct pb_claim *c, struct readings *r)
{
	for (size_t i = 0; i < c->n_tests; i++) {
		enum pb_outcome outcome = PB_OUTCOME_TRUE;
		bool first = c->tests[i].reading != NULL;

		for (size_t k = 0; k < i && first; k++)
			first = !same_reading(c->tests[k].reading, c->tests[i].reading);
		if (!first)
			continue;
		for (size_t k = i; k < c->n_tests; k++)
			if (same_reading(c->tests[k].reading, c->tests[i].reading))
				outcome = both(outcome, c->tests[k].outcome);
		r->n[outcome]++;
		append(&r->names[outcome], "", c->tests[i].reading);
	}
}

static enum pb_verdict of_readings(const struct readings *r, struct pb_text *reason)
{
	static const char *const words[4] = { "fails: ", "open: ", "holds: ", "untestable: " };
	static const enum pb_outcome order[4] = { PB_OUTCOME_TRUE, PB_OUTCOME_FALSE, PB_OUTCOME_OPEN, PB_OUTCOME_MISSING };
	size_t all = r->n[0] + r->n[1] + r->n[2] + r->n[3];

	if (r->n[PB_OUTCOME_TRUE] == all)
		return PB_HOLDS;
	for (int i = 0; i < 4; i++)
		if (r->n[order[i]])
			append(reason, words[order[i]], pb_text_c(&r->names[order[i]]));
	return r->n[PB_OUTCOME_FALSE] == all ? PB_FAILS : r->n[PB_OUTCOME_MISSING] == all ? PB_UNTESTABLE : PB_DEPENDS;
}

static enum pb_verdict decide(const struct pb_claim *c, struct pb_text *reason)
{
	struct readings r = {0};
	enum pb_outcome parts = PB_OUTCOME_TRUE;
	enum pb_verdict verdict = PB_HOLDS;
	struct pb_text of = {0};

	if (c->untestable) {
		pb_text_string(reason, c->untestable);
		return PB_UNTESTABLE;
	}
	for (size_t i = 0; i < c->n_tests; i++)
		if (!c->tests[i].reading)
			parts = both(parts, c->tests[i].outcome);
	for (size_t i = 0; i < c->n_tests && parts != PB_OUTCOME_TRUE; i++) {
		const struct pb_claim_test *t = &c->tests[i];

		if (t->reading || t->outcome != parts)
			continue;
		if (parts == PB_OUTCOME_FALSE)
			append(reason, "not so: ", t->that);
		else if (parts == PB_OUTCOME_OPEN)
			append(reason, "on the last printed digit: ", t->that);
		else
			append(reason, "", t->numbers);
	}
	tell_readings(c, &r);
	verdict = of_readings(&r, &of);
	for (int i = 0; i < 4; i++) {
		reason->failed |= r.names[i].failed;
		pb_text_free(&r.names[i]);
	}
	reason->failed |= of.failed;
	/* What fails in every reading fails. */
	if (parts == PB_OUTCOME_FALSE || (parts == PB_OUTCOME_MISSING && verdict != PB_FAILS)) {
		pb_text_free(&of);
		return parts == PB_OUTCOME_FALSE ? PB_FAILS : PB_UNTESTABLE;
	}
	if (of.length)
		append(reason, "", pb_text_c(&of));
	pb_text_free(&of);
	return verdict == PB_HOLDS && parts == PB_OUTCOME_OPEN ? PB_DEPENDS : verdict;
}

enum pb_status pb_claim_judge(const struct pb_claims *claims, struct pb_claim *c, struct pb_error *err)
{
	struct pb_text reason = {0};
	enum pb_status st = PB_OK;

	for (size_t i = 0; !st && i < c->n_tests; i++)
		st = run_test(c, &c->tests[i], false, claims->arena, err);
	for (size_t i = 0; !st && i < c->n_beside; i++)
		st = run_test(c, &c->beside[i], true, claims->arena, err);
	if (st)
		return st;
	c->verdict = decide(c, &reason);
	c->reason = keep(claims->arena, &reason);
	return c->reason ? PB_OK : pb_out_of_memory(err, "a verdict");
}

enum pb_status pb_claim_numbers(const struct pb_claim *claim, struct pb_arena *arena, const struct pb_number ***out, size_t *n, struct pb_error *err)
{
	const struct pb_scope *s = &claim->scope;
	const struct pb_number **rows;
	size_t most = 1;

	for (size_t i = 0; i < s->n_selections; i++)
		most += s->selections[i].n;
	if (!(rows = pb_arena_alloc(arena, most, sizeof(struct pb_number *))))
		return pb_out_of_memory(err, "the numbers of a claim");
	*n = 0;
	for (size_t i = 0; i < s->n_selections; i++)
		for (size_t k = 0; k < s->selections[i].n; k++) {
			bool there = false;

			for (size_t m = 0; m < *n && !there; m++)
				there = rows[m] == s->selections[i].rows[k];
			if (!there)
				rows[(*n)++] = s->selections[i].rows[k];
		}
	*out = rows;
	return PB_OK;
}
