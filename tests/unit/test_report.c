/* Reports: what is on a front, that nothing of a row is markup, and that the same rows give the same bytes.
 *
 * The program runs itself (`test_report write DIR`) to make a report in a fresh process, also with failing memory and writes.
 * `test_report --update-golden` renews tests/golden/figure.svg. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base/csv.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "reports/axis.h"
#include "reports/canvas.h"
#include "reports/figure_layout.h"
#include "reports/front.h"
#include "reports/labels.h"
#include "reports/report.h"

#define GOLDEN "tests/golden/figure.svg"
/* Width of "paretobench 0123456789" at 100 px in DejaVu Sans 2.37, with which the golden figure was made. */
#define GOLDEN_WIDTH 1302.5

#ifdef __SANITIZE_ADDRESS__
/* fontconfig keeps what it read of its configuration, without a pointer that the leak checker could see. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libfontconfig";
}
#endif

static struct pb_error err;

static struct pb_row *add(struct pb_rows *rows, const char *cell, const char *task, int64_t bytes, double value)
{
	struct pb_row *r = pb_rows_add(rows, &err);
	const char *name = r ? pb_rows_string(rows, cell) : NULL;
	if (!name)
		exit(9); /* the memory failed that a test lets fail, before the report began */
	r->run = "night";
	r->cell = name;
	r->label = r->cell;
	r->status = PB_ROW_OK;
	r->model = "micro";
	r->family = "k-bit";
	r->quantizer = "rtn";
	r->backend = "cpu";
	r->task = task;
	r->task_hash = "aa";
	r->protocol = "lmeh";
	r->metric = "acc";
	r->higher_is_better = true;
	r->model_bytes = bytes;
	r->value = value;
	r->n = 100;
	return r;
}

static const struct pb_front *find(const struct pb_fronts *fronts, const char *task, const char *metric)
{
	for (size_t i = 0; i < fronts->n; i++)
		if (strcmp(fronts->fronts[i].task, task) == 0 && strcmp(fronts->fronts[i].metric, metric) == 0)
			return &fronts->fronts[i];
	fail_msg("no front %s %s", task, metric);
	return NULL;
}

static const struct pb_point *point(const struct pb_front *front, const char *cell)
{
	for (size_t i = 0; i < front->n_points; i++)
		if (strcmp(front->points[i].row->cell, cell) == 0)
			return &front->points[i];
	fail_msg("no point %s", cell);
	return NULL;
}

/* By bits, models have names at the ends of their lines, and the legend stands where these leave room. */
static void names_and_legend(void **state)
{
	(void)state;
	static const char *const models[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n" };
	const size_t n_models = sizeof models / sizeof *models;
	struct pb_rows rows;
	struct pb_fronts fronts;
	pb_rows_init(&rows);
	for (size_t i = 0; i < 4 * n_models; i++) {
		struct pb_row *r = add(&rows, "x", "piqa", 1000 + 10 * (int64_t)i, 0.3 + 0.001 * (double)i);
		r->model = models[i / 4];
		r->wbits = r->effective_bits = 2.0 + (double)(i % 4);
		r->family = i % 2 ? "VPTQ" : "full precision";
	}
	pb_rows_sort(&rows);
	assert_int_equal(pb_fronts_make(&fronts, &rows, &err), PB_OK);
	struct pb_measure *measure = NULL;
	struct pb_figure *f = NULL;
	assert_int_equal(pb_measure_new(&measure, &err), PB_OK);
	assert_int_equal(pb_figure_make(&f, &(struct pb_figure_spec){ .front = find(&fronts, "piqa", "acc"), .by_bits = true, .size = PB_FIGURE_FULL, .note = "" }, measure, &err), PB_OK);
	assert_int_equal(f->n_steps, n_models);
	assert_true(f->legend);
	for (size_t i = 0; i < f->n_steps; i++) {
		double top = f->steps[i].name_y - 10.0, bottom = f->steps[i].name_y + 3.0;
		assert_true(top >= f->top && bottom <= f->top + f->plot_h);
		assert_true(i == 0 || f->steps[i].name_y - f->steps[i - 1].name_y >= 12.999);
		assert_true(bottom <= f->legend_y - 4.0 || top >= f->legend_y + 2 * 18.0);
	}
	for (size_t i = 0; i < f->n_references; i++)
		for (size_t k = 0; k < i; k++)
			assert_false(fabs(f->references[i].text_y - f->references[k].text_y) < 10.0 && fabs(f->references[i].text_x - f->references[k].text_x) < 10.0);
	pb_figure_free(f);
	pb_measure_free(measure);
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

static void membership(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	pb_rows_init(&rows);
	add(&rows, "a", "piqa", 100, 0.5);
	add(&rows, "a2", "piqa", 100, 0.5);             /* equal size and value: on it too */
	add(&rows, "b", "piqa", 100, 0.5 - 1e-16);      /* equal size, lower in the last bit: not */
	add(&rows, "c", "piqa", 150, 0.5);              /* larger, not better */
	add(&rows, "d", "piqa", 200, 0.5 + 2e-16);      /* better in the last bit */
	add(&rows, "e", "piqa", 200, 0.4);
	add(&rows, "f", "piqa", 50, NAN);
	add(&rows, "g", "piqa", 40, INFINITY);
	add(&rows, "h", "piqa", 0, 0.9);
	add(&rows, "i", "piqa", -5, 0.9);
	add(&rows, "j", "piqa", PB_ABSENT, 0.9);
	add(&rows, "k", "piqa", 10, 0.99)->status = PB_ROW_FAILED;
	add(&rows, "l", "piqa", 10, 0.99)->status = PB_ROW_SKIPPED;
	add(&rows, "m", "piqa", 10, 0.99)->status = PB_ROW_STALE;
	pb_rows_sort(&rows);
	assert_int_equal(pb_fronts_make(&fronts, &rows, &err), PB_OK);
	assert_int_equal(fronts.n, 1);
	const struct pb_front *f = find(&fronts, "piqa", "acc");
	assert_int_equal(f->n_points, 6);
	assert_true(point(f, "a")->on_front && point(f, "a2")->on_front && point(f, "d")->on_front);
	assert_false(point(f, "b")->on_front || point(f, "c")->on_front || point(f, "e")->on_front);
	assert_int_equal(f->n_no_number, 2);
	assert_int_equal(f->n_no_size, 3);
	assert_int_equal(f->n_failed, 1);
	assert_int_equal(f->n_stale, 1);
	assert_int_equal(f->n_skipped, 1);
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

static void lower_is_better(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	pb_rows_init(&rows);
	const struct {
		const char *cell;
		int64_t bytes;
		double value;
		bool on;
	} points[] = { { "a", 10, 30.0, true }, { "b", 20, 40.0, false }, { "c", 30, 29.0, true }, { "d", 30, 29.5, false }, { "e", 99, 29.0, false } };
	for (size_t i = 0; i < 5; i++) {
		struct pb_row *r = add(&rows, points[i].cell, "wikitext", points[i].bytes, points[i].value);
		r->metric = "ppl_token";
		r->higher_is_better = false;
	}
	assert_int_equal(pb_fronts_make(&fronts, &rows, &err), PB_OK);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(point(&fronts.fronts[0], points[i].cell)->on_front, points[i].on);
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

/* A size that is only claimed is no rival, however small; it is on no front. */
static void claimed(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	pb_rows_init(&rows);
	add(&rows, "a", "piqa", 10, 0.5)->effective_bits = 2;
	add(&rows, "b", "piqa", 20, 0.6)->effective_bits = 4;
	struct pb_row *r = add(&rows, "c", "piqa", 1, 0.9);
	r->size_convention = "claimed";
	r->effective_bits = 0.1;
	assert_int_equal(pb_fronts_make(&fronts, &rows, &err), PB_OK);
	const struct pb_front *f = find(&fronts, "piqa", "acc");
	assert_true(point(f, "a")->on_front && point(f, "b")->on_front && point(f, "a")->on_bits_front && point(f, "b")->on_bits_front);
	assert_false(point(f, "c")->on_front || point(f, "c")->on_bits_front);
	assert_true(pb_point_is_claimed(point(f, "c")) && !pb_point_is_claimed(point(f, "a")));
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

static void separation(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	pb_rows_init(&rows);
	/* Standard errors 3 and 4 of a hundred: the difference has 5; 1.96 of that are 9.8. */
	add(&rows, "a", "piqa", 10, 0.50)->stderr_value = 0.03;
	add(&rows, "b", "piqa", 20, 0.597)->stderr_value = 0.04;
	add(&rows, "c", "piqa", 30, 0.598 + 0.098)->stderr_value = 0.03;
	add(&rows, "d", "piqa", 40, 0.9);
	assert_int_equal(pb_fronts_make(&fronts, &rows, &err), PB_OK);
	const struct pb_front *f = &fronts.fronts[0];
	assert_int_equal(point(f, "a")->separated, PB_SEPARATED_UNKNOWN);
	assert_int_equal(point(f, "b")->separated, PB_SEPARATED_NO);
	assert_int_equal(point(f, "c")->separated, PB_SEPARATED_YES);
	assert_int_equal(point(f, "d")->separated, PB_SEPARATED_UNKNOWN);
	assert_true(fabs(point(f, "a")->low95 - (0.5 - 1.959963984540054 * 0.03)) < 1e-15);
	assert_true(isnan(point(f, "d")->low95));
	struct pb_text csv = { 0 };
	struct pb_csv table;
	assert_int_equal(pb_fronts_csv(&fronts, &csv, &err), PB_OK);
	assert_int_equal(pb_csv_parse(&table, "fronts", csv.data, csv.length, &err), PB_OK);
	assert_int_equal(table.n_rows, 5);
	assert_string_equal(table.fields[0][9], "value");
	assert_string_equal(table.fields[2][9], "0.59699999999999998");
	assert_string_equal(table.fields[2][14], "false");
	assert_string_equal(table.fields[3][14], "true");
	assert_null(table.fields[1][14]);
	assert_null(table.fields[4][10]);
	pb_csv_free(&table);
	pb_text_free(&csv);
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

static void nothing_is_mixed(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	pb_rows_init(&rows);
	add(&rows, "a", "piqa", 10, 0.5);
	add(&rows, "b", "piqa", 20, 0.6)->task_hash = "bb";
	add(&rows, "c", "piqa", 20, 0.6)->protocol = "other";
	add(&rows, "d", "piqa", 20, 0.6)->backend = "blas";
	add(&rows, "e", "piqa", 20, 0.6)->metric = "acc_norm";
	add(&rows, "a", "boolq", 10, 0.5);
	pb_rows_sort(&rows);
	assert_int_equal(pb_fronts_make(&fronts, &rows, &err), PB_OK);
	assert_int_equal(fronts.n, 6); /* no mean */
	for (size_t i = 0; i < fronts.n; i++) {
		assert_int_equal(fronts.fronts[i].n_points, 1);
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(fronts.fronts[i].slug, fronts.fronts[k].slug);
			assert_string_not_equal(fronts.fronts[i].title, fronts.fronts[k].title);
		}
	}
	assert_string_not_equal(fronts.note, "");
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

static void mean_of_accuracies(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	pb_rows_init(&rows);
	struct pb_row *r = add(&rows, "a", "piqa", 10, 0.6);
	r->stderr_value = 0.03;
	r->chance = 0.5;
	r = add(&rows, "a", "boolq", 10, 0.4);
	r->stderr_value = 0.04;
	r->chance = 0.25;
	add(&rows, "b", "piqa", 20, 0.9);           /* boolq failed: no mean of one task */
	r = add(&rows, "b", "boolq", 20, 0.9);
	r->status = PB_ROW_FAILED;
	add(&rows, "c", "piqa", 30, 0.7);           /* no errors: a mean without error */
	add(&rows, "c", "boolq", 30, 0.5);
	r = add(&rows, "d", "boolq", 30, 0.9);
	r->status = PB_ROW_FAILED;
	pb_rows_sort(&rows);
	assert_int_equal(pb_fronts_make(&fronts, &rows, &err), PB_OK);
	const struct pb_front *f = find(&fronts, "mean", "acc");
	assert_true(f->is_mean && f == &fronts.fronts[0]);
	assert_int_equal(f->n_points, 2);
	assert_true(fabs(point(f, "a")->value - 0.5) < 1e-15);
	assert_true(fabs(point(f, "a")->stderr_value - 0.025) < 1e-15);
	assert_int_equal(point(f, "a")->n, 200);
	assert_true(fabs(point(f, "c")->value - 0.6) < 1e-15 && isnan(point(f, "c")->stderr_value));
	assert_int_equal(f->n_incomplete, 1);
	assert_int_equal(f->n_failed, 1);
	assert_string_equal(f->tasks, "boolq, piqa");
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

/* Five subjects of one name count as one task beside another; alone, each counts. */
static void mean_of_groups(void **state)
{
	(void)state;
	static const char *const tasks[] = { "exam-a", "exam-b", "exam-c", "exam-d", "exam-e", "exams", "piqa" };
	struct pb_rows rows;
	struct pb_fronts fronts;
	double weights[7];
	assert_int_equal(pb_task_weights(tasks, 7, weights), 3);
	assert_true(weights[0] == 0.2 && weights[4] == 0.2 && weights[5] == 1.0 && weights[6] == 1.0);
	assert_int_equal(pb_task_weights(tasks, 5, weights), 5);
	assert_true(weights[0] == 1.0);
	assert_int_equal(pb_task_weights(tasks + 1, 6, weights), 6);
	pb_rows_init(&rows);
	for (size_t i = 0; i < 7; i++) {
		struct pb_row *r = add(&rows, "a", tasks[i], 10, i < 5 ? 0.2 + 0.05 * (double)i : 0.9);
		r->stderr_value = 0.03;
		r->chance = i < 5 ? 0.25 : 0.5;
	}
	pb_rows_sort(&rows);
	assert_int_equal(pb_fronts_make(&fronts, &rows, &err), PB_OK);
	const struct pb_front *f = find(&fronts, "mean", "acc");
	assert_string_equal(f->title, "Mean accuracy of 3 tasks");
	assert_string_equal(f->tasks, "exam (5), exams, piqa");
	assert_int_equal(f->n_tasks, 7);
	assert_true(fabs(f->points[0].value - (0.3 + 0.9 + 0.9) / 3.0) < 1e-15);
	assert_true(fabs(f->points[0].stderr_value - 0.03 * sqrt(0.2 + 1.0 + 1.0) / 3.0) < 1e-15);
	assert_true(fabs(f->chance - 1.25 / 3.0) < 1e-15);
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

static void bits_within_a_model(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	pb_rows_init(&rows);
	add(&rows, "a", "piqa", 10, 0.5)->effective_bits = 2.0;
	add(&rows, "b", "piqa", 20, 0.4)->effective_bits = 3.0;
	struct pb_row *r = add(&rows, "c", "piqa", 100, 0.9);
	r->effective_bits = 1.0;
	r->model = "large";
	add(&rows, "d", "piqa", 20, 0.8);
	assert_int_equal(pb_fronts_make(&fronts, &rows, &err), PB_OK);
	const struct pb_front *f = &fronts.fronts[0];
	assert_true(point(f, "a")->on_bits_front && point(f, "c")->on_bits_front);
	assert_false(point(f, "b")->on_bits_front || point(f, "d")->on_bits_front);
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
}

static const struct pb_tick *labelled(const struct pb_axis *axis, const char *label)
{
	for (size_t i = 0; i < axis->n_ticks; i++)
		if (strcmp(axis->ticks[i].label, label) == 0)
			return &axis->ticks[i];
	return NULL;
}

static void axes(void **state)
{
	(void)state;
	struct pb_axis axis;
	pb_axis_make(&axis, PB_AXIS_BYTES, 40e6, 300e6, -INFINITY, INFINITY, 8);
	assert_non_null(labelled(&axis, "64 MiB"));
	assert_non_null(labelled(&axis, "256 MiB"));
	assert_true(labelled(&axis, "64 MiB")->value == 67108864.0);
	bool has_minor = false;
	for (size_t i = 0; i < axis.n_ticks; i++)
		has_minor = has_minor || (axis.ticks[i].minor && axis.ticks[i].value == 1.25 * 67108864.0);
	assert_true(has_minor);
	pb_axis_make(&axis, PB_AXIS_BYTES, 1, 1, -INFINITY, INFINITY, 8);
	assert_non_null(labelled(&axis, "1 B"));
	pb_axis_make(&axis, PB_AXIS_LINEAR, 31.3, 64.9, 0, 100, 8);
	assert_non_null(labelled(&axis, "35"));
	assert_non_null(labelled(&axis, "60"));
	pb_axis_make(&axis, PB_AXIS_LINEAR, 0.5, 0.5, -INFINITY, INFINITY, 8);
	assert_true(axis.low < 0.5 && axis.high > 0.5 && axis.n_ticks > 1);
	pb_axis_make(&axis, PB_AXIS_LINEAR, 100, 100, 0, 100, 8);
	assert_true(axis.low < 100 && axis.high >= 100);
	pb_axis_make(&axis, PB_AXIS_LOG, 5, 4000, -INFINITY, INFINITY, 8);
	assert_non_null(labelled(&axis, "10"));
	assert_non_null(labelled(&axis, "1000"));
	assert_true(pb_axis_place(&axis, 0.0) != pb_axis_place(&axis, 0.0));
	pb_axis_make(&axis, PB_AXIS_COUNT, 3000, 5e7, -INFINITY, INFINITY, 8);
	assert_non_null(labelled(&axis, "100 k"));
	assert_true(labelled(&axis, "10 M")->value == 1e7);
	pb_axis_make(&axis, PB_AXIS_COUNT, 1.23e6, 1.24e6, -INFINITY, INFINITY, 8);
	assert_non_null(labelled(&axis, "1.23 M"));
	pb_axis_make(&axis, PB_AXIS_COUNT, 1, 1, -INFINITY, INFINITY, 8);
	assert_non_null(labelled(&axis, "1"));
	pb_axis_make(&axis, PB_AXIS_COUNT, 1, 9.2e18, -INFINITY, INFINITY, 8);
	assert_non_null(labelled(&axis, "1 B"));
	pb_axis_make(&axis, PB_AXIS_LOG, 7.01, 7.02, -INFINITY, INFINITY, 8);
	assert_true(axis.n_ticks >= 2);
	pb_axis_make(&axis, PB_AXIS_LOG, 1e-300, 1e300, -INFINITY, INFINITY, 8);
	assert_true(axis.n_ticks >= 2 && axis.n_ticks <= PB_MAX_TICKS);
	pb_axis_make(&axis, PB_AXIS_BYTES, 1, 9.2e18, -INFINITY, INFINITY, 8);
	assert_true(axis.n_ticks >= 2);
}

/* Labels are where they cost least, and one that has no place becomes a number. */
static void labels(void **state)
{
	(void)state;
	struct pb_label one = { .x = 100, .y = 100, .w = 50, .h = 13, .key_w = 14 };
	const double marker[2] = { 100, 100 };
	struct pb_label_ground ground = { .inside = { 0, 0, 400, 300 }, .markers = marker, .n_markers = 1, .marker_radius = 6 };
	assert_true(pb_labels_place(&one, 1, &ground));
	assert_true(one.box.x == 108 && one.box.y == 93.5 && !one.leader && one.number == 0);
	struct pb_label right = { .x = 380, .y = 100, .w = 50, .h = 13, .key_w = 14 };
	const double at[2] = { 380, 100 };
	ground.markers = at;
	assert_true(pb_labels_place(&right, 1, &ground));
	assert_true(right.box.x + right.box.w <= 400 && right.number == 0);
	/* Sixty labels on one point: most of them cannot be texts. */
	struct pb_label many[60];
	unsigned numbers = 0;
	for (int i = 0; i < 60; i++)
		many[i] = one;
	ground.markers = marker;
	assert_true(pb_labels_place(many, 60, &ground));
	for (int i = 0; i < 60; i++)
		if (many[i].number)
			assert_int_equal(many[i].number, ++numbers);
	assert_true(numbers >= 40);
}

/* In a column: in order, none over another, no further away than need be. */
static void label_column(void **state)
{
	(void)state;
	static const double heights[8] = { 2, 50, 52, 55, 150, 200, 296, 299 };
	struct pb_label l[8];
	for (int i = 0; i < 8; i++)
		l[i] = (struct pb_label){ .x = 90, .y = heights[i], .w = 40, .h = 13, .key_w = 14, .number = i == 4 ? 7 : 0 };
	pb_labels_column(l, 8, 100, 0, 300);
	for (int i = 0; i < 8; i++) {
		assert_true(l[i].box.x == 100 && l[i].box.w == (i == 4 ? 14 : 40) && l[i].box.y >= 0 && l[i].box.y + 13 <= 300);
		assert_true(i == 0 || l[i].box.y >= l[i - 1].box.y + 13 - 1e-9);
	}
	assert_true(l[0].box.y == 0 && l[7].box.y == 287 && l[6].box.y == 274);
	/* Three that share their way: the middle of the block is their mean. */
	assert_true(fabs(l[2].box.y + 6.5 - (50 + 52 + 55) / 3.0) < 1e-9 && l[1].leader && l[3].leader);
	assert_true(fabs(l[5].box.y + 6.5 - 200) < 1e-9 && !l[5].leader && l[4].number == 7);
	pb_labels_column(l, 0, 100, 0, 300);
}

static void canvas_refuses(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct pb_canvas *c = NULL;
		struct pb_text out = { 0 };
		if (kind == 0)
			assert_int_equal(pb_canvas_svg(&c, 100, 100, "x", false, &err), PB_OK);
		else if (kind == 1)
			assert_int_equal(pb_canvas_png(&c, 100, 100, 1, &err), PB_OK);
		else
			assert_int_equal(pb_canvas_pdf(&c, 100, 100, 1, "x", "", &err), PB_OK);
		pb_canvas_line(c, 0, 0, NAN, 3, (struct pb_stroke){ PB_INK_AXIS, 1, PB_SOLID });
		pb_canvas_text(c, 0, 0, PB_LEFT, 12, false, PB_INK_TEXT, "after");
		assert_int_equal(pb_canvas_finish(c, &out, &err), PB_NUMERIC);
		assert_int_equal(out.length, 0);
		pb_text_free(&out);
	}
	struct pb_canvas *c = NULL;
	struct pb_text out = { 0 };
	assert_int_equal(pb_canvas_png(&c, 1e6, 1e6, 1, &err), PB_FAILED); /* over cairo's limit */
	assert_int_equal(pb_canvas_svg(&c, NAN, 10, "x", false, &err), PB_NUMERIC);
	assert_int_equal(pb_canvas_png(&c, 100, 100, 1, &err), PB_OK);
	pb_canvas_text(c, 10, 10, PB_LEFT, 12, false, PB_INK_TEXT, "bad \xff\xc0 bytes \x01");
	assert_int_equal(pb_canvas_finish(c, &out, &err), PB_OK);
	assert_memory_equal(out.data, "\x89PNG", 4);
	pb_text_free(&out);
}

/* A line of ten thousand steps on a hundred pixels has as many points as can be told apart, and its ends; straight stretches have
 * two, bars with caps are one path; in a page colours are classes alone. */
static void lean_lines(void **state)
{
	(void)state;
	enum { STEPS = 10000 };
	static double xy[4 * STEPS];
	const struct pb_stroke stroke = { PB_INK_TEXT, 1.0, PB_SOLID };
	struct pb_canvas *c;
	struct pb_text out = { 0 };
	size_t n = 0;
	for (size_t i = 0; i < 2 * STEPS; i++) {
		xy[2 * i] = 10.0 + 100.0 * (double)((i + 1) / 2) / STEPS;
		xy[2 * i + 1] = 20.0 + (i / 2 < STEPS / 2 ? 50.0 * (double)(i / 2) / STEPS : 25.0);
	}
	for (int embedded = 0; embedded < 2; embedded++) {
		assert_int_equal(pb_canvas_svg(&c, 200, 100, "x", embedded, &err), PB_OK);
		pb_canvas_polyline(c, xy, 2 * STEPS, stroke);
		pb_canvas_bar(c, 50, 10, 60, 2, stroke);
		assert_int_equal(pb_canvas_finish(c, &out, &err), PB_OK);
		n = 0;
		for (const char *s = strchr(pb_text_c(&out), 'M'); *s && *s != '"'; s++)
			n += *s == 'L';
		assert_in_range(n, 100, 1000);
		assert_non_null(strstr(out.data, "M10 20L"));
		assert_non_null(strstr(out.data, "L110 45\""));
		assert_non_null(strstr(out.data, "M48 10L52 10L50 10L50 60L48 60L52 60\""));
		assert_int_equal(strstr(out.data, " stroke=\"#222222\"") != NULL, !embedded);
		pb_text_free(&out);
	}
}

/* --- whole reports --- */

static void sample_rows(struct pb_rows *rows)
{
	static const struct {
		const char *label, *family;
		double bits, damage;
	} methods[] = { { "identity", "full precision", 16, 0 }, { "rtn w2", "k-bit", 2.25, 0.7 }, { "rtn w4", "k-bit", 4.25, 0.1 }, { "onebit w1", "OneBit", 1.1, 0.6 },
		{ "squeezellm w3", "SqueezeLLM", 3.3, 0.15 }, { "gptq w3", "GPTQ", 3.25, 0.2 } };
	static const char *const tasks[] = { "piqa", "boolq", "wikitext" };
	pb_rows_init(rows);
	for (int m = 0; m < 2; m++)
		for (size_t k = 0; k < sizeof methods / sizeof *methods; k++)
			for (int t = 0; t < 3; t++) {
				char cell[32];
				snprintf(cell, sizeof cell, "cell%d%zu", m, k);
				double size = (m ? 4e6 : 1e6) * methods[k].bits, full = m ? 0.7 : 0.6;
				struct pb_row *r = add(rows, cell, tasks[t], (int64_t)size, 0.5 + (full - 0.5) * (1 - methods[k].damage));
				r->label = methods[k].label;
				r->family = methods[k].family;
				r->model = m ? "large" : "small";
				r->model_hash = m ? "11" : "22";
				r->effective_bits = methods[k].bits;
				r->wbits = floor(methods[k].bits);
				r->stderr_value = 0.01;
				r->chance = 0.5;
				r->quantize_seconds = 1.5;
				r->eval_seconds = 0.25 * (t + 1);
				r->size_convention = "packed";
				r->counters = json_pack("{s:{s:n,s:s}, s:{s:i,s:s}}", "instructions", "value", "note", "no PMU in this VM", "page-faults", "value", 7001 + t, "unit", "1");
				if (!r->counters)
					exit(9);
				if (t == 2) {
					r->metric = "ppl_token";
					r->higher_is_better = false;
					r->chance = NAN;
					r->value = k == 3 ? 1e6 : 10 * exp(methods[k].damage * 3);
				}
				if (m == 1 && k == 5) {
					r->status = PB_ROW_FAILED;
					r->reason = "gptq: out of time";
				}
			}
	pb_rows_sort(rows);
}

#define LOG_HEAD "step,tokens,loss,gradient_norm,learning_rate,validation_loss,seconds\n"

static void add_training(struct pb_trainings *t, const char *folder, const char *name, long long parameters, const char *status, const char *reason, const char *log)
{
	struct pb_text facts = { 0 };
	json_t *object = json_pack("{s:s, s:I, s:i, s:i, s:i, s:f, s:f, s:n, s:s, s:s}", "name", name, "parameters", (json_int_t)parameters,
		"matrix_parameters", 20, "steps", 4, "tokens", 39300000, "tokens_per_second", 1234.0, "final_loss", 3.5, "validation_loss", "status", status,
		"reason", reason);
	char *text = object ? pb_json_canonical(object) : NULL;
	json_decref(object);
	pb_text_string(&facts, text ? text : "");
	const struct pb_training_bytes l = { "log.csv", log, strlen(log) }, f = { "train.json", pb_text_c(&facts), facts.length };
	if (!text || pb_trainings_add(t, folder, &l, &f, &err) != PB_OK)
		exit(9);
	pb_free(text);
	pb_text_free(&facts);
}

static void sample_trainings(struct pb_trainings *t)
{
	add_training(t, "a", "micro-m", 480000, "done", "",
		LOG_HEAD "0,0,,,,7.5,0\n10,10000,5,1,0.1,,1\n20,20000,4,1,0.1,4.125,2\n40,40000,3,1,0.1,3.25,3\n");
	add_training(t, "b", "micro-s", 30000, "diverged", "loss 99 at step 30", LOG_HEAD "10,10000,6,1,0.1,,1\n20,20000,5,1,0.1,5.5,2\n30,30000,99,1,0.1,,2\n");
	add_training(t, "c", "micro-l", 990000, "running", "", LOG_HEAD);
	if (pb_trainings_sort(t, &err) != PB_OK)
		exit(9);
}

/* A section with everything there is; `word` stands where texts of rows may stand. */
static void sample_section(struct pb_section *section, struct pb_arena *arena, const char *word)
{
	static const struct pb_section_column columns[] = { { "what", false, false }, { "how long", false, true }, { "value", true, false } };
	static const double x[] = { 1e3, 1e4, 1e5, 1e6 }, y[] = { 0.5, NAN, 2.0, 40.0 }, low[] = { -0.1, NAN, 1.5, 39.0 }, high[] = { 0.9, NAN, 2.5, 41.0 };
	struct pb_chart_series series[] = {
		{ .name = word, .ink = pb_chart_ink(0), .shape = pb_chart_shape(0), .n = 4, .x = x, .y = y, .low = low, .high = high, .line = true, .marks = true },
		{ .name = "band", .ink = pb_chart_ink(1), .shape = pb_chart_shape(1), .n = 4, .x = x, .y = high, .low = low, .high = high, .line = true, .band = true, .dash = PB_DASHED },
	};
	struct pb_chart_series *kept = arena ? pb_arena_alloc(arena, 2, sizeof *kept) : NULL;
	struct pb_chart_reference *reference = arena ? pb_arena_alloc(arena, 1, sizeof *reference) : NULL;
	if (!kept || !reference)
		exit(9);
	memcpy(kept, series, sizeof series);
	*reference = (struct pb_chart_reference){ 3.0, word };
	const struct pb_section_chart chart = { .slug = "sample-chart", .caption = word, .note = word, .chart = { .title = word, .x_title = "x", .y_title = "y",
		.description = word, .x_kind = PB_AXIS_COUNT, .y_kind = PB_AXIS_LINEAR, .has_y_most = true, .y_most = 10.0, .series = kept, .n_series = 2,
		.references = reference, .n_references = 1 } };
	struct pb_section_chart panel = chart, nothing = chart;
	pb_section_init(section, arena, "sample", "Sample");
	pb_section_heading(section, "part of %s", word);
	pb_section_text(section, "%s", word);
	pb_section_note(section, "note: %s", word);
	struct pb_section_table *table = pb_section_table(section, columns, 3);
	for (int i = 0; i < 80; i++) { /* over pages */
		pb_table_text(table, "%s", word);
		pb_table_text(table, "line %d of a text that is as long as it takes to fill more than one line of a narrow column, and then a little more: %s", i, word);
		pb_table_number(table, i == 3 ? NAN : i, i == 3 ? "n/a" : "%d", i);
	}
	pb_section_chart(section, &chart);
	panel.panel = true;
	for (int i = 0; i < 3; i++) {
		panel.slug = i == 0 ? "panel-a" : i == 1 ? "panel-b" : "panel-c";
		panel.chart.y_kind = i == 0 ? PB_AXIS_LOG : PB_AXIS_LINEAR;
		pb_section_chart(section, &panel);
	}
	nothing.chart.n_series = 0;
	pb_section_chart(section, &nothing);
	struct pb_text csv = { 0 };
	pb_text_string(&csv, "a,b\n1,2\n");
	pb_section_file(section, "sample.csv", "All of it", &csv);
}

static enum pb_status write_report(const struct pb_rows *rows, const struct pb_trainings *trainings, const char *folder)
{
	const struct pb_fact facts[] = { { "created_utc", "2026-01-31T12:34:56Z" }, { "version", "0.1.0" }, { "sweep", "name: x\nmodels:\n" } };
	struct pb_arena *arena = pb_arena_new();
	struct pb_section section;
	sample_section(&section, arena, "word");
	const struct pb_section *const sections[] = { &section };
	struct pb_report_input input = { "sample", rows, facts, 3, "2026-01-31T12:34:56Z", trainings, sections, rows->n > 0, NULL, false, NULL, NULL, NULL, NULL, NULL };
	char *page = NULL;
	enum pb_status st = pb_report_write(&input, folder, &page, &err);
	pb_section_free(&section);
	pb_arena_free(arena);
	pb_free(page);
	return st;
}

static int write_sample(const char *folder)
{
	struct pb_rows rows;
	struct pb_trainings trainings = { 0 };
	sample_rows(&rows);
	sample_trainings(&trainings);
	enum pb_status st = write_report(&rows, &trainings, folder);
	pb_rows_free(&rows);
	pb_trainings_free(&trainings);
	if (st != PB_OK)
		printf("%s\n", err.text);
	return st == PB_OK ? 0 : 3;
}

static char *temporary(void)
{
	static char folder[64];
	snprintf(folder, sizeof folder, "/tmp/test_report_XXXXXX");
	assert_non_null(mkdtemp(folder));
	return folder;
}

static void discard(const char *folder)
{
	char command[96];
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	assert_int_equal(system(command), 0);
}

static char *slurp(const char *folder, const char *name, size_t *size)
{
	char *path = pb_path_join(folder, name), *data = NULL;
	size_t n = 0;
	if (pb_file_read(path, 1u << 28, &data, &n, &err) != PB_OK)
		fail_msg("%s", err.text);
	pb_free(path);
	if (size)
		*size = n;
	return data;
}

static void same_folders(const char *a, const char *b)
{
	char command[160];
	snprintf(command, sizeof command, "diff -r '%s' '%s' >&2", a, b);
	if (system(command) != 0)
		fail_msg("%s and %s differ", a, b);
}

/* The exit code of this program making a sample report in a fresh process. */
static int write_elsewhere(const char *folder, const char *environment)
{
	char command[256], self[128];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	assert_true(n > 0);
	self[n] = '\0';
	snprintf(command, sizeof command, "%s '%s' write '%s' > '%s.out' 2>&1", environment, self, folder, folder);
	int status = system(command);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void same_bytes(void **state)
{
	(void)state;
	char root[64], a[80], b[80], c[80];
	snprintf(root, sizeof root, "%s", temporary());
	snprintf(a, sizeof a, "%s/a", root);
	snprintf(b, sizeof b, "%s/b", root);
	snprintf(c, sizeof c, "%s/c", root);
	assert_int_equal(write_sample(a), 0);
	assert_int_equal(write_sample(b), 0); /* twice in one process */
	same_folders(a, b);
	assert_int_equal(write_elsewhere(c, "TZ=Asia/Tokyo"), 0);
	same_folders(a, c);
	assert_int_equal(write_sample(a), 0); /* over itself */
	same_folders(a, c);
	static const char *const names[] = { "report.html", "report.pdf", "report.md", "rows.csv", "fronts.csv", "figures/front.svg", "figures/front.png",
		"figures/front.pdf", "figures/front-bits.svg", "figures/piqa-acc.svg", "figures/boolq-acc.png", "figures/wikitext-ppl-token.pdf",
		"training.csv", "figures/training.svg", "figures/training.png", "figures/training.pdf",
		"figures/sample-chart.svg", "figures/panel-c.png", "sample.csv" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		pb_free(slurp(a, names[i], NULL));
	discard(root);
}

static void page_says(void **state)
{
	(void)state;
	char *folder = temporary();
	assert_int_equal(write_sample(folder), 0);
	char *page = slurp(folder, "report.html", NULL);
	static const char *const wanted[] = { "12 cells of 2 models", "11 ok, 1 failed, 0 skipped", "no PMU in this VM", "gptq: out of time", "2026-01-31T12:34:56Z",
		"id=\"front\"", "id=\"table\"", "id=\"tasks\"", "id=\"training\"", "id=\"sample\"", "id=\"time\"", "id=\"failed\"", "id=\"provenance\"", "href=\"fronts.csv\"", "data:text/csv",
		"data-cell=\"cell00\"", "<title>rtn w4", "Beyond the range, drawn as arrows: onebit w1", "data-front=\"true\"", "1.5 s",
		/* each task its own time and counters */ "250 ms", "500 ms", "750 ms", ">7001</td>", ">7002</td>", ">7003</td>",
		"3 trainings: 1 done, 1 diverged, 1 running.", "href=\"training.csv\"", "data-series=\"micro-m\"", "validation loss 4.125", "micro-s (diverged)",
		"diverged: loss 99 at step 30", "up to 99", ">39.3 M</td>", "1 of the logs\u2019 lines",
		"<h3>part of word</h3>", "word up to 40", "2 values have no place", "nothing to draw", "data-low=\"1.5\"", "data-v=\"79\"" };
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (!strstr(page, wanted[i]))
			fail_msg("the page does not say '%s'", wanted[i]);
	const char *last = page;
	for (size_t i = 5; i < 13; i++) { /* sections in order */
		const char *at = strstr(page, wanted[i]);
		assert_true(at > last);
		last = at;
	}
	/* Nothing comes from a network. */
	assert_null(strstr(page, "src="));
	assert_null(strstr(page, "@import"));
	assert_null(strstr(page, "url(http"));
	pb_free(page);
	discard(folder);
}

/* No text of a row is markup anywhere: an element of that name occurs only escaped. */
static void hostile_text(void **state)
{
	(void)state;
	static char longest[5001];
	memset(longest, 'W', sizeof longest - 1);
	static const char evil[] = "</title></script><script>alert(1)</script>\"' onload=\"x\" \xff\x01]]>&amp;|`*\n# h";
	struct pb_rows rows;
	pb_rows_init(&rows);
	for (int i = 0; i < 4; i++) {
		struct pb_row *r = add(&rows, evil, i < 2 ? evil : longest, 1000 * (i + 1), 0.5 + 0.1 * i);
		r->run = r->model = r->label = r->quantizer = r->options = r->protocol = r->backend = r->task_hash = r->version = r->machine = r->family = r->model_hash = evil;
		r->metric = i < 2 ? "acc" : evil;
		r->size_convention = r->started_utc = evil;
		if (i == 3)
			r->model = r->label = longest;
		r->counters = json_pack("{s:{s:i,s:s}, s:{s:n,s:s}}", "<script>c", "value", 1, "unit", "<script>", "<script>d", "value", "note", "<script>");
	}
	struct pb_row *failed = add(&rows, "f", evil, 10, 0.1);
	failed->status = PB_ROW_FAILED;
	failed->reason = evil;
	pb_rows_sort(&rows);
	const struct pb_fact facts[] = { { evil, evil }, { "version", evil }, { "command", evil } };
	struct pb_arena *arena = pb_arena_new();
	struct pb_section section;
	sample_section(&section, arena, evil);
	const struct pb_section *const sections[] = { &section };
	struct pb_report_input input = { evil, &rows, facts, 3, evil, NULL, sections, 1, NULL, false, NULL, NULL, "params", NULL, NULL };
	char *folder = temporary(), *path = NULL;
	if (pb_report_write(&input, folder, &path, &err) != PB_OK)
		fail_msg("%s", err.text);
	pb_free(path);
	pb_section_free(&section);
	pb_arena_free(arena);
	char *page = slurp(folder, "report.html", NULL), *svg = slurp(folder, "figures/front.svg", NULL), *markdown = slurp(folder, "report.md", NULL);
	assert_null(strstr(page, "<script>alert"));
	assert_null(strstr(page, "\" onload"));
	assert_null(strstr(page, "<script>c"));
	assert_null(strstr(page, "<script>d"));
	assert_non_null(strstr(page, "&lt;script&gt;alert(1)"));
	assert_null(strstr(svg, "<script"));
	assert_null(strstr(svg, "\" onload"));
	assert_null(strstr(markdown, "<script"));
	assert_null(strstr(markdown, "\n# h"));
	assert_true(pb_utf8_valid(page, strlen(page)) && pb_utf8_valid(svg, strlen(svg)) && pb_utf8_valid(markdown, strlen(markdown)));
	/* One script of our own. */
	assert_null(strstr(strstr(page, "<script>") + 1, "<script>"));
	pb_free(page);
	pb_free(svg);
	pb_free(markdown);
	pb_rows_free(&rows);
	discard(folder);
}

static void write_and_discard(struct pb_rows *rows, const char *wanted)
{
	char *folder = temporary();
	pb_rows_sort(rows);
	if (write_report(rows, NULL, folder) != PB_OK)
		fail_msg("%s", err.text);
	char *page = slurp(folder, "report.html", NULL);
	if (!strstr(page, wanted))
		fail_msg("the page does not say '%s'", wanted);
	pb_free(page);
	discard(folder);
	pb_rows_free(rows);
}

/* The points of the main figure's marks, one or many a mark, are so many. */
static void add_up_points(struct pb_rows *rows, size_t wanted)
{
	char *folder = temporary();
	size_t n = 0, n_joined = 0;
	pb_rows_sort(rows);
	assert_int_equal(write_report(rows, NULL, folder), PB_OK);
	char *svg = slurp(folder, "figures/front.svg", NULL);
	for (const char *at = svg; (at = strstr(at, "class=\"point\"")); at++) {
		const char *points = strstr(at, "data-points=\""), *end = strchr(at, '>');
		bool is_joined = points && points < end;
		n += is_joined ? strtoull(points + strlen("data-points=\""), NULL, 10) : 1;
		n_joined += is_joined;
	}
	assert_true(n_joined > 50);
	assert_int_equal(n, wanted);
	pb_free(svg);
	discard(folder);
}

static void sizes_of_input(void **state)
{
	(void)state;
	struct pb_rows rows;
	pb_rows_init(&rows);
	write_and_discard(&rows, "0 cells");
	add(&rows, "a", "piqa", 1000, 0.5);
	write_and_discard(&rows, "1 cell of 1 model");
	for (int i = 0; i < 5; i++) {
		struct pb_row *r = add(&rows, i % 2 ? "a" : "b", "piqa", 1000, 0.5);
		r->status = i % 2 ? PB_ROW_FAILED : PB_ROW_SKIPPED;
		r->reason = "because";
	}
	write_and_discard(&rows, "nothing to draw");
	for (int i = 0; i < 4; i++) { /* no size, a zero and a negative one */
		char cell[16];
		snprintf(cell, sizeof cell, "c%d", i);
		add(&rows, cell, "piqa", i == 0 ? 0 : i == 1 ? -1 : i == 2 ? PB_ABSENT : 4096, 0.5);
	}
	write_and_discard(&rows, "3 without a size");
	for (int i = 0; i < 30; i++) { /* identical values and sizes */
		char cell[16];
		snprintf(cell, sizeof cell, "c%d", i);
		struct pb_row *r = add(&rows, cell, "piqa", 4096, 0.5);
		r->stderr_value = 0.0;
		r->effective_bits = 4.0;
	}
	write_and_discard(&rows, "30 points");
	for (int i = 0; i < 300; i++) {
		char cell[16];
		snprintf(cell, sizeof cell, "c%d", i);
		struct pb_row *r = add(&rows, cell, "wikitext", 1000 + 37 * (i * 7919 % 300), 5.0 + (i * 31 % 300));
		r->metric = "kld";
		r->higher_is_better = false;
		r->stderr_value = 0.5;
	}
	write_and_discard(&rows, "300 points");
	for (int i = 0; i < 2500; i++) { /* more than anybody can tell apart: together, and no point is lost */
		char cell[16];
		snprintf(cell, sizeof cell, "c%d", i);
		struct pb_row *r = add(&rows, cell, "piqa", 1000 + 37 * (i * 7919 % 2500), 0.3 + 0.0002 * (i * 31 % 2500));
		r->label = i % 2 ? "odd" : "even";
		r->eval_seconds = 2.0;
	}
	add_up_points(&rows, 2500);
	write_and_discard(&rows, ">1250</td>"); /* time by setting */
	for (int i = 0; i < 4; i++) { /* values that a logarithm cannot show, and extreme ones */
		char cell[16];
		snprintf(cell, sizeof cell, "c%d", i);
		struct pb_row *r = add(&rows, cell, "wikitext", i == 3 ? INT64_MAX : 1000 + i, i == 0 ? 0.0 : i == 1 ? -1e-9 : i == 2 ? 1e-300 : 1e300);
		r->metric = "kld";
		r->higher_is_better = false;
		r->stderr_value = i == 3 ? 1e300 : 0.1;
		r->effective_bits = i == 3 ? 1e-300 : 1e300;
	}
	write_and_discard(&rows, "Beyond the range");
	struct pb_row *r = add(&rows, "a", "piqa", 1000, 1e308); /* an accuracy that is none */
	r->stderr_value = 1e308;
	add(&rows, "b", "piqa", 1000, -1e308);
	add(&rows, "c", "piqa", 2000, 0.5);
	write_and_discard(&rows, "3 points");
}

/* Trainings of all sizes, alone: nothing is said of rows, and every number of a log can be drawn. */
static void only_trainings(void **state)
{
	(void)state;
	static char longest[2001];
	static const char evil[] = "</title></script><script>alert(1)</script>\"' onload=\"x\" \x01]]>&amp;|`*\n# h";
	const struct {
		const char *name, *status, *log, *wanted;
	} cases[] = {
		{ "none", "running", LOG_HEAD, "nothing to draw" },
		{ "at-zero", "running", LOG_HEAD "0,0,,,,7,0\n", "nothing to draw" },
		{ "no-loss", "running", LOG_HEAD "1,1,,1,1,,0\n", "nothing to draw" },
		{ "one-line", "done", LOG_HEAD "1,1024,7,1,1,,0\n", "1 training: 1 done." },
		{ "one-validation", "done", LOG_HEAD "1,1024,,1,1,7,0\n", "data-y=\"7\"" },
		{ "largest", "done", LOG_HEAD "1,1,1.7976931348623157e308,1,1,-1.7976931348623157e308,0\n2,9223372036854775807,1e308,1,1,0,0\n", "data-series=\"largest\"" },
		{ "smallest", "done", LOG_HEAD "1,1,4e-324,1,1,,0\n2,1,-4e-324,1,1,0,0\n3,1,1e308,,,,\n", "smallest up to 1e+308" },
		{ "negative", "done", LOG_HEAD "1,1,-3,1,1,,0\n2,2,-2,1,1,,0\n", "negative" },
		{ evil, "done", LOG_HEAD "1,1024,7,1,1,,0\n2,2048,6,1,1,6.5,0\n", "&lt;script&gt;alert(1)" },
		{ longest, "diverged", LOG_HEAD "1,1024,7,1,1,,0\n2,2048,6,1,1,6.5,0\n", "WWW" },
	};
	memset(longest, 'W', sizeof longest - 1);
	for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++) { /* one after another, then sixty, most of them of one end */
		struct pb_rows rows;
		struct pb_trainings t = { 0 };
		bool all = i == sizeof cases / sizeof *cases;
		pb_rows_init(&rows);
		for (size_t k = 0; k < (all ? 60u : 1u); k++) {
			size_t which = !all ? i : k < 45 ? 5 : k % i;
			char folder[32];
			snprintf(folder, sizeof folder, "f%zu", k);
			add_training(&t, folder, cases[which].name, (long long)(k % 7), cases[which].status, evil, cases[which].log);
		}
		assert_int_equal(pb_trainings_sort(&t, &err), PB_OK);
		char *folder = temporary();
		if (write_report(&rows, &t, folder) != PB_OK)
			fail_msg("%s: %s", all ? "all" : cases[i].name, err.text);
		char *page = slurp(folder, "report.html", NULL), *markdown = slurp(folder, "report.md", NULL);
		if (!strstr(page, all ? "have no room for their names" : cases[i].wanted))
			fail_msg("the page does not say '%s'", all ? "no room" : cases[i].wanted);
		static const char *const none_of[] = { "id=\"front\"", "id=\"table\"", "id=\"time\"", "id=\"failed\"", "0 cells", "rows.csv", "<script>alert", "\" onload" };
		for (size_t k = 0; k < sizeof none_of / sizeof *none_of; k++)
			if (strstr(page, none_of[k]) || strstr(markdown, none_of[k]))
				fail_msg("%s: the page says '%s'", all ? "all" : cases[i].name, none_of[k]);
		assert_null(strstr(markdown, "\n# h"));
		pb_free(page);
		pb_free(markdown);
		discard(folder);
		pb_trainings_free(&t);
	}
}

/* Whatever fails, the report ends with a sentence and exit code 3, never with a crash. */
static void failures(void **state)
{
	(void)state;
	char root[64], good[80], folder[80], environment[64];
	snprintf(root, sizeof root, "%s", temporary());
	snprintf(good, sizeof good, "%s/good", root);
	snprintf(folder, sizeof folder, "%s/a", root);
	assert_int_equal(write_sample(good), 0);
	unsigned refusals = 0;
	for (unsigned n = 1; n < 1000000; n += 1 + n / 4) {
		snprintf(environment, sizeof environment, "PB_TEST_FAIL_ALLOC=%u", n);
		int code = write_elsewhere(folder, environment);
		if (code == 0) { /* fewer allocations than n: nothing was left out in silence */
			same_folders(good, folder);
			break;
		}
		if (code != 3 && code != 9)
			fail_msg("%s: exit code %d", environment, code);
		refusals += code == 3;
	}
	assert_true(refusals >= 4);
	for (unsigned n = 1; n < 1000; n += 1 + n / 5) {
		snprintf(environment, sizeof environment, "PB_TEST_FAIL_WRITE=%u", n);
		int code = write_elsewhere(folder, environment);
		if (code == 0) {
			assert_true(n > 10);
			break;
		}
		assert_int_equal(code, 3);
	}
	discard(root);
}

/* --- a golden figure --- */

static enum pb_status golden_figure(struct pb_text *out, double *font_width)
{
	struct pb_rows rows;
	struct pb_fronts fronts = { .note = "" };
	struct pb_measure *measure = NULL;
	struct pb_figure *figure = NULL;
	struct pb_canvas *canvas = NULL;
	sample_rows(&rows);
	enum pb_status st = pb_measure_new(&measure, &err);
	if (st == PB_OK)
		st = pb_fronts_make(&fronts, &rows, &err);
	if (st == PB_OK) {
		*font_width = pb_measure_width(measure, 100, false, "paretobench 0123456789");
		const struct pb_figure_spec spec = { &fronts.fronts[0], false, PB_FIGURE_FULL, "A note." };
		st = pb_figure_make(&figure, &spec, measure, &err);
	}
	if (st == PB_OK)
		st = pb_canvas_svg(&canvas, pb_figure_width(figure), pb_figure_height(figure), pb_figure_description(figure), false, &err);
	if (st == PB_OK) {
		pb_figure_draw(figure, canvas);
		st = pb_canvas_finish(canvas, out, &err);
	}
	pb_figure_free(figure);
	pb_fronts_free(&fronts);
	pb_measure_free(measure);
	pb_rows_free(&rows);
	return st;
}

static void golden(void **state)
{
	(void)state;
	struct pb_text svg = { 0 };
	double width = 0;
	assert_int_equal(golden_figure(&svg, &width), PB_OK);
	if (fabs(width - GOLDEN_WIDTH) > 0.1) {
		print_message("the font is not DejaVu Sans 2.37\n");
		pb_text_free(&svg);
		skip();
	}
	char *wanted = slurp(".", GOLDEN, NULL);
	if (strcmp(wanted, svg.data) != 0)
		fail_msg("the figure is not " GOLDEN "; look at it, then renew it with test_report --update-golden");
	pb_free(wanted);
	pb_text_free(&svg);
}

static int update_golden(void)
{
	struct pb_text svg = { 0 };
	double width = 0;
	enum pb_status st = golden_figure(&svg, &width);
	if (st == PB_OK)
		st = pb_file_write(GOLDEN, svg.data, svg.length, &err);
	pb_text_free(&svg);
	if (st != PB_OK)
		printf("%s\n", err.text);
	return st == PB_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "write") == 0)
		return write_sample(argv[2]);
	if (argc == 2 && strcmp(argv[1], "--update-golden") == 0)
		return update_golden();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(membership), cmocka_unit_test(lower_is_better), cmocka_unit_test(claimed), cmocka_unit_test(separation), cmocka_unit_test(nothing_is_mixed),
		cmocka_unit_test(names_and_legend),
		cmocka_unit_test(mean_of_accuracies), cmocka_unit_test(mean_of_groups), cmocka_unit_test(bits_within_a_model), cmocka_unit_test(axes), cmocka_unit_test(labels), cmocka_unit_test(label_column),
		cmocka_unit_test(canvas_refuses), cmocka_unit_test(lean_lines), cmocka_unit_test(same_bytes), cmocka_unit_test(page_says),
		cmocka_unit_test(hostile_text), cmocka_unit_test(sizes_of_input), cmocka_unit_test(only_trainings), cmocka_unit_test(failures), cmocka_unit_test(golden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
