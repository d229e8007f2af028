#include "reports/canvas.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "reports/canvas_backend.h"

#define N_INKS (PB_INK_OTHER - PB_INK_PARETOQ + 1)      /* of families but full precision */
#define N_SHADES ((PB_INKS - PB_INK_PARETOQ) / N_INKS)
#define N_SHAPES (PB_SHAPE_PENTAGON - PB_SHAPE_CIRCLE + 1)     /* but the cross */

/* The order of enum pb_ink. On the dark ground full precision is white. */
const struct pb_ink_colour pb_inks[PB_INKS] = {
	{ "none", 0, 0 },
	{ "text", 0x222222, 0xE8EAED },
	{ "muted", 0x666666, 0xA8ADB5 },
	{ "grid", 0xE3E6EA, 0x2C3038 },
	{ "axis", 0x444444, 0x9AA0A8 },
	{ "paper", 0xFFFFFF, 0x15171C },
	{ "outline", 0x333333, 0xD5D9DF },
	{ "front", 0x444444, 0xC3C8D0 },
	{ "full", 0x000000, 0xFFFFFF },
	{ "paretoq", 0x0072B2, 0x2C95D4 },
	{ "onebit", 0xD55E00, 0xD55E00 },
	{ "squeezellm", 0x009E73, 0x009E73 },
	{ "vptq", 0xCC79A7, 0xCC79A7 },
	{ "kbit", 0xE69F00, 0xE69F00 },
	{ "other", 0x56B4E9, 0x56B4E9 },
	/* Shades of the families' colours, nearer to the text's. */
	{ "paretoq2", 0x004972, 0x78BBE3 },
	{ "onebit2", 0x883C00, 0xE4985C },
	{ "squeezellm2", 0x00654A, 0x5CC1A5 },
	{ "vptq2", 0x834D6B, 0xDEA9C7 },
	{ "kbit2", 0x936600, 0xEFC25C },
	{ "other2", 0x377395, 0x93CFF1 },
	{ "paretoq3", 0x002B44, 0xAFD7EF },
	{ "onebit3", 0x512400, 0xEFC29E },
	{ "squeezellm3", 0x003C2C, 0x9EDACA },
	{ "vptq3", 0x4E2E3F, 0xECCCDE },
	{ "kbit3", 0x573C00, 0xF6DB9E },
	{ "other3", 0x214459, 0xBFE2F7 },
};

const struct pb_family pb_families[] = {
	{ "full precision", PB_INK_FULL, PB_SHAPE_CROSS },
	{ "k-bit", PB_INK_KBIT, PB_SHAPE_DOWN },
	{ "OneBit", PB_INK_ONEBIT, PB_SHAPE_SQUARE },
	{ "ParetoQ", PB_INK_PARETOQ, PB_SHAPE_CIRCLE },
	{ "SqueezeLLM", PB_INK_SQUEEZELLM, PB_SHAPE_UP },
	{ "VPTQ", PB_INK_VPTQ, PB_SHAPE_DIAMOND },
	{ "other", PB_INK_OTHER, PB_SHAPE_PENTAGON },
};
const size_t pb_n_families = sizeof pb_families / sizeof *pb_families;

size_t pb_family_index(const char *name)
{
	for (size_t i = 0; i < pb_n_families; i++)
		if (strcmp(pb_families[i].name, name) == 0)
			return i;
	return pb_n_families - 1;
}

enum pb_ink pb_family_ink(const struct pb_family *family, size_t place)
{
	return family->ink == PB_INK_FULL ? family->ink : family->ink + N_INKS * (place % N_SHADES);
}

enum pb_shape pb_family_shape(const struct pb_family *family, size_t place)
{
	if (family->shape == PB_SHAPE_CROSS && place == 0)
		return PB_SHAPE_CROSS;
	return (enum pb_shape)(PB_SHAPE_CIRCLE + (family->shape + N_SHAPES - PB_SHAPE_CIRCLE + place) % N_SHAPES);
}

void pb_canvas_fail(struct pb_canvas *c, enum pb_status status, const char *why)
{
	if (c->status != PB_OK)
		return;
	c->status = status;
	c->why = why;
}

/* The one place where coordinates are checked; false also when the canvas failed before. */
static bool good(struct pb_canvas *c, const double *v, size_t n)
{
	for (size_t i = 0; i < n && c->status == PB_OK; i++)
		if (!isfinite(v[i]))
			pb_canvas_fail(c, PB_NUMERIC, "a coordinate is not finite");
	return c->status == PB_OK;
}

const char *pb_canvas_clean(struct pb_text *out, const char *s, bool keep_lines)
{
	pb_text_clear(out);
	for (const char *end = s + strlen(s); s < end;) {
		uint32_t u = pb_utf8_next(&s, end);
		bool control = u < 0x20 || (u >= 0x7F && u < 0xA0) || u == 0x2028 || u == 0x2029 || u == 0xFFFE || u == 0xFFFF;
		if (control && !(keep_lines && u == '\n'))
			u = ' ';
		char bytes[4];
		pb_text_bytes(out, bytes, pb_utf8_put(bytes, u));
	}
	return pb_text_c(out);
}

void pb_canvas_line(struct pb_canvas *c, double x1, double y1, double x2, double y2, struct pb_stroke stroke)
{
	const double xy[4] = { x1, y1, x2, y2 };
	pb_canvas_polyline(c, xy, 2, stroke);
}

void pb_canvas_bar(struct pb_canvas *c, double x, double y1, double y2, double half_cap, struct pb_stroke stroke)
{
	/* One line, there and back along the caps. */
	const double xy[12] = { x - half_cap, y1, x + half_cap, y1, x, y1, x, y2, x - half_cap, y2, x + half_cap, y2 };
	pb_canvas_polyline(c, xy, 6, stroke);
}

#define NEAR 0.1        /* of a pixel, which nobody sees */

/* Whether the line goes straight on through b, level or upright. */
static bool goes_on(const double *a, const double *b, const double *next)
{
	return (a[1] == b[1] && b[1] == next[1] && (b[0] - a[0]) * (next[0] - b[0]) > 0.0) ||
		(a[0] == b[0] && b[0] == next[0] && (b[1] - a[1]) * (next[1] - b[1]) > 0.0);
}

/* The points of a line that make a difference, their number; the ends stay. Lines of steps over thousands of sizes have many that do not. */
static size_t thin(const double *xy, size_t n, double *out)
{
	size_t kept = 0;
	const double *last = NULL;
	for (size_t i = 0; i < n; i++) {
		const double *p = xy + 2 * i;
		if (last && i + 1 < n && ((fabs(p[0] - last[0]) < NEAR && fabs(p[1] - last[1]) < NEAR) || goes_on(last, p, p + 2)))
			continue;
		last = out + 2 * kept++;
		memcpy(out + 2 * kept - 2, p, 2 * sizeof *p);
	}
	return kept;
}

static void draw_path(struct pb_canvas *c, const double *xy, size_t n_points, size_t least, bool closed, enum pb_ink fill, struct pb_stroke stroke)
{
	double few[32], *kept = n_points <= sizeof few / sizeof *few / 2 ? few : pb_alloc(n_points, 2 * sizeof *kept);
	if (!kept)
		pb_canvas_fail(c, PB_MEMORY, "memory is out");
	if (good(c, xy, 2 * n_points) && n_points >= least)
		c->ops->path(c, kept, thin(xy, n_points, kept), closed, fill, stroke);
	if (kept != few)
		pb_free(kept);
}

void pb_canvas_polyline(struct pb_canvas *c, const double *xy, size_t n_points, struct pb_stroke stroke)
{
	draw_path(c, xy, n_points, 2, false, PB_INK_NONE, stroke);
}

void pb_canvas_area(struct pb_canvas *c, const double *xy, size_t n_points, enum pb_ink fill)
{
	draw_path(c, xy, n_points, 3, true, fill, (struct pb_stroke){ PB_INK_NONE, 0.0, PB_SOLID });
}

/* A regular polygon about (x, y) whose first corner lies at `start` (radians, clockwise from east). */
static void polygon(struct pb_canvas *c, int corners, double start, double x, double y, double radius, enum pb_ink fill, struct pb_stroke stroke)
{
	double xy[10];
	for (int i = 0; i < corners; i++) {
		double angle = start + 2.0 * M_PI * i / corners;
		xy[2 * i] = x + radius * cos(angle);
		xy[2 * i + 1] = y + radius * sin(angle);
	}
	c->ops->path(c, xy, (size_t)corners, true, fill, stroke);
}

void pb_canvas_marker(struct pb_canvas *c, enum pb_shape shape, double x, double y, double radius, enum pb_ink fill, struct pb_stroke stroke)
{
	const double v[3] = { x, y, radius };
	if (!good(c, v, 3))
		return;
	/* Radii differ a little so that all shapes look equally large. */
	switch (shape) {
	case PB_SHAPE_CROSS: {
		double r = 0.8 * radius;
		struct pb_stroke s = { fill == PB_INK_NONE || fill == PB_INK_PAPER ? stroke.ink : fill, fill == PB_INK_PAPER ? 1.0 : 2.0, PB_SOLID };
		pb_canvas_line(c, x - r, y - r, x + r, y + r, s);
		pb_canvas_line(c, x - r, y + r, x + r, y - r, s);
		break;
	}
	case PB_SHAPE_CIRCLE:
		c->ops->circle(c, x, y, radius, fill, stroke);
		break;
	case PB_SHAPE_SQUARE:
		polygon(c, 4, M_PI / 4, x, y, 1.25 * radius, fill, stroke);
		break;
	case PB_SHAPE_UP:
		polygon(c, 3, -M_PI / 2, x, y + 0.15 * radius, 1.3 * radius, fill, stroke);
		break;
	case PB_SHAPE_DIAMOND:
		polygon(c, 4, 0, x, y, 1.3 * radius, fill, stroke);
		break;
	case PB_SHAPE_DOWN:
		polygon(c, 3, M_PI / 2, x, y - 0.15 * radius, 1.3 * radius, fill, stroke);
		break;
	case PB_SHAPE_PENTAGON:
		polygon(c, 5, -M_PI / 2, x, y, 1.15 * radius, fill, stroke);
		break;
	}
}

static void put_text(struct pb_canvas *c, double x, double y, struct pb_type type, const char *s)
{
	const double v[3] = { x, y, type.size };
	if (!good(c, v, 3) || !*s)
		return;
	const char *clean = pb_canvas_clean(&c->clean, s, false);
	if (c->clean.failed)
		pb_canvas_fail(c, PB_MEMORY, "memory is out");
	else
		c->ops->text(c, x, y, type, clean);
}

void pb_canvas_text(struct pb_canvas *c, double x, double y, enum pb_align align, double size, bool bold, enum pb_ink ink, const char *s)
{
	put_text(c, x, y, (struct pb_type){ align, size, bold, false, ink }, s);
}

void pb_canvas_label(struct pb_canvas *c, double x, double y, double size, bool bold, enum pb_ink ink, const char *s)
{
	put_text(c, x, y, (struct pb_type){ PB_LEFT, size, bold, true, ink }, s);
}

void pb_canvas_clip(struct pb_canvas *c, double x, double y, double w, double h)
{
	const double v[4] = { x, y, w, h };
	if (good(c, v, 4))
		c->ops->clip(c, x, y, w, h);
}

void pb_canvas_unclip(struct pb_canvas *c)
{
	if (c->status == PB_OK)
		c->ops->unclip(c);
}

void pb_canvas_open(struct pb_canvas *c, const char *title, const char *const *attributes)
{
	if (c->status == PB_OK && c->ops->open)
		c->ops->open(c, title, attributes);
}

void pb_canvas_close(struct pb_canvas *c)
{
	if (c->status == PB_OK && c->ops->close)
		c->ops->close(c);
}

void pb_canvas_place(struct pb_canvas *c, double x0, double y0, double scale)
{
	const double v[3] = { x0, y0, scale };
	if (good(c, v, 3) && !(scale > 0))
		pb_canvas_fail(c, PB_NUMERIC, "a scale is not positive");
	if (c->status == PB_OK)
		c->ops->place(c, x0, y0, scale);
}

void pb_canvas_restore(struct pb_canvas *c)
{
	if (c->status == PB_OK)
		c->ops->restore(c);
}

void pb_canvas_next_page(struct pb_canvas *c)
{
	if (c->status == PB_OK && c->ops->next_page)
		c->ops->next_page(c);
}

void pb_canvas_abort(struct pb_canvas *c)
{
	if (!c)
		return;
	pb_text_free(&c->clean);
	c->ops->free(c);
}

enum pb_status pb_canvas_finish(struct pb_canvas *c, struct pb_text *out, struct pb_error *err)
{
	enum pb_status st = c->status;
	if (st != PB_OK)
		(void)pb_fail(err, st, "figure: %s", c->why);
	else
		st = c->ops->finish(c, out, err);
	pb_canvas_abort(c);
	return st == PB_OK ? pb_text_check(out, err) : st;
}
