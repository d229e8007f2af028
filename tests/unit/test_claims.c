/* Intervals, the language of claims, its errors, selections, and verdicts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/file.h"
#include "reports/claims/claims.h"
#include "tests/unit/expect.h"

static const char header[] = "id,source,table,kind,model,params,method,wbits,effective_bits,group,task,ctx,shots,metric,value,error,unit,higher_is_better,note\n";
static const char rows[] =
	"A-1,paper,T1,table,small,100,ours,2,2.02,,piqa,,,accuracy,50.0,,%,1,\n"
	"A-2,paper,T1,table,small,100,ours,2,2.02,,boolq,,,accuracy,60.0,,%,1,\n"
	"A-3,paper,T1,table,small,100,ours,2,2.02,,avg2,,,mean_accuracy,55.0,,%,1,stderr 0.25\n"
	"A-4,paper,T1,table,large,200,ours,2,2.01,,piqa,,,accuracy,52.0,,%,1,\n"
	"A-5,paper,T1,table,large,200,ours,2,2.01,,boolq,,,accuracy,62.0,,%,1,\n"
	"A-6,paper,T1,table,large,200,ours,2,2.01,,avg2,,,mean_accuracy,57.2,,%,1,stderr 0.5\n"
	"B-1,paper,F1,digitised,small,100,theirs,2,2.25,,avg2,,,mean_accuracy,55.1,0.2,%,1,\n"
	"B-2,paper,F1,digitised,large,200,theirs,2,2.25,,avg2,,,mean_accuracy,56.0,0.2,%,1,\n"
	"C-1,paper,T2,table,small,100,broken,2,,,wikitext2,,,perplexity,,,ppl,0,printed as NaN\n"
	"C-2,paper,T2,table,MobileLLM-125M,125000000,ours,1.58,,N0;v6-k4096;g1,wikitext2,,,perplexity,6.60e5,,ppl,0,\n";

struct world {
	struct pb_claims claims;
	struct pb_arena *arena;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char data[4096];

	snprintf(data, sizeof(data), "%s%s", header, rows);
	OK(pb_claims_init(&w->claims, ERR));
	OK(pb_numbers_parse(&w->claims.numbers, "t.csv", data, strlen(data), ERR));
	w->arena = pb_arena_new();
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	pb_claims_free(&w->claims);
	pb_arena_free(w->arena);
	free(w);
	return 0;
}

/* ---- intervals ---- */

static void test_interval_of_printed(void **state)
{
	(void)state;
	assert_true(fabs(pb_printed_half("7.08") - 0.005) < 1e-15);
	assert_true(fabs(pb_printed_half("14800") - 0.5) < 1e-15);
	assert_true(fabs(pb_printed_half("6.60E+05") - 500) < 1e-9);
	assert_true(fabs(pb_printed_half("9.1e-05") - 5e-7) < 1e-18);
	assert_true(pb_printed_half("") == 0);
}

static void test_interval_order(void **state)
{
	(void)state;
	/* Neighbours in print are apart, the same print is open, an exact number may touch. */
	assert_int_equal(pb_interval_less(pb_around(62.6, 0.05), pb_around(62.7, 0.05)), PB_TRUE);
	assert_int_equal(pb_interval_less(pb_around(62.7, 0.05), pb_around(62.6, 0.05)), PB_FALSE);
	assert_int_equal(pb_interval_less(pb_around(62.6, 0.05), pb_around(62.6, 0.05)), PB_OPEN);
	assert_int_equal(pb_interval_less(pb_exact(1), pb_exact(1)), PB_FALSE);
	assert_int_equal(pb_interval_less(pb_around(0.1, 0.01), pb_exact(0.1)), PB_OPEN);
	assert_int_equal(pb_interval_agree(pb_around(11.4, 0.05), pb_around(11.5, 0.05)), PB_FALSE);
	assert_int_equal(pb_interval_agree(pb_around(11.4, 0.05), pb_around(11.45, 0.005)), PB_TRUE);
	assert_int_equal(pb_interval_agree(pb_around(11.4, 0.05), pb_exact(11.45)), PB_TRUE);
}

static void test_interval_arithmetic(void **state)
{
	struct pb_interval out;

	(void)state;
	out = pb_interval_multiply(pb_around(-2, 1), pb_around(3, 1));
	assert_true(out.low == -12 && out.middle == -6 && out.high == -2);
	assert_true(pb_interval_divide(pb_around(6, 0), pb_around(2, 1), &out));
	assert_true(out.low == 2 && out.middle == 3 && out.high == 6);
	assert_false(pb_interval_divide(pb_exact(1), pb_exact(0), &out));
	assert_true(pb_interval_divide(pb_exact(1), pb_around(0.1, 0.2), &out));
	assert_true(isinf(out.low) && isinf(out.high) && out.middle == 10);
	assert_true(pb_interval_power(pb_around(0, 2), pb_exact(2), &out));
	assert_true(out.low == 0 && out.high == 4);
	assert_false(pb_interval_power(pb_exact(-1), pb_exact(0.5), &out));
	assert_false(pb_interval_power(pb_exact(0), pb_exact(-1), &out));
	out = pb_interval_absolute((struct pb_interval){ -1, 0.5, 2 });
	assert_true(out.low == 0 && out.high == 2);
}

/* Every value of the arguments' intervals gives one in the result's. */
static void test_interval_contains(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		double v[6];
		struct pb_interval a, b, out;

		for (int k = 0; k < 6; k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			v[k] = (double)(seed >> 11) / 9007199254740992.0;
		}
		a = pb_around(10 * v[0] - 5, v[1]);
		b = pb_around(10 * v[2] - 5, v[3]);
		double x = a.low + (a.high - a.low) * v[4], y = b.low + (b.high - b.low) * v[5];

		out = pb_interval_multiply(a, b);
		assert_true(out.low - 1e-9 <= x * y && x * y <= out.high + 1e-9);
		if (pb_interval_divide(a, b, &out) && y != 0)
			assert_true(out.low - 1e-6 * fabs(x / y) - 1e-9 <= x / y && x / y <= out.high + 1e-6 * fabs(x / y) + 1e-9);
		if (pb_interval_power(pb_interval_absolute(a), pb_exact(2.5), &out))
			assert_true(out.low - 1e-9 <= pow(fabs(x), 2.5) && pow(fabs(x), 2.5) <= out.high + 1e-9);
	}
}

/* ---- expressions ---- */

static const char scope_text[] =
	"- id: X\n  statement: s\n  source: s\n  verdict: HOLDS\n"
	"  rows: {tasks: {id: A-*, metric: accuracy}, average: {id: A-*, task: avg2}, theirs: B-1 B-2, broken: C-1, one: A-3, gone: Z-9, mobile: C-2}\n"
	"  let: {gain: average - theirs}\n"
	"  test: [{that: t, is: 1 < 2}]\n";

static const struct pb_scope *scope(struct world *w)
{
	if (!w->claims.n)
		OK(pb_claims_parse(&w->claims, "c.yaml", scope_text, strlen(scope_text), ERR));
	return &w->claims.claims[0].scope;
}

static enum pb_status value(struct world *w, const char *text, struct pb_value *out, struct pb_error *err)
{
	const struct pb_expression *e;
	enum pb_status st = pb_expression_parse(&e, text, scope(w), w->arena, err);

	return st ? st : pb_expression_value(e, scope(w), w->arena, out, err);
}

static void expect_number(struct world *w, const char *text, double middle, double half)
{
	struct pb_value v;

	OK(value(w, text, &v, ERR));
	if (v.kind != PB_VALUE_NUMBER || v.n != 1 || fabs(v.numbers[0].middle - middle) > 1e-9 || fabs((v.numbers[0].high - v.numbers[0].low) / 2 - half) > 1e-9)
		fail_msg("%s: %g ± %g, not %g ± %g", text, v.kind == PB_VALUE_NUMBER ? v.numbers[0].middle : NAN,
			v.kind == PB_VALUE_NUMBER ? (v.numbers[0].high - v.numbers[0].low) / 2 : NAN, middle, half);
}

static void expect_truth(struct world *w, const char *text, enum pb_truth truth)
{
	struct pb_value v;

	OK(value(w, text, &v, ERR));
	if (v.kind != PB_VALUE_TRUTH || v.n != 1 || v.truths[0] != truth)
		fail_msg("%s is not %d", text, (int)truth);
}

static void test_expression_numbers(void **state)
{
	struct world *w = *state;

	expect_number(w, "1 + 2 * 3 ^ 2 - -4", 23, 0);
	expect_number(w, "2 ^ 3 ^ 2", 512, 0);
	expect_number(w, "(1 + 2) * 3", 9, 0);
	expect_number(w, "one", 55.0, 0.05);
	expect_number(w, "one.params * 2", 200, 0);
	expect_number(w, "one.effective_bits", 2.02, 0.005);
	expect_number(w, "number(one.note, 'stderr ')", 0.25, 0.005);
	expect_number(w, "max(theirs)", 56.0, 0.2);
	expect_number(w, "min(theirs, 3)", 3, 0);
	expect_number(w, "mean(tasks)", 56, 0.05);
	expect_number(w, "n(tasks)", 4, 0);
	expect_number(w, "printed(one)", 55, 0);
	expect_number(w, "root(t, 0, 10, t ^ 2 - 2)", 1.4142135623730951, 0);
	expect_number(w, "root(t, 0 - 1.5e308, 1.5e308, t)", 0, 0);
	expect_number(w, "root(t, 0, 1, 0 - t)", 0, 0);
	expect_number(w, "sum(huber(gain, 0.5)) * 0 + huber(2, 1)", 1.5, 0);
	expect_number(w, "logsumexp(0, 0)", log(2), 0);
	expect_number(w, "interpolate(average.params, average, 150)", 56.1, 0.05);
	expect_number(w, "hypervolume(theirs.params, 0 - printed(theirs), 300, 0)", 200 * 55.1 + 100 * (56.0 - 55.1), 0);
	expect_number(w, "sum(where(theirs, theirs > 55.5))", 56, 0.2);
	expect_number(w, "ceil(1.2) + abs(0 - 2) + sqrt(4) + log2(8) + exp(0) + ln(1)", 10, 0);
}

static void test_expression_truths(void **state)
{
	struct world *w = *state;

	/* 55.0 is the mean of 50.0 and 60.0; 57.2 can be that of 52.0 and 62.0 no more. */
	expect_truth(w, "all(mean(tasks) == average by model)", PB_FALSE);
	expect_number(w, "count(mean(tasks) == average by model)", 1, 0);
	expect_number(w, "count(average > theirs by model)", 1, 0.5);
	expect_truth(w, "any(average > theirs by model if average.params == 200)", PB_TRUE);
	expect_truth(w, "all(average > theirs by model)", PB_OPEN);
	expect_truth(w, "1 < 2 < 3", PB_TRUE);
	expect_truth(w, "1 < 2 < 2", PB_FALSE);
	expect_truth(w, "not 1 > 2 and one.model == 'small'", PB_TRUE);
	expect_truth(w, "1 > 2 or fits(one.note, 'stderr*')", PB_TRUE);
	expect_truth(w, "rising(average, average.params)", PB_TRUE);
	expect_truth(w, "falling(average)", PB_FALSE);
	expect_number(w, "count(front(average.params, average))", 2, 0);
	expect_number(w, "n(average - only(one) by model)", 2, 0);
	expect_number(w, "max(mean(tasks) by model)", 57, 0.05);
}

static void expect_failure(struct world *w, const char *text, enum pb_status status, const char *message)
{
	struct pb_value v;
	struct pb_error err = {0};
	enum pb_status st = value(w, text, &v, &err);

	if (st != status || !strstr(err.text, message))
		fail_msg("%s: status %d: %s", text, (int)st, st ? err.text : "");
}

static void test_expression_failures(void **state)
{
	struct world *w = *state;
	char deep[4000], wide[9000];

	expect_failure(w, "averag + 1", PB_USAGE, "character 1: unknown name 'averag'; did you mean 'average'?");
	expect_failure(w, "one.modle == 'x'", PB_USAGE, "character 5: unknown column 'modle'; did you mean 'model'?");
	expect_failure(w, "mena(tasks)", PB_USAGE, "unknown function 'mena'; did you mean 'mean'?");
	expect_failure(w, "1 +", PB_USAGE, "the expression ends");
	expect_failure(w, "1 2", PB_USAGE, "'2' is left over");
	expect_failure(w, "(1", PB_USAGE, "not closed");
	expect_failure(w, "'a", PB_USAGE, "not closed");
	expect_failure(w, "1.2.3", PB_USAGE, "'1.2.3' is not a number");
	expect_failure(w, "mean()", PB_USAGE, "needs an argument");
	expect_failure(w, "mean(tasks, tasks)", PB_USAGE, "at most 1 argument");
	expect_failure(w, "average by task1", PB_USAGE, "unknown column");
	expect_failure(w, "1 / 0", PB_NUMERIC, "division by zero");
	expect_failure(w, "ln(0 - 1)", PB_NUMERIC, "ln of -1");
	expect_failure(w, "10 ^ 400", PB_NUMERIC, "not finite");
	expect_failure(w, "root(t, 1, 2, t)", PB_NUMERIC, "same sign");
	expect_failure(w, "tasks + theirs", PB_USAGE, "lists of 4 and 2 values");
	expect_failure(w, "one + one.model", PB_USAGE, "arithmetic needs numbers, not texts");
	expect_failure(w, "1 < (2 < 3)", PB_USAGE, "a comparison of");
	expect_failure(w, "gone", PB_MISSING, "gone: no published number has the id Z-9");
	expect_failure(w, "all(gone > theirs by model)", PB_MISSING, "Z-9");
	expect_failure(w, "broken + 1", PB_MISSING, "C-1 has no number");
	expect_failure(w, "one.ctx", PB_MISSING, "A-3 has no ctx");
	expect_failure(w, "one.layers", PB_MISSING, "the shape of small (A-3) is not known");
	expect_failure(w, "broken.ctx by model", PB_MISSING, "C-1 has no ctx");
	expect_failure(w, "average - mobile by model", PB_MISSING, "no rows go together by model");
	expect_failure(w, "interpolate(theirs.params, theirs, 5)", PB_MISSING, "5 is outside");
	memset(deep, '(', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	expect_failure(w, deep, PB_USAGE, "levels deep");
	memset(deep, '-', sizeof(deep) - 1);
	expect_failure(w, deep, PB_USAGE, "levels deep");
	memset(wide, '1', sizeof(wide) - 1);
	wide[sizeof(wide) - 1] = '\0';
	expect_failure(w, wide, PB_USAGE, "longer than that");
}

/* ---- files ---- */

static void expect_csv(const char *line, const char *message)
{
	struct pb_numbers numbers;
	struct pb_error err = {0};
	char data[4096];

	pb_numbers_init(&numbers);
	snprintf(data, sizeof(data), "%s%s", header, line);
	assert_int_equal(pb_numbers_parse(&numbers, "t.csv", data, strlen(data), &err), PB_FORMAT);
	if (!strstr(err.text, message))
		fail_msg("%s", err.text);
	pb_numbers_free(&numbers);
}

static void test_numbers_refused(void **state)
{
	struct pb_numbers numbers;
	struct pb_error err = {0};

	(void)state;
	expect_csv("X,p,t,table,m,,,,,,,,,v,1,,,,\nX,p,t,table,m,,,,,,,,,v,2,,,,\n", "t.csv:3: the id X is there already, at t.csv:2");
	expect_csv("X,p,t,table,m,,,,,,,,,v,1..2,,,,\n", "t.csv:2: value: '1..2' is not a number");
	expect_csv("X,p,t,table,m,,,,,,,,,v,nan,,,,\n", "t.csv:2: value: 'nan' is not a number");
	expect_csv("X,p,t,hearsay,m,,,,,,,,,v,1,,,,\n", "t.csv:2: kind is 'hearsay'");
	expect_csv("X,p,t,table,m,,,,,,,,,v,1,-1,,,\n", "t.csv:2: the error -1 is negative");
	expect_csv("X,p,t,table,m,,,,,,,,,v,1,,,2,\n", "t.csv:2: higher_is_better");
	expect_csv(",p,t,table,m,,,,,,,,,v,1,,,,\n", "t.csv:2: a row needs an id and a source");
	expect_csv("X,p\n", "t.csv:2: 2 fields where 19 are needed");
	pb_numbers_init(&numbers);
	assert_int_equal(pb_numbers_parse(&numbers, "t.csv", "id,value\n", 9, &err), PB_FORMAT);
	assert_non_null(strstr(err.text, "t.csv:1: column 2 is 'value', not 'source'"));
	pb_numbers_free(&numbers);
}

static void expect_yaml(struct world *w, const char *text, const char *message)
{
	struct pb_error err = {0};
	enum pb_status st = pb_claims_parse(&w->claims, "c.yaml", text, strlen(text), &err);

	if (st != PB_USAGE || !strstr(err.text, message))
		fail_msg("status %d: %s\n%s", (int)st, err.text, text);
}

static void test_claims_refused(void **state)
{
	struct world *w = *state;

	expect_yaml(w, "{a: b}", "c.yaml:1:1: a file of claims is a list");
	expect_yaml(w, "- {id: X}", "a claim needs statement");
	expect_yaml(w, "- {id: \"a b\", statement: s}", "c.yaml:1:8: the id of a claim is 1 to 64 letters");
	expect_yaml(w, "- {id: <b>, statement: s}", "the id of a claim is");
	expect_yaml(w, "- {id: \"\", statement: s}", "c.yaml:1:8:");
	expect_yaml(w, "- {id: X, statment: s}", "c.yaml:1:11: unknown key 'statment'; did you mean 'statement'?");
	expect_yaml(w, "- {id: X, statement: s, source: s, verdict: MAYBE, test: []}", "a verdict is HOLDS, FAILS, DEPENDS or UNTESTABLE, not 'MAYBE'");
	expect_yaml(w, "- {id: X, statement: s, source: s, verdict: HOLDS}", "either test, or untestable");
	expect_yaml(w, "- {id: X, statement: s, source: s, verdict: HOLDS, rows: {by: A-1}, test: [{that: t, is: 1 < 2}]}", "'by' is not a name for rows");
	expect_yaml(w, "- {id: X, statement: s, source: s, verdict: HOLDS, rows: {a: {modle: x}}, test: [{that: t, is: 1 < 2}]}", "unknown key 'modle'; did you mean 'model'?");
	expect_yaml(w, "- {id: X, statement: s, source: s, verdict: HOLDS, rows: {a: A-3..1}, test: [{that: t, is: 1 < 2}]}", "the range runs backwards");
	expect_yaml(w, "- {id: X, statement: s, source: s, verdict: HOLDS, rows: {a: A-*}, test: [{that: t, is: 1 < 2}]}", "'A-*': a pattern is written {id: A-*}");
	expect_yaml(w, "- {id: X, statement: s, source: s, verdict: HOLDS, rows: {a: A-1}, test: [{that: t, is: b < 2}]}", "c.yaml:1:89: character 1: unknown name 'b'");
	expect_yaml(w, "- {id: X, statement: s, source: s, verdict: HOLDS, let: {a: a + 1}, test: [{that: t, is: 1 < 2}]}", "unknown name 'a'");
	scope(w);
	expect_yaml(w, scope_text, "a claim X is there already, at c.yaml:1");
}

static struct pb_claim *judged(struct world *w, const char *id, const char *body)
{
	char text[2048];
	struct pb_claim *c;

	snprintf(text, sizeof(text), "- id: %s\n  statement: s\n  source: s\n  verdict: HOLDS\n  rows: {ours: A-3 A-6, theirs: B-1 B-2, gone: A-1 Z-9}\n%s", id, body);
	OK(pb_claims_parse(&w->claims, "c.yaml", text, strlen(text), ERR));
	c = pb_claims_find(&w->claims, id);
	OK(pb_claim_judge(&w->claims, c, ERR));
	return c;
}

static void expect_verdict(struct world *w, const char *id, const char *body, enum pb_verdict verdict, const char *reason)
{
	struct pb_claim *c = judged(w, id, body);

	if (c->verdict != verdict || strcmp(c->reason, reason) != 0)
		fail_msg("%s: %s: %s", id, pb_verdict_name(c->verdict), c->reason);
}

static void test_verdicts(void **state)
{
	struct world *w = *state;

	expect_verdict(w, "V1", "  test: [{that: a, is: max(ours) > 57}]\n", PB_HOLDS, "");
	expect_verdict(w, "V2", "  test: [{that: a, is: max(ours) > 57}, {that: b, is: max(ours) > 58}]\n", PB_FAILS, "not so: b");
	expect_verdict(w, "V3", "  test: [{that: a, is: all(ours > theirs by model)}]\n", PB_DEPENDS, "on the last printed digit: a");
	expect_verdict(w, "V4", "  test: [{that: a, is: max(gone) > 57}]\n", PB_UNTESTABLE, "gone: no published number has the id Z-9");
	expect_verdict(w, "V5", "  test: [{that: a, is: max(ours) > 57, reading: r1}, {that: b, is: max(ours) > 58, reading: r2}]\n", PB_DEPENDS, "holds: r1; fails: r2");
	expect_verdict(w, "V6", "  test: [{that: a, is: max(ours) > 58, reading: r1}, {that: b, is: max(ours) > 59, reading: r2}]\n", PB_FAILS, "fails: r1; r2");
	expect_verdict(w, "V7", "  test: [{that: a, is: 1 / (1 - 1) > 0}]\n", PB_UNTESTABLE, "a division by zero");
	expect_verdict(w, "V8", "  untestable: nothing printed\n", PB_UNTESTABLE, "nothing printed");
	/* What is false without the missing part is false; a reading that is missing leaves the others. */
	expect_verdict(w, "V9", "  test: [{that: a, is: max(gone) > 57}, {that: b, is: max(ours) > 58}]\n", PB_FAILS, "not so: b");
	expect_verdict(w, "V10", "  test: [{that: a, is: max(gone) > 57, reading: r1}, {that: b, is: max(ours) > 57, reading: r2}]\n", PB_DEPENDS, "holds: r2; untestable: r1");
	expect_verdict(w, "V11", "  test: [{that: a, is: max(ours) > 57, reading: r}, {that: b, is: max(ours) > 58, reading: r}]\n", PB_FAILS, "fails: r");
}

static void test_verdict_needs_a_statement(void **state)
{
	struct world *w = *state;
	const char text[] = "- {id: X, statement: s, source: s, verdict: HOLDS, rows: {a: A-1 A-2}, test: [{that: t, is: a > 2}]}";
	struct pb_error err = {0};

	OK(pb_claims_parse(&w->claims, "c.yaml", text, strlen(text), ERR));
	assert_int_equal(pb_claim_judge(&w->claims, &w->claims.claims[0], &err), PB_USAGE);
	assert_non_null(strstr(err.text, "c.yaml:1: X: t: a test is one statement"));
}

/* Every claim that comes with the program gets the verdict that its file expects. */
static void test_shipped(void **state)
{
	struct pb_claims claims = {0};
	char *folder = pb_path_join(pb_home() ? pb_home() : ".", "configs/claims");

	(void)state;
	OK(pb_claims_init(&claims, ERR));
	OK(pb_claims_read(&claims, folder, NULL, 0, ERR));
	pb_free(folder);
	assert_int_equal(claims.numbers.n, 5771);
	assert_true(claims.n >= 95);
	for (size_t i = 0; i < claims.n; i++) {
		struct pb_claim *c = &claims.claims[i];

		OK(pb_claim_judge(&claims, c, ERR));
		if (c->verdict != c->expected)
			fail_msg("%s: %s, not %s: %s", c->id, pb_verdict_name(c->verdict), pb_verdict_name(c->expected), c->reason);
		for (size_t k = 0; k < c->scope.n_selections; k++)
			if (c->scope.selections[k].missing)
				fail_msg("%s: %s", c->id, c->scope.selections[k].missing);
		for (size_t k = 0; k < c->n_beside; k++)
			if (c->beside[k].outcome == PB_OUTCOME_MISSING)
				fail_msg("%s: %s: %s", c->id, c->beside[k].that, c->beside[k].numbers);
	}
	pb_claims_free(&claims);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interval_of_printed),
		cmocka_unit_test(test_interval_order),
		cmocka_unit_test(test_interval_arithmetic),
		cmocka_unit_test(test_interval_contains),
		cmocka_unit_test_setup_teardown(test_expression_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expression_truths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expression_failures, setup, teardown),
		cmocka_unit_test(test_numbers_refused),
		cmocka_unit_test_setup_teardown(test_claims_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_verdicts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_verdict_needs_a_statement, setup, teardown),
		cmocka_unit_test(test_shipped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
