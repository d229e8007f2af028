/* Models of a sweep that are trained first, by a recipe or a share of its steps: each a training (training.h) in a folder that is
 * named by all that its weights depend on, so that whoever runs the sweep again goes on with it or finds it done. */
#ifndef PB_HARNESS_RUN_RECIPE_MODEL_H
#define PB_HARNESS_RUN_RECIPE_MODEL_H

#include <jansson.h>
#include "core/base/pool.h"
#include "harness/run/plan.h"
#include "harness/run/progress.h"
#include "harness/run/sweep.h"

/* Gives each of them its place, FOLDER/models/NAME-KEY. */
enum pb_status pb_recipe_models_place(struct pb_sweep *sweep, const char *folder, struct pb_error *err) PB_MUST_CHECK;

struct pb_recipe_models_options {
	struct pb_pool *pool;
	const struct pb_filter *filters;    /* models that these leave out are not trained */
	size_t n_filters;
	enum pb_when progress, colour;
	bool quiet;
};
/* Trains what is not there yet. *interrupted: stopped and saved; the same call goes on. */
enum pb_status pb_recipe_models_make(const struct pb_sweep *sweep, const struct pb_recipe_models_options *options, bool *interrupted, struct pb_error *err) PB_MUST_CHECK;
bool pb_recipe_model_is_there(const char *folder);
/* What such a model was trained on, by its folder: {recipe, steps, tokens}. */
enum pb_status pb_recipe_model_json(const char *folder, json_t **out, struct pb_error *err) PB_MUST_CHECK;

#endif
