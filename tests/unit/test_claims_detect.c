/* Detectors on rows made to be found, and on the published numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/file.h"
#include "reports/claims/claims.h"
#include "reports/claims/detect.h"
#include "tests/unit/expect.h"

static const char header[] = "id,source,table,kind,model,params,method,wbits,effective_bits,group,task,ctx,shots,metric,value,error,unit,higher_is_better,note\n";

struct found {
	struct pb_claims claims;
	struct pb_findings findings;
};

static void detect(struct found *f, const char *rows)
{
	static const char shapes[] = "- {names: [LLaMA-7B], hidden: 4096, layers: 32, heads: 32, kv_heads: 32, head_dim: 128, ffn: 11008, vocab: 32000}";
	struct pb_yaml_file *file;
	char data[8192];

	snprintf(data, sizeof(data), "%s%s", header, rows);
	OK(pb_claims_init(&f->claims, ERR));
	OK(pb_numbers_parse(&f->claims.numbers, "t.csv", data, strlen(data), ERR));
	OK(pb_yaml_parse(&file, "shapes", shapes, sizeof(shapes) - 1, ERR));
	OK(pb_shapes_parse(&f->claims.shapes, pb_yaml_root(file), f->claims.arena, ERR));
	OK(pb_detect(&f->findings, &f->claims.numbers, &f->claims.shapes, f->claims.arena, ERR));
	pb_yaml_free(file);
}

static void expect(const char *rows, const char *const *lines)
{
	struct found f = {0};
	size_t n = 0;

	detect(&f, rows);
	for (; lines[n]; n++) {
		char line[512];

		if (n >= f.findings.n)
			fail_msg("missing: %s", lines[n]);
		snprintf(line, sizeof(line), "%s %s %s: %s", pb_finding_name(f.findings.findings[n].kind), f.findings.findings[n].first->text[PB_NUMBER_ID],
			f.findings.findings[n].second ? f.findings.findings[n].second->text[PB_NUMBER_ID] : "-", f.findings.findings[n].what);
		assert_string_equal(line, lines[n]);
	}
	if (f.findings.n != n)
		fail_msg("not expected: %s", f.findings.findings[n].what);
	pb_claims_free(&f.claims);
}

#define ROW(id, table, model, params, method, group, task, metric, value, unit) id ",p," table ",table," model "," params "," method ",2,," group "," task ",,," metric "," value ",," unit ",,\n"
#define SIX(id, model, siqa, average) \
	ROW(id "1", "T", model, "1", "m", "", "arc_easy", "accuracy", "50.0", "%") ROW(id "2", "T", model, "1", "m", "", "boolq", "accuracy", "60.0", "%") \
	ROW(id "3", "T", model, "1", "m", "", "piqa", "accuracy", "70.0", "%") ROW(id "4", "T", model, "1", "m", "", "hellaswag", "accuracy", "40.0", "%") \
	ROW(id "5", "T", model, "1", "m", "", "social_iqa", "accuracy", siqa, "%") ROW(id "6", "T", model, "1", "m", "", "openbookqa", "accuracy", "30.0", "%") \
	ROW(id "7", "T", model, "1", "m", "", "avg6", "mean_accuracy", average, "%")

static void test_means(void **state)
{
	(void)state;
	expect(SIX("a", "A", "20.0", "45.0"), (const char *const[]){ NULL });
	expect(SIX("a", "A", "20.0", "45.1"), (const char *const[]){ "mean a7 -: 45.1 printed; its 6 tasks give 45.00", NULL });
	/* The average of the four others: another set of tasks, no slip. */
	expect(SIX("a", "A", "20.0", "55.0"), (const char *const[]){ "mean a7 -: 55.0 printed; its 6 tasks give 45.00, those without SIQA and OBQA 55.00", NULL });
}

static void test_copies(void **state)
{
	(void)state;
	expect(ROW("a", "T", "A", "1", "m", "", "c4", "perplexity", "7.12", "ppl") ROW("b", "T", "A", "1", "m", "", "ptb", "perplexity", "9.12", "ppl")
		ROW("c", "T", "B", "2", "m", "", "c4", "perplexity", "7.12", "ppl") ROW("d", "T", "B", "2", "m", "", "ptb", "perplexity", "9.12", "ppl"),
		(const char *const[]){ "copy a c: A and B have the same 2 scores with m", NULL });
	expect(ROW("a", "T", "A", "1", "m", "", "c4", "perplexity", "7.12", "ppl") ROW("b", "T", "A", "1", "m", "", "ptb", "perplexity", "9.12", "ppl")
		ROW("c", "T", "B", "2", "m", "", "c4", "perplexity", "7.12", "ppl") ROW("d", "T", "B", "2", "m", "", "ptb", "perplexity", "9.13", "ppl"), (const char *const[]){ NULL });
}

static void test_constants(void **state)
{
	(void)state;
	expect(ROW("a", "T", "A", "1", "m", "", "boolq", "accuracy", "62.2", "%") ROW("b", "T", "B", "1", "m", "", "boolq", "accuracy", "37.83", "%")
		ROW("c", "T", "C", "1", "m", "", "boolq", "accuracy", "62.3", "%"),
		(const char *const[]){ "constant a -: A with m: 62.2 is what 'yes' always gives", "constant b -: B with m: 37.83 is what 'no' always gives", NULL });
}

static void test_two_values(void **state)
{
	(void)state;
	expect(ROW("a", "T", "A", "1", "m", "", "c4", "perplexity", "11.4", "ppl") ROW("b", "U", "A", "1", "m", "", "c4", "perplexity", "11.5", "ppl"),
		(const char *const[]){ "two values a b: A with m, c4 perplexity: 11.4 in T, 11.5 in U", NULL });
	expect(ROW("a", "T", "A", "1", "m", "", "c4", "perplexity", "11.4", "ppl") ROW("b", "U", "A", "1", "m", "", "c4", "perplexity", "11.42", "ppl"), (const char *const[]){ NULL });
}

static void test_bits(void **state)
{
	(void)state;
	expect("a,p,T,table,LLaMA-7B,7000000000,SqueezeLLM 0.45%,3,3.24,channel,c4,,,perplexity,7.56,,ppl,0,\n"
		"b,p,T,table,LLaMA-7B,7000000000,SqueezeLLM,3,3.24,channel,c4,,,perplexity,7.75,,ppl,0,\n"
		"c,p,T,table,LLaMA-7B,7000000000,VPTQ,2,2.02,N0;v6-k4096;g1,c4,,,perplexity,8.07,,ppl,0,\n"
		"d,p,T,table,LLaMA-7B,7000000000,VPTQ,2,2.5,N0;v6-k4096;g1,ptb,,,perplexity,8.07,,ppl,0,\n",
		(const char *const[]){ "bits b -: LLaMA-7B with SqueezeLLM channel: 3.24 printed, its parts give 3.027", "bits d -: LLaMA-7B with VPTQ N0;v6-k4096;g1: 2.5 printed, its parts give 2.022", NULL });
}

static void test_disagreements(void **state)
{
	(void)state;
	expect(ROW("a", "T", "A", "1", "m", "", "wikitext2", "perplexity", "17.3", "ppl") ROW("b", "T", "A", "1", "m", "", "avg8", "mean_accuracy", "48.1", "%")
		ROW("c", "T", "B", "2", "m", "", "wikitext2", "perplexity", "23.6", "ppl") ROW("d", "T", "B", "2", "m", "", "avg8", "mean_accuracy", "50.8", "%"),
		(const char *const[]){ "disagree a c: m: perplexity 17.3 to 23.6, average accuracy 48.1 to 50.8 (A to B)", NULL });
}

/* What is known to be wrong in the numbers that come with the program is found. */
static void test_shipped(void **state)
{
	static const char *const known[] = { "gptq-mos-270", "SQ-TableH15-012", "VQ-Table5-008", "PQ-TER-0003", "OB-T2-0114", "SQ-Table3-036", "VQ-Table2-123", "PQ-TER-0070", "OB-T6-0010" };
	struct found f = {0};
	char *folder = pb_path_join(pb_home() ? pb_home() : ".", "configs/claims");

	(void)state;
	OK(pb_claims_init(&f.claims, ERR));
	OK(pb_claims_read(&f.claims, folder, NULL, 0, ERR));
	OK(pb_detect(&f.findings, &f.claims.numbers, &f.claims.shapes, f.claims.arena, ERR));
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		bool found = false;

		for (size_t k = 0; k < f.findings.n; k++)
			found |= strcmp(f.findings.findings[k].first->text[PB_NUMBER_ID], known[i]) == 0;
		if (!found)
			fail_msg("%s is not found", known[i]);
	}
	pb_free(folder);
	pb_claims_free(&f.claims);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_means), cmocka_unit_test(test_copies), cmocka_unit_test(test_constants), cmocka_unit_test(test_two_values),
		cmocka_unit_test(test_bits), cmocka_unit_test(test_disagreements), cmocka_unit_test(test_shipped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
