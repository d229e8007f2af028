/* Expected orders in a report. */
#include <math.h>
#include <string.h>
#include "reports/items.h"
#include "reports/orders.h"

static const struct pb_section_column summary_columns[] = {
	{ "Expected", false, false }, { "By", false, false }, { "Holds", true, false }, { "Within noise", true, false }, { "Reversed", true, false },
	{ "Missing cell", true, false }, { "Source", false, true },
};
static const struct pb_section_column columns[] = {
	{ "Model", false, false }, { "Expected better", false, true }, { "Than", false, true }, { "Better", true, false }, { "Worse", true, false },
	{ "Difference (95 %)", true, false }, { "p", true, false }, { "Verdict", false, false },
};

/* As reports name it, or as it was written. */
static const char *label(const struct pb_row *row, const struct pb_expected_side *side)
{
	return row ? row->label : side->name;
}

static size_t count(const struct pb_orders *orders, size_t from, size_t to, enum pb_order_verdict verdict)
{
	size_t n = 0;

	for (size_t i = from; i < to; i++)
		n += orders->list[i].verdict == verdict;
	return n;
}

static const char *verb(size_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

static void add_sentence(struct pb_section *out, const struct pb_orders *orders)
{
	size_t holds = count(orders, 0, orders->n, PB_ORDER_HOLDS), noise = count(orders, 0, orders->n, PB_ORDER_NOISE);
	size_t reversed = count(orders, 0, orders->n, PB_ORDER_REVERSED), missing = count(orders, 0, orders->n, PB_ORDER_MISSING), untested = 0;

	for (size_t i = 0; i < orders->n; i++)
		untested += orders->list[i].verdict != PB_ORDER_MISSING && !orders->list[i].tested;
	pb_section_text(out, "Of %zu expected orders %zu %s, %zu %s reversed, %zu %s within noise, and %zu %s a cell.", orders->n, holds, verb(holds, "holds", "hold"),
		reversed, verb(reversed, "is", "are"), noise, verb(noise, "is", "are"), missing, verb(missing, "lacks", "lack"));
	pb_section_note(out, "What the named sources lead one to expect of settings on the same model. A difference is that of the setting expected to be better, minus the "
		"other, over the same items; losses and divergences in nats a token, accuracies and shares in percentage points. p is adjusted by Holm over all tests of this table, and below 0.05 "
		"an order holds or is reversed; a single accuracy is tested by McNemar's exact test, everything else by the t distribution, or by signs where there are fewer than "
		"30 texts.");
	if (untested)
		pb_section_note(out, "%zu %s of numbers without items (metrics of weights): they are compared as they are, without a test.", untested, verb(untested, "order is", "orders are"));
}

static void add_value(struct pb_section_table *table, const char *metric, double value)
{
	if (isnan(value))
		pb_table_number(table, NAN, "n/a");
	else if (pb_metric_is_percent(metric))
		pb_table_number(table, value, "%.2f %%", 100 * value);
	else
		pb_table_number(table, value, fabs(value) >= 0.1 && fabs(value) < 1e4 ? "%.4f" : "%.3g", value);
}

static bool same_subject(const struct pb_expected *a, const struct pb_expected *b)
{
	return strcmp(a->better.quantizer, b->better.quantizer) == 0 && strcmp(a->worse.quantizer, b->worse.quantizer) == 0 && strcmp(a->task, b->task) == 0 &&
		strcmp(a->metric, b->metric) == 0 && strcmp(a->source, b->source) == 0 && strcmp(a->run, b->run) == 0;
}

/* Orders that one line of the sweep has named stand together: where they end that begin at i. */
static size_t group_end(const struct pb_orders *orders, size_t i)
{
	size_t end = i + 1;

	while (end < orders->n && same_subject(orders->list[i].expected, orders->list[end].expected))
		end++;
	return end;
}

static void add_summary(struct pb_section *out, const struct pb_orders *orders)
{
	static const enum pb_order_verdict shown[] = { PB_ORDER_HOLDS, PB_ORDER_NOISE, PB_ORDER_REVERSED, PB_ORDER_MISSING };
	struct pb_section_table *table = pb_section_table(out, summary_columns, sizeof(summary_columns) / sizeof(summary_columns[0]));

	for (size_t i = 0, end; i < orders->n; i = end) {
		const struct pb_expected *e = orders->list[i].expected;

		end = group_end(orders, i);
		pb_table_text(table, "%s before %s", e->better.quantizer, strcmp(e->better.quantizer, e->worse.quantizer) == 0 ? "itself with other options" : e->worse.quantizer);
		pb_table_text(table, "%s %s", e->task, e->metric);
		for (size_t k = 0; k < sizeof(shown) / sizeof(shown[0]); k++) {
			size_t n = count(orders, i, end, shown[k]);

			pb_table_number(table, (double)n, "%zu", n);
		}
		pb_table_text(table, "%s", e->source);
	}
}

static void add_order(struct pb_section_table *table, const struct pb_order *o)
{
	const struct pb_expected *e = o->expected;
	char text[96], p[32];

	pb_table_text(table, "%s", o->model);
	pb_table_text(table, "%s", label(o->better, &e->better));
	pb_table_text(table, "%s", label(o->worse, &e->worse));
	add_value(table, e->metric, o->better_value);
	add_value(table, e->metric, o->worse_value);
	if (o->tested) {
		pb_pair_format(text, &o->pair);
		pb_table_number(table, o->pair.difference.value, "%s", text);
		pb_format_p(p, o->p_holm);
		pb_table_number(table, o->p_holm, "%s", p);
		pb_table_text(table, "%s", pb_order_verdict_name(o->verdict));
	} else {
		pb_table_number(table, NAN, "n/a");
		pb_table_number(table, NAN, "n/a");
		pb_table_text(table, "%s: %s", o->verdict == PB_ORDER_NOISE ? "equal" : pb_order_verdict_name(o->verdict),
			o->verdict == PB_ORDER_MISSING ? o->why : "numbers only");
	}
}

static void add_orders(struct pb_section *out, const struct pb_orders *orders)
{
	for (size_t i = 0, end; i < orders->n; i = end) {
		const struct pb_expected *e = orders->list[i].expected;
		struct pb_section_table *table;

		end = group_end(orders, i);
		pb_section_heading(out, "%s before %s, by %s %s", e->better.quantizer,
			strcmp(e->better.quantizer, e->worse.quantizer) == 0 ? "itself with other options" : e->worse.quantizer, e->task, e->metric);
		pb_section_note(out, "%s", e->source);
		table = pb_section_table(out, columns, sizeof(columns) / sizeof(columns[0]));
		for (size_t k = i; k < end; k++)
			add_order(table, &orders->list[k]);
	}
}

void pb_orders_section(struct pb_section *out, const struct pb_orders *orders, struct pb_arena *arena)
{
	struct pb_text csv = {0};
	struct pb_error ignored = {0};

	pb_section_init(out, arena, "orders", "Expected orders");
	add_sentence(out, orders);
	add_summary(out, orders);
	add_orders(out, orders);
	if (pb_orders_csv(orders, &csv, &ignored))
		out->failed = true; /* memory is all that can be missing */
	pb_section_file(out, "orders.csv", "All expected orders", &csv);
}
