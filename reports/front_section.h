/* How sure the front by size is: its points, those that might be on it, and with what probability. */
#ifndef PB_REPORTS_FRONT_SECTION_H
#define PB_REPORTS_FRONT_SECTION_H

#include "reports/draws.h"
#include "reports/section.h"

/* The front has taken the draws, and must outlive the section. */
void pb_front_section(struct pb_section *out, const struct pb_front *front, const struct pb_draws *draws, struct pb_arena *arena);

#endif
