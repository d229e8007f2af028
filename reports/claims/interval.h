/* What a printed number stands for: an interval around it. Arithmetic on intervals, and statements that are true, false
 * or open, when it depends on digits that were not printed. */
#ifndef PB_REPORTS_CLAIMS_INTERVAL_H
#define PB_REPORTS_CLAIMS_INTERVAL_H

#include <stdbool.h>

struct pb_interval {
	double low, middle, high;   /* low <= middle <= high; middle: computed from the numbers as printed */
};

enum pb_truth { PB_FALSE, PB_OPEN, PB_TRUE };

struct pb_interval pb_exact(double value);
struct pb_interval pb_around(double value, double half);

struct pb_interval pb_interval_add(struct pb_interval a, struct pb_interval b);
struct pb_interval pb_interval_subtract(struct pb_interval a, struct pb_interval b);
struct pb_interval pb_interval_multiply(struct pb_interval a, struct pb_interval b);
/* false: the divisor is zero as printed. A divisor that may be zero gives an unbounded interval. */
bool pb_interval_divide(struct pb_interval a, struct pb_interval b, struct pb_interval *out);
/* false: a base below zero with an exponent that is no whole number, or zero to a power below zero. */
bool pb_interval_power(struct pb_interval a, struct pb_interval b, struct pb_interval *out);
/* Of a function that rises everywhere. */
struct pb_interval pb_interval_rising(double (*f)(double), struct pb_interval a);
struct pb_interval pb_interval_absolute(struct pb_interval a);
struct pb_interval pb_interval_smaller(struct pb_interval a, struct pb_interval b);
struct pb_interval pb_interval_larger(struct pb_interval a, struct pb_interval b);

/* True when every pair of values is so. Intervals that only touch are apart: a number that prints as 62.6 is below one that prints as 62.7. */
enum pb_truth pb_interval_less(struct pb_interval a, struct pb_interval b);
/* Whether they have values in common, so that two printed numbers can be the same: 11.4 and 11.5 cannot, 11.4 and 11.45 can. Never open. */
enum pb_truth pb_interval_agree(struct pb_interval a, struct pb_interval b);

enum pb_truth pb_truth_not(enum pb_truth a);
enum pb_truth pb_truth_and(enum pb_truth a, enum pb_truth b);
enum pb_truth pb_truth_or(enum pb_truth a, enum pb_truth b);

#endif
