/* A cell: one (model, quantizer and options, backend, task set, seed). Its key is a hash of everything
 * that can change its numbers. A workspace runs cells in this process and keeps what they share. */
#ifndef PB_HARNESS_RUN_CELL_H
#define PB_HARNESS_RUN_CELL_H

#include <stdbool.h>
#include "backends/backend.h"
#include "core/base/pool.h"
#include "core/model/model.h"
#include "core/model/tokenizer.h"
#include "core/store/store.h"
#include "harness/run/calibration.h"
#include "harness/run/sweep.h"
#include "harness/run/trained.h"
#include "quantizers/quantizer.h"
#include "tasks/task.h"

/* Raised when the harness itself changes numbers. */
#define PB_NUMERICS_VERSION 1

struct pb_cell {
	const char *run;                    /* name of the sweep */
	const struct pb_sweep_model *model;
	const char *quantizer, *backend;    /* texts */
	const struct pb_calibration_spec *calibration;  /* or NULL */
	const struct pb_training_spec *training;        /* or NULL */
	const char *cache;                  /* folder of calibrations that cells share; NULL: none is kept */
	const char *trained;                /* folder of trained models that cells share */
	const struct pb_sweep_task *tasks;
	size_t n_tasks;
	int64_t seed;
	/* Filled by pb_workspace_plan: */
	char key[PB_HASH_HEX];
	const char *label, *model_name;     /* in the workspace's arena */
	uint64_t weight_bytes, model_bytes; /* as planned */
	bool bytes_are_bound;               /* at most so many, as counts follow from the numbers */
	double cost;                        /* about how many multiply-adds */
};

struct pb_workspace;
enum pb_status pb_workspace_new(struct pb_workspace **out, struct pb_pool *pool, const struct pb_data_path *data, struct pb_error *err) PB_MUST_CHECK;
void pb_workspace_free(struct pb_workspace *w);

/* Key, label, sizes and cost, without work on weights. Options that do not fit the model are an error here. */
enum pb_status pb_workspace_plan(struct pb_workspace *w, struct pb_cell *cell, struct pb_error *err) PB_MUST_CHECK;

/* The opened model (with its matrices as they are in the file) and its tokenizer; kept until another model is asked for. */
enum pb_status pb_workspace_model(struct pb_workspace *w, const struct pb_sweep_model *spec, struct pb_model **model, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_workspace_tokenizer(struct pb_workspace *w, const struct pb_sweep_model *spec, struct pb_tokenizer **tokenizer, struct pb_error *err) PB_MUST_CHECK;

/* What the quantizer needs of the data, from `calibration` and its cache; *out stays NULL when it needs nothing. Closed by the
 * caller, before another model is asked for. progress: see struct pb_calibration_source. */
enum pb_status pb_workspace_calibrate(struct pb_workspace *w, const struct pb_sweep_model *spec, const struct pb_quantizer_use *use,
	const struct pb_calibration_spec *calibration, const char *cache, pb_progress_fn progress, void *arg, struct pb_calibration **out,
	struct pb_error *err) PB_MUST_CHECK;
/* The same data for the record: as an object; NULL when the quantizer needs none. */
enum pb_status pb_workspace_calibration_json(struct pb_workspace *w, const struct pb_model *model, const struct pb_quantizer_use *use,
	const struct pb_calibration_spec *calibration, json_t **out, struct pb_error *err) PB_MUST_CHECK;
/* The model after training, for a quantizer that needs it (pb_trained_open). folder: of trained models. */
enum pb_status pb_workspace_train(struct pb_workspace *w, const struct pb_sweep_model *spec, const struct pb_quantizer_use *use,
	const struct pb_training_spec *training, const char *folder, int64_t seed, pb_stage_fn stage, void *arg, struct pb_model **out, double *seconds,
	struct pb_error *err) PB_MUST_CHECK;

/* Every matrix of the model through the quantizer, in parallel; the same for any number of threads. calibration: what
 * pb_workspace_calibrate gave. On failure the model is as it was. A model that is already quantized accepts `identity` alone. */
enum pb_status pb_quantize_model(struct pb_model *model, const struct pb_quantizer_use *use, int64_t seed, struct pb_calibration *calibration,
	struct pb_pool *pool, struct pb_error *err) PB_MUST_CHECK;
/* Whether it can be done at all, before any work, and why not. calibration, training: or NULL. */
enum pb_status pb_quantize_check(const struct pb_model *model, const struct pb_quantizer_use *use, const struct pb_calibration_spec *calibration,
	const struct pb_training_spec *training, struct pb_error *err) PB_MUST_CHECK;
void pb_unquantize_model(struct pb_model *model);       /* back to the file's own weights */
/* The matrix of the same layer whose output features are this one's input features, one to one; NULL when there is none. */
const struct pb_matrix *pb_feeding_matrix(const struct pb_model *model, const struct pb_matrix *m);

struct pb_cell_result {
	struct pb_rows rows;                /* at least one a task */
	struct pb_arena *arena;
	struct pb_stored_task *tasks;
	size_t n_tasks;
};
/* Runs the cell. Stages are "calibrate", "train, ...", "quantize" and names of tasks. A failure of the model, quantizer or a task makes failed (or skipped) rows; the status returned is an error
 * only when the rows themselves could not be made, or when it was interrupted. */
enum pb_status pb_workspace_run(struct pb_workspace *w, struct pb_cell *cell, pb_stage_fn stage, void *arg, struct pb_cell_result *result, struct pb_error *err) PB_MUST_CHECK;
void pb_cell_result_free(struct pb_cell_result *result);

/* Rows of a cell that did not come to an end: one a task, with this status and reason. */
enum pb_status pb_cell_rows_failed(const struct pb_cell *cell, enum pb_row_status status, const char *reason, struct pb_rows *rows, struct pb_error *err) PB_MUST_CHECK;

#endif
