/* Scores of stored items: what a metric makes of each, how much it counts, and which items belong together. */
#ifndef PB_REPORTS_ITEMS_H
#define PB_REPORTS_ITEMS_H

#include "core/store/store.h"

enum pb_score { PB_SCORE_NONE, PB_SCORE_RIGHT, PB_SCORE_RIGHT_NORM, PB_SCORE_BITS, PB_SCORE_LOSS, PB_SCORE_KLD, PB_SCORE_SAME_TOP, PB_SCORE_DELTA_NLL };
/* What the metric is made of; PB_SCORE_NONE: no items are kept of it. */
enum pb_score pb_score_of(const char *metric);
/* Whether the score is a sum over the tokens of a text: losses and divergences. */
bool pb_score_is_by_tokens(enum pb_score score);
bool pb_score_higher_is_better(enum pb_score score);
/* Right or wrong, bits known, or a sum over tokens; NaN where the item has no such score. */
double pb_item_score(const struct pb_stored_item *item, enum pb_score score);
/* The estimate is sum(scores) / sum(weights) of n items: bits are a sum over the items, losses and divergences a mean over tokens. */
double pb_item_weight(const struct pb_stored_item *item, enum pb_score score, size_t n);
/* Of a metric: "%" of fractions that are shown in percent, "nats", or "". */
const char *pb_metric_unit(const char *metric);
bool pb_metric_is_percent(const char *metric);
/* Whether it is against the model's own full precision: a number of one model is no rival to that of another. */
bool pb_metric_is_relative(const char *metric);
/* Whether the items are of several subtasks: then the estimate is the plain mean of theirs. */
bool pb_items_have_subtasks(const struct pb_stored_item *items, size_t n);
/* Items of one subtask from the first on. */
size_t pb_items_of_subtask(const struct pb_stored_item *items, size_t n);
/* Items that share a passage by the place of its first one, the others by their own place, in places (n); NULL when all are alone. */
const uint32_t *pb_item_clusters(const struct pb_stored_item *items, size_t n, uint32_t *places);

#endif
