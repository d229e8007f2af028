/* Tasks: a definition in YAML (data, prompt, choices, metric) and a kind in C that turns items into
 * requests and log-probabilities into metrics. Semantics and names are lm-evaluation-harness's. */
#ifndef PB_TASKS_TASK_H
#define PB_TASKS_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/base/status.h"
#include "core/model/request.h"
#include "core/model/tokenizer.h"

/* How a text becomes a number, by name: encoding of pairs, BOS, window, what is scored. Listed by `list protocols`. */
struct pb_protocol {
	const char *id;             /* "lmeh", "gptq-wt2", ... */
	const char *help;
};
extern const struct pb_protocol pb_protocols[];
extern const size_t pb_n_protocols;

/* Where data files are looked for: the folders of --data and PB_DATA, in order. */
struct pb_data_path {
	const char *const *folders;
	size_t n;
};

struct pb_task_kind;            /* registry.c */

/* A task as defined, before data are read. */
struct pb_task {
	struct pb_arena *arena;
	const char *name;           /* "piqa" */
	const char *title, *source;
	const struct pb_task_kind *kind;
	const char *protocol;       /* default or chosen id */
	const char *file;           /* of the definition */
	void *definition;           /* of the kind, in the arena */
	uint64_t limit;             /* items; 0: all */
	char hash[PB_HASH_HEX];     /* of the definition's content, protocol and limit */
};
/* name: of a file tasks/NAME.yaml under pb_home(), or a path ending in .yaml. protocol: NULL for the definition's own. */
enum pb_status pb_task_open(struct pb_task **out, const char *name, const char *protocol, uint64_t limit, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_task_parse(struct pb_task **out, const char *name, const char *data, size_t size, const char *protocol, uint64_t limit, struct pb_error *err) PB_MUST_CHECK;
void pb_task_close(struct pb_task *task);
/* Names of all definitions under pb_home()/tasks, sorted. */
enum pb_status pb_task_names(struct pb_arena *arena, const char ***names, size_t *n, struct pb_error *err) PB_MUST_CHECK;

/* The data of a task, read and checked once; works without a model. PB_MISSING names the file and the folders searched. */
struct pb_task_data {
	struct pb_arena *arena;
	size_t n_items;             /* after the limit */
	uint64_t n_chars;           /* bytes of text to score: for cost estimates */
	uint64_t n_sequences;       /* about how many sequences are scored */
	char hash[PB_HASH_HEX];     /* of the data as read */
	void *items;                /* of the kind */
};
enum pb_status pb_task_data_read(struct pb_task_data **out, const struct pb_task *task, const struct pb_data_path *path, struct pb_error *err) PB_MUST_CHECK;
void pb_task_data_free(struct pb_task_data *data);

/* Requests of a task for one tokenizer and context length. */
struct pb_task_requests {
	struct pb_arena *arena;
	struct pb_request *requests;
	size_t n_requests;
	uint64_t n_truncated;       /* requests cut from the left to fit the context */
	void *plan;                 /* of the kind: which request belongs to what */
};
/* context: longest input of the model (or of the protocol, the smaller). */
enum pb_status pb_task_requests_make(struct pb_task_requests **out, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err) PB_MUST_CHECK;
void pb_task_requests_free(struct pb_task_requests *requests);

/* A number with its error. */
struct pb_metric {
	const char *name;           /* "acc", "acc_norm", "nll", "ppl_token", "ppl_word", "bits_per_byte", ... */
	double value, stderr_value; /* stderr NaN: none */
	uint64_t n;                 /* items, or predicted tokens for nll */
	bool higher_is_better;
};
#define PB_MAX_METRICS 16

/* What is kept of each item for paired tests: the summed log-likelihoods of its choices, or of its text. */
struct pb_item {
	uint32_t index;             /* of the item in the data */
	uint32_t n_values;
	double *values;             /* log-likelihoods: a choice each; or one for a text or window */
	double weight;              /* predicted tokens of a text or window; 1 for a choice item */
	int32_t gold;               /* multiple choice: right choice; else -1 */
	int32_t chosen;             /* multiple choice: arg-max by `acc`; else -1 */
	int32_t chosen_norm;        /* by acc_norm; else -1 */
};
struct pb_task_result {
	struct pb_arena *arena;
	struct pb_metric metrics[PB_MAX_METRICS];
	size_t n_metrics;
	struct pb_item *items;
	size_t n_items;
};
/* After a backend has filled the requests. A value that is not finite is PB_NUMERIC. */
enum pb_status pb_task_score(struct pb_task_result **out, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_task_requests *requests, struct pb_error *err) PB_MUST_CHECK;
void pb_task_result_free(struct pb_task_result *result);

#endif
