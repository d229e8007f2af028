/* What an output of a canvas does. Coordinates arrive checked, text cleaned. */
#ifndef PB_REPORTS_CANVAS_BACKEND_H
#define PB_REPORTS_CANVAS_BACKEND_H

#include "reports/canvas.h"

struct pb_type {
	enum pb_align align;
	double size;
	bool bold, rim;
	enum pb_ink ink;
};

struct pb_canvas_ops {
	/* n points (x, y); fill may be PB_INK_NONE, stroke.ink too. */
	void (*path)(struct pb_canvas *c, const double *xy, size_t n, bool closed, enum pb_ink fill, struct pb_stroke stroke);
	void (*circle)(struct pb_canvas *c, double x, double y, double radius, enum pb_ink fill, struct pb_stroke stroke);
	void (*text)(struct pb_canvas *c, double x, double y, struct pb_type type, const char *s);
	void (*clip)(struct pb_canvas *c, double x, double y, double w, double h);
	void (*unclip)(struct pb_canvas *c);
	void (*open)(struct pb_canvas *c, const char *title, const char *const *attributes);
	void (*close)(struct pb_canvas *c);
	void (*place)(struct pb_canvas *c, double x0, double y0, double scale);
	void (*restore)(struct pb_canvas *c);
	void (*next_page)(struct pb_canvas *c);
	enum pb_status (*finish)(struct pb_canvas *c, struct pb_text *out, struct pb_error *err);
	void (*free)(struct pb_canvas *c);
};

/* First member of every output's own struct. */
struct pb_canvas {
	const struct pb_canvas_ops *ops;
	enum pb_status status;      /* of the first failure */
	const char *why;            /* a constant text */
	struct pb_text clean;       /* scratch of text cleaning */
};

/* s as valid UTF-8 without control characters, in `out` (cleared first). keep_lines: line feeds stay. */
const char *pb_canvas_clean(struct pb_text *out, const char *s, bool keep_lines);

#endif
