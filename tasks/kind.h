/* Inside of the tasks room: what a kind of task is, what a definition holds after parsing, and the records that data
 * files become. One kind is one file that ends in one const struct, listed in registry.c. */
#ifndef PB_TASKS_KIND_H
#define PB_TASKS_KIND_H

#include "core/base/yaml.h"
#include "tasks/task.h"
#include "tasks/template.h"

/* The form of a data file. */
enum pb_data_format {
	PB_DATA_JSONL,              /* a JSON object a line */
	PB_DATA_JSON,               /* an array of objects or of strings (field "text") */
	PB_DATA_CSV,                /* header line, or `columns` */
	PB_DATA_LINES,              /* a non-empty line is a record with the field "text" */
	PB_DATA_TEXT,               /* the whole file is one record with the field "text" */
	PB_DATA_HELLASWAG           /* six lines a record: query, gold, four choices */
};

struct pb_process;              /* process.h */

/* One way to find the data. The first source whose file is on the path is used. */
struct pb_source {
	const char *const *files;   /* relative, in order; "{{subtask}}" stands for the subtask; .gz and .bz2 are tried too */
	size_t n_files;
	const char *labels;         /* file beside the data, one integer a line, becomes the field "label"; or NULL */
	enum pb_data_format format;
	const char *const *columns; /* names of CSV fields when the file has no header; or NULL */
	size_t n_columns;
	const struct pb_process *const *processes; /* applied in order */
	size_t n_processes;
	uint64_t expected_items;    /* of each subtask, for a warning; 0: unknown */
};

struct pb_definition {
	const struct pb_source *sources;
	size_t n_sources;
	const char *const *subtasks; /* or NULL */
	size_t n_subtasks;
	size_t only;                /* the one subtask that is run, SIZE_MAX: all */
	uint32_t metrics;           /* bit i: kind->metrics[i] is reported */
	const char *protocol_id;    /* without the length */
	uint32_t length;            /* of ID@LENGTH; 0: the protocol's own */
	const char *description;    /* in front of every context */
	const char *delimiter;      /* between context and choice */
	bool detokenize;            /* wikitext's detokenizer */
	struct pb_template *text;   /* doc_to_text; NULL when not given */
	struct pb_template *target; /* doc_to_target */
	struct pb_template *passage; /* doc_to_passage: items where it is the same text are not independent; or NULL */
	struct pb_template *choice; /* doc_to_choice as one template */
	struct pb_template *const *choices; /* doc_to_choice as a list */
	size_t n_choices;
};

struct pb_task_kind {
	const char *name;           /* output_type */
	const char *help;
	const char *const *keys;    /* of the definition besides the common ones, NULL-terminated */
	const char *const *protocols; /* ids, NULL-terminated; the first is the default */
	const char *const *metrics; /* NULL-terminated, at most 32 */
	uint32_t default_metrics;
	bool takes_subtasks;
	bool has_no_data;           /* nor requests: `make` and `score` are NULL (pb_task_score_weights) */
	bool compares;              /* full precision beside quantized: pb_task_compares */
	/* Checks a parsed definition; the places of messages come from root. */
	enum pb_status (*check)(const struct pb_definition *d, const struct pb_yaml *root, struct pb_error *err);
	/* Fills n_items, n_chars, n_sequences, hash and items; data->arena is there. */
	enum pb_status (*read)(struct pb_task_data *data, const struct pb_task *task, const struct pb_data_path *path, struct pb_error *err);
	/* Fills requests, n_requests, n_truncated, protocol and plan; out->arena is there. */
	enum pb_status (*make)(struct pb_task_requests *out, const struct pb_task *task, const struct pb_task_data *data,
		const struct pb_tokenizer *tokenizer, uint32_t context, struct pb_error *err);
	/* Fills metrics and items; result->arena is there. */
	enum pb_status (*score)(struct pb_task_result *result, const struct pb_task *task, const struct pb_task_data *data,
		const struct pb_task_requests *requests, struct pb_error *err);
};

extern const struct pb_task_kind *const pb_task_kinds[]; /* sorted by name */
extern const size_t pb_n_task_kinds;
const struct pb_task_kind *pb_task_kind_find(const char *name); /* NULL: unknown */

extern const struct pb_task_kind pb_task_kind_documents, pb_task_kind_rolling, pb_task_kind_window, pb_task_kind_weights;

/* The length in effect: asked for, or fallback (0: the context), never longer than the context. */
enum pb_status pb_task_length(const struct pb_task *task, uint32_t context, uint32_t fallback, uint32_t *length, struct pb_error *err) PB_MUST_CHECK;

#endif
