/* Claims on measured rows: what a run says of what papers claim. */
#ifndef PB_REPORTS_MEASURED_H
#define PB_REPORTS_MEASURED_H

#include "reports/claims/claims.h"
#include "reports/pairing.h"

/* Fills claim->measured, in the arena of the claims.
 *
 * By pairs: for each model and metric of the claim's comparison, the settings that should be better and worse on the same items; paired tests, Holm
 * over all pairs of the claim. By numbers: published numbers of the claim that have a measured counterpart, a row of the same model, method,
 * width, group and task; reproduced within the printed digits and 1.96 standard errors, if these
 * are within a point of accuracy or 1 % of a perplexity. A pair or number of another protocol is not judged. */
enum pb_status pb_measure_claim(struct pb_claims *claims, struct pb_claim *claim, const struct pb_rows *rows, const struct pb_item_stores *stores, struct pb_error *err) PB_MUST_CHECK;

#endif
