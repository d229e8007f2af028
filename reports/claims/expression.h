/* The language that claims are tested in.
 *
 *	new > old                                           names are rows of published numbers; a row alone is its value
 *	new.params / old.params == 0.2                      other columns by their names; sizes of a model's shape: x.linear_weights, ...
 *	mean(tasks) == average by model, method             once for each row of `average`, with the tasks of the same model and method
 *	all(ours < theirs by model, task if abs(ours.effective_bits - theirs.effective_bits) <= 0.03)       matched pairs
 *
 * Numbers are intervals: what is printed stands for half a unit of its last digit on either side, what was read off a
 * figure for the error of reading. `==` asks whether two numbers can be the same. Statements are true, false, or open when the
 * digits that were not printed decide. Operators by precedence: or; and; not; < <= > >= == != (may be chained);
 * + -; * /; unary -; ^; `.column`. Lists work entry by entry; a single value goes with every entry.
 *
 * In EXPR by COLUMN, ... [if COND] a name stands for one row, and the list has an entry for each combination of rows that
 * have the same texts in these columns; inside functions of whole lists (mean, max, rising, ...) it stands for all such rows. */
#ifndef PB_REPORTS_CLAIMS_EXPRESSION_H
#define PB_REPORTS_CLAIMS_EXPRESSION_H

#include "core/base/text.h"
#include "reports/claims/interval.h"
#include "reports/claims/select.h"
#include "reports/claims/shapes.h"

enum pb_value_kind { PB_VALUE_NUMBER, PB_VALUE_TRUTH, PB_VALUE_TEXT };
struct pb_value {
	enum pb_value_kind kind;
	size_t n;                               /* entries, at least one */
	const struct pb_interval *numbers;      /* of the kind's array, the others are NULL */
	const enum pb_truth *truths;
	const char *const *texts;
	const struct pb_number *const *rows;    /* which published number an entry comes from first; entries may be NULL; or NULL */
};

struct pb_expression;
#define PB_MOST_DEFINITIONS 64
struct pb_definition {
	const char *name;
	const struct pb_expression *expression;
};
/* What names stand for. */
struct pb_scope {
	const struct pb_selection *selections;
	size_t n_selections;
	const struct pb_definition *definitions;
	size_t n_definitions;
	const struct pb_model_shapes *shapes;         /* or NULL */
};

/* In the arena. On failure: what is wrong, near which character (from 1), with the nearest known name. */
enum pb_status pb_expression_parse(const struct pb_expression **out, const char *text, const struct pb_scope *scope, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
/* In the arena. PB_MISSING: rows, a number or a shape that is needed is not there; PB_NUMERIC: a division by zero, a logarithm of a
 * number below zero; PB_LIMIT: too much work; PB_USAGE: kinds or lengths that do not go together. */
enum pb_status pb_expression_value(const struct pb_expression *e, const struct pb_scope *scope, struct pb_arena *arena, struct pb_value *out, struct pb_error *err) PB_MUST_CHECK;
/* The numbers that decide, as text: "55.5 > 54.5", or "21 of 22; not OB-T2-0131". Appends. */
enum pb_status pb_expression_explain(const struct pb_expression *e, const struct pb_scope *scope, struct pb_arena *arena, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* "0.79", "2.13 ± 0.05", "true", "16 values: ...": for people. */
void pb_value_text(const struct pb_value *value, struct pb_text *out);
/* The language on a page: examples, columns, one line a function. */
void pb_expression_help(struct pb_text *out);

#endif
