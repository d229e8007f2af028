/* Axes by name, fronts of two and three of them, families against one another, and the sections that say so. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/csv.h"
#include "reports/axes_section.h"
#include "reports/front_section.h"
#include "reports/groups_section.h"
#include "tests/unit/expect.h"

struct bench {
	struct pb_rows rows;
	struct pb_fronts fronts;
	struct pb_arena *arena;
	struct pb_front *main;
	struct pb_draws draws;
};

static void add(struct pb_rows *rows, const char *cell, const char *family, const char *task, const char *metric, int64_t bytes, double seconds, double value)
{
	struct pb_row *r = pb_rows_add(rows, NULL);
	assert_non_null(r);
	r->run = "run";
	r->cell = r->label = cell;
	r->status = PB_ROW_OK;
	r->model = "m";
	r->family = r->quantizer = family;
	r->task = task;
	r->task_hash = task;
	r->protocol = "p";
	r->backend = "cpu";
	r->metric = metric;
	r->higher_is_better = strcmp(metric, "acc") == 0;
	r->size_convention = "packed";
	r->chance = r->higher_is_better ? 0.25 : NAN;
	r->model_bytes = bytes;
	r->effective_bits = (double)bytes / 1000.0;
	r->eval_seconds = seconds;
	r->value = value;
	r->stderr_value = 0.01;
	r->n = 100;
}

/* By size and accuracy: a, c, d; b is as good as a and faster, so it is on the front of three. e is worse than d everywhere. */
static void start(struct bench *b)
{
	static const struct {
		const char *cell, *family;
		int64_t bytes;
		double seconds, acc, nll;
	} cells[] = {
		{ "a", "VPTQ", 1024, 4.0, 0.50, 3.0 },
		{ "b", "k-bit", 2048, 2.0, 0.50, 2.5 },
		{ "c", "k-bit", 4096, 5.0, 0.60, 2.4 },
		{ "d", "VPTQ", 8192, 6.0, 0.70, 2.0 },
		{ "e", "k-bit", 16384, 7.0, 0.65, 2.2 },
	};
	*b = (struct bench){ .arena = pb_arena_new() };
	pb_rows_init(&b->rows);
	for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
		add(&b->rows, cells[i].cell, cells[i].family, "quiz", "acc", cells[i].bytes, cells[i].seconds, cells[i].acc);
		if (i != 4)
			add(&b->rows, cells[i].cell, cells[i].family, "text", "nll", cells[i].bytes, cells[i].seconds, cells[i].nll);
	}
	OK(pb_fronts_make(&b->fronts, &b->rows, ERR));
	assert_int_equal(b->fronts.n, 2);
	b->main = &b->fronts.fronts[0];
	assert_string_equal(b->main->slug, "quiz-acc");
	OK(pb_draws_make(&b->draws, b->main, &b->rows, NULL, b->arena, ERR));
	OK(pb_front_take_draws(b->main, &b->draws, true, ERR));
}

static void stop(struct bench *b)
{
	pb_fronts_free(&b->fronts);
	pb_rows_free(&b->rows);
	pb_arena_free(b->arena);
}

static void test_names(void **state)
{
	(void)state;
	struct bench b;
	struct pb_goal g;
	struct pb_error err = { 0 };
	start(&b);
	OK(pb_goal_find(&g, &b.fronts, true, "--x", "energy", ERR));
	assert_true(!g.front && g.by == PB_BY_ENERGY);
	static const char *const names[] = { "nll", "text", "text:nll", "text-nll" };
	for (size_t i = 0; i < 4; i++) {
		OK(pb_goal_find(&g, &b.fronts, true, "--x", names[i], ERR));
		assert_ptr_equal(g.front, &b.fronts.fronts[1]);
	}
	assert_int_equal(pb_goal_find(&g, &b.fronts, true, "--x", "text:acc", &err), PB_USAGE);
	assert_string_equal(err.text, "--x text:acc: these rows have no such axis\nchoose one of size, bits, paper, weights, params, seconds, energy, quiz-acc, text-nll");
	assert_int_equal(pb_goal_find(&g, &b.fronts, false, "--y", "size", &err), PB_USAGE);
	assert_string_equal(err.text, "--y size: these rows have no such value\nchoose one of quiz-acc, text-nll");
	pb_fronts_free(&b.fronts);
	add(&b.rows, "a", "VPTQ", "other", "nll", 1024, 1.0, 3.0);
	OK(pb_fronts_make(&b.fronts, &b.rows, ERR));
	assert_int_equal(pb_goal_find(&g, &b.fronts, false, "--y", "nll", &err), PB_USAGE);
	assert_string_equal(err.text, "--y nll: several values have this name\nchoose one of other-nll, text-nll");
	/* Of accuracies that there are several of, the mean. */
	add(&b.rows, "a", "VPTQ", "other", "acc", 1024, 1.0, 0.5);
	pb_fronts_free(&b.fronts);
	OK(pb_fronts_make(&b.fronts, &b.rows, ERR));
	OK(pb_goal_find(&g, &b.fronts, false, "--y", "acc", ERR));
	assert_true(g.front->is_mean);
	stop(&b);
}

static const struct pb_trade *find(const struct pb_tradeoff *t, const char *cell)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->trades[i].point->row->cell, cell) == 0)
			return &t->trades[i];
	fail_msg("no trade %s", cell);
	return NULL;
}

static void test_three_axes(void **state)
{
	(void)state;
	struct bench b;
	struct pb_tradeoff t;
	start(&b);
	const struct pb_goal goals[3] = { { NULL, PB_BY_SIZE }, { b.main, PB_BYS }, { NULL, PB_BY_SECONDS } };
	OK(pb_tradeoff_make(&t, goals, 3, b.main, &b.draws, &b.rows, NULL, b.arena, ERR));
	assert_int_equal(t.n, 5);
	assert_int_equal(t.n_on, 4);
	assert_true(find(&t, "a")->on && find(&t, "b")->on && find(&t, "c")->on && find(&t, "d")->on);
	assert_false(find(&t, "e")->on);
	assert_float_equal(find(&t, "b")->probability, 1.0, 0); /* the fastest */
	assert_float_equal(find(&t, "e")->probability, 0.0, 0.005); /* 0.05 below d with an error of 0.014 */
	/* Two values and a cost: e has no loss. */
	const struct pb_goal values[3] = { { NULL, PB_BY_SIZE }, { b.main, PB_BYS }, { &b.fronts.fronts[1], PB_BYS } };
	OK(pb_tradeoff_make(&t, values, 3, b.main, &b.draws, &b.rows, NULL, b.arena, ERR));
	assert_int_equal(t.n, 4);
	assert_int_equal(t.n_without, 1);
	assert_true(find(&t, "b")->on && !t.axes.higher_is_better[2]);
	assert_float_equal(find(&t, "b")->at[2], 2.5, 0);
	assert_non_null(t.draws[2]);
	stop(&b);
}

static void test_bands(void **state)
{
	(void)state;
	struct bench b;
	struct pb_tradeoff t;
	struct pb_bands bands;
	start(&b);
	const struct pb_goal goals[2] = { { NULL, PB_BY_SIZE }, { b.main, PB_BYS } };
	OK(pb_tradeoff_make(&t, goals, 2, b.main, &b.draws, &b.rows, NULL, b.arena, ERR));
	OK(pb_bands_make(&bands, &t, b.arena, ERR));
	assert_int_equal(bands.n, 5);
	assert_float_equal(bands.x[0], 1024.0, 0);
	assert_float_equal(bands.low[0], 0.50 - 1.645 * 0.01, 0.002);
	assert_float_equal(bands.middle[0], 0.50, 0.001);
	assert_float_equal(bands.high[0], 0.50 + 1.645 * 0.01, 0.002);
	/* The better of two equal ones: its median is the 0.7071 quantile of one. */
	assert_float_equal(bands.middle[1], 0.50 + 0.545 * 0.01, 0.001);
	assert_float_equal(bands.high[3], 0.70 + 1.645 * 0.01, 0.002);
	assert_true(bands.low[4] >= bands.low[3]);
	stop(&b);
}

static void test_groups(void **state)
{
	(void)state;
	struct bench b;
	struct pb_tradeoff t;
	struct pb_corner corner;
	struct pb_groups g;
	struct pb_error err = { 0 };
	start(&b);
	const struct pb_goal goals[2] = { { NULL, PB_BY_SIZE }, { b.main, PB_BYS } };
	OK(pb_tradeoff_make(&t, goals, 2, b.main, &b.draws, &b.rows, NULL, b.arena, ERR));
	OK(pb_corner_make(&corner, &t, "", ERR));
	assert_true(!corner.has_cost && !corner.has_value && corner.cost == 16384.0 && corner.value == 0.25);
	OK(pb_corner_make(&corner, &t, "{\"acc\":0.4,\"nll\":9,\"size\":32768}", ERR));
	assert_true(corner.has_cost && corner.has_value && corner.cost == 32768.0 && corner.value == 0.4);
	assert_int_equal(pb_corner_make(&corner, &t, "[", &err), PB_FORMAT);
	OK(pb_groups_make(&g, &t, &corner, b.arena, ERR));
	assert_int_equal(g.n, 4);
	assert_int_equal(g.n_pairs, 2);
	const struct pb_group_pair *p = &g.pairs[0];
	assert_true(p->first->is_family && p->second->is_family);
	assert_string_equal(p->first->name, "VPTQ");
	assert_float_equal(p->first->volume, 3 * 0.1 + 2 * 0.3, 1e-12);
	assert_float_equal(p->second->volume, 1 * 0.1 + 2 * 0.2 + 1 * 0.25, 1e-12);
	assert_float_equal(g.all.volume, 2 * 0.1 + 1 * 0.2 + 2 * 0.3, 1e-12);
	assert_float_equal(p->volume, 0.15, 1e-12);
	assert_true(p->p_volume > 0.99 && p->volume_low > 0.0);
	assert_float_equal(p->epsilon[0], 0.5 / 0.4, 1e-12);        /* a's error for c's: 1.25; d's size for it: 2 */
	assert_float_equal(p->epsilon[1], 2.0, 1e-12);              /* b's size for a's */
	assert_float_equal(p->additive[0], 0.1, 1e-12);
	assert_float_equal(p->additive[1], 1.0, 1e-12);
	assert_int_equal(p->dominated[0], 2);                       /* b by a, e by d */
	assert_int_equal(p->dominated[1], 0);
	/* From 2048 to 8192 bytes: VPTQ rises from 0.5667 to 0.7, k-bit over 0.5, 0.6, 0.625. */
	assert_float_equal(p->curve_from, 2048.0, 0);
	assert_float_equal(p->curve_to, 8192.0, 0);
	assert_float_equal(p->curve.mean, (0.5 * (0.5667 + 0.7)) - (0.5 * (0.55 + 0.6125)), 0.002);
	assert_float_equal(p->curve.share_above, 1.0, 1e-12);
	assert_int_equal(p->n_spans, 1);
	assert_int_equal(p->spans[0].sign, 1);
	stop(&b);
}

static size_t count_blocks(const struct pb_section *section, enum pb_section_kind kind)
{
	size_t n = 0;
	for (size_t i = 0; i < section->n_blocks; i++)
		n += section->blocks[i].kind == kind;
	return n;
}

static void test_sections(void **state)
{
	(void)state;
	static const struct {
		const char *x, *z;
		size_t n_charts;
		const char *axes;
	} cases[] = {
		{ NULL, NULL, 3, "size, quiz-acc, seconds" },       /* bits, seconds, three */
		{ "seconds", NULL, 3, "seconds, quiz-acc, size" },
		{ "text", "bits", 4, "text-nll, quiz-acc, bits" },  /* and text */
		{ "energy", NULL, 2, NULL },                        /* a sentence instead of a chart */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bench b;
		struct pb_section section;
		start(&b);
		const struct pb_axes_input input = { b.main, &b.draws, &b.fronts, &b.rows, NULL, cases[i].x, cases[i].z };
		OK(pb_axes_section(&section, &input, b.arena, ERR));
		OK(pb_section_check(&section, ERR));
		assert_int_equal(count_blocks(&section, PB_SECTION_CHART), cases[i].n_charts);
		assert_int_equal(count_blocks(&section, PB_SECTION_TABLE), cases[i].axes != NULL);
		assert_int_equal(b.main->axes != NULL, cases[i].axes != NULL);
		if (cases[i].axes)
			assert_string_equal(b.main->axes, cases[i].axes);
		pb_front_section(&section, b.main, &b.draws, b.arena);
		OK(pb_section_check(&section, ERR));
		assert_int_equal(count_blocks(&section, PB_SECTION_TABLE), 1);
		stop(&b);
	}
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *x, *z, *text;
	} cases[] = {
		{ "quiz", NULL, "--x quiz: that is the value of the fronts itself\nchoose another value of the fronts with --y" },
		{ "bits", "bits", "--z bits: the same axis as --x" },
		{ NULL, "weight", "--z weight: these rows have no such axis\nchoose one of size, bits, paper, weights, params, seconds, energy, quiz-acc, text-nll" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bench b;
		struct pb_section section;
		struct pb_error err = { 0 };
		start(&b);
		const struct pb_axes_input input = { b.main, &b.draws, &b.fronts, &b.rows, NULL, cases[i].x, cases[i].z };
		assert_int_equal(pb_axes_section(&section, &input, b.arena, &err), PB_USAGE);
		assert_string_equal(err.text, cases[i].text);
		stop(&b);
	}
}

static void test_pairs_file(void **state)
{
	(void)state;
	struct bench b;
	struct pb_tradeoff t, bits;
	struct pb_corner corner;
	struct pb_groups sizes, by_bits;
	struct pb_section section;
	struct pb_csv csv;
	start(&b);
	const struct pb_goal goals[2] = { { NULL, PB_BY_SIZE }, { b.main, PB_BYS } }, other[2] = { { NULL, PB_BY_BITS }, { b.main, PB_BYS } };
	OK(pb_tradeoff_make(&t, goals, 2, b.main, &b.draws, &b.rows, NULL, b.arena, ERR));
	OK(pb_tradeoff_make(&bits, other, 2, b.main, &b.draws, &b.rows, NULL, b.arena, ERR));
	OK(pb_corner_make(&corner, &t, "", ERR));
	OK(pb_groups_make(&sizes, &t, &corner, b.arena, ERR));
	OK(pb_corner_make(&corner, &bits, "", ERR));
	OK(pb_groups_make(&by_bits, &bits, &corner, b.arena, ERR));
	OK(pb_groups_section(&section, &sizes, &by_bits, "", b.arena, ERR));
	OK(pb_section_check(&section, ERR));
	assert_int_equal(count_blocks(&section, PB_SECTION_CHART), 2);
	assert_int_equal(count_blocks(&section, PB_SECTION_TABLE), 4);
	const struct pb_section_file *file = section.blocks[section.n_blocks - 1].file;
	OK(pb_csv_parse(&csv, file->name, file->bytes.data, file->bytes.length, ERR));
	assert_int_equal(csv.n_rows, 5);
	assert_int_equal(csv.n_fields[1], csv.n_fields[0]);
	assert_string_equal(csv.fields[1][2], "family");
	assert_string_equal(csv.fields[2][2], "method");
	assert_string_equal(csv.fields[3][0], "bits");
	pb_csv_free(&csv);
	pb_section_free(&section);
	stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_three_axes),
		cmocka_unit_test(test_bands),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_pairs_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
