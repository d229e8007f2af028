/* Models by name: configs/zoo/zoo.yaml lists what ships with the program. */
#ifndef PB_HARNESS_RUN_ZOO_H
#define PB_HARNESS_RUN_ZOO_H

#include <stddef.h>
#include <stdint.h>
#include "core/base/memory.h"
#include "core/base/status.h"
#include "tasks/task.h"

struct pb_zoo_model {
	const char *name, *family, *about;
	const char *path;               /* of its folder */
	const char *hash;               /* of the model, as `inspect` prints it */
	uint64_t parameters, tokens;    /* matrix weights; tokens it was trained on */
};

struct pb_zoo {
	size_t n;
	const struct pb_zoo_model *models;
};

/* In the arena; empty when no zoo is installed. */
enum pb_status pb_zoo_read(struct pb_zoo *out, struct pb_arena *arena, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_zoo_parse(struct pb_zoo *out, struct pb_arena *arena, const char *name, const char *text, size_t size, struct pb_error *err) PB_MUST_CHECK;

/* The path of a model that a user named: as it is, else a name of the zoo, else in `folder` (may be NULL) or the data folders.
 * In the arena; PB_MISSING lists where it was looked for. */
enum pb_status pb_find_model(struct pb_arena *arena, const char *name, const char *folder, const struct pb_data_path *data, const char **path,
	struct pb_error *err) PB_MUST_CHECK;

#endif
