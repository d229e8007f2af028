/* report.md: the summary, figures by link, and the tables, for a review or a nightly's message. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/base/markup.h"
#include "reports/page.h"

static void cell_text(struct pb_text *out, const char *s)
{
	pb_text_string(out, " ");
	pb_markdown_escape(out, s);
	pb_text_string(out, " |");
}

static void put_table(const struct pb_view *v, struct pb_text *out)
{
	pb_text_string(out, "| Front | Model | Quantizer | Effective bits | Size |");
	for (size_t i = 0; i < v->n_columns; i++) {
		struct pb_text t = { 0 };
		pb_view_heading(v->columns[i], &t);
		if (t.failed)
			out->failed = true;
		cell_text(out, pb_text_c(&t));
		pb_text_free(&t);
	}
	pb_text_string(out, "\n| --- | --- | --- | ---: | ---: |");
	for (size_t i = 0; i < v->n_columns; i++)
		pb_text_string(out, " ---: |");
	pb_text_char(out, '\n');
	for (size_t k = 0; k < v->n_in_table; k++) {
		const struct pb_view_cell *cell = &v->cells[k];
		const struct pb_row *r = cell->row;
		const struct pb_point *main = cell->points[0];
		char buffer[64] = "n/a";
		pb_text_printf(out, "| %s |", !main || !main->on_front ? "" : main->separated == PB_SEPARATED_NO ? "\u25c7" : "\u25c6");
		cell_text(out, r->model);
		cell_text(out, *r->label ? r->label : r->quantizer);
		if (isfinite(r->effective_bits))
			pb_text_printf(out, " %.3f |", r->effective_bits);
		else
			pb_text_string(out, " n/a |");
		if (r->model_bytes != PB_ABSENT)
			pb_format_size(buffer, (double)r->model_bytes);
		pb_text_printf(out, " %s |", buffer);
		for (size_t i = 0; i < v->n_columns; i++) {
			const struct pb_point *p = cell->points[i];
			if (p)
				pb_front_format(v->columns[i], p->value, p->stderr_value, buffer);
			pb_text_printf(out, " %s |", p ? buffer : "n/a");
		}
		pb_text_char(out, '\n');
	}
	pb_text_char(out, '\n');
}

static void put_figure(struct pb_text *out, const char *title, const char *name)
{
	pb_text_string(out, "![");
	pb_markdown_escape(out, title);
	pb_text_printf(out, "](figures/%s.png)\n\n", name);
}

static void put_section_table(const struct pb_section_table *table, struct pb_text *out)
{
	pb_text_char(out, '|');
	for (size_t c = 0; c < table->n_columns; c++)
		cell_text(out, table->columns[c].name);
	pb_text_string(out, "\n|");
	for (size_t c = 0; c < table->n_columns; c++)
		pb_text_string(out, table->columns[c].is_number ? " ---: |" : " --- |");
	pb_text_char(out, '\n');
	for (size_t i = 0; i + table->n_columns <= table->n_fields; i += table->n_columns) {
		pb_text_char(out, '|');
		for (size_t c = 0; c < table->n_columns; c++)
			cell_text(out, table->fields[i + c].text);
		pb_text_char(out, '\n');
	}
	pb_text_char(out, '\n');
}

static void put_section(const struct pb_section *section, struct pb_text *out)
{
	pb_text_string(out, "## ");
	pb_markdown_escape(out, section->title);
	pb_text_string(out, "\n\n");
	for (size_t i = 0; i < section->n_blocks; i++) {
		const struct pb_section_block *block = &section->blocks[i];
		switch (block->kind) {
		case PB_SECTION_HEADING:
			pb_text_string(out, "### ");
			pb_markdown_escape(out, block->text);
			break;
		case PB_SECTION_TEXT:
		case PB_SECTION_NOTE:
			pb_markdown_escape(out, block->text);
			break;
		case PB_SECTION_TABLE:
			put_section_table(block->table, out);
			continue;
		case PB_SECTION_CHART:
			put_figure(out, block->chart->chart.title, block->chart->slug);
			pb_markdown_escape(out, block->chart->caption);
			break;
		case PB_SECTION_FILE:
			pb_markdown_escape(out, block->file->what);
			pb_text_printf(out, ": %s.", block->file->name);
			break;
		}
		pb_text_string(out, "\n\n");
	}
}

static void put_failed(const struct pb_view *v, struct pb_text *out)
{
	if (!v->n_failures)
		return;
	pb_text_string(out, "## Failed and skipped\n\n| Model | Quantizer | Backend | Tasks | Status | Reason |\n| --- | --- | --- | --- | --- | --- |\n");
	for (size_t i = 0; i < v->n_failures; i++) {
		const struct pb_row *r = v->failures[i].row;
		pb_text_string(out, "|");
		cell_text(out, r->model);
		cell_text(out, *r->label ? r->label : r->quantizer);
		cell_text(out, r->backend);
		cell_text(out, v->failures[i].tasks);
		cell_text(out, pb_row_status_name(r->status));
		cell_text(out, v->failures[i].reason);
		pb_text_char(out, '\n');
	}
	pb_text_char(out, '\n');
}

enum pb_status pb_markdown_make(const struct pb_view *view, struct pb_text *out, struct pb_error *err)
{
	struct pb_view_pair *pairs = NULL;
	size_t n = 0;
	enum pb_status st = pb_view_hashes(view, &pairs, &n, err);
	if (st != PB_OK)
		return st;
	pb_text_string(out, "# ");
	pb_markdown_escape(out, *view->input->title ? view->input->title : "report");
	pb_text_string(out, "\n\n");
	pb_markdown_escape(out, view->summary);
	pb_text_string(out, "\n\n");
	if (*view->fronts.note) {
		pb_markdown_escape(out, view->fronts.note);
		pb_text_string(out, "\n\n");
	}
	if (view->main) {
		pb_text_string(out, "## Size and quality\n\n");
		put_figure(out, view->main->title, "front");
		pb_markdown_escape(out, view->caption);
		pb_text_string(out, "\n\n## All cells by size\n\nValue \u00b1 standard error; \u25c6 on the front of the first value column, "
			"\u25c7 on it and not separated at 95 % from the best smaller one. More: rows.csv, fronts.csv.\n\n");
		put_table(view, out);
	}
	if (view->n_columns > 1)
		pb_text_string(out, "## Each task\n\n");
	for (size_t i = 1; i < view->n_columns; i++)
		put_figure(out, view->columns[i]->title, view->columns[i]->slug);
	for (size_t i = 0; i < view->n_sections; i++)
		put_section(view->sections[i], out);
	put_failed(view, out);
	pb_text_string(out, "## Provenance\n\n");
	for (size_t i = 0; i < view->input->n_facts; i++) {
		const struct pb_fact *f = &view->input->facts[i];
		pb_text_string(out, "- ");
		pb_markdown_escape(out, f->name);
		pb_text_string(out, ": ");
		pb_markdown_escape(out, f->value);
		pb_text_char(out, '\n');
	}
	for (size_t i = 0; i < n; i++) {
		pb_text_string(out, "- ");
		pb_markdown_escape(out, pairs[i].name);
		pb_text_string(out, ": ");
		pb_markdown_escape(out, pairs[i].value);
		pb_text_char(out, '\n');
	}
	return pb_text_check(out, err);
}
