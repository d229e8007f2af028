/* "Families and methods": volumes, indicators and curves of groups, with pairs.csv. */
#ifndef PB_REPORTS_GROUPS_SECTION_H
#define PB_REPORTS_GROUPS_SECTION_H

#include "reports/groups.h"
#include "reports/section.h"

/* sizes: by a cost and the value; bits: the same by effective bits, or NULL. why: what is to be said of the corner besides, or "". */
enum pb_status pb_groups_section(struct pb_section *out, const struct pb_groups *sizes, const struct pb_groups *bits, const char *why, struct pb_arena *arena,
	struct pb_error *err) PB_MUST_CHECK;

#endif
