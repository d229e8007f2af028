/* One small drawing interface with three outputs: SVG (own writer, real text, tooltips), PNG and PDF (cairo).
 * Coordinates are pixels, y down. Every coordinate passes one check: a number that is not finite fails the canvas,
 * since cairo would draw it at the left edge without an error. After a failure all calls do nothing and
 * pb_canvas_finish reports it. Text is cleaned here: malformed UTF-8 and control characters never reach an output. */
#ifndef PB_REPORTS_CANVAS_H
#define PB_REPORTS_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/status.h"
#include "core/base/text.h"

#define PB_FONT "DejaVu Sans"

/* Colours by role. The series colours are Okabe and Ito's, fixed for each family of methods. */
enum pb_ink {
	PB_INK_NONE, PB_INK_TEXT, PB_INK_MUTED, PB_INK_GRID, PB_INK_AXIS, PB_INK_PAPER, PB_INK_OUTLINE, PB_INK_FRONT,
	PB_INK_FULL, PB_INK_PARETOQ, PB_INK_ONEBIT, PB_INK_SQUEEZELLM, PB_INK_VPTQ, PB_INK_KBIT, PB_INK_OTHER,
	PB_INK_SHADE2, PB_INK_SHADE3 = PB_INK_SHADE2 + PB_INK_OTHER - PB_INK_PARETOQ + 1, /* two darker ones of each family, in the same order */
	PB_INKS = PB_INK_SHADE3 + PB_INK_OTHER - PB_INK_PARETOQ + 1
};
struct pb_ink_colour {
	const char *name;           /* class of SVG elements: "f-NAME" fills, "s-NAME" strokes */
	uint32_t light, dark;       /* 0xRRGGBB on white, on the page's dark ground */
};
extern const struct pb_ink_colour pb_inks[PB_INKS];

enum pb_shape { PB_SHAPE_CROSS, PB_SHAPE_CIRCLE, PB_SHAPE_SQUARE, PB_SHAPE_UP, PB_SHAPE_DIAMOND, PB_SHAPE_DOWN, PB_SHAPE_PENTAGON };
enum pb_align { PB_LEFT, PB_MIDDLE, PB_RIGHT };
enum pb_dash { PB_SOLID, PB_DOTTED, PB_DASHED };

struct pb_stroke {
	enum pb_ink ink;
	double width;
	enum pb_dash dash;
};

/* A family of methods as it is drawn everywhere. Unknown names are "other". */
struct pb_family {
	const char *name;
	enum pb_ink ink;
	enum pb_shape shape;
};
extern const struct pb_family pb_families[];
extern const size_t pb_n_families;
size_t pb_family_index(const char *name);
/* Of several settings of one family, the place-th: the family's colour, then its shades; the family's shape, then the next ones. */
enum pb_ink pb_family_ink(const struct pb_family *family, size_t place);
enum pb_shape pb_family_shape(const struct pb_family *family, size_t place);

/* Text widths, the same for all outputs: measured with cairo, without hinting. */
struct pb_measure;
enum pb_status pb_measure_new(struct pb_measure **out, struct pb_error *err) PB_MUST_CHECK;
void pb_measure_free(struct pb_measure *m);
/* PB_MEMORY when any call since pb_measure_new lacked memory: what it gave may be too short. */
enum pb_status pb_measure_check(const struct pb_measure *m, struct pb_error *err) PB_MUST_CHECK;
double pb_measure_width(struct pb_measure *m, double size, bool bold, const char *s);
/* Appends s shortened to `width` pixels, with an ellipsis when something was cut. */
void pb_measure_fit(struct pb_measure *m, double size, bool bold, double width, const char *s, struct pb_text *out);
/* Appends s with line feeds at blanks so that no line is wider than `width`, unless one word is. Returns the number of lines. */
size_t pb_measure_wrap(struct pb_measure *m, double size, double width, const char *s, struct pb_text *out);

struct pb_canvas;
/* scale: device pixels a pixel. */
enum pb_status pb_canvas_png(struct pb_canvas **out, double width, double height, double scale, struct pb_error *err) PB_MUST_CHECK;
/* A page is width x height pixels and `points_per_pixel` times that in points. created_utc: ISO 8601; another text leaves the date out. */
enum pb_status pb_canvas_pdf(struct pb_canvas **out, double width, double height, double points_per_pixel, const char *title,
	const char *created_utc, struct pb_error *err) PB_MUST_CHECK;
/* description: read by screen readers. embedded: for a page (no XML head, scales to its box). */
enum pb_status pb_canvas_svg(struct pb_canvas **out, double width, double height, const char *description, bool embedded, struct pb_error *err) PB_MUST_CHECK;

void pb_canvas_line(struct pb_canvas *c, double x1, double y1, double x2, double y2, struct pb_stroke stroke);
/* An error bar from y1 to y2 with caps. */
void pb_canvas_bar(struct pb_canvas *c, double x, double y1, double y2, double half_cap, struct pb_stroke stroke);
/* Points nearer than a tenth of a pixel to the one before, and points on level or upright stretches, are left out. */
void pb_canvas_polyline(struct pb_canvas *c, const double *xy, size_t n_points, struct pb_stroke stroke);
/* The inside of a polygon, without an outline. */
void pb_canvas_area(struct pb_canvas *c, const double *xy, size_t n_points, enum pb_ink fill);
/* A shape that has no inside (cross) is drawn in `fill`, or in the stroke's ink when that is none. */
void pb_canvas_marker(struct pb_canvas *c, enum pb_shape shape, double x, double y, double radius, enum pb_ink fill, struct pb_stroke stroke);
/* y: baseline. */
void pb_canvas_text(struct pb_canvas *c, double x, double y, enum pb_align align, double size, bool bold, enum pb_ink ink, const char *s);
/* The same over lines: a rim in the colour of the paper keeps it legible. Left-aligned. */
void pb_canvas_label(struct pb_canvas *c, double x, double y, double size, bool bold, enum pb_ink ink, const char *s);
void pb_canvas_clip(struct pb_canvas *c, double x, double y, double w, double h);
void pb_canvas_unclip(struct pb_canvas *c);
/* A point with its tooltip; attributes: pairs name ("cell" becomes data-cell), value; NULL at the end. */
void pb_canvas_open(struct pb_canvas *c, const char *title, const char *const *attributes);
void pb_canvas_close(struct pb_canvas *c);
/* Until pb_canvas_restore, coordinates are (x0, y0) + scale * (x, y). */
void pb_canvas_place(struct pb_canvas *c, double x0, double y0, double scale);
void pb_canvas_restore(struct pb_canvas *c);
void pb_canvas_next_page(struct pb_canvas *c);              /* PDF */

/* For who draws: the canvas fails with a constant text. Only the first failure counts. */
void pb_canvas_fail(struct pb_canvas *c, enum pb_status status, const char *why);
/* Appends the file to `out` and frees c, also on failure. */
enum pb_status pb_canvas_finish(struct pb_canvas *c, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
void pb_canvas_abort(struct pb_canvas *c);                  /* NULL is fine */

#endif
