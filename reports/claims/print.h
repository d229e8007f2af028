/* Verdicts as text. */
#ifndef PB_REPORTS_CLAIMS_PRINT_H
#define PB_REPORTS_CLAIMS_PRINT_H

#include "reports/claims/claims.h"
#include "reports/claims/detect.h"

/* Judged claims, in the order given. */
struct pb_verdicts {
	struct pb_claim *const *claims;
	size_t n;
};

/* details: tests with their numbers, the published numbers behind them with sources, notes. */
enum pb_status pb_verdicts_table(const struct pb_verdicts *v, bool details, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_verdicts_markdown(const struct pb_verdicts *v, bool details, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* One array of objects, with all details. */
enum pb_status pb_verdicts_json(const struct pb_verdicts *v, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* "97 claims: 50 hold, 20 fail, 15 depend, 12 untestable; 2 verdicts differ from the expected: A, B" */
void pb_verdicts_summary(const struct pb_verdicts *v, struct pb_text *out);

/* Findings in published numbers, by kind. */
enum pb_status pb_findings_table(const struct pb_findings *f, bool markdown, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_findings_json(const struct pb_findings *f, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;

const char *pb_outcome_name(enum pb_outcome outcome);   /* "true", "open", "false", "untestable" */

#endif
