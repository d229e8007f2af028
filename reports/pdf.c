/* report.pdf: A4 pages with the same content as the page. Coordinates are points. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "reports/page.h"

#define PAGE_W 595.28
#define PAGE_H 841.89
#define MARGIN 48.0
#define WIDTH (PAGE_W - 2 * MARGIN)
#define BOTTOM (PAGE_H - 56.0)
#define HEADING 36.0            /* height of a heading */
#define TABLE_SIZE 7.0
#define TABLE_LINE 11.0
#define VALUES_A_TABLE 3        /* value columns side by side; more of them follow in further tables */

struct flow {
	const struct pb_view *view;
	struct pb_canvas *canvas;
	struct pb_measure *measure;
	struct pb_error *err;
	double y;                   /* of the next line's top */
	unsigned page;
};

/* A short-lived text ends here: when it could not be made whole, the pages are not. */
static void end_text(struct flow *f, struct pb_text *t)
{
	if (t->failed)
		pb_canvas_fail(f->canvas, PB_MEMORY, "memory is out");
	pb_text_free(t);
}

static void put_footer(struct flow *f)
{
	struct pb_text t = { 0 }, shown = { 0 };
	pb_measure_fit(f->measure, 8.0, false, WIDTH - 60.0, *f->view->input->title ? f->view->input->title : "report", &shown);
	pb_canvas_text(f->canvas, MARGIN, PAGE_H - 30.0, PB_LEFT, 8.0, false, PB_INK_MUTED, pb_text_c(&shown));
	pb_text_printf(&t, "%u", f->page);
	pb_canvas_text(f->canvas, PAGE_W - MARGIN, PAGE_H - 30.0, PB_RIGHT, 8.0, false, PB_INK_MUTED, pb_text_c(&t));
	end_text(f, &t);
	end_text(f, &shown);
}

static void next_page(struct flow *f)
{
	put_footer(f);
	pb_canvas_next_page(f->canvas);
	f->page++;
	f->y = MARGIN;
}

/* Room for h points, on this page or the next. */
static void need(struct flow *f, double h)
{
	if (f->y + h > BOTTOM && f->y > MARGIN)
		next_page(f);
}

static void put_heading(struct flow *f, const char *s)
{
	need(f, 60.0);
	f->y += 14.0;
	pb_canvas_text(f->canvas, MARGIN, f->y + 12.0, PB_LEFT, 13.0, true, PB_INK_TEXT, s);
	f->y += 22.0;
}

/* Wrapped text from x on; line feeds in s are kept. */
static void put_text(struct flow *f, double x, double size, enum pb_ink ink, const char *s)
{
	struct pb_text line = { 0 }, wrapped = { 0 };
	while (s) {
		const char *end = strchr(s, '\n');
		pb_text_clear(&line);
		pb_text_clear(&wrapped);
		pb_text_bytes(&line, s, end ? (size_t)(end - s) : strlen(s));
		(void)pb_measure_wrap(f->measure, size, PAGE_W - MARGIN - x, pb_text_c(&line), &wrapped);
		if (line.failed || wrapped.failed) {
			pb_canvas_fail(f->canvas, PB_MEMORY, "memory is out");
			break;
		}
		for (char *p = wrapped.length ? wrapped.data : NULL; p;) {
			char *next = strchr(p, '\n');
			struct pb_text shown = { 0 };
			if (next)
				*next++ = '\0';
			/* One word may be wider than the page: a hash, a path. */
			pb_measure_fit(f->measure, size, false, PAGE_W - MARGIN - x, p, &shown);
			need(f, 1.4 * size);
			pb_canvas_text(f->canvas, x, f->y + size, PB_LEFT, size, false, ink, pb_text_c(&shown));
			f->y += 1.4 * size;
			end_text(f, &shown);
			p = next;
		}
		s = end ? end + 1 : NULL;
	}
	pb_text_free(&line);
	pb_text_free(&wrapped);
}

/* Draws a figure `width` points wide at x and frees it; *height is what it took. */
static void put_drawing(struct flow *f, struct pb_figure *figure, bool whole, double x, double width, double *height)
{
	double scale = width / pb_figure_width(figure);
	*height = scale * pb_figure_height(figure);
	if (whole)
		need(f, *height);
	pb_canvas_place(f->canvas, x, f->y, scale);
	pb_figure_draw(figure, f->canvas);
	pb_canvas_restore(f->canvas);
	pb_figure_free(figure);
}

static enum pb_status put_figure(struct flow *f, const struct pb_front *front, bool by_bits, enum pb_figure_size size, double x, double width,
	double *height)
{
	struct pb_figure *figure = NULL;
	const char *note = pb_view_note(f->view, front, true);
	if (!note)
		return pb_out_of_memory(f->err, "a report");
	const struct pb_figure_spec spec = { front, by_bits, size, note };
	enum pb_status st = pb_figure_make(&figure, &spec, f->measure, f->err);
	if (st != PB_OK)
		return st;
	put_drawing(f, figure, size == PB_FIGURE_FULL, x, width, height);
	return PB_OK;
}

static void put_families(struct flow *f)
{
	const struct pb_stroke outline = { PB_INK_OUTLINE, 0.5, PB_SOLID };
	double x = MARGIN + 4.0;
	need(f, 16.0);
	for (size_t i = 0; i < pb_n_families; i++) {
		if (!f->view->has_family[i])
			continue;
		pb_canvas_marker(f->canvas, pb_families[i].shape, x, f->y + 7.0, 3.5, pb_families[i].ink, outline);
		pb_canvas_text(f->canvas, x + 8.0, f->y + 10.0, PB_LEFT, 8.0, false, PB_INK_TEXT, pb_families[i].name);
		x += 24.0 + pb_measure_width(f->measure, 8.0, false, pb_families[i].name);
	}
	f->y += 16.0;
}

static enum pb_status put_figures(struct flow *f)
{
	const struct pb_view *v = f->view;
	double height = 0.0;
	if (!v->main)
		return PB_OK;
	put_heading(f, "Size and quality");
	enum pb_status st = put_figure(f, v->main, false, PB_FIGURE_FULL, MARGIN, WIDTH, &height);
	f->y += height + 4.0;
	if (st != PB_OK)
		return st;
	put_families(f);
	put_text(f, MARGIN, 8.0, PB_INK_MUTED, v->caption);
	if (v->has_bits) {
		f->y += 12.0;
		st = put_figure(f, v->main, true, PB_FIGURE_FULL, MARGIN, WIDTH, &height);
		f->y += height + 4.0;
	}
	return st;
}

static enum pb_status put_panels(struct flow *f)
{
	const struct pb_view *v = f->view;
	const double width = (WIDTH - 14.0) / 2.0, room = width * 322.0 / 470.0 + 10.0;
	enum pb_status st = PB_OK;
	if (v->n_columns < 2)
		return PB_OK;
	need(f, HEADING + room);
	put_heading(f, "Each task");
	for (size_t i = 1; i < v->n_columns && st == PB_OK; i++) {
		bool right = i % 2 == 0;
		double height = 0.0;
		if (!right)
			need(f, room);
		st = put_figure(f, v->columns[i], false, PB_FIGURE_PANEL, MARGIN + (right ? width + 14.0 : 0.0), width, &height);
		if (right || i + 1 == v->n_columns)
			f->y += room;
	}
	return st;
}

static void put_cell(struct flow *f, double x, double width, double size, bool right, bool bold, const char *s)
{
	struct pb_text shown = { 0 };
	pb_measure_fit(f->measure, size, bold, width - 4.0, s, &shown);
	pb_canvas_text(f->canvas, right ? x + width - 2.0 : x + 2.0, f->y + 8.0, right ? PB_RIGHT : PB_LEFT, size, bold, PB_INK_TEXT, pb_text_c(&shown));
	end_text(f, &shown);
}

static void put_rule(struct flow *f)
{
	pb_canvas_line(f->canvas, MARGIN, f->y, PAGE_W - MARGIN, f->y, (struct pb_stroke){ PB_INK_GRID, 0.6, PB_SOLID });
}

static const double identity_widths[4] = { 90.0, 116.0, 34.0, 44.0 };

static void put_table_head(struct flow *f, size_t first, size_t last)
{
	static const char *const names[4] = { "Model", "Quantizer", "Bits", "Size" };
	double x = MARGIN + 12.0, value_w = (PAGE_W - MARGIN - x - 284.0) / VALUES_A_TABLE;
	for (int i = 0; i < 4; i++) {
		put_cell(f, x, identity_widths[i], TABLE_SIZE, i >= 2, true, names[i]);
		x += identity_widths[i];
	}
	for (size_t i = first; i < last; i++, x += value_w) {
		struct pb_text t = { 0 };
		if (f->view->columns[i]->is_mean)
			pb_text_string(&t, "Mean acc, %"); /* as wide as its column */
		else
			pb_view_heading(f->view->columns[i], &t);
		put_cell(f, x, value_w, TABLE_SIZE, true, true, pb_text_c(&t));
		end_text(f, &t);
	}
	f->y += TABLE_LINE;
	put_rule(f);
}

static void put_table_row(struct flow *f, const struct pb_view_cell *cell, size_t first, size_t last)
{
	const struct pb_row *r = cell->row;
	const struct pb_point *main = cell->points[0];
	bool bold = main && main->on_front;
	double x = MARGIN + 12.0, value_w = (PAGE_W - MARGIN - x - 284.0) / VALUES_A_TABLE;
	char buffer[64];
	struct pb_text t = { 0 };
	if (bold)
		pb_canvas_marker(f->canvas, PB_SHAPE_DIAMOND, MARGIN + 5.0, f->y + 5.5, 2.6,
			main->separated == PB_SEPARATED_NO ? PB_INK_PAPER : PB_INK_TEXT, (struct pb_stroke){ PB_INK_TEXT, 0.6, PB_SOLID });
	put_cell(f, x, identity_widths[0], TABLE_SIZE, false, bold, r->model);
	x += identity_widths[0];
	put_cell(f, x, identity_widths[1], TABLE_SIZE, false, bold, *r->label ? r->label : r->quantizer);
	x += identity_widths[1];
	if (isfinite(r->effective_bits))
		pb_text_printf(&t, "%.3f", r->effective_bits);
	put_cell(f, x, identity_widths[2], TABLE_SIZE, true, bold, t.length ? t.data : "n/a");
	x += identity_widths[2];
	if (r->model_bytes != PB_ABSENT)
		pb_format_size(buffer, (double)r->model_bytes);
	put_cell(f, x, identity_widths[3], TABLE_SIZE, true, bold, r->model_bytes != PB_ABSENT ? buffer : "n/a");
	x += identity_widths[3];
	for (size_t i = first; i < last; i++, x += value_w) {
		if (cell->points[i])
			pb_front_format(f->view->columns[i], cell->points[i]->value, cell->points[i]->stderr_value, buffer);
		put_cell(f, x, value_w, TABLE_SIZE, true, cell->points[i] && cell->points[i]->on_front, cell->points[i] ? buffer : "n/a");
	}
	end_text(f, &t);
	f->y += TABLE_LINE;
	put_rule(f);
}

static void put_tables(struct flow *f)
{
	const struct pb_view *v = f->view;
	if (!v->n_in_table)
		return;
	put_heading(f, "All cells by size");
	put_text(f, MARGIN, 8.0, PB_INK_MUTED, "Value \u00b1 standard error. A filled mark: on the front of the first value column; an open one: on it, not separated at "
		"95 % from the best smaller cell. Bold values are on the front of their own column.");
	for (size_t first = 0; first < v->n_columns; first += VALUES_A_TABLE) {
		size_t last = first + VALUES_A_TABLE < v->n_columns ? first + VALUES_A_TABLE : v->n_columns;
		f->y += 8.0;
		need(f, 4 * TABLE_LINE);
		put_table_head(f, first, last);
		for (size_t i = 0; i < v->n_in_table; i++) {
			if (f->y + TABLE_LINE > BOTTOM) {
				next_page(f);
				put_table_head(f, first, last);
			}
			put_table_row(f, &v->cells[i], first, last);
		}
	}
}

/* --- further parts --- */

#define MOST_COLUMNS 16
#define LEAST_SIZE 5.0          /* of a table that is too wide for the page */
#define BOLD_SHARE 0.88         /* a text's width over its width in bold, at least */
#define LONG_TEXT 90.0          /* a column of long texts has that width at least */

/* A table as it is set: the size of its letters, the widths of its columns, and which of them are set in lines. */
struct grid {
	const struct pb_section_table *table;
	size_t n_columns;
	double size, widths[MOST_COLUMNS];
	bool wraps[MOST_COLUMNS];
	struct pb_text texts[MOST_COLUMNS]; /* of the row at hand, in lines */
};

/* Room between numbers, which end at the right, and the text that follows. */
static double indent(const struct grid *g, size_t c)
{
	return c > 0 && g->table->columns[c - 1].is_number && !g->table->columns[c].is_number ? 6.0 : 0.0;
}

/* The widest text of a column at its full length, and its widest word. */
static void measure_column(struct flow *f, const struct grid *g, size_t c, double *whole, double *word)
{
	const struct pb_section_table *table = g->table;
	struct pb_text t = { 0 };
	*whole = pb_measure_width(f->measure, TABLE_SIZE, true, table->columns[c].name);
	*word = 0.0;
	for (size_t i = c; i < table->n_fields + table->n_columns; i += table->n_columns) {
		const bool is_name = i >= table->n_fields;
		const char *s = is_name ? table->columns[c].name : table->fields[i].text;
		*whole = fmax(*whole, is_name ? 0.0 : pb_measure_width(f->measure, TABLE_SIZE, false, s));
		while (*s) {
			size_t n = strcspn(s, " ");
			pb_text_clear(&t);
			pb_text_bytes(&t, s, n);
			*word = fmax(*word, pb_measure_width(f->measure, TABLE_SIZE, is_name, pb_text_c(&t)));
			s += n + (s[n] == ' ');
		}
	}
	*whole += 8.0 + indent(g, c);
	*word += 8.0 + indent(g, c);
	end_text(f, &t);
}

/* As wide as what they hold, in all as wide as the page, long texts with what the others leave. What is too wide is set smaller,
 * and what is then too wide still in lines. */
static void choose_widths(struct flow *f, struct grid *g)
{
	double whole[MOST_COLUMNS], word[MOST_COLUMNS], sum = 0.0, least = 0.0;
	size_t n_wraps = 0;
	for (size_t c = 0; c < g->n_columns; c++) {
		measure_column(f, g, c, &whole[c], &word[c]);
		g->wraps[c] = g->table->columns[c].wraps;
		n_wraps += g->wraps[c];
		if (g->wraps[c])
			whole[c] = fmin(whole[c], fmax(LONG_TEXT, word[c]));
		sum += whole[c];
		least += word[c];
	}
	g->size = fmax(LEAST_SIZE, fmin(TABLE_SIZE, TABLE_SIZE * WIDTH / sum));
	const double scale = g->size / TABLE_SIZE, left = WIDTH - scale * sum;
	for (size_t c = 0; c < g->n_columns; c++) {
		g->widths[c] = scale * whole[c];
		if (left >= -0.01) {
			if (!n_wraps || g->wraps[c])
				g->widths[c] += left / (double)(n_wraps ? n_wraps : g->n_columns);
		} else {
			g->wraps[c] = true;
			if (scale * least >= WIDTH)
				g->widths[c] = word[c] * WIDTH / least;
			else
				g->widths[c] = scale * word[c] + (WIDTH - scale * least) * (whole[c] - word[c]) / (sum - least);
		}
	}
}

/* The texts of a row, or of the head, in lines; how many. */
static size_t set_row(struct flow *f, struct grid *g, const struct pb_section_field *fields)
{
	size_t n_lines = 1;
	for (size_t c = 0; c < g->n_columns; c++) {
		const char *s = fields ? fields[c].text : g->table->columns[c].name;
		size_t n = 1;
		pb_text_clear(&g->texts[c]);
		if (g->wraps[c])
			n = pb_measure_wrap(f->measure, g->size, (g->widths[c] - 4.0 - indent(g, c)) * (fields ? 1.0 : BOLD_SHARE), s, &g->texts[c]);
		else
			pb_text_string(&g->texts[c], s);
		n_lines = n > n_lines ? n : n_lines;
	}
	return n_lines;
}

static void put_row(struct flow *f, struct grid *g, bool bold, size_t n_lines)
{
	const double top = f->y;
	double x = MARGIN;
	for (size_t c = 0; c < g->n_columns; x += g->widths[c++]) {
		f->y = top;
		for (char *line = g->texts[c].length ? g->texts[c].data : NULL; line;) {
			char *next = strchr(line, '\n');
			if (next)
				*next++ = '\0';
			put_cell(f, x + indent(g, c), g->widths[c] - indent(g, c), g->size, g->table->columns[c].is_number, bold, line);
			f->y += TABLE_LINE;
			line = next;
		}
	}
	f->y = top + TABLE_LINE * (double)n_lines;
	put_rule(f);
}

static void put_section_table(struct flow *f, const struct pb_section_table *table)
{
	struct grid g = { .table = table, .n_columns = table->n_columns < MOST_COLUMNS ? table->n_columns : MOST_COLUMNS };
	choose_widths(f, &g);
	f->y += 8.0;
	need(f, 4 * TABLE_LINE);
	put_row(f, &g, true, set_row(f, &g, NULL));
	for (size_t i = 0; i + table->n_columns <= table->n_fields; i += table->n_columns) {
		size_t n_lines = set_row(f, &g, table->fields + i);
		if (f->y + TABLE_LINE * (double)n_lines > BOTTOM) {
			next_page(f);
			put_row(f, &g, true, set_row(f, &g, NULL));
			n_lines = set_row(f, &g, table->fields + i);
		}
		put_row(f, &g, false, n_lines);
	}
	for (size_t c = 0; c < MOST_COLUMNS; c++)
		end_text(f, &g.texts[c]);
	f->y += 6.0;
}

static enum pb_status put_chart(struct flow *f, const struct pb_section_chart *chart, bool right, bool last)
{
	const double half = (WIDTH - 14.0) / 2.0;
	const enum pb_figure_size size = chart->panel ? PB_FIGURE_PANEL : PB_FIGURE_FULL;
	struct pb_figure *figure = NULL;
	struct pb_text caption = { 0 };
	double height = 0.0, below = chart->panel ? 0.0 : 12.0 * (double)pb_measure_wrap(f->measure, 8.0, WIDTH, chart->caption, &caption);
	end_text(f, &caption);
	enum pb_status st = pb_chart_make(&figure, &chart->chart, size, chart->note, f->measure, f->err);
	if (st != PB_OK)
		return st;
	if (!right)
		need(f, (chart->panel ? half : WIDTH) / pb_figure_width(figure) * pb_figure_height(figure) + 10.0 + below);
	put_drawing(f, figure, false, MARGIN + (right ? half + 14.0 : 0.0), chart->panel ? half : WIDTH, &height);
	if (!chart->panel || right || last)
		f->y += height + 6.0;
	if (!chart->panel)
		put_text(f, MARGIN, 8.0, PB_INK_MUTED, chart->caption);
	return PB_OK;
}

/* In as many lines as it needs. */
static void put_subheading(struct flow *f, const char *s)
{
	struct pb_text t = { 0 };
	(void)pb_measure_wrap(f->measure, 10.0, BOLD_SHARE * WIDTH, s, &t);
	f->y += 8.0;
	for (char *line = t.length ? t.data : NULL; line;) {
		char *next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		pb_canvas_text(f->canvas, MARGIN, f->y + 10.0, PB_LEFT, 10.0, true, PB_INK_TEXT, line);
		f->y += next ? 13.0 : 16.0;
		line = next;
	}
	end_text(f, &t);
}

static enum pb_status put_section(struct flow *f, const struct pb_section *section)
{
	struct pb_text t = { 0 };
	enum pb_status st = PB_OK;
	size_t n_panels = 0;
	/* The heading is not left alone. */
	size_t first = 0;
	while (first < section->n_blocks && (section->blocks[first].kind == PB_SECTION_TEXT || section->blocks[first].kind == PB_SECTION_NOTE))
		first++;
	if (first < section->n_blocks && section->blocks[first].kind == PB_SECTION_CHART)
		need(f, 40.0 * (double)first + (section->blocks[first].chart->panel ? 250.0 : 430.0));
	put_heading(f, section->title);
	for (size_t i = 0; i < section->n_blocks && st == PB_OK; i++) {
		const struct pb_section_block *block = &section->blocks[i];
		const struct pb_section_block *next = i + 1 < section->n_blocks ? &section->blocks[i + 1] : NULL;
		bool is_panel = block->kind == PB_SECTION_CHART && block->chart->panel;
		switch (block->kind) {
		case PB_SECTION_HEADING:
			need(f, next && next->kind == PB_SECTION_CHART ? next->chart->panel ? 230.0 : 420.0 : 60.0);
			put_subheading(f, block->text);
			break;
		case PB_SECTION_TEXT:
			put_text(f, MARGIN, 9.0, PB_INK_TEXT, block->text);
			break;
		case PB_SECTION_NOTE:
			put_text(f, MARGIN, 8.0, PB_INK_MUTED, block->text);
			break;
		case PB_SECTION_TABLE:
			put_section_table(f, block->table);
			break;
		case PB_SECTION_CHART:
			st = put_chart(f, block->chart, is_panel && n_panels % 2 == 1, !next || next->kind != PB_SECTION_CHART || !next->chart->panel);
			break;
		case PB_SECTION_FILE:
			pb_text_clear(&t);
			pb_text_printf(&t, "%s: %s.", block->file->what, block->file->name);
			put_text(f, MARGIN, 8.0, PB_INK_MUTED, pb_text_c(&t));
			break;
		}
		n_panels = is_panel ? n_panels + 1 : 0;
	}
	end_text(f, &t);
	return st;
}

static void put_failed(struct flow *f)
{
	struct pb_text t = { 0 };
	if (f->view->n_failures)
		put_heading(f, "Failed and skipped");
	for (size_t i = 0; i < f->view->n_failures; i++) {
		const struct pb_view_failure *x = &f->view->failures[i];
		const struct pb_row *r = x->row;
		pb_text_clear(&t);
		pb_text_printf(&t, "%s \u00b7 %s \u00b7 %s: %s: %s", *r->label ? r->label : r->quantizer, r->model, x->tasks, pb_row_status_name(r->status), x->reason);
		put_text(f, MARGIN, 8.0, PB_INK_TEXT, pb_text_c(&t));
		if (t.failed)
			break;
	}
	end_text(f, &t);
}

static void put_fact(struct flow *f, const char *name, const char *value)
{
	struct pb_text shown = { 0 };
	need(f, 12.0);
	pb_measure_fit(f->measure, 8.0, false, 124.0, name, &shown);
	pb_canvas_text(f->canvas, MARGIN, f->y + 8.0, PB_LEFT, 8.0, false, PB_INK_MUTED, pb_text_c(&shown));
	end_text(f, &shown);
	put_text(f, MARGIN + 130.0, 8.0, PB_INK_TEXT, value);
	f->y += 2.0;
}

static enum pb_status put_provenance(struct flow *f)
{
	struct pb_view_pair *pairs = NULL;
	size_t n = 0;
	enum pb_status st = pb_view_hashes(f->view, &pairs, &n, f->err);
	if (st != PB_OK)
		return st;
	put_heading(f, "Provenance");
	for (size_t i = 0; i < f->view->input->n_facts; i++)
		put_fact(f, f->view->input->facts[i].name, *f->view->input->facts[i].value ? f->view->input->facts[i].value : "unknown");
	for (size_t i = 0; i < n; i++)
		put_fact(f, pairs[i].name, pairs[i].value);
	put_fact(f, "figures", f->view->font);
	return PB_OK;
}

static enum pb_status put_pages(struct flow *f)
{
	const struct pb_report_input *input = f->view->input;
	struct pb_text title = { 0 };
	pb_measure_fit(f->measure, 20.0, true, WIDTH, *input->title ? input->title : "report", &title);
	pb_canvas_text(f->canvas, MARGIN, f->y + 22.0, PB_LEFT, 20.0, true, PB_INK_TEXT, pb_text_c(&title));
	end_text(f, &title);
	f->y += 36.0;
	put_text(f, MARGIN, 10.0, PB_INK_TEXT, f->view->summary);
	if (*f->view->fronts.note)
		put_text(f, MARGIN, 10.0, PB_INK_TEXT, f->view->fronts.note);
	enum pb_status st = put_figures(f);
	if (st != PB_OK)
		return st;
	put_tables(f);
	st = put_panels(f);
	if (st != PB_OK)
		return st;
	for (size_t i = 0; i < f->view->n_sections && st == PB_OK; i++)
		st = put_section(f, f->view->sections[i]);
	if (st != PB_OK)
		return st;
	put_failed(f);
	st = put_provenance(f);
	put_footer(f);
	return st;
}

enum pb_status pb_pdf_make(const struct pb_view *view, struct pb_measure *measure, struct pb_text *out, struct pb_error *err)
{
	struct flow f = { .view = view, .measure = measure, .err = err, .y = MARGIN, .page = 1 };
	const char *title = *view->input->title ? view->input->title : "report";
	enum pb_status st = pb_canvas_pdf(&f.canvas, PAGE_W, PAGE_H, 1.0, title, view->input->created_utc, err);
	if (st != PB_OK)
		return st;
	st = put_pages(&f);
	if (st == PB_OK)
		st = pb_measure_check(measure, err);
	if (st == PB_OK)
		return pb_canvas_finish(f.canvas, out, err);
	pb_canvas_abort(f.canvas);
	return st;
}
