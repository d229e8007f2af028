/* A row: one (cell, task, metric). What reports, `rows`, `eval` and `compare` read. The same fields
 * in CSV, JSON Lines and tables, in this order (see pb_row_columns). */
#ifndef PB_CORE_STORE_ROW_H
#define PB_CORE_STORE_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "core/base/memory.h"
#include "core/base/status.h"
#include "core/base/text.h"

#define PB_ROW_SCHEMA 1

enum pb_row_status { PB_ROW_OK, PB_ROW_FAILED, PB_ROW_SKIPPED, PB_ROW_STALE, PB_ROW_RUNNING, PB_ROW_STATUSES };
const char *pb_row_status_name(enum pb_row_status status);
bool pb_row_status_parse(const char *name, enum pb_row_status *out);

/* Strings belong to the rows' arena and are never NULL ("" when unknown). A double that is NaN, and an integer
 * that is PB_ABSENT, is absent: empty in CSV, null in JSON. Only status ok has value, stderr and n. */
#define PB_ABSENT INT64_MIN

struct pb_row {
	const char *run;            /* name of the run */
	const char *cell;           /* key, 64 hex digits */
	enum pb_row_status status;
	const char *reason;         /* why it is not ok */
	const char *model;          /* name */
	const char *family;         /* of the quantizer: "full precision", "k-bit", "SqueezeLLM", ...: colour and marker */
	int64_t params;
	const char *model_family;   /* of the model, of which others differ in size or training: "micro" */
	int64_t train_tokens;       /* that the model was trained on, before any method */
	const char *model_hash, *tokenizer_hash;
	const char *quantizer;      /* name */
	const char *options;        /* effective, canonical JSON object */
	const char *label;          /* "rtn w4 g64": short, of quantizer and the options that are not defaults */
	double wbits, effective_bits;
	int64_t weight_bytes, model_bytes;
	double paper_bytes;         /* of the model by the rule of size of the method's paper; NaN when it has none */
	const char *size_convention;/* "packed" */
	const char *backend, *kernel;
	const char *task, *task_hash, *data_hash, *protocol;  /* data_hash: of the items */
	const char *metric;         /* "" when the cell failed */
	double value, stderr_value;
	int64_t n;
	bool higher_is_better;
	double chance;              /* value of guessing, or NaN */
	int64_t seed;
	double quantize_seconds, eval_seconds;
	int64_t peak_rss_bytes;
	json_t *counters;           /* object: name -> {value, unit, status, source, note, ...}; borrowed from the rows; or NULL */
	const char *started_utc, *version, *machine;
	const char *calibration;    /* canonical JSON object: data, hash, n_samples, ...; "" when neither quantizer nor task used any */
};

struct pb_rows {
	struct pb_arena *arena;
	struct pb_row *rows;
	size_t n, capacity;
};
void pb_rows_init(struct pb_rows *rows);                        /* {0}-like; arena made at the first addition */
struct pb_row *pb_rows_add(struct pb_rows *rows, struct pb_error *err); /* a cleared row, absent numbers, "" strings; NULL when memory is out */
const char *pb_rows_string(struct pb_rows *rows, const char *s);/* a copy in the arena; "" for NULL; NULL when memory is out */
void pb_rows_free(struct pb_rows *rows);                        /* drops the counters' references too */
/* By model, label, backend, task, protocol, metric, seed, cell: the one order of all exports. */
void pb_rows_sort(struct pb_rows *rows);

/* Exports. CSV: counters are one column each ("counter.NAME"), the union over the rows, sorted. */
enum pb_status pb_rows_csv(const struct pb_rows *rows, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_rows_json(const struct pb_rows *rows, bool lines, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* Aligned text, or Markdown: model, quantizer, bits, size, task, metric, value ± error, n, status. */
enum pb_status pb_rows_table(const struct pb_rows *rows, bool markdown, struct pb_text *out, struct pb_error *err) PB_MUST_CHECK;
/* The number of a counter; NaN when the row has none. */
double pb_row_counter(const struct pb_row *row, const char *name);
json_t *pb_row_json(const struct pb_row *row);                  /* NULL when memory is out */
/* Back from one JSON object; unknown members are refused. */
enum pb_status pb_row_from_json(struct pb_rows *rows, const json_t *object, struct pb_error *err) PB_MUST_CHECK;

#endif
