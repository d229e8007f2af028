/* The record of a run: a SQLite file, DIR/results.db. One transaction a cell; one writer. */
#ifndef PB_CORE_STORE_STORE_H
#define PB_CORE_STORE_STORE_H

#include "core/base/hash.h"
#include "core/store/row.h"

struct pb_store;

/* create: makes folder and file when they are not there; else PB_MISSING. A file of another schema is refused.
 * A second writer is refused (PB_FAILED, "another run is writing"). */
enum pb_status pb_store_open(struct pb_store **out, const char *folder, bool create, struct pb_error *err) PB_MUST_CHECK;
void pb_store_close(struct pb_store *store);        /* NULL is fine */
/* Whether the folder has a record. */
enum pb_status pb_store_is_there(const char *folder, bool *there, struct pb_error *err) PB_MUST_CHECK;

/* Facts of the run: "name", "sweep" (its text), "command", "version", "machine" (JSON), "created_utc", ... */
enum pb_status pb_store_set(struct pb_store *store, const char *key, const char *value, struct pb_error *err) PB_MUST_CHECK;
/* "" when absent; the text belongs to the arena. */
enum pb_status pb_store_get(struct pb_store *store, struct pb_arena *arena, const char *key, const char **value, struct pb_error *err) PB_MUST_CHECK;

/* What is kept of an item, for paired tests. index: of the item in the data; with subtasks the subtask's place * PB_SUBTASK_STRIDE
 * + the item's place in it. */
#define PB_SUBTASK_STRIDE 1000000u
/* The values of a text that was compared with full precision: sums over its tokens. */
enum pb_divergence_sum { PB_SUM_KLD, PB_SUM_SAME_TOP, PB_SUM_DELTA_NLL, PB_DIVERGENCE_SUMS };
struct pb_stored_item {
	uint32_t index, n_values;
	const double *values;           /* log-likelihoods; or PB_DIVERGENCE_SUMS */
	double weight;
	int32_t gold, chosen, chosen_norm;
	uint32_t cluster;               /* 1 + place of the first item with the same passage; 0: it shares none */
};
struct pb_stored_task {
	const char *task;
	size_t n_items;
	const struct pb_stored_item *items;
};

/* Replaces everything that is known of the cell by these rows (all of one cell) and items, in one transaction.
 * order: place in the plan. */
enum pb_status pb_store_put(struct pb_store *store, const char *cell, uint64_t order, const struct pb_row *rows, size_t n_rows,
	const struct pb_stored_task *tasks, size_t n_tasks, struct pb_error *err) PB_MUST_CHECK;
/* Status of a cell: PB_ROW_RUNNING when nothing is known of it. */
enum pb_status pb_store_status(struct pb_store *store, const char *cell, enum pb_row_status *status, struct pb_error *err) PB_MUST_CHECK;
/* Cells of the record that are not in `keys` become stale; those of them that have no number are forgotten. */
enum pb_status pb_store_mark_stale(struct pb_store *store, const char *const *keys, size_t n, uint64_t *marked, struct pb_error *err) PB_MUST_CHECK;
/* Stale cells that are in `keys` are again what their rows say: a key stands for all that can change the numbers. */
enum pb_status pb_store_revive(struct pb_store *store, const char *const *keys, size_t n, uint64_t *revived, struct pb_error *err) PB_MUST_CHECK;

/* Appends all rows, in the one order of exports. */
enum pb_status pb_store_rows(struct pb_store *store, struct pb_rows *rows, struct pb_error *err) PB_MUST_CHECK;
/* Items of one (cell, task) by index, in the arena. */
enum pb_status pb_store_items(struct pb_store *store, struct pb_arena *arena, const char *cell, const char *task,
	struct pb_stored_item **items, size_t *n, struct pb_error *err) PB_MUST_CHECK;

#endif
