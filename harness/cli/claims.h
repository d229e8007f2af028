/* Claims as commands read and judge them. */
#ifndef PB_HARNESS_CLI_CLAIMS_H
#define PB_HARNESS_CLI_CLAIMS_H

#include "harness/cli/records.h"
#include "reports/claims/claims.h"

/* The claims that come with the program, and those of files among the arguments: names that end in .yaml; further published numbers are
 * in those that end in .csv. */
enum pb_status pb_cli_claims(const char *const *args, size_t n, struct pb_claims *claims, struct pb_error *err) PB_MUST_CHECK;
/* On the published numbers and, when there are records, on their rows. */
enum pb_status pb_cli_claims_judge(struct pb_claims *claims, struct pb_claim *const *chosen, size_t n, const struct pb_records *records, struct pb_error *err) PB_MUST_CHECK;

#endif
