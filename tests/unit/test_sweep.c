/* Sweep files: lists multiply out, and every mistake is one sentence with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "core/base/file.h"
#include "harness/run/sweep.h"
#include "reports/orders.h"

static char folder[64], model[96];
static struct pb_data_path nowhere;

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/pb-sweep-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(model, sizeof(model), "%s/m.bin", folder);
	return pb_file_write(model, "x", 1, NULL);
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static enum pb_status parse(struct pb_sweep **sweep, const char *text, struct pb_error *err)
{
	char name[96];

	snprintf(name, sizeof(name), "%s/s.yaml", folder);
	return pb_sweep_parse(sweep, name, text, strlen(text), &nowhere, err);
}

static void test_lists_multiply_out(void **state)
{
	struct pb_sweep *s = NULL;
	struct pb_error err = {0};
	enum pb_status st = parse(&s,
		"models: [m.bin]\n"
		"quantizers:\n"
		"  - identity\n"
		"  - rtn: {bits: [2, 3], group_size: [-1, 64]}\n"
		"  - rtn:bits=4\n"
		"tasks: [tinystories, piqa: {limit: 5}]\n"
		"limit: 100\n"
		"limits: {time: 1h30m, memory: 1GiB}\n"
		"seeds: [0, 7]\n", &err);

	(void)state;
	if (st)
		print_message("%s\n", err.text);
	assert_int_equal(st, PB_OK);
	assert_int_equal(s->models[0].n_quantizers, 6);
	assert_string_equal(s->models[0].quantizers[1], "rtn:bits=2,group_size=-1");
	assert_string_equal(s->models[0].quantizers[2], "rtn:bits=2,group_size=64");
	assert_string_equal(s->models[0].quantizers[4], "rtn:bits=3,group_size=64");
	assert_string_equal(s->name, "s");
	assert_int_equal(s->tasks[0].limit, 100);
	assert_int_equal(s->tasks[1].limit, 5);
	assert_true(s->limits.seconds == 5400);
	assert_int_equal(s->limits.memory_bytes, 1u << 30);
	assert_int_equal(s->models[0].seeds[1], 7);
	assert_string_equal(s->models[0].path, model);
	pb_sweep_free(s);
}

static void test_calibration(void **state)
{
	struct pb_sweep *s = NULL;
	struct pb_error err = {0};

	(void)state;
	assert_int_equal(parse(&s, "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\n", &err), PB_OK);
	assert_null(s->calibration);
	pb_sweep_free(s);
	assert_int_equal(parse(&s, "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ncalibration: {data: m.bin}\n", &err), PB_OK);
	assert_string_equal(s->calibration->data, model);
	assert_int_equal(s->calibration->n_samples, 128);
	assert_int_equal(s->calibration->seq_len, 0);
	assert_int_equal(s->calibration->seed, 0);
	pb_sweep_free(s);
	assert_int_equal(parse(&s, "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\n"
		"calibration: {data: m.bin, n_samples: 3, seq_len: 256, seed: 7, format: text}\n", &err), PB_OK);
	assert_int_equal(s->calibration->n_samples, 3);
	assert_int_equal(s->calibration->seq_len, 256);
	assert_int_equal(s->calibration->seed, 7);
	assert_int_equal(s->calibration->format, PB_CALIBRATION_TEXT);
	assert_null(s->training);
	pb_sweep_free(s);
	assert_int_equal(parse(&s, "models: [m.bin]\nquantizers: [paretoq]\ntasks: [piqa]\ntraining: {data: m.bin, format: text}\n", &err), PB_OK);
	assert_string_equal(s->training->data, model);
	assert_int_equal(s->training->format, PB_CALIBRATION_TEXT);
	pb_sweep_free(s);
}

static void test_expectations(void **state)
{
	struct pb_sweep *s = NULL;
	struct pb_error err = {0};
	struct pb_expected *list = NULL;
	struct pb_arena *arena = pb_arena_new();
	size_t n = 0;
	enum pb_status st = parse(&s,
		"models: [m.bin]\n"
		"quantizers: [identity, rtn: {bits: [2, 3], group_size: [-1, 64]}]\n"
		"tasks: [piqa]\n"
		"expect:\n"
		"  - {better: {rtn: {bits: [2, 3], group_size: 64}}, worse: {rtn: {bits: [2, 3]}}, task: piqa, metric: acc, source: one}\n"
		"  - {better: identity, worse: {rtn: {bits: [2, 3]}}, task: piqa, metric: acc_norm, source: two}\n", &err);

	(void)state;
	if (st)
		print_message("%s\n", err.text);
	assert_int_equal(st, PB_OK);
	assert_int_equal(pb_expected_parse(&list, &n, arena, "s", s->expect, &err), PB_OK);
	assert_int_equal(n, 4);
	assert_string_equal(list[1].better.name, "rtn:bits=3,group_size=64");
	assert_string_equal(list[1].worse.name, "rtn:bits=3");
	assert_non_null(strstr(list[1].worse.options, "\"group_size\":-1"));
	assert_string_equal(list[3].better.quantizer, "identity");
	assert_string_equal(list[3].worse.name, "rtn:bits=3");
	assert_string_equal(list[3].metric, "acc_norm");
	assert_string_equal(list[3].source, "two");
	pb_arena_free(arena);
	pb_sweep_free(s);
	assert_int_equal(parse(&s, "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\n", &err), PB_OK);
	assert_string_equal(s->expect, "");
	assert_string_equal(s->reference, "");
	pb_sweep_free(s);
	assert_int_equal(parse(&s, "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\nreference: {size: 4MiB, acc: 0.5, bits: 16}\n", &err), PB_OK);
	assert_string_equal(s->reference, "{\"acc\":0.5,\"bits\":16.0,\"size\":4194304.0}");
	pb_sweep_free(s);
}

/* Each text with a mistake, where it is, and a word that the message must have. */
static void test_mistakes_have_a_place(void **state)
{
	static const struct { const char *text, *place, *word; } cases[] = {
		{ "modles: [m.bin]\n", ":1:1:", "models" },
		{ "models: [m.bin]\nquantizers: [rnt]\ntasks: [piqa]\n", ":2:14:", "rtn" },
		{ "models: [m.bin]\nquantizers:\n  - rtn: {bitz: 4}\ntasks: [piqa]\n", ":3:", "bits" },
		{ "models: [m.bin]\nquantizers:\n  - rtn: {bits: [4, 99]}\ntasks: [piqa]\n", ":3:21:", "99" },
		{ "models: [m.bin]\nquantizers:\n  - rtn: {bits: \"4,group_size=16\"}\ntasks: [piqa]\n", ":3:17:", "comma" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqua]\n", ":3:9:", "piqa" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa, piqa]\n", ":3:15:", "twice" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [{piqa: {limits: 3}}]\n", ":3:", "limit" },
		{ "models: [none.bin]\nquantizers: [rtn]\ntasks: [piqa]\n", ":1:10:", "none.bin" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\nbackends: [bals]\n", ":4:12:", "blas" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\nlimits: {time: soon}\n", ":4:16:", "duration" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\nlimits: {memory: 3}\n", ":4:18:", "size" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\nseeds: [-1]\n", ":4:9:", "" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\nseeds: []\n", ":4:8:", "empty" },
		{ "models: []\nquantizers: [rtn]\ntasks: [piqa]\n", ":1:1:", "models" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ncalibration: {data: x}\n", ":4:21:", "x: not found" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ncalibration: {data: world_calib}\n", ":4:21:", "paretobench world" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ntraining: {data: x}\n", ":4:18:", "x: not found" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ntraining: {data: world_train}\n", ":4:18:", "paretobench world" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ntraining: {format: text}\n", ":4:11:", "data: FILE" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ntraining: {data: m.bin, n_samples: 1}\n", ":4:25:", "n_samples" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ntraining: {data: m.bin, format: words}\n", ":4:33:", "documents" },
		{ "models: [m.bin]\nquantizers: [paretoq]\ntasks: [piqa]\n", ":2:14:", "training: {data: FILE}" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ncalibration: m.bin\n", ":4:14:", "data: FILE" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ncalibration: {seed: 1}\n", ":4:14:", "data: FILE" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ncalibration: {data: m.bin, nsamples: 1}\n", ":4:28:", "n_samples" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ncalibration: {data: m.bin, n_samples: 0}\n", ":4:39:", "range" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\ncalibration: {data: m.bin, format: words}\n", ":4:36:", "documents" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\nbackends: [\"blas:cash=1\"]\n", ":4:12:", "cache" },
		{ "models: [m.bin]\nquantizers: [rtn: {bits: [2, 3]}]\ntasks: [piqa]\nexpect: 3\n", ":4:", "list of" },
		{ "models: [m.bin]\nquantizers: [rtn: {bits: [2, 3]}]\ntasks: [piqa]\nexpect:\n  - 3\n", ":5:5:", "{better, worse" },
		{ "models: [m.bin]\nquantizers: [rtn: {bits: [2, 3]}]\ntasks: [piqa]\nexpect:\n  - {better: \"rtn:bits=3\", task: piqa, metric: acc, source: x}\n", ":5:5:", "no worse" },
		{ "models: [m.bin]\nquantizers: [rtn: {bits: [2, 3]}]\ntasks: [piqa]\nexpect:\n  - {better: \"rtn:bits=3\", worse: rnt, task: piqa, metric: acc, source: x}\n", ":5:", "rtn" },
		{ "models: [m.bin]\nquantizers: [rtn: {bits: [2, 3]}]\ntasks: [piqa]\nexpect:\n  - {better: \"rtn:bits=3\", worse: {rtn: {bits: 4}}, task: piqa, metric: acc, source: x}\n", ":5:", "rtn:bits=4: no cell" },
		{ "models: [m.bin]\nquantizers: [rtn: {bits: [2, 3]}]\ntasks: [piqa]\nexpect:\n  - {better: {rtn: {bits: [3, 2]}}, worse: {rtn: {bits: [2, 3, 2]}}, task: piqa, metric: acc, source: x}\n", ":5:", "2 settings against 3" },
		{ "models: [m.bin]\nquantizers: [rtn: {bits: [2, 3]}]\ntasks: [piqa]\nexpect:\n  - {better: \"rtn:bits=3\", worse: \"rtn:bits=3,group_size=-1\", task: piqa, metric: acc, source: x}\n", ":5:", "same setting" },
		{ "models: [m.bin]\nquantizers: [rtn: {bits: [2, 3]}]\ntasks: [piqa]\nexpect:\n  - {better: \"rtn:bits=3\", worse: \"rtn:bits=2\", task: boolq, metric: acc, source: x}\n", ":5:", "boolq: not a task" },
		{ "models: [m.bin]\nquantizers: [rtn: {bits: [2, 3]}]\ntasks: [piqa]\nexpect:\n  - {better: \"rtn:bits=3\", worse: \"rtn:bits=2\", task: piqa, metric: nll, source: x}\n", ":5:", "no metric 'nll'" },
		{ "models: [m.bin]\nquantizers: [rtn: {bits: [2, 3]}]\ntasks: [piqa]\nexpect:\n  - {better: \"rtn:bits=3\", worse: \"rtn:bits=2\", paper: y, task: piqa, metric: acc, source: x}\n", ":5:", "paper" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\nreference: 3\n", ":4:", "{size: 4MiB" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\nreference: {size: much}\n", ":4:19:", "not a size" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\nreference: {bits: 0}\n", ":4:19:", "" },
		{ "models: [m.bin]\nquantizers: [rtn]\ntasks: [piqa]\nreference: {acc: 0, nll: 3}\n", ":4:21:", "nll: neither a cost" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pb_sweep *s = NULL;
		struct pb_error err = {0};

		assert_int_not_equal(parse(&s, cases[i].text, &err), PB_OK);
		if (!strstr(err.text, cases[i].place) || !strstr(err.text, cases[i].word))
			fail_msg("case %zu: '%s' lacks '%s' or '%s'", i, err.text, cases[i].place, cases[i].word);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lists_multiply_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calibration, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expectations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mistakes_have_a_place, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
