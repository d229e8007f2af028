/* Families of methods, and methods, against one another: volumes, epsilon indicators, coverage, curves. */
#ifndef PB_REPORTS_GROUPS_H
#define PB_REPORTS_GROUPS_H

#include "core/base/text.h"
#include "reports/goals.h"

/* A corner that bounds volumes, in the goals' own units. */
struct pb_corner {
	double cost, value;
	bool has_cost, has_value;       /* named in the sweep; else by rule: the largest cost of all points; chance, or the worst value */
};
/* named: a JSON object, {"size": 4194304, "acc": 0.25}, "" for none; names are of costs and metrics. PB_FORMAT when it is no JSON. */
enum pb_status pb_corner_make(struct pb_corner *out, const struct pb_tradeoff *t, const char *named, struct pb_error *err) PB_MUST_CHECK;

struct pb_group {
	const char *name;
	bool is_family;                 /* else a method: a quantizer */
	size_t n, n_on;                 /* points; of them on the front of all */
	size_t *places;                 /* (n): trades */
	size_t *front, n_front;         /* the group's own front, by cost: trades */
	double *curve_x, *curve_y;      /* of it: log2 of the cost, each once, by rising cost; the best value */
	size_t *curve, n_curve;         /* its trades */
	double volume, volume_low, volume_high;
	double *volumes;                /* (n_replicates) */
};
/* The first against the second, by doublings of cost and by error: 1 - value of fractions that should be high, else the value. */
struct pb_group_pair {
	const struct pb_group *first, *second;
	double epsilon[2];              /* by which factor both costs and errors of the first have to be made smaller to cover the second, and the other way; NaN: no positive errors */
	double additive[2];             /* the same as a sum, in doublings and units of the value */
	size_t dominated[2];            /* points of the second's front that one of the first dominates, and the other way */
	double volume, volume_low, volume_high, p_volume;  /* first - second, and the share of draws in which that is above 0 */
	struct pb_curve_difference curve;   /* of the fronts, with straight lines over log2 of the cost */
	double curve_from, curve_to;        /* the common range of costs; NaN: none */
	double curve_low, curve_high, p_curve;
	struct pb_curve_span *spans;
	size_t n_spans;
};
struct pb_groups {
	const struct pb_tradeoff *tradeoff;     /* a cost and a value */
	struct pb_corner corner;
	struct pb_group all, *groups;
	size_t n;
	struct pb_group_pair *pairs;
	size_t n_pairs;
};
/* Families first, then methods, each in the order of their first points; pairs of the like. In the arena. The tradeoff must outlive them. */
enum pb_status pb_groups_make(struct pb_groups *out, const struct pb_tradeoff *t, const struct pb_corner *corner, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
/* pairs.csv; rows of further groups go below. */
void pb_groups_csv(const struct pb_groups *groups, bool with_header, struct pb_text *out);

#endif
