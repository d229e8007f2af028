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
#include "core/store/store.h"

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

struct pb_task_kind;            /* kind.h; listed in registry.c */
struct pb_definition;

/* A task as defined, before data are read. */
struct pb_task {
	struct pb_arena *arena;
	const char *name;           /* "piqa" */
	const char *title, *source;
	const struct pb_task_kind *kind;
	const char *protocol;       /* default or chosen, as written: "gptq-wt2", "gptq-wt2@1024" */
	const char *file;           /* of the definition */
	const struct pb_definition *definition; /* in the arena */
	uint64_t limit;             /* the first so many items (of each subtask); windows for `window` tasks; 0: all */
	char hash[PB_HASH_HEX];     /* of the definition's content, protocol and limit; not of titles and file places */
};
/* name: of a file tasks/NAME.yaml under pb_home(), or a path ending in .yaml, or TASK_SUBTASK where the definition of
 * TASK lists SUBTASK (blimp_adjunct_island).
 * protocol: NULL for the definition's own; ID or ID@LENGTH, where LENGTH is the longest input (or the window) in tokens. */
enum pb_status pb_task_open(struct pb_task **out, const char *name, const char *protocol, uint64_t limit, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_task_parse(struct pb_task **out, const char *name, const char *data, size_t size, const char *protocol, uint64_t limit, struct pb_error *err) PB_MUST_CHECK;
void pb_task_close(struct pb_task *task);
/* Whether the task reports this metric. */
bool pb_task_wants(const struct pb_task *task, const char *metric);
/* Names of all definitions under pb_home()/tasks, sorted. */
enum pb_status pb_task_names(struct pb_arena *arena, const char ***names, size_t *n, struct pb_error *err) PB_MUST_CHECK;

/* The data of a task, read and checked once; works without a model. PB_MISSING names the file and the folders searched. */
struct pb_task_data {
	struct pb_arena *arena;
	size_t n_items;             /* after the limit; for `window` tasks the rows of the text, which no limit touches */
	uint64_t n_chars;           /* bytes of text to score: for cost estimates */
	uint64_t n_sequences;       /* about how many sequences are scored */
	char hash[PB_HASH_HEX];     /* of the content of all items used; the same for every file layout that says the same */
	const void *items;          /* of the kind */
};
enum pb_status pb_task_data_read(struct pb_task_data **out, const struct pb_task *task, const struct pb_data_path *path, struct pb_error *err) PB_MUST_CHECK;
void pb_task_data_free(struct pb_task_data *data);

/* Requests of a task for one tokenizer and context length. */
struct pb_task_requests {
	struct pb_arena *arena;
	struct pb_request *requests;
	size_t n_requests;
	uint64_t n_truncated;       /* requests cut to fit the context: pairs from the left, documents at the end */
	const char *protocol;       /* in effect, for rows: with the length where it changes the number, "gptq-wt2@512" */
	size_t *first;              /* texts of several requests each: [first[i], first[i + 1]) of n_units; NULL: one each, or no texts */
	size_t n_units;
	void *plan;                 /* of the kind: which request belongs to what */
};
/* context: longest input of the model. The length in effect is the protocol's own or the context, the smaller; a length
 * that was asked for by ID@LENGTH and is longer than the context is PB_USAGE. */
enum pb_status pb_task_requests_make(struct pb_task_requests **out, const struct pb_task *task, const struct pb_task_data *data,
	const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err) PB_MUST_CHECK;
void pb_task_requests_free(struct pb_task_requests *requests);

/* A number with its error. */
struct pb_metric {
	const char *name;           /* "acc", "acc_norm", "nll", "ppl_token", "ppl_word", "bits_per_byte", ... */
	double value, stderr_value; /* stderr NaN: none */
	uint64_t n;                 /* what the mean is over: items; tokens (nll, ppl_token), words, bytes */
	bool higher_is_better;
};
#define PB_MAX_METRICS 16

/* What is kept of each item for paired tests: the summed log-likelihoods of its choices, or of its text. */
struct pb_item {
	uint32_t index;             /* of the item in the data; with subtasks: subtask's place in the definition * PB_SUBTASK_STRIDE + row */
	uint32_t n_values;
	double *values;             /* log-likelihoods: a choice each; or one for a text or window. Of a divergence PB_DIVERGENCE_SUMS (store.h) */
	double weight;              /* predicted tokens of a text or window; 1 for a choice item */
	int32_t gold;               /* multiple choice: right choice; loglikelihood: 0; else -1 */
	int32_t chosen;             /* multiple choice: arg-max by `acc`; loglikelihood: 0 when greedy, else -1; else -1 */
	int32_t chosen_norm;        /* by acc_norm; else -1 */
	uint32_t cluster;           /* 1 + place of the first item with the same passage (doc_to_passage); 0: it shares none */
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

/* Tasks whose requests are answered by the full-precision model and the quantized one together: the backend's `compare` fills
 * them, not `score` (tasks/divergence.c). */
bool pb_task_compares(const struct pb_task *task);

/* Tasks of the kind `weights` have neither data nor requests; their numbers are made of sums over the weights of each matrix:
 * of the error, and of the whole, that it is a part of. */
enum pb_weight_sums { PB_SUMS_L1, PB_SUMS_SQUARES, PB_SUMS_PROXY, PB_SUMS };     /* tasks/weights.c */
struct pb_weight_error {
	double error[PB_SUMS], whole[PB_SUMS];
};
bool pb_task_is_of_weights(const struct pb_task *task);
bool pb_task_wants_moments(const struct pb_task *task); /* of weights, and with proxy_error among its metrics */
/* n: matrices. Without moments there is no proxy_error. */
enum pb_status pb_task_score_weights(struct pb_task_result **out, const struct pb_task *task, const struct pb_weight_error *matrices, size_t n,
	bool has_moments, struct pb_error *err) PB_MUST_CHECK;

#endif
