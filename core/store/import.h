/* Results from elsewhere as rows, marked by the kernel "imported": result files of lm-evaluation-harness, and tables of rows.
 *
 * lm-evaluation-harness: JSON with `results`, in the older form ("acc", "acc_stderr") or the newer one ("acc,none", "acc_stderr,none").
 * The model's name is that of `pretrained`, its parameters are those that the file tells, or else the size in that name ("pythia-1.4b").
 * Perplexities get our names (ppl, ppl_word, ppl_byte).
 *
 * CSV: a header of row columns (core/store/row.h), of which model, task, metric and value must be there; `counter.NAME` is passed over.
 *
 * Sizes that are not given are absent, never guessed. What is wrong is one sentence with the file and its line, or the task. */
#ifndef PB_CORE_STORE_IMPORT_H
#define PB_CORE_STORE_IMPORT_H

#include "core/store/row.h"

#define PB_IMPORTED "imported"

/* Whether the path is a file, not a folder. */
bool pb_import_is_file(const char *path);
/* Appends the rows of a file. */
enum pb_status pb_rows_import(struct pb_rows *rows, const char *path, struct pb_error *err) PB_MUST_CHECK;
/* The same from bytes; name: of the file. */
enum pb_status pb_rows_import_bytes(struct pb_rows *rows, const char *name, const char *data, size_t size, struct pb_error *err) PB_MUST_CHECK;

/* The two forms, for the above. hash: of the content. */
enum pb_status pb_import_lm_eval(struct pb_rows *rows, const char *name, const char *hash, const char *data, size_t size, struct pb_error *err) PB_MUST_CHECK;
enum pb_status pb_import_csv(struct pb_rows *rows, const char *name, const char *hash, const char *data, size_t size, struct pb_error *err) PB_MUST_CHECK;
/* Whether more of a metric is better, by its name: less is for perplexities, losses, bits a byte, divergences and errors. */
bool pb_import_higher_is_better(const char *metric);

#endif
