/* Results from elsewhere: both forms of lm-evaluation-harness, tables of rows, and everything that is neither. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/file.h"
#include "core/store/import.h"
#include "tests/unit/expect.h"

static const struct pb_row *row_of(const struct pb_rows *rows, const char *task, const char *metric)
{
	for (size_t i = 0; i < rows->n; i++)
		if (strcmp(rows->rows[i].task, task) == 0 && strcmp(rows->rows[i].metric, metric) == 0)
			return &rows->rows[i];
	fail_msg("no row %s %s", task, metric);
	return NULL;
}

static void older_form(void **state)
{
	struct pb_rows rows;
	const struct pb_row *r;

	(void)state;
	pb_rows_init(&rows);
	OK(pb_rows_import(&rows, "tests/fuzz/corpus/import/old.json", ERR));
	assert_int_equal(rows.n, 4);
	r = row_of(&rows, "piqa", "acc_norm");
	assert_string_equal(r->model, "pythia-1.4b@step143000");
	assert_int_equal(r->params, 1400000000);
	assert_string_equal(r->kernel, PB_IMPORTED);
	assert_string_equal(r->protocol, "lm-eval version 0, 0-shot");
	assert_string_equal(r->run, "old.json");
	assert_int_equal(r->status, PB_ROW_OK);
	assert_true(r->value == 0.71 && r->stderr_value == 0.01 && r->higher_is_better);
	assert_true(r->n == PB_ABSENT && r->model_bytes == PB_ABSENT && r->weight_bytes == PB_ABSENT && isnan(r->effective_bits));
	r = row_of(&rows, "lambada_openai", "ppl");
	assert_false(r->higher_is_better);
	assert_true(isnan(row_of(&rows, "lambada_openai", "acc")->stderr_value));
	pb_rows_free(&rows);
}

static void newer_form(void **state)
{
	struct pb_rows rows;
	const struct pb_row *r;

	(void)state;
	pb_rows_init(&rows);
	OK(pb_rows_import(&rows, "tests/fuzz/corpus/import/new.json", ERR));
	assert_int_equal(rows.n, 4);
	r = row_of(&rows, "piqa", "acc");
	assert_string_equal(r->model, "some-model");
	assert_string_equal(r->options, "{\"model_args\":\"pretrained=org/some-model,dtype=bfloat16\"}");
	assert_string_equal(r->version, "0.4.5");
	assert_string_equal(r->protocol, "lm-eval version 1, 5-shot");
	assert_true(r->params == 123456 && r->n == 100 && r->seed == 7 && r->stderr_value == 0.01);
	assert_true(isnan(row_of(&rows, "piqa", "acc_norm")->stderr_value));
	r = row_of(&rows, "wikitext", "ppl_word");
	assert_false(r->higher_is_better);
	assert_string_equal(r->protocol, "lm-eval version 2");
	assert_true(row_of(&rows, "gsm8k", "exact_match,strict-match")->stderr_value == 0.02);
	pb_rows_free(&rows);
}

static void table(void **state)
{
	struct pb_rows rows;
	const struct pb_row *r;

	(void)state;
	pb_rows_init(&rows);
	OK(pb_rows_import(&rows, "tests/fuzz/corpus/import/rows.csv", ERR));
	assert_int_equal(rows.n, 2);
	r = row_of(&rows, "piqa", "acc");
	assert_true(r->model_bytes == 123456 && r->n == 1838 && r->higher_is_better);
	assert_string_equal(r->label, "gptq w4");
	assert_string_equal(r->backend, PB_IMPORTED);
	r = row_of(&rows, "wikitext", "ppl_word");
	assert_false(r->higher_is_better);
	assert_true(r->model_bytes == PB_ABSENT && isnan(r->stderr_value));
	assert_string_equal(r->label, "a \"b\"");
	assert_string_not_equal(rows.rows[0].cell, rows.rows[1].cell);
	pb_rows_free(&rows);

	/* Counters are numbers; absent ones stay absent. */
	pb_rows_init(&rows);
	OK(pb_rows_import(&rows, "tests/fuzz/corpus/import/counters.csv", ERR));
	assert_float_equal(pb_row_counter(row_of(&rows, "piqa", "acc"), "energy"), 12.5, 0);
	assert_true(isnan(pb_row_counter(row_of(&rows, "piqa", "acc"), "wall_time")));
	assert_null(row_of(&rows, "arc", "acc")->counters);
	pb_rows_free(&rows);
}

static void refused(void **state)
{
	static const struct { const char *text, *word; } cases[] = {
		{ "", "nothing is in it" }, { "{", ":1:" }, { "{}", "no object `results`" }, { "{\"results\":{\"piqa\":3}}", "piqa: its results" },
		{ "{\"results\":{\"piqa\":{\"acc\":[]}}}", "piqa: acc is not a number" }, { "{\"results\":{\"piqa\":{\"acc\":1,\"acc_stderr\":{}}}}", "acc_stderr is not a number" },
		{ "{\"results\":{\"piqa\":{\"acc\":1,\"acc_stderr\":-1}}}", "below 0" }, { "{\"results\":{\"piqa\":{\"acc\":NaN}}}", ":1:" },
		{ "{\"results\":{\"\":{\"acc\":1}}}", "a task has no name" }, { "{\"results\":{\"piqa\":{\",none\":1}}}", "piqa: a metric has no name" },
		{ "{\"results\":{},\"config\":{\"model_args\":\"pretrained=a/\"}}", "no name" },
		{ "model,task,metric\n", "no column 'value'" }, { "model,task,metric,value,wbit\n", "'wbit' is not a column" }, { "model,task,metric,value,value\n", "twice" },
		{ "model,task,metric,value\nm,t,acc\n", "f:2: 3 fields" }, { "model,task,metric,value\nm,t,acc,x\n", "f:2: value 'x' is not a number" },
		{ "model,task,metric,value\nm,t,acc,nan\n", "not a number" }, { "model,task,metric,value\nm,t,acc,\n", "f:2: no value" }, { "model,task,metric,value\n,t,acc,1\n", "no model" },
		{ "model,task,metric,value,stderr\nm,t,acc,1,-1\n", "below 0" }, { "model,task,metric,value,n\nm,t,acc,1,1.5\n", "not an integer" },
		{ "model,task,metric,value,status\nm,t,acc,1,failed\n", "has no value" }, { "model,task,metric,value,status\nm,t,acc,1,fine\n", "not a status" },
		{ "model,task,metric,value,higher_is_better\nm,t,acc,1,yes\n", "true or false" }, { "model,task,metric,value,schema\nm,t,acc,1,2\n", "schema" },
		{ "model,task,metric,value,counter.\n", "not a column" }, { "model,task,metric,value,counter.energy,counter.energy\n", "twice" },
		{ "model,task,metric,value,counter.energy\nm,t,acc,1,much\n", "f:2: counter.energy 'much' is not a number" },
		{ "model,task,metric,value,\n", "column 5 has no name" }, { "\xff\xfe\n", "not a column" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pb_rows rows;
		struct pb_error why = {0};

		pb_rows_init(&rows);
		assert_int_equal(pb_rows_import_bytes(&rows, "f", cases[i].text, strlen(cases[i].text), &why), PB_FORMAT);
		if (!strstr(why.text, cases[i].word) || why.text[0] != 'f')
			fail_msg("case %zu: %s", i, why.text);
		pb_rows_free(&rows);
	}
}

/* Only one size in the name is the model's. */
static void sizes_in_names(void **state)
{
	static const struct { const char *name; int64_t params; } cases[] = { { "pythia-70m", 70000000 }, { "OLMo-1B-hf", 1000000000 }, { "Llama-3.2-1B", 1000000000 },
		{ "opt-350M_v2", 350000000 }, { "mixtral-8x7b", PB_ABSENT }, { "gpt2", PB_ABSENT }, { "7b-to-13b", PB_ABSENT }, { "model-1.5.2b", PB_ABSENT }, { "v1.1-step3b3", PB_ABSENT } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pb_rows rows;
		char text[160];

		snprintf(text, sizeof(text), "{\"results\":{\"t\":{\"acc\":1}},\"model_name\":\"%s\"}", cases[i].name);
		pb_rows_init(&rows);
		OK(pb_rows_import_bytes(&rows, "f", text, strlen(text), ERR));
		if (rows.rows[0].params != cases[i].params)
			fail_msg("%s: %lld", cases[i].name, (long long)rows.rows[0].params);
		pb_rows_free(&rows);
	}
}

/* The eight dumps of Pythia, where they are: 87 tasks each, perplexity falls with size. */
static void pythia(void **state)
{
	static const char *const names[] = { "70m", "160m", "410m", "1b-bf16", "1.4b", "2.8b", "6.9b", "12b" };
	const char *data = getenv("PB_TEST_DATA");
	double before = INFINITY;

	(void)state;
	for (size_t i = 0; data && i < sizeof(names) / sizeof(names[0]); i++) {
		struct pb_rows rows;
		char path[512];

		snprintf(path, sizeof(path), "%s/results/pythia_v1_zeroshot/%s_step143000.json", data, names[i]);
		if (!pb_file_exists(path))
			skip();
		pb_rows_init(&rows);
		OK(pb_rows_import(&rows, path, ERR));
		assert_int_equal(rows.n, 172);
		assert_true(row_of(&rows, "lambada_openai", "ppl")->value < before);
		before = row_of(&rows, "lambada_openai", "ppl")->value;
		pb_rows_free(&rows);
	}
	if (!data)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(older_form),
		cmocka_unit_test(newer_form),
		cmocka_unit_test(table),
		cmocka_unit_test(refused),
		cmocka_unit_test(sizes_in_names),
		cmocka_unit_test(pythia),
	};

	return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
