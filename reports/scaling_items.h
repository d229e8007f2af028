/* What scaling laws are fitted to: the points of a front with the model family they belong to, their method, and what the same
 * model has in full precision. */
#ifndef PB_REPORTS_SCALING_ITEMS_H
#define PB_REPORTS_SCALING_ITEMS_H

#include "reports/front.h"

/* Name of the model family: the model's name without what tells its size or its number format ("micro-xxs": micro; "llama-3.2-1b":
 * llama-3.2; "micro-s-long": micro-long; "stories260K": stories; "pythia-1b-bf16@step143000": pythia-step143000). */
void pb_model_family(const char *model, struct pb_text *out);

struct pb_scaling_item {
	const struct pb_point *point;
	const char *family;             /* of the model: the row's, or else by its name */
	const char *series;             /* the models of a family whose names differ in a size alone, where the family has several models of one size; else the family */
	double tokens;                  /* that the model was trained on; NaN */
	bool has_budgets;               /* the family has models of one size that were trained on different numbers of tokens */
	const char *method;             /* the label without its width */
	bool is_full;                   /* full precision */
	double trained;                 /* tokens that the method has trained on; 0: none */
	double y, error;                /* the value, of a perplexity its logarithm: a loss in nats; its standard error, NaN */
	double reference;               /* y of the same model in full precision, trained on as long; NaN */
};
/* Of all points of the front, and those without a size; in the arena, in that order. */
enum pb_status pb_scaling_items(struct pb_scaling_item **out, size_t *n, const struct pb_front *front, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
/* Whether one is the full-precision side of the other: the same model, trained on as long. */
bool pb_scaling_is_reference(const struct pb_scaling_item *full, const struct pb_scaling_item *item);

#endif
