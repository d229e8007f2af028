/* Divergence from full precision: rows of logits and the task's metrics against an independent computation (tests/vectors/divergence),
 * which requests belong to which text, what is refused; fronts that are within models. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "backends/diverge.c"
#include "core/base/log.h"
#include "core/base/rng.h"
#include "reports/front.h"
#include "reports/items.h"
#include "tasks/estimate.h"
#include "tasks/kind.h"
#include "tests/unit/expect.h"
#include "tests/unit/scratch.h"
#include "tests/unit/task_fixture.h"

#define N_VOCAB 6
#define N_POSITIONS 60

static const char *const pieces[] = { " a", " b", " c", " d", NULL };
static struct pb_tokenizer *tokenizer;

static const char yaml[] = "task: t\noutput_type: divergence\ndata_files: [{file: d.txt, format: lines}]\ndoc_to_target: text\n";

static int set_up(void **state)
{
	(void)state;
	pb_log_setup(-1);
	tokenizer = fixture_tokenizer(pieces);
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	pb_tokenizer_free(tokenizer);
	scratch_remove();
	return 0;
}

static void near(double a, double b)
{
	if (isnan(b) ? !isnan(a) : !(fabs(a - b) <= 1e-12 * fabs(b) + 1e-15))
		fail_msg("%.17g is not %.17g", a, b);
}

struct position {
	int token, same_top;
	float full[N_VOCAB], quantized[N_VOCAB];
	double kld;
};

static void read_positions(struct position *p)
{
	FILE *f = fopen("tests/vectors/divergence/positions.txt", "r");

	assert_non_null(f);
	for (int i = 0; i < N_POSITIONS; i++, p++) {
		assert_int_equal(fscanf(f, "%d", &p->token), 1);
		for (int k = 0; k < 2 * N_VOCAB; k++)
			assert_int_equal(fscanf(f, "%f", k < N_VOCAB ? &p->full[k] : &p->quantized[k - N_VOCAB]), 1);
		assert_int_equal(fscanf(f, "%lf %d", &p->kld, &p->same_top), 2);
	}
	fclose(f);
}

static struct pb_divergence divergence_of(const struct position *p)
{
	struct pb_row_divergence row = pb_diverge(p->full, p->quantized, N_VOCAB);

	return (struct pb_divergence){ row.kld, p->full[p->token] - row.log_sum_full, p->quantized[p->token] - row.log_sum_quantized, row.same_top };
}

static void test_rows(void **state)
{
	struct position p[N_POSITIONS];
	float x[3] = { 1, 2, 3 }, y[3] = { 3, NAN, 1 };
	struct pb_row_divergence same;

	(void)state;
	read_positions(p);
	for (int i = 0; i < N_POSITIONS; i++) {
		struct pb_divergence d = divergence_of(&p[i]);

		near(d.kld, p[i].kld);
		assert_int_equal(d.same_top, p[i].same_top);
	}
	/* The same row diverges by nothing, exactly. */
	same = pb_diverge(x, x, 3);
	assert_true(same.kld == 0 && same.same_top && same.log_sum_full == same.log_sum_quantized);
	/* What is not finite is no number: in either row, and where the quantized row alone has no room for a token. */
	assert_false(isfinite(pb_diverge(x, y, 3).kld));
	assert_false(isfinite(pb_diverge(y, x, 3).kld));
	y[1] = INFINITY;
	assert_false(isfinite(pb_diverge(x, y, 3).kld));
	assert_false(isfinite(pb_diverge(y, x, 3).kld));
	y[1] = -INFINITY;
	assert_false(isfinite(pb_diverge(x, y, 3).kld));
	/* A difference in the last place of a sharp row is not below 0. */
	for (int i = 0; i < 1000; i++) {
		float a[3] = { 30.0f + (float)i / 7, 1, 2 }, b[3] = { a[0], nextafterf(1, (float)(i % 2) * 2), 2 };

		assert_true(pb_diverge(a, b, 3).kld >= 0);
	}
}

static double units_apart(double a, double b)
{
	return fabs(a - b) / (nextafter(b, INFINITY) - b);
}

/* Exponentials against the C library's; rows of any length, the same bits with every instruction set and near the plain sums. */
static void test_lanes(void **state)
{
	struct pb_rng rng = pb_rng_make(3, 3);
	float x[1030], y[1030];

	(void)state;
	for (int i = 0; i < 200000; i++) {
		double at[LANES];
		lanes v;

		for (int k = 0; k < LANES; k++)
			at[k] = i < 100 ? -1e-9 * i * k : -700 * pb_rng_unit(&rng);
		memcpy(&v, at, sizeof v);
		exp_lanes(&v);
		for (int k = 0; k < LANES; k++)
			assert_true(units_apart(v[k], exp(at[k])) <= 2);
	}
	for (uint32_t n = 1; n < 1030; n += n < 70 ? 1 : 53) {
		struct pb_row_divergence row, other;
		double top_x = -INFINITY, top_y = -INFINITY, p = 0, q = 0, apart = 0;

		for (uint32_t i = 0; i < n; i++) {
			x[i] = (float)(8 * pb_rng_normal(&rng));
			y[i] = x[i] + (float)pb_rng_normal(&rng);
			top_x = fmax(top_x, x[i]);
			top_y = fmax(top_y, y[i]);
		}
		for (uint32_t i = 0; i < n; i++) {
			p += exp(x[i] - top_x);
			q += exp(y[i] - top_y);
			apart += exp(x[i] - top_x) * ((x[i] - top_x) - (y[i] - top_y));
		}
		diverge_plain(x, y, n, &row);
		assert_true(fabs(row.kld - (apart / p - log(p) + log(q))) < 1e-13);
		near(row.log_sum_full, top_x + log(p));
		near(row.log_sum_quantized, top_y + log(q));
		other = pb_diverge(x, y, n);
		assert_true(row.kld == other.kld && row.log_sum_full == other.log_sum_full && row.log_sum_quantized == other.log_sum_quantized && row.same_top == other.same_top);
#ifdef __x86_64__
		if (__builtin_cpu_supports("avx2")) {
			diverge_avx2(x, y, n, &other);
			assert_true(row.kld == other.kld && row.log_sum_full == other.log_sum_full && row.log_sum_quantized == other.log_sum_quantized);
		}
#endif
		/* Wherever it lies, a number that is none is seen; of equal largest ones the first counts. */
		x[n / 2] = NAN;
		assert_false(isfinite(pb_diverge(x, y, n).kld) && isfinite(pb_diverge(y, x, n).kld));
		for (uint32_t i = 0; i < n; i++)
			x[i] = y[i] = 1;
		y[n - 1] = 2;
		row = pb_diverge(x, y, n);
		assert_int_equal(row.same_top, n == 1);
		assert_true(isfinite(row.kld));
	}
}

/* Positions in order into the requests, again from the first when there are more. */
static void fill(struct fixture_run *run)
{
	struct position p[N_POSITIONS];
	size_t n = 0;

	read_positions(p);
	for (size_t i = 0; i < run->requests->n_requests; i++) {
		struct pb_request *r = &run->requests->requests[i];

		for (uint32_t t = 0; t < r->n - r->first; t++)
			r->divergence[t] = divergence_of(&p[n++ % N_POSITIONS]);
	}
}

/* Texts of so many words, a token each. */
static void write_texts(const int *counts, int n)
{
	char text[1024] = "", *s = text;

	for (int i = 0; i < n; i++) {
		for (int k = 0; k < counts[i]; k++)
			s += sprintf(s, "%s%c", k ? " " : "", "abcd"[k % 4]);
		s += sprintf(s, "\n");
	}
	fixture_write("d.txt", text);
}

static void test_metrics(void **state)
{
	struct fixture_run run;
	FILE *f = fopen("tests/vectors/divergence/metrics.txt", "r");
	char name[32];
	double value, error;
	size_t n = 0;

	(void)state;
	assert_non_null(f);
	write_texts((int[]){ 20, 15, 5, 20 }, 4);
	run = fixture_begin(tokenizer, yaml, NULL, 0, 64);
	assert_true(pb_task_compares(run.task));
	fill(&run);
	run.result = fixture_score(run.task, run.data, run.requests);
	for (; fscanf(f, "%31s %lf %lf", name, &value, &error) == 3; n++) {
		const struct pb_metric *m = fixture_metric(run.result, name);

		assert_non_null(m);
		near(m->value, value);
		near(m->stderr_value, error);
		assert_int_equal(m->n, N_POSITIONS);
		assert_int_equal(m->higher_is_better, strcmp(name, "same_top") == 0);
	}
	fclose(f);
	assert_int_equal(n, 8);
	assert_int_equal(run.result->n_metrics, 8);
	/* Items of the texts: sums over their tokens, of which reports make the same means. */
	assert_int_equal(run.result->n_items, 4);
	for (enum pb_score score = PB_SCORE_KLD; score <= PB_SCORE_DELTA_NLL; score++) {
		static const char *const names[] = { "kld", "same_top", "delta_nll" };
		const char *metric = names[score - PB_SCORE_KLD];
		double sum = 0, weight = 0;

		assert_int_equal(pb_score_of(metric), score);
		for (size_t i = 0; i < 4; i++) {
			const struct pb_item *it = &run.result->items[i];
			const struct pb_stored_item stored = { .n_values = it->n_values, .values = it->values, .weight = it->weight };

			sum += pb_item_score(&stored, score);
			weight += pb_item_weight(&stored, score, 4);
		}
		near(sum / weight, fixture_metric(run.result, metric)->value);
	}
	fixture_end(&run);
}

/* Texts in several windows are one unit each; empty texts stay items. */
static void test_units(void **state)
{
	static const char pages[] = "task: t\noutput_type: divergence\nprotocol: lmeh-word\ndata_files: [{file: r.jsonl}]\ndoc_to_target: page\ndetokenizer: wikitext\n";
	struct pb_error err = { 0 };
	struct pb_task_requests *requests;
	struct fixture_run run;

	(void)state;
	fixture_write("r.jsonl", "{\"page\":\"a b c d a b c\"}\n{\"page\":\"\"}\n{\"page\":\"a b\"}\n");
	run = fixture_begin(tokenizer, pages, NULL, 0, 3);
	assert_int_equal(run.requests->n_requests, 4);
	fill(&run);
	run.result = fixture_score(run.task, run.data, run.requests);
	assert_int_equal(run.result->n_items, 3);
	near(run.result->items[0].weight, 8);
	near(run.result->items[1].weight, 0);
	near(run.result->items[2].weight, 3);
	assert_int_equal(fixture_metric(run.result, "kld")->n, 11);
	fixture_end(&run);
	/* A window is a unit; a detokenizer is for the protocols whose text goes through it. */
	write_texts((int[]){ 12 }, 1);
	run = fixture_begin(tokenizer, yaml, "gptq-wt2@4", 0, 64);
	fill(&run);
	run.result = fixture_score(run.task, run.data, run.requests);
	assert_int_equal(run.result->n_items, 3);
	near(run.result->items[2].weight, 3);
	fixture_end(&run);
	run.task = fixture_task(pages, "gptq-wt2", 0);
	run.data = fixture_data(run.task);
	assert_int_equal(pb_task_requests_make(&requests, run.task, run.data, tokenizer, 64, &err), PB_USAGE);
	assert_non_null(strstr(err.text, "detokenizer"));
	pb_task_data_free(run.data);
	pb_task_close(run.task);
	/* One text has no error. */
	write_texts((int[]){ 5 }, 1);
	run = fixture_begin(tokenizer, yaml, NULL, 0, 64);
	fill(&run);
	run.result = fixture_score(run.task, run.data, run.requests);
	for (size_t i = 0; i < run.result->n_metrics; i++)
		assert_true(isnan(run.result->metrics[i].stderr_value));
	fixture_end(&run);
}

/* What no backend has filled, and what is no number. */
static void test_not_finite(void **state)
{
	struct pb_task_result *result;
	struct pb_error err = { 0 };
	struct fixture_run run;

	(void)state;
	write_texts((int[]){ 3, 4 }, 2);
	run = fixture_begin(tokenizer, yaml, NULL, 0, 64);
	assert_int_equal(pb_task_score(&result, run.task, run.data, run.requests, &err), PB_NUMERIC);
	assert_string_equal(err.text, "t: text or window 0: the divergence at position 1 is not finite");
	fill(&run);
	run.requests->requests[1].divergence[2].quantized = -INFINITY;
	assert_int_equal(pb_task_score(&result, run.task, run.data, run.requests, &err), PB_NUMERIC);
	assert_string_equal(err.text, "t: text or window 1: the divergence at position 3 is not finite");
	fixture_end(&run);
}

/* Every protocol of texts is one of divergences, and nothing else is. */
static void test_protocols(void **state)
{
	const struct pb_task_kind *bases[] = { &pb_task_kind_documents, &pb_task_kind_rolling, &pb_task_kind_window };
	const struct pb_task_kind *kind = pb_task_kind_find("divergence");
	size_t n = 0, own = 0;

	(void)state;
	while (kind->protocols[own])
		own++;
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; bases[i]->protocols[k]; k++, n++) {
			size_t at = 0;

			while (kind->protocols[at] && strcmp(kind->protocols[at], bases[i]->protocols[k]) != 0)
				at++;
			if (!kind->protocols[at])
				fail_msg("%s is missing", bases[i]->protocols[k]);
		}
	assert_int_equal(n, own);
}

/* --- fronts within models --- */

static void add_cell(struct pb_rows *rows, const char *model, const char *cell, int64_t bytes, double value, double error)
{
	struct pb_row *r = pb_rows_add(rows, NULL);

	assert_non_null(r);
	r->run = "run";
	r->cell = r->label = cell;
	r->status = PB_ROW_OK;
	r->model = model;
	r->task = "t";
	r->metric = "kld";
	r->size_convention = "packed";
	r->chance = NAN;
	r->model_bytes = bytes;
	r->effective_bits = (double)bytes / 100;
	r->value = value;
	r->stderr_value = error;
	r->eval_seconds = 1;
	r->n = 100;
}

static void test_within_models(void **state)
{
	struct pb_rows rows;
	struct pb_fronts fronts;
	struct pb_front *f;

	(void)state;
	pb_rows_init(&rows);
	add_cell(&rows, "small", "small 2", 100, 0.5, 0.1);
	add_cell(&rows, "small", "small 16", 400, 0, 0);
	add_cell(&rows, "large", "large 2", 500, 0.4, 0.01);
	add_cell(&rows, "large", "large 3", 600, 0.41, 0.01);
	add_cell(&rows, "large", "large 16", 1600, 0, 0);
	OK(pb_fronts_make(&fronts, &rows, ERR));
	assert_int_equal(fronts.n, 1);
	f = &fronts.fronts[0];
	assert_true(f->within_models && pb_front_is_log(f) && !pb_front_is_percent(f));
	assert_string_equal(pb_front_unit(f), ", nats");
	OK(pb_front_draw_values(f, ERR));
	/* Nothing is as good as the small model's full precision, which is no rival to the large one. */
	for (size_t i = 0; i < f->n_points; i++) {
		bool alone = strcmp(f->points[i].row->cell, "large 3") != 0;

		assert_int_equal(f->points[i].on_front, alone);
		assert_int_equal(f->points[i].on[PB_BY_BITS], alone);
		assert_true(isnan(f->points[i].by[PB_BY_SECONDS]));
		if (alone)
			assert_true(f->points[i].probability[PB_BY_SIZE] == 1);
		else
			assert_true(f->points[i].probability[PB_BY_SIZE] > 0.1 && f->points[i].probability[PB_BY_SIZE] < 0.4);
	}
	pb_fronts_free(&fronts);
	/* Of one model it is a front as any other. */
	rows.n = 2;
	OK(pb_fronts_make(&fronts, &rows, ERR));
	assert_false(fronts.fronts[0].within_models);
	pb_fronts_free(&fronts);
	rows.n = 5;
	pb_rows_free(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_not_finite),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_within_models),
	};

	return cmocka_run_group_tests(tests, set_up, clean_up);
}
