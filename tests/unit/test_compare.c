/* Comparison of two runs: alarms that are false, changes that are real, and what may not be compared. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/json.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "reports/regressions.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"

#define CELLS 12
#define TASKS 3

static struct pb_row *add_row(struct pb_rows *rows, const char *model, const char *task, const char *metric, double value)
{
	struct pb_row *r = pb_rows_add(rows, NULL);

	assert_non_null(r);
	r->run = "r";
	r->cell = model;
	r->status = PB_ROW_OK;
	r->model = model;
	r->quantizer = r->label = "rtn";
	r->options = "{}";
	r->backend = "blas";
	r->task = task;
	r->metric = metric;
	r->value = value;
	r->higher_is_better = metric[0] == 'a';
	return r;
}

/* Choice items of two runs of one setting that differ by chance: each has an item right with the same probability, and most alike. */
static void simulate(struct pb_stored_item *first, struct pb_stored_item *second, size_t n, uint64_t stream, double lost, double won)
{
	static const double values[2] = { -1, -2 };
	struct pb_rng rng = pb_rng_make(77, stream);

	for (uint32_t i = 0; i < n; i++) {
		double u = pb_rng_unit(&rng);
		bool right = pb_rng_unit(&rng) < 0.6;

		first[i] = second[i] = (struct pb_stored_item){ .index = i, .n_values = 2, .values = values, .weight = 1, .gold = 0, .chosen = right ? 0 : 1, .chosen_norm = 0 };
		if (u < lost) {
			first[i].chosen = 0;
			second[i].chosen = 1;
		} else if (u < lost + won) {
			first[i].chosen = 1;
			second[i].chosen = 0;
		}
	}
}

/* One comparison of CELLS settings on TASKS tasks of n items; `lost` and `won` are of the first entry, else chance. */
static void compare_simulated(struct pb_comparison *c, struct pb_arena *arena, struct pb_rows *rows, size_t n, uint64_t stream, double lost, double won)
{
	static const char *const models[CELLS] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l" }, *const tasks[TASKS] = { "x", "y", "z" };
	struct pb_stored_item *first = pb_arena_alloc(arena, n, sizeof(*first)), *second = pb_arena_alloc(arena, n, sizeof(*second));

	*c = (struct pb_comparison){ .list = pb_arena_alloc(arena, CELLS * TASKS, sizeof(*c->list)) };
	for (size_t i = 0; i < CELLS * TASKS; i++)
		(void)add_row(rows, models[i / TASKS], tasks[i % TASKS], "acc", 0.6);
	for (size_t i = 0; i < CELLS * TASKS; i++) {
		struct pb_compared *e = &c->list[c->n++];
		struct pb_items a = { .items = first, .n = n }, b = { .items = second, .n = n };

		simulate(first, second, n, stream * CELLS * TASKS + i, i ? 0.02 : lost, i ? 0.02 : won);
		*e = (struct pb_compared){ .base = &rows->rows[i], .now = &rows->rows[i], .why = "", .tested = true };
		OK(pb_pair_items(&e->pair, arena, "acc", &a, 1, &b, 1, ERR));
	}
	OK(pb_compare_judge(c, arena, ERR));
}

static void false_alarms(void **state)
{
	size_t alarms = 0;

	(void)state;
	for (uint64_t k = 0; k < 200; k++) {
		struct pb_arena *arena = pb_arena_new();
		struct pb_rows rows;
		struct pb_comparison c;

		pb_rows_init(&rows);
		compare_simulated(&c, arena, &rows, 500, k, 0.02, 0.02);
		assert_int_equal(c.n_means, CELLS);
		alarms += pb_compare_is_regression(&c) || c.n_changes[PB_CHANGE_BETTER];
		pb_rows_free(&rows);
		pb_arena_free(arena);
	}
	/* At most one in a hundred is expected; of 200, more than 7 would be seen once in 1000 times. */
	assert_in_range(alarms, 0, 7);
}

static void planted_regression(void **state)
{
	size_t found = 0, others = 0;

	(void)state;
	for (uint64_t k = 0; k < 20; k++) {
		struct pb_arena *arena = pb_arena_new();
		struct pb_rows rows;
		struct pb_comparison c;

		pb_rows_init(&rows);
		compare_simulated(&c, arena, &rows, 5000, 1000 + k, 0.015, 0.005);
		found += c.list[0].change == PB_CHANGE_WORSE;
		others += c.n_changes[PB_CHANGE_WORSE] + c.n_changes[PB_CHANGE_BETTER] - (c.list[0].change == PB_CHANGE_WORSE);
		pb_rows_free(&rows);
		pb_arena_free(arena);
	}
	assert_in_range(found, 19, 20);
	assert_in_range(others, 0, 2);
}

/* Three runs of the same settings, which get each item of the same questions otherwise than they should with a probability of 1 %; the first entry of
 * night k also loses a share of lost[k] of the items that it had right. */
static void simulate_nights(struct pb_stored_item *runs[3], size_t n, uint64_t stream, const double lost[3])
{
	static const double values[2] = { -1, -2 };
	struct pb_rng rng = pb_rng_make(78, stream);

	for (uint32_t i = 0; i < n; i++) {
		bool right = pb_rng_unit(&rng) < 0.6;

		for (int k = 0; k < 3; k++) {
			bool flips = pb_rng_unit(&rng) < 0.01, loses = pb_rng_unit(&rng) < lost[k];

			runs[k][i] = (struct pb_stored_item){ .index = i, .n_values = 2, .values = values, .weight = 1, .gold = 0, .chosen = right != flips && !loses ? 0 : 1,
				.chosen_norm = 0 };
		}
	}
}

/* What the last two of three nights say of CELLS settings on TASKS tasks of n items. */
static void judge_nights(struct pb_regressions *r, struct pb_comparison c[3], struct pb_arena *arena, struct pb_rows *rows, size_t n, uint64_t stream, const double lost[3])
{
	static const char *const models[CELLS] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l" }, *const tasks[TASKS] = { "x", "y", "z" };
	static const double none[3] = {0};
	struct pb_stored_item *runs[3];

	for (int k = 0; k < 3; k++) {
		runs[k] = pb_arena_alloc(arena, n, sizeof(*runs[k]));
		c[k] = (struct pb_comparison){ .list = pb_arena_alloc(arena, CELLS * TASKS, sizeof(*c->list)) };
	}
	for (size_t i = 0; i < CELLS * TASKS; i++)
		(void)add_row(rows, models[i / TASKS], tasks[i % TASKS], "acc", 0.6);
	for (size_t i = 0; i < CELLS * TASKS; i++) {
		simulate_nights(runs, n, stream * CELLS * TASKS + i, i ? none : lost);
		for (int k = 1; k < 3; k++) {
			struct pb_compared *e = &c[k].list[c[k].n++];

			*e = (struct pb_compared){ .base = &rows->rows[i], .now = &rows->rows[i], .why = "", .tested = true };
			OK(pb_pair_items(&e->pair, arena, "acc", &(struct pb_items){ .items = runs[0], .n = n }, 1, &(struct pb_items){ .items = runs[k], .n = n }, 1, ERR));
		}
	}
	for (int k = 1; k < 3; k++)
		OK(pb_compare_judge(&c[k], arena, ERR));
	OK(pb_regressions_find(r, arena, c, 3, ERR));
}

struct nights {
	size_t suspected, confirmed, gone;              /* simulations with any */
	size_t found[PB_REGRESSION_STATES];             /* states of the first entry */
};

static struct nights count_nights(size_t simulations, size_t n, uint64_t stream, double second, double third)
{
	struct nights out = {0};

	for (uint64_t k = 0; k < simulations; k++) {
		struct pb_arena *arena = pb_arena_new();
		struct pb_rows rows;
		struct pb_comparison c[3];
		struct pb_regressions r;

		pb_rows_init(&rows);
		judge_nights(&r, c, arena, &rows, n, stream + k, (const double[3]){ 0, second, third });
		out.suspected += r.n_states[PB_REGRESSION_SUSPECTED] > 0;
		out.confirmed += r.n_states[PB_REGRESSION_CONFIRMED] > 0;
		out.gone += r.n_states[PB_REGRESSION_GONE] > 0;
		for (size_t i = 0; i < r.n; i++)
			if (r.list[i].base == &rows.rows[0] && r.list[i].entry)
				out.found[r.list[i].state]++;
		pb_rows_free(&rows);
		pb_arena_free(arena);
	}
	return out;
}

static void false_alarms_of_nights(void **state)
{
	struct nights n = count_nights(200, 500, 0, 0, 0);

	(void)state;
	/* A night suspects something in one of 200 at most, one side of a level of 1 %: of 200, more than 5 would be seen once in 1700 times. That two
	 * nights see the same is rarer still, though they share the first run: more than one of 200 is no chance. */
	assert_in_range(n.suspected, 0, 5);
	assert_in_range(n.gone, 0, 5);
	assert_in_range(n.confirmed, 0, 1);
}

static void planted_nights(void **state)
{
	struct nights both = count_nights(20, 5000, 1000, 0.03, 0.03), last = count_nights(20, 5000, 2000, 0, 0.03), before = count_nights(20, 5000, 3000, 0.03, 0);

	(void)state;
	assert_in_range(both.found[PB_REGRESSION_CONFIRMED], 18, 20);
	assert_in_range(last.found[PB_REGRESSION_SUSPECTED], 18, 20);
	assert_int_equal(last.found[PB_REGRESSION_CONFIRMED], 0);
	assert_in_range(before.found[PB_REGRESSION_GONE], 18, 20);
	assert_int_equal(before.found[PB_REGRESSION_CONFIRMED] + before.found[PB_REGRESSION_SUSPECTED], 0);
}

/* Rows of one cell through the nights, as comparisons say it. */
static void states_of_nights(void **state)
{
	static const struct { const char *nights; enum pb_regression_state state; size_t since, last; } cases[] = {
		{ "w", PB_REGRESSION_SUSPECTED, 1, 1 }, { "ww", PB_REGRESSION_CONFIRMED, 1, 2 }, { "w.", PB_REGRESSION_GONE, 1, 1 }, { "w.w", PB_REGRESSION_SUSPECTED, 3, 3 },
		{ "ww.", PB_REGRESSION_GONE, 1, 2 }, { "w?w", PB_REGRESSION_CONFIRMED, 1, 3 }, { "w?", PB_REGRESSION_SUSPECTED, 1, 1 }, { "ww?", PB_REGRESSION_CONFIRMED, 1, 2 },
		{ "fw", PB_REGRESSION_CONFIRMED, 1, 2 }, { "wf", PB_REGRESSION_CONFIRMED, 1, 2 }, { "+w", PB_REGRESSION_SUSPECTED, 2, 2 }, { "w+", PB_REGRESSION_GONE, 1, 1 },
		{ "..www", PB_REGRESSION_CONFIRMED, 3, 5 }, { "?rw", PB_REGRESSION_SUSPECTED, 3, 3 },
	};
	struct pb_arena *arena = pb_arena_new();
	struct pb_rows rows;

	(void)state;
	pb_rows_init(&rows);
	(void)add_row(&rows, "m", "x", "acc", 0.5);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = strlen(cases[i].nights);
		struct pb_comparison c[8] = {0};
		struct pb_compared entries[8];
		struct pb_regressions r;

		for (size_t k = 1; k <= n; k++) {
			const char *codes = "w.f+r";
			const char *at = strchr(codes, cases[i].nights[k - 1]);
			static const enum pb_change changes[] = { PB_CHANGE_WORSE, PB_CHANGE_NOISE, PB_CHANGE_FAILED, PB_CHANGE_BETTER, PB_CHANGE_REFUSED };

			if (!at)
				continue;
			entries[k] = (struct pb_compared){ .base = rows.rows, .change = changes[at - codes], .why = "" };
			c[k] = (struct pb_comparison){ .list = &entries[k], .n = 1 };
		}
		OK(pb_regressions_find(&r, arena, c, n + 1, ERR));
		assert_int_equal(r.n, 1);
		assert_int_equal(r.list[0].state, cases[i].state);
		assert_int_equal(r.list[0].since, cases[i].since);
		assert_int_equal(r.list[0].last, cases[i].last);
		assert_ptr_equal(r.list[0].entry, &entries[cases[i].last]);
	}
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

static const struct pb_compared *entry_of(const struct pb_comparison *c, const char *model, const char *metric)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct pb_row *r = c->list[i].base ? c->list[i].base : c->list[i].now;

		if (strcmp(r->model, model) == 0 && strcmp(r->metric, metric) == 0)
			return &c->list[i];
	}
	fail_msg("%s %s is not compared", model, metric);
	return NULL;
}

/* Another seed on each side: a difference that the items alone would show is within noise, unless there are seeds that tell how much seeds differ. */
static void seeds(void **state)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_stored_item items[4][1000];
	struct pb_items sets[4];
	struct pb_rows rows;

	(void)state;
	pb_rows_init(&rows);
	(void)add_row(&rows, "m", "x", "acc", 0.6);
	simulate(items[0], items[1], 1000, 9, 0.1, 0.02);
	simulate(items[2], items[3], 1000, 9, 0.11, 0.02);
	for (int i = 0; i < 4; i++)
		sets[i] = (struct pb_items){ .items = items[i], .n = 1000, .seed = i };
	for (int several = 0; several < 2; several++)
		for (int same = 0; same < 2; same++) {
			struct pb_compared e = { .base = rows.rows, .now = rows.rows, .why = "", .tested = true };
			struct pb_comparison c = { .list = &e, .n = 1 };
			struct pb_items first[2] = { sets[0], sets[2] }, second[2] = { sets[1], sets[3] };

			for (int i = 0; same && i < 2; i++)
				second[i].seed = first[i].seed;
			OK(pb_pair_items(&e.pair, arena, "acc", first, several ? 2 : 1, second, several ? 2 : 1, ERR));
			OK(pb_compare_judge(&c, arena, ERR));
			assert_int_equal(e.change, same || several ? PB_CHANGE_WORSE : PB_CHANGE_NOISE);
			assert_int_equal(e.by_seed, !same && !several);
			assert_int_equal(pb_compare_is_regression(&c), same || several);
		}
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

static void nothing_may_be_compared(void **state)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_item_stores none = {0};
	struct pb_rows a, b;
	struct pb_comparison c;

	(void)state;
	pb_rows_init(&a);
	pb_rows_init(&b);
	(void)add_row(&a, "m", "x", "acc", 0.5);
	(void)add_row(&b, "m", "x", "acc", 0.5);
	a.rows[0].protocol = "p";
	b.rows[0].protocol = "q";
	a.rows[0].tokenizer_hash = "1";
	b.rows[0].tokenizer_hash = "2";
	a.rows[0].data_hash = "one";
	b.rows[0].data_hash = "two";
	OK(pb_compare_make(&c, arena, &a, &none, &b, &none, ERR));
	assert_ptr_equal(pb_compare_all_refused(&c), c.list);
	assert_string_equal(c.list[0].why, "the data (one, two), the protocol (p, q), the tokenizer (1, 2)");
	pb_rows_free(&a);
	pb_rows_free(&b);
	pb_arena_free(arena);
}

/* The same task twice: as nll in both, with ppl_token beside it in one of them; and everything that is no pair. */
static void matching(void **state)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_store *stores[2];
	struct pb_rows sides[2];
	struct pb_item_stores items[2] = { { &stores[0], 1 }, { &stores[1], 1 } };
	struct pb_comparison c;
	struct pb_text t = {0};
	struct pb_row *r;
	json_t *json;

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct pb_stored_item texts[50];
		double values[50];

		for (uint32_t i = 0; i < 50; i++) {
			values[i] = -10 - 0.01 * i - (k && i % 2 ? 0.5 : 0);
			texts[i] = (struct pb_stored_item){ .index = i, .n_values = 1, .values = &values[i], .weight = 5, .gold = -1, .chosen = -1, .chosen_norm = -1 };
		}
		pb_rows_init(&sides[k]);
		OK(pb_store_open(&stores[k], scratch_path(k ? "new" : "base"), true, ERR));
		/* The same key in both, other numbers: each side has the items of its own record. */
		(void)add_row(&sides[k], "same", "text", "ppl_token", 2 + 0.1 * k);
		r = add_row(&sides[k], "same", "text", "nll", 2 + 0.05 * k);
		OK(pb_store_put(stores[k], "same", 0, r, 1, &(struct pb_stored_task){ .task = "text", .n_items = 50, .items = texts }, 1, ERR));
		r = add_row(&sides[k], "protocol", "text", "nll", 2);
		r->protocol = k ? "p@256" : "p@512";
		(void)add_row(&sides[k], "weights", "weights", "proxy_error", 0.1 + k);
		r = add_row(&sides[k], "elsewhere", "piqa", "acc", 0.6 - 0.1 * k);
		r->kernel = "imported";
		r->stderr_value = 0.01;
		r->n = 2000;
		r = add_row(&sides[k], "broken", "text", "nll", 2);
		if (k) {
			r->status = PB_ROW_FAILED;
			r->metric = "";
			r->reason = "out of memory";
		}
		(void)add_row(&sides[k], k ? "appeared" : "gone", "text", "nll", 2);
	}
	OK(pb_compare_make(&c, arena, &sides[0], &items[0], &sides[1], &items[1], ERR));
	assert_int_equal(c.n, 7);
	assert_int_equal(entry_of(&c, "same", "nll")->change, PB_CHANGE_WORSE);
	assert_true(fabs(entry_of(&c, "same", "nll")->pair.difference.value - 0.05) < 1e-12);
	assert_int_equal(entry_of(&c, "protocol", "nll")->change, PB_CHANGE_REFUSED);
	assert_string_equal(entry_of(&c, "protocol", "nll")->why, "the protocol (p@512, p@256)");
	assert_int_equal(entry_of(&c, "weights", "proxy_error")->change, PB_CHANGE_UNTESTED);
	assert_int_equal(entry_of(&c, "elsewhere", "acc")->change, PB_CHANGE_WORSE);
	assert_string_equal(entry_of(&c, "elsewhere", "acc")->pair.how, "independent");
	assert_int_equal(entry_of(&c, "broken", "nll")->change, PB_CHANGE_FAILED);
	assert_string_equal(entry_of(&c, "broken", "nll")->why, "failed: out of memory");
	assert_int_equal(entry_of(&c, "gone", "nll")->change, PB_CHANGE_ONLY_BASE);
	assert_int_equal(entry_of(&c, "appeared", "nll")->change, PB_CHANGE_ONLY_NEW);
	assert_true(pb_compare_is_regression(&c));
	for (int format = PB_COMPARE_TABLE; format <= PB_COMPARE_JSON; format++) {
		pb_text_clear(&t);
		OK(pb_compare_print(&c, &(struct pb_compare_names){ "a", "b|*\n", true }, (enum pb_compare_format)format, &t, ERR));
		assert_null(format == PB_COMPARE_JSON ? NULL : strstr(pb_text_c(&t), "b|*\n"));
	}
	OK(pb_json_parse(&json, "json", pb_text_c(&t), t.length, ERR));
	assert_int_equal(json_array_size(json_object_get(json, "compared")), 7);
	assert_true(json_is_true(json_object_get(json, "regression")));
	json_decref(json);
	pb_text_free(&t);
	for (int k = 0; k < 2; k++) {
		pb_store_close(stores[k]);
		pb_rows_free(&sides[k]);
	}
	pb_arena_free(arena);
}

static void nothing_in_common(void **state)
{
	struct pb_arena *arena = pb_arena_new();
	struct pb_item_stores none = {0};
	struct pb_rows a, b;
	struct pb_comparison c;
	struct pb_error why = {0};

	(void)state;
	pb_rows_init(&a);
	pb_rows_init(&b);
	(void)add_row(&a, "m", "x", "acc", 0.5);
	(void)add_row(&b, "n", "x", "acc", 0.5);
	assert_int_equal(pb_compare_make(&c, arena, &a, &none, &b, &none, &why), PB_USAGE);
	pb_rows_free(&a);
	pb_rows_free(&b);
	pb_arena_free(arena);
}

/* Five subjects of one name count as one task in the mean of a setting. */
static void mean_of_groups(void **state)
{
	static const char *const tasks[] = { "exam-a", "exam-b", "exam-c", "exam-d", "exam-e", "piqa" };
	struct pb_arena *arena = pb_arena_new();
	struct pb_rows sides[2];
	struct pb_comparison c;

	(void)state;
	for (int k = 0; k < 2; k++) {
		pb_rows_init(&sides[k]);
		for (size_t i = 0; i < 6; i++) {
			struct pb_row *r = add_row(&sides[k], "m", tasks[i], "acc", 0.5 + k * (i < 5 ? 0.1 : 0.4));

			r->kernel = "imported";
			r->stderr_value = 0.03;
			r->n = 1000;
		}
	}
	OK(pb_compare_make(&c, arena, &sides[0], &(struct pb_item_stores){0}, &sides[1], &(struct pb_item_stores){0}, ERR));
	assert_int_equal(c.n_means, 1);
	assert_int_equal(c.means[0].n_tasks, 2);
	assert_true(fabs(c.means[0].difference.value - (0.1 + 0.4) / 2) < 1e-15);
	assert_true(fabs(c.means[0].difference.stderr_value - c.list[0].pair.difference.stderr_value * sqrt(0.2 + 1) / 2) < 1e-15);
	for (int k = 0; k < 2; k++)
		pb_rows_free(&sides[k]);
	pb_arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(false_alarms),
		cmocka_unit_test(planted_regression),
		cmocka_unit_test(false_alarms_of_nights),
		cmocka_unit_test(planted_nights),
		cmocka_unit_test(states_of_nights),
		cmocka_unit_test(seeds),
		cmocka_unit_test(nothing_may_be_compared),
		cmocka_unit_test(matching),
		cmocka_unit_test(nothing_in_common),
		cmocka_unit_test(mean_of_groups),
	};

	return cmocka_run_group_tests_name("compare", tests, NULL, scratch_teardown);
}
