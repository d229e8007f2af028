/* Pairs: what two settings make of the same items, and the difference between them.
 *
 * Scores of items are right or wrong (acc, acc_norm), negative log-likelihoods (nll and everything that is a function of it: the
 * difference is in nats a token, of `ppl` in nats an item), divergences from full precision (kld, same_top, delta_nll), or bits known (bits). An item of a text is a document or window with all
 * its tokens. Items that share a passage are a cluster. A setting with several seeds is the mean over its seeds, item by item, and the spread of the difference between seeds
 * is a part of its error: between pairs where both sides have the same seeds, else between the seeds of each side. */
#ifndef PB_REPORTS_PAIRING_H
#define PB_REPORTS_PAIRING_H

#include "core/store/store.h"
#include "reports/stats/statistics.h"

/* The records that rows came from: items are read from the first that has the cell, when they are wanted. */
struct pb_item_stores {
	struct pb_store *const *stores;
	size_t n;
};

/* Rows of one setting, task, metric and backend: one for each seed. All are ok. */
struct pb_side {
	const struct pb_row *const *rows;
	size_t n;
	const struct pb_item_stores *stores;
};

struct pb_pair {
	const char *refusal;        /* why there is no pair, or NULL; then nothing below counts */
	const char *scale;          /* of the difference: "acc", "acc_norm", "nll", "bits", "kld", "same_top", "delta_nll" */
	bool higher_is_better;      /* on this scale */
	struct pb_mean difference;  /* second minus first */
	double deviation;           /* standard deviation of items' differences; of units where these are fewer */
	struct pb_test test;
	const char *how;            /* "McNemar", "t", "signs" */
	bool spread_unknown;        /* the seeds differ, one a side: the error is of the items alone */
	struct pb_flips flips;      /* n is 0 where nothing is chosen, or with several seeds */
};
/* "acc", "nll", ...; NULL: no items are kept of this metric. */
const char *pb_pair_scale(const char *metric);
/* All that keeps two rows from being compared ("the data (09aafc01, 2acbbc69), the protocol (lmeh, onebit-lmeh)"), or NULL when nothing does; where a record does not
 * know, nothing is refused. In the arena; also NULL with *failed when memory is out. */
const char *pb_pair_refusal(struct pb_arena *arena, const struct pb_row *first, const struct pb_row *second, bool *failed);
/* Texts of the pair are constants or in the arena. */
enum pb_status pb_pair_make(struct pb_pair *out, struct pb_arena *arena, const struct pb_side *first, const struct pb_side *second, struct pb_error *err) PB_MUST_CHECK;

/* "-1.20 pp (-2.10 to -0.30)", "-0.0123 nats (-0.0150 to -0.0096)": the difference with its 95 % interval. */
void pb_pair_format(char out[96], const struct pb_pair *pair);
void pb_format_p(char out[32], double p);   /* "0.012", "<0.0001"; "n/a" */

/* The same of items at hand, one set for each seed of a side. */
struct pb_items {
	const struct pb_stored_item *items; /* by index */
	size_t n;
	int64_t seed;
};
enum pb_status pb_pair_items(struct pb_pair *out, struct pb_arena *arena, const char *metric, const struct pb_items *first, size_t n_first,
	const struct pb_items *second, size_t n_second, struct pb_error *err) PB_MUST_CHECK;

#endif
