/* Sizes by rules of methods, of a published row: what its effective bits should be. */
#ifndef PB_REPORTS_CLAIMS_SIZES_H
#define PB_REPORTS_CLAIMS_SIZES_H

#include "reports/claims/numbers.h"
#include "reports/claims/shapes.h"

/* Bits a weight by the row's method: VPTQ with its setting in `group`, SqueezeLLM with its share of sparse values. false: no rule for the row. */
bool pb_size_of_row(const struct pb_number *row, const struct pb_model_shape *shape, double *bits);

#endif
