#include "reports/report.h"

#include <string.h>

#include "core/base/file.h"
#include "core/base/memory.h"
#include "reports/page.h"

#define PNG_SCALE 2.0
#define FIGURE_POINTS (486.0 / 960.0) /* a figure of 960 x 640 pixels is 6.75 x 4.5 inches in PDF */

struct report {
	struct pb_view view;
	struct pb_measure *measure;
	const char *folder;
	struct pb_error *err;
};

static enum pb_status write_text(struct report *r, const char *name, const struct pb_text *t)
{
	enum pb_status st = pb_text_check(t, r->err);
	if (st != PB_OK)
		return st;
	char *path = pb_path_join(r->folder, name);
	if (!path)
		return pb_out_of_memory(r->err, "a path");
	st = pb_file_write(path, pb_text_c(t), t->length, r->err);
	pb_free(path);
	return st;
}

enum output { OUTPUT_SVG, OUTPUT_PNG, OUTPUT_PDF, OUTPUTS };

static enum pb_status draw_file(struct report *r, const struct pb_figure *figure, const char *slug, enum output output)
{
	static const char *const suffixes[OUTPUTS] = { "svg", "png", "pdf" };
	double w = pb_figure_width(figure), h = pb_figure_height(figure);
	const char *description = pb_figure_description(figure);
	struct pb_canvas *c = NULL;
	struct pb_text file = { 0 }, name = { 0 };
	enum pb_status st = output == OUTPUT_SVG ? pb_canvas_svg(&c, w, h, description, false, r->err)
		: output == OUTPUT_PNG ? pb_canvas_png(&c, w, h, PNG_SCALE, r->err)
		: pb_canvas_pdf(&c, w, h, FIGURE_POINTS, description, r->view.input->created_utc, r->err);
	if (st != PB_OK)
		return st;
	pb_figure_draw(figure, c);
	st = pb_canvas_finish(c, &file, r->err);
	pb_text_printf(&name, "figures/%s.%s", slug, suffixes[output]);
	if (st == PB_OK)
		st = pb_text_check(&name, r->err);
	if (st == PB_OK)
		st = write_text(r, pb_text_c(&name), &file);
	pb_text_free(&file);
	pb_text_free(&name);
	return st;
}

/* Frees the figure. */
static enum pb_status draw_files(struct report *r, struct pb_figure *figure, const char *slug)
{
	enum pb_status st = PB_OK;
	for (int output = 0; output < OUTPUTS && st == PB_OK; output++)
		st = draw_file(r, figure, slug, (enum output)output);
	pb_figure_free(figure);
	return st;
}

static enum pb_status write_figure(struct report *r, const struct pb_front *front, bool by_bits, const char *slug)
{
	struct pb_figure *figure = NULL;
	const char *note = pb_view_note(&r->view, front, true);
	if (!note)
		return pb_out_of_memory(r->err, "a figure");
	const struct pb_figure_spec spec = { front, by_bits, PB_FIGURE_FULL, note };
	enum pb_status st = pb_figure_make(&figure, &spec, r->measure, r->err);
	return st == PB_OK ? draw_files(r, figure, slug) : st;
}

/* The charts and the files of a section. */
static enum pb_status write_section(struct report *r, const struct pb_section *section)
{
	enum pb_status st = PB_OK;
	for (size_t i = 0; i < section->n_blocks && st == PB_OK; i++) {
		const struct pb_section_block *block = &section->blocks[i];
		struct pb_figure *figure = NULL;
		if (block->kind == PB_SECTION_FILE)
			st = write_text(r, block->file->name, &block->file->bytes);
		if (block->kind != PB_SECTION_CHART)
			continue;
		st = pb_chart_make(&figure, &block->chart->chart, PB_FIGURE_FULL, block->chart->note, r->measure, r->err);
		if (st == PB_OK)
			st = draw_files(r, figure, block->chart->slug);
	}
	return st;
}

static enum pb_status write_figures(struct report *r)
{
	const struct pb_view *v = &r->view;
	enum pb_status st = PB_OK;
	if (v->main)
		st = write_figure(r, v->main, false, "front");
	if (st == PB_OK && v->has_bits)
		st = write_figure(r, v->main, true, "front-bits");
	for (size_t i = 1; i < v->n_columns && st == PB_OK; i++)
		st = write_figure(r, v->columns[i], false, v->columns[i]->slug);
	for (size_t i = 0; i < v->n_sections && st == PB_OK; i++)
		st = write_section(r, v->sections[i]);
	return st;
}

static enum pb_status write_tables(struct report *r, struct pb_page_tables *tables)
{
	const struct pb_view *v = &r->view;
	enum pb_status st = PB_OK;
	if (v->has_rows) {
		st = pb_rows_csv(v->input->rows, &tables->rows, r->err);
		if (st == PB_OK)
			st = write_text(r, "rows.csv", &tables->rows);
		if (st == PB_OK)
			st = pb_fronts_csv(&v->fronts, &tables->fronts, r->err);
		if (st == PB_OK)
			st = write_text(r, "fronts.csv", &tables->fronts);
	}
	return st;
}

static enum pb_status write_part(struct report *r, const struct pb_page_place *parts, const struct pb_part *part)
{
	const struct pb_report_input *all = r->view.input;
	struct pb_text title = { 0 }, page = { 0 };
	struct pb_view view;
	pb_text_printf(&title, "%s \u00b7 %s", part->name, *all->title ? all->title : "report");
	const struct pb_report_input input = { .title = pb_text_c(&title), .rows = &part->rows, .facts = all->facts, .n_facts = all->n_facts, .created_utc = all->created_utc,
		.is_part = true };
	enum pb_status st = pb_text_check(&title, r->err);
	if (st == PB_OK)
		st = pb_view_make(&view, &input, r->measure, r->err);
	if (st == PB_OK) {
		const struct pb_page_place place = { .parts = parts->parts, .n_parts = parts->n_parts, .part = part };
		st = pb_page_make(&view, r->measure, &place, &page, r->err);
		if (st == PB_OK)
			st = write_text(r, part->file, &page);
		pb_view_free(&view);
	}
	pb_text_free(&title);
	pb_text_free(&page);
	return st;
}

static enum pb_status make_folder(const char *folder, const char *name, struct pb_error *err)
{
	char *path = pb_path_join(folder, name);
	if (!path)
		return pb_out_of_memory(err, "a path");
	enum pb_status st = pb_folder_make(path, err);
	pb_free(path);
	return st;
}

static enum pb_status write_parts(struct report *r, struct pb_page_place *place)
{
	struct pb_part *parts = NULL;
	enum pb_status st = pb_parts_make(&parts, &place->n_parts, r->view.input->rows, r->view.arena, r->err);
	place->parts = parts;
	for (size_t i = 0; i < place->n_parts && st == PB_OK; i++) {
		st = make_folder(r->folder, parts[i].is_width ? "bits" : "methods", r->err);
		if (st == PB_OK)
			st = write_part(r, place, &parts[i]);
	}
	return st;
}

/* The page is written last: when it is there, everything it links to is. */
static enum pb_status write_files(struct report *r)
{
	struct pb_text page = { 0 }, markdown = { 0 }, pdf = { 0 };
	struct pb_page_tables tables = { 0 };
	struct pb_page_place place = { .tables = &tables };
	enum pb_status st = write_tables(r, &tables);
	if (st == PB_OK)
		st = write_figures(r);
	if (st == PB_OK)
		st = pb_markdown_make(&r->view, &markdown, r->err);
	if (st == PB_OK)
		st = write_text(r, "report.md", &markdown);
	if (st == PB_OK)
		st = pb_pdf_make(&r->view, r->measure, &pdf, r->err);
	if (st == PB_OK)
		st = write_text(r, "report.pdf", &pdf);
	if (st == PB_OK)
		st = write_parts(r, &place);
	if (st == PB_OK)
		st = pb_page_make(&r->view, r->measure, &place, &page, r->err);
	if (st == PB_OK)
		st = write_text(r, "report.html", &page);
	pb_text_free(&tables.rows);
	pb_text_free(&tables.fronts);
	pb_text_free(&page);
	pb_text_free(&markdown);
	pb_text_free(&pdf);
	return st;
}

enum pb_status pb_report_write(const struct pb_report_input *input, const char *folder, char **html_path, struct pb_error *err)
{
	struct report r = { .folder = folder, .err = err };
	enum pb_status st = pb_measure_new(&r.measure, err);
	if (st != PB_OK)
		return st;
	st = pb_view_make(&r.view, input, r.measure, err);
	if (st == PB_OK) {
		st = make_folder(folder, "figures", err);
		if (st == PB_OK)
			st = write_files(&r);
		pb_view_free(&r.view);
	}
	pb_measure_free(r.measure);
	if (st != PB_OK)
		return st;
	char *path = pb_path_join(folder, "report.html");
	if (!path)
		return pb_out_of_memory(err, "a path");
	*html_path = path;
	return PB_OK;
}
