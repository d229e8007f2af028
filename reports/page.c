/* report.html: one file that needs no network, and no script to be read. */
#include "core/base/markup.h"
#include "reports/page.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>


#define CLIPPED_NAME 36         /* a longer name may be cut by its column, and is whole in the tooltip */
#define EMBED_LIMIT (1u << 20)  /* larger tables are linked only */

struct page {
	const struct pb_view *view;
	struct pb_measure *measure;
	const struct pb_page_place *place;
	struct pb_text *out;
	struct pb_error *err;
};

static const char style[] =
	":root{--bg:#fff;--text:#222;--muted:#666;--line:#e3e6ea;--soft:#f6f7f9;--link:#0b5c94}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:64rem;background:var(--bg);color:var(--text);"
	"font:16px/1.5 system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}\n"
	"h1{font-size:1.6rem;line-height:1.25;margin:0 0 .5rem;overflow-wrap:anywhere}h2{font-size:1.2rem;margin:2.5rem 0 .5rem}h3{font-size:1rem;margin:1.5rem 0 .25rem}\n"
	"p{margin:.5rem 0;max-width:48rem;overflow-wrap:anywhere}a{color:var(--link)}.muted,figcaption{color:var(--muted);font-size:.875rem}\n"
	"figure{margin:1rem 0}figcaption{margin-top:.25rem;max-width:60rem}svg{display:block;width:100%;height:auto}svg.key{display:inline-block;"
	"width:14px;height:14px;vertical-align:-2px;margin:0 .25rem 0 .75rem}svg .point:hover>*{stroke-width:2.5}\n"
	".narrow{display:none}.families{margin:.25rem 0 0 -.75rem;font-size:.875rem}.families span{white-space:nowrap}\n"
	".panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(27rem,100%),1fr));gap:1rem}.panels figure{margin:0 0 .5rem}\n"
	".box{overflow-x:auto;max-width:100%;border:1px solid var(--line);border-radius:4px}\n"
	"table{border-collapse:collapse;width:100%;font-size:.8125rem;font-variant-numeric:tabular-nums}\n"
	"th,td{padding:.3rem .6rem;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:top}\n"
	"th{background:var(--soft);vertical-align:bottom}tbody tr:last-child td{border-bottom:0}td.wrap{white-space:normal;min-width:10rem;"
	"overflow-wrap:anywhere}td.name{max-width:22rem;overflow:hidden;text-overflow:ellipsis}.n{text-align:right}tr.front td{font-weight:600}"
	"th[data-sort]{cursor:pointer}th button{all:unset;cursor:pointer}.filter,.theme{font:inherit;font-size:.875rem;padding:.2rem .5rem;margin:.25rem 0;color:var(--text);background:var(--soft);"
	"border:1px solid var(--line);border-radius:4px}.theme{float:right;cursor:pointer}:focus-visible{outline:2px solid var(--link);outline-offset:1px}\n"
	"dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.25rem 1rem;font-size:.875rem;margin:.5rem 0}dt{color:var(--muted);"
	"overflow-wrap:anywhere;max-width:18rem}dd{margin:0;overflow-wrap:anywhere;min-width:0}\n"
	"pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font:.8125rem/1.4 ui-monospace,'DejaVu Sans Mono',monospace}\n"
	"@media (max-width:40rem){.wide{display:none}.narrow{display:block}dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}}\n"
	"@media print{body{max-width:none;padding:0;font-size:11px}.box{overflow:visible;border:0}th,td{white-space:normal;padding:.15rem .3rem}"
	"table{font-size:9px}figure,tr{break-inside:avoid}h2,h3{break-after:avoid}.muted,figcaption,dl{font-size:10px}pre{font-size:9px}"
	".panels{grid-template-columns:1fr 1fr}svg{max-height:10cm}#front+figure svg{max-height:none}.download,.filter,.theme,nav{display:none}}\n"
	"@media print and (min-width:1px){.wide{display:block}.narrow{display:none}}\n";

/* Sorting by a click on a heading, a field over long tables that keeps the rows with all its words, light or dark by choice.
 * Without it the tables are as they are, and the colours are the system's. */
static const char script[] =
	"(function(){var r=document.documentElement,b=document.createElement('button'),names=['auto','light','dark'],k=0;"
	"b.type='button';b.className='theme';function show(){if(k)r.dataset.theme=names[k];else delete r.dataset.theme;b.textContent='Colours: '+names[k]}"
	"b.addEventListener('click',function(){k=(k+1)%3;show();try{localStorage.setItem('paretobench-theme',names[k])}catch(e){}});"
	"try{k=Math.max(0,names.indexOf(localStorage.getItem('paretobench-theme')))}catch(e){}show();document.body.insertBefore(b,document.body.firstChild)})();\n"
	"document.querySelectorAll('.box').forEach(function(x){var t=x.querySelector('table'),b=t&&t.tBodies[0];if(!b||b.rows.length<10)return;"
	"var f=document.createElement('input'),n=document.createElement('span');f.type='search';f.placeholder='Filter rows';f.setAttribute('aria-label','Filter rows');"
	"f.className='filter';n.className='muted';n.setAttribute('role','status');x.before(f,n);f.addEventListener('input',function(){"
	"var w=f.value.toLowerCase().split(/\\s+/).filter(Boolean),shown=0;Array.from(b.rows).forEach(function(r){var s=r.textContent.toLowerCase(),"
	"on=w.every(function(v){return s.indexOf(v)>=0});r.hidden=!on;shown+=on});n.textContent=w.length?' '+shown+' of '+b.rows.length+' rows':''})});\n"
	"document.querySelectorAll('th[data-sort]').forEach(function(h){var u=document.createElement('button');u.type='button';u.append.apply(u,h.childNodes);h.append(u);"
	"function sort(){var t=h.closest('table'),b=t.tBodies[0],i=h.cellIndex,d=h.getAttribute('aria-sort')==='ascending'?-1:1;"
	"t.querySelectorAll('th').forEach(function(o){o.removeAttribute('aria-sort')});h.setAttribute('aria-sort',d===1?'ascending':'descending');"
	"function key(r){var c=r.cells[i];return c.dataset.v===undefined?c.textContent:c.dataset.v===''?null:Number(c.dataset.v)}"
	"Array.from(b.rows).map(function(r,k){return[key(r),k,r]}).sort(function(x,y){if(x[0]===null||y[0]===null)return(x[0]===null)-(y[0]===null)||x[1]-y[1];"
	"return(x[0]<y[0]?-d:x[0]>y[0]?d:0)||x[1]-y[1]}).forEach(function(x){b.appendChild(x[2])})}"
	"h.addEventListener('click',sort)});\n";

static void raw(struct page *p, const char *s)
{
	pb_text_string(p->out, s);
}

static void text(struct page *p, const char *s)
{
	pb_markup_escape(p->out, s);
}

static void element(struct page *p, const char *tag, const char *s)
{
	pb_text_printf(p->out, "<%s>", tag);
	text(p, s);
	pb_text_printf(p->out, "</%s>", tag);
}

/* --- colours of the figures --- */

static void put_light(struct page *p)
{
	for (int i = 1; i < PB_INKS; i++)
		pb_text_printf(p->out, ".f-%s{fill:#%06X}.s-%s{stroke:#%06X}", pb_inks[i].name, pb_inks[i].light, pb_inks[i].name, pb_inks[i].light);
	raw(p, "\n");
}

/* The dark colours for a root element that is chosen by `root`. */
static void put_dark(struct page *p, const char *root)
{
	pb_text_printf(p->out, "%s{--bg:#15171c;--text:#e8eaed;--muted:#a8adb5;--line:#2c3038;--soft:#1d2026;--link:#7cc0f0;color-scheme:dark}", root);
	for (int i = 1; i < PB_INKS; i++)
		pb_text_printf(p->out, "%s .f-%s{fill:#%06X}%s .s-%s{stroke:#%06X}", root, pb_inks[i].name, pb_inks[i].dark, root, pb_inks[i].name, pb_inks[i].dark);
}

/* As the system has it, unless the reader chose. */
static void put_themes(struct page *p)
{
	put_light(p);
	raw(p, "@media screen and (prefers-color-scheme:dark){");
	put_dark(p, ":root:not([data-theme=light])");
	raw(p, "}\n@media screen{");
	put_dark(p, ":root[data-theme=dark]");
	raw(p, "}\n");
}

static void put_head(struct page *p)
{
	const char *title = *p->view->input->title ? p->view->input->title : "report";
	raw(p, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>");
	text(p, title);
	raw(p, " \u00b7 paretobench</title>\n<style>\n");
	raw(p, style);
	put_themes(p);
	raw(p, "</style>\n</head>\n<body>\n");
	element(p, "h1", title);
	raw(p, "\n");
	element(p, "p", p->view->summary);
	raw(p, "\n");
	if (*p->view->fronts.note)
		element(p, "p", p->view->fronts.note);
}

/* --- figures --- */

static enum pb_status put_svg(struct page *p, const struct pb_figure *figure)
{
	struct pb_canvas *c = NULL;
	enum pb_status st = pb_canvas_svg(&c, pb_figure_width(figure), pb_figure_height(figure), pb_figure_description(figure), true, p->err);
	if (st != PB_OK)
		return st;
	pb_figure_draw(figure, c);
	return pb_canvas_finish(c, p->out, p->err);
}

/* Frees the figure. */
static enum pb_status put_drawing(struct page *p, struct pb_figure *figure, const char *class)
{
	pb_text_printf(p->out, "<div class=\"%s\">\n", class);
	enum pb_status st = put_svg(p, figure);
	raw(p, "</div>\n");
	if (strcmp(class, "panel") == 0 && *pb_figure_outside(figure))
		element(p, "figcaption", pb_figure_outside(figure));
	pb_figure_free(figure);
	return st;
}

static enum pb_status put_figure(struct page *p, const struct pb_front *front, bool by_bits, enum pb_figure_size size, const char *class)
{
	struct pb_figure *figure = NULL;
	const char *note = size == PB_FIGURE_FULL ? pb_view_note(p->view, front, true) : "";
	if (!note)
		return pb_out_of_memory(p->err, "a report");
	const struct pb_figure_spec spec = { front, by_bits, size, note };
	enum pb_status st = pb_figure_make(&figure, &spec, p->measure, p->err);
	return st == PB_OK ? put_drawing(p, figure, class) : st;
}

static enum pb_status put_family(struct page *p, const struct pb_family *family)
{
	const struct pb_stroke outline = { PB_INK_OUTLINE, 0.8, PB_SOLID };
	struct pb_canvas *c = NULL;
	struct pb_text svg = { 0 };
	enum pb_status st = pb_canvas_svg(&c, 14, 14, family->name, true, p->err);
	if (st != PB_OK)
		return st;
	pb_canvas_marker(c, family->shape, 7, 7, 5, family->ink, outline);
	st = pb_canvas_finish(c, &svg, p->err);
	if (st == PB_OK) {
		/* The class goes in right after the name of the element. */
		raw(p, "<span><svg class=\"key\"");
		raw(p, svg.data + strlen("<svg"));
		text(p, family->name);
		raw(p, "</span>\n");
	}
	pb_text_free(&svg);
	return st;
}

static void put_files(struct page *p, const char *name)
{
	if (!p->place->tables)
		return;
	raw(p, "<span class=\"download\"> Figure as ");
	static const char *const kinds[] = { "svg", "png", "pdf" };
	for (int i = 0; i < 3; i++) {
		pb_text_printf(p->out, "%s<a href=\"figures/%s.%s\">%s</a>", i ? ", " : "", name, kinds[i], kinds[i]);
	}
	raw(p, ".</span>");
}

static enum pb_status put_main(struct page *p, bool by_bits)
{
	const struct pb_view *v = p->view;
	raw(p, "<figure>\n");
	enum pb_status st = put_figure(p, v->main, by_bits, PB_FIGURE_FULL, "wide");
	if (st == PB_OK)
		st = put_figure(p, v->main, by_bits, PB_FIGURE_NARROW, "narrow");
	if (st != PB_OK)
		return st;
	raw(p, "<div class=\"families\">\n");
	for (size_t i = 0; i < pb_n_families && st == PB_OK; i++)
		if (v->has_family[i])
			st = put_family(p, &pb_families[i]);
	raw(p, "</div>\n<figcaption>");
	if (by_bits)
		raw(p, "The same values by effective bits: all bits stored for the quantized weights, scales and tables included, over their number. "
			"Each model has its own line.");
	else
		text(p, v->caption);
	put_files(p, by_bits ? "front-bits" : "front");
	raw(p, "</figcaption>\n</figure>\n");
	return st;
}

static enum pb_status put_front_section(struct page *p)
{
	raw(p, "<h2 id=\"front\">Size and quality</h2>\n");
	if (!p->view->main) {
		raw(p, "<p>No cell has both a size and a value, so there is nothing to draw.</p>\n");
		return PB_OK;
	}
	enum pb_status st = put_main(p, false);
	return st == PB_OK && p->view->has_bits ? put_main(p, true) : st;
}

/* --- tables --- */

static void put_base64(struct pb_text *out, const struct pb_text *bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < bytes->length; i += 3) {
		size_t left = bytes->length - i;
		const unsigned char *b = (const unsigned char *)bytes->data + i;
		unsigned v = (unsigned)b[0] << 16 | (left > 1 ? (unsigned)b[1] << 8 : 0) | (left > 2 ? b[2] : 0);
		const char four[4] = { digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '=' };
		pb_text_bytes(out, four, 4);
	}
}

static void put_download(struct page *p, const char *name, const struct pb_text *csv)
{
	pb_text_printf(p->out, "<a href=\"%s\">%s</a>", name, name);
	if (csv->length <= EMBED_LIMIT) {
		pb_text_printf(p->out, " (<a download=\"%s\" href=\"data:text/csv;charset=utf-8;base64,", name);
		put_base64(p->out, csv);
		raw(p, "\">in this page</a>)");
	}
}

static void heading(struct page *p, const char *s, bool is_number)
{
	pb_text_printf(p->out, "<th data-sort%s>", is_number ? " class=\"n\"" : "");
	text(p, s);
	raw(p, "</th>");
}

/* Opens a cell of numbers with what it is sorted by. */
/* data-v is for sorting alone; all digits are in the files. */
static void open_number(struct page *p, double value)
{
	pb_text_string(p->out, "<td class=\"n\" data-v=\"");
	if (isfinite(value))
		pb_text_printf(p->out, "%.10g", value);
	pb_text_string(p->out, "\">");
}

static void put_bytes(struct page *p, int64_t bytes)
{
	char buffer[32] = "n/a";
	if (bytes != PB_ABSENT)
		pb_format_size(buffer, (double)bytes);
	open_number(p, bytes == PB_ABSENT ? NAN : (double)bytes);
	if (bytes != PB_ABSENT)
		pb_text_printf(p->out, "<span title=\"%" PRId64 " bytes\">%s</span></td>", bytes, buffer);
	else
		pb_text_printf(p->out, "%s</td>", buffer);
}

static void put_name(struct page *p, const char *s)
{
	raw(p, "<td class=\"name\"");
	if (strlen(s) > CLIPPED_NAME) {
		raw(p, " title=\"");
		text(p, s);
		raw(p, "\"");
	}
	raw(p, ">");
	text(p, s);
	raw(p, "</td>");
}

static void put_identity_heads(struct page *p)
{
	heading(p, "Model", false);
	heading(p, "Quantizer", false);
	if (p->view->many_backends)
		heading(p, "Backend", false);
	if (p->view->many_seeds)
		heading(p, "Seed", true);
}

static void put_identity(struct page *p, const struct pb_row *r)
{
	put_name(p, r->model);
	put_name(p, *r->label ? r->label : r->quantizer);
	if (p->view->many_backends)
		put_name(p, r->backend);
	if (p->view->many_seeds) {
		open_number(p, r->seed == PB_ABSENT ? NAN : (double)r->seed);
		if (r->seed != PB_ABSENT)
			pb_text_printf(p->out, "%" PRId64, r->seed);
		raw(p, "</td>");
	}
}

static const char *front_mark(const struct pb_point *point)
{
	if (!point || !point->on_front)
		return "";
	return point->separated == PB_SEPARATED_NO ? "\u25c7" : "\u25c6";
}

static void put_value(struct page *p, const struct pb_front *front, const struct pb_point *point)
{
	char buffer[64];
	open_number(p, point ? point->value : NAN);
	if (point) {
		pb_front_format(front, point->value, point->stderr_value, buffer);
		pb_text_printf(p->out, "%s%s%s", buffer, point->on_front ? " " : "", front_mark(point));
	} else {
		raw(p, "n/a");
	}
	raw(p, "</td>");
}

static void put_table_row(struct page *p, const struct pb_view_cell *cell)
{
	const struct pb_view *v = p->view;
	const struct pb_point *main = cell->points[0];
	const struct pb_row *r = cell->row;
	bool on_front = main && main->on_front;
	pb_text_printf(p->out, "<tr%s><td data-v=\"%d\">%s</td>", on_front ? " class=\"front\"" : "", on_front ? 1 : 0, front_mark(main));
	put_identity(p, r);
	open_number(p, r->effective_bits);
	if (isfinite(r->effective_bits))
		pb_text_printf(p->out, "%.3f", r->effective_bits);
	else
		raw(p, "n/a");
	raw(p, "</td>");
	put_bytes(p, r->model_bytes);
	for (size_t i = 0; i < v->n_columns; i++)
		put_value(p, v->columns[i], cell->points[i]);
	raw(p, "</tr>\n");
}

static void put_table_section(struct page *p)
{
	const struct pb_view *v = p->view;
	raw(p, "<h2 id=\"table\">All cells by size</h2>\n");
	if (v->n_in_table) {
		raw(p, "<p class=\"muted\">Value \u00b1 standard error. \u25c6 on the front of its column, \u25c7 on it and not separated at 95 % from the best smaller one; "
			"bold rows are on the first column\u2019s front.</p>\n<div class=\"box\" tabindex=\"0\">\n<table>\n<thead><tr>");
		heading(p, "Front", false);
		put_identity_heads(p);
		heading(p, "Effective bits", true);
		heading(p, "Size", true);
		for (size_t i = 0; i < v->n_columns; i++) {
			struct pb_text t = { 0 };
			pb_view_heading(v->columns[i], &t);
			if (t.failed)
				p->out->failed = true;
			heading(p, pb_text_c(&t), true);
			pb_text_free(&t);
		}
		raw(p, "</tr></thead>\n<tbody>\n");
		for (size_t i = 0; i < v->n_in_table; i++)
			put_table_row(p, &v->cells[i]);
		raw(p, "</tbody>\n</table>\n</div>\n");
	}
	if (!p->place->tables)
		return;
	raw(p, "<p class=\"muted download\">All fields of all rows: ");
	put_download(p, "rows.csv", &p->place->tables->rows);
	raw(p, ". All fronts with intervals: ");
	put_download(p, "fronts.csv", &p->place->tables->fronts);
	raw(p, ".</p>\n");
}

static enum pb_status put_panels_section(struct page *p)
{
	const struct pb_view *v = p->view;
	enum pb_status st = PB_OK;
	if (v->n_columns < 2)
		return PB_OK;
	raw(p, "<h2 id=\"tasks\">Each task</h2>\n<div class=\"panels\">\n");
	for (size_t i = 1; i < v->n_columns && st == PB_OK; i++) {
		raw(p, "<figure>\n");
		st = put_figure(p, v->columns[i], false, PB_FIGURE_PANEL, "panel");
		raw(p, "<figcaption>");
		const char *note = pb_view_note(v, v->columns[i], false);
		if (!note)
			return pb_out_of_memory(p->err, "a report");
		text(p, note);
		put_files(p, v->columns[i]->slug);
		raw(p, "</figcaption>\n</figure>\n");
	}
	raw(p, "</div>\n");
	return st;
}

/* --- further parts --- */

static enum pb_status put_chart(struct page *p, const struct pb_section_chart *chart)
{
	static const struct {
		enum pb_figure_size size;
		const char *class;
	} sizes[] = { { PB_FIGURE_FULL, "wide" }, { PB_FIGURE_NARROW, "narrow" }, { PB_FIGURE_PANEL, "panel" } };
	enum pb_status st = PB_OK;
	raw(p, "<figure>\n");
	for (size_t i = chart->panel ? 2 : 0; i < (chart->panel ? 3u : 2u) && st == PB_OK; i++) {
		struct pb_figure *figure = NULL;
		st = pb_chart_make(&figure, &chart->chart, sizes[i].size, chart->note, p->measure, p->err);
		if (st == PB_OK)
			st = put_drawing(p, figure, sizes[i].class);
	}
	raw(p, "<figcaption>");
	text(p, chart->caption);
	put_files(p, chart->slug);
	raw(p, "</figcaption>\n</figure>\n");
	return st;
}

static void put_table(struct page *p, const struct pb_section_table *table)
{
	raw(p, "<div class=\"box\" tabindex=\"0\">\n<table>\n<thead><tr>");
	for (size_t c = 0; c < table->n_columns; c++)
		heading(p, table->columns[c].name, table->columns[c].is_number);
	raw(p, "</tr></thead>\n<tbody>\n");
	for (size_t i = 0; i + table->n_columns <= table->n_fields; i += table->n_columns) {
		raw(p, "<tr>");
		for (size_t c = 0; c < table->n_columns; c++) {
			const struct pb_section_field *field = &table->fields[i + c];
			if (table->columns[c].is_number)
				open_number(p, field->number);
			else if (table->columns[c].wraps)
				raw(p, "<td class=\"wrap\">");
			else {
				put_name(p, field->text);
				continue;
			}
			text(p, field->text);
			raw(p, "</td>");
		}
		raw(p, "</tr>\n");
	}
	raw(p, "</tbody>\n</table>\n</div>\n");
}

static enum pb_status put_section(struct page *p, const struct pb_section *section)
{
	enum pb_status st = PB_OK;
	bool in_panels = false;
	pb_text_printf(p->out, "<h2 id=\"%s\">", section->slug);
	text(p, section->title);
	raw(p, "</h2>\n");
	for (size_t i = 0; i < section->n_blocks && st == PB_OK; i++) {
		const struct pb_section_block *block = &section->blocks[i];
		bool is_panel = block->kind == PB_SECTION_CHART && block->chart->panel;
		if (is_panel != in_panels)
			raw(p, is_panel ? "<div class=\"panels\">\n" : "</div>\n");
		in_panels = is_panel;
		switch (block->kind) {
		case PB_SECTION_HEADING:
			element(p, "h3", block->text);
			break;
		case PB_SECTION_TEXT:
			element(p, "p", block->text);
			break;
		case PB_SECTION_NOTE:
			raw(p, "<p class=\"muted\">");
			text(p, block->text);
			raw(p, "</p>");
			break;
		case PB_SECTION_TABLE:
			put_table(p, block->table);
			break;
		case PB_SECTION_CHART:
			st = put_chart(p, block->chart);
			break;
		case PB_SECTION_FILE:
			raw(p, "<p class=\"muted download\">");
			text(p, block->file->what);
			raw(p, ": ");
			put_download(p, block->file->name, &block->file->bytes);
			raw(p, ".</p>");
			break;
		}
		raw(p, "\n");
	}
	if (in_panels)
		raw(p, "</div>\n");
	return st;
}

static void put_seconds(struct page *p, double seconds)
{
	char buffer[32] = "n/a";
	if (isfinite(seconds))
		pb_format_duration(buffer, seconds);
	open_number(p, seconds);
	pb_text_printf(p->out, "%s</td>", buffer);
}

static void put_missing_counters(struct page *p)
{
	const struct pb_view *v = p->view;
	bool any = false;
	for (size_t i = 0; i < v->n_counters; i++) {
		const struct pb_view_counter *c = &v->counters[i];
		if (c->has_value)
			continue;
		raw(p, any ? "; " : "<p class=\"muted\">Without a value in any task: ");
		text(p, c->name);
		if (*c->reason) {
			raw(p, " n/a (");
			text(p, c->reason);
			raw(p, ")");
		}
		any = true;
	}
	if (any)
		raw(p, ".</p>\n");
	if (!v->n_counters)
		raw(p, "<p class=\"muted\">No counters were recorded in this run.</p>\n");
}

static void put_time_heads(struct page *p)
{
	const struct pb_view *v = p->view;
	if (v->times_by_setting) {
		heading(p, "Quantizer", false);
		if (v->many_backends)
			heading(p, "Backend", false);
		heading(p, "Tasks of cells", true);
	} else {
		put_identity_heads(p);
		heading(p, "Task", false);
		heading(p, "Status", false);
	}
	heading(p, "Quantize", true);
	heading(p, "Evaluate", true);
	heading(p, "Peak memory", true);
	for (size_t i = 0; i < v->n_counters; i++) {
		if (!v->counters[i].has_value)
			continue;
		struct pb_text t = { 0 };
		bool has_unit = *v->counters[i].unit && strcmp(v->counters[i].unit, v->counters[i].name) != 0 && strcmp(v->counters[i].unit, "1") != 0;
		pb_text_printf(&t, "%s%s%s", v->counters[i].name, has_unit ? ", " : "", has_unit ? v->counters[i].unit : "");
		if (t.failed)
			p->out->failed = true;
		heading(p, pb_text_c(&t), true);
		pb_text_free(&t);
	}
}

static void put_counter(struct page *p, double v)
{
	open_number(p, v);
	if (!isfinite(v))
		raw(p, "n/a</td>");
	else if (v == floor(v) && fabs(v) < 1e6)
		pb_text_printf(p->out, "%.0f</td>", v);
	else
		pb_text_printf(p->out, "%.4g</td>", v);
}

static void put_time_line(struct page *p, const struct pb_view_time *t)
{
	const struct pb_view *v = p->view;
	raw(p, "<tr>");
	if (v->times_by_setting) {
		put_name(p, *t->row->label ? t->row->label : t->row->quantizer);
		if (v->many_backends)
			put_name(p, t->row->backend);
		open_number(p, (double)t->n_tasks);
		pb_text_printf(p->out, "%zu</td>", t->n_tasks);
	} else {
		put_identity(p, t->row);
		element(p, "td", t->row->task);
		element(p, "td", pb_row_status_name(t->row->status));
	}
	if (t->has_quantizing)
		put_seconds(p, t->quantize_seconds);
	else
		raw(p, "<td></td>");
	put_seconds(p, t->eval_seconds);
	put_bytes(p, t->peak_rss_bytes);
	for (size_t k = 0; k < v->n_counters; k++)
		if (v->counters[k].has_value)
			put_counter(p, t->counters[k]);
	raw(p, "</tr>\n");
}

static void put_time_section(struct page *p)
{
	const struct pb_view *v = p->view;
	raw(p, "<h2 id=\"time\">Time and counters</h2>\n");
	put_missing_counters(p);
	if (!v->n_times)
		return;
	raw(p, v->times_by_setting ? "<p class=\"muted\">A line is a setting of a quantizer: sums over all tasks of all its cells, and the highest peak memory. "
		"Each task of each cell is in rows.csv." : "<p class=\"muted\">A line is a task of a cell; counters are those of its scoring.");
	raw(p, " Peak memory is that of the process, with the model and data that it keeps.</p>\n<div class=\"box\" tabindex=\"0\">\n<table>\n<thead><tr>");
	put_time_heads(p);
	raw(p, "</tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < v->n_times; i++)
		put_time_line(p, &v->times[i]);
	raw(p, "</tbody>\n</table>\n</div>\n");
}

static void put_failed_section(struct page *p)
{
	const struct pb_view *v = p->view;
	raw(p, "<h2 id=\"failed\">Failed and skipped</h2>\n");
	if (!v->n_failures) {
		raw(p, "<p>None: every cell is ok.</p>\n");
		return;
	}
	raw(p, "<div class=\"box\" tabindex=\"0\">\n<table>\n<thead><tr>");
	put_identity_heads(p);
	heading(p, "Tasks", false);
	heading(p, "Status", false);
	heading(p, "Reason", false);
	raw(p, "</tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < v->n_failures; i++) {
		const struct pb_view_failure *x = &v->failures[i];
		raw(p, "<tr>");
		put_identity(p, x->row);
		raw(p, "<td class=\"wrap\">");
		text(p, x->tasks);
		raw(p, "</td>");
		element(p, "td", pb_row_status_name(x->row->status));
		raw(p, "<td class=\"wrap\">");
		text(p, x->reason);
		raw(p, "</td></tr>\n");
	}
	raw(p, "</tbody>\n</table>\n</div>\n");
}

static void put_fact(struct page *p, const char *name, const char *value)
{
	bool is_long = strchr(value, '\n') != NULL || strcmp(name, "command") == 0;
	element(p, "dt", name);
	raw(p, is_long ? "<dd><pre>" : "<dd>");
	text(p, value);
	raw(p, is_long ? "</pre></dd>\n" : "</dd>\n");
}

static enum pb_status put_provenance_section(struct page *p)
{
	const struct pb_view *v = p->view;
	struct pb_view_pair *pairs = NULL;
	size_t n = 0;
	enum pb_status st = pb_view_hashes(v, &pairs, &n, p->err);
	if (st != PB_OK)
		return st;
	raw(p, "<h2 id=\"provenance\">Provenance</h2>\n<dl>\n");
	for (size_t i = 0; i < v->input->n_facts; i++)
		put_fact(p, v->input->facts[i].name, v->input->facts[i].value);
	for (size_t i = 0; i < n; i++)
		put_fact(p, pairs[i].name, pairs[i].value);
	put_fact(p, "figures", v->font);
	raw(p, "</dl>\n");
	return PB_OK;
}

/* --- ways to elsewhere --- */

static void put_contents(struct page *p)
{
	const struct pb_view *v = p->view;
	raw(p, "<nav aria-label=\"contents\"><p class=\"muted\">On this page: ");
	if (v->has_rows)
		raw(p, "<a href=\"#front\">Size and quality</a> \u00b7 <a href=\"#table\">All cells</a> \u00b7 ");
	if (v->has_rows && v->n_columns > 1)
		raw(p, "<a href=\"#tasks\">Each task</a> \u00b7 ");
	for (size_t i = 0; i < v->n_sections; i++) {
		pb_text_printf(p->out, "<a href=\"#%s\">", v->sections[i]->slug);
		text(p, v->sections[i]->title);
		raw(p, "</a> \u00b7 ");
	}
	if (v->has_rows)
		raw(p, "<a href=\"#time\">Time and counters</a> \u00b7 <a href=\"#failed\">Failed and skipped</a> \u00b7 ");
	raw(p, "<a href=\"#provenance\">Provenance</a></p></nav>\n");
}

/* The pages of one kind of part, this one without a link. */
static void put_parts(struct page *p, bool of_width, const char *title)
{
	const char *up = p->place->part ? "../" : "";
	bool any = false;
	for (size_t i = 0; i < p->place->n_parts; i++) {
		const struct pb_part *part = &p->place->parts[i];
		if (part->is_width != of_width)
			continue;
		raw(p, any ? " \u00b7 " : title);
		any = true;
		if (part == p->place->part) {
			element(p, "strong", part->name);
			continue;
		}
		pb_text_printf(p->out, "<a href=\"%s%s\">", up, part->file);
		text(p, part->name);
		raw(p, "</a>");
	}
	raw(p, any ? "</p>\n" : "");
}

static void put_navigation(struct page *p)
{
	put_contents(p);
	if (!p->place->n_parts)
		return;
	raw(p, "<nav aria-label=\"parts\">\n");
	if (p->place->part)
		raw(p, "<p class=\"muted\"><a href=\"../report.html\">The whole report</a></p>\n");
	put_parts(p, false, "<p class=\"muted\">One method across bits: ");
	put_parts(p, true, "<p class=\"muted\">One bit width across methods: ");
	raw(p, "</nav>\n");
}

enum pb_status pb_page_make(const struct pb_view *view, struct pb_measure *measure, const struct pb_page_place *place, struct pb_text *out,
	struct pb_error *err)
{
	struct page p = { view, measure, place, out, err };
	enum pb_status st = PB_OK;
	put_head(&p);
	put_navigation(&p);
	if (view->has_rows) {
		st = put_front_section(&p);
		if (st == PB_OK)
			put_table_section(&p);
		if (st == PB_OK)
			st = put_panels_section(&p);
	}
	for (size_t i = 0; i < view->n_sections && st == PB_OK; i++)
		st = put_section(&p, view->sections[i]);
	if (st == PB_OK && view->has_rows) {
		put_time_section(&p);
		put_failed_section(&p);
	}
	if (st == PB_OK)
		st = put_provenance_section(&p);
	if (st != PB_OK)
		return st;
	raw(&p, "<script>\n");
	raw(&p, script);
	raw(&p, "</script>\n</body>\n</html>\n");
	return pb_text_check(out, err);
}
