/* What looks wrong in published numbers, whatever is claimed of them. */
#ifndef PB_REPORTS_CLAIMS_DETECT_H
#define PB_REPORTS_CLAIMS_DETECT_H

#include "reports/claims/numbers.h"
#include "reports/claims/shapes.h"

enum pb_finding_kind {
	PB_FINDING_MEAN,        /* an average that is not the mean of its tasks; or of other tasks */
	PB_FINDING_COPY,        /* the numbers of one model or method printed for another */
	PB_FINDING_CONSTANT,    /* BoolQ at the share of one of its two answers: no signal */
	PB_FINDING_TWO_VALUES,  /* one checkpoint and metric, two values in two tables of a source */
	PB_FINDING_BITS,        /* effective bits that do not follow from the parts */
	PB_FINDING_DISAGREE,    /* perplexity rises by more than 1.5 % where the average accuracy rises by more than half a point */
	PB_FINDING_KINDS
};
const char *pb_finding_name(enum pb_finding_kind kind);   /* "mean", "copy", "constant", "two values", "bits", "disagree" */
const char *pb_finding_title(enum pb_finding_kind kind);

struct pb_finding {
	enum pb_finding_kind kind;
	const struct pb_number *first, *second; /* second may be NULL */
	const char *what;
};
struct pb_findings {
	struct pb_finding *findings;            /* by kind, then in the order of the files */
	size_t n, capacity;
};
/* In the arena. */
enum pb_status pb_detect(struct pb_findings *out, const struct pb_numbers *numbers, const struct pb_model_shapes *shapes, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;

#endif
