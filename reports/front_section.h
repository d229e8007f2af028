/* How sure a front is, what it is by other axes, and how much of it each family of methods has. */
#ifndef PB_REPORTS_FRONT_SECTION_H
#define PB_REPORTS_FRONT_SECTION_H

#include "reports/front.h"
#include "reports/section.h"

/* by: the axis of the chart; PB_BY_SIZE: none, since the report has that figure already. The front must outlive the section. */
enum pb_status pb_front_section(struct pb_section *out, const struct pb_front *front, enum pb_by by, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;

#endif
