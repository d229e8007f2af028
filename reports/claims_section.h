/* The claims page of a report: verdicts, tests with their numbers, what a run says, findings in the published numbers. */
#ifndef PB_REPORTS_CLAIMS_SECTION_H
#define PB_REPORTS_CLAIMS_SECTION_H

#include "reports/claims/print.h"
#include "reports/section.h"

/* Of judged claims, in their order; findings may be NULL. Files beside the page: claims.json, with every number, its row and its source. */
void pb_claims_section(struct pb_section *out, struct pb_arena *arena, const struct pb_verdicts *verdicts, const struct pb_findings *findings);

#endif
