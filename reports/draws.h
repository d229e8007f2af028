/* Draws of a front's values: what each point might have been had other items been asked.
 *
 * Where the records have the items of all points, and the same ones, a draw takes items with replacement, the same for all points:
 * each task, and each subtask, for itself; items that share a passage together. So differences between settings keep their pairs,
 * also between fronts of the same task. Else the values of all points are drawn as independent normals from value and error. */
#ifndef PB_REPORTS_DRAWS_H
#define PB_REPORTS_DRAWS_H

#include "reports/front.h"

struct pb_draws {
	const struct pb_front *front;
	size_t n_replicates;
	double *values;                 /* (front->n_points, n_replicates) */
	bool by_items;
	bool by_clusters;               /* of them some share a passage */
};
/* In the arena. stores: NULL for none. Of many points, those that one of their own family surely dominates in every number are not drawn:
 * they keep their value. */
enum pb_status pb_draws_make(struct pb_draws *out, const struct pb_front *front, const struct pb_rows *rows, const struct pb_item_stores *stores,
	struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
/* Of the points at n places alone; the others keep their value. */
enum pb_status pb_draws_make_of(struct pb_draws *out, const struct pb_front *front, const size_t *places, size_t n, const struct pb_rows *rows,
	const struct pb_item_stores *stores, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
/* Gives the points of this front their probabilities by size, and by all other costs when these are wanted. */
enum pb_status pb_front_take_draws(struct pb_front *front, const struct pb_draws *draws, bool by_all, struct pb_error *err) PB_MUST_CHECK;

#endif
