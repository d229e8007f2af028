/* The study of trained methods: settings over seeds, what is clear, verdicts by their rule, and a section that is there only when
 * there is a study. Numbers by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "reports/study.h"

struct rows {
	struct pb_rows rows;
	struct pb_arena *arena;
};

static struct rows new_rows(void)
{
	struct rows r = { .arena = pb_arena_new() };

	pb_rows_init(&r.rows);
	assert_non_null(r.arena);
	return r;
}

static void free_rows(struct rows *r)
{
	pb_rows_free(&r->rows);
	pb_arena_free(r->arena);
}

static struct pb_row *add(struct rows *r, const char *model, const char *quantizer, const char *options, double bits, long tokens, int seed, const char *metric, double value)
{
	struct pb_row *row = pb_rows_add(&r->rows, NULL);

	assert_non_null(row);
	row->status = PB_ROW_OK;
	row->model = model;
	row->params = strlen(model) * 1000;
	row->weight_bytes = (int64_t)(row->params * bits / 8);
	row->quantizer = quantizer;
	row->options = options;
	row->wbits = bits;
	row->label = pb_arena_printf(r->arena, "%s w%g %s %ld", quantizer, bits, options, tokens);
	row->backend = "blas";
	row->task = strcmp(metric, "relative_l1") == 0 ? "weights" : strcmp(metric, "acc") == 0 ? "facts" : "text";
	row->metric = metric;
	row->value = value;
	row->stderr_value = 0.01;
	row->chance = strcmp(metric, "acc") == 0 ? 0.25 : NAN;
	row->seed = seed;
	row->calibration = tokens ? pb_arena_printf(r->arena, "{\"training\":{\"tokens\":%ld}}", tokens) : "";
	return row;
}

static void loss(struct rows *r, const char *model, const char *quantizer, const char *options, double bits, long tokens, double value)
{
	add(r, model, quantizer, options, bits, tokens, 0, "nll", value);
}

#define OWN "{\"grid\":\"auto\",\"init\":\"paper\",\"train\":true}"

static const struct pb_study_finding *finding(const struct pb_study_finding *all, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(all[i].text, word))
			return &all[i];
	return NULL;
}

static void test_seeds_are_one_setting(void **state)
{
	struct rows r = new_rows();
	struct pb_study study;
	const struct pb_study_setting *s;

	(void)state;
	for (int seed = 0; seed < 3; seed++)
		add(&r, "m", "paretoq", OWN, 2, 1024, seed, "nll", 1 + 0.1 * seed);
	for (int seed = 0; seed < 2; seed++)
		add(&r, "m", "paretoq", OWN, 3, 1024, seed, "nll", 2 + 0.3 * seed);
	add(&r, "m", "rtn", "{\"group_size\":-1}", 2, 0, 0, "nll", 3);
	add(&r, "m", "rtn", "{\"group_size\":-1}", 2, 0, 1, "nll", 9);
	/* Another number of tokens: of its own spread, or of all. */
	add(&r, "k", "paretoq", OWN, 2, 64, 0, "nll", 5);
	add(&r, "m", "paretoq", OWN, 4, 1024, 0, "nll", NAN)->status = PB_ROW_FAILED;
	assert_int_equal(pb_study_read(&study, &r.rows, r.arena, NULL), PB_OK);
	assert_int_equal(study.n, 4);
	s = pb_study_main(&study, "m", 2);
	assert_true(s && s->nll.n == 3 && fabs(s->nll.mean - 1.1) < 1e-12 && fabs(s->nll.squares - 0.02) < 1e-12);
	/* (0.02 + 0.045) over 2 + 1 degrees of freedom; what is not trained has no part in it. */
	assert_true(fabs(study.deviation - sqrt(0.065 / 3)) < 1e-12);
	assert_true(fabs(s->nll_error - sqrt(0.065 / 9)) < 1e-12);
	assert_true(isnan(s->movement_error));
	assert_true(fabs(pb_study_main(&study, "k", 2)->nll_error - sqrt(0.065 / 3)) < 1e-12);
	assert_null(pb_study_main(&study, "m", 4));
	assert_false(pb_study_is_there(&study));
	free_rows(&r);
}

static void test_verdicts(void **state)
{
	static const struct { size_t n_for, n_against, n_open; enum pb_study_verdict verdict; } cases[] = {
		{ 3, 0, 0, PB_STUDY_SEEN }, { 2, 0, 2, PB_STUDY_SEEN }, { 1, 0, 2, PB_STUDY_UNCLEAR }, { 0, 0, 3, PB_STUDY_UNCLEAR }, { 2, 1, 0, PB_STUDY_UNCLEAR },
		{ 1, 1, 5, PB_STUDY_NOT_SEEN }, { 0, 1, 9, PB_STUDY_NOT_SEEN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(pb_study_judge(&(struct pb_study_finding){ .n_for = cases[i].n_for, .n_against = cases[i].n_against, .n_open = cases[i].n_open }), cases[i].verdict);
}

/* Losses of five widths at two sizes, with a spread of 0.01 over the seeds of one setting. */
static void five_widths(struct rows *r)
{
	static const double bits[] = { 1, 1.58, 2, 3, 4 };

	for (int b = 0; b < 5; b++) {
		loss(r, "m", "paretoq", OWN, bits[b], 1000, 2.0 - 0.1 * b);
		loss(r, "mm", "paretoq", OWN, bits[b], 1000, b < 4 ? 1.5 - 0.1 * b : 1.205);
	}
	add(r, "m", "finetune", "{}", 16, 1000, 0, "nll", 1.55);
	add(r, "m", "finetune", "{}", 16, 1000, 1, "nll", 1.55 + sqrt(2) * 0.01);
	loss(r, "m", "identity", "{}", 16, 0, 1.7);
	loss(r, "m", "rtn", "{\"group_size\":-1}", 2, 0, 1.81);
	loss(r, "m", "rtn", "{\"group_size\":32}", 2, 0, 1.1);
	loss(r, "m", "llm_qat", "{}", 2, 1000, 1.75);
	loss(r, "m", "llm_qat", "{}", 2, 500, 9);
}

static void test_findings(void **state)
{
	struct rows r = new_rows();
	struct pb_study study;
	struct pb_study_finding all[PB_STUDY_FINDINGS];
	const struct pb_study_finding *f;
	size_t n;

	(void)state;
	five_widths(&r);
	assert_int_equal(pb_study_read(&study, &r.rows, r.arena, NULL), PB_OK);
	assert_true(fabs(study.deviation - 0.01) < 1e-12);
	assert_true(pb_study_is_there(&study));
	n = pb_study_findings(&study, all);
	/* Eight steps: one of 0.005 the wrong way is within 2 * 0.01 * sqrt(2). */
	f = finding(all, n, "falls with every step");
	assert_true(f && f->n_for == 7 && f->n_open == 1 && f->n_against == 0 && fabs(f->worst + 0.005) < 1e-12);
	assert_string_equal(f->where, "mm, 4 bits");
	assert_int_equal(pb_study_judge(f), PB_STUDY_SEEN);
	/* 1.81 against 1.8: less than 2 * 0.01; groups do not count. */
	f = finding(all, n, "methods without training");
	assert_true(f && f->n_open == 1 && f->n_for == 0);
	/* LLM-QAT with as many tokens: 1.75 against 1.8 and, at 1.58 bits, 1.9. */
	f = finding(all, n, "min-max, whose three levels");
	assert_true(f && f->n_against == 2);
	assert_int_equal(pb_study_judge(f), PB_STUDY_NOT_SEEN);
	f = finding(all, n, "that it started from");
	assert_true(f && f->n_for == 1 && fabs(f->worst - 0.1) < 1e-12);
	f = finding(all, n, "fair reference");
	assert_true(f && f->n_against == 1);
	/* "mm" has 2000 weights: 4 bits of "m" are 500 bytes, 2 bits of "mm" as well, which is the end of the curve. */
	assert_null(finding(all, n, "equal bytes"));
	assert_null(finding(all, n, "SEQ"));
	assert_null(finding(all, n, "Nine tenths"));
	free_rows(&r);
}

static void test_grids_splits_movement(void **state)
{
	static const char *const seq = "{\"grid\":\"seq\",\"init\":\"mse\",\"train\":true}", *const lsq = "{\"grid\":\"lsq\",\"init\":\"mse\",\"train\":true}";
	static const char *const rounded = "{\"grid\":\"auto\",\"init\":\"mse\",\"train\":false}";
	struct rows r = new_rows();
	struct pb_study study;
	struct pb_study_finding all[PB_STUDY_FINDINGS];
	const struct pb_study_finding *f;
	size_t n;

	(void)state;
	five_widths(&r);
	loss(&r, "m", "paretoq", seq, 2, 500, 1.2);
	loss(&r, "m", "paretoq", lsq, 2, 500, 1.4);
	loss(&r, "m", "paretoq", seq, 3, 500, 1.2);
	loss(&r, "m", "paretoq", lsq, 3, 500, 1.3);
	/* Splits of 1000 tokens. */
	for (int i = 0; i < 4; i++) {
		static const int before[] = { 1000, 900, 500, 0 };
		struct pb_row *row = add(&r, "cut", "paretoq", i ? OWN : rounded, 2, 0, 0, "nll", i == 1 ? 1 : i == 2 ? 0.5 : 2);

		row->model = pb_arena_printf(r.arena, "cut@%d", before[i]);
		row->calibration = pb_arena_printf(r.arena, i ? "{\"model\":{\"recipe\":\"cut\",\"tokens\":%d},\"training\":{\"tokens\":%d}}" : "{\"model\":{\"recipe\":\"cut\",\"tokens\":%d}}",
			before[i], 1000 - before[i]);
	}
	/* Movement of 0.5 and 0.3 over floors of 0.2 and 0.15, with a spread of 0.01. */
	for (int seed = 0; seed < 2; seed++)
		add(&r, "m", "paretoq", OWN, 2, 1000, seed, "relative_l1", 0.5 + (seed - 0.5) * sqrt(2) * 0.01);
	add(&r, "m", "paretoq", OWN, 3, 1000, 0, "relative_l1", 0.3);
	loss(&r, "m", "paretoq", rounded, 2, 0, 2.5);
	add(&r, "m", "paretoq", rounded, 2, 0, 0, "relative_l1", 0.2);
	loss(&r, "m", "paretoq", rounded, 3, 0, 2.5);
	add(&r, "m", "paretoq", rounded, 3, 0, 0, "relative_l1", 0.15);
	assert_int_equal(pb_study_read(&study, &r.rows, r.arena, NULL), PB_OK);
	n = pb_study_findings(&study, all);
	f = finding(all, n, "SEQ is better than LSQ");
	assert_true(f && f->n_for == 1 && fabs(f->worst - 0.2) < 1e-12);
	f = finding(all, n, "LSQ is better than SEQ");
	assert_true(f && f->n_against == 1);
	f = finding(all, n, "Nine tenths");
	assert_true(f && f->n_for == 1 && fabs(f->worst - 1) < 1e-12);
	f = finding(all, n, "from scratch");
	assert_true(f && f->n_for == 1);
	f = finding(all, n, "a quarter, a half");
	assert_true(f && f->n_against == 1 && fabs(f->worst + 0.5) < 1e-12);
	f = finding(all, n, "weights move further");
	assert_true(f && f->n_for == 1 && fabs(f->worst - 0.15) < 1e-12);
	free_rows(&r);
}

static void test_section(void **state)
{
	struct rows r = new_rows();
	struct pb_study study;
	struct pb_section section = { 0 };
	size_t charts = 0, tables = 0;

	(void)state;
	five_widths(&r);
	add(&r, "m", "onebit", "{}", 1, 1000, 0, "nll", 2.2);
	add(&r, "m", "onebit", "{}", 1, 1000, 0, "acc", 0.3);
	add(&r, "m", "identity", "{}", 16, 0, 0, "acc", 0.5);
	assert_int_equal(pb_study_read(&study, &r.rows, r.arena, NULL), PB_OK);
	pb_study_section(&section, &study);
	assert_int_equal(pb_section_check(&section, NULL), PB_OK);
	for (size_t i = 0; i < section.n_blocks; i++) {
		charts += section.blocks[i].kind == PB_SECTION_CHART;
		tables += section.blocks[i].kind == PB_SECTION_TABLE;
	}
	assert_int_equal(charts, 2);    /* by parameters and by bytes: of the other parts there is nothing to draw */
	assert_int_equal(tables, 2);
	pb_section_free(&section);
	free_rows(&r);
}

static void test_nothing(void **state)
{
	struct rows r = new_rows();
	struct pb_study study;
	struct pb_study_finding all[PB_STUDY_FINDINGS];

	(void)state;
	assert_int_equal(pb_study_read(&study, &r.rows, r.arena, NULL), PB_OK);
	assert_false(pb_study_is_there(&study));
	assert_int_equal(pb_study_findings(&study, all), 0);
	add(&r, "m", "paretoq", "not JSON", 2, 0, 0, "nll", 1)->calibration = "[]";
	assert_int_equal(pb_study_read(&study, &r.rows, r.arena, NULL), PB_OK);
	assert_int_equal(study.n, 1);
	free_rows(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seeds_are_one_setting), cmocka_unit_test(test_verdicts), cmocka_unit_test(test_findings),
		cmocka_unit_test(test_grids_splits_movement), cmocka_unit_test(test_section), cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests_name("study", tests, NULL, NULL);
}
