/* Pages of a part of the rows: one method across bits, one bit width across methods. */
#ifndef PB_REPORTS_PARTS_H
#define PB_REPORTS_PARTS_H

#include "core/base/memory.h"
#include "core/store/row.h"

struct pb_part {
	bool is_width;                  /* of a nominal bit width; else of a method */
	const char *name;               /* "gptq", "2 bits" */
	const char *file;               /* "methods/gptq.html", "bits/2.html": below the report's folder, each another */
	struct pb_rows rows;            /* those of the part and of full precision; borrowed, not to be freed */
};

/* The methods by name, then the widths by size; of either kind only when there are two at least. Cells without a number count. */
enum pb_status pb_parts_make(struct pb_part **out, size_t *n, const struct pb_rows *rows, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;

#endif
