/* A sweep file: what is to be run. Parsed with places; every name in it is checked before any work. */
#ifndef PB_HARNESS_RUN_SWEEP_H
#define PB_HARNESS_RUN_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/memory.h"
#include "core/base/status.h"
#include "harness/run/recipe.h"
#include "harness/run/samples.h"
#include "tasks/task.h"

struct pb_sweep_model {
	const char *path;           /* resolved; of a recipe's model NULL until it has a place (recipe_model.h) */
	const char *tokenizer;      /* resolved; NULL: beside the model */
	const char *name;           /* NULL: from the path */
	struct pb_training_recipe *recipe;  /* it is trained first, by this; NULL: it is there */
	bool is_made;               /* by a recipe: train.json in its folder tells of it */
	size_t n_quantizers, n_seeds;
	const char *const *quantizers;      /* "rtn:bits=4,group_size=64": lists multiplied out; the sweep's or its own */
	const int64_t *seeds;
};

struct pb_sweep_task {
	const char *name;           /* of a definition, or a path of one */
	const char *protocol;       /* NULL: the definition's own */
	uint64_t limit;             /* items; 0: all */
};

struct pb_limits {
	double seconds;             /* of a cell; 0: none */
	uint64_t memory_bytes;      /* of a cell's process; 0: none */
};

struct pb_sweep {
	struct pb_arena *arena;
	const char *name;
	size_t n_models, n_backends, n_tasks;
	struct pb_sweep_model *models;
	const char **backends;      /* "blas", "blas:cache=0" */
	struct pb_sweep_task *tasks;
	struct pb_calibration_spec *calibration;    /* or NULL */
	struct pb_training_spec *training;          /* or NULL */
	struct pb_limits limits;
	const char *expect;         /* orders that are expected (reports/orders.h), "" for none: a fact of the run */
	const char *reference;      /* corner of volumes (reports/groups.h), "" for none: a fact of the run */
	const char *text;           /* the file as read */
};

/* Models and tokenizers are looked for as given, beside the sweep file, then in the data folders. */
enum pb_status pb_sweep_read(struct pb_sweep **out, const char *path, const struct pb_data_path *data, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_sweep_parse(struct pb_sweep **out, const char *name, const char *text, size_t size, const struct pb_data_path *data, struct pb_error *err) PB_MUST_CHECK;
void pb_sweep_free(struct pb_sweep *sweep);

/* The place of a file that a user named: as it is, then in `folder` (may be NULL), then in the data folders.
 * In the arena; PB_MISSING lists where it was looked for. */
enum pb_status pb_find_file(struct pb_arena *arena, const char *name, const char *folder, const struct pb_data_path *data, const char **path, struct pb_error *err) PB_MUST_CHECK;

#endif
