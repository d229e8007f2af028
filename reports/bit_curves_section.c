/* Bit-level curves in a report: a panel for each of a few methods, which width is best at which total size, where widths cross. */
#include <math.h>
#include <string.h>

#include "reports/bit_curves.h"

#define MOST_PANELS 4           /* of one front; further methods are in the tables */

static const char *width_name(struct pb_arena *arena, double wbits)
{
	return wbits == 16.0 ? "full precision" : pb_arena_printf(arena, wbits == 1.0 ? "%g bit" : "%g bits", wbits);
}

/* The one that comes first: more points on the front of sizes, then more points. */
static bool is_before(const struct pb_bit_curves *a, const struct pb_bit_curves *b)
{
	if (a->n_on_front != b->n_on_front)
		return a->n_on_front > b->n_on_front;
	return a->n_points > b->n_points;
}

/* The methods that are drawn, the first first; *n of them. */
static void choose(const struct pb_bit_curves *first, size_t n_all, const struct pb_bit_curves *drawn[MOST_PANELS], size_t *n)
{
	*n = 0;
	for (size_t i = 0; i < n_all; i++) {
		size_t at = *n;
		while (at > 0 && is_before(&first[i], drawn[at - 1]))
			at--;
		if (at == MOST_PANELS)
			continue;
		if (*n < MOST_PANELS)
			++*n;
		memmove(drawn + at + 1, drawn + at, (*n - at - 1) * sizeof *drawn);
		drawn[at] = &first[i];
	}
}

/* --- figures --- */

static double shown(const struct pb_front *front, double value)
{
	return pb_front_is_percent(front) ? 100.0 * value : value;
}

static bool fill_series(struct pb_chart_series *s, const struct pb_bit_curves *c, const struct pb_bit_line *l, struct pb_arena *arena)
{
	const size_t n = l->line.n;
	double *numbers = pb_arena_alloc(arena, 4 * n, sizeof *numbers);
	const char **tooltips = pb_arena_alloc(arena, n, sizeof *tooltips), *name = width_name(arena, l->wbits);
	if (!numbers || !tooltips || !name)
		return false;
	*s = (struct pb_chart_series){ .name = name, .ink = pb_chart_ink(pb_chart_width(l->wbits)), .shape = l->wbits == 16.0 ? PB_SHAPE_CROSS : pb_chart_shape(pb_chart_width(l->wbits)),
		.n = n, .x = numbers, .y = numbers + n, .low = numbers + 2 * n, .high = numbers + 3 * n, .tooltips = tooltips, .line = true, .marks = true, .dash = PB_DASHED };
	for (size_t i = 0; i < n; i++) {
		const double y = l->line.y[i], half = PB_Z95 * l->line.errors[i];
		numbers[i] = pow(10.0, l->line.x[i]);
		numbers[n + i] = shown(c->front, y);
		numbers[2 * n + i] = shown(c->front, y - half);
		numbers[3 * n + i] = shown(c->front, y + half);
		tooltips[i] = pb_arena_printf(arena, "%s, %s\n%.4g effective bits a weight, %.0f bits in all\n%.5g", l->items[i]->point->row->label, l->items[i]->point->row->model,
			l->items[i]->point->bits, numbers[i], numbers[n + i]);
		if (!tooltips[i])
			return false;
	}
	return true;
}

static void add_panel(struct pb_section *section, const struct pb_bit_curves *c, size_t number)
{
	const struct pb_front *front = c->front;
	const bool percent = pb_front_is_percent(front);
	struct pb_chart_series *series = pb_arena_alloc(section->arena, c->n_lines, sizeof *series);
	const char *slug = pb_arena_printf(section->arena, "bit-curves-%s-%zu", front->slug, number);
	const char *title = pb_arena_printf(section->arena, "%s on %s, by total bits", c->method, c->family);
	const char *description = pb_arena_printf(section->arena, "%s: %s", front->title, title ? title : "");
	const char *note = pb_arena_printf(section->arena, "%s, %zu points.", front->title, c->n_points);
	bool ok = series && slug && title && description && note;
	for (size_t i = 0; i < c->n_lines && ok; i++)
		ok = fill_series(&series[i], c, &c->lines[i], section->arena);
	if (!ok) {
		section->failed = true;
		return;
	}
	pb_section_chart(section, &(struct pb_section_chart){ .slug = slug, .note = note, .panel = true, .caption = "A mark is measured, with its 95 % interval; dashed: interpolated between sizes, at which nothing was measured.",
		.chart = { .title = title, .description = description, .x_title = "Bits of the model (everything that runs), log scale", .x_kind = PB_AXIS_COUNT,
			.y_title = percent ? "Accuracy, % (higher is better)" : "Loss, nats (lower is better), log scale", .y_kind = percent ? PB_AXIS_LINEAR : PB_AXIS_LOG,
			.series = series, .n_series = c->n_lines } });
}

/* --- tables --- */

static void add_bits(struct pb_section_table *table, double log_bits)
{
	char text[32];
	pb_format_count(text, pow(10.0, log_bits), 3);
	pb_table_number(table, log_bits, "%s", text);
}

/* In favour of the first; accuracies in percentage points. */
static void add_lead(struct pb_section_table *table, const struct pb_front *front, const struct pb_polyline_difference *d, double sign)
{
	const double unit = pb_front_is_percent(front) ? 100.0 : 1.0, mean = sign * unit * d->mean, half = unit * PB_Z95 * d->error;
	const char *format = unit > 1.0 ? "%+.2f (%+.2f to %+.2f)" : "%+.4f (%+.4f to %+.4f)";
	char text[96];
	if (isfinite(half))
		snprintf(text, sizeof text, format, mean, mean - half, mean + half);
	else
		snprintf(text, sizeof text, unit > 1.0 ? "%+.2f" : "%+.4f", mean);
	pb_table_number(table, mean, "%s", text);
}

/* What the intervals of these curves are of. */
static void add_intervals(struct pb_section *section, const struct pb_bit_curves *first, size_t n)
{
	struct pb_text t = { 0 }, others = { 0 };
	size_t n_drawn = 0, n_others = 0, n_draws = 0;
	for (size_t i = 0; i < n; i++)
		if (first[i].by_items) {
			n_drawn++;
			n_draws = first[i].lines->line.n_draws;
		} else {
			pb_text_printf(&others, "%s%s", n_others++ ? ", " : "", first[i].method);
		}
	if (n_drawn)
		pb_text_printf(&t, "Intervals%s are of %zu draws of the items that all points of a method share, each draw the same for all of them: widths are compared on the same items.",
			n_others ? " of most methods" : "", n_draws);
	if (n_others)
		pb_text_printf(&t, "%s%s%s the errors of points are taken as independent, since %s; settings that were measured on the same items differ with more certainty than that shows.",
			n_drawn ? " Of " : "", n_drawn ? pb_text_c(&others) : "", n_drawn ? "" : "In intervals",
			n_drawn ? "the records do not have the same items of all points" : "the records do not have the same items of all points of a method");
	pb_section_note(section, "%s", pb_text_c(&t));
	section->failed = section->failed || t.failed || others.failed;
	pb_text_free(&others);
	pb_text_free(&t);
}

static void add_best(struct pb_section *section, const struct pb_bit_curves *first, size_t n)
{
	static const struct pb_section_column columns[] = {
		{ "Models", false, false }, { "Method", false, true }, { "From, bits", true, false }, { "To, bits", true, false }, { "Best width", false, false }, { "Then", false, false },
		{ "Lead (95 %)", true, false },
	};
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	for (size_t i = 0; i < n; i++)
		for (size_t s = 0; s < first[i].n_best && table; s++) {
			const struct pb_bit_curves *c = &first[i];
			const struct pb_polyline_stretch *b = &c->best[s];
			struct pb_polyline_difference d;
			if (b->second == c->n_lines || !pb_polyline_compare(&d, &c->lines[b->best].line, &c->lines[b->second].line, b->low, b->high))
				continue;
			const char *best = width_name(section->arena, c->lines[b->best].wbits), *second = width_name(section->arena, c->lines[b->second].wbits);
			section->failed = section->failed || !best || !second;
			if (section->failed)
				return;
			pb_table_text(table, "%s", c->family);
			pb_table_text(table, "%s", c->method);
			add_bits(table, b->low);
			add_bits(table, b->high);
			pb_table_text(table, "%s", best);
			pb_table_text(table, "%s", second);
			add_lead(table, c->front, &d, c->front->higher_is_better ? 1.0 : -1.0);
		}
	pb_section_note(section, "Where at least two widths have a curve. Lead: over the next best, %s, the mean over %d places of the stretch that are equally far in the logarithm. A lead whose "
		"interval holds 0 is none; where stretches begin and end is by the same values, so short ones are often chance.", pb_front_is_percent(first->front) ? "in percentage points" : "in nats", PB_POLYLINE_POINTS);
}

static void add_crossings(struct pb_section_table *table, const struct pb_bit_curves *c, size_t a, size_t b, struct pb_arena *arena)
{
	struct pb_text t = { 0 };
	size_t n;
	const struct pb_bit_crossing *list = pb_bit_crossings(&c->lines[a].line, &c->lines[b].line, &n, arena);
	for (size_t i = 0; i < n; i++) {
		char at[32], low[32], high[32];
		pb_format_count(at, pow(10.0, list[i].x), 3);
		pb_text_printf(&t, "%s%s", i ? ", " : "", at);
		if (isnan(list[i].drawn.low))
			continue;
		pb_format_count(low, pow(10.0, list[i].drawn.low), 3);
		pb_format_count(high, pow(10.0, list[i].drawn.high), 3);
		pb_text_printf(&t, " (%s to %s, %.0f %%)", low, high, 100.0 * list[i].drawn.share);
	}
	table->section->failed = table->section->failed || !list || t.failed;
	pb_table_text(table, "%s", n ? pb_text_c(&t) : "none");
	pb_text_free(&t);
}

/* All pairs of widths of one method. */
static void add_pairs(struct pb_section *section, const struct pb_bit_curves *c)
{
	static const struct pb_section_column columns[] = {
		{ "Width", false, false }, { "Against", false, false }, { "From, bits", true, false }, { "To, bits", true, false }, { "Mean lead (95 %)", true, false },
		{ "Better at", true, false }, { "Crosses at, bits", false, true },
	};
	pb_section_heading(section, "Widths of %s on %s in pairs", c->method, c->family);
	struct pb_section_table *table = pb_section_table(section, columns, sizeof columns / sizeof *columns);
	const double sign = c->front->higher_is_better ? 1.0 : -1.0;
	for (size_t a = 0; a < c->n_lines; a++)
		for (size_t b = a + 1; b < c->n_lines && table; b++) {
			struct pb_polyline_difference d;
			if (!pb_polyline_compare(&d, &c->lines[a].line, &c->lines[b].line, -INFINITY, INFINITY))
				continue;
			const char *first = width_name(section->arena, c->lines[a].wbits), *second = width_name(section->arena, c->lines[b].wbits);
			const double better = sign > 0.0 ? d.above : 1.0 - d.above;
			section->failed = section->failed || !first || !second;
			if (section->failed)
				return;
			pb_table_text(table, "%s", first);
			pb_table_text(table, "%s", second);
			add_bits(table, d.low);
			add_bits(table, d.high);
			add_lead(table, c->front, &d, sign);
			pb_table_number(table, better, "%.0f %%", 100.0 * better);
			add_crossings(table, c, a, b, section->arena);
		}
}

/* --- the section --- */

static void add_front(struct pb_section *section, const struct pb_bit_curves *first, size_t n)
{
	const struct pb_bit_curves *drawn[MOST_PANELS + 1];
	size_t n_drawn;
	choose(first, n, drawn, &n_drawn);
	pb_section_heading(section, "%s by total bits", first->front->title);
	for (size_t i = 0; i < n_drawn; i++)
		add_panel(section, drawn[i], i + 1);
	if (n > n_drawn)
		pb_section_note(section, "Drawn: the %zu of %zu methods with most points on the front of sizes.", n_drawn, n);
	add_best(section, first, n);
	add_intervals(section, first, n);
	for (size_t i = 0; i < n_drawn; i++)
		add_pairs(section, drawn[i]);
	pb_section_note(section, "Pairs of widths over the sizes that both have. Better at: share of %d places.%s%s", PB_POLYLINE_POINTS,
		first->by_items ? " Crosses at: in brackets where the nearest crossing is in 95 % of the draws that have one, and how many draws have one." : "", n > n_drawn ? " Pairs of the other methods are in bit-curves.csv." : "");
}

void pb_bit_curves_section(struct pb_section *out, const struct pb_bit_curve_list *list)
{
	struct pb_text csv = { 0 };
	struct pb_error ignored;
	pb_section_init(out, list->arena, "bit-curves", "Bit-level curves");
	pb_section_text(out, "What a bit is best spent on, on more parameters or on more bits for each: the value by the bits of the whole model, a curve for each width of a method through the sizes of one model "
		"family, straight between measured sizes over the logarithm of bits. Sizes are counted, everything that runs. The fitted form of the same, accuracy as a saturating curve of total bits, is with the scaling laws.");
	for (size_t i = 0, n; i < list->n; i += n) {
		for (n = 1; i + n < list->n && list->curves[i + n].front == list->curves[i].front; n++)
			;
		add_front(out, &list->curves[i], n);
	}
	if (pb_bit_curves_csv(list, &csv, &ignored) != PB_OK)
		out->failed = true; /* memory is all that can be missing */
	pb_section_file(out, "bit-curves.csv", "All pairs of widths, with 17 digits", &csv);
}
