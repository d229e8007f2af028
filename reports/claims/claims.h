/* Claims of papers, tested on the numbers that they print (configs/claims/NAME.yaml). */
#ifndef PB_REPORTS_CLAIMS_CLAIMS_H
#define PB_REPORTS_CLAIMS_CLAIMS_H

#include "reports/claims/comparison.h"
#include "reports/claims/expression.h"

enum pb_verdict {
	PB_HOLDS,       /* every test is true, whatever the digits that were not printed */
	PB_FAILS,       /* a test is false */
	PB_DEPENDS,     /* on the reading of the claim, or on digits that were not printed */
	PB_UNTESTABLE,  /* what is needed is not published */
	PB_VERDICTS
};
const char *pb_verdict_name(enum pb_verdict verdict);   /* "HOLDS", ... */

enum pb_outcome { PB_OUTCOME_FALSE, PB_OUTCOME_OPEN, PB_OUTCOME_TRUE, PB_OUTCOME_MISSING };

/* Something that must be true for the claim to hold; or, beside it, a number that a reader should see. */
struct pb_claim_test {
	const char *that;                       /* in words */
	const char *text;                       /* the expression */
	const char *reading;                    /* NULL: of every reading of the claim */
	const struct pb_expression *expression;
	enum pb_outcome outcome;                /* by pb_claim_judge; of what stands beside only whether it is missing */
	const char *numbers;                    /* by pb_claim_judge: what decided, or what is missing */
};

struct pb_claim {
	const char *id, *statement, *source, *protocol, *note; /* texts of our own; protocol, note: "" when there is none */
	const char *untestable;                 /* what is not published, or NULL */
	struct pb_scope scope;
	const char *how;                        /* a run would test it, in words; "" */
	bool has_comparison;
	struct pb_claim_comparison comparison;
	struct pb_claim_test *tests, *beside;
	size_t n_tests, n_beside;
	enum pb_verdict expected;
	const char *file;
	unsigned line;
	enum pb_verdict verdict;                /* by pb_claim_judge */
	const char *reason;                     /* the same: what fails, on what it depends, what is missing; "" when it holds */
	const struct pb_measured *measured;     /* by reports/measured.h; or NULL */
};

struct pb_claims {
	struct pb_arena *arena;
	struct pb_numbers numbers;
	struct pb_model_shapes shapes;
	struct pb_claim *claims;
	size_t n, capacity;
	struct pb_yaml_file **files;
	size_t n_files;
};
enum pb_status pb_claims_init(struct pb_claims *claims, struct pb_error *err) PB_MUST_CHECK;
void pb_claims_free(struct pb_claims *claims);
/* folder/index.yaml: {numbers: [files], shapes: file, claims: [files]}; with further files of numbers (CSV). Claims point into the
 * numbers: all of these are read before. */
enum pb_status pb_claims_read(struct pb_claims *claims, const char *folder, const char *const *more, size_t n_more, struct pb_error *err) PB_MUST_CHECK;
/* Adds the claims of a file, over the numbers that are there. An id that is there is refused. */
enum pb_status pb_claims_add(struct pb_claims *claims, const char *path, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_claims_parse(struct pb_claims *claims, const char *name, const char *data, size_t size, struct pb_error *err) PB_MUST_CHECK;
struct pb_claim *pb_claims_find(const struct pb_claims *claims, const char *id);

/* Fails only when memory is out or an expression cannot mean anything (kinds that do not go together). */
enum pb_status pb_claim_judge(const struct pb_claims *claims, struct pb_claim *claim, struct pb_error *err) PB_MUST_CHECK;

/* The published numbers that the claim names, each once, in order. */
enum pb_status pb_claim_numbers(const struct pb_claim *claim, struct pb_arena *arena, const struct pb_number ***out, size_t *n, struct pb_error *err) PB_MUST_CHECK;

#endif
