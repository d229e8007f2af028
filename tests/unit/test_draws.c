/* Draws of a front's values: pairs, passages, subtasks, losses; and what sends them back to independent errors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "reports/draws.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"

#define N 40

static struct pb_row *add(struct pb_rows *rows, const char *cell, int64_t bytes, const char *metric, double value)
{
	struct pb_row *r = pb_rows_add(rows, NULL);
	assert_non_null(r);
	r->run = "run";
	r->cell = r->label = cell;
	r->status = PB_ROW_OK;
	r->model = "m";
	r->family = r->quantizer = "k-bit";
	r->task = "t";
	r->task_hash = "h";
	r->protocol = "p";
	r->backend = "cpu";
	r->metric = metric;
	r->higher_is_better = strcmp(metric, "acc") == 0;
	r->size_convention = "packed";
	r->model_bytes = bytes;
	r->value = value;
	r->stderr_value = 0.08;
	r->n = N;
	return r;
}

static void put(struct pb_store *store, struct pb_row *row, const struct pb_stored_item *items, size_t n)
{
	const struct pb_stored_task task = { row->task, n, items };
	OK(pb_store_put(store, row->cell, 0, row, 1, &task, 1, ERR));
}

/* Items that are right or wrong, and the accuracy of the row. */
static void put_right(struct pb_store *store, struct pb_row *row, const bool *right, uint32_t per_passage)
{
	struct pb_stored_item items[N] = { { 0 } };
	row->value = 0.0;
	for (uint32_t i = 0; i < N; i++) {
		items[i] = (struct pb_stored_item){ .index = i, .weight = 1.0, .gold = 1, .chosen = right[i], .chosen_norm = right[i],
			.cluster = per_passage ? i / per_passage * per_passage + 1 : 0 };
		row->value += right[i] / (double)N;
	}
	put(store, row, items, N);
}

struct bench {
	struct pb_rows rows;
	struct pb_fronts fronts;
	struct pb_store *store;
	struct pb_item_stores stores;
	struct pb_arena *arena;
	struct pb_draws draws;
};

static void start(struct bench *b, const char *folder)
{
	*b = (struct bench){ .arena = pb_arena_new() };
	pb_rows_init(&b->rows);
	OK(pb_store_open(&b->store, scratch_path(folder), true, ERR));
	b->stores = (struct pb_item_stores){ &b->store, 1 };
}

static void draw(struct bench *b)
{
	OK(pb_fronts_make(&b->fronts, &b->rows, ERR));
	OK(pb_draws_make(&b->draws, &b->fronts.fronts[0], &b->rows, &b->stores, b->arena, ERR));
	OK(pb_front_take_draws(&b->fronts.fronts[0], &b->draws, true, ERR));
}

static void stop(struct bench *b)
{
	pb_fronts_free(&b->fronts);
	pb_store_close(b->store);
	pb_rows_free(&b->rows);
	pb_arena_free(b->arena);
}

/* The draws of a point: mean and standard deviation. */
static void spread(const struct bench *b, size_t i, double *mean, double *deviation)
{
	size_t n = b->draws.n_replicates;
	double squares = 0.0;
	*mean = 0.0;
	for (size_t r = 0; r < n; r++)
		*mean += b->draws.values[i * n + r] / (double)n;
	for (size_t r = 0; r < n; r++)
		squares += pow(b->draws.values[i * n + r] - *mean, 2);
	*deviation = sqrt(squares / (double)(n - 1));
}

/* Two points that share all items but one that only the larger has right: it is on the front whenever that one is drawn. With
 * independent errors it would be about a coin. A third one, without items, sends the front back to independent errors. */
static void test_pairs(void **state)
{
	(void)state;
	struct bench b;
	bool right[2][N] = { { false } };
	start(&b, "pairs");
	add(&b.rows, "first", 1000, "acc", 0);
	add(&b.rows, "second", 2000, "acc", 0);
	for (size_t i = 0; i < 20; i++)
		right[0][i] = right[1][i] = true;
	right[1][30] = true;
	put_right(b.store, &b.rows.rows[0], right[0], 0);
	put_right(b.store, &b.rows.rows[1], right[1], 0);
	OK(pb_fronts_make(&b.fronts, &b.rows, ERR));
	OK(pb_front_draw_values(b.fronts.fronts, ERR));
	assert_float_equal(b.fronts.fronts->points[1].probability[PB_BY_SIZE], 0.59, 0.05);
	pb_fronts_free(&b.fronts);
	draw(&b);
	assert_true(b.draws.by_items && b.fronts.fronts->by_items);
	assert_false(b.draws.by_clusters);
	assert_float_equal(b.fronts.fronts->points[0].probability[PB_BY_SIZE], 1.0, 0);
	assert_float_equal(b.fronts.fronts->points[1].probability[PB_BY_SIZE], 1.0 - pow(39.0 / 40.0, 40), 0.05);
	assert_true(isnan(b.fronts.fronts->points[1].probability[PB_BY_BITS]));
	pb_fronts_free(&b.fronts);

	add(&b.rows, "third", 3000, "acc", 0.9);
	draw(&b);
	assert_false(b.draws.by_items);
	double mean, deviation;
	spread(&b, 2, &mean, &deviation);
	assert_float_equal(mean, 0.9, 0.01);
	assert_float_equal(deviation, 0.08, 0.008);
	stop(&b);
}

/* Ten passages of four items that are right or wrong together: the accuracy is that of ten coins. */
static void test_passages(void **state)
{
	(void)state;
	struct bench b;
	bool right[N];
	double mean, deviation;
	for (size_t i = 0; i < N; i++)
		right[i] = i / 4 % 2 == 0;
	for (uint32_t per_passage = 0; per_passage <= 4; per_passage += 4) {
		start(&b, per_passage ? "passages" : "alone");
		add(&b.rows, "one", 1000, "acc", 0);
		put_right(b.store, &b.rows.rows[0], right, per_passage);
		draw(&b);
		assert_true(b.draws.by_items);
		assert_int_equal(b.draws.by_clusters, per_passage > 0);
		spread(&b, 0, &mean, &deviation);
		assert_float_equal(mean, 0.5, 0.02);
		assert_float_equal(deviation, sqrt(0.25 / (per_passage ? N / 4 : N)), 0.012);
		stop(&b);
	}
}

/* A small subtask that is always right and a large one that is half right: the mean of two, each drawn for itself. */
static void test_subtasks(void **state)
{
	(void)state;
	struct bench b;
	struct pb_stored_item items[N] = { { 0 } };
	double mean, deviation;
	start(&b, "subtasks");
	add(&b.rows, "one", 1000, "acc", 0.75);
	for (uint32_t i = 0; i < N; i++) {
		bool small = i < 8;
		items[i] = (struct pb_stored_item){ .index = small ? i : PB_SUBTASK_STRIDE + i, .weight = 1.0, .gold = 0, .chosen = small ? 0 : (int32_t)(i % 2) };
	}
	put(b.store, &b.rows.rows[0], items, N);
	draw(&b);
	assert_true(b.draws.by_items);
	spread(&b, 0, &mean, &deviation);
	assert_float_equal(mean, 0.75, 0.01);
	assert_float_equal(deviation, 0.5 * sqrt(0.25 / 32.0), 0.005);
	stop(&b);
}

/* Five subjects count as one task in the mean, and so in its draws: their items make its value, and a fifth of their spread each. */
static void test_groups(void **state)
{
	(void)state;
	static const char *const tasks[] = { "exam-a", "exam-b", "exam-c", "exam-d", "exam-e", "piqa" };
	struct bench b;
	struct pb_stored_item items[N] = { { 0 } };
	struct pb_row rows[6];
	struct pb_stored_task stored[6];
	double mean, deviation;
	start(&b, "groups");
	for (uint32_t i = 0; i < N; i++)
		items[i] = (struct pb_stored_item){ .index = i, .weight = 1.0, .gold = 0, .chosen = (int32_t)(i % 2) };
	for (size_t k = 0; k < 6; k++) {
		rows[k] = *add(&b.rows, "one", 1000, "acc", 0.5);
		b.rows.rows[k].task = rows[k].task = tasks[k];
		stored[k] = (struct pb_stored_task){ tasks[k], N, items };
	}
	OK(pb_store_put(b.store, "one", 0, rows, 6, stored, 6, ERR));
	draw(&b);
	assert_true(b.fronts.fronts[0].is_mean && b.draws.by_items);
	spread(&b, 0, &mean, &deviation);
	assert_float_equal(mean, 0.5, 0.01);
	assert_float_equal(deviation, sqrt((1.0 + 5.0 / 25.0) / 4.0 * 0.25 / N), 0.004);
	stop(&b);
}

/* Losses are of tokens, and a perplexity is their exponential; one that is counted otherwise is drawn by its error. */
static void test_losses(void **state)
{
	(void)state;
	struct bench b;
	struct pb_stored_item items[N] = { { 0 } };
	double values[N], sum = 0.0, weight = 0.0, mean, deviation;
	for (uint32_t i = 0; i < N; i++) {
		values[i] = -(1.0 + i % 3) * (5.0 + i % 5);
		items[i] = (struct pb_stored_item){ .index = i, .n_values = 1, .values = &values[i], .weight = 5.0 + i % 5, .gold = -1, .chosen = -1, .chosen_norm = -1 };
		sum -= values[i];
		weight += items[i].weight;
	}
	static const char *const metrics[] = { "nll", "ppl_token", "ppl_word" };
	const double expected[] = { sum / weight, exp(sum / weight), 12.0 };
	for (size_t k = 0; k < 3; k++) {
		start(&b, metrics[k]);
		add(&b.rows, "one", 1000, metrics[k], expected[k]);
		put(b.store, &b.rows.rows[0], items, N);
		draw(&b);
		assert_int_equal(b.draws.by_items, k < 2);
		spread(&b, 0, &mean, &deviation);
		assert_float_equal(mean, expected[k], 0.05 * expected[k]);
		if (k == 0)
			assert_in_range((int)(1000.0 * deviation), 110, 150); /* about sqrt(2/3) / sqrt(40) */
		stop(&b);
	}
}

/* Divergences are of tokens too. The draws are shared by all points, but a point has rivals of its own model alone. */
static void test_divergences(void **state)
{
	(void)state;
	struct bench b;
	struct pb_stored_item items[N] = { { 0 } };
	double values[N][PB_DIVERGENCE_SUMS], mean, deviation;
	static const struct { const char *cell, *model; int64_t bytes; double kld, wave; } cells[] = {
		{ "exact", "small", 500, 0.0, 0.0 }, { "two", "m", 1000, 0.5, 0.5 }, { "three", "m", 1100, 0.49, 0.0 }, { "four", "m", 1200, 0.6, 0.0 },
	};
	start(&b, "divergences");
	for (size_t c = 0; c < 4; c++) {
		double sum = 0.0, weight = 0.0;
		for (uint32_t i = 0; i < N; i++) {
			double tokens = 5.0 + i % 5;
			values[i][PB_SUM_KLD] = (cells[c].kld + (i % 2 ? cells[c].wave : -cells[c].wave)) * tokens;
			values[i][PB_SUM_SAME_TOP] = values[i][PB_SUM_DELTA_NLL] = 1.0;
			items[i] = (struct pb_stored_item){ .index = i, .n_values = PB_DIVERGENCE_SUMS, .values = values[i], .weight = tokens, .gold = -1, .chosen = -1, .chosen_norm = -1 };
			sum += values[i][PB_SUM_KLD];
			weight += tokens;
		}
		struct pb_row *row = add(&b.rows, cells[c].cell, cells[c].bytes, "kld", sum / weight);
		row->model = cells[c].model;
		put(b.store, row, items, N);
	}
	draw(&b);
	const struct pb_front *f = &b.fronts.fronts[0];
	assert_true(f->within_models && b.draws.by_items && f->by_items);
	spread(&b, 1, &mean, &deviation);
	assert_float_equal(mean, 0.5, 0.01);
	assert_float_equal(deviation, 0.5 / sqrt(N), 0.01);
	assert_true(f->points[0].probability[PB_BY_SIZE] == 1.0 && f->points[1].probability[PB_BY_SIZE] == 1.0 && f->points[3].probability[PB_BY_SIZE] < 0.01);
	assert_float_equal(f->points[2].probability[PB_BY_SIZE], 0.55, 0.1); /* 0.01 / 0.079 errors better than the smaller one */
	stop(&b);
}

/* Replicates are the same for the same items, whatever else is there. */
static void test_same_bits(void **state)
{
	(void)state;
	struct bench a, b;
	bool right[N];
	for (size_t i = 0; i < N; i++)
		right[i] = i % 3 == 0;
	start(&a, "same-a");
	add(&a.rows, "one", 1000, "acc", 0);
	put_right(a.store, &a.rows.rows[0], right, 0);
	draw(&a);
	start(&b, "same-b");
	add(&b.rows, "one", 1000, "acc", 0);
	add(&b.rows, "two", 2000, "acc", 0);
	put_right(b.store, &b.rows.rows[0], right, 0);
	right[0] = false;
	put_right(b.store, &b.rows.rows[1], right, 0);
	draw(&b);
	assert_memory_equal(a.draws.values, b.draws.values, a.draws.n_replicates * sizeof *a.draws.values);
	stop(&b);
	stop(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_passages),
		cmocka_unit_test(test_subtasks),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_divergences),
		cmocka_unit_test(test_same_bits),
	};
	return cmocka_run_group_tests(tests, NULL, scratch_teardown);
}
