/* SVG with real text, so that it can be searched, selected and read aloud. Colours are classes, to which a page gives values for a
 * light and a dark ground, and in files attributes too. */
#include <math.h>
#include <string.h>

#include "core/base/markup.h"
#include "core/base/memory.h"
#include "reports/canvas_backend.h"

struct svg_canvas {
	struct pb_canvas base;
	struct pb_text file;
	unsigned clips;             /* clips are numbered within the file */
	bool embedded;
	char prefix[9];             /* of ids, so that figures of one page do not share them */
};

static struct svg_canvas *svg_of(struct pb_canvas *c)
{
	return (struct svg_canvas *)c;
}

/* At most two decimals, without zeros at the end. */
static void number(struct pb_text *t, double v)
{
	double hundredths = nearbyint(v * 100.0);
	if (hundredths == 0.0)
		hundredths = 0.0; /* no minus zero */
	if (fabs(hundredths) >= 1e15) {
		pb_text_printf(t, "%.6g", v);
		return;
	}
	long long whole = (long long)hundredths;
	unsigned long long magnitude = whole < 0 ? 0ULL - (unsigned long long)whole : (unsigned long long)whole;
	pb_text_printf(t, "%s%llu", whole < 0 ? "-" : "", magnitude / 100);
	if (magnitude % 100)
		pb_text_printf(t, magnitude % 10 ? ".%02llu" : ".%llu", magnitude % 10 ? magnitude % 100 : magnitude % 100 / 10);
}

static void attribute(struct pb_text *t, const char *name, double v)
{
	pb_text_printf(t, " %s=\"", name);
	number(t, v);
	pb_text_char(t, '"');
}

static void colour(const struct svg_canvas *s, struct pb_text *t, const char *name, enum pb_ink ink)
{
	if (!s->embedded)
		pb_text_printf(t, " %s=\"#%06X\"", name, pb_inks[ink].light);
}

/* What has no fill needs no word: the whole figure has none. */
static void paint(struct svg_canvas *s, enum pb_ink fill, struct pb_stroke stroke)
{
	struct pb_text *t = &s->file;
	bool both = fill != PB_INK_NONE && stroke.ink != PB_INK_NONE;
	pb_text_string(t, " class=\"");
	if (fill != PB_INK_NONE)
		pb_text_printf(t, "f-%s", pb_inks[fill].name);
	if (stroke.ink != PB_INK_NONE)
		pb_text_printf(t, "%ss-%s", both ? " " : "", pb_inks[stroke.ink].name);
	pb_text_char(t, '"');
	if (fill != PB_INK_NONE)
		colour(s, t, "fill", fill);
	if (stroke.ink == PB_INK_NONE)
		return;
	colour(s, t, "stroke", stroke.ink);
	if (stroke.width != 1.0)
		attribute(t, "stroke-width", stroke.width);
	if (stroke.dash != PB_SOLID)
		pb_text_string(t, stroke.dash == PB_DOTTED ? " stroke-dasharray=\"1.5 3\"" : " stroke-dasharray=\"6 4\"");
}

static void svg_path(struct pb_canvas *c, const double *xy, size_t n, bool closed, enum pb_ink fill, struct pb_stroke stroke)
{
	struct pb_text *t = &svg_of(c)->file;
	pb_text_string(t, "<path d=\"");
	for (size_t i = 0; i < n; i++) {
		pb_text_string(t, i ? "L" : "M");
		number(t, xy[2 * i]);
		pb_text_char(t, ' ');
		number(t, xy[2 * i + 1]);
	}
	pb_text_string(t, closed ? "Z\"" : "\"");
	paint(svg_of(c), fill, stroke);
	pb_text_string(t, "/>\n");
}

static void svg_circle(struct pb_canvas *c, double x, double y, double radius, enum pb_ink fill, struct pb_stroke stroke)
{
	struct pb_text *t = &svg_of(c)->file;
	pb_text_string(t, "<circle");
	attribute(t, "cx", x);
	attribute(t, "cy", y);
	attribute(t, "r", radius);
	paint(svg_of(c), fill, stroke);
	pb_text_string(t, "/>\n");
}

static void svg_text(struct pb_canvas *c, double x, double y, struct pb_type type, const char *s)
{
	struct pb_text *t = &svg_of(c)->file;
	pb_text_string(t, "<text");
	attribute(t, "x", x);
	attribute(t, "y", y);
	attribute(t, "font-size", type.size);
	if (type.align != PB_LEFT)
		pb_text_printf(t, " text-anchor=\"%s\"", type.align == PB_MIDDLE ? "middle" : "end");
	if (type.bold)
		pb_text_string(t, " font-weight=\"bold\"");
	if (type.rim) {
		pb_text_string(t, " paint-order=\"stroke\" stroke-width=\"2.5\"");
		colour(svg_of(c), t, "stroke", PB_INK_PAPER);
	}
	pb_text_printf(t, " class=\"f-%s%s\"", pb_inks[type.ink].name, type.rim ? " s-paper" : "");
	colour(svg_of(c), t, "fill", type.ink);
	pb_text_char(t, '>');
	pb_markup_escape(t, s);
	pb_text_string(t, "</text>\n");
}

static void svg_clip(struct pb_canvas *c, double x, double y, double w, double h)
{
	struct svg_canvas *s = svg_of(c);
	struct pb_text *t = &s->file;
	s->clips++;
	pb_text_printf(t, "<clipPath id=\"%s-%u\"><rect", s->prefix, s->clips);
	attribute(t, "x", x);
	attribute(t, "y", y);
	attribute(t, "width", w);
	attribute(t, "height", h);
	pb_text_printf(t, "/></clipPath>\n<g clip-path=\"url(#%s-%u)\">\n", s->prefix, s->clips);
}

static void svg_end_group(struct pb_canvas *c)
{
	pb_text_string(&svg_of(c)->file, "</g>\n");
}

static void svg_open(struct pb_canvas *c, const char *title, const char *const *attributes)
{
	struct svg_canvas *s = svg_of(c);
	struct pb_text *t = &s->file;
	pb_text_string(t, "<g class=\"point\"");
	for (size_t i = 0; attributes && attributes[i]; i += 2) {
		pb_text_printf(t, " data-%s=\"", attributes[i]);
		pb_markup_escape(t, attributes[i + 1]);
		pb_text_char(t, '"');
	}
	pb_text_string(t, "><title>");
	pb_markup_escape(t, title);
	pb_text_string(t, "</title>\n");
}

static void svg_place(struct pb_canvas *c, double x0, double y0, double scale)
{
	struct pb_text *t = &svg_of(c)->file;
	pb_text_string(t, "<g transform=\"translate(");
	number(t, x0);
	pb_text_char(t, ' ');
	number(t, y0);
	pb_text_printf(t, ") scale(%.6g)\">\n", scale);
}

static enum pb_status svg_finish(struct pb_canvas *c, struct pb_text *out, struct pb_error *err)
{
	struct svg_canvas *s = svg_of(c);
	pb_text_string(&s->file, "</svg>\n");
	enum pb_status st = pb_text_check(&s->file, err);
	if (st == PB_OK)
		pb_text_bytes(out, s->file.data, s->file.length);
	return st;
}

static void svg_free(struct pb_canvas *c)
{
	pb_text_free(&svg_of(c)->file);
	pb_free(c);
}

static const struct pb_canvas_ops ops = {
	.path = svg_path,
	.circle = svg_circle,
	.text = svg_text,
	.clip = svg_clip,
	.unclip = svg_end_group,
	.open = svg_open,
	.close = svg_end_group,
	.place = svg_place,
	.restore = svg_end_group,
	.finish = svg_finish,
	.free = svg_free,
};

/* FNV-1a: ids depend on what is drawn, not on how many figures were drawn before. */
static uint32_t hash_of(const char *s, double width, bool embedded)
{
	uint32_t h = 2166136261u ^ (uint32_t)width ^ (embedded ? 0x80000000u : 0u);
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

enum pb_status pb_canvas_svg(struct pb_canvas **out, double width, double height, const char *description, bool embedded, struct pb_error *err)
{
	if (!(isfinite(width) && isfinite(height) && width > 0 && height > 0))
		return pb_fail(err, PB_NUMERIC, "figure: its size is not a positive number");
	struct svg_canvas *s = pb_alloc_zero(1, sizeof *s);
	if (!s)
		return pb_out_of_memory(err, "a figure");
	s->base.ops = &ops;
	s->embedded = embedded;
	static const char digits[] = "0123456789abcdef";
	uint32_t h = hash_of(description, width, embedded);
	s->prefix[0] = 'c';
	for (int i = 1; i < 8; i++, h >>= 4)
		s->prefix[i] = digits[h & 15];
	struct pb_text *t = &s->file;
	if (!embedded)
		pb_text_string(t, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	pb_text_string(t, "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\"");
	if (!embedded) {
		attribute(t, "width", width);
		attribute(t, "height", height);
	}
	pb_text_string(t, " viewBox=\"0 0 ");
	number(t, width);
	pb_text_char(t, ' ');
	number(t, height);
	pb_text_string(t, "\" fill=\"none\" stroke-linejoin=\"round\" font-family=\"'" PB_FONT "', Verdana, sans-serif\" aria-label=\"");
	pb_markup_escape(t, description);
	pb_text_string(t, "\">\n");
	if (!embedded) {
		pb_text_string(t, "<rect");
		attribute(t, "width", width);
		attribute(t, "height", height);
		pb_text_string(t, " fill=\"#FFFFFF\"/>\n");
	}
	*out = &s->base;
	return PB_OK;
}
