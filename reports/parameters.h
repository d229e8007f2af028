/* Results from elsewhere that tell no sizes: by parameters of the models, and perplexity against accuracy. */
#ifndef PB_REPORTS_PARAMETERS_H
#define PB_REPORTS_PARAMETERS_H

#include "core/store/row.h"
#include "reports/section.h"

/* "Results by parameters", of imported rows with parameters and without sizes; *is_there is false, and the section empty, when these
 * are of fewer than two models. Rows are sorted and outlive the section. */
enum pb_status pb_parameters_section(struct pb_section *out, const struct pb_rows *rows, struct pb_arena *arena, bool *is_there, struct pb_error *err) PB_MUST_CHECK;

#endif
