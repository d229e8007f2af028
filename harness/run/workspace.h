/* Inside of a workspace: what cells of one process share, for the files that plan and run cells. */
#ifndef PB_HARNESS_RUN_WORKSPACE_H
#define PB_HARNESS_RUN_WORKSPACE_H

#include "harness/run/cell.h"

/* A task with its data, opened once. */
struct pb_open_task {
	struct pb_open_task *next;
	struct pb_task *task;
	struct pb_task_data *data;
	struct pb_task_requests *requests;      /* for `tokenizer` and `context` */
	char tokenizer[PB_HASH_HEX];
	uint32_t context;
};

/* A text that many cells share, with its hash. */
struct pb_hashed {
	struct pb_hashed *next;
	const char *path;
	char hash[PB_HASH_HEX];
};

struct pb_workspace {
	struct pb_arena *arena;
	struct pb_pool *pool;
	struct pb_data_path data;
	char *model_path, *tokenizer_path;
	struct pb_model *model;
	struct pb_tokenizer *tokenizer;
	struct pb_open_task *tasks;
	struct pb_hashed *hashed;
	struct pb_ids tokens;           /* of the text that was trained on last */
	char tokens_of[2 * PB_HASH_HEX + 16];   /* hashes of tokenizer and text, format */
};

/* The task with its data. */
enum pb_status pb_workspace_open_task(struct pb_workspace *w, const struct pb_sweep_task *spec, struct pb_open_task **out, struct pb_error *err) PB_MUST_CHECK;
/* Its requests for that tokenizer and context. */
enum pb_status pb_workspace_open_requests(struct pb_open_task *t, const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err) PB_MUST_CHECK;
/* Of a file that methods learn from; in the workspace. */
enum pb_status pb_workspace_hash_data(struct pb_workspace *w, const char *path, const char **hash, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_workspace_hash_calibration(struct pb_workspace *w, const struct pb_calibration_spec *calibration, const struct pb_model *model,
	struct pb_hash *hash, struct pb_error *err) PB_MUST_CHECK;
/* pb_calibration_open; fills in tokenizer and hash of the source. */
enum pb_status pb_workspace_open_calibration(struct pb_workspace *w, const struct pb_sweep_model *spec, struct pb_calibration_source *source, unsigned needs,
	struct pb_calibration **out, struct pb_error *err) PB_MUST_CHECK;

/* The options as they take effect, canonical. In the arena; NULL when memory is out. */
const char *pb_cell_options(struct pb_arena *arena, const struct pb_option *table, const void *options);
const char *pb_cell_model_name(const struct pb_sweep_model *spec, const struct pb_model *model);

#endif
