/* Two runs compared: what got better, what got worse, and what is within noise.
 *
 * Cells are matched by model, label (quantizer and options that are not its defaults) and backend, whatever their seed or version. Of each task, one metric of a kind is
 * compared (accuracies; nll before perplexities, which say the same), by the paired difference on the same items, new minus base.
 * A difference is a regression or an improvement when q < 0.01 after Benjamini and Hochberg over all tests of the comparison, means included, and the
 * difference is beyond two standard errors. With another seed on each side, one alone, it is within noise: nobody knows how much seeds differ. Without items (rows from elsewhere) two values with errors are compared as independent,
 * which sees less. What may not be compared (another definition, protocol, data or tokenizer) is listed with what differs. */
#ifndef PB_REPORTS_COMPARE_H
#define PB_REPORTS_COMPARE_H

#include "reports/pairing.h"

#define PB_COMPARE_LEVEL 0.01       /* of q */
#define PB_COMPARE_ERRORS 2.0       /* standard errors */
#define PB_COMPARE_MARGIN_ACC 0.01  /* equivalence: one point, or 0.01 nats a token */
#define PB_COMPARE_MARGIN_NLL 0.01

enum pb_change {
	PB_CHANGE_WORSE, PB_CHANGE_BETTER, PB_CHANGE_NOISE,
	PB_CHANGE_FAILED,               /* was ok, has no number now: a regression too */
	PB_CHANGE_REFUSED,              /* may not be compared */
	PB_CHANGE_UNTESTED,             /* numbers without items and errors */
	PB_CHANGE_ONLY_BASE, PB_CHANGE_ONLY_NEW,
	PB_CHANGES
};
const char *pb_change_name(enum pb_change change);      /* "worse", "better", "within noise", "failed", ... */

struct pb_compared {
	const struct pb_row *base, *now;    /* of the first seed; NULL: none */
	double base_value, now_value;       /* means over seeds; NaN */
	bool tested;                        /* the pair counts */
	struct pb_pair pair;                /* second: new */
	double q;                           /* NaN without a test */
	bool by_seed;                       /* beyond the noise of the items, but the seeds differ and their spread is not known: within noise */
	bool equivalent;                    /* within the margin of its kind, by two one-sided tests at 5 % */
	enum pb_change change;
	const char *why;                    /* what differs, or why it failed; "" else */
};
/* Mean of a setting's accuracies over its tasks, by the weights that tasks have in a mean (front.h), with the error of such a mean. */
struct pb_compared_mean {
	const struct pb_row *base;
	size_t n_tasks;                     /* that count */
	struct pb_mean difference;
	struct pb_test test;
	double q;
	bool spread_unknown;                /* of one of the differences */
	enum pb_change change;
};
struct pb_comparison {
	struct pb_compared *list;           /* by model, label, backend, task, metric */
	size_t n;
	struct pb_compared_mean *means;
	size_t n_means;
	size_t n_changes[PB_CHANGES];
};
/* In the arena, beside the rows, which must outlive it. PB_USAGE when nothing is in both. */
enum pb_status pb_compare_make(struct pb_comparison *out, struct pb_arena *arena, const struct pb_rows *base, const struct pb_item_stores *base_items,
	const struct pb_rows *now, const struct pb_item_stores *now_items, struct pb_error *err) PB_MUST_CHECK;
/* Order of a comparison's list: by model, label, quantizer, backend, task and what its metric measures. 0: one cell, of which one metric is compared. */
int pb_compare_cells(const struct pb_row *a, const struct pb_row *b);
/* The same without task and metric. */
int pb_compare_settings(const struct pb_row *a, const struct pb_row *b);
/* The entry of the cell that the row is of, or NULL. */
const struct pb_compared *pb_compare_find(const struct pb_comparison *comparison, const struct pb_row *row);
/* Verdicts of entries whose pairs are there: q, equivalence, changes, means and counts. */
enum pb_status pb_compare_judge(struct pb_comparison *comparison, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
/* The first entry that was refused, when nothing at all could be compared; else NULL. */
const struct pb_compared *pb_compare_all_refused(const struct pb_comparison *comparison);
double pb_compare_margin(const char *scale);    /* of equivalence; NaN: none is set */
/* Whether anything got worse or failed. */
bool pb_compare_is_regression(const struct pb_comparison *comparison);

struct pb_compare_names {
	const char *base, *now;             /* as they were named */
	bool all;                           /* also what is within noise, one by one (in JSON always) */
};
enum pb_compare_format { PB_COMPARE_TABLE, PB_COMPARE_MARKDOWN, PB_COMPARE_JSON };
enum pb_status pb_compare_print(const struct pb_comparison *comparison, const struct pb_compare_names *names, enum pb_compare_format format,
	struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;

#endif
