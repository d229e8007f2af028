/* Expected orders: which of two settings ought to be better, say papers, and whether it was.
 *
 * An expectation is tested for every model and backend by the paired difference on the same items, better minus worse; p values are
 * adjusted by Holm over the whole table. Where no items are kept (metrics of weights), the numbers alone are compared. */
#ifndef PB_REPORTS_ORDERS_H
#define PB_REPORTS_ORDERS_H

#include "reports/pairing.h"
#include "reports/section.h"

struct pb_expected_side {
	const char *name;               /* as it was written */
	const char *quantizer, *options;/* as in rows: effective, canonical */
};
struct pb_expected {
	const char *run;                /* of its rows */
	struct pb_expected_side better, worse;
	const char *task, *metric, *source;
};
/* The fact "expect" of a record, without runs: JSON, pb_free'd; NULL when memory is out. */
char *pb_expected_format(const struct pb_expected *list, size_t n);
/* Back from it, of a run with this name; appends nothing for "". In the arena. */
enum pb_status pb_expected_parse(struct pb_expected **list, size_t *n, struct pb_arena *arena, const char *run, const char *text, struct pb_error *err) PB_MUST_CHECK;

enum pb_order_verdict { PB_ORDER_HOLDS, PB_ORDER_REVERSED, PB_ORDER_NOISE, PB_ORDER_MISSING, PB_ORDER_VERDICTS };
const char *pb_order_verdict_name(enum pb_order_verdict verdict);   /* "holds", "reversed", "within noise", "missing cell" */

struct pb_order {
	const struct pb_expected *expected;
	const char *model, *backend;
	const struct pb_row *better, *worse;        /* the first seed's; NULL: none */
	double better_value, worse_value;           /* means over the seeds that both have; NaN when missing */
	size_t n_seeds;
	bool tested;                                /* else pair and p count for nothing, and the verdict is that of the numbers alone */
	struct pb_pair pair;                        /* second: better */
	double p_holm;
	enum pb_order_verdict verdict;
	const char *why;                            /* of a missing cell, or of no test; "" else */
};
struct pb_orders {
	struct pb_order *list;                      /* by expectation, then the model's parameters and name, backend */
	size_t n;
};
/* In the arena, beside the expectations and the rows, which must outlive it. */
enum pb_status pb_orders_make(struct pb_orders *out, struct pb_arena *arena, const struct pb_expected *expected, size_t n, const struct pb_rows *rows,
	const struct pb_item_stores *stores, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_orders_csv(const struct pb_orders *orders, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* "Expected orders": counts in a sentence, by source, every comparison, orders.csv. */
void pb_orders_section(struct pb_section *out, const struct pb_orders *orders, struct pb_arena *arena);

#endif
