/* Scaling laws out of rows: which rows make a curve, which do not and why, and what fits.csv says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/csv.h"
#include "core/base/rng.h"
#include "reports/scaling.h"
#include "tests/unit/expect.h"

static void family(const char *model, const char *expected)
{
	struct pb_text t = { 0 };
	pb_model_family(model, &t);
	assert_string_equal(pb_text_c(&t), expected);
	pb_text_free(&t);
}

static void test_families(void **state)
{
	(void)state;
	family("micro-xxs", "micro");
	family("micro-s-long", "micro-long");
	family("llama-3.2-1b", "llama-3.2");
	family("Llama-3-8B", "Llama-3");
	family("qwen2.5-0.5b", "qwen2.5");
	family("pythia-410m-deduped", "pythia-deduped");
	family("stories260K", "stories");
	family("opt_1.3b", "opt");
	family("gpt2 medium", "gpt2");
	family("phi-2", "phi-2");
	family("pythia-v1.1-1b-bf16@step143000", "pythia-v1.1-step143000");
	family("pythia-v1.1-410m@step143000", "pythia-v1.1-step143000");
	family("micro-s@0.9", "micro-0.9");
	family("1b", "1b");     /* nothing else to be called by */
	family("m", "m");
	family("abm", "abm");
	family("tiny-xs", "tiny-xs");
	family("", "");
}

static const double sizes[] = { 5e4, 1e5, 2e5, 4.5e5, 9e5, 2e6 };

static void add(struct pb_rows *rows, size_t size, const char *label, const char *method_family, double bits, const char *metric, double value)
{
	static const char *const models[] = { "toy-xs", "toy-s", "toy-m", "toy-l", "toy-xl", "toy-xxl" };
	struct pb_row *r = pb_rows_add(rows, NULL);
	char cell[64];
	assert_non_null(r);
	snprintf(cell, sizeof cell, "%s %zu", label, size);
	r->run = "run";
	r->cell = pb_rows_string(rows, cell);
	r->label = pb_rows_string(rows, label);
	r->status = PB_ROW_OK;
	r->model = models[size];
	r->family = method_family;
	r->params = (int64_t)sizes[size];
	r->model_bytes = (int64_t)(sizes[size] * bits / 8);
	r->wbits = r->effective_bits = bits;
	r->backend = "cpu";
	r->protocol = "p";
	r->task = "t";
	r->task_hash = "h";
	r->metric = metric;
	r->higher_is_better = strcmp(metric, "acc") == 0;
	r->value = value;
	r->stderr_value = 0.01;
	r->chance = r->higher_is_better ? 0.25 : NAN;
	r->n = 1000;
}

/* Six sizes of full precision by a known law, the same with 0.8 of the parameters at 4, 3 and 2 bits of one method and a loss that
 * obeys Ouyang's law, an accuracy by a known curve, and a method with three sizes. */
static void fill(struct pb_rows *rows)
{
	static const char *const labels[] = { "near w2 group_size=32", "near w3 group_size=32", "near w4 group_size=32" };
	struct pb_rng rng = pb_rng_make(1, 0);
	pb_rows_init(rows);
	for (size_t i = 0; i < 6; i++) {
		double loss = 0.5 + 200.0 / pow(sizes[i], 0.5);
		add(rows, i, "identity", "full precision", 16, "nll", loss * (1.0 + 1e-4 * pb_rng_normal(&rng)));
		add(rows, i, "identity", "full precision", 16, "acc", 0.25 + 0.7 / (1.0 + exp(-(log2(sizes[i] * 16) - 23.0) / 0.8)) + 1e-4 * pb_rng_normal(&rng));
		add(rows, i, "fewer", "other", 8, "nll", 0.5 + 200.0 / pow(0.8 * sizes[i], 0.5));
		for (int k = 0; k < 3; k++)
			add(rows, i, labels[k], "k-bit", 2 + k, "nll", loss + 300.0 / pow(sizes[i], 0.4) / pow(2 + k, 4.0) * (1.0 + 0.01 * pb_rng_normal(&rng)));
		if (i < 3)
			add(rows, i, "rare", "other", 2, "nll", 2.0 * loss);
		if (i == 2)
			rows->rows[rows->n - 1].params = PB_ABSENT;
	}
}

static const struct pb_law_fit *find(const struct pb_scaling *s, enum pb_law law, const char *label)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->fits[i].law == law && strcmp(s->fits[i].label, label) == 0)
			return &s->fits[i];
	fail_msg("no fit of %s", label);
	return NULL;
}

static void test_fits(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	struct pb_scaling scaling;
	struct pb_arena *arena = pb_arena_new();
	const struct pb_law_fit *f;
	fill(&rows);
	OK(pb_fronts_make(&fronts, &rows, ERR));
	OK(pb_scaling_make(&scaling, &fronts, arena, ERR));

	f = find(&scaling, PB_LAW_LOSS, "identity");
	if (f->reason)
		fail_msg("%s", f->reason);
	assert_string_equal(f->family, "toy");
	assert_int_equal(f->n_sizes, 6);
	assert_float_equal(pb_form_shown(f->form, 0, f->fit.theta[0]), 200.0, 10.0);
	assert_float_equal(pb_form_shown(f->form, 1, f->fit.theta[1]), 0.5, 0.01);
	assert_float_equal(f->fit.theta[2], 0.5, 0.005);
	for (unsigned k = 0; k < 3; k++) {
		assert_true(f->fit.low[k] < f->fit.theta[k] && f->fit.theta[k] < f->fit.high[k]);
		assert_true(f->boot_low[k] < f->fit.theta[k] && f->fit.theta[k] < f->boot_high[k]);
	}
	assert_int_equal(f->held.n, 1);
	assert_float_equal(f->held.largest, 2e6, 0);
	assert_true(f->held.error < 0.005 && f->held.error < f->held_straight.error);
	assert_true(f->aicc < f->aicc_straight);
	assert_float_equal(f->effective.share, 1.0, 1e-3);

	f = find(&scaling, PB_LAW_LOSS, "fewer");
	assert_float_equal(f->effective.share, 0.8, 1e-3);
	assert_float_equal(f->effective.per_bit, 1.6, 2e-3);

	f = find(&scaling, PB_LAW_LOSS, "rare");
	assert_string_equal(f->reason, "2 sizes; a fit needs 4");
	assert_int_equal(f->n_left_out, 1);

	f = find(&scaling, PB_LAW_ACCURACY, "identity");
	assert_string_equal(f->form->name, "saturating");
	assert_float_equal(f->fit.theta[0], 0.95, 0.01);
	assert_float_equal(f->fit.theta[1], 23.0, 0.05);
	assert_float_equal(exp(f->fit.theta[2]), 0.8, 0.02);

	f = find(&scaling, PB_LAW_DEGRADATION, "near group_size=32");
	assert_null(f->reason);
	assert_int_equal(f->n, 18);
	assert_float_equal(f->fit.theta[1], 0.4, 0.02);
	assert_float_equal(f->fit.theta[2], 4.0, 0.06);
	assert_true(f->aicc < find(&scaling, PB_LAW_DEGRADATION_EXP, "near group_size=32")->aicc);
	assert_string_equal(find(&scaling, PB_LAW_DEGRADATION, "fewer")->reason, "fewer than 3 widths");
	pb_scaling_free(&scaling);
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

static const char *field(const struct pb_csv *csv, size_t row, const char *name)
{
	for (size_t k = 0; k < csv->n_fields[0]; k++)
		if (strcmp(csv->fields[0][k], name) == 0)
			return csv->fields[row][k];
	fail_msg("no column %s", name);
	return NULL;
}

static void test_csv_and_section(void **state)
{
	(void)state;
	struct pb_rows rows;
	struct pb_fronts fronts;
	struct pb_scaling scaling;
	struct pb_section section;
	struct pb_text text = { 0 };
	struct pb_csv csv;
	struct pb_arena *arena = pb_arena_new();
	size_t charts = 0, tables = 0, files = 0, fitted = 0, reasons = 0;
	fill(&rows);
	OK(pb_fronts_make(&fronts, &rows, ERR));
	OK(pb_scaling_make(&scaling, &fronts, arena, ERR));
	OK(pb_scaling_csv(&scaling, &text, ERR));
	OK(pb_csv_parse(&csv, "fits.csv", text.data, text.length, ERR));
	for (size_t r = 1; r < csv.n_rows; r++) {
		assert_int_equal(csv.n_fields[r], csv.n_fields[0]);
		if (field(&csv, r, "reason")) {
			assert_null(field(&csv, r, "estimate"));
			reasons++;
			continue;
		}
		double value;
		assert_true(pb_parse_double(field(&csv, r, "estimate"), &value));
		assert_non_null(field(&csv, r, "objective"));
		fitted++;
	}
	assert_true(fitted >= 3 * 6 && reasons == 7); /* rare, and rare and fewer with the law of precision and both of degradation */
	/* What is written is what was fitted, to the last digit. */
	for (size_t r = 1; r < csv.n_rows; r++)
		if (strcmp(field(&csv, r, "label"), "identity") == 0 && strcmp(field(&csv, r, "form"), "power") == 0 && strcmp(field(&csv, r, "parameter"), "alpha") == 0) {
			double value;
			assert_true(pb_parse_double(field(&csv, r, "estimate"), &value));
			assert_true(value == find(&scaling, PB_LAW_LOSS, "identity")->fit.theta[2]);
		}
	pb_csv_free(&csv);
	pb_text_free(&text);

	pb_scaling_section(&section, &scaling);
	OK(pb_section_check(&section, ERR));
	for (size_t i = 0; i < section.n_blocks; i++) {
		charts += section.blocks[i].kind == PB_SECTION_CHART;
		tables += section.blocks[i].kind == PB_SECTION_TABLE;
		files += section.blocks[i].kind == PB_SECTION_FILE;
		if (section.blocks[i].kind == PB_SECTION_CHART)
			assert_true(pb_chart_has_place(&section.blocks[i].chart->chart));
	}
	assert_int_equal(charts, 6);
	assert_int_equal(tables, 9);
	assert_int_equal(files, 2);
	pb_section_free(&section);
	pb_scaling_free(&scaling);
	pb_fronts_free(&fronts);
	pb_rows_free(&rows);
	pb_arena_free(arena);
}

struct made {
	struct pb_rows rows;
	struct pb_fronts fronts;
	struct pb_scaling scaling;
	struct pb_arena *arena;
};

static void make(struct made *m)
{
	m->arena = pb_arena_new();
	OK(pb_fronts_make(&m->fronts, &m->rows, ERR));
	OK(pb_scaling_make(&m->scaling, &m->fronts, m->arena, ERR));
}

static void drop(struct made *m)
{
	pb_scaling_free(&m->scaling);
	pb_fronts_free(&m->fronts);
	pb_rows_free(&m->rows);
	pb_arena_free(m->arena);
}

/* A method whose widths leave a known share of the parameters; one that trains, which is measured by full precision trained as long. */
static void test_precision(void **state)
{
	static const char *const labels[] = { "near w2", "near w3", "near w4" }, *const taught[] = { "taught w2", "taught w3", "taught w4" };
	static const char training[] = "{\"training\":{\"tokens\":1000}}";
	struct made m = { 0 };
	struct pb_rng rng = pb_rng_make(2, 0);
	const struct pb_law_fit *f;
	double share, low, high;
	(void)state;
	pb_rows_init(&m.rows);
	for (size_t i = 0; i < 6; i++) {
		add(&m.rows, i, "identity", "full precision", 16, "nll", (0.5 + 200.0 / pow(sizes[i], 0.5)) * (1.0 + 1e-4 * pb_rng_normal(&rng)));
		add(&m.rows, i, "finetune w16", "full precision", 16, "nll", (0.4 + 200.0 / pow(sizes[i], 0.5)) * (1.0 + 1e-4 * pb_rng_normal(&rng)));
		m.rows.rows[m.rows.n - 1].calibration = training;
		for (int k = 0; k < 3; k++) {
			double n_eff = sizes[i] * (1.0 - exp(-(2 + k - 0.8) / 0.9));
			add(&m.rows, i, labels[k], "k-bit", 2 + k, "nll", (0.5 + 200.0 / pow(n_eff, 0.5)) * (1.0 + 1e-4 * pb_rng_normal(&rng)));
			add(&m.rows, i, taught[k], "ParetoQ", 2 + k, "nll", 0.4 + 200.0 / pow((0.7 + 0.1 * k) * sizes[i], 0.5));
			m.rows.rows[m.rows.n - 1].calibration = training;
		}
	}
	make(&m);
	f = find(&m.scaling, PB_LAW_PRECISION, "near");
	assert_null(f->reason);
	assert_int_equal(f->n, 24);
	assert_int_equal(f->n_full, 6);
	assert_float_equal(exp(f->fit.theta[0]), 200.0, 4.0);
	assert_float_equal(exp(f->fit.theta[1]), 0.5, 0.005);
	assert_float_equal(f->fit.theta[2], 0.5, 0.003);
	assert_float_equal(f->fit.theta[3], 0.8, 0.02);
	assert_float_equal(exp(f->fit.theta[4]), 0.9, 0.02);
	assert_true(f->held.n == 4 && f->held.error < 0.001 && f->held.error < f->held_straight.error && f->aicc < f->aicc_straight);
	pb_scaling_share(f, 2.0, &share, &low, &high);
	assert_float_equal(share, 1.0 - exp(-1.2 / 0.9), 0.005);
	assert_true(low < share && share < high && high - low < 0.05);
	f = find(&m.scaling, PB_LAW_LOSS, "near w2");
	assert_ptr_equal(pb_scaling_precision_of(&m.scaling, f), find(&m.scaling, PB_LAW_PRECISION, "near"));
	assert_float_equal(f->effective.share, 1.0 - exp(-1.2 / 0.9), 0.005);
	assert_true(f->effective.low < f->effective.share && f->effective.share < f->effective.high);
	assert_true(f->effective.least <= f->effective.share && f->effective.share <= f->effective.most);
	assert_float_equal(f->effective.per_bit, 8.0 * f->effective.share, 1e-12);
	/* By identity's law it would be above 1. */
	assert_float_equal(find(&m.scaling, PB_LAW_LOSS, "taught w3")->effective.share, 0.8, 0.005);
	assert_float_equal(find(&m.scaling, PB_LAW_LOSS, "finetune w16")->effective.share, 1.0, 1e-3);
	f = find(&m.scaling, PB_LAW_DEGRADATION, "taught");
	assert_null(f->reason);
	assert_int_equal(f->n, 18);
	assert_float_equal(f->y[0], 200.0 / pow(0.9 * sizes[0], 0.5) - 200.0 / pow(sizes[0], 0.5), 2e-3);
	drop(&m);
}

/* Results from elsewhere: parameters and no sizes, perplexities, an error that n tells. */
static void test_unsized(void **state)
{
	struct made m = { 0 };
	const struct pb_law_fit *f;
	(void)state;
	pb_rows_init(&m.rows);
	for (size_t i = 0; i < 6; i++)
		for (int k = 0; k < 2; k++) {
			add(&m.rows, i, "imported", "", NAN, k ? "ppl" : "acc", k ? exp(1.2 + 300.0 / pow(sizes[i], 0.5)) : 0.25 + 0.6 / (1.0 + exp(-(log2(sizes[i]) - 18.0) / 0.9)));
			struct pb_row *r = &m.rows.rows[m.rows.n - 1];
			r->kernel = "imported";
			r->model_bytes = PB_ABSENT;
			r->chance = NAN;
			r->stderr_value = k ? 0.1 * r->value : NAN;
		}
	make(&m);
	assert_int_equal(m.fronts.n, 2);
	assert_int_equal(m.fronts.fronts[0].n_points, 0);
	assert_int_equal(m.fronts.fronts[0].n_no_size, 6);
	assert_int_equal(m.scaling.n, 2);
	f = find(&m.scaling, PB_LAW_ACCURACY, "imported");
	assert_null(f->reason);
	assert_string_equal(f->form->name, "saturating_params");
	assert_float_equal(f->fit.theta[0], 0.25, 1e-4);
	assert_float_equal(f->fit.theta[1], 0.85, 1e-4);
	assert_float_equal(f->fit.theta[2], 18.0, 1e-3);
	assert_float_equal(exp(f->fit.theta[3]), 0.9, 1e-3);
	assert_float_equal(f->errors[0], sqrt(f->y[0] * (1.0 - f->y[0]) / 1000.0), 1e-15);
	f = find(&m.scaling, PB_LAW_LOSS, "imported");
	assert_null(f->reason);
	assert_float_equal(exp(f->fit.theta[0]), 300.0, 0.1);
	assert_float_equal(exp(f->fit.theta[1]), 1.2, 1e-3);
	assert_float_equal(f->fit.theta[2], 0.5, 1e-4);
	assert_float_equal(f->errors[0], 0.1, 1e-12);
	assert_true(isnan(f->effective.share));
	drop(&m);
}

/* A family by the rows: four sizes on three budgets each, and names that tell nothing. */
static void test_data(void **state)
{
	static const char *const ends[] = { "-short", "", "-long" };
	struct made m = { 0 };
	struct pb_rng rng = pb_rng_make(3, 0);
	const struct pb_law_fit *f, *g;
	struct pb_section section;
	struct pb_optimum o;
	double computes[PB_SCALING_COMPUTES];
	(void)state;
	pb_rows_init(&m.rows);
	for (size_t i = 0; i < 4; i++)
		for (int k = 0; k < 3; k++)
			for (int bits = 2; bits <= 16; bits += bits < 4 ? 1 : 12) {
				char label[24], name[32], cell[64];
				const double tokens = 20.0 * sizes[i] * pow(5.0, k - 1), n_eff = sizes[i] * (1.0 - exp(-(bits - 0.8) / 0.9));
				snprintf(label, sizeof label, bits == 16 ? "identity" : "near w%d", bits);
				add(&m.rows, i, label, bits == 16 ? "full precision" : "k-bit", bits, "nll", (0.5 + 60.0 / pow(n_eff, 0.4) + 90.0 / pow(tokens, 0.4)) * (1.0 + 1e-4 * pb_rng_normal(&rng)));
				struct pb_row *r = &m.rows.rows[m.rows.n - 1];
				snprintf(name, sizeof name, "%s%s", r->model, ends[k]);
				snprintf(cell, sizeof cell, "%s %s", name, label);
				r->model = pb_rows_string(&m.rows, name);
				r->cell = pb_rows_string(&m.rows, cell);
				r->model_family = "toys";
				r->train_tokens = (int64_t)tokens;
			}
	make(&m);
	f = find(&m.scaling, PB_LAW_DATA, "identity");
	assert_null(f->reason);
	assert_string_equal(f->family, "toys");
	assert_int_equal(f->n, 12);
	assert_float_equal(f->fit.theta[3], 0.4, 0.01);
	assert_float_equal(f->fit.theta[4], 0.4, 0.01);
	g = find(&m.scaling, PB_LAW_PRECISION_DATA, "near");
	assert_null(g->reason);
	assert_int_equal(g->n, 48);
	assert_float_equal(exp(g->fit.theta[0]), 60.0, 1.0);
	assert_float_equal(exp(g->fit.theta[1]), 90.0, 1.5);
	assert_float_equal(exp(g->fit.theta[2]), 0.5, 0.005);
	assert_float_equal(g->fit.theta[4], 0.8, 0.02);
	assert_true(pb_scaling_has_optimum(g) && !pb_scaling_has_optimum(find(&m.scaling, PB_LAW_LOSS, "identity")));
	/* With one exponent, 60 / N^a = 90 / D^a where the loss is least: D / N = 1.5^(1 / a). */
	pb_scaling_computes(g, computes);
	assert_float_equal(computes[0], 6.0 * sizes[3] * 100.0 * sizes[3], 1e-3 * computes[0]);
	o = pb_scaling_optimum(g, computes[1]);
	assert_float_equal(o.ratio[0], pow(1.5, 2.5), 0.1);
	assert_true(o.ratio[1] < o.ratio[0] && o.ratio[0] < o.ratio[2] && o.ratio[2] - o.ratio[1] < 0.5);
	assert_float_equal(6.0 * o.params[0] * o.tokens[0], computes[1], 1e-9 * computes[1]);
	/* The law of sizes alone is of one budget at a time. */
	f = find(&m.scaling, PB_LAW_LOSS, "identity");
	assert_string_equal(f->family, "toy");
	assert_int_equal(f->n, 4);
	assert_null(find(&m.scaling, PB_LAW_DEGRADATION_DATA, "near")->reason);
	pb_scaling_section(&section, &m.scaling);
	OK(pb_section_check(&section, ERR));
	pb_section_free(&section);
	drop(&m);
	/* Names that have nothing in common. */
	memset(&m, 0, sizeof m);
	pb_rows_init(&m.rows);
	for (size_t i = 0; i < 6; i++) {
		static const char *const names[] = { "ant", "bee", "cat", "dog", "elk", "fox" };
		add(&m.rows, i, "identity", "full precision", 16, "nll", 0.5 + 60.0 / pow(sizes[i], 0.4));
		m.rows.rows[i].model = names[i];
		m.rows.rows[i].model_family = "beasts";
	}
	make(&m);
	assert_int_equal(m.scaling.n, 1);
	assert_string_equal(m.scaling.fits[0].family, "beasts");
	assert_int_equal(m.scaling.fits[0].n, 6);
	assert_null(m.scaling.fits[0].reason);
	drop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_precision),
		cmocka_unit_test(test_unsized),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_fits),
		cmocka_unit_test(test_csv_and_section),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
