/* PNG and PDF by cairo, and the measure of text. */
#include <cairo.h>
#include <cairo-pdf.h>

#include "core/base/memory.h"
#include "reports/canvas_backend.h"

struct cairo_canvas {
	struct pb_canvas base;
	cairo_surface_t *surface;
	cairo_t *cr;
	bool is_pdf;
	struct pb_text file;    /* what the PDF surface wrote so far */
};

static cairo_status_t append(void *closure, const unsigned char *data, unsigned length)
{
	struct pb_text *t = closure;
	pb_text_bytes(t, data, length);
	return t->failed ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static cairo_t *cr_of(struct pb_canvas *c)
{
	return ((struct cairo_canvas *)c)->cr;
}

static void set_ink(cairo_t *cr, enum pb_ink ink)
{
	uint32_t rgb = pb_inks[ink].light;
	cairo_set_source_rgb(cr, (rgb >> 16) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0);
}

static void fill_and_stroke(cairo_t *cr, enum pb_ink fill, struct pb_stroke stroke)
{
	static const double dotted[2] = { 1.5, 3.0 }, dashed[2] = { 6.0, 4.0 };
	if (fill != PB_INK_NONE) {
		set_ink(cr, fill);
		cairo_fill_preserve(cr);
	}
	if (stroke.ink != PB_INK_NONE) {
		set_ink(cr, stroke.ink);
		cairo_set_line_width(cr, stroke.width);
		cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
		cairo_set_dash(cr, stroke.dash == PB_DOTTED ? dotted : dashed, stroke.dash == PB_SOLID ? 0 : 2, 0.0);
		cairo_stroke_preserve(cr);
	}
	cairo_new_path(cr);
}

static void cairo_canvas_path(struct pb_canvas *c, const double *xy, size_t n, bool closed, enum pb_ink fill, struct pb_stroke stroke)
{
	cairo_t *cr = cr_of(c);
	cairo_new_path(cr);
	for (size_t i = 0; i < n; i++)
		cairo_line_to(cr, xy[2 * i], xy[2 * i + 1]);
	if (closed)
		cairo_close_path(cr);
	fill_and_stroke(cr, fill, stroke);
}

static void cairo_canvas_circle(struct pb_canvas *c, double x, double y, double radius, enum pb_ink fill, struct pb_stroke stroke)
{
	cairo_t *cr = cr_of(c);
	cairo_new_path(cr);
	cairo_arc(cr, x, y, radius, 0.0, 2.0 * 3.14159265358979323846);
	cairo_close_path(cr);
	fill_and_stroke(cr, fill, stroke);
}

static void choose_font(cairo_t *cr, double size, bool bold)
{
	cairo_select_font_face(cr, PB_FONT, CAIRO_FONT_SLANT_NORMAL, bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
	cairo_set_font_size(cr, size);
}

static double advance(cairo_t *cr, const char *s)
{
	cairo_text_extents_t extents;
	cairo_text_extents(cr, s, &extents);
	return extents.x_advance;
}

static void cairo_canvas_text(struct pb_canvas *c, double x, double y, struct pb_type type, const char *s)
{
	cairo_t *cr = cr_of(c);
	choose_font(cr, type.size, type.bold);
	if (type.align != PB_LEFT)
		x -= advance(cr, s) * (type.align == PB_MIDDLE ? 0.5 : 1.0);
	cairo_new_path(cr);
	if (type.rim) {
		cairo_move_to(cr, x, y);
		cairo_text_path(cr, s);
		fill_and_stroke(cr, PB_INK_NONE, (struct pb_stroke){ PB_INK_PAPER, 2.5, PB_SOLID });
	}
	set_ink(cr, type.ink);
	cairo_move_to(cr, x, y);
	cairo_show_text(cr, s);
	cairo_new_path(cr);
}

static void cairo_canvas_clip(struct pb_canvas *c, double x, double y, double w, double h)
{
	cairo_t *cr = cr_of(c);
	cairo_save(cr);
	cairo_rectangle(cr, x, y, w, h);
	cairo_clip(cr);
}

static void cairo_canvas_place(struct pb_canvas *c, double x0, double y0, double scale)
{
	cairo_t *cr = cr_of(c);
	cairo_save(cr);
	cairo_translate(cr, x0, y0);
	cairo_scale(cr, scale, scale);
}

static void cairo_canvas_restore(struct pb_canvas *c)
{
	cairo_restore(cr_of(c));
}

static void cairo_canvas_next_page(struct pb_canvas *c)
{
	if (((struct cairo_canvas *)c)->is_pdf)
		cairo_show_page(cr_of(c));
}

static enum pb_status check(cairo_status_t status, const char *what, struct pb_error *err)
{
	if (status == CAIRO_STATUS_SUCCESS)
		return PB_OK;
	if (status == CAIRO_STATUS_NO_MEMORY || status == CAIRO_STATUS_WRITE_ERROR)
		return pb_out_of_memory(err, what);
	return pb_fail(err, PB_FAILED, "figure: cairo: %s", cairo_status_to_string(status));
}

static enum pb_status cairo_canvas_finish(struct pb_canvas *c, struct pb_text *out, struct pb_error *err)
{
	struct cairo_canvas *cc = (struct cairo_canvas *)c;
	enum pb_status st = check(cairo_status(cc->cr), "a figure", err);
	if (st == PB_OK && !cc->is_pdf)
		st = check(cairo_surface_write_to_png_stream(cc->surface, append, &cc->file), "a PNG", err);
	if (st != PB_OK)
		return st;
	cairo_surface_finish(cc->surface);
	st = check(cairo_surface_status(cc->surface), "a figure", err);
	if (st == PB_OK)
		st = pb_text_check(&cc->file, err);
	if (st == PB_OK)
		pb_text_bytes(out, cc->file.data, cc->file.length);
	return st;
}

static void cairo_canvas_free(struct pb_canvas *c)
{
	struct cairo_canvas *cc = (struct cairo_canvas *)c;
	if (cc->cr)
		cairo_destroy(cc->cr);
	if (cc->surface) {
		/* Before the text goes: an unfinished PDF still writes. */
		cairo_surface_finish(cc->surface);
		cairo_surface_destroy(cc->surface);
	}
	pb_text_free(&cc->file);
	pb_free(cc);
}

static const struct pb_canvas_ops ops = {
	.path = cairo_canvas_path,
	.circle = cairo_canvas_circle,
	.text = cairo_canvas_text,
	.clip = cairo_canvas_clip,
	.unclip = cairo_canvas_restore,
	.place = cairo_canvas_place,
	.restore = cairo_canvas_restore,
	.next_page = cairo_canvas_next_page,
	.finish = cairo_canvas_finish,
	.free = cairo_canvas_free,
};

static void no_hinting(cairo_t *cr)
{
	cairo_font_options_t *options = cairo_font_options_create();
	cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
	cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
	cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
	cairo_set_font_options(cr, options);
	cairo_font_options_destroy(options);
}

static enum pb_status start(struct cairo_canvas *cc, double scale, struct pb_canvas **out, struct pb_error *err)
{
	cc->cr = cairo_create(cc->surface);
	cairo_scale(cc->cr, scale, scale);
	no_hinting(cc->cr);
	enum pb_status st = check(cairo_status(cc->cr), "a figure", err);
	if (st != PB_OK)
		pb_canvas_abort(&cc->base);
	else
		*out = &cc->base;
	return st;
}

enum pb_status pb_canvas_png(struct pb_canvas **out, double width, double height, double scale, struct pb_error *err)
{
	struct cairo_canvas *cc = pb_alloc_zero(1, sizeof *cc);
	if (!cc)
		return pb_out_of_memory(err, "a figure");
	cc->base.ops = &ops;
	cc->surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(width * scale + 0.5), (int)(height * scale + 0.5));
	enum pb_status st = start(cc, scale, out, err);
	if (st == PB_OK) {
		set_ink(cc->cr, PB_INK_PAPER);
		cairo_paint(cc->cr);
	}
	return st;
}

enum pb_status pb_canvas_pdf(struct pb_canvas **out, double width, double height, double points_per_pixel, const char *title,
	const char *created_utc, struct pb_error *err)
{
	struct cairo_canvas *cc = pb_alloc_zero(1, sizeof *cc);
	if (!cc)
		return pb_out_of_memory(err, "a figure");
	cc->base.ops = &ops;
	cc->is_pdf = true;
	cc->surface = cairo_pdf_surface_create_for_stream(append, &cc->file, width * points_per_pixel, height * points_per_pixel);
	/* Without this cairo puts in the time of day. */
	cairo_pdf_surface_set_metadata(cc->surface, CAIRO_PDF_METADATA_CREATE_DATE, created_utc);
	cairo_pdf_surface_set_metadata(cc->surface, CAIRO_PDF_METADATA_TITLE, pb_canvas_clean(&cc->base.clean, title, false));
	if (cc->base.clean.failed)
		pb_canvas_fail(&cc->base, PB_MEMORY, "memory is out");
	return start(cc, points_per_pixel, out, err);
}

struct pb_measure {
	cairo_surface_t *surface;
	cairo_t *cr;
	struct pb_text clean, line;
	bool failed;
};

enum pb_status pb_measure_new(struct pb_measure **out, struct pb_error *err)
{
	struct pb_measure *m = pb_alloc_zero(1, sizeof *m);
	if (!m)
		return pb_out_of_memory(err, "the measure of text");
	m->surface = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
	m->cr = cairo_create(m->surface);
	no_hinting(m->cr);
	choose_font(m->cr, 12, false);
	(void)advance(m->cr, "x");
	enum pb_status st = check(cairo_status(m->cr), "the measure of text", err);
	if (st != PB_OK)
		pb_measure_free(m);
	else
		*out = m;
	return st;
}

void pb_measure_free(struct pb_measure *m)
{
	if (!m)
		return;
	cairo_destroy(m->cr);
	cairo_surface_destroy(m->surface);
	pb_text_free(&m->clean);
	pb_text_free(&m->line);
	pb_free(m);
}

enum pb_status pb_measure_check(const struct pb_measure *m, struct pb_error *err)
{
	return m->failed ? pb_out_of_memory(err, "a text of a figure") : check(cairo_status(m->cr), "the measure of text", err);
}

static const char *clean_text(struct pb_measure *m, const char *s)
{
	const char *clean = pb_canvas_clean(&m->clean, s, false);
	m->failed = m->failed || m->clean.failed;
	return clean;
}

/* The width of n bytes with a tail. */
static double part_width(struct pb_measure *m, const char *s, size_t n, const char *tail)
{
	pb_text_clear(&m->line);
	pb_text_bytes(&m->line, s, n);
	pb_text_string(&m->line, tail);
	m->failed = m->failed || m->line.failed;
	return advance(m->cr, pb_text_c(&m->line));
}

double pb_measure_width(struct pb_measure *m, double size, bool bold, const char *s)
{
	choose_font(m->cr, size, bold);
	return advance(m->cr, clean_text(m, s));
}

void pb_measure_fit(struct pb_measure *m, double size, bool bold, double width, const char *s, struct pb_text *out)
{
	choose_font(m->cr, size, bold);
	const char *clean = clean_text(m, s);
	/* Names are short; a hostile one is cut before it is measured letter by letter. */
	size_t most = (size_t)(width / size * 8.0) + 8, kept = m->clean.length;
	if (kept <= most && advance(m->cr, clean) <= width) {
		pb_text_string(out, clean);
		return;
	}
	const char *p = clean, *end = clean + (kept < most ? kept : most);
	size_t fitting = 0;
	while (p < end) {
		(void)pb_utf8_next(&p, clean + kept);
		if (part_width(m, clean, (size_t)(p - clean), "\u2026") > width)
			break;
		fitting = (size_t)(p - clean);
	}
	pb_text_bytes(out, clean, fitting);
	pb_text_string(out, "\u2026");
}

size_t pb_measure_wrap(struct pb_measure *m, double size, double width, const char *s, struct pb_text *out)
{
	choose_font(m->cr, size, false);
	size_t lines = 1;
	double used = 0.0, blank = advance(m->cr, " ");
	const char *p = clean_text(m, s);
	while (*p) {
		size_t n = 0;
		while (p[n] && p[n] != ' ')
			n++;
		double word = part_width(m, p, n, "");
		if (used > 0.0 && used + blank + word > width) {
			pb_text_char(out, '\n');
			lines++;
			used = 0.0;
		} else if (used > 0.0) {
			pb_text_char(out, ' ');
			used += blank;
		}
		pb_text_bytes(out, p, n);
		used += word;
		p += n;
		while (*p == ' ')
			p++;
	}
	return lines;
}
