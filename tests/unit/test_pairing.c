/* Pairs of items: what is paired, on which scale, and what keeps from it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/memory.h"
#include "reports/pairing.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"

#define N 40

static struct pb_arena *arena;

static int open_arena(void **state)
{
	(void)state;
	return !(arena = pb_arena_new());
}

static int close_arena(void **state)
{
	(void)state;
	pb_arena_free(arena);
	return 0;
}

/* Choice items of two choices: of the first 2 * shift of 40 every second is wrong. */
static struct pb_items choices(unsigned shift, int32_t places)
{
	static const double values[2] = { -1, -2 };
	struct pb_stored_item *items = pb_arena_alloc(arena, N, sizeof(*items));

	for (uint32_t i = 0; i < N; i++)
		items[i] = (struct pb_stored_item){ .index = i / (N / (uint32_t)places) * PB_SUBTASK_STRIDE + i % (N / (uint32_t)places), .n_values = 2, .values = values,
			.weight = 1, .gold = 0, .chosen = i < 2 * shift && i % 2 ? 1 : 0, .chosen_norm = 0 };
	return (struct pb_items){ .items = items, .n = N };
}

/* Texts of 1 to n tokens with a loss of `loss` a token, and `extra` on text 0. */
static struct pb_items texts(size_t n, double loss, double extra)
{
	struct pb_stored_item *items = pb_arena_alloc(arena, n, sizeof(*items));
	double *values = pb_arena_alloc(arena, n, sizeof(*values));

	for (uint32_t i = 0; i < n; i++) {
		values[i] = -(loss * (i + 1) + (i == 0 ? extra : 0));
		items[i] = (struct pb_stored_item){ .index = i, .n_values = 1, .values = &values[i], .weight = i + 1, .gold = -1, .chosen = -1, .chosen_norm = -1 };
	}
	return (struct pb_items){ .items = items, .n = n };
}

static void accuracy(void **state)
{
	struct pb_items a = choices(2, 1), b = choices(10, 1);
	struct pb_pair p;

	(void)state;
	OK(pb_pair_items(&p, arena, "acc", &a, 1, &b, 1, ERR));
	assert_null(p.refusal);
	assert_string_equal(p.scale, "acc");
	assert_true(p.higher_is_better);
	assert_true(fabs(p.difference.value + 0.2) < 1e-15);
	assert_int_equal(p.flips.lost, 8);
	assert_int_equal(p.flips.won, 0);
	assert_int_equal(p.flips.changed, 8);
	assert_string_equal(p.how, "McNemar");
	assert_true(p.test.p == pb_mcnemar(8, 0).p);
	assert_true(fabs(p.difference.stderr_value - sqrt(0.2 * 0.8 / 39)) < 1e-15);
	OK(pb_pair_items(&p, arena, "acc_norm", &a, 1, &b, 1, ERR));
	assert_true(p.difference.value == 0 && p.test.p == 1 && p.flips.n == N);
}

/* The mean of subtasks' means: the fourth of the items that differ is one of four subtasks. */
static void subtasks(void **state)
{
	struct pb_items a = choices(0, 4), b = choices(5, 4);
	struct pb_pair p;

	(void)state;
	OK(pb_pair_items(&p, arena, "acc", &a, 1, &b, 1, ERR));
	assert_true(fabs(p.difference.value + 0.5 / 4) < 1e-15);
	assert_true(fabs(p.difference.stderr_value - sqrt(0.25 / 9) / 4) < 1e-15);
	assert_string_equal(p.how, "t");
}

/* Twenty pairs of items with a passage each, of which always both or none differ: half as many units, and no McNemar. */
static void passages(void **state)
{
	struct pb_items a = choices(0, 1), b = choices(0, 1);
	struct pb_stored_item *first = (struct pb_stored_item *)(uintptr_t)a.items, *second = (struct pb_stored_item *)(uintptr_t)b.items;
	struct pb_pair alone, shared;

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		second[i].chosen = i / 2 % 4 == 0;
	OK(pb_pair_items(&alone, arena, "acc", &a, 1, &b, 1, ERR));
	for (uint32_t i = 0; i < N; i++)
		first[i].cluster = second[i].cluster = 1 + i / 2 * 2;
	OK(pb_pair_items(&shared, arena, "acc", &a, 1, &b, 1, ERR));
	assert_string_equal(alone.how, "McNemar");
	assert_string_equal(shared.how, "t");
	assert_int_equal(shared.difference.n_units, N / 2);
	assert_true(shared.difference.value == alone.difference.value);
	/* se^2 + as much again, but for n - 1 */
	assert_true(fabs(shared.difference.stderr_value * shared.difference.stderr_value - (0.25 * 0.75 / 39 + 0.25 * 0.75 / 40)) < 1e-15);
	/* A number beyond the items is nobody's passage. */
	for (uint32_t i = 0; i < N; i++)
		first[i].cluster = UINT32_MAX - i;
	OK(pb_pair_items(&shared, arena, "acc", &a, 1, &b, 1, ERR));
	assert_string_equal(shared.how, "McNemar");
}

static void losses(void **state)
{
	struct pb_items a = texts(50, 2, 0), b = texts(50, 2.5, 3), few = texts(10, 2, 0), less = texts(10, 1.5, 0);
	struct pb_pair p;

	(void)state;
	OK(pb_pair_items(&p, arena, "ppl_token", &a, 1, &b, 1, ERR));
	assert_null(p.refusal);
	assert_string_equal(p.scale, "nll");
	assert_false(p.higher_is_better);
	assert_true(fabs(p.difference.value - (0.5 + 3 / 1275.0)) < 1e-12);
	assert_int_equal(p.flips.n, 0);
	assert_string_equal(p.how, "t");
	OK(pb_pair_items(&p, arena, "nll", &few, 1, &less, 1, ERR));
	assert_true(fabs(p.difference.value + 0.5) < 1e-15);
	assert_string_equal(p.how, "signs");
	assert_true(p.test.p == 2.0 / 1024);
}

/* Texts of 1 to n tokens that were compared with full precision: sums of kld, of positions with the same top token, of losses. */
static struct pb_items compared(size_t n, double kld, double top, double loss)
{
	struct pb_stored_item *items = pb_arena_alloc(arena, n, sizeof(*items));
	double *values = pb_arena_alloc(arena, PB_DIVERGENCE_SUMS * n, sizeof(*values));

	for (uint32_t i = 0; i < n; i++) {
		double *v = values + PB_DIVERGENCE_SUMS * i, wave = i % 2 ? 0.001 : -0.001;

		v[PB_SUM_KLD] = (kld + kld * wave) * (i + 1);
		v[PB_SUM_SAME_TOP] = (top + top * wave) * (i + 1);
		v[PB_SUM_DELTA_NLL] = loss * (i + 1);
		items[i] = (struct pb_stored_item){ .index = i, .n_values = PB_DIVERGENCE_SUMS, .values = v, .weight = i + 1, .gold = -1, .chosen = -1, .chosen_norm = -1 };
	}
	return (struct pb_items){ .items = items, .n = n };
}

static void divergences(void **state)
{
	struct pb_items a = compared(50, 0.01, 0.9, 0.02), b = compared(50, 0.05, 0.8, 0.07), few = compared(10, 0.01, 0.9, 0.02), loss = texts(50, 2, 0);
	char text[96];
	struct pb_pair p;

	(void)state;
	OK(pb_pair_items(&p, arena, "kld", &a, 1, &b, 1, ERR));
	assert_null(p.refusal);
	assert_string_equal(p.scale, "kld");
	assert_false(p.higher_is_better);
	assert_true(fabs(p.difference.value - 0.04) < 1e-5);
	assert_string_equal(p.how, "t");
	pb_pair_format(text, &p);
	assert_non_null(strstr(text, " nats ("));
	OK(pb_pair_items(&p, arena, "same_top", &a, 1, &b, 1, ERR));
	assert_true(p.higher_is_better && fabs(p.difference.value + 0.1) < 1e-4);
	pb_pair_format(text, &p);
	assert_non_null(strstr(text, " pp ("));
	OK(pb_pair_items(&p, arena, "delta_nll", &a, 1, &b, 1, ERR));
	assert_true(!p.higher_is_better && fabs(p.difference.value - 0.05) < 1e-12);
	OK(pb_pair_items(&p, arena, "kld", &few, 1, &few, 1, ERR));
	assert_true(p.difference.value == 0);
	/* Items of another kind have no such score. */
	OK(pb_pair_items(&p, arena, "kld", &loss, 1, &loss, 1, ERR));
	assert_string_equal(p.refusal, "items that have no such score");
}

static void bits(void **state)
{
	struct pb_items a = choices(0, 1), b = choices(0, 1);
	struct pb_stored_item *changed = (struct pb_stored_item *)(uintptr_t)b.items;
	static const double sure[2] = { 0, -INFINITY }, even[2] = { -3, -3 };
	struct pb_pair p;

	(void)state;
	for (size_t i = 0; i < N; i++)
		changed[i].values = i < N / 2 ? sure : even;
	OK(pb_pair_items(&p, arena, "bits", &a, 1, &b, 1, ERR));
	assert_null(p.refusal);
	assert_true(fabs(p.difference.value - (20 - N * (1 - log2(1 + exp(-1))))) < 1e-12);
}

/* Two seeds that differ by 0.2 and 0.4: their mean, and the spread of the mean, 0.1, in the error. */
static void seeds(void **state)
{
	struct pb_items a[2] = { texts(50, 2, 0), texts(50, 2, 0) }, b[2] = { texts(50, 2.2, 0), texts(50, 2.4, 0) };
	struct pb_pair p;

	(void)state;
	OK(pb_pair_items(&p, arena, "nll", a, 2, b, 2, ERR));
	assert_true(fabs(p.difference.value - 0.3) < 1e-12);
	assert_true(fabs(p.difference.stderr_value - 0.1) < 1e-9);
}

static void refusals(void **state)
{
	struct pb_items a = texts(50, 2, 0), fewer = texts(49, 2, 0), other = texts(50, 2, 0), c = choices(1, 1), nothing = {0};
	struct pb_stored_item *changed = (struct pb_stored_item *)(uintptr_t)other.items;
	struct pb_pair p;

	(void)state;
	OK(pb_pair_items(&p, arena, "nll", &a, 1, &fewer, 1, ERR));
	assert_string_equal(p.refusal, "the number of items (50, 49)");
	changed[7].weight = 12;
	OK(pb_pair_items(&p, arena, "nll", &a, 1, &other, 1, ERR));
	assert_string_equal(p.refusal, "the tokens of item 7 (8, 12): the tokenizer");
	changed[3].gold = 2;
	OK(pb_pair_items(&p, arena, "nll", &a, 1, &other, 1, ERR));
	assert_string_equal(p.refusal, "the items (at place 3)");
	OK(pb_pair_items(&p, arena, "nll", &nothing, 1, &nothing, 1, ERR));
	assert_string_equal(p.refusal, "no items are kept");
	OK(pb_pair_items(&p, arena, "acc_bytes", &c, 1, &c, 1, ERR));
	assert_string_equal(p.refusal, "no items are kept");
	OK(pb_pair_items(&p, arena, "nll", &c, 1, &c, 1, ERR));
	assert_string_equal(p.refusal, "items that have no such score");
}

static void put(struct pb_store *store, const char *cell, const char *protocol, const struct pb_items *items, struct pb_row *out)
{
	*out = (struct pb_row){ .run = "r", .cell = cell, .status = PB_ROW_OK, .reason = "", .model = "m", .family = "", .params = PB_ABSENT, .model_hash = "",
		.tokenizer_hash = "", .quantizer = "rtn", .options = "{}", .label = "rtn", .wbits = NAN, .effective_bits = NAN, .weight_bytes = PB_ABSENT,
		.model_bytes = PB_ABSENT, .size_convention = "", .backend = "blas", .kernel = "", .task = "piqa", .task_hash = "h", .data_hash = "", .protocol = protocol,
		.metric = "acc", .value = 0.5, .stderr_value = NAN, .n = N, .higher_is_better = true, .chance = NAN, .quantize_seconds = NAN, .eval_seconds = NAN,
		.peak_rss_bytes = PB_ABSENT, .started_utc = "", .version = "", .machine = "", .calibration = "" };
	OK(pb_store_put(store, cell, 0, out, 1, &(struct pb_stored_task){ .task = "piqa", .n_items = items->n, .items = items->items }, 1, ERR));
}

static void from_records(void **state)
{
	struct pb_items a = choices(2, 1), b = choices(10, 1);
	struct pb_store *stores[2];
	struct pb_row rows[3];
	const struct pb_row *first = &rows[0], *second = &rows[1], *third = &rows[2];
	struct pb_item_stores from = { stores, 2 };
	struct pb_side one = { &first, 1, &from }, two = { &second, 1, &from }, three = { &third, 1, &from };
	struct pb_pair p;

	(void)state;
	for (size_t i = 0; i < 2; i++)
		OK(pb_store_open(&stores[i], scratch_path(i ? "b" : "a"), true, ERR));
	put(stores[0], "c1", "lmeh", &a, &rows[0]);
	put(stores[1], "c2", "lmeh", &b, &rows[1]);
	put(stores[1], "c3", "onebit-lmeh", &b, &rows[2]);
	OK(pb_pair_make(&p, arena, &one, &two, ERR));
	assert_null(p.refusal);
	assert_true(fabs(p.difference.value + 0.2) < 1e-15);
	OK(pb_pair_make(&p, arena, &one, &three, ERR));
	assert_string_equal(p.refusal, "the protocol (lmeh, onebit-lmeh)");
	rows[0].metric = rows[1].metric = "relative_l1";
	OK(pb_pair_make(&p, arena, &one, &two, ERR));
	assert_string_equal(p.refusal, "no items are kept of this metric");
	rows[0].metric = rows[1].metric = "acc";
	rows[1].cell = "c9";
	OK(pb_pair_make(&p, arena, &one, &two, ERR));
	assert_string_equal(p.refusal, "the number of items (40, 0)");
	for (size_t i = 0; i < 2; i++)
		pb_store_close(stores[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(accuracy, open_arena, close_arena),
		cmocka_unit_test_setup_teardown(subtasks, open_arena, close_arena),
		cmocka_unit_test_setup_teardown(passages, open_arena, close_arena),
		cmocka_unit_test_setup_teardown(losses, open_arena, close_arena),
		cmocka_unit_test_setup_teardown(divergences, open_arena, close_arena),
		cmocka_unit_test_setup_teardown(bits, open_arena, close_arena),
		cmocka_unit_test_setup_teardown(seeds, open_arena, close_arena),
		cmocka_unit_test_setup_teardown(refusals, open_arena, close_arena),
		cmocka_unit_test_setup_teardown(from_records, open_arena, close_arena),
	};

	return cmocka_run_group_tests_name("pairing", tests, NULL, scratch_teardown);
}
