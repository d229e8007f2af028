/* "Fronts by other axes": the value against each cost, against an axis that was asked for, and against two axes at once. */
#ifndef PB_REPORTS_AXES_SECTION_H
#define PB_REPORTS_AXES_SECTION_H

#include "reports/goals.h"
#include "reports/section.h"

struct pb_axes_input {
	struct pb_front *main;
	const struct pb_draws *draws;   /* of it */
	const struct pb_fronts *fronts;
	const struct pb_rows *rows;
	const struct pb_item_stores *stores;    /* or NULL */
	const char *x, *z;              /* names of axes that were asked for; NULL: none */
};
/* Marks the points of the main front by three axes (on_axes, probability_axes), when there are three. */
enum pb_status pb_axes_section(struct pb_section *out, const struct pb_axes_input *input, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;

#endif
